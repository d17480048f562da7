/*
 * Choices of a simulation, made by the fuzzer's bytes; when those are used up, by a generator that
 * starts from them: a short input is a long conversation, too, and the same one every time.
 */
#ifndef SEGUE_TESTS_FUZZ_CHOICE_H
#define SEGUE_TESTS_FUZZ_CHOICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct choices {
    const uint8_t *bytes;
    size_t len;
    uint64_t state;
};

static inline struct choices choices_of(const uint8_t *bytes, size_t len)
{
    struct choices c = {bytes, len, UINT64_C(88172645463325252)};

    for (size_t i = 0; i < len; i++)
        c.state = (c.state ^ bytes[i]) * UINT64_C(1099511628211);
    c.state |= 1;
    return c;
}

/* One of n, which is at most 256. */
static inline unsigned choose(struct choices *c, unsigned n)
{
    if (c->len) {
        c->len--;
        return *c->bytes++ % n;
    }
    c->state ^= c->state << 13;
    c->state ^= c->state >> 7;
    c->state ^= c->state << 17;
    return (unsigned)((c->state >> 11) % n);
}

/* Once in n times. */
static inline bool rarely(struct choices *c, unsigned n)
{
    return choose(c, n) == n - 1;
}

#endif
