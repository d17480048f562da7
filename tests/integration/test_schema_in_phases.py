"""What sessions of each schema version see of a migrating table, phase by phase."""

import json
import re

import psycopg
import pytest
from lib.operations import woken
from lib.tables import RENAME, make_items
from lib.wait import until

pytestmark = pytest.mark.newest_unless_told

OLD = ["id", "label", "note", "filler"]
NEW = ["id", "note", "filler", "title"]
BOTH = [*OLD, "title"]
NO_REWRITE = json.dumps([{"application_name": "plain", "rewrite": False}])


class Crowd:
    """One session of each kind, alive from before the migration to its end."""

    def __init__(self, proxy):
        self.sessions = {"old": proxy.connect(options="-c segue.schema=old"),
                         "new": proxy.connect(options="-c segue.schema=new"),
                         "follow": proxy.connect(), "plain": proxy.connect(application_name="plain")}

    def see(self, what="SELECT * FROM items WHERE id = 1", **options):
        """The columns that each sees, or the SQLSTATE it gets."""
        seen = {}
        for name, conn in self.sessions.items():
            try:
                seen[name] = [c.name for c in conn.execute(what, **options).description]
            except psycopg.Error as error:
                seen[name] = error.sqlstate
        return seen

    def close(self):
        for conn in self.sessions.values():
            conn.close()


@pytest.fixture
def crowd(db, segue):
    make_items(db, 100)
    proxy = segue(db, schema_rules=NO_REWRITE)
    crowd = Crowd(proxy)
    crowd.proxy = proxy
    yield crowd
    crowd.close()


def expect(old, new, follow, plain):
    return {"old": old, "new": new, "follow": follow, "plain": plain}


def test_a_star_means_the_session_s_schema_in_every_phase(crowd):
    proxy = crowd.proxy
    assert crowd.see() == expect(OLD, OLD, OLD, OLD)
    name = proxy.ready(RENAME)
    assert crowd.see() == expect(OLD, NEW, OLD, BOTH)
    proxy.cli("cutover", name)
    assert crowd.see() == expect(OLD, NEW, NEW, BOTH)
    proxy.cli("rollback", name)
    assert crowd.see() == expect(OLD, NEW, OLD, BOTH)
    proxy.cli("cutover", name)
    assert crowd.see() == expect(OLD, NEW, NEW, BOTH)
    proxy.cli("complete", name, "--force")
    assert crowd.see() == expect(NEW, NEW, NEW, NEW)


def test_a_star_that_is_prepared_means_the_same_through_all_phases(crowd):
    proxy = crowd.proxy
    del crowd.sessions["plain"], crowd.sessions["follow"]  # what these have prepared does change
    prepared = {"what": "SELECT i.* FROM items i WHERE id = 2", "prepare": True}
    assert crowd.see(**prepared) == {"old": OLD, "new": OLD}
    name = proxy.ready(RENAME)
    crowd.sessions["new"].close()
    crowd.sessions["new"] = proxy.connect(options="-c segue.schema=new")
    for verb in [None, "cutover", "rollback", "cutover"]:
        if verb:
            proxy.cli(verb, name)
        assert crowd.see(**prepared) == {"old": OLD, "new": NEW}, verb


def test_an_abort_leaves_everybody_the_old_schema(crowd):
    name = crowd.proxy.ready(RENAME)
    crowd.proxy.cli("abort", name)
    assert crowd.see() == expect(OLD, OLD, OLD, OLD)


def test_before_ready_a_new_column_is_not_read_and_the_error_says_how_far_it_is(crowd, tmp_path):
    proxy = crowd.proxy
    (tmp_path / "hold").touch()
    proxy.console(f"THROTTLE flag_file {tmp_path}/hold")
    proxy.begin(RENAME)
    proxy.wait_phase("rename_label", "backfilling")
    # the star of a new session reads it, too; who is not rewritten has no such protection
    assert crowd.see() == expect(OLD, "55000", OLD, BOTH)
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState) as refused:
        crowd.sessions["follow"].execute("SELECT count(*) FROM items WHERE title IS NULL")
    told = refused.value.diag
    assert told.message_primary.endswith('migration "rename_label" is backfilling')
    assert re.fullmatch(r"\d+ % of the way to ready, \d+( of about \d+)? rows filled\.", told.message_detail)
    assert "SHOW STATUS" in told.message_hint
    crowd.sessions["follow"].execute("INSERT INTO items (id, title) VALUES (1000, 'written')")  # may be written
    (tmp_path / "hold").unlink()
    proxy.wait_phase("rename_label", "ready")
    assert crowd.see() == expect(OLD, NEW, OLD, BOTH)
    assert crowd.sessions["old"].execute("SELECT label FROM items WHERE id = 1000").fetchone() == ("written",)


def test_positional_inserts_and_copies_count_the_columns_of_the_session_s_schema(crowd, db):
    name = crowd.proxy.ready(RENAME)
    rows = {"old": (2001, "a", "n", "f"), "new": (2002, "n", "f", "a"), "follow": (2003, "a", "n", "f")}
    for i, phase in enumerate(["ready", "soaking"]):
        if phase == "soaking":
            crowd.proxy.cli("cutover", name)
            rows["follow"] = (2003, "n", "f", "a")
        for who, row in rows.items():
            values = (row[0] + 10 * i, *row[1:])
            crowd.sessions[who].execute("INSERT INTO items VALUES (%s, %s, %s, %s)", values)
            assert db.sql(f"SELECT label, title, note, filler FROM items WHERE id = {values[0]}") == [("a", "a", "n", "f")]
            with crowd.sessions[who].cursor() as cur, cur.copy(f"COPY items FROM STDIN") as copy:
                copy.write_row((values[0] + 100, *values[1:]))
            assert db.sql(f"SELECT label, title, note, filler FROM items WHERE id = {values[0] + 100}") == [
                ("a", "a", "n", "f")]


def test_a_trigger_that_changes_the_old_column_is_obeyed_by_both(crowd, db):
    db.sql("CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS "
           "'BEGIN NEW.label := upper(NEW.label); RETURN NEW; END'")
    db.sql("CREATE TRIGGER shout BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION shout()")
    crowd.proxy.ready(RENAME)
    crowd.sessions["old"].execute("INSERT INTO items (id, label) VALUES (3000, 'loud')")
    assert db.sql("SELECT label, title FROM items WHERE id = 3000") == [("LOUD", "LOUD")]


def test_who_may_write_the_old_column_alone_may_still_write_it(crowd, db):
    db.sql("GRANT SELECT ON items TO app")
    crowd.proxy.ready(RENAME)
    db.sql("GRANT INSERT (id, label) ON items TO app")  # after expand has copied what there was

    def insert():
        try:
            return conn.execute("INSERT INTO items (id, label) VALUES (4000, 'mine')")
        except psycopg.errors.InsufficientPrivilege:
            woken(crowd.sessions["plain"])
            return None

    with crowd.proxy.connect(user="app", application_name="granted") as conn:
        until("the grant to be seen", insert)
    assert db.sql("SELECT label, title FROM items WHERE id = 4000") == [("mine", "mine")]


def test_a_partition_that_is_named_itself_shows_the_session_s_schema_too(db, segue):
    db.sql("CREATE TABLE items (id bigint, label text, note text) PARTITION BY RANGE (id)")
    db.sql("CREATE TABLE low PARTITION OF items FOR VALUES FROM (0) TO (100)")
    db.sql("CREATE TABLE high (note text, label text, id bigint)")  # another order
    db.sql("ALTER TABLE items ATTACH PARTITION high FOR VALUES FROM (100) TO (200)")
    db.sql("INSERT INTO items SELECT i, 'l', 'n' FROM generate_series(1, 150) i")
    proxy = segue(db)
    name = proxy.ready(RENAME)
    with proxy.connect(prepare_threshold=None) as conn:
        conn.execute("CREATE TABLE later PARTITION OF items FOR VALUES FROM (200) TO (300)")

        def stars():
            return {t: [c.name for c in conn.execute(f"SELECT * FROM {t}").description]
                    for t in ("items", "low", "high", "later")}

        until("the new partition to be known", lambda: stars()["later"] == ["id", "label", "note"])
        assert stars() == {"items": ["id", "label", "note"], "low": ["id", "label", "note"],
                           "high": ["note", "label", "id"], "later": ["id", "label", "note"]}
        conn.execute("INSERT INTO high VALUES ('n', 'positional', 160)")
        conn.execute("INSERT INTO later (id, label) VALUES (250, 'named')")
        proxy.cli("cutover", name)
        assert stars() == {"items": ["id", "note", "title"], "low": ["id", "note", "title"],
                           "high": ["note", "id", "title"], "later": ["id", "note", "title"]}
        assert conn.execute("SELECT title FROM items WHERE id IN (160, 250) ORDER BY id").fetchall() == [
            ("positional",), ("named",)]
