#include "defaults.h"

#include <stdlib.h>

#include "segue/base/mem.h"
#include "segue/sql/expr.h"
#include "turned.h"

/* One row a column: its table, its name, the default that it is to have now, NULL: none, and
 * whether it follows: then none of its type either. %1$s: the rows, %2$s: what is done where the
 * plan's is written in other words, %3$s: the next turn. */
static const char look_sql[] =
    "DECLARE r record; was text; planned text; BEGIN FOR r IN SELECT"
    " to_regclass(v.relation) AS relation, v.name, v.def, v.follows, a.attnum FROM (VALUES %1$s) AS"
    " v(relation, name, def, follows) JOIN pg_attribute a ON a.attrelid = to_regclass(v.relation) "
    "AND"
    " a.attname = v.name AND NOT a.attisdropped LOOP"
    " was := (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d WHERE d.adrelid ="
    "  r.relation AND d.adnum = r.attnum);"
    " planned := r.def;"
    " IF planned IS NULL AND was ~ '^NULL(::|$)' THEN was := NULL; END IF;"
    " IF was <> planned THEN %2$s END IF;"
    " IF was IS DISTINCT FROM planned THEN RAISE EXCEPTION USING ERRCODE = '55000', MESSAGE ="
    "  format('the default of column %%I of %%s is not the one of the plan: it %%s', r.name,"
    "  r.relation, CASE WHEN was IS NULL THEN 'has gone' ELSE 'is ' || was END),"
    "  HINT = format('ALTER TABLE %%s ALTER COLUMN %%I %%s, and ask for it again; %%s', r.relation,"
    "  r.name, CASE WHEN r.follows THEN 'SET DEFAULT NULL' WHEN r.def IS NULL THEN 'DROP DEFAULT' "
    "ELSE 'SET DEFAULT ' || r.def END,"
    "  %3$s); END IF; END LOOP; END";

static void put(struct buf *rows, const char *relation, const char *name, const char *def,
                bool follows)
{
    char *table = sql_quote_literal(relation), *column = sql_quote_literal(name);
    char *value = def && *def ? sql_quote_literal(def) : mem_strdup("NULL");

    buf_printf(rows, "%s(%s, %s, %s::text, %s)", rows->len ? ", " : "", table, column, value,
               follows ? "true" : "false");
    free(value);
    free(column);
    free(table);
}

static void put_dual(struct buf *rows, const char *relation, const struct eng_dual *dual, bool back)
{
    if (dual->old_default)
        put(rows, relation, dual->old_name, back ? NULL : dual->old_default, back);
    if (dual->new_default)
        put(rows, relation, dual->new_name, back ? dual->new_default : NULL, !back);
}

static char *look(const struct eng_migration *m, bool back, const char *others)
{
    struct buf rows = eng_turned_rows(m->plan, back, put_dual);
    char *body, *literal, *sql;

    if (!rows.len)
        return mem_strdup("");
    body = mem_printf(look_sql, rows.data, others,
                      back ? "'the way back would lose it'"
                           : "'or abort, and start it again with the default that is there'");
    literal = sql_quote_literal(body);
    sql = mem_printf("DO %s", literal);
    free(literal);
    free(body);
    buf_fini(&rows);
    return sql;
}

enum rc defaults_check(struct eng_engine *engine, struct eng_migration *m, bool back,
                       struct err *err)
{
    char *sql = look(m, back, "was := planned;"); /* under the locks it is known */
    enum rc rc = *sql ? conn_exec(&engine->work, err, "%s", sql) : RC_OK;

    free(sql);
    return rc;
}

char *defaults_sql(const struct eng_engine *engine, const struct eng_migration *m, bool back)
{
    char *names = conn_names_sql(&engine->work, m->plan), *path = sql_quote_literal(names);
    char *own = sql_quote_literal(CONN_OWN_NAMES);
    char *others = mem_printf(
        "EXECUTE %s; EXECUTE pg_catalog.format('ALTER TABLE %%s ALTER COLUMN %%I SET DEFAULT %%s',"
        " r.relation, r.name, r.def); EXECUTE %s; planned := (SELECT pg_get_expr(d.adbin,"
        " d.adrelid) FROM pg_attrdef d WHERE d.adrelid = r.relation AND d.adnum = r.attnum);",
        path, own);
    char *look_text = look(m, back, others);
    char *sql = *look_text ? mem_printf("%s;\n", look_text) : mem_strdup("");

    free(look_text);
    free(others);
    free(own);
    free(path);
    free(names);
    return sql;
}

char *defaults_following_sql(const struct eng_migration *m, bool back)
{
    struct buf rows = eng_turned_rows(m->plan, back, put_dual);
    char *sql = rows.len ? mem_printf("SELECT to_regclass(v.relation), quote_ident(v.name),"
                                      " pg_get_expr(d.adbin, d.adrelid) FROM (VALUES %s) AS"
                                      " v(relation, name, def, follows) JOIN pg_attribute a ON"
                                      " a.attrelid = to_regclass(v.relation) AND a.attname = v.name"
                                      " AND NOT a.attisdropped JOIN pg_attrdef d ON d.adrelid ="
                                      " a.attrelid AND d.adnum = a.attnum WHERE v.follows AND"
                                      " pg_get_expr(d.adbin, d.adrelid) !~ '^NULL(::|$)'",
                                      rows.data)
                         : NULL;

    buf_fini(&rows);
    return sql;
}
