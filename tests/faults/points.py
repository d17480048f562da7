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
SOAK = ("soaking",)
AGAIN = ("ready",)  # of steps: what the way back has used up is built again
STEPS = ("long_before", "long_sent", "long_done", "mark_before", "mark_after", "leftover_before")
ROADS = {
    "lock_before": "restart", "lock_taken": "restart", "loaded": "restart", "settle_before": "settle",
    "stop_before": "stop", "stop_saved": "stop", "leftover_before": "leftover", "give_up": "give_up",
    "batch_skips": "skips", "claim_before": "abort", "claim_commit": "abort", "repair_before": "repair",
    "fill_again": "rewrite", "fill_split": "split", "fill_parted": "split", "schedule_clear": "withdraw",
    "schedule_postpone": "postpone",
}
# roads that are the same in every scene
ANYWHERE = ("restart", "settle", "stop", "give_up", "takeover", "withdraw", "postpone")
# roads on which any of several times will do: the trace of the plain ones tells how often each comes
COUNTED = ("forward", "back", "abort", "soak", "again")


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
        if self.of in SOAK and self.name.startswith(("verify", *STEPS)):
            return "soak"
        if self.of in AGAIN and self.name in STEPS:
            return "again"
        return "back" if self.of in BACK else "abort" if self.of in ABORT else "forward"

    @property
    def by_command(self):
        """Its road says a command that the others do not."""
        return self.of in ("verify", "pause", "resume", "throttle", "baseline") or self.name.startswith(
            ("throttle", "flags", "schedule")) or (self.name.startswith("verify") and self.of in SOAK)

    @property
    def of_successor(self):
        """Reached by the process that takes over, not by the one that runs."""
        return self.where == "takeover/take.c"


def table():
    rows = ROW.findall(TABLE.read_text(encoding="utf-8"))
    assert len(rows) >= 40
    return [Point(name, word, where) for name, of, where, _ in rows for word in (of.split() or [""])]
