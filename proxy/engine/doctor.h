/*
 * What the rooms of the doctor share. Private to doctor*.c.
 *
 *   doctor.c         the table of looks, the findings
 *   doctor_place.c   the server, schema segue, who is at work, what nobody owns
 *   doctor_state.c   of a migration: where it stands, what it waits for
 *   doctor_tables.c  of a migration: its tables, their guards, indexes, privileges
 */
#ifndef SEGUE_ENGINE_DOCTOR_ROOMS_H
#define SEGUE_ENGINE_DOCTOR_ROOMS_H

#include "runner.h"
#include "segue/engine/doctor.h"

enum doctor_weight { DOCTOR_NOTE, DOCTOR_WAITS, DOCTOR_WRONG };

struct doctor {
    struct eng_conn conn;
    struct eng_engine *engine; /* NULL: nobody runs here */
    char *url;                 /* of the database, without a password */
    bool store;                /* schema segue is there, and may be read */
    int64_t version;           /* of it */
    struct eng_migration **migrations;
    double *phase_age_s; /* of each */
    size_t nmigrations;
    const struct eng_migration *m; /* the one that is looked at; NULL: none */
    double age_s;                  /* in its phase */
    json_t *rows;
};

/* Adds a finding. command: heap, taken; NULL: there is none. hint: may be "". */
void doctor_say(struct doctor *d, enum doctor_weight weight, const char *finding, char *command,
                const char *hint, const char *fmt, ...) PRINTF_LIKE(6, 7);
char *doctor_psql(const struct doctor *d, const char *sql);   /* "psql 'URL' -c '...'"; heap */
char *doctor_segue(const struct doctor *d, const char *verb); /* "segue VERB NAME"; heap */
/* What takes back what the migration has made (stage abort), or drops what it was to drop
 * (contract): a psql with a -c for each statement, since some cannot run in a transaction. Heap. */
char *doctor_clean_up(const struct doctor *d, const struct eng_migration *m, enum eng_stage stage);

/* The looks. RC_ERR: could not look, err says why. */
enum rc doctor_server(struct doctor *d, struct err *err);
enum rc doctor_store(struct doctor *d, struct err *err);
enum rc doctor_engine(struct doctor *d, struct err *err);
enum rc doctor_leftovers(struct doctor *d, struct err *err);

enum rc doctor_phase(struct doctor *d, struct err *err);
enum rc doctor_attempts(struct doctor *d, struct err *err);
enum rc doctor_complete(struct doctor *d, struct err *err);
enum rc doctor_predecessor(struct doctor *d, struct err *err);
enum rc doctor_throttle(struct doctor *d, struct err *err);
enum rc doctor_blocked(struct doctor *d, struct err *err);
enum rc doctor_transactions(struct doctor *d, struct err *err);
enum rc doctor_hidden(struct doctor *d, struct err *err);

enum rc doctor_relations(struct doctor *d, struct err *err);
enum rc doctor_privileges(struct doctor *d, struct err *err);
enum rc doctor_guards(struct doctor *d, struct err *err);
enum rc doctor_indexes(struct doctor *d, struct err *err);
enum rc doctor_rows(struct doctor *d, struct err *err);

#endif
