"""Clients of a cell: writers of both revisions on each table of the scene that the oracle knows."""

from lib.traffic import Traffic
from lib.wait import until


class Load(Traffic):
    """Whose connection was lost reads back only when the lost session's work has ended, too."""

    touches = {}  # of the scene

    def _transaction(self, writer, conn, dice, doubt):
        touches = self.touches.get(writer.revision)
        if touches and dice.random() < 0.2:
            conn.execute(dice.choice(touches), (dice.randint(1, 20),))
        super()._transaction(writer, conn, dice, doubt)

    def _resolve(self, writer, conn):
        if any(len(values) > 1 for values in writer.rows.values()):
            until("the lost sessions to end", lambda: conn.execute(
                "SELECT NOT EXISTS (SELECT 1 FROM pg_stat_activity o, pg_stat_activity me WHERE me.pid = pg_backend_pid() "
                "AND o.application_name = 'itest' AND o.state <> 'idle' AND o.xact_start < me.backend_start "
                "AND o.pid <> me.pid)").fetchone()[0])
        super()._resolve(writer, conn)

    def runs(self, revision):
        return any(w.revision == revision and w.thread.is_alive() and not w.stop.is_set() for w in self.writers)


class Loads:
    """One for each flow of the scene; they start, stop and are asked together."""

    def __init__(self, connect, scene, seed, outages, tolerates):
        self.each = [Load(connect, flow.pair, flow.table, outages, 0.01, seed, tolerates, flow.new_table)
                     for flow in scene.flows]
        self.each[0].touches = scene.touches

    def start(self, revision):
        for load in self.each:
            load.start(revision, 2)
        return self

    def only(self, *revisions):
        """These write and no others."""
        for revision in ("old", "new"):
            if revision not in revisions:
                self.stop(revision)
                continue
            for load in self.each:
                if not load.runs(revision):
                    load.start(revision, 2)
        return self

    def signal(self, revision=None):
        for load in self.each:
            load.signal(revision)

    def stop(self, revision=None):
        self.signal(revision)
        for load in self.each:
            load.stop(revision)

    def flows(self, more, revision=None):
        for load in self.each:
            load.flows(more, revision)

    def verify(self, db, revision):
        for load in self.each:
            load.verify(db, [revision])
