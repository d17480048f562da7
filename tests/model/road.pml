/*
 * The road of one migration: expand, backfill, verify, cut-over, soak, the way back, contract, abort;
 * any number of clients that write by either name or both; an engine and a connection that may be
 * lost at every COMMIT. README.md maps each step to its function in proxy/.
 *
 * One row is followed. Rules, fill and verify look at one row at a time, so others matter by what they
 * do to the engine alone: a relation that is longer, a lock timeout in a batch, a lock that has to be
 * waited for. These may happen here at any time; so what holds of this row holds of any.
 *
 * Nothing waits at the gate: every client is one that bypasses the proxy, and what holds for them holds
 * for clients that are held back sometimes. What a transaction has written is
 * seen by nobody before its COMMIT, and row and table are locked until then: so what a statement does
 * is chosen and done at the COMMIT, and an open transaction is its lock alone.
 */
#include "guard.pml"

#ifndef FAULTS
#define FAULTS 1 /* lost connections, deaths of the engine */
#endif
#ifndef REWRITES
#define REWRITES 0 /* VACUUM FULL, pg_repack */
#endif
#ifndef PASSES
#define PASSES 0 /* writes with the guard switched off: pg_restore --disable-triggers */
#endif
#ifndef DEFAULTS
#define DEFAULTS 0 /* others change the default of the side that leads */
#endif
#define BLOCKS 3 /* the row is in 0 or 1 at the beginning; the relation may grow by 2 */
#define ANY 3    /* no value: the other side was written since */
#define GIVEN 2  /* the column default, on the side that leads */

/* Names of invariants: what pan prints when one of them does not hold. */
bit nothing_lost, in_step_at_ready, fill_left_nothing, one_truth, memory_is_marker, drop_safe;
#define INVARIANT(name, holds) assert((holds) || name)

mtype = { planned, expanding, backfilling, verifying, ready, cutting_over, soaking, contracting, done,
          aborting, aborted, reverting };
mtype = { no_guard, forward, reverse };
mtype = { nothing, move, expand, guard_alone, begin, begin_repair, batch, watermark_alone, again, mark,
          repair, verified, cut, cut_guard, revert, contract, contract_guard, abort };

/* ---- the database ---- */

byte o, n, blk; /* the row */
bit there;
bit held;       /* by a client's open transaction */
bit batch_held; /* by the batch under way */
bit exclusive, batch_open; /* the engine's lock on the table; its open batch */
bit has_o = 1, has_n;
mtype guard = no_guard;
bit default_on_o = 1, default_on_n;
bit known = 1;     /* the plan has found a default */
bit was_off;       /* the guard is not ENABLE ALWAYS */
byte owed;         /* after that: 1 a verify, 2 the end of the one that runs */
bit commanded;     /* one operator: does nothing else until it is under way */

mtype phase = planned;         /* segue.migrations.phase, the marker */
bit expanded, filled, dropped; /* marks of steps */
bit begun, node, noted_node;   /* segue.progress */
byte next_block, end_block;
bit skipped[BLOCKS];
bit bad, repairing, repairs; /* last of segue.verifications; flags */

/* ---- what must hold of the row: the last committed writes, by either name ---- */

byte wrote_o = ANY, wrote_n = ANY;
bit past;   /* written past the guard and not in step since */
bit turned; /* the new column has been the truth once */

/* ---- the engine: its connection, its batch ---- */

byte faults = FAULTS;
mtype sent = nothing, sent_to = nothing; /* a COMMIT of which the answer is not there */
bit sent_found;
mtype answer = nothing;
mtype mem = planned; /* m->phase */
byte block;
bit skip_locked;
#ifdef BREAK_END
byte noted_end;
#endif
#ifdef BREAK_RECHECK
byte seen_o;
#endif
#ifdef BREAK_TABLE_LOCK
mtype acting = no_guard; /* when the open transaction wrote */
#define ACTING acting
#else
#define ACTING guard
#endif

/* verify.c's own words: none of the breaks of guard.pml reach it */
#define IN_STEP_FORWARD (n == UP(o) || (n != NUL && o == DOWN(n)))
#define IN_STEP_REVERSE (o == DOWN(n) || (o != NUL && n == UP(o)))
#define IN_STEP (IN_STEP_FORWARD || IN_STEP_REVERSE)
#define FOUND_FORWARD (!IN_STEP_FORWARD)
#define FOUND_REVERSE (o != DOWN(n) && n != UP(o))

/* A NULL that the other side fills comes back as what it was filled with, once the truth has turned:
 * "where `down` loses information, plan has said so". */
#define KEPT_O (wrote_o == ANY || o == wrote_o || (turned && wrote_o == NUL && o == DOWN(UP(NUL))))
#define KEPT_N (wrote_n == ANY || n == wrote_n || (wrote_n == NUL && n == UP(DOWN(NUL))))
#define CARRIED_N (wrote_n != ANY || n == UP(wrote_o) || ((n != NUL || turned) && DOWN(n) == wrote_o))
#define CARRIED_O (wrote_o != ANY || o == DOWN(wrote_n) || UP(o) == wrote_n)

#define TRUTH_IS_NEW (phase == soaking || phase == reverting || phase == contracting || phase == done)
#define FILLED_UP (phase == ready || phase == cutting_over || phase == soaking || phase == reverting)
#define UNFILLED (n == NUL && !FILLED_UP && phase != contracting && phase != done)

/* STEP_ALONE: what puts a row out of step has mostly lost something first, and hides this one. */
#define ROW_STEPS INVARIANT(in_step_at_ready, !there || past || !FILLED_UP || IN_STEP)
#ifdef STEP_ALONE
#define ROW_HOLDS ROW_STEPS
#else
#define ROW_HOLDS                                                                                  \
    INVARIANT(nothing_lost, !there || !has_o || past || (KEPT_O && CARRIED_O));                    \
    INVARIANT(nothing_lost, !there || !has_n || past || (KEPT_N && (CARRIED_N || UNFILLED)));      \
    ROW_STEPS
#endif

/* ---- transactions of the engine: what the server does at COMMIT, all or nothing ---- */

inline release()
{
    exclusive = 0;
    batch_open = 0;
    batch_held = 0
}

/* The relation's size: others may have made it longer. */
inline size_into(to_)
{
    if
    :: !there || blk < 1 -> to_ = 1
    :: !there || blk < 2 -> to_ = 2
    :: to_ = 3
    fi
}

inline fill_row()
{
    if
    :: batch_held ->
#ifdef BREAK_RECHECK
        n = UP(seen_o)
#else
        if
        :: n == NUL || !STEP_FORWARD(o, n) -> n = UP(o)
        :: else
        fi
#endif
        ;past = past && !IN_STEP_FORWARD
    :: else
    fi
}

inline note_skipped()
{
    if
    :: skip_locked ->
#ifdef BREAK_SKIPPED
        skipped[block] = 0
#else
        skipped[block] = there && blk == block && !STEP_FORWARD(o, n)
#endif
    :: else
    fi
}

inline begin_progress()
{
    skipped[0] = 0;
    skipped[1] = 0;
    skipped[2] = 0;
    begun = 1;
    next_block = 0;
    noted_node = node;
    size_into(end_block)
}

inline apply(what_, to_)
{
    if
    :: what_ == move ->
        phase = to_
    :: what_ == expand ->
        has_n = 1;
#ifndef BREAK_GUARD_LATER
        guard = forward;
#endif
        expanded = 1
    :: what_ == guard_alone -> /* only when expand is broken in two */
        guard = forward
    :: what_ == begin || what_ == begin_repair || what_ == again ->
        begin_progress();
#ifdef BREAK_END
        end_block = noted_end
#endif
    :: what_ == batch ->
        fill_row();
        note_skipped();
        next_block = (block + 1 > next_block -> block + 1 : next_block)
    :: what_ == watermark_alone -> /* only when a batch is broken in two */
        next_block = block + 1
    :: what_ == mark ->
        filled = 1
    :: what_ == repair ->
        repairing = to_ == verifying;
        repairs = 1
    :: what_ == verified ->
        owed = (owed == 2 -> 0 : owed);
        bad = sent_found
    :: what_ == cut ->
        guard = reverse;
#if defined(BREAK_DEFAULT_LOOK)
        default_on_n = known;
        default_on_o = (known -> 0 : default_on_o);
#elif !defined(BREAK_DEFAULT)
        default_on_n = known;
        default_on_o = 0;
#endif
        turned = 1;
        phase = soaking;
        INVARIANT(nothing_lost, !there || CARRIED_N)
    :: what_ == cut_guard -> /* only when the cut-over is broken in two */
        guard = reverse;
        default_on_n = known;
        default_on_o = 0
    :: what_ == revert ->
        guard = forward;
#if defined(BREAK_DEFAULT_LOOK)
        default_on_n = (known -> 0 : default_on_n);
#else
        default_on_n = 0;
#endif
        default_on_o = known;
        phase = ready;
        INVARIANT(nothing_lost, !there || CARRIED_O)
    :: what_ == contract_guard -> /* only when the contract is broken in two */
        guard = no_guard
    :: what_ == contract ->
        INVARIANT(drop_safe, !there || CARRIED_N);
        guard = no_guard;
        has_o = 0;
        o = NUL;
        dropped = 1
    :: what_ == abort ->
        INVARIANT(drop_safe, !there || CARRIED_O);
        guard = no_guard;
        has_n = 0;
        n = NUL;
        dropped = 1
    fi;
    INVARIANT(one_truth, guard == no_guard || (guard == reverse) == TRUTH_IS_NEW);
    ROW_HOLDS
}

/* eng_guards_sql: what turns the guard looks first whether it was always on, under the lock;
 * complete looks when it is asked for. */
#ifdef BREAK_GUARD_LOOK
#define GUARDED true
#else
#define GUARDED (!was_off || (sent != cut && sent != revert))
#endif

/* defaults_sql: so it does whether the default of the side that leads is the plan's. */
#ifdef BREAK_DEFAULT_LOOK
#define AS_PLANNED true
#else
#define AS_PLANNED                                                                                 \
    ((sent != cut || default_on_o == known) && (sent != revert || default_on_n == known))
#endif

/* The engine's connection, on the server's side. */
proctype Backend()
{
end:
    do
    :: atomic {
           sent != nothing ->
           if
           :: GUARDED && AS_PLANNED -> apply(sent, sent_to); answer = sent
           :: answer = nothing /* refused, or ended: rolled back */
           fi;
           release();
           sent = nothing;
           sent_found = 0
       }
    od
}

/* ---- the engine ---- */

/* ACCESS EXCLUSIVE waits for every open transaction; not to get it within lock_timeout and to try
 * again is the same to everybody else. */
#ifdef BREAK_TABLE_LOCK
#define LOCK_TABLE exclusive = 1
#else
#define LOCK_TABLE atomic { !held -> exclusive = 1 }
#endif

#define BEFORE_CUTOVER                                                                             \
    (mem == planned || mem == expanding || mem == backfilling || mem == verifying || mem == ready)
#define PREFLIGHT (!was_off && !bad && !owed)

proctype Engine()
{
    byte at, upto;
    bit found, split;
    mtype what = nothing, to = nothing;

turn: /* a bounded piece of work, after whatever was asked for meanwhile */
    INVARIANT(memory_is_marker, mem == phase);
    if
    :: BEFORE_CUTOVER -> what = move; to = aborting
    :: mem == planned ->
#ifdef BREAK_END
        size_into(noted_end);
#endif
        what = move;
        to = expanding
    :: mem == expanding && !expanded ->
        LOCK_TABLE;
        what = expand
#ifdef BREAK_GUARD_LATER
    :: mem == backfilling && begun && guard == no_guard ->
        LOCK_TABLE;
        what = guard_alone
#endif
    :: mem == expanding && expanded -> what = move; to = backfilling
    :: (mem == backfilling && !filled) || (mem == verifying && repairing) -> goto fill
    :: mem == backfilling && filled -> what = move; to = verifying
    :: mem == verifying && !repairing -> goto verify
    :: mem == ready -> goto verify /* asked for */
    :: atomic { mem == ready && PREFLIGHT -> commanded = 1; what = move; to = cutting_over }
#ifdef BREAK_VERDICT
    :: atomic { mem == ready && bad && !owed -> commanded = 1; what = move; to = cutting_over }
#endif
    :: mem == cutting_over -> what = move; to = ready /* attempts used up, or abort wanted */
    :: mem == cutting_over ->
        LOCK_TABLE;
        what = cut;
#ifdef BREAK_CUT_IN_TWO
        if
        :: guard == forward -> what = cut_guard
        :: else
        fi
#endif
    :: mem == soaking -> goto verify /* asked for */
    :: atomic { mem == soaking && PREFLIGHT -> commanded = 1; what = move; to = reverting }
    :: atomic { mem == soaking && PREFLIGHT -> commanded = 1; what = move; to = contracting }
#ifdef BREAK_COMPLETE_VERDICT
    :: atomic { mem == soaking && bad && !owed -> commanded = 1; what = move; to = contracting }
#endif
#ifdef BREAK_ROLLBACK_VERDICT
    :: atomic { mem == soaking && bad && !owed -> commanded = 1; what = move; to = reverting }
#endif
    :: mem == reverting -> what = move; to = soaking /* attempts used up */
    :: mem == reverting ->
        LOCK_TABLE;
        what = revert
    :: mem == contracting && !dropped ->
        LOCK_TABLE;
        what = contract;
#ifdef BREAK_CONTRACT_IN_TWO
        if
        :: guard != no_guard -> what = contract_guard
        :: else
        fi
#endif
    :: mem == contracting && dropped -> what = move; to = done
    :: mem == aborting && !dropped ->
        LOCK_TABLE;
        what = abort
    :: mem == aborting && dropped -> what = move; to = aborted
    :: mem == done || mem == aborted -> goto over
    fi;
    goto commit;

    /* ---- backfill.c ---- */
fill:
    if
    :: !begun -> what = begin; goto commit
    :: begun && next_block < end_block ->
        atomic {
            block = next_block;
            skip_locked = 0
        }
    :: begun && next_block >= end_block && (skipped[0] || skipped[1] || skipped[2]) ->
        atomic {
            if
            :: skipped[0] -> block = 0
            :: skipped[1] -> block = 1
            :: skipped[2] -> block = 2
            fi;
            skip_locked = 1
        }
    :: begun && next_block >= end_block && !skipped[0] && !skipped[1] && !skipped[2] ->
        if
        :: mem == verifying -> what = repair; to = ready /* the flag goes, it verifies again */
        :: else -> what = mark
        fi;
        goto commit
    fi;
#ifdef BREAK_WATERMARK
    if
    :: !skip_locked && !split -> split = 1; what = watermark_alone; goto commit
    :: else
    fi;
#endif
scan: /* the statement's snapshot; it waits for no client, nor makes one wait for long */
    atomic {
        batch_open = 1;
#ifdef BREAK_RECHECK
        seen_o = o;
#endif
        if
        :: there && blk == block && !STEP_FORWARD(o, n) -> found = 1
        :: else
        fi
    };
    if
    :: !skip_locked -> /* lock_timeout: by this row or another */
        atomic {
            release();
            found = 0;
            skip_locked = 1;
            goto scan
        }
    :: found && !held -> /* has the lock, and looks at what the row is now */
#ifdef BREAK_RECHECK
        batch_held = 1
#else
        batch_held = there && !STEP_FORWARD(o, n)
#endif
    :: found && held && skip_locked
    :: !found
    fi;
    atomic {
        found = 0;
        what = batch;
#ifndef BREAK_REWRITE
        if
        :: noted_node != node ->
            release();
            what = again
        :: else
        fi
#endif
    };
    goto commit;

    /* ---- verify.c ---- */
verify:
    atomic {
        size_into(upto);
#if PASSES > 0 && !defined(BREAK_SNAPSHOT) && !defined(BREAK_VERIFY)
        if
        :: was_off || owed || bad -> /* one snapshot for all ranges */
            found = there && (TRUTH_IS_NEW -> FOUND_REVERSE : FOUND_FORWARD);
            at = upto
        :: else
        fi;
#endif
        owed = (owed -> 2 : 0)
    };
    do
    :: at < upto ->
        d_step {
#ifndef BREAK_VERIFY
            found = found || (there && blk == at && (TRUTH_IS_NEW -> FOUND_REVERSE : FOUND_FORWARD));
#endif
            at++
        }
    :: else -> break
    od;
#if PASSES == 0
    INVARIANT(fill_left_nothing, !found || mem != verifying);
#endif
    what = verified;

    /* ---- COMMIT: the Backend does it or not, and answers; or the answer is lost ---- */
commit:
    atomic {
        sent = what;
        commanded = 0;
        sent_to = to;
        sent_found = found;
        what = nothing;
        to = nothing;
        found = 0;
        at = 0;
        upto = 0
    };
    if
    :: atomic {
           sent == nothing ->
           if
           :: answer == move -> mem = sent_to
           :: answer == cut -> mem = soaking
           :: answer == revert -> mem = ready
           :: answer == verified && mem == verifying && !bad -> what = move; to = ready
           :: answer == verified && mem == verifying && bad && !repairs -> what = begin_repair
           :: answer == begin_repair -> what = repair; to = verifying
           :: answer == batch -> split = 0
           :: else
           fi;
           answer = nothing;
           sent_to = nothing;
           block = 0;
           skip_locked = 0
       };
       if
       :: what != nothing -> goto commit
       :: else -> goto turn
       fi
    :: atomic { /* lost, before the server has decided or after; or the engine dies */
           faults > 0 ->
           faults--
       }
    fi;

    /* connect.c, store.c: connect, wait for the advisory lock, read everything back */
#ifndef BREAK_ADVISORY_LOCK
    sent == nothing;
#endif
    atomic {
        answer = nothing;
        sent_to = (sent == nothing -> nothing : sent_to);
#ifndef BREAK_MARKER
        mem = phase;
#endif
        split = 0;
        block = (sent == nothing -> 0 : block);
        skip_locked = (sent == nothing -> 0 : skip_locked)
    };
    if
    :: mem == cutting_over -> what = move; to = ready; goto commit /* settle_cutover */
    :: else -> goto turn
    fi;

over:
    skip
}

/* ---- clients ---- */

#define NEW_IN_STEP (nn == UP(no) || (nn != NUL && no == DOWN(nn)) || (guard == reverse && no == DOWN(nn)))

/* What gives a value for NULL does so because the column may not be NULL. */
inline value_o(to_)
{
    if
#if KIND != DOWNFILLS
    :: to_ = NUL
#endif
    :: to_ = 1
    :: to_ = 2
    fi
}

inline value_n(to_)
{
    if
#if KIND != UPFILLS
    :: to_ = NUL
#endif
    :: to_ = 1
    :: to_ = 2
    fi
}

inline only_o()
{
    wrote_o = no;
    wrote_n = ANY
}

inline only_n()
{
    wrote_n = nn;
    wrote_o = ANY
}

inline both()
{
    wrote_o = no;
    wrote_n = nn
}

/* In whose words a statement is written: an old revision names o, a new one n, a transitional one (or
 * the proxy's inline dual write) both, and any of them may touch other columns alone. */
inline words()
{
    if
    :: has_o -> how = 1; value_o(no)
    :: has_n -> how = 2; value_n(nn)
    :: has_o && has_n -> how = 3; value_o(no); value_n(nn)
    :: how = 0
    fi
}

/* Who wins, by the table of DESIGN 5; not how the guard finds it. */
inline update_wins()
{
    if
    :: how == 1 -> wrote_o = no; wrote_n = (no != o -> ANY : wrote_n)
    :: how == 2 -> wrote_n = nn; wrote_o = (nn != n -> ANY : wrote_o)
    :: how == 3 && NEW_IN_STEP -> both()
    :: how == 3 && !NEW_IN_STEP ->
        if
        :: no != o && (nn == n || guard != reverse) -> only_o()
        :: nn != n && (no == o || guard == reverse) -> only_n()
        :: else
        fi
    :: else
    fi
}

inline insert_wins()
{
    if
    :: how == 1 || (how == 0 && has_o && guard != reverse) -> only_o()
    :: how == 2 || (how == 0 && (!has_o || guard == reverse)) -> only_n()
    :: how == 3 && NEW_IN_STEP -> both()
    :: how == 3 && !NEW_IN_STEP ->
        if
        :: (guard == reverse -> no == NUL : nn != NUL) -> only_n()
        :: else -> only_o()
        fi
    fi
}

inline update_row()
{
    no = o;
    nn = n;
    words();
#ifndef LIMIT_NULL_UNFILLED
    /* what a trigger cannot know: whether what is there already was written to a row out of step */
    if
    :: no == o && nn == n && (guard == reverse -> !IN_STEP_REVERSE : !IN_STEP_FORWARD) -> how = 0
    :: else
    fi;
#else
    if
    :: how == 2 && nn == NUL && n == NUL && guard == forward -> wrote_o = ANY
    :: else
    fi;
#endif
    update_wins();
    if
    :: ACTING == forward -> GUARD_UPDATE(o, n, no, nn, UP, DOWN)
    :: ACTING == reverse -> GUARD_UPDATE(n, o, nn, no, DOWN, UP)
    :: else
    fi
}

inline insert_row()
{
    no = (has_o && default_on_o -> GIVEN : NUL);
    nn = (has_n && default_on_n -> GIVEN : NUL);
    words();
#ifndef LIMIT_NULL_INSERTED
    /* the same: an INSERT of NULL by the name that follows, where the one that leads has a default */
    if
    :: how == 1 && guard == reverse && no == NUL -> no = 1
    :: how == 2 && guard == forward && nn == NUL -> nn = 1
    :: else
    fi;
#endif
    insert_wins();
    if
    :: guard == forward -> GUARD_INSERT(no, nn, UP, DOWN)
    :: guard == reverse -> GUARD_INSERT(nn, no, DOWN, UP)
    :: else
    fi
}

inline any_block()
{
    if
    :: blk = 0
    :: blk = 1
    :: blk = 2
    fi
}

inline row_written()
{
    o = (has_o -> no : NUL);
    n = (has_n -> nn : NUL);
    no = 0;
    nn = 0;
    how = 0;
    past = past && !IN_STEP;
    ROW_HOLDS
}

proctype Clients()
{
    byte no, nn, how;

end:
    do
    :: atomic { /* an UPDATE or DELETE has its row */
           there && !held && !batch_held && !exclusive ->
           held = 1;
#ifdef BREAK_TABLE_LOCK
           acting = guard
#endif
       }
    :: atomic { /* COMMIT; the new version may stand anywhere */
           held ->
           update_row();
           row_written();
           any_block();
           held = 0
       }
    :: atomic { held -> held = 0 }                  /* ROLLBACK, or the client dies */
    :: d_step {                                     /* COMMIT of a DELETE */
           held ->
           held = 0;
           there = 0;
           o = 0;
           n = 0;
           blk = 0;
           past = 0;
           wrote_o = ANY;
           wrote_n = ANY
       }
#if PASSES == 0
    :: atomic { /* INSERT */
           !there && !exclusive ->
           there = 1;
           insert_row();
           row_written();
           any_block()
       }
#endif
    od
}

#if REWRITES > 0
proctype Rewriter()
{
    byte left = REWRITES;

end:
    do
    :: atomic {
           left > 0 && !held && !exclusive && !batch_open ->
           left--;
           node = !node;
           if
           :: there -> any_block()
           :: else
           fi
       }
    od
}
#endif

#if PASSES > 0
/* DISABLE TRIGGER ALL, a row, ENABLE TRIGGER ALL; and an operator who does what the hint says, in a
 * phase in which there can be a verify. */
#define HE_MAY (!commanded && mem == phase && sent == nothing && \
                phase != cutting_over && phase != reverting && phase != contracting)

proctype Restorer()
{
    byte left = PASSES;

end:
    do
    :: atomic {
           left > 0 && !there && !exclusive && !batch_open && guard != no_guard && !commanded &&
           phase != contracting && sent_to != contracting ->
           left--;
           was_off = 1;
           there = 1;
           past = 1;
           any_block();
           if
           :: o = 1; wrote_o = 1; wrote_n = ANY
           :: guard == reverse -> n = 1; wrote_n = 1; wrote_o = ANY
           fi
       }
    :: atomic { was_off && HE_MAY -> was_off = 0; owed = 1 }
    od
}
#endif

#if DEFAULTS > 0
/* SET DEFAULT and DROP DEFAULT on the column as everybody knows it. */
proctype Altering()
{
end:
    do
    :: atomic { !exclusive && !TRUTH_IS_NEW && has_o -> default_on_o = !default_on_o }
    :: atomic { !exclusive && TRUTH_IS_NEW && has_n -> default_on_n = !default_on_n }
    od
}
#endif

init {
    atomic {
#if DEFAULTS > 0
        if
        :: known = 0; default_on_o = 0
        :: skip
        fi;
        run Altering();
#endif
        if /* a row from before the migration, or none */
#if PASSES == 0
        :: there = 1; value_o(o); wrote_o = o; blk = 0
        :: there = 1; value_o(o); wrote_o = o; blk = 1
#endif
        :: skip
        fi;
        run Engine();
        run Backend();
        run Clients();
#if REWRITES > 0
        run Rewriter();
#endif
#if PASSES > 0
        run Restorer();
#endif
        skip
    }
}
