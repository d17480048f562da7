/* The engine's own copy of its options, texts included. */
#ifndef SEGUE_ENGINE_OPTIONS_H
#define SEGUE_ENGINE_OPTIONS_H

#include "segue/engine/engine.h"

void eng_options_copy(struct eng_options *to, const struct eng_options *from);
void eng_options_free(struct eng_options *options); /* its texts; harmless when zero */

#endif
