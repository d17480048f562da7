/* COPY FROM, of halves of which one has the default: sql/copy.c. What the server makes of it:
 * tests/rewrite/cases/copy.sql. */
#include "sql_twins_bed.h"

#define COPY "COPY t (id) FROM STDIN WHERE "

static void a_condition_reads_the_half_that_has_a_value(void **state)
{
    static const struct twins_row before[] = {
        {COPY "n = 'x'", COPY "o = 'x'", 0},
        {COPY "lower(t.n) > 'x' OR \"Q\" IS NULL", COPY "lower(t.o) > 'x' OR p IS NULL", 0},
        {COPY "public.t.n = 'x'", COPY "public.t.o = 'x'", 0},
        {COPY "o = 'x' AND b = 1", NULL, 0},
        {COPY "U&\"!006e\" UESCAPE '!' = 'x'", NULL, SQL_DOUBT_CLAUSE},
        {"COPY t (id, n) FROM STDIN WHERE n = 'x' AND o = 'x'",
         "COPY t (id, n) FROM STDIN WHERE n = 'x' AND n = 'x'", 0},
        {"COPY t FROM STDIN WHERE n = 'x'", "COPY t (id, b, n, \"Q\") FROM STDIN WHERE n = 'x'", 0},
        {"COPY t FROM STDIN WHERE o = 'x'", "COPY t (id, b, n, \"Q\") FROM STDIN WHERE n = 'x'", 0},
        /* what the other half is made of nobody knows here */
        {"COPY single (o) FROM STDIN WHERE n = 'x'", NULL, 0},
    };
    static const struct twins_row after[] = {
        {COPY "o = 'x'", COPY "n = 'x'", 0},
        {COPY "n = 'x'", NULL, 0},
    };

    (void)state;
    twins_each(SQL_SIDE_NEW, before, ARRAY_LEN(before));
    twins_each_of(true, SQL_SIDE_OLD, after, ARRAY_LEN(after));
}

static void a_word_for_the_default_stands_for_that_of_the_half_that_has_it(void **state)
{
    static const struct twins_row rows[] = {
        {"COPY t (id, n) FROM STDIN (DEFAULT 'D') WHERE n = 'x' OR o = 'y'",
         "COPY t (id, o) FROM STDIN (DEFAULT 'D') WHERE o = 'x' OR o = 'y'", 0},
        {"COPY t FROM STDIN (FORMAT csv, HEADER, DEFAULT 'D') WHERE n = 'x'",
         "COPY t (id, b, o, p) FROM STDIN (FORMAT csv, HEADER, DEFAULT 'D') WHERE o = 'x'", 0},
        {"COPY t (o, n) FROM STDIN (DEFAULT 'D')", NULL, 0},
        {"COPY t (n) FROM STDIN (DEFAULT 'D', HEADER match)", NULL, 0},
        {"COPY t (n) FROM STDIN (DEFAULT 'D', FORCE_NULL (n))", NULL, 0},
        {"COPY t (n) TO STDOUT", NULL, 0},
    };

    (void)state;
    twins_each(SQL_SIDE_NEW, rows, ARRAY_LEN(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_condition_reads_the_half_that_has_a_value),
        cmocka_unit_test(a_word_for_the_default_stands_for_that_of_the_half_that_has_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
