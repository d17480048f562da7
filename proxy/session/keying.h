/*
 * Keys of passwords for so many SCRAM iterations that a worker would stand still for its sessions:
 * made by threads of their own, which begin when the first is asked for. One of the plane.
 *
 *   login->job = sess_keying_ask(keying, work, done, ctx, id);     done(ctx, id), on any thread,
 * then work = sess_keying_result(login->job);                         NULL: not yet
 *   sess_keying_drop(login->job);                                  whether it is done or not
 *
 * A login has one job at most, so startup_open_max bounds them. Logins that need the same keys at
 * the same time wait for one making of them. Not here: how keys are made (auth/key_work.c), where
 * they are kept (auth/key_cache.c).
 */
#ifndef SEGUE_SESSION_KEYING_H
#define SEGUE_SESSION_KEYING_H

#include <stdint.h>

#include "segue/auth/scram.h"

struct sess_keying;
struct sess_key_job;

struct sess_keying *sess_keying_new(void);
/* No `done` is called any more; what is under way is left as it is. */
void sess_keying_stop(struct sess_keying *keying);
/* Behind the last drop. NULL is harmless. */
void sess_keying_free(struct sess_keying *keying);

/* Takes `work`. `done` must not wait for the caller; it is called before this returns where the
 * system gives no thread. */
struct sess_key_job *sess_keying_ask(struct sess_keying *keying, struct auth_key_work *work,
                                     void (*done)(void *ctx, uint64_t id), void *ctx, uint64_t id);

/* Valid until the drop. */
const struct auth_key_work *sess_keying_result(struct sess_key_job *job);

/* What is under way for nobody else is given up. NULL is harmless. */
void sess_keying_drop(struct sess_key_job *job);

#endif
