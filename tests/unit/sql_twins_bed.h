/*
 * Tables of statements for the tests of what writes twins: text in, text out.
 * t (id, o, b, p, n, "Q"): o is renamed to n, p to "Q"; all on the way to be in step. `single` has
 * one column of each side, which are no twins but a pair.
 */
#ifndef SEGUE_TEST_SQL_TWINS_BED_H
#define SEGUE_TEST_SQL_TWINS_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "segue/base/rc.h"
#include "segue/sql/rewrite.h"

/* Of functions lower, now and numeric may be called twice, g and nextval once. */
static inline void twins_functions(struct sql_rules *rules)
{
    static const struct sql_function known[] = {
        {'f', "lower"}, {'f', "now"}, {'f', "numeric"}, {'g', "g"}, {'g', "nextval"}, {'o', "+"},
        {'o', "-"},     {'o', "||"},  {'o', "="},       {'o', "*"}, {'o', "->>"},     {'c', ""},
    };
    struct sql_functions *functions = sql_functions_new(known, ARRAY_LEN(known));

    sql_rules_functions(rules, functions);
    sql_functions_unref(functions);
}

static inline struct sql_rules *twins_rules(bool reversed)
{
    static const char *const old_names[] = {"o", "p", NULL}, *const new_names[] = {"n", "Q", NULL};
    static const char *const none[] = {NULL};
    static const struct sql_column_rule columns[] = {
        {"id", SQL_SEEN_BY_BOTH, false}, {"o", SQL_SEEN_BY_OLD, false},
        {"b", SQL_SEEN_BY_BOTH, false},  {"p", SQL_SEEN_BY_OLD, false},
        {"n", SQL_SEEN_BY_NEW, false},   {"Q", SQL_SEEN_BY_NEW, false},
    };
    static const struct sql_column_rule two[] = {{"o", SQL_SEEN_BY_OLD, false},
                                                 {"n", SQL_SEEN_BY_NEW, false}};
    static const struct sql_twin_rule twins[] = {{"o", "n"}, {"p", "Q"}}, pair = {"o", "n"};
    struct sql_table_rule table = {.migration = "m",
                                   .schema = "public",
                                   .name = "t",
                                   .old_columns = old_names,
                                   .new_columns = new_names,
                                   .relatives = none,
                                   .columns = columns,
                                   .ncolumns = ARRAY_LEN(columns),
                                   .twins = twins,
                                   .ntwins = ARRAY_LEN(twins),
                                   .reversed = reversed};
    struct sql_rules *rules = sql_rules_new(1);

    assert_int_equal(sql_rules_add(rules, &table), 0);
    table.name = "single";
    table.columns = two;
    table.ncolumns = ARRAY_LEN(two);
    table.ntwins = 0;
    table.pairs = &pair;
    table.npairs = 1;
    assert_int_equal(sql_rules_add(rules, &table), 1);
    twins_functions(rules);
    sql_rules_set_returning(rules, true);
    return rules;
}

struct twins_row {
    const char *sql;
    const char *text; /* NULL: as it is */
    enum sql_doubt doubt;
};

/* Takes the rules. */
static inline void rows_are(struct sql_rules *rules, enum sql_side side,
                            const struct twins_row *rows, size_t n)
{
    const struct sql_sight_of_session session = {.side = side, .rewrites = true};

    for (size_t i = 0; i < n; i++) {
        struct sql_rewrite out;

        sql_rewrite(rules, &session, rows[i].sql, strlen(rows[i].sql), &out);
        if (out.doubt != rows[i].doubt || !out.text != !rows[i].text ||
            (out.text && strcmp(out.text, rows[i].text) != 0))
            fail_msg("%s\n  is:     %s (%s)\n  should: %s", rows[i].sql,
                     out.text ? out.text : "as it is", sql_doubt_text(out.doubt),
                     rows[i].text ? rows[i].text : "as it is");
        sql_rewrite_fini(&out);
    }
    sql_rules_unref(rules);
}

static inline void twins_each_of(bool reversed, enum sql_side side, const struct twins_row *rows,
                                 size_t n)
{
    rows_are(twins_rules(reversed), side, rows, n);
}

static inline void twins_each(enum sql_side side, const struct twins_row *rows, size_t n)
{
    twins_each_of(false, side, rows, n);
}

#endif
