/*
 * What the data plane has seen, as tables for the console: {"columns": [...], "rows": [[...]]}.
 * From any thread, also a worker's: counters are read, never locked. The caller decrefs.
 */
#ifndef SEGUE_SESSION_SHOW_H
#define SEGUE_SESSION_SHOW_H

#include <jansson.h>

#include "segue/session/plane.h"

json_t *sess_show_stats(struct sess_plane *plane);    /* counters, rates over the last minute */
json_t *sess_show_latency(struct sess_plane *plane);  /* by class of statement */
json_t *sess_show_messages(struct sess_plane *plane); /* by direction and type */
json_t *sess_show_errors(struct sess_plane *plane);   /* by class of SQLSTATE */
json_t *sess_show_workers(struct sess_plane *plane);
json_t *sess_show_tls(struct sess_plane *plane); /* a row a leg */
json_t *sess_show_listeners(struct sess_plane *plane);
json_t *sess_show_memory(struct sess_plane *plane);
json_t *sess_show_sessions(struct sess_plane *plane);
json_t *sess_show_upstreams(struct sess_plane *plane); /* one row a host; takes their locks */

json_t *sess_show_rewrites(struct sess_plane *plane); /* takes the locks of the caches */

#endif
