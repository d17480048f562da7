/*
 * A libpq connection that is made aside. libpq looks a name up in the middle of connecting, and
 * nothing bounds how long a name server stays silent (connect_timeout does not); so that is done on
 * a thread of its own, and who wants the connection waits for as long as it likes. What nobody
 * waits for any more ends by itself, and is closed there.
 *
 * Not here: how often to try.
 */
#ifndef SEGUE_CATALOG_REACH_H
#define SEGUE_CATALOG_REACH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <libpq-fe.h>

#include "segue/base/rc.h"

struct cat_reach;

/* As PQconnectdbParams and PQpingParams have them, with expand_dbname; copied. */
struct cat_reach *cat_reach_begin(const char *const *keys, const char *const *values);
struct cat_reach *cat_reach_ping(const char *const *keys, const char *const *values);
/* Cancels what runs on `conn`, which may be closed meanwhile. PQcancel() waits until the server has
 * closed, and one that stands still does not. NULL: there is nothing to cancel. */
struct cat_reach *cat_reach_cancel(PGconn *conn);

/* RC_OK: it has ended, well or not; RC_AGAIN: not within `ms`, or *stop (may be NULL) came true. */
enum rc cat_reach_wait(struct cat_reach *reach, int64_t ms, const atomic_bool *stop) MUST_CHECK;

/* After RC_OK; frees `reach`. The connection is the caller's to PQfinish. */
PGconn *cat_reach_take(struct cat_reach *reach);
PGPing cat_reach_answer(struct cat_reach *reach);

void cat_reach_drop(struct cat_reach *reach); /* at any time; NULL is none */

/* Was one dropped before its end? Its thread may live as long as the process, which then ends by
 * _exit(): OpenSSL's and Kerberos' exit handlers free what it works with. */
bool cat_reach_given_up(void);

#endif
