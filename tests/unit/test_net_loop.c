#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "segue/base/clock.h"
#include "segue/base/mem.h"
#include "segue/net/loop.h"

#define PATIENCE_MS 5000

/* A loop in its thread, and a step that a test has it do there. */
struct bed {
    struct net_loop *loop;
    atomic_int turns;
    atomic_int done; /* steps */
};

struct step {
    struct net_mail mail;
    void (*act)(struct bed *bed, void *arg);
    void *arg;
};

static void deliver(void *arg, struct net_mail *mail)
{
    struct step *step = (struct step *)mail;
    struct bed *bed = arg;

    step->act(bed, step->arg);
    free(step);
    atomic_fetch_add(&bed->done, 1);
}

static void turn_over(void *arg)
{
    atomic_fetch_add(&((struct bed *)arg)->turns, 1);
}

static const struct net_loop_ops ops = {deliver, turn_over};

static void bed_up(struct bed *bed)
{
    struct err err = {0};

    *bed = (struct bed){0};
    bed->loop = net_loop_new(&ops, bed, &err);
    assert_non_null(bed->loop);
    assert_int_equal(net_loop_start(bed->loop, "test", &err), RC_OK);
}

static void bed_down(struct bed *bed)
{
    net_loop_stop(bed->loop);
    net_loop_free(bed->loop);
}

static void until(atomic_int *number, int at_least)
{
    int64_t end = clock_ms() + PATIENCE_MS;

    while (atomic_load(number) < at_least) {
        assert_true(clock_ms() < end);
        clock_sleep_ms(1);
    }
}

/* Does it on the loop's thread, and waits until it is done. */
static void on_loop(struct bed *bed, void (*act)(struct bed *bed, void *arg), void *arg)
{
    struct step *step = mem_calloc(1, sizeof(*step));
    int before = atomic_load(&bed->done);

    step->act = act;
    step->arg = arg;
    net_loop_post(bed->loop, &step->mail);
    until(&bed->done, before + 1);
}

/* ---- descriptors ---- */

struct end {
    struct net_watch watch;
    int far;
    atomic_int told;
    _Atomic uint32_t what;
    int more;           /* times that it asks once more */
    struct end *victim; /* is not watched any more once this one is told */
};

static void on_ready(struct net_watch *watch, uint32_t what)
{
    struct end *end = (struct end *)watch;

    atomic_store(&end->what, what);
    if (end->victim)
        net_watch_del(&end->victim->watch);
    if (end->more-- > 0)
        net_watch_again(watch);
    atomic_fetch_add(&end->told, 1);
}

static void add_it(struct bed *bed, void *arg)
{
    struct end *end = arg;

    assert_int_equal(net_watch_add(&end->watch, bed->loop, end->watch.fd, on_ready), RC_OK);
}

static void del_it(struct bed *bed, void *arg)
{
    (void)bed;
    net_watch_del(&((struct end *)arg)->watch);
}

static void write_on(struct bed *bed, void *arg)
{
    (void)bed;
    net_watch_write(&((struct end *)arg)->watch, true);
}

static void write_off(struct bed *bed, void *arg)
{
    (void)bed;
    net_watch_write(&((struct end *)arg)->watch, false);
}

static void end_up(struct end *end)
{
    int fds[2];

    *end = (struct end){0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    end->watch.fd = fds[0];
    end->far = fds[1];
}

static void end_down(struct bed *bed, struct end *end)
{
    on_loop(bed, del_it, end);
    close(end->watch.fd);
    close(end->far);
}

/* So that what would come had come. */
static void some_turns(struct bed *bed)
{
    for (int i = 0; i < 3; i++)
        on_loop(bed, write_off, &(struct end){0});
}

static void bytes_are_told_once_and_again_when_more_come(void **state)
{
    struct bed bed;
    struct end end;

    (void)state;
    bed_up(&bed);
    end_up(&end);
    on_loop(&bed, add_it, &end);
    assert_int_equal(write(end.far, "abc", 3), 3);
    until(&end.told, 1);
    assert_true(end.what & NET_MAY_READ);
    assert_false(end.what & (NET_ENDS | NET_MAY_WRITE));
    some_turns(&bed);
    assert_int_equal(end.told, 1); /* nobody has read them: the loop does not turn over it */
    assert_int_equal(write(end.far, "d", 1), 1);
    until(&end.told, 2);
    end_down(&bed, &end);
    bed_down(&bed);
}

static void what_is_there_already_is_told_when_it_is_added(void **state)
{
    struct bed bed;
    struct end end;

    (void)state;
    bed_up(&bed);
    end_up(&end);
    assert_int_equal(write(end.far, "abc", 3), 3);
    on_loop(&bed, add_it, &end);
    until(&end.told, 1);
    end_down(&bed, &end);
    bed_down(&bed);
}

static void an_end_behind_unread_bytes_is_told(void **state)
{
    struct bed bed;
    struct end end;

    (void)state;
    bed_up(&bed);
    end_up(&end);
    on_loop(&bed, add_it, &end);
    assert_int_equal(write(end.far, "abc", 3), 3);
    until(&end.told, 1);
    shutdown(end.far, SHUT_WR);
    until(&end.told, 2);
    assert_true(end.what & NET_ENDS);
    end_down(&bed, &end);
    bed_down(&bed);
}

static void room_to_write_is_told_only_to_who_waits_for_it(void **state)
{
    static char bytes[65536];
    struct bed bed;
    struct end end;

    (void)state;
    bed_up(&bed);
    end_up(&end);
    on_loop(&bed, add_it, &end);
    while (write(end.watch.fd, bytes, sizeof(bytes)) > 0)
        ;
    assert_int_equal(errno, EAGAIN);
    on_loop(&bed, write_on, &end);
    some_turns(&bed);
    assert_int_equal(end.told, 0);
    while (read(end.far, bytes, sizeof(bytes)) > 0)
        ;
    until(&end.told, 1);
    assert_true(end.what & NET_MAY_WRITE);
    assert_false(end.what & NET_MAY_READ);
    on_loop(&bed, write_off, &end);
    end.told = 0;
    while (write(end.watch.fd, bytes, sizeof(bytes)) > 0)
        ;
    while (read(end.far, bytes, sizeof(bytes)) > 0)
        ;
    some_turns(&bed);
    assert_int_equal(end.told, 0);
    end_down(&bed, &end);
    bed_down(&bed);
}

static void who_asks_once_more_is_told_in_turns_of_their_own(void **state)
{
    struct bed bed;
    struct end end;
    int before;

    (void)state;
    bed_up(&bed);
    end_up(&end);
    end.more = 5;
    on_loop(&bed, add_it, &end);
    some_turns(&bed);
    before = bed.turns;
    assert_int_equal(write(end.far, "a", 1), 1);
    until(&end.told, 6);
    until(&bed.turns, before + 6);
    some_turns(&bed);
    assert_int_equal(end.told, 6);
    end_down(&bed, &end);
    bed_down(&bed);
}

struct many {
    struct end *ends;
    int n;
};

static void add_all(struct bed *bed, void *arg)
{
    struct many *many = arg;

    for (int i = 0; i < many->n; i++)
        add_it(bed, &many->ends[i]);
}

static void again_all(struct bed *bed, void *arg)
{
    struct many *many = arg;

    (void)bed;
    for (int i = 0; i < many->n; i++)
        net_watch_again(&many->ends[i].watch);
}

/* Each of two deletes the other: whoever comes first, the other hears nothing of it. */
static void one_that_is_deleted_in_a_turn_hears_nothing_more_of_it(void **state)
{
    struct bed bed;
    struct end ends[2];
    struct many both = {ends, 2};

    (void)state;
    for (int due = 0; due < 2; due++) {
        bed_up(&bed);
        for (int i = 0; i < 2; i++)
            end_up(&ends[i]);
        if (due)
            on_loop(&bed, add_all, &both);
        ends[0].victim = &ends[1];
        ends[1].victim = &ends[0];
        if (due) {
            on_loop(&bed, again_all, &both);
        } else {
            for (int i = 0; i < 2; i++)
                assert_int_equal(write(ends[i].far, "a", 1), 1);
            on_loop(&bed, add_all, &both);
        }
        some_turns(&bed);
        assert_int_equal(ends[0].told + ends[1].told, 1);
        ends[0].victim = ends[1].victim = NULL;
        for (int i = 0; i < 2; i++)
            end_down(&bed, &ends[i]);
        bed_down(&bed);
    }
}

static void a_descriptor_that_cannot_be_watched_is_an_error(void **state)
{
    struct err err = {0};
    struct bed bed = {0};
    struct net_watch watch;
    int file = open("/proc/self/stat", O_RDONLY);

    (void)state;
    bed.loop = net_loop_new(&ops, &bed, &err);
    assert_int_equal(net_watch_add(&watch, bed.loop, file, on_ready), RC_ERR);
    assert_int_equal(errno, EPERM);
    net_watch_write(&watch, true); /* harmless, as the next ones */
    net_watch_again(&watch);
    net_watch_del(&watch);
    close(file);
    net_loop_free(bed.loop);
}

/* ---- deadlines ---- */

#define TIMERS 300

struct alarm {
    struct net_timer timer;
    struct alarms *all;
    int64_t was_at_us;
};

struct alarms {
    struct bed *bed;
    struct alarm alarm[TIMERS];
    int64_t began_us;
    int64_t last_us;
    bool disorder, early;
    atomic_int due;
};

static void on_due(struct net_timer *timer)
{
    struct alarm *alarm = (struct alarm *)timer;
    struct alarms *all = alarm->all;

    all->disorder |= alarm->was_at_us < all->last_us;
    all->early |= clock_us() < alarm->was_at_us;
    all->last_us = alarm->was_at_us;
    atomic_fetch_add(&all->due, 1);
}

static void set(struct alarms *all, int i, int64_t at_us)
{
    all->alarm[i].was_at_us = at_us;
    net_timer_set(all->bed->loop, &all->alarm[i].timer, at_us);
}

/* Half of them are set twice, later or earlier than before; every fifth is cleared. */
static void set_all(struct bed *bed, void *arg)
{
    struct alarms *all = arg;

    (void)bed;
    srandom(4711);
    all->began_us = clock_us();
    for (int i = 0; i < TIMERS; i++) {
        all->alarm[i].all = all;
        all->alarm[i].timer.due = on_due;
        set(all, i, all->began_us + random() % 200000);
    }
    for (int i = 0; i < TIMERS; i += 2)
        set(all, i, all->began_us + random() % 200000);
    for (int i = 0; i < TIMERS; i += 5) {
        net_timer_clear(all->bed->loop, &all->alarm[i].timer);
        net_timer_clear(all->bed->loop, &all->alarm[i].timer);
    }
}

static void deadlines_come_in_order_and_never_early(void **state)
{
    static struct alarms all;
    struct bed bed;

    (void)state;
    bed_up(&bed);
    all.bed = &bed;
    on_loop(&bed, set_all, &all);
    until(&all.due, TIMERS - TIMERS / 5);
    clock_sleep_ms(20);
    assert_int_equal(all.due, TIMERS - TIMERS / 5);
    assert_false(all.disorder);
    assert_false(all.early);
    bed_down(&bed);
}

static void on_due_again(struct net_timer *timer)
{
    struct alarm *alarm = (struct alarm *)timer;

    if (atomic_fetch_add(&alarm->all->due, 1) < 20)
        set(alarm->all, 0, 1);
}

static void set_past(struct bed *bed, void *arg)
{
    struct alarms *all = arg;

    (void)bed;
    all->alarm[0].all = all;
    all->alarm[0].timer.due = on_due_again;
    set(all, 0, 1);
}

static void a_deadline_that_is_always_over_leaves_turns_to_others(void **state)
{
    static struct alarms all;
    struct bed bed;

    (void)state;
    bed_up(&bed);
    all.bed = &bed;
    on_loop(&bed, set_past, &all);
    until(&all.due, 21);
    until(&bed.turns, 20);
    bed_down(&bed);
}

/* ---- mail ---- */

#define LETTERS 20000

struct counted {
    struct net_loop *home; /* of who is answered */
    int next;
    bool disorder;
};

struct letter {
    struct counted *counted;
    int number;
};

static void count(struct bed *bed, void *arg)
{
    struct letter *letter = arg;

    (void)bed;
    letter->counted->disorder |= letter->number != letter->counted->next++;
}

static void mail_comes_in_order_and_none_is_lost_at_the_end(void **state)
{
    struct letter *letters = calloc(LETTERS, sizeof(*letters));
    struct counted counted = {0};
    struct bed bed;

    (void)state;
    bed_up(&bed);
    for (int i = 0; i < LETTERS; i++) {
        struct step *step = mem_calloc(1, sizeof(*step));

        letters[i] = (struct letter){&counted, i};
        step->act = count;
        step->arg = &letters[i];
        net_loop_post(bed.loop, &step->mail);
        if (i == LETTERS / 2)
            net_loop_stop(bed.loop);
    }
    bed_down(&bed);
    assert_int_equal(counted.next, LETTERS);
    assert_false(counted.disorder);
    free(letters);
}

static void answer(struct bed *bed, void *arg)
{
    struct step *reply = mem_calloc(1, sizeof(*reply));

    (void)bed;
    reply->act = count;
    reply->arg = arg;
    net_loop_post(((struct letter *)arg)->counted->home, &reply->mail);
}

static void what_stopped_loops_answer_each_other_is_delivered_before_they_go(void **state)
{
    struct bed asked, home;
    struct counted counted = {0};
    struct letter letter = {&counted, 0};
    struct step *step = mem_calloc(1, sizeof(*step));

    (void)state;
    bed_up(&asked);
    bed_up(&home);
    net_loop_stop(asked.loop);
    net_loop_stop(home.loop);
    counted.home = home.loop;
    step->act = answer;
    step->arg = &letter;
    net_loop_post(asked.loop, &step->mail);
    assert_false(net_loop_settle(home.loop));
    assert_true(net_loop_settle(asked.loop));
    assert_true(net_loop_settle(home.loop));
    assert_int_equal(counted.next, 1);
    assert_false(net_loop_settle(asked.loop) || net_loop_settle(home.loop));
    bed_down(&home);
    bed_down(&asked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_told_once_and_again_when_more_come),
        cmocka_unit_test(what_is_there_already_is_told_when_it_is_added),
        cmocka_unit_test(an_end_behind_unread_bytes_is_told),
        cmocka_unit_test(room_to_write_is_told_only_to_who_waits_for_it),
        cmocka_unit_test(who_asks_once_more_is_told_in_turns_of_their_own),
        cmocka_unit_test(one_that_is_deleted_in_a_turn_hears_nothing_more_of_it),
        cmocka_unit_test(a_descriptor_that_cannot_be_watched_is_an_error),
        cmocka_unit_test(deadlines_come_in_order_and_never_early),
        cmocka_unit_test(a_deadline_that_is_always_over_leaves_turns_to_others),
        cmocka_unit_test(mail_comes_in_order_and_none_is_lost_at_the_end),
        cmocka_unit_test(what_stopped_loops_answer_each_other_is_delivered_before_they_go),
    };

    return cmocka_run_group_tests_name("net/loop", tests, NULL, NULL);
}
