"""Clients on a standby while migrations turn on its primary: each goes by what that standby has replayed, without an error."""

import contextlib
import threading
import time

import psycopg
import pytest
from lib.chaos import ChaosRelay
from lib.operations import new, old
from lib.rawwire import SYNC, Raw, parse, query
from lib.standby import Standby
from lib.wait import until

pytestmark = pytest.mark.newest_unless_told

FILE = {"name": "names", "operations": [{"rename_column": {"table": "orders", "from": "label", "to": "title"}},
                                        {"rename_table": {"from": "orders", "to": "sales"}}]}
SCHEMA = """
CREATE TABLE orders (id int PRIMARY KEY, label text, note text) WITH (autovacuum_enabled = off);
INSERT INTO orders SELECT i, 'l' || i, 'n' FROM generate_series(1, 200) i
"""
STAR = {"old": ["id", "label", "note"], "new": ["id", "note", "title"]}
CALLED = {"old": ("orders", "label"), "new": ("sales", "title")}


@pytest.fixture(scope="module")
def pair(clusters, pg_version):
    """A primary and a streaming standby of it, for all tests here."""
    primary = clusters.private(pg_version)
    replica = Standby(primary).start()
    yield primary, replica
    replica.crash()
    primary.crash()


@pytest.fixture
def standby(pair):
    yield pair[1]
    replay(pair[1], "resume")


@pytest.fixture
def database(pair):
    with pair[0].database() as database:
        yield database


@pytest.fixture
def through(pair, database, segue):
    """A function: a segue whose clients go to the standby."""
    database.sql(SCHEMA)
    pair[1].has_replayed()

    def start(primary=pair[0], **options):
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in (primary, pair[1]))
        return segue(upstream=f"postgresql://postgres@{hosts}/{database.name}?target_session_attrs=prefer-standby", **options).at_work()

    return start


def replay(standby, verb):
    with standby.connect() as conn, contextlib.suppress(psycopg.errors.ObjectNotInPrerequisiteState):  # it is being promoted
        conn.execute(f"SELECT pg_wal_replay_{verb}() WHERE pg_is_in_recovery()")


def columns(conn, sql, **kwargs):
    return [column.name for column in conn.execute(sql, **kwargs).description]


def reads(conn, side):
    """A client of this side sees its schema, whatever the standby has."""
    table, column = CALLED[side]
    for kwargs in ({"prepare": True}, {"prepare": False}):
        assert columns(conn, f"SELECT * FROM {table} ORDER BY id LIMIT 1", **kwargs) == STAR[side], (side, kwargs)
        assert conn.execute(f"SELECT {column} FROM {table} WHERE id = 7", **kwargs).fetchone() == ("l7",), (side, kwargs)
    with conn.transaction():
        conn.execute("SET TRANSACTION READ ONLY")
        assert columns(conn, f"SELECT * FROM {table} ORDER BY id LIMIT 1") == STAR[side]


def test_a_paused_standby_is_read_as_it_is_through_every_turn(through, standby):
    proxy = through(rules_wait_ms=100)
    sides = {"old": old(proxy), "new": new(proxy)}
    follows = proxy.connect()
    assert follows.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)

    def turn(go, before, after):
        """`before`, `after`: which sides read, and who follows."""
        replay(standby, "pause")
        go()
        with old(proxy) as later:  # who comes in between goes by the same
            if "old" in before[0]:
                reads(later, "old")
        for side in before[0]:
            reads(sides[side], side)
        if "new" not in before[0]:  # it is not filled there
            with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
                sides["new"].execute("SELECT title FROM sales")
        reads(follows, before[1])
        replay(standby, "resume")
        standby.has_replayed()
        for side in after[0]:
            reads(sides[side], side)
        reads(follows, after[1])

    both = ("old", "new")
    turn(lambda: proxy.ready(FILE), (["old"], "old"), (both, "old"))
    turn(lambda: proxy.cli("cutover", "names"), (both, "old"), (both, "new"))
    turn(lambda: proxy.cli("rollback", "names"), (both, "new"), (both, "old"))
    turn(lambda: proxy.cli("cutover", "names"), (both, "old"), (both, "new"))
    turn(lambda: proxy.cli("complete", "names", "--force"), (["new"], "new"), (["new"], "new"))
    proxy.logged("has not replayed")


def test_a_turn_whose_commit_has_no_answer_is_not_ahead_of_a_standby(through, standby, pair):
    relay = ChaosRelay(pair[0].port)
    proxy = through(relay, rules_wait_ms=100)
    proxy.ready(FILE)
    standby.has_replayed()
    with old(proxy) as before, new(proxy) as after:
        for command, word, side, phase in (("CUTOVER", b"soaking", "old", "soaking"), ("ROLLBACK", b"'ready'", "new", "ready")):
            replay(standby, "pause")
            relay.at_commit("after", word)
            proxy.console(f"{command} names")
            until("the cut", relay.fired.is_set)
            proxy.logged(f"no answer to COMMIT: it is {phase}")
            with proxy.connect() as follows:
                reads(follows, side)
                reads(before, "old")
                reads(after, "new")
                replay(standby, "resume")
                standby.has_replayed()
                proxy.wait_phase("names", phase)
                reads(follows, "new" if side == "old" else "old")
    relay.close()


@pytest.mark.newest_unless_told
def test_a_snapshot_on_a_standby_from_before_the_fill_is_waited_for_where_it_is_known(through, standby, database):
    """It has not touched the table: nothing on the standby keeps the turn from being replayed, and its rows have no new column yet."""
    def feedback(to):
        with standby.connect() as conn:
            conn.execute(f"ALTER SYSTEM SET hot_standby_feedback = {to}")
            conn.execute("ALTER SYSTEM SET wal_receiver_status_interval = 1")
            conn.execute("SELECT pg_reload_conf()")

    proxy = through()
    with standby.connect(database.name) as elder:
        feedback("on")
        try:
            elder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            assert elder.execute("SELECT count(*) FROM pg_catalog.pg_am").fetchone()[0] > 0
            until("the standby to tell", lambda: database.one("SELECT xmin FROM pg_replication_slots WHERE slot_name = 'standby'"))
            proxy.begin({"name": "wider", "operations": [
                {"alter_column": {"table": "orders", "column": "id", "type": "bigint", "up": "id", "down": "id"}}]})
            proxy.wait("wider", lambda row: row["phase"] == "verifying" and "standby standby" in (row["blockers"] or ""))
            assert elder.execute("SELECT id FROM orders WHERE id = 7").fetchone() == (7,)
            elder.execute("COMMIT")
            proxy.wait_phase("wider", "ready")
        finally:
            feedback("off")
    proxy.cli("cutover", "wider")
    standby.has_replayed()


def test_a_statement_that_the_turn_may_overtake_waits_for_the_standby(through, standby):
    """Its table has another name there soon."""
    proxy = through(rules_wait_ms=60000)
    proxy.ready(FILE)
    standby.has_replayed()
    got = []
    with old(proxy, application_name="waits") as conn, old(proxy, application_name="open") as within, old(proxy) as other:
        reads(conn, "old")
        within.execute("BEGIN")
        within.execute("SELECT 1")
        replay(standby, "pause")
        proxy.cli("cutover", "names")

        def read(who):
            got.append((who.execute("SELECT label FROM orders WHERE id = 7").fetchone(), who))

        threads = [threading.Thread(target=read, args=(who,), daemon=True) for who in (conn, within)]
        for thread in threads:
            thread.start()
        until("both to wait for the standby", lambda: {"waits", "open"} <= {
            row["application_name"] for row in proxy.console("SHOW SESSIONS") if row["waits_for"] == "standby"})
        assert other.execute("SELECT 1").fetchone() == (1,) and not got
        cancelled = []

        def is_cancelled():
            with pytest.raises(psycopg.errors.QueryCanceled):
                other.execute("SELECT label FROM orders")
            cancelled.append(True)

        threads.append(threading.Thread(target=is_cancelled, daemon=True))
        threads[-1].start()
        until("the third to be cancelled", lambda: cancelled or other.cancel(), every=0.05)
        assert [row["held_ms"] for row in proxy.console("SHOW SESSIONS") if row["state"] == "idle"] == [0]
        replay(standby, "resume")
        for thread in threads:
            thread.join(30)
        assert [row for row, _ in got] == [("l7",)] * 2
        within.execute("COMMIT")


PARTS = {"name": "parts", "operations": [{"rename_column": {"table": "parts", "from": "label", "to": "title"}},
                                         {"rename_table": {"from": "parts", "to": "pieces"}}]}
# what the transaction has done, what turns while replay is paused, and what waits then
WITHIN = {
    "another table was used": ("SELECT label FROM orders", [["cutover", "parts"]], "SELECT label FROM parts"),
    "not that alone": ("SELECT label FROM orders", [["cutover", "parts"]], "SELECT label FROM orders JOIN parts USING (id, label)"),
    "rules of other tables": ("SELECT 1", [["cutover", "parts"], ["complete", "parts", "--force"], ["cutover", "names"]], "SELECT label FROM orders"),
}


@pytest.mark.parametrize("did, turns, says", WITHIN.values(), ids=WITHIN)
def test_in_a_transaction_only_who_has_used_the_same_tables_goes_on(through, database, standby, did, turns, says):
    database.sql("CREATE TABLE parts (id int PRIMARY KEY, label text); INSERT INTO parts SELECT i, 'l' || i FROM generate_series(1, 9) i")
    proxy = through(rules_wait_ms=60000)
    proxy.ready(FILE)
    proxy.ready(PARTS)
    standby.has_replayed()
    got = []
    with old(proxy, application_name="within") as within:
        within.execute("BEGIN")
        within.execute(did)
        replay(standby, "pause")
        for turn in turns:
            proxy.cli(*turn)
        within.execute("SELECT 1")
        thread = threading.Thread(target=lambda: got.append(within.execute(f"{says} WHERE id = 7").fetchone()), daemon=True)
        thread.start()
        until("it to wait for the standby", lambda: got or waits(proxy, "within"))
        assert not got
        replay(standby, "resume")
        thread.join(30)
        assert got == [("l7",)]


def waits(proxy, name):
    return any(row["application_name"] == name and row["waits_for"] == "standby" for row in proxy.console("SHOW SESSIONS"))


def test_who_is_in_the_way_on_a_standby_is_named_by_what_segue_knows_of_it(through, standby):
    """Its number there may be another's on the primary."""
    proxy = through(cutover_attempts_max=1)
    proxy.ready(FILE)
    standby.has_replayed()
    with old(proxy, application_name="report") as conn:
        conn.execute("BEGIN")
        conn.execute("SELECT label FROM orders")
        pid = conn.execute("SELECT pg_backend_pid()").fetchone()[0]
        refused = proxy.cli("cutover", "names", check=None).err
        assert f"pid {pid} (report, user postgres, 127.0.0.1 through segue on the standby 127.0.0.1:{standby.port}, transaction, " in refused


def test_what_is_cancelled_while_it_waits_in_a_transaction_is_cancelled_in_the_server(through, standby):
    """One request is enough."""
    proxy = through(rules_wait_ms=60000)
    proxy.ready(FILE)
    standby.has_replayed()
    failed = []
    with old(proxy, application_name="within") as within:
        within.execute("BEGIN")
        within.execute("SELECT 1")
        replay(standby, "pause")
        proxy.cli("cutover", "names")

        def is_cancelled():
            with pytest.raises(psycopg.errors.QueryCanceled):
                within.execute("SELECT pg_sleep(30), label FROM orders WHERE id = 7")
            failed.append(True)

        thread = threading.Thread(target=is_cancelled, daemon=True)
        thread.start()
        until("it to wait for the standby", lambda: waits(proxy, "within"))
        within.cancel()
        until("it to wait on", lambda: waits(proxy, "within"))  # it does not while it asks the standby
        assert not failed
        replay(standby, "resume")
        thread.join(15)
        assert failed
        assert within.info.transaction_status == psycopg.pq.TransactionStatus.INERROR


def test_what_waits_with_a_process_of_before_is_cancelled_through_the_chain_of_takeovers(through, standby, segue):
    """Outside of a transaction it never runs; inside it is cancelled in the server, by one request."""
    first = through(rules_wait_ms=60000)
    first.ready(FILE)
    standby.has_replayed()
    outcomes = {}

    def asks(conn, name, sql):
        try:
            outcomes[name] = conn.execute(sql).fetchall()
        except psycopg.Error as error:
            outcomes[name] = error.sqlstate

    with contextlib.closing(old(first, application_name="alone")) as alone, contextlib.closing(old(first, application_name="within")) as within:
        within.execute("BEGIN")
        within.execute("SELECT 1")
        replay(standby, "pause")
        first.cli("cutover", "names")
        threads = [threading.Thread(target=asks, args=(conn, name, "SELECT pg_sleep(30), label FROM orders WHERE id = 7"), daemon=True)
                   for name, conn in (("alone", alone), ("within", within))]
        for thread in threads:
            thread.start()
        until("both to wait", lambda: waits(first, "alone") and waits(first, "within"))
        chain = [first]
        for _ in range(2):
            chain.append(segue(upstream=first.upstream, start=False, arguments=["--takeover"], **first.options))
            chain[-1].port = first.port
            chain[-1].start()
        alone.cancel()
        until("it to be answered", lambda: "alone" in outcomes)
        within.cancel()
        assert outcomes == {"alone": "57014"}
        replay(standby, "resume")
        for thread in threads:
            thread.join(15)
        assert outcomes == {"alone": "57014", "within": "57014"}
        assert within.info.transaction_status == psycopg.pq.TransactionStatus.INERROR
        assert alone.execute("SELECT 1").fetchone() == (1,)


BEHIND_A_MESSAGE = {
    "that fails": [parse("no statement"), query("SELECT 1")],
    "that fails, and more than are counted": [parse("no statement")] + [query("SELECT 1")] * 12,
}


@pytest.mark.parametrize("first", BEHIND_A_MESSAGE.values(), ids=BEHIND_A_MESSAGE)
@pytest.mark.parametrize("syncs", [False, True])
def test_what_the_server_skips_is_not_waited_for(through, database, standby, first, syncs):
    """Up to the Sync, which the client sends behind what would wait."""
    proxy = through(rules_wait_ms=60000)
    proxy.ready(FILE)
    standby.has_replayed()
    replay(standby, "pause")
    proxy.cli("cutover", "names")
    with Raw(proxy.port).login(database.name, options="-c segue.schema=old") as client:
        client.send(*first, *[SYNC] * syncs, query("SELECT label FROM orders"), SYNC)
        assert client.until_ready() == "EZI"
        if syncs and len(first) == 2:
            replay(standby, "resume")
        if syncs:  # with so many nobody knows what is under way, and nothing is held
            assert client.until_ready().endswith("CZI")


def test_a_turn_that_is_late_is_waited_for_once(through, standby):
    """Not by every client that comes while the standby has not replayed it."""
    proxy = through(rules_wait_ms=3000)
    proxy.ready(FILE)
    standby.has_replayed()
    replay(standby, "pause")
    proxy.cli("cutover", "names")
    began = time.monotonic()
    for _ in range(4):
        with old(proxy) as conn:
            assert conn.execute("SELECT label FROM orders WHERE id = 7").fetchone() == ("l7",)
    assert time.monotonic() - began < 6


class Reader(threading.Thread):
    """Reads by the names of one side, as fast as it can; keeps the first error."""

    def __init__(self, proxy, side, prepare):
        super().__init__(daemon=True)
        self.conn = (old if side == "old" else new)(proxy)
        self.side, self.prepare = side, prepare
        self.rounds, self.error, self.ends = 0, None, threading.Event()
        self.start()

    def run(self):
        try:
            while not self.ends.is_set():
                self.round()
                self.rounds += 1
        except (psycopg.Error, AssertionError) as error:
            self.error = error

    def round(self):
        table, column = CALLED[self.side]
        reads(self.conn, self.side)
        with self.conn.transaction():
            self.conn.execute("SELECT 1", prepare=self.prepare)
            self.conn.execute(f"SELECT {column} FROM {table} WHERE id = 7", prepare=self.prepare)
        with self.conn.pipeline():
            for _ in range(3):
                self.conn.execute(f"SELECT {column}, * FROM {table} WHERE id = 7", prepare=self.prepare)


def flows(readers, more=3):
    seen = [reader.rounds for reader in readers]
    until("rounds of every reader", lambda: any(r.error for r in readers) or all(r.rounds > n + more for r, n in zip(readers, seen)))
    assert [repr(r.error) for r in readers if r.error] == []


def test_turns_to_and_fro_are_not_noticed_on_a_standby_that_is_late(through, standby):
    proxy = through()
    with standby.connect() as conn:
        conn.execute("ALTER SYSTEM SET recovery_min_apply_delay = 100")
        conn.execute("SELECT pg_reload_conf()")
    readers = [Reader(proxy, "old", prepare) for prepare in (True, False)]
    flows(readers)
    proxy.ready(FILE)
    standby.has_replayed()
    readers += [Reader(proxy, "new", prepare) for prepare in (True, False)]
    for verb in ("cutover", "rollback", "cutover"):
        flows(readers)
        proxy.cli(verb, "names")
    flows(readers)
    for reader in readers[:2]:
        reader.ends.set()
        reader.join(20)
    proxy.cli("complete", "names", "--force")
    flows(readers[2:])
    for reader in readers:
        reader.ends.set()
        reader.join(20)
        assert not reader.is_alive() and reader.error is None, repr(reader.error)
    assert "has not replayed" not in proxy.log_text()


def test_who_was_started_since_the_turn_waits_for_it_and_a_standby_that_is_promoted_has_it_all(through, standby):
    """The last test here: there is no standby any more."""
    proxy = through(rules_wait_ms=60000)
    proxy.soaking(FILE)
    standby.has_replayed()
    replay(standby, "pause")
    proxy.cli("rollback", "names")
    proxy.restart()
    got = []
    with new(proxy, application_name="waits") as conn:
        thread = threading.Thread(target=lambda: got.append(columns(conn, "SELECT * FROM sales")), daemon=True)
        thread.start()
        until("it to wait for the standby", lambda: any(
            row["application_name"] == "waits" and row["waits_for"] == "standby" for row in proxy.console("SHOW SESSIONS")))
        with standby.connect() as direct:
            direct.execute("SELECT pg_promote(false)")
        thread.join(30)
        assert got == [STAR["new"]]
