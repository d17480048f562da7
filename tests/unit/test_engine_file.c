/* engine/file.h: migration files and what is wrong with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/engine/file.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"

#define OPS(text) "{\"name\": \"m\", \"operations\": [" text "]}"
#define RENAME(rest)                                                                               \
    "{\"rename_column\": {\"table\": \"t\", \"from\": \"a\", \"to\": \"b\"" rest "}}"

static void a_whole_file_is_read(void **state)
{
    static const char text[] =
        "{ \"name\": \"m\", \"operations\": [\n"
        " {\"rename_column\": {\"table\": \"s.t\", \"from\": \"a\", \"to\": \"b\","
        "   \"type\": \"jsonb\", \"up\": \"a::jsonb\", \"down\": \"b::text\"}},\n"
        " {\"add_column\": {\"table\": \"\\\"My.T\\\"\", \"column\": {\"name\": \"c\","
        "   \"type\": \"int\", \"default\": \"1\"}}},\n"
        " {\"create_table\": {\"name\": \"n\", \"columns\": [{\"name\": \"id\", \"type\": \"int\","
        "   \"pk\": true, \"references\": {\"table\": \"u\", \"column\": \"id\","
        "   \"on_delete\": \"cascade\"}}]}},\n"
        " {\"create_index\": {\"name\": \"i\", \"table\": \"t\", \"columns\": [\"a\","
        "   {\"column\": \"b\", \"sort\": \"desc\"}], \"unique\": true, \"predicate\": \"a > "
        "1\"}}],\n"
        " \"version_table\": {\"alembic\": {\"from\": [\"x\", \"y\"], \"to\": \"z\"}} }";
    struct file *file;
    struct err err = {0};

    (void)state;
    assert_int_equal(file_load("m.json", text, &file, &err), RC_OK);
    assert_string_equal(file->name, "m");
    assert_int_equal(file->nops, 4);
    assert_string_equal(file->ops[0].table.schema, "s");
    assert_string_equal(file->ops[0].up, "a::jsonb");
    assert_null(file->ops[1].table.schema);
    assert_string_equal(file->ops[1].table.name, "My.T");
    assert_string_equal(file->ops[1].columns[0].def, "1");
    assert_false(file->ops[1].columns[0].nullable);
    assert_string_equal(file->ops[2].columns[0].ones[FILE_FOREIGN_KEY]->on_delete, "CASCADE");
    assert_string_equal(file->ops[3].keys[1].sort, "DESC");
    assert_true(file->ops[3].unique);
    assert_int_equal(file->nalembic_from, 2);
    assert_string_equal(file->alembic_to, "z");
    file_free(file);
}

static void errors_name_file_line_path_and_what_is_allowed(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"{", "m.json:1:1: "},
        {"[]", "an object with the fields name, after, operations, version_table is wanted"},
        {"{\n\"name\": \"m\",\n\"operation\": []}", "m.json:3: operation: unknown field; allowed "
                                                    "here: name, after, operations, version_table"},
        {"{\"operations\": [" RENAME("") "]}", "m.json:1: name: a string is wanted"},
        {"{\"name\": 1}", "m.json:1: name: a string is wanted"},
        {"{\"name\": \"m\", \"operations\": []}", "operations: a list of 1 to 256"},
        {OPS("\n{\"drop\": {}}"),
         "m.json:2: operations[0]: there is no operation \"drop\"; known: rename_column"},
        {OPS(RENAME("") ",\n{\"rename_column\": {\"table\": \"t\",\n\"form\": \"a\"}}"),
         "m.json:3: operations[1].rename_column.form: unknown field; allowed here: table, from, to,"
         " type, up, down"},
        {OPS("{\"rename_column\": {\"table\": \"t\", \"to\": \"a\"}}"),
         "operations[0].rename_column: field \"from\" is missing"},
        {OPS("{\"rename_column\": {\"table\": 1}}"), "rename_column.table: a string is wanted"},
        {OPS("{\"rename_column\": {\"table\": \"a.b.c\"}}"), "is not the name of a table"},
        {OPS(RENAME(", \"up\": \"a\"")), "\"up\" and \"down\" need \"type\""},
        {OPS(RENAME(", \"type\": \"int\", \"up\": \"a::int\"")), "go together"},
        {OPS(RENAME(", \"type\": \"int; drop\"")), "rename_column.type: \"int; drop\" is not one"},
        {OPS(RENAME(", \"up\": \"a,\"")), "rename_column.up: syntax error"},
        {OPS(RENAME(", \"up\": \"(select 1)\"")), "a subquery is not allowed"},
        {OPS(RENAME(", \"up\": \"max(a) over ()\"")), "an aggregate or window function is not"},
        {OPS("{\"rename_column\": {\"table\": \"t\", \"from\": \"a\", \"to\": \"a\"}}"),
         "are the same name"},
        {OPS("{\"add_column\": {\"table\": \"t\", \"column\": {\"name\": \"x\", \"type\": "
             "\"int\"}}}"),
         "is NOT NULL and has neither default nor up"},
        {OPS("{\"add_column\": {\"table\": \"t\", \"column\": {\"name\": \"x\", \"type\": \"int\","
             " \"pk\": true}}}"),
         "is NOT NULL and has neither default nor up"},
        {OPS("{\"create_table\": {\"name\": \"t\", \"columns\": [{\"name\": \"a\", \"type\": "
             "\"int\"},"
             "{\"name\": \"a\", \"type\": \"int\"}]}}"),
         "create_table.columns[1]: column \"a\" stands twice"},
        {OPS("{\"create_index\": {\"name\": \"i\", \"table\": \"t\", \"columns\": []}}"),
         "create_index.columns: a list of 1 to 32"},
        {OPS("{\"create_index\": {\"name\": \"i\", \"table\": \"t\", \"columns\": [{\"column\": "
             "\"a\","
             " \"sort\": \"up\"}]}}"),
         "create_index.columns[0].sort: \"up\" is not one of ASC, DESC"},
        {OPS("{\"sql\": {\"up\": \"a\", \"down\": \"b\", \"onComplete\": true}}"),
         "do not go together"},
        {OPS("{\"sql\": {\"down\": \"b\"}}"), "operations[0].sql: field \"up\" is missing"},
        {OPS("{\"drop_table\": {\"table\": \"t\"}}"),
         "drop_table.table: unknown field; allowed here: name"},
        {OPS("{\"rename_table\": {\"from\": \"s.t\", \"to\": \"t\"}}"), "are the same name"},
        {OPS("{\"rename_constraint\": {\"table\": \"t\", \"from\": \"a\", \"to\": \"a\"}}"),
         "are the same name"},
        {OPS("{\"set_replica_identity\": {\"table\": \"t\", \"identity\": {\"type\": \"some\"}}}"),
         "identity.type: \"some\" is not one of DEFAULT, FULL, NOTHING, INDEX"},
        {OPS("{\"set_replica_identity\": {\"table\": \"t\", \"identity\": {\"type\": \"index\"}}}"),
         "needs \"index\""},
        {OPS("{\"set_replica_identity\": {\"table\": \"t\", \"identity\": {\"type\": \"full\","
             " \"index\": \"i\"}}}"),
         "\"index\" goes with identity of type"},
        {OPS("{\"create_enum\": {\"name\": \"e\", \"values\": []}}"), "a list of 1 to 1000 values"},
        {OPS("{\"create_enum\": {\"name\": \"e\", \"values\": [\"a\", \"a\"]}}"),
         "create_enum.values[1]: \"a\" stands twice"},
        {OPS("{\"create_enum\": {\"name\": \"e\", \"values\": [\"a\", 1]}}"),
         "create_enum.values[1]: a string is wanted"},
        {OPS("{\"add_enum_value\": {\"name\": \"e\", \"value\": \"v\", \"before\": \"a\","
             " \"after\": \"b\"}}"),
         "do not go together"},
        {OPS("{\"add_enum_value\": {\"name\": \"e\", \"value\": \"v\", \"before\": \"v\"}}"),
         "is to stand beside itself"},
        {"{\"name\": \"m\", \"operations\": [" RENAME("") "], \"version_table\": {\"rails\": {}}}",
         "version_table: an object with one of: alembic"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct file *file = NULL;
        struct err err = {0};

        if (file_load("m.json", rows[i].text, &file, &err) != RC_ERR)
            fail_msg("accepted: %s", rows[i].text);
        if (!strstr(err.text, rows[i].want))
            fail_msg("%s\n  gives: %s\n  not:   %s", rows[i].text, err.text, rows[i].want);
        assert_null(file);
    }
}

static void limits_of_size_count_and_names_hold(void **state)
{
    struct buf text = {0};
    char *big = mem_calloc(1, FILE_BYTES_MAX + 2);
    char name[FILE_NAME_BYTES_MAX + 2];
    struct file *file;
    struct err err = {0};

    (void)state;
    memset(big, ' ', FILE_BYTES_MAX + 1);
    assert_int_equal(file_load("m", big, &file, &err), RC_ERR);
    assert_string_equal(err.sqlstate, "54000");
    free(big);

    buf_append_str(&text, "{\"name\": \"m\", \"operations\": [");
    for (int i = 0; i <= FILE_OPERATIONS_MAX; i++)
        buf_printf(&text, "%s" RENAME(""), i ? "," : "");
    buf_append_str(&text, "]}");
    err_clear(&err);
    assert_int_equal(file_load("m", text.data, &file, &err), RC_ERR);
    assert_non_null(strstr(err.text, "1 to 256"));
    buf_reset(&text);

    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    buf_printf(&text, "{\"name\": \"%s\", \"operations\": [" RENAME("") "]}", name);
    err_clear(&err);
    assert_int_equal(file_load("m", text.data, &file, &err), RC_ERR);
    assert_non_null(strstr(err.text, "1 to 63 bytes"));
    buf_fini(&text);
}

static void lines_of_fields_are_found(void **state)
{
    static const char text[] = "{\n \"a\": [ 1, {\"x\": \"],}\\\"\"},\n  {\n\"b\" : true } ],\n"
                               " \"c\": null }";

    (void)state;
    assert_int_equal(file_line("m.json", text, ""), 1);
    assert_int_equal(file_line("m.json", text, "a[0]"), 2);
    assert_int_equal(file_line("m.json", text, "a[1].x"), 2);
    assert_int_equal(file_line("m.json", text, "a[2]"), 3);
    assert_int_equal(file_line("m.json", text, "a[2].b"), 4);
    assert_int_equal(file_line("m.json", text, "a[2].nope"), 3);
    assert_int_equal(file_line("m.json", text, "a[9].b"), 2);
    assert_int_equal(file_line("m.json", text, "c"), 5);
}

/* What stands behind the end would be the value. */
static void a_line_is_not_looked_for_behind_the_end_of_broken_text(void **state)
{
    static const char last[] = "{\"a\"\0[0,\n0]", first[] = "{\"b\"\0 0, \n\"a\": 0}";

    (void)state;
    assert_int_equal(file_line("m.json", last, "a[1]"), 1);
    assert_int_equal(file_line("m.json", first, "a"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_file_is_read),
        cmocka_unit_test(errors_name_file_line_path_and_what_is_allowed),
        cmocka_unit_test(limits_of_size_count_and_names_hold),
        cmocka_unit_test(lines_of_fields_are_found),
        cmocka_unit_test(a_line_is_not_looked_for_behind_the_end_of_broken_text),
    };

    return cmocka_run_group_tests_name("engine_file", tests, NULL, NULL);
}
