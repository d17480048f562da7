"""The SQL layer by itself (rewrite.c), asked over a pipe."""

import json
import os
import subprocess
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
PROGRAM = REPO / os.environ.get("SEGUE_BUILD", "build") / "rewrite"


class Rewriter:
    """What a session of that side sends in place of the client's text."""

    def __init__(self, description, side, follows=False):
        self.side = side
        self.follows = follows  # the session has not said it
        self.bits = {table["name"]: 1 << i for i, table in enumerate(description["tables"])}
        self.process = subprocess.Popen([str(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.known = {}  # answers of the case
        self.waiting = []  # for these, in order
        self._say(description)

    def _say(self, what):
        self.process.stdin.write(json.dumps(what).encode() + b"\n")

    def expect(self, steps):
        """They will be asked about, and nothing that came before: the answers can be made meanwhile."""
        self.known.clear()
        for step in steps:
            self._question(step, 0)
        self.process.stdin.flush()

    def _question(self, step, position):
        self._say({"sql": step.sql, "side": self.side, "follows": self.follows, "position": position,
                   "shadowed": sum(self.bits[name] for name in step.shadowed)})
        self.waiting.append((step.sql, step.shadowed, position))

    def ask(self, step, position=0):
        """The answer of rewrite.c as it is."""
        asked = (step.sql, step.shadowed, position)
        if asked not in self.known and asked not in self.waiting:
            self._question(step, position)
            self.process.stdin.flush()
        while asked not in self.known:
            line = self.process.stdout.readline()
            if not line:
                raise AssertionError(f"the SQL layer has ended with {self.process.wait()} at: {self.waiting[0][0]}")
            self.known[self.waiting.pop(0)] = json.loads(line)
        return self.known[asked]

    def text(self, step):
        return self.ask(step)["text"] or step.sql

    def doubt(self, step):
        return self.ask(step)["doubt"]

    def position(self, step, position):
        return self.ask(step, position)["position"]

    def close(self):
        self.process.stdin.close()
        return self.process.wait(10)
