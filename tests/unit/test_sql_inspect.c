/* sql/rules.h, sql/inspect.h: what a statement touches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "segue/base/rc.h"
#include "segue/sql/inspect.h"

enum { CHECKS = 1, ODD = 2 };

static const char *const old_checks[] = {"claim_text", "aggregation", NULL};
static const char *const new_checks[] = {"claim", "config_json", NULL};
static const char *const kin_checks[] = {"checks_2026", "users", NULL};
static const char *const old_odd[] = {"Old Name", NULL};
static const char *const new_odd[] = {"New", NULL};
static const char *const none[] = {NULL};

static struct sql_rules *some_rules(uint64_t epoch)
{
    struct sql_rules *rules = sql_rules_new(epoch);

    assert_int_equal(sql_rules_add(rules, &(struct sql_table_rule){.migration = "m",
                                                                   .schema = "public",
                                                                   .name = "checks",
                                                                   .old_columns = old_checks,
                                                                   .new_columns = new_checks,
                                                                   .relatives = kin_checks}),
                     0);
    assert_int_equal(sql_rules_add(rules, &(struct sql_table_rule){.migration = "m2",
                                                                   .schema = "app",
                                                                   .name = "Odd \"Table\"",
                                                                   .old_columns = old_odd,
                                                                   .new_columns = new_odd,
                                                                   .relatives = none}),
                     1);
    return rules;
}

struct row {
    const char *sql;
    uint64_t touches, old_names, new_names;
};

static void each(const struct row *rows, size_t n)
{
    struct sql_rules *rules = some_rules(1);

    for (size_t i = 0; i < n; i++) {
        struct sql_verdict v;

        sql_inspect(rules, rows[i].sql, strlen(rows[i].sql), &v);
        if (v.touches != rows[i].touches || v.old_names != rows[i].old_names ||
            v.new_names != rows[i].new_names)
            fail_msg("%s: touches %lu, old %lu, new %lu", rows[i].sql, v.touches, v.old_names,
                     v.new_names);
        assert_true(v.analysed);
    }
    sql_rules_unref(rules);
}

static void tables_are_found_wherever_a_statement_may_name_them(void **state)
{
    static const struct row rows[] = {
        {"SELECT 1 FROM checks", CHECKS, 0, 0},
        {"select 1 from PUBLIC.CHECKS", CHECKS, 0, 0},
        {"select 1 from\"checks\"", CHECKS, 0, 0},
        {"select 1 from U&\"ch\\0065cks\"", CHECKS, 0, 0},
        {"select 1 from other.checks", 0, 0, 0},
        {"select 1 from checks2, xchecks, checks_", 0, 0, 0},
        {"select 'checks'", 0, 0, 0},
        {"select checks from x", 0, 0, 0},
        {"insert into a select 1 from b where exists (select from checks)", CHECKS, 0, 0},
        {"with w as (delete from checks returning 1) select * from w", CHECKS, 0, 0},
        {"merge into x using checks on true when matched then do nothing", CHECKS, 0, 0},
        {"copy checks to stdout", CHECKS, 0, 0},
        {"lock table checks", CHECKS, 0, 0},
        {"truncate a, checks", CHECKS, 0, 0},
        {"drop table checks", CHECKS, 0, 0},
        {"alter table checks add x int", CHECKS, 0, 0},
        {"do $$checks$$", CHECKS, 0, 0},
        {"explain analyze update checks set x = 1", CHECKS, 0, 0},
        {"select 1 from users", CHECKS, 0, 0},
        {"select 1 from checks_2026", CHECKS, 0, 0},
        {"select 1 from app.\"Odd \"\"Table\"\"\"", ODD, 0, 0},
        {"select 1 from app.\"odd \"\"table\"\"\"", 0, 0, 0},
        {"select 1 from checks, \"Odd \"\"Table\"\"\"", CHECKS | ODD, 0, 0},
        {"", 0, 0, 0},
    };

    (void)state;
    each(rows, ARRAY_LEN(rows));
}

static void old_and_new_names_are_told_apart_from_aliases_and_literals(void **state)
{
    static const struct row rows[] = {
        {"select claim_text from checks", CHECKS, CHECKS, 0},
        {"select c.Claim_Text from checks c", CHECKS, CHECKS, 0},
        {"select claim from checks", CHECKS, 0, CHECKS},
        {"select claim, claim_text from checks", CHECKS, CHECKS, CHECKS},
        {"select claim as claim_text from checks", CHECKS, 0, CHECKS},
        {"select 'claim_text' from checks", CHECKS, 0, 0},
        {"select claim_text(1), 1::claim from checks", CHECKS, 0, 0},
        {"select * from checks", CHECKS, 0, 0},
        {"insert into checks (claim_text) values (1)", CHECKS, CHECKS, 0},
        {"insert into checks (x) values (1) returning claim", CHECKS, 0, CHECKS},
        {"insert into checks as c (x) values (1) on conflict (claim) do update set claim_text = 1",
         CHECKS, CHECKS, CHECKS},
        {"insert into checks (x) values (1) on conflict do nothing", CHECKS, 0, 0},
        {"update checks set claim_text = 1", CHECKS, CHECKS, 0},
        {"update checks set (claim, x) = (1, 2) where aggregation is null", CHECKS, CHECKS, CHECKS},
        {"merge into checks using x on true when not matched then insert (claim) values (1)",
         CHECKS, 0, CHECKS},
        {"merge into checks using x on true when matched then update set claim_text = 1", CHECKS,
         CHECKS, 0},
        {"copy checks (claim_text) from stdin", CHECKS, CHECKS, 0},
        {"copy (select claim from checks) to stdout", CHECKS, 0, CHECKS},
        {"select 1 from checks join x using (claim)", CHECKS, 0, CHECKS},
        {"select (checks).claim_text from checks", CHECKS, CHECKS, 0},
        {"select checks.* from checks order by claim_text", CHECKS, CHECKS, 0},
        {"create index on checks (claim_text)", CHECKS, CHECKS, 0},
        {"select claim_text from users", CHECKS, 0, 0},
        {"select \"Old Name\" from \"Odd \"\"Table\"\"\"", ODD, ODD, 0},
        {"select \"old name\" from \"Odd \"\"Table\"\"\"", ODD, 0, 0},
    };

    (void)state;
    each(rows, ARRAY_LEN(rows));
}

static void transactions_prepares_and_executes_are_seen(void **state)
{
    static const struct {
        const char *sql;
        bool begins, executes;
        uint64_t prepares;
    } rows[] = {
        {"begin", true, false, 0},
        {"select 1; start transaction; select 1 from checks", true, false, 0},
        {"commit; select 1 from checks", false, false, 0},
        {"select 1; begin", true, false, 0},
        {"prepare p as select 1 from checks", false, false, CHECKS},
        {"prepare p as select 1", false, false, 0},
        {"execute p(1)", false, true, 0},
        {"explain execute p; select 1 from checks", false, true, 0},
        {"create table checks as execute p", false, true, 0},
        {"prepare p as select 1 from checks ???", false, false, CHECKS},
    };
    struct sql_rules *rules = some_rules(1);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sql_verdict v;

        sql_inspect(rules, rows[i].sql, strlen(rows[i].sql), &v);
        if (v.begins != rows[i].begins || v.executes != rows[i].executes ||
            v.prepares != rows[i].prepares)
            fail_msg("%s", rows[i].sql);
    }
    sql_rules_unref(rules);
}

static void an_alter_of_a_table_is_told_from_one_beside_it(void **state)
{
    static const struct {
        const char *sql;
        bool alters;
    } rows[] = {
        {"ALTER TABLE checks ADD a int", true},
        {"ALTER TABLE app.\"Odd \"\"Table\"\"\" RENAME a TO b", true},
        {"ALTER TABLE checks SET SCHEMA other", true},
        {"SELECT 1; ALTER TABLE checks ADD a int", true},
        {"ALTER TABLE q ADD a text DEFAULT 'checks'", true}, /* its words are not weighed */
        {"ALTER TABLE checks ALTER a TYPE bigint", true},
        {"ALTER TABLE checks DROP CONSTRAINT a", true}, /* it may be what is grouped by */
        {"ALTER TABLE checks ALTER a SET DEFAULT 1, DROP a", true},
        {"ALTER TABLE checks ALTER a SET DEFAULT 1, ADD CHECK (a > 0), OWNER TO b", false},
        {"ALTER TABLE checks DISABLE TRIGGER USER; ALTER TABLE checks ATTACH PARTITION p DEFAULT",
         false},
        {"ALTER TABLE q ADD a int", false},
        {"CREATE TEMP TABLE q AS SELECT * FROM checks; ALTER TABLE q ADD a int", false},
        {"ALTER TABLE q ADD a int; SELECT * FROM checks", false},
        {"SELECT * FROM checks", false},
        {"ALTER TABLE q ADD a int; ALTER gibberish; SELECT FROM checks", true},
    };
    struct sql_rules *rules = some_rules(1);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sql_verdict v;

        sql_inspect(rules, rows[i].sql, strlen(rows[i].sql), &v);
        if (v.alters != rows[i].alters)
            fail_msg("%s: %d", rows[i].sql, v.alters);
    }
    sql_rules_unref(rules);
}

static void text_the_parser_does_not_understand_counts_as_touching(void **state)
{
    static const char sql[] = "SELEKT claim_text FROM checks";
    static const char not_utf8[] = "select 1 from checks where x = '\xff'";
    struct sql_rules *rules = some_rules(1);
    struct sql_verdict v;

    (void)state;
    sql_inspect(rules, sql, strlen(sql), &v);
    assert_false(v.analysed);
    assert_int_equal(v.touches, CHECKS);
    assert_int_equal(v.old_names, CHECKS);
    assert_int_equal(v.new_names, 0);
    sql_inspect(rules, not_utf8, strlen(not_utf8), &v);
    assert_false(v.analysed);
    assert_int_equal(v.touches, CHECKS);
    sql_rules_unref(rules);
}

static void text_is_not_read_beyond_its_length(void **state)
{
    static const char sql[] = "select 1 from checks";
    struct sql_rules *rules = some_rules(1);

    (void)state;
    assert_true(sql_mentions(rules, sql, strlen(sql)));
    assert_false(sql_mentions(rules, sql, strlen(sql) - 1));
    assert_false(sql_mentions(NULL, sql, strlen(sql)));
    assert_false(sql_mentions(rules, "U&", 2));
    sql_rules_unref(rules);
}

static void first_word_skips_white_space_and_comments(void **state)
{
    static const struct {
        const char *sql;
        enum sql_first first;
    } rows[] = {
        {"BEGIN", SQL_FIRST_BEGIN},
        {" \n;-- x\n /* a /* b */ c */start transaction", SQL_FIRST_BEGIN},
        {"EXPLAIN EXECUTE s", SQL_FIRST_WRAPS},
        {"create table x as execute s", SQL_FIRST_WRAPS},
        {" Deallocate s", SQL_FIRST_FORGETS},
        {"discard all", SQL_FIRST_FORGETS},
        {"/* begin", SQL_FIRST_OTHER},
        {"beginning", SQL_FIRST_OTHER},
        {"execute p", SQL_FIRST_EXECUTE},
        {"do $$begin end$$", SQL_FIRST_DO},
        {"Prepare p as select 1", SQL_FIRST_PREPARE},
        {"-- begin", SQL_FIRST_OTHER},
        {"", SQL_FIRST_OTHER},
        {"select begin", SQL_FIRST_READS},
        {"call p()", SQL_FIRST_CALL},
        {"IMPORT FOREIGN SCHEMA s FROM SERVER f INTO t", SQL_FIRST_IMPORT},
        {"insert into t values (1)", SQL_FIRST_OTHER}, /* as long as one with its first letter */
        {"cluster t", SQL_FIRST_OTHER},
        {"end", SQL_FIRST_OTHER},
        {"\xe2"
         "egin", /* no letter of ASCII */
         SQL_FIRST_OTHER},
        {"\x02"
         "egin",
         SQL_FIRST_OTHER},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (sql_first_word(rows[i].sql, strlen(rows[i].sql)) != rows[i].first)
            fail_msg("%s", rows[i].sql);
}

static void a_semicolon_is_not_always_the_end_of_a_statement(void **state)
{
    static const struct {
        const char *sql;
        bool several;
    } rows[] = {
        {"", false},
        {";", false},
        {"SELECT 1", false},
        {"SELECT 1; ; -- x;", false},
        {";; SELECT 1 /* ; /* ; */ ; */;\n", false},
        {"SELECT ';', \";\", $$;$$, $a$;$$;$a$ -- ;\n, 1", false},
        {"SELECT 1; SELECT 2", true},
        {"SELECT 1;;/* ; */ x", true},
        {"SELECT $1;x", true},
        {"SELECT '\\'; x'", true}, /* who knows how that is read? */
        {"SELECT '; x", true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (sql_first_is_several(rows[i].sql, strlen(rows[i].sql)) != rows[i].several)
            fail_msg("%s", rows[i].sql);
}

static void commands_of_replication_are_known_by_their_first_word(void **state)
{
    static const struct {
        const char *sql;
        bool replicates;
    } rows[] = {
        {"START_REPLICATION SLOT items LOGICAL 0/0", true},
        {" \n\tSTART_REPLICATION PHYSICAL 0/1", true},
        {"BASE_BACKUP", true},
        {"BASE_BACKUP(LABEL 'items')", true},
        {"IDENTIFY_SYSTEM;", true},
        {"CREATE_REPLICATION_SLOT items LOGICAL p", true},
        {"DROP_REPLICATION_SLOT items", true},
        {"ALTER_REPLICATION_SLOT items (failover)", true},
        {"READ_REPLICATION_SLOT items", true},
        {"TIMELINE_HISTORY 1", true},
        {"UPLOAD_MANIFEST", true},
        {"SHOW items", false},
        {"START TRANSACTION", false},
        {"START_REPLICATIONS", false},
        {"SELECT 1; START_REPLICATION", false},
        {"\"BASE_BACKUP\"", false},
        {"", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (sql_first_replicates(rows[i].sql, strlen(rows[i].sql)) != rows[i].replicates)
            fail_msg("%s", rows[i].sql);
}

static void rules_are_full_at_sixty_four_tables(void **state)
{
    struct sql_rules *rules = sql_rules_new(7);
    struct sql_table_rule table = {.migration = "m",
                                   .schema = "s",
                                   .name = "t",
                                   .old_columns = none,
                                   .new_columns = none,
                                   .relatives = none};
    struct sql_verdict v;

    (void)state;
    for (int i = 0; i < SQL_RULES_TABLES_MAX; i++)
        assert_int_equal(sql_rules_add(rules, &table), i);
    assert_int_equal(sql_rules_add(rules, &table), -1);
    sql_inspect(rules, "do $$ t $$", 10, &v);
    assert_true(v.touches == SQL_TOUCH_ALL);
    assert_int_equal(sql_rules_epoch(rules), 7);
    assert_int_equal(sql_rules_find(rules, "s", "t"), 0);
    assert_int_equal(sql_rules_find(rules, "s", "u"), -1);
    assert_ptr_equal(sql_rules_ref(rules), rules);
    sql_rules_unref(rules);
    assert_int_equal(sql_rules_tables(rules), SQL_RULES_TABLES_MAX);
    sql_rules_unref(rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_are_found_wherever_a_statement_may_name_them),
        cmocka_unit_test(old_and_new_names_are_told_apart_from_aliases_and_literals),
        cmocka_unit_test(transactions_prepares_and_executes_are_seen),
        cmocka_unit_test(an_alter_of_a_table_is_told_from_one_beside_it),
        cmocka_unit_test(text_the_parser_does_not_understand_counts_as_touching),
        cmocka_unit_test(text_is_not_read_beyond_its_length),
        cmocka_unit_test(first_word_skips_white_space_and_comments),
        cmocka_unit_test(a_semicolon_is_not_always_the_end_of_a_statement),
        cmocka_unit_test(commands_of_replication_are_known_by_their_first_word),
        cmocka_unit_test(rules_are_full_at_sixty_four_tables),
    };

    return cmocka_run_group_tests_name("sql_inspect", tests, NULL, NULL);
}
