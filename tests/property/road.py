"""The road of a case: what is asked of segue, in which modes writers may be, and the faults on the way."""

import contextlib
import json
import os
import random
import threading
import time

import psycopg
from psycopg.rows import dict_row
from lib.wait import SLOW, until

# What is to be reached, one after the other; who writes on the way is the case's.
ROADS = {
    "done": ("ready", "soaking", "done"),
    "abort": ("ready", "aborted"),
    "early": ("aborted",),
    "back": ("ready", "soaking", "ready", "aborted"),
    "again": ("ready", "soaking", "ready", "soaking", "done"),
}
FAULTS = ("kill_segue", "kill_backend", "crash_server", "terminate", "cancel", "lock", "freeze", "pause")
OUTAGES = ("kill_segue", "kill_backend", "crash_server")
BEFORE_CUTOVER = ("planned", "expanding", "backfilling", "verifying", "ready", "cutting_over")
RESUMES_MAX = 8
DEADLINE_S = 60


class Stuck(AssertionError):
    """The migration does not reach what it should, or has stopped."""


class Road:
    """proxy, database: of the case. names: tables that a holder of locks takes."""

    def __init__(self, proxy, database, migration, seed, faults):
        self.proxy, self.database, self.migration = proxy, database, migration
        self.dice = random.Random(f"{seed}/road")
        self.faults = faults  # [(index of the goal, delay_s, kind)]
        self.outages = any(kind in OUTAGES for _, _, kind in faults)
        self.stars = not self.outages
        self._modes = frozenset({"before"})
        self.filled = True  # nothing waits for a backfill
        self.refused = ""
        self.stopped = []
        self.trouble = None
        self.begun = False
        self.told = []
        self.outage = lambda strike: strike()  # around what may take the server down, and says whether it has

    # ---- modes ----

    def modes(self):
        return self._modes

    def may_be(self, *modes):
        self._modes = frozenset(modes)

    # ---- what is asked for ----

    def look(self):
        def read(conn):
            if not conn.execute("SELECT to_regclass('segue.migrations') IS NOT NULL").fetchone()[0]:
                return {}
            row = conn.execute("SELECT phase, paused, error, error_state FROM segue.migrations WHERE name = %s",
                               (self.migration["name"],)).fetchone()
            return dict(zip(("phase", "paused", "error", "state"), row)) if row else {}

        return self.database.kept.run(read)

    def say(self, command):
        try:
            with psycopg.connect(host="127.0.0.1", port=self.proxy.port, dbname="segue", user="postgres", autocommit=True,
                                 connect_timeout=10, prepare_threshold=None, row_factory=dict_row) as conn:
                cur = conn.execute(command.encode())
                return cur.fetchall() if cur.description else []
        except psycopg.Error as error:
            self.refused = f"{command[:40]}: {error}"
            return None

    def shown(self):
        """The phase of which clients know: workers are told after the database."""
        rows = self.say("SHOW MIGRATIONS")
        if rows is None:
            return "unknown"
        return next((row["phase"] for row in rows if row["migration"] == self.migration["name"]), None)

    def start(self):
        return "START '" + json.dumps(self.migration).replace("'", "''") + "'"

    def command_for(self, row, goal):
        """What a person would type now, or None: it goes on by itself."""
        name, phase = self.migration["name"], row.get("phase")
        if phase is None:
            return self.start()
        if row["error"] and phase not in ("ready", "done", "aborted"):
            self.stopped.append(f"{phase}: {row['state']} {row['error']}")
            return f"RESUME {name}"
        if goal == "aborted" and phase in BEFORE_CUTOVER:
            return self.dice.choice([f"ABORT {name}", f"ROLLBACK {name}"])
        if row["paused"]:
            return f"RESUME {name}"
        if phase == "ready" and goal in ("soaking", "done"):
            return f"CUTOVER {name}"
        if phase == "soaking" and goal == "done":
            return f"COMPLETE {name} FORCE"
        if phase == "soaking" and goal in ("ready", "aborted"):
            return f"ROLLBACK {name}"
        return None

    def drive(self, goal, index):
        """Until the goal is reached; the faults of this stretch come meanwhile."""
        mine = [(delay, kind) for i, delay, kind in self.faults if i == index]
        timers = [threading.Timer(delay, self._strike, (kind,)) for delay, kind in mine]
        self.told.append(goal)
        for timer in timers:
            timer.start()
        try:
            self._drive(goal, timers)
        finally:
            for timer in timers:
                timer.join(60 * SLOW)

    def _drive(self, goal, timers):
        end = time.monotonic() + DEADLINE_S * SLOW
        row, said, at = {}, None, 0.0
        while time.monotonic() < end:
            if self.trouble:
                raise self.trouble
            try:
                row = self.look()
            except psycopg.Error:
                time.sleep(0.05)
                continue
            self.begun |= bool(row)
            if row.get("phase") == goal and not (goal == "soaking" and row["error"]) or goal == "aborted" and self.begun and not row:
                if self.shown() in (goal, None):
                    return
                continue
            command = self.command_for(row, goal)
            # the same again only after a pause: the last one may be under way
            if command and (command != said or time.monotonic() - at > 1):
                self.say(command)
                said, at = command, time.monotonic()
            if len(self.stopped) > RESUMES_MAX or self.stopped and not any(t.is_alive() for t in timers) and not self.faults:
                break
            time.sleep(0.01)
        raise Stuck(f"not {goal} but {row}; has stopped: {self.stopped[:3]}; last refusal: {self.refused}")

    # ---- faults ----

    def _strike(self, kind):
        self.told.append(kind)
        try:
            getattr(self, "fault_" + kind)()
        except BaseException as error:  # pylint: disable=broad-except
            self.trouble = error

    def fault_kill_segue(self):
        self.proxy.kill9()
        self.proxy.start()

    def fault_freeze(self):
        self.proxy.freeze()
        time.sleep(self.dice.choice([0.05, 0.4]))
        self.proxy.signal(18)

    def fault_crash_server(self):
        def strike():
            self.database.cluster.crash()
            self.database.cluster.start()
            return True

        self.outage(strike)

    def fault_kill_backend(self):
        self.outage(self._kill_backend)

    def _kill_backend(self):
        """The server takes all others down, this session too, and recovers."""
        struck = False
        with contextlib.suppress(psycopg.Error, ProcessLookupError), self.database.cluster.connect(self.database.name) as conn:
            pids = conn.execute("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' "
                                "AND pid <> pg_backend_pid()").fetchall()
            if pids:
                os.kill(self.dice.choice(pids)[0], 9)
                struck = True
                until("the server to take all sessions down", lambda: conn.execute("SELECT false").fetchone()[0], 20)
        if struck:  # what comes next looks at the database
            until("the server to serve again", self.database.cluster._answers, 60)
        return struck

    def _engine(self, function):
        with contextlib.suppress(psycopg.Error), self.database.cluster.connect(self.database.name) as conn:
            conn.execute(f"SELECT {function}(pid) FROM pg_stat_activity WHERE application_name = 'segue' AND datname = current_database()")

    def fault_terminate(self):
        self._engine("pg_terminate_backend")

    def fault_cancel(self):
        self._engine("pg_cancel_backend")

    def fault_lock(self):
        """Somebody keeps a transaction open that has used the tables."""
        with contextlib.suppress(psycopg.Error), self.database.cluster.connect(self.database.name) as conn:
            names = [r[0] for r in conn.execute("SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition "
                                                "AND relnamespace = 'public'::regnamespace").fetchall()]
            with conn.transaction():
                for name in self.dice.sample(names, min(2, len(names))):
                    conn.execute("SET LOCAL lock_timeout = '3s'")
                    conn.execute(f"LOCK TABLE {name} IN {self.dice.choice(['ACCESS SHARE', 'ROW EXCLUSIVE'])} MODE")
                time.sleep(self.dice.choice([0.1, 0.5, 1.5]))

    def fault_pause(self):
        self.say(f"PAUSE {self.migration['name']}")
        time.sleep(0.2)
        self.say(f"RESUME {self.migration['name']}")
