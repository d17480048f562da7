"""One cell of the matrix: a migration under load, a fault at a point, and the way to an end from there."""

import contextlib
import json
import random
import tempfile
import threading
import time
from pathlib import Path

import psycopg
from lib import catalog
from lib.chaos import ChaosRelay
from lib.segue import Segue
from lib.wait import Late, until
from faults.load import Loads
from faults.points import BACK
from faults.scene import NAME, ROWS
from faults.stage import Told

RESTING = ("ready", "soaking")
AFTER_CUTOVER = ("contracting", "done")
DEADLINE_S = 60
RESUMES_MAX = 5
# what a full disk says to clients
DISK_FULL = ("53100", "57P03", "57P02", "58030", "XX000")
STRICT = ("drop", "vanish", "cancel", "terminate")  # of the engine's own connections: no client sees anything


class Wrong(AssertionError):
    """The cell has failed."""


class Play:
    def __init__(self, stage, program, scene, point, kind, way, seed=1, count=1):
        self.stage, self.scene, self.point, self.kind, self.way = stage, scene, point, kind, way
        self.random = random.Random(f"{seed}/{point and point.text}/{kind}/{way}")
        self.count = count
        self.db = stage.database()
        self.folder = tempfile.TemporaryDirectory(prefix="segue-fault-")
        self.relay = ChaosRelay(stage.cluster.port) if kind in ("drop", "vanish") else None
        self.told = Told(self.on_told)
        self.trace = Path(self.folder.name) / "trace"
        self.struck, self.over = threading.Event(), threading.Event()
        self.failure = None  # of the thread that strikes
        self.mend = None
        self.preludes = {}  # point -> what is done there, before the one that matters
        self.resumes = 0
        self.refused = ""
        self.stopped = []  # failures at which the migration has stopped
        self.told_by_doctor = []
        self.asked = 0.0
        self.holder = None
        self.program = program
        self.proxies = []
        self.proxy = self.make()
        self.load = Loads(lambda: self.proxy.connect(connect_timeout=10), scene, seed,
                          outages=kind not in STRICT or point.road in ("restart", "settle"),
                          tolerates=DISK_FULL if kind == "disk" else ())

    def make(self, **more):
        url = self.relay.url(self.db.name) if self.relay else self.db.url()
        proxy = Segue(url, self.folder.name, start=False, vacuum_rows=100, cutover_drain_ms=500, cutover_attempts_max=20,
                      **more)
        proxy.program = self.program
        proxy.environment = {"SEGUE_FAULT_SOCKET": self.told.path}
        self.proxies.append(proxy)
        return proxy

    # ---- the fault ----

    def wants(self, *before):
        """SEGUE_FAULT: the points on the way, then the one that matters."""
        count = f"#{self.count}" if self.count > 1 else ""
        return ",".join([*before, f"{self.point.text}{count}:tell"])

    def on_told(self, point):
        try:
            if point in self.preludes and point != self.point.text:
                self.preludes[point]()
            elif not self.struck.is_set():
                self.struck.set()
                self.mend = threading.Thread(target=self._mend, args=(getattr(self, "strike_" + self.kind)(),), daemon=True)
                self.mend.start()
        except BaseException as error:  # pylint: disable=broad-except
            self.failure = error
            self.over.set()

    def _mend(self, afterwards):
        """What is to be done while segue goes on already."""
        try:
            if afterwards:
                afterwards()
        except BaseException as error:  # pylint: disable=broad-except
            self.failure = error
        self.over.set()

    def backends(self):
        with self.stage.cluster.connect() as conn:
            return [pid for (pid,) in conn.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'segue' AND datname = %s", (self.db.name,))]

    def strike_kill_segue(self):
        victim = self.victim()
        victim.kill9()
        victim.environment.pop("SEGUE_FAULT", None)
        if victim is self.proxy and self.point.road not in ("takeover", "stop"):
            victim.start()

    def strike_kill_postgres(self):
        self.disarm()
        self.stage.cluster.kill9()
        return self.stage.up

    def strike_drop(self):
        self.disarm()
        self.relay.drop_all(control_only=True)

    def strike_vanish(self):
        self.disarm()
        self.relay.at_answer()

    def strike_disk(self):
        self.disarm()
        self.stage.cluster.fill()
        return self._empty_soon

    def _empty_soon(self):
        """Full until it is felt (the migration stops, the server goes down), or for a second."""
        end = time.monotonic() + 1
        with contextlib.suppress(psycopg.Error):
            while time.monotonic() < end and self.stage.cluster.running() and not self.look().get("error"):
                time.sleep(0.05)
        self.stage.up()

    def strike_cancel(self):
        """Whatever it does next is cancelled, for a while."""
        self.disarm()
        pids = self.backends()
        return lambda: self._cancel(pids)

    def _cancel(self, pids):
        with contextlib.suppress(psycopg.Error), self.stage.cluster.connect() as conn:
            end = time.monotonic() + 0.1
            while time.monotonic() < end:
                conn.execute("SELECT pg_cancel_backend(pid) FROM unnest(%s::int[]) AS pid", (pids,))

    def strike_terminate(self):
        self.disarm()
        with self.stage.cluster.connect() as conn:
            conn.execute("SELECT pg_terminate_backend(pid, 2000) FROM unnest(%s::int[]) AS pid", (self.backends(),))

    def victim(self):
        return self.proxies[-1] if self.point.of_successor else self.proxy

    def disarm(self):
        """A process that is started again later does not stop there again."""
        for proxy in self.proxies:
            proxy.environment.pop("SEGUE_FAULT", None)

    # ---- what is asked for ----

    def look(self):
        """The migration's row as the database has it; {}: none."""
        def read(conn):
            if not conn.execute("SELECT to_regclass('segue.migrations') IS NOT NULL").fetchone()[0]:
                return {}
            row = conn.execute("SELECT phase, paused, error, error_state FROM segue.migrations WHERE name = %s", (NAME,)).fetchone()
            return dict(zip(("phase", "paused", "error", "state"), row)) if row else {}

        return self.db.kept.run(read)

    def say(self, command):
        """One command to the console; a refusal is kept for the report."""
        try:
            with psycopg.connect(host="127.0.0.1", port=self.proxy.port, dbname="segue", user="postgres", autocommit=True,
                                 connect_timeout=10, prepare_threshold=None) as conn:
                conn.execute(command.encode())
                return True
        except psycopg.Error as error:
            self.refused = f"{command[:40]}: {error}"
            return False

    def ask_the_doctor(self):
        """Who is stuck is told why, and what leads on."""
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(
                host="127.0.0.1", port=self.proxy.port, dbname="segue", user="postgres", autocommit=True, connect_timeout=10,
                prepare_threshold=None, row_factory=psycopg.rows.dict_row) as conn:
            found = conn.execute(f"DOCTOR {NAME}").fetchall()
            wrong = [row for row in found if row["weight"] == "wrong"]
            if not self.look().get("error"):
                return  # it has gone on meanwhile
            if not wrong or not any((row["command"] or "").startswith("segue ") for row in wrong):
                raise Wrong(f"the doctor does not say what leads on: {found}")
            self.told_by_doctor.append(wrong[0]["finding"])

    def command_for(self, row, goal):
        """What a person would type now, or None: it goes on by itself."""
        phase = row.get("phase")
        if phase is None or (phase == "aborted" and goal != "aborted"):
            self.load.only("old")
            return "START '" + json.dumps(self.scene.file).replace("'", "''") + "'"
        if row["error"] and phase not in RESTING:
            self.stopped.append(f"{phase}: {row['state']} {row['error']}")
            self.ask_the_doctor()
            return f"RESUME {NAME}"
        if row["paused"] or (row["error"] and "RESUME" in self.refused.upper()):
            self.refused = ""
            return f"RESUME {NAME}"
        if phase == "ready" and goal in ("soaking", "done"):
            return f"CUTOVER {NAME}"
        if phase == "soaking" and goal == "done":
            self.load.only("new")
            return f"COMPLETE {NAME} FORCE"
        if phase == "soaking" and goal in ("ready", "aborted"):
            self.load.only("old", "new")
            return f"ROLLBACK {NAME}"
        if goal == "aborted" and phase in ("planned", "expanding", "backfilling", "verifying", "ready", "cutting_over"):
            self.load.only("old")
            return f"ABORT {NAME}"
        return None

    def ends_at(self, goal, phase):
        return goal == "done" if phase in AFTER_CUTOVER else True

    def drive(self, goal, until_struck=False, deadline_s=DEADLINE_S):
        """Like a person at the console: sees the phase, says what leads on."""
        end = time.monotonic() + deadline_s
        row, said, at = {}, None, 0.0
        while time.monotonic() < end:
            if self.failure:
                raise self.failure
            if until_struck and self.struck.is_set():
                return
            try:
                row = self.look()
            except psycopg.Error:
                time.sleep(0.05)
                continue
            if row.get("phase") == goal or (goal == "aborted" and (not row or row["phase"] == "done")):
                return
            command = self.command_for(row, goal)
            # the same again only after a pause: the last one may be under way
            if command and (command != said or time.monotonic() - at > 1):
                self.say(command)
                self.resumes += bool(row.get("error")) and command.startswith("RESUME")
                said, at = command, time.monotonic()
            if self.resumes > RESUMES_MAX:
                raise Wrong(f"stopped again and again: {self.stopped}")
            time.sleep(0.02)
        raise Wrong(f"not {goal} within {deadline_s} s but {row}; last refusal: {self.refused}")

    # ---- roads: how the point is reached ----

    def road_forward(self):
        self.go(self.wants())
        if self.point.name.startswith(("throttle", "flags")) or self.point.of in ("verify", "pause", "resume", "throttle"):
            self.drive("ready", until_struck=True)
            for command in ("THROTTLE rows_per_s off", f"VERIFY {NAME}", f"PAUSE {NAME}", f"RESUME {NAME}"):
                if not self.struck.is_set():
                    self.say(command)
        if self.point.name.startswith("schedule"):
            self.drive("ready", until_struck=True)
            self.say_cutover_at(3)
        self.drive("done", until_struck=True)
        if self.point.of == "baseline" and not self.struck.is_set():
            self.say("BASELINE FORCE NOTE 'by the matrix'")

    def say_cutover_at(self, in_s):
        self.say(f"CUTOVER {NAME} AT '{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(time.time() + in_s))}'")

    def road_withdraw(self):
        self.go(self.wants())
        self.drive("ready")
        self.say_cutover_at(30)
        self.say(f"CUTOVER {NAME} WITHDRAW")

    def road_postpone(self):
        """A file is there when the time of the cut-over comes; it goes when that was struck at."""
        flag = Path(self.folder.name) / "not yet"
        self.proxy.options.update(cutover_postpone_file=str(flag))
        self.go(self.wants())
        self.drive("ready")
        flag.touch()
        self.say_cutover_at(3)
        self.struck.wait(15)
        flag.unlink()

    def road_rewrite(self):
        """The table gets another file between two batches."""
        self.preludes["batch_before"] = lambda: self.db.sql("VACUUM FULL items")
        self.go(self.wants("batch_before#2:tell"))
        self.drive("done", until_struck=True)

    def road_split(self):
        """A range large enough for several workers."""
        self.go(self.wants(), more_rows=2500)
        self.say("THROTTLE workers 4")
        self.drive("done", until_struck=True)

    def rest(self):
        """Until nothing is left to be done in a phase that rests."""
        def rests():
            if self.failure:
                raise self.failure
            with contextlib.suppress(psycopg.Error), psycopg.connect(
                    host="127.0.0.1", port=self.proxy.port, dbname="segue", user="postgres", autocommit=True,
                    connect_timeout=10, prepare_threshold=None, row_factory=psycopg.rows.dict_row) as conn:
                row = conn.execute(f"SHOW STATUS {NAME}").fetchone()
                return self.struck.is_set() or (row and row["phase"] in RESTING and row["step"] == "")
            return self.struck.is_set()

        time.sleep(0.6)  # it begins with the next turn
        until("it to rest", rests, 30)

    def road_soak(self):
        self.go(self.wants())
        self.drive("soaking", until_struck=True)
        if self.point.name.startswith("verify"):
            self.say(f"VERIFY {NAME}")
        self.rest()

    def road_again(self):
        self.go(self.wants())
        self.drive("soaking", until_struck=True)
        self.rest()
        self.drive("ready", until_struck=True)
        self.rest()

    def road_back(self):
        self.go(self.wants())
        self.drive("soaking", until_struck=True)
        self.drive("aborted", until_struck=True)

    def road_abort(self):
        self.go(self.wants())
        self.drive("ready", until_struck=True)
        self.drive("aborted", until_struck=True)

    def dies(self, at, *goals):
        """segue kills itself at a point on the way to a goal, and is started again with the point that matters."""
        self.go(f"{at}:die")
        watch = threading.Thread(target=self._begin_again, daemon=True)
        watch.start()
        for goal in goals:
            self.drive(goal, until_struck=True)
        watch.join(20)

    def _begin_again(self):
        self.proxy.process.wait(30)
        self.proxy.environment["SEGUE_FAULT"] = self.wants()
        self.proxy.start()

    def road_restart(self):
        self.dies("batch_committed", "done")

    def road_settle(self):
        if self.point.of == "reverting":
            self.dies("gate_ran/reverting", "soaking", "aborted")
        else:
            self.dies("gate_ran/cutting_over", "done")

    def road_stop(self):
        self.go(self.wants())
        self.drive("ready")
        self.load.stop()  # sessions would be waited for
        self.proxy.signal(15)
        self.proxy.process.wait(30)
        if self.struck.wait(5) and self.over.wait(20):
            self.disarm()
            self.proxy.start()
            self.load.only("old")

    def road_leftover(self):
        """CREATE INDEX CONCURRENTLY waits for somebody's snapshot and is cancelled: it leaves an invalid index."""
        self.preludes["long_before/backfilling"] = self._stand_in_the_way
        self.go(self.wants("long_before/backfilling:tell"))
        self.drive("done", until_struck=True)

    def _stand_in_the_way(self):
        holder = self.db.cluster.connect(self.db.name)
        holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        holder.execute("SELECT 1 FROM items LIMIT 1")
        threading.Thread(target=self._cancel_build, args=(holder,), daemon=True).start()

    def _cancel_build(self, holder):
        with holder, self.db.cluster.connect(self.db.name) as conn:
            until("the build to be cancelled", lambda: conn.execute(
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'segue' AND datname = "
                "current_database() AND query LIKE '%CONCURRENTLY%' AND wait_event_type = 'Lock'").fetchall())

    def road_give_up(self):
        """Somebody holds a lock for longer than all attempts take."""
        self.proxy.options.update(cutover_attempts_max=1, cutover_drain_ms=200, transaction_age_max_ms=100)
        self.go(self.wants())
        self.drive("soaking" if self.point.of == "reverting" else "ready")
        self.hold()
        self.drive("ready" if self.point.of == "reverting" else "soaking", until_struck=True)
        self.let_go()

    def road_skips(self):
        self.preludes["fill_begun"] = self.hold
        self.go(self.wants("fill_begun:tell"))
        self.drive("done", until_struck=True)
        self.let_go()

    def hold(self):
        flow = self.scene.flows[0]
        self.holder = self.db.cluster.connect(self.db.name)
        self.holder.execute("BEGIN")
        self.holder.execute(f"UPDATE {flow.name('new' if self.point.of in BACK else 'old')} SET note = note WHERE id = 1")

    def let_go(self):
        if self.holder is not None:
            with contextlib.suppress(psycopg.Error):
                self.holder.close()
            self.holder = None

    def road_repair(self):
        """A row is written past the guard before verify begins."""
        self.preludes["verify_begin/verifying"] = self._break
        self.go(self.wants("verify_begin:tell"))
        self.drive("done", until_struck=True)

    def _break(self):
        self.db.sql("BEGIN; ALTER TABLE items DISABLE TRIGGER \"~segue_guard\"; UPDATE items SET label = 'row 2', title = 'x' "
                    "WHERE id = 2; ALTER TABLE items ENABLE ALWAYS TRIGGER \"~segue_guard\"; COMMIT")

    def road_takeover(self):
        self.go("" if self.point.of_successor else self.wants())
        self.drive("backfilling")
        old, new = self.proxy, self.make()
        new.port, new.arguments = old.port, ["--takeover"]
        if self.point.of_successor:
            new.environment["SEGUE_FAULT"] = self.wants()
        try:
            new.start()
            if not self.over.wait(20):
                raise Wrong("the takeover went past the point")
        except AssertionError:
            if not self.struck.is_set():
                raise
        self.over.wait(20)
        self.settle_takeover(old, new)

    def settle_takeover(self, old, new):
        """Who serves now? A takeover that failed may be tried again by whoever starts segue."""
        if new.running():
            self.proxy = new
            self.load.stop("old")  # the old process waits for its sessions
            if old.running():
                old.process.wait(20)
            self.load.only("old")
        elif not old.running():
            self.proxy.start()
        elif self.point.name == "takeover_over":  # nobody accepts: whoever starts segue starts it again
            new.arguments = []
            new.start()
            self.settle_takeover(old, new)

    def go(self, fault, more_rows=0):
        self.db.sql(self.scene.tables)
        self.db.sql(f"INSERT INTO items SELECT {ROWS} + i, 'more ' || i, 'note', repeat('f', 1700) "
                    f"FROM generate_series(1, {more_rows}) i")
        self.proxy.environment["SEGUE_FAULT"] = fault
        self.proxy.environment["SEGUE_FAULT_TRACE"] = str(self.trace)
        self.proxy.start()
        self.load.start("old").flows(4)

    # ---- and then ----

    def run(self):
        """The whole cell."""
        getattr(self, "road_" + self.point.road)()
        if not self.struck.wait(5):  # the database knows of an end before segue has come to its points
            raise Wrong(f"the point was not reached; {self.look()}")
        if not self.over.wait(40):
            raise Wrong("the fault has not come to its end")
        if self.failure:
            raise self.failure
        self.finish("done" if self.way == "forward" else "aborted")

    def finish(self, goal):
        row = self.settled()
        if goal == "done" and row.get("phase") in ("aborting", "aborted"):
            self.drive("aborted")  # the only end there is; nothing is in the way of the same once more
            self.check("aborted")
        self.drive(goal)
        if self.stopped and self.kind != "disk":
            raise Wrong(f"it has stopped, and only a full disk should do that: {self.stopped}")
        self.check(self.settled().get("phase", "aborted"))
        self.load.stop()
        for proxy in self.proxies:
            if proxy.running():
                proxy.stop()

    def settled(self):
        """The row, when the server answers again."""
        def row():
            try:
                return [self.look()]
            except psycopg.Error:
                return None

        return until("the server to answer", row, 40)[0]

    def check(self, phase):
        revision = "new" if phase == "done" else "old"
        self.load.only(revision)
        self.load.flows(5, revision)
        self.load.stop()
        self.load.verify(self.db, revision)
        for flow in self.scene.flows:
            kept = self.db.one(f"SELECT count(*) FROM {flow.name(revision)} WHERE id <= {ROWS} AND {flow.as_made(revision)}")
            if kept != ROWS:
                raise Wrong(f"{ROWS - kept} rows of {flow.name(revision)} that nobody has written are others")
        with self.db.cluster.connect(self.db.name) as conn:
            self.compare(conn, phase)

    def compare(self, conn, phase):
        left = catalog.traces(conn)
        kinds = conn.execute("SELECT count(*) FROM kinds").fetchone()[0]
        if kinds != (self.scene.kinds if phase == "done" else 1):
            raise Wrong(f"the file's own statements: {kinds} rows after {phase}")
        invalid = conn.execute("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid").fetchall()
        now = catalog.whole(conn)
        now.pop("rows")
        if phase == "aborted":
            now["types"].pop("mood", None)  # a value that was added stays, one that was not yet does not come
        if self.scene.kept:
            now["kept"] = conn.execute(self.scene.kept[phase]).fetchone()
        expected = self.stage.expected.get((self.scene.name, phase))
        if left or invalid:
            raise Wrong(f"left over after {phase}: {left} {invalid}")
        if expected is None:
            self.stage.expected[self.scene.name, phase] = now
        elif catalog.difference(now, expected):
            raise Wrong(f"the catalog after {phase} differs: {catalog.difference(now, expected)}")

    def report(self):
        """What helps to understand a failure."""
        return "\n".join([f"doctor: {self.told_by_doctor}"] + [f"---- segue {i}\n{proxy.log_tail(40)}" for i, proxy in enumerate(self.proxies)])

    def close(self):
        self.let_go()
        if self.mend:
            self.mend.join(60)
        self.load.signal()
        for proxy in self.proxies:
            if proxy.running():
                proxy.kill9()
        self.told.close()
        if self.relay:
            self.relay.close()
        with contextlib.suppress(Late, AssertionError):
            self.load.stop()
        self.stage.drop(self.db)
        self.folder.cleanup()
