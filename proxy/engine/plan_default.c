/* The default of a column and the sequence behind it: from one half of a pair to the other. */
#include <stdlib.h>
#include <string.h>

#include "plan_build.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"

/* `up` with the default in the place of the old column; NULL when it reads other columns. */
static char *default_through_up(const struct eng_dual *dual, const char *def)
{
    static const char *const to[] = {"~segue_default"};
    static const char mark[] = "\"~segue_default\"";
    const char *const from[] = {dual->old_name};
    struct buf out = {0};
    const char *p, *at;
    char *text;

    if (dual->nup_columns != 1 || strcmp(dual->up_columns[0], dual->old_name))
        return NULL;
    text = sql_expr_rename(dual->up, "", from, to, 1, false, NULL);
    if (!text)
        return NULL;
    buf_append_str(&out, "CAST((");
    for (p = text; (at = strstr(p, mark)); p = at + sizeof(mark) - 1) {
        buf_append(&out, p, (size_t)(at - p));
        buf_printf(&out, "(%s)", def);
    }
    buf_printf(&out, "%s) AS %s)", p, dual->new_type);
    free(text);
    return buf_take(&out);
}

/* A default that `up` cannot take would only be found at the cut-over. Only a constant one is
 * tried: others may have effects. Functions that are not there yet are no fault. */
static void try_default(struct build *b, const struct target *t, const struct eng_dual *dual,
                        const char *def, const char *moved)
{
    struct sql_expr_info info;
    struct err why = {0};
    char *sql = mem_printf("SELECT %s", moved), *value = NULL;

    if (sql_expr_parse(def, &info, NULL) == RC_OK) {
        if (info.constant && named_value(b, sql, 0, NULL, &value, &why) != RC_OK &&
            strcmp(why.sqlstate, "42883") && strcmp(why.sqlstate, "3F000"))
            build_refuse(b, t->relation, "drop or change the default first",
                         "up cannot take the default of \"%s\": %s", dual->old_name, why.text);
        sql_expr_info_fini(&info);
    }
    free(value);
    free(sql);
}

/* So that it can count as far as the column. Until the old half is gone nothing larger fits anyway,
 * and the way back stays free. */
static void widen_sequence(struct build *b, struct target *t, const char *sequence,
                           const struct eng_dual *dual)
{
    static const char sql[] = "SELECT 1 FROM pg_sequence WHERE seqrelid = $1::regclass AND"
                              " seqtypid = to_regtype($2)";
    const char *params[] = {sequence, dual->old_type};
    char *same = NULL;

    if (!strcmp(dual->new_type, "bigint") && own_value(b, sql, 2, params, &same, NULL) == RC_OK &&
        same)
        texts_add(&t->contract, "ALTER SEQUENCE %s AS bigint", sequence);
    free(same);
}

/* ---- who takes a number for nothing ---- */

/* $1: the table, $2: the column's number. What its default or its identity counts by: roles that
 * may insert and not use it (of an identity nobody asks), and how much is left of it where that is
 * less than a tenth. */
static const char counted_sql[] =
    "WITH s AS (SELECT d.refobjid AS id, true AS asked FROM pg_attrdef a JOIN pg_depend d ON"
    "  d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid AND d.refclassid ="
    "  'pg_class'::regclass WHERE a.adrelid = $1::oid AND a.adnum = $2::int2 UNION SELECT d.objid,"
    "  false FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.refclassid ="
    "  'pg_class'::regclass AND d.refobjid = $1::oid AND d.refobjsubid = $2::int2 AND d.deptype ="
    "  'i'), t AS (SELECT $1::oid AS id UNION SELECT relid FROM"
    "  pg_partition_tree($1::oid::regclass))"
    " SELECT q.seqrelid::regclass, (SELECT string_agg(quote_ident(r.rolname), ', ' ORDER BY"
    "   r.rolname) FROM pg_roles r WHERE s.asked AND NOT r.rolsuper AND r.rolname !~ '^pg_' AND"
    "   EXISTS (SELECT FROM t WHERE has_any_column_privilege(r.oid, t.id, 'INSERT')) AND NOT"
    "   has_sequence_privilege(r.oid, s.id, 'USAGE, UPDATE')),"
    " CASE WHEN l.n * 10 < (q.seqmax::numeric - q.seqmin) / abs(q.seqincrement) THEN l.n END"
    " FROM s JOIN pg_sequence q ON q.seqrelid = s.id, LATERAL (SELECT trunc((CASE WHEN"
    "   q.seqincrement > 0 THEN q.seqmax ELSE q.seqmin END::numeric - pg_sequence_last_value("
    "   s.id)) / q.seqincrement) AS n WHERE NOT q.seqcycle AND has_sequence_privilege(s.id,"
    "   'SELECT, USAGE') UNION ALL SELECT NULL LIMIT 1) l ORDER BY 1";

static void warn_of_number(struct build *b, const struct eng_dual *dual, const PGresult *res,
                           int row)
{
    const char *sequence = PQgetvalue(res, row, 0), *roles = PQgetvalue(res, row, 1);
    char *hint = mem_printf("GRANT USAGE ON SEQUENCE %s TO %s, until complete", sequence, roles);

    if (*roles)
        build_warn(b, sequence, hint,
                   "of \"%s\" and \"%s\" one at a time has the default: an INSERT that gives the"
                   " other takes a number all the same where segue does not write both (COPY,"
                   " writers past it, after a change of type), and gets 42501 by a role that may"
                   " not use the sequence: %s",
                   dual->old_name, dual->new_name, roles);
    free(hint);
    hint = mem_printf("ALTER SEQUENCE %s CYCLE where every INSERT gives the column a value, else"
                      " more room first",
                      sequence);
    if (!PQgetisnull(res, row, 2))
        build_warn(
            b, sequence, hint,
            "it has %s numbers left, and until complete an INSERT that gives \"%s\" or \"%s\""
            " may take one all the same: behind the last one it gets 2200H",
            PQgetvalue(res, row, 2), dual->old_name, dual->new_name);
    free(hint);
}

/* The server works a default out before the guard sees the row. Of a column that changes its type
 * under its name everybody names the half that has it. */
static enum rc warn_of_numbers(struct build *b, const struct target *t, const json_t *column,
                               const struct eng_dual *dual)
{
    char *oid = mem_printf("%lld", (long long)json_integer_value(json_object_get(t->doc, "oid")));
    char *num = mem_printf("%lld", (long long)json_integer_value(json_object_get(column, "num")));
    const char *params[] = {oid, num};
    PGresult *res = NULL;
    enum rc rc = RC_OK;

    if (!dual->retypes)
        rc = own_query(b, counted_sql, 2, params, &res, b->err);
    for (int row = 0; rc == RC_OK && res && row < PQntuples(res); row++)
        warn_of_number(b, dual, res, row);
    PQclear(res);
    free(num);
    free(oid);
    return rc;
}

enum rc carry_default(struct build *b, struct target *t, const json_t *column,
                      const struct eng_dual *dual, const struct file_change *change)
{
    const char *def = cat_text(column, "default"), *sequence = cat_text(column, "sequence");
    char *old = sql_quote_ident(dual->old_name), *new = sql_quote_ident(dual->new_name);
    char *moved = NULL;

    if (change && change->set) {
        moved = mem_strdup(change->to);
    } else if (def && cat_text(column, "generated")[0] == '\0') {
        moved = dual->plain || retype_assigns(b, dual) ? mem_strdup(def)
                                                       : default_through_up(dual, def);
        if (!moved)
            build_refuse(b, t->relation, "drop the default first, or let up read only the column",
                         "the default of %s cannot be moved: up reads other columns", old);
    }
    if (moved && !dual->plain && !(change && change->set))
        try_default(b, t, dual, def, moved);
    if (def && cat_text(column, "generated")[0] == '\0') {
        texts_add(&t->cutover, "ALTER TABLE %s ALTER COLUMN %s DROP DEFAULT", t->relation, old);
        texts_add(&t->revert, "ALTER TABLE %s ALTER COLUMN %s SET DEFAULT %s", t->relation, old,
                  def);
    }
    if (moved) {
        texts_add(&t->cutover, "ALTER TABLE %s ALTER COLUMN %s SET DEFAULT %s", t->relation, new,
                  moved);
        texts_add(&t->revert, "ALTER TABLE %s ALTER COLUMN %s DROP DEFAULT", t->relation, new);
    }
    if (sequence && cat_text(column, "identity")[0])
        carry_identity(t, column, dual);
    if (sequence && cat_text(column, "identity")[0] == '\0') {
        if (strcmp(dual->old_type, dual->new_type) != 0)
            widen_sequence(b, t, sequence, dual);
        texts_add(&t->cutover, "ALTER SEQUENCE %s OWNED BY %s.%s", sequence, t->relation, new);
        texts_add(&t->revert, "ALTER SEQUENCE %s OWNED BY %s.%s", sequence, t->relation, old);
    }
    free(moved);
    free(new);
    free(old);
    return warn_of_numbers(b, t, column, dual);
}
