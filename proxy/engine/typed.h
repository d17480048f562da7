/*
 * Commands with a migration's name, so that what a hint says can be typed as it stands: in a shell
 * and on the console. And what ends a migration in its phase, for who stands in another's way.
 */
#ifndef SEGUE_ENGINE_TYPED_H
#define SEGUE_ENGINE_TYPED_H

#include "phase.h"
#include "segue/base/buf.h"

/* For a shell: in single quotes. */
void typed_quoted(struct buf *out, const char *text);
/* "segue VERB NAME"; heap. */
char *typed_shell(const char *verb, const char *name);
/* "COMPLETE NAME FORCE (segue complete NAME --force)" of the verb "complete"; heap. */
char *typed_force(const char *verb, const char *name);
/* "complete or abort "NAME" first", or what does it in that phase; heap. */
char *typed_end(const char *name, enum eng_phase_id phase);
/* Refuses to start it: it is in that phase already. */
void typed_already(const char *name, const char *phase, struct err *err);
/* There is none of that name (42704). in_flight: the names that are, with commas; "": none. */
void typed_unknown(const char *name, const char *in_flight, struct err *err);

#endif
