/*
 * add_column. At once where no row need be written; else the column is added empty and filled:
 *
 *   a constant default, or none      the server keeps it in the catalog; a domain's as well, but
 *                                    none that a volatile cast makes
 *   up, or any other default         filled by it; the default is there from the cut-over on
 *   serial and the like              filled by a sequence, which the column owns
 *   generated, virtual               nothing is stored
 *
 * Constraints of the column are planned behind all columns: plan_alter.c, plan_constraint.c.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "plan_probe.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"

/* Nothing to fill: PostgreSQL keeps a constant default of a new column in the catalog. */
static void add_instant(struct target *t, const struct file_column *column, const char *name,
                        const struct eng_dual *dual, const struct type_default *type)
{
    const char *def = column->def ? column->def : type->expr;

    texts_add(&t->expand, "ALTER TABLE %s ADD COLUMN %s %s%s%s%s", t->relation, name,
              dual->new_type, def ? " DEFAULT " : "", def ? def : "",
              column->nullable && !column->pk ? "" : " NOT NULL");
    if (!column->def &&
        def) /* said for the rows that are there: not each server gives it to them */
        texts_add(&t->expand, "ALTER TABLE %s ALTER COLUMN %s DROP DEFAULT", t->relation, name);
}

static enum rc add_filled(struct build *b, struct target *t, const struct file_column *column,
                          const char *name, struct eng_dual *dual, const struct type_default *type)
{
    const char *def = dual->counts ? dual->def : column->def;
    enum rc rc = RC_OK;

    texts_add(&t->expand, "ALTER TABLE %s ADD COLUMN %s %s%s", t->relation, name, dual->new_type,
              default_behind(type));
    default_follows(t, name, type);
    t->fills = true;
    if (!column->nullable && !key_has(b, t, column->name))
        rc = carry_not_null(b, t, column->name, column->name, NULL);
    default_leads_after(t, name, type, def);
    dual->new_default = mem_strdup(def ? def : "");
    return rc;
}

static enum rc check_default(struct build *b, const char *path, const struct file_column *column,
                             const char *type)
{
    char *at;
    enum rc rc;

    if (!column->def)
        return RC_OK;
    at = mem_printf("%s.column.default", path);
    rc = check_given(b, at, column->def, type);
    free(at);
    return rc;
}

/* $1: the type, $2: types that something is cast to. A cast may be by a function, which is volatile
 * where nobody has said otherwise: the server would rewrite the table for each row's own value. */
static const char casts_sql[] =
    "SELECT 1 FROM pg_cast c JOIN pg_proc p ON p.oid = c.castfunc AND p.provolatile = 'v' WHERE"
    " c.casttarget = to_regtype($1) OR c.casttarget = ANY ($2::oid[]) LIMIT 1";

static enum rc is_made_by_volatile(struct build *b, const char *type, const char *def, bool *yes)
{
    struct sql_expr_info info;
    char *oids = NULL, *found = NULL;
    enum rc rc = sql_expr_parse(def, &info, b->err);

    if (rc != RC_OK)
        return rc;
    rc = types_named(b, info.casts, info.ncasts, &oids);
    if (rc == RC_OK)
        rc = own_value(b, casts_sql, 2, (const char *const[]){type, oids}, &found, b->err);
    *yes = found != NULL;
    free(found);
    free(oids);
    sql_expr_info_fini(&info);
    return rc;
}

/* Need no row be written? */
static enum rc is_instant(struct build *b, const struct target *t, const struct file_op *op,
                          const char *type, const char *def, bool *yes)
{
    char *column = NULL;
    bool barred = false;
    enum rc rc = RC_OK;

    *yes = !op->up && (!def || sql_expr_is_constant(def));
    if (*yes && def)
        rc = row_type_column(b, t, &column); /* then the server adds none with a default */
    *yes &= !column;
    free(column);
    if (rc == RC_OK && *yes && def)
        rc = is_made_by_volatile(b, type, def, &barred);
    *yes &= !barred;
    return rc;
}

/* ---- a column that counts by itself ---- */

/* $1: schema, $2: table, $3: column. As PostgreSQL calls it: the first such name that is free. */
static const char sequence_sql[] =
    "SELECT s FROM (SELECT i, format('%s_%s_seq%s', $2::text, $3::text, NULLIF(i, 0)) AS s FROM"
    " generate_series(0, 99) i) n WHERE octet_length(s) <= 63 AND"
    " to_regclass(format('%I.%I', $1::text, s)) IS NULL ORDER BY i LIMIT 1";

/* $1: the table, $2: its owner, $3: its schema. A sequence belongs to whom its table belongs to. */
static const char owner_sql[] =
    "SELECT quote_ident($2), CASE WHEN NOT has_schema_privilege($2::name, $3, 'CREATE') AND NOT"
    " (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN"
    "  format('GRANT CREATE ON SCHEMA %I TO %I', $3::text, $2::text) END"
    " WHERE $1::oid IS NOT NULL AND $2 <> current_user";

/* $1: the table. Who may write to it or to a partition of it: the guard counts for them, and so
 * does the default. */
static const char writers_sql[] =
    "SELECT string_agg(DISTINCT CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE"
    "  quote_ident(pg_get_userbyid(x.grantee)) END, ', ') FROM (SELECT $1::oid AS id UNION SELECT"
    "  relid FROM pg_partition_tree($1::oid::regclass)) r JOIN pg_class c ON c.oid = r.id,"
    " LATERAL (SELECT c.relacl AS acl UNION ALL SELECT a.attacl FROM pg_attribute a WHERE"
    "  a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) l, aclexplode(l.acl) x"
    " WHERE x.privilege_type IN ('INSERT', 'UPDATE') AND x.grantee <> c.relowner";

static enum rc own_sequence(struct build *b, struct target *t, const char *sequence,
                            const char *column)
{
    char *oid = mem_printf("%lld", (long long)json_integer_value(json_object_get(t->doc, "oid")));
    const char *params[] = {oid, cat_text(t->doc, "owner"), cat_text(t->doc, "schema")};
    PGresult *res = NULL;
    char *writers = NULL;
    enum rc rc = own_query(b, owner_sql, 3, params, &res, b->err);

    if (rc == RC_OK)
        rc = own_value(b, writers_sql, 1, params, &writers, b->err);
    if (rc == RC_OK && PQntuples(res)) {
        texts_add(&t->expand, "ALTER SEQUENCE %s OWNER TO %s", sequence, PQgetvalue(res, 0, 0));
        if (!PQgetisnull(res, 0, 1))
            build_refuse(b, sequence, PQgetvalue(res, 0, 1),
                         "it is to belong to the table's owner, who may not create in its schema");
    }
    if (rc == RC_OK)
        texts_add(&t->expand, "ALTER SEQUENCE %s OWNED BY %s.%s", sequence, t->relation, column);
    if (rc == RC_OK && writers) {
        texts_add(&t->expand, "GRANT USAGE ON SEQUENCE %s TO %s", sequence, writers);
        build_warn(b, sequence, "REVOKE it after complete from those who give the column a value",
                   "USAGE of it is granted to those who may write to the table: %s", writers);
    }
    free(writers);
    PQclear(res);
    free(oid);
    return rc;
}

/* The name, quoted; heap, NULL with an error. */
static char *sequence_name(struct build *b, const struct target *t, const char *path,
                           const char *column)
{
    const char *schema = cat_text(t->doc, "schema"), *table = cat_text(t->doc, "name");
    char *at = mem_printf("%s.column.type", path), *name = NULL, *out = NULL;

    if (own_value(b, sequence_sql, 3, (const char *const[]){schema, table, column}, &name,
                  b->err) == RC_OK &&
        !name)
        build_fail_hint(
            b, at, "make a sequence in an earlier migration, and let \"default\" count with it",
            "its sequence would be called \"%s_%s_seq\", which is taken, or too long", table,
            column);
    if (name && refuse_schema(b, schema, "the column's sequence is") == RC_OK)
        out = sql_quote_qualified(schema, name);
    free(name);
    free(at);
    return out;
}

/* The server may not have counted them, or long ago: a few are counted here, of more the planner
 * makes a guess by the size that the table has now. */
static enum rc rows_of(struct build *b, const struct target *t, bool few, double *rows)
{
    char *sql =
        few ? mem_printf("SELECT count(*) FROM (SELECT FROM %s LIMIT %d) s", t->relation, INT16_MAX)
            : mem_printf("EXPLAIN (FORMAT JSON) SELECT FROM %s", t->relation);
    char *answer = NULL;
    enum rc rc = own_value(b, sql, 0, NULL, &answer, b->err);
    json_t *told = rc == RC_OK && answer ? json_loads(answer, JSON_DECODE_ANY, NULL) : NULL;
    const json_t *plan = json_object_get(json_array_get(told, 0), "Plan");

    *rows = json_number_value(few ? told : json_object_get(plan, "Plan Rows"));
    json_decref(told);
    free(answer);
    free(sql);
    return rc;
}

/* Whoever writes meets the end of the sequence: rows that come need room, too. */
static enum rc refuse_narrow(struct build *b, const struct target *t, const char *column,
                             const char *type)
{
    bool few = !strcmp(type, "smallint");
    double most = few ? INT16_MAX : !strcmp(type, "integer") ? INT32_MAX : 0, rows = 0;
    bool looks = most && json_is_true(json_object_get(t->doc, "owned")); /* else refused as such */
    enum rc rc = looks ? rows_of(b, t, few, &rows) : RC_OK;

    if (rc == RC_OK && rows * 2 > most)
        build_refuse(b, t->relation, "take bigserial",
                     "column \"%s\": the table has some %.0f rows, and a sequence of type %s"
                     " ends at %.0f",
                     column, rows, type, most);
    return rc;
}

/* As the server does from 15 on: a crash empties both, and the numbers begin anew. */
static const char *persistence_of_sequence(const struct build *b, const struct target *t)
{
    bool unlogged = !strcmp(cat_text(t->doc, "persistence"), "u");

    return unlogged && PQserverVersion(b->conn) >= 150000 ? "UNLOGGED " : "";
}

/* CREATE TABLE makes these three of the word; of a table that has rows it would rewrite them. */
static enum rc add_serial(struct build *b, struct target *t, const char *path,
                          const struct file_column *column, const char *name, struct eng_dual *dual)
{
    char *sequence = sequence_name(b, t, path, column->name), *literal;
    enum rc rc;

    if (!sequence || refuse_narrow(b, t, column->name, file_counts_in(column->type)) != RC_OK) {
        free(sequence);
        return RC_ERR;
    }
    literal = sql_quote_literal(sequence);
    dual->counts = true;
    dual->up = mem_printf("pg_catalog.nextval(%s::pg_catalog.regclass)", literal);
    dual->def = mem_strdup(dual->up);
    texts_add(&t->expand, "CREATE %sSEQUENCE %s AS %s", persistence_of_sequence(b, t), sequence,
              file_counts_in(column->type));
    rc = add_filled(b, t, column, name, dual, &(struct type_default){0});
    if (rc == RC_OK)
        rc = own_sequence(b, t, sequence, name);
    free(literal);
    free(sequence);
    return rc;
}

/* ---- the operation ---- */

static void note_column(struct target *t, const char *name)
{
    texts_add(&t->new_columns, "%s", name);
    texts_add(&t->shown, "%s", name);
}

static void comment_on(struct target *t, const struct file_column *column, const char *name)
{
    char *literal = column->comment ? sql_quote_literal(column->comment) : NULL;

    if (literal)
        texts_add(&t->expand, "COMMENT ON COLUMN %s.%s IS %s", t->relation, name, literal);
    free(literal);
}

/* Its name and its type: what every column has. NULL with an error. */
static struct eng_dual *new_dual(struct build *b, struct target *t, const char *path,
                                 const struct file_column *column)
{
    const char *counts = file_counts_in(column->type);
    char *type_path = mem_printf("%s.column.type", path);
    struct type_facts facts = {0};
    struct eng_dual *dual;
    enum rc rc = check_new_name(b, t, path, "column.name", column->name);

    if (rc == RC_OK)
        rc = check_type(b, type_path, counts ? counts : column->type, &facts);
    free(type_path);
    if (rc != RC_OK) {
        free(facts.name);
        return NULL;
    }
    check_domain(b, t, column->name, &facts);
    dual = target_dual(b, t);
    dual->new_name = mem_strdup(column->name);
    dual->new_type = facts.name;
    dual->not_null = !column->nullable || column->pk;
    return dual;
}

static enum rc judge_values(struct build *b, struct target *t, const char *path,
                            const struct file_op *op, struct eng_dual *dual,
                            const struct type_default *type)
{
    const struct file_column *column = &op->columns[0];
    const char *def = column->def ? column->def : type->expr, *up = op->up ? op->up : def;
    bool instant;

    if (is_instant(b, t, op, dual->new_type, def, &instant) != RC_OK ||
        check_default(b, path, column, dual->new_type) != RC_OK)
        return RC_ERR;
    if (instant || !up)
        return RC_OK;
    dual->up = mem_strdup(up);
    dual->def = mem_strdup(def);
    dual_read_columns(dual, dual->up);
    return op->up ? check_up_down(b, t, path, dual) : RC_OK;
}

static enum rc add_column(struct build *b, struct target *t, const char *path,
                          const struct file_op *op, struct eng_dual *dual,
                          const struct type_default *type)
{
    const struct file_column *column = &op->columns[0];
    bool counts = file_counts_in(column->type) != NULL;
    char *name;
    enum rc rc = RC_OK;

    if (!counts && judge_values(b, t, path, op, dual, type) != RC_OK)
        return RC_ERR;
    name = sql_quote_ident(column->name);
    note_column(t, name);
    if (counts)
        rc = add_serial(b, t, path, column, name, dual);
    else if (dual->up)
        rc = add_filled(b, t, column, name, dual, type);
    else
        add_instant(t, column, name, dual, type);
    comment_on(t, column, name);
    free(name);
    return rc == RC_OK && op->up ? probe_dual(b, t, path, dual, true) : rc;
}

enum rc plan_add(struct build *b, struct target *t, const char *path, const struct file_op *op)
{
    const struct file_column *column = &op->columns[0];
    struct type_default type;
    struct eng_dual *dual;
    enum rc rc;

    if (column->computed)
        return RC_OK; /* behind the columns that it may read */
    dual = new_dual(b, t, path, column);
    if (!dual || type_default_read(b, t, dual->new_type, &type) != RC_OK)
        return RC_ERR;
    rc = add_column(b, t, path, op, dual, &type);
    type_default_fini(&type);
    return rc;
}

/* ---- virtual columns ---- */

const struct file_column *added_generated(const struct build *b, const struct target *t,
                                          const char *name)
{
    for (size_t i = 0; i < b->file->nops; i++) {
        const struct file_op *op = &b->file->ops[i];

        if (op->kind == FILE_ADD_COLUMN && b->op_target[i] == t - b->targets &&
            op->columns[0].computed && !strcmp(op->columns[0].name, name))
            return &op->columns[0];
    }
    return NULL;
}

/* As the server says it of an empty copy: what it reads, of which type it is, what it calls. */
static enum rc check_computed(struct build *b, const struct target *t, const char *path,
                              const struct file_column *column, const char *expr)
{
    struct buf text = {0};
    struct probe_part part = {mem_printf("%s.column.generated.expression", path), NULL};
    enum rc rc = check_expr_stays(b, t, part.path, column->generated);

    buf_printf(&text, "ADD COLUMN \"~segue_computed\" %s", column->type);
    column_generated(&text, column, expr);
    part.sql = buf_take(&text);
    if (rc == RC_OK)
        rc = probe_added(b, t, &part);
    free(part.sql);
    free(part.path);
    return rc;
}

enum rc plan_add_computed(struct build *b, struct target *t, const char *path,
                          const struct file_op *op)
{
    const struct file_column *column = &op->columns[0];
    char *at, *expr, *name;
    struct buf text = {0};
    enum rc rc;

    if (!column->computed)
        return RC_OK;
    at = mem_printf("%s.column.generated.virtual", path);
    rc = check_version(b, at, 18, "virtual columns come");
    free(at);
    expr = rc == RC_OK ? retype_expr(t, column->generated, b->err) : NULL;
    if (!expr || check_computed(b, t, path, column, expr) != RC_OK ||
        !new_dual(b, t, path, column)) {
        free(expr);
        return RC_ERR;
    }
    name = sql_quote_ident(column->name);
    note_column(t, name);
    column_generated(&text, column, expr);
    texts_add(&t->expand, "ALTER TABLE %s ADD COLUMN %s %s%s", t->relation, name, column->type,
              text.data);
    comment_on(t, column, name);
    buf_fini(&text);
    free(name);
    free(expr);
    return RC_OK;
}
