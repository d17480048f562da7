"""Somebody cancels what the engine asks before its gate closes: an attempt like any other."""

import contextlib
import sys
import threading

import pytest
from lib.segue import BUILD, REPO
from lib.tables import RENAME, make_items
from lib.wait import until

sys.path.append(str(REPO / "tests"))

from faults.stage import Told  # noqa: E402

pytestmark = pytest.mark.one_version
CANCEL = ("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = "
          "'segue' AND query LIKE 'SELECT string_agg(o::regclass%' AND wait_event_type = 'Lock'")


class Canceller:
    """At a point: the next statement that looks up a name waits for us, and is cancelled there."""

    def __init__(self, db):
        self.db, self.failed, self.done = db, None, threading.Event()
        self.told = Told(self.hear)

    def hear(self, _):
        """What is known of schemas is forgotten and cannot be read again, until the statement was cancelled."""
        conn = self.db.connect()
        conn.execute("VACUUM FULL pg_namespace")
        conn.execute("BEGIN")
        conn.execute("LOCK TABLE pg_namespace IN ACCESS EXCLUSIVE MODE")
        threading.Thread(target=self.cancel, args=(conn,), daemon=True).start()

    def cancel(self, conn):
        try:
            with contextlib.closing(conn):
                until("the statement to be cancelled", lambda: conn.execute("SELECT pg_stat_clear_snapshot()") and
                      any(hit for (hit,) in conn.execute(CANCEL)), 60, 0.005)
        except BaseException as error:  # pylint: disable=broad-except
            self.failed = error
        self.done.set()


@pytest.mark.parametrize("way", ["cutover", "rollback"])
def test_a_cancel_before_the_gate_closes_is_tried_again_as_any_other(db, segue, way):
    make_items(db, 50)
    canceller = Canceller(db)
    at = {"cutover": "cutting_over", "rollback": "reverting"}[way]
    proxy = segue(db, start=False, environment={"SEGUE_FAULT": f"gate_look/{at}:tell",
                                                "SEGUE_FAULT_SOCKET": canceller.told.path})
    proxy.program = BUILD / "faults" / "segue"
    proxy.start()
    (proxy.ready if way == "cutover" else proxy.soaking)(RENAME)
    proxy.cli(way, RENAME["name"])
    canceller.told.close()
    assert canceller.done.wait(60) and not canceller.failed
    kind = {"cutover": "cutover", "rollback": "revert"}[way]
    tries = [(r["outcome"], r["error"]) for r in proxy.console(f"SHOW ATTEMPTS {RENAME['name']}") if r["kind"] == kind]
    assert tries == [("lock", "canceling statement due to user request"), ("done", None)]
