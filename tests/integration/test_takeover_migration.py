"""serve --takeover while a migration is in flight: the new process goes on with it, and waits for the old one's sessions."""

import json
import threading

import psycopg
import pytest
from lib.operations import connected
from lib.tables import RENAME, make_items
from lib.takeover import Peer, ended, serves, shown, successor  # noqa: F401 - successor is a fixture
from lib.traffic import Traffic
from lib.wait import until

pytestmark = pytest.mark.one_version


def filling_slowly(segue, db):
    make_items(db, rows=20000, filler=200)
    old = segue(db, batch_target_ms=5)
    old.console("THROTTLE rows_per_s 500")
    old.begin(RENAME)
    old.wait(RENAME["name"], lambda row: row["rows_done"] > 0)
    return old


def test_a_backfill_goes_on_in_the_new_process_and_the_cut_over_waits_for_the_old_ones_sessions(segue, db, successor):
    old = filling_slowly(segue, db)
    with old.connect() as session:
        session.execute("SELECT count(*) FROM items")
        new = successor(old)
        connected(new)
        new.console("THROTTLE rows_per_s off")
        new.wait_phase(RENAME["name"], "ready")
        new.console(f"CUTOVER {RENAME['name']}")
        row = new.wait(RENAME["name"], lambda row: "predecessor" in (row["blockers"] or ""))
        assert row["phase"] == "cutting_over" and row["attempts"] == 0
        assert f"sessions of the predecessor, process {old.process.pid}" in row["blockers"]
        session.execute("UPDATE items SET label = 'through the old process' WHERE id = 1")
        assert new.phase(RENAME["name"]) == "cutting_over"
        told = until("the doctor to name it", lambda: [r for r in json.loads(new.cli("doctor", "--json", check=1).out)
                                                       if f"process {old.process.pid}, serves 1 session:" in r["what"]])
        assert [(r["finding"], r["weight"], r["command"]) for r in told] == [("predecessor alive", "waits", f"kill -TERM {old.process.pid}")]
    new.wait_phase(RENAME["name"], "soaking")
    assert ended(old) == 0
    assert db.one("SELECT count(*) FROM items WHERE title IS DISTINCT FROM label") == 0
    assert db.one("SELECT title FROM items WHERE id = 1") == "through the old process"
    new.cli("complete", RENAME["name"], "--force")


def test_sessions_left_with_the_old_process_are_told_when_a_column_may_be_read(segue, db, successor):
    old = filling_slowly(segue, db)

    def read():
        try:
            return session.execute("SELECT title FROM items WHERE id = 1").fetchone()
        except psycopg.errors.ObjectNotInPrerequisiteState:
            return None

    with old.connect() as session:
        new = successor(old)
        connected(new)
        assert not read()
        new.console("THROTTLE rows_per_s off")
        new.wait_phase(RENAME["name"], "ready")
        assert until("the column to be read", read) == (db.one("SELECT label FROM items WHERE id = 1"),)
        # there is one engine, and the old process's waits for nothing
        assert "another segue is at work" not in old.log_text()
    assert ended(old) == 0
    new.cli("abort", RENAME["name"])


def test_in_soak_a_predecessor_counts_as_a_user_of_old_names(segue, db, successor):
    db.keeps = False
    make_items(db, rows=10)
    old = segue(db)
    name = old.soaking(RENAME)
    with old.connect() as session:
        session.execute("SELECT 1")
        new = successor(old, quiet_period_s=3600)
        connected(new)
        until("the report", lambda: shown(new, "predecessor")["sessions"] == 1)
        refused = new.cli("complete", name, check=1)
        assert "the predecessor" in refused.err
        assert "1 connection bypasses segue, too, or is the predecessor's (SHOW USAGE)" in refused.err
        rows = new.console("SHOW USAGE")
        (unseen,) = [r["count"] for r in rows if r["why"].startswith("perhaps sessions of the predecessor")]
        assert unseen is None
        doctor = new.cli("doctor", check=None).out  # in the words of complete
        assert "1 connection bypasses segue, too, or is the predecessor's" in doctor, doctor
        assert f"the segue that was taken over, process {old.process.pid}, serves 1 session:" in doctor
        (why,) = [r["why"] for r in rows if r["what"] == "bypasses segue"]
        assert why == f"pid {session.info.backend_pid}, idle; perhaps of the predecessor, process {old.process.pid}"
    assert ended(old) == 0
    refused = new.cli("complete", name, check=1)
    assert "the predecessor" in refused.err
    new.cli("complete", name, "--force")


def test_a_takeover_waits_for_what_is_at_the_gate_and_nothing_goes_there_until_it_is_over(segue, db, successor):
    make_items(db, rows=10)
    old = segue(db, cutover_drain_ms=1500, gate_hold_max_ms=5000, cutover_attempts_max=1000)
    name = old.ready(RENAME)

    def held():
        return [row for row in old.console("SHOW SESSIONS") if row["state"] == "held"]

    with old.connect() as session, old.connect() as other:
        session.execute("BEGIN")
        session.execute("SELECT count(*) FROM items")
        old.console(f"CUTOVER {name}")
        stop = threading.Event()

        def ask_all_the_time():
            while not stop.is_set():
                other.execute("SELECT count(*) FROM items")

        asking = threading.Thread(target=ask_all_the_time)
        asking.start()
        until("somebody to be held", held)
        with Peer(old) as peer:
            peer.hello()
            peer.descriptors()
            peer.say(b"R")
            assert peer.hear() == ("G",)
            until("nobody to be held", lambda: not held())
            row = old.wait(name, lambda row: "another segue that takes over" in (row["blockers"] or ""))
            until("another look", lambda: old.status(name)["updated_at"] > row["updated_at"])
            assert old.status(name)["attempts"] == row["attempts"] and not held()
        old.wait(name, lambda now: now["attempts"] > row["attempts"])
        stop.set()
        session.execute("COMMIT")
        old.wait_phase(name, "soaking")
        asking.join()
    new = successor(old)
    assert new.process.pid and ended(old) == 0


@pytest.mark.parametrize("verb, phase, over, revision", [
    ("COMPLETE {} FORCE", "contracting", "done", "new"), ("ABORT {}", "aborting", "aborted", "old")])
def test_a_takeover_in_the_last_phase_under_traffic_ends_it_when_the_old_sessions_have_gone(
        segue, db, successor, verb, phase, over, revision):
    _, pair = make_items(db, rows=300)
    old = segue(db)
    name = old.soaking(RENAME) if phase == "contracting" else old.ready(RENAME)
    with Traffic(old.connect, pair) as traffic, db.connect() as holder:
        traffic.start(revision)
        traffic.flows()
        holder.execute("BEGIN")
        holder.execute("SELECT count(*) FROM items")
        old.console(verb.format(name))
        old.wait(name, lambda row: row["phase"] == phase and row["blockers"])
        new = successor(old)  # at the same address: who connects from now on is its client
        traffic.start(revision)
        traffic.flows()
        connected(new)
        holder.execute("COMMIT")
        new.wait(name, lambda row: f"sessions of the predecessor, process {old.process.pid}" in (row["blockers"] or ""))
        traffic.flows()
        until("the two", lambda: shown(new, "predecessor")["sessions"] == 2)
        assert new.phase(name) == phase
        for writer in traffic.writers[:2]:
            writer.stop.set()
        assert ended(old) == 0
        new.wait_phase(name, over)
        traffic.flows()
        traffic.stop()
        traffic.verify(db, [revision])
