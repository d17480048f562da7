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
    bool nothing_yet;          /* it is not there, and may be made */
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
char *doctor_psql(const struct doctor *d, const char *sql); /* "psql 'URL' -c '...'"; heap */
/* The same as another role; NULL: nobody is known who may say it. Heap. */
char *doctor_psql_as(const struct doctor *d, const char *role, const char *sql);
char *doctor_url(const struct doctor *d, const char *role);   /* of the database, as role; heap */
char *doctor_segue(const struct doctor *d, const char *verb); /* "segue VERB NAME"; heap */
/* What takes back what the migration has made (stage abort), or drops what it was to drop
 * (contract): a psql with a -c for each statement, since some cannot run in a transaction. Heap. */
char *doctor_clean_up(const struct doctor *d, const struct eng_migration *m, enum eng_stage stage);

/* Roles that may log in, of SQL: who may do what the owner does (itself, or else who has its
 * privileges, or else a superuser), and who may make others members of a role. */
#define DOCTOR_AS_OWNER(oid)                                                                       \
    "(SELECT w.rolname FROM pg_roles w WHERE w.rolcanlogin AND pg_has_role(w.oid, " oid            \
    ", 'USAGE') ORDER BY w.oid <> " oid ", w.rolsuper, w.oid LIMIT 1)"
/* Who may end a backend of that role: NULL where who asks may. */
#define DOCTOR_AS_ENDER(oid)                                                                       \
    "CASE WHEN NOT (pg_has_role(" oid ", 'USAGE') OR (pg_has_role('pg_signal_backend', 'USAGE') "  \
    "AND NOT (SELECT z.rolsuper FROM pg_roles z WHERE z.oid = " oid                                \
    "))) THEN " DOCTOR_AS_OWNER(oid) " END"
#define DOCTOR_AS_ADMIN(oid)                                                                       \
    "(SELECT w.rolname FROM pg_roles w WHERE w.rolcanlogin AND (w.rolsuper OR EXISTS (SELECT "     \
    "FROM pg_auth_members a WHERE a.roleid = " oid " AND a.member = w.oid AND a.admin_option)) "   \
    "ORDER BY w.rolsuper, w.oid LIMIT 1)"

/* Membership in the role that owns something is missing. said: who has what, "role r is not ...".
 * All are quoted as SQL wants them but admin, DOCTOR_AS_ADMIN of the owner, and login, its name. */
struct doctor_membership {
    const char *role, *owner, *login, *admin;
    bool super; /* the owner is a superuser */
};
void doctor_say_membership(struct doctor *d, const struct doctor_membership *lacks,
                           const char *said);

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
enum rc doctor_writers(struct doctor *d, struct err *err);
enum rc doctor_guards(struct doctor *d, struct err *err);
enum rc doctor_defaults(struct doctor *d, struct err *err);
enum rc doctor_indexes(struct doctor *d, struct err *err);
enum rc doctor_rows(struct doctor *d, struct err *err);

#endif
