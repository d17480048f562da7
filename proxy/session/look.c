/*
 * What a client's message may touch, and whether the gate lets it pass.
 *
 * Without rules only named Parse messages are looked at, to remember their text: a later migration
 * must know what a Bind of them touches. With rules (or a closed gate) statements are withheld
 * until they are complete, so that one that must be held was not sent in part.
 */
#include <string.h>

#include "segue/base/mem.h"
#include "segue/wire/read.h"
#include "worker.h"

/* Portal and statement names of a Bind are looked for in this many bytes; so long is a Describe
 * or Close at most. A longer name is not known. */
#define NAMES_BYTES_MAX 4096

/* ---- touched tables, counted for the drain ---- */

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

void sess_touch(struct sess *s, uint64_t tables)
{
    uint64_t before = atomic_load_explicit(&s->touched, memory_order_relaxed);
    uint64_t after = before | tables;

    if (after == before)
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

    if (!before)
        return;
    count_touched(s->worker, before, -1);
    atomic_store_explicit(&s->touched, 0, memory_order_relaxed);
}

/* ---- the gate ---- */

/* Between requests with answers on their way nobody knows yet whether a transaction is open: wait
 * for them. They come without the client doing anything, unless it is in the middle of a copy. */
static enum sess_look admit(struct sess *s, uint64_t touches, bool begins)
{
    const struct sess_track *t = &s->track;

    if (s->worker->gate_mask && ((touches & s->worker->gate_mask) || begins) && !t->opened &&
        t->copy == SESS_COPY_NONE) {
        if (t->expected) {
            sess_move(s, SESS_PENDING);
            return SESS_LOOK_STOP;
        }
        if (t->status == 'I') {
            sess_gate_hold(s);
            return SESS_LOOK_STOP;
        }
    }
    if (touches)
        sess_touch(s, touches);
    return SESS_LOOK_PASS;
}

/* ---- verdicts ---- */

static uint64_t epoch_of(const struct sess *s)
{
    return sql_rules_epoch(s->worker->order->rules);
}

static void inspect(struct sess *s, const char *text, size_t len, struct sql_verdict *v)
{
    struct sess_worker *w = s->worker;
    struct sql_rules *rules = w->order->rules;
    struct sql_cache_stats stats;

    memset(v, 0, sizeof(*v));
    COUNT(w->counters.inspected, 1);
    if (!rules) { /* a closed gate and no rules: nobody can tell */
        v->touches = SQL_TOUCH_ALL;
        return;
    }
    if (!sql_mentions(rules, text, len) && sql_first_word(text, len) == SQL_FIRST_OTHER &&
        !memchr(text, ';', len ? len - 1 : 0))
        return;
    sql_cache_inspect(w->cache, rules, text, len, v);
    sql_cache_stats(w->cache, &stats);
    atomic_store_explicit(&w->counters.cache_hits, stats.hits, memory_order_relaxed);
    if (v->executes) /* what it names was prepared by SQL or by Parse, perhaps not seen */
        v->touches |= s->spoke || s->statements ? SQL_TOUCH_ALL : s->prepares;
}

static void note_usage(struct sess *s, const struct sql_verdict *v, const char *text, size_t len)
{
    const struct sql_rewrite seen = {.verdict = *v,
                                     .doubt = v->analysed ? SQL_DOUBT_NONE : SQL_DOUBT_GRAMMAR};

    sess_usage_note(s, &seen, text, len);
}

/* RC_AGAIN: not all there yet; RC_ERR: longer than what is looked at. */
static enum rc whole(const struct sess *s, const struct wire_frame *frame, size_t avail)
{
    if (frame->total > sess_limits(s)->inspect_bytes_max)
        return RC_ERR;
    return avail < frame->total ? RC_AGAIN : RC_OK;
}

static enum sess_look look_query(struct sess *s, const struct wire_frame *frame, const char *msg,
                                 size_t avail)
{
    struct sql_verdict v = {.touches = SQL_TOUCH_ALL};
    struct wire_query query;
    enum rc rc = whole(s, frame, avail);
    enum sess_look look;

    if (rc == RC_AGAIN)
        return SESS_LOOK_MORE;
    if (rc == RC_OK)
        rc = wire_read_query(msg, frame->total, &query);
    if (rc == RC_OK)
        inspect(s, query.text, query.len, &v);
    else
        v.prepares = SQL_TOUCH_ALL;
    look = admit(s, v.touches, v.begins);
    if (look != SESS_LOOK_PASS)
        return look;
    s->prepares |= v.prepares;
    s->unnamed_epoch = 0; /* a simple query drops the unnamed statement */
    if (rc == RC_OK)
        note_usage(s, &v, query.text, query.len);
    return look;
}

static void remember(struct sess *s, const char *name, const char *text, size_t len)
{
    if (!s->statements)
        s->statements = sess_statements_new(sess_limits(s)->statements_bytes_max);
    sess_statements_put(s->statements, name, text, len);
}

static enum sess_look look_parse(struct sess *s, const struct wire_frame *frame, const char *msg,
                                 size_t avail)
{
    struct sql_verdict v = {.touches = SQL_TOUCH_ALL};
    struct wire_parse parse;
    enum rc rc = whole(s, frame, avail);
    enum sess_look look;

    if (rc == RC_AGAIN)
        return SESS_LOOK_MORE;
    if (rc == RC_OK)
        rc = wire_read_parse(msg, frame->total, &parse);
    if (rc == RC_OK && s->worker->looking)
        inspect(s, parse.text, parse.text_len, &v);
    if (s->worker->looking) {
        look = admit(s, v.touches, v.begins);
        if (look != SESS_LOOK_PASS)
            return look;
    }
    if (rc != RC_OK) {
        s->unnamed_epoch = 0; /* and a name not read stays unknown */
        return SESS_LOOK_PASS;
    }
    s->prepares |= s->worker->looking ? v.prepares : 0;
    if (s->worker->looking)
        note_usage(s, &v, parse.text, parse.text_len);
    if (parse.name[0]) {
        remember(s, parse.name, parse.text, parse.text_len);
    } else {
        s->unnamed_touches = v.touches;
        s->unnamed_begins = v.begins;
        s->unnamed_epoch = epoch_of(s);
    }
    return SESS_LOOK_PASS;
}

/* What the use of a prepared statement touches; unknown ones may touch anything. */
static enum sess_look look_use(struct sess *s, const char *name)
{
    struct sess_statement *statement;
    uint64_t epoch = epoch_of(s);
    struct sql_verdict v;
    enum sess_look look;

    if (!name || !epoch)
        return admit(s, SQL_TOUCH_ALL, false);
    if (!name[0]) {
        if (s->unnamed_epoch != epoch)
            return admit(s, SQL_TOUCH_ALL, false);
        return admit(s, s->unnamed_touches, s->unnamed_begins);
    }
    statement = sess_statements_find(s->statements, name);
    if (!statement || !statement->text)
        return admit(s, SQL_TOUCH_ALL, false);
    if (statement->epoch != epoch) {
        inspect(s, statement->text, statement->text_len, &v);
        statement->epoch = epoch;
        statement->touches = v.touches;
        statement->begins = v.begins;
        statement->old_names = v.old_names;
        statement->new_names = v.new_names;
    }
    look = admit(s, statement->touches, statement->begins);
    v = (struct sql_verdict){.touches = statement->touches,
                             .old_names = statement->old_names,
                             .new_names = statement->new_names,
                             .analysed = true};
    if (look == SESS_LOOK_PASS)
        note_usage(s, &v, statement->text, statement->text_len);
    return look;
}

static enum sess_look look_bind(struct sess *s, const struct wire_frame *frame, const char *msg,
                                size_t avail)
{
    const char *portal = msg + WIRE_HEADER_BYTES;
    size_t have = avail < frame->total ? avail : frame->total;
    size_t len = have - WIRE_HEADER_BYTES;
    const char *nul = memchr(portal, '\0', len);
    const char *name = nul ? nul + 1 : NULL;

    if (name)
        nul = memchr(name, '\0', len - (size_t)(name - portal));
    if (!nul) {
        name = NULL;
        if (have < frame->total && have < NAMES_BYTES_MAX)
            return SESS_LOOK_MORE;
    }
    return look_use(s, name);
}

static enum sess_look look_describe(struct sess *s, const struct wire_frame *frame, const char *msg,
                                    size_t avail)
{
    struct wire_target target;

    if (avail < frame->total && frame->total <= NAMES_BYTES_MAX)
        return SESS_LOOK_MORE;
    if (avail < frame->total || wire_read_target(msg, frame->total, &target) != RC_OK)
        return admit(s, SQL_TOUCH_ALL, false);
    return target.kind == 'S' ? look_use(s, target.name) : SESS_LOOK_PASS;
}

static enum sess_look look_close(struct sess *s, const struct wire_frame *frame, const char *msg,
                                 size_t avail)
{
    struct wire_target target;

    if (avail < frame->total && frame->total <= NAMES_BYTES_MAX)
        return SESS_LOOK_MORE;
    if (avail >= frame->total && wire_read_target(msg, frame->total, &target) == RC_OK &&
        target.kind == 'S')
        sess_statements_remove(s->statements, target.name);
    return SESS_LOOK_PASS;
}

static enum sess_look look_call(struct sess *s, const struct wire_frame *frame, const char *msg,
                                size_t avail)
{
    (void)frame;
    (void)msg;
    (void)avail;
    return admit(s, SQL_TOUCH_ALL, false);
}

static const struct {
    enum sess_look (*look)(struct sess *s, const struct wire_frame *frame, const char *msg,
                           size_t avail);
} looks[256] = {
    ['Q'] = {look_query},    ['P'] = {look_parse}, ['B'] = {look_bind},
    ['D'] = {look_describe}, ['C'] = {look_close}, ['F'] = {look_call},
};

enum sess_look sess_look(struct sess *s, const struct wire_frame *frame, const char *msg,
                         size_t avail)
{
    if (s->worker->looking)
        return looks[frame->type].look(s, frame, msg, avail);
    s->spoke = true;
    if (frame->type == 'C')
        return s->statements ? look_close(s, frame, msg, avail) : SESS_LOOK_PASS;
    if (frame->type != 'P')
        return SESS_LOOK_PASS;
    if (avail <= WIRE_HEADER_BYTES)
        return frame->total > WIRE_HEADER_BYTES ? SESS_LOOK_MORE : SESS_LOOK_PASS;
    if (msg[WIRE_HEADER_BYTES] == '\0') {
        s->unnamed_epoch = 0;
        return SESS_LOOK_PASS;
    }
    return look_parse(s, frame, msg, avail);
}

void sess_forget_statements(struct sess *s)
{
    sess_statements_free(s->statements);
    s->statements = NULL;
    s->unnamed_epoch = 0;
}
