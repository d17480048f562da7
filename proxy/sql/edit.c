#include "edit.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/buf.h"
#include "segue/base/mem.h"

#define MANY 64 /* of so many each is looked at, for each place that is asked for */

static void touch(struct sql_edits *edits, const struct sql_edit *edit)
{
    if (edit->at <= edits->len && edit->removed <= edits->len - edit->at)
        sql_marks_put(&edits->touched, edit->at, edit->at + edit->removed);
}

static void note_touched(struct sql_edits *edits)
{
    size_t first = edits->many ? edits->n - 1 : 0;

    edits->many = true;
    for (size_t i = first; i < edits->n; i++)
        touch(edits, &edits->items[i]);
}

void sql_edits_add_take(struct sql_edits *edits, uint32_t at, uint32_t removed, char *text)
{
    size_t len = strlen(text);

    if (edits->most && edits->bytes + len > edits->most) {
        edits->over = true;
        free(text);
        text = mem_strdup("");
        len = 0;
    }
    edits->bytes += len;
    mem_grow((void **)&edits->items, &edits->cap, edits->n + 1, sizeof(*edits->items));
    edits->items[edits->n] =
        (struct sql_edit){.at = at, .removed = removed, .number = (uint32_t)edits->n, .text = text};
    edits->n++;
    if (edits->n > MANY || edits->many)
        note_touched(edits);
}

void sql_edits_add_about(struct sql_edits *edits, uint32_t at, uint32_t removed, char *text,
                         uint32_t place)
{
    sql_edits_add_take(edits, at, removed, text);
    edits->items[edits->n - 1].moved = place == SQL_NOWHERE ? SQL_NOWHERE : place + 1;
}

void sql_edits_add_moved(struct sql_edits *edits, uint32_t at, const char *text, uint32_t from,
                         uint32_t to)
{
    sql_edits_add_about(edits, at, 0, mem_strndup(text + from, to - from), from);
}

void sql_edits_mark_name(struct sql_edits *edits)
{
    edits->items[edits->n - 1].name = true;
}

static void forget(struct sql_edits *edits, const struct sql_edit *edit)
{
    edits->bytes -= strlen(edit->text);
    free(edit->text);
}

void sql_edits_drop(struct sql_edits *edits, size_t from)
{
    while (edits->n > from)
        forget(edits, &edits->items[--edits->n]);
}

void sql_edits_keep_names(struct sql_edits *edits, size_t from)
{
    size_t kept = from;

    for (size_t i = from; i < edits->n; i++) {
        if (edits->items[i].name)
            edits->items[kept++] = edits->items[i];
        else
            forget(edits, &edits->items[i]);
    }
    edits->n = kept;
}

void sql_edits_fini(struct sql_edits *edits)
{
    sql_edits_drop(edits, 0);
    free(edits->items);
    sql_marks_fini(&edits->touched);
    *edits = (struct sql_edits){0};
}

void sql_edits_restart(struct sql_edits *edits)
{
    const struct sql_edits kept = {.len = edits->len, .most = edits->most};

    sql_edits_fini(edits);
    *edits = kept;
}

bool sql_edits_touch(const struct sql_edits *edits, uint32_t from, uint32_t to)
{
    if (edits->many)
        return sql_marks_any(&edits->touched, from, to);
    for (size_t i = 0; i < edits->n; i++) {
        const struct sql_edit *edit = &edits->items[i];

        if (edit->at < to && edit->at + edit->removed >= from)
            return true;
    }
    return false;
}

static int by_place(const void *a, const void *b)
{
    const struct sql_edit *x = a, *y = b;

    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    if (!x->removed !=
        !y->removed) /* what replaces bytes comes behind what goes in front of them */
        return x->removed ? 1 : -1;
    return x->number < y->number ? -1 : x->number > y->number;
}

/* Would two words become one? (SELECT*FROM: a star needs no blank, a name does.) */
static bool is_glued(char before, char after)
{
    unsigned char a = (unsigned char)before, b = (unsigned char)after;
    bool word_before = isalnum(a) || a >= 0x80 || a == '_' || a == '$';

    return word_before &&
           (isalnum(b) || b >= 0x80 || b == '_' || b == '$' || b == '"' || b == '\'');
}

enum rc sql_edits_apply(struct sql_edits *edits, const char *text, size_t len,
                        struct sql_rewrite *out)
{
    struct buf to = {0};
    size_t from = 0;

    if (edits->n > 0)
        qsort(edits->items, edits->n, sizeof(*edits->items), by_place);
    out->splices = mem_calloc(edits->n + 1, sizeof(*out->splices));
    for (size_t i = 0; i < edits->n; i++) {
        const struct sql_edit *edit = &edits->items[i];
        size_t inserted = strlen(edit->text);

        if (edit->at < from || edit->at + edit->removed > len) {
            buf_fini(&to);
            return RC_ERR;
        }
        buf_append(&to, text + from, edit->at - from);
        if (inserted > 0 && to.len > 0 && is_glued(to.data[to.len - 1], edit->text[0])) {
            buf_append(&to, " ", 1);
            inserted++;
        }
        buf_append(&to, edit->text, strlen(edit->text));
        from = edit->at + edit->removed;
        if (inserted > 0 && (!edit->moved || edit->moved == SQL_NOWHERE) && from < len &&
            is_glued(to.data[to.len - 1], text[from])) {
            buf_append(&to, " ", 1);
            inserted++;
        }
        out->splices[out->nsplices++] =
            (struct sql_splice){edit->at, edit->removed, (uint32_t)inserted, edit->moved};
    }
    buf_append(&to, text + from, len - from);
    out->len = to.len;
    out->text = buf_take(&to);
    return RC_OK;
}
