/* proxy/session/path.c: what a session's search path is, by what was sent and answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/session/path.h"
#include "segue/base/rc.h"

/* Relation t is in schemas a (migrating), b and user. */
static struct sql_rules *some_rules(uint64_t epoch)
{
    static const char *const none[] = {NULL};
    struct sql_rules *rules = sql_rules_new(epoch);

    sql_rules_add(rules, &(struct sql_table_rule){.migration = "m",
                                                  .schema = "a",
                                                  .name = "t",
                                                  .old_columns = none,
                                                  .new_columns = none,
                                                  .relatives = none});
    sql_rules_add_namesake(rules, &(struct sql_namesake){"b", "t", none, 0, NULL});
    sql_rules_add_namesake(rules, &(struct sql_namesake){"user", "t", none, 0, NULL});
    sql_rules_set_access(rules, &(struct sql_access){.usage = SQL_USAGE_ALL});
    return rules;
}

/* 'a': the migrating one, 'b': another one, '?': not known. */
static char means(struct sess_path *p)
{
    struct sql_rules *rules = some_rules(1);
    uint64_t class = sess_path_class(p, rules);
    char meaning = class == SQL_PATH_UNKNOWN                        ? '?'
                   : class == sql_path_class(rules, "a", "someone") ? 'a'
                                                                    : 'b';

    sql_rules_unref(rules);
    return meaning;
}

/*
 * Steps, one a word: "text" is sent; then what comes: ':' a tag, '!' an error, '@' a report;
 * '=I' or '=T' ReadyForQuery with nothing outstanding, '-T' with something. '?x': it means x now.
 */
static void play(struct sess_path *p, const char *const *steps)
{
    for (size_t i = 0; steps[i]; i++) {
        const char *step = steps[i], *rest = step + 1;
        struct sql_path_move move;

        switch (*step) {
        case ':':
            sess_path_completed(p, rest, strlen(rest) + 1);
            break;
        case '!':
            sess_path_failed(p);
            break;
        case '@':
            sess_path_reported(p, rest);
            break;
        case '=':
        case '-':
            sess_path_ready(p, *rest, *step == '=');
            break;
        case '?':
            if (means(p) != *rest)
                fail_msg("step %zu, after %s: %c, not %c", i, steps[i - 1], means(p), *rest);
            break;
        default:
            sql_path_move(step, strlen(step), &move);
            sess_path_goes(p, &move);
        }
    }
}

static struct sess_path *known(const char *path)
{
    struct sess_path *p = sess_path_new();

    assert_true(sess_path_wanted(p, NULL));
    sess_path_ask(p, NULL);
    assert_true(sess_path_asking(p));
    sess_path_told(p, path, "b", "someone");
    sess_path_asked(p);
    assert_false(sess_path_asking(p) || sess_path_wanted(p, NULL));
    return p;
}

#define PLAY(path, ...)                                                                            \
    do {                                                                                           \
        struct sess_path *session = known(path);                                                   \
        play(session, (const char *const[]){__VA_ARGS__, NULL});                                   \
        sess_path_free(session);                                                                   \
    } while (0)

static void what_is_set_counts_from_its_answer_on(void **state)
{
    (void)state;
    PLAY("a", "?a", "SET search_path = b", "??", ":SET", "??", "=I", "?b");
    PLAY("a", "SET search_path = b", ":SET", "-I", "??", "=I", "?b");
    PLAY("a", "RESET search_path", ":RESET", "=I", "?b");
    PLAY("a", "SET LOCAL search_path = b", ":SET", "=I", "?a"); /* outside of a transaction */
    PLAY("a", "SELECT set_config('search_path', 'b', false)", ":SELECT 1", "=I", "?b");
    PLAY("a", "SELECT 1", ":SELECT 1", "=I", "?a", "!", "=I", "?a");
}

static void the_end_of_a_transaction_takes_back_what_was_local_or_rolled_back(void **state)
{
    (void)state;
    PLAY("a", "SET LOCAL search_path = b", ":SET", "=T", "?b", "COMMIT", "??", ":COMMIT", "=I",
         "?a");
    PLAY("a", "SET LOCAL search_path = b", ":SET", "=T", "ABORT", ":ROLLBACK", "=I", "?a");
    PLAY("a", "SET search_path = b", ":SET", "=T", "?b", "ROLLBACK", ":ROLLBACK", "=I", "?a");
    PLAY("a", "SET search_path = b", ":SET", "=T", "COMMIT", ":COMMIT", "=I", "?b");
    PLAY("a", "SET search_path = b", ":SET", "=T", "SET LOCAL search_path = a", ":SET", "=T", "?a",
         "COMMIT", ":COMMIT", "=I", "?b");
    PLAY("a", "SET LOCAL search_path = b", ":SET", "=T", "PREPARE TRANSACTION 'x'",
         ":PREPARE TRANSACTION", "=I", "?a");
    PLAY("a", "SET LOCAL search_path = b", ":SET", "=T", "COMMIT AND CHAIN", ":COMMIT", "=T", "?a");
    PLAY("a", "SET LOCAL search_path = b", ":SET", "=T", "COMMIT", "!", "=I", "??");
    PLAY("a", "SELECT set_config('search_path', $1, true)", ":SELECT 1", "=T", "??", "COMMIT",
         ":COMMIT", "=I", "?a");
}

static void a_part_that_was_rolled_back_is_not_known_until_the_end(void **state)
{
    (void)state;
    PLAY("a", "SET search_path = b", ":SET", "=T", "ROLLBACK TO s", "??", ":ROLLBACK", "=T", "??",
         "ROLLBACK", ":ROLLBACK", "=I", "?a");
    PLAY("a", "SET search_path = b", ":SET", "=T", "ROLLBACK TO s", ":ROLLBACK", "=T", "COMMIT",
         ":COMMIT", "=I", "??");
    PLAY("a", "ROLLBACK TO s", "?a", ":ROLLBACK", "=T", "?a"); /* nothing was set */
}

static void what_failed_or_cannot_be_told_loses_it_and_it_is_asked_for_again(void **state)
{
    static const char *const lost[][5] = {
        {"SET search_path = b", "!", "=I", NULL},
        {"SET search_path = b", ":SET", "!", "=I", NULL}, /* behind it, in one transaction */
        {"SET search_path = b", "=I", NULL},              /* only parsed */
        {"SET search_path = b", ":SELECT 1", "=I", NULL},
        {"DISCARD ALL", ":DISCARD ALL", "=I", NULL},
        {"SET search_path = b", "SET search_path = b", ":SET", "=I", NULL},
        {"SET search_path = b", "ROLLBACK", ":SET", "=I", NULL},
        {"SET search_path = b", ":SET", ":COMMIT", "=I", NULL},
        {"SET search_path = b", ":SET", ":ROLLBACK", "=I", NULL},
        {"SELECT set_config('search_path', $1, false)", ":SELECT 1", "=I", NULL},
        {"RESET ROLE", ":RESET", "=I", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lost); i++) {
        struct sess_path *p = known("\"$user\", a");

        play(p, lost[i]);
        if (!sess_path_wanted(p, NULL))
            fail_msg("%s: not lost", lost[i][0]);
        assert_true(means(p) == '?');
        sess_path_told(p, "a", "b", "someone");
        assert_true(means(p) == 'a');
        sess_path_free(p);
    }
}

static void an_answer_that_does_not_help_is_not_asked_for_again(void **state)
{
    struct sess_path *p = sess_path_new();

    (void)state;
    sess_path_ask(p, NULL);
    sess_path_asked(p);
    assert_false(sess_path_wanted(p, NULL));
    assert_true(means(p) == '?');
    play(p, (const char *const[]){"SET ROLE x", ":SET", "=I", NULL});
    assert_true(sess_path_wanted(p, NULL));
    sess_path_free(p);
}

static void the_role_is_followed_too(void **state)
{
    (void)state;
    PLAY("\"$user\", a", "?a", "SET ROLE \"user\"", ":SET", "=I", "?b");
    PLAY("\"$user\", a", "SET LOCAL ROLE \"user\"", ":SET", "=T", "?b", "COMMIT", ":COMMIT", "=I",
         "?a");
    PLAY("\"$user\", a", "RESET ROLE", ":RESET", "=I", "??");
}

static void the_servers_reports_have_the_last_word(void **state)
{
    struct sess_path *p = known("a");

    (void)state;
    sess_path_reported(p, "a");
    play(p, (const char *const[]){"SELECT f()", ":SELECT 1", "@b", "?a", "=I", "?b", NULL});
    /* rolled back, and reported as such */
    play(p, (const char *const[]){"SET search_path = a", ":SET", "@a", "=T", "?a", "ROLLBACK TO s",
                                  ":ROLLBACK", "@b", "=T", "?b", "COMMIT", ":COMMIT", "=I", "?b",
                                  NULL});
    sess_path_suspect(p);
    play(p, (const char *const[]){"??", "=I", "?b", NULL});
    sess_path_unseen(p);
    play(p, (const char *const[]){"??", "=I", "?b", NULL}); /* but for the role */
    assert_true(sess_path_wanted(p, NULL));
    sess_path_free(p);
}

static void what_nobody_has_read_may_be_the_first_of_a_session(void **state)
{
    struct sess_path *p = sess_path_new();

    (void)state;
    sess_path_told(p, "a", "a", "someone");
    sess_path_asked(p);
    sess_path_unseen(p);
    sess_path_completed(p, "SELECT 1", sizeof("SELECT 1"));
    play(p, (const char *const[]){"??", "=I", "??", NULL});
    sess_path_free(p);
}

/* Another session may have one of that name; who has none may get one. */
static void whose_temporary_relation_it_is_is_asked_for(void **state)
{
    static const char *const none[] = {NULL};
    struct sql_rules *rules = some_rules(2), *later = some_rules(3), *plain = some_rules(2);
    const struct sql_namesake temporary = {"pg_temp_3", "t", none, 0, NULL};
    struct sess_path *p = known("b, a");

    (void)state;
    assert_false(sess_path_wanted(p, rules)); /* nobody has */
    sql_rules_add_namesake(rules, &temporary);
    sql_rules_add_namesake(later, &temporary);
    assert_true(sess_path_wanted(p, rules));
    assert_int_equal(sess_path_class(p, rules), SQL_PATH_UNKNOWN);
    for (int i = 0; i < 2; i++) {
        sess_path_ask(p, rules);
        sess_path_told_temporary(p, i == 0 ? "-" : "pg_temp_4");
        sess_path_told(p, "b, a", "b", "someone");
        sess_path_asked(p);
        assert_false(sess_path_wanted(p, rules));
        assert_int_equal(sess_path_class(p, rules), sql_path_class(plain, "b, a", "someone"));
        assert_int_equal(sess_path_wanted(p, later), i == 0);
    }
    sess_path_ask(p, rules);
    sess_path_told_temporary(p, NULL);
    sess_path_asked(p);
    assert_false(sess_path_wanted(p, rules)); /* it did not help */
    sql_rules_unref(plain);
    sql_rules_unref(later);
    sql_rules_unref(rules);
    sess_path_free(p);
}

static void other_rules_make_another_class(void **state)
{
    struct sql_rules *rules = some_rules(2);
    static const char *const none[] = {NULL};
    struct sess_path *p = known("b, a");
    uint64_t before = sess_path_class(p, rules), after;

    (void)state;
    assert_int_equal(before, sess_path_class(p, rules));
    sql_rules_unref(rules);
    rules = sql_rules_new(3);
    sql_rules_add(rules, &(struct sql_table_rule){.migration = "m",
                                                  .schema = "b",
                                                  .name = "t",
                                                  .old_columns = none,
                                                  .new_columns = none,
                                                  .relatives = none});
    assert_int_equal(sess_path_class(p, rules), SQL_PATH_UNKNOWN); /* no namesake, no class */
    sql_rules_add_namesake(rules, &(struct sql_namesake){"a", "t", none, 0, NULL});
    sql_rules_set_access(rules, &(struct sql_access){.usage = SQL_USAGE_ALL});
    after = sess_path_class(p, rules);
    assert_int_equal(after, sql_path_class(rules, "b", "x"));
    assert_int_not_equal(after, before);
    assert_int_equal(sess_path_class(NULL, rules), SQL_PATH_UNKNOWN);
    sql_rules_unref(rules);
    sess_path_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_set_counts_from_its_answer_on),
        cmocka_unit_test(the_end_of_a_transaction_takes_back_what_was_local_or_rolled_back),
        cmocka_unit_test(a_part_that_was_rolled_back_is_not_known_until_the_end),
        cmocka_unit_test(what_failed_or_cannot_be_told_loses_it_and_it_is_asked_for_again),
        cmocka_unit_test(an_answer_that_does_not_help_is_not_asked_for_again),
        cmocka_unit_test(the_role_is_followed_too),
        cmocka_unit_test(the_servers_reports_have_the_last_word),
        cmocka_unit_test(what_nobody_has_read_may_be_the_first_of_a_session),
        cmocka_unit_test(whose_temporary_relation_it_is_is_asked_for),
        cmocka_unit_test(other_rules_make_another_class),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
