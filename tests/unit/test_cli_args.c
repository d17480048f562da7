#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/cli/command.h"

static const struct cli_command row = {.name = "abort",
                                       .words = "NAME",
                                       .words_min = 1,
                                       .words_max = 1,
                                       .options = CLI_FORCE | CLI_AT};

static enum rc parse(const char *words, struct cli_args *args, struct err *err)
{
    static char text[256];
    char *argv[16];
    int argc = 0;

    snprintf(text, sizeof(text), "%s", words);
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    memset(err, 0, sizeof(*err));
    return cli_args_parse(&row, argc, argv, args, err);
}

static void options_may_stand_before_and_behind_words(void **state)
{
    struct cli_args args;
    struct err err;

    (void)state;
    unsetenv("SEGUE_SERVER");
    assert_int_equal(parse("--force m --json --server=postgresql://h", &args, &err), RC_OK);
    assert_string_equal(args.words[0], "m");
    assert_string_equal(args.server, "postgresql://h");
    assert_true(args.json);
    assert_int_equal(args.options, CLI_FORCE);
    assert_int_equal(parse("m --server postgresql://i", &args, &err), RC_OK);
    assert_string_equal(args.server, "postgresql://i");
    assert_int_equal(args.options, 0);
}

static void the_server_comes_from_the_environment_unless_told(void **state)
{
    struct cli_args args;
    struct err err;

    (void)state;
    setenv("SEGUE_SERVER", "postgresql://e", 1);
    assert_int_equal(parse("m", &args, &err), RC_OK);
    assert_string_equal(args.server, "postgresql://e");
    assert_int_equal(parse("m --server f", &args, &err), RC_OK);
    assert_string_equal(args.server, "f");
    unsetenv("SEGUE_SERVER");
    assert_int_equal(parse("m", &args, &err), RC_OK);
    assert_string_equal(args.server, "postgresql://127.0.0.1:6432/segue");
}

static void wrong_words_are_named(void **state)
{
    static const char *const cases[][2] = {
        {"", "abort needs NAME"},
        {"m n", "abort: \"n\" not expected"},
        {"m --detach", "abort does not know the option --detach"},
        {"m -x", "abort does not know the option -x"},
        {"m --server", "--server needs a URL"},
        {"m -5", "abort: \"-5\" not expected"}, /* a number is no option */
    };
    struct cli_args args;
    struct err err;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(parse(cases[i][0], &args, &err), RC_ERR);
        assert_string_equal(err.text, cases[i][1]);
        assert_string_equal(err.hint, "segue abort --help");
    }
}

static void an_option_with_a_value_takes_the_next_word(void **state)
{
    struct cli_args args;
    struct err err;

    (void)state;
    assert_int_equal(parse("--at 2026-01-31T23:30Z m --force", &args, &err), RC_OK);
    assert_string_equal(args.at, "2026-01-31T23:30Z");
    assert_string_equal(args.words[0], "m");
    assert_int_equal(args.options, CLI_FORCE | CLI_AT);
    assert_int_equal(parse("m", &args, &err), RC_OK);
    assert_null(args.at);
    assert_int_equal(parse("m --at", &args, &err), RC_ERR);
    assert_string_equal(err.text, "--at needs a value");
}

static void help_needs_no_words(void **state)
{
    struct cli_args args;
    struct err err;

    (void)state;
    assert_int_equal(parse("--help", &args, &err), RC_OK);
    assert_true(args.help);
}

static void behind_two_hyphens_everything_is_a_word(void **state)
{
    struct cli_args args;
    struct err err;

    (void)state;
    assert_int_equal(parse("-- --json", &args, &err), RC_OK);
    assert_string_equal(args.words[0], "--json");
    assert_false(args.json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_may_stand_before_and_behind_words),
        cmocka_unit_test(the_server_comes_from_the_environment_unless_told),
        cmocka_unit_test(wrong_words_are_named),
        cmocka_unit_test(an_option_with_a_value_takes_the_next_word),
        cmocka_unit_test(help_needs_no_words),
        cmocka_unit_test(behind_two_hyphens_everything_is_a_word),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
