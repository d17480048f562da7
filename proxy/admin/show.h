/*
 * SHOW: the topics as rows, each a function that makes a table. SHOW HELP and the documents come
 * from the rows. What a table says is made where it is known: session, engine, cli.
 */
#ifndef SEGUE_ADMIN_SHOW_H
#define SEGUE_ADMIN_SHOW_H

#include <jansson.h>

#include "segue/engine/engine.h"
#include "segue/session/plane.h"
#include "segue/takeover/takeover.h"
#include "token.h"

struct adm_sources { /* borrowed; bound before the first client comes */
    struct sess_plane *plane;
    struct eng_engine *engine;
    struct tko *takeover;
    json_t *(*config)(void *ctx);
    void *config_ctx;
};

/* `words` is the whole statement, SHOW first. Appends the answer, or sets err. */
void adm_show(const struct adm_sources *from, const struct adm_token *words, size_t count,
              struct buf *out, struct err *err);

#endif
