/*
 * Operations on whole things: tables that go, indexes that go, the replica identity. None of them
 * has a new side beside the old one, so each says when it happens: what is dropped is so for
 * everybody at complete, the replica identity turns with the cut-over.
 */
#include <stdlib.h>
#include <string.h>

#include "dependents.h"
#include "plan_block.h"
#include "plan_build.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"

#define INSTANT "an instant; lock_timeout, retried"
#define EXCLUSIVE "ACCESS EXCLUSIVE"

char *plan_path(const struct file_op *op, const char *field)
{
    return mem_printf("operations[%zu].%s.%s", op->index, file_op_name(op->kind), field);
}

char *plan_name(const struct file_op *op)
{
    return op->table.schema ? sql_quote_qualified(op->table.schema, op->table.name)
                            : sql_quote_ident(op->table.name);
}

enum rc plan_fail(struct build *b, const struct file_op *op, const char *field, const char *hint,
                  const char *fmt, ...)
{
    char *path = plan_path(op, field);
    struct buf text = {0};
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    if (hint)
        err_hint(b->err, "%s", hint);
    build_fail(b, path, "%s", text.data);
    buf_fini(&text);
    free(path);
    return RC_ERR;
}

enum rc plan_check_whose(struct build *b, const struct file_op *op, const char *field,
                         const char *relation, const char *relkind, const char *schema)
{
    char *path = plan_path(op, field);
    enum rc rc = check_users_table(b, path, relation, relkind, schema);

    free(path);
    return rc;
}

/* One row about what the operation names; RC_ERR with line and path when there is none. */
enum rc plan_look(struct build *b, const struct file_op *op, const char *field, const char *what,
                  const char *sql, PGresult **res)
{
    bool type = op->kind == FILE_ADD_ENUM_VALUE || op->kind == FILE_REMOVE_ENUM;
    char *name = plan_name(op), *there = NULL;
    const char *params[] = {NULL, op->from, op->identity_index};
    enum rc rc = (type ? type_named : relation_named)(b, name, &there, b->err);

    params[0] = there;
    if (rc == RC_OK)
        rc = own_query(b, sql, 3, params, res, b->err);
    free(there);
    if (rc == RC_OK && PQntuples(*res) == 0) {
        PQclear(*res);
        *res = NULL;
        rc = plan_fail(b, op, field, "look at the connection's search_path", "there is no %s %s",
                       what, name);
    }
    free(name);
    return rc;
}

static bool yes(const PGresult *res, int column)
{
    return PQgetvalue(res, 0, column)[0] == 't';
}

void plan_refuse_not_owned(struct build *b, const char *object, bool owned)
{
    if (!owned)
        build_refuse(b, object, "connect as a role that owns it", "only an owner can change it");
}

/* ---- drop_table ---- */

static const char table_sql[] =
    "SELECT c.oid, format('%I.%I', n.nspname, c.relname), c.relkind,"
    " c.relispartition, n.nspname, pg_has_role(c.relowner, 'USAGE'), c.relname,"
    " (SELECT string_agg(e.extname, ', ') FROM pg_depend d JOIN pg_extension e ON e.oid ="
    "  d.refobjid WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'),"
    " (SELECT string_agg(DISTINCT p.pubname, ', ') FROM pg_publication_rel r JOIN pg_publication p"
    "  ON p.oid = r.prpubid WHERE r.prrelid = c.oid),"
    " (SELECT string_agg(DISTINCT k.confrelid::regclass::text, ', ') FROM pg_constraint k"
    "  WHERE k.conrelid = c.oid AND k.contype = 'f' AND k.confrelid <> c.oid),"
    " (SELECT string_agg(DISTINCT format('%I.%I', fn.nspname, f.relname), ', ')"
    "  FROM pg_constraint k JOIN pg_class f ON f.oid = k.confrelid"
    "  JOIN pg_namespace fn ON fn.oid = f.relnamespace"
    "  WHERE k.conrelid = c.oid AND k.contype = 'f' AND k.confrelid <> c.oid)"
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)"
    " AND $2::text IS NULL AND $3::text IS NULL";

const struct target *plan_target(const struct build *b, const char *oid)
{
    for (size_t i = 0; i < b->ntargets; i++)
        if (json_integer_value(json_object_get(b->targets[i].doc, "oid")) == atoll(oid))
            return &b->targets[i];
    return NULL;
}

bool plan_drops(const struct build *b, const char *oid)
{
    return texts_has(&b->dropped, oid);
}

static void refuse_drop(struct build *b, const PGresult *res)
{
    const char *relation = PQgetvalue(res, 0, 1);

    if (yes(res, 3))
        build_refuse(b, relation, "detach it first", "it is a partition");
    plan_refuse_not_owned(b, relation, yes(res, 5));
    if (!PQgetisnull(res, 0, 7))
        build_refuse(b, relation, "drop the extension instead", "it belongs to extension %s",
                     PQgetvalue(res, 0, 7));
    if (plan_target(b, PQgetvalue(res, 0, 0)))
        build_refuse(b, relation, "leave out one of them",
                     "the file drops it, and changes it by another operation");
    if (!PQgetisnull(res, 0, 8))
        build_warn(b, relation, NULL, "complete takes it out of publication %s",
                   PQgetvalue(res, 0, 8));
    if (!PQgetisnull(res, 0, 9))
        build_warn(b, relation, "let the new revision delete its rows first, where that matters",
                   "until complete its foreign keys hold rows of %s: they cannot be deleted while"
                   " it refers to them",
                   PQgetvalue(res, 0, 9));
}

static char *same_table_sql(const char *relation, const char *oid)
{
    char *name = sql_quote_literal(relation);
    char *body = mem_printf(
        "BEGIN IF pg_catalog.to_regclass(%s)::pg_catalog.oid OPERATOR(pg_catalog.<>) %s THEN"
        " RAISE object_not_in_prerequisite_state USING MESSAGE = pg_catalog.concat(%s,"
        " ' is another table than the one that was there at the start'),"
        " HINT = 'give it another name, then ask again (or resume)'; END IF; END",
        name, oid, name);

    free(name);
    return build_do_take(body);
}

void plan_same_table(struct eng_step *step, const char *relation, const char *oid)
{
    char *sql = same_table_sql(relation, oid);

    step_sql(step, "%s", sql);
    free(sql);
}

struct drops {
    struct buf oids, names, locks;
    struct texts relations, names_here; /* as the server quotes them, and as segue does */
};

static enum rc add_drop(struct build *b, const struct file_op *op, struct drops *drops)
{
    PGresult *res;
    const char *relation;
    char *here;
    enum rc rc;

    if (plan_look(b, op, "name", "table", table_sql, &res) != RC_OK)
        return RC_ERR;
    relation = PQgetvalue(res, 0, 1);
    rc = plan_check_whose(b, op, "name", relation, PQgetvalue(res, 0, 2), PQgetvalue(res, 0, 4));
    if (rc == RC_OK && texts_has(&drops->relations, relation))
        rc = plan_fail(b, op, "name", "leave out one of them", "table %s is dropped twice",
                       relation);
    if (rc != RC_OK) {
        PQclear(res);
        return RC_ERR;
    }
    refuse_drop(b, res);
    texts_add(&drops->relations, "%s", relation);
    here = sql_quote_qualified(PQgetvalue(res, 0, 4), PQgetvalue(res, 0, 6));
    texts_add(&drops->names_here, "%s", here);
    free(here);
    texts_add(&b->dropped, "%s", PQgetvalue(res, 0, 0));
    buf_printf(&drops->oids, "%s%s", drops->oids.len ? "," : "{", PQgetvalue(res, 0, 0));
    buf_printf(&drops->names, "%s%s", drops->names.len ? ", " : "", relation);
    buf_printf(&drops->locks, "%s%s%s%s", drops->locks.len ? ", " : "", relation,
               PQgetisnull(res, 0, 10) ? "" : ", ",
               PQgetisnull(res, 0, 10) ? "" : PQgetvalue(res, 0, 10));
    PQclear(res);
    return RC_OK;
}

static enum rc refuse_table_dependents(struct build *b, struct drops *drops)
{
    const char *params[] = {drops->oids.data};
    PGresult *res;

    buf_append_str(&drops->oids, "}");
    params[0] = drops->oids.data;
    if (own_query(b, DEPENDENTS_OF_TABLES("$1::oid[]"), 1, params, &res, b->err) != RC_OK)
        return RC_ERR;
    for (int i = 0; i < PQntuples(res); i++)
        build_refuse(b, PQgetvalue(res, i, 0), "drop it first; a table may go by the same file",
                     "it depends on what drop_table drops (%s)", drops->names.data);
    PQclear(res);
    return RC_OK;
}

static void drop_step(struct build *b, const struct file_op *op, const struct drops *drops)
{
    struct eng_step *step =
        build_step(b, ENG_STAGE_CONTRACT, ENG_STEP_DDL, -1, "drop %s", drops->names.data);
    struct eng_plan *plan = b->plan;

    for (size_t i = 0; i < drops->relations.n; i++) {
        char *look = same_table_sql(drops->relations.v[i], b->dropped.v[i]);

        step_sql(step, ENG_LOOKS "%s", look);
        free(look);
    }
    step_sql(step, "DROP TABLE IF EXISTS %s", drops->names.data);
    step_lock(step, EXCLUSIVE, drops->locks.data, INSTANT);
    step_rank(step, op->index);
    plan->dropped = mem_calloc(drops->relations.n, sizeof(*plan->dropped));
    for (size_t i = 0; i < drops->relations.n; i++)
        plan->dropped[plan->ndropped++] = mem_strdup(drops->names_here.v[i]);
}

/* All of the file's at once: they may refer to each other. */
enum rc plan_drop_table(struct build *b, const struct file_op *op)
{
    struct drops drops = {0};
    enum rc rc = RC_OK;

    if (b->plan->ndropped)
        return RC_OK;
    for (size_t i = op->index; rc == RC_OK && i < b->file->nops; i++)
        if (b->file->ops[i].kind == FILE_DROP_TABLE)
            rc = add_drop(b, &b->file->ops[i], &drops);
    if (rc == RC_OK)
        rc = refuse_table_dependents(b, &drops);
    if (rc == RC_OK)
        drop_step(b, op, &drops);
    texts_fini(&drops.relations);
    texts_fini(&drops.names_here);
    buf_fini(&drops.oids);
    buf_fini(&drops.names);
    buf_fini(&drops.locks);
    return rc;
}

/* ---- drop_index ---- */

/* With it go its parts, where it is one of a partitioned table. */
#define PARTS "(SELECT c.oid UNION SELECT relid FROM pg_partition_tree(c.oid))"

static const char index_sql[] =
    "SELECT format('%I.%I', n.nspname, c.relname), format('%I.%I', tn.nspname, t.relname),"
    " (SELECT h.inhparent::regclass FROM pg_inherits h WHERE h.inhrelid = c.oid),"
    " pg_has_role(c.relowner, 'USAGE'), (SELECT min(x.indrelid::regclass::text) FROM pg_index x"
    "  WHERE x.indexrelid IN " PARTS " AND x.indisreplident),"
    " i.indisunique, (SELECT string_agg(format('%I', k.conname), ', ') FROM pg_constraint k"
    "  WHERE k.conindid IN " PARTS " AND k.contype IN ('p', 'u', 'x')),"
    " (SELECT string_agg(pg_describe_object(d.classid, d.objid, d.objsubid), ', ')"
    "  FROM pg_depend d WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid IN " PARTS
    "  AND d.deptype = 'n'), CASE c.relkind WHEN 'I' THEN replace(pg_get_indexdef(c.oid),"
    "  ' ON ONLY ', ' ON ') ELSE replace(pg_get_indexdef(c.oid), ' INDEX ',"
    "  ' INDEX CONCURRENTLY ') END, c.oid, tn.nspname, c.relkind = 'I', t.oid"
    " FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
    " JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_class t ON t.oid = i.indrelid"
    " JOIN pg_namespace tn ON tn.oid = t.relnamespace WHERE c.oid = to_regclass($1)"
    " AND $2::text IS NULL AND $3::text IS NULL";

static void refuse_index(struct build *b, const char *object, const PGresult *res)
{
    plan_refuse_not_owned(b, object, yes(res, 3));
    if (!PQgetisnull(res, 0, 2))
        build_refuse(b, object, "drop_index of that one takes it along",
                     "it is the part of index %s for a partition, and cannot go alone",
                     PQgetvalue(res, 0, 2));
    if (!PQgetisnull(res, 0, 6))
        build_refuse(b, object, "use drop_constraint", "constraint %s needs it",
                     PQgetvalue(res, 0, 6));
    else if (!PQgetisnull(res, 0, 7))
        build_refuse(b, object, "drop that first", "%s needs it", PQgetvalue(res, 0, 7));
    if (!PQgetisnull(res, 0, 4))
        build_refuse(b, object, "use set_replica_identity in an earlier migration",
                     "it is the replica identity of %s", PQgetvalue(res, 0, 4));
}

/* Somebody may have given its name to something else while it was in flight, or need it by now.
 * Made anew (REINDEX CONCURRENTLY), or for the column's other half, it has another oid. */
static char *look_at_index(const PGresult *res)
{
    char *index = sql_quote_literal(PQgetvalue(res, 0, 0));
    char *table = sql_quote_literal(PQgetvalue(res, 0, 1));
    char *look = mem_printf(
        BUILD_OWN_NAMES
        "SELECT CASE WHEN i.indrelid IS DISTINCT FROM %s THEN concat(%s, ' is not the index of ',"
        " %s, ' any more that was there at the start') ELSE (SELECT concat(w.what, ' needs index ',"
        " %s, ' by now') FROM (SELECT format('constraint %%I', k.conname) AS what FROM"
        "  pg_constraint k WHERE k.conindid IN " PARTS " AND k.contype IN ('p', 'u', 'x') UNION ALL"
        "  SELECT pg_describe_object(d.classid, d.objid, d.objsubid) FROM pg_depend d WHERE"
        "  d.refclassid = 'pg_class'::regclass AND d.refobjid IN " PARTS " AND d.deptype = 'n'"
        "  UNION ALL SELECT concat('the replica identity of ', x.indrelid::regclass) FROM pg_index "
        "x"
        "  WHERE x.indexrelid IN " PARTS " AND x.indisreplident) w LIMIT 1) END INTO segue_text"
        " FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid WHERE c.oid ="
        " to_regclass(%s); IF segue_text IS NOT NULL THEN RAISE object_not_in_prerequisite_state"
        " USING MESSAGE = segue_text, HINT = 'give it another name where it is to stay, then"
        " complete (or resume)'; END IF;" BUILD_NAMES_AGAIN,
        PQgetvalue(res, 0, 12), index, table, index, index);

    free(table);
    free(index);
    return build_do_take(look);
}

/* PostgreSQL drops one of a partitioned table under a strong lock alone: an instant. Any other
 * outside a transaction: the look is a step of its own. */
static void drop_index_step(struct build *b, const char *object, const PGresult *res, size_t index)
{
    bool whole = yes(res, 11);
    char *look = look_at_index(res);
    struct eng_step *step = build_step(b, ENG_STAGE_CONTRACT, ENG_STEP_DDL, -1,
                                       whole ? "drop %s" : "look at %s before it goes", object);

    step_sql(step, ENG_LOOKS "%s", look);
    free(look);
    if (!whole) {
        step_rank(step, index);
        step = build_step(b, ENG_STAGE_CONTRACT, ENG_STEP_CONCURRENTLY, -1, "drop %s", object);
    }
    step_sql(step, "DROP INDEX %sIF EXISTS %s", whole ? "" : "CONCURRENTLY ",
             PQgetvalue(res, 0, 0));
    if (whole)
        step_lock(step, EXCLUSIVE, PQgetvalue(res, 0, 1), INSTANT);
    else
        step_lock(step, "SHARE UPDATE EXCLUSIVE", PQgetvalue(res, 0, 1),
                  "waits for queries, blocks none");
    step_rank(step, index);
}

enum rc plan_drop_index(struct build *b, const struct file_op *op)
{
    char *object, *hint;
    PGresult *res;

    if (plan_look(b, op, "name", "index", index_sql, &res) != RC_OK)
        return RC_ERR;
    if (plan_check_whose(b, op, "name", PQgetvalue(res, 0, 1), "", PQgetvalue(res, 0, 10)) !=
        RC_OK) {
        PQclear(res);
        return RC_ERR;
    }
    object = mem_printf("index %s", PQgetvalue(res, 0, 0));
    hint = mem_printf("the way back afterwards: %s", PQgetvalue(res, 0, 8));
    refuse_index(b, object, res);
    texts_add(&b->gone_indexes, "%s", PQgetvalue(res, 0, 9));
    build_warn(b, object, hint, "it works until complete drops it%s%s",
               yes(res, 11) ? ", those of all partitions with it" : "",
               yes(res, 5) ? "; it keeps keys unique, and ON CONFLICT may need it" : "");
    drop_index_step(b, object, res, op->index);
    free(hint);
    free(object);
    PQclear(res);
    return RC_OK;
}

/* ---- set_replica_identity ---- */

enum { I_COLUMNS = 8, I_OID, I_SCHEMA, I_ROOT, I_PRIMARY, I_INDEX, I_CONSTRAINT };
static const char identity_sql[] =
    "SELECT format('%I.%I', n.nspname, c.relname), c.relkind,"
    " pg_has_role(c.relowner, 'USAGE'), c.relkind = 'p',"
    " EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisprimary),"
    " (SELECT string_agg(DISTINCT p.pubname, ', ') FROM pg_publication p"
    "  JOIN pg_publication_tables t ON t.pubname = p.pubname WHERE t.schemaname = n.nspname"
    "  AND t.tablename = c.relname AND (p.pubupdate OR p.pubdelete)),"
    " CASE c.relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING' WHEN 'd' THEN 'DEFAULT'"
    "  ELSE (SELECT 'USING INDEX ' || quote_ident(x.relname) FROM pg_index i JOIN pg_class x"
    "   ON x.oid = i.indexrelid WHERE i.indrelid = c.oid AND i.indisreplident) END,"
    " x.fit, x.columns, c.oid, n.nspname, coalesce(pg_partition_root(c.oid)::oid, c.oid),"
    " x.primary, x.index, x.constraint FROM pg_class c JOIN pg_namespace n ON n.oid ="
    " c.relnamespace"
    " LEFT JOIN LATERAL (SELECT i.indisunique AND i.indimmediate AND i.indisvalid AND"
    "   i.indpred IS NULL AND i.indexprs IS NULL AND (SELECT bool_and(a.attnotnull)"
    "   FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (i.indkey::int2[])) AS fit,"
    "  (SELECT json_agg(a.attname) FROM pg_attribute a WHERE a.attrelid = c.oid"
    "   AND a.attnum = ANY (i.indkey::int2[])) AS columns, i.indisprimary AS primary,"
    "  i.indexrelid AS index, (SELECT q.conname FROM pg_constraint q WHERE q.conindid ="
    "   i.indexrelid AND q.contype IN ('p', 'u', 'x')) AS constraint"
    "  FROM pg_index i JOIN pg_class k ON k.oid = i.indexrelid WHERE i.indrelid = c.oid"
    "  AND k.relname = $3) x ON true WHERE c.oid = to_regclass($1) AND $2::text IS NULL";

/* By this file, and in place or not: from the cut-over on it may be NULL. */
static bool frees(const struct build *b, const struct target *t, const char *column)
{
    for (size_t i = 0; i < b->file->nops; i++) {
        const struct file_op *op = &b->file->ops[i];

        if (op->kind == FILE_ALTER_COLUMN && b->op_target[i] == t - b->targets &&
            op->nullable == FILE_YES && !strcmp(op->column, column))
            return true;
    }
    return false;
}

/* A partition's part gets no new one under its name (plan_parts.c), unless it is the key's. */
static bool replaces(const struct target *t, const PGresult *res, const char *column)
{
    char *name = sql_quote_ident(column);
    bool part = strcmp(PQgetvalue(res, 0, I_ROOT), PQgetvalue(res, 0, I_OID)) != 0;
    bool is = part ? texts_has(&t->from, column) && !yes(res, I_PRIMARY)
                   : texts_has(&t->old_columns, name);

    free(name);
    return is;
}

/* An index on a column that goes would go with it, and leave the table without an identity; so
 * would one that goes itself. */
static void refuse_moving_index(struct build *b, const struct file_op *op, const PGresult *res)
{
    const char *index = op->identity_index;
    const struct target *t = plan_target(b, PQgetvalue(res, 0, I_ROOT));
    json_t *list = json_loads(PQgetvalue(res, 0, I_COLUMNS), 0, NULL);

    for (size_t i = 0; t && i < json_array_size(list); i++) {
        const char *column = json_string_value(json_array_get(list, i));
        char *name = sql_quote_ident(column);

        if (replaces(t, res, column))
            build_refuse(b, index, "set it in a migration of its own, afterwards",
                         "it is on column %s, which this file replaces", name);
        else if (frees(b, t, column))
            build_refuse(b, index, "leave out one of the two",
                         "its column %s may be NULL from the cut-over on: it could not be a"
                         " replica identity",
                         name);
        free(name);
    }
    if (texts_has(&b->gone_indexes, PQgetvalue(res, 0, I_INDEX)) ||
        (t && texts_has(&t->released, PQgetvalue(res, 0, I_CONSTRAINT))))
        build_refuse(b, index, "leave out one of the two",
                     "this file drops it: complete would leave table %s without an identity",
                     PQgetvalue(res, 0, 0));
    json_decref(list);
}

/* The columns of a unique index that the file makes under that name; false: it makes none. */
static bool made_index(const struct build *b, const struct target *t, const char *name,
                       struct texts *columns)
{
    for (size_t i = 0; i < b->file->nops; i++) {
        const struct file_op *op = &b->file->ops[i];
        const struct file_constraint *c = &op->constraint;

        if (b->op_target[i] != t - b->targets)
            continue;
        if (op->kind == FILE_CREATE_INDEX && op->unique && !op->predicate &&
            !strcmp(op->name, name)) {
            for (size_t k = 0; k < op->nkeys; k++)
                texts_add(columns, "%s", op->keys[k].column);
            return true;
        }
        if (op->kind == FILE_CREATE_CONSTRAINT && !c->deferrable && !strcmp(c->name, name) &&
            (c->kind == FILE_UNIQUE || c->kind == FILE_PRIMARY_KEY)) {
            for (size_t k = 0; k < c->columns.n; k++)
                texts_add(columns, "%s", c->columns.v[k]);
            return true;
        }
    }
    return false;
}

/* An index that is not there yet has its name when the cut-over comes. */
static enum rc check_made(struct build *b, const struct file_op *op, const PGresult *res)
{
    const struct target *t = plan_target(b, PQgetvalue(res, 0, I_OID));
    struct texts columns = {0};
    bool made = t && made_index(b, t, op->identity_index, &columns), fit = made;
    enum rc rc = RC_OK;

    for (size_t i = 0; i < columns.n; i++) {
        const json_t *column = cat_column(t->doc, columns.v[i]);

        fit &= column && json_is_true(json_object_get(column, "not_null")) &&
               !texts_has(&t->from, columns.v[i]) && !texts_has(&t->dropped, columns.v[i]) &&
               !frees(b, t, columns.v[i]);
    }
    if (!made)
        rc = plan_fail(b, op, "identity.index", "name an index of this table",
                       "table %s has no index \"%s\"", PQgetvalue(res, 0, 0), op->identity_index);
    else if (!fit)
        rc =
            plan_fail(b, op, "identity.index",
                      "make it on columns that are NOT NULL before this file, and stay as they are;"
                      " or set it in a migration after this one",
                      "index \"%s\", which this file makes, cannot be a replica identity yet",
                      op->identity_index);
    texts_fini(&columns);
    return rc;
}

static enum rc check_identity(struct build *b, const struct file_op *op, const PGresult *res)
{
    const char *relation = PQgetvalue(res, 0, 0);
    bool bare =
        !strcmp(op->identity, "NOTHING") || (!strcmp(op->identity, "DEFAULT") && !yes(res, 4));

    if (plan_check_whose(b, op, "table", relation, PQgetvalue(res, 0, 1),
                         PQgetvalue(res, 0, I_SCHEMA)) != RC_OK)
        return RC_ERR;
    plan_refuse_not_owned(b, relation, yes(res, 2));
    if (yes(res, 3))
        build_warn(b, relation, "name each partition in the file",
                   "its partitions keep their own replica identity");
    if (bare && !PQgetisnull(res, 0, 5))
        build_refuse(b, relation,
                     "take it out of the publication first, or choose FULL or an index",
                     "publication %s sends its updates and deletes: without an identity they would"
                     " fail",
                     PQgetvalue(res, 0, 5));
    if (!op->identity_index)
        return RC_OK;
    if (PQgetisnull(res, 0, 7))
        return check_made(b, op, res);
    if (!yes(res, 7))
        return plan_fail(b, op, "identity.index",
                         "it must be unique, valid, not deferrable, without WHERE or expressions, "
                         "on columns that are NOT NULL",
                         "index \"%s\" cannot be a replica identity", op->identity_index);
    refuse_moving_index(b, op, res);
    return RC_OK;
}

enum rc plan_replica_identity(struct build *b, const struct file_op *op)
{
    const char *relation, *holds = "the cut-over: an instant, traffic held at the gate";
    struct eng_step *step;
    PGresult *res;
    char *index, *what;

    if (plan_look(b, op, "table", "table", identity_sql, &res) != RC_OK)
        return RC_ERR;
    if (check_identity(b, op, res) != RC_OK) {
        PQclear(res);
        return RC_ERR;
    }
    relation = PQgetvalue(res, 0, 0);
    index = op->identity_index ? sql_quote_ident(op->identity_index) : mem_strdup("");
    what = mem_printf("%s%s%s", *index ? "USING " : "", op->identity, *index ? " " : "");
    step = build_step(b, ENG_STAGE_CUTOVER, ENG_STEP_DDL, -1, "replica identity of %s: %s%s",
                      relation, what, index);
    step_sql(step, "ALTER TABLE %s REPLICA IDENTITY %s%s", relation, what, index);
    step_lock(step, EXCLUSIVE, relation, holds);
    step = build_step(b, ENG_STAGE_REVERT, ENG_STEP_DDL, -1, "replica identity of %s: back to %s",
                      relation, PQgetvalue(res, 0, 6));
    step_sql(step, "ALTER TABLE %s REPLICA IDENTITY %s", relation, PQgetvalue(res, 0, 6));
    step_lock(step, EXCLUSIVE, relation, holds);
    step->no = -1; /* in front of columns of its index that may be NULL again */
    free(what);
    free(index);
    PQclear(res);
    return RC_OK;
}
