/*
 * Base64 as SCRAM has it: no line breaks, padded, one text for one value (OpenSSL's decoder skips
 * white space and takes any padding).
 */
#ifndef SEGUE_PROXY_AUTH_BASE64_H
#define SEGUE_PROXY_AUTH_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "segue/base/buf.h"

/* false: not base64, or more than `cap` bytes. */
bool base64_decode(const char *text, size_t len, uint8_t *out, size_t cap, size_t *out_len);
void base64_append(struct buf *out, const uint8_t *bytes, size_t len);

#endif
