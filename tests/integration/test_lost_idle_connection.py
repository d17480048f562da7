"""The engine's connection is lost while it idles: the next command finds that out and is obeyed."""

import pytest
from lib.tables import RENAME, make_items
from lib.wait import until

pytestmark = pytest.mark.one_version
NAME = RENAME["name"]


def lose(db):
    """Ends the engine's backends; segue is told nothing but the end of its socket."""
    with db.connect() as conn:
        pids = [pid for (pid,) in conn.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'segue' AND datname = current_database()")]
        assert pids
        conn.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s) AS pid", (pids,))
        until("its backends to be gone", lambda: conn.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s)", (pids,)).fetchone() == (0,))


def test_the_first_command_after_the_loss_is_obeyed(db, segue):
    make_items(db, 100)
    proxy = segue(db)
    proxy.ready(RENAME)
    for command, phase in (("cutover", "soaking"), ("rollback", "ready"), ("verify", "ready"), ("cutover", "soaking")):
        lose(db)
        proxy.cli(command, NAME)
        assert proxy.phase(NAME) == phase
    lose(db)
    proxy.cli("complete", NAME, "--force")
    assert proxy.phase(NAME) == "done"


def test_the_first_command_after_a_restart_of_the_server_is_obeyed(private_db, segue):
    db = private_db
    make_items(db, 100)
    proxy = segue(db)
    proxy.ready(RENAME)
    for command, phase in (("cutover", "soaking"), ("rollback", "ready")):
        db.cluster.crash()
        db.cluster.start()
        proxy.cli(command, NAME)
        assert proxy.phase(NAME) == phase
