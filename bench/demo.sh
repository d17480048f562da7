#!/usr/bin/env bash
# The main job on a throwaway PostgreSQL: a live migration under traffic (make demo).
#
#   bench/demo.sh BUILD_DIR      DEMO_ROWS (300000), DEMO_RATE (1200 statements a second)
#
# Exit 0 only when no client saw an error and every acknowledged write was found. Everything it
# starts and writes is gone afterwards; when something is off, the logs stay and it says where.
set -u
cd "$(dirname "$0")/.." || exit 2
build=${1:-build}
rows=${DEMO_ROWS:-300000}
rate=${DEMO_RATE:-1200}
file=config/migrations/heretix_b73c9aa4f0c3.json
name=$(sed -n 's/.*"name": *"\([^"]*\)".*/\1/p' "$file" | head -1)
. bench/lib/pg.sh
. bench/lib/segue.sh

# ---- output ----

if [ -t 1 ]; then
    bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' off=$'\e[0m'
else
    bold='' dim='' red='' green='' off=''
fi
t0=$(date +%s%N)

seconds() { # since the begin, or since $1 (nanoseconds)
    local ns=$(($(date +%s%N) - ${1:-$t0}))
    printf '%d.%d' $((ns / 1000000000)) $((ns / 100000000 % 10))
}

event() {
    printf '%s%7s s%s  %s\n' "$dim" "$(seconds)" "$off" "$*"
}

detail() {
    sed "s/^/             $dim/; s/\$/$off/"
}

row() {
    printf '  %-34s %s\n' "$1" "$2"
}

group() { # 1234567 -> 1,234,567
    printf '%s' "$1" | sed -E ':a; s/^([0-9]+)([0-9]{3})/\1,\2/; ta'
}

mb() {
    awk -v b="${1:-0}" 'BEGIN { printf "%.0f MB", b / 1048576 }'
}

ms() {
    awk -v v="${1:-0}" 'BEGIN { printf "%.1f ms", v }'
}

fail() {
    trap - INT TERM
    printf '\n%s%sdemo: %s%s\n' "$red" "$bold" "$*" "$off" >&2
    failed=1
    exit 1
}

# ---- clean up, whatever happens ----

work=$(mktemp -d "${TMPDIR:-/tmp}/segue-demo.XXXXXX") || exit 2
failed=0
old_pid='' new_pid=''

cleanup() {
    local pid
    for pid in $old_pid $new_pid; do
        kill -TERM "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
    done
    segue_down >/dev/null 2>&1
    if [ "$failed" = 1 ]; then
        [ -n "$PG_DIR" ] && cp "$PG_DIR/postgres.log" "$work" 2>/dev/null
        echo "demo: the logs are in $work" >&2
    else
        rm -rf "$work"
    fi
    pg_down
}
trap cleanup EXIT
trap 'echo; echo "demo: interrupted" >&2; exit 130' INT TERM

# ---- the two revisions of the application ----

# Each says which schema it was written for: `SELECT *` is that one's columns, also after the cut-over.
workload() { # revision, ids, prefix: in the background
    PGOPTIONS="-c segue.schema=$1" "$build/workload" run --url "$SEGUE_URL" --revision "$1" --clients 4 --rate "$rate" \
        --seed-id-range "$2" --client-prefix "$3" --journal "$work/$1.jsonl" \
        --report "$work/$1.json" >"$work/workload-$1.log" 2>&1 &
}

running() { # revision, pid: up, and no error so far
    for _ in $(seq 100); do
        grep -q 'running' "$work/workload-$1.log" && return 0
        kill -0 "$2" 2>/dev/null || break
        sleep 0.05
    done
    cat "$work/workload-$1.log" >&2
    fail "the $1 revision could not start"
}

healthy() {
    local r
    for r in old new; do
        if grep -Eq 'ERROR|MISMATCH' "$work/workload-$r.log" 2>/dev/null; then
            grep -E 'ERROR|MISMATCH' "$work/workload-$r.log" | head -3 >&2
            fail "the $r revision saw an error"
        fi
    done
}

segue_run() { # what, arguments: a command of segue, logged
    local what=$1
    shift
    "$SEGUE" "$@" >"$work/segue-$what.log" 2>&1 && return 0
    tail -5 "$work/segue-$what.log" >&2
    fail "segue $what failed"
}

oracle() { # schema, journals...
    local schema=$1 args=() j
    shift
    for j in "$@"; do args+=(--journal "$work/$j.jsonl"); done
    "$build/workload" check --url "$PG_URL" --schema "$schema" "${args[@]}" \
        >"$work/oracle-$schema.log" 2>&1 && return 0
    cat "$work/oracle-$schema.log" >&2
    fail "the oracle found differences"
}

stop() { # revision, pid
    kill -TERM "$2" 2>/dev/null
    wait "$2" || { tail -4 "$work/workload-$1.log" >&2; fail "the $1 revision saw errors"; }
}

# Phases as they pass, while the command with pid $1 runs. Sets backfill_s (seconds until the last row
# was filled; the phase also builds the indexes), done_rows, throttled (percent of the phase).
follow() {
    local pid=$1 phase last='' r looks=0 held=0 reason='' next=$((SECONDS + 15))
    while kill -0 "$pid" 2>/dev/null; do
        phase=$(segue_get phase "$name" 2>/dev/null)
        if [ -n "$phase" ] && [ "$phase" != "$last" ]; then
            [ "$phase" = backfilling ] && backfill_ns=$(date +%s%N)
            event "phase $bold$phase$off"
            last=$phase
        fi
        if [ "$phase" = backfilling ]; then
            r=$(segue_get rows_done "$name")
            if [ "${r:-0}" -gt "$done_rows" ] 2>/dev/null; then
                done_rows=$r
                backfill_s=$(seconds "$backfill_ns")
            fi
            r=$(segue_get throttle "$name")
            looks=$((looks + 1))
            [ -n "$r" ] && held=$((held + 1))
            if [ -n "$r" ] && [ -z "$reason" ]; then
                reason=$r
                event "throttle: $reason"
            fi
            if [ "$SECONDS" -ge "$next" ]; then
                next=$((SECONDS + 15))
                event "$done_rows rows filled${r:+, held by ${r%%;*}}"
            fi
        fi
        healthy
        sleep 0.2
    done
    throttled=$((looks > 0 ? 100 * held / looks : 0))
}

# ---- the road ----

echo "${bold}segue: a live migration under traffic${off}"
echo "$dim       time  event$off"
pg_up || fail "PostgreSQL did not start"
event "PostgreSQL $(pg_get 'SHOW server_version' | cut -d' ' -f1), throwaway, 127.0.0.1:$PG_PORT"
pg_psql -v rows="$rows" -f tests/workload/legacy.sql >"$work/legacy.log" 2>&1 ||
    { tail -3 "$work/legacy.log" >&2; fail "the legacy schema could not be made"; }
"$build/workload" snapshot --url "$PG_URL" >>"$work/legacy.log" 2>&1 || fail "no snapshot"
event "legacy schema, $(group "$rows") checks, some of them broken on purpose"
segue_up "$build" "$work/segue.log" --quiet_period_s 2 --log_level "${DEMO_LOG:-info}" || fail "segue did not start"
event "segue serve, 127.0.0.1:$SEGUE_PORT"

half=$((rows / 2))
workload old "1-$half" o-
old_pid=$!
running old "$old_pid"
event "${bold}old revision${off} starts: 4 clients, legacy names"
sleep 3
segue_run plan plan "$file"
event "segue plan"
grep -v '^ *$' "$work/segue-plan.log" | cut -c1-96 | head -14 | detail
left=$(($(grep -vc '^ *$' "$work/segue-plan.log") - 14))
[ "$left" -gt 0 ] && echo "... $left more lines" | detail

backfill_ns=$(date +%s%N) backfill_s='' done_rows=0 throttled=0
event "segue start"
"$SEGUE" start "$file" >"$work/segue-start.log" 2>&1 &
start_pid=$!
follow "$start_pid"
wait "$start_pid" || { tail -5 "$work/segue-start.log" >&2; fail "segue start failed"; }
[ "$(segue_get phase "$name")" = ready ] || fail "not ready after start"
verified=$(segue_get rows_verified "$name")
wrapped=$(segue_get rows_wrapped "$name")
event "ready: $(group "$verified") rows verified, 0 of them not in step"

sleep 1
event "segue cutover"
segue_run cutover cutover "$name"
workload new "$((half + 1))-$rows" n-
new_pid=$!
stall_soak=$(segue_get stall_ms_max "$name")
event "phase ${bold}$(segue_get phase "$name")${off}: worst stall of a client so far $(ms "$stall_soak")"
running new "$new_pid"
event "${bold}new revision${off} starts beside the old one: 4 clients, new names"
sleep 8
healthy
stop old "$old_pid"
old_pid=''
event "old revision stops: $(tail -2 "$work/workload-old.log" | head -1 | cut -d: -f2- | sed 's/^ //')"
kill -USR1 "$new_pid"
for _ in $(seq 100); do
    grep -q paused "$work/workload-new.log" && break
    sleep 0.05
done
grep -q paused "$work/workload-new.log" || fail "the new revision did not pause"
oracle both old new
kill -USR2 "$new_pid"
event "oracle, old and new columns: $(tail -1 "$work/oracle-both.log" | cut -d: -f2- | sed 's/^ //')"
sleep 3
bytes_soak=$(segue_get bytes_now "$name")
segue_run complete complete "$name"
event "segue complete: phase ${bold}$(segue_get phase "$name")${off}, under the traffic of the new revision"
sleep 2
healthy
stop new "$new_pid"
new_pid=''
event "new revision stops: $(tail -2 "$work/workload-new.log" | head -1 | cut -d: -f2- | sed 's/^ //')"
oracle new old new
event "oracle, new columns: $(tail -1 "$work/oracle-new.log" | cut -d: -f2- | sed 's/^ //')"

# ---- what must be left, and what must not ----

[ "$(segue_get phase "$name")" = "done" ] || fail "the migration is not done"
[ "$(pg_get 'SELECT version_num FROM alembic_version')" = b73c9aa4f0c3 ] || fail "alembic_version"
left=$(pg_get "SELECT string_agg(x, ', ') FROM (
    SELECT attname::text AS x FROM pg_attribute WHERE attrelid = 'checks'::regclass
        AND attname IN ('claim_text', 'aggregation', 'diagnostics')
    UNION ALL SELECT tgname FROM pg_trigger WHERE tgrelid = 'checks'::regclass AND NOT tgisinternal
    UNION ALL SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid) AS x")
[ -z "$left" ] || fail "left over: $left"
pg_get "SELECT claim, config_json, counts_by_template_json FROM checks LIMIT 0" >/dev/null || fail "columns"

number_sum() {
    awk -v a="$(number "$work/old.json" "$1")" -v b="$(number "$work/new.json" "$1")" \
        'BEGIN { printf "%.0f", a + b }'
}
stall=$(segue_get stall_ms_max "$name")
before=$(segue_get bytes_before "$name")
after=$(segue_get bytes_now "$name")
written=$(sed -n 's/^oracle: \([0-9]*\) .*/\1/p' "$work/oracle-new.log")

echo
echo "${bold}summary$off"
row "statements, both revisions" "$(group "$(number_sum statements)"), errors $(number_sum errors), wrong reads $(number_sum mismatches)"
row "reads checked on the fly" "$(group "$(number_sum reads_checked)")"
row "writes checked by the oracle" "$(group "$written"), differences 0"
row "worst stall at the gate" "$(ms "$stall_soak") from start to cut-over, $(ms "$stall") with complete; cut-over attempts $(segue_get attempts "$name")"
row "worst statement of all" "$(ms "$(number "$work/old.json" worst_ms)") old, $(ms "$(number "$work/new.json" worst_ms)") new; p99 $(ms "$(number "$work/old.json" p99_ms)") and $(ms "$(number "$work/new.json" p99_ms)")"
row "DDL: longest strong lock held" "$(ms "$(segue_get ddl_lock_ms_max "$name")")"
rate_done=$(awk -v n="$done_rows" -v s="$backfill_s" 'BEGIN { printf "%d", (s > 0) ? n / s : 0 }')
row "backfill" "$(group "$rate_done") rows/s under traffic, three columns ($(group "$done_rows") rows in $backfill_s s)"
row "throttle held or slowed it" "$throttled % of the time, to spare the application"
row "table size before, soak, after" "$(mb "$before"), $(mb "$bytes_soak"), $(mb "$after")"
row "rows verified" "$(group "$verified"), $(group "$wrapped") of them hold text that is no JSON"
segue_down || fail "segue did not end cleanly"
row "in all" "$(seconds) s"
echo
echo "${green}${bold}demo: no client saw an error, every acknowledged write is there.$off"
