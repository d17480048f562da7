#include "doctor.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"
#include "segue/base/utf8.h"
#include "typed.h"

#define STATEMENT_TIMEOUT_MS 5000

static const char *const weights[] = {
    [DOCTOR_NOTE] = "note", [DOCTOR_WAITS] = "waits", [DOCTOR_WRONG] = "wrong"};

enum when { FIRST, EACH, LAST }; /* EACH: once for each migration */

static const struct look {
    const char *name;
    enum when when;
    enum rc (*look)(struct doctor *d, struct err *err);
} looks[] = {
    {"server", FIRST, doctor_server},          {"store", FIRST, doctor_store},
    {"engine", FIRST, doctor_engine},          {"phase", EACH, doctor_phase},
    {"attempts", EACH, doctor_attempts},       {"complete", EACH, doctor_complete},
    {"predecessor", EACH, doctor_predecessor}, {"throttle", EACH, doctor_throttle},
    {"blocked", EACH, doctor_blocked},         {"transactions", EACH, doctor_transactions},
    {"hidden", EACH, doctor_hidden},           {"relations", EACH, doctor_relations},
    {"privileges", EACH, doctor_privileges},   {"writers", EACH, doctor_writers},
    {"guards", EACH, doctor_guards},           {"defaults", EACH, doctor_defaults},
    {"indexes", EACH, doctor_indexes},         {"rows", EACH, doctor_rows},
    {"leftovers", LAST, doctor_leftovers},
};

void doctor_say(struct doctor *d, enum doctor_weight weight, const char *finding, char *command,
                const char *hint, const char *fmt, ...)
{
    struct buf what = {0};
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(&what, fmt, ap);
    va_end(ap);
    utf8_mend(what.data); /* it may quote the beginning of a statement */
    json_array_append_new(d->rows,
                          json_pack("[s, s, s, s, s, s]", weights[weight], d->m ? d->m->name : "",
                                    finding, what.data, hint, command ? command : ""));
    buf_fini(&what);
    free(command);
}

char *doctor_psql(const struct doctor *d, const char *sql)
{
    struct buf out = {0};

    buf_append_str(&out, "psql ");
    typed_quoted(&out, d->url ? d->url : "");
    buf_append_str(&out, " -c ");
    typed_quoted(&out, sql);
    return buf_take(&out);
}

char *doctor_psql_as(const struct doctor *d, const char *role, const char *sql)
{
    struct buf out = {0};
    char *url;

    if (!role)
        return NULL;
    url = doctor_url(d, role);
    buf_printf(&out, "psql '%s' -c ", url);
    typed_quoted(&out, sql);
    free(url);
    return buf_take(&out);
}

/* A role that has been made a member may do what it could not before. Who asks the database by
 * itself may have taken another role than segue's. */
void doctor_say_membership(struct doctor *d, const struct doctor_membership *lacks,
                           const char *said)
{
    char *sql = mem_printf("GRANT %s TO %s", lacks->owner, lacks->role);
    char *url = doctor_url(d, lacks->login);
    struct buf hint = {0};

    if (d->engine)
        buf_printf(&hint, "let segue log in as %s, or", lacks->owner);
    else
        buf_printf(&hint, "if segue logs in as %s, ask as that: segue doctor --upstream '%s'; else",
                   lacks->owner, url);
    buf_printf(&hint,
               " a superuser, or who has ADMIN OPTION of %s, says this, and %s may do all that %s "
               "may%s",
               lacks->owner, lacks->role, lacks->owner,
               lacks->super ? ", who is a superuser: think twice" : "");
    doctor_say(d, DOCTOR_WRONG, "privilege missing", doctor_psql_as(d, lacks->admin, sql),
               hint.data, "%s", said);
    buf_fini(&hint);
    free(url);
    free(sql);
}

char *doctor_segue(const struct doctor *d, const char *verb)
{
    return typed_shell(verb, d->m->name);
}

/* ---- reaching the database ---- */

/* A part of a URL: nothing in it ends the part, or a word of the shell. */
static void append_part(struct buf *out, const char *text, const char *kept)
{
    for (; *text; text++)
        buf_printf(out, isalnum((unsigned char)*text) || strchr(kept, *text) ? "%c" : "%%%02X",
                   (unsigned char)*text);
}

/* How the server is asked for TLS, who vouches for it and for who connects, and where its name does
 * not lead: some are not to be reached otherwise. */
static void append_tls(struct buf *out, PGconn *pg)
{
    static const char *const words[] = {"sslmode", "sslrootcert", "sslnegotiation",
                                        "sslcert", "sslkey",      "hostaddr"};
    PQconninfoOption *options = PQconninfo(pg);
    const char *mark = "?";

    for (const PQconninfoOption *o = options; o && o->keyword; o++)
        for (size_t i = 0; i < ARRAY_LEN(words); i++) {
            if (strcmp(o->keyword, words[i]) != 0 || !o->val || !*o->val ||
                (o->compiled && strcmp(o->val, o->compiled) == 0))
                continue;
            buf_printf(out, "%s%s=", mark, o->keyword);
            append_part(out, strcmp(o->keyword, "hostaddr") ? o->val : PQhostaddr(pg), "-._~/:");
            mark = "&";
        }
    PQconninfoFree(options);
}

/* Where `upstream` leads, in a form that may be shown: never a password. */
char *doctor_url(const struct doctor *d, const char *role)
{
    const PGconn *pg = d->conn.pg;
    const char *host = PQhost(pg);
    bool v6 = strchr(host, ':') && *host != '/';
    struct buf out = {0};

    buf_append_str(&out, "postgresql://");
    append_part(&out, role, "-._~");
    buf_append_str(&out, v6 ? "@[" : "@");
    append_part(&out, host, v6 ? "-._~:" : "-._~");
    buf_printf(&out, "%s:%s/", v6 ? "]" : "", PQport(pg));
    append_part(&out, PQdb(pg), "-._~");
    append_tls(&out, d->conn.pg);
    return buf_take(&out);
}

/* A value of a connection string, inside single quotes of the shell. */
static void append_value(struct buf *out, const char *value)
{
    bool quoted = !value[0] || strpbrk(value, " \t\n'\\");

    buf_append_str(out, quoted ? "'\\''" : "");
    for (const char *p = value; *p; p++) {
        if (*p == '\'')
            buf_append_str(out, "\\'\\''");
        else
            buf_printf(out, "%s%c", *p == '\\' ? "\\" : "", *p);
    }
    buf_append_str(out, quoted ? "'\\''" : "");
}

/* What segue fills in where nobody has said anything. */
static bool is_filled_in(const PQconninfoOption *o)
{
    return strcmp(o->keyword, "target_session_attrs") == 0 && strcmp(o->val, "any") == 0;
}

/* A command, and `upstream` as it was given, but for passwords; database: another one than it says,
 * or NULL. */
static char *ask_again(const char *command, const char *upstream, const char *database)
{
    PQconninfoOption *options = PQconninfoParse(upstream, NULL);
    struct buf out = {0};
    const char *space = "";

    buf_printf(&out, "%s '", command);
    for (const PQconninfoOption *o = options; o && o->keyword; o++) {
        bool other = database && strcmp(o->keyword, "dbname") == 0;
        const char *value = other ? database : o->val;

        if (!value || o->dispchar[0] == '*' || is_filled_in(o))
            continue;
        buf_printf(&out, "%s%s=", space, o->keyword);
        append_value(&out, value);
        space = " ";
    }
    buf_append_u8(&out, '\'');
    PQconninfoFree(options);
    return out.data;
}

/* Lists them: psql's own -l wants a psql as new as the server. */
static char *databases(const char *upstream)
{
    char *command = ask_again("psql", upstream, "postgres");
    char *all = mem_printf("%s -c \"SELECT datname, has_database_privilege(datname, 'CONNECT') "
                           "FROM pg_database\"",
                           command);

    free(command);
    return all;
}

#define CLIENT_CERTIFICATE                                                                         \
    "the server wants a certificate of who connects: sslcert=FILE and sslkey=FILE in the URL "     \
    "name one for that user, and its key; try it with psql"

/* What libpq says where the way to the server is wrong, and no server needs to be looked at. */
static bool say_of_way(struct doctor *d, const char *upstream, const struct err *why)
{
    static const struct {
        const char *said, *finding, *hint;
    } ways[] = {
        {"password authentication failed", "password refused",
         "check the password and the user in the URL, in PGPASSWORD or in the password file; psql "
         "asks for it"},
        {"translate host name", "host name unknown",
         "correct the host in the URL, or see that this machine's name servers know it; psql says "
         "the same until then"},
        {"valid client certificate", "client certificate wanted", CLIENT_CERTIFICATE},
        {"alert certificate required", "client certificate wanted", CLIENT_CERTIFICATE},
        {"certificate authentication failed", "client certificate wanted", CLIENT_CERTIFICATE},
        {"could not read certificate file", "client certificate wanted", CLIENT_CERTIFICATE},
        {"certificate present, but not", "client certificate wanted", CLIENT_CERTIFICATE},
        {"does not match host name", "certificate refused",
         "the server shows a certificate of another name: name the host in the URL as the "
         "certificate does, with hostaddr=ADDRESS where that leads elsewhere"},
        {"certificate", "certificate refused",
         "the server's certificate is not vouched for: sslrootcert=FILE in the URL names the "
         "certificate of who has signed it, as your provider or administrator has it; try it with "
         "psql"},
    };

    for (size_t i = 0; i < ARRAY_LEN(ways); i++)
        if (strstr(why->text, ways[i].said)) {
            doctor_say(d, DOCTOR_WRONG, ways[i].finding, ask_again("psql", upstream, NULL),
                       ways[i].hint, "%s", why->text);
            return true;
        }
    return false;
}

static bool reach(struct doctor *d, const char *upstream)
{
    struct err err = {0};

    if (conn_open(&d->conn, upstream, &err) == RC_OK &&
        conn_exec(&d->conn, &err,
                  "SET application_name = 'segue doctor'; SET statement_timeout = %d; "
                  "SET lock_timeout = %d; SET default_transaction_read_only = on",
                  STATEMENT_TIMEOUT_MS, STATEMENT_TIMEOUT_MS) == RC_OK) {
        d->url = doctor_url(d, PQuser(d->conn.pg));
        return true;
    }
    if (say_of_way(d, upstream, &err))
        return false;
    if (conn_ping(upstream, NULL) == CONN_SERVES)
        doctor_say(
            d, DOCTOR_WRONG, "database away", databases(upstream),
            "the server takes connections, but not this one: see what it says; that lists the "
            "databases that there are, and whether that role may connect to them",
            "%s", err.text);
    else
        doctor_say(d, DOCTOR_WRONG, "database away",
                   ask_again("segue doctor --upstream", upstream, NULL),
                   "is the server up, and does the URL lead to it? segue goes on by itself as soon "
                   "as it answers",
                   "%s", err.text);
    return false;
}

/* ---- the migrations ---- */

static const char load_sql[] =
    "SELECT id, name, plan::text, phase, paused, error, error_state, hint, "
    "extract(epoch FROM clock_timestamp() - phase_at) FROM segue.migrations "
    "WHERE finished_at IS NULL AND ($1::text IS NULL OR name = $1) ORDER BY id";
enum { L_ID, L_NAME, L_PLAN, L_PHASE, L_PAUSED, L_ERROR, L_STATE, L_HINT, L_AGE };

static struct eng_migration *load_row(const PGresult *res, int r, struct err *err)
{
    json_t *json = json_loads(res_text(res, r, L_PLAN), 0, NULL);
    struct eng_plan *plan = NULL;
    enum eng_phase_id phase;
    struct eng_migration *m;

    if (eng_phase_parse(res_text(res, r, L_PHASE), &phase) != RC_OK)
        err_set(err, "XX000", "migration \"%s\" is in phase \"%s\", which this segue does not know",
                res_text(res, r, L_NAME), res_text(res, r, L_PHASE));
    if (err_is_set(err) || eng_plan_from_json(json, &plan, err) != RC_OK) {
        json_decref(json);
        return NULL;
    }
    json_decref(json);
    m = eng_migration_new(plan);
    m->id = res_int(res, r, L_ID);
    m->phase = phase;
    m->paused = res_bool(res, r, L_PAUSED);
    if (res_text(res, r, L_ERROR))
        err_set(&m->failure, res_text(res, r, L_STATE) ? res_text(res, r, L_STATE) : "XX000", "%s",
                res_text(res, r, L_ERROR));
    if (res_text(res, r, L_HINT))
        err_hint(&m->failure, "%s", res_text(res, r, L_HINT));
    return m;
}

static enum rc load_steps(struct doctor *d, struct eng_migration *m, struct err *err)
{
    PGresult *res =
        conn_query(&d->conn, err, "SELECT no FROM segue.steps WHERE migration = %" PRId64, m->id);

    if (!res)
        return RC_ERR;
    for (int r = 0; r < PQntuples(res); r++)
        for (size_t i = 0; i < m->plan->nsteps; i++)
            m->step_done[i] |= m->plan->steps[i].no == (int)res_int(res, r, 0);
    PQclear(res);
    return RC_OK;
}

static enum rc load(struct doctor *d, const char *name, struct err *err)
{
    PGresult *res = conn_params(&d->conn, err, load_sql, 1, &name);
    enum rc rc = res ? RC_OK : RC_ERR;

    if (!res)
        return RC_ERR;
    d->migrations = mem_calloc((size_t)PQntuples(res) + 1, sizeof(*d->migrations));
    d->phase_age_s = mem_calloc((size_t)PQntuples(res) + 1, sizeof(*d->phase_age_s));
    for (int r = 0; rc == RC_OK && r < PQntuples(res); r++) {
        struct eng_migration *m = load_row(res, r, err);

        if (m) {
            d->phase_age_s[d->nmigrations] = res_double(res, r, L_AGE);
            d->migrations[d->nmigrations++] = m;
        }
        rc = m ? load_steps(d, m, err) : RC_ERR;
    }
    PQclear(res);
    return rc;
}

/* ---- all of it ---- */

static void look_at(struct doctor *d, const struct look *look)
{
    struct err err = {0};

    if (!conn_up(&d->conn) || look->look(d, &err) == RC_OK)
        return;
    doctor_say(d, DOCTOR_NOTE, "not looked at", NULL, err.hint, "%s: %s (%s)", look->name, err.text,
               err.sqlstate);
}

static void look_at_all(struct doctor *d, enum when when)
{
    for (size_t i = 0; i < ARRAY_LEN(looks); i++) {
        if (looks[i].when == when)
            look_at(d, &looks[i]);
    }
}

/* A name that is there, but of a migration that has ended, is no error: nothing is wrong with it.
 */
static enum rc check_name(struct doctor *d, const char *name, struct err *err)
{
    static const char sql[] =
        "SELECT max(phase) FILTER (WHERE name = $1), "
        "coalesce(string_agg(name, ', ' ORDER BY id) FILTER (WHERE finished_at IS NULL), '') "
        "FROM segue.migrations";
    PGresult *res;

    if (!name || d->nmigrations)
        return RC_OK;
    if (d->nothing_yet) {
        typed_unknown(name, "", err);
        return RC_ERR;
    }
    res = conn_params(&d->conn, err, sql, 1, &name);
    if (!res)
        return RC_ERR;
    if (res_text(res, 0, 0))
        doctor_say(d, DOCTOR_NOTE, "ended", NULL, "", "migration \"%s\" is %s", name,
                   res_text(res, 0, 0));
    else
        typed_unknown(name, res_text(res, 0, 1), err);
    PQclear(res);
    return err_is_set(err) ? RC_ERR : RC_OK;
}

static enum rc examine(struct doctor *d, const char *name, struct err *err)
{
    struct err broken = {0};

    look_at_all(d, FIRST);
    if (d->store && load(d, name, &broken) != RC_OK)
        doctor_say(d, DOCTOR_WRONG, "state not readable", NULL, broken.hint, "%s", broken.text);
    for (size_t i = 0; i < d->nmigrations; i++) {
        d->m = d->migrations[i];
        d->age_s = d->phase_age_s[i];
        look_at_all(d, EACH);
    }
    d->m = NULL;
    if (d->store && !err_is_set(&broken)) {
        look_at_all(d, LAST);
        return check_name(d, name, err);
    }
    return d->nothing_yet ? check_name(d, name, err) : RC_OK;
}

/* The heaviest first, else in the order in which they were found. */
static json_t *sorted(const json_t *rows)
{
    json_t *out = json_array(), *row;
    size_t i;

    for (int weight = DOCTOR_WRONG; weight >= DOCTOR_NOTE; weight--)
        json_array_foreach(rows, i, row)
        {
            if (strcmp(json_string_value(json_array_get(row, 0)), weights[weight]) == 0)
                json_array_append(out, row);
        }
    return out;
}

enum rc eng_doctor(const char *upstream, struct eng_engine *engine, const char *name,
                   json_t **table, struct err *err)
{
    struct doctor d = {.engine = engine, .rows = json_array()};
    enum rc rc = RC_OK;

    if (reach(&d, upstream))
        rc = examine(&d, name, err);
    *table = NULL;
    if (rc == RC_OK)
        *table = json_pack("{s:[s,s,s,s,s,s], s:o}", "columns", "weight", "migration", "finding",
                           "what", "hint", "command", "rows", sorted(d.rows));
    for (size_t i = 0; i < d.nmigrations; i++)
        eng_migration_free(d.migrations[i]);
    free(d.migrations);
    free(d.phase_age_s);
    free(d.url);
    conn_close(&d.conn);
    json_decref(d.rows);
    return rc;
}
