/*
 * A migration file as plain data, checked as far as it can be without a database: known fields,
 * types, limits, names, expressions and types that parse. Private to the engine.
 */
#ifndef SEGUE_ENGINE_FILE_H
#define SEGUE_ENGINE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "segue/base/err.h"

#define FILE_BYTES_MAX (1024 * 1024)
#define FILE_OPERATIONS_MAX 256
#define FILE_KEYS_MAX 32       /* INDEX_MAX_KEYS */
#define FILE_NAME_BYTES_MAX 63 /* NAMEDATALEN - 1 */

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
    FILE_OP_COUNT
};

struct file_name { /* "schema.table" or "table"; catalog spelling */
    char *schema;  /* NULL: by search_path */
    char *name;
};

struct file_references {
    struct file_name table;
    char *column;
    char *on_delete; /* upper case, or NULL */
};

struct file_column {
    char *name, *type;
    char *def; /* "default": an expression, or NULL */
    char *comment;
    bool nullable, pk, unique;
    struct file_references *references; /* NULL or one */
};

struct file_index_column {
    char *column;
    char *sort; /* "ASC", "DESC", or NULL */
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

enum file_constraint_kind { FILE_UNIQUE, FILE_CHECK, FILE_FOREIGN_KEY, FILE_PRIMARY_KEY };

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
};

struct file_op {
    enum file_op_kind kind;
    size_t index;             /* in "operations", for messages */
    struct file_name table;   /* create_table: the new table */
    char *from, *to, *type;   /* rename_column; alter_column: its new name is `to` */
    char *up, *down;          /* of one column */
    char *column;             /* drop_column, alter_column */
    enum file_maybe nullable; /* alter_column, as all up to `foreign` */
    struct file_change def, comment;
    struct file_constraint *unique_one, *check_one, *foreign_one; /* NULL: none */
    struct file_constraint constraint;                            /* create_constraint */
    struct file_pairs ups, downs; /* create_constraint, drop_multicolumn_constraint */
    struct file_column *columns;  /* add_column (one), create_table */
    size_t ncolumns;
    char *name, *method, *predicate; /* create_index; drop_constraint has a name, too */
    struct file_index_column *keys;
    size_t nkeys;
    bool unique;
};

struct file {
    char *name;
    struct file_op *ops;
    size_t nops;
    char **alembic_from; /* version_table.alembic */
    size_t nalembic_from;
    char *alembic_to; /* NULL: no version table */
};

const char *file_op_name(enum file_op_kind kind); /* "rename_column" */

/* Errors (42601, 22023, 54000) name file, line, path of the field and what is allowed. */
enum rc file_load(const char *where, const char *text, struct file **file,
                  struct err *err) MUST_CHECK;
void file_free(struct file *file);

/* Line of a path in JSON text that parses: "operations[1].rename_column.from"; 0: not there. The
 * longest part of the path that exists counts. */
int file_line(const char *text, const char *path);

#endif
