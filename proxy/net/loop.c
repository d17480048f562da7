#include "segue/net/loop.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "timers.h"

#define EVENTS_A_TURN 128
#define MANY 20

struct net_loop {
    const struct net_loop_ops *ops;
    void *arg;
    int epoll;
    struct epoll_event events[EVENTS_A_TURN]; /* what this turn has found */
    int at, found;                            /* events[at..found) are still to be told */
    struct net_watch *due;                    /* to be told in the next turn */
    struct net_timers timers;
    struct net_watch wake; /* an eventfd */
    char name[16];
    bool started;
    pthread_t thread;
    pthread_mutex_t lock; /* of all below */
    struct net_mail *first, **last;
    bool stop;
};

/* ---- mail ---- */

/* False: the loop is to stop. */
static bool deliver_all(struct net_loop *loop)
{
    struct net_mail *mail;
    bool stop;

    pthread_mutex_lock(&loop->lock);
    mail = loop->first;
    loop->first = NULL;
    loop->last = &loop->first;
    stop = loop->stop;
    pthread_mutex_unlock(&loop->lock);
    while (mail) {
        struct net_mail *next = mail->next;

        loop->ops->deliver(loop->arg, mail);
        mail = next;
    }
    return !stop;
}

static void wake_up(struct net_loop *loop)
{
    uint64_t one = 1;

    /* EAGAIN means the counter is full: the loop is woken anyway */
    if (write(loop->wake.fd, &one, sizeof(one)) < 0)
        return;
}

void net_loop_post(struct net_loop *loop, struct net_mail *mail)
{
    bool was_empty;

    mail->next = NULL;
    pthread_mutex_lock(&loop->lock);
    was_empty = !loop->first;
    *loop->last = mail;
    loop->last = &mail->next;
    pthread_mutex_unlock(&loop->lock);
    if (was_empty)
        wake_up(loop);
}

/* The mail is looked at when the turn's events have been told. The counter is never read: that it
 * grows is the edge. */
static void on_wake(struct net_watch *watch, uint32_t what)
{
    (void)watch;
    (void)what;
}

/* ---- descriptors ---- */

static enum rc control(struct net_watch *watch, int operation, uint32_t extra)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET | extra,
                                .data.ptr = watch};

    return epoll_ctl(watch->loop->epoll, operation, watch->fd, &event) < 0 ? RC_ERR : RC_OK;
}

enum rc net_watch_add(struct net_watch *watch, struct net_loop *loop, int fd,
                      void (*ready)(struct net_watch *watch, uint32_t what))
{
    *watch = (struct net_watch){.ready = ready, .loop = loop, .fd = fd};
    if (control(watch, EPOLL_CTL_ADD, 0) == RC_OK)
        return RC_OK;
    watch->loop = NULL;
    return RC_ERR;
}

/* Changing a watch needs no memory: it does not fail. */
void net_watch_write(struct net_watch *watch, bool on)
{
    if (watch->loop && control(watch, EPOLL_CTL_MOD, on ? EPOLLOUT : 0) != RC_OK)
        log_error("epoll_ctl: %s", strerror(errno));
}

void net_watch_again(struct net_watch *watch)
{
    struct net_loop *loop = watch->loop;

    if (!loop || watch->due)
        return;
    watch->due = true;
    watch->next = loop->due;
    watch->at = &loop->due;
    if (watch->next)
        watch->next->at = &watch->next;
    loop->due = watch;
}

static void not_due(struct net_watch *watch)
{
    if (!watch->due)
        return;
    watch->due = false;
    *watch->at = watch->next;
    if (watch->next)
        watch->next->at = watch->at;
}

void net_watch_del(struct net_watch *watch)
{
    struct net_loop *loop = watch->loop;

    if (!loop)
        return;
    not_due(watch);
    for (int i = loop->at; i < loop->found; i++) {
        if (loop->events[i].data.ptr == watch)
            loop->events[i].data.ptr = NULL;
    }
    if (epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL) < 0)
        log_error("epoll_ctl: %s", strerror(errno));
    watch->loop = NULL;
}

/* ---- deadlines ---- */

void net_timer_set(struct net_loop *loop, struct net_timer *timer, int64_t at_us)
{
    net_timers_set(&loop->timers, timer, at_us);
}

void net_timer_clear(struct net_loop *loop, struct net_timer *timer)
{
    net_timers_clear(&loop->timers, timer);
}

/* One that is set anew to a time that has passed waits for the next turn. */
static void tell_timers(struct net_loop *loop)
{
    struct net_timer *timer = net_timers_first(&loop->timers);
    int64_t now_us = timer ? clock_us() : 0;

    for (size_t n = loop->timers.len; n && timer && timer->at_us <= now_us; n--) {
        net_timers_clear(&loop->timers, timer);
        timer->due(timer);
        timer = net_timers_first(&loop->timers);
    }
}

/* ---- turns ---- */

/* Milliseconds for epoll: never less than there is to wait. */
static int patience(const struct net_loop *loop)
{
    const struct net_timer *timer = net_timers_first(&loop->timers);
    int64_t ms;

    if (loop->due)
        return 0;
    if (!timer)
        return -1;
    ms = (timer->at_us - clock_us() + 999) / 1000;
    return ms < 0 ? 0 : ms > INT_MAX ? INT_MAX : (int)ms;
}

/* Those that ask once more while they are told are told in the next turn. */
static void tell_due(struct net_loop *loop)
{
    struct net_watch *watch = loop->due;

    if (!watch)
        return;
    loop->due = NULL;
    watch->at = &watch;
    while (watch) {
        struct net_watch *one = watch;

        not_due(one);
        one->ready(one, EPOLLIN);
    }
}

/* Many are busy: whom the turn has woken goes first, so that the next one finds more at once. It is
 * what costs least a message; with few there is little to gather, and it costs more. */
static void let_others(const struct net_loop *loop)
{
    if (loop->found >= MANY)
        sched_yield();
}

static bool turn(struct net_loop *loop)
{
    struct net_watch *watch;
    bool goes_on = true;
    int found;

    let_others(loop);
    found = epoll_wait(loop->epoll, loop->events, EVENTS_A_TURN, patience(loop));
    loop->at = 0;
    loop->found = found > 0 ? found : 0; /* EINTR */
    tell_due(loop);
    while (loop->at < loop->found) {
        const struct epoll_event *event = &loop->events[loop->at++];

        watch = event->data.ptr;
        if (watch == &loop->wake)
            goes_on = deliver_all(loop);
        else if (watch)
            watch->ready(watch, event->events);
    }
    tell_timers(loop);
    if (loop->ops->turn_over)
        loop->ops->turn_over(loop->arg);
    return goes_on;
}

static void *loop_main(void *arg)
{
    struct net_loop *loop = arg;

    log_thread(loop->name);
    while (turn(loop))
        ;
    return NULL;
}

/* ---- life ---- */

struct net_loop *net_loop_new(const struct net_loop_ops *ops, void *arg, struct err *err)
{
    struct net_loop *loop = mem_calloc(1, sizeof(*loop));
    int fd;

    loop->ops = ops;
    loop->arg = arg;
    loop->last = &loop->first;
    pthread_mutex_init(&loop->lock, NULL);
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->epoll < 0 || fd < 0 || net_watch_add(&loop->wake, loop, fd, on_wake) != RC_OK) {
        err_set(err, "53000", "cannot make an event loop: %s", strerror(errno));
        loop->wake.fd = fd;
        net_loop_free(loop);
        return NULL;
    }
    return loop;
}

bool net_loop_settle(struct net_loop *loop)
{
    bool some = loop->first != NULL;

    deliver_all(loop);
    return some;
}

void net_loop_free(struct net_loop *loop)
{
    if (!loop)
        return;
    while (net_loop_settle(loop))
        ;
    net_timers_fini(&loop->timers);
    if (loop->wake.fd >= 0)
        close(loop->wake.fd);
    if (loop->epoll >= 0)
        close(loop->epoll);
    pthread_mutex_destroy(&loop->lock);
    free(loop);
}

/* Signals are the main thread's. */
enum rc net_loop_start(struct net_loop *loop, const char *name, struct err *err)
{
    sigset_t all, before;
    int why;

    snprintf(loop->name, sizeof(loop->name), "%s", name);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    why = pthread_create(&loop->thread, NULL, loop_main, loop);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (why != 0) {
        err_set(err, "53000", "cannot start a thread: %s", strerror(why));
        return RC_ERR;
    }
    loop->started = true;
    return RC_OK;
}

void net_loop_stop(struct net_loop *loop)
{
    if (!loop->started)
        return;
    pthread_mutex_lock(&loop->lock);
    loop->stop = true;
    pthread_mutex_unlock(&loop->lock);
    wake_up(loop);
    pthread_join(loop->thread, NULL);
    loop->started = false;
}
