/*
 * Migration files, JSON and YAML: the loader, and the reader of a file's own statements. A file
 * that is refused has a reason; one that is taken is whole; what YAML says is what JSON would.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../proxy/engine/file_read.h"
#include "segue/sql/ddl.h"
#include "target.h"

static void finding(const char *what, const char *text)
{
    fprintf(stderr, "bed: %s: %s\n", what, text);
    abort();
}

static void check_statements(const struct file_op *op)
{
    struct err err = {0};
    struct sql_ddl ddl;

    if (op->kind != FILE_SQL)
        return;
    if (sql_ddl_read(op->up, &ddl, &err) == RC_OK)
        sql_ddl_fini(&ddl);
    else if (!err_is_set(&err))
        finding("statements refused without a reason", op->up);
}

static void check_file(const struct file *file)
{
    if (!file->name || !*file->name || !file->nops)
        finding("taken, but not whole", file->name ? file->name : "");
    for (size_t i = 0; i < file->nops; i++) {
        if (file->ops[i].kind >= FILE_OP_COUNT || file->ops[i].index != i)
            finding("an operation out of place", file->name);
        check_statements(&file->ops[i]);
    }
}

/* The tree of YAML, written as JSON and loaded again: the same outcome? */
static void check_same(const char *text, bool taken)
{
    struct err err = {0};
    struct file *file = NULL;
    json_t *root;
    char *json;

    if (file_yaml_read("m.yaml", text, &root, &err) != RC_OK)
        return;
    json = json_dumps(root, JSON_ENCODE_ANY);
    json_decref(root);
    if (!json)
        finding("a tree that is no JSON", text);
    if (strlen(json) <= FILE_BYTES_MAX &&
        (file_load("m.json", json, &file, &err) == RC_OK) != taken)
        finding("YAML and JSON differ", json);
    file_free(file);
    free(json);
}

static void load(const char *where, const char *text)
{
    struct err err = {0};
    struct file *file = NULL;
    bool taken = file_load(where, text, &file, &err) == RC_OK;
    char *name = file_name_peek(where, text);

    if (taken && (!name || strcmp(name, file->name)))
        finding("another name", text);
    if (taken)
        check_file(file);
    else if (!err_is_set(&err) || file)
        finding("refused without a reason", text);
    if (file_line(where, text, "operations[1].sql.up") < 1)
        finding("a line before the first", text);
    if (file_is_yaml(where, text))
        check_same(text, taken);
    free(name);
    file_free(file);
}

int fuzz_one(const uint8_t *data, size_t len)
{
    char *text = malloc(len + 1);

    memcpy(text, data, len);
    text[len] = '\0';
    load("m.json", text);
    load("m.yaml", text);
    free(text);
    return 0;
}

const struct fuzz_seed fuzz_seeds[] = {
    FUZZ_SEED("{\"name\": \"m\", \"operations\": [{\"rename_column\": {\"table\": \"s.\\\"T\\\"\","
              " \"from\": \"a\", \"to\": \"b\", \"type\": \"numeric(3,1)\", \"up\": \"a::numeric\","
              " \"down\": \"b::text\"}}, {\"create_index\": {\"name\": \"i\", \"table\": \"t\","
              " \"columns\": [\"a\", {\"column\": \"b\", \"sort\": \"desc\"}]}}],"
              " \"version_table\": {\"alembic\": {\"from\": [\"x\"], \"to\": \"y\"}}}"),
    FUZZ_SEED("{\"name\": \"m\", \"operations\": [{\"alter_column\": {\"table\": \"t\", \"column\":"
              " \"c\", \"nullable\": false, \"default\": null, \"check\": {\"name\": \"k\","
              " \"constraint\": \"c > 0\"}, \"up\": \"coalesce(c, 1)\"}}, {\"drop_constraint\":"
              " {\"table\": \"t\", \"name\": \"k\", \"up\": \"c\", \"down\": \"c\"}}]}"),
    FUZZ_SEED("{\"name\": \"m\", \"operations\": [{\"create_table\": {\"name\": \"n\", \"columns\":"
              " [{\"name\": \"id\", \"type\": \"bigserial\", \"pk\": true, \"references\":"
              " {\"table\": \"u\", \"column\": \"id\", \"on_delete\": \"cascade\"}}]}}]}"),
    FUZZ_SEED("{\"name\": \"m\", \"operations\": [{\"create_table\": {\"name\": \"n\", \"comment\":"
              " \"c\", \"columns\": [{\"name\": \"a\", \"type\": \"int\", \"generated\":"
              " {\"identity\": {\"sequence_options\": \"START 5\"}}, \"check\": {\"name\": \"k\","
              " \"constraint\": \"a > 0\"}}, {\"name\": \"b\", \"type\": \"int\", \"generated\":"
              " {\"expression\": \"a + 1\", \"virtual\": true}}], \"constraints\": [{\"name\":"
              " \"e\", \"type\": \"exclude\", \"exclude\": {\"index_method\": \"gist\","
              " \"elements\": \"a WITH =\"}}, {\"name\": \"f\", \"type\": \"foreign_key\","
              " \"columns\": [\"a\"], \"references\": {\"table\": \"o\", \"columns\": [\"x\"],"
              " \"on_delete\": \"SET NULL\", \"on_delete_set_columns\": [\"a\"]}}]}}]}"),
    FUZZ_SEED("name: m\noperations:\n- create_index:\n    name: i\n    table: t\n    columns:\n"
              "      b: {sort: DESC, nulls: LAST, collate: C}\n      a:\n        opclass: {name: o,"
              " params: [siglen=32]}\n    storage_parameters: fillfactor = 70, x = off\n"
              "- add_column: {table: t, column: {name: c, type: bigserial, pk: true}}\n"),
    FUZZ_SEED("name: m\noperations:\n- sql:\n    up: |\n      ALTER TABLE t ENABLE TRIGGER g;\n"
              "      DROP VIEW v; -- x\n    down: >-\n      SELECT 1\n"
              "- sql: {up: \"CREATE TABLE a (b int REFERENCES c)\", onComplete: true}\n"),
    FUZZ_SEED("%YAML 1.2\n---\nname: 'm'\noperations:\n"
              "  - set_replica_identity: {table: t, identity: {type: index, index: i}}\n"
              "  - create_enum: {name: e, values: [a, \"b\\u00e9\", 'c']}\n"
              "  - add_enum_value:\n      name: e\n      value: d\n      after: a\n...\n"),
    FUZZ_SEED("a: &x [1, -2.5e3, 0x1f, 1:30, yes, ~, .inf]\n<<: *x\n? {b: c}\n: !!str d\n"
              "\"e\\0\": \"\\ud800\"\n--- \n"),
};
const size_t fuzz_nseeds = sizeof(fuzz_seeds) / sizeof(fuzz_seeds[0]);
