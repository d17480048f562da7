#include "segue/sql/named.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "newer.h"
#include "runs.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/base/utf8.h"
#include "segue/sql/inspect.h"
#include "tree.h"

/* Anywhere in the text, also as a part of other words: in doubt the parser is asked. */
static bool has_word(const char *text, size_t len)
{
    static const struct {
        const char *word;
        size_t len;
    } words[] = {{"prepare", 7}, {"execute", 7}, {"deallocate", 10}, {"discard", 7}};

    for (size_t i = 0; i < len; i++) {
        char c = (char)(text[i] | 0x20);

        if (c != 'p' && c != 'e' && c != 'd')
            continue;
        for (size_t w = 0; w < ARRAY_LEN(words); w++)
            if (len - i >= words[w].len && !strncasecmp(text + i, words[w].word, words[w].len))
                return true;
    }
    return false;
}

/* By its first letter, where it begins with one: words that name a statement, or wrap what does,
 * begin with others. */
static bool begins_otherwise(const char *text, size_t len)
{
    char c = len ? (char)(text[0] | 0x20) : 'c';

    return c >= 'a' && c <= 'z' && c != 'c' && c != 'd' && c != 'e' && c != 'p';
}

bool sql_named_may(const char *text, size_t len)
{
    enum sql_first first =
        begins_otherwise(text, len) ? SQL_FIRST_OTHER : sql_first_word(text, len);

    if (first == SQL_FIRST_PREPARE || first == SQL_FIRST_EXECUTE || first == SQL_FIRST_FORGETS)
        return true;
    return (first == SQL_FIRST_WRAPS || memchr(text, ';', len ? len - 1 : 0)) &&
           has_word(text, len);
}

bool sql_named_first(const char *text, size_t len)
{
    enum sql_first first = sql_first_word(text, len);

    return first == SQL_FIRST_PREPARE || first == SQL_FIRST_FORGETS;
}

static bool is_constant(const struct sql_node *node)
{
    const struct sql_node *cast = sql_tree_get(node, "TypeCast");

    if (cast)
        return is_constant(sql_tree_get(cast, "arg"));
    return sql_tree_get(node, "A_Const") || sql_tree_get(node, "ParamRef");
}

static enum sql_named_arguments arguments_of(const struct sql_node *params)
{
    SQL_NODE_EACH_ITEM(item, params) {
        if (!is_constant(item))
            return SQL_ARGUMENTS_OTHER;
    }
    return sql_node_size(params) ? SQL_ARGUMENTS_CONSTANT : SQL_ARGUMENTS_NONE;
}

static void add(struct sql_names *out, enum sql_named_kind kind, const struct sql_node *node,
                size_t from, size_t to)
{
    const char *name = sql_node_text(sql_tree_get(node, "name"));
    struct sql_named *named = &out->v[out->n];

    if (out->n == SQL_NAMED_MAX || (name && strlen(name) >= SQL_NAME_BYTES)) {
        out->lost = true;
        return;
    }
    *named = (struct sql_named){.kind = kind, .from = from, .to = to};
    named->arguments = arguments_of(sql_tree_get(node, "params"));
    if (name)
        strcpy(named->name, name);
    else if (kind == SQL_NAMED_DEALLOCATE)
        named->kind = SQL_NAMED_DROP_ALL;
    out->n++;
}

/* `stmt` is {"ExecuteStmt": {...}} or the like. */
static void read_statement(struct sql_names *out, const struct sql_node *stmt, size_t from,
                           size_t to)
{
    static const struct {
        const char *key;
        enum sql_named_kind kind;
    } kinds[] = {{"PrepareStmt", SQL_NAMED_PREPARE},
                 {"ExecuteStmt", SQL_NAMED_EXECUTE},
                 {"DeallocateStmt", SQL_NAMED_DEALLOCATE}};
    static const char *const around[] = {"ExplainStmt", "CreateTableAsStmt"};
    const char *target = sql_node_text(sql_tree_get(sql_tree_get(stmt, "DiscardStmt"), "target"));

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (sql_tree_get(stmt, kinds[i].key))
            add(out, kinds[i].kind, sql_tree_get(stmt, kinds[i].key), from, to);
    for (size_t i = 0; i < ARRAY_LEN(around); i++)
        if (sql_tree_get(stmt, around[i]))
            read_statement(out, sql_tree_get(sql_tree_get(stmt, around[i]), "query"), from, to);
    if (target && strcmp(target, "DISCARD_ALL") == 0)
        add(out, SQL_NAMED_DROP_ALL, NULL, from, to);
}

void sql_named_read(const char *text, size_t len, struct sql_names *out)
{
    char *copy = mem_strndup(text, len);
    bool readable = strlen(copy) == len && utf8_is_valid(copy) && sql_runs_tame(copy, len);
    struct sql_nodes *tree = readable ? sql_newer_parse(copy) : NULL;
    const struct sql_node *stmts = sql_tree_get(sql_nodes_root(tree), "stmts");

    out->n = 0;
    out->statements = sql_node_size(stmts);
    out->lost = !tree;
    SQL_NODE_EACH_ITEM(item, stmts) {
        size_t from = (size_t)sql_node_number(sql_tree_get(item, "stmt_location"));
        size_t n = (size_t)sql_node_number(sql_tree_get(item, "stmt_len"));

        read_statement(out, sql_tree_get(item, "stmt"), from, n ? from + n : len);
    }
    sql_nodes_free(tree);
    free(copy);
}

void sql_named_text(const char *text, size_t len, const struct sql_names *names, size_t i,
                    struct buf *out)
{
    const struct sql_named *named = &names->v[i];

    if (names->statements == 1) {
        buf_append(out, text, len);
        return;
    }
    for (size_t at = 0; at < named->from; at++)
        if (((unsigned char)text[at] & 0xC0) != 0x80)
            buf_append_u8(out, ' ');
    buf_append(out, text + named->from, named->to - named->from);
}
