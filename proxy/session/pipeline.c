#include "pipeline.h"

#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"

#define FLIGHTS_FIRST 16 /* a power of two */

struct sess_pipeline {
    struct sess_flight *ring;
    size_t head, n, cap; /* cap: a power of two, or 0 */
    size_t held;         /* bytes of what was sent instead */
    bool blind;
    bool skipping;  /* the server reads nothing until a Sync that is not sent yet */
    bool copying;   /* it takes a copy whose end is not sent yet */
    bool begun;     /* it takes a copy, or has what it needs of it */
    bool swallowed; /* Syncs were sent among the data of one: before it fails, or behind? */
};

static struct sess_flight *at(const struct sess_pipeline *p, size_t i)
{
    return &p->ring[(p->head + i) & (p->cap - 1)];
}

/* What uses a prepared statement has no text of its own; that of a named one is counted with those
 * of its session. */
static size_t bytes_of(const struct sess_flight *flight)
{
    bool own = flight->kind == SESS_FLIGHT_QUERY || flight->kind == SESS_FLIGHT_PARSE;
    bool unnamed = own && !flight->hidden && flight->statement && !flight->statement->name[0];

    return (own && flight->sent ? flight->sent->bytes : 0) +
           (unnamed ? sizeof(*flight->statement) + flight->statement->text_len : 0);
}

static void drop(const struct sess_flight *flight)
{
    sess_sent_unref(flight->sent);
    sess_statement_unref(flight->statement);
    sess_statement_unref(flight->before);
}

static void pop(struct sess_pipeline *p)
{
    p->held -= bytes_of(at(p, 0));
    drop(at(p, 0));
    p->head++;
    p->n--;
    p->begun = false;
    if (p->n && at(p, 0)->kind == SESS_FLIGHT_COPY_END) /* for nothing: nobody copies */
        pop(p);
    if (!p->n)
        p->swallowed = false;
}

static void clear(struct sess_pipeline *p)
{
    while (p->n)
        pop(p);
}

struct sess_pipeline *sess_pipeline_new(void)
{
    return mem_calloc(1, sizeof(struct sess_pipeline));
}

void sess_pipeline_free(struct sess_pipeline *p)
{
    if (!p)
        return;
    clear(p);
    free(p->ring);
    free(p);
}

void sess_pipeline_restart(struct sess_pipeline *p)
{
    clear(p);
    p->blind = p->skipping = p->copying = p->begun = p->swallowed = false;
}

bool sess_pipeline_blind(const struct sess_pipeline *p)
{
    return p->blind;
}

bool sess_pipeline_empty(const struct sess_pipeline *p)
{
    return p->n == 0;
}

bool sess_pipeline_reads(const struct sess_pipeline *p)
{
    return !p->skipping;
}

static bool follows(const struct sess_pipeline *p)
{
    return !p->blind && !p->skipping && !p->copying;
}

static bool has_place(const struct sess_pipeline *p)
{
    return !p->swallowed && p->n + SESS_FLIGHTS_AT_ONCE <= SESS_FLIGHTS_MAX &&
           p->held < SESS_FLIGHTS_BYTES_MAX;
}

bool sess_pipeline_takes(const struct sess_pipeline *p)
{
    return follows(p) && has_place(p);
}

bool sess_pipeline_goes_on(const struct sess_pipeline *p)
{
    return follows(p);
}

bool sess_pipeline_full(const struct sess_pipeline *p)
{
    return follows(p) && !has_place(p);
}

bool sess_pipeline_has_room(const struct sess_pipeline *p)
{
    return !follows(p) ||
           (!p->swallowed && p->n <= SESS_FLIGHTS_MAX / 2 && p->held <= SESS_FLIGHTS_BYTES_MAX / 2);
}

size_t sess_pipeline_bytes(const struct sess_pipeline *p)
{
    return p ? sizeof(*p) + p->cap * sizeof(*p->ring) + p->held : 0;
}

/* ---- the client's messages ---- */

static void grow(struct sess_pipeline *p)
{
    size_t cap = p->cap ? p->cap * 2 : FLIGHTS_FIRST;
    struct sess_flight *ring = mem_alloc(cap * sizeof(*ring));

    for (size_t i = 0; i < p->n; i++)
        ring[i] = *at(p, i);
    free(p->ring);
    p->ring = ring;
    p->head = 0;
    p->cap = cap;
}

/* Does it go to the server as a message of its own? */
static bool admit(struct sess_pipeline *p, enum sess_flight_kind kind)
{
    if (p->blind)
        return false;
    if (p->skipping) {
        p->skipping = kind != SESS_FLIGHT_SYNC;
        return !p->skipping;
    }
    if (p->copying) {
        if (kind == SESS_FLIGHT_SYNC) {
            p->swallowed = true;
            return false;
        }
        p->copying = false;
        if (kind == SESS_FLIGHT_COPY_END)
            return false;
        if (at(p, 0)->kind == SESS_FLIGHT_QUERY) { /* it fails the copy and is not answered */
            p->blind = true;
            return false;
        }
    }
    if (kind == SESS_FLIGHT_COPY_END && !p->n)
        return false; /* late: for a copy that has failed */
    if (p->n == SESS_FLIGHTS_MAX)
        p->blind = true;
    return !p->blind;
}

void sess_pipeline_put_take(struct sess_pipeline *p, const struct sess_flight *flight)
{
    if (!admit(p, flight->kind)) {
        drop(flight);
        return;
    }
    if (p->n == p->cap)
        grow(p);
    if (flight->kind == SESS_FLIGHT_SYNC && p->n && at(p, p->n - 1)->fed)
        p->swallowed = true;
    p->held += bytes_of(flight);
    *at(p, p->n++) = *flight;
}

void sess_pipeline_client(struct sess_pipeline *p, uint8_t type)
{
    static const uint8_t kinds[256] = {
        ['Q'] = SESS_FLIGHT_QUERY + 1,    ['F'] = SESS_FLIGHT_CALL + 1,
        ['S'] = SESS_FLIGHT_SYNC + 1,     ['P'] = SESS_FLIGHT_PARSE + 1,
        ['B'] = SESS_FLIGHT_BIND + 1,     ['D'] = SESS_FLIGHT_DESCRIBE + 1,
        ['E'] = SESS_FLIGHT_EXECUTE + 1,  ['C'] = SESS_FLIGHT_CLOSE + 1,
        ['c'] = SESS_FLIGHT_COPY_END + 1, ['f'] = SESS_FLIGHT_COPY_END + 1,
    };

    if (type == 'd' && p->n)
        at(p, p->n - 1)->fed = true;
    if (kinds[type])
        sess_pipeline_put_take(
            p, &(struct sess_flight){.kind = (enum sess_flight_kind)(kinds[type] - 1)});
}

/* ---- the server's messages ---- */

const struct sess_flight *sess_pipeline_head(const struct sess_pipeline *p)
{
    return p->n ? at(p, 0) : NULL;
}

const struct sess_flight *sess_pipeline_at(const struct sess_pipeline *p, size_t i)
{
    return i < p->n ? at(p, i) : NULL;
}

void sess_pipeline_again(struct sess_pipeline *p)
{
    struct sess_flight *head = at(p, 0);

    p->held -= bytes_of(head);
    sess_sent_unref(head->sent);
    head->sent = NULL;
    head->again = head->second = true;
}

void sess_pipeline_failed_ready(struct sess_pipeline *p)
{
    at(p, 0)->again = at(p, 0)->answered = false;
}

static bool answered_by_ready(enum sess_flight_kind kind)
{
    return kind <= SESS_FLIGHT_SYNC;
}

/* An answer that fits nothing: whatever is in flight is not what was thought. */
static void lose(struct sess_pipeline *p)
{
    clear(p);
    p->blind = true;
}

/* A copy from the client begins: Syncs up to its end are none, if its end was sent ahead. */
static void on_copy_in(struct sess_pipeline *p)
{
    size_t kept = 1, i = 1;

    if (!p->n)
        return;
    for (; i < p->n && at(p, i)->kind == SESS_FLIGHT_SYNC; i++)
        continue;
    if (i < p->n && at(p, i)->kind == SESS_FLIGHT_COPY_END) {
        i++;
    } else if (i < p->n) { /* a message that a copy does not allow */
        p->blind = true;
        return;
    } else {
        p->copying = true;
    }
    p->begun = true;
    for (size_t none = kept; none < i; none++)
        drop(at(p, none));
    for (; i < p->n; i++)
        *at(p, kept++) = *at(p, i);
    p->n = kept;
}

static void on_error(struct sess_pipeline *p, sess_pipeline_undo *undo, void *ctx)
{
    size_t failed = 0;

    p->blind |= p->begun && p->swallowed;
    p->copying = p->begun = false;
    if (!p->n || answered_by_ready(at(p, 0)->kind))
        return;
    while (failed < p->n && at(p, failed)->kind != SESS_FLIGHT_SYNC)
        failed++;
    p->skipping = failed == p->n;
    for (size_t i = failed; i-- > 0;)
        undo(ctx, at(p, i), i == 0);
    while (p->n && at(p, 0)->kind != SESS_FLIGHT_SYNC)
        pop(p);
}

/* What each answer says is done. */
static const struct {
    uint8_t kind; /* + 1, of what it ends */
    bool query;   /* it may also be one of many answers to a Query */
} ends[256] = {
    ['1'] = {SESS_FLIGHT_PARSE + 1, false},    ['2'] = {SESS_FLIGHT_BIND + 1, false},
    ['3'] = {SESS_FLIGHT_CLOSE + 1, false},    ['T'] = {SESS_FLIGHT_DESCRIBE + 1, true},
    ['n'] = {SESS_FLIGHT_DESCRIBE + 1, false}, ['C'] = {SESS_FLIGHT_EXECUTE + 1, true},
    ['I'] = {SESS_FLIGHT_EXECUTE + 1, true},   ['s'] = {SESS_FLIGHT_EXECUTE + 1, false},
};

static void on_end(struct sess_pipeline *p, uint8_t type)
{
    if (!p->n)
        return;
    if (at(p, 0)->kind + 1 == ends[type].kind)
        pop(p);
    else if (!ends[type].query || at(p, 0)->kind != SESS_FLIGHT_QUERY)
        lose(p);
}

void sess_pipeline_server(struct sess_pipeline *p, uint8_t type, sess_pipeline_undo *undo,
                          void *ctx)
{
    if (p->n && type != 'S' && type != 'A') /* which come whenever they like */
        at(p, 0)->answered = true;
    switch (type) {
    case 'E':
        on_error(p, undo, ctx);
        break;
    case 'G':
        on_copy_in(p);
        break;
    case 'W':
        p->blind = true;
        break;
    case 'Z':
        p->copying = false;
        if (p->n && answered_by_ready(at(p, 0)->kind))
            pop(p);
        else if (p->n)
            lose(p);
        break;
    default:
        if (ends[type].kind)
            on_end(p, type);
        break;
    }
}
