/*
 * A statement into the SQL layer. First byte: the session's side, whether a temporary table may
 * hide one, whether new columns may be read, and what the search path says of a name. What comes
 * out must be what the splices say, and a statement; and what comes of its shape must be the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../proxy/sql/newer.h"
#include "../../proxy/sql/shape.h"
#include "segue/base/buf.h"
#include "segue/sql/head.h"
#include "segue/sql/path.h"
#include "segue/sql/rewrite.h"
#include "target.h"

/* [new columns may not be read yet][an unqualified name needs the search path] */
static struct sql_rules *rules[2][2];

static void fail(const char *what, const struct sql_rewrite *rewrite)
{
    fprintf(stderr, "bed: %s: %.*s\n", what, (int)rewrite->len, rewrite->text ? rewrite->text : "");
    abort();
}

static struct sql_functions *functions_new(void)
{
    static const struct sql_function known[] = {
        {SQL_FUNCTION_TWICE, "lower"},  {SQL_FUNCTION_TWICE, "now"},  {SQL_FUNCTION_ONCE, "random"},
        {SQL_FUNCTION_ONCE, "nextval"}, {SQL_FUNCTION_OPERATOR, "+"}, {SQL_FUNCTION_OPERATOR, "||"},
        {SQL_FUNCTION_OPERATOR, "-"},   {SQL_FUNCTION_CASTS, ""},
    };

    return sql_functions_new(known, sizeof(known) / sizeof(known[0]));
}

static struct sql_rules *rules_new(bool early, bool contested)
{
    static const char *const old_columns[] = {"claim_text", "Old \"n", NULL};
    static const char *const new_columns[] = {"claim", "new", NULL};
    static const char *const relatives[] = {"checks_2026", NULL};
    static const char *const names[] = {"claim", "claim_text", NULL};
    static const struct sql_column_rule columns[] = {
        {"id", SQL_SEEN_BY_BOTH, false},     {"claim_text", SQL_SEEN_BY_OLD, false},
        {"Old \"n", SQL_SEEN_BY_OLD, false}, {"doubled", SQL_SEEN_BY_BOTH, true},
        {"claim", SQL_SEEN_BY_NEW, false},   {"new", SQL_SEEN_BY_NEW, false},
    };
    static const struct sql_twin_rule twins[] = {{"claim_text", "claim"}, {"Old \"n", "new"}};
    struct sql_table_rule rule = {.migration = "m",
                                  .schema = "public",
                                  .name = "checks",
                                  .old_columns = old_columns,
                                  .new_columns = new_columns,
                                  .relatives = relatives,
                                  .columns = columns,
                                  .ncolumns = sizeof(columns) / sizeof(columns[0]),
                                  .twins = twins,
                                  .ntwins = 2,
                                  .early = early};
    struct sql_rules *out = sql_rules_new(1);
    struct sql_functions *functions = functions_new();

    sql_rules_functions(out, functions);
    sql_functions_unref(functions);
    sql_rules_add_partition(
        out, sql_rules_add(out, &rule),
        &(struct sql_partition){"public", "checks_2026", columns, rule.ncolumns - 1, 0, 0});
    rule.name = "Tags é";
    rule.reversed = true;
    sql_rules_add(out, &rule);
    rule.name = "Sold";
    rule.other_name = "orders";
    rule.pairs = twins;
    rule.npairs = 1;
    rule.ntwins = 0;
    sql_rules_add(out, &rule);
    sql_rules_add_namesake(out, &(struct sql_namesake){"public", "notes", names, 0, NULL});
    if (contested)
        sql_rules_add_namesake(out, &(struct sql_namesake){"tenant", "checks", names, 0, NULL});
    sql_rules_set_access(out, &(struct sql_access){.usage = SQL_USAGE_ALL});
    sql_rules_set_database(out, "d");
    sql_rules_set_returning(out, true);
    return out;
}

/* What is not replaced stands where the splices say. */
static void rebuild(const char *text, size_t len, const struct sql_rewrite *rewrite)
{
    size_t from = 0, to = 0;

    for (size_t i = 0; i <= rewrite->nsplices; i++) {
        struct sql_splice end = {.at = (uint32_t)len};
        const struct sql_splice *splice = i < rewrite->nsplices ? &rewrite->splices[i] : &end;

        if (splice->at < from || splice->at + splice->removed > len ||
            to + (splice->at - from) + splice->inserted > rewrite->len ||
            memcmp(text + from, rewrite->text + to, splice->at - from) != 0)
            fail("the splices do not fit", rewrite);
        to += splice->at - from + splice->inserted;
        from = splice->at + splice->removed;
    }
    if (to != rewrite->len)
        fail("the splices end too soon", rewrite);
}

/* Is a splice about nothing but which of two names a table has (proxy/sql/called.c)? Blanks keep it
 * from what stands beside it. */
static bool names_a_table(const char *inserted, size_t len)
{
    static const char *const texts[] = {"", "public.\"Sold\"", "\"Sold\"", "SELECT * FROM",
                                        "AS orders"};

    for (; len > 0 && inserted[0] == ' '; inserted++, len--)
        ;
    for (; len > 0 && inserted[len - 1] == ' '; len--)
        ;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (strlen(texts[i]) == len && memcmp(inserted, texts[i], len) == 0)
            return true;
    return false;
}

/* Where its columns are in doubt, a statement keeps them; not those beside it. */
static void names_alone(const struct sql_rewrite *rewrite)
{
    size_t gained = 0;

    for (size_t i = 0; i < rewrite->nsplices; i++) {
        const struct sql_splice *splice = &rewrite->splices[i];

        if (!names_a_table(rewrite->text + (splice->at + gained), splice->inserted))
            fail("more than names in spite of a doubt", rewrite);
        gained += (size_t)splice->inserted - splice->removed;
    }
}

static void parses(const struct sql_rewrite *rewrite)
{
    struct sql_nodes *nodes = sql_newer_parse(rewrite->text);

    if (!nodes)
        fail("it is no statement any more", rewrite);
    sql_nodes_free(nodes);
}

/* Is that byte of what is sent one that was moved there, or that stands for nothing? */
static bool was_moved(const struct sql_rewrite *rewrite, size_t at)
{
    size_t gained = 0;

    for (size_t i = 0; i < rewrite->nsplices; i++) {
        const struct sql_splice *splice = &rewrite->splices[i];
        size_t begin = splice->at + gained;

        if (at >= begin && at < begin + splice->inserted)
            return splice->moved != 0;
        gained += (size_t)splice->inserted - splice->removed;
    }
    return false;
}

/* Positions stay inside of the client's text; and in order, but for what was moved. */
static void positions(const char *text, size_t len, const struct sql_rewrite *rewrite)
{
    uint32_t last = 0, position = 0;

    for (size_t at = 0; at <= rewrite->len; at++) {
        uint32_t mapped;

        if (at < rewrite->len && ((unsigned char)rewrite->text[at] & 0xC0) == 0x80)
            continue;
        mapped = sql_rewrite_position(rewrite, text, len, ++position);
        if (mapped > len + 1)
            fail("a position outside of the text", rewrite);
        if (was_moved(rewrite, at))
            continue;
        if (mapped < last)
            fail("a position goes astray", rewrite);
        last = mapped;
    }
}

static bool same(const struct sql_rewrite *a, const struct sql_rewrite *b)
{
    return !a->text == !b->text && a->len == b->len && a->nsplices == b->nsplices &&
           a->doubt == b->doubt && a->early == b->early && a->stars == b->stars &&
           a->positional == b->positional && sql_taken_same(a->hides, b->hides) &&
           sql_taken_same(a->makes.certain, b->makes.certain) &&
           sql_taken_same(a->makes.unless_there, b->makes.unless_there) &&
           !memcmp(&a->verdict, &b->verdict, sizeof(a->verdict)) &&
           (!a->text || (!memcmp(a->text, b->text, a->len) &&
                         !memcmp(a->splices, b->splices, a->nsplices * sizeof(*a->splices))));
}

/* Of several literals together the text may be too long to be copied, and the shape not. */
static void by_shape(const struct sql_rules *of, const struct sql_sight_of_session *session,
                     bool folds, const char *text, size_t len, const struct sql_rewrite *want)
{
    struct sql_rewrite of_shape = {0}, got;
    struct sql_shape shape = {0};

    if (len < 1024 && session->rewrites && sql_mentions(of, text, len) &&
        sql_shape_of(&shape, text, len, folds) &&
        sql_mentions(of, shape.text.data, shape.text.len)) {
        sql_rewrite(of, session, shape.text.data, shape.text.len, &of_shape);
        if (!of_shape.doubt && !of_shape.early && sql_shape_fits(&shape, &of_shape)) {
            sql_shape_fill(&shape, &of_shape, text, len, &got);
            if (!same(&got, want))
                fail("by its shape it is another", &got);
            sql_rewrite_fini(&got);
        }
        sql_rewrite_fini(&of_shape);
    }
    sql_shape_fini(&shape);
}

static bool is_statement(const char *text, size_t len)
{
    char *copy = strndup(text, len);
    struct sql_nodes *nodes = strlen(copy) == len ? sql_newer_parse(copy) : NULL;
    bool is = nodes != NULL;

    sql_nodes_free(nodes);
    free(copy);
    return is;
}

/* What a head becomes, and what stands behind it in the client's text, are one statement. */
static void by_head(const struct sql_rules *of, const struct sql_sight_of_session *session,
                    const char *text, size_t len)
{
    struct sql_rewrite head;
    struct sql_head at;
    struct buf whole = {0};

    if (sql_head_find(text, len, &at) != RC_OK || !sql_head_rewrite(of, session, text, &at, &head))
        return;
    rebuild(text, at.row, &head);
    parses(&head);
    positions(text, at.row, &head);
    buf_append(&whole, head.text, head.len);
    buf_append(&whole, text + at.row, len - at.row);
    if (is_statement(text, len) && !is_statement(whole.data, whole.len))
        fail("with what stands behind it it is no statement", &head);
    buf_fini(&whole);
    sql_rewrite_fini(&head);
}

int fuzz_one(const uint8_t *data, size_t len)
{
    const char *text = (const char *)data + 1;
    struct sql_sight_of_session session;
    struct sql_rewrite rewrite;
    struct sql_rules *of;

    if (!rules[0][0])
        for (int i = 0; i < 4; i++)
            rules[i / 2][i % 2] = rules_new(i / 2, i % 2);
    if (!len--)
        return 0;
    of = rules[(data[0] & 16) != 0][(data[0] & 4) != 0];
    session = (struct sql_sight_of_session){.side = (enum sql_side)((data[0] & 3) % 3),
                                            .follows = data[0] & 128,
                                            .rewrites = !(data[0] & 64),
                                            .shadowed = {.old = data[0] & 32 ? 2 : 0}};
    session.path = sql_path_class(of, data[0] & 8 ? "tenant, public" : "public", "app");
    sql_rewrite(of, &session, text, len, &rewrite);
    if (rewrite.text) {
        if (rewrite.early || !session.rewrites)
            fail("a text in spite of a reason for none", &rewrite);
        rebuild(text, len, &rewrite);
        if (rewrite.doubt && !memchr(text, ';', len))
            names_alone(&rewrite);
        parses(&rewrite);
        positions(text, len, &rewrite);
    }
    by_shape(of, &session, false, text, len, &rewrite);
    by_shape(of, &session, true, text, len, &rewrite);
    by_head(of, &session, text, len);
    sql_rewrite_fini(&rewrite);
    return 0;
}

const struct fuzz_seed fuzz_seeds[] = {
    FUZZ_SEED(
        "\1SELECT f(orders), public.orders.*, d.public.orders.id FROM public.orders*JOIN orders o "
        "USING (id)"),
    FUZZ_SEED("\0SELECT (c.*) AS x, coalesce(c, NULL), ROW((c.*)) FROM d.public.checks c"),
    FUZZ_SEED("\1SELECT *, c.*, row_to_json(c) FROM checks c NATURAL JOIN public.checks d"),
    FUZZ_SEED("\2SELECT * FROM \"Tags é\" t, notes WHERE claim_text = 'it''s'"),
    FUZZ_SEED("\1INSERT INTO checks VALUES ($1, $2, DEFAULT), (2, 'x') ON CONFLICT (id) DO UPDATE "
              "SET claim_text = EXCLUDED.claim_text RETURNING *"),
    FUZZ_SEED(
        "\2INSERT INTO checks AS c VALUES (1, E'\\')', $a$)$a$), (2, ')', \"f\"()) RETURNING 1"),
    FUZZ_SEED("\2INSERT INTO public.checks (id, claim) SELECT id, claim FROM notes RETURNING *"),
    FUZZ_SEED("\1UPDATE checks SET (claim_text, \"Old \"\"n\") = (SELECT $$a$$, 'b') FROM notes n "
              "WHERE n.id = checks.id"),
    FUZZ_SEED("\0COPY checks FROM STDIN; COPY public.checks TO STDOUT (FORMAT csv)"),
    FUZZ_SEED("\1WITH c AS (DELETE FROM checks RETURNING *) TABLE c UNION ALL SELECT * FROM "
              "(VALUES (1)) v /* c */ -- d\n"),
    FUZZ_SEED("\x21PREPARE p AS SELECT U&\"\\0063hecks\".* FROM U&\"\\0063hecks\" FOR UPDATE"),
    FUZZ_SEED("\1SELECT * FROM checks_2026 JOIN public.checks USING (id) ORDER BY 1"),
    FUZZ_SEED("\x11SELECT claim FROM checks; EXPLAIN SELECT EXISTS (SELECT * FROM checks k)"),
    FUZZ_SEED(
        "\1INSERT INTO checks (id, claim_text) VALUES (1, 'a'), (2.5e3, 'it''s') RETURNING *;"),
    FUZZ_SEED(
        "\1INSERT INTO checks (id, claim_text) VALUES (1, 'a'), (2, NULL), (-3, 'c'), (4, 'd'), "
        "(5, 'e'), (6, 'f'), (7, 'g'), (8, 'h'), (9, '') ON CONFLICT DO NOTHING"),
    FUZZ_SEED(
        "\1INSERT INTO checks (id, claim_text) VALUES (1, 'a'), (2, 'b'), (-3, 'c'), (4, 'd'), "
        "(5, 'e'), (6, NULL), (7, 'it''s'), (8, 'h'), (9, 'i'), (-10, 'j'), (11, NULL), (12, "
        "'l') ON CONFLICT DO NOTHING"),
    FUZZ_SEED("\1INSERT INTO checks VALUES (1,'a',true),(2,'b',true),(3,'c',true),(4,'d',true),"
              "(5,'e',true),(6,'f',true),(7,'g',true),(8,'h',true),(9,'i',true),(10,'j',true),"
              "(11,'k',true),(12,'l',DEFAULT),(1.5,lower('m'),NULL)"),
    FUZZ_SEED("\5UPDATE checks SET claim_text = lower(claim_text) || random() WHERE id = 1 + 2"),
    FUZZ_SEED(
        "\x0DINSERT INTO checks (id, claim_text) VALUES (nextval('s'), lower('A')), (1, random()) "
        "RETURNING *"),
    FUZZ_SEED("\6SELECT * FROM checks, tenant.checks t WHERE t.claim = claim_text"),
    FUZZ_SEED("\1UPDATE checks SET claim_text = 'x' || -17 WHERE id = 2000000001 AND claim_text = "
              "'2000000000'"),
    FUZZ_SEED("\1MERGE INTO checks c USING notes n ON n.id = c.id WHEN MATCHED THEN UPDATE SET "
              "claim_text = n.claim WHEN NOT MATCHED THEN INSERT (id, claim_text) VALUES (1, 'a')"),
    FUZZ_SEED(
        "\2WITH RECURSIVE c(a) AS (SELECT 1, 2 UNION SELECT c.* FROM c) CYCLE a SET m USING p, d "
        "AS (UPDATE orders SET id = 1 RETURNING *) INSERT INTO checks SELECT c.*, d.* FROM c, d"),
    FUZZ_SEED(
        "\1SELECT orders, public.orders.* FROM public.orders JOIN orders o USING (id) GROUP BY "
        "orders, o.id FOR UPDATE OF o; COPY orders FROM STDIN WHERE orders.id > 1"),
    FUZZ_SEED(
        "\x11MERGE INTO checks c USING (TABLE notes) n ON n.id = c.id WHEN NOT MATCHED BY "
        "SOURCE AND id = 1 THEN DELETE WHEN NOT MATCHED BY TARGET THEN INSERT VALUES (1, 'a') "
        "RETURNING WITH (OLD AS o, NEW AS \"N\") o.*, (SELECT \"N\".id FROM (TABLE checks)), *"),
    FUZZ_SEED("\1SELECT *, 'é' FROM (SELECT * FROM checks), (VALUES (1)), JSON_TABLE('{}', '$' "
              "COLUMNS (a int PATH '$.a')) j; TABLE checks"),
    FUZZ_SEED("\1PREPARE q AS UPDATE \"Sold\" SET (claim_text, id) = (DEFAULT, 1), \"Old \"\"n\" = "
              "DEFAULT; UPDATE checks SET claim = DEFAULT"),
};
const size_t fuzz_nseeds = sizeof(fuzz_seeds) / sizeof(fuzz_seeds[0]);
