/*
 * What logical replication needs: of a published table the server refuses each UPDATE and DELETE
 * that it could not tell subscribers the row of. So a table has its replica identity before segue
 * updates it. A publication may be of a partition alone, and
 * the identity is each partition's own.
 */
#include <stdlib.h>
#include <string.h>

#include "plan_build.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"

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
    enum rc rc = t->fills || t->mends ? own_query(b, sql, 1, params, &res, b->err) : RC_OK;

    if (rc == RC_OK && res && PQntuples(res))
        build_refuse(b, PQgetvalue(res, 0, 0), HINT,
                     "publication %s sends its updates, and it has no replica identity: the server"
                     " refuses each UPDATE of it, segue's too",
                     PQgetvalue(res, 0, 1));
    PQclear(res);
    free(oid);
    return rc;
}
