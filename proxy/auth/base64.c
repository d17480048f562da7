#include "base64.h"

#include <openssl/evp.h>

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_decode(const char *text, size_t len, uint8_t *out, size_t cap, size_t *out_len)
{
    size_t pad = 0, n = 0, bits = 0;
    uint32_t acc = 0;

    if (len % 4 != 0)
        return false;
    while (pad < 2 && pad < len && text[len - 1 - pad] == '=')
        pad++;
    for (size_t i = 0; i < len - pad; i++) {
        int v = value_of(text[i]);

        if (v < 0)
            return false;
        acc = acc << 6 | (uint32_t)v;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            if (n == cap)
                return false;
            out[n++] = (uint8_t)(acc >> bits);
            acc &= (1u << bits) - 1;
        }
    }
    *out_len = n;
    return acc == 0; /* bits that no byte got: another text would give the same value */
}

void base64_append(struct buf *out, const uint8_t *bytes, size_t len)
{
    char *to = buf_space(out, (len + 2) / 3 * 4 + 1);

    buf_grow(out, (size_t)EVP_EncodeBlock((unsigned char *)to, bytes, (int)len));
}
