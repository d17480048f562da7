/*
 * Indexes of partitioned tables, and what stands on them: the steps that build one piece by piece
 * (parts.h says how) and take it back.
 */
#include <stdlib.h>
#include <string.h>

#include "plan_build.h"
#include "plan_parts.h"
#include "plan_probe.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"

#define EXCLUSIVE "ACCESS EXCLUSIVE"

bool is_partitioned(const struct target *t)
{
    return !strcmp(cat_text(t->doc, "relkind"), "p");
}

/* That of the table itself is looked at with those of all steps. */
enum rc parts_check_schemas(struct build *b, const struct target *t)
{
    static const char sql[] =
        "SELECT DISTINCT n.nspname FROM pg_partition_tree($1::regclass) p JOIN pg_class c ON"
        " c.oid = p.relid JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname <> $2 ORDER BY 1";
    const char *params[] = {t->relation, cat_text(t->doc, "schema")};
    PGresult *res = NULL;
    enum rc rc = own_query(b, sql, 2, params, &res, b->err);

    for (int r = 0; rc == RC_OK && r < PQntuples(res); r++)
        rc = refuse_schema(b, PQgetvalue(res, r, 0), "indexes of partitions are");
    PQclear(res);
    return rc;
}

/* Of each leaf, a unique index; what else there is is the constraint's. */
static void constraint_sql(struct eng_step *step, const struct target *t,
                           const struct parts_index *parts, const char *name)
{
    const char *kind = parts->constraint, *said = parts->said, *defers = parts->defers;

    step_sql(step, "ALTER TABLE ONLY %s ADD CONSTRAINT %s %s %s%s", t->relation, name, kind, said,
             defers);
    step_sql(step, "ALTER TABLE ONLY {partition} ADD CONSTRAINT {index} %s %s%s", kind, said,
             defers);
    step_sql(step, "CREATE UNIQUE INDEX CONCURRENTLY {index} ON {partition} %s", parts->definition);
    step_sql(step, "ALTER INDEX {whole} ATTACH PARTITION {index}");
    step_sql(step, "ALTER TABLE {partition} ADD CONSTRAINT {index} %s USING INDEX {index}%s", kind,
             defers);
}

static void index_sql(struct eng_step *step, const struct target *t,
                      const struct parts_index *parts, const char *name)
{
    const char *unique = parts->unique ? "UNIQUE " : "";

    step_sql(step, "CREATE %sINDEX %s ON ONLY %s %s", unique, name, t->relation, parts->definition);
    step_sql(step, "CREATE %sINDEX {index} ON ONLY {partition} %s", unique, parts->definition);
    step_sql(step, "CREATE %sINDEX CONCURRENTLY {index} ON {partition} %s", unique,
             parts->definition);
    step_sql(step, "ALTER INDEX {whole} ATTACH PARTITION {index}");
}

enum rc parts_build(struct build *b, struct target *t, const struct parts_index *parts, int *built)
{
    struct eng_step *step =
        build_step(b, ENG_STAGE_BUILD, ENG_STEP_PARTITIONS, t->table, "%s", parts->title);
    char *name = sql_quote_ident(parts->name);

    (parts->constraint ? constraint_sql : index_sql)(step, t, parts, name);
    step_lock(step, parts->constraint ? EXCLUSIVE : "SHARE", t->relation,
              "an instant at first; then built concurrently, and an instant for what is attached");
    step->index_schema = mem_strdup(cat_text(t->doc, "schema"));
    step->index_name = mem_strdup(parts->name);
    *built = (int)b->plan->nsteps;
    free(name);
    return parts_check_schemas(b, t);
}

void parts_abort(struct build *b, struct target *t, const struct parts_index *parts, int built)
{
    struct eng_step *step =
        build_step(b, ENG_STAGE_ABORT, ENG_STEP_PARTITIONS, t->table, "drop %s %s",
                   parts->constraint ? "constraint" : "index", parts->name);
    char *name = sql_quote_ident(parts->name);
    char *qualified = sql_quote_qualified(cat_text(t->doc, "schema"), parts->name);

    step->undoes = built; /* one of this name that somebody else has made stays */
    if (parts->constraint)
        step_sql(step, "ALTER TABLE IF EXISTS %s DROP CONSTRAINT IF EXISTS %s", t->relation, name);
    else
        step_sql(step, "DROP INDEX IF EXISTS %s", qualified);
    step_lock(step, EXCLUSIVE, t->relation, "an instant; lock_timeout, retried");
    free(qualified);
    free(name);
}

enum rc parts_refuse(struct build *b, const json_t *index, const char *object, bool *refused)
{
    static const char sql[] =
        "SELECT format('%I.%I', n.nspname, c.relname), i.indisreplident"
        " FROM pg_partition_tree($1::oid::regclass) p"
        " JOIN pg_index i ON i.indexrelid = p.relid JOIN pg_class c ON c.oid = i.indrelid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE i.indisreplident OR i.indisclustered"
        " ORDER BY 2 DESC, 1 LIMIT 1";
    char *oid = mem_printf("%lld", (long long)json_integer_value(json_object_get(index, "oid")));
    const char *params[] = {oid};
    PGresult *res = NULL;
    enum rc rc = own_query(b, sql, 1, params, &res, b->err);

    if (rc == RC_OK && PQntuples(res) && PQgetvalue(res, 0, 1)[0] == 't') {
        build_refuse(b, object, "give the partition another replica identity first",
                     "its part is the replica identity of %s", PQgetvalue(res, 0, 0));
        *refused = true;
    } else if (rc == RC_OK && PQntuples(res)) {
        build_warn(b, object, "ALTER TABLE ... CLUSTER ON the new one, after complete",
                   "its part is the clustering mark of %s, which does not follow",
                   PQgetvalue(res, 0, 0));
    }
    PQclear(res);
    free(oid);
    return rc;
}

enum rc parts_warn_own(struct build *b, const json_t *index, const char *object)
{
    static const char sql[] =
        "SELECT format('%s of %s', c.oid::regclass, i.indrelid::regclass), o.what,"
        " count(*) OVER () FROM pg_partition_tree($1::oid::regclass) p JOIN pg_class c ON"
        " c.oid = p.relid JOIN pg_index i ON i.indexrelid = c.oid JOIN pg_class w ON w.oid ="
        " $1::oid, LATERAL (SELECT concat_ws(' and ',"
        "  CASE WHEN c.reltablespace <> w.reltablespace THEN 'a tablespace' END,"
        "  CASE WHEN c.reloptions IS DISTINCT FROM w.reloptions THEN 'storage parameters' END,"
        "  CASE WHEN obj_description(c.oid, 'pg_class') IS NOT NULL THEN 'a comment' END,"
        "  CASE WHEN EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND"
        "   a.attstattarget >= 0) THEN 'a statistics target' END,"
        "  CASE WHEN EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND"
        "   d.objid = c.oid AND d.deptype = 'x') THEN 'an extension' END) AS what) o"
        " WHERE p.level > 0 AND o.what <> '' ORDER BY c.oid LIMIT 1";
    char *oid = mem_printf("%lld", (long long)json_integer_value(json_object_get(index, "oid")));
    const char *params[] = {oid};
    PGresult *res = NULL;
    enum rc rc = own_query(b, sql, 1, params, &res, b->err);

    if (rc == RC_OK && PQntuples(res))
        build_warn(
            b, object,
            "ALTER INDEX ... SET (SET TABLESPACE, ALTER COLUMN ... SET STATISTICS, DEPENDS ON "
            "EXTENSION), COMMENT ON INDEX, of the new one, after complete",
            "its part %s has %s of its own; the new one is as the whole (parts like that: "
            "%s)",
            PQgetvalue(res, 0, 0), PQgetvalue(res, 0, 1), PQgetvalue(res, 0, 2));
    PQclear(res);
    free(oid);
    return rc;
}

/* A part of a constraint is a constraint of its own, which would go with it: none is taken. */
enum rc parts_warn_twins(struct build *b, const struct target *t, const char *path,
                         const struct parts_index *parts)
{
    PGresult *twins;
    enum rc rc = probe_twins(b,
                             &(struct probe_index){.path = path,
                                                   .name = parts->name,
                                                   .table = t,
                                                   .unique = parts->unique,
                                                   .definition = parts->definition},
                             &twins);

    for (int r = 0; rc == RC_OK && twins && r < PQntuples(twins); r++) {
        const char *why = PQgetvalue(twins, r, 2);
        char *object =
            mem_printf("index %s of %s", PQgetvalue(twins, r, 1), PQgetvalue(twins, r, 0));

        if (*why || parts->constraint)
            build_warn(b, object, "drop it after complete, if nothing else wants it",
                       "it is the same as the part of %s that its partition gets, and cannot be it"
                       "%s%s: a second one is built",
                       parts->name, *why ? ", since " : "", why);
        free(object);
    }
    PQclear(twins);
    return rc;
}
