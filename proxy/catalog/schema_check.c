/* Is a document what the query of schema.c gives? Somebody's file may be any JSON. */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "segue/catalog/schema.h"

#define KINDS_TEXT                                                                                 \
    "table, view, materialized view, sequence, type, function, procedure, statistics, schema or "  \
    "extension"

static const char *const kinds[] = {"table ",      "view ",     "materialized view ", "sequence ",
                                    "type ",       "function ", "procedure ",         "schema ",
                                    "statistics ", "extension "};

/* Members that hold entries by name, and what an entry is. */
static const struct {
    const char *member;
    bool object; /* else a text */
} sections[] = {
    {"columns", true},   {"constraints", false}, {"indexes", false},    {"triggers", false},
    {"policies", false}, {"rules", false},       {"attributes", false},
};

static bool names_object(const char *key)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (!strncmp(key, kinds[i], strlen(kinds[i])) && key[strlen(kinds[i])])
            return true;
    return false;
}

static enum rc bad(struct err *err, const char *entry, const char *member, const char *name,
                   const char *wanted)
{
    err_set(err, "22032", "\"%s\"%s%s%s%s: not a snapshot: %s", entry, member ? "." : "",
            member ? member : "", name ? "." : "", name ? name : "", wanted);
    return RC_ERR;
}

static enum rc check_section(const char *entry, const char *member, json_t *value, bool object,
                             struct err *err)
{
    const char *name;
    json_t *item;

    if (!json_is_object(value))
        return bad(err, entry, member, NULL, "an object is wanted");
    json_object_foreach(value, name, item)
    {
        if (object && !json_is_object(item))
            return bad(err, entry, member, name, "an object is wanted");
        if (!object && !json_is_string(item))
            return bad(err, entry, member, name, "a text is wanted");
    }
    return RC_OK;
}

static enum rc check_entry(const char *entry, json_t *value, struct err *err)
{
    const char *member;
    json_t *item;

    if (!names_object(entry))
        return bad(err, entry, NULL, NULL, "it does not begin with " KINDS_TEXT);
    if (!json_is_object(value))
        return bad(err, entry, NULL, NULL, "an object is wanted");
    json_object_foreach(value, member, item)
    {
        size_t i = 0;

        while (i < ARRAY_LEN(sections) && strcmp(sections[i].member, member))
            i++;
        /* a domain's constraints are texts as a table's are */
        if (i < ARRAY_LEN(sections) &&
            check_section(entry, member, item, sections[i].object, err) != RC_OK)
            return RC_ERR;
        if (i == ARRAY_LEN(sections) && json_is_object(item))
            return bad(err, entry, member, NULL, "a text, a number, true or a list is wanted");
    }
    return RC_OK;
}

enum rc cat_schema_check(const json_t *schema, const char **entry, struct err *err)
{
    json_t *open = (json_t *)(uintptr_t)schema; /* jansson's foreach does not take const */
    json_t *value;

    *entry = NULL;
    if (!json_is_object(schema)) {
        err_set(err, "22032", "not a snapshot: an object is wanted");
        return RC_ERR;
    }
    json_object_foreach(open, *entry, value)
    {
        if (check_entry(*entry, value, err) != RC_OK)
            return RC_ERR;
    }
    return RC_OK;
}
