/*
 * A whole plane between a client of random statements and a played server, in pieces of all sizes,
 * while rules come, go and change sides and the gate closes and opens. The bytes choose what is
 * said; who is next, and what the server fails with, is generated from them.
 *
 * Broken, when the client hears anything but the answers to its own messages, each in its place:
 * one of segue's own, one too many, an error where a ReadyForQuery is due; when the server is told
 * what no client may say; when the session ends before all is answered; or when nothing moves any
 * more (BED_PATIENCE_MS).
 *
 * Modelled: prepared statements by protocol and by SQL, long Binds, segments and what is skipped of
 * them, transaction blocks and failed ones, errors about a column that is not there and others,
 * notices and parameters at any time, a server that is shut down amid all that: its last word is
 * the client's to hear.
 * Not modelled: rows and whether texts mean the same (tests/rewrite), copies (fuzz_follow.c),
 * standbys, cancel requests, more than one session at once.
 */
#include <fcntl.h>
#include <stdarg.h>

#include "bed.h"
#include "choice.h"
#include "rules.h"
#include "segue/wire/build.h"
#include "target.h"

#define DUE_MAX 256
#define MESSAGES_MAX 40
#define ALL_CHANGES (UINT64_C(1) << 40)
#define GATE_MS 60000
#define GATE_SHUT_MS 2 /* so long nothing moves: it opens */
#define STAR "SELECT * FROM checks"

static struct played {
    struct choices talk, server, turns;
    int client_fd, server_fd;
    bool gate;
    unsigned to_say;
    bool patient; /* the client waits for what it has asked for */
    /* client */
    struct buf says, hears;
    size_t piece;      /* of what it says; 0: as much as goes */
    char due[DUE_MAX]; /* types of its messages */
    size_t ndue, answered;
    bool skipped, failed; /* up to a Sync; a Query's ReadyForQuery is due */
    bool shut, ended, told_the_end;
    /* server */
    struct buf reads, answers;
    unsigned failures_of_100;
    char status;
    unsigned to_serve; /* messages, then it ends the connection; 0: never */
    bool skips, over, dead;
    char told[32768]; /* what has happened, for the report */
    size_t told_len;
} now;

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
    va_list args;
    size_t room = sizeof(now.told) - now.told_len;

    va_start(args, format);
    if (room > 256)
        now.told_len += (size_t)vsnprintf(now.told + now.told_len, 256, format, args);
    va_end(args);
}

static void broken(const char *what)
{
    fprintf(stderr,
            "bed: %s: answer %zu of %zu to %.*s; kept: client %zu and %zu bytes, server %zu and "
            "%zu%s%s%s\nc: client, r: server reads, <: client hears:%s\n",
            what, now.answered, now.ndue, (int)now.ndue, now.due, now.says.len, now.hears.len,
            now.reads.len, now.answers.len, now.skips ? ", skips" : "", now.shut ? ", shut" : "",
            now.over ? ", over" : "", now.told);
    abort();
}

/* ---- the client's messages ---- */

static const char *some_text(void)
{
    return choose(&now.talk, 3) ? STAR : "SELECT 1";
}

static const char *some_name(void)
{
    static const char *const names[] = {"s0", "s1", "s2", ""};

    return names[choose(&now.talk, 4)];
}

static void owe(char type)
{
    if (now.ndue == DUE_MAX)
        broken("more messages than there is room for");
    note(" c:%c", type);
    now.due[now.ndue++] = type;
}

static void say_query(void)
{
    static const char *const ends[] = {"BEGIN", "COMMIT", "DEALLOCATE ALL"};
    char text[100];
    unsigned which = choose(&now.talk, 8), name = choose(&now.talk, 2);

    if (which == 0)
        snprintf(text, sizeof(text), "PREPARE p%u AS %s", name, some_text());
    else if (which < 4)
        snprintf(text, sizeof(text), "EXECUTE p%u", name);
    else
        snprintf(text, sizeof(text), "%s", which < 6 ? some_text() : ends[choose(&now.talk, 3)]);
    wire_put_query(&now.says, text, strlen(text));
    note(" [%s]", text);
    owe('Q');
}

static void say_parse(void)
{
    const char *text = some_text();

    wire_put_parse(&now.says, some_name(), text, strlen(text), "", 0);
    owe('P');
}

/* Now and then with a parameter that is longer than what is read at once. */
static void say_bind_and_execute(void)
{
    static const char execute[] = "E\0\0\0\x09\0\0\0\0";
    const char *name = some_name();
    bool has_parameter = rarely(&now.talk, 4);
    size_t len = has_parameter ? choose(&now.talk, 200) : 0;
    char *zeros;

    if (has_parameter && rarely(&now.talk, 3))
        len *= 750;
    buf_append_u8(&now.says, 'B');
    buf_append_u32(&now.says,
                   (uint32_t)(4 + 1 + strlen(name) + 1 + 6 + (has_parameter ? 4 : 0) + len));
    buf_append_u8(&now.says, 0);
    buf_append(&now.says, name, strlen(name) + 1);
    buf_append(&now.says, has_parameter ? "\0\0\0\1" : "\0\0\0\0", 4);
    if (has_parameter) {
        zeros = calloc(1, len + 1);
        buf_append_u32(&now.says, (uint32_t)len);
        buf_append(&now.says, zeros, len);
        free(zeros);
    }
    buf_append(&now.says, "\0\0", 2);
    owe('B');
    buf_append(&now.says, execute, sizeof(execute));
    owe('E');
}

static void say_sync(void)
{
    wire_put_sync(&now.says);
    owe('S');
}

static void say_close(void)
{
    wire_put_close_statement(&now.says, some_name());
    owe('C');
}

static void say_describe(void)
{
    size_t at = now.says.len;

    wire_put_close_statement(&now.says, some_name());
    now.says.data[at] = 'D'; /* the same otherwise */
    owe('D');
}

static void say_flush(void)
{
    wire_put_flush(&now.says);
}

static void publish(struct sql_rules *rules)
{
    note(rules ? " rules" : " none");
    if (!sess_plane_publish(bed.plane, rules, ALL_CHANGES, ALL_CHANGES, 0))
        bed_stuck("rules");
}

static void change_rules(void)
{
    publish(choose(&now.talk, 3) ? fuzz_star_rules(rarely(&now.talk, 2)) : NULL);
}

/* A migration, which ends on the new side; and another one: `*` is not what it was. */
static void outlive(void)
{
    publish(fuzz_star_rules(false));
    publish(fuzz_star_rules(true));
    publish(NULL);
    publish(fuzz_star_rules(false));
}

static void swing_gate(void)
{
    note(now.gate ? " open" : " shut");
    if (now.gate)
        sess_gate_open(bed.plane, NULL);
    else if (!sess_gate_close(bed.plane, 1, GATE_MS))
        bed_stuck("the gate");
    now.gate = !now.gate;
}

/* Behind a Sync all is answered first, unless the client is in a hurry. */
static bool may_say(void)
{
    bool synced = now.ndue && now.due[now.ndue - 1] == 'S';

    return now.to_say && (!now.patient || !synced || now.answered == now.ndue);
}

static void say_something(void)
{
    static void (*const say[])(void) = {
        say_query, say_query, say_parse, say_parse,    say_bind_and_execute, say_bind_and_execute,
        say_sync,  say_sync,  say_close, say_describe, say_describe,         say_flush};

    static void (*const change[])(void) = {change_rules, change_rules, outlive, swing_gate};

    if (rarely(&now.talk, 8))
        change[choose(&now.talk, ARRAY_LEN(change))]();
    say[choose(&now.talk, ARRAY_LEN(say))]();
    if (--now.to_say == 0)
        say_sync();
}

/* ---- what is due to the client ---- */

static void hear_error(char due)
{
    if (due == 'S')
        broken("a Sync has failed");
    now.failed = due == 'Q';
    now.skipped = !now.failed;
}

static void hear_ready(char due)
{
    if (due != 'S' && !now.failed)
        broken("a ReadyForQuery too early");
    now.skipped = now.failed = false;
    now.answered++;
}

/* The server's word, whatever it is in answer to. */
static bool is_last_word(const char *msg, size_t total)
{
    static const char field[] = "C57P01";

    return now.dead && msg[0] == 'E' && memmem(msg, total, field, sizeof(field));
}

static void hear(const char *msg, size_t total)
{
    static const char answers[256] = {
        ['P'] = '1', ['B'] = '2', ['C'] = '3', ['D'] = 'n', ['E'] = 'C', ['Q'] = 'C'};
    char due, type = msg[0];

    if (now.told_the_end)
        broken("something behind the last word");
    now.told_the_end = is_last_word(msg, total);
    note(" <%c", type);
    if (type == 'N' || type == 'S' || now.told_the_end)
        return;
    while (now.skipped && now.answered < now.ndue && now.due[now.answered] != 'S')
        now.answered++;
    if (now.answered == now.ndue)
        broken("an answer to nothing");
    due = now.due[now.answered];
    if (type == 'Z') {
        hear_ready(due);
        return;
    }
    if (now.skipped || now.failed)
        broken("another answer than ReadyForQuery");
    if (type == 'E') {
        hear_error(due);
    } else if (type != 't' || due != 'D') {
        if (type != answers[(uint8_t)due])
            broken("an answer to another message");
        now.failed = due == 'Q'; /* it has only its ReadyForQuery to come */
        now.answered += due != 'Q';
    }
}

/* ---- the server ---- */

static const char *text_of(char type, const char *body)
{
    return type == 'Q' ? body : type == 'P' ? body + strlen(body) + 1 : "";
}

/* True: it fails, and the error is said. What segue sends to have it refused is refused. */
static bool refuses(char type, const char *text)
{
    struct err err = {0};

    if (type == 'S' || type == 'H' || type == 'X')
        return false;
    if (now.status == 'E' && type != 'C' && type != 'D' && strcmp(text, "COMMIT") != 0)
        err_set(&err, "25P02", "aborted");
    else if (strncmp(text, "segue~", 6) == 0)
        err_set(&err, "42601", "syntax");
    else if (choose(&now.server, 100) >= now.failures_of_100)
        return false;
    else if (rarely(&now.server, 2))
        err_set(&err, "XX000", "no");
    if (*err.sqlstate)
        wire_put_error(&now.answers, "ERROR", &err);
    else /* a column that segue has named is not there */
        buf_append(&now.answers, "E\0\0\0\x1aSERROR\0C42703\0Mx\0P20\0", 27);
    if (now.status == 'T')
        now.status = 'E';
    return true;
}

static const char *tag_of(const char *text)
{
    static const char *const tags[] = {"BEGIN", "PREPARE", "DEALLOCATE ALL"};
    const char *ended = now.status == 'E' ? "ROLLBACK" : "COMMIT";

    if (strcmp(text, "COMMIT") == 0) {
        now.status = 'I';
        return ended;
    }
    for (size_t i = 0; i < ARRAY_LEN(tags); i++)
        if (strncmp(text, tags[i], strlen(tags[i])) == 0) {
            now.status = i == 0 && now.status == 'I' ? 'T' : now.status;
            return tags[i];
        }
    return "SELECT 1";
}

static void carry_out(char type, const char *text)
{
    switch (type) {
    case 'Q':
    case 'E':
        wire_put_complete(&now.answers, tag_of(text));
        break;
    case 'P':
        buf_append(&now.answers, "1\0\0\0\4", 5);
        break;
    case 'B':
        buf_append(&now.answers, "2\0\0\0\4", 5);
        break;
    case 'C':
        buf_append(&now.answers, "3\0\0\0\4", 5);
        break;
    case 'D':
        buf_append(&now.answers, "t\0\0\0\6\0\0n\0\0\0\4", 12);
        break;
    case 'S':
    case 'H':
    case 'X':
        break;
    default:
        broken("the server was told what no client says");
    }
}

static void die(void)
{
    struct err err = {0};

    note(" r:died");
    now.dead = true;
    err_set(&err, "57P01", "terminating connection due to administrator command");
    wire_put_error(&now.answers, "FATAL", &err);
}

static void serve(char type, const char *body)
{
    const char *text = text_of(type, body);

    note(" r:%c[%.60s]", type, text);
    now.skips = now.skips && type != 'S';
    if (now.skips)
        return;
    if (!refuses(type, text))
        carry_out(type, text);
    else
        now.skips = type != 'Q';
    if (type == 'Q' || type == 'S')
        wire_put_ready(&now.answers, now.status);
    if (rarely(&now.server, 30))
        wire_put_notice(&now.answers, "NOTICE", "00000", "hello");
    if (rarely(&now.server, 30))
        wire_put_parameter(&now.answers, "a", "b");
}

/* ---- bytes ---- */

static bool push(int fd, struct buf *out, size_t at_most)
{
    ssize_t n =
        out->len ? send(fd, out->data, out->len < at_most ? out->len : at_most, MSG_NOSIGNAL) : 0;

    if (n > 0)
        buf_consume(out, (size_t)n);
    return n > 0;
}

/* True: something has come, or the end. */
static bool pull(int fd, struct buf *in, bool *ended)
{
    char piece[16384];
    ssize_t n = *ended ? -1 : recv(fd, piece, sizeof(piece), 0);

    if (n > 0)
        buf_append(in, piece, (size_t)n);
    *ended = *ended || n == 0;
    return n >= 0;
}

static bool has_message(const struct buf *in, struct wire_frame *frame)
{
    return in->len >= WIRE_HEADER_BYTES && wire_frame_read(in->data, in->len, frame) == RC_OK &&
           frame->total <= in->len;
}

static bool client_turn(void)
{
    struct wire_frame frame;
    bool moved =
        push(now.client_fd, &now.says, now.piece && now.says.len < 3000 ? now.piece : now.says.len);

    moved = pull(now.client_fd, &now.hears, &now.ended) || moved;
    for (; has_message(&now.hears, &frame); buf_consume(&now.hears, frame.total))
        hear(now.hears.data, frame.total);
    if (!now.to_say && !now.says.len && !now.shut) {
        shutdown(now.client_fd, SHUT_WR);
        now.shut = moved = true;
    }
    return moved;
}

static bool server_turn(void)
{
    struct wire_frame frame;
    bool moved = pull(now.server_fd, &now.reads, &now.over), whole;

    whole = !now.dead && has_message(&now.reads, &frame);
    if (whole && now.to_serve && --now.to_serve == 0) {
        die();
    } else if (whole) {
        serve((char)frame.type, now.reads.data + WIRE_HEADER_BYTES);
        buf_consume(&now.reads, frame.total);
    }
    moved = push(now.server_fd, &now.answers,
                 rarely(&now.turns, 3) ? 1 + choose(&now.turns, 30) : now.answers.len) ||
            moved;
    if ((now.over || now.dead) && !whole && !now.answers.len)
        shutdown(now.server_fd, SHUT_WR);
    return moved || whole || now.answers.len;
}

/* ---- a conversation ---- */

static void wait_for_something(void)
{
    struct pollfd fds[2] = {
        {.fd = now.client_fd, .events = (short)(now.says.len ? POLLIN | POLLOUT : POLLIN)},
        {.fd = now.over ? -1 : now.server_fd, .events = POLLIN}};
    int n = poll(fds, 2, now.gate ? GATE_SHUT_MS : BED_PATIENCE_MS);

    if (n < 0)
        bed_stuck("poll");
    if (n == 0 && !now.gate)
        broken("nothing moves any more");
    if (n == 0)
        swing_gate();
}

static void converse(void)
{
    while (!now.ended) {
        bool says = may_say(), moved = false;

        if (says && rarely(&now.turns, 2))
            say_something();
        if (!says || rarely(&now.turns, 2))
            moved = client_turn();
        if (!says || rarely(&now.turns, 3))
            moved = server_turn() || moved;
        if (!says && !moved && !now.ended)
            wait_for_something();
    }
}

int fuzz_one(const uint8_t *data, size_t len)
{
    if (!bed.plane)
        bed_init(NULL, NULL);
    memset(&now, 0, sizeof(now));
    now.talk = choices_of(data, len);
    now.server = now.turns = now.talk;
    now.server.len = now.turns.len = 0;
    now.turns.state ^= UINT64_C(0x9e3779b97f4a7c15);
    now.status = 'I';
    now.to_say = 3 + choose(&now.talk, MESSAGES_MAX);
    now.failures_of_100 = choose(&now.talk, 3) * 6;
    now.piece = choose(&now.talk, 3) ? 0 : 1 + choose(&now.talk, 7);
    now.patient = choose(&now.talk, 2);
    now.to_serve = rarely(&now.talk, 6) ? 1 + choose(&now.talk, 40) : 0;
    publish(choose(&now.talk, 2) ? fuzz_star_rules(false) : NULL);
    bed_log_in(&now.client_fd, &now.server_fd);
    fcntl(now.client_fd, F_SETFL, O_NONBLOCK);
    fcntl(now.server_fd, F_SETFL, O_NONBLOCK);
    converse();
    if (now.dead && !now.told_the_end)
        broken("the server's last word was not heard");
    if ((now.answered < now.ndue && !now.dead) || now.hears.len)
        broken("the session has ended before all was answered");
    if (now.gate)
        swing_gate();
    close(now.client_fd);
    close(now.server_fd);
    buf_fini(&now.says);
    buf_fini(&now.hears);
    buf_fini(&now.reads);
    buf_fini(&now.answers);
    return 0;
}

/* How many messages, failures, pieces, patience, an end, rules; then the messages. The second and
 * third: EXECUTE of what was prepared before there were rules, and the server ends amid what segue
 * prepares for it; a Bind in pieces of what cannot stay what it was. */
const struct fuzz_seed fuzz_seeds[] = {
    FUZZ_SEED("\x1e\0\1\0\0\1"),
    FUZZ_SEED("\4\0\1\1\5\4\0"
              "\0\0\0\0\1"
              "\0\6"
              "\7\0\1\0\0\1\0"
              "\0\6"),
    FUZZ_SEED("\5\0\0\3\1\0\0"
              "\0\2\1\0"
              "\0\x9\0"
              "\0\6"
              "\7\2\4\0\3\x63\0"
              "\0\6"),
    FUZZ_SEED("\x27\2\1\1\0\1"),
    FUZZ_SEED("\x10\1\0\6\1\0\1"),
    FUZZ_SEED("\x0c\1\1\1\5\x0c\1\0\0\0\1\0\1\0\4\2\2\6"),
};
const size_t fuzz_nseeds = ARRAY_LEN(fuzz_seeds);
