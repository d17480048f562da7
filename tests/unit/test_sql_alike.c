/* Stars and rows around which something stands: brackets, names, CASE (sql/star.h, sql/alike.h). */
#include "sql_sides_bed.h"

/* public.t of database d: o is to become n. */
static struct sql_rules *some_rules(void)
{
    static const char *const none[] = {NULL}, *const o[] = {"o", NULL}, *const n[] = {"n", NULL};
    static const struct sql_column_rule columns[] = {{"id", SQL_SEEN_BY_BOTH, false},
                                                     {"o", SQL_SEEN_BY_OLD, false},
                                                     {"B c", SQL_SEEN_BY_BOTH, false},
                                                     {"g", SQL_SEEN_BY_BOTH, true},
                                                     {"n", SQL_SEEN_BY_NEW, false}};
    struct sql_rules *rules = sql_rules_new(1);

    assert_int_equal(sql_rules_add(rules, &(struct sql_table_rule){.migration = "m",
                                                                   .schema = "public",
                                                                   .name = "t",
                                                                   .old_columns = o,
                                                                   .new_columns = n,
                                                                   .relatives = none,
                                                                   .columns = columns,
                                                                   .ncolumns = ARRAY_LEN(columns)}),
                     0);
    sql_rules_set_database(rules, "d");
    return rules;
}

static void each(enum sql_side side, const struct row *rows, size_t n)
{
    rows_become(some_rules(), side, rows, n);
}

#define ROW_OF(x) "FROM (SELECT " x ".id, " x ".o, " x ".\"B c\", " x ".g"
#define MADE(x) "(SELECT \"~segue\" AS " x " " ROW_OF(x) ") AS \"~segue\")"
#define LIST(x) x ".id, " x ".o, " x ".\"B c\", " x ".g"

static void a_star_in_brackets_is_a_list_without_them(void **state)
{
    static const struct row rows[] = {
        {"SELECT (t.*) FROM t", "SELECT  " LIST("t") "  FROM t", 0},
        {"SELECT 1, ( (public . t.* )) FROM public.t",
         "SELECT 1,    " LIST("t") "    FROM public.t", 0},
        {"SELECT t.* AS x, (t.*) \"y z\", t.* q FROM t",
         "SELECT " LIST("t") ",  " LIST("t") " , " LIST("t") " FROM t", 0},
        {"SELECT (t).* AS x, ((t).*) FROM t", "SELECT  " LIST("t") ",   " LIST("t") "  FROM t", 0},
        {"SELECT t.* AS U&\"x\" UESCAPE '!' FROM t", NULL, SQL_DOUBT_STAR},
        {"SELECT (t.*) AS x, u.* FROM t NATURAL JOIN u",
         "SELECT (t.*) AS x, u.* FROM (SELECT id, o, \"B c\", g FROM t) AS t NATURAL JOIN u", 0},
        {"SELECT ROW(t.*, (t).*) FROM t", "SELECT ROW(" LIST("t") ",  " LIST("t") ") FROM t", 0},
        {"SELECT ROW((t.*)) FROM t", NULL, SQL_DOUBT_STAR},
        {"SELECT (((t).*), 1) FROM t", NULL, SQL_DOUBT_STAR},
        {"DELETE FROM t RETURNING (old).*, ((new).*) AS x",
         "DELETE FROM t RETURNING  (old).id, (old).o, (old).\"B c\", (old).g,   (new).id, (new).o, "
         "(new).\"B c\", (new).g ",
         0},
        {"UPDATE t SET id = 1 RETURNING WITH (OLD AS x) (x).id, (x.*)",
         "UPDATE t SET id = 1 RETURNING WITH (OLD AS x) (x).id,  " LIST("x") " ", 0},
        {"DELETE FROM t RETURNING (old).f", NULL, SQL_DOUBT_ROW},
        {"UPDATE t SET id = 1 RETURNING WITH (OLD AS old) (old).*",
         "UPDATE t SET id = 1 RETURNING WITH (OLD AS old)  (old).id, (old).o, (old).\"B c\", "
         "(old).g",
         0},
    };

    (void)state;
    each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
}

static void a_row_is_made_where_all_values_are_that_row_or_none(void **state)
{
    static const struct row rows[] = {
        {"SELECT coalesce(t, NULL, t) FROM t FOR UPDATE",
         "SELECT coalesce(" MADE("t") ", NULL, " MADE("t") ") FROM t FOR UPDATE", 0},
        {"SELECT CASE WHEN true THEN t END, least(t, t) FROM t FOR UPDATE",
         "SELECT CASE WHEN true THEN " MADE("t") " END, least(" MADE("t") ", " MADE(
             "t") ") FROM t FOR UPDATE",
         0},
        {"SELECT nullif(t.*, NULL), ARRAY[t] FROM t FOR UPDATE",
         "SELECT nullif(" MADE("t") ", NULL), ARRAY[" MADE("t") "] FROM t FOR UPDATE", 0},
        {"SELECT to_json(coalesce(t, t)) FROM t",
         "SELECT to_json(coalesce(t, t)) FROM (SELECT id, o, \"B c\", g FROM t) AS t", 0},
        {"SELECT coalesce(t, t.*) FROM t", NULL, SQL_DOUBT_ROW},
        {"SELECT coalesce(t, x) FROM t, t x", NULL, SQL_DOUBT_ROW},
        {"SELECT coalesce(t, '(1)') FROM t", NULL, SQL_DOUBT_ROW},
        {"SELECT CASE WHEN true THEN t ELSE ROW(1) END FROM t", NULL, SQL_DOUBT_ROW},
        {"SELECT CASE t WHEN t THEN 1 END FROM t", NULL, SQL_DOUBT_ROW},
        {"SELECT f(coalesce(t, t)) FROM t", NULL, SQL_DOUBT_ROW},
        {"SELECT (coalesce(t, t)).o FROM t", NULL, SQL_DOUBT_ROW},
        {"SELECT (SELECT x FROM t x).o", NULL, SQL_DOUBT_ROW},
        {"SELECT ((SELECT x FROM t x)).*", NULL, SQL_DOUBT_ROW},
        {"SELECT (ARRAY(SELECT x FROM t x))[1].o", NULL, SQL_DOUBT_ROW},
        {"SELECT (s.r).o FROM (SELECT (SELECT x FROM t x) AS r) s", NULL, SQL_DOUBT_ROW},
        {"WITH c AS (SELECT x FROM t x) SELECT (SELECT x FROM c).o", NULL, SQL_DOUBT_ROW},
        {"SELECT to_json(s), (b.y).z FROM (SELECT x AS r FROM t x) s, b",
         "SELECT to_json(s), (b.y).z FROM (SELECT x AS r FROM (SELECT id, o, \"B c\", g FROM t) x) "
         "s, b",
         0},
        {"SELECT to_json(s) FROM (SELECT (SELECT x FROM t x) AS r) s",
         "SELECT to_json(s) FROM (SELECT (SELECT x FROM (SELECT id, o, \"B c\", g FROM t) x) AS r) "
         "s",
         0},
        {"SELECT s.x FROM (SELECT coalesce(t, t) AS x FROM t) s", NULL, SQL_DOUBT_ROW},
        {"SELECT ARRAY[t, ROW(1)] FROM t", NULL, SQL_DOUBT_ROW},
        {"INSERT INTO b SELECT ARRAY[t] FROM t", NULL, SQL_DOUBT_ROW},
    };

    (void)state;
    each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
}

static void a_name_may_begin_with_the_database(void **state)
{
    static const struct row rows[] = {
        {"SELECT * FROM d.public.t", "SELECT t.id, t.o, t.\"B c\", t.g FROM d.public.t", 0},
        {"SELECT d.public.t.*, d . public.t.id FROM public.t",
         "SELECT t.id, t.o, t.\"B c\", t.g, d . public.t.id FROM public.t", 0},
        {"TABLE d.public.t", "SELECT t.id, t.o, t.\"B c\", t.g FROM d.public.t", 0},
        {"COPY d.public.t TO STDOUT", "COPY d.public.t (id, o, \"B c\") TO STDOUT", 0},
        {"SELECT to_json(d.public.t.*) FROM d.public.t",
         "SELECT to_json(" MADE("t") ") FROM d.public.t", 0},
        {"SELECT e.public.t.*, d.app.t.* FROM public.t", NULL, 0}, /* the server refuses them */
        {"SELECT * FROM e.public.t", NULL, SQL_DOUBT_CLAUSE},
    };

    (void)state;
    each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_star_in_brackets_is_a_list_without_them),
        cmocka_unit_test(a_row_is_made_where_all_values_are_that_row_or_none),
        cmocka_unit_test(a_name_may_begin_with_the_database),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
