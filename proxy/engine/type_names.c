#include "type_names.h"

#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"
#include "segue/sql/expr.h"
#include "turned.h"

static void put_column(struct buf *rows, const char *relation, const char *name, const char *type)
{
    const char *texts[] = {relation, name, type};

    if (!name || !type)
        return;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        char *literal = sql_quote_literal(texts[i]);

        buf_printf(rows, "%s%s", i ? ", " : rows->len ? ", (" : "(", literal);
        free(literal);
    }
    buf_append_str(rows, ")");
}

static void put(struct buf *rows, const char *relation, const struct eng_dual *dual, bool back)
{
    (void)back;
    put_column(rows, relation, dual->old_name, dual->old_type);
    put_column(rows, relation, dual->new_name, dual->new_type);
}

/* What the server says of a name that is not there (a type, a function, a schema), or that is
 * another one's by now. */
static bool may_be_of_names(const struct err *err)
{
    static const char *const states[] = {"42704", "42883", "3F000", "42804"};

    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        if (!strcmp(err->sqlstate, states[i]))
            return true;
    return false;
}

void type_names_explain(struct eng_engine *engine, const struct eng_migration *m, struct err *err)
{
    bool back = m->phase == PH_SOAKING || m->phase == PH_REVERTING || m->phase == PH_CONTRACTING;
    struct err why = *err, ignored = {0};
    struct buf rows = {0};
    PGresult *res = NULL;

    if (!may_be_of_names(err))
        return;
    rows = eng_turned_rows(m->plan, back, put);
    if (rows.len)
        res = conn_query(&engine->work, &ignored,
                         "SELECT format('%%I of %%s', v.name, v.relation), v.type, "
                         "format_type(a.atttypid, a.atttypmod) FROM (VALUES %s) AS v (relation, "
                         "name, type) JOIN pg_attribute a ON a.attrelid = to_regclass(v.relation) "
                         "AND a.attname = v.name AND NOT a.attisdropped WHERE to_regtype(v.type) "
                         "IS DISTINCT FROM a.atttypid LIMIT 1",
                         rows.data);
    if (res && PQntuples(res)) {
        err_clear(err);
        err_set(err, "55000",
                "the type of column %s has got another name or schema from somebody: it was %s "
                "when the migration was planned, and is %s now (%s)",
                res_text(res, 0, 0), res_text(res, 0, 1), res_text(res, 0, 2), why.text);
        err_hint(err, "give it back that name (ALTER TYPE, ALTER SCHEMA .. RENAME TO), then try "
                      "again");
    }
    PQclear(res);
    buf_fini(&rows);
}
