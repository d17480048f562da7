#include "store_ddl.h"

#include "segue/base/rc.h"

#define MIGRATION_COLUMNS                                                                          \
    "sha256 text NOT NULL, file text NOT NULL, plan jsonb NOT NULL, phase text NOT NULL,"          \
    "paused bool NOT NULL DEFAULT false, error text, error_state text, hint text,"                 \
    "epoch bigint NOT NULL DEFAULT 0, migrate bool NOT NULL DEFAULT false,"                        \
    "force bool NOT NULL DEFAULT false,"                                                           \
    "started_at timestamptz NOT NULL DEFAULT clock_timestamp(),"                                   \
    "phase_at timestamptz NOT NULL DEFAULT clock_timestamp(),"                                     \
    "cutover_at timestamptz, finished_at timestamptz,"                                             \
    "bytes_before bigint NOT NULL DEFAULT 0, stall_us_max bigint NOT NULL DEFAULT 0,"              \
    "lock_us_max bigint NOT NULL DEFAULT 0, repairs int NOT NULL DEFAULT 0,"                       \
    "repairing bool NOT NULL DEFAULT false, old_seen_at timestamptz, old_seen_by text"

/* Guards run as whoever writes, and `up` / `down` may call the json helpers: all roles may use
 * the schema. The tables stay the owner's. A value that is no JSON (or that jsonb cannot hold, or
 * nests too deep for it) is wrapped, never lost; catching that takes a subtransaction, which no
 * parallel plan may start. */
const char *const store_ddl[] = {
    "CREATE SCHEMA IF NOT EXISTS segue;"
    "GRANT USAGE ON SCHEMA segue TO PUBLIC;"
    "CREATE TABLE segue.store (version int PRIMARY KEY,"
    " made_at timestamptz NOT NULL DEFAULT clock_timestamp());"
    "CREATE TABLE segue.migrations (id bigint GENERATED ALWAYS AS IDENTITY UNIQUE,"
    " name text PRIMARY KEY, " MIGRATION_COLUMNS ");"
    "CREATE TABLE segue.history (moved_at timestamptz NOT NULL, id bigint PRIMARY KEY,"
    " name text NOT NULL, " MIGRATION_COLUMNS ");"
    "CREATE TABLE segue.steps (migration bigint NOT NULL, no int NOT NULL, stage int NOT NULL,"
    " done_at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (migration, no));"
    "CREATE TABLE segue.progress (migration bigint NOT NULL, table_no int NOT NULL,"
    " relation oid NOT NULL, relname text NOT NULL, relfilenode oid NOT NULL,"
    " next_block bigint NOT NULL DEFAULT 0, end_block bigint NOT NULL,"
    " rows bigint NOT NULL DEFAULT 0, PRIMARY KEY (migration, relation))"
    " WITH (fillfactor = 50);"
    "CREATE TABLE segue.skipped (migration bigint NOT NULL, relation oid NOT NULL,"
    " from_block bigint NOT NULL, to_block bigint NOT NULL,"
    " PRIMARY KEY (migration, relation, from_block));"
    "CREATE TABLE segue.attempts (migration bigint NOT NULL, no int NOT NULL, kind text NOT NULL,"
    " title text, at timestamptz NOT NULL DEFAULT clock_timestamp(), outcome text NOT NULL,"
    " drain_ms float8, lock_ms float8, stall_us bigint, blockers text);"
    "CREATE INDEX attempts_migration ON segue.attempts (migration);"
    "CREATE TABLE segue.verifications (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    " migration bigint NOT NULL, direction text NOT NULL, began_at timestamptz NOT NULL,"
    " ended_at timestamptz NOT NULL DEFAULT clock_timestamp(), rows bigint NOT NULL,"
    " bad bigint NOT NULL, nulls bigint NOT NULL, wrapped bigint NOT NULL,"
    " sample jsonb NOT NULL);"
    "CREATE TABLE segue.throttle (signal text PRIMARY KEY, \"limit\" float8 NOT NULL,"
    " enabled bool NOT NULL, set_at timestamptz NOT NULL DEFAULT clock_timestamp());"
    "CREATE FUNCTION segue.json_or_wrap(value text) RETURNS jsonb"
    " LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL UNSAFE AS $fn$"
    " BEGIN RETURN value::pg_catalog.jsonb;"
    " EXCEPTION WHEN data_exception OR program_limit_exceeded THEN"
    " RETURN pg_catalog.jsonb_build_object('segue_invalid_json', value); END $fn$;"
    "CREATE FUNCTION segue.json_unwrap(value jsonb) RETURNS text"
    " LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $fn$"
    " SELECT CASE WHEN pg_catalog.jsonb_typeof(value) = 'object'"
    " AND value OPERATOR(pg_catalog.?) 'segue_invalid_json'"
    " AND value OPERATOR(pg_catalog.-) 'segue_invalid_json' = '{}'::pg_catalog.jsonb"
    " AND pg_catalog.jsonb_typeof(value OPERATOR(pg_catalog.->) 'segue_invalid_json') = 'string'"
    " THEN value OPERATOR(pg_catalog.->>) 'segue_invalid_json' ELSE value::text END $fn$;"
    "GRANT EXECUTE ON FUNCTION segue.json_or_wrap(text), segue.json_unwrap(jsonb) TO PUBLIC",

    /* 2: who uses which names, in place of who used an old one last */
    "CREATE TABLE segue.usage (migration bigint NOT NULL, table_name text NOT NULL,"
    " user_name text NOT NULL, application_name text NOT NULL, address text NOT NULL,"
    " what text NOT NULL, count bigint NOT NULL, first_at timestamptz NOT NULL,"
    " last_at timestamptz NOT NULL, statement text NOT NULL, why text NOT NULL,"
    " PRIMARY KEY (migration, table_name, what, user_name, application_name, address))"
    " WITH (fillfactor = 50);"
    "INSERT INTO segue.usage SELECT id, '', '', 'segue', '', 'old names', 0, old_seen_at,"
    " old_seen_at, coalesce(old_seen_by, ''), '' FROM segue.migrations"
    " WHERE old_seen_at IS NOT NULL;"
    "ALTER TABLE segue.migrations DROP COLUMN old_seen_at, DROP COLUMN old_seen_by;"
    "ALTER TABLE segue.history DROP COLUMN old_seen_at, DROP COLUMN old_seen_by",

    /* 3: attempts with their beginning, blockers as JSON; when each phase began */
    "ALTER TABLE segue.attempts ADD COLUMN began_at timestamptz, ADD COLUMN error text,"
    " ADD COLUMN acted jsonb, ALTER COLUMN blockers TYPE jsonb USING to_jsonb(blockers);"
    "CREATE INDEX attempts_at ON segue.attempts (at);"
    "CREATE TABLE segue.phases (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    " migration bigint NOT NULL, phase text NOT NULL,"
    " at timestamptz NOT NULL DEFAULT clock_timestamp(), epoch bigint NOT NULL);"
    "CREATE INDEX phases_migration ON segue.phases (migration);"
    "INSERT INTO segue.phases (migration, phase, at, epoch)"
    " SELECT id, phase, phase_at, epoch FROM segue.migrations",

    /* 4: when a cut-over is to begin */
    "CREATE TABLE segue.schedule (migration bigint PRIMARY KEY, due_at timestamptz NOT NULL,"
    " wait_replicas bool NOT NULL, postponed bool NOT NULL,"
    " set_at timestamptz NOT NULL DEFAULT clock_timestamp())",

    /* 5: several ranges of blocks a relation, each with its watermark */
    "ALTER TABLE segue.progress ADD COLUMN from_block bigint NOT NULL DEFAULT 0,"
    " DROP CONSTRAINT progress_pkey, ADD PRIMARY KEY (migration, relation, from_block)",

    /* 6: what was applied after what, and the schema it has left */
    "ALTER TABLE segue.migrations ADD COLUMN parents text[] NOT NULL DEFAULT '{}';"
    "ALTER TABLE segue.history ADD COLUMN parents text[] NOT NULL DEFAULT '{}';"
    "CREATE TABLE segue.applied (no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    " name text NOT NULL UNIQUE, kind text NOT NULL, migration bigint, sha256 text NOT NULL,"
    " parents text[] NOT NULL, started_at timestamptz NOT NULL,"
    " applied_at timestamptz NOT NULL DEFAULT clock_timestamp(), note text, schema jsonb);"
    "INSERT INTO segue.applied (name, kind, migration, sha256, parents, started_at, applied_at)"
    " SELECT name, 'migration', id, sha256, '{}', started_at, finished_at FROM segue.migrations"
    " WHERE phase = 'done' ORDER BY finished_at",

    /* 7: signals with a text: a query, a path, times */
    "ALTER TABLE segue.throttle ADD COLUMN setting text",

    /* 8: the guard under which a relation's rows were looked at */
    "ALTER TABLE segue.progress ADD COLUMN guard oid;"
    "UPDATE segue.progress p SET guard = g.oid FROM pg_trigger g"
    " WHERE g.tgrelid = p.relation AND g.tgname = '~segue_guard'",

    /* 9: indexes whose building has begun; of older plans, what may have */
    "CREATE TABLE segue.begun (migration bigint NOT NULL, no int NOT NULL,"
    " PRIMARY KEY (migration, no));"
    "INSERT INTO segue.begun SELECT m.id, (s ->> 'no')::int FROM segue.migrations m,"
    " jsonb_array_elements(m.plan -> 'steps') s WHERE m.finished_at IS NULL"
    " AND s ->> 'kind' = 'concurrently' AND s ->> 'index_name' IS NOT NULL",

    /* 10: standbys that are expected to be there */
    "CREATE TABLE segue.standbys (name text PRIMARY KEY,"
    " seen_at timestamptz NOT NULL DEFAULT clock_timestamp())",

    /* 11: it says what it means, whatever operators and types the schemas of a path have */
    "CREATE OR REPLACE FUNCTION segue.json_unwrap(value jsonb) RETURNS text"
    " LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $fn$"
    " SELECT CASE WHEN pg_catalog.jsonb_typeof(value) OPERATOR(pg_catalog.=) 'object'"
    " AND value OPERATOR(pg_catalog.?) 'segue_invalid_json'"
    " AND (value OPERATOR(pg_catalog.-) 'segue_invalid_json') OPERATOR(pg_catalog.=)"
    "  '{}'::pg_catalog.jsonb"
    " AND pg_catalog.jsonb_typeof(value OPERATOR(pg_catalog.->) 'segue_invalid_json')"
    "  OPERATOR(pg_catalog.=) 'string'"
    " THEN value OPERATOR(pg_catalog.->>) 'segue_invalid_json'"
    " ELSE value::pg_catalog.text END $fn$",

    /* 12: in which table the row was made: a restored one has another oid */
    "ALTER TABLE segue.history ADD COLUMN born_in oid;"
    "ALTER TABLE segue.migrations ADD COLUMN born_in oid;"
    "UPDATE segue.migrations SET born_in = 'segue.migrations'::regclass WHERE finished_at IS NULL",

    /* 13: indexes of partitions that have not become a part of their table's; and those of the
     * user's (not made) that have */
    "CREATE TABLE segue.pieces (migration bigint NOT NULL, no int NOT NULL, index oid NOT NULL,"
    " made bool NOT NULL, PRIMARY KEY (migration, no, index))",

    /* 14: the guard's row in the catalog beside its oid: RELATIONS_GUARD */
    "ALTER TABLE segue.progress ALTER COLUMN guard TYPE text;"
    "UPDATE segue.progress p SET guard = concat(g.oid, ' ', g.xmin) FROM pg_trigger g"
    " WHERE g.tgrelid = p.relation AND g.tgname = '~segue_guard' AND p.guard = g.oid::text",

    /* 15: what a column that changes in place has on either side of the cut-over */
    "CREATE TABLE segue.kept (migration bigint NOT NULL, relation oid NOT NULL,"
    " attnum int2 NOT NULL, kind text NOT NULL, side text NOT NULL, value text,"
    " PRIMARY KEY (migration, relation, attnum, kind, side))",
};
const size_t store_ddl_count = ARRAY_LEN(store_ddl);
