#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "segue/wire/frame.h"
#include "segue/wire/startup.h"

/* A packet: length, code, body. */
static void packet(struct buf *out, uint32_t code, const void *body, size_t len)
{
    buf_reset(out);
    buf_append_u32(out, (uint32_t)len + 8);
    buf_append_u32(out, code);
    buf_append(out, body, len);
}

#define BODY(text) text, sizeof(text) /* the literal's NUL ends the list */

static enum rc read_packet(const struct buf *in, struct wire_startup *out, struct err *err)
{
    memset(err, 0, sizeof(*err));
    return wire_startup_read(in->data, in->len, out, err);
}

static void parameters_are_read(void **state)
{
    struct wire_startup st;
    struct buf in = {0};
    struct err err;

    (void)state;
    packet(&in, WIRE_PROTOCOL(3, 2),
           BODY("user\0joe\0database\0shop\0_pq_.x\0y\0options\0-c a=b\0"));
    assert_int_equal(read_packet(&in, &st, &err), RC_OK);
    assert_int_equal(st.total, in.len);
    assert_string_equal(st.user, "joe");
    assert_string_equal(st.database, "shop");
    assert_null(st.application_name);
    assert_null(st.replication);
    buf_fini(&in);
}

static void every_prefix_needs_more(void **state)
{
    struct wire_startup st;
    struct buf in = {0};
    struct err err = {0};

    (void)state;
    packet(&in, WIRE_PROTOCOL(3, 0), BODY("user\0joe\0"));
    for (size_t len = 0; len < in.len; len++)
        assert_int_equal(wire_startup_read(in.data, len, &st, &err), RC_AGAIN);
    assert_false(err_is_set(&err));
    buf_fini(&in);
}

static void malformed_packets_are_refused(void **state)
{
    static const struct {
        uint32_t code;
        const char *body;
        size_t len;
        const char *sqlstate;
    } rows[] = {
        {WIRE_PROTOCOL(3, 0), "user\0joe", 8, "08P01"},       /* value without an end */
        {WIRE_PROTOCOL(3, 0), "user\0joe\0", 9, "08P01"},     /* list without an end */
        {WIRE_PROTOCOL(3, 0), "user\0joe\0\0x", 11, "08P01"}, /* bytes behind it */
        {WIRE_PROTOCOL(3, 0), "user", 4, "08P01"},            /* name without an end */
        {WIRE_PROTOCOL(3, 0), "", 0, "08P01"},                /* nothing */
        {WIRE_PROTOCOL(3, 0), "database\0x\0", 12, "28000"},  /* nobody */
        {WIRE_PROTOCOL(3, 0), "user\0\0", 7, "28000"},        /* empty name */
        {WIRE_PROTOCOL(2, 0), "user\0joe\0", 10, "0A000"},    /* old protocol */
        {WIRE_PROTOCOL(4, 0), "user\0joe\0", 10, "0A000"},    /* future protocol */
        {WIRE_CODE_CANCEL, "\0\0\0\1abc", 7, "08P01"},        /* key too short */
        {WIRE_CODE_CANCEL, "\0\0", 2, "08P01"},               /* no pid */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct wire_startup st;
        struct buf in = {0};
        struct err err;

        packet(&in, rows[i].code, rows[i].body, rows[i].len);
        assert_int_equal(read_packet(&in, &st, &err), RC_ERR);
        assert_string_equal(err.sqlstate, rows[i].sqlstate);
        buf_fini(&in);
    }
}

static void length_beyond_the_cap_is_refused_at_once(void **state)
{
    static const uint32_t lengths[] = {0, 1, 7, 10005, 0x16030100, 0x80000000, UINT32_MAX};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        struct wire_startup st;
        struct buf in = {0};
        struct err err = {0};

        buf_append_u32(&in, lengths[i]);
        assert_int_equal(wire_startup_read(in.data, in.len, &st, &err), RC_ERR);
        assert_string_equal(err.sqlstate, "08P01");
        assert_int_equal(st.total, 0);
        buf_fini(&in);
    }
}

static void ten_thousand_bytes_behind_the_length_are_waited_for(void **state)
{
    struct wire_startup st;
    struct buf in = {0};
    struct err err = {0};

    (void)state;
    buf_append_u32(&in, 10004);
    assert_int_equal(wire_startup_read(in.data, in.len, &st, &err), RC_AGAIN);
    buf_fini(&in);
}

static void cancel_keys_of_4_to_256_bytes_are_read(void **state)
{
    static const size_t sizes[] = {3, 4, 32, 256, 257};
    char body[4 + 257] = {0, 0, 1, 2};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        bool fits = sizes[i] >= 4 && sizes[i] <= 256;
        struct wire_startup st;
        struct buf in = {0};
        struct err err;

        packet(&in, WIRE_CODE_CANCEL, body, 4 + sizes[i]);
        assert_int_equal(read_packet(&in, &st, &err), fits ? RC_OK : RC_ERR);
        if (fits) {
            assert_int_equal(st.cancel_pid, 258);
            assert_int_equal(st.cancel_key_len, sizes[i]);
        }
        buf_fini(&in);
    }
}

static void redirect_changes_the_database_and_drops_replication(void **state)
{
    struct buf in = {0}, out = {0};
    struct wire_startup st;
    struct err err;

    (void)state;
    packet(&in, WIRE_PROTOCOL(3, 2),
           BODY("user\0joe\0database\0segue\0replication\0true\0application_name\0psql\0"));
    assert_int_equal(read_packet(&in, &st, &err), RC_OK);
    wire_startup_redirect(&out, in.data, st.total, "shop");
    assert_int_equal(read_packet(&out, &st, &err), RC_OK);
    assert_int_equal(st.total, out.len);
    assert_int_equal(st.code, WIRE_PROTOCOL(3, 2));
    assert_string_equal(st.user, "joe");
    assert_string_equal(st.database, "shop");
    assert_string_equal(st.application_name, "psql");
    assert_null(st.replication);
    buf_fini(&in);
    buf_fini(&out);
}

/* As PostgreSQL's pg_split_opts and ParseLongOption take them. */
static void a_setting_is_found_in_every_way_postgresql_takes_it(void **state)
{
    static const struct {
        const char *body;
        size_t len;
        const char *value; /* NULL: not asked for */
    } cases[] = {
#define CASE(text, value) {text, sizeof(text), value}
        CASE("user\0u\0options\0-c segue.schema=old\0", "old"),
        CASE("user\0u\0options\0-csegue.schema=old\0", "old"),
        CASE("user\0u\0options\0--segue.schema=new\0", "new"),
        CASE("user\0u\0options\0  -c  geqo=off\t--Segue.SCHEMA=new \0", "new"),
        CASE("user\0u\0options\0-c segue.schema=old -c segue.schema=new\0", "new"),
        CASE("user\0u\0options\0-c segue.schema=o\\ l\\\\d\0", "o l\\d"),
        CASE("user\0u\0options\0-c segue.schema=old\\\0", "old"),
        CASE("user\0u\0options\0-c segue.schema=\0", ""),
        CASE("user\0u\0segue.schema\0old\0", "old"),
        CASE("user\0u\0segue.schema\0old\0options\0-c segue.schema=new\0", "old"),
        CASE("user\0u\0options\0-c segue.schema=new\0segue.schema\0old\0", "old"),
        CASE("user\0u\0options\0-c segue.schema=far_too_long_for_it\0", "far_too"),
        CASE("user\0u\0options\0-c x.segue.schema=old\0", NULL),
        CASE("user\0u\0options\0-c segue.schemas=old\0", NULL),
        CASE("user\0u\0options\0-c segue.schema\0", NULL),
        CASE("user\0u\0options\0segue.schema=old\0", NULL),
        CASE("user\0u\0options\0-c\0", NULL),
        CASE("user\0u\0options\0\0", NULL),
        CASE("user\0u\0application_name\0-c segue.schema=old\0", NULL),
#undef CASE
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf in = {0};
        char value[8];

        packet(&in, WIRE_PROTOCOL(3, 0), cases[i].body, cases[i].len);
        assert_int_equal(
            wire_startup_setting(in.data, in.len, "segue.schema", value, sizeof(value)),
            cases[i].value != NULL);
        if (cases[i].value)
            assert_string_equal(value, cases[i].value);
        buf_fini(&in);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_setting_is_found_in_every_way_postgresql_takes_it),
        cmocka_unit_test(parameters_are_read),
        cmocka_unit_test(every_prefix_needs_more),
        cmocka_unit_test(malformed_packets_are_refused),
        cmocka_unit_test(length_beyond_the_cap_is_refused_at_once),
        cmocka_unit_test(ten_thousand_bytes_behind_the_length_are_waited_for),
        cmocka_unit_test(cancel_keys_of_4_to_256_bytes_are_read),
        cmocka_unit_test(redirect_changes_the_database_and_drops_replication),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
