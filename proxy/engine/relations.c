#include "relations.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"

void relations_add(struct eng_relations *relations, const struct eng_relation *relation)
{
    relations->items =
        mem_realloc(relations->items, (relations->n + 1) * sizeof(*relations->items));
    relations->items[relations->n++] = *relation;
}

enum rc relations_look(struct eng_conn *conn, int64_t migration, const struct eng_table *table,
                       bool turned, enum relations_table *state, struct err *err)
{
    char oid[16], id[24];
    const char *values[] = {oid, table->schema,
                            turned && table->renamed ? table->renamed : table->name, id};
    PGresult *res;

    snprintf(oid, sizeof(oid), "%u", table->oid);
    snprintf(id, sizeof(id), "%" PRId64, migration);
    res = conn_params(conn, err,
                      "WITH r AS (SELECT c.oid, n.nspname = $2 AND c.relname = $3 AS named "
                      "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace), "
                      "m AS (SELECT EXISTS (SELECT FROM segue.migrations s WHERE id = $4::bigint "
                      "AND (to_jsonb(s) ->> 'born_in')::oid <> 'segue.migrations'::regclass) "
                      "AS moved) " /* an older store's row has no such field */
                      "SELECT (SELECT named FROM r WHERE oid = $1::oid AND NOT m.moved), EXISTS "
                      "(SELECT FROM r WHERE r.named AND (m.moved OR r.oid <> $1::oid AND EXISTS "
                      "(SELECT FROM pg_trigger g WHERE g.tgrelid = r.oid AND g.tgname = "
                      "'~segue_guard'))) FROM m",
                      (int)ARRAY_LEN(values), values);
    if (!res)
        return RC_ERR;
    *state = res_bool(res, 0, 1)      ? TABLE_RESTORED
             : PQgetisnull(res, 0, 0) ? TABLE_GONE
             : res_bool(res, 0, 0)    ? TABLE_THERE
                                      : TABLE_RENAMED;
    PQclear(res);
    return RC_OK;
}

void relations_refuse(const struct eng_table *table, enum relations_table state, struct err *err)
{
    static const struct {
        const char *text, *hint;
    } said[] = {
        [TABLE_THERE] = {"is there", ""},
        [TABLE_GONE] = {"which was planned for, is not there any more",
                        "before the cut-over abort, after it complete ends the migration"},
        [TABLE_RENAMED] = {"has got another name or schema from somebody",
                           "give it back its name, or drop it where another has taken its place; "
                           "then try again"},
        [TABLE_RESTORED] = {"is another one than was planned for: the database was "
                            "dumped in the middle of this migration, and restored",
                            "segue doctor says how it is cleaned up; nothing is filled or dropped "
                            "before that, and resume does not help"},
    };

    err_set(err, "55000", "table %s.%s%s %s", table->schema, table->name,
            state == TABLE_GONE ? "," : "", said[state].text);
    err_hint(err, "%s", said[state].hint);
}

enum rc relations_is(struct eng_conn *conn, const char *name, uint32_t oid, bool *is,
                     struct err *err)
{
    char number[16];
    const char *values[] = {name, number};
    PGresult *res;

    snprintf(number, sizeof(number), "%u", oid);
    res = conn_params(conn, err,
                      "SELECT CASE WHEN $2::oid = 0 THEN r IS NOT NULL ELSE r = $2::oid END "
                      "FROM CAST(to_regclass($1) AS oid) r",
                      (int)ARRAY_LEN(values), values);
    if (!res)
        return RC_ERR;
    *is = res_bool(res, 0, 0);
    PQclear(res);
    return RC_OK;
}

enum rc relations_in(struct eng_conn *conn, const struct eng_table *table, uint32_t oid, bool *in,
                     struct err *err)
{
    PGresult *res = conn_query(conn, err,
                               "SELECT EXISTS (SELECT FROM " RELATIONS_ROOT RELATIONS_TREE
                               " AS t JOIN pg_class c ON c.oid = t.relid WHERE c.oid = %u)",
                               table->oid, oid);

    if (!res)
        return RC_ERR;
    *in = res_bool(res, 0, 0);
    PQclear(res);
    return RC_OK;
}

/* Of pg_class c and its pg_namespace n. */
#define COLUMNS                                                                                    \
    "c.oid, format('%%I.%%I', n.nspname, c.relname), pg_relation_filenode(c.oid), "                \
    "pg_relation_size(c.oid) / current_setting('block_size')::int, " RELATIONS_GUARD

static struct eng_relation row(const PGresult *res, int r, int table)
{
    return (struct eng_relation){.oid = (uint32_t)res_int(res, r, 0),
                                 .name = mem_strdup(res_text(res, r, 1)),
                                 .relfilenode = (uint32_t)res_int(res, r, 2),
                                 .end = res_int(res, r, 3),
                                 .table = table,
                                 .guard = mem_strdup(res_text(res, r, 4))};
}

enum rc relations_again(struct eng_conn *conn, struct eng_relation *relation,
                        enum relations_change *change, struct err *err)
{
    struct eng_relation now;
    PGresult *res = conn_query(conn, err,
                               "SELECT " COLUMNS " FROM pg_class c JOIN pg_namespace n ON n.oid = "
                               "c.relnamespace WHERE c.oid = %u",
                               relation->oid);

    if (!res)
        return RC_ERR;
    *change = RELATION_GONE;
    if (PQntuples(res)) {
        now = row(res, 0, relation->table);
        *change = now.relfilenode != relation->relfilenode ? RELATION_REWRITTEN
                  : strcmp(now.name, relation->name) != 0  ? RELATION_RENAMED
                                                           : RELATION_SAME;
        if (*change != RELATION_REWRITTEN) {
            now.next = relation->next;
            now.end = relation->end;
        }
        free(relation->name);
        free(now.guard); /* some of its rows have been read under the one before */
        now.guard = relation->guard;
        *relation = now;
    }
    PQclear(res);
    return RC_OK;
}

enum rc relations_read(struct eng_conn *conn, const struct eng_plan *plan, int table,
                       struct eng_relations *out, struct err *err)
{
    PGresult *res = conn_query(
        conn, err,
        "SELECT " COLUMNS " FROM " RELATIONS_ROOT RELATIONS_TREE " AS t "
        "JOIN pg_class c ON c.oid = t.relid JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind = 'r' ORDER BY c.oid",
        plan->tables[table].oid);

    if (!res)
        return RC_ERR;
    for (int r = 0; r < PQntuples(res); r++) {
        struct eng_relation relation = row(res, r, table);

        relations_add(out, &relation);
    }
    PQclear(res);
    return RC_OK;
}

void relations_fini(struct eng_relations *relations)
{
    for (size_t i = 0; i < relations->n; i++) {
        free(relations->items[i].name);
        free(relations->items[i].guard);
    }
    free(relations->items);
    *relations = (struct eng_relations){0};
}

void relations_range_to(char *out, size_t size, int64_t from, int item, const char *end)
{
    snprintf(out, size,
             "ctid OPERATOR(pg_catalog.>=) '(%" PRId64 ",%d)'::pg_catalog.tid AND "
             "ctid OPERATOR(pg_catalog.<) %s",
             from, item, end);
}

void relations_range(char *out, size_t size, int64_t from, int64_t to)
{
    char end[64];

    snprintf(end, sizeof(end), "'(%" PRId64 ",0)'::pg_catalog.tid", to);
    relations_range_to(out, size, from, 0, end);
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
