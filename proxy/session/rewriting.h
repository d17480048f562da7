/*
 * Rewriting in a session's stream: what goes to the server in place of the client's messages, and
 * what its answers become. Private to this layer.
 *
 * What stands in place of a message is appended to worker->instead.
 */
#ifndef SEGUE_SESSION_REWRITING_H
#define SEGUE_SESSION_REWRITING_H

#include "names.h"
#include "segue/wire/read.h"
#include "session.h"

/* There is no pipeline, or it is blind: begins one, if nothing is outstanding and there are rules;
 * without them only anew. */
void sess_rewriting_begin(struct sess *s);
void sess_rewriting_end(struct sess *s);
void sess_rewriting_ready(struct sess *s); /* ReadyForQuery: is there still a need for it? */

/* The pipeline, or NULL: what the client sends now passes as it is. */
struct sess_pipeline *sess_rewriting(const struct sess *s);

/* What is to be sent of a rewrite: NULL when it is too long to be kept. */
const struct sql_rewrite *sess_rewriting_wants(const struct sess *s,
                                               const struct sql_rewrite *rewrite);

/* From here on the name ("": the unnamed one) means `statement` (another reference is taken; NULL:
 * it is not known). Returns what it meant before; the caller's reference. */
struct sess_statement *sess_name_means(struct sess *s, const char *name,
                                       struct sess_statement *statement);

/* Each of these puts the message in flight. PASS: as it is; INSTEAD, FRONT: see session.h.
 * `rewrite` NULL: nothing is known of the text. worker->instead may have what goes in front. */
enum sess_look sess_rewrite_query(struct sess *s, const struct wire_query *query,
                                  const struct sql_rewrite *rewrite,
                                  struct sess_names *names); /* query NULL: not read */
enum sess_look sess_rewrite_parse(struct sess *s, const struct sess_parse *parse,
                                  const struct sql_rewrite *rewrite,
                                  const struct sql_verdict *verdict, struct sess_names *names);
/* One of either kind that was not read; `sent` (taken): what its head has become, or NULL. */
void sess_rewrite_unread(struct sess *s, uint8_t type, struct sess_sent *sent);

/* Appends to `text` one that the server's parser refuses at its first word, and gives the client
 * *err in place of that, as of a routine of the server's sources (NULL: of none). What the text
 * says is for the server's log. The caller's reference. */
struct sess_sent *sess_rewrite_refuse(struct sess *s, const char *why, const struct err *err,
                                      const char *routine, struct buf *text);

/* Bind to a portal, or Describe of a statement; NULL: not known. */
struct sess_binding {
    uint8_t type;
    const char *portal;
    struct sess_statement *statement;
    const struct sql_rewrite *rewrite;
    struct sess_names *names; /* of its text */
};
enum sess_look sess_rewrite_use(struct sess *s, const struct sess_binding *use);

/* The statement as the rules want it now, in front of what uses it. */
void sess_prepare_again(struct sess *s, struct sess_statement *statement,
                        const struct sql_rewrite *rewrite, bool query);
void sess_rewriting_sync(struct sess *s); /* ends what was prepared in front of a Query */

/* A statement is being prepared, and has been judged: on which side, and when. */
void sess_rewriting_prepared(struct sess *s, struct sess_statement *statement);

void sess_rewrite_close(struct sess *s, const char *name); /* Close of a statement */

/* All other messages of the client, and Describe of a portal. */
void sess_rewriting_passed(struct sess *s, uint8_t type);

/* What a client is told whose statement cannot stay what it was, by the routine that drivers know;
 * it is counted. */
#define SESS_CHANGED_ROUTINE "RevalidateCachedQuery"
void sess_changed_error(struct sess *s, struct err *err);

/* A clock by which statements and ends of migrations are in order: it stands at the rules' epoch,
 * or behind the last one. */
uint64_t sess_rewriting_clock(const struct sess *s);

/* A statement touches `tables`, perhaps of other migrations than those of which its side speaks:
 * true if it is on another side now, and must be inspected for that. */
bool sess_rewriting_meets(struct sess *s, struct sess_statement *statement, uint64_t tables);

/* A statement has been judged anew, `wants` is what is to be sent of that (NULL: nothing is known
 * of the text): may it be prepared again without the client knowing, or is it to stay what it is?
 */
void sess_rewriting_judged(struct sess *s, struct sess_statement *statement,
                           const struct sql_rewrite *wants);

/* An answer of the server, of which `avail` bytes are there. MORE: it is judged when it is whole.
 */
enum sess_answer {
    SESS_ANSWER_PASS,
    SESS_ANSWER_MORE,
    SESS_ANSWER_HIDE,    /* it is not the client's */
    SESS_ANSWER_DROP,    /* nor is what is still to come of it */
    SESS_ANSWER_INSTEAD, /* worker->instead goes on in its place */
};
enum sess_answer sess_rewrite_answer(struct sess *s, const struct wire_frame *frame,
                                     const char *msg, size_t avail);

#endif
