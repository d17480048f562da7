/* A file's text as a tree, whether it is JSON or YAML, and where in the text a field stands. */
#include <string.h>
#include <strings.h>

#include "file_read.h"
#include "segue/base/mem.h"

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), n = strlen(end);

    return len >= n && !strcasecmp(text + len - n, end);
}

bool file_is_yaml(const char *where, const char *text)
{
    if (ends_with(where, ".yaml") || ends_with(where, ".yml"))
        return true;
    text += strspn(text, " \t\r\n");
    return !ends_with(where, ".json") && *text && *text != '{' && *text != '[';
}

int file_line(const char *where, const char *text, const char *path)
{
    return file_is_yaml(where, text) ? file_yaml_line(text, path) : file_json_line(text, path);
}

enum rc file_tree_read(const char *where, const char *text, json_t **root, struct err *err)
{
    json_error_t why;

    *root = NULL;
    if (strlen(text) > FILE_BYTES_MAX) {
        err_set(err, "54000", "%s: a migration file has at most %d bytes", where, FILE_BYTES_MAX);
        return RC_ERR;
    }
    if (file_is_yaml(where, text))
        return file_yaml_read(where, text, root, err);
    *root = json_loads(text, JSON_REJECT_DUPLICATES, &why);
    if (*root)
        return RC_OK;
    err_set(err, "42601", "%s:%d:%d: %s", where, why.line, why.column, why.text);
    return RC_ERR;
}

char *file_name_peek(const char *where, const char *text)
{
    struct err ignored = {0};
    json_t *root;
    char *name = NULL;

    if (file_tree_read(where, text, &root, &ignored) == RC_OK)
        name = mem_strdup(json_string_value(json_object_get(root, "name")));
    json_decref(root);
    return name;
}
