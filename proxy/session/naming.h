/*
 * Names that a session gives to prepared statements, and takes back, by SQL, while the server has
 * not answered: PREPARE, DEALLOCATE, DISCARD ALL on their way. Pure.
 *
 * What is done is told by the tag of its CommandComplete; what had none when its request is
 * answered has failed, or was not executed. Requests are numbered as `asked` of track.h counts.
 */
#ifndef SEGUE_SESSION_NAMING_H
#define SEGUE_SESSION_NAMING_H

#include "segue/sql/named.h"
#include "statements.h"

#define SESS_NAMINGS_MAX 64 /* at once; of others only the tag will be seen */

struct sess_naming {
    enum sql_named_kind kind;
    uint32_t ask;                     /* number of the request that it is part of */
    struct sess_statement *statement; /* PREPARE: this one; else NULL */
    char name[SQL_NAME_BYTES];        /* "" of DROP_ALL */
};

struct sess_namings;

/* Takes the reference that *naming holds, in any case. *set: NULL when nothing is on its way.
 * False: there is no room, in number or in bytes of statements. */
bool sess_namings_put_take(struct sess_namings **set, const struct sess_naming *naming,
                           size_t bytes_max);

/* A CommandComplete of request number `ask` says that one of this kind is done. False: it was not
 * known of. The reference in *out is the caller's. */
bool sess_namings_done(struct sess_namings **set, enum sql_named_kind kind, uint32_t ask,
                       struct sess_naming *out);

/* All requests up to number `ask` are answered; NULL is fine in *set, here and below. */
void sess_namings_answered(struct sess_namings **set, uint32_t ask);
void sess_namings_free(struct sess_namings **set);

/* May the name mean something else when the server reads what is sent now? */
bool sess_namings_concern(const struct sess_namings *set, const char *name);

/* What was sent has failed, and was sent again as the client wrote it. */
void sess_namings_unsent(struct sess_namings *set);

size_t sess_namings_bytes(const struct sess_namings *set);

#endif
