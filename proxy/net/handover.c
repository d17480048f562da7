#include "segue/net/handover.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static_assert(NET_CONTROL_NAME_MAX == sizeof(((struct sockaddr_un *)0)->sun_path) - 1,
              "a name fits");

#define BACKLOG 64
#define PASSED_MAX 4 /* room, so that more than one is seen and closed */

static socklen_t fill(const char *name, struct sockaddr_un *out, struct err *err)
{
    size_t len = strlen(name);

    memset(out, 0, sizeof(*out));
    out->sun_family = AF_UNIX;
    if (len < 2 || len > NET_CONTROL_NAME_MAX) {
        err_set(err, "22023", "control socket \"%s\": a name has 2 to %d bytes", name,
                NET_CONTROL_NAME_MAX);
        return 0;
    }
    memcpy(out->sun_path, name, len);
    if (name[0] != '@')
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    out->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

static int make(void)
{
    return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* Nobody behind it: left by a process that was killed. */
static bool is_stale(const struct sockaddr_un *address, socklen_t len)
{
    int fd = make();
    bool stale =
        fd >= 0 && connect(fd, (const struct sockaddr *)address, len) < 0 && errno == ECONNREFUSED;

    if (fd >= 0)
        close(fd);
    return stale;
}

int net_control_listen(const char *name, struct err *err)
{
    struct sockaddr_un address;
    socklen_t len = fill(name, &address, err);
    int fd = len ? make() : -1;
    mode_t before;
    int bound;

    if (!len)
        return -1;
    if (fd < 0)
        goto failed;
    before = umask(0177);
    bound = bind(fd, (const struct sockaddr *)&address, len);
    if (bound < 0 && errno == EADDRINUSE && name[0] != '@' && is_stale(&address, len) &&
        unlink(name) == 0)
        bound = bind(fd, (const struct sockaddr *)&address, len);
    umask(before);
    if (bound == 0 && listen(fd, BACKLOG) == 0)
        return fd;
failed:
    if (errno == EADDRINUSE)
        err_set(err, "55006", "control socket \"%s\": another segue is there", name);
    else
        err_set(err, "58000", "control socket \"%s\": %s", name, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

bool net_control_is(int fd, const char *name)
{
    struct sockaddr_un wanted, is = {0};
    socklen_t len = sizeof(is), wanted_len = fill(name, &wanted, NULL);

    return wanted_len && getsockname(fd, (struct sockaddr *)&is, &len) == 0 && len == wanted_len &&
           memcmp(&is, &wanted, len) == 0;
}

int net_control_connect(const char *name, struct err *err)
{
    struct sockaddr_un address;
    socklen_t len = fill(name, &address, err);
    int fd = len ? make() : -1;

    if (!len)
        return -1;
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, len) == 0)
        return fd;
    err_set(err, errno == ECONNREFUSED || errno == ENOENT ? "08001" : "58000",
            "control socket \"%s\": %s", name, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

int net_control_accept(int fd)
{
    return accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

bool net_control_trusted(int fd, pid_t *pid, uid_t *uid)
{
    struct ucred who = {.uid = (uid_t)-1};
    socklen_t len = sizeof(who);
    bool known = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0;

    *pid = who.pid;
    *uid = who.uid;
    return known && (who.uid == geteuid() || who.uid == 0);
}

static bool wait_for(int fd, short events, unsigned wait_ms)
{
    struct pollfd p = {.fd = fd, .events = events};
    int n;

    do
        n = poll(&p, 1, (int)wait_ms);
    while (n < 0 && errno == EINTR);
    return n > 0;
}

enum rc net_control_send(int fd, const void *packet, size_t len, int passed, unsigned wait_ms,
                         struct err *err)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec part = {.iov_base = (void *)(uintptr_t)packet, .iov_len = len};
    struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t n;

    if (passed >= 0) {
        struct cmsghdr *head = &control.align;

        msg.msg_control = control.bytes;
        msg.msg_controllen = sizeof(control.bytes);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(head), &passed, sizeof(int));
    }
    do
        n = sendmsg(fd, &msg, MSG_NOSIGNAL);
    while (n < 0 && (errno == EINTR || (errno == EAGAIN && wait_for(fd, POLLOUT, wait_ms))));
    if (n == (ssize_t)len)
        return RC_OK;
    err_set(err, "08006", "cannot send on the control socket: %s", strerror(errno));
    return RC_ERR;
}

/* The first descriptor is kept; there should be no more. True: one at most. */
static bool take_passed(struct msghdr *msg, int *passed)
{
    bool alone = true;

    for (struct cmsghdr *head = CMSG_FIRSTHDR(msg); head; head = CMSG_NXTHDR(msg, head)) {
        size_t n = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < n; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(head) + i * sizeof(int), sizeof(int));
            if (*passed < 0) {
                *passed = fd;
                continue;
            }
            close(fd);
            alone = false;
        }
    }
    return alone;
}

/* A peer that closes with something of ours unread gives ECONNRESET once, before its last words. */
static ssize_t recv_packet(int fd, struct msghdr *msg, unsigned wait_ms)
{
    bool was_reset = false;
    ssize_t n;

    for (;;) {
        n = recvmsg(fd, msg, MSG_CMSG_CLOEXEC);
        if (n >= 0)
            return n;
        if (errno == ECONNRESET && !was_reset)
            was_reset = true;
        else if (errno != EINTR && (errno != EAGAIN || !wait_for(fd, POLLIN, wait_ms)))
            return -1;
    }
}

enum rc net_control_recv(int fd, void *packet, size_t size, size_t *got, int *passed,
                         unsigned wait_ms, struct err *err)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * PASSED_MAX)];
        struct cmsghdr align;
    } control;
    struct iovec part = {.iov_base = packet, .iov_len = size};
    struct msghdr msg = {.msg_iov = &part,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         .msg_controllen = sizeof(control.bytes)};
    ssize_t n = recv_packet(fd, &msg, wait_ms);

    *passed = -1;
    *got = 0;
    if (n < 0 && errno == EAGAIN)
        return RC_AGAIN;
    if (n < 0) {
        err_set(err, "08006", "cannot read the control socket: %s", strerror(errno));
        return RC_ERR;
    }
    *got = (size_t)n;
    if (take_passed(&msg, passed) && !(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
        return RC_OK;
    if (*passed >= 0)
        close(*passed);
    *passed = -1;
    err_set(err, "08P01", "a packet on the control socket that is no message of a takeover");
    return RC_ERR;
}
