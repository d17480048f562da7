"""What the tests of authentication share: roles, how a server asks for their passwords, user lists."""

import os
import shutil
from contextlib import contextmanager

import psycopg

from .cluster import unprivileged
from .wait import until

# name: (password, how the server keeps it; None: trusted)
ROLES = {
    "alice": ("alice's \"secret\"", "scram-sha-256"),
    "zoe": ("Zoë ﬁnds\u00a0it", "scram-sha-256"),  # SASLprep changes it
    "mia": ("mia's secret", "md5"),
    "tom": (None, None),
}
PASSWORDS = {name: password for name, (password, _) in ROLES.items()}
SECRETS = [password for password in PASSWORDS.values() if password]

HBA = """\
local all postgres trust
host all postgres 127.0.0.1/32 trust
host all tom 127.0.0.1/32 trust
host all mia 127.0.0.1/32 md5
host all all 127.0.0.1/32 scram-sha-256
"""


def armed(clusters, version, certs=None):
    """A cluster with the roles, which asks for their passwords; with certs it speaks TLS. Shared: one a session."""
    key = ("auth", version, certs is not None)
    if key not in clusters.shared:
        cluster = clusters.private(version)
        _arm(cluster)
        if certs:
            cluster.enable_tls(certs)
        clusters.shared[key] = cluster
    return clusters.shared[key]


def _arm(cluster):
    with cluster.connect() as conn:
        for name, (password, kept) in ROLES.items():
            conn.execute(f"SET password_encryption = '{kept or 'scram-sha-256'}'")
            conn.execute(f"CREATE ROLE {name} LOGIN")
            if password:
                conn.execute(psycopg.sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                    psycopg.sql.Identifier(name), psycopg.sql.Literal(password)))
    _write_hba(cluster, HBA)


def _write_hba(cluster, text):
    path = cluster.data / "pg_hba.conf"
    path.write_text(text, encoding="utf-8")
    if os.geteuid() == 0:
        shutil.chown(path, unprivileged(), unprivileged())
    with cluster.connect() as conn:
        conn.execute("SELECT pg_reload_conf()")
    until("the server to ask for passwords", lambda: _asks(cluster))


def _asks(cluster):
    try:
        cluster.connect(user="alice", password="wrong").close()
        return False
    except psycopg.OperationalError:
        return True


def stored(cluster, name):
    """The role's secret as the server keeps it."""
    with cluster.connect() as conn:
        return conn.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", (name,)).fetchone()[0]


def quoted(text):
    return '"' + text.replace('"', '""') + '"'


def write_list(path, secrets):
    """userlist.txt of a dict name: secret."""
    path.write_text("".join(f"{quoted(name)} {quoted(secret)}\n" for name, secret in secrets.items()), encoding="utf-8")
    path.chmod(0o600)
    return path


def passwords_of(*names):
    return {name: PASSWORDS[name] for name in names}


@contextmanager
def refused():
    """A login that fails; gives an object whose .text is what the client was told."""

    class Told:
        text = None

    told = Told()
    try:
        yield told
    except psycopg.OperationalError as error:
        told.text = str(error)
        return
    raise AssertionError("the login was not refused")
