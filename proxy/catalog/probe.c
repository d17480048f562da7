/*
 * What a host of the upstream is: one libpq connection, opened and closed. Since PostgreSQL 14 the
 * server says it unasked (in_hot_standby, default_transaction_read_only), as libpq's
 * target_session_attrs relies on.
 */
#include <stdio.h>
#include <string.h>

#include "segue/catalog/catalog.h"
#include "segue/catalog/reach.h"

static bool is_on(PGconn *conn, const char *parameter)
{
    const char *value = PQparameterStatus(conn, parameter);

    return value && strcmp(value, "on") == 0;
}

/* A server that lets nobody in with these words may still serve others. */
static enum sess_role of_refusal(PGconn *conn, const char *const *keys, const char *const *values,
                                 unsigned timeout_ms, const atomic_bool *stop, struct err *err)
{
    enum sess_role role = SESS_ROLE_AWAY;
    struct cat_reach *reach;
    char text[256];

    snprintf(text, sizeof(text), "%s", PQerrorMessage(conn));
    text[strcspn(text, "\n")] = '\0';
    err_set(err, "08006", "%s", text[0] ? text : "no answer in time");
    if (PQsocket(conn) < 0 && !PQconnectionNeedsPassword(conn) && !strstr(text, "FATAL"))
        return role;
    reach = cat_reach_ping(keys, values);
    if (cat_reach_wait(reach, timeout_ms, stop) != RC_OK)
        cat_reach_drop(reach);
    else if (cat_reach_answer(reach) == PQPING_OK)
        role = SESS_ROLE_UNKNOWN;
    return role;
}

enum sess_role cat_probe(const char *how, unsigned timeout_ms, const atomic_bool *stop,
                         struct err *err)
{
    const char *const keys[] = {"connect_timeout", "dbname", "application_name", NULL};
    const char *const values[] = {"2", how, "segue probe", NULL};
    struct cat_reach *reach = cat_reach_begin(keys, values);
    enum sess_role role;
    PGconn *conn;

    if (cat_reach_wait(reach, timeout_ms, stop) != RC_OK) {
        cat_reach_drop(reach);
        err_set(err, "08006", "no answer in time");
        return SESS_ROLE_AWAY;
    }
    conn = cat_reach_take(reach);
    if (PQstatus(conn) != CONNECTION_OK)
        role = of_refusal(conn, keys, values, timeout_ms, stop, err);
    else if (is_on(conn, "in_hot_standby"))
        role = SESS_ROLE_STANDBY;
    else
        role = is_on(conn, "default_transaction_read_only") ? SESS_ROLE_READ_ONLY
                                                            : SESS_ROLE_READ_WRITE;
    PQfinish(conn);
    return role;
}
