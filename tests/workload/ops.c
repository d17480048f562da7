/*
 * What a client does, and what it believes. Every row a client writes is its own, so the last
 * value the server acknowledged is what any later read must give (read your writes), and what the
 * oracle must find. A row whose write was in doubt is never touched again.
 */
#include "workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/buf.h"
#include "segue/base/mem.h"

enum outcome { ACKED, FAILED, DOUBT };

/* ---- rows ---- */

static void row_fini(struct wl_row *row)
{
    free(row->run_id);
    free(row->claim);
    free(row->config);
    free(row->counts);
    memset(row, 0, sizeof(*row));
}

void wl_rows_free(struct wl_client *c)
{
    for (int i = 0; i < c->row_count; i++)
        row_fini(&c->rows[i]);
    c->row_count = 0;
}

static void row_fill(struct wl_client *c, struct wl_row *row)
{
    bool as_jsonb = c->options->revision->json;

    row->claim = wl_random_claim(&c->rng, row->run_id);
    row->config = wl_random_json(&c->rng, as_jsonb);
    row->counts = wl_random_json(&c->rng, as_jsonb);
    snprintf(row->prob, sizeof(row->prob), "0.%03u", wl_random(&c->rng, 1000));
}

static struct wl_row row_new(struct wl_client *c)
{
    struct wl_row row = {0};

    row.run_id = mem_printf("%s%d-%ld", c->options->prefix, c->index, ++c->serial);
    row_fill(c, &row);
    return row;
}

static int pick_row(struct wl_client *c)
{
    return c->row_count ? (int)wl_random(&c->rng, (uint32_t)c->row_count) : -1;
}

static void row_forget(struct wl_client *c, int i)
{
    row_fini(&c->rows[i]);
    c->rows[i] = c->rows[--c->row_count];
    memset(&c->rows[c->row_count], 0, sizeof(c->rows[0]));
}

/* Takes the row: into the client's rows when acknowledged, into the journal as what it is. */
static void row_take(struct wl_client *c, struct wl_row *row, enum outcome outcome)
{
    if (outcome == ACKED) {
        atomic_fetch_add(&c->writes, 1);
        wl_journal_row(c->journal, WL_PUT, row);
        c->rows[c->row_count++] = *row;
        return;
    }
    if (outcome == DOUBT)
        wl_journal_row(c->journal, WL_MAYBE, row);
    row_fini(row);
}

/* The same for a row that is there already, at index i; `next` is taken. */
static void row_change(struct wl_client *c, int i, struct wl_row *next, enum outcome outcome)
{
    if (outcome == ACKED) {
        atomic_fetch_add(&c->writes, 1);
        wl_journal_row(c->journal, WL_PUT, next);
        row_fini(&c->rows[i]);
        c->rows[i] = *next;
        return;
    }
    if (outcome == DOUBT) {
        wl_journal_row(c->journal, WL_MAYBE, next);
        row_forget(c, i);
    }
    row_fini(next);
}

static struct wl_row row_copy(const struct wl_row *row)
{
    struct wl_row copy = *row;

    copy.run_id = mem_strdup(row->run_id);
    copy.claim = mem_strdup(row->claim);
    copy.config = mem_strdup(row->config);
    copy.counts = mem_strdup(row->counts);
    return copy;
}

/* ---- statements that write ---- */

/* Runs a write; `touched` rows must have been affected. */
static enum outcome write_exec(struct wl_client *c, enum wl_stmt st, int n,
                               const char *const *params, int touched)
{
    PGresult *res = wl_exec(c, st, n, params);

    if (!res)
        return wl_lost(c) ? DOUBT : FAILED;
    if (atoi(PQcmdTuples(res)) != touched) {
        char found[16], expected[16];
        snprintf(found, sizeof(found), "%s", PQcmdTuples(res));
        snprintf(expected, sizeof(expected), "%d", touched);
        wl_mismatch(c, params[0], c->options->revision->sql[st], expected, found);
    }
    PQclear(res);
    return ACKED;
}

static enum outcome insert_row(struct wl_client *c, enum wl_stmt st, const struct wl_row *row)
{
    const char *user = wl_random(&c->rng, 3) ? c->user_id : NULL;
    const char *const params[] = {row->run_id, user,        row->claim,
                                  row->prob,   row->config, row->counts};

    return write_exec(c, st, 6, params, 1);
}

static bool room(const struct wl_client *c)
{
    return c->row_count < WL_ROWS_MAX;
}

static void op_insert(struct wl_client *c)
{
    if (!room(c))
        return;
    struct wl_row row = row_new(c);
    row_take(c, &row, insert_row(c, ST_INSERT, &row));
}

/* Half of the time the row is new, half of the time it is there. */
static void op_upsert(struct wl_client *c)
{
    int i = pick_row(c);

    if (i < 0 || (room(c) && wl_random(&c->rng, 2))) {
        struct wl_row row = row_new(c);
        row_take(c, &row, insert_row(c, ST_UPSERT, &row));
        return;
    }
    struct wl_row next = {.run_id = mem_strdup(c->rows[i].run_id)};
    row_fill(c, &next);
    row_change(c, i, &next, insert_row(c, ST_UPSERT, &next));
}

static void op_update_all(struct wl_client *c)
{
    int i = pick_row(c);

    if (i < 0)
        return;
    struct wl_row next = {.run_id = mem_strdup(c->rows[i].run_id)};
    row_fill(c, &next);
    const char *const params[] = {next.run_id, next.claim, next.prob, next.config, next.counts};
    row_change(c, i, &next, write_exec(c, ST_UPDATE_ALL, 5, params, 1));
}

static void op_update_claim(struct wl_client *c)
{
    int i = pick_row(c);

    if (i < 0)
        return;
    struct wl_row next = row_copy(&c->rows[i]);
    free(next.claim);
    next.claim = wl_random_claim(&c->rng, next.run_id);
    const char *const params[] = {next.run_id, next.claim};
    PGresult *res = wl_exec(c, ST_UPDATE_CLAIM, 2, params);
    if (res && (PQntuples(res) != 1 || strcmp(PQgetvalue(res, 0, 0), next.claim) != 0))
        wl_mismatch(c, next.run_id, "UPDATE RETURNING", next.claim,
                    PQntuples(res) == 1 ? PQgetvalue(res, 0, 0) : "no row");
    row_change(c, i, &next, res ? ACKED : wl_lost(c) ? DOUBT : FAILED);
    PQclear(res);
}

static void op_update_json(struct wl_client *c)
{
    int i = pick_row(c);
    bool as_jsonb = c->options->revision->json;

    if (i < 0)
        return;
    struct wl_row next = row_copy(&c->rows[i]);
    free(next.config);
    free(next.counts);
    next.config = wl_random_json(&c->rng, as_jsonb);
    next.counts = wl_random_json(&c->rng, as_jsonb);
    const char *const params[] = {next.run_id, next.config, next.counts};
    row_change(c, i, &next, write_exec(c, ST_UPDATE_JSON, 3, params, 1));
}

static void op_delete(struct wl_client *c)
{
    int i = pick_row(c);

    if (i < 0)
        return;
    const char *const params[] = {c->rows[i].run_id};
    enum outcome outcome = write_exec(c, ST_DELETE, 1, params, 1);
    if (outcome == FAILED)
        return;
    if (outcome == ACKED)
        atomic_fetch_add(&c->writes, 1);
    wl_journal_row(c->journal, outcome == ACKED ? WL_GONE : WL_MAYBE_GONE, &c->rows[i]);
    row_forget(c, i);
}

static void op_copy_in(struct wl_client *c)
{
    enum { BATCH = 5 };
    struct wl_row rows[BATCH];

    if (c->row_count + BATCH > WL_ROWS_MAX)
        return;
    for (int i = 0; i < BATCH; i++)
        rows[i] = row_new(c);
    enum rc rc = wl_copy_in(c, rows, BATCH);
    for (int i = 0; i < BATCH; i++)
        row_take(c, &rows[i], rc == RC_OK ? ACKED : wl_lost(c) ? DOUBT : FAILED);
}

/* A seeded row becomes the client's own by being overwritten. */
static void op_adopt(struct wl_client *c)
{
    if (!room(c) || c->seed_next > c->options->seed_hi)
        return;
    struct wl_row row = {.run_id = mem_printf("seed-%07ld", c->seed_next)};
    c->seed_next += c->options->clients;
    row_fill(c, &row);
    const char *const params[] = {row.run_id, row.claim, row.prob, row.config, row.counts};
    row_take(c, &row, write_exec(c, ST_UPDATE_ALL, 5, params, 1));
}

/* A seeded row changes in a column that no migration cares about. */
static void op_touch(struct wl_client *c)
{
    const struct wl_options *o = c->options;
    char run_id[32], score[24];

    if (o->seed_hi == 0)
        return;
    snprintf(run_id, sizeof(run_id), "seed-%07ld",
             o->seed_lo + (long)wl_random(&c->rng, (uint32_t)(o->seed_hi - o->seed_lo + 1)));
    snprintf(score, sizeof(score), "0.%03u", wl_random(&c->rng, 1000));
    const char *const params[] = {run_id, score};
    PQclear(wl_exec(c, ST_TOUCH, 2, params));
}

/* ---- transactions ---- */

static bool command(struct wl_client *c, enum wl_stmt st, const char *tag)
{
    PGresult *res = wl_exec(c, st, 0, NULL);
    bool ok = res && strcmp(PQcmdStatus(res), tag) == 0;

    if (res && !ok)
        wl_error(c, tag, PQcmdStatus(res));
    PQclear(res);
    return ok;
}

/* A check, its ledger entry and the user's counter: all or nothing. One in five rolls back. */
static void op_transaction(struct wl_client *c)
{
    const char *const user[] = {c->user_id};
    bool commit = wl_random(&c->rng, 5) != 0;
    enum outcome outcome = FAILED;

    if (!room(c))
        return;
    struct wl_row row = row_new(c);
    const char *const ledger[] = {c->user_id, row.run_id};
    bool done = command(c, ST_BEGIN, "BEGIN") && insert_row(c, ST_INSERT, &row) == ACKED &&
                write_exec(c, ST_LEDGER, 2, ledger, 1) == ACKED &&
                write_exec(c, ST_USER_ADD, 1, user, 1) == ACKED;
    if (done && commit)
        outcome = command(c, ST_COMMIT, "COMMIT") ? ACKED : wl_lost(c) ? DOUBT : FAILED;
    else if (!wl_lost(c))
        command(c, ST_ROLLBACK, "ROLLBACK");
    if (outcome == FAILED) {
        wl_journal_row(c->journal, WL_GONE, &row);
        wl_journal_value(c->journal, WL_GONE, "ledger", row.run_id, 0);
        row_fini(&row);
        return;
    }
    enum wl_fact fact = outcome == ACKED ? WL_PUT : WL_MAYBE;
    wl_journal_value(c->journal, fact, "ledger", row.run_id, 1);
    wl_journal_value(c->journal, fact, "user", c->user_email, ++c->user_value);
    if (outcome == ACKED)
        atomic_fetch_add(&c->writes, 2);
    row_take(c, &row, outcome);
}

/* A pipeline that changes a row, reads it and makes another one. */
static void op_pipeline(struct wl_client *c)
{
    PGresult *results[3];
    int i = pick_row(c);

    if (i < 0 || !room(c))
        return;
    struct wl_row next = row_copy(&c->rows[i]), row = row_new(c);
    free(next.claim);
    next.claim = wl_random_claim(&c->rng, next.run_id);
    const char *const update[] = {next.run_id, next.claim};
    const char *const insert[] = {row.run_id, c->user_id, row.claim,
                                  row.prob,   row.config, row.counts};
    const struct wl_call calls[] = {
        {ST_UPDATE_CLAIM, 2, update}, {ST_READ, 1, update}, {ST_INSERT, 6, insert}};
    enum rc rc = wl_pipeline(c, calls, ARRAY_LEN(calls), results);
    if (rc == RC_OK) {
        if (PQntuples(results[1]) != 1 || strcmp(PQgetvalue(results[1], 0, 0), next.claim) != 0)
            wl_mismatch(c, next.run_id, "read in a pipeline", next.claim,
                        PQntuples(results[1]) == 1 ? PQgetvalue(results[1], 0, 0) : "no row");
        atomic_fetch_add(&c->reads_checked, 1);
        for (size_t r = 0; r < ARRAY_LEN(results); r++)
            PQclear(results[r]);
    }
    enum outcome outcome = rc == RC_OK ? ACKED : wl_lost(c) ? DOUBT : FAILED;
    row_change(c, i, &next, outcome);
    row_take(c, &row, outcome);
}

/* ---- reads ---- */

static void expect(struct wl_client *c, const PGresult *res, const char *column, const char *key,
                   const char *expected)
{
    int f = PQfnumber(res, column);
    const char *found = f < 0 ? "no such column" : PQgetvalue(res, 0, f);

    if (f >= 0 && PQgetisnull(res, 0, f))
        found = NULL;
    if (found == expected || (found && expected && strcmp(found, expected) == 0))
        return;
    wl_mismatch(c, key, column, expected, found);
}

static void read_row(struct wl_client *c, enum wl_stmt st)
{
    const struct wl_revision *revision = c->options->revision;
    int i = pick_row(c);

    if (i < 0)
        return;
    const struct wl_row *row = &c->rows[i];
    const char *const params[] = {row->run_id};
    PGresult *res = wl_exec(c, st, 1, params);
    if (!res)
        return;
    atomic_fetch_add(&c->reads_checked, 1);
    if (PQntuples(res) != 1) {
        wl_mismatch(c, row->run_id, "rows", "1", PQcmdTuples(res));
    } else {
        int f = PQfnumber(res, "prob_true_rpl");
        expect(c, res, revision->claim, row->run_id, row->claim);
        expect(c, res, revision->config, row->run_id, row->config);
        expect(c, res, revision->counts, row->run_id, row->counts);
        if (f < 0 || strtod(PQgetvalue(res, 0, f), NULL) != strtod(row->prob, NULL))
            wl_mismatch(c, row->run_id, "prob_true_rpl", row->prob,
                        f < 0 ? "no such column" : PQgetvalue(res, 0, f));
    }
    PQclear(res);
}

static void op_read(struct wl_client *c)
{
    read_row(c, ST_READ);
}

static void op_read_star(struct wl_client *c)
{
    read_row(c, ST_READ_STAR);
}

static void op_read_seed(struct wl_client *c)
{
    const struct wl_options *o = c->options;
    char id[24];

    if (o->seed_hi == 0)
        return;
    snprintf(id, sizeof(id), "%ld",
             o->seed_lo + (long)wl_random(&c->rng, (uint32_t)(o->seed_hi - o->seed_lo + 1)));
    const char *const params[] = {id};
    PQclear(wl_exec(c, ST_READ_SEED, 1, params));
}

static void op_list_user(struct wl_client *c)
{
    const char *const params[] = {c->user_id};

    PQclear(wl_exec(c, ST_LIST_USER, 1, params));
}

/* The row must be among those that the claim's index finds. */
static void op_find_claim(struct wl_client *c)
{
    int i = pick_row(c);

    if (i < 0 || !c->rows[i].claim[0])
        return;
    const char *const params[] = {c->rows[i].claim};
    PGresult *res = wl_exec(c, ST_FIND_CLAIM, 1, params);
    if (!res)
        return;
    bool found = false;
    for (int r = 0; r < PQntuples(res); r++)
        found |= strcmp(PQgetvalue(res, r, 0), c->rows[i].run_id) == 0;
    atomic_fetch_add(&c->reads_checked, 1);
    if (!found)
        wl_mismatch(c, c->rows[i].run_id, "search by claim", "the row", "nothing");
    PQclear(res);
}

static void op_copy_out(struct wl_client *c)
{
    int n = c->row_count < 5 ? c->row_count : 5;
    char found[16], expected[16];
    struct buf buf = {0};

    if (n == 0)
        return;
    buf_printf(&buf, "SELECT run_id, %s, %s FROM checks WHERE run_id IN (",
               c->options->revision->claim, c->options->revision->config);
    for (int i = 0; i < n; i++)
        buf_printf(&buf, "%s'%s'", i ? ", " : "", c->rows[i].run_id);
    buf_append_str(&buf, ")");
    int lines = wl_copy_out(c, buf.data);
    if (lines >= 0 && lines != n) {
        snprintf(found, sizeof(found), "%d", lines);
        snprintf(expected, sizeof(expected), "%d", n);
        wl_mismatch(c, c->rows[0].run_id, "COPY TO STDOUT, lines", expected, found);
    }
    if (lines >= 0)
        atomic_fetch_add(&c->reads_checked, 1);
    buf_fini(&buf);
}

/* ---- other tables ---- */

static void op_cache(struct wl_client *c)
{
    char key[128];

    snprintf(key, sizeof(key), "%s%d-%u", c->options->prefix, c->index, wl_random(&c->rng, 50));
    const char *const put[] = {key, "{\"p\": 0.5, \"claim_text\": \"cached\"}"};
    PQclear(wl_random(&c->rng, 3) ? wl_exec(c, ST_CACHE_GET, 1, put)
                                  : wl_exec(c, ST_CACHE_PUT, 2, put));
}

static void new_token(struct wl_client *c)
{
    snprintf(c->anon_token, sizeof(c->anon_token), "%s%d-anon-%ld", c->options->prefix, c->index,
             ++c->serial);
    c->anon_value = 0;
}

static void op_anon(struct wl_client *c)
{
    const char *const params[] = {c->anon_token};
    PGresult *res = wl_exec(c, ST_ANON, 1, params);

    if (res) {
        char expected[24];
        snprintf(expected, sizeof(expected), "%ld", c->anon_value + 1);
        if (PQntuples(res) != 1 || strcmp(PQgetvalue(res, 0, 0), expected) != 0)
            wl_mismatch(c, c->anon_token, "checks_used", expected,
                        PQntuples(res) == 1 ? PQgetvalue(res, 0, 0) : "no row");
        PQclear(res);
        atomic_fetch_add(&c->writes, 1);
        wl_journal_value(c->journal, WL_PUT, "anon", c->anon_token, ++c->anon_value);
        if (c->anon_value == 50)
            new_token(c);
    } else if (wl_lost(c)) {
        wl_journal_value(c->journal, WL_MAYBE, "anon", c->anon_token, ++c->anon_value);
        new_token(c);
    }
}

bool wl_client_begin(struct wl_client *c)
{
    snprintf(c->user_email, sizeof(c->user_email), "%s%d-%ld@workload.example", c->options->prefix,
             c->index, ++c->serial);
    c->user_value = 0;
    const char *const params[] = {c->user_email};
    PGresult *res = wl_exec(c, ST_USER_NEW, 1, params);
    if (!res) {
        if (wl_lost(c))
            wl_journal_value(c->journal, WL_MAYBE, "user", c->user_email, 0);
        return false;
    }
    snprintf(c->user_id, sizeof(c->user_id), "%s", PQgetvalue(res, 0, 0));
    PQclear(res);
    atomic_fetch_add(&c->writes, 1);
    wl_journal_value(c->journal, WL_PUT, "user", c->user_email, 0);
    new_token(c);
    return true;
}

/* ---- the mix ---- */

static const struct {
    void (*run)(struct wl_client *c);
    unsigned weight;
    bool anon; /* only where anonymous_usage exists */
} ops[] = {
    {op_read, 30, false},        {op_read_star, 4, false},   {op_read_seed, 8, false},
    {op_list_user, 4, false},    {op_find_claim, 4, false},  {op_copy_out, 1, false},
    {op_insert, 12, false},      {op_upsert, 8, false},      {op_update_all, 6, false},
    {op_update_claim, 6, false}, {op_update_json, 5, false}, {op_transaction, 6, false},
    {op_delete, 14, false},      {op_copy_in, 1, false},     {op_adopt, 4, false},
    {op_touch, 4, false},        {op_cache, 6, false},       {op_pipeline, 3, false},
    {op_anon, 5, true},
};

void wl_step(struct wl_client *c)
{
    unsigned total = 0, die;

    for (size_t i = 0; i < ARRAY_LEN(ops); i++)
        total += ops[i].weight;
    die = wl_random(&c->rng, total);
    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        if (die < ops[i].weight) {
            if (!ops[i].anon || c->options->revision->anon)
                ops[i].run(c);
            return;
        }
        die -= ops[i].weight;
    }
}
