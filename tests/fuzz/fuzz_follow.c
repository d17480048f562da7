/*
 * What a session follows by the types of messages (track.c, pipeline.c) against a model of a server
 * that knows the truth. Client, server and the way between them take turns as the bytes choose;
 * while the pipeline takes them, messages of segue's own go in front of the client's.
 *
 * Broken, when the track stands at a safe point while something may be at work; when an answer is
 * taken for that to another message, and so hidden from the client, or segue's own shown to it; or
 * when, at rest, safe points or heads do not come back. The last is allowed to a client that
 * follows no protocol any more (its Syncs and CopyDones stand anywhere), or to more of it at once
 * than is remembered, if the track says so: sess_track_lost.
 *
 * What the server is: server_model.h. Not here: bodies, and what becomes of a Query that is sent
 * once more (fuzz_plane.c has both).
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../proxy/session/pipeline.h"
#include "../../proxy/session/track.h"
#include "server_model.h"
#include "target.h"

#define LETTERS_MAX 400
#define ERRORS_OF_100 15

enum habit { TIDY, SYNC_AHEAD_OF_DATA, CARELESS, HABITS };

static struct played {
    struct choices choices;
    struct model server;
    struct sess_track track;
    struct sess_pipeline *pipeline;
    struct own {
        struct sess_sent *sent; /* by which a flight is known */
        bool hidden, quiet;
    } own[MODEL_MESSAGES_MAX];
    enum habit habit;
    bool hides;
    struct letter {
        char type;
        bool copies;
    } script[LETTERS_MAX];
    size_t letters;
    char said[65536]; /* what has happened, for the report */
    size_t said_len;
} now;

static void note(const char *who, char type, size_t id)
{
    if (now.said_len + 32 < sizeof(now.said))
        now.said_len += (size_t)snprintf(now.said + now.said_len, 32, " %s%c%zu", who, type, id);
}

static void broken(const char *what)
{
    fprintf(stderr, "bed: %s (habit %d): c: client, h: segue's, r: read, <: answer:%s\n", what,
            now.habit, now.said);
    abort();
}

/* ---- what is sent ---- */

static const int kinds[256] = {
    ['Q'] = SESS_FLIGHT_QUERY + 1,    ['F'] = SESS_FLIGHT_CALL + 1,
    ['S'] = SESS_FLIGHT_SYNC + 1,     ['P'] = SESS_FLIGHT_PARSE + 1,
    ['B'] = SESS_FLIGHT_BIND + 1,     ['D'] = SESS_FLIGHT_DESCRIBE + 1,
    ['E'] = SESS_FLIGHT_EXECUTE + 1,  ['C'] = SESS_FLIGHT_CLOSE + 1,
    ['c'] = SESS_FLIGHT_COPY_END + 1, ['f'] = SESS_FLIGHT_COPY_END + 1,
};

static void put(char type, struct own own, bool copies)
{
    struct model *m = &now.server;
    struct buf name = {0};

    if (m->sent == MODEL_MESSAGES_MAX)
        broken("a script that is longer than the model");
    buf_append_u8(&name, 0);
    own.sent = sess_sent_refusal_take(&name);
    now.own[m->sent] = own;
    note(own.hidden ? "h:" : "c:", type, m->sent);
    m->messages[m->sent++] =
        (struct model_message){.type = type, .copies = copies, .plain = own.hidden};
    if (kinds[(uint8_t)type])
        sess_pipeline_put_take(now.pipeline, &(struct sess_flight){.kind = (enum sess_flight_kind)(
                                                                       kinds[(uint8_t)type] - 1),
                                                                   .sent = sess_sent_ref(own.sent),
                                                                   .hidden = own.hidden,
                                                                   .quiet = own.quiet});
    else
        sess_pipeline_client(now.pipeline, (uint8_t)type);
}

static void hide(const char *types, bool quiet)
{
    for (; *types; types++)
        put(*types, (struct own){.hidden = true, .quiet = quiet}, false);
}

static bool is_at_rest(void)
{
    return sess_track_between(&now.track) && !now.track.loose && now.track.copy == SESS_COPY_NONE;
}

/* As the relay: begun anew where nothing is outstanding; what waits for room is sent later. */
static bool client_says(char type, bool copies)
{
    if (sess_pipeline_blind(now.pipeline) && is_at_rest())
        sess_pipeline_restart(now.pipeline);
    if (strchr("QPB", type) && sess_pipeline_full(now.pipeline))
        return false;
    if (now.hides && sess_pipeline_takes(now.pipeline) && rarely(&now.choices, 3)) {
        if (type == 'B' || type == 'D')
            hide("CP", false);
        if (type == 'Q' && sess_pipeline_empty(now.pipeline) && !now.track.unsynced &&
            now.track.status != 'E')
            hide("CPBECS", true);
    }
    put(type, (struct own){0}, copies);
    sess_track_client(&now.track, (uint8_t)type);
    return true;
}

/* ---- what is answered ---- */

static void no_undo(void *ctx, const struct sess_flight *flight, bool read)
{
    (void)ctx;
    (void)flight;
    (void)read;
}

static bool is_hidden(const struct sess_flight *head, char type)
{
    return head && ((head->hidden && strchr("123CIZ", type)) || (head->quiet && type == 'E'));
}

/* An error of what is hidden but not quiet is the client's to hear. */
static void check_head(const struct model_answer *answer)
{
    const struct sess_flight *head = sess_pipeline_head(now.pipeline);
    const struct own *own = &now.own[answer->to];
    bool hides = is_hidden(head, answer->type);

    if (hides && !own->hidden)
        broken("what is the client's is hidden");
    if (!hides && own->hidden && (answer->type != 'E' || own->quiet))
        broken("the client sees what is segue's");
    if (strchr("123TnCIsEZ", answer->type) && !sess_pipeline_blind(now.pipeline) &&
        (!head || head->sent != own->sent))
        broken("an answer belongs to another message");
}

/* One answer arrives. */
static bool hear(void)
{
    struct model *m = &now.server;
    const struct model_answer *answer = &m->answers[m->heard];
    bool hidden;

    if (m->heard == m->said)
        return false;
    note("<", answer->type, answer->to);
    check_head(answer);
    hidden = is_hidden(sess_pipeline_head(now.pipeline), answer->type);
    m->heard++;
    sess_pipeline_server(now.pipeline, (uint8_t)answer->type, no_undo, NULL);
    if (hidden)
        return true;
    if (answer->type == 'Z')
        sess_track_ready(&now.track, answer->status);
    else
        sess_track_server(&now.track, (uint8_t)answer->type);
    return true;
}

static bool serve(void)
{
    if (!model_reads(&now.server, &now.choices))
        return false;
    note("r:", now.server.messages[now.server.read - 1].type, now.server.read - 1);
    return true;
}

static void check_safe(void)
{
    if (now.server.dead || !sess_track_safe(&now.track))
        return;
    if (model_may_work(&now.server))
        broken("safe while something may be at work");
    if (model_is_ready_ahead(&now.server))
        broken("safe with a ReadyForQuery under way");
}

static void drain(void)
{
    bool more = true;

    while (more && !now.server.dead) {
        more = serve();
        more = hear() || more;
        check_safe();
    }
}

/* ---- a conversation ---- */

static void write_letter(char type, bool copies)
{
    if (now.letters < LETTERS_MAX)
        now.script[now.letters++] = (struct letter){type, copies};
}

/* What a client sends behind what shall be a copy. */
static void write_copy(bool simple)
{
    struct choices *c = &now.choices;

    if (now.habit != TIDY && rarely(c, 2))
        write_letter('S', false);
    for (unsigned data = choose(c, 3); data; data--) {
        write_letter('d', false);
        if (now.habit == CARELESS && rarely(c, 4))
            write_letter('S', false);
    }
    write_letter(rarely(c, 5) ? 'f' : 'c', false);
    if (!simple && choose(c, 4))
        write_letter('S', false);
}

static void write_script(void)
{
    static const char *const mixes[] = {"QQQFSSSSPBDECH", "QSSPBDEECH", "PBEESSQ",
                                        "QQQFSSSSPBDECHdcfc"};
    struct choices *c = &now.choices;
    const char *mix = now.habit == CARELESS ? mixes[3] : mixes[choose(c, 3)];

    now.letters = 0;
    for (unsigned n = 2 + choose(c, 24); n; n--) {
        char type = mix[choose(c, (unsigned)strlen(mix))];
        bool copies = (type == 'Q' || type == 'E') && rarely(c, 4);

        write_letter(type, copies);
        if (copies)
            write_copy(type == 'Q');
    }
}

/* Is there more at once, or less order, than the track promises to follow? */
static bool is_beyond_memory(void)
{
    unsigned mixed = 0, ends = 0;

    for (size_t i = 0; i < now.server.sent; i++) {
        mixed += strchr("QF", now.server.messages[i].type) != NULL;
        ends += strchr("cf", now.server.messages[i].type) != NULL;
    }
    return now.habit == CARELESS || mixed > SESS_MIXED_MAX || ends > SESS_ENDS_MAX;
}

/* The client ends what is open. Then all must be known again. */
static void come_to_rest(void)
{
    drain();
    if (now.server.copy)
        client_says('f', false);
    client_says('S', false);
    drain();
    now.server.closing = true;
    if (now.server.status != 'I' && !now.server.dead) {
        client_says('Q', false);
        drain();
    }
    if (now.server.dead)
        return;
    if (sess_track_lost(&now.track) ? !is_beyond_memory() : !sess_track_safe(&now.track))
        broken("no safe point at rest");
    if (!sess_pipeline_blind(now.pipeline) && !sess_pipeline_empty(now.pipeline))
        broken("something is in flight at rest");
}

static void converse(void)
{
    unsigned patience = choose(&now.choices, 4);

    for (size_t i = 0; i < now.letters && !now.server.dead;) {
        unsigned turn = choose(&now.choices, 4 + patience);

        if (turn < 2 && client_says(now.script[i].type, now.script[i].copies))
            i++;
        else if (turn == 3 || turn == 5)
            serve();
        else
            hear();
        check_safe();
        if (sess_pipeline_full(now.pipeline) && now.server.read == now.server.sent &&
            now.server.heard == now.server.said)
            broken("the client waits for what does not come");
    }
}

int fuzz_one(const uint8_t *data, size_t len)
{
    now.choices = choices_of(data, len);
    now.said_len = 0;
    now.said[0] = '\0';
    now.habit = (enum habit)choose(&now.choices, HABITS);
    now.hides = rarely(&now.choices, 2);
    model_init(&now.server, choose(&now.choices, 3) * ERRORS_OF_100);
    sess_track_init(&now.track);
    sess_track_ready(&now.track, 'I');
    now.pipeline = sess_pipeline_new();
    write_script();
    converse();
    come_to_rest();
    sess_pipeline_free(now.pipeline);
    for (size_t i = 0; i < now.server.sent; i++)
        sess_sent_unref(now.own[i].sent);
    return 0;
}

/* Habit, hides, errors; then the script and the turns. */
const struct fuzz_seed fuzz_seeds[] = {
    FUZZ_SEED("\0\0\0"),     FUZZ_SEED("\0\1\1"),
    FUZZ_SEED("\1\0\2"),     FUZZ_SEED("\1\1\0\1"),
    FUZZ_SEED("\1\1\1\2"),   FUZZ_SEED("\2\0\1"),
    FUZZ_SEED("\2\1\2\3\5"), FUZZ_SEED("\0\1\2\6\1\4\0\5\3\2\7\7\1\0\4\2"),
};
const size_t fuzz_nseeds = sizeof(fuzz_seeds) / sizeof(fuzz_seeds[0]);
