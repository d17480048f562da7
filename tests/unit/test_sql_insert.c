/* sql/insert.c, rows.c, repeat.c: column lists of INSERT and of MERGE ... THEN INSERT. */
#include "sql_twins_bed.h"

static void what_writes_one_half_writes_both(void **state)
{
    static const struct twins_row rows[] = {
        {"INSERT INTO t (id, o) VALUES (1, 'x')", "INSERT INTO t (id, o, n) VALUES (1, 'x', 'x')",
         0},
        {"INSERT INTO t (id, n) VALUES (1, 'x')", "INSERT INTO t (id, n, o) VALUES (1, 'x', 'x')",
         0},
        {"INSERT INTO t(o,p)VALUES($1,$2)", "INSERT INTO t(o,p, n, \"Q\")VALUES($1,$2, $1, $2)", 0},
        {"INSERT INTO t (\"Q\") VALUES ($1)", "INSERT INTO t (\"Q\", p) VALUES ($1, $1)", 0},
        {"insert into public.T as x (O, \"b\") values (1, 2), (3, 4)",
         "insert into public.T as x (O, \"b\", n) values (1, 2, 1), (3, 4, 3)", 0},
        {"INSERT INTO t (o, n) VALUES (1, 2)", NULL, 0},
        {"INSERT INTO t (id, b) VALUES (1, 2)", NULL, 0},
        {"INSERT INTO t (\"O\") VALUES (1)", NULL, 0},
        {"INSERT INTO t (o, o) VALUES (1, 2)", NULL, 0},
        {"INSERT INTO t (o[1]) VALUES (1)", NULL, 0},
        {"INSERT INTO t (o.f, p) VALUES (1, 2)", "INSERT INTO t (o.f, p, \"Q\") VALUES (1, 2, 2)",
         0},
        {"INSERT INTO t (id, o) VALUES (1)", NULL, 0},
        {"INSERT INTO t (id, o) VALUES (1, 2, 3)", NULL, 0},
        {"INSERT INTO t (id, o) VALUES (1, 2), (3)", NULL, 0},
        {"INSERT INTO t (o, id) VALUES (1, 2), (3)", NULL, 0},
        {"INSERT INTO t DEFAULT VALUES", NULL, 0},
        {"INSERT INTO other (o) VALUES (1)", NULL, 0},
        {"SELECT 'INSERT INTO t (o) VALUES (1)' FROM t", NULL, 0},
    };

    (void)state;
    twins_each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
    twins_each(SQL_SIDE_NEW, rows, ARRAY_LEN(rows));
}

static void around_the_values_everything_stays_as_written(void **state)
{
    static const struct twins_row rows[] = {
        {"INSERT INTO t (o) OVERRIDING SYSTEM VALUE VALUES (1)",
         "INSERT INTO t (o, n) OVERRIDING SYSTEM VALUE VALUES (1, 1)", 0},
        {"INSERT INTO t (o) OVERRIDING USER VALUE VALUES (1)", NULL, 0},
        {"INSERT INTO t (n) OVERRIDING USER VALUE VALUES (1)",
         "INSERT INTO t (o) OVERRIDING USER VALUE VALUES (1)", 0},
        {"INSERT INTO t (U&\"!006e\" UESCAPE '!') OVERRIDING USER VALUE VALUES (1)", NULL,
         SQL_DOUBT_CLAUSE},
        {"INSERT INTO t (o) (VALUES (1))", "INSERT INTO t (o, n) (VALUES (1, 1))", 0},
        {"INSERT INTO t (o) VALUES (1) ORDER BY 1 LIMIT 1",
         "INSERT INTO t (o, n) VALUES (1, 1) ORDER BY 1 LIMIT 1", 0},
        {"INSERT INTO t (o, b) WITH values AS (VALUES (1)) VALUES (2, (SELECT 1 FROM values))",
         "INSERT INTO t (o, b, n) WITH values AS (VALUES (1)) VALUES (2, (SELECT 1 FROM values), "
         "2)",
         0},
        {"INSERT INTO t (b, o) VALUES ((SELECT x FROM (VALUES (1, 2)) v(x, y)), 3)",
         "INSERT INTO t (b, o, n) VALUES ((SELECT x FROM (VALUES (1, 2)) v(x, y)), 3, 3)", 0},
        {"INSERT INTO t (b, o) VALUES (((f(1))), ((-2)))",
         "INSERT INTO t (b, o, n) VALUES (((f(1))), ((-2)), ((-2)))", 0},
        {"INSERT INTO t (o) VALUES (1) ON CONFLICT (id) DO UPDATE SET o = excluded.o RETURNING id",
         "INSERT INTO t (o, n) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET o = excluded.o, n = "
         "excluded.o RETURNING id",
         0},
        {"WITH w AS (INSERT INTO t (o) VALUES (1) RETURNING id) INSERT INTO t (p) VALUES (2)",
         "WITH w AS (INSERT INTO t (o, n) VALUES (1, 1) RETURNING id) INSERT INTO t (p, \"Q\") "
         "VALUES (2, 2)",
         0},
        {"INSERT INTO t (o) VALUES (1); INSERT INTO t (p) VALUES (2)",
         "INSERT INTO t (o, n) VALUES (1, 1); INSERT INTO t (p, \"Q\") VALUES (2, 2)", 0},
        /* the server keeps it, perhaps longer than the twins are there */
        {"PREPARE s AS INSERT INTO t (o) VALUES ($1); INSERT INTO t (o) VALUES (1)",
         "PREPARE s AS INSERT INTO t (o) VALUES ($1); INSERT INTO t (o, n) VALUES (1, 1)", 0},
        {"EXPLAIN INSERT INTO t (o) VALUES (1)", "EXPLAIN INSERT INTO t (o, n) VALUES (1, 1)", 0},
    };

    (void)state;
    twins_each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
}

static void comments_and_quotes_do_not_move_anything(void **state)
{
    static const struct twins_row rows[] = {
        {"INSERT INTO t (o -- , x)\n, id /* ) */) VALUES (1 -- one\n, 2 -- two\n)",
         "INSERT INTO t (o -- , x)\n, id, n /* ) */) VALUES (1 -- one\n, 2, 1 -- two\n)", 0},
        {"INSERT INTO t (o) VALUES (1 -- one\n + 2)",
         "INSERT INTO t (o, n) VALUES (1 -- one\n + 2, 1 -- one\n + 2)", 0},
        {"INSERT /* a */ INTO /* b */ t /* c */ AS /* d */ x /* e */ (o) VALUES (1)",
         "INSERT /* a */ INTO /* b */ t /* c */ AS /* d */ x /* e */ (o, n) VALUES (1, 1)", 0},
        {"INSERT INTO t (o) VALUES (', ('), (E'\\', (')",
         "INSERT INTO t (o, n) VALUES (', (', ', ('), (E'\\', (', E'\\', (')", 0},
        {"INSERT INTO t (o) VALUES ($q$, ($q$)",
         "INSERT INTO t (o, n) VALUES ($q$, ($q$, $q$, ($q$)", 0},
        {"INSERT INTO t (o) VALUES ('a'\n 'b' )",
         "INSERT INTO t (o, n) VALUES ('a'\n 'b', 'a'\n 'b' )", 0},
        {"INSERT INTO t (o) VALUES (U&'!0061' UESCAPE '!')",
         "INSERT INTO t (o, n) VALUES (U&'!0061' UESCAPE '!', U&'!0061' UESCAPE '!')", 0},
        {"INSERT INTO t (U&\"o\") VALUES (1)", "INSERT INTO t (U&\"o\", n) VALUES (1, 1)", 0},
        {"INSERT INTO U&\"t\" AS U&\"x\"\n(o)VALUES(U&'a' /* ' */, 1)", NULL, 0},
        {"INSERT INTO U&\"t\"(o)VALUES(U&'a' /* ' */)",
         "INSERT INTO U&\"t\"(o, n)VALUES(U&'a', U&'a' /* ' */)", 0},
        {"INSERT INTO t (o) SELECT U&'a' \n'b'",
         "INSERT INTO t (o, n) SELECT U&'a' \n'b', U&'a' \n'b' AS \"~segue\"", 0},
        {"INSERT INTO U&\"!0074\" UESCAPE '!' (o) VALUES (1)", NULL, 0},
        {"INSERT INTO t (o) VALUES ('é'), ('ü')",
         "INSERT INTO t (o, n) VALUES ('é', 'é'), ('ü', 'ü')", 0},
    };

    (void)state;
    twins_each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
}

/* What VALUES (expression) becomes: the same again, or nothing. */
static void only_what_may_be_repeated_is_repeated(void **state)
{
    static const char *const repeated[] = {
        "NULL",
        "true",
        "-1.5e3",
        "B'101'",
        "$1",
        "$1::int",
        "CAST($1 AS double precision)",
        "'1'::timestamp with time zone",
        "interval '1' day to second",
        "double precision '1'",
        "CURRENT_TIMESTAMP",
        "CURRENT_TIMESTAMP(3)",
        "CURRENT_USER",
        "$1 || 'x'",
        "$1 + 2 * -$2",
        "$1 OPERATOR(pg_catalog.+) 1",
        "NOT $1 OR $2 IS NOT NULL",
        "COALESCE($1, $2, 'x')",
        "ARRAY[1, 2]::int[]",
        "ARRAY[[1, 2], [3, 4]]",
        "now()",
        "lower($1)",
        "$1 || pg_catalog.lower(x => $2)",
    };
    static const char *const left[] = {
        "DEFAULT",
        "lower(DISTINCT $1)",
        "count(*)",
        "$1 <-> 2",
        "g(f())",
        "g(b)",
        "ARRAY[g()]",
        "COALESCE($1, f())",
        "ARRAY[f()]",
        "f()::text",
        "(SELECT 1)",
        "EXISTS (SELECT 1)",
        "CASE WHEN $1 THEN 1 END",
        "b IS DISTINCT FROM 1",
        "ROW(1, 2)",
        "(1, 2)",
        "GREATEST(1, 2)",
        "XMLELEMENT(NAME a)",
    };
    static const char *const moved[] = {
        "g()",
        "g($1, lower($2))::text",
        "COALESCE($1, g())",
        "g() OPERATOR(pg_catalog.+) 1",
        "$1 IS DISTINCT FROM $2",
        "$1 BETWEEN 1 AND 2",
        "$1 IN (1, g())",
        "$1 = ANY ($2)",
        "g(GREATEST(1, $1), a => $2 COLLATE \"C\", b => $3 IS TRUE)",
    };
    struct twins_row row = {0};
    char sql[200], text[400];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(repeated); i++) {
        snprintf(sql, sizeof(sql), "INSERT INTO t (o, b) VALUES (%s, 7)", repeated[i]);
        snprintf(text, sizeof(text), "INSERT INTO t (o, b, n) VALUES (%s, 7, %s)", repeated[i],
                 repeated[i]);
        row = (struct twins_row){sql, text, 0};
        twins_each(SQL_SIDE_OLD, &row, 1);
    }
    for (size_t i = 0; i < ARRAY_LEN(moved); i++) {
        snprintf(sql, sizeof(sql), "INSERT INTO t (o, b) VALUES (%s, 7)", moved[i]);
        snprintf(text, sizeof(text),
                 "WITH \"~segue1\" AS MATERIALIZED (SELECT %s AS c) INSERT INTO t (o, b, n) VALUES "
                 "((SELECT c FROM \"~segue1\"), 7, (SELECT c FROM \"~segue1\"))",
                 moved[i]);
        row = (struct twins_row){sql, text, 0};
        twins_each(SQL_SIDE_OLD, &row, 1);
    }
    for (size_t i = 0; i < ARRAY_LEN(left); i++) {
        snprintf(sql, sizeof(sql), "INSERT INTO t (b, o) VALUES (7, %s)", left[i]);
        row = (struct twins_row){sql, NULL, 0};
        twins_each(SQL_SIDE_OLD, &row, 1);
    }
}

static void each_row_must_be_fit_and_each_twin_is_its_own(void **state)
{
    static const struct twins_row rows[] = {
        {"INSERT INTO t (o) VALUES (1), (DEFAULT)",
         "INSERT INTO t (o, n) VALUES (1, 1), (DEFAULT, DEFAULT)", 0},
        {"INSERT INTO t (o) VALUES (DEFAULT), (default)", NULL, 0},
        {"INSERT INTO t (o, p) VALUES (f(), 2), (f(), f())",
         "INSERT INTO t (o, p, \"Q\") VALUES (f(), 2, 2), (f(), f(), DEFAULT)", 0},
        {"INSERT INTO t (o, p) VALUES (1, DEFAULT), (2, DEFAULT)",
         "INSERT INTO t (o, p, n) VALUES (1, DEFAULT, 1), (2, DEFAULT, 2)", 0},
        {"INSERT INTO t (o) VALUES (1), (g()) LIMIT 2", NULL, 0},
        {"INSERT INTO t (o) VALUES (1), (g()) OFFSET 1", NULL, 0},
        {"INSERT INTO t (o) VALUES (1), (g()) ORDER BY 1", NULL, 0},
        {"INSERT INTO t (o) WITH a AS (SELECT 1) VALUES (1), (g())", NULL, 0},
    };
    char big[1200], sql[1300];
    struct twins_row row = {sql, NULL, 0};

    (void)state;
    twins_each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
    memset(big, 'x', sizeof(big));
    big[sizeof(big) - 1] = '\0';
    snprintf(sql, sizeof(sql), "INSERT INTO t (o) VALUES ('%s')", big);
    twins_each(SQL_SIDE_OLD, &row, 1);
}

#define WITH(number, expr) "\"~segue" number "\" AS MATERIALIZED (SELECT " expr " AS c)"
#define FROM_WITH(number) "(SELECT c FROM \"~segue" number "\")"

static void what_may_not_be_repeated_is_taken_from_a_with(void **state)
{
    static const struct twins_row rows[] = {
        {"INSERT INTO t (o) VALUES (g( $1 ))",
         "WITH " WITH("1", "g( $1 )") " INSERT INTO t (o, n) VALUES (" FROM_WITH(
             "1") ", " FROM_WITH("1") ")",
         0},
        {"WITH RECURSIVE a AS (SELECT 1) INSERT INTO public.t VALUES (nextval('s'), g() || 'x', "
         "DEFAULT) RETURNING id",
         "WITH RECURSIVE " WITH(
             "1", "g() || 'x'") ", a AS (SELECT 1) INSERT INTO public.t (id, o, b, n) "
                                "VALUES (nextval('s'), " FROM_WITH("1") ", DEFAULT, " FROM_WITH(
                                    "1") ") RETURNING id",
         0},
        {"INSERT INTO t (o, p) VALUES (g(1), 1), (2, g(2)), (DEFAULT, g(3))",
         "WITH " WITH("1", "g(1)") ", " WITH("2", "g(2)") ", " WITH(
             "3", "g(3)") " INSERT INTO t "
                          "(o, p, n, \"Q\") "
                          "VALUES "
                          "(" FROM_WITH("1") ", 1, " FROM_WITH("1") ", 1), (2, " FROM_WITH(
                              "2") ", 2, " FROM_WITH("2") "), "
                                                          "(DEFAULT"
                                                          ","
                                                          " " FROM_WITH(
                                                              "3") ", DEFAULT, " FROM_WITH("3") ")",
         0},
        {"SELECT 1; WITH w AS (INSERT INTO t (o) VALUES (g()) RETURNING id) TABLE w",
         "SELECT 1; WITH w AS (WITH " WITH("1", "g()") " INSERT INTO t (o, n) VALUES (" FROM_WITH(
             "1") ", " FROM_WITH("1") ") RETURNING id) TABLE w",
         0},
        /* its type is what the first use says, and that would be another one */
        {"INSERT INTO t (o, b) VALUES (g($1), $1)", NULL, 0},
        {"INSERT INTO t (o, b) VALUES (g($1), $10)",
         "WITH " WITH("1", "g($1)") " INSERT INTO t (o, b, n) VALUES (" FROM_WITH(
             "1") ", $10, " FROM_WITH("1") ")",
         0},
        /* may never be evaluated, or more than once */
        {"MERGE INTO t USING u ON t.id = u.id WHEN NOT MATCHED THEN INSERT (o) VALUES (g())", NULL,
         0},
    };
    /* o is in front of columns that are evaluated, or have a default, before n */
    static const struct twins_row new_rows[] = {{"INSERT INTO t (n) VALUES (g())", NULL, 0}};
    struct twins_row many = {.sql = "INSERT INTO t (o) VALUES (g()), (g()), (g()), (g()), (g()), "
                                    "(g()), (g()), (g()), (g()), "
                                    "(g()), (g()), (g()), (g()), (g()), (g()), (g()), (g())"};
    struct sql_rules *rules = twins_rules(false);
    const struct sql_sight_of_session session = {.side = SQL_SIDE_OLD, .rewrites = true};
    struct sql_rewrite out;

    (void)state;
    twins_each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
    twins_each(SQL_SIDE_NEW, new_rows, ARRAY_LEN(new_rows));
    sql_rewrite(rules, &session, many.sql, strlen(many.sql), &out);
    assert_non_null(strstr(out.text, "\"~segue16\" AS"));
    assert_null(strstr(out.text, "\"~segue17\" AS"));
    assert_non_null(strstr(out.text, "(g(), DEFAULT)"));
    sql_rewrite_fini(&out);
    sql_rules_unref(rules);
}

static void an_error_in_what_was_moved_is_where_it_was_written(void **state)
{
    static const char sql[] = "INSERT INTO t (b, o) VALUES ('é', g(1, 'x') + 2)";
    struct sql_rules *rules = twins_rules(false);
    const struct sql_sight_of_session session = {.side = SQL_SIDE_OLD, .rewrites = true};
    struct sql_rewrite out;

    (void)state;
    sql_rewrite(rules, &session, sql, strlen(sql), &out);
    /* é is one character of two bytes, in front of it in the client's text and behind it here */
    assert_int_equal(sql_rewrite_position(&out, sql, strlen(sql),
                                          (uint32_t)(strstr(out.text, "'x'") - out.text) + 1),
                     (uint32_t)(strstr(sql, "'x'") - sql));
    assert_int_equal(sql_rewrite_position(&out, sql, strlen(sql),
                                          (uint32_t)(strstr(out.text, "INSERT") - out.text) + 1),
                     1);
    sql_rewrite_fini(&out);
    sql_rules_unref(rules);
}

static void a_select_gets_another_item_at_its_end(void **state)
{
    static const struct twins_row rows[] = {
        {"INSERT INTO t (o, b) SELECT x, y FROM u",
         "INSERT INTO t (o, b, n) SELECT x, y, x AS \"~segue\" FROM u", 0},
        {"INSERT INTO t (b, o) SELECT x, y AS z FROM u ORDER BY 2, x",
         "INSERT INTO t (b, o, n) SELECT x, y AS z, y AS \"~segue\" FROM u ORDER BY 2, x", 0},
        {"INSERT INTO t (o, b) SELECT x from_x, count(*) AS from FROM u GROUP BY 1",
         "INSERT INTO t (o, b, n) SELECT x from_x, count(*) AS from, x AS \"~segue\" FROM u GROUP "
         "BY 1",
         0},
        {"INSERT INTO t (o) SELECT ALL 'x' WHERE $1",
         "INSERT INTO t (o, n) SELECT ALL 'x', 'x' AS \"~segue\" WHERE $1", 0},
        {"INSERT INTO t (o) SELECT u.from FROM u",
         "INSERT INTO t (o, n) SELECT u.from, u.from AS \"~segue\" FROM u", 0},
        {"INSERT INTO t (o, b) SELECT x, x IS DISTINCT FROM y FROM u",
         "INSERT INTO t (o, b, n) SELECT x, x IS DISTINCT FROM y, x AS \"~segue\" FROM u", 0},
        {"INSERT INTO t (o, b) SELECT x, x IS NOT DISTINCT FROM 1",
         "INSERT INTO t (o, b, n) SELECT x, x IS NOT DISTINCT FROM 1, x AS \"~segue\"", 0},
        {"INSERT INTO t (o, b) SELECT x, y distinct FROM u",
         "INSERT INTO t (o, b, n) SELECT x, y distinct, x AS \"~segue\" FROM u", 0},
        {"INSERT INTO t (o, b) SELECT x, percentile_disc(0.5) WITHIN GROUP (ORDER BY y) FROM u "
         "GROUP BY x",
         "INSERT INTO t (o, b, n) SELECT x, percentile_disc(0.5) WITHIN GROUP (ORDER BY y), x AS "
         "\"~segue\" FROM u GROUP BY x",
         0},
        {"INSERT INTO t (o, b) SELECT x, CASE WHEN y THEN 1 END c FROM u",
         "INSERT INTO t (o, b, n) SELECT x, CASE WHEN y THEN 1 END c, x AS \"~segue\" FROM u", 0},
        {"INSERT INTO t (o, b, p) SELECT x, u.* FROM u",
         "INSERT INTO t (o, b, p, n) SELECT x, u.*, x AS \"~segue\" FROM u", 0},
        {"INSERT INTO t (b, o) SELECT u.*, x FROM u", NULL, 0},
        {"INSERT INTO t (b, o) SELECT (u).*, x FROM u", NULL, 0},
        {"INSERT INTO t (id, b, o) SELECT y, u.*, x FROM u", NULL, 0},
        {"INSERT INTO t (b, o) TABLE u", NULL, 0},
        {"INSERT INTO t (o) SELECT x, y FROM u", NULL, 0},
        {"INSERT INTO t (o) (WITH a AS (SELECT 1 AS x) SELECT x FROM a) ON CONFLICT DO NOTHING",
         "INSERT INTO t (o, n) (WITH a AS (SELECT 1 AS x) SELECT x, x AS \"~segue\" FROM a) ON "
         "CONFLICT DO NOTHING",
         0},
        {"INSERT INTO t (o) SELECT x ON CONFLICT DO NOTHING RETURNING id",
         "INSERT INTO t (o, n) SELECT x, x AS \"~segue\" ON CONFLICT DO NOTHING RETURNING id", 0},
        {"INSERT INTO t (o) SELECT x RETURNING id",
         "INSERT INTO t (o, n) SELECT x, x AS \"~segue\" RETURNING id", 0},
        {"INSERT INTO t (o) SELECT $1", "INSERT INTO t (o, n) SELECT $1, $1 AS \"~segue\"", 0},
        {"INSERT INTO t (o) SELECT x U&\"a\" FROM u",
         "INSERT INTO t (o, n) SELECT x U&\"a\", x AS \"~segue\" FROM u", 0},
    };

    (void)state;
    twins_each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
}

#define FRONT(columns) "SELECT " columns " FROM (SELECT * FROM ( "
#define BACK(columns) ") AS \"~segue\" OFFSET 0) AS \"~segue\"(" columns ")"

static void what_takes_work_is_done_once_a_row(void **state)
{
    static const struct twins_row rows[] = {
        {"INSERT INTO t (id, o) SELECT x, 'a' || x FROM u",
         "INSERT INTO t (id, o, n) " FRONT("c1, c2, c2") "SELECT x, 'a' || x FROM u" BACK("c1, c2"),
         0},
        {"INSERT INTO t (o) SELECT x::text FROM u",
         "INSERT INTO t (o, n) " FRONT("c1, c1") "SELECT x::text FROM u" BACK("c1"), 0},
        {"INSERT INTO t (o) SELECT '1'::text FROM u",
         "INSERT INTO t (o, n) SELECT '1'::text, '1'::text AS \"~segue\" FROM u", 0},
        {"INSERT INTO t (o) SELECT CURRENT_USER FROM u",
         "INSERT INTO t (o, n) SELECT CURRENT_USER, CURRENT_USER AS \"~segue\" FROM u", 0},
        {"INSERT INTO t (o) SELECT 'a' || $1",
         "INSERT INTO t (o, n) SELECT 'a' || $1, 'a' || $1 AS \"~segue\"", 0},
        {"INSERT INTO t (id, o) SELECT x + 1, x FROM u",
         "INSERT INTO t (id, o, n) SELECT x + 1, x, x AS \"~segue\" FROM u", 0},
        /* a parameter would be text in a sub-select, or so */
        {"INSERT INTO t (id, o) SELECT $1, x + 1 FROM u",
         "INSERT INTO t (id, o, n) SELECT $1, x + 1, x + 1 AS \"~segue\" FROM u", 0},
    };

    (void)state;
    twins_each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
}

static void what_cannot_be_repeated_is_selected_once(void **state)
{
    static const struct twins_row rows[] = {
        {"INSERT INTO t (id, o) SELECT i, md5(i::text) FROM generate_series(1, 9) i",
         "INSERT INTO t (id, o, n) " FRONT(
             "c1, c2, c2") "SELECT i, md5(i::text) FROM generate_series(1, 9) i" BACK("c1, c2"),
         0},
        {"INSERT INTO t (o) SELECT x FROM u UNION ALL SELECT 'x' ORDER BY 1 RETURNING id",
         "INSERT INTO t (o, n) " FRONT("c1, c1") "SELECT x FROM u UNION ALL SELECT 'x' ORDER BY "
                                                 "1" BACK("c1") " RETURNING id",
         0},
        {"INSERT INTO t (o) ((SELECT DISTINCT x, y FROM u)) ON CONFLICT DO NOTHING", NULL, 0},
        {"INSERT INTO t (o) ((SELECT DISTINCT x FROM u)) ON CONFLICT DO NOTHING",
         "INSERT INTO t (o, n) " FRONT("c1, c1") "((SELECT DISTINCT x FROM u))" BACK(
             "c1") " ON CONFLICT DO NOTHING",
         0},
        {"INSERT INTO t (o) SELECT f(a) FROM u JOIN v ON conflict ON CONFLICT DO NOTHING",
         "INSERT INTO t (o, n) " FRONT("c1, c1") "SELECT f(a) FROM u JOIN v ON conflict" BACK(
             "c1") " ON CONFLICT DO NOTHING",
         0},
        {"INSERT INTO t (o, b) SELECT x, y FROM u GROUP BY ROLLUP (x, y) -- end",
         "INSERT INTO t (o, b, n) " FRONT("c1, c2, c1") "SELECT x, y FROM u GROUP BY ROLLUP (x, "
                                                        "y)" BACK("c1, c2") " -- end",
         0},
        {"WITH w AS (INSERT INTO t (o) SELECT f() RETURNING id) SELECT id FROM w",
         "WITH w AS (INSERT INTO t (o, n) " FRONT("c1, c1") "SELECT f()" BACK(
             "c1") " RETURNING id) SELECT id FROM w",
         0},
        {"INSERT INTO t (o) SELECT f(); SELECT 1",
         "INSERT INTO t (o, n) " FRONT("c1, c1") "SELECT f()" BACK("c1") "; SELECT 1", 0},
        {"INSERT INTO t (o) WITH a AS (SELECT 1) SELECT f()",
         "INSERT INTO t (o, n) " FRONT("c1, c1") "WITH a AS (SELECT 1) SELECT f()" BACK("c1"), 0},
        {"INSERT INTO t (o) SELECT f(x) AS returning FROM u AS u RETURNING id",
         "INSERT INTO t (o, n) " FRONT("c1, c1") "SELECT f(x) AS returning FROM u AS u" BACK(
             "c1") " RETURNING id",
         0},
        {"INSERT INTO t (b, p, o) SELECT 1, s.o, s.* FROM single s",
         "INSERT INTO t (b, p, o, n, \"Q\") " FRONT("c1, c2, c3, c3, c2") "SELECT 1, s.o, s.o FROM "
                                                                          "single s" BACK(
                                                                              "c1, c2, c3"),
         0},
        /* is it AS distinct FROM a, or IS DISTINCT FROM a? */
        {"INSERT INTO t (o) SELECT a.is distinct FROM a",
         "INSERT INTO t (o, n) " FRONT("c1, c1") "SELECT a.is distinct FROM a" BACK("c1"), 0},
        /* a type of its own is what a literal or a parameter would get there */
        {"INSERT INTO t (o, b) SELECT f(), 'x'",
         "INSERT INTO t (o, b, n) " FRONT("c1, 'x', c1") "SELECT f(), 'x'" BACK("c1, c2"), 0},
        {"INSERT INTO t (o, p, b) SELECT f(), ('x') AS y, NULL FROM u",
         "INSERT INTO t (o, p, b, n, \"Q\") " FRONT(
             "c1, ('x'), NULL, c1, ('x')") "SELECT f(), ('x') AS y, NULL FROM u" BACK("c1, c2, c3"),
         0},
        {"INSERT INTO t (o, b) SELECT f(), 'x' ORDER BY 2", NULL, 0},
        {"INSERT INTO t (o, b) SELECT f(), 'x' GROUP BY 2", NULL, 0},
        {"INSERT INTO t (o, b) SELECT DISTINCT f(), 'x'", NULL, 0},
        {"INSERT INTO t (o) SELECT x U&\"a\" UESCAPE '!' FROM u",
         "INSERT INTO t (o, n) " FRONT("c1, c1") "SELECT x U&\"a\" UESCAPE '!' FROM u" BACK("c1"),
         0},
        {"INSERT INTO t (o, b) SELECT f(), $1", NULL, 0},
        {"INSERT INTO t (o, p) SELECT f(), $1",
         "INSERT INTO t (o, p, \"Q\") SELECT f(), $1, $1 AS \"~segue\"", 0},
        {"INSERT INTO t (o, b) SELECT f(), u.* FROM u", NULL, 0},
    };

    (void)state;
    twins_each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
}

static void an_old_session_without_a_list_counts_old_columns(void **state)
{
    static const struct twins_row rows[] = {
        {"INSERT INTO t VALUES (1, 2, 3)", "INSERT INTO t (id, o, b, n) VALUES (1, 2, 3, 2)", 0},
        {"INSERT INTO t VALUES (1), (2)", NULL, 0},
        {"INSERT INTO t AS x VALUES (1, f())", NULL, 0},
        {"INSERT INTO public.t AS x(VALUES (1, 2))",
         "INSERT INTO public.t AS x (id, o, n)(VALUES (1, 2, 2))", 0},
        {"INSERT INTO t VALUES (1, 2, 3, 4, 5)",
         "INSERT INTO t (id, o, b, p) VALUES (1, 2, 3, 4, 5)", 0},
        {"INSERT INTO t SELECT x, y FROM u",
         "INSERT INTO t (id, o, n) SELECT x, y, y AS \"~segue\" FROM u", 0},
        {"INSERT INTO t SELECT x, f(y) FROM u",
         "INSERT INTO t (id, o, n) " FRONT("c1, c2, c2") "SELECT x, f(y) FROM u" BACK("c1, c2"), 0},
        {"INSERT INTO t(SELECT f(1), f(2))",
         "INSERT INTO t (id, o, n) SELECT c1, c2, c2 FROM (SELECT * FROM ((SELECT f(1), f(2))" BACK(
             "c1, c2"),
         0},
        {"INSERT INTO t(o)SELECT f()-- f\nRETURNING id",
         "INSERT INTO t(o, n) SELECT c1, c1 FROM (SELECT * FROM (SELECT f()" BACK(
             "c1") "-- f\nRETURNING id",
         0},
        {"INSERT INTO t SELECT x FROM u", NULL, 0},
        {"INSERT INTO t SELECT * FROM u", NULL, 0},
        {"INSERT INTO t SELECT * FROM (VALUES (1)) v", NULL, 0},
        {"INSERT INTO t SELECT * FROM (VALUES (1, 2)) v",
         "INSERT INTO t (id, o, n) " FRONT("c1, c2, c2") "SELECT * FROM (VALUES (1, 2)) v" BACK(
             "c1, c2"),
         0},
        {"INSERT INTO t SELECT x, u.* FROM u", NULL, 0},
        {"INSERT INTO t TABLE u", NULL, 0},
        {"INSERT INTO t VALUES (1, (u).*)", NULL, 0},
        {"INSERT INTO t OVERRIDING USER VALUE VALUES (1, 2)", NULL, 0},
        {"INSERT INTO t OVERRIDING SYSTEM VALUE SELECT 1, 2",
         "INSERT INTO t (id, o, n) OVERRIDING SYSTEM VALUE SELECT 1, 2, 2 AS \"~segue\"", 0},
        {"INSERT INTO t DEFAULT VALUES", NULL, 0},
        {"INSERT INTO t VALUES (DEFAULT, DEFAULT)", NULL, 0},
        {"INSERT INTO single VALUES (1)", NULL, 0},
        {"INSERT INTO single VALUES (1, 2)", "INSERT INTO single (o) VALUES (1, 2)", 0},
    };

    (void)state;
    twins_each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
}

static void a_new_session_without_a_list_counts_new_columns(void **state)
{
    static const struct twins_row rows[] = {
        {"INSERT INTO t VALUES (1)", NULL, 0},
        {"INSERT INTO t VALUES (1, 2)", "INSERT INTO t (id, b) VALUES (1, 2)", 0},
        {"INSERT INTO t VALUES (1, 2, 3, 4)",
         "INSERT INTO t (id, b, n, \"Q\", o, p) VALUES (1, 2, 3, 4, 3, 4)", 0},
        {"INSERT INTO t VALUES (1, 2, f())", "INSERT INTO t (id, b, n) VALUES (1, 2, f())", 0},
        {"INSERT INTO t OVERRIDING USER VALUE VALUES (1, 2, 3)",
         "INSERT INTO t (id, b, o) OVERRIDING USER VALUE VALUES (1, 2, 3)", 0},
        {"INSERT INTO t OVERRIDING USER VALUE VALUES (1, 2)",
         "INSERT INTO t (id, b) OVERRIDING USER VALUE VALUES (1, 2)", 0},
        {"INSERT INTO t OVERRIDING USER VALUE SELECT * FROM u", NULL, SQL_DOUBT_STAR},
        {"INSERT INTO t VALUES (1, 2, 3, 4, 5)",
         "INSERT INTO t (id, b, n, \"Q\") VALUES (1, 2, 3, 4, 5)", 0},
        {"INSERT INTO t SELECT * FROM u", NULL, SQL_DOUBT_STAR},
        {"INSERT INTO t SELECT v.*, 2 FROM (VALUES (1)) v",
         "INSERT INTO t (id, b) SELECT v.*, 2 FROM (VALUES (1)) v", 0},
        {"INSERT INTO t SELECT (v).*, 2 FROM (VALUES (1)) v", NULL, SQL_DOUBT_STAR},
        {"INSERT INTO t SELECT * FROM (VALUES (1)) v, u", NULL, SQL_DOUBT_STAR},
        {"INSERT INTO t SELECT * FROM (VALUES (1)) v NATURAL JOIN (SELECT 1) x", NULL,
         SQL_DOUBT_STAR},
        {"INSERT INTO t SELECT * FROM (VALUES (1, 2)) v JOIN (SELECT 1) x USING (a)",
         "INSERT INTO t (id, b) SELECT * FROM (VALUES (1, 2)) v JOIN (SELECT 1) x USING (a)", 0},
        {"INSERT INTO t SELECT * FROM (VALUES (1)) v JOIN (SELECT s.* FROM single s) x ON true",
         "INSERT INTO t (id, b) SELECT * FROM (VALUES (1)) v JOIN (SELECT s.n FROM single s) x ON "
         "true",
         0},
        {"INSERT INTO t SELECT * FROM t UNION TABLE u",
         "INSERT INTO t (id, b, n, \"Q\", o, p) " FRONT(
             "c1, c2, c3, c4, c3, c4") "SELECT t.id, t.b, "
                                       "t.n, t.\"Q\" FROM t UNION TABLE u" BACK("c1, c2, c3, c4"),
         0},
        {"INSERT INTO t SELECT *, 1 FROM t, u", NULL, SQL_DOUBT_STAR},
        {"INSERT INTO t SELECT * FROM f(1) AS x(a int, b text)",
         "INSERT INTO t (id, b) SELECT * FROM f(1) AS x(a int, b text)", 0},
        {"INSERT INTO t SELECT * FROM f(1) AS x(a, b)", NULL, SQL_DOUBT_STAR},
        {"INSERT INTO t SELECT x.* FROM u x, (SELECT 1) y", NULL, SQL_DOUBT_STAR},
        {"INSERT INTO t TABLE t",
         "INSERT INTO t (id, b, n, \"Q\", o, p) " FRONT(
             "c1, c2, c3, c4, c3, c4") "SELECT t.id, t.b, "
                                       "t.n, t.\"Q\" FROM t" BACK("c1, c2, c3, c4"),
         0},
        {"INSERT INTO t(TABLE t)",
         "INSERT INTO t (id, b, n, \"Q\", o, p) SELECT c1, c2, c3, c4, c3, c4 FROM (SELECT * FROM "
         "((SELECT t.id, t.b, "
         "t.n, t.\"Q\" FROM t)" BACK("c1, c2, c3, c4"),
         0},
        {"INSERT INTO t(id,b,n,\"Q\")TABLE t",
         "INSERT INTO t(id,b,n,\"Q\")SELECT t.id, t.b, t.n, t.\"Q\" FROM t", 0},
        {"INSERT INTO t TABLE u", NULL, SQL_DOUBT_STAR},
        {"INSERT INTO t VALUES (1, (u).*)", NULL, SQL_DOUBT_STAR},
        {"INSERT INTO t SELECT DISTINCT x, y FROM u",
         "INSERT INTO t (id, b) SELECT DISTINCT x, y FROM u", 0},
        {"INSERT INTO t DEFAULT VALUES", NULL, 0},
        {"INSERT INTO U&\"t\" UESCAPE '!' VALUES (1, 2)", NULL, SQL_DOUBT_STAR},
        {"INSERT INTO single VALUES (1)", "INSERT INTO single (n) VALUES (1)", 0},
    };

    (void)state;
    twins_each(SQL_SIDE_NEW, rows, ARRAY_LEN(rows));
}

/* Of one column too many the server says so, as it says of the columns that the side sees. */
static void the_columns_of_a_cte_are_counted(void **state)
{
    static const struct twins_row rows[] = {
        {"WITH c AS (SELECT 1, 2, 3, 4, 5) INSERT INTO t SELECT c.* FROM c",
         "WITH c AS (SELECT 1, 2, 3, 4, 5) INSERT INTO t (id, b, n, \"Q\") SELECT c.* FROM c", 0},
        {"WITH c (a) AS (VALUES (1, 2)) INSERT INTO t TABLE c",
         "WITH c (a) AS (VALUES (1, 2)) INSERT INTO t (id, b) TABLE c", 0},
        {"WITH c AS (SELECT * FROM u) INSERT INTO t SELECT c.* FROM c", NULL, SQL_DOUBT_STAR},
        {"WITH RECURSIVE c AS (SELECT 1 UNION SELECT c.* FROM c), d AS (SELECT *, 2 FROM c) INSERT "
         "INTO t SELECT * FROM d",
         "WITH RECURSIVE c AS (SELECT 1 UNION SELECT c.* FROM c), d AS (SELECT *, 2 FROM c) INSERT "
         "INTO t (id, b) SELECT * FROM d",
         0},
        {"WITH RECURSIVE c AS (SELECT * FROM d), d AS (SELECT 1) INSERT INTO t SELECT * FROM c",
         NULL, SQL_DOUBT_STAR},
        {"WITH RECURSIVE c(a) AS (SELECT 1 UNION SELECT a FROM c) SEARCH DEPTH FIRST BY a SET s "
         "INSERT INTO t SELECT * FROM c",
         "WITH RECURSIVE c(a) AS (SELECT 1 UNION SELECT a FROM c) SEARCH DEPTH FIRST BY a SET s "
         "INSERT INTO t (id, b) SELECT * FROM c",
         0},
        {"WITH RECURSIVE c(a) AS (SELECT 1 UNION SELECT a FROM c) CYCLE a SET m USING p INSERT "
         "INTO "
         "t (b, n, id) SELECT * FROM c",
         "WITH RECURSIVE c(a) AS (SELECT 1 UNION SELECT a FROM c) CYCLE a SET m USING p INSERT "
         "INTO "
         "t (b, n, id, o) SELECT c1, c2, c3, c2 FROM (SELECT * FROM ( SELECT * FROM c" BACK(
             "c1, c2, c3"),
         0},
        {"WITH c AS (DELETE FROM u RETURNING a, b) INSERT INTO t SELECT * FROM c",
         "WITH c AS (DELETE FROM u RETURNING a, b) INSERT INTO t (id, b) SELECT * FROM c", 0},
        {"WITH c AS (UPDATE u SET a = 1 FROM single RETURNING *) INSERT INTO t SELECT * FROM c",
         NULL, SQL_DOUBT_STAR},
        {"WITH c AS (INSERT INTO single VALUES (1) RETURNING *, 1) INSERT INTO t SELECT * FROM c",
         "WITH c AS (INSERT INTO single (n) VALUES (1) RETURNING single.n, 1) INSERT INTO t (id, "
         "b) "
         "SELECT * FROM c",
         0},
        {"WITH c AS (SELECT 1, 2) INSERT INTO t WITH c AS (SELECT 1) SELECT * FROM c", NULL, 0},
        {"WITH c AS (SELECT 1) INSERT INTO t SELECT * FROM (SELECT c.*, d.* FROM c, c d) e",
         "WITH c AS (SELECT 1) INSERT INTO t (id, b) SELECT * FROM (SELECT c.*, d.* FROM c, c d) e",
         0},
    };

    (void)state;
    twins_each(SQL_SIDE_NEW, rows, ARRAY_LEN(rows));
}

static void merge_inserts_as_insert_does(void **state)
{
#define MERGE "MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED "
    static const struct twins_row rows[] = {
        {MERGE "THEN INSERT (id, o) VALUES (1, 2)", MERGE "THEN INSERT (id, o, n) VALUES (1, 2, 2)",
         0},
        {MERGE "AND u.x IN (VALUES (1)) THEN INSERT (o) OVERRIDING SYSTEM VALUE VALUES ((-u.x)) "
               "WHEN NOT MATCHED THEN INSERT (p) VALUES (u.y)",
         MERGE "AND u.x IN (VALUES (1)) THEN INSERT (o, n) OVERRIDING SYSTEM VALUE VALUES "
               "((-u.x), (-u.x)) "
               "WHEN NOT MATCHED THEN INSERT (p, \"Q\") VALUES (u.y, u.y)",
         0},
        {MERGE "THEN INSERT VALUES (u.id, u.x)",
         MERGE "THEN INSERT (id, o, n) VALUES (u.id, u.x, u.x)", 0},
        {MERGE "THEN INSERT OVERRIDING USER VALUE VALUES (u.id, u.x)", NULL, 0},
        {MERGE "THEN INSERT (o) VALUES (f(u.x))", NULL, 0},
        {MERGE "THEN INSERT (o) VALUES (DEFAULT)", NULL, 0},
        {MERGE "THEN INSERT DEFAULT VALUES", NULL, 0},
        {MERGE "THEN DO NOTHING", NULL, 0},
    };
    static const struct twins_row new_rows[] = {
        {MERGE "THEN INSERT VALUES (u.id, u.x)", MERGE "THEN INSERT (id, b) VALUES (u.id, u.x)", 0},
        {MERGE "THEN INSERT OVERRIDING USER VALUE VALUES (1, 2, 3)",
         MERGE "THEN INSERT (id, b, o) OVERRIDING USER VALUE VALUES (1, 2, 3)", 0},
        {MERGE "THEN INSERT (n, id) OVERRIDING USER VALUE VALUES (1, 2)",
         MERGE "THEN INSERT (o, id) OVERRIDING USER VALUE VALUES (1, 2)", 0},
    };

    (void)state;
    twins_each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
    twins_each(SQL_SIDE_NEW, new_rows, ARRAY_LEN(new_rows));
}

static void inserts_without_a_list_are_told(void **state)
{
    static const struct {
        const char *sql;
        uint64_t positional;
    } rows[] = {
        {"INSERT INTO t VALUES (1)", 1},
        {"INSERT INTO t SELECT * FROM u", 1},
        {"MERGE INTO t USING u ON true WHEN NOT MATCHED THEN INSERT VALUES (1)", 1},
        {"INSERT INTO single SELECT 1; INSERT INTO t VALUES (1)", 3},
        {"INSERT INTO t (id) VALUES (1)", 0},
        {"INSERT INTO t DEFAULT VALUES", 0},
        {"MERGE INTO t USING u ON true WHEN NOT MATCHED THEN INSERT DEFAULT VALUES", 0},
        {"INSERT INTO u SELECT o FROM t", 0},
    };
    struct sql_rules *rules = twins_rules(false);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct sql_sight_of_session session = {.side = SQL_SIDE_OLD, .rewrites = i % 2};
        struct sql_rewrite out;

        sql_rewrite(rules, &session, rows[i].sql, strlen(rows[i].sql), &out);
        if (out.positional != rows[i].positional)
            fail_msg("%s: %llu", rows[i].sql, (unsigned long long)out.positional);
        sql_rewrite_fini(&out);
    }
    sql_rules_unref(rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_writes_one_half_writes_both),
        cmocka_unit_test(around_the_values_everything_stays_as_written),
        cmocka_unit_test(comments_and_quotes_do_not_move_anything),
        cmocka_unit_test(only_what_may_be_repeated_is_repeated),
        cmocka_unit_test(each_row_must_be_fit_and_each_twin_is_its_own),
        cmocka_unit_test(what_may_not_be_repeated_is_taken_from_a_with),
        cmocka_unit_test(an_error_in_what_was_moved_is_where_it_was_written),
        cmocka_unit_test(a_select_gets_another_item_at_its_end),
        cmocka_unit_test(what_takes_work_is_done_once_a_row),
        cmocka_unit_test(what_cannot_be_repeated_is_selected_once),
        cmocka_unit_test(an_old_session_without_a_list_counts_old_columns),
        cmocka_unit_test(a_new_session_without_a_list_counts_new_columns),
        cmocka_unit_test(the_columns_of_a_cte_are_counted),
        cmocka_unit_test(merge_inserts_as_insert_does),
        cmocka_unit_test(inserts_without_a_list_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
