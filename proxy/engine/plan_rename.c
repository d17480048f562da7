/*
 * rename_table. A table has one name, so nothing stands beside it: the cut-over renames it, and
 * segue puts the name that it has in the place of the other one, until complete (sql/called.h).
 * Who is not rewritten needs the name of the moment: plan says who that can be.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan_build.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"
#include "segue/sql/inspect.h"
#include "sight.h"

#define HOLDS "an instant, traffic held at the gate"
#define EXCLUSIVE "ACCESS EXCLUSIVE"

/* All about the table ($1: its oid, $2: its new name) as rows: refused, object, why, what to do. */
#define TABLE                                                                                      \
    "(SELECT c.*, n.nspname, format('%I.%I', n.nspname, c.relname) AS called FROM"                 \
    " pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1::oid) t"

static const char *const looks[] = {
    "SELECT true, called, 'it is a partition, which statements reach by its table', 'rename it by"
    " hand, when nobody names it' FROM " TABLE " WHERE relispartition AND $2::text IS NOT NULL",
    "SELECT true, called, 'tables that inherit cannot be carried', 'ALTER TABLE ... NO INHERIT"
    " first' FROM " TABLE " WHERE NOT relispartition AND relkind = 'r' AND EXISTS (SELECT FROM"
    " pg_inherits WHERE t.oid IN (inhrelid, inhparent)) AND $2::text IS NOT NULL",
    "SELECT true, called, 'only an owner can change it', 'connect as a role that owns it, and may"
    " create in its schema' FROM " TABLE " WHERE NOT (pg_has_role(relowner, 'USAGE') AND"
    " has_schema_privilege(relnamespace, 'CREATE')) AND $2::text IS NOT NULL",
    "SELECT true, called, 'it has no columns', 'give it one first, or rename it by hand' "
    "FROM " TABLE " WHERE NOT EXISTS (SELECT FROM"
    " pg_attribute WHERE attrelid = t.oid AND attnum > 0 AND NOT attisdropped)"
    " AND $2::text IS NOT NULL",
    "SELECT true, called, 'it belongs to extension ' || e.extname, 'leave it to the extension' "
    "FROM " TABLE
    " JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = t.oid AND d.deptype = 'e'"
    " JOIN pg_extension e ON e.oid = d.refobjid WHERE $2::text IS NOT NULL",
    /* a text is not the catalog's: what looks like a relation is refused, other words are told */
    "SELECT strong, 'function ' || f, CASE WHEN strong THEN 'its text names the table ' || called"
    " || ', and fails from the cut-over on' ELSE 'its text has the word ' || relname || ': if that"
    " is the table, it fails from the cut-over on' END, 'have it find the table that there is at"
    " run time: EXECUTE format(''... %s ...'', coalesce(to_regclass(''' || called || '''),"
    " to_regclass(''' || format('%I.%I', nspname, $2::text) || ''')))' FROM (SELECT t.called,"
    " t.relname, t.nspname, p.oid::regprocedure::text AS f, p.prosrc ~* ('(\\m(from|join|into|"
    "update|table|only|using|truncate|lock)\\s+\\(?\\s*(\"?' || e.schema || '\"?\\s*\\.\\s*)?\"?'"
    " || e.name || '\"?(?![[:alnum:]_$]))|(\\m' || e.name || '\"?\\s*(\\.\\s*[[:alnum:]_\"]+\\s*)?"
    "%\\s*(row)?type)') AS strong FROM " TABLE ", LATERAL (SELECT"
    " regexp_replace(t.relname, '([^[:alnum:]_])', '\\\\\\1', 'g') AS name,"
    " regexp_replace(t.nspname, '([^[:alnum:]_])', '\\\\\\1', 'g') AS schema) e, pg_proc p"
    " JOIN pg_language l ON l.oid = p.prolang JOIN pg_namespace pn ON pn.oid = p.pronamespace"
    " WHERE l.lanname NOT IN ('c', 'internal') AND pn.nspname NOT IN ('pg_catalog',"
    " 'information_schema', 'segue') AND p.prosrc ~* ('(?<![[:alnum:]_])' || e.name ||"
    " '(?![[:alnum:]_])')) x ORDER BY 1 DESC, 2 LIMIT 100",
    "SELECT false, called, 'publication ' || string_agg(DISTINCT p.pubname, ', ') || ' sends it"
    " under its new name from the cut-over on, and subscribers look for a table of that name',"
    " 'rename it there, too, at that moment; a subscription that fails goes on when the table is"
    " there' FROM " TABLE " JOIN pg_publication_tables p ON p.schemaname = t.nspname"
    " AND p.tablename = t.relname WHERE $2::text IS NOT NULL GROUP BY called",
    "SELECT false, called, 'subscription ' || string_agg(DISTINCT s.subname, ', ') || ' looks for"
    " it by the name that the publisher has', 'rename it there at that moment, or the subscription"
    " stops' FROM " TABLE " JOIN pg_subscription_rel r ON r.srrelid = t.oid JOIN pg_subscription s"
    " ON s.oid = r.srsubid WHERE $2::text IS NOT NULL GROUP BY called",
    "SELECT false, called, format('other schemas have a relation called %I, too: %s', $2::text,"
    " string_agg(DISTINCT format('%I.%I', on_.nspname, o.relname), ', ')), 'where both are in one"
    " search_path, until the cut-over the bare name means what it means now' FROM " TABLE
    " JOIN pg_class o ON o.relname = $2::text AND o.relnamespace <> t.relnamespace"
    " JOIN pg_namespace on_ ON on_.oid = o.relnamespace WHERE on_.nspname !~ '^pg_(toast|temp)'"
    " GROUP BY called",
};

static const char many_sql[] =
    "SELECT count(*)::text FROM pg_class c WHERE c.relname IN"
    " ((SELECT relname FROM pg_class WHERE oid = $1::oid), $2::text) HAVING count(*) > $3::int8";

static const char name_taken_sql[] =
    "SELECT what FROM (SELECT CASE c.relkind WHEN 'i' THEN 'an index' WHEN 'I' THEN 'an index'"
    " WHEN 'S' THEN 'a sequence' WHEN 'v' THEN 'a view' WHEN 'm' THEN 'a materialized view'"
    " WHEN 'c' THEN 'a type' ELSE 'a table' END AS what FROM pg_class c WHERE c.relname = $2"
    " AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = $1::oid)"
    " UNION ALL SELECT 'a type' FROM pg_type y WHERE y.typname = $2 AND NOT (y.typcategory = 'A'"
    "  AND y.typelem <> 0) AND y.typnamespace ="
    "  (SELECT relnamespace FROM pg_class WHERE oid = $1::oid)) x LIMIT 1";

static enum rc look_at(struct build *b, const char *oid, const char *to)
{
    for (size_t i = 0; i < ARRAY_LEN(looks); i++) {
        const char *params[] = {oid, to};
        PGresult *res;

        if (own_query(b, looks[i], 2, params, &res, b->err) != RC_OK)
            return RC_ERR;
        for (int r = 0; r < PQntuples(res); r++)
            (PQgetvalue(res, r, 0)[0] == 't' ? build_refuse : build_warn)(
                b, PQgetvalue(res, r, 1), PQgetvalue(res, r, 3), "%s", PQgetvalue(res, r, 2));
        PQclear(res);
    }
    return RC_OK;
}

static enum rc check_many(struct build *b, const char *relation, const char *oid, const char *to)
{
    char max[16], *many = NULL;
    const char *params[] = {oid, to, max};

    snprintf(max, sizeof(max), "%d", SIGHT_NAMESAKES_MAX / 2);
    if (own_value(b, many_sql, 3, params, &many, b->err) != RC_OK)
        return RC_ERR;
    if (many)
        build_refuse(b, relation, "rename it by hand",
                     "%s relations have one of its two names: too many to tell which one a"
                     " statement means",
                     many);
    free(many);
    return RC_OK;
}

/* Is it the name of a table that the file makes, or does an operation in front give it to another
 * one of the schema? */
static bool is_given(const struct build *b, const struct renamed *own)
{
    char *after = sql_quote_qualified(own->schema, own->to);
    bool made = false;

    for (size_t i = 0; i < b->plan->ncreated; i++)
        made |= !strcmp(b->plan->created[i], after);
    free(after);
    if (made)
        return true;
    for (size_t i = 0; i < b->nrenames; i++) {
        const struct renamed *other = &b->renames[i];

        if (other->at < own->at && strcmp(other->oid, own->oid) != 0 &&
            !strcmp(other->to, own->to) && !strcmp(other->schema, own->schema))
            return true;
    }
    return false;
}

/* In the catalog, or by this file. */
static enum rc check_taken(struct build *b, const struct file_op *op, const struct target *t)
{
    char oid[24], *what = NULL;
    const char *params[] = {oid, op->to};
    const struct renamed *own;
    enum rc rc = RC_OK;

    snprintf(oid, sizeof(oid), "%lld",
             (long long)json_integer_value(json_object_get(t->doc, "oid")));
    own = called_of(b, oid);
    if (!own)
        return plan_fail(b, op, "from", "ask again",
                         "table %s has just been made in the place of another", t->relation);
    if (is_given(b, own))
        return plan_fail(b, op, "to", HINT_TAKEN, "the file gives the name \"%s\" to another table",
                         op->to);
    if (own->at != op->index)
        return plan_fail(b, op, "from", "say the last name at once", "table %s is renamed twice",
                         t->relation);
    if (plan_drops(b, oid))
        return plan_fail(b, op, "from", "leave out one of the two", "the file drops table %s, too",
                         t->relation);
    rc = own_value(b, name_taken_sql, 2, params, &what, b->err);
    if (rc == RC_OK && what)
        rc = plan_fail(b, op, "to", HINT_TAKEN, "the name \"%s\" is taken: %s of schema %s has it",
                       op->to, what, cat_text(t->doc, "schema"));
    if (rc == RC_OK)
        rc = look_at(b, oid, op->to);
    if (rc == RC_OK)
        rc = check_many(b, t->relation, oid, op->to);
    free(what);
    return rc;
}

/* Who was seen to use the table while earlier migrations of it were in flight. */
static char *seen_clients(struct build *b, const struct target *t)
{
    return build_seen(
        b, t,
        "SELECT string_agg(format('user %s, application %s, from %s (last on %s)', user_name,"
        " application_name, address, at::timestamptz(0)), '; ') FROM (SELECT user_name,"
        " application_name, address, max(last_at) AS at FROM segue.usage WHERE table_name = $1"
        " AND user_name <> '' GROUP BY 1, 2, 3 ORDER BY 4 DESC LIMIT 5) u");
}

static void warn_of_names(struct build *b, const struct target *t, const char *now)
{
    char *who = seen_clients(b, t);

    build_warn(b, t->relation,
               "let them come through segue, or use no name at that moment; SHOW USAGE tells who"
               " uses which name, and who bypasses segue",
               "it is %s from the cut-over on. Through segue both names work from expand to"
               " complete, each in its turn put in the place of the other. What is not rewritten"
               " gets 42P01 (relation does not exist) for the name that it does not have at the"
               " moment, the old one from the cut-over on: connections that bypass segue,"
               " functions, DDL, names in texts ('%s'::regclass) and as types, statements longer"
               " than inspect_bytes_max or with segue:off, and what SHOW STATS counts as left_...",
               now, t->relation);
    build_warn(b, t->relation, "ALTER INDEX, ALTER SEQUENCE, rename_constraint",
               "its indexes, sequences and constraints keep their names");
    if (who)
        build_warn(b, t->relation, NULL, "clients that used it in earlier migrations: %s", who);
    free(who);
}

/* Both turn the name with the table locked, among the other steps of their stage: last in the
 * cut-over and first on the way back, so that all others know the old name. */
static void add_step(struct build *b, const struct target *t, const struct eng_table *table,
                     enum eng_stage stage)
{
    bool back = stage == ENG_STAGE_REVERT;
    char *new = sql_quote_qualified(table->schema, table->renamed);
    const char *from = back ? new : t->relation, *to = back ? t->relation : new;
    char *bare = sql_quote_ident(back ? table->name : table->renamed);
    char *oid = mem_printf("%u", table->oid);
    struct eng_step *step = build_step(b, stage, ENG_STEP_DDL, t->table, "%s becomes %s", from, to);

    plan_same_table(step, from, oid);
    step_sql(step, "ALTER TABLE %s RENAME TO %s", from, bare);
    step_lock(step, EXCLUSIVE, t->relation, HOLDS);
    step->no = back ? -FILE_OPERATIONS_MAX : FILE_OPERATIONS_MAX;
    free(oid);
    free(bare);
    free(new);
}

enum rc plan_rename_table(struct build *b, const struct file_op *op)
{
    static const char find[] = "SELECT 1 WHERE to_regclass($1) IS NOT NULL AND $2::text IS NULL"
                               " AND $3::text IS NULL";
    struct target *t;
    struct eng_table *table;
    PGresult *res;
    char *now;

    if (plan_look(b, op, "from", "table", find, &res) != RC_OK)
        return RC_ERR;
    PQclear(res);
    if (target_get(b, op, &t) != RC_OK || check_taken(b, op, t) != RC_OK)
        return RC_ERR;
    table = target_table(b, t);
    now = sql_quote_qualified(table->schema, table->renamed);
    warn_of_names(b, t, now);
    add_step(b, t, table, ENG_STAGE_CUTOVER);
    add_step(b, t, table, ENG_STAGE_REVERT);
    free(now);
    return RC_OK;
}

/* ---- with other operations ---- */

/* All that segue does there after the turn goes by the new name; what the file says itself, not. */
static bool is_told_later(const struct eng_step *step)
{
    return step->stage == ENG_STAGE_CONTRACT && step->kind == ENG_STEP_SQL;
}

static bool names_table(const struct eng_step *step, const struct sql_rules *rules)
{
    for (size_t i = 0; i < step->nsql; i++)
        if (sql_mentions(rules, step->sql[i], strlen(step->sql[i])))
            return true;
    return false;
}

static void refuse_later(struct build *b, const struct renamed *renamed)
{
    static const char *const none[] = {NULL};
    struct sql_rules *rules = sql_rules_new(1);
    char *hint = mem_printf("say %s there; where the old name means something else, rename the"
                            " table in a migration of its own: a second file with \"after\":"
                            " \"%s\", started when that is done",
                            renamed->after, b->plan->name);

    sql_rules_add(rules, &(struct sql_table_rule){.migration = b->plan->name,
                                                  .schema = renamed->schema,
                                                  .name = renamed->name,
                                                  .old_columns = none,
                                                  .new_columns = none,
                                                  .relatives = none});
    for (size_t i = 0; i < b->plan->nsteps; i++) {
        const struct eng_step *step = &b->plan->steps[i];

        if (!is_told_later(step) || !names_table(step, rules))
            continue;
        build_refuse(b, renamed->here, hint,
                     "it is called %s when complete runs what names it by its old name: \"%s\"",
                     renamed->after, step->title);
        break;
    }
    sql_rules_unref(rules);
    free(hint);
}

void refuse_renamed(struct build *b)
{
    for (size_t i = 0; i < b->nrenames; i++)
        refuse_later(b, &b->renames[i]);
}
