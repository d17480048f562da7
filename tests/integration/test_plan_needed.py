"""What needs an index or a sequence that goes along with a column, or that no other can stand beside: refused by `plan`, which says the statements that help."""

import re

import psycopg
import pytest
from lib.operations import build, same_as_plain

pytestmark = pytest.mark.newest_unless_told


def renamed(table, column, to, **more):
    return {"rename_column": {"table": table, "from": column, "to": to, **more}}


def dropped(table, column):
    return {"drop_column": {"table": table, "column": column}}


def refusals(proxy, *operations):
    """What plan refuses, with the hint of each."""
    file = proxy.file({"name": "m", "operations": operations})
    said = proxy.cli("plan", file, check=1).out.partition("\nrefused: ")[2].partition("\n\n")[0]
    assert proxy.cli("start", file, "--detach", check=1).err
    return dict(re.findall(r"\n  (\S.*)\n     hint: (.*)", said))


# ---- an index that has the column in INCLUDE ----

INCLUDING = ("CREATE TABLE {s}.items (id int, label text, code int, gone int, CONSTRAINT u UNIQUE (id) INCLUDE (label, gone),"
             "  CONSTRAINT k PRIMARY KEY (code) INCLUDE (label)); CREATE VIEW {s}.counts AS SELECT code, id FROM {s}.items GROUP BY code;"
             "CREATE TABLE {s}.orders (item int REFERENCES {s}.items (id) ON DELETE CASCADE, code int CONSTRAINT by_key REFERENCES {s}.items);"
             "INSERT INTO {s}.items SELECT i, 'l ' || i, i FROM generate_series(1, 20) i; INSERT INTO {s}.orders SELECT i, i FROM generate_series(1, 20) i")
VIEW = "CREATE VIEW {s}.counts AS SELECT code, id FROM {s}.items GROUP BY code"


def test_who_refers_by_an_index_that_includes_the_column_is_named_with_what_to_do(db, segue):
    build(db, INCLUDING)
    proxy = segue(db)
    rename = renamed("items", "label", "title")
    found = refusals(proxy, rename)
    with_column = "which goes with column label at complete"
    assert sorted(found) == [f"constraint by_key on table public.orders: it needs index k, {with_column}",
                             f"constraint orders_item_fkey on table public.orders: it needs index u, {with_column}",
                             f"view public.counts: it needs index k, {with_column}"]
    gone = refusals(proxy, dropped("items", "gone"))
    assert gone == {"constraint orders_item_fkey on table public.orders: it needs index u, which goes with column gone at complete":
                    "ALTER TABLE public.orders DROP CONSTRAINT orders_item_fkey first"}
    db.sql(";".join(hint.partition(" first; after complete ")[0] for hint in found.values()))
    proxy.done({"name": "m", "operations": [rename]})
    again = [hint.partition(" first; after complete ")[2] for hint in found.values()]
    db.sql(";".join(sql for sql in again if sql != "make it again") + ";" + VIEW.replace("{s}", "public"))
    same_as_plain(db, "ALTER TABLE {s}.items RENAME label TO title", "items", "orders")


def test_a_foreign_key_that_the_file_drops_needs_no_index(db, segue):
    build(db, INCLUDING)
    proxy = segue(db)
    dropping = [{"drop_constraint": {"table": "orders", "name": name}} for name in ("by_key", "orders_item_fkey")]
    db.sql("DROP VIEW public.counts; DROP VIEW plain.counts")
    proxy.done({"name": "m", "operations": [renamed("items", "label", "title"), *dropping]})
    same_as_plain(db, "ALTER TABLE {s}.items RENAME label TO title; ALTER TABLE {s}.orders DROP CONSTRAINT by_key, DROP CONSTRAINT orders_item_fkey",
                  "items", "orders")


# ---- DEFERRABLE ----

LATER = ("CREATE TABLE {s}.places (id int CONSTRAINT one_place PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, what text);"
         "CREATE TABLE {s}.lines (a int, b int, c text, CONSTRAINT in_order PRIMARY KEY (b, a) INCLUDE (c) WITH (fillfactor = 60) DEFERRABLE);"
         "INSERT INTO {s}.places SELECT i, 'w' FROM generate_series(1, 3) i; INSERT INTO {s}.lines SELECT i, i FROM generate_series(1, 3) i")


def test_a_deferrable_primary_key_is_refused_with_both_ways_to_go_on(db, segue):
    build(db, LATER)
    proxy = segue(db)
    operations = [renamed("places", "id", "place"), {"alter_column": {"table": "lines", "column": "b", "type": "bigint"}}]
    found = refusals(proxy, *operations)
    words = "it is DEFERRABLE, and the unique indexes that stand beside it until complete cannot be: who counts on that would get 23505"
    assert list(found) == [f"primary key one_place: {words}", f"primary key in_order: {words}"]
    ways = [re.fullmatch("where nobody counts on that: (.*) first; else (.*) first, and after complete (.*)", hint).groups() for hint in found.values()]
    db.sql(f"{ways[0][1]}; {ways[1][0]}")
    proxy.done({"name": "m", "operations": operations})
    db.sql(ways[0][2])
    db.sql("UPDATE places SET place = place + 1")
    same_as_plain(db, "ALTER TABLE {s}.places RENAME id TO place; ALTER TABLE {s}.lines ALTER b TYPE bigint, DROP CONSTRAINT in_order;"
                  "ALTER TABLE {s}.lines ADD CONSTRAINT in_order PRIMARY KEY (b, a) INCLUDE (c) WITH (fillfactor = 60)", "places", "lines")


@pytest.mark.one_version
def test_a_deferrable_unique_constraint_is_warned_of(db, segue):
    db.sql("CREATE TABLE places (line int, CONSTRAINT in_line UNIQUE (line) DEFERRABLE)")
    proxy = segue(db)
    said = proxy.cli("plan", proxy.file({"name": "m", "operations": [renamed("places", "line", "row")]})).out
    assert "index in_line: it is DEFERRABLE, and its twin only when it is built whole" in said
    assert "index in_line: SET CONSTRAINTS by its name does not mean its twin" in said and "say SET CONSTRAINTS ALL" in said


@pytest.mark.one_version
def test_a_new_deferrable_constraint_beside_a_key_of_its_columns_is_warned_of(db, segue):
    db.sql("CREATE TABLE places (line int, place int, CONSTRAINT one_place PRIMARY KEY (line, place)); INSERT INTO places VALUES (1, 1)")
    proxy = segue(db)

    def said(*columns, **more):
        unique = {"create_constraint": {"table": "places", "name": "later", "type": "unique", "columns": columns, **more}}
        return proxy.cli("plan", proxy.file({"name": "m", "operations": [renamed("places", "line", "row"), unique]})).out

    words = "constraint later: it is DEFERRABLE and over the columns of one_place: from its building on INSERT ... ON CONFLICT of these columns gets 55000"
    assert words in said("place", "row", deferrable=True) and words in said("row", "place", initially_deferred=True)
    assert words not in said("place", "row") + said("row", deferrable=True)
    upsert = "INSERT INTO places VALUES (2, (SELECT count(*) FROM places)) ON CONFLICT (line, place) DO NOTHING"
    db.sql(upsert)
    db.sql("ALTER TABLE places ADD CONSTRAINT later UNIQUE (place, line) DEFERRABLE")
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
        db.sql(upsert)


# ---- a sequence that others count by ----

COUNTED = ("CREATE TABLE {s}.t (id int GENERATED ALWAYS AS IDENTITY, n serial, label text); CREATE TABLE {s}.own (id int GENERATED ALWAYS AS IDENTITY);"
           "CREATE TABLE {s}.o (a bigint DEFAULT nextval('{s}.t_id_seq'), b bigint DEFAULT nextval('{s}.t_n_seq'), c int DEFAULT nextval('{s}.own_id_seq'));"
           "INSERT INTO {s}.t (label) VALUES ('x')")


def test_who_counts_by_a_sequence_that_goes_or_is_made_anew_is_named(db, segue):
    build(db, COUNTED)
    proxy = segue(db)
    operations = [renamed("t", "id", "ident"), dropped("t", "n"), dropped("own", "id")]
    assert refusals(proxy, *operations) == {
        "default value for column a of table public.o: it needs sequence public.t_id_seq, which the cut-over makes anew with the identity of column id":
        "ALTER TABLE public.o ALTER a DROP DEFAULT first; after complete ALTER TABLE public.o ALTER a SET DEFAULT nextval('public.t_id_seq'::regclass)",
        "default value for column b of table public.o: it needs sequence public.t_n_seq, which goes at complete with column n":
        "ALTER SEQUENCE public.t_n_seq OWNED BY NONE first",
        "default value for column c of table public.o: it needs sequence public.own_id_seq, which goes at complete with column id":
        "ALTER TABLE public.o ALTER c DROP DEFAULT first"}
    db.sql("ALTER TABLE public.o ALTER a DROP DEFAULT; ALTER SEQUENCE public.t_n_seq OWNED BY NONE; ALTER TABLE public.o ALTER c DROP DEFAULT")
    proxy.done({"name": "m", "operations": operations})
    db.sql("ALTER TABLE public.o ALTER a SET DEFAULT nextval('public.t_id_seq'::regclass); INSERT INTO o DEFAULT VALUES")
    assert db.sql("SELECT a, b FROM o") == [(2, 2)]
    same_as_plain(db, "ALTER SEQUENCE {s}.t_n_seq OWNED BY NONE; ALTER TABLE {s}.t RENAME id TO ident; ALTER TABLE {s}.t DROP COLUMN n;"
                  "ALTER TABLE {s}.o ALTER c DROP DEFAULT; ALTER TABLE {s}.own DROP COLUMN id", "t", "o", "own")


def test_a_serial_column_of_a_partitioned_table_goes_with_the_defaults_of_its_partitions(db, segue):
    build(db, "CREATE TABLE {s}.p (id int NOT NULL, n serial, other int) PARTITION BY RANGE (id); CREATE TABLE {s}.p_1 PARTITION OF {s}.p FOR VALUES FROM (0) TO (9);"
          "CREATE TABLE {s}.p_2 PARTITION OF {s}.p FOR VALUES FROM (10) TO (99) PARTITION BY RANGE (id);"
          "CREATE TABLE {s}.p_3 PARTITION OF {s}.p_2 FOR VALUES FROM (10) TO (19); INSERT INTO {s}.p VALUES (1), (11);"
          "ALTER TABLE {s}.p_3 ALTER other SET DEFAULT nextval('{s}.p_n_seq')")
    proxy = segue(db)
    assert refusals(proxy, dropped("p", "n")) == {
        "default value for column other of table public.p_3: it needs sequence public.p_n_seq, which goes at complete with column n":
        "ALTER SEQUENCE public.p_n_seq OWNED BY NONE first"}
    db.sql("ALTER TABLE public.p_3 ALTER other DROP DEFAULT")
    proxy.done({"name": "m", "operations": [dropped("p", "n")]})
    same_as_plain(db, "ALTER TABLE {s}.p_3 ALTER other DROP DEFAULT; ALTER TABLE {s}.p DROP COLUMN n", "p", "p_1", "p_3")
