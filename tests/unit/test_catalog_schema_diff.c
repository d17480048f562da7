/* proxy/catalog/schema_diff.c: what leads from one schema to another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "segue/base/buf.h"
#include "segue/catalog/schema.h"

/* "changed table t / column a: type / integer / bigint" lines. */
static void assert_diff(const char *before, const char *after, const char *want)
{
    json_t *a = json_loads(before, 0, NULL), *b = json_loads(after, 0, NULL), *rows, *row;
    struct buf got = {0};
    size_t i;

    assert_non_null(a);
    assert_non_null(b);
    rows = cat_schema_diff(a, b);
    json_array_foreach(rows, i, row)
    {
        buf_printf(&got, "%s %s / %s / %s / %s\n",
                   json_string_value(json_object_get(row, "change")),
                   json_string_value(json_object_get(row, "object")),
                   json_string_value(json_object_get(row, "part")),
                   json_string_value(json_object_get(row, "before")),
                   json_string_value(json_object_get(row, "after")));
    }
    assert_string_equal(got.data ? got.data : "", want);
    buf_fini(&got);
    json_decref(rows);
    json_decref(a);
    json_decref(b);
}

static void objects_come_and_go_by_their_names_alone(void **state)
{
    (void)state;
    assert_diff("{\"table a\": {\"columns\": {\"x\": {\"type\": \"int\"}}}}",
                "{\"view b\": {\"definition\": \"SELECT 1\"}}",
                "dropped table a /  /  / \nadded view b /  /  / \n");
    assert_diff("{}", "{}", "");
}

static void a_column_is_told_by_what_changed_of_it(void **state)
{
    (void)state;
    assert_diff("{\"table t\": {\"columns\": {\"a\": {\"type\": \"integer\"}, \"gone\": {\"type\": "
                "\"text\"}}}}",
                "{\"table t\": {\"columns\": {\"a\": {\"type\": \"bigint\", \"not null\": true},"
                " \"new\": {\"type\": \"text\", \"not null\": true}}}}",
                "changed table t / column a: not null /  / true\n"
                "changed table t / column a: type / integer / bigint\n"
                "dropped table t / column gone / type text / \n"
                "added table t / column new /  / type text, not null\n");
}

static void other_parts_are_told_by_their_definitions(void **state)
{
    (void)state;
    assert_diff("{\"table t\": {\"indexes\": {\"i\": \"CREATE INDEX i (a)\"}, \"comment\": \"x\"},"
                " \"type m\": {\"labels\": [\"a\"]}}",
                "{\"table t\": {\"indexes\": {\"i\": \"CREATE INDEX i (b)\"}, \"constraints\":"
                " {\"c\": \"CHECK (a > 0)\"}}, \"type m\": {\"labels\": [\"a\", \"b\"]}}",
                "changed table t / comment / x / \n"
                "added table t / constraint c /  / CHECK (a > 0)\n"
                "changed table t / index i / CREATE INDEX i (a) / CREATE INDEX i (b)\n"
                "changed type m / labels / [\"a\"] / [\"a\",\"b\"]\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_come_and_go_by_their_names_alone),
        cmocka_unit_test(a_column_is_told_by_what_changed_of_it),
        cmocka_unit_test(other_parts_are_told_by_their_definitions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
