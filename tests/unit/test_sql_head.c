/*
 * The head of an INSERT that is not read to its end: where it ends, and the list that is put in.
 */
#include <stdlib.h>

#include "segue/base/buf.h"
#include "segue/sql/head.h"
#include "sql_twins_bed.h"

/* The bytes in front of VALUES, and those of the head, that `text` has in front of these. */
struct found {
    const char *text;
    const char *behind; /* what stands behind the first row; NULL: it is not known yet */
};

static void the_first_row_ends_where_the_scanner_ends_it(void **state)
{
    static const struct found rows[] = {
        {"INSERT INTO t VALUES (1, 2), (3, 4)", ", (3, 4)"},
        {"insert/**/into s.\"VALUES(\" as values_ -- VALUES (\n overriding user value values(1)",
         ""},
        {"INSERT INTO t VALUES (f(1, (2)), ')', 'it''s)', E'\\')', $$)$$, $a$)$$)$a$, \")\"), x",
         ", x"},
        {"INSERT INTO t VALUES ('\\', 1) ON CONFLICT", " ON CONFLICT"},
        {"INSERT INTO t VALUES (E'a' -- )'\n '\\')' \r'\\')', E'\\\\'\n, '\\') x", " x"},
        {"INSERT INTO t VALUES (1 /* ) /* ) */ ) */, 2 -- )\n, $1, a$b(), 3) x", " x"},
        {"INSERT INTO t VALUES (1, 'x'", NULL},
        {"INSERT INTO t VALUES (1, 'x)", NULL},
        {"INSERT INTO t VALUES (1, E'x\\')", NULL},
        {"INSERT INTO t VALUES (1, E'x'\n'\\')", NULL},
        {"INSERT INTO t VALUES (1, $a$)$$)", NULL},
        {"INSERT INTO t VALUES (1 /* )", NULL},
        {"INSERT INTO t VALUES", NULL},
        {"INSERT INTO t VAL", NULL},
        {"INS", NULL},
        {"", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t len = strlen(rows[i].text);
        struct sql_head head;
        enum rc rc = sql_head_find(rows[i].text, len, &head);

        if (rc != (rows[i].behind ? RC_OK : RC_AGAIN))
            fail_msg("%s: %d", rows[i].text, rc);
        if (rows[i].behind)
            assert_string_equal(rows[i].text + head.row, rows[i].behind);
        else
            assert_int_equal(head.row, 0);
        if (head.values)
            assert_memory_equal(rows[i].text + head.values, i == 1 ? "values" : "VALUES", 6);
    }
}

/* Wherever what has come of it ends. */
static void a_part_of_a_head_is_not_taken_for_something_else(void **state)
{
    static const char text[] =
        "/* a */ -- b\nINSERT/**/INTO --\n s . \"t\"\"u\" AS x /* */ "
        "VALUES/**/--\n(E'\\'' '(', $a$)$a$, U&'a''b', -1 /* ) */ -- )\n), x";
    size_t row = strlen(text) - 3;

    (void)state;
    for (size_t len = 0; len <= strlen(text); len++) {
        struct sql_head head;

        if (sql_head_find(text, len, &head) != (len < row ? RC_AGAIN : RC_OK))
            fail_msg("%.*s", (int)len, text);
        assert_int_equal(head.row, len < row ? 0 : row);
    }
}

static void what_is_no_insert_of_values_without_a_list_is_told_apart(void **state)
{
    static const char *const texts[] = {
        "SELECT 1",         "INSERT INTO t (a) VALUES (1)", "INSERT INTO t SELECT (1)",
        "VALUES (1)",       "INSERT INTO t (VALUES (1))",   "WITH x AS (SELECT 1) INSERT",
        "INSERT INTO t * ", "INSERTS INTO t VALUES (1)",    "INSERT INTO t VALUES values (1)",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct sql_head head;
        enum rc rc = sql_head_find(texts[i], strlen(texts[i]), &head);

        if (rc != RC_ERR)
            fail_msg("%s: %d", texts[i], rc);
    }
}

static void a_head_gets_the_list_that_its_row_means(void **state)
{
    static const char text[] = "INSERT INTO t VALUES (1, 'b', 'n'), (2, g(3), x)";
    const struct sql_sight_of_session session = {.side = SQL_SIDE_NEW, .rewrites = true};
    struct sql_rules *rules = twins_rules(true);
    struct sql_rewrite out;
    struct sql_head head;

    (void)state;
    assert_int_equal(sql_head_find(text, strlen(text), &head), RC_OK);
    assert_true(sql_head_lacks_list(rules, &session, text, &head));
    assert_true(sql_head_rewrite(rules, &session, text, &head, &out));
    assert_string_equal(out.text, "INSERT INTO t (id, b, n) VALUES (1, 'b', 'n')");
    /* the server speaks of the x at the end */
    assert_int_equal(sql_rewrite_position(&out, text, head.row, 58), 47);
    assert_int_equal(sql_rewrite_position(&out, text, head.row, 13), 13);
    assert_int_equal(sql_rewrite_position(&out, text, head.row, 26), 15);
    sql_rewrite_fini(&out);
    sql_rules_unref(rules);
}

static void a_head_whose_values_meet_no_hidden_column_stays(void **state)
{
    static const char *const texts[] = {"INSERT INTO t VALUES (1), (2)",
                                        "INSERT INTO u VALUES (1, 2, 3), (2)",
                                        "INSERT INTO t VALUES (1, 2, 3 /* segue:off */), (4)"};
    const struct sql_sight_of_session session = {.side = SQL_SIDE_NEW, .rewrites = true};
    struct sql_rules *rules = twins_rules(true);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct sql_rewrite out;
        struct sql_head head;

        assert_int_equal(sql_head_find(texts[i], strlen(texts[i]), &head), RC_OK);
        assert_false(sql_head_rewrite(rules, &session, texts[i], &head, &out));
        assert_null(out.text);
    }
    sql_rules_unref(rules);
}

/* t has columns of the new side behind all that the old one sees. */
static void only_hidden_columns_in_front_of_visible_ones_want_a_list(void **state)
{
    static const char *const texts[] = {"INSERT INTO single VALUES (1", "INSERT INTO u VALUES (1"};
    const struct sql_sight_of_session old = {.side = SQL_SIDE_OLD, .rewrites = true},
                                      new = {.side = SQL_SIDE_NEW, .rewrites = true};
    struct sql_rules *rules = twins_rules(true);
    struct sql_head head;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_int_equal(sql_head_find(texts[i], strlen(texts[i]), &head), RC_AGAIN);
        assert_false(sql_head_lacks_list(rules, &old, texts[i], &head));
        assert_int_equal(sql_head_lacks_list(rules, &new, texts[i], &head), i == 0);
    }
    sql_rules_unref(rules);
}

static void what_is_not_to_be_rewritten_wants_no_list(void **state)
{
    static const char plain[] = "INSERT INTO single VALUES (1",
                      off[] = "/* segue:off */ INSERT INTO single VALUES (1";
    const struct sql_sight_of_session as_it_is = {.side = SQL_SIDE_NEW},
                                      rewritten = {.side = SQL_SIDE_NEW, .rewrites = true};
    struct sql_rules *rules = twins_rules(true);
    struct sql_head head;

    (void)state;
    assert_int_equal(sql_head_find(plain, strlen(plain), &head), RC_AGAIN);
    assert_true(sql_head_lacks_list(rules, &rewritten, plain, &head));
    assert_false(sql_head_lacks_list(rules, &as_it_is, plain, &head));
    assert_int_equal(sql_head_find(off, strlen(off), &head), RC_AGAIN);
    assert_false(sql_head_lacks_list(rules, &rewritten, off, &head));
    sql_rules_unref(rules);
}

/* Beyond the looks that a text may cost; its values would go to hidden columns. */
static void a_text_that_is_left_for_its_many_looks_gets_its_list(void **state)
{
    const struct sql_sight_of_session session = {.side = SQL_SIDE_NEW, .rewrites = true};
    static const char front[] = "INSERT INTO t VALUES (1, 'b', 'n'), (2, (SELECT * FROM ";
    struct sql_rules *rules = twins_rules(true);
    struct buf text = {0};
    struct sql_rewrite out;

    (void)state;
    buf_append_str(&text, front);
    for (unsigned i = 0; text.len < 500000; i++)
        buf_printf(&text, "%st a%u", i ? ", " : "", i);
    buf_append_str(&text, "), 'n')");
    sql_rewrite(rules, &session, text.data, text.len, &out);
    assert_int_equal(out.doubt, SQL_DOUBT_LENGTH);
    assert_non_null(out.text);
    assert_memory_equal(out.text, "INSERT INTO t (id, b, n) VALUES", 31);
    assert_int_equal(out.len, text.len + strlen(" (id, b, n)"));
    assert_string_equal(out.text + out.len - 100, text.data + text.len - 100);
    sql_rewrite_fini(&out);
    buf_fini(&text);
    sql_rules_unref(rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_row_ends_where_the_scanner_ends_it),
        cmocka_unit_test(a_part_of_a_head_is_not_taken_for_something_else),
        cmocka_unit_test(what_is_no_insert_of_values_without_a_list_is_told_apart),
        cmocka_unit_test(a_head_gets_the_list_that_its_row_means),
        cmocka_unit_test(a_head_whose_values_meet_no_hidden_column_stays),
        cmocka_unit_test(only_hidden_columns_in_front_of_visible_ones_want_a_list),
        cmocka_unit_test(what_is_not_to_be_rewritten_wants_no_list),
        cmocka_unit_test(a_text_that_is_left_for_its_many_looks_gets_its_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
