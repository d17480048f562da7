#!/usr/bin/env bash
# A layer may include only itself and the layers before it (DESIGN 13). Arguments: the layers in
# order. Private headers (proxy/<layer>/x.h) are for that layer alone.
set -u
cd "$(dirname "$0")/.."
grep -nHE '^#include "' proxy/*/*.[ch] include/segue/*/*.h |
    awk -F'[/:]' -v order="$*" -v private="$(echo proxy/*/*.h)" '
    BEGIN {
        for (n = split(order, names, " "); n; n--)
            rank[names[n]] = n
        for (n = split(private, names, " "); n; n--)
            there[names[n]] = 1
    }
    { # proxy/LAYER/FILE:LINE:#include "TARGET", or include/segue/LAYER/FILE
        layer = $1 == "proxy" ? $2 : $3
        split($0, halves, "\"")
        target = halves[2]
        at = substr(halves[1], 1, index(halves[1], "#include") - 1)
        if (!(layer in rank))
            next
        if (split(target, parts, "/") > 2 && parts[1] == "segue") {
            if (!(parts[2] in rank) || rank[parts[2]] > rank[layer])
                complain(at " layer \047" layer "\047 includes \047" parts[2] "\047, which comes after it")
        } else if (!(("proxy/" layer "/" target) in there)) {
            complain(at " private header " target " is not in proxy/" layer)
        }
    }
    function complain(text) { print text; bad = 1 }
    END { if (!bad) print "layers: ok"; exit bad }'
