/* proxy/session/naming.h: names given and taken by SQL, not answered yet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/session/naming.h"

#define BYTES_MAX 4096

static struct sess_naming naming(enum sql_named_kind kind, uint32_t ask, const char *name)
{
    struct sess_naming n = {.kind = kind, .ask = ask};

    snprintf(n.name, sizeof(n.name), "%s", name);
    if (kind == SQL_NAMED_PREPARE)
        n.statement = sess_statement_new(
            &(struct sess_parse){.name = name, .text = "PREPARE", .text_len = 7, .types = ""});
    return n;
}

static void put(struct sess_namings **set, enum sql_named_kind kind, uint32_t ask, const char *name)
{
    struct sess_naming n = naming(kind, ask, name);

    assert_true(sess_namings_put_take(set, &n, BYTES_MAX));
}

static void done_is(struct sess_namings **set, enum sql_named_kind kind, uint32_t ask,
                    const char *name)
{
    struct sess_naming n;

    assert_true(sess_namings_done(set, kind, ask, &n));
    assert_string_equal(n.name, name);
    sess_statement_unref(n.statement);
}

static void tags_tell_what_is_done_in_order(void **state)
{
    struct sess_namings *set = NULL;
    struct sess_naming n;

    (void)state;
    put(&set, SQL_NAMED_PREPARE, 7, "a");
    put(&set, SQL_NAMED_PREPARE, 7, "b");
    put(&set, SQL_NAMED_DEALLOCATE, 7, "c");
    put(&set, SQL_NAMED_PREPARE, 8, "d");
    done_is(&set, SQL_NAMED_PREPARE, 7, "a");
    done_is(&set, SQL_NAMED_DEALLOCATE, 7, "c"); /* b was not executed */
    assert_false(sess_namings_done(&set, SQL_NAMED_PREPARE, 7, &n));
    sess_namings_answered(&set, 7);
    done_is(&set, SQL_NAMED_PREPARE, 8, "d");
    sess_namings_answered(&set, 8);
    assert_null(set);
}

static void what_had_no_tag_when_its_request_is_answered_has_failed(void **state)
{
    struct sess_namings *set = NULL;
    struct sess_naming n;

    (void)state;
    put(&set, SQL_NAMED_PREPARE, UINT32_MAX, "a"); /* numbers wrap */
    put(&set, SQL_NAMED_PREPARE, 0, "b");
    sess_namings_answered(&set, UINT32_MAX);
    assert_false(sess_namings_done(&set, SQL_NAMED_PREPARE, UINT32_MAX, &n));
    assert_true(sess_namings_concern(set, "b"));
    sess_namings_free(&set);
    assert_false(sess_namings_done(&set, SQL_NAMED_PREPARE, 0, &n));
}

static void a_name_on_its_way_may_mean_something_else(void **state)
{
    struct sess_namings *set = NULL;

    (void)state;
    assert_false(sess_namings_concern(set, "a"));
    put(&set, SQL_NAMED_DEALLOCATE, 1, "a");
    assert_true(sess_namings_concern(set, "a"));
    assert_false(sess_namings_concern(set, "b"));
    put(&set, SQL_NAMED_DROP_ALL, 1, "");
    assert_true(sess_namings_concern(set, "b"));
    sess_namings_free(&set);
}

static void past_the_limits_nothing_is_known_and_every_name_is_in_doubt(void **state)
{
    struct sess_namings *set = NULL;
    struct sess_naming n = naming(SQL_NAMED_PREPARE, 1, "large");

    (void)state;
    assert_false(sess_namings_put_take(&set, &n, 10));
    assert_true(sess_namings_concern(set, "other"));
    sess_namings_answered(&set, 1);
    assert_null(set);
    for (int i = 0; i < SESS_NAMINGS_MAX; i++)
        put(&set, SQL_NAMED_DEALLOCATE, 1, "a");
    assert_false(sess_namings_concern(set, "other"));
    n = naming(SQL_NAMED_DEALLOCATE, 1, "a");
    assert_false(sess_namings_put_take(&set, &n, BYTES_MAX));
    assert_true(sess_namings_concern(set, "other"));
    sess_namings_free(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_tell_what_is_done_in_order),
        cmocka_unit_test(what_had_no_tag_when_its_request_is_answered_has_failed),
        cmocka_unit_test(a_name_on_its_way_may_mean_something_else),
        cmocka_unit_test(past_the_limits_nothing_is_known_and_every_name_is_in_doubt),
    };

    return cmocka_run_group_tests_name("session_naming", tests, NULL, NULL);
}
