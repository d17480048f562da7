/*
 * How many other relations have columns called as the plan's old and new ones. Workers are told of
 * each (sight.h), and of none where there are too many: then nothing would be rewritten.
 */
#include <stdlib.h>

#include "plan_build.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"
#include "sight.h"

static const char many_sql[] =
    "SELECT count(*)::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
    "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE a.attname = ANY(ARRAY[%s]::name[]) AND "
    "a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND "
    "left(n.nspname, 8) <> 'pg_toast' AND NOT EXISTS (SELECT FROM unnest(ARRAY[%s]::oid[]) AS w "
    "(oid) WHERE c.oid = w.oid OR c.oid IN (SELECT relid FROM pg_partition_tree(w.oid)))";

static void put_name(struct buf *names, const char *name)
{
    char *literal = name ? sql_quote_literal(name) : NULL;

    if (literal)
        buf_printf(names, "%s%s", names->len ? ", " : "", literal);
    free(literal);
}

/* As rules will tell of them: not of those that keep their name. */
static void collect(const struct eng_plan *plan, struct buf *names, struct buf *oids)
{
    for (size_t t = 0; t < plan->ntables; t++) {
        const struct eng_table *table = &plan->tables[t];

        buf_printf(oids, "%s%u", oids->len ? ", " : "", (unsigned)table->oid);
        for (size_t i = 0; i < table->nduals; i++) {
            if (table->duals[i].retypes)
                continue;
            put_name(names, table->duals[i].old_name);
            put_name(names, table->duals[i].new_name);
        }
    }
}

static void judge(struct build *b, const char *many)
{
    static const char why[] = "a star, an INSERT without a list and a bare name could not be told"
                              " from the other side's columns";
    int n = atoi(many);

    if (n > SIGHT_NAMESAKES_MAX)
        build_refuse(b, b->plan->name, "choose other names, or rename by hand",
                     "%d columns of other tables and views, partitions included, are called as its"
                     " old and new ones, more than the %d that segue keeps in view: nothing would"
                     " be rewritten, %s",
                     n, SIGHT_NAMESAKES_MAX, why);
    else if (n > SIGHT_NAMESAKES_MAX / 2)
        build_warn(b, b->plan->name, "make no more of them until complete",
                   "%d columns of other tables and views, partitions included, are called as its"
                   " old and new ones; beyond %d, with those of all migrations in flight, nothing"
                   " is rewritten, and %s",
                   n, SIGHT_NAMESAKES_MAX, why);
}

enum rc refuse_many(struct build *b)
{
    struct buf names = {0}, oids = {0};
    char *sql = NULL, *many = NULL;
    enum rc rc = RC_OK;

    collect(b->plan, &names, &oids);
    if (names.len) {
        sql = mem_printf(many_sql, names.data, oids.data);
        rc = own_value(b, sql, 0, NULL, &many, b->err);
    }
    if (many)
        judge(b, many);
    free(many);
    free(sql);
    buf_fini(&names);
    buf_fini(&oids);
    return rc;
}
