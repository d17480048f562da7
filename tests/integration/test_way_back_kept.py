"""What the model in tests/model/ has asked about: what went back stays there, and nothing is lost."""

import pytest
from lib import catalog
from lib.tables import RENAME, make_items
from lib.wait import until
from test_guard_bypassed import restore_data

pytestmark = pytest.mark.one_version
NAME = RENAME["name"]


def cutovers(db):
    return db.one("SELECT count(*) FROM segue.attempts WHERE kind = 'cutover'")


def stays_ready(proxy):
    """A verify is a turn of the phase ready, and the next one would be the cut-over's."""
    for _ in range(2):
        proxy.cli("verify", NAME)
    return proxy.phase(NAME) == "ready"


def test_a_rollback_of_what_migrate_cut_over_does_not_cut_over_again(db, segue):
    make_items(db, 50)
    proxy = segue(db)
    proxy.cli("migrate", proxy.file(RENAME))
    assert proxy.phase(NAME) == "soaking"
    proxy.console(f'ROLLBACK "{NAME}"')
    until("the way back", lambda: db.one("SELECT count(*) FROM segue.attempts WHERE kind = 'revert'"))
    assert stays_ready(proxy) and cutovers(db) == 1


def test_rows_that_a_verify_in_soak_found_are_neither_dropped_nor_rolled_back_over(db, segue):
    make_items(db, 50)
    proxy = segue(db)
    proxy.soaking(RENAME)
    restore_data(db, "label")
    assert "guard of public.items" in proxy.cli("rollback", NAME, check=1).err
    db.sql('ALTER TABLE items ENABLE ALWAYS TRIGGER "~segue_guard"')
    proxy.cli("verify", NAME, check=None)
    for command in (("complete", NAME, "--force"), ("rollback", NAME)):
        assert "1 rows not in step" in proxy.cli(*command, check=1).err
    db.sql("UPDATE items SET title = label WHERE id = 1001")
    proxy.cli("verify", NAME)
    proxy.cli("complete", NAME, "--force")
    assert db.one("SELECT title FROM items WHERE id = 1001") == "past the guard"


def test_an_index_that_somebody_drops_in_soak_is_named_with_what_it_was(db, segue):
    """Of the half that leads, which has the name that all know, as well as of the one that follows."""
    db.sql("CREATE TABLE items (id int PRIMARY KEY, n int, note text); INSERT INTO items SELECT i, i FROM generate_series(1, 50) i;"
           "CREATE INDEX ix_n ON items (lower(note), n DESC) WHERE n > 3")
    proxy = segue(db)
    proxy.soaking({"name": "m", "operations": [{"alter_column": {"table": "items", "column": "n", "type": "bigint", "up": "n", "down": "n"}}]})
    for leads in (True, False):
        dropped, column, twin, other = db.sql(
            "SELECT format('public.%%I', c.relname), quote_ident(a.attname), pg_get_indexdef(i2.indexrelid), quote_ident(a2.attname) "
            "FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[1], "
            "pg_index i2 JOIN pg_attribute a2 ON a2.attrelid = i2.indrelid AND a2.attnum = i2.indkey[1] "
            "WHERE i.indrelid = 'items'::regclass AND i2.indrelid = i.indrelid AND i2.indexrelid <> i.indexrelid AND (c.relname = 'ix_n') = %s", leads)[0]
        made = db.one("SELECT pg_get_indexdef(%s::regclass)", dropped)
        db.sql(f"DROP INDEX {dropped}")
        said = proxy.cli("rollback", "m", check=4).err
        assert f"index {dropped} is not there" in said and f"{twin}, with {column} in place of {other}" in said
        db.sql(made)
    proxy.cli("rollback", "m")
    proxy.wait_phase("m", "ready")


def test_what_else_somebody_drops_in_soak_is_named_with_what_it_was_and_left_out_where_its_twin_has_gone_too(db, segue):
    """Constraints and statistics objects: the server's own error would not say how to have them again."""
    db.sql("CREATE TABLE other (id int PRIMARY KEY); INSERT INTO other VALUES (1);"
           "CREATE TABLE items (id int PRIMARY KEY, n int CONSTRAINT to_other REFERENCES other, CONSTRAINT \"Twice TO one\" UNIQUE (n, id),"
           " CONSTRAINT above CHECK (n > 0)); INSERT INTO items SELECT i, 1 FROM generate_series(1, 50) i; CREATE STATISTICS st ON n, id FROM items")
    before = catalog.whole(db.connect())
    proxy = segue(db)
    file = {"name": "m", "operations": [{"rename_column": {"table": "items", "from": "n", "to": "m"}}]}
    proxy.soaking(file)
    for what, take, give in (
            ('constraint "Twice TO one" is not there, and the way back needs it (table public.items)\n'
             "hint: make it again as its twin is, UNIQUE (n, id), with m in place of n",
             'ALTER TABLE items DROP CONSTRAINT "Twice TO one"', 'ALTER TABLE items ADD CONSTRAINT "Twice TO one" UNIQUE (m, id)'),
            ("constraint to_other is not there", "ALTER TABLE items DROP CONSTRAINT to_other",
             "ALTER TABLE items ADD CONSTRAINT to_other FOREIGN KEY (m) REFERENCES other"),
            ("statistics object public.st is not there", "DROP STATISTICS st", "CREATE STATISTICS st ON m, id FROM items")):
        db.sql(take)
        said = proxy.cli("rollback", "m", check=4).err
        assert what in said and "with m in place of n; then ask for it again" in said, said
        db.sql(give)
    proxy.cli("rollback", "m")
    proxy.wait_phase("m", "ready")
    proxy.cli("abort", "m")
    assert catalog.difference(before, catalog.whole(db.connect())) == []
    # both halves of one go by hand, of the other with the table that they refer to
    proxy.soaking(file)
    twin = db.one("SELECT quote_ident(conname) FROM pg_constraint WHERE contype = 'c' AND conname <> 'above' AND pg_get_constraintdef(oid) ~ 'n > 0'")
    db.sql(f"ALTER TABLE items DROP CONSTRAINT above, DROP CONSTRAINT {twin}; DROP TABLE other CASCADE")
    proxy.cli("rollback", "m")
    proxy.logged("constraint above is not there any more, nor its twin")
    proxy.wait_phase("m", "ready")
    assert "dropped, renamed or altered" in proxy.cli("cutover", "m", check=1).err
    proxy.cli("abort", "m")
    assert db.sql("SELECT conname FROM pg_constraint WHERE conrelid = 'items'::regclass AND contype <> 'n' ORDER BY 1") == [
        ("Twice TO one",), ("items_pkey",)]


BILLS = ("CREATE TABLE bills (id int PRIMARY KEY, n int NOT NULL, m int NOT NULL); INSERT INTO bills SELECT i, i, i FROM generate_series(1, 50) i;"
         "CREATE UNIQUE INDEX ix_n ON bills (n); ALTER TABLE bills REPLICA IDENTITY USING INDEX ix_n, CLUSTER ON ix_n;"
         "COMMENT ON CONSTRAINT bills_pkey ON bills IS 'the key'; COMMENT ON INDEX bills_pkey IS 'its index'")
CALLED = {"name": "called", "operations": [{"rename_column": {"table": "bills", "from": c, "to": f"{c}_new"}} for c in ("id", "n")]}
SPARE = ("SELECT format('public.%%I', c.relname) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_attribute a ON a.attrelid = i.indrelid"
         " AND a.attnum = i.indkey[0] WHERE i.indrelid = 'bills'::regclass AND a.attname = %s AND c.relname ~ '^~segue'")


def test_what_the_way_back_would_say_of_what_is_gone_is_left_out_with_it(db, segue):
    """Marks of an index, comments of a key: the server's bare error would bar the way back for good."""
    db.sql(BILLS)
    proxy = segue(db)
    name = proxy.soaking(CALLED)
    # who looks for indexes that nobody uses finds the one that waits for the way back
    spare = db.one(SPARE, "id")
    db.sql(f"DROP INDEX {spare}")
    said = proxy.cli("rollback", name, check=4).err
    assert f"index {spare} is not there, and the way back needs it (table public.bills)" in said, said
    assert "as its twin is, CREATE UNIQUE INDEX bills_pkey ON public.bills USING btree (id_new), with id in place of id_new; then" in said, said
    db.sql(f"CREATE UNIQUE INDEX {spare.removeprefix('public.')} ON bills (id)")
    proxy.cli("rollback", name)
    proxy.wait(name, lambda row: row["builds_left"] == 0)
    proxy.cli("cutover", name)
    db.sql(f"DROP INDEX {db.one(SPARE, 'n')}, ix_n, {db.one(SPARE, 'id')}; ALTER TABLE bills DROP CONSTRAINT bills_pkey, REPLICA IDENTITY FULL")
    proxy.cli("rollback", name)
    proxy.wait(name, lambda row: row["builds_left"] == 0)
    assert db.one("SELECT relreplident FROM pg_class WHERE oid = 'bills'::regclass") == "f"
    assert "constraint bills_pkey on table public.bills: it was dropped" in proxy.cli("cutover", name, check=1).err
    proxy.cli("abort", name)
    assert db.one("SELECT count(*) FROM pg_index WHERE indrelid = 'bills'::regclass") == 0


@pytest.mark.parametrize("kind", ["bigint", "int"])
def test_rows_that_the_way_back_mends_are_right_on_both_sides_and_let_pass_by_a_publication(db, segue, kind):
    """The guard knows the halves of a column that changes its type by their names, which turn; and the replica identity turns, too."""
    db.sql("CREATE TABLE bills (id int PRIMARY KEY, n int CONSTRAINT small CHECK (n < 1000), code int NOT NULL);"
           "CREATE UNIQUE INDEX ix_code ON bills (code); ALTER TABLE bills REPLICA IDENTITY USING INDEX ix_code;"
           "CREATE PUBLICATION all_of_it FOR TABLE bills; INSERT INTO bills SELECT i, i, i FROM generate_series(1, 50) i")
    proxy = segue(db)
    name = proxy.soaking({"name": "m", "operations": [
        {"drop_constraint": {"table": "bills", "name": "small", "down": "least(n, 999)"}},
        {"alter_column": {"table": "bills", "column": "n", "type": kind, "up": "n * 100", "down": "(n / 100)::int"}},
        {"rename_column": {"table": "bills", "from": "code", "to": "number"}}]})
    with proxy.connect() as conn:
        conn.execute("INSERT INTO bills (id, n, number) VALUES (100, 500000, 100)")
        conn.execute("UPDATE bills SET n = 700000 WHERE id = 7")
    proxy.cli("rollback", name)
    proxy.wait(name, lambda row: row["builds_left"] == 0)
    assert db.sql("SELECT id, n FROM bills WHERE n > 50 ORDER BY id") == [(7, 999), (100, 999)]
    assert proxy.console(f'VERIFY "{name}"')[0]["rows_bad"] == 0
    proxy.cli("cutover", name)
    assert db.sql("SELECT id, n FROM bills WHERE n > 5000 ORDER BY id") == [(7, 99900), (100, 99900)]
    proxy.cli("complete", name, "--force")


def test_what_has_the_name_of_something_else_is_missed_all_the_same(db, segue):
    """Each table has a constraint of that name, and a column, and the plan's statements are full of it."""
    db.sql("CREATE TABLE bills (id int PRIMARY KEY, n int DEFAULT 1 CONSTRAINT n CHECK (n > 0)); INSERT INTO bills VALUES (1, 1);"
           "CREATE TABLE notes (id int PRIMARY KEY, n int DEFAULT 1 CONSTRAINT n CHECK (n > 0)); INSERT INTO notes VALUES (1, 1)")
    proxy = segue(db)
    name = proxy.soaking({"name": "both", "operations": [
        {"alter_column": {"table": table, "column": "n", "type": "bigint", "up": "n", "down": "n"}} for table in ("bills", "notes")]})
    for table in ("bills", "notes"):
        db.sql(f"ALTER TABLE {table} DROP CONSTRAINT n")
        said = proxy.cli("rollback", name, check=4).err
        assert f"constraint n is not there, and the way back needs it (table public.{table})" in said, said
        db.sql(f"ALTER TABLE {table} ADD CONSTRAINT n CHECK (n > 0)")
    proxy.cli("rollback", name)
    proxy.wait_phase(name, "ready")


def test_what_somebody_drops_in_ready_of_what_waits_is_named_with_what_it_was(db, segue):
    db.sql(BILLS + "; ALTER TABLE bills ADD CONSTRAINT above CHECK (n > 0); CREATE STATISTICS st ON n, m FROM bills")
    proxy = segue(db)
    name = proxy.ready(CALLED)
    check = db.one("SELECT quote_ident(conname) FROM pg_constraint WHERE pg_get_constraintdef(oid) ~ 'n_new > 0'")
    statistics = db.one("SELECT quote_ident(stxname) FROM pg_statistic_ext WHERE stxname ~ '^~segue'")
    index, key = db.one(SPARE, "n_new"), db.one(SPARE, "id_new")
    for what, twin, take, give in (
            (f"index {index}", "CREATE UNIQUE INDEX ix_n ON public.bills USING btree (n), with n_new in place of n", f"DROP INDEX {index}",
             f"CREATE UNIQUE INDEX {index.removeprefix('public.')} ON bills (n_new)"),
            (f"index {key}", "CREATE UNIQUE INDEX bills_pkey ON public.bills USING btree (id), with id_new in place of id", f"DROP INDEX {key}",
             f"CREATE UNIQUE INDEX {key.removeprefix('public.')} ON bills (id_new)"),
            (f"constraint {check}", "CHECK ((n > 0)), with n_new in place of n", f"ALTER TABLE bills DROP CONSTRAINT {check}",
             f"ALTER TABLE bills ADD CONSTRAINT {check} CHECK (n_new > 0)"),
            (f"statistics object public.{statistics}", "CREATE STATISTICS public.st ON n, m FROM public.bills, with n_new in place of n", f"DROP STATISTICS {statistics}",
             f"CREATE STATISTICS {statistics} ON n_new, m FROM bills")):
        db.sql(take)
        said = proxy.cli("cutover", name, check=1).err
        assert f"{what} is not there, and the cut-over needs it (table public.bills)" in said and f"as its twin is, {twin}; then ask" in said, said
        assert proxy.phase(name) == "ready"
        db.sql(give)
    proxy.cli("cutover", name)
    proxy.cli("complete", name, "--force")
    assert db.sql("SELECT indexrelid::regclass::text, indisreplident, indisclustered FROM pg_index WHERE indrelid = 'bills'::regclass ORDER BY 1") == [
        ("bills_pkey", False, False), ("ix_n", True, True)]


def test_a_foreign_key_that_is_deferred_by_its_name_waits_for_the_end_of_the_transaction(db, segue):
    """A twin under another name would be checked at once: 23503, of which a client has no idea."""
    db.sql("CREATE TABLE other (id int PRIMARY KEY); CREATE TABLE items (id int PRIMARY KEY, n int CONSTRAINT to_other REFERENCES other DEFERRABLE)")
    proxy = segue(db)
    rows = iter(range(1, 100))

    def use():
        for side, column in (("old", "n"), ("new", "m")):
            with proxy.connect(options=f"-c segue.schema={side}") as conn, conn.transaction():
                row = next(rows)
                conn.execute("SET CONSTRAINTS to_other DEFERRED")
                conn.execute(f"INSERT INTO items (id, {column}) VALUES ({row}, {row})")
                conn.execute(f"INSERT INTO other VALUES ({row})")

    proxy.ready({"name": "m", "operations": [{"rename_column": {"table": "items", "from": "n", "to": "m"}}]})
    use()
    for turn, phase in (("cutover", "soaking"), ("rollback", "ready"), ("cutover", "soaking")):
        proxy.cli(turn, "m")
        proxy.wait_phase("m", phase)
        use()
    proxy.cli("complete", "m", "--force")
    assert db.sql("SELECT conname, condeferrable, condeferred, convalidated FROM pg_constraint WHERE contype = 'f'") == [("to_other", True, False, True)]


def test_a_guard_switched_off_while_the_cutover_waits_is_noticed(db, segue):
    make_items(db, 50)
    proxy = segue(db, cutover_attempts_max=100)
    proxy.ready(RENAME)
    holder = db.connect(autocommit=False)
    holder.execute("SELECT count(*) FROM items")
    proxy.console(f'CUTOVER "{NAME}"')
    proxy.wait_phase(NAME, "cutting_over")
    restore_data(db, "label")
    holder.close()
    row = proxy.wait(NAME, lambda r: r["phase"] == "ready" and r["error"] or r["phase"] == "soaking")
    # it was off between two looks of one attempt, or is not on in the next: either is said
    assert row["phase"] == "ready" and ("guard of public.items" in row["error"] or "guard was away from public.items" in row["error"])
    db.sql('ALTER TABLE items ENABLE ALWAYS TRIGGER "~segue_guard"; UPDATE items SET id = id WHERE id = 1001')
    proxy.cli("verify", NAME)
    proxy.cli("cutover", NAME)
    assert db.one("SELECT title FROM items WHERE id = 1001") == "past the guard"


def test_a_value_that_up_gives_for_null_is_no_reason_to_refuse_the_end(db, segue):
    db.sql("CREATE TABLE items (id bigint PRIMARY KEY, label text); INSERT INTO items VALUES (1, NULL), (2, 'x')")
    proxy = segue(db)
    proxy.soaking({"name": "m", "operations": [{"rename_column": {
        "table": "items", "from": "label", "to": "title", "type": "text", "up": "coalesce(label, 'none')", "down": "title"}}]})
    proxy.cli("verify", "m")
    proxy.cli("complete", "m", "--force")
    assert db.sql("SELECT title FROM items ORDER BY id") == [("none",), ("x",)]
