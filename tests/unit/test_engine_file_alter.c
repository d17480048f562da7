/* engine/file_alter.c: operations on columns and constraints that are there. */
#include "file_bed.h"

#define ALTER(rest) OPS("{\"alter_column\": {\"table\": \"t\", \"column\": \"a\"" rest "}}")
#define CREATE(rest) OPS("{\"create_constraint\": {\"table\": \"t\", \"name\": \"c\"" rest "}}")

static void alter_column_reads_every_field(void **state)
{
    struct file *file = load(
        ALTER(", \"name\": \"b\", \"type\": \"text\", \"nullable\": false, \"default\": \"'x'\","
              " \"comment\": null, \"up\": \"coalesce(a, 'x')\", \"down\": \"b\","
              " \"unique\": {\"name\": \"u\", \"nulls_not_distinct\": true},"
              " \"check\": {\"name\": \"k\", \"constraint\": \"b <> ''\"},"
              " \"references\": {\"name\": \"f\", \"table\": \"s.o\", \"column\": \"id\","
              " \"on_delete\": \"cascade\"}"));
    const struct file_op *op = &file->ops[0];

    (void)state;
    assert_int_equal(op->kind, FILE_ALTER_COLUMN);
    assert_string_equal(op->to, "b");
    assert_string_equal(op->type, "text");
    assert_int_equal(op->nullable, FILE_NO);
    assert_string_equal(op->def.to, "'x'");
    assert_true(op->comment.set);
    assert_null(op->comment.to);
    assert_string_equal(op->unique_one->name, "u");
    assert_true(op->unique_one->nulls_not_distinct);
    assert_string_equal(op->check_one->columns.v[0], "b");
    assert_string_equal(op->foreign_one->table.schema, "s");
    assert_string_equal(op->foreign_one->foreign.v[0], "id");
    assert_string_equal(op->foreign_one->on_delete, "CASCADE");
    file_free(file);
}

static void an_expression_that_is_only_the_column_is_none(void **state)
{
    struct file *file =
        load(ALTER(", \"nullable\": false, \"up\": \"\\\"a\\\"\", \"down\": \"a\""));

    (void)state;
    assert_null(file->ops[0].up);
    assert_null(file->ops[0].down);
    file_free(file);
    file = load(CREATE(", \"type\": \"check\", \"check\": \"a > 0\", \"columns\": [\"a\", \"b\"],"
                       " \"up\": {\"a\": \"a\", \"b\": \"abs(b)\"}, \"down\": {\"a\": \"a\"}"));
    assert_int_equal(file->ops[0].ups.n, 2);
    assert_null(file->ops[0].ups.exprs[0]);
    assert_string_equal(file->ops[0].ups.exprs[1], "abs(b)");
    assert_null(file->ops[0].downs.exprs[0]);
    file_free(file);
}

static void what_is_wrong_is_named_with_its_field(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {ALTER(""), "operations[0].alter_column: nothing is to change"},
        {ALTER(", \"name\": \"a\""), "nothing is to change"},
        {ALTER(", \"nullable\": \"no\""), "alter_column.nullable: true or false is wanted"},
        {ALTER(", \"default\": 1"), "alter_column.default: a string is wanted, or null"},
        {ALTER(", \"nullable\": false, \"default\": \"NULL\""), "does not go with"},
        {ALTER(", \"unique\": {}"), "alter_column.unique: field \"name\" is missing"},
        {ALTER(", \"check\": {\"name\": \"c\", \"constraint\": \"(SELECT 1)\"}"),
         "check.constraint: a subquery is not allowed"},
        {ALTER(", \"references\": {\"name\": \"f\", \"table\": \"o\", \"match_type\": \"HALF\"}"),
         "\"HALF\" is not one of SIMPLE, FULL"},
        {CREATE(", \"type\": \"exclusion\""),
         "type: \"exclusion\" is not one of unique, check, foreign_key, primary_key"},
        {CREATE(", \"type\": \"unique\""), "field \"columns\" is missing, which this type needs"},
        {CREATE(", \"type\": \"unique\", \"columns\": [\"a\", \"a\"]"), "stands twice"},
        {CREATE(", \"type\": \"unique\", \"columns\": [\"a\"], \"check\": \"a > 1\""),
         "field \"check\" does not go with this type"},
        {CREATE(", \"type\": \"check\", \"check\": \"a > 1\", \"deferrable\": true"),
         "field \"deferrable\" does not go with this type"},
        {CREATE(", \"type\": \"foreign_key\", \"columns\": [\"a\"], \"references\":"
                " {\"table\": \"o\", \"columns\": [\"x\", \"y\"]}"),
         "1 columns refer to 2"},
        {CREATE(
             ", \"type\": \"unique\", \"columns\": [\"a\"], \"up\": {\"a\": \"sum(a) OVER ()\"}"),
         "up.a: an aggregate or window function is not allowed"},
        {OPS("{\"drop_column\": {\"table\": \"t\", \"column\": \"a\", \"up\": \"1\"}}"),
         "drop_column.up: unknown field; allowed here: table, column, down"},
        {OPS("{\"drop_multicolumn_constraint\": {\"table\": \"t\", \"name\": \"c\", \"down\": "
             "{}}}"),
         "down: an object of 1 to 32 expressions by column is wanted"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct file *file;
        struct err err = {0};

        assert_int_equal(file_load("m.json", rows[i].text, &file, &err), RC_ERR);
        if (!strstr(err.text, rows[i].want))
            fail_msg("row %zu: %s", i, err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alter_column_reads_every_field),
        cmocka_unit_test(an_expression_that_is_only_the_column_is_none),
        cmocka_unit_test(what_is_wrong_is_named_with_its_field),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
