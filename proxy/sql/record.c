#include "record.h"

#include <stdlib.h>
#include <string.h>

#include "name.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"
#include "star.h"

void sql_record_note(struct sql_work *w, const struct sql_place *place, struct sql_record record,
                     unsigned flags)
{
    struct sql_records *all = &w->records;

    if (!(flags & SQL_NAME_ANONYMOUS))
        sql_work_doubt(w, SQL_DOUBT_ROW);
    record.range = place->range;
    record.fields = flags & SQL_NAME_FIELDS;
    mem_grow((void **)&all->items, &all->cap, all->n + 1, sizeof(*all->items));
    all->items[all->n++] = record;
}

enum sql_record_wait sql_record_waits(const struct sql_work *w, const struct sql_place *place)
{
    enum sql_record_wait wait = SQL_RECORD_NONE;

    for (size_t i = 0; i < w->records.n && wait != SQL_RECORD_EITHER; i++)
        if (w->records.items[i].range == place->range)
            wait = w->records.items[i].placed ? SQL_RECORD_PLACED : SQL_RECORD_EITHER;
    return wait;
}

bool sql_record_touches(const struct sql_work *w, uint32_t from, uint32_t to)
{
    for (size_t i = 0; i < w->records.n; i++) {
        uint32_t at = (uint32_t)sql_tree_location(w->records.items[i].ref);

        if (at >= from && at < to)
            return true;
    }
    return false;
}

/* ---- in place ---- */

static bool has_outer_join(const struct sql_node *node)
{
    const struct sql_node *join = sql_tree_get(node, "JoinExpr");
    const char *type = sql_node_text(sql_tree_get(join, "jointype"));

    SQL_NODE_EACH_ITEM(item, node)
        if (has_outer_join(item))
            return true;
    return join && ((type && strcmp(type, "JOIN_INNER") != 0) ||
                    has_outer_join(sql_tree_get(join, "larg")) ||
                    has_outer_join(sql_tree_get(join, "rarg")));
}

/* May there be no row, which is not the same as a row of NULLs? RETURNING old: none was there. */
static bool is_nullable(const struct sql_scope *scope, const struct sql_place *place,
                        const struct sql_record *record)
{
    return place->written ? strcmp(record->called, place->name) != 0 : has_outer_join(scope->from);
}

/* Behind the last token of the reference; 0: not found. */
static uint32_t end_of(const struct sql_work *w, const struct sql_node *ref)
{
    const struct sql_tokens *tokens = &w->tokens;
    size_t i = sql_tokens_at(tokens, sql_tree_location(ref));
    size_t names = sql_node_size(sql_tree_get(ref, "fields"));

    for (; names > 1; names--) {
        if (!sql_tokens_is(tokens, i + 1, SQL_TOKEN_DOT))
            return 0;
        i += 2;
    }
    if (i >= tokens->n || sql_tokens_is(tokens, i + 1, PG_QUERY__TOKEN__UESCAPE))
        return 0;
    return tokens->items[i].end;
}

/* A column of that name comes before the row. Where one may be, the name itself stands there again,
 * beside a table that has the row and no such column: then it means what it meant. */
static char *text_of(struct sql_work *w, const struct sql_place *place,
                     const struct sql_record *record, bool nullable)
{
    char *called = sql_quote_ident(record->called);
    struct buf text = {0};

    buf_append_str(&text, "(SELECT ");
    if (record->certain)
        buf_printf(&text, "\"~segue\" AS %s FROM (SELECT ", called);
    else
        buf_printf(&text, "%s FROM %s(SELECT ", called,
                   nullable ? "(SELECT) AS \"~segue\" LEFT JOIN " : "");
    sql_star_put_row(w, &text, place, record->called);
    if (nullable)
        buf_printf(&text, " WHERE %s.* IS DISTINCT FROM NULL", called);
    buf_printf(&text, ") AS %s", record->certain ? "\"~segue\"" : called);
    buf_append_str(&text, nullable && !record->certain ? " ON true)" : ")");
    free(called);
    return buf_take(&text);
}

static bool is_unique(const struct sql_scope *scope, const struct sql_place *place)
{
    size_t n = 0;

    for (size_t i = 0; i < scope->n; i++)
        n += scope->places[i].name && !strcmp(scope->places[i].name, place->name);
    return n == 1;
}

void sql_record_put(struct sql_work *w, const struct sql_scope *scope,
                    const struct sql_place *place, bool all)
{
    for (size_t i = 0; i < w->records.n; i++) {
        const struct sql_record *record = &w->records.items[i];
        uint32_t from = (uint32_t)sql_tree_location(record->ref), to;

        if (record->range != place->range || !(all || record->placed))
            continue;
        to = end_of(w, record->ref);
        if (record->fields || scope->covered || !is_unique(scope, place) || to == 0) {
            sql_work_doubt(w, SQL_DOUBT_ROW);
            return;
        }
        sql_edits_add_take(&w->edits, from, to - from,
                           text_of(w, place, record, is_nullable(scope, place, record)));
    }
}
