"""The backfill beside an application: updates, locks, pauses, rewrites, triggers, bad rows."""

import time

import pytest
from lib.tables import KINDS, RENAME, make_items, out_of_step
from lib.traffic import PLAIN, Traffic
from lib.wait import until

pytestmark = pytest.mark.one_version
# 2000 rows of 4 kB: a thousand blocks, so that a slowed backfill has many batches
WIDE = {"rows": 2000, "filler": 3500}


def slow(proxy, rows_per_s):
    proxy.console(f"THROTTLE rows_per_s {rows_per_s}")


def fast(proxy):
    proxy.console("THROTTLE rows_per_s off")


def filled(db):
    return db.one("SELECT count(*) FROM items WHERE title IS NOT NULL")


def backfilling(proxy, db, migration=RENAME, rows_per_s=50):
    """Begins and comes back in the middle of a slowed backfill, which goes on for long."""
    slow(proxy, rows_per_s)
    proxy.begin(migration)
    proxy.wait_phase(migration["name"], "backfilling")
    until("the backfill to have begun", lambda: 0 < filled(db))
    assert proxy.phase(migration["name"]) == "backfilling"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("revision", ["old", "new"])
def test_writes_during_the_backfill_are_kept(db, segue, kind, revision):
    migration, pair = make_items(db, 4000, kind, filler=1500)
    # the new writers read, too, which waits for ready where statements are looked at
    proxy = segue(db) if revision == "old" else segue(db, schema_rules='[{"user": "*", "rewrite": false}]')
    slow(proxy, 50)
    with Traffic(proxy.connect, pair) as traffic:
        if revision == "old":
            traffic.start("old", 3).flows(30)
        proxy.begin(migration)
        proxy.wait_phase(migration["name"], "backfilling")
        if revision == "new":
            traffic.start("new", 3).flows(30)
        # rows that the backfill has yet to reach change too
        conn = proxy.connect()
        conn.execute("UPDATE items SET note = 'touched' WHERE id % 7 = 0")
        conn.execute(f"UPDATE items SET {pair.old} = {pair.old} WHERE id % 11 = 0")
        conn.execute("DELETE FROM items WHERE id <= 4000 AND id % 13 = 0")
        traffic.flows(30)
        assert proxy.phase(migration["name"]) == "backfilling"
        slow(proxy, 3000)
        traffic.flows(100)
        proxy.wait_phase(migration["name"], "ready")
        traffic.flows(30)
        traffic.stop()
        traffic.verify(db)
    up = migration["operations"][0]["rename_column"].get("up")
    assert out_of_step(db, pair, up) == 0
    status = proxy.status(migration["name"])
    assert int(status["rows_bad"]) == 0 and int(status["rows_verified"]) > 3500


def test_locked_rows_are_skipped_and_revisited(db, segue):
    make_items(db, **WIDE)
    proxy = segue(db)
    proxy.console("THROTTLE rows_per_s 1")
    proxy.begin(RENAME)
    proxy.wait_phase("rename_label", "backfilling")
    # the end of the table, where the slowed backfill has not been yet
    holder = db.connect(autocommit=False)
    holder.execute("SELECT * FROM items WHERE id > 1500 AND id % 100 = 0 FOR UPDATE")
    fast(proxy)
    until("every other row to be filled", lambda: filled(db) >= WIDE["rows"] - 5)
    # it cannot be ready while they are locked, and must not have failed
    status = proxy.status("rename_label")
    assert status["phase"] == "backfilling" and status["error"] is None
    assert filled(db) == WIDE["rows"] - 5
    holder.rollback()
    proxy.wait_phase("rename_label", "ready")
    assert out_of_step(db, PLAIN) == 0


def test_a_row_that_a_trigger_leaves_as_it_is_is_not_taken_for_a_locked_one(db, segue):
    """It would be revisited for ever: verify finds it, and says which it is."""
    make_items(db, **WIDE, more="""
        CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$;
        CREATE TRIGGER keep BEFORE UPDATE ON items FOR EACH ROW WHEN (OLD.id = 1700) EXECUTE FUNCTION keep();
        ALTER TABLE items ENABLE ALWAYS TRIGGER keep""")
    proxy = segue(db)
    proxy.console("THROTTLE rows_per_s 1")
    proxy.begin(RENAME)
    proxy.wait_phase("rename_label", "backfilling")
    holder = db.connect(autocommit=False)
    holder.execute("SELECT * FROM items WHERE id = 1701 FOR UPDATE")
    fast(proxy)
    until("every other row to be filled", lambda: filled(db) == WIDE["rows"] - 2)
    holder.rollback()
    row = proxy.wait("rename_label", lambda r: r["error"])
    assert "verify found 1 of" in row["error"] and "a BEFORE trigger" in row["hint"]
    assert db.one("SELECT sample -> 0 ->> 'id' FROM segue.verifications ORDER BY id DESC LIMIT 1") == "1700"
    db.sql("DROP TRIGGER keep ON items")
    proxy.cli("resume", "rename_label")
    proxy.wait_phase("rename_label", "ready")


def test_the_application_never_waits_long_for_a_batch(db, segue):
    make_items(db, **WIDE)
    proxy = segue(db)
    with Traffic(proxy.connect) as traffic:
        traffic.start("old", 2).flows(20)
        proxy.begin(RENAME)
        proxy.wait_phase("rename_label", "ready")
        traffic.stop().assert_no_errors()
        assert traffic.worst_s() < 2


@pytest.mark.parametrize("held", [False, True], ids=["free", "held"])
def test_values_that_are_stored_out_of_line_are_no_more_to_a_batch_than_it_may_write(db, segue, held):
    """All rows are in two blocks: who writes one of them waits for some of the others, not for all; nor does a kill begin anew."""
    db.sql("CREATE TABLE items (id bigint PRIMARY KEY, label text, note text); ALTER TABLE items ALTER label SET STORAGE EXTERNAL;"
           "INSERT INTO items SELECT i, repeat(chr(64 + i % 50), CASE WHEN i = 77 THEN 90000 ELSE 9000 END) FROM generate_series(1, 200) i")
    assert db.one("SELECT max(ctid) < '(3,0)' FROM items")
    proxy = segue(db, batch_wal_bytes_max=65536)
    if held:
        backfilling(proxy, db, rows_per_s=1)
        holder = db.connect(autocommit=False)
        holder.execute("SELECT * FROM items WHERE id % 40 = 0 FOR UPDATE")
        fast(proxy)
        until("every other row to be filled", lambda: filled(db) == 195)
        assert db.one("SELECT count(*) FROM segue.skipped") == db.one("SELECT count(DISTINCT (ctid::text::point)[0]) FROM items WHERE title IS NULL")
        proxy.restart()
        holder.rollback()
    else:
        proxy.begin(RENAME)
    proxy.wait_phase("rename_label", "ready")
    assert out_of_step(db, PLAIN) == 0 and "repair pass" not in proxy.log_text()
    # eight of them are enough, and so is the large one by itself
    batches = db.sql("SELECT count(*)::int FROM items WHERE id % 40 <> 0 GROUP BY xmin::text ORDER BY 1 DESC")
    assert batches[0][0] <= 8 and len(batches) >= 22, batches


def test_pause_holds_and_resume_goes_on(db, segue):
    make_items(db, **WIDE)
    proxy = segue(db)
    backfilling(proxy, db)
    proxy.cli("pause", "rename_label")
    row = proxy.wait("rename_label", lambda r: r["paused"])
    assert row["phase"] == "backfilling"
    fast(proxy)
    # a batch may have been under way; then nothing more
    seen = []

    def still():
        seen.append(filled(db))
        return len(seen) > 15 and len(set(seen[-15:])) == 1

    until("the backfill to stand still", still, every=0.05)
    assert seen[-1] < WIDE["rows"]
    proxy.cli("resume", "rename_label")
    proxy.wait_phase("rename_label", "ready")
    assert proxy.status("rename_label")["paused"] is False
    assert out_of_step(db, PLAIN) == 0


def test_rows_per_s_is_kept_and_shown_as_the_reason(db, segue):
    make_items(db, 4000, filler=3500)
    proxy = segue(db)
    backfilling(proxy, db, rows_per_s=400)
    proxy.wait("rename_label", lambda r: "rows_per_s" in (r["throttle"] or ""))
    signals = {row["signal"]: row for row in proxy.console("SHOW THROTTLE")}
    assert float(signals["rows_per_s"]["limit"]) == 400
    # 400 rows a second: two seconds may bring 800 and a batch, by no means all
    begun = db.one("SELECT clock_timestamp()")
    first = filled(db)
    until("two seconds", lambda: db.one("SELECT clock_timestamp() - %s > '2 s'", begun), every=0.1)
    gained, took_s = filled(db) - first, db.one("SELECT extract(epoch FROM clock_timestamp() - %s)::float8", begun)
    assert gained < 400 * took_s + 500
    fast(proxy)
    proxy.wait_phase("rename_label", "ready")


@pytest.mark.parametrize("front", ["id % 500 <> 0", "true"], ids=["nearly empty", "empty"])
def test_rows_per_s_is_kept_behind_a_front_that_is(db, segue, front):
    make_items(db, 200000)
    db.sql(f"DELETE FROM items WHERE id <= 180000 AND {front}")
    proxy = segue(db)
    slow(proxy, 500)

    def gained():
        return db.one("SELECT sum(rows)::int FROM segue.progress")

    begun = db.one("SELECT clock_timestamp()")
    proxy.begin(RENAME)
    proxy.wait_phase("rename_label", "backfilling")
    until("the backfill to have come to the dense part", lambda: (gained() or 0) > 500)
    # a fifth of a second's rows, or a block of about 130, is a batch
    for _ in range(10):
        rows, took_s = gained(), db.one("SELECT extract(epoch FROM clock_timestamp() - %s)::float8", begun)
        assert rows < 500 * took_s + 300
        until("more of it", lambda: gained() > rows)
    fast(proxy)
    proxy.wait_phase("rename_label", "ready")
    assert out_of_step(db, PLAIN) == 0


def test_the_remaining_time_is_told_when_there_is_a_basis(db, segue):
    make_items(db, 40000)
    proxy = segue(db)
    slow(proxy, 100)
    proxy.begin(RENAME)
    since, seen = time.monotonic(), []

    def look():
        row = proxy.status("rename_label")
        if row["phase"] == "backfilling":
            seen.append((time.monotonic() - since, None if row["eta_s"] is None else float(row["eta_s"])))
        return row

    until("a basis", lambda: look()["eta_s"] is not None, 30, every=0.05)
    assert seen[0][1] is None and seen[-1][0] > 2, seen  # the first moments tell nothing
    assert 200 < seen[-1][1] < 800, seen
    # forty times as fast: what was known is not told any more, then what is true
    slow(proxy, 4000)
    since, seen = time.monotonic(), []
    until("the end", lambda: look()["phase"] == "ready", 60, every=0.05)
    end = seen[-1][0]
    wrong = [(at, eta) for at, eta in seen if 2 < at < end - 2 and eta is not None
             and not (end - at) / 1.7 - 1 < eta < (end - at) * 1.7 + 1]
    assert wrong == [] and [eta for at, eta in seen if at > 2 and eta is not None], seen


def test_the_estimate_knows_of_an_empty_front(db, segue):
    make_items(db, 200000)
    db.sql("DELETE FROM items WHERE id <= 100000; UPDATE items SET label = NULL WHERE id % 2 = 0 AND id > 195000")
    proxy = segue(db)
    slow(proxy, 25000)
    proxy.console("THROTTLE nice_ratio 100")  # the front is passed at no rows, so only this keeps it in sight
    proxy.begin(RENAME)
    seen = []

    def ended():
        row = proxy.status("rename_label")
        if int(row["rows_done"] or 0) and not (seen and seen[-1]["rows_done"]):
            proxy.console("THROTTLE nice_ratio off")
        if row["phase"] == "backfilling" and int(row["rows_total"]):
            seen.append({k: float(row[k] or 0) for k in ("progress", "rows_done", "rows_total", "eta_s")})
        return row["phase"] == "ready"

    until("it to be ready", ended, 60, every=0.05)
    assert [r for r in seen if r["rows_done"] == 0] and [r for r in seen if 20000 < r["rows_done"] < 80000]
    for r in seen:
        assert 0.7 * 97500 < r["rows_total"] < 1.3 * 97500, seen
        assert r["rows_done"] <= r["rows_total"] and r["progress"] <= 50 and r["eta_s"] >= 0
    # the front is no half of the work
    assert max(r["progress"] for r in seen if r["rows_done"] < 5000) < 10
    assert [r["progress"] for r in seen] == sorted(r["progress"] for r in seen)


def test_the_throttle_command_shows_and_sets(db, segue):
    proxy = segue(db)
    assert "rows_per_s" in proxy.cli("throttle").out
    proxy.cli("throttle", "rows_per_s", "123")
    assert [float(r["limit"]) for r in proxy.console("SHOW THROTTLE") if r["signal"] == "rows_per_s"] == [123]
    proxy.cli("throttle", "rows_per_s", "default")
    assert "nosuch" in proxy.cli("throttle", "nosuch", "1", check=1).err
    proxy.cli("throttle", "rows_per_s", "many", check=1)


def test_user_triggers_do_not_fire_in_the_backfill(db, segue):
    make_items(db, 1000, more="""
        CREATE TABLE fired (id bigint);
        CREATE FUNCTION note_it() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN INSERT INTO fired VALUES (NEW.id); RETURN NEW; END$$;
        CREATE TRIGGER noter AFTER UPDATE ON items FOR EACH ROW EXECUTE FUNCTION note_it();
        CREATE TRIGGER before_noter BEFORE UPDATE ON items FOR EACH ROW EXECUTE FUNCTION note_it();""")
    proxy = segue(db)
    proxy.ready(RENAME)
    assert db.one("SELECT count(*) FROM fired") == 0
    proxy.connect().execute("UPDATE items SET label = 'x' WHERE id = 1")
    assert db.one("SELECT count(*) FROM fired") == 2


def test_vacuum_full_during_the_backfill_starts_the_pass_again(db, segue):
    make_items(db, **WIDE)
    proxy = segue(db)
    backfilling(proxy, db)
    # rows move to other blocks: those at the end come to the front
    db.sql("DELETE FROM items WHERE id % 2 = 0 AND id < 500")
    db.sql("VACUUM FULL items")
    fast(proxy)
    proxy.wait_phase("rename_label", "ready")
    assert out_of_step(db, PLAIN) == 0
    # the backfill itself has noticed, not the verify after it
    assert "repair pass" not in proxy.logged("its pass begins again")


def test_a_table_that_takes_the_name_is_not_filled_in_place_of_the_one_that_had_it(db, segue):
    make_items(db, **WIDE)
    proxy = segue(db)
    backfilling(proxy, db)
    db.sql("BEGIN; ALTER TABLE items RENAME TO items_before; CREATE TABLE items (LIKE items_before INCLUDING ALL);"
           "INSERT INTO items (id, label) SELECT id, label FROM items_before; COMMIT")
    fast(proxy)
    until("the one that it was to be filled", lambda: not db.one("SELECT count(*) FROM items_before WHERE title IS DISTINCT FROM label"))
    assert filled(db) == 0
    db.sql("DROP TABLE items; ALTER TABLE items_before RENAME TO items")
    proxy.wait_phase("rename_label", "ready")


def test_truncate_during_the_backfill_is_no_trouble(db, segue):
    make_items(db, **WIDE)
    proxy = segue(db)
    backfilling(proxy, db)
    proxy.connect().execute("TRUNCATE items")
    proxy.connect().execute("INSERT INTO items (id, label) VALUES (1, 'after')")
    fast(proxy)
    proxy.wait_phase("rename_label", "ready")
    assert db.sql("SELECT label, title FROM items") == [("after", "after")]


def test_text_that_is_no_json_is_wrapped_and_comes_back(db, segue):
    migration, pair = make_items(db, 500, "json")
    bad = {7: "", 8: "Traceback: 'x'", 9: "{\"a\": ", 10: "NaN", 11: 'a "quoted" \\ line\nbreak'}
    for row, text in bad.items():
        db.sql("UPDATE items SET payload = %s WHERE id = %s", text, row)
    db.sql("UPDATE items SET payload = NULL WHERE id = 12")
    proxy = segue(db)
    name = proxy.soaking(migration)
    wrapped = dict(db.sql("SELECT id, body ->> 'segue_invalid_json' FROM items WHERE body ? 'segue_invalid_json'"))
    assert wrapped == bad
    assert int(proxy.status("to_json")["rows_wrapped"]) == len(bad)
    assert int(proxy.console("VERIFY to_json")[0]["rows_wrapped"]) == len(bad)
    assert db.sql("SELECT payload, body FROM items WHERE id = 12") == [(None, None)]
    proxy.cli("rollback", name)
    assert dict(db.sql("SELECT id, payload FROM items WHERE id = ANY(%s)", list(bad))) == bad


CAST = {"name": "cast", "operations": [{"rename_column": {
    "table": "items", "from": "payload", "to": "body", "type": "jsonb"}}]}


def test_an_up_that_fails_on_a_row_is_refused_and_the_row_named(db, segue):
    make_items(db, 500, "json")
    db.sql("UPDATE items SET payload = 'no json' WHERE id = 77")
    proxy = segue(db)
    refused = proxy.cli("start", proxy.file(CAST), check=1).err
    assert "payload" in refused and "ctid" in refused and "json_or_wrap" in refused


def test_an_up_that_fails_on_a_row_written_after_the_plan_stops_the_migration(db, segue):
    make_items(db, 500, "json")
    holder = db.connect(autocommit=False)
    holder.execute("UPDATE items SET payload = 'no json' WHERE id = 77")
    proxy = segue(db)
    proxy.begin(CAST)
    proxy.wait_phase("cast", "expanding")
    holder.commit()
    row = proxy.wait("cast", lambda r: r["error"])
    assert "json" in row["error"].lower() and row["phase"] in ("backfilling", "expanding")
    assert row["hint"]
    proxy.cli("abort", "cast")
    assert proxy.phase("cast") == "aborted"
    assert db.one("SELECT payload FROM items WHERE id = 77") == "no json"


def test_a_check_that_comes_in_the_backfill_and_that_rows_do_not_meet_stops_it(db, segue):
    """NOT VALID, as one is added in production: the server refuses the batch's UPDATE of such a row."""
    make_items(db, **WIDE)
    proxy = segue(db)
    backfilling(proxy, db)
    db.sql("ALTER TABLE items ADD CONSTRAINT late CHECK (id <> 1999) NOT VALID")
    fast(proxy)
    row = proxy.wait("rename_label", lambda r: r["error"])
    assert row["phase"] == "backfilling" and "late" in row["error"], row
    db.sql("ALTER TABLE items DROP CONSTRAINT late")
    proxy.cli("resume", "rename_label")
    proxy.wait_phase("rename_label", "ready")


def test_verify_counts_rows_that_were_put_out_of_step(db, segue):
    make_items(db, 500)
    proxy = segue(db)
    proxy.ready(RENAME)
    conn = db.connect()
    with conn.transaction():
        conn.execute('ALTER TABLE items DISABLE TRIGGER "~segue_guard"')
        conn.execute("UPDATE items SET title = 'smuggled' WHERE id IN (5, 6, 7)")
        conn.execute('ALTER TABLE items ENABLE ALWAYS TRIGGER "~segue_guard"')
    proxy.cli("verify", "rename_label", check=None)
    assert int(proxy.status("rename_label")["rows_bad"]) == 3
    # such a migration is not cut over as it is: refused, or repaired first
    done = proxy.cli("cutover", "rename_label", check=None)
    if done.code == 0:
        assert out_of_step(db, PLAIN) == 0
    else:
        assert proxy.phase("rename_label") != "soaking"


def test_the_tables_stay_small(db, segue):
    make_items(db, 3000, filler=500)
    db.sql("VACUUM FULL items")
    before = db.one("SELECT pg_relation_size('items')")
    proxy = segue(db, vacuum_rows=300)
    proxy.ready(RENAME)
    assert db.one("SELECT pg_relation_size('items')") < 1.7 * before


def test_a_relation_that_a_trigger_does_not_find_stops_the_backfill(db, segue):
    make_items(db, 500, more="""
        CREATE FUNCTION far() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO audit VALUES (NEW.id); RETURN NEW; END$$;
        CREATE SCHEMA app; CREATE TABLE app.audit (id bigint);
        CREATE TRIGGER far AFTER UPDATE ON items FOR EACH ROW EXECUTE FUNCTION far();
        ALTER TABLE items ENABLE ALWAYS TRIGGER far""")
    proxy = segue(db)
    proxy.begin(RENAME)
    row = proxy.wait("rename_label", lambda r: r["error"], timeout=10)
    assert 'relation "audit" does not exist' in row["error"] and row["phase"] == "backfilling" and row["hint"], row
    assert "its pass begins again" not in proxy.log_text()
    db.sql("ALTER FUNCTION far SET search_path = app")
    proxy.cli("resume", "rename_label")
    proxy.wait_phase("rename_label", "ready")
    assert db.one("SELECT count(*) FROM app.audit") == 500
