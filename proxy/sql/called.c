#include "called.h"

#include <string.h>

#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"
#include "star.h"
#include "subselect.h"

/* ---- where a relation stands ---- */

static void replace(struct sql_work *w, uint32_t at, uint32_t end, char *text)
{
    sql_edits_add_take(&w->edits, at, end - at, text);
    sql_edits_mark_name(&w->edits);
}

static void not_named(struct sql_work *w, enum sql_doubt doubt)
{
    w->unnamed = true;
    sql_work_doubt(w, doubt);
}

/* TABLE new: a query without a FROM, in which an alias has no place. Where columns are hidden the
 * star that it means is spelled out, and a FROM comes with it. */
static void put_from(struct sql_work *w, const struct sql_place *place, size_t first)
{
    const struct sql_token *token;

    if (!sql_tokens_is(&w->tokens, first - 1, PG_QUERY__TOKEN__TABLE) ||
        (sql_place_hides(w, place) && !w->names_only))
        return;
    token = &w->tokens.items[first - 1];
    sql_edits_add_about(&w->edits, token->start, token->end - token->start,
                        mem_strndup("SELECT * FROM", 13), SQL_NOWHERE);
    sql_edits_mark_name(&w->edits);
}

void sql_called_put(struct sql_work *w, const struct sql_place *place, bool alias)
{
    const struct sql_tokens *tokens = &w->tokens;
    struct buf text = {0};
    size_t name, first, last;

    if (!place->other)
        return;
    name = sql_tokens_at(tokens, sql_tree_location(place->range));
    while (sql_tokens_is(tokens, name + 1, SQL_TOKEN_DOT))
        name += 2;
    if (!sql_subselect_tokens(w, place->range, &first, &last) || first == 0) {
        not_named(w, SQL_DOUBT_CLAUSE);
        return;
    }
    if (!place->schema) { /* by itself the name may be a CTE's, or of another schema in the path */
        sql_quote_ident_put(&text, place->rule->schema);
        buf_append_str(&text, ".");
    }
    sql_quote_ident_put(&text, place->rule->name);
    replace(w, tokens->items[name].start, tokens->items[name].end, buf_take(&text));
    if (!alias || sql_tree_get(place->range, "alias"))
        return;
    put_from(w, place, first);
    buf_append_str(&text, " AS ");
    sql_quote_ident_put(&text, place->name);
    replace(w, tokens->items[last].end, tokens->items[last].end, buf_take(&text));
}

void sql_called_list(struct sql_work *w, const struct sql_node *list)
{
    SQL_NODE_EACH_ITEM(item, list) {
        struct sql_scope scope = {0};
        const struct sql_node *range = sql_tree_get(item, "RangeVar");

        if (!range)
            range = sql_tree_get(sql_tree_get(item, "VacuumRelation"), "relation");
        if (!range)
            continue;
        sql_called_put(w, sql_scope_add_range(w, &scope, range, true), false);
        sql_scope_fini(&scope);
    }
}

/* c.x, or the row c. */
static bool may_name(const struct sql_node *node, const char *table)
{
    const struct sql_node *fields = sql_tree_get(sql_tree_get(node, "ColumnRef"), "fields");
    const char *name = sql_tree_string(sql_node_at(fields, 0));

    if (sql_node_size(fields) > 1 || (name && !strcmp(name, table)))
        return true;
    SQL_NODE_EACH_ITEM(item, node)
        if (may_name(item, table))
            return true;
    SQL_NODE_EACH_MEMBER(member, node)
        if (may_name(member, table))
            return true;
    return false;
}

void sql_called_where(struct sql_work *w, const struct sql_place *place,
                      const struct sql_node *where)
{
    if (place->other && may_name(where, place->name))
        not_named(w, SQL_DOUBT_CLAUSE);
}

void sql_called_qualified(struct sql_work *w, const struct sql_place *place,
                          const struct sql_node *ref)
{
    const struct sql_tokens *tokens = &w->tokens;
    const struct sql_node *fields = sql_tree_get(ref, "fields");
    size_t n = sql_node_size(fields), i = sql_tokens_at(tokens, sql_tree_location(ref));
    size_t table = i + 2 * (n - 2);

    if (n < 3 || !place->other || sql_tree_get(place->range, "alias"))
        return;
    if (!sql_star_fits(w, place, fields) || !sql_tokens_is(tokens, table - 1, SQL_TOKEN_DOT)) {
        not_named(w, SQL_DOUBT_NAME);
        return;
    }
    replace(w, tokens->items[i].start, tokens->items[table].start, mem_strdup(""));
}

/* ---- where it is another thing ---- */

static bool is_other(const struct sql_rules *rules, const char *name)
{
    for (size_t i = 0; name && i < rules->n; i++)
        if (sql_rule_is_other(&rules->tables[i], name))
            return true;
    return false;
}

static const char *last_name(const struct sql_node *names)
{
    return sql_tree_string(sql_node_at(names, sql_node_size(names) - 1));
}

/* 'new', 'public.new', '"New"': the end of the text, without its quotes. */
static bool is_other_text(const struct sql_rules *rules, const char *text)
{
    const char *end = text + strlen(text), *from;
    char name[256];
    size_t len;

    if (end > text && end[-1] == '"')
        end--;
    for (from = end; from > text && from[-1] != '.' && from[-1] != '"';)
        from--;
    len = (size_t)(end - from);
    if (len >= sizeof(name))
        return false;
    memcpy(name, from, len);
    name[len] = '\0';
    return is_other(rules, name);
}

static void judge_text(struct sql_work *w, const struct sql_node *arg)
{
    const struct sql_node *value = sql_tree_get(sql_tree_get(arg, "A_Const"), "sval");
    const char *text = sql_node_text(sql_tree_get(value, "sval"));

    if (text && is_other_text(w->rules, text))
        sql_work_doubt(w, SQL_DOUBT_TABLE);
}

/* Functions whose first argument is the name of a relation. */
static bool takes_relation(const char *name)
{
    static const char *const names[] = {
        "pg_get_serial_sequence", "to_regclass",        "pg_relation_size",
        "pg_table_size",          "pg_indexes_size",    "pg_total_relation_size",
        "has_table_privilege",    "regclass",           "has_any_column_privilege",
        "has_column_privilege",   "row_security_active"};

    for (size_t i = 0; name && i < ARRAY_LEN(names); i++)
        if (!strcmp(names[i], name))
            return true;
    return false;
}

static void judge_cast(struct sql_work *w, const struct sql_node *cast)
{
    const char *type = last_name(sql_tree_get(sql_tree_get(cast, "typeName"), "names"));

    if (type && !strcmp(type, "regclass"))
        judge_text(w, sql_tree_get(cast, "arg"));
}

static void judge_call(struct sql_work *w, const struct sql_node *call)
{
    if (!takes_relation(last_name(sql_tree_get(call, "funcname"))))
        return;
    SQL_NODE_EACH_ITEM(arg, sql_tree_get(call, "args"))
        judge_text(w, arg);
}

/* Of PostgreSQL's own types those that are words of a language: without a schema they come first.
 */
static bool is_builtin(const char *name)
{
    static const char *const names[] = {
        "bit",  "box",  "char",  "circle",  "date",   "json", "interval", "line",      "money",
        "name", "path", "point", "polygon", "record", "text", "time",     "timestamp", "xml"};

    for (size_t i = 0; name && i < ARRAY_LEN(names); i++)
        if (!strcmp(names[i], name))
            return true;
    return false;
}

static void judge_type(struct sql_work *w, const struct sql_node *type)
{
    const struct sql_node *names = sql_tree_get(type, "names");
    const char *name = last_name(names);

    if (is_other(w->rules, name) && (sql_node_size(names) > 1 || !is_builtin(name)))
        sql_work_doubt(w, SQL_DOUBT_TABLE);
}

static const struct {
    struct sql_key key;
    void (*judge)(struct sql_work *w, const struct sql_node *node);
} kinds[] = {
    {SQL_KEY("TypeCast"), judge_cast},
    {SQL_KEY("FuncCall"), judge_call},
    {SQL_KEY("typeName"), judge_type},
    {SQL_KEY("TypeName"), judge_type},
};

void sql_called_doubts(struct sql_work *w, const struct sql_node *tree)
{
    if (!w->rules->nothers)
        return;
    SQL_NODE_EACH_ITEM(item, tree)
        sql_called_doubts(w, item);
    SQL_NODE_EACH_MEMBER(member, tree) {
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
            if (sql_tree_is(member, &kinds[i].key))
                kinds[i].judge(w, member);
        sql_called_doubts(w, member);
    }
}

void sql_called_object(struct sql_work *w, const struct sql_node *object)
{
    const char *name = sql_tree_string(object);

    if (is_other(w->rules, name))
        sql_work_doubt(w, SQL_DOUBT_TABLE);
    SQL_NODE_EACH_ITEM(item, object)
        sql_called_object(w, item);
    SQL_NODE_EACH_MEMBER(member, object)
        sql_called_object(w, member);
}
