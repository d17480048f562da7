#include "needs.h"

#include <stdlib.h>
#include <string.h>

#include "name.h"
#include "record.h"
#include "segue/base/mem.h"

static const struct sql_node *get(const struct sql_node *node, const char *key)
{
    return sql_tree_get(node, key);
}

static void add(struct sql_needs *needs, const char *name)
{
    mem_grow((void **)&needs->names, &needs->cap, needs->n + 1, sizeof(*needs->names));
    needs->names[needs->n++] = name;
}

/* ---- what a text says ---- */

struct reading {
    struct sql_needs *needs;
    const struct sql_work *w;
    struct sql_scope *scope;
    const struct sql_place *place;
};

static bool is_shown(const struct reading *r, const char *name)
{
    return sql_place_has(r->w, r->place, name) == SQL_HAS;
}

/* Is that what qualifies the place's columns: its own name, or that of a join over it? */
static bool qualifies(const struct reading *r, const char *name)
{
    if (r->place->covered)
        return sql_scope_is_join(r->w, r->scope, name);
    return sql_scope_place(r->w, r->scope, name) == r->place;
}

/* t.f: its column, or else, perhaps, a function of the row. */
static bool takes_row(const struct reading *r, const char *of, const char *name)
{
    return qualifies(r, of) && !is_shown(r, name) && !sql_name_is_system(name) &&
           sql_name_calls(r->w, name) != SQL_CALLS_NOT;
}

static void read_ref(struct reading *r, const struct sql_node *ref)
{
    const struct sql_node *fields = get(ref, "fields");
    size_t n = sql_node_size(fields);
    const char *name = n ? sql_tree_string(sql_node_at(fields, n - 1)) : NULL;
    const char *of = n > 1 ? sql_tree_string(sql_node_at(fields, n - 2)) : NULL;

    if (!name) /* a star; one by itself is its level's own */
        r->needs->all |= of && qualifies(r, of);
    else if (of ? takes_row(r, of, name) : qualifies(r, name) && !is_shown(r, name))
        r->needs->all = true;
    else
        add(r->needs, name);
}

static void read_node(struct reading *r, const struct sql_node *node)
{
    if (!sql_work_spend(r->w, 1)) /* for each place of a level all of it is read */
        return;
    SQL_NODE_EACH_ITEM(item, node)
        read_node(r, item);
    SQL_NODE_EACH_MEMBER(member, node) {
        if (!strcmp(member->key, "ColumnRef"))
            read_ref(r, member);
        else if (!strcmp(member->key, "usingClause"))
            SQL_NODE_EACH_ITEM(item, member)
                add(r->needs, sql_tree_string(item) ? sql_tree_string(item) : "");
        read_node(r, member);
    }
}

static bool has_star(const struct sql_node *targets)
{
    SQL_NODE_EACH_ITEM(item, targets) {
        const struct sql_node *fields =
            get(get(get(get(item, "ResTarget"), "val"), "ColumnRef"), "fields");

        if (sql_node_size(fields) == 1 && get(sql_node_at(fields, 0), "A_Star"))
            return true;
    }
    return false;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void sql_needs_init(struct sql_needs *needs, const struct sql_work *w, struct sql_scope *scope,
                    const struct sql_place *place)
{
    struct reading reading = {needs, w, scope, place};

    *needs = (struct sql_needs){0};
    needs->all = !scope->level || has_star(get(scope->level, "targetList")) ||
                 has_star(get(scope->level, "returningList")) ||
                 /* which of its columns another name is for is not looked for */
                 (place->covered && sql_scope_renames(w, scope)) ||
                 sql_record_waits(w, place) != SQL_RECORD_NONE;
    if (needs->all)
        return;
    read_node(&reading, scope->level);
    if (needs->n > 0)
        qsort(needs->names, needs->n, sizeof(*needs->names), compare);
}

void sql_needs_fini(struct sql_needs *needs)
{
    free(needs->names);
}

bool sql_needs_names(const struct sql_needs *needs, const char *name)
{
    return needs->n > 0 && bsearch(&name, needs->names, needs->n, sizeof(*needs->names), compare);
}

/* ---- what joins by it ---- */

/* Has the other place a column of that name, for all that is known? */
static bool may_have(const struct sql_work *w, const struct sql_place *other, const char *name)
{
    if (other->kind == SQL_PLACE_RELATION && !sql_is_dual_name(w, name))
        return true; /* the rules say nothing of it */
    return sql_place_has(w, other, name) != SQL_HAS_NOT;
}

static bool is_joined_by(const struct sql_work *w, const struct sql_scope *scope,
                         const struct sql_place *place, const char *name)
{
    if (!sql_work_spend(w, scope->n))
        return true;
    for (size_t i = 0; i < scope->n; i++) {
        const struct sql_place *other = &scope->places[i];

        if (other != place && !other->written && may_have(w, other, name))
            return true;
    }
    return false;
}

bool sql_needs_has(const struct sql_needs *needs, const struct sql_work *w,
                   const struct sql_scope *scope, const struct sql_place *place, const char *name)
{
    return needs->all || sql_needs_names(needs, name) ||
           (scope->natural && is_joined_by(w, scope, place, name));
}

bool sql_needs_own_names(const struct sql_work *w, const struct sql_scope *scope,
                         const struct sql_place *place)
{
    const struct rule *rule = place->rule;

    if (!rule->partly)
        return true;
    for (size_t i = 0; i < rule->ncolumns; i++)
        if (sql_work_hides(w, rule, &rule->columns[i]) &&
            is_joined_by(w, scope, place, rule->columns[i].name))
            return true;
    return false;
}
