/*
 * A host name that leads elsewhere while the server to which it led stays, as when a switch-over is
 * made by DNS. New sessions go where the name leads now (net/resolver.c). Nobody ends the engine's
 * connection: it would go on with its store and its locks on a server that clients leave.
 *
 * A name with several addresses gives them in turns, and one server may stand behind many (a
 * provider's proxies). So what the name leads to is asked when it was started: at the same moment,
 * then it is the same server. As long as there is nothing to do, an address that has led here once
 * is not asked again: a database that suspends itself may sleep.
 */
#include <stdio.h>
#include <string.h>

#include "runner.h"
#include "segue/base/clock.h"

#define LOOK_US 5000000
#define SAME_US 60000000 /* behind a look that has found the same server */

static const char question[] =
    "SELECT extract(epoch FROM pg_catalog.pg_postmaster_start_time())::text, "
    "pg_catalog.pg_is_in_recovery()";

void eng_moved_forget(struct eng_engine *engine)
{
    cat_reach_drop(engine->elsewhere);
    engine->elsewhere = NULL;
    engine->moved_nsame = 0;
}

static bool leads_to(const struct eng_engine *engine, const char *address)
{
    const PGconn *pg = engine->work.pg;

    return sess_plane_leads_to(engine->plane, PQhost(pg), PQport(pg), address);
}

static bool led_here_before(const struct eng_engine *engine)
{
    for (unsigned i = 0; i < MOVED_SAME_MAX && i < engine->moved_nsame; i++)
        if (leads_to(engine, engine->moved_same[i]))
            return true;
    return false;
}

static bool leads_here(const struct eng_engine *engine)
{
    bool idle = !engine->nmigrations && !sess_plane_has_clients(engine->plane);

    return leads_to(engine, PQhostaddr(engine->work.pg)) || (idle && led_here_before(engine));
}

static void note_same(struct eng_engine *engine, const char *address)
{
    char *to = engine->moved_same[engine->moved_nsame % MOVED_SAME_MAX];

    engine->moved_due_us = clock_us() + SAME_US;
    for (unsigned i = 0; i < MOVED_SAME_MAX && i < engine->moved_nsame; i++)
        if (strcmp(engine->moved_same[i], address) == 0)
            return;
    snprintf(to, NET_ADDRESS_HOST, "%s", address);
    engine->moved_nsame++;
}

static void begin(struct eng_engine *engine)
{
    const char *const keys[] = {"connect_timeout", "tcp_user_timeout", "dbname", "application_name",
                                NULL};
    const char *const values[] = {"5", "10000", engine->options.upstream, "segue", NULL};

    engine->elsewhere = cat_reach_begin(keys, values);
}

/* Is it a primary, and another server than the one where the engine works? */
static bool is_another(struct eng_engine *engine, struct eng_conn *conn)
{
    struct err ignored = {0};
    PGresult *there = conn_query(conn, &ignored, "%s", question);
    PGresult *here = there ? conn_query(&engine->work, &ignored, "%s", question) : NULL;
    bool another = false, same = false;

    if (here && there) {
        same = strcmp(PQgetvalue(here, 0, 0), PQgetvalue(there, 0, 0)) == 0;
        another = !same && !res_bool(there, 0, 1);
    }
    PQclear(here);
    PQclear(there);
    if (same)
        note_same(engine, PQhostaddr(conn->pg));
    return another;
}

static void look(struct eng_engine *engine)
{
    struct eng_conn conn = {.stop = &engine->stop};
    struct err err = {0};

    if (cat_reach_wait(engine->elsewhere, 0, NULL) != RC_OK)
        return;
    conn.pg = cat_reach_take(engine->elsewhere);
    engine->elsewhere = NULL;
    if (conn_up(&conn) && is_another(engine, &conn)) {
        err_set(&err, "08006", "the name \"%s\" leads to another server now",
                PQhost(engine->work.pg));
        eng_disconnect(engine, &err);
    }
    conn_close(&conn);
}

void eng_moved_turn(struct eng_engine *engine)
{
    if (sess_gate_holds(engine->plane))
        return;
    if (engine->elsewhere) {
        look(engine);
    } else if (clock_us() >= engine->moved_due_us) {
        engine->moved_due_us = clock_us() + LOOK_US;
        if (!leads_here(engine))
            begin(engine);
    }
}
