#include "node.h"

#include <stdlib.h>

#include "segue/base/mem.h"
#include "segue/base/utf8.h"

#define NO_CONTAINER SIZE_MAX
#define BYTES_A_NODE 10 /* of JSON, measured: as many in a raw parse tree at least */

struct chunk {
    struct chunk *next;
    size_t used, cap;
    struct sql_node nodes[];
};

struct sql_nodes {
    char *json;
    struct chunk *chunks;
    struct sql_nodes *kept; /* has what was put in here */
    struct sql_node root;
};

/* What has been read and is not in its place yet stands on a stack: a container that is open, then
 * what is in it. `number` of an open container is the one around it. */
struct reader {
    char *at;
    struct sql_nodes *nodes;
    struct sql_node *stack;
    size_t n, cap;
    size_t open; /* index of the innermost open container */
    size_t depth;
    const char *key; /* of the next value */
    uint16_t key_len;
    const char *why;
};

static bool refuse(struct reader *r, const char *why)
{
    r->why = why;
    return false;
}

/* ---- nodes ---- */

/* Nodes that stay where they are. */
static struct sql_node *place(struct sql_nodes *nodes, size_t n)
{
    struct chunk *chunk = nodes->chunks;

    if (chunk->cap - chunk->used < n) {
        size_t cap = 2 * chunk->cap > n ? 2 * chunk->cap : n;

        chunk = mem_alloc(sizeof(*chunk) + cap * sizeof(*chunk->nodes));
        *chunk = (struct chunk){.next = nodes->chunks, .cap = cap};
        nodes->chunks = chunk;
    }
    chunk->used += n;
    return &chunk->nodes[chunk->used - n];
}

static struct sql_node *push(struct reader *r, enum sql_node_kind kind)
{
    struct sql_node *node;

    if (r->n == r->cap)
        mem_grow((void **)&r->stack, &r->cap, r->n + 1, sizeof(*r->stack));
    node = &r->stack[r->n++];
    *node = (struct sql_node){.key = r->key, .key_len = r->key_len, .kind = (uint8_t)kind};
    r->key = NULL;
    r->key_len = 0;
    return node;
}

static bool open_container(struct reader *r, enum sql_node_kind kind)
{
    struct sql_node *node;

    if (++r->depth >= SQL_NODE_DEPTH_MAX)
        return refuse(r, "nested too deeply");
    r->at++;
    node = push(r, kind);
    node->number = (int64_t)r->open;
    r->open = r->n - 1;
    return true;
}

static void close_container(struct reader *r)
{
    struct sql_node *node = &r->stack[r->open], *first;
    size_t n = r->n - r->open - 1;

    r->at++;
    r->n = r->open + 1;
    r->depth--;
    r->open = (size_t)node->number;
    first = place(r->nodes, n);
    if (n > 0)
        memcpy(first, node + 1, n * sizeof(*node));
    node->first = first;
    node->n = (uint32_t)n;
}

static bool is_in(const struct reader *r, enum sql_node_kind kind)
{
    return r->depth > 0 && r->stack[r->open].kind == kind;
}

static bool closes(const struct reader *r)
{
    return *r->at == (is_in(r, SQL_NODE_OBJECT) ? '}' : ']');
}

/* ---- texts ---- */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits at r->at. -1: they are none. */
static int32_t code_unit(struct reader *r)
{
    int32_t unit = 0;

    for (int i = 0; i < 4; i++, r->at++) {
        int digit = hex(*r->at);

        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

/* Behind the \u. -1: it is no character, or NUL, which no text of PostgreSQL has. */
static int32_t code_point(struct reader *r)
{
    int32_t high = code_unit(r), low;

    if (high < 0xd800 || high > 0xdfff)
        return high > 0 ? high : -1;
    if (high > 0xdbff || r->at[0] != '\\' || r->at[1] != 'u')
        return -1;
    r->at += 2;
    low = code_unit(r);
    return low < 0xdc00 || low > 0xdfff ? -1 : 0x10000 + (high - 0xd800) * 0x400 + (low - 0xdc00);
}

/* At most as many bytes as the escape has had. */
static char *put_character(char *to, int32_t c)
{
    if (c < 0x80) {
        *to++ = (char)c;
        return to;
    }
    if (c < 0x800) {
        *to++ = (char)(0xc0 | c >> 6);
    } else {
        if (c < 0x10000) {
            *to++ = (char)(0xe0 | c >> 12);
        } else {
            *to++ = (char)(0xf0 | c >> 18);
            *to++ = (char)(0x80 | (c >> 12 & 0x3f));
        }
        *to++ = (char)(0x80 | (c >> 6 & 0x3f));
    }
    *to++ = (char)(0x80 | (c & 0x3f));
    return to;
}

/* The escape at r->at, behind its backslash. NULL: there is no such one. */
static char *resolve(struct reader *r, char *to)
{
    static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const char *name = *r->at ? strchr(names, *r->at) : NULL;
    int32_t c;

    if (name) {
        *to++ = meanings[name - names];
        r->at++;
        return to;
    }
    if (*r->at != 'u')
        return NULL;
    r->at++;
    c = code_point(r);
    return c < 0 ? NULL : put_character(to, c);
}

/* The text whose first quote is at r->at: resolved and ended in place. */
static bool read_text(struct reader *r, const char **text, size_t *len)
{
    char *begin = ++r->at, *to;
    unsigned char high = 0;

    while (*r->at != '"' && *r->at != '\\' && (unsigned char)*r->at >= 0x20)
        high |= (unsigned char)*r->at++;
    for (to = r->at; *r->at != '"';) {
        if ((unsigned char)*r->at < 0x20)
            return refuse(r, "a text without an end, or a control character in it");
        if (*r->at != '\\') {
            high |= (unsigned char)*r->at;
            *to++ = *r->at++;
            continue;
        }
        r->at++;
        to = resolve(r, to);
        if (!to)
            return refuse(r, "an escape that means nothing");
    }
    r->at++;
    *to = '\0';
    *text = begin;
    *len = (size_t)(to - begin);
    return !(high & 0x80) || utf8_is_valid(begin) || refuse(r, "not UTF-8");
}

static bool read_key(struct reader *r)
{
    size_t len;

    if (*r->at != '"')
        return refuse(r, "a member without a name");
    if (!read_text(r, &r->key, &len))
        return false;
    if (len > UINT16_MAX || *r->at++ != ':')
        return refuse(r, "a name without a value");
    r->key_len = (uint16_t)len;
    return true;
}

/* ---- values ---- */

static bool read_number(struct reader *r)
{
    bool negative = *r->at == '-';
    int64_t number = 0; /* of the sign: there is one more below zero */
    char *begin = r->at += negative;

    for (; *r->at >= '0' && *r->at <= '9'; r->at++) {
        int digit = negative ? '0' - *r->at : *r->at - '0';

        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, digit, &number))
            return refuse(r, "a number that is too large");
    }
    if (r->at == begin || (*begin == '0' && r->at > begin + 1))
        return refuse(r, "no value");
    push(r, SQL_NODE_NUMBER)->number = number;
    return true;
}

static bool read_word(struct reader *r)
{
    static const struct {
        const char *word;
        size_t len;
        enum sql_node_kind kind;
    } words[] = {
        {"true", 4, SQL_NODE_TRUE}, {"false", 5, SQL_NODE_FALSE}, {"null", 4, SQL_NODE_NULL}};

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (!strncmp(r->at, words[i].word, words[i].len)) {
            r->at += words[i].len;
            push(r, words[i].kind);
            return true;
        }
    return refuse(r, "no value");
}

static bool read_string(struct reader *r)
{
    const char *text;
    struct sql_node *node;
    size_t len;

    if (!read_text(r, &text, &len))
        return false;
    node = push(r, SQL_NODE_TEXT);
    node->text = text;
    node->n = (uint32_t)len;
    return true;
}

/* A value, or the beginning of a container. */
static bool read_value(struct reader *r, bool *opened)
{
    *opened = *r->at == '{' || *r->at == '[';
    if (*opened)
        return open_container(r, *r->at == '{' ? SQL_NODE_OBJECT : SQL_NODE_LIST);
    if (*r->at == '"')
        return read_string(r);
    if (*r->at == '-' || (*r->at >= '0' && *r->at <= '9'))
        return read_number(r);
    return read_word(r);
}

static bool read_all(struct reader *r)
{
    bool opened;

    do {
        if (is_in(r, SQL_NODE_OBJECT) && !read_key(r))
            return false;
        if (!read_value(r, &opened))
            return false;
        if (opened && !closes(r))
            continue;
        while (r->depth > 0 && closes(r))
            close_container(r);
        if (r->depth > 0 && *r->at++ != ',')
            return refuse(r, "no comma between two values");
    } while (r->depth > 0);
    return *r->at == '\0' || refuse(r, "something behind the end");
}

struct sql_nodes *sql_nodes_read_take(char *json, const char **why)
{
    size_t len = strlen(json), cap = len / BYTES_A_NODE + 8;
    struct sql_nodes *nodes = mem_alloc(sizeof(*nodes));
    struct reader r = {.at = json, .nodes = nodes, .open = NO_CONTAINER};
    bool read;

    nodes->json = json;
    nodes->kept = NULL;
    nodes->chunks = mem_alloc(sizeof(*nodes->chunks) + cap * sizeof(struct sql_node));
    *nodes->chunks = (struct chunk){.cap = cap};
    r.cap = 64;
    r.stack = mem_alloc(r.cap * sizeof(*r.stack));
    read = len <= UINT32_MAX && *json == '{' ? read_all(&r) : refuse(&r, "no object");
    if (read)
        nodes->root = r.stack[0];
    free(r.stack);
    *why = r.why;
    if (read)
        return nodes;
    sql_nodes_free(nodes);
    return NULL;
}

static void free_one(struct sql_nodes *nodes)
{
    while (nodes->chunks) {
        struct chunk *chunk = nodes->chunks;

        nodes->chunks = chunk->next;
        free(chunk);
    }
    free(nodes->json);
    free(nodes);
}

void sql_nodes_free(struct sql_nodes *nodes)
{
    while (nodes) {
        struct sql_nodes *kept = nodes->kept;

        free_one(nodes);
        nodes = kept;
    }
}

/* ---- changes ---- */

struct sql_node *sql_nodes_own(struct sql_nodes *nodes, const struct sql_node *node)
{
    (void)nodes; /* whose memory it is: only for who reads it, it is constant */
    return (struct sql_node *)(uintptr_t)node;
}

void sql_nodes_put(struct sql_nodes *nodes, const struct sql_node *object, const char *key,
                   const struct sql_node *value)
{
    struct sql_node *own = sql_nodes_own(nodes, object), *members = place(nodes, own->n + 1);

    if (own->n > 0)
        memcpy(members, own->first, own->n * sizeof(*members));
    members[own->n] = *value;
    members[own->n].key = key;
    members[own->n].key_len = (uint16_t)strlen(key);
    own->first = members;
    own->n++;
}

void sql_nodes_drop(struct sql_nodes *nodes, const struct sql_node *object, const char *key)
{
    const struct sql_node *found = sql_node_member(object, key, strlen(key));
    struct sql_node *own = sql_nodes_own(nodes, object), *member = sql_nodes_own(nodes, found);

    if (!found)
        return;
    memmove(member, member + 1, (size_t)(own->first + own->n - found - 1) * sizeof(*member));
    own->n--;
}

void sql_nodes_keep_take(struct sql_nodes *nodes, struct sql_nodes *other)
{
    while (nodes->kept)
        nodes = nodes->kept;
    nodes->kept = other;
}

static void visit(struct sql_nodes *nodes, struct sql_node *node,
                  void (*each)(void *ctx, struct sql_node *node), void *ctx)
{
    each(ctx, node);
    if (node->kind != SQL_NODE_LIST && node->kind != SQL_NODE_OBJECT)
        return;
    for (uint32_t i = 0; i < node->n; i++)
        visit(nodes, sql_nodes_own(nodes, &node->first[i]), each, ctx);
}

void sql_nodes_each(struct sql_nodes *nodes, void (*each)(void *ctx, struct sql_node *node),
                    void *ctx)
{
    visit(nodes, &nodes->root, each, ctx);
}

const struct sql_node *sql_nodes_root(const struct sql_nodes *nodes)
{
    return nodes ? &nodes->root : NULL;
}

const struct sql_node *sql_node_member(const struct sql_node *node, const char *key, size_t len)
{
    SQL_NODE_EACH_MEMBER(member, node)
        if (sql_node_is(member, key, len))
            return member;
    return NULL;
}
