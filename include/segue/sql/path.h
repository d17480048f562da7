/*
 * Search paths: which relation an unqualified name means where several are called so, and what a
 * statement does to the path. Pure.
 *
 * A path is the text of the setting search_path, as the server shows it: "$user", public. To the
 * rules it is a class: what it says of each contested name (one that a migrating table or
 * partition shares with another relation). Paths that decide alike are of one class.
 * Not here: whose path it is, and when it changes (session/path.h).
 */
#ifndef SEGUE_SQL_PATH_H
#define SEGUE_SQL_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "segue/sql/rules.h"

#define SQL_PATH_UNKNOWN 0      /* the class of a path that is not known: nothing is decided */
#define SQL_PATH_NAMES_MAX 16   /* contested names that a class can decide; others stay in doubt */
#define SQL_PATH_BYTES_MAX 1024 /* of a path with its NUL; a longer one is not known */
#define SQL_PATH_SCHEMAS_MAX 64 /* in a path; one with more is not known */

/* Does the path matter to these rules? False: every name is decided without it. NULL: false. */
bool sql_path_matters(const struct sql_rules *rules);

/* Can functions of the database change the path, or the role, unseen? */
struct sql_path_hidden {
    bool path, role;
};
struct sql_path_hidden sql_path_hidden(const struct sql_rules *rules);

/* Has a temporary relation of some session one of the names? NULL: no. */
bool sql_path_temporaries(const struct sql_rules *rules);

/* Of a session; NULL: not known. */
struct sql_path_of {
    const char *path, *role;
    const char *temporary; /* the schema of its temporary relations; "": there is none */
};
uint64_t sql_path_class_of(const struct sql_rules *rules, const struct sql_path_of *of);

/* Tables that are, with all their partitions, in the schema in which an unqualified relation is
 * made that is not temporary. 0: cannot tell. */
uint64_t sql_path_makes_in(const struct sql_rules *rules, const struct sql_path_of *of);

static inline uint64_t sql_path_class(const struct sql_rules *rules, const char *path,
                                      const char *role)
{
    return sql_path_class_of(rules, &(struct sql_path_of){.path = path, .role = role});
}

/* What a text does to the path of the session that runs it. */
enum sql_path_kind {
    SQL_PATH_STAYS,
    SQL_PATH_SETS,   /* to `value` */
    SQL_PATH_RESETS, /* to what it was when the session began */
    SQL_PATH_ROLE,   /* the current role becomes `value` */
    SQL_PATH_ENDS,   /* may end a transaction, or a part of it, with what was set there */
    SQL_PATH_LOST,   /* cannot tell: path and role may be any */
};

struct sql_path_move {
    enum sql_path_kind kind;
    bool local;      /* until the transaction ends */
    bool known;      /* there is a value; else it may be any */
    const char *tag; /* of the command that does it: "SET", "RESET", "SELECT"; "" for others */
    char value[SQL_PATH_BYTES_MAX];
};

/* `text` need not be NUL-terminated. Ordinary statements cost a search for a few words; functions
 * that are called count as harmless (see sql_path_hidden). */
void sql_path_move(const char *text, size_t len, struct sql_path_move *out);

/* The same, one statement after the other: `each` of those that do something to it, with its number
 * in the text, from 1; 0: of all, the text cannot be read. `perhaps`: it runs what nobody sees, and
 * says nothing of the path; hardly ever does that move it. */
typedef void sql_path_each(void *ctx, unsigned at, bool perhaps, const struct sql_path_move *move);
void sql_path_each_move(const char *text, size_t len, sql_path_each *each, void *ctx);

#endif
