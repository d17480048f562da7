"""Keys of partitioned tables under a new name or of a new type: the key, what counts it up, and what refers to it."""

import sys
import threading

import psycopg
import pytest
from lib.each import each
from lib.operations import build, connected, new, old, same_as_plain, unchanged
from lib.segue import BUILD, REPO
from lib.wait import until

sys.path.append(str(REPO / "tests"))

from faults.stage import Told  # noqa: E402

pytestmark = pytest.mark.newest_unless_told

# a branch, columns in another order, a key with a name of its own
EVENTS = """
CREATE TABLE {s}.events (id serial, at int NOT NULL, label text, note text DEFAULT 'n',
  CONSTRAINT events_key PRIMARY KEY (id, at) INCLUDE (note) WITH (fillfactor = 70) USING INDEX TABLESPACE elsewhere) PARTITION BY RANGE (at);
COMMENT ON CONSTRAINT events_key ON {s}.events IS 'the key'; COMMENT ON INDEX {s}.events_key IS 'its index';
CREATE TABLE {s}.events_1 PARTITION OF {s}.events FOR VALUES FROM (0) TO (100);
CREATE TABLE {s}.branch PARTITION OF {s}.events FOR VALUES FROM (100) TO (200) PARTITION BY RANGE (at);
CREATE TABLE {s}.branch_1 PARTITION OF {s}.branch FOR VALUES FROM (100) TO (150);
CREATE TABLE {s}.branch_rest PARTITION OF {s}.branch DEFAULT;
CREATE TABLE {s}.turned (note text DEFAULT 'n', gone int, label text, at int NOT NULL, id int NOT NULL DEFAULT nextval('{s}.events_id_seq'),
  CONSTRAINT own_name PRIMARY KEY (id, at) INCLUDE (note) WITH (fillfactor = 70) USING INDEX TABLESPACE elsewhere);
ALTER TABLE {s}.turned DROP gone;
ALTER TABLE {s}.events ATTACH PARTITION {s}.turned FOR VALUES FROM (200) TO (300);
COMMENT ON INDEX {s}.own_name IS 'of the leaf';
INSERT INTO {s}.events (at, label) SELECT i, 'row ' || i FROM generate_series(0, 299) i;
"""
LEAVES = ("events_1", "branch_1", "branch_rest", "turned")
TABLES = ("events", "branch", *LEAVES)
RENAMED = {"name": "keys", "operations": [{"rename_column": {"table": "events", "from": "id", "to": "ident"}}]}
WIDER = {"name": "keys", "operations": [{"alter_column": {"table": "events", "column": "id", "type": "bigint", "up": "id", "down": "id"}}]}
PLAIN = {"keys": "ALTER TABLE {s}.events RENAME id TO ident", # the server forgets what the leaf has of its own, and before 18 gives all parts the comment of the whole
         "wider": "COMMENT ON INDEX {s}.events_key IS NULL; ALTER TABLE {s}.events ALTER id TYPE bigint; COMMENT ON INDEX {s}.events_key IS 'its index';"
                  "ALTER TABLE {s}.turned RENAME CONSTRAINT turned_pkey TO own_name; COMMENT ON INDEX {s}.own_name IS 'of the leaf'"}
# what the file is, what plain DDL is, what the key is called on either side
KINDS = {"rename": (RENAMED, PLAIN["keys"], "id", "ident"), "bigint": (WIDER, PLAIN["wider"], "id", "id")}
WAITING = ("SELECT count(*) FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid WHERE c.relname LIKE '~segue%' AND indisvalid"
           " AND c.relnamespace = 'public'::regnamespace")


def settled(proxy, db, name, indexes):
    """What a turn, or a new partition, leaves to be done."""
    proxy.wait(name, lambda row: row["step"] == "" and db.one(WAITING) == indexes, what=f"{indexes} indexes to wait")


def partition(db, name, begins, rows=0):
    """One that comes while the migration is in flight, with so many rows; on the copy, too."""
    for schema in ("public", "plain"):
        db.sql(f"CREATE TABLE {schema}.{name} PARTITION OF {schema}.events FOR VALUES FROM ({begins}) TO ({begins + 100})")
    if rows:
        db.sql(f"INSERT INTO public.events (at, label) SELECT {begins} + i, 'late' FROM generate_series(1, {rows}) i")


def follow(proxy):
    return proxy.connect()


def use_by(conn, key, n):
    """All that an application does by the key, under one of its names."""
    at = n % 300

    def value():
        return conn.execute(f"SELECT {key}, at, label, note FROM events WHERE {key} = {n}").fetchall()

    insert = f"INSERT INTO events ({key}, at, label) VALUES ({n}, {at}, 'a')"
    conn.execute(insert)
    assert value() == [(n, at, "a", "n")]
    with pytest.raises(psycopg.errors.UniqueViolation):
        conn.execute(insert)
    conn.execute(f"{insert} ON CONFLICT ({key}, at) DO UPDATE SET label = 'c', note = (EXCLUDED.{key} + events.{key})::text")
    assert value() == [(n, at, "c", str(2 * n))]
    conn.execute(f"{insert} ON CONFLICT ON CONSTRAINT events_key DO NOTHING")
    conn.execute(f"UPDATE events SET {key} = {key} + 1, at = (at + 100) % 300 WHERE {key} = {n}")  # to another partition
    by = conn.execute(f"SELECT {key}, at, label, count(*) FROM events WHERE {key} IN ({n}, {n + 1}) GROUP BY {key}, at")
    assert by.fetchall() == [(n + 1, (at + 100) % 300, "c", 1)]
    assert conn.execute(f"DELETE FROM events WHERE {key} = {n + 1} RETURNING {key}").fetchall() == [(n + 1,)]
    got = conn.execute(f"INSERT INTO events (at, label) VALUES ({at}, 'counted') RETURNING {key}").fetchone()[0]
    assert conn.execute(f"SELECT label FROM events WHERE {key} = {got}").fetchone() == ("counted",)


def all_use_it(db, proxy, kind, rows):
    _, _, before, after = KINDS[kind]
    for connect, key in ((old, before), (new, after), (follow, before), (follow, after)):
        with connect(proxy) as conn:
            use_by(conn, key, next(rows))
    with db.connect() as conn:  # past segue, of the table and of a partition
        row = next(rows)
        conn.execute(f"INSERT INTO events (id, at) VALUES ({row}, 20); UPDATE events_1 SET id = id + 1 WHERE {after} = {row}")
        conn.execute(f"UPDATE events SET {after} = {after} + 1, at = 220 WHERE id = {row + 1}")
        assert conn.execute(f"DELETE FROM turned WHERE id = {after} AND id = {row + 2}").rowcount == 1
        conn.execute(f"INSERT INTO branch_1 (id, at) VALUES ({row}, 120); DELETE FROM events WHERE {after} = {row}")


@pytest.mark.deadline(150)
@pytest.mark.parametrize("kind", KINDS)
def test_a_key_of_a_partitioned_table_changes_and_goes_back_as_often_as_wanted(db, segue, kind):
    build(db, EVENTS)
    file, plain, before, after = KINDS[kind]
    proxy = segue(db)
    rows = iter(range(100_000, 1_000_000, 10))
    name = proxy.ready(file)
    assert db.one(WAITING) == 8
    all_use_it(db, proxy, kind, rows)
    partition(db, "empty", 300)
    partition(db, "filled", 400, rows=20)
    settled(proxy, db, name, 12)  # of both
    for turn, waiting in (("cutover", 6), ("rollback", 12), ("cutover", 6)):
        proxy.cli(turn, name)
        all_use_it(db, proxy, kind, rows)
        settled(proxy, db, name, waiting)
        assert proxy.console(f'VERIFY "{name}"')[0]["rows_bad"] == 0
    with proxy.connect() as conn, pytest.raises(psycopg.errors.UniqueViolation):
        conn.execute(f"INSERT INTO events ({after}, at) SELECT {after}, at FROM events WHERE at = 405")
    for schema in ("public", "plain"):  # with a key that says other names than segue's
        db.sql(f"CREATE TABLE {schema}.by_hand (LIKE {schema}.events INCLUDING DEFAULTS INCLUDING CONSTRAINTS); ALTER TABLE {schema}.by_hand"
               f" ADD PRIMARY KEY ({after if schema == 'public' else before}, at) INCLUDE (note) WITH (fillfactor = 70) USING INDEX TABLESPACE elsewhere;"
               f"ALTER TABLE {schema}.events ATTACH PARTITION {schema}.by_hand FOR VALUES FROM (500) TO (600)")
    proxy.cli("complete", name, "--force")
    same_as_plain(db, plain, *TABLES, "empty", "filled", "by_hand")
    assert db.one("SELECT count(*) FROM events") == 320 + 4 * 4
    if kind == "bigint":
        with proxy.connect() as conn:
            conn.execute("INSERT INTO events (id, at) VALUES (5000000000, 5)")
        assert db.one("SELECT seqtypid::regtype::text FROM pg_sequence WHERE seqrelid = 'events_id_seq'::regclass") == "bigint"


@pytest.mark.newest_unless_told
@pytest.mark.parametrize("kind", KINDS)
def test_a_partition_that_comes_in_soak_goes_the_way_back_with_the_others(db, segue, kind):
    build(db, EVENTS)
    proxy = segue(db)
    name = proxy.soaking(KINDS[kind][0])
    settled(proxy, db, name, 4)
    snapshot = db.connect(autocommit=False)  # which CREATE INDEX CONCURRENTLY waits for
    snapshot.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT FROM pg_class")
    partition(db, "filled", 300, rows=20)
    partition(db, "empty", 400)
    said = proxy.cli("rollback", name, check=None)
    assert said.code != 0 and "partition public.filled has come with rows" in said.out + said.err, said
    assert proxy.phase(name) == "soaking"
    snapshot.rollback()
    settled(proxy, db, name, 6)
    proxy.cli("rollback", name)
    all_use_it(db, proxy, kind, iter(range(100_000, 1_000_000, 10)))
    proxy.cli("abort", name)
    assert db.one("SELECT count(*) FROM filled") == 20
    unchanged(db, *TABLES, "empty", "filled")


@pytest.mark.one_version
def test_a_partition_that_comes_in_the_last_moment_is_named(db, segue):
    build(db, EVENTS)
    begins = iter((300, 400))
    told = Told(lambda point: partition(db, point.split("/")[1].strip(), next(begins), rows=5))
    proxy = segue(db, start=False, environment={"SEGUE_FAULT": "gate_look/cutting_over:tell,gate_look/reverting:tell", "SEGUE_FAULT_SOCKET": told.path})
    proxy.program = BUILD / "faults" / "segue"
    proxy.start()
    name = proxy.ready(WIDER)
    for turn, phase, late, waiting in (("cutover", "ready", "cutting_over", (10, 5)), ("rollback", "soaking", "reverting", (6, 12))):
        said = proxy.cli(turn, name, check=None)
        assert said.code != 0 and f"partition public.{late} has come with rows" in said.out + said.err, said
        assert proxy.phase(name) == phase
        proxy.cli("resume", name)
        settled(proxy, db, name, waiting[0])
        proxy.cli(turn, name)
        settled(proxy, db, name, waiting[1])
    told.close()
    proxy.cli("abort", name)
    unchanged(db, *TABLES, "cutting_over", "reverting")


class Client(threading.Thread):
    """Of one revision: makes rows, changes their keys, moves them to another partition, takes half of them away."""

    def __init__(self, proxy, key, first):
        super().__init__(daemon=True)
        self.proxy, self.key, self.first = proxy, key, first
        self.ends, self.errors, self.rounds, self.kept = threading.Event(), [], 0, {}
        self.start()

    def one_round(self, conn, n):
        key, at = self.key, n % 300
        conn.execute(f"INSERT INTO events ({key}, at, label) VALUES ({n}, {at}, 'mine')")
        with conn.transaction():
            conn.execute(f"INSERT INTO events ({key}, at, label) VALUES ({n}, {at}, 'x') ON CONFLICT ({key}, at) DO UPDATE SET label = 'again'")
            conn.execute(f"UPDATE events SET {key} = {key} + 1 WHERE {key} = {n} AND at = {at}")
        assert conn.execute(f"UPDATE events SET at = (at + 100) % 300 WHERE {key} = {n + 1}").rowcount == 1
        assert conn.execute(f"SELECT at, label FROM events WHERE {key} = {n + 1}").fetchall() == [((at + 100) % 300, "again")]
        if n % 4:
            self.kept[n + 1] = (at + 100) % 300
        else:
            assert conn.execute(f"DELETE FROM events WHERE {key} = {n + 1}").rowcount == 1

    def run(self):
        try:
            with self.proxy.connect() as conn:
                while not self.ends.is_set():
                    self.one_round(conn, self.first + 2 * self.rounds)
                    self.rounds += 1
        except (psycopg.Error, AssertionError) as error:
            self.errors.append(f"{self.key} after {self.rounds}: {error!r}")

    def flows(self):
        until(f"rounds of the client by {self.key}", lambda before=self.rounds: self.errors or self.rounds > before + 5)

    def end(self):
        self.ends.set()
        self.join(20)
        assert not self.errors and self.rounds > 5, (self.errors, self.rounds)
        return self.kept


@pytest.mark.newest_unless_told
@pytest.mark.deadline(120)
@pytest.mark.parametrize("kind", KINDS)
def test_clients_of_both_revisions_go_on_through_all_turns(db, segue, kind):
    build(db, EVENTS)
    file, _, before, after = KINDS[kind]
    proxy = segue(db)
    first = Client(proxy, before, 400_000)
    first.flows()
    name = proxy.ready(file)
    second = Client(proxy, after, 600_000)
    for turn in ("cutover", "rollback", "cutover"):
        proxy.cli(turn, name)
        first.flows()
        second.flows()
        settled(proxy, db, name, 8 if turn == "rollback" else 4)
    kept = {**first.end(), **second.end()}
    other = before if kind == "rename" else db.one("SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = 'events'::regclass AND attname LIKE '~segue%'")
    for column in (other, after):
        assert dict(db.sql(f"SELECT {column}, at FROM events WHERE {column} >= 400000")) == kept
    proxy.cli("complete", name, "--force")
    assert dict(db.sql(f"SELECT {after}, at FROM events WHERE {after} >= 400000")) == kept


@pytest.mark.one_version
@pytest.mark.deadline(240)
def test_killed_at_any_moment_the_key_goes_on(db, segue):
    build(db, EVENTS)
    proxy = segue(db, start=False)
    proxy.program = BUILD / "faults" / "segue"
    name = WIDER["name"]

    def dies(point, command, then):
        proxy.environment = {"SEGUE_FAULT": f"{point}:die"}
        proxy.restart().at_work()
        command()
        until(f"it to die at {point}", lambda: not proxy.running())
        proxy.environment = {}
        connected(proxy.restart())
        then()

    def ready(waiting=8):
        proxy.wait_phase(name, "ready")
        settled(proxy, db, name, waiting)

    def soaking():
        proxy.wait_phase(name, "soaking")
        settled(proxy, db, name, 4)

    def says(word):
        return lambda: proxy.console(f'{word} "{name}"')

    for n, point in enumerate(("long_sent/backfilling#2", "long_done/backfilling#7", "mark_before/backfilling#2")):
        dies(point, lambda: proxy.begin(WIDER), ready)
        if n < 2:
            dies("gate_ran/aborting" if n else "gate_committed/aborting", says("ABORT"), lambda: proxy.wait_phase(name, "aborted"))
            unchanged(db, *TABLES)
    dies("gate_ran/cutting_over", says("CUTOVER"), ready)
    dies("gate_committed/cutting_over", says("CUTOVER"), soaking)
    dies("gate_ran/reverting", says("ROLLBACK"), ready)
    proxy.cli("cutover", name)
    dies("gate_committed/reverting", says("ROLLBACK"), ready)
    proxy.cli("cutover", name)
    dies("long_done/ready#3", says("ROLLBACK"), ready)
    proxy.cli("cutover", name)
    partition(db, "late", 300, rows=10)
    settled(proxy, db, name, 5)
    dies("gate_ran/contracting", lambda: proxy.console(f'COMPLETE "{name}" FORCE'), lambda: proxy.wait_phase(name, "done"))
    same_as_plain(db, PLAIN["wider"], *TABLES, "late")
    assert db.one("SELECT count(*) FROM events") == 310


# ---- identity ----

COUNTED = ("CREATE TABLE {s}.items (id integer GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 5 CACHE 1), at int NOT NULL DEFAULT 5, label text,"
           "  PRIMARY KEY (id, at)) PARTITION BY RANGE (at);"
           "CREATE TABLE {s}.low PARTITION OF {s}.items FOR VALUES FROM (0) TO (10); CREATE TABLE {s}.rest PARTITION OF {s}.items DEFAULT;"
           "COMMENT ON SEQUENCE {s}.items_id_seq IS 'counts'; GRANT USAGE ON SEQUENCE {s}.items_id_seq TO reader;"
           "INSERT INTO {s}.items (label) SELECT 'row ' || i FROM generate_series(1, 50) i")
SEQUENCES = ("SELECT relname, seqtypid::regtype::text, seqstart, seqincrement, seqmin, seqmax, seqcache, seqcycle, relacl::text, "
             "obj_description(oid, 'pg_class') FROM pg_sequence JOIN pg_class ON oid = seqrelid WHERE relnamespace = '{s}'::regnamespace")
COUNTS = {"rename": ({"rename_column": {"table": "items", "from": "id", "to": "ident"}}, "ALTER TABLE {s}.items RENAME id TO ident", "id", "ident"),
          "bigint": ({"alter_column": {"table": "items", "column": "id", "type": "bigint"}}, "ALTER TABLE {s}.items ALTER id TYPE bigint", "id", "id")}


@pytest.mark.parametrize("kind", COUNTS)
def test_an_identity_of_a_partitioned_table_goes_on_counting(db, segue, kind):
    build(db, COUNTED)
    operation, plain, before, after = COUNTS[kind]
    proxy = segue(db)
    name = proxy.ready({"name": "counts", "operations": [operation]})
    got = []

    def count():
        for connect, key in ((old, before), (new, after)):
            with connect(proxy) as conn:
                def add(what):
                    return conn.execute(f"INSERT INTO items {what} RETURNING {key}").fetchone()[0]

                got.append(add("(label) VALUES ('more')"))
                got.append(add(f"({key}, at) VALUES (DEFAULT, 50)"))
                got.append(add("DEFAULT VALUES"))
                assert add(f"({key}, label) OVERRIDING SYSTEM VALUE VALUES ({10_000_000 + len(got)}, 'given')") == 10_000_000 + len(got)
                with pytest.raises(psycopg.errors.GeneratedAlways):
                    conn.execute(f"INSERT INTO items ({key}) VALUES (5)")
        with db.connect() as conn:  # past segue
            got.append(conn.execute("INSERT INTO items (label) VALUES ('past') RETURNING id").fetchone()[0])

    count()
    for turn in ("cutover", "rollback", "cutover"):
        proxy.cli(turn, name)
        count()
        settled(proxy, db, name, 4 if turn == "rollback" else 2)
    assert got == [350 + 5 * i for i in range(len(got))]
    proxy.cli("complete", name, "--force")
    same_as_plain(db, plain, "items", "low", "rest")
    assert db.sql(SEQUENCES.replace("{s}", "public")) == db.sql(SEQUENCES.replace("{s}", "plain"))
    with proxy.connect() as conn:
        assert conn.execute(f"INSERT INTO items (label) VALUES ('last') RETURNING {after}").fetchone()[0] == got[-1] + 5


# ---- what refers to it ----

LINKED = EVENTS + """
CREATE TABLE {s}.orders (n int PRIMARY KEY, event int NOT NULL, event_at int NOT NULL,
  CONSTRAINT of_event FOREIGN KEY (event, event_at) REFERENCES {s}.events ON UPDATE CASCADE ON DELETE CASCADE);
CREATE TABLE {s}.lines (event int, event_at int);
ALTER TABLE {s}.lines ADD CONSTRAINT by_line FOREIGN KEY (event, event_at) REFERENCES {s}.events DEFERRABLE INITIALLY DEFERRED;
COMMENT ON CONSTRAINT by_line ON {s}.lines IS 'why';
ALTER TABLE {s}.lines ADD CONSTRAINT never FOREIGN KEY (event, event_at) REFERENCES {s}.events NOT VALID;
INSERT INTO {s}.orders SELECT id, id, at FROM {s}.events WHERE id <= 200; INSERT INTO {s}.lines SELECT id, at FROM {s}.events WHERE id <= 150;
"""
# of which parts refer, too; what the server makes for partitions on either side is its own
PARTED = """
CREATE TABLE {s}.parts (event int, event_at int, day int) PARTITION BY RANGE (day);
CREATE TABLE {s}.parts_1 PARTITION OF {s}.parts FOR VALUES FROM (0) TO (10); CREATE TABLE {s}.parts_rest PARTITION OF {s}.parts DEFAULT;
INSERT INTO {s}.parts SELECT id, at, id % 20 FROM {s}.events WHERE id < 100;
ALTER TABLE {s}.parts ADD CONSTRAINT of_part FOREIGN KEY (event, event_at) REFERENCES {s}.events;
"""
FOREIGN = ("SELECT conrelid::regclass::text, conname, replace(pg_get_constraintdef(oid), '{s}.', ''), convalidated, condeferrable, "
           "obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE contype = 'f' AND connamespace = '{s}'::regnamespace "
           "AND (conparentid = 0 OR conrelid <> (SELECT p.conrelid FROM pg_constraint p WHERE p.oid = pg_constraint.conparentid)) "
           "AND confrelid = '{s}.events'::regclass ORDER BY 1, 2")
FOLLOWS = {"rename": [{"rename_column": {"table": "events", "from": "id", "to": "ident"}},
                      {"rename_column": {"table": "orders", "from": "event", "to": "what"}}],
           "bigint": [{"alter_column": {"table": "events", "column": "id", "type": "bigint"}},
                      {"alter_column": {"table": "orders", "column": "event", "type": "bigint"}}]}
FOLLOWED = {"rename": "ALTER TABLE {s}.events RENAME id TO ident; ALTER TABLE {s}.orders RENAME event TO what",
            "bigint": "ALTER TABLE {s}.events ALTER id TYPE bigint; ALTER TABLE {s}.orders ALTER event TYPE bigint"}


def foreign(db, schema="public"):
    with db.connect() as conn:
        conn.execute(f"SET search_path = {schema}")
        return conn.execute(FOREIGN.replace("{s}", schema)).fetchall()


@pytest.mark.deadline(120)
@pytest.mark.parametrize("kind", FOLLOWS)
def test_what_refers_to_the_key_of_a_partitioned_table_follows(db, segue, kind):
    build(db, LINKED)
    parted = db.one("SELECT current_setting('server_version_num')::int") >= 180000
    if parted:
        build(db, PARTED)
    before = foreign(db)
    assert [row[3] for row in before if row[1] != "never"] == [True] * (5 if parted else 2)
    proxy = segue(db)
    name = proxy.ready({"name": "follows", "operations": FOLLOWS[kind]})
    key, item = ("ident", "what") if kind == "rename" else ("id", "event")

    def refers():
        for connect, names in ((old, ("id", "event")), (new, (key, item))):
            with connect(proxy) as conn:
                got = conn.execute(f"INSERT INTO events (at, label) VALUES (120, 'x') RETURNING {names[0]}").fetchone()[0]
                conn.execute(f"INSERT INTO orders (n, {names[1]}, event_at) VALUES ({got}, {got}, 120)")
                conn.execute(f"UPDATE events SET {names[0]} = {names[0]} + 100000 WHERE {names[0]} = {got}")
                assert conn.execute(f"SELECT {names[1]} FROM orders WHERE n = {got}").fetchone() == (got + 100000,)
                conn.execute(f"DELETE FROM events WHERE {names[0]} = {got + 100000}")
                assert not conn.execute(f"SELECT FROM orders WHERE n = {got}").fetchone()
                for sql in (f"INSERT INTO orders (n, {names[1]}, event_at) VALUES (-1, 900000, 5)", "INSERT INTO lines VALUES (900000, 5)",
                            f"DELETE FROM events WHERE {names[0]} = 7", *(["INSERT INTO parts VALUES (900000, 5, 5)"] if parted else [])):
                    with pytest.raises(psycopg.errors.ForeignKeyViolation):
                        conn.execute(sql)
        with db.connect() as conn, pytest.raises(psycopg.errors.ForeignKeyViolation):
            conn.execute("INSERT INTO lines VALUES (900000, 105)")

    refers()
    for turn in ("cutover", "rollback", "cutover"):
        proxy.cli(turn, name)
        refers()
        proxy.wait(name, lambda row: row["step"] == "" and [r[3] for r in foreign(db)] == [r[3] for r in before], what="what refers to be settled")
        if turn == "rollback":
            assert foreign(db) == before
    proxy.cli("complete", name, "--force")
    for sql in FOLLOWED[kind].split(";"):
        db.sql(sql.replace("{s}", "plain"))
    assert foreign(db) == foreign(db, "plain")


# ---- what cannot ----

REFUSED = ("CREATE TABLE parted (id integer, n integer, label text, CONSTRAINT parted_pkey PRIMARY KEY (id, n)) PARTITION BY RANGE (n);"
           "CREATE TABLE half (id integer NOT NULL, n integer NOT NULL) PARTITION BY RANGE (n); CREATE TABLE half_1 PARTITION OF half DEFAULT;"
           "ALTER TABLE ONLY half ADD PRIMARY KEY (id, n);"
           "CREATE TABLE many (id integer, n integer, PRIMARY KEY (id, n)) PARTITION BY RANGE (n);"
           "DO $$ BEGIN FOR i IN 1..100 LOOP EXECUTE format('CREATE TABLE many_%s PARTITION OF many FOR VALUES FROM (%s) TO (%s)', i, i, i + 1); END LOOP; END $$;"
           "CREATE TABLE kinds (kind integer PRIMARY KEY);"
           "CREATE TABLE parts (kind integer CONSTRAINT many REFERENCES kinds, n integer) PARTITION BY RANGE (n)")


def renamed(table, column, to):
    return {"rename_column": {"table": table, "from": column, "to": to}}


# operation, words of the refusal, of the hint
CANNOT = [
    (renamed("parted", "n", "m"), "which PostgreSQL cannot put on another column", "and move the rows"),
    ({"alter_column": {"table": "parted", "column": "n", "type": "bigint"}}, "which PostgreSQL cannot put on another column", "and move the rows"),
    (renamed("half", "id", "ident"), "it is not valid: not every partition has its part of the primary key", "ATTACH PARTITION"),
    ({"alter_column": {"table": "parted", "column": "id", "name": "ident", "nullable": True, "up": "id", "down": "coalesce(ident, 0)"}},
     "primary key parted_pkey: its column id cannot be NULL", 'leave "nullable" out'),
]


@pytest.fixture(scope="module")
def planner(planner_of):
    return planner_of(REFUSED)


@pytest.mark.one_version
@each(case=CANNOT)
def test_what_a_key_of_a_partitioned_table_cannot_do_is_refused(planner, case):
    operation, words, hint = case
    done = planner.cli("plan", planner.file({"name": "no", "operations": [operation]}), check=1)
    assert words in done.out + done.err and hint in done.out + done.err, done.out + done.err


@pytest.mark.versions(15, 16, 17)
def test_a_foreign_key_of_a_partitioned_table_cannot_follow_before_18(planner):
    done = planner.cli("plan", planner.file({"name": "no", "operations": [renamed("kinds", "kind", "sort")]}), check=1)
    assert "constraint many of public.parts: a foreign key of a partitioned table cannot be made again" in done.out and "before 18" in done.out


@pytest.mark.one_version
def test_the_plan_tells_what_a_name_of_the_key_is_good_for(planner):
    said = planner.cli("plan", planner.file({"name": "yes", "operations": [renamed("parted", "id", "ident")]})).out
    assert "past segue ON CONFLICT (columns) works for one name of the key at a time" in said
    said = planner.cli("plan", planner.file({"name": "yes", "operations": [{"alter_column": {"table": "parted", "column": "id", "type": "bigint"}}]})).out
    assert "ON CONFLICT (columns) works for one name" not in said
    assert "partitions again, under the lock" not in said
    said = planner.cli("plan", planner.file({"name": "yes", "operations": [renamed("many", "id", "ident")]})).out
    assert "makes the keys of 100 partitions again, under the lock" in said and "gate_hold_max_ms" in said
