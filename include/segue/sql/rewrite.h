/*
 * What a statement becomes for a session of one schema version (DESIGN 5, 6). Pure: text and rules
 * in, text out.
 *
 * Old and new columns stand side by side in the table. A session sees those of its side only: `*`,
 * COPY and INSERT without a list, NATURAL JOIN, whole rows and unqualified names mean what they
 * mean where the other side's columns are not there. And what writes one of two twins writes the
 * other, so that the guard has nothing left to do.
 *
 * Edits are splices in the client's own text. What is not understood with certainty stays as it
 * is, with the reason: correctness never depends on a rewrite, the guard does the work.
 */
#ifndef SEGUE_SQL_REWRITE_H
#define SEGUE_SQL_REWRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "segue/sql/inspect.h"
#include "segue/sql/rules.h"

enum sql_side {
    SQL_SIDE_FOLLOW, /* each table's own: old until its cut-over, new after */
    SQL_SIDE_OLD,
    SQL_SIDE_NEW,
};

/* Why a statement that names a migrating table was left as it is, but perhaps for the name of one
 * that has two, where columns are in doubt and it is certain, and for a list (head.h). */
enum sql_doubt {
    SQL_DOUBT_NONE,
    SQL_DOUBT_GRAMMAR,   /* the parser does not understand it, or it is not UTF-8 */
    SQL_DOUBT_STATEMENT, /* a kind of statement that is never rewritten */
    SQL_DOUBT_LENGTH,    /* longer than what is looked at */
    SQL_DOUBT_OFF,       /* a comment in it says segue:off */
    SQL_DOUBT_COLUMNS,   /* the table's columns are not known */
    SQL_DOUBT_PATH,      /* an unqualified name may mean another relation */
    SQL_DOUBT_NAME,      /* a column's name could mean more than one thing */
    SQL_DOUBT_ROW,       /* a whole row where its type matters */
    SQL_DOUBT_STAR,      /* a star whose columns cannot be listed */
    SQL_DOUBT_JOIN,      /* NATURAL JOIN, or a list of aliases, beside what forbids a sub-select */
    SQL_DOUBT_CLAUSE,    /* ONLY, TABLESAMPLE and the like around what would be edited */
    SQL_DOUBT_TABLE,     /* the table's other name as a type, or as a text that names a relation */
    SQL_DOUBTS
};

/* "unqualified name may mean another relation", for people. */
const char *sql_doubt_text(enum sql_doubt doubt);

#define SQL_NOWHERE UINT32_MAX

struct sql_splice {
    uint32_t at;       /* byte offset in the client's text */
    uint32_t removed;  /* bytes of it that are replaced */
    uint32_t inserted; /* bytes that stand there instead */
    uint32_t moved;    /* not 0: they are the client's own, which began at the byte before this one;
                          SQL_NOWHERE: what they stand for has no position for the server either */
};

/* Tables whose names something else may have, a mask each: the name of before the cut-over, and the
 * one from then on, which are the same but for a table that is renamed. */
struct sql_taken {
    uint64_t old, new;
};

static inline struct sql_taken sql_taken_join(struct sql_taken a, struct sql_taken b)
{
    return (struct sql_taken){a.old | b.old, a.new | b.new};
}

static inline bool sql_taken_any(struct sql_taken names)
{
    return (names.old | names.new) != 0;
}

static inline bool sql_taken_same(struct sql_taken a, struct sql_taken b)
{
    return a.old == b.old && a.new == b.new;
}

/* By a relation that a statement may make. */
struct sql_made {
    struct sql_taken certain;
    struct sql_taken unless_there; /* not where it finds the table itself: sql_path_makes_in */
};

struct sql_rewrite {
    struct sql_verdict verdict; /* of the client's text: as sql_inspect says */
    enum sql_doubt doubt;       /* not NONE: of what is in it, names of tables alone */
    uint64_t early;             /* tables of which a new column is read before it may be */
    uint64_t stars;             /* tables whose `*` (or COPY, or whole row) was meant */
    uint64_t positional;        /* tables into which it INSERTs without a column list */
    bool by_columns; /* as it is it would mean other columns than the session's, stars apart */
    /* Of the columns that stars give in its result, as the session sees them: another number, other
     * columns. 0: there are none, or not known. `closed`: it gives nothing else. */
    uint64_t signature;
    bool closed;
    struct sql_taken hides; /* by a temporary relation that it names, from now on */
    struct sql_made makes;
    uint64_t says; /* tables that are named by a DO which makes tables */
    char *text;    /* what to send instead; NULL: the client's own text. Owned. */
    size_t len;
    struct sql_splice *splices; /* in order; owned */
    bool head;                  /* of a text that goes on behind it, as it is (head.h) */
    size_t nsplices;
};

/* Behind the statement number `at` of a text (from 1; 0: in all of it) the search path is of this
 * class. `perhaps`: it is as long as nothing unseen has moved it, which is weighed as `unseen` is.
 */
struct sql_path_step {
    unsigned at;
    bool perhaps;
    uint64_t path;
};

#define SQL_PATH_STEPS_MAX 6 /* behind more of them it is not known */

struct sql_path_steps {
    unsigned n;
    struct sql_path_step v[SQL_PATH_STEPS_MAX];
};

struct sql_sight_of_session {
    enum sql_side side;
    bool follows;  /* the side is the migration's: the session itself has not said one */
    bool rewrites; /* false: only the verdict and what was seen */
    struct sql_taken shadowed; /* by a temporary table of this session */
    /* Tables whose name a relation may have that nobody has seen being made: hardly ever one has.
     * What means other columns where it is not rewritten is, and all else is left. */
    uint64_t unseen;
    bool unlisted; /* relations may have columns called as old or new ones, and the rules do not
                      know: it has made them */
    bool fickle;   /* it has made a trigger or a function of which they do not know: no twins */
    uint64_t path; /* the class of its search path (sql/path.h), as the text begins */
    struct sql_path_steps steps;
};

/* What FOLLOW means for a statement that touches `tables`: OLD or NEW; FOLLOW when it is not the
 * same for all of them, or none is a table of the rules. */
enum sql_side sql_rules_side(const struct sql_rules *rules, uint64_t tables);

/* Has one of `tables` no columns any more that only `side` saw: they are about to be dropped? */
bool sql_rules_gone(const struct sql_rules *rules, uint64_t tables, enum sql_side side);

/* Full work without a cache. `text` need not be NUL-terminated. */
void sql_rewrite(const struct sql_rules *rules, const struct sql_sight_of_session *session,
                 const char *text, size_t len, struct sql_rewrite *out);
void sql_rewrite_fini(struct sql_rewrite *rewrite);

/* A position that the server names (1-based, in characters of the text sent) as one in the client's
 * text, of which both may be the heads (head.h); inside of what was inserted: where it was
 * inserted, or moved from. 0: nowhere. */
uint32_t sql_rewrite_position(const struct sql_rewrite *rewrite, const char *text, size_t len,
                              uint32_t position);
/* Do the client's own words stand at this position of the text sent? */
bool sql_rewrite_is_own(const struct sql_rewrite *rewrite, uint32_t position);

#endif
