"""segue doctor: names what a migration waits for or has stopped at, and the command that leads on."""

import json
import os
import re
import shlex
import subprocess
from types import SimpleNamespace
from urllib.parse import quote

import psycopg
import pytest
from lib.auth import PASSWORDS, armed
from lib.segue import BUILD
from lib.tables import make_items
from lib.wait import until

pytestmark = pytest.mark.one_version


def quote_ident(name):
    return '"' + name.replace('"', '""') + '"'


RICH = "CREATE INDEX ix_label ON items (label)"


class Doctor:
    """Asks the running segue, or the database itself."""

    def __init__(self, proxy, db, direct=False, user="postgres"):
        self.proxy, self.db, self.direct, self.user = proxy, db, direct, user

    def rows(self, *words, code=None):
        more = ["--upstream", self.db.url(self.user)] if self.direct else []
        done = self.proxy.cli("doctor", *words, *more, "--json", check=code)
        rows = json.loads(done.out)
        assert done.code == (1 if [r for r in rows if r["weight"] != "note"] else 0)
        return rows

    def found(self, finding, *words):
        """The row of a finding, which must come soon."""
        rows = []

        def look():
            rows[:] = self.rows(*words)
            return [r for r in rows if r["finding"] == finding]

        return until(f"{finding}; there is {rows}", look)[0]

    def well(self):
        until("nothing to be wrong", lambda: not [r for r in self.rows() if r["weight"] != "note"])


@pytest.fixture
def obey(tmp_path):
    """Runs the command of a finding, as a person would."""
    def run(row):
        assert row["command"], row
        proxy = run.proxy
        env = {**os.environ, "PATH": f"{BUILD}:{os.environ['PATH']}", "SEGUE_SERVER": proxy.server}
        done = subprocess.run(["bash", "-c", row["command"]], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (row["command"], done.stderr)
    return run


def test_a_default_of_a_half_that_follows_is_found_and_taken_away(db, segue, obey):
    db.sql("CREATE DOMAIN flag AS text DEFAULT 'no'; CREATE TABLE t (id int PRIMARY KEY, f flag, n int DEFAULT 1)")
    obey.proxy = proxy = segue(db)
    doctor = Doctor(proxy, db)
    proxy.ready({"name": "m", "operations": [
        {"rename_column": {"table": "t", "from": "f", "to": "g"}},
        {"alter_column": {"table": "t", "column": "n", "type": "bigint"}}]})
    doctor.well()
    for column, verb in ("g", "cutover"), ("f", "rollback"):
        db.sql(f"ALTER TABLE t ALTER {column} SET DEFAULT 'maybe'")
        for who in doctor, Doctor(proxy, db, direct=True):
            row = who.found("default")
            assert f"column {column} of public.t follows another one, and has a default: 'maybe'::text" in row["what"], row
        obey(row)
        doctor.well()
        proxy.cli(verb, "m")
    doctor.well()
    db.sql("INSERT INTO t (id, f) VALUES (1, 'yes'); INSERT INTO t (id, g) VALUES (2, 'yes')")
    assert db.sql("SELECT DISTINCT f, g FROM t") == [("yes", "yes")]


def test_who_is_well_is_told_so_and_who_is_down_is_told_what_to_start(db, segue):
    migration, _ = make_items(db, 100)
    proxy = segue(db)
    running, direct = Doctor(proxy, db), Doctor(proxy, db, direct=True)
    assert [r["finding"] for r in running.rows(code=0)] == ["nothing yet"]
    name = proxy.ready(migration)
    for doctor in running, direct:
        (phase,) = [r for r in doctor.rows(code=0) if r["finding"] == "phase"]
        assert phase["migration"] == name and phase["what"].startswith("ready for")
        assert phase["command"] == f"segue cutover {name}"
    # what is to come by itself is not to be begun now
    proxy.cli("cutover", name, "--at", "2031-05-06T23:30Z")
    for doctor in running, direct:
        rows = doctor.rows(code=0)
        (due,) = [r for r in rows if r["finding"] == "cut-over due"]
        assert "begins by itself at 2031-05-06T23:30:00Z" in due["what"] and due["command"] == f"segue status {name}"
        assert not [r for r in rows if r["finding"] == "phase" or "cutover" in r["command"]], rows
    db.sql("UPDATE segue.schedule SET due_at = clock_timestamp() + interval '1 h'")
    proxy.cli("cutover", name, "--withdraw")
    assert [r["command"] for r in direct.rows() if r["finding"] == "phase"] == [f"segue cutover {name}"]
    assert "nothing is wrong" in proxy.cli("doctor", name).out
    proxy.cli("doctor", "nobody", check=1)
    proxy.stop()
    down = proxy.cli("doctor", check=3)
    assert "--upstream" in down.err
    missing = direct.found("no segue")
    assert missing["command"] == f"segue serve --upstream 'postgresql://postgres@127.0.0.1:{db.cluster.port}/{db.name}'"
    gone = proxy.cli("doctor", "--upstream", "postgresql://postgres@127.0.0.1:1/x", "--json", check=1)
    assert [r["finding"] for r in json.loads(gone.out)] == ["database away"]
    # the next command is exact: of what was asked, all but the password
    said = proxy.cli("doctor", "--upstream", r"host=127.0.0.1 port=1 user='o\'p s' password=secret dbname=x", "--json", check=1).out
    (away,) = json.loads(said)
    words = shlex.split(away["command"])
    assert words[:3] == ["segue", "doctor", "--upstream"] and len(words) == 4 and "secret" not in said
    assert psycopg.conninfo.conninfo_to_dict(words[3]) == {
        "host": "127.0.0.1", "port": "1", "user": "o'p s", "dbname": "x"}
    assert proxy.cli("doctor", "--upstream", "nonsense://", check=2).err
    proxy.start().at_work()
    running.well()
    proxy.cli("abort", name)
    assert [r["finding"] for r in running.rows(name, code=0)] == ["ended"]


def test_a_password_that_is_refused_is_told_as_such(clusters, pg_version, tmp_path):
    cluster = armed(clusters, pg_version)
    url = f"host=127.0.0.1 port={cluster.port} user=alice password=wrong dbname=postgres"
    done = subprocess.run([BUILD / "segue", "doctor", "--upstream", url, "--json"], capture_output=True, text=True, timeout=60)
    (row,) = json.loads(done.stdout)
    assert done.returncode == 1 and row["finding"] == "password refused" and 'for user "alice"' in row["what"]
    assert "check the password" in row["hint"] and "wrong" not in row["command"]
    words = shlex.split(row["command"])
    assert words[0] == "psql" and len(words) == 2
    good = PASSWORDS["alice"]
    asked = subprocess.run([*words, "-Atc", "SELECT 1"], env={**os.environ, "PGPASSWORD": good}, capture_output=True, text=True)
    assert asked.stdout == "1\n", asked


def test_who_stands_in_the_way_is_named_with_the_command_that_ends_it(db, segue, obey):
    migration, _ = make_items(db, 100)
    proxy = obey.proxy = segue(db, transaction_age_max_ms=100)
    doctor, direct = Doctor(proxy, db), Doctor(proxy, db, direct=True)
    holder = db.connect(application_name="nightly report")
    holder.execute("BEGIN")
    holder.execute("SELECT count(*) FROM items")
    proxy.begin(migration)
    for one in doctor, direct:
        row = one.found("long transaction") if one is doctor else until("its age", lambda: [
            r for r in direct.rows() if r["finding"] in ("long transaction", "blocked")] or None, 20)[0]
        assert row["weight"] == "waits" and f"pid {holder.info.backend_pid} (nightly report, user postgres" in row["what"]
        assert "SELECT count(*) FROM items" in row["what"] and "idle in transaction" in row["what"]
    obey(row)
    proxy.wait_phase(migration["name"], "ready")
    with pytest.raises(psycopg.OperationalError):
        holder.execute("SELECT 1")
    with db.connect() as conn:
        conn.execute("BEGIN")
        conn.execute("UPDATE items SET note = 'x' WHERE id = 1")
        conn.execute("PREPARE TRANSACTION 'left behind'")
    row = doctor.found("prepared transaction")
    assert row["weight"] == "note"  # nothing waits for it yet
    proxy.console(f"CUTOVER {migration['name']}")
    until("it to be waited for", lambda: doctor.found("prepared transaction")["weight"] == "waits"
          or proxy.phase(migration["name"]) == "soaking")
    obey(row)
    proxy.wait_phase(migration["name"], ("soaking", "ready"))
    assert db.one("SELECT count(*) FROM pg_prepared_xacts WHERE gid = 'left behind'") == 0


def test_a_name_like_segues_hides_nobody_and_makes_nobody_segue(db, segue):
    migration, _ = make_items(db, 100)
    db.sql("GRANT SELECT, UPDATE ON items TO app")
    proxy = segue(db, transaction_age_max_ms=100)
    proxy.ready(migration)
    doctor = Doctor(proxy, db)
    with db.connect(application_name="segue-web") as web, db.connect("app", application_name="segue") as other:
        web.execute("BEGIN; SELECT FROM items WHERE id = 1 FOR UPDATE")
        other.execute("BEGIN; SELECT FROM items WHERE id = 2")
        names = [f"pid {web.info.backend_pid} (segue-web, user postgres, ", f"pid {other.info.backend_pid} (segue, user app, "]
        other.pgconn.send_query(b"SELECT FROM items WHERE id = 1 FOR UPDATE")
        until("it to wait", lambda: db.one("SELECT cardinality(pg_blocking_pids(%s))", other.info.backend_pid))
        rows = until("both to be named", lambda: [r for r in doctor.rows() if r["finding"] == "long transaction"][1:] and doctor.rows())
        long = [r["what"] for r in rows if r["finding"] == "long transaction"]
        assert all([w for w in long if name in w] for name in names) and len(long) == 2, long
        assert not [r for r in rows if r["finding"] == "blocked"], rows
        web.execute("ROLLBACK")
        while other.pgconn.get_result():
            pass
    doctor.well()


def test_a_build_that_waits_for_a_snapshot_says_for_whose(db, segue, obey):
    migration, _ = make_items(db, 100, more=RICH)
    proxy = obey.proxy = segue(db)
    holder = db.connect(autocommit=False, application_name="dump")
    holder.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    holder.execute("SELECT 1")
    proxy.begin(migration)
    row = Doctor(proxy, db).found("blocked")
    assert f"pid {holder.info.backend_pid} (dump" in row["what"] and "CONCURRENTLY" in row["what"]
    # the build is killed: an invalid index stays until segue comes to it
    proxy.kill9()
    db.sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE query LIKE '%CONCURRENTLY%' "
           "AND pid <> pg_backend_pid() AND datname = current_database()")
    row = Doctor(proxy, db, direct=True).found("invalid index")
    assert row["weight"] == "waits" and row["command"] == f"segue resume {migration['name']}"
    holder.close()
    proxy.start().at_work()
    proxy.wait_phase(migration["name"], "ready")
    Doctor(proxy, db).well()


REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
  $$BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '{}'; END$$;
CREATE TRIGGER refuse BEFORE INSERT ON segue.verifications FOR EACH ROW EXECUTE FUNCTION refuse();"""


@pytest.mark.parametrize("state, finding", [("53100", "disk full"), ("P0001", "disk full"), ("42501", "stopped")])
def test_a_failure_is_told_with_its_cause_and_resume(db, segue, obey, state, finding):
    migration, _ = make_items(db, 100)
    proxy = obey.proxy = segue(db)
    proxy.cli("throttle", "rows_per_s", "off")
    db.sql(REFUSE.format(state) if finding == "disk full" else REFUSE.format(state).replace("No space left on device", "no"))
    proxy.begin(migration)
    for doctor in Doctor(proxy, db), Doctor(proxy, db, direct=True):
        row = doctor.found(finding, migration["name"])
        assert row["weight"] == "wrong" and "stopped in verifying" in row["what"] and state in row["what"]
    db.sql("DROP FUNCTION refuse CASCADE")
    obey(row)
    proxy.wait_phase(migration["name"], "ready")
    Doctor(proxy, db).well()


def test_a_step_of_soak_with_a_long_title_has_stopped_and_is_no_turn_that_gave_up(db, segue, obey):
    """Of a title only so much is kept; rollback would be the command for the other."""
    schema, items, refers, key = ("S" * 63, "I" * 63, "R" * 63, "f" * 63)
    db.sql(f'CREATE SCHEMA "{schema}"; CREATE TABLE "{schema}"."{items}" (id int PRIMARY KEY);'
           f'CREATE TABLE "{schema}"."{refers}" (item int CONSTRAINT {key} REFERENCES "{schema}"."{items}"); INSERT INTO "{schema}"."{items}" VALUES (1)')
    proxy = obey.proxy = segue(db)
    name = proxy.ready({"name": "long", "operations": [{"rename_column": {"table": f"{schema}.{items}", "from": "id", "to": "no"}}]})
    db.sql(f'SET session_replication_role = replica; INSERT INTO "{schema}"."{refers}" VALUES (7)')
    proxy.cli("cutover", name)
    assert "violates foreign key constraint" in proxy.wait(name, lambda r: r["error"])["error"]
    row = Doctor(proxy, db).found("stopped")
    assert "segue resume" in row["command"], row
    db.sql(f'DELETE FROM "{schema}"."{refers}"')
    obey(row)
    proxy.cli("complete", name, "--force")


def test_what_holds_the_backfill_is_told_and_switched_off_by_the_command(db, segue, obey):
    migration, _ = make_items(db, 2000, filler=3500)
    proxy = obey.proxy = segue(db)
    doctor = Doctor(proxy, db)
    proxy.console("THROTTLE rows_per_s 20")
    proxy.begin(migration)
    row = doctor.found("throttled")
    assert "rows_per_s" in row["what"] and row["command"] == "segue throttle rows_per_s off"
    assert "it goes on, but slower" in row["hint"]
    proxy.console("THROTTLE flag_file '/dev/null'")
    until("what holds to be told from it", lambda: [r for r in doctor.rows() if r["what"].startswith("flag_file")
                                                    and r["hint"].startswith("it goes on when")])
    proxy.console("THROTTLE flag_file OFF")  # as SQL's words are, in either case
    proxy.console("THROTTLE flag_file DEFAULT")
    proxy.cli("pause", migration["name"])
    paused = doctor.found("paused")
    assert Doctor(proxy, db, direct=True).found("paused")["command"] == paused["command"]
    obey(paused)
    obey(row)
    proxy.wait_phase(migration["name"], "ready")
    doctor.well()


def test_what_has_held_the_backfill_is_not_told_of_what_comes_behind_it(db, segue):
    migration, _ = make_items(db, 2000, filler=3500, more="CREATE INDEX items_label ON items (label)")
    proxy = segue(db)
    doctor = Doctor(proxy, db)
    proxy.console("THROTTLE rows_per_s 1000")
    proxy.begin(migration)
    doctor.found("throttled")
    writer = db.connect(autocommit=False)
    writer.execute("LOCK TABLE items IN ROW EXCLUSIVE MODE")  # for which CREATE INDEX CONCURRENTLY waits
    row = proxy.wait(migration["name"], lambda r: "index" in r["step"])
    assert not row["throttle"] and not [r for r in doctor.rows() if r["finding"] == "throttled"], row
    until("no signal to slow anybody", lambda: {r["verdict"] for r in proxy.console("SHOW THROTTLE")} == {"go"})
    writer.rollback()
    proxy.wait_phase(migration["name"], "ready")


GUARDS = [
    ("guard missing", 'DROP TRIGGER "~segue_guard" ON items', True),
    ("guard disabled", 'ALTER TABLE items DISABLE TRIGGER "~segue_guard"', True),
    ("guard disabled", 'ALTER TABLE items ENABLE TRIGGER "~segue_guard"', True),
    ("guard changed", "DO $$DECLARE f text; BEGIN SELECT oid::regproc::text INTO f FROM pg_proc WHERE pronamespace = "
                      "'segue'::regnamespace AND prorettype = 'trigger'::regtype; EXECUTE 'CREATE OR REPLACE FUNCTION ' "
                      "|| f || '() RETURNS trigger LANGUAGE plpgsql AS ''BEGIN RETURN NEW; END'''; END$$", True),
    ("guard not last", "CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; "
                       'CREATE TRIGGER "~zz" BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION late()', False),
]


def test_a_guard_that_is_missing_disabled_changed_or_not_last_is_told_and_mended_on_both_sides(db, segue, obey):
    migration, _ = make_items(db, 100)
    name = migration["name"]
    proxy = obey.proxy = segue(db)
    proxy.ready(migration)
    doctor = Doctor(proxy, db)
    for phase in "ready", "soaking":
        if phase == "soaking":
            proxy.cli("cutover", name)
        doctor.well()
        for finding, harm, mends in GUARDS:
            db.sql(harm)
            row = doctor.found(finding)
            assert row["weight"] == "wrong" and "public.items" in row["what"]
            if mends:
                obey(row)
                if phase == "ready":  # in soak the look at what keeps complete looks at the rows itself
                    obey(doctor.found("guard was away"))
            else:
                db.sql("DROP FUNCTION late CASCADE")
            doctor.well()
    db.sql("UPDATE items SET title = 'new' WHERE id = 1")
    assert db.one("SELECT label FROM items WHERE id = 1") == "new"


def test_rows_out_of_step_a_table_gone_and_leftovers_of_a_copy_are_told(db, segue, obey):
    migration, _ = make_items(db, 100)
    proxy = obey.proxy = segue(db)
    name = proxy.ready(migration)
    doctor = Doctor(proxy, db)
    db.sql('ALTER TABLE items DISABLE TRIGGER "~segue_guard"; UPDATE items SET label = \'astray\' WHERE id = 7; '
           'ALTER TABLE items ENABLE ALWAYS TRIGGER "~segue_guard"')
    proxy.cli("verify", name, check=1)
    row = doctor.found("rows not in step")
    assert "1 of 100 rows" in row["what"] and "astray" in row["what"]
    db.sql("UPDATE items SET title = label WHERE id = 7")
    obey(row)
    doctor.well()
    db.sql("ALTER TABLE items RENAME TO elsewhere; CREATE SCHEMA beside; ALTER TABLE elsewhere SET SCHEMA beside")
    row = doctor.found("table gone")
    assert "beside.elsewhere" in row["what"]
    obey(row)
    doctor.well()
    # an abort drops nothing of a table that has another name: where that is taken, too, it is to be dropped as a whole
    db.sql("ALTER TABLE items RENAME TO elsewhere; CREATE TABLE items (id int)")
    proxy.cli("abort", name, check=4)
    row = doctor.found("table gone")
    assert "public.elsewhere" in row["what"] and not row["command"] and "drop it where another has taken its place" in row["hint"]
    db.sql("DROP TABLE elsewhere")
    row = doctor.found("table gone")
    assert "is another table since the migration was planned" in row["what"]
    proxy.cli("resume", name)
    proxy.wait_phase(name, "aborted")
    assert db.one("SELECT count(*) FROM pg_attribute WHERE attrelid = 'items'::regclass AND attnum > 0") == 1
    db.sql("DROP TABLE items")
    migration, _ = make_items(db, 100)
    proxy.ready(migration)
    # what a copy of the database without its schema segue would have
    proxy.stop()
    db.sql("UPDATE segue.migrations SET finished_at = now(), phase = 'aborted'")
    row = Doctor(proxy, db, direct=True).found("left over")
    assert 'trigger "~segue_guard" on public.items' == row["what"]
    obey(row)
    assert not [r for r in Doctor(proxy, db, direct=True).rows() if r["finding"] == "left over"]


def test_a_second_segue_says_who_holds_the_lock_and_takes_over_when_that_ends(db, segue, obey):
    migration, _ = make_items(db, 100)
    first, second = segue(db), segue(db, start=False)
    name = first.ready(migration)
    second.start()
    second.logged("another segue is at work")
    obey.proxy = second
    row = Doctor(second, db).found("another segue")
    pid = db.one("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND database = "
                 "(SELECT oid FROM pg_database WHERE datname = current_database())")
    assert row["weight"] == "waits" and f"backend {pid} (segue, user postgres, from 127.0.0.1, since" in row["what"]
    said = f"another segue is at work on this database (backend {pid}, from 127.0.0.1, since"
    second.logged(said)
    with second.connect("segue") as conn:
        notices = []
        conn.add_notice_handler(lambda d: notices.append(d.message_primary))
        until("it to follow", lambda: [row[:2] for row in conn.execute("SHOW STATUS").fetchall()] == [(name, "ready")])
    assert said in notices[-1]
    assert said in second.cli("status").err
    assert "segue doctor" in second.cli("cutover", name, check=1).err
    Doctor(first, db).well()
    first.stop()
    second.wait_phase(name, "ready")
    Doctor(second, db).well()


@pytest.fixture
def app_role(db):
    """An application's role, and who owns its tables: names that want quotes everywhere."""
    owner, app = f"{db.name}'s owner", f"{db.name} \"web\" app"
    names = [quote_ident(name) for name in (owner, app)]
    db.sql("CREATE ROLE {0} LOGIN; CREATE ROLE {1} LOGIN; CREATE SCHEMA \"the shop\" AUTHORIZATION {0}; GRANT CREATE ON SCHEMA public TO {0}; "
           "SET ROLE {0}; CREATE TABLE \"the shop\".\"the items\" (id int PRIMARY KEY, label text); "
           "GRANT USAGE ON SCHEMA \"the shop\" TO {1}; GRANT SELECT, UPDATE ON \"the shop\".\"the items\" TO {1}; RESET ROLE".format(*names))
    yield SimpleNamespace(url=db.url(quote(app)), owner=db.url(quote(owner)), app_name=names[1], owner_name=names[0])
    for name in reversed(names):
        db.sql(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")


def lacking(proxy, url):
    """What the doctor misses when it asks the database by this role."""
    rows = json.loads(proxy.cli("doctor", "--upstream", url, "--json", check=None).out)
    return [r for r in rows if r["finding"] == "privilege missing"]


def test_the_grants_that_are_missing_are_told_so_that_they_can_be_run(db, segue, obey, app_role):
    proxy = obey.proxy = segue(upstream=app_role.owner)
    (row,) = lacking(proxy, app_role.url)  # to make the schema
    assert f"TO {app_role.app_name}" in shlex.split(row["command"])[-1] and "ask as that" in row["hint"]
    obey(row)
    assert lacking(proxy, app_role.url) == []
    for role in app_role.owner_name, app_role.app_name:
        db.sql(f'GRANT CREATE ON DATABASE "{db.name}" TO {role}')
    proxy.ready({"name": "m", "operations": [{"rename_column": {"table": "the shop.the items", "from": "label", "to": "title"}}]})
    proxy.stop()
    (row,) = lacking(proxy, app_role.url)
    assert row["what"] == f"role {app_role.app_name} may not write schema segue, which belongs to {app_role.owner_name}"
    # who has taken the wrong role is told the one of segue, as it can be typed
    (other,) = re.findall("segue doctor --upstream '([^']*)'", row["hint"])
    assert other == app_role.owner and lacking(proxy, other) == []
    # the table's owner is told of, too, where the store can be read
    db.sql(f"GRANT USAGE ON SCHEMA segue TO {app_role.app_name}; GRANT SELECT ON ALL TABLES IN SCHEMA segue TO {app_role.app_name}")
    rows = lacking(proxy, app_role.url)
    assert ["store" if "schema segue" in r["what"] else "table" for r in rows] == ["store", "table"]
    assert '"the shop"."the items"' in rows[1]["what"] and rows[0]["command"] == rows[1]["command"]
    obey(rows[1])
    assert lacking(proxy, app_role.url) == []
    # by a running segue, who may not make an index in the schema
    owner = obey.proxy = segue(upstream=app_role.owner).at_work()
    db.sql(f'ALTER SCHEMA "the shop" OWNER TO postgres; GRANT USAGE ON SCHEMA "the shop" TO {app_role.owner_name}')
    doctor = Doctor(owner, db)
    row = doctor.found("privilege missing")
    assert shlex.split(row["command"])[-1] == f'GRANT CREATE ON SCHEMA "the shop" TO {app_role.owner_name}'
    obey(row)
    assert lacking(owner, app_role.owner) == []


def test_who_asks_for_a_database_that_is_not_there_is_led_to_those_that_are(db, segue):
    proxy = segue(db)
    missing = db.url().replace(f"/{db.name}", f"/{db.name}_misspelt")
    done = proxy.cli("doctor", "--upstream", missing, "--json", check=1, server=False)
    (row,) = json.loads(done.out)
    assert row["finding"] == "database away" and f'"{db.name}_misspelt" does not exist' in row["what"]
    listed = subprocess.run(["/bin/sh", "-c", row["command"]], capture_output=True, text=True, check=True, timeout=60)
    assert db.name in listed.stdout and "that lists the databases" in row["hint"]


def test_a_step_that_is_tried_again_tells_its_attempts_who_was_in_the_way_and_the_next(db, segue, obey):
    migration, _ = make_items(db, 100)
    proxy = obey.proxy = segue(db, cutover_drain_ms=50, lock_timeout_ms=50, transaction_age_max_ms=200)
    doctor, direct = Doctor(proxy, db), Doctor(proxy, db, direct=True)
    with db.connect(application_name="nightly report") as holder:
        holder.execute("BEGIN; SELECT count(*) FROM items")
        proxy.begin(migration)
        name = migration["name"]
        until("three attempts", lambda: db.one("SELECT count(*) FROM segue.attempts") > 2)
        for who in doctor, direct:
            row = who.found("attempt failed")
            assert int(re.findall("[0-9]+", row["what"])[0]) > 2
            (title,) = re.findall('^attempt [0-9]+ of "(add .*)" \\([a-z]+\\): pid', row["what"])
            assert row["weight"] == "waits" and "nightly report" in row["what"] and title in str(proxy.console("SHOW ATTEMPTS"))
            assert row["command"] == f"segue attempts {name}"
            obey(row)
        assert until("a pause", lambda: re.search("; the next begins in [0-9.]+ s$", doctor.found("attempt failed")["what"]))
        proxy.cli("pause", name)
        assert not [r for r in doctor.rows() if r["finding"] == "attempt failed"]
        proxy.cli("resume", name)
    proxy.wait_phase(name, "ready")
    doctor.well()


def test_between_two_attempts_the_last_ones_reason_and_the_next_one_are_told(db, segue, obey):
    migration, _ = make_items(db, 100)
    proxy = obey.proxy = segue(db, cutover_backoff="30s", cutover_drain_ms=50, quiet_period_s=900)
    doctor, direct = Doctor(proxy, db), Doctor(proxy, db, direct=True)
    name = proxy.ready(migration)
    with db.connect(application_name="nightly report") as holder:
        holder.execute("BEGIN; SELECT count(*) FROM items")
        proxy.console(f"CUTOVER {name}")
        row = doctor.found("attempt failed")
        assert row["weight"] == "waits" and "attempt 1 of the cut-over" in row["what"] and "nightly report" in row["what"]
        assert 0 < float(re.search(r"the next begins in ([0-9.]+) s$", row["what"])[1]) <= 30
        assert row["command"] == f"segue cutover {name} --withdraw"
        assert "nightly report" in direct.found("attempt failed")["what"]
        obey(row)
    doctor.well()
    proxy.cli("cutover", name)
    refused = proxy.cli("complete", name, check=1).err
    (held,) = [r for r in doctor.rows(name, code=0) if r["finding"] == "not to be completed yet"]
    assert re.sub("[0-9]+", "N", held["what"]) in re.sub("[0-9]+", "N", refused)
    assert held["command"] == f"segue usage {name}"
    forced = f'COMPLETE "{name}" FORCE (segue complete {name} --force) completes now'
    assert forced in refused and forced in held["hint"]
    proxy.console(forced.split(" (")[0])  # as printed
