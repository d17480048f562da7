"""Three databases with the same rows on one cluster, and segue.

plain       the old schema, never migrated: what an old session must see
contracted  the new schema alone, made by the same migrations run to their end: what a new session must see
dual        both, by segue, in a phase: backfilling (no row is filled yet), ready, soaking (after the cut-over), back (after its rollback)
"""

from lib.cluster import TEMPLATE
from lib.segue import Segue
from lib.wait import until

from . import rules, schema
from .compare import Pair
from .grammar import Grammar
from .play import Session
from .rewriter import Rewriter

PHASES = ("backfilling", "ready", "soaking", "back")
SIDES = ("old", "new")
NAMES = [migration["name"] for migration in schema.MIGRATIONS]


# Of tables with columns that a side does not see, and of their partitions: what a row of one (and an array) is told as where
# the table is expanded: record, record[].
ROW_TYPES = """
SELECT oid.here, oid.there FROM pg_class c JOIN pg_type t ON t.oid = c.reltype
CROSS JOIN LATERAL (VALUES (t.oid, 2249), (t.typarray, 2287)) oid (here, there)
WHERE c.relnamespace = 'public'::regnamespace
  AND (c.relname = ANY (%s) OR c.relispartition)"""


def sides(phase):
    """Who can be compared: before ready a new column may not be read."""
    return ("old",) if phase == "backfilling" else SIDES


class Stage:
    """through: statements go to dual by way of segue, which rewrites; else rewrite.c does, and they go directly.

    A session says which schema it wants only where the phase would not give it that one.
    """

    def __init__(self, cluster, folder, through=True):
        self.cluster = cluster
        self.folder = folder
        self.through = through
        self.phase = None
        self.proxy = None
        self.opened = []
        self.started = []  # of segue
        try:
            self.rules = self._make()
            if not through:
                self._rest()
        except BaseException:
            self._kill()
            raise

    def _database(self, name, template):
        with self.cluster.connect() as conn:
            conn.execute("SET client_min_messages = error")
            conn.execute(f"DROP DATABASE IF EXISTS rw_{name} WITH (FORCE)")
            conn.execute(f"CREATE DATABASE rw_{name} TEMPLATE {template}")

    def _make(self):
        """Gives the rules while the phase is backfilling."""
        self._database("plain", TEMPLATE)
        with self.cluster.connect("rw_plain") as conn:
            conn.execute(schema.tables_sql())
        for name in ("contracted", "dual"):
            self._database(name, "rw_plain")
        proxy = self._segue("contracted")
        for migration in schema.MIGRATIONS:
            proxy.begin(migration)
        for name in NAMES:
            proxy.wait_phase(name, "ready")
            proxy.cli("cutover", name)
            proxy.cli("complete", name, "--force")
        proxy.stop()
        self.proxy = self._segue("dual")
        self.proxy.cli("throttle", "flag_file", "/dev/null")  # it is there: nothing is filled
        for migration in schema.MIGRATIONS:
            self.proxy.begin(migration)
        for name in NAMES:
            self.proxy.wait_phase(name, "backfilling")
        self._wait()
        self.phase = "backfilling"
        with self.cluster.connect("rw_dual") as conn:
            return rules.describe(conn)

    def _segue(self, name):
        proxy = Segue(self.cluster.url("rw_" + name), self.folder, start=False)
        self.started.append(proxy)
        return proxy.start()

    def _wait(self):
        """After a start the engine reads from the database what is in flight; only then there are rules."""
        until("segue to rewrite", lambda: len(self._words()) == 2)

    def _words(self):
        with self.proxy.connect(options="-c segue.schema=old") as conn:
            return conn.execute("TABLE words").description

    def _rest(self):
        self.proxy.stop()
        self.proxy = None

    def enter(self, phase):
        """In the order of PHASES only."""
        if phase == self.phase:
            return
        assert PHASES.index(phase) == PHASES.index(self.phase) + 1
        self.leave()
        if not self.proxy:
            self.proxy = self._segue("dual")
            self._wait()
        if phase == "ready":
            self.proxy.cli("throttle", "flag_file", "off")
        for name in NAMES:
            if phase == "ready":
                self.proxy.wait_phase(name, phase)
            else:
                self.proxy.cli("cutover" if phase == "soaking" else "rollback", name)
        if phase == "ready":
            self._put_in_order()
        rules.turn(self.rules["tables"], phase == "soaking")
        self.phase = phase
        if not self.through:
            self._rest()

    def _put_in_order(self):
        """The fill has put rows behind the space of what was played before: without it a new one would come in front."""
        with self.cluster.connect("rw_dual") as conn:
            for name in schema.migrating():
                conn.execute(f'VACUUM FULL public."{name}"')

    # ---- what the statements are played on ----

    def _conninfo(self, name, port, options=""):
        return f"host=127.0.0.1 port={port} dbname=rw_{name} user=postgres application_name=rewrite options='{options}'"

    def tables(self, side):
        with self.cluster.connect("rw_plain" if side == "old" else "rw_contracted") as conn:
            return schema.tables(conn)

    def pair(self, side):
        database = "plain" if side == "old" else "contracted"
        with self.cluster.connect("rw_" + database) as conn:
            rows = conn.execute(ROW_TYPES, (schema.hiding(side),)).fetchall()
        reference = Session(self._conninfo(database, self.cluster.port), rows=rows)
        follows = side == ("new" if self.phase == "soaking" else "old")
        rewriter = Rewriter(self.rules, side, follows)
        names = {} if self.through else {t["other"]: t["name"] for t in self.rules["tables"] if t["other"]}
        if self.through:
            subject = Session(self._conninfo("dual", self.proxy.port, "" if follows else f"-c segue.schema={side}"))
        else:
            subject = Session(self._conninfo("dual", self.cluster.port), rewriter)
        self.opened += [reference, subject, rewriter]
        return Pair(reference, subject, self.tables(side), rewriter, names, self.phase != "backfilling")

    def grammar(self, side, seed):
        """The same seed gives other statements for each version, phase and side."""
        with self.cluster.connect("rw_plain") as conn:
            binary = {}
            for name in schema.KINDS:
                rows = conn.execute(f"SELECT k_{name} FROM kinds WHERE id < 3 ORDER BY id", binary=True)
                binary[name] = [rows.pgresult.get_value(i, 0) for i in range(2)]
        return Grammar(f"{seed}/{self.cluster.version}/{self.phase}/{side}", self.tables(side), self.cluster.version, binary)

    def leave(self):
        """Ends what was opened."""
        for each in self.opened:
            each.close()
        self.opened = []

    def _kill(self):
        for proxy in self.started:
            if proxy.running():
                proxy.kill9()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        """Where something went wrong, segue is ended in any case."""
        if kind is None:
            self.leave()
            if self.proxy:
                self._rest()
        else:
            self._kill()
