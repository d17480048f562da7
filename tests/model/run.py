#!/usr/bin/python3
"""The models, checked exhaustively within their bounds; then each rule broken once, and the invariant that it
serves must fail. Exit 0 only when everything holds that must hold and fails that must fail.

    run.py [--slice] [--only WORD] [--jobs N] [--trail]    --slice: a few seconds of it, for `make test`
"""

import argparse
import concurrent.futures
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
MEMORY_MB = 2000
DEPTH = 2_000_000
TIMEOUT_S = 300  # for one run; none takes a tenth of it

from checks import CHECKS  # noqa: E402  (beside this file)


def tool(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    return done.returncode, done.stdout + done.stderr


def verdict(text):
    """What pan says: "holds", the name of what failed, or why it does not know."""
    failed = re.search(r"pan:\d+: (.*?) \(at depth", text)
    if failed:
        said = failed.group(1)
        name = re.search(r"\|\|\s*(\w+)\s*\)$", said)
        return name.group(1) if name else said
    if "max search depth too small" in text or "Search not completed" in text or "errors: 0" not in text:
        return "not decided: " + text.strip().splitlines()[-1]
    return "holds"


def run(check, trail):
    """One check in a folder of its own: (what came of it, states, seconds)."""
    began = time.monotonic()
    model = HERE / f"{check.model}.pml"
    live = check.never is not None
    with tempfile.TemporaryDirectory(prefix="segue-model-") as folder:
        code, text = tool(["spin", "-a", *check.flags, str(model)], folder)
        if code or not (Path(folder) / "pan.c").exists():
            return "spin: " + text[-500:], 0, 0
        optimise = "-O2" if check.expect == "holds" else "-O0"
        code, text = tool(["gcc", optimise, "-w", f"-DMEMLIM={MEMORY_MB}", "-DCOLLAPSE",
                           *(["-DNFAIR=6"] if live else ["-DSAFETY", "-DNOCLAIM"]), "-o", "pan", "pan.c"], folder)
        if code:
            return "gcc: " + text[-500:], 0, 0
        _, text = tool(["./pan", f"-m{DEPTH}", "-n", *(["-a", "-f", "-N", check.never] if live else [])], folder)
        if trail and "wrote" in text:
            _, steps = tool(["spin", "-t", "-p", "-g", "-l", "-k", f"{check.model}.pml.trail", *check.flags, str(model)], folder)
            print(steps)
    states = re.search(r"([\d.e+]+) states, stored", text)
    return verdict(text), int(float(states.group(1))) if states else 0, time.monotonic() - began


def forgotten():
    """Breaks and invariants that a model has, and that no check sees fail: what cannot fail proves nothing."""
    models = "\n".join(path.read_text(encoding="utf-8") for path in sorted(HERE.glob("*.pml")))
    flags = {flag for check in CHECKS for flag in check.flags}
    failing = {check.expect for check in CHECKS} | {check.never for check in CHECKS if check.expect != "holds"}
    out = [f"no check has -D{name}" for name in sorted(set(re.findall(r"\b(?:BREAK|LIMIT)_[A-Z_]+", models))) if f"-D{name}" not in flags]
    names = set(re.findall(r"\bINVARIANT\((\w+), ", models)) - {"name"} | set(re.findall(r"^ltl (\w+)", models, re.M))
    return out + [f"no check wants {name} to fail" for name in sorted(names - failing)]


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--slice", action="store_true")
    options.add_argument("--only", default="")
    options.add_argument("--jobs", type=int, default=1)
    options.add_argument("--trail", action="store_true")
    options = options.parse_args()
    chosen = [c for c in CHECKS if options.only in c.name and (c.slice or not options.slice)]
    wrong = forgotten() if chosen else [f"no check is called {options.only}"]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for check, (came, states, took) in zip(chosen, pool.map(lambda c: run(c, options.trail), chosen)):
            right = came == check.expect
            print(f"{'ok  ' if right else 'BAD '} {took:5.1f} s {states:>9} states  {check.name}: {came}"
                  + ("" if right else f" (expected: {check.expect})"), flush=True)
            if not right:
                wrong.append(check.name)
    cpu = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"model: {len(chosen)} checks, {len(wrong)} wrong; {cpu.ru_utime + cpu.ru_stime:.0f} s of CPU, "
          f"{cpu.ru_maxrss // 1024} MB at most")
    for name in wrong:
        print(f"model: wrong: {name}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
