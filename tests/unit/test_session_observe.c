#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/session/worker.h"

/* A session on the primary and one on a standby, where both have the same number. */
enum { PID = 77, TABLE = 4 };

static struct sess_plane plane;
static struct sess_worker worker;
static struct sess sessions[2];

static int set_up(void **state)
{
    (void)state;
    memset(sessions, 0, sizeof(sessions));
    pthread_mutex_init(&worker.registry_lock, NULL);
    worker.sessions = &sessions[0];
    sessions[0].next = &sessions[1];
    plane.workers[0] = &worker;
    plane.nworkers = 1;
    for (size_t i = 0; i < 2; i++) {
        sessions[i].worker = &worker;
        atomic_init(&sessions[i].backend_pid, PID);
        atomic_init(&sessions[i].touched, TABLE);
    }
    strcpy(sessions[0].user, "standbys");
    strcpy(sessions[1].user, "primarys");
    atomic_init(&sessions[0].on_standby, true);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pthread_mutex_destroy(&worker.registry_lock);
    return 0;
}

static void numbers_of_a_standby_are_not_the_primarys(void **state)
{
    int32_t pids[4];
    struct sess_carried carried;

    (void)state;
    assert_int_equal(sess_plane_backends(&plane, pids, 4), 1);
    assert_int_equal(sess_gate_waiting_for(&plane, TABLE, pids, 4), 1);
    assert_true(sess_plane_carried(&plane, PID, &carried));
    assert_string_equal(carried.user, "primarys");
    atomic_store(&sessions[1].backend_pid, 0);
    assert_int_equal(sess_plane_backends(&plane, pids, 4), 0);
    assert_false(sess_plane_carried(&plane, PID, &carried));
}

static void who_is_waited_for_on_a_standby_is_known_by_itself(void **state)
{
    struct sess_carried carried[4];

    (void)state;
    assert_int_equal(sess_gate_waiting_on_standbys(&plane, TABLE, carried, 4), 1);
    assert_string_equal(carried[0].user, "standbys");
    assert_int_equal(carried[0].pid, PID);
    assert_int_equal(sess_gate_waiting_on_standbys(&plane, 2 * TABLE, carried, 4), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers_of_a_standby_are_not_the_primarys, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(who_is_waited_for_on_a_standby_is_known_by_itself, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
