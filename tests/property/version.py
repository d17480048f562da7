"""Tables in which an application's own tool counts versions: some files move one of them on."""

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """make: statements, with the version that the file starts from; `read` gives what stands there."""

    make: tuple
    json: dict
    read: str
    before: list
    after: list


DRIZZLE = "drizzle.__drizzle_migrations"
KINDS = {
    "alembic": Kind(
        ("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)", "INSERT INTO alembic_version VALUES ('one')"),
        {"from": ["one"], "to": "two"}, "SELECT version_num FROM alembic_version", [("one",)], [("two",)]),
    "drizzle": Kind(
        ("CREATE SCHEMA drizzle", f"CREATE TABLE {DRIZZLE} (id serial PRIMARY KEY, hash text NOT NULL, created_at bigint)",
         f"INSERT INTO {DRIZZLE} (hash, created_at) VALUES ('{'a' * 64}', 1000)"),
        {"from": 1000, "when": 2000, "hash": "b" * 64}, f"SELECT created_at, hash FROM {DRIZZLE} ORDER BY 1",
        [(1000, "a" * 64)], [(1000, "a" * 64), (2000, "b" * 64)]),
    "sql": Kind(
        ("CREATE TABLE own_version (v integer)", "INSERT INTO own_version VALUES (41)"),
        {"table": "own_version", "up": "UPDATE own_version SET v = 42 WHERE v = 41", "down": "UPDATE own_version SET v = 41 WHERE v = 42"},
        "SELECT v FROM own_version", [(41,)], [(42,)]),
}


def of(seed):
    """(name, kind) for a case."""
    return random.Random(f"{seed}/version").choice(list(KINDS.items()))
