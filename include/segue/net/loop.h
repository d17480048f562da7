/*
 * One event loop in one thread: descriptors, deadlines, and a mailbox that other threads may post
 * to.
 *
 * Descriptors are watched edge by edge: epoll tells once that something has become possible, not
 * again and again that it still is. So whoever is told uses it up (until a read is short, until a
 * send is refused), or asks with net_watch_again() to be told once more in the next turn. Nothing
 * but waiting for room to write changes what epoll watches.
 *
 * All but net_loop_post() is for the loop's own thread, or for a loop that does not run.
 */
#ifndef SEGUE_NET_LOOP_H
#define SEGUE_NET_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/epoll.h>

#include "segue/base/err.h"

struct net_loop;

/* ---- the loop ---- */

struct net_mail {
    struct net_mail *next; /* the loop's */
};

struct net_loop_ops {
    void (*deliver)(void *arg, struct net_mail *mail); /* in the order it was posted */
    void (*turn_over)(void *arg); /* nothing of this turn is on the stack any more; may be NULL */
};

struct net_loop *net_loop_new(const struct net_loop_ops *ops, void *arg, struct err *err);
void net_loop_free(struct net_loop *loop); /* stopped or never started; undelivered mail is
                                              delivered first */

enum rc net_loop_start(struct net_loop *loop, const char *name, struct err *err) MUST_CHECK;
void net_loop_stop(struct net_loop *loop); /* from outside: ends the thread and joins it */

/* Of one that has stopped: delivers the mail that is there. Whoever answers mail by mail is freed
 * behind a round in which no loop had any. False: there was none. */
bool net_loop_settle(struct net_loop *loop);

/* From any thread; takes the mail. */
void net_loop_post(struct net_loop *loop, struct net_mail *mail);

/* ---- descriptors ---- */

/* What `ready` is told, in epoll's own bits. The end, an error: a read finds out which. */
#define NET_MAY_READ (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)
#define NET_MAY_WRITE (EPOLLOUT | EPOLLHUP | EPOLLERR)
#define NET_ENDS (EPOLLRDHUP | EPOLLHUP | EPOLLERR)

struct net_watch {
    void (*ready)(struct net_watch *watch, uint32_t what);
    struct net_loop *loop; /* NULL: not watched */
    int fd;
    bool due; /* in the next turn */
    struct net_watch *next, **at;
};

/* Reading is watched for, an end, too. RC_ERR: errno (the system's limit of watches). */
enum rc net_watch_add(struct net_watch *watch, struct net_loop *loop, int fd,
                      void (*ready)(struct net_watch *watch, uint32_t what)) MUST_CHECK;
void net_watch_write(struct net_watch *watch, bool on); /* NET_MAY_WRITE, too */
void net_watch_again(struct net_watch *watch);          /* NET_MAY_READ in the next turn */
/* Before the descriptor is closed. It is told nothing more, not even what this turn has found. */
void net_watch_del(struct net_watch *watch);

/* ---- deadlines ---- */

struct net_timer {
    void (*due)(struct net_timer *timer); /* set by its owner, once */
    int64_t at_us;                        /* by clock_us() */
    size_t place;                         /* 0: not set */
};

void net_timer_set(struct net_loop *loop, struct net_timer *timer, int64_t at_us);
void net_timer_clear(struct net_loop *loop, struct net_timer *timer); /* harmless when not set */

#endif
