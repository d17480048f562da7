/* Taking what the workers have seen, and answering who still uses old names. */
#include "usage.h"
#include "turned.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/clock.h"
#include "segue/base/mem.h"
#include "segue/base/utf8.h"
#include "segue/sql/expr.h"

#define LOOK_MS 2000
#define SAVE_MS 10000             /* and connections past segue are looked for as often */
#define NAMED_MAX 5               /* clients in a refusal */
#define FIRST_STATEMENT_BYTES 160 /* of the one who was last; the others get less room */
#define OTHER_STATEMENT_BYTES 60

struct eng_usage *eng_usage_new(size_t entries_max)
{
    struct eng_usage *usage = mem_calloc(1, sizeof(*usage));

    usage->entries_max = entries_max;
    usage->known = sess_usage_new(entries_max);
    usage->unsaved = sess_usage_new(entries_max);
    return usage;
}

void eng_usage_free(struct eng_usage *usage)
{
    if (!usage)
        return;
    sess_usage_free(usage->known);
    sess_usage_free(usage->unsaved);
    json_decref(usage->outside);
    free(usage);
}

/* ---- tables ---- */

#define LOCKED_BITS 8

uint64_t eng_usage_tag(const struct eng_migration *m, size_t locked)
{
    return (uint64_t)m->id << LOCKED_BITS | locked;
}

struct eng_migration *usage_table_of(struct eng_engine *engine, uint64_t tag, size_t *locked)
{
    for (size_t i = 0; i < engine->nmigrations; i++) {
        struct eng_migration *m = engine->migrations[i];

        *locked = (size_t)(tag & ((1u << LOCKED_BITS) - 1));
        if ((uint64_t)m->id == tag >> LOCKED_BITS && *locked < m->nlocked)
            return m;
    }
    return NULL;
}

char *usage_table_name(const struct eng_migration *m, size_t locked)
{
    return sql_quote_qualified(m->locked[locked].schema, m->locked[locked].name);
}

/* ---- taking ---- */

static void add(struct eng_engine *engine, const struct sess_use *use)
{
    size_t locked;
    struct eng_migration *m = usage_table_of(engine, use->key.table, &locked);

    if (!m) /* it has ended since */
        return;
    sess_usage_merge(engine->usage->known, use);
    sess_usage_merge(engine->usage->unsaved, use);
    engine->usage->urgent |= use->key.kind == SESS_USE_OLD && m->phase == PH_SOAKING;
}

/* Names and statements are a client's bytes, and the statement may be cut. */
static void take(void *ctx, const struct sess_use *use)
{
    struct sess_use clean = *use;
    char *user = mem_strdup(use->key.user), *application = mem_strdup(use->key.application);

    utf8_mend(user);
    utf8_mend(application);
    utf8_mend(clean.statement);
    clean.key.user = user;
    clean.key.application = application;
    add(ctx, &clean);
    free(user);
    free(application);
}

void eng_usage_look(struct eng_engine *engine)
{
    sess_plane_usage_take(engine->plane, take, engine);
    engine->usage->looked_ms = clock_ms();
}

void eng_usage_unseen(struct eng_engine *engine, struct eng_migration *m, const char *why)
{
    struct sess_use use = {.key = {eng_usage_tag(m, 0), SESS_USE_OLD, "", "segue", ""}};

    use.first_ms = use.last_ms = clock_ms();
    snprintf(use.why, sizeof(use.why), "%s", why);
    add(engine, &use);
}

void eng_usage_turn(struct eng_engine *engine)
{
    struct eng_usage *usage = engine->usage;

    if (!engine->nmigrations || clock_ms() - usage->looked_ms < LOOK_MS)
        return;
    eng_usage_look(engine);
    if (usage->urgent || clock_ms() - usage->saved_ms >= SAVE_MS)
        eng_usage_save(engine);
    if (!usage->outside || clock_ms() - usage->outside_ms >= SAVE_MS)
        outside_refresh(engine);
    usage_show(engine);
}

static bool in_flight(void *engine, const struct sess_use *use)
{
    size_t locked;

    return usage_table_of(engine, use->key.table, &locked) != NULL;
}

void eng_usage_forget_ended(struct eng_engine *engine)
{
    sess_usage_retain(engine->usage->known, in_flight, engine);
    sess_usage_retain(engine->usage->unsaved, in_flight, engine);
    usage_show(engine);
}

/* ---- who uses old names ---- */

struct users {
    const struct sess_use **uses;
    size_t n;
};

static int by_last(const void *a, const void *b)
{
    const struct sess_use *x = *(const struct sess_use *const *)a;
    const struct sess_use *y = *(const struct sess_use *const *)b;

    return (x->last_ms < y->last_ms) - (x->last_ms > y->last_ms);
}

/* A column that has changed its type gets another place: whoever counts columns will miss it. */
static bool moves_a_column(const struct eng_migration *m, size_t locked)
{
    int table = m->locked[locked].table;

    return table >= 0 && eng_table_retypes(&m->plan->tables[table]);
}

/* What was before the cut-over does not count: the old names were the truth. */
static bool uses_old(struct eng_engine *engine, const struct eng_migration *m,
                     const struct sess_use *use)
{
    size_t locked;

    if ((use->key.kind != SESS_USE_OLD && use->key.kind != SESS_USE_POSITIONAL) ||
        use->last_ms < m->turned_ms || usage_table_of(engine, use->key.table, &locked) != m)
        return false;
    return use->key.kind == SESS_USE_OLD || moves_a_column(m, locked);
}

static struct users users_of(struct eng_engine *engine, const struct eng_migration *m,
                             int64_t after_ms)
{
    const struct sess_usage *known = engine->usage->known;
    struct users out = {0};
    size_t cap = 0;

    for (const struct sess_use *use = NULL; (use = sess_usage_next(known, use));) {
        if (use->last_ms <= after_ms || !uses_old(engine, m, use))
            continue;
        mem_grow((void **)&out.uses, &cap, out.n + 1, sizeof(*out.uses));
        out.uses[out.n++] = use;
    }
    if (out.n)
        qsort(out.uses, out.n, sizeof(*out.uses), by_last);
    return out;
}

bool eng_usage_old_last(struct eng_engine *engine, const struct eng_migration *m, int64_t *last_ms)
{
    const struct sess_usage *known = engine->usage->known;
    bool any = false;

    for (const struct sess_use *use = NULL; (use = sess_usage_next(known, use));) {
        if (!uses_old(engine, m, use) || (any && use->last_ms <= *last_ms))
            continue;
        *last_ms = use->last_ms;
        any = true;
    }
    return any;
}

static bool same_client(const struct sess_use *a, const struct sess_use *b)
{
    return strcmp(a->key.user, b->key.user) == 0 &&
           strcmp(a->key.application, b->key.application) == 0 &&
           strcmp(a->key.address, b->key.address) == 0;
}

/* A client that uses several tables counts once: by its latest use. */
static void one_a_client(struct users *users)
{
    size_t n = 0;

    for (size_t i = 0; i < users->n; i++) {
        size_t j = 0;

        while (j < n && !same_client(users->uses[j], users->uses[i]))
            j++;
        if (j == n)
            users->uses[n++] = users->uses[i];
    }
    users->n = n;
}

/* At most `max` bytes of it, whole characters, on one line; the list goes on with a semicolon of
 * its own. */
static void append_statement(struct buf *out, const char *text, size_t max)
{
    size_t n = strlen(text), whole;

    while (n > 0 && (text[n - 1] == ';' || (unsigned char)text[n - 1] <= ' '))
        n--;
    whole = n;
    if (n > max) {
        for (n = max; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80;)
            n--;
    }
    for (size_t i = 0; i < n; i++)
        buf_append_u8(out, (unsigned char)text[i] < ' ' ? ' ' : (uint8_t)text[i]);
    if (n < whole)
        buf_append_str(out, "...");
}

static void append_client(struct buf *out, const struct sess_use *use, size_t statement_max)
{
    const struct sess_use_key *key = &use->key;

    buf_printf(out, "%.0f s ago ", (double)(clock_ms() - use->last_ms) / 1000);
    if (*key->user)
        buf_printf(out, "by user %s, application %s, from %s: ", key->user,
                   *key->application ? key->application : "?", key->address);
    else
        buf_append_str(out, *use->why ? use->why : "by clients not remembered: ");
    append_statement(out, use->statement, statement_max);
}

size_t eng_usage_old_clients(struct eng_engine *engine, const struct eng_migration *m,
                             int64_t after_ms, struct buf *out)
{
    struct users users = users_of(engine, m, after_ms);
    size_t n;

    one_a_client(&users);
    for (size_t i = 0; i < users.n && i < NAMED_MAX; i++) {
        buf_append_str(out, i ? "; " : "");
        append_client(out, users.uses[i], i ? OTHER_STATEMENT_BYTES : FIRST_STATEMENT_BYTES);
    }
    if (users.n > NAMED_MAX)
        buf_printf(out, "; and %zu more (SHOW USAGE)", users.n - NAMED_MAX);
    n = users.n;
    free(users.uses);
    return n;
}
