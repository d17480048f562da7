#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "../../proxy/base/log_line.h"

static const struct log_event plain = {.when = "2026-01-31 23:59:59.123",
                                       .level = LOG_WARNING,
                                       .thread = "worker 3",
                                       .migration = "rename_claim",
                                       .about = {7, "app", "shop", "127.0.0.1:5000"},
                                       .text = "it says \"no\"",
                                       .sqlstate = "57P03",
                                       .hint = "look"};

/* Names as a client may send them, and what must not be left of them in a line. */
static const char *const hostile[] = {
    "a\nb",
    "\r\n2026-01-31 info forged",
    "\x1b[31mred\x07",
    "\"}, {\"x\":1",
    "back\\slash\"",
    "\x80\xff\xc3",
    "\xc2\x85next",
    "\xe2\x80\xa8separator",
    "\xe2\x80\xaeturned",
    "\xe2\x80\x8fmarked",
    "\xe2\x80\x8emarked",
    "\xe2\x81\xa6isolated\xe2\x81\xa9",
    "\xd8\x9cmarked",
    "\x7f\x01",
    "\xf0\x9f\x98\x80",
    "\xf0\x9f\x98",
};

static json_t *parsed(const struct log_event *event)
{
    char line[LOG_LINE_MAX];
    size_t len = log_line_json(line, event);
    json_t *object;

    assert_true(len <= LOG_LINE_MAX);
    assert_int_equal(line[len - 1], '\n');
    assert_null(memchr(line, '\n', len - 1));
    object = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(object);
    return object;
}

static void json_has_a_field_for_each_thing_known(void **state)
{
    json_t *o = parsed(&plain);

    (void)state;
    assert_string_equal(json_string_value(json_object_get(o, "ts")), "2026-01-31T23:59:59.123Z");
    assert_string_equal(json_string_value(json_object_get(o, "level")), "warning");
    assert_int_equal(json_integer_value(json_object_get(o, "worker")), 3);
    assert_string_equal(json_string_value(json_object_get(o, "migration")), "rename_claim");
    assert_int_equal(json_integer_value(json_object_get(o, "session")), 7);
    assert_string_equal(json_string_value(json_object_get(o, "user")), "app");
    assert_string_equal(json_string_value(json_object_get(o, "database")), "shop");
    assert_string_equal(json_string_value(json_object_get(o, "peer")), "127.0.0.1:5000");
    assert_string_equal(json_string_value(json_object_get(o, "msg")), "it says \"no\"");
    assert_string_equal(json_string_value(json_object_get(o, "sqlstate")), "57P03");
    assert_string_equal(json_string_value(json_object_get(o, "hint")), "look");
    json_decref(o);
}

static void json_leaves_out_what_is_not_known(void **state)
{
    json_t *o = parsed(&(struct log_event){
        .when = "2026-01-31 23:59:59.123", .thread = "resolver", .migration = "", .text = "x"});

    (void)state;
    assert_int_equal(json_object_size(o), 4);
    assert_string_equal(json_string_value(json_object_get(o, "thread")), "resolver");
    json_decref(o);
}

static void text_reads_from_left_to_right(void **state)
{
    char line[LOG_LINE_MAX + 1];

    (void)state;
    line[log_line_text(line, &plain)] = '\0';
    assert_string_equal(line, "2026-01-31 23:59:59.123 warning worker 3: rename_claim: session 7 "
                              "from 127.0.0.1:5000, user \"app\", database \"shop\": "
                              "it says \"no\" (57P03) HINT: look\n");
}

static void hostile_names_stay_in_their_line_and_field(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
        struct log_event event = plain;
        char line[LOG_LINE_MAX];
        size_t len;
        json_t *o;

        event.about.user = event.text = event.hint = hostile[i];
        o = parsed(&event);
        assert_string_equal(json_string_value(json_object_get(o, "database")), "shop");
        assert_int_equal(json_object_size(o), 11);
        json_decref(o);
        len = log_line_text(line, &event);
        for (size_t at = 0; at + 1 < len; at++)
            assert_true((unsigned char)line[at] >= 0x20 && line[at] != 0x7f);
        assert_null(memmem(line, len, "\xc2\x85", 2));
        assert_null(memmem(line, len, "\xe2\x80", 2));
        assert_null(memmem(line, len, "\xe2\x81", 2));
        assert_null(memmem(line, len, "\xd8\x9c", 2));
    }
}

static void what_a_name_holds_comes_back_from_json(void **state)
{
    struct log_event event = plain;
    json_t *o;

    (void)state;
    event.about.user = "a\"\\\n\x1b\xe2\x80\xa8\xf0\x9f\x98\x80";
    o = parsed(&event);
    assert_string_equal(json_string_value(json_object_get(o, "user")), event.about.user);
    json_decref(o);
}

static void the_longest_line_is_whole(void **state)
{
    char text[4000];
    struct log_event event = plain;
    json_t *o;

    (void)state;
    memset(text, '\x01', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    event.migration = event.about.user = event.about.database = event.about.peer = text;
    event.text = event.hint = event.sqlstate = text;
    o = parsed(&event);
    assert_true(json_string_length(json_object_get(o, "msg")) > 200);
    json_decref(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_has_a_field_for_each_thing_known),
        cmocka_unit_test(json_leaves_out_what_is_not_known),
        cmocka_unit_test(text_reads_from_left_to_right),
        cmocka_unit_test(hostile_names_stay_in_their_line_and_field),
        cmocka_unit_test(what_a_name_holds_comes_back_from_json),
        cmocka_unit_test(the_longest_line_is_whole),
    };

    return cmocka_run_group_tests_name("base/log", tests, NULL, NULL);
}
