"""Texts that are not segue's own (statements, rows in errors) and need not be UTF-8, or are cut."""

import pytest
from lib.wait import until

pytestmark = pytest.mark.one_version

RENAME = {"name": "m", "operations": [{"rename_column": {"table": "items", "from": "label", "to": "title"}}]}


@pytest.fixture
def items(db):
    db.sql("CREATE TABLE items (id bigint PRIMARY KEY, label text, note text)")
    db.sql("INSERT INTO items SELECT i, 'label ' || i, 'note' FROM generate_series(1, 50) i")
    return db


def use_old_names(proxy):
    conn = proxy.connect()
    for pad in range(3):  # one of them is cut inside a character
        conn.execute("SELECT label FROM items WHERE note = '" + "x" * pad + "€" * 300 + "'")
    conn.execute("SET client_encoding = latin1")
    conn.execute("SELECT label FROM items WHERE note = 'größe'")
    conn.close()


def seen(proxy):
    until("old names to be seen", lambda: proxy.status("m")["old_names_last_s"] is not None, 20)


def test_a_name_that_is_not_utf_8_is_said_to_be_one(pg, segue, slug):
    with pg.connect() as admin:
        admin.execute(f"CREATE DATABASE {slug} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
        with pg.connect(slug, client_encoding="SQL_ASCII") as c:
            c.execute(b'CREATE TABLE items (label text, CONSTRAINT "caf\xe9" CHECK (label <> \'\'))')
            proxy = segue(upstream=pg.url(slug))
            refused = proxy.cli("plan", proxy.file(RENAME), check=1).err
            assert "the table's constraints: invalid byte sequence" in refused and "search_path" not in refused, refused
            for told in refused, proxy.cli("snapshot", check=1).err:
                assert "encoding is SQL_ASCII" in told and "PGCLIENTENCODING" in told, told
            c.execute(b'ALTER TABLE items RENAME CONSTRAINT "caf\xe9" TO "caf\xc3\xa9"')
            assert "café" in proxy.cli("plan", proxy.file(RENAME)).out
            proxy.stop()
        admin.execute(f"DROP DATABASE {slug} WITH (FORCE)")


def test_statements_in_any_encoding_do_not_stop_a_soak(items, segue):
    proxy = segue(items, quiet_period_s=900)
    proxy.soaking(RENAME)
    use_old_names(proxy)
    seen(proxy)
    assert proxy.status("m")["error"] is None
    refused = proxy.cli("complete", "m", check=1)
    assert "old names are still in use" in refused.err


def test_statements_in_any_encoding_do_not_keep_it_from_pausing_and_aborting(items, segue):
    proxy = segue(items)
    proxy.ready(RENAME)
    use_old_names(proxy)
    seen(proxy)
    proxy.cli("pause", "m")
    proxy.cli("abort", "m")


@pytest.mark.parametrize("pad", range(3))
def test_a_long_error_from_a_row_is_shown_and_stored(items, segue, pad):
    # plan looks at the rows in a transaction that only reads
    items.sql("""CREATE FUNCTION picky(v text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
                 IF current_setting('transaction_read_only') = 'off' THEN
                   RAISE EXCEPTION '%', repeat('x', """ + str(pad) + """) || repeat('€', 2000);
                 END IF;
                 RETURN v; END $$""")
    proxy = segue(items)
    proxy.begin({"name": "m", "operations": [{"rename_column": {
        "table": "items", "from": "label", "to": "title", "type": "text", "up": "picky(label)", "down": "title"}}]})
    assert "€€€" in proxy.wait("m", lambda r: r["error"])["error"]
    proxy.restart().at_work()
    assert "€€€" in proxy.wait("m", lambda r: r["error"])["error"]
    proxy.cli("abort", "m")
