/*
 * What a client's message may touch, and whether it passes (admit.h).
 *
 * Without rules only named Parse messages are looked at, to remember their text: a later migration
 * must know what a Bind of them touches. With rules (or a closed gate) statements are withheld
 * until they are complete, so that one that must be held was not sent in part.
 */
#include <string.h>

#include "admit.h"
#include "asking.h"
#include "behind.h"
#include "head.h"
#include "idle.h"
#include "made.h"
#include "names.h"
#include "path.h"
#include "rewriting.h"
#include "segue/wire/read.h"
#include "version.h"
#include "worker.h"

/* Portal and statement names of a Bind are looked for in this many bytes; so long is a Describe
 * or Close at most. A longer name is not known. */
#define NAMES_BYTES_MAX 4096

/* The first word of a command of replication is looked for in so much of its message. */
#define COMMAND_BYTES_MAX 256

/* ---- verdicts ---- */

static bool is_rewritten(const struct sess *s, const struct sql_rewrite *rewrite)
{
    const struct sql_rewrite *wants = sess_rewriting_wants(s, rewrite);

    return wants && (wants->text || wants->early);
}

static uint64_t epoch_of(const struct sess *s)
{
    return sql_rules_epoch(sess_rules(s));
}

/* What an EXECUTE names was prepared by SQL or by Parse, perhaps not seen. */
static uint64_t executed_touches(const struct sess *s)
{
    return s->spoke || s->statements ? SQL_TOUCH_ALL : s->prepares;
}

/* A text is about to run that has been judged; `known`: it mentions tables of the rules. */
static void note_path(struct sess *s, const struct sql_verdict *v, bool known, const char *text,
                      size_t len)
{
    struct sql_path_move move;

    if (!s->path)
        return;
    if (v->moves) {
        sql_path_move(text, len, &move);
        sess_path_goes(s->path, &move);
    } else if (!known && sql_path_hidden(sess_rules(s)).path) {
        sess_path_suspect(s->path); /* it may call a function that sets it */
    }
}

/* NULL: nothing is known of the text but *v. Else valid until the next call. */
static const struct sql_rewrite *inspect(struct sess *s, enum sql_side side, const char *text,
                                         size_t len, struct sql_verdict *v)
{
    struct sess_worker *w = s->worker;
    struct sql_rules *rules = sess_rules(s);
    struct sql_sight_of_session sight;
    const struct sql_rewrite *rewrite;
    struct sql_path_steps steps = {0};
    struct sql_cache_stats stats;
    bool moves, several, columns, fickle;
    enum sql_opaque opaque;
    enum sql_first first;

    memset(v, 0, sizeof(*v));
    v->moves = moves = s->path && sess_path_steps(s->path, rules, text, len, &steps);
    COUNT(w->counters.inspected, 1);
    if (!rules) { /* with a closed gate nobody can tell */
        v->touches = w->gate_mask ? SQL_TOUCH_ALL : 0;
        return NULL;
    }
    first = sql_first_word(text, len);
    several = sql_first_is_several(text, len);
    v->opaque = opaque =
        several || sql_first_is_opaque(first) ? sql_opaque(text, len) : SQL_OPAQUE_NO;
    v->columns = columns = sess_makes_columns(s, first, text, len, v, several);
    v->fickle = fickle = sess_makes_fickle(s, first, text, len, v, several);
    if (first < SQL_FIRST_BEGIN && !several && !sql_mentions(rules, text, len)) {
        v->columns |= first == SQL_FIRST_READS && sql_makes_columns(rules, text, len);
        return NULL;
    }
    sess_sight(s, &sight);
    sight.side = side;
    sight.unlisted |= several && columns;
    sight.steps = steps;
    pthread_mutex_lock(&w->cache_lock);
    rewrite = sql_cache_rewrite(sess_cache(s), rules, &sight, text, len);
    pthread_mutex_unlock(&w->cache_lock);
    sql_cache_stats(w->cache, &stats);
    atomic_store_explicit(&w->counters.cache_hits, stats.hits + stats.shaped, memory_order_relaxed);
    *v = rewrite->verdict;
    v->moves = moves;
    v->opaque = opaque;
    v->columns |= columns;
    v->fickle = fickle;
    if (v->executes)
        v->touches |= executed_touches(s);
    return rewrite;
}

/* A statement has passed: what it leaves behind in the session, and is seen of it. */
static void note_passed(struct sess *s, const struct sql_verdict *v,
                        const struct sql_rewrite *rewrite, unsigned times, const char *text,
                        size_t len)
{
    s->prepares |= v->prepares;
    s->alters |= v->alters;
    sess_made_note(s, v, rewrite, v->begins || !sess_track_safe(&s->track));
    if (!rewrite)
        return;
    sess_usage_note(s, rewrite, times, text, len);
    if (rewrite->doubt != SQL_DOUBT_NONE)
        COUNT(s->worker->counters.doubts[rewrite->doubt], 1);
}

/* What an EXECUTE runs may have been rewritten, too; sess_touch knows of what else has passed. */
static void note_spoken(struct sess *s, const struct sql_verdict *v,
                        const struct sql_rewrite *rewrite, const struct sess_names *names)
{
    if (v->executes)
        sess_speak_of(s, (names->executes ? names->touches : SQL_TOUCH_ALL) |
                             (rewrite ? rewrite->verdict.touches : 0));
}

/* The same of one that is too long to be read. */
static void note_unread(struct sess *s, const struct wire_frame *frame, const char *msg,
                        size_t avail)
{
    const struct sql_rewrite unread = {.verdict.touches = SQL_TOUCH_ALL, .doubt = SQL_DOUBT_LENGTH};
    const char *text = msg + WIRE_HEADER_BYTES, *end = msg + avail;

    if (s->path)
        sess_path_unseen(s->path);
    if (frame->total <= sess_limits(s)->inspect_bytes_max)
        return;               /* it is not what it should be: the server will say so */
    if (frame->type == 'P') { /* behind the name */
        const char *nul = memchr(text, '\0', (size_t)(end - text));

        text = nul ? nul + 1 : end;
    }
    sess_usage_note(s, &unread, 1, text, (size_t)(end - text));
    COUNT(s->worker->counters.doubts[SQL_DOUBT_LENGTH], 1);
}

/* By the path of now: what is behind its head may move it. */
static enum sess_look pass_head(struct sess *s, const struct wire_frame *frame, const char *msg,
                                size_t avail)
{
    enum sess_look look = sess_head_pass(s, frame, msg, avail);

    note_unread(s, frame, msg, avail);
    return look;
}

/* A message that carries nothing of which the pipeline would have to know. */
static enum sess_look pass(struct sess *s, uint8_t type)
{
    if (s->pipeline)
        sess_rewriting_passed(s, type);
    return SESS_LOOK_PASS;
}

/* The same of a text that the client sends, of which `names` have been read. */
static const struct sql_rewrite *inspect_sent(struct sess *s, const struct sess_names *names,
                                              const char *text, size_t len, struct sql_verdict *v)
{
    const struct sql_rewrite *rewrite = inspect(s, s->version.side, text, len, v);

    if (names->executes && !v->executes && sess_rules(s)) {
        v->executes = true;
        v->touches |= executed_touches(s);
    }
    return rewrite;
}

static enum sess_look look_query(struct sess *s, const struct wire_frame *frame, const char *msg,
                                 size_t avail)
{
    struct sql_verdict v = {.touches = SQL_TOUCH_ALL, .prepares = SQL_TOUCH_ALL};
    const struct sql_rewrite *rewrite = NULL;
    struct wire_query query = {0};
    struct sess_names names;
    enum rc rc = sess_look_whole(s, frame, avail);
    enum sess_head head = rc == RC_ERR ? sess_head_find(s, frame, msg, avail) : SESS_HEAD_NONE;
    bool again = false;
    enum sess_look look;

    if (rc == RC_AGAIN || head == SESS_HEAD_AWAITED)
        return SESS_LOOK_MORE;
    sess_names_none(&names);
    if (rc == RC_OK)
        rc = wire_read_query(msg, frame->total, &query);
    if (rc == RC_OK) {
        sess_names_read(s, query.text, query.len, &names);
        again = sess_names_judge(s, &names);
        rewrite = inspect_sent(s, &names, query.text, query.len, &v);
    }
    if (sess_waits_for_rest(s, again || head || is_rewritten(s, rewrite)))
        return SESS_LOOK_STOP;
    look = sess_admit(s, v.touches, v.begins);
    if (look != SESS_LOOK_PASS)
        return look;
    note_spoken(s, &v, rewrite, &names);
    note_passed(s, &v, rewrite, 1, query.text, query.len);
    s->unnamed_epoch = SESS_NOT_LOOKED; /* a simple query drops the unnamed statement */
    if (!sess_rewriting(s))
        sess_remember_dropped(s);
    else if (head)
        return pass_head(s, frame, msg, avail);
    if (rc != RC_OK)
        note_unread(s, frame, msg, avail);
    if (again && sess_names_again(s, &names, true))
        rewrite = inspect_sent(s, &names, query.text, query.len, &v);
    note_path(s, &v, rewrite != NULL, query.text, query.len);
    return sess_rewrite_query(s, rc == RC_OK ? &query : NULL, rewrite, &names);
}

/* Without rules, or with such that are not for this session, a verdict means nothing later. */
static uint64_t verdict_epoch(const struct sess *s)
{
    return sess_rules(s) && s->altered <= s->worker->order->changes ? epoch_of(s) : SESS_NOT_LOOKED;
}

void sess_judge(struct sess *s, struct sess_statement *statement, const struct sql_verdict *v,
                const struct sql_rewrite *rewrite)
{
    statement->epoch = verdict_epoch(s);
    statement->shadowed = sess_shadowed(s);
    statement->unseen = sess_unseen(s);
    statement->unlisted = sess_unlisted(s);
    statement->fickle = sess_fickle(s);
    statement->path = sess_path_class(s->path, sess_rules(s));
    statement->seen = rewrite ? *rewrite : (struct sql_rewrite){0};
    statement->seen.verdict = *v;
    statement->names = !statement->sql && sql_named_may(statement->text, statement->text_len);
    statement->seen.text = NULL;
    statement->seen.splices = NULL;
}

static enum sess_look look_parse(struct sess *s, const struct wire_frame *frame, const char *msg,
                                 size_t avail)
{
    struct sql_verdict v = {.touches = SQL_TOUCH_ALL};
    const struct sql_rewrite *rewrite = NULL;
    struct wire_parse read;
    struct sess_parse parse;
    struct sess_names names;
    enum rc rc = sess_look_whole(s, frame, avail);
    enum sess_head head = rc == RC_ERR ? sess_head_find(s, frame, msg, avail) : SESS_HEAD_NONE;
    bool again = false;
    enum sess_look look;

    if (rc == RC_AGAIN || head == SESS_HEAD_AWAITED)
        return SESS_LOOK_MORE;
    sess_names_none(&names);
    if (rc == RC_OK)
        rc = wire_read_parse(msg, frame->total, &read);
    if (rc == RC_OK) {
        sess_names_read(s, read.text, read.text_len, &names);
        again = sess_names_judge(s, &names);
        rewrite = inspect_sent(s, &names, read.text, read.text_len, &v);
    }
    if (sess_waits_for_rest(s, again || head || is_rewritten(s, rewrite)))
        return SESS_LOOK_STOP;
    look = sess_admit(s, v.touches, v.begins);
    if (look != SESS_LOOK_PASS)
        return look;
    if (rc != RC_OK) { /* a name not read stays unknown */
        s->unnamed_epoch = SESS_NOT_LOOKED;
        if (head && sess_rewriting(s))
            return pass_head(s, frame, msg, avail);
        note_unread(s, frame, msg, avail);
        if (!sess_rewriting(s)) {
            sess_remember_dropped(s);
            return pass(s, frame->type);
        }
        sess_rewrite_unread(s, frame->type, NULL);
        return SESS_LOOK_PASS;
    }
    note_spoken(s, &v, rewrite, &names);
    note_passed(s, &v, rewrite, 0, read.text, read.text_len);
    if (v.moves && !sess_rewriting(s))
        sess_path_unseen(s->path); /* nobody will know what a Bind of it runs */
    parse = (struct sess_parse){
        .name = read.name,
        .text = read.text,
        .text_len = read.text_len,
        .types = read.types,
        .ntypes = read.nparams,
        .alone = !read.name[0] && sess_parse_is_alone(msg + frame->total, avail - frame->total)};
    if (!parse.name[0]) {
        s->unnamed_touches = v.touches;
        s->unnamed_begins = v.begins;
        s->unnamed_alters = v.alters;
        s->unnamed_epoch = verdict_epoch(s);
    }
    if (again && sess_names_again(s, &names, false))
        rewrite = inspect_sent(s, &names, read.text, read.text_len, &v);
    if (sess_rewriting(s))
        return sess_rewrite_parse(s, &parse, rewrite, &v, &names);
    sess_remember(s, &parse);
    if (!parse.name[0])
        sess_names_pass(s, parse.text, parse.text_len, &names, NULL);
    return pass(s, frame->type);
}

/* Is what was seen of it still what the rules say to this session? The server, too, takes names
 * anew where the search path is another one. */
static bool is_outdated(const struct sess *s, const struct sess_statement *statement)
{
    return statement->epoch != epoch_of(s) ||
           !sql_taken_same(statement->shadowed, sess_shadowed(s)) ||
           statement->unseen != sess_unseen(s) || statement->unlisted != sess_unlisted(s) ||
           statement->fickle != sess_fickle(s) ||
           statement->path != sess_path_class(s->path, sess_rules(s)) || statement->stale;
}

const struct sql_rewrite *sess_judge_again(struct sess *s, struct sess_statement *statement)
{
    const struct sql_rewrite *rewrite = NULL;
    struct sql_verdict v;

    if (is_outdated(s, statement)) {
        const struct sql_rewrite *wants;

        rewrite = inspect(s, statement->side, statement->text, statement->text_len, &v);
        if (sess_rewriting_meets(s, statement, v.touches))
            rewrite = inspect(s, statement->side, statement->text, statement->text_len, &v);
        sess_judge(s, statement, &v, rewrite);
        wants = sess_rewriting_wants(s, rewrite);
        statement->stale = statement->lost || !sess_sent_is(statement->sent, wants);
        sess_rewriting_judged(s, statement, wants);
    }
    return rewrite;
}

void sess_judge_first(struct sess *s, struct sess_statement *statement)
{
    const struct sql_rewrite *rewrite;
    struct sql_verdict v;

    rewrite = inspect(s, s->version.side, statement->text, statement->text_len, &v);
    sess_judge(s, statement, &v, rewrite);
    sess_rewriting_prepared(s, statement);
}

static enum sess_look look_statement(struct sess *s, uint8_t type, const char *portal,
                                     struct sess_statement *statement)
{
    const struct sql_rewrite *rewrite = sess_judge_again(s, statement);
    struct sess_names names;
    bool again = false;
    enum sess_look look;

    sess_names_none(&names);
    if (statement->names) {
        sess_names_read(s, statement->text, statement->text_len, &names);
        again = sess_names_judge(s, &names);
    }
    if (sess_waits_for_rest(s, again || statement->stale))
        return SESS_LOOK_STOP;
    look = sess_admit(s, statement->seen.verdict.touches, statement->seen.verdict.begins);
    if (look != SESS_LOOK_PASS)
        return look;
    note_spoken(s, &statement->seen.verdict, NULL, &names);
    if (type == 'B') { /* to be described is not to be used */
        s->alters |= statement->seen.verdict.alters;
        sess_made_note(s, &statement->seen.verdict, &statement->seen,
                       s->track.status != 'I' || s->track.expected);
        sess_usage_note(s, &statement->seen, 1, statement->text, statement->text_len);
    }
    if (again)
        sess_names_again(s, &names, false);
    if (statement->names) /* other texts were looked at since */
        rewrite = sess_judge_again(s, statement);
    if (type == 'B')
        note_path(s, &statement->seen.verdict, statement->seen.verdict.touches != 0,
                  statement->text, statement->text_len);
    return sess_rewrite_use(s, &(struct sess_binding){type, portal, statement, rewrite, &names});
}

/* What the use of a prepared statement touches; unknown ones may touch anything. `portal` is a
 * Bind's. */
static enum sess_look look_use(struct sess *s, uint8_t type, const char *portal, const char *name)
{
    struct sess_statement *statement = NULL;
    uint64_t touches = SQL_TOUCH_ALL;
    bool begins = false;
    enum sess_look look;

    if (name)
        statement = name[0] ? sess_statements_find(s->statements, name) : s->unnamed;
    if (statement && statement->text)
        return look_statement(s, type, portal, statement);
    if (name && !name[0] && s->unnamed_epoch == epoch_of(s)) {
        touches = s->unnamed_touches;
        begins = s->unnamed_begins;
        s->alters |= s->unnamed_alters;
        note_path(s, &(struct sql_verdict){0}, false, "", 0);
    } else if (type == 'B' && s->path) {
        sess_path_unseen(s->path);
    }
    look = sess_admit(s, touches, begins);
    return look == SESS_LOOK_PASS
               ? sess_rewrite_use(s, &(struct sess_binding){.type = type, .portal = portal})
               : look;
}

static enum sess_look look_bind(struct sess *s, const struct wire_frame *frame, const char *msg,
                                size_t avail)
{
    const char *portal = msg + WIRE_HEADER_BYTES;
    size_t have = avail < frame->total ? avail : frame->total;
    size_t len = have - WIRE_HEADER_BYTES;
    const char *nul = memchr(portal, '\0', len);
    const char *name = nul ? nul + 1 : NULL;

    if (name)
        nul = memchr(name, '\0', len - (size_t)(name - portal));
    if (!nul) {
        name = NULL;
        if (have < frame->total && have < NAMES_BYTES_MAX)
            return SESS_LOOK_MORE;
    }
    return look_use(s, frame->type, name ? portal : NULL, name);
}

static enum sess_look look_describe(struct sess *s, const struct wire_frame *frame, const char *msg,
                                    size_t avail)
{
    struct wire_target target;

    if (avail < frame->total && frame->total <= NAMES_BYTES_MAX)
        return SESS_LOOK_MORE;
    if (avail < frame->total || wire_read_target(msg, frame->total, &target) != RC_OK)
        return look_use(s, frame->type, NULL, NULL);
    return target.kind == 'S' ? look_use(s, frame->type, NULL, target.name) : pass(s, frame->type);
}

static enum sess_look look_close(struct sess *s, const struct wire_frame *frame, const char *msg,
                                 size_t avail)
{
    struct wire_target target;

    if (avail < frame->total && frame->total <= NAMES_BYTES_MAX)
        return SESS_LOOK_MORE;
    if (avail < frame->total || wire_read_target(msg, frame->total, &target) != RC_OK ||
        target.kind != 'S')
        return pass(s, frame->type);
    if (sess_rewriting(s)) {
        sess_rewrite_close(s, target.name);
        return SESS_LOOK_PASS;
    }
    if (!s->pipeline || sess_pipeline_reads(s->pipeline))
        sess_statements_remove(s->statements, target.name);
    return pass(s, frame->type);
}

static enum sess_look look_call(struct sess *s, const struct wire_frame *frame, const char *msg,
                                size_t avail)
{
    enum sess_look look = sess_admit(s, SQL_TOUCH_ALL, false);

    (void)msg;
    (void)avail;
    if (s->path)
        sess_path_unseen(s->path);
    return look == SESS_LOOK_PASS ? pass(s, frame->type) : look;
}

static const struct {
    enum sess_look (*look)(struct sess *s, const struct wire_frame *frame, const char *msg,
                           size_t avail);
} looks[256] = {
    ['Q'] = {look_query},    ['P'] = {look_parse}, ['B'] = {look_bind},
    ['D'] = {look_describe}, ['C'] = {look_close}, ['F'] = {look_call},
};

/* ---- commands of replication, which a walsender reads in place of SQL ---- */

/* RC_AGAIN: its first word is not all there yet; RC_ERR: it is SQL. */
static enum rc read_command(const struct wire_frame *frame, const char *msg, size_t avail)
{
    size_t here = avail < frame->total ? avail : frame->total;

    if (here < frame->total && here < COMMAND_BYTES_MAX)
        return RC_AGAIN;
    return sql_first_replicates(msg + WIRE_HEADER_BYTES, here - WIRE_HEADER_BYTES) ? RC_OK : RC_ERR;
}

/* It touches no table, whatever it names: it passes a closed gate, and may take days. */
static enum sess_look look_command(struct sess *s)
{
    struct sess_names names;

    s->command = s->track.asked + 1;
    s->unnamed_epoch = SESS_NOT_LOOKED;
    sess_names_none(&names);
    return s->pipeline ? sess_rewrite_query(s, NULL, NULL, &names) : SESS_LOOK_PASS;
}

enum sess_look sess_look(struct sess *s, const struct wire_frame *frame, const char *msg,
                         size_t avail)
{
    s->full = false;
    if (s->pipeline && sess_pipeline_full(s->pipeline))
        return sess_wait_for_room(s);
    if (sess_asks(s) || (s->behind && sess_behind_waits(s)))
        return SESS_LOOK_STOP;
    /* without rules a pipeline is still there for what they have made */
    if ((sess_is_looking(s) || s->pipeline) && sess_path_waits(s))
        return SESS_LOOK_STOP;
    if (s->walsender && frame->type == 'Q') {
        enum rc rc = read_command(frame, msg, avail);

        if (rc != RC_ERR)
            return rc == RC_OK ? look_command(s) : SESS_LOOK_MORE;
    }
    if (sess_is_looking(s) || s->pipeline)
        return looks[frame->type].look(s, frame, msg, avail);
    if (frame->type == 'C')
        return s->statements ? look_close(s, frame, msg, avail) : SESS_LOOK_PASS;
    return sess_look_idle(s, frame, msg, avail);
}

/* Of a name, or of all (NULL): what was sent behind its end is prepared after that. */
static void mean_again(struct sess *s, const char *name)
{
    const struct sess_flight *flight;

    for (size_t i = 0; s->pipeline && (flight = sess_pipeline_at(s->pipeline, i)); i++)
        if (flight->kind == SESS_FLIGHT_PARSE && flight->statement && !flight->hidden &&
            (!name || strcmp(flight->statement->name, name) == 0))
            sess_statement_unref(sess_name_means(s, flight->statement->name, flight->statement));
}

void sess_forget_statement(struct sess *s, const char *name)
{
    sess_statements_remove(s->statements, name);
    mean_again(s, name);
}

void sess_forget_unnamed(struct sess *s)
{
    sess_statement_unref(s->unnamed);
    s->unnamed = NULL;
    s->unnamed_epoch = SESS_NOT_LOOKED;
}

void sess_forget_statements(struct sess *s)
{
    sess_statements_free(s->statements);
    s->statements = NULL;
    sess_forget_unnamed(s);
    mean_again(s, NULL);
}
