#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "segue/base/buf.h"
#include "tls_bed.h"

/* Every system call of a stream, counted: the linker takes these in place of the library's. */
static size_t received, sent;

ssize_t recv(int fd, void *to, size_t size, int flags)
{
    received++;
    return recvfrom(fd, to, size, flags, NULL, NULL);
}

ssize_t send(int fd, const void *from, size_t len, int flags)
{
    sent++;
    return sendto(fd, from, len, flags, NULL, 0);
}

/* Moves at most `len` bytes from one descriptor to the other; false: there was nothing. */
static bool carry(int from, int to, size_t len)
{
    char bytes[64];
    ssize_t n = recv(from, bytes, len < sizeof(bytes) ? len : sizeof(bytes), 0);

    if (n <= 0)
        return false;
    assert_int_equal(send(to, bytes, (size_t)n, 0), n);
    return true;
}

static void a_handshake_byte_by_byte_succeeds(void **state)
{
    struct pair p;
    int left[2], right[2], rounds = 0;
    bool wants_write, moved = true;
    char byte;
    size_t got = 0;

    (void)state;
    pair_init(&p);
    sockets(left);
    sockets(right);
    net_stream_tls_accept(&p.a, left[0], p.accepts, NULL, 0);
    net_stream_tls_connect(&p.c, right[0], p.connects, "localhost", true);
    p.a_rc = p.c_rc = RC_AGAIN;
    while (moved || p.c_rc == RC_AGAIN) {
        if (p.c_rc == RC_AGAIN)
            p.c_rc = net_tls_handshake(&p.c, &wants_write, &p.c_err);
        if (p.a_rc == RC_AGAIN)
            p.a_rc = net_tls_handshake(&p.a, &wants_write, &p.a_err);
        if (p.c_rc == RC_OK) /* takes the ticket */
            assert_int_equal(net_recv(&p.c, &byte, 1, &got), RC_AGAIN);
        moved = carry(right[1], left[1], 1);
        moved = carry(left[1], right[1], 1) || moved;
        assert_true(rounds++ < 20000);
    }
    assert_int_equal(p.a_rc, RC_OK);
    assert_int_equal(p.c_rc, RC_OK);
    say(&p.c, "x");
    while (carry(right[1], left[1], 1)) {
        enum rc rc = net_recv(&p.a, &byte, 1, &got);

        assert_int_not_equal(rc, RC_ERR);
        assert_false(rc == RC_AGAIN && net_pending(&p.a)); /* a part of a record is nothing yet */
    }
    assert_int_equal(got, 1);
    assert_int_equal(byte, 'x');
    if (net_pending(&p.a)) /* the last read was as long as it could be: the next one knows */
        assert_int_equal(net_recv(&p.a, &byte, 1, &got), RC_AGAIN);
    assert_false(net_pending(&p.a));
    close(left[1]);
    close(right[1]);
    pair_fini(&p);
}

static void a_handshake_that_does_not_fit_the_socket_waits_until_it_can_write(void **state)
{
    struct net_tls_accept_options a = accept_options();
    struct pair p;
    char chain[FILE_NAME];
    FILE *file;
    int fd[2], least = 1, waited = 0;
    bool wants_write = false;

    (void)state;
    file = file_new("chain.crt", 0644, chain);
    PEM_write_X509(file, server.cert);
    for (int i = 0; i < 40; i++)
        PEM_write_X509(file, ca.cert);
    fclose(file);
    pair_init(&p);
    net_tls_unref(p.accepts);
    a.cert_file = chain;
    p.accepts = accepts(&a, NULL);
    sockets(fd);
    setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &least, sizeof(least));
    net_stream_tls_accept(&p.a, fd[0], p.accepts, NULL, 0);
    net_stream_tls_connect(&p.c, fd[1], p.connects, "localhost", true);
    p.a_rc = p.c_rc = RC_AGAIN;
    for (int turn = 0; turn < 100 && p.a_rc == RC_AGAIN; turn++) {
        if (p.c_rc == RC_AGAIN)
            p.c_rc = net_tls_handshake(&p.c, &wants_write, &p.c_err);
        assert_false(wants_write);
        p.a_rc = net_tls_handshake(&p.a, &wants_write, &p.a_err);
        waited += wants_write;
        wants_write = false;
    }
    assert_int_equal(p.a_rc, RC_OK);
    assert_int_equal(p.c_rc, RC_OK);
    assert_true(waited > 0);
    pair_fini(&p);
}

/* However many bytes were read before TLS was recognised. */
static void bytes_read_before_tls_began_are_its_own(void **state)
{
    static const size_t rows[] = {1, 2, 5, 100, 4096};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pair p;
        int fd[2];
        bool wants_write;
        char peeked[4096];
        ssize_t n;

        pair_init(&p);
        sockets(fd);
        net_stream_tls_connect(&p.c, fd[1], p.connects, "localhost", true);
        assert_int_equal(net_tls_handshake(&p.c, &wants_write, &p.c_err), RC_AGAIN);
        n = recv(fd[0], peeked, rows[i], 0);
        assert_true(n > 0);
        assert_int_equal(peeked[0], NET_TLS_FIRST_BYTE);
        net_stream_tls_accept(&p.a, fd[0], p.accepts, peeked, (size_t)n);
        memset(peeked, 0, sizeof(peeked)); /* they were copied */
        shake(&p);
        assert_int_equal(p.a_rc, RC_OK);
        assert_int_equal(p.c_rc, RC_OK);
        say(&p.c, "after");
        hear(&p.a, "after");
        pair_fini(&p);
    }
}

/* The first packet may come in one segment with the last of the handshake. */
static void bytes_behind_the_handshake_are_pending(void **state)
{
    struct pair p;
    int fd[2];
    bool wants_write;

    (void)state;
    pair_init(&p);
    sockets(fd);
    net_stream_tls_accept(&p.a, fd[0], p.accepts, NULL, 0);
    net_stream_tls_connect(&p.c, fd[1], p.connects, "localhost", false);
    assert_int_equal(net_tls_handshake(&p.c, &wants_write, &p.c_err), RC_AGAIN);
    assert_int_equal(net_tls_handshake(&p.a, &wants_write, &p.a_err), RC_AGAIN);
    assert_int_equal(net_tls_handshake(&p.c, &wants_write, &p.c_err), RC_OK);
    say(&p.c, "first packet");
    assert_int_equal(net_tls_handshake(&p.a, &wants_write, &p.a_err), RC_OK);
    assert_true(net_pending(&p.a));
    hear(&p.a, "first packet");
    assert_false(net_pending(&p.a));
    pair_fini(&p);
}

static void records_that_came_together_are_received_together(void **state)
{
    struct pair p;
    char bytes[8];
    size_t got;

    (void)state;
    pair_init(&p);
    begin_well(&p, "localhost");
    say(&p.c, "one,");
    say(&p.c, "two,");
    say(&p.c, "three");
    hear(&p.a, "one,two,three");
    assert_false(net_pending(&p.a));
    pair_fini(&p);
    pair_init(&p);
    begin_well(&p, "localhost");
    say(&p.c, "abcdef");
    say(&p.c, "ghi");
    assert_int_equal(net_recv(&p.a, bytes, 4, &got), RC_OK); /* a part of the first record */
    assert_int_equal(got, 4);
    assert_true(net_pending(&p.a));
    assert_int_equal(net_recv(&p.a, bytes, 4, &got), RC_OK); /* its end, and of the second */
    assert_memory_equal(bytes, "efgh", 4);
    assert_true(net_pending(&p.a));
    assert_int_equal(net_recv(&p.a, bytes, 4, &got), RC_OK);
    assert_int_equal(got, 1);
    assert_false(net_pending(&p.a));
    assert_int_equal(net_recv(&p.a, bytes, 4, &got), RC_AGAIN);
    pair_fini(&p);
}

static void a_message_costs_one_recv_and_one_send(void **state)
{
    struct pair p;

    (void)state;
    pair_init(&p);
    begin_well(&p, "localhost");
    say(&p.a, "the session ticket comes with this");
    hear(&p.c, "the session ticket comes with this");
    received = sent = 0;
    for (size_t i = 1; i <= 100; i++) {
        say(&p.c, "SELECT 1");
        assert_int_equal(sent, 2 * i - 1);
        hear(&p.a, "SELECT 1");
        assert_int_equal(received, 2 * i - 1);
        say(&p.a, "1");
        hear(&p.c, "1");
    }
    assert_int_equal(sent, 200);
    assert_int_equal(received, 200);
    pair_fini(&p);
}

/* What is behind it is said to be pending, since no edge tells of it, and other sessions have their
 * turn before. */
static void one_call_asks_the_socket_once(void **state)
{
    static char bytes[131072];
    struct pair p;
    size_t put, got, total = 0, calls = 0;

    (void)state;
    pair_init(&p);
    begin_well(&p, "localhost");
    for (int i = 0; i < 6; i++)
        assert_int_equal(net_send(&p.c, bytes, 16000, &put), RC_OK);
    do {
        assert_int_equal(net_recv(&p.a, bytes, sizeof(bytes), &got), RC_OK);
        total += got;
        calls++;
    } while (net_pending(&p.a));
    assert_int_equal(total, 6 * 16000);
    assert_int_equal(calls, 3); /* four records and a part of the fifth; its rest; the sixth */
    pair_fini(&p);
}

/* ---- back-pressure ---- */

#define BULK (1 << 20)

/* One side's sender, as a session's leg does it: what was not taken is offered again from the
 * front, with more behind it. */
struct sender {
    struct buf out;
    size_t made, refused;
};

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 31 + (i >> 8) + (i >> 16));
}

static void send_some(struct sender *s, struct net_stream *to)
{
    size_t put;

    for (size_t more = 1 + s->made % 7919; more && s->made < BULK; more--)
        buf_append_u8(&s->out, byte_at(s->made++));
    while (s->out.len) {
        enum rc rc = net_send(to, s->out.data, s->out.len, &put);

        assert_int_not_equal(rc, RC_ERR);
        if (rc == RC_AGAIN) {
            s->refused++;
            return;
        }
        buf_consume(&s->out, put);
    }
}

static size_t receive_some(struct net_stream *from, size_t at, size_t size)
{
    uint8_t bytes[20000];
    size_t got;
    enum rc rc = net_recv(from, bytes, size, &got);

    assert_int_not_equal(rc, RC_ERR);
    if (rc == RC_AGAIN)
        return 0;
    for (size_t i = 0; i < got; i++)
        assert_int_equal(bytes[i], byte_at(at + i));
    return got;
}

static void what_a_full_socket_refused_is_offered_again_with_more_behind_it(void **state)
{
    struct pair p;
    struct sender to_a = {0}, to_c = {0};
    size_t at_a = 0, at_c = 0;

    (void)state;
    pair_init(&p);
    begin_well(&p, "localhost");
    for (int turn = 0; at_a < BULK || at_c < BULK; turn++) {
        send_some(&to_a, &p.c);
        send_some(&to_c, &p.a);
        if (turn % 40 == 39 || to_a.made == BULK) { /* readers that are behind */
            for (int i = 0; i < 8; i++) {
                at_a += receive_some(&p.a, at_a, 1 + (size_t)(turn * 977 + i) % 20000);
                at_c += receive_some(&p.c, at_c, 20000);
            }
        }
        assert_true(turn < 20000);
    }
    assert_true(to_a.refused > 10);
    assert_true(to_c.refused > 10);
    buf_fini(&to_a.out);
    buf_fini(&to_c.out);
    pair_fini(&p);
}

/* A client may ask for new keys while it does not read: the answer has to wait, the bytes behind
 * the question do not. */
static void new_keys_asked_for_by_a_peer_that_does_not_read_come_later(void **state)
{
    struct sender to_client = {0};
    struct pair p;
    struct raw r;
    char bytes[4096];
    size_t at = 0;
    int n;

    (void)state;
    pair_init(&p);
    r = raw_new(&p);
    assert_int_equal(raw_shake(&r, &p), RC_OK);
    while (!to_client.refused)
        send_some(&to_client, &p.a);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(SSL_key_update(r.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(SSL_write(r.ssl, "question", 8), 8);
        hear(&p.a, "question");
        assert_false(net_pending(&p.a));
    }
    while ((n = SSL_read(r.ssl, bytes, sizeof(bytes))) > 0 || to_client.out.len) {
        for (int i = 0; i < n; i++)
            assert_int_equal((uint8_t)bytes[i], byte_at(at++));
        if (to_client.out.len)
            send_some(&to_client, &p.a);
        assert_true(to_client.refused < 100000);
    }
    assert_int_equal(at, to_client.made);
    say(&p.a, "answer");
    assert_int_equal(SSL_read(r.ssl, bytes, sizeof(bytes)), 6);
    buf_fini(&to_client.out);
    raw_free(&r);
    pair_fini(&p);
}

/* Sends that many bytes of KeyUpdates at once, and "question" behind them. */
static void new_keys(struct raw *r, size_t bytes)
{
    BIO *made = BIO_new(BIO_s_mem()), *socket = SSL_get_wbio(r->ssl);
    int room = 1 << 20;
    size_t len;
    char *data;

    BIO_up_ref(socket);
    SSL_set0_wbio(r->ssl, made);
    while ((size_t)BIO_pending(made) < bytes) {
        assert_int_equal(SSL_key_update(r->ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(r->ssl), 1);
    }
    assert_int_equal(SSL_write(r->ssl, "question", 8), 8);
    len = (size_t)BIO_get_mem_data(made, &data);
    setsockopt(r->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    assert_int_equal(send(r->fd, data, len, 0), len);
    SSL_set0_wbio(r->ssl, socket);
}

static void new_keys_are_taken_many_at_once(void **state)
{
    struct pair p;
    struct raw r;

    (void)state;
    pair_init(&p);
    r = raw_new(&p);
    assert_int_equal(raw_shake(&r, &p), RC_OK);
    new_keys(&r, 30000);
    hear(&p.a, "question");
    raw_free(&r);
    pair_fini(&p);
}

/* OpenSSL would read on as long as they come, and nobody else were served. */
static void a_flood_of_new_keys_ends_the_connection(void **state)
{
    struct pair p;
    struct raw r;
    char byte;
    size_t got;

    (void)state;
    pair_init(&p);
    r = raw_new(&p);
    assert_int_equal(raw_shake(&r, &p), RC_OK);
    new_keys(&r, 200000);
    received = 0;
    assert_int_equal(net_recv(&p.a, &byte, 1, &got), RC_ERR);
    assert_int_equal(errno, EPROTO);
    assert_true(received <= 3);
    raw_free(&r);
    pair_fini(&p);
}

/* ---- ends ---- */

static void ended(struct net_stream *stream)
{
    char byte;
    size_t got = 1;

    assert_int_equal(net_recv(stream, &byte, 1, &got), RC_OK);
    assert_int_equal(got, 0);
}

static void the_last_bytes_come_before_the_end(void **state)
{
    struct pair p;

    (void)state;
    pair_init(&p);
    begin_well(&p, "localhost");
    say(&p.c, "last words");
    net_close(&p.c);
    hear(&p.a, "last words");
    assert_true(net_pending(&p.a)); /* the end lies in the buffer */
    ended(&p.a);
    ended(&p.a);
    pair_fini(&p);
}

static void a_direction_cut_without_a_word_has_ended_and_the_other_goes_on(void **state)
{
    struct pair p;

    (void)state;
    pair_init(&p);
    begin_well(&p, "localhost");
    say(&p.c, "last words");
    shutdown(p.c.fd, SHUT_WR); /* no close_notify */
    hear(&p.a, "last words");
    ended(&p.a);
    ended(&p.a);
    say(&p.a, "an answer");
    hear(&p.c, "an answer");
    net_close(&p.a);
    ended(&p.c);
    pair_fini(&p);
}

static void a_record_cut_in_its_middle_is_an_end_too(void **state)
{
    struct pair p;

    (void)state;
    pair_init(&p);
    begin_well(&p, "localhost");
    assert_int_equal(send(p.c.fd, "\x17\x03\x03\x00\x20half", 9, 0), 9);
    shutdown(p.c.fd, SHUT_WR);
    ended(&p.a);
    pair_fini(&p);
}

static void half_closed_the_other_direction_goes_on(void **state)
{
    struct pair p;

    (void)state;
    pair_init(&p);
    begin_well(&p, "localhost");
    say(&p.c, "that was all");
    net_shut(&p.c);
    hear(&p.a, "that was all");
    ended(&p.a);
    say(&p.a, "here is your answer");
    hear(&p.c, "here is your answer");
    net_close(&p.a);
    ended(&p.c);
    pair_fini(&p);
}

static void a_forged_record_is_an_error_for_good(void **state)
{
    static const char forged[] = "\x17\x03\x03\x00\x20"
                                 "these are not the bytes you wait";
    struct pair p;
    char byte;
    size_t n;

    (void)state;
    pair_init(&p);
    begin_well(&p, "localhost");
    assert_int_equal(send(p.c.fd, forged, sizeof(forged) - 1, 0), sizeof(forged) - 1);
    errno = 0;
    assert_null(net_tls_trouble(&p.a));
    assert_int_equal(net_recv(&p.a, &byte, 1, &n), RC_ERR);
    assert_int_equal(errno, EPROTO);
    assert_string_equal(net_tls_trouble(&p.a), "decryption failed or bad record mac");
    assert_int_equal(net_recv(&p.a, &byte, 1, &n), RC_ERR);
    assert_int_equal(net_send(&p.a, "x", 1, &n), RC_ERR);
    pair_fini(&p);
}

static void a_peer_that_is_gone_is_an_error_when_sending(void **state)
{
    struct pair p;
    size_t n;

    (void)state;
    pair_init(&p);
    begin_well(&p, "localhost");
    net_close(&p.c);
    assert_int_equal(net_send(&p.a, "x", 1, &n), RC_ERR);
    assert_int_equal(errno, EPIPE);
    pair_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handshake_byte_by_byte_succeeds),
        cmocka_unit_test(a_handshake_that_does_not_fit_the_socket_waits_until_it_can_write),
        cmocka_unit_test(bytes_read_before_tls_began_are_its_own),
        cmocka_unit_test(bytes_behind_the_handshake_are_pending),
        cmocka_unit_test(records_that_came_together_are_received_together),
        cmocka_unit_test(a_message_costs_one_recv_and_one_send),
        cmocka_unit_test(one_call_asks_the_socket_once),
        cmocka_unit_test(what_a_full_socket_refused_is_offered_again_with_more_behind_it),
        cmocka_unit_test(new_keys_asked_for_by_a_peer_that_does_not_read_come_later),
        cmocka_unit_test(new_keys_are_taken_many_at_once),
        cmocka_unit_test(a_flood_of_new_keys_ends_the_connection),
        cmocka_unit_test(the_last_bytes_come_before_the_end),
        cmocka_unit_test(a_direction_cut_without_a_word_has_ended_and_the_other_goes_on),
        cmocka_unit_test(a_record_cut_in_its_middle_is_an_end_too),
        cmocka_unit_test(half_closed_the_other_direction_goes_on),
        cmocka_unit_test(a_forged_record_is_an_error_for_good),
        cmocka_unit_test(a_peer_that_is_gone_is_an_error_when_sending),
    };

    return cmocka_run_group_tests_name("net/tls_stream", tests, make_files, drop_files);
}
