/*
 * Somebody has dropped schema segue under migrations in flight: what they were doing is known to
 * this process alone, and CASCADE has taken the guards along. Nothing is done any more that would
 * have to be written down. The rules stay as they are for as long as the process lives, so that
 * clients see what they saw; the doctor says how the tables are cleaned up.
 */
#include <string.h>

#include "runner.h"
#include "segue/base/log.h"
#include "store.h"

bool eng_store_lost(struct eng_engine *engine, struct err *err)
{
    struct err why = {0};

    if (!engine->lost && conn_up(&engine->work) && !conn_retryable(err) &&
        !store_exists(&engine->work, &why) && !err_is_set(&why)) {
        engine->lost = true;
        log_error("schema segue was dropped: %zu migrations in flight stop where they are, their "
                  "guards are gone; segue doctor says what to do",
                  engine->nmigrations);
    }
    if (!engine->lost)
        return false;
    err_clear(err);
    err_set(err, "55000",
            "schema segue was dropped, and with it the state of this migration and "
            "the guards of its tables");
    err_hint(err, "segue doctor says what is left of it and how that is cleaned up; restart segue "
                  "when it is");
    return true;
}

void eng_store_lost_stop(struct eng_engine *engine)
{
    for (size_t i = 0; i < engine->nmigrations; i++) {
        struct eng_migration *m = engine->migrations[i];
        struct err why = {0};

        if (!eng_store_lost(engine, &why))
            return;
        eng_migration_let_go(m);
        eng_verify_answer(engine, m, &why);
        m->failure = why;
        eng_status_put(engine, m);
    }
}
