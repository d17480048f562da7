/*
 * What goes to the server in place of a client's message: a rewritten statement, a refusal, or in
 * front of it a statement prepared again because the rules have changed since.
 *
 * Only while the session's pipeline knows which answer belongs to what; else messages pass as they
 * are. look.c has judged the message and let it pass: from here on it is in flight.
 */
#include "rewriting.h"

#include <string.h>

#include "meaning.h"
#include "segue/wire/build.h"
#include "sides.h"
#include "worker.h"

/* ---- when the pipeline is kept ---- */

/* What the unnamed portal is made of, until the client describes it. */
static void bind_to(struct sess *s, struct sess_statement *statement)
{
    sess_statement_unref(s->bound);
    s->bound = sess_statement_ref(statement);
}

/* What errors of the Executes behind a Bind may be about. */
static void execute_is_about(struct sess *s, struct sess_names *names)
{
    sess_sent_unref(s->about);
    s->about = names ? sess_sent_ref(sess_names_about(s, names)) : NULL;
    s->arguments = s->about && names->arguments;
}

static bool at_rest(const struct sess *s)
{
    const struct sess_track *t = &s->track;

    return !s->starting && sess_track_between(t) && !t->loose && t->copy == SESS_COPY_NONE &&
           !s->client.left && !s->server.left;
}

void sess_rewriting_begin(struct sess *s)
{
    if ((!sess_rules(s) && !s->pipeline && !s->behind) || !at_rest(s))
        return;
    if (s->pipeline)
        sess_pipeline_restart(s->pipeline);
    else
        s->pipeline = sess_pipeline_new();
}

void sess_rewriting_end(struct sess *s)
{
    sess_pipeline_free(s->pipeline);
    s->pipeline = NULL;
    bind_to(s, NULL);
    execute_is_about(s, NULL);
    buf_fini(&s->failed);
}

void sess_rewriting_ready(struct sess *s)
{
    bool kept = sess_statements_rewritten(s->statements) || (s->unnamed && s->unnamed->sent);

    if (!sess_rules(s) && !s->behind && !kept && sess_pipeline_empty(s->pipeline))
        sess_rewriting_end(s);
}

struct sess_pipeline *sess_rewriting(const struct sess *s)
{
    bool begun = s->worker->instead.len; /* what is in front of the message is in flight already */

    if (!s->pipeline)
        return NULL;
    return (begun ? sess_pipeline_goes_on : sess_pipeline_takes)(s->pipeline) ? s->pipeline : NULL;
}

/* ---- what is sent instead ---- */

/* The server would only say that the transaction is aborted; let it. */
static bool is_aborted(const struct sess *s, const char *text, size_t len)
{
    return s->track.status == 'E' && sess_pipeline_empty(s->pipeline) &&
           !memchr(text, ';', len ? len - 1 : 0);
}

/* ASCII: it must be valid in the client's encoding, whatever that is. */
static void put_ascii(struct buf *out, const char *text)
{
    for (; *text; text++)
        buf_append_u8(out, *text & 0x80 ? '?' : (uint8_t)*text);
}

struct sess_sent *sess_rewrite_refuse(struct sess *s, const char *why, const struct err *err,
                                      const char *routine, struct buf *text)
{
    struct buf answer = {0};

    buf_printf(text, "segue~%s~%u: ", why, ++s->refusals);
    put_ascii(text, err->text);
    wire_put_error_of(&answer, "ERROR", err, routine);
    return sess_sent_refusal_take(&answer);
}

static struct sess_sent *refuse_early(struct sess *s, uint64_t tables, struct buf *text)
{
    struct err err = {0};

    sql_rules_early_error(sess_rules(s), tables, &err);
    COUNT(s->worker->counters.early_refused, 1);
    return sess_rewrite_refuse(s, "early", &err, NULL, text);
}

/* As the server does for a statement whose result has changed under it; some drivers know by the
 * routine that they are to prepare it again. */
static struct sess_sent *refuse_changed(struct sess *s, struct buf *text)
{
    struct err err = {0};

    sess_changed_error(s, &err);
    return sess_rewrite_refuse(s, "changed", &err, SESS_CHANGED_ROUTINE, text);
}

void sess_changed_error(struct sess *s, struct err *err)
{
    err_set(err, "0A000", "cached plan must not change result type");
    err_hint(err,
             "Columns that were there when it was prepared have gone by a migration, or a name "
             "in it means another table now.");
    COUNT(s->worker->counters.changed_refused, 1);
}

static bool is_ascii(const char *text, size_t len)
{
    unsigned char seen = 0;

    for (size_t i = 0; i < len; i++)
        seen |= (unsigned char)text[i];
    return !(seen & 0x80);
}

/* Not what is too long, but where values go to their columns by it; nor what the server would read
 * in another encoding than it is written in. */
const struct sql_rewrite *sess_rewriting_wants(const struct sess *s,
                                               const struct sql_rewrite *rewrite)
{
    size_t most = 2 * (size_t)sess_limits(s)->inspect_bytes_max;

    if (!rewrite || (s->recodes && rewrite->text && !is_ascii(rewrite->text, rewrite->len)))
        return NULL;
    return rewrite->len <= most || rewrite->positional ? rewrite : NULL;
}

/* What stands in the message; `refusal` has the text of one. */
static const char *text_of(const struct sess_sent *sent, const struct buf *refusal, size_t *len)
{
    *len = sent->answer.len ? refusal->len : sent->rewrite.len;
    return sent->answer.len ? refusal->data : sent->rewrite.text;
}

/* What to send for a text, or NULL: the text itself. *out is for a refusal's. What the cache does
 * not remember is taken: its text may be long. */
static struct sess_sent *choose(struct sess *s, const char *text, size_t len,
                                const struct sql_rewrite *rewrite, struct buf *out)
{
    struct sql_rewrite own;

    buf_reset(out);
    rewrite = sess_rewriting_wants(s, rewrite);
    if (rewrite && rewrite->early && !is_aborted(s, text, len))
        return refuse_early(s, rewrite->early, out);
    if (!rewrite || !rewrite->text)
        return NULL;
    COUNT(s->worker->counters.rewritten, 1);
    if (sql_cache_take(sess_cache(s), rewrite, &own))
        return sess_sent_take(&own, text, len);
    return sess_sent_new(rewrite, text, len);
}

/* ---- message by message ---- */

static void put(struct sess *s, struct sess_flight flight)
{
    sess_pipeline_put_take(s->pipeline, &flight);
}

/* As it is, but the pipeline has to know. */
static enum sess_look pass(struct sess *s, uint8_t type)
{
    if (s->pipeline)
        sess_pipeline_client(s->pipeline, type);
    return SESS_LOOK_PASS;
}

/* In front of a use, of which there is perhaps only the beginning: what makes the server fail. It
 * reads the use itself no more. */
static enum sess_look refuse_use(struct sess *s, uint8_t type)
{
    struct sess_worker *w = s->worker;
    struct sess_sent *sent;

    buf_reset(&w->text);
    sent = refuse_changed(s, &w->text);
    /* under a name, for the unnamed statement is the client's */
    wire_put_parse(&w->instead, "segue~changed", w->text.data, w->text.len, "", 0);
    put(s, (struct sess_flight){.kind = SESS_FLIGHT_PARSE, .hidden = true, .sent = sent});
    sess_pipeline_client(s->pipeline, type);
    return SESS_LOOK_FRONT;
}

/* An EXECUTE of what cannot stay what it was, and nothing beside it. */
static bool is_changed_use(const struct sess *s, const struct sess_names *names)
{
    return names->changed && names->read.statements == 1 && s->track.status != 'E';
}

enum sess_look sess_rewrite_query(struct sess *s, const struct wire_query *query,
                                  const struct sql_rewrite *rewrite, struct sess_names *names)
{
    struct sess_flight flight = {.kind = SESS_FLIGHT_QUERY, .before = s->unnamed};
    struct sess_worker *w = s->worker;
    struct sess_sent *sent = NULL;
    const char *sent_text;
    enum sess_look look;
    size_t sent_len;

    if (!sess_rewriting(s)) {
        sess_names_pass(s, query ? query->text : "", query ? query->len : 0, names, NULL);
        return pass(s, 'Q');
    }
    if (query && is_changed_use(s, names)) {
        buf_reset(&w->text);
        sent = refuse_changed(s, &w->text);
    } else if (query) {
        sent = choose(s, query->text, query->len, rewrite, &w->text);
    }
    flight.sent = sent ? sent : sess_sent_ref(sess_names_about(s, names));
    flight.executes = !sent && flight.sent;
    flight.arguments = flight.executes && names->arguments;
    s->unnamed = NULL;
    look = w->instead.len ? SESS_LOOK_FRONT : SESS_LOOK_PASS;
    if (sent) {
        sent_text = text_of(sent, &w->text, &sent_len);
        wire_put_query(&w->instead, sent_text, sent_len);
    }
    put(s, flight);
    if (query)
        sess_names_pass(s, query->text, query->len, names, sent);
    return sent ? SESS_LOOK_INSTEAD : look;
}

struct sess_statement *sess_name_means(struct sess *s, const char *name,
                                       struct sess_statement *statement)
{
    struct sess_statement *before;

    if (!name[0]) {
        before = s->unnamed;
        s->unnamed = sess_statement_ref(statement);
        return before;
    }
    if (statement && !s->statements)
        s->statements = sess_statements_new(sess_limits(s)->statements_bytes_max);
    before = sess_statement_ref(sess_statements_find(s->statements, name));
    if (statement)
        sess_statements_set(s->statements, statement);
    else
        sess_statements_remove(s->statements, name);
    return before;
}

void sess_rewrite_unread(struct sess *s, uint8_t type, struct sess_sent *sent)
{
    put(s, (struct sess_flight){.kind = type == 'Q' ? SESS_FLIGHT_QUERY : SESS_FLIGHT_PARSE,
                                .before = s->unnamed,
                                .sent = sent});
    s->unnamed = NULL;
}

enum sess_look sess_rewrite_parse(struct sess *s, const struct sess_parse *parse,
                                  const struct sql_rewrite *rewrite,
                                  const struct sql_verdict *verdict, struct sess_names *names)
{
    struct sess_flight flight = {.kind = SESS_FLIGHT_PARSE};
    struct sess_worker *w = s->worker;
    enum sess_look look = w->instead.len ? SESS_LOOK_FRONT : SESS_LOOK_PASS;
    const char *sent_text;
    struct sess_sent *sent;
    size_t sent_len;

    if (is_changed_use(s, names))
        return refuse_use(s, 'P');
    sent = flight.sent = choose(s, parse->text, parse->text_len, rewrite, &w->text);
    if (parse->name[0] || parse->alone || sent || verdict->touches || verdict->elsewhere ||
        verdict->moves) {
        flight.statement = sess_statement_new(parse);
        sess_judge(s, flight.statement, verdict, rewrite);
        flight.statement->sent = sess_sent_ref(sent);
        sess_rewriting_prepared(s, flight.statement);
    }
    flight.before = sess_name_means(s, parse->name, flight.statement);
    if (parse->name[0] && sent && !sent->answer.len && !flight.statement->linked) {
        /* nobody would know later what the server has: no room */
        sess_sent_unref(sent);
        flight.sent = sent = NULL;
    }
    if (sent) {
        sent_text = text_of(sent, &w->text, &sent_len);
        wire_put_parse(&w->instead, parse->name, sent_text, sent_len, parse->types, parse->ntypes);
    }
    put(s, flight);
    if (!parse->name[0])
        sess_names_pass(s, parse->text, parse->text_len, names, sent);
    return sent ? SESS_LOOK_INSTEAD : look;
}

/* Under a name that the client will hardly have: the unnamed ones are its own. */
#define HIDDEN_NAME "segue~prepare"

/* A PREPARE, which has a list of types by their names perhaps, so that no Parse can say the same.
 */
static void send_sql_again(struct sess *s, struct sess_statement *statement, const char *text,
                           size_t len, struct sess_sent *sent, bool quiet)
{
    static const enum sess_flight_kind kinds[] = {
        SESS_FLIGHT_CLOSE,   SESS_FLIGHT_CLOSE, SESS_FLIGHT_PARSE, SESS_FLIGHT_BIND,
        SESS_FLIGHT_EXECUTE, SESS_FLIGHT_CLOSE, SESS_FLIGHT_CLOSE};
    struct buf *out = &s->worker->instead;

    wire_put_close_statement(out, statement->name);
    wire_put_close_statement(out, HIDDEN_NAME);
    wire_put_parse(out, HIDDEN_NAME, text, len, "", 0);
    wire_put_run(out, HIDDEN_NAME, HIDDEN_NAME);
    wire_put_close_statement(out, HIDDEN_NAME);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        bool runs = kinds[i] == SESS_FLIGHT_EXECUTE;

        put(s, (struct sess_flight){
                   .kind = kinds[i],
                   .hidden = true,
                   .quiet = quiet,
                   .sent = runs || kinds[i] == SESS_FLIGHT_PARSE ? sess_sent_ref(sent) : NULL,
                   .statement = runs ? sess_statement_ref(statement) : NULL});
    }
}

static void send_again(struct sess *s, struct sess_statement *statement, const char *text,
                       size_t len, struct sess_sent *sent, bool quiet)
{
    struct buf *out = &s->worker->instead;

    wire_put_close_statement(out, statement->name);
    wire_put_parse(out, statement->name, text, len, statement->types, statement->ntypes);
    put(s, (struct sess_flight){.kind = SESS_FLIGHT_CLOSE, .hidden = true, .quiet = quiet});
    put(s, (struct sess_flight){.kind = SESS_FLIGHT_PARSE,
                                .hidden = true,
                                .quiet = quiet,
                                .sent = sess_sent_ref(sent),
                                .statement = sess_statement_ref(statement)});
}

void sess_rewriting_sync(struct sess *s)
{
    wire_put_sync(&s->worker->instead);
    put(s, (struct sess_flight){.kind = SESS_FLIGHT_SYNC, .hidden = true, .quiet = true});
}

void sess_prepare_again(struct sess *s, struct sess_statement *statement,
                        const struct sql_rewrite *rewrite, bool query)
{
    struct sess_worker *w = s->worker;
    struct sess_sent *sent = choose(s, statement->text, statement->text_len, rewrite, &w->text);
    uint64_t tables = statement->seen.verdict.touches | statement->seen.verdict.elsewhere;
    const char *text = statement->text;
    size_t len = statement->text_len;
    bool room = !sent || sent->answer.len || !statement->linked ||
                sess_statements_room(s->statements, sent->bytes);

    if (!room) { /* then nobody may have to know later what the server has */
        sess_sent_unref(sent);
        sent = NULL;
    }
    COUNT(w->counters.prepared_again, 1);
    if (sent)
        text = text_of(sent, &w->text, &len);
    (statement->sql ? send_sql_again : send_again)(s, statement, text, len, sent, query);
    sess_statements_sent_take(s->statements, statement, sent);
    if (sess_side_is_lost(s, statement) || !tables)
        statement->side = sess_side_of(s, tables);
    statement->sent_epoch = sess_rewriting_clock(s);
    statement->tags = sql_rules_tags(sess_rules(s), tables);
    statement->retyped = sql_rules_retypes(sess_rules(s), tables);
    statement->turned = sql_rules_turned(sess_rules(s), statement->seen.verdict.touches).number;
    statement->signature = 0;
    sess_meaning_note(s, statement);
    statement->gone = statement->types_gone = false;
    statement->lost = statement->stale = sent && sent->answer.len;
    if (!room)
        sess_statements_remove(s->statements, statement->name);
}

enum sess_look sess_rewrite_use(struct sess *s, const struct sess_binding *use)
{
    struct sess_flight flight = {.kind =
                                     use->type == 'B' ? SESS_FLIGHT_BIND : SESS_FLIGHT_DESCRIBE};
    struct sess_statement *statement = use->statement;
    bool front = s->worker->instead.len > 0;

    if (!sess_rewriting(s))
        return pass(s, use->type);
    if (statement && statement->stale && !sess_namings_concern(s->namings, statement->name) &&
        !is_aborted(s, statement->text, statement->text_len)) {
        if (statement->changed)
            return refuse_use(s, use->type);
        sess_prepare_again(s, statement, use->rewrite, false);
        front = true;
    }
    if (use->names && is_changed_use(s, use->names))
        return refuse_use(s, use->type);
    if (use->type == 'B') {
        bind_to(s, use->portal && !use->portal[0] ? statement : NULL);
        execute_is_about(s, use->names);
    }
    if (use->portal && use->portal[0] && statement)
        statement->habit = SESS_HABIT_TRUSTS; /* who describes that portal is not followed */
    if (use->type == 'D' && statement)
        statement->told = true;
    flight.sent = statement ? sess_sent_ref(statement->sent) : NULL;
    if (use->type == 'D' && use->names && !flight.sent) {
        flight.sent = sess_sent_ref(sess_names_about(s, use->names));
        flight.executes = flight.sent != NULL;
        flight.arguments = use->names->arguments;
    }
    put(s, flight);
    if (use->type == 'B' && statement && statement->name[0] && use->names)
        sess_names_pass(s, statement->text, statement->text_len, use->names, NULL);
    return front ? SESS_LOOK_FRONT : SESS_LOOK_PASS;
}

void sess_rewriting_passed(struct sess *s, uint8_t type)
{
    if (s->bound && type == 'D' && s->bound->habit < SESS_HABIT_DESCRIBES)
        s->bound->habit++;
    else if (s->bound && type == 'E')
        s->bound->habit = SESS_HABIT_TRUSTS;
    if (s->bound && (type == 'D' || type == 'E'))
        bind_to(s, NULL);
    if ((type == 'D' || type == 'E') && s->about) /* the server looks at its result in both */
        put(s,
            (struct sess_flight){.kind = type == 'D' ? SESS_FLIGHT_DESCRIBE : SESS_FLIGHT_EXECUTE,
                                 .sent = sess_sent_ref(s->about),
                                 .arguments = s->arguments});
    else
        sess_pipeline_client(s->pipeline, type);
}

void sess_rewrite_close(struct sess *s, const char *name)
{
    struct sess_flight flight = {.kind = SESS_FLIGHT_CLOSE};

    flight.before = sess_name_means(s, name, NULL);
    put(s, flight);
}
