#include "search.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"

/* Of a byte. */
#define MARK_NAME 1
#define MARK_FIRST 2 /* a needle begins with it */
#define MARK_QUOTE 4 /* may be the end of U&" */
#define MARK_CROWD 8 /* so many needles do that they are gone through by letters */
#define MARK_STOPS (MARK_FIRST | MARK_QUOTE | MARK_CROWD)

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

void sql_search_init(struct sql_search *search)
{
    *search = (struct sql_search){0};
    for (int c = 0; c < 256; c++)
        search->marks[c] = (uint8_t)((is_name_byte((unsigned char)c) ? MARK_NAME : 0) |
                                     (c == '"' ? MARK_QUOTE : 0));
}

/* The letter in the list at `at`; 0: none. */
static uint32_t find(const struct sql_search *search, uint32_t at, unsigned char byte)
{
    while (at && search->letters[at - 1].byte != byte)
        at = search->letters[at - 1].next;
    return at;
}

/* In the list, where it is new. */
static uint32_t add_letter(struct sql_search *search, uint32_t before, unsigned char byte)
{
    uint32_t list = before ? search->letters[before - 1].behind : search->letter[byte];
    uint32_t at = find(search, list, byte);

    if (at)
        return at;
    mem_grow((void **)&search->letters, &search->cap_letters, search->nletters + 1,
             sizeof(*search->letters));
    search->letters[search->nletters++] = (struct sql_letter){.byte = byte, .next = list};
    at = (uint32_t)search->nletters;
    *(before ? &search->letters[before - 1].behind : &search->letter[byte]) = at;
    return at;
}

static void add_letters(struct sql_search *search, const struct sql_needle *needle)
{
    uint32_t at = 0;

    for (size_t i = 0; i < needle->len; i++)
        at = add_letter(search, at, (unsigned char)needle->text[i]);
    search->letters[at - 1].mask |= needle->mask;
}

/* What a needle begins with, in either case. */
static void mark(struct sql_search *search, unsigned char first)
{
    for (int c = 0; c < 256; c++) {
        if (fold((unsigned char)c) != first)
            continue;
        search->marks[c] &= (uint8_t)~MARK_FIRST;
        search->marks[c] |= search->letter[first] ? MARK_CROWD : MARK_FIRST;
    }
}

/* The needle that was added last makes a crowd, or is one more of it. */
static void note_crowd(struct sql_search *search)
{
    const struct sql_needle *last = &search->needles[search->n - 1];
    unsigned char byte = (unsigned char)*last->text;
    size_t n = 0;

    if (search->letter[byte]) {
        add_letters(search, last);
        return;
    }
    for (uint32_t at = search->first[byte]; at; at = search->needles[at - 1].next)
        n++;
    if (n < SQL_SEARCH_CROWD)
        return;
    for (uint32_t at = search->first[byte]; at; at = search->needles[at - 1].next)
        add_letters(search, &search->needles[at - 1]);
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
    note_crowd(search);
    mark(search, (unsigned char)text[0]);
}

void sql_search_fini(struct sql_search *search)
{
    for (size_t i = 0; i < search->n; i++)
        free(search->needles[i].text);
    free(search->needles);
    free(search->letters);
    memset(search, 0, sizeof(*search));
}

static bool needle_at(const struct sql_search *search, const struct sql_needle *needle,
                      const unsigned char *text, size_t left)
{
    /* a name of full length may be the beginning of a longer one that the server cuts */
    if (left < needle->len || (left > needle->len && needle->len < NAME_BYTES_MAX &&
                               (search->marks[text[needle->len]] & MARK_NAME)))
        return false;
    for (size_t i = 0; i < needle->len; i++)
        if (fold(text[i]) != (unsigned char)needle->text[i])
            return false;
    return true;
}

/* The same of a crowd. */
static uint64_t letters_at(const struct sql_search *search, const unsigned char *text, size_t left)
{
    uint32_t at = search->letter[fold(*text)];
    uint64_t found = 0;
    size_t len = 0;

    while (at) {
        const struct sql_letter *letter = &search->letters[at - 1];

        len++;
        if (left == len || len >= NAME_BYTES_MAX || !(search->marks[text[len]] & MARK_NAME))
            found |= letter->mask;
        at = len < left ? find(search, letter->behind, fold(text[len])) : 0;
    }
    return found;
}

static uint64_t needles_at(const struct sql_search *search, const unsigned char *text, size_t left)
{
    uint64_t found = 0;

    for (uint32_t at = search->first[fold(*text)]; at; at = search->needles[at - 1].next)
        if (needle_at(search, &search->needles[at - 1], text, left))
            found |= search->needles[at - 1].mask;
    return found;
}

/* A name that begins behind a byte of a name does not count. */
static bool is_within_name(const struct sql_search *search, const unsigned char *begin,
                           const unsigned char *p)
{
    return p > begin && (search->marks[p[-1]] & MARK_NAME);
}

/* The first byte at which something may be; end: there is none. All that clients send goes through
 * here, and most bytes are nothing: so many are asked at once. */
static const unsigned char *skip_plain(const struct sql_search *search, const unsigned char *p,
                                       const unsigned char *end)
{
    const uint8_t *marks = search->marks;

    while (end - p >= 8 && !((marks[p[0]] | marks[p[1]] | marks[p[2]] | marks[p[3]] | marks[p[4]] |
                              marks[p[5]] | marks[p[6]] | marks[p[7]]) &
                             MARK_STOPS))
        p += 8;
    while (p < end && !(marks[*p] & MARK_STOPS))
        p++;
    return p;
}

uint64_t sql_search_run(const struct sql_search *search, const char *text, size_t len, int any)
{
    const unsigned char *begin = (const unsigned char *)text, *end = begin + len;
    uint64_t found = 0;

    for (const unsigned char *p = begin;; p++) {
        p = skip_plain(search, p, end);
        if (p == end)
            return found;
        if (*p == '"' && p - begin >= 2 && p[-1] == '&' && fold(p[-2]) == 'u')
            return UINT64_MAX;
        if ((search->marks[*p] & MARK_FIRST) && !is_within_name(search, begin, p))
            found |= needles_at(search, p, (size_t)(end - p));
        else if ((search->marks[*p] & MARK_CROWD) && !is_within_name(search, begin, p))
            found |= letters_at(search, p, (size_t)(end - p));
        if (found && any)
            return found;
    }
}
