/*
 * The dual-write rules (DESIGN 5) as proxy/engine/guard_trigger.c writes them, once over source S and
 * target T; the reverse direction is the same with both sides exchanged. Included by road.pml.
 *
 * Values are 0 (NULL), 1 and 2. KIND says what `up` and `down` make of them:
 *   PLAIN     a rename: both are the identity
 *   LOSSY     two old values have one new one (text to jsonb) and two new ones have one old one
 *   NULLIF    up gives NULL for a value: nullif(o, '')
 *   UPFILLS   up gives a value for NULL: coalesce(o, 'x')
 *   DOWNFILLS down gives a value for NULL: the new column may be NULL, the old one may not; not checked,
 *             see Limits in README.md
 */
#define NUL 0

#define PLAIN 0
#define LOSSY 1
#define NULLIF 2
#define UPFILLS 3
#define DOWNFILLS 4
#ifndef KIND
#define KIND PLAIN
#endif

#if KIND == PLAIN
#define UP(v) (v)
#define DOWN(v) (v)
#elif KIND == LOSSY
#define UP(v) ((v) != 0)
#define DOWN(v) ((v) != 0)
#elif KIND == NULLIF
#define UP(v) ((v) == 1)
#define DOWN(v) (v)
#elif KIND == UPFILLS
#define UP(v) ((v) + ((v) == 0))
#define DOWN(v) (v)
#else
#define UP(v) (v)
#define DOWN(v) ((v) + ((v) == 0))
#endif

/* Bytes, or an `=` that calls different values equal (citext, numeric, char(n)). */
#ifdef BREAK_BYTES
#define SAME(x, y) (((x) == 0) == ((y) == 0))
#else
#define SAME(x, y) ((x) == (y))
#endif

/* ---- in step: n *= up(o), or n is not null and o *= down(n) ---- */

#ifdef BREAK_STEP_UP
#define BY_UP(S, T, TO_T) false
#else
#define BY_UP(S, T, TO_T) SAME(T, TO_T(S))
#endif
#ifdef BREAK_STEP_DOWN
#define BY_DOWN(S, T, TO_S) false
#elif defined(BREAK_STEP_NULL)
#define BY_DOWN(S, T, TO_S) SAME(S, TO_S(T))
#else
#define BY_DOWN(S, T, TO_S) ((T) != NUL && SAME(S, TO_S(T)))
#endif
#define STEP(S, T, TO_T, TO_S) (BY_UP(S, T, TO_T) || BY_DOWN(S, T, TO_S))
#define STEP_FORWARD(o_, n_) STEP(o_, n_, UP, DOWN)
#define STEP_REVERSE(o_, n_) STEP(n_, o_, DOWN, UP)

/* ---- the table: S0, T0 are the OLD row's, S and T the NEW row's ---- */

#ifdef BREAK_INSERT_TWIN /* INSERT, target not null: the client wrote it */
#define ROW_INSERT_TWIN(S, T, TO_T, TO_S) T = TO_T(S)
#else
#define ROW_INSERT_TWIN(S, T, TO_T, TO_S) S = TO_S(T)
#endif
#ifdef BREAK_INSERT_LEAD /* INSERT, target null */
#define ROW_INSERT_LEAD(S, T, TO_T, TO_S) skip
#else
#define ROW_INSERT_LEAD(S, T, TO_T, TO_S) T = TO_T(S)
#endif
#ifdef BREAK_UPDATE_LEAD /* UPDATE changed only the source */
#define ROW_UPDATE_LEAD(S, T, TO_T, TO_S) skip
#else
#define ROW_UPDATE_LEAD(S, T, TO_T, TO_S) T = TO_T(S)
#endif
#ifdef BREAK_UPDATE_TWIN /* UPDATE changed only the target */
#define ROW_UPDATE_TWIN(S, T, TO_T, TO_S) T = TO_T(S)
#else
#define ROW_UPDATE_TWIN(S, T, TO_T, TO_S) S = TO_S(T)
#endif
#ifdef BREAK_UPDATE_BOTH /* UPDATE changed both: the source of truth wins */
#define ROW_UPDATE_BOTH(S, T, TO_T, TO_S) S = TO_S(T)
#else
#define ROW_UPDATE_BOTH(S, T, TO_T, TO_S) T = TO_T(S)
#endif
#ifdef BREAK_UPDATE_NEITHER /* UPDATE changed neither, target null: filled in passing */
#define ROW_UPDATE_NEITHER(S, T, TO_T, TO_S) skip
#else
#define ROW_UPDATE_NEITHER(S, T, TO_T, TO_S) T = TO_T(S)
#endif

#define GUARD_INSERT(S, T, TO_T, TO_S)                                                             \
    if                                                                                             \
    :: STEP(S, T, TO_T, TO_S) -> skip                                                              \
    :: else ->                                                                                     \
        if                                                                                         \
        :: T != NUL -> ROW_INSERT_TWIN(S, T, TO_T, TO_S)                                           \
        :: else -> ROW_INSERT_LEAD(S, T, TO_T, TO_S)                                               \
        fi                                                                                         \
    fi

#define GUARD_UPDATE(S0, T0, S, T, TO_T, TO_S)                                                     \
    if                                                                                             \
    :: STEP(S, T, TO_T, TO_S) -> skip                                                              \
    :: else ->                                                                                     \
        if                                                                                         \
        :: !SAME(S, S0) && SAME(T, T0) -> ROW_UPDATE_LEAD(S, T, TO_T, TO_S)                        \
        :: !SAME(S, S0) && !SAME(T, T0) -> ROW_UPDATE_BOTH(S, T, TO_T, TO_S)                       \
        :: SAME(S, S0) && !SAME(T, T0) -> ROW_UPDATE_TWIN(S, T, TO_T, TO_S)                        \
        :: SAME(S, S0) && SAME(T, T0) && T == NUL -> ROW_UPDATE_NEITHER(S, T, TO_T, TO_S)          \
        :: else -> skip                                                                            \
        fi                                                                                         \
    fi
