/*
 * Threads, pacing, signals, latencies by the second, the summary.
 *
 * SIGTERM, SIGINT: finish what is out, write the report, end. SIGUSR1: pause (between two
 * operations; the journal is flushed, then "workload: paused" is printed). SIGUSR2: go on.
 */
#include "workload.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "segue/base/clock.h"
#include "segue/base/mem.h"

static atomic_bool stop, paused;

struct second {
    char at[32];
    long statements;
    int64_t p99_us, max_us;
};

struct run {
    const struct wl_options *options;
    struct wl_client *clients;
    struct second *seconds;
    size_t count, cap;
    int64_t start_us;
};

/* ---- clients ---- */

static void pace(const struct wl_client *c, int64_t *due_us, long done)
{
    double rate = c->options->rate;

    if (rate <= 0)
        return;
    *due_us += (int64_t)(1e6 * (double)done * c->options->clients / rate);
    int64_t now_us = clock_us();
    if (*due_us < now_us - 500000)
        *due_us = now_us; /* what a stall held back is not caught up with a burst */
    while (*due_us > now_us && !atomic_load(&stop)) {
        int64_t wait_ms = (*due_us - now_us) / 1000;
        clock_sleep_ms(wait_ms > 100 ? 100 : wait_ms < 1 ? 1 : wait_ms);
        now_us = clock_us();
    }
}

static bool ready(struct wl_client *c)
{
    if (!wl_lost(c))
        return true;
    if (!wl_connect(c))
        return false;
    return wl_client_begin(c) || c->options->tolerate_disconnect;
}

static void *client_main(void *arg)
{
    struct wl_client *c = arg;
    int64_t due_us = clock_us();

    while (!atomic_load(&stop)) {
        if (atomic_load(&paused)) {
            atomic_store(&c->parked, true);
            clock_sleep_ms(5);
            continue;
        }
        atomic_store(&c->parked, false);
        if (!ready(c)) {
            clock_sleep_ms(200);
            continue;
        }
        long before = atomic_load(&c->statements);
        wl_step(c);
        pace(c, &due_us, atomic_load(&c->statements) - before);
    }
    wl_disconnect(c);
    wl_rows_free(c);
    return NULL;
}

/* ---- latencies ---- */

static void sum_hists(const struct run *run, struct hist_copy *copy)
{
    memset(copy, 0, sizeof(*copy));
    for (int i = 0; i < run->options->clients; i++)
        hist_read(&run->clients[i].hist, copy);
}

/* What happened since the last call, as one more second. */
static void look(struct run *run, struct hist_copy *last)
{
    struct hist_copy now, window;
    int64_t now_us = clock_us();

    mem_grow((void **)&run->seconds, &run->cap, run->count + 1, sizeof(*run->seconds));
    struct second *s = &run->seconds[run->count++];
    sum_hists(run, &now);
    hist_diff(&now, last, &window);
    *last = now;
    clock_wall(s->at, sizeof(s->at));
    s->statements = (long)hist_total(&window);
    s->p99_us = hist_quantile_us(&window, 0.99);
    for (int i = 0; i < run->options->clients; i++) {
        struct wl_client *c = &run->clients[i];
        int64_t max_us = atomic_exchange(&c->window_max_us, 0);
        int64_t busy_us = atomic_load(&c->busy_since_us);
        if (busy_us && now_us - busy_us > max_us)
            max_us = now_us - busy_us; /* still out */
        if (max_us > s->max_us)
            s->max_us = max_us;
    }
    if (s->p99_us > s->max_us)
        s->p99_us = s->max_us;
}

/* ---- summary ---- */

struct totals {
    long statements, writes, reads_checked, errors, mismatches, disconnects;
};

static struct totals sum(const struct run *run)
{
    struct totals t = {0};

    for (int i = 0; i < run->options->clients; i++) {
        const struct wl_client *c = &run->clients[i];
        t.statements += atomic_load(&c->statements);
        t.writes += atomic_load(&c->writes);
        t.reads_checked += atomic_load(&c->reads_checked);
        t.errors += atomic_load(&c->errors);
        t.mismatches += atomic_load(&c->mismatches);
        t.disconnects += atomic_load(&c->disconnects);
    }
    return t;
}

static json_t *report(const struct run *run, double elapsed_s)
{
    struct totals t = sum(run);
    struct hist_copy all;
    const struct second *worst = NULL;
    json_t *seconds = json_array();

    sum_hists(run, &all);
    for (size_t i = 0; i < run->count; i++) {
        const struct second *s = &run->seconds[i];
        if (!worst || s->max_us > worst->max_us)
            worst = s;
        json_array_append_new(seconds, json_pack("{s:s, s:I, s:f, s:f}", "at", s->at, "statements",
                                                 (json_int_t)s->statements, "p99_ms",
                                                 (double)s->p99_us / 1e3, "max_ms",
                                                 (double)s->max_us / 1e3));
    }
    return json_pack("{s:s, s:i, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:s, s:o}",
                     "revision", run->options->revision->name, "clients", run->options->clients,
                     "elapsed_s", elapsed_s, "statements", (json_int_t)t.statements, "writes",
                     (json_int_t)t.writes, "reads_checked", (json_int_t)t.reads_checked, "errors",
                     (json_int_t)t.errors, "mismatches", (json_int_t)t.mismatches, "disconnects",
                     (json_int_t)t.disconnects, "statements_per_s",
                     elapsed_s > 0 ? (double)t.statements / elapsed_s : 0.0, "p50_ms",
                     (double)hist_quantile_us(&all, 0.5) / 1e3, "p99_ms",
                     (double)hist_quantile_us(&all, 0.99) / 1e3, "worst_ms",
                     worst ? (double)worst->max_us / 1e3 : 0.0, "worst_at", worst ? worst->at : "",
                     "seconds", seconds);
}

static double number(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static int summary(const struct run *run, double elapsed_s)
{
    json_t *r = report(run, elapsed_s);
    double bad = number(r, "errors") + number(r, "mismatches");

    if (run->options->report && json_dump_file(r, run->options->report, JSON_INDENT(1)) != 0) {
        fprintf(stderr, "workload: cannot write %s\n", run->options->report);
        bad++;
    }
    printf("workload %s: %.0f statements in %.1f s (%.0f/s), %.0f writes acknowledged, "
           "%.0f reads checked\n"
           "  errors %.0f, mismatches %.0f, disconnects %.0f; "
           "p50 %.2f ms, p99 %.2f ms, worst %.1f ms at %s\n",
           run->options->revision->name, number(r, "statements"), elapsed_s,
           number(r, "statements_per_s"), number(r, "writes"), number(r, "reads_checked"),
           number(r, "errors"), number(r, "mismatches"), number(r, "disconnects"),
           number(r, "p50_ms"), number(r, "p99_ms"), number(r, "worst_ms"),
           json_string_value(json_object_get(r, "worst_at")));
    json_decref(r);
    return bad > 0 ? 1 : 0;
}

/* ---- main thread ---- */

static bool all_parked(const struct run *run)
{
    for (int i = 0; i < run->options->clients; i++)
        if (!atomic_load(&run->clients[i].parked))
            return false;
    return true;
}

/* Takes signals, and looks at the latencies once a second, until it is time to end. */
static void watch(struct run *run, struct wl_journal *journal, const sigset_t *signals)
{
    struct hist_copy last = {0};
    int64_t next_us = run->start_us + 1000000;
    bool told = false;

    while (!atomic_load(&stop)) {
        int signal = sigtimedwait(signals, NULL, &(struct timespec){.tv_nsec = 10000000});
        if (signal == SIGTERM || signal == SIGINT)
            atomic_store(&stop, true);
        else if (signal == SIGUSR1)
            atomic_store(&paused, true);
        else if (signal == SIGUSR2)
            atomic_store(&paused, told = false);
        if (atomic_load(&paused) && !told && all_parked(run)) {
            wl_journal_flush(journal);
            printf("workload: paused\n");
            fflush(stdout);
            told = true;
        }
        int64_t now_us = clock_us();
        if (now_us >= next_us) {
            look(run, &last);
            next_us += 1000000;
        }
        if (run->options->seconds > 0 &&
            (double)(now_us - run->start_us) / 1e6 >= run->options->seconds)
            atomic_store(&stop, true);
    }
    look(run, &last);
}

static bool spawn(struct run *run, struct wl_journal *journal)
{
    const struct wl_options *o = run->options;

    for (int i = 0; i < o->clients; i++) {
        struct wl_client *c = &run->clients[i];
        c->options = o;
        c->journal = journal;
        c->index = i;
        c->rng = (uint64_t)(i + 1) * 0x2545f4914f6cdd1dull;
        for (const char *p = o->prefix; *p; p++)
            c->rng = c->rng * 31 + (unsigned char)*p;
        c->seed_next = o->seed_hi ? o->seed_lo + i : 1;
        if (!wl_connect(c) || !wl_client_begin(c))
            return false;
    }
    run->start_us = clock_us();
    for (int i = 0; i < o->clients; i++)
        if (pthread_create(&run->clients[i].thread, NULL, client_main, &run->clients[i]) != 0) {
            perror("workload: pthread_create");
            exit(2);
        }
    return true;
}

int wl_run(const struct wl_options *options)
{
    struct run run = {.options = options};
    struct wl_journal *journal = NULL;
    sigset_t signals;
    int code = 2;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGUSR1);
    sigaddset(&signals, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (options->journal) {
        journal = wl_journal_open(options->journal, options->revision->name, options->prefix);
        if (!journal)
            return 2;
    }
    run.clients = mem_calloc((size_t)options->clients, sizeof(*run.clients));
    if (spawn(&run, journal)) {
        if (!options->quiet)
            printf("workload %s: running, %d clients\n", options->revision->name, options->clients);
        fflush(stdout);
        watch(&run, journal, &signals);
        for (int i = 0; i < options->clients; i++)
            pthread_join(run.clients[i].thread, NULL);
        code = summary(&run, (double)(clock_us() - run.start_us) / 1e6);
    }
    wl_journal_close(journal);
    for (int i = 0; i < options->clients; i++)
        wl_disconnect(&run.clients[i]);
    free(run.clients);
    free(run.seconds);
    return code;
}
