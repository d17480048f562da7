#include "exchange.h"

#include <string.h>

#include "base64.h"

#define NONCE_BYTES 18

enum rc exchange_nonce(struct buf *out, struct err *err)
{
    uint8_t raw[NONCE_BYTES];

    if (!auth_random(raw, sizeof(raw))) {
        err_set(err, "XX000", "could not generate random nonce");
        return RC_ERR;
    }
    base64_append(out, raw, sizeof(raw));
    return RC_OK;
}

void exchange_binding(char flag, const struct auth_binding *binding, struct buf *out)
{
    struct buf input = {0};

    buf_append_u8(&input, (uint8_t)flag);
    if (flag == 'p')
        buf_append_str(&input, "=" EXCHANGE_BINDING_TYPE);
    buf_append_str(&input, ",,");
    if (flag == 'p')
        buf_append(&input, binding->hash, binding->len);
    base64_append(out, (const uint8_t *)input.data, input.len);
    buf_fini(&input);
}

void exchange_sign(const uint8_t key[AUTH_KEY_BYTES], const struct buf *auth_message,
                   uint8_t out[AUTH_KEY_BYTES])
{
    keys_hmac(key, auth_message->data, auth_message->len, out);
}
