"""The console over the extended query protocol: by hand, and as drivers use it by themselves."""

import asyncio
import struct

import asyncpg
import psycopg
import pytest
from lib.rawwire import FLUSH, SYNC, Raw, execute, message, parse, query

pytestmark = pytest.mark.one_version


def bind(name="", portal="", formats=()):
    return message("B", f"{portal}\0{name}\0".encode() + struct.pack("!HHH", 0, 0, len(formats)) +
                   b"".join(struct.pack("!H", f) for f in formats))


def describe(kind, name=""):
    return message("D", kind.encode() + name.encode() + b"\0")


def rows_max(n, portal=""):
    return message("E", portal.encode() + b"\0" + struct.pack("!I", n))


def close(kind, name=""):
    return message("C", kind.encode() + name.encode() + b"\0")


@pytest.fixture
def console(db, segue):
    with Raw(segue(db).port).login("segue") as c:
        yield c


def answers(c):
    """Messages up to ReadyForQuery."""
    out = []
    while not out or out[-1][0] != "Z":
        out.append(c.read())
    return out


def kinds(c):
    return "".join(kind for kind, _ in answers(c))


def test_statement_is_parsed_described_and_executed(console):
    console.send(parse("SHOW VERSION", "v"), describe("S", "v"), SYNC)
    assert kinds(console) == "1tTZ"
    console.send(bind("v"), describe("P"), execute(), SYNC)
    assert kinds(console) == "2TDCZ"
    console.send(bind("v"), execute(), execute(), close("S", "v"), close("P"), SYNC)
    assert kinds(console) == "2DCC33Z"
    console.send(bind("v"), SYNC)
    assert kinds(console) == "EZ"


def test_statement_without_rows_and_empty_one(console):
    console.send(parse("SET x = 1"), describe("S"), bind(), describe("P"), execute(), SYNC)
    assert kinds(console) == "1tn2nCZ"
    console.send(parse(""), describe("S"), bind(), describe("P"), execute(), SYNC)
    assert kinds(console) == "1tn2nIZ"


def test_flush_and_several_syncs_and_a_simple_query_between(console):
    console.send(parse("SHOW VERSION"), FLUSH)
    assert console.read()[0] == "1"
    console.send(SYNC, query("SHOW VERSION"), bind(), execute(), SYNC)
    assert kinds(console) == "Z" and kinds(console) == "TDCZ" and kinds(console) == "2DCZ"


def test_rows_come_in_portions_when_asked_for(console):
    console.send(parse("SHOW HELP"), bind(portal="p"), rows_max(2, "p"), SYNC)
    assert kinds(console) == "12DDsZ"
    console.send(rows_max(1, "p"), rows_max(0, "p"), SYNC)
    got = kinds(console)
    assert got.startswith("DsD") and got.endswith("DCZ")


def values(body):
    n, at, out = struct.unpack("!H", body[:2])[0], 2, []
    for _ in range(n):
        size = struct.unpack("!i", body[at:at + 4])[0]
        at += 4
        out.append(None if size < 0 else body[at:at + size])
        at += max(size, 0)
    return out


def test_binary_results_are_what_they_are_described_as(console):
    console.send(parse("SHOW WORKERS", "w"), describe("S", "w"), bind("w", formats=[1]), describe("P"), execute(), SYNC)
    got = answers(console)
    described = next(body for kind, body in got if kind == "T")
    row = values(next(body for kind, body in got if kind == "D"))
    assert struct.unpack("!h", described[-2:]) == (0,)
    assert struct.unpack("!h", [body for kind, body in got if kind == "T"][1][-2:]) == (1,)
    assert struct.unpack("!q", row[0]) == (0,)
    assert struct.unpack("!d", row[6])[0] >= 0
    console.send(parse("SHOW VERSION"), bind(formats=[1, 1]), execute(), SYNC)
    row = values(next(body for kind, body in answers(console) if kind == "D"))
    assert row[0].startswith(b"segue ") and row[1] in (b"\0", b"\1")


@pytest.mark.parametrize("sent, sqlstate", [
    (message("P", b"\0SHOW STATUS $1\0\0\1\0\0\0\x19"), "0A000"),
    (parse("SHOW STATUS") + message("B", b"\0\0\0\0\0\1\0\0\0\1x\0\0"), "0A000"),
    (parse("CUTOVER m"), "0A000"),
    (parse("SHOW STATS; SHOW STATS"), "42601"),
    (parse("SHOW 'no end"), "42601"),
    (parse("SHOW NOTHING") + describe("S"), "42601"),
    (parse("SHOW NOTHING") + bind() + execute(), "42601"),
    (parse("SHOW STATS", "x") + parse("SHOW STATS", "x"), "42P05"),
    (bind("missing"), "26000"),
    (describe("S", "missing"), "26000"),
    (describe("P", "missing"), "34000"),
    (execute("missing"), "34000"),
    (message("B", b"\0"), "08P01"),
    (message("D", b"X\0"), "08P01"),
    (b"".join(parse("SHOW STATS", f"s{i}") for i in range(300)), "54000"),
    (parse("SHOW STATS") + b"".join(bind(portal=f"p{i}") for i in range(100)), "54000"),
    (parse("SHOW " + "x" * 70000), "54000"),
], ids=lambda value: None if isinstance(value, str) else f"{value[:1].decode()}{len(value)}")
def test_error_skips_to_the_sync_and_no_further(console, sent, sqlstate):
    console.send(sent, execute(), describe("S"), SYNC)
    got = answers(console)
    errors = [body for kind, body in got if kind == "E"]
    assert len(errors) == 1 and f"\0C{sqlstate}\0".encode() in errors[0]
    assert [kind for kind, _ in got][-2:] == ["E", "Z"]
    console.send(close("S", "s0"), parse("SHOW VERSION", "good"), bind("good", "p0"), execute("p0"), SYNC)
    assert kinds(console) == "312DCZ"


def test_message_that_the_console_would_never_read_whole_is_refused(db, segue):
    proxy = segue(db, buffer_bytes_max=16384, inspect_bytes_max=16384)
    with Raw(proxy.port).login("segue") as c:
        c.send(query("SHOW " + "x" * 100000)[:1000])
        error = c.error()
        assert error["C"] == "54000" and "32768" in error["H"]
        assert c.read() is None


# ---- drivers with their defaults ----


def test_asyncpg_asks_the_console(db, segue):
    proxy = segue(db)

    async def go():
        c = await asyncpg.connect(proxy.url("segue"))
        try:
            stats = {r["stat"]: r["value"] for r in await c.fetch("SHOW STATS")}
            assert isinstance(stats["accepted"], int) and stats["accepted"] >= 1
            for _ in range(3):
                sessions = await c.fetch("SHOW SESSIONS")
                assert sessions[0]["user"] == "postgres" and isinstance(sessions[0]["connected_s"], float)
            assert await c.fetchval("SHOW VERSION", column=1) in (True, False)
            assert await c.execute("SHOW STATS") == "SHOW"
            with pytest.raises(asyncpg.PostgresSyntaxError, match="no SHOW NOTHING"):
                await c.fetch("SHOW NOTHING")
            with pytest.raises(asyncpg.FeatureNotSupportedError):
                await c.fetch("PAUSE")
            assert await c.fetch("SHOW LATENCY") == []
        finally:
            await c.close()

    asyncio.run(go())


def test_psycopg_asks_the_console_prepared_and_not(db, segue):
    with psycopg.connect(segue(db).url("segue"), autocommit=True) as c:
        seen = [c.execute("SHOW STATS").fetchall() for _ in range(10)]
        assert all(isinstance(dict((r[0], r[1]) for r in rows)["accepted"], int) for rows in seen)
        assert c.execute("SHOW VERSION", prepare=True).fetchone()[0].startswith("segue")
        assert c.execute("SHOW WORKERS", binary=True, prepare=True).fetchone()[0] == 0
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="no parameters"):
            c.execute("SHOW STATUS %s", ("m",))
        with c.pipeline():
            one, two = c.execute("SHOW STATS"), c.execute("SHOW VERSION")
            assert one.fetchall() and two.fetchone()
