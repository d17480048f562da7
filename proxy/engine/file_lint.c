/* What a file's own SQL would do to tables in use, judged without a database. */
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "segue/base/mem.h"
#include "segue/engine/lineage.h"
#include "segue/sql/ddl.h"

struct sql_lint {
    const char *where, *text;
    const struct file *file;
    json_t *findings;
};

/* "dir/x.json:3"; heap. */
static char *place(const struct sql_lint *lint, const struct file_op *op, const char *field)
{
    char *path = mem_printf("operations[%zu].sql.%s", op->index, field);
    char *at = mem_printf("%s:%d", lint->where, file_line(lint->where, lint->text, path));

    free(path);
    return at;
}

static bool makes(const struct sql_ddl *ddl, const char *table)
{
    for (size_t i = 0; i < ddl->nmade; i++)
        if (!strcmp(ddl->made[i], table))
            return true;
    return false;
}

/* By an operation, or by the SQL of one. */
static bool is_new(const struct sql_lint *lint, const char *table)
{
    bool found = false;

    for (size_t i = 0; i < lint->file->nops && !found; i++) {
        const struct file_op *op = &lint->file->ops[i];
        struct err ignored = {0};
        struct sql_ddl ddl = {0};

        if (op->kind == FILE_CREATE_TABLE)
            found = !strcmp(op->table.name, table);
        else if (op->kind == FILE_SQL && sql_ddl_read(op->up, &ddl, &ignored) == RC_OK)
            found = makes(&ddl, table);
        sql_ddl_fini(&ddl);
    }
    return found;
}

static void lint_sql(const struct sql_lint *lint, const struct file_op *op, const char *field,
                     const char *sql)
{
    struct err why = {0};
    struct sql_ddl ddl = {0};
    char *at;

    if (!sql)
        return;
    at = place(lint, op, field);
    if (sql_ddl_read(sql, &ddl, &why) != RC_OK)
        lineage_find(lint->findings, "error", "sql", at, why.hint, "%s", why.text);
    for (size_t i = 0; i < ddl.ntouches; i++) {
        const struct sql_ddl_touch *touch = &ddl.touches[i];

        if (touch->refusal && !is_new(lint, touch->name))
            lineage_find(lint->findings, "error", "sql", at, touch->hint,
                         "statement %d, %s of %s: %s", touch->statement, touch->what, touch->name,
                         touch->refusal);
    }
    sql_ddl_fini(&ddl);
    free(at);
}

void eng_file_lint(const char *where, const char *text, json_t *findings)
{
    struct sql_lint lint = {.where = where, .text = text, .findings = findings};
    struct err ignored = {0};
    struct file *file;

    if (file_load(where, text, &file, &ignored) != RC_OK)
        return; /* said by who has loaded it first */
    lint.file = file;
    for (size_t i = 0; i < file->nops; i++) {
        if (file->ops[i].kind != FILE_SQL)
            continue;
        lint_sql(&lint, &file->ops[i], "up", file->ops[i].up);
        lint_sql(&lint, &file->ops[i], "down", file->ops[i].down);
    }
    file_free(file);
}
