/*
 * Bytes between OpenSSL and the socket.
 *
 * Reading: what was read before TLS began comes first.
 * Writing: OpenSSL never hears that the socket is full. What the socket does not take waits in
 * t->late; with a record of its own half sent OpenSSL could not answer a KeyUpdate, and would end
 * the connection over it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tls_private.h"

/* A record, and then only answers to KeyUpdates, of a peer that does not read them. */
#define LATE_BYTES_MAX 65536

/* Read in one call without a byte for the caller, who has other sessions to serve: no handshake is
 * so long, and what else says nothing is a flood of KeyUpdates. */
#define BARREN_BYTES_MAX 131072

static int take_peeked(struct tls_stream *t, char *to, size_t size)
{
    size_t n = t->npeeked - t->taken < size ? t->npeeked - t->taken : size;

    memcpy(to, t->peeked + t->taken, n);
    t->taken += n;
    if (t->taken == t->npeeked) {
        free(t->peeked);
        t->peeked = NULL;
    }
    return (int)n;
}

static int bio_read(BIO *bio, char *to, int size)
{
    struct tls_stream *t = BIO_get_data(bio);
    ssize_t n;

    BIO_clear_retry_flags(bio);
    if (t->peeked)
        return take_peeked(t, to, (size_t)size);
    if (t->hold) {
        BIO_set_retry_read(bio);
        return -1;
    }
    if (t->asked > BARREN_BYTES_MAX) {
        t->error = EPROTO;
        return -1;
    }
    do
        n = recv(t->fd, to, (size_t)size, 0);
    while (n < 0 && errno == EINTR);
    t->more = n == size;
    t->asked += n > 0 ? (size_t)n : 0;
    if (n == 0)
        t->ended = true;
    if (n >= 0)
        return (int)n;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        BIO_set_retry_read(bio);
    else
        t->error = errno;
    return -1;
}

/* Sends what the socket takes; its number, or -1 with t->error. */
static ssize_t try_send(struct tls_stream *t, const char *from, size_t len)
{
    ssize_t n;

    do
        n = send(t->fd, from, len, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    if (n < 0)
        t->error = errno;
    return n;
}

enum rc tls_flush(struct tls_stream *t)
{
    ssize_t n;

    if (!t->late.len)
        return RC_OK;
    n = try_send(t, t->late.data, t->late.len);
    if (n < 0)
        return RC_ERR;
    buf_consume(&t->late, (size_t)n);
    if (t->late.len)
        return RC_AGAIN;
    buf_fini(&t->late);
    return RC_OK;
}

static int bio_write(BIO *bio, const char *from, int len)
{
    struct tls_stream *t = BIO_get_data(bio);
    ssize_t n;

    BIO_clear_retry_flags(bio);
    if (t->mute) /* an answer of TLS itself, which nobody hears: reading goes on */
        return len;
    n = t->late.len ? 0 : try_send(t, from, (size_t)len);
    if (n >= 0 && n < len && t->late.len + (size_t)len > LATE_BYTES_MAX) {
        t->error = ENOBUFS;
        n = -1;
    }
    if (n < 0)
        return -1;
    if (n < len)
        buf_append(&t->late, from + n, (size_t)(len - n));
    return len;
}

/* A flush has nothing to do: what can be sent was sent. All else is not understood. */
static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    const struct tls_stream *t = BIO_get_data(bio);

    (void)number;
    (void)pointer;
    if (command == BIO_CTRL_EOF)
        return t->ended;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *method;

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "segue stream");
    if (!method)
        return;
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_ctrl(method, bio_ctrl);
}

BIO *tls_bio_new(struct tls_stream *t)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    BIO *bio;

    pthread_once(&once, make_method);
    bio = method ? BIO_new(method) : NULL;
    if (bio) {
        BIO_set_data(bio, t);
        BIO_set_init(bio, 1);
    }
    return bio;
}
