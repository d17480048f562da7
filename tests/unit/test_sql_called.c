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
    sql_rules_add_namesake(rules, &(struct sql_namesake){"app", "taken", none, 0, NULL});
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

/* public.before is to be "after", its column o to be n. */
static struct sql_rules *rules_of_both(bool reversed)
{
    static const char *const none[] = {NULL}, *const o[] = {"o", NULL}, *const n[] = {"n", NULL};
    static const struct sql_column_rule columns[] = {{"id", SQL_SEEN_BY_BOTH, false},
                                                     {"o", SQL_SEEN_BY_OLD, false},
                                                     {"n", SQL_SEEN_BY_NEW, false}};
    static const struct sql_twin_rule twin = {"o", "n"};
    struct sql_rules *rules = sql_rules_new(1);

    assert_int_equal(
        sql_rules_add(rules, &(struct sql_table_rule){.migration = "m",
                                                      .schema = "public",
                                                      .name = reversed ? "after" : "before",
                                                      .other_name = reversed ? "before" : "after",
                                                      .old_columns = o,
                                                      .new_columns = n,
                                                      .relatives = none,
                                                      .columns = columns,
                                                      .ncolumns = ARRAY_LEN(columns),
                                                      .twins = &twin,
                                                      .ntwins = 1,
                                                      .reversed = reversed}),
        0);
    sql_rules_set_access(rules, &(struct sql_access){.usage = SQL_USAGE_ALL});
    sql_rules_set_database(rules, "d");
    return rules;
}

static void a_table_and_its_columns_have_two_names_each(void **state)
{
    static const struct {
        bool reversed;
        enum sql_side side;
        const char *sql, *text; /* NULL: as it is */
    } cases[] = {
        /* either revision by its own names, on either side of the turn */
        {false, SQL_SIDE_OLD, "SELECT o FROM before WHERE before.o > ''", NULL},
        {false, SQL_SIDE_NEW, "SELECT n FROM after WHERE after.n > ''",
         "SELECT n FROM public.before AS after WHERE after.n > ''"},
        {true, SQL_SIDE_NEW, "SELECT n FROM after WHERE after.n > ''", NULL},
        {true, SQL_SIDE_OLD, "SELECT o FROM before WHERE before.o > ''",
         "SELECT o FROM public.after AS before WHERE before.o > ''"},
        {false, SQL_SIDE_NEW, "INSERT INTO after (id, n) VALUES (1, 'x') RETURNING after.*",
         "INSERT INTO public.before AS after (id, n, o) VALUES (1, 'x', 'x') RETURNING after.id, "
         "after.n"},
        {true, SQL_SIDE_OLD, "INSERT INTO before VALUES (1, 'x')",
         "INSERT INTO public.after AS before (id, o, n) VALUES (1, 'x', 'x')"},
        {false, SQL_SIDE_NEW, "UPDATE public.after SET n = 'x' WHERE public.after.id = 1",
         "UPDATE public.before AS after SET n = 'x', o = 'x' WHERE after.id = 1"},
        {true, SQL_SIDE_OLD, "COPY before TO STDOUT", "COPY public.after (id, o) TO STDOUT"},
        /* names of both, as an application has them that is halfway there */
        {false, SQL_SIDE_FOLLOW, "SELECT before.n FROM before", NULL},
        {false, SQL_SIDE_FOLLOW, "UPDATE after SET o = 'x'",
         "UPDATE public.before AS after SET o = 'x', n = 'x'"},
        {true, SQL_SIDE_FOLLOW, "UPDATE before SET n = 'x'",
         "UPDATE public.after AS before SET n = 'x', o = 'x'"},
        {true, SQL_SIDE_NEW, "DELETE FROM before USING after WHERE after.n = before.o",
         "DELETE FROM public.after AS before USING after WHERE after.n = before.o"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sql_rules *rules = rules_of_both(cases[i].reversed);
        const struct sql_sight_of_session session = {
            .side = cases[i].side,
            .rewrites = true,
            .path = sql_path_class(rules, "public", "somebody")};
        struct sql_rewrite out;

        sql_rewrite(rules, &session, cases[i].sql, strlen(cases[i].sql), &out);
        if (!out.text != !cases[i].text || (out.text && strcmp(out.text, cases[i].text) != 0))
            fail_msg("%s: %s (%s)", cases[i].sql, out.text ? out.text : "as it is",
                     sql_doubt_text(out.doubt));
        sql_rewrite_fini(&out);
        sql_rules_unref(rules);
    }
}

/* A text of a session that has said its side, or has not, under the rules of both. */
struct sided {
    bool reversed;
    enum sql_side side; /* FOLLOW: it has not said one */
    const char *sql, *text;
    enum sql_doubt doubt;
};

static void each_sided(struct sql_rules *(*make)(bool reversed), const struct sided *cases,
                       size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct sided *c = &cases[i];
        struct sql_rules *rules = make(c->reversed);
        const struct sql_sight_of_session session = {
            .side = c->side,
            .follows = c->side == SQL_SIDE_FOLLOW,
            .rewrites = true,
            .path = sql_path_class(rules, "public", "somebody")};
        struct sql_rewrite out;

        sql_rewrite(rules, &session, c->sql, strlen(c->sql), &out);
        if (out.doubt != c->doubt || !out.text != !c->text ||
            (out.text && strcmp(out.text, c->text) != 0))
            fail_msg("%s: %s (%s)", c->sql, out.text ? out.text : "as it is",
                     sql_doubt_text(out.doubt));
        sql_rewrite_fini(&out);
        sql_rules_unref(rules);
    }
}

static void where_columns_are_in_doubt_the_table_has_its_name_all_the_same(void **state)
{
    static const struct sided cases[] = {
        {false, SQL_SIDE_NEW, "SELECT f(after), after.* FROM after",
         "SELECT f(after), after.* FROM public.before AS after", SQL_DOUBT_ROW},
        {true, SQL_SIDE_FOLLOW, "SELECT lag(before) OVER (ORDER BY id) FROM before",
         "SELECT lag(before) OVER (ORDER BY id) FROM public.after AS before", SQL_DOUBT_ROW},
        {false, SQL_SIDE_FOLLOW, "SELECT f(a), public.after.* FROM public.after, after a",
         "SELECT f(a), after.* FROM public.before AS after, public.before a", SQL_DOUBT_ROW},
        {false, SQL_SIDE_NEW, "SELECT f(after), ((public.after.*)) AS x FROM public.after",
         "SELECT f(after), ((after.*)) AS x FROM public.before AS after", SQL_DOUBT_ROW},
        {false, SQL_SIDE_NEW,
         "SELECT f(d.public.after.*), d.public.after.*, d.public.after.id FROM d.public.after",
         "SELECT f(after.*), after.*, after.id FROM d.public.before AS after", SQL_DOUBT_ROW},
        {false, SQL_SIDE_NEW, "LOCK d.public.after; TABLE d . public.after",
         "LOCK d.public.before; SELECT after.id, after.n FROM d . public.before AS after", 0},
        {false, SQL_SIDE_NEW, "SELECT f(e.public.after.*) FROM public.after",
         "SELECT f(e.public.after.*) FROM public.before AS after", 0}, /* refused in any case */
        {true, SQL_SIDE_OLD, "SELECT f(x) FROM after x UNION ALL TABLE before",
         "SELECT f(x) FROM after x UNION ALL SELECT * FROM public.after AS before", SQL_DOUBT_ROW},
        {false, SQL_SIDE_NEW, "UPDATE after SET n = 'x' WHERE f(after)",
         "UPDATE public.before AS after SET n = 'x' WHERE f(after)", SQL_DOUBT_ROW},
        {false, SQL_SIDE_NEW, "INSERT INTO after VALUES (1, 'x') RETURNING f(after)",
         "INSERT INTO public.before AS after (id, n) VALUES (1, 'x') RETURNING f(after)",
         SQL_DOUBT_ROW},
        {true, SQL_SIDE_OLD,
         "WITH d AS (DELETE FROM before RETURNING before) SELECT (d.before).id FROM d",
         "WITH d AS (DELETE FROM public.after AS before RETURNING before) SELECT (d.before).id "
         "FROM d",
         SQL_DOUBT_ROW},
        {false, SQL_SIDE_NEW, "SELECT ROW((after.*)) FROM after",
         "SELECT ROW((after.*)) FROM public.before AS after", SQL_DOUBT_STAR},
        {false, SQL_SIDE_NEW, "SELECT f(public.after.*) FROM public.after",
         "SELECT f(after.*) FROM public.before AS after", SQL_DOUBT_ROW},
        {false, SQL_SIDE_NEW, "SELECT f(after) FROM after; TRUNCATE after",
         "SELECT f(after) FROM public.before AS after; TRUNCATE public.before", SQL_DOUBT_ROW},
        /* not where it is in doubt which names are the table's */
        {false, SQL_SIDE_NEW, "SELECT f(after), 'after'::regclass FROM after", NULL, SQL_DOUBT_ROW},
        {false, SQL_SIDE_NEW, "SELECT f(after) FROM after; ALTER TABLE after ADD y int",
         "SELECT f(after) FROM public.before AS after; ALTER TABLE after ADD y int", SQL_DOUBT_ROW},
        {false, SQL_SIDE_NEW, "SELECT f(after) FROM e.public.after", NULL, SQL_DOUBT_CLAUSE},
        {false, SQL_SIDE_NEW, "SELECT f(after) FROM after /* segue:off */", NULL, SQL_DOUBT_ROW},
        {false, SQL_SIDE_OLD, "SELECT f(before) FROM before", NULL, SQL_DOUBT_ROW},
    };

    (void)state;
    each_sided(rules_of_both, cases, ARRAY_LEN(cases));
}

/* public.note (id, note) is to be body (id, body). */
static struct sql_rules *rules_of_a_column(const char *now, const char *other, bool reversed)
{
    static const char *const none[] = {NULL}, *const o[] = {"note", NULL},
                             *const n[] = {"body", NULL};
    static const struct sql_column_rule columns[] = {{"id", SQL_SEEN_BY_BOTH, false},
                                                     {"note", SQL_SEEN_BY_OLD, false},
                                                     {"body", SQL_SEEN_BY_NEW, false}};
    static const struct sql_twin_rule twin = {"note", "body"};
    struct sql_rules *rules = sql_rules_new(1);

    sql_rules_add_namesake(rules, &(struct sql_namesake){"public", "u", o, 0, NULL});
    sql_rules_add(rules, &(struct sql_table_rule){.migration = "m",
                                                  .schema = "public",
                                                  .name = now,
                                                  .other_name = other,
                                                  .old_columns = o,
                                                  .new_columns = n,
                                                  .relatives = none,
                                                  .columns = columns,
                                                  .ncolumns = ARRAY_LEN(columns),
                                                  .twins = &twin,
                                                  .ntwins = 1,
                                                  .reversed = reversed});
    sql_rules_set_access(rules, &(struct sql_access){.usage = SQL_USAGE_ALL});
    return rules;
}

static struct sql_rules *called_as_the_columns(bool reversed)
{
    return rules_of_a_column(reversed ? "body" : "note", reversed ? "note" : "body", reversed);
}

static void the_name_of_the_table_tells_the_side(void **state)
{
    static const struct sided cases[] = {
        {false, SQL_SIDE_FOLLOW, "SELECT body FROM body", "SELECT body FROM public.note AS body",
         0},
        {false, SQL_SIDE_FOLLOW, "SELECT (SELECT max(body) FROM body) FROM u",
         "SELECT (SELECT max(body) FROM public.note AS body) FROM u", 0},
        {false, SQL_SIDE_FOLLOW, "SELECT upper(body), count(*) FROM public.body GROUP BY body",
         "SELECT upper(body), count(*) FROM public.note AS body GROUP BY body", 0},
        {false, SQL_SIDE_FOLLOW, "DELETE FROM body WHERE body = 's2' RETURNING body",
         "DELETE FROM public.note AS body WHERE body = 's2' RETURNING body", 0},
        {true, SQL_SIDE_FOLLOW, "SELECT note, upper(note), count(note) FROM note GROUP BY note",
         "SELECT note, upper(note), count(note) FROM public.body AS note GROUP BY note", 0},
        {true, SQL_SIDE_FOLLOW, "DELETE FROM note WHERE note = 's2' RETURNING note",
         "DELETE FROM public.body AS note WHERE note = 's2' RETURNING note", 0},
        /* the old revision does not say the new name of the table, and the column is not there */
        {true, SQL_SIDE_FOLLOW, "SELECT (SELECT note FROM body LIMIT 1) FROM u",
         "SELECT (SELECT u.note FROM body LIMIT 1) FROM u", 0},
        {true, SQL_SIDE_FOLLOW, "SELECT (SELECT note FROM note LIMIT 1) FROM u",
         "SELECT (SELECT note FROM public.body AS note LIMIT 1) FROM u", 0},
        {true, SQL_SIDE_FOLLOW, "SELECT note FROM body note", NULL, SQL_DOUBT_NAME},
        {false, SQL_SIDE_FOLLOW, "SELECT body FROM note body",
         "SELECT (SELECT \"~segue\" AS body FROM (SELECT body.id, body.note) AS \"~segue\") FROM "
         "note body",
         0},
    };

    (void)state;
    each_sided(called_as_the_columns, cases, ARRAY_LEN(cases));
}

static void uses_of_names_of_both_sides_count_for_both(void **state)
{
    static const struct {
        const char *sql;
        uint64_t old_names, new_names;
    } cases[] = {
        {"SELECT o FROM before", 1, 0}, {"SELECT n FROM after", 0, 1},
        {"SELECT n FROM before", 1, 1}, {"UPDATE after SET o = 1", 1, 1},
        {"SELECT id FROM after", 0, 1}, {"SELECT id FROM before", 1, 0},
    };

    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
        struct sql_rules *rules = rules_of_both(i % 2);
        const char *sql = cases[i / 2].sql;
        struct sql_verdict v;

        sql_inspect(rules, sql, strlen(sql), &v);
        if (v.old_names != cases[i / 2].old_names || v.new_names != cases[i / 2].new_names)
            fail_msg("%s: %d %d", sql, (int)v.old_names, (int)v.new_names);
        sql_rules_unref(rules);
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

static enum sql_doubt doubt_of(const struct sql_rules *rules, struct sql_taken shadowed,
                               const char *sql, struct sql_taken *taken, bool *edited)
{
    const struct sql_sight_of_session session = {
        .rewrites = true, .path = sql_path_class(rules, "public", "x"), .shadowed = shadowed};
    struct sql_rewrite out;
    enum sql_doubt doubt;

    sql_rewrite(rules, &session, sql, strlen(sql), &out);
    *taken = sql_taken_join(out.hides, out.makes.certain);
    *edited = out.text != NULL;
    doubt = out.doubt;
    sql_rewrite_fini(&out);
    return doubt;
}

static void a_relation_that_takes_one_name_leaves_the_other_one(void **state)
{
    static const struct {
        struct sql_taken shadowed;
        const char *sql;
        struct sql_taken taken;
        enum sql_doubt doubt;
        bool edited[2]; /* before the cut-over, and from then on */
    } rows[] = {
        {{0}, "CREATE TEMP TABLE orders (id int)", {1, 0}, SQL_DOUBT_STATEMENT, {0}},
        {{0}, "CREATE TEMP TABLE \"Sold items\" (id int)", {0, 1}, SQL_DOUBT_STATEMENT, {0}},
        {{0}, "CREATE VIEW app.\"Sold items\" AS SELECT 1", {0, 1}, SQL_DOUBT_NONE, {0}},
        {{0}, "CREATE TEMP TABLE child (id int)", {16, 16}, SQL_DOUBT_STATEMENT, {0}},
        {{0, 1}, "SELECT * FROM \"Sold items\"", {0}, SQL_DOUBT_PATH, {0}},
        {{0, 1}, "SELECT * FROM orders", {0}, SQL_DOUBT_NONE, {false, true}},
        {{1, 0}, "SELECT * FROM \"Sold items\"", {0}, SQL_DOUBT_NONE, {true, false}},
        {{1, 0}, "SELECT * FROM orders", {0}, SQL_DOUBT_PATH, {0}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows) * 2; i++) {
        struct sql_rules *rules = some_rules(i % 2);
        struct sql_taken taken;
        bool edited;
        enum sql_doubt doubt =
            doubt_of(rules, rows[i / 2].shadowed, rows[i / 2].sql, &taken, &edited);

        if (doubt != rows[i / 2].doubt || !sql_taken_same(taken, rows[i / 2].taken) ||
            edited != rows[i / 2].edited[i % 2])
            fail_msg("%s: %s, %d, %d", rows[i / 2].sql, sql_doubt_text(doubt), (int)taken.old,
                     (int)taken.new);
        sql_rules_unref(rules);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_name_of_the_other_side_is_replaced_and_stays_as_an_alias),
        cmocka_unit_test(after_the_turn_the_old_name_is_the_other_one),
        cmocka_unit_test(what_is_no_relation_in_the_statement_is_left_and_counted),
        cmocka_unit_test(columns_of_one_side_and_another_name_go_together),
        cmocka_unit_test(a_table_and_its_columns_have_two_names_each),
        cmocka_unit_test(where_columns_are_in_doubt_the_table_has_its_name_all_the_same),
        cmocka_unit_test(the_name_of_the_table_tells_the_side),
        cmocka_unit_test(uses_of_names_of_both_sides_count_for_both),
        cmocka_unit_test(positions_of_errors_are_those_of_the_client),
        cmocka_unit_test(uses_are_counted_by_the_name_and_touch_by_either),
        cmocka_unit_test(a_name_that_means_another_relation_until_the_turn_is_in_doubt),
        cmocka_unit_test(the_turn_of_a_name_is_no_end_and_no_other_side),
        cmocka_unit_test(a_relation_that_takes_one_name_leaves_the_other_one),
    };

    return cmocka_run_group_tests_name("sql_called", tests, NULL, NULL);
}
