/* sql/rules.h: sides, what is about to go, how tables have ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "segue/base/rc.h"
#include "segue/sql/rewrite.h"

static const char *const none[] = {NULL};

static void add(struct sql_rules *rules, const char *name, bool reversed, enum sql_sight old_sight,
                enum sql_sight new_sight)
{
    const struct sql_column_rule columns[] = {
        {"id", SQL_SEEN_BY_BOTH, false}, {"a", old_sight, false}, {"b", new_sight, false}};

    sql_rules_add(rules, &(struct sql_table_rule){.migration = "m",
                                                  .schema = "public",
                                                  .name = name,
                                                  .old_columns = none,
                                                  .new_columns = none,
                                                  .relatives = none,
                                                  .columns = columns,
                                                  .ncolumns = ARRAY_LEN(columns),
                                                  .reversed = reversed});
}

enum { READY = 1, SOAKING = 2, CONTRACTING = 4, ABORTING = 8 };

static struct sql_rules *one_of_each(void)
{
    struct sql_rules *rules = sql_rules_new(1);

    add(rules, "ready", false, SQL_SEEN_BY_OLD, SQL_SEEN_BY_NEW);
    add(rules, "soaking", true, SQL_SEEN_BY_OLD, SQL_SEEN_BY_NEW);
    add(rules, "contracting", true, SQL_SEEN_BY_NOBODY, SQL_SEEN_BY_BOTH);
    add(rules, "aborting", false, SQL_SEEN_BY_BOTH, SQL_SEEN_BY_NOBODY);
    return rules;
}

static void who_follows_is_on_the_side_of_the_tables(void **state)
{
    struct sql_rules *rules = one_of_each();

    (void)state;
    assert_int_equal(sql_rules_side(rules, READY), SQL_SIDE_OLD);
    assert_int_equal(sql_rules_side(rules, READY | ABORTING), SQL_SIDE_OLD);
    assert_int_equal(sql_rules_side(rules, SOAKING), SQL_SIDE_NEW);
    assert_int_equal(sql_rules_side(rules, SOAKING | CONTRACTING), SQL_SIDE_NEW);
    assert_int_equal(sql_rules_side(rules, READY | SOAKING), SQL_SIDE_FOLLOW);
    assert_int_equal(sql_rules_side(rules, SQL_TOUCH_ALL), SQL_SIDE_FOLLOW);
    assert_int_equal(sql_rules_side(rules, 0), SQL_SIDE_FOLLOW);
    assert_int_equal(sql_rules_side(NULL, SQL_TOUCH_ALL), SQL_SIDE_FOLLOW);
    sql_rules_unref(rules);
}

static void rules_with_a_table_more_add_one(void **state)
{
    struct sql_rules *one = sql_rules_new(1), *two = sql_rules_new(2), *turned = sql_rules_new(3);
    struct sql_rules *first = sql_rules_new(4);

    (void)state;
    add(one, "a", false, SQL_SEEN_BY_OLD, SQL_SEEN_BY_NEW);
    add(two, "b", false, SQL_SEEN_BY_OLD, SQL_SEEN_BY_NEW);
    add(two, "a", true, SQL_SEEN_BY_OLD, SQL_SEEN_BY_NEW);
    sql_rules_add(turned, &(struct sql_table_rule){.migration = "m",
                                                   .schema = "public",
                                                   .name = "c",
                                                   .other_name = "a",
                                                   .old_columns = none,
                                                   .new_columns = none,
                                                   .relatives = none});
    assert_int_equal(sql_rules_added(NULL, one), 1);
    assert_int_equal(sql_rules_added(one, two), 1); /* "b" comes first there */
    add(first, "b", false, SQL_SEEN_BY_OLD, SQL_SEEN_BY_NEW);
    assert_int_equal(sql_rules_added(first, two), 2);
    assert_int_equal(sql_rules_added(two, one), 0);
    assert_int_equal(sql_rules_added(one, one), 0);
    assert_int_equal(sql_rules_added(one, turned), 0); /* only its name is new */
    assert_int_equal(sql_rules_added(one, NULL), 0);
    assert_int_equal(sql_rules_added(NULL, NULL), 0);
    sql_rules_unref(one);
    sql_rules_unref(two);
    sql_rules_unref(turned);
    sql_rules_unref(first);
}

static void a_side_is_gone_when_nobody_sees_its_columns(void **state)
{
    struct sql_rules *rules = one_of_each();

    (void)state;
    assert_false(sql_rules_gone(rules, READY | SOAKING, SQL_SIDE_OLD));
    assert_false(sql_rules_gone(rules, READY | SOAKING, SQL_SIDE_NEW));
    assert_true(sql_rules_gone(rules, CONTRACTING, SQL_SIDE_OLD));
    assert_false(sql_rules_gone(rules, CONTRACTING, SQL_SIDE_NEW));
    assert_false(sql_rules_gone(rules, ABORTING, SQL_SIDE_OLD));
    assert_true(sql_rules_gone(rules, READY | ABORTING, SQL_SIDE_NEW));
    assert_false(sql_rules_gone(rules, SQL_TOUCH_ALL, SQL_SIDE_FOLLOW));
    assert_false(sql_rules_gone(NULL, SQL_TOUCH_ALL, SQL_SIDE_OLD));
    sql_rules_unref(rules);
}

static void tables_that_are_not_there_any_more_have_ended(void **state)
{
    struct sql_rules *before = one_of_each(), *after = sql_rules_new(2);
    struct sql_rules_ends ends;

    (void)state;
    add(after, "ready", false, SQL_SEEN_BY_OLD, SQL_SEEN_BY_NEW);
    add(after, "soaking", true, SQL_SEEN_BY_OLD, SQL_SEEN_BY_NEW);
    add(after, "aborting", false, SQL_SEEN_BY_BOTH, SQL_SEEN_BY_NOBODY);
    ends = sql_rules_ended(before, after);
    assert_true(ends.new_stays);
    assert_false(ends.old_stays);
    ends = sql_rules_ended(after, NULL);
    assert_true(ends.new_stays && ends.old_stays);
    ends = sql_rules_ended(NULL, after);
    assert_false(ends.new_stays || ends.old_stays);
    sql_rules_unref(before);
    sql_rules_unref(after);
}

static struct sql_rules *tagged(uint64_t epoch, uint64_t first, uint64_t second)
{
    struct sql_rules *rules = sql_rules_new(epoch);
    struct sql_table_rule rule = {.migration = "m",
                                  .schema = "public",
                                  .name = "a",
                                  .tag = first,
                                  .old_columns = none,
                                  .new_columns = none,
                                  .relatives = none};

    sql_rules_add(rules, &rule);
    rule.name = "b";
    rule.tag = second;
    sql_rules_add(rules, &rule);
    return rules;
}

static void a_table_under_another_tag_has_ended_and_begun_anew(void **state)
{
    struct sql_rules *before = tagged(1, 64, 65), *after = tagged(2, 64, 128);
    struct sql_tags old = sql_rules_tags(before, 3), now = sql_rules_tags(after, 3);

    (void)state;
    assert_true(sql_rules_ended(before, after).old_stays);
    assert_false(sql_rules_ended(after, after).old_stays);
    assert_true(old.number != now.number && (old.marks & now.marks) != 0);
    assert_true(sql_rules_tags(before, 1).number == sql_rules_tags(after, 1).number);
    assert_true((sql_rules_tags(before, 2).marks & sql_rules_tags(after, 2).marks) == 0);
    assert_true(sql_rules_tags(before, 0).number == 0 && sql_rules_tags(NULL, 3).number == 0);
    sql_rules_unref(before);
    sql_rules_unref(after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_with_a_table_more_add_one),
        cmocka_unit_test(who_follows_is_on_the_side_of_the_tables),
        cmocka_unit_test(a_side_is_gone_when_nobody_sees_its_columns),
        cmocka_unit_test(tables_that_are_not_there_any_more_have_ended),
        cmocka_unit_test(a_table_under_another_tag_has_ended_and_begun_anew),
    };

    return cmocka_run_group_tests_name("sql_rules", tests, NULL, NULL);
}
