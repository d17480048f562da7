#include "record.h"

#include <stdlib.h>
#include <string.h>

#include "name.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"
#include "star.h"

#define MANY 64 /* of so many each is looked at, for each place that is asked for */

static uint32_t place_of(const struct sql_record *record)
{
    return (uint32_t)sql_tree_location(record->ref);
}

static void note_place(struct sql_work *w)
{
    struct sql_records *all = &w->records;
    size_t first = all->at.words ? all->n - 1 : 0;

    for (size_t i = first; i < all->n; i++)
        if (place_of(&all->items[i]) < w->len)
            sql_marks_put(&all->at, place_of(&all->items[i]), place_of(&all->items[i]));
}

void sql_record_note(struct sql_work *w, struct sql_place *place, struct sql_record record,
                     unsigned flags)
{
    struct sql_records *all = &w->records;

    if (!(flags & SQL_NAME_ANONYMOUS))
        sql_work_doubt(w, SQL_DOUBT_ROW);
    record.fields = flags & SQL_NAME_FIELDS;
    mem_grow((void **)&all->items, &all->cap, all->n + 1, sizeof(*all->items));
    all->items[all->n++] = record;
    *(place->rows ? &all->items[place->last_row - 1].next : &place->rows) = all->n;
    place->last_row = all->n;
    if (all->n > MANY)
        note_place(w);
}

void sql_record_restart(struct sql_work *w)
{
    w->records.n = 0;
    sql_marks_fini(&w->records.at);
}

void sql_record_fini(struct sql_work *w)
{
    sql_record_restart(w);
    free(w->records.items);
}

static const struct sql_record *next_of(const struct sql_work *w, size_t number)
{
    return number ? &w->records.items[number - 1] : NULL;
}

enum sql_record_wait sql_record_waits(const struct sql_work *w, const struct sql_place *place)
{
    enum sql_record_wait wait = SQL_RECORD_NONE;

    for (const struct sql_record *record = next_of(w, place->rows);
         record && wait != SQL_RECORD_EITHER; record = next_of(w, record->next))
        wait = record->placed ? SQL_RECORD_PLACED : SQL_RECORD_EITHER;
    return wait;
}

bool sql_record_has_fields(const struct sql_work *w, size_t from)
{
    while (from < w->records.n && !w->records.items[from].fields)
        from++;
    return from < w->records.n;
}

bool sql_record_touches(const struct sql_work *w, uint32_t from, uint32_t to)
{
    if (w->records.at.words)
        return sql_marks_any(&w->records.at, from, to);
    for (size_t i = 0; i < w->records.n; i++)
        if (place_of(&w->records.items[i]) >= from && place_of(&w->records.items[i]) < to)
            return true;
    return false;
}

/* ---- in place ---- */

/* No row is not the same as a row of NULLs. RETURNING old: none was there. */
static bool is_nullable(const struct sql_scope *scope, const struct sql_place *place,
                        const struct sql_record *record)
{
    if (place->written)
        return strcmp(record->called, place->name) != 0;
    return scope->sourceless || place->nullable;
}

static bool is_locked(const struct sql_work *w, const struct sql_node *clause,
                      const struct sql_place *place)
{
    const struct sql_node *rels = sql_tree_get(sql_tree_get(clause, "LockingClause"), "lockedRels");

    if (!sql_work_spend(w, 1 + sql_node_size(rels)))
        return true;
    SQL_NODE_EACH_ITEM(rel, rels) {
        const char *name = sql_node_text(sql_tree_get(sql_tree_get(rel, "RangeVar"), "relname"));

        if (name && place->name && !strcmp(name, place->name))
            return true;
    }
    return !rels;
}

/* Such rows may be locked only where the server sees that a condition is never true without them;
 * it does not look into a row that is made. */
static bool locks_nullable(const struct sql_work *w, struct sql_record_level *level)
{
    const struct sql_scope *scope = level->scope;

    for (size_t i = 0; !level->asked && i < scope->n && !level->locks; i++)
        SQL_NODE_EACH_ITEM(clause, scope->places[i].nullable ? scope->locking : NULL)
            level->locks = level->locks || is_locked(w, clause, &scope->places[i]);
    level->asked = true;
    return level->locks;
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

void sql_record_put(struct sql_work *w, struct sql_record_level *level,
                    const struct sql_place *place, bool all)
{
    bool named = !level->scope->covered && sql_place_is_unique(w, level->scope, place);

    for (const struct sql_record *record = next_of(w, place->rows); record && !w->edits.over;
         record = next_of(w, record->next)) {
        uint32_t from = place_of(record), to;
        bool nullable;

        if (!all && !record->placed)
            continue;
        to = end_of(w, record->ref);
        nullable = is_nullable(level->scope, place, record);
        if (record->fields || !named || to == 0 || (nullable && locks_nullable(w, level)) ||
            sql_group_forbids(w, place, &level->grouping, record->ref)) {
            sql_work_doubt(w, SQL_DOUBT_ROW);
            return;
        }
        sql_edits_add_take(&w->edits, from, to - from, text_of(w, place, record, nullable));
    }
}

/* ---- who takes it ---- */

/* The server's own: another schema's may take rows of the one table alone. */
static const char *own_name(const struct sql_node *names)
{
    size_t n = sql_node_size(names);
    const char *schema = n > 1 ? sql_tree_string(sql_node_at(names, n - 2)) : "pg_catalog";

    return n > 0 && schema && !strcmp(schema, "pg_catalog")
               ? sql_tree_string(sql_node_at(names, n - 1))
               : NULL;
}

bool sql_record_is_taker(const char *name)
{
    static const char *const takers[] = {
        "row_to_json",       "to_json",
        "to_jsonb",          "json_agg",
        "jsonb_agg",         "json_build_object",
        "json_build_array",  "jsonb_build_object",
        "jsonb_build_array", "json_object_agg",
        "jsonb_object_agg",  "count",
        "array_to_json",     "concat",
        "concat_ws",         "format",
    };

    for (size_t i = 0; name && i < ARRAY_LEN(takers); i++)
        if (!strcmp(takers[i], name))
            return true;
    return false;
}

bool sql_record_is_taken(const struct sql_node *names, unsigned flags)
{
    const char *name = own_name(names);

    /* an array of rows is as good as they are */
    return sql_record_is_taker(name) ||
           (name && !strcmp(name, "array_agg") && (flags & SQL_NAME_ANONYMOUS) &&
            !(flags & SQL_NAME_FIELDS));
}

bool sql_record_is_needed(const struct sql_node *names)
{
    const char *name = own_name(names);

    return name && !strcmp(name, "row_to_json");
}
