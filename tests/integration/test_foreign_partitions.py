"""A partition that is a foreign table has no column that a migration adds, in its other server: none may come while one is in flight."""

import sys

import pytest
from lib.segue import BUILD, REPO
from test_guard_bypassed import RENAME, parts  # noqa: F401 - parts is a fixture

sys.path.append(str(REPO / "tests"))

from faults.stage import Told  # noqa: E402

pytestmark = pytest.mark.one_version
FAR = ("CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere",
       "CREATE FOREIGN TABLE items_far PARTITION OF items FOR VALUES FROM (900) TO (999) SERVER nowhere")
GONE = "ALTER TABLE items DETACH PARTITION items_far; DROP FOREIGN TABLE items_far"


def test_a_foreign_partition_that_comes_in_flight_is_refused(parts, segue):  # noqa: F811
    """The columns that the table has got since are not there in the other server: from the turn on its clients would miss them."""
    proxy = segue(parts)
    proxy.ready(RENAME)
    parts.sql(FAR[0])
    for here, commands in (("ready", [("cutover", "m")]), ("soaking", [("rollback", "m"), ("complete", "m", "--force")])):
        parts.sql(FAR[1])
        for command in commands:
            refused = proxy.cli(*command, check=1).err
            assert "partition public.items_far is a foreign table" in refused and "DETACH PARTITION public.items_far" in refused, refused
        assert proxy.phase("m") == here
        parts.sql(GONE)
        proxy.cli(*commands[-1])
    assert proxy.phase("m") in ("contracting", "done")


def test_a_foreign_partition_that_comes_in_the_last_moment_is_refused(parts, segue):  # noqa: F811
    parts.sql(FAR[0])
    told = Told(lambda point: parts.sql(FAR[1]))
    proxy = segue(parts, start=False, cutover_attempts_max=1,
                  environment={"SEGUE_FAULT": "gate_closed/cutting_over:tell", "SEGUE_FAULT_SOCKET": told.path})
    proxy.program = BUILD / "faults" / "segue"
    proxy.start()
    proxy.ready(RENAME)
    refused = proxy.cli("cutover", "m", check=4).err
    assert "partition public.items_far is a foreign table" in refused and "DETACH PARTITION public.items_far" in refused, refused
    assert proxy.phase("m") == "ready"
    parts.sql(GONE)
    proxy.cli("cutover", "m")
    told.close()
