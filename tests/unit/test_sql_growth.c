/*
 * Texts of many things, near `inspect_bytes_max`: what one costs grows as it does. A worker serves
 * many sessions, and none of its clients may keep it. The limit is large: where each thing was
 * looked at for each other one, these took from eight seconds to many minutes, or the process
 * ended.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "segue/base/buf.h"
#include "segue/sql/head.h"
#include "sql_twins_bed.h"

#define SECONDS_MAX 4 /* of the processor, with a sanitizer on a slow machine */

struct growth {
    size_t bytes;
    const char *before, *each, *between, *after; /* # is a number, another one each time */
    enum sql_doubt doubt;
};

static void put(struct buf *text, const char *part, unsigned number)
{
    for (; *part; part++)
        if (*part == '#')
            buf_printf(text, "%u", number);
        else
            buf_append(text, part, 1);
}

static char *text_of(const struct growth *row)
{
    struct buf text = {0};

    buf_append_str(&text, row->before);
    for (unsigned i = 0; text.len < row->bytes; i++) {
        put(&text, i ? row->between : "", i);
        put(&text, row->each, i);
    }
    buf_append_str(&text, row->after);
    return buf_take(&text);
}

static void grow(const struct growth *rows, size_t n)
{
    const struct sql_sight_of_session session = {.side = SQL_SIDE_OLD, .rewrites = true};
    struct sql_rules *rules = twins_rules(false);

    for (size_t i = 0; i < n; i++) {
        char *text = text_of(&rows[i]);
        clock_t begin = clock();
        struct sql_rewrite out;
        double seconds;

        sql_rewrite(rules, &session, text, strlen(text), &out);
        seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
        if (seconds > SECONDS_MAX || out.doubt != rows[i].doubt)
            fail_msg("%s%s: %.1f s, %s", rows[i].before, rows[i].each, seconds,
                     sql_doubt_text(out.doubt));
        sql_rewrite_fini(&out);
        free(text);
    }
    sql_rules_unref(rules);
}

static void whole_rows_that_are_many_are_judged_once(void **state)
{
    static const struct growth rows[] = {
        {400000, "SELECT ", "to_json(t)", ",", " FROM t FOR UPDATE", 0},
        {300000, "SELECT coalesce(", "t", ",", ") FROM t FOR UPDATE", SQL_DOUBT_LENGTH},
        {400000, "SELECT ", "to_json(t.*)", ",", " FROM t GROUP BY t.id", 0},
        {500000, "SELECT 1 FROM ", "t a#, LATERAL (SELECT to_json(a#)) q#", ",", " FOR UPDATE",
         SQL_DOUBT_LENGTH},
    };

    (void)state;
    grow(rows, ARRAY_LEN(rows));
}

static void values_that_are_many_are_compared_with_no_other(void **state)
{
    static const struct growth rows[] = {
        {500000, "INSERT INTO t (id, o) VALUES (1, g(", "$#", ",", "))", 0},
        {900000, "", "UPDATE t SET o = g(b)", ";", "", 0},
    };

    (void)state;
    grow(rows, ARRAY_LEN(rows));
}

/* No server would run one of them. */
static void names_that_are_too_many_are_not_looked_for(void **state)
{
    static const struct growth rows[] = {
        {500000, "SELECT * FROM ", "t a#", ",", "", SQL_DOUBT_LENGTH},
        {500000, "WITH RECURSIVE ", "c# AS (SELECT 1 UNION SELECT 2 FROM t)", ",",
         " SELECT * FROM t", SQL_DOUBT_LENGTH},
        {500000, "SELECT 1 FROM t, json_table(x, '$' COLUMNS (", "a a", ",", "))", 0},
    };

    (void)state;
    grow(rows, ARRAY_LEN(rows));
}

/* The parser's own: it runs out of stack where nobody gives it more. */
static void what_is_nested_for_ever_is_refused(void **state)
{
    static const struct growth rows[] = {
        {300000, "SELECT o", "+o", "", " FROM t", SQL_DOUBT_GRAMMAR},
    };

    (void)state;
    grow(rows, ARRAY_LEN(rows));
}

static void comments_without_blanks_cost_what_they_are_long(void **state)
{
    static const struct growth rows[] = {
        {1000000, "SELECT * FROM t", "/**/", "", "", 0},
        {1000000, "SELECT * FROM t ", "/*+", "", "", SQL_DOUBT_GRAMMAR},
        {1000000, "SELECT o ", "+-", "", "o FROM t", SQL_DOUBT_GRAMMAR},
    };

    (void)state;
    grow(rows, ARRAY_LEN(rows));
}

/* By what reads a text in front of its parser, or in place of it. */
static void strings_in_dollars_are_read_once(void **state)
{
    static const struct growth head = {1000000, "INSERT INTO t VALUES (", "$$$$", ",", "", 0},
                               several = {1000000, "SELECT ", "$$$$", ",", "; x", 0};
    char *insert = text_of(&head), *select = text_of(&several);
    clock_t begin = clock();
    struct sql_head at;

    (void)state;
    assert_int_equal(sql_head_find(insert, strlen(insert), &at), RC_AGAIN);
    assert_true(sql_first_is_several(select, strlen(select)));
    assert_true(clock() - begin < CLOCKS_PER_SEC / 2);
    free(insert);
    free(select);
}

#define PARTITIONS 5000

/* Names like p_0001, and words of a text that begin as they do. */
static void a_word_is_not_compared_with_each_partition(void **state)
{
    static const struct growth row = {1000000, "SELECT ", "p", ",", " FROM u", 0};
    static const char *const none[] = {NULL};
    const char **partitions = test_calloc(PARTITIONS + 1, sizeof(*partitions));
    struct sql_table_rule table = {.migration = "m",
                                   .schema = "public",
                                   .name = "t",
                                   .old_columns = none,
                                   .new_columns = none,
                                   .relatives = partitions};
    char *names = test_malloc(PARTITIONS * 8), *text = text_of(&row);
    struct sql_rules *rules = sql_rules_new(1);
    clock_t begin;

    (void)state;
    for (size_t i = 0; i < PARTITIONS; i++) {
        snprintf(names + i * 8, 8, "p_%04zu", i);
        partitions[i] = names + i * 8;
    }
    assert_int_equal(sql_rules_add(rules, &table), 0);
    begin = clock();
    assert_false(sql_mentions(rules, text, strlen(text)));
    assert_true(clock() - begin < SECONDS_MAX * CLOCKS_PER_SEC);
    assert_true(sql_mentions(rules, "TABLE p_4999", strlen("TABLE p_4999")));
    sql_rules_unref(rules);
    test_free(partitions);
    test_free(names);
    free(text);
}

static void a_relation_is_not_compared_with_each_partition(void **state)
{
    static const struct growth row = {1000000, "SELECT ", "(SELECT 1 FROM p_19999)",
                                      ",",     " FROM t", 0};
    static const char *const none[] = {NULL};
    struct sql_table_rule table = {.migration = "m",
                                   .schema = "public",
                                   .name = "t",
                                   .old_columns = none,
                                   .new_columns = none,
                                   .relatives = none};
    struct sql_rules *rules = sql_rules_new(1);
    char *text = text_of(&row);
    struct sql_verdict verdict;
    clock_t begin;

    (void)state;
    assert_int_equal(sql_rules_add(rules, &table), 0);
    for (size_t i = 0; i < 4 * PARTITIONS; i++) {
        char name[16];

        snprintf(name, sizeof(name), "p_%05zu", i);
        sql_rules_add_partition(rules, 0,
                                &(struct sql_partition){.schema = "public", .name = name});
        sql_rules_add_namesake(
            rules, &(struct sql_namesake){.schema = "other", .name = name, .columns = none});
    }
    begin = clock();
    sql_inspect(rules, text, strlen(text), &verdict);
    assert_true(verdict.touches == 1);
    assert_true(clock() - begin < SECONDS_MAX * CLOCKS_PER_SEC);
    sql_rules_unref(rules);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_rows_that_are_many_are_judged_once),
        cmocka_unit_test(values_that_are_many_are_compared_with_no_other),
        cmocka_unit_test(names_that_are_too_many_are_not_looked_for),
        cmocka_unit_test(what_is_nested_for_ever_is_refused),
        cmocka_unit_test(comments_without_blanks_cost_what_they_are_long),
        cmocka_unit_test(strings_in_dollars_are_read_once),
        cmocka_unit_test(a_word_is_not_compared_with_each_partition),
        cmocka_unit_test(a_relation_is_not_compared_with_each_partition),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
