/*
 * Rules for sessions whose standby has not replayed the turn that made the newest ones.
 *
 * The server is asked how far it is in front of each transaction, until it has the newest turn.
 * Meanwhile the session has the rules of the turn that it does have. They stay true at the next one
 * where only columns come, are filled, or go that nobody was shown; such statements pass at once.
 * Where they would not be (a name of a table or a key turns, what is shown is dropped), replay may
 * get there before the statement does, so that is held and the server asked again, until
 * rules_wait_ms have passed since the turn was published: a replay that is paused must not stop its
 * readers. Past that they go on by the rules that are true of it now; only what is under way in the
 * moment in which it replays the turn can meet it.
 *
 * A later turn is waited for behind an earlier one, and a position that is too late does no harm.
 * Whoever has taken over, or was started, knows no older rules: there the first ones are waited for
 * and used.
 */
#include "behind.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "asking.h"
#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "segue/wire/read.h"
#include "worker.h"

#define PAUSE_MS_MIN 2
#define PAUSE_MS_MAX 100

/* ---- what was published ---- */

static void turn_fini(struct sess_turn *turn)
{
    sql_rules_unref(turn->rules);
    turn->rules = NULL;
}

static struct sess_turn turn_of(const struct sess_order *order)
{
    return (struct sess_turn){order->turn, order->position, clock_us(), order->ends,
                              sql_rules_ref(order->rules)};
}

void sess_turns_put(struct sess_plane *plane, const struct sess_order *order)
{
    struct sess_turns *turns = &plane->turns;
    bool again = turns->n && turns->v[turns->n - 1].number == order->turn;
    struct sess_turn turn = turn_of(order);

    if (again) {
        turn.published_us = turns->v[turns->n - 1].published_us;
        turn_fini(&turns->v[--turns->n]);
    } else if (turns->n == SESS_TURNS_MAX) {
        turn_fini(&turns->v[0]);
        turns->n--;
        memmove(turns->v, turns->v + 1, turns->n * sizeof(*turns->v));
    }
    turns->v[turns->n++] = turn;
}

void sess_turns_lower(struct sess_plane *plane, struct sess_order *order, uint64_t position)
{
    struct sess_turns *turns = &plane->turns;

    for (size_t i = 0; i < turns->n; i++)
        if (turns->v[i].position > position)
            turns->v[i].position = position;
    if (order->position > position)
        order->position = position;
}

void sess_turns_fini(struct sess_plane *plane)
{
    while (plane->turns.n)
        turn_fini(&plane->turns.v[--plane->turns.n]);
}

/* ---- which of it is the session's ---- */

/* plane->lock is held. The first turn up to the worker's that its rules would be wrong at: its own,
 * where that has not been replayed; NULL: none. */
static const struct sess_turn *wrong_at(const struct sess *s)
{
    const struct sess_turns *turns = &s->worker->plane->turns;
    const struct sess_behind *b = s->behind;

    for (size_t i = 0; i < turns->n && !b->unreached; i++)
        if (turns->v[i].number > b->at.number && turns->v[i].number <= s->worker->order->turn &&
            !sql_rules_fit(b->at.rules, turns->v[i].rules))
            return &turns->v[i];
    return b->unreached ? &b->at : NULL;
}

/* plane->lock is held. The rules of the session, or the newest, are others now. */
static void judge(struct sess *s)
{
    struct sess_behind *b = s->behind;
    const struct sql_rules *newest = s->worker->order->rules;
    const struct sess_turn *wrong = wrong_at(s);

    b->holds = wrong != NULL;
    if (wrong)
        b->until_us = wrong->published_us + (int64_t)s->worker->plane->options.rules_wait_ms * 1000;
    b->counted = b->at.rules == newest || sql_rules_same_tables(b->at.rules, newest);
    if (!b->counted)
        sess_untouch(s);
}

/* Takes the reference. */
static void go_by_take(struct sess *s, struct sess_turn turn, bool unreached)
{
    struct sql_rules *before = s->behind->at.rules;
    bool moved = before != turn.rules && !sql_rules_same_tables(before, turn.rules);

    s->behind->at = turn;
    s->behind->unreached = unreached;
    if (moved) {
        s->behind->used = 0;
        sess_forget_bits(s);
        sess_untouch(s);
    }
    sql_rules_unref(before);
}

/* plane->lock is held. The last turn that a server has which has replayed so far, and this worker
 * knows of; NULL: not even the first. */
static const struct sess_turn *turn_at(const struct sess_worker *w, uint64_t position)
{
    const struct sess_turns *turns = &w->plane->turns;
    const struct sess_turn *found = NULL;

    for (size_t i = 0; i < turns->n && turns->v[i].position <= position; i++)
        if (turns->v[i].number <= w->order->turn)
            found = &turns->v[i];
    return found;
}

static void catch_up(struct sess *s, uint64_t position)
{
    struct sess_worker *w = s->worker;
    const struct sess_turn *turn;
    struct sess_turn own;
    bool done;

    pthread_mutex_lock(&w->plane->lock);
    turn = turn_at(w, position);
    done = turn && turn->number == w->order->turn;
    if (turn && turn->number > s->behind->at.number) {
        own = *turn;
        own.rules = sql_rules_ref(own.rules);
        go_by_take(s, own, false);
    } else if (turn) {
        s->behind->unreached = false;
    }
    judge(s);
    pthread_mutex_unlock(&w->plane->lock);
    if (done)
        sess_behind_free(s);
}

/* It stays with what it has until its server is asked. */
static void begin(struct sess *s, const struct sess_turn *turn, bool unreached)
{
    s->behind = mem_calloc(1, sizeof(*s->behind));
    s->behind->at = *turn;
    s->behind->at.rules = sql_rules_ref(turn->rules);
    s->behind->unreached = unreached;
}

void sess_behind_begin(struct sess *s, bool standby)
{
    struct sess_worker *w = s->worker;

    atomic_store_explicit(&s->on_standby, standby, memory_order_relaxed);
    s->standby = standby && !s->foreign && !s->walsender && s->version.rewrites;
    if (!s->standby || s->behind || !w->order->position)
        return;
    pthread_mutex_lock(&w->plane->lock);
    begin(s, &w->plane->turns.v[0], true);
    judge(s);
    pthread_mutex_unlock(&w->plane->lock);
}

static void adopt(struct sess *s, const struct sess_order *before)
{
    const struct sess_order *now = s->worker->order;

    if (!s->behind && now->position == before->position)
        return; /* these rules are as true of what it has replayed */
    if (!s->behind) {
        struct sess_turn turn = turn_of(before->turn ? before : now);

        begin(s, &turn, !before->turn);
        s->behind->used = READ(s->touched);
        turn_fini(&turn);
    }
    s->behind->asked = s->behind->told = false;
    s->behind->tries = 0;
    judge(s);
}

void sess_behind_adopt(struct sess_worker *w, const struct sess_order *before)
{
    pthread_mutex_lock(&w->plane->lock);
    for (struct sess *s = w->sessions; s; s = s->next)
        if (s->standby)
            adopt(s, before);
    pthread_mutex_unlock(&w->plane->lock);
}

/* What waited goes on its way, or nowhere. */
static void let_go(struct sess *s)
{
    if (READ(s->held_us))
        atomic_store_explicit(&s->held_us, 0, memory_order_relaxed);
}

void sess_behind_free(struct sess *s)
{
    if (!s->behind)
        return;
    let_go(s);
    turn_fini(&s->behind->at);
    free(s->behind);
    s->behind = NULL;
}

/* ---- the question ---- */

/* NULL: it has been promoted, and has all there is. */
static const char question_text[] =
    "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() END";

static void take_row(struct sess *s, const char *msg, size_t total)
{
    unsigned high, low;
    struct wire_value value;
    char text[24] = "";

    if (wire_read_row(msg, total, &value, 1) != RC_OK)
        return;
    if (!value.data) {
        s->behind->replayed = UINT64_MAX;
        return;
    }
    if (value.len < sizeof(text))
        memcpy(text, value.data, value.len);
    if (sscanf(text, "%8X/%8X", &high, &low) == 2)
        s->behind->replayed = ((uint64_t)high << 32) | low;
}

/* In a transaction it has ended that, and the client shall hear why. Else it is asked again; who
 * cancels means what waits for it; a server that does not know the question is taken to have all.
 */
static void take_error(struct sess *s, const char *msg, size_t total)
{
    struct wire_error error;

    if (wire_read_error(msg, total, &error) != RC_OK)
        return;
    if (s->track.status != 'I') {
        buf_reset(&s->failed);
        if (total <= SESS_FAILED_BYTES_MAX)
            buf_append(&s->failed, msg, total);
    } else if (sess_question_stopped(msg, total) == SESS_STOPPED_CANCELLED) {
        s->cancelled = true;
    } else if (!strncmp(error.sqlstate, "42", 2) || !strncmp(error.sqlstate, "0A", 2)) {
        s->behind->replayed = UINT64_MAX;
    }
}

static void answered(struct sess *s)
{
    s->behind->asked = true;
    catch_up(s, s->behind->replayed);
}

static const struct sess_question question = {question_text, sizeof(question_text) - 1, take_row,
                                              take_error, answered};

static bool ask(struct sess *s)
{
    if (!sess_may_ask(s))
        return false;
    s->behind->replayed = 0;
    sess_ask(s, &question);
    sess_move(s, SESS_PENDING);
    return true;
}

/* ---- who waits ---- */

/* Not for answers that never come, or none before a Sync that the client sends behind this. */
static bool may_wait(const struct sess *s)
{
    const struct sess_track *t = &s->track;

    if (sess_track_lost(t) || (t->expected && t->unsynced))
        return false;
    return !t->opened && !t->loose && !sess_track_copies(t) && t->status != 'E' &&
           (s->state == SESS_RELAY || s->state == SESS_WELCOME);
}

static void hold(struct sess *s)
{
    struct sess_behind *b = s->behind;
    int64_t pause_ms = (int64_t)PAUSE_MS_MIN << b->tries;

    if (pause_ms < PAUSE_MS_MAX)
        b->tries++;
    else
        pause_ms = PAUSE_MS_MAX;
    b->asked = false;
    sess_move(s, SESS_BEHIND);
    if (!READ(s->held_us))
        atomic_store_explicit(&s->held_us, s->worker->now_us, memory_order_relaxed);
    sess_deadline(s, s->worker->now_us + pause_ms * 1000);
}

bool sess_behind_waits(struct sess *s)
{
    if (s->behind->asked || !may_wait(s) || s->track.status != 'I')
        return false;
    if (!s->track.expected)
        return ask(s);
    sess_move(s, SESS_PENDING); /* then nothing is outstanding */
    return true;
}

static struct log_limit late;

/* True: for so long already that it goes on. */
static bool is_over(struct sess *s)
{
    const unsigned wait_ms = s->worker->plane->options.rules_wait_ms;
    struct sess_behind *b = s->behind;

    if (s->worker->now_us < b->until_us)
        return false;
    if (!b->told)
        log_limited(&late, LOG_WARNING,
                    "a standby has not replayed a migration's turn within %u ms (rules_wait_ms): "
                    "until it has, its sessions go by what was before",
                    wait_ms);
    b->told = true;
    return true;
}

/* Whoever has used all of the tables in this transaction has locked them: replay waits for that. */
static bool has_locked(const struct sess *s, uint64_t touches)
{
    uint64_t used = s->behind->used;

    return s->track.status == 'T' && used && !(touches & ~used);
}

bool sess_behind_holds(struct sess *s, uint64_t touches, bool begins)
{
    const struct sess_behind *b = s->behind;
    const struct sess_track *t = &s->track;

    if (!b->holds || !(touches || begins) || !may_wait(s) || has_locked(s, touches)) {
        let_go(s);
        return false;
    }
    if (t->expected) {
        sess_move(s, SESS_PENDING);
        return true;
    }
    if (!b->asked && ask(s))
        return true;
    if (!b->asked || is_over(s)) {
        let_go(s);
        return false;
    }
    hold(s);
    return true;
}

struct sql_cache *sess_cache(const struct sess *s)
{
    struct sess_worker *w = s->worker;

    if (!s->behind)
        return w->cache;
    if (!w->cache_behind)
        w->cache_behind =
            sql_cache_new(w->plane->options.cache_entries, w->plane->options.cache_bytes);
    return w->cache_behind;
}

void sess_behind_ready(struct sess *s)
{
    s->behind->asked = false;
    if (sess_track_safe(&s->track))
        s->behind->used = 0;
}

void sess_behind_left(struct sess *s)
{
    sess_deadline(s, 0);
}

void sess_behind_late(struct sess *s)
{
    if (!s->cancelled)
        return;
    s->cancelled = false;
    sess_cancel_held(s);
}
