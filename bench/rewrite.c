/*
 * What the SQL layer costs a statement, measured by itself. Prints one JSON list: for each
 * statement its name, its bytes, whether it is rewritten, and for each way of measuring the least
 * and the median microseconds of many short batches. bench/rewrite.py makes the table of it.
 *
 *   cached    what a session pays that has sent the text before: search, look up
 *   uncached  search, rewrite, remember, forget another one
 *   literals  of a text that differs from a known one in literals only: search, fill its shape; 0:
 *             it has none
 *   parse     of what is uncached, libpg_query's parser alone
 *
 * Time is the thread's CPU time. Batches of all statements take turns, so that what the machine
 * does meanwhile meets all of them alike. Argument: the number of rounds.
 */
#include <jansson.h>
#include <pg_query.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/base/rc.h"
#include "segue/sql/cache.h"

#define BATCH_NS 200000 /* long against the clock's own 300 ns, short against a time slice */
#define ROUNDS_MAX 10000

/* ---- what is measured: # in a literal stands for a digit that is another each time ---- */

static const struct {
    const char *name, *sql;
} statements[] = {
    {"point SELECT *", "SELECT * FROM accounts WHERE id = $1"},
    {"point SELECT *, literal", "SELECT * FROM accounts WHERE id = 481516#"},
    {"point SELECT, columns", "SELECT id, full_name, mail FROM accounts WHERE id = $1"},
    {"SELECT * ORDER BY LIMIT",
     "SELECT * FROM accounts WHERE org_id = $1 AND state = 'open' ORDER BY created DESC LIMIT 50"},
    {"count(*)", "SELECT count(*) FROM accounts WHERE org_id = $1 AND mail LIKE 'a%'"},
    {"join, bare star",
     "SELECT * FROM accounts a JOIN orders o ON o.account_id = a.id WHERE o.placed > $1"},
    {"join, a.*",
     "SELECT a.*, o.id AS order_id, o.total FROM accounts AS a LEFT JOIN orders AS o ON "
     "o.account_id = a.id AND o.state <> 'void' WHERE a.org_id = $1 ORDER BY a.created"},
    {"sub-select, EXISTS",
     "SELECT a.id, a.full_name FROM accounts a WHERE EXISTS (SELECT * FROM orders o WHERE "
     "o.account_id = a.id AND o.total > 100) AND a.mail IS NOT NULL"},
    {"group by",
     "SELECT org_id, state, count(*), max(created) FROM accounts WHERE created >= now() - "
     "interval '7 days' GROUP BY org_id, state HAVING count(*) > 1 ORDER BY 3 DESC"},
    {"INSERT, list",
     "INSERT INTO accounts (org_id, full_name, mail, phone, state) VALUES ($1, $2, $3, $4, 'new')"},
    {"INSERT, no list",
     "INSERT INTO accounts VALUES (1, 2, 'Ann Lee', 'ann#@example.com', '555', 'new', now())"},
    {"INSERT, 5 rows",
     "INSERT INTO accounts (org_id, full_name, mail) VALUES ($1, $2, $3), ($4, $5, $6), ($7, $8, "
     "$9), ($10, $11, $12), ($13, $14, $15)"},
    {"INSERT RETURNING *",
     "INSERT INTO accounts (org_id, full_name, mail) VALUES ($1, $2, $3) RETURNING *"},
    {"INSERT ON CONFLICT",
     "INSERT INTO accounts (id, full_name, mail) VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE "
     "SET full_name = EXCLUDED.full_name, mail = EXCLUDED.mail RETURNING id"},
    {"INSERT ... SELECT",
     "INSERT INTO accounts (org_id, full_name, mail) SELECT org_id, lower(name), mail FROM "
     "import WHERE batch = $1"},
    {"UPDATE, literals",
     "UPDATE accounts SET full_name = 'Ann Lee', mail = 'ann#@example.com' WHERE id = 481516"},
    {"UPDATE", "UPDATE accounts SET full_name = $1, state = 'open' WHERE id = $2"},
    {"UPDATE, 3 twins",
     "UPDATE accounts SET full_name = $1, mail = lower($2), phone = $3, state = $4 WHERE id = $5 "
     "AND org_id = $6 RETURNING *"},
    {"DELETE", "DELETE FROM accounts WHERE id = ANY ($1) AND org_id = $2"},
    {"CTE",
     "WITH late AS (SELECT account_id, sum(total) AS due FROM orders WHERE paid IS NULL GROUP BY "
     "account_id) SELECT a.*, late.due FROM accounts a JOIN late ON late.account_id = a.id WHERE "
     "late.due > $1"},
    {"CTE that writes",
     "WITH gone AS (DELETE FROM accounts WHERE created < $1 RETURNING *) INSERT INTO archive "
     "SELECT * FROM gone"},
    {"other table, SELECT", "SELECT * FROM orders WHERE account_id = $1 ORDER BY placed DESC"},
    {"other table, INSERT",
     "INSERT INTO orders (account_id, total, placed, state) VALUES ($1, $2, now(), 'new')"},
    {"other table, a word in it", "SELECT accounts_seen FROM stats WHERE day = current_date"},
    {"ORM SELECT, 2 KB", NULL},
    {"other table, ORM, 2 KB", NULL},
    {"INSERT, 1,000 rows", NULL},
};
#define NSTATEMENTS ARRAY_LEN(statements)

/* What an object mapper sends for an object with its parent and three relations. */
static char *orm_select(const char *table)
{
    static const char *const columns[] = {"id", "org_id", "full_name", "mail", "phone", "state"};
    static const char *const more[] = {"orgs", "orders", "addresses", "sessions"};
    char *list = mem_strdup(""), *sql, *longer;

    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        longer = mem_printf("%s%s%s_1.%s AS %s_1_%s", list, *list ? ", " : "", table, columns[i],
                            table, columns[i]);
        free(list);
        list = longer;
    }
    for (size_t t = 0; t < ARRAY_LEN(more); t++)
        for (size_t i = 0; i < 7; i++) {
            longer = mem_printf("%s, %s_%zu.column_%zu AS %s_%zu_column_%zu", list, more[t], t + 2,
                                i, more[t], t + 2, i);
            free(list);
            list = longer;
        }
    sql = mem_printf(
        "SELECT %s FROM %s AS %s_1 JOIN orgs AS orgs_2 ON orgs_2.id = %s_1.org_id LEFT OUTER JOIN "
        "orders AS orders_3 ON orders_3.owner_id = %s_1.id LEFT OUTER JOIN addresses AS "
        "addresses_4 ON addresses_4.owner_id = %s_1.id LEFT OUTER JOIN sessions AS sessions_5 ON "
        "sessions_5.owner_id = %s_1.id WHERE %s_1.state IN ('open', 'held') AND %s_1.mail = $1 "
        "ORDER BY %s_1.id",
        list, table, table, table, table, table, table, table, table, table);
    free(list);
    return sql;
}

/* What a bulk load sends. */
static char *thousand_rows(void)
{
    struct buf sql = {0};

    buf_append_str(&sql, "INSERT INTO accounts (id, mail, state, created) VALUES ");
    for (unsigned i = 0; i < 1000; i++)
        buf_printf(&sql, "%s(%u, 'label #%u', 0, '2026-01-01 00:00:00+00')", i ? ", " : "",
                   400000 + i, 400000 + i);
    return buf_take(&sql);
}

static char *composed(const char *name)
{
    if (strstr(name, "1,000"))
        return thousand_rows();
    return orm_select(strstr(name, "other") ? "things" : "accounts");
}

/* One table in dual write with three plain renames, cold ones beside it. */
static struct sql_rules *rules_new(void)
{
    static const char *const old_columns[] = {"full_name", "mail", "phone", NULL};
    static const char *const new_columns[] = {"display_name", "email", "phone_number", NULL};
    static const char *const relatives[] = {"orders_2026", "contacts", NULL};
    static const char *const named[] = {"mail", NULL};
    static const struct sql_column_rule columns[] = {
        {"id", SQL_SEEN_BY_BOTH, false},          {"org_id", SQL_SEEN_BY_BOTH, false},
        {"full_name", SQL_SEEN_BY_OLD, false},    {"mail", SQL_SEEN_BY_OLD, false},
        {"phone", SQL_SEEN_BY_OLD, false},        {"state", SQL_SEEN_BY_BOTH, false},
        {"created", SQL_SEEN_BY_BOTH, false},     {"updated", SQL_SEEN_BY_BOTH, false},
        {"settings", SQL_SEEN_BY_BOTH, false},    {"notes", SQL_SEEN_BY_BOTH, false},
        {"display_name", SQL_SEEN_BY_NEW, false}, {"email", SQL_SEEN_BY_NEW, false},
        {"phone_number", SQL_SEEN_BY_NEW, false},
    };
    static const struct sql_twin_rule twins[] = {
        {"full_name", "display_name"}, {"mail", "email"}, {"phone", "phone_number"}};
    const struct sql_table_rule rule = {.migration = "accounts",
                                        .schema = "public",
                                        .name = "accounts",
                                        .old_columns = old_columns,
                                        .new_columns = new_columns,
                                        .relatives = relatives,
                                        .columns = columns,
                                        .ncolumns = ARRAY_LEN(columns),
                                        .twins = twins,
                                        .ntwins = ARRAY_LEN(twins)};
    struct sql_rules *rules = sql_rules_new(1);

    sql_rules_add(rules, &rule);
    sql_rules_add_namesake(rules, &(struct sql_namesake){"public", "import", named, 0});
    return rules;
}

/* ---- measuring ---- */

enum way { CACHED, UNCACHED, LITERALS, PARSE, WAYS };
static const char *const way_names[] = {"cached", "uncached", "literals", "parse"};

struct subject {
    const char *name;
    /* [1] differs by a blank: another statement. [2] and [3] by a literal, or not at all */
    char *texts[4];
    size_t lens[4];
    bool literals;
    bool rewritten;
    unsigned batch[WAYS]; /* calls in one */
    double *us[WAYS];     /* a call's, by round */
};

struct bench {
    struct sql_rules *rules;
    struct sql_sight_of_session session;
    struct sql_cache *large; /* hits */
    struct sql_cache *one;   /* has room for one text: a second one misses, and so on */
    struct sql_cache *two;   /* for what texts with other literals have in common as well */
    struct subject subjects[NSTATEMENTS];
};

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* As the session does (proxy/session/look.c): what names no table is not looked up. */
static void look_up(struct bench *b, struct sql_cache *cache, const char *text, size_t len)
{
    if (sql_mentions(b->rules, text, len))
        sql_cache_rewrite(cache, b->rules, &b->session, text, len);
}

static void call(struct bench *b, const struct subject *subject, enum way way, unsigned i)
{
    struct sql_cache *caches[] = {[CACHED] = b->large, [UNCACHED] = b->one, [LITERALS] = b->two};

    if (way == PARSE)
        pg_query_free_parse_result(pg_query_parse(subject->texts[i]));
    else
        look_up(b, caches[way], subject->texts[i], subject->lens[i]);
}

static double batch_us(struct bench *b, const struct subject *subject, enum way way, unsigned calls)
{
    unsigned first = way == LITERALS ? 2 : 0; /* not the text that is remembered for its shape */
    uint64_t began;

    if (way == LITERALS && !subject->literals)
        return 0;
    /* other statements had their turn: it may have to be parsed */
    call(b, subject, way, way == LITERALS ? 0 : 1);
    began = now_ns();
    for (unsigned i = 0; i < calls; i++)
        call(b, subject, way, first + i % 2);
    return (double)(now_ns() - began) / calls / 1000;
}

static char *with_digit(const char *sql, char digit)
{
    char *text = mem_strdup(sql), *at = text;

    while ((at = strchr(at, '#')))
        *at = digit;
    return text;
}

static void prepare(struct bench *b, struct subject *subject, size_t i, size_t rounds)
{
    char *own = statements[i].sql ? NULL : composed(statements[i].name);
    const char *sql = own ? own : statements[i].sql;
    struct sql_rewrite rewrite;

    subject->name = statements[i].name;
    subject->literals = strchr(sql, '#');
    subject->texts[0] = with_digit(sql, '1');
    subject->texts[1] = mem_printf("%s ", subject->texts[0]);
    subject->texts[2] = with_digit(sql, '2');
    subject->texts[3] = with_digit(sql, '3');
    free(own);
    for (size_t t = 0; t < ARRAY_LEN(subject->texts); t++)
        subject->lens[t] = strlen(subject->texts[t]);
    sql_rewrite(b->rules, &b->session, subject->texts[0], subject->lens[0], &rewrite);
    subject->rewritten = rewrite.text != NULL;
    sql_rewrite_fini(&rewrite);
    for (enum way way = 0; way < WAYS; way++) {
        double us = batch_us(b, subject, way, 100);

        subject->batch[way] = 2 + (unsigned)(BATCH_NS / 1000 / (us + 0.001));
        subject->us[way] = mem_calloc(rounds, sizeof(double));
    }
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static json_t *report(const struct subject *subject, size_t rounds)
{
    json_t *out = json_pack("{s:s, s:I, s:b}", "name", subject->name, "bytes",
                            (json_int_t)subject->lens[0], "rewritten", subject->rewritten);

    for (enum way way = 0; way < WAYS; way++) {
        qsort(subject->us[way], rounds, sizeof(double), by_size);
        json_object_set_new(out, way_names[way],
                            json_pack("{s:f, s:f}", "min", subject->us[way][0], "median",
                                      subject->us[way][rounds / 2]));
    }
    return out;
}

int main(int argc, char **argv)
{
    size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    static struct bench b;
    json_t *out = json_array();

    if (rounds == 0 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "rewrite: the argument is a number of rounds, 1 to %d\n", ROUNDS_MAX);
        return 1;
    }
    b.rules = rules_new();
    b.session = (struct sql_sight_of_session){.side = SQL_SIDE_OLD, .rewrites = true};
    b.large = sql_cache_new(4096, 1 << 24);
    b.one = sql_cache_new(1, 1 << 24);
    b.two = sql_cache_new(2, 1 << 24);
    for (size_t i = 0; i < NSTATEMENTS; i++)
        prepare(&b, &b.subjects[i], i, rounds);
    for (size_t round = 0; round < rounds; round++)
        for (size_t i = 0; i < NSTATEMENTS; i++)
            for (enum way way = 0; way < WAYS; way++)
                b.subjects[i].us[way][round] =
                    batch_us(&b, &b.subjects[i], way, b.subjects[i].batch[way]);
    for (size_t i = 0; i < NSTATEMENTS; i++) {
        json_array_append_new(out, report(&b.subjects[i], rounds));
        for (enum way way = 0; way < WAYS; way++)
            free(b.subjects[i].us[way]);
        for (size_t t = 0; t < ARRAY_LEN(b.subjects[i].texts); t++)
            free(b.subjects[i].texts[t]);
    }
    json_dumpf(out, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(5));
    putchar('\n');
    json_decref(out);
    sql_cache_free(b.large);
    sql_cache_free(b.one);
    sql_cache_free(b.two);
    sql_rules_unref(b.rules);
    return 0;
}
