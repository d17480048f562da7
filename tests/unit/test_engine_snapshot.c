/* proxy/engine/snapshot.c: what workers are told in each phase, from plan and catalog. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/engine/snapshot.h"
#include "../../proxy/sql/rules_private.h"
#include "segue/sql/path.h"

/* ---- a catalog ---- */

static PGresult *table_of(int ncolumns)
{
    PGresult *res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc columns[SIGHT_PART + 1] = {{.name = (char[]){"c"}}};

    for (int i = 1; i <= SIGHT_PART; i++)
        columns[i] = columns[0];
    assert_true(PQsetResultAttrs(res, ncolumns, columns));
    return res;
}

/* NULL ends the row's fields that are given; the rest are null. */
static void put_row(PGresult *res, const char *const *fields)
{
    int row = PQntuples(res);

    for (int c = 0; c < PQnfields(res); c++) {
        const char *field = fields[c];

        assert_true(
            PQsetvalue(res, row, c, (char *)(uintptr_t)field, field ? (int)strlen(field) : -1));
    }
}

/* "key" is the key's, "granted" is granted by itself. */
static void column_of(struct eng_sight *sight, const char *table, const char *partition,
                      const char *name, bool generated, const char *grants, bool triggers)
{
    const char *fields[] = {"public",
                            table,
                            name,
                            generated ? "t" : "f",
                            grants,
                            triggers ? "t" : "f",
                            partition ? "parts" : NULL,
                            partition,
                            strcmp(name, "key") == 0 ? "t" : "f",
                            strcmp(name, "granted") == 0 ? "t" : "f",
                            "f",
                            name};

    if (!sight->columns) {
        sight->columns = table_of(SIGHT_PART + 1);
        sight->namesakes = table_of(5);
    }
    put_row(sight->columns, fields);
}

static void column(struct eng_sight *sight, const char *table, const char *name, bool generated,
                   const char *grants, bool triggers)
{
    column_of(sight, table, NULL, name, generated, grants, triggers);
}

static void namesake_like(struct eng_sight *sight, const char *schema, const char *name,
                          const char *column_name, const char *signature, const char *place)
{
    const char *fields[] = {schema, name, column_name, signature, place};

    put_row(sight->namesakes, fields);
}

static void namesake(struct eng_sight *sight, const char *schema, const char *name,
                     const char *column_name, const char *place)
{
    namesake_like(sight, schema, name, column_name, NULL, place);
}

/* ---- a migration: claim_text becomes claim, score gets another type as points, seen is new ----
 */

struct bed {
    struct eng_dual duals[3];
    struct eng_table table;
    struct eng_plan plan;
    struct eng_locked locked[2];
    struct eng_migration m;
    struct eng_migration *migrations[1];
    struct eng_engine engine;
    struct snapshot snap;
    char text[512];
};

static char claim_text[] = "claim_text", claim[] = "claim", score[] = "score", points[] = "points",
            seen[] = "seen", checks[] = "checks", users[] = "users", public[] = "public",
            mname[] = "m", up[] = "x";

static void bed_init(struct bed *b, enum eng_phase_id phase)
{
    memset(b, 0, sizeof(*b));
    b->duals[0] = (struct eng_dual){
        .old_name = claim_text, .new_name = claim, .up = up, .down = up, .plain = true};
    b->duals[1] = (struct eng_dual){.old_name = score, .new_name = points, .up = up, .down = up};
    b->duals[2] = (struct eng_dual){.new_name = seen};
    b->table = (struct eng_table){.schema = public, .name = checks, .duals = b->duals, .nduals = 3};
    b->plan = (struct eng_plan){.tables = &b->table, .ntables = 1};
    b->locked[0] = (struct eng_locked){public, checks, 0, -1, true};
    b->locked[1] = (struct eng_locked){public, users, -1, -1, false};
    b->m =
        (struct eng_migration){.name = mname,
                               .plan = &b->plan,
                               .phase = phase,
                               .locked = b->locked,
                               .nlocked = 2,
                               .stats = {.progress = 41.4, .rows_done = 7000, .rows_total = 17000}};
    b->migrations[0] = &b->m;
    b->engine.migrations = b->migrations;
    b->engine.nmigrations = 1;
    b->engine.epoch = 7;
}

/* The table's columns as the catalog has them in this phase. */
static void bed_columns(struct bed *b, bool with_old, bool with_new, bool triggers)
{
    struct eng_sight *sight = &b->engine.sight;

    column(sight, checks, "id", false, NULL, triggers);
    if (with_old) {
        column(sight, checks, claim_text, false, "10 INSERT", triggers);
        column(sight, checks, score, false, NULL, triggers);
    }
    column(sight, checks, "total", true, NULL, triggers);
    if (with_new) {
        column(sight, checks, claim, false, "10 INSERT", triggers);
        column(sight, checks, points, false, NULL, triggers);
        column(sight, checks, seen, false, NULL, triggers);
    }
    column(sight, users, "id", false, NULL, false);
}

static void bed_fini(struct bed *b)
{
    snapshot_fini(&b->snap);
    sight_forget(&b->engine.sight);
}

static const char *shown_rule(struct bed *b, const struct rule *rule);

/* "id claim_text- claim+ total! | claim_text=claim | early reversed": - old, + new, x nobody, /
 * never, ! generated. */
static const char *shown(struct bed *b, size_t table)
{
    return shown_rule(b, &b->snap.rules->tables[table]);
}

static const char *shown_rule(struct bed *b, const struct rule *rule)
{
    static const char marks[] = {[SQL_SEEN_BY_BOTH] = ' ',
                                 [SQL_SEEN_BY_OLD] = '-',
                                 [SQL_SEEN_BY_NEW] = '+',
                                 [SQL_SEEN_BY_NOBODY] = 'x',
                                 [SQL_SEEN_NEVER] = '/'};
    struct buf out = {0};

    for (size_t i = 0; i < rule->ncolumns; i++) {
        char mark = marks[rule->columns[i].sight];

        buf_printf(&out, "%s%.*s%s ", rule->columns[i].name, mark != ' ', &mark,
                   rule->columns[i].generated ? "!" : "");
    }
    buf_append_str(&out, "|");
    for (size_t i = 0; i < rule->ntwins; i++)
        buf_printf(&out, " %s=%s", rule->twins[i].old_name, rule->twins[i].new_name);
    buf_printf(&out, " |%s%s", rule->early ? " early" : "", rule->reversed ? " reversed" : "");
    snprintf(b->text, sizeof(b->text), "%s", out.data);
    buf_fini(&out);
    return b->text;
}

/* ---- tests ---- */

static void every_phase_shows_what_stays_on_both_sides_of_its_edges(void **state)
{
    static const char both[] = "id claim_text- score- total! claim+ points+ seen+ | "
                               "claim_text=claim |";
    static const struct {
        enum eng_phase_id phase;
        bool with_old, with_new; /* in the catalog */
        const char *columns, *flags;
    } cases[] = {
        {PH_EXPANDING, true, false, "id claim_text- score- total! claim+ points+ seen+ | |",
         " early"},
        {PH_EXPANDING, true, true, "id claim_text- score- total! claim+ points+ seen+ | |",
         " early"},
        {PH_BACKFILLING, true, true, both, " early"},
        {PH_VERIFYING, true, true, both, " early"},
        {PH_READY, true, true, both, ""},
        {PH_CUTTING_OVER, true, true, both, ""},
        {PH_SOAKING, true, true, both, " reversed"},
        {PH_REVERTING, true, true, both, " reversed"},
        {PH_CONTRACTING, true, true, "id claim_textx scorex total! claim points seen | |",
         " reversed"},
        {PH_CONTRACTING, false, true, "id total! claim points seen | |", " reversed"},
        {PH_ABORTING, true, true, "id claim_text score total! claimx pointsx seenx | |", " early"},
        {PH_ABORTING, true, false, "id claim_text score total! | |", " early"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char expected[256];
        struct bed b;

        bed_init(&b, cases[i].phase);
        bed_columns(&b, cases[i].with_old, cases[i].with_new, false);
        snapshot_build(&b.engine, &b.snap);
        snprintf(expected, sizeof(expected), "%s%s", cases[i].columns, cases[i].flags);
        assert_string_equal(shown(&b, 0), expected);
        assert_int_equal(b.locked[0].bit, 0);
        assert_int_equal(sql_rules_epoch(b.snap.rules), 7);
        bed_fini(&b);
    }
}

/* `points` waits for the name of `score`; the cut-over swaps the two in the catalog. */
static void a_column_that_changes_its_type_stays_at_its_place_under_its_name(void **state)
{
    static const struct {
        enum eng_phase_id phase;
        const char *first, *last; /* in the catalog */
        const char *shown;
    } cases[] = {
        {PH_EXPANDING, score, NULL, "id score total points/ | | early"},
        {PH_BACKFILLING, score, points, "id score total points/ | | early"},
        {PH_READY, score, points, "id score total points/ | |"},
        {PH_SOAKING, points, score, "id score total points/ | | reversed"},
        {PH_CONTRACTING, points, score, "id score total points/ | | reversed"},
        {PH_CONTRACTING, NULL, score, "id total score | | reversed"},
        {PH_ABORTING, score, points, "id score total points/ | | early"},
        {PH_ABORTING, score, NULL, "id score total | | early"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bed b;

        bed_init(&b, cases[i].phase);
        b.table.duals = &b.duals[1];
        b.table.nduals = 1;
        b.duals[1].retypes = true;
        column(&b.engine.sight, checks, "id", false, NULL, false);
        if (cases[i].first)
            column(&b.engine.sight, checks, cases[i].first, false, NULL, false);
        column(&b.engine.sight, checks, "total", false, NULL, false);
        if (cases[i].last)
            column(&b.engine.sight, checks, cases[i].last, false, NULL, false);
        snapshot_build(&b.engine, &b.snap);
        assert_string_equal(shown(&b, 0), cases[i].shown);
        assert_int_equal(sql_rules_retypes(b.snap.rules, 1), strchr(cases[i].shown, '/') != NULL);
        assert_null(b.snap.rules->tables[0].old_columns[0]);
        assert_null(b.snap.rules->tables[0].new_columns[0]);
        bed_fini(&b);
    }
}

static void no_phase_that_workers_know_is_without_a_view(void **state)
{
    (void)state;
    for (int i = 0; i < PH_COUNT; i++) {
        struct bed b;

        bed_init(&b, (enum eng_phase_id)i);
        bed_columns(&b, true, true, false);
        snapshot_build(&b.engine, &b.snap);
        assert_int_equal(b.snap.rules != NULL, eng_phase((enum eng_phase_id)i)->active);
        if (b.snap.rules) /* some side is not shown something */
            assert_true(strpbrk(shown(&b, 0), "-+x") != NULL);
        bed_fini(&b);
    }
}

static void a_table_that_is_only_locked_has_its_columns_and_is_never_early(void **state)
{
    struct bed b;

    (void)state;
    bed_init(&b, PH_BACKFILLING);
    bed_columns(&b, true, true, false);
    snapshot_build(&b.engine, &b.snap);
    assert_string_equal(shown(&b, 1), "id | |");
    bed_fini(&b);
}

static void columns_with_nothing_to_fill_are_never_early(void **state)
{
    struct bed b;

    (void)state;
    bed_init(&b, PH_BACKFILLING);
    b.table.duals = &b.duals[2];
    b.table.nduals = 1;
    bed_columns(&b, false, true, false);
    snapshot_build(&b.engine, &b.snap);
    assert_string_equal(shown(&b, 0), "id total! claim points seen+ | |");
    bed_fini(&b);
}

static void the_primary_key_is_told_and_another_one_is_another_meaning(void **state)
{
    struct bed with, without;

    (void)state;
    bed_init(&with, PH_READY);
    bed_columns(&with, true, true, false);
    column(&with.engine.sight, users, "key", false, NULL, false);
    bed_init(&without, PH_READY);
    bed_columns(&without, true, true, false);
    column(&without.engine.sight, users, "kez", false, NULL, false);
    snapshot_build(&with.engine, &with.snap);
    snapshot_build(&without.engine, &without.snap);
    assert_null(with.snap.rules->tables[0].key[0]);
    assert_string_equal(with.snap.rules->tables[1].key[0], "key");
    assert_null(with.snap.rules->tables[1].key[1]);
    assert_null(without.snap.rules->tables[1].key[0]);
    assert_string_not_equal(with.snap.meaning.data, without.snap.meaning.data);
    assert_true(with.snap.meaning.len > without.snap.meaning.len);
    bed_fini(&with);
    bed_fini(&without);
}

static void a_trigger_of_the_owner_or_other_grants_leave_the_pair_to_the_guard(void **state)
{
    struct bed b;

    (void)state;
    bed_init(&b, PH_READY);
    bed_columns(&b, true, true, true);
    snapshot_build(&b.engine, &b.snap);
    assert_int_equal(b.snap.rules->tables[0].ntwins, 0);
    bed_fini(&b);

    bed_init(&b, PH_READY);
    column(&b.engine.sight, checks, claim_text, false, "10 INSERT,11 INSERT", false);
    column(&b.engine.sight, checks, claim, false, "10 INSERT", false);
    snapshot_build(&b.engine, &b.snap);
    assert_int_equal(b.snap.rules->tables[0].ntwins, 0);
    bed_fini(&b);

    bed_init(&b, PH_READY);
    column(&b.engine.sight, checks, claim_text, false, "", false);
    column(&b.engine.sight, checks, claim, false, NULL, false);
    snapshot_build(&b.engine, &b.snap);
    assert_int_equal(b.snap.rules->tables[0].ntwins, 1);
    bed_fini(&b);
}

static void a_column_of_any_partition_that_is_granted_by_itself_is_told(void **state)
{
    struct bed with, without;

    (void)state;
    bed_init(&with, PH_READY);
    column(&with.engine.sight, checks, claim_text, false, NULL, false);
    column_of(&with.engine.sight, checks, "checks_1", "granted", false, NULL, false);
    bed_init(&without, PH_READY);
    column(&without.engine.sight, checks, claim_text, false, NULL, false);
    column_of(&without.engine.sight, checks, "checks_1", "GRANTED", false, NULL, false);
    snapshot_build(&with.engine, &with.snap);
    snapshot_build(&without.engine, &without.snap);
    assert_true(with.snap.rules->tables[0].partly && with.snap.rules->partitions[0].partly);
    assert_false(without.snap.rules->tables[0].partly || without.snap.rules->partitions[0].partly);
    assert_true(with.snap.meaning.len > without.snap.meaning.len);
    bed_fini(&with);
    bed_fini(&without);
}

static void namesakes_come_with_their_columns_and_too_many_make_columns_unknown(void **state)
{
    const struct namesake *n;
    struct bed b;

    (void)state;
    bed_init(&b, PH_READY);
    bed_columns(&b, true, true, false);
    namesake(&b.engine.sight, "pg_temp_3", checks, NULL, NULL);
    namesake(&b.engine.sight, public, "other", claim, "4");
    namesake(&b.engine.sight, public, "other", score, "2");
    snapshot_build(&b.engine, &b.snap);
    n = b.snap.rules->namesakes;
    assert_int_equal(b.snap.rules->nnamesakes, 2);
    assert_string_equal(n[0].schema, "pg_temp_3");
    assert_string_equal(n[0].name, checks);
    assert_null(n[0].columns[0]);
    assert_string_equal(n[1].name, "other");
    assert_string_equal(n[1].columns[0], claim);
    assert_string_equal(n[1].columns[1], score);
    assert_null(n[1].columns[2]);
    assert_null(n[0].places);
    assert_true(n[1].places[0] == 4 && n[1].places[1] == 2);
    snapshot_fini(&b.snap);

    while (PQntuples(b.engine.sight.namesakes) <= SIGHT_NAMESAKES_MAX)
        namesake(&b.engine.sight, public, "other", claim, "4");
    snapshot_build(&b.engine, &b.snap);
    assert_string_equal(shown(&b, 0), "| |");
    assert_int_equal(b.snap.rules->nnamesakes, 0);
    bed_fini(&b);
}

static void what_each_side_sees_has_a_signature_as_other_relations_have(void **state)
{
    const struct sql_rules *rules;
    char digits[17], meaning[4096];
    struct bed b;

    (void)state;
    bed_init(&b, PH_READY);
    bed_columns(&b, true, true, false);
    snapshot_build(&b.engine, &b.snap);
    rules = b.snap.rules;
    assert_true(rules->tables[0].old_signature && rules->tables[0].new_signature);
    assert_true(rules->tables[0].old_signature != rules->tables[0].new_signature);
    assert_true(rules->tables[1].old_signature == rules->tables[1].new_signature);
    snprintf(digits, sizeof(digits), "%016" PRIx64, rules->tables[0].old_signature);
    namesake_like(&b.engine.sight, "b", checks, NULL, digits, NULL);
    snapshot_fini(&b.snap);
    snapshot_build(&b.engine, &b.snap);
    rules = b.snap.rules;
    assert_true(rules->namesakes[0].signature == rules->tables[0].old_signature);
    snprintf(meaning, sizeof(meaning), "%.*s", (int)b.snap.meaning.len, b.snap.meaning.data);
    snapshot_fini(&b.snap);

    PQclear(b.engine.sight.namesakes);
    b.engine.sight.namesakes = table_of(5);
    namesake_like(&b.engine.sight, "b", checks, NULL, "0000000000000001", NULL);
    snapshot_build(&b.engine, &b.snap);
    assert_int_equal(strlen(meaning), b.snap.meaning.len);
    assert_memory_not_equal(meaning, b.snap.meaning.data, b.snap.meaning.len);
    bed_fini(&b);

    bed_init(&b, PH_EXPANDING); /* nobody knows what the new ones will be */
    bed_columns(&b, true, false, false);
    snapshot_build(&b.engine, &b.snap);
    assert_true(b.snap.rules->tables[0].old_signature && !b.snap.rules->tables[0].new_signature);
    bed_fini(&b);
}

static void what_is_known_of_functions_is_part_of_what_an_epoch_means(void **state)
{
    static const struct sql_function list[] = {{SQL_FUNCTION_TWICE, "lower"}};
    struct snapshot other;
    struct bed b;

    (void)state;
    bed_init(&b, PH_READY);
    bed_columns(&b, true, true, false);
    namesake(&b.engine.sight, "pg_temp_3", checks, NULL, NULL);
    snapshot_build(&b.engine, &b.snap);
    assert_null(b.snap.rules->functions);
    b.engine.sight.functions = sql_functions_new(list, 1);
    b.engine.sight.functions_changes = 1;
    snapshot_build(&b.engine, &other);
    assert_ptr_equal(other.rules->functions, b.engine.sight.functions);
    assert_true(b.snap.meaning.len != other.meaning.len ||
                memcmp(b.snap.meaning.data, other.meaning.data, other.meaning.len) != 0);
    snapshot_fini(&other);
    bed_fini(&b);
}

static void partitions_follow_their_table_with_columns_in_their_own_order(void **state)
{
    struct eng_sight *sight;
    struct bed b;

    (void)state;
    for (int with_grants = 0; with_grants < 2; with_grants++) {
        const char *grants = with_grants ? "10 INSERT" : NULL;

        bed_init(&b, PH_READY);
        sight = &b.engine.sight;
        column(sight, checks, "id", false, NULL, false);
        column(sight, checks, claim_text, false, NULL, false);
        column(sight, checks, claim, false, NULL, false);
        column_of(sight, checks, "p1", claim_text, false, grants, false);
        column_of(sight, checks, "p1", "id", false, NULL, false);
        column_of(sight, checks, "p1", claim, false, NULL, false);
        column_of(sight, checks, "p2", claim, false, NULL, false);
        column_of(sight, checks, "p2", claim_text, false, NULL, false);
        column(sight, users, "id", false, NULL, false);
        snapshot_build(&b.engine, &b.snap);
        assert_string_equal(shown(&b, 0), with_grants
                                              ? "id claim_text- claim+ | |"
                                              : "id claim_text- claim+ | claim_text=claim |");
        assert_string_equal(shown(&b, 1), "id | |");
        assert_int_equal(b.snap.rules->npartitions, 2);
        assert_string_equal(b.snap.rules->partitions[0].schema, "parts");
        assert_string_equal(b.snap.rules->partitions[0].name, "p1");
        assert_string_equal(b.snap.rules->tables[0].relatives[0], "p1");
        assert_string_equal(b.snap.rules->tables[0].relatives[1], "p2");
        assert_null(b.snap.rules->tables[0].relatives[2]);
        if (!with_grants) {
            assert_string_equal(shown_rule(&b, &b.snap.rules->partitions[0]),
                                "claim_text- id claim+ | claim_text=claim |");
            assert_string_equal(shown_rule(&b, &b.snap.rules->partitions[1]),
                                "claim+ claim_text- | claim_text=claim |");
        }
        bed_fini(&b);
    }
}

static void without_a_reading_of_the_catalog_nothing_is_known_of_columns(void **state)
{
    struct bed b;

    (void)state;
    bed_init(&b, PH_BACKFILLING);
    snapshot_build(&b.engine, &b.snap);
    assert_string_equal(shown(&b, 0), "| | early");
    bed_fini(&b);
}

static bool same_meaning(struct bed *a, struct bed *b)
{
    bool same;

    snapshot_build(&a->engine, &a->snap);
    snapshot_build(&b->engine, &b->snap);
    same = strcmp(a->snap.meaning.data, b->snap.meaning.data) == 0;
    snapshot_fini(&a->snap);
    snapshot_fini(&b->snap);
    return same;
}

static void who_may_use_which_schema_counts_where_a_name_is_anothers_too(void **state)
{
    static const char *const rows[][2] = {
        {"poor", "tenant"}, {NULL, SIGHT_FACT_ALL}, {NULL, SIGHT_FACT_PATH}};
    struct sql_path_hidden hidden;
    struct bed a, b;

    (void)state;
    bed_init(&a, PH_READY);
    bed_init(&b, PH_READY);
    bed_columns(&a, true, true, false);
    bed_columns(&b, true, true, false);
    b.engine.sight.access = table_of(2);
    for (size_t i = 0; i < 3; i++)
        put_row(b.engine.sight.access, rows[i]);
    assert_true(same_meaning(&a, &b)); /* nobody else is called checks */
    namesake(&a.engine.sight, "tenant", checks, NULL, NULL);
    namesake(&b.engine.sight, "tenant", checks, NULL, NULL);
    assert_false(same_meaning(&a, &b));
    snapshot_build(&a.engine, &a.snap);
    snapshot_build(&b.engine, &b.snap);
    assert_int_equal(a.snap.rules->access.usage, SQL_USAGE_UNKNOWN);
    assert_int_equal(b.snap.rules->access.usage, SQL_USAGE_ALL);
    hidden = sql_path_hidden(b.snap.rules);
    assert_true(hidden.path && !hidden.role);
    assert_int_equal(b.snap.rules->ndenied, 1);
    assert_string_equal(b.snap.rules->denied[0].role, "poor");
    assert_string_equal(b.snap.rules->denied[0].schema, "tenant");
    bed_fini(&a);
    bed_fini(&b);
}

static void progress_is_told_but_no_part_of_the_meaning_and_names_are(void **state)
{
    struct err err = {0};
    struct bed a, b;

    (void)state;
    bed_init(&a, PH_BACKFILLING);
    bed_init(&b, PH_BACKFILLING);
    bed_columns(&a, true, true, false);
    bed_columns(&b, true, true, false);
    b.m.stats.progress = 55;
    assert_true(same_meaning(&a, &b));
    snapshot_build(&a.engine, &a.snap);
    sql_rules_early_error(a.snap.rules, 1, &err);
    snapshot_fini(&a.snap);
    assert_string_equal(err.sqlstate, "55000");
    assert_string_equal(err.text, "the new columns of public.checks cannot be read yet: migration "
                                  "\"m\" is backfilling");
    assert_string_equal(err.detail, "41 % of the way to ready, 7000 of about 17000 rows filled.");
    assert_non_null(strstr(err.hint, "SHOW STATUS"));

    namesake(&b.engine.sight, public, "other", claim, "4");
    assert_false(same_meaning(&a, &b));
    namesake(&a.engine.sight, public, "other", claim, "4");
    assert_true(same_meaning(&a, &b));
    b.m.phase = PH_VERIFYING; /* shows the same */
    assert_true(same_meaning(&a, &b));
    b.m.phase = PH_READY;
    assert_false(same_meaning(&a, &b));
    bed_fini(&a);
    bed_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_phase_shows_what_stays_on_both_sides_of_its_edges),
        cmocka_unit_test(a_column_that_changes_its_type_stays_at_its_place_under_its_name),
        cmocka_unit_test(no_phase_that_workers_know_is_without_a_view),
        cmocka_unit_test(a_table_that_is_only_locked_has_its_columns_and_is_never_early),
        cmocka_unit_test(columns_with_nothing_to_fill_are_never_early),
        cmocka_unit_test(the_primary_key_is_told_and_another_one_is_another_meaning),
        cmocka_unit_test(a_trigger_of_the_owner_or_other_grants_leave_the_pair_to_the_guard),
        cmocka_unit_test(a_column_of_any_partition_that_is_granted_by_itself_is_told),
        cmocka_unit_test(namesakes_come_with_their_columns_and_too_many_make_columns_unknown),
        cmocka_unit_test(what_each_side_sees_has_a_signature_as_other_relations_have),
        cmocka_unit_test(who_may_use_which_schema_counts_where_a_name_is_anothers_too),
        cmocka_unit_test(what_is_known_of_functions_is_part_of_what_an_epoch_means),
        cmocka_unit_test(partitions_follow_their_table_with_columns_in_their_own_order),
        cmocka_unit_test(without_a_reading_of_the_catalog_nothing_is_known_of_columns),
        cmocka_unit_test(progress_is_told_but_no_part_of_the_meaning_and_names_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
