/*
 * YAML (libyaml's events) into the tree that JSON gives, so that one loader reads both.
 *
 * Only what means one thing is taken. Refused, with line and path: aliases, anchors and merge keys
 * (what runs must be what is read), tags, several documents, keys that stand twice or are no text,
 * and plain words and numbers that YAML 1.1 and 1.2 read differently (yes, on, 010, 1:30): in
 * quotes they are text. Without aliases a tree is never larger than its text.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "file_read.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"

#define DEPTH_MAX 32 /* a migration file needs eight */

struct reader {
    yaml_parser_t parser;
    const char *where, *text;
    struct err *err;
    struct buf path;
    const char *wanted; /* a path of which the line is asked, or NULL */
    int line;           /* of the longest part of it so far */
};

/* ---- errors ---- */

static void yaml_bad(struct reader *r, size_t line, const char *fmt, ...) PRINTF_LIKE(3, 4);

static void yaml_bad(struct reader *r, size_t line, const char *fmt, ...)
{
    struct buf text = {0};
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    err_set(r->err, "42601", "%s:%zu: %s%s%s", r->where, line + 1, r->path.len ? r->path.data : "",
            r->path.len ? ": " : "", text.data);
    buf_fini(&text);
}

/* libyaml tells of wrong bytes by their offset only. */
static size_t line_of_offset(const char *text, size_t offset)
{
    size_t line = 0;

    for (size_t i = 0; text[i] && i < offset; i++)
        line += text[i] == '\n';
    return line;
}

static const char *line_start(const char *text, size_t line)
{
    for (; line; line--) {
        const char *end = strchr(text, '\n');

        if (!end)
            return text;
        text = end + 1;
    }
    return text;
}

static void parser_failed(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    size_t line = p->problem_mark.line;
    const char *text;

    if (p->error == YAML_READER_ERROR) {
        yaml_bad(r, line_of_offset(r->text, p->problem_offset), "%s",
                 p->problem ? p->problem : "the text is not UTF-8");
        return;
    }
    text = line_start(r->text, line);
    if (memchr(text, '\t', strcspn(text, "\n")))
        err_hint(r->err, "indent with blanks: YAML has no place for tabs there");
    yaml_bad(r, line, "%s%s%s", p->problem ? p->problem : "not YAML", p->context ? ", " : "",
             p->context ? p->context : "");
}

static bool next(struct reader *r, yaml_event_t *event)
{
    if (yaml_parser_parse(&r->parser, event))
        return true;
    memset(event, 0, sizeof(*event));
    parser_failed(r);
    return false;
}

/* ---- plain scalars ---- */

static bool is_one_of(const char *text, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(text, words[i]))
            return true;
    return false;
}

/* Digits, with blanks of the kind 1_000 too. */
static size_t digits(const char *p)
{
    return strspn(p, "0123456789_");
}

/* A number to YAML 1.1 or 1.2, in any of its spellings? *simple: to both, and the same one. */
static bool is_number(const char *text, bool *simple)
{
    static const char *const words[] = {".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN"};
    const char *p = text + strspn(text, "+-");
    size_t n;

    *simple = false;
    if (p - text > 1)
        return false;
    if (is_one_of(p, words, ARRAY_LEN(words)))
        return true;
    if (*p == '0' && p[1] && strchr("xob", p[1]))
        return p[2] && p[2 + strspn(p + 2, "0123456789abcdefABCDEF_")] == '\0';
    n = digits(p);
    if (n == 0 && (*p != '.' || digits(p + 1) == 0))
        return false;
    *simple = text[0] != '+' && n > 0 && !(n > 1 && *p == '0') && !memchr(p, '_', n);
    p += n;
    if (*p == ':' && n) { /* 1:30 is ninety to YAML 1.1 */
        *simple = false;
        return p[strspn(p, "0123456789_:.")] == '\0';
    }
    if (*p == '.')
        p += 1 + digits(p + 1);
    if (*p == 'e' || *p == 'E') {
        p += 1 + (p[1] == '+' || p[1] == '-');
        n = strspn(p, "0123456789");
        if (n == 0)
            return false;
        p += n;
    }
    return *p == '\0';
}

static json_t *number(const char *text)
{
    char *end;
    long long whole;

    errno = 0;
    whole = strtoll(text, &end, 10);
    if (!*end && errno == 0)
        return json_integer(whole);
    return json_real(strtod(text, NULL)); /* NULL when it is too large for one */
}

static json_t *plain_to_json(struct reader *r, const yaml_event_t *event, const char *text)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    static const char *const trues[] = {"true", "True", "TRUE"};
    static const char *const falses[] = {"false", "False", "FALSE"};
    static const char *const disputed[] = {"y",  "Y",  "yes", "Yes", "YES", "n",   "N",   "no",
                                           "No", "NO", "on",  "On",  "ON",  "off", "Off", "OFF"};
    bool simple;
    json_t *value = NULL;

    if (is_one_of(text, nulls, ARRAY_LEN(nulls)))
        return json_null();
    if (is_one_of(text, trues, ARRAY_LEN(trues)))
        return json_true();
    if (is_one_of(text, falses, ARRAY_LEN(falses)))
        return json_false();
    if (is_number(text, &simple))
        value = simple ? number(text) : NULL;
    else if (!is_one_of(text, disputed, ARRAY_LEN(disputed)))
        return json_string(text);
    if (value)
        return value;
    err_hint(r->err, "put it into quotes; a truth value is true or false");
    yaml_bad(r, event->start_mark.line,
             "%s without quotes means different things to YAML 1.1 and"
             " 1.2",
             text);
    return NULL;
}

/* ---- nodes ---- */

static bool forbidden(struct reader *r, const yaml_event_t *event, const yaml_char_t *anchor,
                      const yaml_char_t *tag)
{
    if (!anchor && !tag)
        return false;
    err_hint(r->err, "write out what is meant");
    yaml_bad(r, event->start_mark.line, "%s are not taken", anchor ? "anchors" : "tags");
    return true;
}

static json_t *scalar(struct reader *r, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    json_t *value;

    if (forbidden(r, event, event->data.scalar.anchor, event->data.scalar.tag))
        return NULL;
    if (memchr(text, '\0', len)) {
        yaml_bad(r, event->start_mark.line, "a zero byte is no text");
        return NULL;
    }
    if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        value = plain_to_json(r, event, text);
    else
        value = json_stringn(text, len);
    if (!value && !err_is_set(r->err))
        yaml_bad(r, event->start_mark.line, "the text is not UTF-8");
    return value;
}

/* Is what the reader stands at a part of the path of which the line is asked? */
static void notice(struct reader *r, const yaml_event_t *event)
{
    size_t len = r->path.len;

    if (!r->wanted || strncmp(r->wanted, len ? r->path.data : "", len) ||
        (len && r->wanted[len] && r->wanted[len] != '.' && r->wanted[len] != '['))
        return;
    r->line = (int)event->start_mark.line + 1;
}

static void path_cut(struct reader *r, size_t len)
{
    r->path.len = len;
    if (r->path.data)
        r->path.data[len] = '\0';
}

static json_t *node(struct reader *r, const yaml_event_t *event, unsigned depth);

/* The next event's node; `more` false: it was the end of what holds it. */
static json_t *next_node(struct reader *r, yaml_event_type_t end, unsigned depth, bool *more)
{
    yaml_event_t event;
    json_t *value = NULL;

    *more = next(r, &event);
    if (*more && event.type == end)
        *more = false;
    else if (*more) {
        if (end == YAML_SEQUENCE_END_EVENT)
            notice(r, &event);
        value = node(r, &event, depth);
    }
    yaml_event_delete(&event);
    return value;
}

static json_t *sequence(struct reader *r, unsigned depth)
{
    json_t *list = json_array(), *item;
    size_t len = r->path.len;

    for (size_t i = 0;; i++) {
        bool more;

        buf_printf(&r->path, "[%zu]", i);
        item = next_node(r, YAML_SEQUENCE_END_EVENT, depth, &more);
        if (!item)
            break;
        path_cut(r, len);
        json_array_append_new(list, item);
    }
    if (err_is_set(r->err)) {
        json_decref(list);
        return NULL;
    }
    path_cut(r, len);
    return list;
}

/* Puts the key behind the path; false: it is none. */
static bool key_taken(struct reader *r, const yaml_event_t *event, const json_t *mapping)
{
    const char *text;
    json_t *value;

    if (event->type != YAML_SCALAR_EVENT) {
        yaml_bad(r, event->start_mark.line, "a key is a text");
        return false;
    }
    text = (const char *)event->data.scalar.value;
    if (!strcmp(text, "<<")) {
        err_hint(r->err, "write out what is meant");
        yaml_bad(r, event->start_mark.line, "merge keys are not taken");
        return false;
    }
    value = scalar(r, event);
    if (!value)
        return false;
    if (!json_is_string(value)) {
        json_decref(value);
        err_hint(r->err, "put it into quotes");
        yaml_bad(r, event->start_mark.line, "a key is a text, and %s is none", text);
        return false;
    }
    json_decref(value);
    if (json_object_get(mapping, text)) {
        yaml_bad(r, event->start_mark.line, "key \"%s\" stands twice", text);
        return false;
    }
    buf_printf(&r->path, "%s%s", r->path.len ? "." : "", text);
    notice(r, event);
    return true;
}

static json_t *mapping(struct reader *r, unsigned depth)
{
    json_t *object = json_object(), *value;
    size_t len = r->path.len;
    bool more;

    for (;;) {
        yaml_event_t key;
        bool taken;

        if (!next(r, &key) || key.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&key);
            break;
        }
        taken = key_taken(r, &key, object);
        value = taken ? next_node(r, YAML_MAPPING_END_EVENT, depth, &more) : NULL;
        if (value)
            json_object_set_new(object, (const char *)key.data.scalar.value, value);
        yaml_event_delete(&key);
        if (!value)
            break;
        path_cut(r, len);
    }
    if (err_is_set(r->err)) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *node(struct reader *r, const yaml_event_t *event, unsigned depth)
{
    if (depth == DEPTH_MAX) {
        yaml_bad(r, event->start_mark.line, "nested deeper than %d", DEPTH_MAX);
        return NULL;
    }
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return scalar(r, event);
    case YAML_SEQUENCE_START_EVENT:
        if (forbidden(r, event, event->data.sequence_start.anchor, event->data.sequence_start.tag))
            return NULL;
        return sequence(r, depth + 1);
    case YAML_MAPPING_START_EVENT:
        if (forbidden(r, event, event->data.mapping_start.anchor, event->data.mapping_start.tag))
            return NULL;
        return mapping(r, depth + 1);
    default: /* nothing but an alias can stand here */
        err_hint(r->err, "write out what is meant");
        yaml_bad(r, event->start_mark.line, "aliases are not taken");
        return NULL;
    }
}

/* ---- the document ---- */

static json_t *document(struct reader *r)
{
    yaml_event_t event;
    json_t *root = NULL;

    if (!next(r, &event)) /* stream start */
        return NULL;
    yaml_event_delete(&event);
    if (!next(r, &event))
        return NULL;
    if (event.type == YAML_STREAM_END_EVENT)
        yaml_bad(r, 0, "the file is empty");
    yaml_event_delete(&event);
    if (err_is_set(r->err) || !next(r, &event))
        return NULL;
    notice(r, &event);
    root = node(r, &event, 0);
    yaml_event_delete(&event);
    if (!root || !next(r, &event)) /* document end */
        goto out;
    yaml_event_delete(&event);
    if (next(r, &event) && event.type != YAML_STREAM_END_EVENT)
        yaml_bad(r, event.start_mark.line, "a second document; a file holds one migration");
    yaml_event_delete(&event);
out:
    if (err_is_set(r->err)) {
        json_decref(root);
        root = NULL;
    }
    return root;
}

static json_t *read_all(struct reader *r)
{
    json_t *root = NULL;

    if (!yaml_parser_initialize(&r->parser)) {
        err_set(r->err, "53200", "%s: out of memory", r->where);
        return NULL;
    }
    yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)r->text, strlen(r->text));
    root = document(r);
    yaml_parser_delete(&r->parser);
    buf_fini(&r->path);
    return root;
}

enum rc file_yaml_read(const char *where, const char *text, json_t **root, struct err *err)
{
    struct reader r = {.where = where, .text = text, .err = err};

    *root = read_all(&r);
    return *root ? RC_OK : RC_ERR;
}

int file_yaml_line(const char *text, const char *path)
{
    struct err ignored = {0};
    struct reader r = {.where = "", .text = text, .err = &ignored, .wanted = path, .line = 1};

    json_decref(read_all(&r));
    return r.line;
}
