"""A slice of `make races` (tests/races): names of tables swing under drivers that prepare eagerly."""

import sys

import pytest
from lib.segue import REPO

sys.path.append(str(REPO / "tests"))

from races import run  # noqa: E402
from races.programs import PROGRAMS  # noqa: E402

IN_TEST = ("asyncpg", "psycopg3", "postgres.js")


@pytest.mark.one_version
@pytest.mark.deadline(120)
def test_names_that_swing_under_eager_drivers_give_no_error_and_no_wrong_row(db, segue):
    chosen = [program for program in PROGRAMS if program.name in IN_TEST]
    assert len(chosen) == len(IN_TEST)
    done, failed = run.race(db, segue(db), chosen, 4, "slice")
    assert not failed, "\n".join(done + failed)
