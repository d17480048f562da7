"""The schema segue as an older segue has left it."""

# Version: SQL that takes back what it has brought (proxy/engine/store_ddl.c).
TAKE_BACK = {
    2: "DROP TABLE segue.usage;"
       "ALTER TABLE segue.migrations ADD old_seen_at timestamptz, ADD old_seen_by text;"
       "ALTER TABLE segue.history ADD old_seen_at timestamptz, ADD old_seen_by text",
    3: "ALTER TABLE segue.attempts DROP began_at, DROP error, DROP acted, ALTER blockers TYPE text;"
       "DROP INDEX segue.attempts_at; DROP TABLE segue.phases",
    4: "DROP TABLE segue.schedule",
    5: "ALTER TABLE segue.progress DROP from_block, ADD PRIMARY KEY (migration, relation)",
    6: "DROP TABLE segue.applied; ALTER TABLE segue.migrations DROP parents; ALTER TABLE segue.history DROP parents",
    7: "ALTER TABLE segue.throttle DROP setting",
    8: "ALTER TABLE segue.progress DROP guard",
    9: "DROP TABLE segue.begun",
    10: "DROP TABLE segue.standbys",
    11: "CREATE OR REPLACE FUNCTION segue.json_unwrap(value jsonb) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS "
        "$fn$ SELECT CASE WHEN jsonb_typeof(value) = 'object' AND value ? 'segue_invalid_json' AND value - 'segue_invalid_json' = "
        "'{}'::jsonb AND jsonb_typeof(value -> 'segue_invalid_json') = 'string' THEN value ->> 'segue_invalid_json' ELSE "
        "value::text END $fn$",
    12: "ALTER TABLE segue.migrations DROP born_in; ALTER TABLE segue.history DROP born_in",
    13: "DROP TABLE segue.pieces",
    14: "ALTER TABLE segue.progress ALTER guard TYPE oid USING split_part(guard, ' ', 1)::oid",
    15: "DROP TABLE segue.kept",
}


def newest(db):
    return db.one("SELECT max(version) FROM segue.store")


def take_back_to(db, version):
    """Of a database that no segue serves."""
    for newer in range(newest(db), version, -1):
        db.sql(f"{TAKE_BACK[newer]}; DELETE FROM segue.store WHERE version = {newer}")
