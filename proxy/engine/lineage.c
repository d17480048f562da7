#include "segue/engine/lineage.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/buf.h"
#include "segue/base/mem.h"

/* One side of a node: what the file says, or what was recorded. */
struct side {
    bool there;
    char *sha256;
    char **parents;
    size_t nparents;
};

struct node {
    char *name, *where;
    int line;
    enum lineage_state state; /* of the record; LIN_FILE: none */
    struct side file, record;
};

struct lineage {
    const char *what;
    struct node *nodes; /* sorted by name */
    size_t n, cap;
};

struct lineage *lineage_new(const char *what)
{
    struct lineage *l = mem_calloc(1, sizeof(*l));

    l->what = what;
    return l;
}

static void side_fini(struct side *side)
{
    for (size_t i = 0; i < side->nparents; i++)
        free(side->parents[i]);
    free(side->parents);
    free(side->sha256);
}

void lineage_free(struct lineage *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->n; i++) {
        side_fini(&l->nodes[i].file);
        side_fini(&l->nodes[i].record);
        free(l->nodes[i].name);
        free(l->nodes[i].where);
    }
    free(l->nodes);
    free(l);
}

void lineage_find(json_t *findings, const char *severity, const char *code, const char *where,
                  const char *hint, const char *fmt, ...)
{
    struct buf text = {0};
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    json_array_append_new(findings,
                          json_pack("{s:s, s:s, s:s, s:s, s:s}", "severity", severity, "code", code,
                                    "where", where, "text", text.data, "hint", hint ? hint : ""));
    buf_fini(&text);
}

/* Index of the name, or where it belongs. */
static bool search(const struct lineage *l, const char *name, size_t *at)
{
    size_t low = 0, high = l->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(l->nodes[middle].name, name);

        if (order == 0) {
            *at = middle;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *at = low;
    return false;
}

static struct node *node_of(const struct lineage *l, const char *name)
{
    size_t at;

    return search(l, name, &at) ? &l->nodes[at] : NULL;
}

bool lineage_has(const struct lineage *l, const char *name)
{
    return node_of(l, name) != NULL;
}

static struct node *node_make(struct lineage *l, const char *name)
{
    size_t at;

    if (search(l, name, &at))
        return &l->nodes[at];
    mem_grow((void **)&l->nodes, &l->cap, l->n + 1, sizeof(*l->nodes));
    memmove(&l->nodes[at + 1], &l->nodes[at], (l->n - at) * sizeof(*l->nodes));
    l->n++;
    l->nodes[at] = (struct node){.name = mem_strdup(name)};
    return &l->nodes[at];
}

void lineage_add(struct lineage *l, const struct lineage_node *from, json_t *findings)
{
    struct node *node = node_make(l, from->name);
    struct side *side = from->state == LIN_FILE ? &node->file : &node->record;

    if (side->there) {
        lineage_find(findings, "error", "duplicate", from->where ? from->where : from->name, NULL,
                     "%s \"%s\" is also in %s", l->what, from->name,
                     node->where ? node->where : "the history");
        return;
    }
    side->there = true;
    side->sha256 = mem_strdup(from->sha256);
    side->parents = mem_calloc(from->nparents + 1, sizeof(char *));
    for (size_t i = 0; i < from->nparents; i++)
        side->parents[side->nparents++] = mem_strdup(from->parents[i]);
    if (from->state != LIN_FILE) {
        node->state = from->state;
        return;
    }
    node->where = mem_strdup(from->where);
    node->line = from->line;
}

/* What was recorded is what counts. */
static const struct side *parents_of(const struct node *node)
{
    return node->record.there ? &node->record : &node->file;
}

bool lineage_ordered(const struct lineage *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (parents_of(&l->nodes[i])->nparents || l->nodes[i].state == LIN_BASELINE)
            return true;
    return false;
}

/* ---- what is wrong ---- */

/* "dir/x.json:3"; heap. */
static char *place(const struct node *node)
{
    if (!node->where)
        return mem_strdup(node->name);
    return node->line ? mem_printf("%s:%d", node->where, node->line) : mem_strdup(node->where);
}

static char *joined(char *const *names, size_t n)
{
    struct buf out = {0};

    for (size_t i = 0; i < n; i++)
        buf_printf(&out, "%s%s", i ? ", " : "", names[i]);
    return buf_take(&out);
}

static bool names(const struct side *side, const char *name)
{
    for (size_t i = 0; i < side->nparents; i++)
        if (!strcmp(side->parents[i], name))
            return true;
    return false;
}

static bool same_parents(const struct side *a, const struct side *b)
{
    bool same = a->nparents == b->nparents;

    for (size_t i = 0; same && i < a->nparents; i++)
        same = names(b, a->parents[i]);
    return same;
}

static void check_file(const struct lineage *l, const struct node *node, json_t *findings)
{
    const char *is = node->state == LIN_FLIGHT ? "in flight" : "applied";
    const struct side *file = &node->file, *record = &node->record;
    char *was, *now, *at;

    if (!file->there || !record->there)
        return;
    at = place(node);
    if (!same_parents(file, record)) {
        was = joined(record->parents, record->nparents);
        now = joined(file->parents, file->nparents);
        lineage_find(findings, "error", "parents", at, "restore the file, and write a new one",
                     "%s \"%s\" is %s after %s, the file says %s", l->what, node->name, is,
                     *was ? was : "nobody", *now ? now : "nobody");
        free(was);
        free(now);
    } else if (file->sha256 && record->sha256 && strcmp(file->sha256, record->sha256)) {
        lineage_find(findings, "error", "changed", at, "restore the file, and write a new one",
                     "%s \"%s\" is %s with SHA-256 %.12s, the file has %.12s", l->what, node->name,
                     is, record->sha256, file->sha256);
    }
    free(at);
}

/* A baseline stands for all before it: their files may be gone. */
static void mark_folded(const struct lineage *l, const struct node *from, bool *folded)
{
    for (size_t i = 0; i < from->record.nparents; i++) {
        const struct node *parent = node_of(l, from->record.parents[i]);

        if (!parent || folded[parent - l->nodes])
            continue;
        folded[parent - l->nodes] = true;
        mark_folded(l, parent, folded);
    }
}

/* Where nobody follows anybody, nothing goes by the files of what was applied. */
static void check_gone(const struct lineage *l, json_t *findings)
{
    const char *severity = lineage_ordered(l) ? "error" : "warning";
    bool *folded = mem_calloc(l->n + 1, sizeof(*folded));

    for (size_t i = 0; i < l->n; i++)
        if (l->nodes[i].state == LIN_BASELINE)
            mark_folded(l, &l->nodes[i], folded);
    for (size_t i = 0; i < l->n; i++) {
        const struct node *node = &l->nodes[i];

        if (node->file.there || !node->record.there || node->state == LIN_BASELINE || folded[i])
            continue;
        lineage_find(findings, severity, "deleted", node->name,
                     "restore it from version control, or fold what was applied into a baseline",
                     "%s \"%s\" is %s, and there is no file of that name", l->what, node->name,
                     node->state == LIN_FLIGHT ? "in flight" : "applied");
    }
    free(folded);
}

static void check_parents(const struct lineage *l, const struct node *node, json_t *findings)
{
    const struct side *side = parents_of(node);

    for (size_t i = 0; i < side->nparents; i++) {
        char *at;

        if (node_of(l, side->parents[i]))
            continue;
        at = place(node);
        lineage_find(findings, "error", "unknown", at, NULL,
                     "%s \"%s\" is after \"%s\", which is nowhere", l->what, node->name,
                     side->parents[i]);
        free(at);
    }
}

enum mark { NEW, OPEN, CLOSED };

struct frame {
    size_t node, next; /* parent to be looked at next */
};

/* Depth first, on a stack of our own: a chain may be as long as there are nodes. */
static void walk(const struct lineage *l, size_t from, enum mark *marks, struct frame *stack,
                 json_t *findings)
{
    size_t depth = 0;

    stack[depth++] = (struct frame){from, 0};
    marks[from] = OPEN;
    while (depth) {
        struct frame *top = &stack[depth - 1];
        const struct side *side = parents_of(&l->nodes[top->node]);
        const struct node *parent;
        size_t at;

        if (top->next == side->nparents) {
            marks[top->node] = CLOSED;
            depth--;
            continue;
        }
        parent = node_of(l, side->parents[top->next++]);
        if (!parent)
            continue;
        at = (size_t)(parent - l->nodes);
        if (marks[at] == OPEN) {
            char *where = place(&l->nodes[top->node]);

            lineage_find(findings, "error", "cycle", where, NULL,
                         "%s \"%s\" is after \"%s\", which comes after it itself", l->what,
                         l->nodes[top->node].name, parent->name);
            free(where);
        } else if (marks[at] == NEW) {
            marks[at] = OPEN;
            stack[depth++] = (struct frame){at, 0};
        }
    }
}

static void check_cycles(const struct lineage *l, json_t *findings)
{
    enum mark *marks = mem_calloc(l->n + 1, sizeof(*marks));
    struct frame *stack = mem_calloc(l->n + 1, sizeof(*stack));

    for (size_t i = 0; i < l->n; i++)
        if (marks[i] == NEW)
            walk(l, i, marks, stack, findings);
    free(stack);
    free(marks);
}

/* By node: does another one name it as a parent? heap. */
static bool *followed_of(const struct lineage *l)
{
    bool *followed = mem_calloc(l->n + 1, sizeof(*followed));

    for (size_t i = 0; i < l->n; i++) {
        const struct side *side = parents_of(&l->nodes[i]);

        for (size_t k = 0; k < side->nparents; k++) {
            const struct node *parent = node_of(l, side->parents[k]);

            if (parent)
                followed[parent - l->nodes] = true;
        }
    }
    return followed;
}

char *lineage_heads(const struct lineage *l, size_t *n)
{
    bool *followed = followed_of(l);
    struct buf out = {0};

    *n = 0;
    for (size_t i = 0; i < l->n; i++) {
        if (followed[i])
            continue;
        buf_printf(&out, "%s%s", *n ? ", " : "", l->nodes[i].name);
        ++*n;
    }
    free(followed);
    return buf_take(&out);
}

/* Where the second head is files that say nobody: what to write into them; else NULL. heap. */
static char *after_hint(const struct lineage *l)
{
    bool *followed = followed_of(l);
    struct buf files = {0};
    const char *head = NULL;
    size_t heads = 0;

    for (size_t i = 0; i < l->n; i++) {
        const struct node *node = &l->nodes[i];

        if (followed[i])
            continue;
        if (node->record.there || node->file.nparents) {
            head = node->name;
            heads++;
        } else {
            buf_printf(&files, "%s%s", files.len ? ", " : "",
                       node->where ? node->where : node->name);
        }
    }
    free(followed);
    if (heads == 1 && files.len) {
        char *hint = mem_printf("write \"after\": \"%s\" into %s", head, files.data);

        buf_fini(&files);
        return hint;
    }
    buf_fini(&files);
    return NULL;
}

static void check_heads(const struct lineage *l, const struct lineage_how *how, json_t *findings)
{
    size_t n;
    char *heads, *hint;

    if (how->branch || !(how->always || lineage_ordered(l)))
        return;
    heads = lineage_heads(l, &n);
    hint = how->after ? after_hint(l) : NULL;
    if (n > 1)
        lineage_find(findings, "error", "heads", heads, hint ? hint : how->merge, "%zu heads: %s",
                     n, heads);
    free(hint);
    free(heads);
}

size_t lineage_check(const struct lineage *l, const struct lineage_how *how, json_t *findings)
{
    size_t before = json_array_size(findings);

    for (size_t i = 0; i < l->n; i++) {
        check_file(l, &l->nodes[i], findings);
        check_parents(l, &l->nodes[i], findings);
    }
    if (how->whole)
        check_gone(l, findings);
    check_cycles(l, findings);
    check_heads(l, how, findings);
    return json_array_size(findings) - before;
}
