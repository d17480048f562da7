/*
 * The upstream connection of a session: hosts and addresses tried one after the other until one
 * accepts and answers the start-up. While none does, a new session waits, and tries again, up to
 * upstream_wait_ms: a server that is restarted costs its next clients some time and no error.
 *
 * Not here: what is said over the connection (login.c), which hosts fit (hosts.c).
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"
#include "segue/wire/read.h"
#include "segue/wire/startup.h"
#include "worker.h"

#define PAUSE_MS_LEAST 50
#define PAUSE_MS_MOST 1000
#define TRY_MS_LEAST 1000     /* whatever until_us says: the last round is one, too */
#define ANSWER_LOOK_MS 10     /* while hosts are being asked what they are */
#define ANSWER_BYTES_MAX 4096 /* a first answer that is longer is none that is looked at */
#define ERROR_BYTES_MAX 30000 /* longer: no length, but a text */
#define CANCEL_ASK_MS 2000    /* then the server is told: who is asked does not answer */

/* A server that was told while it had not read the statement yet took no notice: what it does once
 * that is over, too. These are long for a server to read in, and short for who waits. */
static const int cancel_again_ms[] = {50, 200, 800};

/* One attempt to get a connection: rounds over hosts over addresses. Lives until the session is
 * logged in. */
struct sess_dial {
    int64_t until_us;     /* the last round begins then */
    int64_t answer_by_us; /* what the hosts are is waited for until then, whatever until_us says */
    unsigned rounds;
    bool waits; /* what went wrong in this round may be over soon */
    uint8_t order[SESS_HOSTS_MAX];
    size_t nhosts, next_host;
    struct net_address addresses[NET_ADDRESSES_MAX];
    size_t naddresses, next_address;
    struct buf why;   /* of this round: each host, and what is wrong with it */
    const char *hint; /* for the last of them */
    /* What a cancel request waits for: whether a statement is held; or to connect. */
    enum asked { NOBODY, A_WORKER, ANOTHER_PROCESS, ITS_TURN, NOBODY_YET } asked;
    struct sess_worker *worker; /* that of the session that has the key, where that is known */
    uint64_t session;
    bool held;     /* the server is told of what somebody has held until then */
    unsigned told; /* so often */
};

void sess_dial_free(struct sess_dial *dial)
{
    if (!dial)
        return;
    buf_fini(&dial->why);
    free(dial);
}

/* ---- words ---- */

static const struct trouble {
    int number; /* errno; 0: all others */
    const char *says, *hint;
} troubles[] = {
    {ECONNREFUSED, "connection refused",
     "Is PostgreSQL running there, and are host and port in the option upstream right?"},
    {ENOENT, "there is no such socket",
     "Is PostgreSQL running there, and are directory and port in the option upstream right?"},
    {ETIMEDOUT, "no answer in time", "Is there a firewall between segue and the server?"},
    {EAGAIN, "its queue of connections is full", "The server has more clients than it can accept."},
    {EMFILE, "segue has no open file left for it",
     "Raise the limit of open files (ulimit -n), or lower sessions_max."},
    {ECONNRESET, "it closed the connection without an answer",
     "The server is perhaps restarting; its log may say more."},
    {0, NULL, "Can the network of segue reach the server?"},
};

static const struct trouble *trouble_of(int number)
{
    const struct trouble *t = troubles;

    while (t->number && t->number != number)
        t++;
    return t;
}

/* ---- what goes wrong ---- */

static void note(struct sess *s, const char *why, const char *hint)
{
    struct sess_dial *dial = s->dial;
    const struct sess_host *host = &s->worker->plane->options.upstream.hosts[s->host];

    buf_printf(&dial->why, "%s\"%s\", port %s: %s", dial->why.len ? "; " : "", host->name,
               host->port, why);
    dial->hint = hint;
    sess_hosts_failed(s->worker->plane->hosts, s->host, why);
}

static void note_errno(struct sess *s, int number)
{
    const struct trouble *t = trouble_of(number);

    s->dial->waits = true;
    note(s, t->says ? t->says : strerror(number), t->hint);
}

static void give_up(struct sess *s)
{
    struct sess_plane *plane = s->worker->plane;
    struct sess_dial *dial = s->dial;
    unsigned waited_ms = dial->rounds > 1 ? sess_limits(s)->upstream_wait_ms : 0;
    struct err err = {0};

    if (dial->why.len) {
        err_set(&err, dial->waits ? "57P03" : "08001",
                "cannot connect to the upstream PostgreSQL at %s", dial->why.data);
    } else {
        sess_hosts_say(plane->hosts, &dial->why);
        err_set(&err, "57P03", "no upstream PostgreSQL is %s: %s",
                sess_target_name(plane->options.upstream.target), dial->why.data);
        dial->hint = "target_session_attrs in the option upstream asks for it; see SHOW UPSTREAMS.";
    }
    if (waited_ms)
        err_hint(&err, "%s segue has waited %u ms for it (option upstream_wait_ms).", dial->hint,
                 waited_ms);
    else
        err_hint(&err, "%s", dial->hint);
    sess_fail(s, &err);
}

/* ---- connecting ---- */

static void stands(struct sess *s)
{
    s->on_host = true;
    sess_hosts_count(s->worker->plane->hosts, s->host, 1);
    pthread_mutex_lock(&s->worker->registry_lock);
    s->server_address = s->dial->addresses[s->dial->next_address - 1];
    s->server_host = s->host;
    pthread_mutex_unlock(&s->worker->registry_lock);
    sess_login_begin(s);
}

void sess_upstream_left(struct sess *s)
{
    if (s->on_host)
        sess_hosts_count(s->worker->plane->hosts, s->host, -1);
    s->on_host = false;
    if (s->state == SESS_CLOSING || s->state == SESS_GONE)
        sess_cancel_left(s);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* True: the next address of this host is connected, or on the way. */
static bool try_address(struct sess *s)
{
    const struct sess_options *o = sess_limits(s);
    struct sess_dial *dial = s->dial;
    int64_t by_us =
        earlier(s->login_by_us, s->worker->now_us + (int64_t)o->connect_timeout_ms * 1000);
    int64_t least_us = s->worker->now_us + TRY_MS_LEAST * 1000;
    int fd;
    enum rc rc = net_connect(&dial->addresses[dial->next_address++], &fd);

    if (rc == RC_ERR) {
        note_errno(s, errno);
        return false;
    }
    net_tune(fd, o->keepalive_s, o->user_timeout_ms);
    if (sess_leg_init(s, &s->server, fd) != RC_OK) {
        note_errno(s, errno);
        sess_leg_fini(&s->server);
        return false;
    }
    if (rc == RC_OK) {
        stands(s);
    } else {
        sess_deadline(s,
                      dial->rounds > 1 ? earlier(by_us, later(dial->until_us, least_us)) : by_us);
        sess_flow(s);
    }
    return true;
}

static void next_host(struct sess *s)
{
    struct sess_dial *dial = s->dial;
    char why[SESS_HOST_WHY];

    s->host = dial->order[dial->next_host++];
    dial->next_address = 0;
    dial->naddresses = sess_hosts_addresses(s->worker->plane->hosts, s->host, dial->addresses, why);
    if (!dial->naddresses) {
        dial->waits = true;
        note(s, why, "Is the host name in the option upstream right, and does the resolver work?");
    }
}

/* The server has been told of what was held: once more in a while, where that may still go on. */
static bool cancels_again(struct sess *s)
{
    struct sess_dial *dial = s->dial;

    if (!dial->held || dial->told >= ARRAY_LEN(cancel_again_ms) ||
        s->worker->now_us >= s->login_by_us)
        return false;
    sess_cancel_rests(s);
    dial->asked = NOBODY_YET;
    dial->next_host = dial->next_address = 0;
    if (dial->nhosts)
        dial->naddresses = 0;
    sess_deadline(s, s->worker->now_us + (int64_t)cancel_again_ms[dial->told++] * 1000);
    return true;
}

/* Nothing is left to try: once more after a pause, or the end. */
static void round_over(struct sess *s)
{
    struct sess_dial *dial = s->dial;
    int64_t now = s->worker->now_us, pause_ms = PAUSE_MS_MOST;

    if (s->purpose == SESS_FOR_CANCEL) {
        if (cancels_again(s))
            sess_flow(s);
        else
            sess_finish(s);
        return;
    }
    if (!dial->waits || now >= dial->until_us) {
        give_up(s);
        return;
    }
    if (dial->rounds < 5)
        pause_ms = (int64_t)PAUSE_MS_LEAST << dial->rounds;
    pause_ms = pause_ms / 2 + random() % pause_ms;
    sess_deadline(s, earlier(now + pause_ms * 1000, dial->until_us));
    sess_flow(s);
}

static void try_next(struct sess *s)
{
    struct sess_dial *dial = s->dial;

    if (s->purpose == SESS_FOR_CANCEL && !sess_cancel_has_turn(s)) {
        dial->asked = ITS_TURN;
        return;
    }
    for (;;) {
        if (dial->next_address < dial->naddresses) {
            if (try_address(s))
                return;
        } else if (dial->next_host < dial->nhosts) {
            next_host(s);
        } else {
            round_over(s);
            return;
        }
    }
}

static void begin_round(struct sess *s)
{
    struct sess_hosts *hosts = s->worker->plane->hosts;
    struct sess_dial *dial = s->dial;

    dial->nhosts = sess_hosts_order(hosts, dial->order);
    dial->next_host = 0;
    dial->naddresses = dial->next_address = 0;
    if (!dial->nhosts && sess_hosts_asking(hosts) && s->worker->now_us < dial->answer_by_us) {
        sess_deadline(s, s->worker->now_us + ANSWER_LOOK_MS * 1000);
        sess_flow(s);
        return;
    }
    dial->rounds++;
    dial->waits = !dial->nhosts;
    buf_reset(&dial->why);
    try_next(s);
}

/* ---- cancel requests ---- */

static uint64_t asker_of(const struct sess *s)
{
    return s->id | (s->dial->told ? SESS_CANCEL_AGAIN : 0);
}

/* The statement has not gone to the server, to which the request would mean nothing: its worker
 * says whether that is still so. The client need not wait for it. */
static void cancel_here(struct sess *s)
{
    struct sess_dial *dial = s->dial;
    const struct sess_canceller self = {.worker = s->worker, .asker.id = asker_of(s)};

    net_shut(&s->client.stream);
    dial->asked = A_WORKER;
    sess_worker_post(dial->worker, MAIL_CANCEL, dial->session, &self, sizeof(self));
}

/* Its bytes are the session's. Without any: it cannot be read. */
static struct wire_key key_of(const struct sess *s)
{
    struct wire_startup st;
    struct err err = {0};

    if (wire_startup_read(s->startup.data, s->startup.len, &st, &err) != RC_OK)
        return (struct wire_key){0};
    return (struct wire_key){
        .pid = (int32_t)st.cancel_pid, .key = st.cancel_key, .key_len = st.cancel_key_len};
}

/* After a takeover it may be the other process that holds the statement. True: it will say so. */
static bool ask_another(struct sess *s)
{
    const struct sess_plane *plane = s->worker->plane;
    const struct wire_key key = key_of(s);

    if (!key.key_len || !plane->on_cancel ||
        !plane->on_cancel->ask(plane->on_cancel_ctx, asker_of(s), &key))
        return false;
    s->dial->asked = ANOTHER_PROCESS;
    sess_deadline(s, earlier(s->login_by_us, s->worker->now_us + CANCEL_ASK_MS * 1000));
    return true;
}

/* Whoever held the statement knows whether it is under way still. */
static void cancel_once_more(struct sess *s)
{
    sess_deadline(s, s->login_by_us);
    if (s->dial->worker)
        cancel_here(s);
    else if (!ask_another(s))
        sess_finish(s);
}

/* Nobody holds it, or not any more. Of what goes on, whoever has it says first that he does; what
 * was so before it was this one's turn may have ended. */
static void cancel_there(struct sess *s)
{
    struct sess_dial *dial = s->dial;

    if (dial->told && dial->asked == ANOTHER_PROCESS) {
        sess_finish(s);
        return;
    }
    if (dial->told && dial->asked == ITS_TURN) {
        cancel_once_more(s);
        return;
    }
    dial->held |= dial->asked == A_WORKER;
    dial->asked = NOBODY;
    sess_deadline(s, s->login_by_us);
    try_next(s);
    sess_flow(s); /* it may be connected, and nobody else looks: this came by mail */
}

void sess_cancel_told(struct sess *s, enum sess_cancel_is how)
{
    if (s->state != SESS_CONNECTING || !s->dial->asked || s->dial->asked == NOBODY_YET)
        return;
    switch (how) {
    case SESS_CANCEL_HELD:
        if (s->dial->asked == ITS_TURN) /* an answer that comes too late */
            break;
        net_shut(&s->client.stream);
        s->dial->asked = A_WORKER;
        sess_deadline(s, s->login_by_us);
        break;
    case SESS_CANCEL_ELSEWHERE:
        cancel_there(s);
        break;
    case SESS_CANCEL_DONE:
        sess_finish(s);
        break;
    }
}

/* To the very server on which a session has this key. Where none has (another segue's does, or that
 * of a process which was replaced, and holds no statement of it) every address of every host is
 * told: they may be different servers, and a key that is not its own means nothing to one. */
static void aim_cancel(struct sess *s)
{
    struct sess_plane *plane = s->worker->plane;
    struct sess_dial *dial = s->dial;
    const struct wire_key key = key_of(s);
    struct sess_keyed to;

    dial->rounds = 1;
    if (key.key_len && sess_plane_keyed(plane, &key, &to)) {
        dial->addresses[dial->naddresses++] = to.address;
        s->host = to.host;
        if (to.held) {
            dial->worker = to.worker;
            dial->session = to.id;
            cancel_here(s);
            return;
        }
    }
    if (!dial->naddresses) {
        for (size_t i = 0; i < plane->options.upstream.nhosts; i++)
            dial->order[dial->nhosts++] = (uint8_t)i;
        if (ask_another(s))
            return;
    }
    try_next(s);
}

/* 127.0.0.1 and ::1 are one machine, where a name stands for both: a server that hears of it twice
 * might cancel the statement behind, too. */
static void skip_heard(struct sess_dial *dial)
{
    const struct net_address *heard = &dial->addresses[dial->next_address - 1];

    if (dial->next_address < dial->naddresses && net_address_is_loopback(heard) &&
        net_address_is_loopback(heard + 1) && heard->sa.ss_family != heard[1].sa.ss_family)
        dial->next_address++;
}

void sess_cancel_done(struct sess *s)
{
    struct sess_dial *dial = s->dial;
    bool all;

    skip_heard(dial);
    all = dial->next_address == dial->naddresses && dial->next_host == dial->nhosts;
    if (all ? !cancels_again(s) : s->worker->now_us >= s->login_by_us) {
        sess_finish(s);
        return;
    }
    sess_upstream_left(s);
    sess_leg_fini(&s->server);
    sess_move(s, SESS_CONNECTING);
    if (all)
        sess_flow(s);
    else
        try_next(s);
}

/* ---- entry points ---- */

void sess_connect(struct sess *s, enum sess_purpose purpose)
{
    struct sess_plane *plane = s->worker->plane;
    struct buf packet = {0};
    const struct sess_options *o = sess_limits(s);
    int64_t now = s->worker->now_us;

    sess_move(s, SESS_CONNECTING);
    s->purpose = purpose;
    if (purpose == SESS_FOR_LOGIN) {
        wire_startup_redirect(&packet, s->startup.data, s->startup.len,
                              plane->console->login_database(plane->console_ctx));
        buf_fini(&s->startup);
        s->startup = packet;
    }
    s->dial = mem_calloc(1, sizeof(*s->dial));
    s->dial->until_us = earlier(now + (int64_t)o->upstream_wait_ms * 1000, s->login_by_us);
    s->dial->answer_by_us = earlier(now + (int64_t)o->connect_timeout_ms * 1000, s->login_by_us);
    if (purpose == SESS_FOR_CANCEL)
        aim_cancel(s);
    else
        begin_round(s);
}

void sess_connected(struct sess *s)
{
    int number = net_connect_check(s->server.stream.fd);

    if (number == 0) {
        stands(s);
        return;
    }
    sess_leg_fini(&s->server);
    note_errno(s, number);
    try_next(s);
}

void sess_connect_timeout(struct sess *s)
{
    bool pause = !net_is_open(&s->server.stream);

    if (pause && s->purpose == SESS_FOR_CANCEL) {
        if (s->dial->asked == ANOTHER_PROCESS && !s->dial->told)
            sess_cancel_told(s, SESS_CANCEL_ELSEWHERE);
        else if (s->dial->asked == NOBODY_YET)
            cancel_once_more(s);
        else
            sess_finish(s); /* what it waited for is held still */
        return;
    }
    sess_leg_fini(&s->server);
    if (pause) {
        begin_round(s);
        return;
    }
    note_errno(s, ETIMEDOUT);
    if (s->worker->now_us >= s->login_by_us)
        give_up(s);
    else
        try_next(s);
}

static void forget(struct sess *s)
{
    sess_upstream_left(s);
    sess_leg_fini(&s->server);
    if (s->state != SESS_CONNECTING)
        sess_move(s, SESS_CONNECTING);
}

void sess_upstream_next(struct sess *s, const char *why)
{
    forget(s);
    note(s, why, "See sslmode and the files of the option upstream.");
    try_next(s);
}

void sess_upstream_busy(struct sess *s, const char *why)
{
    forget(s);
    s->dial->waits = true;
    note(s, why, "The server has perhaps no room for another process; its log says more.");
    try_next(s);
}

void sess_upstream_misfit(struct sess *s, enum sess_role role)
{
    enum sess_target target = s->worker->plane->options.upstream.target;
    char why[SESS_HOST_WHY];

    snprintf(why, sizeof(why), "it is %s, and %s was asked for", sess_role_name(role),
             sess_target_name(target));
    forget(s);
    s->dial->waits = true;
    note(s, why, "target_session_attrs in the option upstream asks for it; see SHOW UPSTREAMS.");
    try_next(s);
}

void sess_upstream_again(struct sess *s)
{
    forget(s);
    s->dial->next_address--;
    try_next(s);
}

/* ---- the first answer ---- */

void sess_upstream_lost(struct sess *s)
{
    const char *trouble = net_tls_trouble(&s->server.stream);

    if (trouble) {
        sess_upstream_next(s, trouble);
        return;
    }
    forget(s);
    note_errno(s, ECONNRESET);
    try_next(s);
}

void sess_upstream_late(struct sess *s)
{
    forget(s);
    note_errno(s, ETIMEDOUT);
    try_next(s);
}

/* "The database system is starting up" and its like, in the server's own words. */
static bool is_not_ready_yet(const char *msg, size_t total, char *says, size_t size)
{
    struct wire_error error;

    if (wire_read_error(msg, total, &error) != RC_OK || strcmp(error.sqlstate, "57P03") != 0)
        return false;
    snprintf(says, size, "%s", error.text);
    return true;
}

/* A postmaster that cannot fork says so as in protocol 2: a text. */
static enum rc read_old_error(const char *text, size_t len, char *says, size_t size)
{
    if (!memchr(text, '\0', len))
        return len < ANSWER_BYTES_MAX ? RC_AGAIN : RC_ERR;
    snprintf(says, size, "%.*s", (int)strcspn(text, "\n"), text);
    for (char *at = says; *at; at++)
        *at = iscntrl((unsigned char)*at) ? '?' : *at;
    return RC_OK;
}

/* RC_OK: it takes no sessions yet, and `says` so. RC_AGAIN: there is more to come. */
static enum rc read_refusal(const char *msg, size_t len, char *says, size_t size)
{
    struct wire_frame frame;
    enum rc rc = wire_frame_read(msg, len, &frame);

    if (rc == RC_AGAIN || msg[0] != 'E')
        return rc == RC_AGAIN ? RC_AGAIN : RC_ERR;
    if (rc == RC_ERR || frame.total > ERROR_BYTES_MAX)
        return read_old_error(msg + 1, len - 1, says, size);
    if (frame.total > ANSWER_BYTES_MAX)
        return RC_ERR;
    if (len < frame.total)
        return RC_AGAIN;
    return is_not_ready_yet(msg, frame.total, says, size) ? RC_OK : RC_ERR;
}

/* Nothing of a server has reached the client: one that takes no sessions yet is asked again. */
size_t sess_asked_server(struct sess *s, const char *data, size_t len)
{
    char says[SESS_HOST_WHY];
    struct wire_frame frame;
    size_t pos = 0;

    while (pos < len) {
        enum rc rc = read_refusal(data + pos, len - pos, says, sizeof(says));

        if (rc == RC_AGAIN)
            return 0;
        if (rc == RC_OK) {
            forget(s);
            s->dial->waits = true;
            note(s, says, "The server answers, but takes no sessions yet.");
            try_next(s);
            return len;
        }
        if (data[pos] != 'v' || /* NegotiateProtocolVersion: the answer comes behind it */
            wire_frame_read(data + pos, len - pos, &frame) != RC_OK ||
            frame.total > ANSWER_BYTES_MAX)
            break;
        if (len - pos < frame.total)
            return 0;
        pos += frame.total;
    }
    if (pos == len)
        return 0;
    sess_login_answered(s);
    return 0;
}
