#include "snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"

/* What a phase shows of a migrating table. */
struct view {
    enum sql_sight old, new; /* of the columns that contract drops, that expand adds */
    bool coming;             /* the new columns may not be there yet, and are named already */
    bool twins;              /* both sides are there, and stay while this phase lasts */
    bool early;              /* the new columns may not be read */
    bool reversed;           /* who follows sees the new side */
};

/* clang-format off */
static const struct view views[PH_COUNT] = {
    [PH_EXPANDING] = {SQL_SEEN_BY_OLD, SQL_SEEN_BY_NEW, .coming = true, .early = true},
    [PH_BACKFILLING] = {SQL_SEEN_BY_OLD, SQL_SEEN_BY_NEW, .twins = true, .early = true},
    [PH_VERIFYING] = {SQL_SEEN_BY_OLD, SQL_SEEN_BY_NEW, .twins = true, .early = true},
    [PH_READY] = {SQL_SEEN_BY_OLD, SQL_SEEN_BY_NEW, .twins = true},
    [PH_CUTTING_OVER] = {SQL_SEEN_BY_OLD, SQL_SEEN_BY_NEW, .twins = true},
    [PH_SOAKING] = {SQL_SEEN_BY_OLD, SQL_SEEN_BY_NEW, .twins = true, .reversed = true},
    [PH_REVERTING] = {SQL_SEEN_BY_OLD, SQL_SEEN_BY_NEW, .twins = true, .reversed = true},
    /* from here on there is one schema: what goes is shown to nobody, before it goes */
    [PH_CONTRACTING] = {SQL_SEEN_BY_NOBODY, SQL_SEEN_BY_BOTH, .reversed = true},
    [PH_ABORTING] = {SQL_SEEN_BY_BOTH, SQL_SEEN_BY_NOBODY, .early = true},
};
/* clang-format on */

void snapshot_fini(struct snapshot *snap)
{
    sql_rules_unref(snap->rules);
    buf_fini(&snap->meaning);
    buf_fini(&snap->states);
    snap->rules = NULL;
}

/* Names may hold anything but a zero byte: their lengths keep two lists apart. */
static void means(struct snapshot *snap, char what, const char *text)
{
    buf_printf(&snap->meaning, "%c%zu:%s", what, strlen(text), text);
}

/* ---- columns ---- */

struct columns {
    struct sql_column_rule *v;
    size_t n, cap;
    struct sql_twin_rule *twins;
    size_t ntwins;
};

static void add_column(struct columns *to, const char *name, enum sql_sight sight, bool generated)
{
    mem_grow((void **)&to->v, &to->cap, to->n + 1, sizeof(*to->v));
    to->v[to->n++] = (struct sql_column_rule){name, sight, generated};
}

static enum sql_sight sight_of(const struct eng_table *table, const struct view *view,
                               const char *name)
{
    for (size_t i = 0; table && i < table->nduals; i++) {
        const struct eng_dual *dual = &table->duals[i];

        if (dual->old_name && strcmp(dual->old_name, name) == 0)
            return view->old;
        if (dual->new_name && strcmp(dual->new_name, name) == 0)
            return view->new;
    }
    return SQL_SEEN_BY_BOTH;
}

/* Rows of the catalog's answer that belong to the table: from *first, so many. */
static int rows_of(const struct eng_sight *sight, const struct eng_locked *locked, int *first)
{
    const PGresult *res = sight->columns;
    int r = 0, end;

    while (r < PQntuples(res) && (strcmp(res_text(res, r, SIGHT_SCHEMA), locked->schema) != 0 ||
                                  strcmp(res_text(res, r, SIGHT_TABLE), locked->name) != 0))
        r++;
    for (end = r; end < PQntuples(res) &&
                  strcmp(res_text(res, end, SIGHT_SCHEMA), locked->schema) == 0 &&
                  strcmp(res_text(res, end, SIGHT_TABLE), locked->name) == 0;)
        end++;
    *first = r;
    return end - r;
}

static int row_of_column(const PGresult *res, int first, int n, const char *name)
{
    for (int r = first; r < first + n; r++) {
        if (strcmp(res_text(res, r, SIGHT_NAME), name) == 0)
            return r;
    }
    return -1;
}

/* Both are there, and whoever may write the one may write the other. */
static bool is_twin(const PGresult *res, int first, int n, const struct eng_dual *dual)
{
    int old_row, new_row;
    const char *old_grants, *new_grants;

    if (!dual->plain || !dual->old_name || !dual->new_name)
        return false;
    old_row = row_of_column(res, first, n, dual->old_name);
    new_row = row_of_column(res, first, n, dual->new_name);
    if (old_row < 0 || new_row < 0)
        return false;
    old_grants = res_text(res, old_row, SIGHT_GRANTS);
    new_grants = res_text(res, new_row, SIGHT_GRANTS);
    return strcmp(old_grants ? old_grants : "", new_grants ? new_grants : "") == 0;
}

/* A trigger of the owner's that changes the old column would be overruled by the twin that the
 * statement wrote: there the guard alone keeps step, which comes after it. */
static void add_twins(struct columns *to, const PGresult *res, int first, int n,
                      const struct eng_table *table)
{
    to->twins = mem_calloc(table->nduals + 1, sizeof(*to->twins));
    if (res_bool(res, first, SIGHT_TRIGGERS))
        return;
    for (size_t i = 0; i < table->nduals; i++) {
        const struct eng_dual *dual = &table->duals[i];

        if (is_twin(res, first, n, dual))
            to->twins[to->ntwins++] = (struct sql_twin_rule){dual->old_name, dual->new_name};
    }
}

/* None: not known. */
static void read_columns(const struct eng_sight *sight, const struct eng_locked *locked,
                         const struct eng_table *table, const struct view *view, struct columns *to)
{
    int first, n;

    if (!sight->namesakes || PQntuples(sight->namesakes) > SIGHT_NAMESAKES_MAX)
        return;
    n = rows_of(sight, locked, &first);
    if (n == 0)
        return;
    for (int r = first; r < first + n; r++) {
        const char *name = res_text(sight->columns, r, SIGHT_NAME);

        add_column(to, name, sight_of(table, view, name),
                   res_bool(sight->columns, r, SIGHT_GENERATED));
    }
    for (size_t i = 0; table && view->coming && i < table->nduals; i++) {
        const char *name = table->duals[i].new_name;

        if (name && row_of_column(sight->columns, first, n, name) < 0)
            add_column(to, name, view->new, false);
    }
    if (table && view->twins)
        add_twins(to, sight->columns, first, n, table);
}

/* ---- rules ---- */

/* Columns without anything to fill are right from the first moment. */
static bool fills(const struct eng_table *table)
{
    for (size_t i = 0; table && i < table->nduals; i++) {
        if (table->duals[i].new_name && table->duals[i].up)
            return true;
    }
    return false;
}

static void write_meaning(struct snapshot *snap, const struct sql_table_rule *rule)
{
    means(snap, rule->early ? 'e' : 't', rule->schema);
    means(snap, rule->reversed ? 'r' : 'f', rule->name);
    means(snap, 'm', rule->migration);
    for (size_t i = 0; i < rule->ncolumns; i++)
        means(snap, (char)('0' + 2 * (int)rule->columns[i].sight + rule->columns[i].generated),
              rule->columns[i].name);
    for (size_t i = 0; i < rule->ntwins; i++)
        means(snap, '=', rule->twins[i].old_name);
}

static void state_of(const struct eng_migration *m, char *out, size_t size)
{
    if (views[m->phase].early && m->phase != PH_ABORTING)
        snprintf(out, size, "%s, %.0f %% of the way to ready", eng_phase(m->phase)->name,
                 m->stats.progress);
    else
        snprintf(out, size, "%s", eng_phase(m->phase)->name);
}

static void add_rule(struct snapshot *snap, const struct eng_sight *sight, struct eng_migration *m,
                     struct eng_locked *locked)
{
    static const char *const none[] = {NULL};
    const struct eng_table *table = locked->table >= 0 ? &m->plan->tables[locked->table] : NULL;
    const struct view *view = &views[m->phase];
    size_t n = table ? table->nduals : 0;
    const char **olds = mem_calloc(n + 1, sizeof(*olds));
    const char **news = mem_calloc(n + 1, sizeof(*news));
    const char **relatives = mem_calloc((table ? table->nrelatives : 0) + 1, sizeof(*relatives));
    struct columns columns = {0};
    char state[64];
    struct sql_table_rule rule = {.tag = eng_usage_tag(m, (size_t)(locked - m->locked)),
                                  .migration = m->name,
                                  .schema = locked->schema,
                                  .name = locked->name,
                                  .old_columns = olds,
                                  .new_columns = news,
                                  .relatives = table ? relatives : none,
                                  .early = view->early && fills(table),
                                  .reversed = view->reversed,
                                  .state = state};
    size_t nold = 0, nnew = 0;

    for (size_t i = 0; i < n; i++) {
        if (table->duals[i].old_name)
            olds[nold++] = table->duals[i].old_name;
        if (table->duals[i].new_name)
            news[nnew++] = table->duals[i].new_name;
    }
    for (size_t i = 0; table && i < table->nrelatives; i++)
        relatives[i] = table->relatives[i];
    read_columns(sight, locked, table, view, &columns);
    rule.columns = columns.v;
    rule.ncolumns = columns.n;
    rule.twins = columns.twins;
    rule.ntwins = columns.ntwins;
    state_of(m, state, sizeof(state));
    write_meaning(snap, &rule);
    buf_printf(&snap->states, "%s\n", state);
    locked->bit = sql_rules_add(snap->rules, &rule);
    free(columns.v);
    free(columns.twins);
    free(olds);
    free(news);
    free(relatives);
}

/* Rows of one relation stand together; a name of its own comes without a column. */
static void add_namesakes(struct snapshot *snap, const PGresult *res)
{
    int n = res && PQntuples(res) <= SIGHT_NAMESAKES_MAX ? PQntuples(res) : 0;
    const char **names = mem_calloc((size_t)n + 1, sizeof(*names));

    for (int r = 0, end; r < n; r = end) {
        const char *schema = res_text(res, r, 0), *name = res_text(res, r, 1);
        size_t columns = 0;

        means(snap, 's', schema);
        means(snap, 'n', name);
        for (end = r; end < n && strcmp(res_text(res, end, 0), schema) == 0 &&
                      strcmp(res_text(res, end, 1), name) == 0;
             end++) {
            if (!res_text(res, end, 2))
                continue;
            names[columns++] = res_text(res, end, 2);
            means(snap, 'c', res_text(res, end, 2));
        }
        names[columns] = NULL;
        sql_rules_add_namesake(snap->rules, &(struct sql_namesake){schema, name, names});
    }
    free(names);
}

void snapshot_build(struct eng_engine *engine, struct snapshot *snap)
{
    *snap = (struct snapshot){.rules = sql_rules_new((uint64_t)engine->epoch)};
    for (size_t i = 0; i < engine->nmigrations; i++) {
        struct eng_migration *m = engine->migrations[i];

        for (size_t j = 0; j < m->nlocked; j++) {
            m->locked[j].bit = -1;
            if (eng_phase(m->phase)->active)
                add_rule(snap, &engine->sight, m, &m->locked[j]);
        }
    }
    if (sql_rules_tables(snap->rules)) {
        add_namesakes(snap, engine->sight.namesakes);
    } else {
        sql_rules_unref(snap->rules);
        snap->rules = NULL;
    }
}
