#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "segue/base/mem.h"
#include "segue/wire/build.h"
#include "segue/wire/frame.h"
#include "segue/wire/read.h"

/* A message with the given body, in memory of exactly its size: a read beyond it is an error the
 * sanitizer sees. */
static char *message(char type, const void *body, size_t len, size_t *total)
{
    char *msg = mem_alloc(WIRE_HEADER_BYTES + len);

    *total = WIRE_HEADER_BYTES + len;
    msg[0] = type;
    msg[1] = msg[2] = msg[3] = 0;
    msg[4] = (char)(len + 4);
    memcpy(msg + WIRE_HEADER_BYTES, body, len);
    return msg;
}

static enum rc query(const void *msg, size_t total)
{
    struct wire_query out;

    return wire_read_query(msg, total, &out);
}

static enum rc parse(const void *msg, size_t total)
{
    struct wire_parse out;

    return wire_read_parse(msg, total, &out);
}

static enum rc bind(const void *msg, size_t total)
{
    struct wire_bind out;

    return wire_read_bind(msg, total, &out);
}

static enum rc target(const void *msg, size_t total)
{
    struct wire_target out;

    return wire_read_target(msg, total, &out);
}

static enum rc execute(const void *msg, size_t total)
{
    struct wire_execute out;

    return wire_read_execute(msg, total, &out);
}

static enum rc error(const void *msg, size_t total)
{
    struct wire_error out;

    return wire_read_error(msg, total, &out);
}

static enum rc key(const void *msg, size_t total)
{
    struct wire_key out;

    return wire_read_key(msg, total, &out);
}

static enum rc status(const void *msg, size_t total)
{
    struct wire_status out;

    return wire_read_status(msg, total, &out);
}

static enum rc sasl_first(const void *msg, size_t total)
{
    struct wire_sasl_first out;

    return wire_read_sasl_first(msg, total, &out);
}

static enum rc row(const void *msg, size_t total)
{
    struct wire_value out[2];

    return wire_read_row(msg, total, out, 2);
}

static const struct {
    char type;
    enum rc (*read)(const void *msg, size_t total);
    const char *body;
    size_t len;
} good[] = {
    {'Q', query, "select 1", 9},
    {'P', parse, "s\0select $1\0\0\1\0\0\0\x17", 18},
    {'B', bind, "p\0s\0\0\1\0\1\0\2\0\0\0\1x\xff\xff\xff\xff\0\0", 21},
    {'D', target, "Ss", 3},
    {'C', target, "P", 2},
    {'E', execute, "p\0\0\0\0\5", 6},
    {'E', error, "SERROR\0C42601\0Mno\0P7\0", 22},
    {'K', key, "\0\0\0\1abcd", 8},
    {'S', status, "TimeZone\0UTC", 13},
    {'D', row, "\0\2\0\0\0\3abc\xff\xff\xff\xff", 13},
    {'p', sasl_first, "SCRAM-SHA-256\0\0\0\0\5n,,n=", 23},
};

static void each_message_is_read_when_whole_and_refused_when_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        for (size_t len = 0; len <= good[i].len; len++) {
            size_t total;
            char *msg = message(good[i].type, good[i].body, len, &total);

            assert_int_equal(good[i].read(msg, total), len == good[i].len ? RC_OK : RC_ERR);
            free(msg);
        }
    }
}

static void bytes_behind_the_last_field_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        char body[64] = {0};
        size_t total;
        char *msg;

        if (good[i].type == 'K')
            continue; /* the key is what is left */
        memcpy(body, good[i].body, good[i].len);
        msg = message(good[i].type, body, good[i].len + 1, &total);
        assert_int_equal(good[i].read(msg, total), RC_ERR);
        free(msg);
    }
}

static void assert_bind_refused(const char *body, size_t len)
{
    size_t total;
    char *msg = message('B', body, len, &total);

    assert_int_equal(bind(msg, total), RC_ERR);
    free(msg);
}

static void bind_rejects_negative_parameter_count(void **state)
{
    static const char body[] = "\0\0\0\0\xff\xff\0\0";

    (void)state;
    assert_bind_refused(body, 8);
}

static void bind_rejects_parameter_length_below_null(void **state)
{
    static const char body[] = "\0\0\0\0\0\1\xff\xff\xff\xfe\0\0";

    (void)state;
    assert_bind_refused(body, 12);
}

static void bind_rejects_parameter_longer_than_the_message(void **state)
{
    static const char body[] = "\0\0\0\0\0\1\x7f\xff\xff\xffx\0\0";

    (void)state;
    assert_bind_refused(body, 13);
}

static void error_fields_are_found_and_missing_ones_are_empty(void **state)
{
    static const char body[] = "SERROR\0VERROR\0C42601\0Mno\0P7\0";
    struct wire_error out;
    size_t total;
    char *msg = message('E', body, sizeof(body), &total);

    (void)state;
    assert_int_equal(wire_read_error(msg, total, &out), RC_OK);
    assert_string_equal(out.severity, "ERROR");
    assert_string_equal(out.sqlstate, "42601");
    assert_string_equal(out.text, "no");
    assert_string_equal(out.position, "7");
    assert_string_equal(out.hint, "");
    free(msg);
}

static void mechanisms_are_listed_and_a_list_that_is_cut_ends_there(void **state)
{
    static const char body[] = "\0\0\0\012SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0";
    struct wire_auth out;
    size_t total, at = 0;
    char *msg = message('R', body, sizeof(body), &total);

    (void)state;
    assert_int_equal(wire_read_auth(msg, total, &out), RC_OK);
    assert_int_equal(out.method, WIRE_AUTH_SASL);
    assert_string_equal(wire_sasl_mechanism(&out, &at), "SCRAM-SHA-256-PLUS");
    assert_string_equal(wire_sasl_mechanism(&out, &at), "SCRAM-SHA-256");
    assert_null(wire_sasl_mechanism(&out, &at));
    free(msg);
    for (size_t len = 0; len < sizeof(body); len++) {
        size_t found = 0;

        at = 0;
        msg = message('R', body, len, &total);
        assert_int_equal(wire_read_auth(msg, total, &out), len < 4 ? RC_ERR : RC_OK);
        while (len >= 4 && wire_sasl_mechanism(&out, &at))
            found++;
        assert_in_range(found, 0, 2);
        free(msg);
    }
}

static void a_sasl_first_message_may_say_nothing_yet(void **state)
{
    static const char body[] = "SCRAM-SHA-256\0\xff\xff\xff\xff";
    struct wire_sasl_first out;
    size_t total;
    char *msg = message('p', body, sizeof(body) - 1, &total);

    (void)state;
    assert_int_equal(wire_read_sasl_first(msg, total, &out), RC_OK);
    assert_string_equal(out.mechanism, "SCRAM-SHA-256");
    assert_null(out.data);
    free(msg);
}

static void what_is_built_can_be_read(void **state)
{
    struct err err = {0};
    struct wire_error error_out;
    struct wire_status status_out;
    struct wire_key key_out;
    struct buf out = {0};

    (void)state;
    err_set(&err, "57P03", "not now");
    err_hint(&err, "later");
    wire_put_error(&out, "FATAL", &err);
    assert_int_equal(wire_u32(out.data + 1) + 1, out.len);
    assert_int_equal(wire_read_error(out.data, out.len, &error_out), RC_OK);
    assert_string_equal(error_out.severity, "FATAL");
    assert_string_equal(error_out.sqlstate, "57P03");
    assert_string_equal(error_out.text, "not now");
    assert_string_equal(error_out.hint, "later");
    buf_reset(&out);
    wire_put_parameter(&out, "TimeZone", "UTC");
    assert_int_equal(wire_read_status(out.data, out.len, &status_out), RC_OK);
    assert_string_equal(status_out.value, "UTC");
    buf_reset(&out);
    wire_put_key(&out, 77, "abcd", 4);
    assert_int_equal(wire_read_key(out.data, out.len, &key_out), RC_OK);
    assert_int_equal(key_out.pid, 77);
    assert_int_equal(key_out.key_len, 4);
    buf_reset(&out);
    wire_put_sync(&out);
    assert_int_equal(out.len, 5);
    assert_memory_equal(out.data, "S\0\0\0\4", 5);
    buf_fini(&out);
}

static void rows_are_text_with_nulls(void **state)
{
    static const char want[] = "D\0\0\0\x11\0\2\0\0\0\3abc\xff\xff\xff\xff";
    const char *values[] = {"abc", NULL};
    struct wire_value read[2];
    struct buf out = {0};

    (void)state;
    wire_put_row(&out, values, 2);
    assert_int_equal(out.len, sizeof(want) - 1);
    assert_memory_equal(out.data, want, out.len);
    assert_int_equal(wire_read_row(out.data, out.len, read, 2), RC_OK);
    assert_int_equal(read[0].len, 3);
    assert_memory_equal(read[0].data, "abc", 3);
    assert_null(read[1].data);
    assert_int_equal(wire_read_row(out.data, out.len, read, 1), RC_ERR);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_message_is_read_when_whole_and_refused_when_cut),
        cmocka_unit_test(bytes_behind_the_last_field_are_refused),
        cmocka_unit_test(bind_rejects_negative_parameter_count),
        cmocka_unit_test(bind_rejects_parameter_length_below_null),
        cmocka_unit_test(bind_rejects_parameter_longer_than_the_message),
        cmocka_unit_test(error_fields_are_found_and_missing_ones_are_empty),
        cmocka_unit_test(mechanisms_are_listed_and_a_list_that_is_cut_ends_there),
        cmocka_unit_test(a_sasl_first_message_may_say_nothing_yet),
        cmocka_unit_test(what_is_built_can_be_read),
        cmocka_unit_test(rows_are_text_with_nulls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
