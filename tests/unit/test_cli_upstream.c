#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <libpq-fe.h>

#include "segue/cli/upstream.h"

#define HERE __FILE__ /* some file that can be read */

static void parse(const char *text, struct cfg_upstream *up)
{
    struct err err = {0};

    *up = (struct cfg_upstream){0};
    if (cfg_upstream_parse(text, up, &err) != RC_OK)
        fail_msg("%s: %s", text, err.text);
}

static void hosts_addresses_and_ports_go_together(void **state)
{
    static const struct {
        const char *text;
        size_t n;
        const char *names[3], *addrs[3], *ports[3];
    } rows[] = {
        {"postgresql://h/d", 1, {"h"}, {NULL}, {"5432"}},
        {"postgresql://a,b:2/d", 2, {"a", "b"}, {NULL}, {"5432", "2"}},
        {"host=a,b,c port=7", 3, {"a", "b", "c"}, {NULL}, {"7", "7", "7"}},
        {"host=a,b port=1,", 2, {"a", "b"}, {NULL}, {"1", "5432"}},
        {"hostaddr=10.0.0.1,::1", 2, {"10.0.0.1", "::1"}, {"10.0.0.1", "::1"}, {"5432", "5432"}},
        {"host=a,b hostaddr=10.0.0.1,", 2, {"a", "b"}, {"10.0.0.1", NULL}, {"5432", "5432"}},
        {"postgresql:///d", 1, {"/var/run/postgresql"}, {NULL}, {"5432"}},
        {"host=/tmp,b", 2, {"/tmp", "b"}, {NULL}, {"5432", "5432"}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct cfg_upstream up;

        parse(rows[i].text, &up);
        assert_int_equal(up.sessions.nhosts, rows[i].n);
        for (size_t j = 0; j < rows[i].n; j++) {
            const struct sess_host *host = &up.sessions.hosts[j];

            assert_string_equal(host->name, rows[i].names[j]);
            assert_string_equal(host->port, rows[i].ports[j]);
            if (rows[i].addrs[j])
                assert_string_equal(host->addr, rows[i].addrs[j]);
            else
                assert_null(host->addr);
        }
        cfg_upstream_fini(&up);
    }
}

static void defaults_are_those_of_libpq(void **state)
{
    struct cfg_upstream up;

    (void)state;
    parse("postgresql://u@h", &up);
    assert_int_equal(up.sessions.tls, SESS_TLS_PREFER);
    assert_int_equal(up.sessions.target, SESS_TARGET_ANY);
    assert_int_equal(up.sessions.tls_version_min, 0x0303);
    assert_true(up.sessions.sni);
    assert_false(up.sessions.tls_direct);
    assert_false(up.sessions.shuffled);
    assert_false(up.sessions.channel_binding_required);
    assert_null(up.sessions.ca_file);
    assert_null(up.sessions.cert_file);
    assert_string_equal(up.database, "u");
    assert_string_equal(up.sessions.database, "u");
    assert_int_equal(up.connect_timeout_s, 0);
    cfg_upstream_fini(&up);
}

static void a_neon_like_url_gets_the_systems_roots_and_verify_full(void **state)
{
    static const char *const urls[] = {
        "postgresql://u:p@ep-x.eu.aws.neon.tech/d?sslmode=verify-full&channel_binding=require",
        "postgresql://u:p@ep-x.eu.aws.neon.tech/d?sslrootcert=system&channel_binding=require",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        struct cfg_upstream up;

        parse(urls[i], &up);
        assert_int_equal(up.sessions.tls, SESS_TLS_VERIFY_FULL);
        assert_string_equal(up.sessions.ca_file, "system");
        assert_true(up.sessions.channel_binding_required);
        assert_null(up.pooler);
        assert_non_null(strstr(up.engine, "sslmode='verify-full'"));
        assert_non_null(strstr(up.engine, PQlibVersion() < 160000
                                              ? "sslrootcert='/etc/ssl/certs/ca-certificates.crt'"
                                              : "sslrootcert='system'"));
        cfg_upstream_fini(&up);
    }
}

static void a_pooler_is_known_by_its_name(void **state)
{
    struct cfg_upstream up;

    (void)state;
    parse("postgresql://u:p@ep-x-pooler.eu.aws.neon.tech/d", &up);
    assert_string_equal(up.pooler, "ep-x-pooler.eu.aws.neon.tech");
    cfg_upstream_fini(&up);
}

static void words_of_tls_are_understood(void **state)
{
    struct err err = {0};
    struct cfg_upstream up;

    (void)state;
    parse("host=h sslmode=require sslnegotiation=direct sslsni=0 ssl_min_protocol_version=TLSv1.3 "
          "sslrootcert=" HERE " sslcrl=/x/crl sslcert=" HERE " sslkey=/x/key",
          &up);
    assert_int_equal(up.sessions.tls, SESS_TLS_VERIFY_CA); /* require with roots, as libpq */
    assert_true(up.sessions.tls_direct);
    assert_false(up.sessions.sni);
    assert_int_equal(up.sessions.tls_version_min, 0x0304);
    assert_int_equal(up.sessions.tls_version_max, 0x0304);
    assert_string_equal(up.sessions.ca_file, HERE);
    assert_string_equal(up.sessions.crl_file, "/x/crl");
    assert_string_equal(up.sessions.cert_file, HERE);
    assert_string_equal(up.sessions.key_file, "/x/key");
    cfg_upstream_fini(&up);
    parse("host=h ssl_max_protocol_version=TLSv1.2", &up);
    assert_int_equal(up.sessions.tls_version_max, 0x0303);
    assert_non_null(strstr(up.engine, "ssl_max_protocol_version='TLSv1.2'"));
    cfg_upstream_fini(&up);
    up = (struct cfg_upstream){.tls_version_least = 0x0304, .tls_version_most = 0x0304};
    assert_int_equal(cfg_upstream_parse("host=h ssl_min_protocol_version=TLSv1.2", &up, &err),
                     RC_OK);
    assert_non_null(strstr(up.engine, "ssl_min_protocol_version='TLSv1.3'"));
    assert_null(strstr(up.engine, "ssl_max_protocol_version"));
    cfg_upstream_fini(&up);
}

/* The strings that libpq gets are ones that this libpq accepts. */
static void words_of_newer_libpqs_are_kept_from_it(void **state)
{
    static const char url[] =
        "postgresql://u:s%20'\\@a,b:2/d?target_session_attrs=standby&load_balance_hosts=random&"
        "sslnegotiation=postgres&connect_timeout=1&application_name=x&max_protocol_version=3.2";
    struct cfg_upstream up;
    PQconninfoOption *options;
    size_t seen = 0;

    (void)state;
    parse(url, &up);
    assert_true(up.sessions.shuffled);
    assert_int_equal(up.sessions.target, SESS_TARGET_STANDBY);
    assert_int_equal(up.connect_timeout_s, 2);
    options = PQconninfoParse(up.engine, NULL);
    assert_non_null(options);
    for (PQconninfoOption *o = options; o->keyword; o++) {
        static const char *const expected[][2] = {
            {"user", "u"},
            {"password", "s '\\"},
            {"host", "a,b"},
            {"port", "5432,2"},
            {"dbname", "d"},
            {"target_session_attrs", "read-write"},
            {"connect_timeout", "1"},
        };

        for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
            if (strcmp(o->keyword, expected[i][0]) == 0) {
                assert_string_equal(o->val, expected[i][1]);
                seen++;
            }
        }
    }
    assert_int_equal(seen, 7);
    PQconninfoFree(options);
    options = PQconninfoParse(up.sessions.hosts[1].probe, NULL);
    assert_non_null(options);
    for (PQconninfoOption *o = options; o->keyword; o++) {
        if (strcmp(o->keyword, "host") == 0)
            assert_string_equal(o->val, "b");
        if (strcmp(o->keyword, "target_session_attrs") == 0)
            assert_string_equal(o->val, "any");
    }
    PQconninfoFree(options);
    cfg_upstream_fini(&up);
}

static void what_cannot_be_honoured_is_refused_and_says_what_is_allowed(void **state)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"postgresql://u:secret@h?sslmode=sometimes", "sslmode is one of disable, allow, prefer"},
        {"host=h target_session_attrs=master", "target_session_attrs is one of any, read-write"},
        {"host=h ssl_max_protocol_version=TLSv1.1",
         "ssl_max_protocol_version is one of TLSv1.2, TLSv1.3"},
        {"host=h load_balance_hosts=yes", "load_balance_hosts is one of disable, random"},
        {"host=h gssencmode=require", "gssencmode is one of disable, prefer"},
        {"postgresql://u:secret@h?sslmod=require",
         "there is no \"sslmod\" (did you mean \"sslmode\"?)"},
        {"postgresql://u:secret@h?pgbouncer=true", "there is no \"pgbouncer\""},
        {"host=h require_auth=scram-sha-256", "require_auth is not given (it cannot"},
        {"host=h service=x", "service is not given (write host"},
        {"host=h sslpassword=secret", "sslpassword is not given"},
        {"host=a,b hostaddr=10.0.0.1", "host and hostaddr are as many"},
        {"host=a,b port=1,2,3", "port is one, or one for each of the 2 hosts"},
        {"host=a,b,c,d,e,f,g,h,i", "at most 8 hosts"},
        {"host=h port=0", "port is a number from 1 to 65535"},
        {"host=h port=65536", "port is a number from 1 to 65535"},
        {"postgresql://u:secret/d", "port is a number from 1 to 65535"},
        {"host=h sslmode=verify-ca", "sslrootcert says who vouches"},
        {"host=h sslmode=verify-ca sslrootcert=/nonexistent", "\"/nonexistent\" cannot"},
        {"host=h sslmode=require sslrootcert=system", "sslmode is verify-full when sslrootcert"},
        {"host=h sslnegotiation=direct", "when sslnegotiation is direct"},
        {"host=h sslmode=disable channel_binding=require", "sslmode is not disable when"},
        {"host=h sslcert=" HERE, "sslkey is given with sslcert"},
        {"host=h connect_timeout=soon", "connect_timeout is a number of seconds"},
    };

    (void)state;
    unsetenv("HOME");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct cfg_upstream up = {0};
        struct err err = {0};

        assert_int_equal(cfg_upstream_parse(rows[i].text, &up, &err), RC_ERR);
        cfg_upstream_fini(&up);
        if (!strstr(err.text, rows[i].says))
            fail_msg("%s: %s", rows[i].text, err.text);
        assert_null(strstr(err.text, "secret"));
    }
}

static void pieces_of_a_password_that_is_not_escaped_are_not_shown(void **state)
{
    static const char *const texts[] = {
        "postgresql://u:s?secret=1@h/d", "password=a secret=b host=h", "postgresql://u:se%cret@h",
        "postgresql://u:secret",         "user=u password=secret x",   "postgresql://u:p/secret@h",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct cfg_upstream up = {0};
        struct err err = {0};

        assert_int_equal(cfg_upstream_parse(texts[i], &up, &err), RC_ERR);
        cfg_upstream_fini(&up);
        assert_null(strstr(err.text, "secret"));
        assert_null(strstr(err.text, "cret"));
    }
}

static int no_environment(void **state)
{
    (void)state;
    unsetenv("PGHOST");
    unsetenv("PGPORT");
    unsetenv("PGSSLMODE");
    unsetenv("SSL_CERT_FILE");
    setenv("HOME", "/nonexistent", 1);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_addresses_and_ports_go_together),
        cmocka_unit_test(defaults_are_those_of_libpq),
        cmocka_unit_test(a_neon_like_url_gets_the_systems_roots_and_verify_full),
        cmocka_unit_test(a_pooler_is_known_by_its_name),
        cmocka_unit_test(words_of_tls_are_understood),
        cmocka_unit_test(words_of_newer_libpqs_are_kept_from_it),
        cmocka_unit_test(what_cannot_be_honoured_is_refused_and_says_what_is_allowed),
        cmocka_unit_test(pieces_of_a_password_that_is_not_escaped_are_not_shown),
    };

    return cmocka_run_group_tests(tests, no_environment, NULL);
}
