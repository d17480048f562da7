"""Who uses which names: counted by client, kept over restarts, asked before complete."""

import json
import struct
import threading
from contextlib import contextmanager
from datetime import datetime, timedelta

import psycopg
import pytest
from lib import store
from lib.operations import connected
from lib.rawwire import Raw, message, parse, query, startup
from lib.tables import RENAME, make_items
from lib.takeover import ended, successor  # noqa: F401 (a fixture)
from lib.wait import until

pytestmark = pytest.mark.newest_unless_told

NAME = RENAME["name"]


@pytest.fixture(autouse=True)
def nobody_beside(db):
    """A session that the test keeps would be seen as one past segue."""
    db.keeps = False


def usage(proxy, **wanted):
    """Rows of SHOW USAGE of the migration that have these values, the latest first."""
    return [row for row in proxy.console(f"SHOW USAGE {NAME}") if all(row[k] == v for k, v in wanted.items())]


def seen(proxy, **wanted):
    """The one row that has these values, as soon as it is there."""
    until(f"usage {wanted}", lambda: usage(proxy, **wanted))
    rows = usage(proxy, **wanted)
    assert len(rows) == 1, rows
    return rows[0]


def stored(db, **wanted):
    """What segue.usage has counted of rows with these values."""
    where = " AND ".join(f"{column} = %s" for column in wanted) or "true"
    return db.one(f"SELECT sum(count)::int FROM segue.usage WHERE {where}", *wanted.values())


def moment(text):
    return datetime.fromisoformat(text)


@contextmanager
def busy(conn, statement="SELECT 1"):
    """The connection says the same, again and again, until the block ends."""
    stop = threading.Event()

    def work():
        while not stop.wait(0.1):
            conn.execute(statement)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def use(proxy, statement, times=1, **options):
    with proxy.connect(**options) as conn:
        for _ in range(times):
            conn.execute(statement)


def test_each_client_is_counted_for_what_it_uses(db, segue):
    make_items(db, 10)
    db.sql("GRANT ALL ON items TO app")
    proxy = segue(db)
    proxy.ready(RENAME)
    use(proxy, "SELECT label FROM items", 3, application_name="web")
    use(proxy, "UPDATE items SET label = 'x' WHERE id = 1", 2, application_name="web", user="app")
    use(proxy, "SELECT title FROM items", 1, application_name="web")
    with proxy.connect(application_name="other") as conn:
        for _ in range(9):
            conn.execute("SELECT note FROM items")
        conn.execute("SET application_name = 'jobs'")  # whoever has heard of this has heard of the other
        conn.execute("SELECT label FROM items")
    row = seen(proxy, user="postgres", application_name="web", what="old names", count=3)
    assert row["table"] == "public.items" and row["address"] == "127.0.0.1"
    assert row["last_statement"] == "SELECT label FROM items" and row["why"] is None
    assert row["first"] <= row["last"]
    seen(proxy, user="app", application_name="web", what="old names", count=2)
    seen(proxy, user="postgres", application_name="web", what="new names", count=1)
    seen(proxy, user="postgres", application_name="jobs", what="old names", count=1)
    assert not usage(proxy, application_name="other", what="old names")
    assert usage(proxy, what="old names")[0]["application_name"] == "jobs"  # the latest first


USES = [
    ("star", "SELECT * FROM items", "stars", None),
    ("star of an alias", "SELECT i.* FROM items i JOIN items j USING (id)", "stars", None),
    ("returned star", "UPDATE items SET note = 'n' WHERE id = 1 RETURNING *", "stars", None),
    ("whole row", "SELECT row_to_json(items) FROM items", "stars", None),
    ("copy", "COPY items TO STDOUT", "stars", None),
    ("like", "CREATE TEMP TABLE taken (LIKE items INCLUDING DEFAULTS)", "stars", None),
    ("positional", "INSERT INTO items VALUES (1001, 'x')", "positional", None),
    ("not parsed", "SELECT label FROM items WHERE", "not analysed", "not understood by the parser"),
    ("turned off", "/* segue:off */ SELECT label FROM items", "not analysed", "rewriting is turned off"),
]


def test_stars_positional_inserts_and_what_is_not_analysed_are_counted(db, segue):
    make_items(db, 10)
    proxy = segue(db)
    proxy.ready(RENAME)
    for name, statement, _, _ in USES:
        with proxy.connect(application_name=name) as conn:
            try:
                with conn.cursor() as cur:
                    if statement.startswith("COPY"):
                        with cur.copy(statement) as copy:
                            list(copy)
                    else:
                        cur.execute(statement)
            except psycopg.errors.SyntaxError:
                assert name == "not parsed"
    for name, statement, what, why in USES:
        row = seen(proxy, application_name=name, what=what)
        assert (row["count"], row["last_statement"], row["why"]) == (1, statement, why), name
    for name in ("star", "copy", "positional"):  # they name no column of either side
        assert [row["what"] for row in usage(proxy, application_name=name)] == [dict(
            (n, w) for n, _, w, _ in USES)[name]], name


@pytest.mark.one_version
@pytest.mark.parametrize("simple", [True, False])
def test_a_statement_that_is_too_long_is_counted_with_its_beginning(db, segue, simple):
    make_items(db, 10)
    proxy = segue(db, inspect_bytes_max=4096)
    proxy.ready(RENAME)
    text = "SELECT label FROM items WHERE note = '" + "x" * 100_000 + "'"
    with proxy.connect(application_name="long") as conn:
        conn.execute(text + ("" if simple else " OR id = %s"), None if simple else (1,))
    row = seen(proxy, application_name="long", what="not analysed")
    assert row["why"] == "longer than what is looked at" and row["count"] == 1
    assert row["last_statement"] == text[:256]


@pytest.mark.one_version
def test_an_execute_uses_what_was_prepared(db, segue):
    make_items(db, 10)
    proxy = segue(db, quiet_period_s=900)
    proxy.soaking(RENAME)
    with proxy.connect(application_name="web") as conn:
        conn.execute("PREPARE p AS SELECT label FROM items")
        conn.execute("PREPARE q AS SELECT note FROM items")
        assert ": PREPARE p AS SELECT" in proxy.cli("complete", NAME, check=1).err
        conn.execute("EXECUTE p")
        assert ": EXECUTE p" in proxy.cli("complete", NAME, check=1).err
    with proxy.connect(application_name="other") as conn:
        conn.execute("PREPARE q AS SELECT note FROM items")
        conn.execute("EXECUTE q")
        conn.execute("SET application_name = 'last'")
        conn.execute("SELECT label FROM items")
    seen(proxy, application_name="web", what="old names", count=2)
    seen(proxy, application_name="last", what="old names")
    assert not usage(proxy, application_name="other", what="old names")


@pytest.mark.one_version
def test_values_of_parameters_are_never_kept(db, segue):
    make_items(db, 10)
    proxy = segue(db)
    proxy.ready(RENAME)
    with proxy.connect(application_name="web") as conn:
        for _ in range(3):
            conn.execute("UPDATE items SET label = %s WHERE id = 1", ("a secret",), prepare=True)
    row = seen(proxy, application_name="web", what="old names", count=3)
    assert row["last_statement"] == "UPDATE items SET label = $1 WHERE id = 1"


@pytest.mark.one_version
def test_a_prepared_statement_counts_each_time_it_is_bound(db, segue):
    make_items(db, 10)
    proxy = segue(db)
    proxy.ready(RENAME)
    with proxy.connect(application_name="named") as named, proxy.connect(application_name="unnamed") as unnamed, \
            proxy.connect(application_name="parsed") as parsed:
        parsed.pgconn.prepare(b"s", b"SELECT label FROM items WHERE id = $1")
        named.pgconn.prepare(b"s", b"SELECT label FROM items WHERE id = $1")
        for _ in range(4):
            assert named.pgconn.describe_prepared(b"s").nparams == 1
        for _ in range(3):
            assert named.pgconn.exec_prepared(b"s", [b"1"]).get_value(0, 0) == b"row 1"
        for _ in range(5):
            unnamed.pgconn.exec_params(b"SELECT label FROM items WHERE id = $1", [b"1"])
    seen(proxy, application_name="named", what="old names", count=3)
    seen(proxy, application_name="unnamed", what="old names", count=5)
    row = seen(proxy, application_name="parsed", what="old names")
    assert row["count"] == 0 and row["last_statement"] == "SELECT label FROM items WHERE id = $1"


@pytest.mark.one_version
def test_an_application_that_changes_its_name_is_counted_under_each(db, segue):
    make_items(db, 10)
    proxy = segue(db)
    proxy.ready(RENAME)
    with proxy.connect(application_name="before") as conn:
        conn.execute("SELECT label FROM items")
        conn.execute("SET application_name = 'after'")
        conn.execute("SELECT label FROM items")
    assert seen(proxy, application_name="before", what="old names")["count"] == 1
    assert seen(proxy, application_name="after", what="old names")["count"] == 1


def test_what_was_counted_survives_a_kill_and_goes_on(db, segue):
    make_items(db, 10)
    proxy = segue(db, quiet_period_s=900)
    proxy.soaking(RENAME)
    # stored moments come back as precise as an answer is fast
    until("the cut-over to be a while ago", lambda: db.one("SELECT clock_timestamp() - cutover_at > '1 s' FROM segue.migrations"), every=0.1)
    use(proxy, "SELECT label FROM items", 3, application_name="web")
    until("segue.usage to be written", lambda: stored(db, what="old names", application_name="web") == 3)
    before = seen(proxy, application_name="web", what="old names", count=3)
    proxy.restart()
    connected(proxy)
    after = seen(proxy, application_name="web", what="old names", count=3)
    for when in ("first", "last"):
        assert abs(moment(after[when]) - moment(before[when])) < timedelta(seconds=1)
    refused = proxy.cli("complete", NAME, check=1).err
    assert "application web" in refused and "SELECT label FROM items" in refused
    use(proxy, "SELECT label FROM items", 2, application_name="web")
    until("both to be added up", lambda: stored(db, what="old names", application_name="web") == 5)
    seen(proxy, application_name="web", what="old names", count=5)


@pytest.mark.one_version
def test_a_clean_end_writes_what_is_not_written_yet(db, segue):
    make_items(db, 10)
    proxy = segue(db)
    proxy.ready(RENAME)
    use(proxy, "SELECT title FROM items", 4, application_name="web")
    proxy.stop()
    assert stored(db, what="new names", application_name="web") == 4
    proxy.start()
    assert seen(proxy, application_name="web", what="new names")["count"] == 4


@pytest.mark.one_version
def test_a_takeover_goes_on_counting(db, segue, successor):  # noqa: F811
    make_items(db, 10)
    old = segue(db)
    old.ready(RENAME)
    use(old, "SELECT label FROM items", 2, application_name="web")
    new = successor(old)
    assert ended(old) == 0
    connected(new)
    use(new, "SELECT label FROM items", 3, application_name="web")
    seen(new, application_name="web", what="old names", count=5)


# ---- complete ----


def test_complete_names_five_clients_and_counts_the_rest(db, segue):
    make_items(db, 10)
    proxy = segue(db, quiet_period_s=900)
    proxy.soaking(RENAME)
    for i in range(8):
        use(proxy, f"SELECT label FROM items WHERE id = {i}{' ;'[i % 2:]}", application_name=f"app {i}")
    refused = proxy.cli("complete", NAME, check=1).err
    for i in (3, 4, 5, 6, 7):
        assert f"s ago by user postgres, application app {i}, from 127.0.0.1: SELECT label FROM items WHERE id = {i}" in refused
    assert "app 2" not in refused and "and 3 more" in refused and f'COMPLETE "{NAME}" FORCE (segue complete {NAME} --force) completes now' in refused
    assert refused.count(";") == 6  # five of the list, one of the hint
    assert refused.index("app 7") < refused.index("app 3")
    assert proxy.phase(NAME) == "soaking"
    proxy.cli("complete", NAME, "--force")
    assert proxy.phase(NAME) == "done"


@pytest.mark.one_version
def test_what_was_used_before_the_cutover_or_as_new_name_does_not_refuse(db, segue):
    make_items(db, 10)
    proxy = segue(db, quiet_period_s=900)
    proxy.ready(RENAME)
    use(proxy, "SELECT label FROM items", application_name="before")
    seen(proxy, application_name="before", what="old names")
    proxy.cli("cutover", NAME)
    use(proxy, "SELECT title FROM items", application_name="after")
    refused = proxy.cli("complete", NAME, check=1).err
    assert "cut-over was only" in refused
    assert proxy.status(NAME)["old_names_last_s"] is None
    proxy.restart()
    connected(proxy)
    assert "cut-over was only" in proxy.cli("complete", NAME, check=1).err
    assert seen(proxy, application_name="before", what="old names")["count"] == 1  # but it is not forgotten


@pytest.mark.one_version
@pytest.mark.parametrize("statement", ["SELECT * FROM items WHERE id = 1", "INSERT INTO items VALUES (1001, 'row')", "EXECUTE prepared"])
def test_who_says_that_it_is_old_uses_old_names_without_a_word_of_them(db, segue, statement):
    """From complete on its stars would show other columns, and its values would go to them."""
    make_items(db, 10)
    proxy = segue(db, quiet_period_s=900)
    proxy.soaking(RENAME)
    for name, options in (("follows", None), ("old", "-c segue.schema=old")):
        with proxy.connect(application_name=name, options=options) as conn:
            conn.execute("PREPARE prepared AS SELECT * FROM items WHERE id = 2")
            conn.execute(statement if name == "old" or "1001" not in statement else "INSERT INTO items VALUES (1002, 'note')")
    assert seen(proxy, application_name="old", what="old names")["last_statement"] == statement
    assert not usage(proxy, application_name="follows", what="old names")
    refused = proxy.cli("complete", NAME, check=1).err
    assert "application old" in refused and "application follows" not in refused


@pytest.mark.one_version
def test_what_an_older_segue_has_stored_of_old_names_still_refuses(db, segue):
    make_items(db, 10)
    proxy = segue(db, quiet_period_s=900)
    proxy.soaking(RENAME)
    proxy.stop()
    newest = store.newest(db)
    store.take_back_to(db, 1)
    db.sql("UPDATE segue.migrations SET old_seen_at = clock_timestamp(), old_seen_by = 'user bob, application cron'")
    proxy.start()
    connected(proxy)
    refused = proxy.cli("complete", NAME, check=1).err
    assert "old names are still in use" in refused and "user bob, application cron" in refused
    assert store.newest(db) == newest
    proxy.cli("complete", NAME, "--force")


# ---- connections past segue ----


def test_connections_past_segue_are_named(db, segue):
    make_items(db, 10)
    proxy = segue(db, quiet_period_s=3)
    proxy.soaking(RENAME)
    with proxy.connect(application_name="through") as through, db.connect(application_name="past") as past:
        pid = past.info.backend_pid
        with busy(past):
            def both():
                through.execute("SELECT label FROM items")
                said = proxy.cli("complete", NAME, check=1).err
                return "application through" in said and "1 connection bypasses segue, too (SHOW USAGE)" in said

            def refused():
                through.execute("SELECT 1")
                said = proxy.cli("complete", NAME, check=1).err
                return said if "it cannot tell" in said else None

            until("both to be the reason", both)
            text = until("nothing else to be the reason", refused)
        assert f"1 connection bypasses segue, it cannot tell whether that one uses old names: pid {pid} (past, user postgres, 127.0.0.1" in text

        def row():
            return [r for r in proxy.console("SHOW USAGE") if r["what"] == "bypasses segue"]

        until("SHOW USAGE to name it", row, 30)
        assert [(r["user"], r["application_name"], r["address"]) for r in row()] == [("postgres", "past", "127.0.0.1")]
        assert row()[0]["why"].startswith(f"pid {pid}, ") and row()[0]["first"] <= row()[0]["last"]
        proxy.cli("complete", NAME, "--force")


@pytest.mark.one_version
def test_connections_of_segue_itself_do_not_bypass_it(db, segue):
    make_items(db, 10)
    proxy = segue(db, quiet_period_s=1)
    proxy.soaking(RENAME)
    until("the cut-over to be long enough ago", lambda: "cut-over was only" not in proxy.cli("doctor").out)
    assert "bypass" not in proxy.cli("doctor").out
    with db.connect(application_name="segue doctor") as ours, busy(ours):
        assert "bypass" not in proxy.cli("doctor").out
        with db.connect("app", application_name="segue doctor") as named, busy(named):
            refused = proxy.cli("complete", NAME, check=1).err
            assert f"1 connection bypasses segue, it cannot tell whether that one uses old names: pid {named.info.backend_pid} " in refused
            with db.connect(application_name="another") as another, busy(another):
                assert "2 connections bypass segue, it cannot tell whether they use old names: pid " in proxy.cli("complete", NAME, check=1).err
        until("those to be gone", lambda: "bypass" not in proxy.cli("doctor").out)
        proxy.cli("complete", NAME)


def test_connections_that_the_role_may_not_see_count_and_it_says_so(db, segue):
    db.sql("DROP ROLE IF EXISTS limited; CREATE ROLE limited LOGIN")
    db.sql(f"GRANT CREATE ON DATABASE {db.name} TO limited; GRANT ALL ON SCHEMA public TO limited")
    make_items(db, 10)
    db.sql("ALTER TABLE items OWNER TO limited")
    proxy = segue(upstream=db.url("limited"), quiet_period_s=1)
    proxy.soaking(RENAME)
    with db.connect("app", application_name="hidden one") as past, db.connect(application_name="superuser's"):
        pid = past.info.backend_pid

        def refused():
            done = proxy.cli("complete", NAME, check=None)
            assert done.code == 1, done.out
            return done.err if "bypass" in done.err else None

        text = until("nothing else to be the reason", refused)
        assert f"1 connection bypasses segue, it cannot tell whether that one uses old names: pid {pid} (hidden one, user app, ?, hidden)" in text
        assert "pg_read_all_stats" in text and "superuser's" not in text
        db.sql("GRANT pg_read_all_stats TO limited")  # now it sees that this one is idle
        until("an idle one not to count", lambda: proxy.cli("complete", NAME, check=None).code == 0)
    proxy.stop()
    db.sql("DROP OWNED BY limited CASCADE; DROP ROLE limited")


# ---- what must not stop it ----


@pytest.mark.one_version
def test_names_beyond_the_limit_are_forgotten_but_not_what_they_did(db, segue):
    make_items(db, 10)
    proxy = segue(db, usage_entries_max=16, workers=1, quiet_period_s=900)
    proxy.soaking(RENAME)
    with proxy.connect(prepare_threshold=None) as conn:
        for wave in (range(100), range(100, 300)):  # what is written must go, too
            for i in wave:
                conn.execute(f"SET application_name = 'app {i}'")
                conn.execute("SELECT label FROM items")
            until("all to be written", lambda: stored(db) == wave.stop)  # noqa: B023
            assert db.one("SELECT count(*) FROM segue.usage") == 17
            assert db.sql("SELECT application_name, count FROM segue.usage WHERE user_name = ''") == [("", wave.stop - 16)]
    until("all to be shown", lambda: sum(row["count"] for row in usage(proxy)) == 300)
    rows = usage(proxy)
    assert len(rows) == 17 and {row["application_name"] for row in rows} >= {"app 284", "app 299"}
    assert seen(proxy, user=None)["why"] == "clients past usage_entries_max"
    assert {row["stat"]: row["value"] for row in proxy.console("SHOW STATS")}["usage_gone"] > 0
    refused = proxy.cli("complete", NAME, check=1).err
    assert "application app 29" in refused and "and 12 more" in refused
    proxy.restart()
    until("all to be read", lambda: sum(row["count"] for row in usage(proxy)) == 300)


@pytest.mark.one_version
def test_names_and_statements_in_any_encoding_are_counted(db, segue):
    make_items(db, 10)
    proxy = segue(db, quiet_period_s=900)
    proxy.soaking(RENAME)
    with proxy.connect(client_encoding="latin1", application_name="größe") as conn:
        conn.execute("SELECT label FROM items WHERE note = 'größe'")
    for pad in range(3):  # one of them is cut inside a character
        use(proxy, "SELECT label FROM items WHERE note = '" + "x" * pad + "€" * 300 + "'", application_name=f"pad {pad}")
    for pad in range(3):
        assert "€" in seen(proxy, application_name=f"pad {pad}", what="old names")["last_statement"]
    until("all to be written", lambda: stored(db, what="old names") == 4)
    row = seen(proxy, what="not analysed")  # the parser takes UTF-8; the names were found all the same
    assert row["last_statement"] == "SELECT label FROM items WHERE note = 'gr??e'" and row["why"] == "not understood by the parser"
    refused = proxy.cli("complete", NAME, check=1).err
    assert refused.count("€...") == 3
    assert "?" not in refused.replace("gr??e", "").replace("gr????e", "")  # the latter is what 15 makes of an application's name
    assert proxy.status(NAME)["error"] is None


@pytest.mark.one_version
def test_a_database_in_another_encoding_keeps_what_it_can(db, segue):
    name = f"{db.name}_latin1"
    with db.cluster.connect() as conn:
        conn.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    try:
        with db.cluster.connect(name) as conn:
            conn.execute("CREATE TABLE items (id bigint PRIMARY KEY, label text, note text)")
        proxy = segue(upstream=db.cluster.url(name))
        proxy.soaking(RENAME)
        with proxy.connect(client_encoding="utf8", application_name="web") as conn:
            conn.execute("SELECT label FROM items WHERE note = 'ü'")
            with pytest.raises(psycopg.Error):
                conn.execute("SELECT label FROM items WHERE note = '€'")

        def written():
            with db.cluster.connect(name, client_encoding="utf8") as conn:
                return conn.execute("SELECT statement FROM segue.usage WHERE application_name = 'web' AND count = 2").fetchone()

        (statement,) = until("both to be written", written)
        assert statement.startswith("SELECT label FROM items WHERE note = '?")
        proxy.stop()
    finally:
        with db.cluster.connect() as conn:
            conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.mark.one_version
def test_a_failing_write_is_said_once_and_stops_nothing(db, segue):
    make_items(db, 10)
    proxy = segue(db, quiet_period_s=900)
    proxy.soaking(RENAME)
    db.sql("ALTER TABLE segue.usage ADD CONSTRAINT never CHECK (count < 0)")
    with proxy.connect(application_name="web") as conn:
        conn.execute("SELECT label FROM items")
        until("it to be shown all the same", lambda: usage(proxy, application_name="web"))
        proxy.logged("segue.usage cannot be written")
        conn.execute("SELECT label FROM items")
        seen(proxy, application_name="web", what="old names", count=2)
        assert "application web" in proxy.cli("complete", NAME, check=1).err
        assert proxy.log_text().count("segue.usage cannot be written") == 1
        assert "SELECT label" not in proxy.log_text()
        db.sql("ALTER TABLE segue.usage DROP CONSTRAINT never")
        conn.execute("SELECT label FROM items")
        until("nothing to be lost", lambda: stored(db, application_name="web") == 3)
    proxy.cli("complete", NAME, "--force")


@pytest.mark.one_version
def test_a_lock_on_the_table_holds_neither_clients_nor_the_engine(db, segue):
    make_items(db, 10)
    proxy = segue(db)
    proxy.soaking(RENAME)
    with db.connect(autocommit=False) as locker:
        locker.execute("LOCK TABLE segue.usage IN ACCESS EXCLUSIVE MODE")
        use(proxy, "SELECT label FROM items", 2, application_name="web")
        proxy.logged("segue.usage cannot be written")
        proxy.cli("rollback", NAME)
        proxy.cli("cutover", NAME)
        locker.rollback()
    use(proxy, "SELECT label FROM items", 1, application_name="web")
    until("nothing to be lost", lambda: stored(db, application_name="web", what="old names") == 3)


@pytest.mark.one_version
def test_two_migrations_do_not_mix_when_one_ends(db, segue):
    make_items(db, 10)
    db.sql("CREATE TABLE orders (id bigint PRIMARY KEY, label text)")
    other = {"name": "other", "operations": [{"rename_column": {"table": "orders", "from": "label", "to": "title"}}]}
    proxy = segue(db)
    proxy.ready(RENAME)
    proxy.ready(other)
    use(proxy, "SELECT label FROM items", 2, application_name="web")
    use(proxy, "SELECT label FROM orders", 5, application_name="web")
    proxy.cli("abort", NAME)
    use(proxy, "SELECT label FROM orders", 1, application_name="web")
    until("six", lambda: [row["count"] for row in proxy.console("SHOW USAGE other")] == [6])
    assert proxy.console(f"SHOW USAGE {NAME}") == []
    proxy.stop()
    assert stored(db, table_name="public.items") == 2 and stored(db, table_name="public.orders") == 6


@pytest.mark.one_version
def test_the_command_shows_the_same(db, segue):
    make_items(db, 10)
    proxy = segue(db)
    proxy.ready(RENAME)
    use(proxy, "SELECT label FROM items", 1, application_name="web")
    seen(proxy, application_name="web", what="old names")
    rows = json.loads(proxy.cli("usage", NAME, "--json").out)
    assert [(row["application_name"], row["what"], row["count"]) for row in rows] == [("web", "old names", 1)]
    assert "public.items" in proxy.cli("usage").out


STRANGERS = {
    "before it is asked": ("scram_user", lambda raw, said: raw.send(said)),
    "in place of a proof": ("md5_user", lambda raw, said: raw.read() and raw.send(said)),
    "behind a wrong proof": ("scram_user", lambda raw, said: raw.read() and raw.send(
        message("p", b"SCRAM-SHA-256\0" + struct.pack("!I", 12) + b"n,,n=,r=xxxx"), said)),
    "behind a wrong password": ("md5_user", lambda raw, said: raw.read() and raw.send(message("p", b"md5\0"), said)),
}


@pytest.mark.parametrize("said", [query("SELECT label FROM items"), parse("SELECT label FROM items", "kept")], ids=["query", "parse"])
@pytest.mark.parametrize("when", STRANGERS)
def test_statements_of_who_has_not_logged_in_are_not_looked_at(db, segue, when, said):
    """Anybody could keep an old schema in use, or make segue parse what the server would never read."""
    make_items(db, 5)
    proxy = segue(db, failed_login_delay_ms=0, login_timeout_ms=2000)
    proxy.soaking(RENAME)
    def inspected():
        with proxy.connect("segue") as conn:
            return dict(row[:2] for row in conn.execute("SHOW STATS"))["inspected"]
    before = inspected()
    name, say = STRANGERS[when]
    with Raw(proxy.port) as raw:
        raw.send(startup(user=name, database=db.name, application_name="stranger"))
        say(raw, said)
        assert raw.error()["C"] in ("28P01", "08P01", "57014")
    assert usage(proxy, user=name) == []
    assert inspected() == before
