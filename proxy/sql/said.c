#include "said.h"

#include <string.h>

static const struct rule_column *column_of(const struct rule *table, const char *name)
{
    for (size_t i = 0; i < table->ncolumns; i++)
        if (!strcmp(table->columns[i].name, name))
            return &table->columns[i];
    return NULL;
}

void sql_said_name(struct sql_work *w, const struct rule *table, const char *column)
{
    const struct rule_column *found = column_of(table, column);

    if (!found || found->sight == SQL_SEEN_BY_BOTH)
        return;
    if (sql_work_hides(w, table, found))
        w->said.other |= sql_work_bit(table);
    else
        w->said.own |= sql_work_bit(table);
}

void sql_said_table(struct sql_work *w, const struct rule *table, const char *name)
{
    bool new = sql_rule_is_other(table, name) != table->reversed;

    if (!table->other || !w->session->follows)
        return;
    if (new != sql_work_is_new(w, table))
        w->said.other |= sql_work_bit(table);
    else if (new)
        w->said.own |= sql_work_bit(table);
}

void sql_said_column(struct sql_work *w, const struct sql_place *place, const char *column)
{
    if (!place->aliases || sql_place_has(w, place, column) == SQL_HAS_HIDDEN)
        sql_said_name(w, place->rule, column);
}

void sql_said_list(struct sql_work *w, const struct rule *table, const struct sql_node *list)
{
    SQL_NODE_EACH_ITEM(item, list) {
        const struct sql_node *target = sql_tree_get(item, "ResTarget");
        const char *name =
            sql_node_text(sql_tree_get(target ? target : sql_tree_get(item, "IndexElem"), "name"));

        if (name)
            sql_said_name(w, table, name);
    }
}

void sql_said_twofold(struct sql_work *w, const struct sql_place *hidden, const char *column,
                      bool sure)
{
    const struct rule_column *found = hidden ? column_of(hidden->rule, column) : NULL;

    if (!found)
        return;
    w->said.twofold |= sql_work_bit(hidden->rule);
    if (!sure && found->sight == SQL_SEEN_BY_OLD && w->session->follows &&
        sql_work_hides(w, hidden->rule, found))
        w->said.unsure |= sql_work_bit(hidden->rule);
}

void sql_said_row(struct sql_work *w, const struct sql_place *hidden, const char *column, bool sure)
{
    uint64_t before = w->said.unsure;

    w->said.unsure = 0;
    sql_said_twofold(w, hidden, column, sure);
    w->said.rows |= w->said.unsure;
    w->said.unsure |= before;
}

bool sql_said_is_own(const struct sql_work *w, const struct sql_place *place, const char *column)
{
    const struct rule_column *found =
        place->kind == SQL_PLACE_MIGRATING ? column_of(place->rule, column) : NULL;

    return found && !place->aliases && found->sight != SQL_SEEN_BY_BOTH &&
           !sql_work_hides(w, place->rule, found);
}

bool sql_said_is_news(const struct sql_work *w, const struct sql_place *place, const char *column)
{
    return w->session->follows && sql_said_is_own(w, place, column) &&
           column_of(place->rule, column)->sight == SQL_SEEN_BY_NEW;
}

enum sql_has sql_said_has(const struct sql_work *w, const struct sql_place *place,
                          const char *column)
{
    enum sql_has has = sql_place_has(w, place, column);

    if (has == SQL_HAS_HIDDEN && (w->said.meant & sql_work_bit(place->rule)))
        return SQL_HAS;
    if (has == SQL_HAS && w->said.alone && sql_said_is_own(w, place, column) &&
        (w->said.alone & sql_work_bit(place->rule)))
        return SQL_HAS_HIDDEN;
    return has;
}

/* A revision is that of a migration: what it says of one table counts for all of them. */
static uint64_t of_migrations(const struct sql_rules *rules, uint64_t tables)
{
    uint64_t all = tables;

    for (size_t i = 0; tables && i < rules->n; i++)
        for (size_t j = 0; j < rules->n; j++)
            if ((tables & sql_work_bit(&rules->tables[j])) &&
                !strcmp(rules->tables[i].migration, rules->tables[j].migration))
                all |= sql_work_bit(&rules->tables[i]);
    return all;
}

bool sql_said_again(struct sql_work *w)
{
    uint64_t other, own, alone, meant = w->said.meant;

    if (!w->said.twofold)
        return false;
    other = of_migrations(w->rules, w->said.other);
    own = of_migrations(w->rules, w->said.own);
    if (w->said.twofold & other & ~meant) {
        alone = w->said.alone | (w->session->follows ? other & ~own : 0);
        w->said = (struct sql_said){.meant = meant | other, .alone = alone};
        return true;
    }
    sql_said_doubts(w);
    return false;
}

void sql_said_doubts(struct sql_work *w)
{
    if ((w->said.unsure & ~of_migrations(w->rules, w->said.own)) | w->said.rows)
        sql_work_doubt(w, SQL_DOUBT_NAME);
}
