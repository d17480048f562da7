/*
 * The statements of a text, one after the other: what one leaves to those behind it, and that none
 * of them has to do with the doubts of another.
 */
#include <stdlib.h>
#include <string.h>

#include "called.h"
#include "record.h"
#include "said.h"
#include "segue/base/mem.h"
#include "segue/sql/inspect.h"
#include "walk.h"

static const struct sql_node *get(const struct sql_node *node, const char *key)
{
    return sql_tree_get(node, key);
}

/* Of ALTER TABLE: does it change columns? */
static bool changes_columns(const struct sql_node *alter)
{
    static const char *const kinds[] = {"AT_AddColumn", "AT_DropColumn", "AT_AlterColumnType"};

    SQL_NODE_EACH_ITEM(item, get(alter, "cmds")) {
        const char *kind = sql_node_text(get(get(item, "AlterTableCmd"), "subtype"));

        for (size_t i = 0; kind && i < ARRAY_LEN(kinds); i++)
            if (!strcmp(kind, kinds[i]))
                return true;
    }
    return false;
}

static bool drops_tables(const struct sql_node *drop)
{
    const char *kind = sql_node_text(get(drop, "removeType"));

    return kind && !strcmp(kind, "OBJECT_TABLE");
}

/* Has a table of the rules other columns behind it, or is it another one? Another name is one. */
static bool alters(struct sql_work *w, const struct sql_node *stmt)
{
    const struct sql_node *alter = get(stmt, "AlterTableStmt");
    const struct sql_node *range = get(alter ? alter : get(stmt, "RenameStmt"), "relation");
    struct sql_scope none = {0};
    bool found;

    if (drops_tables(get(stmt, "DropStmt")))
        return true;
    if (alter && !changes_columns(alter))
        return false;
    found = range && sql_scope_add_range(w, &none, range, true)->rule;
    sql_scope_fini(&none);
    return found;
}

struct sql_path_step sql_path_at(const struct sql_sight_of_session *session, unsigned number)
{
    struct sql_path_step step = {.path = session->path};

    for (unsigned i = 0; i < session->steps.n && session->steps.v[i].at < number; i++)
        step = session->steps.v[i];
    return step;
}

/* Of a text, what one of its statements stands in. */
struct part {
    const char *text;
    size_t len;
};

static struct part part_of(const struct sql_work *w, const struct sql_node *item)
{
    size_t from = (size_t)sql_node_number(get(item, "stmt_location"));
    size_t len = (size_t)sql_node_number(get(item, "stmt_len"));

    return (struct part){w->text + from, len ? len : w->len - from};
}

/* One of several that says no table's name, of whatever kind it is, is in no doubt, and puts none
 * of the others in doubt; but it may make what cannot be seen. */
static bool is_looked_at(const struct sql_work *w, bool several, struct part part)
{
    return !several || sql_mentions(w->rules, part.text, part.len);
}

/* The statements that are looked at, each with its semicolon, and blanks for all else; NULL: that
 * would spare little, or what is left out may say segue:off. */
static char *looked_at(const struct sql_work *w, const struct sql_node *tree)
{
    const struct sql_node *stmts = get(tree, "stmts");
    bool several = sql_node_size(stmts) > 1;
    size_t bytes = 0;
    char *text;

    SQL_NODE_EACH_ITEM(item, stmts) {
        struct part part = part_of(w, item);

        if (is_looked_at(w, several, part))
            bytes += part.len;
    }
    if (bytes > w->len / 2 || memmem(w->text, w->len, SQL_TOKENS_OFF, strlen(SQL_TOKENS_OFF)))
        return NULL;
    text = mem_alloc(w->len + 1);
    memset(text, ' ', w->len);
    text[w->len] = '\0';
    SQL_NODE_EACH_ITEM(item, stmts) {
        struct part part = part_of(w, item);
        size_t at = (size_t)(part.text - w->text);

        if (is_looked_at(w, several, part))
            memcpy(text + at, part.text, part.len + (at + part.len < w->len));
    }
    return text;
}

enum rc sql_walk_scan(struct sql_work *w, const struct sql_node *tree)
{
    char *text = looked_at(w, tree);
    enum rc rc = sql_tokens_init(&w->tokens, text ? text : w->text);

    free(text);
    return rc;
}

/* What no tree shows: the table that a text names may be another one behind it. As in a session, a
 * DO that makes tables and says a table's name has hardly another reason to say it. */
static void note_unseen(struct sql_work *w, struct part part)
{
    enum sql_opaque opaque = sql_opaque(part.text, part.len);
    uint64_t said;

    if (opaque == SQL_OPAQUE_NO)
        return;
    w->opaque = sql_rules_lasting(w->rules);
    if (opaque != SQL_OPAQUE_RELATES)
        return;
    said = w->opaque & sql_search_run(&w->rules->names, part.text, part.len, false);
    w->hidden = sql_taken_join(w->hidden, (struct sql_taken){said, said});
    w->out->says |= said;
}

/* What others are written by has come, or what a function gives: nothing is to stand twice. */
static bool is_fickle(const struct sql_node *stmt)
{
    static const struct sql_key kinds[] = {
        SQL_KEY("CreateTrigStmt"),    SQL_KEY("RuleStmt"),   SQL_KEY("CreateFunctionStmt"),
        SQL_KEY("AlterFunctionStmt"), SQL_KEY("DefineStmt"), SQL_KEY("CreateCastStmt"),
        SQL_KEY("CreateOpClassStmt")};

    SQL_NODE_EACH_MEMBER(member, stmt)
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
            if (sql_tree_is(member, &kinds[i]))
                return true;
    return false;
}

/* IF NOT EXISTS: mostly it does, and that is the table; what goes by its columns is better taken
 * for it. */
static struct sql_taken note_perhaps(struct sql_work *w, struct sql_taken names)
{
    uint64_t lasting = sql_rules_lasting(w->rules);

    w->opaque |= (names.old | names.new) & lasting;
    return (struct sql_taken){names.old & ~lasting, names.new & ~lasting};
}

/* What a statement leaves to those behind it. */
static void note_made(struct sql_work *w, const struct sql_node *stmt)
{
    struct sql_made made = sql_namesakes_made(w->rules, stmt);

    made.certain = sql_taken_join(made.certain, note_perhaps(w, made.unless_there));
    w->hidden = sql_taken_join(w->hidden, sql_temporaries(w->rules, stmt));
    w->hidden = sql_taken_join(w->hidden, made.certain);
    w->altered = w->altered || alters(w, stmt);
}

static void walk(struct sql_work *w, const struct sql_node *tree,
                 void (*one)(struct sql_work *w, const struct sql_node *stmt))
{
    const struct sql_node *stmts = get(tree, "stmts");
    bool several = sql_node_size(stmts) > 1;
    unsigned number = 0;

    SQL_NODE_EACH_ITEM(item, stmts) {
        struct part part = part_of(w, item);

        w->path = sql_path_at(w->session, ++number);
        if (is_looked_at(w, several, part)) {
            if (w->altered)
                sql_work_doubt(w, SQL_DOUBT_OFF);
            else
                one(w, get(item, "stmt"));
            note_made(w, get(item, "stmt"));
        }
        note_unseen(w, part);
        w->fickle |= is_fickle(get(item, "stmt"));
    }
}

/* Nothing of what was walked before counts. */
static void restart(struct sql_work *w)
{
    sql_edits_restart(&w->edits);
    sql_record_restart(w);
    w->columns.n = 0;
    w->hidden = (struct sql_taken){0};
    w->altered = w->fickle = w->buried = false;
    w->opaque = 0;
}

void sql_walk(struct sql_work *w, const struct sql_node *tree)
{
    const struct sql_rewrite before = *w->out;

    walk(w, tree, sql_walk_statement);
    while (!w->effort->spent && sql_said_again(w)) {
        restart(w);
        w->doubts = 0;
        *w->out = before;
        walk(w, tree, sql_walk_statement);
    }
    sql_called_doubts(w, tree);
}

bool sql_walk_knows_names(const struct sql_work *w)
{
    const unsigned columns = 1U << SQL_DOUBT_NAME | 1U << SQL_DOUBT_ROW | 1U << SQL_DOUBT_STAR |
                             1U << SQL_DOUBT_JOIN | 1U << SQL_DOUBT_CLAUSE;

    return (w->rules->nothers > 0 || w->listed) && !w->unnamed && !(w->doubts & ~columns);
}

/* What is edited is which of its two names a table has, and nothing else. */
static void names_alone(struct sql_work *w, const struct sql_node *stmt)
{
    size_t before = w->edits.n;

    sql_record_restart(w);
    w->names_only = true;
    sql_walk_statement(w, stmt);
    w->names_only = false;
    sql_edits_keep_names(&w->edits, before);
}

bool sql_walk_is_better_left(const struct sql_work *w)
{
    return w->unseen && !w->out->by_columns && !w->out->stars && !w->out->positional;
}

static void walk_and_judge(struct sql_work *w, const struct sql_node *stmt)
{
    const struct sql_rewrite before = *w->out;

    w->out->by_columns = false;
    w->out->stars = w->out->positional = 0;
    sql_walk_statement(w, stmt);
    sql_called_doubts(w, stmt);
    sql_said_doubts(w);
    if (sql_walk_is_better_left(w))
        sql_work_doubt(w, SQL_DOUBT_PATH);
    w->out->by_columns |= before.by_columns;
    w->out->stars |= before.stars;
    w->out->positional |= before.positional;
}

static void by_itself(struct sql_work *w, const struct sql_node *stmt)
{
    size_t before = w->edits.n;

    w->doubts = 0;
    w->unnamed = false;
    w->unseen = 0;
    sql_record_restart(w);
    w->said.twofold = w->said.unsure = w->said.rows = 0;
    walk_and_judge(w, stmt);
    if (!w->doubts)
        return;
    sql_edits_drop(&w->edits, before);
    if (sql_walk_knows_names(w))
        names_alone(w, stmt);
    if (!sql_walk_knows_names(w))
        sql_edits_drop(&w->edits, before);
}

bool sql_walk_apart(struct sql_work *w, const struct sql_node *tree)
{
    if (sql_node_size(get(tree, "stmts")) < 2)
        return false;
    restart(w);
    walk(w, tree, by_itself);
    return true;
}

void sql_walk_names(struct sql_work *w, const struct sql_node *tree)
{
    restart(w);
    walk(w, tree, names_alone);
}
