/* Lists of ciphers, as people write them: OpenSSL leaves out what it does not know, unless it knows
 * nothing of it at all. A word that was mistyped should be heard of. */
#include <string.h>

#include "tls_private.h"

#define WORD_BYTES_MAX 256

typedef int set_list(SSL_CTX *ssl, const char *list);

/* Words that take away ("!RC4") or order ("@STRENGTH") may name what this OpenSSL is without. */
static bool is_named(const char *word, size_t len)
{
    return len && !strchr("!-+@", word[0]);
}

static bool is_known(const char *list, const char *between, set_list *set)
{
    SSL_CTX *ssl = SSL_CTX_new(TLS_method());
    bool known = ssl && set(ssl, list) == 1;
    char word[WORD_BYTES_MAX];

    for (const char *at = list; known && *at;) {
        size_t len = strcspn(at, between);

        if (len >= sizeof(word)) {
            known = false;
        } else if (is_named(at, len)) {
            memcpy(word, at, len);
            word[len] = '\0';
            known = set(ssl, word) == 1;
        }
        at += len + (at[len] != '\0');
    }
    SSL_CTX_free(ssl);
    ERR_clear_error();
    return known;
}

bool net_tls_knows_ciphers(const char *list)
{
    return is_known(list, ":, ", SSL_CTX_set_cipher_list);
}

bool net_tls_knows_suites(const char *list)
{
    return is_known(list, ":", SSL_CTX_set_ciphersuites);
}
