/*
 * The compiled migration: what the planner (migration file + catalog in) hands to the runner.
 *
 * A plan is plain data, made once when the phase becomes `planned`, stored as JSON in
 * segue.migrations.plan and read back on every resume, so that a catalog which expand has
 * already changed never alters it. The planner knows what to do; the runner knows how to do it
 * safely (locks, gate, retries, persistence). `segue plan` prints exactly these steps.
 * Not here: running (engine/engine.h).
 */
#ifndef SEGUE_ENGINE_PLAN_H
#define SEGUE_ENGINE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <libpq-fe.h>

#include "segue/base/err.h"

/* In the order of a migration's life; the runner runs a stage's steps by `no`. */
enum eng_stage {
    ENG_STAGE_EXPAND,   /* expanding: tables, columns, guard */
    ENG_STAGE_BACKFILL, /* backfilling: one pass a table (the runner's own SQL, from eng_dual) */
    ENG_STAGE_BUILD, /* still backfilling: indexes CONCURRENTLY, constraints NOT VALID, VALIDATE */
    ENG_STAGE_CUTOVER,  /* all steps in the one cut-over transaction */
    ENG_STAGE_REVERT,   /* soaking back to ready: all steps in one transaction */
    ENG_STAGE_SOAK,     /* soaking: proof of what binds since the cut-over; undone by the revert */
    ENG_STAGE_SETTLE,   /* after either: what need not be in it, while traffic flows */
    ENG_STAGE_CONTRACT, /* complete: drop the old */
    ENG_STAGE_ABORT,    /* drop what expand made; every step tolerates what is not there */
    ENG_STAGE_COUNT
};

enum eng_step_kind {
    ENG_STEP_DDL,          /* sql runs in one transaction together with its own "done" mark */
    ENG_STEP_CONCURRENTLY, /* CREATE INDEX CONCURRENTLY: outside a transaction, idempotent */
    ENG_STEP_VALIDATE,     /* VALIDATE CONSTRAINT: own transaction, SHARE UPDATE EXCLUSIVE, long */
    ENG_STEP_FILL,         /* backfill of tables[table] */
    ENG_STEP_PARTITIONS,   /* an index of a partitioned table, piece by piece: eng_parts_sql */
    ENG_STEP_LEAVES,       /* an index of each leaf of such a table: eng_leaves_sql */
    ENG_STEP_SQL, /* the file's statements: one transaction with their mark, as long as they take */
    ENG_STEP_ANALYZE, /* outside a transaction; a courtesy: the migration goes on where it fails */
    ENG_STEP_KIND_COUNT
};

struct eng_step {
    enum eng_stage stage;
    enum eng_step_kind kind;
    int no;      /* from 1, unique in the plan */
    int table;   /* index into eng_plan.tables, or -1 (e.g. a new table without references) */
    char *title; /* "add columns claim, config_json to public.checks" */
    char **sql;  /* run in order */
    size_t nsql;
    char *lock;    /* strongest lock on a live table, PostgreSQL's name, or "" */
    char *lock_on; /* "public.checks" (several with commas), or "" */
    char *holds;   /* how long, for people: "an instant; lock_timeout 200 ms, retried" */
    bool gate;     /* stronger than SHARE UPDATE EXCLUSIVE on a live table: gate + lock_timeout */
    bool again;    /* of build: the way back uses up what it has made, and `ready` does it again; of
                    * settle: done again after every turn */
    char *index_schema, *index_name; /* CONCURRENTLY, PARTITIONS, LEAVES: what to look for */
    int undoes; /* number of the step that this one takes back, and must have run; 0: none */
};

/* The sql of an ENG_STEP_PARTITIONS that builds. In front of the first "(" {whole}, {index} and
 * {partition} stand for names: of the index that a piece becomes a part of, of that piece, of its
 * partition. The step that takes it back has one statement, for the index of the table. */
enum eng_parts_sql {
    ENG_PARTS_WHOLE,  /* makes the index of the table, without its partitions */
    ENG_PARTS_BRANCH, /* the same of a partition that has partitions */
    ENG_PARTS_LEAF,   /* CREATE INDEX CONCURRENTLY on any other */
    ENG_PARTS_ATTACH,
    ENG_PARTS_COUNT,
    ENG_PARTS_OWN = ENG_PARTS_COUNT, /* of a constraint: gives it to the partition, in front of
                                      * ENG_PARTS_ATTACH */
};

/* The sql of an ENG_STEP_LEAVES, with {index} and {partition} as above: index_name, with "_" and
 * the oid of the leaf behind it. They are parts of nothing. */
enum eng_leaves_sql {
    ENG_LEAVES_BUILD,
    ENG_LEAVES_SOAK, /* of a partition that comes in soak, where it wants one: names are turned */
};

/* In front of a statement of contract that changes nothing, and fails where those behind it could
 * not be done: `complete` asks it before anything is dropped, too. */
#define ENG_LOOKS "/* looks only */ "

/* A dual column, or one side of it. Names are catalog spelling, expressions are over the table's
 * bare columns exactly as in the file (defaults filled in: a plain rename has the column). */
struct eng_dual {
    char *old_name;            /* NULL: column is only added */
    char *new_name;            /* NULL: column is only dropped */
    char *old_type, *new_type; /* format_type() with typmod */
    char *up;                  /* old side to new; NULL only when nothing is to be filled */
    char *down;                /* new side to old; NULL for added columns, and for one that goes
                                * and needs no value */
    /* columns `up` reads (what "changed o" means for an added column); of a column that only goes
     * those that `down` reads */
    char **up_columns;
    size_t nup_columns;
    char **down_columns; /* of a pair: those that `down` reads */
    size_t ndown_columns;
    bool plain;        /* rename without a change of value or type */
    char *equality;    /* of a plain one's type: its = compares bytes ("bytes"), or does so under
                        * collation "C" ("text"); NULL: it does not, or nobody has looked */
    bool varies;       /* what `up` or `down` gives may depend on settings of the session */
    bool not_null;     /* the new column is to be NOT NULL; one that only goes is */
    bool old_not_null; /* the old column of a pair is */
    /* A change of type under one name: `old_name` is the column's name, `new_name` that of the half
     * that waits. The cut-over swaps them (turned.h); what is said here is of before it. */
    bool retypes;
    /* Columns split or merged: the members of one group have its number (0: of none). Each is one
     * column, old with `down` or new with `up`, that reads columns of the group's other side
     * alone; they are in step or not together (guard_group.h). */
    int group;
    /* What an INSERT that leaves a member out means while its column has no default: that of an
     * old one after the cut-over, that of a new one before. Of a column that is only added: the
     * default that it has after the cut-over. NULL: none. */
    char *def;
    /* Of a column that is only added: `up` takes the next number of a sequence, so it is not asked
     * but to fill. */
    bool counts;
    /* The default that the old column has until the cut-over, and the new one from then on: "" for
     * none, NULL: it is not the plan's. On the other side of the cut-over neither has one. */
    char *old_default, *new_default;
    /* Of a pair, what the new column gets of the old one's: a kind, a space, its value, "" for the
     * server's own (attributes.h). None: a plan of before it was noted. */
    char **kept;
    size_t nkept;
    /* What `up`, `down` and `def` name may get another name while the migration is in flight: the
     * guard calls functions of which the server keeps the tree (guard_calls.h). */
    bool by_trees;
    char *up_call, *down_call, *def_call; /* not the plan's: what the body of the guard says then */
};

struct eng_table {
    char *schema, *name;
    char *renamed; /* what it is called from the cut-over on; NULL: it keeps its name */
    uint32_t oid;
    char relkind;      /* 'r' or 'p' */
    char *guard;       /* name of the guard function in schema segue; trigger is "~segue_guard" */
    char *search_path; /* of the guard function: a quoted list, as the file's author sees names */
    char *settings; /* " SET name = value ..." of the guard function, where a dual varies; NULL */
    struct eng_dual *duals;
    size_t nduals;
    char **key; /* primary key columns, for showing rows; may be empty */
    size_t nkey;
    char **relatives; /* bare names: partitions, tables with foreign keys to or from it */
    size_t nrelatives;
    char **dependents; /* what was there on columns that go; none: not looked for (dependents.h) */
    size_t ndependents;
    /* of enums that `up` and `down` read, make or say: an oid of pg_enum, a space, the label
     * (type_names.h) */
    char **labels;
    size_t nlabels;
};

struct eng_note { /* a warning or a refusal, for plan's output */
    bool refusal;
    char *object; /* "view public.v_checks" */
    char *text;   /* why */
    char *hint;   /* what to do */
    char *sql;    /* the statements for that, or NULL */
};

struct eng_plan {
    char *name;
    char *sha256;             /* of the file's bytes, hex */
    char *file;               /* the file's text */
    char *names;              /* the search_path by which the file's names were taken; NULL: an
                               * older segue has planned it */
    struct eng_table *tables; /* tables with dual columns */
    size_t ntables;
    char **created; /* "schema.table" of created tables, quoted as needed */
    size_t ncreated;
    char **dropped; /* the same of tables that contract drops */
    size_t ndropped;
    struct eng_step *steps;
    size_t nsteps;
    struct eng_note *notes;
    size_t nnotes;
    /* version_table, or NULL */
    char *version_kind;     /* "alembic", "drizzle", "sql" */
    char *version_relation; /* "public.alembic_version", quoted */
    char **version_from;    /* expected current heads */
    size_t nversion_from;
    char *version_to;
    /* "after" of the file; not in the JSON: segue.migrations.parents has them */
    char **parents;
    size_t nparents;
};

/* Who else works on a table, asked where a plan fails: what is not there, or is there twice, may be
 * due to that. RC_ERR: err says so, in place of the failure. */
struct eng_plan_others {
    void *arg;
    enum rc (*check)(void *arg, const char *schema, const char *name, struct err *err);
};

/* Reads the file's text and the catalog over `conn` (read only), compiles. On RC_OK the plan may
 * still hold refusals (eng_plan_refused): it may be shown, not started. On RC_ERR err says what,
 * where (line, field), what to do. `where` names the file in messages. */
enum rc eng_plan_make(PGconn *conn, const struct eng_plan_others *others, const char *where,
                      const char *text, struct eng_plan **plan, struct err *err) MUST_CHECK;
void eng_plan_free(struct eng_plan *plan);
bool eng_plan_refused(const struct eng_plan *plan, struct err *err); /* err: the first refusal */
void eng_plan_note(struct eng_plan *plan, bool refusal, const char *object, const char *text,
                   const char *hint); /* copies */

json_t *eng_plan_to_json(const struct eng_plan *plan);
enum rc eng_plan_from_json(const json_t *json, struct eng_plan **plan, struct err *err) MUST_CHECK;

const char *eng_stage_name(enum eng_stage stage);

/* For people and `segue plan`: {"columns": [...], "rows": [[...]]}, a row a step or note. */
json_t *eng_plan_table(const struct eng_plan *plan);

#endif
