/* sql/renames.h: what statements of the engine call things from now on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "segue/base/rc.h"
#include "segue/sql/renames.h"

static void statements_tell_the_name_before_and_the_one_after(void **state)
{
    static const char *const rows[][3] = {
        {"ALTER TABLE s.t RENAME CONSTRAINT \"a \"\" TO\" TO b", "a \" TO", "b"},
        {"ALTER INDEX s.a RENAME TO \"~segue_1_2\"", "a", "~segue_1_2"},
        {"ALTER TABLE s.t RENAME COLUMN a TO b", "a", "b"},
        {"ALTER TABLE t ADD CONSTRAINT k PRIMARY KEY USING INDEX \"~segue_1_2\"", "~segue_1_2",
         "k"},
        {"ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0)", NULL, NULL},
        {"ALTER TABLE t RENAME TO u", NULL, NULL},
        {"DO 'ALTER TABLE t RENAME a TO b'", NULL, NULL},
        {"this is no statement", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *from, *to;

        assert_int_equal(sql_renames(rows[i][0], &from, &to), rows[i][1] != NULL);
        if (rows[i][1]) {
            assert_string_equal(from, rows[i][1]);
            assert_string_equal(to, rows[i][2]);
        }
        free(from);
        free(to);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statements_tell_the_name_before_and_the_one_after),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
