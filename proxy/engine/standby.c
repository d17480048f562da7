#include "standby.h"

#include <ctype.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "segue/base/clock.h"
#include "segue/base/mem.h"
#include "segue/catalog/reach.h"

#define TRY_AGAIN_US 2000000
#define LOOK_MS 20 /* a look may take so long when there is something to be heard */

enum standby_phase { STANDBY_AWAY, STANDBY_CONNECTING, STANDBY_IDLE, STANDBY_ASKED };

struct standby {
    char *conninfo, *name;
    struct cat_reach *reach; /* while connecting */
    PGconn *pg;
    enum standby_phase phase;
    int64_t since_us;    /* of the phase */
    int64_t answered_us; /* 0: never */
    double replayed;
    char why[160];
};

struct standbys {
    struct standby items[STANDBY_MAX];
    size_t n;
};

static const char question[] =
    "SELECT pg_catalog.pg_is_in_recovery(), "
    "pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_last_wal_replay_lsn(), '0/0')";

/* The next item of the list, trimmed; NULL at its end. */
static char *next_item(const char **at)
{
    while (**at) {
        const char *begin = *at + strspn(*at, " ,"), *end = begin + strcspn(begin, ",");

        *at = end;
        while (end > begin && isspace((unsigned char)end[-1]))
            end--;
        if (end > begin)
            return mem_strndup(begin, (size_t)(end - begin));
    }
    return NULL;
}

/* libpq's own mark of what is not to be shown; of the keys that stand for a password it says less.
 */
static bool is_secret(const PQconninfoOption *o)
{
    return o->dispchar[0] == '*' || strncmp(o->keyword, "scram_", strlen("scram_")) == 0;
}

static enum rc check_item(const char *item, struct err *err)
{
    char *why = NULL;
    PQconninfoOption *options = PQconninfoParse(item, &why);
    bool password = false;

    for (PQconninfoOption *o = options; o && o->keyword; o++)
        password |= is_secret(o) && o->val;
    if (!options || !strpbrk(item, "=:")) {
        err_set(err, "22023", "a replica is a connection string: %.160s",
                why ? why : "postgresql://user@host:port/database, or host=... port=...");
    } else if (password) {
        err_set(err, "22023", "a replica's password would be stored and shown");
        err_hint(err, "take it out, and put it into the password file of segue's user (~/.pgpass)");
    }
    PQconninfoFree(options);
    PQfreemem(why);
    return err_is_set(err) ? RC_ERR : RC_OK;
}

enum rc standbys_check(const char *list, struct err *err)
{
    size_t n = 0;
    char *item;

    while (!err_is_set(err) && (item = next_item(&list))) {
        if (++n > STANDBY_MAX)
            err_set(err, "22023", "more than %d replicas", STANDBY_MAX);
        else if (check_item(item, err) != RC_OK)
            n = STANDBY_MAX;
        free(item);
    }
    if (n == 0)
        err_set(err, "22023", "no replica is named");
    return err_is_set(err) ? RC_ERR : RC_OK;
}

static char *name_of(const char *conninfo)
{
    PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
    const char *host = NULL, *port = NULL;
    char *name;

    for (PQconninfoOption *o = options; o && o->keyword; o++) {
        if (strcmp(o->keyword, "host") == 0)
            host = o->val;
        if (strcmp(o->keyword, "port") == 0)
            port = o->val;
    }
    name = mem_printf("%s:%s", host ? host : "local", port ? port : "5432");
    PQconninfoFree(options);
    return name;
}

struct standbys *standbys_new(const char *list)
{
    struct standbys *standbys = mem_calloc(1, sizeof(*standbys));
    char *item;

    while (standbys->n < STANDBY_MAX && (item = next_item(&list))) {
        struct standby *s = &standbys->items[standbys->n++];

        s->conninfo = item;
        s->name = name_of(item);
        snprintf(s->why, sizeof(s->why), "connecting");
    }
    return standbys;
}

void standbys_free(struct standbys *standbys)
{
    if (!standbys)
        return;
    for (size_t i = 0; i < standbys->n; i++) {
        cat_reach_drop(standbys->items[i].reach);
        PQfinish(standbys->items[i].pg);
        free(standbys->items[i].conninfo);
        free(standbys->items[i].name);
    }
    free(standbys);
}

static void enter(struct standby *s, enum standby_phase phase)
{
    s->phase = phase;
    s->since_us = clock_us();
}

static void lose(struct standby *s, const char *why)
{
    snprintf(s->why, sizeof(s->why), "%.150s", why);
    s->why[strcspn(s->why, "\n")] = '\0';
    cat_reach_drop(s->reach);
    s->reach = NULL;
    PQfinish(s->pg);
    s->pg = NULL;
    s->answered_us = 0;
    enter(s, STANDBY_AWAY);
}

static void take_answer(struct standby *s)
{
    PGresult *res, *last = NULL;

    while ((res = PQgetResult(s->pg))) {
        PQclear(last);
        last = res;
    }
    if (PQresultStatus(last) != PGRES_TUPLES_OK) {
        lose(s, PQerrorMessage(s->pg));
    } else if (PQgetvalue(last, 0, 0)[0] != 't') {
        lose(s, "it is no standby");
    } else if (PQgetisnull(last, 0, 1)) {
        lose(s, "it has replayed nothing");
    } else {
        s->replayed = strtod(PQgetvalue(last, 0, 1), NULL);
        s->answered_us = clock_us();
        enter(s, STANDBY_IDLE);
    }
    PQclear(last);
}

static bool ready(const struct standby *s, short events)
{
    struct pollfd fd = {.fd = PQsocket(s->pg), .events = events};

    return poll(&fd, 1, 0) > 0;
}

/* One step, where one can be taken; false: there is none now. */
static bool step(struct standby *s)
{
    static const char *const keys[] = {"connect_timeout", "dbname", NULL};
    const char *const values[] = {"5", s->conninfo, NULL};

    switch (s->phase) {
    case STANDBY_AWAY:
        if (s->since_us && clock_us() - s->since_us < TRY_AGAIN_US)
            return false;
        s->reach = cat_reach_begin(keys, values);
        enter(s, STANDBY_CONNECTING);
        return true;
    case STANDBY_CONNECTING:
        if (cat_reach_wait(s->reach, 0, NULL) != RC_OK)
            return false;
        s->pg = cat_reach_take(s->reach);
        s->reach = NULL;
        if (PQstatus(s->pg) != CONNECTION_OK)
            lose(s, PQerrorMessage(s->pg));
        else
            enter(s, STANDBY_IDLE);
        return s->phase == STANDBY_IDLE;
    case STANDBY_IDLE:
        if (!PQsendQuery(s->pg, question))
            lose(s, PQerrorMessage(s->pg));
        else
            enter(s, STANDBY_ASKED);
        return s->phase == STANDBY_ASKED;
    case STANDBY_ASKED:
        if (!ready(s, POLLIN))
            return false;
        if (!PQconsumeInput(s->pg))
            lose(s, PQerrorMessage(s->pg));
        else if (!PQisBusy(s->pg))
            take_answer(s);
        return s->phase == STANDBY_ASKED;
    }
    return false;
}

void standbys_look(struct standbys *standbys)
{
    int64_t until_us = clock_us() + LOOK_MS * 1000;
    bool heard = true;

    for (size_t i = 0; i < standbys->n; i++) {
        struct standby *s = &standbys->items[i];
        bool waits = s->phase == STANDBY_CONNECTING || s->phase == STANDBY_ASKED;

        if (waits && clock_us() - s->since_us > STANDBY_STALE_MS * 1000)
            lose(s, "it does not answer");
    }
    while (heard) {
        heard = false;
        for (size_t i = 0; i < standbys->n; i++) {
            bool asked = standbys->items[i].phase != STANDBY_IDLE ||
                         clock_us() - standbys->items[i].answered_us > LOOK_MS * 1000;

            while (asked && step(&standbys->items[i]))
                heard = true;
        }
        if (!heard && clock_us() < until_us) {
            for (size_t i = 0; i < standbys->n; i++)
                heard |= standbys->items[i].phase == STANDBY_CONNECTING ||
                         standbys->items[i].phase == STANDBY_ASKED;
            clock_sleep_ms(heard ? 1 : 0);
        }
    }
}

size_t standbys_count(const struct standbys *standbys)
{
    return standbys ? standbys->n : 0;
}

struct standby_state standbys_state(const struct standbys *standbys, size_t i)
{
    const struct standby *s = &standbys->items[i];
    int64_t age_ms = (clock_us() - s->answered_us) / 1000;

    return (struct standby_state){.name = s->name,
                                  .known = s->answered_us > 0,
                                  .replayed = s->replayed,
                                  .age_ms = s->answered_us ? age_ms : 0,
                                  .why = s->why};
}
