#!/usr/bin/env bash
# segue's backfill against a keyset backfill with a trigger, in interleaved rounds (make bench).
#
#   bench/backfill.sh BUILD_DIR      BENCH_ROWS (1000000), BENCH_ROUNDS (3)
#
# Each round fills, on the same throwaway PostgreSQL and on a fresh copy of the same table:
#   plain   keyset: batches of 1000 by primary key, a BEFORE trigger that always runs copies the
#           column; segue: `segue start` of a plain rename
#   jsonb   the same with text converted to jsonb
# Reported: medians of rows/s while filling, table size afterwards / before, what that would be without
# any dead row (the new column itself), and rows/s of the whole of `start` (expand, fill, verify).
# Writes bench/out/backfill.json and a table to stdout.
# Exit 1 when segue is below 1.3x (plain) or 1x (jsonb: the conversion costs
# both sides the same), or its table above 1.4x.
set -u
cd "$(dirname "$0")/.." || exit 2
build=${1:-build}
rows=${BENCH_ROWS:-1000000}
rounds=${BENCH_ROUNDS:-3}
. bench/lib/pg.sh
. bench/lib/segue.sh
work=$(mktemp -d "${TMPDIR:-/tmp}/segue-bench.XXXXXX") || exit 2
mkdir -p bench/out

cleanup() {
    segue_down >/dev/null 2>&1
    pg_down
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

die() {
    echo "bench: $*" >&2
    exit 1
}

# ---- the two sides ----

fresh() {
    pg_psql <<SQL
SET client_min_messages = warning;
DROP TABLE IF EXISTS bench_rows;
CREATE TABLE bench_rows (LIKE bench_template, PRIMARY KEY (id));
INSERT INTO bench_rows SELECT * FROM bench_template ORDER BY id;
VACUUM (ANALYZE) bench_rows;
CHECKPOINT;
SQL
}

size() {
    pg_get "SELECT pg_table_size('bench_rows')"
}

# What the table would measure with the new column and without any dead row.
floor_size() {
    pg_psql -c 'CREATE TABLE bench_copy AS TABLE bench_rows'
    pg_get "SELECT pg_table_size('bench_copy')"
    pg_psql -c 'DROP TABLE bench_copy'
}

now_ms() {
    echo $(($(date +%s%N) / 1000000))
}

# What the peers do: an always running trigger, and a statement a batch from the client, each its own
# transaction, going on from the last key.
batches() {
    local i
    echo '\set last -1'
    for ((i = 0; i < rows; i += 1000)); do
        echo 'WITH batch AS (SELECT id FROM bench_rows WHERE id > :last ORDER BY id LIMIT 1000
                FOR NO KEY UPDATE),
            done AS (UPDATE bench_rows AS r SET id = r.id FROM batch AS b WHERE r.id = b.id
                RETURNING r.id)
            SELECT max(id) AS last FROM done \gset'
    done
}

keyset() { # kind -> milliseconds
    local type=text up=NEW.label from
    [ "$1" = jsonb ] && type=jsonb up='NEW.body::jsonb'
    pg_psql <<SQL
ALTER TABLE bench_rows ADD COLUMN fresh $type;
CREATE OR REPLACE FUNCTION bench_trigger() RETURNS trigger LANGUAGE plpgsql AS
    \$f\$ BEGIN NEW.fresh := $up; RETURN NEW; END \$f\$;
CREATE TRIGGER bench_trigger BEFORE INSERT OR UPDATE ON bench_rows
    FOR EACH ROW EXECUTE FUNCTION bench_trigger();
SQL
    from=$(now_ms)
    pg_psql -f "$work/batches.sql"
    echo $(($(now_ms) - from))
    [ "$(pg_get 'SELECT count(*) FROM bench_rows WHERE fresh IS NULL')" = 0 ] || die "keyset left rows"
}

migration() { # kind, name
    local extra=
    [ "$1" = jsonb ] && extra=', "type": "jsonb", "up": "body::jsonb", "down": "fresh::text"'
    printf '{"name": "%s", "operations": [{"rename_column": {"table": "bench_rows", "from": "%s", "to": "fresh"%s}}]}\n' \
        "$2" "$([ "$1" = jsonb ] && echo body || echo label)" "$extra"
}

phase_at() {
    grep "$name: .* > $1\$" "$work/segue.log" | tail -1 | cut -d' ' -f1,2
}

# Milliseconds between two phases of the last migration in segue's log.
phase_ms() { # from, to
    local a b
    a=$(phase_at "$1")
    b=$(phase_at "$2")
    [ -n "$a" ] && [ -n "$b" ] || die "no phases in segue's log"
    echo $(($(date -u -d "$b" +%s%3N) - $(date -u -d "$a" +%s%3N)))
}

segue_round() { # kind, name: sets fill_ms, whole_ms
    local from
    name=$2
    migration "$1" "$name" >"$work/$name.json"
    from=$(now_ms)
    "$SEGUE" start "$work/$name.json" >"$work/start.log" 2>&1 || { tail -5 "$work/start.log" >&2; die "segue start failed"; }
    whole_ms=$(($(now_ms) - from))
    fill_ms=$(phase_ms backfilling verifying)
    [ "$(pg_get 'SELECT count(*) FROM bench_rows WHERE fresh IS NULL')" = 0 ] || die "segue left rows"
}

segue_undo() {
    "$SEGUE" abort "$name" >"$work/abort.log" 2>&1 || { tail -5 "$work/abort.log" >&2; die "segue abort failed"; }
}

median() {
    printf '%s\n' "$@" | sort -g | awk '{ v[NR] = $1 } END { print (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

per_s() { # milliseconds
    awk -v n="$rows" -v t="$1" 'BEGIN { printf "%.0f", n * 1000 / t }'
}

ratio() {
    awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f", a / b }'
}

# ---- rounds ----

pg_up || die "PostgreSQL did not start"
segue_up "$build" "$work/segue.log" || die "segue did not start"
pg_psql <<SQL
CREATE TABLE bench_template AS SELECT i::bigint AS id, 'run-' || i AS run_id, md5(i::text) AS hash,
    'Tariffs on imported steel raise inflation (case ' || i || ')' AS label,
    '{"method":"trimmed","B":5000,"seed":' || i || ',"flags":["ok","wide"]}' AS body,
    'gpt-5' AS model, 'production' AS env, repeat('note ', 30 + i % 10) AS notes, i / 7.0::float8 AS p,
    i / 9.0::float8 AS ci_lo, i / 11.0::float8 AS ci_hi, i % 5 = 0 AS cached, now() AS created_at
FROM generate_series(1, $rows) AS i;
VACUUM ANALYZE bench_template;
SQL
batches >"$work/batches.sql"
version=$(pg_get 'SHOW server_version' | cut -d' ' -f1)
echo "backfill: PostgreSQL $version, $rows rows, $rounds rounds, $(nproc) cores"
printf '%-6s %-7s %12s %10s\n' kind side rows/s size

declare -A rates ratios sizes wholes floors
for round in $(seq "$rounds"); do
    for kind in plain jsonb; do
        fresh
        before=$(size)
        t=$(keyset "$kind") || exit 1
        rates[keyset.$kind]+=" $(per_s "$t")"
        sizes[keyset.$kind]+=" $(ratio "$(size)" "$before")"
        [ "$round" = 1 ] && floors[$kind]=$(ratio "$(floor_size)" "$before")
        printf '%-6s %-7s %12s %10s\n' "$kind" keyset "${rates[keyset.$kind]##* }" "${sizes[keyset.$kind]##* }"
        fresh
        before=$(size)
        segue_round "$kind" "bench_${kind}_$round"
        rates[segue.$kind]+=" $(per_s "$fill_ms")"
        ratios[$kind]+=" $(ratio "${rates[segue.$kind]##* }" "${rates[keyset.$kind]##* }")"
        wholes[$kind]+=" $(per_s "$whole_ms")"
        sizes[segue.$kind]+=" $(ratio "$(size)" "$before")"
        printf '%-6s %-7s %12s %10s\n' "$kind" segue "${rates[segue.$kind]##* }" "${sizes[segue.$kind]##* }"
        segue_undo
    done
done

# ---- results ----

echo
printf '%-6s %14s %14s %7s %12s %12s %12s %15s\n' median 'keyset rows/s' 'segue rows/s' ratio 'keyset size' 'segue size' 'no dead row' 'start, rows/s'
bad=0 body=
for kind in plain jsonb; do
    # shellcheck disable=SC2086
    {
        k=$(median ${rates[keyset.$kind]})
        s=$(median ${rates[segue.$kind]})
        ks=$(median ${sizes[keyset.$kind]})
        ss=$(median ${sizes[segue.$kind]})
        w=$(median ${wholes[$kind]})
        r=$(median ${ratios[$kind]}) # of each round's: both sides ran in the same minute
    }
    printf '%-6s %14s %14s %6sx %11sx %11sx %11sx %15s\n' "$kind" "$k" "$s" "$r" "$ks" "$ss" "${floors[$kind]}" "$w"
    # a conversion costs both sides the same; what is promised is the way of filling
    [ "$kind" = plain ] && wanted=1.3 || wanted=1.0
    awk -v r="$r" -v s="$ss" -v w="$wanted" 'BEGIN { exit !(r >= w && s <= 1.4) }' || bad=1
    list() { echo "$1" | sed 's/^ //; s/ /, /g'; }
    body+=$(printf '"%s": {"keyset_rows_per_s": %s, "segue_rows_per_s": %s, "ratio": %s, "keyset_size": %s, "segue_size": %s, "size_without_dead_rows": %s, "segue_start_rows_per_s": %s, "rounds": {"keyset": [%s], "segue": [%s]}}, ' \
        "$kind" "$k" "$s" "$r" "$ks" "$ss" "${floors[$kind]}" "$w" "$(list "${rates[keyset.$kind]}")" "$(list "${rates[segue.$kind]}")")
done
printf '{"postgresql": "%s", "rows": %s, "rounds": %s, "cores": %s, %s"wanted": {"plain_ratio": 1.3, "jsonb_ratio": 1.0, "size": 1.4}}\n' \
    "$version" "$rows" "$rounds" "$(nproc)" "$body" >bench/out/backfill.json
echo "written: bench/out/backfill.json"
[ "$bad" = 0 ] || die "wanted: at least 1.3x (plain) and 1x (jsonb), size at most 1.4x"
