/* Output columns that ORDER BY, DISTINCT ON and GROUP BY call by name: sql/output.c. What the
 * server makes of it: tests/rewrite/cases/outputs.sql. */
#include "sql_twins_bed.h"

/* What is an output column's is not the hidden column's, and needs no edit. */
static void a_sort_is_by_an_output_column_first(void **state)
{
    static const struct twins_row rows[] = {
        {"SELECT g(o) AS n FROM t ORDER BY n", NULL, 0},
        {"SELECT t.*, g(b) AS n FROM t ORDER BY n DESC",
         "SELECT t.id, t.o, t.b, t.p, g(b) AS n FROM t ORDER BY n DESC", 0},
        {"SELECT DISTINCT ON (n) g(s.n) AS n FROM t, (SELECT 1 AS n) s ORDER BY n", NULL, 0},
        {"SELECT s.n::text FROM t, (SELECT 1 AS n) s ORDER BY n", NULL, 0},
        {"SELECT CAST(s.n AS text) COLLATE \"C\" FROM t, (SELECT 1 AS n) s ORDER BY n", NULL, 0},
        {"SELECT CASE WHEN true THEN 1 ELSE s.n END FROM t, (SELECT 1 AS n) s ORDER BY n", NULL, 0},
        {"SELECT (SELECT s.n LIMIT 1) FROM t, (SELECT 1 AS n) s ORDER BY n", NULL, 0},
        {"SELECT s.r[1] FROM t, (SELECT 1 AS n, ARRAY[1] AS r) s ORDER BY n",
         "SELECT s.r[1] FROM t, (SELECT 1 AS n, ARRAY[1] AS r) s ORDER BY s.n", 0},
        {"SELECT 1 FROM t, (SELECT u.* FROM u) s ORDER BY n", NULL, 0},
        {"SELECT 1 FROM t, (SELECT u.* FROM u) s (a) ORDER BY n", NULL, 0},
        {"SELECT 1 FROM t, (SELECT 1 AS n) s (a) ORDER BY n", NULL, 0},
        {"SELECT s.n + 1 FROM t, (SELECT 1 AS n) s ORDER BY n",
         "SELECT s.n + 1 FROM t, (SELECT 1 AS n) s ORDER BY s.n", 0},
        {"SELECT s.n + 1 FROM t, (SELECT 1 AS n) s ORDER BY n + 0",
         "SELECT s.n + 1 FROM t, (SELECT 1 AS n) s ORDER BY s.n + 0", 0},
    };

    (void)state;
    twins_each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
}

/* There a hidden column would come first: the number says what is meant. */
static void a_group_is_by_an_output_columns_number(void **state)
{
    static const struct twins_row rows[] = {
        {"SELECT b AS n FROM t GROUP BY n", "SELECT b AS n FROM t GROUP BY 1", 0},
        {"SELECT id, b AS n FROM t GROUP BY ROLLUP (id, n)",
         "SELECT id, b AS n FROM t GROUP BY ROLLUP (id, 2)", 0},
        {"SELECT id, b AS n FROM t GROUP BY GROUPING SETS ((n, id), CUBE (n), ())",
         "SELECT id, b AS n FROM t GROUP BY GROUPING SETS ((2, id), CUBE (2), ())", 0},
        {"SELECT id, b AS n FROM t GROUP BY (n, id)", "SELECT id, b AS n FROM t GROUP BY (2, id)",
         0},
        {"SELECT id, b AS n FROM t GROUP BY ROW(n, id)", NULL, 0},
        {"SELECT b AS n FROM t GROUP BY U&\"!006e\" UESCAPE '!'", NULL,
         SQL_DOUBT_JOIN}, /* no key is known */
        {"SELECT s.*, b AS n FROM t, (SELECT 1) s GROUP BY n", NULL, SQL_DOUBT_JOIN},
        {"SELECT lower(b) AS t FROM t WHERE ctid IS NOT NULL GROUP BY t", NULL, 0},
    };

    (void)state;
    twins_each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sort_is_by_an_output_column_first),
        cmocka_unit_test(a_group_is_by_an_output_columns_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
