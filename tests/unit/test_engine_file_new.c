/* engine/file_new.c: add_column, create_table, create_index. */
#include "file_bed.h"

#define ADD(rest)                                                                                  \
    OPS("{\"add_column\": {\"table\": \"t\", \"column\": {\"name\": \"c\", " rest "}}")
#define INDEX(columns)                                                                             \
    OPS("{\"create_index\": {\"name\": \"i\", \"table\": \"t\", \"columns\": " columns "}}")
#define TABLE(columns, rest)                                                                       \
    OPS("{\"create_table\": {\"name\": \"n\", \"columns\": [" columns "]" rest "}}")
#define AB "{\"name\": \"a\", \"type\": \"int\"}, {\"name\": \"b\", \"type\": \"int\"}"
#define ON_AB(constraint)                                                                          \
    TABLE(AB, ", \"constraints\": [{\"name\": \"k\", \"type\": " constraint "}]")

static void create_table_reads_every_field_of_columns(void **state)
{
    struct file *file = load(
        TABLE("{\"name\": \"id\", \"type\": \"int\", \"pk\": true, \"generated\":"
              " {\"identity\": {\"user_specified_values\": \"by default\","
              " \"sequence_options\": \"START WITH 5\"}}},"
              "{\"name\": \"b\", \"type\": \"int\", \"nullable\": true, \"check\":"
              " {\"name\": \"positive\", \"constraint\": \"b > 0\", \"no_inherit\": true},"
              " \"references\": {\"name\": \"fk\", \"table\": \"s.o\", \"column\": \"x\","
              " \"on_delete\": \"set null\", \"on_update\": \"cascade\","
              " \"match_type\": \"full\", \"deferrable\": true}},"
              "{\"name\": \"c\", \"type\": \"int\", \"generated\": {\"expression\": \"b + 1\"}},"
              "{\"name\": \"d\", \"type\": \"int\", \"generated\":"
              " {\"expression\": \"b + 2\", \"virtual\": true}},"
              "{\"name\": \"e\", \"type\": \"int\", \"generated\": {\"identity\": {}}}",
              ", \"comment\": \"it's\""));
    const struct file_op *op = &file->ops[0];
    const struct file_constraint *check = op->columns[1].ones[FILE_CHECK];
    const struct file_constraint *foreign = op->columns[1].ones[FILE_FOREIGN_KEY];

    (void)state;
    assert_string_equal(op->comment.to, "it's");
    assert_true(op->columns[0].pk && op->columns[0].identity && !op->columns[0].generated);
    assert_string_equal(op->columns[0].identity_for, "BY DEFAULT");
    assert_string_equal(op->columns[0].sequence, "START WITH 5");
    assert_true(check->kind == FILE_CHECK && check->no_inherit);
    assert_string_equal(check->name, "positive");
    assert_string_equal(check->check, "b > 0");
    assert_string_equal(check->columns.v[0], "b");
    assert_int_equal(foreign->kind, FILE_FOREIGN_KEY);
    assert_string_equal(foreign->name, "fk");
    assert_string_equal(foreign->table.schema, "s");
    assert_string_equal(foreign->foreign.v[0], "x");
    assert_string_equal(foreign->on_delete, "SET NULL");
    assert_string_equal(foreign->on_update, "CASCADE");
    assert_string_equal(foreign->match, "FULL");
    assert_true(foreign->deferrable && !foreign->initially_deferred);
    assert_string_equal(op->columns[2].generated, "b + 1");
    assert_false(op->columns[2].computed);
    assert_true(op->columns[3].computed);
    assert_true(op->columns[4].identity);
    assert_null(op->columns[4].identity_for);
    file_free(file);
}

static void create_table_reads_every_kind_of_constraint(void **state)
{
    struct file *file = load(TABLE(
        AB, ", \"constraints\": ["
            "{\"name\": \"u\", \"type\": \"unique\", \"columns\": [\"a\"], \"deferrable\": true,"
            " \"initially_deferred\": true, \"nulls_not_distinct\": true, \"index_parameters\":"
            " {\"tablespace\": \"fast\", \"storage_parameters\": \"fillfactor = 70\","
            " \"include_columns\": [\"b\"]}},"
            "{\"name\": \"p\", \"type\": \"primary_key\", \"columns\": [\"b\", \"a\"]},"
            "{\"name\": \"c\", \"type\": \"check\", \"check\": \"a < b\"},"
            "{\"name\": \"f\", \"type\": \"foreign_key\", \"columns\": [\"a\", \"b\"],"
            " \"references\": {\"name\": \"f\", \"table\": \"o\", \"columns\": [\"x\", \"y\"],"
            " \"on_delete\": \"SET DEFAULT\", \"on_delete_set_columns\": [\"b\"]}},"
            "{\"name\": \"e\", \"type\": \"exclude\", \"exclude\": {\"index_method\": \"gist\","
            " \"elements\": \"a WITH =\", \"predicate\": \"b > 0\"}}]"));
    const struct file_constraint *c = file->ops[0].constraints;

    (void)state;
    assert_int_equal(file->ops[0].nconstraints, 5);
    assert_true(c[0].deferrable && c[0].initially_deferred && c[0].nulls_not_distinct);
    assert_string_equal(c[0].tablespace, "fast");
    assert_string_equal(c[0].parameters, "fillfactor = 70");
    assert_string_equal(c[0].include.v[0], "b");
    assert_true(c[1].kind == FILE_PRIMARY_KEY && c[1].columns.n == 2);
    assert_string_equal(c[2].check, "a < b");
    assert_string_equal(c[3].foreign.v[1], "y");
    assert_string_equal(c[3].on_delete, "SET DEFAULT");
    assert_string_equal(c[3].set_columns.v[0], "b");
    assert_int_equal(c[4].kind, FILE_EXCLUDE);
    assert_string_equal(c[4].method, "gist");
    assert_string_equal(c[4].elements, "a WITH =");
    assert_string_equal(c[4].predicate, "b > 0");
    file_free(file);
}

static void columns_of_an_index_are_a_list_or_an_object_in_its_order(void **state)
{
    static const char *const texts[] = {
        INDEX(
            "[{\"column\": \"z\", \"collate\": \"s.C\", \"sort\": \"desc\", \"nulls\": \"last\","
            " \"opclass\": {\"name\": \"ops\", \"params\": [\"siglen=32\", \"x = 'y'\"]}}, \"a\"],"
            " \"storage_parameters\": \"fillfactor = 70\""),
        INDEX("{\"z\": {\"collate\": \"s.C\", \"sort\": \"desc\", \"nulls\": \"last\","
              " \"opclass\": {\"name\": \"ops\", \"params\": [\"siglen=32\", \"x = 'y'\"]}}, "
              "\"a\": {},"
              " \"m\": null}, \"storage_parameters\": \"fillfactor = 70\""),
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct file *file = load(texts[i]);
        const struct file_op *op = &file->ops[0];

        assert_int_equal(op->nkeys, i + 2);
        assert_int_equal(op->keys_by_name, i);
        assert_string_equal(op->keys[0].column, "z");
        assert_string_equal(op->keys[0].collation.schema, "s");
        assert_string_equal(op->keys[0].collation.name, "C");
        assert_string_equal(op->keys[0].sort, "DESC");
        assert_string_equal(op->keys[0].nulls, "LAST");
        assert_string_equal(op->keys[0].opclass.name, "ops");
        assert_string_equal(op->keys[0].params, "siglen=32, x = 'y'");
        assert_string_equal(op->keys[1].column, "a");
        assert_null(op->keys[1].sort);
        assert_string_equal(op->parameters, "fillfactor = 70");
        file_free(file);
    }
}

static void an_added_key_gets_the_name_that_postgresql_would_give(void **state)
{
    struct file *file = load(ADD("\"type\": \"bigserial\", \"pk\": true}"));

    (void)state;
    assert_string_equal(file->ops[0].key_one->name, "t_pkey");
    assert_string_equal(file->ops[0].key_one->columns.v[0], "c");
    assert_int_equal(file->ops[0].key_one->kind, FILE_PRIMARY_KEY);
    file_free(file);
}

static void what_is_wrong_is_named_with_its_field_and_a_hint(void **state)
{
    static const struct {
        const char *text, *want, *hint; /* NULL: the text says it all */
    } rows[] = {
        {ADD("\"type\": \"int\", \"generated\": {\"identity\": {}}}"),
         "add_column.column.generated.identity: PostgreSQL would number", "let the type be"},
        {ADD("\"type\": \"int\", \"generated\": {\"expression\": \"1\"}}"),
         "add_column.column.generated.expression: PostgreSQL would compute", "\"virtual\": true"},
        {ADD("\"type\": \"int\", \"generated\": {\"expression\": \"1\", \"virtual\": true}}"),
         "column.generated: NOT NULL of a virtual column", "\"check\""},
        {ADD("\"type\": \"int\", \"nullable\": true, \"pk\": true, \"generated\":"
             " {\"expression\": \"1\", \"virtual\": true}}"),
         "column.pk: PostgreSQL has no keys", "stored"},
        {ADD("\"type\": \"int\", \"nullable\": true, \"unique\": true, \"generated\":"
             " {\"expression\": \"1\", \"virtual\": true}}"),
         "column.unique: PostgreSQL has no keys", "stored"},
        {ADD("\"type\": \"int\", \"nullable\": true, \"generated\":"
             " {\"expression\": \"1\", \"virtual\": true}}, \"up\": \"1\""),
         "add_column.up: a virtual column has no values", "leave it out"},
        {ADD("\"type\": \"int\", \"default\": \"1\", \"generated\": {\"expression\": \"1\"}}"),
         "\"default\" and \"generated\" do not go together", NULL},
        {ADD("\"type\": \"serial\", \"default\": \"1\"}"), "column.default: a column that counts",
         "leave the default out"},
        {ADD("\"type\": \"serial\"}, \"up\": \"1\""), "add_column.up: a column that counts",
         "integer type"},
        {ADD("\"type\": \"SERIAL\", \"nullable\": true}"), "column.nullable: a column that counts",
         "leave it out"},
        {ADD("\"type\": \"int\", \"pk\": true, \"nullable\": true}"),
         "is NOT NULL and has neither default nor up", "a \"default\", or \"up\""},
        {ADD("\"type\": \"int\", \"generated\": {}}"), "one of \"expression\" and \"identity\"",
         NULL},
        {TABLE("{\"name\": \"a\", \"type\": \"int\", \"generated\": {\"identity\": {},"
               " \"expression\": \"1\"}}",
               ""),
         "columns[0].generated: one of \"expression\" and \"identity\"", NULL},
        {TABLE("{\"name\": \"a\", \"type\": \"int\", \"generated\": {\"identity\": {},"
               " \"virtual\": true}}",
               ""),
         "\"virtual\" goes with \"expression\" only", NULL},
        {TABLE("{\"name\": \"a\", \"type\": \"bigserial\", \"generated\": {\"identity\": {}}}", ""),
         "a column of type bigserial counts already", "bigint"},
        {TABLE("{\"name\": \"a\", \"type\": \"int\", \"generated\": {\"identity\":"
               " {\"sequence_options\": \"RESTART\"}}}",
               ""),
         "generated.identity.sequence_options: option \"restart\"", "START"},
        {TABLE("{\"name\": \"a\", \"type\": \"int\", \"generated\": {\"identity\":"
               " {\"user_specified_values\": \"NEVER\"}}}",
               ""),
         "\"NEVER\" is not one of ALWAYS, BY DEFAULT", NULL},
        {TABLE("{\"name\": \"a\", \"type\": \"int\", \"references\": {\"table\": \"o\"}}", ""),
         "columns[0].references: field \"column\" is missing", NULL},
        {TABLE("{\"name\": \"a\", \"type\": \"int\", \"references\": {\"table\": \"o\","
               " \"column\": [\"x\", \"y\"]}}",
               ""),
         "one column refers to one", "\"constraints\""},
        {TABLE("{\"name\": \"a\", \"type\": \"int\", \"check\": {\"name\": \"k\", \"constraint\":"
               " \"a > 1\"}}, {\"name\": \"b\", \"type\": \"int\", \"check\": {\"name\": \"k\","
               " \"constraint\": \"b > 1\"}}",
               ""),
         "columns[1].check.name: two constraints are called \"k\"", NULL},
        {TABLE("{\"name\": \"a\", \"type\": \"int\", \"pk\": true}",
               ", \"constraints\": [{\"name\": \"k\", \"type\": \"primary_key\","
               " \"columns\": [\"a\"]}]"),
         "create_table: a table has one primary key", "say it once"},
        {TABLE("{\"name\": \"a\", \"type\": \"int\", \"check\": {\"name\": \"k\", \"constraint\":"
               " \"a > 1\"}}",
               ", \"constraints\": [{\"name\": \"k\", \"type\": \"check\", \"check\": \"a > 2\"}]"),
         "constraints[0].name: another constraint", "choose another name"},
        {TABLE(AB, ", \"constraints\": {}"), "constraints: a list of at most 256", NULL},
        {ON_AB("\"unique\""), "constraints[0]: field \"columns\" is missing", NULL},
        {ON_AB("\"unique\", \"columns\": [\"a\", \"z\"]"),
         "constraints[0].columns[1]: the table has no column \"z\"", "name one of \"columns\""},
        {ON_AB("\"unique\", \"columns\": [\"a\"], \"index_parameters\":"
               " {\"include_columns\": [\"z\"]}"),
         "index_parameters.include_columns[0]: the table has no column \"z\"", "name one"},
        {ON_AB("\"unique\", \"columns\": [\"a\"], \"index_parameters\":"
               " {\"storage_parameters\": \"fillfactor 70\"}"),
         "index_parameters.storage_parameters: syntax error", NULL},
        {ON_AB("\"unique\", \"columns\": [\"a\"], \"no_inherit\": true"),
         "field \"no_inherit\" does not go with this type", NULL},
        {ON_AB("\"primary_key\", \"columns\": [\"a\"], \"nulls_not_distinct\": true"),
         "field \"nulls_not_distinct\" does not go with this type", NULL},
        {ON_AB("\"check\", \"check\": \"a > 1\", \"index_parameters\": {\"tablespace\": \"x\"}"),
         "field \"index_parameters\" does not go with this type", NULL},
        {ON_AB("\"exclude\", \"columns\": [\"a\"], \"exclude\": {\"elements\": \"a WITH =\"}"),
         "field \"columns\" does not go with this type", NULL},
        {ON_AB("\"exclude\""), "field \"exclude\" is missing", NULL},
        {ON_AB("\"exclude\", \"exclude\": {\"elements\": \"a\"}"), "exclude.elements: syntax error",
         NULL},
        {ON_AB("\"foreign_key\", \"columns\": [\"a\"], \"references\": {\"table\": \"o\"}"),
         "constraints[0]: field \"references.columns\" is missing", NULL},
        {ON_AB("\"foreign_key\", \"columns\": [\"a\"], \"references\": {\"table\": \"o\","
               " \"columns\": [\"x\"], \"on_delete_set_columns\": [\"a\"]}"),
         "\"on_delete_set_columns\" goes with \"on_delete\"", NULL},
        {ON_AB("\"foreign_key\", \"columns\": [\"a\"], \"references\": {\"table\": \"o\","
               " \"columns\": [\"x\"], \"on_delete\": \"SET NULL\","
               " \"on_delete_set_columns\": [\"b\"]}"),
         "names column \"b\", which is none of \"columns\"", NULL},
        {ON_AB("\"foreign_key\", \"columns\": [\"a\"], \"references\": {\"table\": \"o\","
               " \"columns\": [\"x\"], \"match_type\": \"partial\"}"),
         "references.match_type: PostgreSQL has no MATCH PARTIAL", "FULL"},
        {ON_AB("\"foreign_key\", \"columns\": [\"a\"], \"references\": {\"name\": \"other\","
               " \"table\": \"o\", \"columns\": [\"x\"]}"),
         "it has two names: \"k\" and \"other\"", "leave it out"},
        {OPS("{\"create_constraint\": {\"table\": \"t\", \"name\": \"k\", \"type\": \"exclude\","
             " \"exclude\": {\"elements\": \"a WITH =\"}}}"),
         "operations[0].create_constraint: an exclusion constraint of a table that is in use",
         "create_table"},
        {INDEX("{}"), "create_index.columns: a list of 1 to 32 columns is wanted, or an object",
         NULL},
        {INDEX("{\"a\": \"desc\"}"), "create_index.columns.a: an object with the fields collate",
         NULL},
        {INDEX("{\"a\": {\"column\": \"b\"}}"), "columns.a.column: unknown field", NULL},
        {INDEX("[{\"column\": \"a\", \"nulls\": \"middle\"}]"), "is not one of FIRST, LAST", NULL},
        {INDEX("[{\"column\": \"a\", \"opclass\": {\"params\": [\"x=1\"]}}]"),
         "columns[0].opclass: field \"name\" is missing", NULL},
        {INDEX("[{\"column\": \"a\", \"opclass\": {\"name\": \"o\", \"params\": [\"x=1)\"]}}]"),
         "columns[0].opclass.params[0]: ", NULL},
        {INDEX("[\"a\"], \"storage_parameters\": \"fillfactor\\n= 70) WHERE (true\""),
         "create_index.storage_parameters: ", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct file *file = NULL;
        struct err err = {0};

        if (file_load("m.json", rows[i].text, &file, &err) == RC_OK)
            fail_msg("accepted: %s", rows[i].text);
        if (!strstr(err.text, rows[i].want) || (rows[i].hint && !strstr(err.hint, rows[i].hint)))
            fail_msg("%s\n  gives: %s\n  hint:  %s\n  not:   %s", rows[i].text, err.text, err.hint,
                     rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create_table_reads_every_field_of_columns),
        cmocka_unit_test(create_table_reads_every_kind_of_constraint),
        cmocka_unit_test(columns_of_an_index_are_a_list_or_an_object_in_its_order),
        cmocka_unit_test(an_added_key_gets_the_name_that_postgresql_would_give),
        cmocka_unit_test(what_is_wrong_is_named_with_its_field_and_a_hint),
    };

    return cmocka_run_group_tests_name("engine/file_new", tests, NULL, NULL);
}
