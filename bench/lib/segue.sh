# shellcheck shell=bash disable=SC2034
# segue in front of the throwaway PostgreSQL of pg.sh; sourced after it, not run.
#
#   segue_up BUILD LOG [OPTION...]   segue serve in front of PG_URL, on a free port
#   segue_down                       SIGTERM, and wait
#   segue_get COLUMN [NAME]          one column of SHOW STATUS
#   number FILE KEY                  a number of a flat JSON report
#
# Sets SEGUE (program), SEGUE_PID, SEGUE_PORT, SEGUE_URL (the database through segue) and
# SEGUE_SERVER (the console; segue's commands read it from the environment).

SEGUE='' SEGUE_PID='' SEGUE_PORT='' SEGUE_URL=''

segue_up() {
    local log=$2
    SEGUE=$1/segue
    shift 2
    "$SEGUE" serve --upstream "$PG_URL" --listen 127.0.0.1:0 "$@" >"$log.out" 2>"$log" &
    SEGUE_PID=$!
    for _ in $(seq 100); do
        SEGUE_PORT=$(sed -n 's/^segue: listening on .*:\([0-9]*\)$/\1/p' "$log.out")
        [ -n "$SEGUE_PORT" ] && break
        kill -0 "$SEGUE_PID" 2>/dev/null || break
        sleep 0.05
    done
    if [ -z "$SEGUE_PORT" ]; then
        echo "segue did not start:" >&2
        tail -5 "$log" >&2
        return 1
    fi
    SEGUE_URL="postgresql://postgres@127.0.0.1:$SEGUE_PORT/postgres"
    export SEGUE_SERVER="postgresql://postgres@127.0.0.1:$SEGUE_PORT/segue"
}

segue_down() {
    local code=0
    if [ -n "$SEGUE_PID" ] && kill -0 "$SEGUE_PID" 2>/dev/null; then
        kill -TERM "$SEGUE_PID" 2>/dev/null
        wait "$SEGUE_PID" || code=$?
    fi
    SEGUE_PID=''
    return $code
}

# The console answers whole rows; psql's expanded display gives "column|value" lines.
segue_get() {
    psql "$SEGUE_SERVER" -X -q -A -t -x -c "SHOW STATUS ${2:-}" | sed -n "s/^$1|//p" | head -1
}

number() {
    sed -n "s/.*\"$2\": *\([-0-9.]*\).*/\1/p" "$1" | head -1
}
