/* A migration in flight: made from its plan, and what it locks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "elders.h"
#include "policy.h"
#include "replicas.h"
#include "runner.h"
#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"
#include "shown.h"

static void add_locked(struct eng_migration *m, char *schema, char *name, int table, bool turns)
{
    for (size_t i = 0; i < m->nlocked; i++) {
        if (strcmp(m->locked[i].schema, schema) == 0 && strcmp(m->locked[i].name, name) == 0) {
            m->locked[i].turns |= turns;
            free(schema);
            free(name);
            return;
        }
    }
    m->locked = mem_realloc(m->locked, (m->nlocked + 1) * sizeof(*m->locked));
    m->locked[m->nlocked++] = (struct eng_locked){schema, name, table, -1, turns};
}

const char *eng_renamed_to(const struct eng_migration *m, const struct eng_locked *locked)
{
    return locked->table >= 0 ? m->plan->tables[locked->table].renamed : NULL;
}

struct eng_called eng_locked_called(const struct eng_migration *m, const struct eng_locked *locked)
{
    const char *renamed = eng_renamed_to(m, locked);
    bool turned = m->phase == PH_SOAKING || m->phase == PH_REVERTING || m->phase == PH_CONTRACTING;

    if (renamed && turned)
        return (struct eng_called){renamed, locked->name};
    return (struct eng_called){locked->name, renamed};
}

/* One identifier, quoted or not, in catalog spelling; moves *at behind it. */
static char *identifier_take(const char **at)
{
    struct buf out = {0};
    const char *p = *at;

    if (*p == '"') {
        for (p++; *p && !(p[0] == '"' && p[1] != '"'); p++) {
            if (*p == '"')
                p++;
            buf_append_u8(&out, (uint8_t)*p);
        }
        p += *p == '"';
    } else {
        for (; *p && *p != '.' && *p != ','; p++)
            buf_append_u8(&out, (uint8_t)*p);
    }
    *at = p;
    return buf_take(&out);
}

/* Calls back for each "schema.table" of a step's lock_on. */
static void each_lock(const char *lock_on, void (*found)(void *ctx, char *schema, char *name),
                      void *ctx)
{
    const char *p = lock_on ? lock_on : "";

    while (*p) {
        char *schema, *name;

        p += strspn(p, " ,");
        if (!*p)
            break;
        schema = identifier_take(&p);
        if (*p == '.') {
            p++;
            name = identifier_take(&p);
        } else {
            name = schema;
            schema = mem_strdup("public");
        }
        p += strcspn(p, ",");
        found(ctx, schema, name);
    }
}

static void lock_found(void *ctx, char *schema, char *name)
{
    add_locked(ctx, schema, name, -1, false);
}

static void turn_found(void *ctx, char *schema, char *name)
{
    add_locked(ctx, schema, name, -1, true);
}

struct eng_migration *eng_migration_new(struct eng_plan *plan)
{
    struct eng_migration *m = mem_calloc(1, sizeof(*m));

    m->plan = plan;
    m->name = mem_strdup(plan->name);
    m->step_done = mem_calloc(plan->nsteps + 1, sizeof(*m->step_done));
    m->long_step = -1;
    m->blocking = json_array();
    m->acted = json_array();
    m->turned_ms = INT64_MIN;
    m->stats.rows_verified = m->stats.rows_bad = m->stats.rows_wrapped = -1;
    for (size_t i = 0; i < plan->ntables; i++)
        add_locked(m, mem_strdup(plan->tables[i].schema), mem_strdup(plan->tables[i].name), (int)i,
                   true);
    for (size_t i = 0; i < plan->nsteps; i++) {
        if (plan->steps[i].gate)
            each_lock(plan->steps[i].lock_on,
                      plan->steps[i].stage == ENG_STAGE_CUTOVER ? turn_found : lock_found, m);
    }
    m->shown = eng_shown_read(plan, &m->nshown);
    return m;
}

void eng_migration_let_go(struct eng_migration *m)
{
    elders_forget(m);
    eng_steps_cancel(m);
    eng_fill_drop(m);
    eng_verify_drop(m);
}

void eng_migration_free(struct eng_migration *m)
{
    if (!m)
        return;
    elders_forget(m);
    eng_fill_drop(m);
    eng_verify_drop(m);
    conn_close(&m->lng);
    free(m->long_on);
    free(m->long_makes);
    for (size_t i = 0; i < m->nlocked; i++) {
        free(m->locked[i].schema);
        free(m->locked[i].name);
    }
    free(m->locked);
    eng_shown_free(m->shown, m->nshown);
    free(m->step_done);
    buf_fini(&m->blockers);
    json_decref(m->blocking);
    json_decref(m->acted);
    policy_free(m->policy);
    replicas_forget(m);
    buf_fini(&m->throttled);
    eng_plan_free(m->plan);
    free(m->name);
    free(m);
}

struct eng_migration *eng_migration_find(struct eng_engine *engine, const char *name)
{
    for (size_t i = 0; i < engine->nmigrations; i++) {
        if (strcmp(engine->migrations[i]->name, name) == 0)
            return engine->migrations[i];
    }
    return NULL;
}

void eng_migration_add(struct eng_engine *engine, struct eng_migration *m)
{
    engine->migrations =
        mem_realloc(engine->migrations, (engine->nmigrations + 1) * sizeof(*engine->migrations));
    engine->migrations[engine->nmigrations++] = m;
    m->lng.stop = &engine->stop;
}

void eng_migration_drop(struct eng_engine *engine, struct eng_migration *m)
{
    for (size_t i = 0; i < engine->nmigrations; i++) {
        if (engine->migrations[i] != m)
            continue;
        memmove(&engine->migrations[i], &engine->migrations[i + 1],
                (engine->nmigrations - i - 1) * sizeof(*engine->migrations));
        engine->nmigrations--;
        break;
    }
    eng_migration_free(m);
}

void eng_sleep(struct eng_migration *m, int64_t ms)
{
    m->not_before_us = clock_us() + ms * 1000;
}

uint64_t eng_mask_all(const struct eng_migration *m)
{
    uint64_t mask = 0;

    for (size_t i = 0; i < m->nlocked; i++) {
        if (m->locked[i].bit >= 0)
            mask |= UINT64_C(1) << m->locked[i].bit;
    }
    return mask;
}

static bool turns_name(const struct eng_migration *m)
{
    for (size_t i = 0; i < m->nlocked; i++)
        if (m->locked[i].bit >= 0 && eng_renamed_to(m, &m->locked[i]))
            return true;
    return false;
}

/* Has a column of it another name on the other side? */
static bool key_is_renamed(const struct eng_table *table)
{
    for (size_t i = 0; i < table->nkey; i++)
        for (size_t k = 0; k < table->nduals; k++) {
            const struct eng_dual *dual = &table->duals[k];

            if (dual->old_name && dual->new_name && !dual->retypes &&
                !strcmp(dual->old_name, table->key[i]))
                return true;
        }
    return false;
}

/* There is one of a table, over one half: what a turn makes it of is built for each turn. */
static bool turns_key(const struct eng_migration *m)
{
    for (size_t i = 0; i < m->plan->nsteps; i++) {
        const struct eng_step *step = &m->plan->steps[i];
        bool built = step->kind == ENG_STEP_CONCURRENTLY || step->kind == ENG_STEP_LEAVES;

        if (step->again && built && step->table >= 0 &&
            key_is_renamed(&m->plan->tables[step->table]))
            return true;
    }
    return false;
}

/* All of the migration's: a transaction that is held with its first statement on one of them has
 * locked no other, which the turn would wait for. */
uint64_t eng_mask_names(const struct eng_migration *m)
{
    return turns_name(m) || turns_key(m) ? eng_mask_all(m) : 0;
}

struct step_locks {
    const struct eng_migration *m;
    uint64_t mask;
    struct buf names;
};

static void name_add(struct buf *names, const char *schema, const char *name)
{
    char *qualified = sql_quote_qualified(schema, name);
    char *literal = sql_quote_literal(qualified);

    buf_printf(names, "%s%s", names->len ? ", " : "", literal);
    free(literal);
    free(qualified);
}

/* By both its names: the one that it does not have is nobody's. */
static void locked_add(struct buf *names, const struct eng_migration *m,
                       const struct eng_locked *locked)
{
    name_add(names, locked->schema, locked->name);
    if (eng_renamed_to(m, locked))
        name_add(names, locked->schema, eng_renamed_to(m, locked));
}

static void step_lock_found(void *ctx, char *schema, char *name)
{
    struct step_locks *locks = ctx;
    const struct eng_locked *found = NULL;

    for (size_t i = 0; i < locks->m->nlocked; i++) {
        const struct eng_locked *l = &locks->m->locked[i];

        if (strcmp(l->schema, schema) != 0 || strcmp(l->name, name) != 0)
            continue;
        found = l;
        if (l->bit >= 0)
            locks->mask |= UINT64_C(1) << l->bit;
    }
    if (found)
        locked_add(&locks->names, locks->m, found);
    else
        name_add(&locks->names, schema, name);
    free(schema);
    free(name);
}

static void step_locks(const struct eng_migration *m, const struct eng_step *step,
                       struct step_locks *out)
{
    *out = (struct step_locks){.m = m};
    each_lock(step->lock_on, step_lock_found, out);
}

uint64_t eng_mask_step(const struct eng_migration *m, const struct eng_step *step)
{
    struct step_locks locks;

    step_locks(m, step, &locks);
    buf_fini(&locks.names);
    return locks.mask ? locks.mask : eng_mask_all(m);
}

char *eng_lock_names(const struct eng_migration *m, const struct eng_step *step)
{
    struct step_locks locks = {.m = m};

    if (step) {
        step_locks(m, step, &locks);
    } else {
        for (size_t i = 0; i < m->nlocked; i++) {
            if (m->locked[i].turns)
                locked_add(&locks.names, m, &m->locked[i]);
        }
    }
    return buf_take(&locks.names);
}
