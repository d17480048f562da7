/*
 * What of a session is in flight: which of the client's messages the server's next answer belongs
 * to. Kept only while statements are rewritten. Pure.
 *
 * Begun where nothing is outstanding. After an error in an extended message the server reads
 * nothing up to the next Sync: those messages are taken back, newest first, so that whoever counted
 * on them can undo it. While it takes a copy from the client it reads no Sync either; behind one
 * among the data of what may be a copy the client waits: is it answered? Nobody knows yet.
 * What cannot be followed makes the pipeline blind: it takes in nothing more, and what it has is
 * still answered. It is to be begun anew where nothing is outstanding.
 */
#ifndef SEGUE_SESSION_PIPELINE_H
#define SEGUE_SESSION_PIPELINE_H

#include "statements.h"

enum sess_flight_kind {
    SESS_FLIGHT_QUERY,
    SESS_FLIGHT_CALL, /* FunctionCall */
    SESS_FLIGHT_SYNC,
    SESS_FLIGHT_PARSE,
    SESS_FLIGHT_BIND,
    SESS_FLIGHT_DESCRIBE,
    SESS_FLIGHT_EXECUTE,
    SESS_FLIGHT_CLOSE,
    SESS_FLIGHT_COPY_END, /* CopyDone, CopyFail: no answer of its own */
};

struct sess_flight {
    enum sess_flight_kind kind;
    bool answered;          /* a Query: something of its answer has come */
    bool again;             /* a Query: it has failed as another text, and was sent once
                               more; the ReadyForQuery of that is still to come */
    bool second;            /* a Query: it is not the first text that was sent */
    bool fed;               /* data of a copy was sent behind it */
    bool hidden;            /* segue's own: the client hears only of its failure */
    bool quiet;             /* not of that, either: of the Query's behind it */
    bool executes;          /* `sent` is what it executes by SQL, not its own text */
    bool arguments;         /* the same, and an error may be about arguments that it gives */
    struct sess_sent *sent; /* whose text its errors are about; NULL: the client's own */
    struct sess_statement *statement; /* Parse: of this one; else NULL */
    struct sess_statement *before;    /* what the name meant before; NULL: nothing, or no name */
};

#define SESS_FLIGHTS_MAX 4096   /* in flight at once; beyond it the pipeline is blind */
#define SESS_FLIGHTS_AT_ONCE 32 /* of one message of the client, at most */
#define SESS_FLIGHTS_BYTES_MAX                                                                     \
    262144 /* of texts sent instead; with more, or nearly so many                                  \
              messages, the client waits for answers */

struct sess_pipeline;

/* Nothing is outstanding. */
struct sess_pipeline *sess_pipeline_new(void);
void sess_pipeline_free(struct sess_pipeline *p); /* NULL is fine */
void sess_pipeline_restart(struct sess_pipeline *p);

bool sess_pipeline_blind(const struct sess_pipeline *p);
bool sess_pipeline_empty(const struct sess_pipeline *p);
/* Will the server read what the client sends now? False: an error has come, and no Sync since. */
bool sess_pipeline_reads(const struct sess_pipeline *p);
/* May a message go as another one, or with others in front of it? What is put then is in flight. */
bool sess_pipeline_takes(const struct sess_pipeline *p);
/* The same once something stands in front of it: room was there for all of it. */
bool sess_pipeline_goes_on(const struct sess_pipeline *p);
/* Would it, but for what is in flight? Then the client is to wait until half of that is answered.
 */
bool sess_pipeline_full(const struct sess_pipeline *p);
bool sess_pipeline_has_room(const struct sess_pipeline *p);
size_t sess_pipeline_bytes(const struct sess_pipeline *p);

/* A message goes to the server. References that *flight holds are taken, in any case. */
void sess_pipeline_put_take(struct sess_pipeline *p, const struct sess_flight *flight);

/* The same by type, for those that carry nothing: Execute, Sync, Describe of a portal, ... */
void sess_pipeline_client(struct sess_pipeline *p, uint8_t type);

/* Which message the next answer is for; NULL: none that is known. Valid until the next call. */
const struct sess_flight *sess_pipeline_head(const struct sess_pipeline *p);

/* The i-th in flight, the head being the first; NULL: there are not so many. */
const struct sess_flight *sess_pipeline_at(const struct sess_pipeline *p, size_t i);

/* The head is a Query that has failed as another text, before anything of its answer came, and the
 * only message in flight: it was sent again as the client wrote it. */
void sess_pipeline_again(struct sess_pipeline *p);

/* The ReadyForQuery of what failed has come. */
void sess_pipeline_failed_ready(struct sess_pipeline *p);

/* A server's message of this type has come. `undo` is called for each message that has failed
 * (`read`: the server did read it) or will never be read, newest first. */
typedef void sess_pipeline_undo(void *ctx, const struct sess_flight *flight, bool read);
void sess_pipeline_server(struct sess_pipeline *p, uint8_t type, sess_pipeline_undo *undo,
                          void *ctx);

#endif
