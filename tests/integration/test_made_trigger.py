"""A trigger that a transaction makes, in front of its own writes: it sees what the client has written, and no twin beside it."""

import pytest

RENAME = {"name": "rename_label", "operations": [{"rename_column": {"table": "items", "from": "label", "to": "title"}}]}
FUNCTION = """CREATE OR REPLACE FUNCTION marks() RETURNS trigger LANGUAGE plpgsql AS
              $$BEGIN NEW.label := NEW.label || '!'; RETURN NEW; END$$"""
TRIGGER = "CREATE TRIGGER aa BEFORE INSERT OR UPDATE ON items FOR EACH ROW EXECUTE FUNCTION marks()"
WRITES = {"INSERT INTO items (id, label) VALUES (2, 'x')": (2, "x!"),
          "INSERT INTO items VALUES (2, 'x')": (2, "x!"),
          "UPDATE items SET label = 'y' WHERE id = 1": (1, "y!")}
MAKERS = {"plain": TRIGGER, "DO": f"DO $do$BEGIN EXECUTE '{TRIGGER}'; END$do$"}


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("prepared", [False, True])
def test_a_trigger_made_in_the_transaction_finds_no_twin(db, segue, maker, prepared):
    db.sql("CREATE TABLE items (id bigint PRIMARY KEY, label text); INSERT INTO items VALUES (1, 'a')")
    proxy = segue(db, workers=1)
    proxy.ready(RENAME)
    with proxy.connect(options="-c segue.schema=old") as conn:
        for write, row in WRITES.items():
            if prepared:  # what is prepared already is another text behind the trigger
                with conn.transaction(force_rollback=True):
                    conn.execute(write, prepare=True)
            with conn.transaction(force_rollback=True):
                conn.execute(FUNCTION)
                conn.execute(MAKERS[maker])
                conn.execute(write, prepare=prepared)
                with conn.cursor() as cur:
                    cur.execute(f"SELECT id, label, title FROM items WHERE id = {row[0]}")
                    assert cur.fetchone() == (*row, row[1]), write
