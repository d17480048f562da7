#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "segue/net/address.h"
#include "segue/net/unix.h"

static void listen_addresses_are_parsed(void **state)
{
    static const struct {
        const char *text, *shown, *host;
        bool loopback;
    } rows[] = {
        {"127.0.0.1:6432", "127.0.0.1:6432", "127.0.0.1", true},
        {"[::1]:6432", "[::1]:6432", "::1", true},
        {"0.0.0.0:1", "0.0.0.0:1", "0.0.0.0", false},
        {"10.1.2.3:5432", "10.1.2.3:5432", "10.1.2.3", false},
        {"[::ffff:127.0.0.1]:5", "[::ffff:127.0.0.1]:5", "::ffff:127.0.0.1", true},
        {"/run/x:6432", "/run/x/.s.PGSQL.6432", "local", true},
        {"[fe80::1%lo]:5", "[fe80::1%lo]:5", "fe80::1", false},
        {"[fe80::1%4000000]:5", "[fe80::1%4000000]:5", "fe80::1", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct net_address address;
        struct err err = {0};
        char text[NET_ADDRESS_TEXT];

        assert_int_equal(net_listen_parse(rows[i].text, &address, &err), RC_OK);
        net_address_text(&address, text);
        assert_string_equal(text, rows[i].shown);
        net_address_host(&address, text);
        assert_string_equal(text, rows[i].host);
        assert_int_equal(net_address_is_loopback(&address), rows[i].loopback);
    }
}

static void a_link_local_address_is_another_one_on_another_link(void **state)
{
    struct net_address one, same, other;
    struct err err = {0};

    (void)state;
    assert_int_equal(net_listen_parse("[fe80::1%lo]:5", &one, &err), RC_OK);
    assert_int_equal(net_listen_parse("[fe80::1%1]:5", &same, &err), RC_OK);
    assert_int_equal(net_listen_parse("[fe80::1%4000000]:5", &other, &err), RC_OK);
    assert_true(net_address_same(&one, &same));
    assert_false(net_address_same(&one, &other));
}

static void directories_and_any_address_are_parsed(void **state)
{
    struct net_address address;
    struct err err = {0};
    char text[NET_ADDRESS_TEXT];

    (void)state;
    assert_int_equal(net_listen_parse("/run/x//:6432", &address, &err), RC_OK);
    net_address_text(&address, text);
    assert_string_equal(text, "/run/x/.s.PGSQL.6432");
    assert_true(net_address_is_loopback(&address));
    assert_int_equal(net_listen_parse("*:6432", &address, &err), RC_OK);
    assert_true(address.dual || address.sa.ss_family == AF_INET);
    assert_false(net_address_is_loopback(&address));
}

static void mapped_addresses_become_those_of_ipv4(void **state)
{
    struct net_address address;
    struct err err = {0};
    char text[NET_ADDRESS_TEXT];

    (void)state;
    assert_int_equal(net_listen_parse("[::ffff:10.1.2.3]:5", &address, &err), RC_OK);
    net_address_unmap(&address);
    net_address_text(&address, text);
    assert_string_equal(text, "10.1.2.3:5");
    assert_int_equal(net_listen_parse("[::1]:5", &address, &err), RC_OK);
    net_address_unmap(&address);
    assert_int_equal(address.sa.ss_family, AF_INET6);
}

static void malformed_listen_addresses_are_refused(void **state)
{
    static const char *const rows[] = {
        "127.0.0.1", "127.0.0.1:", "[::1]",  "[::1:5", "host:port",  "127.0.0.1:x",
        "/tmp",      "/tmp:",      "/tmp:0", "/tmp:x", "/tmp:65536", "/tmp:1x"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct net_address address;
        struct err err = {0};

        assert_int_equal(net_listen_parse(rows[i], &address, &err), RC_ERR);
        assert_string_equal(err.sqlstate, "22023");
    }
}

static void two_listeners_share_a_port_that_was_picked(void **state)
{
    struct net_address address;
    struct err err = {0};
    char text[NET_ADDRESS_TEXT];
    int one, two;

    (void)state;
    assert_int_equal(net_listen_parse("127.0.0.1:0", &address, &err), RC_OK);
    one = net_listen_open(&address, 0777, &err);
    assert_true(one >= 0);
    net_address_text(&address, text);
    assert_string_not_equal(text, "127.0.0.1:0");
    two = net_listen_open(&address, 0777, &err);
    assert_true(two >= 0);
    close(one);
    close(two);
}

static int connects(const struct net_address *address)
{
    int fd = socket(address->sa.ss_family, SOCK_STREAM, 0);
    int rc = connect(fd, (const struct sockaddr *)&address->sa, address->len);

    close(fd);
    return rc;
}

static void clients_get_in_only_when_a_socket_listens(void **state)
{
    struct net_address address;
    struct err err = {0};
    int fd;

    (void)state;
    assert_int_equal(net_listen_parse("127.0.0.1:0", &address, &err), RC_OK);
    fd = net_listen_open(&address, 0777, &err);
    assert_int_equal(connects(&address), -1);
    assert_int_equal(net_listen_start(fd, &address, &err), RC_OK);
    assert_int_equal(connects(&address), 0);
    close(fd);
}

static void only_listening_sockets_are_adopted(void **state)
{
    struct net_address address, told, other;
    struct err err = {0};
    int fd, pipes[2];

    (void)state;
    assert_int_equal(net_listen_parse("127.0.0.1:0", &address, &err), RC_OK);
    assert_int_equal(net_listen_parse("127.0.0.1:1", &other, &err), RC_OK);
    fd = net_listen_open(&address, 0777, &err);
    assert_int_equal(net_listen_adopt(fd, &told, &err), RC_ERR);
    assert_string_equal(err.sqlstate, "08P01");
    assert_int_equal(net_listen_start(fd, &address, &err), RC_OK);
    assert_int_equal(net_listen_adopt(fd, &told, &err), RC_OK);
    assert_true(net_address_same(&told, &address));
    assert_false(net_address_same(&told, &other));
    close(fd);
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(net_listen_adopt(pipes[0], &told, &err), RC_ERR);
    close(pipes[0]);
    close(pipes[1]);
}

static void literals_and_sockets_need_no_resolving(void **state)
{
    static const struct {
        const char *host, *shown;
    } rows[] = {
        {"127.0.0.1", "127.0.0.1:5432"},
        {"::1", "[::1]:5432"},
        {"/run/postgresql", "/run/postgresql/.s.PGSQL.5432"},
        {"@x", "unix (abstract)"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct net_address found[NET_ADDRESSES_MAX];
        struct err err = {0};
        struct net_resolver *r = net_resolver_new(rows[i].host, "5432", &err);
        char text[NET_ADDRESS_TEXT];

        assert_non_null(r);
        assert_int_equal(net_resolver_get(r, found), 1);
        net_address_text(&found[0], text);
        assert_string_equal(text, rows[i].shown);
        net_resolver_free(r);
    }
}

static void names_are_resolved_by_a_thread_that_ends_when_asked(void **state)
{
    struct net_address found[NET_ADDRESSES_MAX];
    struct err err = {0};
    struct net_resolver *r = net_resolver_new("localhost", "5432", &err);

    (void)state;
    assert_non_null(r);
    assert_true(net_resolver_get(r, found) >= 1);
    assert_true(net_address_is_loopback(&found[0]));
    net_resolver_failed(r);
    net_resolver_free(r);
}

/* Cleaners of /tmp go by it. */
static void socket_and_lock_file_are_as_young_as_they_were_touched(void **state)
{
    static const struct timespec old[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    char folder[] = "/tmp/segue-unit-XXXXXX", text[64], paths[2][80];
    struct net_address address;
    struct err err = {0};
    struct stat st;
    int fd;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(text, sizeof(text), "%s:6432", folder);
    assert_int_equal(net_listen_parse(text, &address, &err), RC_OK);
    fd = net_listen_open(&address, 0700, &err);
    assert_true(fd >= 0);
    for (int i = 0; i < 2; i++) {
        snprintf(paths[i], sizeof(paths[i]), "%s/.s.PGSQL.6432%s", folder, i ? ".lock" : "");
        assert_int_equal(utimensat(AT_FDCWD, paths[i], old, 0), 0);
    }
    net_unix_touch(&address);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(stat(paths[i], &st), 0);
        assert_true(st.st_mtim.tv_sec > 1 && st.st_atim.tv_sec > 1);
    }
    net_unix_release(&address);
    close(fd);
    assert_int_equal(rmdir(folder), 0);
}

static void socket_paths_that_do_not_fit_are_refused(void **state)
{
    char path[200];
    struct err err = {0};

    (void)state;
    memset(path, 'x', sizeof(path) - 1);
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    assert_null(net_resolver_new(path, "5432", &err));
    assert_string_equal(err.sqlstate, "22023");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listen_addresses_are_parsed),
        cmocka_unit_test(a_link_local_address_is_another_one_on_another_link),
        cmocka_unit_test(directories_and_any_address_are_parsed),
        cmocka_unit_test(mapped_addresses_become_those_of_ipv4),
        cmocka_unit_test(malformed_listen_addresses_are_refused),
        cmocka_unit_test(two_listeners_share_a_port_that_was_picked),
        cmocka_unit_test(clients_get_in_only_when_a_socket_listens),
        cmocka_unit_test(only_listening_sockets_are_adopted),
        cmocka_unit_test(literals_and_sockets_need_no_resolving),
        cmocka_unit_test(names_are_resolved_by_a_thread_that_ends_when_asked),
        cmocka_unit_test(socket_and_lock_file_are_as_young_as_they_were_touched),
        cmocka_unit_test(socket_paths_that_do_not_fit_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
