/*
 * Certificates for the tests of TLS, made with OpenSSL's functions into a temporary folder.
 *
 *   struct maker ca = maker_new("authority", NULL, NULL, 0);
 *   struct maker server = maker_new("localhost", &ca, "DNS:localhost,IP:127.0.0.1", 0);
 *   char cert[FILE_NAME], key[FILE_NAME];
 *   file_cert("server.crt", &server, cert); file_key("server.key", &server, 0600, key);
 *
 * Included by one test program each; asserts with cmocka.
 */
#ifndef TESTS_UNIT_TLS_FILES_H
#define TESTS_UNIT_TLS_FILES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define FILE_NAME 128

struct maker {
    X509 *cert;
    EVP_PKEY *key;
};

static char folder[] = "/tmp/segue-tls-XXXXXX";

static inline void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *extension;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(extension);
    X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
}

/* `by` NULL: an authority, signed by itself. names: the subject's alternatives, or NULL.
 * ends_in_s: 0 for a day. */
static inline struct maker maker_new(const char *cn, const struct maker *by, const char *names,
                                     long ends_in_s)
{
    static long serial = 1;
    struct maker m = {X509_new(), EVP_EC_gen("P-256")};
    X509_NAME *name = X509_get_subject_name(m.cert);

    X509_set_version(m.cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(m.cert), serial++);
    X509_gmtime_adj(X509_getm_notBefore(m.cert), -7200);
    X509_gmtime_adj(X509_getm_notAfter(m.cert), ends_in_s ? ends_in_s : 86400);
    if (*cn)
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
    X509_set_issuer_name(m.cert, by ? X509_get_subject_name(by->cert) : name);
    X509_set_pubkey(m.cert, m.key);
    if (!by)
        add_extension(m.cert, m.cert, NID_basic_constraints, "critical,CA:TRUE");
    if (names)
        add_extension(m.cert, by->cert, NID_subject_alt_name, names);
    assert_true(X509_sign(m.cert, by ? by->key : m.key, EVP_sha256()) > 0);
    return m;
}

static inline void maker_free(struct maker *m)
{
    X509_free(m->cert);
    EVP_PKEY_free(m->key);
}

static inline FILE *file_new(const char *name, mode_t mode, char path[FILE_NAME])
{
    FILE *file;

    snprintf(path, FILE_NAME, "%s/%s", folder, name);
    unlink(path);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(chmod(path, mode), 0);
    return file;
}

static inline void file_cert(const char *name, const struct maker *m, char path[FILE_NAME])
{
    FILE *file = file_new(name, 0644, path);

    assert_int_equal(PEM_write_X509(file, m->cert), 1);
    fclose(file);
}

/* passphrase: NULL or what encrypts it. */
static inline void file_key(const char *name, const struct maker *m, mode_t mode,
                            const char *passphrase, char path[FILE_NAME])
{
    FILE *file = file_new(name, mode, path);

    assert_int_equal(PEM_write_PKCS8PrivateKey(file, m->key, passphrase ? EVP_aes_128_cbc() : NULL,
                                               passphrase, passphrase ? (int)strlen(passphrase) : 0,
                                               NULL, NULL),
                     1);
    fclose(file);
}

/* A revocation list of `by` that names `revoked` (NULL: nobody). */
static inline void file_crl(const char *name, const struct maker *by, const struct maker *revoked,
                            char path[FILE_NAME])
{
    FILE *file = file_new(name, 0644, path);
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *now = X509_gmtime_adj(NULL, -60), *later = X509_gmtime_adj(NULL, 86400);

    X509_CRL_set_version(crl, 1);
    X509_CRL_set_issuer_name(crl, X509_get_subject_name(by->cert));
    X509_CRL_set1_lastUpdate(crl, now);
    X509_CRL_set1_nextUpdate(crl, later);
    if (revoked) {
        X509_REVOKED *entry = X509_REVOKED_new();

        X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked->cert));
        X509_REVOKED_set_revocationDate(entry, now);
        X509_CRL_add0_revoked(crl, entry);
    }
    assert_true(X509_CRL_sign(crl, by->key, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_X509_CRL(file, crl), 1);
    ASN1_TIME_free(now);
    ASN1_TIME_free(later);
    X509_CRL_free(crl);
    fclose(file);
}

#endif
