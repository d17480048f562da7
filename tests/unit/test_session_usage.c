/* proxy/session/usage.c: counting by client, forgetting names past the limit, merging. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "segue/session/usage.h"

static struct sess_use *of(struct sess_usage *usage, const char *application)
{
    const struct sess_use_key key = {7, SESS_USE_OLD, "app", application, "127.0.0.1"};

    return sess_usage_of(usage, &key);
}

static void see(struct sess_usage *usage, const char *application, int64_t ms)
{
    char text[32];

    snprintf(text, sizeof(text), "at %d", (int)ms);
    sess_use_count(of(usage, application), 1, ms, text, strlen(text));
}

/* The one without a name, or NULL. */
static const struct sess_use *nameless(const struct sess_usage *usage)
{
    const struct sess_use *use = NULL;

    while ((use = sess_usage_next(usage, use)))
        if (!*use->key.user)
            return use;
    return NULL;
}

static uint64_t counted(const struct sess_usage *usage)
{
    uint64_t n = 0;

    for (const struct sess_use *use = NULL; (use = sess_usage_next(usage, use));)
        n += use->count;
    return n;
}

static void every_part_of_the_key_tells_clients_apart(void **state)
{
    const struct sess_use_key keys[] = {
        {1, SESS_USE_OLD, "u", "a", "x"}, {2, SESS_USE_OLD, "u", "a", "x"},
        {1, SESS_USE_NEW, "u", "a", "x"}, {1, SESS_USE_OLD, "v", "a", "x"},
        {1, SESS_USE_OLD, "u", "b", "x"}, {1, SESS_USE_OLD, "u", "a", "y"},
        {1, SESS_USE_OLD, "ua", "", "x"}, {1, SESS_USE_OLD, "u", "", "ax"},
    };
    const size_t n = sizeof(keys) / sizeof(*keys);
    struct sess_usage *usage = sess_usage_new(100);

    (void)state;
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < n; i++)
            sess_use_count(sess_usage_of(usage, &keys[i]), 1, 1, "x", 1);
    assert_int_equal(sess_usage_entries(usage), n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(sess_usage_of(usage, &keys[i])->count, 2);
    sess_usage_free(usage);
}

static void first_stays_and_last_goes_on_with_its_statement(void **state)
{
    struct sess_usage *usage = sess_usage_new(100);

    (void)state;
    see(usage, "a", 100);
    see(usage, "a", 250);
    see(usage, "a", 300);
    assert_int_equal(of(usage, "a")->count, 3);
    assert_int_equal(of(usage, "a")->first_ms, 100);
    assert_int_equal(of(usage, "a")->last_ms, 300);
    assert_string_equal(of(usage, "a")->statement, "at 300");
    sess_usage_free(usage);
}

static void what_is_announced_says_when_and_is_not_counted(void **state)
{
    struct sess_usage *usage = sess_usage_new(100);

    (void)state;
    sess_use_count(of(usage, "a"), 0, 100, "parse", 5);
    assert_int_equal(of(usage, "a")->count, 0);
    sess_use_count(of(usage, "a"), 1, 200, "bind", 4);
    sess_use_count(of(usage, "a"), 0, 300, "parse", 5);
    assert_int_equal(of(usage, "a")->count, 1);
    assert_int_equal(of(usage, "a")->first_ms, 100);
    assert_int_equal(of(usage, "a")->last_ms, 300);
    assert_string_equal(of(usage, "a")->statement, "parse");
    sess_usage_free(usage);
}

static void a_long_statement_is_cut(void **state)
{
    struct sess_usage *usage = sess_usage_new(100);
    char text[1000];

    (void)state;
    memset(text, 'x', sizeof(text));
    sess_use_count(of(usage, "a"), 1, 1, text, sizeof(text));
    assert_int_equal(strlen(of(usage, "a")->statement), SESS_USE_STATEMENT_BYTES);
    sess_use_count(of(usage, "a"), 1, 2, text, 3); /* not NUL-terminated */
    assert_string_equal(of(usage, "a")->statement, "xxx");
    sess_usage_free(usage);
}

static void past_the_limit_the_one_not_used_for_longest_loses_its_name(void **state)
{
    struct sess_usage *usage = sess_usage_new(3);

    (void)state;
    see(usage, "a", 1);
    see(usage, "b", 2);
    see(usage, "c", 3);
    see(usage, "a", 4);
    see(usage, "d", 5); /* b goes */
    assert_int_equal(sess_usage_entries(usage), 3);
    assert_int_equal(sess_usage_gone(usage), 1);
    assert_int_equal(of(usage, "a")->count, 2);
    assert_int_equal(of(usage, "c")->count, 1);
    assert_int_equal(of(usage, "d")->count, 1);
    assert_int_equal(nameless(usage)->count, 1);
    assert_int_equal(nameless(usage)->last_ms, 2);
    assert_string_equal(nameless(usage)->statement, "at 2");
    sess_usage_free(usage);
}

static void nothing_that_was_counted_is_lost_to_the_limit(void **state)
{
    struct sess_usage *usage = sess_usage_new(16);
    char application[16];

    (void)state;
    for (int i = 0; i < 5000; i++) {
        snprintf(application, sizeof(application), "app %d", (i * 7919) % 1000);
        see(usage, application, i + 1);
    }
    assert_int_equal(sess_usage_entries(usage), 16);
    assert_int_equal(counted(usage), 5000);
    assert_int_equal(nameless(usage)->first_ms, 1);
    assert_int_equal(nameless(usage)->last_ms, 5000 - 16);
    sess_usage_free(usage);
}

static void a_limit_of_one_holds(void **state)
{
    struct sess_usage *usage = sess_usage_new(0);

    (void)state;
    see(usage, "a", 1);
    see(usage, "b", 2);
    assert_int_equal(sess_usage_entries(usage), 1);
    assert_int_equal(of(usage, "b")->count, 1);
    assert_int_equal(nameless(usage)->count, 1);
    sess_usage_free(usage);
}

static void merging_adds_counts_and_keeps_the_ends_whatever_the_order(void **state)
{
    for (int order = 0; order < 2; order++) {
        struct sess_usage *sets[2] = {sess_usage_new(10), sess_usage_new(10)};
        struct sess_usage *all = sess_usage_new(10);

        (void)state;
        see(sets[0], "a", 100);
        see(sets[0], "a", 200);
        see(sets[1], "a", 50);
        see(sets[1], "a", 150);
        see(sets[1], "b", 10);
        for (int i = 0; i < 2; i++) {
            struct sess_usage *from = sets[i ^ order];

            for (const struct sess_use *use = NULL; (use = sess_usage_next(from, use));)
                sess_usage_merge(all, use);
        }
        assert_int_equal(of(all, "a")->count, 4);
        assert_int_equal(of(all, "a")->first_ms, 50);
        assert_int_equal(of(all, "a")->last_ms, 200);
        assert_string_equal(of(all, "a")->statement, "at 200");
        assert_int_equal(of(all, "b")->count, 1);
        sess_usage_free(sets[0]);
        sess_usage_free(sets[1]);
        sess_usage_free(all);
    }
}

static void merging_keeps_the_order_in_which_entries_go(void **state)
{
    struct sess_usage *from = sess_usage_new(10), *to = sess_usage_new(2);

    (void)state;
    see(from, "a", 1);
    see(from, "b", 2);
    see(from, "c", 3);
    for (const struct sess_use *use = NULL; (use = sess_usage_next(from, use));)
        sess_usage_merge(to, use);
    assert_int_equal(nameless(to)->last_ms, 1);
    assert_int_equal(of(to, "b")->count + of(to, "c")->count, 2);
    sess_usage_free(from);
    sess_usage_free(to);
}

static bool not_table_7(void *ctx, const struct sess_use *use)
{
    (*(int *)ctx)++;
    return use->key.table != 7;
}

static void what_is_not_wanted_is_forgotten(void **state)
{
    const struct sess_use_key other = {8, SESS_USE_OLD, "app", "c", "local"};
    struct sess_usage *usage = sess_usage_new(3);
    int asked = 0;

    (void)state;
    see(usage, "a", 1);
    sess_use_count(sess_usage_of(usage, &other), 1, 2, "x", 1);
    see(usage, "b", 3);
    see(usage, "d", 4); /* a has no name any more */
    sess_usage_retain(usage, not_table_7, &asked);
    assert_int_equal(asked, 4);
    assert_int_equal(sess_usage_entries(usage), 1);
    assert_int_equal(counted(usage), 1);
    see(usage, "a", 5);
    assert_int_equal(of(usage, "a")->count, 1);
    sess_usage_free(usage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_part_of_the_key_tells_clients_apart),
        cmocka_unit_test(first_stays_and_last_goes_on_with_its_statement),
        cmocka_unit_test(what_is_announced_says_when_and_is_not_counted),
        cmocka_unit_test(a_long_statement_is_cut),
        cmocka_unit_test(past_the_limit_the_one_not_used_for_longest_loses_its_name),
        cmocka_unit_test(nothing_that_was_counted_is_lost_to_the_limit),
        cmocka_unit_test(a_limit_of_one_holds),
        cmocka_unit_test(merging_adds_counts_and_keeps_the_ends_whatever_the_order),
        cmocka_unit_test(merging_keeps_the_order_in_which_entries_go),
        cmocka_unit_test(what_is_not_wanted_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
