/* proxy/engine/throttle_ease.c: the pace that clients' latency asks for, against clients that are
 * played. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../proxy/engine/throttle_ease.h"

#define REQUESTS 100 /* a reading */

struct clients {
    double always; /* share of requests that are slow by themselves */
    double harm;   /* and of those beside a batch */
    uint64_t random;
};

struct outcome {
    double slow_share; /* of the second half's requests */
    double pause;      /* at the end */
    double filled;     /* share of the time in batches, second half */
    unsigned useless;
};

static double chance(struct clients *c)
{
    c->random ^= c->random << 13;
    c->random ^= c->random >> 7;
    c->random ^= c->random << 17;
    return (double)(c->random >> 11) / 9007199254740992.0;
}

static struct outcome play(struct clients c, unsigned readings)
{
    struct throttle_ease ease;
    struct outcome out = {0};

    throttle_ease_begin(&ease);
    for (unsigned i = 0; i < readings; i++) {
        double busy = 1 / (1 + ease.pause);
        uint64_t slow = 0;

        for (unsigned r = 0; r < REQUESTS; r++)
            slow += chance(&c) < c.always + busy * c.harm;
        out.useless += throttle_ease_note(&ease, REQUESTS, slow);
        if (i >= readings / 2) {
            out.slow_share += (double)slow / REQUESTS / (readings - readings / 2);
            out.filled += busy / (readings - readings / 2);
        }
    }
    out.pause = ease.pause;
    return out;
}

static void clients_that_feel_nothing_are_not_paused_for(void **state)
{
    struct outcome out = play((struct clients){.always = 0.004, .random = 88172645463325252u}, 400);

    (void)state;
    assert_true(out.filled > 0.5);
    assert_int_equal(out.useless, 0);
}

static void no_more_than_one_request_in_a_hundred_is_slow(void **state)
{
    static const double harms[] = {0.02, 0.05, 0.2, 0.5};

    (void)state;
    for (size_t i = 0; i < sizeof(harms) / sizeof(*harms); i++) {
        struct outcome out = play(
            (struct clients){.always = 0.004, .harm = harms[i], .random = 88172645463325252u + i},
            4000);

        assert_true(out.slow_share < 0.0105);
        assert_true(out.filled > 0.001 / harms[i]); /* and the backfill does not starve */
        assert_int_equal(out.useless, 0);
    }
}

/* Of a whole second half at full harm: it must have backed off within the first readings. */
static void it_backs_off_at_once_and_begins_slowly(void **state)
{
    struct throttle_ease ease;

    (void)state;
    throttle_ease_begin(&ease);
    assert_true(ease.pause >= 5);
    for (unsigned i = 0; i < 100; i++)
        assert_false(throttle_ease_note(&ease, REQUESTS, 0));
    assert_true(ease.pause == 0);
    for (unsigned i = 0; i < 10; i++)
        assert_false(throttle_ease_note(&ease, REQUESTS, 50));
    assert_true(ease.pause > 10);
}

static void clients_that_are_slow_by_themselves_are_found_out(void **state)
{
    struct outcome out = play((struct clients){.always = 0.05, .random = 88172645463325252u}, 200);

    (void)state;
    assert_true(out.useless > 0);
}

static void what_is_owed_to_clients_that_have_gone_is_forgotten(void **state)
{
    struct throttle_ease ease;

    (void)state;
    throttle_ease_begin(&ease);
    for (unsigned i = 0; i < 5; i++)
        assert_false(throttle_ease_note(&ease, 10, 10));
    for (unsigned i = 0; i < 300; i++)
        (void)!throttle_ease_note(&ease, 0, 0);
    assert_true(ease.pause == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_that_feel_nothing_are_not_paused_for),
        cmocka_unit_test(no_more_than_one_request_in_a_hundred_is_slow),
        cmocka_unit_test(it_backs_off_at_once_and_begins_slowly),
        cmocka_unit_test(clients_that_are_slow_by_themselves_are_found_out),
        cmocka_unit_test(what_is_owed_to_clients_that_have_gone_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
