"""Somebody drops schema segue under a migration in flight, or the server has no room for another connection."""

import re

import psycopg
import pytest
from lib.operations import connected
from lib.shell import run_psql
from lib.tables import RENAME, make_items, out_of_step
from lib.traffic import PLAIN
from lib.wait import until

pytestmark = pytest.mark.one_version
NAME = RENAME["name"]


@pytest.mark.parametrize("phase", ["backfilling", "ready", "soaking"])
def test_a_dropped_store_is_one_error_and_clients_go_on(db, segue, phase):
    make_items(db, 300, filler=1000)
    proxy = segue(db)
    client = proxy.connect()
    if phase == "backfilling":
        proxy.cli("throttle", "rows_per_s", "20")
        proxy.begin(RENAME)
        proxy.wait(NAME, lambda r: int(r["rows_done"]) > 5)
    else:
        getattr(proxy, phase)(RENAME)
    db.sql("DROP SCHEMA segue CASCADE")
    assert "schema segue was dropped" in proxy.cli("abort", NAME, check=1).err  # who comes before the engine has noticed
    row = proxy.wait(NAME, lambda r: r["error"])
    assert "schema segue was dropped" in row["error"] and "segue doctor" in row["hint"]
    for command in (("abort", NAME), ("rollback", NAME), ("pause", NAME), ("start", proxy.file({**RENAME, "name": "b"}), "--detach")):
        assert "schema segue was dropped" in proxy.cli(*command, check=1).err
    # clients see what they saw: the gate is open, and no star has got wider
    column = "title" if phase == "soaking" else "label"
    client.execute(f"UPDATE items SET {column} = 'afterwards' WHERE id = 1")
    assert sorted(c.name for c in client.execute("SELECT * FROM items").description) == sorted(["id", "note", "filler", column])
    assert proxy.log_text().count(" ERROR ") + proxy.log_text().count("ERROR:") <= 1, proxy.log_tail()
    (wrong,) = [r for r in proxy.console("DOCTOR") if r["finding"] == "state dropped"]
    assert phase in wrong["what"]
    run_psql(wrong["command"])
    assert [r[0] for r in db.connect().execute("SELECT attname::text FROM pg_attribute WHERE attrelid = 'items'::regclass AND attnum > 0 "
                                               "AND NOT attisdropped ORDER BY attname")] == sorted(["id", "note", "filler", column])
    proxy.stop()
    proxy.start()
    if phase != "soaking":
        connected(proxy).ready(RENAME)
        assert out_of_step(db, PLAIN) == 0
        assert db.one("SELECT title FROM items WHERE id = 1") == "afterwards"


def narrow(db, slug, most):
    """A role that may be connected so often, and owns the table."""
    role = f"narrow_{slug}"[:60]
    db.sql(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT {most}; GRANT CREATE ON DATABASE \"{db.name}\" TO {role}; GRANT ALL ON SCHEMA public TO {role};"
           f"ALTER TABLE items OWNER TO {role}")
    return role


def let_go(db, role):
    db.sql(f"REASSIGN OWNED BY {role} TO postgres; DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_backfill_for_whose_vacuum_there_is_no_connection_goes_on_without(db, segue, slug):
    make_items(db, 300)
    role = narrow(db, slug, 2)
    proxy = segue(upstream=db.url(user=role))
    proxy.ready(RENAME)
    log = proxy.logged(re.compile("vacuum: .*too many connections"))
    assert "run ANALYZE public.items" not in log  # its own idle connection is in nobody's way
    proxy.stop()
    let_go(db, role)


def test_no_room_for_a_further_connection_is_waited_for_and_told(db, segue, pg, slug):
    make_items(db, 300)
    role = narrow(db, slug, 1)
    proxy = segue(upstream=db.url(user=role))
    client = proxy.connect(db.name)
    proxy.cli("throttle", "rows_per_s", "20")
    proxy.begin(RENAME)
    row = proxy.wait(NAME, lambda r: "too many connections" in (r["blockers"] or ""))
    assert row["phase"] == "backfilling" and not row["error"]
    client.execute("UPDATE items SET label = 'meanwhile' WHERE id = 1")
    assert client.execute("SELECT label FROM items WHERE id = 1").fetchone() == ("meanwhile",)
    with pytest.raises(psycopg.OperationalError):
        db.connect(user=role)
    db.sql(f"ALTER ROLE {role} CONNECTION LIMIT -1")
    row = proxy.wait(NAME, lambda r: r["rows_done"] > 0 and not r["blockers"])
    assert row["phase"] == "backfilling"
    # its own connection is gone, too, and somebody else has the place
    db.sql(f"ALTER ROLE {role} CONNECTION LIMIT 0")
    db.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'")
    proxy.logged(re.compile("lost its connection.*too many connections", re.S))
    client.execute("UPDATE items SET note = 'still' WHERE id = 2")
    db.sql(f"ALTER ROLE {role} CONNECTION LIMIT -1")
    until("the engine to obey", lambda: proxy.cli("throttle", "rows_per_s", "default", check=None).code == 0)
    proxy.wait_phase(NAME, "ready")
    assert not proxy.status(NAME)["blockers"] and out_of_step(db, PLAIN) == 0
    proxy.stop()
    let_go(db, role)
