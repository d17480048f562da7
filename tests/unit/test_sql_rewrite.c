/* sql/rewrite.h: what a statement becomes for a session of one side. Lists and twins of what is
 * written: test_sql_insert.c, test_sql_set.c. */
#include "sql_sides_bed.h"

/* t (id, o, "B c", g generated, n): o is renamed to n; another table `u` has a column n of its own,
 * and there is a second `twice` in schema app. To `plus` (id, p) a column is only added. */
static struct sql_rules *some_rules(bool early, bool reversed)
{
    static const char *const o[] = {"o", NULL}, *const n[] = {"n", NULL}, *const none[] = {NULL},
                             *const parts[] = {"t_1", NULL}, *const key[] = {"id", NULL},
                             *const p[] = {"p", NULL};
    static const struct sql_column_rule columns[] = {{"id", SQL_SEEN_BY_BOTH, false},
                                                     {"o", SQL_SEEN_BY_OLD, false},
                                                     {"B c", SQL_SEEN_BY_BOTH, false},
                                                     {"g", SQL_SEEN_BY_BOTH, true},
                                                     {"n", SQL_SEEN_BY_NEW, false}};
    static const struct sql_column_rule shuffled[] = {{"n", SQL_SEEN_BY_NEW, false},
                                                      {"B c", SQL_SEEN_BY_BOTH, false},
                                                      {"o", SQL_SEEN_BY_OLD, false},
                                                      {"id", SQL_SEEN_BY_BOTH, false}};
    static const struct sql_column_rule more[] = {{"id", SQL_SEEN_BY_BOTH, false},
                                                  {"p", SQL_SEEN_BY_NEW, false}};
    static const struct sql_twin_rule twins[] = {{"o", "n"}};
    struct sql_table_rule table = {.migration = "m",
                                   .schema = "public",
                                   .name = "t",
                                   .old_columns = o,
                                   .new_columns = n,
                                   .relatives = parts,
                                   .columns = columns,
                                   .ncolumns = ARRAY_LEN(columns),
                                   .key = key,
                                   .twins = twins,
                                   .ntwins = ARRAY_LEN(twins),
                                   .early = early,
                                   .reversed = reversed};
    struct sql_rules *rules = sql_rules_new(1);

    assert_int_equal(sql_rules_add(rules, &table), 0);
    table.name = "twice";
    assert_int_equal(sql_rules_add(rules, &table), 1);
    table.name = "blank";
    table.ncolumns = 0;
    assert_int_equal(sql_rules_add(rules, &table), 2);
    table.name = "plus";
    table.old_columns = none;
    table.new_columns = p;
    table.columns = more;
    table.ncolumns = ARRAY_LEN(more);
    table.ntwins = 0;
    assert_int_equal(sql_rules_add(rules, &table), 3);
    sql_rules_add_partition(
        rules, 0, &(struct sql_partition){"public", "t_1", shuffled, ARRAY_LEN(shuffled), 0, 0});
    sql_rules_add_namesake(rules, &(struct sql_namesake){"public", "u", n, 0, NULL});
    sql_rules_add_namesake(rules, &(struct sql_namesake){"app", "twice", none, 0, NULL});
    return rules;
}

static void each(enum sql_side side, const struct row *rows, size_t n)
{
    rows_become(some_rules(false, false), side, rows, n);
}

static void an_old_session_sees_the_old_columns_only(void **state)
{
    static const struct row rows[] = {
        {"SELECT * FROM t", "SELECT t.id, t.o, t.\"B c\", t.g FROM t", 0},
        {"select distinct * from public . \"t\" as x",
         "select distinct x.id, x.o, x.\"B c\", x.g from public . \"t\" as x", 0},
        {"SELECT*FROM t", "SELECT t.id, t.o, t.\"B c\", t.g FROM t", 0},
        {"SELECT x.*FROM t x", "SELECT x.id, x.o, x.\"B c\", x.g FROM t x", 0},
        {"SELECT a.*, u.* FROM t AS a, u", "SELECT a.id, a.o, a.\"B c\", a.g, u.* FROM t AS a, u",
         0},
        {"SELECT * FROM t x JOIN u ON x.id=u.id",
         "SELECT x.id, x.o, x.\"B c\", x.g, u.* FROM t x JOIN u ON x.id=u.id", 0},
        {"SELECT /* * */ * FROM t UNION SELECT * FROM t ORDER BY 1",
         "SELECT /* * */ t.id, t.o, t.\"B c\", t.g FROM t UNION SELECT t.id, t.o, t.\"B c\", t.g "
         "FROM t ORDER BY 1",
         0},
        {"SELECT * FROM t c(a,b)", "SELECT c.a, c.b, c.\"B c\", c.g FROM t c(a,b)", 0},
        {"TABLE t", "SELECT t.id, t.o, t.\"B c\", t.g FROM t", 0},
        {"SELECT * FROM (SELECT * FROM t) s",
         "SELECT * FROM (SELECT t.id, t.o, t.\"B c\", t.g FROM t) s", 0},
        {"SELECT ROW(c.*) FROM t c", "SELECT ROW(c.id, c.o, c.\"B c\", c.g) FROM t c", 0},
        {"PREPARE p AS SELECT * FROM t", "PREPARE p AS SELECT t.id, t.o, t.\"B c\", t.g FROM t", 0},
        {"DECLARE c CURSOR FOR SELECT * FROM t",
         "DECLARE c CURSOR FOR SELECT t.id, t.o, t.\"B c\", t.g FROM t", 0},
        {"EXPLAIN SELECT * FROM ONLY t FOR UPDATE",
         "EXPLAIN SELECT t.id, t.o, t.\"B c\", t.g FROM ONLY t FOR UPDATE", 0},
        {"CREATE TABLE c AS SELECT * FROM t",
         "CREATE TABLE c AS SELECT t.id, t.o, t.\"B c\", t.g FROM t", 0},
        {"CREATE VIEW v AS SELECT * FROM t",
         "CREATE VIEW v AS SELECT t.id, t.o, t.\"B c\", t.g FROM t", 0},
        {"DELETE FROM t RETURNING *", "DELETE FROM t RETURNING t.id, t.o, t.\"B c\", t.g", 0},
        {"UPDATE t SET id=1 FROM u RETURNING *",
         "UPDATE t SET id=1 FROM u RETURNING t.id, t.o, t.\"B c\", t.g, u.*", 0},
        {"DELETE FROM t RETURNING old.*",
         "DELETE FROM t RETURNING old.id, old.o, old.\"B c\", old.g", 0},
        {"SELECT * FROM t_1", "SELECT t_1.\"B c\", t_1.o, t_1.id FROM t_1", 0},
        {"SELECT count(*) FROM t", NULL, 0},
        {"SELECT u.* FROM t, u", NULL, 0},
        {"WITH t AS (SELECT 1) SELECT * FROM t", NULL, 0},
        {"SELECT 'segue:off', $$segue:off$$ AS \"segue:off\", x.* FROM t x",
         "SELECT 'segue:off', $$segue:off$$ AS \"segue:off\", x.id, x.o, x.\"B c\", x.g FROM t x",
         0},
        {"SELECT * FROM other.t", NULL, 0},
        {"SELECT '*' FROM t", NULL, 0},
        {"WITH t AS (SELECT 1) DELETE FROM t RETURNING *",
         "WITH t AS (SELECT 1) DELETE FROM t RETURNING t.id, t.o, t.\"B c\", t.g", 0},
    };

    (void)state;
    each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
    each(SQL_SIDE_FOLLOW, rows, ARRAY_LEN(rows));
}

static void a_new_session_sees_the_new_columns_only(void **state)
{
    static const struct row rows[] = {
        {"SELECT * FROM t", "SELECT t.id, t.\"B c\", t.g, t.n FROM t", 0},
        {"COPY t FROM STDIN", "COPY t (id, \"B c\", n) FROM STDIN", 0},
        {"SELECT * FROM t c(a,b)", "SELECT * FROM (SELECT id, \"B c\", g, n FROM t) c(a,b)", 0},
        {"SELECT a FROM t c(a)", NULL, 0}, /* counts over the first column only */
        {"SELECT n FROM t", NULL, 0},
    };

    (void)state;
    each(SQL_SIDE_NEW, rows, ARRAY_LEN(rows));
}

static void who_follows_sees_the_side_of_each_table(void **state)
{
    struct sql_rules *rules = some_rules(false, true);
    const struct sql_sight_of_session session = {.side = SQL_SIDE_FOLLOW, .rewrites = true};
    struct sql_rewrite out;

    (void)state;
    sql_rewrite(rules, &session, "TABLE t", 7, &out);
    assert_string_equal(out.text, "SELECT t.id, t.\"B c\", t.g, t.n FROM t");
    sql_rewrite_fini(&out);
    sql_rules_unref(rules);
}

static void a_table_becomes_a_sub_select_where_a_star_cannot_be_spelled_out(void **state)
{
    static const struct row rows[] = {
        {"SELECT * FROM t JOIN u USING (id)",
         "SELECT * FROM (SELECT id, o, \"B c\", g FROM t) AS t JOIN u USING (id)", 0},
        {"SELECT 1 FROM public.t NATURAL JOIN u",
         "SELECT 1 FROM (SELECT id, o, \"B c\", g FROM public.t) AS t NATURAL JOIN u", 0},
        {"SELECT row_to_json(x) FROM t x",
         "SELECT row_to_json(x) FROM (SELECT id, o, \"B c\", g FROM t) x", 0},
        {"SELECT x FROM t x", "SELECT x FROM (SELECT id, o, \"B c\", g FROM t) x", 0},
        {"SELECT count(c.*) FROM t c WHERE c IS NOT NULL",
         "SELECT count(c.*) FROM (SELECT id, o, \"B c\", g FROM t) c WHERE c IS NOT NULL", 0},
        {"SELECT x = y, x::text FROM t x, b y ORDER BY x",
         "SELECT x = y, x::text FROM (SELECT id, o, \"B c\", g FROM t) x, b y ORDER BY x", 0},
        {"SELECT array_to_json(array_agg(x)) FROM ONLY t x",
         "SELECT array_to_json(array_agg(x)) FROM (SELECT id, o, \"B c\", g FROM ONLY t) x", 0},
        {"SELECT 1 FROM ONLY (public.t) NATURAL JOIN u",
         "SELECT 1 FROM (SELECT id, o, \"B c\", g FROM ONLY (public.t)) AS t NATURAL JOIN u", 0},
        {"SELECT 1 FROM t * NATURAL JOIN u",
         "SELECT 1 FROM (SELECT id, o, \"B c\", g FROM t *) AS t NATURAL JOIN u", 0},
        {"SELECT (c).o FROM t c", NULL, 0},
        {"SELECT (c).n FROM t c", NULL, 0}, /* the other side's, and meant */
        {"SELECT * FROM t JOIN u USING (n)", NULL, SQL_DOUBT_JOIN},
        {"SELECT f(x) FROM t x", NULL, SQL_DOUBT_ROW},
        {"SELECT x::t FROM t x", NULL, SQL_DOUBT_ROW},
        {"SELECT (array_agg(x))[1].o FROM t x", NULL, SQL_DOUBT_ROW},
        {"CREATE TABLE made AS SELECT x FROM t x", NULL, SQL_DOUBT_ROW},
        {"INSERT INTO b SELECT x FROM t x", NULL, SQL_DOUBT_ROW},
        {"SELECT * FROM t JOIN u USING (id) FOR UPDATE", NULL, SQL_DOUBT_JOIN},
        {"SELECT t.ctid FROM t NATURAL JOIN u",
         "SELECT t.ctid FROM t AS t(id, o, \"B c\", g, \"~segue_19_5\") NATURAL JOIN u", 0},
        {"SELECT public.t.id FROM public.t NATURAL JOIN u", NULL, SQL_DOUBT_JOIN},
        {"SELECT t.n FROM t NATURAL JOIN u", NULL, SQL_DOUBT_JOIN},
    };

    (void)state;
    each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
}

#define ROW_OF(x) "FROM (SELECT " x ".id, " x ".o, " x ".\"B c\", " x ".g"
#define MADE(x) "(SELECT \"~segue\" AS " x " " ROW_OF(x) ") AS \"~segue\")"

static void a_row_is_made_in_place_where_the_table_must_stay_one(void **state)
{
    static const struct row rows[] = {
        {"SELECT * FROM t, b, t", NULL, 0}, /* the server refuses it */
        {"SELECT (c).n, to_json(c) FROM t c", "SELECT (c).n, to_json(" MADE("c") ") FROM t c", 0},
        {"SELECT (c).*, (c).o FROM t c", "SELECT  c.id, c.o, c.\"B c\", c.g, (c).o FROM t c", 0},
        {"SELECT (t).*, public.t.* FROM public.t",
         "SELECT  t.id, t.o, t.\"B c\", t.g, t.id, t.o, t.\"B c\", t.g FROM public.t", 0},
        {"UPDATE t SET id = 1 RETURNING t, to_json(t.*)",
         "UPDATE t SET id = 1 RETURNING " MADE("t") ", to_json(" MADE("t") ")", 0},
        {"UPDATE t SET o = (t IS NULL)::text", "UPDATE t SET o = (" MADE("t") " IS NULL)::text",
         0}, /* it is not written twice */
        {"SELECT t.id, count(t) FROM t GROUP BY t.id",
         "SELECT t.id, count(" MADE("t") ") FROM t GROUP BY t.id", 0},
        {"SELECT to_json(t) FROM t FOR UPDATE", "SELECT to_json(" MADE("t") ") FROM t FOR UPDATE",
         0},
        {"SELECT t.ctid, to_json(t) FROM t", "SELECT t.ctid, to_json(" MADE("t") ") FROM t", 0},
        /* a join may have found none */
        {"SELECT to_json(t) FROM t x LEFT JOIN t ON true FOR UPDATE OF x",
         "SELECT to_json((SELECT \"~segue\" AS t " ROW_OF(
             "t") " WHERE t.* IS DISTINCT FROM NULL)"
                  " AS \"~segue\")) FROM t x LEFT JOIN t ON true FOR UPDATE OF x",
         0},
        {"DELETE FROM t RETURNING to_json(old)",
         "DELETE FROM t RETURNING to_json((SELECT \"~segue\" AS old " ROW_OF(
             "old") " WHERE old.* IS DISTINCT FROM NULL) AS \"~segue\"))",
         0},
        {"SELECT to_json(t) FROM t LEFT JOIN t x ON true FOR UPDATE OF t",
         "SELECT to_json(" MADE("t") ") FROM t LEFT JOIN t x ON true FOR UPDATE OF t", 0},
        /* where to_json(t) is not NULL the join is an inner one, but only to who sees that */
        {"SELECT 1 FROM t x LEFT JOIN t ON true WHERE to_json(t)::text <> '' FOR UPDATE", NULL,
         SQL_DOUBT_ROW},
        /* b may have a column t, which would come first */
        {"SELECT to_json(t) FROM t, b FOR UPDATE",
         "SELECT to_json((SELECT t " ROW_OF("t") ") AS t)) FROM t, b FOR UPDATE", 0},
        {"SELECT to_json(t) FROM b LEFT JOIN t ON true FOR UPDATE OF b",
         "SELECT to_json((SELECT t FROM (SELECT) AS \"~segue\" LEFT JOIN (SELECT t.id, t.o, "
         "t.\"B c\", t.g WHERE t.* IS DISTINCT FROM NULL) AS t ON true)) FROM b LEFT JOIN t ON "
         "true "
         "FOR UPDATE OF b",
         0},
        {"SELECT (t).* FROM t, b FOR UPDATE", NULL, SQL_DOUBT_ROW},
        /* its key is id, not a */
        {"SELECT row_to_json(x) FROM t x (a)",
         "SELECT row_to_json((SELECT \"~segue\" AS x FROM (SELECT x.a AS id, x.o, x.\"B c\", x.g) "
         "AS \"~segue\")) FROM t x (a)",
         0},
        /* a hidden column has that name */
        {"SELECT n.id, to_json(n) FROM t AS n GROUP BY n.id",
         "SELECT n.id, to_json(" MADE("n") ") FROM t AS n GROUP BY n.id", 0},
        {"SELECT (n).id, ( n ).o, (n).* FROM t AS n FOR UPDATE",
         "SELECT  n .id,   n  .o,  n.id, n.o, n.\"B c\", n.g FROM t AS n FOR UPDATE", 0},
        {"SELECT (n).id FROM t AS n, u", "SELECT (u.n).id FROM t AS n, u", 0},
        /* (q.t).o asks for a field by name, of which only the table's row knows */
        {"WITH q AS (UPDATE t SET id = 1 RETURNING t) SELECT (q.t).o FROM q", NULL, SQL_DOUBT_ROW},
        {"SELECT to_json(public.t.*) FROM public.t, app.t FOR UPDATE", NULL, SQL_DOUBT_ROW},
    };

    (void)state;
    each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
}

#define INTO "INSERT INTO t (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET "
#define EXCLUDED "excluded.id, excluded.o, excluded.\"B c\", excluded.g"

static void a_row_that_is_proposed_is_one_of_the_table(void **state)
{
    static const struct row rows[] = {
        {INTO "id = length(to_json(excluded)::text)",
         INTO "id = length(to_json(" MADE("excluded") ")::text)", 0},
        {INTO "id = 2 WHERE excluded IS NOT NULL AND t::text <> excluded::text",
         INTO "id = 2 WHERE " MADE("excluded") " IS NOT NULL AND " MADE("t") "::text <> " MADE(
             "excluded") "::text",
         0},
        {INTO "id = (ROW((excluded).*, excluded.*) IS NULL)::int",
         INTO "id = (ROW( " EXCLUDED ", " EXCLUDED ") IS NULL)::int", 0},
        {INTO "id = (SELECT count(*) FROM (SELECT excluded.*) s)",
         INTO "id = (SELECT count(*) FROM (SELECT " EXCLUDED ") s)", 0},
        {INTO "id = (excluded).id, \"B c\" = excluded.\"B c\" WHERE (excluded).o IS NULL", NULL, 0},
        {INTO "id = f(excluded)", NULL, SQL_DOUBT_ROW},
    };

    (void)state;
    each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
}

#define SELECTED "(SELECT id, o, \"B c\", g FROM t)"

/* Only a table has a key on which GROUP BY may count. */
static void a_table_that_is_not_grouped_by_its_key_becomes_a_sub_select(void **state)
{
    static const struct row rows[] = {
        {"SELECT o, to_json(t) FROM t GROUP BY o",
         "SELECT o, to_json(t) FROM " SELECTED " AS t GROUP BY o", 0},
        {"SELECT 1, json_agg(t) FROM t, b GROUP BY b.id, 1",
         "SELECT 1, json_agg(t) FROM " SELECTED " AS t, b GROUP BY b.id, 1", 0},
        {"SELECT t.id + 1 AS id2, json_agg(t) FROM t GROUP BY id2",
         "SELECT t.id + 1 AS id2, json_agg(t) FROM " SELECTED " AS t GROUP BY id2", 0},
        {"SELECT g FROM t NATURAL JOIN u GROUP BY g",
         "SELECT g FROM " SELECTED " AS t NATURAL JOIN u GROUP BY g", 0},
        {"SELECT to_json(t) FROM t GROUP BY o, id",
         "SELECT to_json(" MADE("t") ") FROM t GROUP BY o, id", 0},
        {"SELECT t.id, to_json(t) FROM t GROUP BY 1",
         "SELECT t.id, to_json(" MADE("t") ") FROM t GROUP BY 1", 0},
        {"SELECT t.id AS i, to_json(t) FROM t GROUP BY i",
         "SELECT t.id AS i, to_json(" MADE("t") ") FROM t GROUP BY i", 0},
        {"SELECT t, count(*) FROM t GROUP BY t",
         "SELECT t, count(*) FROM " SELECTED " AS t GROUP BY t", 0},
        {"SELECT DISTINCT ON (t) t.o FROM t", "SELECT DISTINCT ON (t) t.o FROM " SELECTED " AS t",
         0},
        {"SELECT n, count(*) FROM t AS n GROUP BY n.g", NULL, SQL_DOUBT_ROW}, /* refused anyhow */
        {"SELECT o AS id, (n) FROM t AS n GROUP BY o", NULL, SQL_DOUBT_ROW},
        {"SELECT x, count(*) FROM t x (a), b GROUP BY b.e", NULL, SQL_DOUBT_ROW},
        {"SELECT to_json(n) FROM t AS n GROUP BY n.g",
         "SELECT to_json(" MADE("n") ") FROM t AS n GROUP BY n.g", 0},
        {"SELECT (n) FROM t AS n GROUP BY n", "SELECT (" MADE("n") ") FROM t AS n GROUP BY 1", 0},
        {"SELECT (n) FROM t AS n GROUP BY 1", "SELECT (" MADE("n") ") FROM t AS n GROUP BY 1", 0},
        {"SELECT count(*) FROM t GROUP BY t, id",
         "SELECT count(*) FROM t GROUP BY " MADE("t") ", id", 0},
        {"SELECT count(*) FROM t GROUP BY ROLLUP (t)",
         "SELECT count(*) FROM (SELECT id, o, \"B c\", g FROM t) AS t GROUP BY ROLLUP (t)", 0},
        {"SELECT to_json(t) FROM t GROUP BY GROUPING SETS ((id), ())",
         "SELECT to_json(t) FROM (SELECT id, o, \"B c\", g FROM t) AS t GROUP BY GROUPING SETS "
         "((id), ())",
         0},
        {"SELECT to_json(t) FROM t GROUP BY GROUPING SETS ((id), (o, id))", NULL, SQL_DOUBT_ROW},
        {"SELECT to_json(t) FROM t GROUP BY id, CUBE (o)", NULL, SQL_DOUBT_ROW},
        {"SELECT count(*) FROM t GROUP BY f(t)", NULL, SQL_DOUBT_ROW},
        {"SELECT b.*, to_json(t) FROM t, b GROUP BY 2",
         "SELECT b.*, to_json((SELECT t " ROW_OF("t") ") AS t)) FROM t, b GROUP BY 2", 0},
        {"SELECT t.id, to_json(t) FROM t GROUP BY 2000000000", /* as in a shape */
         "SELECT t.id, to_json(" MADE("t") ") FROM t GROUP BY 2000000000", 0},
        {"SELECT to_json(t) FROM t GROUP BY (t).id",
         "SELECT to_json(" MADE("t") ") FROM t GROUP BY (t).id", 0},
        {"SELECT to_json(t) FROM t GROUP BY (o, id)",
         "SELECT to_json(" MADE("t") ") FROM t GROUP BY (o, id)", 0},
        {"SELECT to_json(t) FROM t GROUP BY ROLLUP (id)",
         "SELECT to_json(t) FROM (SELECT id, o, \"B c\", g FROM t) AS t GROUP BY ROLLUP (id)", 0},
        {"SELECT to_json(x) FROM t x (a) GROUP BY o",
         "SELECT to_json((SELECT \"~segue\" AS x FROM (SELECT x.a AS id, x.o, x.\"B c\", x.g) "
         "AS \"~segue\")) FROM t x (a) GROUP BY o",
         0},
        {"SELECT to_json(t_1) FROM t_1 GROUP BY o",
         "SELECT to_json(t_1) FROM (SELECT \"B c\", o, id FROM t_1) AS t_1 GROUP BY o", 0},
    };

    (void)state;
    each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
}

/* Behind the alias of a join its tables have no names, and their columns others perhaps. */
static void under_the_alias_of_a_join_tables_are_sub_selects(void **state)
{
    static const struct row rows[] = {
        {"SELECT j.* FROM (t JOIN u ON t.id = u.id) AS j",
         "SELECT j.* FROM (" SELECTED " AS t JOIN u ON t.id = u.id) AS j", 0},
        {"SELECT to_json(j), j.e FROM (t a CROSS JOIN u) AS j (a, b, c, d, e)",
         "SELECT to_json(j), j.e FROM (" SELECTED " a CROSS JOIN u) AS j (a, b, c, d, e)", 0},
        {"SELECT (a).* FROM (t a CROSS JOIN u) AS j (a)",
         "SELECT (a).* FROM (" SELECTED " a CROSS JOIN u) AS j (a)", 0},
        {"SELECT (a).*, t.* FROM (b a CROSS JOIN u) AS j (a), t",
         "SELECT (a).*, t.id, t.o, t.\"B c\", t.g FROM (b a CROSS JOIN u) AS j (a), t", 0},
        /* the row of the table around it */
        {"SELECT (SELECT to_json(t) FROM (b t CROSS JOIN u) AS j) FROM t",
         "SELECT (SELECT to_json(t) FROM (b t CROSS JOIN u) AS j) FROM " SELECTED " AS t", 0},
        /* the join is called so */
        {"SELECT (SELECT to_json(t) FROM (b CROSS JOIN u) AS t) FROM t", NULL, 0},
        {"SELECT (SELECT t.* FROM (b JOIN u USING (id) AS t)) FROM t", NULL, 0},
        {"SELECT 1 FROM ((t x JOIN u ON to_json(x) IS NULL) AS y JOIN u z ON to_json(x) IS NULL) "
         "AS x",
         "SELECT 1 FROM ((" SELECTED
         " x JOIN u ON to_json(x) IS NULL) AS y JOIN u z ON to_json(x) IS "
         "NULL) AS x",
         0},
        {"SELECT j.id FROM (t JOIN u ON public.t.id > 0) AS j", NULL, SQL_DOUBT_JOIN},
    };

    (void)state;
    each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
}

static void using_keeps_its_meaning_beside_a_hidden_column(void **state)
{
    static const struct row rows[] = {
        {"SELECT t.id FROM t JOIN u v ON true JOIN u USING (n)",
         "SELECT t.id FROM (SELECT id, o, \"B c\", g FROM t) AS t JOIN u v ON true JOIN u USING "
         "(n)",
         0},
        {"SELECT n FROM u JOIN (t JOIN u v ON true) USING (n)",
         "SELECT n FROM u JOIN ((SELECT id, o, \"B c\", g FROM t) AS t JOIN u v ON true) USING (n)",
         0},
        {"SELECT t.id FROM t JOIN u USING (n)", NULL, 0}, /* the other side's, and meant */
        {"UPDATE t SET \"B c\" = 1 FROM u a JOIN u b USING (n) RETURNING *", NULL, SQL_DOUBT_STAR},
        {"DELETE FROM t USING (u a JOIN u b ON true) AS c RETURNING *", NULL, SQL_DOUBT_STAR},
        {"DELETE FROM t USING u a JOIN u b ON true RETURNING *",
         "DELETE FROM t USING u a JOIN u b ON true RETURNING t.id, t.o, t.\"B c\", t.g, a.*, b.*",
         0},
    };

    (void)state;
    each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
}

static void a_name_keeps_its_meaning_beside_a_hidden_column(void **state)
{
    static const struct row rows[] = {
        {"SELECT n FROM t, u", "SELECT u.n FROM t, u", 0},
        {"SELECT n FROM t x, u AS \"U 2\"", "SELECT \"U 2\".n FROM t x, u AS \"U 2\"", 0},
        {"SELECT (SELECT n FROM t) FROM u", "SELECT (SELECT u.n FROM t) FROM u", 0},
        {"SELECT n FROM t x JOIN (SELECT 1 AS n) s ON true",
         "SELECT s.n FROM t x JOIN (SELECT 1 AS n) s ON true", 0},
        {"WITH c AS (SELECT n FROM u) SELECT n FROM c, t",
         "WITH c AS (SELECT n FROM u) SELECT c.n FROM c, t", 0},
        {"UPDATE t SET id = n FROM u", "UPDATE t SET id = u.n FROM u", 0},
        {"UPDATE t SET (id, g) = (SELECT n, 1 FROM b) FROM u",
         "UPDATE t SET (id, g) = (SELECT u.n, 1 FROM b) FROM u", 0},
        {"WITH c AS (SELECT id, n FROM u) SELECT n FROM c JOIN t USING (id)",
         "WITH c AS (SELECT id, n FROM u) SELECT c.n FROM c JOIN t USING (id)", 0},
        {"SELECT left(o, 3) AS n, count(*) FROM t GROUP BY n",
         "SELECT left(o, 3) AS n, count(*) FROM t GROUP BY 1", 0},
        {"SELECT DISTINCT ON (\"n\") id, o || 'x' AS n FROM t ORDER BY n", NULL, 0},
        {"SELECT to_json(n) FROM t CROSS JOIN b AS n",
         "SELECT to_json(n) FROM (SELECT id, o, \"B c\", g FROM t) AS t CROSS JOIN b AS n", 0},
        {"SELECT to_json(o) FROM t AS o (id, a)", /* o is a row: a was o */
         "SELECT to_json((SELECT \"~segue\" AS o FROM (SELECT o.id, o.a AS o, o.\"B c\", o.g) AS "
         "\"~segue\")) FROM t AS o (id, a)",
         0},
        {"SELECT (n).* FROM u (a), t AS n", NULL, SQL_DOUBT_NAME}, /* u's n may be a */
        {"SELECT n FROM t x (id, n)", "SELECT n FROM " SELECTED " x (id, n)", 0},
        {"SELECT *, x.n FROM t x (id, n)", "SELECT *, x.n FROM " SELECTED " x (id, n)", 0},
        {"SELECT (n).* FROM t AS n", "SELECT  n.id, n.o, n.\"B c\", n.g FROM t AS n", 0},
        {"SELECT (n).* FROM t AS n FOR UPDATE",
         "SELECT  n.id, n.o, n.\"B c\", n.g FROM t AS n FOR UPDATE", 0},
        {"SELECT (q.n).o FROM (SELECT n FROM t AS n) q",
         "SELECT (q.n).o FROM (SELECT n FROM (SELECT id, o, \"B c\", g FROM t) AS n) q", 0},
        {"DELETE FROM t USING b n WHERE to_json(n) IS NULL", NULL, SQL_DOUBT_JOIN},
        {"SELECT 1 FROM u, t JOIN b ON n = 1", NULL, 0}, /* u is not seen there */
        {"SELECT n FROM u", NULL, 0},
        {"SELECT n FROM t", NULL, 0},
        {"SELECT t.n FROM t, u", NULL, 0},
        {"SELECT n FROM t, f() AS f", NULL, SQL_DOUBT_NAME},
        {"SELECT (SELECT n FROM t u) FROM u", "SELECT (SELECT n FROM " SELECTED " u) FROM u", 0},
        {"SELECT b.*, left(o, 3) AS n FROM t, b GROUP BY b.x, n",
         "SELECT b.*, left(o, 3) AS n FROM " SELECTED " AS t, b GROUP BY b.x, n", 0},
    };

    (void)state;
    each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
}

static void what_is_not_certain_stays_as_it_is(void **state)
{
    static const struct row rows[] = {
        {"SELECT * FROM twice", NULL, SQL_DOUBT_PATH},
        {"SELECT * FROM blank", NULL, SQL_DOUBT_COLUMNS},
        {"CREATE TEMP TABLE t AS SELECT 1 AS a; SELECT * FROM t", NULL, SQL_DOUBT_PATH},
        {"CREATE TEMP TABLE t AS SELECT * FROM t; SELECT 1",
         "CREATE TEMP TABLE t AS SELECT t.id, t.o, t.\"B c\", t.g FROM t; SELECT 1", 0},
        {"SELECT * FROM t -- segue:off", NULL, SQL_DOUBT_OFF},
        {"/* é /* segue:off */ */ SELECT * FROM t", NULL, SQL_DOUBT_OFF},
        {"SELECT * FROM t WHERE", NULL, SQL_DOUBT_GRAMMAR},
        {"SELECT '\xff' FROM t", NULL, SQL_DOUBT_GRAMMAR},
        {"CREATE RULE r AS ON INSERT TO t DO NOTHING", NULL, SQL_DOUBT_STATEMENT},
        {"SELECT * FROM public.t, app.t", NULL, SQL_DOUBT_STAR},
        {"TRUNCATE t", NULL, 0},
    };

    (void)state;
    each(SQL_SIDE_OLD, rows, ARRAY_LEN(rows));
}

static void a_temporary_table_of_the_session_may_hide_the_table(void **state)
{
    struct sql_rules *rules = some_rules(false, false);
    const struct sql_sight_of_session session = {
        .side = SQL_SIDE_OLD, .rewrites = true, .shadowed = {.old = 1}};
    struct sql_rewrite out;

    (void)state;
    sql_rewrite(rules, &session, "TABLE t", 7, &out);
    assert_int_equal(out.doubt, SQL_DOUBT_PATH);
    sql_rewrite_fini(&out);
    sql_rewrite(rules, &session, "TABLE public.t", 14, &out);
    assert_non_null(out.text);
    sql_rewrite_fini(&out);
    sql_rules_unref(rules);
}

static void what_nobody_has_seen_leaves_alone_what_means_the_same(void **state)
{
    static const char *const rows[] = {"TABLE t",
                                       "SELECT x.* FROM t AS x",
                                       "COPY t TO STDOUT",
                                       "INSERT INTO t VALUES (1, 2, 3)",
                                       "SELECT id FROM t NATURAL JOIN u",
                                       "SELECT o FROM t",
                                       "INSERT INTO t (id, o) VALUES (1, 2)",
                                       "UPDATE t SET o = 1"};
    struct sql_rules *rules = some_rules(false, false);
    const struct sql_sight_of_session session = {
        .side = SQL_SIDE_OLD, .rewrites = true, .unseen = 1};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sql_rewrite out;

        sql_rewrite(rules, &session, rows[i], strlen(rows[i]), &out);
        assert_int_equal(out.doubt, i < 5 ? SQL_DOUBT_NONE : SQL_DOUBT_PATH);
        assert_int_equal(out.text != NULL, i < 5);
        sql_rewrite_fini(&out);
    }
    sql_rules_unref(rules);
}

static void a_temporary_relation_may_be_called_like_a_partition(void **state)
{
    static const char sql[] = "CREATE TEMP TABLE t_1 (x int)";
    struct sql_rules *rules = some_rules(false, false);
    const struct sql_sight_of_session session = {.side = SQL_SIDE_OLD, .rewrites = true};
    struct sql_rewrite out;

    (void)state;
    sql_rewrite(rules, &session, sql, strlen(sql), &out);
    assert_int_equal(out.hides.old, 1);
    sql_rewrite_fini(&out);
    sql_rules_unref(rules);
}

static void early_readers_are_found(void **state)
{
    static const struct {
        const char *sql;
        enum sql_side side;
        uint64_t early;
    } rows[] = {
        {"SELECT n FROM t", SQL_SIDE_OLD, 1},
        {"SELECT 1 FROM t WHERE t.n = 1", SQL_SIDE_OLD, 1},
        {"SELECT 1 FROM t AS x ORDER BY x.n", SQL_SIDE_OLD, 1},
        {"SELECT * FROM t", SQL_SIDE_NEW, 1},
        {"COPY t TO STDOUT", SQL_SIDE_NEW, 1},
        {"UPDATE t SET id = 1 WHERE n = 2", SQL_SIDE_OLD, 1},
        {"UPDATE t SET o = n", SQL_SIDE_OLD, 1},
        {"DELETE FROM t RETURNING n", SQL_SIDE_OLD, 1},
        {"SELECT o FROM t", SQL_SIDE_OLD, 0},
        {"SELECT o AS n FROM t ORDER BY n", SQL_SIDE_OLD, 0},
        {"SELECT o AS n FROM t GROUP BY n", SQL_SIDE_OLD, 0},
        {"SELECT o FROM t ORDER BY n", SQL_SIDE_OLD, 1},
        {"SELECT * FROM t", SQL_SIDE_OLD, 0},
        {"SELECT n FROM t, u", SQL_SIDE_OLD, 0},
        {"INSERT INTO t (n) VALUES (1) RETURNING n", SQL_SIDE_OLD, 0},
        {"UPDATE t SET n = 1 RETURNING n", SQL_SIDE_OLD, 0},
        {"INSERT INTO t (id, n) VALUES (1, 2) ON CONFLICT (id) DO UPDATE SET n = EXCLUDED.n",
         SQL_SIDE_OLD, 0},
        {"COPY t FROM STDIN", SQL_SIDE_NEW, 0},
        {"COPY t (id, n) TO STDOUT", SQL_SIDE_OLD, 1},
        {"COPY t (id, o) TO STDOUT", SQL_SIDE_NEW, 0},
        {"COPY t (id, n) FROM STDIN", SQL_SIDE_OLD, 0},
        {"SELECT t.id FROM t JOIN u USING (n)", SQL_SIDE_OLD, 1},
        {"SELECT t.id FROM t JOIN u USING (n)", SQL_SIDE_NEW, 1},
        {"SELECT t.id FROM t JOIN u USING (id)", SQL_SIDE_NEW, 0},
        {"SELECT t.id FROM t JOIN u v ON true JOIN u USING (n)", SQL_SIDE_OLD, 0},
        {"SELECT t.id FROM t NATURAL JOIN u", SQL_SIDE_NEW, 1},
        {"SELECT t.id FROM t NATURAL JOIN u", SQL_SIDE_OLD, 0},
        {"SELECT (c).n FROM t c", SQL_SIDE_OLD, 1},
        {"SELECT (c).n FROM t c", SQL_SIDE_NEW, 1},
        {"INSERT INTO t (id, n) VALUES (1, 2) ON CONFLICT (id) DO UPDATE SET n = (EXCLUDED).n",
         SQL_SIDE_OLD, 0},
        {"UPDATE t SET n = 1 RETURNING (t).n", SQL_SIDE_OLD, 0},
        {"UPDATE t SET n = 1 RETURNING new.n", SQL_SIDE_OLD, 0},
        {"UPDATE t SET n = 1 RETURNING old.n", SQL_SIDE_OLD, 1},
        {"UPDATE t SET n = 1 RETURNING (SELECT old.n)", SQL_SIDE_OLD, 1},
        {"SELECT n(t) FROM t", SQL_SIDE_OLD, 1},
        {"SELECT o(t), n(u) FROM t, u", SQL_SIDE_OLD, 0},
        {"UPDATE t SET n = 1 RETURNING n(t)", SQL_SIDE_OLD, 0},
        {"SELECT 1 FROM (SELECT n FROM t)", SQL_SIDE_OLD, 1},
        {"UPDATE t SET n = 1 RETURNING WITH (OLD AS was) was.n", SQL_SIDE_OLD, 1},
        {"UPDATE t SET n = 1 RETURNING WITH (NEW AS old) old.n", SQL_SIDE_OLD, 0},
        {"UPDATE t SET n = 1 RETURNING WITH (OLD AS new) new.n", SQL_SIDE_OLD, 1},
        {"MERGE INTO t USING u ON true WHEN MATCHED THEN UPDATE SET o = 1 RETURNING t.n, u.n",
         SQL_SIDE_OLD, 0},
        {"MERGE INTO t USING u ON true WHEN MATCHED THEN UPDATE SET o = 1 RETURNING old.n",
         SQL_SIDE_OLD, 1},
        {"MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE RETURNING t.n", SQL_SIDE_OLD, 1},
        {"MERGE INTO t USING u ON t.n = 1 WHEN MATCHED THEN DELETE RETURNING 1", SQL_SIDE_OLD, 1},
        {"MERGE INTO u USING t ON true WHEN MATCHED THEN UPDATE SET a = 1 RETURNING t.n",
         SQL_SIDE_OLD, 1},
        /* nothing is hidden */
        {"SELECT * FROM plus", SQL_SIDE_NEW, 8},
        {"SELECT x.*, 1 FROM plus x", SQL_SIDE_NEW, 8},
        {"SELECT (x).* FROM plus x", SQL_SIDE_NEW, 8},
        {"SELECT ROW(x.*) FROM plus x", SQL_SIDE_NEW, 8},
        {"SELECT to_json(x) FROM plus x", SQL_SIDE_NEW, 8},
        {"SELECT count(x.*) FROM plus x", SQL_SIDE_NEW, 8},
        {"SELECT id FROM plus NATURAL JOIN u", SQL_SIDE_NEW, 8},
        {"SELECT id FROM plus", SQL_SIDE_NEW, 0},
        {"TABLE plus", SQL_SIDE_NEW, 8},
        {"TABLE plus", SQL_SIDE_OLD, 0},
        {"COPY plus TO STDOUT", SQL_SIDE_NEW, 8},
    };
    struct sql_rules *rules = some_rules(true, false);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct sql_sight_of_session session = {.side = rows[i].side, .rewrites = true};
        struct sql_rewrite out;

        sql_rewrite(rules, &session, rows[i].sql, strlen(rows[i].sql), &out);
        if (out.early != rows[i].early)
            fail_msg("%s: %lu", rows[i].sql, (unsigned long)out.early);
        if (out.early)
            assert_null(out.text);
        sql_rewrite_fini(&out);
    }
    sql_rules_unref(rules);
}

/* While it is aborted: the new column is nobody's, and not filled either. */
static void a_column_that_is_about_to_go_is_seen_by_nobody_and_read_by_nobody(void **state)
{
    static const char *const n[] = {"n", NULL}, *const none[] = {NULL};
    static const struct sql_column_rule columns[] = {{"id", SQL_SEEN_BY_BOTH, false},
                                                     {"o", SQL_SEEN_BY_BOTH, false},
                                                     {"n", SQL_SEEN_BY_NOBODY, false}};
    const struct sql_table_rule table = {.migration = "m",
                                         .schema = "public",
                                         .name = "t",
                                         .old_columns = none,
                                         .new_columns = n,
                                         .relatives = none,
                                         .columns = columns,
                                         .ncolumns = ARRAY_LEN(columns),
                                         .early = true};
    struct sql_rules *rules = sql_rules_new(1);

    (void)state;
    sql_rules_add(rules, &table);
    for (int side = SQL_SIDE_FOLLOW; side <= SQL_SIDE_NEW; side++) {
        const struct sql_sight_of_session session = {.side = (enum sql_side)side, .rewrites = true};
        struct sql_rewrite out;

        sql_rewrite(rules, &session, "SELECT * FROM t", 15, &out);
        assert_string_equal(out.text, "SELECT t.id, t.o FROM t");
        assert_int_equal(out.early, 0);
        sql_rewrite_fini(&out);
        sql_rewrite(rules, &session, "SELECT n FROM t", 15, &out);
        assert_int_equal(out.early, 1);
        sql_rewrite_fini(&out);
    }
    sql_rules_unref(rules);
}

static void positions_are_those_of_the_text_that_the_client_sent(void **state)
{
    static const char sql[] = "SELECT *, '\xc3\xa4', x FROM t";
    struct sql_rules *rules = some_rules(false, false);
    const struct sql_sight_of_session session = {.side = SQL_SIDE_OLD, .rewrites = true};
    struct sql_rewrite out;
    const char *x;

    (void)state;
    sql_rewrite(rules, &session, sql, strlen(sql), &out);
    assert_string_equal(out.text, "SELECT t.id, t.o, t.\"B c\", t.g, '\xc3\xa4', x FROM t");
    x = strstr(out.text, "x FROM");
    assert_int_equal(sql_rewrite_position(&out, sql, strlen(sql), 1), 1);
    assert_int_equal(sql_rewrite_position(&out, sql, strlen(sql), 8), 8);
    assert_int_equal(sql_rewrite_position(&out, sql, strlen(sql), 20), 8);
    assert_int_equal(sql_rewrite_position(&out, sql, strlen(sql), (uint32_t)(x - out.text)), 16);
    assert_int_equal(sql_rewrite_position(&out, sql, strlen(sql), 4000), 24);
    sql_rewrite_fini(&out);
    sql_rules_unref(rules);
}

static void the_columns_of_TABLE_stand_nowhere(void **state)
{
    static const char sql[] = "SELECT x UNION TABLE t";
    struct sql_rules *rules = some_rules(false, false);
    const struct sql_sight_of_session session = {.side = SQL_SIDE_OLD, .rewrites = true};
    struct sql_rewrite out;

    (void)state;
    sql_rewrite(rules, &session, sql, strlen(sql), &out);
    assert_string_equal(out.text, "SELECT x UNION SELECT t.id, t.o, t.\"B c\", t.g FROM t");
    assert_int_equal(sql_rewrite_position(&out, sql, strlen(sql), 10), 10);
    assert_int_equal(sql_rewrite_position(&out, sql, strlen(sql), 24), 0);
    assert_int_equal(sql_rewrite_position(&out, sql, strlen(sql), (uint32_t)out.len), 22);
    sql_rewrite_fini(&out);
    sql_rules_unref(rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_old_session_sees_the_old_columns_only),
        cmocka_unit_test(a_new_session_sees_the_new_columns_only),
        cmocka_unit_test(who_follows_sees_the_side_of_each_table),
        cmocka_unit_test(a_table_becomes_a_sub_select_where_a_star_cannot_be_spelled_out),
        cmocka_unit_test(a_row_is_made_in_place_where_the_table_must_stay_one),
        cmocka_unit_test(a_row_that_is_proposed_is_one_of_the_table),
        cmocka_unit_test(a_table_that_is_not_grouped_by_its_key_becomes_a_sub_select),
        cmocka_unit_test(under_the_alias_of_a_join_tables_are_sub_selects),
        cmocka_unit_test(using_keeps_its_meaning_beside_a_hidden_column),
        cmocka_unit_test(a_name_keeps_its_meaning_beside_a_hidden_column),
        cmocka_unit_test(what_is_not_certain_stays_as_it_is),
        cmocka_unit_test(a_temporary_table_of_the_session_may_hide_the_table),
        cmocka_unit_test(what_nobody_has_seen_leaves_alone_what_means_the_same),
        cmocka_unit_test(a_temporary_relation_may_be_called_like_a_partition),
        cmocka_unit_test(early_readers_are_found),
        cmocka_unit_test(a_column_that_is_about_to_go_is_seen_by_nobody_and_read_by_nobody),
        cmocka_unit_test(positions_are_those_of_the_text_that_the_client_sent),
        cmocka_unit_test(the_columns_of_TABLE_stand_nowhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
