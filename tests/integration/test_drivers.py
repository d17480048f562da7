"""A slice of `make drivers` (tests/drivers): programs of the drivers at hand, direct and through segue."""

import sys

import pytest
from lib.segue import REPO

sys.path.append(str(REPO / "tests" / "drivers"))

import modes  # noqa: E402
import programs  # noqa: E402

AT_HAND = [p for p in programs.PROGRAMS if p.in_test]
MOVING = next(m for m in modes.THROUGH if m.moving)


@pytest.mark.one_version
@pytest.mark.deadline(180)
def test_drivers_see_the_same_while_a_migration_swings_between_its_sides(pg, tmp_path):
    seen = []
    for program in AT_HAND:
        programs.build(program)
    for mode in (modes.DIRECT, MOVING):
        with modes.enter(mode, pg, tmp_path) as settings:
            seen.append(programs.run_all(AT_HAND, settings, lambda: modes.clean(pg)))
    direct, through = seen
    bad = {name: programs.trouble(lines, direct[name]) for name, lines in through.items()}
    assert not any(bad.values()), "\n".join(line for lines in bad.values() for line in lines)
