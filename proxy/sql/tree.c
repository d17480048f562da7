#include "tree.h"

#include <pg_query.h>
#include <pthread.h>

/* libpg_query tells a tree by as many calls in each other as it is deep, and asks nobody whether
 * there is room for them: of `a+a+a` each two bytes are a level, of 120 bytes of stack. A text that
 * might need more than a thread has gets a thread of its own. */
#define DEEP_BYTES 32768
#define DEEP_STACK_BYTES(len) (((size_t)1 << 20) + (len)*128)

struct parse {
    const char *sql;
    PgQueryParseResult result;
};

static void *parse_main(void *ctx)
{
    struct parse *parse = ctx;

    parse->result = pg_query_parse(parse->sql);
    return NULL;
}

/* False: there is no memory for it. */
static bool parse_deep(struct parse *parse, size_t len)
{
    pthread_attr_t attr;
    pthread_t thread;
    bool done;

    if (pthread_attr_init(&attr) != 0)
        return false;
    done = pthread_attr_setstacksize(&attr, DEEP_STACK_BYTES(len)) == 0 &&
           pthread_create(&thread, &attr, parse_main, parse) == 0 &&
           pthread_join(thread, NULL) == 0;
    pthread_attr_destroy(&attr);
    return done;
}

struct sql_nodes *sql_tree_parse(const char *sql, int *position, struct err *err)
{
    struct parse parse = {.sql = sql};
    PgQueryParseResult result;
    struct sql_nodes *nodes = NULL;
    size_t len = strlen(sql);
    const char *why;

    if (position)
        *position = -1;
    if (len <= DEEP_BYTES) {
        parse_main(&parse);
    } else if (!parse_deep(&parse, len)) {
        err_set(err, "53200", "no memory to parse a statement of %zu bytes", len);
        return NULL;
    }
    result = parse.result;
    if (result.error) {
        if (position && result.error->cursorpos > 0)
            *position = result.error->cursorpos - 1;
        err_set(err, "42601", "%s", result.error->message);
    } else {
        nodes = sql_nodes_read_take(result.parse_tree, &why);
        result.parse_tree = NULL;
        if (!nodes)
            err_set(err, "22021", "statement cannot be read: %s", why);
    }
    pg_query_free_parse_result(result);
    return nodes;
}

const char *sql_tree_string(const struct sql_node *node)
{
    return sql_node_text(sql_tree_get(sql_tree_get(node, "String"), "sval"));
}

const struct sql_node *sql_tree_single(const struct sql_node *tree, const char *kind)
{
    const struct sql_node *stmts = sql_tree_get(tree, "stmts");

    if (sql_node_size(stmts) != 1)
        return NULL;
    return sql_tree_get(sql_tree_get(sql_node_at(stmts, 0), "stmt"), kind);
}

int sql_tree_location(const struct sql_node *node)
{
    return (int)sql_node_number(sql_tree_get(node, "location"));
}
