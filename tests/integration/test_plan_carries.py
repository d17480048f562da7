"""What a renamed column keeps: the catalog afterwards against a plain ALTER TABLE ... RENAME COLUMN.

The table is made twice; segue migrates `public.items`, the plain rename works on `plain.items`.
"""

import ast

import pytest
from lib import catalog

SHARED = "CREATE TABLE {s}.kinds (code text PRIMARY KEY); INSERT INTO {s}.kinds SELECT 'v' || i FROM generate_series(0, 3000) i;"
BASE = ("CREATE TABLE {s}.items (id bigint PRIMARY KEY, label {type}, env text NOT NULL DEFAULT 'prod', n int);"
        "INSERT INTO {s}.items SELECT i, {value}, 'e' || i % 3, i FROM generate_series(1, 300) i;")

# what the old column has -> SQL on it ({s}: the schema)
CARRIED = {
    "privileges": "GRANT SELECT (label), UPDATE (label) ON {s}.items TO reader; GRANT SELECT (label) ON {s}.items TO PUBLIC",
    "grant_option": "GRANT INSERT (label) ON {s}.items TO app WITH GRANT OPTION",
    "comment": "COMMENT ON COLUMN {s}.items.label IS 'it''s \"the\" label\\'",
    "statistics_target": "ALTER TABLE {s}.items ALTER label SET STATISTICS 777, ALTER label SET (n_distinct = 9, n_distinct_inherited = -0.5)",
    "storage": "ALTER TABLE {s}.items ALTER label SET STORAGE EXTERNAL, ALTER label SET COMPRESSION pglz",
    "collation": "ALTER TABLE {s}.items ALTER label TYPE text COLLATE \"C\"",
    "default": "ALTER TABLE {s}.items ALTER label SET DEFAULT 'none'",
    "not_null": "ALTER TABLE {s}.items ALTER label SET NOT NULL",
    "index": "CREATE INDEX ix_items_label ON {s}.items (label)",
    "index_odd_name": "CREATE INDEX \"Odd index, with 'quotes'\" ON {s}.items (label)",
    "index_long_name": "CREATE INDEX ix_" + "x" * 60 + " ON {s}.items (label)",
    "index_two_columns": "CREATE INDEX ix_items_env_label ON {s}.items (env, label DESC NULLS LAST)",
    "index_include": "CREATE INDEX ix_items_env_inc ON {s}.items (env) INCLUDE (label)",
    "index_partial": "CREATE INDEX ix_items_part ON {s}.items (id) WHERE label IS NOT NULL AND env = 'e1'",
    "index_expression": "CREATE INDEX ix_items_lower ON {s}.items (lower(label))",
    "index_statistics": "CREATE INDEX ix_items_st ON {s}.items (env, lower(label)); "
                        "ALTER INDEX {s}.ix_items_st ALTER COLUMN 2 SET STATISTICS 321",
    "index_of_extension": "CREATE INDEX ix_items_x ON {s}.items (label); ALTER INDEX {s}.ix_items_x DEPENDS ON EXTENSION plpgsql",
    "index_method": "CREATE INDEX ix_items_hash ON {s}.items USING hash (label)",
    "index_options": "CREATE INDEX ix_items_ff ON {s}.items (label text_pattern_ops) WITH (fillfactor = 70) TABLESPACE elsewhere",
    "index_comment": "CREATE INDEX ix_items_c ON {s}.items (label); COMMENT ON INDEX {s}.ix_items_c IS 'why'",
    "index_unique": "CREATE UNIQUE INDEX ux_items_label ON {s}.items (label)",
    "index_unique_partial": "CREATE UNIQUE INDEX ux_items_part ON {s}.items (label, env) WHERE n > 10",
    "unique": "ALTER TABLE {s}.items ADD CONSTRAINT items_label_key UNIQUE (label) WITH (fillfactor = 65) USING INDEX TABLESPACE elsewhere",
    "unique_two_columns": "ALTER TABLE {s}.items ADD CONSTRAINT items_env_label UNIQUE (env, label)",
    "unique_deferrable": "ALTER TABLE {s}.items ADD CONSTRAINT items_later UNIQUE (label) DEFERRABLE INITIALLY DEFERRED",
    "unique_comments": "ALTER TABLE {s}.items ADD CONSTRAINT items_label_key UNIQUE (label); "
                       "COMMENT ON CONSTRAINT items_label_key ON {s}.items IS 'it''s one'; "
                       "COMMENT ON INDEX {s}.items_label_key IS 'of it'",
    "check": "ALTER TABLE {s}.items ADD CONSTRAINT label_long CHECK (length(label) > 0)",
    "check_two_columns": "ALTER TABLE {s}.items ADD CONSTRAINT label_env CHECK (label <> env)",
    "foreign_key": "ALTER TABLE {s}.items ADD CONSTRAINT fk_kind FOREIGN KEY (label) REFERENCES {s}.kinds (code) "
                   "ON UPDATE CASCADE ON DELETE SET NULL (label)",
    "foreign_key_deferred": "ALTER TABLE {s}.items ADD FOREIGN KEY (label) REFERENCES {s}.kinds "
                            "DEFERRABLE INITIALLY DEFERRED",
    "foreign_key_set_null": "CREATE TABLE {s}.codes (env text, code text, PRIMARY KEY (env, code));"
                            "INSERT INTO {s}.codes SELECT DISTINCT env, label FROM {s}.items;"
                            "ALTER TABLE {s}.items ADD CONSTRAINT fk_code FOREIGN KEY (env, label) REFERENCES {s}.codes "
                            "ON DELETE SET NULL (label) DEFERRABLE",
    "foreign_key_set_null_not_valid": "CREATE TABLE {s}.codes (env text, \"Code (a)\" text, PRIMARY KEY (env, \"Code (a)\"));"
                                      "ALTER TABLE {s}.items ADD CONSTRAINT fk_code FOREIGN KEY (env, label) REFERENCES {s}.codes "
                                      "MATCH SIMPLE ON DELETE SET NULL (label) NOT VALID",
    "foreign_key_set_other": "CREATE TABLE {s}.codes (env text, code text, PRIMARY KEY (env, code));"
                             "INSERT INTO {s}.codes SELECT DISTINCT env, label FROM {s}.items;"
                             "ALTER TABLE {s}.items ADD COLUMN \"a (b)\" text, ADD CONSTRAINT fk_code FOREIGN KEY (\"a (b)\", label) "
                             "REFERENCES {s}.codes ON DELETE SET DEFAULT (\"a (b)\")",
    "everything": "GRANT SELECT (label) ON {s}.items TO reader; COMMENT ON COLUMN {s}.items.label IS 'c';"
                  "ALTER TABLE {s}.items ALTER label SET NOT NULL, ALTER label SET DEFAULT 'v0';"
                  "ALTER TABLE {s}.items ADD UNIQUE (label), ADD CHECK (label <> ''), "
                  "ADD FOREIGN KEY (label) REFERENCES {s}.kinds; CREATE INDEX ON {s}.items (label, n);"
                  "CREATE STATISTICS {s}.st_items (ndistinct, mcv) ON n, label, (lower(label)), (n % 7) FROM {s}.items;"
                  "COMMENT ON STATISTICS {s}.st_items IS 'it''s of both'",
    "statistics": "CREATE STATISTICS {s}.\"St (odd)\" (dependencies) ON env, label FROM {s}.items;"
                  "ALTER STATISTICS {s}.\"St (odd)\" SET STATISTICS 55; ALTER STATISTICS {s}.\"St (odd)\" OWNER TO app;"
                  "CREATE STATISTICS {s}.st_one ON (label || env) FROM {s}.items; CREATE STATISTICS {s}.st_other ON env, n FROM {s}.items",
    "table_without_key": "ALTER TABLE {s}.items DROP CONSTRAINT items_pkey",
}
RENAME = {"name": "carry", "operations": [{"rename_column": {"table": "items", "from": "label", "to": "title"}}]}


def build(db, schema, extra, kind="text", value="'v' || i"):
    db.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    for part in (SHARED, BASE, extra):
        db.sql(part.replace("{s}", schema).replace("{type}", kind).replace("{value}", value))


def compare(db, plain="plain", renamed=True):
    """The table segue has migrated against the plainly renamed one; or one that has been changed as plainly."""
    # nothing on the search path: every name comes with its schema
    with db.connect(options="-c search_path=") as conn:
        if renamed:
            conn.execute(f"ALTER TABLE {plain}.items RENAME COLUMN label TO title")
        want = catalog.table(conn, f"{plain}.items")
        got = catalog.table(conn, "public.items")
    text = repr(want).replace(f"{plain}.", "public.")
    assert catalog.difference(ast.literal_eval(text), got) == []


@pytest.mark.parametrize("feature", [k for k in CARRIED if k not in ("everything", "not_null")])
@pytest.mark.one_version
def test_a_renamed_column_keeps_its(db, segue, feature):
    for schema in ("public", "plain"):
        build(db, schema, CARRIED[feature])
    proxy = segue(db)
    proxy.done(RENAME)
    compare(db)
    assert catalog.traces(db.connect()) == []


@pytest.mark.parametrize("feature", ["everything", "not_null"])
def test_a_renamed_column_keeps_on_every_version(db, segue, feature):
    for schema in ("public", "plain"):
        build(db, schema, CARRIED[feature])
    proxy = segue(db)
    proxy.done(RENAME)
    compare(db)
    assert catalog.traces(db.connect()) == []


# what the server has never proven, or does not enforce -> SQL on it
UNPROVEN = {
    "check_not_valid": "ALTER TABLE {s}.items ADD CONSTRAINT c CHECK (label <> 'x') NOT VALID; COMMENT ON CONSTRAINT c ON {s}.items IS 'why'",
    "foreign_key_not_valid": "ALTER TABLE {s}.items ADD CONSTRAINT f FOREIGN KEY (label) REFERENCES {s}.kinds ON DELETE CASCADE NOT VALID",
    "both": "ALTER TABLE {s}.items ALTER label SET NOT NULL, ADD CHECK (label <> 'x') NOT VALID, ADD CHECK (label <> 'y');"
            "ALTER TABLE {s}.items ADD FOREIGN KEY (label) REFERENCES {s}.kinds NOT VALID",
}
NOT_ENFORCED = {  # rows against them are nobody's business
    "check": "ALTER TABLE {s}.items ADD CONSTRAINT c CHECK (label <> 'v7') NOT ENFORCED",
    "check_no_inherit": "ALTER TABLE {s}.items ADD CONSTRAINT c CHECK (label <> 'v7') NO INHERIT NOT ENFORCED",
    "foreign_key": "DELETE FROM {s}.kinds; ALTER TABLE {s}.items ADD CONSTRAINT f FOREIGN KEY (label) REFERENCES {s}.kinds NOT ENFORCED",
}


def there_and_back_and_done(proxy, migration):
    name = proxy.soaking(migration)
    proxy.cli("rollback", name)
    proxy.wait_phase(name, "ready")
    proxy.cli("cutover", name)
    proxy.cli("complete", name, "--force")


def is_kept(db, segue, sql):
    for schema in ("public", "plain"):
        build(db, schema, sql)
    there_and_back_and_done(segue(db), RENAME)
    compare(db)
    assert catalog.traces(db.connect()) == []


def test_statistics_are_there_and_filled_before_the_cutover_and_kept_both_ways(db, segue):
    kept = CARRIED["everything"] + ";" + CARRIED["statistics"]
    for schema in ("public", "plain"):
        build(db, schema, kept)
    proxy = segue(db)
    name = proxy.ready(RENAME)
    assert db.sql("SELECT s.stxname LIKE '~segue%', count(*), count(stxdmcv) FROM pg_statistic_ext s JOIN pg_statistic_ext_data d "
                  "ON d.stxoid = s.oid WHERE stxrelid = 'public.items'::regclass GROUP BY 1 ORDER BY 1")[-1] == (True, 3, 1)
    for command in ("cutover", "rollback", "cutover"):
        proxy.cli(command, name)
    proxy.cli("complete", name, "--force")
    compare(db)
    assert catalog.traces(db.connect()) == []


@pytest.mark.one_version
def test_statistics_over_a_column_that_changes_its_type_are_kept(db, segue):
    for schema in ("public", "plain"):
        build(db, schema, "CREATE STATISTICS {s}.st (mcv) ON n, id, (n % 7), label FROM {s}.items")
    proxy = segue(db)
    for new, words in (("point", "values of type point have no order"), ("text", "(n % 7) cannot follow the change of type")):
        refused = proxy.cli("plan", proxy.file({"name": "other", "operations": [{"alter_column": {
            "table": "items", "column": "n", "type": new, "up": "NULL", "down": "NULL"}}]}), check=1).out
        assert "statistics object public.st: " + words in refused and "DROP STATISTICS" in refused, refused
    there_and_back_and_done(proxy, {"name": "wider", "operations": [
        {"alter_column": {"table": "items", "column": "n", "type": "bigint", "up": "n", "down": "n::int"}}]})
    db.sql("ALTER TABLE plain.items ALTER n TYPE bigint")
    compare(db, renamed=False)
    assert catalog.traces(db.connect()) == []


CODES = ("CREATE TABLE {s}.codes (env text, code text, PRIMARY KEY (env, code));"
         "INSERT INTO {s}.codes SELECT DISTINCT env, label FROM {s}.items; INSERT INTO {s}.codes SELECT 'e' || i, 'none' FROM generate_series(0, 2) i;"
         "ALTER TABLE {s}.items ALTER label SET DEFAULT 'none', ADD CONSTRAINT fk_code FOREIGN KEY (env, label) REFERENCES {s}.codes"
         " ON DELETE SET {what} (label)")


@pytest.mark.parametrize("what", ["NULL", "DEFAULT"])
def test_a_foreign_key_sets_the_columns_that_it_names_whoever_deletes_and_when(db, segue, what):
    for schema in ("public", "plain"):
        build(db, schema, CODES.replace("{what}", what))
    proxy = segue(db)
    name = proxy.ready(RENAME)
    expected, gone = "none" if what == "DEFAULT" else None, iter(range(1, 300))

    def delete(phase):
        row = next(gone)
        for connect in (db.connect, proxy.connect):
            with connect() as conn:
                conn.execute(f"DELETE FROM codes WHERE code = 'v{row}'")
            got = db.sql(f"SELECT env, label, title FROM items WHERE id = {row}")
            assert got == [(f"e{row % 3}", expected, expected)], phase
            row = next(gone)

    delete("ready")
    for command in ("cutover", "rollback", "cutover"):
        proxy.cli(command, name)
        delete(command)
    proxy.cli("complete", name, "--force")
    compare(db)
    assert catalog.traces(db.connect()) == []


@pytest.mark.parametrize("feature", UNPROVEN)
def test_a_renamed_column_keeps_what_is_not_valid_as_it_is(db, segue, feature):
    is_kept(db, segue, UNPROVEN[feature])


@pytest.mark.versions(18)
@pytest.mark.parametrize("feature", NOT_ENFORCED)
def test_a_renamed_column_keeps_what_is_not_enforced_as_it_is(db, segue, feature):
    is_kept(db, segue, NOT_ENFORCED[feature])


def test_a_column_that_changes_its_type_keeps_a_check_that_is_not_valid(db, segue):
    for schema in ("public", "plain"):
        build(db, schema, "ALTER TABLE {s}.items ADD CONSTRAINT c CHECK (n <> 700) NOT VALID")
    there_and_back_and_done(segue(db), {"name": "wider", "operations": [
        {"alter_column": {"table": "items", "column": "n", "type": "bigint", "up": "n", "down": "n::int"}}]})
    db.sql("ALTER TABLE plain.items ALTER n TYPE bigint")
    compare(db, renamed=False)
    assert catalog.traces(db.connect()) == []


@pytest.mark.one_version
def test_what_segue_is_to_prove_and_has_not_keeps_the_cutover_from_happening(db, segue):
    build(db, "public", "ALTER TABLE {s}.items ADD CONSTRAINT c CHECK (label <> 'x'), ADD CONSTRAINT d CHECK (label <> 'y') NOT VALID")
    proxy = segue(db)
    name = proxy.ready(RENAME)
    made = "SELECT conname FROM pg_constraint WHERE conrelid = 'items'::regclass AND conname LIKE '~segue%' AND {}convalidated"
    proven, unproven = db.one(made.format("")), db.one(made.format("NOT "))
    db.sql(f"""ALTER TABLE items DROP CONSTRAINT "{proven}", ADD CONSTRAINT "{proven}" CHECK (title <> 'x') NOT VALID""")
    refused = proxy.cli("cutover", name, check=1).err
    assert proven in refused and "not validated" in refused and unproven not in refused
    db.sql(f'ALTER TABLE items VALIDATE CONSTRAINT "{proven}"')
    proxy.cli("cutover", name)


NOT_NULL = ("ALTER TABLE {s}.items ADD CONSTRAINT \"Label, always\" NOT NULL label NO INHERIT, ADD CONSTRAINT counted NOT NULL n;"
            "COMMENT ON CONSTRAINT \"Label, always\" ON {s}.items IS 'it''s there'; COMMENT ON CONSTRAINT counted ON {s}.items IS 'c'")
# PostgreSQL names it, and a rename does not change that
UNNAMED = "ALTER TABLE {s}.items ALTER label SET NOT NULL, ALTER n SET NOT NULL"
RETYPE = {"alter_column": {"table": "items", "column": "n", "type": "bigint"}}


@pytest.mark.one_version
@pytest.mark.parametrize("given", [NOT_NULL, UNNAMED], ids=["named", "unnamed"])
def test_what_makes_a_column_not_null_keeps_its_name_and_comment(db, segue, given):
    if db.one("SELECT current_setting('server_version_num')::int") < 180000:
        pytest.skip("NOT NULL has no name before PostgreSQL 18")
    for schema in ("public", "plain"):
        build(db, schema, given)
    proxy = segue(db)
    name = proxy.soaking({"name": "carry", "operations": [*RENAME["operations"], RETYPE]})
    proxy.cli("rollback", name)
    assert catalog.not_null(db.connect(), "public.items") == catalog.not_null(db.connect(), "plain.items")
    proxy.cli("cutover", name)
    proxy.cli("complete", name, "--force")
    db.sql("ALTER TABLE plain.items ALTER n TYPE bigint")
    compare(db)
    assert catalog.not_null(db.connect(), "public.items") == catalog.not_null(db.connect(), "plain.items")
    assert catalog.traces(db.connect()) == []


@pytest.mark.parametrize("operation", [*RENAME["operations"], {"alter_column": {
    "table": "items", "column": "label", "type": "varchar(99)"}}], ids=["rename", "retype"])
def test_a_privilege_that_another_role_has_granted_is_told(db, segue, operation):
    build(db, "public", "")
    with db.connect() as conn:
        conn.execute("GRANT UPDATE (label) ON items TO app WITH GRANT OPTION; GRANT SELECT (label) ON items TO reader;"
                     "SET ROLE app; GRANT UPDATE (label) ON public.items TO reader")
    proxy = segue(db)
    shown = proxy.cli("plan", proxy.file({"name": "carry", "operations": [operation]})).out
    assert "UPDATE of reader was granted by app" in shown
    assert shown.count("was granted by") == 1
    proxy.done({"name": "carry", "operations": [operation]})
    column = "title" if "rename_column" in operation else "label"
    assert db.one(f"SELECT has_column_privilege('reader', 'items', '{column}', 'UPDATE')")


SPLIT = {"change_columns": {"table": "items", "from": ["label"], "to": [{"name": x, "type": "text", "nullable": True} for x in ("head", "tail")],
                            "up": {"head": "left(label, 1)", "tail": "substr(label, 2)"}, "down": {"label": "concat(head, tail)"}}}


@pytest.mark.parametrize("operation", [*RENAME["operations"], {"alter_column": {
    "table": "items", "column": "label", "type": "varchar(99)"}}, SPLIT], ids=["rename", "retype", "split"])
def test_a_column_with_a_security_label_is_refused(db, segue, operation):
    build(db, "public", "")
    with db.connect(options="-c allow_system_table_mods=on") as conn:  # there is no provider that would write it
        conn.execute("INSERT INTO pg_seclabel SELECT attrelid, 'pg_class'::regclass, attnum, 'anon', 'MASKED WITH VALUE NULL' "
                     "FROM pg_attribute WHERE attrelid = 'items'::regclass AND attname = 'label'")
    proxy = segue(db)
    refused = proxy.cli("plan", proxy.file({"name": "carry", "operations": [operation]}), check=1)
    assert "column label of public.items: its security label (for anon) cannot be carried" in refused.out
    other = {"rename_column": {"table": "items", "from": "n", "to": "m"}}
    proxy.cli("plan", proxy.file({"name": "other", "operations": [other]}))


@pytest.mark.one_version
def test_a_security_label_of_a_partitions_column_is_refused(db, segue):
    db.sql("CREATE TABLE items (id int, n int, label text) PARTITION BY LIST (id); CREATE TABLE part (gone int, label text, n int, id int);"
           "ALTER TABLE part DROP gone; ALTER TABLE items ATTACH PARTITION part DEFAULT")
    with db.connect(options="-c allow_system_table_mods=on") as conn:
        conn.execute("INSERT INTO pg_seclabel SELECT attrelid, 'pg_class'::regclass, attnum, 'anon', 'MASKED WITH VALUE NULL' "
                     "FROM pg_attribute WHERE attrelid = 'part'::regclass AND attname = 'label'")
    proxy = segue(db)
    refused = proxy.cli("plan", proxy.file(RENAME), check=1).out
    assert "column label of public.items: its security label (for anon on public.part) cannot be carried" in refused
    other = {"rename_column": {"table": "items", "from": "n", "to": "m"}}
    proxy.cli("plan", proxy.file({"name": "other", "operations": [other]}))


@pytest.mark.one_version
@pytest.mark.parametrize("operation", [*RENAME["operations"], {"alter_column": {
    "table": "items", "column": "label", "type": "varchar(99)"}}], ids=["rename", "retype"])
def test_a_privilege_on_a_partitions_column_is_kept(db, segue, operation):
    db.sql("CREATE TABLE items (id int, n int, label text) PARTITION BY LIST (id); CREATE TABLE \"Part one\" PARTITION OF items DEFAULT;"
           "GRANT SELECT (label), INSERT (n) ON \"Part one\" TO reader; GRANT UPDATE (label) ON \"Part one\" TO app WITH GRANT OPTION")
    proxy = segue(db)
    said = proxy.cli("plan", proxy.file({"name": "split", "operations": [SPLIT]})).out
    assert "reader holds SELECT on column label of this partition: it is not granted on the new ones" in said and "holds INSERT" not in said
    proxy.done({"name": "carry", "operations": [operation]})
    column = "title" if "rename_column" in operation else "label"
    assert db.sql("SELECT grantee, privilege_type, is_grantable FROM information_schema.column_privileges WHERE table_name = 'Part one' "
                  f"AND column_name = '{column}' AND grantee IN ('reader', 'app') ORDER BY 1") == [("app", "UPDATE", "YES"), ("reader", "SELECT", "NO")]


@pytest.mark.one_version
@pytest.mark.parametrize("kind", ["serial", "bigint GENERATED BY DEFAULT AS IDENTITY", "bigint GENERATED ALWAYS AS IDENTITY"])
def test_a_renamed_column_keeps_its_sequence(db, segue, kind):
    for schema in ("public", "plain"):
        build(db, schema, "", "text", "'v' || i")
        db.sql(f"ALTER TABLE {schema}.items DROP COLUMN label; ALTER TABLE {schema}.items ADD COLUMN label {kind}")
    proxy = segue(db)
    conn = proxy.connect()
    name = proxy.soaking(RENAME)
    first = conn.execute("INSERT INTO items (id) VALUES (1001) RETURNING title").fetchone()[0]
    second = conn.execute("INSERT INTO items (id) VALUES (1002) RETURNING title").fetchone()[0]
    assert second == first + 1 > 300
    assert db.one("SELECT count(*) FROM items WHERE label IS DISTINCT FROM title") == 0
    proxy.cli("complete", name, "--force")
    with db.connect() as direct:
        direct.execute("ALTER TABLE plain.items RENAME COLUMN label TO title")
        want = catalog.table(direct, "plain.items")
        got = catalog.table(direct, "public.items")
    assert len(got["sequences"]) == 1 and list(got["sequences"].values()) == ["title"]
    assert got["columns"]["title"]["not_null"] == want["columns"]["title"]["not_null"]
    assert got["columns"]["title"]["identity"] == want["columns"]["title"]["identity"]
    assert db.one("SELECT pg_get_serial_sequence('items', 'title')") is not None
    db.sql("INSERT INTO items (id) VALUES (1003)")
    assert db.one("SELECT title FROM items WHERE id = 1003") == second + 1


@pytest.mark.one_version
def test_a_serial_keeps_counting_for_both_revisions_in_every_phase(db, segue):
    db.sql("CREATE TABLE items (id bigint PRIMARY KEY, label serial)")
    proxy = segue(db)
    conn = proxy.connect()
    add = "INSERT INTO items (id) SELECT coalesce(max(id), 0) + 1 FROM items RETURNING id"
    conn.execute(add)
    name = proxy.ready(RENAME)
    conn.execute(add)
    proxy.cli("cutover", name)
    conn.execute(add)
    proxy.cli("rollback", name)
    conn.execute(add)
    proxy.cli("cutover", name)
    conn.execute(add)
    proxy.cli("complete", name, "--force")
    conn.execute(add)
    assert db.sql("SELECT id, title FROM items ORDER BY id") == [(i, i) for i in range(1, 7)]


@pytest.mark.one_version
def test_partitions_keep_their_indexes_and_constraints(db, segue):
    ddl = ("CREATE SCHEMA IF NOT EXISTS {s};"
           "CREATE TABLE {s}.items (id bigint, env text, label text NOT NULL, PRIMARY KEY (id)) PARTITION BY RANGE (id);"
           "CREATE TABLE {s}.items_a PARTITION OF {s}.items FOR VALUES FROM (0) TO (100);"
           "CREATE TABLE {s}.items_b PARTITION OF {s}.items FOR VALUES FROM (100) TO (1000);"
           "INSERT INTO {s}.items SELECT i, 'e', 'v' || i FROM generate_series(1, 300) i;"
           "CREATE INDEX ix_label ON {s}.items (label);"
           "ALTER TABLE {s}.items ADD CONSTRAINT label_long CHECK (length(label) > 1)")
    for schema in ("public", "plain"):
        db.sql(ddl.replace("{s}", schema))
    proxy = segue(db)
    proxy.done(RENAME)
    compare(db)
    assert db.one("SELECT bool_and(indisvalid) FROM pg_index WHERE indrelid IN ('items'::regclass, 'items_a'::regclass)")


@pytest.mark.one_version
def test_a_created_table_and_index_are_as_the_file_says(db, segue):
    db.sql("CREATE TABLE users (id bigint PRIMARY KEY, email text); INSERT INTO users SELECT i FROM generate_series(1, 100) i")
    proxy = segue(db)
    proxy.done({"name": "created", "operations": [
        {"create_table": {"name": "anonymous_usage", "columns": [
            {"name": "id", "type": "bigserial", "pk": True},
            {"name": "token", "type": "varchar(64)", "unique": True},
            {"name": "user_id", "type": "bigint", "nullable": True,
             "references": {"table": "users", "column": "id", "on_delete": "CASCADE"}},
            {"name": "count", "type": "integer", "default": "0", "comment": "so far"}]}},
        {"create_index": {"name": "ix_usage_user", "table": "anonymous_usage", "columns": ["user_id", "count"]}},
        {"create_index": {"name": "ix_users_email", "table": "users", "columns": ["email"], "unique": True,
                          "predicate": "email IS NOT NULL"}}]})
    with db.connect() as conn:
        got = catalog.table(conn, "anonymous_usage")
        users = catalog.table(conn, "users")
    columns = got["columns"]
    assert {n: (c["type"], c["not_null"]) for n, c in columns.items()} == {
        "id": ("bigint", True), "token": ("character varying(64)", True), "user_id": ("bigint", False),
        "count": ("integer", True)}
    assert columns["count"]["default"] == "0" and columns["count"]["comment"] == "so far"
    kinds = sorted(c[0] for c in got["constraints"].values())
    assert kinds == ["f", "p", "u"]
    assert "ON DELETE CASCADE" in next(c[1] for c in got["constraints"].values() if c[0] == "f")
    assert got["indexes"]["ix_usage_user"][0].endswith("(user_id, count)")
    assert users["indexes"]["ix_users_email"][0] == (
        "CREATE UNIQUE INDEX ix_users_email ON public.users USING btree (email) WHERE (email IS NOT NULL)")
    assert users["indexes"]["ix_users_email"][3] is True
