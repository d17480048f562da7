"""What is sent behind a copy that needs nothing more of its client is held at the gate like all else."""

import select

import pytest
from lib.answers import kinds
from lib.rawwire import COPY_DONE, SYNC, Raw, bind, copy_data, execute, parse, query
from lib.tables import RENAME, make_items
from lib.wait import until
from test_start_rules import held

pytestmark = pytest.mark.one_version

INSERT = "INSERT INTO items (id, label) VALUES (1001, 'behind')"
# which begins the copy, what comes of it before the gate closes, and what the client sends behind it
COPIES = {"out": (query("COPY (SELECT repeat('x', 7000) FROM generate_series(1, 4000)) TO STDOUT"), "H", b""),
          "in": (query("COPY waiting FROM STDIN"), "G", copy_data("1\n") + COPY_DONE)}
WRITES = {"simple": query(INSERT), "extended": parse(INSERT) + bind() + execute() + SYNC}


def asks_until_held(proxy, client):
    """The same again and again, until the gate is closed."""
    def is_held():
        if select.select([client.sock], [], [], 0)[0]:
            client.until_ready()
            client.send(query("SELECT count(*) FROM items"))
        return len(held(proxy)) == 1
    client.send(query("SELECT count(*) FROM items"))
    until("the gate to close", is_held)


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("copy", COPIES)
def test_a_write_behind_a_copy_is_held(db, segue, copy, write):
    make_items(db, 10)
    db.sql("CREATE TABLE waiting (n int); CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS "
           "'BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; END'; "
           "CREATE TRIGGER wait AFTER INSERT ON waiting EXECUTE FUNCTION wait()")
    proxy = segue(db, cutover_drain_ms=40000, gate_hold_max_ms=50000)
    proxy.ready(RENAME)
    begins, answer, rest = COPIES[copy]
    with proxy.connect() as holder, db.connect() as late, Raw(proxy.port, timeout=60).login(db.name) as client, \
            Raw(proxy.port, timeout=60).login(db.name) as asker:
        late.execute("SELECT pg_advisory_lock(7)")
        holder.execute("BEGIN")
        holder.execute("SELECT count(*) FROM items")
        client.send(begins)
        assert client.read()[0] == answer
        proxy.console(f"CUTOVER {RENAME['name']}")
        asks_until_held(proxy, asker)
        client.send(rest, WRITES[write])
        late.execute("SELECT pg_advisory_unlock(7)")
        got = ""
        while not got.endswith("CZ"):
            got += client.read()[0]
        until("the write to be held", lambda: len(held(proxy)) == 2)
        assert db.one("SELECT count(*) FROM items WHERE id = 1001") == 0
        holder.execute("COMMIT")
        assert kinds(client.answers()).replace("12", "") == "CZI"
        asker.until_ready()
    proxy.wait_phase(RENAME["name"], "soaking")
    assert db.sql("SELECT label, title FROM items WHERE id = 1001") == [("behind", "behind")]
