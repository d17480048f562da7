/* proxy/session/sent.h: errors of a rewritten text become errors of the client's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/session/sent.h"
#include "segue/wire/build.h"
#include "segue/wire/frame.h"
#include "segue/wire/read.h"

static const char client_text[] = "select * from t where nosuch";
static char sent_text[] = "select id, a from t where nosuch";
static struct sql_splice splices[] = {{.at = 7, .removed = 1, .inserted = 5}};

static struct sess_sent *rewritten(void)
{
    const struct sql_rewrite rewrite = {
        .text = sent_text, .len = strlen(sent_text), .splices = splices, .nsplices = 1};

    return sess_sent_new(&rewrite, client_text, strlen(client_text));
}

/* ErrorResponse or NoticeResponse with these fields; each with its code, NULL at the end. */
static size_t message(char *out, char type, const char *const *fields)
{
    size_t at = WIRE_HEADER_BYTES;

    for (; *fields; fields++) {
        memcpy(out + at, *fields, strlen(*fields) + 1);
        at += strlen(*fields) + 1;
    }
    out[at++] = '\0';
    out[0] = type;
    out[1] = out[2] = 0;
    out[3] = (char)((at - 1) >> 8);
    out[4] = (char)((at - 1) & 0xff);
    return at;
}

static void a_position_is_one_in_the_clients_text(void **state)
{
    static const char *const fields[] = {
        "SERROR", "C42703", "Mcolumn \"nosuch\" does not exist", "P27", "p3", "Rerror", NULL};
    struct sess_sent *sent = rewritten();
    struct wire_error error;
    struct wire_frame frame;
    struct buf out = {0};
    char msg[256];

    (void)state;
    for (const char *type = "EN"; *type; type++) {
        assert_true(sess_sent_error(sent, msg, message(msg, *type, fields), &out));
        assert_int_equal(wire_frame_read(out.data, out.len, &frame), RC_OK);
        assert_int_equal(frame.total, out.len);
        assert_int_equal(frame.type, *type);
        assert_int_equal(wire_read_error(out.data, out.len, &error), RC_OK);
        assert_string_equal(error.position, "23");
        assert_string_equal(error.sqlstate, "42703");
        /* the inner position is of another text, and all else stays */
        assert_non_null(memmem(out.data, out.len, "p3\0Rerror\0\0", 11));
        buf_reset(&out);
    }
    buf_fini(&out);
    sess_sent_unref(sent);
}

static void what_has_no_position_or_the_same_passes(void **state)
{
    static const char *const none[] = {"SERROR", "C22012", "Mdivision by zero", NULL};
    static const char *const same[] = {"SERROR", "C42601", "Msyntax error", "P3", NULL};
    static const char *const odd[] = {"SERROR", "C42601", "Msyntax error", "Px", NULL};
    struct sess_sent *sent = rewritten();
    struct buf out = {0};
    char msg[256];

    (void)state;
    assert_false(sess_sent_error(sent, msg, message(msg, 'E', none), &out));
    assert_false(sess_sent_error(sent, msg, message(msg, 'E', same), &out));
    assert_false(sess_sent_error(sent, msg, message(msg, 'E', odd), &out));
    assert_false(sess_sent_error(sent, msg, message(msg, 'E', same) - 2, &out));
    assert_int_equal(out.len, 0);
    sess_sent_unref(sent);
}

static void what_stands_nowhere_loses_its_position_alone(void **state)
{
    static const char *const fields[] = {"SERROR", "C42601", "Mcount", "P10", "Rerror", NULL};
    static const char *const without[] = {"SERROR", "C42601", "Mcount", "Rerror", NULL};
    struct sess_sent *sent;
    struct buf out = {0};
    char msg[256], expected[256];
    size_t len = message(expected, 'E', without);

    (void)state;
    splices[0].moved = SQL_NOWHERE;
    sent = rewritten();
    assert_true(sess_sent_error(sent, msg, message(msg, 'E', fields), &out));
    assert_int_equal(out.len, len);
    assert_memory_equal(out.data, expected, len);
    splices[0].moved = 0;
    buf_fini(&out);
    sess_sent_unref(sent);
}

static void a_refusal_answers_the_syntax_error_alone(void **state)
{
    static const char *const syntax[] = {"SERROR", "C42601", "Msyntax error", "P1", NULL};
    static const char *const cancelled[] = {"SERROR", "C57014", "Mcanceling statement", NULL};
    struct buf answer = {0}, out = {0};
    struct sess_sent *sent;
    char msg[256];

    (void)state;
    buf_append_str(&answer, "the answer");
    sent = sess_sent_refusal_take(&answer);
    assert_null(answer.data);
    assert_false(sess_sent_error(sent, msg, message(msg, 'E', cancelled), &out));
    assert_false(sess_sent_error(sent, msg, message(msg, 'N', syntax), &out));
    assert_true(sess_sent_error(sent, msg, message(msg, 'E', syntax), &out));
    assert_string_equal(out.data, "the answer");
    buf_fini(&out);
    sess_sent_unref(sent);
}

static void what_was_sent_is_compared_with_what_is_wanted(void **state)
{
    struct sql_rewrite same = {.text = sent_text, .len = strlen(sent_text)};
    struct sql_rewrite other = {.text = sent_text, .len = strlen(sent_text) - 1};
    struct sql_rewrite early = {.early = 1}, none = {0};
    struct sess_sent *sent = rewritten();

    (void)state;
    assert_true(sess_sent_is(sent, &same));
    assert_false(sess_sent_is(sent, &other));
    assert_false(sess_sent_is(sent, &none));
    assert_false(sess_sent_is(sent, NULL));
    assert_false(sess_sent_is(NULL, &same));
    assert_true(sess_sent_is(NULL, &none));
    assert_true(sess_sent_is(NULL, NULL));
    assert_false(sess_sent_is(NULL, &early));
    sess_sent_unref(sent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_position_is_one_in_the_clients_text),
        cmocka_unit_test(what_has_no_position_or_the_same_passes),
        cmocka_unit_test(what_stands_nowhere_loses_its_position_alone),
        cmocka_unit_test(a_refusal_answers_the_syntax_error_alone),
        cmocka_unit_test(what_was_sent_is_compared_with_what_is_wanted),
    };

    return cmocka_run_group_tests_name("session_sent", tests, NULL, NULL);
}
