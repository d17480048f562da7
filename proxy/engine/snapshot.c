#include "snapshot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"
#include "segue/sql/expr.h"
#include "segue/sql/path.h"
#include "shown.h"
#include "signature.h"

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
    struct sql_twin_rule *twins, *pairs;
    size_t ntwins, npairs;
    struct eng_signature old, new; /* of those that the two sides see */
};

/* `part`: of the signatures; NULL: not known. */
static void add_column(struct columns *to, const char *name, enum sql_sight sight, bool generated,
                       const char *part)
{
    mem_grow((void **)&to->v, &to->cap, to->n + 1, sizeof(*to->v));
    to->v[to->n++] = (struct sql_column_rule){name, sight, generated};
    if (sight == SQL_SEEN_BY_BOTH || sight == SQL_SEEN_BY_OLD)
        signature_add(&to->old, part);
    if (sight == SQL_SEEN_BY_BOTH || sight == SQL_SEEN_BY_NEW)
        signature_add(&to->new, part);
}

static enum sql_sight sight_of(const struct eng_table *table, const struct view *view,
                               const char *name)
{
    for (size_t i = 0; table && i < table->nduals; i++) {
        const struct eng_dual *dual = &table->duals[i];

        if (dual->retypes && strcmp(dual->new_name, name) == 0)
            return SQL_SEEN_NEVER;
        if (dual->retypes)
            continue;
        if (dual->old_name && strcmp(dual->old_name, name) == 0)
            return view->old;
        if (dual->new_name && strcmp(dual->new_name, name) == 0)
            return view->new;
    }
    return SQL_SEEN_BY_BOTH;
}

static bool same_text(const PGresult *res, int a, int b, int field)
{
    const char *left = res_text(res, a, field), *right = res_text(res, b, field);

    return strcmp(left ? left : "", right ? right : "") == 0;
}

/* Rows of the catalog's answer: of one table with its partitions, or of one of these relations. */
struct rows {
    const PGresult *res;
    int first, end;
};

static struct rows rows_of_table(const struct eng_sight *sight, const struct eng_locked *locked)
{
    const PGresult *res = sight->columns;
    struct rows rows = {.res = res};
    int n = PQntuples(res);

    if (!sight->namesakes || PQntuples(sight->namesakes) > SIGHT_NAMESAKES_MAX)
        return rows;
    while (rows.first < n &&
           (strcmp(res_text(res, rows.first, SIGHT_SCHEMA), locked->schema) != 0 ||
            strcmp(res_text(res, rows.first, SIGHT_TABLE), locked->name) != 0))
        rows.first++;
    for (rows.end = rows.first; rows.end < n &&
                                same_text(res, rows.first, rows.end, SIGHT_SCHEMA) &&
                                same_text(res, rows.first, rows.end, SIGHT_TABLE);)
        rows.end++;
    return rows;
}

/* The relation that begins at `first`; its end is `first` of the next. */
static struct rows rows_of_relation(const struct rows *table, int first)
{
    struct rows rows = {table->res, first, first};

    while (rows.end < table->end && same_text(rows.res, first, rows.end, SIGHT_PARTITION_SCHEMA) &&
           same_text(rows.res, first, rows.end, SIGHT_PARTITION))
        rows.end++;
    return rows;
}

static int row_of_column(const struct rows *rows, const char *name)
{
    for (int r = rows->first; r < rows->end; r++) {
        if (strcmp(res_text(rows->res, r, SIGHT_NAME), name) == 0)
            return r;
    }
    return -1;
}

enum pair { PAIR_NONE, PAIR_HALVES, PAIR_TWINS };

/* Both are there, and whoever may write the one may write the other. A trigger of the owner's that
 * changes the old column would be overruled by the twin that the statement wrote: there the guard
 * alone keeps step, which comes after it. */
static enum pair pair_in(const struct rows *relation, const struct eng_dual *dual)
{
    int old_row = row_of_column(relation, dual->old_name);
    int new_row = row_of_column(relation, dual->new_name);

    if (old_row < 0 || new_row < 0 || !same_text(relation->res, old_row, new_row, SIGHT_GRANTS))
        return PAIR_NONE;
    return dual->plain && !res_bool(relation->res, old_row, SIGHT_TRIGGERS) ? PAIR_TWINS
                                                                            : PAIR_HALVES;
}

/* What the two are in each of the table's relations. */
static enum pair pair_of(const struct rows *table, const struct eng_dual *dual)
{
    enum pair pair = table->first < table->end ? PAIR_TWINS : PAIR_NONE;
    struct rows relation;

    if (!dual->old_name || !dual->new_name || dual->group || dual->retypes)
        return PAIR_NONE;
    for (int r = table->first; r < table->end; r = relation.end) {
        enum pair here;

        relation = rows_of_relation(table, r);
        here = pair_in(&relation, dual);
        pair = here < pair ? here : pair;
    }
    return pair;
}

static void add_twins(struct columns *to, const struct rows *rows, const struct eng_table *table)
{
    to->twins = mem_calloc(table->nduals + 1, sizeof(*to->twins));
    to->pairs = mem_calloc(table->nduals + 1, sizeof(*to->pairs));
    for (size_t i = 0; i < table->nduals; i++) {
        const struct eng_dual *dual = &table->duals[i];
        const struct sql_twin_rule rule = {dual->old_name, dual->new_name};
        enum pair pair = pair_of(rows, dual);

        if (pair == PAIR_TWINS)
            to->twins[to->ntwins++] = rule;
        else if (pair == PAIR_HALVES)
            to->pairs[to->npairs++] = rule;
    }
}

/* A column that changes its type stays where it was: of the two, the one that came first has its
 * name until the cut-over, the other one after it. Which row is shown in the place of `row`? */
static int row_shown(const struct rows *relation, const struct eng_table *table, int row)
{
    const char *name = res_text(relation->res, row, SIGHT_NAME);

    for (size_t i = 0; table && i < table->nduals; i++) {
        const struct eng_dual *dual = &table->duals[i];
        int named, waits;

        if (!dual->retypes ||
            (strcmp(dual->old_name, name) != 0 && strcmp(dual->new_name, name) != 0))
            continue;
        named = row_of_column(relation, dual->old_name);
        waits = row_of_column(relation, dual->new_name);
        if (named < 0 || waits < 0)
            return row;
        return row == (named < waits ? named : waits) ? named : waits;
    }
    return row;
}

static void add_columns(struct columns *to, const struct rows *relation,
                        const struct eng_table *table, const struct view *view)
{
    for (int r = relation->first; r < relation->end; r++) {
        int row = row_shown(relation, table, r);
        const char *name = res_text(relation->res, row, SIGHT_NAME);

        add_column(to, name, sight_of(table, view, name),
                   res_bool(relation->res, row, SIGHT_GENERATED),
                   res_text(relation->res, row, SIGHT_PART));
    }
    for (size_t i = 0; table && view->coming && to->n && i < table->nduals; i++) {
        const char *name = table->duals[i].new_name;

        if (name && row_of_column(relation, name) < 0)
            add_column(to, name, sight_of(table, view, name), false, NULL);
    }
}

/* Of its primary key. Caller frees the list. */
static const char **key_of(const struct rows *relation)
{
    const char **key = mem_calloc((size_t)(relation->end - relation->first) + 1, sizeof(*key));
    size_t n = 0;

    for (int r = relation->first; r < relation->end; r++)
        if (res_bool(relation->res, r, SIGHT_KEY))
            key[n++] = res_text(relation->res, r, SIGHT_NAME);
    return key;
}

static bool reads_by_fields(const struct rows *relation)
{
    for (int r = relation->first; r < relation->end; r++)
        if (res_bool(relation->res, r, SIGHT_FIELDS))
            return true;
    return false;
}

/* Is a column of any of the table's relations granted by itself? */
static bool is_granted_partly(const struct rows *table)
{
    for (int r = table->first; r < table->end; r++)
        if (res_bool(table->res, r, SIGHT_PARTLY))
            return true;
    return false;
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

static void signature_means(struct snapshot *snap, uint64_t signature)
{
    buf_printf(&snap->meaning, "#%016" PRIx64, signature);
}

static void columns_mean(struct snapshot *snap, const struct sql_column_rule *columns, size_t n)
{
    for (size_t i = 0; i < n; i++)
        means(snap, (char)('0' + 2 * (int)columns[i].sight + columns[i].generated),
              columns[i].name);
}

static void write_meaning(struct snapshot *snap, const struct sql_table_rule *rule)
{
    means(snap, rule->early ? 'e' : 't', rule->schema);
    means(snap, rule->reversed ? 'r' : 'f', rule->name);
    buf_append_str(&snap->meaning, rule->by_fields ? "i" : "");
    buf_append_str(&snap->meaning, rule->partly ? "s" : "");
    means(snap, 'm', rule->migration);
    buf_append_str(&snap->meaning, rule->going ? "g" : "");
    if (rule->other_name)
        means(snap, 'o', rule->other_name);
    columns_mean(snap, rule->columns, rule->ncolumns);
    signature_means(snap, rule->old_signature);
    signature_means(snap, rule->new_signature);
    for (size_t i = 0; i < rule->ntwins; i++)
        means(snap, '=', rule->twins[i].old_name);
    for (size_t i = 0; i < rule->npairs; i++)
        means(snap, '/', rule->pairs[i].old_name);
    for (const char *const *key = rule->key; *key; key++)
        means(snap, 'k', *key);
}

/* Until enough has been read for an estimate of the whole, only what is done is told. */
static void progress_of(const struct eng_migration *m, char *out, size_t size)
{
    int n;

    out[0] = '\0';
    if (!views[m->phase].early || m->phase == PH_ABORTING)
        return;
    n = snprintf(out, size, "%.0f %% of the way to ready, %" PRId64, m->stats.progress,
                 m->stats.rows_done);
    if (m->stats.rows_total > 0)
        n += snprintf(out + n, size - (size_t)n, " of about %" PRId64, m->stats.rows_total);
    snprintf(out + n, size - (size_t)n, " rows filled.");
}

static void add_partitions(struct snapshot *snap, const struct rows *rows,
                           const struct eng_table *table, const struct view *view, int bit)
{
    struct rows relation = rows_of_relation(rows, rows->first);

    while (relation.end < rows->end) {
        struct columns columns = {0};
        struct sql_partition partition;

        relation = rows_of_relation(rows, relation.end);
        add_columns(&columns, &relation, table, view);
        partition = (struct sql_partition){
            .schema = res_text(rows->res, relation.first, SIGHT_PARTITION_SCHEMA),
            .name = res_text(rows->res, relation.first, SIGHT_PARTITION),
            .columns = columns.v,
            .ncolumns = columns.n,
            .old_signature = signature_take(&columns.old),
            .new_signature = signature_take(&columns.new)};
        means(snap, 'p', partition.schema);
        means(snap, 'q', partition.name);
        columns_mean(snap, columns.v, columns.n);
        signature_means(snap, partition.old_signature);
        signature_means(snap, partition.new_signature);
        sql_rules_add_partition(snap->rules, bit, &partition);
        free(columns.v);
    }
}

/* What the plan found, and partitions that came since. */
static const char **relatives_of(const struct eng_table *table, const struct rows *rows)
{
    size_t n = 0, known = table ? table->nrelatives : 0;
    const char **relatives =
        mem_calloc(known + (size_t)(rows->end - rows->first) + 1, sizeof(*relatives));
    struct rows relation;

    for (; n < known; n++)
        relatives[n] = table->relatives[n];
    for (int r = rows->first; table && r < rows->end; r = relation.end) {
        const char *name = res_text(rows->res, r, SIGHT_PARTITION);
        size_t i = 0;

        relation = rows_of_relation(rows, r);
        while (name && i < n && strcmp(relatives[i], name) != 0)
            i++;
        if (name && i == n)
            relatives[n++] = name;
    }
    return relatives;
}

static bool is_going(const struct eng_plan *plan, const struct eng_locked *locked)
{
    char *name = sql_quote_qualified(locked->schema, locked->name);
    bool going = false;

    for (size_t i = 0; i < plan->ndropped; i++)
        going |= strcmp(plan->dropped[i], name) == 0;
    free(name);
    return going;
}

/* The other name, as long as no other relation has it: that one would be meant. */
static const char *other_name(const struct eng_sight *sight, const struct eng_migration *m,
                              const struct eng_locked *locked)
{
    const char *other = eng_locked_called(m, locked).other;
    const PGresult *res = sight->namesakes;

    for (int r = 0; other && res && r < PQntuples(res); r++)
        if (strcmp(res_text(res, r, 1), other) == 0 &&
            strcmp(res_text(res, r, 0), locked->schema) == 0)
            return NULL;
    return other;
}

static void add_rule(struct snapshot *snap, const struct eng_sight *sight, struct eng_migration *m,
                     struct eng_locked *locked)
{
    const struct eng_table *table = locked->table >= 0 ? &m->plan->tables[locked->table] : NULL;
    const struct view *view = &views[m->phase];
    const struct rows rows = rows_of_table(sight, locked);
    const struct rows own = rows_of_relation(&rows, rows.first);
    size_t n = table ? table->nduals : 0, nold = 0, nnew = 0;
    const char **olds = mem_calloc(n + 1, sizeof(*olds));
    const char **news = mem_calloc(n + 1, sizeof(*news));
    const char **relatives = relatives_of(table, &rows), **key = key_of(&own);
    struct columns columns = {0};
    struct sql_table_rule rule;
    char progress[128];

    for (size_t i = 0; i < n; i++) {
        if (table->duals[i].retypes)
            continue; /* nobody names the half that waits, and everybody the other */
        if (table->duals[i].old_name)
            olds[nold++] = table->duals[i].old_name;
        if (table->duals[i].new_name)
            news[nnew++] = table->duals[i].new_name;
    }
    add_columns(&columns, &own, table, view);
    if (table && view->twins)
        add_twins(&columns, &rows, table);
    progress_of(m, progress, sizeof(progress));
    rule = (struct sql_table_rule){.tag = eng_usage_tag(m, (size_t)(locked - m->locked)),
                                   .migration = m->name,
                                   .schema = locked->schema,
                                   .name = eng_locked_called(m, locked).name,
                                   .other_name = other_name(sight, m, locked),
                                   .old_columns = olds,
                                   .new_columns = news,
                                   .relatives = relatives,
                                   .columns = columns.v,
                                   .ncolumns = columns.n,
                                   .old_signature = signature_take(&columns.old),
                                   .new_signature = signature_take(&columns.new),
                                   .key = key,
                                   .twins = columns.twins,
                                   .ntwins = columns.ntwins,
                                   .pairs = columns.pairs,
                                   .npairs = columns.npairs,
                                   .by_fields = reads_by_fields(&own),
                                   .partly = is_granted_partly(&rows),
                                   .early = view->early && fills(table),
                                   .reversed = view->reversed,
                                   .going = is_going(m->plan, locked),
                                   .coming = view->coming,
                                   .state = eng_phase(m->phase)->name,
                                   .progress = progress};
    write_meaning(snap, &rule);
    buf_printf(&snap->states, "%s: %s\n", rule.state, progress);
    locked->bit = sql_rules_add(snap->rules, &rule);
    if (table && locked->bit >= 0)
        add_partitions(snap, &rows, table, view, locked->bit);
    free(columns.v);
    free(columns.twins);
    free(columns.pairs);
    free(olds);
    free(news);
    free(relatives);
    free(key);
}

/* Rows of one relation stand together; a name of its own comes without a column. */
static void add_namesakes(struct snapshot *snap, const PGresult *res)
{
    int n = res && PQntuples(res) <= SIGHT_NAMESAKES_MAX ? PQntuples(res) : 0;
    const char **names = mem_calloc((size_t)n + 1, sizeof(*names));
    size_t *places = mem_calloc((size_t)n + 1, sizeof(*places));

    for (int r = 0, end; r < n; r = end) {
        const char *schema = res_text(res, r, 0), *name = res_text(res, r, 1);
        uint64_t signature = signature_read(res_text(res, r, 3));
        size_t columns = 0;

        means(snap, 's', schema);
        means(snap, 'n', name);
        for (end = r; end < n && strcmp(res_text(res, end, 0), schema) == 0 &&
                      strcmp(res_text(res, end, 1), name) == 0;
             end++) {
            if (!res_text(res, end, 2))
                continue;
            names[columns] = res_text(res, end, 2);
            places[columns++] = strtoul(res_text(res, end, 4), NULL, 10);
            means(snap, 'c', res_text(res, end, 2));
            means(snap, 'p', res_text(res, end, 4));
        }
        names[columns] = NULL;
        signature_means(snap, signature);
        sql_rules_add_namesake(snap->rules,
                               &(struct sql_namesake){schema, name, names, signature, places});
    }
    free(places);
    free(names);
}

static void add_access(struct snapshot *snap, const PGresult *res)
{
    struct sql_access access = {.usage = res ? SQL_USAGE_OWN : SQL_USAGE_UNKNOWN};

    if (!sql_path_matters(snap->rules))
        return; /* then it means nothing */
    for (int r = 0; res && r < PQntuples(res); r++) {
        const char *role = res_text(res, r, 0), *what = res_text(res, r, 1);

        means(snap, role ? 'd' : 'a', what);
        if (role) {
            means(snap, 'u', role);
            sql_rules_add_denied(snap->rules, role, what);
        } else if (strcmp(what, SIGHT_FACT_ALL) == 0) {
            access.usage = SQL_USAGE_ALL;
        } else if (strcmp(what, SIGHT_FACT_PATH) == 0) {
            access.sets_path = true;
        } else {
            access.sets_role = true;
        }
    }
    sql_rules_set_access(snap->rules, &access);
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
        for (size_t j = 0; j < m->nshown && eng_phase(m->phase)->active; j++)
            sql_rules_add_shown(snap->rules, m->shown[j].now, m->shown[j].shown);
    }
    if (sql_rules_tables(snap->rules)) {
        add_namesakes(snap, engine->sight.namesakes);
        add_access(snap, engine->sight.access);
        buf_printf(&snap->meaning, "u%u", engine->sight.functions_changes);
        sql_rules_functions(snap->rules, engine->sight.functions);
        sql_rules_set_database(snap->rules, engine->sight.database);
        buf_printf(&snap->meaning, "r%d", engine->sight.returns_both);
        sql_rules_set_returning(snap->rules, engine->sight.returns_both);
    } else {
        sql_rules_unref(snap->rules);
        snap->rules = NULL;
    }
}
