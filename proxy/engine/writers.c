#include "writers.h"

#include <stdlib.h>
#include <string.h>

#include "history.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"

struct names {
    char **v; /* heap, each of them, too */
    size_t n;
};

static void add(struct names *names, const char *name)
{
    if (!name)
        return;
    names->v = mem_realloc(names->v, (names->n + 1) * sizeof(*names->v));
    names->v[names->n++] = mem_strdup(name);
}

/* As an array's text, heap. */
static char *array_of(struct names *names)
{
    char *list = history_array(names->v, names->n);

    for (size_t i = 0; i < names->n; i++)
        free(names->v[i]);
    free(names->v);
    return list;
}

static void add_called(struct names *functions, const char *expr)
{
    struct sql_expr_info info;

    if (!expr || sql_expr_parse(expr, &info, NULL) != RC_OK)
        return;
    for (size_t i = 0; i < info.nfunctions; i++)
        add(functions, info.functions[i]);
    sql_expr_info_fini(&info);
}

/* Their oids, by the path of the file; heap. */
static enum rc called_by(struct eng_conn *conn, const struct eng_plan *plan, const char *functions,
                         char **oids, struct err *err)
{
    char *path = conn_names_sql(conn, plan), *list = sql_quote_literal(functions);
    PGresult *res = conn_query(conn, err, "%s" WRITERS_CALLED("%s"), path, list, list);

    *oids = res ? mem_strdup(res_text(res, 0, 0)) : NULL;
    PQclear(res);
    free(list);
    free(path);
    return *oids ? RC_OK : RC_ERR;
}

enum rc writers_look(struct eng_conn *conn, const struct eng_plan *plan,
                     const struct eng_table *table, char **grant, struct err *err)
{
    static const char sql[] = WRITERS_LACK("$1", "$2", "$3") " ORDER BY 1 LIMIT 1";
    struct names functions = {0}, types = {0};
    char *table_oid = mem_printf("%u", table->oid), *called, *made, *oids;
    PGresult *res = NULL;

    for (size_t i = 0; i < table->nduals; i++) {
        const struct eng_dual *dual = &table->duals[i];

        if (dual->plain || dual->counts) /* as the plan: nothing of the file is called */
            continue;
        add(&types, dual->old_type);
        add(&types, dual->new_type);
        add_called(&functions, dual->up);
        add_called(&functions, dual->down);
    }
    called = array_of(&functions);
    made = array_of(&types);
    if (called_by(conn, plan, called, &oids, err) == RC_OK)
        res = conn_params(conn, err, sql, 3, (const char *const[]){table_oid, made, oids});
    *grant = res && PQntuples(res) ? mem_strdup(res_text(res, 0, 0)) : NULL;
    free(oids);
    free(made);
    free(called);
    free(table_oid);
    if (!res)
        return RC_ERR;
    PQclear(res);
    return RC_OK;
}

enum rc writers_check(struct eng_conn *conn, const struct eng_plan *plan, struct err *err)
{
    for (size_t i = 0; i < plan->ntables; i++) {
        const struct eng_table *table = &plan->tables[i];
        char *grant;

        if (writers_look(conn, plan, table, &grant, err) != RC_OK)
            return RC_ERR;
        if (!grant)
            continue;
        err_set(err, "42501",
                "a role that may write to %s.%s may not use what its guard calls: its statements "
                "fail there",
                table->schema, table->name);
        err_hint(err, "%s", grant);
        free(grant);
        return RC_ERR;
    }
    return RC_OK;
}
