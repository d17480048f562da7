/*
 * Two segues on one database. One has the advisory lock and does the work; the other one follows
 * what the store says, so that its clients have the rules. Where a cut-over, or a way back, changes
 * names of tables, that is not enough: a statement that the second one sends a moment later would
 * name a table that is not there. So it is asked to hold its clients, too, and answers; both by
 * advisory locks, which all can see, and which end with whoever has them.
 */
#ifndef SEGUE_ENGINE_SECOND_H
#define SEGUE_ENGINE_SECOND_H

#include "runner.h"

/* ---- second.c ---- */

/* Takes a lock that no segue keeps another one from, for the session, without waiting; harmless
 * when it has it. 55P03: a stranger has it, and err says who: any role may take it. */
enum rc second_take(struct eng_conn *conn, int64_t key, bool shared, struct err *err) MUST_CHECK;

/* ---- second_gate.c: of the one at work ---- */

/* Asks all who follow, and waits until they hold those who may name the tables. RC_AGAIN: one of
 * them does not, and err says who. */
enum rc second_ask(struct eng_engine *engine, struct err *err) MUST_CHECK;
/* Do they still, in the moment of the COMMIT? As second_ask. */
enum rc second_look(struct eng_engine *engine, struct err *err) MUST_CHECK;
/* It is done, or is not: they go on. Harmless when nobody was asked. */
void second_let_go(struct eng_engine *engine);

/* ---- second_gate.c: of the one that follows ---- */

/* From here on it is asked. *asked: it is, now. */
enum rc second_enrol(struct eng_engine *engine, bool *asked, struct err *err) MUST_CHECK;
/* Is a migration in flight that may be about to ask? */
bool second_expects(const struct eng_engine *engine);
/* Holds clients until the other one is done, and publishes what there is then by `read`. */
void second_obey(struct eng_engine *engine, void (*read)(struct eng_engine *engine));

#endif
