"""When a cut-over begins: at a time, not while a file is there, once replicas have caught up."""

import datetime
import json
import os

import pytest
from lib.standby import Receiver, lsn_of
from lib.tables import RENAME, make_items
from lib.takeover import successor  # noqa: F401 - a fixture
from lib.wait import SLOW, until

NAME = "rename_label"
pytestmark = pytest.mark.one_version


def ahead(seconds, zone="Z"):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f") + zone


def schedule(db):
    return db.sql("SELECT due_at > now() FROM segue.schedule")


def test_a_cutover_at_a_time_may_be_changed_and_withdrawn_and_survives_a_kill(db, segue):
    make_items(db, 400, filler=3500)
    proxy = segue(db)
    proxy.console("THROTTLE rows_per_s 5")
    proxy.begin(RENAME)
    # it may be said before it is ready
    proxy.wait_phase(NAME, "backfilling")
    said = proxy.cli("cutover", NAME, "--at", "2031-05-06T23:30:00+02:00").out
    assert said == f"{NAME}: the cut-over is to begin at 2031-05-06T21:30:00Z\n"
    assert proxy.status(NAME)["cutover_due"] == "2031-05-06T21:30:00Z"
    proxy.cli("cutover", NAME, "--at", "2032-01-01 00:00Z")
    # what is refused leaves the wish as it was
    for at, why in (("2031-05-06T23:30:00", "is not a time with its zone"), ("tomorrow", "is not a time with its zone"),
                    ("2031-13-06T23:30Z", "out of range"), (ahead(-5), " s ago"),
                    (ahead(-600), " was 10 min ago"), (ahead(-2518 * 86400), " was 2518 days ago")):
        assert why in proxy.cli("cutover", NAME, "--at", at, check=1).err
    assert "cannot cut over" in proxy.cli("cutover", NAME, check=1).err
    proxy.console("THROTTLE rows_per_s default")
    proxy.wait_phase(NAME, "ready")
    proxy.restart().at_work()
    assert proxy.status(NAME)["cutover_due"] == "2032-01-01T00:00:00Z" and proxy.phase(NAME) == "ready"
    assert proxy.cli("cutover", NAME, "--withdraw").out == f"{NAME}: the cut-over was withdrawn\n"
    assert proxy.status(NAME)["cutover_due"] is None and schedule(db) == []
    assert "no cut-over" in proxy.cli("cutover", NAME, "--withdraw", check=1).err
    # killed before its time and back before it: it begins then, and not before
    at = ahead(4)
    proxy.cli("cutover", NAME, "--at", at)
    proxy.restart().at_work()
    there = db.one("SELECT clock_timestamp()")
    proxy.wait_phase(NAME, "soaking")
    early, late = db.sql("SELECT extract(epoch FROM at - %s::timestamptz)::float8, extract(epoch FROM at - "
                         "greatest(%s::timestamptz, %s))::float8 FROM segue.phases WHERE phase = 'cutting_over'", at, at, there)[0]
    assert early >= 0 and late < 1 * SLOW
    assert schedule(db) == []


def test_the_clock_of_the_database_decides_also_when_it_is_set_meanwhile(db, segue):
    make_items(db, 10)
    proxy = segue(db)
    proxy.ready(RENAME)
    proxy.cli("cutover", NAME, "--at", "2031-05-06T23:30Z")
    db.sql("UPDATE segue.schedule SET due_at = clock_timestamp()")  # as if the clock had been set to that time
    proxy.wait_phase(NAME, "soaking", 10)


def test_a_cutover_at_a_time_goes_over_to_the_successor(db, segue, successor):  # noqa: F811
    make_items(db, 50)
    old = segue(db)
    old.ready(RENAME)
    old.cli("cutover", NAME, "--at", "2031-05-06T23:30Z")
    new = successor(old)
    until("it to have read its state", lambda: new.status(NAME))
    assert new.status(NAME)["cutover_due"] == "2031-05-06T23:30:00Z"
    new.at_work()
    db.sql("UPDATE segue.schedule SET due_at = clock_timestamp()")  # as if it were that time now
    new.wait_phase(NAME, "soaking")


def test_a_time_that_passed_while_segue_was_away_is_not_made_up_for(db, segue):
    make_items(db, 50)
    proxy = segue(db, cutover_late_max_s=1)
    proxy.ready(RENAME)
    proxy.cli("cutover", NAME, "--at", "2031-05-06T23:30Z")
    proxy.kill9()
    db.sql("UPDATE segue.schedule SET due_at = clock_timestamp() - interval '1.2 s'")  # as if that time had passed
    proxy.start().at_work()
    row = proxy.wait(NAME, lambda r: r["error"])
    assert "was to begin at" in row["error"] and "ask for it again" in row["hint"] and row["phase"] == "ready"
    assert schedule(db) == [] and row["cutover_due"] is None
    proxy.cli("cutover", NAME)


def test_a_flag_file_postpones_and_one_that_cannot_be_looked_at_does_too(db, segue, tmp_path):
    make_items(db, 50)
    flag = tmp_path / "hold" / "postpone"
    proxy = segue(db, cutover_postpone_file=flag)
    proxy.ready(RENAME)
    # no folder (a mount that is gone, perhaps): nobody knows whether the file would be there
    proxy.console(f"CUTOVER {NAME}")
    row = proxy.wait(NAME, lambda r: "folder of the file" in r["blockers"])
    assert row["phase"] == "ready" and row["attempts"] == 0 and row["cutover_due"]
    flag.parent.mkdir()
    os.symlink(flag.name, flag)
    proxy.wait(NAME, lambda r: "cannot be looked at: Too many levels" in r["blockers"])
    flag.unlink()
    flag.touch()
    proxy.wait(NAME, lambda r: r["blockers"] == f"postponed: the file {flag} is there")
    (found,) = [r for r in json.loads(proxy.cli("doctor", "--json", check=1).out) if "cut-over" in r["finding"]]
    assert found["finding"] == "cut-over postponed" and f"the file {flag} is there" in found["what"], found
    assert found["weight"] == "waits" and "when the file has gone" in found["hint"]
    # the wish outlives the process
    proxy.restart().at_work()
    assert proxy.wait(NAME, lambda r: "is there" in r["blockers"])["phase"] == "ready"
    flag.unlink()
    proxy.wait_phase(NAME, "soaking")
    # a way back is never postponed, and a file that comes between two attempts is seen
    flag.touch()
    proxy.cli("rollback", NAME)
    flag.unlink()
    holder = db.connect(application_name="holder")
    holder.execute("BEGIN; SELECT count(*) FROM items")
    proxy.console(f"CUTOVER {NAME}")
    proxy.wait(NAME, lambda r: r["phase"] == "cutting_over" and "holder" in r["blockers"])
    flag.touch()
    row = proxy.wait(NAME, lambda r: "postponed" in r["blockers"])
    holder.execute("COMMIT")
    assert row["phase"] == "cutting_over" and proxy.status(NAME)["attempts"] == row["attempts"]
    proxy.cli("cutover", NAME, "--withdraw")
    assert proxy.wait_phase(NAME, "ready")["error"] is None


def test_a_cutover_waits_for_replicas_when_asked_and_names_who_is_behind(db, segue, pg):
    make_items(db, 50)
    proxy = segue(db, cutover_replicas_wait_ms=400)
    proxy.ready(RENAME)
    standby, archive = Receiver(pg, "eu_replica"), Receiver(pg, "pg_receivewal")
    try:
        until("the standby", lambda: db.one("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"))
        refused = proxy.cli("cutover", NAME, "--wait-replicas", check=4)
        assert "standby eu_replica" in refused.err and proxy.phase(NAME) == "ready"
        attempt = proxy.console(f"SHOW ATTEMPTS {NAME}")[-1]
        assert attempt["outcome"] == "replicas" and attempt["blockers"][0]["standby"] == "eu_replica"
        # behind by so much, then not
        old = lsn_of(db.one("SELECT pg_current_wal_lsn()::text")) - 4096
        standby.report(old)
        until("it to be seen", lambda: db.one("SELECT bool_or(replay_lsn IS NOT NULL) FROM pg_stat_replication"))
        assert "bytes behind" in proxy.cli("cutover", NAME, "--wait-replicas", check=4).err
        standby.report(old + 10_000_000)
        archive.report(old, replayed=0)
        until("it to be seen", lambda: db.one("SELECT bool_or(replay_lsn > pg_current_wal_lsn()) AND bool_and(write_lsn IS NOT "
                                              "NULL) FROM pg_stat_replication"))
        proxy.cli("cutover", NAME, "--wait-replicas")
        assert proxy.phase(NAME) == "soaking"
    finally:
        standby.close()
        archive.close()


def test_a_replica_that_has_gone_meanwhile_is_not_taken_for_one_that_has_caught_up(db, segue, pg):
    make_items(db, 50)
    proxy = segue(db, cutover_replicas_wait_ms=5000)
    proxy.ready(RENAME)
    standby = Receiver(pg, "eu_replica")
    until("the standby", lambda: db.one("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"))
    proxy.console(f"CUTOVER {NAME} WAIT REPLICAS")
    proxy.wait(NAME, lambda r: "eu_replica" in r["blockers"])
    standby.close()
    row = proxy.wait(NAME, lambda r: r["phase"] == "ready" and r["error"])
    assert "standby eu_replica (?, gone)" in row["error"]
