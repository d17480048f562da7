/* engine/file_yaml.c: migration files in YAML say what JSON says, and nothing ambiguous. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/engine/file_read.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"

#define HEAD "name: m\noperations:\n"
#define RENAME "  - rename_column: {table: t, from: a, to: b}\n"

static json_t *tree(const char *text)
{
    struct err err = {0};
    json_t *root;

    if (file_yaml_read("m.yaml", text, &root, &err) != RC_OK)
        fail_msg("%s\n  gives: %s", text, err.text);
    return root;
}

static void a_whole_file_is_read(void **state)
{
    static const char text[] = "# a comment\n"
                               "name: m\n"
                               "operations:\n"
                               "  - rename_column:\n"
                               "      table: s.t\n"
                               "      from: a\n"
                               "      to: 'b'\n"
                               "      type: jsonb\n"
                               "      up: |\n"
                               "        CASE WHEN a = 'x'\n"
                               "          THEN a::jsonb END\n"
                               "      down: \"b::text\"\n"
                               "  - add_column:\n"
                               "      table: t\n"
                               "      column: {name: c, type: int, nullable: true}\n"
                               "  - create_index: {name: i, table: t, columns: [a, {column: c}]}\n"
                               "version_table:\n"
                               "  alembic: {from: [9e15719c5c3c], to: b73c9aa4f0c3}\n";
    struct file *file;
    struct err err = {0};

    (void)state;
    assert_int_equal(file_load("m.yaml", text, &file, &err), RC_OK);
    assert_string_equal(file->name, "m");
    assert_int_equal(file->nops, 3);
    assert_string_equal(file->ops[0].table.schema, "s");
    assert_string_equal(file->ops[0].up, "CASE WHEN a = 'x'\n  THEN a::jsonb END\n");
    assert_true(file->ops[1].columns[0].nullable);
    assert_string_equal(file->ops[2].keys[1].column, "c");
    assert_string_equal(file->alembic_from[0], "9e15719c5c3c");
    file_free(file);
}

static void yaml_gives_the_tree_that_json_gives(void **state)
{
    static const struct {
        const char *yaml, *json;
    } rows[] = {
        {"a: b\nc: [1, -2, 0, 1.5, 1e3]", "{\"a\": \"b\", \"c\": [1, -2, 0, 1.5, 1000.0]}"},
        {"a: true\nb: False\nc: null\nd: ~\ne:", /* */
         "{\"a\": true, \"b\": false, \"c\": null, \"d\": null, \"e\": null}"},
        {"a: 'yes'\nb: \"1\"\nc: 'null'", "{\"a\": \"yes\", \"b\": \"1\", \"c\": \"null\"}"},
        {"a: 2024-01-01\nb: 12h\nc: .5.\nd: 1.2.3\ne: 0xg", /* no numbers to anybody */
         "{\"a\": \"2024-01-01\", \"b\": \"12h\", \"c\": \".5.\", \"d\": \"1.2.3\", \"e\": "
         "\"0xg\"}"},
        {"a: '12:30'\nb: now()\nc: a:b", "{\"a\": \"12:30\", \"b\": \"now()\", \"c\": \"a:b\"}"},
        {"a: |\n  x\n\n  y\nb: >-\n  x\n  y", "{\"a\": \"x\\n\\ny\\n\", \"b\": \"x y\"}"},
        {"{\"a\": [{\"b\": {}}, []]}", "{\"a\": [{\"b\": {}}, []]}"},
        {"%YAML 1.2\n---\na: b\n...\n", "{\"a\": \"b\"}"},
        {"\xef\xbb\xbf"
         "a: b",
         "{\"a\": \"b\"}"},
        {"- \"\\u00e9\\t\"\n- \xc3\xa9", "[\"\xc3\xa9\\t\", \"\xc3\xa9\"]"},
        {"- 9223372036854775807", "[9223372036854775807]"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        json_t *yaml = tree(rows[i].yaml), *json = json_loads(rows[i].json, 0, NULL);

        assert_non_null(json);
        if (!json_equal(yaml, json))
            fail_msg("%s\n  gives: %s", rows[i].yaml, json_dumps(yaml, 0));
        json_decref(yaml);
        json_decref(json);
    }
}

static void what_is_not_one_clear_tree_is_refused_with_line_and_path(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"", "m.yaml:1: the file is empty"},
        {"a: b\n---\nc: d\n", "m.yaml:2: a second document"},
        {"a:\n  - &x b\n  - *x\n", "m.yaml:2: a[0]: anchors are not taken"},
        {"a:\n  - &x {b: c}\n", "m.yaml:2: a[0]: anchors"},
        {"a:\n  - &x [b]\n", "m.yaml:2: a[0]: anchors"},
        {"a:\n  b: *x\n", "m.yaml:2: a.b: aliases are not taken"},
        {"a: 1\n<<: {b: c}\n", "m.yaml:2: merge keys are not taken"},
        {"a: !!str 1\n", "m.yaml:1: a: tags are not taken"},
        {"a: !x {b: c}\n", "m.yaml:1: a: tags"},
        {"a:\n  b: 1\n  b: 2\n", "m.yaml:3: a: key \"b\" stands twice"},
        {"a:\n  'b': 1\n  b: 2\n", "m.yaml:3: a: key \"b\" stands twice"},
        {"a:\n  1: b\n", "m.yaml:2: a: a key is a text, and 1 is none"},
        {"true: b\n", "m.yaml:1: a key is a text, and true is none"},
        {"~: b\n", "a key is a text"},
        {"on: b\n", "m.yaml:1: on without quotes means different things"},
        {"? [a]\n: b\n", "m.yaml:1: a key is a text"},
        {"a:\n\tb: c\n", "m.yaml:2: "},
        {"a: [b\n", "m.yaml:2: "},
        {"a: \"\\0\"\n", "m.yaml:1: a: a zero byte is no text"},
        {"a: b\nc: \xff\n", "m.yaml:2: "},
        {"a: \x01\n", "m.yaml:1: "},
        {"%YAML 3.0\n---\na: b\n", "m.yaml:1: found incompatible YAML document"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = {0};
        json_t *root;

        if (file_yaml_read("m.yaml", rows[i].text, &root, &err) != RC_ERR)
            fail_msg("accepted: %s", rows[i].text);
        assert_null(root);
        assert_string_equal(err.sqlstate, "42601");
        if (!strstr(err.text, rows[i].want))
            fail_msg("%s\n  gives: %s\n  not:   %s", rows[i].text, err.text, rows[i].want);
    }
}

static void words_that_yaml_versions_read_differently_want_quotes(void **state)
{
    static const char *const words[] = {"yes",   "No",   "on",   "OFF",  "y",     "N",
                                        "010",   "0o17", "0x1F", "0b11", "1_000", "12:30",
                                        "1:2:3", ".inf", "-.5",  "+1",   "-.NaN"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        char *text = mem_printf("a:\n  - b: %s\n", words[i]);
        char *quoted = mem_printf("a:\n  - b: '%s'\n", words[i]);
        struct err err = {0};
        json_t *root;

        if (file_yaml_read("m.yaml", text, &root, &err) != RC_ERR)
            fail_msg("accepted: %s", text);
        assert_non_null(strstr(err.text, "m.yaml:2: a[0].b: "));
        assert_non_null(strstr(err.hint, "put it into quotes"));
        root = tree(quoted);
        json_decref(root);
        free(quoted);
        free(text);
    }
}

static void tabs_are_told_as_such(void **state)
{
    struct err err = {0};
    json_t *root;

    (void)state;
    assert_int_equal(file_yaml_read("m.yaml", "a:\n\t- b\n", &root, &err), RC_ERR);
    assert_non_null(strstr(err.hint, "indent with blanks"));
}

static void depth_is_limited(void **state)
{
    struct buf text = {0};
    struct err err = {0};
    json_t *root;

    (void)state;
    for (int i = 0; i < 100000; i++)
        buf_append_str(&text, "[");
    assert_int_equal(file_yaml_read("m.yaml", text.data, &root, &err), RC_ERR);
    assert_non_null(strstr(err.text, "nested deeper than 32"));
    buf_fini(&text);
}

static void errors_of_fields_name_line_and_path(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {HEAD "  - rename_column:\n      table: t\n      form: a\n",
         "m.yaml:5: operations[0].rename_column.form: unknown field; allowed here: table, from"},
        {HEAD RENAME "nmae: x\n",
         "m.yaml:4: nmae: unknown field; allowed here: name, after, operations"},
        {HEAD RENAME "  - drop: {}\n", "m.yaml:4: operations[1]: there is no operation \"drop\""},
        {HEAD "  - rename_column: {table: t,\n      from: a, to: 1}\n",
         "m.yaml:4: operations[0].rename_column.to: a string is wanted"},
        {HEAD "  - sql: {up: SELECT 1,\n      onComplete: 'true'}\n",
         "m.yaml:4: operations[0].sql.onComplete: true or false is wanted"},
        {"operations:\n" RENAME, "m.yaml:1: name: a string is wanted: what"},
        {"just words",
         "m.yaml:1: an object with the fields name, after, operations, version_table"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct file *file = NULL;
        struct err err = {0};

        if (file_load("m.yaml", rows[i].text, &file, &err) != RC_ERR)
            fail_msg("accepted: %s", rows[i].text);
        if (!strstr(err.text, rows[i].want))
            fail_msg("%s\n  gives: %s\n  not:   %s", rows[i].text, err.text, rows[i].want);
    }
}

static void lines_of_fields_are_found(void **state)
{
    static const char text[] = "a:\n"
                               "  - 1\n"
                               "  - x: |\n"
                               "      text\n"
                               "    z: {b: 1,\n"
                               "        c: 2}\n"
                               "ab: ~\n";

    (void)state;
    assert_int_equal(file_yaml_line(text, ""), 1);
    assert_int_equal(file_yaml_line(text, "a"), 1);
    assert_int_equal(file_yaml_line(text, "a[0]"), 2);
    assert_int_equal(file_yaml_line(text, "a[1].x"), 3);
    assert_int_equal(file_yaml_line(text, "a[1].z.c"), 6);
    assert_int_equal(file_yaml_line(text, "a[1].z.nope"), 5);
    assert_int_equal(file_yaml_line(text, "a[9].z"), 1);
    assert_int_equal(file_yaml_line(text, "ab"), 7);
}

static void the_ending_or_else_the_text_tells_which_it_is(void **state)
{
    (void)state;
    assert_true(file_is_yaml("m.yaml", "{}"));
    assert_true(file_is_yaml("dir/M.YML", "{}"));
    assert_false(file_is_yaml("m.json", "name: m"));
    assert_true(file_is_yaml("migration", "name: m"));
    assert_true(file_is_yaml("-", "# why\nname: m"));
    assert_false(file_is_yaml("migration", " \n{\"name\": 1}"));
    assert_false(file_is_yaml("migration", ""));
}

static void a_name_is_found_in_a_file_that_is_wrong(void **state)
{
    char *name = file_name_peek("m", "name: m\nnope: 1\n");

    (void)state;
    assert_string_equal(name, "m");
    free(name);
    name = file_name_peek("m", "{\"name\": \"m\", \"nope\": 1}");
    assert_string_equal(name, "m");
    free(name);
    assert_null(file_name_peek("m", "name: [\n"));
    assert_null(file_name_peek("m", "- name\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_file_is_read),
        cmocka_unit_test(yaml_gives_the_tree_that_json_gives),
        cmocka_unit_test(what_is_not_one_clear_tree_is_refused_with_line_and_path),
        cmocka_unit_test(words_that_yaml_versions_read_differently_want_quotes),
        cmocka_unit_test(tabs_are_told_as_such),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(errors_of_fields_name_line_and_path),
        cmocka_unit_test(lines_of_fields_are_found),
        cmocka_unit_test(the_ending_or_else_the_text_tells_which_it_is),
        cmocka_unit_test(a_name_is_found_in_a_file_that_is_wrong),
    };

    return cmocka_run_group_tests_name("engine_file_yaml", tests, NULL, NULL);
}
