"""What people get wrong on the command line: one clear error, what to do, and the exit code of the README."""

import json
import subprocess

import pytest
from lib.segue import BUILD
from lib.tables import RENAME, make_items

pytestmark = pytest.mark.one_version


def test_a_server_that_is_no_console_is_told_from_one_that_is_away(db, segue):
    proxy = segue(db)
    for url in ("nonsense", "http://127.0.0.1/"):
        wrong = proxy.cli("status", "--server", url, check=2).err
        assert wrong.startswith(f"segue: not a connection URL: {url}\nhint: like postgresql://"), wrong
        assert proxy.cli("history", "--server", url, check=2).err == wrong
    for url in (db.url(), proxy.url()):
        for words in (["status"], ["cutover", "x"], ["history"]):
            done = proxy.cli(*words, "--server", url, check=3).err.splitlines()
            assert done[0] == f'segue: that is the database "{db.name}", and not segue\'s console', done
            assert done[1].startswith("hint: the console is the database \"segue\""), done
    assert proxy.cli("status").out == "no active migration\n"


def test_words_and_files_that_cannot_be_meant_are_refused_and_nothing_has_begun(db, segue, tmp_path):
    make_items(db, 20)
    proxy = segue(db)
    assert '"-5" is no limit' in proxy.cli("throttle", "rows_per_s", "-5", check=1).err
    proxy.cli("throttle", "query", "SELECT 0")
    assert "read-only" in proxy.cli("throttle", "query", "UPDATE items SET note = ''", check=1).err
    (query,) = [row for row in proxy.console("SHOW THROTTLE") if row["signal"] == "query"]
    assert (query["setting"], query["verdict"], query["reason"]) == ("SELECT 0", "go", "")
    for words in (["baseline", ""], ["status", ""], ["start", ""]):
        assert proxy.cli(*words, check=2).err.startswith(f"segue: {words[0]}: a word is empty\n")
    assert proxy.cli("resume", "--skip", check=2).err.startswith("segue: resume: --skip needs a NAME\n")
    quotes = tmp_path / "quotes.json"
    quotes.write_text("'" * 900000)
    long = proxy.cli("start", quotes, check=1).err
    assert "takes no message of" in long and "\nhint: at most " in long and "unexpectedly" not in long
    assert "(segue history) lists" in proxy.cli("status", "none", check=1).err
    none = proxy.cli("lint", tmp_path / "..", "--alembic", tmp_path, "--json")
    assert [row["severity"] for row in json.loads(none.out)] == ["warning"] * 2
    assert "no file ends with .json" in none.out and "no file ends with .py" in none.out
    assert proxy.console("SHOW MIGRATIONS") == []


def test_a_byte_order_mark_is_no_part_of_a_file(db, segue, tmp_path):
    make_items(db, 20)
    marked = tmp_path / "marked.json"
    marked.write_text("\ufeff" + json.dumps(RENAME), encoding="utf-8")
    config = tmp_path / "config.json"
    config.write_text('\ufeff{"batch_target_ms": 77}', encoding="utf-8")
    proxy = segue(db, arguments=["-c", config])
    assert [row["value"] for row in proxy.console("SHOW CONFIG") if row["option"] == "batch_target_ms"] == ["77"]
    assert "add title to public.items" in proxy.cli("plan", marked).out
    only = tmp_path / "only.json"
    only.write_text("\ufeff", encoding="utf-8")
    assert proxy.cli("plan", only, check=1).err == f"segue: {only}: empty\n"


def test_who_loses_segue_in_the_midst_of_a_command_is_told_where_to_look(db, segue):
    make_items(db, 20)
    proxy = segue(db)
    name = proxy.ready(RENAME)
    holder = db.connect()
    holder.execute("BEGIN; LOCK segue.migrations")  # so that the command has begun, and waits
    child = subprocess.Popen([f"{BUILD}/segue", "verify", name, "--server", proxy.server], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    proxy.logged("VERIFY")
    proxy.kill9()
    err = child.communicate(timeout=20)[1].splitlines()
    assert child.returncode == 3 and len(err) == 2, err
    assert err[0] == "segue: server closed the connection unexpectedly"
    assert err[1].startswith("hint: segue has ended, or started again: ") and "`segue status` tells how far it is" in err[1]
    holder.execute("ROLLBACK")
    proxy.start().at_work()
    assert proxy.status(name)["phase"] == "ready"
