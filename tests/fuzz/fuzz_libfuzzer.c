/*
 * Drives a target by coverage (clang's libFuzzer). `fuzz_x -seeds FOLDER` writes the target's
 * seeds there and ends: the corpus to start from.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    return fuzz_one(data, len);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char path[4096];

    if (*argc != 3 || strcmp((*argv)[1], "-seeds") != 0)
        return 0;
    for (size_t i = 0; i < fuzz_nseeds; i++) {
        FILE *file;

        snprintf(path, sizeof(path), "%s/seed%zu", (*argv)[2], i);
        file = fopen(path, "wb");
        if (!file || fwrite(fuzz_seeds[i].bytes, fuzz_seeds[i].len, 1, file) != 1 ||
            fclose(file) != 0) {
            perror(path);
            exit(1);
        }
    }
    exit(0);
}
