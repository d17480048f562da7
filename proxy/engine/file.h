/*
 * A migration file as plain data, checked as far as it can be without a database: known fields,
 * types, limits, names, expressions and types that parse. Private to the engine.
 */
#ifndef SEGUE_ENGINE_FILE_H
#define SEGUE_ENGINE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "segue/base/err.h"

#define FILE_BYTES_MAX (1024 * 1024)
#define FILE_OPERATIONS_MAX 256
#define FILE_PARENTS_MAX 32
#define FILE_KEYS_MAX 32       /* INDEX_MAX_KEYS */
#define FILE_NAME_BYTES_MAX 63 /* NAMEDATALEN - 1 */
#define FILE_ENUM_VALUES_MAX 1000
#define FILE_CONSTRAINTS_MAX 256 /* of one create_table */
#define FILE_ONES 4 /* constraints of one column, by their kind: up to FILE_PRIMARY_KEY */

enum file_op_kind {
    FILE_RENAME_COLUMN,
    FILE_ADD_COLUMN,
    FILE_CREATE_TABLE,
    FILE_CREATE_INDEX,
    FILE_DROP_COLUMN,
    FILE_ALTER_COLUMN,
    FILE_CREATE_CONSTRAINT,
    FILE_DROP_CONSTRAINT,
    FILE_DROP_MULTICOLUMN_CONSTRAINT,
    FILE_DROP_TABLE,
    FILE_RENAME_TABLE,
    FILE_DROP_INDEX,
    FILE_RENAME_CONSTRAINT,
    FILE_SET_REPLICA_IDENTITY,
    FILE_SQL,
    FILE_CREATE_ENUM,
    FILE_ADD_ENUM_VALUE,
    FILE_REMOVE_ENUM,
    FILE_CHANGE_COLUMNS,
    FILE_OP_COUNT
};

struct file_name { /* "schema.table" or "table"; catalog spelling */
    char *schema;  /* NULL: by search_path */
    char *name;
};

struct file_column {
    char *name, *type;
    char *def; /* "default": an expression, or NULL */
    char *comment;
    bool nullable, pk, unique;
    char *generated; /* an expression, or NULL */
    bool computed;   /* of it: not stored, but worked out by whoever reads */
    bool identity;
    char *identity_for, *sequence; /* upper case, or NULL; options of its sequence, or NULL */
    /* By kind. Of add_column until its operation has them; those of create_table stay. */
    struct file_constraint *ones[FILE_ONES];
};

struct file_index_column {
    char *column;
    char *sort, *nulls;                  /* "ASC", "DESC"; "FIRST", "LAST"; or NULL */
    struct file_name collation, opclass; /* name NULL: that of the column, of its type */
    char *params;                        /* of the operator class, with commas, or NULL */
};

struct file_names {
    char **v;
    size_t n;
};

struct file_pairs { /* expressions by column */
    char **columns, **exprs;
    size_t n;
};

enum file_maybe { FILE_AS_IS, FILE_NO, FILE_YES };

struct file_change {
    bool set;
    char *to; /* NULL: to nothing */
};

enum file_constraint_kind {
    FILE_UNIQUE,
    FILE_CHECK,
    FILE_FOREIGN_KEY,
    FILE_PRIMARY_KEY,
    FILE_EXCLUDE, /* of create_table alone */
};

struct file_constraint {
    enum file_constraint_kind kind;
    char *name;
    char *check; /* FILE_CHECK */
    bool no_inherit;
    bool deferrable, initially_deferred;
    bool nulls_not_distinct;             /* FILE_UNIQUE */
    struct file_names columns;           /* none for a check of create_constraint that names none */
    struct file_name table;              /* FILE_FOREIGN_KEY: what is referred to */
    struct file_names foreign;           /* its columns; none: its primary key */
    char *on_delete, *on_update, *match; /* upper case, or NULL */
    struct file_names set_columns;       /* of on_delete; none: all */
    char *alias;                         /* "name" inside of "references", or NULL */
    /* the index of a unique constraint, a primary key, an exclusion: NULL: as the server does */
    struct file_names include;
    char *parameters, *tablespace;
    char *method, *elements, *predicate; /* FILE_EXCLUDE */
};

struct file_op {
    enum file_op_kind kind;
    size_t index; /* in "operations", for messages */
    /* create_table: the new table; rename_table: from; drop_index: the index; enums: the type */
    struct file_name table;
    char *from, *to, *type;          /* rename_column; alter_column: its new name is `to` */
    char *up, *down;                 /* of one column */
    char *column;                    /* drop_column, alter_column */
    enum file_maybe nullable;        /* alter_column, as all up to `foreign` */
    struct file_change def, comment; /* create_table has a comment, too: its `to` */
    struct file_constraint *unique_one, *check_one, *foreign_one, *key_one; /* NULL: none */
    struct file_constraint constraint;                                      /* create_constraint */
    struct file_constraint *constraints;                                    /* create_table */
    size_t nconstraints;
    /* create_constraint, drop_multicolumn_constraint, change_columns */
    struct file_pairs ups, downs;
    struct file_names from_columns; /* change_columns; to: */
    struct file_column *columns;    /* add_column (one), create_table, change_columns */
    size_t ncolumns;
    char *name, *method, *predicate; /* create_index; drop_constraint has a name, too */
    char *parameters;                /* create_index: "fillfactor = 70", or NULL */
    struct file_index_column *keys;
    size_t nkeys;
    bool keys_by_name; /* an object by column, not a list */
    bool unique;
    char *identity, *identity_index; /* set_replica_identity: "FULL", ...; of "INDEX" */
    bool on_complete;                /* sql: `up` runs with complete */
    struct file_names values;        /* create_enum */
    char *value, *before, *after;    /* add_enum_value */
};

struct file {
    char *name;
    struct file_op *ops;
    size_t nops;
    char **after; /* names of the migrations it follows; several: it merges them */
    size_t nafter;
    /* version_table: one of the three, or none */
    char **alembic_from;
    size_t nalembic_from;
    char *alembic_to;                   /* NULL: not alembic */
    struct file_name version_table;     /* of drizzle and sql */
    int64_t drizzle_from, drizzle_when; /* "when" of the journal, ms; from 0: no entry */
    char *drizzle_hash;                 /* NULL: not drizzle */
    char *version_up, *version_down;    /* statements; NULL: not sql */
};

const char *file_op_name(enum file_op_kind kind); /* "rename_column" */

/* What CREATE TABLE makes of serial and the like, which are no types; NULL: it is none of them. */
const char *file_counts_in(const char *type);

/* JSON or YAML (file_is_yaml). Errors (42601, 22023, 54000) name file, line, path of the field and
 * what is allowed. `where`: the file's name. */
enum rc file_load(const char *where, const char *text, struct file **file,
                  struct err *err) MUST_CHECK;
void file_free(struct file *file);

/* By the ending of the name (.yaml, .yml, .json), else by the text: JSON begins with { or [. */
bool file_is_yaml(const char *where, const char *text);

/* What the migration is called, of a file that may be wrong in all else; heap, NULL: not known. */
char *file_name_peek(const char *where, const char *text);

/* Line of a path: "operations[1].rename_column.from". The longest part of the path that exists
 * counts, in text that does not parse what stands before it breaks. */
int file_line(const char *where, const char *text, const char *path);

#endif
