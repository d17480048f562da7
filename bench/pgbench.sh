#!/usr/bin/env bash
# pgbench through segue while a migration runs from start to complete.
#
#   bench/pgbench.sh BUILD_DIR      PGBENCH_CLIENTS (16), PGBENCH_ROWS (200000)
#
# For each protocol (prepared, simple, extended) a whole migration passes (start, cut-over, complete)
# under two pgbench runs of half of the clients each: one on a table no migration knows, one on the
# migrating table, by column names that stay. No client may see an error, the worst stall at the
# cut-over must stay below 250 ms: by segue's own count and by pgbench's log of every transaction.
# "Before" is the worst of four quiet seconds through segue without a migration: this machine's own
# tail. Then, for information, transactions a second direct and through segue.
set -u
cd "$(dirname "$0")/.." || exit 2
build=${1:-build}
clients=${PGBENCH_CLIENTS:-16}
rows=${PGBENCH_ROWS:-200000}
. bench/lib/pg.sh
. bench/lib/segue.sh
work=$(mktemp -d "${TMPDIR:-/tmp}/segue-pgbench.XXXXXX") || exit 2
mkdir -p bench/out
pids=()

cleanup() {
    local pid
    for pid in "${pids[@]}"; do
        kill -TERM "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
    done
    segue_down >/dev/null 2>&1
    pg_down
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

die() {
    echo "pgbench: $*" >&2
    exit 1
}

command_of_segue() {
    "$SEGUE" "$@" >"$work/command.log" 2>&1 || { tail -5 "$work/command.log" >&2; die "segue $1 failed"; }
}

# The old names stay usable until complete; these statements use what exists in both schemas.
cat >"$work/migrating.sql" <<SQL
\\set id random(1, $rows)
UPDATE bench_moves SET hits = hits + 1 WHERE id = :id;
SELECT id, hits FROM bench_moves WHERE id = :id;
BEGIN;
INSERT INTO bench_moves (hits) VALUES (:id);
UPDATE bench_moves SET hits = hits + 1 WHERE id = :id;
END;
SQL

run_pgbench() { # what, protocol, arguments
    local what=$1 protocol=$2
    shift 2
    (cd "$work" && exec pgbench "$SEGUE_URL" -n -M "$protocol" -c $((clients / 2)) -j 1 -T 3600 \
        -l --log-prefix="$work/log.$what" "$@") >"$work/$what.out" 2>&1 &
    pids+=($!)
}

# Worst transaction (ms) of those under way between two times (epoch seconds with fraction).
worst_between() {
    cat "$work"/log.* | awk -v a="$1" -v b="$2" '
        { at = $5 + $6 / 1e6; if (at >= a && at - $3 / 1e6 <= b && $3 > max) max = $3 }
        END { printf "%.1f", max / 1000 }'
}

# When segue's log says that a phase of the migration began.
phase_at() {
    date -u -d "$(grep "$name: .* > $1\$" "$work/segue.log" | tail -1 | cut -d' ' -f1,2)" +%s.%N
}

pg_up || die "PostgreSQL did not start"
pgbench "$PG_URL" -i -q -s 5 >"$work/init.log" 2>&1 || die "pgbench -i failed"
segue_up "$build" "$work/segue.log" --quiet_period_s 0 || die "segue did not start"
bad=0 body=
printf '%-9s %12s %8s %14s %16s %14s %11s\n' protocol transactions errors 'cut-over, gate' 'cut-over, worst' 'before, worst' 'all, worst'
for protocol in prepared simple extended; do
    pg_psql <<SQL
SET client_min_messages = warning;
DROP TABLE IF EXISTS bench_moves;
CREATE TABLE bench_moves (id bigserial PRIMARY KEY, hits int NOT NULL, label text);
INSERT INTO bench_moves (hits, label) SELECT 0, 'label ' || i FROM generate_series(1, $rows) AS i;
VACUUM ANALYZE bench_moves;
SQL
    name=bench_moves_$protocol
    echo "{\"name\": \"$name\", \"operations\": [{\"rename_column\": {\"table\": \"bench_moves\", \"from\": \"label\", \"to\": \"title\"}}]}" >"$work/$name.json"
    rm -f "$work"/log.*
    pids=()
    run_pgbench unrelated "$protocol"
    run_pgbench migrating "$protocol" -f "$work/migrating.sql"
    sleep 1
    quiet_from=$(date +%s.%N)
    sleep 4
    quiet_to=$(date +%s.%N)
    command_of_segue start "$work/$name.json"
    sleep 1
    command_of_segue cutover "$name"
    stall=$(segue_get stall_ms_max "$name")
    sleep 1
    command_of_segue complete "$name"
    sleep 1
    errors=0
    for pid in "${pids[@]}"; do
        kill -0 "$pid" 2>/dev/null || errors=$((errors + 1)) # it ended by itself: an error
        kill -INT "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
    pids=()
    errors=$((errors + $(cat "$work"/unrelated.out "$work"/migrating.out | grep -c 'error:\|ERROR\|aborted')))
    count=$(cat "$work"/log.* | wc -l)
    worst=$(worst_between "$(phase_at cutting_over)" "$(phase_at soaking)")
    quiet=$(worst_between "$quiet_from" "$quiet_to")
    all=$(worst_between 0 9999999999)
    printf '%-9s %12s %8s %11.1f ms %13.1f ms %11.1f ms %8.1f ms\n' \
        "$protocol" "$count" "$errors" "$stall" "$worst" "$quiet" "$all"
    [ "$errors" = 0 ] || { grep -h 'error:\|ERROR\|aborted' "$work"/*.out | head -3 >&2; bad=1; }
    awk -v a="$stall" -v b="$worst" 'BEGIN { exit !(a < 250 && b < 250) }' || bad=1
    body+=$(printf '"%s": {"transactions": %s, "errors": %s, "stall_ms_max": %s, "cutover_worst_ms": %s, "before_worst_ms": %s, "worst_ms": %s}, ' \
        "$protocol" "$count" "$errors" "$stall" "$worst" "$quiet" "$all")
done

echo
echo "for information, no migration active: pgbench -S, $clients clients, transactions/s"
for protocol in prepared simple extended; do
    tps() {
        pgbench "$1" -n -S -M "$protocol" -c "$clients" -j 1 -T 4 2>/dev/null | sed -n 's/^tps = \([0-9]*\).*/\1/p'
    }
    direct=$(tps "$PG_URL")
    through=$(tps "$SEGUE_URL")
    printf '%-9s direct %8s   through segue %8s\n' "$protocol" "$direct" "$through"
    body+=$(printf '"%s_tps": {"direct": %s, "segue": %s}, ' "$protocol" "$direct" "$through")
done
printf '{%s"clients": %s, "wanted": {"errors": 0, "stall_ms_below": 250}}\n' "$body" "$clients" >bench/out/pgbench.json
echo "written: bench/out/pgbench.json"
[ "$bad" = 0 ] || die "wanted: no error, and every stall at the cut-over below 250 ms"
