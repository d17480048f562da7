/* SHOW STATS, LATENCY, MESSAGES, ERRORS: counters of all workers, since the start and over the last
 * minute. */
#include "stats.h"

#include <assert.h>
#include <stdio.h>

#include "history.h"
#include "segue/session/show.h"
#include "worker.h"

#define ROW(name, counter, rate, help)                                                             \
    {                                                                                              \
        name, offsetof(struct sess_worker_counters, counter), rate, help                           \
    }

/* Statements on migrating tables that are left as they are. */
#define DOUBT(name, reason, why)                                                                   \
    ROW(name, doubts[SQL_DOUBT_##reason], true, "left as they are: " why)

static const struct {
    const char *name;
    size_t at;
    bool rate; /* false: what is there now */
    const char *help;
} rows[] = {
    ROW("accepted", accepted, true, "clients let in to start up"),
    ROW("logins", logins, true, "of them, logged in"),
    ROW("logins_failed", logins_failed, true, "of them, not: password, limit, upstream"),
    ROW("cancels", cancels, true, "cancel requests passed on"),
    ROW("keys_made", keys_made, true,
        "logins of which the upstream's iteration count kept a thread beside the workers busy"),
    ROW("refused", refused, true,
        "turned away: start-up packet not understood, or a login the options forbid"),
    ROW("refused_startups", refused_startups, true, "turned away by startup_open_max"),
    ROW("refused_address", refused_address, true, "turned away by startup_open_per_address_max"),
    ROW("refused_cancels", refused_cancels, true,
        "cancel requests closed: more than half of startup_open_max, or too many of one address"),
    ROW("refused_sessions", refused_sessions, true, "turned away by sessions_max"),
    ROW("refused_console", refused_console, true, "turned away from the console"),
    ROW("idle_ended", idle_ended, true, "ended by idle_timeout_s"),
    ROW("tls_client", tls_client.done, true, "TLS handshakes with clients"),
    ROW("tls_client_failed", tls_client.failed, true, "those that failed"),
    ROW("tls_server", tls_server.done, true, "TLS handshakes with the upstream"),
    ROW("tls_server_failed", tls_server.failed, true, "those that failed"),
    ROW("transactions", transactions, true, "requests after which no transaction was open"),
    ROW("requests", requests, true, "queries, function calls and Syncs answered"),
    ROW("errors", errors, true, "errors given by the upstream"),
    ROW("inspected", inspected, true, "statements looked at for a migration"),
    ROW("cache_hits", cache_hits, true, "of those, known from before, perhaps with other literals"),
    ROW("usage_gone", usage_gone, true,
        "clients that SHOW USAGE has lost the names of, by usage_entries_max"),
    ROW("rewritten", rewritten, true, "statements sent as another text"),
    ROW("sent_again", sent_again, true,
        "of those, refused by the upstream and sent once more as written"),
    ROW("prepared_again", prepared_again, true, "prepared again because the rules had changed"),
    ROW("named_unseen", named_unseen, true,
        "PREPAREs and DEALLOCATEs of which only the end was seen: inside other texts"),
    ROW("paths_asked", paths_asked, true, "times a session was asked for its search path"),
    ROW("early_refused", early_refused, true, "refused: they read a new column before it is ready"),
    ROW("changed_refused", changed_refused, true,
        "refused: uses of a prepared statement whose columns a migration has removed"),
    DOUBT("left_grammar", GRAMMAR, "not understood by the parser"),
    DOUBT("left_statement", STATEMENT, "of a kind that is never rewritten"),
    DOUBT("left_length", LENGTH,
          "longer than inspect_bytes_max, or more to look through than is done"),
    DOUBT("left_off", OFF, "rewriting is turned off"),
    DOUBT("left_columns", COLUMNS, "the table's columns are not known"),
    DOUBT("left_path", PATH, "a name may mean another relation"),
    DOUBT("left_name", NAME, "a column's name could mean more than one thing"),
    DOUBT("left_row", ROW, "a whole row where its type matters"),
    DOUBT("left_star", STAR, "a star whose columns cannot be listed"),
    DOUBT("left_join", JOIN, "a join by names"),
    DOUBT("left_clause", CLAUSE, "a clause around what would be edited"),
    DOUBT("left_table", TABLE, "a table's other name as a type, or in a text"),
    ROW("cancels_waiting", cancels_waiting, false, "cancel requests that wait for their turn"),
    ROW("held_now", held_now, false, "sessions held at the gate"),
    ROW("bytes_from_client", from_client, true, "received from clients"),
    ROW("bytes_to_client", to_client, true, "sent to clients"),
    ROW("bytes_from_server", from_server, true, "received from the upstream"),
    ROW("bytes_to_server", to_server, true, "sent to the upstream"),
};
static_assert(SQL_DOUBT_TABLE + 1 == SQL_DOUBTS, "a doubt without a row");
static_assert(ARRAY_LEN(rows) <= SESS_TOTALS_MAX, "more rows than a sample holds");

void sess_stats_add(const struct sess_worker_counters *c, uint64_t *totals)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        totals[i] += READ(*(const _Atomic uint64_t *)((const char *)c + rows[i].at));
}

/* ---- tables ---- */

/* Now and a minute ago. */
struct window {
    struct sess_sample *now, *then;
    double seconds;
};

static struct window window_take(struct sess_plane *plane)
{
    struct window w = {.now = sess_sample_new(plane)};

    w.then = sess_history_minute(plane->history, w.now);
    w.seconds = (double)(w.now->at_us - w.then->at_us) / 1e6;
    return w;
}

static void window_free(struct window *w)
{
    sess_sample_free(w->now);
    sess_sample_free(w->then);
}

/* With three decimals: for people. */
static json_t *rate(const struct window *w, uint64_t now, uint64_t then)
{
    double per_s = w->seconds > 0 ? (double)(now - then) / w->seconds : 0;

    return json_real((double)(int64_t)(per_s * 1000 + 0.5) / 1000);
}

static json_t *table(const char *const *columns, size_t n, json_t *rows_taken)
{
    json_t *names = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(names, json_string(columns[i]));
    return json_pack("{s:o,s:o}", "columns", names, "rows", rows_taken);
}

static void put_sessions(json_t *out, struct sess_plane *plane)
{
    unsigned by_state[SHOWN_COUNT] = {0}, all = 0, foreign = 0;
    char name[48];

    for (unsigned i = 0; i < plane->nworkers; i++) {
        struct sess_worker *w = plane->workers[i];

        pthread_mutex_lock(&w->registry_lock);
        for (struct sess *s = w->sessions; s; s = s->next) {
            enum sess_shown shown = (enum sess_shown)READ(s->shown);

            by_state[shown]++;
            all++;
            foreign += s->foreign && sess_is_client(shown);
        }
        pthread_mutex_unlock(&w->registry_lock);
    }
    json_array_append_new(
        out, json_pack("[s, i, n, s]", "sessions", (int)all, "clients now, the console's too"));
    for (size_t i = 0; i < SHOWN_COUNT; i++) {
        snprintf(name, sizeof(name), "sessions_%s", sess_shown_names[i]);
        json_array_append_new(
            out, json_pack("[s, i, n, s]", name, (int)by_state[i], "of them, by state"));
    }
    json_array_append_new(out, json_pack("[s, i, n, s]", "sessions_foreign", (int)foreign,
                                         "of them, not looked at: of other databases than that of "
                                         "upstream, or physical replication"));
}

json_t *sess_show_stats(struct sess_plane *plane)
{
    static const char *const columns[] = {"stat", "value", "per_s", "help"};
    struct window w = window_take(plane);
    json_t *out = json_array();

    put_sessions(out, plane);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        json_array_append_new(
            out,
            json_pack("[s, I, o, s]", rows[i].name, (json_int_t)w.now->totals[i],
                      rows[i].rate ? rate(&w, w.now->totals[i], w.then->totals[i]) : json_null(),
                      rows[i].help));
    window_free(&w);
    return table(columns, ARRAY_LEN(columns), out);
}

/* p50, p90, p99 and the longest, in milliseconds; nulls when there was nothing. */
static void put_quantiles(json_t *row, const struct hist_copy *copy)
{
    static const double quantiles[] = {0.5, 0.9, 0.99, 1};
    bool empty = hist_total(copy) == 0;

    for (size_t i = 0; i < ARRAY_LEN(quantiles); i++)
        json_array_append_new(
            row,
            empty ? json_null() : json_real((double)hist_quantile_us(copy, quantiles[i]) / 1000));
}

static void hist_sum(struct hist_copy *to, const struct hist_copy *more)
{
    for (size_t i = 0; i < HIST_BUCKETS; i++)
        to->count[i] += more->count[i];
}

static void put_latency(json_t *out, const struct window *w, const char *name,
                        const struct hist_copy *now, const struct hist_copy *then)
{
    struct hist_copy minute;
    json_t *row;

    if (!hist_total(now))
        return;
    hist_diff(now, then, &minute);
    row = json_pack("[s, I, o]", name, (json_int_t)hist_total(now),
                    rate(w, hist_total(now), hist_total(then)));
    put_quantiles(row, &minute);
    put_quantiles(row, now);
    json_array_append_new(out, row);
}

json_t *sess_show_latency(struct sess_plane *plane)
{
    static const char *const columns[] = {
        "class",  "requests",     "per_s",        "p50_ms",       "p90_ms",       "p99_ms",
        "max_ms", "p50_ms_start", "p90_ms_start", "p99_ms_start", "max_ms_start",
    };
    struct window w = window_take(plane);
    struct hist_copy all_now = {0}, all_then = {0};
    json_t *out = json_array();

    for (size_t i = 0; i < SESS_CLASSES; i++) {
        put_latency(out, &w, sess_class_names[i], &w.now->latency[i], &w.then->latency[i]);
        hist_sum(&all_now, &w.now->latency[i]);
        hist_sum(&all_then, &w.then->latency[i]);
    }
    put_latency(out, &w, "all", &all_now, &all_then);
    window_free(&w);
    return table(columns, ARRAY_LEN(columns), out);
}

static void put_messages(json_t *out, const struct window *w, const char *from, const uint64_t *now,
                         const uint64_t *then)
{
    for (size_t type = 0; type < 256; type++) {
        char text[8];

        if (!now[type])
            continue;
        snprintf(text, sizeof(text), type > ' ' && type < 0x7f ? "%c" : "\\x%02x", (int)type);
        json_array_append_new(out, json_pack("[s, s, I, o]", from, text, (json_int_t)now[type],
                                             rate(w, now[type], then[type])));
    }
}

json_t *sess_show_messages(struct sess_plane *plane)
{
    static const char *const columns[] = {"from", "type", "messages", "per_s"};
    struct window w = window_take(plane);
    json_t *out = json_array();

    put_messages(out, &w, "client", w.now->from_client_messages, w.then->from_client_messages);
    put_messages(out, &w, "server", w.now->from_server_messages, w.then->from_server_messages);
    window_free(&w);
    return table(columns, ARRAY_LEN(columns), out);
}

json_t *sess_show_errors(struct sess_plane *plane)
{
    static const char *const columns[] = {"sqlstate_class", "errors"};
    json_t *out = json_array();

    for (unsigned class = 0; class < SESS_SQLSTATES; class ++) {
        uint64_t n = 0;
        char name[3];

        for (unsigned i = 0; i < plane->nworkers; i++)
            n += READ(plane->workers[i]->counters.sqlstates[class]);
        if (!n)
            continue;
        sess_sqlstate_class_name(class, name);
        json_array_append_new(out, json_pack("[s, I]", name, (json_int_t)n));
    }
    return table(columns, ARRAY_LEN(columns), out);
}

json_t *sess_show_workers(struct sess_plane *plane)
{
    static const char *const columns[] = {
        "worker", "sessions",    "transactions_per_s", "requests_per_s", "bytes_per_s",
        "cpu_s",  "cpu_percent", "lag_ms_max",         "sessions_bytes",
    };
    struct window w = window_take(plane);
    json_t *out = json_array();

    for (unsigned i = 0; i < plane->nworkers; i++) {
        const struct sess_worker_sample *now = &w.now->workers[i], *then = &w.then->workers[i];
        struct sess_worker *worker = plane->workers[i];

        json_array_append_new(
            out, json_pack("[i, i, o, o, o, f, o, f, I]", (int)i, (int)READ(worker->nsessions),
                           rate(&w, now->transactions, then->transactions),
                           rate(&w, now->requests, then->requests),
                           rate(&w, now->from_client + now->from_server,
                                then->from_client + then->from_server),
                           (double)(now->cpu_us / 1000) / 1000,
                           rate(&w, (uint64_t)now->cpu_us / 10000, (uint64_t)then->cpu_us / 10000),
                           (double)now->lag_us_max / 1000, (json_int_t)sess_worker_bytes(worker)));
    }
    window_free(&w);
    return table(columns, ARRAY_LEN(columns), out);
}
