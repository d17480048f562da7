#!/usr/bin/env bash
# A layer may include only itself and the layers before it (DESIGN 13). Arguments: the layers in
# order. Private headers (proxy/<layer>/x.h) are for that layer alone.
set -u
cd "$(dirname "$0")/.."
order=("$@")
bad=0
allowed=" "
for layer in "${order[@]}"; do
    allowed="$allowed$layer "
    for file in proxy/"$layer"/*.[ch] include/segue/"$layer"/*.h; do
        [ -e "$file" ] || continue
        while read -r line target; do
            case "$allowed" in
            *" $target "*) ;;
            *)
                echo "$file:$line: layer '$layer' includes '$target', which comes after it"
                bad=1
                ;;
            esac
        done < <(grep -nE '^#include "segue/[a-z]+/' "$file" | sed -E 's|^([0-9]+):#include "segue/([a-z]+)/.*|\1 \2|')
        while read -r line inc; do
            case "$inc" in
            segue/*) ;;
            *)
                if [ ! -e "proxy/$layer/$inc" ]; then
                    echo "$file:$line: private header $inc is not in proxy/$layer"
                    bad=1
                fi
                ;;
            esac
        done < <(grep -nE '^#include "' "$file" | sed -E 's|^([0-9]+):#include "(.*)"|\1 \2|')
    done
done
[ "$bad" = 0 ] && echo "layers: ok"
exit "$bad"
