/* proxy/catalog/schema_check.c: what is a snapshot, and what is other JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "segue/catalog/schema.h"

static void assert_judged(const char *text, const char *want, const char *where)
{
    json_t *schema = json_loads(text, JSON_DECODE_ANY, NULL);
    const char *entry;
    struct err err = {0};

    assert_non_null(schema);
    assert_int_equal(cat_schema_check(schema, &entry, &err), want ? RC_ERR : RC_OK);
    if (want) {
        assert_string_equal(err.sqlstate, "22032");
        assert_non_null(strstr(err.text, want));
        assert_string_equal(entry ? entry : "", where);
    }
    json_decref(schema);
}

static void what_a_database_says_is_a_snapshot(void **state)
{
    (void)state;
    assert_judged("{}", NULL, NULL);
    assert_judged(
        "{\"schema app\": {}, \"table app.t\": {\"columns\": {\"id\": {\"type\": \"int\"}},"
        " \"constraints\": {\"t_pkey\": \"PRIMARY KEY (id)\"}, \"inherits\": [\"u\"],"
        " \"unlogged\": true}, \"sequence s\": {\"start\": 1}, \"type m\": {\"labels\":"
        " [\"a\"], \"attributes\": {\"a\": \"int\"}}, \"function f(integer)\":"
        " {\"definition\": \"...\"}, \"materialized view v\": {\"indexes\": {}}}",
        NULL, NULL);
}

static void other_json_is_refused_where_it_differs(void **state)
{
    (void)state;
    assert_judged("[]", "an object is wanted", "");
    assert_judged("\"table t\"", "an object is wanted", "");
    assert_judged("{\"schema a\": {}, \"name\": \"m\"}", "\"name\": not a snapshot", "name");
    assert_judged("{\"operations\": []}", "it does not begin with table, view", "operations");
    assert_judged("{\"table \": {}}", "it does not begin with", "table ");
    assert_judged("{\"table t\": []}", "\"table t\": not a snapshot: an object", "table t");
    assert_judged("{\"table t\": {\"columns\": [\"a\"]}}", "\"table t\".columns: not", "table t");
    assert_judged("{\"table t\": {\"columns\": {\"a\": \"int\"}}}",
                  "\"table t\".columns.a: ", "table t");
    assert_judged("{\"table t\": {\"indexes\": {\"i\": 3}}}", ".indexes.i: not a snapshot: a text",
                  "table t");
    assert_judged("{\"view v\": {\"definition\": {}}}", "\"view v\".definition: not a snapshot",
                  "view v");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_database_says_is_a_snapshot),
        cmocka_unit_test(other_json_is_refused_where_it_differs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
