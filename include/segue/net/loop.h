/*
 * One event loop in one thread, with a mailbox that other threads may post to.
 *
 * The base is the loop's alone: no libevent call from outside. Mail is delivered on the loop's
 * thread, between events, in the order it was posted.
 */
#ifndef SEGUE_NET_LOOP_H
#define SEGUE_NET_LOOP_H

#include <event2/event.h>

#include "segue/base/err.h"

struct net_mail {
    struct net_mail *next; /* the loop's */
};

struct net_loop;

/* `deliver` takes each piece of mail. */
struct net_loop *net_loop_new(void (*deliver)(void *arg, struct net_mail *mail), void *arg,
                              struct err *err);
void net_loop_free(struct net_loop *loop); /* stopped or never started; undelivered mail is
                                              delivered first */

enum rc net_loop_start(struct net_loop *loop, const char *name, struct err *err) MUST_CHECK;
void net_loop_stop(struct net_loop *loop); /* from outside: ends the thread and joins it */

struct event_base *net_loop_base(struct net_loop *loop);

/* From any thread; takes the mail. */
void net_loop_post(struct net_loop *loop, struct net_mail *mail);

#endif
