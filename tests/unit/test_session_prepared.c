#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/session/prepared.h"
#include "segue/wire/build.h"
#include "segue/wire/frame.h"

/* Answers with one row of one column, of a type that can be chosen; "bad" is an error. */
static const char *value;
static uint32_t oid;
static int asked;

static bool repeatable(void *ctx, const char *text, struct err *err)
{
    (void)ctx;
    if (strcmp(text, "once") == 0)
        err_set(err, "0A000", "no");
    return !err_is_set(err);
}

static void ask(void *ctx, const char *text, struct buf *out)
{
    const char *name = "c";
    struct err err = {0};
    size_t start = out->len;

    (void)ctx;
    asked++;
    if (strcmp(text, "bad") == 0) {
        err_set(&err, "42601", "bad");
        wire_put_error(out, "ERROR", &err);
    } else {
        wire_put_columns(out, &name, 1);
        out->data[start + 5 + 2 + 2 + 6 + 3] = (char)oid; /* the type, below 256 */
        out->data[start + 5 + 2 + 2 + 6 + 2] = (char)(oid >> 8);
        wire_put_row(out, &value, 1);
        wire_put_complete(out, "SHOW");
    }
    wire_put_ready(out, 'I');
}

static const struct sess_asker asker = {repeatable, ask, NULL};

static int message(struct sess_prepared *set, char type, const char *body, size_t len,
                   struct buf *out)
{
    struct buf msg = {0};
    bool good;

    buf_append_u8(&msg, (uint8_t)type);
    buf_append_u32(&msg, (uint32_t)len + 4);
    buf_append(&msg, body, len);
    good = sess_prepared_take(set, &asker, msg.data, msg.len, out);
    buf_fini(&msg);
    return good;
}
#define MESSAGE(set, type, body, out) message(set, type, body, sizeof(body) - 1, out)

/* The types of the messages in `out`, which is emptied. */
static const char *types(struct buf *out)
{
    static char text[64];
    struct wire_frame frame = {0};
    size_t n = 0;

    for (size_t at = 0; at < out->len; at += frame.total) {
        assert_int_equal(wire_frame_read(out->data + at, out->len - at, &frame), RC_OK);
        assert_true(at + frame.total <= out->len);
        text[n++] = (char)frame.type;
    }
    text[n] = '\0';
    buf_fini(out);
    return text;
}

static int setup(void **state)
{
    *state = sess_prepared_new();
    value = "42";
    oid = 20;
    asked = 0;
    return 0;
}

static int teardown(void **state)
{
    sess_prepared_free(*state);
    return 0;
}

static void a_portal_asks_once_for_describe_and_execute(void **state)
{
    struct sess_prepared *set = *state;
    struct buf out = {0};

    assert_true(MESSAGE(set, 'P', "s\0show\0\0\0", &out));
    assert_true(MESSAGE(set, 'B', "p\0s\0\0\0\0\0\0\0", &out));
    assert_true(MESSAGE(set, 'D', "Pp\0", &out));
    assert_true(MESSAGE(set, 'E', "p\0\0\0\0\0", &out));
    assert_string_equal(types(&out), "12TDC");
    assert_int_equal(asked, 1);
    assert_true(MESSAGE(set, 'E', "p\0\0\0\0\0", &out));
    assert_string_equal(types(&out), "C");
    assert_int_equal(asked, 1);
}

static void binary_values_follow_the_type(void **state)
{
    static const struct {
        uint32_t oid;
        const char *value;
        const char *bytes;
        uint32_t len;
    } rows[] = {
        {20, "42", "\0\0\0\0\0\0\0\x2a", 8},
        {20, "-1", "\xff\xff\xff\xff\xff\xff\xff\xff", 8},
        {701, "1.5", "\x3f\xf8\0\0\0\0\0\0", 8},
        {16, "t", "\1", 1},
        {16, "f", "\0", 1},
        {25, "text", "text", 4},
    };
    struct sess_prepared *set = *state;
    struct buf out = {0};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *row;

        oid = rows[i].oid;
        value = rows[i].value;
        assert_true(MESSAGE(set, 'P', "\0show\0\0\0", &out));
        assert_true(MESSAGE(set, 'B', "\0\0\0\0\0\0\0\1\0\1", &out));
        buf_fini(&out);
        assert_true(MESSAGE(set, 'E', "\0\0\0\0\0", &out));
        row = out.data;
        assert_int_equal(row[0], 'D');
        assert_int_equal(wire_u32(row + 1), 4 + 2 + 4 + rows[i].len);
        assert_int_equal(wire_u32(row + 7), rows[i].len);
        assert_memory_equal(row + 11, rows[i].bytes, rows[i].len);
        buf_fini(&out);
    }
}

static void a_type_stays_what_it_was_described_as(void **state)
{
    struct sess_prepared *set = *state;
    struct buf out = {0};
    const char *column;

    assert_true(MESSAGE(set, 'P', "s\0show\0\0\0", &out));
    assert_true(MESSAGE(set, 'D', "Ss\0", &out));
    assert_string_equal(types(&out), "1tT");
    oid = 25; /* all null this time */
    value = NULL;
    assert_true(MESSAGE(set, 'B', "\0s\0\0\0\0\0\0\1\0\1", &out));
    buf_fini(&out);
    assert_true(MESSAGE(set, 'D', "P\0", &out));
    column = out.data + 5 + 2 + 2;
    assert_int_equal(wire_u32(column + 6), 20);
    assert_int_equal(wire_u16(column + 10), 8);
    assert_int_equal(wire_u16(column + 16), 1);
    buf_fini(&out);
    assert_true(MESSAGE(set, 'E', "\0\0\0\0\0", &out));
    assert_string_equal(types(&out), "DC");
}

static void errors_answer_with_one_message_and_end_the_portals(void **state)
{
    struct sess_prepared *set = *state;
    struct buf out = {0};

    assert_true(MESSAGE(set, 'P', "\0bad\0\0\0", &out));
    assert_true(MESSAGE(set, 'B', "p\0\0\0\0\0\0\0\0", &out));
    buf_fini(&out);
    assert_false(MESSAGE(set, 'E', "p\0\0\0\0\0", &out));
    assert_string_equal(types(&out), "E");
    assert_false(MESSAGE(set, 'E', "p\0\0\0\0\0", &out));
    assert_false(MESSAGE(set, 'D', "S\0", &out));
    assert_false(MESSAGE(set, 'P', "\0once\0\0\0", &out));
    assert_false(MESSAGE(set, 'P', "\0show $1\0\0\1\0\0\0\x19", &out));
    assert_string_equal(types(&out), "EEEE");
}

static void messages_cut_anywhere_are_refused(void **state)
{
    static const struct {
        char type;
        const char *body;
        size_t len;
    } rows[] = {
        {'P', "s\0show\0\0\0", 9}, {'B', "p\0s\0\0\0\0\0\0\0", 10},
        {'D', "Ss\0", 3},          {'E', "p\0\0\0\0\0", 6},
        {'C', "Ss\0", 3},
    };
    struct sess_prepared *set = *state;
    struct buf out = {0};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t len = 0; len < rows[i].len; len++) {
            assert_false(message(set, rows[i].type, rows[i].body, len, &out));
            assert_string_equal(types(&out), "E");
        }
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_portal_asks_once_for_describe_and_execute),
        TEST(binary_values_follow_the_type),
        TEST(a_type_stays_what_it_was_described_as),
        TEST(errors_answer_with_one_message_and_end_the_portals),
        TEST(messages_cut_anywhere_are_refused),
    };

    return cmocka_run_group_tests_name("session/prepared", tests, NULL, NULL);
}
