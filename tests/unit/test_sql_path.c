/* sql/path.h: which relation an unqualified name means under a search path. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/sql/rules_private.h"
#include "segue/base/rc.h"
#include "segue/sql/path.h"
#include "segue/sql/rewrite.h"

static const char *const none[] = {NULL}, *const old_names[] = {"o", NULL},
                         *const new_names[] = {"n", NULL};

static void table(struct sql_rules *rules, const char *schema, const char *name)
{
    static const struct sql_column_rule columns[] = {{"id", SQL_SEEN_BY_BOTH, false},
                                                     {"o", SQL_SEEN_BY_OLD, false},
                                                     {"n", SQL_SEEN_BY_NEW, false}};

    sql_rules_add(rules, &(struct sql_table_rule){.migration = "m",
                                                  .schema = schema,
                                                  .name = name,
                                                  .old_columns = old_names,
                                                  .new_columns = new_names,
                                                  .relatives = none,
                                                  .columns = columns,
                                                  .ncolumns = ARRAY_LEN(columns)});
}

static void namesake(struct sql_rules *rules, const char *schema, const char *name)
{
    sql_rules_add_namesake(rules, &(struct sql_namesake){schema, name, none, 0, NULL});
}

/* a.t migrates, b.t and c.t do not; a.alone has no namesake. */
static struct sql_rules *tenants(void)
{
    struct sql_rules *rules = sql_rules_new(1);

    table(rules, "a", "t");
    table(rules, "a", "alone");
    namesake(rules, "b", "t");
    namesake(rules, "c", "t");
    sql_rules_set_access(rules, &(struct sql_access){.usage = SQL_USAGE_ALL});
    return rules;
}

static const char *meaning_of(const struct sql_rules *rules, uint64_t class, const char *name)
{
    const struct rule *rule;

    switch (sql_path_meaning(rules, class, name, &rule)) {
    case SQL_MEANS_RULE:
        return rule->schema;
    case SQL_MEANS_OTHER:
        assert_null(rule);
        return "other";
    case SQL_MEANS_PERHAPS:
        break;
    }
    assert_non_null(rule);
    return "perhaps";
}

static const char *meaning(const struct sql_rules *rules, const char *path, const char *role,
                           const char *name)
{
    return meaning_of(rules, sql_path_class(rules, path, role), name);
}

/* To a session whose temporary relations are in that schema. */
static const char *meaning_to(const struct sql_rules *rules, const char *path,
                              const char *temporary, const char *name)
{
    const struct sql_path_of of = {.path = path, .role = "x", .temporary = temporary};

    return meaning_of(rules, sql_path_class_of(rules, &of), name);
}

struct row {
    const char *path, *role, *means;
};

static void each(const struct sql_rules *rules, const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *means = meaning(rules, rows[i].path, rows[i].role, "t");

        if (strcmp(means, rows[i].means) != 0)
            fail_msg("\"%s\" as %s: %s", rows[i].path ? rows[i].path : "(not known)",
                     rows[i].role ? rows[i].role : "(not known)", means);
    }
}

static void the_first_schema_that_has_the_name_decides(void **state)
{
    static const struct row rows[] = {
        {"a", "x", "a"},
        {"a, b", "x", "a"},
        {"b, a", "x", "other"},
        {"nowhere, a", "x", "a"},
        {"nowhere", "x", "other"},
        {"", "x", "other"},
        {"\"$user\", public", "a", "a"},
        {"\"$user\", a", "b", "other"},
        {"\"$user\", a", "x", "a"},
        {"$user, a", "b", "other"},
        {"\"$user\", a", NULL, "perhaps"},
        {"a, \"$user\"", NULL, "a"},
        {NULL, "x", "perhaps"},
        {"pg_temp, a", "x", "a"},
        {"pg_catalog, a", "x", "a"},
    };
    struct sql_rules *rules = tenants();

    (void)state;
    each(rules, rows, ARRAY_LEN(rows));
    sql_rules_unref(rules);
}

static void a_path_is_read_as_the_server_reads_it(void **state)
{
    static const struct row rows[] = {
        {"  B ,\ta ", "x", "other"},  {"\"B\", a", "x", "a"},      {"A", "x", "a"},
        {"\"A\"", "x", "other"},      {"\"a\"\"b\", a", "x", "a"}, {"\"a", "x", "perhaps"},
        {"a,", "x", "perhaps"},       {",a", "x", "perhaps"},      {"a b", "x", "perhaps"},
        {"\"a\"b", "x", "perhaps"},   {"\"\", a", "x", "a"},       {"\xc3\xa4, a", "x", "perhaps"},
        {"b\xa0, a", "x", "perhaps"},
    };
    struct sql_rules *rules = tenants();
    char name[70], many[300] = "a";

    (void)state;
    each(rules, rows, ARRAY_LEN(rows));
    memset(name, 'x', sizeof(name));
    strcpy(name + 64, ", a");
    assert_string_equal(meaning(rules, name, "x", "t"), "perhaps"); /* the server cuts it */
    strcpy(name + 63, ", a");
    assert_string_equal(meaning(rules, name, "x", "t"), "a");
    for (int i = 1; i < SQL_PATH_SCHEMAS_MAX; i++)
        strcat(many, ",a");
    assert_string_equal(meaning(rules, many, "x", "t"), "a");
    strcat(many, ",a");
    assert_string_equal(meaning(rules, many, "x", "t"), "perhaps");
    sql_rules_unref(rules);
}

static void a_name_of_one_relation_needs_no_path(void **state)
{
    struct sql_rules *rules = tenants();

    (void)state;
    assert_string_equal(meaning(rules, NULL, NULL, "alone"), "a");
    assert_string_equal(meaning(rules, "b", "x", "alone"), "a");
    assert_string_equal(meaning(rules, "b", "x", "stranger"), "other");
    assert_true(sql_path_matters(rules));
    sql_rules_unref(rules);
    rules = sql_rules_new(1);
    table(rules, "a", "t");
    namesake(rules, "b", "u"); /* for a column of it */
    assert_false(sql_path_matters(rules));
    sql_rules_unref(rules);
    assert_false(sql_path_matters(NULL));
}

static void two_tables_that_migrate_are_told_apart(void **state)
{
    struct sql_rules *rules = tenants();

    (void)state;
    table(rules, "d", "t");
    assert_string_equal(meaning(rules, "d, a", "x", "t"), "d");
    assert_string_equal(meaning(rules, "a, d", "x", "t"), "a");
    assert_string_equal(meaning(rules, "b, d", "x", "t"), "other");
    sql_rules_unref(rules);
}

static void what_a_role_may_not_use_is_passed_by(void **state)
{
    static const struct row rows[] = {
        {"a, b", "poor", "other"}, {"b, a", "poor", "other"}, {"c, a", "poor", "other"},
        {"a, b", "rich", "a"},     {"a, b", NULL, "perhaps"}, {"b, a", NULL, "other"},
        {"a", NULL, "a"},
    };
    struct sql_rules *rules = tenants();

    (void)state;
    sql_rules_add_denied(rules, "poor", "a");
    sql_rules_add_denied(rules, "poor", "c");
    each(rules, rows, ARRAY_LEN(rows));
    sql_rules_unref(rules);
}

static void rights_that_are_not_known_leave_a_doubt_where_they_decide(void **state)
{
    static const struct row own[] = {
        {"a, b", "x", "a"}, {"b, a", "x", "perhaps"}, {"b, c", "x", "other"}, {"b", "x", "other"}};
    static const struct row unknown[] = {
        {"a, b", "x", "perhaps"}, {"a", "x", "a"}, {"b", "x", "other"}};
    struct sql_rules *rules = tenants();

    (void)state;
    sql_rules_set_access(rules, &(struct sql_access){.usage = SQL_USAGE_OWN});
    each(rules, own, ARRAY_LEN(own));
    sql_rules_set_access(rules, &(struct sql_access){.usage = SQL_USAGE_UNKNOWN});
    each(rules, unknown, ARRAY_LEN(unknown));
    sql_rules_unref(rules);
}

static void temporary_relations_and_the_catalog_come_first(void **state)
{
    struct sql_rules *rules = tenants();

    (void)state;
    namesake(rules, "pg_catalog", "t");
    assert_string_equal(meaning(rules, "a", "x", "t"), "other");
    assert_string_equal(meaning(rules, "a, pg_catalog", "x", "t"), "a");
    namesake(rules, "pg_temp_3", "t");
    assert_string_equal(meaning(rules, "a, pg_catalog", "x", "t"), "perhaps");
    assert_string_equal(meaning_to(rules, "a", "pg_temp_3", "t"), "other");
    assert_string_equal(meaning_to(rules, "a, pg_temp", "pg_temp_3", "t"), "perhaps");
    assert_string_equal(meaning_to(rules, "a, pg_temp_3", "pg_temp_3", "t"), "perhaps");
    assert_string_equal(meaning_to(rules, "pg_catalog, a", "pg_temp_4", "t"), "other");
    assert_string_equal(meaning_to(rules, "a, pg_catalog, pg_temp", "", "t"), "a");
    assert_string_equal(meaning_to(rules, "b, a", "", "t"), "other");
    sql_rules_unref(rules);
}

static void names_beyond_the_sixteenth_stay_in_doubt(void **state)
{
    struct sql_rules *rules = sql_rules_new(1);
    char name[8];

    (void)state;
    for (int i = 0; i <= SQL_PATH_NAMES_MAX; i++) {
        snprintf(name, sizeof(name), "t%d", i);
        table(rules, "a", name);
        namesake(rules, "b", name);
    }
    sql_rules_set_access(rules, &(struct sql_access){.usage = SQL_USAGE_ALL});
    assert_string_equal(meaning(rules, "a", "x", "t15"), "a");
    assert_string_equal(meaning(rules, "a", "x", "t16"), "perhaps");
    assert_string_equal(meaning(rules, "b", "x", "t0"), "other");
    sql_rules_unref(rules);
}

/* ---- what becomes of statements ---- */

static void rewrites(const struct sql_rules *rules, const char *path, const char *sql,
                     const char *text, enum sql_doubt doubt, uint64_t touches)
{
    const struct sql_sight_of_session session = {
        .side = SQL_SIDE_OLD, .rewrites = true, .path = sql_path_class(rules, path, "x")};
    struct sql_rewrite out;

    sql_rewrite(rules, &session, sql, strlen(sql), &out);
    if (out.doubt != doubt || !out.text != !text || (text && strcmp(text, out.text) != 0) ||
        out.verdict.touches != touches)
        fail_msg("%s with %s: %s (%s), touches %llx", sql, path ? path : "(not known)",
                 out.text ? out.text : "as it is", sql_doubt_text(out.doubt),
                 (unsigned long long)out.verdict.touches);
    if (touches == 0)
        assert_true(out.verdict.elsewhere == 1 && !out.verdict.old_names);
    sql_rewrite_fini(&out);
}

static void the_path_decides_what_a_statement_touches_and_becomes(void **state)
{
    struct sql_rules *rules = tenants();

    (void)state;
    rewrites(rules, "a", "SELECT * FROM t", "SELECT t.id, t.o FROM t", 0, 1);
    rewrites(rules, "b", "SELECT *, o FROM t", NULL, 0, 0);
    rewrites(rules, NULL, "SELECT * FROM t", NULL, SQL_DOUBT_PATH, 1);
    rewrites(rules, "b", "SELECT * FROM a.t", "SELECT t.id, t.o FROM a.t", 0, 1);
    rewrites(rules, "b", "SELECT * FROM t, a.t x", "SELECT t.*, x.id, x.o FROM t, a.t x", 0, 1);
    rewrites(rules, "a", "UPDATE b.t SET o = 1 FROM t x WHERE x.id = 1", NULL, 0, 1);
    sql_rules_unref(rules);
}

static void in_doubt_values_by_their_places_go_to_the_columns_of_the_side(void **state)
{
    static const struct {
        enum sql_side side;
        const char *sql, *text;
    } cases[] = {
        {SQL_SIDE_NEW, "INSERT INTO t VALUES (1, 'x') RETURNING *",
         "INSERT INTO t (id, n) VALUES (1, 'x') RETURNING t.id, t.n"},
        {SQL_SIDE_NEW, "INSERT INTO t SELECT id, n FROM a.alone",
         "INSERT INTO t (id, n) SELECT id, n FROM a.alone"},
        {SQL_SIDE_NEW, "INSERT INTO alone VALUES (1, 'x')",
         "INSERT INTO alone (id, n) VALUES (1, 'x')"},
        /* by its places it is right whatever the name means, or a list says more than is known */
        {SQL_SIDE_NEW, "INSERT INTO t VALUES (1)", NULL},
        {SQL_SIDE_OLD, "INSERT INTO t VALUES (1, 'x')", NULL},
        {SQL_SIDE_NEW, "INSERT INTO t (id, n) VALUES (1, 'x')", NULL},
        {SQL_SIDE_NEW, "INSERT INTO t DEFAULT VALUES", NULL},
        {SQL_SIDE_NEW, "INSERT INTO t SELECT * FROM t", NULL},
    };
    struct sql_rules *rules = tenants();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct sql_sight_of_session session = {.side = cases[i].side, .rewrites = true};
        struct sql_rewrite out;

        sql_rewrite(rules, &session, cases[i].sql, strlen(cases[i].sql), &out);
        assert_int_equal(out.doubt, cases[i].text ? SQL_DOUBT_NONE : SQL_DOUBT_PATH);
        if (cases[i].text)
            assert_string_equal(out.text, cases[i].text);
        assert_true(cases[i].text || !out.text);
        sql_rewrite_fini(&out);
    }
    sql_rules_unref(rules);
}

/* A list is right for one of them at most. */
static void in_doubt_between_tables_that_show_other_columns_nothing_is_listed(void **state)
{
    static const struct sql_column_rule more[] = {{"id", SQL_SEEN_BY_BOTH, false},
                                                  {"o", SQL_SEEN_BY_OLD, false},
                                                  {"m", SQL_SEEN_BY_BOTH, false},
                                                  {"n", SQL_SEEN_BY_NEW, false}};
    static const char sql[] = "INSERT INTO t VALUES (1, 'x')";
    const struct sql_sight_of_session session = {.side = SQL_SIDE_NEW, .rewrites = true};

    (void)state;
    for (size_t n = 0; n < 2; n++) {
        struct sql_rules *rules = tenants();
        struct sql_rewrite out;

        if (n == 0)
            table(rules, "d", "t");
        else
            sql_rules_add(rules, &(struct sql_table_rule){.migration = "m",
                                                          .schema = "d",
                                                          .name = "t",
                                                          .old_columns = old_names,
                                                          .new_columns = new_names,
                                                          .relatives = none,
                                                          .columns = more,
                                                          .ncolumns = ARRAY_LEN(more)});
        sql_rewrite(rules, &session, sql, strlen(sql), &out);
        assert_int_equal(out.doubt, n == 0 ? SQL_DOUBT_NONE : SQL_DOUBT_PATH);
        assert_int_equal(out.text != NULL, n == 0);
        sql_rewrite_fini(&out);
        sql_rules_unref(rules);
    }
}

/* What `SELECT * FROM t` gives. */
static uint64_t given(const struct sql_rules *rules, enum sql_side side, const char *path)
{
    static const char star[] = "SELECT * FROM t";
    const struct sql_sight_of_session session = {
        .side = side, .rewrites = true, .path = sql_path_class(rules, path, "x")};
    struct sql_rewrite out;

    sql_rewrite(rules, &session, star, strlen(star), &out);
    assert_int_equal(out.doubt, SQL_DOUBT_NONE);
    assert_true(out.closed);
    sql_rewrite_fini(&out);
    return out.signature;
}

static void of_other_relations_it_is_known_whether_a_side_sees_their_columns(void **state)
{
    static const struct {
        const char *schema;
        uint64_t signature;
    } others[] = {{"old", 11}, {"new", 22}, {"unlike", 33}, {"unknown", 0}};
    struct sql_rules *rules = sql_rules_new(1);
    uint64_t old, new;

    (void)state;
    table(rules, "a", "t");
    rules->tables[0].old_signature = 11;
    rules->tables[0].new_signature = 22;
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        sql_rules_add_namesake(
            rules, &(struct sql_namesake){others[i].schema, "t", none, others[i].signature, NULL});
    sql_rules_set_access(rules, &(struct sql_access){.usage = SQL_USAGE_ALL});
    old = given(rules, SQL_SIDE_OLD, "a");
    new = given(rules, SQL_SIDE_NEW, "a");
    assert_true(old && new &&old != new);
    for (int side = SQL_SIDE_OLD; side <= SQL_SIDE_NEW; side++) {
        assert_true(given(rules, (enum sql_side)side, "old, a") == old);
        assert_true(given(rules, (enum sql_side)side, "new, a") == new);
        assert_true(given(rules, (enum sql_side)side, "unlike, a") == 0);
        assert_true(given(rules, (enum sql_side)side, "unknown, a") == 0);
        assert_true(given(rules, (enum sql_side)side, "nowhere") == 0);
    }
    sql_rules_add_denied(rules, "y", "old");
    assert_string_equal(meaning(rules, "old, new", NULL, "t"), "other"); /* of unlike columns */
    sql_rules_unref(rules);
}

static void the_schema_in_which_relations_are_made_is_the_first_one(void **state)
{
    static const struct {
        const char *path;
        uint64_t in;
    } rows[] = {{"a, b", 3}, {" \"a\"", 3}, {"b, a", 0}, {"\"$user\", a", 0}, {"", 0}, {NULL, 0}};
    struct sql_rules *rules = tenants();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(
            sql_path_makes_in(rules, &(struct sql_path_of){.path = rows[i].path, .role = "x"}),
            rows[i].in);
    sql_rules_add_denied(rules, "x", "a");
    assert_int_equal(sql_path_makes_in(rules, &(struct sql_path_of){.path = "a", .role = "x"}), 0);
    assert_int_equal(sql_path_makes_in(rules, &(struct sql_path_of){.path = "a", .role = "y"}), 3);
    sql_rules_add_partition(rules, 0, &(struct sql_partition){.schema = "c", .name = "part"});
    assert_int_equal(sql_path_makes_in(rules, &(struct sql_path_of){.path = "a", .role = "y"}), 2);
    sql_rules_unref(rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_schema_in_which_relations_are_made_is_the_first_one),
        cmocka_unit_test(the_first_schema_that_has_the_name_decides),
        cmocka_unit_test(a_path_is_read_as_the_server_reads_it),
        cmocka_unit_test(a_name_of_one_relation_needs_no_path),
        cmocka_unit_test(two_tables_that_migrate_are_told_apart),
        cmocka_unit_test(what_a_role_may_not_use_is_passed_by),
        cmocka_unit_test(rights_that_are_not_known_leave_a_doubt_where_they_decide),
        cmocka_unit_test(temporary_relations_and_the_catalog_come_first),
        cmocka_unit_test(names_beyond_the_sixteenth_stay_in_doubt),
        cmocka_unit_test(the_path_decides_what_a_statement_touches_and_becomes),
        cmocka_unit_test(in_doubt_values_by_their_places_go_to_the_columns_of_the_side),
        cmocka_unit_test(in_doubt_between_tables_that_show_other_columns_nothing_is_listed),
        cmocka_unit_test(of_other_relations_it_is_known_whether_a_side_sees_their_columns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
