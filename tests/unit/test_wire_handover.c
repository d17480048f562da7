#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fuzz.h"
#include "segue/wire/handover.h"

#define ROUNDS 40000

static const struct wire_handover samples[] = {
    {.type = WIRE_HANDOVER_HELLO, .version = 1, .pid = 4711},
    {.type = WIRE_HANDOVER_WELCOME, .version = 1, .pid = 4712, .count = 9},
    {.type = WIRE_HANDOVER_SOCKET, .kind = WIRE_HANDOVER_CONTROL},
    {.type = WIRE_HANDOVER_READY},
    {.type = WIRE_HANDOVER_GO},
    {.type = WIRE_HANDOVER_ACCEPTING},
    {.type = WIRE_HANDOVER_REPORT, .sessions = 1000000, .left_s = 3600, .working = 1},
    {.type = WIRE_HANDOVER_REPORT, .sessions = 3, .left_s = 60, .pid = 4713},
    {.type = WIRE_HANDOVER_REFUSED, .text = "a takeover by process 12 is under way"},
    {.type = WIRE_HANDOVER_CANCEL, .asker_low = 256, .backend = 99, .key_len = 4, .key = "key"},
    {.type = WIRE_HANDOVER_CANCEL,
     .hops = 9,
     .asker_high = 1,
     .backend = UINT32_MAX,
     .key_len = WIRE_HANDOVER_KEY_MAX,
     .key = {[0] = 1, [WIRE_HANDOVER_KEY_MAX - 1] = 2}},
    {.type = WIRE_HANDOVER_CANCEL_IS, .hops = 9, .asker_high = 1, .how = WIRE_HANDOVER_DONE},
};

static void every_message_is_read_as_it_was_put(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        uint8_t packet[WIRE_HANDOVER_MAX];
        size_t len = wire_handover_put(&samples[i], packet);
        struct wire_handover out;
        struct err err = {0};

        assert_int_equal(wire_handover_read(packet, len, &out, &err), RC_OK);
        assert_memory_equal(&out, &samples[i], sizeof(out));
        assert_string_not_equal(wire_handover_name(out.type), "nothing known");
    }
}

static void what_is_cut_or_too_long_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        uint8_t packet[WIRE_HANDOVER_MAX + 1] = {0};
        size_t len = wire_handover_put(&samples[i], packet);
        struct wire_handover out;
        struct err err = {0};

        for (size_t n = 0; n <= len + 1; n++) {
            if (n != len)
                assert_int_equal(wire_handover_read(packet, n, &out, &err), RC_ERR);
        }
        assert_string_equal(err.sqlstate, "08P01");
    }
}

static void a_field_too_few_or_too_many_is_refused_whatever_the_length_says(void **state)
{
    static const uint8_t rows[][32] = {
        {0, 0, 0, 9, 'R', 0, 0, 0, 0},              /* READY has none */
        {0, 0, 0, 5, 'D'},                          /* SOCKET has one */
        {0, 0, 0, 9, 'D', 0, 0, 0, 2},              /* of two kinds */
        {0, 0, 0, 13, 'H', 0, 0, 0, 1, 0, 0, 0, 1}, /* HELLO without its magic */
        {0, 0, 0, 5, '?'},                          /* no such type */
        {0, 0, 0, 13, 'S', 0, 0, 0, 1, 0, 0, 0, 1}, /* REPORT has three, or four */
        {0, 0, 0, 24, 'C', 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3}, /* no key */
        {0, 0, 0, 17, 'c', 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1},             /* CANCEL_IS: four */
        {0, 0, 0, 21, 'c', 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 3}, /* of three kinds */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct wire_handover out;
        struct err err = {0};

        assert_int_equal(wire_handover_read(rows[i], rows[i][3], &out, &err), RC_ERR);
    }
}

static void a_key_that_is_longer_than_any_is_refused(void **state)
{
    uint8_t packet[WIRE_HANDOVER_MAX + 1] = {0, 0, 1, 21 + 1, 'C'}; /* 21 and 257 bytes */
    struct wire_handover out;
    struct err err = {0};

    (void)state;
    assert_int_equal(wire_handover_read(packet, 21 + 257, &out, &err), RC_ERR);
    packet[3]--;
    assert_int_equal(wire_handover_read(packet, 21 + 256, &out, &err), RC_OK);
    assert_int_equal(out.key_len, WIRE_HANDOVER_KEY_MAX);
}

static void a_report_of_the_first_version_is_written_and_read(void **state)
{
    struct wire_handover report = {.type = WIRE_HANDOVER_REPORT, .sessions = 2}, out;
    uint8_t packet[WIRE_HANDOVER_MAX];
    size_t len = wire_handover_put(&report, packet);
    struct err err = {0};

    (void)state;
    assert_int_equal(len, 17);
    assert_int_equal(wire_handover_read(packet, len, &out, &err), RC_OK);
    assert_int_equal(out.pid, 0);
    report.pid = 4713;
    assert_int_equal(wire_handover_put(&report, packet), 21);
}

static void a_reason_holds_nothing_that_a_terminal_would_obey(void **state)
{
    struct wire_handover msg = {.type = WIRE_HANDOVER_REFUSED, .text = "no\x1b[31m\n\xff"}, out;
    uint8_t packet[WIRE_HANDOVER_MAX];
    size_t len = wire_handover_put(&msg, packet);
    struct err err = {0};

    (void)state;
    assert_int_equal(wire_handover_read(packet, len, &out, &err), RC_OK);
    assert_memory_equal(out.text, "no?[31m?", 8);
    assert_null(strchr(out.text, '\xff'));
}

static void mutated_packets_are_read_within_their_bounds_or_refused(void **state)
{
    static const char *const words[] = {"H", "X", "\xff\xff\xff\xff", "D\0\0\0\1", "\x7f"};
    struct fuzz fuzz = {.state = 0x5e60e, .words = words, .nwords = ARRAY_LEN(words)};
    unsigned good = 0;

    (void)state;
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint8_t packet[WIRE_HANDOVER_MAX];
        size_t len = wire_handover_put(&samples[fuzz_below(&fuzz, ARRAY_LEN(samples))], packet);
        struct wire_handover out;
        struct err err = {0};
        char *exact;

        for (size_t n = fuzz_below(&fuzz, 4); n; n--)
            len = fuzz_mutate(&fuzz, (char *)packet, len, sizeof(packet));
        if (len >= 4 && fuzz_below(&fuzz, 2)) { /* past the check of the length */
            packet[0] = packet[1] = 0;
            packet[2] = (uint8_t)(len >> 8);
            packet[3] = (uint8_t)len;
        }
        exact = fuzz_exact((const char *)packet, len);
        if (wire_handover_read(exact, len, &out, &err) == RC_OK) {
            uint8_t again[WIRE_HANDOVER_MAX];

            good++;
            assert_true(wire_handover_put(&out, again) <= sizeof(again));
            assert_true(strlen(out.text) <= WIRE_HANDOVER_TEXT_MAX);
        }
        free(exact);
    }
    assert_true(good > ROUNDS / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_is_read_as_it_was_put),
        cmocka_unit_test(what_is_cut_or_too_long_is_refused),
        cmocka_unit_test(a_field_too_few_or_too_many_is_refused_whatever_the_length_says),
        cmocka_unit_test(a_key_that_is_longer_than_any_is_refused),
        cmocka_unit_test(a_report_of_the_first_version_is_written_and_read),
        cmocka_unit_test(a_reason_holds_nothing_that_a_terminal_would_obey),
        cmocka_unit_test(mutated_packets_are_read_within_their_bounds_or_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
