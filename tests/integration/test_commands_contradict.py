"""Several people say several things: each is told what comes of it, and what was accepted is done, whatever ends meanwhile."""

import threading

import psycopg
import pytest
from lib.tables import RENAME, make_items
from lib.wait import SLOW, until

pytestmark = pytest.mark.one_version
NAME = RENAME["name"]


class Asked:
    """A console of its own, that waits for its answer on a thread."""

    def __init__(self, proxy, words):
        self.said = None
        self.conn = proxy.connect("segue", prepare_threshold=None)
        self.thread = threading.Thread(target=self._ask, args=(words,), daemon=True)
        self.thread.start()

    def _ask(self, words):
        try:
            self.said = self.conn.execute(words.encode()).fetchall()
        except psycopg.Error as error:
            self.said = error

    def answer(self):
        self.thread.join(60 * SLOW)
        assert self.said is not None, "no answer"
        self.conn.close()
        return self.said


def refused(proxy, words):
    with pytest.raises(psycopg.Error) as caught:
        proxy.console(words)
    return caught.value.diag


def blocked_cutover(proxy, blocker):
    blocker.execute("BEGIN; SELECT FROM items LIMIT 1")
    proxy.console(f"CUTOVER {NAME}")
    proxy.wait_phase(NAME, "cutting_over")


def test_what_was_accepted_between_two_attempts_is_done_whatever_ends(db, segue):
    make_items(db, 100)
    proxy = segue(db, cutover_backoff="30s", cutover_drain_ms=50, quiet_period_s=0)
    proxy.ready(RENAME)
    with db.connect() as blocker:
        # taken back, although it is held: there is nothing to wait for
        blocked_cutover(proxy, blocker)
        proxy.cli("pause", NAME)
        proxy.cli("cutover", NAME, "--withdraw")
        assert proxy.phase(NAME) == "ready"
        assert "is paused" in proxy.cli("cutover", NAME, check=1).err
        proxy.cli("resume", NAME)
        blocker.execute("COMMIT")
        # the way back goes on by itself; the other one who says so is told
        proxy.cli("cutover", NAME)
        refusal = refused(proxy, f"CUTOVER {NAME} WITHDRAW")
        assert "cannot withdraw the cut-over" in refusal.message_primary and "ROLLBACK goes back" in refusal.message_hint
        proxy.cli("pause", NAME)
        assert "is paused" in proxy.cli("complete", NAME, "--force", check=1).err
        blocker.execute("BEGIN; SELECT FROM items LIMIT 1")
        proxy.console(f"ROLLBACK {NAME}")
        assert proxy.status(NAME)["paused"] is False
        assert "goes back to ready" in refused(proxy, f"ROLLBACK {NAME}").message_hint
        blocker.execute("COMMIT")
        proxy.console(f"RESUME {NAME}")  # not after 30 s
        proxy.wait_phase(NAME, "ready")
        # durable as soon as it is accepted
        blocked_cutover(proxy, blocker)
        proxy.console(f"ABORT {NAME}")
        assert db.one("SELECT phase FROM segue.migrations") in ("aborting", "aborted")
        proxy.kill9()
        blocker.execute("COMMIT")
    proxy.start()
    proxy.wait_phase(NAME, "aborted")
    assert "title" not in {row[0] for row in db.sql("SELECT attname::text FROM pg_attribute WHERE attrelid = 'items'::regclass")}


def begins_to_verify(db):
    """It wants to know how large the table is, and somebody has that locked."""
    until("the verify to wait for the lock", lambda: db.one(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'segue' AND "
        "wait_event_type = 'Lock' AND query LIKE '%pg_relation_size%'"), 60)


def test_a_verify_that_could_not_begin_reads_every_row_later(db, segue):
    make_items(db, 100)
    proxy = segue(db)
    proxy.ready(RENAME)
    with db.connect() as blocker:
        blocker.execute("BEGIN; LOCK TABLE items")
        asked = Asked(proxy, f"VERIFY {NAME}")
        begins_to_verify(db)
        proxy.logged("lock timeout")
        blocker.execute("COMMIT")
        assert [row[:3] for row in asked.answer()] == [(NAME, 100, 0)]


def test_who_waits_for_a_verify_that_others_end_is_told_so(db, segue):
    make_items(db, 100)
    proxy = segue(db)
    proxy.ready(RENAME)
    with db.connect() as blocker:
        for verb, phase in (("ABORT", "aborted"), ("ROLLBACK", "ready"), ("COMPLETE", "done")):
            if phase == "ready":
                proxy.soaking(RENAME)
            elif phase == "done":
                proxy.cli("cutover", NAME)
            blocker.execute("BEGIN; LOCK TABLE items")
            asked = Asked(proxy, f"VERIFY {NAME}")
            begins_to_verify(db)
            proxy.console(f"{verb} {NAME}{' FORCE' if verb == 'COMPLETE' else ''}")
            said = asked.answer()
            assert isinstance(said, psycopg.Error) and f'was ended by {verb}' in str(said), said
            blocker.execute("COMMIT")
            proxy.wait_phase(NAME, phase)


def test_a_verify_beside_a_step_that_has_stopped_ends_and_the_step_stays_stopped(db, segue):
    db.sql("CREATE TABLE parents (id int PRIMARY KEY); CREATE TABLE children (id int PRIMARY KEY, parent int REFERENCES parents)")
    db.sql("INSERT INTO parents SELECT generate_series(1, 9); INSERT INTO children SELECT i, i FROM generate_series(1, 9) i")
    db.sql("ALTER TABLE children DISABLE TRIGGER ALL; INSERT INTO children VALUES (10, 99); ALTER TABLE children ENABLE TRIGGER ALL")
    up = {"type": "bigint", "up": "{0}::bigint", "down": "{0}::int"}
    proxy = segue(db)
    proxy.soaking({"name": "wide", "operations": [{"alter_column": {"table": table, "column": column, **{
        key: text.format(column) for key, text in up.items()}}} for table, column in (("parents", "id"), ("children", "parent"))]})
    proxy.wait("wide", lambda row: row["error"])
    tried = proxy.log_text().count("stopped")
    done = proxy.cli("verify", "wide", timeout=15)
    assert "wide" in done.out and proxy.log_text().count("stopped") == tried
    assert proxy.status("wide")["error"] and proxy.phase("wide") == "soaking"


def test_a_verify_that_has_stopped_is_not_waited_for(db, segue):
    make_items(db, 20)
    proxy = segue(db)
    proxy.ready(RENAME)
    proxy.stop()
    db.sql("UPDATE segue.migrations SET phase = 'verifying', error = 'rows not in step', error_state = '23000'")
    proxy.start().at_work()
    proxy.wait(NAME, lambda row: row["error"])
    assert "has stopped" in proxy.cli("verify", NAME, check=1, timeout=15).err
    proxy.cli("resume", NAME)
    proxy.wait_phase(NAME, "ready")


def test_who_asks_without_a_pause_keeps_no_migration_from_its_turns(db, segue):
    make_items(db)
    proxy = segue(db)
    ended, asked = threading.Event(), []

    def ask():
        with proxy.connect("segue", prepare_threshold=None) as conn:
            while not ended.is_set():
                conn.execute(b"DOCTOR")
                asked.append(1)

    monitors = [threading.Thread(target=ask) for _ in range(4)]
    for monitor in monitors:
        monitor.start()
    try:
        until("them to be at it", lambda: len(asked) > 20)
        proxy.ready(RENAME)
        so_far = len(asked)
        until("them to be answered further", lambda: len(asked) > so_far + 20)
    finally:
        ended.set()
        for monitor in monitors:
            monitor.join()
