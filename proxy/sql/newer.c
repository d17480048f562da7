#include "newer.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "tokens.h"

#define MENDS_MAX 16 /* of one text: each costs a parse */
#define LISTS_MAX 2  /* RETURNING lists in each other */

/* What parsing a text again may cost: so often, lists of their own included, and so many bytes. */
#define AGAIN_MAX 48
#define AGAIN_BYTES_MAX (2u << 20)

/* With the byte behind which it is put: no two are the same. */
#define MARK "~segue"
#define ALIAS " AS \"" MARK "%010u\""
#define ALIAS_BYTES (sizeof(ALIAS) - sizeof("%010u") + 10)
#define COLUMNS_DEPTH_MAX 16 /* COLUMNS in each other */

/* What was left out, and is to be put into the tree. */
enum kind { KIND_RETURNING, KIND_SOURCE, KIND_OLD, KIND_NEW, KIND_COLUMNS };

struct mend {
    enum kind kind;
    uint32_t at; /* of the text: what is to be found there, table `places` says */
    struct sql_nodes *nodes;
    const struct sql_node *value; /* in them */
};

struct again {
    unsigned times;
    size_t bytes;
};

struct newer {
    struct again *again;      /* of the whole of the client's text */
    struct sql_tokens tokens; /* of the client's text */
    char *text;               /* the same with blanks for what was left out */
    unsigned lists;           /* that this text is in */
    struct mend mends[MENDS_MAX];
    size_t n, done;
    uint32_t aliases[MENDS_MAX]; /* behind which bytes they are put, in order */
    size_t naliases;
};

static struct sql_nodes *parse(const char *sql, unsigned lists, struct again *again);

static bool may_again(struct again *again, const char *text)
{
    again->times++;
    again->bytes += strlen(text);
    return again->times <= AGAIN_MAX && again->bytes <= AGAIN_BYTES_MAX;
}

static const struct sql_node *get(const struct sql_node *node, const char *key)
{
    return sql_tree_get(node, key);
}

static bool is(const struct newer *n, size_t token, PgQuery__Token kind)
{
    return sql_tokens_is(&n->tokens, token, kind);
}

static const struct sql_token *item(const struct newer *n, size_t token)
{
    return &n->tokens.items[token];
}

static bool is_word(const struct newer *n, size_t token, const char *word)
{
    size_t len = strlen(word);

    return token < n->tokens.n && item(n, token)->end - item(n, token)->start == len &&
           !strncasecmp(n->text + item(n, token)->start, word, len);
}

static void blank(struct newer *n, uint32_t from, uint32_t to)
{
    memset(n->text + from, ' ', to - from);
}

static bool add(struct newer *n, struct mend mend)
{
    if (n->n == MENDS_MAX) {
        sql_nodes_free(mend.nodes);
        return false;
    }
    n->mends[n->n++] = mend;
    return true;
}

/* ---- what stops the parser: each at its token. False: it is something else. ---- */

/* The closing bracket of the sub-select at `open`. */
static bool put_alias(struct newer *n, size_t open)
{
    size_t close = sql_tokens_close(&n->tokens, open), i = n->naliases;

    if (!is(n, open, SQL_TOKEN_OPEN) || close == n->tokens.n || n->naliases == MENDS_MAX)
        return false;
    for (; i > 0 && n->aliases[i - 1] > item(n, close)->end; i--)
        n->aliases[i] = n->aliases[i - 1];
    n->aliases[i] = item(n, close)->end;
    n->naliases++;
    return true;
}

static bool is_end(const struct newer *n, size_t i, uint32_t depth)
{
    return item(n, i)->depth < depth ||
           (item(n, i)->depth == depth && item(n, i)->kind == SQL_TOKEN_SEMICOLON);
}

/* Where the relation stands of the MERGE of which token i begins a clause; 0: there is none. */
static uint32_t merged_at(const struct newer *n, size_t i)
{
    uint32_t depth = item(n, i)->depth;

    while (i > 0 && !is_end(n, i - 1, depth)) {
        i--;
        if (item(n, i)->depth != depth || !is(n, i, PG_QUERY__TOKEN__MERGE) ||
            !is(n, i + 1, PG_QUERY__TOKEN__INTO))
            continue;
        i += 2;
        while (is(n, i, PG_QUERY__TOKEN__ONLY) || is(n, i, SQL_TOKEN_OPEN))
            i++;
        return i < n->tokens.n ? item(n, i)->start : 0;
    }
    return 0;
}

/* OLD AS o, or NEW AS n, of a list that begins at `first`: the parser reads the name. */
static bool take_name(struct newer *n, size_t i, uint32_t first)
{
    struct mend mend = {.kind = is(n, i, PG_QUERY__TOKEN__OLD) ? KIND_OLD : KIND_NEW, .at = first};
    const struct sql_node *select;
    char *sql;

    if ((mend.kind == KIND_NEW && !is(n, i, PG_QUERY__TOKEN__NEW)) ||
        !is(n, i + 1, PG_QUERY__TOKEN__AS) || !item(n, i + 2)->word)
        return false;
    sql = mem_printf("SELECT 0 AS %.*s", (int)(item(n, i + 2)->end - item(n, i + 2)->start),
                     n->text + item(n, i + 2)->start);
    mend.nodes = sql_tree_parse(sql, NULL, NULL);
    free(sql);
    select = sql_tree_single(sql_nodes_root(mend.nodes), "SelectStmt");
    mend.value = get(get(sql_node_at(get(select, "targetList"), 0), "ResTarget"), "name");
    if (!mend.value) {
        sql_nodes_free(mend.nodes);
        return false;
    }
    return add(n, mend);
}

/* RETURNING WITH (...), at the WITH. */
static bool leave_out_names(struct newer *n, size_t i)
{
    size_t close = sql_tokens_close(&n->tokens, i + 1), at = i + 2;

    if (i == 0 || !is(n, i - 1, PG_QUERY__TOKEN__RETURNING) || !is(n, i + 1, SQL_TOKEN_OPEN) ||
        close + 1 >= n->tokens.n)
        return false;
    for (; at + 2 < close; at += 4)
        if (!take_name(n, at, item(n, close + 1)->start) ||
            (at + 3 != close && !is(n, at + 3, SQL_TOKEN_COMMA)))
            return false;
    blank(n, item(n, i)->start, item(n, close)->end);
    return at == close + 1;
}

/* A SELECT of nothing but targets. */
static const struct sql_node *list_of(const struct sql_nodes *nodes)
{
    static const char *const members[] = {"targetList", "limitOption", "op"};
    const struct sql_node *select = sql_tree_single(sql_nodes_root(nodes), "SelectStmt");

    SQL_NODE_EACH_MEMBER(member, select) {
        size_t i = 0;

        while (i < ARRAY_LEN(members) && strcmp(members[i], member->key) != 0)
            i++;
        if (i == ARRAY_LEN(members))
            return NULL;
    }
    return get(select, "targetList");
}

/* The list is parsed by itself, as that of a SELECT in its place. */
static bool leave_out_returning(struct newer *n, size_t i)
{
    struct mend mend = {.kind = KIND_RETURNING, .at = merged_at(n, i)};
    const struct sql_token *returning = item(n, i), *last;
    size_t end = i + 1;
    char *list;

    while (end < n->tokens.n && !is_end(n, end, returning->depth))
        end++;
    if (!mend.at || end == i + 1 || n->lists == LISTS_MAX ||
        (is(n, i + 1, PG_QUERY__TOKEN__WITH) && !leave_out_names(n, i + 1)))
        return false;
    last = item(n, end - 1);
    list = mem_strndup(n->text, last->end);
    memset(list, ' ', returning->end);
    memcpy(list + returning->start, "SELECT", strlen("SELECT"));
    mend.nodes = may_again(n->again, list) ? parse(list, n->lists + 1, n->again) : NULL;
    free(list);
    mend.value = list_of(mend.nodes);
    if (!mend.value) {
        sql_nodes_free(mend.nodes);
        return false;
    }
    blank(n, returning->start, last->end);
    return add(n, mend);
}

/* WHEN NOT MATCHED BY ..., at the BY. What is there is the target's row, as where it is matched. */
static bool say_by_whom(struct newer *n, size_t i)
{
    static const char instead[] = "MATCHED AND true";

    if (i < 3 || !is(n, i - 1, PG_QUERY__TOKEN__MATCHED) || !is(n, i - 2, PG_QUERY__TOKEN__NOT) ||
        !is(n, i - 3, PG_QUERY__TOKEN__WHEN))
        return false;
    if (is_word(n, i + 1, "target")) {
        blank(n, item(n, i)->start, item(n, i + 1)->end);
        return true;
    }
    if (!is_word(n, i + 1, "source"))
        return false;
    blank(n, item(n, i - 2)->start, item(n, i + 1)->end);
    memcpy(n->text + item(n, i - 2)->start, instead, strlen(instead));
    return add(n, (struct mend){.kind = KIND_SOURCE,
                                .at = item(n, i - 2)->start + (uint32_t)strlen("MATCHED AND ")});
}

/* The names that the COLUMNS in the bracket at `open` give, as targets. */
static bool put_columns(const struct newer *n, size_t open, unsigned depth, struct buf *targets)
{
    static const PgQuery__Token ends[] = {0};
    size_t close = sql_tokens_close(&n->tokens, open), i = open + 1, end;

    if (!is(n, open, SQL_TOKEN_OPEN) || close == n->tokens.n || depth == COLUMNS_DEPTH_MAX)
        return false;
    for (; i <= close; i = end + 1) {
        size_t columns;

        end = sql_tokens_item_end(&n->tokens, i, ends);
        if (is_word(n, i, "nested") &&
            (is_word(n, i + 1, "path") || is(n, i + 1, PG_QUERY__TOKEN__SCONST))) {
            columns = sql_tokens_find(&n->tokens, i, PG_QUERY__TOKEN__COLUMNS);
            if (columns > end || !put_columns(n, columns + 1, depth + 1, targets))
                return false;
            continue;
        }
        if (!item(n, i)->word || is(n, i + 1, PG_QUERY__TOKEN__UESCAPE))
            return false;
        buf_printf(targets, "%s0 AS ", targets->len ? ", " : "SELECT ");
        buf_append(targets, n->text + item(n, i)->start, item(n, i)->end - item(n, i)->start);
    }
    return true;
}

/* JSON_TABLE's, which is called at `at`. */
static bool take_columns(struct newer *n, size_t open, uint32_t at)
{
    struct mend mend = {.kind = KIND_COLUMNS, .at = at};
    struct buf targets = {0};

    if (put_columns(n, open, 0, &targets)) {
        char *sql = buf_take(&targets);

        mend.nodes = sql_tree_parse(sql, NULL, NULL);
        free(sql);
    }
    buf_fini(&targets);
    mend.value = get(sql_tree_single(sql_nodes_root(mend.nodes), "SelectStmt"), "targetList");
    if (!mend.value) {
        sql_nodes_free(mend.nodes);
        return false;
    }
    return add(n, mend);
}

/* JSON_TABLE(..., at the AS of its path's name. */
static bool leave_out_path_name(struct newer *n, size_t i)
{
    if (!is(n, i + 2, PG_QUERY__TOKEN__COLUMNS) || !item(n, i + 1)->word)
        return false;
    blank(n, item(n, i)->start, item(n, i + 1)->end);
    return true;
}

/* JSON_TABLE(..., at its COLUMNS, which are the last of it, but for ON ERROR. */
static bool leave_out_columns(struct newer *n, size_t i)
{
    uint32_t depth = item(n, i)->depth;
    size_t open = i, close;

    while (open > 0 && item(n, open)->depth >= depth)
        open--;
    close = sql_tokens_close(&n->tokens, open);
    if (open == 0 || !is(n, open, SQL_TOKEN_OPEN) || !is_word(n, open - 1, "json_table") ||
        close == n->tokens.n || !take_columns(n, i + 1, item(n, open - 1)->start))
        return false;
    blank(n, item(n, i)->start, item(n, close)->start);
    return true;
}

static const struct {
    PgQuery__Token kind;
    const char *word;
    bool (*mend)(struct newer *n, size_t token);
} stops[] = {
    {PG_QUERY__TOKEN__RETURNING, "returning", leave_out_returning},
    {PG_QUERY__TOKEN__WITH, "with", leave_out_names},
    {PG_QUERY__TOKEN__BY, "by", say_by_whom},
    {PG_QUERY__TOKEN__COLUMNS, "columns", leave_out_columns},
    {PG_QUERY__TOKEN__AS, "as", leave_out_path_name},
};

static bool is_aliasless(const char *why)
{
    return strstr(why, "must have an alias") != NULL;
}

/* ---- from the text that was tried to the client's, and back ---- */

static char *with_aliases(const struct newer *n)
{
    struct buf out = {0};
    uint32_t from = 0;

    for (size_t i = 0; i < n->naliases; i++) {
        buf_append(&out, n->text + from, n->aliases[i] - from);
        buf_printf(&out, ALIAS, (unsigned)n->aliases[i]);
        from = n->aliases[i];
    }
    buf_append_str(&out, n->text + from);
    return buf_take(&out);
}

/* A byte of what was tried as one of the client's text. */
static int64_t own_place(const struct newer *n, int64_t at)
{
    int64_t added = 0;

    for (size_t i = 0; i < n->naliases && at > n->aliases[i] + added; i++) {
        if (at < n->aliases[i] + added + (int64_t)ALIAS_BYTES)
            return n->aliases[i];
        added += (int64_t)ALIAS_BYTES;
    }
    return at - added;
}

/* The parser counts characters. */
static int64_t byte_of(const char *text, int chars)
{
    const char *p = text;

    for (; *p && (chars > 0 || ((unsigned char)*p & 0xC0) == 0x80); p++)
        chars -= ((unsigned char)*p & 0xC0) != 0x80;
    return p - text;
}

/* Most of what a client gets wrong is of no newer grammar, and needs no tokens. */
static bool may_mend(const char *tried, int position, const char *why)
{
    const char *at = position < 0 ? NULL : tried + byte_of(tried, position);

    for (size_t k = 0; at && k < ARRAY_LEN(stops); k++)
        if (!strncasecmp(at, stops[k].word, strlen(stops[k].word)))
            return true;
    return at && is_aliasless(why);
}

static bool mend(struct newer *n, const char *tried, int position, const char *why)
{
    size_t i = position < 0
                   ? n->tokens.n
                   : sql_tokens_at(&n->tokens, (int)own_place(n, byte_of(tried, position)));

    if (i == n->tokens.n)
        return false;
    if (is_aliasless(why))
        return put_alias(n, i);
    for (size_t k = 0; k < ARRAY_LEN(stops); k++)
        if (is(n, i, stops[k].kind))
            return stops[k].mend(n, i);
    return false;
}

/* ---- the tree ---- */

struct settling {
    struct newer *n;
    struct sql_nodes *nodes;
};

/* Of an object: what says where it stands. The end of a statement depends on its beginning. */
static void move_places(void *ctx, struct sql_node *node)
{
    static const struct sql_key location = SQL_KEY("location"), begins = SQL_KEY("stmt_location"),
                                length = SQL_KEY("stmt_len");
    const struct settling *s = ctx;
    int64_t begin = sql_node_number(get(node, "stmt_location"));

    SQL_NODE_EACH_MEMBER(member, node) {
        struct sql_node *own = sql_nodes_own(s->nodes, member);

        if (sql_tree_is(member, &location) || sql_tree_is(member, &begins))
            own->number = own_place(s->n, own->number);
        else if (sql_tree_is(member, &length))
            own->number = own_place(s->n, begin + own->number) - own_place(s->n, begin);
    }
}

/* It has none in the text; where one is needed, this may be put there (newer.h). */
static void drop_alias(void *ctx, struct sql_node *node)
{
    const struct settling *s = ctx;
    const struct sql_node *select = get(node, "RangeSubselect");
    const struct sql_node *name = get(get(select, "alias"), "aliasname");
    uint32_t at;

    if (!sql_newer_alias(sql_node_text(name), &at))
        return;
    for (size_t i = 0; i < s->n->naliases; i++) {
        if (s->n->aliases[i] != at)
            continue;
        sql_nodes_put(s->nodes, select, "mayBeCalled", name);
        sql_nodes_drop(s->nodes, select, "alias");
        return;
    }
}

static bool is_there(const struct sql_node *node, uint32_t at)
{
    if (sql_tree_location(node) == (int)at)
        return true;
    SQL_NODE_EACH_ITEM(each, node)
        if (is_there(each, at))
            return true;
    SQL_NODE_EACH_MEMBER(member, node)
        if (is_there(member, at))
            return true;
    return false;
}

static bool is_merge(const struct sql_node *node, uint32_t at)
{
    return sql_tree_location(get(node, "relation")) == (int)at;
}

static bool is_json_table(const struct sql_node *node, uint32_t at)
{
    const struct sql_node *first = get(sql_node_at(get(node, "functions"), 0), "List");
    const struct sql_node *call = get(sql_node_at(get(first, "items"), 0), "FuncCall");

    return call && sql_tree_location(call) == (int)at;
}

static bool is_clause(const struct sql_node *node, uint32_t at)
{
    return is_there(get(node, "condition"), at);
}

static bool returns_at(const struct sql_node *node, uint32_t at)
{
    const struct sql_node *first = sql_node_at(get(node, "returningList"), 0);

    return first && sql_tree_location(get(first, "ResTarget")) == (int)at;
}

/* Into which node, and under which name. Lists of MERGE are there before the names in them. */
static const struct {
    const char *node; /* NULL: of any kind */
    bool (*fits)(const struct sql_node *node, uint32_t at);
    const char *key;
} places[] = {
    [KIND_RETURNING] = {"MergeStmt", is_merge, "returningList"},
    [KIND_SOURCE] = {"MergeWhenClause", is_clause, "bySource"},
    [KIND_OLD] = {NULL, returns_at, "returningOld"},
    [KIND_NEW] = {NULL, returns_at, "returningNew"},
    [KIND_COLUMNS] = {"RangeFunction", is_json_table, "jsonColumns"},
};

static void put(struct settling *s, const struct sql_node *into, struct mend *m)
{
    static const struct sql_node yes = {.kind = SQL_NODE_TRUE};

    sql_nodes_put(s->nodes, into, places[m->kind].key, m->value ? m->value : &yes);
    sql_nodes_keep_take(s->nodes, m->nodes);
    m->nodes = NULL;
    m->at = UINT32_MAX;
    s->n->done++;
}

static void put_kinds(struct settling *s, const struct sql_node *node, bool names)
{
    for (size_t i = 0; i < s->n->n; i++) {
        struct mend *m = &s->n->mends[i];
        const struct sql_node *into = places[m->kind].node ? get(node, places[m->kind].node) : node;

        if (!places[m->kind].node == names && m->at != UINT32_MAX && into &&
            places[m->kind].fits(into, m->at))
            put(s, into, m);
    }
}

static void put_clauses(void *ctx, struct sql_node *node)
{
    put_kinds(ctx, node, false);
}

static void put_names(void *ctx, struct sql_node *node)
{
    put_kinds(ctx, node, true);
}

/* False: something that was left out has found no place. */
static bool settle(struct newer *n, struct sql_nodes *nodes)
{
    struct settling s = {n, nodes};

    if (n->naliases) {
        sql_nodes_each(nodes, move_places, &s);
        sql_nodes_each(nodes, drop_alias, &s);
    }
    sql_nodes_each(nodes, put_clauses, &s);
    sql_nodes_each(nodes, put_names, &s);
    return n->done == n->n;
}

/* ---- parsing ---- */

static struct sql_nodes *try_again(struct newer *n)
{
    struct sql_nodes *nodes = NULL;
    bool mended = true;

    while (!nodes && mended) {
        char *text = with_aliases(n);
        struct err err = {0};
        int position;

        mended = may_again(n->again, text);
        if (mended)
            nodes = sql_tree_parse(text, &position, &err);
        mended = mended && !nodes && mend(n, text, position, err.text);
        free(text);
    }
    if (nodes && !settle(n, nodes)) {
        sql_nodes_free(nodes);
        nodes = NULL;
    }
    return nodes;
}

static struct sql_nodes *parse(const char *sql, unsigned lists, struct again *again)
{
    struct newer n = {.lists = lists, .again = again};
    struct err err = {0};
    struct sql_nodes *nodes;
    int position;

    nodes = sql_tree_parse(sql, &position, &err);
    if (nodes || !may_mend(sql, position, err.text) || sql_tokens_init(&n.tokens, sql) != RC_OK)
        return nodes;
    n.text = mem_strdup(sql);
    if (mend(&n, sql, position, err.text))
        nodes = try_again(&n);
    for (size_t i = 0; i < n.n; i++)
        sql_nodes_free(n.mends[i].nodes);
    free(n.text);
    sql_tokens_fini(&n.tokens);
    return nodes;
}

bool sql_newer_alias(const char *name, uint32_t *at)
{
    if (!name || strncmp(name, MARK, strlen(MARK)) != 0)
        return false;
    *at = (uint32_t)strtoul(name + strlen(MARK), NULL, 10);
    return true;
}

struct sql_nodes *sql_newer_parse(const char *sql)
{
    struct again again = {0};

    return parse(sql, 0, &again);
}
