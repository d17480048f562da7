"""A slice of `make transparency` (tests/transparency): the corpus direct and through segue, byte for byte."""

import sys

import pytest
from lib.segue import REPO

sys.path.append(str(REPO / "tests" / "transparency"))

import passes  # noqa: E402
import play  # noqa: E402

pytestmark = pytest.mark.newest_unless_told

# of the ways to start a session two; the campaign has them all
SCRIPTS = [s for s in play.scripts() if not s.env or s.name in ("settings options", "settings_refused value")]
MODES = [("binary", "types", None), ("pipeline", "changes", None), ("prepared", "queries", None)]


@pytest.mark.deadline(120)
def test_nobody_can_tell_it_from_a_direct_connection_while_a_migration_is_active(pg, tmp_path):
    passes.build_player()
    corpus = passes.Corpus(pg, tmp_path, SCRIPTS, MODES)
    direct, through = corpus.run("ready", through=False), corpus.run("ready", through=True)
    assert sum(map(len, direct.values())) > 1_000_000
    bad = passes.differences(direct, through)
    assert not bad, "\n".join(f"{name}\n{text}" for name, text in bad.items())
