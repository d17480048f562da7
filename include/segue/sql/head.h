/*
 * The head of an INSERT of which the rest is not looked at. Pure: text and rules in, text out.
 *
 * Without a list of columns an INSERT counts them, and a table that migrates has some that the
 * session does not see: values would go to those. All rows have as many values as the first, so
 * that what stands up to its end says which list is meant, and it can be put in there.
 */
#ifndef SEGUE_SQL_HEAD_H
#define SEGUE_SQL_HEAD_H

#include <stdbool.h>
#include <stddef.h>

#include "segue/base/rc.h"
#include "segue/sql/rewrite.h"

struct sql_head {
    size_t values; /* bytes in front of the word VALUES; 0: it was not found yet */
    size_t row;    /* bytes up to the end of the first row; 0: it does not end here */
};

/* Of a text that begins with `text`. RC_AGAIN: more of it is needed; RC_ERR: it is no INSERT of
 * VALUES without a list. */
enum rc sql_head_find(const char *text, size_t len, struct sql_head *head) MUST_CHECK;

/* What head->row bytes become: the list, and the table's name; no twins, which the rows behind have
 * not. False: they stay as they are, and *out has nothing. */
bool sql_head_rewrite(const struct sql_rules *rules, const struct sql_sight_of_session *session,
                      const char *text, const struct sql_head *head, struct sql_rewrite *out);

/* Would a list be needed, were the row whole: has the table a column that the session does not see
 * in front of one that it does? */
bool sql_head_lacks_list(const struct sql_rules *rules, const struct sql_sight_of_session *session,
                         const char *text, const struct sql_head *head);

#endif
