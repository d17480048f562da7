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

double bench_median(double *values, size_t n)
{
    qsort(values, n, sizeof(*values), by_size);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static const size_t numbers[] = {
    offsetof(struct bench_result, rows),        offsetof(struct bench_result, seconds),
    offsetof(struct bench_result, rows_per_s),  offsetof(struct bench_result, wal_bytes),
    offsetof(struct bench_result, bytes_ratio), offsetof(struct bench_result, p99_before_ms),
    offsetof(struct bench_result, p99_ms),
};

static double *number_at(struct bench_result *result, size_t which)
{
    return (double *)(void *)((char *)result + numbers[which]);
}

/* Of sorted values: where so much of them lies below. */
static double quantile(const double *sorted, size_t n, double share)
{
    return sorted[(size_t)((double)(n - 1) * share + 0.5)];
}

static size_t add_pairs(const struct bench_result *r, double *out)
{
    size_t n = 0;

    for (size_t i = 1; i < r->nwindows; i++) {
        const struct bench_window *a = &r->windows[i - 1], *b = &r->windows[i];
        const struct bench_window *paused = a->filling ? b : a, *filling = a->filling ? a : b;

        if (a->filling != b->filling && paused->p99_ms > 0)
            out[n++] = filling->p99_ms / paused->p99_ms;
    }
    return n;
}

void bench_pair(const struct bench_result *results, size_t n, struct bench_result *out)
{
    double *ratios = mem_calloc(n * BENCH_WINDOWS_MAX + 1, sizeof(*ratios));
    struct bench_pairs *pairs = &out->pairs;

    *pairs = (struct bench_pairs){0};
    for (size_t i = 0; i < n; i++) {
        if (strcmp(results[i].name, out->name) == 0)
            pairs->n += add_pairs(&results[i], ratios + pairs->n);
    }
    if (pairs->n) {
        pairs->median = bench_median(ratios, pairs->n); /* which sorts them */
        pairs->low = quantile(ratios, pairs->n, 0.25);
        pairs->high = quantile(ratios, pairs->n, 0.75);
    }
    free(ratios);
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
            *number_at(&one, f) = bench_median(values, count);
        }
        bench_pair(results + i, *n - i, &one);
        one.nwindows = 0;
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

static void put_windows(const struct bench_result *r, bool filling, struct buf *out)
{
    buf_append_str(out, filling ? ", filling" : "p99, ms: paused");
    for (size_t i = 0; i < r->nwindows; i++) {
        if (r->windows[i].filling == filling)
            buf_printf(out, " %.2f", r->windows[i].p99_ms);
    }
}

/* What a throttled fill is judged by. */
static void report_windows(const struct bench *b, const struct bench_result *medians, size_t n,
                           const struct bench_result *runs, size_t nruns, struct buf *out)
{
    for (size_t i = 0; i < n; i++) {
        const struct bench_pairs *pairs = &medians[i].pairs;

        if (medians[i].throttled && !pairs->n)
            buf_printf(out,
                       "\n%s: filled before it could be paused: its p99 is of the whole of it, and "
                       "that before. --rows takes more rows, --window-ms less time.\n",
                       medians[i].name);
        if (!pairs->n)
            continue;
        buf_printf(out,
                   "\n%s: paused and filling in turn, %.1f s each, with the same clients; what was "
                   "left after that\nwent without throttle. p99 while filling against either "
                   "neighbour: %.2fx (the middle half of %zu pairs: %.2f to %.2f).\n",
                   medians[i].name, b->set->values[BENCH_WINDOW_MS].number / 1000.0, pairs->median,
                   pairs->n, pairs->low, pairs->high);
        for (size_t r = 0; r < nruns; r++) {
            if (strcmp(runs[r].name, medians[i].name) != 0 || !runs[r].nwindows)
                continue;
            put_windows(&runs[r], false, out);
            put_windows(&runs[r], true, out);
            buf_append_str(out, "\n");
        }
    }
}

void bench_report_table(const struct bench *b, const struct bench_result *results, size_t n,
                        const struct bench_result *runs, size_t nruns, struct buf *out)
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
                   r->rows > 0 ? r->wal_bytes / r->rows : 0, r->bytes_ratio, r->p99_before_ms,
                   r->p99_ms, r->request_errors ? "  (requests failed)" : "");
    }
    buf_append_str(out,
                   "\nWAL is the server's whole, the clients' share included; size is the "
                   "table's, afterwards against before.\nThe one UPDATE keeps no writes in step "
                   "and holds its rows to the end: a floor, not a way.\n");
    report_windows(b, results, n, runs, nruns, out);
    advise(results, n, out);
}

static json_t *windows_json(const struct bench_result *r)
{
    json_t *list = json_array();

    for (size_t i = 0; i < r->nwindows; i++) {
        const struct bench_window *w = &r->windows[i];

        json_array_append_new(list,
                              json_pack("{s:b, s:f, s:I, s:f, s:f}", "filling", (int)w->filling,
                                        "p99_ms", w->p99_ms, "requests", (json_int_t)w->requests,
                                        "seconds", w->seconds, "rows", w->rows));
    }
    return list;
}

static json_t *pairs_json(const struct bench_pairs *pairs)
{
    if (!pairs->n)
        return json_null();
    return json_pack("{s:I, s:f, s:f, s:f}", "pairs", (json_int_t)pairs->n, "median", pairs->median,
                     "quarter_below", pairs->low, "quarter_above", pairs->high);
}

static json_t *result_json(const struct bench_result *r)
{
    return json_pack(
        "{s:s, s:o, s:o, s:b, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:o, s:o, s:I, s:I}",
        "name", r->name, "batch_target_ms",
        r->target_ms ? json_integer((json_int_t)r->target_ms) : json_null(), "workers",
        r->workers ? json_integer((json_int_t)r->workers) : json_null(), "throttled",
        (int)r->throttled, "rows", r->rows, "seconds", r->seconds, "rows_per_s", r->rows_per_s,
        "wal_bytes", r->wal_bytes, "wal_bytes_per_s",
        r->seconds > 0 ? r->wal_bytes / r->seconds : 0.0, "wal_bytes_per_row",
        r->rows > 0 ? r->wal_bytes / r->rows : 0.0, "size_ratio", r->bytes_ratio,
        "client_p99_before_ms", r->p99_before_ms, "client_p99_ms", r->p99_ms, "client_p99_ratio",
        pairs_json(&r->pairs), "windows", windows_json(r), "requests", (json_int_t)r->requests,
        "request_errors", (json_int_t)r->request_errors);
}

static json_t *results_json(const struct bench_result *results, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, result_json(&results[i]));
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
        (json_int_t)b->set->values[BENCH_RATE].number, "medians", results_json(medians, n), "runs",
        results_json(runs, nruns), "recommended", recommended_json(medians, n));
}
