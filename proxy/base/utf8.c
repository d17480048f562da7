#include "segue/base/utf8.h"

#include <stddef.h>

/* By the lead byte: length of the character, and the range of its second byte (RFC 3629: no
 * overlong forms, no surrogates, nothing above U+10FFFF). */
static const struct lead {
    unsigned char from, to;
    unsigned char len, low, high;
} leads[] = {
    {0x01, 0x7f, 1, 0, 0},       {0xc2, 0xdf, 2, 0x80, 0xbf}, {0xe0, 0xe0, 3, 0xa0, 0xbf},
    {0xe1, 0xec, 3, 0x80, 0xbf}, {0xed, 0xed, 3, 0x80, 0x9f}, {0xee, 0xef, 3, 0x80, 0xbf},
    {0xf0, 0xf0, 4, 0x90, 0xbf}, {0xf1, 0xf3, 4, 0x80, 0xbf}, {0xf4, 0xf4, 4, 0x80, 0x8f},
};

static const struct lead *lead_of(unsigned char c)
{
    for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]); i++)
        if (c >= leads[i].from && c <= leads[i].to)
            return &leads[i];
    return NULL;
}

/* How many bytes at p belong together: those of *lead, or fewer where the rest is missing. */
static size_t follow(const unsigned char *p, const struct lead *lead)
{
    size_t n = 1;

    while (lead && n < lead->len && p[n] >= (n == 1 ? lead->low : 0x80) &&
           p[n] <= (n == 1 ? lead->high : 0xbf))
        n++;
    return n;
}

bool utf8_is_valid(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;

    for (;;) {
        const struct lead *lead;
        size_t n;

        while (*p && *p < 0x80)
            p++;
        if (!*p)
            return true;
        lead = lead_of(*p);
        n = follow(p, lead);
        if (!lead || n < lead->len)
            return false;
        p += n;
    }
}

void utf8_mend(char *text)
{
    unsigned char *p = (unsigned char *)text;

    while (*p) {
        const struct lead *lead = lead_of(*p);
        size_t n = follow(p, lead);

        if (lead && n == lead->len) {
            p += n;
        } else if (lead && !p[n]) {
            *p = '\0';
        } else {
            *p++ = '?';
        }
    }
}
