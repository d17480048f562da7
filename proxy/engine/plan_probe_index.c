/*
 * Would the server make an index, a constraint, a generated column? Tried on an empty copy of the
 * table: temporary, so that nobody else sees it, and undone at once. The table itself is only read
 * (ACCESS SHARE), as by any look at its rows.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan_build.h"
#include "plan_probe.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"

#define COPY "pg_temp.\"~segue_probe\""
#define HINT "say it there as the server would make it, or leave it out"

/* What a statement of the file may change: what there is, of which type, how steady a function. */
static bool is_of_things(const char *sqlstate)
{
    static const char *const states[] = {"42704" /* undefined_object */,
                                         "42883" /* undefined_function */,
                                         "42P01" /* undefined_table */,
                                         "42703" /* undefined_column */,
                                         "42725" /* ambiguous_function */,
                                         "42804" /* datatype_mismatch */,
                                         "42846" /* cannot_coerce */,
                                         "42P17" /* invalid_object_definition: not IMMUTABLE */,
                                         "42501" /* insufficient_privilege */};
    bool is = false;

    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        is |= !strcmp(states[i], sqlstate);
    return is;
}

/* What the file makes before indexes are built may be what is missing now. In the copy an enum of
 * its own is a text; of one that is there it may add the value. */
static bool may_be_made(const struct build *b, const struct err *why)
{
    bool value = !strcmp(why->sqlstate, "22P02"), thing = is_of_things(why->sqlstate);
    bool may = false;

    for (size_t i = 0; i < b->file->nops; i++) {
        const struct file_op *op = &b->file->ops[i];

        may |= op->kind == FILE_SQL && !op->on_complete && (thing || value);
        may |= op->kind == FILE_CREATE_ENUM && thing;
        may |= op->kind == FILE_ADD_ENUM_VALUE && value;
    }
    return may;
}

/* ---- the copy ---- */

static void put_column(struct build *b, struct buf *out, const char *name, const char *type)
{
    buf_append_str(out, out->len ? ", " : "");
    sql_quote_ident_put(out, name);
    buf_printf(out, " %s", type_by_now(b, type));
}

/* Its columns, with those that are new by then; `all`: those too that the server computes. */
static char *live_columns(struct build *b, const struct target *t, bool all)
{
    const struct eng_table *table = t->table >= 0 ? &b->plan->tables[t->table] : NULL;
    struct buf out = {0};

    buf_printf(&out, "LIKE %s INCLUDING GENERATED", t->relation);
    for (size_t i = 0; table && i < table->nduals; i++) {
        const struct eng_dual *dual = &table->duals[i];
        const struct file_column *added =
            dual->new_name ? added_generated(b, t, dual->new_name) : NULL;
        char *expr = added ? retype_expr(t, added->generated, NULL) : NULL;

        if (dual->new_name && (all || !added))
            put_column(b, &out, dual->new_name, dual->new_type);
        if (all && added)
            column_generated(&out, added, expr);
        free(expr);
    }
    return buf_take(&out);
}

static char *made_columns(struct build *b, const struct file_op *made, bool all)
{
    struct buf out = {0};

    for (size_t i = 0; i < made->ncolumns; i++) {
        const struct file_column *column = &made->columns[i];

        if (!all && (column->generated || column->identity))
            continue;
        put_column(b, &out, column->name, column->type);
        column_generated(&out, column, column->generated);
    }
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

/* key: as below, or NULL */
static enum rc make_copy(struct build *b, const char *columns, const char *key, struct err *why)
{
    return run(b,
               mem_printf("CREATE TEMPORARY TABLE " COPY " (%s)%s%s", columns,
                          key ? " PARTITION BY " : "", key ? key : ""),
               why);
}

/* "RANGE (at)" of a partitioned table, and of partitions that have some: unique indexes want those
 * columns. One that is empty of any other table. */
static enum rc partition_keys(struct build *b, const struct target *t, PGresult **out)
{
    static const char sql[] = "SELECT DISTINCT pg_get_partkeydef(p.partrelid) FROM"
                              " pg_partition_tree($1::regclass) t JOIN pg_partitioned_table p ON"
                              " p.partrelid = t.relid WHERE $2::bool UNION ALL SELECT NULL WHERE"
                              " NOT $2::bool";
    const char *params[] = {t ? t->relation : NULL, t && is_partitioned(t) ? "t" : "f"};

    return own_query(b, sql, 2, params, out, b->err);
}

/* ---- what the server says ---- */

/* Is it about what the file says, or something of this moment? */
static bool is_about_file(const struct err *why)
{
    static const char *const classes[] = {"0A", "22", "42", "54"};

    for (size_t i = 0; i < ARRAY_LEN(classes); i++)
        if (!strncmp(why->sqlstate, classes[i], 2))
            return true;
    return false;
}

static enum rc report(struct build *b, const char *path, const char *object, bool copied,
                      const struct err *why)
{
    if (copied && is_about_file(why) && !may_be_made(b, why)) {
        err_hint(b->err, "%s", why->hint[0] ? why->hint : HINT);
        return build_fail(b, path, "%s: %s", object, why->text);
    }
    build_warn(b, object, NULL, "it could not be tried on an empty copy of the table: %s",
               why->text);
    return RC_OK;
}

/* `parts` one after the other, up to the first that fails, which becomes *failed; `columns`: of the
 * copy. */
static enum rc try_parts(struct build *b, const char *columns, const char *key,
                         const struct probe_part *parts, size_t n, bool *copied, size_t *failed,
                         struct err *why)
{
    bool outer;
    enum rc rc = probe_begin(b, "BEGIN", &outer, why);

    *copied = false;
    *failed = 0;
    if (rc != RC_OK)
        return rc;
    rc = make_copy(b, columns, key, why);
    *copied = rc == RC_OK;
    for (size_t i = 0; rc == RC_OK && i < n; i++) {
        *failed = i;
        rc = run(b, mem_printf("%s", parts[i].sql), why);
    }
    if (probe_undo(b, outer) != RC_OK)
        return build_fail(b, parts[*failed].path, "%s", PQerrorMessage(b->conn));
    return rc;
}

static enum rc try_and_report(struct build *b, const char *columns, const char *key,
                              const char *object, const char *hint, const struct probe_part *parts,
                              size_t n)
{
    struct err why = {0};
    bool copied;
    size_t failed;

    if (try_parts(b, columns, key, parts, n, &copied, &failed, &why) == RC_OK)
        return RC_OK;
    if (hint) /* in place of the server's */
        snprintf(why.hint, sizeof(why.hint), "%s", hint);
    if (key && copied && strstr(why.text, "artition"))
        err_hint(&why, "partitions are told by %s: a key has its columns, too", key);
    return err_is_set(b->err) ? RC_ERR : report(b, parts[failed].path, object, copied, &why);
}

/* ---- what is tried ---- */

enum rc probe_index(struct build *b, const struct probe_index *index)
{
    char *columns =
        index->made ? made_columns(b, index->made, true) : live_columns(b, index->table, true);
    char *object = mem_printf("index %s", index->name);
    struct probe_part part = {(char *)index->path,
                              mem_printf("CREATE %sINDEX ON " COPY " %s",
                                         index->unique ? "UNIQUE " : "", index->definition)};
    PGresult *keys = NULL;
    enum rc rc = partition_keys(b, index->unique ? index->table : NULL, &keys);

    for (int r = 0; rc == RC_OK && r < PQntuples(keys); r++)
        rc = try_and_report(b, columns, PQgetisnull(keys, r, 0) ? NULL : PQgetvalue(keys, r, 0),
                            object, index->hint, &part, 1);
    PQclear(keys);
    free(part.sql);
    free(object);
    free(columns);
    return rc;
}

enum rc probe_carried(struct build *b, const struct target *t, const char *object,
                      const char *definition, bool *refused)
{
    char *columns = live_columns(b, t, true);
    struct probe_part part = {NULL, mem_printf("CREATE INDEX ON " COPY " %s", definition)};
    struct err why = {0};
    size_t failed;
    bool copied = false;
    enum rc rc = try_parts(b, columns, NULL, &part, 1, &copied, &failed, &why);

    *refused = rc != RC_OK && copied && is_about_file(&why) && !may_be_made(b, &why);
    if (*refused)
        build_refuse(b, object, "drop it, and make a new one with create_index",
                     "it cannot follow the change of type: %s", why.text);
    else if (rc != RC_OK && !err_is_set(b->err))
        build_warn(b, object, NULL, "it could not be tried on an empty copy of the table: %s",
                   why.text);
    free(part.sql);
    free(columns);
    return err_is_set(b->err) ? RC_ERR : RC_OK;
}

#define DEFINED(index, options)                                                                    \
    "pg_catalog.replace(pg_catalog.substr(pg_catalog.pg_get_indexdef(" index "),"                  \
    " pg_catalog.strpos(pg_catalog.pg_get_indexdef(" index "), ' USING ')),"                       \
    " pg_catalog.concat(' WITH (', " options ", ')'), '')"
/* As the server says reloptions. */
#define OPTIONS(list)                                                                              \
    "(SELECT pg_catalog.string_agg(pg_catalog.concat(pg_catalog.quote_ident(v.name), '=',"         \
    " CASE WHEN pg_catalog.quote_ident(v.value) OPERATOR(pg_catalog.=) v.value THEN v.value"       \
    "  ELSE pg_catalog.quote_literal(v.value) END), ', ' ORDER BY v.no) FROM (SELECT o.no,"        \
    " pg_catalog.split_part(o.one, '=', 1) AS name, pg_catalog.substr(o.one, pg_catalog.strpos("   \
    "o.one, '=') OPERATOR(pg_catalog.+) 1) AS value FROM pg_catalog.unnest(" list                  \
    ") WITH ORDINALITY o(one, no)) v)"
/* $1: the table, $2: the copy. Indexes of leaves that are what the copy has, but for storage
 * parameters: of which partition, by which name, and what keeps them from being used ("": nothing).
 */
static const char twins_sql[] =
    "SELECT x.relation, x.name, CASE WHEN x.said IS NOT NULL THEN x.said WHEN x.marked THEN"
    "  'it is the replica identity, or the clustering mark' WHEN x.needed THEN 'something depends"
    " on it' WHEN x.space OPERATOR(pg_catalog.<>) 0 THEN 'it is in a tablespace of its own'"
    "  WHEN pg_catalog.concat(x.options) OPERATOR(pg_catalog.<>)"
    "  pg_catalog.concat(x.wanted) THEN 'it has other storage parameters' ELSE '' END"
    " FROM (SELECT p.relid::pg_catalog.regclass AS relation, i.indexrelid::pg_catalog.regclass AS"
    "  name, i.indisclustered OR i.indisreplident AS marked, c.reltablespace AS space, o.options,"
    "  w.options AS wanted, (SELECT pg_catalog.format('it is constraint %I', k.conname) FROM"
    "   pg_catalog.pg_constraint k WHERE k.conindid OPERATOR(pg_catalog.=) i.indexrelid AND"
    "   k.contype OPERATOR(pg_catalog.<>) 'f') AS said,"
    "  EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.refclassid OPERATOR(pg_catalog.=)"
    "   'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid OPERATOR(pg_catalog.=)"
    "   i.indexrelid) AS needed"
    "  FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass($1)) p"
    "  JOIN pg_catalog.pg_index i ON i.indrelid OPERATOR(pg_catalog.=) p.relid"
    "  JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid"
    "  JOIN pg_catalog.pg_index m ON m.indrelid OPERATOR(pg_catalog.=)"
    "   pg_catalog.to_regclass($2) AND m.indisunique OPERATOR(pg_catalog.=) i.indisunique"
    "  JOIN pg_catalog.pg_class mc ON mc.oid OPERATOR(pg_catalog.=) m.indexrelid,"
    "  LATERAL (SELECT " OPTIONS(
        "c.reloptions") " AS options) o,"
                        "  LATERAL (SELECT " OPTIONS(
                            "mc.reloptions") " AS options) w"
                                             "  WHERE p.isleaf AND i.indisvalid AND NOT "
                                             "c.relispartition AND"
                                             "  " DEFINED(
                                                 "i.indexrelid",
                                                 "o.options") " OPERATOR(pg_catalog.=)"
                                                              "  " DEFINED(
                                                                  "m.indexrelid",
                                                                  "w.options") ") x ORDER BY 1, 2";

enum rc probe_twins(struct build *b, const struct probe_index *index, PGresult **twins)
{
    char *columns = live_columns(b, index->table, true);
    const char *params[] = {index->table->relation, COPY};
    struct err why = {0};
    bool outer;
    enum rc rc = probe_begin(b, "BEGIN", &outer, &why);

    *twins = NULL;
    if (rc == RC_OK) {
        rc = make_copy(b, columns, NULL, &why);
        if (rc == RC_OK)
            rc = run(b,
                     mem_printf("CREATE %sINDEX ON " COPY " %s", index->unique ? "UNIQUE " : "",
                                index->definition),
                     &why);
        if (rc == RC_OK)
            rc = named_query(b, twins_sql, (int)ARRAY_LEN(params), params, twins, &why);
        if (probe_undo(b, outer) != RC_OK)
            rc = build_fail(b, index->path, "%s", PQerrorMessage(b->conn));
        else
            rc = RC_OK; /* what could not be tried was told of by probe_index */
    }
    free(columns);
    return rc;
}

/* Of parts that say what stands behind ALTER TABLE. */
static enum rc probe_parts(struct build *b, char *columns_take, char *object_take,
                           const struct probe_part *parts, size_t n)
{
    struct probe_part *whole = mem_calloc(n, sizeof(*whole));
    enum rc rc;

    for (size_t i = 0; i < n; i++)
        whole[i] =
            (struct probe_part){parts[i].path, mem_printf("ALTER TABLE " COPY " %s", parts[i].sql)};
    rc = try_and_report(b, columns_take, NULL, object_take, NULL, whole, n);
    for (size_t i = 0; i < n; i++)
        free(whole[i].sql);
    free(whole);
    free(object_take);
    free(columns_take);
    return rc;
}

enum rc probe_table(struct build *b, const struct file_op *made, const struct probe_part *parts,
                    size_t n)
{
    return probe_parts(b, made_columns(b, made, false), mem_printf("table %s", made->table.name),
                       parts, n);
}

enum rc probe_added(struct build *b, const struct target *t, const struct probe_part *part)
{
    return probe_parts(b, live_columns(b, t, false), mem_strdup(t->relation), part, 1);
}
