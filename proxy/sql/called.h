/*
 * Tables that change their name. Until the cut-over the table has the old name, from then on the
 * new one; the other of the two means the table, too, and the name that it has is put in its
 * place: `FROM new` is sent as `FROM public.old AS new`, so that new.column, new.* and the names in
 * errors stay what they are. Private to the sql layer.
 */
#ifndef SEGUE_SQL_CALLED_H
#define SEGUE_SQL_CALLED_H

#include "scope.h"

/* The place's own name in place of the other side's, where it stands so. `alias`: one may follow
 * it there. */
void sql_called_put(struct sql_work *w, const struct sql_place *place, bool alias);

/* schema.table.column, or schema.table.*: a place with an alias is not known by its schema. */
void sql_called_qualified(struct sql_work *w, const struct sql_place *place,
                          const struct sql_node *ref);

/* The WHERE of a COPY, which has no aliases (NULL: none): a doubt where it may call the table by
 * that name. */
void sql_called_where(struct sql_work *w, const struct sql_place *place,
                      const struct sql_node *where);

/* TRUNCATE, LOCK, VACUUM: a list of relations, which have no aliases. */
void sql_called_list(struct sql_work *w, const struct sql_node *list);

/* A doubt for other names where nothing is put in their place: row types, texts that become
 * relations ('t'::regclass). What they are in a parameter, nobody sees. */
void sql_called_doubts(struct sql_work *w, const struct sql_node *tree);

/* The same for a COMMENT, which says its object as a list of names. */
void sql_called_object(struct sql_work *w, const struct sql_node *object);

#endif
