"""DDL of others, past segue, on a column that goes with `complete`: refused by name instead of being dropped with it."""

import re

import pytest
from lib.wait import SLOW

pytestmark = pytest.mark.one_version
RENAME = {"name": "called", "operations": [{"rename_column": {"table": "bills", "from": "label", "to": "title"}}]}
RETYPE = {"name": "wider", "operations": [
    {"alter_column": {"table": "bills", "column": "amount", "type": "bigint", "up": "amount", "down": "amount"}}]}
# what comes, what is said of it, what takes it away
ADDED = {
    "an index": ("CREATE INDEX late ON bills ({c})", "index public.late", "DROP INDEX late"),
    "an index of an expression": ("CREATE UNIQUE INDEX late ON bills (id, ({c}::text))", "index public.late", "DROP INDEX late"),
    "a unique constraint": ("ALTER TABLE bills ADD CONSTRAINT late UNIQUE ({c}, id)", "constraint late on table public.bills",
                            "ALTER TABLE bills DROP CONSTRAINT late"),
    "a check": ("ALTER TABLE bills ADD CONSTRAINT late CHECK ({c}::text <> 'never')", "constraint late on table public.bills",
                "ALTER TABLE bills DROP CONSTRAINT late"),
    "statistics": ("CREATE STATISTICS late ON id, {c} FROM bills", "statistics object public.late", "DROP STATISTICS late"),
    "NOT NULL": ("ALTER TABLE bills ALTER {c} SET NOT NULL", "NOT NULL of column {c}", "ALTER TABLE bills ALTER {c} DROP NOT NULL"),
    "a privilege": ("GRANT SELECT ({c}) ON bills TO PUBLIC", "privilege SELECT for PUBLIC of column {c}",
                    "REVOKE SELECT ({c}) ON bills FROM PUBLIC"),
    "a trigger": ("CREATE TRIGGER late AFTER UPDATE OF {c} ON bills FOR EACH ROW EXECUTE FUNCTION nothing()",
                  "trigger late on table public.bills", "DROP TRIGGER late ON bills"),
    "a view": ("CREATE VIEW late AS SELECT {c} FROM bills", "on view public.late", "DROP VIEW late"),
}


@pytest.fixture
def bills(db):
    db.sql("CREATE TABLE bills (id int PRIMARY KEY, label text DEFAULT 'none', amount int);"
           "CREATE INDEX early ON bills (label); CREATE INDEX sums ON bills (amount);"
           "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
           "INSERT INTO bills SELECT i, 'l ' || i, i FROM generate_series(1, 50) AS i")
    return db


def refused(proxy, words, *command):
    done = proxy.cli(*command, check=1, timeout=30 * SLOW)
    assert words in done.err and "came after the migration was planned" in done.err


@pytest.mark.parametrize(("file", "column"), [(RENAME, "label"), (RETYPE, "amount")], ids=["rename", "retype"])
@pytest.mark.parametrize("what", list(ADDED))
def test_what_came_on_the_old_column_bars_the_cutover_by_name(bills, segue, what, file, column):
    make, words, drop = (text.format(c=column) for text in ADDED[what])
    proxy = segue(bills)
    name = proxy.ready(file)
    bills.sql(make)
    refused(proxy, words, "cutover", name)
    assert proxy.phase(name) == "ready"
    bills.sql(drop)
    proxy.cli("cutover", name)
    proxy.cli("complete", name, "--force")


def test_what_came_in_soak_bars_complete_and_force_does_not_help(bills, segue):
    proxy = segue(bills)
    name = proxy.soaking(RENAME)
    bills.sql("CREATE UNIQUE INDEX late ON bills (label)")
    refused(proxy, "index public.late", "complete", name, "--force")
    assert proxy.phase(name) == "soaking"
    bills.sql("DROP INDEX late; CREATE UNIQUE INDEX kept ON bills (title)")
    proxy.cli("complete", name, "--force")
    assert bills.one("SELECT pg_get_indexdef('kept'::regclass)").endswith("(title)")


@pytest.mark.parametrize(("file", "index"), [(RENAME, "early"), (RETYPE, "sums")], ids=["rename", "retype"])
def test_what_was_made_anew_or_renamed_is_no_other(bills, segue, file, index):
    proxy = segue(bills)
    name = proxy.ready(file)
    bills.sql(f"REINDEX INDEX CONCURRENTLY {index}")
    for command in ("cutover", "rollback", "cutover"):
        proxy.cli(command, name)
        proxy.wait_phase(name, "ready" if command == "rollback" else "soaking")
    proxy.cli("complete", name, "--force")
    assert bills.one(f"SELECT count(*) FROM pg_class WHERE relname = '{index}'") == 1


GOES = {"name": "goes", "operations": [{"drop_column": {"table": "bills", "column": "label"}}, {"drop_table": {"name": "loose"}}]}
# what comes on what only goes and would bar that, what is said of it
BARS = {
    "a view": ("CREATE VIEW late AS SELECT label FROM bills", "on view public.late", "DROP VIEW late"),
    "a policy": ("CREATE POLICY late ON bills USING (label <> '')", "policy late on table public.bills", "DROP POLICY late ON bills"),
    "a generated column": ("ALTER TABLE bills ADD late text GENERATED ALWAYS AS (lower(label)) STORED", "column late of table public.bills",
                           "ALTER TABLE bills DROP late"),
    "a trigger": (ADDED["a trigger"][0].format(c="label"), "trigger late on table public.bills", "DROP TRIGGER late ON bills"),
    "a view of the table": ("CREATE VIEW late AS SELECT n FROM loose", "view public.late", "DROP VIEW late"),
    "a foreign key to it": ("ALTER TABLE bills ADD CONSTRAINT late FOREIGN KEY (amount) REFERENCES loose", "constraint late on table public.bills",
                            "ALTER TABLE bills DROP CONSTRAINT late"),
}


def test_what_bars_the_drop_of_what_only_goes_is_told_while_there_is_a_way_back(bills, segue):
    bills.sql("CREATE TABLE loose (n int PRIMARY KEY); INSERT INTO loose SELECT id FROM bills")
    proxy = segue(bills)
    name = proxy.soaking(GOES)
    for make, words, drop in BARS.values():
        bills.sql(make)
        refused(proxy, words, "complete", name, "--force")
        assert proxy.phase(name) == "soaking"
        bills.sql(drop)
    # goes along, as it would without segue
    bills.sql("CREATE INDEX late ON bills (label); ALTER TABLE bills ADD CHECK (label <> 'never' OR id > 0), ALTER label SET NOT NULL;"
              "GRANT SELECT (label) ON bills TO reader; CREATE STATISTICS late2 ON id, label FROM bills; CREATE INDEX ON loose (n)")
    proxy.cli("complete", name, "--force")


def test_a_table_of_several_that_go_may_be_gone_or_locked_and_what_bars_the_others_is_told(bills, segue):
    bills.sql("CREATE TABLE logs (n int) PARTITION BY RANGE (n); CREATE TABLE logs_1 PARTITION OF logs FOR VALUES FROM (0) TO (9);"
              "CREATE TABLE loose (n int)")
    proxy = segue(bills)
    name = proxy.ready({"name": "goes", "operations": [*RENAME["operations"], {"drop_table": {"name": "logs"}}, {"drop_table": {"name": "loose"}}]})
    with bills.connect() as holder:
        holder.execute("BEGIN; LOCK TABLE logs_1")
        proxy.cli("cutover", name)
    bills.sql("DROP TABLE loose; CREATE TABLE late (log logs_1)")
    refused(proxy, "column log of table public.late", "complete", name, "--force")
    bills.sql("DROP TABLE late")
    proxy.cli("complete", name, "--force")


# what goes, what is said of it
GONE = {
    "a check": ("ALTER TABLE bills DROP CONSTRAINT given", "constraint given on table public.bills"),
    "a check made otherwise": ("ALTER TABLE bills DROP CONSTRAINT given, ADD CONSTRAINT given CHECK (label <> 'none at all')",
                               "constraint given on table public.bills: CHECK ((label <> ''::text))"),
    "an index": ("DROP INDEX early", "index public.early"),
    "the name of an index": ("ALTER INDEX early RENAME TO earlier", "index public.early"),
    "NOT NULL": ("ALTER TABLE bills ALTER label DROP NOT NULL", "NOT NULL of column label"),
    "ON DELETE": ("ALTER TABLE refs DROP CONSTRAINT to_bills, ADD CONSTRAINT to_bills FOREIGN KEY (label) REFERENCES bills (label) ON DELETE CASCADE",
                  "constraint to_bills on table public.refs: FOREIGN KEY (label) REFERENCES public.bills(label)"),
}
BOUND = ("CREATE UNIQUE INDEX one ON bills (label); ALTER TABLE bills ADD CONSTRAINT given CHECK (label <> ''), ALTER label SET NOT NULL;"
         "CREATE TABLE refs (label text CONSTRAINT to_bills REFERENCES bills (label))")


@pytest.mark.parametrize("more, take", [([], "ALTER title DROP NOT NULL"), (
    [{"rename_constraint": {"table": "bills", "from": "odd", "to": "even"}}], "DROP CONSTRAINT odd")], ids=["NOT NULL", "renamed"])
def test_what_somebody_has_taken_away_in_soak_gets_no_other_name_and_does_not_stop_complete(bills, segue, more, take):
    """There is no way back then: it would have to be made again, of NOT NULL under a name of segue's own."""
    bills.sql("ALTER TABLE bills ALTER label SET NOT NULL, ADD CONSTRAINT odd CHECK (id > 0)")
    proxy = segue(bills)
    name = proxy.soaking({"name": "called", "operations": [*RENAME["operations"], *more]})
    bills.sql(f"ALTER TABLE bills {take}")
    proxy.cli("complete", name, "--force", timeout=30 * SLOW)
    names = [row[0] for row in bills.sql("SELECT conname FROM pg_constraint WHERE conrelid = 'bills'::regclass")]
    assert not [called for called in names if "segue" in called or called == "even"]


def test_a_proof_that_somebody_has_taken_away_in_soak_does_not_stop_complete_where_there_is_no_way_back(bills, segue):
    bills.sql("ALTER TABLE bills ALTER label SET NOT NULL")
    proxy = segue(bills)
    name = proxy.soaking({"name": "called", "operations": [
        *RENAME["operations"], {"alter_column": {"table": "bills", "column": "amount", "nullable": False}}]})
    proxy.wait(name, lambda r: r["proofs_left"] == 0)
    proofs = [row[0] for row in bills.sql("SELECT quote_ident(conname) FROM pg_constraint WHERE contype = 'c' AND conname ~ '^~segue'")]
    assert len(proofs) == 2
    bills.sql("; ".join(f"ALTER TABLE bills DROP CONSTRAINT {proof}" for proof in proofs))
    proxy.cli("complete", name, "--force", timeout=30 * SLOW)
    assert bills.sql("SELECT attname FROM pg_attribute WHERE attrelid = 'bills'::regclass AND attnotnull AND NOT attisdropped AND attnum > 0 ORDER BY 1") == [
        ("amount",), ("id",), ("title",)]


@pytest.mark.parametrize("kind", ["index", "key"])
def test_a_replica_identity_by_an_index_that_goes_bars_the_cutover(bills, segue, kind):
    """It would go with its index at `complete`: then the server refuses every UPDATE of a published table."""
    bills.sql(BOUND)
    index, old, new = {"index": ("one", "label", "title"), "key": ("bills_pkey", "id", "no")}[kind]
    proxy = segue(bills)
    name = proxy.ready({"name": "called", "operations": [{"rename_column": {"table": "bills", "from": old, "to": new}}]})
    bills.sql(f"ALTER TABLE bills REPLICA IDENTITY USING INDEX {index}")
    refused(proxy, f"replica identity of table public.bills by index public.{index}", "cutover", name)
    bills.sql("ALTER TABLE bills REPLICA IDENTITY DEFAULT")
    proxy.cli("cutover", name)
    bills.sql(f"ALTER TABLE bills REPLICA IDENTITY USING INDEX {index}")
    proxy.cli("complete", name, "--force")
    assert bills.one(f"SELECT pg_get_indexdef('{index}'::regclass)").endswith(f"({new})")
    assert bills.one(f"SELECT indisreplident FROM pg_index WHERE indexrelid = '{index}'::regclass")


@pytest.mark.parametrize("what", list(GONE))
def test_what_went_from_the_old_column_bars_the_cutover_until_it_is_there_again(bills, segue, what):
    bills.sql(BOUND)
    proxy = segue(bills)
    name = proxy.ready(RENAME)
    for command in ("cutover", "rollback"):  # what a way back makes again is no other
        proxy.cli(command, name)
    proxy.wait_phase(name, "ready")
    take, words = GONE[what]
    bills.sql(take)
    done = proxy.cli("cutover", name, check=1, timeout=30 * SLOW)
    assert f"{words}: it was dropped, renamed or altered after the migration was planned" in done.err and "make it as it was" in done.err, done.err
    assert proxy.phase(name) == "ready"
    proxy.cli("abort", name)


# what comes on a partition alone, what is said of it
ON_PART = {
    "an index": ("CREATE INDEX late ON bills_a ({c})", "index public.late", "DROP INDEX late"),
    "a check": ("ALTER TABLE bills_a ADD CONSTRAINT late CHECK ({c}::text <> 'never')", "constraint late on table public.bills_a",
                "ALTER TABLE bills_a DROP CONSTRAINT late"),
    "a trigger": ("CREATE TRIGGER late AFTER UPDATE OF {c} ON bills_a FOR EACH ROW EXECUTE FUNCTION nothing()",
                  "trigger late on table public.bills_a", "DROP TRIGGER late ON bills_a"),
    "a view": ("CREATE VIEW late AS SELECT {c} FROM bills_a", "on view public.late", "DROP VIEW late"),
    "a replica identity": ("ALTER TABLE bills_a REPLICA IDENTITY USING INDEX bills_a_{c}_id_idx",
                           "replica identity of table public.bills_a by index public.bills_a_{c}_id_idx", "ALTER TABLE bills_a REPLICA IDENTITY DEFAULT"),
}
PARTED = ("CREATE TABLE bills (id int NOT NULL, label text NOT NULL, amount int NOT NULL) PARTITION BY RANGE (id); CREATE TABLE bills_a PARTITION OF bills"
          " FOR VALUES FROM (0) TO (30); CREATE TABLE bills_b PARTITION OF bills DEFAULT; CREATE UNIQUE INDEX ON bills (label, id);"
          "CREATE UNIQUE INDEX ON bills (amount, id); ALTER TABLE bills ADD CONSTRAINT given CHECK (label <> '' AND amount > 0);"
          "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
          "INSERT INTO bills SELECT i, 'l ' || i, i FROM generate_series(1, 50) AS i")


@pytest.mark.parametrize(("file", "column", "then"), [(RENAME, "label", "label"), (RETYPE, "amount", None)], ids=["rename", "retype"])
def test_what_came_on_a_partition_alone_bars_by_name_what_would_drop_it(db, segue, file, column, then):
    """`complete` would drop it with the table's column, or stop at it with no way back."""
    db.sql(PARTED)
    proxy = segue(db)
    name = proxy.ready(file)
    for make, words, drop in ON_PART.values():
        db.sql(make.format(c=column))
        refused(proxy, words.format(c=column), "cutover", name)
        db.sql(drop)
    for command in ("cutover", "rollback", "cutover"):  # parts of the table's are no others
        proxy.cli(command, name)
        proxy.wait_phase(name, "ready" if command == "rollback" else "soaking")
    for what in ("an index", "a view") if then else ():
        make, words, drop = ON_PART[what]
        db.sql(make.format(c=then))
        refused(proxy, words, "complete", name, "--force")
        assert proxy.phase(name) == "soaking"
        db.sql(drop)
    proxy.cli("complete", name, "--force")


def test_a_partition_that_is_parted_by_a_column_that_goes_is_told_while_there_is_a_way_back(db, segue):
    db.sql("CREATE TABLE bills (id int, label text, amount int) PARTITION BY RANGE (id); CREATE STATISTICS st ON label, amount FROM bills")
    proxy = segue(db)
    name = proxy.soaking(RENAME)
    # has a statistics object of either half, as the table
    db.sql("CREATE TABLE like_it (LIKE bills INCLUDING ALL); ALTER TABLE bills ATTACH PARTITION like_it FOR VALUES FROM (0) TO (9);"
           "CREATE TABLE late PARTITION OF bills FOR VALUES FROM (9) TO (99) PARTITION BY LIST (label)")
    refused(proxy, "partition key of public.late, with column label", "complete", name, "--force")
    assert proxy.phase(name) == "soaking"
    db.sql("DROP TABLE late")
    proxy.cli("complete", name, "--force")


def test_a_security_label_that_came_on_the_old_column_alone_bars_both(bills, segue):
    """Often it hides what the column holds."""
    def labelled(column):
        with bills.connect(options="-c allow_system_table_mods=on") as conn:  # there is no provider that would write it
            conn.execute("INSERT INTO pg_seclabel SELECT attrelid, 'pg_class'::regclass, attnum, 'anon', 'MASKED WITH VALUE NULL' "
                         f"FROM pg_attribute WHERE attrelid = 'bills'::regclass AND attname = '{column}'")

    proxy = segue(bills)
    name = proxy.ready(RENAME)
    labelled("label")
    refused(proxy, "security label (for anon) of column label of public.bills", "cutover", name)
    labelled("title")
    for command in ("cutover", "rollback", "cutover"):
        proxy.cli(command, name)
        proxy.wait_phase(name, "ready" if command == "rollback" else "soaking")
    proxy.cli("complete", name, "--force")


def told_of_revoke(proxy, column, *command):
    """The statement that the refusal names."""
    done = proxy.cli(*command, check=1, timeout=30 * SLOW)
    said = re.search(f" of column {column} of table public.bills was revoked from reader after the migration was planned, .*\nhint: (REVOKE .*)", done.err)
    assert said, done.err
    return said.group(1)


def test_a_privilege_that_was_revoked_on_the_old_column_alone_bars_both_until_the_new_one_has_lost_it(bills, segue):
    bills.sql("GRANT SELECT (label), UPDATE (label) ON bills TO reader")
    proxy = segue(bills)
    name = proxy.ready(RENAME)
    bills.sql("REVOKE SELECT (label) ON bills FROM reader")
    bills.sql(told_of_revoke(proxy, "label", "cutover", name))
    proxy.cli("cutover", name)
    bills.sql("REVOKE UPDATE (label) ON bills FROM reader")
    bills.sql(told_of_revoke(proxy, "label", "complete", name, "--force"))
    proxy.cli("complete", name, "--force")
    assert not bills.one("SELECT has_any_column_privilege('reader', 'bills', 'SELECT, UPDATE')")


def test_a_privilege_revoked_of_a_column_that_changes_its_type_names_the_half_that_waits(bills, segue):
    bills.sql("GRANT SELECT (amount) ON bills TO reader")
    proxy = segue(bills)
    name = proxy.ready(RETYPE)
    bills.sql("REVOKE SELECT (amount) ON bills FROM reader")
    bills.sql(told_of_revoke(proxy, "amount", "cutover", name))
    proxy.cli("cutover", name)
    proxy.cli("complete", name, "--force")
    assert not bills.one("SELECT has_column_privilege('reader', 'bills', 'amount', 'SELECT')")


@pytest.mark.parametrize(("operation", "old", "shown"), [({"rename_column": {"table": "logs", "from": "label", "to": "title"}}, "label", "title"),
                                                         (RETYPE["operations"][0], "amount", "amount")], ids=["rename", "retype"])
def test_a_privilege_on_a_partitions_column_is_neither_lost_nor_kept_when_it_was_revoked(db, segue, operation, old, shown):
    """Who asks the partition by its name goes by its own privileges."""
    db.sql("CREATE TABLE logs (id int, label text, amount int) PARTITION BY RANGE (id); CREATE TABLE logs_a PARTITION OF logs FOR VALUES FROM (0) TO (30)"
           " PARTITION BY RANGE (id); CREATE TABLE logs_b PARTITION OF logs_a DEFAULT; INSERT INTO logs SELECT i, 'l ' || i, i FROM generate_series(1, 20) i;"
           f"GRANT SELECT ({old}) ON logs_b TO reader")
    proxy = segue(db)
    if "alter_column" in operation:
        operation = {"alter_column": {**operation["alter_column"], "table": "logs"}}
    name = proxy.ready({"name": "parted", "operations": [operation]})
    db.sql(f"GRANT UPDATE ({old}) ON logs_b TO reader")
    refused(proxy, f"privilege UPDATE for reader of column {old} of partition public.logs_b", "cutover", name)
    new = db.one("SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = 'logs_b'::regclass AND attnum > 3 AND NOT attisdropped")
    db.sql(f"GRANT UPDATE ({new}) ON logs_b TO reader; REVOKE SELECT ({old}) ON logs_b FROM reader")
    said = proxy.cli("cutover", name, check=1, timeout=30 * SLOW).err
    revoke = re.search(f"SELECT of column {old} of table public.logs_b was revoked from reader after the migration was planned, .*\nhint: (REVOKE .*)", said)
    assert revoke, said
    db.sql(revoke.group(1))
    # a partition that comes, with privileges of its own on both
    db.sql(f"CREATE TABLE logs_c PARTITION OF logs FOR VALUES FROM (30) TO (60); GRANT SELECT ({old}, {new}) ON logs_c TO reader")
    for command in ("cutover", "rollback", "cutover"):
        proxy.cli(command, name)
        proxy.wait_phase(name, "ready" if command == "rollback" else "soaking")
    proxy.cli("complete", name, "--force")
    assert db.sql("SELECT c.attrelid::regclass::text, c.attname, x.privilege_type FROM pg_attribute c, aclexplode(c.attacl) AS x WHERE NOT c.attisdropped"
                  " AND c.attrelid::regclass::text ~ '^logs' AND x.grantee = 'reader'::regrole ORDER BY 1") == [
        ("logs_b", shown, "UPDATE"), ("logs_c", shown, "SELECT")]


def test_parts_of_a_foreign_key_come_and_go_with_partitions(bills, segue):
    bills.sql("CREATE TABLE kinds (label text PRIMARY KEY) PARTITION BY LIST (label); CREATE TABLE kinds_rest PARTITION OF kinds DEFAULT;"
              "CREATE TABLE kinds_a PARTITION OF kinds FOR VALUES IN ('a'); INSERT INTO kinds SELECT label FROM bills;"
              "ALTER TABLE bills ADD UNIQUE (label), ADD FOREIGN KEY (label) REFERENCES kinds")
    refers = "REFERENCES bills (label)" if bills.one("SELECT current_setting('server_version_num')::int >= 180000") else ""
    bills.sql(f"CREATE TABLE refs (label text {refers}) PARTITION BY LIST (label); CREATE TABLE refs_a PARTITION OF refs FOR VALUES IN ('a')")
    proxy = segue(bills)
    name = proxy.ready(RENAME)
    for turn, command in enumerate(("cutover", "rollback", "cutover")):
        bills.sql(f"ALTER TABLE kinds DETACH PARTITION kinds_a; ALTER TABLE kinds ATTACH PARTITION kinds_a FOR VALUES IN ('a');"
                  f"CREATE TABLE kinds_{turn} PARTITION OF kinds FOR VALUES IN ('{turn}'); CREATE TABLE refs_{turn} PARTITION OF refs FOR VALUES IN ('{turn}')")
        if turn:
            bills.sql(f"ALTER TABLE kinds DETACH PARTITION kinds_{turn - 1}; DROP TABLE kinds_{turn - 1}, refs_{turn - 1}")
        proxy.cli(command, name)
        proxy.wait_phase(name, "ready" if command == "rollback" else "soaking")
    proxy.cli("complete", name, "--force")


def test_what_came_or_went_while_a_cutover_was_postponed_bars_it(bills, segue, tmp_path):
    bills.sql("GRANT SELECT (label) ON bills TO reader; ALTER TABLE bills ADD CONSTRAINT given CHECK (label <> '')")
    flag = tmp_path / "postpone"
    proxy = segue(bills, cutover_postpone_file=flag)
    name = proxy.ready(RENAME)
    for change, words, back in (("REVOKE SELECT (label) ON bills FROM reader", "was revoked from reader", "GRANT SELECT (label) ON bills TO reader"),
                                ("ALTER TABLE bills DROP CONSTRAINT given", "constraint given on table public.bills",
                                 "ALTER TABLE bills ADD CONSTRAINT given CHECK (label <> '')")):
        with bills.connect(application_name="holder") as holder:
            holder.execute("BEGIN; SELECT count(*) FROM bills")
            proxy.console(f"CUTOVER {name}")
            proxy.wait(name, lambda r: r["phase"] == "cutting_over" and "holder" in r["blockers"])
            flag.touch()
            proxy.wait(name, lambda r: "postponed" in r["blockers"])
        bills.sql(change)
        flag.unlink()
        assert words in proxy.wait(name, lambda r: r["phase"] != "cutting_over" and r["error"])["error"]
        assert proxy.phase(name) == "ready"
        bills.sql(back)
    proxy.cli("cutover", name)


@pytest.fixture
def roles(bills):
    """Two that are the test's own: who gets the table, and who has privileges."""
    names = f"carol_{bills.name}", f"reader_{bills.name}"
    bills.sql("".join(f"CREATE ROLE {name};" for name in names))
    yield names
    for name in bills.sql(f"SELECT rolname FROM pg_roles WHERE rolname ~ '_{bills.name}$'"):
        bills.sql(f"REASSIGN OWNED BY {name[0]} TO postgres; DROP OWNED BY {name[0]}; DROP ROLE {name[0]}")


@pytest.mark.parametrize("file", [RENAME, RETYPE], ids=["rename", "retype"])
def test_privileges_are_the_same_whoever_owns_the_table_and_whatever_their_role_is_called(bills, segue, roles, file):
    carol, reader = roles
    bills.sql(f"GRANT SELECT (label, amount), UPDATE (label, amount) ON bills TO {reader}")
    proxy = segue(bills)
    name = proxy.ready(file)
    bills.sql(f"ALTER TABLE bills OWNER TO {carol}; ALTER ROLE {reader} RENAME TO new_{reader}")
    for command in ("cutover", "rollback", "cutover"):
        proxy.cli(command, name)
        proxy.wait_phase(name, "ready" if command == "rollback" else "soaking")
    bills.sql(f"REASSIGN OWNED BY {carol} TO postgres")
    proxy.cli("complete", name, "--force")
    assert bills.one(f"SELECT count(*) FROM pg_attribute, aclexplode(attacl) WHERE attrelid = 'bills'::regclass AND NOT attisdropped "
                     f"AND grantee = 'new_{reader}'::regrole") == 4


def test_a_privilege_that_was_revoked_is_noticed_whatever_its_role_is_called_by_then(bills, segue, roles):
    carol, reader = roles
    bills.sql(f"GRANT SELECT (label) ON bills TO {reader}")
    proxy = segue(bills)
    name = proxy.ready(RENAME)
    bills.sql(f"ALTER ROLE {reader} RENAME TO new_{reader}; ALTER TABLE bills OWNER TO {carol}; REVOKE SELECT (label) ON bills FROM new_{reader}")
    said = proxy.cli("cutover", name, check=1, timeout=30 * SLOW).err
    assert f"SELECT of column label of table public.bills was revoked from new_{reader} after" in said, said
    bills.sql(re.search("hint: (REVOKE .*)", said).group(1))
    proxy.cli("cutover", name)


KINDS = ("CREATE TABLE kinds (label text PRIMARY KEY); INSERT INTO kinds SELECT label FROM bills;"
         "ALTER TABLE bills ADD CONSTRAINT of_kind FOREIGN KEY (label) REFERENCES kinds, ADD CONSTRAINT given CHECK (label <> '' AND amount > 0)")


@pytest.mark.parametrize("change", [
    "ALTER TABLE kinds RENAME TO sorts", "ALTER TABLE kinds RENAME label TO called", "CREATE SCHEMA away; ALTER TABLE kinds SET SCHEMA away",
    "ALTER TABLE bills RENAME amount TO total"], ids=["table", "its column", "schema", "other column"])
def test_a_constraint_that_follows_another_name_is_as_it_was(bills, segue, change):
    bills.sql(KINDS)
    proxy = segue(bills)
    name = proxy.ready(RENAME)
    bills.sql(change)
    for command in ("cutover", "rollback", "cutover"):
        proxy.cli(command, name)
        proxy.wait_phase(name, "ready" if command == "rollback" else "soaking")
    proxy.cli("complete", name, "--force")
    assert bills.one("SELECT count(*) FROM pg_constraint WHERE conrelid = 'bills'::regclass AND convalidated AND conname IN ('given', 'of_kind')") == 2


def test_a_constraint_that_is_altered_in_its_place_is_not_as_it_was(bills, segue):
    bills.sql(KINDS)
    proxy = segue(bills)
    name = proxy.ready(RENAME)
    bills.sql("ALTER TABLE kinds RENAME TO sorts; ALTER TABLE bills ALTER CONSTRAINT of_kind DEFERRABLE INITIALLY DEFERRED")
    assert "constraint of_kind on table public.bills" in proxy.cli("cutover", name, check=1, timeout=30 * SLOW).err
    bills.sql("ALTER TABLE bills ALTER CONSTRAINT of_kind NOT DEFERRABLE")
    proxy.cli("cutover", name)


@pytest.mark.parametrize(("file", "old", "shown"), [(RENAME, "label", "title"), (RETYPE, "amount", "amount")], ids=["rename", "retype"])
def test_a_privilege_that_came_on_both_halves_is_none_that_would_be_lost(bills, segue, file, old, shown):
    proxy = segue(bills)
    name = proxy.ready(file)
    names = bills.sql("SELECT attname FROM pg_attribute WHERE attrelid = 'bills'::regclass AND attnum > 3 AND NOT attisdropped")
    bills.sql(f'GRANT SELECT ({old}), UPDATE ({old}), SELECT ("{names[0][0]}") ON bills TO reader')
    refused(proxy, f"privilege UPDATE for reader of column {old}", "cutover", name)
    bills.sql(f'GRANT UPDATE ("{names[0][0]}") ON bills TO reader')
    for command in ("cutover", "rollback", "cutover"):
        proxy.cli(command, name)
        proxy.wait_phase(name, "ready" if command == "rollback" else "soaking")
    proxy.cli("complete", name, "--force")
    assert bills.one(f"SELECT has_column_privilege('reader', 'bills', '{shown}', 'SELECT') AND has_column_privilege('reader', 'bills', '{shown}', 'UPDATE')")
