"""The console by hand (psql) and by program: help, errors, who may come in, JSON."""

import json
import os
import pty
import signal
import subprocess
import threading
import time

import psycopg
import pytest
from lib.rawwire import Raw, query
from lib.segue import PROGRAM
from lib.tables import make_items
from lib.wait import SLOW, until
from test_relay_clients import rss_kb

pytestmark = pytest.mark.one_version

RENAME = {"name": "rename_label", "operations": [{"rename_column": {"table": "items", "from": "label", "to": "title"}}]}

VERBS = ["PLAN", "START", "CUTOVER", "COMPLETE", "ROLLBACK", "ABORT", "VERIFY", "PAUSE", "RESUME", "THROTTLE"]
TOPICS = ["MIGRATIONS", "STATUS", "SESSIONS", "THROTTLE", "USAGE", "STATS", "LATENCY", "MESSAGES", "ERRORS", "WORKERS", "LISTENERS",
          "MEMORY", "TLS", "CONFIG", "VERSION", "TAKEOVER", "HELP"]


@pytest.fixture
def items(db):
    db.sql("CREATE TABLE items (id bigint PRIMARY KEY, label text NOT NULL);"
           "INSERT INTO items SELECT i, 'label ' || i FROM generate_series(1, 500) i")
    return db


def psql(proxy, *commands, user="postgres", environment=None):
    args = [a for c in commands for a in ("-c", c)]
    return subprocess.run(["psql", "-X", "-w", "-At", "-d", f"host=127.0.0.1 port={proxy.port} dbname=segue user={user}",
                           *args], capture_output=True, text=True, timeout=30, env={**os.environ, **(environment or {})})


def test_show_help_lists_every_command(db, segue):
    out = psql(segue(db), "SHOW HELP").stdout
    commands = [line.split("|")[0] for line in out.splitlines()]
    for topic in TOPICS:
        assert any(c.startswith(f"SHOW {topic}") for c in commands), topic
    for verb in VERBS:
        assert any(c.split()[0] == verb for c in commands), verb
    assert all(line.split("|")[1] for line in out.splitlines())


def test_every_topic_answers_psql(db, segue):
    proxy = segue(db)
    until("the engine", lambda: proxy.console("SHOW VERSION")[0]["engine_connected"])
    for topic in TOPICS:
        done = psql(proxy, f"show {topic.lower()};")
        assert done.returncode == 0 and done.stderr == "", topic


def test_several_questions_in_one_query_are_answered_in_order(db, segue):
    out = psql(segue(db), "SHOW VERSION; SELECT 1;; SHOW VERSION").stdout.split()
    assert out[0] == "segue" and out[2] == "1" and out[3] == "segue"


@pytest.mark.parametrize("command, sqlstate, message, hint", [
    ("CUTOVR x", "42601", 'unknown command "CUTOVR"', "did you mean CUTOVER? SHOW HELP lists the commands"),
    ("SELECT * FROM t", "42601", 'unknown command "SELECT"', "SHOW HELP lists the commands"),
    ("SHOW STATUSS", "42601", "there is no SHOW STATUSS", "did you mean SHOW STATUS?"),
    ("SHOW", "42601", "SHOW needs to know what", "SHOW HELP lists the commands"),
    ("SHOW pools", "42601", "there is no SHOW pools", "SHOW SESSIONS has a row for each client"),
    ("RELOAD", "42601", 'unknown command "RELOAD"', "SIGHUP reads the configuration"),
    ("SHOW STATUS a b", "42601", '"b" not expected', ""),
    ("ROLLBACK", "42601", "ROLLBACK needs name", "usage: ROLLBACK name"),
    ("CUTOVER", "42601", "CUTOVER needs name", "usage: CUTOVER name"),
    ("CUTOVER a b", "42601", '"b" not expected', "usage: CUTOVER name"),
    ("ABORT a FROCE", "42601", '"FROCE" not expected', "usage: ABORT name [FORCE]"),
    ("START bare", "42601", "expected at", "usage: START"),
    ("PLAN '{}' FILE", "42601", '"FILE" not expected', "usage: PLAN"),
    ("THROTTLE nice", "42601", "THROTTLE needs value", "usage: THROTTLE signal value"),
    ("SHOW STATUS; CUTOVER m", "0A000", "CUTOVER must be the only statement of a query", "one by one"),
    ("CUTOVER 'm", "42601", "a quote (') without an end", ""),
    ("/* CUTOVER m", "42601", "a comment without an end", ""),
])
def test_a_wrong_command_gets_its_error_and_a_way_out(db, segue, command, sqlstate, message, hint):
    with segue(db).connect("segue") as conn:
        with pytest.raises(psycopg.Error) as refused:
            conn.execute(command)
        diag = refused.value.diag
        assert diag.sqlstate == sqlstate
        assert message in diag.message_primary
        assert hint in (diag.message_hint or "")
        assert conn.execute("SELECT 1").fetchone() == (1,)


def test_what_drivers_say_by_themselves_is_accepted(db, segue):
    with segue(db).connect("segue") as conn:
        for statement in ("BEGIN", "SET client_encoding = 'UTF8'", "RESET ALL", "DISCARD ALL", "COMMIT",
                          "START TRANSACTION", "END", ""):
            conn.execute(statement)
        assert conn.execute("SELECT 1").fetchone() == (1,)


def test_values_have_types(db, segue):
    with segue(db).connect("segue") as conn:
        version = conn.execute("SHOW VERSION")
        assert [c.type_code for c in version.description] == [25, 16]
        stats = conn.execute("SHOW STATS").fetchall()
        assert dict((row[0], row[1]) for row in stats)["accepted"] >= 1


def test_psql_starts_a_migration_from_its_own_variable(items, segue, tmp_path):
    proxy = segue(items)
    path = proxy.file({**RENAME, "operations": [{"rename_column": {
        "table": "items", "from": "label", "to": "title", "type": "text", "up": "label || E'\\\\'",
        "down": "left(title, -1)"}}]})
    script = tmp_path / "s.sql"
    script.write_text(f"\\set file `cat {path}`\nSTART :'file';\n")
    done = subprocess.run(["psql", "-X", "-w", "-At", "-v", "ON_ERROR_STOP=1", "-d", proxy.server, "-f", str(script)],
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert "rename_label" in done.stdout
    proxy.wait_phase("rename_label", "ready")
    assert items.one("SELECT title FROM items WHERE id = 7") == "label 7\\"


def test_while_the_database_is_away_the_commands_say_so_and_name_segue_once(segue):
    proxy = segue(upstream="postgresql://postgres@127.0.0.1:1/x")
    for command in ["resume", "x"], ["status"], ["status", "x"]:
        said = proxy.cli(*command, check=1).err
        assert "segue: the proxy has no connection of its own to the database yet" in said and "segue: segue" not in said, said


# ---- who may come in ----


def test_without_admin_users_loopback_is_let_in_by_any_name(db, segue):
    assert psql(segue(db), "SELECT 1", user="whoever").stdout == "1\n"


def test_with_admin_users_only_they_come_in_and_only_with_their_password(db, segue):
    proxy = segue(db, admin_users="scram_user,md5_user")
    for user, word in (("scram_user", "scram secret"), ("md5_user", "md5 secret")):
        good = psql(proxy, "SHOW VERSION", user=user, environment={"PGPASSWORD": word})
        assert good.stdout.startswith("segue "), good.stderr
        wrong = psql(proxy, "SHOW VERSION", user=user, environment={"PGPASSWORD": "wrong"})
        assert wrong.returncode == 2 and "password authentication failed" in wrong.stderr
        none = psql(proxy, "SHOW VERSION", user=user, environment={"PGPASSWORD": ""})
        assert none.returncode == 2
    refused = psql(proxy, "SHOW VERSION", user="postgres")
    assert refused.returncode == 2
    assert "only the users in admin_users and stats_users may use the console" in refused.stderr


def test_who_was_trusted_is_asked_for_a_proof_once_there_are_admins(db, segue, tmp_path):
    """The name was anybody's; an admin of that name would have come in with a password."""
    path = tmp_path / "segue.json"
    path.write_text("{}")
    proxy = segue(db, arguments=["-c", path])
    with Raw(proxy.port).login("segue", user="scram_user") as client:
        path.write_text('{"admin_users": ["scram_user"]}')
        proxy.signal(signal.SIGHUP)
        proxy.logged("reload: done")
        client.send(query("PAUSE"))
        error = client.error()
        assert error["C"] == "57P01" and "connect again" in error["H"]
        assert client.read() is None
    assert "PAUSE" not in proxy.log_text()


@pytest.mark.one_version
def test_stats_users_may_look_and_no_more(db, segue):
    """Also while admin_users is empty, when everybody else over loopback may do everything; and they log in."""
    for admins in ("postgres", ""):
        proxy = segue(db, admin_users=admins, stats_users="scram_user,postgres")
        proxy.logged("the engine is connected")
        assert psql(proxy, "SHOW STATUS", user="scram_user", environment={"PGPASSWORD": "wrong"}).returncode == 2
        with psycopg.connect(proxy.url("segue", "scram_user"), password="scram secret", autocommit=True) as conn:
            for seen in "SHOW STATUS", "SHOW CONFIG", "DOCTOR", "VERSIONS":
                conn.execute(seen.encode())
            for verb in "PAUSE", "RESUME", "THROTTLE workers 2", "PLAN '{}'", "START '{}'", "COMPLETE x FORCE", "BASELINE":
                with pytest.raises(psycopg.errors.InsufficientPrivilege) as refused:
                    conn.execute(verb.encode())
                assert "admin_users" in refused.value.diag.message_hint
        all_may = psql(proxy, "THROTTLE workers 2", user="postgres" if admins else "anybody")
        assert all_may.returncode == 0, all_may.stderr
        proxy.stop()


def test_admin_users_may_change_while_running(db, segue, tmp_path):
    path = tmp_path / "segue.json"
    path.write_text('{"admin_users": ["scram_user"]}')
    proxy = segue(db, arguments=["-c", path])
    assert psql(proxy, "SELECT 1", user="postgres").returncode == 2
    inside = psycopg.connect(proxy.url("segue", "scram_user"), password="scram secret", autocommit=True)
    path.write_text('{"admin_users": ["postgres"]}')
    proxy.signal(signal.SIGHUP)
    proxy.logged("reload: done, 1 options changed")
    with inside, pytest.raises(psycopg.errors.InsufficientPrivilege):
        inside.execute("PAUSE")
    assert psql(proxy, "SELECT 1", user="postgres").stdout == "1\n"
    assert psql(proxy, "SELECT 1", user="scram_user", environment={"PGPASSWORD": "scram secret"}).returncode == 2


# ---- the command line ----


def test_json_is_valid_everywhere(items, segue):
    proxy = segue(items)
    file = proxy.file(RENAME)
    plan = json.loads(proxy.cli("plan", file, "--json").out)
    assert plan and all("sql" in row for row in plan)
    lines = proxy.cli("start", file, "--json").out.splitlines()
    assert [json.loads(line)["migration"] for line in lines] == ["rename_label"] * len(lines)
    assert json.loads(lines[-1])["phase"] == "ready"
    status = json.loads(proxy.cli("status", "--json").out)
    assert status[0]["phase"] == "ready" and status[0]["paused"] is False and status[0]["progress"] == 100
    assert json.loads(proxy.cli("throttle", "--json").out)[0]["signal"]
    assert isinstance(json.loads(proxy.cli("verify", "rename_label", "--json").out), list)
    assert isinstance(json.loads(proxy.cli("pause", "rename_label", "--json").out), list)


def test_the_plan_is_readable(items, segue):
    out = segue(items)
    text = out.cli("plan", out.file(RENAME)).out
    assert "ACCESS EXCLUSIVE on public.items" in text
    assert "ADD COLUMN title" in text
    assert "  1. " in text


def test_a_refused_plan_exits_with_1(items, segue):
    items.sql("CREATE VIEW v AS SELECT label FROM items")
    proxy = segue(items)
    done = proxy.cli("plan", proxy.file(RENAME), check=1)
    assert "refused" in done.out and "view public.v" in done.out


def test_start_cutover_and_complete_wait_and_say_where_they_are(items, segue):
    proxy = segue(items)
    assert proxy.cli("start", proxy.file(RENAME)).out.splitlines()[-1] == "rename_label: ready"
    assert proxy.cli("cutover", "rename_label").out.splitlines()[-1] == "rename_label: soaking"
    assert proxy.cli("rollback", "rename_label").out.splitlines()[-1] == "rename_label: ready"
    assert proxy.cli("cutover", "rename_label").out.splitlines()[-1] == "rename_label: soaking"
    done = proxy.cli("complete", "rename_label", "--force")
    assert done.out.splitlines()[-1] == "rename_label: done"
    assert proxy.cli("status", "--watch").code == 0


def test_exit_codes_tell_what_went_wrong(items, segue, tmp_path):
    proxy = segue(items)
    error = proxy.cli("cutover", "nothing", check=1).err.splitlines()  # behind a warning, before the engine is there
    assert any(line.startswith("segue: ") for line in error)
    assert "needs NAME" in proxy.cli("cutover", check=2).err
    assert "did you mean segue status?" in proxy.cli("statsu", check=2).err
    assert "not expected" in proxy.cli("status", "a", "b", check=2).err
    assert "does not know the option --force" in proxy.cli("status", "--force", check=2).err
    assert "cannot open" in proxy.cli("start", tmp_path / "none.json", check=1).err
    big = tmp_path / "big.json"
    big.write_text(" " * (1024 * 1024 + 1))
    assert "longer than 1048576 bytes" in proxy.cli("start", big, check=1).err
    done = proxy.cli("status", "--server", "postgresql://postgres:hidden@127.0.0.1:1/segue", check=3)
    assert "is `segue serve` running there?" in done.err and "hidden" not in done.err
    assert proxy.cli("--version").out == "segue 0.1.0\n"
    for command in ("serve", "plan", "start", "migrate", "status", "cutover", "complete", "rollback", "abort", "verify",
                    "pause", "resume", "throttle"):
        assert f"segue {command}" in proxy.cli(command, "--help").out


def slow_start(proxy, db):
    """A start that takes long: paused right away."""
    proxy.cli("throttle", "rows_per_s", "1")
    return subprocess.Popen([str(PROGRAM), "start", str(proxy.file(RENAME))], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, env={**os.environ, "SEGUE_SERVER": proxy.server})


def test_ctrl_c_detaches_and_the_migration_goes_on(items, segue):
    proxy = segue(items)
    child = slow_start(proxy, items)
    proxy.wait_phase("rename_label", {"expanding", "backfilling", "verifying", "ready"})
    assert child.stdout.readline()
    child.send_signal(signal.SIGINT)
    err = child.communicate(timeout=20)[1]
    assert child.returncode == 130
    assert "the migration goes on" in err and "segue status rename_label --watch" in err
    proxy.cli("throttle", "rows_per_s", "default")
    proxy.wait_phase("rename_label", "ready")


def test_a_restart_of_segue_does_not_end_the_waiting(items, segue):
    proxy = segue(items)
    child = slow_start(proxy, items)
    proxy.wait_phase("rename_label", {"expanding", "backfilling", "verifying", "ready"})
    assert child.stdout.readline()
    proxy.restart().at_work()
    proxy.cli("throttle", "rows_per_s", "default")
    out, err = child.communicate(timeout=60)
    assert child.returncode == 0, err
    assert out.splitlines()[-1] == "rename_label: ready"
    assert err.count("connection lost") == 1


def test_on_a_terminal_progress_is_redrawn(items, segue):
    proxy = segue(items)
    proxy.ready(RENAME)
    main, side = pty.openpty()
    child = subprocess.Popen([str(PROGRAM), "status", "rename_label", "--watch"], stdout=side, stderr=side,
                             env={**os.environ, "SEGUE_SERVER": proxy.server})
    os.close(side)
    seen, end = b"", time.monotonic() + 15
    while b"\x1b[J" not in seen and time.monotonic() < end:
        seen += os.read(main, 4096)
    assert b"\x1b[J" in seen and b"rename_label: ready" in seen
    proxy.cli("abort", "rename_label", "--force")
    while True:
        try:
            piece = os.read(main, 4096)
        except OSError:
            break
        if not piece:
            break
        seen += piece
    os.close(main)
    assert child.wait(20) == 0
    assert b"rename_label: aborted" in seen


def test_plan_says_which_migration_in_flight_has_the_table(db, segue):
    make_items(db, 100)
    proxy = segue(db)
    name = proxy.ready(RENAME)
    other = proxy.file({"name": "other", "operations": [{"rename_column": {"table": "items", "from": "note", "to": "remark"}}]})
    planned = proxy.cli("plan", other, check=1)
    assert f'migration "{name}" is ready on a table of this one' in planned.out and f'complete or abort "{name}"' in planned.out
    assert f'migration "{name}" is ready' in proxy.cli("start", other, check=1).err
    proxy.cli("cutover", name)  # from where it is not to be aborted
    ways = f'complete "{name}" first, or roll it back (segue rollback {name}) and then abort it'
    for said in proxy.cli("plan", other, check=1).out, proxy.cli("start", other, check=1).err, proxy.cli("baseline", check=1).err:
        assert f'migration "{name}" is soaking' in said and ways in said
    for said in proxy.cli("plan", proxy.file(RENAME), check=1).err, proxy.cli("start", proxy.file(RENAME), check=1).err:
        assert "is already soaking" in said and f"roll it back (segue rollback {name}) and then abort it" in said
    proxy.cli("rollback", name)
    again = proxy.cli("plan", proxy.file(RENAME), check=1).err  # to look at it is what most want
    assert f'SHOW STATUS (segue status {name}) tells how far it is; abort "{name}" first to start it anew (segue abort {name})' in again
    proxy.cli("abort", name)
    proxy.cli("plan", other)


def test_who_pauses_or_resumes_nothing_is_told_so(db, segue):
    make_items(db, 100)
    proxy = segue(db)
    for verb in "pause", "resume":
        assert "there is no migration in flight" in proxy.cli(verb, check=1).err
    name = proxy.ready(RENAME)
    # nothing is wrong, and nothing was done
    idle = "neither paused nor stopped: nothing was to resume"
    assert proxy.cli("resume").out == f"all migrations: {idle}\n" and proxy.cli("resume", name).out == f"{name}: {idle}\n"
    assert proxy.console(f"RESUME {name}") == [{"migration": name, "accepted": idle}]
    assert proxy.cli("pause").out == "all migrations: pause\n"
    assert proxy.cli("resume").out == "all migrations: resume\n"
    proxy.cli("pause", name)
    assert proxy.console("RESUME") == [{"migration": "all", "accepted": "yes"}]


def test_a_name_that_no_migration_has_is_told_with_those_that_there_are(db, segue):
    make_items(db, 100)
    proxy = segue(db, quiet_period_s=0).at_work()
    asked = ("status", "usage", "attempts", "wait", "doctor", "evidence", "verify", "cutover", "complete", "rollback", "abort", "pause", "resume")
    direct = ("doctor", "--upstream", db.url())

    def unknown(hint):
        for command in *((word,) for word in asked), ("status", "--watch"), direct:
            assert proxy.cli(*command, "nosuch", check=1).err == f'segue: there is no migration "nosuch"\nhint: {hint}\n', command
        for topic in "STATUS", "USAGE", "ATTEMPTS":
            with pytest.raises(psycopg.errors.UndefinedObject) as refused:
                proxy.console(f"SHOW {topic} nosuch")
            assert refused.value.diag.message_hint == hint
            with proxy.connect("segue") as conn, pytest.raises(psycopg.errors.UndefinedObject):
                conn.execute(f"SHOW {topic} nosuch", prepare=True)

    unknown("none is in flight; SHOW MIGRATIONS (segue history) lists those of before")
    name = proxy.ready(RENAME)
    unknown(f"in flight: {name}; SHOW MIGRATIONS (segue history) lists all")
    proxy.cli("cutover", name)
    proxy.cli("complete", name)
    # one that has ended has nothing to show, and is no mistake
    for topic in "usage", "attempts", "doctor", "wait":
        proxy.cli(topic, name)


def test_a_client_that_does_not_read_its_answers_is_not_answered_further(db, segue):
    """Everything it has asked for would have to be kept."""
    proxy = segue(db, workers=1)
    asked = 6000
    with Raw(proxy.port).login("segue") as client:
        before = rss_kb(proxy)
        sender = threading.Thread(target=client.send, args=[query("SHOW STATS")] * asked)
        sender.start()
        with proxy.connect() as other:
            for _ in range(200):
                other.execute("SELECT 1")
        assert rss_kb(proxy) - before < (8000 if SLOW == 1 else 300_000)  # a sanitizer's allocator keeps what is freed
        assert sum(client.until_ready() and 1 for _ in range(asked)) == asked
        sender.join()


def test_a_query_has_so_many_statements_at_most(db, segue):
    with segue(db).connect("segue") as conn:
        conn.execute("SHOW VERSION;" * 100)
        with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="at most 100 statements"):
            conn.execute("SHOW VERSION;" * 101)
