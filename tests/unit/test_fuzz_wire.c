/* Mutated packets and messages are read within their bounds or refused, never beyond. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fuzz.h"
#include "segue/base/buf.h"
#include "segue/wire/frame.h"
#include "segue/wire/read.h"
#include "segue/wire/startup.h"

#define ROUNDS 40000
#define CAP 1024

static const char *const words[] = {"user", "database", "segue",    "\x01\x01",   "\x7f\x7f",
                                    "S_1",  "SELECT 1", "\xff\xff", "replication"};

static size_t put(char *to, const void *bytes, size_t len)
{
    memcpy(to, bytes, len);
    return len;
}

#define PUT(to, literal) put(to, literal, sizeof(literal) - 1)

static size_t startup_seed(struct fuzz *fuzz, char *bytes)
{
    switch (fuzz_below(fuzz, 3)) {
    case 0:
        return PUT(bytes, "\0\0\0\x29\0\3\0\0user\0app\0database\0segue\0options\0-c x\0\0");
    case 1:
        return PUT(bytes, "\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\1\xde\xad\xbe\xef");
    default:
        return PUT(bytes, "\0\0\0\x08\x04\xd2\x16\x2f");
    }
}

/* Every string of the packet must end inside it: reading it to its end is the test (ASan). */
static void see_param(void *arg, const struct wire_param *param)
{
    *(size_t *)arg += strlen(param->name) + strlen(param->value);
}

static void mutated_startup_packets_are_read_within_their_bounds(void **state)
{
    struct fuzz fuzz = {0x5eed4, words, sizeof(words) / sizeof(words[0])};
    char bytes[CAP];
    int read = 0;

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        size_t len = startup_seed(&fuzz, bytes), seen = 0;
        struct wire_startup startup;
        struct err err = {0};
        char *exact;

        for (size_t n = fuzz_below(&fuzz, 4); n > 0; n--)
            len = fuzz_mutate(&fuzz, bytes, len, CAP);
        if (len >= 4 && fuzz_below(&fuzz, 2)) { /* a length that fits, so that the body is read */
            bytes[0] = bytes[1] = 0;
            bytes[2] = (char)(len >> 8);
            bytes[3] = (char)len;
        }
        exact = fuzz_exact(bytes, len);
        if (wire_startup_read(exact, len, &startup, &err) == RC_OK) {
            struct buf out = {0};

            read++;
            assert_true(startup.total <= len);
            if (startup.code >> 16 == 3) {
                wire_startup_params(exact, startup.total, see_param, &seen);
                assert_true(seen <= startup.total);
                wire_startup_redirect(&out, exact, startup.total, "other");
                buf_fini(&out);
            } else if (startup.code == WIRE_CODE_CANCEL) {
                assert_true(startup.cancel_key_len >= 4 && startup.cancel_key_len <= 256);
            }
        }
        free(exact);
    }
    assert_true(read > ROUNDS / 100);
}

static size_t message_seed(struct fuzz *fuzz, char *bytes)
{
    switch (fuzz_below(fuzz, 6)) {
    case 0:
        return PUT(bytes, "Q\0\0\0\x0dSELECT 1\0");
    case 1:
        return PUT(bytes, "P\0\0\0\x18S_1\0SELECT $1\0\0\1\0\0\0\x17");
    case 2:
        return PUT(bytes, "B\0\0\0\x14p\0S_1\0\0\1\0\1\0\0\0\0");
    case 3:
        return PUT(bytes, "D\0\0\0\x09SS_1\0");
    case 4:
        return PUT(bytes, "E\0\0\0\x1bSERROR\0C57014\0Mcancel\0P3\0\0");
    default:
        return PUT(bytes, "K\0\0\0\x0c\0\0\0\7\1\2\3\4");
    }
}

static void read_all(const char *msg, size_t total)
{
    struct wire_query query;
    struct wire_parse parse;
    struct wire_bind bind;
    struct wire_target target;
    struct wire_execute execute;
    struct wire_error error;
    struct wire_key key;
    struct wire_status status;
    size_t seen = 0;

    if (wire_read_query(msg, total, &query) == RC_OK)
        seen += strlen(query.text);
    if (wire_read_parse(msg, total, &parse) == RC_OK)
        seen += strlen(parse.name) + strlen(parse.text);
    if (wire_read_bind(msg, total, &bind) == RC_OK)
        seen += strlen(bind.portal) + strlen(bind.statement);
    if (wire_read_target(msg, total, &target) == RC_OK)
        seen += strlen(target.name);
    if (wire_read_execute(msg, total, &execute) == RC_OK)
        seen += strlen(execute.portal);
    if (wire_read_error(msg, total, &error) == RC_OK)
        seen += strlen(error.severity) + strlen(error.sqlstate) + strlen(error.text);
    if (wire_read_key(msg, total, &key) == RC_OK)
        assert_true(key.key_len <= total);
    if (wire_read_status(msg, total, &status) == RC_OK)
        seen += strlen(status.name) + strlen(status.value);
    assert_true(seen <= 8 * total);
}

static void mutated_messages_are_read_within_their_bounds(void **state)
{
    struct fuzz fuzz = {0x5eed5, words, sizeof(words) / sizeof(words[0])};
    char bytes[CAP];
    int framed = 0;

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        size_t len = message_seed(&fuzz, bytes);
        struct wire_frame frame;
        char *exact;

        for (size_t n = fuzz_below(&fuzz, 4); n > 0; n--)
            len = fuzz_mutate(&fuzz, bytes, len, CAP);
        if (len >= WIRE_HEADER_BYTES && fuzz_below(&fuzz, 4)) {
            bytes[1] = bytes[2] = 0;
            bytes[3] = (char)((len - 1) >> 8);
            bytes[4] = (char)(len - 1);
        }
        exact = fuzz_exact(bytes, len);
        if (wire_frame_read(exact, len, &frame) == RC_OK && frame.total <= len) {
            framed++;
            /* exactly the message, so that a read beyond its end is seen */
            char *msg = fuzz_exact(exact, frame.total);

            read_all(msg, frame.total);
            free(msg);
        }
        free(exact);
    }
    assert_true(framed > ROUNDS / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutated_startup_packets_are_read_within_their_bounds),
        cmocka_unit_test(mutated_messages_are_read_within_their_bounds),
    };

    return cmocka_run_group_tests_name("fuzz/wire", tests, NULL, NULL);
}
