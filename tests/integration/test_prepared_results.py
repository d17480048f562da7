"""Prepared statements whose stars come to stand for other columns, by the search path or because somebody alters the table: what a
client gets is what the server alone answers, asked in a database like it without a migration."""

import pytest
from lib.answers import columns, fields, kinds, only, values
from lib.rawwire import SYNC, Raw, bind, describe, execute, parse, query
from lib.wait import until

pytestmark = pytest.mark.newest_unless_told

# a migrates; of the others some have the same columns
TENANTS = {"a": "label text, note text", "same": "label text, note text", "view": "label text, note text",
           "next": "note text, title text", "other": "label text, other text", "typed": "label varchar(9), note text",
           "sorted": 'label text COLLATE "C", note text', "turned": "note text, label text"}
ALIKE = ["same", "view"]
RENAME = {"name": "rename_label", "operations": [{"rename_column": {"table": "a.items", "from": "label", "to": "title"}}]}
STARS = {"s": "SELECT * FROM items WHERE id = $1", "q": "SELECT i.* FROM items i WHERE id = $1",
         "sub": "SELECT * FROM (SELECT * FROM items) s WHERE id = $1",
         "cte": "WITH c AS (TABLE items) SELECT c.* FROM c WHERE id = $1",
         "gone": "DELETE FROM items WHERE id = $1 + 100 RETURNING *"}
JOINED = {"join": "SELECT * FROM items NATURAL JOIN a.items x WHERE id = $1"}
INSIDE = {"inside": "SELECT id FROM items i WHERE id = $1 AND EXISTS (SELECT * FROM items)"}
TEXTS = {**STARS, **INSIDE, **JOINED}


def make(db):
    for schema, more in TENANTS.items():
        db.sql(f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.items (id bigint PRIMARY KEY, {more}); "
               f"INSERT INTO {schema}.items SELECT i, 'x', 'y' FROM generate_series(1, 5) i")
    db.sql("ALTER TABLE view.items RENAME TO behind; CREATE VIEW view.items AS TABLE view.behind")


def understood(kind, body):
    """Of an error what drivers go by: the hint is segue's."""
    if kind == "E":
        return [fields(body)[letter] for letter in "SCMR"]
    return columns(body) if kind == "T" else values(body) if kind == "D" else body


class Two:
    """The same client of a proxy and of the server alone."""

    def __init__(self, proxy, db, plain):
        self.proxy, self.db, self.plain = proxy, db, plain
        self.watch = Raw(proxy.port).login(db.name)
        self.clients = [Raw(port).login(name, options="-c search_path=a")
                        for port, name in ((proxy.port, db.name), (plain.cluster.port, plain.name))]

    def close(self):
        for client in (self.watch, *self.clients):
            client.sock.close()

    def answer(self, *messages):
        got, expected = ([(k, understood(k, body)) for k, body in client.send(*messages).answers()] for client in self.clients)
        assert got == expected, messages
        return got

    def does(self, *texts):
        for text in texts:
            assert "E" not in dict(self.answer(query(text))), text

    def prepare(self, *names):
        for name in names:
            self.answer(parse(TEXTS[name], name, [20]), describe("S", name), SYNC)

    def use(self, *names):
        """Those that give what was told."""
        return [name for name in names if "E" not in dict(self.answer(bind(name, values=[1]), execute(), SYNC))]

    def alter(self, sql, seen):
        """Past segue, which has read of it when a star that comes now gives `seen`."""
        for database in (self.db, self.plain):
            database.sql(sql)
        self.watch.send(query("DROP TABLE IF EXISTS of_no_interest")).answers()  # the catalog is read soon
        until("the reading", lambda: columns(only(self.watch.send(query("TABLE a.items LIMIT 0")).answers(), "T")[0]) == seen)


@pytest.fixture
def unbegun(pg, db, segue):
    with pg.database() as plain:
        for database in (db, plain):
            make(database)
        both = Two(segue(db, workers=1), db, plain)
        yield both
        both.close()


@pytest.fixture
def two(unbegun):
    """In ready: each session is on the old side."""
    unbegun.proxy.ready(RENAME)
    return unbegun


def test_from_one_tenant_to_another(two):
    """To the table that migrates and from it; and back, when the server may have another text."""
    used = {}
    for first in TENANTS:
        names = [*STARS, *INSIDE, *(JOINED if first in ["a", *ALIKE] else [])]
        two.does("DEALLOCATE ALL", f"SET search_path = {first}")
        two.prepare(*names)
        # what has the same names in another order gives what was told, where the server gives an error
        for then in [t for t in TENANTS if t not in ("a", "turned")] if first == "a" else ["a"]:
            for schema in (then, then, first, then):
                two.does(f"SET search_path = {schema}")
                used[first, schema] = two.use(*(names if then in ["a", *ALIKE] else STARS))
    for schema in ALIKE:
        assert used["a", schema] == used[schema, "a"] == list(TEXTS)
    for schema in set(TENANTS) - {*ALIKE, "a"}:
        assert used[schema, "a"] == list(INSIDE), schema


def test_the_new_side(two):
    two.proxy.cli("cutover", RENAME["name"])
    two.plain.sql("ALTER TABLE a.items DROP label, ADD title text DEFAULT 'x'")
    for first, then, same in (("next", "a", True), ("a", "next", True), ("same", "a", False)):
        two.does("DEALLOCATE ALL", f"SET search_path = {first}")
        two.prepare(*STARS)
        for schema in (then, first, then):
            two.does(f"SET search_path = {schema}")
            assert two.use(*STARS) == (list(STARS) if same or schema == first else []), (first, schema)


def test_what_was_prepared_before_the_migration(unbegun):
    two = unbegun
    for schema in ("same", "other"):
        two.does(f"SET search_path = {schema}")
        two.answer(parse(STARS["s"], schema, [20]), describe("S", schema), SYNC)
    two.proxy.ready(RENAME)
    for schema in ("same", "other"):
        two.does(f"SET search_path = {schema}")
        assert two.use(schema)
    two.does("SET search_path = a")
    assert two.use("same", "other") == ["same"]


COLUMNS = ["id", "label", "note"]


def test_a_table_that_somebody_alters(two):
    steps = (("ADD more int", [*COLUMNS, "more"], False), ("DROP more", COLUMNS, True), ("ALTER note TYPE varchar(9)", COLUMNS, False),
             ("ALTER note TYPE text", COLUMNS, True), ("RENAME note TO notes", ["id", "label", "notes"], False))
    def described():
        """Who is told of each result goes along, but where the server itself refuses."""
        return columns(only(two.watch.send(bind("s"), describe("P"), execute(), SYNC).answers(), "T")[0])

    two.watch.send(parse("TABLE a.items", "s"), SYNC).answers()
    assert described() == described() == COLUMNS
    two.prepare(*TEXTS)
    two.does("PREPARE p AS SELECT * FROM items WHERE id = 1")
    assert two.use(*TEXTS) == list(TEXTS)
    for step, seen, same in steps:
        two.answer(parse(STARS["s"], types=[20]), describe(), SYNC)
        two.alter(f"ALTER TABLE a.items {step}", seen)
        two.use("")
        assert "more" not in step or described() == seen
        for _ in range(2):
            assert two.use(*TEXTS) == list(TEXTS if same else INSIDE), step
            two.answer(query("EXECUTE p"))
            two.answer(query("CREATE TEMP TABLE made AS EXECUTE p"))
            two.does("DROP TABLE IF EXISTS pg_temp.made", "BEGIN")
            two.use("s", "inside")
            two.does("ROLLBACK")
    two.does("DEALLOCATE ALL")
    two.prepare(*TEXTS)
    assert two.use(*TEXTS) == list(TEXTS)
