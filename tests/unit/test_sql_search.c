/* sql/search.h: names in a text, between boundaries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "../../proxy/sql/search.h"
#include "fuzz.h"
#include "segue/base/rc.h"

#define LONG "a123456789b123456789c123456789d123456789e123456789f123456789abc" /* 63 bytes */

static void some_names(struct sql_search *search)
{
    sql_search_init(search);
    sql_search_add(search, "checks", 1);
    sql_search_add(search, "check", 2);
    sql_search_add(search, "Ta\"gs", 4);
    sql_search_add(search, "~x", 8);
    sql_search_add(search, LONG, 16);
    sql_search_add(search, "\xc3\xa9t\xc3\xa9", 32);
}

static void names_count_between_boundaries(void **state)
{
    static const struct {
        const char *text;
        uint64_t found;
    } rows[] = {
        {"", 0},
        {"checks", 1},
        {"CHECKS,check", 3},
        {"\"checks\".x", 1},
        {"checks_", 0},
        {"checks1", 0},
        {"xchecks", 0},
        {"_checks 1checks \xc3\xa9"
         "checks",
         0},
        {"checkschecks", 0},
        {"$checks$", 1},
        {"tA\"\"GS", 4},
        {"ta\"gs", 0},
        {"(~x)", 8},
        {"a~x", 0},
        {LONG, 16},
        {LONG "more", 16}, /* which the server cuts */
        {"x" LONG, 0},
        {"\xc3\xa9t\xc3\xa9", 32},
        {"x\xc3\xa9t\xc3\xa9", 0},
        {"u&\"x\"", UINT64_MAX},
        {"U&\"", UINT64_MAX},
        {"u& \"checks\"", 1},
        {"u&'x'", 0},
        {"&\"", 0},
        {"\"", 0},
    };
    struct sql_search search;

    (void)state;
    some_names(&search);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t len = strlen(rows[i].text);
        char *exact = fuzz_exact(rows[i].text, len);

        if (sql_search_run(&search, exact, len, 0) != rows[i].found ||
            !sql_search_run(&search, exact, len, 1) != !rows[i].found)
            fail_msg("%s", rows[i].text);
        free(exact);
    }
    sql_search_fini(&search);
}

static void without_names_only_escaped_ones_are_found(void **state)
{
    struct sql_search search;

    (void)state;
    sql_search_init(&search);
    assert_true(sql_search_run(&search, "checks", 6, 0) == 0);
    assert_true(sql_search_run(&search, "u&\"", 3, 0) == UINT64_MAX);
    sql_search_fini(&search);
}

static bool is_name(unsigned char c)
{
    return c >= 0x80 || c == '_' || (c >= '0' && c <= '9') ||
           ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* The same, one name and one place after the other. */
static uint64_t slowly(const struct sql_search *search, const char *text, size_t len)
{
    uint64_t found = 0;

    for (size_t i = 0; i < len; i++) {
        if (len - i >= 3 && (text[i] | 0x20) == 'u' && text[i + 1] == '&' && text[i + 2] == '"')
            return UINT64_MAX;
        for (size_t n = 0; n < search->n; n++) {
            const struct sql_needle *needle = &search->needles[n];
            size_t end = i + needle->len;

            if (end <= len && strncasecmp(text + i, needle->text, needle->len) == 0 &&
                (i == 0 || !is_name((unsigned char)text[i - 1])) &&
                (end == len || needle->len >= 63 || !is_name((unsigned char)text[end])))
                found |= needle->mask;
        }
    }
    return found;
}

/* Takes the names. */
static void compare(struct sql_search search, int times)
{
    static const char *const words[] = {"checks", "check", "ta\"\"gs",          "~x",   "u&\"",
                                        LONG,     "_",     "\xc3\xa9t\xc3\xa9", "CHECK"};
    static const char seed[] = "SELECT checks.*, \"Ta\"\"gs\".a FROM check, checks WHERE ~x = 1";
    struct fuzz fuzz = {0x5eed7, words, ARRAY_LEN(words)};
    char text[512];

    for (int i = 0; i < times; i++) {
        size_t len = sizeof(seed) - 1;
        uint64_t found;

        memcpy(text, seed, len);
        for (size_t n = 1 + fuzz_below(&fuzz, 8); n > 0; n--)
            len = fuzz_mutate(&fuzz, text, len, sizeof(text));
        found = slowly(&search, text, len);
        if (sql_search_run(&search, text, len, 0) != found ||
            !sql_search_run(&search, text, len, 1) != !found)
            fail_msg("%.*s", (int)len, text);
    }
    sql_search_fini(&search);
}

static void mutated_texts_give_what_a_simple_search_gives(void **state)
{
    struct sql_search search;

    (void)state;
    some_names(&search);
    compare(search, 100000);
}

/* As many as are gone through by letters; some begin with others, or are one. */
static void many_names_are_found_as_few_are(void **state)
{
    struct sql_search search;
    char name[80];

    (void)state;
    some_names(&search);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "%s%d", i % 3 ? "check" : "t", i % 70);
        sql_search_add(&search, name, UINT64_C(1) << (i % 50 + 8));
        memset(name, 'C', sizeof(name) - 1);
        name[1 + i % 75] = '\0';
        sql_search_add(&search, name, UINT64_C(1) << (i % 50 + 8));
    }
    compare(search, 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_count_between_boundaries),
        cmocka_unit_test(without_names_only_escaped_ones_are_found),
        cmocka_unit_test(mutated_texts_give_what_a_simple_search_gives),
        cmocka_unit_test(many_names_are_found_as_few_are),
    };

    return cmocka_run_group_tests_name("sql/search", tests, NULL, NULL);
}
