/*
 * Alembic's folder of versions: each file is Python that assigns `revision` and `down_revision`. Of
 * Python just that is read: assignments of literals at the beginning of a line.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "history.h"
#include "segue/base/mem.h"
#include "segue/engine/lineage.h"

#define FILE_BYTES_MAX (1024 * 1024)
#define PARENTS_MAX 64

struct revision {
    char *name;
    char *parents[PARENTS_MAX];
    size_t nparents;
    int line;        /* of down_revision */
    const char *bad; /* what could not be read */
};

/* ---- Python, as much as is needed ---- */

/* Behind the string at `p` (with its prefix letters); its text to *out when that is not NULL. */
static const char *skip_string(const char *p, char **out)
{
    char quote[4] = {0};
    const char *from, *end;
    size_t n;

    p += strspn(p, "rRbBuUfF");
    n = strncmp(p, "\"\"\"", 3) == 0 || strncmp(p, "'''", 3) == 0 ? 3 : 1;
    memcpy(quote, p, n);
    from = p += n;
    while (*p && strncmp(p, quote, n) != 0) {
        if (n == 1 && *p == '\n')
            break;
        p += *p == '\\' && p[1] ? 2 : 1;
    }
    end = p;
    if (out)
        *out = mem_strndup(from, (size_t)(end - from));
    return *p == quote[0] ? p + n : p;
}

static bool at_string(const char *p)
{
    p += strspn(p, "rRbBuUfF");
    return *p == '"' || *p == '\'';
}

/* Behind blanks; behind comments and line ends, too, where brackets are open. */
static const char *skip_blank(const char *p, bool lines)
{
    for (;;) {
        p += strspn(p, lines ? " \t\r\n\\" : " \t");
        if (!lines || *p != '#')
            return p;
        p += strcspn(p, "\n");
    }
}

static void add_value(struct revision *r, bool is_name, char *text)
{
    if (is_name) {
        free(r->name);
        r->name = text;
    } else if (r->nparents < PARENTS_MAX) {
        r->parents[r->nparents++] = text;
    } else {
        r->bad = "down_revision names too many";
        free(text);
    }
}

/* 'x', None, ('x', 'y'), ["x"] */
static const char *read_value(const char *p, bool is_name, struct revision *r)
{
    int open = 0;

    for (;;) {
        char *text;

        p = skip_blank(p, open > 0);
        if (*p == '(' || *p == '[') {
            open++;
            p++;
        } else if ((*p == ')' || *p == ']') && open > 0) {
            p++;
            if (--open == 0)
                return p;
        } else if (*p == ',' && open > 0) {
            p++;
        } else if (at_string(p)) {
            p = skip_string(p, &text);
            add_value(r, is_name, text);
            if (open == 0)
                return p;
        } else if (strncmp(p, "None", 4) == 0 && !is_name) {
            p += 4;
            if (open == 0)
                return p;
        } else {
            r->bad = is_name ? "revision is no literal" : "down_revision is no literal";
            return p;
        }
    }
}

/* "name = ", "name: type = " at `p`: what is behind it; NULL: another line. */
static const char *assigned(const char *p, const char *name)
{
    size_t len = strlen(name);

    if (strncmp(p, name, len) != 0)
        return NULL;
    p = skip_blank(p + len, false);
    if (*p == ':')
        p += strcspn(p, "=\n");
    return *p == '=' && p[1] != '=' ? p + 1 : NULL;
}

static void read_revision(const char *text, struct revision *r)
{
    int line = 1;
    bool begins = true;

    for (const char *p = text; *p;) {
        const char *from = p, *name = begins ? assigned(p, "revision") : NULL;
        const char *parents = begins && !name ? assigned(p, "down_revision") : NULL;

        if (parents)
            r->line = line;
        if (name || parents)
            p = read_value(name ? name : parents, name != NULL, r);
        else if (*p == '"' || *p == '\'')
            p = skip_string(p, NULL);
        else if (*p == '#')
            p += strcspn(p, "\n");
        else
            p++;
        begins = p > from && p[-1] == '\n';
        for (; from < p; from++)
            line += *from == '\n';
    }
}

/* ---- the folder ---- */

static void lint_revision(struct lineage *l, const char *path, json_t *findings)
{
    struct revision r = {0};
    struct buf text = {0};
    struct err err = {0};

    if (cli_text_read(path, FILE_BYTES_MAX, &text, &err) == RC_OK)
        read_revision(text.data, &r);
    else if (strcmp(err.sqlstate, "22032") != 0) /* empty: __init__.py */
        lineage_find(findings, "error", "alembic", "", NULL, "%s", err.text);
    if (r.bad)
        lineage_find(findings, "error", "alembic", path, "write it as a string, or a tuple of them",
                     "%s", r.bad);
    else if (r.name)
        lineage_add(l,
                    &(struct lineage_node){.name = r.name,
                                           .where = path,
                                           .line = r.line,
                                           .parents = (const char *const *)r.parents,
                                           .nparents = r.nparents},
                    findings);
    for (size_t i = 0; i < r.nparents; i++)
        free(r.parents[i]);
    free(r.name);
    buf_fini(&text);
}

static enum rc lint_folder(struct lineage *l, const char *path, json_t *findings, struct err *err)
{
    static const char *const endings[] = {".py", NULL};
    const struct lineage_how how = {.always = true, .merge = "alembic merge heads"};
    char *inside = mem_printf("%s/versions", path);
    struct stat st;
    size_t n;
    const char *folder = stat(inside, &st) == 0 && S_ISDIR(st.st_mode) ? inside : path;
    char **names = cli_folder_list(folder, endings, &n, err);

    for (size_t i = 0; names && i < n; i++) {
        char *file = mem_printf("%s/%s", folder, names[i]);

        lint_revision(l, file, findings);
        free(file);
    }
    if (names)
        lineage_check(l, &how, findings);
    if (names && n == 0)
        lineage_find(findings, "warning", "files", folder, "is it the folder that is meant?",
                     "no file ends with .py");
    mem_strlist_free(names);
    free(inside);
    return names ? RC_OK : RC_ERR;
}

/* ---- the database ---- */

static void lint_versions(const struct lineage *l, bool folder, const json_t *versions,
                          json_t *findings)
{
    struct buf all = {0};
    const char *table = "alembic_version";
    size_t n = 0;

    for (size_t i = 0; i < json_array_size(versions); i++) {
        const json_t *row = json_array_get(versions, i);
        const char *at = json_string_value(json_object_get(row, "version"));

        if (strcmp(json_string_value(json_object_get(row, "tool")), "alembic") != 0 || !at)
            continue;
        table = json_string_value(json_object_get(row, "table"));
        buf_printf(&all, "%s%s", n++ ? ", " : "", at);
        if (folder && !lineage_has(l, at))
            lineage_find(findings, "error", "alembic", table,
                         "restore the file of that revision from version control",
                         "the database is at revision %s, which the folder does not have", at);
    }
    if (n > 1)
        lineage_find(findings, "error", "alembic", table, "alembic merge heads, then upgrade",
                     "the database is at %zu heads: %s", n, all.data);
    buf_fini(&all);
}

enum rc cli_lint_alembic(const char *path, const json_t *versions, json_t *findings,
                         struct err *err)
{
    struct lineage *l = lineage_new("revision");
    enum rc rc = path ? lint_folder(l, path, findings, err) : RC_OK;

    if (rc == RC_OK)
        lint_versions(l, path != NULL, versions, findings);
    lineage_free(l);
    return rc;
}
