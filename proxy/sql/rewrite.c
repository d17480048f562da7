#include "segue/sql/rewrite.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "newer.h"
#include "record.h"
#include "runs.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/base/utf8.h"
#include "segue/sql/head.h"
#include "work.h"

/* A star is a few bytes, and what it stands for may be many: so much is added to a text, and so
 * many times its own length. No statement of that size is of any use. */
#define ADDED_BYTES_LEAST (4 << 20)
#define ADDED_TIMES 4

/* As what is too long to be looked at, but for the list of an INSERT that counts columns. */
static void leave_unread(struct sql_work *w)
{
    struct sql_rewrite head, *out = w->out;
    struct sql_head at;
    struct buf text = {0};

    if (sql_head_find(w->text, w->len, &at) != RC_OK || at.row == w->len ||
        !sql_head_rewrite(w->rules, w->session, w->text, &at, &head))
        return;
    buf_append(&text, head.text, head.len);
    buf_append(&text, w->text + at.row, w->len - at.row);
    free(head.text);
    out->len = text.len;
    out->text = buf_take(&text);
    out->splices = head.splices;
    out->nsplices = head.nsplices;
    out->positional |= head.positional;
}

static void apply(struct sql_work *w)
{
    if (w->edits.over || w->effort->spent) {
        sql_rewrite_fini(w->out);
        sql_work_doubt(w, SQL_DOUBT_LENGTH);
        leave_unread(w);
        return;
    }
    if (w->edits.n == 0 || sql_edits_apply(&w->edits, w->text, w->len, w->out) == RC_OK)
        return;
    sql_rewrite_fini(w->out);
    sql_work_doubt(w, SQL_DOUBT_CLAUSE);
}

static void finish(struct sql_work *w, const struct sql_node *tree)
{
    struct sql_rewrite *out = w->out;

    if (!w->session->rewrites || w->tokens.off) {
        out->early = 0;
        sql_work_doubt(w, SQL_DOUBT_OFF);
        return;
    }
    if (w->effort->spent) {
        out->early = 0;
        out->doubt = SQL_DOUBT_LENGTH;
        leave_unread(w);
        return;
    }
    if (out->early)
        return;
    if (sql_walk_is_better_left(w))
        sql_work_doubt(w, SQL_DOUBT_PATH);
    if ((out->doubt != SQL_DOUBT_NONE || w->unseen) && sql_walk_apart(w, tree)) {
        apply(w);
    } else if (out->doubt == SQL_DOUBT_NONE) {
        apply(w);
    } else if (sql_walk_knows_names(w)) {
        sql_walk_names(w, tree);
        if (sql_walk_knows_names(w))
            apply(w);
    }
}

void sql_rewrite(const struct sql_rules *rules, const struct sql_sight_of_session *session,
                 const char *text, size_t len, struct sql_rewrite *out)
{
    struct sql_effort effort = {.left = SQL_EFFORT_MAX};
    struct sql_work w = {
        .rules = rules, .session = session, .len = len, .effort = &effort, .out = out};
    struct sql_nodes *nodes = NULL;
    const struct sql_node *tree;
    char *copy;

    *out = (struct sql_rewrite){0};
    if (!sql_mentions(rules, text, len)) {
        sql_verdict_of_none(text, len, &out->verdict);
        return;
    }
    copy = mem_strndup(text, len);
    w.text = copy;
    w.edits.len = len;
    w.edits.most = ADDED_BYTES_LEAST + ADDED_TIMES * len;
    if (strlen(copy) == len && utf8_is_valid(copy) && sql_runs_tame(copy, len))
        nodes = sql_newer_parse(copy);
    tree = sql_nodes_root(nodes);
    sql_verdict_of(rules, session, tree, text, len, &out->verdict);
    out->hides = sql_temporaries(rules, tree);
    out->makes = sql_namesakes_made(rules, tree);
    if (tree && sql_walk_scan(&w, tree) == RC_OK)
        sql_walk(&w, tree);
    else
        sql_work_doubt(&w, SQL_DOUBT_GRAMMAR);
    if (!tree)
        out->says = out->verdict.touches;
    finish(&w, tree);
    if (out->doubt != SQL_DOUBT_NONE)
        out->signature = 0;
    sql_tokens_fini(&w.tokens);
    sql_edits_fini(&w.edits);
    sql_record_fini(&w);
    free(w.columns.items);
    sql_nodes_free(nodes);
    free(copy);
}

void sql_rewrite_fini(struct sql_rewrite *rewrite)
{
    free(rewrite->text);
    free(rewrite->splices);
    rewrite->text = NULL;
    rewrite->splices = NULL;
    rewrite->nsplices = 0;
    rewrite->len = 0;
}

const char *sql_doubt_text(enum sql_doubt doubt)
{
    static const char *const texts[] = {
        [SQL_DOUBT_NONE] = "none",
        [SQL_DOUBT_GRAMMAR] = "not understood by the parser",
        [SQL_DOUBT_STATEMENT] = "a kind of statement that is never rewritten",
        [SQL_DOUBT_LENGTH] = "longer than what is looked at",
        [SQL_DOUBT_OFF] = "rewriting is turned off",
        [SQL_DOUBT_COLUMNS] = "the table's columns are not known",
        [SQL_DOUBT_PATH] = "an unqualified name may mean another relation",
        [SQL_DOUBT_NAME] = "a column's name could mean more than one thing",
        [SQL_DOUBT_ROW] = "a whole row where its type matters",
        [SQL_DOUBT_STAR] = "a star whose columns cannot be listed",
        [SQL_DOUBT_JOIN] = "a join by names beside what forbids a sub-select",
        [SQL_DOUBT_CLAUSE] = "a clause around what would be edited",
        [SQL_DOUBT_TABLE] = "a table's other name as a type, or in a text that names a relation",
    };

    static_assert(ARRAY_LEN(texts) == SQL_DOUBTS, "a doubt without a text");
    return texts[doubt];
}

/* Bytes of the text in front of its character number `chars` (from 0). */
static size_t bytes_of(const char *text, size_t len, uint32_t chars)
{
    size_t i = 0;

    for (; i < len && chars > 0; chars--)
        for (i++; i < len && ((unsigned char)text[i] & 0xC0) == 0x80; i++)
            ;
    return i;
}

static uint32_t chars_of(const char *text, size_t bytes)
{
    uint32_t n = 0;

    for (size_t i = 0; i < bytes; i++)
        n += ((unsigned char)text[i] & 0xC0) != 0x80;
    return n;
}

/* The one whose inserted bytes have the byte `at` of the text sent, or NULL. *gained: bytes before
 * it, or before `at`, in the sent text, beyond the client's. */
static const struct sql_splice *splice_at(const struct sql_rewrite *rewrite, size_t at,
                                          size_t *gained)
{
    *gained = 0;
    for (size_t i = 0; i < rewrite->nsplices; i++) {
        const struct sql_splice *splice = &rewrite->splices[i];

        if (at < splice->at + *gained)
            break;
        if (at < splice->at + *gained + splice->inserted)
            return splice;
        *gained += (size_t)splice->inserted - splice->removed;
    }
    return NULL;
}

uint32_t sql_rewrite_position(const struct sql_rewrite *rewrite, const char *text, size_t len,
                              uint32_t position)
{
    const struct sql_splice *splice;
    size_t at, gained;
    uint32_t sent;

    if (!rewrite->text || position == 0)
        return position;
    sent = rewrite->head ? chars_of(rewrite->text, rewrite->len) : UINT32_MAX;
    if (position > sent) /* behind it, as far as before */
        return position - sent + chars_of(text, len);
    at = bytes_of(rewrite->text, rewrite->len, position - 1);
    splice = splice_at(rewrite, at, &gained);
    if (splice && splice->moved == SQL_NOWHERE)
        return 0;
    if (splice && splice->moved)
        return chars_of(text, splice->moved - 1 + (at - splice->at - gained)) + 1;
    at = splice ? splice->at : at - gained;
    return chars_of(text, at < len ? at : len) + 1;
}

bool sql_rewrite_is_own(const struct sql_rewrite *rewrite, uint32_t position)
{
    const struct sql_splice *splice;
    size_t gained;

    if (!rewrite->text || position == 0)
        return true;
    splice = splice_at(rewrite, bytes_of(rewrite->text, rewrite->len, position - 1), &gained);
    return !splice || (splice->moved && splice->moved != SQL_NOWHERE);
}
