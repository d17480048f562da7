/* sql/set.c: lists of UPDATE, ON CONFLICT DO UPDATE, MERGE ... THEN UPDATE. */
#include "sql_twins_bed.h"

static void an_assignment_to_one_half_is_followed_by_the_other(void **state)
{
    static const struct twins_row rows[] = {
        {"UPDATE t SET o = 'x'", "UPDATE t SET o = 'x', n = 'x'", 0},
        {"UPDATE t SET n='x' WHERE id=$1", "UPDATE t SET n='x', o = 'x' WHERE id=$1", 0},
        {"UPDATE public.t AS x SET o = x.o || $1, b = 3, P = 4 FROM u WHERE true RETURNING x.id",
         "UPDATE public.t AS x SET o = x.o || $1, n = x.o || $1, b = 3, P = 4, \"Q\" = 4 FROM u "
         "WHERE true RETURNING x.id",
         0},
        {"UPDATE t SET \"Q\" = ((b + 1)) RETURNING id",
         "UPDATE t SET \"Q\" = ((b + 1)), p = ((b + 1)) RETURNING id", 0},
        {"UPDATE t SET o = u.from FROM u", "UPDATE t SET o = u.from, n = u.from FROM u", 0},
        {"UPDATE t SET o = 1 -- one\n, b = 2 /* two */",
         "UPDATE t SET o = 1, n = 1 -- one\n, b = 2 /* two */", 0},
        {"UPDATE t SET o = 1 -- one\n + 2 WHERE true",
         "UPDATE t SET o = 1 -- one\n + 2, n = 1 -- one\n + 2 WHERE true", 0},
        {"UPDATE t SET o = NOT b, b = NULL", "UPDATE t SET o = NOT b, n = NOT b, b = NULL", 0},
        {"WITH w AS (UPDATE t SET o = 1) UPDATE t SET p = 2",
         "WITH w AS (UPDATE t SET o = 1, n = 1) UPDATE t SET p = 2, \"Q\" = 2", 0},
        {"UPDATE t SET o = 1;UPDATE t SET p = 2",
         "UPDATE t SET o = 1, n = 1;UPDATE t SET p = 2, \"Q\" = 2", 0},
        {"PREPARE s AS UPDATE t SET o = $2; UPDATE t SET o = 2",
         "PREPARE s AS UPDATE t SET o = $2; UPDATE t SET o = 2, n = 2", 0},
        {"UPDATE t SET o = 1 WHERE CURRENT OF c", "UPDATE t SET o = 1, n = 1 WHERE CURRENT OF c",
         0},
        {"UPDATE ONLY t SET o = 1", "UPDATE ONLY t SET o = 1, n = 1", 0},
        {"UPDATE t SET o = 1, n = 2", NULL, 0},
        {"UPDATE t SET b = o", NULL, 0},
        {"UPDATE t SET o = DEFAULT", NULL, 0},
        {"UPDATE t SET o = f(1)", NULL, 0},
        {"UPDATE t SET o = (SELECT 1)", NULL, 0},
        {"UPDATE t SET o = CASE WHEN true THEN 1 END", NULL, 0},
        {"UPDATE t SET o[1] = 1", NULL, 0},
        {"UPDATE t SET o.f = 1, p = 2", "UPDATE t SET o.f = 1, p = 2, \"Q\" = 2", 0},
        {"UPDATE t SET o[1] = 1, o[2] = 2", NULL, 0},
        {"UPDATE u SET o = 1 FROM t", NULL, 0},
    };

    (void)state;
    twins_each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
}

#define ONCE(expr, column)                                                                         \
    "(SELECT \"~c\", \"~c\" FROM (SELECT " expr " AS \"~c\" OFFSET 0) AS \"~segue\" WHERE "        \
    "pg_catalog.num_nulls(" column ") OPERATOR(pg_catalog.>=) 0)"

static void what_may_not_be_repeated_is_evaluated_once_for_each_row(void **state)
{
    static const struct twins_row rows[] = {
        {"UPDATE t SET o = lower(b) || now()",
         "UPDATE t SET o = lower(b) || now(), n = lower(b) || now()", 0},
        {"UPDATE t SET o = g(b)", "UPDATE t SET (o, n) = " ONCE("g(b)", "b"), 0},
        {"UPDATE t x SET b = 1, o=1+s.g ( x.b , $1) -- so\nWHERE x.id = 3 RETURNING id",
         "UPDATE t x SET b = 1, (o, n)=" ONCE("1+s.g ( x.b , $1)",
                                              "x.b") " -- so\nWHERE x.id = 3 RETURNING id",
         0},
        {"UPDATE t SET o = nextval('s') WHERE \"id\" = 3",
         "UPDATE t SET (o, n) = " ONCE("nextval('s')", "\"id\"") " WHERE \"id\" = 3", 0},
        {"UPDATE t SET o = g(1) FROM u WHERE EXISTS (SELECT 1 FROM v WHERE v.a) AND t.id = u.id",
         "UPDATE t SET (o, n) = " ONCE(
             "g(1)", "t.id") " FROM u WHERE EXISTS (SELECT 1 FROM v WHERE v.a) AND t.id = u.id",
         0},
        {"UPDATE t SET o = b IS DISTINCT FROM 1 FROM u",
         "UPDATE t SET (o, n) = " ONCE("b IS DISTINCT FROM 1", "b") " FROM u", 0},
        {"INSERT INTO t (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET o = g(excluded.o)",
         "INSERT INTO t (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET (o, n) = " ONCE(
             "g(excluded.o)", "excluded.o"),
         0},
        {"UPDATE t SET o = g(v.a) FROM (VALUES (7)) v (a) WHERE v.a = t.id",
         "UPDATE t SET (o, n) = " ONCE("g(v.a)",
                                       "t.id") " FROM (VALUES (7)) v (a) WHERE v.a = t.id",
         0},
        /* sub-selects are evaluated in front of all else */
        {"UPDATE t SET o = g(b), p = nextval('s')", NULL, 0},
        {"UPDATE t SET o = g(b), b = (SELECT 1)", NULL, 0},
        {"UPDATE t SET o = g(b), b = DEFAULT", NULL, 0},
        {"UPDATE t SET o = g(b), b = 1 <-> 2", NULL, 0},
        /* the server confounds the sub-selects of several arms */
        {"MERGE INTO t USING u ON t.id = u.id WHEN MATCHED AND u.b THEN UPDATE SET o = g(u.a) WHEN "
         "MATCHED THEN UPDATE SET o = g(u.c)",
         NULL, 0},
        {"MERGE INTO t USING u ON t.id = u.id WHEN MATCHED AND u.b THEN UPDATE SET (b, id) = "
         "(SELECT 1, 2) WHEN MATCHED THEN UPDATE SET o = g(u.a)",
         NULL, 0},
        /* nothing of the row is read: it would be evaluated once for all */
        {"UPDATE t SET o = nextval('s')", NULL, 0},
        {"UPDATE t SET o = g(1) WHERE id IN (SELECT 1)", NULL, 0},
        {"UPDATE t SET o = g(1) WHERE EXISTS (SELECT a FROM u)", NULL, 0},
        {"UPDATE t SET o = g(1) WHERE CURRENT OF c", NULL, 0},
        {"UPDATE t SET o = g(1) WHERE system_user = 'x'", NULL, 0},
        /* nothing of the row that is written: of VALUES (7) the planner makes a constant */
        {"UPDATE t SET o = g(v.a) FROM (VALUES (7)) v (a) WHERE a = 7", NULL, 0},
        {"UPDATE t x SET o = g(t.id) FROM (SELECT 7 AS id) t", NULL, 0},
        /* perhaps an aggregate, which an UPDATE must not have, and one for sure */
        {"UPDATE t SET o = f(b)", NULL, 0},
        {"UPDATE t SET o = g(DISTINCT b)", NULL, 0},
        {"UPDATE t SET o = g(b) OVER ()", NULL, 0},
        {"UPDATE t SET o = g(b) FILTER (WHERE true)", NULL, 0},
        {"UPDATE t SET o = g(f(b))", NULL, 0},
        {"UPDATE t SET o = g(b) <-> 1", NULL, 0},
        {"UPDATE t SET o = ARRAY[g(b)]", NULL, 0},
        {"UPDATE t SET (b, o) = (1, g(b))", NULL, 0},
    };
    static const struct twins_row new_rows[] = {
        {"UPDATE t SET n = g(b), b = lower('x')",
         "UPDATE t SET (n, o) = " ONCE("g(b)", "b") ", b = lower('x')", 0},
    };

    (void)state;
    twins_each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
    twins_each(SQL_SIDE_NEW, new_rows, ARRAY_LEN(new_rows));
}

static void an_error_in_what_is_read_once_more_is_where_it_was_written(void **state)
{
    static const char sql[] = "UPDATE t SET o = nextval('é') WHERE id = 3";
    struct sql_rules *rules = twins_rules(false);
    const struct sql_sight_of_session session = {.side = SQL_SIDE_OLD, .rewrites = true};
    struct sql_rewrite out;

    (void)state;
    sql_rewrite(rules, &session, sql, strlen(sql), &out);
    /* é is one character of two bytes */
    for (const char *at = out.text; (at = strstr(at, "id")); at++)
        assert_int_equal(sql_rewrite_position(&out, sql, strlen(sql), (uint32_t)(at - out.text)),
                         (uint32_t)(strstr(sql, "id") - sql));
    sql_rewrite_fini(&out);
    sql_rules_unref(rules);
}

static void a_list_is_followed_by_the_other_half_of_its_elements(void **state)
{
    static const struct twins_row rows[] = {
        {"UPDATE t SET (b, o) = (1, 2)", "UPDATE t SET (b, o) = (1, 2), n = 2", 0},
        {"UPDATE t SET (o, b) = ROW(1, 2), id = 3",
         "UPDATE t SET (o, b) = ROW(1, 2), n = 1, id = 3", 0},
        {"UPDATE t SET ( o , p ) = ((1, (b + 2))) WHERE true",
         "UPDATE t SET ( o , p ) = ((1, (b + 2))), n = 1, \"Q\" = (b + 2) WHERE true", 0},
        {"UPDATE t SET (o) = ROW($1)", "UPDATE t SET (o) = ROW($1), n = $1", 0},
        {"UPDATE t SET (b, o) = (f(1, 2), 2)", "UPDATE t SET (b, o) = (f(1, 2), 2), n = 2", 0},
        {"UPDATE t SET (b, o) = (CASE WHEN true THEN 1 END, 2) FROM u",
         "UPDATE t SET (b, o) = (CASE WHEN true THEN 1 END, 2), n = 2 FROM u", 0},
        {"UPDATE t SET (b, o) = (1, DEFAULT)", NULL, 0},
        {"UPDATE t SET (b, o) = (1, f())", NULL, 0},
        {"UPDATE t SET (b, o) = (SELECT 1, 2)", NULL, 0},
        {"UPDATE t SET (b, o) = (1, 2, 3)", NULL, 0},
        {"UPDATE t SET (b, o) = ROW(u.*) FROM u", NULL, 0},
        {"UPDATE t SET (b, o) = ROW(1, u.*) FROM u", NULL, 0},
        {"UPDATE t SET (o, n) = (1, 2)", NULL, 0},
        {"UPDATE t SET (b, o[1]) = (1, 2)", NULL, 0},
    };

    (void)state;
    twins_each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
}

static void a_conflict_and_a_match_set_both_halves(void **state)
{
#define INTO "INSERT INTO t (id) VALUES (1) ON CONFLICT (id) DO "
#define MERGE "MERGE INTO t USING u ON t.id = u.id WHEN MATCHED "
    static const struct twins_row rows[] = {
        {INTO "UPDATE SET o = excluded.o, b = 1 WHERE t.b > 0 RETURNING id",
         INTO "UPDATE SET o = excluded.o, n = excluded.o, b = 1 WHERE t.b > 0 RETURNING id", 0},
        {INTO "UPDATE SET (o, b) = (excluded.o, 1)",
         INTO "UPDATE SET (o, b) = (excluded.o, 1), n = excluded.o", 0},
        {INTO "NOTHING", NULL, 0},
        {MERGE "THEN UPDATE SET o = u.x WHEN NOT MATCHED THEN DO NOTHING",
         MERGE "THEN UPDATE SET o = u.x, n = u.x WHEN NOT MATCHED THEN DO NOTHING", 0},
        {MERGE "AND u.y THEN UPDATE SET o = f(u.x) WHEN MATCHED THEN UPDATE SET (b, p) = (1, u.y)",
         MERGE "AND u.y THEN UPDATE SET o = f(u.x) WHEN MATCHED THEN UPDATE SET (b, p) = (1, u.y), "
               "\"Q\" = u.y",
         0},
        {MERGE "THEN UPDATE SET b = CASE WHEN true THEN 1 END, o = 2 WHEN NOT MATCHED THEN INSERT "
               "(id) VALUES (1)",
         MERGE "THEN UPDATE SET b = CASE WHEN true THEN 1 END, o = 2, n = 2 WHEN NOT MATCHED THEN "
               "INSERT (id) VALUES (1)",
         0},
        {MERGE "THEN DELETE", NULL, 0},
    };

    (void)state;
    twins_each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
    twins_each(SQL_SIDE_FOLLOW, rows, ARRAY_LEN(rows));
}

static void an_expression_that_was_edited_is_not_copied(void **state)
{
    static const struct twins_row rows[] = {
        /* p means v's column to a new session: t's own is hidden from it, and qualified away */
        {"UPDATE t SET b = 1, n = p FROM (SELECT 1 AS p) v",
         "UPDATE t SET b = 1, n = v.p FROM (SELECT 1 AS p) v", 0},
        {"UPDATE t SET \"Q\" = 2, n = p FROM (SELECT 1 AS p) v",
         "UPDATE t SET \"Q\" = 2, p = 2, n = v.p FROM (SELECT 1 AS p) v", 0},
    };

    (void)state;
    twins_each(SQL_SIDE_NEW, rows, ARRAY_LEN(rows));
}

static void a_default_is_that_of_the_half_that_has_one(void **state)
{
    static const struct twins_row before[] = {
        {"UPDATE t SET n = DEFAULT, o = 1", NULL, 0},
        {"UPDATE t SET \"Q\" = DEFAULT, b = 1", "UPDATE t SET p = DEFAULT, b = 1", 0},
        {"UPDATE t SET (b, n) = (1, DEFAULT)", "UPDATE t SET (b, o) = (1, DEFAULT)", 0},
        {"UPDATE t SET (\"Q\", n) = ROW(1, DEFAULT)",
         "UPDATE t SET (\"Q\", o) = ROW(1, DEFAULT), p = 1", 0},
        {"UPDATE t SET (b, U&\"!006e\" UESCAPE '!') = (1, DEFAULT)", NULL, 0},
        {"UPDATE t SET U&\"!006e\" UESCAPE '!' = DEFAULT", NULL, 0},
        {"UPDATE t SET o = DEFAULT", NULL, 0},
        {"PREPARE s AS UPDATE t SET n = DEFAULT, \"Q\" = 1",
         "PREPARE s AS UPDATE t SET o = DEFAULT, \"Q\" = 1", 0},
        /* a change of type, too */
        {"UPDATE single SET n = DEFAULT", "UPDATE single SET o = DEFAULT", 0},
        {"UPDATE single SET n = 1", NULL, 0},
        {"UPDATE single SET n = DEFAULT, o = DEFAULT", NULL, 0},
    };
    static const struct twins_row after[] = {
        {"UPDATE t SET o = DEFAULT", "UPDATE t SET n = DEFAULT", 0},
        {"UPDATE t SET p = DEFAULT", "UPDATE t SET \"Q\" = DEFAULT", 0},
        {"UPDATE t SET n = DEFAULT", NULL, 0},
        {"MERGE INTO single USING u ON true WHEN MATCHED THEN UPDATE SET o = DEFAULT",
         "MERGE INTO single USING u ON true WHEN MATCHED THEN UPDATE SET n = DEFAULT", 0},
    };

    (void)state;
    twins_each_of(false, SQL_SIDE_NEW, before, ARRAY_LEN(before));
    twins_each_of(true, SQL_SIDE_OLD, after, ARRAY_LEN(after));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_assignment_to_one_half_is_followed_by_the_other),
        cmocka_unit_test(what_may_not_be_repeated_is_evaluated_once_for_each_row),
        cmocka_unit_test(an_error_in_what_is_read_once_more_is_where_it_was_written),
        cmocka_unit_test(a_list_is_followed_by_the_other_half_of_its_elements),
        cmocka_unit_test(a_conflict_and_a_match_set_both_halves),
        cmocka_unit_test(a_default_is_that_of_the_half_that_has_one),
        cmocka_unit_test(an_expression_that_was_edited_is_not_copied),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
