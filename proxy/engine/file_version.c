/*
 * What a file says of its place among others: the migrations it follows, and the table in which an
 * application's own tool counts versions.
 */
#include <stdlib.h>
#include <string.h>

#include "file_read.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/sql/write.h"

/* ---- after ---- */

static enum rc add_parent(struct load *load, const char *path, json_t *value, struct file *file)
{
    const char *name = json_string_value(value);
    size_t len = name ? strlen(name) : 0;

    if (len == 0 || len > FILE_NAME_BYTES_MAX)
        return file_bad(load, path, "the name of a migration is wanted, of 1 to %d bytes",
                        FILE_NAME_BYTES_MAX);
    if (!strcmp(name, file->name))
        return file_bad(load, path, "a migration cannot follow itself");
    for (size_t i = 0; i < file->nafter; i++)
        if (!strcmp(file->after[i], name))
            return file_bad(load, path, "\"%s\" stands twice in the list", name);
    file->after[file->nafter++] = mem_strdup(name);
    return RC_OK;
}

static enum rc read_parents(struct load *load, json_t *value, struct file *file)
{
    size_t n = json_is_array(value) ? json_array_size(value) : 1;
    enum rc rc = RC_OK;

    if (n == 0 || n > FILE_PARENTS_MAX)
        return file_bad(load, "after", "a name or a list of 1 to %d names is wanted",
                        FILE_PARENTS_MAX);
    file->after = mem_calloc(n, sizeof(*file->after));
    for (size_t i = 0; rc == RC_OK && i < n; i++) {
        char *path = json_is_array(value) ? mem_printf("after[%zu]", i) : mem_strdup("after");

        rc = add_parent(load, path, json_is_array(value) ? json_array_get(value, i) : value, file);
        free(path);
    }
    return rc;
}

/* Two lines of files meet in one that does nothing: what either does was tried on its own. */
enum rc file_read_after(struct load *load, json_t *root, struct file *file)
{
    json_t *after = json_object_get(root, "after");

    if (after && read_parents(load, after, file) != RC_OK)
        return RC_ERR;
    if (file->nafter > 1 && file->nops) {
        err_hint(load->err, "merge them by a file without operations, and follow that one");
        return file_bad(load, "operations",
                        "a migration after several others merges them: it has "
                        "no operations");
    }
    if (file->nafter < 2 && !file->nops)
        return file_bad(load, "operations",
                        "a list of 1 to %d operations is wanted (none when \"after\" names "
                        "several migrations, which are merged)",
                        FILE_OPERATIONS_MAX);
    return RC_OK;
}

/* ---- version_table ---- */

static const struct field alembic_fields[] = {
    {"from", HEADS, true, offsetof(struct file, alembic_from)},
    {"to", TEXT, true, offsetof(struct file, alembic_to)},
};
static const struct field sql_fields[] = {
    {"table", TABLE, true, offsetof(struct file, version_table)},
    {"up", TEXT, true, offsetof(struct file, version_up)},
    {"down", TEXT, true, offsetof(struct file, version_down)},
};

static enum rc read_alembic(struct load *load, const char *path, json_t *value, struct file *file)
{
    return file_read_object(load, path, value, alembic_fields, ARRAY_LEN(alembic_fields), file);
}

static bool is_sha256(const char *text)
{
    return text && strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

static enum rc read_when(struct load *load, const char *path, json_t *value, int64_t min,
                         int64_t *out)
{
    if (!json_is_integer(value) || json_integer_value(value) < min)
        return file_bad(load, path, "a \"when\" of meta/_journal.json is wanted: milliseconds");
    *out = json_integer_value(value);
    return RC_OK;
}

/* {"from": when of the entry before, 0 for none, "when", "hash", ["table"]} */
static enum rc read_drizzle(struct load *load, const char *path, json_t *value, struct file *file)
{
    static const char allowed[] = "from, when, hash, table";
    static const struct field table = {"table", TABLE, false, 0};
    const char *key, *hash = json_string_value(json_object_get(value, "hash"));
    json_t *item, *name = json_object_get(value, "table");
    enum rc rc = RC_OK;

    if (!json_is_object(value))
        return file_bad(load, path, "an object with the fields %s is wanted", allowed);
    json_object_foreach(value, key, item)
    {
        if (strcmp(key, "from") && strcmp(key, "when") && strcmp(key, "hash") &&
            strcmp(key, "table")) {
            char *at = mem_printf("%s.%s", path, key);

            rc = file_bad(load, at, "unknown field; allowed here: %s", allowed);
            free(at);
            return rc;
        }
    }
    if (read_when(load, "version_table.drizzle.from", json_object_get(value, "from"), 0,
                  &file->drizzle_from) != RC_OK ||
        read_when(load, "version_table.drizzle.when", json_object_get(value, "when"), 1,
                  &file->drizzle_when) != RC_OK)
        return RC_ERR;
    if (file->drizzle_when <= file->drizzle_from)
        return file_bad(load, "version_table.drizzle.when",
                        "it must be later than \"from\": drizzle skips what is not");
    if (!is_sha256(hash))
        return file_bad(load, "version_table.drizzle.hash",
                        "the SHA-256 of the entry's .sql file is wanted, 64 digits of hex");
    file->drizzle_hash = mem_strdup(hash);
    return file_read_text(load, "version_table.drizzle.table", table.kind,
                          name ? json_string_value(name) ? json_string_value(name) : ""
                               : "drizzle.__drizzle_migrations",
                          &file->version_table);
}

static enum rc check_statement(struct load *load, const char *field, const char *text,
                               const struct file_name *table)
{
    struct err why = {0};
    char *path = mem_printf("version_table.sql.%s", field), *schema, *name;
    enum rc rc = sql_write_parse(text, &schema, &name, &why);

    if (rc != RC_OK) {
        err_hint(load->err, "%s", why.hint);
        rc = file_bad(load, path, "%s", why.text);
    } else if (strcmp(name, table->name) ||
               (schema && table->schema && strcmp(schema, table->schema))) {
        rc = file_bad(load, path, "it writes %s%s%s, \"table\" says %s%s%s", schema ? schema : "",
                      schema ? "." : "", name, table->schema ? table->schema : "",
                      table->schema ? "." : "", table->name);
    }
    free(schema);
    free(name);
    free(path);
    return rc;
}

static enum rc read_sql(struct load *load, const char *path, json_t *value, struct file *file)
{
    if (file_read_object(load, path, value, sql_fields, ARRAY_LEN(sql_fields), file) != RC_OK ||
        check_statement(load, "up", file->version_up, &file->version_table) != RC_OK)
        return RC_ERR;
    return check_statement(load, "down", file->version_down, &file->version_table);
}

enum rc file_read_version(struct load *load, json_t *value, struct file *file)
{
    static const struct {
        const char *name;
        enum rc (*read)(struct load *load, const char *path, json_t *value, struct file *file);
    } kinds[] = {
        {"alembic", read_alembic},
        {"drizzle", read_drizzle},
        {"sql", read_sql},
    };

    for (size_t i = 0; json_object_size(value) == 1 && i < ARRAY_LEN(kinds); i++) {
        json_t *item = json_object_get(value, kinds[i].name);
        char *path;
        enum rc rc;

        if (!item)
            continue;
        path = mem_printf("version_table.%s", kinds[i].name);
        rc = kinds[i].read(load, path, item, file);
        free(path);
        return rc;
    }
    return file_bad(load, "version_table",
                    "an object with one of: alembic, drizzle, sql is wanted");
}

void file_version_fini(struct file *file)
{
    for (size_t i = 0; i < file->nafter; i++)
        free(file->after[i]);
    free(file->after);
    free(file->drizzle_hash);
    free(file->version_table.schema);
    free(file->version_table.name);
    free(file->version_up);
    free(file->version_down);
}
