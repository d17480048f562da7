"""Transactions in the way that are cancelled or terminated, when it was said that they may be."""

import json
import threading

import psycopg
import pytest
from lib.tables import RENAME, make_items
from lib.wait import SLOW, until

NAME = "rename_label"
QUICK = {"cutover_drain_ms": 100, "gate_hold_max_ms": 600, "cutover_attempts_max": 1000, "cutover_blockers_after_ms": 300}


def held(db, name):
    conn = db.connect(application_name=name)
    conn.execute("BEGIN; SELECT count(*) FROM items")
    return conn


def acted(proxy):
    out = {}
    for row in proxy.console(f"SHOW ATTEMPTS {NAME}"):
        for one in row["acted"]:
            out.setdefault(one["application_name"], []).append((one["action"], one["why"]))
    return out


def alive(conn):
    try:
        conn.execute("SELECT 1")
        return True
    except psycopg.Error:
        return False


def with_rules(tmp_path, *rules):
    """Rules are a list of objects: from a file."""
    path = tmp_path / "segue.json"
    path.write_text(json.dumps({"cutover_blockers_exempt": rules}), encoding="utf-8")
    return ["-c", str(path)]


def test_who_is_in_the_way_for_too_long_is_terminated_but_never_the_exempt(db, segue, tmp_path):
    make_items(db, 100)
    # the pauses are long: the policy has a timer of its own
    proxy = segue(db, cutover_blockers="terminate", cutover_backoff="0s,1h", **QUICK,
                  arguments=with_rules(tmp_path, {"application_name": "nightly*", "user": "postgres"},
                                       {"query": "*NO SUCH TEXT*"}))
    proxy.ready(RENAME)
    forgotten, nightly, mine = held(db, "forgotten"), held(db, "nightly report"), held(proxy, "through segue")
    proxy.console(f'CUTOVER "{NAME}"')
    proxy.wait(NAME, lambda r: {"forgotten", "through segue", "nightly report"} <= acted(proxy).keys())
    assert not alive(forgotten) and not alive(mine) and alive(nightly)
    assert proxy.phase(NAME) == "cutting_over"
    # an attempt follows at once what was done, and then the pause is as long as it was set
    proxy.cli("cutover", NAME, "--withdraw")
    proxy.wait_phase(NAME, "ready")
    nightly.execute("COMMIT")
    proxy.cli("cutover", NAME)
    done = acted(proxy)
    assert done["forgotten"] == [("terminated", None)] and done["through segue"] == [("terminated", None)]
    assert done["nightly report"] == [("left alone", "exempt")]
    proxy.logged("in the way: pid")
    proxy.logged("terminated")

    # the way back and complete: the same
    late = held(db, "late for the rollback")
    proxy.cli("rollback", NAME)
    assert not alive(late)
    proxy.cli("cutover", NAME)
    late = held(db, "late for complete")
    proxy.cli("complete", NAME, "--force")
    assert not alive(late)
    evidence = json.loads(proxy.cli("evidence", NAME).out)
    named = {one["application_name"] for a in evidence["attempts"] for one in a["acted"] or []}
    assert {"forgotten", "late for the rollback", "late for complete"} <= named


@pytest.mark.one_version
def test_cancel_ends_statements_and_says_that_it_cannot_end_what_runs_none(db, segue):
    make_items(db, 100)
    proxy = segue(db, cutover_blockers="cancel", cutover_backoff="100ms", **QUICK)
    proxy.ready(RENAME)
    idle, busy, said = held(db, "idle one"), db.connect(application_name="busy one"), []

    def work():
        try:
            busy.execute("SELECT count(*), pg_sleep(60) FROM items")
        except psycopg.errors.QueryCanceled as error:
            said.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    until("it to hold the table", lambda: db.one("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND "
                                                 "application_name = 'busy one'"))
    proxy.console(f'CUTOVER "{NAME}"')
    proxy.wait(NAME, lambda r: {"idle one", "busy one"} <= acted(proxy).keys())
    thread.join(60 * SLOW)
    assert said and alive(busy) and alive(idle)
    assert acted(proxy)["busy one"] == [("cancelled", None)]
    assert acted(proxy)["idle one"] == [("left alone", "it runs no statement: only terminate would end its transaction")]
    idle.execute("COMMIT")
    proxy.wait_phase(NAME, "soaking")


@pytest.mark.one_version
def test_a_role_that_may_not_end_others_says_so_and_goes_on_waiting(db, segue):
    make_items(db, 100)
    db.sql("ALTER TABLE items OWNER TO app; GRANT pg_read_all_stats TO app")
    db.sql(f'GRANT CREATE ON DATABASE "{db.name}" TO app')
    try:
        proxy = segue(upstream=db.url(user="app"), cutover_blockers="terminate", cutover_backoff="100ms", **QUICK)
        proxy.ready(RENAME)
        holder = held(db, "of a superuser")
        proxy.console(f'CUTOVER "{NAME}"')
        proxy.wait(NAME, lambda r: "of a superuser" in acted(proxy))
        (action, why), = acted(proxy)["of a superuser"]
        assert action == "could not be terminated" and ("permission" in why or "superuser" in why)
        assert alive(holder)
        holder.execute("COMMIT")
        proxy.wait_phase(NAME, "soaking")
    finally:
        db.sql("REVOKE pg_read_all_stats FROM app")


@pytest.mark.one_version
@pytest.mark.parametrize("policy", [{}, {"cutover_blockers": "terminate", "cutover_blockers_after_ms": 3600000}], ids=["by default", "too soon"])
def test_nobody_is_ended(db, segue, policy):
    make_items(db, 50)
    proxy = segue(db, cutover_backoff="50ms", **{**QUICK, **policy})
    proxy.ready(RENAME)
    holder = held(db, "holder")
    proxy.console(f'CUTOVER "{NAME}"')
    proxy.wait(NAME, lambda r: r["attempts"] >= 6)
    assert alive(holder) and acted(proxy) == {}
    holder.execute("COMMIT")
    proxy.wait_phase(NAME, "soaking")
