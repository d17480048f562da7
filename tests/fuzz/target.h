/*
 * What a fuzz target is: one function, and seeds. fuzz_libfuzzer.c drives it by coverage (`make
 * fuzz`), fuzz_slice.c by a fixed number of fixed mutations (`make test`).
 */
#ifndef SEGUE_TESTS_FUZZ_TARGET_H
#define SEGUE_TESTS_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

struct fuzz_seed {
    const char *bytes;
    size_t len;
};
#define FUZZ_SEED(literal)                                                                         \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

extern const struct fuzz_seed fuzz_seeds[];
extern const size_t fuzz_nseeds;

/* Aborts on a finding. */
int fuzz_one(const uint8_t *data, size_t len);

#endif
