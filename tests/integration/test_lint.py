"""segue lint: folders of migrations against themselves, and against the database."""

import json
import os

import pytest
from lib.versions import Alembic, Drizzle

pytestmark = pytest.mark.one_version


def put(folder, name, after=None, text=None, **more):
    """more: fields in place of what they would be."""
    body = {"name": name, "operations": [{"add_column": {
        "table": "items", "column": {"name": name, "type": "text", "nullable": True}}}], **more}
    if after:
        body["after"] = after
    path = folder / f"{name}.json"
    path.write_text(text or json.dumps(body, indent=1))
    return path


def lint(proxy, *args, check=1, server=False):
    """(code, text) of each finding."""
    if not server:  # a default address at which nobody is
        args = (*args, "--json")
    else:
        args = (*args, "--server", proxy.server, "--json")
    out = proxy.cli("lint", *args, check=check, server=False)
    return [(row["code"], row["text"]) for row in json.loads(out.out)]


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "migrations"
    path.mkdir()
    return path


def test_what_is_no_file_in_a_folder_is_told_and_not_waited_for(segue, folder):
    proxy = segue(upstream="postgresql://nobody@127.0.0.1:1/none", start=False)
    put(folder, "a")
    os.mkfifo(folder / "pipe.json")
    (folder / "folder.yaml").mkdir()
    (folder / "zero.yml").write_bytes(b"name: a\0b")
    (folder / "latin.json").write_bytes(b'{"name": "\xe9"}')
    (folder / "deep.json").write_text("[" * 100000)
    (folder / "empty.json").write_text("")
    texts = [text.removeprefix(f"{folder}/") for _, text in lint(proxy, folder)]
    assert sorted(text.split(":")[0] for text in texts) == [
        "deep.json", "empty.json", "folder.yaml", "latin.json", "pipe.json", "zero.yml"]
    # a command that is given it, too
    assert "empty" in proxy.cli("plan", folder / "pipe.json", check=1, timeout=20, server=False).err


def test_a_folder_is_checked_without_a_database(segue, folder):
    proxy = segue(upstream="postgresql://nobody@127.0.0.1:1/none", start=False)
    put(folder, "a")
    put(folder, "b", "a")
    assert lint(proxy, folder, check=0) == []
    assert "without a database; 0 errors" in proxy.cli("lint", folder, server=False).out
    put(folder, "c", "a")
    assert lint(proxy, folder) == [("heads", "2 heads: b, c")]
    assert "hint: merge them" in proxy.cli("lint", folder, check=1, server=False).out
    put(folder, "c")
    assert f'hint: write "after": "b" into {folder}/c.json' in proxy.cli("lint", folder, check=1, server=False).out
    put(folder, "c", "a")
    put(folder, "m", ["b", "c"], operations=[])
    assert lint(proxy, folder, check=0) == []
    put(folder, "m2", ["m", "nope"], operations=[])
    assert lint(proxy, folder) == [("unknown", 'migration "m2" is after "nope", which is nowhere')]
    put(folder, "m2", "m", text=(folder / "a.json").read_text())
    assert [code for code, _ in lint(proxy, folder)] == ["duplicate"]
    put(folder, "m2", "m", text='{"name": "m2",\n "after": "m",\n "operations": [{"nope": {}}]}')
    put(folder, "b", "m")
    found = lint(proxy, folder)
    assert found[0][0] == "file" and f"{folder}/m2.json:3: operations[0]: there is no operation" in found[0][1]
    assert found[1] == ("cycle", 'migration "m" is after "b", which comes after it itself')
    out = proxy.cli("lint", folder, "--server", "postgresql://127.0.0.1:1/segue", server=False, check=3)
    assert "segue serve" in out.err
    assert "cannot open the folder" in proxy.cli("lint", folder / "nope", server=False, check=1).err


def test_a_folder_is_checked_against_what_was_applied(db, segue, folder):
    db.sql("CREATE TABLE items (id int PRIMARY KEY)")
    proxy = segue(db)
    for name, after in (("a", None), ("b", "a")):
        proxy.begin(json.loads(put(folder, name, after).read_text()))
        # as it was started: the file of the folder is what was applied
        (folder / f"{name}.json").write_text((proxy.folder / f"{name}.json").read_text())
        proxy.wait_phase(name, "ready")
        proxy.cli("cutover", name)
        if name == "a":
            proxy.cli("complete", name)
    put(folder, "c", "b")
    assert lint(proxy, folder, check=0, server=True) == []
    was = (folder / "a.json").read_text()
    (folder / "a.json").write_text(was + "\n")
    (folder / "b.json").write_text((folder / "b.json").read_text().replace('"a"', '"c"'))
    found = lint(proxy, folder, server=True)
    assert [code for code, _ in found] == ["changed", "parents"]
    assert 'migration "b" is in flight after a, the file says c' in found[1][1]
    (folder / "a.json").unlink()
    (folder / "b.json").unlink()
    assert [text for code, text in lint(proxy, folder, server=True) if code == "deleted"] == [
        'migration "a" is applied, and there is no file of that name',
        'migration "b" is in flight, and there is no file of that name']
    proxy.cli("complete", "b")
    # a baseline stands for what came before it; drift is found without a folder, too
    db.sql("CREATE TABLE past (id int)")
    assert lint(proxy, server=True) == [("drift", "added past segue")]
    proxy.cli("baseline", "--force", "--note", "known")
    put(folder, "c")
    told = proxy.cli("lint", folder, check=1).out
    assert "2 heads: baseline, c" in told and f'hint: write "after": "baseline" into {folder}/c.json' in told
    put(folder, "c", "baseline")
    assert lint(proxy, folder, check=0, server=True) == []


def test_alembics_folder_is_checked_by_the_same_rules(db, segue, tmp_path):
    alembic = Alembic(tmp_path / "alembic", db.url())
    alembic.revision("r1")
    alembic.revision("r2", "r1")
    three = alembic.revision("r3", "r1")
    alembic.revision("r4", ("r2", "r3"))
    alembic.run("upgrade", "head")
    proxy = segue(db)
    args = ("--alembic", alembic.folder)
    assert lint(proxy, *args, check=0, server=True) == []
    path = alembic.versions / "r5.py"
    path.write_text('"""about\ndown_revision = "no"\n"""\nfrom typing import Union\n\nrevision: str = "r5"  # five\n'
                    'down_revision: Union[str, None] = (\n    "r4",  # four\n)\n')
    assert lint(proxy, *args, check=0, server=True) == []
    alembic.revision("r6", "r4")
    assert lint(proxy, *args, server=True) == [("heads", "2 heads: r5, r6")]
    assert alembic.run("heads").count("(head)") == 2
    path.unlink()
    three.unlink()
    assert lint(proxy, *args, server=True) == [("unknown", 'revision "r4" is after "r3", which is nowhere')]
    (alembic.versions / "r4.py").unlink()
    (alembic.versions / "r6.py").unlink()
    assert ("alembic", "the database is at revision r4, which the folder does not have") in lint(proxy, *args, server=True)
    db.sql("INSERT INTO alembic_version VALUES ('r2')")
    assert lint(proxy, server=True) == [("alembic", "the database is at 2 heads: r2, r4")]
    path.write_text("revision = 'r5'\ndown_revision = r4\n")
    assert ("alembic", "down_revision is no literal") in lint(proxy, *args)


def test_drizzles_folder_is_checked_by_the_same_rules(db, segue, tmp_path):
    drizzle = Drizzle(tmp_path / "drizzle")
    drizzle.add("0000_a", 1000, "CREATE TABLE a (id int)")
    drizzle.add("0001_b", 2000, "CREATE TABLE b (id int)", "0000_a")
    drizzle.migrate(db.url())
    proxy = segue(db)
    args = ("--drizzle", drizzle.folder)
    assert lint(proxy, *args, check=0, server=True) == []
    drizzle.add("0001_c", 1500, "CREATE TABLE c (id int)", "0000_a")
    drizzle.entries[2]["idx"] = 1
    drizzle.write()
    (drizzle.folder / "0001_b.sql").write_text("CREATE TABLE b (id bigint)")
    (drizzle.folder / "stray.sql").write_text("SELECT 1")
    texts = [text for _, text in lint(proxy, *args, server=True)]
    for want in ('entry "0001_c" has idx 1 and stands at 2', 'entry "0001_c" is not later than "0001_b"',
                 "no entry of the journal names it", "2 heads: 0001_b, 0001_c", "it is applied with SHA-256",
                 "later entries are applied, and it is not: drizzle never runs it"):
        assert [text for text in texts if want in text], (want, texts)
    # what lint says of the one in between is so
    (drizzle.folder / "0001_b.sql").write_text("CREATE TABLE b (id int)")
    drizzle.migrate(db.url())
    assert db.one("SELECT to_regclass('c')::text") is None
    del drizzle.entries[1:]
    drizzle.write()
    assert "the database has the entry of 2000, which the journal does not have" in [
        text for _, text in lint(proxy, *args, server=True)]


def test_an_index_that_would_block_writers_of_a_live_table_is_found_in_the_text(segue, folder):
    proxy = segue(upstream="postgresql://nobody@127.0.0.1:1/none", start=False)
    put(folder, "a", operations=[{"sql": {"up": "CREATE TABLE n (id int); CREATE INDEX n_id ON n (id);"
                                                 "CREATE TABLE t AS SELECT 1 AS a; CREATE INDEX t_a ON t (a)", "down": "DROP TABLE n"}},
                                 {"create_table": {"name": "made", "columns": [{"name": "id", "type": "int"}]}},
                                 {"sql": {"up": "CREATE INDEX made_id ON made (id)"}}])
    assert lint(proxy, folder, check=0) == []
    put(folder, "b", "a", operations=[{"sql": {"up": "CREATE INDEX n_late ON n (id)"}},
                                      {"sql": {"up": "CREATE INDEX CONCURRENTLY n_later ON n (id)"}}])
    assert lint(proxy, folder) == [
        ("sql", "statement 1, CREATE INDEX of n: nobody could write to the table while it is built"),
        ("sql", "statement 1, CREATE INDEX: it cannot run in a transaction, and a migration's steps do")]
    out = proxy.cli("lint", folder, server=False, check=1).out
    assert f"error: {folder}/b.json:6: statement 1, CREATE INDEX of n" in out and "hint: use create_index" in out
