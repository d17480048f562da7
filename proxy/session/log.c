/* A session's lines in the log: who it is goes with each. Never what its statements say. Failed
 * logins are counted where they are told. */
#include <stdarg.h>
#include <stdio.h>

#include "segue/wire/read.h"
#include "worker.h"

static void line(struct sess *s, enum log_level level, const struct err *err, const char *text)
{
    char peer[NET_ADDRESS_TEXT];
    const struct log_about about = {s->id, s->user, s->database, peer};

    net_address_text(&s->peer, peer);
    log_about(level, &about, err, "%s", text);
}

void sess_log(struct sess *s, enum log_level level, const struct err *err, const char *fmt, ...)
{
    char text[1200];
    va_list ap;

    if (!log_enabled(level))
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    line(s, level, err, text);
}

void sess_log_failed(struct sess *s, const struct err *err)
{
    if (s->starting) {
        COUNT(s->worker->counters.logins_failed, 1);
        sess_log(s, LOG_INFO, err, "login failed: %s", err->text);
    } else {
        sess_log(s, LOG_DEBUG, err, "ended by segue: %s", err->text);
    }
}

void sess_log_server_refusal(struct sess *s, const char *msg, size_t total)
{
    struct wire_error error;
    struct err err = {0};

    COUNT(s->worker->counters.logins_failed, 1);
    if (wire_read_error(msg, total, &error) != RC_OK)
        return;
    err_set(&err, error.sqlstate, "%s", error.text);
    sess_log(s, LOG_INFO, &err, "login failed, says the upstream: %s", err.text);
}
