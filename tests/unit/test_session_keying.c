/* Keys made by threads: whoever wants the same waits for one making, and nobody for what is given
 * up. */
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "../../proxy/auth/key_work.h"
#include "../../proxy/session/keying.h"
#include "segue/base/clock.h"

#define MANY 500000
#define TRIES 20
#define ENDLESS AUTH_ITERATIONS_MAX
#define SALT ((const uint8_t *)"sixteen bytes ..")
#define WITHIN_MS 60000

/* Two of an iteration: the linker takes this in place of the library's. */
static atomic_uint copied;

int EVP_MD_CTX_copy_ex(EVP_MD_CTX *out, const EVP_MD_CTX *in)
{
    static int (*_Atomic real)(EVP_MD_CTX *, const EVP_MD_CTX *);
    int (*to)(EVP_MD_CTX *, const EVP_MD_CTX *);

    if (!real) {
        *(void **)&to = dlsym(RTLD_NEXT, "EVP_MD_CTX_copy_ex");
        real = to;
    }
    copied++;
    return real(out, in);
}

static struct auth_key_work *work_of(const char *password, uint32_t iterations)
{
    return key_work_new(password, SALT, AUTH_SALT_BYTES, iterations);
}

static atomic_uint told;

static void tell(void *ctx, uint64_t id)
{
    atomic_fetch_or((atomic_uint *)ctx, 1u << id);
}

static void await(unsigned bits)
{
    int64_t until = clock_ms() + WITHIN_MS;

    while ((told & bits) != bits && clock_ms() < until)
        clock_sleep_ms(1);
    assert_int_equal(told & bits, bits);
}

static void await_work(void)
{
    int64_t until = clock_ms() + WITHIN_MS;

    while (!copied && clock_ms() < until)
        clock_sleep_ms(1);
    assert_true(copied > 0);
}

/* What was given up is noticed. */
static void await_nothing(void)
{
    unsigned before;

    do {
        before = copied;
        clock_sleep_ms(20);
    } while (copied != before);
}

static int setup(void **state)
{
    told = copied = 0;
    *state = sess_keying_new();
    return 0;
}

static int teardown(void **state)
{
    sess_keying_free(*state);
    return 0;
}

static struct sess_key_job *ask(void *keying, const char *password, uint32_t iterations,
                                unsigned id)
{
    return sess_keying_ask(keying, work_of(password, iterations), tell, &told, id);
}

static void expect(struct sess_key_job *job, const char *password, uint32_t iterations)
{
    struct keys expected;

    keys_of_password(password, SALT, AUTH_SALT_BYTES, iterations, &expected);
    assert_memory_equal(key_work_keys(sess_keying_result(job)), &expected, sizeof(expected));
}

/* All were asked for while the first was under way: where the machine is busy, not each time. */
static void ask_for_the_same(void *keying, struct sess_key_job **jobs, unsigned n)
{
    for (unsigned tries = 0; tries < TRIES; tries++) {
        told = copied = 0;
        for (unsigned i = 0; i < n; i++)
            jobs[i] = ask(keying, "same", MANY, i);
        await_work();
        if (!sess_keying_result(jobs[0]))
            return;
        for (unsigned i = 0; i < n; i++)
            sess_keying_drop(jobs[i]);
        await_nothing();
    }
    fail_msg("the first was done before the last was asked for, %d times", TRIES);
}

static void who_wants_the_same_waits_for_one_making(void **state)
{
    struct sess_key_job *jobs[10];

    ask_for_the_same(*state, jobs, ARRAY_LEN(jobs));
    await(0x3ff);
    assert_in_range(copied, 2 * MANY, 2 * MANY + 1000);
    for (unsigned i = 0; i < ARRAY_LEN(jobs); i++) {
        expect(jobs[i], "same", MANY);
        sess_keying_drop(jobs[i]);
    }
}

static void what_is_given_up_is_gone_on_with_for_who_wants_the_same(void **state)
{
    struct sess_key_job *jobs[2];

    ask_for_the_same(*state, jobs, ARRAY_LEN(jobs));
    sess_keying_drop(jobs[0]);
    await(1u << 1);
    assert_in_range(copied, 2 * MANY, 2 * MANY + 1000);
    expect(jobs[1], "same", MANY);
    sess_keying_drop(jobs[1]);
}

static void what_is_given_up_holds_nobody_up(void **state)
{
    static const char *const passwords[] = {"a", "b", "c", "d", "e"};
    struct sess_key_job *jobs[5], *last;

    for (unsigned i = 0; i < 5; i++)
        jobs[i] = ask(*state, passwords[i], ENDLESS, i);
    last = ask(*state, "last", 10, 5);
    await_work();
    assert_null(sess_keying_result(jobs[0]));
    for (unsigned i = 0; i < 5; i++)
        sess_keying_drop(jobs[4 - i]);
    await(1u << 5);
    assert_true(copied < 2 * ENDLESS);
    assert_int_equal(told, 1u << 5);
    sess_keying_drop(last);
}

static void a_stop_waits_for_nothing_that_is_under_way(void **state)
{
    struct sess_key_job *under_way = ask(*state, "a", ENDLESS, 0);
    struct sess_key_job *same = ask(*state, "a", ENDLESS, 1), *late;

    await_work();
    sess_keying_stop(*state);
    late = ask(*state, "late", 10, 2);
    assert_int_equal(told, 0);
    assert_true(copied < 2 * ENDLESS);
    assert_null(sess_keying_result(under_way));
    assert_null(sess_keying_result(late));
    sess_keying_drop(under_way);
    sess_keying_drop(same);
    sess_keying_drop(late);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_wants_the_same_waits_for_one_making, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_given_up_is_gone_on_with_for_who_wants_the_same,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_given_up_holds_nobody_up, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stop_waits_for_nothing_that_is_under_way, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
