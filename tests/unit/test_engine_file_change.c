/* engine/file_change.c: columns split and merged, as the file says it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/engine/file.h"

#define CHANGE(rest)                                                                               \
    "{\"name\": \"m\", \"operations\": [{\"change_columns\": {\"table\": \"s.t\"" rest "}}]}"
#define FROM ", \"from\": [\"a\"]"
#define TO ", \"to\": [{\"name\": \"x\", \"type\": \"int\"}, {\"name\": \"y\", \"type\": \"int\"}]"
#define UP ", \"up\": {\"x\": \"a / 10\", \"y\": \"a % 10\"}"
#define DOWN ", \"down\": {\"a\": \"x * 10 + y\"}"

static void change_columns_reads_every_field(void **state)
{
    struct file *file = NULL;
    struct err err = {0};
    const struct file_op *op;

    (void)state;
    if (file_load("m.json",
                  CHANGE(FROM ", \"to\": [{\"name\": \"x\", \"type\": \"int\"}, {\"name\": \"y\", "
                              "\"type\": \"int\", \"nullable\": true, \"default\": \"0\", "
                              "\"comment\": \"c\"}]" UP DOWN),
                  &file, &err) != RC_OK)
        fail_msg("%s", err.text);
    op = &file->ops[0];
    assert_int_equal(op->kind, FILE_CHANGE_COLUMNS);
    assert_string_equal(op->table.schema, "s");
    assert_int_equal(op->from_columns.n, 1);
    assert_string_equal(op->from_columns.v[0], "a");
    assert_int_equal(op->ncolumns, 2);
    assert_false(op->columns[0].nullable);
    assert_true(op->columns[1].nullable);
    assert_string_equal(op->columns[1].def, "0");
    assert_string_equal(op->columns[1].comment, "c");
    assert_string_equal(op->ups.columns[1], "y");
    assert_string_equal(op->ups.exprs[1], "a % 10");
    assert_string_equal(op->downs.exprs[0], "x * 10 + y");
    file_free(file);
}

static void what_is_wrong_is_named_with_its_field(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {CHANGE(TO UP DOWN), "change_columns: field \"from\" is missing"},
        {CHANGE(FROM UP DOWN), "change_columns: field \"to\" is missing"},
        {CHANGE(FROM TO DOWN), "change_columns: field \"up\" is missing"},
        {CHANGE(FROM TO UP), "change_columns: field \"down\" is missing"},
        {CHANGE(", \"from\": []" TO UP DOWN), "from: a list of 1 to 32 columns is wanted"},
        {CHANGE(", \"from\": [\"a\", \"a\"]" TO UP DOWN),
         "from[1]: column \"a\" stands twice in the list"},
        {CHANGE(FROM ", \"to\": []" UP DOWN), "to: a list of at least one column is wanted"},
        {CHANGE(FROM ", \"to\": [{\"name\": \"x\"}]" UP DOWN), "to[0]: field \"type\" is missing"},
        {CHANGE(FROM ", \"to\": [{\"name\": \"x\", \"type\": \"int\", \"pk\": true}]" UP DOWN),
         "to[0].pk: unknown field"},
        {CHANGE(FROM ", \"to\": [{\"name\": \"x\", \"type\": \"int\"}]" UP DOWN),
         "one column to one is no split"},
        {CHANGE(FROM ", \"to\": [{\"name\": \"x\", \"type\": \"int\"}, {\"name\": \"a\", \"type\": "
                     "\"int\"}]" UP DOWN),
         "column \"a\" stands in \"from\" and in \"to\""},
        {CHANGE(FROM TO ", \"up\": {\"x\": \"a\"}" DOWN),
         "change_columns.up: there is no expression for column \"y\""},
        {CHANGE(", \"from\": [\"a\", \"b\"]" TO UP DOWN),
         "change_columns.down: there is no expression for column \"b\""},
        {CHANGE(FROM TO ", \"up\": {\"x\": \"a\", \"y\": \"a\", \"z\": \"a\"}" DOWN),
         "up.z: \"to\" does not name this column"},
        {CHANGE(FROM TO UP ", \"down\": {\"a\": \"x\", \"x\": \"1\"}"),
         "down.x: \"from\" does not name this column"},
        {CHANGE(FROM TO ", \"up\": {\"x\": \"a\", \"y\": \"a + rate\"}" DOWN),
         "up.y: it reads column \"rate\" of neither side"},
        {CHANGE(FROM TO ", \"up\": {\"x\": \"a\", \"y\": \"x\"}" DOWN),
         "up.y: it reads column \"x\" of neither side"},
        {CHANGE(FROM TO UP ", \"down\": {\"a\": \"x + a\"}"), "down.a: it reads column \"a\""},
        {CHANGE(FROM TO ", \"up\": {\"x\": \"a\", \"y\": \"(SELECT 1)\"}" DOWN),
         "up.y: a subquery is not allowed"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct file *file = NULL;
        struct err err = {0};

        assert_int_equal(file_load("m.json", rows[i].text, &file, &err), RC_ERR);
        assert_null(file);
        if (!strstr(err.text, rows[i].want) || strncmp(err.text, "m.json:1: ", 10) != 0)
            fail_msg("\"%s\" is not \"%s\"", err.text, rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(change_columns_reads_every_field),
        cmocka_unit_test(what_is_wrong_is_named_with_its_field),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
