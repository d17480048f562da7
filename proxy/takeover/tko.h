/*
 * What the rooms share: take.c asks another segue, takeover.c is asked; cancels.c passes cancel
 * requests on once one has taken over from the other.
 *
 *   state of the one that is asked:
 *   ALONE -> ASKED -> OFFERED -> AWAITED -> HANDED_OVER
 *     ^_______|__________|__________|   refused, gone, too late: nothing has happened
 */
#ifndef SEGUE_TAKEOVER_TKO_H
#define SEGUE_TAKEOVER_TKO_H

#include <pthread.h>
#include <stdatomic.h>

#include "segue/takeover/takeover.h"
#include "segue/wire/handover.h"

#define TKO_SEND_MS 5000 /* a peer that does not read for so long has failed */

enum tko_state {
    TKO_ALONE,       /* nobody asks */
    TKO_ASKED,       /* connected, HELLO awaited */
    TKO_OFFERED,     /* has the sockets, READY awaited */
    TKO_AWAITED,     /* GO said, ACCEPTING awaited */
    TKO_HANDED_OVER, /* it accepts, we do not */
    TKO_STATES
};

struct tko_letters { /* cancels.c's: on their way to a neighbour */
    struct tko_letter *first, *last;
    size_t count;
};

struct tko {
    struct tko_options options; /* strings owned */
    char *name;                 /* of the control socket */
    bool started, owner;        /* owner: of a path, to be removed at the end */
    atomic_bool stop, ending;
    int wake; /* eventfd */
    pthread_t thread;

    /* the thread's, once it runs */
    int control;     /* listens; -1: not, or not any more */
    int predecessor; /* connection, -1: none */
    int successor;   /* connection, -1: none */
    enum tko_state state;
    int64_t until_ms; /* deadline of the state; or the next report */
    uint32_t spoken;  /* version, with the successor */

    /* read by others */
    atomic_int predecessor_pid, successor_pid; /* 0: none */
    atomic_uint predecessor_sessions, predecessor_left_s;
    atomic_int predecessor_first; /* of those that it reports: who has some of them; 0: not said */
    atomic_bool predecessor_working;
    atomic_uint predecessor_spoken; /* version, with the predecessor; 0: there is none */
    atomic_uint left_s;             /* told to the successor */
    atomic_bool working;

    pthread_mutex_t letters_lock; /* of the next two */
    struct tko_letters to_predecessor, to_successor;
};

enum rc tko_say(int fd, const struct wire_handover *msg, int passed, struct err *err) MUST_CHECK;
/* RC_AGAIN: nothing within wait_ms. RC_ERR with 57P01: the other end is closed; with 55000: it
 * said REFUSED. *passed: -1, or the caller's. */
enum rc tko_hear(int fd, struct wire_handover *msg, int *passed, unsigned wait_ms,
                 struct err *err) MUST_CHECK;
enum rc tko_check_peer(int fd, const char *what, pid_t *pid, struct err *err) MUST_CHECK;

enum rc tko_open_control(struct tko *t, struct err *err) MUST_CHECK; /* take.c */
enum rc tko_agree(struct tko *t, struct err *err) MUST_CHECK;        /* take.c: READY, GO, ... */
void tko_take_report(struct tko *t, const struct wire_handover *report);
void tko_predecessor_gone(struct tko *t);
void *tko_main(void *arg);    /* takeover.c */
void tko_wake(struct tko *t); /* the thread looks around; any thread */

/* cancels.c */
void tko_know_cancels(struct tko *t); /* the plane asks, and answers, through us from now on */
void tko_hear_cancel(struct tko *t, const struct wire_handover *msg);    /* of the successor */
void tko_hear_cancel_is(struct tko *t, const struct wire_handover *msg); /* of the predecessor */
bool tko_has_letters(struct tko *t, struct tko_letters *to);
void tko_send_letters(struct tko *t, struct tko_letters *to, int fd); /* as many as it takes now */
bool tko_takes_more(int fd); /* now, or it has gone, which only who sends to it hears */
void tko_drop_letters(struct tko *t, struct tko_letters *to);

#endif
