/* Mutated migration files are read or refused with a place, never a crash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../proxy/engine/file.h"
#include "fuzz.h"

#define ROUNDS 20000
#define CAP 4096

static const char *const corpus[] = {
    "{\"name\": \"m\", \"operations\": [{\"rename_column\": {\"table\": \"s.t\", \"from\": \"a\", "
    "\"to\": \"b\", \"type\": \"jsonb\", \"up\": \"a::jsonb\", \"down\": \"b::text\"}}]}",
    "{\"name\": \"m\",\n \"operations\": [\n  {\"add_column\": {\"table\": \"t\", \"column\": "
    "{\"name\": \"c\", \"type\": \"int\", \"default\": \"1\", \"nullable\": false}}}],\n "
    "\"version_table\": {\"alembic\": {\"from\": [\"x\"], \"to\": \"z\"}}}",
    "{\"name\": \"m\", \"operations\": [{\"create_table\": {\"name\": \"n\", \"columns\": "
    "[{\"name\": \"id\", \"type\": \"int\", \"pk\": true, \"references\": {\"table\": \"u\", "
    "\"column\": \"id\", \"on_delete\": \"cascade\"}}]}}, {\"create_index\": {\"name\": \"i\", "
    "\"table\": \"t\", \"columns\": [\"a\", {\"column\": \"b\", \"sort\": \"desc\"}], \"unique\": "
    "true, \"predicate\": \"a > 1\"}}]}",
    "{\"name\": \"m\", \"operations\": [{\"create_table\": {\"name\": \"n\", \"columns\": "
    "[{\"name\": \"a\", \"type\": \"int\", \"generated\": {\"identity\": {\"sequence_options\": "
    "\"START 5\"}}}], \"constraints\": [{\"name\": \"e\", \"type\": \"exclude\", \"exclude\": "
    "{\"elements\": \"a WITH =\"}}, {\"name\": \"u\", \"type\": \"unique\", \"columns\": [\"a\"], "
    "\"index_parameters\": {\"storage_parameters\": \"fillfactor = 70\"}}]}}, {\"create_index\": "
    "{\"name\": \"i\", \"table\": \"t\", \"columns\": {\"b\": {\"collate\": \"C\", \"opclass\": "
    "{\"name\": \"o\", \"params\": [\"siglen=32\"]}}, \"a\": {}}}}]}",
};

static const char *const words[] = {"{",      "}",      "[",          "]",        ",",       ":",
                                    "\"",     "null",   "true",       "1e999",    "\\u0000", "\\",
                                    "\"up\"", "\"to\"", "\"table\":", "\"\xff\"", "\n",      "--",
                                    "$1",     "::",     "'",          "\"\\\"\"", "{}",      "[]"};

static void mutated_files_are_read_or_refused_with_a_place(void **state)
{
    struct fuzz fuzz = {0x5eed3, words, sizeof(words) / sizeof(words[0])};
    char text[CAP + 1];
    int read = 0, refused = 0;

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        const char *seed = corpus[fuzz_below(&fuzz, sizeof(corpus) / sizeof(corpus[0]))];
        size_t len = strlen(seed);
        struct file *file = NULL;
        struct err err = {0};
        char *exact;

        memcpy(text, seed, len);
        for (size_t n = fuzz_below(&fuzz, 5); n > 0; n--)
            len = fuzz_mutate(&fuzz, text, len, CAP);
        text[len] = '\0';
        exact = fuzz_exact(text, strlen(text) + 1);
        if (file_load("m.json", exact, &file, &err) == RC_OK) {
            read++;
            file_free(file);
        } else {
            refused++;
            assert_true(err_is_set(&err));
            assert_non_null(strstr(err.text, "m.json"));
        }
        free(exact);
    }
    assert_true(read > ROUNDS / 100);
    assert_true(refused > ROUNDS / 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutated_files_are_read_or_refused_with_a_place),
    };

    return cmocka_run_group_tests_name("fuzz/file", tests, NULL, NULL);
}
