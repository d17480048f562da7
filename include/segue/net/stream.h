/*
 * A non-blocking byte stream: what a relay needs of a socket, behind a table: plain here,
 * TLS in net/tls.h.
 *
 * Embedded by value; a plain one is just a descriptor. Not here: events (the loop's), buffers.
 */
#ifndef SEGUE_NET_STREAM_H
#define SEGUE_NET_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "segue/base/rc.h"

struct net_stream;

struct net_stream_ops {
    enum rc (*recv)(struct net_stream *stream, void *to, size_t size, size_t *got);
    enum rc (*send)(struct net_stream *stream, const void *from, size_t len, size_t *put);
    void (*shut)(struct net_stream *stream); /* no more sending; reading goes on */
    void (*close)(struct net_stream *stream);
};

struct net_stream {
    const struct net_stream_ops *ops; /* NULL: closed */
    int fd;
    bool pending; /* more may be there to be received, which no edge will tell of */
    void *state;  /* of the implementation; NULL for a plain stream */
};

/* Takes the descriptor, which must be a non-blocking socket. */
void net_stream_plain(struct net_stream *stream, int fd);

/* RC_OK: *got bytes, 0 is the end of the stream; RC_AGAIN: nothing now; RC_ERR: errno says why. */
static inline enum rc net_recv(struct net_stream *stream, void *to, size_t size, size_t *got)
{
    return stream->ops->recv(stream, to, size, got);
}

/* RC_OK: *put bytes, perhaps fewer than asked; RC_AGAIN: none now, and the next call must begin
 * with the same bytes (more may follow them); RC_ERR: errno says why. */
static inline enum rc net_send(struct net_stream *stream, const void *from, size_t len, size_t *put)
{
    return stream->ops->send(stream, from, len, put);
}

/* Receive again before waiting for the socket: it was not read to its end, or bytes lie here that
 * were read ahead. Whoever learns from the loop that the socket may be read says so here. */
static inline bool net_pending(const struct net_stream *stream)
{
    return stream->pending;
}

static inline bool net_is_open(const struct net_stream *stream)
{
    return stream->ops != NULL;
}

void net_shut(struct net_stream *stream);
void net_close(struct net_stream *stream); /* harmless when closed */

/* TCP_NODELAY, keepalive (idle seconds; 0: the system's), TCP_USER_TIMEOUT (0: the system's).
 * On loopback also the plain congestion control: BBR, where it is the system's, costs some percent
 * of the CPU there and has nothing to find out. Nothing on a Unix socket. */
void net_tune(int fd, unsigned keepalive_s, unsigned user_timeout_ms);

#endif
