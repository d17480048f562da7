"""Where segue listens: Unix sockets with their lock files, IPv6, every address; and Unix sockets and IPv6 upstream."""

import grp
import json
import os
import socket
import stat
import subprocess
from pathlib import Path

import psycopg
import pytest
from lib.cluster import as_user
from lib.segue import PROGRAM
from lib.wait import SLOW, free_port, until

pytestmark = pytest.mark.one_version


@pytest.fixture
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("sockets")
    path.chmod(0o755)
    return path


def listen(*addresses):
    return ["--listen", ",".join(("127.0.0.1:0", *addresses))]


def over(folder, proxy, dbname, port=6432, **options):
    return psycopg.connect(host=str(folder), port=port, dbname=dbname, user="postgres", autocommit=True, **options)


def test_unix_sockets_on_both_legs(db, segue, folder):
    upstream = f"postgresql://postgres@/{db.name}?host={db.cluster.folder}&port={db.cluster.port}"
    proxy = segue(upstream=upstream, arguments=listen(f"{folder}:6432"))
    with over(folder, proxy, db.name) as c:
        assert c.execute("SELECT inet_client_addr(), inet_server_addr()").fetchone() == (None, None)
        row = next(r for r in proxy.console("SHOW SESSIONS") if r["database"] == db.name)
        assert row["client"] == "unix"
        assert row["upstream"] == f"{db.cluster.folder}/.s.PGSQL.{db.cluster.port}"
    with over(folder, proxy, "segue") as c:  # a Unix socket is loopback for the console
        assert c.execute(b"SHOW VERSION").fetchall()


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_every_address_is_told_on_standard_output_in_the_logs_format(db, segue, folder, log_format):
    port = free_port()
    proxy = segue(db, workers=2, log_format=log_format, log_level="error",
                  arguments=listen(f"[::1]:{port}", f"{folder}:6432"))
    told = f"listening on 127.0.0.1:{proxy.port}, [::1]:{port}, {folder}/.s.PGSQL.6432"
    if log_format == "text":
        assert proxy.told == f"segue: {told}\n"
    else:
        line = json.loads(proxy.told)
        assert line.pop("ts") and line == {"level": "info", "msg": told}


def test_clients_of_a_unix_socket_are_dealt_to_all_workers(db, segue, folder):
    proxy = segue(db, workers=3, arguments=listen(f"{folder}:6432"))
    conns = [over(folder, proxy, db.name) for _ in range(9)]
    workers = [r["worker"] for r in proxy.console("SHOW SESSIONS") if r["database"] == db.name]
    assert sorted(workers) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    for conn in conns:
        conn.close()


def test_permissions_are_those_that_were_asked_for(db, segue, folder):
    segue(db, arguments=listen(f"{folder}:6432"), unix_socket_mode="0700")
    path = folder / ".s.PGSQL.6432"
    assert stat.S_ISSOCK(path.stat().st_mode) and stat.S_IMODE(path.stat().st_mode) == 0o700
    if os.geteuid() == 0:  # somebody else may not connect
        code = f"import socket; socket.socket(socket.AF_UNIX).connect({str(path)!r})"
        done = subprocess.run(["/usr/bin/python3", "-c", code], capture_output=True, text=True, cwd="/", **as_user())
        assert "PermissionError" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="who is no member gives no group")
def test_the_group_of_a_socket_is_the_one_that_was_asked_for_after_a_takeover_too(db, segue, folder):
    path = folder / ".s.PGSQL.6432"

    def permissions():
        return stat.S_IMODE(path.stat().st_mode), path.stat().st_gid

    old = segue(db, arguments=listen(f"{folder}:6432"), unix_socket_mode="0770", unix_socket_group="daemon")
    assert permissions() == (0o770, grp.getgrnam("daemon").gr_gid)
    new = segue(db, start=False, unix_socket_mode="0750", unix_socket_group="4711",
                arguments=["--takeover", "--listen", f"127.0.0.1:{old.port},{folder}:6432"])
    new.start()
    assert permissions() == (0o750, 4711)
    done = serve("--unix-socket-group", "nobody there")
    assert done.returncode == 2 and 'option "unix_socket_group" must be a group of this system' in done.stderr


def test_socket_and_lock_file_are_removed_at_the_end(db, segue, folder):
    proxy = segue(db, arguments=listen(f"{folder}:6432"))
    lines = (folder / ".s.PGSQL.6432.lock").read_text().splitlines()
    assert lines[0] == str(proxy.process.pid) and lines[3:] == ["6432", str(folder)]
    proxy.stop()
    assert os.listdir(folder) == []


def test_what_a_killed_segue_has_left_is_removed(db, segue, folder):
    proxy = segue(db, arguments=listen(f"{folder}:6432"))
    proxy.kill9()
    assert len(os.listdir(folder)) == 2
    proxy.start()
    with over(folder, proxy, db.name) as c:
        c.execute("SELECT 1")


def serve(*arguments):
    return subprocess.run([str(PROGRAM), "serve", "--upstream", "postgresql://postgres@127.0.0.1:1/postgres", *arguments],
                          capture_output=True, text=True, timeout=20)


def hint_of(done):
    lines = [line for line in done.stderr.splitlines() if line.startswith("hint: ")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_an_address_in_use_has_a_hint_at_the_takeover_where_none_was_asked_for():
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        address = f"127.0.0.1:{somebody.getsockname()[1]}"
        done = serve("--listen", address)
        assert done.returncode == 1 and f"cannot listen on {address}: Address already in use" in done.stderr
        assert "segue serve --takeover" in hint_of(done)
        done = serve("--takeover", "--listen", address)
        assert done.returncode == 1 and "Address already in use" in done.stderr
        assert "control_socket" in hint_of(done) and "--takeover" not in hint_of(done)


def test_a_socket_whose_owner_lives_is_not_taken(db, segue, folder):
    proxy = segue(db, arguments=listen(f"{folder}:6432"))
    done = serve(*listen(f"{folder}:6432"))
    assert done.returncode == 1 and f"process {proxy.process.pid} does" in done.stderr
    assert "segue serve --takeover" in hint_of(done)
    with over(folder, proxy, db.name) as c:
        c.execute("SELECT 1")


def test_a_socket_that_lives_is_not_taken_though_its_lock_file_is_gone(db, segue, folder):
    """A cleaner of /tmp takes files by their age, and spares sockets that are listened on."""
    proxy = segue(db, arguments=listen(f"{folder}:6432"))
    (folder / ".s.PGSQL.6432.lock").unlink()
    done = serve(*listen(f"{folder}:6432"))
    assert done.returncode == 1 and "somebody listens there" in done.stderr and "segue serve --takeover" in hint_of(done)
    assert os.listdir(folder) == [".s.PGSQL.6432"]
    with over(folder, proxy, db.name) as c:
        c.execute("SELECT 1")


def test_the_socket_of_a_running_postgresql_is_not_taken(db):
    done = serve(*listen(f"{db.cluster.folder}:{db.cluster.port}"))
    assert done.returncode == 1 and f"process {db.cluster.process.pid} does" in done.stderr
    assert "PostgreSQL" in hint_of(done) and "takeover" not in hint_of(done)
    assert db.connect().execute("SELECT 1").fetchone() == (1,)


def test_a_path_as_long_as_the_system_takes_is_served_and_handed_over(db, folder):
    """107 bytes; the default name of the control socket, which is made of it, has no more room."""
    long = folder / ("x" * (107 - len(f"{folder}//.s.PGSQL.6432")))
    long.mkdir()
    assert len(str(long / ".s.PGSQL.6432")) == 107
    started = []

    def start(*more):
        process = subprocess.Popen([str(PROGRAM), "serve", "--upstream", db.url(), "--listen", f"{long}:6432", *more],
                                   stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline().startswith("segue: listening on")
        with psycopg.connect(host=str(long), port=6432, dbname=db.name, user="postgres") as conn:
            assert conn.execute("SELECT 1").fetchone() == (1,)

    try:
        start()
        start("--takeover")
        assert started[0].wait(20 * SLOW) == 0
    finally:
        for process in started:
            process.terminate()
            process.wait(20 * SLOW)
            process.stdout.close()


@pytest.mark.parametrize("address, says", [
    ("/nonexistent/folder:6432", "cannot create the lock file"),
    ("/" + "x" * 100 + ":6432", "is too long"),
])
def test_a_socket_that_cannot_be_is_said(address, says):
    done = serve(*listen(address))
    assert done.returncode == 1 and says in done.stderr


@pytest.mark.parametrize("address", ["/tmp:0", "/tmp:65536", "/tmp", "/tmp:"])
def test_a_unix_address_needs_a_port(address):
    done = serve("--listen", address)
    assert done.returncode == 2 and "/DIRECTORY:PORT" in done.stderr


def test_ipv6_on_both_legs(private_pg, segue):
    with private_pg.connect() as c:
        c.execute("ALTER SYSTEM SET listen_addresses = '127.0.0.1, ::1'")
    with open(private_pg.data / "pg_hba.conf", "a", encoding="utf-8") as hba:
        hba.write("host all all ::1/128 trust\n")
    private_pg.stop()
    private_pg.start()
    port = free_port()
    proxy = segue(upstream=f"postgresql://postgres@[::1]:{private_pg.port}/postgres", arguments=listen(f"[::1]:{port}"))
    with psycopg.connect(host="::1", port=port, dbname="postgres", user="postgres") as c:
        assert str(c.execute("SELECT inet_client_addr()").fetchone()[0]).startswith("::1")
        row = next(r for r in proxy.console("SHOW SESSIONS") if r["database"] == "postgres")
        assert row["client"].startswith("[::1]:") and row["upstream"] == f"[::1]:{private_pg.port}"


def test_a_star_listens_on_ipv4_and_ipv6(db, segue):
    port = free_port()
    proxy = segue(db, arguments=listen(f"*:{port}"))
    for host in ("127.0.0.1", "::1"):
        with psycopg.connect(host=host, port=port, dbname=db.name, user="postgres"):
            row = next(r for r in proxy.console("SHOW SESSIONS") if r["database"] == db.name)
            assert row["client"].startswith(host if host[0] == "1" else "[::1]:")
        until("its end", lambda: all(r["database"] != db.name for r in proxy.console("SHOW SESSIONS")))


def test_ipv4_and_ipv6_can_be_named_beside_each_other(db, segue):
    port = free_port()
    segue(db, arguments=listen(f"0.0.0.0:{port}", f"[::]:{port}"))
    for host in ("127.0.0.1", "::1"):
        psycopg.connect(host=host, port=port, dbname=db.name, user="postgres").close()


NAMED = 'mount --make-rprivate / && mount --bind "$1" /etc/hosts && shift && exec "$@"'


def test_a_name_is_listened_on_with_all_its_addresses_that_are_this_machines(db, segue, tmp_path):
    """As localhost often has two, of which a machine without IPv6 has one."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.2 many.test\n::1 many.test\n192.0.2.1 many.test\n127.0.0.2 many.test\n", encoding="ascii")
    port = free_port()
    proxy = segue(db, workers=1, start=False, arguments=listen(f"many.test:{port}"))
    usual = proxy.command
    proxy.command = lambda: ["unshare", "-m", "sh", "-c", NAMED, "sh", str(hosts), *usual()]
    proxy.start()
    for host in ("127.0.0.2", "::1"):
        psycopg.connect(host=host, port=port, dbname=db.name, user="postgres").close()
    rows = sorted(row["address"] for row in proxy.console("SHOW LISTENERS"))
    assert rows == [f"127.0.0.1:{proxy.port}", f"127.0.0.2:{port}", f"[::1]:{port}"]


def test_whom_the_upstream_lets_in_without_asking_is_told_of_once(private_pg, segue, certs):
    """Over a Unix socket pg_hba.conf sees segue's system user, over loopback what it would see of the client."""
    with private_pg.connect() as c:
        c.execute("CREATE ROLE asked LOGIN PASSWORD 'x'")
        hba = private_pg.data / "pg_hba.conf"
        hba.write_text("local all asked scram-sha-256\n" + hba.read_text(encoding="utf-8"), encoding="utf-8")
        c.execute("SELECT pg_reload_conf()")
    unasked = "let this client in without asking"
    until("it to ask", lambda: asks(private_pg))
    judged = {"auth": "password", "client_tls_cert_file": certs.server.cert, "client_tls_key_file": certs.server.key}
    for options in ({}, judged):
        upstream = f"postgresql://postgres@/postgres?host={private_pg.folder}&port={private_pg.port}"
        local = segue(upstream=upstream, **options)
        local.connect("postgres", "asked", password="x").close()
        assert unasked not in local.log_text()
        for _ in range(2):
            local.connect("postgres", password="nobody looks at it").close()
        log = local.logged(unasked)
        assert log.count(unasked) == 1 and "pg_hba.conf judges segue's address" in log
    over_tcp = segue(upstream=private_pg.url())
    over_tcp.connect("postgres").close()
    assert unasked not in over_tcp.log_text()


def asks(cluster):
    try:
        psycopg.connect(host=str(cluster.folder), port=cluster.port, dbname="postgres", user="asked").close()
    except psycopg.OperationalError:
        return True
    return False


def test_a_full_queue_of_a_unix_socket_upstream_is_waited_for(db, segue, tmp_path_factory):
    """connect() on a Unix socket whose queue is full says EAGAIN at once."""
    folder = Path(tmp_path_factory.mktemp("q"))
    path = folder / ".s.PGSQL.5432"
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen(0)
    fillers = []
    while True:
        one = socket.socket(socket.AF_UNIX)
        one.setblocking(False)
        fillers.append(one)
        try:
            one.connect(str(path))
        except BlockingIOError:
            break
    proxy = segue(upstream=f"host={folder} user=postgres dbname=postgres", upstream_wait_ms=300)
    with pytest.raises(psycopg.OperationalError, match="its queue of connections is full"):
        proxy.connect("postgres")
    for one in [server, *fillers]:
        one.close()
