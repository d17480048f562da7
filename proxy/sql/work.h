/*
 * A rewrite under way: what its passes share. Private to the sql layer.
 *
 * text.c goes over the statements, walk.c over each, and calls the passes; scope.c says what a name
 * means; star.c makes
 * `*` and joins stable, record.c whole rows; insert.c and set.c write twins. A pass adds edits, or
 * a doubt: then the text stays as it is, but for the names of tables that have two.
 */
#ifndef SEGUE_SQL_WORK_H
#define SEGUE_SQL_WORK_H

#include "edit.h"
#include "rules_private.h"
#include "segue/sql/rewrite.h"
#include "tokens.h"
#include "tree.h"

#define SQL_WIDTH_UNKNOWN SIZE_MAX

struct sql_record;
struct sql_scope;

/* Whole rows that were found (record.h). */
struct sql_records {
    struct sql_record *items;
    size_t n, cap;
    struct sql_marks at; /* where they stand, and those that were dropped */
};

/* A column of what a query shows, or several of them (columns.h). */
enum sql_column_kind {
    SQL_COLUMN_NAMED,
    SQL_COLUMN_NUMBERED, /* of VALUES: column1 and so on */
    SQL_COLUMN_NAMELESS, /* nobody knows what it is called */
    SQL_COLUMN_STAR,     /* all of a relation that does not migrate */
    SQL_COLUMN_ANY,      /* any number of any names */
};

struct sql_column {
    enum sql_column_kind kind;
    const char *name;             /* NAMED */
    const struct sql_node *range; /* STAR: the RangeVar */
    size_t renamed;               /* STAR: so many of its first ones have other names */
};

/* Those of all queries of a text, one after the other. */
struct sql_columns {
    struct sql_column *items;
    size_t n, cap;
};

/* What one query shows: a part of them. */
struct sql_shows {
    size_t at, n;
    bool known;
    bool loose; /* in which order is not known */
    /* Of the tables, as the session sees them, that its stars stand for; 0: there are none. */
    uint64_t signature;
    bool open;    /* it has what may be of another type where a name means something else */
    bool unknown; /* a star stands for one whose columns are not known: no signature */
};

/* Which revision speaks (said.h): sets of tables. */
struct sql_said {
    uint64_t own, other; /* of which columns are named that only the session's side has, or only the
                            other one */
    uint64_t twofold;    /* a name means something else than their hidden column */
    uint64_t unsure;     /* and to either of two revisions that may speak */
    uint64_t rows;       /* the same, where it would be a row: new names beside it tell nothing */
    /* known on a second walk: */
    uint64_t meant; /* their hidden columns are columns */
    uint64_t alone; /* and the other ones that only one side has are not */
};

/* What is looked at again and again: each place of a level for each name there, each target for
 * each item that is sorted by. What anybody means to ask takes a small part of it; what takes more
 * is left as it is, and nobody waits for it. */
struct sql_effort {
    size_t left;
    bool spent;
};

#define SQL_EFFORT_MAX 20000000

struct sql_work {
    const struct sql_rules *rules;
    const struct sql_sight_of_session *session;
    const char *text; /* NUL-terminated */
    size_t len;
    struct sql_tokens tokens;
    struct sql_edits edits;
    struct sql_records records;
    /* In PREPARE: what the server keeps may outlive the twins, and nobody prepares it again. */
    bool kept;
    /* What is selected goes into columns of the client's types, not to the client. */
    bool stored;
    struct sql_said said;
    /* By statements in front of this one, in the same text. */
    struct sql_taken hidden;
    bool altered; /* one of them has altered or dropped a table: its columns are not what they were
                   */
    bool fickle;  /* or has made a function or a trigger: no twins */
    struct sql_path_step path; /* where the statement stands that is walked */
    uint64_t opaque;           /* the same, where nobody sees what: as the session's `unseen` */
    /* Columns of the query, or of the RETURNING, that was walked last (width.h). */
    size_t width;
    struct sql_shows shows; /* and what they are called (columns.h) */
    struct sql_columns columns;
    unsigned doubts; /* all that there were: a bit each */
    bool unnamed;    /* and one is about which table a name means, or where it stands */
    bool unseen;     /* a table is named that the session's `unseen` has */
    /* An INSERT without a list: is that what is written to now; may its name be another relation's
     * whose columns are not looked at; and do its values meet hidden columns? (scope.c, insert.c)
     */
    bool by_places, perhaps, shifted;
    bool listed;     /* VALUES of one of them do: its list is kept, whatever else is in doubt */
    bool buried;     /* a row comes out of a sub-select within an expression */
    bool names_only; /* the walk is for the names of tables: other edits will be dropped */
    struct sql_effort *effort; /* of all walks */
    struct sql_rewrite *out;
};

/* Are there so many things left to be looked at? False: what is found without is of no use. */
static inline bool sql_work_spend(const struct sql_work *w, size_t n)
{
    if (n <= w->effort->left) {
        w->effort->left -= n;
        return true;
    }
    w->effort->left = 0;
    w->effort->spent = true;
    return false;
}

/* The first doubt wins. */
static inline void sql_work_doubt(struct sql_work *w, enum sql_doubt doubt)
{
    w->doubts |= 1U << doubt;
    if (w->out->doubt == SQL_DOUBT_NONE)
        w->out->doubt = doubt;
}

/* May something else than the rules know be behind a write? */
static inline bool sql_work_fickle(const struct sql_work *w)
{
    return w->fickle || w->session->fickle;
}

static inline uint64_t sql_work_bit(const struct rule *rule)
{
    return UINT64_C(1) << rule->bit;
}

/* Which of the table's names that is; both, where it has one or the other cannot mean it. */
static inline struct sql_taken sql_work_name(const struct rule *rule, const char *name)
{
    uint64_t bit = sql_work_bit(rule);

    if (!rule->other)
        return (struct sql_taken){bit, bit};
    return sql_rule_is_other(rule, name) == rule->reversed ? (struct sql_taken){.old = bit}
                                                           : (struct sql_taken){.new = bit};
}

static inline bool sql_work_is_new(const struct sql_work *w, const struct rule *rule)
{
    return w->session->side == SQL_SIDE_FOLLOW ? rule->reversed : w->session->side == SQL_SIDE_NEW;
}

/* A column of the other side only, or of none. */
static inline bool sql_work_hides(const struct sql_work *w, const struct rule *rule,
                                  const struct rule_column *column)
{
    return column->sight == SQL_SEEN_BY_NOBODY || column->sight == SQL_SEEN_NEVER ||
           column->sight == (sql_work_is_new(w, rule) ? SQL_SEEN_BY_OLD : SQL_SEEN_BY_NEW);
}

static inline uint64_t sql_work_signature(const struct sql_work *w, const struct rule *rule)
{
    return sql_work_is_new(w, rule) ? rule->new_signature : rule->old_signature;
}

/* The class of the session's path at the statement of that number, from 1. */
struct sql_path_step sql_path_at(const struct sql_sight_of_session *session, unsigned number);

/* inspect.c: what sql_inspect says, of a text that has been parsed (NULL: it could not be). session
 * NULL: its search path is not known. */
void sql_verdict_of(const struct sql_rules *rules, const struct sql_sight_of_session *session,
                    const struct sql_node *tree, const char *text, size_t len,
                    struct sql_verdict *out);

/* Of a text that does not mention any table of the rules. */
void sql_verdict_of_none(const char *text, size_t len, struct sql_verdict *out);

/* ---- text.c ---- */

/* The tokens of what is looked at, and perhaps of more: of a script most may be of others. */
enum rc sql_walk_scan(struct sql_work *w, const struct sql_node *tree) MUST_CHECK;

/* All statements of the text. */
void sql_walk(struct sql_work *w, const struct sql_node *tree);

/* Once more behind sql_walk, where that has left a doubt: each statement by itself, so that one in
 * doubt leaves the others alone. False: there is but one. */
bool sql_walk_apart(struct sql_work *w, const struct sql_node *tree);

/* Should a name be that of a relation which nobody has seen: the columns that are put into the text
 * are not there, an error. As it is, a text that goes by columns would have values in wrong ones,
 * and nobody would notice; any other one is better left. */
bool sql_walk_is_better_left(const struct sql_work *w);

/* Is it for certain which names mean a table, and only not what its columns are? */
bool sql_walk_knows_names(const struct sql_work *w);

/* The same where there is but one, and that is so: what is edited is which of its two names a table
 * has, and nothing else. */
void sql_walk_names(struct sql_work *w, const struct sql_node *tree);

/* ---- temporary.c ---- */

/* Names of tables that a temporary relation in the statement has. */
struct sql_taken sql_temporaries(const struct sql_rules *rules, const struct sql_node *tree);

/* ---- makes.c ---- */

/* Names of tables, in whatever schema, that a relation has which the statement may make. */
struct sql_made sql_namesakes_made(const struct sql_rules *rules, const struct sql_node *tree);

/* ---- insert.c, set.c: lists and twins. `table` is what the statement writes to. ---- */

/* The column list of an INSERT: one for those without (new columns must not shift what the client
 * counts), and twins, with their values: rows of VALUES, or what is selected. `width`: its columns.
 */
void sql_insert_columns(struct sql_work *w, const struct rule *table, const struct sql_node *insert,
                        size_t width);

/* The list of an UPDATE ("targetList" of `node`), ON CONFLICT DO UPDATE or WHEN MATCHED. scope: its
 * places; NULL: the statement has several such lists. Of those the server confounds the sub-selects
 * for rows of columns: each arm of a MERGE has another's values, or crashes. */
void sql_set_twins(struct sql_work *w, struct sql_scope *scope, const struct rule *table,
                   const struct sql_node *node);

/* WHEN NOT MATCHED THEN INSERT: node is the MergeWhenClause. */
void sql_merge_insert_columns(struct sql_work *w, const struct rule *table,
                              const struct sql_node *node);

/* May an expression be written twice: the same value, no effect, hardly more work? */
bool sql_expr_may_repeat(const struct sql_work *w, const struct sql_node *expr);

/* May it stand in a sub-select instead, where it is evaluated once? Nothing in it may mean
 * something else there (an aggregate), and by itself it has a type. */
bool sql_expr_may_move(const struct sql_work *w, const struct sql_node *expr);

/* Is it for certain that no part of it does more than to give a value? */
bool sql_expr_is_calm(const struct sql_work *w, const struct sql_node *expr);

/* Is it there already, without an operator or a conversion for each row? */
bool sql_expr_is_value(const struct sql_node *expr);

#endif
