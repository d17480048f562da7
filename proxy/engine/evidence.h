/* The evidence of one migration (segue evidence): one JSON document. */
#ifndef SEGUE_ENGINE_EVIDENCE_H
#define SEGUE_ENGINE_EVIDENCE_H

#include <jansson.h>

#include "segue/base/err.h"

struct eng_engine;

/* *out: a table of one row and one column, the caller's. 42704: there is none of that name. */
enum rc eng_evidence(struct eng_engine *engine, const char *name, json_t **out,
                     struct err *err) MUST_CHECK;

#endif
