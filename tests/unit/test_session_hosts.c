/* Which hosts a new session may try, by what they are. The roles are the test's: what a real server
 * says of itself is asked in tests/integration/test_upstream_failover.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/session/hosts.h"
#include "segue/base/clock.h"
#include "segue/base/log.h"

/* `how` is the role's first letter: a(way), u(nknown), w(riteable), r(ead-only), s(tandby); '.'
 * does not answer until it is stopped, and '/' is another one each time. */
static enum sess_role probe(const char *how, unsigned timeout_ms, const atomic_bool *stop,
                            struct err *err)
{
    static atomic_uint asked;

    (void)timeout_ms;
    if (*how == '/')
        return atomic_fetch_add(&asked, 1) % 2 ? SESS_ROLE_READ_WRITE : SESS_ROLE_STANDBY;
    while (*how == '.' && !atomic_load(stop))
        clock_sleep_ms(1);
    if (*how == 'a' || *how == 'u')
        err_set(err, "08006", "as told");
    return *how == 'w'   ? SESS_ROLE_READ_WRITE
           : *how == 'r' ? SESS_ROLE_READ_ONLY
           : *how == 's' ? SESS_ROLE_STANDBY
           : *how == 'u' ? SESS_ROLE_UNKNOWN
                         : SESS_ROLE_AWAY;
}

/* One host a letter. */
static void options_of(const char *letters, enum sess_target target,
                       struct sess_upstream_options *out)
{
    *out = (struct sess_upstream_options){.target = target, .probe = probe};
    for (; *letters; letters++)
        out->hosts[out->nhosts++] =
            (struct sess_host){.name = "127.0.0.1", .port = "1", .probe = letters};
}

/* Until every host but those that do not answer has been asked. */
static void wait_asked(struct sess_hosts *hosts, const char *letters)
{
    for (int i = 0; i < 5000; i++) {
        struct buf said = {0};
        size_t unasked = 0, silent = 0;
        uint8_t order[SESS_HOSTS_MAX];

        sess_hosts_order(hosts, order);
        sess_hosts_say(hosts, &said);
        for (const char *p = said.data; (p = strstr(p, "not asked")) != NULL; p++)
            unasked++;
        buf_fini(&said);
        for (const char *p = letters; *p; p++)
            silent += *p == '.';
        if (unasked == silent)
            return;
        clock_sleep_ms(1);
    }
    fail_msg("the hosts were not asked");
}

static void the_order_follows_target_and_roles(void **state)
{
    static const struct {
        const char *letters;
        enum sess_target target;
        const char *order;
    } rows[] = {
        {"was", SESS_TARGET_ANY, "012"},
        {"swr", SESS_TARGET_READ_WRITE, "1"},
        {"swr", SESS_TARGET_PRIMARY, "12"},
        {"swr", SESS_TARGET_READ_ONLY, "02"},
        {"swrs", SESS_TARGET_STANDBY, "03"},
        {"wsrs", SESS_TARGET_PREFER_STANDBY, "1302"},
        {"wr", SESS_TARGET_PREFER_STANDBY, "01"},
        {"uaw", SESS_TARGET_READ_WRITE, "20"}, /* unknown last */
        {"uss", SESS_TARGET_READ_WRITE, "0"},
        {"aa", SESS_TARGET_READ_WRITE, ""},
        {".w", SESS_TARGET_READ_WRITE, "1"},
        {".u", SESS_TARGET_READ_WRITE, ""}, /* the first may be the one */
        {".w", SESS_TARGET_PREFER_STANDBY, ""},
        {".s", SESS_TARGET_PREFER_STANDBY, "1"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sess_upstream_options options;
        uint8_t order[SESS_HOSTS_MAX];
        char text[SESS_HOSTS_MAX + 1] = "";
        struct err err = {0};
        struct sess_hosts *hosts;
        size_t n;

        options_of(rows[i].letters, rows[i].target, &options);
        hosts = sess_hosts_new(&options, &err);
        assert_non_null(hosts);
        if (rows[i].target != SESS_TARGET_ANY)
            wait_asked(hosts, rows[i].letters);
        n = sess_hosts_order(hosts, order);
        for (size_t j = 0; j < n; j++)
            text[j] = (char)('0' + order[j]);
        if (strcmp(text, rows[i].order) != 0)
            fail_msg("row %zu: %s, not %s", i, text, rows[i].order);
        sess_hosts_free(hosts);
    }
}

static void a_shuffle_stays_inside_its_group(void **state)
{
    struct sess_upstream_options options;
    struct err err = {0};
    struct sess_hosts *hosts;
    bool first[SESS_HOSTS_MAX] = {0};

    (void)state;
    options_of("wssws", SESS_TARGET_PREFER_STANDBY, &options);
    options.shuffled = true;
    hosts = sess_hosts_new(&options, &err);
    assert_non_null(hosts);
    wait_asked(hosts, "wssws");
    for (int i = 0; i < 200; i++) {
        uint8_t order[SESS_HOSTS_MAX];

        assert_int_equal(sess_hosts_order(hosts, order), 5);
        first[order[0]] = true;
        assert_true(order[3] + order[4] == 3); /* hosts 0 and 3 */
    }
    assert_true(first[1] && first[2] && first[4]);
    assert_false(first[0] || first[3]);
    sess_hosts_free(hosts);
}

/* While its role is read, it may become another one. */
static void no_host_is_in_the_order_twice(void **state)
{
    struct sess_upstream_options options;
    struct err err = {0};
    struct sess_hosts *hosts;
    int64_t until_ms = clock_ms() + 1000;

    (void)state;
    options_of("////////", SESS_TARGET_PREFER_STANDBY, &options);
    assert_int_equal(options.nhosts, SESS_HOSTS_MAX);
    hosts = sess_hosts_new(&options, &err);
    assert_non_null(hosts);
    for (unsigned i = 0; clock_ms() < until_ms; i++) {
        uint8_t order[2 * SESS_HOSTS_MAX];
        bool seen[SESS_HOSTS_MAX] = {0};
        size_t n;

        if (i % 1024 < SESS_HOSTS_MAX) /* it is asked again soon */
            sess_hosts_failed(hosts, i % 1024, "as told");
        n = sess_hosts_order(hosts, order);
        assert_true(n <= SESS_HOSTS_MAX);
        for (size_t j = 0; j < n; j++) {
            assert_false(seen[order[j]]);
            seen[order[j]] = true;
        }
    }
    sess_hosts_free(hosts);
}

static void options_are_copied_deeply(void **state)
{
    struct sess_upstream_options from, to;
    char name[] = "a", file[] = "f";

    (void)state;
    options_of("ww", SESS_TARGET_PRIMARY, &from);
    from.hosts[1].name = name;
    from.ca_file = file;
    sess_upstream_options_copy(&to, &from);
    name[0] = file[0] = 'x';
    assert_string_equal(to.hosts[1].name, "a");
    assert_string_equal(to.ca_file, "f");
    assert_null(to.hosts[1].addr);
    assert_null(to.hosts[2].name);
    sess_upstream_options_fini(&to);
    assert_int_equal(to.nhosts, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_order_follows_target_and_roles),
        cmocka_unit_test(a_shuffle_stays_inside_its_group),
        cmocka_unit_test(no_host_is_in_the_order_twice),
        cmocka_unit_test(options_are_copied_deeply),
    };

    log_level_set(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
