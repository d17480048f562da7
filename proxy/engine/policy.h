/*
 * What is done about those in whose way a cut-over, its way back or complete is found blocked
 * (options cutover_blockers, cutover_blockers_after_ms, cutover_blockers_exempt): nothing, or they
 * are cancelled or terminated once they have been seen in the way for so long.
 *
 * Only client backends are: never replication, autovacuum, a prepared transaction or segue's own
 * connections. What was done is logged and goes into m->acted, and with the next attempt into
 * segue.attempts. Not here: who is in the way (gated.h).
 */
#ifndef SEGUE_ENGINE_POLICY_H
#define SEGUE_ENGINE_POLICY_H

#include "runner.h"

struct eng_policy; /* whom a migration has met, since when */

/* After an attempt that found m->blocking: remembers them; sleeps pause_ms, or until the first of
 * them may be ended. */
void policy_sleep(struct eng_engine *engine, struct eng_migration *m, int64_t pause_ms);

/* Before an attempt: ends those whose time has come and who still hold locks on the relations
 * (names as eng_lock_names), and gives them a moment to go. */
void policy_act(struct eng_engine *engine, struct eng_migration *m, const char *names);

void policy_free(struct eng_policy *policy);

#endif
