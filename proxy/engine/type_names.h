/*
 * What a migration does is said in texts, made when it was planned, and types have names there. A
 * type may get another name, or another schema, while the migration is in flight; so may its
 * schema. Writers do not notice (guard_calls.h); a step whose text the server does not understand
 * any more fails.
 */
#ifndef SEGUE_ENGINE_TYPE_NAMES_H
#define SEGUE_ENGINE_TYPE_NAMES_H

#include "runner.h"

/* Is that why it failed? Then err says so, and what to do, in place of the server's words. Outside
 * of a transaction. */
void type_names_explain(struct eng_engine *engine, const struct eng_migration *m, struct err *err);

#endif
