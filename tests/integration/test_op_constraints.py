"""create_constraint, drop_constraint, and alter_column in place: who is bound when, and what is left."""

import psycopg
import pytest
from lib import catalog
from lib.operations import build, complete, new, old, same_as_plain, unchanged
from lib.segue import Refused

pytestmark = pytest.mark.newest_unless_told

TABLES = ("CREATE TABLE {s}.kinds (code text PRIMARY KEY, a int, b int, UNIQUE (a, b));"
          "CREATE TABLE {s}.items (id bigint, label text, kind text, a int, b int, n int DEFAULT 1);"
          "INSERT INTO {s}.kinds SELECT 'k' || i, i, i FROM generate_series(0, 9) i;"
          "INSERT INTO {s}.items SELECT i, 'l' || i, 'k' || i % 10, i % 10, i % 10, i FROM generate_series(1, 300) i")
MORE = {"name": "more", "operations": [
    {"create_constraint": {"table": "items", "name": "n_small", "type": "check", "check": "n < 1000", "no_inherit": True}},
    {"create_constraint": {"table": "items", "name": "of_kind", "type": "foreign_key", "columns": ["a", "b"],
                           "references": {"name": "of_kind", "table": "kinds", "columns": ["a", "b"], "on_delete": "SET NULL", "on_delete_set_columns": ["b"]}}},
    {"create_constraint": {"table": "items", "name": "items_key", "type": "primary_key", "columns": ["id"],
                           "index_parameters": {"include_columns": ["a"], "storage_parameters": "fillfactor = 75"}}},
    {"create_constraint": {"table": "items", "name": "pair_once", "type": "unique", "columns": ["id", "n"], "nulls_not_distinct": True,
                           "deferrable": True, "initially_deferred": True}},
    {"create_constraint": {"table": "items", "name": "kind_later", "type": "foreign_key", "columns": ["kind"], "deferrable": True, "initially_deferred": True,
                           "references": {"table": "kinds", "columns": ["code"], "on_update": "CASCADE", "match_type": "FULL"}}},
    {"create_constraint": {"table": "items", "name": "label_once", "type": "unique", "columns": ["label", "kind"],
                           "index_parameters": {"include_columns": ["n"], "storage_parameters": "fillfactor = 80", "tablespace": "elsewhere"},
                           "up": {"label": "label", "kind": "kind"}, "down": {"label": "label", "kind": "kind"}}},
    {"alter_column": {"table": "items", "column": "label", "nullable": False, "default": "'none'", "comment": "a label"}},
    {"alter_column": {"table": "items", "column": "kind", "default": "'k1'",
                      "references": {"name": "kind_fk", "table": "kinds", "column": "code", "on_delete": "CASCADE", "on_update": "RESTRICT", "deferrable": True},
                      "check": {"name": "kind_long", "constraint": "length(kind) > 1", "no_inherit": True}}},
    {"alter_column": {"table": "items", "column": "n", "default": None, "unique": {"name": "n_once", "nulls_not_distinct": True, "deferrable": True}}}]}
MORE_PLAIN = ("ALTER TABLE {s}.items ADD CONSTRAINT n_small CHECK (n < 1000) NO INHERIT, ADD CONSTRAINT of_kind FOREIGN KEY (a, b) "
              "REFERENCES {s}.kinds (a, b) ON DELETE SET NULL (b), ADD CONSTRAINT items_key PRIMARY KEY (id) INCLUDE (a) WITH (fillfactor = 75), "
              "ADD CONSTRAINT pair_once UNIQUE NULLS NOT DISTINCT (id, n) DEFERRABLE INITIALLY DEFERRED, ADD CONSTRAINT kind_later FOREIGN KEY (kind) "
              "REFERENCES {s}.kinds (code) MATCH FULL ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED,"
              "ADD CONSTRAINT label_once UNIQUE (label, kind) INCLUDE (n) WITH (fillfactor = 80) USING INDEX TABLESPACE elsewhere, ALTER label SET NOT NULL, ALTER label SET DEFAULT 'none',"
              "ALTER kind SET DEFAULT 'k1', ADD CONSTRAINT kind_fk FOREIGN KEY (kind) REFERENCES {s}.kinds (code) ON DELETE CASCADE ON UPDATE RESTRICT DEFERRABLE, "
              "ADD CONSTRAINT kind_long CHECK (length(kind) > 1) NO INHERIT, ALTER n DROP DEFAULT, ADD CONSTRAINT n_once UNIQUE NULLS NOT DISTINCT (n) DEFERRABLE;"
              "COMMENT ON COLUMN {s}.items.label IS 'a label'")


def try_rows(conn, bound):
    """Rows that only the new schema refuses, each gone again."""
    rows = {"check": ("n", 1000), "fk": ("a", 77), "null": ("label", None), "kind": ("kind", "zz")}
    for what, (column, value) in rows.items():
        with conn.transaction(force_rollback=True):
            try:
                with conn.transaction():
                    row = {"id": 5000, "label": "x", "kind": "k1", "a": 1, "b": 1, "n": 999, column: value}
                    names = ", ".join(row)
                    conn.execute(f"INSERT INTO items ({names}) VALUES ({', '.join(['%s'] * len(row))})", tuple(row.values()))
                refused = False
            except psycopg.errors.IntegrityError:
                refused = True
            assert refused == bound, what


def test_new_constraints_bind_from_the_cutover_on_and_unique_ones_from_their_building(db, segue):
    build(db, TABLES)
    proxy = segue(db)
    name = proxy.ready(MORE)
    for conn in (old(proxy), new(proxy), db.connect()):
        try_rows(conn, bound=False)
        with pytest.raises(psycopg.errors.UniqueViolation):
            conn.execute("INSERT INTO items (id, label, n) VALUES (1, 'one', 5001)")
    proxy.cli("cutover", name)
    for conn in (old(proxy), new(proxy), db.connect()):
        try_rows(conn, bound=True)
    assert db.one("INSERT INTO items (id) VALUES (901) RETURNING label || kind || coalesce(n::text, '-')") == "nonek1-"
    proxy.cli("rollback", name)
    for conn in (old(proxy), new(proxy), db.connect()):
        try_rows(conn, bound=False)
    assert db.one("SELECT column_default FROM information_schema.columns WHERE table_name = 'items' "
                  "AND table_schema = 'public' AND column_name = 'n'") == "1"
    db.sql("DELETE FROM items WHERE id > 900")
    proxy.cli("cutover", name)
    proxy.kill9()
    proxy.start()
    try_rows(new(proxy), bound=True)
    complete(proxy, name)
    same_as_plain(db, MORE_PLAIN, "items", "kinds")


def test_an_abort_takes_new_constraints_away(db, segue):
    build(db, TABLES)
    proxy = segue(db)
    name = proxy.soaking(MORE)
    proxy.cli("rollback", name)
    proxy.cli("abort", name)
    unchanged(db, "items", "kinds")


BROKEN = {
    "null": ("UPDATE items SET label = NULL WHERE id IN (7, 9)",
             {"alter_column": {"table": "items", "column": "label", "nullable": False}}, "2 rows do not meet NOT NULL"),
    "check": ("UPDATE items SET n = -n WHERE id = 7", {"create_constraint": {
        "table": "items", "name": "positive", "type": "check", "check": "n > 0"}}, "1 rows do not meet constraint positive"),
    "orphan": ("UPDATE items SET kind = 'none' WHERE id = 7", {"alter_column": {
        "table": "items", "column": "kind", "references": {"name": "fk", "table": "kinds"}}}, "1 rows do not meet constraint fk"),
    "twins": ("UPDATE items SET label = 'l8' WHERE id = 7", {"create_constraint": {
        "table": "items", "name": "once", "type": "unique", "columns": ["label"]}}, "2 rows do not meet constraint once"),
}


@pytest.mark.one_version
def test_rows_that_do_not_meet_a_new_constraint_are_told_before_ready_and_resume_goes_on(db, segue):
    build(db, TABLES)
    proxy = segue(db)
    for case, (sql, operation, said) in BROKEN.items():
        db.sql(sql)
        proxy.begin({"name": case, "operations": [operation]})
        row = proxy.wait(case, lambda r: r["error"])
        assert row["phase"] == "backfilling" and said in row["error"] and "ctid (" in row["error"], case
        if "constraint" in said:  # there is no way back from here but this one
            assert row["hint"] == "mend the rows, then RESUME (segue resume), or ABORT (segue abort)", case
        db.sql("TRUNCATE items; INSERT INTO items SELECT i, 'l' || i, 'k' || i % 10, i % 10, i % 10, i FROM generate_series(1, 9) i")
        proxy.cli("resume", case)
        proxy.wait(case, lambda r: r["phase"] == "ready")
        proxy.cli("abort", case)


@pytest.mark.one_version
def test_a_row_that_slips_in_before_the_cutover_holds_complete_and_leaves_the_way_back(db, segue):
    build(db, TABLES)
    proxy = segue(db)
    name = proxy.ready({"name": "slip", "operations": [{"create_constraint": {
        "table": "items", "name": "n_small", "type": "check", "check": "n < 1000"}}]})
    db.sql("UPDATE items SET n = 2000 WHERE id = 7")
    proxy.cli("cutover", name)
    row = proxy.wait(name, lambda r: r["error"])
    assert row["phase"] == "soaking" and "n_small" in row["error"]
    assert "n_small" in proxy.cli("complete", name, "--force", check=1).err
    proxy.cli("rollback", name)
    proxy.cli("cutover", name)
    proxy.wait(name, lambda r: r["error"])
    db.sql("UPDATE items SET n = 20 WHERE id = 7")
    proxy.cli("resume", name)
    complete(proxy, name)
    assert db.one("SELECT convalidated FROM pg_constraint WHERE conname = 'n_small'")


LESS = {"name": "less", "operations": [
    {"drop_constraint": {"table": "items", "name": "n_small", "up": "n", "down": "least(n, 999)"}},
    {"drop_constraint": {"table": "items", "name": "kind_fk"}},
    {"drop_multicolumn_constraint": {"table": "items", "name": "a_b", "up": {"a": "a", "b": "b"}, "down": {"b": "a"}}},
    {"drop_constraint": {"table": "items", "name": "label_once"}},
    {"alter_column": {"table": "items", "column": "label", "nullable": True, "down": "'was null ' || id"}}]}
GIVEN = (";ALTER TABLE {s}.items ADD CONSTRAINT n_small CHECK (n < 1000), ADD CONSTRAINT kind_fk FOREIGN KEY (kind) "
         "REFERENCES {s}.kinds (code), ADD CONSTRAINT a_b CHECK (a = b), ADD CONSTRAINT label_once UNIQUE (label, kind),"
         "ALTER label SET NOT NULL; COMMENT ON CONSTRAINT a_b ON {s}.items IS 'equal'")
LESS_PLAIN = ("ALTER TABLE {s}.items DROP CONSTRAINT n_small, DROP CONSTRAINT kind_fk, DROP CONSTRAINT a_b, "
              "DROP CONSTRAINT label_once, ALTER label DROP NOT NULL")


def free_rows(conn, key, free):
    """What only the new schema lets in; left there."""
    rows = [("label", None), ("n", 5000), ("b", 3)]
    for i, (column, value) in enumerate(rows):
        row = {"id": key + i, "label": f"x{key + i}", "kind": "k1", "a": 1, "b": 1, "n": 999, column: value}
        sql = f"INSERT INTO items ({', '.join(row)}) VALUES ({', '.join(['%s'] * len(row))})"
        if free:
            conn.execute(sql, tuple(row.values()))
        else:
            with pytest.raises(psycopg.errors.IntegrityError):
                conn.execute(sql, tuple(row.values()))


def test_dropped_constraints_free_the_new_application_and_a_rollback_mends_its_rows(db, segue):
    build(db, TABLES + GIVEN)
    proxy = segue(db)
    name = proxy.ready(LESS)
    for i, conn in enumerate((old(proxy), new(proxy), db.connect())):
        free_rows(conn, 1000 + 10 * i, free=False)
    proxy.cli("cutover", name)
    for i, conn in enumerate((old(proxy), new(proxy), db.connect())):
        free_rows(conn, 2000 + 10 * i, free=True)
    with pytest.raises(psycopg.errors.UniqueViolation):
        new(proxy).execute("INSERT INTO items SELECT * FROM items WHERE id = 1")
    proxy.cli("rollback", name)
    assert db.sql("SELECT label, n, b FROM items WHERE id BETWEEN 2000 AND 2002 ORDER BY id") == [
        ("was null 2000", 999, 1), ("x2001", 999, 1), ("x2002", 999, 1)]
    free_rows(old(proxy), 3000, free=False)
    proxy.cli("cutover", name)
    free_rows(new(proxy), 4000, free=True)
    db.sql("CREATE TABLE refers (l text, k text, CONSTRAINT new_one FOREIGN KEY (l, k) REFERENCES items (label, kind))")
    refused = proxy.cli("complete", name, "--force", check=1).err
    assert "new_one on table public.refers came after the migration was planned: it needs constraint label_once" in refused
    db.sql("DROP TABLE refers")
    proxy.kill9()
    proxy.start()
    complete(proxy, name)
    same_as_plain(db, LESS_PLAIN, "items", "kinds")


PRICES = ("CREATE TABLE {s}.prices (id int PRIMARY KEY CONSTRAINT few CHECK (id < 1000), amount int CONSTRAINT low CHECK (amount < 10),"
          "  note text NOT NULL, code text NOT NULL);"
          "CREATE UNIQUE INDEX prices_code ON {s}.prices (code); ALTER TABLE {s}.prices REPLICA IDENTITY USING INDEX prices_code;"
          "INSERT INTO {s}.prices SELECT i, i % 10, 'n', 'c' || i FROM generate_series(1, 300) i")
CENTS = {"name": "cents", "operations": [
    {"drop_constraint": {"table": "prices", "name": "low", "down": "9"}},
    {"alter_column": {"table": "prices", "column": "note", "nullable": True, "down": "'none'"}},
    {"drop_constraint": {"table": "prices", "name": "few"}},
    {"rename_column": {"table": "prices", "from": "code", "to": "sku"}},
    {"alter_column": {"table": "prices", "column": "amount", "type": "bigint", "up": "amount * 100", "down": "(amount / 100)::int"}}]}
CENTS_PLAIN = ("ALTER TABLE {s}.prices DROP CONSTRAINT low, DROP CONSTRAINT few, ALTER note DROP NOT NULL, ALTER amount TYPE bigint USING amount * 100;"
               "ALTER TABLE {s}.prices RENAME code TO sku")


def test_rows_are_mended_while_the_new_schema_is_the_truth_whatever_else_turns_with_it(db, segue):
    """The new half follows what a row becomes; no constraint without `down` stands in the way of another's; and the table is
    published, so that its rows want their replica identity."""
    build(db, PRICES)
    db.sql("CREATE PUBLICATION sent FOR TABLE public.prices")
    proxy = segue(db)
    name = proxy.soaking(CENTS)
    db.sql("INSERT INTO prices (id, amount, sku) VALUES (2000, 5000, 'x')")
    proxy.cli("rollback", name)
    assert db.sql("SELECT amount, note, code FROM prices WHERE id = 2000") == [(9, "none", "x")]
    proxy.cli("cutover", name)
    assert db.sql("SELECT amount, note, sku FROM prices WHERE id = 2000") == [(900, "none", "x")]
    complete(proxy, name)
    db.sql("INSERT INTO plain.prices VALUES (999, 9, 'none', 'x'); DROP PUBLICATION sent")
    same_as_plain(db, CENTS_PLAIN, "prices")


def test_a_reference_of_the_new_schema_does_not_hold_the_rows_that_the_way_back_mends(db, segue):
    """It is another table's, and goes before any row is mended."""
    db.sql("CREATE TABLE codes (code text PRIMARY KEY CONSTRAINT low CHECK (code = lower(code))); CREATE TABLE uses (code text)")
    proxy = segue(db)
    name = proxy.soaking({"name": "held", "operations": [
        {"drop_constraint": {"table": "codes", "name": "low", "down": "lower(code)"}},
        {"create_constraint": {"table": "uses", "name": "of_code", "type": "foreign_key", "columns": ["code"],
                               "references": {"name": "of_code", "table": "codes", "columns": ["code"]}}}]})
    db.sql("INSERT INTO codes VALUES ('A'); INSERT INTO uses VALUES ('A')")
    proxy.cli("rollback", name)
    assert db.sql("SELECT c.code, u.code FROM codes c, uses u") == [("a", "A")]
    assert db.sql("SELECT conname FROM pg_constraint WHERE conname IN ('low', 'of_code')") == [("low",)]


def test_complete_asks_for_references_to_a_part_of_what_it_drops_before_it_drops_anything(db, segue):
    db.sql("CREATE TABLE items (id int CONSTRAINT u UNIQUE) PARTITION BY LIST (id); CREATE TABLE part PARTITION OF items DEFAULT")
    proxy = segue(db)
    name = proxy.soaking({"name": "freed", "operations": [{"drop_constraint": {"table": "items", "name": "u"}}]})
    db.sql("CREATE TABLE refers (id int CONSTRAINT new_one REFERENCES part (id))")
    refused = proxy.cli("complete", name, "--force", check=1).err
    assert "new_one on table public.refers came after the migration was planned: it needs constraint u" in refused
    assert proxy.phase(name) == "soaking"
    db.sql("DROP TABLE refers")
    complete(proxy, name)


TURNS = {"another name": [{"rename_column": {"table": "prices", "from": "n", "to": "m"}}, {"rename_column": {"table": "uses", "from": "n", "to": "m"}}],
         "another type": [{"alter_column": {"table": table, "column": "n", "type": "bigint", "up": "n", "down": "n"}} for table in ("prices", "uses")]}


@pytest.mark.parametrize("how", TURNS)
def test_what_refers_to_a_row_that_the_way_back_mends_follows_it(db, segue, how):
    """By its foreign key, which is made again over the old half only behind that."""
    build(db, "CREATE TABLE {s}.prices (id int, n int CONSTRAINT prices_n UNIQUE, CONSTRAINT low CHECK (n < 100));"
              "CREATE TABLE {s}.uses (id int, n int CONSTRAINT of_n REFERENCES {s}.prices (n) ON UPDATE CASCADE)")
    proxy = segue(db)
    column = "m" if how == "another name" else "n"
    name = proxy.soaking({"name": "followed", "operations": [
        *TURNS[how], {"drop_constraint": {"table": "prices", "name": "low", "down": "n - 100"}}]})
    db.sql(f"INSERT INTO prices (id, {column}) VALUES (1, 107); INSERT INTO uses (id, {column}) VALUES (1, 107)")
    proxy.cli("rollback", name)
    assert db.sql("SELECT p.n, u.n FROM prices p, uses u") == [(7, 7)]
    proxy.cli("abort", name)
    unchanged(db, "prices", "uses")


def test_a_dropped_reference_comes_back_to_the_old_half_of_a_key(db, segue):
    """Behind the way back of the table that it refers to, where that half has the name, and the key, again."""
    build(db, "CREATE TABLE {s}.orders (id int PRIMARY KEY); CREATE TABLE {s}.lines (id int, of_order int CONSTRAINT of_order REFERENCES {s}.orders);"
              "INSERT INTO {s}.orders SELECT generate_series(1, 50); INSERT INTO {s}.lines SELECT i, i FROM generate_series(1, 50) i")
    proxy = segue(db)
    name = proxy.soaking({"name": "free", "operations": [
        {"alter_column": {"table": "orders", "column": "id", "type": "bigint", "up": "id", "down": "id::int"}},
        {"drop_constraint": {"table": "lines", "name": "of_order"}}]})
    db.sql("INSERT INTO lines VALUES (99, 99)")
    proxy.cli("rollback", name)
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        db.sql("INSERT INTO lines VALUES (98, 98)")
    db.sql("DELETE FROM lines WHERE id = 99")
    proxy.cli("abort", name)
    unchanged(db, "orders", "lines")


@pytest.mark.parametrize("child", ["lines", "orders"])
def test_a_key_and_what_refers_to_it_go_in_whichever_order(db, segue, child):
    tables = {"lines": ("CREATE TABLE {s}.orders (id int CONSTRAINT by_id PRIMARY KEY);"
                        "CREATE TABLE {s}.lines (id int, of_order int CONSTRAINT of_order REFERENCES {s}.orders)"),
              "orders": "CREATE TABLE {s}.orders (id int CONSTRAINT by_id PRIMARY KEY, of_order int CONSTRAINT of_order REFERENCES {s}.orders)"}
    build(db, tables[child] + ";INSERT INTO {s}.orders SELECT generate_series(1, 50)")
    proxy = segue(db)
    name = proxy.soaking({"name": "free", "operations": [
        {"drop_constraint": {"table": "orders", "name": "by_id"}}, {"drop_constraint": {"table": child, "name": "of_order"}}]})
    db.sql(f"INSERT INTO {child} (id, of_order) VALUES (99, 98)")
    proxy.cli("rollback", name)
    db.sql(f"DELETE FROM {child} WHERE id = 99")
    proxy.cli("cutover", name)
    proxy.cli("complete", name, "--force")
    db.sql(f"ALTER TABLE plain.{child} DROP CONSTRAINT of_order; ALTER TABLE plain.orders DROP CONSTRAINT by_id")
    unchanged(db, "orders", child)


def test_an_abort_after_a_rollback_proves_what_was_put_back(db, segue):
    build(db, TABLES + GIVEN)
    proxy = segue(db)
    name = proxy.soaking(LESS)
    free_rows(new(proxy), 2000, free=True)
    proxy.cli("rollback", name)
    proxy.cli("abort", name)
    unchanged(db, "items", "kinds")


@pytest.mark.one_version
@pytest.mark.parametrize("way", [("cutover", "rollback", "abort"), ("abort",)], ids=["rolled_back", "at_once"])
def test_an_abort_gives_not_null_back_as_it_was(db, segue, way):
    if db.one("SELECT current_setting('server_version_num')::int") < 180000:
        pytest.skip("NOT NULL has no name before PostgreSQL 18")
    build(db, TABLES + ";ALTER TABLE {s}.items ADD CONSTRAINT \"It's labelled\" NOT NULL label NO INHERIT;"
                       "COMMENT ON CONSTRAINT \"It's labelled\" ON {s}.items IS 'it''s there'")
    proxy = segue(db)
    name = proxy.ready({"name": "free", "operations": [
        {"alter_column": {"table": "items", "column": "label", "nullable": True}}]})
    for command in way:
        proxy.cli(command, name)
    unchanged(db, "items")
    assert catalog.not_null(db.connect(), "public.items") == catalog.not_null(db.connect(), "plain.items")


REFUSED = {
    "twice": ({"create_constraint": {"table": "items", "name": "n_small", "type": "check", "check": "n > 1"}},
              "already has a constraint"),
    "no_column": ({"create_constraint": {"table": "items", "name": "c", "type": "unique", "columns": ["x"]}}, "no column \"x\""),
    "no_key": ({"alter_column": {"table": "items", "column": "a", "references": {"name": "f", "table": "kinds", "column": "a"}}},
               "no unique constraint of these columns"),
    "no_type": ({"alter_column": {"table": "items", "column": "a", "references": {"name": "f", "table": "kinds"}}},
                "operations[0].alter_column.references: constraint f: operator does not exist"),
    "no_fit": ({"create_constraint": {"table": "items", "name": "c", "type": "check", "check": "label > 1"}},
               "create_constraint: constraint c: operator does not exist"),
    "no_fit_hint": ({"create_constraint": {"table": "items", "name": "c", "type": "check", "check": "label > 1"}},
                    "its columns are as this file leaves them"),
    "no_bool": ({"create_constraint": {"table": "items", "name": "c", "type": "check", "check": "n"}},
                "constraint c: argument of WHERE must be type boolean"),
    "no_constraint": ({"drop_constraint": {"table": "items", "name": "nothing"}}, "has no constraint"),
    "needed": ({"drop_constraint": {"table": "kinds", "name": "kinds_pkey"}}, "it needs kinds_pkey"),
    "several": ({"drop_constraint": {"table": "items", "name": "a_b", "down": "a"}}, "use drop_multicolumn_constraint"),
    "no_index": ({"drop_constraint": {"table": "times", "name": "late", "down": "now()"}},
                 "drop_constraint.down: index that is to find rows for down: functions in index predicate must be marked IMMUTABLE"),
    "no_index_hint": ({"drop_constraint": {"table": "times", "name": "late", "down": "now()"}}, "leave down out"),
    "key_null": ({"alter_column": {"table": "kinds", "column": "code", "nullable": True}}, "of the primary key"),
    "default": ({"alter_column": {"table": "items", "column": "n", "default": "'many'"}}, "invalid input syntax"),
}


@pytest.mark.one_version
def test_what_cannot_be_constrained_or_freed_is_refused_by_name(db, segue):
    build(db, TABLES + GIVEN)
    db.sql("CREATE TABLE times (id int PRIMARY KEY, at timestamptz CONSTRAINT late CHECK (at::date > '2000-01-01'))")
    proxy = segue(db)
    made = {"create_table": {"name": "made", "columns": [{"name": "id", "type": "int"}]}}
    late = {"create_constraint": {"table": "made", "name": "c", "type": "unique", "columns": ["id"]}}
    assert "is made by this file" in proxy.cli("plan", proxy.file({"name": "late", "operations": [made, late]}), check=1).err
    for case, (operation, said) in REFUSED.items():
        with pytest.raises(Refused) as refused:
            proxy.cli("start", proxy.file({"name": case, "operations": [operation]}))
        assert said in str(refused.value), case


@pytest.mark.one_version
def test_the_plan_says_out_loud_who_is_bound_and_when(db, segue):
    build(db, TABLES)
    proxy = segue(db)
    out = proxy.cli("plan", proxy.file(MORE)).out
    for said in ("constraint n_small binds all writers from the cut-over on", "NOT NULL of label binds all writers",
                 "binds all writers from its building on", "look for rows against constraint of_kind",
                 "public.items, public.kinds"):
        assert said in out, said


@pytest.mark.one_version
def test_a_partitioned_table_gets_and_loses_what_needs_no_index(db, segue):
    build(db, "CREATE TABLE {s}.parts (id bigint, label text, kind text NOT NULL, n int, CONSTRAINT n_small CHECK (n < 1000)) "
              "PARTITION BY RANGE (id); CREATE TABLE {s}.parts_1 PARTITION OF {s}.parts FOR VALUES FROM (0) TO (100);"
              "CREATE TABLE {s}.parts_2 PARTITION OF {s}.parts FOR VALUES FROM (100) TO (1000);"
              "INSERT INTO {s}.parts SELECT i, 'l' || i, 'k', i FROM generate_series(1, 300) i")
    proxy = segue(db)
    name = proxy.soaking({"name": "parts", "operations": [
        {"alter_column": {"table": "parts", "column": "label", "nullable": False, "default": "'none'",
                          "check": {"name": "label_long", "constraint": "length(label) > 1"}}},
        {"drop_constraint": {"table": "parts", "name": "n_small"}},
        {"drop_column": {"table": "parts", "column": "kind", "down": "'kind of ' || label"}}]})
    new(proxy).execute("INSERT INTO parts (id, n) VALUES (400, 4000)")
    assert db.sql("SELECT kind, label FROM parts_2 WHERE id = 400") == [("kind of none", "none")]
    db.sql("DELETE FROM parts WHERE id = 400")
    proxy.cli("rollback", name)
    proxy.cli("cutover", name)
    complete(proxy, name)
    same_as_plain(db, "ALTER TABLE {s}.parts ALTER label SET NOT NULL, ALTER label SET DEFAULT 'none', "
                      "ADD CONSTRAINT label_long CHECK (length(label) > 1), DROP CONSTRAINT n_small, DROP COLUMN kind",
                  "parts", "parts_1", "parts_2")


def keyed(table, column):
    return {"create_constraint": {"table": table, "name": f"{table}_key", "type": "primary_key", "columns": [column]}}


KEYED = {"name": "keyed", "operations": [
    {"add_column": {"table": "adds", "column": {"name": "id", "type": "int"}, "up": "n"}}, keyed("adds", "id"),
    {"rename_column": {"table": "renames", "from": "n", "to": "id"}}, keyed("renames", "id"),
    {"alter_column": {"table": "retypes", "column": "n", "type": "bigint", "up": "n", "down": "n::int"}}, keyed("retypes", "n")]}
KEYED_TABLES = ("adds", "renames", "retypes")
KEYED_PLAIN = ("ALTER TABLE {s}.adds ADD id int; UPDATE {s}.adds SET id = n; ALTER TABLE {s}.renames RENAME n TO id; ALTER TABLE {s}.retypes ALTER n TYPE bigint;"
               "ALTER TABLE {s}.adds ADD CONSTRAINT adds_key PRIMARY KEY (id); ALTER TABLE {s}.renames ADD CONSTRAINT renames_key PRIMARY KEY (id);"
               "ALTER TABLE {s}.retypes ADD CONSTRAINT retypes_key PRIMARY KEY (n)")


def test_a_key_over_columns_that_the_file_makes_stands_in_no_way_back(db, segue):
    """It makes them NOT NULL before ready, and for as long as it stands: neither turn says so again, nor takes it back."""
    build(db, "".join(f"CREATE TABLE {{s}}.{table} (n int NOT NULL); INSERT INTO {{s}}.{table} SELECT generate_series(1, 99);" for table in KEYED_TABLES))
    proxy = segue(db)
    name = proxy.ready(KEYED)
    for step in "cutover", "rollback", "cutover":
        proxy.cli("wait", name)
        proxy.cli(step, name)
    complete(proxy, name)
    same_as_plain(db, KEYED_PLAIN, *KEYED_TABLES)
    with db.connect() as conn:
        assert catalog.not_null(conn, "public.retypes") == catalog.not_null(conn, "plain.retypes")
