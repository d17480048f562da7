"""A slice of `make drivers` (tests/drivers): programs of the drivers at hand, direct and through segue."""

import sys

import pytest
from lib.segue import REPO

sys.path.append(str(REPO / "tests" / "drivers"))

import modes  # noqa: E402
import programs  # noqa: E402

AT_HAND = [p for p in programs.PROGRAMS if p.in_test]


@pytest.mark.one_version
@pytest.mark.deadline(240)
def test_drivers_see_the_same_over_tls_while_a_migration_swings_between_its_sides(private_pg, certs, tmp_path):
    for program in AT_HAND:
        programs.build(program)
    (mode,) = [m for m in modes.through(private_pg, certs, tmp_path) if m.name == "tls-scram-moving"]
    seen = []
    for one in (modes.DIRECT, mode):
        with modes.enter(one, private_pg, tmp_path) as settings:
            seen.append(programs.run_all(AT_HAND, settings, lambda: modes.clean(private_pg)))
    direct, through = seen
    bad = {name: programs.trouble(lines, direct[name]) for name, lines in through.items()}
    assert not any(bad.values()), "\n".join(f"{name}: {line}" for name, lines in bad.items() for line in lines)
