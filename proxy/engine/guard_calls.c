#include "guard_calls.h"

#include <stdlib.h>
#include <string.h>

#include "guard_text.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"

enum call { CALL_UP, CALL_DOWN, CALL_DEF, CALLS };

static const char *const words[CALLS] = {"up", "down", "def"};

/* NULL: the guard's body says no such thing. */
static const char *expr_of(const struct eng_dual *dual, enum call call)
{
    switch (call) {
    case CALL_UP:
        return dual->up;
    case CALL_DOWN:
        return dual->down;
    default:
        return dual->group ? dual->def : NULL;
    }
}

static const char *type_of(const struct eng_dual *dual, enum call call)
{
    bool old = call == CALL_DOWN || (call == CALL_DEF && dual->old_name);

    return old ? dual->old_type : dual->new_type;
}

static char *function_of(const struct eng_table *table, size_t i, enum call call)
{
    char *bare = mem_printf("%s_%s_%zu", table->guard, words[call], i);
    char *name = sql_quote_qualified("segue", bare);

    free(bare);
    return name;
}

static bool is_called(const struct eng_table *table, size_t i, enum call call)
{
    return table->duals[i].by_trees && expr_of(&table->duals[i], call);
}

/* Appends what `each` column that the expression reads is in front, and behind, of its name. */
static void put_columns(struct buf *out, const char *expr, const char *before, const char *behind)
{
    struct sql_expr_info info;

    if (sql_expr_parse(expr, &info, NULL) != RC_OK)
        return; /* cannot be: the planner has parsed it */
    for (size_t i = 0; i < info.ncolumns; i++) {
        buf_append_str(out, i ? ", " : "");
        buf_append_str(out, before);
        sql_quote_ident_put(out, info.columns[i]);
        if (*behind) {
            buf_append_str(out, behind);
            sql_quote_ident_put(out, info.columns[i]);
            buf_append_str(out, "%TYPE");
        }
    }
    sql_expr_info_fini(&info);
}

/* ---- the calls ---- */

static char *call_of(const struct eng_table *table, size_t i, enum call call)
{
    char *function;
    struct buf out = {0};

    if (!is_called(table, i, call))
        return NULL;
    function = function_of(table, i, call);
    buf_printf(&out, "%s(", function);
    put_columns(&out, expr_of(&table->duals[i], call), "NEW.", "");
    buf_append_str(&out, ")");
    free(function);
    return buf_take(&out);
}

void guard_calls_init(struct eng_table *table)
{
    for (size_t i = 0; i < table->nduals; i++) {
        table->duals[i].up_call = call_of(table, i, CALL_UP);
        table->duals[i].down_call = call_of(table, i, CALL_DOWN);
        table->duals[i].def_call = call_of(table, i, CALL_DEF);
    }
}

void guard_calls_fini(struct eng_table *table)
{
    for (size_t i = 0; i < table->nduals; i++) {
        char **calls[] = {&table->duals[i].up_call, &table->duals[i].down_call,
                          &table->duals[i].def_call};

        for (size_t k = 0; k < ARRAY_LEN(calls); k++) {
            free(*calls[k]);
            *calls[k] = NULL;
        }
    }
}

/* ---- the functions ---- */

static void append(char ***sql, size_t *n, char *statement)
{
    *sql = mem_realloc(*sql, (*n + 1) * sizeof(**sql));
    (*sql)[(*n)++] = statement;
}

/* Parameters are called as the columns, so that the expression stands in it as it is. */
static char *create(const struct eng_table *table, size_t i, enum call call, const char *function)
{
    const struct eng_dual *dual = &table->duals[i];
    char *relation = sql_quote_qualified(table->schema, table->name);
    char *of = mem_printf(" %s.", relation);
    char *value = guard_over_row(expr_of(dual, call), type_of(dual, call), false, "");
    struct buf out = {0};

    buf_printf(&out, "CREATE FUNCTION %s(", function);
    put_columns(&out, expr_of(dual, call), "", of);
    buf_printf(&out, ") RETURNS %s LANGUAGE sql RETURN %s", type_of(dual, call), value);
    free(value);
    free(of);
    free(relation);
    return buf_take(&out);
}

/* All of them dropped and, with `made`, made again. Who writes calls them, whatever functions of
 * segue's role are to others by default. */
static char **each_call(const struct eng_table *table, bool made, char **sql, size_t *n)
{
    for (size_t i = 0; i < table->nduals; i++)
        for (enum call call = 0; call < CALLS; call++) {
            char *function;

            if (!is_called(table, i, call))
                continue;
            function = function_of(table, i, call);
            append(&sql, n, mem_printf("DROP FUNCTION IF EXISTS %s", function));
            if (made) {
                append(&sql, n, create(table, i, call, function));
                append(&sql, n, mem_printf("GRANT EXECUTE ON FUNCTION %s TO PUBLIC", function));
            }
            free(function);
        }
    return sql;
}

/* How a literal is read is settled when the function is made. */
static char **under_settings(const struct eng_table *table, char **sql, size_t *n)
{
    char *settings, *end;

    for (size_t i = 0; i < table->nduals; i++) {
        if (!table->duals[i].by_trees || !table->duals[i].varies)
            continue;
        settings = eng_table_settings_sql(table);
        end = strrchr(settings, ';');
        if (end)
            *end = '\0';
        append(&sql, n, settings);
        break;
    }
    return sql;
}

char **eng_guard_calls_sql(const struct eng_table *table, size_t *n)
{
    *n = 0;
    return each_call(table, true, under_settings(table, mem_calloc(1, sizeof(char *)), n), n);
}

char **guard_calls_drop_sql(const struct eng_table *table, char **sql, size_t *n)
{
    return each_call(table, false, sql, n);
}
