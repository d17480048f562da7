"""Much data over TLS on both legs: nothing is lost, changed or piled up."""

import hashlib
import threading
from pathlib import Path

import pytest
from lib.wait import SLOW, until

pytestmark = [pytest.mark.one_version, pytest.mark.deadline(180)]

BYTES = 100 << 20
LINE = 1024  # with its newline
CHUNK = 1 << 20
GROWTH_MAX = 16 << 20  # bytes: several times what the buffers of one session may hold


@pytest.fixture
def proxy(segue, tls_db, certs):
    out = segue(tls_db, upstream=tls_db.url() + f"?sslmode=verify-full&sslrootcert={certs.ca}",
                client_tls="require", client_tls_cert_file=certs.server.cert, client_tls_key_file=certs.server.key)
    with out.connect(sslmode="require") as conn:  # both legs, or the tests below are for nothing
        assert conn.pgconn.ssl_in_use
        assert conn.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone() == (True,)
    return out


def lines(first, count):
    """Distinct lines of LINE bytes, that repeat nothing at the boundaries of records."""
    return b"".join(b"%d %s\n" % (i, b"x" * (LINE - 2 - len(str(i)))) for i in range(first, first + count))


def rss(proxy):
    for line in Path(f"/proc/{proxy.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024


def waits_for(db, event):
    return db.one("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY%%' AND wait_event = %s", event)


def digest(copy):
    out, size = hashlib.sha256(), 0
    for block in copy:
        out.update(block)
        size += len(block)
    return size, out.hexdigest()


def test_copy_of_100_mb_in_and_out_is_the_same_byte_for_byte(proxy, tls_db):
    tls_db.sql("CREATE UNLOGGED TABLE t (line text)")
    sent, step = hashlib.sha256(), CHUNK // LINE
    with proxy.connect(sslmode="require") as conn:
        with conn.cursor().copy("COPY t FROM STDIN") as copy:
            for first in range(0, BYTES // LINE, step):
                block = lines(first, step)
                sent.update(block)
                copy.write(block)
        with conn.cursor().copy("COPY t TO STDOUT") as copy:
            assert digest(copy) == (BYTES, sent.hexdigest())
    with tls_db.connect().cursor().copy("COPY t TO STDOUT") as copy:
        assert digest(copy) == (BYTES, sent.hexdigest())


def test_a_client_that_does_not_read_stops_the_server_and_memory_stays(proxy, tls_db):
    out = f"COPY (SELECT i || repeat('y', {LINE}) FROM generate_series(1, 60000) i) TO STDOUT"
    with tls_db.connect().cursor().copy(out) as copy:
        wanted = digest(copy)
    with proxy.connect(sslmode="require") as conn:
        before = rss(proxy)
        with conn.cursor().copy(out) as copy:
            first = copy.read()
            until("the server to wait for its client", lambda: waits_for(tls_db, "ClientWrite"), 30)
            grown = rss(proxy) - before
            if SLOW == 1:
                assert grown < GROWTH_MAX
            rest = b"".join(bytes(block) for block in copy)
    assert (len(first) + len(rest), hashlib.sha256(bytes(first) + rest).hexdigest()) == wanted


def test_a_server_that_does_not_read_stops_the_client_and_memory_stays(proxy, tls_db):
    tls_db.sql("""CREATE UNLOGGED TABLE t (line text);
        CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN NULL; END$$;
        CREATE TRIGGER hold BEFORE INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION hold()""")
    holder = tls_db.connect()
    holder.execute("SELECT pg_advisory_lock(7)")
    data, written, sent = lines(0, 60000), threading.Event(), [0]

    with proxy.connect(sslmode="require") as conn:
        before = rss(proxy)

        def write():
            with conn.cursor().copy("COPY t FROM STDIN") as copy:
                for at in range(0, len(data), CHUNK):
                    copy.write(data[at:at + CHUNK])
                    sent[0] = at
            written.set()

        thread = threading.Thread(target=write)
        thread.start()
        try:
            until("the server to be held", lambda: waits_for(tls_db, "advisory"), 30)
            last = [-1]

            def stands():
                last[0], same = sent[0], last[0] == sent[0]
                return same

            until("the client to be stopped", stands, 30, every=0.5)
            assert not written.is_set()
            if SLOW == 1:
                assert rss(proxy) - before < GROWTH_MAX
        finally:
            holder.execute("SELECT pg_advisory_unlock(7)")
            thread.join(60)
        assert written.is_set()
        with conn.cursor().copy("COPY t TO STDOUT") as copy:
            assert digest(copy) == (len(data), hashlib.sha256(data).hexdigest())
