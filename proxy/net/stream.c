#include "segue/net/stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "segue/net/address.h"

static enum rc plain_recv(struct net_stream *stream, void *to, size_t size, size_t *got)
{
    ssize_t n;

    do
        n = recv(stream->fd, to, size, 0);
    while (n < 0 && errno == EINTR);
    stream->pending = n == (ssize_t)size;
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? RC_AGAIN : RC_ERR;
    *got = (size_t)n;
    return RC_OK;
}

static enum rc plain_send(struct net_stream *stream, const void *from, size_t len, size_t *put)
{
    ssize_t n;

    do
        n = send(stream->fd, from, len, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? RC_AGAIN : RC_ERR;
    *put = (size_t)n;
    return RC_OK;
}

static void plain_shut(struct net_stream *stream)
{
    shutdown(stream->fd, SHUT_WR);
}

static void plain_close(struct net_stream *stream)
{
    close(stream->fd);
}

static const struct net_stream_ops plain = {plain_recv, plain_send, plain_shut, plain_close};

void net_stream_plain(struct net_stream *stream, int fd)
{
    *stream = (struct net_stream){.ops = &plain, .fd = fd};
}

void net_shut(struct net_stream *stream)
{
    if (stream->ops)
        stream->ops->shut(stream);
}

void net_close(struct net_stream *stream)
{
    if (stream->ops)
        stream->ops->close(stream);
    *stream = (struct net_stream){.fd = -1};
}

void net_tune(int fd, unsigned keepalive_s, unsigned user_timeout_ms)
{
    int one = 1;
    int idle = (int)keepalive_s;
    struct net_address self = {.len = sizeof(self.sa)};

    if (getsockname(fd, (struct sockaddr *)&self.sa, &self.len) < 0 || self.sa.ss_family == AF_UNIX)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (net_address_is_loopback(&self)) /* nothing to probe for: the cheapest there is */
        setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", strlen("reno"));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    if (idle)
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    if (user_timeout_ms)
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof(user_timeout_ms));
}
