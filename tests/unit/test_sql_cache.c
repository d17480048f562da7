/* sql/cache.h: rewrites by text and sight, bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "segue/base/rc.h"
#include "segue/sql/cache.h"

static const struct sql_sight_of_session old_side = {.side = SQL_SIDE_OLD, .rewrites = true};
static const struct sql_sight_of_session new_side = {.side = SQL_SIDE_NEW, .rewrites = true};

static struct sql_rules *some_rules(uint64_t epoch)
{
    static const char *const old_names[] = {"claim_text", NULL}, *const new_names[] = {"claim",
                                                                                       NULL};
    static const char *const none[] = {NULL};
    static const struct sql_column_rule columns[] = {
        {"id", SQL_SEEN_BY_BOTH, false},
        {"claim_text", SQL_SEEN_BY_OLD, false},
        {"claim", SQL_SEEN_BY_NEW, false},
    };
    struct sql_rules *rules = sql_rules_new(epoch);

    sql_rules_add(rules, &(struct sql_table_rule){.migration = "m",
                                                  .schema = "public",
                                                  .name = "checks",
                                                  .old_columns = old_names,
                                                  .new_columns = new_names,
                                                  .relatives = none,
                                                  .columns = columns,
                                                  .ncolumns = ARRAY_LEN(columns)});
    return rules;
}

static const struct sql_rewrite *ask(struct sql_cache *cache, const struct sql_rules *rules,
                                     const struct sql_sight_of_session *session, const char *sql)
{
    return sql_cache_rewrite(cache, rules, session, sql, strlen(sql));
}

static void the_latest_are_remembered_until_the_epoch_moves(void **state)
{
    static const char *const sql[] = {"select a from checks", "select b from checks",
                                      "select a from checks", "select c from checks",
                                      "select a from checks"};
    struct sql_rules *rules = some_rules(1), *later = some_rules(2);
    struct sql_cache *cache = sql_cache_new(2, 10000);
    struct sql_cache_stats stats;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sql); i++)
        assert_int_equal(ask(cache, rules, &old_side, sql[i])->verdict.touches, 1);
    sql_cache_stats(cache, &stats);
    assert_int_equal(stats.hits, 2);
    assert_int_equal(stats.misses, 3);
    assert_int_equal(stats.evictions, 1);
    assert_int_equal(stats.entries, 2);
    ask(cache, later, &old_side, sql[0]);
    sql_cache_stats(cache, &stats);
    assert_int_equal(stats.misses, 4);
    assert_int_equal(stats.entries, 1);
    sql_cache_free(cache);
    sql_rules_unref(rules);
    sql_rules_unref(later);
}

static void each_sight_has_its_own_rewrite(void **state)
{
    static const char star[] = "select * from public.checks";
    const struct sql_sight_of_session off = {.side = SQL_SIDE_OLD};
    const struct sql_sight_of_session shadowed = {
        .side = SQL_SIDE_OLD, .rewrites = true, .shadowed = {.old = 1}};
    const struct sql_sight_of_session elsewhere = {
        .side = SQL_SIDE_OLD, .rewrites = true, .path = 1};
    const struct sql_sight_of_session follows = {
        .side = SQL_SIDE_NEW, .follows = true, .rewrites = true};
    const struct sql_sight_of_session unseen = {
        .side = SQL_SIDE_OLD, .rewrites = true, .unseen = 1};
    const struct sql_sight_of_session *const sights[] = {&old_side,  &new_side, &off,   &shadowed,
                                                         &elsewhere, &follows,  &unseen};
    struct sql_rules *rules = some_rules(1);
    struct sql_cache *cache = sql_cache_new(10, 10000);
    struct sql_cache_stats stats;

    (void)state;
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < ARRAY_LEN(sights); i++) {
            const struct sql_rewrite *got = ask(cache, rules, sights[i], star);
            struct sql_rewrite want;

            sql_rewrite(rules, sights[i], star, strlen(star), &want);
            assert_int_equal(got->doubt, want.doubt);
            assert_int_equal(got->text != NULL, want.text != NULL);
            if (want.text)
                assert_string_equal(got->text, want.text);
            sql_rewrite_fini(&want);
        }
    }
    assert_string_not_equal(ask(cache, rules, &old_side, star)->text, star);
    sql_cache_stats(cache, &stats);
    assert_int_equal(stats.misses, ARRAY_LEN(sights));
    assert_int_equal(stats.hits, ARRAY_LEN(sights) + 1);
    sql_cache_free(cache);
    sql_rules_unref(rules);
}

/* A sanitizer has an allocator of its own, which cannot be counted so. */
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);

static size_t allocations;

void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    allocations++;
    return __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
    allocations++;
    return __libc_realloc(old, size);
}

static void what_is_remembered_costs_no_allocation(void **state)
{
    static const char *const sql[] = {"select a from checks",
                                      "select * from checks c where id = $1", "select 1",
                                      "insert into checks values ($1, $2)"};
    struct sql_rules *rules = some_rules(1);
    struct sql_cache *cache = sql_cache_new(100, 10000);
    size_t before;

    (void)state;
    before = allocations;
    for (size_t i = 0; i < ARRAY_LEN(sql); i++)
        ask(cache, rules, &old_side, sql[i]);
    assert_true(allocations > before); /* they are counted */
    before = allocations;
    for (int round = 0; round < 100; round++)
        for (size_t i = 0; i < ARRAY_LEN(sql); i++)
            ask(cache, rules, &old_side, sql[i]);
    assert_int_equal(allocations, before);
    sql_cache_free(cache);
    sql_rules_unref(rules);
}
#define ALLOCATIONS cmocka_unit_test(what_is_remembered_costs_no_allocation),
#else
#define ALLOCATIONS
#endif

static void bytes_of_both_texts_count(void **state)
{
    static const char plain[] = "select a from public.checks",
                      star[] = "select * from public.checks";
    struct sql_rules *rules = some_rules(1);
    struct sql_cache *cache = sql_cache_new(100, 10000);
    struct sql_cache_stats before, after;
    size_t room;

    (void)state;
    ask(cache, rules, &old_side, plain);
    sql_cache_stats(cache, &before);
    ask(cache, rules, &old_side, star);
    sql_cache_stats(cache, &after);
    assert_true(after.bytes - before.bytes > before.bytes);
    room = before.bytes + 1;
    sql_cache_free(cache);

    /* what does not fit is answered, not kept */
    cache = sql_cache_new(100, room);
    assert_non_null(ask(cache, rules, &old_side, star)->text);
    assert_non_null(ask(cache, rules, &old_side, star)->text);
    sql_cache_stats(cache, &after);
    assert_int_equal(after.misses, 2);
    assert_int_equal(after.bytes, 0);
    ask(cache, rules, &old_side, plain);
    sql_cache_stats(cache, &after);
    assert_int_equal(after.entries, 1);
    sql_cache_free(cache);
    sql_rules_unref(rules);
}

struct seen {
    char text[64];
    uint64_t uses;
    unsigned rows;
};

static bool see(void *ctx, const struct sql_cached *cached)
{
    struct seen *seen = ctx;
    size_t len = strlen(seen->text);

    memcpy(seen->text + len, cached->text + strlen("select "), 1);
    seen->text[len + 1] = '\0';
    seen->uses += cached->uses;
    return len < 1;
}

static void the_last_used_are_shown_first(void **state)
{
    struct sql_rules *rules = some_rules(1);
    struct sql_cache *cache = sql_cache_new(10, 10000);
    struct seen seen = {0};

    (void)state;
    ask(cache, rules, &old_side, "select a from checks");
    ask(cache, rules, &old_side, "select b from checks");
    ask(cache, rules, &old_side, "select c from checks");
    ask(cache, rules, &old_side, "select a from checks");
    sql_cache_each(cache, see, &seen);
    assert_string_equal(seen.text, "ac");
    assert_int_equal(seen.uses, 3);
    sql_cache_free(cache);
    sql_rules_unref(rules);
}

static bool count_row(void *ctx, const struct sql_cached *cached)
{
    struct seen *seen = ctx;

    snprintf(seen->text, sizeof(seen->text), "%.*s", (int)cached->len, cached->text);
    seen->uses += cached->uses;
    seen->rows++;
    return true;
}

/* What the parser itself would say. */
static void expect_right(struct sql_cache *cache, const struct sql_rules *rules, const char *text)
{
    const struct sql_rewrite *got = ask(cache, rules, &old_side, text);
    struct sql_rewrite want;

    sql_rewrite(rules, &old_side, text, strlen(text), &want);
    assert_string_equal(got->text, want.text);
    assert_string_not_equal(got->text, text);
    sql_rewrite_fini(&want);
}

/* Of texts that differ in literals only, one is remembered, with the uses of all. */
static void one_text_stands_for_its_shape(void **state)
{
    struct sql_rules *rules = some_rules(1);
    struct sql_cache *cache = sql_cache_new(4, 10000);
    struct seen seen = {0};
    struct sql_cache_stats stats;
    char text[64];

    (void)state;
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof(text), "select * from public.checks where id = %d", i);
        expect_right(cache, rules, text);
    }
    sql_cache_stats(cache, &stats);
    assert_int_equal(stats.entries, 2); /* the shape is one */
    assert_int_equal(stats.shaped, 99);
    assert_int_equal(stats.evictions, 0);
    sql_cache_each(cache, count_row, &seen);
    assert_int_equal(seen.rows, 1);
    assert_int_equal(seen.uses, 100);
    assert_string_equal(seen.text, "select * from public.checks where id = 0");
    sql_cache_free(cache);
    sql_rules_unref(rules);
}

/* Either of the two may be pushed out before the other, and another text stands in. */
static void a_shape_and_its_text_go_each_by_itself(void **state)
{
    static const char *const texts[] = {
        "select * from public.checks where id = 1", "select * from public.checks where id = 2",
        "select *, 1 from public.checks",           "select *, 2 from public.checks",
        "select *, id from public.checks",
    };

    (void)state;
    for (size_t entries = 1; entries <= 5; entries++) {
        struct sql_rules *rules = some_rules(1);
        struct sql_cache *cache = sql_cache_new(entries, 10000);
        struct sql_cache_stats stats;

        /* each of them behind each other, in many orders */
        for (unsigned round = 0; round < 500; round++) {
            expect_right(cache, rules, texts[round * 7 % 11 % ARRAY_LEN(texts)]);
            expect_right(cache, rules, texts[round / 5 % ARRAY_LEN(texts)]);
            sql_cache_stats(cache, &stats);
            assert_true(stats.entries <= entries);
        }
        sql_cache_free(cache);
        sql_rules_unref(rules);
    }
}

/* While a text that stands for a shape is used, its shape stays as well: no other text of it is
 * parsed, or shown beside it. */
static void a_text_in_use_keeps_its_shape(void **state)
{
    struct sql_rules *rules = some_rules(1);
    struct sql_cache *cache = sql_cache_new(4, 10000);
    struct seen seen = {0};
    struct sql_cache_stats stats;
    char text[64];

    (void)state;
    expect_right(cache, rules, "select * from public.checks where id = 0");
    for (int i = 0; i < 10; i++) {
        snprintf(text, sizeof(text), "select *, id as a%c from public.checks", 'a' + i);
        expect_right(cache, rules, text);
        expect_right(cache, rules, "select * from public.checks where id = 0");
    }
    expect_right(cache, rules, "select * from public.checks where id = 1");
    sql_cache_stats(cache, &stats);
    assert_int_equal(stats.hits, 10);
    assert_int_equal(stats.shaped, 1);
    sql_cache_each(cache, count_row, &seen);
    assert_int_equal(seen.rows, 3); /* it, and two others */
    sql_cache_free(cache);
    sql_rules_unref(rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALLOCATIONS cmocka_unit_test(the_latest_are_remembered_until_the_epoch_moves),
        cmocka_unit_test(each_sight_has_its_own_rewrite),
        cmocka_unit_test(bytes_of_both_texts_count),
        cmocka_unit_test(the_last_used_are_shown_first),
        cmocka_unit_test(one_text_stands_for_its_shape),
        cmocka_unit_test(a_shape_and_its_text_go_each_by_itself),
        cmocka_unit_test(a_text_in_use_keeps_its_shape),
    };

    return cmocka_run_group_tests_name("sql_cache", tests, NULL, NULL);
}
