"""Whatever a migration stops at, in each phase: resume goes on once the cause is gone, rollback goes back although it is not."""

import pytest
from lib import catalog
from lib.tables import make_items
from lib.wait import until

pytestmark = pytest.mark.one_version
RICH = ("CREATE INDEX ix_label ON items (label); ALTER TABLE items ALTER label SET NOT NULL, "
        "ADD CONSTRAINT label_long CHECK (length(label) > 0)")
# phase -> what of segue's own writing the server refuses then: the mark of a step, a watermark, a result, the marker
CAUSES = {
    "expanding": "INSERT ON segue.steps",
    "backfilling": "UPDATE ON segue.progress",
    "building": "INSERT ON segue.steps",
    "verifying": "INSERT ON segue.verifications",
    "cutting_over": "UPDATE ON segue.migrations FOR EACH ROW WHEN (NEW.phase = 'soaking')",
    "reverting": "UPDATE ON segue.migrations FOR EACH ROW WHEN (NEW.phase = 'ready')",
    "contracting": "INSERT ON segue.steps",
    "aborting": "INSERT ON segue.steps",
}
# an exception, a full disk; each in every other phase
STATES = ["P0001", "53100"]


class Cause:
    def __init__(self, db):
        self.db = db

    def comes(self, phase, state):
        each = CAUSES[phase] if "WHEN" in CAUSES[phase] else CAUSES[phase] + " FOR EACH ROW"
        then = "backfilling" if phase == "building" else phase
        self.db.sql(f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN "
                    f"IF EXISTS (SELECT 1 FROM segue.migrations WHERE finished_at IS NULL AND phase = '{then}') THEN "
                    f"RAISE EXCEPTION 'not today' USING ERRCODE = '{state}'; END IF; RETURN NEW; END$$; "
                    f"CREATE TRIGGER refuse BEFORE {each} EXECUTE FUNCTION refuse(); "
                    f"ALTER TABLE {CAUSES[phase].split()[2]} ENABLE ALWAYS TRIGGER refuse")  # batches keep others quiet

    def goes(self):
        self.db.sql("DROP FUNCTION refuse CASCADE")


def stopped(proxy, name, phase, state):
    """Waits until it has stopped; the failure outlives a kill."""
    rest = {"building": "backfilling", "cutting_over": "ready", "reverting": "soaking"}.get(phase, phase)
    row = proxy.wait(name, lambda r: r["error"] and r["phase"] == rest, what=f"{name} to stop in {phase}")
    assert "not today" in row["error"], row
    (wrong,) = [r for r in proxy.console(f"DOCTOR {name}") if r["weight"] == "wrong"]
    assert wrong["finding"] == ("disk full" if state == "53100" else "gave up" if rest != phase and phase != "building"
                                else "stopped")
    assert wrong["command"].startswith("segue ")
    proxy.restart().at_work()
    proxy.wait(name, lambda r: r["error"], what="the failure to be known after a start")
    return wrong["command"].split()[1:]


def before(db):
    with db.connect() as conn:
        now = catalog.whole(conn)
    now["functions"].pop("refuse()", None)
    return now


@pytest.mark.parametrize("state", STATES)
def test_before_the_cutover_rollback_goes_back_and_resume_goes_on(db, segue, state):
    migration, _ = make_items(db, 100, more=RICH)
    name = migration["name"]
    proxy = segue(db)
    db.sql("CREATE SCHEMA elsewhere")
    plain = before(db)
    proxy.ready(migration)  # so that schema segue is there
    proxy.cli("abort", name)
    cause = Cause(db)
    for phase in ("expanding", "backfilling", "building", "verifying", "cutting_over")[STATES.index(state)::2]:
        for way in "rollback", "resume":
            cause.comes(phase, state)
            if phase == "cutting_over":
                proxy.ready(migration)
                proxy.cli("cutover", name, check=None)
            else:
                proxy.begin(migration)
            command = stopped(proxy, name, phase, state)
            if way == "rollback":
                proxy.cli("rollback", name)
                cause.goes()
                assert catalog.traces(db.connect()) == [] and catalog.difference(before(db), plain) == []
                continue
            proxy.cli(*command, check=None)  # nothing has changed: it stops again, and can go on all the same
            until("it to stop again", lambda: proxy.status(name)["error"])
            cause.goes()
            proxy.cli(*command)
            proxy.wait_phase(name, "soaking" if phase == "cutting_over" else "ready")
            proxy.cli("rollback", name)
            if phase == "cutting_over":
                proxy.cli("abort", name)
            assert catalog.traces(db.connect()) == []


def test_after_the_cutover_each_command_works_again_once_the_cause_is_gone(db, segue):
    migration, _ = make_items(db, 100, more=RICH)
    name = migration["name"]
    proxy = segue(db)
    proxy.soaking(migration)
    db.sql("UPDATE items SET title = 'by the new' WHERE id = 1")
    cause = Cause(db)

    cause.comes("reverting", "P0001")
    proxy.cli("rollback", name, check=None)
    assert stopped(proxy, name, "reverting", "P0001") == ["rollback", name]
    cause.goes()
    proxy.cli("rollback", name)
    assert proxy.phase(name) == "ready" and db.one("SELECT label FROM items WHERE id = 1") == "by the new"

    cause.comes("aborting", "53100")
    proxy.cli("abort", name, check=None)
    assert stopped(proxy, name, "aborting", "53100") == ["resume", name]
    cause.goes()
    proxy.cli("resume", name)
    proxy.wait_phase(name, "aborted")
    assert catalog.traces(db.connect()) == []

    proxy.soaking(migration)
    cause.comes("contracting", "P0001")
    proxy.cli("complete", name, "--force", check=None)
    assert stopped(proxy, name, "contracting", "P0001") == ["resume", name]
    assert "no way back" in proxy.cli("rollback", name, check=1).err
    cause.goes()
    proxy.cli("resume", name)
    proxy.wait_phase(name, "done")
    assert db.one("SELECT title FROM items WHERE id = 1") == "by the new" and catalog.traces(db.connect()) == []
