#include "path.h"

#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"
#include "segue/base/rc.h"

/* So often it is asked for where a timeout of the session ends that. Then it is in doubt. */
#define TRIES_MAX 3

struct value {
    char *path, *role; /* NULL: not known */
};

struct sess_path {
    struct value now, after, before;
    char *reset;     /* NULL: not known */
    char *reported;  /* the server's last word; NULL: none, or too long */
    char *temporary; /* NULL: not known; "": none, as of these rules */
    uint64_t temporary_epoch;
    bool reports;
    bool asking, asked; /* asked: since it was lost */
    unsigned late;      /* so often in a row it ran into a timeout */
    bool borrowed;      /* in a transaction that has set something */
    /* in flight, since nothing was */
    struct sql_path_move move; /* of all texts together */
    bool suspect;
    bool done;             /* its tag has come */
    bool failed;           /* something has */
    bool ended, went_back; /* a transaction has: COMMIT, ROLLBACK (of a part of it, too) */
    uint64_t epoch, class; /* class of `now` */
    bool classed;
};

static void put(char **slot, const char *text)
{
    char *copy = text && strlen(text) < SQL_PATH_BYTES_MAX ? mem_strdup(text) : NULL;

    free(*slot);
    *slot = copy;
}

static void assign(struct value *to, const struct value *from)
{
    put(&to->path, from->path);
    put(&to->role, from->role);
}

/* One value for now and ever. */
static void settle_on(struct sess_path *p, struct value *value)
{
    struct value *const all[] = {&p->now, &p->after, &p->before};

    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (all[i] != value)
            assign(all[i], value);
    p->borrowed = p->classed = false;
}

struct sess_path *sess_path_new(void)
{
    return mem_calloc(1, sizeof(struct sess_path));
}

void sess_path_free(struct sess_path *p)
{
    if (!p)
        return;
    sess_path_told(p, NULL, NULL, NULL);
    free(p->reported);
    free(p->temporary);
    free(p);
}

/* ---- the question ---- */

/* A session that has none may get one at any time; it keeps the one that it has. */
static bool is_stale(const struct sess_path *p, const struct sql_rules *rules)
{
    return !(p->temporary && *p->temporary) && p->temporary_epoch != sql_rules_epoch(rules);
}

bool sess_path_wanted(const struct sess_path *p, const struct sql_rules *rules)
{
    return (!p->asked && (!p->now.path || !p->now.role)) ||
           (sql_path_temporaries(rules) && is_stale(p, rules));
}

void sess_path_ask(struct sess_path *p, const struct sql_rules *rules)
{
    p->asking = p->asked = true;
    p->temporary_epoch = sql_rules_epoch(rules);
}

bool sess_path_asking(const struct sess_path *p)
{
    return p->asking;
}

void sess_path_told(struct sess_path *p, const char *path, const char *reset, const char *role)
{
    put(&p->now.path, path);
    put(&p->now.role, role);
    put(&p->reset, reset);
    put(&p->reported, path);
    p->late = 0;
    settle_on(p, &p->now);
}

void sess_path_told_temporary(struct sess_path *p, const char *schema)
{
    put(&p->temporary, schema && !strcmp(schema, "-") ? "" : schema);
}

void sess_path_asked(struct sess_path *p)
{
    p->asking = false;
}

void sess_path_ask_again(struct sess_path *p)
{
    p->asked = false;
    p->temporary_epoch = 0;
}

void sess_path_late(struct sess_path *p)
{
    if (++p->late % TRIES_MAX)
        sess_path_ask_again(p);
}

/* ---- what changes it ---- */

static void lose(struct sess_path *p)
{
    put(&p->now.path, NULL);
    put(&p->now.role, NULL);
    settle_on(p, &p->now);
    p->asked = false;
}

void sess_path_goes(struct sess_path *p, const struct sql_path_move *move)
{
    if (move->kind == SQL_PATH_STAYS)
        return;
    if (move->kind == SQL_PATH_ENDS && !p->borrowed && p->move.kind == SQL_PATH_STAYS)
        return; /* it ends nothing that was set */
    if (p->move.kind == SQL_PATH_STAYS)
        p->move = *move;
    else if (p->move.kind != SQL_PATH_ENDS || move->kind != SQL_PATH_ENDS)
        p->move.kind = SQL_PATH_LOST;
}

void sess_path_unseen(struct sess_path *p)
{
    sess_path_goes(p, &(struct sql_path_move){.kind = SQL_PATH_LOST, .tag = ""});
}

void sess_path_suspect(struct sess_path *p)
{
    p->suspect = true;
}

bool sess_path_is_borrowed(const struct sess_path *p)
{
    return p->borrowed;
}

static void change(struct sess_path *p, const struct sql_path_move *move, bool in_block)
{
    bool role = move->kind == SQL_PATH_ROLE;
    const char *value = move->kind == SQL_PATH_RESETS ? p->reset : move->known ? move->value : NULL;

    if (move->local && !in_block)
        return;
    put(role ? &p->now.role : &p->now.path, value);
    if (!move->local)
        put(role ? &p->after.role : &p->after.path, value);
    p->borrowed = true;
    p->classed = false;
    p->asked = false;
    if (!in_block)
        settle_on(p, &p->now);
}

/* ---- the server's messages ---- */

static bool is_tag(const char *tag, size_t len, const char *word)
{
    return len == strlen(word) + 1 && memcmp(tag, word, len) == 0;
}

void sess_path_completed(struct sess_path *p, const char *tag, size_t len)
{
    size_t own = p->move.kind != SQL_PATH_STAYS ? strlen(p->move.tag) : 0;

    if (own && len > own && memcmp(tag, p->move.tag, own) == 0)
        p->done = true;
    if (is_tag(tag, len, "COMMIT") || is_tag(tag, len, "PREPARE TRANSACTION")) {
        p->ended = true;
        if (p->borrowed)
            settle_on(p, &p->after);
    } else if (is_tag(tag, len, "ROLLBACK")) {
        p->went_back = true;
    }
}

void sess_path_failed(struct sess_path *p)
{
    p->failed = true;
}

void sess_path_reported(struct sess_path *p, const char *path)
{
    p->reports = true;
    put(&p->reported, path);
}

/* What was set in the transaction, and only in a part of it perhaps. */
static void went_back(struct sess_path *p, bool in_block)
{
    if (!in_block) {
        settle_on(p, &p->before);
        return;
    }
    put(&p->now.path, NULL);
    put(&p->now.role, NULL);
    assign(&p->after, &p->now);
    p->classed = false;
}

static void follow(struct sess_path *p, bool in_block)
{
    const struct sql_path_move *move = &p->move;

    if (move->kind == SQL_PATH_LOST) {
        lose(p);
    } else if (move->kind != SQL_PATH_STAYS && move->kind != SQL_PATH_ENDS) {
        if (p->done && !p->failed && !p->ended && !p->went_back)
            change(p, move, in_block);
        else
            lose(p);
    } else if (p->borrowed && p->went_back) {
        went_back(p, in_block);
    } else if (p->borrowed && !in_block) {
        lose(p); /* it has ended in a way not known */
    }
}

void sess_path_ready(struct sess_path *p, char status, bool all)
{
    bool in_block = status != 'I';

    if (!all)
        return;
    follow(p, in_block);
    p->move.kind = SQL_PATH_STAYS;
    p->suspect = p->done = p->failed = p->ended = p->went_back = false;
    if (!p->reports)
        return;
    if (!p->now.path || !p->reported || strcmp(p->now.path, p->reported) != 0) {
        put(&p->now.path, p->reported);
        p->classed = false;
    }
    if (!in_block) {
        put(&p->after.path, p->reported);
        put(&p->before.path, p->reported);
    }
}

/* ---- what it means ---- */

static bool is_settled(const struct sess_path *p, const struct sql_rules *rules)
{
    return p && sql_path_matters(rules) && p->move.kind == SQL_PATH_STAYS && !p->suspect;
}

uint64_t sess_path_class(struct sess_path *p, const struct sql_rules *rules)
{
    if (!is_settled(p, rules))
        return SQL_PATH_UNKNOWN;
    if (!p->classed || p->epoch != sql_rules_epoch(rules)) {
        p->class = sql_path_class_of(
            rules, &(struct sql_path_of){.path = p->now.path,
                                         .role = p->now.role,
                                         .temporary = is_stale(p, rules) ? NULL : p->temporary});
        p->epoch = sql_rules_epoch(rules);
        p->classed = true;
    }
    return p->class;
}

/* What the statements of a text make of the path, one after the other. */
struct walk {
    struct sess_path *p;
    const struct sql_rules *rules;
    struct sql_path_steps *out;
    const char *path, *role;                   /* now; NULL: not known */
    struct sql_path_move last_path, last_role; /* what these point into */
    bool moved, set;
    bool perhaps;
};

/* False: nothing that names mean. */
static bool take_move(struct walk *w, bool perhaps, const struct sql_path_move *move)
{
    switch (move->kind) {
    case SQL_PATH_STAYS:
        return false;
    case SQL_PATH_ENDS:
        if (!w->p->borrowed && !w->set)
            return false;
        w->path = w->role = NULL;
        break;
    case SQL_PATH_SETS:
        w->last_path = *move;
        w->path = move->known ? w->last_path.value : NULL;
        w->perhaps = false;
        break;
    case SQL_PATH_RESETS:
        w->path = w->p->reset;
        break;
    case SQL_PATH_ROLE:
        w->last_role = *move;
        w->role = move->known ? w->last_role.value : NULL;
        break;
    case SQL_PATH_LOST:
        w->perhaps |= perhaps;
        if (!perhaps)
            w->path = w->role = NULL;
    }
    w->set = true;
    return true;
}

static void add_step(void *ctx, unsigned at, bool perhaps, const struct sql_path_move *move)
{
    struct walk *w = ctx;
    struct sql_path_steps *out = w->out;
    struct sql_path_step *step;
    bool known = is_settled(w->p, w->rules);

    w->moved = true;
    if (!take_move(w, perhaps, move))
        return;
    if (out->n == SQL_PATH_STEPS_MAX) {
        out->v[out->n - 1].path = SQL_PATH_UNKNOWN;
        return;
    }
    step = &out->v[out->n++];
    *step = (struct sql_path_step){.at = at, .perhaps = w->perhaps};
    if (known)
        step->path = sql_path_class_of(
            w->rules,
            &(struct sql_path_of){.path = w->path,
                                  .role = w->role,
                                  .temporary = is_stale(w->p, w->rules) ? NULL : w->p->temporary});
}

bool sess_path_steps(struct sess_path *p, const struct sql_rules *rules, const char *text,
                     size_t len, struct sql_path_steps *out)
{
    struct walk w = {.p = p, .rules = rules, .out = out, .path = p->now.path, .role = p->now.role};

    out->n = 0;
    sql_path_each_move(text, len, add_step, &w);
    return w.moved;
}

static uint64_t add_text(uint64_t hash, const char *text)
{
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211); /* FNV-1a */
    return hash * UINT64_C(1099511628211);
}

uint64_t sess_path_hash(const struct sess_path *p)
{
    if (!p || !p->now.path)
        return 0;
    return add_text(add_text(UINT64_C(14695981039346656037), p->now.path),
                    p->now.role ? p->now.role : "");
}

bool sess_path_makes_in(const struct sess_path *p, const struct sql_rules *rules, uint64_t *there)
{
    if (!is_settled(p, rules))
        return false;
    *there =
        sql_path_makes_in(rules, &(struct sql_path_of){.path = p->now.path, .role = p->now.role});
    return true;
}

size_t sess_path_bytes_max(void)
{
    return sizeof(struct sess_path) + 9 * (size_t)SQL_PATH_BYTES_MAX;
}
