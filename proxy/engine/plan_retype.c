/*
 * A change of type under the column's own name. The new half is added under a temporary name, which
 * nobody is shown (engine/snapshot.c); the cut-over swaps the two names, the way back swaps them
 * again, contract drops the half that waits then.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "plan_build.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"

/* In a file `down` names the new half as the column, too. */
static char *down_over(const char *down, const char *column, const char *temp)
{
    return down ? sql_expr_rename(down, "", &column, &temp, 1, false, NULL) : NULL;
}

static void warn_of_places(struct build *b, const struct target *t, const char *column)
{
    char *object = mem_printf("column %s of %s", column, t->relation);

    build_warn(
        b, object,
        "name the columns in these statements before complete; SHOW USAGE names who does not "
        "(stars, positional)",
        "complete leaves it behind the other columns: SELECT *, COPY and INSERT without a "
        "list of columns count it there from then on, until then where it was");
    free(object);
}

/* What clients meet from the cut-over on. */
static void warn_of_types(struct build *b, const struct target *t, const struct pair *pair)
{
    const char *was = cat_text(cat_column(t->doc, pair->from), "type");
    char *object = mem_printf("column %s of %s", pair->from, t->relation);

    build_warn(b, object,
               "let clients connect anew after the cut-over, as those must that go on with such a "
               "statement (pgbench -M prepared stops); asyncpg prepares again by itself outside of "
               "a transaction, JDBC with autosave=conservative; or give it a new name, too: "
               "rename_column with \"type\"",
               "at the cut-over it becomes %s for everybody: who has prepared a statement that "
               "gives it gets \"cached plan must not change result type\" for that",
               pair->type);
    build_warn(b, object, "have such values written after complete only",
               "until complete each write also makes %s of it, for the way back: a value that does "
               "not fit is refused (of integers: \"integer out of range\")",
               was);
    free(object);
}

/* Who was seen to count columns of the table while earlier migrations of it were in flight. */
static void warn_of_clients(struct build *b, const struct target *t)
{
    char *who =
        build_seen(b, t,
                   "SELECT string_agg(format('user %s, application %s (%s, last on %s)', user_name,"
                   " application_name, what, at::timestamptz(0)), '; ') FROM (SELECT user_name,"
                   " application_name, string_agg(DISTINCT what, ', ') AS what, max(last_at) AS at"
                   " FROM segue.usage WHERE table_name = $1 AND what IN ('stars', 'positional')"
                   " GROUP BY 1, 2 ORDER BY 4 DESC LIMIT 5) u");

    if (who)
        build_warn(b, t->relation, "name the columns in their statements",
                   "clients that counted its columns in earlier migrations: %s", who);
    free(who);
}

/* An index has names of its own for its columns, which follow no RENAME of the table's. That of one
 * renames them in its parts, and wants to find them there: one that was attached may say others. */
static void name_in_indexes(struct target *t, const char *column, const char *temp)
{
    char *relation = sql_quote_literal(t->after), *from = sql_quote_literal(temp);
    char *to = sql_quote_literal(column), *literal;
    char *body = mem_printf(
        "DECLARE r record; p record; BEGIN FOR r IN SELECT i.indexrelid::pg_catalog.regclass AS"
        " name, a.attnum FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a ON a.attrelid"
        " OPERATOR(pg_catalog.=) i.indexrelid WHERE i.indrelid OPERATOR(pg_catalog.=)"
        " %s::pg_catalog.regclass AND a.attname OPERATOR(pg_catalog.=) %s LOOP"
        " FOR p IN SELECT x.attrelid::pg_catalog.regclass AS name, x.attname FROM"
        " pg_catalog.pg_partition_tree(r.name) k JOIN pg_catalog.pg_attribute x ON x.attrelid"
        " OPERATOR(pg_catalog.=) k.relid AND x.attnum OPERATOR(pg_catalog.=) r.attnum WHERE"
        " k.isleaf AND x.attname OPERATOR(pg_catalog.<>) %s LOOP EXECUTE pg_catalog.format("
        "'ALTER TABLE %%s RENAME COLUMN %%I TO %%I', p.name, p.attname, %s); END LOOP;"
        " EXECUTE pg_catalog.format('ALTER TABLE %%s RENAME COLUMN %%I TO %%I',"
        " r.name, %s, %s); END LOOP; END",
        relation, from, from, from, from, to);

    literal = sql_quote_literal(body);
    texts_add(&t->contract, "DO %s", literal);
    free(literal);
    free(body);
    free(to);
    free(from);
    free(relation);
}

enum rc target_plan_retype(struct build *b, struct target *t, struct pair *pair)
{
    char *temp = target_temp(t), *parked = target_temp(t);
    char *down = down_over(pair->down, pair->from, temp);
    const char *column = pair->from;
    enum rc rc;

    pair->to = temp;
    pair->down = down;
    pair->retypes = true;
    rc = target_plan_pair(b, t, pair);
    if (rc == RC_OK) {
        texts_add(&t->swaps, "%s", column);
        texts_add(&t->swaps, "%s", temp);
        texts_add(&t->swaps, "%s", parked);
        name_in_indexes(t, column, temp);
        if (pair->type)
            warn_of_types(b, t, pair);
        warn_of_places(b, t, column);
        if (t->swaps.n == 3) /* the first such column */
            warn_of_clients(b, t);
    }
    pair->to = retype_half(t, column);
    pair->down = NULL;
    free(down);
    free(parked);
    free(temp);
    return rc;
}

const char *retype_half(const struct target *t, const char *column)
{
    for (size_t i = 0; i < t->swaps.n; i += 3)
        if (!strcmp(t->swaps.v[i], column))
            return t->swaps.v[i + 1];
    return column;
}

char *retype_expr(const struct target *t, const char *expr, struct err *err)
{
    size_t n = t->swaps.n / 3;
    const char **from = mem_calloc(n + 1, sizeof(*from)), **to = mem_calloc(n + 1, sizeof(*to));
    char *out;

    for (size_t i = 0; i < n; i++) {
        from[i] = t->swaps.v[3 * i];
        to[i] = t->swaps.v[3 * i + 1];
    }
    out = n ? sql_expr_rename(expr, "", from, to, n, false, err) : mem_strdup(expr);
    free(from);
    free(to);
    return out;
}

bool retype_has(const struct target *t, const char *column)
{
    for (size_t i = 0; i < t->swaps.n; i += 3)
        if (!strcmp(t->swaps.v[i], column))
            return true;
    return false;
}

static bool reads_retyped(const struct target *t, const char *expr)
{
    struct sql_expr_info info;
    bool all = true;

    if (sql_expr_parse(expr, &info, NULL) != RC_OK)
        return false;
    for (size_t i = 0; i < info.ncolumns; i++)
        all &= !texts_has(&t->gone, info.columns[i]) || retype_has(t, info.columns[i]);
    sql_expr_info_fini(&info);
    return all;
}

bool retype_follows(struct build *b, const struct target *t, const char *expr, const char *over)
{
    char *rows = target_rows(b, t);
    char *sql = mem_printf("SELECT (%s)%s LIMIT 0", over, rows);
    PGresult *res = NULL;
    bool follows = reads_retyped(t, expr) && named_query(b, sql, 0, NULL, &res, NULL) == RC_OK;

    PQclear(res);
    free(sql);
    free(rows);
    return follows;
}

/* Without blanks, in lower case: enough to know what people write for a cast. */
static char *squeeze(const char *text)
{
    struct buf out = {0};

    for (; *text; text++)
        if (!strchr(" \t\n()\"", *text))
            buf_append_u8(&out, (uint8_t)tolower((unsigned char)*text));
    return buf_take(&out);
}

bool retype_is_cast(const struct eng_dual *dual)
{
    char *forms[] = {mem_printf("%s::%s", dual->old_name, dual->new_type),
                     mem_printf("cast(%s as %s)", dual->old_name, dual->new_type)};
    char *up = squeeze(dual->up);
    bool is = false;

    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        char *form = squeeze(forms[i]);

        is |= !strcmp(form, up);
        free(form);
        free(forms[i]);
    }
    free(up);
    return is;
}

bool retype_assigns(struct build *b, const struct eng_dual *dual)
{
    static const char sql[] =
        "SELECT 1 FROM pg_type o, pg_type n WHERE o.oid = to_regtype($1) AND n.oid = to_regtype($2)"
        " AND (o.oid = n.oid OR n.typcategory = 'S' OR EXISTS (SELECT FROM pg_cast c WHERE"
        " c.castsource = o.oid AND c.casttarget = n.oid AND c.castcontext <> 'e'))";
    const char *params[] = {dual->old_type, dual->new_type};
    char *yes = NULL;
    bool assigns = dual->retypes && retype_is_cast(dual) &&
                   own_value(b, sql, 2, params, &yes, NULL) == RC_OK && yes;

    free(yes);
    return assigns;
}

void retype_swap(struct target *t, struct eng_step *step)
{
    for (size_t i = 0; i < t->swaps.n; i += 3) {
        char *name = sql_quote_ident(t->swaps.v[i]), *other = sql_quote_ident(t->swaps.v[i + 1]);
        char *parked = sql_quote_ident(t->swaps.v[i + 2]);
        const char *moves[][2] = {{name, parked}, {other, name}, {parked, other}};

        for (size_t k = 0; k < ARRAY_LEN(moves); k++)
            step_sql(step, "ALTER TABLE %s RENAME COLUMN %s TO %s", t->relation, moves[k][0],
                     moves[k][1]);
        free(parked);
        free(other);
        free(name);
    }
}
