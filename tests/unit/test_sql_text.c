/* proxy/sql/text.c: several statements in one text. */
#include <time.h>

#include <pg_query.h>

#include "segue/base/buf.h"
#include "sql_sides_bed.h"

/* t (id, o, b, n): o is renamed to n. */
static struct sql_rules *some_rules(void)
{
    static const char *const o[] = {"o", NULL}, *const n[] = {"n", NULL}, *const none[] = {NULL};
    static const struct sql_column_rule columns[] = {{"id", SQL_SEEN_BY_BOTH, false},
                                                     {"o", SQL_SEEN_BY_OLD, false},
                                                     {"b", SQL_SEEN_BY_BOTH, false},
                                                     {"n", SQL_SEEN_BY_NEW, false}};
    static const struct sql_twin_rule twins[] = {{"o", "n"}};
    struct sql_table_rule table = {.migration = "m",
                                   .schema = "public",
                                   .name = "t",
                                   .old_columns = o,
                                   .new_columns = n,
                                   .relatives = none,
                                   .columns = columns,
                                   .ncolumns = ARRAY_LEN(columns),
                                   .twins = twins,
                                   .ntwins = ARRAY_LEN(twins)};
    struct sql_rules *rules = sql_rules_new(1);

    assert_int_equal(sql_rules_add(rules, &table), 0);
    return rules;
}

static void a_statement_in_doubt_leaves_its_neighbours_alone(void **state)
{
    static const struct row rows[] = {
        {"SELECT * FROM t; CREATE TEMP TABLE t AS SELECT 1 AS a; SELECT * FROM t",
         "SELECT t.id, t.o, t.b FROM t; CREATE TEMP TABLE t AS SELECT 1 AS a; SELECT * FROM t",
         SQL_DOUBT_PATH},
        {"CREATE TEMP TABLE s (x int); INSERT INTO t VALUES (1, 'o', 'b')",
         "CREATE TEMP TABLE s (x int); INSERT INTO t (id, o, b, n) VALUES (1, 'o', 'b', 'o')", 0},
        {"SET CONSTRAINTS ALL DEFERRED; SELECT * FROM t",
         "SET CONSTRAINTS ALL DEFERRED; SELECT t.id, t.o, t.b FROM t", 0},
        {"SELECT * FROM t; DO $$BEGIN END$$", "SELECT t.id, t.o, t.b FROM t; DO $$BEGIN END$$", 0},
        {"CREATE INDEX ON t (id); SELECT * FROM t; ALTER TABLE t SET (fillfactor = 50)",
         "CREATE INDEX ON t (id); SELECT t.id, t.o, t.b FROM t; ALTER TABLE t SET "
         "(fillfactor = 50)",
         SQL_DOUBT_STATEMENT},
        {"SELECT f(t) FROM t; UPDATE t SET o = 'x'",
         "SELECT f(t) FROM t; UPDATE t SET o = 'x', n = 'x'", SQL_DOUBT_ROW},
        {"CREATE TABLE c (LIKE t); INSERT INTO t VALUES (1, 'o', 'b')",
         "CREATE TABLE c (LIKE t); INSERT INTO t (id, o, b, n) VALUES (1, 'o', 'b', 'o')",
         SQL_DOUBT_STATEMENT},
        {"SELECT * FROM t; ALTER TABLE t DROP COLUMN b; SELECT * FROM t",
         "SELECT t.id, t.o, t.b FROM t; ALTER TABLE t DROP COLUMN b; SELECT * "
         "FROM t",
         SQL_DOUBT_STATEMENT},
        /* what they may make unseen concerns those behind them: by places it is the table's */
        {"DO $$BEGIN EXECUTE 'CREATE' || ' x'; END$$; UPDATE t SET o = 'x'", NULL, SQL_DOUBT_PATH},
        {"DO $$BEGIN EXECUTE 'CREATE' || ' x'; END$$; INSERT INTO t VALUES (1, 'o', 'b')",
         "DO $$BEGIN EXECUTE 'CREATE' || ' x'; END$$; INSERT INTO t (id, o, b, n) VALUES (1, "
         "'o', 'b', 'o')",
         0},
        {"DO $$BEGIN EXECUTE 'CREATE' || ' x'; END$$; UPDATE t SET o = 'x'; INSERT INTO t VALUES "
         "(1, 'o', 'b')",
         "DO $$BEGIN EXECUTE 'CREATE' || ' x'; END$$; UPDATE t SET o = 'x'; INSERT INTO t (id, o, "
         "b, n) VALUES (1, 'o', 'b', 'o')",
         SQL_DOUBT_PATH},
        /* the same where they say its name: most do not make another one */
        {"DO $$BEGIN ALTER TABLE t ADD CHECK (id > 0); END$$; UPDATE t SET o = 'x'; INSERT INTO t "
         "VALUES (1, 'o', 'b')",
         "DO $$BEGIN ALTER TABLE t ADD CHECK (id > 0); END$$; UPDATE t SET o = 'x'; INSERT INTO t "
         "(id, o, b, n) VALUES (1, 'o', 'b', 'o')",
         SQL_DOUBT_STATEMENT},
        /* but for what makes a table */
        {"SELECT * FROM t; DO $$BEGIN CREATE TEMP TABLE t (a int); END$$; SELECT * FROM t",
         "SELECT t.id, t.o, t.b FROM t; DO $$BEGIN CREATE TEMP TABLE t (a int); END$$; SELECT * "
         "FROM t",
         SQL_DOUBT_STATEMENT},
        {"CREATE TABLE IF NOT EXISTS t (id int); INSERT INTO t VALUES (1, 'o', 'b')",
         "CREATE TABLE IF NOT EXISTS t (id int); INSERT INTO t (id, o, b, n) VALUES (1, 'o', 'b', "
         "'o')",
         SQL_DOUBT_STATEMENT},
        {"DROP TABLE public.t; CREATE TABLE public.t (id int, o text); INSERT INTO public.t (id, "
         "o) "
         "VALUES (1, 'o')",
         NULL, SQL_DOUBT_STATEMENT},
        {"ALTER TABLE t DISABLE TRIGGER USER; DROP TRIGGER IF EXISTS x ON t; SELECT * FROM t",
         "ALTER TABLE t DISABLE TRIGGER USER; DROP TRIGGER IF EXISTS x ON t; SELECT t.id, t.o, t.b "
         "FROM t",
         SQL_DOUBT_STATEMENT},
        {"ALTER TABLE t ADD c int; SELECT * FROM t", NULL, SQL_DOUBT_STATEMENT},
        {"ALTER TABLE t RENAME b TO c; SELECT * FROM t", NULL, SQL_DOUBT_STATEMENT},
        /* what is behind may be written by them, or have another effect */
        {"CREATE TRIGGER a BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f(); UPDATE t SET o = "
         "'x' RETURNING *",
         "CREATE TRIGGER a BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f(); UPDATE t SET o = "
         "'x' RETURNING t.id, t.o, t.b",
         SQL_DOUBT_STATEMENT},
        {"CREATE FUNCTION f(text) RETURNS text LANGUAGE sql AS 'SELECT 1'; INSERT INTO t VALUES "
         "(1, "
         "lower('o'), 'b')",
         NULL, 0},
        {"UPDATE t SET o = 'x'; CREATE TABLE c (LIKE t); CREATE TABLE t (id int)",
         "UPDATE t SET o = 'x', n = 'x'; CREATE TABLE c (LIKE t); CREATE TABLE t (id int)",
         SQL_DOUBT_STATEMENT},
        {"CREATE TABLE t (id int); UPDATE t SET o = 'x'; SELECT * FROM public.t",
         "CREATE TABLE t (id int); UPDATE t SET o = 'x'; SELECT t.id, t.o, t.b FROM "
         "public.t",
         SQL_DOUBT_STATEMENT},
    };

    (void)state;
    rows_become(some_rules(), SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
}

static void what_stands_between_statements_is_left_as_it_is(void **state)
{
    static const struct row rows[] = {
        {";;--;\n;/*;*/;;;SELECT * FROM t;;;;;/*t*/;;;",
         ";;--;\n;/*;*/;;;SELECT t.id, t.o, t.b FROM t;;;;;/*t*/;;;", 0},
        {"SELECT a, b, c FROM u WHERE a = ';' AND b = $$;$$;TABLE t",
         "SELECT a, b, c FROM u WHERE a = ';' AND b = $$;$$;SELECT t.id, t.o, t.b FROM t", 0},
        {"SELECT * FROM t;SELECT 'something that is long enough' FROM u;;;SELECT t.* FROM t",
         "SELECT t.id, t.o, t.b FROM t;SELECT 'something that is long enough' FROM u;;;SELECT "
         "t.id, "
         "t.o, t.b FROM t",
         0},
        {"UPDATE t SET o = "
         "'x';;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;",
         "UPDATE t SET o = 'x', n = "
         "'x';;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;",
         0},
        {"SELECT * FROM t;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;/* segue:off */;;;", NULL, SQL_DOUBT_OFF},
    };

    (void)state;
    rows_become(some_rules(), SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
}

/* `n` times `part` between two statements. */
static char *long_text(const char *before, const char *part, size_t n, const char *after)
{
    size_t front = strlen(before), len = strlen(part);
    char *text = test_malloc(front + n * len + strlen(after) + 1);

    memcpy(text, before, front);
    for (size_t i = 0; i < n; i++)
        memcpy(text + front + i * len, part, len);
    strcpy(text + front + n * len, after);
    return text;
}

static double seconds_since(clock_t begin)
{
    return (double)(clock() - begin) / CLOCKS_PER_SEC;
}

/* The least of a few, of a text that is not kept. */
static double seconds_of(const struct sql_rules *rules, char *text, enum sql_doubt doubt)
{
    const struct sql_sight_of_session session = {.side = SQL_SIDE_OLD, .rewrites = true};
    double least = 1e9;

    for (size_t i = 0; i < 5; i++) {
        struct sql_rewrite out;
        clock_t begin = clock();
        double seconds;

        sql_rewrite(rules, &session, text, strlen(text), &out);
        seconds = seconds_since(begin);
        least = seconds < least ? seconds : least;
        assert_int_equal(out.doubt, doubt);
        assert_true(doubt || out.text);
        sql_rewrite_fini(&out);
    }
    test_free(text);
    return least;
}

static double seconds_of_parser(char *text)
{
    double least = 1e9;

    for (size_t i = 0; i < 5; i++) {
        clock_t begin = clock();
        PgQueryParseResult result = pg_query_parse(text);
        double seconds = seconds_since(begin);

        least = seconds < least ? seconds : least;
        assert_null(result.error);
        pg_query_free_parse_result(result);
    }
    test_free(text);
    return least;
}

#define MILLION 1000000

/* The server's own parser goes through them as fast: more than that is a worker's time. */
static void a_million_of_empty_statements_costs_what_the_parser_takes_for_them(void **state)
{
    static const char *const parts[] = {";", "--\n;", "/**/;"};
    static const char first[] = "SELECT * FROM t;", last[] = "TABLE t";
    struct sql_rules *rules = some_rules();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        double parser = seconds_of_parser(long_text(first, parts[i], MILLION, last));
        double whole = seconds_of(rules, long_text(first, parts[i], MILLION, last), 0);
        double half = seconds_of(rules, long_text(first, parts[i], MILLION / 2, last), 0);
        double refused =
            seconds_of(rules, long_text("ROW t", parts[i], MILLION, ""), SQL_DOUBT_GRAMMAR);

        if (whole > 4 * parser || refused > 4 * parser || whole > 3 * half)
            fail_msg("%s: %.3f s, %.3f s for half, refused %.3f s, parsed in %.3f s", parts[i],
                     whole, half, refused, parser);
    }
    sql_rules_unref(rules);
}

/* The server would refuse it for its many columns; it must not cost the process its memory. */
static void what_is_added_to_a_text_is_bounded(void **state)
{
    struct sql_rules *rules = some_rules();
    struct buf last = {0};
    double seconds;

    (void)state;
    buf_append_str(&last, " FROM t a");
    for (int i = 0; i < 500; i++)
        buf_printf(&last, ", t a%d", i);
    buf_append_u8(&last, 0);
    seconds = seconds_of(rules, long_text("SELECT *", ",*", 20000, last.data), SQL_DOUBT_LENGTH);
    assert_true(seconds < 5);
    buf_fini(&last);
    sql_rules_unref(rules);
}

/* It is read a second time, each statement by itself. */
static void the_bound_holds_where_a_statement_is_in_doubt(void **state)
{
    struct sql_rules *rules = some_rules();
    struct buf last = {0};

    (void)state;
    buf_append_str(&last, " FROM t a");
    for (int i = 0; i < 20; i++)
        buf_printf(&last, ", t a%d", i);
    buf_append_u8(&last, 0);
    seconds_of(rules, long_text("SELECT f(t) FROM t; SELECT *", ",*", 12000, last.data),
               SQL_DOUBT_ROW);
    buf_fini(&last);
    sql_rules_unref(rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_statement_in_doubt_leaves_its_neighbours_alone),
        cmocka_unit_test(what_stands_between_statements_is_left_as_it_is),
        cmocka_unit_test(a_million_of_empty_statements_costs_what_the_parser_takes_for_them),
        cmocka_unit_test(what_is_added_to_a_text_is_bounded),
        cmocka_unit_test(the_bound_holds_where_a_statement_is_in_doubt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
