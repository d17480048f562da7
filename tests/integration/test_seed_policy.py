"""A chain of migrations whose past somebody had rewritten: lint and start say each of the things that were wrong
with it, and nothing of it as it was put right."""

import json
import shutil
from pathlib import Path

import pytest
from lib.operations import complete

pytestmark = pytest.mark.one_version

FILES = Path(__file__).parent / "files" / "004_policy"
NAMES = sorted(path.stem for path in FILES.iterdir())
COLUMN = "ALTER TABLE signposts ADD openai_prep_confidence text"


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(FILES, tmp_path / "migrations"))


def lint(proxy, *args, server=False):
    where = ("--server", proxy.server) if server else ()
    out = proxy.cli("lint", *args, *where, "--json", check=None, server=False)
    return [(row["code"], row["text"]) for row in json.loads(out.out)]


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_chain_as_it_was_broken_is_refused_and_as_it_was_put_right_it_is_not(segue, folder):
    proxy = segue(upstream="postgresql://nobody@127.0.0.1:1/none", start=False)
    assert lint(proxy, folder) == []
    for late in NAMES[-3:]:  # before the merge was written
        (folder / f"{late}.yaml").unlink()
    assert lint(proxy, folder) == [("heads", "2 heads: 023_dedup_hash_unique, 027_rich_metadata")]
    shutil.copytree(FILES, folder, dirs_exist_ok=True)
    (folder / "023_unique_dedup.yaml").unlink()
    assert lint(proxy, folder) == [
        ("unknown", 'migration "024_composite_indexes" is after "023_unique_dedup", which is nowhere')]
    # what they did about it then: another parent for 024, in a file that was applied long ago
    edit(folder / "024_composite_indexes.yaml", "after: 023_unique_dedup", "after: 023_dedup_hash_unique")
    assert lint(proxy, folder) == [], "of itself, the folder cannot know"
    shutil.copytree(FILES, folder, dirs_exist_ok=True)
    edit(folder / "026_concurrent_indexes.yaml", "create_index: {name: idx_events_confidence, table: events, columns: [confidence]}",
         "sql: {up: CREATE INDEX idx_events_confidence ON events (confidence), down: DROP INDEX idx_events_confidence}")
    assert ("sql", "statement 1, CREATE INDEX of events: nobody could write to the table while it is built") in lint(proxy, folder)
    edit(folder / "028_merge_heads.yaml", "operations: []", f"operations: [{{sql: {{up: {COLUMN}}}}}]")
    assert any("merges them: it has no operations" in text for _, text in lint(proxy, folder))


def test_what_is_applied_stays_as_it_was_and_the_chain_goes_forward_only(db, segue, folder):
    proxy = segue(db)

    def go(name):  # from the second 023 to 027 there are two heads
        proxy.cli("migrate", folder / f"{name}.yaml", *(["--branch"] if name in NAMES[2:7] else []))
        if name != "028_merge_heads":
            complete(proxy, name)

    for name in NAMES[:-3]:
        go(name)
    later = NAMES[-3:]
    for name in later:
        (folder / f"{name}.yaml").unlink()
    assert "2 heads" in str(lint(proxy, folder, server=True))
    shutil.copytree(FILES, folder, dirs_exist_ok=True)
    assert lint(proxy, folder, server=True) == []
    # what had been done: an applied file deleted, one with another parent, one edited, a column by a script
    (folder / "023_unique_dedup.yaml").unlink()
    edit(folder / "024_composite_indexes.yaml", "after: 023_unique_dedup", "after: 023_dedup_hash_unique")
    edit(folder / "027_rich_metadata.yaml", "operations:", "operations:\n  - sql: {up: SELECT 1}")
    db.sql(COLUMN)
    found = lint(proxy, folder, server=True)
    assert {code for code, _ in found} >= {"deleted", "parents", "changed", "drift"}, found
    for name, code in (("023_unique_dedup", "deleted"), ("024_composite_indexes", "parents"), ("027_rich_metadata", "changed")):
        assert any(code == what and name in text for what, text in found), (name, found)
    assert "it is not what was recorded last" in proxy.cli("start", FILES / "028_merge_heads.yaml", check=1).err
    # and what puts it right
    shutil.copytree(FILES, folder, dirs_exist_ok=True)
    db.sql("ALTER TABLE signposts DROP openai_prep_confidence")
    for name in later:
        go(name)
    assert lint(proxy, folder, server=True) == []
    assert db.one("SELECT count(*) FROM pg_attribute WHERE attrelid = 'signposts'::regclass AND attname = 'openai_prep_confidence'") == 1
    db.sql("INSERT INTO signposts VALUES (1, 'a', 'economic')")
    assert db.one("SELECT count(*) FROM segue.applied") == len(NAMES)
