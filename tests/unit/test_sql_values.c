/* VALUES of many rows of constants: sql/values.c. */
#include "sql_twins_bed.h"

#define X7(row) row ", " row ", " row ", " row ", " row ", " row ", " row

static void many_rows_of_constants_are_selected(void **state)
{
    static const struct twins_row rows[] = {
        {"INSERT INTO t (id, o) VALUES (1, 'a'), " X7("(-2, NULL)"),
         "INSERT INTO t (id, o, n) SELECT c1, c2, c2 FROM ( VALUES (1, "
         "COALESCE((NULL::public.t).o, 'a')), " X7("(-2, NULL)") ") AS \"~segue\"(c1, c2)",
         0},
        {"insert into t(p,o)values('x',null)," X7("(null,2)") "on conflict do nothing returning id",
         "insert into t(p,o, n, \"Q\") SELECT c1, c2, c2, c1 FROM "
         "(values(COALESCE((NULL::public.t).p,"
         " 'x'),null)," X7("(null,2)") ") AS \"~segue\"(c1, c2)on conflict do nothing returning id",
         0},
        {"INSERT INTO t AS x VALUES ( /* a */ (NULL) , true -- b\n), " X7("(NULL, false)") ";",
         "INSERT INTO t AS x (id, o, n) SELECT c1, c2, c2 FROM ( VALUES ( /* a */ "
         "COALESCE((NULL::public.t).id, (NULL)) , true -- b\n), " X7(
             "(NULL, false)") ") AS \"~segue\"(c1, c2);",
         0},
        {"WITH w AS (SELECT 1) INSERT INTO public.t (o) (VALUES ('a'\n'b'), " X7("('c')") ")",
         "WITH w AS (SELECT 1) INSERT INTO public.t (o, n) SELECT c1, c1 FROM ( (VALUES "
         "(COALESCE((NULL::public.t).o, 'a'\n'b')), " X7("('c')") ")) AS \"~segue\"(c1)",
         0},
    };
    static const struct twins_row new_rows[] = {
        {"INSERT INTO t (\"Q\") VALUES ('1'), " X7("('2')"),
         "INSERT INTO t (\"Q\", p) SELECT c1, c1 FROM ( VALUES (COALESCE((NULL::public.t).\"Q\", "
         "'1'"
         ")), " X7("('2')") ") AS \"~segue\"(c1)",
         0},
    };

    (void)state;
    twins_each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
    twins_each(SQL_SIDE_NEW, new_rows, ARRAY_LEN(new_rows));
}

/* Where the type is not said by one column alone, each row has its twin. */
static void all_other_rows_are_added_to(void **state)
{
    static const struct twins_row rows[] = {
        {"INSERT INTO t (id, o) VALUES " X7("(1, 'a')"),
         "INSERT INTO t (id, o, n) VALUES " X7("(1, 'a', 'a')"), 0},
        {"INSERT INTO t (id, o) VALUES ('1', 'a'), " X7("(1, 'b')"),
         "INSERT INTO t (id, o, n) VALUES ('1', 'a', 'a'), " X7("(1, 'b', 'b')"), 0},
        {"INSERT INTO t (id, o) VALUES (1, 2.5), " X7("(1, 2)"),
         "INSERT INTO t (id, o, n) VALUES (1, 2.5, 2.5), " X7("(1, 2, 2)"), 0},
        {"INSERT INTO t (id, o) VALUES (3000000000, 2), " X7("(1, 2)"),
         "INSERT INTO t (id, o, n) VALUES (3000000000, 2, 2), " X7("(1, 2, 2)"), 0},
        {"INSERT INTO t (id, o) VALUES ($1, 2), " X7("(1, 2)"),
         "INSERT INTO t (id, o, n) VALUES ($1, 2, 2), " X7("(1, 2, 2)"), 0},
        {"INSERT INTO t (id, o) VALUES (f(), 2), " X7("(1, 2)"),
         "INSERT INTO t (id, o, n) VALUES (f(), 2, 2), " X7("(1, 2, 2)"), 0},
        {"INSERT INTO t (id, o) VALUES (DEFAULT, 2), " X7("(1, 2)"),
         "INSERT INTO t (id, o, n) VALUES (DEFAULT, 2, 2), " X7("(1, 2, 2)"), 0},
        {"INSERT INTO t (id, o) VALUES (B'1', 2), " X7("(B'1', 2)"),
         "INSERT INTO t (id, o, n) VALUES (B'1', 2, 2), " X7("(B'1', 2, 2)"), 0},
        {"INSERT INTO t (id[1], o) VALUES (1, 2), " X7("(1, 2)"),
         "INSERT INTO t (id[1], o, n) VALUES (1, 2, 2), " X7("(1, 2, 2)"), 0},
        {"INSERT INTO t (id, o) VALUES (1, 2), " X7("(1, 2)") " LIMIT 3",
         "INSERT INTO t (id, o, n) VALUES (1, 2, 2), " X7("(1, 2, 2)") " LIMIT 3", 0},
        {"INSERT INTO t (id, b) VALUES (1, 2), " X7("(1, 2)"), NULL, 0},
        {"INSERT INTO t (id, o, n) VALUES (1, 2, 2), " X7("(1, 2, 2)"), NULL, 0},
        {"INSERT INTO t (id, o) VALUES (1, 2, 3), " X7("(1, 2, 3)"), NULL, 0},
    };

    (void)state;
    twins_each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_rows_of_constants_are_selected),
        cmocka_unit_test(all_other_rows_are_added_to),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
