#include "search.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"

#define NAME_BYTES_MAX 63 /* PostgreSQL cuts longer names: NAMEDATALEN - 1 */

static unsigned char fold(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
}

/* `$` is left out on purpose: after it a dollar-quoted body may begin. */
static bool is_name_byte(unsigned char c)
{
    c = fold(c);
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c >= 0x80;
}

void sql_search_add(struct sql_search *search, const char *name, uint64_t mask)
{
    size_t len = strlen(name);
    char *text = mem_alloc(2 * len + 1);
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        text[n++] = (char)fold((unsigned char)name[i]);
        if (name[i] == '"')
            text[n++] = '"';
    }
    text[n] = '\0';
    if (n == 0) {
        free(text);
        return;
    }
    mem_grow((void **)&search->needles, &search->cap, search->n + 1, sizeof(*search->needles));
    search->needles[search->n] = (struct sql_needle){
        .text = text, .len = n, .mask = mask, .next = search->first[(unsigned char)text[0]]};
    search->first[(unsigned char)text[0]] = (uint32_t)++search->n;
}

void sql_search_fini(struct sql_search *search)
{
    for (size_t i = 0; i < search->n; i++)
        free(search->needles[i].text);
    free(search->needles);
    memset(search, 0, sizeof(*search));
}

static bool needle_at(const struct sql_needle *needle, const unsigned char *text, size_t left)
{
    if (left < needle->len)
        return false;
    for (size_t i = 0; i < needle->len; i++)
        if (fold(text[i]) != (unsigned char)needle->text[i])
            return false;
    /* a name of full length may be the beginning of a longer one that the server cuts */
    return left == needle->len || needle->len >= NAME_BYTES_MAX || !is_name_byte(text[needle->len]);
}

uint64_t sql_search_run(const struct sql_search *search, const char *text, size_t len, int any)
{
    const unsigned char *p = (const unsigned char *)text;
    uint64_t found = 0;

    for (size_t i = 0; i < len; i++) {
        unsigned char c = fold(p[i]);

        if (c == 'u' && len - i >= 3 && p[i + 1] == '&' && p[i + 2] == '"')
            return UINT64_MAX;
        if (!search->first[c] || (i > 0 && is_name_byte(p[i - 1])))
            continue;
        for (uint32_t at = search->first[c]; at; at = search->needles[at - 1].next)
            if (needle_at(&search->needles[at - 1], p + i, len - i))
                found |= search->needles[at - 1].mask;
        if (found && any)
            return found;
    }
    return found;
}
