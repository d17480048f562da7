/*
 * A model of a server by the types of messages alone: what it answers, and with which type, where
 * it skips and where it swallows. Messages have numbers; each answer names the one that it is for.
 *
 * Modelled: segments and their Syncs, errors anywhere (of a Sync, too: a deferred constraint), the
 * skipping behind them, transaction blocks, copies in from Query and Execute that fail by
 * themselves, by their client or at their end, copies out, FunctionCall, portals that are
 * suspended. A message that a copy does not allow ends the server, as it does. Not modelled:
 * bodies, copies in both directions, several copies in one Query, and a copy that fails before it
 * has read anything (of a trigger BEFORE STATEMENT): the Syncs right behind its Execute are then
 * answered, which by types alone is known too late.
 */
#ifndef SEGUE_TESTS_FUZZ_SERVER_MODEL_H
#define SEGUE_TESTS_FUZZ_SERVER_MODEL_H

#include <string.h>

#include "choice.h"

enum { MODEL_MESSAGES_MAX = 1024, MODEL_ANSWERS_MAX = 8 * MODEL_MESSAGES_MAX };

struct model_message {
    char type;
    bool copies; /* a Query or Execute that is a COPY FROM STDIN, if it does not fail */
    bool plain;  /* an Execute that is answered by CommandComplete, if it does not fail */
};

struct model_answer {
    char type, status;
    size_t to; /* number of the message */
};

struct model {
    struct model_message messages[MODEL_MESSAGES_MAX];
    size_t sent, read; /* by the client; by the server: what lies between is on its way */
    struct model_answer answers[MODEL_ANSWERS_MAX];
    size_t said, heard;
    char status;
    bool implicit; /* an implicit transaction is open */
    bool skips;    /* up to a Sync */
    char copy;     /* 'Q' or 'E': what has begun the copy that goes on; or NUL */
    size_t copying;
    bool dead;    /* it has seen what ends a connection */
    bool closing; /* nothing fails any more, and a Query ends what is open */
    unsigned failures_of_100;
};

static inline void model_init(struct model *m, unsigned failures_of_100)
{
    m->sent = m->read = m->said = m->heard = 0;
    m->status = 'I';
    m->implicit = m->skips = m->dead = m->closing = false;
    m->copy = '\0';
    m->failures_of_100 = failures_of_100;
}

static inline void model_say(struct model *m, const char *types, size_t to)
{
    for (; *types; types++)
        m->answers[m->said++] = (struct model_answer){*types, m->status, to};
}

static inline void model_fail(struct model *m, bool simple, size_t to)
{
    model_say(m, "E", to);
    if (m->status == 'T')
        m->status = 'E';
    m->implicit = false;
    m->skips = !simple;
    if (simple)
        model_say(m, "Z", to);
}

static inline void model_copy_ends(struct model *m, bool fails)
{
    bool simple = m->copy == 'Q';

    m->copy = '\0';
    if (fails) {
        model_fail(m, simple, m->copying);
        return;
    }
    model_say(m, "C", m->copying);
    if (simple) {
        m->implicit = false;
        model_say(m, "Z", m->copying);
    }
}

static inline void model_copy_reads(struct model *m, struct choices *c, char type)
{
    switch (type) {
    case 'S':
    case 'H':
        break;
    case 'd':
        if (rarely(c, 8))
            model_copy_ends(m, true);
        break;
    case 'c':
        model_copy_ends(m, rarely(c, 8));
        break;
    case 'f':
        model_copy_ends(m, true);
        break;
    default:
        m->dead = true;
    }
}

static inline void model_copy_begins(struct model *m, char from, size_t to)
{
    model_say(m, "G", to);
    m->copy = from;
    m->copying = to;
}

static inline void model_query(struct model *m, struct choices *c, size_t id)
{
    static const char *const answers[] = {"TDC", "I", "CC", "HdcC", "C"};
    size_t which;

    if (m->messages[id].copies) {
        model_copy_begins(m, 'Q', id);
        return;
    }
    which = m->closing ? 4 : choose(c, 5);
    if (which == 4 && !m->implicit) /* BEGIN, COMMIT */
        m->status = m->status == 'I' ? 'T' : 'I';
    m->implicit = false;
    model_say(m, answers[which], id);
    model_say(m, "Z", id);
}

static inline void model_execute(struct model *m, struct choices *c, size_t id)
{
    static const char *const answers[] = {"I", "Ds", "C", "HcC", "DC"};

    if (m->messages[id].copies)
        model_copy_begins(m, 'E', id);
    else
        model_say(m, m->messages[id].plain ? "C" : answers[choose(c, 5)], id);
}

static inline void model_extended(struct model *m, struct choices *c, size_t id)
{
    static const char *const descriptions[] = {"T", "n", "tT", "tn"};
    char type = m->messages[id].type;

    m->implicit |= type != 'C';
    switch (type) {
    case 'P':
        model_say(m, "1", id);
        break;
    case 'B':
        model_say(m, "2", id);
        break;
    case 'C':
        model_say(m, "3", id);
        break;
    case 'D':
        model_say(m, descriptions[choose(c, 4)], id);
        break;
    case 'E':
        model_execute(m, c, id);
        break;
    }
}

static inline void model_sync(struct model *m, bool fails, size_t id)
{
    if (fails && m->implicit && !m->skips)
        model_say(m, "E", id);
    m->skips = m->implicit = false;
    model_say(m, "Z", id);
}

/* The server reads one message. False: there is none, or nobody who reads. */
static inline bool model_reads(struct model *m, struct choices *c)
{
    size_t id = m->read;
    char type = m->messages[id].type;
    bool fails, simple = type == 'Q' || type == 'F';

    if (id == m->sent || m->dead)
        return false;
    m->read++;
    if (m->copy) {
        model_copy_reads(m, c, type);
        return true;
    }
    if (m->skips && type != 'S')
        return true;
    fails = !m->closing && strchr("SQFPBDEC", type) && choose(c, 100) < m->failures_of_100;
    if (type == 'S') {
        model_sync(m, fails, id);
    } else if (fails) {
        model_fail(m, simple, id);
    } else if (type == 'Q') {
        model_query(m, c, id);
    } else if (type == 'F') {
        m->implicit = false;
        model_say(m, "VZ", id);
    } else if (strchr("PBDEC", type)) {
        model_extended(m, c, id);
    }
    return true;
}

/* Is something at work, or will what is on its way begin anything? */
static inline bool model_may_work(const struct model *m)
{
    bool skips = m->skips;

    if (m->copy || (m->implicit && !m->skips) || m->status != 'I')
        return true;
    for (size_t i = m->read; i < m->sent; i++) {
        if (m->messages[i].type == 'S')
            skips = false;
        else if (!skips && strchr("QFPBDE", m->messages[i].type))
            return true;
    }
    return false;
}

/* Is a ReadyForQuery on its way that a request shall have? */
static inline bool model_is_ready_ahead(const struct model *m)
{
    for (size_t i = m->heard; i < m->said; i++)
        if (m->answers[i].type == 'Z')
            return true;
    return false;
}

#endif
