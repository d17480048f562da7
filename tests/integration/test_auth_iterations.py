"""The upstream says how many iterations of SCRAM a password takes: whoever else is served does not feel it."""

import base64
import hashlib
import hmac
import signal
import threading

import psycopg
import pytest
from lib.auth import refused
from lib.wait import SLOW, until
from test_auth_scram import lists, proving, tls_pg  # noqa: F401 - fixtures

pytestmark = [pytest.mark.newest_unless_told, pytest.mark.versions(16, 17, 18)]

PASSWORD, MANY, MOST = "slow secret", 2_000_000, 10_000_000


def verifier(iterations, known=True):
    """As PostgreSQL makes it with scram_iterations; not known: of a password that nobody has."""
    def digest(key, text):
        return hmac.digest(key, text, "sha256")

    salt = b"0123456789abcdef"
    salted = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), salt, iterations) if known else bytes(32)
    keys = hashlib.sha256(digest(salted, b"Client Key")).digest(), digest(salted, b"Server Key")
    return "SCRAM-SHA-256$%d:%s$%s:%s" % (iterations, *(base64.b64encode(b).decode() for b in (salt, *keys)))


@pytest.fixture(scope="module")
def slow_secret():
    return verifier(MANY)


@pytest.fixture
def role(tls_pg):  # noqa: F811
    """A function: the role of this verifier."""
    made = []

    def make(name, secret):
        with tls_pg.connect() as conn:
            conn.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'other'")
            if secret.startswith("SCRAM"):  # not by ALTER ROLE: the server would look whether it is that of no password
                conn.execute("UPDATE pg_authid SET rolpassword = %s WHERE rolname = %s", (secret, name))
            else:
                conn.execute(f"ALTER ROLE {name} PASSWORD '{secret}'")
        made.append(name)
        return name

    yield make
    with tls_pg.connect() as conn:
        for name in made:
            conn.execute(f"DROP ROLE {name}")


def made(proxy):
    with proxy.connect("segue", "quick", password="quick", autocommit=True) as conn:
        return next(int(row[1]) for row in conn.execute("SHOW STATS").fetchall() if row[0] == "keys_made")


def test_queries_of_others_are_answered_while_a_login_takes_long(role, proving, slow_secret):  # noqa: F811
    """Of logins that take long at once, too. The next of that user is as quick as any."""
    quick, slow = role("quick", "quick"), role("slow", slow_secret)
    proxy = proving({quick: "quick", slow: PASSWORD}, workers=1)
    in_time, who = [], []
    with proxy.connect("postgres", quick, password="quick", autocommit=True) as conn:

        def login():
            with proxy.connect("postgres", slow, password=PASSWORD) as late:
                who.append(late.execute("SELECT current_user").fetchone()[0])

        threads = [threading.Thread(target=login, daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            in_time.append(conn.execute("SELECT 1").fetchone())
        assert who == [slow] * 3
        assert len(in_time) > 100, "as many as had to wait for the login, were it the worker's"
    login()
    assert who == [slow] * 4
    assert made(proxy) <= 3


def test_a_login_under_way_does_not_hold_up_the_end(role, proving):  # noqa: F811
    quick, slow = role("quick", "quick"), role("slow", verifier(MOST, known=False))
    proxy = proving({quick: "quick", slow: PASSWORD}, workers=1)
    failed = []

    def login():
        try:
            proxy.connect("postgres", slow, password=PASSWORD).close()
        except psycopg.OperationalError as error:
            failed.append(str(error))

    thread = threading.Thread(target=login, daemon=True)
    thread.start()
    until("it to be asked for", lambda: made(proxy) == 1)
    proxy.signal(signal.SIGTERM)
    thread.join(20 * SLOW)
    assert proxy.process.wait(20 * SLOW) == 0
    assert "terminating connection" in failed[0]


def test_more_iterations_than_segue_makes_are_refused_with_a_hint(role, proving):  # noqa: F811
    slow = role("slow", verifier(MOST + 1, known=False))
    proxy = proving({slow: PASSWORD})
    with refused() as told:
        proxy.connect("postgres", slow, password=PASSWORD)
    assert f"the upstream asks for more than {MOST} iterations of SCRAM" in told.text
    assert "HINT:" in told.text and "scram_iterations" in told.text
