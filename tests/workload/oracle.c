/*
 * The oracle: journals against the database, in SQL of its own. What the journals say is loaded
 * into a temporary table, one line for each state a key may have (one, unless a write was in
 * doubt); a key is right when one of its states is what the tables hold.
 *
 * It shares nothing with segue: text that is not JSON is found here by a function of the session.
 */
#include "workload.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/base/utf8.h"

#define SHOWN_MAX 5
#define SNAPSHOT "workload_oracle.checks_before"

static const char prepare_sql[] =
    "SET client_min_messages = warning; SET work_mem = '128MB';"
    "CREATE FUNCTION pg_temp.as_jsonb(t text) RETURNS jsonb LANGUAGE plpgsql STRICT AS $f$ BEGIN "
    "RETURN t::jsonb; EXCEPTION WHEN others THEN "
    "RETURN jsonb_build_object('segue_invalid_json', t); END $f$;"
    "CREATE FUNCTION pg_temp.as_text(j jsonb) RETURNS text LANGUAGE sql STRICT AS $f$ "
    "SELECT CASE WHEN jsonb_typeof(j) = 'object' AND j ? 'segue_invalid_json' "
    "AND j - 'segue_invalid_json' = '{}' THEN j ->> 'segue_invalid_json' ELSE j::text END $f$;"
    "CREATE TEMP TABLE prefix (prefix text);"
    "CREATE TEMP TABLE state (kind text, key text, present boolean, rev text, claim text, "
    "config text, counts text, prob float8, value bigint)";

/* A first write that was in doubt may have left a seeded row as it was. */
static const char seeded_sql[] =
    "UPDATE state AS s SET present = true, rev = 'old', claim = b.claim, config = b.config, "
    "counts = b.counts FROM " SNAPSHOT " AS b WHERE s.kind = 'checks' AND s.rev = 'before' "
    "AND b.run_id = s.key";

/* Derived once: what each column must hold. */
static const char derive_sql[] =
    "CREATE TEMP TABLE want AS SELECT key, present, claim, prob, "
    "CASE rev WHEN 'old' THEN config ELSE pg_temp.as_text(config::jsonb) END AS old_config, "
    "CASE rev WHEN 'old' THEN counts ELSE pg_temp.as_text(counts::jsonb) END AS old_counts, "
    "pg_temp.as_jsonb(config) AS new_config, pg_temp.as_jsonb(counts) AS new_counts "
    "FROM state WHERE kind = 'checks'; CREATE INDEX ON want (key); ANALYZE want;"
    "CREATE INDEX ON state (kind, key); ANALYZE state";

#define OLD_SAME                                                                                   \
    "(c.claim_text, c.aggregation, c.diagnostics) IS NOT DISTINCT FROM "                           \
    "(w.claim, w.old_config, w.old_counts)"
#define NEW_SAME                                                                                   \
    "(c.claim, c.config_json, c.counts_by_template_json) IS NOT DISTINCT FROM "                    \
    "(w.claim, w.new_config, w.new_counts)"

/* Keys of which no state is what the table holds. */
#define CHECKS_BAD(SAME)                                                                           \
    "SELECT k.key, to_jsonb(c)::text FROM (SELECT DISTINCT key FROM want) AS k "                   \
    "LEFT JOIN checks AS c ON c.run_id = k.key WHERE NOT EXISTS (SELECT FROM want AS w "           \
    "WHERE w.key = k.key AND w.present = (c.run_id IS NOT NULL) AND (NOT w.present OR "            \
    "(" SAME " AND (w.prob IS NULL OR c.prob_true_rpl = w.prob))))"

#define VALUES_BAD(KIND, TABLE, KEY, VALUE)                                                        \
    "SELECT k.key, t." VALUE "::text FROM (SELECT DISTINCT key FROM state WHERE kind = '" KIND     \
    "') AS k LEFT JOIN " TABLE " AS t ON t." KEY " = k.key WHERE NOT EXISTS (SELECT FROM state "   \
    "AS s WHERE s.kind = '" KIND "' AND s.key = k.key AND s.present = (t." KEY " IS NOT NULL) "    \
    "AND (NOT s.present OR s.value = t." VALUE "))"

#define EXTRA(TABLE, KEY, KIND)                                                                    \
    "SELECT t." KEY ", 'in no journal' FROM " TABLE " AS t JOIN prefix AS p "                      \
    "ON starts_with(t." KEY ", p.prefix) WHERE NOT EXISTS (SELECT FROM state AS s "                \
    "WHERE s.kind = '" KIND "' AND s.key = t." KEY ")"

#define SEEDED_BAD(SAME)                                                                           \
    "SELECT b.run_id, coalesce(to_jsonb(c)::text, 'the row is gone') FROM " SNAPSHOT " AS b "      \
    "LEFT JOIN checks AS c USING (run_id) WHERE NOT EXISTS (SELECT FROM want AS w "                \
    "WHERE w.key = b.run_id) AND (c.run_id IS NULL OR " SAME " IS DISTINCT FROM true)"

#define OF_CHECKS "SELECT count(DISTINCT key) FROM want"
#define OF_KIND(KIND) "SELECT count(DISTINCT key) FROM state WHERE kind = '" KIND "'"
#define OF_SEEDED                                                                                  \
    "SELECT count(*) FROM " SNAPSHOT " AS b WHERE NOT EXISTS (SELECT FROM want AS w "              \
    "WHERE w.key = b.run_id)"

struct comparison {
    const char *title;
    unsigned needs;    /* WL_OLD, WL_NEW: columns that must exist; with == only this schema */
    const char *table; /* skipped when it does not exist; NULL: always there */
    const char *total; /* SQL: how many are compared; NULL: not shown */
    const char *bad;   /* SQL: key and what was found, of those that are wrong */
};

static const struct comparison comparisons[] = {
    {"checks, old columns", WL_OLD, NULL, OF_CHECKS, CHECKS_BAD(OLD_SAME)},
    {"checks, new columns", WL_NEW, NULL, OF_CHECKS, CHECKS_BAD(NEW_SAME)},
    {"checks, both at once", WL_BOTH, NULL, OF_CHECKS, CHECKS_BAD(OLD_SAME " AND " NEW_SAME)},
    {"checks, extra rows", 0, NULL, NULL, EXTRA("checks", "run_id", "checks")},
    {"seeded rows, old columns", WL_OLD, SNAPSHOT, OF_SEEDED,
     SEEDED_BAD("((c.claim_text, c.aggregation, c.diagnostics) IS NOT DISTINCT FROM "
                "(b.claim, b.config, b.counts))")},
    {"seeded rows, new columns", WL_NEW, SNAPSHOT, OF_SEEDED,
     SEEDED_BAD("((c.claim, c.config_json, c.counts_by_template_json) IS NOT DISTINCT FROM "
                "(b.claim, pg_temp.as_jsonb(b.config), pg_temp.as_jsonb(b.counts)))")},
    {"usage_ledger", 0, NULL, OF_KIND("ledger"),
     VALUES_BAD("ledger", "usage_ledger", "entry", "delta")},
    {"usage_ledger, extra rows", 0, NULL, NULL, EXTRA("usage_ledger", "entry", "ledger")},
    {"users", 0, NULL, OF_KIND("user"), VALUES_BAD("user", "users", "email", "checks_used")},
    {"anonymous_usage", WL_NEW, "anonymous_usage", OF_KIND("anon"),
     VALUES_BAD("anon", "anonymous_usage", "token", "checks_used")},
    {"anonymous_usage, extra rows", WL_NEW, "anonymous_usage", NULL,
     EXTRA("anonymous_usage", "token", "anon")},
};

/* ---- database ---- */

static PGconn *open_conn(const char *url)
{
    const char *const keys[] = {"dbname", "application_name", "client_encoding", NULL};
    const char *const values[] = {url, "workload-oracle", "UTF8", NULL};
    PGconn *conn = PQconnectdbParams(keys, values, 1);

    if (PQstatus(conn) == CONNECTION_OK)
        return conn;
    fprintf(stderr, "workload: %s", PQerrorMessage(conn));
    PQfinish(conn);
    return NULL;
}

/* NULL when it failed (told). */
static PGresult *query(PGconn *conn, const char *sql)
{
    PGresult *res = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(res);

    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_COPY_IN)
        return res;
    fprintf(stderr, "workload: %sin: %.300s\n", PQerrorMessage(conn), sql);
    PQclear(res);
    return NULL;
}

static bool command(PGconn *conn, const char *sql)
{
    PGresult *res = query(conn, sql);

    PQclear(res);
    return res != NULL;
}

static char *value_of(PGconn *conn, const char *sql)
{
    PGresult *res = query(conn, sql);
    char *value = res && PQntuples(res) ? mem_strdup(PQgetvalue(res, 0, 0)) : NULL;

    PQclear(res);
    return value;
}

static bool exists(PGconn *conn, const char *table)
{
    char *sql = mem_printf("SELECT to_regclass('%s')", table);
    char *found = value_of(conn, sql);
    bool there = found && found[0];

    free(found);
    free(sql);
    return there;
}

int wl_snapshot(const char *url)
{
    PGconn *conn = open_conn(url);

    if (!conn)
        return 2;
    bool ok = command(conn, "SET client_min_messages = warning;"
                            "CREATE SCHEMA IF NOT EXISTS workload_oracle;"
                            "DROP TABLE IF EXISTS " SNAPSHOT ";"
                            "CREATE TABLE " SNAPSHOT " AS SELECT run_id, claim_text AS claim, "
                            "aggregation AS config, diagnostics AS counts FROM checks "
                            "WHERE run_id IS NOT NULL; ANALYZE " SNAPSHOT);
    char *rows = ok ? value_of(conn, "SELECT count(*) FROM " SNAPSHOT) : NULL;
    if (rows)
        printf("workload: %s rows kept in " SNAPSHOT "\n", rows);
    free(rows);
    PQfinish(conn);
    return ok ? 0 : 2;
}

/* ---- journals ---- */

struct replay {
    json_t *states;   /* "kind key": array of journal lines, one of which must be so */
    json_t *prefixes; /* array of strings */
    long lines;
};

static bool replay_line(struct replay *r, const char *text)
{
    json_t *line = json_loads(text, 0, NULL);
    const char *kind = json_string_value(json_object_get(line, "t"));
    const char *fact = json_string_value(json_object_get(line, "f"));
    const char *key = json_string_value(json_object_get(line, "k"));

    if (kind && strcmp(kind, "start") == 0) {
        json_array_append(r->prefixes, json_object_get(line, "prefix"));
        json_decref(line);
        return true;
    }
    if (!kind || !fact || !key) {
        json_decref(line);
        return false;
    }
    char *name = mem_printf("%s %s", kind, key);
    json_t *alternatives = json_object_get(r->states, name);
    bool maybe = strncmp(fact, "maybe", 5) == 0;
    r->lines++;
    if (!alternatives) {
        alternatives = json_array();
        json_object_set_new(r->states, name, alternatives);
        /* before there was no row, or a seeded one */
        if (maybe)
            json_array_append_new(alternatives, json_pack("{s:s, s:s, s:s, s:s}", "t", kind, "f",
                                                          "gone", "k", key, "r", "before"));
    }
    if (!maybe)
        json_array_clear(alternatives);
    json_array_append_new(alternatives, line);
    free(name);
    return true;
}

static bool replay_file(struct replay *r, const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t cap = 0;
    bool ok = true;

    if (!file) {
        fprintf(stderr, "workload: %s: %s\n", path, strerror(errno));
        return false;
    }
    for (long n = 1; ok && getline(&text, &cap, file) > 0; n++) {
        ok = replay_line(r, text);
        if (!ok)
            fprintf(stderr, "workload: %s:%ld: not a journal line\n", path, n);
    }
    free(text);
    fclose(file);
    return ok;
}

static void csv_field(struct buf *buf, const char *s, char end)
{
    if (s) {
        buf_append_u8(buf, '"');
        for (; *s; s++) {
            if (*s == '"')
                buf_append_u8(buf, '"');
            buf_append_u8(buf, (uint8_t)*s);
        }
        buf_append_u8(buf, '"');
    }
    buf_append_u8(buf, (uint8_t)end);
}

static void csv_line(struct buf *buf, const json_t *line)
{
    const char *fact = json_string_value(json_object_get(line, "f"));
    static const char *const texts[] = {"r", "c", "a", "d", "p"};
    const json_t *value = json_object_get(line, "v");
    char number[24];

    csv_field(buf, json_string_value(json_object_get(line, "t")), ',');
    csv_field(buf, json_string_value(json_object_get(line, "k")), ',');
    csv_field(buf, strstr(fact, "gone") ? "f" : "t", ',');
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        csv_field(buf, json_string_value(json_object_get(line, texts[i])), ',');
    snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
    csv_field(buf, value ? number : NULL, '\n');
}

static bool put(PGconn *conn, struct buf *buf, size_t above)
{
    bool ok = buf->len <= above || PQputCopyData(conn, buf->data, (int)buf->len) == 1;

    if (buf->len > above)
        buf_reset(buf);
    return ok;
}

static bool load(PGconn *conn, const struct replay *r)
{
    struct buf buf = {0};
    const char *key;
    json_t *alternatives, *line;
    size_t i;
    bool ok = command(conn, "COPY state FROM STDIN (FORMAT csv)");

    json_object_foreach(r->states, key, alternatives)
    {
        json_array_foreach(alternatives, i, line) csv_line(&buf, line);
        ok = ok && put(conn, &buf, 65536);
    }
    ok = ok && put(conn, &buf, 0) && PQputCopyEnd(conn, NULL) == 1;
    for (PGresult *res; (res = PQgetResult(conn)); PQclear(res)) {
        if (PQresultStatus(res) != PGRES_COMMAND_OK) {
            fprintf(stderr, "workload: %s", PQerrorMessage(conn));
            ok = false;
        }
    }
    json_array_foreach(r->prefixes, i, line)
    {
        const char *const params[] = {json_string_value(line)};
        PGresult *res =
            PQexecParams(conn, "INSERT INTO prefix VALUES ($1)", 1, NULL, params, NULL, NULL, 0);
        ok = ok && PQresultStatus(res) == PGRES_COMMAND_OK;
        PQclear(res);
    }
    buf_fini(&buf);
    return ok && (!exists(conn, SNAPSHOT) || command(conn, seeded_sql)) &&
           command(conn, derive_sql);
}

/* ---- comparison ---- */

/* A value of any length, cut to fit a line and not inside a character. */
static void show(const char *what, const char *value)
{
    char line[401];

    snprintf(line, sizeof(line), "%s", value);
    utf8_mend(line);
    printf("%s %s\n", what, line);
}

/* Number of differences, the first ones shown; -1 when it could not be done. */
static long compare(PGconn *conn, const struct comparison *cmp)
{
    if (cmp->table && !exists(conn, cmp->table))
        return 0;
    PGresult *res = query(conn, cmp->bad);
    char *total = cmp->total ? value_of(conn, cmp->total) : mem_strdup("");
    long bad = res && total ? PQntuples(res) : -1;
    if (bad >= 0)
        printf("  %-28s %9s compared %7ld wrong\n", cmp->title, total[0] ? total : "all", bad);
    for (int i = 0; i < bad && i < SHOWN_MAX; i++) {
        printf("    %s: ", PQgetvalue(res, i, 0));
        show("found", PQgetisnull(res, i, 1) ? "nothing" : PQgetvalue(res, i, 1));
        char *literal = PQescapeLiteral(conn, PQgetvalue(res, i, 0), strlen(PQgetvalue(res, i, 0)));
        char *sql = mem_printf("SELECT to_jsonb(s)::text FROM state AS s WHERE key = %s", literal);
        char *want = value_of(conn, sql);
        if (want) {
            printf("    %*s  ", (int)strlen(PQgetvalue(res, i, 0)) - 2, "");
            show("expected", want);
        }
        free(want);
        free(sql);
        PQfreemem(literal);
    }
    PQclear(res);
    free(total);
    return bad;
}

int wl_check(const char *url, enum wl_schema schema, const char *const *journals, int n)
{
    struct replay replay = {.states = json_object(), .prefixes = json_array()};
    PGconn *conn = open_conn(url);
    int code = conn ? 0 : 2;
    long wrong = 0;

    for (int i = 0; i < n && code == 0; i++)
        if (!replay_file(&replay, journals[i]))
            code = 2;
    if (code == 0 && (!command(conn, prepare_sql) || !load(conn, &replay)))
        code = 2;
    for (size_t i = 0; i < ARRAY_LEN(comparisons) && code == 0; i++) {
        if ((comparisons[i].needs & ~(unsigned)schema) != 0)
            continue;
        long bad = compare(conn, &comparisons[i]);
        if (bad < 0)
            code = 2;
        else
            wrong += bad;
    }
    if (code == 0) {
        printf("oracle: %ld acknowledged writes replayed, %ld differences\n", replay.lines, wrong);
        code = wrong > 0;
    }
    json_decref(replay.states);
    json_decref(replay.prefixes);
    if (conn)
        PQfinish(conn);
    return code;
}
