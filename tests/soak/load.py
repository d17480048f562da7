"""One process of clients: raw protocol, every reply carries its request's number and is checked.

Started by soak.py, killed by it, too. Orders come on standard input (storm, stop), a line of JSON with all
counts goes out four times a second. What was acknowledged is appended to a file, so that it outlives us.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import random
import socket
import ssl
import struct
import sys
import time
from collections import Counter

ANSWER_S = 60  # nothing may take longer, a restart of the server included
STARTUP, CANCEL, SSL = 196608, 80877102, 80877103

# what may end a session that chaos has chosen; anything else is a wrong answer
CHAOS = {"57P01", "57P02", "57P03", "53300", "08006", "08000", "08001", "08003"}


class Wrong(Exception):
    """An answer that nobody asked for, or none at all."""


class Lost(Exception):
    """The connection has ended; why, as far as it was said."""


def message(kind, *parts):
    body = b"".join(parts)
    return kind + struct.pack("!I", len(body) + 4) + body


def text(value):
    return str(value).encode() + b"\0"


def value(data):
    data = str(data).encode()
    return struct.pack("!i", len(data)) + data


def bind(statement, *values):
    return message(b"B", b"\0", text(statement), b"\0\0", struct.pack("!H", len(values)), *map(value, values), b"\0\0")


def parse(name, sql):
    return message(b"P", text(name), text(sql), b"\0\0")


QUERY, EXECUTE, SYNC = (lambda sql: message(b"Q", text(sql))), message(b"E", b"\0\0\0\0\0"), message(b"S")


def columns(body):
    """Of a DataRow, as text."""
    count, at, out = struct.unpack("!H", body[:2])[0], 2, []
    for _ in range(count):
        (size,) = struct.unpack("!i", body[at:at + 4])
        out.append(body[at + 4:at + 4 + size].decode())
        at += 4 + size
    return out


class Connection:
    def __init__(self, load, reader, writer):
        self.load, self.reader, self.writer = load, reader, writer
        self.key = None
        self.status = None
        self.prepared = False

    @classmethod
    async def open(cls, load, encrypted):
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", load.args.port)
        except ConnectionAbortedError as error:
            raise Lost("cut while connecting") from error
        except OSError as error:
            raise Wrong(f"connecting: {error}") from error  # segue always listens
        self = cls(load, reader, writer)
        try:
            await self.login(encrypted)
        except BaseException:
            self.close()
            raise
        return self

    async def login(self, encrypted):
        if encrypted:
            self.send(struct.pack("!II", 8, SSL))
            if await self.exactly(1) != b"S":
                raise Wrong("no TLS")
            try:
                await self.writer.start_tls(self.load.tls)
            except (OSError, ssl.SSLError) as error:
                raise Lost(f"TLS: {type(error).__name__}") from error
        body = struct.pack("!I", STARTUP) + b"".join(
            map(text, ("user", "postgres", "database", self.load.args.dbname, "application_name", "soak"))) + b"\0"
        self.send(struct.pack("!I", len(body) + 4) + body)
        await self.until_ready()

    def send(self, *parts):
        self.writer.write(b"".join(parts))

    async def exactly(self, count):
        try:
            return await self.reader.readexactly(count)
        except (asyncio.IncompleteReadError, OSError) as error:
            raise Lost(type(error).__name__) from error

    async def read(self):
        """The next message but notices; a FATAL error is Lost."""
        while True:
            head = await self.exactly(5)
            kind, size = head[:1], struct.unpack("!I", head[1:])[0]
            if size < 4 or size > 10_000_000:
                raise Wrong(f"message {head!r}")
            body = await self.exactly(size - 4)
            if kind == b"E":
                fields = {f[:1]: f[1:].decode(errors="replace") for f in body.split(b"\0") if f}
                if fields[b"V"] != "ERROR":
                    if fields[b"C"] not in CHAOS:
                        raise Wrong(f"{fields[b'V']} {fields[b'C']}: {fields[b'M']}")
                    raise Lost(fields[b"C"])
                return kind, fields
            if kind not in b"NSA":
                return kind, body

    async def until_ready(self):
        """Every message up to ReadyForQuery."""
        got = []
        while True:
            kind, body = await self.read()
            if kind == b"Z":
                self.status = body
                return got
            if kind == b"K":
                self.key = body
            got.append((kind, body))

    def abort(self):
        """RST, where something is unread or a linger of 0 says so."""
        sock = self.writer.get_extra_info("socket")
        with contextlib.suppress(OSError):  # the other side was faster
            if sock is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def close(self):
        self.writer.close()


# ---- requests: each with a number, each checked ----


def expect(got, kinds, number):
    have = b"".join(kind for kind, _ in got)
    if have != kinds:
        errors = [f"{fields[b'C']} {fields[b'M']}" for kind, fields in got if kind == b"E"]
        raise Wrong(f"request {number}: {have} where {kinds} is due {errors}")


def rows_of(got):
    return [columns(body) for kind, body in got if kind == b"D"]


async def simple(conn, n):
    conn.send(QUERY(f"SELECT {n}, 'word {n}'"))
    got = await conn.until_ready()
    expect(got, b"TDC", n)
    if rows_of(got) != [[str(n), f"word {n}"]]:
        raise Wrong(f"request {n}: {rows_of(got)}")


async def extended(conn, n):
    conn.send(parse("", "SELECT $1::bigint * 2"), bind("", n), EXECUTE, SYNC)
    got = await conn.until_ready()
    expect(got, b"12DC", n)
    if rows_of(got) != [[str(n * 2)]]:
        raise Wrong(f"request {n}: {rows_of(got)}")


async def prepared(conn, n):
    if not conn.prepared:
        conn.send(parse("mine", "SELECT $1::bigint + 7"), SYNC)
        expect(await conn.until_ready(), b"1", n)
        conn.prepared = True
    conn.send(bind("mine", n), EXECUTE, SYNC)
    got = await conn.until_ready()
    expect(got, b"2DC", n)
    if rows_of(got) != [[str(n + 7)]]:
        raise Wrong(f"request {n}: {rows_of(got)}")


async def pipeline(conn, n):
    """Five Syncs at once, the third one's request in error."""
    for i in range(5):
        sql = "SELECT $1::bigint + 0" if i != 2 else "SELECT $1::bigint / 0"
        conn.send(parse("", sql), bind("", n + i), EXECUTE, SYNC)
    for i in range(5):
        got = await conn.until_ready()
        if i == 2:
            if got[-1][0] != b"E" or got[-1][1][b"C"] != "22012":
                raise Wrong(f"request {n}: {got[-1]}")
            continue
        expect(got, b"12DC", n)
        if rows_of(got) != [[str(n + i)]]:
            raise Wrong(f"request {n}: {rows_of(got)}")


async def failing(conn, n):
    conn.send(QUERY(f"SELECT 'x{n}'::int"))
    got = await conn.until_ready()
    expect(got, b"E", n)
    if f"x{n}" not in got[0][1][b"M"]:
        raise Wrong(f"request {n}: {got[0][1][b'M']}")


async def big(conn, n):
    lines = 200
    conn.send(QUERY(f"SELECT {n} + i, repeat('{n % 10}', 500) FROM generate_series(1, {lines}) i"))
    got = await conn.until_ready()
    expect(got, b"T" + b"D" * lines + b"C", n)
    if rows_of(got) != [[str(n + i), str(n % 10) * 500] for i in range(1, lines + 1)]:
        raise Wrong(f"request {n}: rows of another")


async def write(conn, n):
    conn.send(QUERY("BEGIN"))
    expect(await conn.until_ready(), b"C", n)
    conn.send(QUERY(f"INSERT INTO writes VALUES ({n}, 'kept')"))
    expect(await conn.until_ready(), b"C", n)
    conn.send(QUERY("COMMIT"))
    got = await conn.until_ready()
    expect(got, b"C", n)
    if got[0][1] != b"COMMIT\0":
        raise Wrong(f"request {n}: {got[0][1]}")
    conn.load.acknowledge(n)


async def taken_back(conn, n):
    conn.send(QUERY(f"BEGIN; INSERT INTO writes VALUES ({n}, 'never')"))
    expect(await conn.until_ready(), b"CC", n)
    conn.send(QUERY("ROLLBACK"))
    expect(await conn.until_ready(), b"C", n)


async def copy_in(conn, n):
    conn.send(QUERY("CREATE TEMP TABLE IF NOT EXISTS mine (n bigint); TRUNCATE mine"))
    await conn.until_ready()
    conn.send(QUERY("COPY mine FROM STDIN"))
    kind, _ = await conn.read()
    if kind != b"G":
        raise Wrong(f"request {n}: {kind} where CopyInResponse is due")
    for i in range(20):
        conn.send(message(b"d", f"{n + i}\n".encode()))
    conn.send(message(b"c"))
    got = await conn.until_ready()
    expect(got, b"C", n)
    conn.send(QUERY("COPY (SELECT sum(n) FROM mine) TO STDOUT"))
    got = await conn.until_ready()
    expect(got, b"HdcC", n)
    if int(got[1][1]) != sum(n + i for i in range(20)):
        raise Wrong(f"request {n}: {got[1][1]}")


async def cancelled(conn, n):
    """Cancels its own query, by the key that it was given."""
    conn.send(QUERY(f"SELECT pg_sleep(30), {n}"))
    await asyncio.sleep(0.05)
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", conn.load.args.port)
    except ConnectionAbortedError as error:
        raise Lost("cut while connecting") from error
    except OSError as error:
        raise Wrong(f"connecting to cancel: {error}") from error
    writer.write(struct.pack("!II", 8 + len(conn.key), CANCEL) + conn.key)
    try:
        got = await asyncio.wait_for(conn.until_ready(), 5)
    except asyncio.TimeoutError:  # it came before the query, or its connection was killed
        conn.load.counts["cancels missed"] += 1
        raise Lost("cancel missed") from None
    finally:
        writer.close()
    if [kind for kind, _ in got][-1:] != [b"E"] or got[-1][1][b"C"] != "57014":
        raise Wrong(f"request {n}: {got}")


REQUESTS = [(simple, 10), (extended, 10), (prepared, 10), (pipeline, 3), (failing, 3), (big, 2), (write, 5),
            (taken_back, 2), (copy_in, 2), (cancelled, 1)]


# ---- sessions ----


class Load:
    def __init__(self, args):
        self.args = args
        self.random = random.Random(args.seed)
        self.counts = Counter()
        self.lost = Counter()
        self.wrong = []
        self.open = set()
        self.stopping = False
        self.storm = asyncio.Event()
        self.number = args.seed * 10_000_000
        self.acks = os.open(args.acks, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.tls = None
        if args.ca:
            self.tls = ssl.create_default_context(cafile=args.ca)
            self.tls.check_hostname = False

    def acknowledge(self, n):
        os.write(self.acks, f"{n}\n".encode())
        self.counts["writes"] += 1

    async def request(self, conn):
        kinds, weights = zip(*REQUESTS)
        kind = self.random.choices(kinds, weights)[0]
        self.number += 100
        number = self.number
        try:
            await asyncio.wait_for(kind(conn, number), ANSWER_S)
        except asyncio.TimeoutError:
            raise Wrong(f"request {number} ({kind.__name__}): no answer within {ANSWER_S} s") from None
        self.counts["requests"] += 1

    def leave(self, conn):
        """In one of the ways in which clients go."""
        way = self.random.random()
        if way < 0.5:
            conn.send(message(b"X"))
            conn.close()
        elif way < 0.65:
            conn.close()
        elif way < 0.8:
            conn.abort()
        elif way < 0.9:  # in the middle of an answer
            conn.send(QUERY("SELECT repeat('x', 500) FROM generate_series(1, 2000)"))
            conn.abort()
        else:  # in the middle of a message
            conn.send(QUERY("SELECT " + "1" * 1000)[:300])
            conn.close()

    async def session(self, encrypted):
        try:
            conn = await asyncio.wait_for(Connection.open(self, encrypted), ANSWER_S)
        except asyncio.TimeoutError:
            raise Wrong(f"no login within {ANSWER_S} s") from None
        self.counts["connects"] += 1
        self.open.add(conn)
        storm = self.storm
        try:
            until = time.monotonic() + self.random.expovariate(1 / self.args.life)
            while not (self.stopping or storm.is_set()) and time.monotonic() < until:
                await self.request(conn)
                try:
                    await asyncio.wait_for(storm.wait(), self.random.expovariate(1 / self.args.think))
                except asyncio.TimeoutError:
                    pass
            self.leave(conn)
        finally:
            self.open.discard(conn)
            conn.close()

    async def client(self, number):
        await asyncio.sleep(self.random.random())
        while not self.stopping:
            try:
                await self.session(self.tls is not None and number % 5 == 0)
            except Lost as why:
                self.lost[str(why)] += 1
                await asyncio.sleep(self.random.random() * 0.5)
            except Wrong as why:
                self.wrong.append(str(why))
                await asyncio.sleep(1)

    def order(self):
        """All that has come: what readline() leaves in its buffer, the loop would never hear of."""
        words = os.read(sys.stdin.fileno(), 4096).split()
        self.stopping = self.stopping or not words or b"stop" in words
        self.storm.set()
        self.storm = asyncio.Event()

    async def tell(self):
        while True:
            print(json.dumps({"counts": self.counts, "lost": self.lost, "wrong": self.wrong[:20],
                              "wrongs": len(self.wrong), "open": len(self.open)}), flush=True)
            await asyncio.sleep(0.25)

    async def run(self):
        asyncio.get_running_loop().add_reader(sys.stdin, self.order)
        teller = asyncio.ensure_future(self.tell())
        await asyncio.gather(*(self.client(number) for number in range(self.args.sessions)))
        await asyncio.sleep(0.3)
        teller.cancel()


def main():
    parser = argparse.ArgumentParser()
    for name in ("port", "sessions", "seed"):
        parser.add_argument(f"--{name}", type=int, required=True)
    for name in ("dbname", "acks"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--ca", default="")
    parser.add_argument("--life", type=float, required=True)
    parser.add_argument("--think", type=float, required=True)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # connections that break are our trade
    load = Load(parser.parse_args())
    asyncio.run(load.run())


if __name__ == "__main__":
    main()
