/*
 * What the rooms of the planner share: the plan under construction and the tables it works on.
 * Private to plan*.c.
 *
 *   plan.c        the order of work, and the plan for people
 *   plan_build.c  lists, steps, notes
 *   plan_ask.c    what the server is asked, and by which search_path
 *   plan_check.c  types, expressions and names, as the server sees them
 *   plan_table.c  a table's columns: what is filled, swapped
 *   plan_add.c    ... columns that are only added
 *   plan_retype.c a change of type under the column's own name
 *   plan_steps.c  the steps of a table, and the way back of each
 *   plan_carry.c  what a new column inherits: indexes, constraints
 *   plan_not_null.c ... NOT NULL
 *   plan_key.c    ... its primary key
 *   plan_key_parts.c ... that of a partitioned table
 *   plan_statistics.c ... its extended statistics
 *   plan_links.c  ... its foreign keys
 *   plan_identity.c ... what makes it count by itself
 *   plan_default.c ... its default, and the sequence behind it
 *   plan_drop.c   columns that go
 *   plan_alter.c  alter_column
 *   plan_change.c columns split and merged
 *   plan_constraint.c what constrains: new constraints of a live table
 *   plan_unique.c ... unique constraints and primary keys
 *   plan_foreign.c ... foreign keys
 *   plan_leaves.c ... foreign keys of partitioned tables
 *   plan_parts.c  indexes of partitioned tables (plan_parts.h)
 *   plan_release.c what does not any more: dropped constraints, columns that may be NULL
 *   plan_refers.c what new things refer to, and what the file does to that
 *   plan_new.c    new indexes
 *   plan_new_table.c  new tables
 *   plan_new_check.c  ... what create_table says, as the server sees it
 *   plan_new_links.c  ... and what its foreign keys refer to
 *   plan_version.c the version table
 *   plan_refuse.c what cannot be carried, and what to be warned of
 *   plan_rights.c ... what the role may not refer to
 *   plan_needed.c ... what hangs on an index or a sequence that goes
 *   plan_unproven.c ... constraints that are NOT VALID
 *   plan_replica.c ... what logical replication could not do without
 *   plan_views.c  ... views, and how to make them again
 *   plan_probe.c  a look at the rows: does `up` work on them? (plan_probe.h)
 *   plan_probe_index.c ... would the server make an index, a constraint, a generated column?
 *   plan_steady.c does an expression give the same to everybody, and may everybody call it?
 *   plan_things.c whole tables, indexes, replica identity
 *   plan_constraint_name.c ... names of constraints
 *   plan_rename.c tables that change their name
 *   plan_called.c ... and what the file calls them
 *   plan_names.c  names that the file gives away: none twice
 *   plan_many.c   ... and how many others have the same
 *   plan_enum.c   enum types
 *   plan_sql.c    the file's own statements
 *   plan_json.c   to JSON and back
 */
#ifndef SEGUE_ENGINE_PLAN_BUILD_H
#define SEGUE_ENGINE_PLAN_BUILD_H

#include "file.h"
#include "segue/base/buf.h"
#include "segue/engine/plan.h"

struct texts {
    char **v;
    size_t n, cap;
};

/* A table that the file renames: how the catalog has it, and what becomes of that. */
struct renamed {
    size_t at; /* the operation */
    char *oid, *schema, *name, *to;
    char *here, *there; /* "schema.name", quoted as segue does it, and as the server does */
    char *after;        /* "schema.to" */
};

/* A live table that the file names. */
struct target {
    json_t *doc;           /* segue/catalog/catalog.h */
    char *relation;        /* "public.checks", quoted as needed */
    char *after;           /* the same, as it is called from the cut-over on */
    int table;             /* index in the plan's tables, -1: only indexes are made on it */
    struct texts from, to; /* renames, pairwise */
    struct texts gone;     /* of these, renames that change the type */
    struct texts expand, cutover, revert; /* SQL, in order */
    /* of the way back: in front of all tables' what binds since the cut-over goes; in front of
     * `revert` and the links rows are mended; behind all tables' what binds again */
    struct texts unbind, mend, rebind;
    struct texts contract;                 /* the same, behind the drop of the old columns */
    struct texts restore;                  /* proofs at the end of abort: a scan, no strong lock */
    struct texts restored;                 /* what abort does when they are given */
    struct texts also;                     /* tables that the cut-over locks besides */
    struct texts old_columns, new_columns; /* quoted: what contract drops, what expand adds */
    struct texts shown;                    /* of those added: what people are told */
    struct texts swaps;  /* columns that change their type, and the names of their other halves */
    struct texts marks;  /* what indexes are to the table: last of the cut-over and of the revert */
    struct texts proofs; /* CHECK (n IS NOT NULL) constraints, dropped by contract */
    struct texts foreign; /* tables that carried foreign keys refer to: dropping them locks these */
    struct texts dropped; /* columns that only go */
    struct texts altered; /* columns that change in place: they get no other half, and stay */
    struct texts named;   /* names of new constraints that have an index */
    struct texts late;    /* ... and of those that bind from the cut-over on */
    struct texts released; /* names of constraints that go */
    bool fills;            /* has a column to be filled, and so a guard */
    bool guards;           /* has a guard, though nothing may be to be filled */
    size_t expanded;       /* number of the step that adds columns or guard, as of adding */
    unsigned ntemp;
};

enum build_path { BUILD_BY_UNKNOWN, BUILD_BY_OWN, BUILD_BY_NAMES };

struct build {
    PGconn *conn;         /* not to be asked but by own_... and named_... */
    enum build_path path; /* by which it goes now */
    char *names;          /* the role's path */
    char *schemas;        /* which schemas that are: text of an array */
    char *creates_in; /* the first of them, which gets what has no schema; NULL: there is none */
    const char *where, *text;
    const struct file *file;
    struct eng_plan *plan;
    size_t tables_cap, steps_cap, notes_cap, created_cap;
    struct target *targets;
    size_t ntargets, targets_cap;
    ptrdiff_t op_target[FILE_OPERATIONS_MAX]; /* operation to target; -1: a table it creates */
    struct link *links;                       /* foreign keys that are made again */
    size_t nlinks, links_cap;
    struct reference *references; /* of the file's new things, to what is there */
    size_t nreferences, references_cap;
    struct renamed *renames; /* in the order of the file */
    size_t nrenames, renames_cap;
    struct texts dropped;                  /* oids of tables that drop_table drops */
    struct texts gone_indexes, gone_types; /* the same of drop_index, remove_enum */
    struct made_enum *enums;               /* of create_enum, in the order of the file */
    size_t nenums;
    struct err *err;
};

/* ---- plan_build.c ---- */
void texts_add(struct texts *list, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool texts_has(const struct texts *list, const char *text);
void texts_fini(struct texts *list);

/* Adds a step; the pointer holds until the next one is added. */
struct eng_step *build_step(struct build *b, enum eng_stage stage, enum eng_step_kind kind,
                            int table, const char *fmt, ...) PRINTF_LIKE(5, 6);
void step_sql(struct eng_step *step, const char *fmt, ...) PRINTF_LIKE(2, 3);
void step_sql_list(struct eng_step *step, const struct texts *list, bool backwards);
/* Where the step stands among those of its stage: as the operation stands in the file; on the way
 * back the other way round; in contract behind what becomes of columns. */
void step_rank(struct eng_step *step, size_t op_index);
/* Which lock on what; a lock above SHARE UPDATE EXCLUSIVE goes through the gate. */
void step_lock(struct eng_step *step, const char *lock, const char *on, const char *holds);

/* Notes. `hint` may be NULL. */
void build_refuse(struct build *b, const char *object, const char *hint, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
void build_warn(struct build *b, const char *object, const char *hint, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

/* Sets the error, with file, line and path; returns RC_ERR. The second with what to do. */
enum rc build_fail(struct build *b, const char *path, const char *fmt, ...) PRINTF_LIKE(3, 4);
enum rc build_fail_hint(struct build *b, const char *path, const char *hint, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* Sets the error that the table has no column of that name, and which it may be. */
enum rc build_no_column(struct build *b, const char *path, const struct target *t,
                        const char *name);
/* What to do about a name that something else has. */
#define HINT_TAKEN "choose another name"

/* "~segue_<oid>_<n>": a name for what waits for the cut-over. Heap. */
char *target_temp(struct target *t);

/* ---- plan_ask.c ---- */
/* cat_query and cat_value of what segue says itself: every name in it is one of pg_catalog, or has
 * its schema. */
enum rc own_query(struct build *b, const char *sql, int nparams, const char *const *params,
                  PGresult **res, struct err *err) MUST_CHECK;
enum rc own_value(struct build *b, const char *sql, int nparams, const char *const *params,
                  char **out, struct err *err) MUST_CHECK;
/* The same of what holds names of the file. What is segue's own in it says pg_catalog. */
enum rc named_query(struct build *b, const char *sql, int nparams, const char *const *params,
                    PGresult **res, struct err *err) MUST_CHECK;
enum rc named_value(struct build *b, const char *sql, int nparams, const char *const *params,
                    char **out, struct err *err) MUST_CHECK;
enum rc paths_read(struct build *b) MUST_CHECK; /* first of all */
void paths_fini(struct build *b);
/* Qualified, of a name as SQL says it; heap. NULL in *out: there is none. */
enum rc relation_named(struct build *b, const char *name, char **out, struct err *err) MUST_CHECK;
enum rc type_named(struct build *b, const char *name, char **out, struct err *err) MUST_CHECK;
/* Text of an array of oids; heap. Functions that a call by one of the names, with or without its
 * schema, may mean; types of names as SQL says them, each once, 0 for one that is not there. */
enum rc functions_named(struct build *b, char *const *names, size_t n, char **oids) MUST_CHECK;
enum rc types_named(struct build *b, char *const *names, size_t n, char **oids) MUST_CHECK;
/* By the role's path, would a relation (or a type) of that name in the schema be the first one of
 * its name? */
enum rc path_would_find(struct build *b, const char *schema, const char *name, bool type,
                        bool *finds) MUST_CHECK;
/* Its document (catalog.h), with the path that its guard goes by. */
enum rc table_named(struct build *b, const struct file_name *name, json_t **doc,
                    struct err *err) MUST_CHECK;

/* ---- plan_check.c ---- */
struct type_facts {
    char *name; /* format_type(); heap */
    bool collatable, constrained;
};
enum rc check_type(struct build *b, const char *path, const char *type,
                   struct type_facts *out) MUST_CHECK;
/* Even without a default a column of a domain with constraints is checked row by row: the server
 * would rewrite the table. */
void check_domain(struct build *b, const struct target *t, const char *name,
                  const struct type_facts *facts);
/* Clients of earlier migrations, of which segue.usage has kept what `sql` asks for the table in $1;
 * heap. NULL: nobody, or it may not be read. */
char *build_seen(struct build *b, const struct target *t, const char *sql);
/* Does the server understand the expression over these rows (" FROM ...", or ""), as that type? */
enum rc build_check_expr(struct build *b, const char *path, const char *expr, const char *type,
                         const char *from) MUST_CHECK;
/* And as a condition, that of `what`, a constraint: which is named, with what to do. */
enum rc build_check_condition(struct build *b, const char *path, const char *what,
                              const char *condition, const char *from) MUST_CHECK;
/* Columns that follow each other are in step or not: that needs the same value every time. A name
 * of which every function is volatile is refused; of overloaded ones the server alone knows. */
enum rc check_steady(struct build *b, const char *path, const char *expr) MUST_CHECK;
/* Of what the guard works out (up, down): it sees no generated column of the table, which the
 * server fills behind it. But for `own`, NULL for none, which refuse_table refuses as such. */
enum rc check_guarded(struct build *b, const struct target *t, const char *path, const char *expr,
                      const char *own) MUST_CHECK;
/* As build_check_expr of a default, which is assigned: no cast that has to be written out. */
enum rc check_given(struct build *b, const char *path, const char *expr,
                    const char *type) MUST_CHECK;
bool is_system_column(const char *name);
/* `what`: "virtual columns come". */
enum rc check_version(struct build *b, const char *path, int version, const char *what) MUST_CHECK;
/* Is the column there when the migration is done? Of an expression: do those stay that it reads? */
enum rc check_stays(struct build *b, const struct target *t, const char *path,
                    const char *column) MUST_CHECK;
enum rc check_expr_stays(struct build *b, const struct target *t, const char *path,
                         const char *expr) MUST_CHECK;
/* May the table get a column of this name? */
enum rc check_new_name(struct build *b, struct target *t, const char *path, const char *field,
                       const char *name) MUST_CHECK;

/* ---- plan_table.c ---- */
/* The document of the table an operation names; read once. */
enum rc target_get(struct build *b, const struct file_op *op, struct target **out) MUST_CHECK;
enum rc target_plan_columns(struct build *b, struct target *t) MUST_CHECK;
/* The table's row in the plan, made when first asked for; and a new dual column of it. */
struct eng_table *target_table(struct build *b, struct target *t);
struct eng_dual *target_dual(struct build *b, struct target *t);
/* " FROM (...) s": the table's rows with the columns that are new by now; heap. */
char *target_rows(struct build *b, const struct target *t);
void dual_read_columns(struct eng_dual *dual, const char *expr); /* sets up_columns */
/* The type, or text in place of one that the file makes, which is not there yet. */
const char *type_by_now(const struct build *b, const char *type);
void target_fini(struct target *t);

/* Of `up` and `down`: does the server understand them, and may the guard use them? */
enum rc check_up_down(struct build *b, struct target *t, const char *path,
                      const struct eng_dual *dual) MUST_CHECK;

struct pair {         /* an old and a new column */
    const char *path; /* of the operation, for messages */
    const char *from_field;
    const char *from, *to;
    const char *type, *up, *down; /* NULL: of the old column; none is given */
    bool retypes;                 /* `to` waits for the name */
    enum file_maybe nullable;
    const struct file_change *def; /* NULL: the old one's moves */
    bool commented;                /* by the file: the old one's comment is none of it */
};
enum rc target_plan_pair(struct build *b, struct target *t, const struct pair *pair) MUST_CHECK;

/* ---- plan_add.c ---- */
enum rc plan_add(struct build *b, struct target *t, const char *path,
                 const struct file_op *op) MUST_CHECK;
/* Behind all others: a virtual column is worked out of them. */
enum rc plan_add_computed(struct build *b, struct target *t, const char *path,
                          const struct file_op *op) MUST_CHECK;
/* The virtual column that this file adds, or NULL: it adds none of this name. */
const struct file_column *added_generated(const struct build *b, const struct target *t,
                                          const char *name);

/* ---- plan_retype.c ---- */
/* A new half for the column `pair->from` under its name; `to` and `retypes` are set here. */
enum rc target_plan_retype(struct build *b, struct target *t, struct pair *pair) MUST_CHECK;
/* The name before the cut-over of what the new schema calls so. */
const char *retype_half(const struct target *t, const char *column);
char *retype_expr(const struct target *t, const char *expr, struct err *err); /* the same; heap */
bool retype_has(const struct target *t, const char *column); /* does it change its type so? */
/* Is what the expression reads of columns that change their type all retyped under their names, and
 * does it mean something over the new halves? `over`: the same over their names. */
bool retype_follows(struct build *b, const struct target *t, const char *expr, const char *over);
/* Is `up` no more than a cast of the column to the type? */
bool retype_is_cast(const struct eng_dual *dual);
/* Is `up` no more than the cast that PostgreSQL would make by itself in an assignment? */
bool retype_assigns(struct build *b, const struct eng_dual *dual);
/* The swap of the names, which is its own way back: the last thing of the cut-over, the first of
 * the revert. */
void retype_swap(struct target *t, struct eng_step *step);

/* ---- plan_constraint.c ---- */
/* A constraint of the new schema. `path` is of the object that describes it. */
enum rc constraint_add(struct build *b, struct target *t, const char *path,
                       const struct file_constraint *c) MUST_CHECK;
/* NOT NULL from the cut-over on, of the column that is then `shown`; `looks`: rows that are there
 * are looked at first. */
void constraint_not_null(struct build *b, struct target *t, const char *column, const char *shown,
                         bool looks);
/* A step before ready. `counted` gives how many rows do not meet `what`, as n, and where, as at. */
#define CONSTRAINT_PLACES 5 /* rows that are told by their place */
void constraint_look(struct build *b, struct target *t, const char *what, const char *counted);
/* The same for rows of which the condition is true; over s, or bare columns. */
void constraint_look_rows(struct build *b, struct target *t, const char *what, const char *bad);
/* From the cut-over on, NOT VALID, and proven in soak; gone again with the way back. */
void constraint_late(struct build *b, struct target *t, const char *name, const char *shown,
                     const char *definition);
void constraint_warn_late(struct build *b, const struct target *t, const char *what);
/* Quoted, with commas, by their names of now; t NULL: as they are; heap. */
char *constraint_columns(const struct target *t, const struct file_names *names);
/* What stands behind the columns of a constraint or of its index; t NULL: of a table of the file.
 */
void constraint_actions(struct buf *out, const struct target *t, const struct file_constraint *c);
void constraint_include(struct buf *out, const struct target *t, const struct file_constraint *c);
void constraint_storage(struct buf *out, const struct file_constraint *c, const char *tablespace);
void constraint_deferrable(struct buf *out, const struct file_constraint *c);
/* create_constraint: first columns that get a second half, then, when all are planned, the rest. */
enum rc plan_second_halves(struct build *b, struct target *t, const char *path,
                           const struct file_op *op) MUST_CHECK;
enum rc plan_create_constraint(struct build *b, struct target *t, const char *path,
                               const struct file_op *op) MUST_CHECK;

/* ---- plan_foreign.c ---- */
/* Of the table's document: unique at once, in all rows, over these columns in any order. */
bool index_is_key(const json_t *index, const struct file_names *columns);
enum rc constraint_foreign(struct build *b, struct target *t, const char *path,
                           const struct file_constraint *c) MUST_CHECK;
/* A foreign key as it is written; `generated`: pg_attribute's letter of a column of it, or "". */
enum rc check_foreign_rules(struct build *b, const char *path, const struct file_constraint *c,
                            const char *generated) MUST_CHECK;

/* ---- plan_leaves.c ---- */
/* A foreign key of a partitioned table, by one of each leaf. `after`: its definition as the tables
 * are called from the cut-over on. */
void constraint_in_leaves(struct build *b, struct target *t, const char *name, const char *shown,
                          const char *definition, const char *after);
/* Before PostgreSQL 18: are those of a partitioned table its leaves' own, until they are proven? */
bool leaves_come_first(const struct build *b, const struct target *t);
/* One that the file drops; definition: as the server says it, without NOT VALID. */
void release_in_leaves(struct target *t, const char *name, const char *definition,
                       const char *comment);
/* What partitions have of their own in the way of a foreign key `name` to `other`, or of a CHECK
 * (NULL): refused. */
enum rc leaves_refuse_own(struct build *b, const struct target *t, const char *name,
                          const char *other) MUST_CHECK;

/* ---- plan_unique.c ---- */
/* Is the column, by its name of after the cut-over, in a primary key that this file makes? Then
 * that makes it NOT NULL, before ready and for good: the key stays with a way back. */
bool key_has(const struct build *b, const struct target *t, const char *column);
enum rc key_add(struct build *b, struct target *t, const char *path,
                const struct file_constraint *c) MUST_CHECK;

/* ---- plan_parts.c ---- */
#define PARTS_NOT_VALID 180000 /* from there on foreign keys of partitioned tables can be that */
bool is_partitioned(const struct target *t);

/* ---- plan_release.c ---- */
enum rc plan_drop_constraint(struct build *b, struct target *t, const char *path,
                             const struct file_op *op) MUST_CHECK;
/* The column may be NULL from the cut-over on. `down`: what a NULL becomes on the way back. */
enum rc release_not_null(struct build *b, struct target *t, const char *path, const char *column,
                         const char *down) MUST_CHECK;
/* For abort: only a rollback leaves a constraint unproven; then every row is looked at, else none.
 * table: quoted; heap. */
char *release_prove_sql(const char *table, const char *name);
/* The same by the table's oid: called otherwise by somebody, it is an error, and not proven. */
char *release_prove_of_sql(json_int_t oid, const char *table, const char *name);

/* ---- plan_alter.c ---- */
enum rc plan_alter_column(struct build *b, struct target *t, const char *path,
                          const struct file_op *op) MUST_CHECK;
/* What it says of constraints, when all columns are planned. */
enum rc plan_column_constraints(struct build *b, struct target *t, const char *path,
                                const struct file_op *op) MUST_CHECK;

/* ---- plan_change.c ---- */
enum rc plan_change_columns(struct build *b, struct target *t, const char *path,
                            const struct file_op *op) MUST_CHECK;

/* ---- plan_drop.c ---- */
enum rc plan_drop_column(struct build *b, struct target *t, const char *path,
                         const struct file_op *op) MUST_CHECK;
/* Columns that come from those that go, when all of the file's operations are known. */
void refuse_splits(struct build *b, const struct target *t);

/* ---- plan_steps.c ---- */
void target_plan_steps(struct build *b, struct target *t);
void target_plan_analyze(struct build *b, const struct target *t); /* behind all that is built */

/* ---- plan_not_null.c ---- */
/* `old`: the column that has been NOT NULL so far, or NULL. */
enum rc carry_not_null(struct build *b, struct target *t, const char *column, const char *shown,
                       const char *old) MUST_CHECK;
struct not_null {         /* from PostgreSQL 18 on it is a constraint of its own */
    char *name, *comment; /* NULL: none; heap */
    const char *suffix;   /* behind NOT NULL and the column */
};
enum rc not_null_read(struct build *b, const struct target *t, const char *column,
                      struct not_null *out) MUST_CHECK;
void not_null_fini(struct not_null *facts);

/* ---- plan_carry.c ---- */
enum rc carry_indexes(struct build *b, struct target *t) MUST_CHECK;
enum rc carry_constraints(struct build *b, struct target *t) MUST_CHECK;
/* " WITH (...)", and behind `tablespace` its own, where it has one. */
void index_storage(const json_t *index, const char *tablespace, struct buf *out);
const char *index_defers(const json_t *index); /* "", " DEFERRABLE", ... */
bool index_touches(const json_t *index, const struct texts *columns);
bool constraint_touches(const json_t *constraint, const struct texts *columns);
/* The name of a column on the new side until the cut-over; an expression over such names (heap). */
const char *carry_name(const struct target *t, const char *column);
char *carry_expr(const struct target *t, const char *expr, struct err *err);
/* Does an expression over columns that change their type mean something over the new ones? */
bool carry_follows(struct build *b, const struct target *t, const char *expr);
/* Does the expression read a column of the list? */
bool expr_reads(const char *expr, const struct texts *columns);
/* One that reads a column that gets another name, and that only a newer parser understands: then
 * `object` is refused, for it could not be said of the new column. */
bool expr_is_beyond(struct build *b, const struct target *t, const char *expr, const char *object);
/* Has the access method an operator class for the type when none is named? */
enum rc type_has_opclass(struct build *b, const char *method, const char *type,
                         bool *has) MUST_CHECK;
/* Swap of two names at the cut-over, and back. `rename`: a format of `alter` and two names. */
void carry_swap(struct target *t, const char *alter, const char *rename, const char *old,
                const char *parked, const char *new);

/* ---- plan_statistics.c ---- */
/* Extended statistics over columns that get another half. */
enum rc carry_statistics(struct build *b, struct target *t) MUST_CHECK;

/* ---- plan_key.c ---- */
/* A primary key over columns that change their names or types. */
bool key_is_carried(const json_t *index);
enum rc carry_key(struct build *b, struct target *t, const json_t *index) MUST_CHECK;
/* The name by which a half of an index's column is meant. */
typedef const char *key_half(const struct target *t, const char *column);
key_half key_old_half; /* until the cut-over; the new one is carry_name() */
/* "(a, b) INCLUDE (c)" */
void key_list(const struct target *t, const json_t *index, key_half *half, struct buf *out);
/* What an index is to its table, once it has its name: replica identity, clustering mark. */
void carry_marks(struct target *t, const json_t *index);

/* ---- plan_key_parts.c ---- */
/* `fresh`, `spare`: what the indexes of its leaves begin with, of the new half and of the old. */
enum rc key_of_parts(struct build *b, struct target *t, const json_t *index, const char *fresh,
                     const char *spare) MUST_CHECK;
enum rc key_warn_of_parts(struct build *b, const struct target *t, const char *object) MUST_CHECK;

/* ---- plan_identity.c ---- */
bool identity_is_carried(const struct build *b, const struct target *t, const json_t *column);
void carry_identity(struct target *t, const json_t *column, const struct eng_dual *dual);

/* ---- plan_links.c ---- */
/* Which are there, once the columns of all tables are planned. */
enum rc links_read(struct build *b) MUST_CHECK;
/* Is it made again, not carried? */
bool link_is(const struct build *b, const struct target *t, const json_t *constraint);
void links_release(struct build *b); /* in front of the steps of all tables */
void links_make(struct build *b);    /* behind them */
void links_fini(struct build *b);
struct linked { /* a column of a foreign key */
    const char *column, *type;
};
/* May a foreign key be from one to the other? */
enum rc check_linked(struct build *b, const char *path, const struct linked *ours,
                     const struct linked *theirs) MUST_CHECK;
/* Appends "o.theirs = s.ours", by the operator with which the server proves such a key, whatever
 * others the path has. A type that is NULL: not there yet. `collation`: by which, where the columns
 * have different ones, or NULL. */
enum rc linked_equal(struct build *b, const struct linked *ours, const struct linked *theirs,
                     const char *collation, struct buf *out) MUST_CHECK;

/* ---- plan_refers.c ---- */
/* `path`: of what says that columns of this plan refer to columns of the table. */
void refers_note(struct build *b, const char *path, const char *oid, const struct linked *ours,
                 char *const *theirs, size_t n);
/* When all else is planned: does this file take away what its new things refer to? */
enum rc refers_judge(struct build *b) MUST_CHECK;
void refers_fini(struct build *b);

/* ---- plan_default.c ---- */
struct type_default { /* of a type */
    bool domain;
    char *expr; /* what a domain gives to a column without a default; heap, NULL: nothing */
};
/* `follows`: the table in which a column of that type is to have no default at times, or NULL. */
enum rc type_default_read(struct build *b, const struct target *follows, const char *type,
                          struct type_default *out) MUST_CHECK;
void type_default_fini(struct type_default *type);
const char *default_none(const struct type_default *type); /* what ALTER COLUMN says for none */
/* Of a column that expand adds and that follows until the cut-over: what stands behind its type,
 * and then, of a domain that has no default, what else is said: where none is worked out, the
 * server adds the column to more tables. */
const char *default_behind(const struct type_default *type);
void default_follows(struct target *t, const char *column, const struct type_default *type);
/* The default of a column (quoted) while its side leads, NULL: none, or what its type gives. On the
 * other side of the cut-over it follows, and has none at all. */
void default_leads_before(struct target *t, const char *column, const struct type_default *type,
                          const char *def);
void default_leads_after(struct target *t, const char *column, const struct type_default *type,
                         const char *def);
/* `change`: what it becomes instead, or NULL; `type`: of the new half. */
enum rc carry_default(struct build *b, struct target *t, const json_t *column,
                      struct eng_dual *dual, const struct file_change *change,
                      const struct type_default *type) MUST_CHECK;

/* ---- plan_new.c ---- */

enum rc new_indexes(struct build *b) MUST_CHECK;
/* Has no relation of the schema the name? */
enum rc check_relation_name(struct build *b, const char *schema, const char *path,
                            const char *name) MUST_CHECK;

/* ---- plan_new_table.c ---- */
enum rc new_tables(struct build *b) MUST_CHECK;
/* The create_table of this file that a name means; NULL: none. */
enum rc created_named(struct build *b, const struct file_name *table,
                      const struct file_op **out) MUST_CHECK;
const char *created_relation(const struct build *b, const struct file_op *made); /* when planned */
/* How the server makes the column's values; expr: its expression by the names of now, or NULL. */
void column_generated(struct buf *sql, const struct file_column *column, const char *expr);
char *new_constraint(const struct file_constraint *c); /* as CREATE TABLE says it; heap */
/* Of the i-th column, or, counted on, of the i-th constraint: the foreign key, or NULL. */
const struct file_constraint *new_foreign(const struct file_op *op, size_t i);

/* ---- plan_new_check.c ---- */
enum rc check_new_table(struct build *b, const struct file_op *op) MUST_CHECK;
/* b->err says what the server has not understood: final, or a warning where the file may make it.
 */
enum rc unless_made(struct build *b, const struct file_op *op) MUST_CHECK;

/* ---- plan_new_links.c ---- */
enum rc check_new_links(struct build *b, const struct file_op *op) MUST_CHECK;
/* What a foreign key refers to in a table of this file: are the columns there, and unique?
 * `indexes`: those of create_index are there by then. */
enum rc check_link_to(struct build *b, const char *path, const struct file_constraint *c,
                      const struct file_op *made, bool indexes) MUST_CHECK;
/* The type of the column; heap, NULL: not known yet. */
enum rc type_of_made(struct build *b, const struct file_op *made, const char *path,
                     const char *column, char **type) MUST_CHECK;

/* ---- plan_version.c ---- */
enum rc new_version(struct build *b) MUST_CHECK;

/* ---- plan_names.c ---- */
enum rc check_names_given(struct build *b) MUST_CHECK;

/* ---- plan_many.c ---- */
enum rc refuse_many(struct build *b) MUST_CHECK; /* when the plan knows its columns */

/* ---- plan_things.c, plan_enum.c, plan_sql.c: one operation each, and what they share ---- */
char *plan_path(const struct file_op *op, const char *field); /* "operations[1].sql.up"; heap */
char *plan_name(const struct file_op *op);                    /* op->table, as SQL says it; heap */
/* build_fail; hint NULL: it is said already. */
enum rc plan_fail(struct build *b, const struct file_op *op, const char *field, const char *hint,
                  const char *fmt, ...) PRINTF_LIKE(5, 6);
/* By their oids, as the server says them: names are quoted there by other rules than here. */
const struct target *plan_target(const struct build *b, const char *oid); /* NULL: none */
bool plan_drops(const struct build *b, const char *oid);
/* The row of `sql` about what the operation names ($1: plan_name, $2: from, $3: identity_index).
 * RC_ERR, with "there is no `what`", when there is none. */
enum rc plan_look(struct build *b, const struct file_op *op, const char *field, const char *what,
                  const char *sql, PGresult **res) MUST_CHECK;
/* check_users_table for what an operation names. */
enum rc plan_check_whose(struct build *b, const struct file_op *op, const char *field,
                         const char *relation, const char *relkind, const char *schema) MUST_CHECK;
void plan_refuse_not_owned(struct build *b, const char *object, bool owned);
/* The step fails where another table than the one that was looked at has the name by then. */
void plan_same_table(struct eng_step *step, const char *relation, const char *oid);
enum rc plan_drop_table(struct build *b, const struct file_op *op) MUST_CHECK;
enum rc plan_drop_index(struct build *b, const struct file_op *op) MUST_CHECK;
enum rc plan_rename_constraint(struct build *b, const struct file_op *op) MUST_CHECK;
enum rc plan_replica_identity(struct build *b, const struct file_op *op) MUST_CHECK;
enum rc plan_statements(struct build *b, const struct file_op *op) MUST_CHECK;
enum rc plan_create_enum(struct build *b, const struct file_op *op) MUST_CHECK;
enum rc plan_add_enum_value(struct build *b, const struct file_op *op) MUST_CHECK;
enum rc plan_remove_enum(struct build *b, const struct file_op *op) MUST_CHECK;

/* ---- plan_called.c ---- */
/* Before all else: names in the file, as it is read from top to bottom, become those that the
 * catalog has now. */
enum rc called_settle(struct build *b, struct file *file) MUST_CHECK;
void called_fini(struct build *b);
/* NULL where the file renames no such table. By its oid; by its quoted name of now; by the name
 * that the file gives to it, `schema` NULL: of any. */
const struct renamed *called_of(const struct build *b, const char *oid);
const struct renamed *called_before(const struct build *b, const char *relation);
const struct renamed *called_by_then(const struct build *b, const char *schema, const char *name);
/* What a table is called from the cut-over on: `relation` itself where the file does not rename. */
const char *called_after(const struct build *b, const char *relation);

/* ---- plan_rename.c ---- */
enum rc plan_rename_table(struct build *b, const struct file_op *op) MUST_CHECK;
/* Once all steps are there: do statements of the file use the old name after the cut-over? */
void refuse_renamed(struct build *b);

/* Where the file's own go, and what they are called: before any type is looked at. */
enum rc enums_read(struct build *b) MUST_CHECK;
void enums_fini(struct build *b);
/* How one is to be said whose name alone, this one, means no type or another; NULL: it is none. */
const char *enum_unreached(const struct build *b, const char *type);
/* The create_enum of this file that a type ("mood", "mood[]") names, or NULL. */
const struct file_op *enum_of_file(const struct build *b, const char *type);
/* Is a default that is a plain literal one of its values, or a list of such where `type` is one? */
enum rc enum_check_default(struct build *b, const char *path, const struct file_op *op,
                           const char *type, const char *def) MUST_CHECK;

/* ---- plan_refuse.c ---- */
/* Is it a table, and a user's? `relkind` and `schema`: the catalog's. */
enum rc check_users_table(struct build *b, const char *path, const char *relation,
                          const char *relkind, const char *schema) MUST_CHECK;
void refuse_table(struct build *b, const struct target *t);
/* A partition of it that has not gone altogether. */
enum rc refuse_detaching(struct build *b, const struct target *t) MUST_CHECK;
/* May the role create in it? `what`: "indexes are". And where the plan's steps make indexes. */
enum rc refuse_schema(struct build *b, const char *schema, const char *what) MUST_CHECK;
enum rc refuse_schemas(struct build *b) MUST_CHECK;
/* Partitions whose default of the column is their own: a turn that sets the table's would lose it.
 */
void refuse_parts_default(struct build *b, const struct target *t, const char *column);
/* Security labels of a column whose values are to be shown by another one. */
void refuse_labels(struct build *b, const struct target *t, const json_t *column);
/* What depends on a column that complete drops. */
void refuse_dependents(struct build *b, const struct target *t, const char *column);
/* A column elsewhere of its row type (heap, or NULL); refused where a column's values move. */
enum rc row_type_column(struct build *b, const struct target *t, char **column) MUST_CHECK;
enum rc refuse_row_type(struct build *b, const struct target *t) MUST_CHECK;

/* ---- plan_rights.c ---- */
/* May the role make a foreign key to these columns, of the table with this oid, and `look` first
 * for rows that refer to nothing? */
enum rc check_may_refer(struct build *b, const char *path, const char *oid,
                        const struct file_names *columns, bool look) MUST_CHECK;
/* And make again one that is there? `oid` and `table`: of the one that refers. */
enum rc refuse_unreferable(struct build *b, json_int_t oid, const char *table,
                           const char *name) MUST_CHECK;
/* May it use the schemas of all tables that the steps lock? */
enum rc refuse_unusable(struct build *b) MUST_CHECK;
/* And that one of the file, NULL for none? */
enum rc check_may_use(struct build *b, const char *path, const char *schema) MUST_CHECK;

/* ---- plan_unproven.c ---- */
/* Constraints that are NOT VALID, and that a row which the fill writes does not meet. */
enum rc refuse_unproven(struct build *b, const struct target *t) MUST_CHECK;
/* Is the column's NOT NULL such a one? Then it is refused, whatever the rows hold. */
bool refuse_unproven_null(struct build *b, const struct target *t, const char *column);

/* ---- plan_needed.c ---- */
/* When all of the table is planned: does something hang on an index or a
 * sequence that goes with its columns? */
enum rc needed_judge(struct build *b, const struct target *t) MUST_CHECK;
/* The same of one whose constraint the file drops. */
enum rc needed_judge_key(struct build *b, const json_t *index, const char *constraint) MUST_CHECK;

/* ---- plan_replica.c ---- */
/* When all of the table is planned: may its rows be updated? */
enum rc replica_judge_updates(struct build *b, const struct target *t) MUST_CHECK;
/* Subscribers want columns before they are sent, and publishers send those that go. */
enum rc replica_warn_others(struct build *b, const struct target *t) MUST_CHECK;
/* Of an index that goes; `object`: what to call it. */
enum rc replica_judge_index(struct build *b, const struct target *t, const json_t *index,
                            const char *object, bool *refused) MUST_CHECK;
/* Of a column that may be NULL from the cut-over on. */
enum rc replica_judge_null(struct build *b, const struct target *t, const char *column) MUST_CHECK;

/* ---- plan_views.c ---- */
/* Views over columns that change their type, with the statements to drop them and to make them
 * again. */
enum rc refuse_views(struct build *b, const struct target *t) MUST_CHECK;

/* ---- plan_steady.c ---- */
/* Of all of the table's columns, when they are planned: settings that the guard fixes, roles that
 * may write and not call. */
enum rc steady_judge(struct build *b, struct target *t) MUST_CHECK;

#endif
