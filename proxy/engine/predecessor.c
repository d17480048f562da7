/*
 * A segue that was taken over serves its sessions to their end, and this engine's gate does not
 * hold them: its rules and its gate died with its own engine. So what needs the gate waits for it.
 *
 * Without the gate a strong lock would still be safe for the data (the guard keeps rows in step,
 * lock_timeout bounds the wait), but not unnoticed: those sessions would queue behind the lock, a
 * client with a shorter lock_timeout of its own would see an error, and dropping old columns under
 * a session whose statements nobody looks at would break it. Filling and verifying go on.
 */
#include "runner.h"
#include "segue/base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define LOOK_AGAIN_MS 200
#define HOLD_POLL_MS 5

void eng_predecessor(struct eng_engine *engine, int pid, int first, unsigned sessions)
{
    uint64_t one = 1;

    atomic_store(&engine->predecessor_first, first);
    atomic_store(&engine->predecessor_sessions, sessions);
    atomic_store(&engine->predecessor, pid);
    if (!pid && write(engine->wakefd, &one, sizeof(one)) < 0 && errno != EAGAIN)
        return; /* it looks by itself, a little later */
}

int eng_predecessor_first(struct eng_engine *engine)
{
    int pid = atomic_load(&engine->predecessor), first = atomic_load(&engine->predecessor_first);

    return pid && first ? first : pid;
}

int eng_predecessor_serves(struct eng_engine *engine)
{
    return atomic_load(&engine->predecessor_sessions) ? eng_predecessor_first(engine) : 0;
}

bool eng_gate_free(struct eng_engine *engine, struct eng_migration *m)
{
    int pid = atomic_load(&engine->predecessor);
    unsigned sessions = atomic_load(&engine->predecessor_sessions);

    atomic_store(&engine->gated, !pid);
    if (!pid && !atomic_load(&engine->held)) /* whoever holds it now sees that we have begun */
        return true;
    atomic_store(&engine->gated, false);
    buf_reset(&m->blockers);
    if (!pid)
        buf_append_str(&m->blockers, "waiting for another segue that takes over");
    else if (sessions == ENG_SESSIONS_UNKNOWN)
        buf_printf(&m->blockers, "waiting for the sessions of the predecessor, process %d", pid);
    else
        buf_printf(&m->blockers, "waiting for %u sessions of the predecessor, process %d", sessions,
                   eng_predecessor_first(engine));
    eng_sleep(m, LOOK_AGAIN_MS);
    eng_status_put(engine, m);
    return false;
}

bool eng_hold(struct eng_engine *engine, bool hold, unsigned wait_ms)
{
    int64_t until = clock_ms() + wait_ms;

    atomic_store(&engine->held, hold);
    while (hold && atomic_load(&engine->gated)) {
        if (clock_ms() >= until) {
            atomic_store(&engine->held, false);
            return false;
        }
        clock_sleep_ms(HOLD_POLL_MS);
    }
    return true;
}

void eng_predecessor_unseen(struct eng_engine *engine, struct eng_migration *m)
{
    int pid = eng_predecessor_first(engine);
    char why[96];

    if (!pid)
        return;
    snprintf(why, sizeof(why),
             "perhaps sessions of the predecessor, process %d, which this segue does not see", pid);
    eng_usage_unseen(engine, m, why);
}
