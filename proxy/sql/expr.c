/*
 * Expressions are parsed as the only target of a SELECT; everything else a SELECT could have is
 * refused, so that no text can smuggle in more than an expression. Edits are byte splices at the
 * positions of column references: the rest of the author's text stays as it is.
 */
#include "segue/sql/expr.h"

#include <stdlib.h>
#include <string.h>

#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "tree.h"

#define SELECT "SELECT "
#define SELECT_LEN ((int)sizeof(SELECT) - 1)

struct ref {
    int at; /* byte offset in the expression */
    const char *name;
};

struct walk {
    struct sql_expr_info *info;
    size_t columns_cap, functions_cap, casts_cap, strings_cap;
    struct ref *refs;
    size_t nrefs, refs_cap;
    /* what asks for the time: "" a call, "'...'" a text (in place of which this one comes), else
     * the type of a word of SQL's */
    struct ref *times;
    size_t ntimes, times_cap;
    bool qualified, star, is_default;
};

static void list_add(char ***list, size_t *n, size_t *cap, const char *text)
{
    for (size_t i = 0; i < *n; i++)
        if (!strcmp((*list)[i], text))
            return;
    mem_grow((void **)list, cap, *n + 1, sizeof(**list));
    (*list)[(*n)++] = mem_strdup(text);
}

/* ---- reading ---- */

static void see_column(struct walk *w, const struct sql_node *node)
{
    const struct sql_node *fields = sql_tree_get(node, "fields");
    const char *name = sql_tree_string(sql_node_at(fields, 0));

    if (!name) {
        w->star = true;
        return;
    }
    if (sql_node_size(fields) != 1) {
        w->qualified = true;
        return;
    }
    list_add(&w->info->columns, &w->info->ncolumns, &w->columns_cap, name);
    mem_grow((void **)&w->refs, &w->refs_cap, w->nrefs + 1, sizeof(*w->refs));
    w->refs[w->nrefs++] = (struct ref){sql_tree_location(node) - SELECT_LEN, name};
}

static void see_time(struct walk *w, const struct sql_node *node, const char *type)
{
    mem_grow((void **)&w->times, &w->times_cap, w->ntimes + 1, sizeof(*w->times));
    w->times[w->ntimes++] = (struct ref){sql_tree_location(node) - SELECT_LEN, type};
}

/* The functions that give when the transaction, or its statement, has begun. */
static bool gives_time(const char *function)
{
    static const char *const names[] = {"now", "transaction_timestamp", "statement_timestamp"};

    if (!strncmp(function, "pg_catalog.", 11))
        function += 11;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!strcmp(function, names[i]))
            return true;
    return false;
}

static void see_word(struct walk *w, const struct sql_node *node)
{
    static const struct {
        const char *op, *type;
    } words[] = {{"SVFOP_CURRENT_DATE", "date"},
                 {"SVFOP_CURRENT_TIMESTAMP", "timestamptz"},
                 {"SVFOP_CURRENT_TIMESTAMP_N", "timestamptz"},
                 {"SVFOP_LOCALTIMESTAMP", "timestamp"},
                 {"SVFOP_LOCALTIMESTAMP_N", "timestamp"},
                 {"SVFOP_CURRENT_TIME", "timetz"},
                 {"SVFOP_CURRENT_TIME_N", "timetz"},
                 {"SVFOP_LOCALTIME", "time"},
                 {"SVFOP_LOCALTIME_N", "time"}};
    const char *op = sql_node_text(sql_tree_get(node, "op"));

    for (size_t i = 0; op && i < ARRAY_LEN(words); i++)
        if (!strcmp(words[i].op, op))
            see_time(w, node, words[i].type);
}

static void see_function(struct walk *w, const struct sql_node *node)
{
    static const char *const marks[] = {"agg_filter",   "over",     "agg_within_group",
                                        "agg_distinct", "agg_star", "agg_order"};
    const struct sql_node *parts = sql_tree_get(node, "funcname");
    struct buf name = {0};
    char *text;

    for (size_t i = 0; i < sql_node_size(parts); i++)
        buf_printf(&name, "%s%s", i ? "." : "", sql_tree_string(sql_node_at(parts, i)));
    text = buf_take(&name);
    list_add(&w->info->functions, &w->info->nfunctions, &w->functions_cap, text);
    if (gives_time(text) && !sql_tree_get(node, "args"))
        see_time(w, node, "");
    free(text);
    for (size_t i = 0; i < ARRAY_LEN(marks); i++)
        if (sql_tree_get(node, marks[i]))
            w->info->has_aggregate_or_window = true;
}

/* A text that is read as of the time, and one that is read as another. */
static void see_time_text(struct walk *w, const struct sql_node *constant, const char *type)
{
    static const char *const types[] = {"date", "timestamp", "timestamptz"};
    static const struct {
        const char *text, *later;
    } words[] = {{"now", "'tomorrow'"},
                 {"today", "'tomorrow'"},
                 {"tomorrow", "'today'"},
                 {"yesterday", "'today'"}};
    const char *text = sql_node_text(sql_tree_get(sql_tree_get(constant, "sval"), "sval"));
    bool timed = false;

    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        timed |= !strcmp(type, types[i]);
    for (size_t i = 0; timed && text && i < ARRAY_LEN(words); i++)
        if (!strcasecmp(text, words[i].text))
            see_time(w, constant, words[i].later);
}

static void see_cast(struct walk *w, const struct sql_node *node)
{
    const struct sql_node *names = sql_tree_get(sql_tree_get(node, "typeName"), "names");
    size_t n = sql_node_size(names);
    const char *name = n ? sql_tree_string(sql_node_at(names, n - 1)) : NULL;
    const char *schema = n > 1 ? sql_tree_string(sql_node_at(names, n - 2)) : NULL;
    char *text;

    if (!name)
        return;
    text = schema && strcmp(schema, "pg_catalog") != 0 ? sql_quote_qualified(schema, name)
                                                       : sql_quote_ident(name);
    list_add(&w->info->casts, &w->info->ncasts, &w->casts_cap, text);
    free(text);
    see_time_text(w, sql_tree_get(sql_tree_get(node, "arg"), "A_Const"), name);
}

static void see_constant(struct walk *w, const struct sql_node *node)
{
    const char *text = sql_node_text(sql_tree_get(sql_tree_get(node, "sval"), "sval"));

    if (text)
        list_add(&w->info->strings, &w->info->nstrings, &w->strings_cap, text);
}

static void walk_node(struct walk *w, const struct sql_node *node);

static void walk_member(struct walk *w, const struct sql_node *member)
{
    static const char *const skipped[] = {"typeName", "funcname", "name", "collname"};
    const char *key = member->key;

    for (size_t i = 0; i < ARRAY_LEN(skipped); i++)
        if (!strcmp(key, skipped[i]))
            return;
    if (!strcmp(key, "A_Const")) {
        see_constant(w, member);
        return;
    }
    if (!strcmp(key, "ColumnRef"))
        see_column(w, member);
    else if (!strcmp(key, "FuncCall"))
        see_function(w, member);
    else if (!strcmp(key, "SQLValueFunction"))
        see_word(w, member);
    else if (!strcmp(key, "TypeCast"))
        see_cast(w, member);
    else if (!strcmp(key, "SubLink"))
        w->info->has_subquery = true;
    else if (!strcmp(key, "ParamRef"))
        w->info->has_parameter = true;
    else if (!strcmp(key, "SetToDefault"))
        w->is_default = true;
    walk_node(w, member);
}

static void walk_node(struct walk *w, const struct sql_node *node)
{
    SQL_NODE_EACH_ITEM(item, node)
        walk_node(w, item);
    SQL_NODE_EACH_MEMBER(member, node)
        walk_member(w, member);
}

/* Literals, casts of literals, arrays of them: the same value for every row, without a call. */
static bool is_constant(const struct sql_node *node)
{
    const struct sql_node *cast = sql_tree_get(node, "TypeCast");
    const struct sql_node *elements = sql_tree_get(sql_tree_get(node, "A_ArrayExpr"), "elements");

    if (sql_tree_get(node, "A_Const"))
        return true;
    if (cast)
        return is_constant(sql_tree_get(cast, "arg"));
    if (!sql_tree_get(node, "A_ArrayExpr"))
        return false;
    for (size_t i = 0; i < sql_node_size(elements); i++)
        if (!is_constant(sql_node_at(elements, i)))
            return false;
    return true;
}

/* The value of the only target of a SELECT that has nothing else; NULL when it has. */
static const struct sql_node *only_target(const struct sql_node *tree)
{
    static const char *const plain[] = {"targetList", "limitOption", "op"};
    const struct sql_node *select = sql_tree_single(tree, "SelectStmt");
    const struct sql_node *targets = sql_tree_get(select, "targetList");
    const struct sql_node *target = sql_tree_get(sql_node_at(targets, 0), "ResTarget");
    const char *op = sql_node_text(sql_tree_get(select, "op"));

    if (sql_node_size(targets) != 1 || sql_tree_get(target, "name") || !op ||
        strcmp(op, "SETOP_NONE"))
        return NULL;
    SQL_NODE_EACH_MEMBER(member, select) {
        bool known = false;

        for (size_t i = 0; i < ARRAY_LEN(plain); i++)
            known |= !strcmp(member->key, plain[i]);
        if (!known)
            return NULL;
    }
    return sql_tree_get(target, "val");
}

/* The tree (caller frees) and in it the value; NULL with err. */
static struct sql_nodes *parse(const char *expr, const struct sql_node **value, struct err *err)
{
    char *sql = mem_printf(SELECT "%s\n", expr);
    struct err why = {0};
    int position;
    struct sql_nodes *tree = sql_tree_parse(sql, &position, &why);

    free(sql);
    if (!tree) {
        if (position >= SELECT_LEN)
            err_set(err, why.sqlstate, "%s, at byte %d of the expression", why.text,
                    position - SELECT_LEN + 1);
        else
            err_set(err, why.sqlstate, "%s", why.text);
        return NULL;
    }
    *value = only_target(sql_nodes_root(tree));
    if (!*value) {
        err_set(err, "42601", "not one scalar expression");
        sql_nodes_free(tree);
        return NULL;
    }
    return tree;
}

static enum rc walk_check(const struct walk *w, struct err *err)
{
    if (w->star || w->is_default) {
        err_set(err, "42601", "%s is not allowed in an expression", w->star ? "*" : "DEFAULT");
        return RC_ERR;
    }
    if (w->qualified && !w->info->has_subquery) {
        err_set(err, "0A000", "a column is written with the name of its table");
        err_hint(err, "write the bare name of the column; (composite).field needs parentheses");
        return RC_ERR;
    }
    return RC_OK;
}

enum rc sql_expr_parse(const char *expr, struct sql_expr_info *info, struct err *err)
{
    struct walk w = {.info = info};
    const struct sql_node *value;
    struct sql_nodes *tree;
    enum rc rc;

    memset(info, 0, sizeof(*info));
    tree = parse(expr, &value, err);
    if (!tree)
        return RC_ERR;
    walk_node(&w, value);
    info->constant = is_constant(value);
    rc = walk_check(&w, err);
    free(w.refs);
    free(w.times);
    sql_nodes_free(tree);
    if (rc != RC_OK)
        sql_expr_info_fini(info);
    return rc;
}

void sql_expr_info_fini(struct sql_expr_info *info)
{
    for (size_t i = 0; i < info->ncolumns; i++)
        free(info->columns[i]);
    for (size_t i = 0; i < info->nfunctions; i++)
        free(info->functions[i]);
    for (size_t i = 0; i < info->ncasts; i++)
        free(info->casts[i]);
    for (size_t i = 0; i < info->nstrings; i++)
        free(info->strings[i]);
    free(info->columns);
    free(info->functions);
    free(info->casts);
    free(info->strings);
    memset(info, 0, sizeof(*info));
}

bool sql_expr_is_constant(const char *expr)
{
    struct sql_expr_info info;
    bool constant;

    if (sql_expr_parse(expr, &info, NULL) != RC_OK)
        return false;
    constant = info.constant;
    sql_expr_info_fini(&info);
    return constant;
}

/* ---- editing ---- */

static bool is_ident_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || (unsigned char)c >= 0x80;
}

/* Length in bytes of the identifier that begins here, quotes included; 0: none. */
static size_t ident_length(const char *text)
{
    size_t i = 0;

    if ((text[0] == 'u' || text[0] == 'U') && text[1] == '&' && text[2] == '"')
        i = 2;
    if (text[i] != '"') {
        while (is_ident_byte(text[i]))
            i++;
        return i;
    }
    for (i++; text[i]; i++) {
        if (text[i] == '"' && text[i + 1] == '"')
            i++;
        else if (text[i] == '"')
            return i + 1;
    }
    return 0;
}

static int ref_compare(const void *a, const void *b)
{
    const struct ref *x = a, *y = b;

    return (x->at > y->at) - (x->at < y->at);
}

/* NOT"a"IS NULL needs no blanks, NOT a IS NULL does. */
static void separate(struct buf *out, char next)
{
    if (out->len > 0 && is_ident_byte(out->data[out->len - 1]) && is_ident_byte(next))
        buf_append_str(out, " ");
}

static char *splice(const char *expr, const struct ref *refs, size_t nrefs, const char *prefix,
                    const char *const *from, const char *const *to, size_t n, bool all)
{
    struct buf out = {0};
    size_t at = 0, len = strlen(expr);

    for (size_t r = 0; r < nrefs; r++) {
        const char *name = all ? refs[r].name : NULL;
        size_t start = (size_t)refs[r].at;
        size_t old_len;
        char *quoted;

        for (size_t i = 0; i < n; i++)
            if (!strcmp(from[i], refs[r].name))
                name = to[i];
        if (!name || start < at)
            continue;
        old_len = start < len ? ident_length(expr + start) : 0;
        if (old_len == 0) {
            buf_fini(&out);
            return NULL;
        }
        quoted = sql_quote_ident(name);
        buf_append(&out, expr + at, start - at);
        separate(&out, *prefix ? *prefix : *quoted);
        buf_printf(&out, "%s%s", prefix, quoted);
        free(quoted);
        at = start + old_len;
        separate(&out, expr[at]);
    }
    buf_append_str(&out, expr + at);
    return buf_take(&out);
}

char *sql_expr_rename(const char *expr, const char *prefix, const char *const *from,
                      const char *const *to, size_t n, bool all, struct err *err)
{
    struct sql_expr_info info = {0};
    struct walk w = {.info = &info};
    const struct sql_node *value;
    struct sql_nodes *tree = parse(expr, &value, err);
    char *out = NULL;

    if (!tree)
        return NULL;
    walk_node(&w, value);
    if (walk_check(&w, err) == RC_OK) {
        if (w.nrefs > 1)
            qsort(w.refs, w.nrefs, sizeof(*w.refs), ref_compare);
        out = splice(expr, w.refs, w.nrefs, prefix, from, to, n, all);
        if (!out)
            err_set(err, "XX000", "cannot find a column reference in \"%s\"", expr);
    }
    free(w.refs);
    free(w.times);
    sql_expr_info_fini(&info);
    sql_nodes_free(tree);
    return out;
}

static size_t blanks(const char *text)
{
    return strspn(text, " \t\r\n\f");
}

/* Length of what asks for the time and begins here; 0: not told, a comment stands inside, or it is
 * a text in other quotes. */
static size_t time_length(const char *text, const char *name)
{
    size_t at = ident_length(text), next = at + blanks(text + at);
    bool call = !*name;

    if (*name == '\'')
        return *text == '\'' ? strcspn(text + 1, "'") + 2 : 0;
    if (call && text[next] == '.') {
        at = next + 1;
        at += blanks(text + at);
        at += ident_length(text + at);
        next = at + blanks(text + at);
    }
    if (!call)
        return at;
    if (text[next] != '(')
        return 0;
    next++;
    next += blanks(text + next);
    return text[next] == ')' ? next + 1 : 0;
}

/* A precision of theirs, "(3)", stands behind the words: it becomes one of the type. */
static char *move_times(const char *expr, const struct ref *times, size_t n)
{
    struct buf out = {0};
    size_t at = 0;

    for (size_t i = 0; i < n; i++) {
        size_t start = (size_t)times[i].at;
        size_t length = time_length(expr + start, times[i].name);

        if (!length || start < at) {
            buf_fini(&out);
            return NULL;
        }
        buf_append(&out, expr + at, start - at);
        if (*times[i].name == '\'') {
            buf_append_str(&out, times[i].name);
            at = start + length;
            continue;
        }
        separate(&out, 'p');
        buf_printf(&out,
                   "(pg_catalog.now() OPERATOR(pg_catalog.+) '25 hours'"
                   "::pg_catalog.interval)%s%s",
                   *times[i].name ? "::pg_catalog." : "", times[i].name);
        at = start + length;
        separate(&out, expr[at]);
    }
    buf_append_str(&out, expr + at);
    return buf_take(&out);
}

char *sql_expr_later(const char *expr)
{
    struct sql_expr_info info = {0};
    struct walk w = {.info = &info};
    const struct sql_node *value;
    struct sql_nodes *tree = parse(expr, &value, NULL);
    char *out = NULL;

    if (!tree)
        return NULL;
    walk_node(&w, value);
    if (w.ntimes > 1)
        qsort(w.times, w.ntimes, sizeof(*w.times), ref_compare);
    if (w.ntimes)
        out = move_times(expr, w.times, w.ntimes);
    free(w.refs);
    free(w.times);
    sql_expr_info_fini(&info);
    sql_nodes_free(tree);
    return out;
}

bool sql_expr_is_column(const char *expr, const char *column)
{
    const struct sql_node *value = NULL;
    struct sql_nodes *tree = parse(expr, &value, NULL);
    const struct sql_node *fields = sql_tree_get(sql_tree_get(value, "ColumnRef"), "fields");
    const char *name = tree ? sql_tree_string(sql_node_at(fields, 0)) : NULL;
    bool is = name && sql_node_size(fields) == 1 && !strcmp(name, column);

    sql_nodes_free(tree);
    return is;
}

enum rc sql_type_parse(const char *type, struct err *err)
{
    char *sql = mem_printf(SELECT "NULL::%s\n", type);
    struct sql_nodes *tree = sql_tree_parse(sql, NULL, NULL);
    const struct sql_node *cast = sql_tree_get(only_target(sql_nodes_root(tree)), "TypeCast");
    bool is = sql_tree_get(sql_tree_get(cast, "arg"), "A_Const") != NULL;

    free(sql);
    sql_nodes_free(tree);
    if (is)
        return RC_OK;
    err_set(err, "42601", "\"%s\" is not one type name", type);
    return RC_ERR;
}
