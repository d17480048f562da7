/* engine/guard.h and plan as JSON: pure parts. What the SQL does is tested on real servers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "segue/base/mem.h"
#include "segue/engine/guard.h"

static char *up_reads[] = {"o"};
static struct eng_dual plain = {.old_name = "o",
                                .new_name = "N",
                                .old_type = "text",
                                .new_type = "text",
                                .up = "o",
                                .down = "\"N\"",
                                .up_columns = up_reads,
                                .nup_columns = 1,
                                .plain = true};
static struct eng_dual typed = {.old_name = "o",
                                .new_name = "n",
                                .old_type = "text",
                                .new_type = "jsonb",
                                .up = "o::jsonb -- why",
                                .down = "n::text",
                                .up_columns = up_reads,
                                .nup_columns = 1};
static struct eng_dual added = {.new_name = "n",
                                .new_type = "int",
                                .up = "length(o)",
                                .up_columns = up_reads,
                                .nup_columns = 1};
static struct eng_dual instant = {.new_name = "n", .new_type = "int"};

static void free_all(char **sql, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(sql[i]);
    free(sql);
}

static void in_step_is(const struct eng_dual *dual, enum eng_direction dir, const char *row,
                       const char *want)
{
    char *got = eng_dual_in_step(dual, dir, row);

    assert_string_equal(got, want);
    free(got);
}

static void in_step_compares_bytes_of_equal_types(void **state)
{
    (void)state;
    in_step_is(&plain, ENG_FORWARD, "",
               "(ROW(\"N\")::record OPERATOR(pg_catalog.*=) ROW(o)::record)");
    in_step_is(&plain, ENG_REVERSE, "NEW.",
               "(ROW(NEW.o)::record OPERATOR(pg_catalog.*=) ROW(NEW.\"N\")::record)");
    in_step_is(
        &typed, ENG_FORWARD, "NEW.",
        "(ROW(NEW.n)::record OPERATOR(pg_catalog.*=) ROW((NEW.o::jsonb -- why\n)::jsonb)"
        "::record OR (NEW.n IS DISTINCT FROM NULL AND ROW(NEW.o)::record OPERATOR(pg_catalog.*=)"
        " ROW((NEW.n::text)::text)::record))");
    in_step_is(&added, ENG_FORWARD, "",
               "(n IS DISTINCT FROM NULL OR (length(o))::int IS NOT DISTINCT FROM NULL)");
    in_step_is(&added, ENG_REVERSE, "", "true");
    in_step_is(&instant, ENG_FORWARD, "", "true");
}

static void in_step_spares_the_records_where_equal_is_the_same_bytes(void **state)
{
    struct eng_dual number = plain, words = plain, other = typed;

    (void)state;
    number.equality = "bytes";
    words.equality = "text";
    other.equality = "text"; /* of two types: never */
    in_step_is(&number, ENG_FORWARD, "",
               "((\"N\" OPERATOR(pg_catalog.=) o) IS TRUE OR (\"N\" IS NOT DISTINCT FROM NULL AND "
               "o IS NOT DISTINCT FROM NULL))");
    in_step_is(&words, ENG_REVERSE, "NEW.",
               "((NEW.o COLLATE pg_catalog.\"C\" OPERATOR(pg_catalog.=) NEW.\"N\" COLLATE"
               " pg_catalog.\"C\") IS TRUE OR (NEW.o IS NOT DISTINCT FROM NULL AND NEW.\"N\" IS "
               "NOT DISTINCT FROM NULL))");
    in_step_is(&other, ENG_FORWARD, "",
               "(ROW(n)::record OPERATOR(pg_catalog.*=) ROW((o::jsonb -- why\n)::jsonb)::record OR"
               " (n IS DISTINCT FROM NULL AND ROW(o)::record OPERATOR(pg_catalog.*=)"
               " ROW((n::text)::text)::record))");
}

/* After the cut-over each half has the other's name, and every expression follows. */
static void the_guard_of_a_change_of_type_follows_the_swap_of_names(void **state)
{
    char *reads[] = {"id"};
    struct eng_dual duals[] = {{.old_name = "id",
                                .new_name = "t",
                                .old_type = "int",
                                .new_type = "bigint",
                                .up = "id::bigint",
                                .down = "t::int",
                                .up_columns = reads,
                                .nup_columns = 1,
                                .retypes = true},
                               {.new_name = "n",
                                .new_type = "int",
                                .up = "id + 1",
                                .up_columns = reads,
                                .nup_columns = 1}};
    struct eng_table table = {
        .schema = "s", .name = "x", .guard = "g", .duals = duals, .nduals = 2};
    char **sql;
    size_t n;

    (void)state;
    sql = eng_guard_sql(&table, ENG_FORWARD, &n);
    assert_non_null(strstr(sql[0], "NEW.t := (NEW.id::bigint)::bigint"));
    assert_non_null(strstr(sql[0], "NEW.id := (NEW.t::int)::int"));
    assert_non_null(strstr(sql[0], "NEW.n := (NEW.id + 1)::int"));
    free_all(sql, n);
    sql = eng_guard_sql(&table, ENG_REVERSE, &n);
    assert_non_null(strstr(sql[0], "NEW.t := (NEW.id::int)::int"));
    assert_non_null(strstr(sql[0], "NEW.id := (NEW.t::bigint)::bigint"));
    assert_non_null(strstr(sql[0], "NEW.n := (NEW.t + 1)::int"));
    assert_non_null(strstr(sql[1], "NEW.t"));
    free_all(sql, n);
}

static void fill_never_overwrites_what_is_in_step(void **state)
{
    struct eng_dual duals[] = {plain, added, instant};
    struct eng_table table = {.schema = "s", .name = "t", .duals = duals, .nduals = 3};
    char *fill = eng_table_fill(&table);

    (void)state;
    assert_string_equal(fill, "\"N\" = o, n = COALESCE(n, (length(o))::int)");
    free(fill);
}

/* Asking it would take a number. */
static void a_column_that_counts_is_in_step_when_it_has_a_value(void **state)
{
    static const char next[] = "pg_catalog.nextval('s'::pg_catalog.regclass)";
    struct eng_dual dual = {.new_name = "n",
                            .new_type = "integer",
                            .up = (char *)next,
                            .not_null = true,
                            .counts = true};
    struct eng_table table = {.schema = "s", .name = "t", .duals = &dual, .nduals = 1};
    char *in_step = eng_dual_in_step(&dual, ENG_FORWARD, ""),
         *unfilled = eng_table_unfilled(&table);
    char *fill = eng_table_fill(&table);

    (void)state;
    assert_null(strstr(in_step, "nextval"));
    assert_null(strstr(unfilled, "nextval"));
    assert_string_equal(fill, "n = COALESCE(n, (pg_catalog.nextval('s'::pg_catalog.regclass))::"
                              "integer)");
    free(fill);
    free(unfilled);
    free(in_step);
}

static void unfilled_looks_at_bytes_before_it_calls_up(void **state)
{
    struct eng_dual duals[] = {added, plain};
    struct eng_table table = {.schema = "s", .name = "t", .duals = duals, .nduals = 2};
    char *unfilled = eng_table_unfilled(&table);
    const char *bytes = strstr(unfilled, "\"N\""), *call = strstr(unfilled, "length(o)");

    (void)state;
    assert_non_null(bytes);
    assert_non_null(call);
    assert_true(bytes < call);
    free(unfilled);
}

static void guard_of_what_varies_with_settings_is_always_asked_under_its_own(void **state)
{
    struct eng_dual dual = typed;
    struct eng_table table = {.schema = "s",
                              .name = "t",
                              .guard = "guard_7",
                              .duals = &dual,
                              .nduals = 1,
                              .settings = " SET \"TimeZone\" = 'UTC'"};
    size_t n;
    char **sql;

    (void)state;
    dual.varies = true;
    sql = eng_guard_sql(&table, ENG_FORWARD, &n);
    assert_non_null(strstr(sql[0], " SET \"TimeZone\" = 'UTC' AS "));
    assert_non_null(strstr(sql[1], "WHEN (NOT (false AND (true OR NEW.o IS NOT DISTINCT FROM NULL"
                                   " OR NEW.n IS NOT DISTINCT FROM NULL)))"));
    free_all(sql, n);
}

/* Whoever drops one is refused by the server, and not who writes by the function. */
static void when_says_every_column_that_the_function_reads(void **state)
{
    static char *down_reads[] = {"Z"};
    struct eng_dual duals[] = {
        added,
        {.old_name = "g", .old_type = "text", .down = "\"Z\" || y", .up_columns = down_reads}};
    struct eng_table table = {
        .schema = "s", .name = "t", .guard = "guard_7", .duals = duals, .nduals = 2};
    size_t n;
    char **sql;

    (void)state;
    duals[1].nup_columns = 1;
    sql = eng_guard_sql(&table, ENG_REVERSE, &n);
    assert_non_null(strstr(sql[1], "(true OR NEW.o IS NOT DISTINCT FROM NULL OR NEW.\"Z\" IS NOT"
                                   " DISTINCT FROM NULL OR NEW.y IS NOT DISTINCT FROM NULL)"));
    free_all(sql, n);
    table.nduals = 1;
    duals[0] = typed; /* a pair says all that it reads */
    sql = eng_guard_sql(&table, ENG_REVERSE, &n);
    assert_null(strstr(sql[1], "true OR"));
    free_all(sql, n);
}

static void guard_of_renames_alone_asks_in_few_words_for_a_difference(void **state)
{
    struct eng_dual duals[] = {plain, plain, typed};
    struct eng_table table = {
        .schema = "s", .name = "t", .guard = "g", .duals = duals, .nduals = 2};
    size_t n;
    char **sql;

    (void)state;
    duals[0].equality = "bytes";
    duals[1].equality = "text";
    sql = eng_guard_sql(&table, ENG_FORWARD, &n);
    assert_non_null(strstr(sql[1], "WHEN (NEW.\"N\" IS DISTINCT FROM NEW.o OR NEW.\"N\" COLLATE "
                                   "pg_catalog.\"C\" IS DISTINCT FROM NEW.o COLLATE"
                                   " pg_catalog.\"C\") EXECUTE"));
    assert_ptr_equal(strstr(sql[1], "DO LANGUAGE plpgsql '"), sql[1]);
    free_all(sql, n);
    table.nduals = 3; /* an expression means what the author's search_path says */
    sql = eng_guard_sql(&table, ENG_REVERSE, &n);
    assert_ptr_equal(strstr(sql[1], "CREATE OR REPLACE TRIGGER"), sql[1]);
    assert_non_null(strstr(sql[1], "WHEN (NOT ("));
    free_all(sql, n);
}

static void guard_is_last_always_on_and_skipped_when_in_step(void **state)
{
    struct eng_table table = {.schema = "s",
                              .name = "T",
                              .guard = "guard_7",
                              .duals = &typed,
                              .nduals = 1,
                              .search_path = "public, s"};
    size_t n;
    char **sql = eng_guard_sql(&table, ENG_FORWARD, &n);

    (void)state;
    assert_int_equal(n, 3);
    assert_non_null(strstr(sql[0], "FUNCTION segue.guard_7() RETURNS trigger"));
    assert_non_null(strstr(sql[0], "SET search_path = public, s"));
    assert_non_null(strstr(sql[1], "TRIGGER \"~segue_guard\" BEFORE INSERT OR UPDATE ON s.\"T\""));
    assert_non_null(strstr(sql[1], "WHEN (NOT ("));
    assert_string_equal(sql[2], "ALTER TABLE s.\"T\" ENABLE ALWAYS TRIGGER \"~segue_guard\"");
    free_all(sql, n);
    table.renamed = "U";
    sql = eng_guard_drop_sql(&table, ENG_FORWARD, &n);
    assert_int_equal(n, 2);
    assert_string_equal(sql[0], "DROP TRIGGER IF EXISTS \"~segue_guard\" ON s.\"T\"");
    free_all(sql, n);
    sql = eng_guard_drop_sql(&table, ENG_REVERSE, &n);
    assert_string_equal(sql[0], "DROP TRIGGER IF EXISTS \"~segue_guard\" ON s.\"U\"");
    free_all(sql, n);
}

static void what_names_types_of_others_is_called_as_a_function_of_the_columns_it_reads(void **state)
{
    struct eng_dual dual = typed;
    struct eng_table table = {
        .schema = "s", .name = "t", .guard = "g", .duals = &dual, .nduals = 1};
    size_t n;
    char **sql = eng_guard_calls_sql(&table, &n), *back;

    (void)state;
    assert_int_equal(n, 0);
    free_all(sql, n);
    dual.by_trees = true;
    dual.up = "(o || \"O\" || o)::jsonb -- why";
    sql = eng_guard_calls_sql(&table, &n);
    assert_int_equal(n, 6);
    assert_string_equal(sql[1], "CREATE FUNCTION segue.g_up_0(o s.t.o%TYPE, \"O\" s.t.\"O\"%TYPE) "
                                "RETURNS jsonb LANGUAGE sql RETURN ((o || \"O\" || o)::jsonb -- "
                                "why\n)::jsonb");
    assert_string_equal(sql[2], "GRANT EXECUTE ON FUNCTION segue.g_up_0 TO PUBLIC");
    free_all(sql, n);
    sql = eng_guard_sql(&table, ENG_FORWARD, &n);
    assert_non_null(strstr(sql[0], "NEW.n := segue.g_up_0(NEW.o, NEW.\"O\");"));
    assert_non_null(strstr(sql[0], "NEW.o := segue.g_down_0(NEW.n);"));
    assert_null(strstr(sql[0], "::jsonb"));
    assert_non_null(strstr(sql[1], "::jsonb"));
    assert_null(strstr(sql[1], "segue.g_up_0"));
    free_all(sql, n);
    dual.varies = true; /* a literal is read when a function is made */
    table.settings = " SET \"TimeZone\" = 'a; SET b' SET x = '1'";
    sql = eng_guard_calls_sql(&table, &n);
    assert_int_equal(n, 7);
    assert_string_equal(sql[0], "SET LOCAL \"TimeZone\" = 'a; SET b';\nSET LOCAL x = '1'");
    free_all(sql, n);
    dual.varies = false;
    dual.retypes = true;
    sql = eng_guard_sql(&table, ENG_REVERSE, &n);
    assert_non_null(strstr(sql[0], "NEW.n := segue.g_down_0(NEW.o);"));
    free_all(sql, n);
    back = eng_guard_back_sql(&table); /* the same by the names of before */
    assert_non_null(strstr(back, "IF NEW.o IS DISTINCT FROM NULL THEN\n        NEW.n := "
                                 "segue.g_up_0(NEW.o, NEW.\"O\");"));
    assert_non_null(strstr(back, "NEW.o := segue.g_down_0(NEW.n);"));
    free(back);
    sql = eng_guard_drop_sql(&table, ENG_REVERSE, &n);
    assert_int_equal(n, 4);
    assert_string_equal(sql[3], "DROP FUNCTION IF EXISTS segue.g_down_0");
    free_all(sql, n);
}

static struct eng_plan some_plan(struct eng_table *table, struct eng_step *step,
                                 struct eng_note *note)
{
    static char *sql[] = {"SELECT 1", "SELECT 2"};
    static char *relatives[] = {"u"};

    *table = (struct eng_table){.schema = "s",
                                .name = "t",
                                .oid = 4000000000u,
                                .relkind = 'p',
                                .guard = "g",
                                .duals = &typed,
                                .nduals = 1,
                                .relatives = relatives,
                                .nrelatives = 1};
    *step = (struct eng_step){.stage = ENG_STAGE_BUILD,
                              .kind = ENG_STEP_CONCURRENTLY,
                              .no = 1,
                              .table = 0,
                              .title = "x",
                              .sql = sql,
                              .nsql = 2,
                              .lock = "",
                              .lock_on = "",
                              .holds = "",
                              .gate = true,
                              .index_name = "i"};
    *note = (struct eng_note){.refusal = true, .object = "view v", .text = "no", .hint = "drop it"};
    return (struct eng_plan){.name = "m",
                             .sha256 = "00",
                             .file = "{}",
                             .tables = table,
                             .ntables = 1,
                             .steps = step,
                             .nsteps = 1,
                             .notes = note,
                             .nnotes = 1};
}

static json_t *dual_of(json_t *plan)
{
    json_t *table = json_array_get(json_object_get(plan, "tables"), 0);

    return json_array_get(json_object_get(table, "duals"), 0);
}

static void plans_survive_json(void **state)
{
    struct eng_table table;
    struct eng_step step;
    struct eng_note note;
    struct eng_plan plan = some_plan(&table, &step, &note), *back;
    struct err err = {0};
    json_t *json = eng_plan_to_json(&plan), *again;

    (void)state;
    assert_int_equal(eng_plan_from_json(json, &back, &err), RC_OK);
    again = eng_plan_to_json(back);
    assert_true(json_equal(json, again));
    assert_int_equal(back->tables[0].oid, 4000000000u);
    assert_int_equal(back->tables[0].relkind, 'p');
    assert_int_equal(back->steps[0].stage, ENG_STAGE_BUILD);
    assert_string_equal(back->steps[0].sql[1], "SELECT 2");
    assert_null(back->version_to);
    assert_true(eng_plan_refused(back, &err));
    assert_string_equal(err.text, "view v: no");
    assert_string_equal(err.hint, "drop it");
    eng_plan_free(back);
    json_decref(again);
    assert_null(json_object_get(dual_of(json), "group")); /* what it does not need */
    json_object_del(json, "format");                      /* as an older segue has stored it */
    assert_int_equal(eng_plan_from_json(json, &back, &err), RC_OK);
    assert_int_equal(back->tables[0].duals[0].group, 0);
    eng_plan_free(back);
    json_object_del(json_array_get(json_object_get(json, "steps"), 0), "kind");
    err_clear(&err);
    assert_int_equal(eng_plan_from_json(json, &back, &err), RC_ERR);
    assert_null(back);
    json_decref(json);
}

/* Fields and values as a newer segue might store them. */
static void a_plan_of_a_newer_segue_is_refused_by_the_name_of_what_is_new(void **state)
{
    struct eng_table table;
    struct eng_step step;
    struct eng_note note;
    struct eng_plan plan = some_plan(&table, &step, &note), *back;
    json_t *json = eng_plan_to_json(&plan);
    json_t *first = json_array_get(json_object_get(json, "steps"), 0);
    const struct {
        json_t *object;
        const char *name;
        json_t *value;
        const char *told;
    } news[] = {
        {json, "format", json_integer(3), "format \"3\""},
        {json, "waits", json_true(), "a field \"waits\""},
        {dual_of(json), "halves", json_integer(2), "a field \"halves\""},
        {first, "kind", json_string("copy"), "a kind of step \"copy\""},
        {first, "stage", json_string("rehearse"), "a stage \"rehearse\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(news) / sizeof(*news); i++) {
        json_t *was = json_incref(json_object_get(news[i].object, news[i].name));
        struct err err = {0};

        json_object_set_new(news[i].object, news[i].name, news[i].value);
        assert_int_equal(eng_plan_from_json(json, &back, &err), RC_ERR);
        assert_null(back);
        assert_non_null(strstr(err.text, news[i].told));
        assert_non_null(strstr(err.hint, "newer segue"));
        if (was)
            json_object_set_new(news[i].object, news[i].name, was);
        else
            json_object_del(news[i].object, news[i].name);
    }
    json_decref(json);
}

static void the_table_for_people_shows_refusals_first(void **state)
{
    struct eng_table table;
    struct eng_step step;
    struct eng_note note;
    struct eng_plan plan = some_plan(&table, &step, &note);
    json_t *json = eng_plan_table(&plan);
    const json_t *rows = json_object_get(json, "rows");

    (void)state;
    assert_int_equal(json_array_size(rows), 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(json_array_size(json_array_get(rows, i)),
                         json_array_size(json_object_get(json, "columns")));
    assert_string_equal(json_string_value(json_array_get(json_array_get(rows, 0), 1)), "REFUSED");
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_step_compares_bytes_of_equal_types),
        cmocka_unit_test(in_step_spares_the_records_where_equal_is_the_same_bytes),
        cmocka_unit_test(the_guard_of_a_change_of_type_follows_the_swap_of_names),
        cmocka_unit_test(fill_never_overwrites_what_is_in_step),
        cmocka_unit_test(a_column_that_counts_is_in_step_when_it_has_a_value),
        cmocka_unit_test(unfilled_looks_at_bytes_before_it_calls_up),
        cmocka_unit_test(guard_of_renames_alone_asks_in_few_words_for_a_difference),
        cmocka_unit_test(guard_is_last_always_on_and_skipped_when_in_step),
        cmocka_unit_test(guard_of_what_varies_with_settings_is_always_asked_under_its_own),
        cmocka_unit_test(when_says_every_column_that_the_function_reads),
        cmocka_unit_test(
            what_names_types_of_others_is_called_as_a_function_of_the_columns_it_reads),
        cmocka_unit_test(plans_survive_json),
        cmocka_unit_test(a_plan_of_a_newer_segue_is_refused_by_the_name_of_what_is_new),
        cmocka_unit_test(the_table_for_people_shows_refusals_first),
    };

    return cmocka_run_group_tests_name("engine_guard", tests, NULL, NULL);
}
