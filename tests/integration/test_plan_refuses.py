"""`plan`: touches nothing, tells everything, refuses by name; migration files with mistakes."""

import json
import re

import pytest
from lib import catalog
from lib.wait import until

pytestmark = pytest.mark.one_version
RENAME = {"name": "rename_label", "operations": [{"rename_column": {"table": "items", "from": "label", "to": "title"}}]}


def make_items(db):
    db.sql("CREATE TABLE items (id bigint PRIMARY KEY, label text NOT NULL, n int)")
    db.sql("INSERT INTO items SELECT i, 'v' || i, i FROM generate_series(1, 100) i")
    db.sql("CREATE INDEX ix_label ON items (label)")


@pytest.fixture
def items(db):
    make_items(db)
    return db


def everything(db):
    with db.connect() as conn:
        return catalog.whole(conn, without=())


def test_plan_touches_nothing(private_db, segue):
    make_items(private_db)
    private_db.sql("ALTER SYSTEM SET autovacuum = off")  # which takes numbers for its own transactions
    private_db.sql("SELECT pg_reload_conf()")
    until("autovacuum to end", lambda: not private_db.sql("SELECT 1 FROM pg_stat_activity WHERE backend_type LIKE 'autovacuum%'"))
    proxy = segue(private_db)
    before = everything(private_db)
    xid = private_db.one("SELECT pg_snapshot_xmax(pg_current_snapshot())")
    proxy.cli("plan", proxy.file(RENAME))
    assert catalog.difference(before, everything(private_db)) == []
    # no transaction of segue's has taken a number
    assert private_db.one("SELECT pg_snapshot_xmax(pg_current_snapshot())") == xid
    assert proxy.console("SHOW MIGRATIONS") == []


def test_plan_shows_every_step_its_lock_and_its_sql(items, segue):
    proxy = segue(items)
    text = proxy.cli("plan", proxy.file(RENAME)).out
    named = items.one("SELECT current_setting('server_version_num')::int") >= 180000
    for word in ("ADD COLUMN", "title", "~segue_guard", "CREATE INDEX CONCURRENTLY", "ACCESS EXCLUSIVE", "VALIDATE",
                 "NOT NULL title;" if named else "SET NOT NULL", "DROP COLUMN", "lock_timeout"):
        assert word in text, f"{word!r} is not in\n{text}"


def test_plan_speaks_json(items, segue):
    proxy = segue(items)
    plan = json.loads(proxy.cli("plan", proxy.file(RENAME), "--json").out)
    assert "CREATE INDEX CONCURRENTLY" in json.dumps(plan)


def test_plan_works_from_the_console(items, segue):
    proxy = segue(items)
    rows = proxy.console("PLAN '" + json.dumps(RENAME).replace("'", "''") + "'")
    assert any("CREATE INDEX CONCURRENTLY" in str(row) for row in rows)


def test_plan_counts_who_else_has_columns_of_these_names(db, segue):
    # workers keep 10,000 of them in view (SIGHT_NAMESAKES_MAX): with more nothing would be rewritten
    many = range(10)
    db.sql("CREATE TABLE wide (id bigint PRIMARY KEY, " + ", ".join(f"l{i} int" for i in many) + ")")
    renames = {"name": "many", "operations": [{"rename_column": {"table": "wide", "from": f"l{i}", "to": f"t{i}"}} for i in many]}
    named = ", ".join(f"1 AS l{i}, 2 AS t{i}" for i in many)
    proxy = segue(db)

    def plan_beside(views, code=0):
        db.sql("DO $do$ BEGIN FOR i IN %d..%d LOOP EXECUTE format('CREATE VIEW other%%s AS SELECT %s', i); END LOOP; END $do$" % (*views, named))
        return proxy.cli("plan", proxy.file(renames), check=code).out

    assert "columns of other tables" not in plan_beside((1, 250))
    warned = plan_beside((251, 251))
    assert "5020 columns of other tables and views" in warned and "beyond 10000" in warned
    refused = plan_beside((252, 501), 1)
    assert "10020 columns of other tables and views" in refused and "nothing would be rewritten" in refused
    assert "nothing would be rewritten" in proxy.cli("start", proxy.file(renames), "--detach", check=1).err


def test_plan_names_user_triggers_that_may_fire(items, segue):
    items.sql("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
              "CREATE TRIGGER touch_me BEFORE UPDATE ON items FOR EACH ROW EXECUTE FUNCTION f()")
    # a superuser silences them; a role that may not must be told
    items.sql("ALTER TABLE items OWNER TO app; GRANT CREATE ON SCHEMA public TO app;"
              f'GRANT CREATE ON DATABASE "{items.name}" TO app')
    proxy = segue(upstream=items.url("app"))
    assert "touch_me" in proxy.cli("plan", proxy.file(RENAME)).out
    for events, code in ("DELETE", 0), ("INSERT", 1), ("DELETE OR UPDATE", 1):  # a row that goes has nothing to be kept in step
        items.sql(f'CREATE OR REPLACE TRIGGER "~~late" BEFORE {events} ON items FOR EACH ROW EXECUTE FUNCTION f()')
        shown = proxy.cli("plan", proxy.file(RENAME), check=code).out
        assert ("trigger ~~late on public.items: it would run after the guard" in " ".join(shown.split())) == bool(code), (events, shown)


# functions that meet a second column -> their text, of a trigger or not
TRIGGER = "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {body}; RETURN NEW; END$$;" \
          "CREATE TRIGGER {name} AFTER INSERT OR UPDATE ON items FOR EACH ROW EXECUTE FUNCTION {name}()"
CALLED = "CREATE FUNCTION {name}() RETURNS void LANGUAGE plpgsql AS $$BEGIN {body}; END$$"
TAKE_WHOLE = {
    "keep_old": (TRIGGER, "INSERT INTO kept SELECT OLD.*, now()", True),
    "keep_new": (TRIGGER, "insert  into kept\n  values (NEW.*, now())", True),
    "keep_brackets": (TRIGGER, "INSERT INTO kept SELECT now(), (NEW).*", True),
    "keep_json": (TRIGGER, "INSERT INTO kept_json SELECT to_jsonb(NEW.*)", False),
    "keep_named": (TRIGGER, "INSERT INTO kept (id) SELECT NEW.id; PERFORM count(*) FROM items", False),
    "move": (CALLED, "INSERT INTO archive SELECT * FROM items WHERE id < 10", True),
    "move_alias": (CALLED, "INSERT INTO archive SELECT i.* FROM public.items i", True),
    "move_other": (CALLED, "INSERT INTO archive SELECT * FROM items_of_others", False),
    "counts": (CALLED, "PERFORM count(*) FROM items", False),
}


def test_plan_names_functions_that_take_the_whole_row_into_something_else(items, segue):
    items.sql("CREATE TABLE \"a(b\" (id int); CREATE FUNCTION gives() RETURNS TABLE (id bigint) LANGUAGE sql AS"
              " 'SELECT 1::bigint'")
    for name, (kind, body, _) in TAKE_WHOLE.items():
        items.sql(kind.format(name=name, body=body))
    proxy = segue(items)
    shown = proxy.cli("plan", proxy.file(RENAME)).out
    for name, (_, body, named) in TAKE_WHOLE.items():
        assert (f"{name}():" in shown) == named, (name, body, shown)
    assert "each write that fires it gets 42601" in " ".join(shown.split())
    added = {"name": "m", "operations": [{"add_column": {"table": '"a(b"', "column": {"name": "z", "type": "int", "nullable": True}}}]}
    proxy.cli("plan", proxy.file(added))


BEFORE_THE_GUARD = "it runs before the guard: of what is written by the other name it sees the value from before, NULL in a new row"


def test_plan_names_what_sees_a_column_by_one_name_alone(items, segue):
    items.sql("ALTER TABLE items ADD slug text, ADD words tsvector; DROP INDEX ix_label;"
              "CREATE FUNCTION slug() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.slug := lower(NEW.label); RETURN NEW; END$$;"
              "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM NEW.label; RETURN NULL; END$$;"
              "CREATE TRIGGER slug BEFORE INSERT OR UPDATE ON items FOR EACH ROW EXECUTE FUNCTION slug();"
              "CREATE TRIGGER tell AFTER UPDATE ON items FOR EACH ROW EXECUTE FUNCTION tell();"
              "CREATE TRIGGER words BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION "
              "tsvector_update_trigger('words', 'pg_catalog.simple', 'label')")
    proxy = segue(items)

    def told(operation):
        shown = proxy.cli("plan", proxy.file({"name": "m", "operations": [operation]})).out
        return {what: " ".join(shown.partition(f"  {what}: ")[2].split("\n  ")[0].split()).partition(" hint: ")[0]
                for what in ("public.slug()", "public.tell()", "trigger words on public.items")}

    goes = "column label, which complete drops"
    moved = {"public.slug()": f"its text names {goes}; {BEFORE_THE_GUARD}", "public.tell()": f"its text names {goes}",
             "trigger words on public.items": f"its arguments name {goes}; {BEFORE_THE_GUARD}"}
    assert told(RENAME["operations"][0]) == moved
    assert told({"change_columns": {"table": "items", "from": ["label"], "to": [
        {"name": name, "type": "text", "nullable": True} for name in ("title", "rest")], "up": {"title": "label", "rest": "''"},
        "down": {"label": "title || rest"}}}) == moved
    assert told({"drop_column": {"table": "items", "column": "label", "down": "'x'"}}) == {
        what: said.partition(";")[0] for what, said in moved.items()}
    change = {"table": "items", "column": "label", "type": "varchar(99)", "up": "label", "down": "label"}
    assert set(told({"alter_column": change}).values()) == {""}  # it keeps its name


def test_plan_says_when_the_role_may_not_make_the_store(items, segue):
    items.sql("ALTER TABLE items OWNER TO app; GRANT CREATE ON SCHEMA public TO app")
    proxy = segue(upstream=items.url("app"))
    refused = proxy.cli("plan", proxy.file(RENAME), check=1).out
    assert "schema segue" in refused
    assert proxy.cli("start", proxy.file(RENAME), check=1).err.rstrip().endswith(obey_grant(items, refused))
    proxy.cli("plan", proxy.file(RENAME))


def obey_grant(db, refused):
    """Runs the statement that a refusal names, as it stands there, and gives it."""
    (grant,) = re.findall("(GRANT .*)", refused)
    db.sql(grant)
    return grant


def test_plan_says_the_grant_that_something_new_needs(items, segue):
    items.sql('ALTER TABLE items OWNER TO app; CREATE TABLE "all kinds" (id int PRIMARY KEY); CREATE TYPE "a mood" AS ENUM (\'x\');'
              'REVOKE USAGE ON TYPE "a mood" FROM PUBLIC; GRANT SELECT ON "all kinds" TO app; CREATE SCHEMA "a place"; GRANT USAGE ON SCHEMA "a place" TO app;'
              f'GRANT CREATE ON DATABASE "{items.name}" TO app; GRANT CREATE ON SCHEMA public TO app')
    proxy = segue(upstream=items.url("app"))
    key = {"name": "fk", "columns": ["id"], "references": {"table": "all kinds", "columns": ["id"]}, "type": "foreign_key"}
    for operation in ({"create_constraint": {**key, "table": "items"}}, {"create_enum": {"name": "a place.new", "values": ["x"]}},
                      {"add_column": {"table": "items", "column": {"name": "mood", "type": '"a mood"', "nullable": True}}},
                      {"create_table": {"name": "more", "columns": [{"name": "id", "type": "int"}], "constraints": [key]}}):
        file = proxy.file({"name": "m", "operations": [operation]})
        done = proxy.cli("plan", file, check=1)
        obey_grant(items, done.out + done.err)
        proxy.cli("plan", file)
        items.sql('REVOKE REFERENCES ON "all kinds" FROM app')


# what cannot be carried -> SQL that makes it, and the name that the refusal must hold
REFUSED = {
    "view": ("CREATE VIEW v_items AS SELECT id, label FROM items", "v_items"),
    "materialized view": ("CREATE MATERIALIZED VIEW mv_items AS SELECT label FROM items", "mv_items"),
    "rule": ("CREATE RULE r_items AS ON UPDATE TO items WHERE OLD.label = 'x' DO INSTEAD NOTHING", "r_items"),
    "policy": ("ALTER TABLE items ENABLE ROW LEVEL SECURITY; CREATE POLICY p_items ON items USING (label <> 'x')",
               "p_items"),
    "generated column": ("ALTER TABLE items ADD shout text GENERATED ALWAYS AS (upper(label)) STORED", "shout"),
    "publication with a column list": ("CREATE PUBLICATION pub_items FOR TABLE items (id, label)", "pub_items"),
    "function with an SQL body": ("CREATE FUNCTION f_items() RETURNS bigint LANGUAGE sql "
                                  "BEGIN ATOMIC SELECT count(label) FROM items; END", "f_items"),
    "primary key": ("ALTER TABLE items DROP CONSTRAINT items_pkey; "
                    "ALTER TABLE items ADD CONSTRAINT pk_label PRIMARY KEY (label)", "label"),
    "exclusion constraint": ("ALTER TABLE items ADD CONSTRAINT x_items EXCLUDE USING hash (label WITH =)", "x_items"),
    "foreign key from elsewhere": ("CREATE UNIQUE INDEX u ON items (label); "
                                   "CREATE TABLE refs (l text REFERENCES items (label))", "refs"),
    "publication with a row filter": ("CREATE PUBLICATION pub_rows FOR TABLE items WHERE (label <> 'x')", "pub_rows"),
    "trigger whose WHEN reads it": ("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
                                    "CREATE TRIGGER t_when BEFORE UPDATE ON items FOR EACH ROW WHEN (NEW.label = 'x') "
                                    "EXECUTE FUNCTION f()", "t_when"),
    "trigger on the column": ("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
                              "CREATE TRIGGER t_items BEFORE UPDATE OF label ON items "
                              "FOR EACH ROW EXECUTE FUNCTION f()", "t_items"),
    "extended statistics": ("CREATE STATISTICS s_items ON label, n FROM items", "s_items"),
    "inherited table": ("CREATE TABLE children () INHERITS (items)", "inherit"),
    "rows kept in a column": ("CREATE TABLE kept (it items); INSERT INTO kept SELECT i FROM items i", "column it of public.kept"),
    "rows kept in a list of a domain": ("CREATE DOMAIN it AS items; CREATE TABLE kept (them it[])", "column them of public.kept"),
    "table that inherits": ("CREATE TABLE parent (id bigint); ALTER TABLE items INHERIT parent", "ALTER TABLE ... NO INHERIT first"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_plan_refuses_or_carries_by_name(items, segue, what):
    """Refused, naming the object; or (allowed for those that can be carried) a plan that handles it."""
    sql, name = REFUSED[what]
    items.sql(sql)
    before = everything(items)
    proxy = segue(items)
    done = proxy.cli("plan", proxy.file(RENAME), check=None)
    assert name in done.out + done.err, f"nothing about {name}:\n{done.out}\n{done.err}"
    if done.code != 0 or "refus" in done.out.lower():
        started = proxy.cli("start", proxy.file(RENAME), "--detach", check=1)
        assert name in started.err
        with items.connect() as conn:
            after = catalog.whole(conn)
        before["schemas"] = [s for s in before["schemas"] if s != ("segue",)]
        assert catalog.difference({k: before[k] for k in ("tables", "rows")},
                                  {k: after[k] for k in ("tables", "rows")}) == []
    else:
        assert what in ("primary key", "foreign key from elsewhere", "extended statistics"), f"{what} was not refused:\n{done.out}"


# constraints that the server has never proven and that rows do not meet -> SQL that makes one named c, its table
UNPROVEN = {
    "of another column": ("ALTER TABLE items ADD CONSTRAINT c CHECK (n <> 7) NOT VALID", "items"),
    "of the column": ("ALTER TABLE items ADD CONSTRAINT c CHECK (label <> 'v7') NOT VALID", "items"),
    "over the whole row": ("ALTER TABLE items ADD CONSTRAINT c CHECK (items.* IS NULL) NOT VALID", "items"),
    "that fails for a row": ("ALTER TABLE items ADD CONSTRAINT c CHECK (1 / (n - 7) < 9) NOT VALID", "items"),
    "that takes long": ("CREATE FUNCTION slow(int) RETURNS boolean LANGUAGE plpgsql AS "
                        "'BEGIN PERFORM pg_sleep(0.1); RETURN true; END'; "
                        "ALTER TABLE items ADD CONSTRAINT c CHECK (slow(n)) NOT VALID", "items"),
    "of a partition": ("ALTER TABLE items RENAME TO low; ALTER TABLE low DROP CONSTRAINT items_pkey; DROP INDEX ix_label;"
                       "CREATE TABLE items (LIKE low) PARTITION BY RANGE (id);"
                       "ALTER TABLE items ATTACH PARTITION low DEFAULT;"
                       "ALTER TABLE low ADD CONSTRAINT c CHECK (n <> 7) NOT VALID", "low"),
    "of all partitions": ("ALTER TABLE items RENAME TO low; ALTER TABLE low DROP CONSTRAINT items_pkey; DROP INDEX ix_label;"
                          "CREATE TABLE items (LIKE low) PARTITION BY RANGE (id);"
                          "ALTER TABLE items ATTACH PARTITION low DEFAULT;"
                          "ALTER TABLE items ADD CONSTRAINT c CHECK (n <> 7) NOT VALID", "items"),
}


@pytest.mark.parametrize("what", UNPROVEN)
def test_plan_refuses_a_check_that_is_not_valid_and_that_the_fill_would_break(items, segue, what):
    sql, table = UNPROVEN[what]
    items.sql(sql)
    proxy = segue(items)
    refused = proxy.cli("plan", proxy.file(RENAME), check=1).out
    assert refused.count("it is NOT VALID") == 1
    for words in (f"constraint c of public.{table}", f"ALTER TABLE public.{table} VALIDATE CONSTRAINT c"):
        assert words in refused, refused
    assert "constraint c" in proxy.cli("start", proxy.file(RENAME), "--detach", check=1).err
    adding_one = {"name": "one", "operations": [{"add_column": {"table": "items", "column": {
        "name": "m", "type": "int", "nullable": True}}}]}
    proxy.cli("plan", proxy.file(adding_one))  # which writes no row that is there


def of_items(kind, **fields):
    return {"name": "bad", "operations": [{kind: {"table": "items", **fields}}]}


# what is done with a column c that has a NOT NULL which is NOT VALID
ON_NOT_NULL = {
    "nullable false": of_items("alter_column", column="c", nullable=False),
    "nullable true": of_items("alter_column", column="c", nullable=True),
    "rename": of_items("rename_column", **{"from": "c", "to": "d"}),
    "type": of_items("alter_column", column="c", type="bigint", up="c", down="c::int"),
    "split": of_items("change_columns", **{"from": ["c"], "to": [{"name": "d", "type": "int"}, {"name": "e", "type": "int"}],
                                          "up": {"d": "c / 2", "e": "c - c / 2"}, "down": {"c": "d + e"}}),
    "drop": of_items("drop_column", column="c", down="1"),
    "primary key": of_items("create_constraint", name="pk", type="primary_key", columns=["c"]),
    "another column": RENAME,
}


@pytest.mark.versions(18)
@pytest.mark.parametrize("what", ON_NOT_NULL)
def test_plan_refuses_what_comes_upon_a_not_null_that_is_not_valid(items, segue, what):
    items.sql("ALTER TABLE items DROP CONSTRAINT items_pkey; ALTER TABLE items ADD c int;"
              "UPDATE items SET c = n WHERE id <> 7; ALTER TABLE items ADD CONSTRAINT nn NOT NULL c NOT VALID")
    proxy = segue(items)
    refused = proxy.cli("plan", proxy.file(ON_NOT_NULL[what]), check=1).out
    assert refused.count("it is NOT VALID") == 1
    for words in ("constraint nn of public.items", "ALTER TABLE public.items VALIDATE CONSTRAINT nn"):
        assert words in refused, refused
    items.sql("UPDATE items SET c = 7 WHERE id = 7; ALTER TABLE items VALIDATE CONSTRAINT nn")
    proxy.cli("plan", proxy.file(ON_NOT_NULL[what]))


@pytest.mark.versions(18)
def test_plan_takes_a_not_null_that_is_not_valid_and_that_all_rows_meet(items, segue):
    items.sql("ALTER TABLE items ADD CONSTRAINT nn NOT NULL n NOT VALID")
    proxy = segue(items)
    proxy.done(RENAME)
    assert items.one("SELECT NOT convalidated FROM pg_constraint WHERE conname = 'nn'")


def test_plan_takes_a_check_that_is_not_valid_and_that_all_rows_meet(items, segue):
    items.sql("ALTER TABLE items ADD CONSTRAINT c CHECK (n <> 700) NOT VALID")
    proxy = segue(items)
    proxy.done(RENAME)
    assert items.one("SELECT NOT convalidated FROM pg_constraint WHERE conname = 'c'")


RANGES = ("CREATE TABLE spans (kind int4range, during daterange, CONSTRAINT temporal PRIMARY KEY (kind, during WITHOUT OVERLAPS));"
          "DROP INDEX ix_label; ALTER TABLE items DROP label; ALTER TABLE items ADD label int4range, ADD during daterange;")


@pytest.mark.versions(18)
@pytest.mark.parametrize("column", ["label", "during"])
def test_plan_refuses_a_column_of_a_foreign_key_with_period(items, segue, column):
    items.sql(RANGES + "ALTER TABLE items ADD CONSTRAINT fk FOREIGN KEY (label, PERIOD during) REFERENCES spans (kind, PERIOD during)")
    proxy = segue(items)
    refused = proxy.cli("plan", proxy.file(of_items("rename_column", **{"from": column, "to": "title"})), check=1).out
    assert "constraint fk: a foreign key with PERIOD cannot be carried" in refused
    proxy.done(of_items("rename_column", **{"from": "n", "to": "m"}))  # which it does not hold


@pytest.mark.versions(18)
@pytest.mark.parametrize("columns", [["kind", "during"], ["during", "kind"], None])
def test_plan_refuses_a_foreign_key_to_a_key_without_overlaps(items, segue, columns):
    items.sql(RANGES)
    references = {"table": "spans", "columns": columns} if columns else {"table": "spans"}
    own = ["during", "label"] if columns == ["during", "kind"] else ["label", "during"]
    proxy = segue(items)
    file = proxy.file(of_items("create_constraint", name="fk", type="foreign_key", columns=own, references=references))
    refused = proxy.cli("plan", file, check=1).err
    assert '"temporal" of table public.spans is WITHOUT OVERLAPS' in refused


def with_fields(**fields):
    """RENAME with its operation's fields changed; None takes one away."""
    rename = {**RENAME["operations"][0]["rename_column"], **fields}
    return {"name": "bad", "operations": [{"rename_column": {k: v for k, v in rename.items() if v is not None}}]}


def adding(**column):
    return {"name": "bad", "operations": [{"add_column": {"table": "items", "column": column}}]}


def guarded(kind, field, **operation):
    """The guard would have to read a generated column, which the server computes behind all BEFORE triggers."""
    return ({"name": "bad", "operations": [{kind: {"table": "items", **operation}}]},
            [f"operations[0].{kind}.{field}", 'column "twice" is generated', "in place of it: (n * 2)"])


# mistake -> the file (dict or text), words the error must hold
BAD_FILES = {
    "no JSON at all": ("name: rename", ["migration.json:1:"]),
    "a comma too many": ('{ "name": "bad",\n  "operations": [\n  ],\n}', ["migration.json:4:"]),
    "a field twice": ('{ "name": "bad", "name": "worse",\n "operations": [] }', ["name"]),
    "an unknown field at the top": ({**RENAME, "operatoins": []}, ["operatoins"]),
    "an unknown operation": ({"name": "bad", "operations": [{"rename_colum": {}}]}, ["rename_column", "operations[0]"]),
    "an unknown field": (with_fields(form="x"), ["form", "operations[0]"]),
    "two operations in one": ({"name": "bad", "operations": [{**RENAME["operations"][0], "add_column": {}}]},
                              ["operations[0]"]),
    "no name": ({"operations": RENAME["operations"]}, ["name"]),
    "an empty name": ({**RENAME, "name": ""}, ["name"]),
    "a name that is a number": ({**RENAME, "name": 7}, ["name"]),
    "no operations": ({"name": "bad"}, ["operations"]),
    "empty operations": ({"name": "bad", "operations": []}, ["operations"]),
    "a field left out": (with_fields(to=None), ["to", "operations[0]"]),
    "a table that is not there": (with_fields(table="itemz"), ["itemz"]),
    "a column that is not there": (with_fields(**{"from": "labl"}), ["labl"]),
    "a target that is there already": (with_fields(to="n"), ["column \"n\"", "already"]),
    "a column renamed to itself": (with_fields(to="label"), ["to", "same name"]),
    "a type that is not there": (with_fields(type="jsonbb", up="label", down="title"), ["jsonbb"]),
    "an up that does not parse": (with_fields(type="jsonb", up="label::::jsonb", down="title::text"), ["up"]),
    "an up of two statements": (with_fields(type="text", up="label; DROP TABLE items", down="title"), ["up"]),
    "an up that reads a column that is not there": (with_fields(type="text", up="lable", down="title"), ["lable"]),
    "an up with a subquery": (with_fields(type="text", up="(SELECT max(label) FROM items)", down="title"), ["up"]),
    "an up with an aggregate": (with_fields(type="text", up="max(label)", down="title"), ["up"]),
    "a volatile up": (with_fields(type="text", up="label || random()", down="title"), ["up", "volatile"]),
    "an up of a new column that reads a generated one": guarded(
        "add_column", "up", column={"name": "m", "type": "int", "nullable": True}, up="twice + 1"),
    "an up that reads a generated column": guarded("alter_column", "up", column="n", type="bigint", up="twice / 2", down="n::int"),
    "a down that reads a generated column": guarded("alter_column", "down", column="n", type="bigint", up="n", down="n::int + 0 * twice"),
    "an up of a constraint that reads a generated column": guarded(
        "create_constraint", "up", name="c", type="check", check="n > 0", columns=["n"],
        up={"n": "greatest(twice, 1)"}, down={"n": "n"}),
    "a down of a dropped column that reads a generated one": guarded("drop_column", "down", column="label", down="'t' || twice"),
    "up without down": (with_fields(type="text", up="lower(label)"), ["down"]),
    "a not-null column with neither default nor up": (adding(name="m", type="int"), ["default"]),
    "a system column": (adding(name="ctid", type="int", nullable=True), ["ctid"]),
    "the same column twice": ({"name": "bad", "operations": RENAME["operations"] * 2}, ["label"]),
    "an index on a column that is not there": (
        {"name": "bad", "operations": [{"create_index": {"name": "ix", "table": "items", "columns": ["zz"]}}]}, ["zz"]),
    "an index whose name is taken": (
        {"name": "bad", "operations": [{"create_index": {"name": "ix_label", "table": "items", "columns": ["n"]}}]},
        ["ix_label"]),
    "an index method that is not there": (
        {"name": "bad", "operations": [{"create_index": {"name": "ix", "table": "items", "columns": ["n"],
                                                         "method": "btreee"}}]}, ["btreee"]),
    "a created table that is there": (
        {"name": "bad", "operations": [{"create_table": {"name": "items", "columns": [{"name": "a", "type": "int"}]}}]},
        ["items", "exists"]),
    **{f"a created table by the name of {kind} type": (
        {"name": "bad", "operations": [{"create_table": {"name": name, "columns": [{"name": "a", "type": "int"}]}}]},
        [f'type "public.{name}" already exists', "create_table.name"]) for kind, name in (("an enum", "mood"), ("a range", "span"))},
    "a created table without columns": (
        {"name": "bad", "operations": [{"create_table": {"name": "fresh", "columns": []}}]}, ["columns"]),
    "a reference to nothing": (
        {"name": "bad", "operations": [{"create_table": {"name": "fresh", "columns": [
            {"name": "a", "type": "int", "references": {"table": "nowhere", "column": "id"}}]}}]}, ["nowhere"]),
    "a boolean that is text": (adding(name="m", type="int", nullable="yes"), ["nullable"]),
    "an unknown version table": ({**RENAME, "version_table": {"flyway": {}}}, ["version_table", "alembic"]),
    "a version table without a table": (
        {**RENAME, "version_table": {"alembic": {"from": ["a"], "to": "b"}}}, ["alembic_version", "leave version_table out", "search_path"]),
    "a version table of one's own that is not there": (
        {**RENAME, "version_table": {"sql": {"table": "versions", "up": "UPDATE versions SET v = 2",
                                             "down": "UPDATE versions SET v = 1"}}},
        ["there is no table versions", "leave version_table out", '"table" names it']),
}
# of these, the line is known from the text of the file (indented by two)
WITH_LINE = {"an unknown field at the top", "an unknown field", "an unknown operation", "a name that is a number",
             "a boolean that is text"}


@pytest.fixture(scope="module")
def planner(planner_of):
    return planner_of("CREATE TABLE items (id bigint PRIMARY KEY, label text NOT NULL, n int,"
                      " twice int GENERATED ALWAYS AS (n * 2) STORED);"
                      "CREATE INDEX ix_label ON items (label); CREATE TYPE mood AS ENUM ('sad');"
                      "CREATE TYPE span AS RANGE (subtype = int)")


@pytest.mark.parametrize("mistake", BAD_FILES)
def test_a_migration_file_with_a_mistake_is_refused_with_its_place(planner, mistake):
    content, words = BAD_FILES[mistake]
    path = planner.file(content)
    for command in ("plan", "start"):
        done = planner.cli(command, path, check=1)
        for word in words:
            assert word in done.err, f"{word!r} is not in: {done.err}"
        if mistake in WITH_LINE:
            assert re.search(re.escape(path.name) + r":\d+: ", done.err), done.err
    assert planner.console("SHOW MIGRATIONS") == []


def test_a_migration_name_is_used_once(items, segue):
    proxy = segue(items)
    proxy.done(RENAME)
    other = {"name": "rename_label", "operations": [{"rename_column": {"table": "items", "from": "n", "to": "m"}}]}
    assert "rename_label" in proxy.cli("start", proxy.file(other), check=1).err


def test_one_migration_per_table_at_a_time(items, segue):
    proxy = segue(items)
    proxy.ready(RENAME)
    other = {"name": "second", "operations": [{"rename_column": {"table": "items", "from": "n", "to": "m"}}]}
    assert "rename_label" in proxy.cli("start", proxy.file(other), check=1).err


def test_a_command_for_an_unknown_migration_is_refused(items, segue):
    proxy = segue(items)
    for command in ("cutover", "complete", "rollback", "abort", "verify"):
        assert "nosuch" in proxy.cli(command, "nosuch", check=1).err


@pytest.mark.parametrize("command", ["cutover", "complete"])
def test_a_command_in_the_wrong_phase_is_refused(items, segue, command):
    proxy = segue(items)
    name = proxy.ready(RENAME)
    if command == "cutover":
        proxy.cli("cutover", name)
    done = proxy.cli(command, name, check=1)
    assert name in done.err and proxy.phase(name) in done.err
