"""The table of points, as the program has it, and by which road each is reached."""

import re
from dataclasses import dataclass
from pathlib import Path

TABLE = Path(__file__).resolve().parents[2] / "include" / "segue" / "base" / "fault_points.h"
ROW = re.compile(r'^FAULT_POINT\((\w+), "([^"]*)", "([^"]*)", "([^"]*)"\)$', re.M)
KINDS = ("kill_segue", "kill_postgres", "drop", "vanish", "disk", "cancel", "terminate")
WAYS = ("forward", "back")

# what the road to a point needs beside the plain way to done
BACK = ("reverting", "roll_back")
ABORT = ("aborting", "aborted", "abort")
ROADS = {
    "lock_before": "restart", "lock_taken": "restart", "loaded": "restart", "settle_before": "settle",
    "stop_before": "stop", "stop_saved": "stop", "leftover_before": "leftover", "give_up": "give_up",
    "batch_skips": "skips", "claim_before": "abort", "claim_commit": "abort", "repair_before": "repair",
}


@dataclass(frozen=True)
class Point:
    name: str
    of: str
    where: str

    @property
    def text(self):
        return f"{self.name}/{self.of}" if self.of else self.name

    @property
    def road(self):
        if self.name.startswith("takeover"):
            return "takeover"
        if self.name in ROADS:
            return ROADS[self.name]
        return "back" if self.of in BACK else "abort" if self.of in ABORT else "forward"

    @property
    def of_successor(self):
        """Reached by the process that takes over, not by the one that runs."""
        return self.where == "takeover/take.c"


def table():
    rows = ROW.findall(TABLE.read_text(encoding="utf-8"))
    assert len(rows) >= 40
    return [Point(name, word, where) for name, of, where, _ in rows for word in (of.split() or [""])]
