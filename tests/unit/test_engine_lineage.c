/* engine/lineage.h: who follows whom, and what is wrong with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "segue/base/buf.h"
#include "segue/engine/lineage.h"

struct given {
    const char *name, *sha256;
    enum lineage_state state;
    const char *parents[3];
};

/* "code: text" lines of what is found. */
static void assert_found(const struct given *nodes, size_t n, const struct lineage_how *how,
                         const char *want)
{
    struct lineage *l = lineage_new("migration");
    json_t *findings = json_array(), *finding;
    struct buf got = {0};
    size_t i, ahead, found;

    for (i = 0; i < n; i++) {
        size_t parents = 0;

        while (parents < 3 && nodes[i].parents[parents])
            parents++;
        lineage_add(l,
                    &(struct lineage_node){.name = nodes[i].name,
                                           .state = nodes[i].state,
                                           .where = nodes[i].state == LIN_FILE ? "f.json" : NULL,
                                           .sha256 = nodes[i].sha256,
                                           .parents = nodes[i].parents,
                                           .nparents = parents},
                    findings);
    }
    ahead = json_array_size(findings);
    found = lineage_check(l, how, findings);
    assert_int_equal(found, json_array_size(findings) - ahead);
    json_array_foreach(findings, i, finding)
    {
        buf_printf(&got, "%s: %s\n", json_string_value(json_object_get(finding, "code")),
                   json_string_value(json_object_get(finding, "text")));
    }
    assert_string_equal(got.data ? got.data : "", want);
    buf_fini(&got);
    json_decref(findings);
    lineage_free(l);
}

#define FOUND(nodes, how, want) assert_found(nodes, sizeof(nodes) / sizeof(*(nodes)), how, want)

static const struct lineage_how loose = {0}, whole = {.whole = true};

static void a_set_without_parents_has_no_order(void **state)
{
    static const struct given set[] = {{"a", "1", LIN_FILE, {0}}, {"b", "1", LIN_FILE, {0}}};
    static const struct lineage_how always = {.always = true};

    (void)state;
    FOUND(set, &whole, "");
    FOUND(set, &always, "heads: 2 heads: a, b\n");
}

static void more_than_one_head_is_found_until_it_is_merged(void **state)
{
    static const struct given two[] = {
        {"a", NULL, LIN_FILE, {0}}, {"c", NULL, LIN_FILE, {"a"}}, {"b", NULL, LIN_APPLIED, {"a"}}};
    static const struct given merged[] = {{"a", NULL, LIN_FILE, {0}},
                                          {"b", NULL, LIN_FILE, {"a"}},
                                          {"c", NULL, LIN_FILE, {"a"}},
                                          {"m", NULL, LIN_FILE, {"b", "c"}}};
    static const struct lineage_how branch = {.branch = true};

    (void)state;
    FOUND(two, &loose, "heads: 2 heads: b, c\n");
    FOUND(two, &branch, "");
    FOUND(merged, &loose, "");
}

static void a_parent_that_is_nowhere_and_a_circle_are_found(void **state)
{
    static const struct given lost[] = {{"a", NULL, LIN_FILE, {"z"}}};
    static const struct given circle[] = {{"a", NULL, LIN_FILE, {"c"}},
                                          {"b", NULL, LIN_FILE, {"a"}},
                                          {"c", NULL, LIN_FILE, {"b"}},
                                          {"d", NULL, LIN_FILE, {"c"}}};

    (void)state;
    FOUND(lost, &loose, "unknown: migration \"a\" is after \"z\", which is nowhere\n");
    FOUND(circle, &loose, "cycle: migration \"b\" is after \"a\", which comes after it itself\n");
}

static void what_was_recorded_is_what_counts(void **state)
{
    static const struct given changed[] = {{"a", "111111111111aa", LIN_APPLIED, {0}},
                                           {"a", "222222222222bb", LIN_FILE, {0}}};
    static const struct given moved[] = {{"a", NULL, LIN_APPLIED, {0}},
                                         {"b", "1", LIN_FLIGHT, {"a"}},
                                         {"a", NULL, LIN_FILE, {0}},
                                         {"b", "2", LIN_FILE, {0}}};
    static const struct given twice[] = {{"a", NULL, LIN_FILE, {0}}, {"a", NULL, LIN_FILE, {0}}};

    (void)state;
    FOUND(changed, &whole,
          "changed: migration \"a\" is applied with SHA-256 111111111111, the file has "
          "222222222222\n");
    FOUND(moved, &whole, "parents: migration \"b\" is in flight after a, the file says nobody\n");
    FOUND(twice, &loose, "duplicate: migration \"a\" is also in f.json\n");
}

static void a_file_that_was_applied_is_missed_unless_a_baseline_stands_for_it(void **state)
{
    static const struct given gone[] = {{"a", NULL, LIN_APPLIED, {0}},
                                        {"b", NULL, LIN_FILE, {"a"}}};
    static const struct given folded[] = {{"a", NULL, LIN_APPLIED, {0}},
                                          {"b", NULL, LIN_APPLIED, {"a"}},
                                          {"base", NULL, LIN_BASELINE, {"b"}},
                                          {"c", NULL, LIN_FLIGHT, {"base"}}};

    (void)state;
    FOUND(gone, &loose, "");
    FOUND(gone, &whole, "deleted: migration \"a\" is applied, and there is no file of that name\n");
    FOUND(folded, &whole,
          "deleted: migration \"c\" is in flight, and there is no file of that name\n");
}

static void a_file_that_is_missed_is_an_error_where_a_history_is_kept(void **state)
{
    (void)state;
    for (size_t parents = 0; parents < 2; parents++) {
        struct lineage *l = lineage_new("migration");
        json_t *findings = json_array();
        const char *first = "first";

        lineage_add(l, &(struct lineage_node){.name = "first", .state = LIN_APPLIED}, findings);
        lineage_add(l,
                    &(struct lineage_node){
                        .name = "second", .where = "f", .parents = &first, .nparents = parents},
                    findings);
        assert_int_equal(lineage_check(l, &whole, findings), 1);
        assert_string_equal(
            json_string_value(json_object_get(json_array_get(findings, 0), "severity")),
            parents ? "error" : "warning");
        json_decref(findings);
        lineage_free(l);
    }
}

static void a_long_chain_is_walked_without_recursion(void **state)
{
    struct lineage *l = lineage_new("migration");
    json_t *findings = json_array();
    char names[2][16] = {"n0", ""};
    size_t n;
    char *heads;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        const char *parent = names[(i + 1) % 2];

        snprintf(names[i % 2], sizeof(names[0]), "n%d", i);
        lineage_add(l,
                    &(struct lineage_node){
                        .name = names[i % 2], .where = "f", .parents = &parent, .nparents = i > 0},
                    findings);
    }
    assert_int_equal(lineage_check(l, &whole, findings), 0);
    heads = lineage_heads(l, &n);
    assert_int_equal(n, 1);
    assert_string_equal(heads, "n19999");
    free(heads);
    json_decref(findings);
    lineage_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_set_without_parents_has_no_order),
        cmocka_unit_test(more_than_one_head_is_found_until_it_is_merged),
        cmocka_unit_test(a_parent_that_is_nowhere_and_a_circle_are_found),
        cmocka_unit_test(what_was_recorded_is_what_counts),
        cmocka_unit_test(a_file_that_was_applied_is_missed_unless_a_baseline_stands_for_it),
        cmocka_unit_test(a_file_that_is_missed_is_an_error_where_a_history_is_kept),
        cmocka_unit_test(a_long_chain_is_walked_without_recursion),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
