/*
 * Clients beside the fill: each reads or writes one row by its key, at a steady rate. A client that
 * had to wait sends what it is behind with at once, so that waiting shows in its latencies once.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "segue/base/clock.h"
#include "segue/base/mem.h"

#define CLIENTS_MAX 64
#define WRITES_OF_TEN 3
#define BEHIND_MAX_US 1000000 /* more than this is forgotten */

struct client {
    struct bench_load *load;
    pthread_t thread;
    PGconn *conn;
    uint64_t random;
    int64_t asked_us; /* under the load's lock; 0: nothing is under way */
};

struct bench_load {
    struct client clients[CLIENTS_MAX];
    unsigned n;
    int64_t rows, period_us; /* of one client */
    atomic_bool stop;
    atomic_llong errors;
    pthread_mutex_t lock; /* of what follows */
    double *took_ms;
    size_t ntook, cap;
};

/* xorshift64: keys need no better. */
static uint64_t next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static bool ask(struct client *c)
{
    char key[24];
    const char *values[] = {key};
    bool writes = next(&c->random) % 10 < WRITES_OF_TEN;
    PGresult *res;
    bool good;

    snprintf(key, sizeof(key), "%lld", (long long)(1 + next(&c->random) % (uint64_t)c->load->rows));
    res = PQexecParams(c->conn,
                       writes ? "UPDATE bench_rows SET " BENCH_KEY " = " BENCH_KEY
                                " WHERE " BENCH_KEY " = $1::bigint"
                              : "SELECT " BENCH_KEY " FROM bench_rows WHERE " BENCH_KEY
                                " = $1::bigint",
                       1, NULL, values, NULL, NULL, 0);
    good = PQresultStatus(res) == PGRES_COMMAND_OK || PQresultStatus(res) == PGRES_TUPLES_OK;
    PQclear(res);
    return good;
}

static void begins(struct client *c)
{
    pthread_mutex_lock(&c->load->lock);
    c->asked_us = clock_us();
    pthread_mutex_unlock(&c->load->lock);
}

/* The lock is held. */
static void keep(struct bench_load *load, double ms)
{
    mem_grow((void **)&load->took_ms, &load->cap, load->ntook + 1, sizeof(*load->took_ms));
    load->took_ms[load->ntook++] = ms;
}

static void ends(struct client *c, bool good)
{
    pthread_mutex_lock(&c->load->lock);
    if (good)
        keep(c->load, (double)(clock_us() - c->asked_us) / 1000);
    c->asked_us = 0;
    pthread_mutex_unlock(&c->load->lock);
}

static void *run(void *arg)
{
    struct client *c = arg;
    struct bench_load *load = c->load;
    int64_t due = clock_us() + (int64_t)(next(&c->random) % (uint64_t)load->period_us);

    while (!atomic_load(&load->stop)) {
        int64_t now = clock_us();
        bool good;

        if (now < due) {
            clock_sleep_ms((due - now) / 1000 < 20 ? (due - now) / 1000 + 1 : 20);
            continue;
        }
        begins(c);
        good = ask(c);
        ends(c, good);
        if (!good && !atomic_load(&load->stop))
            atomic_fetch_add(&load->errors, 1);
        if (PQstatus(c->conn) != CONNECTION_OK)
            return NULL;
        due += load->period_us;
        if (clock_us() - due > BEHIND_MAX_US)
            due = clock_us();
    }
    return NULL;
}

struct bench_load *bench_load_start(struct bench *b, const char *conninfo, struct err *err)
{
    struct bench_load *load = mem_calloc(1, sizeof(*load));
    const struct opt_value *v = b->set->values;

    load->rows = b->rows;
    load->period_us = (int64_t)1000000 * v[BENCH_CLIENTS].number / v[BENCH_RATE].number + 1;
    pthread_mutex_init(&load->lock, NULL);
    while (load->n < v[BENCH_CLIENTS].number && load->n < CLIENTS_MAX && !err_is_set(err)) {
        struct client *c = &load->clients[load->n];

        *c = (struct client){.load = load, .random = 88172645463325252u + 7919u * load->n};
        c->conn = PQconnectdb(conninfo);
        if (PQstatus(c->conn) != CONNECTION_OK) {
            err_set(err, "08006", "a client of the bench: %s", PQerrorMessage(c->conn));
            PQfinish(c->conn);
        } else if (pthread_create(&c->thread, NULL, run, c) != 0) {
            err_set(err, "53000", "a client of the bench: no thread can be started");
            PQfinish(c->conn);
        } else {
            load->n++;
        }
    }
    if (!err_is_set(err))
        return load;
    bench_load_stop(load, NULL);
    return NULL;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double bench_load_p99(struct bench_load *load, int64_t *requests)
{
    double p99 = 0;

    pthread_mutex_lock(&load->lock);
    for (unsigned i = 0; i < load->n; i++) {
        if (load->clients[i].asked_us)
            keep(load, (double)(clock_us() - load->clients[i].asked_us) / 1000);
    }
    if (load->ntook) {
        qsort(load->took_ms, load->ntook, sizeof(*load->took_ms), by_size);
        p99 = load->took_ms[(load->ntook * 99 + 99) / 100 - 1];
    }
    *requests = (int64_t)load->ntook;
    load->ntook = 0;
    pthread_mutex_unlock(&load->lock);
    return p99;
}

void bench_load_stop(struct bench_load *load, int64_t *errors)
{
    if (!load)
        return;
    atomic_store(&load->stop, true);
    for (unsigned i = 0; i < load->n; i++) {
        PGcancel *cancel =
            PQgetCancel(load->clients[i].conn); /* of a request under way: one is lost */
        char why[256];

        if (cancel)
            PQcancel(cancel, why, sizeof(why));
        PQfreeCancel(cancel);
        pthread_join(load->clients[i].thread, NULL);
        PQfinish(load->clients[i].conn);
    }
    if (errors)
        *errors = (int64_t)atomic_load(&load->errors);
    pthread_mutex_destroy(&load->lock);
    free(load->took_ms);
    free(load);
}
