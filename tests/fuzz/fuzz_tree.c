/* JSON into the reader of parse trees. What it accepts means what it means to jansson. */
#include <stdio.h>
#include <stdlib.h>

#include "same_tree.h"
#include "target.h"

int fuzz_one(const uint8_t *data, size_t len)
{
    char *text = malloc(len + 1);
    struct sql_nodes *nodes;
    json_error_t error;
    const char *why;
    json_t *json;

    memcpy(text, data, len);
    text[len] = '\0';
    json = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    nodes = sql_nodes_read_take(text, &why);
    if (nodes && !json && json_error_code(&error) != json_error_duplicate_key) {
        fprintf(stderr, "bed: accepted, but: %s\n", error.text);
        abort();
    }
    if (nodes && json && !same_tree(sql_nodes_root(nodes), json)) {
        fprintf(stderr, "bed: another tree\n");
        abort();
    }
    if (!nodes && !why) {
        fprintf(stderr, "bed: refused without a reason\n");
        abort();
    }
    json_decref(json);
    sql_nodes_free(nodes);
    return 0;
}

const struct fuzz_seed fuzz_seeds[] = {
    FUZZ_SEED(
        "{\"version\":150001,\"stmts\":[{\"stmt\":{\"SelectStmt\":{\"targetList\":[{\"ResTarget\""
        ":{\"val\":{\"A_Const\":{\"ival\":{},\"location\":7}},\"location\":7}}],\"op\":\"SETOP\"}}}"
        "]}"),
    FUZZ_SEED("{\"a\":\"\\\"\\\\\\/"
              "\\b\\f\\n\\r\\t\\u0001\\u00e9\\u20ac\\ud83d\\ude00\xc3\xa9\",\"b\":-1}"),
    FUZZ_SEED("{\"a\":[true,false,null,[],{},\"\",0,-9223372036854775808,9223372036854775807]}"),
    FUZZ_SEED("{\"\":{\"\":{\"\":[[[[[[[[{\"\":[1,[2,[3]]]}]]]]]]]]}}}"),
};
const size_t fuzz_nseeds = sizeof(fuzz_seeds) / sizeof(fuzz_seeds[0]);
