/* sql/path.h: what a text does to the search path and the role. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "segue/base/rc.h"
#include "segue/sql/path.h"

struct row {
    const char *sql;
    enum sql_path_kind kind;
    bool local;
    const char *value; /* NULL: not known */
    const char *tag;
};

static void each(const struct row *rows, size_t n)
{
    struct sql_path_move move;

    for (size_t i = 0; i < n; i++) {
        sql_path_move(rows[i].sql, strlen(rows[i].sql), &move);
        if (move.kind != rows[i].kind || move.local != rows[i].local ||
            move.known != (rows[i].value != NULL) ||
            (move.known && strcmp(move.value, rows[i].value) != 0) ||
            strcmp(move.tag, rows[i].tag ? rows[i].tag : "") != 0)
            fail_msg("%s: kind %d, local %d, %s, tag %s", rows[i].sql, move.kind, move.local,
                     move.known ? move.value : "not known", move.tag);
    }
}

static void what_sets_the_path_is_read(void **state)
{
    static const struct row rows[] = {
        {"SET search_path = a", SQL_PATH_SETS, false, "a", "SET"},
        {"SET search_path TO A, \"B\", 'c d', \"$user\"", SQL_PATH_SETS, false,
         "a, \"B\", \"c d\", \"$user\"", "SET"},
        {"/* x */ set session SEARCH_PATH to ''", SQL_PATH_SETS, false, "\"\"", "SET"},
        {"SET LOCAL search_path = a, b", SQL_PATH_SETS, true, "a, b", "SET"},
        {"SET SCHEMA 'x'", SQL_PATH_SETS, false, "x", "SET"},
        {"SET search_path = 1", SQL_PATH_SETS, false, NULL, "SET"},
        {"SET search_path FROM CURRENT", SQL_PATH_SETS, false, NULL, "SET"},
        {"SET search_path TO DEFAULT", SQL_PATH_RESETS, false, NULL, "SET"},
        {"SET LOCAL search_path TO DEFAULT", SQL_PATH_RESETS, true, NULL, "SET"},
        {"RESET search_path", SQL_PATH_RESETS, false, NULL, "RESET"},
        {"RESET ALL", SQL_PATH_RESETS, false, NULL, "RESET"},
        {"SELECT set_config('search_path', 'a, b', false)", SQL_PATH_SETS, false, "a, b", "SELECT"},
        {"SELECT pg_catalog.set_config('Search_Path', 'a', true)", SQL_PATH_SETS, true, "a",
         "SELECT"},
        {"SELECT set_config('search_path', $1, true)", SQL_PATH_SETS, true, NULL, "SELECT"},
        {"SELECT set_config('search_path', 'a', $1)", SQL_PATH_SETS, false, NULL, "SELECT"},
        {"SELECT set_config('search_path', s, true) FROM x", SQL_PATH_SETS, true, NULL, "SELECT"},
        {"SELECT set_config('search_path', 'a', true) WHERE false", SQL_PATH_SETS, true, NULL,
         "SELECT"},
        {"SELECT 1 + length(set_config('search_path', 'a', true))", SQL_PATH_SETS, true, NULL,
         "SELECT"},
        {"SELECT set_config($1, 'a', true)", SQL_PATH_LOST, false, NULL, NULL},
    };

    (void)state;
    each(rows, ARRAY_LEN(rows));
}

static void the_role_counts_too(void **state)
{
    static const struct row rows[] = {
        {"SET ROLE x", SQL_PATH_ROLE, false, "x", "SET"},
        {"SET LOCAL ROLE \"X y\"", SQL_PATH_ROLE, true, "X y", "SET"},
        {"SET ROLE NONE", SQL_PATH_ROLE, false, NULL, "SET"},
        {"RESET ROLE", SQL_PATH_ROLE, false, NULL, "RESET"},
        {"SET SESSION AUTHORIZATION x", SQL_PATH_ROLE, false, NULL, "SET"},
        {"RESET SESSION AUTHORIZATION", SQL_PATH_ROLE, false, NULL, "RESET"},
        {"SELECT set_config('role', 'x', true)", SQL_PATH_ROLE, true, "x", "SELECT"},
        {"SELECT set_config('session_authorization', 'x', false)", SQL_PATH_ROLE, false, NULL,
         "SELECT"},
    };

    (void)state;
    each(rows, ARRAY_LEN(rows));
}

static void what_cannot_be_told_loses_the_path(void **state)
{
    static const struct row rows[] = {
        {"DISCARD ALL", SQL_PATH_LOST, false, NULL, NULL},
        {"EXECUTE p", SQL_PATH_LOST, false, NULL, NULL},
        {"EXPLAIN ANALYZE EXECUTE p", SQL_PATH_LOST, false, NULL, NULL},
        {"CREATE TABLE x AS EXECUTE p", SQL_PATH_LOST, false, NULL, NULL},
        {"DO $$ BEGIN PERFORM set_config('search_path', 'a', false); END $$", SQL_PATH_LOST, false,
         NULL, NULL},
        {"UPDATE pg_settings SET setting = 'a' WHERE name = 'search' || '_path'", SQL_PATH_LOST,
         false, NULL, NULL},
        {"SET search_path = a; SET search_path = b", SQL_PATH_LOST, false, NULL, NULL},
        {"SET search_path = a; COMMIT", SQL_PATH_LOST, false, NULL, NULL},
        {"SET search_path = = a", SQL_PATH_LOST, false, NULL, NULL},
    };

    (void)state;
    each(rows, ARRAY_LEN(rows));
}

static void ends_of_transactions_are_noticed(void **state)
{
    static const struct row rows[] = {
        {"COMMIT", SQL_PATH_ENDS, false, NULL, NULL},
        {"end", SQL_PATH_ENDS, false, NULL, NULL},
        {"ROLLBACK TO SAVEPOINT s", SQL_PATH_ENDS, false, NULL, NULL},
        {"ABORT", SQL_PATH_ENDS, false, NULL, NULL},
        {"PREPARE TRANSACTION 'x'", SQL_PATH_ENDS, false, NULL, NULL},
        {"ROLLBACK; ROLLBACK", SQL_PATH_ENDS, false, NULL, NULL},
        {"SELECT 1; COMMIT", SQL_PATH_ENDS, false, NULL, NULL},
    };

    (void)state;
    each(rows, ARRAY_LEN(rows));
}

static void all_else_leaves_it(void **state)
{
    static const struct row rows[] = {
        {"SELECT 1", SQL_PATH_STAYS, false, NULL, NULL},
        {"", SQL_PATH_STAYS, false, NULL, NULL},
        {"SELECT '_', ';', 'a&b'", SQL_PATH_STAYS, false, NULL, NULL},
        {"SET statement_timeout = 1", SQL_PATH_STAYS, false, NULL, "SET"},
        {"SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", SQL_PATH_STAYS, false, NULL, "SET"},
        {"RESET work_mem", SQL_PATH_STAYS, false, NULL, "RESET"},
        {"SHOW search_path", SQL_PATH_STAYS, false, NULL, NULL},
        {"SELECT current_setting('search_path')", SQL_PATH_STAYS, false, NULL, NULL},
        {"SELECT set_config('app.tenant', $1, true)", SQL_PATH_STAYS, true, NULL, "SELECT"},
        {"ALTER ROLE x SET search_path = a", SQL_PATH_STAYS, false, NULL, NULL},
        {"SAVEPOINT s", SQL_PATH_STAYS, false, NULL, NULL},
        {"BEGIN", SQL_PATH_STAYS, false, NULL, NULL},
        {"COMMIT PREPARED 'x'", SQL_PATH_STAYS, false, NULL, NULL},
        {"DISCARD TEMP", SQL_PATH_STAYS, false, NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sql_path_move move;

        sql_path_move(rows[i].sql, strlen(rows[i].sql), &move);
        if (move.kind != SQL_PATH_STAYS)
            fail_msg("%s: kind %d", rows[i].sql, move.kind);
    }
}

static void a_list_that_is_too_long_is_not_known(void **state)
{
    char sql[2 * SQL_PATH_BYTES_MAX] = "SET search_path = a";
    struct sql_path_move move;

    (void)state;
    while (strlen(sql) < SQL_PATH_BYTES_MAX + 40)
        strcat(sql, ", abcdefgh");
    sql_path_move(sql, strlen(sql), &move);
    assert_int_equal(move.kind, SQL_PATH_SETS);
    assert_false(move.known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_sets_the_path_is_read),
        cmocka_unit_test(the_role_counts_too),
        cmocka_unit_test(what_cannot_be_told_loses_the_path),
        cmocka_unit_test(ends_of_transactions_are_noticed),
        cmocka_unit_test(all_else_leaves_it),
        cmocka_unit_test(a_list_that_is_too_long_is_not_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
