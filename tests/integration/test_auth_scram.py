"""auth = scram: segue proves clients by the user list, and logs in upstream for them."""

import base64
import hashlib
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import time
from pathlib import Path

import psycopg
import pytest
from lib import rawwire
from lib.auth import PASSWORDS, SECRETS, armed, passwords_of, refused, stored, write_list
from lib.certs import SERVER_NAMES
from lib.played import Played
from lib.resume import Resumer
from lib.wait import SLOW, until

pytestmark = pytest.mark.newest_unless_told

SCRAM = "SCRAM-SHA-256"
PROOF = base64.b64encode(bytes(32)).decode()


@pytest.fixture
def tls_pg(clusters, pg_version, certs):
    return armed(clusters, pg_version, certs)


@pytest.fixture
def lists(tmp_path):
    return tmp_path / "userlist.txt"


@pytest.fixture
def proving(segue, tls_pg, certs, lists):
    """A function: segue with a list of secrets; with `tls` on both legs, both channels bound."""

    def start(secrets, tls=False, **options):
        write_list(lists, secrets)
        upstream = tls_pg.url()
        if tls:
            upstream += "?sslmode=require&channel_binding=require"
            options |= {"client_tls_cert_file": certs.server.cert, "client_tls_key_file": certs.server.key,
                        "client_tls": "require"}
        else:
            upstream += "?sslmode=disable"
        options.setdefault("failed_login_delay_ms", 0)
        return segue(upstream=upstream, auth="scram", auth_file=lists, **options)

    return start


def who(proxy, name, **options):
    with proxy.connect("postgres", name, password=PASSWORDS[name], **options) as conn:
        return conn.execute("SELECT current_user").fetchone()[0]


def who_is(where, name):
    with where.connect("postgres", name, password="a long way") as conn:
        return conn.execute("SELECT current_user").fetchone()[0]


def in_tls(conn):
    return conn.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()[0]


# ---- logging in ----


@pytest.mark.parametrize("tls", [False, True], ids=["plaintext", "tls"])
@pytest.mark.parametrize("name", ["alice", "zoe"])
def test_a_password_in_the_list_logs_in(proving, name, tls):
    proxy = proving(passwords_of("alice", "zoe"), tls)
    assert who(proxy, name) == name
    assert who(proxy, name) == name  # the second time with keys that were kept


@pytest.mark.parametrize("tls", [False, True], ids=["plaintext", "tls"])
@pytest.mark.parametrize("name", ["alice", "zoe"])
def test_a_verifier_of_the_server_logs_in_by_the_clients_key(proving, tls_pg, name, tls):
    proxy = proving({name: stored(tls_pg, name)}, tls)
    assert who(proxy, name) == name


def test_a_name_that_the_server_cuts_is_cut_before_it_is_looked_up(proving, tls_pg):
    """To 63 bytes, of the client's start-up packet as of CREATE ROLE."""
    role, longer = "r" * 63, "r" * 63 + "and more"
    with tls_pg.connect() as conn:
        conn.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'a long way'")
    try:
        assert who_is(tls_pg, longer) == role
        for listed in (role, longer):
            proxy = proving({listed: "a long way"})
            assert [who_is(proxy, name) for name in (role, longer)] == [role, role]
        proxy = proving({role: stored(tls_pg, role)})
        assert [who_is(proxy, name) for name in (longer, role)] == [role, role]
    finally:
        with tls_pg.connect() as conn:
            conn.execute(f"DROP ROLE {role}")


def test_a_password_in_the_list_answers_an_upstream_with_md5_or_trust(proving):
    proxy = proving({**passwords_of("mia"), "tom": "only segue asks for it"})
    assert who(proxy, "mia") == "mia"
    with proxy.connect("postgres", "tom", password="only segue asks for it") as conn:
        assert conn.execute("SELECT current_user").fetchone()[0] == "tom"


def test_channel_binding_is_offered_to_clients_and_used_upstream(proving):
    proxy = proving(passwords_of("alice"), tls=True)
    with proxy.connect("postgres", "alice", password=PASSWORDS["alice"], channel_binding="require") as conn:
        assert in_tls(conn)
    assert who(proxy, "alice", channel_binding="disable") == "alice"


def test_an_upstream_that_does_not_bind_the_channel_is_refused_where_it_must(proving):
    proxy = proving({**passwords_of("mia"), "tom": "only segue asks for it"}, tls=True)
    with refused() as told:
        who(proxy, "mia")
    assert "md5 password, without channel binding" in told.text
    with refused() as told:
        proxy.connect("postgres", "tom", password="only segue asks for it")
    assert "let segue in without channel binding" in told.text
    assert "HINT:" in told.text and "channel_binding=require" in told.text


class Binding(Played):
    """A server that offers channel binding behind a certificate of which no hash can be made."""

    def __init__(self, pair):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*pair)
        super().__init__()

    def serve(self, sock):
        sock.recv(8)
        sock.sendall(b"S")
        with self.context.wrap_socket(sock, server_side=True) as tls:
            tls.recv(10000)
            tls.sendall(rawwire.message("R", struct.pack("!I", 10) + f"{PLUS}\0{SCRAM}\0\0".encode()))
            tls.recv(10000)


@pytest.mark.one_version
def test_a_certificate_that_cannot_be_bound_to_is_named_as_such(segue, lists, tmp_path):
    pair = tmp_path / "server.crt", tmp_path / "server.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=localhost", "-out", pair[0],
                    "-keyout", pair[1]], check=True, capture_output=True)
    with Binding(pair) as upstream:
        url = f"postgresql://postgres@127.0.0.1:{upstream.port}/postgres?sslmode=require&channel_binding=require"
        proxy = segue(upstream=url, auth="scram", auth_file=write_list(lists, passwords_of("alice")))
        with refused() as told:
            who(proxy, "alice")
    assert "signature has no hash to bind the channel by" in told.text


def test_a_verifier_with_another_salt_is_refused_with_a_hint(proving, tls_pg):
    verifier = stored(tls_pg, "alice")
    with tls_pg.connect() as conn:  # the same password, kept anew: another salt
        conn.execute(psycopg.sql.SQL("ALTER ROLE alice PASSWORD {}").format(psycopg.sql.Literal(PASSWORDS["alice"])))
    assert stored(tls_pg, "alice") != verifier
    proxy = proving({"alice": verifier})
    with refused() as told:
        who(proxy, "alice")
    assert "another salt or iteration count" in told.text
    assert "HINT:" in told.text and "pg_authid" in told.text


@pytest.mark.versions(16, 17, 18)
def test_another_iteration_count_works_with_its_verifier_and_with_the_password(proving, tls_pg):
    with tls_pg.connect() as conn:
        conn.execute("SET scram_iterations = 5000")
        conn.execute("CREATE ROLE slow LOGIN PASSWORD 'slow secret'")
    try:
        for secret in ("slow secret", stored(tls_pg, "slow")):
            proxy = proving({"slow": secret})
            with proxy.connect("postgres", "slow", password="slow secret") as conn:
                assert conn.execute("SELECT current_user").fetchone()[0] == "slow"
            proxy.stop()
    finally:
        with tls_pg.connect() as conn:
            conn.execute("DROP ROLE slow")


def test_a_list_that_has_a_wrong_password_is_told_from_a_client_that_has(proving):
    """segue is right about the client, the upstream about segue."""
    proxy = proving({"alice": "not the upstream's"})
    with refused() as told:
        proxy.connect("postgres", "alice", password="not the upstream's")
    assert 'password authentication failed for user "alice"' in told.text
    proxy.logged(re.compile(r'upstream.*password authentication failed for user "alice"'))


# ---- being refused ----


def encrypt(raw):
    raw.send(rawwire.packet(rawwire.SSL))
    assert raw.take(1) == b"S"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    raw.sock = context.wrap_socket(raw.sock)


def raw_error(port, name, password_message, tls=False):
    """The ErrorResponse to a login that a function plays; it gets the connection."""
    with rawwire.Raw(port) as raw:
        if tls:
            encrypt(raw)
        raw.send(rawwire.startup(user=name, database="postgres"))
        password_message(raw)
        return raw.error()


def sasl_first(raw, mechanism, response):
    assert raw.read()[0] == "R"
    body = mechanism.encode() + b"\0"
    body += struct.pack("!i", -1) if response is None else struct.pack("!I", len(response)) + response
    raw.send(rawwire.message("p", body))


def exchange(first, final=None, mechanism=SCRAM):
    """A client that sends these; `final` is a format that knows the server's nonce."""

    def play(raw):
        sasl_first(raw, mechanism, first)
        if final is None:
            return
        kind, body = raw.read()
        assert (kind, body[:4]) == ("R", struct.pack("!I", 11))
        nonce = body[4:].split(b",")[0][2:]
        raw.send(rawwire.message("p", final.replace(b"NONCE", nonce)))

    return play


WRONG = f"c=biws,r=NONCE,p={PROOF}".encode()


@pytest.mark.parametrize("tls", [False, True], ids=["plaintext", "tls"])
def test_a_wrong_password_an_unknown_user_and_an_unfit_secret_get_one_answer(proving, tls):
    proxy = proving({**passwords_of("alice"), "ann": "", "mia": "md5c4ca4238a0b923820dcc509a6f75849b"}, tls)
    told = {}
    for name in ("alice", "nobody", "ann", "mia"):
        with refused() as answer:
            proxy.connect("postgres", name, password="wrong")
        told[name] = answer.text.replace(name, "NAME")
        assert 'password authentication failed for user "NAME"' in told[name]
    assert len(set(told.values())) == 1


def test_a_wrong_password_and_an_unknown_user_get_the_sqlstate_of_postgresql(proving, tls_pg):
    proxy = proving(passwords_of("alice"))
    for name in ("alice", "nobody"):
        direct = raw_error(tls_pg.port, name, exchange(b"n,,n=,r=abc", WRONG))
        through = raw_error(proxy.port, name, exchange(b"n,,n=,r=abc", WRONG))
        assert [through[f] for f in "SVCM"] == [direct[f] for f in "SVCM"]
        assert through["C"] == "28P01"


@pytest.mark.one_version
def test_an_unknown_user_takes_as_long_as_a_wrong_password(proving):
    proxy = proving(passwords_of("alice"))

    def took(name):
        begin = time.perf_counter()
        raw_error(proxy.port, name, exchange(b"n,,n=,r=abc", WRONG))
        return time.perf_counter() - begin

    took("alice")  # the verifier is made
    times = {"alice": [], "nobody": []}
    for _ in range(10):  # the shortest of 40; of more where others keep the processors busy
        for _ in range(40):
            for name, taken in times.items():
                taken.append(took(name))
        alice, nobody = (min(taken) for taken in times.values())
        if abs(alice - nobody) < 0.0005 * SLOW:
            break
    # making a verifier takes a millisecond: it may not be in one of the two
    assert abs(alice - nobody) < 0.0005 * SLOW, (alice, nobody)


@pytest.mark.one_version
def test_an_unknown_user_is_always_shown_the_same_salt(proving, lists):
    proxy = proving(passwords_of("alice"))

    def salt(name):
        with rawwire.Raw(proxy.port) as raw:
            raw.send(rawwire.startup(user=name, database="postgres"))
            sasl_first(raw, SCRAM, b"n,,n=,r=abc")
            return raw.read()[1].split(b",", 1)[1]

    assert salt("nobody") == salt("nobody") != salt("nobody2")
    assert salt("alice") == salt("alice")
    assert len(salt("nobody")) == len(salt("alice"))
    before = salt("alice"), salt("mia"), salt("nobody")
    write_list(lists, passwords_of("alice", "mia"))
    proxy.signal(signal.SIGHUP)
    proxy.logged("reload: done")
    assert (salt("alice"), salt("mia"), salt("nobody")) == before


def test_failed_logins_are_answered_later_and_later_and_others_at_once(proving):
    proxy = proving(passwords_of("alice"), failed_login_delay_ms=200, workers=1)  # each counts what it sees
    took = []
    for _ in range(3):
        begin = time.monotonic()
        with refused():
            proxy.connect("postgres", "alice", password="wrong")
        took.append(time.monotonic() - begin)
    assert took[0] >= 0.2 and took[1] >= 0.4 and took[2] >= 0.8, took
    took = []
    for _ in range(5):  # the next one to fail would wait for 1.6 s
        begin = time.monotonic()
        assert who(proxy, "alice") == "alice"
        took.append(time.monotonic() - begin)
    assert min(took) < 0.2 * SLOW, took


@pytest.mark.parametrize("hard", [False, True], ids=["closed", "reset"])
def test_who_hangs_up_on_a_failed_login_keeps_its_place_at_the_door_until_the_answer(proving, hard):
    """Else a guesser need not wait: a login that succeeds is answered at once."""
    proxy = proving(passwords_of("alice"), failed_login_delay_ms=2000, startup_open_per_address_max=3, workers=1)
    guess = exchange(b"n,,n=,r=abc", f"c=biws,r=NONCE,p={PROOF}".encode())
    begin = time.monotonic()
    for _ in range(3):
        with rawwire.Raw(proxy.port) as raw:
            raw.send(rawwire.startup(user="alice", database="postgres"))
            guess(raw)
            if hard:
                raw.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with rawwire.Raw(proxy.port) as raw:
        assert raw.error()["C"] == "53300"
    assert time.monotonic() - begin < 2, "they would all have been answered"
    until("room again", lambda: not refused_at_door(proxy))


def refused_at_door(proxy):
    with rawwire.Raw(proxy.port) as raw:
        raw.send(rawwire.startup(user="alice", database="postgres"))
        return raw.read()[0] == "E"


MALFORMED = {
    "empty": exchange(b""),
    "zero byte": exchange(b"n,,n=,r=a\0b"),
    "no flag": exchange(b"x,,n=,r=abc"),
    "flag p without PLUS": exchange(b"p=tls-server-end-point,,n=,r=abc"),
    "no comma": exchange(b"n"),
    "authzid": exchange(b"n,a=alice,n=,r=abc"),
    "not authzid": exchange(b"n,b=alice,n=,r=abc"),
    "mandatory extension": exchange(b"n,,m=x,n=,r=abc"),
    "no name": exchange(b"n,,r=abc"),
    "no nonce": exchange(b"n,,n="),
    "nonce with a blank": exchange(b"n,,n=,r=a b"),
    "nonce beyond ASCII": exchange(b"n,,n=,r=\xc3\xa9"),
    "extension without value": exchange(b"n,,n=,r=abc,x"),
    "too long": exchange(b"n,,n=,r=" + b"a" * 1020),
    "far too long": exchange(b"n,,n=,r=" + b"a" * 70000),
    "length of 2 GiB": lambda raw: (raw.read(), raw.send(b"p\x7f\xff\xff\xff")),
    "length of 0": lambda raw: (raw.read(), raw.send(b"p\0\0\0\0")),
    "PLUS without TLS": exchange(b"p=tls-server-end-point,,n=,r=abc", mechanism=SCRAM + "-PLUS"),
    "SHA-1": exchange(b"n,,n=,r=abc", mechanism="SCRAM-SHA-1"),
    "no response, then a wrong one": lambda raw: (sasl_first(raw, SCRAM, None), raw.read(),
                                                  raw.send(rawwire.message("p", b"?"))),
    "final empty": exchange(b"n,,n=,r=abc", b""),
    "final without binding": exchange(b"n,,n=,r=abc", b"r=NONCE"),
    "final with another flag": exchange(b"n,,n=,r=abc", f"c=eSws,r=NONCE,p={PROOF}".encode()),
    "final with junk for binding": exchange(b"n,,n=,r=abc", f"c=!,r=NONCE,p={PROOF}".encode()),
    "another nonce": exchange(b"n,,n=,r=abc", f"c=biws,r=NONCEx,p={PROOF}".encode()),
    "half a nonce": exchange(b"n,,n=,r=abc", f"c=biws,r=abc,p={PROOF}".encode()),
    "no proof": exchange(b"n,,n=,r=abc", b"c=biws,r=NONCE"),
    "short proof": exchange(b"n,,n=,r=abc", b"c=biws,r=NONCE,p=AAAA"),
    "proof that is not base64": exchange(b"n,,n=,r=abc", b"c=biws,r=NONCE,p=!!!!"),
    "bytes behind the proof": exchange(b"n,,n=,r=abc", f"c=biws,r=NONCE,p={PROOF},x=1".encode()),
    "a query": lambda raw: raw.send(rawwire.query("SELECT 1")),
}


def answers(direct_port, through_port, exchanges, tls=False):
    """What server and segue answer to each, as far as it must be the same: severity, SQLSTATE, message."""
    direct, through = {}, {}
    for what, play in exchanges.items():
        for port, answer in ((direct_port, direct), (through_port, through)):
            error = raw_error(port, "alice", play, tls)
            # PostgreSQL's DETAIL stands in parentheses behind segue's message
            answer[what] = error and (error["S"], error["C"], re.sub(r" \(.*\)$", "", error["M"]))
    return direct, through


def test_malformed_exchanges_are_answered_as_by_postgresql(proving, tls_pg):
    proxy = proving(passwords_of("alice"))
    direct, through = answers(tls_pg.port, proxy.port, MALFORMED)
    assert through == direct
    assert all(direct.values())
    assert who(proxy, "alice") == "alice"


FRAMES = {
    "no zero": b"no zero at all",
    "no length": b"SCRAM-SHA-256\0",
    "half a length": b"SCRAM-SHA-256\0\0\0",
    "length beyond the end": b"SCRAM-SHA-256\0\0\0\0\x20n,,n=,r=abc",
    "length below -1": b"SCRAM-SHA-256\0\xff\xff\xff\xfen,,n=,r=abc",
    "bytes behind": b"SCRAM-SHA-256\0\0\0\0\x0bn,,n=,r=abcd",
    "nothing": b"",
}


def framed(body):
    return lambda raw: (raw.read(), raw.send(rawwire.message("p", body)))


def test_first_messages_that_are_framed_wrong_get_the_sqlstate_of_postgresql(proving, tls_pg):
    proxy = proving(passwords_of("alice"))
    direct, through = answers(tls_pg.port, proxy.port, {what: framed(body) for what, body in FRAMES.items()})
    for what in FRAMES:
        assert through[what][:2] == direct[what][:2] == ("FATAL", "08P01"), what


def bound(text):
    return f"c={base64.b64encode(text).decode()},r=NONCE,p={PROOF}".encode()


PLUS = SCRAM + "-PLUS"
P_FIRST = b"p=tls-server-end-point,,n=,r=abc"

MISBOUND = {
    "could bind, thinks the server cannot": exchange(b"y,,n=,r=abc"),
    "PLUS without binding": exchange(b"n,,n=,r=abc", mechanism=PLUS),
    "PLUS with y": exchange(b"y,,n=,r=abc", mechanism=PLUS),
    "binding without PLUS": exchange(P_FIRST),
    "another type": exchange(b"p=tls-unique,,n=,r=abc", mechanism=PLUS),
    "a type beyond ASCII": exchange(b"p=tls\xff,,n=,r=abc", mechanism=PLUS),
    "no hash": exchange(P_FIRST, bound(b"p=tls-server-end-point,,"), PLUS),
    "another certificate's hash": exchange(P_FIRST, bound(b"p=tls-server-end-point,," + bytes(32)), PLUS),
    "no binding at the end": exchange(P_FIRST, WRONG, PLUS),
    "binding not announced": exchange(b"n,,n=,r=abc", bound(b"p=tls-server-end-point,," + bytes(32))),
    "wrong proof without binding": exchange(b"n,,n=,r=abc", WRONG),
}


def test_channels_that_are_not_bound_right_are_refused_as_by_postgresql(proving, tls_pg):
    proxy = proving(passwords_of("alice"), tls=True)
    direct, through = answers(tls_pg.port, proxy.port, MISBOUND, tls=True)
    assert through == direct
    assert all(direct.values())


@pytest.mark.one_version
def test_a_resumed_session_is_bound_to_the_certificate_that_its_client_has_seen(segue, tls_pg, certs, lists, tmp_path):
    """Another proof than the password's: 28P01 says that the binding holds, 28000 that it does not."""
    cert, key = tmp_path / "server.crt", tmp_path / "server.key"

    def serve(pair):
        shutil.copyfile(pair.cert, cert)
        shutil.copyfile(pair.key, key)
        key.chmod(0o600)

    serve(certs.server)
    proxy = segue(upstream=f"{tls_pg.url()}?sslmode=require", auth="scram", auth_file=write_list(lists, passwords_of("alice")),
                  client_tls="require", client_tls_cert_file=cert, client_tls_key_file=key)
    client = Resumer(proxy)
    seen = hashlib.sha256(ssl.PEM_cert_to_DER_cert(cert.read_text())).digest()

    def login(session=None):
        with rawwire.Raw(proxy.port) as raw:
            assert raw.send(rawwire.packet(rawwire.SSL)).take(1) == b"S"
            raw.sock = client.context.wrap_socket(raw.sock, session=session)
            raw.send(rawwire.startup(user="alice", database="postgres"))
            exchange(P_FIRST, bound(b"p=tls-server-end-point,," + seen), PLUS)(raw)
            return raw.sock.session_reused, raw.error()["C"]

    session = client.visit()[1]
    assert login(session) == (True, "28P01")
    serve(certs.issue("later", "localhost", SERVER_NAMES))
    proxy.signal(signal.SIGHUP)
    proxy.logged("reload: done")
    assert login(session) == (True, "28P01")
    assert login() == (False, "28000")  # it was shown the new one


# ---- the list ----


def processor_s(proxy):
    """What it has computed so far, however long it had to wait for others."""
    user, system = Path(f"/proc/{proxy.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@pytest.mark.one_version
def test_ten_thousand_users_are_read_at_once(proving):
    secrets = {f"user{n}": f"password of {n}" for n in range(10000)} | passwords_of("alice")
    proxy = proving(secrets)
    assert processor_s(proxy) < 2 * SLOW  # a verifier for each would take ten seconds
    assert who(proxy, "alice") == "alice"
    with refused() as told:
        proxy.connect("postgres", "user9999", password="password of 9998")
    assert "password authentication failed" in told.text


@pytest.mark.one_version
def test_a_list_that_is_damaged_ends_the_start_with_its_line(proving, lists):
    proxy = proving(passwords_of("alice"), start=False)
    for text, error in (('"alice" "x"\nzoe "y"\n', ":2: a user name in double quotes is expected"),
                        ('"alice" "sesame\n', ":1: a double quote is not closed on its line")):
        lists.write_text(text)
        with pytest.raises(AssertionError, match="segue ended with"):
            proxy.start()
        proxy.logged(f"{lists}{error}")
    assert "sesame" not in proxy.log_text()
    write_list(lists, passwords_of("alice"))
    proxy.start()
    assert who(proxy, "alice") == "alice"


def test_sighup_reads_the_list_again_and_keeps_the_old_one_where_it_is_damaged(proving, lists):
    proxy = proving(passwords_of("zoe"))
    with refused():
        who(proxy, "alice")
    held = proxy.connect("postgres", "zoe", password=PASSWORDS["zoe"])
    write_list(lists, passwords_of("alice"))
    proxy.signal(signal.SIGHUP)
    proxy.logged("reload: done")
    assert who(proxy, "alice") == "alice"
    with refused():
        who(proxy, "zoe")
    assert held.execute("SELECT 1").fetchone() == (1,)
    held.close()

    lists.write_text('"broken')
    proxy.signal(signal.SIGHUP)
    proxy.logged(f"{lists}:1: a double quote is not closed")
    assert who(proxy, "alice") == "alice"


@pytest.mark.one_version
def test_a_list_that_others_may_read_is_warned_about(proving, lists):
    proxy = proving(passwords_of("alice"), start=False)
    lists.chmod(0o644)
    proxy.start()
    proxy.logged(re.compile(rf"WARNING.*{re.escape(str(lists))}", re.IGNORECASE))
    assert who(proxy, "alice") == "alice"


# ---- the console, and what is logged ----


@pytest.mark.parametrize("tls", [False, True], ids=["plaintext", "tls"])
def test_the_console_is_behind_the_list_too(proving, tls):
    proxy = proving(passwords_of("alice"), tls)
    with proxy.connect("segue", "alice", password=PASSWORDS["alice"], prepare_threshold=None) as conn:
        assert conn.execute(b"SHOW STATUS").fetchall() == []
    for name in ("alice", "nobody"):
        with refused() as told:
            proxy.connect("segue", name, password="wrong")
        assert f'password authentication failed for user "{name}"' in told.text


@pytest.mark.parametrize("tls", [False, True], ids=["plaintext", "tls"])
def test_no_secret_reaches_the_log(proving, tls_pg, tls):
    verifier = stored(tls_pg, "zoe")
    proxy = proving({**passwords_of("alice", "mia"), "zoe": verifier}, tls, log_level="debug")
    who(proxy, "alice")
    who(proxy, "zoe")
    if not tls:  # md5 cannot be bound
        who(proxy, "mia")
    for name in ("alice", "nobody"):
        with refused():
            proxy.connect("postgres", name, password="a wrong one")
    proxy.logged("password authentication failed")
    proxy.stop()
    log = proxy.log_text()
    for secret in (*SECRETS, "a wrong one", verifier, *verifier.split("$")[1:]):
        assert secret not in log
