/*
 * The COMMIT of a VALIDATE gives writers another description of the table. PostgreSQL (15 to 18)
 * frees the old one under an INSERT or UPDATE that has begun to look at the table's CHECKs, where
 * the session has run a trigger in PL/pgSQL on it: "unrecognized token", XX000. So no writer may
 * be under way at that moment. The lock is asked for behind the long work and for an instant at a
 * time, since who waits behind it waits as long; a long transaction is not waited for in the end.
 */
#ifndef SEGUE_ENGINE_ALONE_H
#define SEGUE_ENGINE_ALONE_H

#include "conn.h"
#include "segue/engine/plan.h"

/* What follows the VALIDATE of table `no` in its transaction. Heap. conn: has the path of the
 * file's names. */
char *alone_sql(const struct eng_conn *conn, const struct eng_plan *plan, int no);

#endif
