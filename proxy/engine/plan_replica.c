/*
 * What logical replication needs: of a published table the server refuses each UPDATE and DELETE
 * that it could not tell subscribers the row of. So a table has its replica identity before segue
 * updates it, and keeps one whatever the file drops. A publication may be of a partition alone, and
 * the identity is each partition's own. And subscribers have each column that is sent: those that
 * expand adds, too.
 */
#include <stdlib.h>
#include <string.h>

#include "plan_build.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"

#define HINT                                                                                       \
    "set_replica_identity in an earlier migration, or ALTER TABLE ... REPLICA IDENTITY FULL"

/* $1, an oid, and what is below it: as a list of oids. */
#define TREE "(SELECT $1::oid UNION SELECT relid FROM pg_partition_tree($1::oid::regclass))"

/* What each publication (p) sends, read once. A condition on that follows. */
#define SENT                                                                                       \
    "MATERIALIZED (SELECT r.oid, p.pubname FROM pg_publication p"                                  \
    " JOIN pg_publication_tables t ON t.pubname = p.pubname JOIN pg_namespace rn"                  \
    " ON rn.nspname = t.schemaname JOIN pg_class r ON r.relnamespace = rn.oid"                     \
    " AND r.relname = t.tablename WHERE "

/* Of a row of pg_class called k: the names of these publications. */
#define PUBLICATIONS                                                                               \
    "LATERAL (SELECT string_agg(DISTINCT pubname, ', ') AS names FROM sent WHERE oid IN"           \
    " (SELECT k.oid UNION SELECT relid FROM pg_partition_ancestors(k.oid))) publications"

static char *oid_of(const json_t *object)
{
    return mem_printf("%lld", (long long)json_integer_value(json_object_get(object, "oid")));
}

enum rc replica_judge_updates(struct build *b, const struct target *t)
{
    static const char sql[] =
        "WITH sent AS " SENT "p.pubupdate)"
        " SELECT format('%I.%I', n.nspname, k.relname), publications.names FROM pg_class k"
        " JOIN pg_namespace n ON n.oid = k.relnamespace, " PUBLICATIONS " WHERE k.oid IN " TREE
        " AND k.relkind = 'r' AND k.relreplident <> 'f' AND publications.names IS NOT NULL"
        " AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = k.oid AND i.indisvalid AND"
        " i.indimmediate AND CASE k.relreplident WHEN 'd' THEN i.indisprimary"
        " WHEN 'i' THEN i.indisreplident END) ORDER BY k.oid LIMIT 1";
    char *oid = oid_of(t->doc);
    const char *params[] = {oid};
    PGresult *res = NULL;
    enum rc rc = t->fills || t->mend.n ? own_query(b, sql, 1, params, &res, b->err) : RC_OK;

    if (rc == RC_OK && res && PQntuples(res))
        build_refuse(b, PQgetvalue(res, 0, 0), HINT,
                     "publication %s sends its updates, and it has no replica identity: the server"
                     " refuses each UPDATE of it, segue's too",
                     PQgetvalue(res, 0, 1));
    PQclear(res);
    free(oid);
    return rc;
}

/* Does the file give the table another identity with the cut-over? Never that of partitions. */
static enum rc gets_another(struct build *b, const struct target *t, const json_t *index, bool *yes)
{
    char *oid = oid_of(t->doc);
    enum rc rc = RC_OK;

    *yes = false;
    for (size_t i = 0; rc == RC_OK && i < b->file->nops; i++) {
        const struct file_op *op = &b->file->ops[i];
        char *name, *there = NULL, *same = NULL;

        if (op->kind != FILE_SET_REPLICA_IDENTITY || strcmp(cat_text(t->doc, "relkind"), "r") ||
            !(op->identity_index ? strcmp(op->identity_index, cat_text(index, "name")) != 0
                                 : !strcmp(op->identity, "FULL")))
            continue;
        name = plan_name(op);
        rc = relation_named(b, name, &there, b->err);
        if (rc == RC_OK) {
            const char *params[] = {there, oid};

            rc = own_value(b, "SELECT 1 WHERE to_regclass($1) = $2::oid", 2, params, &same, b->err);
        }
        *yes |= same != NULL;
        free(same);
        free(there);
        free(name);
    }
    free(oid);
    return rc;
}

enum rc replica_judge_index(struct build *b, const struct target *t, const json_t *index,
                            const char *object, bool *refused)
{
    static const char sql[] =
        "WITH sent AS " SENT "p.pubupdate OR p.pubdelete)"
        " SELECT publications.names FROM pg_index i JOIN pg_class k ON k.oid = i.indrelid,"
        " " PUBLICATIONS " WHERE i.indexrelid IN " TREE " AND k.relkind = 'r' AND i.indimmediate"
        " AND CASE k.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident END"
        " AND publications.names IS NOT NULL ORDER BY k.oid LIMIT 1";
    char *oid = oid_of(index), *names = NULL;
    const char *params[] = {oid};
    bool another;
    enum rc rc = gets_another(b, t, index, &another);

    if (rc == RC_OK && !another)
        rc = own_value(b, sql, 1, params, &names, b->err);
    *refused = names != NULL;
    if (names)
        build_refuse(b, object, HINT,
                     "publication %s sends updates and deletes by it: without, they would fail",
                     names);
    free(names);
    free(oid);
    return rc;
}

enum rc replica_judge_null(struct build *b, const struct target *t, const char *column)
{
    static const char sql[] =
        "SELECT format('index %I.%I', n.nspname, x.relname), i.indrelid::regclass FROM pg_index i"
        " JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_namespace n ON n.oid = x.relnamespace"
        " JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = $2 WHERE i.indisreplident"
        " AND i.indrelid IN " TREE " AND a.attnum = ANY (i.indkey::int2[]) ORDER BY 1 LIMIT 1";
    char *oid = oid_of(t->doc);
    const char *params[] = {oid, column};
    PGresult *res = NULL;
    enum rc rc = own_query(b, sql, 2, params, &res, b->err);

    if (rc == RC_OK && PQntuples(res))
        build_refuse(b, PQgetvalue(res, 0, 0), HINT,
                     "it is the replica identity of %s: its column %s cannot be NULL",
                     PQgetvalue(res, 0, 1), column);
    PQclear(res);
    free(oid);
    return rc;
}

/* ---- who else has the table's columns ---- */

/* Publications of the table, or of parts of it, that send columns which are yet to come. */
static const char senders_sql[] =
    "WITH sent AS " SENT "NOT EXISTS (SELECT FROM pg_publication_rel l WHERE l.prpubid = p.oid"
    " AND to_jsonb(l) ->> 'prattrs' IS NOT NULL AND l.prrelid IN"
    " (SELECT r.oid UNION SELECT relid FROM pg_partition_ancestors(r.oid))))"
    " SELECT string_agg(DISTINCT publications.names, ', ') FROM pg_class k, " PUBLICATIONS
    " WHERE k.oid IN " TREE;
static const char receivers_sql[] =
    "SELECT string_agg(DISTINCT s.subname, ', ') FROM pg_subscription_rel r JOIN pg_subscription s"
    " ON s.oid = r.srsubid WHERE r.srrelid IN " TREE;

static void warn_of_new(struct build *b, const struct target *t, const char *publications)
{
    const struct eng_table *table = &b->plan->tables[t->table];
    struct buf add = {0}, alter = {0};

    for (size_t i = 0; i < table->nduals; i++) {
        const struct eng_dual *dual = &table->duals[i];
        char *new = sql_quote_ident(dual->new_name ? dual->new_name : "");
        char *old = sql_quote_ident(dual->old_name ? dual->old_name : "");

        if (texts_has(&t->new_columns, new))
            buf_printf(&add, "; ALTER TABLE %s ADD COLUMN %s %s", t->relation, new, dual->new_type);
        if (dual->retypes)
            buf_printf(&alter, "; ALTER TABLE %s ALTER COLUMN %s TYPE %s", t->relation, old,
                       dual->new_type);
        free(old);
        free(new);
    }
    if (alter.len) {
        buf_append_str(&add, "; and before the cut-over, from which on values of the new type have"
                             " the old name: ");
        buf_append_str(&add, alter.data + 2);
    }
    if (add.len)
        build_warn(b, t->relation, add.data + 2,
                   "publication %s sends it: a subscriber (PostgreSQL) without the new columns"
                   " stops at the first row after start, and its slot keeps WAL. There, before"
                   " start, run what the hint says",
                   publications);
    buf_fini(&alter);
    buf_fini(&add);
}

static void warn_of_old(struct build *b, const struct target *t, const char *subscriptions)
{
    const struct eng_table *table = &b->plan->tables[t->table];
    struct buf names = {0};

    for (size_t i = 0; i < table->nduals; i++) {
        const struct eng_dual *dual = &table->duals[i];

        if (dual->old_name && !dual->retypes)
            buf_printf(&names, "%s%s", names.len ? ", " : "", dual->old_name);
    }
    if (names.len)
        build_warn(b, t->relation, "carry out the same at the publisher before complete",
                   "subscription %s fills it: it stops at the first row after complete, if the"
                   " publisher still sends %s",
                   subscriptions, names.data);
    buf_fini(&names);
}

enum rc replica_warn_others(struct build *b, const struct target *t)
{
    char *oid, *names = NULL;
    const char *params[1];
    enum rc rc;

    if (t->table < 0)
        return RC_OK;
    params[0] = oid = oid_of(t->doc);
    rc = own_value(b, senders_sql, 1, params, &names, b->err);
    if (rc == RC_OK && names)
        warn_of_new(b, t, names);
    free(names);
    names = NULL;
    if (rc == RC_OK)
        rc = own_value(b, receivers_sql, 1, params, &names, b->err);
    if (rc == RC_OK && names)
        warn_of_old(b, t, names);
    free(names);
    free(oid);
    return rc;
}
