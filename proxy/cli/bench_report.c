/* What the runs say: medians, a table, JSON, and which settings follow from them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "segue/base/mem.h"

#define P99_RATIO_MAX 1.25
#define P99_SLACK_MS 1.0 /* noise: a ratio of next to nothing means nothing */

/* ---- medians ---- */

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *values, size_t n)
{
    qsort(values, n, sizeof(*values), by_size);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static const size_t numbers[] = {
    offsetof(struct bench_result, seconds),       offsetof(struct bench_result, rows_per_s),
    offsetof(struct bench_result, wal_bytes),     offsetof(struct bench_result, bytes_ratio),
    offsetof(struct bench_result, p99_before_ms), offsetof(struct bench_result, p99_ms),
};

static double *number_at(struct bench_result *result, size_t which)
{
    return (double *)(void *)((char *)result + numbers[which]);
}

void bench_medians(struct bench_result *results, size_t *n)
{
    double *values = mem_calloc(*n + 1, sizeof(*values));
    size_t kept = 0;

    for (size_t i = 0; i < *n; i++) {
        struct bench_result one = results[i];
        bool seen = false;

        for (size_t k = 0; k < kept; k++)
            seen = seen || strcmp(results[k].name, one.name) == 0;
        if (seen)
            continue;
        for (size_t f = 0; f < ARRAY_LEN(numbers); f++) {
            size_t count = 0;

            for (size_t k = i; k < *n; k++) {
                if (strcmp(results[k].name, one.name) == 0)
                    values[count++] = *number_at(&results[k], f);
            }
            *number_at(&one, f) = median(values, count);
        }
        results[kept++] = one;
    }
    *n = kept;
    free(values);
}

/* ---- advice ---- */

static bool spares_clients(const struct bench_result *r)
{
    return r->p99_ms <= r->p99_before_ms * P99_RATIO_MAX + P99_SLACK_MS;
}

int bench_recommend(const struct bench_result *results, size_t n)
{
    int best = -1;

    for (size_t i = 0; i < n; i++) {
        if (!results[i].done || !results[i].target_ms || !spares_clients(&results[i]))
            continue;
        if (best < 0 || results[i].rows_per_s > results[best].rows_per_s)
            best = (int)i;
    }
    return best;
}

/* Of those that disturb: the one that does so least. */
static int least_harm(const struct bench_result *results, size_t n)
{
    int best = -1;

    for (size_t i = 0; i < n; i++) {
        if (results[i].done && results[i].target_ms &&
            (best < 0 || results[i].p99_ms < results[best].p99_ms))
            best = (int)i;
    }
    return best;
}

static void advise(const struct bench_result *results, size_t n, struct buf *out)
{
    int best = bench_recommend(results, n), least = least_harm(results, n);

    if (best >= 0) {
        buf_printf(out,
                   "\nrecommended: \"batch_target_ms\": %u, segue throttle workers %u%s (p99 of "
                   "clients %.1f ms, before "
                   "%.1f ms)\n",
                   results[best].target_ms, results[best].workers,
                   results[best].throttled ? ", and segue throttle client_p99 1.25" : "",
                   results[best].p99_ms, results[best].p99_before_ms);
        return;
    }
    if (least < 0)
        return;
    buf_printf(
        out,
        "\nno setting left clients alone here (p99 at most %.2f times what it was). Least "
        "disturbed: \"batch_target_ms\": %u%s. segue throttle client_p99 1.25, or set a pace: "
        "segue throttle rows_per_s %.0f\n",
        P99_RATIO_MAX, results[least].target_ms, results[least].throttled ? ", throttled" : "",
        results[least].rows_per_s / 4);
}

/* ---- table, JSON ---- */

void bench_report_table(const struct bench *b, const struct bench_result *results, size_t n,
                        struct buf *out)
{
    buf_printf(out,
               "PostgreSQL %s, %" PRId64 " rows (%s), %.0f MB, %u clients at %u requests/s\n\n"
               "%-26s %10s %8s %10s %7s %12s %12s\n",
               b->version, b->rows, b->source, (double)b->table_bytes / 1e6,
               b->set->values[BENCH_CLIENTS].number, b->set->values[BENCH_RATE].number, "",
               "rows/s", "WAL MB/s", "WAL/row", "size", "p99 before", "p99, ms");
    for (size_t i = 0; i < n; i++) {
        const struct bench_result *r = &results[i];

        buf_printf(out, "%-26s %10.0f %8.1f %10.0f %6.2fx %12.1f %12.1f%s\n", r->name,
                   r->rows_per_s, r->seconds > 0 ? r->wal_bytes / r->seconds / 1e6 : 0,
                   r->wal_bytes / (double)b->rows, r->bytes_ratio, r->p99_before_ms, r->p99_ms,
                   r->request_errors ? "  (requests failed)" : "");
    }
    buf_append_str(out,
                   "\nWAL is the server's whole, the clients' share included; size is the "
                   "table's, afterwards against before.\nThe one UPDATE keeps no writes in step "
                   "and holds its rows to the end: a floor, not a way.\n");
    advise(results, n, out);
}

static json_t *result_json(const struct bench *b, const struct bench_result *r)
{
    return json_pack(
        "{s:s, s:o, s:o, s:b, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:I}", "name", r->name,
        "batch_target_ms", r->target_ms ? json_integer((json_int_t)r->target_ms) : json_null(),
        "workers", r->workers ? json_integer((json_int_t)r->workers) : json_null(), "throttled",
        (int)r->throttled, "seconds", r->seconds, "rows_per_s", r->rows_per_s, "wal_bytes",
        r->wal_bytes, "wal_bytes_per_s", r->seconds > 0 ? r->wal_bytes / r->seconds : 0.0,
        "wal_bytes_per_row", r->wal_bytes / (double)b->rows, "size_ratio", r->bytes_ratio,
        "client_p99_before_ms", r->p99_before_ms, "client_p99_ms", r->p99_ms, "requests",
        (json_int_t)r->requests, "request_errors", (json_int_t)r->request_errors);
}

static json_t *results_json(const struct bench *b, const struct bench_result *results, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, result_json(b, &results[i]));
    return list;
}

static json_t *recommended_json(const struct bench_result *results, size_t n)
{
    int best = bench_recommend(results, n);

    if (best < 0)
        return json_null();
    return json_pack("{s:I, s:I, s:b}", "batch_target_ms", (json_int_t)results[best].target_ms,
                     "workers", (json_int_t)results[best].workers, "client_p99_signal",
                     (int)results[best].throttled);
}

json_t *bench_report_json(const struct bench *b, const struct bench_result *medians, size_t n,
                          const struct bench_result *runs, size_t nruns)
{
    return json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "server_version", b->version, "source",
        b->source, "rows", (json_int_t)b->rows, "table_bytes", (json_int_t)b->table_bytes,
        "clients", (json_int_t)b->set->values[BENCH_CLIENTS].number, "requests_per_s",
        (json_int_t)b->set->values[BENCH_RATE].number, "medians", results_json(b, medians, n),
        "runs", results_json(b, runs, nruns), "recommended", recommended_json(medians, n));
}
