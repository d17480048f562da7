/*
 * Would the server make an index? Tried on an empty copy of the table: temporary, so that nobody
 * else sees it, and undone at once. The table itself is only read (ACCESS SHARE), as by any look at
 * its rows.
 */
#include <stdlib.h>
#include <string.h>

#include "plan_build.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"

#define COPY "pg_temp.\"~segue_probe\""

/* What the file makes before indexes are built may be what is missing now. */
static bool may_be_made(const struct build *b)
{
    for (size_t i = 0; i < b->file->nops; i++) {
        const struct file_op *op = &b->file->ops[i];

        if ((op->kind == FILE_SQL && !op->on_complete) || op->kind == FILE_CREATE_ENUM ||
            op->kind == FILE_ADD_ENUM_VALUE)
            return true;
    }
    return false;
}

static void put_column(struct build *b, struct buf *out, const char *name, const char *type)
{
    buf_append_str(out, out->len ? ", " : "");
    sql_quote_ident_put(out, name);
    buf_printf(out, " %s", type_by_now(b, type));
}

/* Its columns, with those that are new by then. */
static char *live_columns(struct build *b, const struct target *t)
{
    const struct eng_table *table = t->table >= 0 ? &b->plan->tables[t->table] : NULL;
    struct buf out = {0};

    buf_printf(&out, "LIKE %s INCLUDING GENERATED", t->relation);
    for (size_t i = 0; table && i < table->nduals; i++)
        if (table->duals[i].new_name)
            put_column(b, &out, table->duals[i].new_name, table->duals[i].new_type);
    return buf_take(&out);
}

static char *made_columns(struct build *b, const struct file_op *made)
{
    struct buf out = {0};

    for (size_t i = 0; i < made->ncolumns; i++)
        put_column(b, &out, made->columns[i].name, made->columns[i].type);
    return buf_take(&out);
}

static enum rc run(struct build *b, char *sql_take, struct err *why)
{
    PGresult *res = NULL;
    enum rc rc = named_query(b, sql_take, 0, NULL, &res, why);

    PQclear(res);
    free(sql_take);
    return rc;
}

/* *copied: was there a copy to try it on? */
static enum rc try_index(struct build *b, const struct probe_index *index, bool *copied,
                         struct err *why)
{
    char *columns = index->made ? made_columns(b, index->made) : live_columns(b, index->table);
    enum rc rc = run(b, mem_printf("CREATE TEMPORARY TABLE " COPY " (%s)", columns), why);

    *copied = rc == RC_OK;
    if (rc == RC_OK)
        rc = run(b,
                 mem_printf("CREATE %sINDEX ON " COPY " %s", index->unique ? "UNIQUE " : "",
                            index->definition),
                 why);
    free(columns);
    return rc;
}

/* Is it what the index says, or something of this moment? */
static bool is_about_index(const struct err *why)
{
    static const char *const classes[] = {"0A", "22", "42", "54"};

    for (size_t i = 0; i < ARRAY_LEN(classes); i++)
        if (!strncmp(why->sqlstate, classes[i], 2))
            return true;
    return false;
}

static enum rc report(struct build *b, const struct probe_index *index, bool copied,
                      const struct err *why)
{
    char *object;

    if (copied && is_about_index(why) && !may_be_made(b)) {
        if (why->hint[0])
            err_hint(b->err, "%s", why->hint);
        return build_fail(b, index->path, "%s", why->text);
    }
    object = mem_printf("index %s", index->name);
    build_warn(b, object, NULL, "it could not be tried on an empty copy of the table: %s",
               why->text);
    free(object);
    return RC_OK;
}

enum rc probe_index(struct build *b, const struct probe_index *index)
{
    struct err why = {0};
    bool copied = false, outer;
    enum rc rc = probe_begin(b, "BEGIN", &outer, &why);

    if (rc == RC_OK) {
        rc = try_index(b, index, &copied, &why);
        if (probe_undo(b, outer) != RC_OK)
            return build_fail(b, index->path, "%s", PQerrorMessage(b->conn));
    }
    return rc == RC_OK ? RC_OK : report(b, index, copied, &why);
}
