/*
 * A walk over the raw parse tree that collects relations and column names.
 *
 * The tree is JSON; a node is an object with one member named after its kind, except where the
 * grammar fixes the kind ("relation": {"relname": ...}). Keys that hold names of other things
 * (functions, types, aliases, literals) are left out by the tables below; what is unknown is
 * walked, and a kind of statement that is unknown counts by what the text search found.
 */
#include "segue/sql/inspect.h"

#include <stdlib.h>
#include <string.h>

#include "newer.h"
#include "rules_private.h"
#include "runs.h"
#include "segue/base/mem.h"
#include "segue/sql/path.h"
#include "tree.h"
#include "work.h"

struct walk {
    const struct sql_rules *rules;
    const struct sql_sight_of_session *session;
    uint64_t path; /* class of its search path, at the statement */
    struct sql_verdict *verdict;
    uint64_t named;        /* tables named themselves, not through relatives */
    uint64_t old_c, new_c; /* tables that have a column of a name seen */
    bool begins, executes;
    unsigned depth_prepare;
};

/* What to do with a member, by its key. */
enum member {
    MEMBER_WALK,
    MEMBER_SKIP, /* names of other things */
    MEMBER_RELATION,
    MEMBER_NAME,    /* of an index element: a column */
    MEMBER_RESULTS, /* targets that are set, or values */
    MEMBER_COLUMNS, /* list of String nodes that are column names */
    MEMBER_TARGETS, /* list of ResTarget whose name is a column */
    MEMBER_EXECUTE,
    MEMBER_PREPARE,
    MEMBER_TRANSACTION,
};

static const struct {
    struct sql_key key;
    enum member member;
} members[] = {
    {SQL_KEY("relname"), MEMBER_RELATION},    {SQL_KEY("targetList"), MEMBER_RESULTS},
    {SQL_KEY("A_Const"), MEMBER_SKIP},        {SQL_KEY("alias"), MEMBER_SKIP},
    {SQL_KEY("jsonColumns"), MEMBER_SKIP},    {SQL_KEY("funcname"), MEMBER_SKIP},
    {SQL_KEY("typeName"), MEMBER_SKIP},       {SQL_KEY("TypeName"), MEMBER_SKIP},
    {SQL_KEY("aliascolnames"), MEMBER_SKIP},  {SQL_KEY("collname"), MEMBER_SKIP},
    {SQL_KEY("opclass"), MEMBER_SKIP},        {SQL_KEY("name"), MEMBER_NAME},
    {SQL_KEY("fields"), MEMBER_COLUMNS},      {SQL_KEY("attlist"), MEMBER_COLUMNS},
    {SQL_KEY("usingClause"), MEMBER_COLUMNS}, {SQL_KEY("indirection"), MEMBER_COLUMNS},
    {SQL_KEY("cols"), MEMBER_TARGETS},        {SQL_KEY("ExecuteStmt"), MEMBER_EXECUTE},
    {SQL_KEY("PrepareStmt"), MEMBER_PREPARE}, {SQL_KEY("TransactionStmt"), MEMBER_TRANSACTION},
};

/* Kinds in which every relation and column shows up as such; for others the search counts. */
static const char *const understood[] = {
    "SelectStmt",        "InsertStmt",        "UpdateStmt",      "DeleteStmt",       "MergeStmt",
    "CopyStmt",          "PrepareStmt",       "ExecuteStmt",     "DeallocateStmt",   "ExplainStmt",
    "DeclareCursorStmt", "FetchStmt",         "ClosePortalStmt", "TransactionStmt",  "LockStmt",
    "TruncateStmt",      "CreateTableAsStmt", "VariableSetStmt", "VariableShowStmt", "DiscardStmt",
    "ListenStmt",        "UnlistenStmt",      "NotifyStmt",      "CheckPointStmt",
};

/* Statements whose targetList names columns to be set (in a SelectStmt it names the output). */
static const char *const sets_columns[] = {"UpdateStmt", "OnConflictClause", "onConflictClause",
                                           "MergeWhenClause", "mergeWhenClause"};

static bool in_list(const char *const *list, size_t n, const char *word)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(list[i], word))
            return true;
    return false;
}

static bool in_names(char *const *list, const char *name)
{
    for (size_t i = 0; list[i]; i++)
        if (!strcmp(list[i], name))
            return true;
    return false;
}

static enum member member_of(const struct sql_node *member)
{
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        if (sql_tree_is(member, &members[i].key))
            return members[i].member;
    return MEMBER_WALK;
}

/* Is the name this table's, or may it be? `meant` is what the search path makes of it. */
static bool may_be(const struct rule *rule, const char *schema, const char *name,
                   enum sql_meaning meaning, const struct rule *meant)
{
    if (!sql_rule_is_called(rule, name))
        return false;
    if (schema)
        return !strcmp(rule->schema, schema);
    return meaning == SQL_MEANS_PERHAPS || rule == meant;
}

static uint64_t planned_with(const struct sql_rules *rules, const char *name)
{
    uint64_t bits = 0;

    SQL_BY_NAME_EACH(relative, &rules->relatives_by, name)
        bits |= UINT64_C(1) << relative->at;
    return bits;
}

/* Of which tables it is a relative. Relatives have the name that they had when the table was
 * planned. */
static uint64_t relatives_of(const struct sql_rules *rules, const char *name)
{
    uint64_t bits = planned_with(rules, name);

    for (size_t i = 0; rules->nothers && i < rules->n; i++) {
        const struct rule *r = &rules->tables[i];

        if (r->other && sql_rule_is_called(r, name))
            bits |= planned_with(rules, r->name) | planned_with(rules, r->other);
    }
    return bits;
}

/* Of a table that changes its name: which of the two is it? */
static void see_name(struct walk *w, const struct rule *rule, const char *name)
{
    if (!rule->other)
        return;
    if (sql_rule_is_other(rule, name) == rule->reversed)
        w->old_c |= sql_work_bit(rule);
    else
        w->new_c |= sql_work_bit(rule);
}

static void see_relation(struct walk *w, const struct sql_node *node, const char *name)
{
    const char *schema = sql_node_text(sql_tree_get(node, "schemaname"));
    const struct rule *meant = NULL, *other;
    enum sql_meaning meaning = sql_path_meaning(w->rules, w->path, name, &meant);
    uint64_t relatives = relatives_of(w->rules, name);

    for (size_t i = 0; !schema && !meant && (other = sql_rules_named(w->rules, name, i)); i++)
        w->verdict->elsewhere |= sql_work_bit(other);
    for (size_t i = 0; i < w->rules->n; i++) {
        const struct rule *rule = &w->rules->tables[i];
        uint64_t bit = UINT64_C(1) << i;

        if (may_be(rule, schema, name, meaning, meant)) {
            w->named |= bit;
            see_name(w, rule, name);
        } else if (!(relatives & bit)) {
            continue;
        }
        w->verdict->touches |= bit;
        if (w->depth_prepare)
            w->verdict->prepares |= bit;
    }
    SQL_BY_NAME_EACH(partition, &w->rules->partitions_by,
                     name) { /* relatives, with their table's columns */
        const struct rule *rule = &w->rules->partitions[partition->at];

        if (may_be(rule, schema, name, meaning, meant))
            w->named |= sql_work_bit(rule);
    }
}

static void see_column(struct walk *w, const char *name)
{
    for (size_t i = 0; name && i < w->rules->n; i++) {
        if (in_names(w->rules->tables[i].old_columns, name))
            w->old_c |= UINT64_C(1) << i;
        if (in_names(w->rules->tables[i].new_columns, name))
            w->new_c |= UINT64_C(1) << i;
    }
}

static void walk_node(struct walk *w, const struct sql_node *node, const char *parent);

/* Column names in a list; nodes of other kinds in it (subscripts) are walked. */
static void walk_columns(struct walk *w, const struct sql_node *list)
{
    SQL_NODE_EACH_ITEM(item, list) {
        const char *name = sql_tree_string(item);

        if (name)
            see_column(w, name);
        else
            walk_node(w, item, "");
    }
}

static void walk_targets(struct walk *w, const struct sql_node *list)
{
    SQL_NODE_EACH_ITEM(item, list) {
        see_column(w, sql_node_text(sql_tree_get(sql_tree_get(item, "ResTarget"), "name")));
        walk_node(w, item, "");
    }
}

static void walk_member(struct walk *w, const struct sql_node *node, const struct sql_node *member,
                        const char *parent)
{
    const char *kind;

    switch (member_of(member)) {
    case MEMBER_SKIP:
        break;
    case MEMBER_RELATION:
        if (sql_node_text(member))
            see_relation(w, node, sql_node_text(member));
        break;
    case MEMBER_NAME:
        if (!strcmp(parent, "IndexElem"))
            see_column(w, sql_node_text(member));
        break;
    case MEMBER_RESULTS:
        if (in_list(sets_columns, ARRAY_LEN(sets_columns), parent))
            walk_targets(w, member);
        else
            walk_node(w, member, member->key);
        break;
    case MEMBER_COLUMNS:
        walk_columns(w, member);
        break;
    case MEMBER_TARGETS:
        walk_targets(w, member);
        break;
    case MEMBER_EXECUTE:
        w->executes = true;
        walk_node(w, member, member->key);
        break;
    case MEMBER_PREPARE:
        w->depth_prepare++;
        walk_node(w, member, member->key);
        w->depth_prepare--;
        break;
    case MEMBER_TRANSACTION:
        kind = sql_node_text(sql_tree_get(member, "kind"));
        w->begins |=
            kind && (!strcmp(kind, "TRANS_STMT_BEGIN") || !strcmp(kind, "TRANS_STMT_START"));
        break;
    case MEMBER_WALK:
        walk_node(w, member, member->key);
        break;
    }
}

/* Depth is bounded by what the reader of the tree allows. */
static void walk_node(struct walk *w, const struct sql_node *node, const char *parent)
{
    SQL_NODE_EACH_ITEM(item, node)
        walk_node(w, item, parent);
    SQL_NODE_EACH_MEMBER(member, node)
        walk_member(w, node, member, parent);
}

/* The text search's word for it: for what the parser, or this walk, does not understand. */
static void search_all(struct walk *w, const char *text, size_t len)
{
    const struct sql_rules *rules = w->rules;
    uint64_t all = rules->n < 64 ? (UINT64_C(1) << rules->n) - 1 : UINT64_MAX;
    uint64_t found = sql_search_run(&rules->names, text, len, false) & all;

    w->verdict->touches |= found;
    w->named |= found;
    w->old_c |= sql_search_run(&rules->old_columns, text, len, false);
    w->new_c |= sql_search_run(&rules->new_columns, text, len, false);
}

/* What a table's columns, and what may be grouped by its key, are the same after. */
static bool leaves_columns(const struct sql_node *alter)
{
    static const char *const kinds[] = {"AT_ColumnDefault",
                                        "AT_SetNotNull",
                                        "AT_DropNotNull",
                                        "AT_AddConstraint",
                                        "AT_ValidateConstraint",
                                        "AT_AlterConstraint",
                                        "AT_SetStatistics",
                                        "AT_SetOptions",
                                        "AT_ResetOptions",
                                        "AT_SetStorage",
                                        "AT_SetCompression",
                                        "AT_ClusterOn",
                                        "AT_DropCluster",
                                        "AT_SetTableSpace",
                                        "AT_SetRelOptions",
                                        "AT_ResetRelOptions",
                                        "AT_EnableTrig",
                                        "AT_EnableAlwaysTrig",
                                        "AT_EnableReplicaTrig",
                                        "AT_DisableTrig",
                                        "AT_EnableTrigAll",
                                        "AT_DisableTrigAll",
                                        "AT_EnableTrigUser",
                                        "AT_DisableTrigUser",
                                        "AT_ChangeOwner",
                                        "AT_ReplicaIdentity",
                                        "AT_EnableRowSecurity",
                                        "AT_DisableRowSecurity",
                                        "AT_ForceRowSecurity",
                                        "AT_NoForceRowSecurity",
                                        "AT_SetLogged",
                                        "AT_SetUnLogged",
                                        "AT_AttachPartition",
                                        "AT_DetachPartition",
                                        "AT_DetachPartitionFinalize"};

    SQL_NODE_EACH_ITEM(item, sql_tree_get(alter, "cmds")) {
        const char *kind =
            sql_node_text(sql_tree_get(sql_tree_get(item, "AlterTableCmd"), "subtype"));

        if (!kind || !in_list(kinds, ARRAY_LEN(kinds), kind))
            return false;
    }
    return true;
}

static bool is_alter(const struct sql_node *stmt, const char *kind)
{
    if (!kind || (strncmp(kind, "Alter", 5) != 0 && strcmp(kind, "RenameStmt") != 0))
        return false;
    return strcmp(kind, "AlterTableStmt") != 0 || !leaves_columns(sql_tree_get(stmt, kind));
}

/* Does the one statement say a table's name, of whatever kind it is? */
static bool item_mentions(const struct walk *w, const struct sql_node *item, const char *text,
                          size_t len)
{
    size_t from = (size_t)sql_node_number(sql_tree_get(item, "stmt_location"));
    size_t all = (size_t)sql_node_number(sql_tree_get(item, "stmt_len"));

    return from < len && sql_mentions(w->rules, text + from, all ? all : len - from);
}

static void walk_statements(struct walk *w, const struct sql_node *tree, const char *text,
                            size_t len)
{
    const struct sql_node *stmts = sql_tree_get(tree, "stmts");
    bool searched = false;
    unsigned number = 0;

    SQL_NODE_EACH_ITEM(item, stmts) {
        const struct sql_node *stmt = sql_tree_get(item, "stmt");
        const char *kind = sql_tree_kind(stmt);
        struct sql_path_step step = {.path = SQL_PATH_UNKNOWN};

        if (w->session)
            step = sql_path_at(w->session, ++number);
        w->path = step.perhaps ? SQL_PATH_UNKNOWN : step.path;

        if (!searched && (!kind || !in_list(understood, ARRAY_LEN(understood), kind))) {
            search_all(w, text, len);
            searched = true;
        }
        walk_node(w, stmt, "");
        w->verdict->alters |= is_alter(stmt, kind) && item_mentions(w, item, text, len);
    }
}

/* Without the parser: by the first word, and by any word in a text of several statements. */
static void guess_control(struct walk *w, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i += sql_first_behind(text + i, len - i)) {
        enum sql_first first;

        i += sql_first_at(text + i, len - i); /* once, however much it is */
        first = sql_first_word(text + i, len - i);
        w->begins |= first == SQL_FIRST_BEGIN;
        w->executes |= first == SQL_FIRST_EXECUTE;
        if (first == SQL_FIRST_PREPARE)
            w->verdict->prepares |= w->verdict->touches;
    }
}

bool sql_mentions(const struct sql_rules *rules, const char *text, size_t len)
{
    return rules && rules->n > 0 && sql_search_run(&rules->names, text, len, true) != 0;
}

void sql_verdict_of(const struct sql_rules *rules, const struct sql_sight_of_session *session,
                    const struct sql_node *tree, const char *text, size_t len,
                    struct sql_verdict *out)
{
    struct walk w = {.rules = rules, .session = session, .verdict = out};

    memset(out, 0, sizeof(*out));
    if (tree) {
        walk_statements(&w, tree, text, len);
    } else {
        search_all(&w, text, len);
        guess_control(&w, text, len);
        out->alters = true;
    }
    out->analysed = tree != NULL;
    out->begins = w.begins;
    out->executes = w.executes;
    for (size_t i = 0; i < rules->n; i++)
        w.old_c |= rules->tables[i].going ? UINT64_C(1) << i : 0;
    out->old_names = w.old_c & w.named;
    out->new_names = w.new_c & w.named;
}

void sql_verdict_of_none(const char *text, size_t len, struct sql_verdict *out)
{
    struct walk w = {.verdict = out};

    memset(out, 0, sizeof(*out));
    guess_control(&w, text, len);
    out->begins = w.begins;
    out->executes = w.executes;
    out->analysed = true;
}

static bool begins_with(const char *text, size_t len, const char *word)
{
    return len > strlen(word) && !strncasecmp(text, word, strlen(word));
}

static bool is_inside(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool has_word(const char *text, size_t len, const char *word)
{
    for (size_t i = 0; i < len; i++)
        if ((i == 0 || !is_inside(text[i - 1])) && begins_with(text + i, len - i, word) &&
            !is_inside(text[i + strlen(word)]))
            return true;
    return false;
}

/* INTO as of a SELECT: not behind INSERT or MERGE. */
static bool selects_into(const char *text, size_t len)
{
    bool writes = false;

    for (size_t i = 0, to; i < len; i = to + 1) {
        for (to = i; to < len && is_inside(text[to]);)
            to++;
        if (to == i)
            continue;
        if (to - i == 4 && !strncasecmp(text + i, "into", 4) && !writes)
            return true;
        writes = (to - i == 6 && !strncasecmp(text + i, "insert", 6)) ||
                 (to - i == 5 && !strncasecmp(text + i, "merge", 5));
    }
    return false;
}

/* CREATE, ALTER, SELECT INTO; EXPLAIN ANALYZE of one. */
static bool is_maker(const char *text, size_t len)
{
    switch (sql_first_word(text, len)) {
    case SQL_FIRST_WRAPS:
        return has_word(text, len, "create") || selects_into(text, len);
    case SQL_FIRST_ALTER:
        return true;
    case SQL_FIRST_READS:
        return selects_into(text, len);
    default:
        return false;
    }
}

/* Columns that are not said there: `*`, and in CREATE TABLE: LIKE, INHERITS, OF, AS TABLE, AS
 * EXECUTE; or those of a relation that gets another name: RENAME, SET SCHEMA. Elsewhere these words
 * do no harm. */
static bool takes_columns(const char *text, size_t len)
{
    static const char *const words[] = {"like", "inherits", "of", "execute", "rename", "schema"};
    const char *as = text;

    if (memchr(text, '*', len))
        return true;
    for (size_t w = 0; w < ARRAY_LEN(words); w++)
        if (has_word(text, len, words[w]))
            return true;
    for (size_t i = 0; i + 2 < len; i++) {
        as = text + i;
        if ((i && is_inside(as[-1])) || strncasecmp(as, "as", 2) != 0)
            continue;
        for (as += 2; as < text + len && strchr(" \t\r\n\f\v(", *as);)
            as++;
        if (begins_with(as, (size_t)(text + len - as), "table"))
            return true;
    }
    return false;
}

bool sql_makes_columns(const struct sql_rules *rules, const char *text, size_t len)
{
    bool makes = false;

    for (size_t at = 0, behind; at < len && !makes; at += behind) {
        behind = sql_first_behind(text + at, len - at);
        makes = is_maker(text + at, behind);
    }
    return makes &&
           (sql_search_run(&rules->old_columns, text, len, true) ||
            sql_search_run(&rules->new_columns, text, len, true) || takes_columns(text, len));
}

bool sql_makes_fickle(const char *text, size_t len)
{
    static const char *const words[] = {"trigger",  "rule",      "function", "procedure",
                                        "operator", "aggregate", "cast",     "routine"};

    for (size_t at = 0, behind; at < len; at += behind) {
        behind = sql_first_behind(text + at, len - at);
        if (sql_first_word(text + at, behind) == SQL_FIRST_READS || !is_maker(text + at, behind))
            continue;
        for (size_t i = 0; i < ARRAY_LEN(words); i++)
            if (has_word(text + at, behind, words[i]))
                return true;
    }
    return false;
}

void sql_inspect(const struct sql_rules *rules, const char *text, size_t len,
                 struct sql_verdict *out)
{
    struct sql_nodes *tree;
    char *copy;

    if (!sql_mentions(rules, text, len)) {
        sql_verdict_of_none(text, len, out);
        return;
    }
    copy = mem_strndup(text, len);
    tree = strlen(copy) == len && sql_runs_tame(copy, len) ? sql_newer_parse(copy) : NULL;
    free(copy);
    sql_verdict_of(rules, NULL, sql_nodes_root(tree), text, len, out);
    sql_nodes_free(tree);
}
