/* Names and hashes of certificates: who may be whom, by libpq's rules (fe-secure-common.c). */
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include <openssl/x509v3.h>

#include "tls_private.h"

const unsigned char tls_alpn[TLS_ALPN_BYTES + 1] = "\x0apostgresql";

bool tls_is_literal(const char *host)
{
    unsigned char address[16];

    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

/* "*.example.com" matches one label in front, and never less than a whole one. */
static bool wildcard_matches(const char *pattern, const char *host)
{
    size_t npattern = strlen(pattern), nhost = strlen(host);
    const char *rest;

    if (npattern < 3 || pattern[0] != '*' || pattern[1] != '.' || npattern > nhost)
        return false;
    rest = host + nhost - (npattern - 1);
    return strcasecmp(pattern + 1, rest) == 0 && strchr(host, '.') == rest;
}

/* The text of a certificate's name; NULL when it is not one (a NUL inside is an attack). */
static const char *name_text(const ASN1_STRING *name, char out[NET_TLS_NAME_MAX])
{
    int len = name ? ASN1_STRING_length(name) : 0;

    if (len <= 0 || len >= NET_TLS_NAME_MAX || memchr(ASN1_STRING_get0_data(name), 0, (size_t)len))
        return NULL;
    memcpy(out, ASN1_STRING_get0_data(name), (size_t)len);
    out[len] = 0;
    return out;
}

void tls_common_name(X509 *cert, char out[NET_TLS_NAME_MAX])
{
    X509_NAME *subject = X509_get_subject_name(cert);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    const ASN1_STRING *name = NULL;

    if (at >= 0)
        name = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    if (!name_text(name, out))
        out[0] = 0;
}

struct names {
    const char *host;
    unsigned char address[16];
    int address_len;              /* 0: the host is a name */
    bool found;                   /* the certificate is the host's */
    bool of_kind;                 /* it has names of the host's kind: the common name is ignored */
    int count;                    /* names looked at */
    char first[NET_TLS_NAME_MAX]; /* one of them, for the error */
};

static void look_at_name(struct names *names, const ASN1_STRING *name)
{
    char text[NET_TLS_NAME_MAX];

    if (!name_text(name, text))
        return;
    if (names->count++ == 0)
        strcpy(names->first, text);
    if (strcasecmp(text, names->host) == 0 || wildcard_matches(text, names->host))
        names->found = true;
}

static void look_at_address(struct names *names, const ASN1_OCTET_STRING *address)
{
    int len = ASN1_STRING_length(address);
    const unsigned char *bytes = ASN1_STRING_get0_data(address);

    if (len != 4 && len != 16)
        return;
    if (names->count++ == 0)
        inet_ntop(len == 4 ? AF_INET : AF_INET6, bytes, names->first, sizeof(names->first));
    if (len == names->address_len && memcmp(bytes, names->address, (size_t)len) == 0)
        names->found = true;
}

static void look_at_alternatives(struct names *names, X509 *cert)
{
    GENERAL_NAMES *all = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

    for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
        const GENERAL_NAME *one = sk_GENERAL_NAME_value(all, i);

        if (one->type == (names->address_len ? GEN_IPADD : GEN_DNS))
            names->of_kind = true;
        if (one->type == GEN_DNS)
            look_at_name(names, one->d.dNSName);
        else if (one->type == GEN_IPADD)
            look_at_address(names, one->d.iPAddress);
    }
    GENERAL_NAMES_free(all);
}

enum rc tls_check_host(X509 *cert, const char *host, struct err *err)
{
    struct names names = {.host = host};
    char others[64] = "";

    if (inet_pton(AF_INET, host, names.address) == 1)
        names.address_len = 4;
    else if (inet_pton(AF_INET6, host, names.address) == 1)
        names.address_len = 16;
    look_at_alternatives(&names, cert);
    if (!names.of_kind && !names.found) {
        X509_NAME *subject = X509_get_subject_name(cert);
        int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

        if (at >= 0)
            look_at_name(&names, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    }
    if (names.found)
        return RC_OK;
    if (names.count > 1)
        snprintf(others, sizeof(others), " (and %d other name%s)", names.count - 1,
                 names.count == 2 ? "" : "s");
    err_set(err, "08006", "server certificate for \"%s\"%s does not match host name \"%s\"",
            names.first, others, host);
    err_hint(err, "Connect by a name that the certificate has, or use sslmode=verify-ca.");
    return RC_ERR;
}

size_t tls_cert_hash(X509 *cert, uint8_t out[NET_TLS_HASH_MAX])
{
    int digest = NID_undef;
    const EVP_MD *md;
    unsigned len = 0;

    if (!X509_get_signature_info(cert, &digest, NULL, NULL, NULL) || digest == NID_undef)
        return 0;
    if (digest == NID_md5 || digest == NID_sha1)
        digest = NID_sha256;
    md = EVP_get_digestbynid(digest);
    if (!md || EVP_MD_get_size(md) > NET_TLS_HASH_MAX || !X509_digest(cert, md, out, &len))
        return 0;
    return len;
}
