#include "saslprep.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <stringprep.h>

#include "segue/auth/scram.h"
#include "segue/base/mem.h"

typedef Stringprep_table_element row;

/* RFC 4013, 2.3 (and 2.5: unassigned in Unicode 3.2); the names are RFC 3454's tables. */
static const row *const prohibited[] = {
    stringprep_rfc3454_C_1_2, stringprep_rfc3454_C_2_1, stringprep_rfc3454_C_2_2,
    stringprep_rfc3454_C_3,   stringprep_rfc3454_C_4,   stringprep_rfc3454_C_5,
    stringprep_rfc3454_C_6,   stringprep_rfc3454_C_7,   stringprep_rfc3454_C_8,
    stringprep_rfc3454_C_9,   stringprep_rfc3454_A_1,
};

#define SPACES stringprep_rfc3454_C_1_2
#define NOTHING stringprep_rfc3454_B_1
#define RIGHT_TO_LEFT stringprep_rfc3454_D_1
#define LEFT_TO_RIGHT stringprep_rfc3454_D_2

static bool in_table(const row *rows, uint32_t c)
{
    for (; rows->start || rows->end; rows++)
        if (c == rows->start || (c > rows->start && c <= rows->end))
            return true;
    return false;
}

static bool any_in_table(const row *rows, const uint32_t *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (in_table(rows, text[i]))
            return true;
    return false;
}

static bool is_ascii(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text >= 0x80)
            return false;
    return true;
}

/* Bytes of the valid character (RFC 3629) at `p`, which is NUL-terminated; 0: it is not valid. */
static size_t character_take(const unsigned char *p, uint32_t *out)
{
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t c = len == 1 ? p[0] : p[0] & (0xFFu >> (len + 1));

    if ((p[0] >= 0x80 && p[0] < 0xC2) || p[0] > 0xF4)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3F);
    }
    if (c < least[len] || c > 0x10FFFF) /* surrogates are in table C.5 */
        return 0;
    *out = c;
    return len;
}

/* The mapped characters: spaces to U+0020, others to nothing. false: not UTF-8. */
static bool decode_and_map(const char *password, uint32_t *out, size_t *len)
{
    const unsigned char *p = (const unsigned char *)password;

    *len = 0;
    while (*p) {
        uint32_t c;
        size_t n = character_take(p, &c);

        if (n == 0)
            return false;
        p += n;
        if (in_table(SPACES, c))
            out[(*len)++] = ' ';
        else if (!in_table(NOTHING, c))
            out[(*len)++] = c;
    }
    return true;
}

static bool allowed(const uint32_t *text, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(prohibited); i++)
        if (any_in_table(prohibited[i], text, len))
            return false;
    return !any_in_table(RIGHT_TO_LEFT, text, len) ||
           (!any_in_table(LEFT_TO_RIGHT, text, len) && in_table(RIGHT_TO_LEFT, text[0]) &&
            in_table(RIGHT_TO_LEFT, text[len - 1]));
}

char *saslprep(const char *password)
{
    size_t bytes = strlen(password), len;
    uint32_t *mapped, *normal;
    char *out = NULL;

    if (is_ascii(password))
        return NULL;
    mapped = mem_calloc(bytes + 1, sizeof(*mapped));
    if (decode_and_map(password, mapped, &len) && len > 0 && allowed(mapped, len)) {
        normal = stringprep_ucs4_nfkc_normalize(mapped, (ssize_t)len);
        out = normal ? stringprep_ucs4_to_utf8(normal, -1, NULL, NULL) : NULL;
        for (size_t i = 0; normal && normal[i]; i++)
            normal[i] = 0;
        free(normal);
    }
    auth_wipe(mapped, (bytes + 1) * sizeof(*mapped));
    free(mapped);
    return out;
}
