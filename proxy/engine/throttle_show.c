/* SHOW THROTTLE: a row a signal. */
#include <stdlib.h>

#include "runner.h"
#include "segue/base/mem.h"
#include "segue/base/utf8.h"

/* Texts of users and servers may be no UTF-8. */
static json_t *shown(const char *text)
{
    char *copy = mem_strdup(text);
    json_t *value;

    utf8_mend(copy);
    value = json_string(copy);
    free(copy);
    return value;
}

static json_t *limit(const struct throttle_signal *signal, double value)
{
    return signal->limit_max == 0 ? json_null() : json_real(value);
}

void throttle_show(struct eng_engine *engine)
{
    for (size_t i = 0; i < THROTTLE_COUNT; i++) {
        const struct throttle_state *state = &engine->throttle.signals[i];
        const struct throttle_signal *signal = throttle_signal(i);
        bool read = state->now.enabled && state->reading.known && state->reading.judged;
        const char *source = state->live            ? "live"
                             : state->is_configured ? "configuration"
                                                    : "default";
        json_t *row = json_pack(
            "[s,s,o,o,b,o,o,s,o,s,s]", signal->name, signal->unit, limit(signal, state->now.limit),
            limit(signal, state->configured.limit), state->now.enabled,
            state->now.setting ? shown(state->now.setting) : json_null(),
            read && signal->read ? json_real(state->reading.value) : json_null(),
            throttle_verdict_name(state->verdict), shown(state->reason), source, signal->help);

        board_put(engine->board, BOARD_THROTTLE, row, true);
    }
}
