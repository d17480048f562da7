"""The control socket of a takeover: who may use it, and what else comes to it."""

import os
import re
import signal
import socket
import stat
import struct
import subprocess
import sys

import psycopg
import pytest
from lib.operations import connected
from lib.segue import BUILD, REPO
from lib.takeover import NOBODY, MAGIC, Peer, ended, listening, serves, sockets_of, successor  # noqa: F401 - successor is a fixture
from lib.wait import free_port, until

sys.path.append(str(REPO / "tests"))

from faults.stage import Told  # noqa: E402

pytestmark = pytest.mark.one_version


def test_another_user_is_refused_and_logged(segue, db):
    if os.geteuid() != 0:
        pytest.skip("needs another user to be")
    old = segue(db)
    code = ("import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET);"
            f"s.connect('\\0segue.127.0.0.1:{old.port}'); print(s.recv(1000))")
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, user=NOBODY,
                          group=NOBODY, extra_groups=[], cwd="/")
    assert f"user {NOBODY}" in said.stdout, said.stderr
    old.logged(re.compile(f"takeover refused.*user {NOBODY}"))
    assert serves(old)


def test_the_control_socket_of_another_user_is_not_believed(segue, db, successor):
    """Anybody may take a name in the abstract namespace: the new process asks the kernel who has it."""
    if os.geteuid() != 0:
        pytest.skip("needs another user to be")
    old = segue(db)
    old.stop()
    code = ("import socket, time; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET);"
            f"s.bind('\\0segue.127.0.0.1:{old.port}'); s.listen(); print('there', flush=True); time.sleep(60)")
    false = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, user=NOBODY, group=NOBODY,
                             extra_groups=[], cwd="/")
    assert false.stdout.readline()
    done = subprocess.run(successor(old, start=False).command(), capture_output=True, text=True, timeout=60)
    false.kill()
    false.wait()
    false.stdout.close()
    assert done.returncode == 1 and f"user {NOBODY}" in done.stderr


GARBAGE = [b"", b"\0", b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\5R", b"\0\0\0\x11H" + bytes(12), b"\xff" * 400, b"x" * 5000,
           struct.pack("!IcIII", 17, b"H", MAGIC, 0, 1), struct.pack("!IcIII", 18, b"H", MAGIC, 1, 1)]


def test_garbage_on_the_control_socket_is_refused_and_harms_nobody(segue, db, successor):
    old = segue(db)
    connected(old)  # and the console: all that stays open
    with old.connect() as session:
        for packet in GARBAGE:
            with Peer(old) as peer:
                peer.sock.send(packet)
                assert peer.hear()[0] == "X"
        for packet in GARBAGE[1:]:
            with Peer(old) as peer:
                peer.hello()
                peer.descriptors()
                socket.send_fds(peer.sock, [packet], [0])
                assert until("refused", peer.hear)[0] == "X" if packet != b"\0\0\0\5R" else True
        assert session.execute("SELECT 1").fetchone() == (1,)
    until("the session to be gone", lambda: len(old.console("SHOW SESSIONS")) == 1)
    held = len(os.listdir(f"/proc/{old.process.pid}/fd"))
    for _ in range(50):
        with Peer(old) as peer:
            socket.send_fds(peer.sock, [b"junk"], [0, 1])
    new = None
    until("nothing left open", lambda: len(os.listdir(f"/proc/{old.process.pid}/fd")) <= held)
    new = successor(old)
    assert serves(new) and ended(old) == 0


def test_a_second_takeover_while_one_is_under_way_is_refused(segue, db, successor):
    old = segue(db)
    with Peer(old) as first:
        first.hello()
        first.descriptors()
        with Peer(old) as second:
            assert second.hear() == ("X", f"a takeover by process {os.getpid()} is under way")
        done = subprocess.run(successor(old, start=False).command(), capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and "is under way" in done.stderr
    new = successor(old)
    assert serves(new) and ended(old) == 0


def test_a_second_segue_without_takeover_refuses_the_address_and_with_it_starts_where_nobody_is(segue, db, successor):
    old = segue(db)
    new = successor(old, start=False)
    done = subprocess.run([word for word in new.command() if word != "--takeover"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "Address already in use" in done.stderr and "--takeover" in done.stderr
    assert serves(old)
    old.stop()
    new.start()
    new.logged("starting as usual")
    assert serves(new)


def test_a_control_socket_in_the_file_system_is_handed_on_and_removed_at_the_end(segue, db, successor, tmp_path):
    path = tmp_path / "control"
    old = segue(db, control_socket=path)
    assert path.stat().st_mode & 0o777 == 0o600
    new = successor(old)
    assert ended(old) == 0 and path.exists()
    new.kill9()
    new = successor(old)  # the file is left, nobody behind it
    new.logged("starting as usual")
    newest = successor(new)
    assert ended(new) == 0
    newest.stop()
    assert not path.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_new_process_that_is_told_to_end_before_it_takes_over_takes_nothing(segue, db, successor, number):
    old = segue(db)
    new = successor(old, start=False)
    with old.connect() as session:
        session.execute("BEGIN")
        old.freeze()
        try:
            new.process = subprocess.Popen(new.command(), stdout=subprocess.DEVNULL, stderr=open(new.log, "ab"),
                                           stdin=subprocess.DEVNULL)
            until("it to ask", lambda: sockets_of(new) > 0)
            new.signal(number)
        finally:
            old.signal(signal.SIGCONT)
        assert ended(new) == 1
        new.logged(f"told to end before it had taken over from process {old.process.pid}")
        old.logged("clients are served here as before")
        assert serves(old)
        session.execute("COMMIT")
    new = successor(old)
    assert serves(new) and ended(old) == 0


def test_a_second_segue_is_not_let_in_beside_another_at_whichever_of_its_addresses(segue, db, successor):
    """The kernel would deal the clients out between both, and those who wait in the queue of who ends would be lost."""
    old = segue(db)
    command = successor(old, start=False).command()
    command[command.index("--listen") + 1] = f"127.0.0.1:{free_port()},127.0.0.1:{old.port}"
    alone = [word for word in command if word != "--takeover"]
    for words, hint in (command, "control_socket does not lead to it"), (alone, "segue serve --takeover"):
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and f"cannot listen on 127.0.0.1:{old.port}: Address already in use" in done.stderr
        assert hint in done.stderr
    assert listening(old) == 2 and serves(old)
    addresses = f"127.0.0.1:{old.port},0.0.0.0:{old.port}"  # another address of a port that is handed over
    new = successor(old, start=False)
    command = new.command()
    command[command.index("--listen") + 1] = addresses
    new.command = lambda: command
    new.start()
    assert serves(new) and ended(old) == 0


def test_a_new_process_that_is_killed_just_before_it_serves_leaves_unix_sockets_to_the_old_one(segue, db, successor, tmp_path):
    """Its lock file would say of a dead process that it listens there, and anybody might take the path."""
    path, lock = tmp_path / ".s.PGSQL.6432", tmp_path / ".s.PGSQL.6432.lock"
    old = segue(db, arguments=["--listen", f"127.0.0.1:0,{tmp_path}:6432"])
    new = successor(old, start=False, arguments=["--listen", f"127.0.0.1:{old.port},{tmp_path}:6432"], unix_socket_mode="0700")
    new.program = BUILD / "faults" / "segue"
    done = subprocess.run(new.command(), capture_output=True, timeout=60, env={**os.environ, "SEGUE_FAULT": "takeover_accepting:die"})
    assert done.returncode == -signal.SIGKILL
    old.logged("clients are served here as before")
    assert lock.read_text().splitlines()[0] == str(old.process.pid)
    assert stat.S_IMODE(path.stat().st_mode) == 0o777
    old.stop()
    assert not path.exists() and not lock.exists()


def test_sigterm_while_a_successor_sets_itself_up_leaves_it_the_paths_of_sockets(segue, db, successor, tmp_path):
    """It has the sockets, and nobody but it will serve them: without their paths nobody finds it."""
    path, control = tmp_path / ".s.PGSQL.6432", tmp_path / "control"
    listen = f"127.0.0.1:{free_port()},{tmp_path}:6432"
    old = segue(db, start=False, arguments=["--listen", listen, "--control-socket", str(control)])
    old.start()
    new = successor(old, start=False, arguments=["--listen", listen, "--control-socket", str(control)])
    told = Told(lambda _: old.signal(signal.SIGTERM) or ended(old))
    new.program = BUILD / "faults" / "segue"
    new.environment = {**new.environment, "SEGUE_FAULT": "takeover_taken:tell", "SEGUE_FAULT_SOCKET": told.path}
    new.start()
    told.close()
    assert path.is_socket() and control.is_socket()
    with psycopg.connect(host=str(tmp_path), port=6432, dbname=db.name, user="postgres") as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)
    third = successor(new, start=False, arguments=["--listen", listen, "--control-socket", str(control)])
    third.start()
    assert ended(new) == 0 and serves(third)


@pytest.mark.parametrize("gone", ["a", "b"])
def test_a_takeover_that_cannot_serve_one_of_the_sockets_leaves_the_others(segue, db, successor, tmp_path, gone):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o777)
    listen = f"127.0.0.1:{free_port()},{tmp_path}/a:6432,{tmp_path}/b:6432"
    old = segue(db, arguments=["--listen", listen])
    (tmp_path / gone / ".s.PGSQL.6432").unlink()
    new = successor(old, start=False, arguments=["--listen", listen])
    done = subprocess.run(new.command(), capture_output=True, timeout=60)
    assert done.returncode == 1 and b"set the permissions of" in done.stderr
    left = tmp_path / ("b" if gone == "a" else "a")
    with psycopg.connect(host=str(left), port=6432, dbname=db.name, user="postgres") as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)
    assert (left / ".s.PGSQL.6432.lock").read_text().splitlines()[0] == str(old.process.pid)
    old.stop()
    assert not (left / ".s.PGSQL.6432").exists()
