"""The suite's own servers: what the other tests take for granted."""

import re

import psycopg
import pytest
from lib import catalog
from lib.cluster import MD5_PASSWORD, MD5_USER, SCRAM_PASSWORD, SCRAM_USER
from lib.each import each


def test_the_server_is_of_the_version_asked_for(db):
    assert db.one("SHOW server_version_num")[:2] == str(db.version)
    assert db.one("SHOW wal_level") == "logical"


@pytest.mark.parametrize("user, password", [(SCRAM_USER, SCRAM_PASSWORD), (MD5_USER, MD5_PASSWORD)])
def test_users_with_a_password_must_give_it(db, user, password):
    with pytest.raises(psycopg.OperationalError):
        db.connect(user=user, password="wrong")
    assert db.connect(user=user, password=password).execute("SELECT current_user").fetchone() == (user,)


def test_a_private_server_that_requires_tls_takes_no_plain_connection(private_pg, certs):
    private_pg.enable_tls(certs, required=True)
    ca = str(certs.ca)
    with private_pg.connect(sslmode="verify-full", sslrootcert=ca) as conn:
        assert conn.pgconn.ssl_in_use
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        private_pg.connect(sslmode="disable")
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        private_pg.connect(sslmode="verify-full", sslrootcert=str(certs.other.ca))
    app, revoked = certs.client("app"), certs.revoked
    private_pg.connect(sslmode="require", sslcert=str(app.cert), sslkey=str(app.key)).close()
    with pytest.raises(psycopg.OperationalError, match="revoked"):
        private_pg.connect(sslmode="require", sslcert=str(revoked.cert), sslkey=str(revoked.key))


@pytest.mark.one_version
def test_catalogs_are_compared_without_what_is_of_sessions(db):
    """A server that goes down leaves temporary tables in the catalog, and takes their files away."""
    db.sql("CREATE TABLE a (id int)")
    with db.connect() as looks, db.connect() as has:
        before = catalog.whole(looks)
        has.execute("CREATE TEMP TABLE a (id serial PRIMARY KEY, much text)")
        assert catalog.whole(looks) == before and list(before["tables"]) == ["a"]


def given_on(pg, work):
    """Is the database in which this was done given to the next who asks?"""
    with pg.database() as first:
        work(first)
    with pg.database() as second:
        return second.name == first.name


def begin_and_roll_back(database):
    with database.connect() as conn, conn.transaction(force_rollback=True):
        conn.execute("CREATE TABLE t ()")


def prepare_a_transaction(database):
    database.connect().execute("BEGIN; CREATE TABLE t (); PREPARE TRANSACTION 'left behind'")


@pytest.mark.one_version
def test_a_database_is_given_on_only_when_nothing_was_written_to_it(pg):
    # a vacuum may write in between: then it is dropped, too
    assert any(given_on(pg, lambda database: database.connect().execute("SELECT 1")) for _ in range(5))
    for work in (lambda database: database.sql("COMMENT ON SCHEMA public IS 'x'"), begin_and_roll_back, prepare_a_transaction,
                 lambda database: database.sql("SELECT pg_create_logical_replication_slot('left_behind', 'test_decoding')")):
        assert not given_on(pg, work)


@pytest.mark.one_version
def test_what_a_session_keeps_is_not_there_for_the_next_statement(db):
    for one in ("SET work_mem = '7MB'", "CREATE TEMP TABLE mine (a int)"):
        db.sql(one)
        assert (db.one("SHOW work_mem"), db.one("SELECT to_regclass('mine')")) == ("4MB", None)
    db.sql(f"ALTER DATABASE {db.name} SET work_mem = '9MB'")
    assert db.one("SHOW work_mem") == "9MB"
    pid = db.one("SELECT pg_backend_pid()")
    assert db.one("SELECT pg_backend_pid()") == pid
    with db.cluster.connect() as conn:
        conn.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
    assert db.one("SELECT pg_backend_pid()") != pid


def test_cases_of_one_test_are_all_played_and_those_that_fail_are_told():
    played = []

    @each(number=[1, 2, 3], letter="xy")
    def check(number, letter):
        played.append((number, letter))
        assert (number, letter) not in ((1, "y"), (3, "x")), "wrong"

    with pytest.raises(AssertionError) as told:
        check()
    assert len(played) == 6
    assert re.findall(r"^(.*): AssertionError: wrong", str(told.value), re.M) == ["1, y", "3, x"]
