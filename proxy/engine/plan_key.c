/*
 * The primary key over a column that changes its name or its type. A constraint cannot be moved
 * from one index to another, and dropping it drops its index: so two unique indexes are built, one
 * over the new half, which the cut-over makes the key, and one over the old half, which the way
 * back makes it. Both are built again after a way back (eng_step.again).
 */
#include <stdlib.h>
#include <string.h>

#include "plan_build.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"

static bool flag(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

bool key_is_carried(const json_t *index)
{
    return flag(index, "primary") && flag(index, "valid") && !flag(index, "exclusion");
}

void key_list(const struct target *t, const json_t *index, key_half *half, struct buf *out)
{
    const json_t *keys = json_object_get(index, "keys");
    bool including = false;

    buf_append_str(out, "(");
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *key = json_array_get(keys, i);
        bool opens = !flag(key, "key") && !including;

        including |= opens;
        buf_append_str(out, opens ? ") INCLUDE (" : i ? ", " : "");
        sql_quote_ident_put(out, half(t, cat_text(key, "column")));
    }
    buf_append_str(out, ")");
}

const char *key_old_half(const struct target *t, const char *column)
{
    (void)t;
    return column;
}

static char *definition(const struct target *t, const json_t *index, const char *name,
                        key_half *half)
{
    struct buf sql = {0};

    buf_printf(&sql, "CREATE UNIQUE INDEX CONCURRENTLY %s ON %s ", name, t->relation);
    key_list(t, index, half, &sql);
    index_storage(index, " TABLESPACE ", &sql);
    return buf_take(&sql);
}

static void build_half(struct build *b, struct target *t, const json_t *index, const char *name,
                       bool new)
{
    char *quoted = sql_quote_ident(name);
    char *sql = definition(t, index, quoted, new ? carry_name : key_old_half);
    struct eng_step *step = build_step(b, ENG_STAGE_BUILD, ENG_STEP_CONCURRENTLY, t->table,
                                       new ? "build the index that becomes %s"
                                           : "build the index for the way back of %s",
                                       cat_text(index, "name"));

    step_sql(step, "%s", sql);
    step_lock(step, "SHARE UPDATE EXCLUSIVE", t->relation, "while it is built; blocks no query");
    step->again = true;
    step->index_schema = mem_strdup(cat_text(index, "schema"));
    step->index_name = mem_strdup(name);
    free(sql);
    free(quoted);
}

/* The one over the new half goes with its column. */
static void drop_spare(struct build *b, struct target *t, const json_t *index, const char *name)
{
    char *qualified = sql_quote_qualified(cat_text(index, "schema"), name);
    struct eng_step *step = build_step(b, ENG_STAGE_ABORT, ENG_STEP_CONCURRENTLY, t->table,
                                       "drop the spare index of %s", cat_text(index, "name"));

    step_sql(step, "DROP INDEX CONCURRENTLY IF EXISTS %s", qualified);
    step_lock(step, "SHARE UPDATE EXCLUSIVE", t->relation, "waits for queries, blocks none");
    free(qualified);
}

static void comment_on(struct target *t, const char *what, const char *name, const char *comment,
                       struct texts *list)
{
    char *literal = comment ? sql_quote_literal(comment) : NULL;
    bool constraint = !strcmp(what, "CONSTRAINT");

    if (literal)
        texts_add(list, "COMMENT ON %s %s%s%s IS %s", what, name, constraint ? " ON " : "",
                  constraint ? t->relation : "", literal);
    free(literal);
}

void carry_marks(struct target *t, const json_t *index)
{
    char *name = sql_quote_ident(cat_text(index, "name"));
    const struct {
        const char *flag, *action;
    } marks[] = {{"replica_identity", "REPLICA IDENTITY USING INDEX"}, {"clustered", "CLUSTER ON"}};

    /* the half that waits again may be NULL only when its index is no replica identity any more */
    if (flag(index, "replica_identity"))
        texts_add(&t->revert, "ALTER TABLE %s REPLICA IDENTITY NOTHING", t->relation);
    /* last in either direction: behind all that may drop an index of that name */
    for (size_t i = 0; i < ARRAY_LEN(marks); i++)
        if (flag(index, marks[i].flag))
            texts_add(&t->marks, "ALTER TABLE %s %s %s", t->relation, marks[i].action, name);
    free(name);
}

/* Drops the key and makes it again over an index, with what it had. */
static void make_key(struct target *t, const json_t *index, const char *from, struct texts *list)
{
    const char *bare = cat_text(index, "constraint");
    char *name = sql_quote_ident(bare), *source = sql_quote_ident(from);
    char *qualified = sql_quote_qualified(cat_text(index, "schema"), cat_text(index, "name"));
    bool back = list != &t->cutover; /* somebody may have dropped it in soak */

    texts_add(list, "ALTER TABLE %s DROP CONSTRAINT %s%s", t->relation, back ? "IF EXISTS " : "",
              name);
    texts_add(list, "ALTER TABLE %s ADD CONSTRAINT %s PRIMARY KEY USING INDEX %s", t->relation,
              name, source);
    comment_on(t, "INDEX", qualified, cat_text(index, "comment"), list);
    comment_on(t, "CONSTRAINT", name, cat_text(index, "constraint_comment"), list);
    free(qualified);
    free(source);
    free(name);
}

/* The server counts on the key where one of its columns is grouped by (sql/group.c). */
static void warn_of_groups(struct build *b, const struct target *t, const json_t *index,
                           const char *object)
{
    const json_t *keys = json_object_get(index, "keys");
    bool moves = false;

    for (size_t i = 0; i < json_array_size(keys); i++) {
        const char *column = cat_text(json_array_get(keys, i), "column");

        moves |= texts_has(&t->from, column) && !retype_has(t, column);
    }
    if (moves)
        build_warn(
            b, object, "name the other columns in GROUP BY, too, or aggregate them",
            "GROUP BY of the key alone, with other columns asked for, is the server's for one"
            " name at a time: the old one until the cut-over, the new one after it. segue adds"
            " the other name where the key is named; functions, and connections past segue,"
            " get 42803");
}

/* It would have to become NOT NULL again under the lock, with a scan. */
static void refuse_nullable(struct build *b, const struct target *t, const json_t *index,
                            const char *object)
{
    const struct eng_table *table = &b->plan->tables[t->table];
    const json_t *keys = json_object_get(index, "keys");

    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *key = json_array_get(keys, i);

        for (size_t d = 0; flag(key, "key") && d < table->nduals; d++)
            if (table->duals[d].old_name && table->duals[d].new_name && !table->duals[d].not_null &&
                !strcmp(table->duals[d].old_name, cat_text(key, "column")))
                build_refuse(b, object, "leave \"nullable\" out, or drop the key in this file",
                             "its column %s cannot be NULL", cat_text(key, "column"));
    }
}

/* As the column is called when the migration has ended. */
static const char *key_in_the_end(const struct target *t, const char *column)
{
    return retype_has(t, column) ? column : carry_name(t, column);
}

/* What becomes the key is no constraint before, and an index alone cannot be told to wait. */
static void refuse_deferrable(struct build *b, const struct target *t, const json_t *index,
                              const char *object)
{
    char *name = sql_quote_ident(cat_text(index, "constraint")), *hint;
    struct buf now = {0}, then = {0};

    if (*index_defers(index)) {
        key_list(t, index, key_old_half, &now);
        key_list(t, index, key_in_the_end, &then);
        index_storage(index, " USING INDEX TABLESPACE ", &now);
        index_storage(index, " USING INDEX TABLESPACE ", &then);
        hint = mem_printf("where nobody counts on that: ALTER TABLE %s DROP CONSTRAINT %s, ADD"
                          " CONSTRAINT %s PRIMARY KEY %s first; else ALTER TABLE %s DROP CONSTRAINT"
                          " %s first, and after complete ALTER TABLE %s ADD CONSTRAINT %s PRIMARY"
                          " KEY %s%s",
                          t->relation, name, name, now.data, t->relation, name, t->after, name,
                          then.data, index_defers(index));
        build_refuse(b, object, hint,
                     "it is DEFERRABLE, and the unique indexes that stand beside it until complete"
                     " cannot be: who counts on that would get 23505");
        free(hint);
    }
    buf_fini(&then);
    buf_fini(&now);
    free(name);
}

/* Of a table that is not partitioned. */
static void turn_key(struct build *b, struct target *t, const json_t *index, const char *fresh,
                     const char *spare)
{
    struct texts back = {0};

    build_half(b, t, index, fresh, true);
    build_half(b, t, index, spare, false);
    drop_spare(b, t, index, spare);
    make_key(t, index, fresh, &t->cutover);
    make_key(t, index, spare, &back);
    for (size_t i = back.n; i > 0; i--) /* revert runs its list backwards */
        texts_add(&t->revert, "%s", back.v[i - 1]);
    carry_marks(t, index);
    texts_fini(&back);
}

enum rc carry_key(struct build *b, struct target *t, const json_t *index)
{
    char *fresh = target_temp(t), *spare = target_temp(t);
    char *object = mem_printf("primary key %s", cat_text(index, "name"));
    enum rc rc = RC_OK;

    if (is_partitioned(t))
        rc = key_of_parts(b, t, index, fresh, spare);
    else
        turn_key(b, t, index, fresh, spare);
    refuse_nullable(b, t, index, object);
    refuse_deferrable(b, t, index, object);
    warn_of_groups(b, t, index, object);
    build_warn(b, object, "run these statements again on 23505, or ON CONFLICT DO NOTHING",
               "until complete there is a unique index over each half: INSERT ... ON CONFLICT "
               "(columns) of one new key by two sessions at once can end with 23505");
    if (rc == RC_OK && is_partitioned(t))
        rc = key_warn_of_parts(b, t, object);
    free(object);
    free(spare);
    free(fresh);
    return rc;
}
