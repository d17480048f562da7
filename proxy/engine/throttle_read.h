/* How each throttle signal is read. A reading that fails leaves `known` false and says why. */
#ifndef SEGUE_ENGINE_THROTTLE_READ_H
#define SEGUE_ENGINE_THROTTLE_READ_H

#include "throttle.h"

void throttle_read_lag_s(struct eng_engine *engine, struct throttle_reading *out);
void throttle_read_lag_bytes(struct eng_engine *engine, struct throttle_reading *out);
void throttle_read_p99(struct eng_engine *engine, struct throttle_reading *out);
void throttle_read_backpressure(struct eng_engine *engine, struct throttle_reading *out);
void throttle_read_pause(struct eng_engine *engine, struct throttle_reading *out);

#endif
