/* How each throttle signal is read. A reading that fails leaves `known` false and says why. */
#ifndef SEGUE_ENGINE_THROTTLE_READ_H
#define SEGUE_ENGINE_THROTTLE_READ_H

#include <jansson.h>

#include "throttle.h"

/* throttle_sample.c: asks the server for these parts in one query, within 2 s. */
void throttle_sample(struct eng_engine *engine, unsigned parts);
/* A column of it, or NULL; then out says why. */
const char *throttle_sampled(const struct throttle *t, const char *column,
                             struct throttle_reading *out);

/* The same as an array, to be released; NULL with out->known when there is nothing in it. */
json_t *throttle_array(const struct throttle *t, const char *column, struct throttle_reading *out);
/* Of a row of it: a number; its first text, "?" when there is none. */
double throttle_number(const json_t *row, size_t i);
const char *throttle_name(const json_t *row);

void throttle_read_lag_s(struct eng_engine *engine, struct throttle_reading *out);
void throttle_read_lag_bytes(struct eng_engine *engine, struct throttle_reading *out);
void throttle_read_direct_s(struct eng_engine *engine, struct throttle_reading *out);
void throttle_read_direct_bytes(struct eng_engine *engine, struct throttle_reading *out);
void throttle_read_slots(struct eng_engine *engine, struct throttle_reading *out);
void throttle_read_p99(struct eng_engine *engine, struct throttle_reading *out);
void throttle_read_active(struct eng_engine *engine, struct throttle_reading *out);
void throttle_read_blocked(struct eng_engine *engine, struct throttle_reading *out);
void throttle_read_wal(struct eng_engine *engine, struct throttle_reading *out);
void throttle_read_autovacuum(struct eng_engine *engine, struct throttle_reading *out);
void throttle_read_backpressure(struct eng_engine *engine, struct throttle_reading *out);
void throttle_read_query(struct eng_engine *engine, struct throttle_reading *out);
void throttle_read_file(struct eng_engine *engine, struct throttle_reading *out);
void throttle_read_window(struct eng_engine *engine, struct throttle_reading *out);
void throttle_read_pause(struct eng_engine *engine, struct throttle_reading *out);

/* throttle_lag.c: the standbys that are expected to be there, in memory and in segue.standbys. */
bool throttle_lag_knows(const struct throttle *t, const char *name);
void throttle_lag_expect(struct throttle *t, const char *name); /* in memory alone */
void throttle_lag_fini(struct throttle *t);
enum rc throttle_lag_load(struct eng_engine *engine, struct err *err) MUST_CHECK;
enum rc throttle_lag_forget(struct eng_engine *engine, struct err *err) MUST_CHECK;
void throttle_lag_note(struct throttle *t, double lsn); /* where the primary is */

/* "cores=8": how many, or 0 */
unsigned throttle_cores(const char *setting);

#endif
