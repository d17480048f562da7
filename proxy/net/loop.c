#include "segue/net/loop.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "segue/base/log.h"
#include "segue/base/mem.h"

struct net_loop {
    struct event_base *base;
    struct event *wake;
    int fd; /* eventfd */
    void (*deliver)(void *arg, struct net_mail *mail);
    void *arg;
    char name[16];
    bool started;
    pthread_t thread;
    pthread_mutex_t lock; /* of all below */
    struct net_mail *first, **last;
    bool stop;
};

static void deliver_all(struct net_loop *loop)
{
    struct net_mail *mail;

    pthread_mutex_lock(&loop->lock);
    mail = loop->first;
    loop->first = NULL;
    loop->last = &loop->first;
    if (loop->stop)
        event_base_loopbreak(loop->base);
    pthread_mutex_unlock(&loop->lock);
    while (mail) {
        struct net_mail *next = mail->next;

        loop->deliver(loop->arg, mail);
        mail = next;
    }
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    uint64_t count;

    (void)what;
    if (read(fd, &count, sizeof(count)) < 0)
        return;
    deliver_all(arg);
}

struct net_loop *net_loop_new(void (*deliver)(void *arg, struct net_mail *mail), void *arg,
                              struct err *err)
{
    struct net_loop *loop = mem_calloc(1, sizeof(*loop));
    struct event_config *config = event_config_new();

    loop->deliver = deliver;
    loop->arg = arg;
    loop->last = &loop->first;
    pthread_mutex_init(&loop->lock, NULL);
    loop->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (config) {
        event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
        loop->base = event_base_new_with_config(config);
        event_config_free(config);
    }
    if (loop->base && loop->fd >= 0)
        loop->wake = event_new(loop->base, loop->fd, EV_READ | EV_PERSIST, on_wake, loop);
    if (!loop->wake || event_add(loop->wake, NULL) < 0) {
        err_set(err, "53000", "cannot make an event loop");
        net_loop_free(loop);
        return NULL;
    }
    return loop;
}

void net_loop_free(struct net_loop *loop)
{
    if (!loop)
        return;
    while (loop->first)
        deliver_all(loop);
    if (loop->wake)
        event_free(loop->wake);
    if (loop->base)
        event_base_free(loop->base);
    if (loop->fd >= 0)
        close(loop->fd);
    pthread_mutex_destroy(&loop->lock);
    free(loop);
}

static void *loop_main(void *arg)
{
    struct net_loop *loop = arg;

    log_thread(loop->name);
    event_base_dispatch(loop->base);
    return NULL;
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

static void wake_up(struct net_loop *loop)
{
    uint64_t one = 1;

    /* EAGAIN means the counter is full: the loop is woken anyway */
    if (write(loop->fd, &one, sizeof(one)) < 0)
        return;
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

struct event_base *net_loop_base(struct net_loop *loop)
{
    return loop->base;
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
