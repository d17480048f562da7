#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "segue/base/option.h"

static const char *refuse_short(const char *text)
{
    return strlen(text) < 3 ? "at least three characters" : NULL;
}

static const char *const colours[] = {"red", "green", NULL};

static enum rc check_objects(const char *json, struct err *err)
{
    if (!strstr(json, "bad"))
        return RC_OK;
    err_set(err, "22023", "object 1: bad");
    err_hint(err, "be good");
    return RC_ERR;
}

enum { COUNT, COLOUR, USERS, SECRET, WORD, OBJECTS };
static const struct opt_row rows[] = {
    [COUNT] = {.name = "count_max", .type = OPT_NUMBER, .fallback = "5", .min = 1, .max = 9},
    [COLOUR] = {.name = "colour", .type = OPT_CHOICE, .fallback = "red", .choices = colours},
    [USERS] = {.name = "users", .type = OPT_LIST, .fallback = ""},
    [SECRET] = {.name = "secret", .type = OPT_TEXT, .fallback = "", .secret = true},
    [WORD] = {.name = "word", .type = OPT_TEXT, .fallback = "abc", .refuse = refuse_short},
    [OBJECTS] = {.name = "objects", .type = OPT_OBJECTS, .fallback = "", .check = check_objects},
};

static struct opt_set *new_set(void)
{
    return opt_set_new(rows, ARRAY_LEN(rows));
}

static void every_complaint_of_a_file_has_line_field_and_what_is_allowed(void **state)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"{\n\"count_max\": 10}",
         "f:2: option \"count_max\" must be an integer from 1 to 9, not \"10\""},
        {"{\"count_max\": -1}",
         "f:1: option \"count_max\" must be an integer from 1 to 9, not \"-1\""},
        {"{\"colour\": \"red\",\n\n\"count_max\": \"7\"}",
         "f:3: option \"count_max\" must be an integer from 1 to 9, not a string"},
        {"{\"count_max\": 1.5}",
         "f:1: option \"count_max\" must be an integer from 1 to 9, not a fraction"},
        {"{\"count_max\": 99999999999999}",
         "f:1: option \"count_max\" must be an integer from 1 to 9, not \"99999999999999\""},
        {"{\"colour\": \"blue\"}",
         "f:1: option \"colour\" must be one of \"red\", \"green\", not \"blue\""},
        {"{\"colour\": null}",
         "f:1: option \"colour\" must be one of \"red\", \"green\", not null"},
        {"{\"users\": \"a\"}", "f:1: option \"users\" must be a list of names, not a string"},
        {"{\"users\": [\"a\", 1]}", "f:1: option \"users\" must be a list of names (strings that "
                                    "are not empty and have no comma)"},
        {"{\"users\": {\"colour\": 1},\n \"color\": 1}",
         "f:1: option \"users\" must be a list of names, not an object"},
        {"{\"word\": \"ab\"}",
         "f:1: option \"word\" must be at least three characters, not \"ab\""},
        {"{\"objects\": \"\"}", "f:1: option \"objects\" must be a list of objects, not a string"},
        {"{\n\"objects\": [{\"bad\": 1}]}", "f:2: option \"objects\": object 1: bad"},
        {"{\n\n\"color\": \"red\"}", "f:3: there is no option \"color\""},
        {"{\"count-max\": 3}", "f:1: there is no option \"count-max\""},
        {"[]", "f:1: must be one JSON object of options, not an array"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct opt_set *set = new_set();
        struct err err = {0};

        assert_int_equal(opt_load_text(set, "f", cases[i].text, &err), RC_ERR);
        assert_string_equal(err.text, cases[i].expected);
        opt_set_free(set);
    }
}

static void text_that_is_not_json_is_refused_with_its_line(void **state)
{
    struct opt_set *set = new_set();
    struct err err = {0};

    (void)state;
    assert_int_equal(opt_load_text(set, "f", "{\n\"colour\": \"red\",\n}", &err), RC_ERR);
    assert_non_null(strstr(err.text, "f:3: not valid JSON"));
    err_clear(&err);
    assert_int_equal(opt_load_text(set, "f", "{\"colour\": \"red\", \"colour\": \"green\"}", &err),
                     RC_ERR);
    assert_non_null(strstr(err.text, "duplicate"));
    opt_set_free(set);
}

static void an_unknown_option_gets_the_nearest_as_a_hint(void **state)
{
    struct opt_set *set = new_set();
    struct err err = {0};

    (void)state;
    assert_int_equal(opt_load_text(set, "f", "{\"color\": \"red\"}", &err), RC_ERR);
    assert_string_equal(err.hint, "did you mean \"colour\"?");
    opt_set_free(set);
}

static void a_later_source_wins_and_is_remembered(void **state)
{
    struct opt_set *set = new_set();
    struct err err = {0};

    (void)state;
    assert_int_equal(set->values[COUNT].number, 5);
    assert_int_equal(opt_load_text(set, "f", "{\"count_max\": 6, \"users\": [\"a\", \"b\"]}", &err),
                     RC_OK);
    assert_int_equal(set->values[COUNT].number, 6);
    assert_string_equal(set->values[USERS].list[1], "b");
    assert_null(set->values[USERS].list[2]);
    setenv("T_COUNT_MAX", "7", 1);
    setenv("T_COLOUR", "", 1);
    assert_int_equal(opt_load_environment(set, "T_", &err), RC_OK);
    assert_int_equal(set->values[COUNT].number, 7);
    assert_string_equal(set->values[COLOUR].text, "red");
    assert_int_equal(set->values[COUNT].source, OPT_ENVIRONMENT);
    setenv("T_COUNT_MAX", "seven", 1);
    assert_int_equal(opt_load_environment(set, "T_", &err), RC_ERR);
    assert_string_equal(err.text, "environment variable T_COUNT_MAX: option \"count_max\" must be "
                                  "an integer from 1 to 9, not \"seven\"");
    assert_int_equal(set->values[COUNT].number, 7);
    unsetenv("T_COUNT_MAX");
    opt_set_free(set);
}

static void flags_may_spell_options_with_hyphens(void **state)
{
    struct opt_set *set = new_set();

    (void)state;
    assert_int_equal(opt_find(set, "count-max"), COUNT);
    assert_int_equal(opt_find(set, "count_max"), COUNT);
    assert_int_equal(opt_find(set, "count_ma"), -1);
    assert_int_equal(opt_find(set, "count_maxx"), -1);
    opt_set_free(set);
}

static void passwords_are_never_shown(void **state)
{
    static const char *const cases[][2] = {
        {"postgresql://u:secret@h:5432/d", "postgresql://u:***@h:5432/d"},
        {"postgresql://u@h/d", "postgresql://u@h/d"},
        {"postgresql://h:5432/d", "postgresql://h:5432/d"},
        {"postgresql://u:se@cret@h/d", "postgresql://u:***@h/d"},
        {"postgresql://u:se/secret@h/d", "postgresql://u:***@h/d"},
        {"postgresql://u@h/d?password=secret&sslmode=require",
         "postgresql://u@h/d?password=***&sslmode=require"},
        {"host=h password=secret user=u", "host=h password=*** user=u"},
        {"host=h password = 'se cr\\'secret' user=u", "host=h password = *** user=u"},
        {"host=h sslpassword=secret", "host=h sslpassword=***"},
        {"host=h password=secret&more dbname=d", "host=h password=*** dbname=d"},
        {"host=h password=se\\ cret user=u", "host=h password=*** user=u"},
        {"host=h password\t=\tsecret user=u", "host=h password\t=\t*** user=u"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *shown = opt_mask_url(cases[i][0]);

        assert_string_equal(shown, cases[i][1]);
        free(shown);
    }
}

static void a_refused_secret_is_not_in_the_error(void **state)
{
    static const struct opt_row secret_rows[] = {
        {.name = "secret",
         .type = OPT_TEXT,
         .fallback = "abc",
         .refuse = refuse_short,
         .secret = true},
    };
    struct opt_set *set = opt_set_new(secret_rows, 1);
    struct err err = {0};

    (void)state;
    assert_int_equal(opt_set_text(set, 0, "xy", OPT_FLAG, &err), RC_ERR);
    assert_null(strstr(err.text, "xy"));
    opt_set_free(set);
}

static void objects_are_kept_as_compact_json_and_an_empty_list_as_nothing(void **state)
{
    struct opt_set *set = new_set();
    struct err err = {0};

    (void)state;
    assert_string_equal(set->values[OBJECTS].text, "");
    assert_int_equal(opt_load_text(set, "f", "{\"objects\": [ {\"a\": \"x, y\"} ]}", &err), RC_OK);
    assert_string_equal(set->values[OBJECTS].text, "[{\"a\":\"x, y\"}]");
    assert_int_equal(opt_load_text(set, "f", "{\"objects\": []}", &err), RC_OK);
    assert_string_equal(set->values[OBJECTS].text, "");
    assert_int_equal(opt_set_text(set, OBJECTS, "[{\"bad\": 1}]", OPT_FLAG, &err), RC_ERR);
    assert_string_equal(err.text, "option \"objects\": object 1: bad");
    assert_string_equal(err.hint, "be good");
    opt_set_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_are_kept_as_compact_json_and_an_empty_list_as_nothing),
        cmocka_unit_test(every_complaint_of_a_file_has_line_field_and_what_is_allowed),
        cmocka_unit_test(text_that_is_not_json_is_refused_with_its_line),
        cmocka_unit_test(an_unknown_option_gets_the_nearest_as_a_hint),
        cmocka_unit_test(a_later_source_wins_and_is_remembered),
        cmocka_unit_test(flags_may_spell_options_with_hyphens),
        cmocka_unit_test(passwords_are_never_shown),
        cmocka_unit_test(a_refused_secret_is_not_in_the_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
