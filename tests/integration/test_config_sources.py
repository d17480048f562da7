"""Configuration: what is refused and how it is said, sources, SIGHUP, SIGTERM."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import psycopg
import pytest
from lib.frozen import stopped_workers
from lib.segue import PROGRAM, REPO
from lib.wait import until

UPSTREAM = "postgresql://app:hidden_password@127.0.0.1:1/app"

BAD_FILES = [
    # text, what the one line must say
    ("", "{file}:1: not valid JSON"),
    ("{", "{file}:1: not valid JSON"),
    ('{"workers": 2,\n}', "{file}:2: not valid JSON"),
    ("[]", "{file}:1: must be one JSON object of options, not an array"),
    ('{\n "workers": "two"\n}', '{file}:2: option "workers" must be an integer from 0 to 256, not a string'),
    ('{\n\n "workers": -1}', '{file}:3: option "workers" must be an integer from 0 to 256, not "-1"'),
    ('{"workers": 257}', '{file}:1: option "workers" must be an integer from 0 to 256, not "257"'),
    ('{"workers": 1.5}', '{file}:1: option "workers" must be an integer from 0 to 256, not a fraction'),
    ('{"workers": 1e99}', '{file}:1: option "workers" must be'),
    ('{"workers": 99999999999999999999}', "{file}:1: not valid JSON"),
    ('{"workers": null}', '{file}:1: option "workers" must be an integer from 0 to 256, not null'),
    ('{"workers": 1, "workers": 2}', "{file}:1: not valid JSON: duplicate"),
    ('{"listen": "6432"}', '{file}:1: option "listen" must be HOST:PORT'),
    ('{"listen": "a:65536"}', '{file}:1: option "listen" must be HOST:PORT'),
    ('{"listen": "::1:6432"}', '{file}:1: option "listen" must be HOST:PORT'),
    ('{"listen": "a:1,"}', '{file}:1: option "listen" must be HOST:PORT'),
    ('{"upstream": "mysql:// hidden_password"}', '{file}:1: option "upstream" must be a connection URL'),
    ('{"upstream": "postgresql://a,b:hidden_password/x"}', '{file}:1: option "upstream" must be a connection URL or string in which port'),
    ('{"upstream": "postgresql://app:hidden_password@a/x?sslmode=maybe"}',
     '{file}:1: option "upstream" must be a connection URL or string in which sslmode is one of disable, allow,'),
    ('{"upstream": "postgresql://app:hidden_password@a/x?sslmod=require"}', 'there is no "sslmod" (did you mean "sslmode"?)'),
    ('{"admin_users": "dba"}', '{file}:1: option "admin_users" must be a list of names, not a string'),
    ('{"admin_users": ["a,b"]}', '{file}:1: option "admin_users" must be a list of names'),
    ('{"log_level": "loud"}', '{file}:1: option "log_level" must be one of "error", "warning", "info", "debug", not "loud"'),
    ('{\n"workers": 1,\n"lock_timeout": 5}', '{file}:3: there is no option "lock_timeout"'),
]


def serve(*args, environment=None):
    env = {k: v for k, v in os.environ.items() if k != "DATABASE_URL"}
    return subprocess.run([str(PROGRAM), "serve", *map(str, args)], capture_output=True, text=True, timeout=20,
                          env={**env, **(environment or {})})


@pytest.mark.parametrize("text, expected", BAD_FILES, ids=range(len(BAD_FILES)))
def test_a_bad_file_is_refused_with_place_option_and_what_is_allowed(tmp_path, text, expected):
    path = tmp_path / "segue.json"
    path.write_text(text)
    arguments = [] if "upstream" in text else ["--upstream", UPSTREAM]
    done = serve("-c", path, *arguments)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0].startswith("segue: ") and expected.format(file=path) in lines[0]
    assert all(line.startswith("hint: ") for line in lines[1:]) and len(lines) <= 2
    assert "hidden_password" not in done.stderr


@pytest.mark.parametrize("arguments, environment, expected", [
    ([], {}, 'option "upstream" is not set'),
    (["-c", "/nonexistent.json"], {}, "/nonexistent.json: cannot open: No such file or directory"),
    (["-c", "/"], {}, "/: cannot"),
    (["--upstream"], {}, "--upstream needs a value"),
    (["--nonsense", "1"], {}, 'serve does not know "--nonsense"'),
    (["x"], {}, 'serve does not know "x"'),
    (["--workers", "many"], {}, '--workers: option "workers" must be an integer from 0 to 256, not "many"'),
    (["--workers="], {}, '--workers: option "workers" must be'),
    ([], {"SEGUE_WORKERS": "many"}, 'environment variable SEGUE_WORKERS: option "workers" must be'),
    ([], {"DATABASE_URL": "nonsense hidden_password"}, "environment variable DATABASE_URL: option \"upstream\" must be"),
])
def test_a_bad_flag_or_variable_is_refused_by_name(arguments, environment, expected):
    done = serve(*arguments, environment=environment)
    assert done.returncode == 2
    assert expected in done.stderr.splitlines()[0]
    assert "hidden_password" not in done.stderr


def test_a_misspelt_flag_gets_the_option_that_is_nearly_it():
    assert "hint: did you mean --workers?" in serve("--upstream", UPSTREAM, "--workrs", "1").stderr


@pytest.mark.parametrize("listen, upstream", [
    ("127.0.0.1:7001", "postgresql://u:hidden_password@127.0.0.1:7001/app"),
    ("127.0.0.1:7000,*:7001", "postgresql://u@localhost:7001/app"),
    ("[::1]:7001", "host=a,::1 port=5432,7001 user=u dbname=app"),
])
def test_an_upstream_that_is_segue_itself_is_refused(listen, upstream):
    done = serve("--listen", listen, environment={"DATABASE_URL": upstream})
    assert done.returncode == 2 and "leads to segue itself" in done.stderr and listen.split(",")[-1] in done.stderr
    assert "hidden_password" not in done.stderr


def test_a_port_in_use_is_said_at_once():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        done = serve("--upstream", UPSTREAM, "--listen", address)
    assert done.returncode == 1
    assert address in done.stderr


def config_of(proxy):
    return {row["option"]: row for row in proxy.console("SHOW CONFIG")}


@pytest.mark.one_version
def test_flags_go_over_environment_over_file_over_defaults(db, segue, tmp_path):
    path = tmp_path / "segue.json"
    path.write_text(json.dumps({"lock_timeout_ms": 301, "batch_target_ms": 302, "quiet_period_s": 303}))
    proxy = segue(db, arguments=["-c", path, "--quiet-period-s=305"],
                  environment={"SEGUE_BATCH_TARGET_MS": "304", "SEGUE_QUIET_PERIOD_S": "306",
                               "SEGUE_QUIET_PERIOD": "307", "SEGUE_SERVICE_HOST": "of somebody else"})
    got = {name: (row["value"], row["source"]) for name, row in config_of(proxy).items()}
    assert got["lock_timeout_ms"] == ("301", "file")
    assert got["batch_target_ms"] == ("304", "environment")
    assert got["quiet_period_s"] == ("305", "flag")
    assert got["vacuum_rows"] == ("100000", "default")
    proxy.logged('SEGUE_QUIET_PERIOD is no option: did you mean "quiet_period_s"?')
    assert "SERVICE_HOST" not in proxy.log_text()


@pytest.mark.one_version
def test_the_shipped_file_starts_a_proxy_with_database_url(db):
    env = {**os.environ, "DATABASE_URL": db.url()}
    child = subprocess.Popen([str(PROGRAM), "serve", "-c", str(REPO / "config/segue.json"), "--listen",
                              "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env)
    try:
        assert child.stdout.readline().startswith("segue: listening on 127.0.0.1:")
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 0
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


@pytest.mark.one_version
def test_passwords_are_neither_shown_nor_logged(db, segue):
    url = db.url().replace("://postgres@", "://postgres:hidden_password@")
    assert "hidden_password" in url
    proxy = segue(db, upstream=url)
    assert config_of(proxy)["upstream"]["value"] == url.replace("hidden_password", "***")
    assert "hidden_password" not in proxy.log_text()


@pytest.mark.one_version
def test_sighup_takes_over_what_can_change_and_names_the_rest(db, segue, tmp_path):
    path = tmp_path / "segue.json"
    path.write_text('{"log_level": "info", "cache_entries": 500}')
    proxy = segue(db, arguments=["-c", path])
    path.write_text('{"log_level": "debug", "cache_entries": 600, "admin_users": ["postgres"]}')
    proxy.signal(signal.SIGHUP)
    proxy.logged("reload: done, 2 options changed")
    proxy.logged('"cache_entries" is now "600": takes effect with the next start')
    proxy.logged('"log_level" is now "debug"')
    config = config_of(proxy)
    assert config["log_level"]["value"] == "debug"
    assert config["cache_entries"]["value"] == "500"


@pytest.mark.one_version
def test_an_option_that_is_said_to_be_what_it_was_by_default_is_said_from_then_on(db, segue, tmp_path):
    """One of the connection string's gives way to it."""
    path = tmp_path / "segue.json"
    path.write_text("{}")
    proxy = segue(db, arguments=["-c", path])
    default = config_of(proxy)["idle_timeout_s"]
    path.write_text(json.dumps({"idle_timeout_s": int(default["value"])}))
    proxy.signal(signal.SIGHUP)
    proxy.logged("reload: done")
    assert config_of(proxy)["idle_timeout_s"]["source"] != default["source"]
    path.write_text("{}")
    proxy.signal(signal.SIGHUP)
    until("the second one", lambda: config_of(proxy)["idle_timeout_s"] == default)


@pytest.mark.one_version
def test_a_reload_is_done_when_every_worker_goes_by_it_and_who_does_not_is_told_of(db, segue, tmp_path):
    path = tmp_path / "segue.json"
    path.write_text('{"idle_timeout_s": 100}')
    proxy = segue(db, arguments=["-c", path])
    path.write_text('{"idle_timeout_s": 200}')
    with stopped_workers(proxy):
        proxy.signal(signal.SIGHUP)
        log = proxy.logged("reload: done")
    assert "a worker is stuck" in log.partition("reload: done")[0]
    path.write_text('{"idle_timeout_s": 300}')
    proxy.signal(signal.SIGHUP)
    proxy.logged('"idle_timeout_s" is now "300"')


@pytest.mark.one_version
def test_a_reload_that_waits_for_workers_waits_for_none_that_is_asked_for_the_configuration(db, segue, tmp_path):
    path = tmp_path / "segue.json"
    path.write_text('{"idle_timeout_s": 100}')
    proxy = segue(db, arguments=["-c", path])

    def wchan(tid):
        return Path(f"/proc/{proxy.process.pid}/task/{tid}/wchan").read_text()

    def not_stuck(console):
        """The worker finds the question first, then the word of the reload, which waits by then."""
        log = proxy.log_text()
        signals = until("segue to wait for signals", lambda: next(
            (tid for tid in os.listdir(f"/proc/{proxy.process.pid}/task") if "sigtimedwait" in wchan(tid)), None))
        with stopped_workers(proxy):
            console.send_query(b"SHOW CONFIG")
            console.flush()
            proxy.signal(signal.SIGHUP)
            until("the reload to wait for workers", lambda: "futex" in wchan(signals), every=0.001)
        while console.get_result():
            pass
        until("the reload", lambda: proxy.log_text().count("reload: done") > log.count("reload: done"))
        return proxy.log_text().count("a worker is stuck") == log.count("a worker is stuck")

    with psycopg.connect(host="127.0.0.1", port=proxy.port, dbname="segue", user="postgres", autocommit=True) as conn:
        until("a reload within its second", lambda: not_stuck(conn.pgconn), 10)


@pytest.mark.one_version
def test_a_bad_file_at_sighup_keeps_the_old_configuration(db, segue, tmp_path):
    path = tmp_path / "segue.json"
    path.write_text('{"transaction_age_max_ms": 7777}')
    proxy = segue(db, arguments=["-c", path])
    path.write_text('{"transaction_age_max_ms": 7878,\n "workers": "x"}')
    proxy.signal(signal.SIGHUP)
    proxy.logged("the old configuration stays")
    proxy.logged(f'{path}:2: option "workers"')
    assert config_of(proxy)["transaction_age_max_ms"]["value"] == "7777"


def opened(pid):
    """Names of its open files."""
    names = []
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            names.append(os.readlink(fd))
    return names


@pytest.mark.one_version
def test_a_configuration_may_come_from_a_pipe_and_one_without_a_writer_is_not_waited_for(db, segue, tmp_path):
    path = tmp_path / "segue.json"
    os.mkfifo(path)
    pipe = os.open(path, os.O_RDWR)
    os.write(pipe, b'{"transaction_age_max_ms": 7777}')
    proxy = segue(db, start=False, arguments=["-c", path])

    def end():  # the file's, once it is being read
        until("it to be opened", lambda: proxy.process and str(path) in opened(proxy.process.pid), 60)
        os.close(pipe)

    ending = threading.Thread(target=end)
    ending.start()
    proxy.start()
    ending.join()
    proxy.signal(signal.SIGHUP)
    proxy.logged("the old configuration stays")
    assert config_of(proxy)["transaction_age_max_ms"]["value"] == "7777"
    proxy.stop()


def test_clients_are_accepted_while_the_engine_cannot_reach_its_database(clusters):
    child = subprocess.Popen([str(PROGRAM), "serve", "--upstream", UPSTREAM, "--listen", "127.0.0.1:0"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        port = int(child.stdout.readline().rsplit(":", 1)[1])
        with psycopg.connect(host="127.0.0.1", port=port, dbname="segue", user="x", autocommit=True) as conn:
            assert conn.execute("SHOW VERSION").fetchone() == ("segue 0.1.0", False)
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 0
    finally:
        child.kill()
        log = child.communicate()[1]
    assert "hidden_password" not in log


@pytest.mark.one_version
def test_sigterm_lets_an_open_transaction_end_and_closes_the_idle(db, segue):
    proxy = segue(db, drain_timeout_s=20)
    idle, busy = proxy.connect(), proxy.connect()
    busy.execute("BEGIN")
    proxy.signal(signal.SIGTERM)
    with pytest.raises(psycopg.OperationalError):
        until("the idle session to be closed", lambda: idle.execute("SELECT 1") and False, 60)
    assert busy.execute("SELECT 2").fetchone() == (2,)
    assert proxy.running()
    with pytest.raises(psycopg.OperationalError):
        proxy.connect(connect_timeout=5)
    busy.execute("COMMIT")
    assert proxy.process.wait(15) == 0


@pytest.mark.one_version
def test_the_drain_has_a_deadline(db, segue):
    proxy = segue(db, drain_timeout_s=1)
    busy = proxy.connect()
    busy.execute("BEGIN")
    begun = time.monotonic()
    proxy.signal(signal.SIGTERM)
    assert proxy.process.wait(15) == 0
    assert time.monotonic() - begun >= 0.9


@pytest.mark.one_version
def test_a_second_sigterm_ends_at_once(db, segue):
    proxy = segue(db, drain_timeout_s=60)
    busy = proxy.connect()
    busy.execute("BEGIN")
    proxy.signal(signal.SIGTERM)
    proxy.logged("sessions have 60 s")
    assert proxy.running()
    proxy.signal(signal.SIGTERM)
    assert proxy.process.wait(10) == 0
