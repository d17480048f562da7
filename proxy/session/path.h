/*
 * The search path of one session, and the current role, which is what they depend on: what they are
 * now, and what they become when the transaction ends. Pure. Private to this layer.
 *
 * Kept only while the rules have names that the path decides. It begins as not known; the server is
 * asked at a safe point (asking.h). From then on what the client's texts do to it is followed:
 * while such a text is in flight the path is not known, and it changes when all answers have come
 * and say that it was done. What cannot be followed loses the path; then the server is asked again.
 * A server that reports search_path (PostgreSQL 18) has the last word whenever it is ready.
 *
 * `now` is what names mean. At the end of a transaction it becomes `after` (what was set without
 * LOCAL), or `before` where the transaction is rolled back. All are equal outside of one.
 */
#ifndef SEGUE_SESSION_PATH_H
#define SEGUE_SESSION_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "segue/sql/path.h"
#include "segue/sql/rewrite.h"

struct sess_path;

struct sess_path *sess_path_new(void);
void sess_path_free(struct sess_path *p); /* NULL is fine */

/* A safe point, and nothing in flight: is the server to be asked? Not when it was since the path
 * was lost, or since these rules came, and the answer did not help. */
bool sess_path_wanted(const struct sess_path *p, const struct sql_rules *rules);

/* Between the two no other answer but the question's comes. */
void sess_path_ask(struct sess_path *p, const struct sql_rules *rules);
bool sess_path_asking(const struct sess_path *p);
/* What the server says: the setting, what RESET makes of it, the current role. NULL: no answer. */
void sess_path_told(struct sess_path *p, const char *path, const char *reset, const char *role);
/* The same, of the schema of its temporary relations, said first; "-": there is none yet. */
void sess_path_told_temporary(struct sess_path *p, const char *schema);
void sess_path_asked(struct sess_path *p);     /* the answer is over */
void sess_path_ask_again(struct sess_path *p); /* it was none, for no reason of its own */
void sess_path_late(struct sess_path *p);      /* as that, for a timeout; not for ever */

/* The client's side: a text that does this is about to run. Those that leave the path need no call.
 */
void sess_path_goes(struct sess_path *p, const struct sql_path_move *move);
void sess_path_unseen(struct sess_path *p); /* nobody knows what */
/* It may change the path in ways that only a report of the server shows. */
void sess_path_suspect(struct sess_path *p);

/* The server's side. A path that is reported as NULL is not known. */
void sess_path_reported(struct sess_path *p, const char *path);
void sess_path_completed(struct sess_path *p, const char *tag, size_t len); /* len: with its NUL */
void sess_path_failed(struct sess_path *p);
void sess_path_ready(struct sess_path *p, char status, bool all); /* all: nothing is outstanding */

/* Would the end of a transaction change what names mean? */
bool sess_path_is_borrowed(const struct sess_path *p);

/* What it is to these rules; UNKNOWN for NULL, and while something in flight changes it. */
uint64_t sess_path_class(struct sess_path *p, const struct sql_rules *rules);

/* The same, statement by statement of a text that is about to run. True: it moves the path. */
bool sess_path_steps(struct sess_path *p, const struct sql_rules *rules, const char *text,
                     size_t len, struct sql_path_steps *out);

/* Of what names mean now; 0: not known, as for NULL. */
uint64_t sess_path_hash(const struct sess_path *p);

/* *there: sql_path_makes_in of it. False: not known, as for NULL, and while something in flight
 * changes it. */
bool sess_path_makes_in(const struct sess_path *p, const struct sql_rules *rules, uint64_t *there);

size_t sess_path_bytes_max(void);

#endif
