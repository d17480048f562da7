"""Attempts of a cut-over and of its way back: pauses between them, what is recorded, the evidence."""

import json
import re
import sys

import pytest
from lib.segue import BUILD, REPO
from lib.tables import RENAME, make_items
from lib.wait import SLOW, until
from psycopg.rows import dict_row

sys.path.append(str(REPO / "tests"))

from faults.stage import Told  # noqa: E402

QUICK = {"cutover_drain_ms": 200, "gate_hold_max_ms": 700}
NAME = "rename_label"


def held(db, name):
    holder = db.connect(application_name=name)
    holder.execute("BEGIN")
    holder.execute("SELECT count(*) FROM items")
    return holder


def test_attempts_are_recorded_with_their_blockers_and_told_as_evidence(db, segue):
    make_items(db, 300)
    proxy = segue(db, cutover_attempts_max=2, cutover_backoff="50ms", **QUICK)
    proxy.ready(RENAME)
    holder = held(db, "nightly report")
    assert "nightly report" in proxy.cli("cutover", NAME, check=4).err
    # the way back goes through the same gate, and gives up in the same way: it goes on soaking
    holder.execute("COMMIT")
    proxy.cli("cutover", NAME)
    holder.execute("BEGIN")
    holder.execute("SELECT count(*) FROM items ;")
    refused = proxy.cli("rollback", NAME, check=4)
    assert "nightly report" in refused.err and "FROM items\n" in refused.err and proxy.phase(NAME) == "soaking"
    holder.execute("COMMIT")
    proxy.cli("rollback", NAME)
    proxy.cli("cutover", NAME)
    with proxy.connect(application_name="the new revision") as conn:
        conn.execute("SELECT title FROM items")
    proxy.cli("complete", NAME, "--force")

    shown = [r for r in proxy.console(f"SHOW ATTEMPTS {NAME}") if r["kind"] != "step"]
    assert [(r["kind"], r["no"], r["outcome"] == "done") for r in shown] == [
        ("cutover", 1, False), ("cutover", 2, False), ("cutover", 3, True), ("revert", 1, False), ("revert", 2, False),
        ("revert", 3, True), ("cutover", 4, True)]
    blocker = shown[0]["blockers"][0]
    assert blocker["pid"] == holder.info.backend_pid and blocker["application_name"] == "nightly report"
    assert blocker["user"] == "postgres" and blocker["state"] == "idle in transaction" and blocker["age_s"] >= 0
    assert not re.findall(r'"age_s":\d+\.\d\d', proxy.cli("attempts", NAME).out)
    assert blocker["client_addr"] == "127.0.0.1" and "count(*)" in blocker["query"]
    assert not shown[2]["blockers"] and shown[2]["lock_ms"] > 0 and shown[2]["error"] is None

    evidence = json.loads(proxy.cli("evidence", NAME).out)
    assert evidence["phase"] == "done" and evidence["plan_sha256"] == db.one("SELECT sha256 FROM segue.migrations")
    assert [p["phase"] for p in evidence["phases"]] == [
        "planned", "expanding", "backfilling", "verifying", "ready", "cutting_over", "ready", "cutting_over", "soaking",
        "reverting", "soaking", "reverting", "ready", "cutting_over", "soaking", "contracting", "done"]
    assert all(p["seconds"] >= 0 for p in evidence["phases"][:-1])
    assert evidence["rows"]["filled"] == 300
    assert evidence["verifications"][0]["rows"] == 300 and evidence["verifications"][0]["not_in_step"] == 0
    told = [a for a in evidence["attempts"] if a["kind"] != "step"]
    assert [(a["kind"], a["no"], a["outcome"]) for a in told] == [(r["kind"], r["no"], r["outcome"]) for r in shown]
    assert told[0]["blockers"][0]["pid"] == holder.info.backend_pid
    assert evidence["worst"]["lock_ms"] >= max(a["lock_ms"] for a in told) - 0.01
    assert ("new names", "the new revision") in [(u["what"], u["application_name"]) for u in evidence["usage"]]
    assert proxy.cli("evidence", "nobody", check=1).err.startswith('segue: there is no migration "nobody"')
    table = json.loads(proxy.cli("attempts", NAME, "--json").out)
    assert [r["no"] for r in table if r["kind"] == "revert"] == [1, 2, 3] and table[-1]["kind"] == "step"


@pytest.mark.one_version
def test_an_attempt_that_fails_behind_the_lock_says_how_long_it_was_held(db, segue):
    make_items(db, 50)
    proxy = segue(db)
    proxy.ready(RENAME)
    db.sql("CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.1);"
           " RAISE 'not today'; END $$; CREATE EVENT TRIGGER refuse ON ddl_command_start EXECUTE FUNCTION refuse()")
    assert "not today" in proxy.cli("cutover", NAME, check=4).err
    attempt = proxy.console(f"SHOW ATTEMPTS {NAME}")[-1]
    assert attempt["outcome"] == "error" and attempt["error"] == "not today" and attempt["lock_ms"] >= 100
    db.sql("DROP EVENT TRIGGER refuse")
    proxy.cli("cutover", NAME)


@pytest.mark.one_version
def test_why_it_gave_up_stands_beside_the_phase_from_its_first_moment_on(db, segue):
    make_items(db, 50)
    proxy = segue(db, start=False, environment={"SEGUE_FAULT": "phase_persisted/ready#2:die"}, cutover_attempts_max=1, **QUICK)
    proxy.program = BUILD / "faults" / "segue"
    proxy.start()
    proxy.ready(RENAME)
    holder = held(db, "holder")
    proxy.console(f'CUTOVER "{NAME}"')
    until("it to die", lambda: not proxy.running())
    proxy.environment = {}
    proxy.restart().at_work()
    row = proxy.status(NAME)
    assert row["phase"] == "ready"
    assert "not possible in 1 attempts; in the way: pid" in row["error"] and row["hint"]
    holder.execute("COMMIT")
    proxy.cli("cutover", NAME)


@pytest.mark.one_version
def test_whoever_is_told_of_a_turn_finds_its_attempt_and_its_history(db, segue):
    make_items(db, 50)
    seen = []  # the phases that are shown before the attempt is recorded
    told = Told(lambda _: seen.append(proxy.phase(NAME)))
    proxy = segue(db, start=False, environment={
        "SEGUE_FAULT": "gate_opened/cutting_over:tell,gate_opened/reverting:tell", "SEGUE_FAULT_SOCKET": told.path})
    proxy.program = BUILD / "faults" / "segue"
    proxy.start()
    proxy.ready(RENAME)
    for command, kind, phase in (("CUTOVER", "cutover", "soaking"), ("ROLLBACK", "revert", "ready")) * 5:
        proxy.console(f"{command} {NAME}")
        until("the turn", lambda: proxy.phase(NAME) == phase, every=0)
        assert proxy.console("SHOW HISTORY")[0]["phase"] == phase
        last = proxy.console(f"SHOW ATTEMPTS {NAME}")[-1]
        assert (last["kind"], last["outcome"]) == (kind, "done")
    assert seen == ["cutting_over", "reverting"]
    told.close()


@pytest.mark.one_version
def test_attempts_are_there_as_soon_as_their_migration_is_after_a_start(db, segue):
    make_items(db, 50)
    proxy = segue(db, cutover_attempts_max=1000, cutover_backoff="1h", **QUICK)
    proxy.ready(RENAME)
    holder = held(db, "holder")
    proxy.console(f"CUTOVER {NAME}")
    proxy.wait(NAME, lambda r: r["attempts"] == 1)
    before = proxy.console(f"SHOW ATTEMPTS {NAME}")
    proxy.kill9()
    seen = []

    def look(_):
        with proxy.connect("segue", prepare_threshold=None, row_factory=dict_row) as console:
            seen.extend((console.execute(f"SHOW {what} {NAME}".encode()).fetchall()) for what in ("STATUS", "ATTEMPTS"))

    told = Told(look)
    proxy.environment = {"SEGUE_FAULT": "settle_before/cutting_over:tell", "SEGUE_FAULT_SOCKET": told.path}
    proxy.program = BUILD / "faults" / "segue"
    proxy.start()
    proxy.wait_phase(NAME, "ready")
    told.close()
    (status,), attempts = seen
    assert status["phase"] == "cutting_over" and attempts == before
    holder.execute("COMMIT")


@pytest.mark.one_version
def test_the_pauses_between_attempts_are_those_configured(db, segue):
    make_items(db, 100)
    proxy = segue(db, cutover_attempts_max=1000, cutover_backoff="0s,0s,0s,1s,1s,1h", **QUICK)
    proxy.ready(RENAME)
    holder = held(db, "holder")
    proxy.console(f'CUTOVER "{NAME}"')
    row = proxy.wait(NAME, lambda r: r["attempts"] == 6)
    assert 3000 < row["next_attempt_s"] <= 3600 and row["phase"] == "cutting_over"
    ends = [at for (at,) in db.sql("SELECT extract(epoch FROM at)::float8 FROM segue.attempts WHERE kind = 'cutover' ORDER BY no")]
    began = [at for (at,) in db.sql("SELECT extract(epoch FROM began_at)::float8 FROM segue.attempts WHERE kind = 'cutover' ORDER BY no")]
    pauses = [begin - end for begin, end in zip(began[1:], ends)]
    # the shortest of several: others may keep the processors busy for a moment
    assert min(pauses[:3]) < 0.3 * SLOW and min(pauses[3:]) >= 1 and min(pauses[3:]) < 2.2 * SLOW, pauses
    # a pause, however long, is no obstacle to calling it off
    holder.execute("COMMIT")
    proxy.cli("abort", NAME)
    until("the end", lambda: proxy.console("SHOW MIGRATIONS")[0]["phase"] == "aborted")


@pytest.mark.one_version
def test_a_table_that_is_locked_between_two_attempts_costs_none_of_them(db, segue):
    make_items(db, 50)
    proxy = segue(db, cutover_attempts_max=2, cutover_backoff="1h", **QUICK)
    proxy.ready(RENAME)
    holder = held(db, "holder")
    proxy.console(f"CUTOVER {NAME}")
    proxy.wait(NAME, lambda r: r["attempts"] == 1)
    holder.execute("LOCK TABLE items")
    shown = set()
    for _ in range(3):  # its size is looked at meanwhile
        proxy.wait(NAME, lambda r: r["updated_at"] not in shown)
        shown.add(proxy.status(NAME)["updated_at"])
    row = proxy.status(NAME)
    assert row["phase"] == "cutting_over" and row["next_attempt_s"] > 3000 and row["attempts"] == 1, row
    holder.execute("COMMIT")
    proxy.console(f"CUTOVER {NAME} WITHDRAW")


@pytest.mark.one_version
def test_a_list_of_pauses_that_makes_no_sense_is_refused(db, segue):
    assert re.search(r'--cutover-backoff .*\n.*; default "0s,5s,30s,2min"$', segue(db, start=False).cli("serve", "--help").out, re.M)
    for words in ("5", "5s,soon", "", ",".join(["1s"] * 17)):
        proxy = segue(db, start=False)
        done = proxy.cli("serve", "--upstream", db.url(), "--cutover-backoff", words, check=2)
        assert 'cutover_backoff" must be a list of 1 to 16 pauses such as 500ms, 5s, 2min, 1h' in done.err


@pytest.mark.one_version
def test_who_gave_up_does_not_cut_over_by_itself_after_a_restart(db, segue):
    make_items(db, 400, filler=3500)
    proxy = segue(db, cutover_attempts_max=1, **QUICK)
    holder = held(db, "holder")
    holder.execute("COMMIT")
    proxy.console("THROTTLE rows_per_s 20")
    proxy.console("START '" + json.dumps(RENAME) + "' MIGRATE")
    proxy.wait_phase(NAME, "backfilling")
    holder.execute("BEGIN; SELECT count(*) FROM items")
    proxy.console("THROTTLE rows_per_s default")
    proxy.wait(NAME, lambda r: r["phase"] == "ready" and r["error"])
    holder.execute("COMMIT")
    proxy.restart().at_work()
    proxy.cli("resume", NAME)
    assert db.one("SELECT migrate FROM segue.migrations") is False
    proxy.wait(NAME, lambda r: not r["error"])
    assert proxy.phase(NAME) == "ready" and proxy.status(NAME)["attempts"] == 1


@pytest.mark.one_version
def test_a_cancel_before_the_gate_closes_is_an_attempt_like_any_other(db, segue):
    """It was taken for an error that trying again does not mend."""
    make_items(db, 50)
    # a limit by which its look for old transactions is told from others
    proxy = segue(db, cutover_attempts_max=1000, cutover_backoff="0s,100ms", transaction_age_max_ms=54321, **QUICK)
    proxy.ready(RENAME)
    holder = held(db, "holder")
    with db.connect() as in_the_way:
        def cancel():
            in_the_way.execute("SELECT pg_stat_clear_snapshot()")
            return in_the_way.execute("SELECT bool_or(query LIKE '%54321%'), count(pg_cancel_backend(pid)) FROM pg_stat_activity "
                                      "WHERE wait_event_type = 'Lock' AND application_name = 'segue'").fetchone()[0]

        proxy.console(f'CUTOVER "{NAME}"')
        proxy.wait(NAME, lambda r: r["attempts"] >= 1)
        # it asks whose database it is
        in_the_way.execute("BEGIN; LOCK TABLE pg_database IN ACCESS EXCLUSIVE MODE")
        until("its look to be cancelled", cancel)
        in_the_way.execute("COMMIT")
    holder.execute("COMMIT")
    proxy.wait_phase(NAME, "soaking")


@pytest.mark.one_version
def test_who_is_told_of_attempts_hears_of_those_of_this_cutover(db, segue):
    make_items(db, 50)
    proxy = segue(db, cutover_attempts_max=2, cutover_backoff="50ms", **QUICK)
    proxy.ready(RENAME)
    with held(db, "nightly report"):
        for _ in range(2):
            assert "after 2 attempts: pid" in proxy.cli("cutover", NAME, check=4).err
    assert proxy.status(NAME)["attempts"] == 4
