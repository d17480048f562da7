"""What tests/rewrite excuses in a comparison, and what it does not: answers made by hand, without a server."""

import sys
from types import SimpleNamespace

import pytest
from lib.segue import REPO

sys.path.append(str(REPO / "tests"))

from rewrite.compare import Case, Pair  # noqa: E402
from rewrite.play import Step  # noqa: E402

INSERTS = "WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)"
DELETES = "WHEN MATCHED AND true THEN DELETE"
MERGE = f"WITH s AS (SELECT 1 AS id) MERGE INTO racks USING s ON s.id = racks.id {INSERTS} {DELETES}"
THERE, LACKS, TWICE, NO_TABLE, ZERO = "23505", "23502", "21000", "42P01", "22012"


def failed(code, message="no"):
    return ("error", ("sqlstate", code.encode()), ("message", message.encode()))


def judged(sql, one, other, side="old", follows=False):
    """What a Pair says to these answers of one step: None, or the difference."""
    rewriter = SimpleNamespace(ask=lambda step: {"text": step.sql}, doubt=lambda step: None, side=side, follows=follows)
    pair = Pair(None, None, {}, rewriter, {})
    return pair._judge(Case([Step(sql)]), [(one, other)])


@pytest.mark.parametrize("one, other", [(THERE, TWICE), (TWICE, THERE), (LACKS, TWICE), (LACKS, THERE)])
def test_a_merge_may_fail_for_either_of_two_rows(one, other):
    found = judged(MERGE, (failed(one),), (failed(other),))
    assert found and found.excused and found.doubt == "which row of a MERGE fails first"


NOTICE = ("notice", ("sqlstate", b"00000"))
DONE = ("result", "COMMAND_OK", b"MERGE 1", (), ())


@pytest.mark.parametrize("sql, one, other", [
    (MERGE, (failed(THERE),), (DONE,)),
    (MERGE, (DONE,), (failed(TWICE),)),
    (MERGE, (failed(THERE),), (failed(NO_TABLE),)),
    (MERGE, (failed(ZERO),), (failed(TWICE),)),
    (MERGE, (failed(THERE, "duplicate key"),), (failed(THERE, "duplicate kez"),)),
    (MERGE, (failed(THERE), NOTICE), (failed(TWICE),)),
    (MERGE, (failed(THERE), NOTICE), (failed(TWICE), ("notice", ("sqlstate", b"01000")))),
    (MERGE.replace(DELETES, ""), (failed(THERE),), (failed(TWICE),)),
    (MERGE.replace(INSERTS, ""), (failed(THERE),), (failed(TWICE),)),
    ("UPDATE racks SET id = 1", (failed(THERE),), (failed(LACKS),)),
], ids=["only one fails", "only the other fails", "no table", "an expression", "the same code", "a notice", "another notice",
        "nothing deletes", "nothing inserts", "no MERGE"])
def test_what_no_order_of_rows_explains_is_a_difference(sql, one, other):
    found = judged(sql, one, other)
    assert found and not found.excused


CLAIM = "SELECT claim FROM archive a JOIN notes n ON n.id = a.id"


def test_what_is_ambiguous_to_one_side_is_served_to_who_has_not_said_it():
    ambiguous = failed("42702", 'column reference "claim" is ambiguous')
    found = judged(CLAIM, (ambiguous,), (DONE,), "new", True)
    assert found and found.excused and found.doubt == "a name that only a new column makes ambiguous"
    for one, other, side, follows in ((ambiguous, DONE, "new", False), (ambiguous, DONE, "old", True), (DONE, ambiguous, "new", True),
                                      (failed("42703"), DONE, "new", True)):
        found = judged(CLAIM, (one,), (other,), side, follows)
        assert found and not found.excused
