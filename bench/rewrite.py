#!/usr/bin/env python3
"""What rewriting a statement costs, cached and uncached, against what is asked of it.

    bench/rewrite.py BUILD_DIR

ROUNDS=200 batches of about 0.2 ms a statement and way (README.md has more). bench/rewrite.c measures;
writes bench/out/rewrite.{md,json}.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

from lib import measure, report  # noqa: E402

OUT = Path(__file__).resolve().parent / "out"
ASKED_US = {"cached": 1.0, "uncached": 40.0}
TYPICAL_BYTES_MAX = 512  # beyond, parsing alone may take as long as is asked

NOTES = """\
Microseconds of CPU time a statement: the median of {rounds} short batches, and the least. A table in dual write with three
plain renames. `parse` is libpg_query's parser alone, `share` its part of what is uncached. What names no migrating
table is found by a search of its text, and neither parsed nor remembered. What is asked is
asked of statements of at most {typical} bytes.
"""


def two(way):
    return [f"{way['median']:.2f}", f"{way['min']:.2f}"]


def row(s):
    parsed = s["uncached"]["min"] > s["parse"]["min"]
    literals = two(s["literals"]) if s["literals"]["median"] else ["", ""]
    return [s["name"], str(s["bytes"]), "yes" if s["rewritten"] else "", *two(s["cached"]), *two(s["uncached"]), *literals,
            *(two(s["parse"]) + [f"{100 * s['parse']['median'] / s['uncached']['median']:.0f} %"] if parsed else [""] * 3)]


def table(statements):
    head = ["statement", "bytes", "rewritten", "cached", "least", "uncached", "least", "literals", "least", "parse", "least", "share"]
    return report.markdown(head, [row(s) for s in statements])


def acceptance(statements):
    """Lines, one a goal: the dearest of the typical statements counts."""
    out = []
    for way, asked in ASKED_US.items():
        worst = max((s for s in statements if s["bytes"] <= TYPICAL_BYTES_MAX), key=lambda s: s[way]["median"])
        got = worst[way]["median"]
        out.append(f"{way}: at most {got:.2f} us, least {worst[way]['min']:.2f} ({worst['name']}, the dearest; <= {asked:.0f} asked): "
                   f"{report.verdict(got <= asked)}")
    return out


def main():
    build = Path(sys.argv[1] if len(sys.argv) > 1 else "build")
    rounds = int(os.environ.get("ROUNDS", "200"))
    before = measure.machine()
    done = subprocess.run([build / "bench-rewrite", str(rounds)], stdout=subprocess.PIPE, check=True)
    after = measure.machine()
    statements = json.loads(done.stdout)
    lines = acceptance(statements)
    machine = (f"Load before {before['loadavg'][0]:.1f}, after {after['loadavg'][0]:.1f}; {os.cpu_count()} cores; steal "
               f"{measure.steal_percent(before, after):.1f} %.\n")
    text = "\n".join(["# Rewriting", "", NOTES.format(rounds=rounds, typical=TYPICAL_BYTES_MAX), machine, table(statements), "", "## Asked", "",
                      *[f"- {line}" for line in lines], ""])
    OUT.mkdir(exist_ok=True)
    (OUT / "rewrite.md").write_text(text)
    with open(OUT / "rewrite.json", "w", encoding="ascii") as f:
        json.dump({"rounds": rounds, "before": before, "after": after, "statements": statements, "acceptance": lines},
                  f, indent=1)
    print(text)
    print("written:", *((OUT / name).relative_to(OUT.parent.parent) for name in ("rewrite.md", "rewrite.json")))


if __name__ == "__main__":
    main()
