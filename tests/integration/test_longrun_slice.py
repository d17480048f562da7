"""A slice of `make soak-migrate` (tests/longrun): there and back on a small table, one standby; killed and taken over."""

import sys

import pytest
from lib.segue import REPO

sys.path.append(str(REPO / "tests"))

from longrun.run import parse_arguments, run  # noqa: E402


@pytest.mark.one_version
@pytest.mark.deadline(180)
def test_migrations_there_and_back_under_traffic_lose_nothing_on_any_server(pg_version):
    args = parse_arguments(["--minutes", "0", "--rows", "3000", "--rows-per-s", "300", "--rate", "80", "--dwell", "20",
                            "--no-subscriber"])
    result = run(pg_version, args, away_s=1)
    assert result["failures"] == []
    assert len(result["migrations"]) == 2 and result["rows_checked"] > 100 and result["requests"] > 400
    assert [len(m["events"]) for m in result["migrations"]] == [2, 2]
