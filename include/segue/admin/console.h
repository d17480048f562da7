/*
 * The admin console: the virtual database `segue`, for psql, libpq and the command line alike.
 *
 *   console = adm_console_new(&options);
 *   plane = sess_plane_new(&sess, adm_console_ops(), console); engine = eng_new(&eng, plane);
 *   adm_console_bind(console, plane, engine, takeover); sess_plane_start(plane, &err); ...
 *   adm_console_free(console) when plane and engine are gone.
 *
 * Questions (SHOW ...) are answered at once on the worker; verbs become jobs of the engine, which
 * answers later. Not here: framing and login (session), what a verb does (engine).
 */
#ifndef SEGUE_ADMIN_CONSOLE_H
#define SEGUE_ADMIN_CONSOLE_H

#include <jansson.h>

#include "segue/engine/engine.h"
#include "segue/session/console.h"
#include "segue/session/plane.h"
#include "segue/takeover/takeover.h"

#define SEGUE_VERSION "0.1.0"

struct adm_console;

struct adm_options {
    char *const *admin_users;     /* NULL-terminated; empty: anybody over loopback (copied) */
    char *const *stats_users;     /* who may only look (copied) */
    const char *login_database;   /* the upstream's database that admin users log in to (copied) */
    json_t *(*config)(void *ctx); /* SHOW CONFIG, from any thread; the caller decrefs */
    void *ctx;
};

struct adm_console *adm_console_new(const struct adm_options *options);
void adm_console_bind(struct adm_console *console, struct sess_plane *plane,
                      struct eng_engine *engine, struct tko *takeover);
void adm_console_free(struct adm_console *console);

/* For sess_plane_new, with the console as its ctx. */
const struct sess_console_ops *adm_console_ops(void);

/* SIGHUP; from any thread. */
void adm_console_set_users(struct adm_console *console, char *const *admin_users,
                           char *const *stats_users);

/* SHOW HELP: a row a command, made from the command tables. Caller decrefs. */
json_t *adm_help(void);

#endif
