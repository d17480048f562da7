"""The history of a schema: what is recorded of each file, and what its policy refuses."""

import hashlib
import json

import pytest
from lib import store
from lib.segue import Refused
from lib.wait import until

ITEMS = "CREATE TABLE items (id bigint PRIMARY KEY, label text, note text); CREATE TABLE other (id int PRIMARY KEY, a int)"


def add(name, column, after=None, table="items"):
    out = {"name": name, "operations": [
        {"add_column": {"table": table, "column": {"name": column, "type": "text", "nullable": True}}}]}
    if after is not None:
        out["after"] = after
    return out


def merge(name, *after):
    return {"name": name, "after": list(after), "operations": []}


def history(proxy):
    return {row["migration"]: row for row in json.loads(proxy.cli("history", "--json").out)}


def refused(proxy, migration, *args):
    """What plan says against it."""
    out = proxy.cli("plan", proxy.file(migration), *args, check=1)
    return out.out + out.err


def test_each_file_is_recorded_with_its_sum_its_parents_and_the_schema_it_leaves(db, segue):
    db.sql(ITEMS)
    proxy = segue(db)
    proxy.done(add("one", "x"))
    proxy.soaking(add("two", "y", after="one"))
    rows = history(proxy)
    assert (rows["one"]["phase"], rows["one"]["after"], rows["one"]["kind"]) == ("done", [], "migration")
    assert rows["one"]["applied_at"] and rows["one"]["duration_s"] > 0
    assert (rows["two"]["phase"], rows["two"]["after"], rows["two"]["applied_at"]) == ("soaking", ["one"], None)
    proxy.restart().at_work()
    proxy.wait_phase("two", "soaking")
    proxy.cli("complete", "two")
    rows = history(proxy)
    assert rows["two"]["phase"] == "done"
    sums = dict(db.sql("SELECT name, sha256 FROM segue.migrations"))
    files = {name: hashlib.sha256((proxy.folder / f"{name}.json").read_bytes()).hexdigest() for name in ("one", "two")}
    assert {name: row["sha256"] for name, row in rows.items()} == sums == files
    # the record is of the schema that the end has left, with nothing of segue's in it
    first, second = (json.loads(proxy.cli("snapshot", name).out) for name in ("one", "two"))
    assert "x" in first["table public.items"]["columns"] and "y" not in first["table public.items"]["columns"]
    assert second == json.loads(proxy.cli("snapshot").out)
    assert not [key for key in second if "segue" in key] and "~segue" not in json.dumps(second)
    assert proxy.cli("diff").out == ""
    shown = proxy.console("SHOW HISTORY")
    assert [row["migration"] for row in shown] == ["one", "two"]


@pytest.mark.one_version
def test_an_applied_file_and_one_in_flight_are_never_changed(db, segue):
    db.sql(ITEMS)
    proxy = segue(db)
    proxy.ready(add("one", "w"))
    proxy.cli("abort", "one")
    proxy.ready(add("one", "x"))
    rows = json.loads(proxy.cli("history", "--json").out)
    assert [r["phase"] for r in rows] == ["aborted", "ready"] and rows[0]["sha256"] != rows[1]["sha256"], rows
    assert "is ready with SHA-256" in refused(proxy, add("one", "z"))
    proxy.cli("cutover", "one")
    proxy.cli("complete", "one")
    assert "is applied with SHA-256" in refused(proxy, add("one", "z"))
    out = proxy.cli("start", proxy.file(add("one", "z")), check=1)
    assert "is applied with SHA-256" in out.err and "never changed" in out.err
    assert "ran to its end" in proxy.cli("start", proxy.file(add("one", "x")), check=1).err
    # forward only
    out = proxy.cli("rollback", "one", check=1)
    assert "cannot roll back" in out.err and "forward only" in out.err


@pytest.mark.one_version
def test_a_second_head_is_refused_or_meant_and_then_merged(db, segue):
    db.sql(ITEMS)
    proxy = segue(db)
    proxy.done(add("one", "x"))
    assert '"nobody" is after' not in refused(proxy, add("two", "y", after="nope"))
    assert 'after "nope", which is nowhere' in refused(proxy, add("two", "y", after="nope"))
    proxy.done(add("two", "y", after="one"))
    # who says nothing of parents in a history that has them, and who goes on from an old one
    text = refused(proxy, add("three", "z"))
    assert "2 heads: three, two" in text and '"after": "two"' in text
    branch = add("three", "z", after="one")
    assert "--branch" in refused(proxy, branch)
    proxy.cli("plan", proxy.file(branch), "--branch")
    proxy.cli("start", proxy.file(branch), "--branch")
    proxy.cli("cutover", "three")
    proxy.cli("complete", "three")
    # two heads: only a merge goes on
    assert "2 heads: four, two" in refused(proxy, add("four", "w", after="three"))
    lost = refused(proxy, add("four", "w"))
    assert "merge them" in lost and '"after": "' not in lost
    both = merge("both", "three", "two")
    assert proxy.cli("plan", proxy.file(both)).out == "no steps: start joins the heads in the history, and it is done\n"
    proxy.cli("start", proxy.file(both))
    assert history(proxy)["both"]["phase"] == "done"
    assert history(proxy)["both"]["after"] == ["three", "two"]
    proxy.cli("plan", proxy.file(add("four", "w", after="both")))
    assert "it has no operations" in refused(proxy, {**add("five", "v"), "after": ["both", "two"]})


@pytest.mark.one_version
def test_who_is_followed_goes_back_last_and_ends_first(db, segue):
    db.sql(ITEMS)
    proxy = segue(db)
    proxy.cli("baseline")
    proxy.ready(add("one", "x", after="baseline"))
    follower = add("two", "y", after="one", table="other")
    assert 'after "one", which is ready' in refused(proxy, follower)
    proxy.cli("cutover", "one")
    proxy.soaking(follower)
    assert '"two" comes after "one"' in proxy.cli("rollback", "one", check=1).err
    assert 'comes after "one", which is not done' in proxy.cli("complete", "two", check=1).err
    proxy.cli("complete", "one")
    # what two has made, whose end is not known, is no drift, and is not in the record of one
    assert proxy.cli("diff").out == ""
    assert "y" not in json.loads(proxy.cli("snapshot", "one").out)["table public.other"]["columns"]
    proxy.cli("complete", "two")
    assert "y" in json.loads(proxy.cli("snapshot", "two").out)["table public.other"]["columns"]
    assert proxy.cli("diff").out == ""


@pytest.mark.one_version
def test_a_baseline_that_follows_many_files_takes_one_short_line(db, segue):
    db.sql(ITEMS)
    proxy = segue(db)
    for name in "abcd":
        proxy.done(add(name, name))
    proxy.cli("baseline", "all_of_them")
    line = proxy.cli("history").out.splitlines()[-1]
    assert line.startswith("all_of_them") and "  a, b, and 2 more  " in line, line
    assert history(proxy)["all_of_them"]["after"] == ["a", "b", "c", "d"]


@pytest.mark.one_version
def test_a_baseline_behind_a_file_that_is_done_begins_to_keep_the_history(db, segue):
    db.sql(ITEMS)
    proxy = segue(db)
    proxy.done(add("one", "x"))
    assert proxy.cli("baseline").out.endswith("recorded: yes\n")
    assert history(proxy)["baseline"]["after"] == ["one"]
    assert proxy.cli("baseline").out.startswith("baseline: ") and "recorded: no: " in proxy.cli("baseline").out
    db.sql("ALTER TABLE items ADD past int")
    proxy.cli("plan", proxy.file(add("two", "y", after="baseline")), check=1)  # drift, since it is kept


def test_ddl_past_segue_is_refused_until_it_is_accepted(db, segue):
    db.sql(ITEMS)
    proxy = segue(db)
    assert "no schema has been recorded" in proxy.cli("diff", check=1).err
    out = proxy.cli("baseline")
    assert "baseline" in out.out and "recorded: yes" in out.out
    assert "recorded: no" in proxy.cli("baseline").out
    db.sql("ALTER TABLE items ADD past int NOT NULL DEFAULT 1, ALTER note TYPE varchar(9); DROP TABLE other;"
           "CREATE INDEX items_note ON items (note); CREATE VIEW v AS SELECT 1 AS one")
    lines = proxy.cli("diff", check=1).out
    for line in ("+ table public.items: column past", "is:  type integer, default 1, not null", "- table public.other",
                 "~ table public.items: column note: type", "was: text", "is:  character varying(9)",
                 "+ table public.items: index items_note", "+ view public.v"):
        assert line in lines, lines
    two = add("two", "y", after="baseline")
    text = refused(proxy, two)
    assert "it is not what was recorded last" in text and "column past added" in text and "segue baseline" in text
    with pytest.raises(Refused, match="is not what was recorded last"):
        proxy.begin(two)
    assert "the schema is not what baseline has left" in proxy.cli("baseline", check=1).err
    assert "--note" in proxy.cli("baseline", "--force", check=1).err
    proxy.cli("baseline", "--force", "--note", "made by hand on Sunday, it's fine")
    row = history(proxy)["baseline_2"]
    assert (row["kind"], row["after"], row["note"]) == ("baseline", ["baseline"], "made by hand on Sunday, it's fine")
    proxy.begin(add("two", "y", after="baseline_2"))
    proxy.wait_phase("two", "ready")
    assert 'migration "two" is ready' in proxy.cli("baseline", "third", check=1).err
    proxy.cli("abort", "two")
    assert proxy.cli("diff").out == ""


@pytest.mark.one_version
def test_without_an_order_drift_is_a_warning(db, segue):
    db.sql(ITEMS)
    proxy = segue(db)
    proxy.done(add("one", "x"))
    db.sql("ALTER TABLE items ADD past int")
    out = proxy.cli("plan", proxy.file(add("two", "y"))).out
    assert "to be known" in out and "column past added" in out
    proxy.done(add("two", "y"))
    # heads of a set are not judged; a baseline gives it one
    assert "recorded: yes" in proxy.cli("baseline", "root").out
    assert history(proxy)["root"]["after"] == ["one", "two"]


def test_every_kind_of_object_is_in_a_snapshot_and_the_same_twice(db, segue, tmp_path):
    db.sql("""
        CREATE SCHEMA app;
        CREATE TYPE app.mood AS ENUM ('sad', 'ok'); CREATE TYPE app.pair AS (a int, b text);
        CREATE DOMAIN app.positive AS int CHECK (VALUE > 0);
        CREATE TABLE app.parent (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, m app.mood, s serial,
          code text COLLATE "C" NOT NULL UNIQUE, twice int GENERATED ALWAYS AS (1 + 1) STORED, CHECK (code <> ''));
        CREATE TABLE app.child (id bigint REFERENCES app.parent, at date) PARTITION BY RANGE (at);
        CREATE TABLE app.child_1 PARTITION OF app.child FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
        CREATE FUNCTION app.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER t BEFORE INSERT ON app.parent FOR EACH ROW EXECUTE FUNCTION app.f();
        CREATE PROCEDURE app.p() LANGUAGE sql AS 'SELECT 1';
        CREATE AGGREGATE app.total(int) (SFUNC = int4pl, STYPE = int);
        CREATE VIEW app.v AS SELECT id FROM app.parent; CREATE MATERIALIZED VIEW app.mv AS SELECT code FROM app.parent;
        CREATE INDEX mv_code ON app.mv (code); CREATE SEQUENCE app.alone CYCLE;
        CREATE STATISTICS app.st ON m, code FROM app.parent; COMMENT ON COLUMN app.parent.code IS 'a code';
        ALTER TABLE app.parent ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON app.parent FOR SELECT USING (id > 0);
        """)
    proxy = segue(db)
    one = tmp_path / "one.json"
    one.write_text(proxy.cli("snapshot").out)
    schema = json.loads(one.read_text())
    for key in ("schema app", "type app.mood", "type app.pair", "type app.positive", "table app.parent", "table app.child",
                "sequence app.parent_s_seq", "sequence app.alone", "function app.f()", "procedure app.p()",
                "function app.total(integer)", "view app.v", "materialized view app.mv", "statistics app.st"):
        assert key in schema, key
    # a partition comes and goes, and an identity's sequence is the column's
    assert "table app.child_1" not in schema and "sequence app.parent_id_seq" not in schema
    parent = schema["table app.parent"]
    assert parent["columns"]["code"] == {"type": "text", "not null": True, "collation": '"C"', "comment": "a code"}
    assert parent["columns"]["id"]["identity"] == "always" and parent["policies"]["mine"].startswith("permissive select")
    assert parent["row security"] == "enabled" and set(parent["triggers"]) == {"t"}
    assert not [name for name, text in parent["constraints"].items() if "NOT NULL" in text]
    assert schema["sequence app.parent_s_seq"]["owned by"] == "app.parent.s"
    assert proxy.cli("diff", one).out == "" and proxy.cli("diff", one, one, server=False).out == ""
    other = tmp_path / "other.json"
    for text, words in (('{\n "schema app": {},\n "name": "m"\n}', 'other.json:3: "name": not a snapshot: it does not begin with'),
                        ('{"table app.t": {"columns": []}}', 'other.json:1: "table app.t".columns: not a snapshot: an object'),
                        ("[1]", "other.json:1: not a snapshot: an object is wanted")):
        other.write_text(text)
        for files in ((other,), (one, other)):
            refused = proxy.cli("diff", *files, check=1)
            assert words in refused.err and "segue snapshot > FILE" in refused.err and not refused.out
    db.sql("ALTER TYPE app.mood ADD VALUE 'glad'; CREATE OR REPLACE PROCEDURE app.p() LANGUAGE sql AS 'SELECT 2';"
           "DROP POLICY mine ON app.parent; CREATE TABLE app.child_2 PARTITION OF app.child DEFAULT")
    rows = json.loads(proxy.cli("diff", one, "--json", check=1).out)
    assert [(row["change"], row["object"], row["part"]) for row in rows] == [
        ("changed", "procedure app.p()", "definition"), ("dropped", "table app.parent", "policy mine"),
        ("changed", "type app.mood", "labels")]


PARTS = """
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE FUNCTION g(i int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE PROCEDURE p() LANGUAGE sql AS 'SELECT 1'; CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int); CREATE SCHEMA away;
CREATE TYPE mood AS ENUM ('sad'); CREATE TYPE pair AS (a int); CREATE DOMAIN few AS int CHECK (VALUE < 9); CREATE SEQUENCE s;
CREATE VIEW v AS SELECT 1 AS x; CREATE VIEW barred AS SELECT 1 AS x; CREATE MATERIALIZED VIEW mv AS SELECT 1 AS x;
CREATE TABLE other (id int PRIMARY KEY); CREATE TABLE logged (); CREATE TABLE ident (); CREATE TABLE base (); CREATE TABLE heir (); CREATE TABLE gone ();
CREATE TABLE t (a int, b text, c text COLLATE "C", d int GENERATED BY DEFAULT AS IDENTITY, e text, h int, n int, o int REFERENCES other, r int, q text,
  k int CONSTRAINT k_pos CHECK (k > 0), u int UNIQUE);
CREATE INDEX t_n ON t (n); CREATE STATISTICS st ON n, o FROM t; CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();
CREATE RULE ru AS ON DELETE TO t WHERE false DO INSTEAD NOTHING; CREATE POLICY pol ON t USING (true);
CREATE TABLE parts (id int, at int) PARTITION BY RANGE (at)"""
# a statement past segue -> what a diff calls that
DRIFTS = {
    "ALTER TABLE t ALTER a SET DEFAULT 1": "changed table public.t column a: default",
    "ALTER TABLE t ALTER b SET NOT NULL": "changed table public.t column b: not null",
    'ALTER TABLE t ALTER c TYPE text COLLATE "POSIX"': "changed table public.t column c: collation",
    "ALTER TABLE t ALTER d SET GENERATED ALWAYS": "changed table public.t column d: identity",
    "ALTER TABLE t ALTER e SET STORAGE EXTERNAL": "changed table public.t column e: storage",
    "ALTER TABLE t ALTER q SET COMPRESSION pglz": "changed table public.t column q: compression",
    "ALTER TABLE t ALTER n SET STATISTICS 5": "changed table public.t column n: statistics",
    "ALTER TABLE t ALTER h SET (n_distinct = 3)": "changed table public.t column h: options",
    "COMMENT ON COLUMN t.k IS 'x'": "changed table public.t column k: comment",
    "ALTER TABLE t ALTER r TYPE bigint": "changed table public.t column r: type",
    "ALTER TABLE t DROP CONSTRAINT k_pos, ADD CONSTRAINT k_pos CHECK (k > 1)": "changed table public.t constraint k_pos",
    "ALTER TABLE t ALTER CONSTRAINT t_o_fkey DEFERRABLE": "changed table public.t constraint t_o_fkey",
    "ALTER TABLE t DROP CONSTRAINT t_u_key": "dropped table public.t constraint t_u_key",
    "DROP INDEX t_n; CREATE INDEX t_n ON t (n) WHERE n > 0": "changed table public.t index t_n",
    "ALTER TABLE t DISABLE TRIGGER tr": "changed table public.t trigger tr",
    "ALTER TABLE t ENABLE ROW LEVEL SECURITY": "changed table public.t row security",
    "ALTER POLICY pol ON t USING (k > 0)": "changed table public.t policy pol",
    "CREATE OR REPLACE RULE ru AS ON DELETE TO t WHERE true DO INSTEAD NOTHING": "changed table public.t rule ru",
    "ALTER TABLE t SET (fillfactor = 50)": "changed table public.t options",
    "COMMENT ON TABLE t IS 'x'": "changed table public.t comment",
    "ALTER TABLE logged SET UNLOGGED": "changed table public.logged unlogged",
    "ALTER TABLE ident REPLICA IDENTITY FULL": "changed table public.ident replica identity",
    "ALTER TABLE heir INHERIT base": "changed table public.heir inherits",
    "DROP TABLE parts; CREATE TABLE parts (id int, at int) PARTITION BY LIST (at)": "changed table public.parts partition by",
    "DROP TABLE gone": "dropped table public.gone ",
    "CREATE OR REPLACE FUNCTION g(i int) RETURNS int LANGUAGE sql STABLE AS 'SELECT 1'": "changed function public.g(i integer) definition",
    "CREATE OR REPLACE PROCEDURE p() LANGUAGE sql AS 'SELECT 2'": "changed procedure public.p() definition",
    "DROP AGGREGATE total(int)": "dropped function public.total(integer) ",
    "ALTER TYPE mood ADD VALUE 'ok'": "changed type public.mood labels",
    "ALTER TYPE pair ADD ATTRIBUTE b text": "added type public.pair attribute b",
    "ALTER DOMAIN few SET NOT NULL": "changed type public.few not null",
    "ALTER DOMAIN few SET DEFAULT 3": "changed type public.few default",
    "ALTER DOMAIN few ADD CONSTRAINT more CHECK (VALUE > 0)": "added type public.few constraint more",
    "ALTER SEQUENCE s INCREMENT 2": "changed sequence public.s increment",
    "ALTER SEQUENCE s OWNED BY other.id": "changed sequence public.s owned by",
    "CREATE OR REPLACE VIEW v AS SELECT 2 AS x": "changed view public.v definition",
    "ALTER VIEW barred SET (security_barrier)": "changed view public.barred options",
    "CREATE INDEX mvi ON mv (x)": "added materialized view public.mv index mvi",
    "DROP STATISTICS st; CREATE STATISTICS st ON o, n, k FROM t": "changed statistics public.st definition",
    "DROP SCHEMA away": "dropped schema away ",
    "DROP EXTENSION citext": "dropped extension citext ",
}


@pytest.mark.newest_unless_told
def test_whatever_is_changed_past_segue_is_named(db, segue):
    db.sql(PARTS)
    proxy = segue(db)
    proxy.cli("baseline")
    for statement in DRIFTS:
        db.sql(statement)
    rows = json.loads(proxy.cli("diff", "--json", check=1).out)
    assert sorted(f"{row['change']} {row['object']} {row['part']}" for row in rows) == sorted(DRIFTS.values())
    assert "it is not what was recorded last" in refused(proxy, {"name": "m", "after": "baseline", "operations": [{"drop_table": {"name": "base"}}]})


@pytest.mark.one_version
def test_what_another_migration_in_flight_makes_is_neither_drift_nor_recorded(db, segue):
    db.sql(ITEMS)
    proxy = segue(db)
    proxy.cli("baseline")
    enum = {"name": "enum", "after": "baseline", "operations": [
        {"create_enum": {"name": "mood", "values": ["sad", "ok"]}},
        {"create_table": {"name": "made", "columns": [{"name": "id", "type": "serial", "pk": True}]}}]}
    proxy.ready(enum)
    assert db.one("SELECT to_regtype('mood')::text") == "mood"
    assert proxy.cli("diff").out == ""
    proxy.cli("start", proxy.file(add("one", "x", after="baseline")), "--branch")
    proxy.cli("cutover", "one")
    proxy.cli("complete", "one")
    recorded = json.loads(proxy.cli("snapshot", "one").out)
    assert not [key for key in recorded if "mood" in key or "made" in key]
    proxy.cli("abort", "enum")
    assert proxy.cli("diff").out == ""


def test_heads_are_merged_once_none_of_them_can_go_back(db, segue):
    """The merge ends at once, and what comes before an end stays."""
    db.sql(ITEMS)
    proxy = segue(db)
    proxy.done(add("one", "x"))
    proxy.soaking(add("two", "y", after="one"))
    branch = proxy.file(add("three", "z", after="one", table="other"))
    proxy.cli("start", branch, "--branch")
    proxy.cli("cutover", "three")
    proxy.cli("complete", "three")
    both = merge("both", "two", "three")
    said = refused(proxy, both)
    assert 'it is after "two", which is soaking' in said and "complete that one first" in said
    proxy.cli("rollback", "two")
    until("another cut-over", lambda: proxy.cli("cutover", "two", check=None).code == 0)
    proxy.cli("complete", "two")
    proxy.cli("start", proxy.file(both))
    assert history(proxy)["both"]["phase"] == "done"


FLIGHT = {"an index alone": [{"create_index": {"name": "ix_note", "table": "items", "columns": ["note"]}}],
          "statistics": [{"rename_column": {"table": "items", "from": "label", "to": "title"}}],
          "statistics of a renamed table": [{"rename_column": {"table": "items", "from": "label", "to": "title"}},
                                            {"rename_table": {"from": "items", "to": "things"}}]}


@pytest.mark.parametrize("kind", FLIGHT)
def test_an_index_and_statistics_of_a_migration_in_flight_are_no_drift(db, segue, kind):
    db.sql(ITEMS + "; CREATE STATISTICS st ON label, note FROM items")
    proxy = segue(db)
    proxy.cli("baseline")
    proxy.ready({"name": "flight", "after": "baseline", "operations": FLIGHT[kind]})
    assert proxy.cli("diff").out == ""
    # another one ends meanwhile: what it records is not that of this one
    proxy.cli("start", proxy.file(add("one", "x", after="baseline", table="other")), "--branch")
    proxy.cli("cutover", "one")
    proxy.cli("complete", "one")
    proxy.cli("cutover", "flight")
    assert proxy.cli("diff").out == ""
    proxy.cli("rollback", "flight")
    until("it to be ready", lambda: proxy.phase("flight") == "ready")
    proxy.cli("abort", "flight")
    assert proxy.cli("diff").out == ""


def test_settings_of_the_database_are_no_drift(db, segue):
    db.sql("CREATE TABLE t (at timestamptz CHECK (at > '2020-01-01 00:00+00') DEFAULT '2021-01-01 00:00+00', took interval DEFAULT '1 day 02:00', b bytea DEFAULT '\\\\x6162')")
    proxy = segue(db)
    proxy.cli("baseline")
    before = proxy.cli("snapshot").out
    db.sql(f"ALTER DATABASE \"{db.name}\" SET TimeZone = 'Europe/Berlin'; ALTER DATABASE \"{db.name}\" SET IntervalStyle = 'iso_8601';"
           f"ALTER DATABASE \"{db.name}\" SET bytea_output = 'escape'")
    proxy.restart().at_work()
    assert proxy.cli("snapshot").out == before and proxy.cli("diff").out == ""


def test_the_end_and_its_record_are_one_transaction(db, segue):
    db.sql(ITEMS)
    proxy = segue(db)
    proxy.soaking(add("one", "x"))
    db.sql("CREATE FUNCTION public.no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not yet'; END $$;"
           "CREATE TRIGGER no BEFORE INSERT ON segue.applied EXECUTE FUNCTION public.no()")
    assert "not yet" in proxy.cli("complete", "one", check=4).err
    assert db.one("SELECT phase FROM segue.migrations") == "contracting"
    db.sql("DROP FUNCTION public.no() CASCADE")
    proxy.restart().at_work()
    proxy.wait("one", lambda row: row["error"])
    proxy.cli("resume", "one")
    proxy.wait_phase("one", "done")
    assert db.sql("SELECT m.phase, a.sha256 = m.sha256 FROM segue.applied a JOIN segue.migrations m ON m.id = a.migration") == [
        ("done", True)]


@pytest.mark.one_version
def test_a_database_of_an_older_segue_gets_its_history(db, segue):
    db.sql(ITEMS)
    proxy = segue(db)
    proxy.done(add("one", "x"))
    proxy.stop()
    store.take_back_to(db, 5)
    proxy.start().at_work()
    until("the history to be there", lambda: history(proxy).get("one", {}).get("phase") == "done")
    proxy.done(add("two", "y", after="one"))
    assert list(history(proxy)) == ["one", "two"]
