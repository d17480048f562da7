/* Two comparable documents side by side: objects, then the parts of those that both have. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/catalog/schema.h"

/* What an entry of such a member is called. */
static const struct {
    const char *member, *one;
} sections[] = {
    {"columns", "column"},       {"constraints", "constraint"}, {"indexes", "index"},
    {"triggers", "trigger"},     {"policies", "policy"},        {"rules", "rule"},
    {"attributes", "attribute"},
};

static const char *section_of(const char *member)
{
    for (size_t i = 0; i < ARRAY_LEN(sections); i++)
        if (!strcmp(sections[i].member, member))
            return sections[i].one;
    return NULL;
}

static json_t *open_object(const json_t *object)
{
    return (json_t *)(uintptr_t)object; /* jansson's foreach does not take const */
}

/* Appends "integer", or "type bigint, not null" of a column; nothing where there is nothing. */
static void put_text(struct buf *out, const json_t *value)
{
    const char *key;
    json_t *item;
    char *text;
    bool first = true;

    if (!value || json_is_null(value))
        return;
    if (json_is_string(value)) {
        buf_append_str(out, json_string_value(value));
        return;
    }
    if (!json_is_object(value)) {
        text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        buf_append_str(out, text ? text : "");
        free(text);
        return;
    }
    json_object_foreach(open_object(value), key, item)
    {
        buf_printf(out, "%s%s%s", first ? "" : ", ", key, json_is_true(item) ? "" : " ");
        if (!json_is_true(item))
            put_text(out, item);
        first = false;
    }
}

static json_t *text_json(const json_t *value)
{
    struct buf text = {0};
    json_t *out;

    put_text(&text, value);
    out = json_string(text.data ? text.data : "");
    buf_fini(&text);
    return out;
}

static void add(json_t *rows, const char *object, const char *part, const json_t *before,
                const json_t *after)
{
    const char *change = !before ? "added" : !after ? "dropped" : "changed";
    bool whole = !*part; /* an object that came or went is named, not told */

    json_array_append_new(rows,
                          json_pack("{s:s, s:s, s:s, s:o, s:o}", "change", change, "object", object,
                                    "part", part, "before", text_json(whole ? NULL : before),
                                    "after", text_json(whole ? NULL : after)));
}

/* Keys of both, sorted; heap, what they point at is borrowed. */
static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char **keys_of(const json_t *one, const json_t *other, size_t *n)
{
    const char **keys =
        mem_calloc(json_object_size(one) + json_object_size(other) + 1, sizeof(*keys));
    const char *key;
    json_t *item;

    *n = 0;
    json_object_foreach(open_object(one), key, item)
    {
        keys[(*n)++] = key;
    }
    json_object_foreach(open_object(other), key, item)
    {
        if (!json_object_get(one, key))
            keys[(*n)++] = key;
    }
    if (*n > 1)
        qsort(keys, *n, sizeof(*keys), by_name);
    return keys;
}

/* Members of what both have. `what` NULL: the members of an object; else of the part so called. */
static void diff_members(json_t *rows, const char *object, const char *what, const json_t *before,
                         const json_t *after);

static void diff_section(json_t *rows, const char *object, const char *one, const json_t *before,
                         const json_t *after)
{
    size_t n;
    const char **keys = keys_of(before, after, &n);

    for (size_t i = 0; i < n; i++) {
        const json_t *was = json_object_get(before, keys[i]), *is = json_object_get(after, keys[i]);
        char *part = mem_printf("%s %s", one, keys[i]);

        if (json_is_object(was) && json_is_object(is))
            diff_members(rows, object, part, was, is);
        else if (!json_equal(was, is))
            add(rows, object, part, was, is);
        free(part);
    }
    free(keys);
}

static void diff_members(json_t *rows, const char *object, const char *what, const json_t *before,
                         const json_t *after)
{
    size_t n;
    const char **keys = keys_of(before, after, &n);

    for (size_t i = 0; i < n; i++) {
        const json_t *was = json_object_get(before, keys[i]), *is = json_object_get(after, keys[i]);
        const char *one = what ? NULL : section_of(keys[i]);
        char *part;

        if (was && is && json_equal(was, is))
            continue;
        if (one) {
            diff_section(rows, object, one, was, is);
            continue;
        }
        part = what ? mem_printf("%s: %s", what, keys[i]) : mem_strdup(keys[i]);
        json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:o, s:o}", "change", "changed",
                                              "object", object, "part", part, "before",
                                              text_json(was), "after", text_json(is)));
        free(part);
    }
    free(keys);
}

json_t *cat_schema_diff(const json_t *before, const json_t *after)
{
    json_t *rows = json_array();
    size_t n;
    const char **keys = keys_of(before, after, &n);

    for (size_t i = 0; i < n; i++) {
        const json_t *was = json_object_get(before, keys[i]), *is = json_object_get(after, keys[i]);

        if (was && is)
            diff_members(rows, keys[i], NULL, was, is);
        else
            add(rows, keys[i], "", was, is);
    }
    free(keys);
    return rows;
}
