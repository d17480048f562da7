/*
 * The gate and the epochs: sessions on workers, each statement written by the rules its worker has at
 * that moment; an engine that publishes rules, closes the gate, drains, locks, commits, publishes and
 * opens; a second migration; an engine that hangs, a COMMIT without an answer, a takeover. README.md
 * maps each step to its function in proxy/.
 *
 * road.pml says what happens to a row, whatever the gate does. Here the row does not matter: what does
 * is by whose rules a statement was written, when it comes to its lock, and which columns are there then.
 * Time is not in it: a deadline may pass whenever it is running.
 */

#ifndef FAULTS
#define FAULTS 1 /* COMMITs whose answer is lost */
#endif
#ifndef HANGS
#define HANGS 0 /* an engine that never does another step */
#endif
#ifndef OTHER
#define OTHER 0 /* a second migration, on a table that these sessions do not use */
#endif
#ifndef TAKEOVER
#define TAKEOVER 0 /* 1: session 0 is with the predecessor, session 1 with the successor */
#endif
#ifndef ONE_WORKER
#define ONE_WORKER 0
#endif

#ifndef UNKNOWN
#define UNKNOWN 0 /* statements of which nobody knows what they touch: then everything may be touched */
#endif

#ifndef NAMES
#define NAMES 0 /* the cut-over and the way back rename the table, too */
#endif

#define SESSIONS 2
#define WORKERS (2 - ONE_WORKER)
#define WORKER_OF(s) (ONE_WORKER -> 0 : s)
#define MINE(w) (!TAKEOVER || w == me) /* workers of this engine's process */
#define HOUSE_OF(w) (TAKEOVER -> w : 0)

/* Names of invariants: what pan prints when one of them does not hold. */
bit atomic_switch, nothing_dropped, one_side, one_gate, in_order, table_there;
#define INVARIANT(name, holds) assert((holds) || name)

/* ---- the database ---- */

mtype = { expanding, ready, soaking, contracting, aborting, over };
mtype = { add, cut, revert, drop_o, drop_n, other, nothing };

mtype phase = expanding;
bit has_o = 1, has_n;
bit turned;             /* the new schema is the truth */
bit untold;             /* it has turned, and not every worker has rules that say so */
bit exclusive;          /* the engine's lock on the table */
mtype pending = nothing; /* a COMMIT that the server has not decided, of a lost connection */
byte pending_of;
#if OTHER
bit other_done;
#endif

/* ---- rules: what a statement written by them names ---- */

#define NONE 0     /* passes as it is */
#define OLD_ONLY 1 /* expanding, aborting */
#define READY 2    /* both columns: twins */
#define SOAK 3     /* the same, and the new schema leads */
#define NEW_ONLY 4 /* contracting */
#define REVERSED(r) (r == SOAK || r == NEW_ONLY)
#define NEEDS_O(r) (r == OLD_ONLY || r == READY || r == SOAK)
#define NEEDS_N(r) (r == NEW_ONLY || r == READY || r == SOAK)
#define RULES_OF(p)                                                                                \
    ((p == expanding || p == aborting) ->                                                          \
         OLD_ONLY :                                                                                \
         (p == ready -> READY : (p == soaking -> SOAK : (p == contracting -> NEW_ONLY : NONE))))

/* ---- orders: rules and gate in one word, one a process ---- */

byte order_rules[2];
bit order_closed[2];
bit order_other[2]; /* the gate is the other migration's */
bit doubt;          /* an answer is lost, and the marker not read */

/* ---- workers ---- */

byte rules[WORKERS];
bit shut[WORKERS];    /* this migration's tables */
bit seen[WORKERS];    /* has adopted the last order */
bit fresh[WORKERS];   /* a gate that it has not adopted */
bit expired[WORKERS]; /* has opened by itself */
bit late[WORKERS];    /* after the engine had looked for the last time */
bit looked;           /* it has, and is about to commit */
bit doubted;          /* sess_gate_doubt: past its deadline the gate stays closed for the table's names */
bit stuck;            /* the engine does not say so any more: DOUBT_MS run out */

/* ---- sessions ---- */

mtype = { idle, held, flying };
mtype = { no_transaction, open, aborted };

mtype state[SESSIONS] = idle;
mtype in[SESSIONS] = no_transaction;
bit begins[SESSIONS];  /* what is held is a BEGIN */
byte touched[SESSIONS]; /* 0, 1: the table's bit, 2: everything */
byte written[SESSIONS]; /* the rules by which what flies was written */
bit spoken[SESSIONS];   /* segue may have named its columns: spoken_of */
bit locked[SESSIONS];   /* holds a lock on the table */
bit side[SESSIONS];     /* the truth when it got it */
bit ahead[SESSIONS];    /* the other one was held first */
bit gone[SESSIONS];
bit overtaken[SESSIONS]; /* what flies was sent past the closed gate, in a transaction that was open */

#define EVERYTHING 2
#define LOCKED (locked[0] || locked[1])

/* ---- the takeover ---- */

bit gated, hold; /* of the predecessor's engine */
bit accepting;   /* the successor serves clients */
bit stop, stopped;
#if TAKEOVER
bit draining; /* the predecessor was told to end: sessions end at their next safe point */
bit cut_off;  /* and has closed the connection to its successor */
#endif

/* ---- what a worker does between two events of its sessions ---- */

/* The truth has turned and is not told yet: then a statement is written by the rules before only in a
 * transaction that was open, or where a deadline has opened the gate, or nobody knows what is true. */
#define BEHIND(s)                                                                                  \
    (untold && (doubt || (shut[WORKER_OF(s)] && in[s] == open) || late[WORKER_OF(s)]))

/* look.c: judged, counted, written anew, sent. */
inline pass(s_)
{
    INVARIANT(atomic_switch, rules[WORKER_OF(s_)] == NONE ||
                                 REVERSED(rules[WORKER_OF(s_)]) == turned || BEHIND(s_));
    touched[s_] = (rules[WORKER_OF(s_)] == NONE -> touched[s_] : (touched[s_] > 1 -> touched[s_] : 1));
    spoken[s_] = spoken[s_] || rules[WORKER_OF(s_)] != NONE;
    written[s_] = rules[WORKER_OF(s_)];
    overtaken[s_] = NAMES && shut[WORKER_OF(s_)];
    state[s_] = flying
}

inline let_go(s_)
{
    if
    :: state[s_] == held ->
        INVARIANT(in_order, !(ahead[s_] && state[1 - s_] == held && WORKER_OF(0) == WORKER_OF(1)));
        ahead[s_] = 0;
        if
        :: begins[s_] -> begins[s_] = 0; state[s_] = idle; in[s_] = open
        :: else -> pass(s_)
        fi
    :: else
    fi
}

/* release_all */
inline release(w_)
{
#if ONE_WORKER
#ifdef BREAK_ORDER
    let_go(0);
    let_go(1)
#else
    if
    :: ahead[0] -> let_go(1); let_go(0)
    :: else -> let_go(0); let_go(1)
    fi
#endif
#else
    let_go(w_)
#endif
}

proctype Worker(byte w)
{
end:
    do
    :: atomic { /* sess_order_adopt: rules and gate together */
           !seen[w] ->
           seen[w] = 1;
           rules[w] = order_rules[HOUSE_OF(w)];
           if
           :: fresh[w] && order_closed[HOUSE_OF(w)] ->
               shut[w] = !order_other[HOUSE_OF(w)];
               expired[w] = 0;
               late[w] = 0
           :: !order_closed[HOUSE_OF(w)] ->
               shut[w] = 0;
               late[w] = 0;
               release(w)
           :: else
           fi;
           fresh[w] = 0
       }
#if NAMES
    :: atomic { /* keep_names: the engine's deadline has passed, and the gate stays closed */
           shut[w] && doubted && !expired[w] ->
           expired[w] = 1
       }
#endif
#ifndef BREAK_DEADLINE
    :: atomic { /* sess_gate_expire */
#ifdef BREAK_LAPSE
           shut[w] && !doubted ->
#else
           shut[w] && (!doubted || stuck) ->
#endif
           shut[w] = 0;
           expired[w] = 1;
           late[w] = looked;
           release(w)
       }
#endif
    od
}

/* ---- sessions ---- */

#define MAY_SPEAK(s) (!gone[s] && (!TAKEOVER || s == 0 || accepting))
#define HELD_BACK(s) (shut[WORKER_OF(s)] && in[s] == no_transaction)

inline wait_at_gate(s_, begin_)
{
    begins[s_] = begin_;
    ahead[s_] = state[1 - s_] == held;
    state[s_] = held
}

inline end_transaction(s_)
{
    in[s_] = no_transaction;
    locked[s_] = 0;
    touched[s_] = 0;
    spoken[s_] = 0;
    side[s_] = 0;
    written[s_] = NONE
}

proctype Session(byte s)
{
end:
    do
    :: atomic { /* a statement on the table */
           MAY_SPEAK(s) && state[s] == idle && in[s] != aborted ->
           if
           :: HELD_BACK(s) -> wait_at_gate(s, 0)
           :: else -> pass(s)
           fi
       }
    :: atomic { /* BEGIN */
           MAY_SPEAK(s) && state[s] == idle && in[s] == no_transaction ->
           if
           :: HELD_BACK(s) -> wait_at_gate(s, 1)
           :: else -> in[s] = open
           fi
       }
#if UNKNOWN
    :: atomic { /* something of which nobody knows what it touches, on another table */
           MAY_SPEAK(s) && state[s] == idle && in[s] == open && rules[WORKER_OF(s)] != NONE ->
           touched[s] = EVERYTHING
       }
#endif
    :: atomic { /* it comes to its lock */
           state[s] == flying && !exclusive ->
           INVARIANT(nothing_dropped, has_o || !NEEDS_O(written[s]));
           INVARIANT(nothing_dropped, has_n || !NEEDS_N(written[s]));
           INVARIANT(one_side, !locked[s] || side[s] == turned);
#if NAMES /* 42P01 */
           INVARIANT(table_there, written[s] == NONE || REVERSED(written[s]) == turned || stuck ||
#ifdef LIMIT_NO_TABLE
                                      false);
#else
                                      overtaken[s]);
#endif
           overtaken[s] = 0;
#endif
#ifdef LIMIT_OVERTAKEN
           INVARIANT(one_side, written[s] == NONE || REVERSED(written[s]) == turned);
#endif
           state[s] = idle;
           if
           :: in[s] == open -> locked[s] = 1; side[s] = turned
           :: in[s] == open -> in[s] = aborted; locked[s] = 0; side[s] = 0 /* it fails */
           :: in[s] != open -> end_transaction(s)
           fi;
           written[s] = NONE
       }
    :: atomic { /* COMMIT, ROLLBACK */
           state[s] == idle && in[s] != no_transaction ->
           end_transaction(s)
       }
#if TAKEOVER
    :: atomic { /* the client leaves; or takeover_timeout_s has passed */
           s == 0 && !gone[s] && state[s] != held && (in[s] == no_transaction || draining) &&
               (accepting || draining) ->
           end_transaction(s);
           state[s] = idle;
           gone[s] = 1
       }
#endif
    od
}

/* ---- the server's side of the engine's connection ---- */

inline apply(what_)
{
    if
    :: what_ == add -> has_n = 1
    :: what_ == cut -> phase = soaking; turned = 1; untold = 1
    :: what_ == revert -> phase = ready; turned = 0; untold = 1
    :: what_ == drop_o -> has_o = 0
    :: what_ == drop_n -> has_n = 0
    :: else
    fi
}

proctype Backend()
{
end:
    do
    :: atomic { /* a COMMIT in doubt: done, or the connection's end comes before it */
           pending != nothing ->
           if
           :: apply(pending)
           :: skip
           fi;
           pending = nothing;
           exclusive = 0
       }
    od
}

/* ---- the engine ---- */

#define HOLDS (order_closed[me] && !(MINE(0) && expired[0]) && !(WORKERS > 1 && MINE(WORKERS - 1) && expired[WORKERS - 1]))
#define OBEYED ((!MINE(0) || seen[0]) && (WORKERS < 2 || !MINE(WORKERS - 1) || seen[WORKERS - 1]))
#define DRAINED(s) (!MINE(WORKER_OF(s)) || !touched[s])
#ifdef BREAK_SPOKEN
#define SPOKEN_OF(s) (touched[s] == 1)
#else
#define SPOKEN_OF(s) (spoken[s])
#endif
#define NAMES_TURN (NAMES && (job == cut || job == revert))
#define ANSWERING(s) (MINE(WORKER_OF(s)) && SPOKEN_OF(s) && state[s] == flying)

inline tell()
{
    if
    :: MINE(0) -> seen[0] = 0
    :: else
    fi;
    if
    :: WORKERS > 1 && MINE(WORKERS - 1) -> seen[WORKERS - 1] = 0
    :: else
    fi
}

#if HANGS
#define MAY_HANG :: hangs > 0 -> hangs--; goto hung
byte hangs = HANGS;
#else
#define MAY_HANG
#endif

#if TAKEOVER
#define PREDECESSOR (me == 1 && !gone[0] && !cut_off)
#else
#define PREDECESSOR false
#endif

byte faults = FAULTS;
#ifdef LIVE
bit other_tried;
#endif

proctype Engine(byte me)
{
    mtype job = nothing, mem = expanding;
    bit found, lost, others;

    if
    :: me == 1 ->
end_waits: /* take_lock */
        stopped == 1
    :: else
    fi;

load: /* store_load, settle_cutover: nothing but the marker is believed */
    pending == nothing;
#ifdef BREAK_MARKER
    mem = (lost -> mem : phase);
#else
    mem = phase;
#endif
    lost = 0;
    atomic { order_rules[me] = RULES_OF(mem); tell() };
    atomic { OBEYED -> doubt = 0; untold = 0 };

turn: /* one migration after the other, each a bounded piece of work */
    job = nothing;
    if
    :: stop && me == 0 -> stopped = 1; goto ended
    :: else
    fi;
#if OTHER
    others = !others;
#ifdef BREAK_ROUND
    if
    :: mem != over -> others = 0 /* who has failed tries again first */
    :: else
    fi;
#endif
    if
    :: others && !other_done -> job = other; goto gate
    :: else
    fi;
#endif
    if
    :: mem == expanding && !has_n -> job = add
    :: mem == expanding && has_n -> mem = ready; goto move
    :: mem == ready -> job = cut
    :: mem == ready || mem == expanding -> mem = aborting; goto move
    :: mem == soaking -> job = revert
#ifdef BREAK_CONTRACT_EPOCH
    :: mem == soaking -> job = drop_o
#else
    :: mem == soaking -> mem = contracting; goto move
#endif
    :: mem == contracting && has_o -> job = drop_o
    :: mem == aborting && has_n -> job = drop_n
    :: (mem == contracting && !has_o) || (mem == aborting && !has_n) -> mem = over; goto move
    :: mem == over -> goto rest
    fi;

gate: /* gated_run */
#if TAKEOVER
    /* eng_gate_free: says that it begins, then looks whether it may */
#ifndef BREAK_HOLD
    gated = (me == 0 -> 1 : gated);
#endif
    if
    :: PREDECESSOR || (hold && me == 0) ->
#ifndef BREAK_PREDECESSOR
        gated = (me == 0 -> 0 : gated);
        goto turn
#else
        if
        :: me == 0 -> gated = 0; goto turn
        :: else
        fi
#endif
    :: else
    fi;
#ifdef BREAK_HOLD
    gated = (me == 0 -> 1 : gated);
#endif
#endif
    atomic { /* sess_gate_close */
        INVARIANT(one_gate, !order_closed[me]);
        INVARIANT(one_gate, !(me == 0 && accepting && TAKEOVER));
#ifdef LIVE
        other_tried = job == other;
#endif
        order_closed[me] = 1;
        doubted = 0;
        order_other[me] = job == other;
        if
        :: MINE(0) -> fresh[0] = 1
        :: else
        fi;
        if
        :: WORKERS > 1 && MINE(WORKERS - 1) -> fresh[WORKERS - 1] = 1
        :: else
        fi;
#ifdef BREAK_GATE
        fresh[0] = 0;
        fresh[WORKERS - 1] = 0;
#endif
        tell()
    };
    if
    :: OBEYED
#ifndef BREAK_ACKNOWLEDGE
    :: goto opening /* a worker is stuck */
#else
    :: skip
#endif
    MAY_HANG
    fi;
    if
    :: job == other -> goto commit /* nobody here uses its table */
    :: else
    fi;

drain:
#ifndef BREAK_DRAIN
    if
    :: HOLDS && DRAINED(0) && DRAINED(1) -> goto lock
    :: goto opening /* drain_timeout_ms */
    MAY_HANG
#ifdef BREAK_NAMES_DRAIN
    :: found = LOCKED -> skip
#else
    :: atomic { !NAMES_TURN -> found = LOCKED } /* blockers_locked */
#endif
    fi;
    if
    :: found -> found = 0; goto drain
    :: else
    fi;
#ifndef BREAK_WRITTEN
    if
    :: (job == drop_o || job == drop_n) && (ANSWERING(0) || ANSWERING(1)) -> goto drain
    :: else
    fi;
#endif
    if
    :: HOLDS -> skip
    :: else -> goto opening
    fi;
#endif

lock: /* take_locks; lock_timeout */
    if
#ifdef BREAK_TABLE_LOCK
    :: exclusive = 1
#else
    :: atomic { !LOCKED && !exclusive -> exclusive = 1 }
#endif
    :: goto opening
    fi;
    if
#ifdef BREAK_HOLDS
    :: skip
#else
    :: atomic { HOLDS -> looked = 1 }
    :: atomic { !HOLDS -> exclusive = 0; goto opening }
#endif
    MAY_HANG
    fi;

commit:
#if NAMES && !defined(BREAK_DOUBT)
    if
    :: NAMES_TURN -> /* gated_commit */
        doubted = 1;
#ifndef BREAK_LOOK
        if
        :: HOLDS -> skip
        :: else -> exclusive = 0; goto opening
        fi
#endif
    :: else
    fi;
#endif
#ifdef BREAK_EARLY
    if
    :: job == cut -> atomic { order_rules[me] = SOAK; tell() }; OBEYED
    :: else
    fi;
#endif
    if
    :: atomic { /* done */
           apply(job);
           exclusive = 0
       }
    :: atomic { exclusive = 0; goto opening } /* an error: rolled back */
    :: atomic { /* nobody knows */
           faults > 0 && job != other ->
           faults--;
           lost = 1;
           doubt = 1;
           pending = job
       }
    MAY_HANG
    fi;
    if
#ifdef BREAK_SETTLE
    :: lost -> goto opening
#else
    :: lost && !NAMES_TURN -> goto opening
    :: lost && NAMES_TURN -> /* gated_settle: waits under the gate */
        if
        :: atomic { pending == nothing -> doubt = 0 }
        MAY_HANG
        fi
#endif
    :: else
    fi;

    /* eng_phase_switch, under the gate; a DROP has its mark, and the phase moves later */
    if
#ifdef BREAK_PUBLISH
    :: job == cut || job == revert -> mem = phase
#else
    :: job == cut || job == revert ->
        mem = phase;
        atomic { order_rules[me] = RULES_OF(mem); tell() };
        atomic { OBEYED -> untold = 0 }
#endif
    :: else
    fi;
#if OTHER
    if
    :: job == other -> other_done = 1
    :: else
    fi;
#endif

opening: /* on every path */
#ifdef BREAK_OPEN
    if
    :: mem == ready -> goto turn
    :: else
    fi;
#endif
    atomic { looked = 0; order_closed[me] = 0; tell() };
    OBEYED;
#ifdef BREAK_PUBLISH
    atomic { order_rules[me] = RULES_OF(mem); tell() };
    atomic { OBEYED -> untold = 0 };
#endif
    gated = (me == 0 -> 0 : gated);
    if
    :: lost -> goto load
    :: else -> goto turn
    fi;

move: /* eng_phase_move: persisted, then published; no gate */
    phase = mem;
    atomic { order_rules[me] = RULES_OF(mem); tell() };
    OBEYED;
    goto turn;

rest:
#if OTHER
    if
    :: !other_done -> goto turn
    :: else
    fi;
#endif
#if TAKEOVER
end_rests:
    me == 0 && stop;
    stopped = 1;
#endif
    goto ended;

#if HANGS
hung: /* the server ends what idles in a transaction */
    stuck = 1;
    atomic {
        if
        :: pending == nothing -> exclusive = 0
        :: else
        fi
    };
#endif
ended:
end:
    false
}

/* ---- from process to process ---- */

#if TAKEOVER
proctype Takeover()
{
    if
    :: skip /* hear_ready: eng_hold */
    :: draining = 1; /* SIGTERM, while the successor sets itself up */
#ifdef BREAK_SIGTERM
        cut_off = 1
#endif
    fi;
    hold = 1;
    if
    :: gated -> /* GATE_MS are over: refused */
        hold = 0;
        goto end
    :: !gated
    fi;
    atomic { /* GO, accept */
        INVARIANT(one_gate, !order_closed[0]);
        accepting = 1
    };
    stop = 1; /* ACCEPTING: handed over */
end:
    false
}
#endif

#ifdef LIVE
#define shut0 (shut[0])
#define shut1 (shut[WORKERS - 1])
#define held0 (state[0] == held)
#define held1 (state[1] == held)
ltl gate_opens { [] ((shut0 -> <> !shut0) && (shut1 -> <> !shut1)) }
ltl held_go { [] ((held0 -> <> !held0) && (held1 -> <> !held1)) }
#if OTHER
ltl neither_starves { <> other_tried }
#endif
#endif

init {
    atomic {
        order_rules[0] = OLD_ONLY;
        run Worker(0);
        if
        :: WORKERS > 1 -> run Worker(1)
        :: else
        fi;
        run Session(0);
        run Session(1);
        run Backend();
#if TAKEOVER
        run Takeover();
        run Engine(1);
#endif
        run Engine(0)
    }
}
