#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/admin/token.h"

/* kind letter and value of each token: w'word' t'text' n'name' s'symbol' ; */
static char *spelled(const char *text)
{
    static const char letters[] = "wtns;";
    struct adm_tokens tokens = {0};
    struct err err = {0};
    char *out = calloc(1, 1024);

    if (adm_tokenize(text, &tokens, &err) != RC_OK)
        strcpy(out, err.text);
    for (size_t i = 0; !err_is_set(&err) && i < tokens.count; i++) {
        size_t len = strlen(out);

        snprintf(out + len, 1024 - len, "%s%c%s", i ? " " : "", letters[tokens.items[i].kind],
                 tokens.items[i].kind == ADM_SEMICOLON ? "" : tokens.items[i].value);
    }
    adm_tokens_free(&tokens);
    return out;
}

static void words_texts_and_names_are_told_apart(void **state)
{
    static const char *const cases[][2] = {
        {"", ""},
        {" \t\n", ""},
        {"SHOW STATUS;", "wSHOW wSTATUS ;"},
        {"cutover 01-a.b_c", "wcutover w01-a.b_c"},
        {"abort \"a \"\"b\" force", "wabort na \"b wforce"},
        {"plan 'it''s \\n' file '/a b'", "wplan tit's \\n wfile t/a b"},
        {"plan E'it\\'s\\n\\\\'", "wplan tit's\n\\"},
        {"set a=1,(b)", "wset wa s= w1 s, s( wb s)"},
        {"show -- comment ' \n help /* ; ' */;", "wshow whelp ;"},
        {"show help -- to the end", "wshow whelp"},
        {"plan ''", "wplan t"},
        {"e 'x'", "we tx"},
        {"'a", "a quote (') without an end"},
        {"\"a\"\"", "a quote (\") without an end"},
        {"show /* help", "a comment without an end"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *got = spelled(cases[i][0]);

        assert_string_equal(got, cases[i][1]);
        free(got);
    }
}

static void a_quoted_word_is_not_a_keyword(void **state)
{
    struct adm_token bare = {ADM_WORD, "show"}, quoted = {ADM_TEXT, "show"};

    (void)state;
    assert_true(adm_token_is(&bare, "SHOW"));
    assert_false(adm_token_is(&quoted, "SHOW"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_texts_and_names_are_told_apart),
        cmocka_unit_test(a_quoted_word_is_not_a_keyword),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
