#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "segue/base/clock.h"
#include "tls_bed.h"

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
static time_t ahead_s;

/* OpenSSL's clock, too: sessions and certificates age by it. */
time_t time(time_t *out)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec + ahead_s;
    return now.tv_sec + ahead_s;
}

/* What a raw client has of its visits. */
struct visitor {
    int version;
    SSL_SESSION *session; /* of the last one; to be offered in the next */
};

/* Comes, hears something and leaves as it should. True: its session was resumed. */
static bool visit(struct net_tls_context *accepts_by, struct visitor *v)
{
    struct pair p = {.accepts = accepts_by};
    struct raw r = raw_new(&p);
    char bytes[8];
    bool reused;

    SSL_set_min_proto_version(r.ssl, v->version);
    SSL_set_max_proto_version(r.ssl, v->version);
    if (v->session)
        SSL_set_session(r.ssl, v->session);
    assert_int_equal(raw_shake(&r, &p), RC_OK);
    say(&p.a, "hello");
    assert_int_equal(SSL_read(r.ssl, bytes, sizeof(bytes)), 5); /* the ticket came before it */
    reused = SSL_session_reused(r.ssl);
    SSL_SESSION_free(v->session);
    v->session = SSL_get1_session(r.ssl);
    SSL_shutdown(r.ssl);
    raw_free(&r);
    net_close(&p.a);
    return reused;
}

static struct net_tls_context *begins(unsigned ticket_key_s, const struct net_tls_context *before)
{
    struct net_tls_accept_options a = accept_options();

    a.ticket_key_s = ticket_key_s;
    return accepts(&a, before);
}

static void
a_ticket_of_the_key_before_resumes_and_is_renewed_and_an_older_one_begins_anew(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct visitor v = {versions[i], NULL}, late = {versions[i], NULL};
        struct net_tls_context *context = begins(3600, NULL);
        int64_t now = clock_ms();

        assert_false(visit(context, &v));
        assert_false(visit(context, &late));
        net_tls_turn_keys(context, now + 3600 * 1000);
        assert_true(visit(context, &v));
        net_tls_turn_keys(context, now + 2 * 3600 * 1000);
        assert_true(visit(context, &v)); /* with what it was given on the last visit */
        assert_false(visit(context, &late));
        assert_true(visit(context, &late));
        SSL_SESSION_free(v.session);
        SSL_SESSION_free(late.session);
        net_tls_unref(context);
    }
}

/* A ticket that is used twice lets others see that both were one client. */
static void with_tls_1_3_each_visit_gives_a_new_ticket_and_with_1_2_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct visitor v = {versions[i], NULL};
        struct net_tls_context *context = begins(3600, NULL);
        const unsigned char *first, *second;
        size_t nfirst, nsecond;
        SSL_SESSION *before;

        assert_false(visit(context, &v));
        before = v.session;
        SSL_SESSION_up_ref(before);
        assert_true(visit(context, &v));
        SSL_SESSION_get0_ticket(before, &first, &nfirst);
        SSL_SESSION_get0_ticket(v.session, &second, &nsecond);
        assert_true(nfirst > 0 && nsecond > 0);
        assert_int_equal(nfirst == nsecond && memcmp(first, second, nfirst) == 0,
                         versions[i] == TLS1_2_VERSION);
        SSL_SESSION_free(before);
        SSL_SESSION_free(v.session);
        net_tls_unref(context);
    }
}

static void with_a_period_of_zero_there_are_no_tickets(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct visitor v = {versions[i], NULL};
        struct net_tls_context *context = begins(0, NULL);

        assert_false(visit(context, &v));
        assert_false(SSL_SESSION_has_ticket(v.session));
        net_tls_turn_keys(context, clock_ms());
        assert_false(visit(context, &v));
        SSL_SESSION_free(v.session);
        net_tls_unref(context);
    }
}

static void a_reload_keeps_the_keys_unless_their_period_is_another(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct visitor v = {versions[i], NULL};
        struct net_tls_context *old = begins(3600, NULL), *same = begins(3600, old),
                               *other = begins(60, same), *none = begins(0, same),
                               *back = begins(3600, none);

        assert_false(visit(old, &v));
        net_tls_turn_keys(same, clock_ms() + 3600 * 1000);
        assert_true(visit(same, &v));
        assert_true(visit(old, &v)); /* one and the same keys */
        assert_false(visit(other, &v));
        assert_true(visit(other, &v));
        assert_false(visit(none, &v));
        assert_false(visit(back, &v));
        assert_true(visit(back, &v));
        SSL_SESSION_free(v.session);
        net_tls_unref(old);
        net_tls_unref(same);
        net_tls_unref(other);
        net_tls_unref(none);
        net_tls_unref(back);
    }
}

/* ---- certificates that end while their sessions are resumed ---- */

/* A certificate of 50 minutes; with TLS 1.3 each resumption gives a session that is young again. */
static struct maker brief(const char *cn, const char *names, char cert[FILE_NAME],
                          char key[FILE_NAME])
{
    struct maker m = maker_new(cn, &ca, names, 3000);

    file_cert("brief.crt", &m, cert);
    file_key("brief.key", &m, 0600, NULL, key);
    return m;
}

/* The session is resumed while the certificate lasts, and then the handshake fails. */
static void lasts_as_long_as_its_certificate(struct pair *p)
{
    assert_false(resumes(p, "localhost"));
    ahead_s = 2900;
    assert_true(resumes(p, "localhost"));
    ahead_s = 3100;
    begin(p, "localhost");
    ahead_s = 0;
}

static void a_client_does_not_resume_with_a_certificate_that_has_ended(void **state)
{
    struct net_tls_accept_options a = accept_options();
    struct net_tls_connect_options c = connect_options();
    char cert[FILE_NAME], key[FILE_NAME];
    struct maker m = brief("app", NULL, cert, key);
    struct pair p = {0};

    (void)state;
    a.ca_file = ca_file;
    c.cert_file = cert;
    c.key_file = key;
    p.accepts = accepts(&a, NULL);
    p.connects = connects(&c);
    lasts_as_long_as_its_certificate(&p);
    assert_int_equal(p.a_rc, RC_ERR);
    assert_string_equal(p.a_err.text,
                        "the client's certificate was refused: certificate has expired");
    pair_fini(&p);
    maker_free(&m);
}

static void a_server_is_not_resumed_with_a_certificate_that_has_ended(void **state)
{
    struct net_tls_accept_options a = accept_options();
    struct net_tls_connect_options c = connect_options();
    char cert[FILE_NAME], key[FILE_NAME];
    struct maker m = brief("localhost", "DNS:localhost", cert, key);
    struct pair p = {0};

    (void)state;
    a.cert_file = cert;
    a.key_file = key;
    p.accepts = accepts(&a, NULL);
    p.connects = connects(&c);
    lasts_as_long_as_its_certificate(&p);
    assert_int_equal(p.c_rc, RC_ERR);
    assert_string_equal(p.c_err.text,
                        "certificate verify failed: certificate has expired (host \"localhost\")");
    pair_fini(&p);
    maker_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_ticket_of_the_key_before_resumes_and_is_renewed_and_an_older_one_begins_anew),
        cmocka_unit_test(with_tls_1_3_each_visit_gives_a_new_ticket_and_with_1_2_none),
        cmocka_unit_test(with_a_period_of_zero_there_are_no_tickets),
        cmocka_unit_test(a_reload_keeps_the_keys_unless_their_period_is_another),
        cmocka_unit_test(a_client_does_not_resume_with_a_certificate_that_has_ended),
        cmocka_unit_test(a_server_is_not_resumed_with_a_certificate_that_has_ended),
    };

    return cmocka_run_group_tests_name("net/tls_ticket", tests, make_files, drop_files);
}
