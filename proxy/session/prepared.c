#include "prepared.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"
#include "segue/wire/build.h"
#include "segue/wire/frame.h"
#include "segue/wire/read.h"

#define STATEMENTS_MAX 256
#define PORTALS_MAX 64
#define TEXT_BYTES_MAX 65536 /* of one statement */

#define OID_BOOL 16
#define OID_INT8 20
#define OID_FLOAT8 701
#define COLUMN_TAIL 18 /* bytes of a column in RowDescription behind its name */

struct statement {
    struct statement *next;
    char *name, *text;
    uint32_t *oids; /* as they were described; NULL: not yet */
    size_t noids;
};

struct portal {
    struct portal *next;
    char *name;
    struct statement *statement; /* its own copy: the other may be closed */
    uint16_t *formats;
    size_t nformats;
    bool asked;
    struct buf answer;
    size_t at; /* of the answer, what comes next */
};

struct sess_prepared {
    struct statement *statements;
    struct portal *portals;
    size_t nstatements, nportals;
};

struct sess_prepared *sess_prepared_new(void)
{
    return mem_calloc(1, sizeof(struct sess_prepared));
}

/* ---- the two lists ---- */

static struct statement *statement_new(const char *name, const char *text)
{
    struct statement *s = mem_calloc(1, sizeof(*s));

    s->name = mem_strdup(name);
    s->text = mem_strdup(text);
    return s;
}

static void statement_free(struct statement *s)
{
    free(s->name);
    free(s->text);
    free(s->oids);
    free(s);
}

static void portal_free(struct portal *p)
{
    free(p->name);
    statement_free(p->statement);
    free(p->formats);
    buf_fini(&p->answer);
    free(p);
}

static struct statement **statement_slot(struct sess_prepared *set, const char *name)
{
    struct statement **at = &set->statements;

    while (*at && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    return at;
}

static struct portal **portal_slot(struct sess_prepared *set, const char *name)
{
    struct portal **at = &set->portals;

    while (*at && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    return at;
}

static void statement_drop(struct sess_prepared *set, const char *name)
{
    struct statement **at = statement_slot(set, name), *gone = *at;

    if (!gone)
        return;
    *at = gone->next;
    set->nstatements--;
    statement_free(gone);
}

static void portal_drop(struct sess_prepared *set, const char *name)
{
    struct portal **at = portal_slot(set, name), *gone = *at;

    if (!gone)
        return;
    *at = gone->next;
    set->nportals--;
    portal_free(gone);
}

void sess_prepared_free(struct sess_prepared *set)
{
    if (!set)
        return;
    while (set->portals)
        portal_drop(set, set->portals->name);
    while (set->statements)
        statement_drop(set, set->statements->name);
    free(set);
}

/* ---- answers ---- */

static void put_bare(struct buf *out, char type)
{
    buf_append_u8(out, (uint8_t)type);
    buf_append_u32(out, 4);
}

/* The message of this type in an answer, or NULL. */
static const char *find(const struct buf *answer, char type, size_t *total)
{
    struct wire_frame frame;

    for (size_t at = 0; at < answer->len; at += frame.total) {
        if (wire_frame_read(answer->data + at, answer->len - at, &frame) != RC_OK)
            return NULL;
        *total = frame.total;
        if (frame.type == (uint8_t)type)
            return answer->data + at;
    }
    return NULL;
}

static uint16_t format_of(const struct portal *p, size_t column)
{
    if (p->nformats == 1)
        return p->formats[0];
    return column < p->nformats ? p->formats[column] : 0;
}

/* Types of a RowDescription that we have made ourselves. */
static void remember_types(struct statement *s, const char *description)
{
    const char *p = description + WIRE_HEADER_BYTES;

    if (s->oids)
        return;
    s->noids = wire_u16(p);
    s->oids = mem_calloc(s->noids + 1, sizeof(*s->oids));
    p += 2;
    for (size_t i = 0; i < s->noids; i++) {
        p += strlen(p) + 1;
        s->oids[i] = wire_u32(p + 6);
        p += COLUMN_TAIL;
    }
}

static void put_be(char *to, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        to[i] = (char)(value >> 8 * (bytes - 1 - i));
}

/* The RowDescription with the types and formats of the portal; `p` NULL: all text. */
static void put_description(struct buf *out, const struct statement *s, const struct portal *portal,
                            const char *description, size_t total)
{
    size_t start = out->len;
    char *p;

    buf_append(out, description, total);
    p = out->data + start + WIRE_HEADER_BYTES + 2;
    for (size_t i = 0; i < s->noids; i++) {
        p += strlen(p) + 1;
        put_be(p + 6, s->oids[i], 4);
        put_be(p + 10, s->oids[i] == OID_BOOL ? 1 : s->oids[i] == 25 ? 0xffff : 8, 2);
        put_be(p + 16, portal ? format_of(portal, i) : 0, 2);
        p += COLUMN_TAIL;
    }
}

/* A value that is text, in binary. */
static void put_binary(struct buf *out, uint32_t oid, const char *text, uint32_t len)
{
    char copy[64] = "", bytes[8];
    uint64_t bits;
    double real;

    memcpy(copy, text, len < sizeof(copy) ? len : sizeof(copy) - 1);
    switch (oid) {
    case OID_BOOL:
        buf_append_u32(out, 1);
        buf_append_u8(out, copy[0] == 't');
        return;
    case OID_INT8:
        put_be(bytes, (uint64_t)strtoll(copy, NULL, 10), 8);
        break;
    case OID_FLOAT8:
        real = strtod(copy, NULL);
        memcpy(&bits, &real, sizeof(bits));
        put_be(bytes, bits, 8);
        break;
    default:
        buf_append_u32(out, len);
        buf_append(out, text, len);
        return;
    }
    buf_append_u32(out, 8);
    buf_append(out, bytes, 8);
}

static void put_row(struct buf *out, const struct portal *portal, const char *row)
{
    const char *p = row + WIRE_HEADER_BYTES;
    uint16_t n = wire_u16(p);
    size_t start = out->len;

    buf_append_u8(out, 'D');
    buf_append_u32(out, 0);
    buf_append_u16(out, n);
    p += 2;
    for (size_t i = 0; i < n; i++) {
        uint32_t len = wire_u32(p);
        uint32_t oid = i < portal->statement->noids ? portal->statement->oids[i] : 0;

        p += 4;
        if (len == UINT32_MAX) {
            buf_append_u32(out, len);
            continue;
        }
        put_binary(out, format_of(portal, i) ? oid : 0, p, len);
        p += len;
    }
    put_be(out->data + start + 1, out->len - start - 1, 4);
}

/* ---- messages ---- */

static bool fail(struct buf *out, const char *sqlstate, const char *text, const char *hint)
{
    struct err err = {0};

    err_set(&err, sqlstate, "%s", text);
    if (hint)
        err_hint(&err, "%s", hint);
    wire_put_error(out, "ERROR", &err);
    return false;
}

static bool no_parameters(struct buf *out)
{
    return fail(out, "0A000", "the console takes no parameters",
                "write the values into the statement");
}

static bool broken(struct buf *out)
{
    return fail(out, "08P01", "invalid message format", NULL);
}

static bool on_parse(struct sess_prepared *set, const struct sess_asker *asker, const char *msg,
                     size_t total, struct buf *out)
{
    struct wire_parse parse;
    struct statement *s;
    struct err err = {0};

    if (wire_read_parse(msg, total, &parse) != RC_OK)
        return broken(out);
    if (parse.nparams)
        return no_parameters(out);
    if (parse.text_len > TEXT_BYTES_MAX)
        return fail(out, "54000", "the statement is too long for a prepared one",
                    "use the simple query protocol");
    if (!asker->repeatable(asker->ctx, parse.text, &err)) {
        wire_put_error(out, "ERROR", &err);
        return false;
    }
    if (!parse.name[0])
        statement_drop(set, "");
    else if (*statement_slot(set, parse.name))
        return fail(out, "42P05", "a prepared statement of this name exists already", NULL);
    if (set->nstatements == STATEMENTS_MAX)
        return fail(out, "54000", "too many prepared statements", NULL);
    s = statement_new(parse.name, parse.text);
    s->next = set->statements;
    set->statements = s;
    set->nstatements++;
    put_bare(out, '1');
    return true;
}

static bool on_bind(struct sess_prepared *set, const struct sess_asker *asker, const char *msg,
                    size_t total, struct buf *out)
{
    struct wire_bind bind;
    struct statement *s;
    struct portal *p;

    (void)asker;
    if (wire_read_bind(msg, total, &bind) != RC_OK)
        return broken(out);
    s = *statement_slot(set, bind.statement);
    if (!s)
        return fail(out, "26000", "there is no prepared statement of this name", NULL);
    if (bind.nparams)
        return no_parameters(out);
    portal_drop(set, bind.portal);
    if (set->nportals == PORTALS_MAX)
        return fail(out, "54000", "too many portals", NULL);
    p = mem_calloc(1, sizeof(*p));
    p->name = mem_strdup(bind.portal);
    p->statement = statement_new("", s->text);
    if (s->oids) {
        p->statement->oids = mem_calloc(s->noids + 1, sizeof(*s->oids));
        p->statement->noids = s->noids;
        memcpy(p->statement->oids, s->oids, s->noids * sizeof(*s->oids));
    }
    p->nformats = bind.nresults;
    p->formats = mem_calloc(p->nformats + 1, sizeof(*p->formats));
    for (size_t i = 0; i < p->nformats; i++)
        p->formats[i] = wire_u16(bind.results + 2 * i);
    p->next = set->portals;
    set->portals = p;
    set->nportals++;
    put_bare(out, '2');
    return true;
}

/* RowDescription or NoData of an answer, or its error. */
static bool describe(struct statement *s, const struct portal *portal, const struct buf *answer,
                     struct buf *out)
{
    size_t total;
    const char *found = find(answer, 'E', &total);

    if (found) {
        buf_append(out, found, total);
        return false;
    }
    found = find(answer, 'T', &total);
    if (!found) {
        put_bare(out, 'n');
        return true;
    }
    remember_types(s, found);
    if (s->noids != wire_u16(found + WIRE_HEADER_BYTES))
        return fail(out, "0A000", "the result has changed its columns", "prepare it again");
    put_description(out, s, portal, found, total);
    return true;
}

static void ask_once(struct portal *p, const struct sess_asker *asker)
{
    if (!p->asked)
        asker->ask(asker->ctx, p->statement->text, &p->answer);
    p->asked = true;
}

static bool on_describe(struct sess_prepared *set, const struct sess_asker *asker, const char *msg,
                        size_t total, struct buf *out)
{
    struct wire_target target;
    struct buf answer = {0};
    struct statement *s;
    struct portal *p;
    bool good;

    if (wire_read_target(msg, total, &target) != RC_OK)
        return broken(out);
    if (target.kind == 'P') {
        p = *portal_slot(set, target.name);
        if (!p)
            return fail(out, "34000", "there is no portal of this name", NULL);
        ask_once(p, asker);
        return describe(p->statement, p, &p->answer, out);
    }
    s = *statement_slot(set, target.name);
    if (!s)
        return fail(out, "26000", "there is no prepared statement of this name", NULL);
    asker->ask(asker->ctx, s->text, &answer);
    if (!find(&answer, 'E', &total)) {
        buf_append_u8(out, 't');
        buf_append_u32(out, 6);
        buf_append_u16(out, 0);
    }
    good = describe(s, NULL, &answer, out);
    buf_fini(&answer);
    return good;
}

static bool on_execute(struct sess_prepared *set, const struct sess_asker *asker, const char *msg,
                       size_t total, struct buf *out)
{
    struct wire_execute execute;
    struct wire_frame frame;
    struct portal *p;
    uint32_t rows = 0;

    if (wire_read_execute(msg, total, &execute) != RC_OK)
        return broken(out);
    p = *portal_slot(set, execute.portal);
    if (!p)
        return fail(out, "34000", "there is no portal of this name", NULL);
    ask_once(p, asker);
    for (; wire_frame_read(p->answer.data + p->at, p->answer.len - p->at, &frame) == RC_OK;
         p->at += frame.total) {
        const char *message = p->answer.data + p->at;

        switch (frame.type) {
        case 'T':
            remember_types(p->statement, message);
            break;
        case 'D':
            if (execute.rows_max && rows == execute.rows_max) {
                put_bare(out, 's');
                return true;
            }
            put_row(out, p, message);
            rows++;
            break;
        case 'C': /* said again when it is executed again */
        case 'I':
            buf_append(out, message, frame.total);
            return true;
        default: /* an error, a notice */
            buf_append(out, message, frame.total);
            if (frame.type == 'E')
                return false;
        }
    }
    return fail(out, "XX000", "the answer has no end", NULL);
}

static bool on_close(struct sess_prepared *set, const struct sess_asker *asker, const char *msg,
                     size_t total, struct buf *out)
{
    struct wire_target target;

    (void)asker;
    if (wire_read_target(msg, total, &target) != RC_OK)
        return broken(out);
    if (target.kind == 'P')
        portal_drop(set, target.name);
    else
        statement_drop(set, target.name);
    put_bare(out, '3');
    return true;
}

bool sess_prepared_take(struct sess_prepared *set, const struct sess_asker *asker, const char *msg,
                        size_t total, struct buf *out)
{
    static bool (*const messages[256])(struct sess_prepared *, const struct sess_asker *,
                                       const char *, size_t, struct buf *) = {
        ['P'] = on_parse,   ['B'] = on_bind,  ['D'] = on_describe,
        ['E'] = on_execute, ['C'] = on_close,
    };

    if (messages[(uint8_t)msg[0]](set, asker, msg, total, out))
        return true;
    while (set->portals) /* they end with their transaction */
        portal_drop(set, set->portals->name);
    return false;
}
