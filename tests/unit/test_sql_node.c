/* sql/node.h: the JSON of parse trees, read in place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pg_query.h>

#include "../fuzz/same_tree.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"

static struct sql_nodes *read_copy(const char *json)
{
    const char *why;

    return sql_nodes_read_take(mem_strdup(json), &why);
}

/* {"a": ...}, where `value` is JSON. */
static struct sql_nodes *read_value(const char *value, const struct sql_node **node)
{
    char *json = mem_printf("{\"a\":%s}", value);
    struct sql_nodes *nodes = read_copy(json);

    *node = sql_node_member(sql_nodes_root(nodes), "a", 1);
    free(json);
    return nodes;
}

static void texts_keep_their_bytes_and_lose_their_escapes(void **state)
{
    static const struct {
        const char *json, *text;
    } rows[] = {
        {"\"\"", ""},
        {"\"it's\"", "it's"},
        {"\"\xc3\xa9 \xe2\x82\xac\x7f\"", "\xc3\xa9 \xe2\x82\xac\x7f"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"a\\u0001b\\u007F\"", "a\x01"
                                 "b\x7f"},
        {"\"\\u0080\\u07ff\\u0800\\uFFFF\"", "\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf"},
        {"\"\\ud800\\udc00\\uDBFF\\uDFFF\"", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
        {"\"\\\\u0041\"", "\\u0041"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct sql_node *node;
        struct sql_nodes *nodes = read_value(rows[i].json, &node);

        assert_string_equal(sql_node_text(node), rows[i].text);
        assert_int_equal(node->n, strlen(rows[i].text));
        sql_nodes_free(nodes);
    }
}

static void numbers_have_64_bits(void **state)
{
    static const struct {
        const char *json;
        int64_t number;
    } rows[] = {
        {"0", 0},
        {"-1", -1},
        {"2147483648", 2147483648},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct sql_node *node;
        struct sql_nodes *nodes = read_value(rows[i].json, &node);

        assert_non_null(node);
        assert_true(sql_node_number(node) == rows[i].number);
        sql_nodes_free(nodes);
    }
}

static void what_is_no_tree_is_refused_with_a_reason(void **state)
{
    static const char *const rows[] = {
        "",
        "[]",
        "1",
        "\"a\"",
        "{",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":1,}",
        "{a:1}",
        "{\"a\":1}}",
        "{\"a\":1} ",
        "{\"a\" :1}",
        "{\"a\":[1,]}",
        "{\"a\":[1}",
        "{\"a\":[1",
        "{\"a\":1]",
        "{\"a\":}",
        "{\"a\":tru}",
        "{\"a\":01}",
        "{\"a\":-}",
        "{\"a\":1.5}",
        "{\"a\":1e3}",
        "{\"a\":9223372036854775808}",
        "{\"a\":-9223372036854775809}",
        "{\"a\":\"",
        "{\"a\":\"\\",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\\ud800\\u0041\"}",
        "{\"a\":\"\\udc00\"}",
        "{\"a\":\"\xff\"}",
        "{\"\xc3\":1}",
        "{\"a\":\"\xed\xa0\x80\"}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *why = NULL;
        struct sql_nodes *nodes = sql_nodes_read_take(mem_strdup(rows[i]), &why);

        if (nodes || !why)
            fail_msg("%s: read", rows[i]);
    }
}

static void nesting_has_a_limit(void **state)
{
    for (size_t depth = SQL_NODE_DEPTH_MAX - 1; depth <= SQL_NODE_DEPTH_MAX; depth++) {
        struct buf json = {0};
        struct sql_nodes *nodes;

        (void)state;
        buf_append_str(&json, "{\"a\":");
        for (size_t i = 1; i < depth; i++)
            buf_append_str(&json, "[");
        for (size_t i = 1; i < depth; i++)
            buf_append_str(&json, "]");
        buf_append_str(&json, "}");
        nodes = read_copy(json.data);
        assert_int_equal(nodes != NULL, depth < SQL_NODE_DEPTH_MAX);
        sql_nodes_free(nodes);
        buf_fini(&json);
    }
}

static void items_and_members_are_found_and_others_are_not(void **state)
{
    struct sql_nodes *nodes = read_copy(
        "{\"kind\":\"x\",\"kinds\":[1,2,{\"b\":true}],\"no\":false,\"it\":null,\"o\":{}}");
    const struct sql_node *root = sql_nodes_root(nodes), *list = sql_node_member(root, "kinds", 5);
    size_t members = 0;
    int64_t sum = 0;

    (void)state;
    assert_string_equal(sql_node_text(sql_node_member(root, "kind", 4)), "x");
    assert_null(sql_node_member(root, "kin", 3));
    assert_null(sql_node_member(list, "kind", 4));
    assert_int_equal(sql_node_size(list), 3);
    assert_int_equal(sql_node_number(sql_node_at(list, 1)), 2);
    assert_true(sql_node_is_true(sql_node_member(sql_node_at(list, 2), "b", 1)));
    assert_false(sql_node_is_true(sql_node_member(root, "no", 2)));
    assert_null(sql_node_at(list, 3));
    assert_null(sql_node_at(root, 0));
    assert_string_equal(sql_node_first(root)->key, "kind");
    assert_null(sql_node_first(list));
    assert_null(sql_node_first(sql_node_member(root, "o", 1)));
    assert_int_equal(sql_node_size(NULL) + sql_node_size(root), 0);
    assert_null(sql_node_text(list));
    SQL_NODE_EACH_MEMBER(member, root)
        members += member->key != NULL;
    SQL_NODE_EACH_ITEM(item, list)
        sum += sql_node_number(item);
    SQL_NODE_EACH_ITEM(item, root)
        fail_msg("an object has no items: %s", item->key);
    assert_int_equal(members, 5);
    assert_int_equal(sum, 3);
    sql_nodes_free(nodes);
}

/* Far more nodes a byte than a parse tree has: what was set aside first does not do. */
static void dense_trees_stay_whole(void **state)
{
    struct buf text = {0};
    struct sql_nodes *nodes;
    json_t *json;

    (void)state;
    buf_append_str(&text, "{\"a\":[0");
    for (int i = 0; i < 20000; i++)
        buf_append_str(&text, i % 100 ? ",1" : ",[],{},[[2,3],4]");
    buf_append_str(&text, "]}");
    json = json_loads(text.data, 0, NULL);
    nodes = read_copy(text.data);
    assert_non_null(json);
    assert_non_null(nodes);
    assert_true(same_tree(sql_nodes_root(nodes), json));
    sql_nodes_free(nodes);
    json_decref(json);
    buf_fini(&text);
}

static void trees_are_what_another_reader_makes_of_them(void **state)
{
    struct buf many = {0};
    const char *rows[] = {
        "SELECT a.*, e'x\\ny\"\\\\\x01 \xc3\xa9', 1.5e10, -3, \"q\"\"x\" FROM t a WHERE id = $1 "
        "AND b",
        "INSERT INTO t VALUES (1, 'a') ON CONFLICT DO NOTHING; MERGE INTO t USING u ON true WHEN "
        "MATCHED THEN DELETE",
        "CREATE FUNCTION f(int) RETURNS int LANGUAGE sql COST 1.5 AS 'SELECT $1'; ALTER TABLE t "
        "ADD c xml DEFAULT '<a/>'",
        "WITH RECURSIVE r AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT * FROM r, LATERAL "
        "(VALUES (1, 2)) v (a)",
        "",
        NULL,
    };

    (void)state;
    buf_append_str(&many, "INSERT INTO t VALUES (0)");
    for (int i = 0; i < 3000; i++)
        buf_printf(&many, ", (%d, '%d')", i, i);
    rows[ARRAY_LEN(rows) - 1] = many.data;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        PgQueryParseResult result = pg_query_parse(rows[i]);
        json_t *json;
        struct sql_nodes *nodes;

        assert_null(result.error);
        json = json_loads(result.parse_tree, JSON_REJECT_DUPLICATES, NULL);
        nodes = read_copy(result.parse_tree);
        assert_non_null(json);
        assert_non_null(nodes);
        assert_true(same_tree(sql_nodes_root(nodes), json));
        sql_nodes_free(nodes);
        json_decref(json);
        pg_query_free_parse_result(result);
    }
    buf_fini(&many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_keep_their_bytes_and_lose_their_escapes),
        cmocka_unit_test(numbers_have_64_bits),
        cmocka_unit_test(what_is_no_tree_is_refused_with_a_reason),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(items_and_members_are_found_and_others_are_not),
        cmocka_unit_test(dense_trees_stay_whole),
        cmocka_unit_test(trees_are_what_another_reader_makes_of_them),
    };

    return cmocka_run_group_tests_name("sql/node", tests, NULL, NULL);
}
