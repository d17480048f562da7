/*
 * A row a kind of statement: free, never, a relation with its lock, or a function that looks
 * closer. The same for the parts of ALTER TABLE. Locks are those of PostgreSQL's documentation of
 * each command (Explicit Locking; ALTER TABLE).
 */
#include "ddl.h"

#include <stdlib.h>

#include "segue/base/mem.h"

#define EXCLUSIVE "ACCESS EXCLUSIVE"
#define ROWS_EXCLUSIVE "SHARE ROW EXCLUSIVE"

#define TRANSACTION "it cannot run in a transaction, and a migration's steps do"
#define SESSION "it would change the session in which segue works"
#define ALONE "run it by itself, outside of the migration"
#define WITHOUT "leave it out"

static void never(struct reading *r, const struct row *row, const char *why, const char *hint)
{
    err_hint(r->err, "%s", hint);
    err_set(r->err, "0A000", "statement %d, %s: %s", r->statement, row->what, why);
}

static void touch(struct reading *r, const struct row *row, const char *schema, const char *name,
                  const char *lock, const char *refusal, const char *hint)
{
    struct sql_ddl *out = r->out;

    if (!name)
        return;
    mem_grow((void **)&out->touches, &out->cap, out->ntouches + 1, sizeof(*out->touches));
    out->touches[out->ntouches++] = (struct sql_ddl_touch){
        r->statement, row->what, mem_strdup(schema), mem_strdup(name), lock, refusal, NULL, hint};
}

static void touch_var(struct reading *r, const struct row *row, const struct sql_node *var,
                      const char *lock, const char *refusal, const char *hint)
{
    touch(r, row, sql_node_text(sql_tree_get(var, "schemaname")),
          sql_node_text(sql_tree_get(var, "relname")), lock, refusal, hint);
}

void sql_ddl_warn_var(struct reading *r, const struct row *row, const struct sql_node *var,
                      const char *lock, const char *warning, const char *hint)
{
    const char *name = sql_node_text(sql_tree_get(var, "relname"));
    size_t n = r->out->ntouches;

    for (size_t i = 0; name && i < n; i++) /* levels stand in each other: once is enough */
        if (r->out->touches[i].statement == r->statement && r->out->touches[i].warning == warning &&
            !strcmp(r->out->touches[i].name, name))
            return;
    touch_var(r, row, var, lock, NULL, hint);
    if (r->out->ntouches > n)
        r->out->touches[n].warning = warning;
}

static void made(struct reading *r, const struct sql_node *var)
{
    sql_ddl_made(r, sql_node_text(sql_tree_get(var, "relname")));
}

static void needs_type(struct reading *r, const struct row *row, const char *schema,
                       const char *name)
{
    struct sql_ddl *out = r->out;

    if (!name)
        return;
    mem_grow((void **)&out->types, &out->types_cap, out->ntypes + 1, sizeof(*out->types));
    out->types[out->ntypes++] =
        (struct sql_ddl_name){r->statement, row->what, mem_strdup(schema), mem_strdup(name)};
}

/* schema.type of a list of names. */
static void needs_type_named(struct reading *r, const struct row *row, const struct sql_node *names)
{
    size_t n = sql_node_size(names);

    if (n)
        needs_type(r, row, n > 1 ? sql_tree_string(sql_node_at(names, n - 2)) : NULL,
                   sql_tree_string(sql_node_at(names, n - 1)));
}

bool sql_ddl_is_text(const struct sql_node *node, const char *key, const char *text)
{
    const char *value = sql_node_text(sql_tree_get(node, key));

    return value && !strcmp(value, text);
}

/* ---- ALTER TABLE ---- */

/* What may be done to a table in use: an instant under the lock. */
static const struct {
    const char *subtype, *lock;
} instant[] = {
    {"AT_ColumnDefault", EXCLUSIVE},
    {"AT_DropNotNull", EXCLUSIVE},
    {"AT_AddIdentity", EXCLUSIVE},
    {"AT_SetIdentity", EXCLUSIVE},
    {"AT_DropIdentity", EXCLUSIVE},
    {"AT_SetStatistics", ""},
    {"AT_SetOptions", ""},
    {"AT_ResetOptions", ""},
    {"AT_SetStorage", EXCLUSIVE},
    {"AT_SetCompression", EXCLUSIVE},
    {"AT_DropConstraint", EXCLUSIVE},
    {"AT_ChangeOwner", EXCLUSIVE},
    {"AT_ClusterOn", ""},
    {"AT_DropCluster", ""},
    {"AT_SetRelOptions", ""},
    {"AT_ResetRelOptions", ""},
    {"AT_EnableTrig", ROWS_EXCLUSIVE},
    {"AT_EnableAlwaysTrig", ROWS_EXCLUSIVE},
    {"AT_EnableReplicaTrig", ROWS_EXCLUSIVE},
    {"AT_DisableTrig", ROWS_EXCLUSIVE},
    {"AT_EnableRule", EXCLUSIVE},
    {"AT_DisableRule", EXCLUSIVE},
    {"AT_ReplicaIdentity", EXCLUSIVE},
    {"AT_EnableRowSecurity", EXCLUSIVE},
    {"AT_DisableRowSecurity", EXCLUSIVE},
    {"AT_ForceRowSecurity", EXCLUSIVE},
    {"AT_NoForceRowSecurity", EXCLUSIVE},
};

static const struct {
    const char *subtype, *why, *hint;
} instead[] = {
    {"AT_AddColumn", "old and new revisions would see different columns", "use add_column"},
    {"AT_DropColumn", "whoever still uses the column would fail at once", "use drop_column"},
    {"AT_AlterColumnType", "it rewrites the table while nobody can read it", "use alter_column"},
    {"AT_SetNotNull", "it reads the whole table while nobody can", "use alter_column"},
    {"AT_AddConstraint", "it reads the whole table while nobody can write",
     "use create_constraint, or say NOT VALID"},
    {"AT_ValidateConstraint", "it reads the whole table in one transaction",
     "use create_constraint"},
};

static bool has_option(const struct sql_node *options, const char *name)
{
    SQL_NODE_EACH_ITEM(item, options)
        if (sql_ddl_is_text(sql_tree_get(item, "DefElem"), "defname", name))
            return true;
    return false;
}

/* No row is written: from then on the column counts. */
static void warn_of_identity(struct reading *r, const struct row *row,
                             const struct sql_node *relation, const struct sql_node *identity)
{
    if (sql_ddl_is_text(identity, "generated_when", "a"))
        sql_ddl_warn_var(r, row, relation, EXCLUSIVE,
                         "whoever gives the column a value gets 428C9 from then on",
                         "say BY DEFAULT until every revision leaves the column out");
    if (!has_option(sql_tree_get(identity, "options"), "start"))
        sql_ddl_warn_var(r, row, relation, EXCLUSIVE,
                         "it counts from the beginning, whatever the column holds by now",
                         "say (START WITH ...) above that, or setval() behind it");
}

static void look_at_part(struct reading *r, const struct row *row, const struct sql_node *relation,
                         const struct sql_node *part)
{
    const char *subtype = sql_node_text(sql_tree_get(part, "subtype"));
    const struct sql_node *constraint = sql_tree_get(sql_tree_get(part, "def"), "Constraint");
    const struct sql_node *pktable = sql_tree_get(constraint, "pktable");

    if (sql_ddl_is_text(part, "behavior", "DROP_CASCADE")) {
        never(r, row, "CASCADE drops what the file does not name", "name what is to go");
        return;
    }
    if (pktable)
        touch_var(r, row, pktable, ROWS_EXCLUSIVE, NULL, NULL);
    for (size_t i = 0; subtype && i < ARRAY_LEN(instant); i++) {
        if (!strcmp(instant[i].subtype, subtype)) {
            touch_var(r, row, relation, instant[i].lock, NULL, NULL);
            if (!strcmp(subtype, "AT_AddIdentity"))
                warn_of_identity(r, row, relation, constraint);
            return;
        }
    }
    if (constraint && sql_node_is_true(sql_tree_get(constraint, "skip_validation"))) {
        touch_var(r, row, relation, EXCLUSIVE, NULL, NULL);
        return;
    }
    for (size_t i = 0; subtype && i < ARRAY_LEN(instead); i++) {
        if (!strcmp(instead[i].subtype, subtype)) {
            touch_var(r, row, relation, EXCLUSIVE, instead[i].why, instead[i].hint);
            return;
        }
    }
    touch_var(r, row, relation, EXCLUSIVE,
              "it may rewrite or read the table while nobody can use it",
              "do it on a table that this migration makes");
}

static void look_at_alter_table(struct reading *r, const struct row *row,
                                const struct sql_node *node)
{
    const struct sql_node *parts = sql_tree_get(node, "cmds"), *on = sql_tree_get(node, "relation");

    if (sql_ddl_is_text(node, "objtype", "OBJECT_TYPE"))
        needs_type(r, row, sql_node_text(sql_tree_get(on, "schemaname")),
                   sql_node_text(sql_tree_get(on, "relname")));
    SQL_NODE_EACH_ITEM(item, parts)
        look_at_part(r, row, on, sql_tree_get(item, "AlterTableCmd"));
}

/* ---- what is dropped and renamed ---- */

enum thing { THING_TABLE, THING_INDEX, THING_VIEW, THING_PART, THING_OTHER };

static enum thing thing_of(const struct sql_node *node, const char *key)
{
    static const struct {
        const char *type;
        enum thing thing;
    } rows[] = {
        {"OBJECT_TABLE", THING_TABLE},  {"OBJECT_FOREIGN_TABLE", THING_TABLE},
        {"OBJECT_COLUMN", THING_TABLE}, {"OBJECT_TABCONSTRAINT", THING_TABLE},
        {"OBJECT_INDEX", THING_INDEX},  {"OBJECT_VIEW", THING_VIEW},
        {"OBJECT_MATVIEW", THING_VIEW}, {"OBJECT_TRIGGER", THING_PART},
        {"OBJECT_POLICY", THING_PART},  {"OBJECT_RULE", THING_PART},
    };
    const char *type = sql_node_text(sql_tree_get(node, key));

    for (size_t i = 0; type && i < ARRAY_LEN(rows); i++)
        if (!strcmp(rows[i].type, type))
            return rows[i].thing;
    return THING_OTHER;
}

/* schema.table of a list of names of which the last `skip` are not the table's. */
static void touch_names(struct reading *r, const struct row *row, const struct sql_node *names,
                        size_t skip, const char *refusal, const char *hint)
{
    size_t n = sql_node_size(names);

    if (n <= skip)
        return;
    n -= skip;
    touch(r, row, n > 1 ? sql_tree_string(sql_node_at(names, n - 2)) : NULL,
          sql_tree_string(sql_node_at(names, n - 1)), EXCLUSIVE, refusal, hint);
}

static void look_at_drop(struct reading *r, const struct row *row, const struct sql_node *node)
{
    const struct sql_node *objects = sql_tree_get(node, "objects");
    enum thing thing = thing_of(node, "removeType");

    if (sql_ddl_is_text(node, "behavior", "DROP_CASCADE")) {
        never(r, row, "CASCADE drops what the file does not name", "name what is to go");
        return;
    }
    if (sql_node_is_true(sql_tree_get(node, "concurrent"))) {
        never(r, row, TRANSACTION, "use drop_index");
        return;
    }
    SQL_NODE_EACH_ITEM(item, objects) {
        const struct sql_node *names = sql_tree_get(sql_tree_get(item, "List"), "items");

        if (thing == THING_TABLE)
            touch_names(r, row, names, 0, "whoever still uses it would fail at once",
                        "use drop_table");
        else if (thing == THING_INDEX)
            touch_names(r, row, names, 0, "it locks the index's table", "use drop_index");
        else if (thing == THING_VIEW)
            touch_names(r, row, names, 0, NULL, NULL);
        else if (thing == THING_PART)
            touch_names(r, row, names, 1, NULL, NULL);
    }
}

static void look_at_rename(struct reading *r, const struct row *row, const struct sql_node *node)
{
    const struct sql_node *relation = sql_tree_get(node, "relation");
    enum thing thing = thing_of(node, "renameType");

    if (sql_ddl_is_text(node, "renameType", "OBJECT_TYPE")) {
        needs_type_named(r, row,
                         sql_tree_get(sql_tree_get(sql_tree_get(node, "object"), "List"), "items"));
        sql_ddl_made(r, sql_node_text(sql_tree_get(node, "newname")));
    }
    if (thing == THING_TABLE)
        touch_var(r, row, relation, EXCLUSIVE, "whoever still uses the old name would fail at once",
                  "use rename_column or rename_constraint; keep the names of tables");
    else if (thing == THING_INDEX)
        touch_var(r, row, relation, "SHARE UPDATE EXCLUSIVE", NULL, NULL);
    else
        touch_var(r, row, relation, EXCLUSIVE, NULL, NULL);
}

static void look_at_move(struct reading *r, const struct row *row, const struct sql_node *node)
{
    touch_var(r, row, sql_tree_get(node, "relation"), EXCLUSIVE,
              "whoever names its schema would fail at once", "leave it where it is");
}

/* ---- what is made ---- */

static void look_at_constraints(struct reading *r, const struct row *row,
                                const struct sql_node *list)
{
    SQL_NODE_EACH_ITEM(item, list) {
        const struct sql_node *pktable = sql_tree_get(sql_tree_get(item, "Constraint"), "pktable");

        if (pktable)
            touch_var(r, row, pktable, ROWS_EXCLUSIVE, NULL, NULL);
        look_at_constraints(r, row, sql_tree_get(sql_tree_get(item, "ColumnDef"), "constraints"));
    }
}

static void look_at_create_table(struct reading *r, const struct row *row,
                                 const struct sql_node *node)
{
    const struct sql_node *parents = sql_tree_get(node, "inhRelations");

    made(r, sql_tree_get(node, "relation"));
    look_at_constraints(r, row, sql_tree_get(node, "tableElts"));
    SQL_NODE_EACH_ITEM(item, parents)
        touch_var(r, row, sql_tree_get(item, "RangeVar"), EXCLUSIVE, NULL, NULL);
}

static void look_at_create_as(struct reading *r, const struct row *row, const struct sql_node *node)
{
    (void)row;
    made(r, sql_tree_get(sql_tree_get(node, "into"), "rel"));
}

static void look_at_index(struct reading *r, const struct row *row, const struct sql_node *node)
{
    if (sql_node_is_true(sql_tree_get(node, "concurrent")))
        never(r, row, TRANSACTION, "use create_index");
    else
        touch_var(r, row, sql_tree_get(node, "relation"), "SHARE",
                  "nobody could write to the table while it is built", "use create_index");
}

static void look_at_truncate(struct reading *r, const struct row *row, const struct sql_node *node)
{
    const struct sql_node *relations = sql_tree_get(node, "relations");

    if (sql_ddl_is_text(node, "behavior", "DROP_CASCADE"))
        never(r, row, "CASCADE empties tables that the file does not name", "name them");
    SQL_NODE_EACH_ITEM(item, relations)
        sql_ddl_warn_var(
            r, row, sql_tree_get(item, "RangeVar"), EXCLUSIVE,
            "it empties the table for old and new revisions, and no abort brings its rows back",
            "leave it out, unless nobody needs them");
}

static void look_at_alter_type(struct reading *r, const struct row *row,
                               const struct sql_node *node)
{
    needs_type_named(r, row, sql_tree_get(node, "typeName"));
}

static void look_at_create_type(struct reading *r, const struct row *row,
                                const struct sql_node *node)
{
    static const char *const lists[] = {"typeName", "domainname", "defnames"};

    (void)row;
    made(r, sql_tree_get(node, "typevar"));
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        const struct sql_node *names = sql_tree_get(node, lists[i]);
        size_t n = sql_node_size(names);

        sql_ddl_made(r, n ? sql_tree_string(sql_node_at(names, n - 1)) : NULL);
    }
}

/* ---- sessions ---- */

static void look_at_vacuum(struct reading *r, const struct row *row, const struct sql_node *node)
{
    if (sql_node_is_true(sql_tree_get(node, "is_vacuumcmd")))
        never(r, row, TRANSACTION, "segue vacuums by itself");
}

static void look_at_set(struct reading *r, const struct row *row, const struct sql_node *node)
{
    static const char *const ours[] = {"lock_timeout", "statement_timeout", "role",
                                       "session_authorization", "session_replication_role"};

    if (!sql_node_is_true(sql_tree_get(node, "is_local")))
        never(r, row, SESSION, "say SET LOCAL");
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (sql_ddl_is_text(node, "name", ours[i]))
            never(r, row, "segue sets this itself, or needs it as it is", WITHOUT);
}

static void look_at_opaque(struct reading *r, const struct row *row, const struct sql_node *node)
{
    (void)row;
    (void)node;
    if (!r->out->opaque)
        r->out->opaque = r->statement;
}

/* ---- the table ---- */

#define FREE(kind, what)                                                                           \
    {                                                                                              \
        kind, what, NULL, NULL, NULL, NULL, NULL                                                   \
    }
#define NEVER(kind, what, why, hint)                                                               \
    {                                                                                              \
        kind, what, NULL, NULL, NULL, why, hint                                                    \
    }
#define LOOK(kind, what, look)                                                                     \
    {                                                                                              \
        kind, what, look, NULL, NULL, NULL, NULL                                                   \
    }
#define LOCKS(kind, what, member, lock)                                                            \
    {                                                                                              \
        kind, what, NULL, member, lock, NULL, NULL                                                 \
    }

static const struct row rows[] = {
    LOOK("SelectStmt", "SELECT", sql_ddl_look_at_rows),
    LOOK("InsertStmt", "INSERT", sql_ddl_look_at_rows),
    LOOK("UpdateStmt", "UPDATE", sql_ddl_look_at_rows),
    LOOK("DeleteStmt", "DELETE", sql_ddl_look_at_rows),
    LOOK("MergeStmt", "MERGE", sql_ddl_look_at_merge),
    LOOK("DoStmt", "DO", look_at_opaque),
    LOOK("CallStmt", "CALL", look_at_opaque),
    FREE("NotifyStmt", "NOTIFY"),
    FREE("CommentStmt", "COMMENT"),
    FREE("SecLabelStmt", "SECURITY LABEL"),
    FREE("GrantStmt", "GRANT"),
    FREE("GrantRoleStmt", "GRANT"),
    FREE("AlterDefaultPrivilegesStmt", "ALTER DEFAULT PRIVILEGES"),
    FREE("CreateRoleStmt", "CREATE ROLE"),
    FREE("AlterRoleStmt", "ALTER ROLE"),
    FREE("AlterRoleSetStmt", "ALTER ROLE"),
    FREE("DropRoleStmt", "DROP ROLE"),
    FREE("CreateSchemaStmt", "CREATE SCHEMA"),
    FREE("CreateFunctionStmt", "CREATE FUNCTION"),
    FREE("AlterFunctionStmt", "ALTER FUNCTION"),
    LOOK("CompositeTypeStmt", "CREATE TYPE", look_at_create_type),
    LOOK("CreateEnumStmt", "CREATE TYPE", look_at_create_type),
    LOOK("AlterEnumStmt", "ALTER TYPE", look_at_alter_type),
    LOOK("CreateRangeStmt", "CREATE TYPE", look_at_create_type),
    LOOK("AlterTypeStmt", "ALTER TYPE", look_at_alter_type),
    LOOK("CreateDomainStmt", "CREATE DOMAIN", look_at_create_type),
    FREE("CreateSeqStmt", "CREATE SEQUENCE"),
    LOCKS("AlterSeqStmt", "ALTER SEQUENCE", "sequence", ROWS_EXCLUSIVE),
    FREE("CreateExtensionStmt", "CREATE EXTENSION"),
    FREE("AlterExtensionStmt", "ALTER EXTENSION"),
    LOOK("DefineStmt", "CREATE", look_at_create_type),
    FREE("CreateCastStmt", "CREATE CAST"),
    FREE("CreateStatsStmt", "CREATE STATISTICS"),
    FREE("AlterStatsStmt", "ALTER STATISTICS"),
    FREE("CreatePublicationStmt", "CREATE PUBLICATION"),
    FREE("AlterPublicationStmt", "ALTER PUBLICATION"),
    LOOK("CreateTableAsStmt", "CREATE TABLE AS", look_at_create_as),
    LOOK("CreateStmt", "CREATE TABLE", look_at_create_table),
    LOCKS("ViewStmt", "CREATE VIEW", "view", EXCLUSIVE),
    LOOK("IndexStmt", "CREATE INDEX", look_at_index),
    LOCKS("CreateTrigStmt", "CREATE TRIGGER", "relation", ROWS_EXCLUSIVE),
    LOCKS("RuleStmt", "CREATE RULE", "relation", EXCLUSIVE),
    LOCKS("CreatePolicyStmt", "CREATE POLICY", "table", EXCLUSIVE),
    LOCKS("AlterPolicyStmt", "ALTER POLICY", "table", EXCLUSIVE),
    LOOK("TruncateStmt", "TRUNCATE", look_at_truncate),
    LOOK("AlterTableStmt", "ALTER TABLE", look_at_alter_table),
    LOOK("DropStmt", "DROP", look_at_drop),
    LOOK("RenameStmt", "RENAME", look_at_rename),
    LOOK("AlterObjectSchemaStmt", "SET SCHEMA", look_at_move),
    FREE("AlterOwnerStmt", "OWNER TO"),
    LOOK("VacuumStmt", "VACUUM", look_at_vacuum),
    LOOK("VariableSetStmt", "SET", look_at_set),
    NEVER("TransactionStmt", "transaction control",
          "the statements run in one transaction, which segue begins and ends", WITHOUT),
    NEVER("LockStmt", "LOCK", "a lock is segue's business: behind the gate, with a timeout",
          WITHOUT),
    NEVER("ReindexStmt", "REINDEX", "it locks the table, or cannot run in a transaction",
          "run REINDEX CONCURRENTLY by itself"),
    NEVER("ClusterStmt", "CLUSTER", "it rewrites the table while nobody can use it", ALONE),
    NEVER("RefreshMatViewStmt", "REFRESH MATERIALIZED VIEW",
          "it locks the view for as long as it takes", "run it by itself, CONCURRENTLY"),
    NEVER("AlterDomainStmt", "ALTER DOMAIN", "it may read every table that has the domain",
          "say it of each column: create_constraint, alter_column"),
    NEVER("CreatedbStmt", "CREATE DATABASE", TRANSACTION, ALONE),
    NEVER("DropdbStmt", "DROP DATABASE", TRANSACTION, ALONE),
    NEVER("AlterDatabaseStmt", "ALTER DATABASE", TRANSACTION, ALONE),
    NEVER("AlterDatabaseSetStmt", "ALTER DATABASE",
          "it is for every session that begins afterwards, whatever its revision", ALONE),
    NEVER("AlterDatabaseRefreshCollStmt", "ALTER DATABASE", "it is no part of a schema", ALONE),
    NEVER("CreateTableSpaceStmt", "CREATE TABLESPACE", TRANSACTION, ALONE),
    NEVER("DropTableSpaceStmt", "DROP TABLESPACE", TRANSACTION, ALONE),
    NEVER("AlterSystemStmt", "ALTER SYSTEM", TRANSACTION, ALONE),
    NEVER("CreateSubscriptionStmt", "CREATE SUBSCRIPTION", TRANSACTION, ALONE),
    NEVER("DropSubscriptionStmt", "DROP SUBSCRIPTION", TRANSACTION, ALONE),
    NEVER("CopyStmt", "COPY", "there is no client that would send or take the rows", "use INSERT"),
    NEVER("PrepareStmt", "PREPARE", SESSION, "write the statement itself"),
    NEVER("ExecuteStmt", "EXECUTE", SESSION, "write the statement itself"),
    NEVER("DeallocateStmt", "DEALLOCATE", SESSION, WITHOUT),
    NEVER("DeclareCursorStmt", "DECLARE", SESSION, "loop over it in a DO block"),
    NEVER("ListenStmt", "LISTEN", SESSION, WITHOUT),
    NEVER("UnlistenStmt", "UNLISTEN", SESSION, WITHOUT),
    NEVER("DiscardStmt", "DISCARD", SESSION, WITHOUT),
    NEVER("LoadStmt", "LOAD", SESSION, WITHOUT),
};

/* segue's own tables are not to be written by files. */
static bool names_segue(const struct sql_node *node)
{
    SQL_NODE_EACH_ITEM(item, node)
        if (names_segue(item))
            return true;
    SQL_NODE_EACH_MEMBER(member, node)
        if ((!strcmp(member->key, "schemaname") && sql_node_text(member) &&
             !strcmp(sql_node_text(member), "segue")) ||
            names_segue(member))
            return true;
    return false;
}

static void look_at(struct reading *r, const struct sql_node *stmt)
{
    static const struct row unknown = FREE("", "this statement");
    const struct sql_node *node = sql_node_first(stmt);
    const char *kind = sql_tree_kind(stmt);
    const struct row *row = NULL;

    for (size_t i = 0; kind && i < ARRAY_LEN(rows); i++)
        if (!strcmp(rows[i].kind, kind))
            row = &rows[i];
    if (!row)
        never(r, &unknown, "it is not known to be safe while the database is in use", ALONE);
    else if (names_segue(node))
        never(r, row, "schema segue is segue's own", WITHOUT);
    else if (row->look)
        row->look(r, row, node);
    else if (row->member)
        touch_var(r, row, sql_tree_get(node, row->member), row->lock, NULL, NULL);
    else if (row->refusal)
        never(r, row, row->refusal, row->hint);
    if (row && !err_is_set(r->err))
        sql_ddl_look_for_names(r, row, node);
}

enum rc sql_ddl_read(const char *text, struct sql_ddl *out, struct err *err)
{
    struct reading r = {.out = out, .err = err};
    struct sql_nodes *tree = sql_tree_parse(text, NULL, err);
    const struct sql_node *stmts = sql_tree_get(sql_nodes_root(tree), "stmts");

    *out = (struct sql_ddl){0};
    if (!tree)
        return RC_ERR;
    SQL_NODE_EACH_ITEM(item, stmts) {
        r.statement = ++out->statements;
        if (!err_is_set(err))
            look_at(&r, sql_tree_get(item, "stmt"));
    }
    sql_nodes_free(tree);
    if (!out->statements)
        err_set(err, "42601", "there is no statement in it");
    if (!err_is_set(err))
        return RC_OK;
    sql_ddl_fini(out);
    return RC_ERR;
}

static void names_free(struct sql_ddl_name *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(names[i].schema);
        free(names[i].name);
    }
    free(names);
}

void sql_ddl_fini(struct sql_ddl *ddl)
{
    for (size_t i = 0; i < ddl->ntouches; i++) {
        free(ddl->touches[i].schema);
        free(ddl->touches[i].name);
    }
    for (size_t i = 0; i < ddl->nmade; i++)
        free(ddl->made[i]);
    names_free(ddl->types, ddl->ntypes);
    names_free(ddl->needs, ddl->nneeds);
    free(ddl->made);
    free(ddl->touches);
    *ddl = (struct sql_ddl){0};
}
