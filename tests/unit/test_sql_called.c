/* sql/called.h: a table that changes its name is meant by both, and called by the one that it has.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "segue/base/rc.h"
#include "segue/sql/path.h"
#include "segue/sql/rewrite.h"

/* public.orders is to be "Sold items"; public.line changes its name and has columns of one side;
 * child refers to orders; `taken` has a namesake in schema app. */
static struct sql_rules *some_rules(bool reversed)
{
    static const char *const none[] = {NULL}, *const o[] = {"o", NULL}, *const n[] = {"n", NULL};
    static const char *const parents[] = {"orders", NULL};
    static const struct sql_column_rule plain[] = {{"id", SQL_SEEN_BY_BOTH, false},
                                                   {"note", SQL_SEEN_BY_BOTH, false}};
    static const struct sql_column_rule sided[] = {{"id", SQL_SEEN_BY_BOTH, false},
                                                   {"o", SQL_SEEN_BY_OLD, false},
                                                   {"n", SQL_SEEN_BY_NEW, false}};
    static const char *const names[][2] = {
        {"orders", "Sold items"}, {"first", "second"}, {"mine", "taken"}};
    struct sql_table_rule table = {.migration = "m",
                                   .schema = "public",
                                   .old_columns = none,
                                   .new_columns = none,
                                   .relatives = none,
                                   .columns = plain,
                                   .ncolumns = ARRAY_LEN(plain),
                                   .reversed = reversed};
    struct sql_rules *rules = sql_rules_new(1);

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        table.name = names[i][reversed];
        table.other_name = names[i][!reversed];
        assert_int_equal(sql_rules_add(rules, &table), i);
    }
    table.name = reversed ? "after" : "before";
    table.other_name = reversed ? "before" : "after";
    table.columns = sided;
    table.ncolumns = ARRAY_LEN(sided);
    table.old_columns = o;
    table.new_columns = n;
    assert_int_equal(sql_rules_add(rules, &table), 3);
    table.name = "child";
    table.other_name = NULL;
    table.old_columns = table.new_columns = none;
    table.relatives = parents;
    assert_int_equal(sql_rules_add(rules, &table), 4);
    sql_rules_add_namesake(rules, &(struct sql_namesake){"app", "taken", none});
    sql_rules_set_access(rules, &(struct sql_access){.usage = SQL_USAGE_ALL});
    return rules;
}

static void rewritten(bool reversed, enum sql_side side, const char *path, const char *sql,
                      struct sql_rewrite *out)
{
    struct sql_rules *rules = some_rules(reversed);
    const struct sql_sight_of_session session = {
        .side = side, .rewrites = true, .path = sql_path_class(rules, path, "somebody")};

    sql_rewrite(rules, &session, sql, strlen(sql), out);
    sql_rules_unref(rules);
}

struct row {
    const char *sql, *text; /* NULL: as it is */
    enum sql_doubt doubt;
};

static void each(bool reversed, const struct row *rows, size_t n)
{
    static const enum sql_side sides[] = {SQL_SIDE_FOLLOW, SQL_SIDE_OLD, SQL_SIDE_NEW};

    for (size_t i = 0; i < n * ARRAY_LEN(sides); i++) {
        const struct row *row = &rows[i / ARRAY_LEN(sides)];
        struct sql_rewrite out;

        rewritten(reversed, sides[i % ARRAY_LEN(sides)], "public", row->sql, &out);
        if (out.doubt != row->doubt || !out.text != !row->text ||
            (out.text && strcmp(out.text, row->text) != 0))
            fail_msg("%s: %s (%s)", row->sql, out.text ? out.text : "as it is",
                     sql_doubt_text(out.doubt));
        sql_rewrite_fini(&out);
    }
}

static void the_name_of_the_other_side_is_replaced_and_stays_as_an_alias(void **state)
{
    static const struct row rows[] = {
        {"SELECT * FROM second", "SELECT * FROM public.first AS second", 0},
        {"select second.id, second from public . \"second\" where second.note > ''",
         "select second.id, second from public . first AS second where second.note > ''", 0},
        {"SELECT x.* FROM second x", "SELECT x.* FROM public.first x", 0},
        {"SELECT * FROM second AS x(a, b)", "SELECT * FROM public.first AS x(a, b)", 0},
        {"SELECT * FROM ONLY (second), first", "SELECT * FROM ONLY (public.first) AS second, first",
         0},
        {"SELECT * FROM second * JOIN \"Sold items\" USING (id)",
         "SELECT * FROM public.first * AS second JOIN public.orders AS \"Sold items\" USING (id)",
         0},
        {"SELECT * FROM second TABLESAMPLE system (10) FOR UPDATE OF second",
         "SELECT * FROM public.first AS second TABLESAMPLE system (10) FOR UPDATE OF second", 0},
        {"SELECT public.second.id, public.second.* FROM public.second",
         "SELECT second.id, second.* FROM public.first AS second", 0},
        {"TABLE second ORDER BY second.id",
         "SELECT * FROM public.first AS second ORDER BY second.id", 0},
        {"TABLE ONLY second", "SELECT * FROM ONLY public.first AS second", 0},
        {"WITH second AS (SELECT 1) SELECT * FROM second", NULL, 0},
        {"WITH first AS (SELECT 1) SELECT * FROM first, second",
         "WITH first AS (SELECT 1) SELECT * FROM first, public.first AS second", 0},
        {"WITH x AS (DELETE FROM second RETURNING *) SELECT * FROM x",
         "WITH x AS (DELETE FROM public.first AS second RETURNING *) SELECT * FROM x", 0},
        {"SELECT (SELECT max(id) FROM second WHERE second.id < f.id) FROM first f",
         "SELECT (SELECT max(id) FROM public.first AS second WHERE second.id < f.id) FROM first f",
         0},
        {"INSERT INTO second VALUES (1) ON CONFLICT (id) DO UPDATE SET note = second.note",
         "INSERT INTO public.first AS second VALUES (1) ON CONFLICT (id) DO UPDATE SET note = "
         "second.note",
         0},
        {"INSERT INTO second (id) SELECT id FROM second",
         "INSERT INTO public.first AS second (id) SELECT id FROM public.first AS second", 0},
        {"INSERT INTO second AS s DEFAULT VALUES", "INSERT INTO public.first AS s DEFAULT VALUES",
         0},
        {"UPDATE ONLY second SET note = second.id",
         "UPDATE ONLY public.first AS second SET note = second.id", 0},
        {"DELETE FROM second USING first WHERE first.id = second.id",
         "DELETE FROM public.first AS second USING first WHERE first.id = second.id", 0},
        {"MERGE INTO second USING second AS s ON s.id = second.id WHEN MATCHED THEN DELETE",
         "MERGE INTO public.first AS second USING public.first AS s ON s.id = second.id WHEN "
         "MATCHED THEN DELETE",
         0},
        {"COPY second TO STDOUT", "COPY public.first TO STDOUT", 0},
        {"COPY second (id) FROM STDIN", "COPY public.first (id) FROM STDIN", 0},
        {"COPY second FROM STDIN WHERE id > 1", "COPY public.first FROM STDIN WHERE id > 1", 0},
        {"COPY second FROM STDIN WHERE second.id > 1", NULL, SQL_DOUBT_CLAUSE},
        {"COPY second FROM STDIN WHERE second IS NULL", NULL, SQL_DOUBT_CLAUSE},
        {"COPY (TABLE second) TO STDOUT", "COPY (SELECT * FROM public.first AS second) TO STDOUT",
         0},
        {"TRUNCATE second, ONLY \"Sold items\", x", "TRUNCATE public.first, ONLY public.orders, x",
         0},
        {"LOCK TABLE second IN SHARE MODE", "LOCK TABLE public.first IN SHARE MODE", 0},
        {"VACUUM (ANALYZE) x, second (id)", "VACUUM (ANALYZE) x, public.first (id)", 0},
        {"PREPARE p AS SELECT * FROM second", "PREPARE p AS SELECT * FROM public.first AS second",
         0},
        {"DECLARE c CURSOR FOR SELECT * FROM second",
         "DECLARE c CURSOR FOR SELECT * FROM public.first AS second", 0},
        {"EXPLAIN UPDATE second SET id = 1", "EXPLAIN UPDATE public.first AS second SET id = 1", 0},
        {"CREATE TABLE c AS TABLE second", "CREATE TABLE c AS SELECT * FROM public.first AS second",
         0},
        {"SELECT * FROM first, second; SELECT 1 FROM second",
         "SELECT * FROM first, public.first AS second; SELECT 1 FROM public.first AS second", 0},
        {"SELECT * FROM first", NULL, 0},
        {"SELECT * FROM app.second", NULL, 0},
        {"SELECT second FROM first AS second WHERE 'second' = note", NULL, 0},
    };

    (void)state;
    each(false, rows, ARRAY_LEN(rows));
}

static void after_the_turn_the_old_name_is_the_other_one(void **state)
{
    static const struct row rows[] = {
        {"SELECT * FROM first, second", "SELECT * FROM public.second AS first, second", 0},
        {"SELECT orders.* FROM orders", "SELECT orders.* FROM public.\"Sold items\" AS orders", 0},
        {"SELECT * FROM \"Sold items\"", NULL, 0},
    };

    (void)state;
    each(true, rows, ARRAY_LEN(rows));
}

static void what_is_no_relation_in_the_statement_is_left_and_counted(void **state)
{
    static const struct row rows[] = {
        {"SELECT 'second'::regclass", NULL, SQL_DOUBT_TABLE},
        {"SELECT CAST('public.\"second\"' AS pg_catalog.regclass) FROM second", NULL,
         SQL_DOUBT_TABLE},
        {"SELECT pg_get_serial_sequence('second', 'id')", NULL, SQL_DOUBT_TABLE},
        {"SELECT (NULL::second).id", NULL, SQL_DOUBT_TABLE},
        {"SELECT * FROM json_to_record('{}') AS x(a public.second[])", NULL, SQL_DOUBT_TABLE},
        {"COMMENT ON TABLE public.second IS 'x'", NULL, SQL_DOUBT_TABLE},
        {"COMMENT ON TABLE first IS 'second'", NULL, 0},
        {"SELECT 'first'::regclass, (NULL::first).id", NULL, 0},
        {"ALTER TABLE second ADD x int", NULL, SQL_DOUBT_STATEMENT},
        {"SELECT d.public.second.id FROM d.public.second", NULL, SQL_DOUBT_CLAUSE},
        {"SELECT id FROM U&\"second\"", "SELECT id FROM public.first AS second", 0},
    };

    (void)state;
    each(false, rows, ARRAY_LEN(rows));
}

static void columns_of_one_side_and_another_name_go_together(void **state)
{
    static const struct {
        enum sql_side side;
        const char *sql, *text;
    } cases[] = {
        {SQL_SIDE_NEW, "SELECT * FROM after",
         "SELECT after.id, after.n FROM public.before AS after"},
        {SQL_SIDE_OLD, "SELECT public.after.* FROM public.after",
         "SELECT after.id, after.o FROM public.before AS after"},
        {SQL_SIDE_NEW, "TABLE after", "SELECT after.id, after.n FROM public.before AS after"},
        {SQL_SIDE_NEW, "SELECT * FROM after NATURAL JOIN x",
         "SELECT * FROM (SELECT id, n FROM public.before AS after) AS after NATURAL JOIN x"},
        {SQL_SIDE_NEW, "INSERT INTO after VALUES (1, 2)",
         "INSERT INTO public.before AS after (id, n) VALUES (1, 2)"},
        {SQL_SIDE_OLD, "COPY after FROM STDIN", "COPY public.before (id, o) FROM STDIN"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sql_rewrite out;

        rewritten(false, cases[i].side, "public", cases[i].sql, &out);
        if (!out.text || strcmp(out.text, cases[i].text) != 0)
            fail_msg("%s: %s (%s)", cases[i].sql, out.text ? out.text : "as it is",
                     sql_doubt_text(out.doubt));
        sql_rewrite_fini(&out);
    }
}

static void positions_of_errors_are_those_of_the_client(void **state)
{
    static const char sql[] = "SELECT nope FROM \"Sold items\" WHERE nope";
    struct sql_rewrite out;

    (void)state;
    rewritten(false, SQL_SIDE_FOLLOW, "public", sql, &out);
    assert_string_equal(out.text, "SELECT nope FROM public.orders AS \"Sold items\" WHERE nope");
    assert_int_equal(sql_rewrite_position(&out, sql, strlen(sql), 8), 8);
    assert_int_equal(sql_rewrite_position(&out, sql, strlen(sql), 18), 18);
    assert_int_equal(sql_rewrite_position(&out, sql, strlen(sql), 54), 37);
    sql_rewrite_fini(&out);
}

static void uses_are_counted_by_the_name_and_touch_by_either(void **state)
{
    static const struct {
        bool reversed;
        const char *sql;
        uint64_t touches, old_names, new_names;
    } cases[] = {
        {false, "SELECT * FROM second", 2, 0, 2},
        {false, "SELECT * FROM first", 2, 2, 0},
        {true, "SELECT * FROM second", 2, 0, 2},
        {true, "DELETE FROM public.first", 2, 2, 0},
        {true, "SELECT * FROM first, second", 2, 2, 2},
        {true, "ALTER TABLE first ADD x int", 2, 2, 0},
        {true, "what is first", 2, 2, 0},
        {true, "SELECT 'first'", 0, 0, 0},
        {false, "SELECT * FROM \"Sold items\"", 1 | 16, 0, 1}, /* and what refers to it */
        {true, "SELECT * FROM \"Sold items\"", 1 | 16, 0, 1},
        {true, "SELECT * FROM child", 16, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sql_rules *rules = some_rules(cases[i].reversed);
        struct sql_verdict v;

        sql_inspect(rules, cases[i].sql, strlen(cases[i].sql), &v);
        if (v.touches != cases[i].touches || v.old_names != cases[i].old_names ||
            v.new_names != cases[i].new_names)
            fail_msg("%s: %d %d %d", cases[i].sql, (int)v.touches, (int)v.old_names,
                     (int)v.new_names);
        sql_rules_unref(rules);
    }
}

/* Who says `taken` with app behind public in its path has meant app.taken until now. */
static void a_name_that_means_another_relation_until_the_turn_is_in_doubt(void **state)
{
    static const struct {
        bool reversed;
        const char *path, *sql, *text;
        enum sql_doubt doubt;
    } cases[] = {
        {false, "public", "TABLE taken", "SELECT * FROM public.mine AS taken", 0},
        {false, "public, app", "TABLE taken", NULL, SQL_DOUBT_PATH},
        {false, "public, app", "TABLE public.taken", "SELECT * FROM public.mine AS taken", 0},
        {false, "app, public", "TABLE taken", NULL, 0},
        {false, "\"$user\", public", "TABLE taken", "SELECT * FROM public.mine AS taken", 0},
        {true, "public, app", "TABLE taken", NULL, 0},
        {true, "app, public", "TABLE mine", "SELECT * FROM public.taken AS mine", 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sql_rewrite out;

        rewritten(cases[i].reversed, SQL_SIDE_FOLLOW, cases[i].path, cases[i].sql, &out);
        if (out.doubt != cases[i].doubt || !out.text != !cases[i].text ||
            (out.text && strcmp(out.text, cases[i].text) != 0))
            fail_msg("%s, %s: %s (%s)", cases[i].path, cases[i].sql, out.text ? out.text : "-",
                     sql_doubt_text(out.doubt));
        sql_rewrite_fini(&out);
    }
}

static void the_turn_of_a_name_is_no_end_and_no_other_side(void **state)
{
    struct sql_rules *before = some_rules(false), *after = some_rules(true);
    struct sql_rules_ends ends;

    (void)state;
    assert_true(sql_rules_same_tables(before, after));
    assert_int_equal(sql_rules_find(before, "public", "second"), 1);
    assert_int_equal(sql_rules_find(after, "public", "first"), 1);
    assert_true(sql_rules_turned(after, 7).number == 0 && sql_rules_turned(after, 8).number != 0);
    assert_int_equal(sql_rules_side(after, 2), SQL_SIDE_NEW);
    ends = sql_rules_ended(before, after);
    assert_false(ends.old_stays || ends.new_stays);
    ends = sql_rules_ended(after, NULL);
    assert_true(ends.new_stays); /* of the one with columns */
    sql_rules_unref(before);
    sql_rules_unref(after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_name_of_the_other_side_is_replaced_and_stays_as_an_alias),
        cmocka_unit_test(after_the_turn_the_old_name_is_the_other_one),
        cmocka_unit_test(what_is_no_relation_in_the_statement_is_left_and_counted),
        cmocka_unit_test(columns_of_one_side_and_another_name_go_together),
        cmocka_unit_test(positions_of_errors_are_those_of_the_client),
        cmocka_unit_test(uses_are_counted_by_the_name_and_touch_by_either),
        cmocka_unit_test(a_name_that_means_another_relation_until_the_turn_is_in_doubt),
        cmocka_unit_test(the_turn_of_a_name_is_no_end_and_no_other_side),
    };

    return cmocka_run_group_tests_name("sql_called", tests, NULL, NULL);
}
