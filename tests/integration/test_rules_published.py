"""When workers get new rules: with the phases, and when the catalog gives a name another meaning."""

import re

import psycopg
import pytest
from lib.tables import RENAME, make_items
from lib.wait import until


def epochs(proxy):
    text = proxy.log_text()
    assert "reading the catalog for the rules" not in text, text
    return [(int(e), int(n)) for e, n in re.findall(r"rules of epoch (\d+): (\d+) tables", text)]


def test_each_phase_that_shows_something_else_has_its_own_epoch(db, segue):
    make_items(db, 100)
    proxy = segue(db, log_level="debug")
    name = proxy.ready(RENAME)
    assert [n for _, n in epochs(proxy)] == [1, 1, 1]  # expanding, backfilling, ready
    proxy.cli("cutover", name)
    proxy.cli("rollback", name)
    assert [n for _, n in epochs(proxy)] == [1] * 6  # soaking, reverting, ready
    proxy.cli("abort", name)
    seen = epochs(proxy)
    assert [n for _, n in seen] == [1] * 7 + [0]
    assert [e for e, _ in seen] == sorted({e for e, _ in seen})


@pytest.mark.one_version
def test_the_epoch_grows_when_a_name_gets_another_meaning_and_only_then(db, segue):
    make_items(db, 100)
    proxy = segue(db, log_level="debug")
    proxy.ready(RENAME)
    other = db.connect()
    other.execute("CREATE TABLE of_no_interest (a int, b text)")
    meanings = ["CREATE TABLE another (title text)", "CREATE SCHEMA s CREATE SEQUENCE items",
                "CREATE TEMP TABLE items (a int)", "ALTER TABLE public.items ADD COLUMN more int",
                "ALTER TABLE another RENAME title TO t",
                "GRANT INSERT (label) ON public.items TO app", "REVOKE INSERT (label) ON public.items FROM app",
                "CREATE FUNCTION lower_label() RETURNS trigger LANGUAGE plpgsql AS "
                "'BEGIN NEW.label := lower(NEW.label); RETURN NEW; END'; "
                "CREATE TRIGGER lower_label BEFORE INSERT ON public.items FOR EACH ROW EXECUTE FUNCTION lower_label()"]
    for statement in meanings:
        before = epochs(proxy)
        other.execute(statement)
        until(f"an epoch for: {statement}", lambda: len(epochs(proxy)) == len(before) + 1)  # noqa: B023
    other.close()
    before = len(epochs(proxy))
    until("the temporary table's end", lambda: len(epochs(proxy)) == before + 1)


def test_what_is_read_of_the_catalog_is_read_again_after_a_restart_in_any_phase(db, segue):
    make_items(db, 100)
    proxy = segue(db, log_level="debug")
    proxy.ready(RENAME)
    before = epochs(proxy)
    proxy.restart()
    until("the rules of the new process", lambda: len(epochs(proxy)) > len(before))
    assert epochs(proxy)[-1][0] >= before[-1][0] and epochs(proxy)[-1][1] == 1


@pytest.mark.one_version
def test_what_early_readers_are_told_goes_on_within_one_epoch(db, segue):
    make_items(db, 400, filler=3500)
    proxy = segue(db, log_level="debug")
    proxy.console("THROTTLE rows_per_s 50")
    proxy.begin(RENAME)
    proxy.wait_phase("rename_label", "backfilling")
    told = set()

    def progress():
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState) as refused:
            conn.execute("SELECT title FROM items")
        told.add(re.match(r"(\d+) % of the way", refused.value.diag.message_detail)[1])
        return len(told) > 1

    with proxy.connect() as conn:
        until("progress", progress)
        assert len(epochs(proxy)) == 2  # expanding, backfilling
