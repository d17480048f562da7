"""Tables and migrations that several test files use."""

from .traffic import CENTS, JSON, PLAIN

RENAME = {"name": "rename_label", "operations": [{"rename_column": {"table": "items", "from": "label", "to": "title"}}]}
TO_JSON = {"name": "to_json", "operations": [{"rename_column": {
    "table": "items", "from": "payload", "to": "body", "type": "jsonb",
    "up": "segue.json_or_wrap(payload)", "down": "segue.json_unwrap(body)"}}]}
TO_PRICE = {"name": "to_price", "operations": [{"rename_column": {
    "table": "items", "from": "cents", "to": "price", "type": "numeric(12,2)",
    "up": "cents / 100.0", "down": "(price * 100)::integer"}}]}

# what is renamed -> migration, pair of the traffic, the old column's value for row i
KINDS = {
    "plain": (RENAME, PLAIN, "'row ' || i"),
    "json": (TO_JSON, JSON, "'{\"n\": ' || i || '}'"),
    "cents": (TO_PRICE, CENTS, "i"),
}


def make_items(db, rows=2000, kind="plain", filler=0, more=""):
    """The table `items` with so many rows; filler bytes make it large in blocks."""
    migration, pair, value = KINDS[kind]
    db.sql(f"CREATE TABLE items (id bigint PRIMARY KEY, {pair.old} {pair.old_type}, note text, filler text)")
    db.sql("ALTER TABLE items ALTER filler SET STORAGE PLAIN")
    db.sql(f"INSERT INTO items SELECT i, {value}, 'note', repeat('f', {filler}) FROM generate_series(1, {rows}) i")
    if more:
        db.sql(more)
    return migration, pair


def out_of_step(db, pair, up=None):
    """Rows whose two columns do not say the same (of the plain pair, unless `up` is given)."""
    return db.one(f"SELECT count(*) FROM items WHERE {pair.new} IS DISTINCT FROM {up or pair.old}")
