/* The thread that answers whoever wants to take over, and hears the predecessor's reports. */
#include "segue/takeover/takeover.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "segue/base/clock.h"
#include "segue/base/fault.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "segue/net/address.h"
#include "segue/net/handover.h"
#include "tko.h"

#define HELLO_MS 5000
#define SETUP_MS 120000 /* configuration, certificates, names, workers */
#define RULES_MS 4000   /* with GATE_MS below ANSWER_MS of take.c */
#define RULES_POLL_MS 5
#define GATE_MS 10000
#define ACCEPTING_MS 10000
#define REPORT_MS 1000
#define ACCEPT_PAUSE_MS 100 /* out of descriptors */
#define HURRY_MS 100        /* between reports when few sessions are left */
#define HURRY_SESSIONS 10

/* ---- the table of states ---- */

static bool hear_hello(struct tko *t, const struct wire_handover *msg, struct err *err);
static bool hear_ready(struct tko *t, const struct wire_handover *msg, struct err *err);
static bool hear_accepting(struct tko *t, const struct wire_handover *msg, struct err *err);

#define TO(state) (1u << TKO_##state)

static const struct row {
    const char *name;
    unsigned next;
    unsigned within_ms; /* 0: no deadline */
    enum wire_handover_type expects;
    bool (*hear)(struct tko *t, const struct wire_handover *msg, struct err *err);
} states[TKO_STATES] = {
    [TKO_ALONE] = {"alone", TO(ASKED), 0, 0, NULL},
    [TKO_ASKED] = {"asked", TO(OFFERED) | TO(ALONE), HELLO_MS, WIRE_HANDOVER_HELLO, hear_hello},
    [TKO_OFFERED] = {"offered", TO(AWAITED) | TO(ALONE), SETUP_MS, WIRE_HANDOVER_READY, hear_ready},
    [TKO_AWAITED] = {"awaited", TO(HANDED_OVER) | TO(ALONE), ACCEPTING_MS, WIRE_HANDOVER_ACCEPTING,
                     hear_accepting},
    [TKO_HANDED_OVER] = {"handed over", 0, 0, 0, NULL},
};

static void move(struct tko *t, enum tko_state to)
{
    assert(states[t->state].next & (1u << to));
    t->state = to;
    t->until_ms = clock_ms() + states[to].within_ms;
}

/* ---- being asked ---- */

static void refuse(int fd, const struct err *why)
{
    struct wire_handover no = {.type = WIRE_HANDOVER_REFUSED};
    struct err ignored = {0};

    snprintf(no.text, sizeof(no.text), "%.*s", WIRE_HANDOVER_TEXT_MAX, why->text);
    if (tko_say(fd, &no, -1, &ignored) != RC_OK)
        log_debug("takeover: %s", ignored.text);
}

static void drop_successor(struct tko *t)
{
    close(t->successor);
    t->successor = -1;
    tko_drop_letters(t, &t->to_successor);
    atomic_store(&t->successor_pid, 0);
}

/* Nothing has happened: we accept as ever. */
static void give_up(struct tko *t, const struct err *why)
{
    eng_hold(t->options.engine, false, 0);
    sess_plane_keep(t->options.plane, t->state == TKO_AWAITED); /* GO was said */
    log_err(LOG_WARNING, "takeover failed, clients are served here as before", why);
    refuse(t->successor, why);
    drop_successor(t);
    move(t, TKO_ALONE);
}

static void accept_successor(struct tko *t)
{
    int fd = net_control_accept(t->control);
    struct err err = {0};
    pid_t pid;

    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            clock_sleep_ms(ACCEPT_PAUSE_MS); /* poll would tell of it again at once */
        return;
    }
    if (tko_check_peer(fd, "takeover asked for by a process", &pid, &err) == RC_OK &&
        t->state != TKO_ALONE)
        err_set(&err, "55006", "a takeover by process %d is under way",
                atomic_load(&t->successor_pid));
    if (!err_is_set(&err) && atomic_load(&t->ending))
        err_set(&err, "57P01", "the running segue is ending");
    if (err_is_set(&err)) {
        log_err(LOG_WARNING, "takeover refused", &err);
        refuse(fd, &err);
        close(fd);
        return;
    }
    t->successor = fd;
    atomic_store(&t->successor_pid, pid);
    move(t, TKO_ASKED);
}

static bool offer(struct tko *t, const int *fds, size_t n, struct err *err)
{
    const struct wire_handover welcome = {.type = WIRE_HANDOVER_WELCOME,
                                          .version = t->spoken,
                                          .pid = (uint32_t)getpid(),
                                          .count = (uint32_t)n + 1},
                               client = {.type = WIRE_HANDOVER_SOCKET,
                                         .kind = WIRE_HANDOVER_CLIENTS},
                               control = {.type = WIRE_HANDOVER_SOCKET,
                                          .kind = WIRE_HANDOVER_CONTROL};
    bool said = tko_say(t->successor, &welcome, -1, err) == RC_OK &&
                tko_say(t->successor, &control, t->control, err) == RC_OK;

    for (size_t i = 0; i < n && said; i++)
        said = tko_say(t->successor, &client, fds[i], err) == RC_OK;
    return said;
}

static bool hear_hello(struct tko *t, const struct wire_handover *msg, struct err *err)
{
    int *fds = NULL;
    size_t n;
    bool said;

    t->spoken = msg->version < WIRE_HANDOVER_VERSION ? msg->version : WIRE_HANDOVER_VERSION;
    if (t->spoken < WIRE_HANDOVER_VERSION_MIN) {
        err_set(err, "0A000", "version %u of the takeover is not spoken here", msg->version);
        return false;
    }
    n = sess_plane_listeners(t->options.plane, &fds, err);
    if (!n) {
        free(fds);
        return false;
    }
    FAULT(takeover_asked);
    sess_plane_give(t->options.plane);
    said = offer(t, fds, n, err);
    FAULT(takeover_offered);
    if (said)
        log_info("process %d wants to take over: it was given %zu listening socket%s and the "
                 "control socket",
                 atomic_load(&t->successor_pid), n, n == 1 ? "" : "s");
    while (n)
        close(fds[--n]);
    free(fds);
    if (said)
        move(t, TKO_OFFERED);
    return said;
}

/* Who has just taken over itself may have clients already, and has read nothing yet: with its
 * engine goes the last who could tell it what is in flight. A database that is away holds nobody up
 * for longer: then there is no client either. */
static void await_rules(const struct tko *t)
{
    int64_t until = clock_ms() + RULES_MS;

    while (!sess_plane_informed(t->options.plane) && clock_ms() < until && !atomic_load(&t->stop) &&
           !atomic_load(&t->ending))
        clock_sleep_ms(RULES_POLL_MS);
}

static bool hear_ready(struct tko *t, const struct wire_handover *msg, struct err *err)
{
    static const struct wire_handover go = {.type = WIRE_HANDOVER_GO};

    (void)msg;
    await_rules(t);
    if (!eng_hold(t->options.engine, true, GATE_MS)) {
        err_set(err, "55006", "a migration is at its gate; try again");
        return false;
    }
    FAULT(takeover_go);
    if (tko_say(t->successor, &go, -1, err) != RC_OK)
        return false;
    move(t, TKO_AWAITED);
    return true;
}

/* Who of them has sessions; one of an older build does not say whose it reports. */
static int first_of_those_before(const struct tko *t)
{
    int first = atomic_load(&t->predecessor_first);

    return first ? first : atomic_load(&t->predecessor_pid);
}

/* Of this process and of those before it, who report here alone. A successor that stands still gets
 * none, and a newer one when it goes on: dropped, it would take our sessions for gone. */
static void report(struct tko *t)
{
    unsigned before = atomic_load(&t->predecessor_sessions);
    unsigned before_s = atomic_load(&t->predecessor_left_s), left_s = atomic_load(&t->left_s);
    struct wire_handover msg = {.type = WIRE_HANDOVER_REPORT,
                                .left_s = left_s > before_s ? left_s : before_s,
                                .working = atomic_load(&t->working)};
    struct err err = {0};

    msg.sessions = sess_plane_left(t->options.plane) + before;
    if (t->spoken >= WIRE_HANDOVER_VERSION_WHOSE)
        msg.pid = (uint32_t)(before ? first_of_those_before(t) : getpid());
    t->until_ms = clock_ms() + (msg.sessions < HURRY_SESSIONS ? HURRY_MS : REPORT_MS);
    if (t->successor >= 0 && tko_takes_more(t->successor) &&
        tko_say(t->successor, &msg, -1, &err) != RC_OK) {
        log_err(LOG_WARNING, "the successor is not told any more", &err);
        drop_successor(t);
    }
}

/* It has the queues and serves them; now nothing is lost with our copies. */
static bool hear_accepting(struct tko *t, const struct wire_handover *msg, struct err *err)
{
    (void)msg;
    (void)err;
    FAULT(takeover_release);
    move(t, TKO_HANDED_OVER);
    if (!sess_plane_release(t->options.plane))
        log_warning("a worker did not let go of its listening sockets within a second");
    close(t->control);
    t->control = -1;
    t->owner = false;
    log_info("process %d has taken over", atomic_load(&t->successor_pid));
    FAULT(takeover_released);
    if (!atomic_load(&t->ending)) /* nobody waits for it any more */
        t->options.handed_over(t->options.ctx);
    report(t);
    return true;
}

/* Behind ACCEPTING nothing else is due from a successor. */
static bool may_cancel(const struct tko *t)
{
    return t->state == TKO_HANDED_OVER && t->spoken >= WIRE_HANDOVER_VERSION_CANCEL;
}

static void hear_successor(struct tko *t)
{
    const struct row *row = &states[t->state];
    struct wire_handover msg;
    struct err err = {0};
    int passed;
    enum rc rc = tko_hear(t->successor, &msg, &passed, 0, &err);

    if (rc == RC_AGAIN)
        return;
    if (rc == RC_OK && passed < 0 && msg.type == WIRE_HANDOVER_CANCEL && may_cancel(t)) {
        tko_hear_cancel(t, &msg);
        return;
    }
    if (rc == RC_OK && (msg.type != row->expects || passed >= 0)) {
        if (passed >= 0)
            close(passed);
        err_set(&err, "08P01", "%s where %s is due", wire_handover_name(msg.type),
                wire_handover_name(row->expects));
    }
    if (!err_is_set(&err) && row->hear(t, &msg, &err))
        return;
    if (t->state != TKO_HANDED_OVER) {
        give_up(t, &err);
        return;
    }
    log_err(LOG_WARNING, "the successor is not told any more", &err);
    drop_successor(t);
}

/* ---- hearing the predecessor ---- */

static void hear_predecessor(struct tko *t)
{
    struct wire_handover msg;
    struct err err = {0};
    int passed;
    enum rc rc = tko_hear(t->predecessor, &msg, &passed, 0, &err);

    if (rc == RC_AGAIN)
        return;
    if (passed >= 0)
        close(passed);
    if (rc == RC_OK && msg.type == WIRE_HANDOVER_CANCEL_IS) {
        tko_hear_cancel_is(t, &msg);
        return;
    }
    if (rc == RC_OK && msg.type != WIRE_HANDOVER_REPORT)
        err_set(&err, "08P01", "%s from the predecessor", wire_handover_name(msg.type));
    if (err_is_set(&err)) {
        if (strcmp(err.sqlstate, "57P01") != 0)
            log_err(LOG_WARNING, "the predecessor is not heard any more", &err);
        tko_predecessor_gone(t);
        return;
    }
    if (msg.sessions != atomic_load(&t->predecessor_sessions) && t->state == TKO_HANDED_OVER)
        t->until_ms = 0; /* whoever comes after us hears of it now */
    tko_take_report(t, &msg);
}

/* ---- the thread ---- */

static int wait_ms(const struct tko *t)
{
    int64_t in_ms = t->until_ms - clock_ms();

    if (!states[t->state].within_ms && t->state != TKO_HANDED_OVER)
        return -1;
    return in_ms > 0 ? (int)in_ms : 0;
}

static void deadline(struct tko *t)
{
    struct err err = {0};

    if (wait_ms(t) != 0)
        return;
    if (t->state == TKO_HANDED_OVER) {
        report(t);
        return;
    }
    err_set(&err, "57014", "%s did not come within %u ms",
            wire_handover_name(states[t->state].expects), states[t->state].within_ms);
    give_up(t, &err);
}

void tko_wake(struct tko *t)
{
    uint64_t one = 1;

    if (write(t->wake, &one, sizeof(one)) < 0 && errno != EAGAIN) /* that many wake it, too */
        log_error("takeover: %s", strerror(errno));
}

static void woken(struct tko *t)
{
    uint64_t times;

    if (read(t->wake, &times, sizeof(times)) < 0 && errno != EAGAIN)
        log_error("takeover: %s", strerror(errno));
}

static short wanted(struct tko *t, struct tko_letters *to)
{
    return (short)(tko_has_letters(t, to) ? POLLIN | POLLOUT : POLLIN);
}

void *tko_main(void *arg)
{
    struct tko *t = arg;

    log_thread("takeover");
    while (!atomic_load(&t->stop)) {
        struct pollfd fds[] = {
            {.fd = t->wake, .events = POLLIN},
            {.fd = t->control, .events = POLLIN}, /* negative ones are passed over */
            {.fd = t->predecessor, .events = wanted(t, &t->to_predecessor)},
            {.fd = t->successor, .events = wanted(t, &t->to_successor)},
        };

        if (poll(fds, ARRAY_LEN(fds), wait_ms(t)) < 0 && errno != EINTR)
            log_error("takeover: %s", strerror(errno));
        if (fds[0].revents)
            woken(t);
        if (fds[2].revents)
            hear_predecessor(t);
        if (fds[3].revents)
            hear_successor(t);
        if (fds[1].revents)
            accept_successor(t);
        deadline(t);
        tko_send_letters(t, &t->to_predecessor, t->predecessor);
        tko_send_letters(t, &t->to_successor, t->successor);
    }
    return NULL;
}

/* ---- life ---- */

/* Of a Unix socket whose path leaves no room for more: the directory and the port, as configured.
 */
static char *name_that_fits(const char *first, char *name)
{
    if (first[0] != '/' || strlen(name) <= NET_CONTROL_NAME_MAX)
        return name;
    free(name);
    return mem_printf("@segue.%s", first);
}

/* As the plane will call its first address; a port that is to be chosen is not known yet. */
static char *default_name(const char *listen)
{
    char *first = mem_strndup(listen, strcspn(listen, ","));
    char text[NET_ADDRESS_TEXT];
    struct net_address address;
    struct err ignored = {0};
    char *name;

    if (net_listen_parse(first, &address, &ignored) == RC_OK) {
        net_address_text(&address, text);
        name = name_that_fits(first, mem_printf("@segue.%s", text));
    } else {
        name = mem_printf("@segue.%s", first);
    }
    free(first);
    return name;
}

struct tko *tko_new(const struct tko_options *options)
{
    struct tko *t = mem_calloc(1, sizeof(*t));

    t->options = *options;
    t->options.listen = NULL;
    t->options.control_socket = NULL;
    t->name = options->control_socket[0] ? mem_strdup(options->control_socket)
                                         : default_name(options->listen);
    t->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    t->control = t->predecessor = t->successor = -1;
    atomic_store(&t->working, true);
    pthread_mutex_init(&t->letters_lock, NULL);
    tko_know_cancels(t);
    return t;
}

static enum rc start(struct tko *t, struct err *err)
{
    sigset_t all, before;
    int why;

    sigfillset(&all); /* signals are the main thread's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    why = pthread_create(&t->thread, NULL, tko_main, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    t->started = why == 0;
    if (why)
        err_set(err, "53000", "cannot start a thread: %s", strerror(why));
    return why ? RC_ERR : RC_OK;
}

/* The port is known now. */
static void settle_name(struct tko *t, const char *address)
{
    size_t len = strlen(t->name);

    if (strncmp(t->name, "@segue.", 7) != 0 || len < 2 || strcmp(t->name + len - 2, ":0") != 0)
        return;
    free(t->name);
    t->name = mem_printf("@segue.%s", address);
}

enum rc tko_begin(struct tko *t, struct err *err)
{
    settle_name(t, sess_plane_address(t->options.plane));
    if (tko_open_control(t, err) != RC_OK)
        return RC_ERR;
    if (t->predecessor >= 0 ? tko_agree(t, err) != RC_OK
                            : sess_plane_accept(t->options.plane, err) != RC_OK)
        return RC_ERR;
    t->owner = t->name[0] != '@';
    return start(t, err);
}

void tko_end(struct tko *t)
{
    atomic_store(&t->ending, true);
}

void tko_stop(struct tko *t)
{
    if (!t->started)
        return;
    atomic_store(&t->stop, true);
    tko_wake(t);
    pthread_join(t->thread, NULL);
    t->started = false;
    if (t->successor >= 0) /* one that has our sockets already goes on without us */
        drop_successor(t);
}

void tko_free(struct tko *t)
{
    if (!t)
        return;
    int *fds[] = {&t->wake, &t->control, &t->predecessor, &t->successor};

    tko_stop(t);
    if (t->owner && t->state < TKO_OFFERED && unlink(t->name) < 0)
        log_warning("control socket \"%s\": %s", t->name, strerror(errno));
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
    }
    tko_drop_letters(t, &t->to_predecessor);
    tko_drop_letters(t, &t->to_successor);
    pthread_mutex_destroy(&t->letters_lock);
    free(t->name);
    free(t);
}

pid_t tko_successor(struct tko *t)
{
    return atomic_load(&t->successor_pid);
}

pid_t tko_predecessor(struct tko *t)
{
    return atomic_load(&t->predecessor_pid);
}

bool tko_relays(struct tko *t)
{
    return tko_predecessor(t) && tko_successor(t);
}

void tko_report(struct tko *t, unsigned left_s, bool working)
{
    atomic_store(&t->left_s, left_s);
    atomic_store(&t->working, working);
}

json_t *tko_show(struct tko *t)
{
    int pid = atomic_load(&t->predecessor_pid);
    json_t *rows = json_array();

    json_array_append_new(rows, json_pack("[s, i, n, n, n]", "this", (int)getpid()));
    if (pid)
        json_array_append_new(rows, json_pack("[s, i, I, I, b]", "predecessor", pid,
                                              (json_int_t)atomic_load(&t->predecessor_sessions),
                                              (json_int_t)atomic_load(&t->predecessor_left_s),
                                              (int)atomic_load(&t->predecessor_working)));
    return json_pack("{s: [s, s, s, s, s], s: o}", "columns", "process", "pid", "sessions",
                     "ends_in_s", "engine_works", "rows", rows);
}
