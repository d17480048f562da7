/*
 * Which tables a session's open transaction may have touched, counted for the drain; and of which
 * of them segue may have named columns in what it sent (gate.c: who drops a column waits for that).
 * Who is behind the rules, on a standby, counts only while bits mean the same to it.
 */
#include "worker.h"

static void count_bits(struct sess_worker *w, uint64_t bits, int by)
{
    while (bits) {
        int bit = __builtin_ctzll(bits);

        bits &= bits - 1;
        atomic_store_explicit(&w->touching[bit],
                              atomic_load_explicit(&w->touching[bit], memory_order_relaxed) +
                                  (uint32_t)by,
                              memory_order_release);
    }
}

static void count_touched(struct sess_worker *w, uint64_t tables, int by)
{
    if (tables == SQL_TOUCH_ALL)
        atomic_store_explicit(&w->touching_all,
                              atomic_load_explicit(&w->touching_all, memory_order_relaxed) +
                                  (uint32_t)by,
                              memory_order_release);
    else
        count_bits(w, tables, by);
}

void sess_speak_of(struct sess *s, uint64_t tables)
{
    uint64_t before = atomic_load_explicit(&s->spoken_of, memory_order_relaxed);

    if (!sess_counts(s))
        return;
    if (tables & ~before)
        atomic_store_explicit(&s->spoken_of, before | tables, memory_order_relaxed);
}

void sess_touch(struct sess *s, uint64_t tables)
{
    uint64_t before = atomic_load_explicit(&s->touched, memory_order_relaxed);
    uint64_t after = before | tables;

    if (s->behind)
        s->behind->used |= tables;
    if (tables != SQL_TOUCH_ALL)
        sess_speak_of(s, tables);
    if (after == before || !sess_counts(s))
        return;
    if (after == SQL_TOUCH_ALL) {
        count_touched(s->worker, after, 1); /* up before down: never a moment of zero */
        count_touched(s->worker, before, -1);
    } else {
        count_touched(s->worker, after & ~before, 1);
    }
    atomic_store_explicit(&s->touched, after, memory_order_relaxed);
}

void sess_untouch(struct sess *s)
{
    uint64_t before = atomic_load_explicit(&s->touched, memory_order_relaxed);

    s->alters = false;
    if (!before)
        return;
    count_touched(s->worker, before, -1);
    atomic_store_explicit(&s->touched, 0, memory_order_relaxed);
    atomic_store_explicit(&s->spoken_of, 0, memory_order_relaxed);
}

void sess_forget_bits(struct sess *s)
{
    s->spoke |= s->prepares != 0;
    s->prepares = s->prepared_old = s->prepared_new = 0;
    if (sql_taken_any(s->made))
        s->made = (struct sql_taken){UINT64_MAX, UINT64_MAX};
    if (s->unseen)
        s->unseen = sql_rules_lasting(sess_rules(s));
}

void sess_touch_forget(struct sess *s)
{
    bool spoke = atomic_load_explicit(&s->spoken_of, memory_order_relaxed) != 0;

    sess_touch(s, SQL_TOUCH_ALL);
    if (spoke)
        sess_speak_of(s, SQL_TOUCH_ALL);
}
