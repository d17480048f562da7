/*
 * What comes where a TLS client's or server's handshake should. First byte: which side segue is,
 * how many bytes were read before TLS began, sizes of the pieces. No input makes a handshake.
 */
#include <assert.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "../unit/tls_files.h"
#include "segue/base/log.h"
#include "segue/net/tls.h"
#include "target.h"

static struct net_tls_context *accepts, *connects;

static void drop_files(void)
{
    char command[FILE_NAME];

    net_tls_unref(accepts);
    net_tls_unref(connects);
    snprintf(command, sizeof(command), "rm -r %s", folder);
    if (system(command) != 0)
        perror(folder);
}

static void make_contexts(void)
{
    struct maker ca = {0}, server = {0};
    char cert[FILE_NAME], key[FILE_NAME], ca_file[FILE_NAME];
    struct err err = {0};

    log_level_set(LOG_ERROR);
    if (!mkdtemp(folder))
        abort();
    ca = maker_new("authority", NULL, NULL, 0);
    server = maker_new("localhost", &ca, "DNS:localhost", 0);
    file_cert("ca.crt", &ca, ca_file);
    file_cert("server.crt", &server, cert);
    file_key("server.key", &server, 0600, NULL, key);
    accepts = net_tls_accept_new(&(struct net_tls_accept_options){.cert_file = cert,
                                                                  .key_file = key,
                                                                  .ca_file = ca_file,
                                                                  .version_min = 0x0303,
                                                                  .ticket_key_s = 60},
                                 NULL, &err);
    connects = net_tls_connect_new(&(struct net_tls_connect_options){.verify = NET_TLS_VERIFY_FULL,
                                                                     .ca_file = ca_file,
                                                                     .version_min = 0x0303},
                                   &err);
    if (!accepts || !connects) {
        fprintf(stderr, "tls: %s\n", err.text);
        abort();
    }
    maker_free(&ca);
    maker_free(&server);
    atexit(drop_files);
}

int fuzz_one(const uint8_t *data, size_t len)
{
    struct net_stream stream;
    struct err err = {0};
    bool writes;
    enum rc rc = RC_AGAIN;
    size_t peeked, step;
    int fds[2];

    if (!accepts)
        make_contexts();
    if (!len)
        return 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0)
        abort();
    peeked = data[0] & 1 ? 0 : data[0] >> 4;
    step = data[0] & 14 ? (size_t)(data[0] & 14) : len;
    if (data[0] & 1) {
        net_stream_tls_connect(&stream, fds[0], connects, "localhost", data[0] & 0x80);
    } else {
        if (peeked > len - 1)
            peeked = len - 1;
        net_stream_tls_accept(&stream, fds[0], accepts, data + 1, peeked);
    }
    for (size_t at = 1 + peeked; rc == RC_AGAIN && at < len; at += step) {
        if (send(fds[1], data + at, step < len - at ? step : len - at, MSG_NOSIGNAL) < 0)
            break;
        rc = net_tls_handshake(&stream, &writes, &err);
    }
    shutdown(fds[1], SHUT_WR);
    if (rc == RC_AGAIN)
        rc = net_tls_handshake(&stream, &writes, &err);
    assert(rc == RC_ERR && err_is_set(&err));
    net_close(&stream);
    close(fds[1]);
    return 0;
}

const struct fuzz_seed fuzz_seeds[] = {
    FUZZ_SEED("\0\x16\3\1\0\x2f\1\0\0\x2b\3\3"
              "0123456789abcdef0123456789abcdef\0\0\4\x13\1\xc0\x2b\1\0\0\2\0\0"),
    FUZZ_SEED("\x10\x16\3\1\0\5\1\0\0\1\0"),
    FUZZ_SEED("\1\x16\3\3\0\x2a\2\0\0\x26\3\3"
              "0123456789abcdef0123456789abcdef\0\x13\1\0\0\0"),
    FUZZ_SEED("\x81\x15\3\3\0\2\2\x28"),
    FUZZ_SEED("\x32\x16\3\1\x40\0"),
    FUZZ_SEED("\0GET / HTTP/1.0\r\n"),
};
const size_t fuzz_nseeds = sizeof(fuzz_seeds) / sizeof(fuzz_seeds[0]);
