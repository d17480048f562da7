/*
 * One engine a database: the one that comes second waits for the advisory lock, and says for whom,
 * in the log and on the board. It takes over by itself as soon as the first one is gone.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "runner.h"
#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "store.h"

#define SAY_US 60000000

/* "backend 17, from 10.0.0.7, since ..."; "" when it has just gone. Heap. */
static char *holder(struct eng_engine *engine)
{
    struct err ignored = {0};
    struct buf out = {0};
    PGresult *res =
        conn_query(&engine->work, &ignored,
                   "SELECT l.pid, coalesce(host(a.client_addr), 'this machine'), "
                   "coalesce(date_trunc('second', a.backend_start)::text, '?') FROM pg_locks l "
                   "LEFT JOIN pg_stat_activity a USING (pid) WHERE " STORE_LOCK_HELD,
                   STORE_LOCK_KEY);

    if (res && PQntuples(res))
        buf_printf(&out, "backend %" PRId64 ", from %s, since %s", res_int(res, 0, 0),
                   res_text(res, 0, 1), res_text(res, 0, 2));
    PQclear(res);
    return buf_take(&out);
}

static void say(struct eng_engine *engine)
{
    char *who = holder(engine);
    struct buf text = {0};

    buf_printf(&text,
               "another segue is at work on this database%s%s%s: waiting for its advisory lock",
               who[0] ? " (" : "", who, who[0] ? ")" : "");
    log_warning("%s", text.data);
    board_set_trouble(engine->board, text.data);
    buf_fini(&text);
    free(who);
}

void eng_lock_waits(struct eng_engine *engine)
{
    int predecessor = atomic_load(&engine->predecessor);

    if (predecessor) {
        if (!engine->lock_said_us)
            log_info("waiting for the advisory lock: the predecessor's engine, process %d, stops",
                     predecessor);
        engine->lock_said_us = clock_us();
    } else if (!engine->lock_said_us || clock_us() - engine->lock_said_us > SAY_US) {
        say(engine);
        engine->lock_said_us = clock_us();
    }
}
