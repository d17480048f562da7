/*
 * Migrations in flight that cannot be at once: two on one table, and two of which one renames a
 * table whose names the other makes, or says in SQL of its own.
 */
#include <stdlib.h>
#include <string.h>

#include "file_given.h"
#include "runner.h"
#include "segue/sql/expr.h"
#include "segue/sql/inspect.h"
#include "segue/sql/rules.h"
#include "typed.h"

static bool same_name(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

/* ---- tables ---- */

/* By any of the names that it has or gets. */
static bool has_table(const struct eng_migration *m, const char *schema, const char *name)
{
    for (size_t i = 0; i < m->nlocked; i++) {
        const struct eng_locked *locked = &m->locked[i];

        if (strcmp(locked->schema, schema) == 0 &&
            (same_name(locked->name, name) || same_name(eng_renamed_to(m, locked), name)))
            return true;
    }
    return false;
}

static bool share_table(const struct eng_migration *a, const struct eng_migration *b)
{
    for (size_t i = 0; i < b->nlocked; i++) {
        const struct eng_locked *locked = &b->locked[i];

        if (has_table(a, locked->schema, locked->name) ||
            has_table(a, locked->schema, eng_renamed_to(b, locked)))
            return true;
    }
    return false;
}

/* ---- names ---- */

static bool makes(const struct eng_migration *m, const char *schema, const char *name)
{
    char *qualified = sql_quote_qualified(schema, name);
    bool made = file_gives_name(m->plan->file, schema, name);

    for (size_t i = 0; i < m->plan->ncreated; i++)
        made |= strcmp(m->plan->created[i], qualified) == 0;
    free(qualified);
    return made;
}

/* What `b` is about to rename from or to a name that `a` gives to something: both turns need it. */
static const struct eng_locked *makes_name_of(const struct eng_migration *a,
                                              const struct eng_migration *b)
{
    for (size_t i = 0; i < b->nlocked; i++) {
        const struct eng_locked *locked = &b->locked[i];
        const char *to = eng_renamed_to(b, locked);

        if (to && (makes(a, locked->schema, to) || makes(a, locked->schema, locked->name)))
            return locked;
    }
    return NULL;
}

/* ---- statements of the file ---- */

static void rules_add(struct sql_rules *rules, const struct eng_migration *m, const char *schema,
                      const char *name)
{
    static const char *const none[] = {NULL};

    sql_rules_add(rules, &(struct sql_table_rule){.migration = m->name,
                                                  .schema = schema,
                                                  .name = name,
                                                  .old_columns = none,
                                                  .new_columns = none,
                                                  .relatives = none});
}

/* One that is yet to run, or may: that of an abort. */
static bool runs(const struct eng_migration *m, size_t i)
{
    const struct eng_step *step = &m->plan->steps[i];

    return step->kind == ENG_STEP_SQL && (step->stage == ENG_STAGE_ABORT || !m->step_done[i]);
}

/* The step of `a` whose text has one of the table's names. */
static const struct eng_step *says(const struct eng_migration *a, const struct eng_migration *b,
                                   const struct eng_locked *locked)
{
    struct sql_rules *rules = sql_rules_new(1);
    const struct eng_step *found = NULL;

    rules_add(rules, b, locked->schema, locked->name);
    rules_add(rules, b, locked->schema, eng_renamed_to(b, locked));
    for (size_t i = 0; i < a->plan->nsteps && !found; i++) {
        const struct eng_step *step = &a->plan->steps[i];

        for (size_t k = 0; runs(a, i) && k < step->nsql; k++)
            if (sql_mentions(rules, step->sql[k], strlen(step->sql[k])))
                found = step;
    }
    sql_rules_unref(rules);
    return found;
}

static const struct eng_step *says_name_of(const struct eng_migration *a,
                                           const struct eng_migration *b,
                                           const struct eng_locked **locked)
{
    const struct eng_step *step = NULL;

    for (size_t i = 0; i < b->nlocked && !step; i++) {
        *locked = &b->locked[i];
        step = eng_renamed_to(b, *locked) ? says(a, b, *locked) : NULL;
    }
    return step;
}

/* ---- two of them ---- */

static enum rc fail_made(const struct eng_migration *renames, const struct eng_migration *makes,
                         const struct eng_migration *other, const struct eng_locked *locked,
                         struct err *err)
{
    char *end;

    err_set(err, "55006",
            "%smigration \"%s\" renames table %s.%s to \"%s\", and %smigration \"%s\" gives one of"
            " the two names to something else",
            renames == other ? "" : "this ", renames->name, locked->schema, locked->name,
            eng_renamed_to(renames, locked), makes == other ? "" : "this ", makes->name);
    end = typed_end(other->name, other->phase);
    err_hint(err, "choose another name, or %s", end);
    free(end);
    return RC_ERR;
}

static enum rc fail_said(const struct eng_migration *renames, const struct eng_migration *says,
                         const struct eng_migration *other, const struct eng_locked *locked,
                         const struct eng_step *step, struct err *err)
{
    char *end;

    err_set(
        err, "55006",
        "%smigration \"%s\" renames table %s.%s to \"%s\", and %smigration \"%s\" has SQL of its"
        " own that has one of the two names: \"%s\"",
        renames == other ? "" : "this ", renames->name, locked->schema, locked->name,
        eng_renamed_to(renames, locked), says == other ? "" : "this ", says->name, step->title);
    end = typed_end(other->name, other->phase);
    err_hint(err, "%s", end);
    free(end);
    return RC_ERR;
}

static enum rc check_names(const struct eng_migration *renames, const struct eng_migration *says,
                           const struct eng_migration *other, struct err *err)
{
    const struct eng_locked *locked = makes_name_of(says, renames);
    const struct eng_step *step;

    if (locked)
        return fail_made(renames, says, other, locked, err);
    step = says_name_of(says, renames, &locked);
    return step ? fail_said(renames, says, other, locked, step, err) : RC_OK;
}

static enum rc fail_shared(const struct eng_migration *other, struct err *err)
{
    char *end = typed_end(other->name, other->phase);

    err_clear(err);
    err_set(err, "55006", "migration \"%s\" is %s on a table of this one", other->name,
            eng_phase(other->phase)->name);
    err_hint(err, "one migration a table at a time: %s", end);
    free(end);
    return RC_ERR;
}

static enum rc check_two(const struct eng_migration *m, const struct eng_migration *other,
                         struct err *err)
{
    if (share_table(m, other))
        return fail_shared(other, err);
    if (check_names(m, other, other, err) != RC_OK)
        return RC_ERR;
    return check_names(other, m, other, err);
}

enum rc eng_migration_clash(struct eng_engine *engine, const struct eng_migration *m,
                            struct err *err)
{
    for (size_t i = 0; i < engine->nmigrations; i++)
        if (check_two(m, engine->migrations[i], err) != RC_OK)
            return RC_ERR;
    return RC_OK;
}

enum rc eng_migration_clash_table(struct eng_engine *engine, const char *schema, const char *name,
                                  struct err *err)
{
    for (size_t i = 0; i < engine->nmigrations; i++)
        if (has_table(engine->migrations[i], schema, name))
            return fail_shared(engine->migrations[i], err);
    return RC_OK;
}
