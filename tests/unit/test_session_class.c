#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/session/class.h"

static void a_tag_tells_the_class(void **state)
{
    static const struct {
        const char *tag;
        enum sess_class class;
    } rows[] = {
        {"SELECT 1", SESS_CLASS_SELECT},
        {"INSERT 0 5", SESS_CLASS_INSERT},
        {"UPDATE 3", SESS_CLASS_UPDATE},
        {"DELETE 0", SESS_CLASS_DELETE},
        {"MERGE 2", SESS_CLASS_MERGE},
        {"COPY 100", SESS_CLASS_COPY},
        {"FETCH 1", SESS_CLASS_SELECT},
        {"BEGIN", SESS_CLASS_TRANSACTION},
        {"START TRANSACTION", SESS_CLASS_TRANSACTION},
        {"COMMIT", SESS_CLASS_TRANSACTION},
        {"COMMIT PREPARED", SESS_CLASS_TRANSACTION},
        {"ROLLBACK", SESS_CLASS_TRANSACTION},
        {"SAVEPOINT", SESS_CLASS_TRANSACTION},
        {"RELEASE", SESS_CLASS_TRANSACTION},
        {"PREPARE TRANSACTION", SESS_CLASS_TRANSACTION},
        {"PREPARE", SESS_CLASS_OTHER},
        {"SET", SESS_CLASS_OTHER},
        {"SHOW", SESS_CLASS_OTHER},
        {"CREATE TABLE", SESS_CLASS_OTHER},
        {"DISCARD ALL", SESS_CLASS_OTHER},
        {"", SESS_CLASS_OTHER},
        {"S", SESS_CLASS_OTHER},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(sess_class_of(rows[i].tag, strlen(rows[i].tag)), rows[i].class);
}

static void a_tag_that_is_cut_is_not_read_past_its_end(void **state)
{
    (void)state;
    assert_int_equal(sess_class_of("SELECT 1", 6), SESS_CLASS_OTHER);
    assert_int_equal(sess_class_of("SELECT 1", 7), SESS_CLASS_SELECT);
}

static void a_tag_tells_whether_the_catalog_may_have_changed(void **state)
{
    static const struct {
        const char *tag;
        enum sess_ddl ddl;
    } rows[] = {
        {"ALTER TABLE", SESS_DDL_TABLE},
        {"ALTER TYPE", SESS_DDL_SOME},
        {"CREATE TABLE", SESS_DDL_SOME},
        {"DROP TABLE", SESS_DDL_SOME},
        {"GRANT", SESS_DDL_SOME},
        {"REVOKE ROLE", SESS_DDL_SOME},
        {"DO", SESS_DDL_SOME},
        {"COMMIT PREPARED", SESS_DDL_SOME},
        {"COMMIT", SESS_DDL_NONE},
        {"SELECT 1", SESS_DDL_NONE},
        {"DOES NOT EXIST", SESS_DDL_NONE},
        {"DISCARD ALL", SESS_DDL_NONE},
        {"ALTER", SESS_DDL_NONE},
        {"COPY 1", SESS_DDL_NONE},
        {"RESET", SESS_DDL_NONE},
        {"alter table", SESS_DDL_NONE}, /* the server writes capitals */
        {"\xc1LTER TABLE", SESS_DDL_NONE},
        {"", SESS_DDL_NONE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(sess_ddl_of(rows[i].tag, strlen(rows[i].tag) + 1), rows[i].ddl);
    assert_int_equal(sess_ddl_of("ALTER TABLE", 10), SESS_DDL_SOME);
    assert_int_equal(sess_ddl_of("ALTER TABLE", 5), SESS_DDL_NONE);
    assert_int_equal(sess_ddl_of("ALTER TABLE", 0), SESS_DDL_NONE);
}

static void of_several_statements_the_work_counts_and_an_error_most(void **state)
{
    (void)state;
    assert_int_equal(sess_class_join(SESS_CLASS_NONE, SESS_CLASS_TRANSACTION),
                     SESS_CLASS_TRANSACTION);
    assert_int_equal(sess_class_join(SESS_CLASS_TRANSACTION, SESS_CLASS_UPDATE), SESS_CLASS_UPDATE);
    assert_int_equal(sess_class_join(SESS_CLASS_UPDATE, SESS_CLASS_TRANSACTION), SESS_CLASS_UPDATE);
    assert_int_equal(sess_class_join(SESS_CLASS_ERROR, SESS_CLASS_SELECT), SESS_CLASS_ERROR);
}

static void an_error_tells_its_sqlstate_class_wherever_it_is_cut(void **state)
{
    static const char msg[] = "E\0\0\0\x40SERROR\0VERROR\0C23505\0Mduplicate\0\0";
    char name[3];

    (void)state;
    sess_sqlstate_class_name(sess_sqlstate_class(msg, sizeof(msg)), name);
    assert_string_equal(name, "23");
    for (size_t len = 0; len < 22; len++) {
        assert_true(sess_sqlstate_class(msg, len) < SESS_SQLSTATES);
        sess_sqlstate_class_name(sess_sqlstate_class(msg, len), name);
        assert_string_equal(name, "??");
    }
}

static void an_error_without_a_sqlstate_has_the_last_class(void **state)
{
    static const char none[] = "E\0\0\0\x20SERROR\0Mx\0\0",
                      odd[] = "E\0\0\0\x20"
                              "C\xff\xfe\0\0",
                      empty[] = "E\0\0\0\x20"
                                "C\0\0\0";

    (void)state;
    assert_int_equal(sess_sqlstate_class(none, sizeof(none)), SESS_SQLSTATES - 1);
    assert_int_equal(sess_sqlstate_class(odd, sizeof(odd)), SESS_SQLSTATES - 1);
    assert_int_equal(sess_sqlstate_class(empty, sizeof(empty)), SESS_SQLSTATES - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tag_tells_the_class),
        cmocka_unit_test(a_tag_that_is_cut_is_not_read_past_its_end),
        cmocka_unit_test(a_tag_tells_whether_the_catalog_may_have_changed),
        cmocka_unit_test(of_several_statements_the_work_counts_and_an_error_most),
        cmocka_unit_test(an_error_tells_its_sqlstate_class_wherever_it_is_cut),
        cmocka_unit_test(an_error_without_a_sqlstate_has_the_last_class),
    };

    return cmocka_run_group_tests_name("session/class", tests, NULL, NULL);
}
