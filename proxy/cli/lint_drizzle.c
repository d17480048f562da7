/*
 * drizzle's folder of migrations: meta/_journal.json lists the entries, <tag>.sql is what an entry
 * runs, meta/NNNN_snapshot.json know whom they follow. drizzle's migrator runs the entries whose
 * `when` is later than the latest one in the database, whatever else is there.
 */
#include <stdlib.h>
#include <string.h>

#include "history.h"
#include "segue/base/mem.h"
#include "segue/engine/lineage.h"

#define FILE_BYTES_MAX (64 * 1024 * 1024)
#define NO_PARENT "00000000-0000-0000-0000-000000000000"

struct entry {
    char *tag, *sha256; /* NULL: its file cannot be read */
    json_int_t when;
    bool applied;
};

struct journal {
    const char *path;
    struct entry *entries;
    size_t n;
    json_t *findings;
};

static json_t *read_json(const char *path, struct err *err)
{
    struct buf text = {0};
    json_error_t why;
    json_t *out = NULL;

    if (cli_text_read(path, FILE_BYTES_MAX, &text, err) == RC_OK) {
        out = json_loads(text.data, 0, &why);
        if (!out)
            err_set(err, "22032", "%s:%d: %s", path, why.line, why.text);
    }
    buf_fini(&text);
    return out;
}

/* ---- the journal ---- */

static void read_entry(struct journal *j, const json_t *from, struct entry *entry)
{
    const char *tag = json_string_value(json_object_get(from, "tag"));
    struct buf text = {0};
    struct err err = {0};
    char *path;

    entry->tag = mem_strdup(tag ? tag : "");
    entry->when = json_integer_value(json_object_get(from, "when"));
    path = mem_printf("%s/%s.sql", j->path, entry->tag);
    if (cli_text_read(path, FILE_BYTES_MAX, &text, &err) == RC_OK)
        entry->sha256 = eng_sha256_hex(text.data, text.len);
    else
        lineage_find(j->findings, "error", "drizzle", "", "restore it from version control", "%s",
                     err.text);
    buf_fini(&text);
    free(path);
}

static void check_order(struct journal *j, const char *path, size_t i, const json_t *from)
{
    const struct entry *entry = &j->entries[i];

    if (json_integer_value(json_object_get(from, "idx")) != (json_int_t)i)
        lineage_find(j->findings, "error", "drizzle", path,
                     "two branches have met: generate the later one anew",
                     "entry \"%s\" has idx %lld and stands at %zu", entry->tag,
                     (long long)json_integer_value(json_object_get(from, "idx")), i);
    if (i && entry->when <= entry[-1].when)
        lineage_find(
            j->findings, "error", "drizzle", path, "generate the later one anew",
            "entry \"%s\" is not later than \"%s\": drizzle's migrator skips it where that "
            "one was applied",
            entry->tag, entry[-1].tag);
    for (size_t k = 0; k < i; k++)
        if (strcmp(j->entries[k].tag, entry->tag) == 0)
            lineage_find(j->findings, "error", "drizzle", path, NULL, "entry \"%s\" stands twice",
                         entry->tag);
}

static enum rc read_journal(struct journal *j, struct err *err)
{
    char *path = mem_printf("%s/meta/_journal.json", j->path);
    json_t *root = read_json(path, err), *list = json_object_get(root, "entries"), *from;
    size_t i;

    if (root && !json_is_array(list))
        err_set(err, "22032", "%s: not drizzle's journal: \"entries\" is missing", path);
    j->entries = mem_calloc(json_array_size(list) + 1, sizeof(*j->entries));
    json_array_foreach(list, i, from)
    {
        read_entry(j, from, &j->entries[j->n++]);
        check_order(j, path, i, from);
    }
    json_decref(root);
    free(path);
    return err_is_set(err) ? RC_ERR : RC_OK;
}

/* A .sql file that no entry names is never run. */
static enum rc check_files(struct journal *j, struct err *err)
{
    static const char *const endings[] = {".sql", NULL};
    size_t n;
    char **names = cli_folder_list(j->path, endings, &n, err);

    for (size_t i = 0; names && i < n; i++) {
        bool named = false;

        for (size_t k = 0; k < j->n; k++)
            named |= strlen(j->entries[k].tag) + 4 == strlen(names[i]) &&
                     strncmp(j->entries[k].tag, names[i], strlen(names[i]) - 4) == 0;
        if (!named)
            lineage_find(j->findings, "warning", "drizzle", names[i], NULL,
                         "no entry of the journal names it: drizzle never runs it");
    }
    mem_strlist_free(names);
    return names ? RC_OK : RC_ERR;
}

/* ---- who follows whom ---- */

static enum rc check_snapshots(struct journal *j, struct err *err)
{
    static const char *const endings[] = {"_snapshot.json", NULL};
    const struct lineage_how how = {.always = true,
                                    .merge = "drop the later one, and generate it anew"};
    struct lineage *l = lineage_new("snapshot");
    char *meta = mem_printf("%s/meta", j->path);
    size_t n;
    char **names = cli_folder_list(meta, endings, &n, err);

    for (size_t i = 0; names && i < n; i++) {
        char *path = mem_printf("%s/%s", meta, names[i]);
        struct err why = {0};
        json_t *root = read_json(path, &why);
        const char *id = json_string_value(json_object_get(root, "id"));
        const char *parent = json_string_value(json_object_get(root, "prevId"));

        if (!id)
            lineage_find(j->findings, "error", "drizzle", "", NULL, "%s",
                         err_is_set(&why) ? why.text : "a snapshot without id");
        else
            lineage_add(
                l,
                &(struct lineage_node){.name = id,
                                       .where = path,
                                       .parents = &parent,
                                       .nparents = parent && strcmp(parent, NO_PARENT) != 0},
                j->findings);
        json_decref(root);
        free(path);
    }
    if (names)
        lineage_check(l, &how, j->findings);
    mem_strlist_free(names);
    free(meta);
    lineage_free(l);
    return names ? RC_OK : RC_ERR;
}

/* ---- the database ---- */

static void check_row(struct journal *j, const json_t *row, json_int_t *last)
{
    const char *table = json_string_value(json_object_get(row, "table"));
    const char *at = json_string_value(json_object_get(row, "version"));
    const char *hash = json_string_value(json_object_get(row, "hash"));
    json_int_t when = at ? strtoll(at, NULL, 10) : 0;

    *last = when > *last ? when : *last;
    for (size_t i = 0; i < j->n; i++) {
        struct entry *entry = &j->entries[i];

        if (entry->when != when)
            continue;
        entry->applied = true;
        if (hash && entry->sha256 && strcmp(hash, entry->sha256) != 0)
            lineage_find(j->findings, "error", "drizzle", entry->tag,
                         "restore the file, and generate a new one",
                         "it is applied with SHA-256 %.12s, the file has %.12s", hash,
                         entry->sha256);
        return;
    }
    lineage_find(j->findings, "error", "drizzle", table,
                 "restore the entry and its file from version control",
                 "the database has the entry of %s, which the journal does not have",
                 at ? at : "no time");
}

static void check_versions(struct journal *j, const json_t *versions)
{
    json_int_t last = 0;

    for (size_t i = 0; i < json_array_size(versions); i++) {
        const json_t *row = json_array_get(versions, i);

        if (strcmp(json_string_value(json_object_get(row, "tool")), "drizzle") == 0)
            check_row(j, row, &last);
    }
    for (size_t i = 0; i < j->n; i++)
        if (!j->entries[i].applied && j->entries[i].when <= last)
            lineage_find(j->findings, "error", "drizzle", j->entries[i].tag, "generate it anew",
                         "later entries are applied, and it is not: drizzle never runs it");
}

enum rc cli_lint_drizzle(const char *path, const json_t *versions, json_t *findings,
                         struct err *err)
{
    struct journal j = {.path = path, .findings = findings};
    enum rc rc = RC_OK;

    if (!path)
        return RC_OK;
    if (read_journal(&j, err) != RC_OK || check_files(&j, err) != RC_OK ||
        check_snapshots(&j, err) != RC_OK)
        rc = RC_ERR;
    else
        check_versions(&j, versions);
    for (size_t i = 0; i < j.n; i++) {
        free(j.entries[i].tag);
        free(j.entries[i].sha256);
    }
    free(j.entries);
    return rc;
}
