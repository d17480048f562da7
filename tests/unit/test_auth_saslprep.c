/* SASLprep as PostgreSQL does it: what verifiers of a real server say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/auth/saslprep.h"
#include "segue/auth/scram.h"
#include "segue/base/rc.h"

/* rolpassword of PostgreSQL 18 after CREATE ROLE ... PASSWORD. */
static const struct {
    const char *password, *prepared; /* NULL: the password's bytes count as they are */
    const char *verifier;
} rows[] = {
    /* prohibited (C.8), though NFKC would make U+0300 of it */
    {"x\xcd\x80", NULL,
     "SCRAM-SHA-256$4096:aBAekeVgUEBnkX9wSaz5fA==$"
     "CTk5eujRXJFx6a1OWHAkdtqs1CxQzzdZBQSnUrYVC8U=:"
     "whx8C5hTCdDh24AwG0rAZvP84V3ok3xd/As0XH8yzKE="},
    /* right-to-left and left-to-right */
    {"a\xd6\xbe", NULL,
     "SCRAM-SHA-256$4096:hRjgDqgqoIFTcJIG9222QA==$"
     "9cdGTCufF/goAEeX5EPxS8XCkLHBkPO+fG5oz5txGME=:"
     "T8GMrBmaYwxBC3UcnKzlF8I9Ty3G39z4u6dkVOPY5jQ="},
    /* nothing would be left */
    {"\xc2\xad", NULL,
     "SCRAM-SHA-256$4096:sz9SoPCLTmPUEfzIvobHJA==$"
     "ORr44Q7sAUSak0S9zDMs3gGI7MvlIrPxxweePbImEHo=:"
     "1vmsF+Hki1rN3Ck2n/R9at8zXbaaGo44onI+ZCQX3QE="},
    /* ligature, space, Roman numeral */
    {"\xef\xac\x81\xe2\x80\x83\xe2\x85\xa8", "fi IX",
     "SCRAM-SHA-256$4096:pq0JhtxISMiKbMFlvwC0nQ==$"
     "emEHLUSNcp86Gis0KT/WMXxQai4fycd1Y1cdVA85PDs=:"
     "Ua3sR4ggqwKGunXE2hqx4MA6aaaEcDzp7mDb3ZxFaMk="},
    /* unassigned in Unicode 3.2 */
    {"\xc8\xa1"
     "a",
     NULL,
     "SCRAM-SHA-256$4096:zCsJBdRFGWwHa78cY/AudQ==$"
     "9s+TBVzL47CTDoRropdAg/irwfUN4kDF+8ojjhbICOU=:"
     "R1QmHsp1T6dtmCt+flyGmpB0d9uRGWBJYNbJTUAweoI="},
    /* Hangul is composed */
    {"\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8", "\xea\xb0\x81",
     "SCRAM-SHA-256$4096:tul0rvcZZx4s8/zDgzGlCg==$"
     "XyRifRThp30DC1U2hcQ2oQ20uyaT6DtRRRWq562O9aI=:"
     "rFBMNTzapyf33SAiG7ur3EWZXQ5D2N8u3bfbfXV8b9g="},
    /* composed */
    {"e\xcc\x81", "\xc3\xa9",
     "SCRAM-SHA-256$4096:5fcIVkMyznubP7FSOTIdXw==$"
     "LeqsP6pdbAMd7HaY4WJ+Zy+A0OVD+5jBTfmYlQ3r0Ms=:"
     "lsPxl04hwjxD/rKSPJT9MkYIFtThj37VHoW9Vx9MFH4="},
    /* right-to-left, but not at the end */
    {"\xd8\xa7"
     "1",
     NULL,
     "SCRAM-SHA-256$4096:l9pginygP12QtVNWfI9nOA==$"
     "b2DTpRWTatxfry/2MVSnXOQx9N2zf5QpIFgPjyTbdpk=:"
     "1vczROmWBsX1UijVtNL5g0DLE1VX6JK5JlFbDw7GmA0="},
    /* right-to-left at both ends */
    {"\xd8\xa7"
     "1\xd8\xa8",
     "\xd8\xa7"
     "1\xd8\xa8",
     "SCRAM-SHA-256$4096:87A2NpiKrHzLcEvAF1AyEQ==$"
     "0SZMCl5i9KvpWtGHgOZZ491Cs+Y14xRbiqO+wYq79HY=:"
     "prUBNtFVFhrKm320n9sivVYul3dViJS13XLiD4J8RbA="},
    /* unassigned in Unicode 3.2 */
    {"\xf0\x9f\x98\x80x", NULL,
     "SCRAM-SHA-256$4096:2PFOhUmPPeg6I10sRyfkiA==$"
     "TXHy0Z1G3oj8GtWtqLsoxNX1WzwRNYPRlHqCH8WqVXU=:"
     "dKRejYgGUhv8vSuAq3TCokfO6BHkHPN0Szc6phuzPEk="},
    /* control character */
    {"\xc2\x85", NULL,
     "SCRAM-SHA-256$4096:Ze9SWe4RFhTHPTxPdv2ruw==$"
     "YpU3BMUiIBMeESpc2LzeS5FXpbLrkSlYD7qjqGzQ95M=:"
     "gp+tVOu6VXxPZVx7zmr2i8iWaAqk4/u+ZlKAjschpFU="},
};

static void a_password_gives_the_keys_that_postgresql_made_of_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct auth_users *users;
        struct buf text = {0};
        struct err err = {0};

        buf_printf(&text, "\"u\" \"%s\"", rows[i].verifier);
        assert_int_equal(auth_users_parse("list", text.data, text.len, &users, &err), RC_OK);
        assert_true(auth_password_is(auth_users_find(users, "u"), "u", rows[i].password));
        auth_users_unref(users);
        buf_fini(&text);
    }
}

static void what_can_be_prepared_is_and_the_rest_is_left(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *prepared = saslprep(rows[i].password);

        if (rows[i].prepared)
            assert_string_equal(prepared, rows[i].prepared);
        else
            assert_null(prepared);
        free(prepared);
    }
}

static void ascii_is_left_as_it_is_control_characters_too(void **state)
{
    (void)state;
    assert_null(saslprep("pencil"));
    assert_null(saslprep(""));
    assert_null(saslprep("\x01\x7f"));
}

static void bytes_that_are_not_utf8_are_left(void **state)
{
    static const char *const texts[] = {
        "\x80",
        "\xc3",
        "\xc3(",
        "\xc0\x80",
        "\xe2\x82",
        "\xe0\x80\x80",
        "\xed\xa0\x80",
        "\xf4\x90\x80\x80",
        "\xf0\x80\x80\x80",
        "\xf8\x88\x80\x80\x80",
        "caf\xe9",
        "\xff",
        "\xc2\xaa\xc2",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_null(saslprep(texts[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_password_gives_the_keys_that_postgresql_made_of_it),
        cmocka_unit_test(what_can_be_prepared_is_and_the_rest_is_left),
        cmocka_unit_test(ascii_is_left_as_it_is_control_characters_too),
        cmocka_unit_test(bytes_that_are_not_utf8_are_left),
    };

    return cmocka_run_group_tests_name("auth/saslprep", tests, NULL, NULL);
}
