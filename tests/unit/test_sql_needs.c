/* sql/needs.h: a table of which somebody may read some columns only becomes no sub-select that asks
 * for more of them than the statement does. */
#include "sql_sides_bed.h"

/* t (id, o, a, b, n): o is renamed to n; u has a column n of its own, and of v nothing is known. */
static struct sql_rules *rules_with(bool partly, bool early, enum sql_sight sight_of_o)
{
    static const char *const o[] = {"o", NULL}, *const n[] = {"n", NULL},
                             *const key[] = {"id", NULL};
    const struct sql_column_rule columns[] = {{"id", SQL_SEEN_BY_BOTH, false},
                                              {"o", sight_of_o, false},
                                              {"a", SQL_SEEN_BY_BOTH, false},
                                              {"b", SQL_SEEN_BY_BOTH, false},
                                              {"n", SQL_SEEN_BY_NEW, false}};
    const struct sql_table_rule table = {.migration = "m",
                                         .schema = "public",
                                         .name = "t",
                                         .old_columns = o,
                                         .new_columns = n,
                                         .columns = columns,
                                         .ncolumns = ARRAY_LEN(columns),
                                         .key = key,
                                         .partly = partly,
                                         .early = early};
    struct sql_rules *rules = sql_rules_new(1);

    assert_int_equal(sql_rules_add(rules, &table), 0);
    sql_rules_add_namesake(rules, &(struct sql_namesake){"public", "u", n, 0, NULL});
    return rules;
}

static struct sql_rules *some_rules(bool partly)
{
    return rules_with(partly, false, SQL_SEEN_BY_OLD);
}

static void
a_join_by_all_names_has_a_sub_select_only_beside_what_is_called_as_a_hidden_column(void **state)
{
    static const struct row rows[] = {
        {"SELECT a FROM t NATURAL JOIN v", NULL, 0},
        {"SELECT a FROM t NATURAL JOIN v FOR UPDATE", NULL, 0},
        {"SELECT t.a FROM t NATURAL JOIN v GROUP BY t.id", NULL, 0},
        {"SELECT t.* FROM t NATURAL JOIN v", "SELECT t.id, t.o, t.a, t.b FROM t NATURAL JOIN v", 0},
        {"SELECT a FROM t NATURAL JOIN (SELECT 1 AS id, 2 AS b) AS v", NULL, 0},
        /* what of u joins is not known */
        {"SELECT a FROM t NATURAL JOIN u",
         "SELECT a FROM (SELECT id, a, b FROM t) AS t NATURAL JOIN u", 0},
        {"SELECT a FROM t NATURAL JOIN (SELECT 1 AS n, 2 AS b) AS v",
         "SELECT a FROM (SELECT a, b FROM t) AS t NATURAL JOIN (SELECT 1 AS n, 2 AS b) AS v", 0},
        {"SELECT 1 FROM t NATURAL JOIN (SELECT 1 AS n) AS v",
         "SELECT 1 FROM (SELECT FROM t) AS t NATURAL JOIN (SELECT 1 AS n) AS v", 0},
        {"SELECT 1 FROM t x(id) NATURAL JOIN t y",
         "SELECT 1 FROM (SELECT id, o, a, b FROM t) x(id) NATURAL JOIN "
         "(SELECT id, o, a, b FROM t) y",
         0},
        {"DELETE FROM t USING v NATURAL JOIN f(1) AS w WHERE t.a = w.a", NULL, 0},
    };

    (void)state;
    rows_become(some_rules(true), SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
}

static void a_list_of_aliases_keeps_its_places(void **state)
{
    static const struct row rows[] = {
        {"SELECT x FROM t y(i, x)", "SELECT x FROM (SELECT NULL, a FROM t) y(i, x)", 0},
        {"SELECT i, n FROM t y(i)", NULL, 0},
        {"SELECT i, n FROM t y(i, x)", "SELECT i, n FROM (SELECT id, NULL, n FROM t) y(i, x)", 0},
        {"SELECT y.x FROM t y(i, x, b) ORDER BY b",
         "SELECT y.x FROM (SELECT NULL, a, b FROM t) y(i, x, b) ORDER BY b", 0},
        {"SELECT 1 FROM t y(i, x)", "SELECT 1 FROM (SELECT NULL, NULL FROM t) y(i, x)", 0},
        {"SELECT (SELECT max(z) FROM v WHERE v.q = y.x) FROM t y(i, x)",
         "SELECT (SELECT max(z) FROM v WHERE v.q = y.x) FROM (SELECT NULL, a FROM t) y(i, x)", 0},
        {"SELECT l.x FROM t y(i, x), LATERAL (SELECT i) AS l(x)",
         "SELECT l.x FROM (SELECT id, a FROM t) y(i, x), LATERAL (SELECT i) AS l(x)", 0},
        {"UPDATE v SET q = x FROM t y(i, x) WHERE v.i = y.i",
         "UPDATE v SET q = x FROM (SELECT id, a FROM t) y(i, x) WHERE v.i = y.i", 0},
        {"DELETE FROM v USING t y(i, x) WHERE v.q = y.i RETURNING x",
         "DELETE FROM v USING (SELECT id, a FROM t) y(i, x) WHERE v.q = y.i RETURNING x", 0},
        {"MERGE INTO v USING t y(i, x) ON q = i WHEN MATCHED THEN UPDATE SET q = y.b",
         "MERGE INTO v USING (SELECT id, NULL, b FROM t) y(i, x) ON q = i WHEN MATCHED THEN UPDATE "
         "SET q = y.b",
         0},
        {"SELECT x FROM t y(i, x) JOIN v USING (b)",
         "SELECT x FROM (SELECT NULL, a, b FROM t) y(i, x) JOIN v USING (b)", 0},
        /* the whole of it */
        {"SELECT * FROM t y(i, x)", "SELECT * FROM (SELECT id, a, b, n FROM t) y(i, x)", 0},
        {"SELECT y.* FROM t y(i, x)", "SELECT y.* FROM (SELECT id, a, b, n FROM t) y(i, x)", 0},
        {"SELECT v.* FROM t y(i, x), v", "SELECT v.* FROM (SELECT NULL, NULL FROM t) y(i, x), v",
         0},
        {"UPDATE v SET q = 1 FROM t y(i, x) RETURNING *",
         "UPDATE v SET q = 1 FROM (SELECT id, a, b, n FROM t) y(i, x) RETURNING *", 0},
        {"SELECT EXISTS (SELECT y.*) FROM t y(i, x)",
         "SELECT EXISTS (SELECT y.*) FROM (SELECT id, a, b, n FROM t) y(i, x)", 0},
        {"SELECT EXISTS (SELECT * FROM v WHERE v.q = x) FROM t y(i, x)",
         "SELECT EXISTS (SELECT * FROM v WHERE v.q = x) FROM (SELECT NULL, a FROM t) y(i, x)", 0},
        {"SELECT y.row_to_json FROM t y(i, x)",
         "SELECT y.row_to_json FROM (SELECT id, a, b, n FROM t) y(i, x)", 0},
    };

    (void)state;
    rows_become(some_rules(true), SQL_SIDE_NEW, rows, ARRAY_LEN(rows));
}

static void an_alias_over_a_join_or_a_hidden_name_asks_for_what_is_said(void **state)
{
    static const struct row rows[] = {
        {"SELECT j.a FROM (t JOIN v USING (id)) AS j",
         "SELECT j.a FROM ((SELECT id, a FROM t) AS t JOIN v USING (id)) AS j", 0},
        {"SELECT z FROM (t x JOIN v ON x.b = v.q) AS j",
         "SELECT z FROM ((SELECT b FROM t) x JOIN v ON x.b = v.q) AS j", 0},
        {"SELECT j.* FROM (t JOIN v USING (id)) AS j",
         "SELECT j.* FROM ((SELECT id, o, a, b FROM t) AS t JOIN v USING (id)) AS j", 0},
        {"SELECT j FROM (t JOIN v USING (id)) AS j",
         "SELECT j FROM ((SELECT id, o, a, b FROM t) AS t JOIN v USING (id)) AS j", 0},
        {"SELECT (j).a FROM (t JOIN v USING (id)) AS j",
         "SELECT (j).a FROM ((SELECT id, o, a, b FROM t) AS t JOIN v USING (id)) AS j", 0},
        {"SELECT j.count FROM (t JOIN v USING (id)) AS j",
         "SELECT j.count FROM ((SELECT id, o, a, b FROM t) AS t JOIN v USING (id)) AS j", 0},
        {"SELECT c FROM (t JOIN v USING (id)) AS j(a, b, c)",
         "SELECT c FROM ((SELECT id, o, a, b FROM t) AS t JOIN v USING (id)) AS j(a, b, c)", 0},
        {"SELECT t.a FROM t JOIN u USING (id) JOIN w USING (n)",
         "SELECT t.a FROM (SELECT id, a FROM t) AS t JOIN u USING (id) JOIN w USING (n)", 0},
        {"SELECT t.a, n FROM t JOIN u USING (id) JOIN u AS w USING (n)",
         "SELECT t.a, n FROM (SELECT id, a FROM t) AS t JOIN u USING (id) JOIN u AS w USING (n)",
         0},
    };

    (void)state;
    rows_become(some_rules(true), SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
}

/* By a list of aliases that gives the hidden column a name which nobody says. */
static void where_it_stays_a_table_its_hidden_columns_are_called_otherwise(void **state)
{
    static const struct row rows[] = {
        {"SELECT x FROM t y(i, x) FOR UPDATE",
         "SELECT x FROM t y(i, \"~segue_14_2\", x) FOR UPDATE", 0},
        {"SELECT y.ctid, b FROM public.t AS y(i, x)",
         "SELECT y.ctid, b FROM public.t AS y(i, \"~segue_22_2\", x)", 0},
        {"SELECT x FROM ONLY (t) y(i, x) TABLESAMPLE system (9)",
         "SELECT x FROM ONLY (t) y(i, \"~segue_14_2\", x) TABLESAMPLE system (9)", 0},
        {"SELECT i, x FROM t y(i, x) GROUP BY i",
         "SELECT i, x FROM t y(i, \"~segue_17_2\", x) GROUP BY i", 0},
        {"SELECT t.id FROM t NATURAL JOIN u GROUP BY t.id",
         "SELECT t.id FROM t AS t(id, \"~segue_17_2\") NATURAL JOIN u GROUP BY t.id", 0},
        {"SELECT to_json(t) FROM (t CROSS JOIN v) AS j FOR UPDATE", /* t is not to be seen there */
         "SELECT to_json(t) FROM (t AS t(id, \"~segue_24_2\") CROSS JOIN v) AS j FOR UPDATE", 0},
        {"SELECT j.a FROM (t JOIN v USING (id)) AS j FOR UPDATE",
         "SELECT j.a FROM (t AS t(id, \"~segue_17_2\") JOIN v USING (id)) AS j FOR UPDATE", 0},
        {"SELECT y.a FROM t y NATURAL JOIN (SELECT 1 AS o) AS z FOR UPDATE OF y",
         "SELECT y.a FROM t y(id, \"~segue_16_2\") NATURAL JOIN (SELECT 1 AS o) AS z FOR UPDATE OF "
         "y",
         0},
        /* it is shown, or meant, or there is no name to give another one beside */
        {"SELECT y.* FROM t y(i, x) FOR UPDATE", NULL, SQL_DOUBT_JOIN},
        {"SELECT o, x FROM t y(i, x) FOR UPDATE", NULL, SQL_DOUBT_JOIN},
        {"SELECT public.t.a FROM public.t NATURAL JOIN v", NULL, SQL_DOUBT_JOIN},
    };

    (void)state;
    rows_become(some_rules(false), SQL_SIDE_NEW, rows, ARRAY_LEN(rows));
}

/* A list that counts it would give another column its name when it has gone, or fail before it has
 * come. */
static void a_column_that_comes_or_goes_is_not_counted(void **state)
{
    static const struct row row = {"SELECT x FROM t y(i, x) FOR UPDATE", NULL, SQL_DOUBT_JOIN};

    (void)state;
    rows_become(rules_with(false, false, SQL_SEEN_BY_NOBODY), SQL_SIDE_NEW, &row, 1);
    rows_become(rules_with(false, true, SQL_SEEN_BY_OLD), SQL_SIDE_NEW, &row, 1);
}

static void where_all_may_read_all_columns_all_are_there(void **state)
{
    static const struct row rows[] = {
        {"SELECT a FROM t NATURAL JOIN v",
         "SELECT a FROM (SELECT id, o, a, b FROM t) AS t NATURAL JOIN v", 0},
        {"SELECT j.a FROM (t JOIN v USING (id)) AS j",
         "SELECT j.a FROM ((SELECT id, o, a, b FROM t) AS t JOIN v USING (id)) AS j", 0},
    };

    (void)state;
    rows_become(some_rules(false), SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_join_by_all_names_has_a_sub_select_only_beside_what_is_called_as_a_hidden_column),
        cmocka_unit_test(a_list_of_aliases_keeps_its_places),
        cmocka_unit_test(an_alias_over_a_join_or_a_hidden_name_asks_for_what_is_said),
        cmocka_unit_test(where_it_stays_a_table_its_hidden_columns_are_called_otherwise),
        cmocka_unit_test(a_column_that_comes_or_goes_is_not_counted),
        cmocka_unit_test(where_all_may_read_all_columns_all_are_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
