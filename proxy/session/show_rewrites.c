/* SHOW REWRITES: what statements that name migrating tables have become, and why others have not.
 */
#include <stdlib.h>

#include "segue/base/mem.h"
#include "segue/base/utf8.h"
#include "segue/session/show.h"
#include "worker.h"

#define SHOWN_MAX 100       /* of each worker, the last used */
#define TEXT_BYTES_MAX 2000 /* of each text */

struct list {
    json_t *rows;
    const struct sess_worker *worker;
    unsigned left;
};

/* As far as it is shown. It need not be UTF-8. */
static json_t *text_of(const char *bytes, size_t len)
{
    char *copy = mem_strndup(bytes, len < TEXT_BYTES_MAX ? len : TEXT_BYTES_MAX);
    json_t *value;

    utf8_mend(copy);
    value = json_string(copy);
    free(copy);
    return value;
}

static json_t *reason_of(const struct sql_rewrite *rewrite)
{
    if (rewrite->early)
        return json_string("refused: a new column is read too early");
    if (rewrite->doubt != SQL_DOUBT_NONE)
        return json_string(sql_doubt_text(rewrite->doubt));
    return json_null();
}

static bool put_row(void *ctx, const struct sql_cached *cached)
{
    const struct sql_rewrite *rewrite = cached->rewrite;
    struct list *list = ctx;
    json_t *row;

    if (!rewrite->text && !rewrite->early && rewrite->doubt == SQL_DOUBT_NONE)
        return true;
    row = json_pack("[i, I, s, o]", (int)list->worker->number, (json_int_t)cached->uses,
                    sess_side_name(cached->session->side), text_of(cached->text, cached->len));
    json_array_append_new(row, rewrite->text ? text_of(rewrite->text, rewrite->len) : json_null());
    json_array_append_new(row, reason_of(rewrite));
    json_array_append_new(list->rows, row);
    return --list->left > 0;
}

json_t *sess_show_rewrites(struct sess_plane *plane)
{
    json_t *rows = json_array();

    for (unsigned i = 0; i < plane->nworkers; i++) {
        struct sess_worker *w = plane->workers[i];
        struct list list = {rows, w, SHOWN_MAX};

        pthread_mutex_lock(&w->cache_lock);
        sql_cache_each(w->cache, put_row, &list);
        pthread_mutex_unlock(&w->cache_lock);
    }
    return json_pack("{s: [s, s, s, s, s, s], s: o}", "columns", "worker", "uses", "side",
                     "statement", "sent_instead", "left_because", "rows", rows);
}
