#include "signature.h"

#include <stdlib.h>

#include <openssl/evp.h>

#define NUMBER_BYTES 8 /* of the hash, at its front */

void signature_add(struct eng_signature *signature, const char *part)
{
    if (!part) {
        signature->unknown = true;
        return;
    }
    if (signature->parts.len)
        buf_append_u8(&signature->parts, ',');
    buf_append_str(&signature->parts, part);
}

uint64_t signature_take(struct eng_signature *signature)
{
    const struct buf *parts = &signature->parts;
    unsigned char hash[EVP_MAX_MD_SIZE];
    uint64_t number = 0;

    if (parts->len && !signature->unknown &&
        EVP_Digest(parts->data, parts->len, hash, NULL, EVP_sha256(), NULL) == 1)
        for (size_t i = 0; i < NUMBER_BYTES; i++)
            number = number << 8 | hash[i];
    buf_fini(&signature->parts);
    return number;
}

uint64_t signature_read(const char *digits)
{
    return digits ? strtoull(digits, NULL, 16) : 0;
}
