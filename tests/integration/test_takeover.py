"""serve --takeover: a new segue takes the place of the one that runs, and no client notices."""

import contextlib
import os
import re
import select
import signal
import socket
import subprocess
import threading
import time

import psycopg
import pytest
from lib.operations import connected
from lib.rawwire import CANCEL, Raw, packet, query, startup
from lib.tables import RENAME, make_items
from lib.takeover import Peer, ended, listening, serves, shown, sockets_of, successor  # noqa: F401 - successor is a fixture
from lib.wait import SLOW, free_port, until
from test_tls_legs import client_tls

pytestmark = pytest.mark.one_version


# ---- no attempt is lost ----


class Connectors:
    """Clients that connect, ask and leave, all the time, from several threads."""

    def __init__(self, proxy, threads=4):
        self.port, self.dbname = proxy.port, proxy.dbname
        self.done, self.errors, self.stop = 0, [], threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(threads)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def _run(self, number):
        attempt = 0
        while not self.stop.is_set():
            attempt += 1
            try:
                with psycopg.connect(host="127.0.0.1", port=self.port, dbname=self.dbname, user="postgres",
                                     autocommit=True, connect_timeout=30) as conn:
                    (answer,) = conn.execute("SELECT %s::int * 2", (attempt,)).fetchone()
                    assert answer == attempt * 2, (number, attempt, answer)
            except Exception as error:  # noqa: BLE001 - every kind of failure counts
                with self.lock:
                    self.errors.append(f"{type(error).__name__}: {error}")
                continue
            with self.lock:
                self.done += 1


class LongLived:
    """One session with all that a session can hold; each round is checked."""

    def __init__(self, proxy, db, number):
        self.number, self.db = number, db
        self.conn = proxy.connect()
        self.conn.execute(f"LISTEN news_{number}")
        self.conn.execute("CREATE TEMP TABLE mine (n int)")
        self.conn.execute("PREPARE twice (int) AS SELECT $1 * 2")
        self.conn.execute("SELECT pg_advisory_lock(%s)", (number,))
        self.conn.execute("SET segue_test.word = 'kept'")
        self.conn.execute("BEGIN")
        self.acknowledged = 0

    def round(self):
        """Ends the open transaction and begins the next."""
        self.acknowledged += 1
        self.conn.execute("INSERT INTO writes VALUES (%s, %s)", (self.number, self.acknowledged))
        self.conn.execute("INSERT INTO mine VALUES (%s)", (self.acknowledged,))
        self.conn.execute("COMMIT")
        assert self.conn.execute("EXECUTE twice(21)").fetchone() == (42,)
        assert self.conn.execute("SELECT count(*) FROM mine").fetchone() == (self.acknowledged,)
        assert self.conn.execute("SHOW segue_test.word").fetchone() == ("kept",)
        self.db.sql(f"NOTIFY news_{self.number}, 'round {self.acknowledged}'")
        heard = next(self.conn.notifies())
        assert heard.payload == f"round {self.acknowledged}"
        self.conn.execute("BEGIN")

    def close(self):
        self.conn.execute("COMMIT")
        self.conn.close()


def test_ten_takeovers_in_a_row_under_load_lose_no_attempt_and_no_write(segue, db, successor):
    db.sql("CREATE TABLE writes (session int, n int)")
    chain = [segue(db, workers=1)]
    olds = []
    with Connectors(chain[0]) as load:
        for turn in range(10):
            olds.append(LongLived(chain[-1], db, turn))
            chain.append(successor(chain[-1], workers=[4, 2, 1][turn % 3]))
            for session in olds:
                session.round()
            before = load.done
            until("new clients", lambda: load.done > before + 20)
    assert load.errors == []
    assert all(proxy.running() for proxy in chain), "each still has a session"
    until("the sum of all reports", lambda: shown(chain[-1], "predecessor")["sessions"] == len(olds))
    written = {session.number: session.acknowledged for session in olds}
    for session in olds:
        session.close()
    assert [ended(proxy) for proxy in chain[:-1]] == [0] * 10
    assert dict(db.sql("SELECT session, count(*) FROM writes GROUP BY 1")) == written
    until("nobody before", lambda: shown(chain[-1], "predecessor") is None)


def test_all_queues_are_served_whatever_the_number_of_workers(segue, db, successor):
    one = segue(db, workers=1)
    assert listening(one) == 1
    four = successor(one, workers=4)
    assert ended(one) == 0 and listening(four) == 4
    two = successor(four, workers=2)
    assert ended(four) == 0 and listening(two) == 4
    waiting = [psycopg.connect(two.url(), autocommit=True) for _ in range(40)]
    assert {row["worker"] for row in two.console("SHOW SESSIONS")} == {0, 1}
    for conn in waiting:
        conn.close()


def test_a_client_that_waits_in_a_queue_while_nobody_accepts_is_served_by_the_new_process(segue, db, successor):
    old = segue(db, workers=2)
    old.freeze()
    waiting = []
    try:
        for _ in range(8):
            sock = socket.create_connection(("127.0.0.1", old.port), 20)
            sock.sendall(startup(user="postgres", database=db.name))
            waiting.append(sock)
        new = successor(old, start=False)
        starter = threading.Thread(target=new.start)
        starter.start()
        assert not select.select(waiting, [], [], 0.3)[0]
    finally:
        os.kill(old.process.pid, signal.SIGCONT)
    starter.join()
    for sock in waiting:
        sock.settimeout(20 * SLOW)
        assert sock.recv(1) == b"R"
        sock.close()


# ---- the new process fails ----


STEPS = ["connected", "hello", "descriptors", "ready", "go"]


@pytest.mark.parametrize("step", STEPS)
def test_a_new_process_that_dies_before_it_accepts_changes_nothing(segue, db, successor, step):
    old = segue(db)
    with old.connect() as session, Connectors(old, 2) as load:
        session.execute("BEGIN")
        with Peer(old) as peer:
            reached = STEPS.index(step)
            if reached >= 1:
                peer.hello()
            if reached >= 2:
                assert peer.descriptors() == 3  # two workers and the control socket
            if reached >= 3:
                peer.say(b"R")
            if reached >= 4:
                assert peer.hear() == ("G",)
        old.logged("clients are served here as before")
        before = load.done
        until("new clients", lambda: load.done > before + 10)
        session.execute("COMMIT")
    assert load.errors == []
    assert listening(old) == 2
    new = successor(old)
    assert serves(new) and ended(old) == 0


def has_heard_all(old):
    """Waits until it has read what a successor has sent to it: it has let go of its sockets, or refuses the next who comes."""
    with Peer(old) as late:
        with contextlib.suppress(OSError):
            late.say(b"R")  # nothing that a takeover begins with
        until("it to have heard all", lambda: "has taken over" in old.log_text() or select.select([late.sock], [], [], 0)[0])


@pytest.mark.deadline(120)
def test_new_processes_killed_at_any_moment_change_nothing(segue, db, successor):
    """Real ones, killed so many milliseconds after their start; late ones have taken over, and the next follows them."""
    last = segue(db)
    everyone = [last]
    with Connectors(last, 2) as load:
        for delay_ms in range(0, 40, 3):
            new = successor(last, start=False)
            new.process = subprocess.Popen(new.command(), stdout=subprocess.DEVNULL, stderr=open(new.log, "ab"),
                                           stdin=subprocess.DEVNULL)
            time.sleep(delay_ms / 1000)
            new.freeze()  # what it has done, it has done
            has_heard_all(last)
            if "has taken over" in last.log_text():
                os.kill(new.process.pid, signal.SIGCONT)
                everyone.append(new)
                last = new
                break
            new.kill9()
            before = load.done
            until("new clients", lambda: load.done > before + 5)
    assert load.errors == []
    assert serves(last)
    if len(everyone) == 1:
        new = successor(last)
        assert serves(new)
    assert ended(everyone[0]) == 0


def test_sockets_of_a_new_process_catch_nobody_before_it_accepts(segue, db, successor):
    """It has bound four more of them when it is killed, waiting for the GO of the old one, which is stopped."""
    for _ in range(10):
        old = segue(db)
        new = successor(old, start=False, workers=6)
        new.process = subprocess.Popen(new.command(), stdout=subprocess.DEVNULL, stderr=open(new.log, "ab"),
                                       stdin=subprocess.DEVNULL)
        until("the offer", lambda: "it was given" in old.log_text(), every=0.0002)
        old.freeze()
        try:
            until("its sockets", lambda: sockets_of(new) >= 6 + 1)
            waiting = [socket.create_connection(("127.0.0.1", old.port), 20) for _ in range(30)]
            for sock in waiting:
                sock.sendall(startup(user="postgres", database=db.name))
            new.kill9()
        finally:
            old.signal(signal.SIGCONT)
        until("what came of it", lambda: re.search("as before|has taken over", old.log_text()))
        if "has taken over" not in old.log_text():
            break
        for sock in waiting:  # GO was said already: it was killed while it served them
            sock.close()
    else:
        pytest.fail("the moment could not be caught")
    for sock in waiting:
        sock.settimeout(20 * SLOW)
        assert sock.recv(1) == b"R"
        sock.close()


def test_a_new_process_that_cannot_start_says_why_and_changes_nothing(segue, db, successor):
    old = segue(db)
    done = subprocess.run([*successor(old, start=False).command(), "--workers", "many"], capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 2
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    new = successor(old, start=False)
    command = new.command()
    command[command.index("--listen") + 1] += f",127.0.0.1:{taken.getsockname()[1]}"
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "cannot listen" in done.stderr
    taken.close()
    old.logged("clients are served here as before")
    assert serves(old) and listening(old) == 2


def test_a_new_process_killed_after_it_took_over_leaves_the_sessions_of_the_old_one_alone(segue, db, successor):
    old = segue(db)
    with old.connect() as session:
        session.execute("BEGIN")
        new = successor(old)
        new.kill9()
        old.logged("the successor is not told any more")
        again = successor(old)  # what supervises it starts it once more
        again.logged("starting as usual")
        assert serves(again)
        session.execute("COMMIT")
        assert session.execute("SELECT 1").fetchone() == (1,)
    assert ended(old) == 0


# ---- the old process ends ----


def test_an_old_process_that_dies_with_its_sockets_handed_out_is_replaced(segue, db, successor):
    old = segue(db)
    ready = threading.Event()
    new = successor(old, start=False)

    def kill_between():
        until("offered", lambda: "it was given" in old.log_text(), every=0.0005)
        old.process.kill()
        ready.set()

    killer = threading.Thread(target=kill_between)
    killer.start()
    new.start()
    killer.join()
    assert ready.is_set() and serves(new)
    until("nobody before", lambda: shown(new, "predecessor") is None)


def test_an_old_process_killed_while_it_drains_takes_only_its_own_sessions_along(segue, db, successor):
    old = segue(db)
    with old.connect() as lost:
        lost.execute("SELECT 1")
        new = successor(old)
        assert shown(new, "predecessor")["sessions"] >= 1
        with Connectors(new, 2) as load:
            old.kill9()
            until("noticed", lambda: shown(new, "predecessor") is None)
            with pytest.raises(psycopg.OperationalError):
                lost.execute("SELECT 1")
        assert load.errors == [] and load.done


def test_idle_sessions_live_on_until_the_deadline_and_end_with_57p01(segue, db, successor):
    old = segue(db, takeover_timeout_s=6, drain_timeout_s=20)
    with old.connect() as idle, old.connect() as busy:
        busy.execute("BEGIN")
        began = time.monotonic()
        new = successor(old)
        assert idle.execute("SELECT 1").fetchone() == (1,)
        row = shown(new, "predecessor")
        assert row["pid"] == old.process.pid and row["ends_in_s"] <= 6
        assert select.select([idle.fileno()], [], [], 20 * SLOW)[0]
        assert time.monotonic() - began > 5.5
        with pytest.raises(psycopg.OperationalError, match="administrator command"):
            idle.execute("SELECT 1")
        assert busy.execute("SELECT 1").fetchone() == (1,), "not at a safe point"
        with contextlib.suppress(psycopg.OperationalError):
            busy.execute("COMMIT")
        assert ended(old) == 0
        assert serves(new)


def test_a_cancel_request_for_a_session_of_the_old_process_comes_to_the_new_one_and_reaches_the_server(segue, db, successor):
    old = segue(db)
    with Raw(old.port).login(db.name) as client:
        new = successor(old)
        client.send(query("SELECT pg_sleep(60)"))
        until("the statement", lambda: db.one("SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND "
                                              "state = 'active' AND datname = current_database()"))
        with Raw(new.port).send(packet(CANCEL, client.key)) as other:
            assert other.read() is None
        assert client.error()["C"] == "57014"
        assert client.until_ready() == "ZI"
        assert shown(new, "predecessor")["sessions"] == 1
    assert ended(old) == 0


def test_either_log_says_which_sockets_went_over(segue, db, successor):
    for workers, listening in (1, "1 listening socket and"), (2, "2 listening sockets and"):
        old = segue(db, workers=workers)
        new = successor(old)
        old.logged(f"it was given {listening} the control socket")
        new.logged(f"taking over from process {old.process.pid}: {listening} the control socket")
        assert ended(old) == 0


def test_sigterm_ends_a_predecessor_as_usual(segue, db, successor):
    old = segue(db)
    with old.connect() as idle:
        new = successor(old)
        old.signal(signal.SIGTERM)
        assert ended(old) == 0
        with pytest.raises(psycopg.OperationalError, match="administrator command"):
            idle.execute("SELECT 1")
        assert serves(new)


def test_sigterm_while_a_successor_sets_itself_up_does_not_hide_the_sessions_that_drain(segue, db, successor):
    """What supervises both starts the new one and ends the old one in one breath."""
    make_items(db, rows=10)
    old = segue(db, drain_timeout_s=60)
    name = old.ready(RENAME)
    with old.connect() as session:
        session.execute("BEGIN")
        with Peer(old) as peer:
            peer.hello()
            peer.descriptors()  # and now the new one reads its configuration
            old.signal(signal.SIGTERM)
            old.logged("ending: ")
            peer.say(b"R")
            assert peer.hear() == ("G",)
            peer.say(b"A")
            kind, sessions, left_s, working = peer.hear()
            assert (kind, left_s, working) == ("S", 60, 0) and sessions >= 1
        session.execute("SELECT count(*) FROM items")
        session.execute("COMMIT")
    assert ended(old) == 0
    new = successor(old)
    new.logged("starting as usual")
    connected(new).cli("cutover", name)
    with new.connect() as session:
        session.execute("BEGIN")
        new.signal(signal.SIGTERM)
        new.logged("ending: ")
        with Peer(new) as late:
            assert late.hear() == ("X", "the running segue is ending")


def test_a_cut_over_waits_for_sessions_that_drain_since_before_the_takeover(segue, db, successor):
    make_items(db, rows=10)
    old = segue(db, drain_timeout_s=60)
    name = old.ready(RENAME)
    new = successor(old, start=False)
    with old.connect() as session:
        session.execute("BEGIN")
        new.process = subprocess.Popen(new.command(), stdout=subprocess.DEVNULL, stderr=open(new.log, "ab"),
                                       stdin=subprocess.DEVNULL)
        until("the offer", lambda: "it was given" in old.log_text(), every=0.0002)
        old.signal(signal.SIGTERM)
        old.logged("has taken over")
        connected(new)
        until("the report", lambda: shown(new, "predecessor")["sessions"] == 1)
        new.console(f"CUTOVER {name}")
        new.wait(name, lambda row: "predecessor" in (row["blockers"] or ""))
        assert session.execute("SELECT count(label) FROM items").fetchone() == (10,)
        session.execute("COMMIT")
    new.wait_phase(name, "soaking")
    assert ended(old) == 0


@pytest.mark.parametrize("how", ["deadline", "SIGTERM", "a second SIGTERM"])
def test_a_middle_process_without_sessions_goes_on_telling_of_those_of_the_first(segue, db, successor, how):
    make_items(db, rows=10)
    first = segue(db, takeover_timeout_s=600)
    name = first.ready(RENAME)
    with first.connect() as session:
        session.execute("BEGIN")
        session.execute("SELECT count(*) FROM items")
        middle = successor(first, takeover_timeout_s=1 if how == "deadline" else 600, drain_timeout_s=1)
        connected(middle)
        with middle.connect() as idle:
            last = successor(middle, takeover_timeout_s=600)
            until("both reports", lambda: shown(last, "predecessor")["sessions"] >= 2)
            if how != "deadline":
                middle.signal(signal.SIGTERM)
            middle.logged(f"process {first.process.pid} still serves sessions: this one stays")
            with pytest.raises(psycopg.OperationalError, match="administrator command"):
                idle.execute("SELECT 1")
        if how == "a second SIGTERM":
            middle.signal(signal.SIGTERM)
            middle.logged("second signal: ending now")
        connected(last)
        until("the first one's", lambda: shown(last, "predecessor")["sessions"] == 1)
        last.console(f"CUTOVER {name}")
        row = last.wait(name, lambda row: "predecessor" in (row["blockers"] or ""))
        assert row["blockers"] == f"waiting for 1 sessions of the predecessor, process {first.process.pid}"
        row = shown(last, "predecessor")
        assert row["pid"] == middle.process.pid and row["sessions"] == 1 and row["ends_in_s"] > 500
        doctor = last.cli("doctor", check=None).out
        assert f"process {first.process.pid}, serves 1 session:" in doctor, doctor
        assert f"kill -TERM {first.process.pid}" in doctor
        session.execute("UPDATE items SET label = 'by the first' WHERE id = 1")
        assert middle.running() and last.phase(name) == "cutting_over"
        session.execute("COMMIT")
    last.wait_phase(name, "soaking")
    assert ended(first) == 0 and ended(middle) == 0
    assert shown(last, "predecessor") is None
    assert db.one("SELECT title FROM items WHERE id = 1") == "by the first"


def test_sessions_of_a_first_process_that_is_killed_are_not_told_of_any_more(segue, db, successor):
    first = segue(db)
    with first.connect():
        middle = successor(first)
        with middle.connect() as session:
            last = successor(middle)
            until("both reports", lambda: shown(last, "predecessor")["sessions"] == 2)
            first.kill9()
            until("the report", lambda: shown(last, "predecessor")["sessions"] == 1)
            assert session.execute("SELECT 1").fetchone() == (1,)
    assert ended(middle) == 0


def test_a_shorter_deadline_reaches_a_predecessor_by_sighup(segue, db, successor, tmp_path):
    config = tmp_path / "old.json"
    config.write_text('{"takeover_timeout_s": 600}')
    old = segue(db, arguments=["-c", str(config)])
    with old.connect():
        new = successor(old)
        assert shown(new, "predecessor")["ends_in_s"] > 500
        config.write_text('{"takeover_timeout_s": 1}')
        old.signal(signal.SIGHUP)
        assert ended(old) == 0


# ---- what the new configuration says ----


def starting(proxy, listen):
    """Starts it with other addresses than the fixture's."""
    command = proxy.command()
    command[command.index("--listen") + 1] = listen
    proxy.command = lambda: command
    return proxy.start()


@pytest.mark.parametrize("before, after", [("[::]:{0},0.0.0.0:{0}", "*:{0}"), ("*:{0}", "[::]:{0}")])
def test_every_address_is_not_every_address_of_ipv6(segue, db, successor, before, after):
    """Both are shown as [::]; a socket of the one does not serve, or serves too much, as the other."""
    port = free_port()
    old = starting(segue(db, start=False), before.format(port))
    new = starting(successor(old, start=False), after.format(port))
    assert ended(old) == 0

    def reached(host):
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection((host, port), 5):
            return True

    new.logged("no longer listening on")
    until("IPv4 to be served or not", lambda: bool(reached("127.0.0.1")) == ("*" in after))
    assert reached("::1")
    new._drop_console()


def test_addresses_are_added_and_those_removed_are_served_until_empty(segue, db, successor):
    old = segue(db)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        extra = probe.getsockname()[1]

    both = starting(successor(old, start=False), f"127.0.0.1:{old.port},127.0.0.1:{extra}")
    assert ended(old) == 0
    with psycopg.connect(host="127.0.0.1", port=extra, dbname=db.name, user="postgres") as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)
    only = starting(successor(both, start=False), f"127.0.0.1:{both.port}")
    assert ended(both) == 0
    until("told in the log", lambda: only.log_text().count(f"no longer listening on 127.0.0.1:{extra}") == 2)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", extra), 5)
    assert serves(only)


def test_unix_sockets_are_handed_on_and_their_lock_files_with_them(segue, db, successor, tmp_path):
    folder, path, lock = tmp_path, tmp_path / ".s.PGSQL.6432", tmp_path / ".s.PGSQL.6432.lock"
    old = segue(db, arguments=["--listen", f"127.0.0.1:0,{folder}:6432"])
    errors, done, stop = [], [], threading.Event()

    def connect_all_the_time():
        while not stop.is_set():
            try:
                with psycopg.connect(host=str(folder), port=6432, dbname=db.name, user="postgres") as conn:
                    done.append(conn.execute("SELECT 1").fetchone())
            except psycopg.Error as error:
                errors.append(str(error))

    load = threading.Thread(target=connect_all_the_time)
    load.start()
    with psycopg.connect(host=str(folder), port=6432, dbname=db.name, user="postgres", autocommit=True) as session:
        chain = [old]
        for workers in (3, 1):
            chain.append(starting(successor(chain[-1], start=False, workers=workers),
                                  f"127.0.0.1:{old.port},{folder}:6432"))
            assert lock.read_text().splitlines()[0] == str(chain[-1].process.pid)
            before = len(done)
            until("new clients", lambda: len(done) > before + 10)
        assert session.execute("SELECT 1").fetchone() == (1,)
    stop.set()
    load.join()
    assert errors == []
    assert ended(chain[0]) == 0 and ended(chain[1]) == 0
    assert path.is_socket() and lock.exists(), "not the old processes' any more"
    last = starting(successor(chain[-1], start=False), f"127.0.0.1:{old.port}")
    assert ended(chain[-1]) == 0
    until("both are gone", lambda: not path.exists() and not lock.exists())
    assert serves(last)


def test_a_new_segue_may_ask_for_tls_where_the_old_one_had_none(segue, db, successor, certs):
    old = segue(db)
    with old.connect() as plain:
        with pytest.raises(psycopg.OperationalError, match="does not support SSL"):
            old.connect(sslmode="require")
        new = successor(old, **client_tls(certs, "require"))
        with new.connect(sslmode="verify-ca", sslrootcert=str(certs.ca)) as safe:
            assert safe.execute("SELECT 1").fetchone() == (1,)
            newest = successor(new)
            assert safe.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError):
            newest.connect(sslmode="disable")
        assert plain.execute("SELECT 1").fetchone() == (1,)


def test_the_new_options_hold_for_new_clients(segue, db, successor):
    old = segue(db)
    with old.connect() as session:
        new = successor(old, sessions_max=1)
        with new.connect(), pytest.raises(psycopg.OperationalError, match="sessions_max|too many"):
            new.connect()
        assert session.execute("SELECT 1").fetchone() == (1,)
