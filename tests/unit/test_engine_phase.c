/* proxy/engine/phase.c: the table's edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../proxy/engine/phase.h"
#include "../../proxy/engine/runner.h"

/* DESIGN 3, written down a second time. */
static const struct edge {
    enum eng_phase_id from, to;
} edges[] = {
    {PH_PLANNED, PH_EXPANDING},  {PH_EXPANDING, PH_BACKFILLING}, {PH_BACKFILLING, PH_VERIFYING},
    {PH_VERIFYING, PH_READY},    {PH_READY, PH_CUTTING_OVER},    {PH_CUTTING_OVER, PH_SOAKING},
    {PH_CUTTING_OVER, PH_READY}, {PH_SOAKING, PH_CONTRACTING},   {PH_CONTRACTING, PH_DONE},
    {PH_PLANNED, PH_ABORTING},   {PH_EXPANDING, PH_ABORTING},    {PH_BACKFILLING, PH_ABORTING},
    {PH_VERIFYING, PH_ABORTING}, {PH_READY, PH_ABORTING},        {PH_ABORTING, PH_ABORTED},
    {PH_SOAKING, PH_REVERTING},  {PH_REVERTING, PH_READY},       {PH_REVERTING, PH_SOAKING},
    {PH_PLANNED, PH_DONE},
};

static bool drawn(enum eng_phase_id from, enum eng_phase_id to)
{
    for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
        if (edges[i].from == from && edges[i].to == to)
            return true;
    }
    return false;
}

static void only_the_edges_of_the_design_are_legal(void **state)
{
    (void)state;
    for (int from = 0; from < PH_COUNT; from++) {
        for (int to = 0; to < PH_COUNT; to++)
            assert_int_equal(eng_phase_legal((enum eng_phase_id)from, (enum eng_phase_id)to),
                             drawn((enum eng_phase_id)from, (enum eng_phase_id)to));
    }
}

static void every_illegal_edge_is_refused_and_leaves_the_phase(void **state)
{
    struct eng_engine engine = {0};

    (void)state;
    for (int from = 0; from < PH_COUNT; from++) {
        for (int to = 0; to < PH_COUNT; to++) {
            struct eng_migration m = {.name = (char[]){"m"}, .phase = (enum eng_phase_id)from};
            struct err err = {0};

            if (drawn((enum eng_phase_id)from, (enum eng_phase_id)to))
                continue;
            assert_int_equal(eng_phase_move(&engine, &m, (enum eng_phase_id)to, &err), RC_ERR);
            assert_string_equal(err.sqlstate, "55000");
            assert_int_equal(m.phase, from);
        }
    }
}

static void a_move_that_cannot_be_persisted_leaves_the_phase(void **state)
{
    struct eng_engine engine = {0}; /* no connection */
    struct eng_migration m = {.name = (char[]){"m"}, .phase = PH_PLANNED};
    struct err err = {0};

    (void)state;
    assert_int_equal(eng_phase_move(&engine, &m, PH_EXPANDING, &err), RC_ERR);
    assert_string_equal(err.sqlstate, "08006");
    assert_int_equal(m.phase, PH_PLANNED);
}

static void names_are_unique_and_parse_back(void **state)
{
    (void)state;
    for (int i = 0; i < PH_COUNT; i++) {
        enum eng_phase_id id;

        assert_int_equal(eng_phase_parse(eng_phase((enum eng_phase_id)i)->name, &id), RC_OK);
        assert_int_equal(id, i);
    }
}

static void an_unknown_name_does_not_parse(void **state)
{
    enum eng_phase_id id;

    (void)state;
    assert_int_equal(eng_phase_parse("finished", &id), RC_ERR);
    assert_int_equal(eng_phase_parse("", &id), RC_ERR);
}

static void only_done_and_aborted_are_over_and_have_no_step(void **state)
{
    (void)state;
    for (int i = 0; i < PH_COUNT; i++) {
        bool over = i == PH_DONE || i == PH_ABORTED;

        assert_int_equal(eng_phase_over((enum eng_phase_id)i), over);
        assert_int_equal(eng_phase((enum eng_phase_id)i)->step == NULL, over);
    }
}

static void workers_know_the_tables_from_expanding_to_the_end(void **state)
{
    (void)state;
    for (int i = 0; i < PH_COUNT; i++) {
        bool known = i != PH_PLANNED && i != PH_DONE && i != PH_ABORTED;

        assert_int_equal(eng_phase((enum eng_phase_id)i)->active, known);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_edges_of_the_design_are_legal),
        cmocka_unit_test(every_illegal_edge_is_refused_and_leaves_the_phase),
        cmocka_unit_test(a_move_that_cannot_be_persisted_leaves_the_phase),
        cmocka_unit_test(names_are_unique_and_parse_back),
        cmocka_unit_test(an_unknown_name_does_not_parse),
        cmocka_unit_test(only_done_and_aborted_are_over_and_have_no_step),
        cmocka_unit_test(workers_know_the_tables_from_expanding_to_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
