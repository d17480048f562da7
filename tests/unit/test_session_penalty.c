#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "../../proxy/session/penalty.h"
#include "segue/base/mem.h"

#define BASE_US 100000

static struct net_address v4(const char *text)
{
    struct net_address out = {.len = sizeof(struct sockaddr_in)};
    struct sockaddr_in *in = (struct sockaddr_in *)&out.sa;

    in->sin_family = AF_INET;
    inet_pton(AF_INET, text, &in->sin_addr);
    return out;
}

static struct net_address v6(const char *text)
{
    struct net_address out = {.len = sizeof(struct sockaddr_in6)};
    struct sockaddr_in6 *in = (struct sockaddr_in6 *)&out.sa;

    in->sin6_family = AF_INET6;
    inet_pton(AF_INET6, text, &in->sin6_addr);
    return out;
}

static struct sess_penalties table;

static int setup(void **state)
{
    (void)state;
    memset(&table, 0, sizeof(table));
    return 0;
}

static void delay_doubles_up_to_the_cap(void **state)
{
    struct net_address a = v4("10.0.0.1");
    int64_t want = BASE_US;

    (void)state;
    for (int i = 0; i < 40; i++) {
        assert_int_equal(sess_penalty(&table, &a, BASE_US, 1000), want);
        want = want * 2 < SESS_PENALTY_US_MAX ? want * 2 : SESS_PENALTY_US_MAX;
    }
}

static void sources_do_not_pay_for_each_other(void **state)
{
    struct net_address a = v4("10.0.0.1"), b = v4("10.0.0.2");

    (void)state;
    sess_penalty(&table, &a, BASE_US, 0);
    sess_penalty(&table, &a, BASE_US, 0);
    assert_int_equal(sess_penalty(&table, &b, BASE_US, 0), BASE_US);
    assert_int_equal(sess_penalty(&table, &a, BASE_US, 0), 4 * BASE_US);
}

static void quiet_time_forgets_failures_one_by_one(void **state)
{
    struct net_address a = v4("10.0.0.1");

    (void)state;
    for (int i = 0; i < 4; i++)
        sess_penalty(&table, &a, BASE_US, 0);
    assert_int_equal(sess_penalty(&table, &a, BASE_US, 2 * SESS_PENALTY_FORGET_US), 4 * BASE_US);
    assert_int_equal(sess_penalty(&table, &a, BASE_US, 100 * SESS_PENALTY_FORGET_US), BASE_US);
}

static void an_ipv6_network_is_one_source_and_mapped_ipv4_is_ipv4(void **state)
{
    struct net_address a = v6("2001:db8:1:2::1"), b = v6("2001:db8:1:2:ffff::9"),
                       other = v6("2001:db8:1:3::1"), mapped = v6("::ffff:10.0.0.1"),
                       plain = v4("10.0.0.1");

    (void)state;
    sess_penalty(&table, &a, BASE_US, 0);
    assert_int_equal(sess_penalty(&table, &b, BASE_US, 0), 2 * BASE_US);
    assert_int_equal(sess_penalty(&table, &other, BASE_US, 0), BASE_US);
    sess_penalty(&table, &mapped, BASE_US, 0);
    assert_int_equal(sess_penalty(&table, &plain, BASE_US, 0), 2 * BASE_US);
}

static void without_a_base_there_is_no_delay(void **state)
{
    struct net_address a = v4("10.0.0.1");

    (void)state;
    for (int i = 0; i < 10; i++)
        assert_int_equal(sess_penalty(&table, &a, 0, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(delay_doubles_up_to_the_cap, setup),
        cmocka_unit_test_setup(sources_do_not_pay_for_each_other, setup),
        cmocka_unit_test_setup(quiet_time_forgets_failures_one_by_one, setup),
        cmocka_unit_test_setup(an_ipv6_network_is_one_source_and_mapped_ipv4_is_ipv4, setup),
        cmocka_unit_test_setup(without_a_base_there_is_no_delay, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
