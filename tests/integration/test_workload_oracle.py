"""The demo's workload and its oracle, straight on a server: an oracle that cannot fail proves nothing."""

import subprocess

import pytest
from lib.segue import PROGRAM

pytestmark = pytest.mark.one_version
WORKLOAD = PROGRAM.parent / "workload"
LEGACY = PROGRAM.parent.parent / "tests" / "workload" / "legacy.sql"


def workload(*arguments):
    done = subprocess.run([str(WORKLOAD), *map(str, arguments)], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def check(db, journal, schema="old"):
    return workload("check", "--url", db.url(), "--schema", schema, "--journal", journal)


@pytest.fixture
def journal(db, tmp_path):
    """The journal of a second of the old revision's work on 2000 seeded rows."""
    db.psql("-v", "rows=2000", "-f", LEGACY)
    path = tmp_path / "old.jsonl"
    assert workload("snapshot", "--url", db.url())[0] == 0
    code, out = workload("--url", db.url(), "--revision", "old", "--seconds", 1, "--clients", 3, "--seed-id-range",
                         "1-1000", "--client-prefix", "o-", "--journal", path)
    assert code == 0, out
    assert " errors 0, mismatches 0" in out
    return path


def test_the_oracle_finds_every_acknowledged_write(db, journal):
    code, out = check(db, journal)
    assert code == 0, out
    assert " 0 differences" in out


@pytest.mark.parametrize("damage", [
    "UPDATE checks SET aggregation = aggregation || ' ' WHERE run_id = (SELECT min(run_id) FROM checks"
    " WHERE run_id LIKE 'o-%' AND aggregation IS NOT NULL)",
    "UPDATE checks SET diagnostics = NULL WHERE run_id = (SELECT min(run_id) FROM checks"
    " WHERE run_id LIKE 'o-%' AND diagnostics IS NOT NULL)",
    "DELETE FROM checks WHERE run_id = (SELECT max(run_id) FROM checks WHERE run_id LIKE 'o-%')",
    "UPDATE checks SET claim_text = claim_text || 'x' WHERE run_id = 'seed-0001999'",
    "DELETE FROM checks WHERE run_id = 'seed-0002000'",
    "INSERT INTO checks (run_id, claim_text, claim_hash, model) VALUES ('o-0-999999999', '', '', '')",
    "DELETE FROM usage_ledger WHERE id = (SELECT max(id) FROM usage_ledger)",
    "UPDATE users SET checks_used = checks_used - 1 WHERE id = (SELECT max(id) FROM users)",
], ids=["a_changed_row", "a_null_for_a_value", "a_lost_row", "a_changed_seeded_row", "a_lost_seeded_row",
        "an_extra_row", "a_lost_ledger_entry", "a_lost_update"])
def test_the_oracle_reports(db, journal, damage):
    with db.connect() as conn:
        assert conn.execute(damage).rowcount == 1
    code, out = check(db, journal)
    assert code == 1, out
    assert " 1 differences" in out


def test_new_columns_are_compared_with_what_the_old_revision_wrote(db, journal):
    db.sql("""
        CREATE FUNCTION wrap(t text) RETURNS jsonb LANGUAGE plpgsql STRICT AS $f$ BEGIN
            RETURN t::jsonb; EXCEPTION WHEN data_exception THEN RETURN jsonb_build_object('segue_invalid_json', t); END $f$""")
    db.sql("ALTER TABLE checks ADD claim text, ADD config_json jsonb, ADD counts_by_template_json jsonb")
    db.sql("UPDATE checks SET claim = claim_text, config_json = wrap(aggregation),"
           " counts_by_template_json = wrap(diagnostics)")
    code, out = check(db, journal, "both")
    assert code == 0, out
    db.sql("UPDATE checks SET config_json = '{}' WHERE run_id = (SELECT min(run_id) FROM checks WHERE run_id LIKE 'o-%')")
    code, out = check(db, journal, "new")
    assert code == 1, out


def test_a_reader_that_finds_something_else_is_a_mismatch(db, tmp_path):
    db.psql("-f", LEGACY)
    db.sql("CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS"
           " $f$ BEGIN NEW.aggregation := 'spoiled'; RETURN NEW; END $f$")
    db.sql("CREATE TRIGGER spoil BEFORE INSERT ON checks FOR EACH ROW EXECUTE FUNCTION spoil()")
    code, out = workload("--url", db.url(), "--revision", "old", "--seconds", 1, "--clients", 2)
    assert code == 1
    assert "MISMATCH" in out
