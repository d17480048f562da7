/* Mutated SQL never crashes the sql layer, and what names a migrating table always counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../fuzz/rules.h"
#include "fuzz.h"
#include "segue/sql/cache.h"
#include "segue/sql/expr.h"

#define ROUNDS 20000
#define CAP 2048

static const char *const corpus[] = {
    "SELECT * FROM checks WHERE claim_text = 'it''s' AND id = $1",
    "INSERT INTO public.checks (run_id, claim_text) VALUES ($1, $2) ON CONFLICT (run_id) DO "
    "UPDATE SET claim_text = EXCLUDED.claim_text RETURNING id",
    "WITH c AS (SELECT id FROM checks FOR UPDATE) UPDATE checks k SET claim = E'\\n' FROM c WHERE "
    "k.id = c.id",
    "/* a /* nested */ comment */ BEGIN; SELECT count(*) FROM \"checks\"; COMMIT",
    "PREPARE p (text) AS DELETE FROM checks WHERE claim_text = $1; EXECUTE p('x')",
    "COPY checks (claim_text, id) FROM STDIN WITH (FORMAT csv)",
    "DO $body$ BEGIN PERFORM 1 FROM checks; END $body$",
    "SELECT U&\"ch\\0065cks\".id FROM U&\"ch\\0065cks\"",
    "MERGE INTO checks c USING (VALUES (1)) v(i) ON c.id = v.i WHEN MATCHED THEN UPDATE SET "
    "claim_text = 'a' WHEN NOT MATCHED THEN INSERT (id) VALUES (v.i)",
};

static const char *const words[] = {
    "checks", "\"checks\"", "'",  "''",         "\"", "$$",       "$a$",   "--",
    "/*",     "*/",         ";",  "claim_text", "(",  ")",        "E'",    "U&\"",
    "BEGIN",  "SELECT",     "\\", "\xff",       "::", "PREPARE ", "AS ",   "WITH",
    "ARRAY",  "INTERVAL",   "$1", "::json",     "\n", "NEW.",     "CASE ", " END",
    "NULL",   "[1]",        ".*", "ROW(",       "-",  "1e999",    "0x1",   " COLLATE "};

static size_t seeded(struct fuzz *fuzz, char *text)
{
    const char *seed = corpus[fuzz_below(fuzz, sizeof(corpus) / sizeof(corpus[0]))];
    size_t len = strlen(seed);

    memcpy(text, seed, len);
    for (size_t n = 1 + fuzz_below(fuzz, 6); n > 0; n--)
        len = fuzz_mutate(fuzz, text, len, CAP);
    return len;
}

static void mutated_statements_are_inspected_without_a_crash(void **state)
{
    struct fuzz fuzz = {0x5eed1, words, sizeof(words) / sizeof(words[0])};
    struct sql_rules *rules = fuzz_rules();
    struct sql_cache *cache = sql_cache_new(64, 16384);
    const struct sql_sight_of_session session = {.rewrites = true};
    char text[CAP];

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        size_t len = strnlen(text, seeded(&fuzz, text)); /* no message carries a NUL */
        char *exact = fuzz_exact(text, len);
        const struct sql_verdict *cached =
            &sql_cache_rewrite(cache, rules, &session, exact, len)->verdict;
        struct sql_verdict direct;

        sql_inspect(rules, exact, len, &direct);
        if (cached->analysed) /* a rewrite looks at UTF-8 alone, its comments too */
            assert_memory_equal(&direct, cached, sizeof(direct));
        else
            assert_true((direct.touches & ~cached->touches) == 0);
        /* what the parser cannot read must be taken for a use of every table it names */
        if (!direct.analysed)
            assert_true(direct.touches != 0 || !sql_mentions(rules, exact, len));
        free(exact);
    }
    sql_cache_free(cache);
    sql_rules_unref(rules);
}

static void mutated_expressions_are_parsed_or_refused(void **state)
{
    static const char *const from[] = {"claim_text"};
    static const char *const to[] = {"claim \"x\""};
    struct fuzz fuzz = {0x5eed2, words, sizeof(words) / sizeof(words[0])};
    static const char *const seeds[] = {"lower(claim_text) || 'x'", "claim_text::jsonb -> 'a'",
                                        "CASE WHEN claim_text = '' THEN NULL ELSE claim_text END"};
    char text[CAP + 1];

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        const char *seed = seeds[fuzz_below(&fuzz, 3)];
        size_t len = strlen(seed);
        struct sql_expr_info info;
        struct err err = {0};

        memcpy(text, seed, len);
        for (size_t n = 1 + fuzz_below(&fuzz, 4); n > 0; n--)
            len = fuzz_mutate(&fuzz, text, len, CAP);
        text[len] = '\0';
        if (sql_expr_parse(text, &info, &err) == RC_OK) {
            char *renamed = sql_expr_rename(text, "", from, to, 1, true, &err);
            struct sql_expr_info again;

            assert_non_null(renamed); /* and what was renamed is still one expression */
            if (sql_expr_parse(renamed, &again, &err) != RC_OK)
                fail_msg("%s became %s: %s", text, renamed, err.text);
            sql_expr_info_fini(&again);
            sql_expr_info_fini(&info);
            free(renamed);
        } else {
            assert_true(err_is_set(&err));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutated_statements_are_inspected_without_a_crash),
        cmocka_unit_test(mutated_expressions_are_parsed_or_refused),
    };

    return cmocka_run_group_tests_name("fuzz/sql", tests, NULL, NULL);
}
