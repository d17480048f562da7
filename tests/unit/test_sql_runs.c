/* proxy/sql/runs.c: comments that the scanner would be long about. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pg_query.h>

#include "../../proxy/sql/runs.h"
#include "segue/base/buf.h"
#include "segue/base/rc.h"

#define LONG 4000 /* of a part of four bytes: as much as is never read as it is */

/* The part so often, between two texts. */
static char *text_of(const char *before, const char *part, size_t times, const char *after)
{
    struct buf text = {0};

    buf_append_str(&text, before);
    for (size_t i = 0; i < times; i++)
        buf_append_str(&text, part);
    buf_append_str(&text, after);
    return buf_take(&text);
}

static void what_is_quick_is_left_alone(void **state)
{
    static const struct {
        const char *part;
        size_t times;
    } rows[] = {{"/**/", 500},     {"/**/ ", 100000},
                {"--\n", 100000},  {"/*****************/\n", 20000},
                {" + a", 20000},   {"------------\n", 50000},
                {"'/**/'", 100000}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *text = text_of("SELECT 1 ", rows[i].part, rows[i].times, "");
        char *was = text_of("SELECT 1 ", rows[i].part, rows[i].times, "");

        assert_true(sql_runs_tame(text, strlen(text)));
        assert_string_equal(text, was);
        free(text);
        free(was);
    }
}

/* What stands behind a run of comments: as it is, and as it becomes. */
static void comments_become_blanks_and_nothing_else_does(void **state)
{
    static const struct {
        const char *sql, *tame; /* NULL: it is not to be scanned */
    } rows[] = {
        {"a/**/b", "a    b"},
        {"a/*/**/*/b", "a        b"},
        {"a/*'*/b'/**/'", "a     b'/**/'"},
        {"a --b'\n'c'", "a     \n'c'"},
        {"a --b", "a    "},
        {"'a''/*' || \"/*\"\"--\"", "'a''/*' || \"/*\"\"--\""},
        {"$$/**/$$ /**/ $a$--$$/*$a$", "$$/**/$$      $a$--$$/*$a$"},
        {"a$b$/**/$b$", NULL}, /* one name, a comment, and a text that does not end */
        {"a$b$/**/", "a$b$    "},
        {"$1/**/, $2", "$1    , $2"},
        {"1+/**/-2 */* x */ 3", "1+    -2 *        3"},
        {"a*/**/b", "a*    b"},
        {"/*a", NULL},
        {"/*/", NULL},
        {"'a", NULL},
        {"\"a", NULL},
        {"$$a", NULL},
        {"E'\\'/*'", NULL},
        {"1$a$", NULL},
        {"/* segue:off */", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *text = text_of("", "/**/", LONG, rows[i].sql);
        char *tame = text_of("", "    ", LONG, rows[i].tame ? rows[i].tame : "");
        bool may = sql_runs_tame(text, strlen(text));

        if (may != (rows[i].tame != NULL) || (may && strcmp(text, tame) != 0))
            fail_msg("%s: %s", rows[i].sql, may ? text + 4 * LONG : "is refused");
        free(text);
        free(tame);
    }
}

/* The same tokens at the same places, comments apart. */
static void the_scanner_finds_the_same(void **state)
{
    static const char *const rows[] = {
        "SELECT a/**/b, 1/*/**/'*/+/**/-1 -- '/*\n, 'x''/*', \"/*\"\"\" || $$/*$$ FROM t",
        "SELECT U&'/*' , b'1'/**/, x'a'--\n/**/, $a1$ $a$ /* $a1$, a$1$/**/ * /**/ 2 */**/ 3",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *text = text_of("", "/**/", LONG, rows[i]);
        PgQueryParseResult was = pg_query_parse(rows[i]), is;
        PgQueryFingerprintResult before = pg_query_fingerprint(rows[i]), after;

        assert_true(sql_runs_tame(text, strlen(text)));
        assert_null(strstr(text, "/**/"));
        is = pg_query_parse(text + 4 * LONG);
        after = pg_query_fingerprint(text + 4 * LONG);
        assert_null(was.error);
        assert_null(is.error);
        assert_string_equal(is.parse_tree, was.parse_tree);
        assert_string_equal(before.fingerprint_str, after.fingerprint_str);
        pg_query_free_parse_result(was);
        pg_query_free_parse_result(is);
        pg_query_free_fingerprint_result(before);
        pg_query_free_fingerprint_result(after);
        free(text);
    }
}

static void operators_that_are_no_comments_are_refused_where_they_are_many(void **state)
{
    char *text = text_of("SELECT ", "+-", 10000, "1");

    (void)state;
    assert_false(sql_runs_tame(text, strlen(text)));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_quick_is_left_alone),
        cmocka_unit_test(comments_become_blanks_and_nothing_else_does),
        cmocka_unit_test(the_scanner_finds_the_same),
        cmocka_unit_test(operators_that_are_no_comments_are_refused_where_they_are_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
