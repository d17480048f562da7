#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/admin/reply.h"

static uint32_t u32(const char *p)
{
    const unsigned char *b = (const unsigned char *)p;

    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* The type of the only column when these are its values. */
static uint32_t oid_of(const char *values)
{
    json_t *table = json_pack("{s: [s], s: o}", "columns", "c", "rows",
                              json_loads(values, JSON_DECODE_ANY, NULL));
    struct buf out = {0};
    uint32_t oid;

    adm_reply_table(&out, table);
    oid = u32(out.data + 5 + 2 + 2 + 6); /* header, count, "c", table and attribute */
    buf_fini(&out);
    json_decref(table);
    return oid;
}

static void a_column_has_the_type_that_all_its_values_have(void **state)
{
    (void)state;
    assert_int_equal(oid_of("[[true], [null], [false]]"), 16);
    assert_int_equal(oid_of("[[1], [2]]"), 20);
    assert_int_equal(oid_of("[[1.5], [2.5]]"), 701);
    assert_int_equal(oid_of("[[1], [2.5], [null]]"), 701);
    assert_int_equal(oid_of("[[2.5], [1], [3]]"), 701);
    assert_int_equal(oid_of("[[1], [true]]"), 25);
    assert_int_equal(oid_of("[[1], [\"a\"]]"), 25);
    assert_int_equal(oid_of("[[null]]"), 25);
    assert_int_equal(oid_of("[]"), 25);
    assert_int_equal(oid_of("[[{\"a\": 1}]]"), 114);
    assert_int_equal(oid_of("[[[1]], [null], [{}]]"), 114);
}

static void a_table_becomes_whole_messages(void **state)
{
    static const char expected[] =
        "T\0\0\0\x1a\0\1c\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0"
        "D\0\0\0\x0d\0\1\0\0\0\3a'b"
        "D\0\0\0\x0a\0\1\xff\xff\xff\xff"
        "D\0\0\0\x0b\0\1\0\0\0\1t"
        "D\0\0\0\x11\0\1\0\0\0\7{\"x\":1}"
        "C\0\0\0\x9SHOW\0"
        "Z\0\0\0\5I";
    json_t *table = json_loads(
        "{\"columns\": [\"c\"], \"rows\": [[\"a'b\"], [null], [true], [{\"x\": 1}]]}", 0, NULL);
    struct buf out = {0};

    (void)state;
    adm_reply_table(&out, table);
    adm_reply_complete(&out, "SHOW");
    adm_reply_ready(&out);
    assert_int_equal(out.len, sizeof(expected) - 1);
    assert_memory_equal(out.data, expected, out.len);
    buf_fini(&out);
    json_decref(table);
}

static void a_plain_object_is_a_table_of_one_row(void **state)
{
    json_t *object = json_pack("{s: s}", "migration", "m");
    struct buf out = {0};

    (void)state;
    adm_reply_table(&out, object);
    assert_string_equal(out.data + 7, "migration");
    assert_memory_equal(out.data + out.len - 12, "D\0\0\0\x0b\0\1\0\0\0\1m", 12);
    buf_fini(&out);
    json_decref(object);
}

static void an_error_carries_state_message_and_hint(void **state)
{
    static const char expected[] = "E\0\0\0\x28SERROR\0VERROR\0C42601\0Mbad word\0Htry\0\0";
    struct err err = {0};
    struct buf out = {0};

    (void)state;
    err_set(&err, "42601", "bad word");
    err_hint(&err, "try");
    adm_reply_error(&out, &err);
    assert_int_equal(out.len, sizeof(expected) - 1);
    assert_memory_equal(out.data + 5, expected + 5, out.len - 5);
    assert_int_equal(u32(out.data + 1), out.len - 1);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_column_has_the_type_that_all_its_values_have),
        cmocka_unit_test(a_table_becomes_whole_messages),
        cmocka_unit_test(a_plain_object_is_a_table_of_one_row),
        cmocka_unit_test(an_error_carries_state_message_and_hint),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
