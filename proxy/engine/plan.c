/*
 * The planner's order of work: file, catalog, tables, new things, numbering; and the plan for
 * people. Nothing here writes to the database, but for the trial of an index, which is undone.
 */
#include <stdlib.h>
#include <string.h>

#include "dependents.h"
#include "plan_build.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/engine/lineage.h"

#define SERVER_VERSION_MIN 140000 /* CREATE OR REPLACE TRIGGER */

static int step_order(const void *a, const void *b)
{
    const struct eng_step *x = a, *y = b;

    if (x->stage != y->stage)
        return (x->stage > y->stage) - (x->stage < y->stage);
    return (x->no > y->no) - (x->no < y->no);
}

/* By stage, within a stage by rank (step_rank), then as they were added. What a step undoes is
 * named by the order of adding until then. */
static void number_steps(struct eng_plan *plan)
{
    int n = (int)plan->nsteps, *numbers = mem_calloc(plan->nsteps + 1, sizeof(*numbers));

    for (int i = 0; i < n; i++)
        plan->steps[i].no = plan->steps[i].no * n + i;
    if (n > 1)
        qsort(plan->steps, plan->nsteps, sizeof(*plan->steps), step_order);
    for (int i = 0; i < n; i++) {
        numbers[(plan->steps[i].no % n + n) % n + 1] = i + 1;
        plan->steps[i].no = i + 1;
    }
    for (int i = 0; i < n; i++)
        plan->steps[i].undoes = numbers[plan->steps[i].undoes];
    free(numbers);
}

/* Operations that are about more than a table's columns, planned when those are: kind by kind,
 * since a type may go that a table or column takes along. NULL: not one of them. */
static enum rc (*const rooms[FILE_OP_COUNT])(struct build *b, const struct file_op *op) = {
    [FILE_DROP_TABLE] = plan_drop_table,
    [FILE_RENAME_TABLE] = plan_rename_table,
    [FILE_DROP_INDEX] = plan_drop_index,
    [FILE_RENAME_CONSTRAINT] = plan_rename_constraint,
    [FILE_SET_REPLICA_IDENTITY] = plan_replica_identity,
    [FILE_SQL] = plan_statements,
    [FILE_CREATE_ENUM] = plan_create_enum,
    [FILE_ADD_ENUM_VALUE] = plan_add_enum_value,
    [FILE_REMOVE_ENUM] = plan_remove_enum,
};

static enum rc plan_rooms(struct build *b)
{
    enum rc rc = RC_OK;

    for (size_t kind = 0; kind < FILE_OP_COUNT; kind++)
        for (size_t i = 0; rooms[kind] && rc == RC_OK && i < b->file->nops; i++)
            if (b->file->ops[i].kind == kind)
                rc = rooms[kind](b, &b->file->ops[i]);
    return rc;
}

static enum rc refuse_created(struct build *b, const struct file_op *op)
{
    char *path = mem_printf("operations[%zu].%s.table", op->index, file_op_name(op->kind));

    err_hint(b->err, "say it in create_table, or in a migration after this one");
    build_fail(b, path, "table \"%s\" is made by this file", op->table.name);
    free(path);
    return RC_ERR;
}

static enum rc plan_tables(struct build *b)
{
    for (size_t i = 0; i < b->file->nops; i++) {
        const struct file_op *op = &b->file->ops[i], *made;
        struct target *t;

        b->op_target[i] = -1;
        if (op->kind == FILE_CREATE_TABLE || rooms[op->kind])
            continue;
        if (created_named(b, &op->table, &made) != RC_OK)
            return RC_ERR;
        if (made && op->kind == FILE_CREATE_INDEX)
            continue;
        if (made)
            return refuse_created(b, op);
        if (target_get(b, op, &t) != RC_OK)
            return RC_ERR;
        b->op_target[i] = t - b->targets;
    }
    for (size_t i = 0; i < b->ntargets; i++)
        if (target_plan_columns(b, &b->targets[i]) != RC_OK)
            return RC_ERR;
    if (links_read(b) != RC_OK) /* between tables: the columns of all are wanted */
        return RC_ERR;
    for (size_t i = 0; i < b->ntargets; i++) {
        if (carry_indexes(b, &b->targets[i]) != RC_OK ||
            carry_constraints(b, &b->targets[i]) != RC_OK ||
            carry_statistics(b, &b->targets[i]) != RC_OK)
            return RC_ERR;
        refuse_table(b, &b->targets[i]);
        if (refuse_detaching(b, &b->targets[i]) != RC_OK ||
            refuse_unproven(b, &b->targets[i]) != RC_OK ||
            needed_judge(b, &b->targets[i]) != RC_OK ||
            replica_judge_updates(b, &b->targets[i]) != RC_OK ||
            replica_warn_others(b, &b->targets[i]) != RC_OK ||
            refuse_views(b, &b->targets[i]) != RC_OK || refuse_row_type(b, &b->targets[i]) != RC_OK)
            return RC_ERR;
    }
    return RC_OK;
}

/* The store is made at the first start; plan tells before. */
static enum rc check_store(struct build *b)
{
    static const char sql[] =
        "SELECT format('GRANT CREATE ON DATABASE %I TO %I', current_database(), current_user) "
        "WHERE to_regnamespace('segue') IS NULL AND NOT "
        "has_database_privilege(current_database(), 'CREATE')";
    char *grant = NULL;
    enum rc rc = own_value(b, sql, 0, NULL, &grant, b->err);

    if (rc == RC_OK && grant)
        build_refuse(b, PQdb(b->conn), grant,
                     "segue keeps its state in schema segue, which this role may not create");
    free(grant);
    return rc;
}

static enum rc build_all(struct build *b)
{
    if (PQserverVersion(b->conn) < SERVER_VERSION_MIN) {
        err_set(b->err, "0A000", "server version %d is too old", PQserverVersion(b->conn) / 10000);
        err_hint(b->err, "PostgreSQL 14 or later is wanted");
        return RC_ERR;
    }
    if (check_store(b) != RC_OK || enums_read(b) != RC_OK || new_tables(b) != RC_OK ||
        plan_tables(b) != RC_OK || new_indexes(b) != RC_OK)
        return RC_ERR;
    links_release(b);
    for (int drops = 1; drops >= 0; drops--) /* a key lets go behind what refers to it */
        for (size_t i = 0; i < b->ntargets; i++)
            if ((b->targets[i].released.n > 0) == drops)
                target_plan_steps(b, &b->targets[i]);
    links_make(b);
    if (plan_rooms(b) != RC_OK || refers_judge(b) != RC_OK || check_names_given(b) != RC_OK ||
        new_version(b) != RC_OK || refuse_schemas(b) != RC_OK || refuse_unusable(b) != RC_OK ||
        refuse_many(b) != RC_OK)
        return RC_ERR;
    refuse_renamed(b);
    for (size_t i = 0; i < b->ntargets; i++)
        target_plan_analyze(b, &b->targets[i]);
    return dependents_read(b);
}

static void blame_others(const struct build *b, const struct eng_plan_others *others)
{
    for (size_t i = 0; i < b->ntargets; i++) {
        const json_t *doc = b->targets[i].doc;

        if (others->check(others->arg, cat_text(doc, "schema"), cat_text(doc, "name"), b->err) !=
            RC_OK)
            return;
    }
}

enum rc eng_plan_make(PGconn *conn, const struct eng_plan_others *others, const char *where,
                      const char *text, struct eng_plan **plan, struct err *err)
{
    struct build b = {.conn = conn, .where = where, .text = text, .err = err};
    struct file *file;
    enum rc rc;

    *plan = NULL;
    if (file_load(where, text, &file, err) != RC_OK)
        return RC_ERR;
    b.file = file;
    b.plan = mem_calloc(1, sizeof(*b.plan));
    b.plan->name = mem_strdup(file->name);
    b.plan->sha256 = eng_sha256_hex(text, strlen(text));
    b.plan->file = mem_strdup(text);
    b.plan->parents = mem_calloc(file->nafter + 1, sizeof(char *));
    for (size_t i = 0; i < file->nafter; i++)
        b.plan->parents[b.plan->nparents++] = mem_strdup(file->after[i]);
    rc = paths_read(&b);
    b.plan->names = mem_strdup(b.names);
    if (rc == RC_OK)
        rc = called_settle(&b, file);
    if (rc == RC_OK)
        rc = build_all(&b);
    if (rc != RC_OK)
        blame_others(&b, others);
    number_steps(b.plan);
    paths_fini(&b);
    called_fini(&b);
    for (size_t i = 0; i < b.ntargets; i++)
        target_fini(&b.targets[i]);
    free(b.targets);
    links_fini(&b);
    enums_fini(&b);
    texts_fini(&b.dropped);
    texts_fini(&b.gone_indexes);
    texts_fini(&b.gone_types);
    refers_fini(&b);
    file_free(file);
    if (rc == RC_OK)
        *plan = b.plan;
    else
        eng_plan_free(b.plan);
    return rc;
}

bool eng_plan_refused(const struct eng_plan *plan, struct err *err)
{
    for (size_t i = 0; i < plan->nnotes; i++) {
        const struct eng_note *note = &plan->notes[i];

        if (!note->refusal)
            continue;
        err_set(err, "0A000", "%s: %s", note->object, note->text);
        if (note->hint[0])
            err_hint(err, "%s", note->hint);
        return true;
    }
    return false;
}

void eng_plan_note(struct eng_plan *plan, bool refusal, const char *object, const char *text,
                   const char *hint)
{
    plan->notes = mem_realloc(plan->notes, (plan->nnotes + 1) * sizeof(*plan->notes));
    plan->notes[plan->nnotes++] = (struct eng_note){.refusal = refusal,
                                                    .object = mem_strdup(object),
                                                    .text = mem_strdup(text),
                                                    .hint = mem_strdup(hint)};
}

static json_t *step_row(const struct eng_step *step)
{
    struct buf sql = {0};
    char *text;
    json_t *row;

    for (size_t i = 0; i < step->nsql; i++)
        buf_printf(&sql, "%s%s;", i ? "\n" : "", step->sql[i]);
    text = buf_take(&sql);
    row = json_pack("[i, s, s, s, s, s, s]", step->no, eng_stage_name(step->stage), step->title,
                    step->lock, step->lock_on, step->holds, text);
    free(text);
    return row;
}

json_t *eng_plan_table(const struct eng_plan *plan)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < plan->nnotes; i++) {
        const struct eng_note *note = &plan->notes[i];
        char *title = mem_printf("%s: %s", note->object, note->text);

        json_array_append_new(rows, json_pack("[n, s, s, s, s, s, s]",
                                              note->refusal ? "REFUSED" : "WARNING", title, "", "",
                                              note->hint, note->sql ? note->sql : ""));
        free(title);
    }
    for (size_t i = 0; i < plan->nsteps; i++)
        json_array_append_new(rows, step_row(&plan->steps[i]));
    return json_pack("{s: [s, s, s, s, s, s, s], s: o}", "columns", "no", "stage", "what", "lock",
                     "on", "holds", "sql", "rows", rows);
}
