/* sql/expr.h: expressions of migration files and catalogs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <ctype.h>
#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>

#include "segue/base/rc.h"
#include "segue/sql/expr.h"

static void only_one_scalar_expression_is_accepted(void **state)
{
    static const struct {
        const char *expr;
        bool good;
    } rows[] = {
        {"a", true},
        {"a::jsonb", true},
        {"lower(a) || 'x' -- why", true},
        {"a, b", false},
        {"a b", false},
        {"a FROM t", false},
        {"1; DROP TABLE t", false},
        {"DISTINCT a", false},
        {"*", false},
        {"t.a", false},
        {"", false},
        {"a UNION SELECT 1", false},
        {"a WHERE true", false},
        {"DEFAULT", false},
        {"(a", false},
        {"(a).b", true},
        {"CASE WHEN a THEN 1 END", true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sql_expr_info info;
        struct err err = {0};
        bool good = sql_expr_parse(rows[i].expr, &info, &err) == RC_OK;

        if (good != rows[i].good || good == err_is_set(&err))
            fail_msg("%s: %s", rows[i].expr, err.text);
        sql_expr_info_fini(&info);
    }
}

static void columns_functions_and_flags_are_told(void **state)
{
    struct sql_expr_info info;

    (void)state;
    assert_int_equal(sql_expr_parse("f(A, \"B\") + s.g(a)", &info, NULL), RC_OK);
    assert_int_equal(info.ncolumns, 2);
    assert_string_equal(info.columns[0], "a");
    assert_string_equal(info.columns[1], "B");
    assert_int_equal(info.nfunctions, 2);
    assert_string_equal(info.functions[1], "s.g");
    sql_expr_info_fini(&info);
    assert_int_equal(sql_expr_parse("a::int + CAST(b AS s.\"T\")::int4", &info, NULL), RC_OK);
    assert_int_equal(info.ncasts, 2);
    assert_string_equal(info.casts[0], "int4");
    assert_string_equal(info.casts[1], "s.\"T\"");
    assert_false(info.constant);
    sql_expr_info_fini(&info);
    assert_int_equal(sql_expr_parse("f('a', E'it\\'s', $$a$$, 1, b'1')", &info, NULL), RC_OK);
    assert_int_equal(info.nstrings, 2);
    assert_string_equal(info.strings[1], "it's");
    sql_expr_info_fini(&info);
    assert_int_equal(sql_expr_parse("(SELECT x.y FROM x)", &info, NULL), RC_OK);
    assert_true(info.has_subquery);
    sql_expr_info_fini(&info);
    assert_int_equal(sql_expr_parse("count(*) + $1", &info, NULL), RC_OK);
    assert_true(info.has_aggregate_or_window);
    assert_true(info.has_parameter);
    sql_expr_info_fini(&info);
}

static void literals_and_their_casts_are_constant(void **state)
{
    static const char *const yes[] = {"1",     "'x'",  "'{}'::jsonb",     "-1",
                                      "false", "NULL", "ARRAY[]::text[]", "ARRAY[1, 2]"};
    static const char *const no[] = {"now()", "a", "CURRENT_DATE", "1 + 1", "ARRAY[a]"};
    struct sql_expr_info info;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        assert_int_equal(sql_expr_parse(yes[i], &info, NULL), RC_OK);
        if (!info.constant)
            fail_msg("%s", yes[i]);
        sql_expr_info_fini(&info);
    }
    for (size_t i = 0; i < ARRAY_LEN(no); i++) {
        assert_int_equal(sql_expr_parse(no[i], &info, NULL), RC_OK);
        if (info.constant)
            fail_msg("%s", no[i]);
        sql_expr_info_fini(&info);
    }
}

static void columns_are_renamed_and_nothing_else(void **state)
{
    static const char *const from[] = {"claim_text", "x"};
    static const char *const to[] = {"claim", "New X"};
    static const struct {
        const char *expr, *prefix;
        bool all;
        const char *want;
    } rows[] = {
        {"lower(claim_text) = 'claim_text'", "", false, "lower(claim) = 'claim_text'"},
        {"Claim_Text || \"claim_text\"||\"Claim_Text\"", "", false,
         "claim || claim||\"Claim_Text\""},
        {"claim_text(x) + y", "", false, "claim_text(\"New X\") + y"},
        {"'é' || x || y", "NEW.", true, "'é' || NEW.\"New X\" || NEW.y"},
        {"(x).claim_text", "NEW.", true, "(NEW.\"New X\").claim_text"},
        {"x[1]", "", false, "\"New X\"[1]"},
        {"U&\"\\0078\"", "", false, "\"New X\""},
        {"y /* x */ -- x", "NEW.", true, "NEW.y /* x */ -- x"},
        {"\"order\"", "NEW.", true, "NEW.\"order\""},
        {"NOT\"claim_text\"IS NULL", "", false, "NOT claim IS NULL"},
        {"NOT\"x\"IS NULL", "", false, "NOT\"New X\"IS NULL"},
        {"NOT\"x\"IS NULL", "NEW.", true, "NOT NEW.\"New X\"IS NULL"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = {0};
        char *got = sql_expr_rename(rows[i].expr, rows[i].prefix, from, to, 2, rows[i].all, &err);

        assert_non_null(got);
        assert_string_equal(got, rows[i].want);
        free(got);
    }
    assert_null(sql_expr_rename("a b", "", from, to, 2, false, &(struct err){0}));
}

static void a_bare_column_is_recognised(void **state)
{
    (void)state;
    assert_true(sql_expr_is_column(" Claim ", "claim"));
    assert_true(sql_expr_is_column("(\"A b\")", "A b"));
    assert_false(sql_expr_is_column("claim::text", "claim"));
    assert_false(sql_expr_is_column("t.claim", "claim"));
    assert_false(sql_expr_is_column("(", "claim"));
}

static void only_a_type_name_is_a_type(void **state)
{
    static const char *const yes[] = {"text",
                                      "numeric(10,2)",
                                      "\"My\".t[]",
                                      "double precision",
                                      "timestamp with time zone",
                                      "interval day to second"};
    static const char *const no[] = {
        "",     "text, 1", "text || 'x'", "text::int", "text COLLATE \"C\"", "int; drop table t",
        "int x"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        assert_int_equal(sql_type_parse(yes[i], NULL), RC_OK);
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        if (sql_type_parse(no[i], NULL) == RC_OK)
            fail_msg("%s", no[i]);
}

static void names_are_quoted_as_postgres_does(void **state)
{
    static const char *const rows[][2] = {
        {"a_1", "a_1"},     {"A", "\"A\""},       {"select", "\"select\""}, {"left", "\"left\""},
        {"int", "\"int\""}, {"name", "name"},     {"1a", "\"1a\""},         {"a\"b", "\"a\"\"b\""},
        {"", "\"\""},       {"user", "\"user\""}, {"~x", "\"~x\""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *got = sql_quote_ident(rows[i][0]);

        assert_string_equal(got, rows[i][1]);
        free(got);
    }
    {
        char *got = sql_quote_literal("a'b\\c");
        char *both = sql_quote_qualified("S", "t");

        assert_string_equal(got, "E'a''b\\\\c'");
        assert_string_equal(both, "\"S\".t");
        free(got);
        free(both);
    }
}

/* Every keyword token of the parser's grammar has the word in its name. */
static void all_keywords_that_the_parser_knows_are_quoted(void **state)
{
    const ProtobufCEnumDescriptor *tokens = &pg_query__token__descriptor;
    unsigned seen = 0;

    (void)state;
    for (unsigned i = 0; i < tokens->n_values; i++) {
        char word[64];
        size_t len = (size_t)snprintf(word, sizeof(word), "%s", tokens->values[i].name);
        PgQueryScanResult scan;
        PgQuery__ScanResult *list;

        for (size_t c = 0; c < len; c++)
            word[c] = (char)tolower((unsigned char)word[c]);
        if (len > 2 && !strcmp(word + len - 2, "_p"))
            word[len - 2] = '\0';
        scan = pg_query_scan(word);
        assert_null(scan.error);
        list = pg_query__scan_result__unpack(NULL, scan.pbuf.len, (const uint8_t *)scan.pbuf.data);
        if (list->n_tokens == 1 &&
            list->tokens[0]->keyword_kind > PG_QUERY__KEYWORD_KIND__UNRESERVED_KEYWORD) {
            char *got = sql_quote_ident(word);

            if (*got != '"')
                fail_msg("%s is not quoted", word);
            free(got);
            seen++;
        }
        pg_query__scan_result__free_unpacked(list, NULL);
        pg_query_free_scan_result(scan);
    }
    assert_true(seen > 100);
}

static void the_time_is_moved_and_nothing_else(void **state)
{
#define LATER "(pg_catalog.now() OPERATOR(pg_catalog.+) '25 hours'::pg_catalog.interval)"
    static const struct {
        const char *expr, *later;
    } rows[] = {
        {"coalesce(a, now())", "coalesce(a, " LATER ")"},
        {"CASE WHEN a IS NULL THEN pg_catalog.now ( )END", "CASE WHEN a IS NULL THEN " LATER "END"},
        {"current_timestamp(3)::date", LATER "::pg_catalog.timestamptz(3)::date"},
        {"CURRENT_DATE - 1", LATER "::pg_catalog.date - 1"},
        {"LOCALTIME", LATER "::pg_catalog.time"},
        {"NOT\"now\"()IS NULL", "NOT " LATER "IS NULL"},
        {"age(now(), transaction_timestamp())", "age(" LATER ", " LATER ")"},
        {"coalesce(a, 'now'::timestamptz)", "coalesce(a, 'tomorrow'::timestamptz)"},
        {"CASE WHEN a THEN timestamp'Today' END", "CASE WHEN a THEN timestamp'tomorrow' END"},
        {"CAST('yesterday' AS date) + now()", "CAST('today' AS date) + " LATER},
        {"timestamp with time zone 'tomorrow'", "timestamp with time zone 'today'"},
        {"'now'::text || 'now'::time", NULL},
        {"E'now'::date", NULL},
        {"coalesce(a, 'now()')", NULL},
        {"now(1)", NULL},
        {"f.now()", NULL},
        {"now(/* why */)", NULL},
        {"current_user", NULL},
        {"a b", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *got = sql_expr_later(rows[i].expr);

        if (!got != !rows[i].later || (got && strcmp(got, rows[i].later) != 0))
            fail_msg("%s: %s", rows[i].expr, got ? got : "nothing");
        free(got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_one_scalar_expression_is_accepted),
        cmocka_unit_test(columns_functions_and_flags_are_told),
        cmocka_unit_test(literals_and_their_casts_are_constant),
        cmocka_unit_test(columns_are_renamed_and_nothing_else),
        cmocka_unit_test(the_time_is_moved_and_nothing_else),
        cmocka_unit_test(a_bare_column_is_recognised),
        cmocka_unit_test(only_a_type_name_is_a_type),
        cmocka_unit_test(names_are_quoted_as_postgres_does),
        cmocka_unit_test(all_keywords_that_the_parser_knows_are_quoted),
    };

    return cmocka_run_group_tests_name("sql_expr", tests, NULL, NULL);
}
