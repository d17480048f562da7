/* The engine's own copy of its options: the configuration may be swapped under it. */
#include <stdlib.h>

#include "options.h"
#include "segue/base/mem.h"

void eng_options_copy(struct eng_options *to, const struct eng_options *from)
{
    *to = *from;
    to->upstream = mem_strdup(from->upstream);
    to->postpone_file = mem_strdup(from->postpone_file ? from->postpone_file : "");
    to->throttle = mem_strdup(from->throttle ? from->throttle : "");
    to->blockers_exempt = mem_strdup(from->blockers_exempt ? from->blockers_exempt : "");
}

void eng_options_free(struct eng_options *options)
{
    free((char *)(uintptr_t)options->upstream);
    free((char *)(uintptr_t)options->postpone_file);
    free((char *)(uintptr_t)options->throttle);
    free((char *)(uintptr_t)options->blockers_exempt);
    *options = (struct eng_options){0};
}
