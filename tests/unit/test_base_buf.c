#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "segue/base/buf.h"

static void an_empty_buffer_gives_an_empty_text(void **state)
{
    struct buf buf = {0};
    char *text = buf_take(&buf);

    (void)state;
    assert_string_equal(text, "");
    free(text);
}

static void consume_keeps_the_rest_and_its_order(void **state)
{
    struct buf buf = {0};

    (void)state;
    buf_append_str(&buf, "hello world");
    buf_consume(&buf, 6);
    assert_string_equal(buf.data, "world");
    buf_append_str(&buf, "!");
    assert_string_equal(buf.data, "world!");
    assert_int_equal(buf.len, 6);
    buf_fini(&buf);
}

static void room_in_front_is_used_again(void **state)
{
    struct buf buf = {0};
    char block[100];
    size_t cap;

    (void)state;
    memset(block, 'x', sizeof(block));
    buf_append(&buf, block, sizeof(block));
    buf_append(&buf, block, sizeof(block));
    cap = buf.cap;
    for (int i = 0; i < 1000; i++) { /* a window that slides: the buffer must not grow */
        buf_consume(&buf, sizeof(block));
        buf_append(&buf, block, sizeof(block));
    }
    assert_int_equal(buf.len, 200);
    assert_true(buf.cap <= cap * 2);
    buf_fini(&buf);
}

static void taken_text_starts_at_the_first_unconsumed_byte(void **state)
{
    struct buf buf = {0};
    char *text;

    (void)state;
    buf_printf(&buf, "%s=%d", "answer", 42);
    buf_consume(&buf, 7);
    text = buf_take(&buf);
    assert_string_equal(text, "42");
    assert_null(buf.data);
    free(text);
}

static void integers_are_in_network_order(void **state)
{
    static const uint8_t want[] = {0x01, 0x12, 0x34, 0xde, 0xad, 0xbe, 0xef};
    struct buf buf = {0};

    (void)state;
    buf_append_u8(&buf, 1);
    buf_append_u16(&buf, 0x1234);
    buf_append_u32(&buf, 0xdeadbeef);
    assert_int_equal(buf.len, sizeof(want));
    assert_memory_equal(buf.data, want, sizeof(want));
    buf_fini(&buf);
}

static void reset_keeps_the_memory(void **state)
{
    struct buf buf = {0};
    size_t cap;

    (void)state;
    buf_append_str(&buf, "abc");
    cap = buf.cap;
    buf_consume(&buf, 1);
    buf_reset(&buf);
    assert_int_equal(buf.len, 0);
    assert_int_equal(buf.cap, cap);
    assert_string_equal(buf.data, "");
    buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_buffer_gives_an_empty_text),
        cmocka_unit_test(consume_keeps_the_rest_and_its_order),
        cmocka_unit_test(room_in_front_is_used_again),
        cmocka_unit_test(taken_text_starts_at_the_first_unconsumed_byte),
        cmocka_unit_test(integers_are_in_network_order),
        cmocka_unit_test(reset_keeps_the_memory),
    };

    return cmocka_run_group_tests_name("base/buf", tests, NULL, NULL);
}
