/* The primary key while one of its columns has two names: sql/key.c. What the server makes of it:
 * tests/integration/test_rename_key.py. */
#include "sql_twins_bed.h"

/* t (id, b, n): its key id becomes n. pairs (a, b, c, x, y): of its key (a, b) a becomes x; c,
 * which is in no key, becomes y; of a and x the type changes, too. */
static struct sql_rules *key_rules(bool reversed)
{
    static const char *const old_names[] = {"id", NULL}, *const new_names[] = {"n", NULL};
    static const char *const olds[] = {"a", "c", NULL}, *const news[] = {"x", "y", NULL};
    static const char *const none[] = {NULL};
    static const char *const keys[][3] = {{"id", NULL}, {"n", NULL}, {"a", "b", NULL}};
    static const struct sql_column_rule columns[] = {{"id", SQL_SEEN_BY_OLD, false},
                                                     {"b", SQL_SEEN_BY_BOTH, false},
                                                     {"n", SQL_SEEN_BY_NEW, false}};
    static const struct sql_column_rule five[] = {{"a", SQL_SEEN_BY_OLD, false},
                                                  {"b", SQL_SEEN_BY_BOTH, false},
                                                  {"c", SQL_SEEN_BY_OLD, false},
                                                  {"x", SQL_SEEN_BY_NEW, false},
                                                  {"y", SQL_SEEN_BY_NEW, false}};
    static const struct sql_twin_rule twin = {"id", "n"}, pair = {"a", "x"}, other = {"c", "y"};
    struct sql_table_rule table = {.migration = "m",
                                   .schema = "public",
                                   .name = "t",
                                   .old_columns = old_names,
                                   .new_columns = new_names,
                                   .relatives = none,
                                   .columns = columns,
                                   .ncolumns = ARRAY_LEN(columns),
                                   .key = keys[reversed],
                                   .twins = &twin,
                                   .ntwins = 1,
                                   .reversed = reversed};
    struct sql_rules *rules = sql_rules_new(1);

    assert_int_equal(sql_rules_add(rules, &table), 0);
    table.name = "pairs";
    table.old_columns = olds;
    table.new_columns = news;
    table.columns = five;
    table.ncolumns = ARRAY_LEN(five);
    table.key = keys[2]; /* of before the last turn, where that is over */
    table.twins = &other;
    table.pairs = &pair;
    table.npairs = 1;
    assert_int_equal(sql_rules_add(rules, &table), 1);
    return rules;
}

static void a_group_by_the_key_gets_the_half_that_the_key_is_over(void **state)
{
    static const struct twins_row before[] = {
        {"SELECT t.id, b FROM t GROUP BY t.id", NULL, 0},
        {"SELECT n, b FROM t GROUP BY n", "SELECT n, b FROM t GROUP BY n, t.id", 0},
        {"SELECT x.n AS k, x.b FROM t x GROUP BY k, x.b",
         "SELECT x.n AS k, x.b FROM t x GROUP BY k, x.id, x.b", 0},
        {"SELECT x.n, x.b FROM public.t AS x, u GROUP BY (x.n)",
         "SELECT x.n, x.b FROM public.t AS x, u GROUP BY (x.n, x.id)", 0},
        {"SELECT n, b FROM t GROUP BY ROLLUP (n)", NULL, 0},
        {"SELECT n + 1, b FROM t GROUP BY n + 1", NULL, 0},
        {"SELECT b FROM (SELECT n, b FROM t GROUP BY n) s GROUP BY b",
         "SELECT b FROM (SELECT n, b FROM t GROUP BY n, t.id) s GROUP BY b", 0},
        {"SELECT x, b, y FROM pairs GROUP BY b, x",
         "SELECT x, b, y FROM pairs GROUP BY b, x, pairs.a", 0},
        {"SELECT x, count(*) FROM pairs GROUP BY x", NULL, 0},
        {"SELECT y, count(*) FROM pairs GROUP BY y, b", NULL, 0},
    };
    static const struct twins_row after[] = {
        {"SELECT t.n, b FROM t GROUP BY t.n", NULL, 0},
        {"SELECT id, b FROM t GROUP BY id", "SELECT id, b FROM t GROUP BY id, t.n", 0},
        {"SELECT a, b, c FROM pairs GROUP BY a, b",
         "SELECT a, b, c FROM pairs GROUP BY a, pairs.x, b", 0},
    };
    /* who follows and says the old name */
    static const struct twins_row follows[] = {
        {"SELECT id, b FROM t GROUP BY id", "SELECT id, b FROM t GROUP BY id, t.n", 0},
        {"SELECT lower(b) AS id FROM t GROUP BY id", "SELECT lower(b) AS id FROM t GROUP BY 1", 0},
        {"SELECT b FROM t GROUP BY t.id", "SELECT b FROM t GROUP BY t.id, t.n", 0},
    };

    (void)state;
    rows_are(key_rules(false), SQL_SIDE_NEW, before, ARRAY_LEN(before));
    rows_are(key_rules(true), SQL_SIDE_OLD, after, ARRAY_LEN(after));
    rows_are(key_rules(true), SQL_SIDE_FOLLOW, follows, ARRAY_LEN(follows));
}

#define CONFLICT "INSERT INTO t (b) VALUES (1) ON CONFLICT "

static void a_conflict_on_the_key_means_the_index_that_the_key_has(void **state)
{
    static const struct twins_row before[] = {
        {CONFLICT "(id) DO NOTHING", NULL, 0},
        {CONFLICT "(n) DO NOTHING", CONFLICT "(id) DO NOTHING", 0},
        {CONFLICT "( \"n\" ) DO UPDATE SET b = 2", CONFLICT "( id ) DO UPDATE SET b = 2", 0},
        {CONFLICT "(n int4_ops) DO NOTHING", NULL, 0},
        {CONFLICT "(b) DO NOTHING", NULL, 0},
        {CONFLICT "((n + 1)) DO NOTHING", NULL, 0},
        {CONFLICT "ON CONSTRAINT n DO NOTHING", NULL, 0},
        {CONFLICT "DO NOTHING", NULL, 0},
        {"INSERT INTO pairs (b) VALUES (1) ON CONFLICT (b, x) DO NOTHING",
         "INSERT INTO pairs (b) VALUES (1) ON CONFLICT (b, a) DO NOTHING", 0},
        {"INSERT INTO pairs (b) VALUES (1) ON CONFLICT (x) DO NOTHING", NULL, 0},
        {"INSERT INTO pairs (b) VALUES (1) ON CONFLICT (y) DO NOTHING", NULL, 0},
    };
    static const struct twins_row after[] = {
        {CONFLICT "(id) DO NOTHING", CONFLICT "(n) DO NOTHING", 0},
        {CONFLICT "(n) DO NOTHING", NULL, 0},
    };

    (void)state;
    rows_are(key_rules(false), SQL_SIDE_NEW, before, ARRAY_LEN(before));
    rows_are(key_rules(true), SQL_SIDE_OLD, after, ARRAY_LEN(after));
}

/* Of an identity column the server ignores the value, and of its twin, which is none, it would not.
 */
static void values_that_are_overridden_go_to_the_half_that_leads(void **state)
{
    static const struct twins_row before[] = {
        {"INSERT INTO t (n, b) OVERRIDING USER VALUE VALUES (1, 2)",
         "INSERT INTO t (id, b) OVERRIDING USER VALUE VALUES (1, 2)", 0},
        {"INSERT INTO t (id, b) OVERRIDING USER VALUE VALUES (1, 2)", NULL, 0},
        {"INSERT INTO pairs (x, b) OVERRIDING USER VALUE VALUES (1, 2)", NULL, 0},
    };
    static const struct twins_row after[] = {
        {"INSERT INTO t (id, b) OVERRIDING USER VALUE VALUES (1, 2)",
         "INSERT INTO t (n, b) OVERRIDING USER VALUE VALUES (1, 2)", 0},
    };

    (void)state;
    rows_are(key_rules(false), SQL_SIDE_NEW, before, ARRAY_LEN(before));
    rows_are(key_rules(true), SQL_SIDE_OLD, after, ARRAY_LEN(after));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_by_the_key_gets_the_half_that_the_key_is_over),
        cmocka_unit_test(a_conflict_on_the_key_means_the_index_that_the_key_has),
        cmocka_unit_test(values_that_are_overridden_go_to_the_half_that_leads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
