/*
 * Drives a target by a fixed number of mutations of its seeds, the same on every machine: the
 * slice of `make fuzz` that needs no clang. Argument: how many.
 */
#include <stdio.h>

#include "../unit/fuzz.h"
#include "target.h"

#define CAP 2048

static const char *const words[] = {"checks", "claim", "user",      "BEGIN;", "\x01\x01",
                                    "\x7f",   "S",     "Z\x01\x01", "X",      "\xff\xff"};

int main(int argc, char **argv)
{
    struct fuzz fuzz = {0x5e90e, words, sizeof(words) / sizeof(words[0])};
    long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 1000;
    char bytes[CAP];

    for (size_t i = 0; i < fuzz_nseeds; i++)
        fuzz_one((const uint8_t *)fuzz_seeds[i].bytes, fuzz_seeds[i].len);
    for (long i = 0; i < rounds; i++) {
        const struct fuzz_seed *seed = &fuzz_seeds[fuzz_below(&fuzz, fuzz_nseeds)];
        size_t len = seed->len;
        char *exact;

        memcpy(bytes, seed->bytes, len);
        for (size_t n = 1 + fuzz_below(&fuzz, 4); n > 0; n--)
            len = fuzz_mutate(&fuzz, bytes, len, CAP);
        exact = fuzz_exact(bytes, len);
        fuzz_one((const uint8_t *)exact, len);
        free(exact);
    }
    printf("%s: %zu seeds and %ld mutations: ok\n", argv[0], fuzz_nseeds, rounds);
    return 0;
}
