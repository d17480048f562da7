#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tls_bed.h"

/* ---- the handshake ---- */

static void both_sides_agree_and_talk(void **state)
{
    struct pair p;
    struct net_tls_info info;

    (void)state;
    pair_init(&p);
    begin_well(&p, "localhost");
    assert_true(net_stream_is_tls(&p.a));
    net_tls_info(&p.a, &info);
    assert_string_equal(info.version, "TLSv1.3");
    assert_string_equal(info.alpn, "postgresql");
    assert_string_equal(info.sni, "localhost");
    assert_false(info.resumed);
    assert_false(info.peer_cert);
    net_tls_info(&p.c, &info);
    assert_true(info.peer_cert);
    assert_string_equal(info.peer_cn, "localhost");
    say(&p.c, "from the client");
    hear(&p.a, "from the client");
    say(&p.a, "from the server");
    hear(&p.c, "from the server");
    pair_fini(&p);
}

/* ---- client certificates ---- */

static void client_is(struct pair *p, const char *ca_of_clients, const char *crl,
                      const struct net_tls_context *before)
{
    struct net_tls_accept_options a = accept_options();
    struct net_tls_connect_options c = connect_options();

    a.ca_file = ca_of_clients;
    a.crl_file = crl;
    c.cert_file = client_cert;
    c.key_file = client_key;
    p->accepts = accepts(&a, before);
    p->connects = connects(&c);
}

static void a_client_certificate_gives_its_name(void **state)
{
    struct pair p = {0};
    struct net_tls_info info;

    (void)state;
    client_is(&p, ca_file, NULL, NULL);
    begin_well(&p, "localhost");
    net_tls_info(&p.a, &info);
    assert_true(info.peer_cert);
    assert_string_equal(info.peer_cn, "app");
    pair_fini(&p);
}

static void a_client_certificate_of_another_authority_is_refused(void **state)
{
    struct pair p = {0};

    (void)state;
    client_is(&p, other_file, NULL, NULL);
    begin(&p, "localhost");
    assert_int_equal(p.a_rc, RC_ERR);
    assert_string_equal(p.a_err.sqlstate, "08006");
    assert_string_equal(
        p.a_err.text,
        "the client's certificate was refused: self-signed certificate in certificate chain");
    pair_fini(&p);
}

static void a_revoked_client_certificate_is_refused(void **state)
{
    struct pair p = {0};
    char nobody[FILE_NAME], revoked[FILE_NAME];

    (void)state;
    file_crl("nobody.crl", &ca, NULL, nobody);
    file_crl("revoked.crl", &ca, &client, revoked);
    client_is(&p, ca_file, nobody, NULL);
    begin_well(&p, "localhost");
    pair_fini(&p);
    client_is(&p, ca_file, revoked, NULL);
    begin(&p, "localhost");
    assert_int_equal(p.a_rc, RC_ERR);
    assert_string_equal(p.a_err.text, "the client's certificate was refused: certificate revoked");
    pair_fini(&p);
}

/* ---- whom a client trusts ---- */

static void a_server_of_another_authority_is_refused_with_a_hint(void **state)
{
    struct net_tls_accept_options a = accept_options();
    struct net_tls_connect_options c = connect_options();
    struct pair p = {.accepts = accepts(&a, NULL)};

    (void)state;
    c.ca_file = other_file;
    c.verify = NET_TLS_VERIFY_CA;
    p.connects = connects(&c);
    begin(&p, "localhost");
    assert_int_equal(p.c_rc, RC_ERR);
    assert_string_equal(p.c_err.text, "certificate verify failed: unable to get local issuer "
                                      "certificate (host \"localhost\")");
    assert_non_null(strstr(p.c_err.hint, "sslrootcert"));
    assert_int_equal(p.a_rc, RC_ERR); /* an alert tells it */
    assert_non_null(strstr(p.a_err.text, "alert unknown ca"));
    pair_fini(&p);
}

static void verify_ca_takes_any_name_and_none_takes_any_authority(void **state)
{
    struct net_tls_accept_options a = accept_options();
    struct net_tls_connect_options c = connect_options();
    struct pair p = {.accepts = accepts(&a, NULL)};
    struct net_tls_info info;

    (void)state;
    c.verify = NET_TLS_VERIFY_CA;
    p.connects = connects(&c);
    begin_well(&p, "db.example");
    end(&p);
    net_tls_unref(p.connects);
    c.verify = NET_TLS_VERIFY_NONE;
    c.ca_file = NULL;
    p.connects = connects(&c);
    begin_well(&p, "db.example");
    net_tls_info(&p.c, &info);
    assert_false(info.peer_cert); /* given, but nobody looked at it */
    pair_fini(&p);
}

static void the_name_is_sent_unless_it_is_an_address_or_sni_is_off(void **state)
{
    struct net_tls_connect_options c = connect_options();
    struct pair p;
    struct net_tls_info info;

    (void)state;
    pair_init(&p);
    begin_well(&p, "127.0.0.1");
    net_tls_info(&p.a, &info);
    assert_string_equal(info.sni, "");
    end(&p);
    net_tls_unref(p.connects);
    c.no_sni = true;
    p.connects = connects(&c);
    begin_well(&p, "localhost");
    net_tls_info(&p.a, &info);
    assert_string_equal(info.sni, "");
    pair_fini(&p);
}

/* ---- versions and protocols ---- */

static void a_client_with_tls_1_1_is_refused(void **state)
{
    struct pair p;
    struct raw r;

    (void)state;
    pair_init(&p);
    r = raw_new(&p);
    SSL_set_security_level(r.ssl, 0);
    SSL_set_min_proto_version(r.ssl, TLS1_1_VERSION);
    SSL_set_max_proto_version(r.ssl, TLS1_1_VERSION);
    assert_int_equal(raw_shake(&r, &p), RC_ERR);
    assert_string_equal(p.a_err.sqlstate, "08P01");
    assert_non_null(strstr(p.a_err.text, "unsupported protocol"));
    assert_non_null(strstr(p.a_err.hint, "tls_version_min"));
    raw_free(&r);
    pair_fini(&p);
}

static void tls_1_2_is_taken_unless_1_3_is_the_least(void **state)
{
    struct net_tls_accept_options a = accept_options();
    struct pair p;
    struct raw r;
    struct net_tls_info info;

    (void)state;
    pair_init(&p);
    r = raw_new(&p);
    SSL_set_max_proto_version(r.ssl, TLS1_2_VERSION);
    assert_int_equal(raw_shake(&r, &p), RC_OK);
    net_tls_info(&p.a, &info);
    assert_string_equal(info.version, "TLSv1.2");
    raw_free(&r);
    end(&p);
    net_tls_unref(p.accepts);
    a.version_min = 0x0304;
    p.accepts = accepts(&a, NULL);
    r = raw_new(&p);
    SSL_set_max_proto_version(r.ssl, TLS1_2_VERSION);
    assert_int_equal(raw_shake(&r, &p), RC_ERR);
    raw_free(&r);
    pair_fini(&p);
}

static void a_client_that_asks_for_another_protocol_is_refused(void **state)
{
    struct pair p;
    struct raw r;

    (void)state;
    pair_init(&p);
    r = raw_new(&p);
    SSL_set_alpn_protos(r.ssl, (const unsigned char *)"\x02h2", 3);
    assert_int_equal(raw_shake(&r, &p), RC_ERR);
    assert_non_null(strstr(p.a_err.text, "no application protocol"));
    raw_free(&r);
    pair_fini(&p);
}

static void a_client_without_alpn_is_told_apart(void **state)
{
    struct pair p;
    struct raw r;
    struct net_tls_info info;

    (void)state;
    pair_init(&p);
    r = raw_new(&p);
    assert_int_equal(raw_shake(&r, &p), RC_OK);
    net_tls_info(&p.a, &info);
    assert_string_equal(info.alpn, "");
    raw_free(&r);
    pair_fini(&p);
}

static void plain_bytes_in_place_of_a_handshake_are_an_error(void **state)
{
    struct pair p;
    int fd[2];
    bool wants_write;

    (void)state;
    pair_init(&p);
    sockets(fd);
    net_stream_tls_accept(&p.a, fd[0], p.accepts, "GET / HTTP/1.0\r\n\r\n", 18);
    assert_int_equal(net_tls_handshake(&p.a, &wants_write, &p.a_err), RC_ERR);
    assert_string_equal(p.a_err.sqlstate, "08P01");
    close(fd[1]);
    pair_fini(&p);
}

static void a_peer_that_leaves_during_the_handshake_is_named(void **state)
{
    struct pair p;
    int fd[2];
    bool wants_write;

    (void)state;
    pair_init(&p);
    sockets(fd);
    close(fd[1]);
    net_stream_tls_accept(&p.a, fd[0], p.accepts, NULL, 0);
    assert_int_equal(net_tls_handshake(&p.a, &wants_write, &p.a_err), RC_ERR);
    assert_string_equal(p.a_err.text, "the client closed the connection during the TLS handshake");
    assert_string_equal(p.a_err.sqlstate, "08006");
    pair_fini(&p);
}

/* ---- resumption ---- */

static void sessions_are_resumed_by_host_and_over_a_reload(void **state)
{
    struct net_tls_accept_options a = accept_options();
    struct pair p;
    struct net_tls_context *reloaded;

    (void)state;
    pair_init(&p);
    assert_false(resumes(&p, "localhost"));
    assert_true(resumes(&p, "localhost"));
    assert_true(resumes(&p, "localhost"));
    assert_false(resumes(&p, "127.0.0.1")); /* another host's session */
    reloaded = accepts(&a, p.accepts);
    net_tls_unref(p.accepts);
    p.accepts = reloaded;
    assert_true(resumes(&p, "localhost"));
    net_tls_unref(p.accepts);
    p.accepts = accepts(&a, NULL); /* another server: its keys are its own */
    assert_false(resumes(&p, "localhost"));
    pair_fini(&p);
}

static void same_channel(const struct pair *p)
{
    uint8_t a[NET_TLS_HASH_MAX], c[NET_TLS_HASH_MAX];
    size_t len = net_tls_endpoint_hash(&p->a, a);

    assert_true(len > 0);
    assert_int_equal(net_tls_endpoint_hash(&p->c, c), len);
    assert_memory_equal(a, c, len);
}

/* A client binds the channel to the certificate that it has seen, which a resumed handshake does
 * not show again. */
static void a_session_resumed_over_a_reload_is_bound_to_the_certificate_it_began_with(void **state)
{
    static const unsigned versions[] = {0x0303, 0x0304};
    struct maker another = maker_new("localhost", &ca, "DNS:localhost", 0);
    char cert[FILE_NAME], key[FILE_NAME];
    struct net_tls_info info;

    (void)state;
    file_cert("another.crt", &another, cert);
    file_key("another.key", &another, 0600, NULL, key);
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct net_tls_accept_options a = accept_options();
        struct net_tls_context *reloaded;
        struct pair p;

        a.version_max = versions[i];
        pair_init(&p);
        net_tls_unref(p.accepts);
        p.accepts = accepts(&a, NULL);
        assert_false(resumes(&p, "localhost"));
        a.cert_file = cert;
        a.key_file = key;
        reloaded = accepts(&a, p.accepts);
        net_tls_unref(p.accepts);
        p.accepts = reloaded;
        for (int turn = 0; turn < 3; turn++) { /* its ticket is renewed, too */
            begin_well(&p, "localhost");
            net_tls_info(&p.a, &info);
            assert_true(info.resumed);
            same_channel(&p);
            talk_and_end(&p);
        }
        pair_fini(&p);
    }
    maker_free(&another);
}

static void a_revoked_client_does_not_resume_its_session(void **state)
{
    struct pair p = {0};
    struct net_tls_accept_options a = accept_options();
    struct net_tls_context *reloaded;
    char crl[FILE_NAME];

    (void)state;
    client_is(&p, ca_file, NULL, NULL);
    assert_false(resumes(&p, "localhost"));
    assert_true(resumes(&p, "localhost"));
    file_crl("late.crl", &ca, &client, crl);
    a.ca_file = ca_file;
    a.crl_file = crl;
    reloaded = accepts(&a, p.accepts);
    net_tls_unref(p.accepts);
    p.accepts = reloaded;
    begin(&p, "localhost");
    assert_int_equal(p.a_rc, RC_ERR);
    assert_non_null(strstr(p.a_err.text, "revoked"));
    pair_fini(&p);
}

static void only_so_many_hosts_are_remembered(void **state)
{
    struct net_tls_connect_options c = connect_options();
    struct pair p;
    char host[32];

    (void)state;
    pair_init(&p);
    net_tls_unref(p.connects);
    c.verify = NET_TLS_VERIFY_CA;
    p.connects = connects(&c);
    for (int i = 0; i < 20; i++) {
        snprintf(host, sizeof(host), "h%d", i);
        assert_false(resumes(&p, host));
    }
    assert_true(resumes(&p, "h19"));
    assert_true(resumes(&p, "h18"));
    assert_false(resumes(&p, "h0"));
    pair_fini(&p);
}

static void *meet_often(void *arg)
{
    struct pair p = *(struct pair *)arg; /* contexts shared, streams of its own */

    for (int i = 0; i < 40; i++)
        resumes(&p, i % 3 ? "localhost" : "127.0.0.1");
    return NULL;
}

static void threads_share_contexts_and_sessions(void **state)
{
    pthread_t threads[3];
    struct pair p;

    (void)state;
    pair_init(&p);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, meet_often, &p), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    assert_true(resumes(&p, "localhost"));
    pair_fini(&p);
}

/* ---- what is in the files ---- */

static void refused(const struct net_tls_accept_options *options, const char *text)
{
    struct err err = {0};

    assert_null(net_tls_accept_new(options, NULL, &err));
    assert_string_equal(err.sqlstate, "F0000");
    if (!strstr(err.text, text))
        fail_msg("\"%s\" is not in \"%s\"", text, err.text);
}

static void files_that_do_not_fit_are_refused_with_words(void **state)
{
    struct net_tls_accept_options a = accept_options();
    char path[FILE_NAME];

    (void)state;
    file_key("open.key", &server, 0644, NULL, path);
    a.key_file = path;
    refused(&a, "open.key\" has group or world access");
    file_key("group.key", &server, geteuid() == 0 ? 0640 : 0600, NULL, path);
    net_tls_unref(accepts(&a, NULL)); /* root's may be its group's */
    file_key("locked.key", &server, 0600, "secret", path);
    refused(&a, "locked.key\" is encrypted");
    a.key_file = client_key;
    refused(&a, "is not that of the certificate");
    a.key_file = "/nowhere/server.key";
    refused(&a, "/nowhere/server.key\": No such file or directory");
    a.key_file = folder;
    refused(&a, "cannot load the private key");
    refused(&a, "not a regular file");
    a.key_file = ca_file;
    refused(&a, "has group or world access");
    a.key_file = NULL;
    refused(&a, "there is no private key");
    a = accept_options();
    a.cert_file = "/nowhere/server.crt";
    refused(&a, "cannot load the certificate \"/nowhere/server.crt\": No such file or directory");
    a.cert_file = "/dev/null"; /* a FIFO would wait for a writer */
    refused(&a, "cannot load the certificate \"/dev/null\": not a regular file");
    a = accept_options();
    a.ca_file = folder;
    refused(&a, "\": not a regular file");
    a.ca_file = server_key;
    refused(&a, "cannot load the root certificates");
    a.ca_file = "/nowhere/ca.crt";
    refused(&a, "\"/nowhere/ca.crt\": No such file or directory");
    a.ca_file = ca_file;
    a.crl_file = folder;
    refused(&a, "\": not a regular file");
    a.crl_file = ca_file;
    refused(&a, "cannot load the certificate revocation list");
}

static void a_client_that_verifies_needs_roots(void **state)
{
    struct net_tls_connect_options c = connect_options();
    struct err err = {0};

    (void)state;
    c.ca_file = "";
    assert_null(net_tls_connect_new(&c, &err));
    assert_non_null(strstr(err.hint, "sslrootcert"));
    c.ca_file = "system";
    net_tls_unref(connects(&c));
}

static void an_expired_certificate_serves_and_the_client_says_so(void **state)
{
    struct maker m = maker_new("localhost", &ca, NULL, -60);
    struct net_tls_accept_options a = accept_options();
    struct net_tls_connect_options c = connect_options();
    struct pair p;
    char cert[FILE_NAME], key[FILE_NAME];

    (void)state;
    file_cert("expired.crt", &m, cert);
    file_key("expired.key", &m, 0600, NULL, key);
    a.cert_file = cert;
    a.key_file = key;
    p = (struct pair){.accepts = accepts(&a, NULL), .connects = connects(&c)};
    begin(&p, "localhost");
    assert_int_equal(p.c_rc, RC_ERR);
    assert_string_equal(p.c_err.text, "certificate verify failed: certificate has expired "
                                      "(host \"localhost\")");
    pair_fini(&p);
    maker_free(&m);
}

/* What the openssl command line says, without colons, in lower case. */
static void fingerprint_of(const char *file, char out[65])
{
    char command[2 * FILE_NAME], line[256];
    FILE *pipe;
    size_t n = 0;

    snprintf(command, sizeof(command), "openssl x509 -noout -fingerprint -sha256 -in %s", file);
    pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_non_null(fgets(line, sizeof(line), pipe));
    pclose(pipe);
    for (const char *c = strchr(line, '=') + 1; *c > ' ' && n < 64; c++)
        if (*c != ':')
            out[n++] = (char)(*c | 0x20); /* digits have the bit already */
    out[n] = 0;
}

static void the_certificate_is_described_as_openssl_does(void **state)
{
    struct pair p;
    struct net_tls_cert cert;
    char expected[65], hex[65];
    uint8_t a[NET_TLS_HASH_MAX], c[NET_TLS_HASH_MAX];

    (void)state;
    pair_init(&p);
    begin_well(&p, "localhost");
    net_tls_context_cert(p.accepts, &cert);
    fingerprint_of(server_cert, expected);
    assert_string_equal(cert.fingerprint, expected);
    assert_string_equal(cert.subject, "CN=localhost");
    assert_string_equal(cert.issuer, "CN=authority");
    assert_int_equal(cert.not_after_s - cert.not_before_s, 86400 + 7200);
    assert_int_equal(net_tls_endpoint_hash(&p.a, a), 32);
    assert_int_equal(net_tls_endpoint_hash(&p.c, c), 32);
    for (size_t i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", a[i]);
    assert_string_equal(hex, expected);
    assert_memory_equal(a, c, 32);
    pair_fini(&p);
}

/* RFC 5929. (A certificate signed with SHA-1, whose hash is SHA-256, OpenSSL does not load.) */
static void the_endpoint_hash_follows_the_signature(void **state)
{
    const struct {
        const EVP_MD *md;
        size_t len;
    } rows[] = {{EVP_sha256(), 32}, {EVP_sha384(), 48}, {EVP_sha512(), 64}};
    struct pair p;
    uint8_t hash[NET_TLS_HASH_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct maker m = maker_new("localhost", &ca, NULL, 0);
        struct net_tls_accept_options a = accept_options();
        char cert[FILE_NAME], key[FILE_NAME];
        int fd[2];

        assert_true(X509_sign(m.cert, ca.key, rows[i].md) > 0);
        file_cert("hash.crt", &m, cert);
        file_key("hash.key", &m, 0600, NULL, key);
        a.cert_file = cert;
        a.key_file = key;
        p = (struct pair){.accepts = accepts(&a, NULL)};
        sockets(fd);
        net_stream_tls_accept(&p.a, fd[0], p.accepts, NULL, 0);
        assert_int_equal(net_tls_endpoint_hash(&p.a, hash), rows[i].len);
        close(fd[1]);
        pair_fini(&p);
        maker_free(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_agree_and_talk),
        cmocka_unit_test(a_client_certificate_gives_its_name),
        cmocka_unit_test(a_client_certificate_of_another_authority_is_refused),
        cmocka_unit_test(a_revoked_client_certificate_is_refused),
        cmocka_unit_test(a_server_of_another_authority_is_refused_with_a_hint),
        cmocka_unit_test(verify_ca_takes_any_name_and_none_takes_any_authority),
        cmocka_unit_test(the_name_is_sent_unless_it_is_an_address_or_sni_is_off),
        cmocka_unit_test(a_client_with_tls_1_1_is_refused),
        cmocka_unit_test(tls_1_2_is_taken_unless_1_3_is_the_least),
        cmocka_unit_test(a_client_that_asks_for_another_protocol_is_refused),
        cmocka_unit_test(a_client_without_alpn_is_told_apart),
        cmocka_unit_test(plain_bytes_in_place_of_a_handshake_are_an_error),
        cmocka_unit_test(a_peer_that_leaves_during_the_handshake_is_named),
        cmocka_unit_test(sessions_are_resumed_by_host_and_over_a_reload),
        cmocka_unit_test(a_session_resumed_over_a_reload_is_bound_to_the_certificate_it_began_with),
        cmocka_unit_test(a_revoked_client_does_not_resume_its_session),
        cmocka_unit_test(only_so_many_hosts_are_remembered),
        cmocka_unit_test(threads_share_contexts_and_sessions),
        cmocka_unit_test(files_that_do_not_fit_are_refused_with_words),
        cmocka_unit_test(a_client_that_verifies_needs_roots),
        cmocka_unit_test(an_expired_certificate_serves_and_the_client_says_so),
        cmocka_unit_test(the_certificate_is_described_as_openssl_does),
        cmocka_unit_test(the_endpoint_hash_follows_the_signature),
    };

    return cmocka_run_group_tests_name("net/tls", tests, make_files, drop_files);
}
