/* Names and texts of the pieces of an index of a partitioned table; pure. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"
#include "segue/base/mem.h"

#define NAME_MAX_BYTES 63 /* NAMEDATALEN - 1 */

/* The longest beginning of at most n bytes that ends with a whole character. */
static size_t clipped(const char *text, size_t n)
{
    if (strlen(text) <= n)
        return strlen(text);
    while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
        n--;
    return n;
}

/* Of both, the longer one is cut, byte by byte, until there is room (makeObjectName). */
static char *joined(const char *relation, const char *columns, const char *label)
{
    size_t one = strlen(relation), two = strlen(columns);
    size_t room = NAME_MAX_BYTES - strlen(label) - 1 - (two ? 1 : 0);

    while (one + two > room) {
        if (one > two)
            one--;
        else
            two--;
    }
    one = clipped(relation, one);
    two = clipped(columns, two);
    return mem_printf("%.*s%s%.*s_%s", (int)one, relation, two ? "_" : "", (int)two, columns,
                      label);
}

char *parts_name(const char *relation, const char *const *columns, size_t n, const char *label,
                 unsigned pass)
{
    struct buf list = {0};
    char ending[32], *text, *name;

    for (size_t i = 0; i < n && list.len <= NAME_MAX_BYTES; i++)
        buf_printf(&list, "%s%s", i ? "_" : "", columns[i]);
    text = list.len ? buf_take(&list) : mem_strdup("");
    if (pass)
        snprintf(ending, sizeof(ending), "%.15s%u", label, pass);
    else
        snprintf(ending, sizeof(ending), "%.15s", label);
    name = joined(relation, text, ending);
    free(text);
    buf_fini(&list);
    return name;
}

char *parts_fill(const char *text, const char *whole, const char *index, const char *partition)
{
    const struct {
        const char *mark, *name;
    } rows[] = {{"{whole}", whole}, {"{index}", index}, {"{partition}", partition}};
    const char *end = text + strcspn(text, "("), *p = text;
    struct buf out = {0};

    while (p < end) {
        size_t i = 0;

        while (i < ARRAY_LEN(rows) && strncmp(p, rows[i].mark, strlen(rows[i].mark)) != 0)
            i++;
        if (i < ARRAY_LEN(rows) && rows[i].name) {
            buf_append_str(&out, rows[i].name);
            p += strlen(rows[i].mark);
        } else {
            buf_append_u8(&out, (uint8_t)*p++);
        }
    }
    buf_append_str(&out, end);
    return buf_take(&out);
}
