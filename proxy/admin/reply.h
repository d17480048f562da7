/*
 * The console's answers as protocol messages, appended whole to a buffer.
 * Tables are {"columns": [...], "rows": [[...]]}; a plain object is a table of one row.
 */
#ifndef SEGUE_ADMIN_REPLY_H
#define SEGUE_ADMIN_REPLY_H

#include <jansson.h>

#include "segue/base/buf.h"
#include "segue/base/err.h"

/* RowDescription and a DataRow each row. A column is bool, int8 or float8 when all its values
 * are, else text: strings raw, true / false as t / f, numbers plain, the rest compact JSON. */
void adm_reply_table(struct buf *out, const json_t *table);
void adm_reply_complete(struct buf *out, const char *tag);
void adm_reply_empty(struct buf *out); /* EmptyQueryResponse */
void adm_reply_error(struct buf *out, const struct err *err);
void adm_reply_ready(struct buf *out); /* ReadyForQuery, idle */

#endif
