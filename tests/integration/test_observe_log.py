"""The log: JSON that always parses, hostile names in one line, no statement's text and no row's value, a standard error that breaks."""

import json
import os
import re
import resource
import signal
import socket
import subprocess
import time

import psycopg
import pytest
from lib.cluster import SCRAM_PASSWORD, SCRAM_USER
from lib.rawwire import Raw, packet, query, startup
from lib.segue import PROGRAM
from lib.tables import RENAME, make_items
from lib.wait import free_port, until

pytestmark = pytest.mark.one_version


def whole(proxy):
    """The log as far as its lines have come to their ends: one may be on its way into the file."""
    return proxy.log.read_bytes().rpartition(b"\n")[0]


def objects(proxy):
    return [json.loads(line) for line in whole(proxy).split(b"\n") if line]


def about(proxy, text):
    return [o for o in objects(proxy) if text in o["msg"]]


def test_every_line_of_a_busy_proxy_is_one_json_object(db, segue):
    proxy = segue(db, log_format="json", log_level="debug", startup_open_max=50)
    for i in range(20):
        with proxy.connect() as c:
            c.execute("SELECT %s", (f"secret {i}",))
            with pytest.raises(psycopg.Error):
                c.execute("SELECT 'secret literal' FROM missing_table")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(proxy.url(user=SCRAM_USER), password="wrong")
    proxy.console("SHOW STATS")
    with Raw(proxy.port) as c:
        c.send(packet(196608, b"user\0oops"))
        assert c.error()["S"] == "FATAL"
    lines = until("the log", lambda: (got := objects(proxy)) and len(got) > 40 and got)
    assert {"ts", "level", "msg"} <= set.intersection(*(set(o) for o in lines))
    until("the end of a session", lambda: any(
        o["database"] == db.name and o["user"] == "postgres" and o["worker"] in (0, 1) and o["peer"] for o in about(proxy, "ended")))
    assert "secret" not in proxy.log_text() and "missing_table" not in proxy.log_text()


def test_failed_login_is_logged_with_peer_user_and_sqlstate_but_no_password(db, segue):
    proxy = segue(db, log_format="json")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(proxy.url(user=SCRAM_USER), password="wrong password")
    line = until("the line", lambda: about(proxy, "login failed"))[0]
    assert line["level"] == "info" and line["user"] == SCRAM_USER and line["sqlstate"] == "28P01"
    assert line["peer"].startswith("127.0.0.1:") and line["database"] == db.name
    assert "wrong password" not in proxy.log_text() and SCRAM_PASSWORD not in proxy.log_text()


@pytest.mark.parametrize("name", [b"a\nb", b"\x1b[31mred", b"\xff\xfe", b'"}\n{"msg":"forged"}', b"\xe2\x80\xa8x",
                                  b"\r\n2026-01-31 23:59:59.123 error forged"])
def test_hostile_user_name_stays_one_line(db, segue, name):
    for log_format in ("json", "text"):
        proxy = segue(db, log_format=log_format)
        before = len(proxy.log.read_bytes().split(b"\n"))
        with Raw(proxy.port) as c:
            c.send(packet(196608, b"user\0" + name + b"\0database\0nowhere\0\0"))
            assert c.error()["S"] == "FATAL"
        until("the line", lambda: b"login failed" in whole(proxy))
        raw = whole(proxy)
        assert b"\x1b" not in raw and b"\r" not in raw and b"\xe2\x80\xa8" not in raw
        assert len([x for x in raw.split(b"\n")[before - 1:] if b"login failed" in x]) == 1
        assert not [x for x in raw.splitlines() if x.startswith((b"2026-01-31 23:59:59.123", b'{"msg"'))]
        raw.decode()
        if log_format == "json":
            assert all(json.loads(line) for line in raw.split(b"\n")) and len(raw.split(b"\n")) == len(raw.splitlines())


def test_format_and_level_change_with_sighup(db, segue, tmp_path):
    path = tmp_path / "segue.json"
    path.write_text('{"log_format": "text"}')
    proxy = segue(db, arguments=["-c", path])
    path.write_text('{"log_format": "json", "log_level": "debug"}')
    proxy.signal(signal.SIGHUP)
    proxy.logged("reload: done, 2 options changed")
    proxy.connect().close()
    last = until("a line", lambda: [x for x in whole(proxy).decode().splitlines() if "ended" in x])[-1]
    assert json.loads(last)["level"] == "debug"


def test_what_repeats_a_hundred_times_a_second_is_told_once(db, segue):
    proxy = segue(db, workers=1, startup_open_max=1, log_format="json")
    with socket.create_connection(("127.0.0.1", proxy.port)):
        refused = 0
        end = time.monotonic() + 20
        while refused < 100 and time.monotonic() < end:
            with Raw(proxy.port) as c:
                refused += c.error()["C"] == "53300"
        assert refused == 100
        told = about(proxy, "refused: ")
        assert 1 <= len(told) <= 3 and told[0]["level"] == "warning" and told[0]["worker"] == 0


ROOM = 1 << 20


def start_with(db, port, stderr, **more):
    return subprocess.Popen([str(PROGRAM), "serve", "--upstream", db.url(), "--listen", f"127.0.0.1:{port}",
                             "--log-level", "debug"], stdout=subprocess.PIPE, stderr=stderr, text=True, **more)


def served(port, db, times=30):
    for _ in range(times):
        with Raw(port) as c:
            c.send(startup(user="postgres", database=db.name))
            assert c.until_ready().endswith("ZI")
            c.send(query("SELECT 1"))
            assert c.until_ready() == "TDCZI"


def test_standard_error_that_is_broken_unread_or_closed_ends_nothing(db):
    for kind in ("broken", "unread", "closed"):
        port = free_port()
        read, write = os.pipe()
        process = start_with(db, port, write, preexec_fn=(lambda: os.close(2)) if kind == "closed" else None)
        try:
            os.close(write)
            assert "listening" in process.stdout.readline()
            if kind == "broken":
                os.close(read)
            # two lines a session: more than a pipe of 64 KiB holds
            served(port, db, 600 if kind == "unread" else 30)
            assert process.poll() is None
            if kind == "unread":
                got = b""
                os.set_blocking(read, True)
                while b"could not be written" not in got:
                    got += os.read(read, 65536)
                    served(port, db, 1)
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait()
            if kind != "broken":
                os.close(read)
            process.stdout.close()


def answers(console):
    """Not before it is connected again, which the backend that is ending may keep it from."""
    try:
        return console.execute(b"VERSIONS", prepare=False)
    except psycopg.errors.ConnectionFailure:
        return None


def test_a_log_without_room_ends_nothing_and_its_lines_stay_lines(db, tmp_path):
    """RLIMIT_FSIZE is a disk that is full in the middle of a line, and a signal on top."""
    port, path = free_port(), tmp_path / "log"
    with open(path, "ab") as log:
        process = start_with(db, port, log, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4000, ROOM)))
    try:
        assert "listening" in process.stdout.readline()
        served(port, db, 60)
        assert process.poll() is None and path.stat().st_size == 4000
        engine = "SELECT pid FROM pg_stat_activity WHERE application_name = 'segue' AND datname = current_database()"
        db.sql(f"SELECT pg_terminate_backend(pid) FROM ({engine}) AS its")  # of that the engine's thread says something
        with psycopg.connect(host="127.0.0.1", port=port, dbname="segue", user="postgres", autocommit=True) as console:
            until("the engine to be back", lambda: answers(console))
        assert process.poll() is None and db.one(engine)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (ROOM, ROOM))
        served(port, db, 1)
        text = path.read_text(encoding="utf-8")
        assert "log lines could not be written" in text
        assert not re.search(r"[^\n]\d{4}-\d\d-\d\d \d\d:", text[3800:]), text[3800:]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


# ---- with an engine at work ----


@pytest.mark.parametrize("waited_for, limit_ms", [("drain", 600000), ("blocked", 100)])
def test_who_is_in_the_way_is_logged_without_the_statement_which_the_console_shows(db, segue, waited_for, limit_ms):
    make_items(db, rows=10)
    proxy = segue(db, cutover_attempts_max=1, cutover_drain_ms=200, transaction_age_max_ms=limit_ms)
    name = proxy.ready(RENAME)
    with proxy.connect(application_name="nightly report") as holder:
        holder.execute("BEGIN")
        holder.execute("UPDATE items SET note = 'secret literal' WHERE id = 1")
        pid = holder.info.backend_pid
        until("it to be old enough", lambda: db.one(
            "SELECT clock_timestamp() - xact_start > interval '150 ms' FROM pg_stat_activity WHERE pid = %s", pid))
        refused = proxy.cli("cutover", name, check=4)
        assert "secret literal" in refused.err and "secret literal" in proxy.status(name)["error"]
        (attempt,) = [a for a in proxy.console(f"SHOW ATTEMPTS {name}") if a["kind"] == "cutover"]
        assert attempt["outcome"] == waited_for and "secret literal" in attempt["blockers"][0]["query"]
        holder.execute("ROLLBACK")
    who = f"pid {pid} (nightly report, user postgres, 127.0.0.1, idle in transaction, "
    told = [line for line in proxy.log_text().splitlines() if who in line]
    assert len(told) == (2 if waited_for == "drain" else 1) and "gave up" in told[-1]
    assert all("s in transaction)" in line for line in told)
    assert "secret" not in proxy.log_text() and "UPDATE items" not in proxy.log_text()


def test_steps_that_wait_for_a_lock_log_who_has_it_and_not_what_it_says(db, segue):
    make_items(db, rows=10)
    proxy = segue(db, log_level="debug", transaction_age_max_ms=600000)
    with db.connect(application_name="nightly report") as holder:
        holder.execute("BEGIN")
        holder.execute("UPDATE items SET note = 'secret literal' WHERE id = 1")
        proxy.begin(RENAME)
        proxy.wait(RENAME["name"], lambda row: "secret literal" in (row["blockers"] or ""))
        proxy.logged(f"blockers: pid {holder.info.backend_pid} (nightly report, user postgres, ")
        holder.execute("ROLLBACK")
    proxy.wait_phase(RENAME["name"], "ready")
    assert "secret" not in proxy.log_text()


REFUSES = """
CREATE TABLE kept (label text UNIQUE);
INSERT INTO kept VALUES ('secret row');
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {}; RETURN NEW; END$$;
CREATE TRIGGER refuse BEFORE INSERT ON segue.verifications FOR EACH ROW EXECUTE FUNCTION refuse();"""


@pytest.mark.parametrize("state, does, kept", [
    ("22P02", "PERFORM 'secret row'::integer", "invalid input syntax for type integer"),
    ("22007", "PERFORM 'secret row'::date", "invalid input syntax for type date"),
    ("23505", "INSERT INTO public.kept VALUES ('secret row')", 'duplicate key value violates unique constraint "kept_label_key"'),
    ("P0001", "RAISE EXCEPTION 'no: %', 'secret row' USING HINT = 'look at secret row'", None),
    ("23514", "RAISE check_violation USING MESSAGE = 'secret row', DETAIL = 'of secret'", None),
])
def test_errors_of_data_are_logged_without_the_row_which_the_console_shows(db, segue, state, does, kept):
    make_items(db, rows=10)
    proxy = segue(db, log_level="debug")
    proxy.cli("throttle", "rows_per_s", "off")  # so that schema segue is there
    db.sql(REFUSES.format(does))
    proxy.begin(RENAME)
    row = proxy.wait(RENAME["name"], lambda row: row["error"])
    assert "secret row" in row["error"], row
    proxy.logged("stopped: ")
    (line,) = [line for line in proxy.log_text().splitlines() if " stopped: " in line]
    assert f"({state})" in line and "HINT: resume tries again" in line and (not kept or kept in line), line
    assert "secret" not in proxy.log_text()
