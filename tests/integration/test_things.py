"""Operations on whole things: tables, indexes, names of constraints, replica identity, enums."""

import pytest
from lib import catalog
from lib.operations import build, connected, is_refused, same_as_plain
from lib.wait import until

SCHEMA = """
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TYPE shade AS ENUM ('light', 'dark');
CREATE TYPE unused AS ENUM ('a');
CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL, code text NOT NULL, feels mood,
    CONSTRAINT users_email_key UNIQUE (email));
CREATE UNIQUE INDEX users_code ON users (code);
CREATE INDEX users_feels ON users (feels);
CREATE TABLE profiles (id int PRIMARY KEY, owner int REFERENCES users (id), tone shade DEFAULT 'dark', serial_no serial);
CREATE TABLE visits (id int PRIMARY KEY, profile int REFERENCES profiles (id));
ALTER TABLE profiles ADD last_visit int REFERENCES visits (id);
INSERT INTO users SELECT i, 'e' || i, 'c' || i, 'sad' FROM generate_series(1, 20) i;
INSERT INTO profiles (id, owner) SELECT i, i FROM generate_series(1, 5) i;
INSERT INTO visits SELECT i, i FROM generate_series(1, 5) i;
"""
FILE = {"name": "things", "operations": [
    {"create_table": {"name": "orders", "columns": [
        {"name": "id", "type": "int", "pk": True}, {"name": "state", "type": "order_state", "default": "'new'"}]}},
    {"create_enum": {"name": "order_state", "values": ["new", "it's paid"]}},
    {"add_column": {"table": "users", "column": {"name": "last", "type": "order_state", "default": "'new'"}}},
    {"add_enum_value": {"name": "mood", "value": "ok", "before": "happy"}},
    {"add_enum_value": {"name": "mood", "value": "fine", "after": "ok"}},
    {"remove_enum": {"name": "shade"}},
    {"remove_enum": {"name": "public.unused"}},
    {"drop_table": {"name": "profiles"}},
    {"drop_table": {"name": "visits"}},
    {"drop_index": {"name": "users_feels"}},
    {"rename_constraint": {"table": "users", "from": "users_email_key", "to": "unique email"}},
    {"set_replica_identity": {"table": "users", "identity": {"type": "index", "index": "users_code"}}}]}
PLAIN = """
CREATE TYPE order_state AS ENUM ('new', 'it''s paid');
CREATE TABLE orders (id int PRIMARY KEY, state order_state NOT NULL DEFAULT 'new');
ALTER TABLE users ADD last order_state NOT NULL DEFAULT 'new';
ALTER TYPE mood ADD VALUE 'ok' BEFORE 'happy';
ALTER TYPE mood ADD VALUE 'fine' AFTER 'ok';
DROP TABLE profiles, visits;
DROP TYPE shade, unused;
DROP INDEX users_feels;
ALTER TABLE users RENAME CONSTRAINT users_email_key TO "unique email";
ALTER TABLE users REPLICA IDENTITY USING INDEX users_code;
"""


def whole(db):
    with db.connect() as conn:
        return catalog.whole(conn)


def run_plain(db, statements):
    with db.connect() as conn:
        for statement in filter(str.strip, statements.split(";\n")):
            conn.execute(statement)


def identity(db):
    return db.one("SELECT relreplident FROM pg_class WHERE relname = 'users'")


def test_a_file_of_whole_things_ends_as_plain_ddl_does_and_can_go_back_until_then(db, copy, segue):
    db.sql(SCHEMA)
    copy.sql(SCHEMA)
    before = whole(db)
    proxy = segue(db)
    shown = proxy.cli("plan", proxy.file(FILE)).out
    for word in ("DROP TABLE IF EXISTS public.profiles, public.visits", "ACCESS EXCLUSIVE", "public.users",
                 "the way back afterwards: CREATE INDEX CONCURRENTLY users_feels", "REPLICA IDENTITY USING INDEX users_code",
                 "cannot be taken away again", "hold rows of public.users", "ON CONFLICT ON CONSTRAINT"):
        assert word in shown, f"{word!r} is not in\n{shown}"
    assert catalog.difference(before, whole(db)) == []

    proxy.ready(FILE)
    proxy.kill9()
    proxy.start()
    connected(proxy).wait_phase("things", "ready")
    proxy.cli("cutover", "things")
    assert identity(db) == "i"
    with proxy.connect() as client:  # everything that complete drops works until then, for everybody
        client.execute("INSERT INTO profiles (id, owner, tone) VALUES (100, 1, 'light')")
        client.execute("INSERT INTO users (id, email, code) VALUES (100, 'e1', 'x') ON CONFLICT ON CONSTRAINT users_email_key DO NOTHING")
        client.execute("INSERT INTO orders VALUES (1, 'it''s paid')")
    proxy.cli("rollback", "things")
    assert identity(db) == "d"
    proxy.cli("abort", "things", "--force")
    after = whole(db)
    assert after["types"]["mood"][-1] == ["sad", "ok", "fine", "happy"]  # as plan has said
    after["types"]["mood"] = before["types"]["mood"]
    before["rows"]["profiles"] += 1
    assert catalog.difference(before, after) == []

    # and once more, to the end: what an abort has left is no obstacle
    proxy.soaking(FILE)
    proxy.kill9()
    proxy.start()
    connected(proxy).wait_phase("things", "soaking")
    proxy.cli("complete", "things", "--force")
    run_plain(copy, PLAIN)
    assert catalog.difference(whole(copy), whole(db)) == []
    assert catalog.traces(db.connect()) == []


def test_complete_waits_for_those_who_use_a_table_that_it_drops(db, segue):
    # before PostgreSQL 17 a name that segue quotes and the server does not
    db.sql("CREATE TABLE \"json\" (id int); CREATE TABLE staying (id int)")
    proxy = segue(db, quiet_period_s=900)
    name = proxy.soaking({"name": "drop", "operations": [{"drop_table": {"name": "json"}}]})
    with proxy.connect(application_name="the old one") as client, proxy.connect(application_name="the new one") as other:
        client.execute("SELECT count(*) FROM json")
        other.execute("SELECT count(*) FROM staying")
    refused = proxy.cli("complete", name, check=1).err
    assert "old names are still in use" in refused and "the old one" in refused and "the new one" not in refused
    # a transaction that has used the table keeps it, and nobody queues behind the lock
    with db.connect(autocommit=False) as client:
        client.execute("INSERT INTO json VALUES (1)")
        proxy.console(f'COMPLETE "{name}" FORCE')
        until("complete to be held up", lambda: proxy.status(name)["phase"] == "contracting" and proxy.status(name)["blockers"])
        with proxy.connect() as other:
            other.execute("SET statement_timeout = '10s'")
            assert other.execute("SELECT count(*) FROM json").fetchone() == (0,)
        proxy.kill9()
        proxy.start()
        proxy.wait(name, lambda r: r["phase"] == "contracting" and r["blockers"])
        client.commit()
    proxy.wait_phase(name, "done")
    assert db.one("SELECT to_regclass('public.json') IS NULL AND to_regclass('staying') IS NOT NULL")


@pytest.mark.one_version
def test_complete_drops_what_was_planned_and_nothing_that_took_its_name(db, segue):
    db.sql("CREATE TABLE going (id int)")
    proxy = segue(db)
    name = proxy.soaking({"name": "drop", "operations": [{"drop_table": {"name": "going"}}]})
    db.sql("ALTER TABLE going RENAME TO gone; CREATE TABLE going (precious text)")
    refused = proxy.cli("complete", name, "--force", check=1)
    assert "another table than the one" in refused.err and proxy.phase(name) == "soaking"
    db.sql("ALTER TABLE going RENAME TO kept; ALTER TABLE gone RENAME TO going")
    proxy.cli("complete", name, "--force")
    assert db.one("SELECT to_regclass('going') IS NULL AND to_regclass('kept') IS NOT NULL")


@pytest.mark.one_version
def test_a_constraint_that_is_gone_or_whose_new_name_is_taken_does_not_stop_complete_in_its_middle(db, segue):
    db.sql("CREATE TABLE t (n int CONSTRAINT c CHECK (n > 0), m int CONSTRAINT u UNIQUE, label text)")
    proxy = segue(db)
    name = proxy.soaking({"name": "m", "operations": [
        {"rename_constraint": {"table": "t", "from": "c", "to": "d"}}, {"rename_constraint": {"table": "t", "from": "u", "to": "v w"}},
        {"rename_column": {"table": "t", "from": "label", "to": "title"}}]})
    db.sql('CREATE INDEX "v w" ON t (n)')
    assert 'the name "v w", which a constraint is to get, is taken' in proxy.cli("complete", name, "--force", check=1).err
    assert proxy.phase(name) == "soaking"
    db.sql('DROP INDEX "v w"; ALTER TABLE t DROP CONSTRAINT c')
    proxy.cli("complete", name, "--force")
    assert db.sql("SELECT conname FROM pg_constraint WHERE conrelid = 't'::regclass AND contype <> 'n'") == [("v w",)]


@pytest.mark.one_version
def test_a_type_goes_with_the_column_of_a_partitioned_table(db, segue):
    db.sql("CREATE TYPE kind AS ENUM ('a', 'b'); CREATE TABLE t (id int, k kind DEFAULT 'a') PARTITION BY RANGE (id);"
           "CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (9); CREATE TABLE own (k kind); INSERT INTO t VALUES (1, 'b')")
    proxy = segue(db)
    file = {"name": "m", "operations": [{"alter_column": {"table": "t", "column": "k", "type": "text", "up": "k::text", "down": "k::kind", "default": "'a'"}},
                                        {"remove_enum": {"name": "kind"}}]}
    said = proxy.cli("plan", proxy.file(file), check=1).out
    assert "column k of table public.own" in said and "table public.t_1" not in said
    db.sql("DROP TABLE own")
    proxy.done(file)
    assert db.sql("SELECT k FROM t_1") == [("b",)] and db.one("SELECT to_regtype('kind') IS NULL")


@pytest.mark.one_version
def test_complete_finds_what_came_meanwhile_before_it_drops_anything(db, segue):
    db.sql("CREATE TYPE mood AS ENUM ('sad'); CREATE TYPE left_alone AS ENUM ('a'); CREATE TABLE t (id int, n int, m int, feels mood DEFAULT 'sad', all_feel mood[]);"
           "CREATE TABLE gone (feels mood); CREATE INDEX t_n ON t (n); CREATE UNIQUE INDEX t_m ON t (m); CREATE TABLE parts (id int, n int) PARTITION BY LIST (id);"
           "CREATE TABLE part PARTITION OF parts DEFAULT; CREATE INDEX parts_n ON parts (n); INSERT INTO t VALUES (1, 1, 1, 'sad', '{sad}')")
    proxy = segue(db)
    name = proxy.soaking({"name": "m", "operations": [
        {"alter_column": {"table": "t", "column": "feels", "type": "text", "up": "feels::text", "down": "feels::mood", "default": "'sad'"}},
        {"drop_column": {"table": "t", "column": "all_feel", "down": "'{sad}'"}},
        {"drop_table": {"name": "gone"}}, {"remove_enum": {"name": "mood"}}, {"remove_enum": {"name": "left_alone"}},
        *({"drop_index": {"name": index}} for index in ("t_n", "t_m", "parts_n"))]})
    db.sql("ALTER TABLE gone ADD also mood")  # goes with it
    for there, back, said in (
            ("CREATE TABLE own (feels mood)", "DROP TABLE own", "column feels of table public.own came after the migration was planned: it uses type public.mood"),
            ("CREATE TABLE own (feels mood[] DEFAULT '{sad}')", "DROP TABLE own", "column feels of table public.own came after"),
            ("CREATE FUNCTION own(mood) RETURNS int LANGUAGE sql AS 'SELECT 1'", "DROP FUNCTION own", "function public.own(public.mood) came after"),
            ("ALTER TYPE left_alone RENAME TO kept; CREATE TYPE left_alone AS ENUM ()", "DROP TYPE left_alone; ALTER TYPE kept RENAME TO left_alone",
             "public.left_alone is another type than"),
            ("DROP INDEX t_n; CREATE TABLE u (n int); CREATE INDEX t_n ON u (n)", "DROP TABLE u; CREATE INDEX t_n ON t (n)",
             "public.t_n is not the index of public.t any more"),
            ("DROP INDEX t_n; CREATE TABLE t_n ()", "DROP TABLE t_n; CREATE INDEX t_n ON t (n)", "public.t_n is not the index of public.t any more"),
            ("ALTER INDEX parts_n RENAME TO p; CREATE INDEX parts_n ON t (n)", "DROP INDEX parts_n; ALTER INDEX p RENAME TO parts_n",
             "public.parts_n is not the index of public.parts any more"),
            ("ALTER TABLE t ADD CONSTRAINT t_m UNIQUE USING INDEX t_m", "ALTER TABLE t DROP CONSTRAINT t_m; CREATE UNIQUE INDEX t_m ON t (m)",
             "constraint t_m needs index public.t_m by now"),
            ("CREATE TABLE refers (m int REFERENCES t (m))", "DROP TABLE refers", "constraint refers_m_fkey on table public.refers needs index public.t_m"),
            ("ALTER TABLE t ALTER m SET NOT NULL, REPLICA IDENTITY USING INDEX t_m", "ALTER TABLE t REPLICA IDENTITY DEFAULT",
             "the replica identity of public.t needs index public.t_m")):
        db.sql(there)
        refused = proxy.cli("complete", name, "--force", check=None)
        assert refused.code == 1 and said in refused.err, f"{there}: {refused}"
        db.sql(back)
    assert proxy.phase(name) == "soaking"
    with db.connect() as conn:
        conn.execute("REINDEX INDEX CONCURRENTLY t_n")  # it is another one, and the same
    proxy.cli("complete", name, "--force")
    assert db.one("SELECT count(*) FROM pg_type WHERE typname IN ('mood', 'left_alone')") == 0
    assert db.one("SELECT count(*) FROM pg_class WHERE relname IN ('t_n', 't_m', 'parts_n', 'gone')") == 0


@pytest.mark.one_version
def test_a_type_of_the_file_is_the_one_that_its_name_means(db, segue):
    """Which schema it goes to, and what a name finds, the search_path says, and not the word public."""
    db.sql(f'CREATE SCHEMA app; CREATE SCHEMA far; CREATE TABLE app.t (id int); CREATE TYPE public.mood AS ENUM (\'theirs\'); '
           f'ALTER DATABASE "{db.name}" SET search_path = app, public')
    proxy = segue(db)

    def add(kind, default, **more):
        return {"add_column": {"table": "t", "column": {"name": "c_" + kind.replace(".", "_"), "type": kind, "default": default, **more}}}

    made = [{"create_enum": {"name": "mood", "values": ["ours"]}}, {"create_enum": {"name": "far.shade", "values": ["dark"]}}]
    for operation, said in ((add("public.mood", "'ours'"), 'invalid input value for enum mood: "ours"'),
                            (add("app.mood", "'theirs'"), "'theirs' is not one of the type's values: 'ours'"),
                            (add("shade", "'dark'"), 'type "shade" does not exist')):
        run = proxy.cli("plan", proxy.file({"name": "m", "operations": [*made, operation]}), check=1)
        assert said in run.out + run.err, run
    assert "say far.shade, which this file makes" in run.out + run.err
    proxy.done({"name": "m", "operations": [*made, add("public.mood", "'theirs'"), add("app.mood", "'ours'"), add("mood", "'ours'"), add("far.shade", "'dark'")]})
    assert db.sql("SELECT attname, typnamespace::regnamespace::text FROM pg_attribute a JOIN pg_type t ON t.oid = atttypid "
                  "WHERE attrelid = 'app.t'::regclass AND attnum > 1 ORDER BY 1") == [
        ("c_app_mood", "app"), ("c_far_shade", "far"), ("c_mood", "app"), ("c_public_mood", "public")]


REFUSED = {
    "view": ({"drop_table": {"name": "t"}}, "CREATE VIEW v AS SELECT id FROM t", "view public.v: it depends on"),
    "foreign key": ({"drop_table": {"name": "t"}}, "CREATE TABLE o (r int REFERENCES t (id))", "constraint o_r_fkey on table public.o"),
    "row type": ({"drop_table": {"name": "t"}}, "CREATE TABLE o (r t)", "column r of table public.o"),
    "sequence": ({"drop_table": {"name": "t"}}, "CREATE TABLE o (n int DEFAULT nextval('t_n_seq'))", "default value for column n of table public.o"),
    "partition": ({"drop_table": {"name": "p1"}}, "CREATE TABLE p (id int) PARTITION BY LIST (id); CREATE TABLE p1 PARTITION OF p DEFAULT",
                  "it is a partition"),
    "view, not table": ({"drop_table": {"name": "v"}}, "CREATE VIEW v AS SELECT 1", "it is not a table"),
    "no table": ({"drop_table": {"name": "nope"}}, "SELECT 1", 'operations[0].drop_table.name: there is no table nope'),
    "index of a constraint": ({"drop_index": {"name": "t_pkey"}}, "SELECT 1", "constraint t_pkey needs it"),
    "index of a key": ({"drop_index": {"name": "u"}}, "CREATE UNIQUE INDEX u ON t (n); CREATE TABLE o (r int REFERENCES t (n))",
                       "constraint o_r_fkey on table public.o needs it"),
    "replica identity": ({"drop_index": {"name": "u"}}, "CREATE UNIQUE INDEX u ON t (n); ALTER TABLE t ALTER n SET NOT NULL, REPLICA IDENTITY USING INDEX u",
                         "it is the replica identity"),
    "part of an index": ({"drop_index": {"name": "p1_id_idx"}}, "CREATE TABLE p (id int) PARTITION BY LIST (id); CREATE TABLE p1 PARTITION OF p DEFAULT;"
                         "CREATE INDEX i ON p (id)", "it is the part of index public.i"),
    "no index": ({"drop_index": {"name": "t"}}, "SELECT 1", "there is no index t"),
    "no constraint": ({"rename_constraint": {"table": "t", "from": "nope", "to": "x"}}, "SELECT 1", "rename_constraint.from: there is no constraint"),
    "name taken": ({"rename_constraint": {"table": "t", "from": "t_pkey", "to": "i"}}, "CREATE INDEX i ON t (n)", 'the name "i" is taken'),
    "inherited constraint": ({"rename_constraint": {"table": "k", "from": "c", "to": "d"}},
                             "ALTER TABLE t ADD CONSTRAINT c CHECK (n > 0); CREATE TABLE k () INHERITS (t)", "inherited"),
    "identity index": ({"set_replica_identity": {"table": "t", "identity": {"type": "index", "index": "u"}}},
                       "ALTER TABLE t ADD m int; CREATE UNIQUE INDEX u ON t (m)", 'index "u" cannot be a replica identity'),
    "no identity index": ({"set_replica_identity": {"table": "t", "identity": {"type": "index", "index": "nope"}}}, "SELECT 1",
                          'has no index "nope"'),
    "published": ({"set_replica_identity": {"table": "t", "identity": {"type": "nothing"}}}, "CREATE PUBLICATION pub FOR TABLE t",
                  "publication pub sends"),
    "type there": ({"create_enum": {"name": "e", "values": ["a"]}}, "CREATE TYPE e AS ENUM ()", "create_enum.name: type public.e already exists"),
    "no schema": ({"create_enum": {"name": "nope.e", "values": ["a"]}}, "SELECT 1", "there is no schema"),
    "no enum": ({"add_enum_value": {"name": "d", "value": "a"}}, "CREATE DOMAIN d AS text", "is no enum"),
    "no such value": ({"add_enum_value": {"name": "e", "value": "b", "after": "x"}}, "CREATE TYPE e AS ENUM ('a')", 'has no value "x"'),
    "value elsewhere": ({"add_enum_value": {"name": "e", "value": "a", "after": "b"}}, "CREATE TYPE e AS ENUM ('a', 'b')", "already, elsewhere"),
    "enum in use": ({"remove_enum": {"name": "e"}}, "CREATE TYPE e AS ENUM ('a'); CREATE TABLE o (x e DEFAULT 'a')", "column x of table public.o"),
    "enum array in use": ({"remove_enum": {"name": "e"}}, "CREATE TYPE e AS ENUM ('a'); CREATE TABLE o (x e[])", "column x of table public.o"),
    "enum of a function": ({"remove_enum": {"name": "e"}}, "CREATE TYPE e AS ENUM ('a'); CREATE FUNCTION f(e) RETURNS int LANGUAGE sql AS 'SELECT 1'",
                           "function public.f(public.e)"),
}


@pytest.mark.one_version
def test_what_cannot_go_is_refused_by_name_and_nothing_is_touched(db, segue):
    proxy = segue(db)
    for what, (operation, sql, wanted) in REFUSED.items():
        db.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE t (id int PRIMARY KEY, n serial)")
        db.sql("DROP PUBLICATION IF EXISTS pub; " + sql)
        before = whole(db)
        is_refused(proxy, [operation], wanted, what)
        after = whole(db)
        before["schemas"] = after["schemas"]
        assert catalog.difference(before, after) == [], what


@pytest.mark.one_version
def test_a_default_that_is_no_value_of_a_new_enum_is_refused(db, segue):
    db.sql("CREATE TABLE t (id int)")
    proxy = segue(db)
    operations = [{"create_enum": {"name": "e", "values": ["a", "b"]}},
                  {"add_column": {"table": "t", "column": {"name": "x", "type": "e", "default": "'c'"}}}]
    refused = proxy.cli("plan", proxy.file({"name": "m", "operations": operations}), check=1)
    assert "'c' is not one of the type's values: 'a', 'b'" in refused.out + refused.err


@pytest.mark.one_version
def test_an_enum_goes_with_the_column_and_the_table_that_used_it(db, segue):
    db.sql("CREATE TYPE e AS ENUM ('a', 'b'); CREATE TYPE f AS ENUM ('x'); CREATE TABLE t (id int, name e DEFAULT 'a');"
           "CREATE TABLE going (y f[]); INSERT INTO t SELECT i, 'b' FROM generate_series(1, 10) i")
    proxy = segue(db)
    migration = {"name": "m", "operations": [
        {"remove_enum": {"name": "e"}}, {"remove_enum": {"name": "f"}}, {"drop_table": {"name": "going"}},
        {"rename_column": {"table": "t", "from": "name", "to": "y", "type": "text", "up": "name::text", "down": "y::e"}}]}
    assert "default value for column name" in proxy.cli("start", proxy.file(migration), check=1).err  # it would be y's
    db.sql("ALTER TABLE t ALTER name DROP DEFAULT")
    proxy.done(migration)
    assert db.one("SELECT count(*) FROM t WHERE y = 'b'") == 10
    assert db.one("SELECT count(*) FROM pg_type WHERE typname IN ('e', 'f')") == 0


@pytest.mark.parametrize("default", ["", "DEFAULT 'sad'"], ids=["bare", "default"])
@pytest.mark.parametrize("new", ["text", "feeling"], ids=["to text", "to a new enum"])
@pytest.mark.one_version
def test_an_enum_goes_when_its_columns_change_their_type_under_their_names(db, segue, new, default):
    """The way to take a value out of an enum; a default of the old type goes when the operation gives another one."""
    db.sql(f"CREATE TYPE mood AS ENUM ('sad', 'ok', 'gone'); CREATE TABLE orders (id int PRIMARY KEY, state mood {default});"
           "INSERT INTO orders SELECT i, 'ok' FROM generate_series(1, 10) i")
    proxy = segue(db)
    change = {"table": "orders", "column": "state", "type": new, "up": "state::text", "down": "state::text::mood"}
    made = [{"create_enum": {"name": "feeling", "values": ["sad", "ok"]}}]

    def migration(**more):
        return {"name": "m", "operations": [*made, {"alter_column": {**change, **more}}, {"remove_enum": {"name": "mood"}}]}

    if default:
        refused = proxy.cli("start", proxy.file(migration()), check=1).err
        assert "default value for column state" in refused
        refused = proxy.cli("start", proxy.file(migration(default=f"CAST('sad'::mood::text AS {new})")), check=1).err
        assert "default value for column state" in refused
    proxy.done(migration(**({"default": "'sad'"} if default else {})))
    assert db.one("SELECT count(*) FROM orders WHERE state::text = 'ok'") == 10
    assert db.one("SELECT count(*) FROM pg_type WHERE typname = 'mood'") == 0
    db.sql("INSERT INTO orders (id) VALUES (99)")
    assert db.one("SELECT state::text FROM orders WHERE id = 99") == ("sad" if default else None)


@pytest.mark.one_version
def test_columns_that_get_a_new_enum_and_lists_of_it_keep_their_indexes_and_defaults(db, segue):
    db.sql("CREATE TYPE mood AS ENUM ('sad', 'ok', 'gone');"
           "CREATE TABLE orders (id int PRIMARY KEY, state mood DEFAULT 'sad', past mood[] NOT NULL DEFAULT '{}');"
           "CREATE INDEX ix_state ON orders (state); CREATE INDEX ix_past ON orders USING gin (past);"
           "INSERT INTO orders SELECT i, 'ok', '{sad,ok}' FROM generate_series(1, 10) i")
    proxy = segue(db)

    def migration(past):
        change = {"table": "orders", "type": "feeling", "up": "state::text::feeling", "down": "state::text::mood", "default": "'sad'"}
        return {"name": "m", "operations": [
            {"create_enum": {"name": "feeling", "values": ["sad", "ok", "it's, well"]}},
            {"alter_column": {**change, "column": "state"}},
            {"alter_column": {**change, "column": "past", "type": "feeling[]", "up": "past::text::feeling[]",
                              "down": "past::text::mood[]", "default": past}},
            {"remove_enum": {"name": "mood"}}]}

    for past, said in (("'{sad,gone}'", "'gone' is not one of the type's values: 'sad', 'ok', 'it''s, well'"),
                       ("'sad'", "malformed array literal")):
        assert said in proxy.cli("plan", proxy.file(migration(past)), check=1).err
    whole = migration("""'{"it''s, well", NULL}'""")
    shown = proxy.cli("plan", proxy.file(whole)).out
    assert "under other settings" not in shown  # nothing here depends on one
    proxy.done(whole)
    assert [r[0] for r in db.sql("SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'orders'::regclass AND NOT "
                                 "indisprimary ORDER BY 1")] == ["CREATE INDEX ix_past ON public.orders USING gin (past)",
                                                                 "CREATE INDEX ix_state ON public.orders USING btree (state)"]
    db.sql("INSERT INTO orders (id) VALUES (99)")
    assert db.sql("SELECT id, state::text, past::text[] FROM orders WHERE id IN (1, 99) ORDER BY id") == [
        (1, "ok", ["sad", "ok"]), (99, "sad", ["it's, well", None])]


@pytest.mark.one_version
def test_an_abort_before_the_type_was_made_leaves_another_of_that_name(db, segue):
    """Aborted while the first step could not run: what it would have made is somebody else's now."""
    db.sql("CREATE TABLE t (id int)")
    proxy = segue(db)
    blocker = db.connect(autocommit=False)
    blocker.execute("CREATE TYPE e AS ENUM ('theirs')")  # in the way until it commits
    proxy.begin({"name": "m", "operations": [{"create_enum": {"name": "e", "values": ["ours"]}}]})
    until("the step to be waiting", lambda: proxy.status("m")["phase"] == "expanding")
    proxy.console('ABORT "m"')
    blocker.commit()
    proxy.wait_phase("m", "aborted")
    assert db.one("SELECT enum_range(NULL::e)::text") == "{theirs}"


KINDS = ("CREATE TABLE {s}.lost (id int CONSTRAINT lost_key PRIMARY KEY, b int4range, c int CONSTRAINT c_once UNIQUE,"
         "  d int CONSTRAINT of_c REFERENCES {s}.lost (c) CONSTRAINT d_pos CHECK (d > 0), CONSTRAINT apart EXCLUDE USING gist (b WITH &&));"
         "CREATE TABLE {s}.called (LIKE {s}.lost); ALTER TABLE {s}.called ADD CONSTRAINT k PRIMARY KEY (id), ADD CONSTRAINT x EXCLUDE USING gist (b WITH &&),"
         "  ADD CONSTRAINT u UNIQUE (c), ADD CONSTRAINT f FOREIGN KEY (d) REFERENCES {s}.called (c), ADD CONSTRAINT c CHECK (d > 0);"
         "CREATE TABLE {s}.i_full (LIKE {s}.called); CREATE TABLE {s}.i_nothing (LIKE {s}.called); CREATE TABLE {s}.i_default (LIKE {s}.called);"
         "CREATE TABLE {s}.i_index (LIKE {s}.called); CREATE UNIQUE INDEX by_id ON {s}.i_index (id); ALTER TABLE {s}.i_default REPLICA IDENTITY FULL")
GOING = ("apart", "of_c", "c_once", "d_pos", "lost_key")
CALLED = {name: f"{name} two" for name in "kxufc"}
IDENTITIES = {"i_full": {"type": "full"}, "i_nothing": {"type": "nothing"}, "i_default": {"type": "default"}, "i_index": {"type": "index", "index": "by_id"}}


def test_constraints_of_every_kind_go_and_get_other_names_and_identities_change(db, segue):
    build(db, KINDS)
    proxy = segue(db)
    name = proxy.soaking({"name": "kinds", "operations": [
        *({"drop_constraint": {"table": "lost", "name": name}} for name in GOING),
        *({"rename_constraint": {"table": "called", "from": name, "to": to}} for name, to in CALLED.items()),
        *({"set_replica_identity": {"table": table, "identity": identity}} for table, identity in IDENTITIES.items())]})
    for command, identities in ("rollback", "fddd"), ("cutover", "dfin"), ("complete", "dfin"):
        proxy.cli("wait", name)
        proxy.cli(command, name, *(["--force"] if command == "complete" else []))
        assert db.one("SELECT string_agg(relreplident::text, '' ORDER BY relname) FROM pg_class WHERE relname LIKE 'i\\_%' AND relkind = 'r'"
                      " AND relnamespace = 'public'::regnamespace") == identities
    same_as_plain(db, ";".join([*(f"ALTER TABLE {{s}}.lost DROP CONSTRAINT {name}" for name in GOING),
                                *(f'ALTER TABLE {{s}}.called RENAME CONSTRAINT {name} TO "{to}"' for name, to in CALLED.items())]), "lost", "called", *IDENTITIES)


MAKES = [{"create_index": {"name": "users_by_code", "table": "users", "columns": ["code", "id"], "unique": True}},
         {"create_constraint": {"name": "one_user", "table": "profiles", "type": "unique", "columns": ["serial_no"]}},
         *({"set_replica_identity": {"table": table, "identity": {"type": "index", "index": index}}}
           for table, index in (("users", "users_by_code"), ("profiles", "one_user")))]


@pytest.mark.one_version
def test_an_index_that_the_file_makes_becomes_the_identity_and_goes_with_an_abort(db, copy, segue):
    for database in (db, copy):
        database.sql(SCHEMA)
    before = whole(db)
    proxy = segue(db)
    name = proxy.soaking({"name": "identity", "operations": MAKES})
    assert identity(db) == "i"
    proxy.cli("rollback", name)
    assert identity(db) == "d"
    proxy.cli("abort", name)
    assert catalog.difference(before, whole(db)) == []
    proxy.done({"name": "identity", "operations": MAKES})
    run_plain(copy, "CREATE UNIQUE INDEX users_by_code ON users (code, id);\nALTER TABLE profiles ADD CONSTRAINT one_user UNIQUE (serial_no);\n"
                    "ALTER TABLE users REPLICA IDENTITY USING INDEX users_by_code;\n"
                    "ALTER TABLE profiles REPLICA IDENTITY USING INDEX one_user")
    assert catalog.difference(whole(copy), whole(db)) == []


@pytest.mark.one_version
def test_an_identity_goes_back_in_front_of_a_column_that_changes_its_type(db, copy, segue):
    """The half that waits again may be NULL only when its index is no identity any more."""
    for each in (db, copy):
        each.sql("CREATE TABLE users (id int PRIMARY KEY, n int NOT NULL CONSTRAINT users_n UNIQUE)")
    proxy = segue(db)
    name = proxy.soaking({"name": "wide", "operations": [
        {"alter_column": {"table": "users", "column": "n", "type": "bigint", "up": "n", "down": "n"}},
        {"set_replica_identity": {"table": "users", "identity": {"type": "index", "index": "users_n"}}}]})
    proxy.cli("rollback", name)
    assert identity(db) == "d"
    proxy.cli("wait", name)
    proxy.cli("cutover", name)
    proxy.cli("complete", name, "--force")
    copy.sql("ALTER TABLE users ALTER n TYPE bigint; ALTER TABLE users REPLICA IDENTITY USING INDEX users_n")
    assert catalog.difference(whole(copy), whole(db)) == []


def test_an_index_of_the_file_that_can_be_no_identity_yet_is_refused(db, segue):
    db.sql(SCHEMA)
    proxy = segue(db)
    as_identity = {"set_replica_identity": {"table": "users", "identity": {"type": "index", "index": "ux"}}}
    wanted = 'index "ux", which this file makes, cannot be a replica identity yet'
    for what, columns, more, words in (
            ("of a column that may be NULL", ["feels"], [], wanted),
            ("of a column that the file renames", ["post"], [{"rename_column": {"table": "users", "from": "email", "to": "post"}}], wanted),
            ("of a new column", ["n"], [{"add_column": {"table": "users", "column": {"name": "n", "type": "int", "default": "1"}}}], wanted)):
        made = {"create_index": {"name": "ux", "table": "users", "columns": columns, "unique": True}}
        is_refused(proxy, [*more, made, as_identity], words, what)
    for what, fields in (("not unique", {}), ("partial", {"unique": True, "predicate": "id > 0"})):
        made = {"create_index": {"name": "ux", "table": "users", "columns": ["id"], **fields}}
        is_refused(proxy, [made, as_identity], 'has no index "ux"', what)
