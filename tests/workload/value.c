/* Random values: what people and programs really put into text and JSON columns. */
#include "workload.h"

#include <stdio.h>
#include <stdlib.h>

#include "segue/base/buf.h"
#include "segue/base/mem.h"

static const char *const phrases[] = {
    "Tariffs cause inflation",
    "the \"quoted\" claim",
    "it's what they said",
    "back\\slash and \\n that is no line end",
    "Größenwahn naïveté",
    "東京の人口は減る",
    "двадцать процентов",
    "🙂🚀",
    "tab\tand\nline end",
    "$1 is not a parameter; $$neither$$",
    "claim_text, claim and aggregation are names too",
    "-- no comment /* really */",
    "100 % of {braces} [brackets]",
    "\r\n",
    "   padded   ",
};

/* Valid JSON that applications write into text columns; jsonb prints some of it differently. */
static const char *const odd_json[] = {
    "null", "true", "[]", "{}", "\"claim\"", "1.50", "[ 1,2,\n3 ]", "{\"b\":1, \"a\":2, \"b\":3}",
};

/* The same as jsonb prints it. */
static const char *const odd_jsonb[] = {
    "null", "true", "[]", "{}", "\"claim\"", "1.50", "[1, 2, 3]", "{\"a\": 2, \"b\": 3}",
};

/* Not JSON, or JSON that jsonb cannot hold. */
static const char *const not_json[] = {
    "",
    "NaN",
    "{\"method\": \"trimmed",
    "{'single': 'quotes'}",
    "Traceback (most recent call last)",
    "{\"a\": 1}}",
    "\"\\u0000\"",
    "{\"s\": \"\\ud800\"}",
};

uint32_t wl_random(uint64_t *rng, uint32_t below)
{
    /* splitmix64 */
    uint64_t z = (*rng += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    z ^= z >> 31;
    return (uint32_t)(((z >> 32) * below) >> 32);
}

static const char *pick(uint64_t *rng, const char *const *list, size_t n)
{
    return list[wl_random(rng, (uint32_t)n)];
}

char *wl_random_claim(uint64_t *rng, const char *run_id)
{
    struct buf buf = {0};
    uint32_t parts = wl_random(rng, 5);

    if (wl_random(rng, 60) == 0)
        return mem_strdup("");
    buf_append_str(&buf, run_id); /* so that a search by claim finds one row */
    for (uint32_t i = 0; i < parts; i++)
        buf_printf(&buf, "%s%s", i ? ", " : ": ", pick(rng, phrases, ARRAY_LEN(phrases)));
    buf_printf(&buf, " #%u", wl_random(rng, 1000000));
    return buf_take(&buf);
}

/* A JSON string, escaped as jsonb escapes it. */
static void append_string(struct buf *buf, const char *s)
{
    static const char named[] = "\b\f\n\r\t\"\\";
    static const char letters[] = "bfnrt\"\\";

    buf_append_u8(buf, '"');
    for (; *s; s++) {
        int i = 0;
        while (named[i] && named[i] != *s)
            i++;
        if (named[i])
            buf_printf(buf, "\\%c", letters[i]);
        else
            buf_append_u8(buf, (uint8_t)*s);
    }
    buf_append_u8(buf, '"');
}

char *wl_random_json(uint64_t *rng, bool as_jsonb)
{
    struct buf buf = {0};
    uint32_t die = wl_random(rng, 40);

    if (die == 0)
        return NULL;
    if (die == 1)
        return mem_strdup(as_jsonb ? pick(rng, odd_jsonb, ARRAY_LEN(odd_jsonb))
                                   : pick(rng, odd_json, ARRAY_LEN(odd_json)));
    if (die == 2 && !as_jsonb)
        return mem_strdup(pick(rng, not_json, ARRAY_LEN(not_json)));
    if (die == 2) {
        /* what the migration makes of text that is not JSON: an application may hand it back */
        buf_append_str(&buf, "{\"segue_invalid_json\": ");
        append_string(&buf, pick(rng, phrases, ARRAY_LEN(phrases)));
        buf_append_str(&buf, "}");
        return buf_take(&buf);
    }
    /* jsonb orders keys by length, then bytes, and puts one blank after : and , */
    const char *comma = as_jsonb ? ", " : ",";
    const char *colon = as_jsonb || wl_random(rng, 2) ? ": " : ":";
    buf_printf(&buf, "{\"B\"%s%u%s\"note\"%s", colon, 1000 + wl_random(rng, 9000), comma, colon);
    append_string(&buf, pick(rng, phrases, ARRAY_LEN(phrases)));
    buf_printf(&buf, "%s\"trim\"%s0.%u%s\"flags\"%s[%s%s\"x\"]", comma, colon,
               1 + wl_random(rng, 9), comma, colon, wl_random(rng, 2) ? "true" : "null", comma);
    buf_printf(&buf, "%s\"method\"%s\"m%u\"}", comma, colon, wl_random(rng, 5));
    return buf_take(&buf);
}
