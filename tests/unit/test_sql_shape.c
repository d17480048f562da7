/* sql/shape.h through sql/cache.h: what a statement becomes by the shape of another one is what it
 * becomes by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "segue/base/buf.h"
#include "segue/base/rc.h"
#include "segue/sql/cache.h"

static const struct sql_sight_of_session old_side = {.side = SQL_SIDE_OLD, .rewrites = true};

static struct sql_rules *rules;

static int setup(void **state)
{
    static const char *const old_names[] = {"label", NULL}, *const new_names[] = {"ti 2000000001",
                                                                                  NULL};
    static const char *const none[] = {NULL};
    static const struct sql_column_rule columns[] = {
        {"id", SQL_SEEN_BY_BOTH, false},
        {"label", SQL_SEEN_BY_OLD, false},
        {"ti 2000000001", SQL_SEEN_BY_NEW, false},
        {"hits", SQL_SEEN_BY_BOTH, false},
    };
    static const struct sql_twin_rule twins[] = {{"label", "ti 2000000001"}};
    static const struct sql_function known[] = {{SQL_FUNCTION_TWICE, "lower"},
                                                {SQL_FUNCTION_ONCE, "g"},
                                                {SQL_FUNCTION_OPERATOR, "||"},
                                                {SQL_FUNCTION_CASTS, ""}};
    struct sql_functions *functions;

    (void)state;
    rules = sql_rules_new(1);
    sql_rules_add(rules, &(struct sql_table_rule){.migration = "m",
                                                  .schema = "public",
                                                  .name = "items",
                                                  .old_columns = old_names,
                                                  .new_columns = new_names,
                                                  .relatives = none,
                                                  .columns = columns,
                                                  .ncolumns = ARRAY_LEN(columns),
                                                  .twins = twins,
                                                  .ntwins = 1});
    functions = sql_functions_new(known, ARRAY_LEN(known));
    sql_rules_functions(rules, functions);
    sql_functions_unref(functions);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sql_rules_unref(rules);
    return 0;
}

static void same(const struct sql_rewrite *got, const struct sql_rewrite *want, const char *sql)
{
    if (got->doubt != want->doubt || got->len != want->len || got->nsplices != want->nsplices ||
        !got->text != !want->text)
        fail_msg("%s\n     became %s\n instead of %s", sql, got->text ? got->text : "itself",
                 want->text ? want->text : "itself");
    if (want->text)
        assert_string_equal(got->text, want->text);
    for (size_t i = 0; i < want->nsplices; i++)
        assert_memory_equal(&got->splices[i], &want->splices[i], sizeof(got->splices[i]));
    assert_memory_equal(&got->verdict, &want->verdict, sizeof(got->verdict));
    assert_int_equal(got->early, want->early);
    assert_int_equal(got->stars, want->stars);
    assert_int_equal(got->positional, want->positional);
    assert_int_equal(got->by_columns, want->by_columns);
    assert_true(sql_taken_same(got->hides, want->hides));
}

/* `second` is rewritten after `first`, in a cache that has seen nothing else. By a shape? */
static bool is_shaped(const char *first, const char *second, size_t len)
{
    struct sql_cache *cache = sql_cache_new(100, 1 << 20);
    const struct sql_rewrite *got;
    struct sql_cache_stats stats;
    struct sql_rewrite want;

    sql_cache_rewrite(cache, rules, &old_side, first, strlen(first));
    got = sql_cache_rewrite(cache, rules, &old_side, second, len);
    sql_rewrite(rules, &old_side, second, len, &want);
    same(got, &want, second);
    sql_rewrite_fini(&want);
    sql_cache_stats(cache, &stats);
    sql_cache_free(cache);
    return stats.shaped > 0;
}

static void statements_of_one_shape_are_parsed_once(void **state)
{
    static const struct {
        const char *first, *second;
    } rows[] = {
        {"INSERT INTO items (id, label) VALUES (1, 'a'), (2, 'b')",
         "INSERT INTO items (id, label) VALUES (2147483647, 'it''s'), (3, '')"},
        {"INSERT INTO items (label, id) VALUES ('a', 1), (DEFAULT, 2) RETURNING *;",
         "INSERT INTO items (label, id) VALUES ('2000000000', 2000000001), (DEFAULT, 2) RETURNING "
         "*;"},
        {"UPDATE items SET hits = hits + 1, label = 'x' || label WHERE id = 1 AND label <> 'y' AND "
         "hits > 1.5",
         "UPDATE items SET hits = hits + 150, label = 'xyz' || label WHERE id = 22 AND label <> "
         "'é' AND hits > 2.5e3"},
        {"UPDATE items SET label = -1 WHERE id = $1",
         "UPDATE items SET label = -77777 WHERE id = $1"},
        {"update items set label = '2026'::text || 1.5, hits = 1 where id=1",
         "update items set label = '2000000000'::text || 1.25, hits = 2000000001 where id=22"},
        {"SELECT *, 'a' FROM items WHERE id = 1 ORDER BY 2 LIMIT 3",
         "SELECT *, 'long one' FROM items WHERE id = 1000 ORDER BY 1 LIMIT 30"},
        {"INSERT INTO items (id, label) VALUES (1, 'a'\n'b')",
         "INSERT INTO items (id, label) VALUES (23, 'cd'\n'efg')"},
        {"INSERT INTO items (id, label) SELECT 1, lower('A') FROM items i WHERE i.id < 5",
         "INSERT INTO items (id, label) SELECT 17, lower('Ab') FROM items i WHERE i.id < 555"},
        {"INSERT INTO items (id, label) VALUES (1, lower('A'))",
         "INSERT INTO items (id, label) VALUES (17, lower('Ab'))"},
        {"INSERT INTO items (id, label) VALUES (1, 'x' || g('A', 2) || 'y'), (2, g(3))",
         "INSERT INTO items (id, label) VALUES (17, '' || g('Ab', 222) || 'yy'), (200, g(33))"},
        {"UPDATE items SET hits = 1, label = 'x' || g('y', 2) WHERE id = 1",
         "UPDATE items SET hits = 111, label = '' || g('yy', 222) WHERE id = 11"},
        {"INSERT INTO items VALUES (1, 'a', 3)", "INSERT INTO items VALUES (10, 'abc', 33)"},
        {"SELECT id, label FROM items WHERE hits = 1",
         "SELECT id, label FROM items WHERE hits = 2"},
        {"INSERT INTO items (id, label) VALUES (1, 'a') ON CONFLICT (id) DO UPDATE SET label = 'b'",
         "INSERT INTO items (id, label) VALUES (9, 'aa') ON CONFLICT (id) DO UPDATE SET label = "
         "'bb'"},
        {"SELECT \"label\"\"'1'\", * FROM items WHERE hits=1",
         "SELECT \"label\"\"'1'\", * FROM items WHERE hits=200"},
        {"SELECT * FROM items WHERE label = 'items'", "SELECT * FROM items WHERE label = 'label'"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (!is_shaped(rows[i].first, rows[i].second, strlen(rows[i].second)))
            fail_msg("not by its shape: %s", rows[i].second);
}

static void what_only_the_parser_understands_is_parsed_each_time(void **state)
{
    static const struct {
        const char *first, *second;
    } rows[] = {
        {"UPDATE items SET label = 'a' -- '1'", "UPDATE items SET label = 'b' -- '1'"},
        {"UPDATE items SET label = 'a' /* '1' */", "UPDATE items SET label = 'b' /* '1' */"},
        {"UPDATE items SET label = $$a$$", "UPDATE items SET label = $$b$$"},
        {"UPDATE items SET label = E'a'", "UPDATE items SET label = E'b'"},
        {"UPDATE items SET label = U&'a'", "UPDATE items SET label = U&'b'"},
        {"UPDATE items SET label = 'a\\'", "UPDATE items SET label = 'b\\'"},
        {"UPDATE items SET label = 'a'; SELECT * FROM items WHERE id = 1",
         "UPDATE items SET label = 'b'; SELECT * FROM items WHERE id = 2"},
        {"UPDATE items SET label = 'a' WHERE id = 0x1F",
         "UPDATE items SET label = 'b' WHERE id = 0x1F"},
        {"UPDATE items SET label = 'a' WHERE id = 1.",
         "UPDATE items SET label = 'b' WHERE id = 2."},
        {"UPDATE items SET label = 'a' WHERE id = .1",
         "UPDATE items SET label = 'b' WHERE id = .2"},
        {"UPDATE items SET label = 'a' WHERE id = 1a",
         "UPDATE items SET label = 'b' WHERE id = 2a"},
        {"UPDATE items SET label = 'a", "UPDATE items SET label = 'b"},
        {"UPDATE items SET label = 'a' WHERE \"id = 1",
         "UPDATE items SET label = 'b' WHERE \"id = 1"},
        {"UPDATE items SET label = 'a'", "UPDATE items SET label = 'segue:off'"},
        {"UPDATE items SET label = 'a'", "UPDATE items SET label = '\xff'"},
        {"SELECT Set_config('search_path', 'a', false), i.* FROM items i",
         "SELECT Set_config('search_path', 'b', false), i.* FROM items i"},
        {"SELECT \"set_config\"('search_path', 'a', false), i.* FROM items i",
         "SELECT \"set_config\"('search_path', 'b', false), i.* FROM items i"},
        {"PREPARE p AS SELECT * FROM items WHERE id = 1",
         "PREPARE p AS SELECT * FROM items WHERE id = 2"},
        {"UPDATE items SET label = label", "UPDATE items SET label = label "},
        {"SELECT 'items'", "SELECT 'label'"},
        {"DELETE FROM items WHERE label = 'a' 'b'", "DELETE FROM items WHERE label = 'c' 'd'"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (is_shaped(rows[i].first, rows[i].second, strlen(rows[i].second)))
            fail_msg("by its shape: %s", rows[i].second);
}

/* float(53) is grammar: in the shape it is an error, of which the text knows nothing. */
static void a_shape_that_does_not_parse_says_nothing(void **state)
{
    static const char first[] = "SELECT *, 1::float(24) FROM items";
    static const char second[] = "SELECT *, 2::float(53) FROM items";
    struct sql_cache *cache = sql_cache_new(100, 1 << 20);
    const struct sql_rewrite *got;
    struct sql_cache_stats stats;

    (void)state;
    sql_cache_rewrite(cache, rules, &old_side, first, strlen(first));
    got = sql_cache_rewrite(cache, rules, &old_side, second, strlen(second));
    assert_string_equal(got->text,
                        "SELECT items.id, items.label, items.hits, 2::float(53) FROM items");
    sql_cache_stats(cache, &stats);
    assert_int_equal(stats.shaped, 0); /* both were parsed */
    sql_cache_free(cache);
}

/* INSERT of `n` rows; the label of each has `bytes` bytes. */
static char *many(size_t n, size_t bytes, char fill, const char *hits)
{
    struct buf sql = {0};

    buf_append_str(&sql, "INSERT INTO items (id, label, hits) VALUES ");
    for (size_t i = 0; i < n; i++) {
        buf_printf(&sql, "%s(%zu, '", i ? ", " : "", i * (size_t)fill);
        for (size_t k = 0; k < bytes; k++)
            buf_append_u8(&sql, (uint8_t)fill);
        buf_printf(&sql, "', %s)", hits);
    }
    return buf_take(&sql);
}

static void rows_of_values_are_filled_one_by_one(void **state)
{
    static const size_t bytes[] = {0, 1, 7, 12, 700, 1023, 1024, 1025, 3000};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bytes) * 2; i++) {
        const char *hits = i % 2 ? "0" : "0.5"; /* one becomes a sub-select, the other does not */
        char *first = many(100, bytes[i / 2], 'a', hits);
        char *second = many(100, bytes[i / 2], 'z', hits);

        assert_true(is_shaped(first, second, strlen(second)));
        free(first);
        free(second);
    }
}

/* ---- folded rows ---- */

/* A constant of each kind, by number: what stands in a row. */
static void put_constant(struct buf *sql, char kind, unsigned number)
{
    static const char *const words[] = {"true", "false", "NULL", "DEFAULT"};

    if (kind == 'u')
        buf_printf(sql, "%u", number);
    else if (kind == 'i')
        buf_printf(sql, "%s%u", number % 3 ? "" : "-", number);
    else if (kind == 'n')
        buf_printf(sql, "%s%u.%u", number % 3 ? "" : "-", number, number % 7);
    else if (kind == 's')
        buf_printf(sql, "'%.*s%s'", (int)(number % 23), "a:b\"c (d), e f-g, NULL hij",
                   number % 5 ? "" : "'' \xc3\xa9");
    else if (kind == 'l')
        buf_printf(sql, "'%01100u'", number);
    else
        buf_append_str(sql, words[kind - '0']);
}

/* INSERT of `n` rows of constants of these kinds; each `nulls`-th of them is NULL. */
static char *constants(size_t n, const char *kinds, unsigned nulls, const char *behind)
{
    struct buf sql = {0};
    unsigned number = (unsigned)n;

    buf_append_str(&sql, "INSERT INTO items (id, label, hits) VALUES\n");
    for (size_t i = 0; i < n; i++) {
        buf_append_str(&sql, i ? " ,\n( " : "( ");
        for (size_t k = 0; kinds[k]; k++) {
            number = number * 1103515245 + 12345;
            buf_append_str(&sql, k ? ", " : "");
            put_constant(&sql, nulls && number / 65536 % nulls == 0 ? '2' : kinds[k],
                         number / 65536 % 10000);
        }
        buf_append_str(&sql, ")");
    }
    buf_append_str(&sql, behind);
    return buf_take(&sql);
}

static void folded_rows_become_what_they_become_by_themselves(void **state)
{
    static const char *const kinds[] = {"iss", "isi", "ini", "nsn", "ili", "i0s", "s2i",
                                        "is3", "i3i", "222", "sis", "is",  "isis"};
    static const char *const behind[] = {"",
                                         ";",
                                         " ON CONFLICT (id) DO NOTHING RETURNING *",
                                         ", (1, lower('A'), 2)",
                                         ", (1, 'b')",
                                         ", (1.5, 'b', 2)",
                                         " ORDER BY 1",
                                         ", (NULL, NULL, NULL)"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kinds) * ARRAY_LEN(behind) * 4; i++) {
        const char *row = kinds[i % ARRAY_LEN(kinds)];
        const char *end = behind[i / ARRAY_LEN(kinds) % ARRAY_LEN(behind)];
        unsigned nulls = (unsigned)(i / ARRAY_LEN(kinds) / ARRAY_LEN(behind)) * 3;
        struct sql_cache *cache = sql_cache_new(100, 1 << 24);

        for (size_t n = 7; n <= 40; n += n < 13 ? 1 : 9) {
            char *sql = constants(n, row, nulls, end);
            struct sql_rewrite want;

            sql_rewrite(rules, &old_side, sql, strlen(sql), &want);
            same(sql_cache_rewrite(cache, rules, &old_side, sql, strlen(sql)), &want, sql);
            sql_rewrite_fini(&want);
            free(sql);
        }
        sql_cache_free(cache);
    }
}

/* What is not like the others in one row of many: each of these is seen by the parser. */
static void a_row_that_is_not_like_the_others_is_not_folded(void **state)
{
    static const char *const odd[] = {
        "(1, 2, 3)",          "(1, 'a', 3), (1)",
        "(1, 'a', 3.5)",      "(1, 'a', 2147483648)",
        "(1, E'a', 3)",       "(1, 'a\\', 3)",
        "(1, 'a' 'b', 3)",    "(1, 'a'\n'b', 3)",
        "(1, 'a', - 3)",      "(1, 'a', --3\n 3)",
        "(1, 'a', +3)",       "(1, 'a', DEFAULT)",
        "(1, label, 3)",      "(1, 'segue:off', 3)",
        "(1, $1, 3)",         "(1, lower('a'), 3)",
        "(1, '\xff', 3)",     "(1, NULLIF('a','b'), 3)",
        "(1, 'a', NULL + 1)", "(1,'a',3)",
        "(1, 'a'::text, 3)",  "(1, TRUE, 3)",
        "(1, 'a', 3) , ",     "(1, ('a'), 3)",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        struct sql_cache *cache = sql_cache_new(100, 1 << 24);
        struct buf sql = {0};
        struct sql_rewrite want;

        for (size_t turn = 0; turn < 2; turn++) {
            buf_reset(&sql);
            buf_append_str(&sql, "INSERT INTO items (id, label, hits) VALUES ");
            for (size_t row = 0; row < 30; row++)
                buf_printf(&sql, "%s%s", row ? ", " : "",
                           turn && row == 20 ? odd[i] : "(1, 'some text of a row', 3)");
            sql_rewrite(rules, &old_side, sql.data, sql.len, &want);
            same(sql_cache_rewrite(cache, rules, &old_side, sql.data, sql.len), &want, sql.data);
            sql_rewrite_fini(&want);
        }
        buf_fini(&sql);
        sql_cache_free(cache);
    }
}

static void any_number_of_folded_rows_is_parsed_once(void **state)
{
    struct sql_cache *cache = sql_cache_new(100, 1 << 20);
    const struct sql_rewrite *got;
    struct sql_cache_stats stats;
    struct sql_rewrite own;
    size_t sizes[] = {1000, 999, 10, 5000, 1000};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        char *sql = constants(sizes[i], "usu", 0, "");

        got = sql_cache_rewrite(cache, rules, &old_side, sql, strlen(sql));
        assert_non_null(got->text);
        assert_int_equal(sql_cache_take(cache, got, &own), i > 0); /* the first is remembered */
        if (i > 0) {
            assert_null(got->text);
            assert_int_equal(got->verdict.touches, 1);
            assert_int_equal(own.len, strlen(own.text));
            sql_rewrite_fini(&own);
        }
        free(sql);
    }
    sql_cache_stats(cache, &stats);
    assert_int_equal(stats.shaped, ARRAY_LEN(sizes) - 1);
    assert_int_equal(stats.entries, 2);
    sql_cache_free(cache);
}

/* Too long to be written twice is one thing, short another. */
static void a_long_literal_has_another_shape_than_a_short_one(void **state)
{
    char *first = many(3, 10, 'a', "0"), *second = many(3, 2000, 'z', "0");

    (void)state;
    assert_false(is_shaped(first, second, strlen(second)));
    assert_false(is_shaped(second, first, strlen(first)));
    free(first);
    free(second);
}

/* How a number is read decides what becomes of rows of it. */
static void a_number_of_four_bytes_has_another_shape_than_others(void **state)
{
    static const char *const others[] = {"0.5", "2147483648", "1e1", "12345678901234567890"};
    char *first = many(20, 3, 'a', "1"), *second;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        second = many(20, 3, 'a', others[i]);
        assert_false(is_shaped(first, second, strlen(second)));
        free(second);
    }
    second = many(20, 3, 'a', "2147483647");
    assert_true(is_shaped(first, second, strlen(second)));
    free(second);
    second = many(20, 3, 'a', "000000000000000000001");
    assert_true(is_shaped(first, second, strlen(second)));
    free(second);
    free(first);
}

static void a_nul_ends_nothing(void **state)
{
    static const char second[] = "UPDATE items SET label = 'b' WHERE\0 id = 1";

    (void)state;
    assert_false(
        is_shaped("UPDATE items SET label = 'b' WHERE id = 1", second, sizeof(second) - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statements_of_one_shape_are_parsed_once),
        cmocka_unit_test(what_only_the_parser_understands_is_parsed_each_time),
        cmocka_unit_test(a_shape_that_does_not_parse_says_nothing),
        cmocka_unit_test(rows_of_values_are_filled_one_by_one),
        cmocka_unit_test(folded_rows_become_what_they_become_by_themselves),
        cmocka_unit_test(a_row_that_is_not_like_the_others_is_not_folded),
        cmocka_unit_test(any_number_of_folded_rows_is_parsed_once),
        cmocka_unit_test(a_long_literal_has_another_shape_than_a_short_one),
        cmocka_unit_test(a_number_of_four_bytes_has_another_shape_than_others),
        cmocka_unit_test(a_nul_ends_nothing),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
