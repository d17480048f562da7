/*
 * What the rooms of the file's loader share: kinds of fields, one reader for objects, errors.
 * Private to file*.c.
 *
 *   file.c        the document, readers of plain kinds
 *   file_new.c    what is new: columns, tables, indexes
 *   file_alter.c  operations that change what is there: columns and constraints
 *   file_things.c operations on whole things: tables, indexes, names, enums, SQL
 *   file_change.c columns split and merged
 *   file_tree.c   the text as a tree, whatever it is written in
 *   file_yaml.c   YAML
 *   file_line.c   where a field of JSON stands
 *   file_version.c  its place among others: after, version_table
 */
#ifndef SEGUE_ENGINE_FILE_READ_H
#define SEGUE_ENGINE_FILE_READ_H

#include <jansson.h>

#include "file.h"

struct load {
    const char *where, *text;
    struct err *err;
};

enum field_kind {
    /* file.c: texts */
    NAME,          /* identifier, at most 63 bytes */
    TABLE,         /* identifier or schema.identifier */
    EXPR,          /* scalar SQL expression */
    TYPE,          /* SQL type name */
    TEXT,          /* anything */
    ON_DELETE,     /* one of PostgreSQL's actions */
    SORT,          /* ASC or DESC */
    NULLS,         /* FIRST or LAST */
    MATCH,         /* SIMPLE or FULL */
    IDENTITY_TYPE, /* DEFAULT, FULL, NOTHING or INDEX */
    IDENTITY_FOR,  /* ALWAYS or BY DEFAULT */
    PARAMETERS,    /* "fillfactor = 70" */
    SEQUENCE,      /* options of a sequence */
    EXCLUSION,     /* what an exclusion constraint compares */
    STATEMENTS,    /* SQL; what it may be is the planner's business */
    /* file.c: others */
    FLAG,  /* true or false */
    HEADS, /* list of alembic revisions */
    /* file_new.c */
    COLUMN,      /* one column, as an array of one */
    COLUMNS,     /* list of columns */
    NEW_COLUMNS, /* the same, of a table that is there */
    KEYS,        /* of an index: a list of columns, or an object by column */
    OPCLASS,     /* object, into the index column itself */
    PARAMS,      /* list of parameters, as one text */
    GENERATED,   /* object, into the column itself, as the next one */
    IDENTITY_OF,
    CONSTRAINTS, /* of a new table */
    /* file_things.c */
    IDENTITY, /* object, into the operation itself */
    VALUES,   /* of an enum: struct file_names */
    /* file_alter.c */
    MAYBE,       /* true or false, or as it is: enum file_maybe */
    EXPR_CHANGE, /* an expression, or null: struct file_change */
    TEXT_CHANGE, /* a text, or null: struct file_change */
    NAMES,       /* struct file_names */
    PAIRS,       /* an object of expressions by column: struct file_pairs */
    KIND,        /* unique, check, ...: enum file_constraint_kind */
    UNIQUE_ONE,
    UNIQUE_ADDED, /* the same, or true: it gets the name that PostgreSQL would give */
    CHECK_ONE,
    FOREIGN_ONE,  /* of one column: struct file_constraint */
    FOREIGN_MADE, /* the same of create_table: it need not have a name */
    /* objects into the constraint itself */
    FOREIGN_MANY, /* "references" of a list of columns */
    INDEX_PARAMETERS,
    EXCLUDE
};

struct field {
    const char *name;
    enum field_kind kind;
    bool required;
    size_t at;
};

#define OP(member) offsetof(struct file_op, member)

/* Sets the error with file, line and path; returns RC_ERR. */
enum rc file_bad(struct load *load, const char *path, const char *fmt, ...) PRINTF_LIKE(3, 4);
enum rc file_read_object(struct load *load, const char *path, json_t *value,
                         const struct field *fields, size_t nfields, void *base) MUST_CHECK;
/* A value of a kind that is written as a string. */
enum rc file_read_text(struct load *load, const char *path, enum field_kind kind, const char *text,
                       void *out) MUST_CHECK;
/* One of `choices`, whatever its case; *out is the choice's own spelling. */
enum rc file_read_choice(struct load *load, const char *path, const char *text,
                         const char *const *choices, size_t n, char **out) MUST_CHECK;

/* ---- file_new.c ---- */
extern const struct field file_add_column_fields[3];
extern const struct field file_create_table_fields[4];
extern const struct field file_create_index_fields[7];
enum rc file_read_new(struct load *load, const char *path, json_t *value, const struct field *field,
                      void *base) MUST_CHECK;
enum rc file_check_add(struct load *load, const char *path, struct file_op *op) MUST_CHECK;
enum rc file_check_table(struct load *load, const char *path, struct file_op *op) MUST_CHECK;
void file_new_fini(struct file_op *op);

/* ---- file_alter.c ---- */
extern const struct field file_drop_column_fields[3];
extern const struct field file_alter_column_fields[12];
extern const struct field file_create_constraint_fields[14];
extern const struct field file_drop_constraint_fields[4];
extern const struct field file_drop_many_fields[4];

enum rc file_read_alter(struct load *load, const char *path, json_t *value,
                        const struct field *field, void *out) MUST_CHECK;
enum rc file_check_alter(struct load *load, const char *path, struct file_op *op) MUST_CHECK;
/* The added column's constraints become those of its operation. */
enum rc file_take_ones(struct load *load, const char *path, struct file_op *op) MUST_CHECK;
void file_own_column(struct file_constraint *constraint, const char *column);
void file_ones_fini(struct file_constraint *const *ones);
/* Of a constraint of several columns, whose fields depend on its type. */
enum rc file_read_constraint(struct load *load, const char *path, json_t *value,
                             struct file_constraint *out) MUST_CHECK;
void file_constraint_fini(struct file_constraint *c);
enum rc file_check_constraint(struct load *load, const char *path, struct file_op *op) MUST_CHECK;
void file_alter_fini(struct file_op *op);

/* ---- file_things.c ---- */
extern const struct field file_only_name_fields[1];
extern const struct field file_rename_table_fields[2];
extern const struct field file_rename_constraint_fields[3];
extern const struct field file_replica_identity_fields[2];
extern const struct field file_sql_fields[3];
extern const struct field file_create_enum_fields[2];
extern const struct field file_add_enum_value_fields[4];

enum rc file_read_thing(struct load *load, const char *path, json_t *value,
                        const struct field *field, struct file_op *op) MUST_CHECK;
enum rc file_check_two_names(struct load *load, const char *path, struct file_op *op) MUST_CHECK;
enum rc file_check_identity(struct load *load, const char *path, struct file_op *op) MUST_CHECK;
enum rc file_check_sql(struct load *load, const char *path, struct file_op *op) MUST_CHECK;
enum rc file_check_enum_value(struct load *load, const char *path, struct file_op *op) MUST_CHECK;
void file_things_fini(struct file_op *op);

/* ---- file_change.c ---- */
extern const struct field file_change_columns_fields[5];
enum rc file_check_change(struct load *load, const char *path, struct file_op *op) MUST_CHECK;

/* ---- file_tree.c, file_yaml.c, file_line.c ---- */
/* The caller's. Errors (42601, 54000) name file and line. */
enum rc file_tree_read(const char *where, const char *text, json_t **root,
                       struct err *err) MUST_CHECK;
enum rc file_yaml_read(const char *where, const char *text, json_t **root,
                       struct err *err) MUST_CHECK;
int file_yaml_line(const char *text, const char *path); /* as file_line */
int file_json_line(const char *text, const char *path);
/* ---- file_version.c ---- */
/* "after" of the document, and what it says of the number of operations. */
enum rc file_read_after(struct load *load, json_t *root, struct file *file) MUST_CHECK;
enum rc file_read_version(struct load *load, json_t *value, struct file *file) MUST_CHECK;
void file_version_fini(struct file *file);

#endif
