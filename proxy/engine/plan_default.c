/*
 * The default of a column and the sequence behind it: from one half of a pair to the other.
 *
 * "Not null" means to the guard that somebody has written the column. So the half that follows has
 * no default at any time, its type's own neither: a domain's gives way to DEFAULT NULL, which the
 * server keeps for that, and of other types forgets.
 */
#include <stdlib.h>
#include <string.h>

#include "plan_build.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"

/* ---- what leads has its default, what follows has none ---- */

enum rc type_default_read(struct build *b, const struct target *follows, const char *type,
                          struct type_default *out)
{
    static const char sql[] =
        "SELECT typtype = 'd', CASE typtype WHEN 'd' THEN pg_get_expr(typdefaultbin, 0) END,"
        " typtype <> 'd' AND typdefault IS NOT NULL FROM pg_type WHERE oid = to_regtype($1)";
    PGresult *res = NULL;
    enum rc rc = own_query(b, sql, 1, &type, &res, b->err);

    *out = (struct type_default){0};
    if (rc == RC_OK && PQntuples(res)) { /* else the file makes it */
        out->domain = PQgetvalue(res, 0, 0)[0] == 't';
        out->expr = PQgetisnull(res, 0, 1) ? NULL : mem_strdup(PQgetvalue(res, 0, 1));
        if (follows && PQgetvalue(res, 0, 2)[0] == 't')
            build_refuse(b, follows->relation,
                         "take another type, or make this one without DEFAULT",
                         "type %s has a default, which no column of it can be without: what nobody"
                         " has written would be taken for written",
                         type);
    }
    PQclear(res);
    return rc;
}

void type_default_fini(struct type_default *type)
{
    free(type->expr);
}

const char *default_none(const struct type_default *type)
{
    return type->domain ? "SET DEFAULT NULL" : "DROP DEFAULT";
}

const char *default_behind(const struct type_default *type)
{
    return type->expr ? " DEFAULT NULL" : "";
}

void default_follows(struct target *t, const char *column, const struct type_default *type)
{
    if (type->domain && !type->expr) /* it may get one */
        texts_add(&t->expand, "ALTER TABLE %s ALTER COLUMN %s SET DEFAULT NULL", t->relation,
                  column);
}

static void set_default(struct texts *list, const struct target *t, const char *column,
                        const char *def)
{
    if (def)
        texts_add(list, "ALTER TABLE %s ALTER COLUMN %s SET DEFAULT %s", t->relation, column, def);
    else
        texts_add(list, "ALTER TABLE %s ALTER COLUMN %s DROP DEFAULT", t->relation, column);
}

void default_leads_before(struct target *t, const char *column, const struct type_default *type,
                          const char *def)
{
    texts_add(&t->cutover, "ALTER TABLE %s ALTER COLUMN %s %s", t->relation, column,
              default_none(type));
    if (def || type->domain)
        set_default(&t->revert, t, column, def);
}

void default_leads_after(struct target *t, const char *column, const struct type_default *type,
                         const char *def)
{
    if (def || type->domain)
        set_default(&t->cutover, t, column, def);
    texts_add(&t->revert, "ALTER TABLE %s ALTER COLUMN %s %s", t->relation, column,
              default_none(type));
}

/* ---- through `up` ---- */

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

/* Of a new half whose type is an enum that this file makes: nobody can be asked. */
static void try_enum_default(struct build *b, const struct target *t, const struct eng_dual *dual,
                             const struct file_op *made, const char *def)
{
    static const char hint[] =
        "give the column a \"default\" in the file, or drop the old one first";
    char *sql = mem_printf("SELECT (%s)::pg_catalog.text", def), *value = NULL;
    bool is = false;

    if (!retype_is_cast(dual) || named_value(b, sql, 0, NULL, &value, NULL) != RC_OK) {
        build_warn(b, t->relation, hint,
                   "the default of \"%s\" goes through up to a type that is not there yet: it could"
                   " not be tried",
                   dual->old_name);
    } else {
        for (size_t i = 0; value && i < made->values.n; i++)
            is |= !strcmp(value, made->values.v[i]);
        if (value && !is)
            build_refuse(b, t->relation, hint,
                         "up cannot take the default of \"%s\": \"%s\" is not one of the values of"
                         " type %s",
                         dual->old_name, value, dual->new_type);
    }
    free(value);
    free(sql);
}

/* A default that `up` cannot take would only be found at the cut-over. Only a constant one is
 * tried: others may have effects. Functions that are not there yet are no fault. */
static void try_default(struct build *b, const struct target *t, const struct eng_dual *dual,
                        const char *def, const char *moved)
{
    const struct file_op *made = enum_of_file(b, dual->new_type);
    struct sql_expr_info info;
    struct err why = {0};
    char *sql = mem_printf("SELECT %s", moved), *value = NULL;

    if (sql_expr_parse(def, &info, NULL) == RC_OK) {
        if (info.constant && made && !strchr(dual->new_type, '['))
            try_enum_default(b, t, dual, made, def);
        else if (info.constant && !made && named_value(b, sql, 0, NULL, &value, &why) != RC_OK &&
                 strcmp(why.sqlstate, "42883") && strcmp(why.sqlstate, "3F000"))
            build_refuse(b, t->relation, "drop or change the default first",
                         "up cannot take the default of \"%s\": %s", dual->old_name, why.text);
        sql_expr_info_fini(&info);
    }
    free(value);
    free(sql);
}

static bool is_wider(const char *type, const char *than)
{
    static const char *const types[] = {"smallint", "integer", "bigint"};
    bool found = false;

    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (found && !strcmp(types[i], type))
            return true;
        found |= !strcmp(types[i], than);
    }
    return false;
}

/* So that it can count as far as the column. Until the old half is gone nothing larger fits anyway,
 * and the way back stays free. Whatever it is called by then, and if it is there: nothing is to
 * stop there. */
static void widen_sequence(struct build *b, struct target *t, const char *sequence,
                           const struct eng_dual *dual)
{
    static const char sql[] = "SELECT seqrelid::oid FROM pg_sequence WHERE seqrelid ="
                              " $1::regclass AND seqtypid = to_regtype($2)";
    static const char widen[] =
        "DECLARE s pg_catalog.regclass := (SELECT oid FROM pg_catalog.pg_class WHERE oid"
        " OPERATOR(pg_catalog.=) %s::pg_catalog.oid AND relkind OPERATOR(pg_catalog.=) 'S'); BEGIN"
        " IF s IS NOT NULL THEN EXECUTE pg_catalog.format('ALTER SEQUENCE %%s AS %s', s); END IF;"
        " END";
    const char *params[] = {sequence, dual->old_type};
    char *oid = NULL, *body, *literal;

    if (is_wider(dual->new_type, dual->old_type) &&
        own_value(b, sql, 2, params, &oid, NULL) == RC_OK && oid) {
        body = mem_printf(widen, oid, dual->new_type);
        literal = sql_quote_literal(body);
        texts_add(&t->contract, "DO %s", literal);
        free(literal);
        free(body);
    }
    free(oid);
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

/* Of an old column without one, of a domain with one; where the new one's type says what else. */
static char *type_default_moved(struct build *b, struct target *t, const struct eng_dual *dual,
                                const struct type_default *old, const struct type_default *new)
{
    char *moved = old->expr && !new->expr ? default_through_up(dual, old->expr) : NULL;

    if (old->expr && !new->expr && !moved)
        build_refuse(b, t->relation, "give one by \"default\", or let up read only the column",
                     "the default of type %s cannot be moved: up reads other columns than \"%s\"",
                     dual->old_type, dual->old_name);
    if (!moved)
        return NULL;
    try_default(b, t, dual, old->expr, moved);
    build_warn(b, t->relation, "DROP DEFAULT after complete, where it is not wanted any more",
               "column \"%s\" has the default of its type, %s: the new one has it as its own (ALTER"
               " TABLE ... TYPE would leave none)",
               dual->old_name, dual->old_type);
    return moved;
}

/* The server gives it its values: it has no default. */
static bool is_given(const json_t *column)
{
    return *cat_text(column, "generated") || *cat_text(column, "identity");
}

static char *moved_default(struct build *b, struct target *t, const json_t *column,
                           const struct eng_dual *dual, const struct file_change *change,
                           const struct type_default *old, const struct type_default *new)
{
    const char *def = cat_text(column, "default");
    char *moved;

    if (change && change->set)
        return mem_strdup(change->to);
    if (!def)
        return type_default_moved(b, t, dual, old, new);
    moved =
        dual->plain || retype_assigns(b, dual) ? mem_strdup(def) : default_through_up(dual, def);
    if (!moved)
        build_refuse(b, t->relation, "drop the default first, or let up read only the column",
                     "the default of \"%s\" cannot be moved: up reads other columns",
                     dual->old_name);
    else if (!dual->plain)
        try_default(b, t, dual, def, moved);
    return moved;
}

static enum rc carry_given(struct build *b, struct target *t, const json_t *column,
                           struct eng_dual *dual, const struct file_change *change,
                           const struct type_default *type)
{
    const char *def = cat_text(column, "default");
    char *old = sql_quote_ident(dual->old_name), *new = sql_quote_ident(dual->new_name);
    struct type_default was;
    char *moved;
    enum rc rc = type_default_read(b, t, dual->old_type, &was);

    if (rc == RC_OK) {
        moved = moved_default(b, t, column, dual, change, &was, type);
        default_leads_before(t, old, &was, def);
        default_leads_after(t, new, type, moved);
        dual->old_default = mem_strdup(def ? def : "");
        dual->new_default = moved ? moved : mem_strdup("");
    }
    type_default_fini(&was);
    free(new);
    free(old);
    return rc;
}

enum rc carry_default(struct build *b, struct target *t, const json_t *column,
                      struct eng_dual *dual, const struct file_change *change,
                      const struct type_default *type)
{
    const char *sequence = cat_text(column, "sequence");
    char *old, *new;

    if (!is_given(column) && carry_given(b, t, column, dual, change, type) != RC_OK)
        return RC_ERR;
    old = sql_quote_ident(dual->old_name);
    new = sql_quote_ident(dual->new_name);
    if (sequence && cat_text(column, "identity")[0])
        carry_identity(t, column, dual);
    if (sequence && cat_text(column, "identity")[0] == '\0') {
        if (strcmp(dual->old_type, dual->new_type) != 0)
            widen_sequence(b, t, sequence, dual);
        texts_add(&t->cutover, "ALTER SEQUENCE %s OWNED BY %s.%s", sequence, t->relation, new);
        texts_add(&t->revert, "ALTER SEQUENCE %s OWNED BY %s.%s", sequence, t->relation, old);
    }
    free(new);
    free(old);
    return warn_of_numbers(b, t, column, dual);
}
