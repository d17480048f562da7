/* proxy/engine/file_version.c: what a file follows, and version tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/engine/file.h"
#include "segue/base/mem.h"
#include "segue/engine/lineage.h"

#define OPS "\"operations\": [{\"drop_table\": {\"name\": \"t\"}}]"
#define HASH "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

static void parents_are_a_name_or_a_list_and_several_only_merge(void **state)
{
    static const char one[] = "{\"name\": \"m\",\n\"after\": \"a\", " OPS "}";
    static const char two[] = "{\"name\": \"m\", \"after\": [\"a\", \"b\"], \"operations\": []}";
    struct eng_file_head head;
    struct err err = {0};

    (void)state;
    assert_int_equal(eng_file_head("m.json", one, &head, &err), RC_OK);
    assert_string_equal(head.name, "m");
    assert_int_equal(head.nparents, 1);
    assert_string_equal(head.parents[0], "a");
    assert_int_equal(head.line, 2);
    assert_int_equal(strlen(head.sha256), 64);
    eng_file_head_fini(&head);
    assert_int_equal(eng_file_head("m.json", two, &head, &err), RC_OK);
    assert_int_equal(head.nparents, 2);
    assert_string_equal(head.parents[1], "b");
    eng_file_head_fini(&head);
}

static void version_tables_of_three_kinds_are_read(void **state)
{
    static const char drizzle[] =
        "{\"name\": \"m\", " OPS ", \"version_table\": {\"drizzle\": {\"from\": 0, \"when\":"
        " 1700000000000, \"hash\": \"" HASH "\"}}}";
    static const char sql[] =
        "{\"name\": \"m\", " OPS ", \"version_table\": {\"sql\": {\"table\": \"s.v\", \"up\":"
        " \"UPDATE s.v SET n = 2\", \"down\": \"UPDATE s.v SET n = 1\"}}}";
    struct file *file;
    struct err err = {0};

    (void)state;
    assert_int_equal(file_load("m.json", drizzle, &file, &err), RC_OK);
    assert_string_equal(file->version_table.schema, "drizzle");
    assert_string_equal(file->version_table.name, "__drizzle_migrations");
    assert_int_equal(file->drizzle_when, 1700000000000);
    assert_string_equal(file->drizzle_hash, HASH);
    file_free(file);
    assert_int_equal(file_load("m.json", sql, &file, &err), RC_OK);
    assert_string_equal(file->version_up, "UPDATE s.v SET n = 2");
    file_free(file);
}

static void errors_name_line_and_path(void **state)
{
    static const struct {
        const char *rest, *want;
    } rows[] = {
        {"\n\"after\": 1, " OPS, "m.json:2: after: the name of a migration is wanted"},
        {"\"after\": [], " OPS, "after: a name or a list of 1 to 32 names"},
        {"\"after\": [\"a\",\n\"a\"], \"operations\": []",
         "m.json:2: after[1]: \"a\" stands twice"},
        {"\"after\": \"m\", " OPS, "after: a migration cannot follow itself"},
        {"\"after\": [\"a\", \"b\"], " OPS, "operations: a migration after several others merges"},
        {"\"after\": \"a\", \"operations\": []", "operations: a list of 1 to 256 operations"},
        {OPS ", \"version_table\": {\"flyway\": {}}", "one of: alembic, drizzle, sql is wanted"},
        {OPS ", \"version_table\": {\"drizzle\": {\"form\": 1}}",
         "version_table.drizzle.form: unknown field; allowed here: from, when, hash, table"},
        {OPS ", \"version_table\": {\"drizzle\": {\"from\": -1, \"when\": 1}}",
         "version_table.drizzle.from: a \"when\" of meta/_journal.json is wanted"},
        {OPS ", \"version_table\": {\"drizzle\": {\"from\": 5, \"when\": 5}}", "must be later"},
        {OPS ", \"version_table\": {\"drizzle\": {\"from\": 0, \"when\": 5, \"hash\": \"AB\"}}",
         "version_table.drizzle.hash: the SHA-256"},
        {OPS ", \"version_table\": {\"sql\": {\"table\": \"v\", \"up\": \"DELETE FROM v\"}}",
         "version_table.sql: field \"down\" is missing"},
        {OPS ", \"version_table\": {\"sql\": {\"table\": \"v\", \"up\": \"TRUNCATE v\", \"down\":"
             " \"DELETE FROM v\"}}",
         "version_table.sql.up: one INSERT, UPDATE or DELETE is wanted"},
        {OPS ", \"version_table\": {\"sql\": {\"table\": \"a.v\", \"up\": \"DELETE FROM b.v\","
             " \"down\": \"DELETE FROM v\"}}",
         "version_table.sql.up: it writes b.v, \"table\" says a.v"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *text = mem_printf("{\"name\": \"m\", %s}", rows[i].rest);
        struct file *file = NULL;
        struct err err = {0};

        if (file_load("m.json", text, &file, &err) != RC_ERR)
            fail_msg("accepted: %s", text);
        if (!strstr(err.text, rows[i].want))
            fail_msg("%s\n  gives: %s\n  not:   %s", text, err.text, rows[i].want);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parents_are_a_name_or_a_list_and_several_only_merge),
        cmocka_unit_test(version_tables_of_three_kinds_are_read),
        cmocka_unit_test(errors_name_line_and_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
