#include "type_names.h"

#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"
#include "segue/sql/expr.h"
#include "turned.h"

#define COLUMN_TOLD "column \""
#define LABEL_TOLD "the label '"

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

/* ---- columns ---- */

static void put_names(struct buf *rows, const struct eng_table *table, char *const *names, size_t n)
{
    char *relation = sql_quote_qualified(table->schema, table->name);
    char *of = sql_quote_literal(relation);

    for (size_t i = 0; i < n; i++) {
        char *literal = names[i] ? sql_quote_literal(names[i]) : NULL;

        if (literal)
            buf_printf(rows, "%s(%u::oid, %s, %s)", rows->len ? ", " : "", table->oid, of, literal);
        free(literal);
    }
    free(of);
    free(relation);
}

static void put_columns(struct buf *rows, const struct eng_table *plan, bool reverse)
{
    struct eng_table table;

    eng_turned_init(&table, plan, reverse);
    if (reverse && plan->renamed)
        table.name = plan->renamed;
    for (size_t i = 0; i < table.nduals; i++) {
        const struct eng_dual *dual = &table.duals[i];

        put_names(rows, &table, (char *const[]){dual->old_name, dual->new_name}, 2);
        put_names(rows, &table, dual->up_columns, dual->nup_columns);
        put_names(rows, &table, dual->down_columns, dual->ndown_columns);
    }
    eng_turned_fini(&table);
}

/* Another table than was planned for is another check's. */
enum rc type_names_columns(struct eng_engine *engine, const struct eng_migration *m,
                           struct err *err)
{
    static const unsigned there = PH_BIT(PH_BACKFILLING) | PH_BIT(PH_VERIFYING) | PH_BIT(PH_READY) |
                                  PH_BIT(PH_CUTTING_OVER) | PH_BIT(PH_SOAKING) |
                                  PH_BIT(PH_REVERTING);
    struct buf rows = {0};
    PGresult *res;

    if (!(there & PH_BIT(m->phase)))
        return RC_OK;
    for (size_t i = 0; i < m->plan->ntables; i++)
        put_columns(&rows, &m->plan->tables[i], m->phase == PH_SOAKING || m->phase == PH_REVERTING);
    if (!rows.len)
        return RC_OK;
    res = conn_query(&engine->work, err,
                     "SELECT v.name, v.relation FROM (VALUES %s) AS v (oid, relation, name) WHERE "
                     "to_regclass(v.relation) = v.oid AND NOT EXISTS (SELECT FROM pg_attribute a "
                     "WHERE a.attrelid = v.oid AND a.attname = v.name AND NOT a.attisdropped) "
                     "LIMIT 1",
                     rows.data);
    buf_fini(&rows);
    if (res && PQntuples(res)) {
        err_set(err, "55000",
                COLUMN_TOLD
                "%s\" of table %s is not there under that name any more: the guard does "
                "not find it, and writes that need it fail (42703)",
                res_text(res, 0, 0), res_text(res, 0, 1));
        err_hint(err,
                 "give it back that name until the migration has ended: ALTER TABLE %s RENAME "
                 "COLUMN .. TO \"%s\"",
                 res_text(res, 0, 1), res_text(res, 0, 0));
    }
    PQclear(res);
    return err_is_set(err) ? RC_ERR : RC_OK;
}

/* ---- labels ---- */

static void put_labels(struct buf *rows, const struct eng_table *table)
{
    for (size_t i = 0; i < table->nlabels; i++) {
        const char *label = strchr(table->labels[i], ' ');
        char *literal = label ? sql_quote_literal(label + 1) : NULL;

        if (literal)
            buf_printf(rows, "%s(%.*s::oid, %s)", rows->len ? ", " : "",
                       (int)(label - table->labels[i]), table->labels[i], literal);
        free(literal);
    }
}

static enum rc check_labels(struct eng_engine *engine, const struct eng_migration *m,
                            struct err *err)
{
    struct buf rows = {0};
    PGresult *res;

    for (size_t i = 0; i < m->plan->ntables; i++)
        put_labels(&rows, &m->plan->tables[i]);
    if (!rows.len)
        return RC_OK;
    res = conn_query(&engine->work, err,
                     "SELECT v.label, e.enumtypid::regtype, e.enumlabel, format('ALTER TYPE %%s "
                     "RENAME VALUE %%L TO %%L', e.enumtypid::regtype, e.enumlabel, v.label) FROM "
                     "(VALUES %s) AS v (oid, label) JOIN pg_enum e ON e.oid = v.oid WHERE "
                     "e.enumlabel <> v.label ORDER BY e.oid LIMIT 1",
                     rows.data);
    buf_fini(&rows);
    if (res && PQntuples(res)) {
        err_set(err, "55000",
                LABEL_TOLD
                "%s' of type %s has got another name from somebody: it is '%s' now; "
                "what was filled has the one of before, and writes to such rows may fail (22P02)",
                res_text(res, 0, 0), res_text(res, 0, 1), res_text(res, 0, 2));
        err_hint(err, "give it back that name until the migration has ended: %s",
                 res_text(res, 0, 3));
    }
    PQclear(res);
    return err_is_set(err) ? RC_ERR : RC_OK;
}

enum rc type_names_check(struct eng_engine *engine, const struct eng_migration *m, struct err *err)
{
    if (type_names_columns(engine, m, err) != RC_OK)
        return RC_ERR;
    return check_labels(engine, m, err);
}

enum rc type_names_watch(struct eng_engine *engine, const struct eng_migration *m, struct err *err)
{
    static const unsigned watched =
        PH_BIT(PH_BACKFILLING) | PH_BIT(PH_VERIFYING) | PH_BIT(PH_READY) | PH_BIT(PH_SOAKING);

    if (!(watched & PH_BIT(m->phase)) || err_is_set(&m->failure))
        return RC_OK;
    return type_names_check(engine, m, err);
}

bool type_names_told(const struct err *failure)
{
    return !strcmp(failure->sqlstate, "55000") &&
           (!strncmp(failure->text, COLUMN_TOLD, sizeof(COLUMN_TOLD) - 1) ||
            !strncmp(failure->text, LABEL_TOLD, sizeof(LABEL_TOLD) - 1));
}

/* ---- types ---- */

/* The server says of the column, or the value, alone that there is none. */
static bool explain_values(struct eng_engine *engine, const struct eng_migration *m,
                           struct err *err)
{
    struct err why = {0};
    enum rc rc = !strcmp(err->sqlstate, "22P02")   ? check_labels(engine, m, &why)
                 : !strcmp(err->sqlstate, "42703") ? type_names_columns(engine, m, &why)
                                                   : RC_OK;

    if (rc == RC_OK || strcmp(why.sqlstate, "55000") != 0)
        return false;
    *err = why;
    return true;
}

void type_names_explain(struct eng_engine *engine, const struct eng_migration *m, struct err *err)
{
    bool back = m->phase == PH_SOAKING || m->phase == PH_REVERTING || m->phase == PH_CONTRACTING;
    struct err why = *err, ignored = {0};
    struct buf rows = {0};
    PGresult *res = NULL;

    if (explain_values(engine, m, err) || !may_be_of_names(err))
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
