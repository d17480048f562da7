/* proxy/engine/parts_name.c: what the indexes of partitions are called, and how they are made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/engine/parts.h"
#include "segue/base/rc.h"

static const struct {
    const char *relation;
    const char *columns[3];
    size_t n;
    const char *label;
    unsigned pass;
    const char *name;
} names[] = {
    {"t", {"a", "b"}, 2, "idx", 0, "t_a_b_idx"}, {"t", {"a"}, 1, "idx", 1, "t_a_idx1"},
    {"t", {"a"}, 1, "idx", 12, "t_a_idx12"},     {"t", {"a"}, 1, "key", 0, "t_a_key"},
    {"t", {NULL}, 0, "pkey", 0, "t_pkey"},
};

static void names_are_those_that_postgresql_gives(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char *name = parts_name(names[i].relation, names[i].columns, names[i].n, names[i].label,
                                names[i].pass);

        assert_string_equal(name, names[i].name);
        free(name);
    }
}

static void the_longer_of_both_is_cut(void **state)
{
    char many[61], wanted[64];
    const char *few[] = {"a"}, *long_one[] = {many};
    char *name;

    (void)state;
    memset(many, 'r', sizeof(many) - 1);
    many[sizeof(many) - 1] = '\0';
    name = parts_name(many, few, 1, "idx", 0);
    snprintf(wanted, sizeof(wanted), "%.57s_a_idx", many);
    assert_string_equal(name, wanted);
    free(name);
    name = parts_name("t", long_one, 1, "idx", 0);
    snprintf(wanted, sizeof(wanted), "t_%.57s_idx", many);
    assert_string_equal(name, wanted);
    free(name);
}

static void no_character_is_cut_in_two(void **state)
{
    const char *columns[] = {"a"};
    char relation[80] = "x", *name;

    (void)state;
    for (int i = 0; i < 31; i++)
        strcat(relation,
               "\xc3\xa9"); /* 63 bytes: room is for 57, the last of them half a character */
    name = parts_name(relation, columns, 1, "idx", 0);
    assert_int_equal(strlen(name), 1 + 28 * 2 + strlen("_a_idx"));
    free(name);
    relation[0] = '\0';
    for (int i = 0; i < 31; i++)
        strcat(relation, "\xc3\xa9");
    name = parts_name(relation, columns, 1, "idx", 0);
    assert_int_equal(strlen(name), 28 * 2 + strlen("_a_idx"));
    free(name);
}

static void names_stand_in_front_of_the_first_parenthesis_alone(void **state)
{
    char *text = parts_fill("CREATE INDEX {index} ON ONLY {partition} USING btree (a) WHERE a = "
                            "'{index}'",
                            NULL, "i", "s.\"p (\"");

    (void)state;
    assert_string_equal(text,
                        "CREATE INDEX i ON ONLY s.\"p (\" USING btree (a) WHERE a = '{index}'");
    free(text);
    text = parts_fill("ALTER INDEX {whole} ATTACH PARTITION {index}", "s.w", "s.i", NULL);
    assert_string_equal(text, "ALTER INDEX s.w ATTACH PARTITION s.i");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_those_that_postgresql_gives),
        cmocka_unit_test(the_longer_of_both_is_cut),
        cmocka_unit_test(no_character_is_cut_in_two),
        cmocka_unit_test(names_stand_in_front_of_the_first_parenthesis_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
