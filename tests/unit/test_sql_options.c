/* sql/options.h: lists that are no expressions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "segue/sql/options.h"

static void parameters_are_counted_and_nothing_else_is_taken(void **state)
{
    static const struct {
        const char *text;
        size_t n; /* 0: refused */
    } rows[] = {
        {"fillfactor = 70", 1},
        {"fillfactor=70, fastupdate = off -- why", 2},
        {"toast.x = 'a', b", 2},
        {"", 0},
        {"fillfactor = 70), SET (fastupdate = off", 0},
        {"fillfactor = 70) RESET (fastupdate", 0},
        {"fillfactor = 70); DROP TABLE t; --", 0},
        {"fillfactor 70", 0},
        {"fillfactor = (SELECT 1)", 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = {0};
        size_t n = 0;
        enum rc rc = sql_parameters_parse(rows[i].text, &n, &err);

        if ((rc == RC_OK) != (rows[i].n > 0) || n != rows[i].n || err_is_set(&err) == (rc == RC_OK))
            fail_msg("%s: %zu, %s", rows[i].text, n, err.text);
    }
}

static void a_sequence_has_the_options_of_a_new_one(void **state)
{
    static const struct {
        const char *text, *want; /* NULL: taken */
    } rows[] = {
        {"START WITH 10 INCREMENT BY 5", NULL},
        {"AS smallint NO MAXVALUE MINVALUE -3 CACHE 20 NO CYCLE -- why", NULL},
        {"", "syntax error at end of input"},
        {"RESTART WITH 5", "option \"restart\""},
        {"START 1 OWNED BY t.c", "option \"owned_by\""},
        {"SEQUENCE NAME s", "option \"sequence_name\""},
        {"START WITH 1); DROP TABLE t; --", "syntax error"},
        {"START 1; DROP TABLE t", "not a list of options"},
        {"OWNER TO me", "not a list of options"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = {0};
        enum rc rc = sql_sequence_parse(rows[i].text, &err);

        if ((rc == RC_OK) != (rows[i].want == NULL) ||
            (rows[i].want && !strstr(err.text, rows[i].want)))
            fail_msg("%s: %s", rows[i].text, err.text);
    }
}

static void an_exclusion_is_a_list_of_what_is_compared(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } rows[] = {
        {"room WITH =, during WITH &&", true},
        {"(lower(room)) COLLATE \"C\" text_ops DESC WITH OPERATOR(pg_catalog.=) -- why", true},
        {"", false},
        {"room", false},
        {"room WITH =) WHERE (room > 0", false},
        {"room WITH =) INCLUDE (a", false},
        {"room WITH =) WITH (fillfactor = 70", false},
        {"room WITH =), ADD UNIQUE (room", false},
        {"room WITH =); DROP TABLE t; --", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = {0};
        bool good = sql_exclusion_parse(rows[i].text, &err) == RC_OK;

        if (good != rows[i].good || good == err_is_set(&err))
            fail_msg("%s: %s", rows[i].text, err.text);
    }
}

static void a_syntax_error_has_its_place_in_the_text(void **state)
{
    struct err err = {0};
    size_t n;

    (void)state;
    assert_int_equal(sql_parameters_parse("a = 1, , b", &n, &err), RC_ERR);
    assert_non_null(strstr(err.text, "at byte 8"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_are_counted_and_nothing_else_is_taken),
        cmocka_unit_test(a_sequence_has_the_options_of_a_new_one),
        cmocka_unit_test(an_exclusion_is_a_list_of_what_is_compared),
        cmocka_unit_test(a_syntax_error_has_its_place_in_the_text),
    };

    return cmocka_run_group_tests_name("sql/options", tests, NULL, NULL);
}
