#include "attributes.h"

#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"
#include "turned.h"

/* ---- for the plan ---- */

static void keep(struct eng_dual *dual, const char *kind, const char *value)
{
    dual->kept = mem_realloc(dual->kept, (dual->nkept + 1) * sizeof(*dual->kept));
    dual->kept[dual->nkept++] = mem_printf("%s %s", kind, value ? value : "");
}

void attributes_keep(struct eng_dual *dual, const struct pair *pair, const json_t *column)
{
    const json_t *statistics = json_object_get(column, "statistics");
    char *target = mem_printf(
        "%lld", json_is_integer(statistics) ? (long long)json_integer_value(statistics) : -1LL);

    keep(dual, "statistics", target);
    keep(dual, "options", cat_text(column, "options"));
    if (!pair->commented)
        keep(dual, "comment", cat_text(column, "comment"));
    if (!pair->type) { /* with another type the server lets go of them, too */
        keep(dual, "storage", cat_text(column, "storage"));
        keep(dual, "compression", cat_text(column, "compression"));
    }
    free(target);
}

/* ---- the turn ---- */

#define STORAGE(letter)                                                                            \
    "CASE " letter " WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE"     \
    " 'EXTENDED' END"

/* One row a column and kind. %1$s: the rows, %2$s and %3$s: by the path of its role, by segue's
 * own, %4$s: what is taken along of what differs. Partitions have their own, which begin as those
 * of the table: but for what ALTER TABLE does not hand down. */
static const char carry_sql[] =
    "DECLARE r record; BEGIN FOR r IN WITH v (relation, from_, to_, kind, planned) AS (VALUES"
    " %1$s), part AS (SELECT t.relation, p.relid, p.relid = to_regclass(t.relation) AS whole FROM"
    " (SELECT DISTINCT relation FROM v) t, LATERAL (SELECT to_regclass(t.relation) AS relid UNION"
    " SELECT relid FROM pg_partition_tree(to_regclass(t.relation))) p JOIN pg_class c ON"
    " c.oid = p.relid AND c.relkind IN ('r', 'p')), found AS (SELECT v.*, relid, a.attname, CASE"
    " kind WHEN 'statistics' THEN coalesce(a.attstattarget, -1)::text"
    " WHEN 'options' THEN coalesce((SELECT string_agg(o, ', ' ORDER BY o) FROM"
    "  unnest(a.attoptions) o WHERE o ~ '^n_distinct(_inherited)?='), '')"
    " WHEN 'comment' THEN coalesce(col_description(a.attrelid, a.attnum), '')"
    " WHEN 'storage' THEN " STORAGE(
        "a.attstorage") " ELSE CASE a.attcompression WHEN 'p' THEN"
                        "  'pglz' WHEN 'l' THEN 'lz4' ELSE '' END END AS is_, CASE WHEN kind = "
                        "'storage' THEN"
                        "  coalesce(nullif(planned, ''), " STORAGE(
                            "y.typstorage") ") WHEN whole OR kind ="
                                            "  'statistics' THEN planned ELSE '' END AS was FROM v "
                                            "JOIN part USING (relation) JOIN"
                                            " pg_attribute a ON a.attrelid = relid AND a.attname "
                                            "IN (from_, to_) AND NOT a.attisdropped"
                                            " JOIN pg_type y ON y.oid = a.atttypid), pair AS "
                                            "(SELECT relid, to_, kind, min(was) FILTER"
                                            " (WHERE attname = from_) AS was, min(is_) FILTER "
                                            "(WHERE attname = from_) AS is_, min(is_)"
                                            " FILTER (WHERE attname = to_) AS other FROM found "
                                            "GROUP BY relid, from_, to_, kind)"
                                            " SELECT relid::regclass AS relation, to_ AS name, "
                                            "kind, is_ FROM pair WHERE %4$s AND is_ <>"
                                            " other"
                                            " LOOP %2$s EXECUTE CASE r.kind WHEN 'comment' THEN "
                                            "format('COMMENT ON COLUMN %%s.%%I IS %%L',"
                                            " r.relation, r.name, nullif(r.is_, '')) ELSE "
                                            "format('ALTER TABLE ONLY %%s ALTER COLUMN %%I ',"
                                            " r.relation, r.name) || CASE r.kind WHEN 'statistics' "
                                            "THEN 'SET STATISTICS ' || r.is_ WHEN"
                                            " 'storage' THEN 'SET STORAGE ' || r.is_ WHEN "
                                            "'compression' THEN 'SET COMPRESSION ' ||"
                                            " coalesce(nullif(r.is_, ''), 'default') ELSE 'RESET "
                                            "(n_distinct, n_distinct_inherited)' ||"
                                            " CASE WHEN r.is_ <> '' THEN format(', ALTER COLUMN "
                                            "%%I SET (%%s)', r.name, r.is_) ELSE '' END"
                                            " END END; %3$s END LOOP; END";

static void put_pair(struct buf *rows, const char *relation, const struct eng_dual *dual, bool back)
{
    char *table, *from, *to;

    if (!dual->nkept) /* else both halves are there */
        return;
    table = sql_quote_literal(relation);
    from = sql_quote_literal(back ? dual->new_name : dual->old_name);
    to = sql_quote_literal(back ? dual->old_name : dual->new_name);

    for (size_t i = 0; i < dual->nkept; i++) {
        const char *kept = dual->kept[i];
        size_t kind = strcspn(kept, " ");
        char *value = sql_quote_literal(kept[kind] ? kept + kind + 1 : "");

        buf_printf(rows, "%s(%s, %s, %s, '%.*s', %s)", rows->len ? ", " : "", table, from, to,
                   (int)kind, kept, value);
        free(value);
    }
    free(to);
    free(from);
    free(table);
}

char *attributes_sql(const struct eng_engine *engine, const struct eng_migration *m, bool back)
{
    struct buf rows = eng_turned_rows(m->plan, back, put_pair);
    char *names, *path, *by_names, *own, *by_own, *body, *literal, *sql;

    if (!rows.len)
        return mem_strdup("");
    names = conn_names_sql(&engine->work, m->plan);
    path = sql_quote_literal(names);
    own = sql_quote_literal(CONN_OWN_NAMES);
    by_names = mem_printf("EXECUTE %s;", path);
    by_own = mem_printf("EXECUTE %s;", own);
    body = mem_printf(carry_sql, rows.data, by_names, by_own, back ? "true" : "is_ <> was");
    literal = sql_quote_literal(body);
    sql = mem_printf("DO %s;\n", literal);
    free(literal);
    free(body);
    free(by_own);
    free(by_names);
    free(own);
    free(path);
    free(names);
    buf_fini(&rows);
    return sql;
}
