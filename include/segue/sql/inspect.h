/*
 * What a statement may do to migrating tables. Pure: text and rules in, verdict out.
 *
 * Two stages (DESIGN 2): a case-folded search for table names, and only when it finds one the
 * PostgreSQL parser, once per distinct text and epoch (sql/cache.h).
 * In doubt the verdict says "touches": the gate then waits a little more, nothing worse.
 * Not here: rewriting.
 */
#ifndef SEGUE_SQL_INSPECT_H
#define SEGUE_SQL_INSPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "segue/sql/rules.h"

struct sql_verdict {
    uint64_t touches;   /* tables (bits) that the statement may lock, relatives included */
    uint64_t old_names; /* tables of which it names an old column (that contract will drop) */
    uint64_t new_names; /* tables of which it names a new column */
    uint64_t elsewhere; /* tables whose name, by the search path, means another relation here */
    uint64_t prepares;  /* tables named inside a SQL-level PREPARE (used later by EXECUTE) */
    bool begins;        /* starts an explicit transaction: BEGIN / START TRANSACTION anywhere */
    bool executes;      /* SQL-level EXECUTE: touches what the session's PREPAREs named */
    bool moves;         /* may change the search path, or end what was set in a transaction */
    uint8_t opaque;     /* enum sql_opaque, where who asks has looked */
    bool fickle;        /* sql_makes_fickle, or what is opaque may */
    bool columns;       /* sql_makes_columns, or what is opaque may; of SELECT INTO without that */
    bool alters;        /* one of its statements is an ALTER, or may be, and names a table */
    bool analysed;      /* false: the parser did not understand it; masks come from the search */
};

/* Cheap first stage: could the text matter at all? False means: an all-zero verdict except for
 * `begins` / `executes`, which sql_first_word answers without a parser. */
bool sql_mentions(const struct sql_rules *rules, const char *text, size_t len);

enum sql_first {
    SQL_FIRST_OTHER,
    SQL_FIRST_READS, /* SELECT, WITH, ( */
    SQL_FIRST_WRAPS, /* EXPLAIN, CREATE: an EXECUTE may be in it */
    SQL_FIRST_ALTER,
    SQL_FIRST_FORGETS, /* DEALLOCATE, DISCARD */
    SQL_FIRST_DO,
    SQL_FIRST_CALL,
    SQL_FIRST_IMPORT, /* FOREIGN SCHEMA */
    SQL_FIRST_BEGIN,  /* from here on: a verdict depends on it */
    SQL_FIRST_EXECUTE,
    SQL_FIRST_PREPARE
};

/* Bytes of white space, comments and empty statements in front of the first keyword. */
size_t sql_first_at(const char *text, size_t len);

/* Bytes up to the next statement, if there is one: strings are not told from the rest. Whoever goes
 * through a text by this reads it once. */
size_t sql_first_behind(const char *text, size_t len);

/* Does another statement stand behind a semicolon? Of a NUL-terminated text; in doubt one does. */
bool sql_first_is_several(const char *text, size_t len);

/* First keyword, after white space and comments (nested ones too); no allocation. */
enum sql_first sql_first_word(const char *text, size_t len);

/* Is it a command of the streaming replication protocol? To who is no walsender it is an error; and
 * nothing else stands behind it in one text. */
bool sql_first_replicates(const char *text, size_t len);

/* May relations come of it whose names are not to be seen in its tree? */
enum sql_opaque {
    SQL_OPAQUE_NO,
    SQL_OPAQUE_CALLS,   /* a procedure, which mostly makes none */
    SQL_OPAQUE_MAKES,   /* DO with words for it, IMPORT */
    SQL_OPAQUE_RELATES, /* DO with the words for a table or a view: what it names may be that */
};
enum sql_opaque sql_opaque(const char *text, size_t len);

/* Can sql_opaque find anything in a text of one statement that begins so? */
static inline bool sql_first_is_opaque(enum sql_first first)
{
    return first == SQL_FIRST_DO || first == SQL_FIRST_CALL || first == SQL_FIRST_IMPORT;
}

/* Can sql_makes_columns find anything in a text of one statement that begins so? */
static inline bool sql_first_is_maker(enum sql_first first)
{
    return first == SQL_FIRST_WRAPS || first == SQL_FIRST_ALTER || first == SQL_FIRST_READS;
}

/* May it make relations, or give them columns, called as an old or a new one (said in it, or taken
 * from elsewhere), of which the rules do not know yet? */
bool sql_makes_columns(const struct sql_rules *rules, const char *text, size_t len);

/* May it make a trigger, a rule, or what an expression calls? By its words. */
bool sql_makes_fickle(const char *text, size_t len);

/* Full verdict without a cache, of a session whose search path is not known. `text` need not be
 * NUL-terminated. */
void sql_inspect(const struct sql_rules *rules, const char *text, size_t len,
                 struct sql_verdict *out);

#endif
