#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/session/worker.h"
#include "segue/base/mem.h"
#include "segue/sql/rules.h"

static const char *const none[] = {NULL};
static const char *const old_columns[] = {"a", NULL}, *const new_columns[] = {"b", NULL};

static struct sess_plane plane;

static int set_up(void **state)
{
    (void)state;
    memset(&plane, 0, sizeof(plane));
    pthread_mutex_init(&plane.lock, NULL);
    pthread_cond_init(&plane.seen, NULL);
    plane.order = mem_calloc(1, sizeof(*plane.order));
    atomic_init(&plane.order->refs, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sess_turns_fini(&plane);
    sess_order_unref(plane.order);
    pthread_cond_destroy(&plane.seen);
    pthread_mutex_destroy(&plane.lock);
    return 0;
}

/* The table is called `name` from now on. */
static void publish(uint64_t epoch, const char *name, uint64_t position)
{
    const struct sql_column_rule columns[] = {{"b", SQL_SEEN_BY_NEW, false},
                                              {"a", SQL_SEEN_BY_OLD, false}};
    struct sql_rules *rules = sql_rules_new(epoch);

    sql_rules_add(rules, &(struct sql_table_rule){.tag = 1,
                                                  .migration = "m",
                                                  .schema = "public",
                                                  .name = name,
                                                  .other_name = *name == 'n' ? "old" : "new",
                                                  .old_columns = old_columns,
                                                  .new_columns = new_columns,
                                                  .relatives = none,
                                                  .columns = columns,
                                                  .ncolumns = 2,
                                                  .key = none});
    sess_plane_publish(&plane, rules, 0, 0, position);
}

static void positions_are(const uint64_t *positions, size_t n)
{
    assert_int_equal(plane.turns.n, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(plane.turns.v[i].position, positions[i]);
    assert_int_equal(plane.order->position, positions[n - 1]);
}

static void a_position_that_is_not_known_is_the_one_before(void **state)
{
    (void)state;
    publish(1, "old", 100);
    publish(2, "new", 200);
    publish(3, "old", 0);
    positions_are((const uint64_t[]){100, 200, 200}, 3);
}

static void positions_of_another_cluster_begin_lower(void **state)
{
    (void)state;
    publish(1, "old", 100);
    publish(2, "new", 200);
    publish(3, "old", 150);
    positions_are((const uint64_t[]){100, 150, 150}, 3);
    publish(3, "old", 50); /* with nothing new to say */
    positions_are((const uint64_t[]){50, 50, 50}, 3);
    publish(4, "new", 70);
    positions_are((const uint64_t[]){50, 50, 50, 70}, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_position_that_is_not_known_is_the_one_before, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(positions_of_another_cluster_begin_lower, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
