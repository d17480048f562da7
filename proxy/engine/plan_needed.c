/*
 * What needs more than a column: its index, its sequence. A foreign key, and a view that groups by
 * a primary key, hang on the index that they found when they were made, with all its columns; one
 * with a new half in INCLUDE is another index, and would not be found again before the old one has
 * gone. A default, a view or a function may count by the sequence of another table's column.
 */
#include <stdlib.h>
#include <string.h>

#include "plan_build.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"

enum { N_OBJECT, N_NAME, N_TABLE, N_DROP, N_MAKE };

/* A foreign key may be to a partition alone. */
#define PARTS "(SELECT $1::regclass::oid UNION SELECT relid FROM pg_partition_tree($1::regclass))"

/* $1: the index, with its parts, or a sequence, whose own column is not meant, nor its defaults in
 * partitions: these go with that column. Parts that a foreign key has for partitions go with it. */
static const char needing_sql[] =
    "SELECT CASE WHEN v.oid IS NULL THEN pg_describe_object(d.classid, d.objid, d.objsubid)"
    " ELSE pg_describe_object('pg_class'::regclass, v.oid, 0) END, f.conname, f.conrelid,"
    " CASE WHEN f.oid IS NOT NULL THEN format('ALTER TABLE %s DROP CONSTRAINT %I',"
    "   f.conrelid::regclass, f.conname) WHEN v.oid IS NOT NULL THEN format('DROP %s %s',"
    "   CASE v.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END, v.oid::regclass)"
    "  WHEN e.oid IS NOT NULL THEN format('ALTER TABLE %s ALTER %I DROP DEFAULT',"
    "   e.adrelid::regclass, a.attname) ELSE 'drop it' END,"
    " CASE WHEN f.oid IS NOT NULL THEN format('ALTER TABLE %s ADD CONSTRAINT %I %s',"
    "   f.conrelid::regclass, f.conname, pg_get_constraintdef(f.oid)) WHEN e.oid IS NOT NULL THEN"
    "   format('ALTER TABLE %s ALTER %I SET DEFAULT %s', e.adrelid::regclass, a.attname,"
    "   pg_get_expr(e.adbin, e.adrelid)) ELSE 'make it again' END"
    " FROM pg_depend d LEFT JOIN pg_constraint f ON d.classid = 'pg_constraint'::regclass"
    "  AND f.oid = d.objid LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass"
    "  AND r.oid = d.objid LEFT JOIN pg_class v ON v.oid = r.ev_class"
    " LEFT JOIN pg_attrdef e ON d.classid = 'pg_attrdef'::regclass AND e.oid = d.objid"
    " LEFT JOIN pg_attribute a ON a.attrelid = e.adrelid AND a.attnum = e.adnum"
    " WHERE d.deptype = 'n' AND coalesce(f.conparentid, 0) = 0 AND NOT EXISTS (WITH RECURSIVE up"
    "  (oid) AS (SELECT e.adrelid UNION SELECT i.inhparent FROM up JOIN pg_class k ON k.oid ="
    "   up.oid AND k.relispartition JOIN pg_inherits i ON i.inhrelid = k.oid) SELECT FROM up"
    "  JOIN pg_depend o ON o.refobjid = up.oid JOIN pg_attribute c ON c.attrelid = up.oid AND"
    "  c.attnum = o.refobjsubid AND c.attname = a.attname WHERE o.classid = 'pg_class'::regclass"
    "  AND o.objid = d.refobjid AND o.refclassid = 'pg_class'::regclass"
    "  AND o.deptype IN ('a', 'i'))"
    "  AND ((d.refclassid = 'pg_class'::regclass AND d.refobjid IN " PARTS ") OR (d.refclassid ="
    "  'pg_constraint'::regclass AND d.refobjid IN (SELECT oid FROM pg_constraint k WHERE"
    "  k.conindid IN " PARTS " AND k.contype IN ('p', 'u', 'x')))) ORDER BY 1";

/* By this file, at the cut-over, wherever in it. */
static bool is_released(const struct build *b, const PGresult *res, int row)
{
    const struct target *t = plan_target(b, PQgetvalue(res, row, N_TABLE));

    for (size_t i = 0; t && i < b->file->nops; i++) {
        const struct file_op *op = &b->file->ops[i];

        if ((op->kind == FILE_DROP_CONSTRAINT || op->kind == FILE_DROP_MULTICOLUMN_CONSTRAINT) &&
            b->op_target[i] == t - b->targets && !strcmp(op->name, PQgetvalue(res, row, N_NAME)))
            return true;
    }
    return false;
}

/* What goes along, and what who needs it is told: why, and what to do. `keep`: what keeps it, or
 * NULL; `again`: is there the same one after `complete`? */
struct going {
    const char *relation, *why, *keep;
    bool again;
};

static enum rc refuse_needing(struct build *b, const struct going *going)
{
    const char *params[] = {going->relation};
    PGresult *res = NULL;
    enum rc rc = own_query(b, needing_sql, 1, params, &res, b->err);

    for (int row = 0; rc == RC_OK && row < PQntuples(res); row++) {
        const char *drop = going->keep ? going->keep : PQgetvalue(res, row, N_DROP);
        char *hint = going->again ? mem_printf("%s first; after complete %s", drop,
                                               PQgetvalue(res, row, N_MAKE))
                                  : mem_printf("%s first", drop);

        if (!is_released(b, res, row))
            build_refuse(b, PQgetvalue(res, row, N_OBJECT), hint, "it needs %s", going->why);
        free(hint);
    }
    PQclear(res);
    return rc;
}

static enum rc judge_index(struct build *b, const json_t *index, const char *why, bool again)
{
    char *oid = mem_printf("%lld", (long long)json_integer_value(json_object_get(index, "oid")));
    const struct going going = {oid, why, NULL, again};
    enum rc rc = refuse_needing(b, &going);

    free(oid);
    return rc;
}

enum rc needed_judge_key(struct build *b, const json_t *index, const char *constraint)
{
    return judge_index(b, index, constraint, false);
}

/* Who needs one over a key that goes names that column, which is looked at elsewhere. */
static const char *only_included(const json_t *index, const struct texts *columns)
{
    const json_t *keys = json_object_get(index, "keys");
    const char *included = NULL;

    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *key = json_array_get(keys, i);
        const char *column = cat_text(key, "column");

        if (!column || !texts_has(columns, column))
            continue;
        if (json_is_true(json_object_get(key, "key")))
            return NULL;
        included = column;
    }
    return included;
}

static enum rc judge_indexes(struct build *b, const struct target *t)
{
    const json_t *indexes = json_object_get(t->doc, "indexes");
    enum rc rc = RC_OK;

    for (size_t i = 0; rc == RC_OK && i < json_array_size(indexes); i++) {
        const json_t *index = json_array_get(indexes, i);
        const char *gone = only_included(index, &t->dropped);
        const char *column = gone ? gone : only_included(index, &t->from);
        char *why;

        if (!column)
            continue;
        why = mem_printf("index %s, which goes with column %s at complete", cat_text(index, "name"),
                         column);
        rc = judge_index(b, index, why, !gone);
        free(why);
    }
    return rc;
}

/* A further one that the column owns stays with the old half, and would go with that. Only the
 * application knows what it counts. */
static enum rc judge_others(struct build *b, const struct target *t, const json_t *column)
{
    static const char sql[] =
        "SELECT s.oid::regclass::text FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND"
        " s.relkind = 'S' WHERE d.classid = 'pg_class'::regclass AND d.refclassid ="
        " 'pg_class'::regclass AND d.refobjid = $1::oid AND d.refobjsubid = $2::int2 AND d.deptype"
        " IN ('a', 'i') AND s.oid IS DISTINCT FROM to_regclass($3) ORDER BY 1";
    const char *name = cat_text(column, "name");
    char *oid = mem_printf("%lld", (long long)json_integer_value(json_object_get(t->doc, "oid")));
    char *num = mem_printf("%lld", (long long)json_integer_value(json_object_get(column, "num")));
    const char *params[] = {oid, num, cat_text(column, "sequence")};
    PGresult *res = NULL;
    bool gone = texts_has(&t->dropped, name);
    enum rc rc =
        gone || texts_has(&t->from, name) ? own_query(b, sql, 3, params, &res, b->err) : RC_OK;

    for (int row = 0; rc == RC_OK && res && row < PQntuples(res); row++) {
        const char *sequence = PQgetvalue(res, row, 0);
        char *keep = mem_printf("ALTER SEQUENCE %s OWNED BY NONE", sequence);
        char *why = mem_printf("sequence %s, which column %s owns, too", sequence, name);

        if (gone)
            rc = refuse_needing(b, &(const struct going){sequence, why, keep, false});
        else
            build_refuse(b, t->relation, keep,
                         "column %s owns sequence %s beside %s: at complete"
                         " it would go with the old half",
                         name, sequence, cat_text(column, "sequence"));
        free(why);
        free(keep);
    }
    PQclear(res);
    free(num);
    free(oid);
    return rc;
}

/* That of an identity is made anew with the column's other half (plan_identity.c); one that a
 * default counts by is given to it (plan_default.c), and goes only with a column that only goes. */
static enum rc judge_sequence(struct build *b, const struct target *t, const json_t *column)
{
    const char *sequence = cat_text(column, "sequence"), *name = cat_text(column, "name");
    bool gone = texts_has(&t->dropped, name), identity = *cat_text(column, "identity");
    char *keep, *why;
    enum rc rc;

    if (!sequence || !(gone || (identity && texts_has(&t->from, name))))
        return RC_OK;
    keep = identity ? NULL : mem_printf("ALTER SEQUENCE %s OWNED BY NONE", sequence);
    why = mem_printf(
        "sequence %s, which %s column %s", sequence,
        gone ? "goes at complete with" : "the cut-over makes anew with the identity of", name);
    rc = refuse_needing(b, &(const struct going){sequence, why, keep, !gone});
    free(why);
    free(keep);
    return rc;
}

enum rc needed_judge(struct build *b, const struct target *t)
{
    const json_t *columns = json_object_get(t->doc, "columns");
    enum rc rc = judge_indexes(b, t);

    for (size_t i = 0; rc == RC_OK && i < json_array_size(columns); i++)
        if ((rc = judge_sequence(b, t, json_array_get(columns, i))) == RC_OK)
            rc = judge_others(b, t, json_array_get(columns, i));
    return rc;
}
