/* Statements over `inspect_bytes_max` of which the beginning is awaited. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "../../proxy/session/head.h"
#include "../../proxy/session/worker.h"
#include "../fuzz/rules.h"

#define MOST 1048576
#define SECONDS_MAX 2

static struct {
    struct sess_worker worker;
    struct sess_order order;
    struct sess_limits limits;
    struct sess session;
    char message[2 * MOST];
} bed;

static enum sess_head find(size_t avail)
{
    const struct wire_frame frame = {.type = 'Q', .total = sizeof(bed.message)};

    return sess_head_find(&bed.session, &frame, bed.message, avail);
}

static int set_up(void **state)
{
    static const char text[] = "Q\0\0\0\0INSERT INTO checks VALUES ('";

    (void)state;
    bed.order.rules = fuzz_star_rules(true);
    bed.limits.options.inspect_bytes_max = MOST;
    bed.worker.order = &bed.order;
    bed.worker.limits = &bed.limits;
    bed.session.worker = &bed.worker;
    memset(bed.message, 'x', sizeof(bed.message));
    memcpy(bed.message, text, sizeof(text) - 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sql_rules_unref(bed.order.rules);
    return 0;
}

/* Its client would keep the worker from all others. */
static void a_row_that_comes_byte_by_byte_is_not_read_for_each(void **state)
{
    clock_t begin = clock();

    (void)state;
    for (size_t avail = WIRE_HEADER_BYTES; avail < MOST; avail++) {
        assert_int_equal(find(avail), SESS_HEAD_AWAITED);
        if (avail % 1024 == 0)
            assert_true(clock() - begin < SECONDS_MAX * CLOCKS_PER_SEC);
    }
    assert_int_equal(find(MOST), SESS_HEAD_THERE);
}

static void what_is_awaited_may_be_the_last_that_is_read(void **state)
{
    (void)state;
    assert_int_equal(find(100000), SESS_HEAD_AWAITED);
    bed.limits.options.inspect_bytes_max = 50000; /* reloaded */
    assert_int_equal(find(100000), SESS_HEAD_THERE);
    memcpy(bed.message + 80000, "')", 2);
    bed.limits.options.inspect_bytes_max = MOST;
    assert_int_equal(find(60000), SESS_HEAD_AWAITED);
    assert_int_equal(find(120000), SESS_HEAD_THERE);
    assert_int_equal(find(60000), SESS_HEAD_AWAITED); /* of another one nothing is known */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_row_that_comes_byte_by_byte_is_not_read_for_each, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_awaited_may_be_the_last_that_is_read, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
