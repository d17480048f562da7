/* The doctor's looks at the place: the server, schema segue, who is at work, what nobody owns. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "doctor.h"
#include "relations.h"
#include "segue/base/mem.h"
#include "store.h"
#include "store_ddl.h"

enum rc doctor_server(struct doctor *d, struct err *err)
{
    PGresult *res = conn_query(&d->conn, err, "SELECT pg_is_in_recovery()");

    if (!res)
        return RC_ERR;
    if (res_bool(res, 0, 0))
        doctor_say(d, DOCTOR_WRONG, "a standby", doctor_psql(d, "SELECT pg_is_in_recovery()"),
                   "let the upstream's URL lead to the primary: several hosts and "
                   "target_session_attrs=read-write",
                   "the upstream is a standby: nothing can be written there");
    PQclear(res);
    return RC_OK;
}

char *doctor_clean_up(const struct doctor *d, const struct eng_migration *m, enum eng_stage stage)
{
    struct buf out = {0};

    for (size_t i = 0; i < m->plan->nsteps; i++) {
        const struct eng_step *step = &m->plan->steps[i];

        if (step->stage != stage || (step->undoes && !m->step_done[step->undoes - 1]))
            continue;
        for (size_t j = 0; j < step->nsql; j++) {
            char *one = doctor_psql(d, step->sql[j]), *option = strstr(one, " -c ");

            buf_append_str(&out, out.len ? option : one);
            free(one);
        }
    }
    return out.len ? buf_take(&out) : NULL;
}

/* The engine alone knows what it was doing. */
static void store_dropped(struct doctor *d)
{
    for (size_t i = 0; i < d->engine->nmigrations; i++) {
        const struct eng_migration *m = d->engine->migrations[i];
        bool turned =
            m->phase == PH_SOAKING || m->phase == PH_CONTRACTING || m->phase == PH_REVERTING;

        d->m = m;
        doctor_say(d, DOCTOR_WRONG, "state dropped",
                   doctor_clean_up(d, m, turned ? ENG_STAGE_CONTRACT : ENG_STAGE_ABORT),
                   turned ? "the new columns are the truth: this drops the old ones; then restart "
                            "segue"
                          : "the old columns are the truth: this drops the new ones; then restart "
                            "segue, and start the file again",
                   "schema segue was dropped while it was %s: nothing keeps both sides in step any "
                   "more",
                   eng_phase(m->phase)->name);
    }
    d->m = NULL;
}

static const char store_sql[] =
    "SELECT has_database_privilege(current_database(), 'CREATE'), quote_ident(current_user), "
    "quote_ident(current_database()), quote_ident(pg_get_userbyid(d.datdba)), " DOCTOR_AS_OWNER(
        "d.datdba") ", c.oid IS NOT NULL, quote_ident(o.rolname), o.rolname, "
                    "o.rolsuper, " DOCTOR_AS_ADMIN(
                        "o.oid") ", has_table_privilege(c.oid, 'SELECT'), "
                                 "pg_has_role(c.relowner, 'USAGE') FROM pg_database d "
                                 "LEFT JOIN pg_class c ON c.oid = to_regclass('segue.migrations') "
                                 "LEFT JOIN pg_roles o ON o.oid = c.relowner WHERE d.datname = "
                                 "current_database()";
enum { S_MAY_CREATE, S_ROLE, S_DATABASE, S_DATABASE_OWNER, S_DATABASE_LOGIN, S_THERE };
enum { S_OWNER = S_THERE + 1, S_OWNER_LOGIN, S_OWNER_SUPER, S_OWNER_ADMIN, S_MAY_READ };
enum { S_MAY_WRITE = S_MAY_READ + 1 };

static void no_store(struct doctor *d, const PGresult *res)
{
    const char *role = res_text(res, 0, S_ROLE), *database = res_text(res, 0, S_DATABASE);
    char *sql, *hint;

    if (d->engine && d->engine->nmigrations) {
        store_dropped(d);
        return;
    }
    d->nothing_yet = res_bool(res, 0, S_MAY_CREATE);
    if (d->nothing_yet) {
        doctor_say(d, DOCTOR_NOTE, "nothing yet", mem_strdup("segue plan FILE"), "",
                   "no migration was ever started in this database");
        return;
    }
    sql = mem_printf("GRANT CREATE ON DATABASE %s TO %s", database, role);
    hint = mem_printf("its owner %s, or a superuser, says this: %s cannot give it to itself%s",
                      res_text(res, 0, S_DATABASE_OWNER), role,
                      d->engine ? "" : "; if segue logs in as another role, ask as that");
    doctor_say(d, DOCTOR_WRONG, "privilege missing",
               doctor_psql_as(d, res_text(res, 0, S_DATABASE_LOGIN), sql), hint,
               "role %s may not create schemas in %s, and the first start makes the schema segue",
               role, database);
    free(hint);
    free(sql);
}

static void look_at_store(struct doctor *d, const PGresult *res)
{
    const struct doctor_membership lacks = {
        .role = res_text(res, 0, S_ROLE),
        .owner = res_text(res, 0, S_OWNER),
        .login = res_text(res, 0, S_OWNER_LOGIN),
        .admin = res_text(res, 0, S_OWNER_ADMIN),
        .super = res_bool(res, 0, S_OWNER_SUPER),
    };
    char *said;

    d->store = res_bool(res, 0, S_MAY_READ);
    if (res_bool(res, 0, S_MAY_WRITE))
        return;
    said = mem_printf("role %s may not write schema segue, which belongs to %s", lacks.role,
                      lacks.owner);
    doctor_say_membership(d, &lacks, said);
    free(said);
}

static void other_version(struct doctor *d)
{
    if (d->version > (int64_t)store_ddl_count)
        doctor_say(d, DOCTOR_WRONG, "a newer store", NULL, "run that segue, or a later one",
                   "schema segue was made by a newer segue (version %" PRId64
                   "); this one knows %zu",
                   d->version, store_ddl_count);
    if (d->version < (int64_t)store_ddl_count)
        doctor_say(d, DOCTOR_NOTE, "an older store", NULL,
                   d->version < RELATIONS_BORN_SINCE
                       ? "a table of a dump that was restored in the middle of a migration is seen "
                         "only by its guard: one without is \"another table\", or as planned. A "
                         "segue of this version renews the schema when it begins to serve, and "
                         "knows it of what is started from then on"
                       : "a segue of this version renews the schema when it begins to serve",
                   "schema segue was made by an older segue (version %" PRId64
                   "); this one knows %zu",
                   d->version, store_ddl_count);
}

enum rc doctor_store(struct doctor *d, struct err *err)
{
    PGresult *res = conn_run(&d->conn, store_sql, NULL, err);

    if (!res)
        return RC_ERR;
    if (res_bool(res, 0, S_THERE))
        look_at_store(d, res);
    else
        no_store(d, res);
    PQclear(res);
    if (!d->store)
        return RC_OK;
    res = conn_query(&d->conn, err, "SELECT max(version) FROM segue.store");
    if (!res)
        return RC_ERR;
    d->version = res_int(res, 0, 0);
    PQclear(res);
    other_version(d);
    return RC_OK;
}

/* ---- who is at work ---- */

static void other_engine(struct doctor *d, const PGresult *res)
{
    int64_t pid = res_int(res, 0, 0);
    char *sql = mem_printf("SELECT pg_terminate_backend(%" PRId64 ")", pid);
    const char *login = res_text(res, 0, 5);

    doctor_say(d, DOCTOR_WAITS, "another segue",
               login ? doctor_psql_as(d, login, sql) : doctor_psql(d, sql),
               "end that segue (SIGTERM) if it is not meant to be; its machine is gone: end its "
               "backend. This one takes over by itself then",
               "backend %" PRId64 " (%s, user %s, from %s, since %s) holds the advisory lock of "
               "this database; the segue that was asked waits for it",
               pid, res_text(res, 0, 1), res_text(res, 0, 2), res_text(res, 0, 3),
               res_text(res, 0, 4));
    free(sql);
}

#define HOLDER                                                                                     \
    "l.pid, coalesce(nullif(a.application_name, ''), '?'), coalesce(a.usename, '?'), "             \
    "coalesce(" CONN_CLIENT_ADDRESS ", '?'), coalesce(date_trunc('second', a.backend_start)::"     \
    "text, '?')"

/* *blocks: one has the lock of the engine itself. */
static enum rc foreign_locks(struct doctor *d, bool *blocks, struct err *err)
{
    PGresult *res = conn_query(
        &d->conn, err,
        "SELECT DISTINCT ON (l.pid) " HOLDER ", l.objid::bigint = %" PRId64
        ", " DOCTOR_AS_OWNER("a.usesysid") " FROM pg_locks l JOIN pg_stat_activity a "
                                           "USING (pid) WHERE " STORE_LOCK " BETWEEN %" PRId64
                                           " AND %" PRId64 " AND NOT " STORE_ROLE
                                           " ORDER BY 1, l.objid",
        STORE_LOCK_KEY & 0xffffffff, STORE_LOCK_KEY, STORE_LOCK_KEY + STORE_LOCK_KEYS - 1);

    *blocks = false;
    for (int r = 0; r < (res ? PQntuples(res) : 0); r++) {
        char *sql = mem_printf("SELECT pg_terminate_backend(%" PRId64 ")", res_int(res, r, 0));

        *blocks |= res_bool(res, r, 5);
        doctor_say(
            d, DOCTOR_WRONG, "lock of another role", doctor_psql_as(d, res_text(res, r, 6), sql),
            "segue's advisory locks are for segue: end it, and see that it does not take "
            "them again",
            "backend %" PRId64 " (%s, user %s, from %s, since %s) has taken an advisory "
            "lock of segue's%s",
            res_int(res, r, 0), res_text(res, r, 1), res_text(res, r, 2), res_text(res, r, 3),
            res_text(res, r, 4), res_bool(res, r, 5) ? ": no migration moves" : "");
        free(sql);
    }
    PQclear(res);
    return res ? RC_OK : RC_ERR;
}

enum rc doctor_engine(struct doctor *d, struct err *err)
{
    /* a running engine forgets its backend only while it has none */
    bool ours = d->engine && d->engine->ready, blocked;
    PGresult *res;

    if (foreign_locks(d, &blocked, err) != RC_OK)
        return RC_ERR;
    if (blocked && d->engine)
        return RC_OK;
    res = conn_query(&d->conn, err,
                     "SELECT " HOLDER ", " DOCTOR_AS_ENDER(
                         "a.usesysid") " FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid) "
                                       "WHERE coalesce(" STORE_ROLE ", true) AND " STORE_LOCK_HELD,
                     STORE_LOCK_KEY);
    if (!res)
        return RC_ERR;
    if (PQntuples(res) && d->engine && (!ours || res_int(res, 0, 0) != d->engine->backend_pid)) {
        other_engine(d, res);
    } else if (PQntuples(res) && !d->engine) {
        doctor_say(d, DOCTOR_NOTE, "at work", mem_strdup("segue doctor --server URL"),
                   "asked there, it also tells what throttles",
                   "a segue is at work on this database: backend %" PRId64 ", from %s, since %s",
                   res_int(res, 0, 0), res_text(res, 0, 3), res_text(res, 0, 4));
    } else if (!PQntuples(res) && d->store) {
        doctor_say(d, DOCTOR_WRONG, "no segue", mem_printf("segue serve --upstream '%s'", d->url),
                   "the guards keep rows in step meanwhile; migrations do not go on",
                   "no segue is at work on this database");
    }
    PQclear(res);
    return RC_OK;
}

/* ---- what nobody owns ---- */

static void left(struct doctor *d, const PGresult *res, int r)
{
    const char *kind = res_text(res, r, 0), *name = res_text(res, r, 1), *on = res_text(res, r, 2);
    char *sql = strcmp(kind, "trigger") == 0 ? mem_printf("DROP TRIGGER %s ON %s", name, on)
                : strcmp(kind, "index") == 0
                    ? mem_printf("DROP INDEX CONCURRENTLY %s", name)
                    : mem_printf("ALTER TABLE %s DROP %s %s", on, kind, name);

    doctor_say(d, DOCTOR_WRONG, "left over", doctor_psql(d, sql),
               "no migration in flight knows it: it is of a partition that was detached, or of a "
               "database copied or restored, in the middle of one",
               "%s %s on %s", kind, name, on);
    free(sql);
}

/* All that segue makes on a table has ~segue in its name until the cut-over renames it. */
enum rc doctor_leftovers(struct doctor *d, struct err *err)
{
    static const char sql[] =
        "WITH known AS (SELECT (t->>'oid')::oid AS oid FROM segue.migrations m, "
        "jsonb_array_elements(m.plan->'tables') AS t WHERE m.finished_at IS NULL) "
        "SELECT kind, name, relid::regclass::text FROM ("
        "SELECT 'trigger' AS kind, quote_ident(tgname) AS name, tgrelid AS relid FROM pg_trigger "
        "WHERE tgname LIKE '~segue%' AND NOT tgisinternal AND tgparentid = 0 UNION ALL "
        "SELECT 'index', i.indexrelid::regclass::text, i.indrelid FROM pg_index i JOIN pg_class c "
        "ON c.oid = i.indexrelid WHERE c.relname LIKE '~segue%' AND NOT EXISTS (SELECT 1 FROM "
        "pg_constraint k WHERE k.conindid = c.oid AND k.contype IN ('p', 'u', 'x')) UNION ALL "
        "SELECT 'constraint', quote_ident(conname), conrelid FROM pg_constraint WHERE conname LIKE "
        "'~segue%' AND conrelid <> 0 AND conparentid = 0 UNION ALL "
        "SELECT 'column', quote_ident(attname), attrelid FROM pg_attribute a JOIN pg_class c ON "
        "c.oid = attrelid WHERE attname LIKE '~segue%' AND attnum > 0 AND NOT attisdropped AND "
        "c.relkind IN ('r', 'p') AND NOT c.relispartition) AS found WHERE NOT EXISTS (SELECT 1 "
        "FROM "
        "known, LATERAL (SELECT known.oid AS relid UNION ALL SELECT relid FROM "
        "pg_partition_tree(known.oid::regclass)) AS tree WHERE tree.relid = found.relid) "
        "ORDER BY 3, kind = 'column', 1, 2"; /* takes the others along */
    PGresult *res = conn_run(&d->conn, sql, NULL, err);

    if (!res)
        return RC_ERR;
    for (int r = 0; r < PQntuples(res); r++)
        left(d, res, r);
    PQclear(res);
    return RC_OK;
}
