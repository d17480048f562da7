#include "turned.h"

#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"
#include "segue/sql/expr.h"

bool eng_table_retypes(const struct eng_table *table)
{
    for (size_t i = 0; i < table->nduals; i++)
        if (table->duals[i].retypes)
            return true;
    return false;
}

/* Each name to that of its other half. */
struct names {
    const char **from, **to;
    size_t n;
};

static struct names names_of(const struct eng_table *table, bool reverse)
{
    struct names names = {mem_calloc(2 * table->nduals + 1, sizeof(char *)),
                          mem_calloc(2 * table->nduals + 1, sizeof(char *)), 0};

    for (size_t i = 0; i < table->nduals; i++) {
        const struct eng_dual *dual = &table->duals[i];

        if (!dual->retypes || !reverse)
            continue;
        names.from[names.n] = names.to[names.n + 1] = dual->old_name;
        names.to[names.n] = names.from[names.n + 1] = dual->new_name;
        names.n += 2;
    }
    return names;
}

static char *turn_expr(const struct names *names, const char *expr)
{
    char *out;

    if (!expr)
        return NULL;
    out = sql_expr_rename(expr, "", names->from, names->to, names->n, false, NULL);
    return out ? out : mem_strdup(expr); /* cannot be: the planner has parsed it */
}

static const char *turn_name(const struct names *names, const char *name)
{
    for (size_t i = 0; i < names->n; i++)
        if (!strcmp(names->from[i], name))
            return names->to[i];
    return name;
}

static void turn_dual(const struct names *names, struct eng_dual *to, const struct eng_dual *from)
{
    *to = *from;
    to->up = turn_expr(names, from->up);
    to->down = turn_expr(names, from->down);
    to->up_columns = mem_calloc(from->nup_columns + 1, sizeof(char *));
    for (size_t i = 0; i < from->nup_columns; i++)
        to->up_columns[i] = mem_strdup(turn_name(names, from->up_columns[i]));
    to->down_columns = mem_calloc(from->ndown_columns + 1, sizeof(char *));
    for (size_t i = 0; i < from->ndown_columns; i++)
        to->down_columns[i] = mem_strdup(turn_name(names, from->down_columns[i]));
    if (from->retypes && names->n > 0) {
        to->old_name = from->new_name;
        to->new_name = from->old_name;
    }
}

void eng_turned_init(struct eng_table *turned, const struct eng_table *table, bool reverse)
{
    struct names names = names_of(table, reverse);

    *turned = *table;
    turned->duals = mem_calloc(table->nduals + 1, sizeof(*turned->duals));
    for (size_t i = 0; i < table->nduals; i++)
        turn_dual(&names, &turned->duals[i], &table->duals[i]);
    free(names.from);
    free(names.to);
}

void eng_turned_fini(struct eng_table *turned)
{
    for (size_t i = 0; i < turned->nduals; i++) {
        struct eng_dual *dual = &turned->duals[i];

        for (size_t k = 0; k < dual->nup_columns; k++)
            free(dual->up_columns[k]);
        free(dual->up_columns);
        for (size_t k = 0; k < dual->ndown_columns; k++)
            free(dual->down_columns[k]);
        free(dual->down_columns);
        free(dual->up);
        free(dual->down);
    }
    free(turned->duals);
}

static void put_table(struct buf *rows, const struct eng_table *plan, bool back,
                      void (*put)(struct buf *rows, const char *relation,
                                  const struct eng_dual *dual, bool back))
{
    struct eng_table table;
    char *relation =
        sql_quote_qualified(plan->schema, back && plan->renamed ? plan->renamed : plan->name);

    eng_turned_init(&table, plan, back);
    for (size_t i = 0; i < table.nduals; i++)
        put(rows, relation, &table.duals[i], back);
    eng_turned_fini(&table);
    free(relation);
}

struct buf eng_turned_rows(const struct eng_plan *plan, bool back,
                           void (*put)(struct buf *rows, const char *relation,
                                       const struct eng_dual *dual, bool back))
{
    struct buf rows = {0};

    for (size_t i = 0; i < plan->ntables; i++)
        put_table(&rows, &plan->tables[i], back, put);
    return rows;
}
