"""A slice of `make faults` (tests/faults): named points x faults under load, chosen by a seed; two ways from each."""

import os
import sys

import pytest
from lib.operations import operation_names
from lib.segue import BUILD, REPO

sys.path.append(str(REPO / "tests"))

from faults.points import KINDS, table  # noqa: E402
from faults.run import campaign, parse_arguments  # noqa: E402
from faults.scene import SCENES  # noqa: E402

pytestmark = [pytest.mark.one_version, pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")]
# where most is at stake, one of each kind; the seed of the slice chooses the others
SURE = [("gate_ran/cutting_over", "vanish"), ("gate_committed/cutting_over", "kill_segue"), ("batch_sent", "kill_postgres"),
        ("gate_ran/reverting", "terminate"), ("gate_committed/contracting", "drop"), ("fill_begun", "disk")]


@pytest.mark.deadline(240)
def test_a_fault_at_a_point_loses_nothing_and_leaves_a_way_forward_and_back(pg_version):
    args = parse_arguments(["--build", str(BUILD.relative_to(REPO)), "--pg", str(pg_version), "--jobs", "1", "--seed", "3",
                            "--scenes", "few,names"])
    points = {point.text: point for point in table()}
    ways = ["forward", "back"] * 3
    assert campaign(args, [(points[text], kind, way) for (text, kind), way in zip(SURE, ways)]) == []


def test_the_table_of_points_has_every_place_where_state_is_made():
    points = table()
    names = {point.name for point in points}
    assert len(names) >= 40 and len(points) > 100 and len(KINDS) == 7
    assert len({point.text for point in points}) == len(points)


def test_every_operation_is_struck_at():
    assert {name for scene in SCENES.values() for op in scene.operations for name in op} == operation_names()
