"""segue logs in for the client: what it accepts, what it says when it cannot, what a bad peer gets."""

import base64
import hashlib
import hmac
import json
import re
import signal
import socket
import struct
import time

import psycopg
import pytest
from lib.cluster import MD5_PASSWORD, MD5_USER, SCRAM_PASSWORD, SCRAM_USER
from lib.played import Played
from lib.rawwire import SSL, Raw, message, packet, query, startup
from lib.wait import until
from test_neon_like_upstream import userlist
from test_tls_legs import client_cert, client_tls, direct

pytestmark = pytest.mark.newest_unless_told

SASL_CONTINUE, SASL_FINAL = b"\0\0\0\x0b", b"\0\0\0\x0c"


def refused(proxy, text, **options):
    with pytest.raises(psycopg.OperationalError, match=text):
        proxy.connect(**options)


def verifier(db, user):
    return db.one(f"SELECT rolpassword FROM pg_authid WHERE rolname = '{user}'")


def test_the_upstreams_own_verifier_in_the_list_logs_in_with_the_key_that_the_client_shows(db, segue, tmp_path):
    proxy = segue(db, auth="scram", auth_file=userlist(tmp_path, (SCRAM_USER, verifier(db, SCRAM_USER))))
    with proxy.connect(user=SCRAM_USER, password=SCRAM_PASSWORD) as c:
        assert c.execute("SELECT current_user").fetchone() == (SCRAM_USER,)
    refused(proxy, "password authentication failed", user=SCRAM_USER, password="wrong")


def test_another_verifier_of_the_same_password_is_refused_with_a_hint(db, segue, tmp_path):
    salt, iterations = b"0123456789abcdef", 4096
    salted = hashlib.pbkdf2_hmac("sha256", SCRAM_PASSWORD.encode(), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    secret = "SCRAM-SHA-256$%d:%s$%s:%s" % (iterations, *(base64.b64encode(b).decode() for b in (salt, stored, server)))
    proxy = segue(db, auth="scram", auth_file=userlist(tmp_path, (SCRAM_USER, secret)))
    refused(proxy, "HINT", user=SCRAM_USER, password=SCRAM_PASSWORD)


def test_a_listed_password_logs_in_to_an_upstream_that_asks_for_md5_or_for_nothing(db, segue, tmp_path):
    proxy = segue(db, auth="scram", auth_file=userlist(tmp_path, (MD5_USER, MD5_PASSWORD), ("app", "made up")))
    for user, password in (MD5_USER, MD5_PASSWORD), ("app", "made up"):
        with proxy.connect(user=user, password=password) as c:
            assert c.execute("SELECT current_user").fetchone() == (user,)


@pytest.mark.one_version
def test_a_start_takes_an_empty_list_and_a_reload_does_not(db, segue, tmp_path):
    path = userlist(tmp_path)
    proxy = segue(db, auth="scram", auth_file=path)
    proxy.logged(f"there is no user in {path}: nobody can log in")
    refused(proxy, "password authentication failed", user=SCRAM_USER, password=SCRAM_PASSWORD)
    path.write_text(f'\ufeff"{SCRAM_USER}" "{SCRAM_PASSWORD}"\n', encoding="utf-8")  # as some editors begin a file
    proxy.signal(signal.SIGHUP)
    proxy.logged("reload: done")
    path.write_text("; nobody\n")
    proxy.signal(signal.SIGHUP)
    proxy.logged(f"{path}: there is no user in it")
    with proxy.connect(user=SCRAM_USER, password=SCRAM_PASSWORD) as c:
        assert c.execute("SELECT 1").fetchone() == (1,)


def test_a_wrong_password_in_the_list_is_the_upstreams_error(db, segue, tmp_path):
    proxy = segue(db, auth="scram", auth_file=userlist(tmp_path, (SCRAM_USER, "not it")))
    refused(proxy, 'password authentication failed for user "scram_user"', user=SCRAM_USER, password="not it")


def test_errors_of_the_upstream_come_as_it_says_them(db, segue, tmp_path):
    proxy = segue(db, auth="scram", auth_file=userlist(tmp_path, (SCRAM_USER, SCRAM_PASSWORD)))
    refused(proxy, 'database "nowhere" does not exist', user=SCRAM_USER, password=SCRAM_PASSWORD, dbname="nowhere")


def test_start_up_parameters_and_replication_arrive_in_every_mode(db, certs, segue, tmp_path):
    users = userlist(tmp_path, ("postgres", "made up"))
    cert = client_cert(certs, "postgres")
    modes = {
        "scram": ({"auth_file": users}, {"password": "made up"}),
        "password": (client_tls(certs), {"password": "made up", "sslmode": "require"}),
        "cert": ({**client_tls(certs), "client_tls_ca_file": certs.ca}, {"sslmode": "require", **cert}),
    }
    for mode, (options, words) in modes.items():
        proxy = segue(db, auth=mode, **options)
        with proxy.connect(options="-c geqo=off -c work_mem=777kB", **words) as c:
            assert c.execute("SHOW work_mem").fetchone() == ("777kB",)
            c.execute("SET work_mem = '1MB'")
            c.execute("RESET work_mem")
            assert c.execute("SHOW work_mem").fetchone() == ("777kB",)
        with proxy.connect(replication="database", **words) as c:
            assert c.execute(b"IDENTIFY_SYSTEM").fetchone()[3] == db.name


@pytest.mark.one_version
def test_cert_lets_in_whom_the_certificate_names_and_nobody_else(db, certs, segue, tmp_path):
    options = {**client_tls(certs), "client_tls_ca_file": certs.ca}
    proxy = segue(db, auth="cert", cert_map=f"the app={SCRAM_USER}", auth_file=userlist(tmp_path, (SCRAM_USER, SCRAM_PASSWORD)),
                  **options)
    with proxy.connect(user=SCRAM_USER, sslmode="require", **client_cert(certs, "the app")) as c:
        assert c.execute("SELECT current_user").fetchone() == (SCRAM_USER,)
    refused(proxy, "certificate authentication failed", user="postgres", sslmode="require", **client_cert(certs, "the app"))
    refused(proxy, "valid client certificate", user=SCRAM_USER, sslmode="require", sslcert="/none")
    refused(proxy, "valid client certificate", user=SCRAM_USER, sslmode="disable")
    unlisted = segue(db, auth="cert", cert_map=f"the app={SCRAM_USER}", **options)
    refused(unlisted, "auth_file must have the user's password", user=SCRAM_USER, sslmode="require",
            **client_cert(certs, "the app"))


@pytest.mark.one_version
def test_the_console_is_behind_the_same_methods(db, certs, segue, tmp_path):
    users = userlist(tmp_path, (SCRAM_USER, SCRAM_PASSWORD), ("app", "other"))
    scram = segue(db, auth="scram", auth_file=users, admin_users=SCRAM_USER)
    cert = segue(db, auth="cert", admin_users=SCRAM_USER, client_tls_ca_file=certs.ca, **client_tls(certs))
    password = segue(db, auth="password", admin_users=SCRAM_USER, **client_tls(certs))
    good = {"dbname": "segue", "user": SCRAM_USER, "prepare_threshold": None}
    for proxy, words in ((scram, {"password": SCRAM_PASSWORD}), (password, {"password": SCRAM_PASSWORD, "sslmode": "require"}),
                         (cert, {"sslmode": "require", **client_cert(certs, SCRAM_USER)})):
        with proxy.connect(**good, **words) as c:
            assert c.execute(b"SHOW VERSION").fetchall()
    for proxy in scram, password:
        refused(proxy, "password authentication failed", dbname="segue", user=SCRAM_USER, password="wrong")
    refused(scram, "admin_users", dbname="segue", user="app", password="other")
    refused(cert, "certificate", dbname="segue", user=SCRAM_USER, sslmode="require", **client_cert(certs, "app"))
    open_scram = segue(db, auth="scram", auth_file=users)
    with open_scram.connect(dbname="segue", user="app", password="other", prepare_threshold=None) as c:
        assert c.execute(b"SHOW VERSION").fetchall()
    refused(open_scram, "password authentication failed", dbname="segue", user="app", password="wrong")


@pytest.mark.one_version
def test_where_all_may_log_in_the_console_it_says_so_at_the_start_and_at_each_reload(db, certs, segue, tmp_path):
    warning = "console: admin_users is empty: every user who logs in over loopback may change migrations"
    users = userlist(tmp_path, (SCRAM_USER, SCRAM_PASSWORD))
    path = tmp_path / "segue.json"
    path.write_text(json.dumps({"auth": "scram", "auth_file": str(users)}))
    scram = segue(db, arguments=["-c", path])
    assert scram.logged(warning).count(warning) == 1
    path.write_text(json.dumps({"auth": "scram", "auth_file": str(users), "admin_users": [SCRAM_USER]}))
    scram.signal(signal.SIGHUP)
    assert scram.logged("reload: done, 1 options changed").count(warning) == 1
    path.write_text(json.dumps({"auth": "scram", "auth_file": str(users), "admin_users": []}))
    scram.signal(signal.SIGHUP)
    assert scram.logged(re.compile("(?s)reload: done.*reload: done, 1 options changed")).count(warning) == 2
    for mode in ({"auth": "password"}, {"auth": "cert", "client_tls_ca_file": certs.ca}):
        segue(db, **mode, **client_tls(certs)).logged(warning)
    for quiet in segue(db), segue(db, auth="scram", auth_file=users, admin_users=SCRAM_USER):
        quiet.stop()
        assert "admin_users is empty" not in quiet.log_text()


@pytest.mark.one_version
def test_new_users_are_known_after_sighup_and_a_broken_list_changes_nothing(db, segue, tmp_path):
    import signal


    users = userlist(tmp_path, (SCRAM_USER, SCRAM_PASSWORD))
    proxy = segue(db, auth="scram", auth_file=users)
    refused(proxy, "password authentication failed", user="app", password="pw")
    users.write_text('"app" "pw\n')
    proxy.signal(signal.SIGHUP)
    proxy.logged("the old configuration stays")
    proxy.connect(user=SCRAM_USER, password=SCRAM_PASSWORD).close()
    users.write_text('"app" "pw"\n')
    proxy.signal(signal.SIGHUP)
    proxy.logged("reload: done")
    proxy.connect(user="app", password="pw").close()
    refused(proxy, "password authentication failed", user=SCRAM_USER, password=SCRAM_PASSWORD)


# ---- clients that do not keep to it ----


@pytest.fixture
def proving(db, segue, tmp_path):
    return segue(db, auth="scram", auth_file=userlist(tmp_path, (SCRAM_USER, SCRAM_PASSWORD)), login_timeout_ms=3000)


def asked(port, user=SCRAM_USER):
    c = Raw(port).send(startup(user=user, database="postgres"))
    kind, body = c.read()
    assert (kind, body) == ("R", b"\0\0\0\x0aSCRAM-SHA-256\0\0")
    return c


def first(text=b"n,,n=,r=abcdefghijklmnop", mechanism=b"SCRAM-SHA-256"):
    return message("p", mechanism + b"\0" + struct.pack("!I", len(text)) + text)


@pytest.mark.one_version
@pytest.mark.parametrize("sent, code", [
    (query("SELECT 1"), "08P01"),
    (message("p", b"x" * 2000), "28P01"),
    (b"p\x7f\xff\xff\xff", "28P01"),
    (b"p\0\0\0\0", "28P01"),
    (message("p", b"no NUL"), "08P01"),
    (first(mechanism=b"PLAIN"), "08P01"),
    (first(b"garbage"), "08P01"),
    (first(b"y,,n=,r=abcdefghijklmnop") + message("p", b"garbage"), "08P01"),
    (first() + message("p", b"c=biws,r=abcdefghijklmnop,p=AAAA"), "08P01"),
], ids=["a query", "oversized", "a length of 2 GiB", "a length of 0", "no mechanism", "another mechanism", "garbage",
        "garbage at last", "another nonce"])
def test_what_is_no_scram_is_refused(proving, sent, code):
    with asked(proving.port) as c:
        assert c.send(sent).error()["C"] == code
        assert c.read() is None


@pytest.mark.one_version
def test_terminate_and_silence_end_the_exchange(proving):
    with asked(proving.port) as c:
        assert c.send(message("X")).read() is None
    begin = time.monotonic()
    with asked(proving.port) as c:
        c.send(first())
        assert c.read()[1][:4] == SASL_CONTINUE
        error = c.error()
        assert error["C"] == "57014" and "login_timeout_ms" in error["H"]
    assert 2 < time.monotonic() - begin < 10


@pytest.mark.one_version
def test_an_unknown_user_sees_the_same_exchange_with_the_same_salt(proving):
    def salt(user):
        with asked(proving.port, user) as c:
            return c.send(first()).read()[1].split(b",s=")[1]

    assert salt("nobody") == salt("nobody") != salt("somebody")
    assert salt("nobody").endswith(b",i=4096") and len(salt("nobody")) == len(salt(SCRAM_USER))


@pytest.mark.one_version
def test_the_password_never_reaches_the_log(db, certs, segue):
    proxy = segue(db, auth="password", log_level="debug", **client_tls(certs))
    refused(proxy, "password authentication failed", user=SCRAM_USER, password="tell nobody", sslmode="require")
    with direct(proxy.port, certs) as c:
        c.send(startup(user=SCRAM_USER, database=db.name))
        assert c.read() == ("R", b"\0\0\0\x03")
        assert c.send(message("p", b"tell no\0body\0")).error()["C"] == "08P01"
    proxy.stop()
    assert "tell no" not in proxy.log_text()


@pytest.mark.one_version
def test_a_client_that_breaks_its_connection_behind_a_long_password_harms_nobody(db, certs, segue):
    """The session ends while its last message is still looked at. segue is held, so that both lie there at once."""
    proxy = segue(db, auth="password", failed_login_delay_ms=0, **client_tls(certs, "require"))
    secret = message("p", b"x" * 20000 + b"\0 and more behind its end")
    for _ in range(3):
        c = direct(proxy.port, certs).send(startup(user="postgres", database=db.name))
        assert c.read() == ("R", b"\0\0\0\x03")
        c.send(secret[:10000])
        time.sleep(0.1)
        proxy.freeze()
        c.send(secret[10000:])
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        c.sock.close()
        proxy.signal(signal.SIGCONT)
    until("the refusals", lambda: proxy.log_text().count("invalid password packet size") == 3)
    with proxy.connect(db.name, sslmode="require", password="taken") as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.one_version
@pytest.mark.parametrize("auth", ["pass-through", "scram", "password", "no handshake"])
def test_sigterm_does_not_wait_for_who_has_not_logged_in(db, certs, segue, tmp_path, auth):
    """Whose login ends now would be sent away with its end."""
    options = {"auth_file": userlist(tmp_path, (SCRAM_USER, SCRAM_PASSWORD))} if auth == "scram" else {}
    proxy = segue(db, auth=auth if auth != "no handshake" else "pass-through", **options, **client_tls(certs, "allow"))
    if auth == "no handshake":
        c = Raw(proxy.port).send(packet(SSL))
        assert c.take(1) == b"S"
    else:
        c = direct(proxy.port, certs).send(startup(user=SCRAM_USER, database=db.name))
        assert c.read()[0] == "R"
    before = time.monotonic()
    proxy.signal(signal.SIGTERM)
    error = c.error()
    assert error is None if auth == "no handshake" else error["C"] == "57P01"
    proxy.process.wait(20)
    assert time.monotonic() - before < 15  # drain_timeout_s is 30


# ---- upstreams that do not keep to it ----


class Hostile(Played):
    """A server that answers the start-up, and then each message, with what it was given: bytes, or a function
    of what has come after the start-up."""

    def __init__(self, *answers):
        self.answers = answers
        self.got = []
        super().__init__()

    def serve(self, sock):
        if f"user\0{SCRAM_USER}\0".encode() not in sock.recv(65536):
            return  # the engine
        for answer in self.answers:
            sock.sendall(answer(self.got) if callable(answer) else answer)
            self.got.append(sock.recv(65536))

    @property
    def url(self):
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres?sslmode=disable"


OK = message("R", b"\0\0\0\0")
SASL_OFFER = message("R", b"\0\0\0\x0aSCRAM-SHA-256\0\0")


def challenges(count):
    """As many server-first-messages as told, of which the first is as it should be."""
    def answer(got):
        nonce = got[0].rsplit(b"r=", 1)[1]
        return message("R", SASL_CONTINUE + b"r=" + nonce + b"more,s=c2FsdA==,i=4096") * count
    return answer



@pytest.mark.one_version
@pytest.mark.parametrize("answers, text", [
    ((message("R", b"\0\0\0\x03"),), "clear text outside TLS"),
    ((message("R", b"\0\0\0\x05ab"),), "md5 request is malformed"),
    ((message("R", b"\0\0\0\x07"),), "does not know"),
    ((message("R", b"\0"),), "does not know"),
    ((message("R", b"\0\0\0\x0aOAUTHBEARER\0\0"),), "none of its SASL mechanisms"),
    ((message("R", SASL_CONTINUE + b"r=x,s=eA==,i=4096"),), "nobody has asked"),
    ((message("R", SASL_FINAL + b"v=x"),), "nobody has asked"),
    ((message("R", b"\0\0\0\x0aSCRAM-SHA-256\0\0"), OK), "did not prove"),
    ((message("R", b"\0\0\0\x0aSCRAM-SHA-256\0\0"), message("R", SASL_CONTINUE + b"garbage")), "SCRAM|malformed|invalid"),
    ((message("R", b"\0\0\0\x0aSCRAM-SHA-256\0\0"), message("R", b"\0\0\0\x0aSCRAM-SHA-256\0\0")), "none of its SASL"),
    ((SASL_OFFER, message("R", SASL_FINAL + b"v=x")), "out of turn"),
    ((SASL_OFFER, challenges(2)), "out of turn"),
    ((SASL_OFFER, challenges(1), message("R", SASL_FINAL + b"v=" + base64.b64encode(bytes(32)))), "incorrect server signature"),
    ((message("D", b"\0\0"),), "unexpected message"),
    ((b"R\0\0\0\0",), "invalid message"),
    ((b"R\x7f\0\0\0",), "invalid message"),
], ids=["cleartext", "md5", "gss", "short", "another mechanism", "continue", "final", "no proof", "garbage", "twice",
        "a final before the challenge", "two challenges", "a wrong signature", "a row", "a length of 0", "a length of 2 GiB"])
def test_an_upstream_that_does_not_keep_to_the_protocol_gets_no_secret(segue, tmp_path, answers, text):
    server = Hostile(*answers)
    proxy = segue(upstream=server.url, auth="scram", auth_file=userlist(tmp_path, (SCRAM_USER, SCRAM_PASSWORD)), upstream_wait_ms=0)
    refused(proxy, text, user=SCRAM_USER, password=SCRAM_PASSWORD, dbname="postgres")
    assert not any(SCRAM_PASSWORD.encode() in got for got in server.got)
    server.close()
