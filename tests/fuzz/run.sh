#!/usr/bin/env bash
# Runs the libFuzzer targets one after the other, FUZZ_S seconds each. Arguments: the build folder,
# then targets (none: all). The corpus stays in the build folder: the next run goes on from it. A
# finding ends the run; its input is written beside the corpus.
set -eu
build=$1
shift
[ $# -gt 0 ] || set -- $(cd "$build/libfuzzer" && ls | grep -v '\.d$')
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1
for target in "$@"; do
    corpus=$build/corpus/$target
    mkdir -p "$corpus"
    "$build/libfuzzer/$target" -seeds "$corpus"
    echo "== fuzz: $target, $FUZZ_S s"
    "$build/libfuzzer/$target" -max_total_time="$FUZZ_S" -max_len=4096 -timeout=60 \
        -artifact_prefix="$build/corpus/$target-" -print_final_stats=1 "$corpus" 2>&1 |
        grep -E 'ERROR|SUMMARY|bed:|stat::number|stat::new_units|Test unit|DONE|#[0-9]+ ' ||
        { echo "== fuzz: $target failed"; exit 1; }
    [ "${PIPESTATUS[0]}" = 0 ] || { echo "== fuzz: $target has found something"; exit 1; }
done
echo "== fuzz: ok"
