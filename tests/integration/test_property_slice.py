"""A slice of `make property` (tests/property): random schemas, migrations, writers, roads and faults."""

import sys

import pytest
from lib.operations import operation_names, version_names
from lib.segue import REPO

sys.path.append(str(REPO / "tests"))

from property import operations, schema, version  # noqa: E402
from property.campaign import play  # noqa: E402
from property.case import Options  # noqa: E402
from property.stage import Stage  # noqa: E402

CASES = ((202, "again"), (204, "done"))  # seeds and roads; the first renames a column that refers to its own table, the second splits one


@pytest.mark.newest_unless_told
@pytest.mark.deadline(120)
def test_random_migrations_end_as_plain_ddl_does_and_lose_no_write(pg, pg_version):
    stage = Stage(pg_version, pg)
    try:
        for seed, road in CASES:
            outcome = play(stage, Options(seed, faults=False, road=road))
            assert outcome.wrong is None, f"{outcome.options.words()}: {outcome.wrong}\n{outcome.told}"
            assert outcome.nothing is None and len(outcome.ops) > 1 and outcome.facts["rows"] > 0
    finally:
        stage.close()


def test_all_operations_and_all_version_tables_are_generated():
    seeds = range(1, 41)
    made = {name for seed in seeds for op in operations.Maker(seed, schema.Maker(seed).make(), 18).make(7) for name in op.json}
    assert made == operation_names()
    assert {version.of(seed)[0] for seed in seeds} == set(version.KINDS) == version_names()


def test_a_seed_gives_the_same_schema_and_the_same_operations():
    def made(seed):
        tables = schema.Maker(seed).make()
        return tables.sql(), [op.json for op in operations.Maker(seed, tables, 18).make(4)]

    assert made(4711) == made(4711) and made(4711) != made(4712)
