/* Bytes between OpenSSL and the socket: what was read before TLS began comes first. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tls_private.h"

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
    do
        n = recv(t->fd, to, (size_t)size, 0);
    while (n < 0 && errno == EINTR);
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

static int bio_write(BIO *bio, const char *from, int len)
{
    struct tls_stream *t = BIO_get_data(bio);
    ssize_t n;

    BIO_clear_retry_flags(bio);
    do
        n = send(t->fd, from, (size_t)len, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return (int)n;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        BIO_set_retry_write(bio);
    else
        t->error = errno;
    return -1;
}

/* Nothing is buffered here, so a flush has nothing to do; all else is not understood. */
static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
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
