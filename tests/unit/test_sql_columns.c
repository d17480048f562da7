/* What the columns of a query are called: sql/columns.c, by what becomes of names beside them. What
 * the server makes of it: tests/rewrite/cases/names.sql. */
#include <stdio.h>

#include "sql_sides_bed.h"

/* t (id, o, n): o is renamed to n. Of others u has a column n, and one of two `pair`. f() and
 * unnest() give a value in FROM; of g() nothing is known. */
static struct sql_rules *some_rules(bool early)
{
    static const char *const o[] = {"o", NULL}, *const n[] = {"n", NULL}, *const none[] = {NULL};
    static const struct sql_column_rule columns[] = {{"id", SQL_SEEN_BY_BOTH, false},
                                                     {"o", SQL_SEEN_BY_OLD, false},
                                                     {"n", SQL_SEEN_BY_NEW, false}};
    static const size_t third[] = {3};
    static const struct sql_function known[] = {{SQL_FUNCTION_SCALAR, "f"},
                                                {SQL_FUNCTION_SCALAR, "unnest"}};
    const struct sql_table_rule table = {.migration = "m",
                                         .schema = "public",
                                         .name = "t",
                                         .old_columns = o,
                                         .new_columns = n,
                                         .relatives = none,
                                         .columns = columns,
                                         .ncolumns = ARRAY_LEN(columns),
                                         .old_signature = 11,
                                         .early = early};
    struct sql_functions *functions = sql_functions_new(known, ARRAY_LEN(known));
    struct sql_rules *rules = sql_rules_new(1);

    assert_int_equal(sql_rules_add(rules, &table), 0);
    sql_rules_add_namesake(rules, &(struct sql_namesake){"public", "u", n, 0, NULL});
    sql_rules_add_namesake(rules, &(struct sql_namesake){"public", "pair", n, 0, NULL});
    sql_rules_add_namesake(rules, &(struct sql_namesake){"other", "pair", none, 0, NULL});
    sql_rules_add_namesake(rules, &(struct sql_namesake){"public", "wide", n, 0, third});
    sql_rules_functions(rules, functions);
    sql_functions_unref(functions);
    return rules;
}

static void each(const struct row *rows, size_t n)
{
    rows_become(some_rules(false), SQL_SIDE_OLD, rows, n);
}

#define INSIDE(before, after) before " WHERE EXISTS (SELECT 1 FROM t WHERE " after " = 1)"
#define WRAPPED "(SELECT id, o FROM t)"

static void a_list_says_what_the_columns_of_a_cte_are_called(void **state)
{
    static const struct row rows[] = {
        {"WITH c (a, n) AS (SELECT 1, 2) SELECT n FROM c, t",
         "WITH c (a, n) AS (SELECT 1, 2) SELECT c.n FROM c, t", 0},
        {"WITH c (a) AS (SELECT 1, n FROM u) SELECT n FROM c, t",
         "WITH c (a) AS (SELECT 1, n FROM u) SELECT c.n FROM c, t", 0},
        {"WITH c (a) AS (SELECT n FROM u) SELECT o FROM c, t", NULL, 0},
        {INSIDE("WITH c (n) AS (SELECT 1) SELECT 1 FROM c", "n"),
         INSIDE("WITH c (n) AS (SELECT 1) SELECT 1 FROM c", "c.n"), 0},
        {"WITH c (a) AS (SELECT * FROM u) SELECT n FROM c, t", NULL, SQL_DOUBT_NAME},
        {"UPDATE t SET id = n FROM (VALUES (1)) v (n)",
         "UPDATE t SET id = v.n FROM (VALUES (1)) v (n)", 0},
    };

    (void)state;
    each(rows, ARRAY_LEN(rows));
}

static void a_recursive_cte_has_the_names_of_its_first_branch(void **state)
{
    static const struct row rows[] = {
        {"WITH RECURSIVE c AS (SELECT id, 0 AS n FROM t UNION ALL SELECT t.id, n + 1 FROM t JOIN c "
         "ON t.id = c.id) SELECT n FROM c, t",
         "WITH RECURSIVE c AS (SELECT id, 0 AS n FROM t UNION ALL SELECT t.id, c.n + 1 FROM t JOIN "
         "c ON t.id = c.id) SELECT c.n FROM c, t",
         0},
        {"WITH RECURSIVE c (id, n) AS (SELECT id, 0 FROM t UNION SELECT t.id, n + 1 FROM t JOIN c "
         "ON t.id = c.id) SELECT n FROM c, t",
         "WITH RECURSIVE c (id, n) AS (SELECT id, 0 FROM t UNION SELECT t.id, c.n + 1 FROM t JOIN "
         "c ON t.id = c.id) SELECT c.n FROM c, t",
         0},
        {"WITH RECURSIVE c (n) AS (SELECT 1) SELECT n FROM c, t",
         "WITH RECURSIVE c (n) AS (SELECT 1) SELECT c.n FROM c, t", 0},
        {"WITH RECURSIVE c AS (SELECT 1 AS a UNION ALL SELECT a FROM c) SEARCH DEPTH FIRST BY a "
         "SET "
         "n SELECT n FROM c, t",
         "WITH RECURSIVE c AS (SELECT 1 AS a UNION ALL SELECT a FROM c) SEARCH DEPTH FIRST BY a "
         "SET "
         "n SELECT c.n FROM c, t",
         0},
        {"WITH RECURSIVE c AS (SELECT 1 AS a UNION ALL SELECT a FROM c) CYCLE a SET n USING path "
         "SELECT n FROM c, t",
         "WITH RECURSIVE c AS (SELECT 1 AS a UNION ALL SELECT a FROM c) CYCLE a SET n USING path "
         "SELECT c.n FROM c, t",
         0},
        /* a row there has the table's own type: nothing else says what its fields are */
        {"WITH RECURSIVE r AS (SELECT c FROM t c UNION ALL SELECT x FROM r JOIN t x ON x.id = "
         "(r.c).id + 1) SELECT (c).id FROM r",
         NULL, SQL_DOUBT_ROW},
        {"WITH RECURSIVE r AS (SELECT c FROM t c) SELECT (c).id FROM r",
         "WITH RECURSIVE r AS (SELECT c FROM " WRAPPED " c) SELECT (c).id FROM r", 0},
    };

    (void)state;
    each(rows, ARRAY_LEN(rows));
}

static void behind_a_list_of_aliases_a_column_has_its_name_by_its_place(void **state)
{
    static const struct row rows[] = {
        {"SELECT n FROM wide w (a, b), t TABLESAMPLE system (9)",
         "SELECT w.n FROM wide w (a, b), t TABLESAMPLE system (9)", 0},
        {"SELECT 1 FROM (SELECT * FROM wide w (a, b)) s WHERE EXISTS (SELECT FROM t WHERE n = 1)",
         "SELECT 1 FROM (SELECT * FROM wide w (a, b)) s WHERE EXISTS (SELECT FROM t WHERE s.n = 1)",
         0},
        {"SELECT n FROM wide o WHERE EXISTS (SELECT FROM wide w (a, b, c), t TABLESAMPLE system "
         "(9) WHERE n = 1)",
         "SELECT n FROM wide o WHERE EXISTS (SELECT FROM wide w (a, b, c), t TABLESAMPLE system "
         "(9) WHERE o.n = 1)",
         0},
        /* where its place is not known */
        {"SELECT n FROM u w (a, b), t TABLESAMPLE system (9)", NULL, SQL_DOUBT_NAME},
    };

    (void)state;
    each(rows, ARRAY_LEN(rows));
}

static void returning_shows_its_targets(void **state)
{
    static const struct row rows[] = {
        {"WITH c AS (DELETE FROM u RETURNING n) SELECT n FROM c, t",
         "WITH c AS (DELETE FROM u RETURNING n) SELECT c.n FROM c, t", 0},
        {"WITH c AS (INSERT INTO u VALUES (1) RETURNING *) SELECT n FROM c, t",
         "WITH c AS (INSERT INTO u VALUES (1) RETURNING *) SELECT c.n FROM c, t", 0},
        {"WITH c AS (UPDATE t SET id = 1 RETURNING *) SELECT n FROM c, u",
         "WITH c AS (UPDATE t SET id = 1 RETURNING t.id, t.o) SELECT n FROM c, u", 0},
        {INSIDE("WITH c AS (DELETE FROM u RETURNING id AS n) SELECT 1 FROM c", "n"),
         INSIDE("WITH c AS (DELETE FROM u RETURNING id AS n) SELECT 1 FROM c", "c.n"), 0},
    };

    (void)state;
    each(rows, ARRAY_LEN(rows));
}

static void a_star_has_the_columns_of_what_it_stands_for(void **state)
{
    static const struct row rows[] = {
        {"SELECT n FROM (SELECT * FROM u) s, t", "SELECT s.n FROM (SELECT * FROM u) s, t", 0},
        {"SELECT n FROM (SELECT x.* FROM a, u x) s, t",
         "SELECT s.n FROM (SELECT x.* FROM a, u x) s, t", 0},
        {INSIDE("WITH c AS (SELECT * FROM u) SELECT 1 FROM c", "n"),
         INSIDE("WITH c AS (SELECT * FROM u) SELECT 1 FROM c", "c.n"), 0},
        {INSIDE("SELECT 1 FROM (SELECT * FROM a) s", "n"), NULL, 0}, /* nothing else has it */
        {"SELECT n FROM (SELECT * FROM t) s, u", "SELECT n FROM (SELECT t.id, t.o FROM t) s, u", 0},
        {"SELECT n FROM (SELECT * FROM t x (a, n)) s, t",
         "SELECT s.n FROM (SELECT * FROM " WRAPPED " x (a, n)) s, t", 0},
        {"SELECT n FROM (SELECT * FROM (SELECT u.* FROM u) a) b (x), t", NULL, SQL_DOUBT_NAME},
        {"SELECT n FROM (SELECT *, 1 AS n FROM a JOIN b USING (id)) s, t",
         "SELECT s.n FROM (SELECT *, 1 AS n FROM a JOIN b USING (id)) s, t", 0},
        {"SELECT n FROM (SELECT * FROM (VALUES (1, 2)) v (a, n)) s, t",
         "SELECT s.n FROM (SELECT * FROM (VALUES (1, 2)) v (a, n)) s, t", 0},
        {"SELECT n FROM (SELECT * FROM g() AS x (n int)) s, t",
         "SELECT s.n FROM (SELECT * FROM g() AS x (n int)) s, t", 0},
        {"SELECT n FROM (SELECT * FROM pair) s, t", NULL, SQL_DOUBT_NAME},
    };

    (void)state;
    each(rows, ARRAY_LEN(rows));
}

static void a_function_that_gives_a_value_is_a_column_of_its_alias(void **state)
{
    static const struct row rows[] = {
        {"SELECT n FROM t, f() AS n", "SELECT n.n FROM t, f() AS n", 0},
        {"SELECT n FROM t c, unnest(c.o) n", "SELECT n.n FROM t c, unnest(c.o) n", 0},
        {"SELECT n FROM t, f() WITH ORDINALITY AS n", "SELECT n.n FROM t, f() WITH ORDINALITY AS n",
         0},
        {"SELECT n FROM t, f() AS x (n)", "SELECT x.n FROM t, f() AS x (n)", 0},
        {"SELECT n FROM t, f() AS x", NULL, 0},
        {"SELECT n FROM t, ROWS FROM (f(), unnest(ARRAY[1])) AS n", /* the row of both */
         "SELECT n FROM " WRAPPED " AS t, ROWS FROM (f(), unnest(ARRAY[1])) AS n", 0},
        {"SELECT * FROM t, f()", "SELECT t.id, t.o, f.* FROM t, f()", 0},
        {"SELECT n FROM t, g() AS x", NULL, SQL_DOUBT_NAME},
        {"SELECT * FROM t, g()", "SELECT * FROM " WRAPPED " AS t, g()", 0},
    };

    (void)state;
    each(rows, ARRAY_LEN(rows));
}

/* There the server would not say that the name means two things: it would take the nearer one. */
static void a_hidden_column_further_in_never_takes_a_name_that_may_be_anothers(void **state)
{
    static const struct row rows[] = {
        {INSIDE("SELECT 1 FROM g() x", "n"), INSIDE("SELECT 1 FROM g() x", "x.n"), 0},
        {INSIDE("SELECT 1 FROM pair", "n"), INSIDE("SELECT 1 FROM pair", "pair.n"), 0},
        {INSIDE("SELECT 1 FROM g() x, pair", "n"),
         "SELECT 1 FROM g() x, pair WHERE EXISTS (SELECT 1 FROM " WRAPPED " AS t WHERE n = 1)", 0},
        {INSIDE("SELECT 1 FROM g()", "n"),
         "SELECT 1 FROM g() WHERE EXISTS (SELECT 1 FROM " WRAPPED " AS t WHERE n = 1)", 0},
        {INSIDE("SELECT 1 FROM (u JOIN b USING (n)) j", "n"),
         "SELECT 1 FROM (u JOIN b USING (n)) j WHERE EXISTS (SELECT 1 FROM " WRAPPED
         " AS t WHERE n = 1)",
         0},
        {"SELECT n FROM t, u x (a)", "SELECT n FROM (SELECT id, o FROM t) AS t, u x (a)", 0},
        {"SELECT n FROM t, pair x (a)", NULL, SQL_DOUBT_NAME},
        {"SELECT (SELECT n FROM t u) FROM u", "SELECT (SELECT n FROM " WRAPPED " u) FROM u", 0},
        {"SELECT (SELECT n FROM t u FOR UPDATE) FROM u", NULL, SQL_DOUBT_NAME},
    };

    (void)state;
    each(rows, ARRAY_LEN(rows));
}

/* Of as many columns nobody keeps a list: then it is not known. */
static void queries_that_double_their_columns_end(void **state)
{
    struct sql_rules *rules = some_rules(false);
    const struct sql_sight_of_session session = {.side = SQL_SIDE_OLD, .rewrites = true};
    struct sql_rewrite out;
    char sql[4096];
    size_t len = (size_t)snprintf(sql, sizeof(sql), "WITH c0 AS (SELECT 1 AS a)");

    (void)state;
    for (int i = 0; i < 40; i++)
        len += (size_t)snprintf(sql + len, sizeof(sql) - len,
                                ", c%d AS (SELECT a.*, b.* FROM c%d a, c%d b)", i + 1, i, i);
    len += (size_t)snprintf(sql + len, sizeof(sql) - len, " SELECT n FROM c40, t");
    sql_rewrite(rules, &session, sql, len, &out);
    assert_int_equal(out.doubt, SQL_DOUBT_NAME);
    sql_rewrite_fini(&out);
    sql_rules_unref(rules);
}

static void a_conflict_on_a_column_that_is_not_filled_is_read_early(void **state)
{
    static const struct {
        const char *sql;
        bool early;
    } rows[] = {
        {"INSERT INTO t (n) VALUES (1) ON CONFLICT (n) DO NOTHING", true},
        {"INSERT INTO t (id) VALUES (1) ON CONFLICT (id, n) DO UPDATE SET id = 2", true},
        {"INSERT INTO t (n) VALUES (1) ON CONFLICT (id) DO NOTHING", false},
        {"INSERT INTO t (n) VALUES (1) ON CONFLICT (o) DO NOTHING", false},
    };
    const struct sql_sight_of_session session = {.side = SQL_SIDE_NEW, .rewrites = true};
    struct sql_rules *rules = some_rules(true);
    struct sql_rewrite out;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        sql_rewrite(rules, &session, rows[i].sql, strlen(rows[i].sql), &out);
        if ((out.early != 0) != rows[i].early)
            fail_msg("%s", rows[i].sql);
        sql_rewrite_fini(&out);
    }
    sql_rules_unref(rules);
}

static void a_table_made_like_another_counts_as_a_star(void **state)
{
    static const char like[] = "CREATE TEMP TABLE c (a int, LIKE t INCLUDING ALL)",
                      plain[] = "CREATE TABLE c (a int REFERENCES t)";
    const struct sql_sight_of_session session = {.side = SQL_SIDE_OLD, .rewrites = true};
    struct sql_rules *rules = some_rules(false);
    struct sql_rewrite out;

    (void)state;
    sql_rewrite(rules, &session, like, strlen(like), &out);
    assert_int_equal(out.stars, 1);
    assert_int_equal(out.doubt, SQL_DOUBT_STATEMENT);
    assert_null(out.text);
    sql_rewrite_fini(&out);
    sql_rewrite(rules, &session, plain, strlen(plain), &out);
    assert_int_equal(out.stars, 0);
    assert_int_equal(out.doubt, SQL_DOUBT_STATEMENT);
    sql_rewrite_fini(&out);
    sql_rules_unref(rules);
}

static void it_is_known_whose_columns_the_stars_of_a_result_give(void **state)
{
    static const struct {
        const char *sql;
        bool gives, closed;
    } rows[] = {
        {"SELECT * FROM t", true, true},
        {"SELECT x.* FROM t x", true, true},
        {"SELECT (x).* FROM t x", true, true},
        {"TABLE t", true, true},
        {"SELECT * FROM (SELECT * FROM t) s", true, true},
        {"WITH c (a) AS (TABLE t) SELECT c.* FROM c", true, true},
        {"SELECT * FROM t NATURAL JOIN app.other", true, true},
        {"DELETE FROM t RETURNING *", true, true},
        {"PREPARE p AS SELECT * FROM t", true, true},
        {"SELECT *, 1 FROM t", true, false},
        {"SELECT * FROM t, other", true, false},
        {"SELECT * FROM t, f() x", true, false},
        {"SELECT * FROM t, (VALUES (1)) v", true, false},
        {"SELECT * FROM t, (SELECT id FROM t) s", true, false},
        {"SELECT id FROM t", false, false},
        {"SELECT t FROM t", false, false},
        {"SELECT id FROM t WHERE EXISTS (SELECT * FROM t)", false, false},
        {"SELECT * FROM t UNION ALL SELECT * FROM t", false, true},
        {"SELECT * FROM (TABLE t EXCEPT TABLE t) s", false, true},
        {"EXPLAIN SELECT * FROM t", false, true},
        {"SELECT * INTO made FROM t", false, true},
        {"CREATE TABLE made AS SELECT * FROM t", false, true},
        {"DELETE FROM t", false, true},
    };
    const struct sql_sight_of_session session = {.side = SQL_SIDE_OLD, .rewrites = true};
    struct sql_rules *rules = some_rules(false);
    struct sql_rewrite out;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        sql_rewrite(rules, &session, rows[i].sql, strlen(rows[i].sql), &out);
        if (out.doubt != SQL_DOUBT_NONE || (out.signature != 0) != rows[i].gives ||
            out.closed != rows[i].closed)
            fail_msg("%s: %s, %sclosed (%s)", rows[i].sql, out.signature ? "given" : "none",
                     out.closed ? "" : "not ", sql_doubt_text(out.doubt));
        sql_rewrite_fini(&out);
    }
    sql_rules_unref(rules);
}

static void of_a_relation_that_the_rules_may_not_know_nothing_is_certain(void **state)
{
    static const struct row listed[] = {
        {INSIDE("SELECT 1 FROM stage", "n"), NULL, 0},
        {"SELECT 1 AS one INTO x FROM t; " INSIDE("SELECT 1 FROM stage", "n"),
         "SELECT 1 AS one INTO x FROM t; " INSIDE("SELECT 1 FROM stage", "stage.n"), 0},
    };
    static const char text[] = INSIDE("SELECT 1 FROM stage", "n");
    const struct sql_sight_of_session session = {.rewrites = true, .unlisted = true};
    struct sql_rules *rules = some_rules(false);
    struct sql_rewrite out;

    (void)state;
    each(listed, ARRAY_LEN(listed));
    sql_rewrite(rules, &session, text, strlen(text), &out);
    assert_string_equal(out.text, INSIDE("SELECT 1 FROM stage", "stage.n"));
    sql_rewrite_fini(&out);
    sql_rules_unref(rules);
}

static void a_row_is_called_so_where_nobody_knows_whether_a_column_is(void **state)
{
    static const struct row rows[] = {
        {"SELECT f(n) FROM (SELECT (x).* FROM x) n, t",
         "SELECT f(n) FROM (SELECT (x).* FROM x) n, " WRAPPED " AS t", 0},
        {"SELECT (SELECT f(n) FROM t) FROM (SELECT (x).* FROM x) n",
         "SELECT (SELECT f(n) FROM " WRAPPED " AS t) FROM (SELECT (x).* FROM x) n", 0},
        {"SELECT f(n) FROM (SELECT (x).* FROM x) n, t FOR UPDATE", NULL, SQL_DOUBT_NAME},
        {"SELECT f(n) FROM (SELECT (x).* FROM x) m, t", NULL, SQL_DOUBT_NAME},
    };

    (void)state;
    each(rows, ARRAY_LEN(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_a_relation_that_the_rules_may_not_know_nothing_is_certain),
        cmocka_unit_test(it_is_known_whose_columns_the_stars_of_a_result_give),
        cmocka_unit_test(a_list_says_what_the_columns_of_a_cte_are_called),
        cmocka_unit_test(a_recursive_cte_has_the_names_of_its_first_branch),
        cmocka_unit_test(behind_a_list_of_aliases_a_column_has_its_name_by_its_place),
        cmocka_unit_test(returning_shows_its_targets),
        cmocka_unit_test(a_star_has_the_columns_of_what_it_stands_for),
        cmocka_unit_test(a_function_that_gives_a_value_is_a_column_of_its_alias),
        cmocka_unit_test(a_hidden_column_further_in_never_takes_a_name_that_may_be_anothers),
        cmocka_unit_test(queries_that_double_their_columns_end),
        cmocka_unit_test(a_conflict_on_a_column_that_is_not_filled_is_read_early),
        cmocka_unit_test(a_table_made_like_another_counts_as_a_star),
        cmocka_unit_test(a_row_is_called_so_where_nobody_knows_whether_a_column_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
