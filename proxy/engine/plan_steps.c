/*
 * The steps of one table. What a stage does to a table is one step, hence one transaction and
 * one hold of the gate.
 */
#include <stdlib.h>

#include "plan_build.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/engine/guard.h"

#define INSTANT "an instant; lock_timeout, retried"
#define EXCLUSIVE "ACCESS EXCLUSIVE"

/* `backwards`: what is new may be made of what stands in front of it. */
static char *join_as(const struct texts *list, const char *before, bool backwards)
{
    struct buf out = {0};

    for (size_t i = 0; i < list->n; i++)
        buf_printf(&out, "%s%s%s", i ? ", " : "", before, list->v[backwards ? list->n - 1 - i : i]);
    return buf_take(&out);
}

static char *join(const struct texts *list, const char *before)
{
    return join_as(list, before, false);
}

static void sql_take(struct eng_step *step, char **sql, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        step_sql(step, "%s", sql[i]);
        free(sql[i]);
    }
    free(sql);
}

static void guard_sql(struct build *b, struct target *t, struct eng_step *step,
                      enum eng_direction dir)
{
    size_t n;
    char **sql = eng_guard_sql(&b->plan->tables[t->table], dir, &n);

    sql_take(step, sql, n);
}

static void guard_calls(struct build *b, struct target *t, struct eng_step *step)
{
    size_t n;
    char **sql = eng_guard_calls_sql(&b->plan->tables[t->table], &n);

    sql_take(step, sql, n);
}

static void guard_drop(struct build *b, struct target *t, struct eng_step *step,
                       enum eng_direction dir)
{
    size_t n;
    char **sql = eng_guard_drop_sql(&b->plan->tables[t->table], dir, &n);

    sql_take(step, sql, n);
}

static bool guarded(const struct target *t)
{
    return t->fills || t->guards;
}

/* The first, or the last, operation of the file that is about the table. */
static size_t op_of(const struct build *b, const struct target *t, bool last)
{
    size_t found = b->file->nops;

    for (size_t i = 0; i < b->file->nops; i++)
        if (b->op_target[i] == t - b->targets && (last || found == b->file->nops))
            found = i;
    return found;
}

static void expand_step(struct build *b, struct target *t)
{
    char *columns = join(&t->shown, "");
    struct eng_step *step =
        t->new_columns.n
            ? build_step(b, ENG_STAGE_EXPAND, ENG_STEP_DDL, t->table, "add %s to %s%s", columns,
                         t->relation, guarded(t) ? ", guarded" : "")
            : build_step(b, ENG_STAGE_EXPAND, ENG_STEP_DDL, t->table, "guard %s", t->relation);

    t->expanded = b->plan->nsteps;
    step_rank(step, op_of(b, t, false));
    step_sql_list(step, &t->expand, false);
    if (guarded(t)) {
        guard_calls(b, t, step);
        guard_sql(b, t, step, ENG_FORWARD);
    }
    step_lock(step, EXCLUSIVE, t->relation, INSTANT);
    free(columns);
}

static void fill_step(struct build *b, struct target *t)
{
    struct eng_table *table = &b->plan->tables[t->table];
    struct eng_step *step =
        build_step(b, ENG_STAGE_BACKFILL, ENG_STEP_FILL, t->table, "fill %s", t->relation);
    char *set = eng_table_fill(table);
    char *unfilled = eng_table_unfilled(table);

    step_sql(step, "UPDATE ONLY %s SET %s WHERE ctid >= $1 AND ctid < $2 AND (%s)", t->relation,
             set, unfilled);
    step_lock(step, "ROW EXCLUSIVE", t->relation, "rows of one batch; never waits for others");
    free(unfilled);
    free(set);
}

static char *with_others(const struct target *t, const struct texts *others)
{
    char *list = join(others, "");
    char *on = mem_printf("%s%s%s", t->relation, others->n ? ", " : "", list);

    free(list);
    return on;
}

/* In front of all tables': a foreign key of one of them holds what is mended in another. */
static void unbind_step(struct build *b, struct target *t, const char *on)
{
    struct eng_step *step;

    if (!t->unbind.n)
        return;
    step = build_step(b, ENG_STAGE_REVERT, ENG_STEP_DDL, t->table,
                      "%s: what binds since the cut-over goes", t->relation);
    step_sql_list(step, &t->unbind, true);
    step_lock(step, EXCLUSIVE, on, "an instant, traffic held at the gate");
    step->no = -2;
}

/* What rows the old schema may not have become, while the new one is the truth still: the guard
 * follows as in soak, though columns have their old names, and no index or replica identity of the
 * new side has gone yet. Nor has a foreign key that is made again: rows that refer to what is
 * mended follow it by that, as they would without segue. */
static void mend_step(struct build *b, struct target *t, const char *on)
{
    struct eng_step *step;
    char *guard;

    if (!t->mend.n)
        return;
    step = build_step(b, ENG_STAGE_REVERT, ENG_STEP_DDL, t->table,
                      "%s: rows that the old schema may not have are mended", t->relation);
    retype_swap(t, step);
    if (guarded(t) && t->swaps.n) {
        guard = eng_guard_back_sql(&b->plan->tables[t->table]);
        step_sql(step, "%s", guard);
        free(guard);
    }
    step_sql_list(step, &t->mend, true);
    step_sql(step, "SET CONSTRAINTS ALL IMMEDIATE"); /* or their triggers bar ALTER TABLE */
    step_lock(step, EXCLUSIVE, on, "an instant, traffic held at the gate");
    step->no = -1;
}

/* Behind all tables': what a foreign key refers to has its old half under its name by then; and no
 * row is mended under a constraint that it does not meet. */
static void rebind_step(struct build *b, struct target *t, const char *on)
{
    struct eng_step *step;

    if (!t->rebind.n)
        return;
    step = build_step(b, ENG_STAGE_REVERT, ENG_STEP_DDL, t->table, "%s is bound as before",
                      t->relation);
    step_sql_list(step, &t->rebind, false);
    step_lock(step, EXCLUSIVE, on, "an instant, traffic held at the gate");
    step->no = FILE_OPERATIONS_MAX;
}

static void swap_steps(struct build *b, struct target *t)
{
    char *on = with_others(t, &t->also);
    struct eng_step *step = build_step(b, ENG_STAGE_CUTOVER, ENG_STEP_DDL, t->table,
                                       "%s: the new schema becomes the truth", t->relation);

    step_sql_list(step, &t->cutover, false);
    retype_swap(t, step);
    step_sql_list(step, &t->marks, false);
    if (guarded(t))
        guard_sql(b, t, step, ENG_REVERSE);
    step_lock(step, EXCLUSIVE, on, "the cut-over: an instant, traffic held at the gate");

    unbind_step(b, t, on);
    mend_step(b, t, on);
    step = build_step(b, ENG_STAGE_REVERT, ENG_STEP_DDL, t->table,
                      "%s: the old schema becomes the truth again", t->relation);
    if (!t->mend.n)
        retype_swap(t, step);
    step_sql_list(step, &t->revert, true);
    step_sql_list(step, &t->marks, false);
    if (guarded(t))
        guard_sql(b, t, step, ENG_FORWARD);
    step_lock(step, EXCLUSIVE, on, "an instant, traffic held at the gate");
    rebind_step(b, t, on);
    free(on);
}

/* Dropping a column drops its foreign keys, which locks the tables they refer to. */
static void lock_for_drop(struct target *t, struct eng_step *step)
{
    char *on = with_others(t, &t->foreign);

    step_lock(step, EXCLUSIVE, on, INSTANT);
    free(on);
}

static void contract_step(struct build *b, struct target *t)
{
    char *drops = join(&t->old_columns, "DROP COLUMN ");
    struct eng_step *step;

    if (!guarded(t) && !t->old_columns.n && !t->contract.n) {
        free(drops);
        return;
    }
    if (guarded(t) || t->old_columns.n)
        step =
            build_step(b, ENG_STAGE_CONTRACT, ENG_STEP_DDL, t->table, "drop %s%s%s of %s",
                       guarded(t) ? "the guard" : "", guarded(t) && t->old_columns.n ? " and " : "",
                       t->old_columns.n ? "the old columns" : "", t->after);
    else
        step = build_step(b, ENG_STAGE_CONTRACT, ENG_STEP_DDL, t->table,
                          "settle the constraints of %s", t->after);
    if (guarded(t))
        guard_drop(b, t, step, ENG_REVERSE);
    for (size_t i = 0; i < t->proofs.n;
         i++) /* there is no way back: what is gone already is gone */
        step_sql(step, "ALTER TABLE %s DROP CONSTRAINT IF EXISTS %s", t->after, t->proofs.v[i]);
    if (t->old_columns.n)
        step_sql(step, "ALTER TABLE %s %s", t->after, drops);
    step_sql_list(step, &t->contract, false);
    lock_for_drop(t, step);
    free(drops);
}

static void abort_step(struct build *b, struct target *t)
{
    char *drops = join_as(&t->new_columns, "DROP COLUMN IF EXISTS ", true);
    char *columns = join(&t->shown, "");
    struct eng_step *step =
        build_step(b, ENG_STAGE_ABORT, ENG_STEP_DDL, t->table, "drop %s from %s",
                   t->new_columns.n ? columns : "the guard", t->relation);

    step_rank(step, op_of(b, t, true));
    step->undoes = (int)t->expanded; /* columns of these names that others have made stay */
    guard_drop(b, t, step, ENG_FORWARD);
    if (t->new_columns.n)
        step_sql(step, "ALTER TABLE IF EXISTS %s %s", t->relation, drops);
    lock_for_drop(t, step);
    free(columns);
    free(drops);
}

/* After a rollback from soak the old schema may have what is not proven: a scan, which blocks
 * nobody, and only where it is needed. */
static void restore_step(struct build *b, struct target *t)
{
    struct eng_step *step = build_step(b, ENG_STAGE_ABORT, ENG_STEP_VALIDATE, t->table,
                                       "prove what a rollback has put back on %s", t->relation);

    step_sql_list(step, &t->restore, false);
    step_lock(step, "SHARE UPDATE EXCLUSIVE", t->relation, "one scan at most; blocks no query");
    if (!t->restored.n)
        return;
    step = build_step(b, ENG_STAGE_ABORT, ENG_STEP_DDL, t->table, "put back what is proven on %s",
                      t->relation);
    step_sql_list(step, &t->restored, false);
    step_lock(step, EXCLUSIVE, t->relation, INSTANT);
}

/* From the cut-over on statements go by columns, and by indexes on their expressions, that no
 * ANALYZE has seen; of a partitioned table autovacuum never makes any. */
void target_plan_analyze(struct build *b, const struct target *t)
{
    struct eng_step *step;

    if (t->table < 0 || !t->fills)
        return;
    step = build_step(b, ENG_STAGE_BUILD, ENG_STEP_ANALYZE, t->table, "analyze %s", t->relation);
    step_sql(step, "ANALYZE %s", t->relation);
    step_lock(step, "SHARE UPDATE EXCLUSIVE", t->relation, "a sample of rows; blocks no query");
}

void target_plan_steps(struct build *b, struct target *t)
{
    bool expands = t->new_columns.n || guarded(t);

    if (t->table < 0)
        return;
    if (expands)
        expand_step(b, t);
    if (t->fills)
        fill_step(b, t);
    if (guarded(t) || t->cutover.n)
        swap_steps(b, t);
    contract_step(b, t);
    if (expands)
        abort_step(b, t);
    if (t->restore.n)
        restore_step(b, t);
}
