#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "segue/session/versions.h"

static struct sess_versions *versions_of(const char *json)
{
    struct err err = {0};
    struct sess_versions *versions = sess_versions_new(json, &err);

    assert_string_equal(err.text, "");
    assert_non_null(versions);
    return versions;
}

static void the_first_rule_that_matches_decides(void **state)
{
    static const char json[] =
        "[{\"application_name\": \"psql*\", \"rewrite\": false},"
        " {\"user\": \"web_*\", \"application_name\": \"next\", \"schema\": \"new\"},"
        " {\"user\": \"web_1\", \"schema\": \"old\"},"
        " {\"port\": 6433, \"schema\": \"new\"},"
        " {\"user\": \"quiet\", \"schema\": \"follow\", \"rewrite\": true},"
        " {\"application_name\": \"*\", \"user\": \"any\", \"schema\": \"old\", \"rewrite\": "
        "false}]";
    static const struct {
        const char *user, *application_name;
        unsigned port;
        struct sess_version expected;
    } cases[] = {
        {"web_1", "psql 17", 6433, {SQL_SIDE_FOLLOW, false}},
        {"web_1", "psq", 1, {SQL_SIDE_OLD, true}},
        {"web_1", "next", 1, {SQL_SIDE_NEW, true}},
        {"web_2", "next", 1, {SQL_SIDE_NEW, true}},
        {"web_2", "nextt", 1, {SQL_SIDE_FOLLOW, true}},
        {"web", "next", 1, {SQL_SIDE_FOLLOW, true}},
        {"web_1", "", 6433, {SQL_SIDE_OLD, true}},
        {"web_11", "", 6433, {SQL_SIDE_NEW, true}},
        {"quiet", "", 0, {SQL_SIDE_FOLLOW, true}},
        {"any", "", 0, {SQL_SIDE_OLD, false}},
        {"other", "", 6432, {SQL_SIDE_FOLLOW, true}},
    };
    struct sess_versions *versions = versions_of(json);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sess_version got =
            sess_versions_find(versions, cases[i].user, cases[i].application_name, cases[i].port);

        assert_int_equal(got.side, cases[i].expected.side);
        assert_int_equal(got.rewrites, cases[i].expected.rewrites);
    }
    assert_true(sess_versions_by_port(versions));
    sess_versions_free(versions);
}

static void without_rules_a_session_follows_and_is_rewritten(void **state)
{
    static const char *const empty[] = {"", "[]"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct sess_versions *versions = versions_of(empty[i]);
        struct sess_version got = sess_versions_find(versions, "u", "a", 6432);

        assert_int_equal(got.side, SQL_SIDE_FOLLOW);
        assert_true(got.rewrites);
        assert_false(sess_versions_by_port(versions));
        sess_versions_free(versions);
    }
}

static void every_complaint_names_rule_and_field_and_has_a_hint(void **state)
{
    static const struct {
        const char *json, *text, *hint;
    } cases[] = {
        {"{}", "must be a list of rules", "such as ["},
        {"1", "must be a list of rules", "such as ["},
        {"[1]", "rule 1: must be an object", "such as {"},
        {"[{\"user\": \"a\"", "not valid JSON: ", "such as ["},
        {"[{\"user\": \"a\", \"user\": \"b\"}]", "not valid JSON: duplicate object key",
         "such as ["},
        {"[{\"user\": \"a\"}, {\"schema\": \"nwe\"}]",
         "rule 2: field \"schema\" must be one of \"old\", \"new\", \"follow\", not \"nwe\"",
         "config/README.md"},
        {"[{\"schema\": null}]",
         "rule 1: field \"schema\" must be one of \"old\", \"new\", \"follow\", not null",
         "config/README.md"},
        {"[{\"rewrite\": \"false\"}]",
         "rule 1: field \"rewrite\" must be true or false, not \"false\"", "config/README.md"},
        {"[{\"rewrite\": 0}]", "rule 1: field \"rewrite\" must be true or false, not 0",
         "config/README.md"},
        {"[{\"user\": \"\"}]",
         "rule 1: field \"user\" must be a name, or the beginning of one and *, not \"\"",
         "config/README.md"},
        {"[{\"user\": \"a*b\"}]",
         "rule 1: field \"user\" must be a name, or the beginning of one and *, not \"a*b\"",
         "config/README.md"},
        {"[{\"application_name\": [\"a\"]}]",
         "rule 1: field \"application_name\" must be a name, or the beginning of one and *, "
         "not [\"a\"]",
         "config/README.md"},
        {"[{\"port\": 0}]", "rule 1: field \"port\" must be an integer from 1 to 65535, not 0",
         "config/README.md"},
        {"[{\"port\": 65536}]",
         "rule 1: field \"port\" must be an integer from 1 to 65535, not 65536",
         "config/README.md"},
        {"[{\"port\": \"6432\"}]",
         "rule 1: field \"port\" must be an integer from 1 to 65535, not \"6432\"",
         "config/README.md"},
        {"[{\"aplication_name\": \"x\"}]", "rule 1: there is no field \"aplication_name\"",
         "did you mean \"application_name\"?"},
        {"[{\"zzzzzzzzzzzz\": 1}]", "rule 1: there is no field \"zzzzzzzzzzzz\"",
         "the fields are user, application_name, port, schema, rewrite"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = {0};

        assert_int_equal(sess_versions_check(cases[i].json, &err), RC_ERR);
        assert_int_equal(strncmp(err.text, cases[i].text, strlen(cases[i].text)), 0);
        assert_int_equal(strncmp(err.hint, cases[i].hint, strlen(cases[i].hint)), 0);
    }
}

static void sides_parse_back(void **state)
{
    enum sql_side side;

    (void)state;
    for (int i = SQL_SIDE_FOLLOW; i <= SQL_SIDE_NEW; i++) {
        assert_int_equal(sess_side_parse(sess_side_name((enum sql_side)i), &side), RC_OK);
        assert_int_equal(side, i);
    }
    assert_int_equal(sess_side_parse("NEW", &side), RC_ERR);
    assert_int_equal(sess_side_parse("", &side), RC_ERR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_rule_that_matches_decides),
        cmocka_unit_test(without_rules_a_session_follows_and_is_rewritten),
        cmocka_unit_test(every_complaint_names_rule_and_field_and_has_a_hint),
        cmocka_unit_test(sides_parse_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
