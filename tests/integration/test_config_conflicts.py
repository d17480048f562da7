"""Options that cannot be meant together, and files that are not there: one error, which names what to set."""

import os
import signal
import subprocess

import psycopg
import pytest
from lib.segue import PROGRAM

pytestmark = pytest.mark.one_version

UPSTREAM = "postgresql://127.0.0.1:1/none"
NOWHERE = "/nonexistent/file"


def serve(*words):
    """Exit code and standard error of a `serve` that must not start."""
    done = subprocess.run([str(PROGRAM), "serve", "--upstream", UPSTREAM, "--listen", "127.0.0.1:0",
                           *map(str, words)], capture_output=True, text=True, timeout=20, check=False)
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.mark.parametrize(("words", "text", "hint"), [
    (["--client-tls", "require"], "client_tls asks for TLS", "set client_tls_cert_file and client_tls_key_file"),
    (["--client-tls-cert-file", "CERT"], "client_tls_key_file is not", "set client_tls_key_file"),
    (["--client-tls-key-file", "KEY"], "client_tls_cert_file is not", "set client_tls_cert_file"),
    (["--client-tls-ca-file", "CERT"], "without a certificate", "set client_tls_cert_file and client_tls_key_file"),
    (["TLS", "--client-tls-crl-file", "CERT"], "client_tls_ca_file is not", "set client_tls_ca_file"),
    (["TLS", "--client-tls", "verify-full"], "nobody vouches", "set client_tls_ca_file"),
    (["TLS", "--auth", "cert"], "clients cannot show certificates", "client_tls_ca_file"),
    (["--auth", "scram"], "there is no user list", "set auth_file"),
    (["--tls-version-min", "TLSv1.3", "--tls-version-max", "TLSv1.2"], "tls_version_min is above tls_version_max", "TLSv1.3"),
    (["--tls-version-max", "TLSv1.2", "--upstream", f"{UPSTREAM}?ssl_min_protocol_version=TLSv1.3"],
     "no TLS version is left for the upstream", "ssl_min_protocol_version"),
    (["--auth", "password"], "inside TLS only", "set client_tls_cert_file and client_tls_key_file"),
    (["--auth", "scram", "--auth-file", NOWHERE], f"{NOWHERE}: cannot open", "auth_file names"),
    (["TLS", "--client-tls-ca-file", NOWHERE], f'root certificates "{NOWHERE}"', "client_tls_ca_file"),
    (["--client-tls-cert-file", NOWHERE, "--client-tls-key-file", "KEY"], f'certificate "{NOWHERE}"',
     "client_tls_cert_file"),
])
def test_what_cannot_be_meant_ends_the_start_and_says_what_to_set(certs, words, text, hint):
    pair = {"CERT": [certs.server.cert], "KEY": [certs.server.key],
            "TLS": ["--client-tls-cert-file", certs.server.cert, "--client-tls-key-file", certs.server.key]}
    code, said = serve(*[word for name in words for word in pair.get(name, [name])])
    assert code == 2
    first, second = said.splitlines()
    assert text in first
    assert second.startswith("hint: ")
    assert hint in second


@pytest.mark.parametrize("text", ["alice", "=alice", "alice=", "a=b,c"])
def test_a_map_of_certificates_without_a_user_is_refused(text):
    code, said = serve("--cert-map", text)
    assert code == 2
    assert 'option "cert_map" must be a list of COMMON-NAME=USER' in said


def test_a_list_that_nobody_can_use_is_warned_about(db, segue, tmp_path):
    users = tmp_path / "userlist.txt"
    users.write_text(f'"bare" "x"\n"old" "md5{"a" * 32}"\n"bare" ""\n', encoding="ascii")
    users.chmod(0o600)
    segue(db, auth_file=users).logged(f"{users} is not used")
    proxy = segue(db, auth="scram", auth_file=users, failed_login_delay_ms=0)
    proxy.logged(f"1 users in {users} cannot log in")
    proxy.logged(f"{users}:1: the user is on a later line again")
    for user, why in (("old", "an md5 hash"), ("bare", "no password for this user"), ("nobody", "not have this user")):
        with pytest.raises(psycopg.OperationalError, match=f'failed for user "{user}"$'):
            proxy.connect(user=user, password="x")
        proxy.logged(why)


def test_a_refused_reload_logs_no_change(db, segue, tmp_path):
    path = tmp_path / "segue.json"
    path.write_text('{"idle_timeout_s": 100}')
    proxy = segue(db, arguments=["-c", path])
    path.write_text('{"idle_timeout_s": 200, "auth": "scram"}')
    proxy.signal(signal.SIGHUP)
    proxy.logged("the old configuration stays: auth is")
    with proxy.connect("segue", "x", autocommit=True) as console:
        values = {row[0]: row[1] for row in console.execute("SHOW CONFIG")}
    assert (values["idle_timeout_s"], values["auth"]) == ("100", "pass-through")
    proxy.stop()
    assert "is now" not in proxy.log_text()


def test_a_command_that_is_not_let_in_is_told_so(db, segue, tmp_path):
    users = tmp_path / "userlist.txt"
    users.write_text('"ops" "right"\n', encoding="ascii")
    users.chmod(0o600)
    proxy = segue(db, auth="scram", auth_file=users, failed_login_delay_ms=0)
    proxy.logged("engine is connected")

    def status(userinfo, port=proxy.port):
        env = {**os.environ, "SEGUE_SERVER": f"postgresql://{userinfo}@127.0.0.1:{port}/segue"}
        done = subprocess.run([str(PROGRAM), "status"], capture_output=True, text=True, timeout=20, check=False,
                              env=env)
        return done.returncode, done.stderr

    assert status("ops:right") == (0, "")
    for userinfo in ("ops:wrong", "ops"):
        code, said = status(userinfo)
        assert code == 3
        assert "does not let you in" in said
    code, said = status("ops:right", 1)
    assert code == 3
    assert "is `segue serve` running there?" in said
