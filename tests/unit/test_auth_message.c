/* The messages of SCRAM: what is refused, and with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/auth/base64.h"
#include "../../proxy/auth/message.h"
#include "segue/base/rc.h"

#define PROOF "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define SALT "W22ZaJ0SNY7soEsUEjb6gQ=="
#define MALFORMED "malformed SCRAM message "

/* A message, and how it is refused; error NULL: it is read. */
struct row {
    const char *msg, *sqlstate, *error;
};

static const struct row client_first[] = {
    {"n,,n=,r=abc", NULL, NULL},
    {"y,,n=,r=abc", NULL, NULL},
    {"p=tls-server-end-point,,n=,r=abc", NULL, NULL},
    {"n,,n=joe,r=abc,x=1,Y=", NULL, NULL},
    {"n,,n=,r=", NULL, NULL}, /* PostgreSQL asks for no length */
    {"", "08P01", MALFORMED "(the message is empty)"},
    {"x,,n=,r=abc", "08P01", MALFORMED "(unexpected channel-binding flag \"x\")"},
    {"\x80,,n=,r=abc", "08P01", MALFORMED "(unexpected channel-binding flag \"0x80\")"},
    {"N,,n=,r=abc", "08P01", MALFORMED "(unexpected channel-binding flag \"N\")"},
    {"n", "08P01", MALFORMED "(comma expected, but found character \"0x00\")"},
    {"nn,,n=,r=abc", "08P01", MALFORMED "(comma expected, but found character \"n\")"},
    {"n,", "08P01", MALFORMED "(unexpected attribute \"0x00\" in client-first-message)"},
    {"n,n=,r=abc", "08P01", MALFORMED "(unexpected attribute \"n\" in client-first-message)"},
    {"n,a=joe,n=,r=abc", "0A000", "client uses authorization identity, but it is not supported"},
    {"p,,n=,r=abc", "08P01", MALFORMED "(expected character \"=\" for attribute \"p\")"},
    {"p=tls-unique", "08P01", MALFORMED "(unexpected attribute \"0x00\" in client-first-message)"},
    {"n,,m=x,n=,r=abc", "0A000", "client requires an unsupported SCRAM extension"},
    {"n,,", "08P01", MALFORMED "(expected attribute \"n\" but found \"0x00\")"},
    {"n,,r=abc", "08P01", MALFORMED "(expected attribute \"n\" but found \"r\")"},
    {"n,,n", "08P01", MALFORMED "(expected character \"=\" for attribute \"n\")"},
    {"n,,n=", "08P01", MALFORMED "(expected attribute \"r\" but found \"0x00\")"},
    {"n,,n=,", "08P01", MALFORMED "(expected attribute \"r\" but found \"0x00\")"},
    {"n,,n=,r", "08P01", MALFORMED "(expected character \"=\" for attribute \"r\")"},
    {"n,,n=,r=a\x7f", "08P01", "non-printable characters in SCRAM nonce"},
    {"n,,n=,r=a b", "08P01", "non-printable characters in SCRAM nonce"},
    {"n,,n=,r=\xc3\xa9", "08P01", "non-printable characters in SCRAM nonce"},
    {"n,,n=,r=abc,1=2", "08P01",
     MALFORMED "(attribute expected, but found invalid character \"1\")"},
    {"n,,n=,r=abc,,", "08P01", MALFORMED "(attribute expected, but found invalid character \",\")"},
    {"n,,n=,r=abc,x", "08P01", MALFORMED "(expected character \"=\" for attribute \"x\")"},
};

static const struct row client_final[] = {
    {"c=biws,r=abc,p=" PROOF, NULL, NULL},
    {"c=biws,r=abc,x=1,y=,p=" PROOF, NULL, NULL},
    {"", "08P01", MALFORMED "(the message is empty)"},
    {"r=abc", "08P01", MALFORMED "(expected attribute \"c\" but found \"r\")"},
    {"c", "08P01", MALFORMED "(expected character \"=\" for attribute \"c\")"},
    {"c=biws", "08P01", MALFORMED "(expected attribute \"r\" but found \"0x00\")"},
    {"c=biws,p=" PROOF, "08P01", MALFORMED "(expected attribute \"r\" but found \"p\")"},
    {"c=biws,r=abc", "08P01", MALFORMED "(attribute expected, but found end of string)"},
    {"c=biws,r=abc,", "08P01", MALFORMED "(attribute expected, but found end of string)"},
    {"c=biws,r=abc,x=1", "08P01", MALFORMED "(attribute expected, but found end of string)"},
    {"c=biws,r=abc,p=", "08P01", MALFORMED "(malformed proof in client-final-message)"},
    {"c=biws,r=abc,p=AAAA", "08P01", MALFORMED "(malformed proof in client-final-message)"},
    {"c=biws,r=abc,p=AAAA" PROOF, "08P01", MALFORMED "(malformed proof in client-final-message)"},
    {"c=biws,r=abc,p= " PROOF, "08P01", MALFORMED "(malformed proof in client-final-message)"},
    {"c=biws,r=abc,p=!!!!", "08P01", MALFORMED "(malformed proof in client-final-message)"},
    {"c=biws,r=abc,p=" PROOF ",x=1", "08P01",
     MALFORMED "(garbage found at the end of client-final-message)"},
};

#define TOO_MANY "the upstream asks for more than 10000000 iterations of SCRAM"

static const struct row server_first[] = {
    {"r=abc,s=" SALT ",i=4096", NULL, NULL},
    {"r=abc,s=" SALT ",i=1", NULL, NULL},
    {"r=abc,s=" SALT ",i=10000000", NULL, NULL},
    {"r=abc,s=" SALT ",i=4096,x=later", NULL, NULL},
    {"", "08P01", MALFORMED "(the message is empty)"},
    {"m=x,r=abc,s=" SALT ",i=4096", "08P01",
     MALFORMED "(expected attribute \"r\" but found \"m\")"},
    {"r=abc,i=4096", "08P01", MALFORMED "(expected attribute \"s\" but found \"i\")"},
    {"r=abc,s=,i=4096", "08P01", MALFORMED "(invalid salt)"},
    {"r=abc,s=AA,i=4096", "08P01", MALFORMED "(invalid salt)"},
    {"r=abc,s=" SALT, "08P01", MALFORMED "(expected attribute \"i\" but found \"0x00\")"},
    {"r=abc,s=" SALT ",i=", "08P01", MALFORMED "(the iteration count is not from 1 to 10000000)"},
    {"r=abc,s=" SALT ",i=0", "08P01", MALFORMED "(the iteration count is not from 1 to 10000000)"},
    {"r=abc,s=" SALT ",i=-1", "08P01", MALFORMED "(the iteration count is not from 1 to 10000000)"},
    {"r=abc,s=" SALT ",i=10000001", "54000", TOO_MANY},
    {"r=abc,s=" SALT ",i=4294971392", "54000", TOO_MANY}, /* 2^32 + 4096 */
    {"r=abc,s=" SALT ",i=99999999999999999999,x=y", "54000", TOO_MANY},
    {"r=abc,s=" SALT ",i=000", "08P01",
     MALFORMED "(the iteration count is not from 1 to 10000000)"},
    {"r=abc,s=" SALT ",i=4096 ", "08P01",
     MALFORMED "(the iteration count is not from 1 to 10000000)"},
    {"r=abc,s=" SALT ",i=4096,!", "08P01",
     MALFORMED "(attribute expected, but found invalid character \"!\")"},
    {"r=a\x01,s=" SALT ",i=4096", "08P01", "non-printable characters in SCRAM nonce"},
};

static const struct row server_final[] = {
    {"v=" PROOF, NULL, NULL},
    {"v=" PROOF ",x=1", NULL, NULL},
    {"", "08P01", MALFORMED "(the message is empty)"},
    {"e=invalid-proof", "28000", "the upstream ended the SCRAM exchange with an error"},
    {"x=1", "08P01", MALFORMED "(expected attribute \"v\" but found \"x\")"},
    {"v=", "08P01", MALFORMED "(invalid server signature)"},
    {"v=AAAA", "08P01", MALFORMED "(invalid server signature)"},
    {"v=" PROOF ",", NULL, NULL},
    {"v=" PROOF ",,", "08P01", MALFORMED "(attribute expected, but found invalid character \",\")"},
};

/* One of the four readers, with what it found forgotten. */
typedef enum rc (*reader)(const char *msg, size_t len, struct err *err);

static enum rc read_client_first(const char *msg, size_t len, struct err *err)
{
    struct message_client_first out;

    return message_client_first(msg, len, &out, err);
}

static enum rc read_client_final(const char *msg, size_t len, struct err *err)
{
    struct message_client_final out;

    return message_client_final(msg, len, &out, err);
}

static enum rc read_server_first(const char *msg, size_t len, struct err *err)
{
    struct message_server_first out;

    return message_server_first(msg, len, &out, err);
}

static enum rc read_server_final(const char *msg, size_t len, struct err *err)
{
    uint8_t signature[AUTH_KEY_BYTES];

    return message_server_final(msg, len, signature, err);
}

static void check(reader read, const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct err err = {0};
        enum rc rc = read(rows[i].msg, strlen(rows[i].msg), &err);

        assert_string_equal(err.text, rows[i].error ? rows[i].error : "");
        assert_string_equal(err.sqlstate, rows[i].error ? rows[i].sqlstate : "");
        assert_int_equal(rc, rows[i].error ? RC_ERR : RC_OK);
    }
}

static void malformed_messages_are_refused_as_by_postgresql(void **state)
{
    (void)state;
    check(read_client_first, client_first, ARRAY_LEN(client_first));
    check(read_client_final, client_final, ARRAY_LEN(client_final));
    check(read_server_first, server_first, ARRAY_LEN(server_first));
    check(read_server_final, server_final, ARRAY_LEN(server_final));
}

static void messages_are_bounded_and_hold_no_zero_byte(void **state)
{
    static const reader readers[] = {read_client_first, read_client_final, read_server_first,
                                     read_server_final};
    static const char *const begins[] = {"n,,n=,r=", "c=biws,r=a,x=", "r=", "v=" PROOF ",x="};
    char msg[AUTH_MESSAGE_BYTES_MAX + 1];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
        struct err err = {0};

        memset(msg, 'a', sizeof(msg));
        memcpy(msg, begins[i], strlen(begins[i]));
        assert_int_equal(readers[i](msg, sizeof(msg), &err), RC_ERR);
        assert_string_equal(err.text, MALFORMED "(the message has 1025 bytes, the limit is 1024)");
        err_clear(&err);
        msg[sizeof(msg) / 2] = '\0';
        assert_int_equal(readers[i](msg, sizeof(msg) - 1, &err), RC_ERR);
        assert_string_equal(err.text, MALFORMED "(message length does not match input length)");
    }
    memset(msg, 'a', sizeof(msg));
    memcpy(msg, begins[0], strlen(begins[0]));
    assert_int_equal(read_client_first(msg, AUTH_MESSAGE_BYTES_MAX, NULL), RC_OK);
}

static void what_signatures_cover_is_cut_out_exactly(void **state)
{
    static const char first[] = "p=tls-server-end-point,,n=joe,r=abc,x=1";
    static const char final[] = "c=biws,r=abcdef,x=1,p=" PROOF;
    struct message_client_first one;
    struct message_client_final two;

    (void)state;
    assert_int_equal(message_client_first(first, strlen(first), &one, NULL), RC_OK);
    assert_int_equal(one.flag, 'p');
    assert_true(message_text_is(&one.binding, "tls-server-end-point"));
    assert_true(message_text_is(&one.bare, "n=joe,r=abc,x=1"));
    assert_true(message_text_is(&one.nonce, "abc"));
    assert_int_equal(message_client_final(final, strlen(final), &two, NULL), RC_OK);
    assert_true(message_text_is(&two.binding, "biws"));
    assert_true(message_text_is(&two.nonce, "abcdef"));
    assert_true(message_text_is(&two.without_proof, "c=biws,r=abcdef,x=1"));
    assert_int_equal(two.proof[0], 0x74);
}

static void base64_has_one_text_for_one_value(void **state)
{
    static const struct {
        const char *text;
        int len; /* -1: refused */
    } rows[] = {{"", 0},       {"AA==", 1},  {"AAA=", 2},     {"AAAA", 3},     {"+/+/", 3},
                {"A", -1},     {"AA", -1},   {"AAA", -1},     {"A===", -1},    {"====", -1},
                {"AB==", -1},  {"AAB=", -1}, {"AA=A", -1},    {"=AAA", -1},    {" AAA", -1},
                {"AAA\n", -1}, {"A-_A", -1}, {"AAAAAA=", -1}, {"AA==AAAA", -1}};
    uint8_t out[8], bytes[8];
    size_t len;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bool ok = base64_decode(rows[i].text, strlen(rows[i].text), out, sizeof(out), &len);

        assert_int_equal(ok ? (int)len : -1, rows[i].len);
    }
    assert_false(base64_decode("AAAAAAAAAAAA", 12, out, 8, &len)); /* nine bytes */
    for (size_t n = 0; n <= sizeof(bytes); n++) {
        struct buf text = {0};

        memset(bytes, 0xa5, n);
        base64_append(&text, bytes, n);
        assert_int_equal(text.len, (n + 2) / 3 * 4);
        assert_true(base64_decode(text.data, text.len, out, sizeof(out), &len));
        assert_int_equal(len, n);
        assert_memory_equal(out, bytes, n);
        buf_fini(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_messages_are_refused_as_by_postgresql),
        cmocka_unit_test(messages_are_bounded_and_hold_no_zero_byte),
        cmocka_unit_test(what_signatures_cover_is_cut_out_exactly),
        cmocka_unit_test(base64_has_one_text_for_one_value),
    };

    return cmocka_run_group_tests_name("auth/message", tests, NULL, NULL);
}
