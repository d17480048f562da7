/*
 * Who uses which names of the migrations in flight: what the workers have seen is added up here,
 * shown on the board, asked before `complete`, and written to segue.usage, which survives us.
 * Private to the engine's rooms usage*.c; the others call what runner.h lists.
 *
 * Texts in here are UTF-8: they are mended when they come in.
 */
#ifndef SEGUE_ENGINE_USAGE_H
#define SEGUE_ENGINE_USAGE_H

#include "runner.h"
#include "segue/session/usage.h"

struct eng_usage {
    size_t entries_max;
    struct sess_usage *known;   /* all that segue.usage says, and what is unsaved */
    struct sess_usage *unsaved; /* since it was last written */
    uint64_t trimmed;           /* entries gone from known when segue.usage was last trimmed */
    int64_t looked_ms, saved_ms, outside_ms;
    bool urgent;     /* somebody uses old names in soak: not to be lost */
    bool failed;     /* to write; said once */
    json_t *outside; /* rows of connections that bypass segue */
};

/* The migration in flight that the tag is of, or NULL; *locked: index into m->locked. */
struct eng_migration *usage_table_of(struct eng_engine *engine, uint64_t tag, size_t *locked);

/* "public.items"; heap. */
char *usage_table_name(const struct eng_migration *m, size_t locked);

/* usage_show.c */
void usage_show(struct eng_engine *engine);

/* outside.c: looks who connects past segue */
void outside_refresh(struct eng_engine *engine);

#endif
