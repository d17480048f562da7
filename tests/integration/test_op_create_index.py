"""create_index with all that a key may say, as a list and as pgroll's object by column."""

import pytest
from lib.operations import build, is_refused, same_as_plain, unchanged

TABLES = ("CREATE TABLE {s}.items (id bigint PRIMARY KEY, label text, n int, doc tsvector);"
          "INSERT INTO {s}.items SELECT i, 'l' || i, i, to_tsvector('l' || i) FROM generate_series(1, 50) i")


def index(name, columns, **more):
    return {"create_index": {"name": name, "table": "items", "columns": columns, **more}}


FILE = {"name": "m", "operations": [
    {"create_table": {"name": "made", "columns": [{"name": "t", "type": "text"}, {"name": "u", "type": "text"}]}},
    index("by_label", {"n": {"sort": "DESC", "nulls": "LAST"}, "label": {"collate": "C", "opclass": {"name": "text_pattern_ops"}}, "id": {}},
          storage_parameters="fillfactor = 70, deduplicate_items = off"),
    index("by_doc", [{"column": "doc", "opclass": {"name": "tsvector_ops", "params": ["siglen=100"]}}], method="gist"),
    index("few", [{"column": "label", "collate": "pg_catalog.C", "sort": "ASC", "nulls": "FIRST"}, "n"], predicate="n > 10 -- few", unique=True),
    {"create_index": {"name": "of_made", "table": "made", "columns": {"u": {}, "t": {"collate": "C"}}, "storage_parameters": "fillfactor = 50"}}]}
PLAIN = ("CREATE TABLE {s}.made (t text NOT NULL, u text NOT NULL);"
         "CREATE INDEX by_label ON {s}.items (n DESC NULLS LAST, label COLLATE \"C\" text_pattern_ops, id) WITH (fillfactor = 70, deduplicate_items = off);"
         "CREATE INDEX by_doc ON {s}.items USING gist (doc tsvector_ops (siglen = 100));"
         "CREATE UNIQUE INDEX few ON {s}.items (label COLLATE \"C\" ASC NULLS FIRST, n) WHERE n > 10;"
         "CREATE INDEX of_made ON {s}.made (u, t COLLATE \"C\") WITH (fillfactor = 50)")


def test_an_index_is_made_as_the_file_says_and_goes_with_an_abort(db, segue):
    build(db, TABLES)
    proxy = segue(db)
    name = proxy.ready(FILE)
    assert db.one("SELECT count(*) FROM pg_index WHERE indrelid = 'public.items'::regclass AND indisvalid") == 4
    proxy.cli("abort", name)
    unchanged(db, "items")
    proxy.done({**FILE, "name": "again"})
    same_as_plain(db, PLAIN, "items", "made")


REFUSED = {
    "a column that is not there": ({"nothing": {}}, {}, 'columns.nothing: table public.items has no column "nothing"'),
    "a collation that is not there": ({"label": {"collate": "nowhere"}}, {}, 'collation "nowhere" for encoding'),
    "an operator class that is not there": ({"label": {"opclass": {"name": "nothing_ops"}}}, {}, 'operator class "nothing_ops" does not exist'),
    "one of another type": ({"n": {"opclass": {"name": "text_ops"}}}, {}, 'operator class "text_ops" does not accept data type integer'),
    "a parameter that it has not": ({"n": {"opclass": {"name": "int4_ops", "params": ["siglen=1"]}}}, {}, "has no options"),
    "a storage parameter that it has not": (["n"], {"storage_parameters": "fastupdate = on"}, 'create_index: index ix: unrecognized parameter "fastupdate"'),
    "and what to do": (["n"], {"storage_parameters": "fastupdate = on"}, "hint: say it there as the server would make it"),
    "a value that it has not": (["n"], {"storage_parameters": "fillfactor = 7"}, "out of bounds"),
    "an order that hash has not": ([{"column": "n", "nulls": "FIRST"}], {"method": "hash"}, "NULLS FIRST/LAST"),
}


@pytest.mark.one_version
def test_what_the_server_would_not_make_is_refused_in_its_words(planner_of):
    planner = planner_of(TABLES.replace("{s}.", ""))
    for what, (columns, more, words) in REFUSED.items():
        is_refused(planner, [index("ix", columns, **more)], words, what)
