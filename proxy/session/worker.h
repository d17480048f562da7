/*
 * Workers and the plane that owns them. Private to this layer.
 *
 * A worker is one loop in one thread with its own sessions, verdict cache and counters. Other
 * threads reach it by mail, read its atomics, or take its registry lock.
 */
#ifndef SEGUE_SESSION_WORKER_H
#define SEGUE_SESSION_WORKER_H

#include <pthread.h>
#include <stdatomic.h>

#include "behind.h"
#include "counters.h"
#include "doors.h"
#include "hosts.h"
#include "keying.h"
#include "penalty.h"
#include "segue/auth/scram.h"
#include "segue/net/address.h"
#include "segue/net/loop.h"
#include "segue/net/tls.h"
#include "segue/session/plane.h"
#include "segue/sql/cache.h"
#include "segue/sql/inspect.h"
#include "segue/sql/rewrite.h"
#include "session.h"

#define WORKERS_MAX 256
#define LISTENERS_MAX 8
#define SCRATCH_BYTES 65536
#define SESS_CANCELS_AT_ONCE 64 /* cancel requests on their way to servers, of all workers */

/* Rules and gate as one immutable value; published under plane->lock, by reference count. */
struct sess_order {
    atomic_int refs;
    uint64_t number;
    struct sql_rules *rules;
    uint64_t changes; /* of the catalog, that the rules know of */
    uint64_t turn;    /* as the next two, see behind.h; 0: nobody has said the rules yet */
    uint64_t position;
    struct sess_ends ends;
    uint64_t settled;    /* of them, those up to which no open transaction had made a relation */
    uint64_t gate_mask;  /* 0: open */
    uint64_t gate_names; /* of them, those of which a statement in a transaction waits, too */
    int64_t gate_until_us;
    uint64_t gate_number; /* which closing this is */
    bool unknown;         /* closed because nobody has said yet what the rules are; no deadline
                             but the one that begins with the first session that meets it */
};

struct sess_limits { /* the options that may change, as one immutable value */
    uint64_t number; /* grows with each reload */
    atomic_int refs;
    struct sess_options options;              /* strings are not used from here */
    struct net_tls_context *accept, *connect; /* NULL: no TLS on that leg */
    struct auth_users *users;                 /* NULL: no list */
    char **cert_map;
    struct sess_versions *versions;
};

struct sess_listener {
    struct sess_listener *next;
    struct sess_worker *worker;
    struct net_address address;
    int fd;
    unsigned dealt;            /* clients given to workers one after the other */
    bool adopted;              /* it listens already: another process began it */
    _Atomic uint64_t accepted; /* (reported) */
    bool retiring; /* not in the configuration any more: closed when its queue is empty */
    struct net_watch watch;
};

struct sess_worker {
    struct sess_plane *plane;
    unsigned number;
    struct net_loop *loop;
    struct sess_listener *listeners; /* links under plane->lock once it runs */
    struct net_timer accept_again, gate_timer;

    /* the worker thread's alone */
    int64_t now_us; /* read once an event */
    struct sess_order *order;
    struct sess_limits *limits;
    bool looking;       /* rules or a closed gate: statements are looked at */
    uint64_t gate_mask; /* 0: open here */
    bool names_only;    /* past its deadline: only statements that may name its tables wait */
    bool rules_missed;  /* a session has met the gate of order->unknown */
    bool draining;
    bool released;                  /* handed over: sessions live on, none comes */
    struct sql_cache *cache;        /* written under cache_lock, which others take to read it */
    struct sql_cache *cache_behind; /* of older rules, the worker's alone; NULL: not needed yet */
    struct buf instead;  /* what stands in place of a message, until it is in `composed` */
    size_t instead_of;   /* so many of its bytes are that; 0: all */
    struct buf composed; /* bytes received, edited so */
    size_t composed_of;  /* how many of them are in there */
    struct buf spare;    /* what a session has kept a long message in, for the next */
    bool edited;         /* some are */
    struct buf text;     /* a statement to be sent */
    struct sess *held_first, *held_last;
    struct sess *cancel_first, *cancel_last; /* wait for their turn */
    unsigned cancels_on_way;
    struct sess *dead; /* to be freed at the end of the turn, linked by next */
    uint64_t next_id;
    struct sess_penalties penalties;
    struct auth_key_cache *keys; /* of upstream logins */

    /* read by others */
    atomic_uint_fast64_t seen;     /* number of the order it works by */
    atomic_uint_fast64_t limited;  /* and of the limits */
    atomic_bool expired;           /* opened the gate by itself */
    _Atomic uint32_t touching[64]; /* open transactions that touched the table of this bit */
    _Atomic uint32_t touching_all; /* ... that may have touched any */
    atomic_uint nsessions;
    atomic_uint most_sessions; /* since the history thread has looked */
    struct sess_worker_counters counters;

    pthread_mutex_t registry_lock; /* of the list and of the sessions' reported texts */
    struct sess *sessions;
    pthread_mutex_t cache_lock;
    pthread_mutex_t usage_lock;
    struct sess_usage *usage; /* since the engine has looked */

    char scratch[SCRATCH_BYTES];
};

struct sess_plane {
    struct sess_options options; /* strings owned */
    const struct sess_console_ops *console;
    void *console_ctx;
    void (*on_asked)(void *ctx); /* of the control plane; never NULL */
    void *on_asked_ctx;
    const struct sess_cancel_ops *on_cancel; /* NULL: there is no other process to ask */
    void *on_cancel_ctx;
    _Atomic uint64_t changes;       /* see sess_plane_changes */
    _Atomic int64_t doubt_until_us; /* see sess_gate_doubt; 0: there is none */
    struct sess_history *history;
    /* The history thread's, as the two behind it: most sessions since memory was given back; those
     * of the last look. */
    unsigned crowd, crowd_last;
    int64_t trimmed_ms;
    struct sess_hosts *hosts;
    char address[NET_ADDRESS_TEXT];   /* the first to listen on */
    char *addresses;                  /* all of them; NULL before the start */
    uint8_t salt_key[AUTH_KEY_BYTES]; /* salts shown to clients come from it */
    struct sess_worker *workers[WORKERS_MAX];
    unsigned nworkers;
    bool started;
    int *adopted; /* listening sockets to be taken over by sess_plane_start */
    size_t nadopted;
    atomic_uint listening;    /* sockets that workers hold */
    atomic_uint sessions;     /* of the database, start-ups excluded */
    atomic_uint startups;     /* not logged in yet */
    struct sess_doors *doors; /* of them, by address */
    atomic_uint cancels;      /* of them, cancel requests under way; and by address: */
    struct sess_doors *cancel_doors;
    struct sess_keying *keying;
    atomic_bool drain_now;
    atomic_bool said_unasked; /* sess_login_unasked has */
    /* Who removes the paths of Unix sockets: another process that has been given ours; this one,
     * those too that it was given. */
    atomic_bool given, owns_adopted;

    pthread_mutex_t lock; /* of all below */
    pthread_cond_t seen;  /* a worker has acknowledged */
    struct sess_order *order;
    struct sess_turns turns;
    struct sess_limits *limits;
    bool informed; /* somebody has said the rules, or that they cannot be known */
    uint64_t closings;
    int64_t closed_us; /* 0: open */
};

/* Mail kinds. */
enum sess_mail_kind {
    MAIL_ORDER,     /* look at plane->order and plane->limits */
    MAIL_CONSOLE,   /* an answer for a console session */
    MAIL_CANCEL,    /* a held session's statement is not wanted any more; struct sess_canceller */
    MAIL_CANCEL_IS, /* to that one; enum sess_cancel_is */
    MAIL_KEYS,      /* a login's job of sess_keying is done */
    MAIL_ACCEPT,    /* begin to accept */
    MAIL_RELEASE,   /* another process accepts now */
    MAIL_CLIENT,    /* a descriptor that another worker has accepted */
    MAIL_DRAIN,
    MAIL_TICK, /* a second has passed */
    MAIL_KILL, /* drain's deadline: everything ends */
};

struct sess_mail {
    struct net_mail mail;
    enum sess_mail_kind kind;
    int64_t posted_us;
    uint64_t session_id;
    size_t len;
    char bytes[];
};

static inline const struct sess_options *sess_limits(const struct sess *s)
{
    return &s->worker->limits->options;
}

/* Those that are true of its server. */
static inline struct sql_rules *sess_rules(const struct sess *s)
{
    return s->behind ? s->behind->at.rules : s->worker->order->rules;
}

static inline const struct sess_ends *sess_ends(const struct sess *s)
{
    return s->behind ? &s->behind->at.ends : &s->worker->order->ends;
}

static inline bool sess_is_looking(const struct sess *s)
{
    return s->worker->looking || s->behind;
}

/* Do the bits of its tables mean those of the worker's order, and of a gate? */
static inline bool sess_counts(const struct sess *s)
{
    return !s->behind || s->behind->counted;
}

/* worker.c */
struct sess_worker *sess_worker_new(struct sess_plane *plane, unsigned number, struct err *err);
void sess_worker_free(struct sess_worker *w);
void sess_worker_post(struct sess_worker *w, enum sess_mail_kind kind, uint64_t session_id,
                      const void *bytes, size_t len);
void sess_worker_bury(struct sess_worker *w, struct sess *s);

/* listen.c */
enum rc sess_listen_open(struct sess_plane *plane, struct err *err) MUST_CHECK;
void sess_listen_accept(struct sess_worker *w); /* begins, or goes on after a pause */
void sess_listen_close(struct sess_listener *l);
void sess_listen_close_all(struct sess_worker *w);
void sess_listen_touch(struct sess_plane *plane); /* Unix sockets stay young; any thread */

/* worker.c: an event of a listener */
void sess_worker_accept(struct net_watch *watch, uint32_t what);

/* gate.c: the worker's side */
void sess_gate_hold(struct sess *s);
void sess_gate_drop(struct sess *s); /* a held session ends */
void sess_order_adopt(struct sess_worker *w);
/* plane->lock is held. Waits until every worker goes by plane->limits; false: one is stuck. */
bool sess_limits_await(struct sess_plane *plane);
void sess_gate_expire(struct sess_worker *w);
void sess_gate_met(struct sess_worker *w);       /* a statement is about to wait for it */
void sess_rules_await(struct sess_plane *plane); /* closes it until somebody says the rules */
void sess_order_unref(struct sess_order *order);

/* limits.c: reads the files that the options name. `before`: what it takes over from, or
 * NULL. NULL with err. */
struct sess_limits *sess_limits_new(const struct sess_options *options,
                                    const struct sess_limits *before, struct err *err);
struct sess_limits *sess_limits_ref(struct sess_limits *limits); /* any thread */
void sess_limits_unref(struct sess_limits *limits);
void sess_limits_tick(struct sess_plane *plane); /* every second: what has a time of its own */

/* descriptors.c: asks the system for as many open files as the sessions may take; says so in the
 * log when they cannot be had */
void sess_descriptors_want(const struct sess_options *options);

/* trim.c: every second */
void sess_trim_tick(struct sess_plane *plane);

/* observe.c */
extern const char *const sess_shown_names[SHOWN_COUNT];
/* Of a database: not of the console, and past its start-up. */
static inline bool sess_is_client(enum sess_shown shown)
{
    return shown != SHOWN_STARTUP && shown != SHOWN_CONSOLE;
}
size_t sess_bytes_bound(const struct sess_options *options); /* of one session; memory.c */
size_t sess_worker_bytes(struct sess_worker *w);             /* bound to its sessions; any thread */
struct sess_keyed {
    struct net_address address; /* where it is connected to */
    uint8_t host;
    bool held;
    struct sess_worker *worker;
    uint64_t id;
};
/* The session with this backend and this key to cancel it. The number alone says little: each
 * server has such, and so has each process of segue. */
bool sess_plane_keyed(struct sess_plane *plane, const struct wire_key *key, struct sess_keyed *out);
/* A statement passes: who uses what, by what was seen of it. `times`: 1 for a Query or a Bind, 0
 * for a Parse, which only says when. Where it uses no migrating table it costs nothing. */
void sess_usage_note(struct sess *s, const struct sql_rewrite *seen, unsigned times,
                     const char *text, size_t len);

#endif
