/* sql/newer.c: what newer servers take and the parser does not. `t` of sql_twins_bed.h. */
#include "segue/base/buf.h"
#include "sql_twins_bed.h"

#define LISTED(x) x ".id, " x ".o, " x ".b, " x ".p"

static void a_sub_select_needs_no_alias(void **state)
{
    static const struct twins_row rows[] = {
        {"SELECT * FROM (SELECT * FROM t)", "SELECT * FROM (SELECT " LISTED("t") " FROM t)", 0},
        {"SELECT 'é' FROM (SELECT * FROM t),(TABLE t)WHERE 'é'=$1;SELECT * FROM t",
         "SELECT 'é' FROM (SELECT " LISTED("t") " FROM t),(SELECT " LISTED(
             "t") " FROM t)WHERE 'é'=$1;SELECT " LISTED("t") " FROM t",
         0},
        {"SELECT * FROM (SELECT 1 FROM (SELECT * FROM t)), t",
         "SELECT * FROM (SELECT 1 FROM (SELECT " LISTED(
             "t") " FROM t)), (SELECT id, o, b, p FROM t) AS t",
         0},
        {"SELECT x.*, b FROM t x, LATERAL (VALUES (x.o)), ((SELECT 1))",
         "SELECT " LISTED("x") ", b FROM t x, LATERAL (VALUES (x.o)), ((SELECT 1))", 0},
        {"INSERT INTO t (id, o) SELECT id, o FROM (SELECT 1 AS id, lower('x') AS o)",
         "INSERT INTO t (id, o, n) SELECT id, o, o AS \"~segue\" FROM (SELECT 1 AS id, lower('x') "
         "AS o)",
         0},
        {"SELECT * FROM (SELECT * FROM t) JOIN (TABLE t) USING (id)",
         "SELECT * FROM (SELECT " LISTED("t") " FROM t) JOIN (SELECT " LISTED(
             "t") " FROM t) USING (id)",
         0},
    };

    (void)state;
    twins_each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
}

/* n is the new side's. */
static void one_is_put_where_a_name_needs_it(void **state)
{
    static const struct twins_row rows[] = {
        {"SELECT n FROM (SELECT 'é' AS n), t WHERE n = 'é'",
         "SELECT \"~segue0000000032\".n FROM (SELECT 'é' AS n) AS \"~segue0000000032\", t WHERE "
         "\"~segue0000000032\".n = 'é'",
         0},
        {"SELECT 1 FROM t, ((SELECT 1 AS n)), (SELECT 2 AS x) WHERE o = n",
         "SELECT 1 FROM t, ((SELECT 1 AS n)) AS \"~segue0000000034\", (SELECT 2 AS x) WHERE o = "
         "\"~segue0000000034\".n",
         0},
        {"UPDATE t SET b = n FROM (SELECT 1 AS n) WHERE id = 1 RETURNING n, *",
         "UPDATE t SET b = \"~segue0000000039\".n FROM (SELECT 1 AS n) AS \"~segue0000000039\" "
         "WHERE id = 1 RETURNING \"~segue0000000039\".n, " LISTED("t") ", \"~segue0000000039\".*",
         0},
        {"DELETE FROM t USING (SELECT 1 AS x) WHERE id = x RETURNING *",
         "DELETE FROM t USING (SELECT 1 AS x) AS \"~segue0000000035\" WHERE id = x "
         "RETURNING " LISTED("t") ", \"~segue0000000035\".*",
         0},
        {"SELECT (SELECT 1 FROM (SELECT 2 AS n) WHERE n = (SELECT n FROM t)) FROM t",
         "SELECT (SELECT 1 FROM (SELECT 2 AS n) AS \"~segue0000000037\" WHERE n = (SELECT "
         "\"~segue0000000037\".n FROM t)) FROM t",
         0},
        {"INSERT INTO t (o) SELECT n FROM t, (SELECT 'x' AS n)",
         "INSERT INTO t (o, n) SELECT c1, c1 FROM (SELECT * FROM ( SELECT "
         "\"~segue0000000052\".n FROM t, (SELECT 'x' AS n) AS \"~segue0000000052\") AS \"~segue\" "
         "OFFSET 0) AS \"~segue\"(c1)",
         0},
        {"SELECT n FROM (SELECT * FROM (SELECT 1 AS n)), t",
         "SELECT \"~segue0000000045\".n FROM (SELECT * FROM (SELECT 1 AS n)) AS "
         "\"~segue0000000045\", t",
         0},
    };

    (void)state;
    twins_each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
}

#define MERGE "MERGE INTO t USING u ON u.id = t.id "

static void a_merge_may_return(void **state)
{
    static const struct twins_row rows[] = {
        {MERGE "WHEN MATCHED THEN UPDATE SET o = u.x RETURNING *",
         MERGE "WHEN MATCHED THEN UPDATE SET o = u.x, n = u.x RETURNING u.*, " LISTED("t"), 0},
        {MERGE "WHEN MATCHED THEN DELETE RETURNING merge_action(), (SELECT t.*), u.*;TABLE t",
         MERGE "WHEN MATCHED THEN DELETE RETURNING merge_action(), (SELECT " LISTED(
             "t") "), u.*;SELECT " LISTED("t") " FROM t",
         0},
        {"WITH m AS (MERGE INTO ONLY public.t x USING u ON true WHEN NOT MATCHED THEN INSERT "
         "(id, o) VALUES (1, $1) RETURNING x.*, 1 AS one) SELECT * FROM m",
         "WITH m AS (MERGE INTO ONLY public.t x USING u ON true WHEN NOT MATCHED THEN INSERT "
         "(id, o, n) VALUES (1, $1, $1) RETURNING " LISTED("x") ", 1 AS one) SELECT * FROM m",
         0},
        {MERGE "WHEN MATCHED THEN DO NOTHING RETURNING (SELECT o FROM (SELECT 1 AS o)), t.*",
         MERGE
         "WHEN MATCHED THEN DO NOTHING RETURNING (SELECT o FROM (SELECT 1 AS o)), " LISTED("t"),
         0},
        {"WITH m AS (" MERGE "WHEN MATCHED THEN DELETE RETURNING t.*) INSERT INTO t TABLE m",
         "WITH m AS (" MERGE "WHEN MATCHED THEN DELETE RETURNING " LISTED(
             "t") ") INSERT INTO t (id, o, b, p, n, \"Q\") SELECT c1, c2, c3, c4, c2, c4 FROM "
                  "(SELECT * FROM "
                  "( TABLE m) AS \"~segue\" OFFSET 0) AS \"~segue\"(c1, c2, c3, c4)",
         0},
        {"EXPLAIN " MERGE "WHEN MATCHED THEN DELETE RETURNING old.*, new.o",
         "EXPLAIN " MERGE "WHEN MATCHED THEN DELETE RETURNING " LISTED("old") ", new.o", 0},
    };

    (void)state;
    twins_each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
}

static void a_merge_may_say_who_has_no_match(void **state)
{
    static const struct twins_row rows[] = {
        {MERGE "WHEN NOT MATCHED BY SOURCE AND o = 1 OR true THEN UPDATE SET o = 'é' WHEN NOT "
               "MATCHED BY TARGET THEN INSERT (id, o) VALUES (1, 2)",
         MERGE "WHEN NOT MATCHED BY SOURCE AND o = 1 OR true THEN UPDATE SET o = 'é', n = 'é' WHEN "
               "NOT MATCHED BY TARGET THEN INSERT (id, o, n) VALUES (1, 2, 2)",
         0},
        {MERGE "WHEN MATCHED THEN DELETE WHEN NOT MATCHED BY SOURCE THEN DELETE RETURNING t.*",
         MERGE
         "WHEN MATCHED THEN DELETE WHEN NOT MATCHED BY SOURCE THEN DELETE RETURNING " LISTED("t"),
         0},
        {MERGE "WHEN NOT MATCHED BY NOBODY THEN DELETE RETURNING t.*", NULL, SQL_DOUBT_GRAMMAR},
    };

    (void)state;
    twins_each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
}

static void the_rows_of_before_and_after_may_have_other_names(void **state)
{
    static const struct twins_row rows[] = {
        {"UPDATE t SET b = 1 RETURNING WITH (OLD AS \"Was\", NEW AS now) \"Was\".*, now.o",
         "UPDATE t SET b = 1 RETURNING WITH (OLD AS \"Was\", NEW AS now) " LISTED(
             "\"Was\"") ", now.o",
         0},
        {"DELETE FROM t RETURNING WITH (OLD AS o_) o_.*, new.*",
         "DELETE FROM t RETURNING WITH (OLD AS o_) " LISTED("o_") ", " LISTED("new"), 0},
        {MERGE "WHEN MATCHED THEN DELETE RETURNING WITH (new as N_) n_.*",
         MERGE "WHEN MATCHED THEN DELETE RETURNING WITH (new as N_) " LISTED("n_"), 0},
        {"DELETE FROM t USING u RETURNING to_json(old)",
         "DELETE FROM t USING u RETURNING to_json((SELECT old FROM (SELECT) AS \"~segue\" LEFT "
         "JOIN "
         "(SELECT " LISTED("old") " WHERE old.* IS DISTINCT FROM NULL) AS old ON true))",
         0},
        {"INSERT INTO t (id) VALUES (1) RETURNING WITH (OLD AS a) old.*", NULL, 0},
        {"DELETE FROM t RETURNING WITH (OLD a) a.*", NULL, SQL_DOUBT_GRAMMAR},
        {"DELETE FROM t RETURNING WITH () t.*", NULL, SQL_DOUBT_GRAMMAR},
        {"DELETE FROM t RETURNING WITH (OLD AS a, b) t.*", NULL, SQL_DOUBT_GRAMMAR},
        {"DELETE FROM t RETURNING WITH (OLD AS a)", NULL, SQL_DOUBT_GRAMMAR},
    };

    (void)state;
    twins_each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
}

#define TABLE_OF "JSON_TABLE(t.b, '$' COLUMNS (x int PATH '$.x', NESTED '$.a' COLUMNS (y int))"

static void a_table_may_be_made_of_json(void **state)
{
    static const struct twins_row rows[] = {
        {"SELECT *, j.x FROM t, " TABLE_OF " ERROR ON ERROR) AS j WHERE o = 1",
         "SELECT " LISTED("t") ", j.*, j.x FROM t, " TABLE_OF " ERROR ON ERROR) AS j WHERE o = 1",
         0},
        {"SELECT n FROM t, JSON_TABLE(b, '$' AS root COLUMNS (y numeric(1, 2) DEFAULT 1 ON EMPTY, "
         "NESTED PATH '$.a' AS a COLUMNS (NESTED '$.b' COLUMNS (z int, n int)), w int)) WHERE w = "
         "o",
         "SELECT \"json_table\".n FROM t, JSON_TABLE(b, '$' AS root COLUMNS (y numeric(1, 2) "
         "DEFAULT 1 "
         "ON EMPTY, NESTED PATH '$.a' AS a COLUMNS (NESTED '$.b' COLUMNS (z int, n int)), w int)) "
         "WHERE w = o",
         0},
        {"SELECT n FROM t, JSON_TABLE(b, '$' COLUMNS (\"n\" FOR ORDINALITY)) AS j (x)", NULL, 0},
        {"SELECT x, n FROM t, JSON_TABLE(b, '$' COLUMNS (x int, n int)) j (n)",
         "SELECT x, j.n FROM t, JSON_TABLE(b, '$' COLUMNS (x int, n int)) j (n)", 0},
        {"SELECT t.* FROM t, JSON_TABLE(b, '$' COLUMNS (U&\"x\" UESCAPE '!' int)) j", NULL,
         SQL_DOUBT_GRAMMAR},
        {"SELECT t.* FROM t, JSON_TABLE(b, '$' COLUMNS ()) j", NULL, SQL_DOUBT_GRAMMAR},
        {"SELECT t.* FROM t, JSON_TABLE(t.b, '$' PASSING t.o AS a COLUMNS (x int)) j", NULL,
         SQL_DOUBT_GRAMMAR},
        {"SELECT t.* FROM t, other_table(t.b, '$' COLUMNS (x int)) j", NULL, SQL_DOUBT_GRAMMAR},
    };

    (void)state;
    twins_each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
}

#define IN_BRACKETS(x) "(SELECT * FROM " x ")"
#define FOUR(x) IN_BRACKETS(IN_BRACKETS(IN_BRACKETS(IN_BRACKETS(x))))

static void what_is_wrong_in_any_grammar_stays_so(void **state)
{
    static const struct twins_row rows[] = {
        {"SELECT * FROM (SELECT * FROM t) WHERE", NULL, SQL_DOUBT_GRAMMAR},
        {"SELECT * FROM (SELECT * FROM t", NULL, SQL_DOUBT_GRAMMAR},
        {MERGE "WHEN MATCHED THEN DELETE RETURNING", NULL, SQL_DOUBT_GRAMMAR},
        {MERGE "WHEN MATCHED THEN DELETE RETURNING t.* FROM u", NULL, SQL_DOUBT_GRAMMAR},
        {MERGE "WHEN MATCHED THEN DELETE RETURNING DISTINCT t.*", NULL, SQL_DOUBT_GRAMMAR},
        {MERGE "WHEN MATCHED THEN DELETE RETURNING t.* RETURNING t.*", NULL, SQL_DOUBT_GRAMMAR},
        {"INSERT INTO t VALUES (1) RETURNING id RETURNING *", NULL, SQL_DOUBT_GRAMMAR},
        {"SELECT * FROM t RETURNING *", NULL, SQL_DOUBT_GRAMMAR},
        {"SELECT merge INTO t FROM t RETURNING *", NULL, SQL_DOUBT_GRAMMAR},
        /* more than is looked for */
        {"SELECT 1 FROM " FOUR(FOUR(FOUR(FOUR("(TABLE t)")))), NULL, SQL_DOUBT_GRAMMAR},
    };

    (void)state;
    twins_each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
}

static enum sql_doubt doubt_of(const char *sql)
{
    struct sql_rules *rules = twins_rules(false);
    const struct sql_sight_of_session session = {.side = SQL_SIDE_OLD, .rewrites = true};
    enum sql_doubt doubt;
    struct sql_rewrite out;

    sql_rewrite(rules, &session, sql, strlen(sql), &out);
    doubt = out.doubt;
    sql_rewrite_fini(&out);
    sql_rules_unref(rules);
    return doubt;
}

/* WITH n times a MERGE that returns so many sub-selects: each of those is a try. */
static void put_merges(struct buf *text, size_t merges, size_t selects)
{
    for (size_t i = 0; i < merges; i++) {
        buf_printf(text,
                   "%s w%zu AS (MERGE INTO b USING d ON b.k = d.k WHEN MATCHED THEN DELETE "
                   "RETURNING (SELECT 1 FROM (SELECT 1)",
                   i ? "," : "WITH", i);
        for (size_t j = 1; j < selects; j++)
            buf_append_str(text, ", (SELECT 1)");
        buf_append_str(text, "))");
    }
    buf_append_str(text, " SELECT * FROM t");
}

static void a_text_is_not_parsed_again_for_ever(void **state)
{
    struct buf text = {0};

    (void)state;
    put_merges(&text, 3, 10);
    assert_int_equal(doubt_of(text.data), SQL_DOUBT_NONE);
    buf_reset(&text);
    put_merges(&text, 6, 10);
    assert_int_equal(doubt_of(text.data), SQL_DOUBT_GRAMMAR);
    for (size_t selects = 3; selects <= 12; selects += 9) { /* of a text of 300 KB */
        buf_reset(&text);
        buf_append_str(&text, "SELECT * FROM t");
        for (size_t i = 0; i < selects; i++)
            buf_append_str(&text, ", (SELECT 1)");
        buf_append_str(&text, " WHERE b = '");
        memset(buf_space(&text, 300000), 'x', 300000);
        buf_grow(&text, 300000);
        buf_append_str(&text, "'");
        assert_int_equal(doubt_of(text.data), selects == 3 ? SQL_DOUBT_NONE : SQL_DOUBT_GRAMMAR);
    }
    buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sub_select_needs_no_alias),
        cmocka_unit_test(one_is_put_where_a_name_needs_it),
        cmocka_unit_test(a_merge_may_return),
        cmocka_unit_test(a_merge_may_say_who_has_no_match),
        cmocka_unit_test(the_rows_of_before_and_after_may_have_other_names),
        cmocka_unit_test(a_table_may_be_made_of_json),
        cmocka_unit_test(a_text_is_not_parsed_again_for_ever),
        cmocka_unit_test(what_is_wrong_in_any_grammar_stays_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
