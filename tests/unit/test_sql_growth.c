/*
 * Texts of many things, near `inspect_bytes_max`: what one costs grows as it does. A worker serves
 * many sessions, and none of its clients may keep it. The limit is large: where each thing was
 * looked at for each other one, these took from eight seconds to many minutes, or the process
 * ended.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "segue/base/buf.h"
#include "sql_twins_bed.h"

#define SECONDS_MAX 4 /* of the processor, with a sanitizer on a slow machine */

struct growth {
    size_t bytes;
    const char *before, *each, *between, *after; /* # is a number, another one each time */
    enum sql_doubt doubt;
};

static void put(struct buf *text, const char *part, unsigned number)
{
    for (; *part; part++)
        if (*part == '#')
            buf_printf(text, "%u", number);
        else
            buf_append(text, part, 1);
}

static char *text_of(const struct growth *row)
{
    struct buf text = {0};

    buf_append_str(&text, row->before);
    for (unsigned i = 0; text.len < row->bytes; i++) {
        put(&text, i ? row->between : "", i);
        put(&text, row->each, i);
    }
    buf_append_str(&text, row->after);
    return buf_take(&text);
}

static void grow(const struct growth *rows, size_t n)
{
    const struct sql_sight_of_session session = {.side = SQL_SIDE_OLD, .rewrites = true};
    struct sql_rules *rules = twins_rules(false);

    for (size_t i = 0; i < n; i++) {
        char *text = text_of(&rows[i]);
        clock_t begin = clock();
        struct sql_rewrite out;
        double seconds;

        sql_rewrite(rules, &session, text, strlen(text), &out);
        seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
        if (seconds > SECONDS_MAX || out.doubt != rows[i].doubt)
            fail_msg("%s%s: %.1f s, %s", rows[i].before, rows[i].each, seconds,
                     sql_doubt_text(out.doubt));
        sql_rewrite_fini(&out);
        free(text);
    }
    sql_rules_unref(rules);
}

/* The parser's own: it runs out of stack where nobody gives it more. */
static void what_is_nested_for_ever_is_refused(void **state)
{
    static const struct growth rows[] = {
        {300000, "SELECT o", "+o", "", " FROM t", SQL_DOUBT_GRAMMAR},
    };

    (void)state;
    grow(rows, ARRAY_LEN(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_nested_for_ever_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
