#!/usr/bin/env bash
# Every check, in the order in which a mistake is cheapest to find; stops at the first failure.
# The last lines are those of the test runner itself.
set -eu
cd "$(dirname "$0")/.."
make=${MAKE:-make}

step() {
    echo "== $1"
    shift
    "$@" || {
        local code=$?
        echo "== failed: $*"
        exit "$code"
    }
}

# Servers and drivers of JavaScript come from npm, which waits for the network while others compute.
log=$(mktemp)
"$make" --no-print-directory servers >"$log" 2>&1 &
servers=$!

# What pytest makes of the files of tests is written down by one process; else each of those that begin at once makes it anew.
pycache=$(mktemp -d)
export PYTHONPYCACHEPREFIX=$pycache
env -u PYTHONDONTWRITEBYTECODE /usr/bin/python3 -m pytest -q -p no:cacheprovider --collect-only tests/integration >/dev/null 2>&1 &
collected=$!

trap 'kill "$servers" "$collected" 2>/dev/null || :; rm -rf "$log" "$pycache"' EXIT
have_servers() {
    local code=0
    wait "$servers" || code=$?
    wait "$collected" || : # what is wrong there is said when they run
    cat "$log"
    return "$code"
}

step "layers: a layer includes only layers before it" "$make" --no-print-directory layers
step "format" "$make" --no-print-directory fmt-check
step "build" "$make" --no-print-directory programs
step "lint: options, commands and documents agree" "$make" --no-print-directory lint
step "unit tests" "$make" --no-print-directory unit
step "fuzz targets, a fixed slice" "$make" --no-print-directory fuzz-slice
step "the model, a slice" /usr/bin/python3 tests/model/run.py --slice --jobs 2
step "PostgreSQL ${SEGUE_PG:-15,18}" have_servers
step "integration tests on PostgreSQL ${SEGUE_PG:-15,18}" "$make" --no-print-directory integration
