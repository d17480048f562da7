"""Rounds: a migration is brought somewhere, contradictory words are said, and what comes of it is judged."""

import random
import time
from collections import Counter

import psycopg
from lib.wait import SLOW, Late, until

from .words import KILLED, REACHED, REFUSED, STOPPED, UNREACHABLE, Word
from .writers import Turning

# where a migration is when the words are said: what they contradict each other about
STATES = ("nothing", "filling", "ready", "blocked", "soaking")
# pairs that are always played, at the beginning; the others are chosen by dice
PAIRS = (
    ("blocked", ("cutover", "rollback")), ("soaking", ("complete", "rollback")), ("ready", ("pause", "at")), ("blocked", ("withdraw", "abort")),
    ("nothing", ("start", "start")), ("nothing", ("start", "other")), ("nothing", ("start", "abort")), ("filling", ("restart", "resume")),
    ("soaking", ("complete", "complete")), ("soaking", ("verify", "complete")), ("ready", ("cutover", "rollback", "rollback")),
    ("blocked", ("pause", "withdraw")), ("ready", ("abort", "start")), ("soaking", ("pause", "rollback")), ("filling", ("migrate", "withdraw")),
)
WORDS = {
    "nothing": ("start", "start", "migrate", "other", "abort", "pause", "rollback", "cutover", "withdraw", "at", "resume"),
    "filling": ("pause", "resume", "abort", "rollback", "at", "withdraw", "cutover", "start", "verify", "restart", "other"),
    "ready": ("cutover", "cutover", "at", "withdraw", "rollback", "abort", "pause", "verify", "complete", "start", "restart"),
    "blocked": ("withdraw", "abort", "rollback", "pause", "resume", "cutover", "at", "restart", "verify"),
    "soaking": ("complete", "complete", "rollback", "rollback", "cutover", "pause", "verify", "withdraw", "abort", "restart"),
}
BEFORE = ("planned", "expanding", "backfilling", "verifying", "ready", "cutting_over")
EDGES = {(a, b) for a, b in zip(BEFORE, BEFORE[1:])} | {(phase, "aborting") for phase in BEFORE[:5]} | {
    ("cutting_over", "ready"), ("cutting_over", "soaking"), ("soaking", "contracting"), ("contracting", "done"), ("aborting", "aborted"),
    ("soaking", "reverting"), ("reverting", "ready"), ("reverting", "soaking")}
# a word that was accepted has left one of these behind
LEAVES = {"start": {"planned"}, "migrate": {"planned"}, "cutover": {"cutting_over"}, "complete": {"contracting"},
          "rollback": {"reverting", "aborting"}, "abort": {"aborting"}}
# and a command that has waited for its end, one of these
REACHES = {**LEAVES, "migrate": {"soaking"}, "cutover": {"soaking"}, "complete": {"done"}, "rollback": {"ready", "aborted", "reverting"},
           "abort": {"aborted"}}
KILLS = 0.15  # of the commands get kill -9 at a moment of the dice
ROWS = 120
END_S = 60


class Stage:
    """proxy: cutover_backoff and attempts such that it does not give up while somebody is in the way for half a second."""

    OPTIONS = {"cutover_backoff": "0s,50ms", "cutover_attempts_max": 1000, "cutover_drain_ms": 50}

    def __init__(self, proxy, db, seed):
        self.proxy, self.db = proxy, db
        self.dice = random.Random(seed)
        self.number = 0
        self.migration = self.other = None
        self.blocker = None
        self.traffic = Turning(proxy.connect, hash(str(seed)) % 1000)
        self.failures = []
        self.told = []
        self.codes = Counter()
        db.sql("CREATE TABLE items (id bigint PRIMARY KEY, label text, note text)")
        db.sql(f"INSERT INTO items SELECT i, 'row ' || i, 'note' FROM generate_series(1, {ROWS}) i")

    # ---- the road, when nobody contradicts ----

    def phases(self, name, after=0):
        """Every phase it has ever had, of all starts of that name, in order."""
        if not self.db.one("SELECT to_regclass('segue.phases') IS NOT NULL"):
            return []
        return self.db.sql("SELECT p.id, p.migration, p.phase FROM segue.phases p JOIN (SELECT id, name FROM segue.migrations UNION "
                           "SELECT id, name FROM segue.history) m ON m.id = p.migration WHERE m.name = %s AND p.id > %s ORDER BY p.id",
                           name, after)

    def newest(self):
        return self.db.one("SELECT coalesce(max(id), 0) FROM segue.phases") if self.db.one(
            "SELECT to_regclass('segue.phases') IS NOT NULL") else 0

    def status(self, name):
        """None: not in flight."""
        until("the engine", lambda: self.proxy.console("SHOW VERSION")[0]["engine_connected"])
        row = self.proxy.status(name)
        return None if row and row["phase"] in ("done", "aborted") else row

    def invent(self):
        """Another name for the column that is there, and another migration that wants the same table."""
        self.number += 1
        columns = self.columns()
        old, new = ("label", "title") if "label" in columns else ("title", "label")
        self.migration = {"name": f"m{self.number}", "operations": [{"rename_column": {"table": "items", "from": old, "to": new}}]}
        self.other = {"name": f"o{self.number}", "operations": [
            {"add_column": {"table": "items", "column": {"name": f"more_{self.number}", "type": "int", "nullable": True}}}]}
        for one in (self.migration, self.other):
            self.proxy.file(one)
        self.old, self.new = old, new

    def columns(self):
        return {row[0] for row in self.db.sql("SELECT attname::text FROM pg_attribute WHERE attrelid = 'items'::regclass AND attnum > 0 "
                                              "AND NOT attisdropped")}

    def bring(self, state):
        """The migration in flight, or a new one, is brought there by one who is alone."""
        name = self.migration["name"] if self.migration else None
        phase = (self.status(name) or {}).get("phase") if name else None
        if phase == "soaking" and state != "soaking":
            self.proxy.cli("rollback", name)
            phase = "ready"
        if phase == "ready" and state in ("nothing", "filling"):
            self.proxy.cli("abort", name)
            phase = None
        if phase is None:
            self.invent()
            name = self.migration["name"]
        if state == "nothing":
            return
        if phase is None:
            self.proxy.cli("throttle", "rows_per_s", "60" if state == "filling" else "off")
            self.proxy.begin(self.migration)
            if state == "filling":
                self.proxy.wait_phase(name, {"backfilling"})
                return
        self.proxy.wait_phase(name, {"ready", "soaking"})
        if state == "blocked":
            self.blocker = self.db.connect()
            self.blocker.execute("BEGIN; SELECT FROM items LIMIT 1")
            self.proxy.console(f"CUTOVER {name}")
        elif state == "soaking" and self.proxy.phase(name) == "ready":
            self.proxy.cli("cutover", name)

    # ---- a round ----

    def play(self, state=None, verbs=None):
        state = state or self.dice.choice(STATES)
        verbs = verbs or self.dice.choices(WORDS[state], k=self.dice.choice((2, 2, 3, 4)))
        self.bring(state)
        after = self.newest()
        words = [self.say(verb) for verb in verbs if verb != "restart"]
        begun = time.monotonic()
        if "restart" in verbs:
            time.sleep(self.dice.random() * 0.1)
            self.proxy.restart()
        try:
            self.attend(words, begun)
            self.settle()
            self.judge(words, after, "restart" in verbs)
        except (AssertionError, psycopg.Error) as error:
            self.failures.append(str(error))
        finally:
            self.release()
            for word in words:
                word.kill()
        self.codes.update(word.answer.code for word in words if word.answer)
        told = f"{self.migration['name']} {state}: " + "; ".join(map(str, words))
        self.told.append(told)
        if self.failures:
            raise AssertionError("\n".join([*self.failures, *self.told[-3:], self.proxy.log_tail(40)]))

    def say(self, verb):
        migration = self.other if verb == "other" else self.migration
        kill = self.dice.random() * 0.1 if self.dice.random() < KILLS else None
        return Word(self.proxy, "start" if verb == "other" else verb, migration, self.dice.choice((0, 0, self.dice.random() * 0.05)),
                    self.dice.random() < 0.4, kill)

    def attend(self, words, begun):
        """What keeps somebody waiting by right is let go of, so that everybody comes to an end."""
        end = begun + END_S * SLOW
        while any(word.thread.is_alive() for word in words):
            if time.monotonic() - begun > 0.3:
                self.let_go()
            if time.monotonic() > end:
                raise Late("; ".join(f"{w.verb} does not end" for w in words if w.thread.is_alive()) + f": {self.look()}")
            time.sleep(0.02)

    def look(self):
        return [{key: row[key] for key in ("migration", "phase", "paused", "cutover_wanted", "error", "blockers", "step")}
                for row in self.proxy.console("SHOW STATUS")]

    def release(self):
        if self.blocker:
            self.blocker.close()
            self.blocker = None

    def let_go(self):
        """Nobody is in the way, nothing slows, nothing is held, nothing is for later."""
        self.release()
        try:
            for row in self.proxy.console("SHOW STATUS"):
                if row["paused"]:
                    self.proxy.console(f"RESUME {row['migration']}")
                if row["cutover_due"]:
                    self.proxy.console(f"CUTOVER {row['migration']} WITHDRAW")
                if row["phase"] == "backfilling":
                    self.proxy.console("THROTTLE rows_per_s off")
        except psycopg.Error:
            pass  # it has just moved on, or is starting

    def settle(self):
        """At rest, and the migration that was in the way is gone."""
        def resting():
            rows = [self.status(one["name"]) for one in (self.migration, self.other)]
            return all(row is None or row["phase"] in ("ready", "soaking") and not row["paused"] and not row["cutover_wanted"] for row in rows)

        def rested():
            """What a killed command has asked for is done, too: an ABORT comes through `ready` on its way. The engine does one thing at a time."""
            self.let_go()
            return resting() and self.proxy.console("DOCTOR") is not None and resting()

        try:
            until("it to rest", rested, END_S)
        except Late as late:
            raise Late(f"{late}: {self.look()}") from None
        if (self.status(self.other["name"]) or {}).get("phase") == "ready":
            self.proxy.cli("abort", self.other["name"])

    # ---- what came of it ----

    def judge(self, words, after, restarted):
        allowed = {REACHED, REFUSED, STOPPED} | ({UNREACHABLE} if restarted else set())
        for word in words:
            code, said = word.answer.code, word.answer.said
            assert code in allowed or code == KILLED and word.kill_after_s is not None, word
            assert code in (REACHED, KILLED) or word.console or said.startswith("segue: "), f"nothing is said: {word}"
        for one in (self.migration, self.other):
            self.judge_road(one["name"], [w for w in words if w.migration is one], after)
        self.judge_place()

    def judge_road(self, name, words, after):
        rows = self.phases(name, after)
        seen = [phase for _, _, phase in rows]
        for (_, migration, one), (_, next_of, other) in zip(rows, rows[1:]):
            assert migration != next_of or (one, other) in EDGES, f"{name}: {one} > {other}"
        reaches = dict(REACHES)
        if any(w.verb == "withdraw" and w.answer.code in (REACHED, KILLED) for w in words):
            reaches["cutover"] = {"cutting_over"}  # who asked before it was called off is there with who has asked anew
        for of, leaves in ((True, LEAVES), (False, reaches)):
            for verb, left in leaves.items():
                done = [w for w in words if w.verb == verb and w.console == of and w.answer.code == REACHED]
                times = sum(phase in left for phase in seen)
                assert len(done) <= times, f"{name}: {len(done)} of {verb} have done it, {times} times it was done: {seen}"

    def judge_place(self):
        """Doctor, rows and catalog say what the phase says."""
        row = self.status(self.migration["name"])
        phase = row["phase"] if row else None
        doctor = self.proxy.cli("doctor", check=None)
        assert doctor.code == 0, f"{phase}: {doctor.out}{doctor.err}"
        assert not row or not row["error"], row
        ended = self.db.one("SELECT phase FROM segue.migrations WHERE name = %s", self.migration["name"]) if not row else None
        both = phase in ("ready", "soaking")
        names = {"ready": {self.old, self.new}, "soaking": {self.old, self.new}, "done": {self.new}}.get(phase or ended, {self.old})
        assert self.columns() == {"id", "note"} | names, f"{phase or ended}: {self.columns()}"
        left = self.db.sql("SELECT tgname FROM pg_trigger WHERE tgrelid = 'items'::regclass AND NOT tgisinternal UNION ALL "
                           "SELECT conname FROM pg_constraint WHERE conname LIKE '~segue%%' UNION ALL "
                           "SELECT relname FROM pg_class WHERE relname LIKE '~segue%%'")
        assert len(left) == int(both), f"{phase or ended}: {left}"
        if both:
            assert self.db.one("SELECT count(*) FROM items WHERE label IS DISTINCT FROM title") == 0, phase
        self.traffic.assert_no_errors()

    # ---- all of it ----

    def counts(self):
        """How often words ended with which exit code (those of a console: as if)."""
        return sorted((f"exit_{code}", n) for code, n in self.codes.items())

    def run(self, rounds, seconds):
        """How many rounds were played; raises at the first that went wrong."""
        until_at, played = time.monotonic() + seconds, 0
        with self.traffic.start("old", 2):
            try:
                for number in range(rounds):
                    if time.monotonic() > until_at:
                        break
                    self.play(*(PAIRS[number] if number < len(PAIRS) else ()))
                    played += 1
                self.bring("nothing")
            finally:
                self.release()
            self.traffic.stop()
        self.traffic.verify(self.db, ("old",) if "label" in self.columns() else ("new",))
        return played
