/*
 * What a host of the upstream is: one libpq connection, opened and closed. Since PostgreSQL 14 the
 * server says it unasked (in_hot_standby, default_transaction_read_only), as libpq's
 * target_session_attrs relies on.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "segue/base/clock.h"
#include "segue/catalog/catalog.h"

#define POLL_MS 100 /* how late a stop is noticed */

/* Waits for the socket as libpq wants it; false: time is up, or the end. */
static bool wait_for(PGconn *conn, PostgresPollingStatusType wants, int64_t until_ms,
                     const atomic_bool *stop)
{
    while (clock_ms() < until_ms && !atomic_load(stop)) {
        struct pollfd fd = {.fd = PQsocket(conn),
                            .events = wants == PGRES_POLLING_READING ? POLLIN : POLLOUT};
        int n = poll(&fd, 1, POLL_MS);

        if (n > 0 || (n < 0 && errno != EINTR))
            return n > 0;
    }
    return false;
}

static bool log_in(PGconn *conn, unsigned timeout_ms, const atomic_bool *stop)
{
    int64_t until_ms = clock_ms() + timeout_ms;
    PostgresPollingStatusType wants = PGRES_POLLING_WRITING;

    if (PQstatus(conn) == CONNECTION_BAD)
        return false;
    while (wants == PGRES_POLLING_READING || wants == PGRES_POLLING_WRITING) {
        if (!wait_for(conn, wants, until_ms, stop))
            return false;
        wants = PQconnectPoll(conn);
    }
    return wants == PGRES_POLLING_OK;
}

static bool is_on(PGconn *conn, const char *parameter)
{
    const char *value = PQparameterStatus(conn, parameter);

    return value && strcmp(value, "on") == 0;
}

/* A server that lets nobody in with these words may still serve others. */
static enum sess_role of_refusal(PGconn *conn, const char *const *keys, const char *const *values,
                                 struct err *err)
{
    char text[256];
    enum sess_role role = SESS_ROLE_AWAY;

    snprintf(text, sizeof(text), "%s", PQerrorMessage(conn));
    text[strcspn(text, "\n")] = '\0';
    err_set(err, "08006", "%s", text[0] ? text : "no answer in time");
    if (PQsocket(conn) >= 0 || PQconnectionNeedsPassword(conn) || strstr(text, "FATAL"))
        role = PQpingParams(keys, values, 1) == PQPING_OK ? SESS_ROLE_UNKNOWN : SESS_ROLE_AWAY;
    return role;
}

enum sess_role cat_probe(const char *how, unsigned timeout_ms, const atomic_bool *stop,
                         struct err *err)
{
    const char *const keys[] = {"connect_timeout", "dbname", "application_name", NULL};
    const char *const values[] = {"2", how, "segue probe", NULL};
    PGconn *conn = PQconnectStartParams(keys, values, 1);
    enum sess_role role;

    if (!log_in(conn, timeout_ms, stop))
        role = of_refusal(conn, keys, values, err);
    else if (is_on(conn, "in_hot_standby"))
        role = SESS_ROLE_STANDBY;
    else
        role = is_on(conn, "default_transaction_read_only") ? SESS_ROLE_READ_ONLY
                                                            : SESS_ROLE_READ_WRITE;
    PQfinish(conn);
    return role;
}
