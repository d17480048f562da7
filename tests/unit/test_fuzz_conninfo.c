/* Mutated connection URLs and strings: what libpq accepts is accepted, and read as libpq reads it;
 * what is refused shows nothing of a password. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <libpq-fe.h>

#include "../../proxy/cli/conninfo.h"
#include "fuzz.h"
#include "segue/cli/upstream.h"

#define ROUNDS 30000
#define CAP 512

static const char *const corpus[] = {
    "postgresql://user:secret@a.example:5433,b.example/db?sslmode=require&options=-c%20x%3Dy",
    "postgres://[::1]:5432,[fe80::1]/d?target_session_attrs=read-write&connect_timeout=3",
    "postgresql:///d?host=/run/postgresql&port=5433",
    "postgresql://%2Frun%2Fpg:5432/d?user=u&password=secret",
    "host=a,b port=1,2 user=u password='se\\'cret' dbname=d sslmode=disable",
    "host = a  hostaddr = 10.0.0.1 application_name='a b' password=secret",
};

static const char *const words[] = {
    "'",  "\\", "=",   " ",   "%",      "%41",     "%00",   ",",        ":",         "@",
    "/",  "?",  "&",   "[",   "]",      "host=",   "port=", "ssl=true", "password=", "5432",
    "\t", "''", "\\'", "a=b", "secret", "sslmode", "://",   "user"};

/* Two things that libpq takes and nobody means: user@ behind a question mark, and a slash or a
 * question mark inside [ ]. */
static bool reads_otherwise(const char *text)
{
    const char *start = strstr(text, "://"), *end, *open, *close;

    if (!start)
        return false;
    start += 3;
    end = start + strcspn(start, "/?");
    open = memrchr(start, '[', (size_t)(end - start));
    close = open ? strchr(open, ']') : NULL;
    return (close && close > end) || (*end == '?' && memchr(end, '@', strcspn(end, "/")));
}

static void compare(const char *text, size_t *accepted)
{
    PQconninfoOption *theirs = PQconninfoParse(text, NULL);
    struct conninfo ours = {0};
    struct err err = {0};
    enum rc rc = conninfo_parse(text, &ours, &err);

    if (theirs && !reads_otherwise(text)) {
        if (rc != RC_OK)
            fail_msg("libpq accepts <%s>, we say %s", text, err.text);
        for (PQconninfoOption *o = theirs; o->keyword; o++) {
            const char *value = conninfo_get(&ours, o->keyword);

            if (strcmp(value ? value : "", o->val ? o->val : "") != 0)
                fail_msg("<%s>: %s is \"%s\" for libpq, \"%s\" for us", text, o->keyword,
                         o->val ? o->val : "", value ? value : "");
        }
        ++*accepted;
    }
    PQconninfoFree(theirs);
    conninfo_fini(&ours);
}

static void mutated_urls_are_read_as_libpq_reads_them(void **state)
{
    struct fuzz fuzz = {0xc0ffee, words, sizeof(words) / sizeof(words[0])};
    size_t accepted = 0;

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        const char *seed = corpus[fuzz_below(&fuzz, sizeof(corpus) / sizeof(corpus[0]))];
        char text[CAP + 1];
        size_t len = strlen(seed);
        struct cfg_upstream up = {0};
        struct err err = {0};
        char *exact;

        memcpy(text, seed, len);
        for (size_t n = fuzz_below(&fuzz, 4); n > 0; n--)
            len = fuzz_mutate(&fuzz, text, len, CAP);
        text[len] = '\0';
        exact = fuzz_exact(text, strlen(text) + 1);
        compare(exact, &accepted);
        if (cfg_upstream_parse(exact, &up, &err) != RC_OK) {
            assert_true(err_is_set(&err));
        } else {
            PQconninfoOption *again = PQconninfoParse(up.engine, NULL);

            assert_non_null(again); /* what the control plane's libpq gets, it accepts */
            PQconninfoFree(again);
        }
        cfg_upstream_fini(&up);
        free(exact);
    }
    assert_true(accepted > ROUNDS / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(mutated_urls_are_read_as_libpq_reads_them)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
