#include "policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gated.h"
#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "segue/engine/exempt.h"

#define MET_MAX 64
#define GONE_WAIT_MS 1000 /* for a backend that was told to end */
#define GONE_LOOK_MS 20

struct met {
    int pid;
    char xact_start[40]; /* with the pid: which transaction */
    int64_t since_us;
    bool judged; /* ended, refused or exempt: once is enough */
};

struct eng_policy {
    struct met met[MET_MAX];
    size_t n;
};

void policy_free(struct eng_policy *policy)
{
    free(policy);
}

static const char *text_of(const json_t *one, const char *key)
{
    const char *text = json_string_value(json_object_get(one, key));

    return text ? text : "";
}

static struct met *find(struct eng_policy *policy, const json_t *one)
{
    json_int_t pid = json_integer_value(json_object_get(one, "pid"));

    for (size_t i = 0; policy && i < policy->n; i++) {
        if (policy->met[i].pid == pid &&
            strcmp(policy->met[i].xact_start, text_of(one, "xact_start")) == 0)
            return &policy->met[i];
    }
    return NULL;
}

/* Those who have gone meanwhile make room. */
static void remember(struct eng_migration *m)
{
    struct eng_policy *next = mem_calloc(1, sizeof(*next));
    size_t i;
    json_t *one;

    json_array_foreach(m->blocking, i, one)
    {
        const struct met *known = find(m->policy, one);
        struct met *met = &next->met[next->n];

        if (next->n == MET_MAX || !*text_of(one, "xact_start"))
            continue;
        next->n++;
        *met = known ? *known : (struct met){.since_us = clock_us()};
        met->pid = (int)json_integer_value(json_object_get(one, "pid"));
        snprintf(met->xact_start, sizeof(met->xact_start), "%s", text_of(one, "xact_start"));
    }
    policy_free(m->policy);
    m->policy = next;
}

void policy_sleep(struct eng_engine *engine, struct eng_migration *m, int64_t pause_ms)
{
    int64_t until = clock_us() + pause_ms * 1000;

    remember(m);
    for (size_t i = 0; i < m->policy->n && engine->options.blockers != ENG_BLOCKERS_WAIT; i++) {
        const struct met *met = &m->policy->met[i];
        int64_t due = met->since_us + (int64_t)engine->options.blockers_after_ms * 1000;

        if (!met->judged && due < until)
            until = due;
    }
    m->not_before_us = until;
}

/* ---- one of them ---- */

/* NULL: it is to be ended. Else why it is not; "" when it has gone. */
static const char *spared(struct eng_engine *engine, const json_t *one, struct err *err)
{
    static const char look_sql[] =
        "SELECT usename, application_name, query, state, usename = session_user AND "
        "application_name = 'segue' FROM pg_stat_activity WHERE pid = $1::int AND xact_start = "
        "$2::timestamptz AND backend_type = 'client backend'";
    bool cancel = engine->options.blockers == ENG_BLOCKERS_CANCEL;
    char pid[16];
    const char *values[] = {pid, text_of(one, "xact_start")}, *why = NULL, *state;
    PGresult *res;

    if (strcmp(text_of(one, "backend_type"), "client backend") != 0)
        return "no client's connection";
    snprintf(pid, sizeof(pid), "%d", (int)json_integer_value(json_object_get(one, "pid")));
    res = conn_params(&engine->work, err, look_sql, 2, values);
    state = res && PQntuples(res) ? res_text(res, 0, 3) : NULL;
    if (!res || !PQntuples(res))
        why = "";
    else if (res_bool(res, 0, 4))
        why = "segue's own connection";
    else if (eng_exempt(engine->options.blockers_exempt, res_text(res, 0, 0), res_text(res, 0, 1),
                        res_text(res, 0, 2)))
        why = "exempt";
    else if (cancel && state && strcmp(state, "active") != 0)
        why = "it runs no statement: only terminate would end its transaction";
    PQclear(res);
    return why;
}

/* The transaction that was judged, and no later one of the same backend. */
static bool end_it(struct eng_engine *engine, const json_t *one, struct err *err)
{
    bool cancel = engine->options.blockers == ENG_BLOCKERS_CANCEL;
    PGresult *res = conn_query(
        &engine->work, err,
        "SELECT pg_%s_backend(pid) FROM pg_stat_activity WHERE pid = %d AND xact_start = "
        "'%s'::timestamptz",
        cancel ? "cancel" : "terminate", (int)json_integer_value(json_object_get(one, "pid")),
        text_of(one, "xact_start"));
    bool done = res && PQntuples(res) && res_bool(res, 0, 0);

    PQclear(res);
    return done;
}

static void note(struct eng_migration *m, const json_t *one, const char *action, const char *why)
{
    json_t *entry = json_deep_copy(one);

    json_object_set_new(entry, "action", json_string(action));
    json_object_set_new(entry, "why", why ? json_string(why) : json_null());
    json_array_append_new(m->acted, entry);
    log_warning("in the way: pid %d (%s, user %s): %s%s%s",
                (int)json_integer_value(json_object_get(one, "pid")),
                text_of(one, "application_name"), text_of(one, "user"), action, why ? ": " : "",
                why ? why : "");
}

/* True: it was told to end. */
static bool judge(struct eng_engine *engine, struct eng_migration *m, const json_t *one)
{
    bool cancel = engine->options.blockers == ENG_BLOCKERS_CANCEL;
    struct err err = {0};
    const char *why = spared(engine, one, &err);

    if (why && !*why)
        return false;
    if (why)
        note(m, one, "left alone", why);
    else if (end_it(engine, one, &err))
        note(m, one, cancel ? "cancelled" : "terminated", NULL);
    else if (err_is_set(&err))
        note(m, one, cancel ? "could not be cancelled" : "could not be terminated", err.text);
    else
        return false; /* it went by itself */
    return !why && !err_is_set(&err);
}

static bool still_there(struct eng_engine *engine, const char *names, const int *pids, size_t n)
{
    json_t *list = json_array(), *one;
    struct err ignored = {0};
    bool there = false;
    size_t i;

    if (blockers_of(engine, names, 0, list, NULL, &ignored) == RC_OK) {
        json_array_foreach(list, i, one)
        {
            for (size_t k = 0; k < n; k++)
                there = there || json_integer_value(json_object_get(one, "pid")) == pids[k];
        }
    }
    json_decref(list);
    return there;
}

void policy_act(struct eng_engine *engine, struct eng_migration *m, const char *names)
{
    int64_t after_us = (int64_t)engine->options.blockers_after_ms * 1000, until_ms;
    json_t *now, *one;
    struct err err = {0};
    int pids[MET_MAX];
    size_t i, n = 0;

    if (engine->options.blockers == ENG_BLOCKERS_WAIT || !m->policy || !m->policy->n)
        return;
    now = json_array();
    if (blockers_of(engine, names, 0, now, NULL, &err) != RC_OK)
        log_err(LOG_DEBUG, "blockers", &err);
    json_array_foreach(now, i, one)
    {
        struct met *met = find(m->policy, one);

        if (!met || met->judged || clock_us() - met->since_us < after_us)
            continue;
        met->judged = true;
        if (judge(engine, m, one))
            pids[n++] = met->pid;
    }
    json_decref(now);
    until_ms = clock_ms() + GONE_WAIT_MS;
    while (n && clock_ms() < until_ms && still_there(engine, names, pids, n))
        clock_sleep_ms(GONE_LOOK_MS);
}
