/*
 * What a text does to the state of its session: which prepared statements it names, what becomes of
 * the search path; and the text as a path by itself. First byte: which of the three, and a role.
 */
#include <pg_query.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/buf.h"
#include "segue/sql/named.h"
#include "segue/sql/path.h"
#include "target.h"

static void fail(const char *what, const char *text, size_t len)
{
    fprintf(stderr, "bed: %s: %.*s\n", what, (int)len, text);
    abort();
}

/* Two tables that others are called as, so that a path decides something. */
static struct sql_rules *rules_new(void)
{
    static const char *const columns[] = {"claim", NULL};
    static const char *const schemas[] = {"tenant", "Te\"nant"};
    static const char *const names[] = {"checks", "Checks 2"};
    struct sql_rules *rules = sql_rules_new(1);

    for (size_t i = 0; i < 2; i++)
        sql_rules_add(rules, &(struct sql_table_rule){.migration = "m",
                                                      .schema = "public",
                                                      .name = names[i],
                                                      .old_columns = columns,
                                                      .new_columns = columns + 1,
                                                      .relatives = columns + 1});
    for (size_t i = 0; i < 2; i++)
        sql_rules_add_namesake(rules,
                               &(struct sql_namesake){schemas[i], names[i], columns, 0, NULL});
    sql_rules_set_access(rules, &(struct sql_access){.usage = SQL_USAGE_ALL});
    sql_rules_add_denied(rules, "reader", "tenant");
    return rules;
}

/* The statement by itself must be one, and name the same. */
static void stands_alone(const char *text, size_t len, const struct sql_names *names, size_t i)
{
    const struct sql_named *named = &names->v[i];
    struct buf alone = {0};
    struct sql_names again;

    sql_named_text(text, len, names, i, &alone);
    sql_named_read(alone.data, alone.len, &again);
    if (again.n != 1 || again.v[0].kind != named->kind || strcmp(again.v[0].name, named->name))
        fail("by itself it names another", alone.data, alone.len);
    buf_fini(&alone);
}

static void names(const char *text, size_t len)
{
    struct sql_names read;
    size_t last = 0;

    sql_named_read(text, len, &read);
    if (read.n && !sql_named_may(text, len))
        fail("nobody would have looked for its names", text, len);
    if (read.n && read.v[0].from == 0 && sql_named_first(text, len) && read.statements == 1 &&
        read.v[0].kind == SQL_NAMED_EXECUTE)
        fail("an EXECUTE taken for what changes names", text, len);
    for (size_t i = 0; i < read.n; i++) {
        const struct sql_named *named = &read.v[i];

        if (named->from < last || named->to < named->from || named->to > len ||
            !memchr(named->name, '\0', sizeof(named->name)))
            fail("a statement out of its place", text, len);
        last = named->from;
        stands_alone(text, len, &read, i);
    }
}

static void path(const struct sql_rules *rules, const char *text, size_t len, const char *role)
{
    char *whole = malloc(len + 1);

    memcpy(whole, text, len);
    whole[len] = '\0';
    if (sql_path_class(rules, whole, role) != sql_path_class(rules, whole, role))
        fail("a path of two classes", text, len);
    free(whole);
}

static void moves(const struct sql_rules *rules, const char *text, size_t len, const char *role)
{
    struct sql_path_move move;
    PgQueryParseResult parsed;
    char *whole;

    sql_path_move(text, len, &move);
    if (move.kind == SQL_PATH_STAYS)
        return;
    if (!move.tag)
        fail("a command without a tag", text, len);
    if (!move.known)
        return;
    if (!memchr(move.value, '\0', sizeof(move.value)))
        fail("a value without an end", text, len);
    path(rules, move.value, strlen(move.value), role);
    /* what is taken for certain was understood */
    whole = calloc(1, len + 1);
    memcpy(whole, text, len);
    parsed = pg_query_parse(whole);
    if (parsed.error)
        fail("a value out of a text that is none", text, len);
    pg_query_free_parse_result(parsed);
    free(whole);
}

int fuzz_one(const uint8_t *data, size_t len)
{
    static struct sql_rules *rules;
    static const char *const roles[] = {NULL, "postgres", "reader", "te\"nant"};
    const char *text = (const char *)data + 1;

    if (!rules)
        rules = rules_new();
    if (!len--)
        return 0;
    names(text, len);
    moves(rules, text, len, roles[data[0] & 3]);
    path(rules, text, len, roles[data[0] & 3]);
    return 0;
}

const struct fuzz_seed fuzz_seeds[] = {
    FUZZ_SEED("\1PREPARE p (int, text) AS SELECT * FROM checks WHERE id = $1"),
    FUZZ_SEED("\1BEGIN; PREPARE \"P 1\" AS SELECT ';'; EXECUTE \"P 1\"(1, now()); DEALLOCATE p"),
    FUZZ_SEED("\2EXPLAIN (ANALYZE) CREATE TABLE t AS EXECUTE p('\xc3\xa9'); DISCARD ALL"),
    FUZZ_SEED("\2/* c */ DEALLOCATE PREPARE ALL -- d\n; SELECT U&'\\0061' || $$;$$"),
    FUZZ_SEED("\1SET search_path TO tenant, \"Te\"\"nant\", public"),
    FUZZ_SEED("\2SET LOCAL search_path = 'tenant', DEFAULT; RESET ALL"),
    FUZZ_SEED("\3SELECT set_config('search_path', 'a, b', true), pg_catalog.set_config($1, $2, f)"),
    FUZZ_SEED("\1SET SCHEMA 'tenant'; SET ROLE reader; SET SESSION AUTHORIZATION DEFAULT"),
    FUZZ_SEED("\2ROLLBACK TO SAVEPOINT s; COMMIT AND CHAIN; PREPARE TRANSACTION 'x'"),
    FUZZ_SEED("\3\"$user\", public, pg_temp, \"pg_catalog\" , tenant"),
};
const size_t fuzz_nseeds = sizeof(fuzz_seeds) / sizeof(fuzz_seeds[0]);
