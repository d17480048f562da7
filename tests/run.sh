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
trap 'kill "$servers" 2>/dev/null || :; rm -f "$log"' EXIT
have_servers() {
    local code=0
    wait "$servers" || code=$?
    cat "$log"
    return "$code"
}

step "layers: a layer includes only layers before it" "$make" --no-print-directory layers
step "format" "$make" --no-print-directory fmt-check
step "build" "$make" --no-print-directory build
step "lint: options, commands and documents agree" "$make" --no-print-directory lint
step "unit tests" "$make" --no-print-directory unit
step "fuzz targets, a fixed slice" "$make" --no-print-directory fuzz-slice
step "the model, a slice" /usr/bin/python3 tests/model/run.py --slice --jobs 2
step "PostgreSQL ${SEGUE_PG:-15,18}" have_servers
step "integration tests on PostgreSQL ${SEGUE_PG:-15,18}" "$make" --no-print-directory integration
