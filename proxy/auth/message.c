#include "message.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base64.h"
#include "keys.h"

/* What is left of a message. */
struct rest {
    const char *p, *end;
};

static enum rc malformed(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

static enum rc malformed(struct err *err, const char *fmt, ...)
{
    char what[160];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    err_set(err, "08P01", "malformed SCRAM message (%s)", what);
    return RC_ERR;
}

/* One character for an error: nothing of a peer's that is not ASCII reaches a log. */
struct shown {
    char text[8];
};

static struct shown show(const struct rest *rest)
{
    struct shown s;

    if (rest->p == rest->end)
        snprintf(s.text, sizeof(s.text), "0x00");
    else if (*rest->p >= 0x21 && *rest->p <= 0x7E)
        snprintf(s.text, sizeof(s.text), "%c", *rest->p);
    else
        snprintf(s.text, sizeof(s.text), "0x%02x", (unsigned char)*rest->p);
    return s;
}

static enum rc begin(struct rest *rest, const char *msg, size_t len, struct err *err)
{
    *rest = (struct rest){msg, msg + len};
    if (len == 0)
        return malformed(err, "the message is empty");
    if (len > AUTH_MESSAGE_BYTES_MAX)
        return malformed(err, "the message has %zu bytes, the limit is %d", len,
                         AUTH_MESSAGE_BYTES_MAX);
    if (memchr(msg, '\0', len))
        return malformed(err, "message length does not match input length");
    return RC_OK;
}

static bool next_is(const struct rest *rest, char c)
{
    return rest->p < rest->end && *rest->p == c;
}

static enum rc comma_take(struct rest *rest, struct err *err)
{
    if (!next_is(rest, ','))
        return malformed(err, "comma expected, but found character \"%s\"", show(rest).text);
    rest->p++;
    return RC_OK;
}

/* "x=value" and the comma behind it. */
static enum rc value_take(struct rest *rest, struct message_text *out, struct err *err)
{
    char attribute = *rest->p++;
    const char *comma;

    if (!next_is(rest, '='))
        return malformed(err, "expected character \"=\" for attribute \"%c\"", attribute);
    rest->p++;
    comma = memchr(rest->p, ',', (size_t)(rest->end - rest->p));
    out->p = rest->p;
    out->len = (size_t)((comma ? comma : rest->end) - rest->p);
    rest->p = comma ? comma + 1 : rest->end;
    return RC_OK;
}

static enum rc attribute_take(struct rest *rest, char attribute, struct message_text *out,
                              struct err *err)
{
    if (!next_is(rest, attribute))
        return malformed(err, "expected attribute \"%c\" but found \"%s\"", attribute,
                         show(rest).text);
    return value_take(rest, out, err);
}

static enum rc any_take(struct rest *rest, char *attribute, struct message_text *out,
                        struct err *err)
{
    char c = rest->p < rest->end ? *rest->p : '\0';

    if (rest->p == rest->end)
        return malformed(err, "attribute expected, but found end of string");
    if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')))
        return malformed(err, "attribute expected, but found invalid character \"%s\"",
                         show(rest).text);
    *attribute = c;
    return value_take(rest, out, err);
}

/* Optional extensions: none is supported, and all may be ignored. */
static enum rc extensions_skip(struct rest *rest, struct err *err)
{
    struct message_text value;
    char attribute;

    while (rest->p < rest->end)
        if (any_take(rest, &attribute, &value, err) != RC_OK)
            return RC_ERR;
    return RC_OK;
}

static enum rc nonce_take(struct rest *rest, struct message_text *nonce, struct err *err)
{
    if (attribute_take(rest, 'r', nonce, err) != RC_OK)
        return RC_ERR;
    for (size_t i = 0; i < nonce->len; i++)
        if (nonce->p[i] < 0x21 || nonce->p[i] > 0x7E) {
            err_set(err, "08P01", "non-printable characters in SCRAM nonce");
            return RC_ERR;
        }
    return RC_OK;
}

/* The gs2-header without the flag's meaning, which depends on the mechanism. */
static enum rc header_take(struct rest *rest, struct message_client_first *out, struct err *err)
{
    out->flag = *rest->p;
    if (out->flag == 'p') {
        if (attribute_take(rest, 'p', &out->binding, err) != RC_OK)
            return RC_ERR;
    } else if (out->flag == 'n' || out->flag == 'y') {
        rest->p++;
        if (comma_take(rest, err) != RC_OK)
            return RC_ERR;
    } else {
        return malformed(err, "unexpected channel-binding flag \"%s\"", show(rest).text);
    }
    if (next_is(rest, 'a')) {
        err_set(err, "0A000", "client uses authorization identity, but it is not supported");
        return RC_ERR;
    }
    if (!next_is(rest, ','))
        return malformed(err, "unexpected attribute \"%s\" in client-first-message",
                         show(rest).text);
    rest->p++;
    return RC_OK;
}

enum rc message_client_first(const char *msg, size_t len, struct message_client_first *out,
                             struct err *err)
{
    struct message_text name; /* ignored: the name is that of the start-up packet */
    struct rest rest;

    memset(out, 0, sizeof(*out));
    if (begin(&rest, msg, len, err) != RC_OK || header_take(&rest, out, err) != RC_OK)
        return RC_ERR;
    out->bare = (struct message_text){rest.p, (size_t)(rest.end - rest.p)};
    if (next_is(&rest, 'm')) {
        err_set(err, "0A000", "client requires an unsupported SCRAM extension");
        return RC_ERR;
    }
    if (attribute_take(&rest, 'n', &name, err) != RC_OK ||
        nonce_take(&rest, &out->nonce, err) != RC_OK)
        return RC_ERR;
    return extensions_skip(&rest, err);
}

enum rc message_client_final(const char *msg, size_t len, struct message_client_final *out,
                             struct err *err)
{
    struct message_text proof;
    char attribute;
    struct rest rest;
    size_t n;

    memset(out, 0, sizeof(*out));
    if (begin(&rest, msg, len, err) != RC_OK ||
        attribute_take(&rest, 'c', &out->binding, err) != RC_OK ||
        attribute_take(&rest, 'r', &out->nonce, err) != RC_OK)
        return RC_ERR;
    do {
        out->without_proof = (struct message_text){msg, (size_t)(rest.p - 1 - msg)};
        if (any_take(&rest, &attribute, &proof, err) != RC_OK)
            return RC_ERR;
    } while (attribute != 'p');
    if (!base64_decode(proof.p, proof.len, out->proof, sizeof(out->proof), &n) ||
        n != sizeof(out->proof))
        return malformed(err, "malformed proof in client-final-message");
    if (rest.p < rest.end)
        return malformed(err, "garbage found at the end of client-final-message");
    return RC_OK;
}

static bool is_number(const struct message_text *text)
{
    size_t n = 0;

    while (n < text->len && text->p[n] >= '0' && text->p[n] <= '9')
        n++;
    return n && n == text->len;
}

static bool is_zero(const struct message_text *text)
{
    size_t n = 0;

    while (n < text->len && text->p[n] == '0')
        n++;
    return n == text->len;
}

static enum rc iterations_take(const struct message_text *text, uint32_t *out, struct err *err)
{
    if (keys_iterations(text->p, text->len, out))
        return RC_OK;
    if (!is_number(text) || is_zero(text))
        return malformed(err, "the iteration count is not from 1 to %d", AUTH_ITERATIONS_MAX);
    err_set(err, "54000", "the upstream asks for more than %d iterations of SCRAM",
            AUTH_ITERATIONS_MAX);
    err_hint(err, "SET scram_iterations to less (4096 is usual) and ALTER ROLE ... PASSWORD again: "
                  "the count is kept with the password");
    return RC_ERR;
}

enum rc message_server_first(const char *msg, size_t len, struct message_server_first *out,
                             struct err *err)
{
    struct message_text salt, iterations;
    struct rest rest;

    memset(out, 0, sizeof(*out));
    if (begin(&rest, msg, len, err) != RC_OK || nonce_take(&rest, &out->nonce, err) != RC_OK ||
        attribute_take(&rest, 's', &salt, err) != RC_OK)
        return RC_ERR;
    if (!base64_decode(salt.p, salt.len, out->salt, sizeof(out->salt), &out->salt_len) ||
        out->salt_len == 0)
        return malformed(err, "invalid salt");
    if (attribute_take(&rest, 'i', &iterations, err) != RC_OK)
        return RC_ERR;
    if (iterations_take(&iterations, &out->iterations, err) != RC_OK)
        return RC_ERR;
    return extensions_skip(&rest, err);
}

enum rc message_server_final(const char *msg, size_t len, uint8_t signature[AUTH_KEY_BYTES],
                             struct err *err)
{
    struct message_text value;
    struct rest rest;
    size_t n;

    if (begin(&rest, msg, len, err) != RC_OK)
        return RC_ERR;
    if (next_is(&rest, 'e')) { /* PostgreSQL sends an ErrorResponse instead */
        err_set(err, "28000", "the upstream ended the SCRAM exchange with an error");
        return RC_ERR;
    }
    if (attribute_take(&rest, 'v', &value, err) != RC_OK)
        return RC_ERR;
    if (!base64_decode(value.p, value.len, signature, AUTH_KEY_BYTES, &n) || n != AUTH_KEY_BYTES)
        return malformed(err, "invalid server signature");
    return extensions_skip(&rest, err);
}

bool message_text_is(const struct message_text *text, const char *is)
{
    return text->len == strlen(is) && memcmp(text->p, is, text->len) == 0;
}
