/* The contenders, in turn, each on a fresh copy of the same rows. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "segue/base/clock.h"
#include "segue/base/mem.h"

#define WARM_UP_MS 2000   /* what is slow because it is the first of its kind counts for nobody */
#define BASELINE_MS 12000 /* a p99 of fewer requests is a matter of luck */
#define KEYS_A_BATCH 1000
#define FRESH "segue_bench_fresh"

/* Between two looks: what the fill has cost. */
struct meter {
    double wal;
    int64_t at_us;
};

static const char wal_sql[] = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')";

double bench_wal(struct bench *b, struct err *err)
{
    return bench_number(b, b->work, wal_sql, err);
}

static struct meter meter(struct bench *b, struct err *err)
{
    return (struct meter){.wal = bench_wal(b, err), .at_us = clock_us()};
}

/* ---- the ways to fill ---- */

/* What other tools do: a trigger that always runs, and a statement a batch, going on from the last
 * key, each its own transaction. */
static enum rc fill_keyset(struct bench *b, struct err *err)
{
    char last[32] = "-1";
    char *sql;
    enum rc rc = RC_OK;

    if (bench_exec(b, b->work, err,
                   "ALTER TABLE bench_rows ADD COLUMN " FRESH " text;"
                   "CREATE OR REPLACE FUNCTION bench_always() RETURNS trigger LANGUAGE plpgsql AS "
                   "$f$ BEGIN NEW." FRESH " := NEW.%s; RETURN NEW; END $f$;"
                   "CREATE TRIGGER bench_always BEFORE INSERT OR UPDATE ON bench_rows FOR EACH ROW "
                   "EXECUTE FUNCTION bench_always()",
                   b->column) != RC_OK)
        return RC_ERR;
    while (rc == RC_OK) {
        PGresult *res;

        if (bench_stopped(b))
            return RC_AGAIN;
        sql = mem_printf("WITH batch AS (SELECT " BENCH_KEY " FROM bench_rows WHERE " BENCH_KEY
                         " > %s ORDER BY " BENCH_KEY " LIMIT %d FOR NO KEY UPDATE), done AS "
                         "(UPDATE bench_rows AS r SET " BENCH_KEY " = r." BENCH_KEY
                         " FROM batch AS b WHERE r." BENCH_KEY " = b." BENCH_KEY
                         " RETURNING r." BENCH_KEY ") SELECT max(" BENCH_KEY ") FROM done",
                         last, KEYS_A_BATCH);
        res = bench_query(b, b->work, sql, err);
        free(sql);
        if (!res)
            rc = RC_ERR;
        else if (PQgetisnull(res, 0, 0))
            rc = RC_AGAIN; /* no more rows */
        else
            snprintf(last, sizeof(last), "%s", PQgetvalue(res, 0, 0));
        PQclear(res);
    }
    return rc == RC_AGAIN ? RC_OK : RC_ERR;
}

static enum rc fill_update(struct bench *b, struct err *err)
{
    /* two transactions: the lock of the first one goes at once */
    if (bench_exec(b, b->work, err, "ALTER TABLE bench_rows ADD COLUMN " FRESH " text") != RC_OK)
        return RC_ERR;
    return bench_exec(b, b->work, err, "UPDATE bench_rows SET " FRESH " = %s", b->column);
}

/* ---- one run ---- */

/* Segue's time is that of its phase, by the clock of the server; expand and the index of the
 * bench's beginning are not in it, as the others' trigger and column are next to nothing. */
static double segue_seconds(struct bench *b, struct err *err)
{
    return bench_number(b, b->work,
                        "SELECT extract(epoch FROM (SELECT max(at) FROM segue.phases WHERE phase = "
                        "'verifying') - (SELECT max(at) FROM segue.phases WHERE phase = "
                        "'backfilling'))",
                        err);
}

static enum rc check_filled(struct bench *b, struct err *err)
{
    /* not every type has an =, and the other ways fill a text */
    char *sql = mem_printf("SELECT count(*) FROM bench_rows WHERE " FRESH
                           "::text IS DISTINCT FROM (%s)::text",
                           b->column);
    double left = bench_number(b, b->work, sql, err);

    free(sql);
    if (!err_is_set(err) && left > 0)
        err_set(err, "XX000", "%.0f rows were not filled: nothing of this run counts", left);
    return err_is_set(err) ? RC_ERR : RC_OK;
}

static enum rc fill(struct bench *b, const struct bench_contender *c, struct bench_segue *segue,
                    struct bench_load *load, struct bench_result *out, struct err *err)
{
    enum rc rc;

    switch (c->way) {
    case BENCH_WAY_SEGUE:
        rc = bench_segue_begin(b, segue, c->workers, c->throttled, err);
        if (rc == RC_OK && c->throttled)
            rc = bench_windows_run(b, segue, load, out, err);
        return rc == RC_OK ? bench_segue_wait(b, segue, err) : rc;
    case BENCH_WAY_KEYSET:
        return fill_keyset(b, err);
    case BENCH_WAY_UPDATE:
        break;
    }
    return fill_update(b, err);
}

void bench_let_run(const struct bench *b, int64_t ms)
{
    int64_t until = clock_ms() + ms;

    while (clock_ms() < until && !bench_stopped(b))
        clock_sleep_ms(20);
}

/* Clients run before the fill and during it; what a throttled one is compared with lies within it.
 */
static enum rc measure(struct bench *b, const struct bench_contender *c, struct bench_segue *segue,
                       struct bench_load *load, struct bench_result *out, struct err *err)
{
    struct meter before, after;
    int64_t requests;
    enum rc rc;

    bench_let_run(b, WARM_UP_MS);
    bench_load_p99(load, &requests);
    bench_let_run(b, BASELINE_MS);
    out->p99_before_ms = bench_load_p99(load, &requests);
    before = meter(b, err);
    rc = err_is_set(err) ? RC_ERR : fill(b, c, segue, load, out, err);
    if (rc != RC_OK || out->nwindows)
        return rc;
    out->p99_ms = bench_load_p99(load, &out->requests);
    after = meter(b, err);
    out->seconds = (double)(after.at_us - before.at_us) / 1e6;
    if (c->way == BENCH_WAY_SEGUE && !err_is_set(err))
        out->seconds = segue_seconds(b, err);
    out->wal_bytes = after.wal - before.wal;
    out->rows = (double)b->rows;
    return err_is_set(err) ? RC_ERR : RC_OK;
}

static enum rc run_one(struct bench *b, const struct bench_contender *c, struct bench_result *out,
                       struct err *err)
{
    struct bench_segue *segue = NULL;
    struct bench_load *load = NULL;
    char *clients = NULL;
    enum rc rc = RC_ERR;
    double bytes;

    *out = (struct bench_result){
        .target_ms = c->target_ms, .workers = c->workers, .throttled = c->throttled};
    snprintf(out->name, sizeof(out->name), "%s", c->name);
    if (bench_table_fresh(b, err) != RC_OK)
        goto out;
    if (c->way == BENCH_WAY_SEGUE && !(segue = bench_segue_start(b, c->target_ms, err)))
        goto out;
    clients = segue ? bench_segue_conninfo(b, segue) : bench_conninfo(b, b->database);
    load = bench_load_start(b, clients, err);
    if (load)
        rc = measure(b, c, segue, load, out, err);
out:
    bench_load_stop(load, &out->request_errors);
    bench_segue_stop(segue);
    free(clients);
    if (rc != RC_OK || check_filled(b, err) != RC_OK)
        return bench_stopped(b) ? RC_AGAIN : RC_ERR;
    bytes = bench_number(b, b->work, "SELECT pg_table_size('bench_rows')", err);
    out->bytes_ratio = bytes / (double)b->table_bytes;
    out->rows_per_s = out->seconds > 0 ? out->rows / out->seconds : 0;
    out->done = !err_is_set(err);
    return out->done ? RC_OK : RC_ERR;
}

/* ---- all ---- */

static void add_segue(struct bench_contender *c, const char *target, const char *workers,
                      bool throttled)
{
    *c = (struct bench_contender){.way = BENCH_WAY_SEGUE,
                                  .target_ms = (unsigned)strtoul(target, NULL, 10),
                                  .workers = (unsigned)strtoul(workers, NULL, 10),
                                  .throttled = throttled};
    snprintf(c->name, sizeof(c->name), "segue, %u ms%s%s%s%s", c->target_ms,
             c->workers > 1 ? ", " : "", c->workers > 1 ? workers : "",
             c->workers > 1 ? " workers" : "", throttled ? ", throttled" : "");
}

static bool takes_part(const struct bench *b, const char *name)
{
    char **names = b->set->values[BENCH_CONTENDERS].list;
    size_t i = 0;

    while (names[i] && strcmp(names[i], name) != 0)
        i++;
    return names[i] != NULL;
}

const char *bench_refuse_contenders(const char *text)
{
    static const char *const names[] = {"segue", "throttled", "keyset", "update"};
    size_t len, i;

    do {
        len = strcspn(text, ",");
        for (i = 0; i < ARRAY_LEN(names); i++) {
            if (strlen(names[i]) == len && strncmp(names[i], text, len) == 0)
                break;
        }
        if (i == ARRAY_LEN(names))
            return "some of segue, throttled, keyset, update, with commas";
        text += len + (text[len] == ',');
    } while (text[-1] == ',');
    return NULL;
}

size_t bench_contenders(const struct bench *b, struct bench_contender *out)
{
    char **targets = b->set->values[BENCH_TARGETS].list;
    char **workers = b->set->values[BENCH_WORKERS].list;
    size_t n = 0;

    for (size_t w = 0; workers[w] && takes_part(b, "segue"); w++) {
        for (size_t i = 0; targets[i] && n + 3 < BENCH_RUNS_MAX; i++)
            add_segue(&out[n++], targets[i], workers[w], false);
    }
    if (takes_part(b, "throttled"))
        add_segue(&out[n++], targets[0], workers[0], true);
    if (takes_part(b, "keyset"))
        out[n++] = (struct bench_contender){.name = "1000 keys, trigger", .way = BENCH_WAY_KEYSET};
    if (takes_part(b, "update"))
        out[n++] = (struct bench_contender){.name = "one UPDATE", .way = BENCH_WAY_UPDATE};
    return n;
}

enum rc bench_run_all(struct bench *b, struct bench_result *results, size_t *n, struct err *err)
{
    struct bench_contender contenders[BENCH_RUNS_MAX];
    size_t count = bench_contenders(b, contenders);

    *n = 0;
    for (unsigned round = 0; round < b->set->values[BENCH_ROUNDS].number; round++) {
        for (size_t i = 0; i < count; i++) {
            const struct bench_contender *c = &contenders[(i + round) % count];
            enum rc rc = run_one(b, c, &results[*n], err);

            if (rc == RC_ERR)
                err_prefix(err, "%s", c->name);
            if (rc != RC_OK)
                return rc;
            fprintf(stderr, "%-26s %10.0f rows/s\n", c->name, results[*n].rows_per_s);
            (*n)++;
        }
    }
    return RC_OK;
}
