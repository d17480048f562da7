"""Tables change their names, and whether they have is not known for longer than the gate may hold: no client says a wrong name."""

import threading

import pytest
from lib.chaos import ChaosRelay
from lib.frozen import freeze
from lib.wait import until

pytestmark = pytest.mark.one_version
QUICK = {"cutover_drain_ms": 200, "gate_hold_max_ms": 500, "workers": 1}
NAMES = {"name": "names", "operations": [{"rename_table": {"from": "items", "to": "things"}}]}
TABLES = ("CREATE TABLE items (id int PRIMARY KEY, note text); INSERT INTO items SELECT i, 'n' || i FROM generate_series(1, 9) i;"
          "CREATE TABLE others (id int); INSERT INTO others VALUES (7)")
SLOW_COMMIT = """
CREATE FUNCTION lasts() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
    LOOP PERFORM pg_sleep(0.1); EXIT WHEN pg_try_advisory_xact_lock_shared(1); END LOOP; RETURN NULL; END$$;
CREATE CONSTRAINT TRIGGER lasts AFTER UPDATE ON segue.migrations DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.phase <> OLD.phase AND NEW.phase IN ('soaking', 'ready')) EXECUTE FUNCTION lasts();"""
COMMITS = ("SELECT 1 FROM pg_stat_activity WHERE application_name = 'segue' AND datname = current_database() AND "
           "query = 'COMMIT' AND wait_event = 'PgSleep'")


KEYS = {"name": "names", "operations": [{"rename_column": {"table": "items", "from": "id", "to": "ident"}}]}
TABLES_TURN = [("SELECT note FROM items WHERE id = 3", None), ("SELECT note FROM things WHERE id = 3", None),
               ("SELECT note FROM items WHERE id = %s", (3,)), ("SELECT note FROM things WHERE id = %s", (3,)),
               ("UPDATE items SET note = note WHERE id = 3 RETURNING note; COMMIT", None)]
BY_KEY = "INSERT INTO items ({0}, note) VALUES ({1}, 'n3') ON CONFLICT ({0}) DO UPDATE SET note = items.note RETURNING note"
KEY_TURNS = [("SELECT note FROM items WHERE id = 3 GROUP BY id", None), (BY_KEY.format("ident", 3), None),
             (BY_KEY.format("id", "%s"), (3,)), ("SELECT note FROM items WHERE ident = %s GROUP BY ident", (3,)),
             (BY_KEY.format("ident", 3) + "; COMMIT", None)]


class Clients:
    """By both names, by both protocols, alone and in a transaction that was open before."""

    def __init__(self, proxy, statements=TABLES_TURN):
        self.said, self.errors, self.threads, self.statements = [], [], [], statements
        self.conns = [proxy.connect(prepare_threshold=None) for _ in range(5)]
        self.conns[4].execute("BEGIN; SELECT 1")

    def start(self):
        for conn, (text, values) in zip(self.conns, self.statements):
            self.threads.append(threading.Thread(target=self.run, args=(conn, text, values), daemon=True))
            self.threads[-1].start()

    def run(self, conn, text, values):
        try:
            self.said.append(conn.execute(text, values).fetchone())
        except Exception as error:  # pylint: disable=broad-except
            self.errors.append(error)

    def all_have_it(self):
        for thread in self.threads:
            thread.join(20)
        assert not self.errors and self.said == [("n3",)] * 5, (self.errors, self.said)


def past_the_deadline(proxy, times):
    until("the hard deadline", lambda: proxy.log_text().count("past its deadline") == times)


@pytest.mark.parametrize("migration,statements", [(NAMES, TABLES_TURN), (KEYS, KEY_TURNS)], ids=["tables", "keys"])
def test_a_server_that_freezes_in_the_commit_is_waited_for(private_pg, private_db, segue, migration, statements):
    db = private_db
    db.sql(TABLES)
    proxy = segue(db, **QUICK)
    proxy.ready(migration)
    db.sql(SLOW_COMMIT)
    for times, (command, goal) in enumerate((("CUTOVER", "soaking"), ("ROLLBACK", "ready")), 1):
        clients = Clients(proxy, statements)
        with db.connect() as holds:
            holds.execute("SELECT pg_advisory_lock(1)")
            proxy.console(f"{command} names")
            until("the COMMIT", lambda: db.sql(COMMITS))
            freeze(private_pg.process)
            try:
                clients.start()
                past_the_deadline(proxy, times)
            finally:
                freeze(private_pg.process, False)
        clients.all_have_it()
        proxy.wait_phase("names", goal)


def test_a_server_that_cannot_be_asked_what_has_become_of_it_is_waited_for(db, pg, segue):
    db.sql(TABLES)
    relay = ChaosRelay(pg.port)
    proxy = segue(upstream=relay.url(db.name), **QUICK)
    proxy.ready(NAMES)
    clients, other = Clients(proxy), proxy.connect()
    relay.at_commit("after")
    relay.refuse(True)
    proxy.console("CUTOVER names")
    until("the cut", relay.fired.is_set)
    clients.start()
    past_the_deadline(proxy, 1)
    # all else passes, and a job is told why it is not done
    with other.transaction():
        assert other.execute("SELECT * FROM others").fetchone() == (7,)
    assert "is not known yet" in proxy.cli("pause", "names", check=1).err
    assert not clients.said
    relay.refuse(False)
    clients.all_have_it()
    proxy.wait_phase("names", "soaking")
    relay.close()


TWO = {"name": "names", "operations": [*NAMES["operations"], {"rename_table": {"from": "others", "to": "else"}}]}
SLOW_DDL = """
CREATE FUNCTION lasts() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(0.35); END$$;
CREATE EVENT TRIGGER lasts ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION lasts()"""


def test_a_turn_that_outlasts_the_gate_is_not_committed(db, segue):
    """Whom the gate has let go waits for the tables, by the names that they have."""
    db.sql(TABLES)
    proxy = segue(db, cutover_attempts_max=1000, **QUICK)
    proxy.ready(TWO)
    db.sql(SLOW_DDL)
    errors, over = [], threading.Event()

    def reads():
        with proxy.connect() as conn:
            while not over.is_set():
                try:
                    assert conn.execute("SELECT note FROM items WHERE id = 3").fetchone() == ("n3",)
                except Exception as error:  # pylint: disable=broad-except
                    errors.append(error)

    client = threading.Thread(target=reads, daemon=True)
    client.start()
    proxy.console("CUTOVER names")
    # one that does not get its locks in time ends before; what this one runs under them is cancelled
    until("an attempt that outlasts the gate", lambda: any(row["outcome"] == "slow" for row in proxy.console("SHOW ATTEMPTS names")))
    db.sql("DROP EVENT TRIGGER lasts")
    proxy.wait_phase("names", "soaking")
    over.set()
    client.join(20)
    assert not errors, errors[:3]
