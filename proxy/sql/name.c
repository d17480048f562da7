#include "name.h"

#include <stdlib.h>
#include <string.h>

#include "called.h"
#include "output.h"
#include "record.h"
#include "said.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"
#include "star.h"

bool sql_name_is_system(const char *name)
{
    static const char *const names[] = {"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!strcmp(names[i], name))
            return true;
    return false;
}

static bool is_new(const struct rule *rule, const char *column)
{
    for (char **name = rule->new_columns; *name; name++)
        if (!strcmp(*name, column))
            return true;
    return false;
}

static void read_column(struct sql_work *w, struct sql_place *place, const char *column,
                        unsigned flags)
{
    if (place->kind != SQL_PLACE_MIGRATING)
        return;
    if (sql_place_has(w, place, column) == SQL_HAS_HIDDEN)
        place->fixed = true; /* a sub-select would not have it */
    if (place->rule->early && is_new(place->rule, column) &&
        !(place->written && (flags & SQL_NAME_WRITTEN)) && !sql_place_lists(w, place, column))
        sql_place_is_early(w, place);
}

/* ---- x ---- */

void sql_name_used(struct sql_work *w, struct sql_place *place, const char *column, unsigned flags)
{
    if (place->kind != SQL_PLACE_MIGRATING)
        return;
    read_column(w, place, column, flags);
    sql_said_column(w, place, column);
}

/* What the places of one level say to a name. */
struct answers {
    struct sql_place *has, *hidden; /* hidden: one that stays a table, if there is such */
    struct sql_place *own, *shared; /* of those that have it: by one side's column, and others */
    struct sql_place *maybe;        /* the only one that perhaps has it */
    size_t nhas, nshared, nmaybe;
    bool perhaps;
};

static struct answers ask(const struct sql_work *w, struct sql_scope *scope, const char *column)
{
    struct answers a = {0};

    if (!sql_work_spend(w, scope->n))
        return a;
    for (size_t i = 0; i < scope->n; i++) {
        struct sql_place *place = &scope->places[i];

        if (place->qualified_only)
            continue;
        switch (sql_said_has(w, place, column)) {
        case SQL_HAS:
            a.has = place;
            a.nhas++;
            if (sql_said_is_own(w, place, column)) {
                a.own = place;
            } else {
                a.shared = place;
                a.nshared++;
            }
            break;
        case SQL_HAS_HIDDEN:
            a.hidden = a.hidden && !a.hidden->wrap ? a.hidden : place;
            break;
        case SQL_HAS_PERHAPS:
            a.maybe = a.nmaybe++ ? NULL : place;
            break;
        case SQL_HAS_NOT:
            break;
        }
    }
    a.perhaps = a.nmaybe > 0 || sql_scope_renames_to(w, scope, column);
    return a;
}

/* False: what it is called means something else there. */
static bool qualify(struct sql_work *w, struct sql_scope *from, struct sql_place *place,
                    const struct sql_node *ref)
{
    char *quoted;

    if (!sql_scope_call(w, place) || sql_scope_place(w, from, place->name) != place)
        return false;
    w->out->by_columns = true;
    quoted = sql_quote_ident(place->name);
    sql_edits_add_take(&w->edits, (uint32_t)sql_tree_location(ref), 0, mem_printf("%s.", quoted));
    free(quoted);
    return true;
}

static bool is_hiding(const struct sql_work *w, const struct sql_place *place)
{
    return place && place->kind == SQL_PLACE_MIGRATING && sql_place_hides(w, place);
}

static void note_row(struct sql_work *w, struct sql_place *place, const struct sql_node *ref,
                     const char *called, bool certain, unsigned flags)
{
    sql_star_note(w, place);
    sql_record_note(w, place, (struct sql_record){.ref = ref, .called = called, .certain = certain},
                    flags);
}

/* Where nothing is hidden from it the row is right, but perhaps not filled yet. */
static void read_row(struct sql_work *w, struct sql_place *place, const struct sql_node *ref,
                     const char *called, bool certain, unsigned flags)
{
    if (is_hiding(w, place))
        note_row(w, place, ref, called, certain, flags);
    else if (place->kind == SQL_PLACE_MIGRATING)
        sql_star_note(w, place);
}

/* One that a sub-select would not have, and that is not meant. */
static bool hides_column(const struct sql_work *w, const struct sql_place *place, const char *name)
{
    return sql_said_has(w, place, name) == SQL_HAS_HIDDEN && !sql_said_is_own(w, place, name);
}

/* Tables that have a hidden column of that name become sub-selects without it. */
static void uncover(struct sql_work *w, struct sql_scope *scope, const char *name)
{
    for (; scope && sql_work_spend(w, scope->n); scope = scope->outer)
        for (size_t i = 0; i < scope->n; i++)
            if (!scope->places[i].qualified_only && hides_column(w, &scope->places[i], name))
                scope->places[i].wrap = true;
}

/* The same of the levels from `scope` out to `last`, if all of them can. */
static bool uncover_until(struct sql_work *w, struct sql_scope *scope, const struct sql_scope *last,
                          const char *name)
{
    for (struct sql_scope *at = scope; at != last->outer; at = at->outer) {
        if (!sql_work_spend(w, 2 * at->n))
            return false;
        for (size_t i = 0; i < at->n; i++) {
            const struct sql_place *place = &at->places[i];

            if (!place->qualified_only && hides_column(w, place, name) &&
                (place->fixed || place->written || at->locking))
                return false;
        }
    }
    for (; scope != last->outer; scope = scope->outer)
        for (size_t i = 0; i < scope->n; i++)
            if (!scope->places[i].qualified_only && hides_column(w, &scope->places[i], name))
                scope->places[i].wrap = true;
    return true;
}

/* Of a place that may have the name, and nearly always has: what cannot be a sub-select itself is
 * left as it is. */
static void uncover_further_out(struct sql_work *w, struct sql_scope *scope, const char *name)
{
    for (; scope && sql_work_spend(w, scope->n); scope = scope->outer)
        for (size_t i = 0; i < scope->n && !scope->locking; i++) {
            struct sql_place *place = &scope->places[i];

            if (!place->qualified_only && !place->fixed && !place->written &&
                hides_column(w, place, name))
                place->wrap = true;
        }
}

/* Or the name is a table's, and a hidden column takes it away from the row. */
static bool row_behind(struct sql_work *w, struct sql_scope *scope, const struct sql_node *ref,
                       const char *name, unsigned flags)
{
    struct sql_place *row = sql_scope_place(w, scope, name);
    struct sql_record record = {.ref = ref, .called = name, .certain = true, .placed = true};

    if (!row)
        return false;
    if (!is_hiding(w, row)) {
        uncover(w, scope, name);
        return true;
    }
    if (flags & SQL_NAME_FIELDS) {
        uncover(w, scope, name);
        record.placed = false;
    }
    sql_star_note(w, row);
    sql_record_note(w, row, record, flags);
    return true;
}

/* Is there another one further out, which the other revision would mean? */
static bool is_elsewhere(struct sql_work *w, const struct sql_scope *at, const char *column)
{
    for (struct sql_scope *scope = at->outer; scope; scope = scope->outer) {
        struct answers a = ask(w, scope, column);

        if (a.nhas > 0 || a.perhaps)
            return true;
    }
    return false;
}

static void of_one(struct sql_work *w, const struct sql_scope *at, struct sql_place *place,
                   const char *column, unsigned flags)
{
    if (!sql_said_is_own(w, place, column) || !is_elsewhere(w, at, column)) {
        sql_name_used(w, place, column, flags);
        return;
    }
    read_column(w, place, column, flags);
    sql_said_twofold(w, place, column, true);
}

/* To the session's side it is ambiguous. If one is left where the new columns are not there, it is
 * that of the revision of before. */
static void of_several(struct sql_work *w, struct sql_scope *from, const struct sql_scope *at,
                       const struct answers *a, const struct sql_node *ref, const char *column)
{
    sql_said_twofold(w, a->own, column, true);
    if (a->own && a->nshared == 1 && sql_said_is_news(w, a->own, column) && !at->natural &&
        !at->covered && !sql_scope_joins_by(w, at, column) && !qualify(w, from, a->shared, ref))
        sql_work_doubt(w, SQL_DOUBT_NAME);
}

/* Has the only place that perhaps has it such a column, unless its list of aliases renames that? */
static bool is_likely(const struct sql_work *w, const struct answers *a, const char *column)
{
    return a->nmaybe == 1 && a->maybe->kind == SQL_PLACE_RELATION &&
           sql_relation_has(w, a->maybe->range, 0, column) == SQL_HAS;
}

/* The name means something of the level `at`, and a hidden column of that level, or of one further
 * in, would take it away. From further in it must not in any case: there the server would say
 * nothing. */
static void keep_meaning(struct sql_work *w, struct sql_scope *scope, struct sql_scope *at,
                         const struct answers *a, const struct sql_place *hidden,
                         const struct sql_node *ref, const char *column)
{
    bool further_in = hidden != a->hidden;
    struct sql_place *place = a->nhas == 1 ? a->has : a->nhas == 0 ? a->maybe : NULL;

    if (place && place == a->maybe && sql_node_size(place->aliases))
        place = NULL; /* it may be called otherwise there */

    if (a->nhas == 0 && !further_in) {
        if (!is_likely(w, a, column)) {
            sql_work_doubt(w, SQL_DOUBT_NAME); /* perhaps nothing else has it */
            return;
        }
        sql_said_twofold(w, hidden, column, false);
    }
    if ((!place || at->natural || at->covered || sql_scope_joins_by(w, at, column) ||
         !qualify(w, scope, place, ref)) &&
        !uncover_until(w, scope, at, column))
        sql_work_doubt(w, SQL_DOUBT_NAME);
}

/* Where perhaps nothing else has the name, a row is called so that hides nothing: whichever of the
 * two is meant, it is where no column is hidden. */
static bool is_row_or_column(struct sql_work *w, struct sql_scope *scope, const struct answers *a,
                             const char *column)
{
    const struct sql_place *row = sql_scope_place(w, scope, column);
    const struct sql_scope *last = scope;

    if (a->nhas > 0 || !row || is_hiding(w, row) || is_likely(w, a, column))
        return false;
    while (last->outer)
        last = last->outer;
    return uncover_until(w, scope, last, column);
}

static void dual_name(struct sql_work *w, struct sql_scope *scope, const struct sql_node *ref,
                      const char *column, unsigned flags)
{
    struct sql_place *hidden = NULL,
                     *inner = NULL; /* inner: of a level further in than what has it */

    for (struct sql_scope *at = scope; at; at = at->outer) {
        struct answers a = ask(w, at, column);

        hidden = a.hidden && (!hidden || hidden->wrap) ? a.hidden : hidden;
        if (a.nhas == 0 && !a.perhaps) {
            inner = inner ? inner : a.hidden;
            continue;
        }
        sql_said_twofold(w, inner, column, false);
        if (hidden && hidden->wrap && !sql_said_is_own(w, hidden, column))
            hidden = NULL; /* gone from the sub-select that its table becomes */
        if (hidden && is_row_or_column(w, scope, &a, column))
            sql_said_row(w, hidden, column, flags & SQL_NAME_RECORD);
        else if (hidden)
            keep_meaning(w, scope, at, &a, hidden, ref, column);
        else if (a.nhas == 0 && is_hiding(w, sql_scope_place(w, scope, column)))
            sql_work_doubt(w, SQL_DOUBT_NAME); /* it may be the whole row */
        else if (a.nhas > 1)
            of_several(w, scope, at, &a, ref, column);
        if (a.nhas == 1)
            of_one(w, at, a.has, column, flags);
        if (a.nhas == 0)
            uncover_further_out(w, at->outer, column);
        return;
    }
    if (row_behind(w, scope, ref, column, flags))
        sql_said_row(w, inner, column, flags & SQL_NAME_RECORD);
    else if (hidden)
        sql_name_used(w, hidden, column, flags); /* the other side's, and meant */
}

bool sql_name_output(struct sql_work *w, struct sql_scope *scope, const struct sql_node *ref,
                     const struct sql_node *targets)
{
    const char *name = sql_tree_string(sql_node_at(sql_tree_get(ref, "fields"), 0));
    size_t number = 0, token = sql_tokens_at(&w->tokens, sql_tree_location(ref));
    struct answers a;

    if (!sql_output_named(w, ref, targets, &number))
        return false;
    a = ask(w, scope, name);
    if (a.nhas == 1 && a.own) { /* to the other revision the output is the first */
        sql_said_twofold(w, a.own, name, true);
        read_column(w, a.own, name, 0);
        return true;
    }
    if (a.nhas > 0 || a.perhaps)
        return false; /* a column comes first */
    if (!a.hidden)
        return true;
    sql_said_twofold(w, a.hidden, name, true);
    if (!number || token == w->tokens.n ||
        sql_tokens_is(&w->tokens, token + 1, PG_QUERY__TOKEN__UESCAPE)) {
        if (!uncover_until(w, scope, scope, name))
            sql_work_doubt(w, SQL_DOUBT_NAME);
    } else
        sql_edits_add_take(&w->edits, w->tokens.items[token].start,
                           w->tokens.items[token].end - w->tokens.items[token].start,
                           mem_printf("%zu", number));
    return true;
}

static struct sql_place *owner(struct sql_work *w, struct sql_scope *scope,
                               const struct sql_node *ref, const char **column)
{
    const struct sql_node *fields = sql_tree_get(ref, "fields");
    size_t n = sql_node_size(fields);
    const char *of = n > 1 ? sql_tree_string(sql_node_at(fields, n - 2)) : NULL;
    struct answers a;

    *column = n ? sql_tree_string(sql_node_at(fields, n - 1)) : NULL;
    if (!*column || n > 1)
        return *column && of ? sql_scope_place(w, scope, of) : NULL;
    a = ask(w, scope, *column);
    if (a.perhaps || a.nhas > 1 || scope->natural || scope->covered ||
        sql_scope_joins_by(w, scope, *column))
        return NULL;
    return a.nhas ? a.has : a.hidden;
}

struct sql_place *sql_name_grouped(struct sql_work *w, struct sql_scope *scope,
                                   const struct sql_node *ref, const struct sql_node *targets,
                                   const char **column)
{
    const struct sql_node *fields = sql_tree_get(ref, "fields");
    const char *name = sql_tree_string(sql_node_at(fields, 0));
    const struct sql_node *target = sql_output_named(w, ref, targets, NULL);
    struct answers a = {0};

    if (name && sql_node_size(fields) == 1)
        a = ask(w, scope, name);
    if (target && a.nhas == 0 && !a.perhaps) /* a column comes first */
        ref = sql_tree_get(sql_tree_get(target, "val"), "ColumnRef");
    return owner(w, scope, ref, column);
}

/* Is there no column of that name, which would come first, at any level? Of relations that do not
 * migrate only columns that are called as an old or new one are known. */
static bool is_no_column(struct sql_work *w, struct sql_scope *scope, const char *name)
{
    bool known = sql_is_dual_name(w, name);

    for (; scope; scope = scope->outer) {
        struct answers a = ask(w, scope, name);

        if (a.nhas > 0 || a.perhaps)
            return false;
        for (size_t i = 0; i < scope->n && !known; i++) /* as many as were asked */
            if (scope->places[i].kind == SQL_PLACE_RELATION)
                return false;
    }
    return true;
}

struct sql_place *sql_name_row(struct sql_work *w, struct sql_scope *scope, const char *name)
{
    struct sql_place *place = sql_scope_place(w, scope, name);

    if (!place)
        place = sql_star_returned(w, scope, name);
    if (!is_hiding(w, place) || !is_no_column(w, scope, name))
        return NULL;
    for (; sql_is_dual_name(w, name) && scope; scope = scope->outer)
        sql_said_twofold(w, ask(w, scope, name).hidden, name, true);
    return place;
}

bool sql_name_field(struct sql_work *w, struct sql_scope *scope, const struct sql_node *steps)
{
    const struct sql_tokens *tokens = &w->tokens;
    const struct sql_node *ref = sql_tree_get(sql_tree_get(steps, "arg"), "ColumnRef");
    const char *name = sql_tree_string(sql_node_at(sql_tree_get(ref, "fields"), 0));
    size_t i = sql_tokens_at(tokens, sql_tree_location(ref)) - 1; /* the bracket */

    if (!name || !sql_is_dual_name(w, name) || !sql_name_row(w, scope, name) ||
        sql_node_size(sql_tree_get(steps, "indirection")) != 1 ||
        !sql_tokens_is(tokens, i, SQL_TOKEN_OPEN) || !sql_tokens_is(tokens, i + 2, SQL_TOKEN_CLOSE))
        return false;
    sql_edits_add_take(&w->edits, tokens->items[i].start, 1, mem_strdup(" "));
    sql_edits_add_take(&w->edits, tokens->items[i + 2].start, 1, mem_strdup(" "));
    return true;
}

/* A name alone may be a table's: then it is a whole row. A column comes first. */
static void row_or_column(struct sql_work *w, struct sql_scope *scope, const struct sql_node *ref,
                          const char *name, unsigned flags)
{
    struct sql_place *place = sql_scope_place(w, scope, name);

    if (!place && (w->rules->returns_rows || is_no_column(w, scope, name)))
        place = sql_star_returned(w, scope, name);
    if (!place)
        return;
    for (struct sql_scope *at = scope; at; at = at->outer) {
        if (ask(w, at, name).nhas > 0)
            return;
        if (place >= at->places && place < at->places + at->n)
            break;
    }
    read_row(w, place, ref, name, is_no_column(w, scope, name), flags);
}

static void fix_all(const struct sql_work *w, struct sql_scope *scope)
{
    for (; scope && sql_work_spend(w, scope->n); scope = scope->outer)
        for (size_t i = 0; i < scope->n; i++)
            scope->places[i].fixed = true;
}

static void alone(struct sql_work *w, struct sql_scope *scope, const struct sql_node *ref,
                  const char *name, unsigned flags)
{
    if (sql_name_is_system(name))
        fix_all(w, scope);
    else if (sql_is_dual_name(w, name))
        dual_name(w, scope, ref, name, flags);
    else
        row_or_column(w, scope, ref, name, flags);
}

/* ---- t.x, s.t.x ---- */

enum sql_calls sql_name_calls(const struct sql_work *w, const char *name)
{
    const struct sql_functions *functions = w->rules->functions;

    if (sql_record_is_taker(name))
        return SQL_CALLS_TAKER;
    return sql_functions_has(functions, SQL_FUNCTION_TWICE, name) ||
                   sql_functions_has(functions, SQL_FUNCTION_ONCE, name)
               ? SQL_CALLS_PERHAPS
               : SQL_CALLS_NOT;
}

/* The only item of a list of names, or of the fields of a ColumnRef. */
static const char *only_name(const struct sql_node *list)
{
    return sql_node_size(list) == 1 ? sql_tree_string(sql_node_at(list, 0)) : NULL;
}

void sql_name_call(struct sql_work *w, struct sql_scope *scope, const struct sql_node *call,
                   unsigned flags)
{
    const struct sql_node *args = sql_tree_get(call, "args");
    const struct sql_node *ref = sql_tree_get(sql_node_at(args, 0), "ColumnRef");
    const char *column = only_name(sql_tree_get(call, "funcname"));
    const char *row = sql_node_size(args) == 1 ? only_name(sql_tree_get(ref, "fields")) : NULL;
    struct sql_place *place = column && row ? sql_scope_place(w, scope, row) : NULL;

    if (place && sql_name_calls(w, column) == SQL_CALLS_NOT &&
        sql_place_has(w, place, column) != SQL_HAS_NOT)
        read_column(w, place, column, flags);
}

/* t.f, where f is no column of the table. */
static void may_call(struct sql_work *w, struct sql_place *place, const char *name)
{
    enum sql_calls calls = sql_name_is_system(name) ? SQL_CALLS_NOT : sql_name_calls(w, name);

    if (calls == SQL_CALLS_NOT)
        return;
    sql_star_note(w, place);
    if (calls == SQL_CALLS_TAKER)
        place->wrap = true;
    else
        sql_work_doubt(w, SQL_DOUBT_ROW);
}

static void qualified(struct sql_work *w, struct sql_scope *scope, const struct sql_node *ref,
                      const char *column, unsigned flags)
{
    const struct sql_node *fields = sql_tree_get(ref, "fields");
    size_t n = sql_node_size(fields);
    const char *name = sql_tree_string(sql_node_at(fields, n - 2));
    struct sql_place *place = sql_star_qualifier(w, scope, fields);

    if (!place && name && n == 2 && (place = sql_star_returned(w, scope, name)))
        flags &= place->old && !strcmp(name, place->old) ? ~(unsigned)SQL_NAME_WRITTEN : ~0U;
    if (!place)
        return;
    if (!column && !sql_star_fits(w, place, fields))
        return;
    place->schemed = place->schemed || n > 2;
    if (n > 2 || (column && sql_name_is_system(column)))
        place->fixed = true;
    if (!column) { /* t.* as a value */
        if (place->kind == SQL_PLACE_MIGRATING && (!is_hiding(w, place) || w->names_only))
            sql_called_qualified(w, place, ref);
        read_row(w, place, ref, name, true, flags);
        return;
    }
    if (place->kind == SQL_PLACE_MIGRATING)
        sql_called_qualified(w, place, ref);
    if (is_hiding(w, place) && sql_place_has(w, place, column) == SQL_HAS_NOT)
        may_call(w, place, column);
    if (!place->qualified_only)
        sql_name_used(w, place, column, flags);
    else if (place->rule)
        sql_said_column(w, place, column);
}

void sql_name_column(struct sql_work *w, struct sql_scope *scope, const struct sql_node *ref,
                     unsigned flags)
{
    const struct sql_node *fields = sql_tree_get(ref, "fields");
    size_t n = sql_node_size(fields);
    const char *column = n ? sql_tree_string(sql_node_at(fields, n - 1)) : NULL;

    if (n == 1 && column)
        alone(w, scope, ref, column, flags);
    else if (n >= 2)
        qualified(w, scope, ref, column, flags);
}
