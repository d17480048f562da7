"""Much, slowly, unasked: messages of any size in constant memory, back-pressure, what comes while the gate holds."""

import os
import select
import socket
import struct
import threading
import time

import pytest
from lib.hostile import Hostile
from lib.rawwire import COPY_DONE, SYNC, Raw, execute, message, parse, query
from lib.tables import RENAME, make_items
from lib.wait import SLOW, until

MB = 1 << 20
HUGE_MB = int(os.environ.get("SEGUE_HUGE_MB", "200"))  # SEGUE_HUGE_MB=1000: as large as PostgreSQL allows
GROWTH_KB_MAX = 4096 if SLOW == 1.0 else 65536  # sanitizers keep freed memory
KEEPS_LITTLE = {"ASAN_OPTIONS": "quarantine_size_mb=16"}  # of its 256


def memory_kb(proxy, field="VmRSS"):
    with open(f"/proc/{proxy.process.pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(field))


def forget_peak(proxy):
    with open(f"/proc/{proxy.process.pid}/clear_refs", "w", encoding="ascii") as f:
        f.write("5")


def send_zeros(raw, count):
    block = bytes(MB)
    while count > 0:
        raw.sock.sendall(block[:count])
        count -= len(block)


def count_body(raw):
    """Reads one message and forgets it: (type, size of the body)."""
    head = raw.take(5)
    left = size = struct.unpack("!I", head[1:])[0] - 4
    left -= len(raw.left[:left])
    raw.left = raw.left[size:] if left == 0 else b""
    while left > 0:
        left -= len(raw.sock.recv(min(left, MB)))
    return chr(head[0]), size


def bind_of(size):
    """The head of a Bind with one binary parameter of so many bytes, and what follows the value."""
    head = b"\0\0" + struct.pack("!HHHI", 1, 1, 1, size)
    tail = struct.pack("!H", 0)
    return b"B" + struct.pack("!I", 4 + len(head) + size + len(tail)) + head, tail


@pytest.mark.one_version
@pytest.mark.deadline(90 if HUGE_MB <= 200 else 600)
@pytest.mark.parametrize("migrating", [False, True], ids=["quiet", "migrating"])
def test_huge_messages_pass_in_constant_memory(db, segue, migrating):
    size = HUGE_MB * MB
    make_items(db, 10)
    proxy = segue(db, environment=KEEPS_LITTLE)
    if migrating:
        proxy.ready(RENAME)
    with Raw(proxy.port, timeout=300) as raw:
        raw.login(db.name)
        raw.send(query("CREATE TEMP TABLE huge (v text)")).until_ready()
        forget_peak(proxy)
        before = memory_kb(proxy, "VmHWM")
        # a parameter
        head, tail = bind_of(size)
        raw.send(parse("SELECT octet_length($1::bytea)"), head)
        send_zeros(raw, size)
        raw.send(tail, execute(), SYNC)
        kinds = []
        while "Z" not in kinds:
            kind, body = raw.read()
            kinds.append(kind)
            if kind == "D":
                assert body[6:] == str(size).encode()
        assert kinds == list("12DCZ")
        # a row of COPY in one CopyData
        raw.send(query("COPY huge FROM STDIN"))
        assert raw.read()[0] == "G"
        raw.send(b"d" + struct.pack("!I", 4 + size // 2 + 1))
        block = b"z" * MB
        for _ in range(HUGE_MB // 2):
            raw.send(block)
        raw.send(b"\n", COPY_DONE)
        assert raw.until_ready() == "CZI"
        # and back, in one DataRow
        raw.send(query("SELECT v FROM huge"))
        assert count_body(raw)[0] == "T"
        assert count_body(raw) == ("D", 6 + HUGE_MB // 2 * MB)
        assert raw.until_ready() == "CZI"
        assert memory_kb(proxy, "VmHWM") - before < GROWTH_KB_MAX


@pytest.mark.one_version
def test_buffers_are_bounded_and_given_back_when_idle(db, segue):
    proxy = segue(db, workers=1, buffer_bytes_max=262144)
    raws = []
    for _ in range(20):
        raw = Raw.__new__(Raw)
        raw.sock = socket.socket()
        raw.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.sock.settimeout(20 * SLOW)
        raw.sock.connect(("127.0.0.1", proxy.port))
        raw.left, raw.key = b"", None
        raws.append(raw.login(db.name))
    idle = memory_kb(proxy)
    for raw in raws:
        raw.send(query("SELECT repeat('y', 100000) FROM generate_series(1, 50)"))
    # nobody reads: each session's buffer fills, and no more
    until("the buffers to fill", lambda: memory_kb(proxy) - idle > 20 * 128)
    time.sleep(0.3)
    assert memory_kb(proxy) - idle < 20 * (256 + 128) + GROWTH_KB_MAX
    with proxy.connect() as other:
        assert other.execute("SELECT 1").fetchone() == (1,)
    for raw in raws:
        raw.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)  # what follows is not to be slow
        assert raw.until_ready() == "T" + "D" * 50 + "CZI"
    if SLOW == 1.0:
        until("the buffers to be given back", lambda: memory_kb(proxy) - idle < 1024)
    for raw in raws:
        raw.sock.close()


def in_state(proxy, name, state):
    return [r for r in proxy.console("SHOW SESSIONS") if r["application_name"] == name and r["state"] == state]


def is_held(proxy, raw, name, words):
    """Sends, as the one client of that application_name; true when it is held, false when it was answered."""
    raw.send(words)

    def known():
        if select.select([raw.sock], [], [], 0)[0]:
            raw.until_ready()
            return "answered"
        return "held" if in_state(proxy, name, "held") else None

    return until("it to be held, or answered", known) == "held"


def test_what_the_server_says_unasked_flows_while_the_gate_holds(db, segue):
    make_items(db, 100)
    with Hostile(db.cluster.port) as relay:
        proxy = segue(upstream=relay.url(db.name), cutover_drain_ms=20000, gate_hold_max_ms=40000)
        proxy.ready(RENAME)
        holder, held = proxy.connect(), Raw(proxy.port).login(db.name, application_name="held one")
        held.send(query("LISTEN news")).until_ready()
        holder.execute("BEGIN")
        holder.execute("UPDATE items SET note = 'mine' WHERE id = 1")
        cutover = threading.Thread(target=proxy.cli, args=("cutover", "rename_label"), kwargs={"check": None})
        cutover.start()
        until("the statement to be held", lambda: is_held(proxy, held, "held one", query("SELECT count(*) FROM items")))
        assert in_state(proxy, "held one", "held")
        db.sql("NOTIFY news, 'while you wait'")
        kind, body = held.read()
        assert kind == "A" and body.endswith(b"news\0while you wait\0")
        unasked = message("S", b"work_mem\x003MB\0") + message("N", b"SNOTICE\0C00000\0Mlook\0\0")
        relay.inject(unasked)
        assert [held.read()[0] for _ in range(2)] == ["S", "N"]
        assert in_state(proxy, "held one", "held")
        holder.execute("COMMIT")
        assert held.until_ready() == "TDCZI"
        cutover.join(60 * SLOW)
        assert proxy.phase("rename_label") == "soaking"
        held.sock.close()
