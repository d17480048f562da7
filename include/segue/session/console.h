/*
 * The admin console as the data plane sees it: a table of functions bound in main.c, since the
 * layer that answers (admin) lies above. A client whose start-up names the virtual database is
 * handed over here once it is allowed in; the worker does framing, the console does meaning.
 */
#ifndef SEGUE_SESSION_CONSOLE_H
#define SEGUE_SESSION_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "segue/base/buf.h"
#include "segue/base/err.h"

/* Where an answer goes; survives its session (a reply to a gone session is dropped). */
struct sess_reply_to {
    void *worker;
    uint64_t session_id;
};

enum sess_console_entry {
    SESS_CONSOLE_REFUSE, /* 28000, with *why as the text */
    SESS_CONSOLE_TRUST,  /* let in without a password */
    SESS_CONSOLE_LOGIN,  /* must log in upstream first, as the same user, on the database
                            console_database(); then that upstream connection is dropped */
};

struct sess_console_ops {
    const char *database; /* name of the virtual database: "segue" */

    /* Decides on a start-up. `loopback`: the peer is 127.0.0.0/8, ::1 or a Unix socket.
     * Called on a worker; must not block. */
    enum sess_console_entry (*admit)(void *ctx, const char *user, bool loopback, const char **why);

    /* The upstream's real database, used to authenticate SESS_CONSOLE_LOGIN. */
    const char *(*login_database)(void *ctx);

    /* One simple Query. Called on a worker; must not block. Append whole protocol messages to
     * `out`, ReadyForQuery included, and return true; or return false and answer later, once,
     * by sess_console_reply. Text is NUL-terminated. */
    bool (*query)(void *ctx, const char *user, const char *text, struct sess_reply_to to,
                  struct buf *out);

    /* One statement that may be asked twice and is answered at once, as the extended protocol wants
     * it? False with err. Called on a worker. */
    bool (*repeatable)(void *ctx, const char *text, struct err *err);
};

/* From any thread: sends bytes (copied; whole messages, ReadyForQuery last) to a waiting console
 * session. Dropped when the session is gone. */
void sess_console_reply(struct sess_reply_to to, const void *bytes, size_t len);

#endif
