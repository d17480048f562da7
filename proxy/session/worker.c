/* A worker: accepts, delivers its mail, buries its dead. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "segue/wire/build.h"
#include "worker.h"

#define ACCEPTS_A_TURN 64
#define KEYS_MAX 256        /* users whose upstream keys a worker remembers */
#define ACCEPT_PAUSE_MS 100 /* out of descriptors */
#define LAST_WORDS_MS 800   /* to who is killed; below KILL_MS of plane.c */

/* ---- accept ---- */

static struct log_limit refusals, accept_errors;

/* Before there is a session. */
static void refuse(int fd, const char *text, const char *option, unsigned max)
{
    struct err err = {0};
    struct buf out = {0};

    log_limited(&refusals, LOG_WARNING, "refused: %s (option %s, %u)", text, option, max);
    err_set(&err, "53300", "%s", text);
    err_hint(&err, "segue lets in %u at once (option %s)", max, option);
    wire_put_error(&out, "FATAL", &err);
    if (send(fd, out.data, out.len, MSG_NOSIGNAL) < 0)
        log_debug("cannot tell a client why it is refused: %s", strerror(errno));
    buf_fini(&out);
    close(fd);
}

/* Unless told otherwise, nobody takes the last tenth alone: whoever comes from elsewhere gets in.
 */
static unsigned room_for_one(const struct sess_options *o)
{
    return o->startup_open_per_address_max ? o->startup_open_per_address_max
                                           : o->startup_open_max - o->startup_open_max / 10;
}

/* Is there room for another start-up? False: it was told, and closed. */
static bool let_in(struct sess_worker *w, int fd, const struct net_address *peer)
{
    const struct sess_options *o = &w->limits->options;
    unsigned of_one = room_for_one(o);
    bool room = atomic_fetch_add_explicit(&w->plane->startups, 1, memory_order_relaxed) <
                o->startup_open_max;

    if (room && sess_doors_enter(w->plane->doors, peer, of_one))
        return true;
    atomic_fetch_sub_explicit(&w->plane->startups, 1, memory_order_relaxed);
    if (room) {
        COUNT(w->counters.refused_address, 1);
        refuse(fd, "too many connections are starting up from your address",
               "startup_open_per_address_max", of_one);
    } else {
        COUNT(w->counters.refused_startups, 1);
        refuse(fd, "too many connections are starting up", "startup_open_max", o->startup_open_max);
    }
    return false;
}

/* Out of descriptors: nobody is let in before some time has passed. */
static void pause_accepting(struct sess_worker *w)
{
    net_timer_set(w->loop, &w->accept_again, w->now_us + ACCEPT_PAUSE_MS * 1000);
}

static void on_accept_again(struct net_timer *timer)
{
    sess_listen_accept(
        (struct sess_worker *)((char *)timer - offsetof(struct sess_worker, accept_again)));
}

struct guest {
    int fd;
    struct net_address peer;
};

static void welcome(struct sess_worker *w, const struct guest *guest)
{
    COUNT(w->counters.accepted, 1);
    sess_new(w, guest->fd, &guest->peer);
}

/* TCP clients are dealt out by the kernel; those of a Unix socket, of which there is one, here. */
static void deal(struct sess_listener *l, const struct guest *guest)
{
    struct sess_plane *plane = l->worker->plane;
    struct sess_worker *to = l->worker;

    if (l->address.sa.ss_family == AF_UNIX)
        to = plane->workers[l->dealt++ % plane->nworkers];
    if (to == l->worker)
        welcome(to, guest);
    else
        sess_worker_post(to, MAIL_CLIENT, 0, guest, sizeof(*guest));
}

void sess_worker_accept(struct net_watch *watch, uint32_t what)
{
    struct sess_listener *l =
        (struct sess_listener *)((char *)watch - offsetof(struct sess_listener, watch));
    struct sess_worker *w = l->worker;

    (void)what;
    w->now_us = clock_us();
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        struct guest guest = {.peer.len = sizeof(guest.peer.sa)};

        guest.fd = accept4(l->fd, (struct sockaddr *)&guest.peer.sa, &guest.peer.len,
                           SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (guest.fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            if (l->retiring)
                sess_listen_close(l);
            return;
        }
        if (guest.fd < 0 &&
            (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
            log_limited(&accept_errors, LOG_WARNING, "cannot accept: %s", strerror(errno));
            pause_accepting(w);
            return;
        }
        if (guest.fd < 0) /* this one has gone again */
            continue;
        COUNT(l->accepted, 1);
        net_address_unmap(&guest.peer);
        if (!let_in(w, guest.fd, &guest.peer))
            continue;
        deal(l, &guest);
    }
    net_watch_again(watch);
}

static void stop_accepting(struct sess_worker *w)
{
    net_timer_clear(w->loop, &w->accept_again);
    sess_listen_close_all(w);
}

/* ---- mail ---- */

/* The registry's links are written by this thread alone, so it may read them without the lock. */
static void each_session(struct sess_worker *w, void (*act)(struct sess *s))
{
    for (struct sess *s = w->sessions, *next; s; s = next) {
        next = s->next;
        act(s);
    }
}

/* A server that says 57P01 has rolled back. This one only hears no more of its client, and may
 * commit what it is at. What the client is still sending is read: a socket that is closed on it
 * would take the last words along. */
static void kill_session(struct sess *s)
{
    int shown = atomic_load_explicit(&s->shown, memory_order_relaxed);
    struct err err = {0};

    if (shown == SHOWN_ACTIVE || (shown == SHOWN_COPY && s->track.copy != SESS_COPY_BOTH)) {
        err_set(&err, "08007", "segue ends before the statement under way has been answered");
        err_hint(&err, "whether the database has carried it out, or will, is not known: look "
                       "before it is said again");
    } else {
        err_set(&err, "57P01", "terminating connection due to administrator command");
    }
    sess_fail(s, &err);
    if (s->state == SESS_GONE)
        return;
    sess_deadline(s, s->worker->now_us + LAST_WORDS_MS * 1000);
    sess_flow(s);
}

static void mail_order(struct sess_worker *w, const struct sess_mail *mail)
{
    (void)mail;
    sess_order_adopt(w);
}

static struct sess *session_of(const struct sess_worker *w, const struct sess_mail *mail)
{
    struct sess *s = w->sessions;

    while (s && s->id != mail->session_id)
        s = s->next;
    return s;
}

static void mail_console(struct sess_worker *w, const struct sess_mail *mail)
{
    struct sess *s = session_of(w, mail);

    if (s)
        sess_console_answer(s, mail->bytes, mail->len);
}

static void mail_cancel(struct sess_worker *w, const struct sess_mail *mail)
{
    struct sess *s = session_of(w, mail);
    struct sess_canceller by;

    memcpy(&by, mail->bytes, sizeof(by));
    if (s)
        sess_cancel_asked(s, by);
    else
        sess_cancel_tell(by, SESS_CANCEL_DONE);
}

static void mail_cancel_is(struct sess_worker *w, const struct sess_mail *mail)
{
    struct sess *s = session_of(w, mail);
    enum sess_cancel_is how;

    memcpy(&how, mail->bytes, sizeof(how));
    if (s)
        sess_cancel_told(s, how);
}

static void mail_keys(struct sess_worker *w, const struct sess_mail *mail)
{
    struct sess *s = session_of(w, mail);

    if (s)
        sess_enter_keys(s);
}

static void mail_client(struct sess_worker *w, const struct sess_mail *mail)
{
    struct guest guest;

    memcpy(&guest, mail->bytes, sizeof(guest));
    if (!w->draining) {
        welcome(w, &guest);
        return;
    }
    close(guest.fd);
    sess_doors_leave(w->plane->doors, &guest.peer);
    atomic_fetch_sub_explicit(&w->plane->startups, 1, memory_order_relaxed);
}

static void mail_accept(struct sess_worker *w, const struct sess_mail *mail)
{
    (void)mail;
    sess_listen_accept(w);
}

static void drain_console(struct sess *s)
{
    if (s->state == SESS_CONSOLE)
        sess_drain(s);
}

/* Clients stay; the console's own are sent to the process that knows more. */
static void mail_release(struct sess_worker *w, const struct sess_mail *mail)
{
    (void)mail;
    w->released = true;
    stop_accepting(w);
    each_session(w, drain_console);
}

static void mail_drain(struct sess_worker *w, const struct sess_mail *mail)
{
    (void)mail;
    w->draining = true;
    stop_accepting(w);
    each_session(w, sess_drain);
}

static void mail_kill(struct sess_worker *w, const struct sess_mail *mail)
{
    mail_drain(w, mail);
    each_session(w, kill_session);
}

static void mail_tick(struct sess_worker *w, const struct sess_mail *mail)
{
    struct timespec cpu;

    (void)mail;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
    atomic_store_explicit(&w->counters.cpu_us, (int64_t)cpu.tv_sec * 1000000 + cpu.tv_nsec / 1000,
                          memory_order_relaxed);
    if (w->limits->options.idle_timeout_s)
        each_session(w, sess_idle_check);
}

static void (*const mail_kinds[])(struct sess_worker *, const struct sess_mail *) = {
    [MAIL_ORDER] = mail_order,         [MAIL_CONSOLE] = mail_console, [MAIL_ACCEPT] = mail_accept,
    [MAIL_RELEASE] = mail_release,     [MAIL_DRAIN] = mail_drain,     [MAIL_TICK] = mail_tick,
    [MAIL_KILL] = mail_kill,           [MAIL_CLIENT] = mail_client,   [MAIL_CANCEL] = mail_cancel,
    [MAIL_CANCEL_IS] = mail_cancel_is, [MAIL_KEYS] = mail_keys,
};

static void deliver(void *arg, struct net_mail *letter)
{
    struct sess_worker *w = arg;
    struct sess_mail *mail = (struct sess_mail *)letter;

    w->now_us = clock_us();
    if (w->now_us - mail->posted_us > READ(w->counters.lag_us_max))
        atomic_store_explicit(&w->counters.lag_us_max, w->now_us - mail->posted_us,
                              memory_order_relaxed);
    mail_kinds[mail->kind](w, mail);
    free(mail);
}

void sess_worker_post(struct sess_worker *w, enum sess_mail_kind kind, uint64_t session_id,
                      const void *bytes, size_t len)
{
    struct sess_mail *mail = mem_alloc(sizeof(*mail) + len);

    mail->kind = kind;
    mail->posted_us = clock_us();
    mail->session_id = session_id;
    mail->len = len;
    if (len)
        memcpy(mail->bytes, bytes, len);
    net_loop_post(w->loop, &mail->mail);
}

/* ---- life ---- */

static void reap(void *arg)
{
    struct sess_worker *w = arg;

    while (w->dead) {
        struct sess *s = w->dead;

        w->dead = s->next;
        sess_free(s);
    }
}

/* Callers up the stack may still hold the session: its memory goes when this turn is over. */
void sess_worker_bury(struct sess_worker *w, struct sess *s)
{
    s->next = w->dead;
    w->dead = s;
}

static void on_gate_deadline(struct net_timer *timer)
{
    struct sess_worker *w =
        (struct sess_worker *)((char *)timer - offsetof(struct sess_worker, gate_timer));

    w->now_us = clock_us();
    sess_gate_expire(w);
}

static const struct net_loop_ops loop_ops = {deliver, reap};

struct sess_worker *sess_worker_new(struct sess_plane *plane, unsigned number, struct err *err)
{
    struct sess_worker *w = mem_calloc(1, sizeof(*w));

    w->plane = plane;
    w->number = number;
    pthread_mutex_init(&w->registry_lock, NULL);
    pthread_mutex_init(&w->usage_lock, NULL);
    pthread_mutex_init(&w->cache_lock, NULL);
    w->keys = auth_key_cache_new(KEYS_MAX);
    w->cache = sql_cache_new(plane->options.cache_entries, plane->options.cache_bytes);
    w->usage = sess_usage_new(plane->options.usage_entries_max);
    w->loop = net_loop_new(&loop_ops, w, err);
    if (!w->loop) {
        sess_worker_free(w);
        return NULL;
    }
    w->accept_again.due = on_accept_again;
    w->gate_timer.due = on_gate_deadline;
    sess_order_adopt(w);
    return w;
}

/* Its worker may be freed already. */
static void drop_canceller(struct sess *s)
{
    s->canceller.worker = NULL;
}

void sess_worker_free(struct sess_worker *w)
{
    if (!w)
        return;
    if (w->loop) {
        net_loop_stop(w->loop);
        each_session(w, drop_canceller);
        each_session(w, sess_close);
        reap(w);
        stop_accepting(w);
        net_loop_free(w->loop);
    }
    sess_order_unref(w->order);
    sess_limits_unref(w->limits);
    sql_cache_free(w->cache);
    sql_cache_free(w->cache_behind);
    sess_usage_free(w->usage);
    auth_key_cache_free(w->keys);
    buf_fini(&w->instead);
    buf_fini(&w->composed);
    buf_fini(&w->spare);
    buf_fini(&w->text);
    pthread_mutex_destroy(&w->cache_lock);
    pthread_mutex_destroy(&w->usage_lock);
    pthread_mutex_destroy(&w->registry_lock);
    free(w);
}
