#include "dependents.h"

#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"
#include "segue/sql/expr.h"
#include "turned.h"

/* First of what a plan has seen: one of before there was such a list has none, and one of before
 * what goes was looked for has another word, and privileges of a role in one. What was looked for
 * since is said behind it. */
#define SEEN "seen one by one"
#define SEEN_IDENTITY SEEN ", and the replica identity"
#define SEEN_PARTS SEEN_IDENTITY ", and what partitions have of their own"
#define IDENTITY "replica identity "
#define PRIVILEGE "privilege "
#define AS_DEFINED "=" /* the key of how a constraint is defined, in place of an object's */
#define PART "part:"   /* what the key of a partition's own begins with */

/* Of an aclexplode() AS x of pg_attribute c, which is a partition's where `own` is true. Who
 * granted it counts for nothing: with another owner of the table that is another role. */
#define PRIVILEGE_KEY(own)                                                                         \
    "concat_ws(':', CASE WHEN " own " THEN '" PART "' || c.attrelid ELSE 'acl' END, c.attnum, "    \
    "x.grantee, x.privilege_type, x.is_grantable)"
#define GRANTEE                                                                                    \
    "CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END"

/* The same of a pg_seclabel l: it is looked for since partitions are. */
#define LABEL "security label "
#define LABEL_KEY "concat_ws(':', '" PART "label', c.attrelid, c.attnum, l.provider)"
#define LABEL_OF(l, c)                                                                             \
    l ".classoid = 'pg_class'::regclass AND " l ".objoid = " c ".attrelid AND " l ".objsubid = " c \
      ".attnum"

/* What a partition has as a part of its table's; statistics, which CREATE TABLE ... (LIKE ...)
 * makes for it of either half; and, before PostgreSQL 18, a foreign key that the table gets again
 * with the abort (plan_leaves.c). */
#define OF_WHOLE                                                                                   \
    "(d.classid = 'pg_statistic_ext'::regclass OR d.classid = 'pg_class'::regclass AND (d.objid "  \
    "= c.attrelid OR EXISTS (SELECT FROM "                                                         \
    "pg_inherits h WHERE h.inhrelid = d.objid)) OR d.classid = 'pg_constraint'::regclass AND "     \
    "EXISTS (SELECT FROM pg_constraint n WHERE n.oid = d.objid AND (n.coninhcount > 0 OR "         \
    "n.contype = 'f' AND n.conrelid = c.attrelid AND current_setting('server_version_num')::int "  \
    "< 180000)) OR d.classid = 'pg_trigger'::regclass AND EXISTS (SELECT FROM pg_trigger g WHERE " \
    "g.oid = d.objid AND g.tgparentid <> 0))"

/* Of the columns %s (a list for ARRAY) of the table %u: key, what, and whether it would bar their
 * drop. Of those of the second list, which have no other half, what does not goes along as it would
 * without segue. The key outlives a new name (of a role, too), the words outlive being made anew
 * (REINDEX CONCURRENTLY). A replica identity is the index's, and is gone with it: no UPDATE of a
 * published table is let pass then; that of a partition by its key the turn of the key carries.
 * What segue makes has its name; parts that a foreign key has for partitions come and go with
 * these. */
#define ON_COLUMNS                                                                                 \
    "WITH w AS (SELECT attrelid, attname, attname = ANY(ARRAY[%s]::name[]) AS lone FROM "          \
    "pg_attribute WHERE attrelid = %u AND attname = ANY(ARRAY[%s]::name[]) AND NOT attisdropped)"  \
    ", c AS (SELECT a.*, w.lone, a.attrelid <> w.attrelid AS own FROM w, (SELECT DISTINCT "        \
    "attrelid AS oid FROM w) AS root, " RELATIONS_TREE " AS p, pg_attribute a WHERE a.attrelid = " \
    "p.relid AND a.attname = w.attname AND NOT a.attisdropped), found AS (SELECT CASE WHEN own "   \
    "THEN '" PART "' ELSE '' END || d.classid || ':' || d.objid AS key, pg_describe_object("       \
    "d.classid, d.objid, 0) AS what, "                                                             \
    "bool_and(d.deptype = 'n') AS bars, bool_and(lone) AS lone FROM c JOIN pg_depend d ON "        \
    "d.refclassid = 'pg_class'::regclass AND d.refobjid = c.attrelid AND d.refobjsubid = c.attnum" \
    " WHERE NOT (own AND " OF_WHOLE ") AND NOT EXISTS (SELECT FROM pg_attrdef f WHERE d.classid "  \
    "= 'pg_attrdef'::regclass AND "                                                                \
    "f.oid = d.objid AND f.adnum = c.attnum) AND NOT EXISTS (SELECT FROM pg_class s WHERE "        \
    "d.classid = 'pg_class'::regclass AND s.oid = d.objid AND s.relkind = 'S') AND NOT EXISTS "    \
    "(SELECT FROM pg_constraint n WHERE d.classid = 'pg_constraint'::regclass AND n.oid = d.objid" \
    " AND (n.contype = 'n' OR n.conparentid <> 0)) GROUP BY d.classid, d.objid, own), more AS ("   \
    "SELECT "                                                                                      \
    "* FROM found UNION ALL SELECT '-', format('NOT NULL of column %%I', attname), false, lone "   \
    "FROM c WHERE attnotnull AND NOT own UNION ALL SELECT " PRIVILEGE_KEY(                         \
        "own") ", format('" PRIVILEGE "%%s%%s for %%s of column %%I%%s', x.privilege_type, CASE "  \
               "WHEN x.is_grantable THEN ' WITH GRANT OPTION' END, " GRANTEE ", attname, CASE "    \
               "WHEN own THEN ' of partition ' || attrelid::regclass END), false, lone FROM c, "   \
               "aclexplode(attacl) AS x "                                                          \
               "UNION ALL SELECT DISTINCT CASE WHEN own THEN '" PART                               \
               "identity:' || attrelid ELSE '-' END, format('" IDENTITY                            \
               "of table %%s by index %%s', attrelid::"                                            \
               "regclass, i.indexrelid::regclass), false, false FROM c JOIN pg_index i ON "        \
               "i.indrelid = attrelid AND i.indisreplident AND attnum = ANY(i.indkey) JOIN "       \
               "pg_class t ON t.oid = attrelid AND t.relkind = 'r' WHERE NOT lone AND NOT (own "   \
               "AND i.indisprimary) "                                                              \
               "UNION ALL SELECT " LABEL_KEY ", format('" LABEL                                    \
               "(for %%s) of column %%I of %%s', "                                                 \
               "l.provider, attname, attrelid::regclass), false, lone FROM c JOIN pg_seclabel l "  \
               "ON " LABEL_OF("l", "c") " "                                                        \
                                        "UNION ALL SELECT '" PART                                  \
                                        "key:' || attrelid, format('partition key of %%s, with "   \
                                        "column %%I', attrelid::regclass, attname), true, lone "   \
                                        "FROM c WHERE own AND EXISTS"                              \
                                        " (SELECT FROM pg_depend d WHERE d.classid = "             \
                                        "'pg_class'::regclass AND d.objid = "                      \
                                        "c.attrelid AND d.objsubid = c.attnum AND d.refclassid = " \
                                        "d.classid AND d.refobjid "                                \
                                        "= c.attrelid AND d.refobjsubid = 0) "                     \
                                        "UNION ALL SELECT '" AS_DEFINED                            \
                                        "', what || ': ' || regexp_replace("                       \
                                        "pg_get_constraintdef(k.oid), ' NOT VALID$', ''), false, " \
                                        "lone FROM found JOIN "                                    \
                                        "pg_constraint k ON key = 'pg_constraint'::regclass::oid " \
                                        "|| ':' || k.oid AND "                                     \
                                        "k.contype IN ('c', 'f')) SELECT key, what, bars FROM "    \
                                        "more WHERE what !~ '~segue' "                             \
                                        "AND (bars OR NOT lone) ORDER BY what"

/* Such a column has another one in its place. */
static bool is_carried(const struct eng_table *table, const struct eng_dual *dual)
{
    bool others = dual->new_name != NULL;

    for (size_t i = 0; dual->group && i < table->nduals; i++)
        others |= table->duals[i].group == dual->group && table->duals[i].new_name;
    return dual->old_name && others;
}

/* Those that go: all, or only those without another half. */
static char *columns_of(const struct eng_table *table, bool only)
{
    struct buf list = {0};

    for (size_t i = 0; i < table->nduals; i++) {
        const struct eng_dual *dual = &table->duals[i];
        char *name;

        if (!dual->old_name || (only && is_carried(table, dual)))
            continue;
        name = sql_quote_literal(dual->old_name);
        buf_printf(&list, "%s%s", list.len ? ", " : "", name);
        free(name);
    }
    return list.len ? buf_take(&list) : NULL;
}

/* NULL: no column of it goes. The caller frees. */
static char *found_sql(const struct eng_table *table)
{
    char *all = columns_of(table, false), *only = columns_of(table, true);
    char *sql = all ? mem_printf(ON_COLUMNS, only ? only : "", table->oid, all) : NULL;

    free(only);
    free(all);
    return sql;
}

/* ---- for the plan ---- */

static void keep(struct eng_table *table, const PGresult *res)
{
    int n = PQntuples(res);

    table->dependents = mem_calloc((size_t)n + 1, sizeof(*table->dependents));
    table->dependents[table->ndependents++] = mem_strdup(SEEN_PARTS);
    for (int r = 0; r < n; r++)
        table->dependents[table->ndependents++] =
            mem_printf("%s %s", PQgetvalue(res, r, 0), PQgetvalue(res, r, 1));
}

enum rc dependents_read(struct build *b)
{
    for (size_t i = 0; i < b->plan->ntables; i++) {
        struct eng_table *table = &b->plan->tables[i];
        char *sql = found_sql(table);
        PGresult *res = NULL;
        enum rc rc = sql ? own_query(b, sql, 0, NULL, &res, b->err) : RC_OK;

        free(sql);
        if (rc != RC_OK)
            return rc;
        if (res)
            keep(table, res);
        PQclear(res);
    }
    return RC_OK;
}

/* ---- in flight ---- */

static bool is_seen(const struct eng_table *table, const char *key, const char *what)
{
    size_t len = strlen(key);

    for (size_t i = 1; i < table->ndependents; i++) {
        const char *seen = table->dependents[i], *space = strchr(seen, ' ');
        bool same_key = key[0] != '-' && !strncmp(seen, key, len) && seen[len] == ' ';

        if (same_key || (space && !strcmp(space + 1, what)))
            return true;
    }
    return false;
}

static void refuse(const struct eng_table *table, const char *what, bool bars, struct err *err)
{
    if (bars) {
        err_set(err, "55000",
                "%s came after the migration was planned: `complete` could not drop the column that"
                " it needs (table %s.%s)",
                what, table->schema, table->name);
        err_hint(err, "drop it, and make it again without that column; or abort");
        return;
    }
    err_set(err, "55000",
            "%s came after the migration was planned: `complete` would drop it with the column it "
            "is on (table %s.%s)",
            what, table->schema, table->name);
    err_hint(err, "drop it, and make it on the column that takes the place of that one: now, or "
                  "where that has its name only then, after the cut-over; or abort");
}

/* ---- what has gone ---- */

/* The table %u and its partitions. */
#define WITH_PARTS                                                                                 \
    "rel AS (SELECT t.relid, t.relid <> root.oid AS own FROM " RELATIONS_ROOT RELATIONS_TREE       \
    " AS t)"
#define ANY_KEY PRIVILEGE_KEY("rel.own")

/* Pairs of columns %s, the table %u, keys of what was seen %s: what the old one has no more and the
 * new one has. */
#define REVOKED                                                                                    \
    "WITH pair (old, new) AS (VALUES %s), " WITH_PARTS ", acl AS (SELECT a.attrelid, a.attname, "  \
    "x.*, " GRANTEE " AS who FROM rel JOIN pg_attribute a ON a.attrelid = rel.relid AND NOT "      \
    "a.attisdropped, aclexplode(a.attacl) AS x) SELECT format('%%s of column %%I of table "        \
    "%%s.%%s', x.privilege_type, pair.old, s.nspname, t.relname), pair.new, x.who, format('"       \
    "REVOKE %%s (%%I) ON %%I.%%I FROM %%s', x.privilege_type, pair.new, s.nspname, t.relname, "    \
    "x.who) FROM pair JOIN acl x ON x.attname = pair.new JOIN rel ON rel.relid = x.attrelid JOIN " \
    "pg_class t ON t.oid = rel.relid JOIN pg_namespace s ON s.oid = t.relnamespace JOIN "          \
    "pg_attribute c ON c.attrelid = t.oid AND c.attname = pair.old WHERE " ANY_KEY " = ANY("       \
    "ARRAY[%s]) AND NOT EXISTS (SELECT FROM acl o WHERE o.attrelid = x.attrelid AND o.attname = "  \
    "pair.old AND o.grantee = x.grantee AND o.privilege_type = x.privilege_type) ORDER BY "        \
    "rel.own, 1, 2, 3"

/* Pairs of columns %s, the table %u: keys of privileges and labels of an old column that each of
 * those has, too, which take its place. */
#define ON_BOTH                                                                                    \
    "WITH pair (old, new) AS (VALUES %s), " WITH_PARTS " SELECT " ANY_KEY " FROM rel JOIN "        \
    "pg_attribute c ON c.attrelid = rel.relid AND NOT c.attisdropped AND c.attname IN (SELECT "    \
    "old FROM pair), aclexplode(c.attacl) AS x WHERE NOT EXISTS (SELECT FROM pair WHERE pair.old " \
    "= c.attname AND NOT EXISTS (SELECT FROM pg_attribute n, aclexplode(n.attacl) AS o WHERE "     \
    "n.attrelid = c.attrelid AND n.attname = pair.new AND o.grantee = x.grantee AND "              \
    "o.privilege_type = x.privilege_type AND o.is_grantable >= x.is_grantable)) UNION ALL "        \
    "SELECT " LABEL_KEY                                                                            \
    " FROM rel JOIN pg_attribute c ON c.attrelid = rel.relid AND NOT c.attisdropped "              \
    "AND c.attname IN (SELECT old FROM pair) JOIN pg_seclabel l ON " LABEL_OF(                     \
        "l", "c") " WHERE NOT EXISTS (SELECT FROM pair WHERE pair.old = c.attname AND NOT EXISTS " \
                  "(SELECT FROM "                                                                  \
                  "pg_attribute n JOIN pg_seclabel o ON " LABEL_OF(                                \
                      "o", "n") " WHERE n.attrelid = c.attrelid "                                  \
                                "AND n.attname = pair.new AND o.provider = l.provider))"

static bool takes_place_of(const struct eng_dual *new, const struct eng_dual *old)
{
    return old->old_name && new->new_name &&
           (new == old || (old->group && new->group == old->group));
}

/* "('old', 'new'), ...": once the names have turned, a column of the same name is the new one. */
static void put_pairs(const struct eng_table *table, bool turned, struct buf *out)
{
    for (size_t i = 0; i < table->nduals; i++)
        for (size_t k = 0; k < table->nduals; k++) {
            const struct eng_dual *old = &table->duals[i], *new = &table->duals[k];
            char *from, *to;

            if (!takes_place_of(new, old) || (turned && old->retypes))
                continue;
            from = sql_quote_literal(old->old_name);
            to = sql_quote_literal(new->new_name);
            buf_printf(out, "%s(%s, %s)", out->len ? ", " : "", from, to);
            free(to);
            free(from);
        }
}

static const char *seen_what(const struct eng_table *table, size_t i)
{
    const char *space = strchr(table->dependents[i], ' ');

    return space ? space + 1 : "";
}

static bool is_definition(const struct eng_table *table, size_t i)
{
    return !strncmp(table->dependents[i], AS_DEFINED " ", sizeof(AS_DEFINED));
}

/* Has a partition it, and not its table? */
static bool is_own(const char *key)
{
    return !strncmp(key, PART, sizeof(PART) - 1);
}

static bool is_privilege(const char *what)
{
    return !strncmp(what, PRIVILEGE, sizeof(PRIVILEGE) - 1);
}

/* No other object hangs on it: it can be on either half. */
static bool may_be_on_both(const char *what)
{
    return is_privilege(what) || !strncmp(what, LABEL, sizeof(LABEL) - 1);
}

static enum rc check_revoked(struct eng_engine *engine, const struct eng_table *table, bool turned,
                             struct err *err)
{
    struct buf pairs = {0}, seen = {0};
    PGresult *res = NULL;

    put_pairs(table, turned, &pairs);
    for (size_t i = 1; i < table->ndependents; i++)
        if (is_privilege(seen_what(table, i)))
            buf_printf(&seen, "%s'%.*s'", seen.len ? ", " : "",
                       (int)strcspn(table->dependents[i], " "), table->dependents[i]);
    if (pairs.len && seen.len)
        res = conn_query(&engine->work, err, REVOKED, pairs.data, table->oid, seen.data);
    if (res && PQntuples(res)) {
        err_set(err, "55000",
                "%s was revoked from %s after the migration was planned, and column %s still has"
                " it",
                PQgetvalue(res, 0, 0), PQgetvalue(res, 0, 2), PQgetvalue(res, 0, 1));
        err_hint(err, "%s", PQgetvalue(res, 0, 3));
    }
    PQclear(res);
    buf_fini(&seen);
    buf_fini(&pairs);
    return err_is_set(err) ? RC_ERR : RC_OK;
}

/* A NOT NULL that the new column is not to have may go. */
static bool is_wanted(const struct eng_table *table, const char *what)
{
    for (size_t i = 0; i < table->nduals; i++) {
        const struct eng_dual *dual = &table->duals[i];
        char *name = dual->old_name ? sql_quote_ident(dual->old_name) : NULL;
        char *not_null = name ? mem_printf("NOT NULL of column %s", name) : NULL;
        bool same = not_null && !strcmp(not_null, what);

        free(not_null);
        free(name);
        if (same)
            return dual->new_name && dual->old_not_null && dual->not_null;
    }
    return !is_privilege(what);
}

/* What ALTER CONSTRAINT can change of it, which is said last. */
static const char *ending_of(const char *definition)
{
    static const char *const words[] = {" NOT ENFORCED", " DEFERRABLE", " INITIALLY DEFERRED",
                                        " NO INHERIT"};
    const char *first = definition + strlen(definition);
    const char *found;

    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < ARRAY_LEN(words); i++) {
            size_t len = strlen(words[i]);

            found = first - definition >= (ptrdiff_t)len ? first - len : NULL;
            if (found && !strncmp(found, words[i], len)) {
                first = found;
                more = true;
            }
        }
    }
    return first;
}

/* Is this the definition of that constraint? What follows is behind ": ". */
static bool defines(const char *definition, const char *constraint)
{
    size_t len = strlen(constraint);

    return !strncmp(definition, constraint, len) && !strncmp(definition + len, ": ", 2);
}

/* The constraint is there still, by its OID, and is defined so: then what it refers to, or reads,
 * has other names now, as it has in the twin, which is there as well. Nothing else changes the
 * words of a constraint in its place but ALTER CONSTRAINT. */
static bool is_the_same(const struct eng_table *table, const char *seen, const PGresult *found)
{
    const char *constraint = NULL;

    for (size_t i = 1; !constraint && i < table->ndependents; i++) {
        const char *key = table->dependents[i], *what = seen_what(table, i);
        size_t len = strcspn(key, " ");

        if (!defines(seen, what))
            continue;
        for (int r = 0; !constraint && r < PQntuples(found); r++)
            if (strlen(PQgetvalue(found, r, 0)) == len &&
                !strncmp(PQgetvalue(found, r, 0), key, len) &&
                !strcmp(PQgetvalue(found, r, 1), what))
                constraint = what;
    }
    for (int r = 0; constraint && r < PQntuples(found); r++) {
        const char *now = PQgetvalue(found, r, 1);

        if (!strcmp(PQgetvalue(found, r, 0), AS_DEFINED) && defines(now, constraint))
            return !strcmp(ending_of(now), ending_of(seen));
    }
    return false;
}

/* Before PostgreSQL 18 a foreign key of a partitioned table that the file drops is its leaves' own
 * from a way back on, until the abort (plan_leaves.c). */
static bool is_in_leaves(struct eng_engine *engine, const struct eng_table *table, const char *what)
{
    if (table->relkind != 'p' || PQserverVersion(engine->work.pg) >= PARTS_NOT_VALID)
        return false;
    for (size_t i = 1; i < table->ndependents; i++)
        if (is_definition(table, i) && !strncmp(seen_what(table, i), what, strlen(what)) &&
            strstr(seen_what(table, i), ": FOREIGN KEY ("))
            return true;
    return false;
}

/* Before a cut-over alone: after it the old ones are called otherwise. */
static enum rc check_gone(struct eng_engine *engine, const struct eng_table *table,
                          const PGresult *found, struct err *err)
{
    for (size_t i = 1; i < table->ndependents; i++) {
        const char *what = seen_what(table, i);
        bool there = is_own(table->dependents[i]) || !is_wanted(table, what) ||
                     is_in_leaves(engine, table, what);

        for (int r = 0; !there && r < PQntuples(found); r++)
            there = !strcmp(PQgetvalue(found, r, 1), what);
        if (there || (is_definition(table, i) && is_the_same(table, what, found)))
            continue;
        err_set(err, "55000",
                "%s: it was dropped, renamed or altered after the migration was planned, and what"
                " takes its place is as it was (table %s.%s)",
                what, table->schema, table->name);
        err_hint(err, "make it as it was, ask again, and change it when the migration has ended; or"
                      " abort");
        return RC_ERR;
    }
    return RC_OK;
}

/* ---- all of it ---- */

static bool has_key(const PGresult *res, const char *key)
{
    for (int r = 0; r < PQntuples(res); r++)
        if (!strcmp(PQgetvalue(res, r, 0), key))
            return true;
    return false;
}

/* A plan of before that was looked for has not seen it, though it may have been there. */
static bool is_looked_for(const struct eng_table *table, const char *key, const char *what)
{
    const char *seen = table->dependents[0];

    if (is_own(key))
        return !strcmp(seen, SEEN_PARTS);
    return !strncmp(seen, SEEN_IDENTITY, sizeof(SEEN_IDENTITY) - 1) ||
           strncmp(what, IDENTITY, sizeof(IDENTITY) - 1) != 0;
}

/* `now`: the table as it is called in this phase. */
static enum rc check_new(struct eng_engine *engine, const struct eng_table *now,
                         const PGresult *found, bool all, struct err *err)
{
    struct buf pairs = {0};
    PGresult *both = NULL;

    put_pairs(now, false, &pairs);
    if (pairs.len)
        both = conn_query(&engine->work, err, ON_BOTH, pairs.data, now->oid);
    for (int r = 0; r < PQntuples(found) && !err_is_set(err); r++) {
        const char *key = PQgetvalue(found, r, 0), *what = PQgetvalue(found, r, 1);

        if (strcmp(key, AS_DEFINED) != 0 && is_looked_for(now, key, what) &&
            !is_seen(now, key, what) && !(is_privilege(what) && !all) &&
            !(may_be_on_both(what) && both && has_key(both, key)))
            refuse(now, what, res_bool(found, r, 2), err);
    }
    PQclear(both);
    buf_fini(&pairs);
    return err_is_set(err) ? RC_ERR : RC_OK;
}

static enum rc check_table(struct eng_engine *engine, const struct eng_table *table, bool turned,
                           struct err *err)
{
    struct eng_table now;
    bool all = table->ndependents && !strncmp(table->dependents[0], SEEN, sizeof(SEEN) - 1);
    char *sql;
    PGresult *res;

    if (!table->ndependents)
        return RC_OK;
    eng_turned_init(&now, table, turned);
    sql = found_sql(&now);
    res = sql ? conn_query(&engine->work, err, "%s", sql) : NULL;
    free(sql);
    if (res && (!all || ((turned || check_gone(engine, table, res, err) == RC_OK) &&
                         check_revoked(engine, table, turned, err) == RC_OK)))
        (void)check_new(engine, &now, res, all, err);
    PQclear(res);
    eng_turned_fini(&now);
    return err_is_set(err) ? RC_ERR : RC_OK;
}

/* Of tables that go, whose parts go along. */
static enum rc check_dropped(struct eng_engine *engine, const struct eng_plan *plan,
                             struct err *err)
{
    struct buf names = {0};
    PGresult *res;

    if (!plan->ndropped)
        return RC_OK;
    for (size_t i = 0; i < plan->ndropped; i++) {
        char *name = sql_quote_literal(plan->dropped[i]);

        buf_printf(&names, "%s%s", i ? ", " : "", name);
        free(name);
    }
    res = conn_query(&engine->work, err,
                     DEPENDENTS_OF_TABLES("ARRAY(SELECT to_regclass(n)::oid FROM unnest("
                                          "ARRAY[%1$s]::text[]) AS n)"),
                     names.data);
    buf_fini(&names);
    if (res && PQntuples(res)) {
        err_set(err, "55000",
                "%s came after the migration was planned: `complete` could not drop what it needs",
                PQgetvalue(res, 0, 0));
        err_hint(err, "drop it; or abort");
    }
    PQclear(res);
    return err_is_set(err) ? RC_ERR : RC_OK;
}

enum rc dependents_check(struct eng_engine *engine, const struct eng_migration *m, struct err *err)
{
    for (size_t i = 0; i < m->plan->ntables; i++)
        if (check_table(engine, &m->plan->tables[i], m->phase == PH_SOAKING, err) != RC_OK)
            return RC_ERR;
    return check_dropped(engine, m->plan, err);
}
