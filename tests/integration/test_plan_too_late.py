"""`plan` refuses what only a later phase would say, when it is too late; and nothing that is near to that."""

import pytest

pytestmark = pytest.mark.one_version


def alter(column, **more):
    return {"alter_column": {"table": "items", "column": column, **more}}


def identity(table, index):
    return {"set_replica_identity": {"table": table, "identity": {"type": "index", "index": index}}}


def renamed(column):
    return {"rename_column": {"table": "items", "from": column, "to": "other"}}


def adds(of, **more):
    return {"add_column": {"table": "items", "column": {"name": "other", "type": of, "nullable": True, **more}}}


TENANTS = ("CREATE TABLE items (id bigint PRIMARY KEY, tenant int NOT NULL, parent bigint, UNIQUE (tenant, id), "
           "CONSTRAINT pf FOREIGN KEY (tenant, parent) REFERENCES items (tenant, id))")
CODES = "CREATE TABLE items (id bigint PRIMARY KEY, code text UNIQUE, pcode text CONSTRAINT pf REFERENCES items (code))"
LOOP = "constraint pf on table public.items: column {}: the table's own foreign key refers to the column"
TYPED = "CREATE TYPE ty AS (id bigint, label text); CREATE TABLE items OF ty (PRIMARY KEY (id));"
BARE = "CREATE TABLE items (id bigint, label text, env text NOT NULL);"
KEYED = "CREATE TABLE items (id bigint PRIMARY KEY, label text);"
PARTITIONED = "CREATE TABLE items (id bigint, label text) PARTITION BY LIST (id); CREATE TABLE part PARTITION OF items DEFAULT;"
BRANCHED = ("CREATE TABLE items (id bigint, label text) PARTITION BY RANGE (id); CREATE TABLE branch PARTITION OF items DEFAULT PARTITION BY LIST ({});"
            "CREATE TABLE leaf PARTITION OF branch DEFAULT;")
INDEXED = BARE + "ALTER TABLE items ADD CONSTRAINT u UNIQUE (env), REPLICA IDENTITY USING INDEX u;"
PUBLISHED = "CREATE PUBLICATION pub FOR TABLE items;"
SENT = "public.items: publication pub sends its updates"
# what only a later phase would say -> SQL that makes table items, operations, the refusal, the hint
TOO_LATE = {
    "own foreign key, its referenced column dropped": (CODES, [{"drop_column": {"table": "items", "column": "code"}}],
                                                       LOOP.format("code"), "drop it first"),
    **{f"typed table, {name}": (TYPED, [operation], "public.items: it is of type public.ty", "ALTER TABLE public.items NOT OF")
       for name, operation in (("a column renamed", renamed("label")), ("a column added", adds("int")),
                               ("a column dropped", {"drop_column": {"table": "items", "column": "label"}}))},
    **{f"a partition key, {where}, {key}, {name}": (sql.format(key), [operation], 'column "label" is part of the partition key', "move the rows")
       for key in ("label", "lower(label)") for where, sql in (("own", PARTITIONED.replace("LIST (id)", "LIST ({})")), ("of a partition", BRANCHED))
       for name, operation in (("renamed", renamed("label")), ("dropped", {"drop_column": {"table": "items", "column": "label"}}))},
    "a partition's own default": (PARTITIONED + "ALTER TABLE part ALTER label SET DEFAULT 'q'", [renamed("label")],
                                  "default of column label of public.part", "SET DEFAULT again"),
    "a partition's own default, changed in place": (PARTITIONED + "ALTER TABLE part ALTER label SET DEFAULT 'q'", [alter("label", default="'r'")],
                                                    "default of column label of public.part", "SET DEFAULT again"),
    "a partition's own default, of a column that is split": (
        PARTITIONED + "ALTER TABLE part ALTER label SET DEFAULT 'q'",
        [{"change_columns": {"table": "items", "from": ["label"], "to": [{"name": x, "type": "text", "nullable": True} for x in "ab"],
                             "up": {"a": "label", "b": "label"}, "down": {"label": "a"}}}],
        "default of column label of public.part", "SET DEFAULT again"),
    "a partition's own default, of a column that goes": (
        PARTITIONED + "ALTER TABLE part ALTER label SET DEFAULT 'q'", [{"drop_column": {"table": "items", "column": "label", "down": "'x'"}}],
        "default of column label of public.part", "SET DEFAULT again"),
    "no NO INHERIT of a partitioned table": (
        PARTITIONED, [{"create_constraint": {"table": "items", "name": "ck", "type": "check", "check": "id > 1", "no_inherit": True}}],
        "is partitioned, and what binds it binds its partitions", 'leave "no_inherit" out'),
    "a partition's own CHECK of the name": (
        PARTITIONED + "ALTER TABLE part ADD CONSTRAINT ck CHECK (id > 0)",
        [{"create_constraint": {"table": "items", "name": "ck", "type": "check", "check": "id > 1"}}],
        "a partition's own stands in the way of the table's constraint ck", "rename it first"),
    "a partition's own NOT NULL": (PARTITIONED + "ALTER TABLE part ALTER label SET NOT NULL", [renamed("label")],
                                   "a partition's own", "first"),
    **{f"a partition's own {name}": (
        PARTITIONED + "CREATE TABLE kinds (id bigint PRIMARY KEY); ALTER TABLE part ADD CONSTRAINT " + sql,
        [{"create_constraint": {"table": "items", "name": "fk", "type": "foreign_key", "columns": ["id"], "references": {"table": "kinds"}}}],
        "a partition's own stands in the way of the table's foreign key fk", hint)
       for name, sql, hint in (("foreign key", "other FOREIGN KEY (id) REFERENCES kinds", "drop it first"),
                               ("constraint of the name", "fk CHECK (id > 0)", "rename it first"))},
    "more rows than a sequence has numbers for": (
        BARE + "INSERT INTO items SELECT i, 'l', 'e' FROM generate_series(1, 17000) i",
        [{"add_column": {"table": "items", "column": {"name": "num", "type": "smallserial"}}}], "the table has some 17000 rows, and a sequence of type smallint ends at 32767", "bigserial"),
    "more rows than the server has counted": (
        BARE + "INSERT INTO items SELECT i, 'l', 'e' FROM generate_series(1, 5000) i; ALTER TABLE items SET (autovacuum_enabled = false);"
        "UPDATE pg_class SET relpages = 1, reltuples = 5e7 WHERE relname = 'items'",
        [{"add_column": {"table": "items", "column": {"name": "num", "type": "serial"}}}], "and a sequence of type integer ends at 2147483647", "bigserial"),
    "published, no key": (BARE + PUBLISHED, [renamed("label")], SENT, "set_replica_identity"),
    "published with all tables, no key": (BARE + "CREATE PUBLICATION pub FOR ALL TABLES;", [renamed("label")], SENT, "set_replica_identity"),
    "published, the key is deferrable": (KEYED.replace("KEY", "KEY DEFERRABLE") + PUBLISHED, [renamed("label")], SENT, "set_replica_identity"),
    "published, identity nothing": (KEYED + "ALTER TABLE items REPLICA IDENTITY NOTHING;" + PUBLISHED, [renamed("label")],
                                    SENT, "set_replica_identity"),
    "a published partition, no key": (PARTITIONED + "CREATE PUBLICATION pub FOR TABLE part", [renamed("label")],
                                      "public.part: publication pub sends", "set_replica_identity"),
    "partitions published by their table, no key": (PARTITIONED + "CREATE PUBLICATION pub FOR TABLE items WITH (publish_via_partition_root)",
                                                    [renamed("label")], "public.part: publication pub sends", "set_replica_identity"),
    "published, no key, an update on the way back": (BARE + PUBLISHED, [alter("env", nullable=True, down="'none'")],
                                                     SENT, "set_replica_identity"),
    "published, the key dropped": (KEYED + PUBLISHED, [{"drop_constraint": {"table": "items", "name": "items_pkey"}}],
                                   "constraint items_pkey: publication pub sends", "set_replica_identity"),
    "published, the identity index dropped": (
        INDEXED + PUBLISHED, [{"drop_constraint": {"table": "items", "name": "u"}}], "constraint u: publication pub sends",
        "set_replica_identity"),
    "a published partition, the key dropped": (
        "CREATE TABLE items (id bigint PRIMARY KEY, label text) PARTITION BY LIST (id); CREATE TABLE part PARTITION OF items DEFAULT;"
        "CREATE PUBLICATION pub FOR TABLE part", [{"drop_constraint": {"table": "items", "name": "items_pkey"}}],
        "constraint items_pkey: publication pub sends", "set_replica_identity"),
    "published, a column of the key dropped": (
        KEYED + PUBLISHED, [{"drop_column": {"table": "items", "column": "id", "down": "length(label)"}}],
        "index items_pkey: publication pub sends", "set_replica_identity"),
    "published, the key's identity column dropped": (
        KEYED.replace("bigint", "bigint GENERATED ALWAYS AS IDENTITY") + PUBLISHED, [{"drop_column": {"table": "items", "column": "id"}}],
        "index items_pkey: publication pub sends", "set_replica_identity"),
    "a column of the identity index may be NULL": (INDEXED, [alter("env", nullable=True, down="'none'")],
                                                   "index public.u: it is the replica identity", "set_replica_identity"),
    "a column of the identity index may be NULL and of a new type": (
        INDEXED, [alter("env", nullable=True, type="varchar", up="env", down="coalesce(env, '')")],
        "index public.u: it is the replica identity", "set_replica_identity"),
    "a column of a partition's identity index may be NULL": (
        "CREATE TABLE items (id bigint, env text NOT NULL) PARTITION BY LIST (env); CREATE TABLE part PARTITION OF items DEFAULT;"
        "CREATE UNIQUE INDEX u ON part (id, env); ALTER TABLE part ALTER id SET NOT NULL, REPLICA IDENTITY USING INDEX u;",
        [alter("env", nullable=True)], "index public.u: it is the replica identity", "set_replica_identity"),
    "an index becomes the identity, and its column may be NULL": (
        INDEXED + "ALTER TABLE items REPLICA IDENTITY DEFAULT", [alter("env", nullable=True, down="'none'"), identity("items", "u")],
        "its column env may be NULL from the cut-over on", "leave out one of the two"),
    "an index of the file becomes the identity, and its column may be NULL": (
        INDEXED + "ALTER TABLE items REPLICA IDENTITY DEFAULT",
        [alter("env", nullable=True, down="'none'"), {"create_index": {"name": "v", "table": "items", "columns": ["env"], "unique": True}},
         identity("items", "v")], 'index "v", which this file makes, cannot be a replica identity yet', "NOT NULL before this file"),
    "an index becomes the identity, and goes": (
        KEYED + "CREATE UNIQUE INDEX u ON items (id)", [identity("items", "u"), {"drop_index": {"name": "u"}}],
        "u: this file drops it: complete would leave table public.items without an identity", "leave out one of the two"),
    "a constraint's index becomes the identity, and goes": (
        KEYED + "ALTER TABLE items ADD CONSTRAINT u UNIQUE (id)", [{"drop_constraint": {"table": "items", "name": "u"}}, identity("items", "u")],
        "u: this file drops it: complete would leave table public.items without an identity", "leave out one of the two"),
    "a part of an index becomes a partition's identity, and its column changes its name": (
        "CREATE TABLE items (id bigint NOT NULL, label text NOT NULL, CONSTRAINT u UNIQUE (id, label)) PARTITION BY LIST (id);"
        "CREATE TABLE part PARTITION OF items DEFAULT;", [renamed("label"), identity("part", "part_id_label_key")],
        "it is on column label, which this file replaces", "in a migration of its own"),
    "a default twice": (KEYED, [alter("label", default="'a'"), alter("label", nullable=False), alter("label", default="'b'")],
                        'operations[0] says "default" of column "label", too', "leave out one of the two"),
    "a comment twice": (KEYED, [alter("label", comment="a"), alter("label", comment=None)],
                        'operations[0] says "comment" of column "label", too', "leave out one of the two"),
    "a key over a column that may be NULL by the same file": (
        "CREATE TABLE items (id bigint NOT NULL)", [alter("id", nullable=True, down="1"), {"create_constraint": {
            "name": "k", "table": "items", "type": "primary_key", "columns": ["id"]}}], "it cannot be NULL", ""),
    "a partition's key that another table refers to, dropped with the table's": (
        "CREATE TABLE items (id bigint CONSTRAINT u UNIQUE) PARTITION BY LIST (id); CREATE TABLE part PARTITION OF items DEFAULT;"
        "CREATE TABLE others (of bigint CONSTRAINT o REFERENCES part (id))", [{"drop_constraint": {"table": "items", "name": "u"}}],
        "constraint o on table public.others: it needs u", "ALTER TABLE public.others DROP CONSTRAINT o first"),
}


@pytest.mark.parametrize("what", TOO_LATE)
def test_what_only_a_later_phase_would_say_is_refused_by_plan(db, segue, what):
    sql, operations, words, hint = TOO_LATE[what]
    db.sql(sql)
    proxy = segue(db)
    plan = proxy.cli("plan", proxy.file({"name": "late", "operations": operations}), check=1)
    said = plan.out + plan.err
    assert words in said and hint in said, said


FULL = {"set_replica_identity": {"table": "items", "identity": {"type": "full"}}}
# what is near to that, and goes on to the end -> SQL, operations
IN_TIME = {
    "typed table, a default": (TYPED, [alter("label", default="'x'")]),
    "published, no key, nothing to fill": (BARE + PUBLISHED, [adds("int", default="1")]),
    "published without updates, no key": (BARE + "CREATE PUBLICATION pub FOR TABLE items WITH (publish = 'insert, delete')", [renamed("label")]),
    "published, identity full": (BARE + "ALTER TABLE items REPLICA IDENTITY FULL;" + PUBLISHED, [renamed("label")]),
    "unlogged, no key, all tables published": (BARE.replace("TABLE", "UNLOGGED TABLE") + "CREATE PUBLICATION pub FOR ALL TABLES",
                                               [renamed("label")]),
    "published, the key dropped and another identity": (
        KEYED + PUBLISHED, [{"drop_constraint": {"table": "items", "name": "items_pkey"}}, FULL]),
    "published without updates and deletes, the key dropped": (
        KEYED + "CREATE PUBLICATION pub FOR TABLE items WITH (publish = 'insert')",
        [{"drop_constraint": {"table": "items", "name": "items_pkey"}}]),
    "published, a key dropped that is no identity": (
        KEYED + "ALTER TABLE items REPLICA IDENTITY FULL;" + PUBLISHED, [{"drop_constraint": {"table": "items", "name": "items_pkey"}}]),
    "row type of a column, a default added": (KEYED + "INSERT INTO items VALUES (1, 'x'); CREATE TABLE others (it items)",
                                              [adds("int", default="7", nullable=False)]),
    "row type in an array of a domain, a default added": (
        KEYED + "INSERT INTO items VALUES (1, 'x'); CREATE DOMAIN d AS items; CREATE TYPE c AS (l d[]); CREATE TABLE others (it c)",
        [adds("varchar(1)", default="'7'")]),
    "row type of a column of a partition's, a default added": (
        PARTITIONED + "INSERT INTO items VALUES (1, 'x'); CREATE TABLE others (it part)", [adds("int", default="7")]),
}


@pytest.mark.parametrize("what", IN_TIME)
def test_what_no_later_phase_minds_is_not_refused(db, segue, what):
    sql, operations = IN_TIME[what]
    db.sql(sql)
    segue(db).done({"name": "in_time", "operations": operations})
    if "row type" in what:
        db.sql("INSERT INTO items VALUES (2, 'y')")
        assert db.sql("SELECT other::int FROM items ORDER BY id") == [(7,), (7,)]


# SQL, operations, what the foreign key is in the end
LOOPS = {
    "the referring column renamed": (CODES, [renamed("pcode")], "FOREIGN KEY (other) REFERENCES items(code)"),
    "the referring column dropped before the other": (
        CODES, [{"drop_column": {"table": "items", "column": name}} for name in ("pcode", "code")], None),
    "a referenced column's type changed": (TENANTS, [alter("tenant", type="bigint", up="tenant", down="tenant::int")],
                                           "FOREIGN KEY (tenant, parent) REFERENCES items(tenant, id)"),
    "a referenced column renamed": (TENANTS, [renamed("tenant")], "FOREIGN KEY (other, parent) REFERENCES items(other, id)"),
    "its only referenced column renamed": (CODES, [renamed("code")], "FOREIGN KEY (pcode) REFERENCES items(other)"),
    "both sides renamed": (CODES, [renamed("code"), {"rename_column": {"table": "items", "from": "pcode", "to": "pkode"}}],
                           "FOREIGN KEY (pkode) REFERENCES items(other)"),
    "a referenced column with a new name and type": (
        CODES, [alter("code", name="kode", type="varchar", up="code", down="kode")], "FOREIGN KEY (pcode) REFERENCES items(kode)"),
    "one side with a new name, the other with a new type": (
        TENANTS, [renamed("tenant"), alter("parent", type="numeric", up="parent", down="parent::bigint"),
                  {"rename_column": {"table": "items", "from": "id", "to": "ident", "type": "numeric", "up": "id", "down": "ident::bigint"}}],
        "FOREIGN KEY (other, parent) REFERENCES items(other, ident)"),
    "the key dropped by the file": (CODES, [{"drop_constraint": {"table": "items", "name": "pf"}}, renamed("code")], None),
}


@pytest.mark.parametrize("what", LOOPS)
def test_a_foreign_key_of_the_table_to_itself_that_can_go_on_is_not_refused(db, segue, what):
    sql, operations, wanted = LOOPS[what]
    db.sql(sql)
    segue(db).done({"name": "loop", "operations": operations})
    assert db.one("SELECT max(pg_get_constraintdef(oid)) FROM pg_constraint WHERE conname = 'pf'") == wanted
