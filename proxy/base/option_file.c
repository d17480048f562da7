/* Options from a JSON file: one flat object; every complaint has a line. */
#include "segue/base/option.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/base/text.h"

#define FILE_BYTES_MAX (1024 * 1024)

/* The line of a key of the outermost object; jansson does not keep it. The text is valid JSON.
 * Keys with escapes are not options anyway and get the line of the object. */
static int line_of_key(const char *text, const char *key)
{
    size_t key_len = strlen(key);
    int line = 1, depth = 0;
    bool is_key = false; /* a string that starts here is a key */

    for (const char *p = text; *p; p++) {
        if (*p == '\n') {
            line++;
        } else if (*p == '{' || *p == '[') {
            depth++;
            is_key = *p == '{';
        } else if (*p == '}' || *p == ']') {
            depth--;
        } else if (*p == ',') {
            is_key = true;
        } else if (*p == ':') {
            is_key = false;
        } else if (*p == '"') {
            const char *from = ++p;

            for (; *p && *p != '"'; p++) {
                if (*p == '\\' && p[1])
                    p++;
            }
            if (depth == 1 && is_key && (size_t)(p - from) == key_len &&
                memcmp(from, key, key_len) == 0)
                return line;
        }
    }
    return 1;
}

static const char *type_name(const json_t *value)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array",  [JSON_STRING] = "a string",
        [JSON_INTEGER] = "a number", [JSON_REAL] = "a fraction", [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",      [JSON_NULL] = "null",
    };

    return names[json_typeof(value)];
}

static enum rc list_text(const struct opt_row *row, const json_t *value, struct buf *out,
                         struct err *err)
{
    size_t i;
    json_t *item;

    json_array_foreach(value, i, item)
    {
        const char *name = json_string_value(item);

        if (!name || !*name || strchr(name, ',')) {
            err_set(err, "22023",
                    "option \"%s\" must be a list of names (strings that are not empty and have "
                    "no comma)",
                    row->name);
            return RC_ERR;
        }
        buf_printf(out, "%s%s", i ? "," : "", name);
    }
    return RC_OK;
}

static enum rc set_json(struct opt_set *set, int index, const json_t *value, struct err *err)
{
    const struct opt_row *row = &set->rows[index];
    struct buf text = {0};
    char allowed[256], *json;
    bool ok;
    enum rc rc = RC_OK;

    if (row->type == OPT_NUMBER && (ok = json_is_integer(value))) {
        buf_printf(&text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    } else if (row->type == OPT_LIST && (ok = json_is_array(value))) {
        rc = list_text(row, value, &text, err);
    } else if (row->type == OPT_OBJECTS && (ok = json_is_array(value))) {
        json = json_dumps(value, JSON_COMPACT);
        buf_append_str(&text, json_array_size(value) ? mem_checked(json) : "");
        free(json);
    } else {
        ok = json_is_string(value) && (row->type == OPT_TEXT || row->type == OPT_CHOICE);
        buf_append_str(&text, ok ? json_string_value(value) : "");
    }
    if (!ok) {
        opt_allowed(row, allowed, sizeof(allowed));
        err_set(err, "22023", "option \"%s\" must be %s, not %s", row->name, allowed,
                type_name(value));
        rc = RC_ERR;
    }
    if (rc == RC_OK)
        rc = opt_set_text(set, index, text.data ? text.data : "", OPT_FILE, err);
    buf_fini(&text);
    return rc;
}

static void unknown_option(const struct opt_set *set, const char *name, struct err *err)
{
    const char **names = mem_calloc(set->nrows, sizeof(*names));
    const char *near;

    for (size_t i = 0; i < set->nrows; i++)
        names[i] = set->rows[i].name;
    near = opt_nearest(name, names, set->nrows);
    err_set(err, "42704", "there is no option \"%.64s\"", name);
    if (near)
        err_hint(err, "did you mean \"%s\"?", near);
    else
        err_hint(err, "config/README.md and \"segue serve --help\" list the options");
    free(names);
}

enum rc opt_load_text(struct opt_set *set, const char *where, const char *text, struct err *err)
{
    json_error_t bad;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &bad), *value;
    const char *key;
    enum rc rc = RC_OK;

    if (!root) {
        err_set(err, "22032", "%s:%d: not valid JSON: %s (column %d)", where,
                bad.line > 0 ? bad.line : 1, bad.text, bad.column);
        return RC_ERR;
    }
    if (!json_is_object(root)) {
        err_set(err, "22032", "%s:1: must be one JSON object of options, not %s", where,
                type_name(root));
        rc = RC_ERR;
    }
    json_object_foreach(root, key, value)
    {
        int index = opt_find(set, key);

        /* the file has one spelling; '-' is for flags */
        if (index >= 0 && strcmp(set->rows[index].name, key) != 0)
            index = -1;
        if (index < 0)
            unknown_option(set, key, err);
        if (index < 0 || set_json(set, index, value, err) != RC_OK) {
            err_prefix(err, "%s:%d", where, line_of_key(text, key));
            rc = RC_ERR;
            break;
        }
    }
    json_decref(root);
    return rc;
}

enum rc opt_load_file(struct opt_set *set, const char *path, struct err *err)
{
    FILE *file = text_open(path);
    struct buf text = {0};
    size_t n;
    enum rc rc = RC_ERR;

    if (!file) {
        err_set(err, "58P01", "%s: cannot open: %s", path, strerror(errno));
        return RC_ERR;
    }
    do {
        n = fread(buf_space(&text, 65536), 1, 65536, file);
        buf_grow(&text, n);
    } while (n > 0 && text.len <= FILE_BYTES_MAX);
    if (ferror(file))
        err_set(err, "58030", "%s: cannot read: %s", path, strerror(errno));
    else if (text.len > FILE_BYTES_MAX)
        err_set(err, "54000", "%s: longer than %d bytes", path, FILE_BYTES_MAX);
    else if (strlen(text.data) != text.len)
        err_set(err, "22032", "%s:1: not valid JSON: a zero byte", path);
    else
        rc = opt_load_text(set, path, text.data + text_mark(text.data), err);
    fclose(file);
    buf_fini(&text);
    return rc;
}
