/*
 * Who follows whom: a graph of names and parents, from files and from what a database has recorded,
 * and what is wrong with it. Migrations, Alembic revisions and drizzle snapshots are all nodes of
 * such a graph. Pure.
 *
 *   l = lineage_new("migration"); lineage_add(l, &node) ...; lineage_check(l, &how, findings);
 *
 * A history in which nobody has a parent is a set, nothing is said of its order: heads are judged
 * as soon as one node has a parent (or is a baseline).
 */
#ifndef SEGUE_ENGINE_LINEAGE_H
#define SEGUE_ENGINE_LINEAGE_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "segue/base/err.h"

#define LINEAGE_NODES_MAX 20000

enum lineage_state {
    LIN_FILE,     /* somebody's file; whether it was applied is said by another node */
    LIN_FLIGHT,   /* recorded: started, not at its end */
    LIN_APPLIED,  /* recorded: at its end */
    LIN_BASELINE, /* recorded: stands for all that came before it, and has no file */
};

struct lineage_node { /* copied */
    const char *name;
    enum lineage_state state;
    const char *where;  /* of a file: "dir/x.json"; NULL: recorded */
    int line;           /* of the parents in it; 0: not known */
    const char *sha256; /* NULL: not compared */
    const char *const *parents;
    size_t nparents;
};

struct lineage_how {
    bool whole;  /* the files are all there are: one that was applied and is not there is gone,
                  * which is an error in a history alone */
    bool branch; /* more than one head is allowed */
    bool always; /* heads are judged even when nobody has a parent */
    bool after;  /* a file that says no parent is to be given one, rather than merged */
    const char *merge; /* hint: how heads are merged */
};

struct lineage;

struct lineage *lineage_new(const char *what); /* borrowed: "migration" */
void lineage_free(struct lineage *lineage);
/* A file and a record of one name become one node. A second file of a name is a finding. */
void lineage_add(struct lineage *lineage, const struct lineage_node *node, json_t *findings);
bool lineage_has(const struct lineage *lineage, const char *name);
/* Is its order judged? */
bool lineage_ordered(const struct lineage *lineage);
/* Appends findings; how many. */
size_t lineage_check(const struct lineage *lineage, const struct lineage_how *how,
                     json_t *findings);
/* Names of the nodes nobody follows, ", " between them; heap. *n: how many. */
char *lineage_heads(const struct lineage *lineage, size_t *n);

/* A finding: {"severity", "code", "where", "text", "hint"}. hint may be NULL. */
void lineage_find(json_t *findings, const char *severity, const char *code, const char *where,
                  const char *hint, const char *fmt, ...) PRINTF_LIKE(6, 7);

/* What a migration file says of itself. Errors as of loading it: file, line, field. */
struct eng_file_head {
    char *name, *sha256;
    char **parents;
    size_t nparents;
    int line; /* of "after", else of "name" */
};
enum rc eng_file_head(const char *where, const char *text, struct eng_file_head *head,
                      struct err *err) MUST_CHECK;
void eng_file_head_fini(struct eng_file_head *head);

/* What the file's own SQL may not do, as far as the text shows: findings. A table is taken to be in
 * use unless the file makes it. */
void eng_file_lint(const char *where, const char *text, json_t *findings);

char *eng_sha256_hex(const void *bytes, size_t len); /* heap */

#endif
