/*
 * Why does it not go on, and what is to be done? Looks at the database over a connection of its own
 * and gives findings, each with a hint and the next command. Changes nothing. Works where no engine
 * runs, too; a running one adds what only it knows.
 */
#ifndef SEGUE_ENGINE_DOCTOR_H
#define SEGUE_ENGINE_DOCTOR_H

#include <jansson.h>

#include "segue/base/err.h"

struct eng_engine;

/* *table: {"columns", "rows"} with weight (wrong, waits, note), migration, finding, what, hint,
 * command; the heaviest first. name NULL: every migration in flight. engine NULL: nobody runs here.
 * A database that cannot be reached is a finding. RC_ERR: 42704, there is no such migration. At
 * most some seconds: each look has its timeout. Caller decrefs. */
enum rc eng_doctor(const char *upstream, struct eng_engine *engine, const char *name,
                   json_t **table, struct err *err) MUST_CHECK;

#endif
