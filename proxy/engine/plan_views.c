/*
 * Views over a column that changes its type under its name. A view knows the column, not its name:
 * it would go on reading the half that goes. They are refused by name (plan_refuse.c); here are the
 * statements that drop them, and all that stands on them, and make them again as they are.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan_build.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/rewrite.h"

/* $1: the table's oid, $2: columns, as an array. A row a view, in the order in which they can be
 * made: how to drop it, how to make it. Names come out qualified. */
static const char views_sql[] =
    "WITH RECURSIVE path AS MATERIALIZED (SELECT set_config('search_path', 'pg_catalog', true)),"
    " v (oid, depth) AS (SELECT r.ev_class, 1 FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid"
    "  WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass"
    "  AND d.refobjid = $1::oid AND d.refobjsubid IN (SELECT attnum FROM pg_attribute WHERE"
    "  attrelid = $1::oid AND attname = ANY ($2::name[])) AND r.ev_class <> $1::oid"
    " UNION SELECT r.ev_class, v.depth + 1 FROM v JOIN pg_depend d ON d.refobjid = v.oid"
    "  JOIN pg_rewrite r ON r.oid = d.objid WHERE d.classid = 'pg_rewrite'::regclass"
    "  AND d.refclassid = 'pg_class'::regclass AND r.ev_class <> v.oid AND v.depth < 100),"
    " o AS (SELECT c.*, v.depth, n.nspname, format('%I.%I', n.nspname, c.relname) AS called,"
    "  CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END AS kind"
    "  FROM (SELECT oid, max(depth) AS depth FROM v GROUP BY oid) v JOIN pg_class c ON c.oid ="
    "  v.oid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('v', 'm')),"
    " acl AS (SELECT o.oid, 0 AS num, x.* FROM o, aclexplode(o.relacl) x UNION ALL"
    "  SELECT o.oid, a.attnum, x.* FROM o JOIN pg_attribute a ON a.attrelid = o.oid,"
    "  aclexplode(a.attacl) x),"
    " parts (oid, rank, key, text) AS ("
    "  SELECT o.oid, 1, '', format('CREATE %s %s%s%s AS%s%s;', o.kind, o.called,"
    "   CASE WHEN o.relkind = 'm' AND am.amname <> 'heap' THEN format(' USING %I', am.amname) ELSE"
    "   '' END, CASE WHEN o.reloptions IS NOT NULL THEN ' WITH (' || array_to_string(o.reloptions,"
    "   ', ') || ')' ELSE '' END || coalesce(' TABLESPACE ' || quote_ident(ts.spcname), ''),"
    "   E'\\n' || rtrim(pg_get_viewdef(o.oid), ';'),"
    "   CASE WHEN o.relkind = 'm' AND NOT o.relispopulated THEN ' WITH NO DATA' ELSE '' END)"
    "   FROM path, o LEFT JOIN pg_am am ON am.oid = o.relam LEFT JOIN pg_tablespace ts ON ts.oid ="
    "   o.reltablespace WHERE path IS NOT NULL"
    "  UNION ALL SELECT o.oid, 2, a.attname, format('ALTER VIEW %s ALTER COLUMN %I SET DEFAULT"
    "   %s;', o.called, a.attname, pg_get_expr(f.adbin, f.adrelid)) FROM path, o JOIN pg_attrdef f"
    "   ON f.adrelid = o.oid JOIN pg_attribute a ON a.attrelid = o.oid AND a.attnum = f.adnum"
    "   WHERE path IS NOT NULL"
    "  UNION ALL SELECT o.oid, 3, x.relname, pg_get_indexdef(i.indexrelid) || ';' FROM path, o"
    "   JOIN pg_index i ON i.indrelid = o.oid JOIN pg_class x ON x.oid = i.indexrelid"
    "   WHERE path IS NOT NULL"
    "  UNION ALL SELECT o.oid, 4, x.relname, format('COMMENT ON INDEX %I.%I IS %L;', o.nspname,"
    "   x.relname, obj_description(x.oid, 'pg_class')) FROM o JOIN pg_index i ON i.indrelid = o.oid"
    "   JOIN pg_class x ON x.oid = i.indexrelid WHERE obj_description(x.oid, 'pg_class') IS NOT"
    "   NULL"
    "  UNION ALL SELECT o.oid, 5, x.relname, format('ALTER MATERIALIZED VIEW %s CLUSTER ON %I;',"
    "   o.called, x.relname) FROM o JOIN pg_index i ON i.indrelid = o.oid AND i.indisclustered"
    "   JOIN pg_class x ON x.oid = i.indexrelid"
    "  UNION ALL SELECT o.oid, 6, s.stxname, pg_get_statisticsobjdef(s.oid) || ';' FROM path, o"
    "   JOIN pg_statistic_ext s ON s.stxrelid = o.oid WHERE path IS NOT NULL"
    "  UNION ALL SELECT o.oid, 7, a.attname, format('ALTER MATERIALIZED VIEW %s ALTER COLUMN %I SET"
    "   STATISTICS %s;', o.called, a.attname, a.attstattarget) FROM o JOIN pg_attribute a ON"
    "   a.attrelid = o.oid WHERE a.attnum > 0 AND a.attstattarget >= 0"
    "  UNION ALL SELECT o.oid, 8, r.rulename, pg_get_ruledef(r.oid) FROM path, o JOIN pg_rewrite r"
    "   ON r.ev_class = o.oid AND r.rulename <> '_RETURN' WHERE path IS NOT NULL"
    "  UNION ALL SELECT o.oid, 9, g.tgname, pg_get_triggerdef(g.oid) || ';' FROM path, o"
    "   JOIN pg_trigger g ON g.tgrelid = o.oid AND NOT g.tgisinternal WHERE path IS NOT NULL"
    "  UNION ALL SELECT o.oid, 10, '', format('COMMENT ON %s %s IS %L;', o.kind, o.called,"
    "   obj_description(o.oid, 'pg_class')) FROM o WHERE obj_description(o.oid, 'pg_class') IS NOT"
    "   NULL"
    "  UNION ALL SELECT o.oid, 11, a.attname, format('COMMENT ON COLUMN %s.%I IS %L;', o.called,"
    "   a.attname, col_description(o.oid, a.attnum)) FROM o JOIN pg_attribute a ON a.attrelid ="
    "   o.oid AND a.attnum > 0 WHERE col_description(o.oid, a.attnum) IS NOT NULL"
    "  UNION ALL SELECT o.oid, 12, '', format('ALTER %s %s OWNER TO %I;', o.kind, o.called,"
    "   pg_get_userbyid(o.relowner)) FROM o WHERE pg_get_userbyid(o.relowner) <> current_user"
    "  UNION ALL SELECT o.oid, 13, '', format('REVOKE ALL ON %s FROM %I;', o.called,"
    "   pg_get_userbyid(o.relowner)) FROM o WHERE o.relacl IS NOT NULL AND NOT EXISTS (SELECT FROM"
    "   acl WHERE acl.oid = o.oid AND acl.num = 0 AND acl.grantee = o.relowner)"
    "  UNION ALL SELECT o.oid, 14, acl.num || ' ' || acl.grantee || acl.is_grantable,"
    "   format('GRANT %s ON %s TO %s%s;', string_agg(acl.privilege_type ||"
    "   coalesce(' (' || quote_ident(a.attname) || ')', ''), ', ' ORDER BY acl.privilege_type), "
    "o.called,"
    "   CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(acl.grantee)) END,"
    "   CASE WHEN acl.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) FROM o JOIN acl ON"
    "   acl.oid = o.oid LEFT JOIN pg_attribute a ON a.attrelid = o.oid AND a.attnum = acl.num"
    "   AND acl.num > 0 WHERE acl.grantee <> o.relowner GROUP BY o.oid, o.called, acl.num,"
    "   acl.grantee, acl.is_grantable)"
    " SELECT format('DROP %s %s;', o.kind, o.called), string_agg(p.text, E'\\n' ORDER BY p.rank,"
    "  p.key), o.called, (SELECT rtrim(pg_get_viewdef(o.oid), ';') FROM path WHERE path IS NOT "
    "NULL)"
    " FROM o JOIN parts p ON p.oid = o.oid"
    " GROUP BY o.oid, o.depth, o.kind, o.called ORDER BY o.depth, o.oid";

enum { V_DROP, V_MAKE, V_CALLED, V_QUERY };

/* "{a,b}" of the columns of the table that change their type under their name. Heap. */
static char *retyped(const struct target *t)
{
    struct buf out = {0};

    for (size_t i = 0; i < t->from.n; i++) {
        if (!retype_has(t, t->from.v[i]))
            continue;
        buf_append_str(&out, out.len ? ",\"" : "{\"");
        for (const char *c = t->from.v[i]; *c; c++) {
            if (*c == '"' || *c == '\\')
                buf_append_u8(&out, '\\');
            buf_append_u8(&out, (uint8_t)*c);
        }
        buf_append_str(&out, "\"");
    }
    if (!out.len)
        return NULL;
    buf_append_str(&out, "}");
    return buf_take(&out);
}

/* The query as it is from the cut-over on, when tables have other names. Heap, NULL: the same. */
static char *query_then(const struct build *b, const char *query)
{
    static const char *const none[] = {NULL};
    /* which there are is no matter: none is hidden, and the server spells out every star */
    static const struct sql_column_rule column[] = {{"", SQL_SEEN_BY_BOTH, false}};
    const struct sql_sight_of_session session = {.side = SQL_SIDE_FOLLOW, .rewrites = true};
    struct sql_rules *rules = sql_rules_new(1);
    struct sql_rewrite out;
    char *text;

    for (size_t i = 0; i < b->nrenames; i++)
        sql_rules_add(rules, &(struct sql_table_rule){.migration = b->plan->name,
                                                      .schema = b->renames[i].schema,
                                                      .name = b->renames[i].to,
                                                      .other_name = b->renames[i].name,
                                                      .old_columns = none,
                                                      .new_columns = none,
                                                      .relatives = none,
                                                      .columns = column,
                                                      .ncolumns = ARRAY_LEN(column),
                                                      .reversed = true});
    sql_rewrite(rules, &session, query, strlen(query), &out);
    text = out.text ? mem_strndup(out.text, out.len) : NULL;
    sql_rewrite_fini(&out);
    sql_rules_unref(rules);
    return text;
}

static void append_make(const struct build *b, const PGresult *res, int row, struct buf *out)
{
    const char *make = PQgetvalue(res, row, V_MAKE), *query = PQgetvalue(res, row, V_QUERY);
    const char *at = strstr(make, query);
    char *then = at && b->nrenames ? query_then(b, query) : NULL;

    if (then)
        buf_printf(out, "%.*s%s%s\n", (int)(at - make), make, then, at + strlen(query));
    else
        buf_printf(out, "%s\n", make);
    free(then);
}

static char *script(const struct build *b, const PGresult *res)
{
    struct buf out = {0};

    buf_append_str(&out, "-- before the migration\n");
    for (int i = PQntuples(res); i-- > 0;)
        buf_printf(&out, "%s\n", PQgetvalue(res, i, V_DROP));
    buf_append_str(&out, "-- from the cut-over on\n");
    for (int i = 0; i < PQntuples(res); i++)
        append_make(b, res, i, &out);
    return buf_take(&out);
}

static void refuse_all(struct build *b, const struct target *t, const PGresult *res)
{
    struct buf names = {0};

    for (int i = 0; i < PQntuples(res); i++)
        buf_printf(&names, "%s%s", i ? ", " : "", PQgetvalue(res, i, V_CALLED));
    build_refuse(
        b, t->relation,
        "drop them before the migration, and make them again from the cut-over on (a rollback"
        " needs them dropped once more); in between whoever reads them gets an error",
        "views read a column that changes its type, or stand on one that does: %s", names.data);
    b->plan->notes[b->plan->nnotes - 1].sql = script(b, res);
    buf_fini(&names);
}

enum rc refuse_views(struct build *b, const struct target *t)
{
    char oid[24], *columns = retyped(t);
    const char *params[] = {oid, columns};
    PGresult *res;
    enum rc rc;

    if (!columns)
        return RC_OK;
    snprintf(oid, sizeof(oid), "%lld",
             (long long)json_integer_value(json_object_get(t->doc, "oid")));
    rc = own_query(b, views_sql, 2, params, &res, b->err);
    if (rc == RC_OK && PQntuples(res))
        refuse_all(b, t, res);
    if (rc == RC_OK)
        PQclear(res);
    free(columns);
    return rc;
}
