"""Commands that wait: what they wait for, who may end that, and what is said to whom."""

import os
import signal
import subprocess
from pathlib import Path

import psycopg
import pytest
from lib.segue import PROGRAM
from lib.tables import RENAME, make_items
from lib.wait import SLOW, until

pytestmark = pytest.mark.one_version

LOCK = 77
# the proof of this constraint lasts as long as somebody has the lock
PROOF = {"name": "proof", "operations": [{"create_constraint": {
    "table": "items", "name": "may_pass", "type": "check", "check": "may_pass(id)"}}]}


def command(proxy, *args, stdout=subprocess.PIPE, ignored=()):
    def ignore():
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)

    return subprocess.Popen([str(PROGRAM), *map(str, args)], stdout=stdout, stderr=subprocess.PIPE, text=True,
                            env={**os.environ, "SEGUE_SERVER": proxy.server}, preexec_fn=ignore)


def said(child):
    out, err = child.communicate(timeout=30 * SLOW)
    return child.returncode, out, err


def line(stream, wanted):
    """The first line that has it; the stream stays open."""
    for text in stream:
        if wanted in text:
            return text
    raise AssertionError(f"no line has {wanted!r}")


@pytest.fixture
def unproven(db, segue):
    """(proxy, the connection that holds up the proof) of a migration that soaks."""
    make_items(db, 50)
    db.sql("CREATE FUNCTION may_pass(bigint) RETURNS boolean LANGUAGE plpgsql AS "
           f"'BEGIN PERFORM pg_advisory_xact_lock_shared({LOCK}); RETURN true; END'")
    proxy = segue(db)
    proxy.ready(PROOF)
    with db.connect() as holder:
        holder.execute(f"SELECT pg_advisory_lock({LOCK})")
        proxy.cli("cutover", "proof")
        yield proxy, holder


def test_complete_waits_for_what_is_proven_and_lets_go_at_ctrl_c(unproven):
    proxy, holder = unproven
    refused = proxy.cli("complete", "proof", "--force", "--no-wait", check=1).err
    assert "not done yet: " in refused and "may_pass" in refused and "segue complete waits for it" in refused
    with pytest.raises(psycopg.Error) as on_the_console:
        proxy.console("COMPLETE proof FORCE")
    assert on_the_console.value.sqlstate == "55S01"
    proxy.wait("proof", lambda r: r["proofs_left"] == 1)
    child = command(proxy, "complete", "proof", "--force")
    assert "waiting for that" in line(child.stderr, "not done yet")
    line(child.stdout, "proof: soaking")
    child.send_signal(signal.SIGINT)
    code, _, err = said(child)
    assert code == 130 and "nothing was dropped: proof stays as it is" in err and "segue rollback proof" in err
    assert proxy.phase("proof") == "soaking"
    child = command(proxy, "complete", "proof", "--force")
    line(child.stdout, "proof: soaking")
    holder.execute(f"SELECT pg_advisory_unlock({LOCK})")
    code, out, err = said(child)
    assert code == 0 and out.splitlines()[-1] == "proof: done", err


def test_complete_does_not_wait_for_what_stands_still_or_goes_back(unproven):
    proxy, holder = unproven
    child = command(proxy, "complete", "proof", "--force")
    line(child.stdout, "proof: soaking")
    proxy.cli("rollback", "proof")
    code, _, err = said(child)
    assert code == 4 and "proof is re" in err  # reverting, or ready again
    proxy.cli("cutover", "proof")
    proxy.cli("pause", "proof")
    assert "is paused: RESUME" in proxy.cli("complete", "proof", "--force", check=1).err
    proxy.cli("resume", "proof")
    holder.execute(f"SELECT pg_advisory_unlock({LOCK})")
    proxy.cli("complete", "proof", "--force")


def test_a_signal_ends_the_waiting_alone_and_nohup_keeps_it(db, segue):
    make_items(db, 500)
    proxy = segue(db)
    proxy.cli("throttle", "rows_per_s", "1")
    child = command(proxy, "migrate", proxy.file(RENAME))
    line(child.stdout, "rename_label: ")
    child.terminate()
    code, _, err = said(child)
    assert code == 143 and "the migration goes on" in err and "segue cutover rename_label --withdraw" in err
    proxy.cli("cutover", "rename_label", "--withdraw")
    proxy.wait_phase("rename_label", "backfilling")
    with db.connect() as blocker:
        proxy.cli("throttle", "rows_per_s", "default")
        proxy.wait_phase("rename_label", "ready")
        blocker.execute("BEGIN; SELECT FROM items LIMIT 1")
        child = command(proxy, "cutover", "rename_label")
        line(child.stdout, "cutting_over")
        proxy.cli("cutover", "rename_label", "--withdraw")
        code, _, err = said(child)
        assert code == 1 and "rename_label is ready again: the cut-over was withdrawn" in err
        kept = command(proxy, "cutover", "rename_label", ignored=[signal.SIGHUP])
        line(kept.stdout, "cutting_over")
        kept.send_signal(signal.SIGHUP)
        child = command(proxy, "rollback", "rename_label")
        line(child.stdout, "rename_label: ")
        child.send_signal(signal.SIGHUP)
        code, _, err = said(child)
        assert code == 129 and "dropped all the same" in err
        blocker.execute("COMMIT")
        code, _, err = said(kept)
        assert code in (1, 4) and "rename_label" in err  # not 129: back to ready, or aborting already
        proxy.wait_phase("rename_label", "aborted")


def test_a_segue_that_does_not_answer_holds_nobody(db, segue):
    make_items(db, 50)
    proxy = segue(db)
    proxy.ready(RENAME)
    child = command(proxy, "status", "rename_label", "--watch")
    line(child.stdout, "rename_label: ready")
    proxy.freeze()
    cutover = command(proxy, "cutover", "rename_label")
    try:
        for waiting in (child, cutover):
            until("it to wait for the answer", lambda w=waiting: "poll" in Path(f"/proc/{w.pid}/wchan").read_text())
            waiting.send_signal(signal.SIGINT)
        assert said(child)[0] == 0
        code, _, err = said(cutover)
        assert code in (130, -signal.SIGINT)  # before the question it dies of the signal
    finally:
        proxy.signal(signal.SIGCONT)
    proxy.wait_phase("rename_label", {"ready", "soaking"})


def test_what_cannot_be_printed_is_said_and_is_no_success(db, segue):
    make_items(db, 50)
    proxy = segue(db)
    file = proxy.file(RENAME)
    with open("/dev/full", "w") as full:
        for args in (["plan", file], ["status"], ["throttle"], ["history"], ["--help"], ["snapshot"]):
            code, _, err = said(command(proxy, *args, stdout=full))
            assert code == 1 and err == "segue: cannot write to standard output: No space left on device\n", args
        code, _, err = said(command(proxy, "start", file, stdout=full))
        assert code == 1 and "detached; the migration goes on" in err and err.endswith("No space left on device\n")
    proxy.wait_phase("rename_label", "ready")
    read, write = os.pipe()
    os.close(read)
    code, _, err = said(command(proxy, "cutover", "rename_label", stdout=write))
    os.close(write)
    assert code == 1 and err.endswith("segue: cannot write to standard output: Broken pipe\n")
    proxy.wait_phase("rename_label", "soaking")


def test_wait_takes_up_what_another_command_has_let_go(db, segue):
    make_items(db, 500)
    proxy = segue(db)
    assert "there is no migration" in proxy.cli("wait", "rename_label", check=1).err
    proxy.cli("throttle", "rows_per_s", "1")
    proxy.cli("start", "--detach", proxy.file(RENAME))
    assert "rename_label is backfilling after 1 s" in proxy.cli("wait", "rename_label", "--timeout", "1", check=1).err
    for wrong in ("--for", "nothing"), ("--timeout", "0"), ("--timeout", "soon"):
        proxy.cli("wait", "rename_label", *wrong, check=2)
    child = command(proxy, "wait", "rename_label")
    line(child.stdout, "rename_label: ")
    child.send_signal(signal.SIGINT)
    code, _, err = said(child)
    assert code == 130 and err == ("segue: detached; the migration goes on. Watch it: segue status rename_label --watch."
                                   " Go back: segue rollback rename_label\n")
    child = command(proxy, "wait", "rename_label")
    proxy.cli("throttle", "rows_per_s", "off")
    code, out, err = said(child)
    assert code == 0 and out.splitlines()[-1] == "rename_label: ready", err
    child = command(proxy, "wait", "rename_label", "--for", "done")
    proxy.cli("cutover", "rename_label")
    proxy.cli("wait", "rename_label", "--for", "soaking")
    proxy.cli("rollback", "rename_label")
    proxy.cli("abort", "rename_label")
    code, _, err = said(child)
    assert code == 4 and "abort" in err
    proxy.cli("wait", "rename_label", "--for", "aborted")
