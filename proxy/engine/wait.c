/* Whose turn it is, and what the engine thread waits for between turns. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner.h"
#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"

#define IDLE_MS 1000

/* A failure stops the road, not what is asked for beside it. */
static bool may_turn(const struct eng_migration *m)
{
    bool resting = m->phase == PH_READY || m->phase == PH_SOAKING;

    if (err_is_set(&m->failure))
        return resting && m->verify_wanted;
    /* the backfill asks the throttle itself, which shows that it is paused */
    return !m->paused || m->phase == PH_BACKFILLING || m->long_step >= 0 || m->verify_wanted;
}

bool eng_wants_turn(const struct eng_migration *m)
{
    return m->not_before_us <= clock_us() && may_turn(m);
}

static int64_t wait_ms(const struct eng_engine *engine)
{
    int64_t until = clock_us() + IDLE_MS * 1000;

    if (!engine->ready) {
        int64_t ms = (engine->connect_at_us - clock_us() + 999) / 1000;

        return ms < 0 ? 0 : ms < IDLE_MS / 4 ? ms : IDLE_MS / 4;
    }
    for (size_t i = 0; i < engine->nmigrations; i++) {
        const struct eng_migration *m = engine->migrations[i];
        bool waits = err_is_set(&m->failure) && !m->verify_wanted;

        if (!waits && m->not_before_us < until &&
            (!m->paused || m->not_before_us > clock_us() || eng_wants_turn(m)))
            until = m->not_before_us;
    }
    if (engine->nmigrations && eng_publish_due_us(engine) < until)
        until = eng_publish_due_us(engine);
    until -= clock_us();
    return until > 0 ? (until + 999) / 1000 : 0;
}

static void wake_filling(struct eng_engine *engine, const struct pollfd *fds, size_t n)
{
    for (size_t i = 0; i < engine->nmigrations && n > 0 && engine->ready; i++) {
        struct eng_migration *m = engine->migrations[i];
        struct pollfd own[ENG_FILL_FDS_MAX];
        size_t count = may_turn(m) ? eng_fill_fds(engine, m, own, ENG_FILL_FDS_MAX) : 0;

        for (size_t j = 0; j < count && j < n; j++) {
            if (fds[j].revents)
                m->not_before_us = 0;
        }
        fds += count;
        n -= count;
    }
}

/* For a job, for the answer to a batch, for the end of the connection on which nothing runs
 * between turns, or for the next turn that is due. */
void eng_wait(struct eng_engine *engine)
{
    size_t room = 2 + engine->nmigrations * ENG_FILL_FDS_MAX, n = 2;
    struct pollfd *fds = mem_calloc(room, sizeof(*fds));
    uint64_t count;

    fds[0] = (struct pollfd){.fd = engine->wakefd, .events = POLLIN};
    fds[1] =
        (struct pollfd){.fd = engine->ready ? PQsocket(engine->work.pg) : -1, .events = POLLIN};
    for (size_t i = 0; i < engine->nmigrations && engine->ready; i++) {
        if (may_turn(engine->migrations[i]))
            n += eng_fill_fds(engine, engine->migrations[i], fds + n, room - n);
    }
    if (poll(fds, n, (int)wait_ms(engine)) > 0) {
        if (fds[0].revents && read(engine->wakefd, &count, sizeof(count)) < 0)
            log_debug("wake: %s", strerror(errno));
        wake_filling(engine, fds + 2, n - 2);
        if (fds[1].revents)
            eng_heed(engine);
    }
    free(fds);
}
