#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "segue/wire/frame.h"

static void header_is_not_read_before_all_five_bytes_are_there(void **state)
{
    static const char message[] = {'Q', 0, 0, 0, 6, 'x', 0};
    struct wire_frame frame;

    (void)state;
    for (size_t len = 0; len < WIRE_HEADER_BYTES; len++)
        assert_int_equal(wire_frame_read(message, len, &frame), RC_AGAIN);
    assert_int_equal(wire_frame_read(message, WIRE_HEADER_BYTES, &frame), RC_OK);
    assert_int_equal(frame.type, 'Q');
    assert_int_equal(frame.total, sizeof(message));
}

static void length_is_checked_at_both_ends(void **state)
{
    static const struct {
        unsigned char message[5];
        enum rc rc;
        size_t total;
    } rows[] = {
        {{'S', 0, 0, 0, 4}, RC_OK, 5},
        {{'S', 0, 0, 0, 3}, RC_ERR, 0},
        {{'S', 0, 0, 0, 0}, RC_ERR, 0},
        {{'d', 0x40, 0, 0, 4}, RC_OK, 0x40000005},
        {{'d', 0x7f, 0xff, 0xff, 0xff}, RC_OK, 0x80000000},
        {{'d', 0x80, 0, 0, 0}, RC_ERR, 0},
        {{'d', 0xff, 0xff, 0xff, 0xff}, RC_ERR, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct wire_frame frame = {0};

        assert_int_equal(wire_frame_read(rows[i].message, 5, &frame), rows[i].rc);
        if (rows[i].rc == RC_OK)
            assert_int_equal(frame.total, rows[i].total);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_is_not_read_before_all_five_bytes_are_there),
        cmocka_unit_test(length_is_checked_at_both_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
