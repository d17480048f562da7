/* The new segue's side: asks for the sockets, says when it is ready, begins. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "segue/base/fault.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "segue/net/handover.h"
#include "tko.h"

#define ANSWER_MS 15000 /* the other one's thread may be at work for another process */
#define SOCKETS_MAX 4096

enum rc tko_say(int fd, const struct wire_handover *msg, int passed, struct err *err)
{
    uint8_t packet[WIRE_HANDOVER_MAX];
    size_t len = wire_handover_put(msg, packet);

    return net_control_send(fd, packet, len, passed, TKO_SEND_MS, err);
}

enum rc tko_hear(int fd, struct wire_handover *msg, int *passed, unsigned wait_ms, struct err *err)
{
    uint8_t packet[WIRE_HANDOVER_MAX];
    size_t got;
    enum rc rc = net_control_recv(fd, packet, sizeof(packet), &got, passed, wait_ms, err);

    if (rc != RC_OK)
        return rc;
    if (!got)
        err_set(err, "57P01", "the other process is gone");
    else if (wire_handover_read(packet, got, msg, err) == RC_OK &&
             msg->type == WIRE_HANDOVER_REFUSED)
        err_set(err, "55000", "refused: %s", msg->text);
    if (!err_is_set(err))
        return RC_OK;
    if (*passed >= 0)
        close(*passed);
    *passed = -1;
    return RC_ERR;
}

enum rc tko_check_peer(int fd, const char *what, pid_t *pid, struct err *err)
{
    uid_t uid;

    if (net_control_trusted(fd, pid, &uid))
        return RC_OK;
    err_set(err, "42501", "%s of user %u; only the same user, or root, may hand over or take over",
            what, (unsigned)uid);
    return RC_ERR;
}

/* ---- asking ---- */

/* The next message must be of this type; descriptors only come with SOCKET. */
static enum rc expect(struct tko *t, enum wire_handover_type type, struct wire_handover *msg,
                      int *passed, struct err *err)
{
    enum rc rc = tko_hear(t->predecessor, msg, passed, ANSWER_MS, err);

    if (rc == RC_AGAIN)
        err_set(err, "57014", "the running segue does not answer within %d s", ANSWER_MS / 1000);
    if (rc != RC_OK)
        return RC_ERR;
    if (msg->type == type && (*passed >= 0) == (type == WIRE_HANDOVER_SOCKET))
        return RC_OK;
    err_set(err, "08P01", "the running segue says %s where %s is due",
            wire_handover_name(msg->type), wire_handover_name(type));
    if (*passed >= 0)
        close(*passed);
    return RC_ERR;
}

static enum rc take_sockets(struct tko *t, size_t count, struct err *err)
{
    int *fds = mem_calloc(count ? count : 1, sizeof(int));
    struct wire_handover msg;
    size_t n = 0;
    enum rc rc = RC_OK;

    for (size_t i = 0; i < count && rc == RC_OK; i++) {
        int fd;

        rc = expect(t, WIRE_HANDOVER_SOCKET, &msg, &fd, err);
        if (rc != RC_OK)
            break;
        if (msg.kind == WIRE_HANDOVER_CLIENTS)
            fds[n++] = fd;
        else if (t->control < 0 && net_control_is(fd, t->name))
            t->control = fd;
        else
            close(fd); /* our own is elsewhere: theirs is still open where it came from */
    }
    sess_plane_adopt(t->options.plane, fds, n);
    free(fds);
    return rc;
}

static enum rc ask(struct tko *t, struct err *err)
{
    const struct wire_handover hello = {
        .type = WIRE_HANDOVER_HELLO, .version = WIRE_HANDOVER_VERSION, .pid = (uint32_t)getpid()};
    struct wire_handover welcome;
    struct err unsaid = {0};
    pid_t ignored;
    int none;

    if (tko_check_peer(t->predecessor, "the control socket is one", &ignored, err) != RC_OK)
        return RC_ERR;
    if (tko_say(t->predecessor, &hello, -1, &unsaid) != RC_OK)
        log_debug("takeover: %s", unsaid.text); /* refused already: the reason is to be heard */
    if (expect(t, WIRE_HANDOVER_WELCOME, &welcome, &none, err) != RC_OK)
        return RC_ERR;
    if (welcome.version < WIRE_HANDOVER_VERSION_MIN || welcome.version > WIRE_HANDOVER_VERSION ||
        welcome.count > SOCKETS_MAX) {
        err_set(err, "0A000", "the running segue speaks version %u with %u sockets",
                welcome.version, welcome.count);
        return RC_ERR;
    }
    if (take_sockets(t, welcome.count, err) != RC_OK)
        return RC_ERR;
    atomic_store(&t->predecessor_pid, (int)welcome.pid);
    atomic_store(&t->predecessor_spoken, welcome.version);
    log_info("taking over from process %u: %u listening socket%s and the control socket",
             welcome.pid, welcome.count - 1, welcome.count == 2 ? "" : "s");
    return RC_OK;
}

enum rc tko_take(struct tko *t, struct err *err)
{
    t->predecessor = net_control_connect(t->name, err);
    if (t->predecessor < 0)
        return strcmp(err->sqlstate, "08001") == 0 ? RC_AGAIN : RC_ERR;
    if (ask(t, err) == RC_OK)
        return RC_OK;
    err_prefix(err, "takeover by \"%s\"", t->name);
    return RC_ERR;
}

/* ---- beginning ---- */

enum rc tko_open_control(struct tko *t, struct err *err)
{
    if (t->control < 0)
        t->control = net_control_listen(t->name, err);
    if (t->control >= 0)
        return RC_OK;
    if (strcmp(err->sqlstate, "55006") == 0)
        err_hint(err, "end it first, or take over from it: segue serve --takeover");
    return RC_ERR;
}

void tko_predecessor_gone(struct tko *t)
{
    log_info("the predecessor, process %d, has ended", atomic_load(&t->predecessor_pid));
    if (t->predecessor >= 0)
        close(t->predecessor);
    t->predecessor = -1;
    atomic_store(&t->predecessor_spoken, 0);
    tko_drop_letters(t, &t->to_predecessor);
    atomic_store(&t->predecessor_sessions, 0); /* killed, it has not said so itself */
    atomic_store(&t->predecessor_left_s, 0);
    atomic_store(&t->predecessor_pid, 0);
    eng_predecessor(t->options.engine, 0, 0, 0);
    if (t->state == TKO_HANDED_OVER)
        t->until_ms = 0; /* whoever comes after us hears of it now */
}

void tko_take_report(struct tko *t, const struct wire_handover *report)
{
    atomic_store(&t->predecessor_first, (int)report->pid);
    atomic_store(&t->predecessor_sessions, report->sessions);
    atomic_store(&t->predecessor_left_s, report->left_s);
    atomic_store(&t->predecessor_working, report->working != 0);
    eng_predecessor(t->options.engine, atomic_load(&t->predecessor_pid), (int)report->pid,
                    report->sessions);
}

/* READY, GO. False: refused, err says why. A predecessor that dies here (*gone) leaves its sockets
 * to us and to nobody else: we go on. */
static bool ask_to_begin(struct tko *t, bool *gone, struct err *err)
{
    static const struct wire_handover ready = {.type = WIRE_HANDOVER_READY};
    struct wire_handover msg;
    struct err why = {0}, unsaid = {0};
    int none;

    *gone = tko_say(t->predecessor, &ready, -1, &unsaid) != RC_OK;
    if (expect(t, WIRE_HANDOVER_GO, &msg, &none, &why) == RC_OK) {
        FAULT(takeover_accept);
        return true;
    }
    *gone = strcmp(why.sqlstate, "57P01") == 0 || (*gone && strcmp(why.sqlstate, "55000") != 0);
    if (!*gone)
        *err = why;
    return *gone;
}

/* ACCEPTING; its first REPORT says that it accepts no more. False: it had given us up. */
static bool say_accepting(struct tko *t, bool *gone, struct err *err)
{
    static const struct wire_handover accepting = {.type = WIRE_HANDOVER_ACCEPTING};
    struct wire_handover msg;
    struct err why = {0}, unsaid = {0};
    int none;

    FAULT(takeover_accepting);
    if (tko_say(t->predecessor, &accepting, -1, &unsaid) != RC_OK)
        log_debug("takeover: %s", unsaid.text); /* what it said last is to be heard */
    if (expect(t, WIRE_HANDOVER_REPORT, &msg, &none, &why) == RC_OK) {
        tko_take_report(t, &msg);
        FAULT(takeover_over);
        return true;
    }
    *gone = true;
    if (strcmp(why.sqlstate, "55000") == 0)
        *err = why;
    return !err_is_set(err);
}

/* While the other one still serves: taken over, there would be nobody. */
static bool may_go_on(const struct tko *t, struct err *err)
{
    if (!t->options.told_to_end())
        return true;
    err_set(err, "57P01", "told to end before it had taken over from process %d",
            atomic_load(&t->predecessor_pid));
    return false;
}

enum rc tko_agree(struct tko *t, struct err *err)
{
    bool gone;

    FAULT(takeover_taken);
    eng_predecessor(t->options.engine, atomic_load(&t->predecessor_pid), 0, ENG_SESSIONS_UNKNOWN);
    if (!may_go_on(t, err) || !ask_to_begin(t, &gone, err) || !may_go_on(t, err) ||
        sess_plane_accept(t->options.plane, err) != RC_OK)
        return RC_ERR;
    if (!gone && !say_accepting(t, &gone, err)) {
        sess_plane_disown(t->options.plane);
        return RC_ERR;
    }
    if (gone)
        tko_predecessor_gone(t);
    return RC_OK;
}
