#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#include "../../proxy/session/doors.h"

static struct net_address of(const char *text)
{
    struct net_address address = {0};
    struct sockaddr_in *four = (struct sockaddr_in *)&address.sa;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&address.sa;

    if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons((uint16_t)(40000 + text[0]));
        address.len = sizeof(*four);
    } else if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        address.len = sizeof(*six);
    } else {
        address.sa.ss_family = AF_UNIX;
        address.len = sizeof(struct sockaddr_un);
    }
    return address;
}

static bool enter(struct sess_doors *doors, const char *text, unsigned max)
{
    struct net_address address = of(text);

    return sess_doors_enter(doors, &address, max);
}

static void leave(struct sess_doors *doors, const char *text)
{
    struct net_address address = of(text);

    sess_doors_leave(doors, &address);
}

static void an_address_has_so_many_and_no_more(void **state)
{
    struct sess_doors *doors = sess_doors_new();

    (void)state;
    assert_true(enter(doors, "10.0.0.1", 2));
    assert_true(enter(doors, "10.0.0.1", 2));
    assert_false(enter(doors, "10.0.0.1", 2));
    assert_true(enter(doors, "10.0.0.2", 2));
    leave(doors, "10.0.0.1");
    assert_true(enter(doors, "10.0.0.1", 2));
    assert_false(enter(doors, "10.0.0.1", 1));
    assert_true(enter(doors, "10.0.0.1", 3));
    sess_doors_free(doors);
}

static void one_network_of_ipv6_is_one_address(void **state)
{
    struct sess_doors *doors = sess_doors_new();

    (void)state;
    assert_true(enter(doors, "2001:db8:1:2::1", 1));
    assert_false(enter(doors, "2001:db8:1:2:ffff::9", 1));
    assert_true(enter(doors, "2001:db8:1:3::1", 1));
    assert_true(enter(doors, "::1", 1));
    assert_false(enter(doors, "::1", 1));
    assert_int_equal(sess_doors_count(doors), 3);
    sess_doors_free(doors);
}

static void a_mapped_address_is_the_address(void **state)
{
    struct sess_doors *doors = sess_doors_new();

    (void)state;
    assert_true(enter(doors, "192.0.2.7", 1));
    assert_false(enter(doors, "::ffff:192.0.2.7", 1));
    assert_true(enter(doors, "::ffff:192.0.2.8", 1));
    assert_true(enter(doors, "0.0.0.0", 1));
    assert_true(enter(doors, "::", 2));
    sess_doors_free(doors);
}

static void unix_sockets_are_not_counted(void **state)
{
    struct sess_doors *doors = sess_doors_new();

    (void)state;
    for (int i = 0; i < 5; i++)
        assert_true(enter(doors, "unix", 1));
    leave(doors, "unix");
    assert_int_equal(sess_doors_count(doors), 0);
    sess_doors_free(doors);
}

static void the_table_holds_only_who_is_at_the_door(void **state)
{
    struct sess_doors *doors = sess_doors_new();
    char text[32];

    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        for (int i = 0; i < 20000; i++) {
            snprintf(text, sizeof(text), "10.1.%d.%d", i / 250, i % 250);
            assert_true(enter(doors, text, 1));
        }
        assert_int_equal(sess_doors_count(doors), 20000);
        for (int i = 0; i < 20000; i++) {
            snprintf(text, sizeof(text), "10.1.%d.%d", i / 250, i % 250);
            leave(doors, text);
        }
        assert_int_equal(sess_doors_count(doors), 0);
    }
    sess_doors_free(doors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_has_so_many_and_no_more),
        cmocka_unit_test(one_network_of_ipv6_is_one_address),
        cmocka_unit_test(a_mapped_address_is_the_address),
        cmocka_unit_test(unix_sockets_are_not_counted),
        cmocka_unit_test(the_table_holds_only_who_is_at_the_door),
    };

    return cmocka_run_group_tests_name("session/doors", tests, NULL, NULL);
}
