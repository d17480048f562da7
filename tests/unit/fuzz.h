/*
 * A small deterministic mutator: the slice of fuzzing that runs in every `make test` (and, in
 * `make asan`, under the sanitizers). The same seed gives the same inputs on every machine.
 */
#ifndef SEGUE_TESTS_FUZZ_H
#define SEGUE_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct fuzz {
    uint64_t state;
    const char *const *words; /* pieces to splice in; NULL-terminated */
    size_t nwords;
};

static inline uint64_t fuzz_next(struct fuzz *fuzz)
{
    fuzz->state ^= fuzz->state << 13;
    fuzz->state ^= fuzz->state >> 7;
    fuzz->state ^= fuzz->state << 17;
    return fuzz->state;
}

static inline size_t fuzz_below(struct fuzz *fuzz, size_t n)
{
    return n ? (size_t)(fuzz_next(fuzz) % n) : 0;
}

/* One change of `bytes` (len of cap): flip, drop, double, cut, or splice a word. Returns the new
 * length. */
static inline size_t fuzz_mutate(struct fuzz *fuzz, char *bytes, size_t len, size_t cap)
{
    size_t at = fuzz_below(fuzz, len + 1);
    size_t n = 1 + fuzz_below(fuzz, 8);
    const char *word;

    switch (fuzz_below(fuzz, 5)) {
    case 0:
        if (at < len)
            bytes[at] = (char)fuzz_next(fuzz);
        return len;
    case 1:
        n = n < len - at ? n : len - at;
        memmove(bytes + at, bytes + at + n, len - at - n);
        return len - n;
    case 2:
        n = n < len - at ? n : len - at;
        if (len + n > cap)
            return len;
        memmove(bytes + at + n, bytes + at, len - at);
        return len + n;
    case 3:
        return at > len / 2 ? at : len;
    default:
        word = fuzz->words[fuzz_below(fuzz, fuzz->nwords)];
        n = strlen(word);
        if (len + n > cap)
            return len;
        memmove(bytes + at + n, bytes + at, len - at);
        memcpy(bytes + at, word, n);
        return len + n;
    }
}

/* A heap copy of exactly `len` bytes, so that a sanitizer sees a read one beyond. */
static inline char *fuzz_exact(const char *bytes, size_t len)
{
    char *copy = malloc(len ? len : 1);

    memcpy(copy, bytes, len);
    return copy;
}

#endif
