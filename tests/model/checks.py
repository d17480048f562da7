"""What is checked: a model, its bounds (-D), and what must come of it: "holds", or the name of the invariant that
must fail. `breaks`: one rule each, so that an invariant that cannot fail is found out."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    name: str
    model: str
    flags: tuple
    expect: str = "holds"
    never: str | None = None  # the ltl formula, with weak fairness; None: assertions and deadlock
    slice: bool = False


KINDS = ("PLAIN", "LOSSY", "NULLIF", "UPFILLS", "DOWNFILLS")


def road(name, kind="PLAIN", expect="holds", flags=(), sliced=False):
    return Check(f"road {kind} {name}", "road", (f"-DKIND={KINDS.index(kind)}", *flags), expect, slice=sliced)


def broken(rule, kind, expect, *flags, sliced=False):
    return road(f"without {rule}", kind, expect, (f"-DBREAK_{rule}", *flags), sliced)


def gate(name, expect="holds", flags=(), never=None, sliced=False):
    live = ("-DLIVE",) if never else ()
    return Check(f"gate {name}", "gate", (*live, *flags), expect, never, sliced)


def gate_broken(rule, expect, *flags, never=None, sliced=False):
    return gate(f"without {rule}", expect, (f"-DBREAK_{rule}", *flags), never, sliced)


LOST, STEP, FILL = "nothing_lost", "in_step_at_ready", "fill_left_nothing"
SWITCH, DROPPED, SIDE, ONE = "atomic_switch", "nothing_dropped", "one_side", "one_gate"
CYCLE = "acceptance cycle"
THERE = "table_there"
CALM = "-DFAULTS=0"
PASS = (CALM, "-DPASSES=1")
TAKE = (CALM, "-DTAKEOVER=1")
HANG = (CALM, "-DHANGS=1", "-DONE_WORKER=1")
NAMES = ("-DNAMES=1", "-DONE_WORKER=1")
OTHER = (CALM, "-DOTHER=1", "-DONE_WORKER=1")

CHECKS = [
    *(road("two faults", kind, flags=("-DFAULTS=2",)) for kind in KINDS[:4]),
    road("without a fault", "PLAIN", flags=(CALM,), sliced=True),
    road("a relation rewritten", "PLAIN", flags=(CALM, "-DREWRITES=1")),
    *(road("a default changed in flight", kind, flags=(CALM, "-DDEFAULTS=1")) for kind in ("PLAIN", "LOSSY")),
    *(road("the guard passed by", kind, flags=PASS) for kind in ("PLAIN", "LOSSY")),
    # the table of DESIGN 5, row by row
    broken("INSERT_TWIN", "PLAIN", LOST, sliced=True),
    broken("INSERT_LEAD", "PLAIN", LOST, CALM),
    broken("UPDATE_LEAD", "PLAIN", LOST),
    broken("UPDATE_TWIN", "PLAIN", LOST),
    broken("UPDATE_BOTH", "PLAIN", LOST),
    broken("UPDATE_NEITHER", "PLAIN", LOST, CALM, sliced=True),
    # what "in step" is
    broken("BYTES", "PLAIN", LOST),
    broken("STEP_UP", "LOSSY", LOST),
    broken("STEP_DOWN", "LOSSY", LOST),
    broken("STEP_NULL", "UPFILLS", LOST, CALM, sliced=True),
    broken("DEFAULT", "PLAIN", LOST, CALM),
    broken("DEFAULT_LOOK", "PLAIN", LOST, CALM, "-DDEFAULTS=1", sliced=True),
    # expand, backfill
    broken("GUARD_LATER", "PLAIN", LOST),
    broken("END", "PLAIN", FILL, CALM),
    broken("RECHECK", "PLAIN", LOST, CALM, sliced=True),
    broken("SKIPPED", "PLAIN", FILL, CALM),
    broken("WATERMARK", "PLAIN", FILL),
    broken("REWRITE", "PLAIN", FILL, CALM, "-DREWRITES=1"),
    broken("TABLE_LOCK", "PLAIN", LOST, CALM),
    # verify, and what stands in for it
    broken("VERIFY", "PLAIN", LOST, *PASS),
    broken("VERIFY", "PLAIN", STEP, CALM, "-DBREAK_SKIPPED", "-DSTEP_ALONE"),
    broken("SNAPSHOT", "PLAIN", LOST, *PASS),
    broken("VERDICT", "PLAIN", LOST, *PASS),
    broken("GUARD_LOOK", "PLAIN", LOST, *PASS),
    broken("COMPLETE_VERDICT", "PLAIN", "drop_safe", *PASS),
    broken("ROLLBACK_VERDICT", "PLAIN", LOST, *PASS),
    # one transaction, one truth
    broken("CUT_IN_TWO", "PLAIN", "one_truth"),
    broken("CONTRACT_IN_TWO", "PLAIN", LOST),
    broken("MARKER", "PLAIN", "memory_is_marker", sliced=True),
    broken("ADVISORY_LOCK", "PLAIN", "memory_is_marker"),
    # what a trigger cannot know: README.md, Limits
    road("NULL over a row not yet filled", "PLAIN", LOST, ("-DLIMIT_NULL_UNFILLED",)),
    road("NULL inserted where a default leads", "LOSSY", LOST, ("-DLIMIT_NULL_INSERTED",)),
    # the gate and the epochs
    gate("an answer lost"),
    gate("two sessions on one worker", flags=("-DONE_WORKER=1",)),
    gate("statements of which nothing is known", flags=(CALM, "-DUNKNOWN=1", "-DONE_WORKER=1")),
    gate("an engine that hangs", flags=HANG),
    gate("another migration", flags=OTHER),
    gate("a takeover", flags=TAKE),
    gate("names that turn, an answer lost", flags=NAMES),
    gate("names that turn, on two workers", flags=("-DNAMES=1", CALM)),
    gate("names that turn, an engine that hangs", flags=(*NAMES, "-DHANGS=1")),
    gate("opens", flags=HANG, never="gate_opens"),
    gate("opens when names turn", flags=(*NAMES, "-DHANGS=1"), never="gate_opens"),
    gate("lets go whom it has held", flags=HANG, never="held_go"),
    gate("is there for the other migration", flags=OTHER, never="neither_starves"),
    # who is held, and until when
    gate_broken("GATE", SWITCH, CALM, sliced=True),
    gate_broken("ACKNOWLEDGE", SWITCH, CALM),
    gate_broken("HOLDS", SWITCH, CALM),
    gate_broken("ORDER", "in_order", CALM, "-DONE_WORKER=1", sliced=True),
    gate_broken("OPEN", ONE, CALM),
    gate_broken("DEADLINE", CYCLE, *HANG, never="gate_opens", sliced=True),
    gate_broken("DEADLINE", CYCLE, *HANG, never="held_go"),
    gate_broken("ROUND", CYCLE, *OTHER, never="neither_starves"),
    # past the deadline, while nobody knows what tables are called
    gate_broken("DOUBT", THERE, *NAMES, sliced=True),
    gate_broken("LOOK", THERE, CALM, *NAMES),
    gate_broken("SETTLE", THERE, *NAMES),
    gate_broken("NAMES_DRAIN", THERE, CALM, *NAMES, "-DUNKNOWN=1"),
    gate_broken("LAPSE", CYCLE, *NAMES, "-DHANGS=1", never="gate_opens"),
    # which rules, and when
    gate_broken("PUBLISH", SWITCH, CALM, sliced=True),
    gate_broken("EARLY", SWITCH, CALM),
    gate_broken("MARKER", SWITCH),
    gate_broken("TABLE_LOCK", SIDE, CALM),
    gate_broken("CONTRACT_EPOCH", DROPPED, CALM),
    gate_broken("DRAIN", DROPPED, CALM),
    gate_broken("WRITTEN", DROPPED, CALM),
    gate_broken("SPOKEN", DROPPED, CALM, "-DUNKNOWN=1"),
    # from process to process
    gate_broken("HOLD", ONE, *TAKE),
    gate_broken("PREDECESSOR", SWITCH, *TAKE),
    gate_broken("SIGTERM", SWITCH, *TAKE),
    gate("a statement that comes to its lock after the cut-over", SIDE, (CALM, "-DLIMIT_OVERTAKEN")),
    gate("one that names the table which has another name then", THERE, (CALM, *NAMES, "-DLIMIT_NO_TABLE")),
]
