"""The suite's own servers: what the other tests take for granted."""

import psycopg
import pytest
from lib.cluster import MD5_PASSWORD, MD5_USER, SCRAM_PASSWORD, SCRAM_USER


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
