#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/session/statements.h"

static void put(struct sess_statements *set, const char *name, const char *text, size_t len)
{
    sess_statements_put(set, &(struct sess_parse){.name = name, .text = text, .text_len = len}, 0);
}

static void statements_are_found_by_name_until_closed(void **state)
{
    struct sess_statements *set = sess_statements_new(1 << 20);
    char name[16];

    (void)state;
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "s%d", i);
        put(set, name, name, strlen(name));
    }
    assert_int_equal(sess_statements_count(set), 500);
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "s%d", i);
        assert_string_equal(sess_statements_find(set, name)->text, name);
        sess_statements_remove(set, name);
        assert_null(sess_statements_find(set, name));
    }
    assert_int_equal(sess_statements_count(set), 0);
    sess_statements_free(set);
}

static void another_text_under_a_name_makes_it_unknown(void **state)
{
    struct sess_statements *set = sess_statements_new(1 << 20);

    (void)state;
    put(set, "a", "select 1", 8);
    put(set, "a", "select 1", 8);
    assert_string_equal(sess_statements_find(set, "a")->text, "select 1");
    put(set, "a", "select 2", 8);
    assert_null(sess_statements_find(set, "a")->text);
    sess_statements_free(set);
}

static void bytes_are_bounded_and_given_back(void **state)
{
    struct sess_statements *set = sess_statements_new(1000);
    char text[500];

    (void)state;
    memset(text, 'x', sizeof(text));
    put(set, "a", text, sizeof(text));
    put(set, "b", text, sizeof(text));
    assert_non_null(sess_statements_find(set, "a"));
    assert_null(sess_statements_find(set, "b"));
    put(set, "a", "other", 5);
    sess_statements_remove(set, "a");
    put(set, "b", text, sizeof(text));
    assert_non_null(sess_statements_find(set, "b"));
    sess_statements_free(set);
}

static struct sess_statement *made(const char *name, const char *text)
{
    return sess_statement_new(
        &(struct sess_parse){.name = name, .text = text, .text_len = strlen(text)});
}

static void a_name_means_what_was_set_last(void **state)
{
    struct sess_statements *set = sess_statements_new(1 << 20);
    struct sess_statement *one = made("a", "select 1"), *two = made("a", "select 2");

    (void)state;
    assert_true(sess_statements_set(set, one));
    assert_true(sess_statements_set(set, two));
    assert_ptr_equal(sess_statements_find(set, "a"), two);
    assert_int_equal(sess_statements_count(set), 1);
    assert_int_equal(one->refs, 1);
    assert_false(one->linked);
    /* back again, as after an error */
    assert_true(sess_statements_set(set, one));
    assert_true(sess_statements_set(set, one));
    assert_ptr_equal(sess_statements_find(set, "a"), one);
    assert_int_equal(one->refs, 2);
    sess_statement_unref(one);
    sess_statement_unref(two);
    sess_statements_free(set);
}

static void parameter_types_are_kept_and_tell_statements_apart(void **state)
{
    struct sess_statements *set = sess_statements_new(1 << 20);
    struct sess_parse parse = {.name = "a",
                               .text = "select $1",
                               .text_len = 9,
                               .types = "\0\0\0\x17\0\0\0\x19",
                               .ntypes = 2};

    (void)state;
    sess_statements_put(set, &parse, 0);
    assert_memory_equal(sess_statements_find(set, "a")->types, parse.types, 8);
    sess_statements_put(set, &parse, 0);
    assert_non_null(sess_statements_find(set, "a")->text);
    parse.types = "\0\0\0\x17\0\0\0\x14";
    sess_statements_put(set, &parse, 0);
    assert_null(sess_statements_find(set, "a")->text);
    sess_statements_free(set);
}

static void what_was_sent_instead_is_counted(void **state)
{
    const struct sql_rewrite rewrite = {.text = (char *)"select 2", .len = 8};
    struct sess_statements *set = sess_statements_new(1 << 20);
    struct sess_statement *one = made("a", "select 1");
    struct sess_sent *sent = sess_sent_new(&rewrite, "select 1", 8);
    size_t bytes;

    (void)state;
    sess_statements_set(set, one);
    bytes = sess_statements_bytes(set);
    sess_statements_sent_take(set, one, sess_sent_ref(sent));
    assert_int_equal(sess_statements_rewritten(set), 1);
    assert_int_equal(sess_statements_bytes(set), bytes + sent->bytes);
    sess_statements_sent_take(set, one, NULL);
    assert_int_equal(sess_statements_rewritten(set), 0);
    assert_int_equal(sess_statements_bytes(set), bytes);
    sess_statements_sent_take(set, one, sess_sent_ref(sent));
    sess_statements_remove(set, "a");
    assert_int_equal(sess_statements_rewritten(set), 0);
    assert_int_equal(sess_statements_bytes(set), sess_statements_bytes_least());
    sess_statement_unref(one);
    assert_int_equal(sent->refs, 1);
    sess_sent_unref(sent);
    sess_statements_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statements_are_found_by_name_until_closed),
        cmocka_unit_test(another_text_under_a_name_makes_it_unknown),
        cmocka_unit_test(bytes_are_bounded_and_given_back),
        cmocka_unit_test(a_name_means_what_was_set_last),
        cmocka_unit_test(parameter_types_are_kept_and_tell_statements_apart),
        cmocka_unit_test(what_was_sent_instead_is_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
