/* sql/makes.c: relations that a statement makes under a table's name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "segue/base/rc.h"
#include "segue/sql/inspect.h"
#include "segue/sql/rewrite.h"

/* public.t (id), with a partition t_1. */
static struct sql_rules *some_rules(void)
{
    static const char *const o[] = {"o", NULL}, *const n[] = {"n", NULL},
                             *const parts[] = {"t_1", NULL};
    static const struct sql_column_rule columns[] = {{"id", SQL_SEEN_BY_BOTH, false}};
    struct sql_rules *rules = sql_rules_new(1);
    int bit = sql_rules_add(rules, &(struct sql_table_rule){.migration = "m",
                                                            .schema = "public",
                                                            .name = "t",
                                                            .old_columns = o,
                                                            .new_columns = n,
                                                            .relatives = parts,
                                                            .columns = columns,
                                                            .ncolumns = ARRAY_LEN(columns)});

    sql_rules_add_partition(rules, bit, &(struct sql_partition){"public", "t_1", columns, 1, 0, 0});
    return rules;
}

/* They keep their names. */
static struct sql_taken both(uint64_t tables)
{
    return (struct sql_taken){tables, tables};
}

static void who_makes_a_relation_of_that_name_is_known(void **state)
{
    static const struct {
        const char *sql;
        uint64_t makes, unless_there;
    } rows[] = {
        {"CREATE TABLE app.t (x int)", 1, 0},
        {"CREATE TABLE t (x int)", 1, 0},
        {"BEGIN; CREATE SCHEMA app CREATE TABLE t_1 (x int)", 1, 0},
        {"CREATE TABLE app.t AS SELECT 1", 1, 0},
        {"SELECT 1 AS x INTO t UNION SELECT 2", 1, 0},
        {"CREATE MATERIALIZED VIEW t AS SELECT 1", 1, 0},
        {"CREATE OR REPLACE VIEW app.t AS SELECT 1", 1, 0},
        {"CREATE SEQUENCE t", 1, 0},
        {"CREATE FOREIGN TABLE app.t (x int) SERVER s", 1, 0},
        {"ALTER TABLE app.u RENAME TO t", 1, 0},
        {"ALTER TABLE app.t SET SCHEMA other", 1, 0},
        {"CREATE TABLE IF NOT EXISTS app.t (x int)", 1, 0},
        {"CREATE TABLE IF NOT EXISTS t (x int)", 0, 1},
        {"CREATE MATERIALIZED VIEW IF NOT EXISTS t_1 AS SELECT 1", 0, 1},
        {"CREATE SEQUENCE IF NOT EXISTS t", 0, 1},
        {"CREATE TABLE IF NOT EXISTS public.t (x int)", 0, 0},
        {"CREATE TABLE public.t (x int)", 0, 0},
        {"CREATE TABLE v AS SELECT * FROM t", 0, 0},
        {"CREATE TABLE v (LIKE t)", 0, 0},
        {"ALTER TABLE t RENAME TO v", 0, 0},
        {"ALTER TABLE v RENAME COLUMN x TO t", 0, 0},
        {"INSERT INTO app.t SELECT * FROM t", 0, 0},
    };
    struct sql_rules *rules = some_rules();
    const struct sql_sight_of_session session = {.side = SQL_SIDE_OLD, .rewrites = true};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sql_rewrite out;

        sql_rewrite(rules, &session, rows[i].sql, strlen(rows[i].sql), &out);
        if (!sql_taken_same(out.makes.certain, both(rows[i].makes)) ||
            !sql_taken_same(out.makes.unless_there, both(rows[i].unless_there)))
            fail_msg("%s: %lu, %lu", rows[i].sql, (unsigned long)out.makes.certain.old,
                     (unsigned long)out.makes.unless_there.old);
        sql_rewrite_fini(&out);
    }
    sql_rules_unref(rules);
}

static bool has_several(const char *sql)
{
    return *sql && memchr(sql, ';', strlen(sql) - 1);
}

static void what_makes_relations_unseen_is_known_by_its_words(void **state)
{
    static const struct {
        const char *sql;
        enum sql_opaque opaque;
    } rows[] = {
        {"DO $$BEGIN CREATE TEMP TABLE t (x int); END$$", SQL_OPAQUE_RELATES},
        {"BEGIN; do language plpgsql 'begin execute format(f); end'", SQL_OPAQUE_MAKES},
        {"/* x */ DO $$BEGIN ALTER TABLE u RENAME TO t; END$$", SQL_OPAQUE_RELATES},
        {"DO $$BEGIN ALTER TABLE t ADD CHECK (x > 0); END$$", SQL_OPAQUE_MAKES},
        {"DO $$BEGIN CREATE INDEX ON t (x); END$$", SQL_OPAQUE_MAKES},
        {"DO $$BEGIN EXECUTE 'create or replace view t as select 1'; END$$", SQL_OPAQUE_RELATES},
        {"CALL f(); DO $$BEGIN CREATE TABLE t (x int); END$$", SQL_OPAQUE_RELATES},
        {"DO $$BEGIN END$$; DO $$BEGIN CREATE TABLE t (x int); END$$", SQL_OPAQUE_RELATES},
        {"IMPORT FOREIGN SCHEMA a FROM SERVER s INTO b", SQL_OPAQUE_MAKES},
        {"DO $$BEGIN UPDATE t SET created = executes; END$$", SQL_OPAQUE_NO},
        {"call app.f(1)", SQL_OPAQUE_CALLS},
        {"SELECT 1; CALL f()", SQL_OPAQUE_CALLS},
        {"CREATE TABLE t (x int)", SQL_OPAQUE_NO},
        {"INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", SQL_OPAQUE_NO},
        {"", SQL_OPAQUE_NO},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (sql_opaque(rows[i].sql, strlen(rows[i].sql)) != rows[i].opaque ||
            (rows[i].opaque != SQL_OPAQUE_NO && !has_several(rows[i].sql) &&
             !sql_first_is_opaque(sql_first_word(rows[i].sql, strlen(rows[i].sql)))))
            fail_msg("%s", rows[i].sql);
}

static void what_makes_columns_that_the_rules_would_have_to_know_is_known_by_its_words(void **state)
{
    static const struct {
        const char *sql;
        bool makes;
    } rows[] = {
        {"CREATE TEMP TABLE s (id int, O text)", true},
        {"/* x */ create table s as select N from u", true},
        {"BEGIN; ALTER TABLE s ADD n int", true},
        {"ALTER TABLE s RENAME x TO \"n\"", true},
        {"CREATE TABLE s AS TABLE u", true},
        {"CREATE TABLE s AS SELECT * FROM u", true},
        {"CREATE TABLE s (LIKE u)", true},
        {"CREATE TABLE s () INHERITS (u)", true},
        {"CREATE TABLE s AS EXECUTE q", true},
        {"CREATE TABLE s PARTITION OF p DEFAULT", true},
        {"CREATE TABLE s AS\n( table u)", true},
        {"ALTER TABLE u RENAME TO s", true},
        {"ALTER TABLE a.s SET SCHEMA b", true},
        {"EXPLAIN ANALYZE CREATE TABLE s AS SELECT n FROM u", true},
        {"SELECT id, code AS n INTO TEMP s FROM u", true},
        {"(SELECT n INTO s FROM u) UNION SELECT 1", true},
        {"BEGIN; WITH q AS (SELECT 1 AS o) SELECT * INTO s FROM q", true},
        {"SELECT id INTO s FROM u", false},
        {"WITH q AS (SELECT * FROM u) INSERT INTO s SELECT n FROM q", false},
        {"SELECT 1; INSERT INTO s (n) SELECT * FROM u", false},
        {"EXPLAIN SELECT * FROM u", false},
        {"CREATE TEMP TABLE s (id int, x text)", false},
        {"ALTER TABLE s ADD x int", false},
        {"SELECT n FROM u; SELECT * FROM u", false},
        {"", false},
    };
    struct sql_rules *rules = some_rules();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (sql_makes_columns(rules, rows[i].sql, strlen(rows[i].sql)) != rows[i].makes ||
            (rows[i].makes && !has_several(rows[i].sql) &&
             !sql_first_is_maker(sql_first_word(rows[i].sql, strlen(rows[i].sql)))))
            fail_msg("%s", rows[i].sql);
    sql_rules_unref(rules);
}

/* Once it was read to its end from each semicolon: minutes of a worker for a text of a megabyte. */
static void a_text_of_semicolons_is_read_once(void **state)
{
    static const char *const parts[] = {"--;", "/*;", "DO x;", "DO;DO ';", "x;"};
    const size_t len = 1000000;
    struct sql_rules *rules = some_rules();
    char *text = test_malloc(len + 1);
    clock_t begin = clock();

    (void)state;
    for (size_t p = 0; p < ARRAY_LEN(parts); p++) {
        for (size_t i = 0; i < len; i++)
            text[i] = parts[p][i % strlen(parts[p])];
        text[len] = '\0';
        assert_int_equal(sql_opaque(text, len), SQL_OPAQUE_NO);
        assert_false(sql_makes_columns(rules, text, len));
        sql_inspect(rules, text, len, &(struct sql_verdict){0});
    }
    assert_true((double)(clock() - begin) / CLOCKS_PER_SEC < 20);
    test_free(text);
    sql_rules_unref(rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            what_makes_columns_that_the_rules_would_have_to_know_is_known_by_its_words),
        cmocka_unit_test(a_text_of_semicolons_is_read_once),
        cmocka_unit_test(what_makes_relations_unseen_is_known_by_its_words),
        cmocka_unit_test(who_makes_a_relation_of_that_name_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
