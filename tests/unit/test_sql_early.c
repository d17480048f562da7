/* sql/rewrite.h: who is no early reader although he says a new column's name. Who is one:
 * test_sql_rewrite.c. */
#include "sql_sides_bed.h"

/* t (id, o, n): o is renamed to n, and not filled yet. */
static struct sql_rules *some_rules(void)
{
    static const char *const o[] = {"o", NULL}, *const n[] = {"n", NULL}, *const none[] = {NULL};
    static const struct sql_column_rule columns[] = {{"id", SQL_SEEN_BY_BOTH, false},
                                                     {"o", SQL_SEEN_BY_OLD, false},
                                                     {"n", SQL_SEEN_BY_NEW, false}};
    struct sql_rules *rules = sql_rules_new(1);

    assert_int_equal(sql_rules_add(rules, &(struct sql_table_rule){.migration = "m",
                                                                   .schema = "public",
                                                                   .name = "t",
                                                                   .old_columns = o,
                                                                   .new_columns = n,
                                                                   .relatives = none,
                                                                   .columns = columns,
                                                                   .ncolumns = 3,
                                                                   .early = true}),
                     0);
    return rules;
}

static void each(struct sql_taken shadowed, const char *sql, uint64_t early)
{
    struct sql_rules *rules = some_rules();
    const struct sql_sight_of_session session = {
        .side = SQL_SIDE_OLD, .rewrites = true, .shadowed = shadowed};
    struct sql_rewrite out;

    sql_rewrite(rules, &session, sql, strlen(sql), &out);
    if (out.early != early)
        fail_msg("%s: %lu", sql, (unsigned long)out.early);
    sql_rewrite_fini(&out);
    sql_rules_unref(rules);
}

static void an_alias_of_a_list_is_no_new_column(void **state)
{
    const struct sql_taken none = {0};

    (void)state;
    each(none, "SELECT n, x.n FROM t x (id, n)", 0);
    each(none, "SELECT x.n FROM t x (id)", 1);
    each(none, "SELECT n FROM t x (n, o)", 0);
    each(none, "SELECT n FROM t", 1);
}

static void a_table_of_ones_own_by_that_name_is_another(void **state)
{
    const struct sql_taken own = {.old = 1}, none = {0};

    (void)state;
    each(own, "SELECT n FROM t", 0);
    each(own, "SELECT n FROM public.t", 1);
    each(own, "SELECT x.n FROM public.t x, t", 1);
    each(own, "SELECT x.n FROM t x, public.t", 0);
    each(own, "INSERT INTO t SELECT * FROM t RETURNING n", 0);
    each(none, "SELECT n FROM t; CREATE TEMP TABLE t (n int)", 1);
    each(none, "CREATE TEMP TABLE t (n int); SELECT n FROM t", 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_alias_of_a_list_is_no_new_column),
        cmocka_unit_test(a_table_of_ones_own_by_that_name_is_another),
    };

    return cmocka_run_group_tests_name("sql_early", tests, NULL, NULL);
}
