/* The doctor's looks at a migration's tables: are they there, may they be changed, are they
 * guarded, what is invalid, what was verified. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "defaults.h"
#include "doctor.h"
#include "relations.h"
#include "segue/base/mem.h"
#include "segue/engine/guard.h"
#include "segue/sql/expr.h"
#include "writers.h"

static bool reversible(enum eng_phase_id phase)
{
    return phase != PH_SOAKING && phase != PH_CONTRACTING && phase != PH_REVERTING;
}

/* The steps, and word in the store that they are done, where it has a place for that; heap. */
static char *settle(const struct doctor *d, const char *steps)
{
    char *sql = mem_printf(RELATIONS_SETTLED, d->m->id), *settled = doctor_psql(d, sql);
    char *command = NULL;

    if (d->version < RELATIONS_BORN_SINCE)
        command = steps ? mem_strdup(steps) : NULL;
    else if (steps)
        command = mem_printf("%s%s", steps, strstr(settled, " -c "));
    else
        command = mem_strdup(settled);
    free(settled);
    free(sql);
    return command;
}

/* What keeps its rows in step goes by names, and works; what segue remembers goes by oids. */
static void restored(struct doctor *d, const char *name)
{
    bool back = reversible(d->m->phase);
    char *steps = doctor_clean_up(d, d->m, back ? ENG_STAGE_ABORT : ENG_STAGE_CONTRACT);
    char *command = settle(d, steps);

    free(steps);
    doctor_say(d, DOCTOR_WRONG, "restored", command,
               back ? "the old columns are the truth: this drops the new ones; then segue abort, "
                      "and start the file again"
                    : "the new columns are the truth: this drops the old ones; then segue complete "
                      "--force",
               "the database was dumped while the migration was %s, and restored: %s is not the "
               "table that segue knows; nothing is filled or dropped",
               eng_phase(d->m->phase)->name, name);
}

/* $1: the table's name, quoted; $2: its oid; $3, $4: schema and name. What has the name; how the
 * table is called now; what gives it back its name where that is free. */
static const char place_sql[] =
    "SELECT to_regclass($1)::oid, CASE WHEN c.oid IS NOT NULL THEN format('%I.%I', n.nspname, "
    "c.relname) END, CASE WHEN to_regclass($1) IS NULL AND EXISTS (SELECT FROM pg_namespace WHERE "
    "nspname = $3::text) AND c.oid IS NOT NULL THEN concat_ws('; ', CASE WHEN n.nspname <> "
    "$3::text THEN format('ALTER TABLE %I.%I SET SCHEMA %I', n.nspname, c.relname, $3::text) END, "
    "CASE WHEN c.relname <> $4::text THEN format('ALTER TABLE %I.%I RENAME TO %I', $3::text, "
    "c.relname, $4::text) END) END FROM (VALUES (1)) AS one LEFT JOIN pg_class c ON c.oid = "
    "$2::oid LEFT JOIN pg_namespace n ON n.oid = c.relnamespace";

/* Nothing is dropped of a table by another name than that of the plan: an abort would stop, too. */
static void misplaced(struct doctor *d, const char *name, const PGresult *place)
{
    const char *now = res_text(place, 0, 1), *back = res_text(place, 0, 2);
    char *command = back ? doctor_psql(d, back) : NULL;

    if (!now && !command && reversible(d->m->phase))
        command = doctor_segue(d, "abort");
    if (now)
        doctor_say(d, DOCTOR_WRONG, "table gone", command,
                   back ? "this gives it back its name; resume, where the migration has stopped"
                        : "give it back its name, or drop it where another has taken its place; "
                          "then resume, or give the migration up",
                   "%s, as it was when the migration was planned, is called %s now", name, now);
    else
        doctor_say(d, DOCTOR_WRONG, "table gone", command,
                   "put it back under its name, or give the migration up",
                   "%s is %s since the migration was planned", name,
                   res_text(place, 0, 0) ? "another table" : "gone");
}

enum rc doctor_relations(struct doctor *d, struct err *err)
{
    for (size_t i = 0; i < d->m->plan->ntables; i++) {
        const struct eng_table *table = &d->m->plan->tables[i];
        bool turned = table->renamed && !reversible(d->m->phase);
        const char *own = turned ? table->renamed : table->name;
        char *name = sql_quote_qualified(table->schema, own), oid[16];
        const char *values[] = {name, oid, table->schema, own};
        enum relations_table state = TABLE_THERE;
        PGresult *place;
        enum rc rc;

        snprintf(oid, sizeof(oid), "%u", table->oid);
        place = conn_params(&d->conn, err, place_sql, (int)ARRAY_LEN(values), values);
        rc = place ? relations_look(&d->conn, d->m->id, table, turned, &state, err) : RC_ERR;
        if (rc == RC_OK && state == TABLE_RESTORED)
            restored(d, name);
        else if (rc == RC_OK && (uint32_t)res_int(place, 0, 0) != table->oid)
            misplaced(d, name, place);
        PQclear(place);
        free(name);
        if (rc != RC_OK)
            return RC_ERR;
    }
    return RC_OK;
}

/* ---- privileges ---- */

static const char privileges_sql[] =
    "SELECT c.oid::regclass, quote_ident(current_user), quote_ident(o.rolname), o.rolname, "
    "o.rolsuper, " DOCTOR_AS_ADMIN(
        "o.oid") ", pg_has_role(o.oid, 'USAGE'), "
                 "quote_ident(n.nspname), " DOCTOR_AS_OWNER(
                     "n.nspowner") " FROM unnest(ARRAY[%s]::text[]) AS "
                                   "l(name) JOIN pg_class c ON c.oid = to_regclass(l.name) JOIN "
                                   "pg_roles o ON o.oid = c.relowner "
                                   "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT "
                                   "pg_has_role(o.oid, 'USAGE') OR NOT "
                                   "has_schema_privilege(n.oid, 'CREATE') ORDER BY 1";
enum { P_TABLE, P_ROLE, P_OWNER, P_OWNER_LOGIN, P_OWNER_SUPER, P_OWNER_ADMIN, P_OWNS, P_SCHEMA };
enum { P_SCHEMA_LOGIN = P_SCHEMA + 1 };

static void not_owner(struct doctor *d, const PGresult *res, int r)
{
    const struct doctor_membership lacks = {
        .role = res_text(res, r, P_ROLE),
        .owner = res_text(res, r, P_OWNER),
        .login = res_text(res, r, P_OWNER_LOGIN),
        .admin = res_text(res, r, P_OWNER_ADMIN),
        .super = res_bool(res, r, P_OWNER_SUPER),
    };
    char *said = mem_printf("role %s is not the owner of %s, and DDL needs that", lacks.role,
                            res_text(res, r, P_TABLE));

    doctor_say_membership(d, &lacks, said);
    free(said);
}

static void may_not_create(struct doctor *d, const PGresult *res, int r)
{
    const char *schema = res_text(res, r, P_SCHEMA), *role = res_text(res, r, P_ROLE);
    char *sql = mem_printf("GRANT CREATE ON SCHEMA %s TO %s", schema, role);

    doctor_say(d, DOCTOR_WRONG, "privilege missing",
               doctor_psql_as(d, res_text(res, r, P_SCHEMA_LOGIN), sql),
               "the owner of the schema, or a superuser, says this: indexes are made there",
               "role %s may not create in the schema of %s", role, res_text(res, r, P_TABLE));
    free(sql);
}

/* DDL needs the owner; an index is made in the table's schema. */
enum rc doctor_privileges(struct doctor *d, struct err *err)
{
    char *names = eng_lock_names(d->m, NULL);
    PGresult *res = conn_query(&d->conn, err, privileges_sql, names);

    free(names);
    if (!res)
        return RC_ERR;
    for (int r = 0; r < PQntuples(res); r++)
        (res_bool(res, r, P_OWNS) ? may_not_create : not_owner)(d, res, r);
    PQclear(res);
    return RC_OK;
}

/* ---- guards ---- */

/* Is the guard to be there? The step that makes it is marked, and no one has begun to drop it. */
static bool guarded(const struct eng_migration *m, int table)
{
    if (m->phase == PH_ABORTING || m->phase == PH_CONTRACTING || m->phase == PH_PLANNED)
        return false;
    for (size_t i = 0; i < m->plan->nsteps; i++) {
        const struct eng_step *step = &m->plan->steps[i];

        for (size_t j = 0; step->stage == ENG_STAGE_EXPAND && step->table == table &&
                           m->step_done[i] && j < step->nsql;
             j++)
            if (strstr(step->sql[j], "\"~segue_guard\""))
                return true;
    }
    return false;
}

/* Roles that came, or were given INSERT or UPDATE, since the plan looked. */
enum rc doctor_writers(struct doctor *d, struct err *err)
{
    for (size_t i = 0; i < d->m->plan->ntables; i++) {
        const struct eng_table *table = &d->m->plan->tables[i];
        char *grant = NULL;

        if (!guarded(d->m, (int)i))
            continue;
        if (writers_look(&d->conn, d->m->plan, table, &grant, err) != RC_OK)
            return RC_ERR;
        if (grant)
            doctor_say(d, DOCTOR_WRONG, "a writer lacks privileges", doctor_psql(d, grant),
                       "its statements fail in the guard until it has them; or revoke its right "
                       "to write",
                       "a role that may write to %s.%s may not use what its guard calls",
                       table->schema, table->name);
        free(grant);
    }
    return RC_OK;
}

static char *all_of(char **sql, size_t n)
{
    struct buf out = {0};

    for (size_t i = 0; i < n; i++) {
        buf_printf(&out, "%s%s", i ? "; " : "", sql[i]);
        free(sql[i]);
    }
    free(sql);
    return buf_take(&out);
}

/* sql: what makes the guard as it is to be. */
static void compare(struct doctor *d, const struct eng_table *table, const char *sql,
                    const PGresult *res)
{
    static const char verify[] = "then segue verify: rows written meanwhile may not be in step";
    char *relation = sql_quote_qualified(table->schema, table->name), *source, *enable;

    if (!res_text(res, 0, 0)) {
        doctor_say(d, DOCTOR_WRONG, "guard missing", doctor_psql(d, sql), verify,
                   "%s has no guard any more: what is written goes to one side only", relation);
        free(relation);
        return;
    }
    source = sql_quote_literal(res_text(res, 0, 1));
    enable = mem_printf("ALTER TABLE %s ENABLE ALWAYS TRIGGER \"~segue_guard\"", relation);
    if (strcmp(res_text(res, 0, 0), "A") != 0)
        doctor_say(d, DOCTOR_WRONG, "guard disabled", doctor_psql(d, enable), verify,
                   "the guard of %s is not, or was not always, on", relation);
    if (!strstr(sql, source) || res_int(res, 0, 2) != 23) /* row, before, insert, update */
        doctor_say(d, DOCTOR_WRONG, "guard changed", doctor_psql(d, sql), verify,
                   "the guard of %s is not the one that segue has made", relation);
    if (res_text(res, 0, 3))
        doctor_say(d, DOCTOR_WRONG, "guard not last", NULL,
                   "give that trigger a name that comes before ~segue_guard in byte order",
                   "trigger %s of %s runs after the guard, and may bring a row out of step",
                   res_text(res, 0, 3), relation);
    free(enable);
    free(source);
    free(relation);
}

/* They are on now: what was written meanwhile is told by nobody else. Before the first verify, and
 * while a turn is under way, segue looks by itself. */
static enum rc doctor_guards_away(struct doctor *d, struct err *err)
{
    PGresult *res;

    if (d->version < RELATIONS_GUARD_SINCE ||
        (d->m->phase != PH_READY && d->m->phase != PH_SOAKING))
        return RC_OK;
    res = conn_query(&d->conn, err,
                     "SELECT DISTINCT c.oid::regclass FROM segue.progress s JOIN pg_class c ON "
                     "c.oid = s.relation WHERE s.migration = %" PRId64 " AND " RELATIONS_GUARD
                     " IS NOT NULL AND NOT " RELATIONS_SEEN " ORDER BY 1",
                     d->m->id, d->m->id);
    for (int r = 0; r < (res ? PQntuples(res) : 0); r++)
        doctor_say(d, DOCTOR_WRONG, "guard was away", doctor_segue(d, "verify"),
                   "rows written meanwhile may not be in step; nothing turns, and nothing is "
                   "dropped, before they are",
                   "the guard was away from %s for a time, or was made anew, and no verify has "
                   "begun since",
                   res_text(res, r, 0));
    PQclear(res);
    return res ? RC_OK : RC_ERR;
}

enum rc doctor_guards(struct doctor *d, struct err *err)
{
    bool reverse = d->m->phase == PH_SOAKING || d->m->phase == PH_REVERTING;

    for (size_t i = 0; i < d->m->plan->ntables; i++) {
        struct eng_table table = d->m->plan->tables[i];
        char **parts, *sql;
        PGresult *res;
        size_t n;

        if (!guarded(d->m, (int)i))
            continue;
        if (reverse && table.renamed)
            table.name = table.renamed; /* the statements are for now */
        res = conn_query(
            &d->conn, err,
            "SELECT g.tgenabled, p.prosrc, g.tgtype, (SELECT min(quote_ident(o.tgname)) FROM "
            "pg_trigger o WHERE o.tgrelid = g.tgrelid AND NOT o.tgisinternal AND o.tgtype & 3 = 3 "
            "AND o.tgname COLLATE \"C\" > g.tgname COLLATE \"C\") FROM pg_class c LEFT JOIN "
            "(pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid) ON g.tgrelid = c.oid AND g.tgname = "
            "'~segue_guard' WHERE c.oid = %u",
            table.oid);
        if (!res)
            return RC_ERR;
        if (PQntuples(res) == 0) { /* that it is gone was told */
            PQclear(res);
            continue;
        }
        parts = eng_guard_sql(&table, reverse ? ENG_REVERSE : ENG_FORWARD, &n);
        sql = all_of(parts, n);
        compare(d, &table, sql, res);
        free(sql);
        PQclear(res);
    }
    return doctor_guards_away(d, err);
}

/* ---- defaults ---- */

enum rc doctor_defaults(struct doctor *d, struct err *err)
{
    bool reverse = d->m->phase == PH_SOAKING || d->m->phase == PH_REVERTING;
    char *look = defaults_following_sql(d->m, reverse);
    PGresult *res = look ? conn_query(&d->conn, err, "%s", look) : NULL;
    enum rc rc = look && !res ? RC_ERR : RC_OK;

    for (int r = 0; res && r < PQntuples(res); r++) {
        const char *table = res_text(res, r, 0), *column = res_text(res, r, 1);
        char *sql = mem_printf("ALTER TABLE %s ALTER COLUMN %s SET DEFAULT NULL", table, column);

        doctor_say(d, DOCTOR_WRONG, "default", doctor_psql(d, sql),
                   "give it to the column that the migration follows now, or later: look at rows"
                   " inserted since, which may hold it in place of what was written",
                   "column %s of %s follows another one, and has a default: %s is taken for what"
                   " somebody has written",
                   column, table, res_text(res, r, 2));
        free(sql);
    }
    PQclear(res);
    free(look);
    return rc;
}

/* ---- indexes and rows ---- */

static bool of_plan(const struct eng_migration *m, const char *index)
{
    for (size_t i = 0; i < m->plan->nsteps; i++) {
        const char *name = m->plan->steps[i].index_name;

        if (name && strcmp(name, index) == 0)
            return true;
    }
    return false;
}

enum rc doctor_indexes(struct doctor *d, struct err *err)
{
    char *names = eng_lock_names(d->m, NULL);
    PGresult *res = conn_query(
        &d->conn, err,
        "SELECT c.relname, c.oid::regclass, i.indrelid::regclass FROM "
        "unnest(ARRAY[%s]::text[]) AS l(name) JOIN pg_index i ON i.indrelid = to_regclass(l.name) "
        "JOIN pg_class c ON c.oid = i.indexrelid AND c.relkind = 'i' WHERE NOT i.indisvalid AND "
        "NOT EXISTS (SELECT 1 FROM pg_stat_progress_create_index p WHERE p.index_relid = c.oid) "
        "ORDER BY 2",
        names);

    free(names);
    if (!res)
        return RC_ERR;
    for (int r = 0; r < PQntuples(res); r++) {
        bool ours = of_plan(d->m, res_text(res, r, 0));
        char *sql = mem_printf("DROP INDEX CONCURRENTLY %s", res_text(res, r, 1));

        doctor_say(d, ours && d->m->phase == PH_BACKFILLING ? DOCTOR_WAITS : DOCTOR_WRONG,
                   "invalid index", ours ? doctor_segue(d, "resume") : doctor_psql(d, sql),
                   ours ? "segue drops it and builds it again when it comes to that step"
                        : "it is not of this migration: a CREATE INDEX CONCURRENTLY that failed",
                   "index %s of %s is invalid, and nobody builds it", res_text(res, r, 1),
                   res_text(res, r, 2));
        free(sql);
    }
    PQclear(res);
    return RC_OK;
}

enum rc doctor_rows(struct doctor *d, struct err *err)
{
    PGresult *res = conn_query(
        &d->conn, err,
        "SELECT rows, bad + nulls, left(sample::text, 200) FROM segue.verifications WHERE "
        "migration = %" PRId64 " ORDER BY id DESC LIMIT 1",
        d->m->id);

    if (!res)
        return RC_ERR;
    if (PQntuples(res) && res_int(res, 0, 1) > 0)
        doctor_say(d, DOCTOR_WRONG, "rows not in step",
                   doctor_segue(d, d->m->phase == PH_VERIFYING ? "resume" : "verify"),
                   "all of the sample: segue.verifications; correct the cause, then verify again",
                   "the last verify found %" PRId64 " of %" PRId64 " rows not in step: %s",
                   res_int(res, 0, 1), res_int(res, 0, 0), res_text(res, 0, 2));
    PQclear(res);
    return RC_OK;
}
