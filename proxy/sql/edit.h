/*
 * Edits of a text, collected in any order, applied at once: each replaces some bytes by others.
 * Private to the sql layer.
 */
#ifndef SEGUE_SQL_EDIT_H
#define SEGUE_SQL_EDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "marks.h"
#include "segue/base/rc.h"
#include "segue/sql/rewrite.h"

struct sql_edit {
    uint32_t at, removed;
    uint32_t number; /* of edits at one place those that remove bytes are last, others in the order
                        of making */
    uint32_t moved;  /* as in struct sql_splice */
    bool name;       /* it is about which of two names a table has */
    char *text;      /* owned */
};

struct sql_edits {
    struct sql_edit *items;
    size_t n, cap;
    size_t len;         /* of the text that is edited */
    size_t bytes, most; /* of their texts; at most so many, 0: any number */
    bool over;          /* there were more: they are not whole, and of no use */
    bool many; /* `touched` has all bytes that are edited, of those that were dropped, too */
    struct sql_marks touched;
};

/* Takes `text` (heap). What is beyond `most` is not kept. */
void sql_edits_add_take(struct sql_edits *edits, uint32_t at, uint32_t removed, char *text);

/* Inserts the bytes [from, to) of `text`, which are to be removed there by another edit. */
void sql_edits_add_moved(struct sql_edits *edits, uint32_t at, const char *text, uint32_t from,
                         uint32_t to);

/* Takes `text`; errors about it are about the client's byte at `place`, or SQL_NOWHERE. */
void sql_edits_add_about(struct sql_edits *edits, uint32_t at, uint32_t removed, char *text,
                         uint32_t place);

/* The edit that was added last is about which of two names a table has. */
void sql_edits_mark_name(struct sql_edits *edits);

/* Drops those that were added from that number on; and of them all but those. */
void sql_edits_drop(struct sql_edits *edits, size_t from);
void sql_edits_keep_names(struct sql_edits *edits, size_t from);

void sql_edits_fini(struct sql_edits *edits);

/* Drops all of them, and nothing else is forgotten. */
void sql_edits_restart(struct sql_edits *edits);

/* Is something edited in [from, to)? Where there are many, perhaps by one that was dropped. */
bool sql_edits_touch(const struct sql_edits *edits, uint32_t from, uint32_t to);

/* Fills text, len and splices of *out. RC_ERR: two edits replace the same bytes. */
enum rc sql_edits_apply(struct sql_edits *edits, const char *text, size_t len,
                        struct sql_rewrite *out) MUST_CHECK;

#endif
