/*
 * What becomes of answers while segue has messages of its own in flight: a plane with one worker,
 * of which the client and the upstream are played.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "../fuzz/bed.h"
#include "../fuzz/rules.h"
#include "segue/wire/build.h"
#include "segue/wire/read.h"

#define STAR "SELECT * FROM checks"
#define LISTED "SELECT checks.id, checks.claim_text FROM checks"
#define GATE_MS 60000
#define CHANGES (UINT64_C(1) << 40)

static struct peers {
    int client, upstream;
} peers;

/* They know of all that any session has made. */
static void publish(struct sql_rules *rules)
{
    assert_true(sess_plane_publish(bed.plane, rules, CHANGES, CHANGES, 0));
}

static int set_up(void **state)
{
    (void)state;
    if (!bed.plane)
        bed_init(NULL, NULL);
    publish(fuzz_star_rules(false));
    bed_log_in(&peers.client, &peers.upstream);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(peers.client);
    close(peers.upstream);
    return 0;
}

/* Takes `out`. */
static void say(int fd, struct buf *out)
{
    assert_true(bed_say(fd, out->data, out->len, 0));
    buf_fini(out);
}

static void say_query(const char *text)
{
    struct buf out = {0};

    wire_put_query(&out, text, strlen(text));
    say(peers.client, &out);
}

/* `more`: one field, or "". */
static void put_refusal(struct buf *out, const char *severity, const char *sqlstate,
                        const char *more)
{
    char body[256] = "";
    size_t len = (size_t)snprintf(body, sizeof(body), "S%s%cC%s%cMno%c%s%c", severity, 0, sqlstate,
                                  0, 0, more, 0);

    len += *more != '\0'; /* the end of the fields is one more NUL */
    buf_append_u8(out, 'E');
    buf_append_u32(out, (uint32_t)len + 4);
    buf_append(out, body, len);
}

/* The next message; its text until the next call. */
static const char *next(int fd, char *type)
{
    static char msg[4096];
    uint32_t len;

    bed_hear_exactly(fd, msg, WIRE_HEADER_BYTES);
    *type = msg[0];
    len = wire_u32(msg + 1) - 4;
    assert_true(len < sizeof(msg) - WIRE_HEADER_BYTES);
    if (len)
        bed_hear_exactly(fd, msg + WIRE_HEADER_BYTES, len);
    msg[WIRE_HEADER_BYTES + len] = '\0';
    return msg + WIRE_HEADER_BYTES;
}

static void upstream_gets(const char *types)
{
    char type;

    for (; *types; types++) {
        next(peers.upstream, &type);
        assert_int_equal(type, *types);
    }
}

static void upstream_gets_query(const char *text)
{
    char type;
    const char *got = next(peers.upstream, &type);

    assert_int_equal(type, 'Q');
    assert_string_equal(got, text);
}

static void client_gets_error(const char *sqlstate)
{
    char type, field[16];
    const char *got = next(peers.client, &type);

    assert_int_equal(type, 'E');
    snprintf(field, sizeof(field), "C%s", sqlstate);
    while (*got && *got != 'C')
        got += strlen(got) + 1;
    assert_string_equal(got, field);
}

static void client_gets_end(void)
{
    struct buf rest = {0};

    bed_hear(peers.client, &rest);
    assert_int_equal(rest.len, 0);
    buf_fini(&rest);
}

/* What segue has named is not there: the client's text is sent. */
static void refuse_listed(void)
{
    struct buf out = {0};

    say_query(STAR);
    upstream_gets_query(LISTED);
    put_refusal(&out, "ERROR", "42703", "P20");
    wire_put_ready(&out, 'I');
    say(peers.upstream, &out);
}

static void last_word(const char *severity, const char *sqlstate)
{
    struct buf out = {0};

    put_refusal(&out, severity, sqlstate, "");
    say(peers.upstream, &out);
    shutdown(peers.upstream, SHUT_WR);
    client_gets_error(sqlstate);
    client_gets_end();
}

static void the_servers_last_word_is_heard_in_place_of_an_error_kept_before(void **state)
{
    (void)state;
    refuse_listed();
    upstream_gets_query(STAR);
    last_word("FATAL", "57P01");
}

static void the_error_kept_before_is_told_where_the_second_text_fails_too(void **state)
{
    struct buf out = {0};
    char type;

    (void)state;
    refuse_listed();
    upstream_gets_query(STAR);
    put_refusal(&out, "ERROR", "42P01", "P15");
    wire_put_ready(&out, 'I');
    say(peers.upstream, &out);
    client_gets_error("42703");
    next(peers.client, &type);
    assert_int_equal(type, 'Z');
}

/* It was prepared when nobody looked at stars. */
static void prepare_before_rules(void)
{
    struct buf out = {0};
    char type;

    publish(NULL);
    say_query("PREPARE p AS " STAR);
    upstream_gets("Q");
    wire_put_complete(&out, "PREPARE");
    wire_put_ready(&out, 'I');
    say(peers.upstream, &out);
    next(peers.client, &type);
    next(peers.client, &type);
    assert_int_equal(type, 'Z');
    publish(fuzz_star_rules(false));
    say_query("EXECUTE p");
    upstream_gets("CCPBECCSQ");
}

static void the_servers_last_word_is_heard_while_it_prepares_for_segue(void **state)
{
    (void)state;
    prepare_before_rules();
    last_word("FATAL", "57P01");
}

/* In words of another language, of a class that says nothing of an end. */
static void a_last_word_is_known_whatever_its_language(void **state)
{
    struct buf out = {0};

    (void)state;
    prepare_before_rules();
    put_refusal(&out, "VERHEERENDER FEHLER", "08P01", "VFATAL");
    say(peers.upstream, &out);
    shutdown(peers.upstream, SHUT_WR);
    client_gets_error("08P01");
    client_gets_end();
}

static void who_has_closed_its_side_is_told_the_error_since_nothing_can_be_sent_again(void **state)
{
    struct buf out = {0};
    char type;

    (void)state;
    say_query(STAR);
    shutdown(peers.client, SHUT_WR);
    upstream_gets_query(LISTED);
    assert_int_equal(recv(peers.upstream, &type, 1, 0), 0);
    put_refusal(&out, "ERROR", "42703", "P20");
    wire_put_ready(&out, 'I');
    say(peers.upstream, &out);
    client_gets_error("42703");
    next(peers.client, &type);
    assert_int_equal(type, 'Z');
}

/* The server waits for data that never come: it must get what the client says in place of them. */
static void what_waits_behind_a_copy_goes_on_when_that_begins(void **state)
{
    static const char copy_in[] = "G\0\0\0\x07\0\0\0";

    (void)state;
    say_query("COPY other FROM STDIN");
    upstream_gets("Q");
    assert_true(sess_gate_close(bed.plane, 1, GATE_MS));
    say_query(STAR);
    assert_true(bed_say(peers.upstream, copy_in, sizeof(copy_in) - 1, 0));
    upstream_gets("Q");
    sess_gate_open(bed.plane, NULL);
}

/* Its Sync is still to come, behind what waits. */
static void what_waits_behind_a_query_that_a_failure_skips_goes_on(void **state)
{
    struct buf out = {0};

    (void)state;
    wire_put_parse(&out, "s", "SELECT 1", 8, "", 0);
    wire_put_query(&out, "SELECT 2", 8);
    say(peers.client, &out);
    upstream_gets("PQ");
    assert_true(sess_gate_close(bed.plane, 1, GATE_MS));
    say_query(STAR);
    put_refusal(&out, "ERROR", "42601", "P1");
    say(peers.upstream, &out);
    upstream_gets("Q");
    sess_gate_open(bed.plane, NULL);
}

/* Of a server that says what none does. */
static void an_answer_to_segue_of_which_the_end_is_missing_hurts_nobody(void **state)
{
    static const char cut[] = "3\0\0\0\x64half";

    (void)state;
    prepare_before_rules();
    assert_true(bed_say(peers.upstream, cut, sizeof(cut) - 1, 0));
    shutdown(peers.upstream, SHUT_WR);
    client_gets_end();
}

/* `type`, with `head`, and zeros up to `len` bytes behind the type. */
static void upstream_says_long(char type, const char *head, size_t head_len, size_t len)
{
    static const char zeros[65536];
    struct buf out = {0};

    buf_append_u8(&out, (uint8_t)type);
    buf_append_u32(&out, (uint32_t)len);
    buf_append(&out, head, head_len);
    say(peers.upstream, &out);
    for (size_t left = len - 4 - head_len, part; left; left -= part) {
        part = left < sizeof(zeros) ? left : sizeof(zeros);
        assert_true(bed_say(peers.upstream, zeros, part, 0));
    }
}

/* What it fails with is kept as far as it is there; the Query's own error is no second one. */
static void an_error_that_is_too_long_to_be_kept_is_hidden_all_the_same(void **state)
{
    static const char head[] = "SERROR\0C42P01\0M";
    struct buf out = {0};
    char text[40000], type;

    (void)state;
    prepare_before_rules();
    memcpy(text, head, sizeof(head) - 1);
    memset(text + sizeof(head) - 1, 'x', sizeof(text) - (sizeof(head) - 1));
    buf_append(&out, "3\0\0\0\0043\0\0\0\4", 10);
    say(peers.upstream, &out);
    upstream_says_long('E', text, sizeof(text), sizeof(text) + 4 + 2);
    wire_put_ready(&out, 'I');
    put_refusal(&out, "ERROR", "26000", "");
    wire_put_ready(&out, 'I');
    say(peers.upstream, &out);
    client_gets_error("42P01");
    next(peers.client, &type);
    assert_int_equal(type, 'Z');
    say_query("SELECT 1");
    upstream_gets_query("SELECT 1");
}

/* A table of the same name stands in another schema: where is the session? */
static struct sql_rules *rules_with_namesake(void)
{
    static const char *const columns[] = {"claim", NULL};
    struct sql_rules *rules = fuzz_star_rules(false);

    sql_rules_add_namesake(rules, &(struct sql_namesake){"tenant", "checks", columns, 0, NULL});
    return rules;
}

static void a_row_for_segue_of_any_length_takes_no_memory(void **state)
{
    const long kb_most = 16 * 1024;
    struct rusage before, after;
    struct buf out = {0};

    (void)state;
    publish(rules_with_namesake());
    say_query("SELECT 1");
    upstream_gets("CPBECCS");
    buf_append(&out, "3\0\0\0\0041\0\0\0\0042\0\0\0\4", 15);
    say(peers.upstream, &out);
    getrusage(RUSAGE_SELF, &before);
    upstream_says_long('D', "\0\4", 2, (size_t)kb_most * 2 * 1024);
    wire_put_complete(&out, "SELECT 1");
    buf_append(&out, "3\0\0\0\0043\0\0\0\4", 10);
    wire_put_ready(&out, 'I');
    say(peers.upstream, &out);
    upstream_gets_query("SELECT 1");
    getrusage(RUSAGE_SELF, &after);
    assert_true(after.ru_maxrss - before.ru_maxrss < kb_most);
}

/* A migration, which ends on the new side; and another one. */
static void outlive(void)
{
    publish(fuzz_star_rules(false));
    publish(fuzz_star_rules(true));
    publish(NULL);
    publish(fuzz_star_rules(false));
}

/* The refusal goes in front of it: the server passes over what is still to come of the Bind. */
static void a_use_is_refused_before_all_of_it_has_come(void **state)
{
    static const char bind[] = "B\0\0\0\x22\0s\0\0\0\0\1\0\0\0\x11seventeen letters\0\0";
    const size_t half = 20, whole = sizeof(bind) - 1;
    struct buf out = {0};
    char type;

    (void)state;
    publish(NULL);
    wire_put_parse(&out, "s", STAR, strlen(STAR), "", 0);
    buf_append(&out, "D\0\0\0\x07Ss\0S\0\0\0\4", 13);
    say(peers.client, &out);
    upstream_gets("PDS");
    buf_append(&out, "1\0\0\0\4t\0\0\0\6\0\0n\0\0\0\4", 17);
    wire_put_ready(&out, 'I');
    say(peers.upstream, &out);
    for (type = '\0'; type != 'Z';)
        next(peers.client, &type);
    outlive();
    assert_true(bed_say(peers.client, bind, half, 0));
    upstream_gets("P");
    assert_true(bed_say(peers.client, bind + half, whole - half, 0));
    wire_put_sync(&out);
    say(peers.client, &out);
    upstream_gets("BS");
    put_refusal(&out, "ERROR", "42601", "P1");
    wire_put_ready(&out, 'I');
    say(peers.upstream, &out);
    client_gets_error("0A000");
    next(peers.client, &type);
    assert_int_equal(type, 'Z');
    say_query("SELECT 1");
    upstream_gets_query("SELECT 1");
}

/* Held, and not cancelled there: the server is told when the gate opens. Its end is the end. */
static void a_cancel_request_that_waited_for_the_gate_ends_with_the_server(void **state)
{
    static const char request[] = "\0\0\0\x10\4\xd2\x16\x2e\0\0\0\7\1\2\3\4";
    char told[sizeof(request) - 1];
    struct buf out = {0};
    int canceller = bed_connect(), server;

    (void)state;
    assert_true(sess_gate_close(bed.plane, 1, GATE_MS));
    wire_put_close_statement(&out, "s"); /* its answer is still to come */
    wire_put_query(&out, STAR, strlen(STAR));
    say(peers.client, &out);
    upstream_gets("C");
    assert_true(bed_say(canceller, request, sizeof(told), 0));
    assert_int_equal(recv(canceller, told, 1, 0), 0);
    close(canceller);
    sess_gate_open(bed.plane, NULL);
    server = bed_accept(peers.client);
    bed_hear_exactly(server, told, sizeof(told));
    assert_memory_equal(told, request, sizeof(told));
    shutdown(server, SHUT_WR);
    bed_hear(server, &out);
    assert_int_equal(out.len, 0);
    close(server);
}

static void *end_all(void *plane)
{
    sess_plane_drain(plane, 0);
    return NULL;
}

/* The last: nobody is let in behind it. */
static void the_last_words_reach_who_is_still_sending(void **state)
{
    static const char zeros[65536];
    pthread_t ending;
    char type;

    (void)state;
    say_query("SELECT 1");
    upstream_gets("Q");
    while (send(peers.client, zeros, sizeof(zeros), MSG_DONTWAIT) > 0)
        continue;
    assert_int_equal(pthread_create(&ending, NULL, end_all, bed.plane), 0);
    client_gets_error("08007");
    assert_int_equal(recv(peers.client, &type, 1, 0), 0);
    assert_true(bed_say(peers.client, zeros, sizeof(zeros), 0)); /* it was not reset */
    shutdown(peers.client, SHUT_RDWR);
    assert_int_equal(pthread_join(ending, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            the_servers_last_word_is_heard_in_place_of_an_error_kept_before, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            the_error_kept_before_is_told_where_the_second_text_fails_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_servers_last_word_is_heard_while_it_prepares_for_segue,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_last_word_is_known_whatever_its_language, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            who_has_closed_its_side_is_told_the_error_since_nothing_can_be_sent_again, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(what_waits_behind_a_copy_goes_on_when_that_begins, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_error_that_is_too_long_to_be_kept_is_hidden_all_the_same,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_row_for_segue_of_any_length_takes_no_memory, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_waits_behind_a_query_that_a_failure_skips_goes_on,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_use_is_refused_before_all_of_it_has_come, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_answer_to_segue_of_which_the_end_is_missing_hurts_nobody,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_cancel_request_that_waited_for_the_gate_ends_with_the_server, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_last_words_reach_who_is_still_sending, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
