/*
 * The walk over a statement: query levels with their places, and lists; expression.c has what is in
 * them. What is found is told to the passes (name.c, star.c, insert.c, set.c), which edit. Kinds of
 * statement and clauses that are not in the tables are never edited.
 */
#include <string.h>

#include "called.h"
#include "columns.h"
#include "from.h"
#include "key.h"
#include "name.h"
#include "output.h"
#include "said.h"
#include "scope.h"
#include "star.h"
#include "subselect.h"
#include "walk.h"
#include "width.h"
#include "with.h"

static const struct sql_node *get(const struct sql_node *node, const char *key)
{
    return sql_tree_get(node, key);
}

/* ---- lists ---- */

/* A row among the targets has its type from the query: not what it is stored in has. Only the
 * client, to whom `outer` is NULL, cannot name its fields. */
static void walk_targets(struct sql_work *w, struct sql_scope *scope, const struct sql_scope *outer,
                         const struct sql_node *list, unsigned flags)
{
    flags |= (w->stored ? 0 : SQL_NAME_ANONYMOUS) | (outer ? SQL_NAME_FIELDS : 0);

    SQL_NODE_EACH_ITEM(item, list) {
        const struct sql_node *target = get(item, "ResTarget"), *val = get(target, "val");
        const struct sql_node *ref = get(val, "ColumnRef");

        if (sql_star_is(ref))
            sql_star_target(w, scope, target, ref);
        else if (!sql_star_fields(w, scope, target, get(val, "A_Indirection")))
            sql_walk_node(w, scope, val, flags);
    }
}

/* What is in the subscripts of columns that are written; the columns themselves are no expressions.
 */
static void walk_written(struct sql_work *w, struct sql_scope *scope,
                         const struct sql_node *targets)
{
    SQL_NODE_EACH_ITEM(item, targets)
        sql_walk_node(w, scope, get(get(item, "ResTarget"), "indirection"), 0);
}

/* Values that are assigned, and to what. */
static void walk_values(struct sql_work *w, struct sql_scope *scope, const struct sql_node *targets)
{
    SQL_NODE_EACH_ITEM(item, targets)
        sql_walk_node(w, scope, get(get(item, "ResTarget"), "val"), 0);
    walk_written(w, scope, targets);
}

void sql_walk_row(struct sql_work *w, struct sql_scope *scope, const struct sql_node *values,
                  unsigned flags)
{
    SQL_NODE_EACH_ITEM(item, values) {
        const struct sql_node *ref = get(item, "ColumnRef");

        if (sql_star_is(ref))
            sql_star_in_row(w, scope, ref);
        else if (!sql_star_fields(w, scope, NULL, get(item, "A_Indirection")))
            sql_walk_node(w, scope, item, flags & SQL_NAME_WRITTEN);
    }
}

/* ---- statements ---- */

static void on_set_operation(struct sql_work *w, struct sql_scope *with,
                             const struct sql_node *node)
{
    struct sql_scope none = {.outer = with};
    struct sql_shows shows;
    size_t width;

    sql_walk_select(w, with, get(node, "larg"));
    width = w->width;
    shows = w->shows;
    sql_with_first_branch(w, with->outer, node);
    sql_walk_select(w, with, get(node, "rarg"));
    sql_walk_node(w, &none, get(node, "limitCount"), 0);
    sql_walk_node(w, &none, get(node, "limitOffset"), 0);
    sql_scope_fini(&none); /* ORDER BY names output columns only */
    w->width = width;      /* both sides have as many */
    w->shows = shows;      /* but the first one's names */
    w->shows.unknown = true;
}

void sql_walk_select(struct sql_work *w, struct sql_scope *outer, const struct sql_node *node)
{
    static const char *const clauses[] = {"whereClause", "havingClause", "windowClause",
                                          "limitCount", "limitOffset"};
    struct sql_scope with = {.outer = outer}, scope = {.outer = &with};
    bool stored = w->stored;
    size_t at = 0;

    w->width = SQL_WIDTH_UNKNOWN;
    w->shows = (struct sql_shows){0};
    if (!node)
        return;
    w->stored = stored || get(node, "intoClause");
    sql_with(w, &with, get(node, "withClause"));
    if (get(node, "larg")) {
        on_set_operation(w, &with, node);
    } else {
        scope.level = node;
        scope.locking = get(node, "lockingClause");
        sql_from_add_all(w, &scope, get(node, "fromClause"));
        sql_star_joins(w, &scope, get(node, "targetList"));
        walk_targets(w, &scope, outer, get(node, "targetList"), 0);
        sql_from_conditions(w, &scope, get(node, "fromClause"), &at);
        SQL_NODE_EACH_ITEM(row, get(node, "valuesLists"))
            sql_walk_row(w, &scope, get(get(row, "List"), "items"), 0);
        for (size_t i = 0; i < ARRAY_LEN(clauses); i++)
            sql_walk_node(w, &scope, get(node, clauses[i]), 0);
        sql_output_sorts(w, &scope, get(node, "sortClause"), get(node, "targetList"));
        sql_output_sorts(w, &scope, get(node, "distinctClause"), get(node, "targetList"));
        sql_output_groups(w, &scope, get(node, "groupClause"), get(node, "targetList"));
        sql_key_group(w, &scope, node);
        sql_subselect_put(w, &scope, node);
        sql_with_shows_query(w, &scope, node);
    }
    w->stored = stored;
    w->out->verdict.columns |= get(node, "intoClause") != NULL;
    sql_scope_fini(&scope);
    sql_scope_fini(&with);
}

/* A default name, unless the row has another one, or the other row has this one. */
static const char *row_name(const struct sql_node *said, const struct sql_node *other,
                            const char *otherwise)
{
    const char *taken = sql_node_text(other);

    if (said)
        return sql_node_text(said);
    return taken && !strcmp(taken, otherwise) ? NULL : otherwise;
}

/* What is written to comes first among the places, also for RETURNING *. */
static const struct rule *add_written(struct sql_work *w, struct sql_scope *scope,
                                      const struct sql_node *node)
{
    const struct sql_node *old = get(node, "returningOld"), *new = get(node, "returningNew");
    struct sql_place *place = sql_scope_add_range(w, scope, get(node, "relation"), true);

    place->old = row_name(old, new, "old");
    place->new = row_name(new, old, "new");
    sql_called_put(w, place, true);
    return place->kind == SQL_PLACE_MIGRATING ? place->rule : NULL;
}

/* What is not filled meets nothing, and has no index yet. */
static void read_inferred(struct sql_work *w, struct sql_place *place,
                          const struct sql_node *elements)
{
    SQL_NODE_EACH_ITEM(item, elements) {
        const char *name = sql_node_text(get(get(item, "IndexElem"), "name"));

        if (name)
            sql_name_used(w, place, name, 0);
    }
}

static void on_conflict(struct sql_work *w, struct sql_scope *scope, const struct rule *table,
                        const struct sql_node *node)
{
    const struct sql_node *clause = get(node, "onConflictClause");
    struct sql_place *excluded;

    if (!clause)
        return;
    excluded = sql_scope_add(scope, table ? SQL_PLACE_MIGRATING : SQL_PLACE_UNKNOWN, "excluded");
    excluded->rule = table;
    excluded->range = clause; /* that it is no relation of the text matters to none of the passes */
    excluded->qualified_only = excluded->written = true;
    sql_walk_node(w, scope, get(get(clause, "infer"), "indexElems"), 0);
    sql_walk_node(w, scope, get(get(clause, "infer"), "whereClause"), 0);
    walk_values(w, scope, get(clause, "targetList"));
    sql_walk_node(w, scope, get(clause, "whereClause"), 0);
    if (!table)
        return;
    sql_said_list(w, table, get(get(clause, "infer"), "indexElems"));
    sql_said_list(w, table, get(clause, "targetList"));
    if (!sql_key_conflict(w, table, get(clause, "infer")))
        read_inferred(w, &scope->places[0], get(get(clause, "infer"), "indexElems"));
    sql_set_twins(w, scope, table, clause);
}

void sql_walk_insert(struct sql_work *w, struct sql_scope *outer, const struct sql_node *node)
{
    struct sql_scope with = {.outer = outer}, scope = {.outer = &with};
    const struct rule *table;
    bool stored = w->stored, fickle = w->fickle, perhaps;
    size_t width;

    sql_with(w, &with, get(node, "withClause"));
    w->stored = true;
    sql_walk_select(w, &with, get(get(node, "selectStmt"), "SelectStmt"));
    width = w->width;
    w->stored = stored;
    walk_written(w, &with, get(node, "cols"));
    w->by_places = !get(node, "cols");
    w->perhaps = w->shifted = false;
    table = add_written(w, &scope, node);
    w->by_places = false;
    perhaps = w->perhaps;
    w->fickle = fickle || perhaps; /* what is perhaps another relation has no twins */
    walk_targets(w, &scope, outer, get(node, "returningList"), SQL_NAME_WRITTEN);
    if (table) {
        sql_said_list(w, table, get(node, "cols"));
        sql_insert_columns(w, table, node, width);
    }
    on_conflict(w, &scope, table, node);
    w->fickle = fickle;
    if (perhaps && !w->shifted)
        sql_work_doubt(w, SQL_DOUBT_PATH); /* by its places it is right for either */
    sql_subselect_put(w, &scope, NULL);
    sql_with_shows(w, &scope, get(node, "returningList"));
    sql_scope_fini(&scope);
    sql_scope_fini(&with);
}

static void on_change(struct sql_work *w, struct sql_scope *outer, const struct sql_node *node,
                      bool update)
{
    struct sql_scope with = {.outer = outer}, scope = {.outer = &with, .level = node};
    const char *from = update ? "fromClause" : "usingClause";
    const struct rule *table;
    size_t at = 1; /* behind what is written */

    sql_with(w, &with, get(node, "withClause"));
    table = add_written(w, &scope, node);
    sql_from_add_all(w, &scope, get(node, from));
    sql_star_joins(w, &scope, get(node, "returningList"));
    scope.places[0].wrap = false; /* it takes no part in the joins of the FROM */
    if (update)
        walk_values(w, &scope, get(node, "targetList"));
    sql_from_conditions(w, &scope, get(node, from), &at);
    sql_walk_node(w, &scope, get(node, "whereClause"), 0);
    walk_targets(w, &scope, outer, get(node, "returningList"), update ? SQL_NAME_WRITTEN : 0);
    if (update && table) {
        sql_said_list(w, table, get(node, "targetList"));
        sql_set_twins(w, &scope, table, node);
    }
    sql_subselect_put(w, &scope, NULL);
    sql_with_shows(w, &scope, get(node, "returningList"));
    sql_scope_fini(&scope);
    sql_scope_fini(&with);
}

void sql_walk_update(struct sql_work *w, struct sql_scope *outer, const struct sql_node *node)
{
    on_change(w, outer, node, true);
}

void sql_walk_delete(struct sql_work *w, struct sql_scope *outer, const struct sql_node *node)
{
    on_change(w, outer, node, false);
}

static bool is_by_source(const struct sql_node *when)
{
    return sql_node_is_true(get(when, "bySource"));
}

/* What is written to comes first among the places; where there is no row of it, it has no names.
 * Nor has anything else where there is a row of it alone. */
static void on_when(struct sql_work *w, const struct sql_scope *scope, const struct rule *table,
                    const struct sql_node *when)
{
    const char *command = sql_node_text(get(when, "commandType"));
    size_t unseen = sql_node_is_true(get(when, "matched")) ? 0 : 1;
    struct sql_scope seen = *scope;

    seen.places += unseen;
    seen.n = is_by_source(when) ? 1 : seen.n - unseen;
    sql_walk_node(w, &seen, get(when, "condition"), 0);
    walk_values(w, &seen, get(when, "targetList"));
    sql_walk_row(w, &seen, get(when, "values"), 0);
    if (!table || !command)
        return;
    sql_said_list(w, table, get(when, "targetList"));
    if (!strcmp(command, "CMD_UPDATE"))
        sql_set_twins(w, NULL, table, when);
    else if (!strcmp(command, "CMD_INSERT"))
        sql_merge_insert_columns(w, table, when);
}

/* Its RETURNING: to that, what is written to comes last. Of a row that is deleted nothing has been
 * filled. */
static void on_merged(struct sql_work *w, struct sql_scope *scope, const struct sql_scope *outer,
                      const struct sql_node *node)
{
    struct sql_place *places = scope->places, written = places[0];
    size_t rest = (scope->n - 1) * sizeof(*places);
    unsigned flags = SQL_NAME_WRITTEN;

    SQL_NODE_EACH_ITEM(item, get(node, "mergeWhenClauses")) {
        const struct sql_node *when = get(item, "MergeWhenClause");
        const char *command = sql_node_text(get(when, "commandType"));

        scope->sourceless = scope->sourceless || is_by_source(when);
        flags &= !command || !strcmp(command, "CMD_DELETE") ? 0 : flags;
    }
    memmove(places, places + 1, rest);
    places[scope->n - 1] = written;
    walk_targets(w, scope, outer, get(node, "returningList"), flags);
    written = places[scope->n - 1];
    memmove(places + 1, places, rest);
    places[0] = written;
}

void sql_walk_merge(struct sql_work *w, struct sql_scope *outer, const struct sql_node *node)
{
    struct sql_scope with = {.outer = outer}, scope = {.outer = &with, .level = node};
    const struct rule *table;
    size_t at = 1; /* behind what is written */

    sql_with(w, &with, get(node, "withClause"));
    table = add_written(w, &scope, node);
    scope.from = get(node, "sourceRelation");
    sql_from_add(w, &scope, scope.from);
    sql_star_joins(w, &scope, get(node, "returningList"));
    scope.places[0].wrap = false;
    sql_from_conditions(w, &scope, scope.from, &at);
    sql_walk_node(w, &scope, get(node, "joinCondition"), 0);
    SQL_NODE_EACH_ITEM(item, get(node, "mergeWhenClauses"))
        on_when(w, &scope, table, get(item, "MergeWhenClause"));
    on_merged(w, &scope, outer, node);
    sql_subselect_put(w, &scope, NULL);
    sql_with_shows(w, &scope, get(node, "returningList"));
    w->shows.loose = true; /* a star begins with the source */
    sql_scope_fini(&scope);
    sql_scope_fini(&with);
}

/* ---- a statement, by its kind ---- */

static void on_copy(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node)
{
    if (get(node, "relation"))
        sql_star_copy(w, node);
    else
        sql_walk_node(w, scope, get(node, "query"), 0);
}

static void on_query_of(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node)
{
    (void)scope;
    sql_walk_statement(w, get(node, "query"));
}

static void on_prepare(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node)
{
    w->kept = true;
    on_query_of(w, scope, node);
    w->kept = false;
}

static void on_stored(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node)
{
    w->stored = true;
    on_query_of(w, scope, node);
    w->stored = false;
}

static void on_relations(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node)
{
    (void)scope;
    sql_called_list(w, get(node, "relations"));
    sql_called_list(w, get(node, "rels")); /* of VACUUM and ANALYZE */
}

static void on_comment(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node)
{
    (void)scope;
    sql_called_object(w, get(node, "object"));
}

/* LIKE stands for the table's columns as a star does, and is not rewritten: who says it is to be
 * known. */
static void on_create(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node)
{
    (void)scope;
    sql_work_doubt(w, SQL_DOUBT_STATEMENT);
    SQL_NODE_EACH_ITEM(item, get(node, "tableElts")) {
        const struct sql_node *range = get(get(item, "TableLikeClause"), "relation");
        struct sql_scope none = {0};

        if (range) {
            const struct sql_place *place = sql_scope_add_range(w, &none, range, true);

            if (place->rule && sql_place_hides(w, place))
                w->out->stars |= sql_work_bit(place->rule);
        }
        sql_scope_fini(&none);
    }
}

static void nothing(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node)
{
    (void)w;
    (void)scope;
    (void)node;
}

static const struct {
    const char *key;
    void (*handle)(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node);
} statements[] = {
    {"SelectStmt", sql_walk_select},
    {"InsertStmt", sql_walk_insert},
    {"UpdateStmt", sql_walk_update},
    {"DeleteStmt", sql_walk_delete},
    {"MergeStmt", sql_walk_merge},
    {"CopyStmt", on_copy},
    {"ExplainStmt", on_query_of},
    {"PrepareStmt", on_prepare},
    {"ViewStmt", on_stored},
    {"DeclareCursorStmt", on_query_of},
    {"CreateTableAsStmt", on_stored},
    {"CreateStmt", on_create},
    /* in these a column's name means the same to both sides */
    {"TransactionStmt", nothing},
    {"ExecuteStmt", nothing},
    {"DeallocateStmt", nothing},
    {"FetchStmt", nothing},
    {"ClosePortalStmt", nothing},
    {"LockStmt", on_relations},
    {"TruncateStmt", on_relations},
    {"VariableSetStmt", nothing},
    {"VariableShowStmt", nothing},
    {"DiscardStmt", nothing},
    {"ListenStmt", nothing},
    {"UnlistenStmt", nothing},
    {"NotifyStmt", nothing},
    {"CheckPointStmt", nothing},
    {"VacuumStmt", on_relations},
    {"CommentStmt", on_comment},
};

void sql_walk_statement(struct sql_work *w, const struct sql_node *stmt)
{
    const char *kind = sql_tree_kind(stmt);

    for (size_t i = 0; kind && i < ARRAY_LEN(statements); i++) {
        if (!strcmp(statements[i].key, kind)) {
            statements[i].handle(w, NULL, get(stmt, kind));
            sql_columns_note(w, kind, get(stmt, kind));
            return;
        }
    }
    sql_work_doubt(w, SQL_DOUBT_STATEMENT);
}
