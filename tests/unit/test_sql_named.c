/* sql/named.h: prepared statements that a text names by SQL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "segue/base/buf.h"
#include "segue/base/rc.h"
#include "segue/sql/named.h"

/* What it names, as "P a, E b(c), D c, *": constant arguments are "(c)", others "(o)". */
static void names_are(const char *text, const char *expected)
{
    static const char kinds[] = "PED*";
    struct sql_names names = {0};
    char said[256] = "";
    size_t n = 0;

    if (sql_named_may(text, strlen(text)))
        sql_named_read(text, strlen(text), &names);
    for (size_t i = 0; i < names.n; i++)
        n +=
            (size_t)snprintf(said + n, sizeof(said) - n, "%s%c%s%s%s", i ? ", " : "",
                             kinds[names.v[i].kind], names.v[i].name[0] ? " " : "", names.v[i].name,
                             names.v[i].arguments == SQL_ARGUMENTS_NONE       ? ""
                             : names.v[i].arguments == SQL_ARGUMENTS_CONSTANT ? "(c)"
                                                                              : "(o)");
    assert_string_equal(said, expected);
}

static void names_are_read_as_the_server_reads_them(void **state)
{
    static const struct {
        const char *text, *names;
    } rows[] = {
        {"SELECT 1", ""},
        {"PREPARE s AS SELECT 1", "P s"},
        {"  -- a comment\n/* b /* c */ */prepare \"S t\" (int) as select $1;", "P S t"},
        {"PREPARE transaction AS SELECT 1", "P transaction"},
        {"PREPARE TRANSACTION 'x'", ""},
        {"EXECUTE S", "E s"},
        {"EXECUTE s(1, 'x', '1'::int, $1)", "E s(c)"},
        {"EXECUTE s(1, now())", "E s(o)"},
        {"EXPLAIN (ANALYZE) EXECUTE s", "E s"},
        {"CREATE TABLE t AS EXECUTE s(1)", "E s(c)"},
        {"EXPLAIN CREATE TABLE t AS EXECUTE s", "E s"},
        {"CREATE TRIGGER t AFTER INSERT ON x EXECUTE FUNCTION f()", ""},
        {"DEALLOCATE s", "D s"},
        {"DEALLOCATE PREPARE s", "D s"},
        {"DEALLOCATE ALL", "*"},
        {"DISCARD ALL", "*"},
        {"DISCARD PLANS", ""},
        {"BEGIN; PREPARE a AS SELECT ';'; EXECUTE a; DEALLOCATE a", "P a, E a, D a"},
        {"SELECT 'execute a; deallocate b'", ""},
        {"SELECT 1; SELECT 'execute a'", ""},
        {"EXECUTE s(", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        names_are(rows[i].text, rows[i].names);
}

static void without_rules_the_first_word_decides(void **state)
{
    (void)state;
    assert_true(sql_named_first(";; prepare s as select 1", 24));
    assert_true(sql_named_first("DEALLOCATE s", 12));
    assert_true(sql_named_first("DISCARD ALL", 11));
    assert_false(sql_named_first("EXECUTE s", 9));
    assert_false(sql_named_first("DELETE FROM t", 13));
    assert_false(sql_named_first("SELECT 1; PREPARE s AS SELECT 1", 31));
}

static void the_text_of_one_among_several_keeps_its_place(void **state)
{
    static const char text[] = "SELECT 'é'; PREPARE a AS SELECT 1; PREPARE b AS SELECT 2";
    struct sql_names names;
    struct buf out = {0};

    (void)state;
    sql_named_read(text, strlen(text), &names);
    sql_named_text(text, strlen(text), &names, 0, &out);
    buf_append_u8(&out, 0);
    assert_string_equal(out.data, "            PREPARE a AS SELECT 1"); /* é is one character */
    buf_reset(&out);
    sql_named_read("PREPARE c AS SELECT 3 ; ", 24, &names);
    sql_named_text("PREPARE c AS SELECT 3 ; ", 24, &names, 0, &out);
    assert_int_equal(out.len, 24);
    buf_fini(&out);
}

static void what_cannot_be_told_is_said(void **state)
{
    char text[SQL_NAMED_MAX * 16 + 64] = "";
    struct sql_names names;

    (void)state;
    sql_named_read("PREPARE s AS SELEC", 18, &names);
    assert_true(names.lost && names.n == 0);
    for (int i = 0; i <= SQL_NAMED_MAX; i++)
        strcat(text, "EXECUTE s;");
    sql_named_read(text, strlen(text), &names);
    assert_true(names.lost && names.n == SQL_NAMED_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_read_as_the_server_reads_them),
        cmocka_unit_test(without_rules_the_first_word_decides),
        cmocka_unit_test(the_text_of_one_among_several_keeps_its_place),
        cmocka_unit_test(what_cannot_be_told_is_said),
    };

    return cmocka_run_group_tests_name("sql_named", tests, NULL, NULL);
}
