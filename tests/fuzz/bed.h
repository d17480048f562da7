/*
 * A test bed for the data plane: a real plane with one worker thread, a client and an upstream
 * that the fuzzer plays. What is fuzzed is the whole path of bytes, by the
 * public interface alone.
 *
 *   bed_init(rules, tls); once a process
 *   client = bed_connect(); bed_say(client, bytes, len, step); upstream = bed_accept(client); ...
 *   bed_hear(fd, &buf) reads to the end of the stream. Whoever waits longer than BED_PATIENCE_MS
 *   has found a session that is stuck: abort().
 */
#ifndef SEGUE_TESTS_BED_H
#define SEGUE_TESTS_BED_H

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "segue/base/buf.h"
#include "segue/base/log.h"
#include "segue/session/plane.h"
#include "segue/wire/frame.h"

#define BED_PATIENCE_MS 20000
#define BED_UPSTREAM_PORT "5432"

static struct {
    char folder[64];
    struct sess_plane *plane;
    int upstream; /* listens */
} bed;

static inline void bed_stuck(const char *what)
{
    fprintf(stderr, "bed: %s (%s)\n", what, strerror(errno));
    abort();
}

static inline void bed_path(struct sockaddr_un *un)
{
    memset(un, 0, sizeof(*un));
    un->sun_family = AF_UNIX;
    snprintf(un->sun_path, sizeof(un->sun_path), "%s/.s.PGSQL." BED_UPSTREAM_PORT, bed.folder);
}

static void bed_clean(void)
{
    struct sockaddr_un un;

    sess_plane_free(bed.plane);
    bed_path(&un);
    unlink(un.sun_path);
    rmdir(bed.folder);
}

/* `rules` (taken): NULL, or what statements are looked at for. */
static inline void bed_init(struct sql_rules *rules, const struct sess_client_tls_options *tls)
{
    struct sess_options options = {.upstream = {.nhosts = 1}};
    struct sockaddr_un un;
    struct err err = {0};
    sigset_t alarms;

    sigemptyset(&alarms); /* libFuzzer's clock would interrupt every call; patience is ours */
    sigaddset(&alarms, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarms, NULL);
    log_level_set(LOG_ERROR);
    strcpy(bed.folder, "/tmp/segue-bed-XXXXXX");
    if (!mkdtemp(bed.folder))
        bed_stuck("mkdtemp");
    bed_path(&un);
    bed.upstream = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(bed.upstream, (struct sockaddr *)&un, sizeof(un)) < 0 || listen(bed.upstream, 64) < 0)
        bed_stuck("listen");
    options.listen = "127.0.0.1:0";
    options.upstream.hosts[0] = (struct sess_host){.name = bed.folder, .port = BED_UPSTREAM_PORT};
    if (tls)
        options.client_tls = *tls;
    options.workers = 1;
    options.sessions_max = options.startup_open_max = 1000;
    options.startup_bytes_max = 10000;
    options.login_timeout_ms = options.connect_timeout_ms = 10 * BED_PATIENCE_MS;
    options.buffer_bytes_max = 16384;
    options.inspect_bytes_max = 4096;
    options.cache_entries = 64;
    options.cache_bytes = 1 << 16;
    options.statements_bytes_max = 1 << 16;
    bed.plane = sess_plane_new(&options, NULL, NULL, &err);
    if (!bed.plane || sess_plane_start(bed.plane, &err) != RC_OK ||
        sess_plane_accept(bed.plane, &err) != RC_OK)
        bed_stuck(err.text);
    if (rules && !sess_plane_publish(bed.plane, rules, 0, 0, 0))
        bed_stuck("rules");
    atexit(bed_clean);
}

/* Closed with a reset: tens of thousands of sessions must not leave as many ports waiting. */
static inline int bed_connect(void)
{
    const struct timeval patience = {BED_PATIENCE_MS / 1000, 0};
    const struct linger reset = {1, 0};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const char *port = strrchr(sess_plane_address(bed.plane), ':');
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;

    in.sin_port = htons((uint16_t)strtoul(port + 1, NULL, 10));
    if (connect(fd, (struct sockaddr *)&in, sizeof(in)) < 0)
        bed_stuck("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    return fd;
}

/* In pieces of `step` bytes (0: at once). False: the peer takes no more. */
static inline bool bed_say(int fd, const void *bytes, size_t len, size_t step)
{
    const char *at = bytes;

    while (len) {
        ssize_t n = send(fd, at, step && step < len ? step : len, MSG_NOSIGNAL);

        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            bed_stuck("nobody reads");
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

/* To the end of the stream. */
static inline void bed_hear(int fd, struct buf *out)
{
    char piece[65536];
    ssize_t n;

    while ((n = recv(fd, piece, sizeof(piece), 0)) > 0)
        buf_append(out, piece, (size_t)n);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        bed_stuck("a stream does not end");
}

static inline void bed_hear_exactly(int fd, char *to, size_t len)
{
    if (recv(fd, to, len, MSG_WAITALL) != (ssize_t)len)
        bed_stuck("too few bytes");
}

/* The upstream's end of the session of `client`, or -1 when the client was turned away. */
static inline int bed_accept(int client)
{
    struct timeval patience = {BED_PATIENCE_MS / 1000, 0};

    for (;;) {
        struct pollfd fds[2] = {{.fd = bed.upstream, .events = POLLIN},
                                {.fd = client, .events = POLLRDHUP}};
        int fd;

        if (poll(fds, 2, BED_PATIENCE_MS) <= 0)
            bed_stuck("neither connected nor turned away");
        if (!(fds[0].revents & POLLIN))
            return -1;
        fd = accept4(bed.upstream, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            bed_stuck("accept");
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
        return fd;
    }
}

/* Do the bytes end with the end of a message? */
static inline bool bed_whole_messages(const uint8_t *data, size_t len)
{
    struct wire_frame frame;

    while (len) {
        if (wire_frame_read(data, len, &frame) != RC_OK || frame.total > len)
            return false;
        data += frame.total;
        len -= frame.total;
    }
    return true;
}

/* A session up to its first ReadyForQuery. */
static const char bed_startup[] = "\0\0\0\x1f\0\3\0\0user\0app\0database\0app\0";
static const char bed_greeting[] = "R\0\0\0\x08\0\0\0\0"
                                   "S\0\0\0\x19"
                                   "client_encoding\0UTF8\0"
                                   "K\0\0\0\x0c\0\0\0\7\1\2\3\4"
                                   "Z\0\0\0\5I";

static inline void bed_log_in(int *client, int *upstream)
{
    char packet[sizeof(bed_startup)], greeting[sizeof(bed_greeting) - 1];

    *client = bed_connect();
    if (!bed_say(*client, bed_startup, sizeof(bed_startup), 0))
        bed_stuck("start-up");
    *upstream = bed_accept(*client);
    if (*upstream < 0)
        bed_stuck("turned away");
    bed_hear_exactly(*upstream, packet, sizeof(packet));
    if (memcmp(packet, bed_startup, sizeof(packet)) != 0)
        bed_stuck("the start-up packet is not verbatim");
    if (!bed_say(*upstream, bed_greeting, sizeof(greeting), 0))
        bed_stuck("greeting");
    bed_hear_exactly(*client, greeting, sizeof(greeting));
}

#endif
