#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "segue/base/err.h"
#include "segue/base/rc.h"
#include "segue/base/utf8.h"

static const struct {
    const char *text, *mended;
} rows[] = {
    {"", ""},
    {"plain", "plain"},
    {"gr\xc3\xb6\xc3\x9f\x65 \xe2\x82\xac \xf0\x9f\x8e\xb5",
     "gr\xc3\xb6\xc3\x9f\x65 \xe2\x82\xac \xf0\x9f\x8e\xb5"},
    {"cut \xe2\x82", "cut "},
    {"cut \xc3", "cut "},
    {"latin1 gr\xf6\xdf\x65", "latin1 gr??e"},
    {"overlong \xc0\xaf", "overlong ??"},
    {"surrogate \xed\xa0\x80", "surrogate ???"},
    {"beyond \xf4\x90\x80\x80", "beyond ????"},
    {"stray \x80\xbf", "stray ??"},
};

static void what_is_not_utf8_is_mended_and_the_rest_left_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[64];

        snprintf(text, sizeof(text), "%s", rows[i].text);
        utf8_mend(text);
        assert_string_equal(text, rows[i].mended);
    }
}

static void an_error_is_cut_between_characters(void **state)
{
    (void)state;
    for (int pad = 0; pad < 3; pad++) {
        struct err err = {0};
        char was[sizeof(err.text)];

        err_set(&err, "22000", "%.*s%0*d\xe2\x82\xac", pad, "aaa", (int)sizeof(err.text) - 4, 0);
        snprintf(was, sizeof(was), "%s", err.text);
        utf8_mend(was);
        assert_string_equal(err.text, was);
        assert_int_equal((unsigned char)err.text[0] < 0x80, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_utf8_is_mended_and_the_rest_left_alone),
        cmocka_unit_test(an_error_is_cut_between_characters),
    };

    return cmocka_run_group_tests_name("base/utf8", tests, NULL, NULL);
}
