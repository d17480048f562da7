#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tls_bed.h"

/* The handshake of a client that expects `host` with a server of this certificate. */
static void meet(const char *cn, const char *names, const char *host, struct pair *p)
{
    struct maker m = maker_new(cn, &ca, names, 0);
    struct net_tls_accept_options a = accept_options();
    struct net_tls_connect_options c = connect_options();
    char cert[FILE_NAME], key[FILE_NAME];

    file_cert("met.crt", &m, cert);
    file_key("met.key", &m, 0600, NULL, key);
    a.cert_file = cert;
    a.key_file = key;
    *p = (struct pair){.accepts = accepts(&a, NULL), .connects = connects(&c)};
    begin(p, host);
    maker_free(&m);
}

static void a_server_is_known_by_the_names_that_libpq_takes(void **state)
{
    static const struct {
        const char *cn, *names, *host;
        bool known;
    } rows[] = {
        {"", "DNS:db.example", "db.example", true},
        {"", "DNS:db.example", "DB.Example", true},
        {"", "DNS:db.example", "x.db.example", false},
        {"db.example", NULL, "db.example", true},
        {"db.example", "DNS:other.example", "db.example", false}, /* a name makes the CN void */
        {"db.example", "IP:10.0.0.1", "db.example", true},        /* an address does not */
        {"", "DNS:*.eu.example", "ep-1.eu.example", true},
        {"", "DNS:*.eu.example", "a.b.eu.example", false},
        {"", "DNS:*.eu.example", "eu.example", false},
        {"", "DNS:*.eu.example", ".eu.example", false},
        {"", "DNS:ep*.eu.example", "ep-1.eu.example", false},
        {"*.eu.example", NULL, "ep-1.eu.example", true},
        {"", "IP:127.0.0.1", "127.0.0.1", true},
        {"", "IP:127.0.0.1", "127.0.0.2", false},
        {"", "IP:::1", "::1", true},
        {"", "IP:::1", "0:0:0:0:0:0:0:1", true},
        {"127.0.0.1", "IP:127.0.0.2", "127.0.0.1", false},
        {"127.0.0.1", "DNS:other.example", "127.0.0.1", true},
        {"", NULL, "db.example", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pair p;

        meet(rows[i].cn, rows[i].names, rows[i].host, &p);
        if ((p.c_rc == RC_OK) != rows[i].known)
            fail_msg("row %zu: %s", i, p.c_err.text);
        pair_fini(&p);
    }
}

static void a_name_that_does_not_match_is_said(void **state)
{
    struct pair p;

    (void)state;
    pair_init(&p);
    begin(&p, "db.example");
    assert_int_equal(p.c_rc, RC_ERR);
    assert_string_equal(p.c_err.sqlstate, "08006");
    assert_string_equal(p.c_err.text, "server certificate for \"localhost\" (and 2 other names) "
                                      "does not match host name \"db.example\"");
    pair_fini(&p);
}

static void a_name_with_a_nul_matches_nothing(void **state)
{
    static const unsigned char name[] = "db.example\0.evil.example";
    struct maker m = maker_new("", &ca, NULL, 0);
    struct net_tls_accept_options a = accept_options();
    struct net_tls_connect_options c = connect_options();
    struct pair p;
    char cert[FILE_NAME], key[FILE_NAME];

    (void)state;
    X509_NAME_add_entry_by_txt(X509_get_subject_name(m.cert), "CN", MBSTRING_ASC, name,
                               sizeof(name) - 1, -1, 0);
    assert_true(X509_sign(m.cert, ca.key, EVP_sha256()) > 0);
    file_cert("nul.crt", &m, cert);
    file_key("nul.key", &m, 0600, NULL, key);
    a.cert_file = cert;
    a.key_file = key;
    p = (struct pair){.accepts = accepts(&a, NULL), .connects = connects(&c)};
    begin(&p, "db.example");
    assert_int_equal(p.c_rc, RC_ERR);
    pair_fini(&p);
    maker_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_is_known_by_the_names_that_libpq_takes),
        cmocka_unit_test(a_name_that_does_not_match_is_said),
        cmocka_unit_test(a_name_with_a_nul_matches_nothing),
    };

    return cmocka_run_group_tests_name("net/tls_name", tests, make_files, drop_files);
}
