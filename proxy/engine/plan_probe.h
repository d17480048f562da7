/*
 * What the planner tries before anything is touched: expressions on rows that are there, indexes
 * and constraints on an empty copy. Nothing of it stays. Private to plan*.c.
 */
#ifndef SEGUE_ENGINE_PLAN_PROBE_H
#define SEGUE_ENGINE_PLAN_PROBE_H

#include "plan_build.h"

/* ---- plan_probe.c ---- */
/* Does `up` work on the rows, and does `down` bring back what was there? `path`: of the operation;
 * `given`: it says an `up`. */
enum rc probe_dual(struct build *b, const struct target *t, const char *path,
                   const struct eng_dual *dual, bool given) MUST_CHECK;
/* The same of columns split or merged. */
enum rc probe_group(struct build *b, const struct target *t, const char *path,
                    int group) MUST_CHECK;
/* The same of a column that goes: would `down` work on the rows that are there? `path`: of that. */
enum rc probe_down(struct build *b, const struct target *t, const char *path,
                   const struct eng_dual *dual) MUST_CHECK;
/* A loop over some of a table's rows, one at a time: a bad one does not end the count. */
struct probe_loop {
    const char *from;    /* the table, perhaps a sample of it; a row is r.c, its ctid, and r.o */
    const char *declare; /* more variables, each with its semicolon */
    const char *each, *failing; /* statements for a row; handlers of their errors */
    const char *counts;         /* what is told behind the number of rows seen */
    int rows_max, seconds_max;
};
char *probe_body(const struct probe_loop *loop); /* for probe_run; heap */
/* Runs the body of a DO block that leaves a JSON array in the setting segue.probe, with everything
 * undone after. *counts: to be released, NULL when there is none. */
enum rc probe_run(struct build *b, const char *body, json_t **counts, struct err *why) MUST_CHECK;
/* `begin`: unless a transaction is under way; in between only named_... */
enum rc probe_begin(struct build *b, const char *begin, bool *outer, struct err *why) MUST_CHECK;
enum rc probe_undo(struct build *b, bool outer) MUST_CHECK;

/* ---- plan_probe_index.c ---- */
struct probe_index {
    const char *path, *name;    /* of what asks for it; its own */
    const struct target *table; /* of a live table, */
    const struct file_op *made; /* or of one that the file makes: its create_table */
    bool unique;
    const char *definition; /* as SQL says it behind the table */
    const char *hint;       /* what to do where the server does not want it; NULL: the usual */
};
/* What the server does not want is an error in its words; what could not be tried is a warning. */
enum rc probe_index(struct build *b, const struct probe_index *index) MUST_CHECK;
/* The same of one that is there, over columns of other types; what the server does not want is
 * refused. */
enum rc probe_carried(struct build *b, const struct target *t, const char *object,
                      const char *definition, bool *refused) MUST_CHECK;
/* Of a partitioned table: indexes that its leaves have, which are the same. Rows of relation,
 * index, and why it cannot be used, "" where it can; NULL: it could not be tried. The caller's. */
enum rc probe_twins(struct build *b, const struct probe_index *index, PGresult **twins) MUST_CHECK;
struct probe_part {
    char *path, *sql; /* what asks for it; what stands behind ALTER TABLE */
};
/* The same, of a table that the file makes, and of a column that it adds. */
enum rc probe_table(struct build *b, const struct file_op *made, const struct probe_part *parts,
                    size_t n) MUST_CHECK;
enum rc probe_added(struct build *b, const struct target *t,
                    const struct probe_part *part) MUST_CHECK;

#endif
