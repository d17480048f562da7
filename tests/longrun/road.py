"""The way of one migration after the other, and what happens to it: a standby goes away and comes back, segue is killed and
taken over."""

import time
from dataclasses import dataclass, field

from lib.segue import Segue
from lib.wait import Late, until

from . import schema
from .servers import SUBSCRIPTION
from .traffic import Stage, settled

# where a migration is interrupted; each cycle (there and back) takes the next ones
MOMENTS = ("backfilling", "soaking", "verifying", "ready")
ORDER = ("planned", "expanding", "backfilling", "verifying", "ready", "cutting_over", "soaking")
STANDS_STILL_S = 2.0
POLL_S = 0.2


@dataclass
class Record:
    """What one migration took. Seconds, bytes, KiB."""

    name: str
    phases: dict = field(default_factory=dict)  # phase -> seconds
    events: list = field(default_factory=list)
    rows_per_s: float = 0
    bytes_before: int = 0
    bytes_after: int = 0
    attempts: list = field(default_factory=list)
    held: dict = field(default_factory=dict)  # signal -> readings in which it held or slowed


class Road:
    def __init__(self, servers, traffic, proxy, options, say):
        self.servers, self.traffic, self.proxy, self.options, self.say = servers, traffic, proxy, options, say
        self.side, self.number = "a", 0
        self.records, self.failures = [], []
        self.ending = None  # the segue that was taken over

    # ---- one migration ----

    def one(self):
        """There or back: start, cut-over, rollback, cut-over, complete."""
        side, to = self.side, schema.other(self.side)
        self.number += 1
        self.file = schema.migration(self.number, to)
        self.name = self.file["name"]
        self.record = Record(self.name, bytes_before=self.servers.size())
        self.records.append(self.record)
        cycle, back = divmod(self.number - 1, 2)
        self.due = {MOMENTS[(cycle + 2 * back) % len(MOMENTS)]: self.kill if not back else self.take_over}
        self.standby_due = True
        self.entered("expanding")
        if self.options["rows_per_s"]:
            self.proxy.cli("throttle", "rows_per_s", self.options["rows_per_s"])
        self.proxy.begin(self.file)
        self.fill()
        both = dict.fromkeys(("old", "follow", "both"), side) | {"new": to}
        self.traffic.say(Stage(side + to, both, new=True, both=True))
        self.entered("ready")
        self.dwell()
        self.happens("ready")
        self.edge(both, side + to, to, "cutover", "soaking", *(["--wait-replicas"] if back else []))
        self.edge(both, side + to, side, "rollback", "ready")
        self.edge(both, side + to, to, "cutover", "soaking")
        self.happens("soaking")
        self.verified()
        # the old revision goes before its names do; and prepared statements before the types that they were told (README.md)
        self.traffic.say(Stage(to, {**both, "old": "", "follow": to, "both": to}, new=True), reconnect=True)
        self.entered("complete")
        self.complete()
        self.proxy.wait_phase(self.name, "done")
        self.traffic.say(settled(to))
        self.side = to
        self.entered("idle")
        bad = self.servers.db.one(f"SELECT count(*) FROM {schema.TABLE} WHERE {schema.OUT_OF_STEP[to]}")
        if bad:
            self.failures.append(f"{self.name} has left {bad} rows whose columns do not agree")
        self.record.attempts = [{key: row[key] for key in ("step", "outcome", "drain_ms", "lock_ms", "stall_ms") if key in row}
                                for row in self.proxy.console(f'SHOW ATTEMPTS "{self.name}"')]
        self.dwell()
        self.record.bytes_after = self.servers.size()

    def entered(self, phase):
        now = time.monotonic()
        if self.traffic.phase in self.record.phases:
            self.record.phases[self.traffic.phase] += now - self.since
        self.traffic.phase, self.since = phase, now
        self.record.phases.setdefault(phase, 0.0)

    def dwell(self):
        self.traffic.flows(self.options["dwell"])

    def edge(self, both, speak, sees, command, phase, *more):
        """A cut-over, or the way back: what a session that follows sees is in motion."""
        self.traffic.say(Stage(speak, {**both, "follow": "", "both": ""}, new=True, both=True))
        self.entered(command)
        self.proxy.cli(command, self.name, *more, timeout=600)
        self.traffic.say(Stage(speak, {**both, "follow": sees, "both": sees}, new=True, both=True))
        self.entered(phase)
        self.dwell()

    def complete(self):
        """What binds since the cut-over is proven first."""
        said = []

        def done():
            said.append(self.proxy.cli("complete", self.name, "--force", check=None, timeout=600))
            return said[-1].code == 0

        try:
            until("complete", done, 300, every=1)
        except Late:
            raise AssertionError(f"complete: {said[-1].out}{said[-1].err}") from None

    def verified(self):
        self.entered("verify")
        self.proxy.cli("verify", self.name, timeout=1200)
        row = self.proxy.status(self.name)
        if int(row["rows_bad"]) or int(row["rows_verified"]) < self.servers.rows:
            self.failures.append(f"{self.name}: verified {row['rows_verified']} rows, {row['rows_bad']} not in step")
        self.entered("soaking")

    # ---- up to ready ----

    def fill(self):
        """Follows the status to `ready`, notes the phases, and lets happen what is due on the way."""
        end = time.monotonic() + self.options["fill_s"]
        while True:
            if time.monotonic() > end:
                raise Late(f"{self.name} is not ready after {self.options['fill_s']} s: {self.proxy.status(self.name)}")
            row = self.proxy.status(self.name)
            if row["error"]:
                raise AssertionError(f"{self.name} stopped in {row['phase']}: {row['error']}; {row['hint']}")
            if row["phase"] != self.traffic.phase and row["phase"] in ORDER:
                if self.traffic.phase == "backfilling":
                    took = self.record.phases["backfilling"] + time.monotonic() - self.since
                    self.record.rows_per_s = int(row["rows_done"]) / took
                    if self.standby_due:
                        raise AssertionError(f"{self.name} was filled before the standby could go: more rows")
                self.entered(row["phase"])
            for reason in filter(None, (row["throttle"] or "").split("; ")):
                signal = reason.split(":")[0]
                self.record.held[signal] = self.record.held.get(signal, 0) + 1
            if row["phase"] == "ready":
                return
            if row["phase"] == "backfilling" and int(row["rows_done"]) > self.servers.rows // 5 and self.standby_due:
                self.standby_due = False
                self.standby_away()
            elif row["phase"] != "backfilling" or int(row["rows_done"]) > self.servers.rows // 2:
                self.happens(row["phase"])
            time.sleep(POLL_S)

    def standby_away(self):
        """Stopped, or frozen with its connections: unknown, so the backfill stands still; it goes on when it is back."""
        frozen = self.number % 2 == 0
        self.entered("standby away")
        began = time.monotonic()
        standby = self.servers.standby
        standby.freeze() if frozen else standby.stop()
        try:
            wanted = "direct_lag_s" if frozen else "vanished"
            self.proxy.wait(self.name, lambda r: wanted in (r["throttle"] or ""), 120, f"a hold: {wanted}")
            held_after = time.monotonic() - began
            before = self.done()
            until("the backfill to stand still", lambda: self.stands_still(), 60)
            went_on = self.done() - before
        finally:
            standby.freeze(False) if frozen else standby.start()
        stood = self.done()
        self.proxy.wait(self.name, lambda r: int(r["rows_done"]) > stood or r["phase"] != "backfilling", 300,
                        "the backfill to go on")
        self.event(f"standby {'frozen' if frozen else 'stopped'}: held after {held_after:.1f} s "
                   f"({went_on} rows more), back and going on after {time.monotonic() - began:.1f} s")
        if self.options["rows_per_s"]:
            self.proxy.cli("throttle", "rows_per_s", "default")
        self.entered("backfilling")

    def done(self):
        return int(self.proxy.status(self.name)["rows_done"])

    def stands_still(self):
        before = self.done()
        time.sleep(STANDS_STILL_S)
        return self.done() == before

    # ---- what happens to segue ----

    def happens(self, moment):
        """What is due in this phase, or was in one that was over too soon."""
        for due in list(self.due):
            if ORDER.index(due) <= ORDER.index(moment):
                self.due.pop(due)(moment)

    def event(self, text):
        self.record.events.append(text)
        self.say(f"  {text}")

    def kill(self, moment):
        began = time.monotonic()
        with self.traffic.kills() as outage:
            self.proxy.kill9()
            outage.dead()
            self.proxy.start()
        self.traffic.flows(self.options["dwell"])
        self.event(f"segue killed in {moment}, serves again; {time.monotonic() - began:.1f} s with the next "
                   f"{self.options['dwell']} requests")

    def take_over(self, moment):
        began = time.monotonic()
        old = self.ending = self.proxy
        new = Segue(old.upstream, old.folder, start=False, arguments=["--takeover"], **old.options)
        new.port = old.port
        new.start()
        old._drop_console()
        self.proxy = new
        self.traffic.flows(self.options["dwell"])  # sessions of both are served
        self.traffic.say(reconnect=True)
        until("the old segue to end", lambda: old.process.poll() is not None, 120)
        if old.process.returncode:
            self.failures.append(f"the segue that was taken over ended with {old.process.returncode}")
        until("the new one's engine", lambda: self.proxy.status(self.name), 60)
        self.ending = None
        self.event(f"segue taken over in {moment}: {time.monotonic() - began:.1f} s to the end of the old one")

    def kill_all(self):
        for proxy in filter(None, (self.proxy, self.ending)):
            proxy.kill9()

    # ---- the throttle ----

    def throttle(self):
        """Lag by pg_stat_replication is on by default; and the standby is asked directly."""
        standby = self.servers.standby
        for value in (f"host=127.0.0.1 port={standby.port} user=postgres dbname=postgres", "10"):
            self.proxy.cli("throttle", "direct_lag_s", value)
        self.proxy.cli("throttle", "slot_bytes", str(1 << 30))
        shown = {row["signal"]: row["enabled"] for row in self.proxy.console("SHOW THROTTLE")}
        on = [s for s in ("replica_lag_s", "replica_lag_bytes", "direct_lag_s", "direct_lag_bytes", "slot_bytes") if
              shown[s] in (True, "t", "true")]
        if len(on) != 5:
            self.failures.append(f"of the throttle only {on} are on: {shown}")
        names = {row[0] for row in self.servers.db.sql("SELECT application_name FROM pg_stat_replication")}
        if not names >= {"standby", *([SUBSCRIPTION] if self.servers.subscribed else [])}:
            self.failures.append(f"who follows: {names}")
