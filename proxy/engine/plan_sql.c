/*
 * The file's own statements. `up` runs with expand, or with complete (onComplete); `down` with an
 * abort, if `up` has run. What would hold up those who use the database is refused; what takes a
 * strong lock for an instant runs behind the gate, all else on a connection of its own for as long
 * as it takes.
 */
#include <stdlib.h>
#include <string.h>

#include "file_given.h"
#include "plan_build.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/ddl.h"
#include "segue/sql/expr.h"

struct statements {
    const struct file_op *op;
    const char *field; /* "up", "down" */
    struct texts on;   /* what is locked strongly, quoted */
    const char *lock;  /* the strongest lock on it */
    bool tables;       /* all of it are tables: LOCK TABLE can be had first */
};

/* From the strongest. */
static const char *const strong[] = {"ACCESS EXCLUSIVE", "EXCLUSIVE", "SHARE ROW EXCLUSIVE",
                                     "SHARE"};

static size_t strength(const char *lock)
{
    size_t i = 0;

    while (i < ARRAY_LEN(strong) && strcmp(strong[i], lock))
        i++;
    return i;
}

/* ---- what is touched ---- */

static void add_lock(struct statements *s, const char *relation, const char *lock, bool table)
{
    if (strength(lock) == ARRAY_LEN(strong))
        return;
    if (!s->on.n || strength(lock) < strength(s->lock))
        s->lock = lock;
    s->tables = (s->tables || !s->on.n) && table;
    if (!texts_has(&s->on, relation))
        texts_add(&s->on, "%s", relation);
}

static void judge_touch(struct build *b, struct statements *s, const struct sql_ddl_touch *touch,
                        const PGresult *res)
{
    const char *relation = PQgetvalue(res, 0, 0), *oid = PQgetvalue(res, 0, 3);
    char *path = plan_path(s->op, s->field);

    if (touch->warning)
        build_warn(b, relation, touch->hint, "%s, statement %d, %s: %s", path, touch->statement,
                   touch->what, touch->warning);
    if (touch->warning && !*touch->lock) {
        free(path); /* of rows: what else the file does with the table is no matter */
        return;
    }
    if (PQgetvalue(res, 0, 2)[0] == 't')
        build_refuse(b, relation, "leave it out: what is the server's or segue's stays as it is",
                     "%s, statement %d, %s: it is not a user's", path, touch->statement,
                     touch->what);
    else if (touch->refusal)
        build_refuse(b, relation, touch->hint, "%s, statement %d, %s: %s", path, touch->statement,
                     touch->what, touch->refusal);
    else if (plan_target(b, oid) || plan_drops(b, oid))
        build_refuse(b, relation, "put it into another migration",
                     "%s, statement %d, %s: the file changes this table by another operation", path,
                     touch->statement, touch->what);
    else
        add_lock(s, relation, touch->lock, PQgetvalue(res, 0, 1)[0] == 't');
    free(path);
}

/* What has the name when the statements run, as it is called now; heap, NULL: nothing. */
static enum rc find(struct build *b, const struct statements *s, const struct sql_ddl_touch *touch,
                    char **there)
{
    char *name = touch->schema ? sql_quote_qualified(touch->schema, touch->name)
                               : sql_quote_ident(touch->name);
    enum rc rc = relation_named(b, name, there, b->err);
    const struct renamed *renamed;

    free(name);
    if (rc != RC_OK || *there || !s->op->on_complete)
        return rc;
    renamed = called_by_then(b, touch->schema, touch->name);
    *there = renamed ? mem_strdup(renamed->there) : NULL;
    return RC_OK;
}

/* What is not there is made by this migration: nobody uses it. */
static enum rc look_up(struct build *b, struct statements *s, const struct sql_ddl_touch *touch)
{
    static const char sql[] =
        "SELECT format('%I.%I', n.nspname, c.relname), c.relkind IN ('r', 'p'), n.nspname LIKE"
        " 'pg\\_%' OR n.nspname IN ('segue', 'information_schema'), c.oid FROM pg_class c JOIN"
        " pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)";
    char *there;
    const char *params[1];
    PGresult *res;
    enum rc rc = find(b, s, touch, &there);

    if (rc != RC_OK || !there)
        return rc;
    params[0] = there;
    rc = own_query(b, sql, 1, params, &res, b->err);
    free(there);
    if (rc != RC_OK)
        return rc;
    if (PQntuples(res))
        judge_touch(b, s, touch, res);
    PQclear(res);
    return RC_OK;
}

/* By an operation of the file, or by the SQL of one. */
static bool file_makes_type(const struct build *b, const char *name)
{
    bool found = false;

    for (size_t i = 0; i < b->file->nops && !found; i++) {
        const struct file_op *op = &b->file->ops[i];
        struct err ignored = {0};
        struct sql_ddl ddl = {0};

        if (op->kind == FILE_CREATE_ENUM)
            found = !strcmp(op->table.name, name);
        else if (op->kind == FILE_SQL && sql_ddl_read(op->up, &ddl, &ignored) == RC_OK)
            for (size_t k = 0; k < ddl.nmade; k++)
                found |= !strcmp(ddl.made[k], name);
        sql_ddl_fini(&ddl);
    }
    return found;
}

static enum rc look_up_type(struct build *b, const struct statements *s,
                            const struct sql_ddl_name *type)
{
    char *name =
        type->schema ? sql_quote_qualified(type->schema, type->name) : sql_quote_ident(type->name);
    char *there, *path;
    enum rc rc = type_named(b, name, &there, b->err);

    if (rc == RC_OK && !there && !file_makes_type(b, type->name)) {
        path = plan_path(s->op, s->field);
        build_refuse(b, path, "make it in an earlier migration, or is the schema missing?",
                     "statement %d, %s: there is no type %s", type->statement, type->what, name);
        free(path);
    }
    free(there);
    free(name);
    return rc;
}

/* ---- relations that are to be there ---- */

/* As PostgreSQL calls what comes with a table: its names are cut where they would be too long. */
static bool comes_with(const char *table, const char *name)
{
    static const char *const ends[] = {"_seq", "_pkey", "_key", "_idx", "_excl"};
    size_t len = strlen(name), kept = strlen(table) < 29 ? strlen(table) : 29;

    if (strncmp(name, table, kept) != 0)
        return false;
    while (len && name[len - 1] >= '0' && name[len - 1] <= '9')
        len--;
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        if (len >= kept + strlen(ends[i]) &&
            !strncmp(name + len - strlen(ends[i]), ends[i], strlen(ends[i])))
            return true;
    return false;
}

static bool sql_makes(const struct sql_ddl *ddl, const char *name)
{
    for (size_t i = 0; i < ddl->nmade; i++)
        if (!strcmp(ddl->made[i], name) || comes_with(ddl->made[i], name))
            return true;
    return false;
}

/* Or may; a table that is renamed has its new name later (find). */
static bool op_makes(const struct file_op *op, const char *name)
{
    struct err ignored = {0};
    struct sql_ddl ddl = {0};
    bool found = op->table.name && comes_with(op->table.name, name);

    for (size_t k = 0; !found && op->kind != FILE_RENAME_TABLE && k < file_ngiven(op); k++) {
        const char *given = file_given_at(op, k).name;

        found = given && !strcmp(given, name);
    }
    if (op->kind == FILE_SQL && sql_ddl_read(op->up, &ddl, &ignored) == RC_OK)
        found = found || ddl.unseen || sql_makes(&ddl, name);
    sql_ddl_fini(&ddl);
    return found;
}

/* What runs in front of it: of its own text what is said in front, and all that a later stage finds
 * there. */
static bool file_makes(const struct build *b, const struct statements *s, const struct sql_ddl *own,
                       const struct sql_ddl_name *needed)
{
    bool later = s->op->on_complete || !strcmp(s->field, "down");

    if ((own->unseen && own->unseen < needed->statement) || sql_makes(own, needed->name))
        return true;
    for (size_t i = 0; i < b->file->nops; i++)
        if ((later || i < s->op->index) && op_makes(&b->file->ops[i], needed->name))
            return true;
    return false;
}

/* DDL on what is not there would stop the migration in its middle. */
static enum rc check_there(struct build *b, const struct statements *s, const struct sql_ddl *ddl,
                           const struct sql_ddl_name *needed)
{
    const struct sql_ddl_touch touch = {.schema = needed->schema, .name = needed->name};
    char *there, *shown, *path, *at;
    enum rc rc = find(b, s, &touch, &there);

    if (rc != RC_OK || there || file_makes(b, s, ddl, needed)) {
        free(there);
        return rc;
    }
    shown = needed->schema ? sql_quote_qualified(needed->schema, needed->name)
                           : sql_quote_ident(needed->name);
    path = plan_path(s->op, s->field);
    at = mem_printf("%s:%d: %s", b->where, file_line(b->where, b->text, path), path);
    build_refuse(b, at,
                 "make it in front of this, or in an earlier migration; say IF EXISTS where it may"
                 " be missing; or is its schema missing?",
                 "statement %d, %s: there is no relation %s", needed->statement, needed->what,
                 shown);
    free(at);
    free(path);
    free(shown);
    return RC_OK;
}

static enum rc judge(struct build *b, struct statements *s, const char *text)
{
    struct err why = {0};
    struct sql_ddl ddl;
    enum rc rc = RC_OK;

    if (sql_ddl_read(text, &ddl, &why) != RC_OK) {
        if (why.hint[0])
            err_hint(b->err, "%s", why.hint);
        return plan_fail(b, s->op, s->field, NULL, "%s", why.text);
    }
    for (size_t i = 0; rc == RC_OK && i < ddl.ntouches; i++)
        rc = look_up(b, s, &ddl.touches[i]);
    for (size_t i = 0; rc == RC_OK && !ddl.opaque && i < ddl.ntypes; i++)
        rc = look_up_type(b, s, &ddl.types[i]);
    for (size_t i = 0; rc == RC_OK && i < ddl.nneeds; i++)
        rc = check_there(b, s, &ddl, &ddl.needs[i]);
    if (rc == RC_OK && ddl.opaque) {
        char *path = plan_path(s->op, s->field);

        build_warn(b, path, "its locks are not announced to the gate; lock_timeout bounds them",
                   "statement %d cannot be looked into", ddl.opaque);
        free(path);
    }
    sql_ddl_fini(&ddl);
    return rc;
}

/* ---- steps ---- */

static struct eng_step *sql_step(struct build *b, const struct statements *s, enum eng_stage stage,
                                 const char *text)
{
    struct eng_step *step = build_step(b, stage, ENG_STEP_SQL, -1, "run operations[%zu].sql.%s",
                                       s->op->index, s->field);
    struct buf on = {0};

    step_sql(step, "%s", text);
    step_rank(step, s->op->index);
    for (size_t i = 0; i < s->on.n; i++)
        buf_printf(&on, "%s%s", i ? ", " : "", s->on.v[i]);
    if (s->on.n) {
        char *lock = mem_printf("%s%s", s->lock, s->tables ? "" : ", as the statements come to it");

        step_lock(
            step, lock, on.data,
            "an instant; lock_timeout, retried; cancelled when it takes longer than the gate");
        free(lock);
    } else {
        free(step->holds);
        step->holds = mem_strdup("one transaction, as long as it takes; lock_timeout");
    }
    buf_fini(&on);
    return step;
}

static enum rc plan_text(struct build *b, const struct file_op *op, const char *field,
                         const char *text, enum eng_stage stage, size_t undoes)
{
    struct statements s = {.op = op, .field = field, .lock = ""};
    enum rc rc = judge(b, &s, text);

    if (rc == RC_OK)
        sql_step(b, &s, stage, text)->undoes = (int)undoes;
    texts_fini(&s.on);
    return rc;
}

/* What a stage does to a table is one step: statements cannot run in its middle. */
static void refuse_between(struct build *b, const struct file_op *op)
{
    for (size_t t = 0; t < b->ntargets; t++) {
        bool before = false, behind = false;

        for (size_t i = 0; i < b->file->nops; i++) {
            before |= i < op->index && b->op_target[i] == (ptrdiff_t)t;
            behind |= i > op->index && b->op_target[i] == (ptrdiff_t)t;
        }
        if (before && behind) {
            char *path = plan_path(op, "up");

            build_refuse(b, path, "put it before the first of them, or behind the last",
                         "it stands between two operations on %s, which are one step",
                         b->targets[t].relation);
            free(path);
        }
    }
}

enum rc plan_statements(struct build *b, const struct file_op *op)
{
    char *path;

    if (op->on_complete)
        return plan_text(b, op, "up", op->up, ENG_STAGE_CONTRACT, 0);
    refuse_between(b, op);
    if (plan_text(b, op, "up", op->up, ENG_STAGE_EXPAND, 0) != RC_OK)
        return RC_ERR;
    if (op->down)
        return plan_text(b, op, "down", op->down, ENG_STAGE_ABORT, b->plan->nsteps);
    path = plan_path(op, "up");
    build_warn(b, path, "say how it is taken back, in \"down\"",
               "there is no \"down\": an abort leaves what it has done");
    free(path);
    return RC_OK;
}
