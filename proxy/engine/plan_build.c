#include "plan_build.h"
#include "plan_block.h"

#include <stdlib.h>
#include <string.h>

#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/base/option.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"

#define COLUMNS_TOLD_MAX 20 /* in the hint about a name that is none of them */

static char *vtext(const char *fmt, va_list ap)
{
    struct buf out = {0};

    buf_vprintf(&out, fmt, ap);
    return buf_take(&out);
}

void texts_add(struct texts *list, const char *fmt, ...)
{
    va_list ap;

    mem_grow((void **)&list->v, &list->cap, list->n + 1, sizeof(*list->v));
    va_start(ap, fmt);
    list->v[list->n++] = vtext(fmt, ap);
    va_end(ap);
}

bool texts_has(const struct texts *list, const char *text)
{
    for (size_t i = 0; i < list->n; i++)
        if (!strcmp(list->v[i], text))
            return true;
    return false;
}

void texts_fini(struct texts *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->v[i]);
    free(list->v);
    memset(list, 0, sizeof(*list));
}

struct eng_step *build_step(struct build *b, enum eng_stage stage, enum eng_step_kind kind,
                            int table, const char *fmt, ...)
{
    struct eng_plan *plan = b->plan;
    struct eng_step *step;
    va_list ap;

    mem_grow((void **)&plan->steps, &b->steps_cap, plan->nsteps + 1, sizeof(*plan->steps));
    step = &plan->steps[plan->nsteps++];
    va_start(ap, fmt);
    *step = (struct eng_step){.stage = stage,
                              .kind = kind,
                              .table = table,
                              .title = vtext(fmt, ap),
                              .lock = mem_strdup(""),
                              .lock_on = mem_strdup(""),
                              .holds = mem_strdup("")};
    va_end(ap);
    return step;
}

void step_rank(struct eng_step *step, size_t op_index)
{
    int index = (int)op_index;

    step->no = step->stage == ENG_STAGE_ABORT      ? -index
               : step->stage == ENG_STAGE_CONTRACT ? index + 1
                                                   : index;
}

static void step_take(struct eng_step *step, char *sql)
{
    step->sql = mem_realloc(step->sql, (step->nsql + 1) * sizeof(*step->sql));
    step->sql[step->nsql++] = sql;
}

void step_sql(struct eng_step *step, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    step_take(step, vtext(fmt, ap));
    va_end(ap);
}

void step_sql_list(struct eng_step *step, const struct texts *list, bool backwards)
{
    for (size_t i = 0; i < list->n; i++)
        step_take(step, mem_strdup(list->v[backwards ? list->n - 1 - i : i]));
}

char *build_do_take(char *body_take)
{
    char *literal = sql_quote_literal(body_take), *sql = mem_printf("DO %s", literal);

    free(literal);
    free(body_take);
    return sql;
}

void step_lock(struct eng_step *step, const char *lock, const char *on, const char *holds)
{
    static const char *const weak[] = {"", "ACCESS SHARE", "ROW SHARE", "ROW EXCLUSIVE",
                                       "SHARE UPDATE EXCLUSIVE"};

    free(step->lock);
    free(step->lock_on);
    free(step->holds);
    step->lock = mem_strdup(lock);
    step->lock_on = mem_strdup(on);
    step->holds = mem_strdup(holds);
    step->gate = true;
    for (size_t i = 0; i < ARRAY_LEN(weak); i++)
        if (!strcmp(weak[i], lock))
            step->gate = false;
}

static void add_note(struct build *b, bool refusal, const char *object, const char *hint,
                     char *text)
{
    struct eng_plan *plan = b->plan;

    mem_grow((void **)&plan->notes, &b->notes_cap, plan->nnotes + 1, sizeof(*plan->notes));
    plan->notes[plan->nnotes++] = (struct eng_note){.refusal = refusal,
                                                    .object = mem_strdup(object),
                                                    .text = text,
                                                    .hint = mem_strdup(hint ? hint : "")};
}

void build_refuse(struct build *b, const char *object, const char *hint, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add_note(b, true, object, hint, vtext(fmt, ap));
    va_end(ap);
}

void build_warn(struct build *b, const char *object, const char *hint, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add_note(b, false, object, hint, vtext(fmt, ap));
    va_end(ap);
}

static enum rc fail_with(struct build *b, const char *path, char *text)
{
    err_set(b->err, "22023", "%s:%d: %s: %s", b->where, file_line(b->where, b->text, path), path,
            text);
    free(text);
    return RC_ERR;
}

enum rc build_fail(struct build *b, const char *path, const char *fmt, ...)
{
    va_list ap;
    char *text;

    va_start(ap, fmt);
    text = vtext(fmt, ap);
    va_end(ap);
    return fail_with(b, path, text);
}

enum rc build_fail_hint(struct build *b, const char *path, const char *hint, const char *fmt, ...)
{
    va_list ap;
    char *text;

    va_start(ap, fmt);
    text = vtext(fmt, ap);
    va_end(ap);
    err_hint(b->err, "%s", hint);
    return fail_with(b, path, text);
}

enum rc build_no_column(struct build *b, const char *path, const struct target *t, const char *name)
{
    const json_t *columns = json_object_get(t->doc, "columns");
    size_t n = json_array_size(columns);
    const char **names = mem_calloc(n + 1, sizeof(*names)), *near;
    struct buf hint = {0};
    enum rc rc;

    for (size_t i = 0; i < n; i++)
        names[i] = cat_text(json_array_get(columns, i), "name");
    near = opt_nearest(name, names, n);
    if (near)
        buf_printf(&hint, "did you mean \"%s\"?", near);
    for (size_t i = 0; !near && i < n && i < COLUMNS_TOLD_MAX; i++)
        buf_printf(&hint, "%s%s", i ? ", " : "its columns: ", names[i]);
    if (!near && n > COLUMNS_TOLD_MAX)
        buf_append_str(&hint, ", ...");
    rc = build_fail_hint(b, path, hint.len ? hint.data : "it has none",
                         "table %s has no column \"%s\"", t->relation, name);
    buf_fini(&hint);
    free(names);
    return rc;
}

char *target_temp(struct target *t)
{
    return mem_printf("~segue_%lld_%u",
                      (long long)json_integer_value(json_object_get(t->doc, "oid")), ++t->ntemp);
}
