#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <libpq-fe.h>

#include "../../proxy/cli/conninfo.h"

/* Everything as one text, sorted by nothing: in the order of first appearance. */
static char *shown(const char *text)
{
    struct conninfo info = {0};
    struct err err = {0};
    struct buf out = {0};

    if (conninfo_parse(text, &info, &err) == RC_OK) {
        for (size_t i = 0; i < info.count; i++)
            buf_printf(&out, "%s%s=%s", i ? "|" : "", info.pairs[i].word, info.pairs[i].value);
    } else {
        buf_printf(&out, "error");
        assert_string_equal(err.sqlstate, "22023");
        assert_ptr_equal(strstr(err.text, CONNINFO_MUST_BE), err.text);
    }
    conninfo_fini(&info);
    return buf_take(&out);
}

static const struct {
    const char *text, *shown;
} rows[] = {
    {"", ""},
    {"  ", ""},
    {"postgresql://", ""},
    {"postgres://h", "host=h"},
    {"postgresql://h:5433/d", "host=h|port=5433|dbname=d"},
    {"postgresql://u:p@h", "user=u|password=p|host=h"},
    {"postgresql://u@", "user=u"},
    {"postgresql://u:@h", "user=u|host=h"},
    {"postgresql:///d", "dbname=d"},
    {"postgresql://a,b:2,c:3/d", "host=a,b,c|port=,2,3|dbname=d"},
    {"postgresql://[::1],[fe80::1]:7", "host=::1,fe80::1|port=,7"},
    {"postgresql://%2Frun%2Fpg/d", "host=/run/pg|dbname=d"},
    {"postgresql://u%40x:a%3Ab%2f@h", "user=u@x|password=a:b/|host=h"},
    {"postgresql://h?sslmode=require&options=-c%20a%3Db", "host=h|sslmode=require|options=-c a=b"},
    {"postgresql://h/d?host=x&host=y", "host=y|dbname=d"},
    {"postgresql://h/?ssl=true", "host=h|sslmode=require"},
    {"postgresql://h/?new_word=1", "host=h|new_word=1"},
    {"postgresql://h?user=", "host=h|user="},
    {"host=a port=5", "host=a|port=5"},
    {" host = a   port= 5 ", "host=a|port=5"},
    {"password='it''s'", "error"},
    {"password='it\\'s' user='a b'", "password=it's|user=a b"},
    {"password=a\\ b\\\\", "password=a b\\"},
    {"user='' host=x", "user=|host=x"},
    {"postgresql://%zz", "error"},
    {"postgresql://%0", "error"},
    {"postgresql://%00", "error"},
    {"postgresql://[::1", "error"},
    {"postgresql://[]", "error"},
    {"postgresql://[::1]x", "error"},
    {"postgresql://h?a", "error"},
    {"postgresql://h?=b", "error"},
    {"postgresql://h?a=b=c", "error"},
    {"postgresql://h?a=%", "error"},
    {"mysql://h", "error"},
    {"host", "error"},
    {"= x", "error"},
    {"host='a", "error"},
    {"host='a\\", "error"},
};

static void urls_and_strings_are_taken_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *text = shown(rows[i].text);

        assert_string_equal(text, rows[i].shown);
        free(text);
    }
}

/* The reference: what both accept must be read alike. */
static void libpq_reads_the_same(void **state)
{
    size_t compared = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        PQconninfoOption *theirs = PQconninfoParse(rows[i].text, NULL);
        struct conninfo ours = {0};
        struct err err = {0};

        if (theirs) {
            assert_int_equal(conninfo_parse(rows[i].text, &ours, &err), RC_OK);
            for (PQconninfoOption *o = theirs; o->keyword; o++) {
                const char *value = conninfo_get(&ours, o->keyword);

                assert_string_equal(value ? value : "", o->val ? o->val : "");
            }
            compared++;
        } else if (strcmp(rows[i].shown, "error") != 0) {
            assert_non_null(strstr(rows[i].text, "new_word"));
        }
        conninfo_fini(&ours);
        PQconninfoFree(theirs);
    }
    assert_true(compared > 15);
}

static void what_is_put_is_read_back(void **state)
{
    static const char *const values[] = {"", "a", "a b", "it's", "\\", "'\\'", "=", "\t"};
    struct conninfo info = {0};
    struct buf text = {0};
    struct err err = {0};
    char word[8] = "word0";

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        word[4] = (char)('0' + i);
        conninfo_put(&text, word, values[i]);
    }
    assert_int_equal(conninfo_parse(text.data, &info, &err), RC_OK);
    assert_int_equal(info.count, ARRAY_LEN(values));
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        assert_string_equal(info.pairs[i].value, values[i]);
    conninfo_fini(&info);
    buf_fini(&text);
}

static void more_words_than_fit_are_refused(void **state)
{
    struct conninfo info = {0};
    struct buf text = {0};
    struct err err = {0};

    (void)state;
    for (int i = 0; i <= CONNINFO_WORDS_MAX; i++)
        buf_printf(&text, "w%d=x ", i);
    assert_int_equal(conninfo_parse(text.data, &info, &err), RC_ERR);
    conninfo_fini(&info);
    buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_and_strings_are_taken_apart),
        cmocka_unit_test(libpq_reads_the_same),
        cmocka_unit_test(what_is_put_is_read_back),
        cmocka_unit_test(more_words_than_fit_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
