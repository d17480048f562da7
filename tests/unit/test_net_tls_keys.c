#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/net/tls_keys.h"

#define BEGIN_MS 5000
#define PERIOD_MS 100

static struct tls_keys *new_keys(void)
{
    struct tls_keys *keys = tls_keys_new(PERIOD_MS, BEGIN_MS);

    assert_non_null(keys);
    assert_int_equal(tls_keys_period_ms(keys), PERIOD_MS);
    return keys;
}

static struct tls_key made(const struct tls_keys *keys)
{
    struct tls_key key;

    tls_keys_make(keys, &key);
    return key;
}

/* The keys as they are `ms` after their beginning. */
static void at(struct tls_keys *keys, int64_t ms)
{
    tls_keys_turn(keys, BEGIN_MS + ms);
}

static void assert_is(const struct tls_keys *keys, const struct tls_key *key, enum tls_key_is is)
{
    static const struct tls_key nothing;
    struct tls_key found;

    memset(&found, 1, sizeof(found));
    assert_int_equal(tls_keys_find(keys, key->name, &found), is);
    assert_memory_equal(&found, is == TLS_KEY_UNKNOWN ? &nothing : key, sizeof(found));
}

static void a_key_makes_tickets_for_one_period_and_is_taken_for_the_next(void **state)
{
    struct tls_keys *keys = new_keys();
    struct tls_key a = made(keys), b;

    (void)state;
    at(keys, PERIOD_MS - 1);
    assert_is(keys, &a, TLS_KEY_CURRENT);
    at(keys, PERIOD_MS);
    assert_is(keys, &a, TLS_KEY_PREVIOUS);
    b = made(keys);
    assert_memory_not_equal(&a.name, &b.name, sizeof(a.name));
    assert_memory_not_equal(&a.cipher, &b.cipher, sizeof(a.cipher));
    assert_memory_not_equal(&a.mac, &b.mac, sizeof(a.mac));
    assert_is(keys, &b, TLS_KEY_CURRENT);
    at(keys, 2 * PERIOD_MS - 1);
    assert_is(keys, &a, TLS_KEY_PREVIOUS);
    at(keys, 2 * PERIOD_MS);
    assert_is(keys, &a, TLS_KEY_UNKNOWN);
    assert_is(keys, &b, TLS_KEY_PREVIOUS);
    tls_keys_unref(keys);
}

static void a_turn_that_comes_late_counts_from_when_it_was_due(void **state)
{
    struct tls_keys *keys = new_keys();
    struct tls_key a = made(keys);

    (void)state;
    at(keys, PERIOD_MS + PERIOD_MS / 2);
    assert_is(keys, &a, TLS_KEY_PREVIOUS);
    at(keys, 2 * PERIOD_MS - 1);
    assert_is(keys, &a, TLS_KEY_PREVIOUS);
    at(keys, 2 * PERIOD_MS);
    assert_is(keys, &a, TLS_KEY_UNKNOWN);
    tls_keys_unref(keys);
}

static void a_key_that_has_slept_through_its_time_is_not_taken(void **state)
{
    struct tls_keys *keys = new_keys();
    struct tls_key a = made(keys), b;

    (void)state;
    at(keys, 7 * PERIOD_MS + 1);
    assert_is(keys, &a, TLS_KEY_UNKNOWN);
    b = made(keys);
    at(keys, 8 * PERIOD_MS - 1);
    assert_is(keys, &b, TLS_KEY_CURRENT);
    at(keys, 8 * PERIOD_MS);
    assert_is(keys, &b, TLS_KEY_PREVIOUS);
    tls_keys_unref(keys);
}

static void keys_of_another_process_are_unknown(void **state)
{
    struct tls_keys *mine = new_keys(), *others = new_keys();
    struct tls_key key = made(others);

    (void)state;
    assert_is(mine, &key, TLS_KEY_UNKNOWN);
    tls_keys_unref(others);
    tls_keys_unref(mine);
}

static void keys_live_as_long_as_somebody_has_them(void **state)
{
    struct tls_keys *keys = new_keys(), *again = tls_keys_ref(keys);
    struct tls_key key = made(keys);

    (void)state;
    tls_keys_unref(keys);
    assert_is(again, &key, TLS_KEY_CURRENT);
    tls_keys_unref(again);
    tls_keys_unref(NULL);
}

/* ---- readers beside the one who turns ---- */

struct reading {
    struct tls_keys *keys;
    atomic_bool end;
    atomic_uint torn, found;
};

static void *read_on(void *arg)
{
    struct reading *r = arg;

    while (!atomic_load(&r->end)) {
        struct tls_key key = made(r->keys), found;

        if (tls_keys_find(r->keys, key.name, &found) == TLS_KEY_UNKNOWN)
            continue;
        atomic_fetch_add(&r->found, 1);
        if (memcmp(&key, &found, sizeof(key)) != 0)
            atomic_fetch_add(&r->torn, 1);
    }
    return NULL;
}

static void readers_meet_whole_keys_while_they_are_turned(void **state)
{
    struct reading r = {.keys = new_keys()};
    pthread_t readers[3];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(readers); i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_on, &r), 0);
    for (int turn = 1; turn <= 20000 || atomic_load(&r.found) == 0; turn++)
        at(r.keys, (int64_t)turn * PERIOD_MS);
    atomic_store(&r.end, true);
    for (size_t i = 0; i < ARRAY_LEN(readers); i++)
        pthread_join(readers[i], NULL);
    assert_int_equal(r.torn, 0);
    tls_keys_unref(r.keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_makes_tickets_for_one_period_and_is_taken_for_the_next),
        cmocka_unit_test(a_turn_that_comes_late_counts_from_when_it_was_due),
        cmocka_unit_test(a_key_that_has_slept_through_its_time_is_not_taken),
        cmocka_unit_test(keys_of_another_process_are_unknown),
        cmocka_unit_test(keys_live_as_long_as_somebody_has_them),
        cmocka_unit_test(readers_meet_whole_keys_while_they_are_turned),
    };

    return cmocka_run_group_tests_name("net/tls_keys", tests, NULL, NULL);
}
