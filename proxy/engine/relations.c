#include "relations.h"

#include <stdio.h>
#include <stdlib.h>

#include "segue/base/mem.h"

void relations_add(struct eng_relations *relations, const struct eng_relation *relation)
{
    relations->items =
        mem_realloc(relations->items, (relations->n + 1) * sizeof(*relations->items));
    relations->items[relations->n++] = *relation;
}

enum rc relations_look(struct eng_conn *conn, const struct eng_table *table, bool turned,
                       enum relations_table *state, struct err *err)
{
    char oid[16];
    const char *values[] = {oid, table->schema,
                            turned && table->renamed ? table->renamed : table->name};
    PGresult *res;

    snprintf(oid, sizeof(oid), "%u", table->oid);
    res = conn_params(conn, err,
                      "SELECT n.nspname = $2 AND c.relname = $3 FROM pg_class c JOIN pg_namespace n"
                      " ON n.oid = c.relnamespace WHERE c.oid = $1::oid",
                      3, values);
    if (!res)
        return RC_ERR;
    *state = PQntuples(res) == 0 ? TABLE_GONE : res_bool(res, 0, 0) ? TABLE_THERE : TABLE_RENAMED;
    PQclear(res);
    return RC_OK;
}

void relations_renamed(const struct eng_table *table, struct err *err)
{
    err_set(err, "55000", "table %s.%s has got another name or schema from somebody", table->schema,
            table->name);
    err_hint(err, "give it back its name, then try again");
}

enum rc relations_read(struct eng_conn *conn, const struct eng_plan *plan, int table,
                       struct eng_relations *out, struct err *err)
{
    PGresult *res = conn_query(
        conn, err,
        "SELECT c.oid, format('%%I.%%I', n.nspname, c.relname), pg_relation_filenode(c.oid), "
        "pg_relation_size(c.oid) / current_setting('block_size')::int FROM "
        "(SELECT relid FROM pg_partition_tree(%u::oid) WHERE isleaf UNION SELECT "
        "%u::oid::regclass) AS t "
        "JOIN pg_class c ON c.oid = t.relid JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind = 'r' ORDER BY c.oid",
        plan->tables[table].oid, plan->tables[table].oid);

    if (!res)
        return RC_ERR;
    for (int r = 0; r < PQntuples(res); r++) {
        struct eng_relation relation = {.oid = (uint32_t)res_int(res, r, 0),
                                        .name = mem_strdup(res_text(res, r, 1)),
                                        .relfilenode = (uint32_t)res_int(res, r, 2),
                                        .end = res_int(res, r, 3),
                                        .table = table};

        relations_add(out, &relation);
    }
    PQclear(res);
    return RC_OK;
}

void relations_fini(struct eng_relations *relations)
{
    for (size_t i = 0; i < relations->n; i++)
        free(relations->items[i].name);
    free(relations->items);
    *relations = (struct eng_relations){0};
}

double relations_share(const struct eng_relations *relations)
{
    int64_t done = 0, all = 0;

    for (size_t i = 0; i < relations->n; i++) {
        done += relations->items[i].next;
        all += relations->items[i].end;
    }
    return all > 0 ? (double)done / (double)all : 1;
}
