/* sql_rules_fit, sql_rules_go_on: what a standby that is behind, or has gone on, makes of rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "segue/base/rc.h"
#include "segue/sql/rules.h"

static const char *const none[] = {NULL};
static const char *const old_columns[] = {"a", NULL}, *const new_columns[] = {"b", NULL};
static const char *const key_id[] = {"id", NULL}, *const key_a[] = {"a", NULL};

/* As the engine shows it in the phases of a migration of column a to b. */
enum state { COMING, FILLING, READY, SOAKING, CONTRACTING, DROPPED, ABORTING, STATES };

static const struct {
    enum sql_sight old, new;
    bool coming, early, reversed, dropped;
} states[STATES] = {
    [COMING] = {SQL_SEEN_BY_OLD, SQL_SEEN_BY_NEW, .coming = true, .early = true},
    [FILLING] = {SQL_SEEN_BY_OLD, SQL_SEEN_BY_NEW, .early = true},
    [READY] = {SQL_SEEN_BY_OLD, SQL_SEEN_BY_NEW},
    [SOAKING] = {SQL_SEEN_BY_OLD, SQL_SEEN_BY_NEW, .reversed = true},
    [CONTRACTING] = {SQL_SEEN_BY_NOBODY, SQL_SEEN_BY_BOTH, .reversed = true},
    [DROPPED] = {SQL_SEEN_BY_NOBODY, SQL_SEEN_BY_BOTH, .reversed = true, .dropped = true},
    [ABORTING] = {SQL_SEEN_BY_BOTH, SQL_SEEN_BY_NOBODY, .early = true},
};

static struct sql_rules *rules_at(enum state state, const char *name, const char *const *key,
                                  uint64_t tag)
{
    const struct sql_column_rule columns[] = {{"id", SQL_SEEN_BY_BOTH, false},
                                              {"b", states[state].new, false},
                                              {"a", states[state].old, false}};
    struct sql_rules *rules = sql_rules_new(1);

    sql_rules_add(rules, &(struct sql_table_rule){.tag = tag,
                                                  .migration = "m",
                                                  .schema = "public",
                                                  .name = name,
                                                  .other_name = *name == 'n' ? "old" : "new",
                                                  .old_columns = old_columns,
                                                  .new_columns = new_columns,
                                                  .relatives = none,
                                                  .columns = columns,
                                                  .ncolumns = states[state].dropped ? 2 : 3,
                                                  .key = key,
                                                  .coming = states[state].coming,
                                                  .early = states[state].early,
                                                  .reversed = states[state].reversed});
    return rules;
}

static bool fit_and_drop(struct sql_rules *rules, struct sql_rules *there)
{
    bool fit = sql_rules_fit(rules, there);

    sql_rules_unref(rules);
    sql_rules_unref(there);
    return fit;
}

static bool fits(enum state rules, enum state there)
{
    return fit_and_drop(rules_at(rules, "old", key_id, 1), rules_at(there, "old", key_id, 1));
}

static bool fits_none(enum state rules)
{
    return fit_and_drop(rules_at(rules, "old", key_id, 1), NULL);
}

static void what_hides_is_true_before_and_after(void **state)
{
    (void)state;
    assert_true(fits_none(COMING) && fits(FILLING, COMING) && fits(COMING, FILLING));
    assert_true(fits(CONTRACTING, SOAKING) && fits(CONTRACTING, DROPPED) && fits_none(CONTRACTING));
    assert_true(fits(ABORTING, READY) && fits(ABORTING, FILLING) && fits_none(ABORTING));
    assert_true(sql_rules_fit(NULL, NULL));
}

static void what_is_not_filled_is_not_read(void **state)
{
    (void)state;
    assert_false(fits(READY, FILLING));
    assert_true(fits(FILLING, READY)); /* a client is told that it is too early: there it is */
}

static void columns_that_nobody_names_may_turn(void **state)
{
    (void)state;
    assert_true(fits(READY, SOAKING) && fits(SOAKING, READY));
}

static void what_goes_is_not_named(void **state)
{
    (void)state;
    assert_false(fits(SOAKING, CONTRACTING));
    assert_false(fits(SOAKING, DROPPED));
    assert_false(fits(READY, ABORTING));
    assert_false(fits_none(SOAKING));
    assert_true(fits(FILLING, ABORTING)); /* it may not be named */
}

static void a_name_that_turns_is_not_there_on_the_other_side(void **state)
{
    (void)state;
    assert_false(
        fit_and_drop(rules_at(READY, "old", key_id, 1), rules_at(SOAKING, "new", key_id, 1)));
    assert_false(
        fit_and_drop(rules_at(SOAKING, "new", key_id, 1), rules_at(READY, "old", key_id, 1)));
}

static void a_key_over_a_column_that_turns_is_another_one(void **state)
{
    (void)state;
    assert_false(
        fit_and_drop(rules_at(READY, "old", key_a, 1), rules_at(SOAKING, "old", key_a, 1)));
    assert_false(fit_and_drop(rules_at(READY, "old", key_id, 1), rules_at(READY, "old", key_a, 1)));
    assert_true(fit_and_drop(rules_at(READY, "old", key_a, 1), rules_at(READY, "old", key_a, 1)));
}

static void another_migration_of_the_table_is_not_the_same(void **state)
{
    (void)state;
    assert_false(
        fit_and_drop(rules_at(COMING, "old", key_id, 2), rules_at(READY, "old", key_id, 1)));
}

/* READY, with another relation that has such a column. */
static struct sql_rules *rules_beside_at(const char *schema, const char *const *columns,
                                         uint64_t signature, const size_t *places)
{
    struct sql_rules *rules = rules_at(READY, "old", key_id, 1);

    sql_rules_add_namesake(rules, &(struct sql_namesake){.schema = schema,
                                                         .name = "old",
                                                         .columns = columns,
                                                         .signature = signature,
                                                         .places = places});
    return rules;
}

static struct sql_rules *rules_beside(const char *schema, const char *const *columns,
                                      uint64_t signature)
{
    return rules_beside_at(schema, columns, signature, NULL);
}

static void another_relation_of_a_name_is_there_or_is_not(void **state)
{
    static const size_t second[] = {2, 2, 2, 2}, third[] = {3, 3, 3, 3};

    (void)state;
    assert_false(
        fit_and_drop(rules_beside("two", old_columns, 7), rules_at(READY, "old", key_id, 1)));
    assert_false(
        fit_and_drop(rules_at(READY, "old", key_id, 1), rules_beside("two", old_columns, 7)));
    assert_true(
        fit_and_drop(rules_beside("two", old_columns, 7), rules_beside("two", old_columns, 7)));
    assert_false(
        fit_and_drop(rules_beside("two", old_columns, 7), rules_beside("to", old_columns, 7)));
    assert_false(fit_and_drop(rules_beside("two", old_columns, 7), rules_beside("two", none, 7)));
    assert_false(
        fit_and_drop(rules_beside("two", old_columns, 7), rules_beside("two", old_columns, 8)));
    assert_false(fit_and_drop(rules_beside_at("two", old_columns, 7, second),
                              rules_beside_at("two", old_columns, 7, third)));
    assert_false(fit_and_drop(rules_beside_at("two", old_columns, 7, second),
                              rules_beside("two", old_columns, 7)));
    assert_true(fit_and_drop(rules_beside_at("two", old_columns, 7, second),
                             rules_beside_at("two", old_columns, 7, second)));
    /* which no standby has */
    assert_true(
        fit_and_drop(rules_beside("pg_temp_3", old_columns, 7), rules_at(READY, "old", key_id, 1)));
}

static void go_on_says_that_none_has_ended_and_none_came_late(void **state)
{
    struct sql_rules *coming = rules_at(COMING, "old", key_id, 1);
    struct sql_rules *ready = rules_at(READY, "old", key_id, 1);
    struct sql_rules *soaking = rules_at(SOAKING, "new", key_id, 1);
    struct sql_rules *next = rules_at(COMING, "old", key_id, 2);

    (void)state;
    assert_true(sql_rules_go_on(NULL, NULL) && sql_rules_go_on(NULL, coming));
    assert_true(sql_rules_go_on(ready, soaking) && sql_rules_go_on(coming, ready));
    assert_false(sql_rules_go_on(soaking, NULL));
    assert_false(sql_rules_go_on(NULL, soaking));
    assert_false(sql_rules_go_on(ready, next));
    sql_rules_unref(coming);
    sql_rules_unref(ready);
    sql_rules_unref(soaking);
    sql_rules_unref(next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_hides_is_true_before_and_after),
        cmocka_unit_test(what_is_not_filled_is_not_read),
        cmocka_unit_test(columns_that_nobody_names_may_turn),
        cmocka_unit_test(what_goes_is_not_named),
        cmocka_unit_test(a_name_that_turns_is_not_there_on_the_other_side),
        cmocka_unit_test(a_key_over_a_column_that_turns_is_another_one),
        cmocka_unit_test(another_migration_of_the_table_is_not_the_same),
        cmocka_unit_test(another_relation_of_a_name_is_there_or_is_not),
        cmocka_unit_test(go_on_says_that_none_has_ended_and_none_came_late),
    };

    return cmocka_run_group_tests_name("sql_fits", tests, NULL, NULL);
}
