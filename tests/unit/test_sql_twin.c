/* sql/twin.h: what is written must be in the text where the tree says. Here the tree is another
 * text's. */
#include "sql_twins_bed.h"

#include "../../proxy/sql/twin.h"

typedef void pass(struct sql_work *w, const struct rule *table, const struct sql_node *node);

static void insert_columns(struct sql_work *w, const struct rule *table,
                           const struct sql_node *insert)
{
    sql_insert_columns(w, table, insert, 2);
}

static void set_twins(struct sql_work *w, const struct rule *table, const struct sql_node *node)
{
    sql_set_twins(w, NULL, table, node);
}

static void nothing_is_edited(const char *of_tree, const char *kind, const char *text, pass *edit)
{
    const struct sql_sight_of_session session = {.side = SQL_SIDE_OLD, .rewrites = true};
    struct sql_rules *rules = twins_rules(false);
    struct sql_nodes *tree = sql_tree_parse(of_tree, NULL, NULL);
    struct sql_rewrite out = {0};
    struct sql_work w = {rules, &session, text, strlen(text), .out = &out};

    assert_non_null(tree);
    assert_int_equal(sql_tokens_init(&w.tokens, text), RC_OK);
    edit(&w, &rules->tables[0], sql_tree_single(sql_nodes_root(tree), kind));
    if ((w.edits.n > 0) != !strcmp(of_tree, text))
        fail_msg("%s: %zu edits", text, w.edits.n);
    sql_edits_fini(&w.edits);
    sql_tokens_fini(&w.tokens);
    sql_rules_unref(rules);
    sql_nodes_free(tree);
}

static void where_text_and_tree_disagree_nothing_is_edited(void **state)
{
    static const char insert[] = "INSERT INTO t (id, o) VALUES (1, 2)";
    static const char turned[] = "INSERT INTO t (o, id) VALUES (1, 2)";
    static const char select[] = "INSERT INTO t (id, o) SELECT 1, 2";
    static const char update[] = "UPDATE t SET (b, o) = (1, 2)";
    static const char single[] = "UPDATE t SET o = 1";
    static const struct {
        const char *tree, *kind, *text;
        pass *edit;
    } rows[] = {
        {insert, "InsertStmt", "INSERT INTO t (id, o) VALUES (1, 2)", insert_columns},
        {insert, "InsertStmt", "INSERT INTO t (i, d, o) VALUES (1, 2)", insert_columns},
        {insert, "InsertStmt", "INSERT INTO t ( id,o) VALUES (1, 2)", insert_columns},
        {insert, "InsertStmt", "INSERT INTO t (id o)  VALUES (1, 2)", insert_columns},
        {insert, "InsertStmt", "INSERT INTO t (id, o) VALUES (1, 2, 3)", insert_columns},
        {insert, "InsertStmt", "INSERT INTO t (id, o) VALUES (1  2)", insert_columns},
        {insert, "InsertStmt", "INSERT INTO t (id, o) VALUES (1, , 2)", insert_columns},
        {insert, "InsertStmt", "INSERT INTO t (id, o) VALUES (1, 2", insert_columns},
        {insert, "InsertStmt", "INSERT INTO t (id, o) values_(1, 2)", insert_columns},
        {turned, "InsertStmt", "INSERT INTO t (o, id) VALUES (1  2)", insert_columns},
        {select, "InsertStmt", "INSERT INTO t (id, o) SELECT 1, 2", insert_columns},
        {select, "InsertStmt", "INSERT INTO t (id, o) select_ 1  2", insert_columns},
        {update, "UpdateStmt", "UPDATE t SET (b, o) = (1, 2)", set_twins},
        {update, "UpdateStmt", "UPDATE t SET (b, o)=7,(1, 2)", set_twins},
        {update, "UpdateStmt", "UPDATE t SET (b, o) = (1, 2, 3)", set_twins},
        {update, "UpdateStmt", "UPDATE t SET (b, o) < (1, 2)", set_twins},
        {single, "UpdateStmt", "UPDATE t SET o = 1", set_twins},
        {single, "UpdateStmt", "UPDATE t SET o < 1", set_twins},
        {single, "UpdateStmt", "UPDATE t SET o =", set_twins},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        nothing_is_edited(rows[i].tree, rows[i].kind, rows[i].text, rows[i].edit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_text_and_tree_disagree_nothing_is_edited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
