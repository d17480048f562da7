#!/usr/bin/env bash
# What the compiler does not see: options, commands and documents agree; rooms are small; scripts
# parse. Argument: the build folder.
set -u
cd "$(dirname "$0")/.."
segue=${1:-build}/segue
bad=0

complain() {
    echo "lint: $1"
    bad=1
}

# ---- options: `serve --help` is made from the option table ----

options=$("$segue" serve --help | sed -nE 's/^  --([a-z0-9-]+) .*/\1/p' | tr - _)
[ "$(echo "$options" | wc -l)" -gt 5 ] || complain "serve --help lists no options"
for option in $options; do
    grep -q "^| \`$option\` |" config/README.md || complain "config/README.md: option $option is missing"
    grep -q "^  \"$option\":" config/segue.json || complain "config/segue.json: option $option is missing"
done
for option in $(sed -nE 's/^\| `([a-z0-9_]+)` \|.*/\1/p' config/README.md); do
    echo "$options" | grep -qx "$option" || complain "config/README.md: there is no option $option"
done

# The file must load; what it says must be the defaults.
/usr/bin/python3 - "$segue" <<'PY' || bad=1
import json, re, subprocess, sys
text = subprocess.run([sys.argv[1], "serve", "--help"], capture_output=True, text=True, check=True).stdout
defaults = {}
for name, value in re.findall(r'^  --([a-z0-9-]+) .*\n.*; default "(.*)"$', text, re.M):
    defaults[name.replace("-", "_")] = value
config = json.load(open("config/segue.json"))
bad = 0
for name, value in config.items():
    shown = ",".join(value) if isinstance(value, list) else str(value)
    if name not in defaults:
        print(f"lint: config/segue.json: there is no option {name}")
        bad = 1
    elif shown != defaults[name]:
        print(f"lint: config/segue.json: {name} is {shown}, the default is {defaults[name]}")
        bad = 1
sys.exit(bad)
PY

# ---- commands ----

for command in $("$segue" --help | sed -nE 's/^  ([a-z]+) .*/\1/p'); do
    grep -q "segue $command" README.md || complain "README.md: the command 'segue $command' is missing"
done
"$segue" help console | sed -E 's/^(SHOW [A-Z]+|[A-Z]+).*/\1/' | while read -r command; do
    grep -q "$command" README.md || echo "lint: README.md: the console's $command is missing"
done | grep . && bad=1

# ---- links: files and headings that documents refer to are there ----

/usr/bin/python3 - README.md docs/*.md config/README.md bench/README.md proxy/ARCHITECTURE.md tests/integration/README.md <<'PY' || bad=1
import os, re, sys
def anchors(path):
    heads = re.findall(r"^#+ (.*)$", open(path).read(), re.M)
    return {re.sub(r"[^a-z0-9 _-]", "", h.lower()).replace(" ", "-") for h in heads}
bad = 0
for path in sys.argv[1:]:
    for link in re.findall(r"\]\(([^)\s]+)\)", open(path).read()):
        file, _, anchor = link.partition("#")
        to = os.path.normpath(os.path.join(os.path.dirname(path), file)) if file else path
        if "://" in link or (os.path.exists(to) and (not anchor or anchor in anchors(to))):
            continue
        print(f"lint: {path}: the link {link} leads nowhere")
        bad = 1
sys.exit(bad)
PY

# ---- the checklist of the wire ----

tests/wire.sh || bad=1

# ---- points at which tests let something fail ----

# each is reached in its room and nowhere else; only build/faults/segue knows them
sed -nE 's/^FAULT_POINT\((\w+), "[^"]*", "([^"]+)",.*/\1 \2/p' include/segue/base/fault_points.h |
    while read -r point room; do
        found=$(grep -lE "FAULT(_OF)?\($point[,)]" proxy/*/*.c | tr '\n' ' ')
        [ "$found" = "proxy/$room " ] || echo "lint: the point $point is in \"$found\", not in proxy/$room"
    done | grep . && bad=1
[ "$(grep -c '^FAULT_POINT(' include/segue/base/fault_points.h)" -ge 40 ] || complain "points of faults are missing"
nm "$segue" | grep -q ' fault_reach$' && complain "$segue holds the points of faults"
strings -a "$segue" | grep -qE 'SEGUE_FAULT|^batch_committed$' && complain "$segue: FAULT() has left something behind"

# ---- the model's page names functions that are there ----

while IFS='|' read -r _ _ functions files _; do
    for name in $(grep -oE '`[a-z_]+`' <<<"$functions" | tr -d '`'); do
        # shellcheck disable=SC2046
        grep -qE "\\b$name\\(" $(grep -oE 'proxy/[a-z_/]+\.c' <<<"$files") /dev/null || complain "tests/model/README.md: $name is not in $files"
    done
done < <(grep '| `proxy/' tests/model/README.md)

# ---- tests wait for lines of the log ----

# a line may come after the answer: Segue.logged() waits for it; that one is not there may be asserted
for file in tests/integration/*.py tests/integration/lib/*.py; do
    sed -E 's/not in [][a-zA-Z_.()0-9]+\.log_text\(\)//g' "$file" |
        grep -nE '^ *assert .*( in |\.search\(.*)[][a-zA-Z_.()0-9]+\.log_text\(\)($|[^.])' |
        sed "s|^|lint: $file:|; s|\$| (Segue.logged waits for it)|"
done | grep . && bad=1

# ---- rooms ----

for file in proxy/*.c proxy/*/*.[ch] include/segue/*/*.h tests/unit/*.c tests/workload/*.[ch]; do
    [ -e "$file" ] || continue
    lines=$(wc -l <"$file")
    [ "$lines" -le 700 ] || complain "$file: $lines lines; a room has at most 700"
done

# ---- scripts ----

for file in .ci/run tests/*.sh bench/*.sh; do
    [ -e "$file" ] || continue
    bash -n "$file" || bad=1
done
find tests bench -name node_modules -prune -o -name '*.py' -print | /usr/bin/python3 -c '
import ast, collections, sys
bad = 0
for file in map(str.rstrip, sys.stdin):
    for node in ast.walk(ast.parse(open(file).read(), file)):
        keys = [key.value for key in node.keys if isinstance(key, ast.Constant)] if isinstance(node, ast.Dict) else []
        for key, times in collections.Counter(keys).items():
            if times > 1:  # the first of them is a case that nobody plays
                print(f"lint: {file}:{node.lineno}: {key!r} stands {times} times in one dict")
                bad = 1
sys.exit(bad)' || bad=1
for file in config/*.json config/*/*.json; do
    [ -e "$file" ] || continue
    /usr/bin/python3 -m json.tool "$file" >/dev/null || complain "$file: not valid JSON"
done

[ "$bad" = 0 ] && echo "lint: ok"
exit "$bad"
