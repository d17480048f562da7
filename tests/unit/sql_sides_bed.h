/*
 * Tables of statements, text in, text out, for a session of one side.
 */
#ifndef SEGUE_TEST_SQL_SIDES_BED_H
#define SEGUE_TEST_SQL_SIDES_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "segue/base/rc.h"
#include "segue/sql/rewrite.h"

struct row {
    const char *sql;
    const char *text; /* NULL: as it is */
    enum sql_doubt doubt;
};

/* Takes the rules. */
static inline void rows_become(struct sql_rules *rules, enum sql_side side, const struct row *rows,
                               size_t n)
{
    const struct sql_sight_of_session session = {.side = side, .rewrites = true};

    for (size_t i = 0; i < n; i++) {
        struct sql_rewrite out;

        sql_rewrite(rules, &session, rows[i].sql, strlen(rows[i].sql), &out);
        if (out.doubt != rows[i].doubt || !out.text != !rows[i].text ||
            (out.text && strcmp(out.text, rows[i].text) != 0))
            fail_msg("%s: %s (%s)", rows[i].sql, out.text ? out.text : "as it is",
                     sql_doubt_text(out.doubt));
        sql_rewrite_fini(&out);
    }
    sql_rules_unref(rules);
}

#endif
