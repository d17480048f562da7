"""Two segues on one database, clients through both: cut-overs and ways back by the one, of which the other learns a little later."""

import pytest
from lib.operations import beside
from lib.tables import KINDS, make_items, out_of_step
from lib.traffic import Traffic
from lib.wait import until

pytestmark = [pytest.mark.one_version, pytest.mark.deadline(150)]
TURNS = 10
BACK = {"plain": None, "json": "segue.json_or_wrap(payload)", "cents": "cents / 100.0"}


@pytest.mark.parametrize("kind", KINDS)
def test_clients_of_both_lose_nothing_over_ten_turns_to_and_fro(db, segue, kind):
    migration, pair = make_items(db, 300, kind)
    name = migration["name"]
    first = segue(db, cutover_attempts_max=50)
    first.ready(migration)
    second = beside(segue, db, first, rules_wait_ms=60000)
    with Traffic(first.connect, pair) as here, Traffic(second.connect, pair, seed=2) as there:
        there.FIRST_ID = 50_000_000
        for traffic in (here, there):
            traffic.start("old", 2).start("new", 2).flows(20)
        for _ in range(TURNS):
            for command, phase in (("cutover", "soaking"), ("rollback", "ready")):
                first.cli(command, name)
                here.flows(5)
                there.flows(5)
                until(f"the second to know of {phase}", lambda phase=phase: second.phase(name) == phase)
        for traffic in (here, there):
            traffic.stop()
    assert out_of_step(db, pair, BACK[kind]) == 0
    for traffic, others in ((here, there), (there, here)):
        traffic.assert_no_errors()
        traffic.writers = traffic.writers + others.writers  # one table: each row is somebody's
    here.verify(db)
