#!/usr/bin/env bash
# tests/WIRE.md and the tests agree: rows without a gap, up to the count in the heading; each names
# tests, and all of them exist.
set -u
cd "$(dirname "$0")"
list=${1:-WIRE.md}
bad=0

complain() {
    echo "lint: tests/WIRE.md: $1"
    bad=1
}

section='' count=0 row=0
end_of_section() {
    [ "$row" = "$count" ] || complain "$section: $row rows, $count announced"
}

while IFS= read -r line; do
    case "$line" in
    '## '*)
        end_of_section
        section=${line#\#\# } row=0
        count=$(sed -nE 's/.*\(([0-9]+)\)$/\1/p' <<<"$section")
        [ -n "$count" ] || complain "$section: no count in the heading"
        ;;
    '| '[0-9]*)
        row=$((row + 1))
        number=${line#| }
        [ "${number%% *}" = "$row" ] || complain "$section: row ${number%% *} where $row is due"
        named=$(grep -oE '`(test_[a-z0-9_]+\.(py|c)::[A-Za-z0-9_]+|fuzz/[a-z_]+\.c)`' <<<"${line##*|*| }" | tr -d '`')
        [ -n "$named" ] || complain "$section $row: no test"
        for test in $named; do
            file=${test%%::*} name=${test#*::}
            case "$file" in
            fuzz/*) [ -e "$file" ] || complain "$section $row: there is no $file" ;;
            *.py) grep -qsE "^(async )?def $name\(" "integration/$file" || complain "$section $row: there is no $test" ;;
            *.c) grep -qsE "cmocka_unit_test[a-z_]*\($name[,)]" "unit/$file" || complain "$section $row: there is no $test" ;;
            esac
        done
        ;;
    esac
done <"$list"
end_of_section
[ -n "$section" ] || complain "no section"
exit "$bad"
