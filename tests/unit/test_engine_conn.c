/* proxy/engine/conn.c: which errors are tried again, and how long the pauses are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "../../proxy/engine/conn.h"

static struct err with_state(const char *sqlstate)
{
    struct err err = {0};

    snprintf(err.sqlstate, sizeof(err.sqlstate), "%s", sqlstate);
    return err;
}

static void locks_deadlocks_cancels_and_lost_connections_are_tried_again(void **state)
{
    static const char *const again[] = {"55P03", "40P01", "57014", "57P01",
                                        "57P03", "08006", "08003", "25P03"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(again); i++) {
        struct err err = with_state(again[i]);

        assert_true(conn_retryable(&err));
    }
}

static void what_would_fail_again_is_not(void **state)
{
    static const char *const never[] = {"42601", "23505", "42501", "53100", "22P02", "XX000"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(never); i++) {
        struct err err = with_state(never[i]);

        assert_false(conn_retryable(&err));
    }
}

static void a_lock_timeout_is_no_lost_connection(void **state)
{
    struct err timeout = with_state("55P03"), lost = with_state("57P01");

    (void)state;
    assert_false(conn_lost(&timeout));
    assert_true(conn_lost(&lost));
}

static void pauses_double_up_to_their_limit_with_jitter(void **state)
{
    int64_t low = INT64_MAX, high = 0;

    (void)state;
    for (unsigned n = 0; n < 40; n++) {
        int64_t whole = n < 5 ? INT64_C(1000) << n : 30000;
        int64_t ms = conn_backoff_ms(n, 1000, 30000);

        assert_true(ms >= whole / 2 && ms <= whole);
    }
    for (int i = 0; i < 200; i++) {
        int64_t ms = conn_backoff_ms(0, 1000, 30000);

        low = ms < low ? ms : low;
        high = ms > high ? ms : high;
    }
    assert_true(high - low > 200);
}

static void a_closed_connection_answers_with_an_error(void **state)
{
    struct eng_conn conn = {0};
    struct err err = {0};

    (void)state;
    assert_int_equal(conn_exec(&conn, &err, "SELECT 1"), RC_ERR);
    assert_string_equal(err.sqlstate, "08006");
    conn_close(&conn);
    conn_rollback(&conn);
}

static void a_server_that_is_not_there_is_an_error(void **state)
{
    struct eng_conn conn = {0};
    struct err err = {0};

    (void)state;
    assert_int_equal(conn_open(&conn, "postgresql://x@127.0.0.1:1/x", &err), RC_ERR);
    assert_string_equal(err.sqlstate, "08006");
    assert_false(conn_up(&conn));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(locks_deadlocks_cancels_and_lost_connections_are_tried_again),
        cmocka_unit_test(what_would_fail_again_is_not),
        cmocka_unit_test(a_lock_timeout_is_no_lost_connection),
        cmocka_unit_test(pauses_double_up_to_their_limit_with_jitter),
        cmocka_unit_test(a_closed_connection_answers_with_an_error),
        cmocka_unit_test(a_server_that_is_not_there_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
