#include "made.h"

#include "path.h"
#include "worker.h"

/* Do the rules know of what it has made? */
static bool is_known(const struct sess *s)
{
    const struct sess_order *order = s->worker->order;

    return s->made_for <= order->changes || (s->veiled && s->veiled <= order->settled);
}

struct sql_taken sess_shadowed(const struct sess *s)
{
    return is_known(s) ? (struct sql_taken){0} : s->made;
}

uint64_t sess_unseen(const struct sess *s)
{
    return is_known(s) ? 0 : s->unseen;
}

bool sess_unlisted(const struct sess *s)
{
    return s->unlisted && !is_known(s);
}

bool sess_fickle(const struct sess *s)
{
    return s->fickle && !is_known(s);
}

/* What a procedure has made counts within a transaction only: most make nothing, and those that
 * are called by themselves are not to leave a doubt each. */
static bool makes_unseen(uint8_t opaque, bool within)
{
    return opaque >= SQL_OPAQUE_MAKES || (opaque == SQL_OPAQUE_CALLS && within);
}

bool sess_makes_columns(const struct sess *s, enum sql_first first, const char *text, size_t len,
                        const struct sql_verdict *v, bool several)
{
    bool may = several || (sql_first_is_maker(first) && first != SQL_FIRST_READS);

    return makes_unseen(v->opaque, several || !sess_track_safe(&s->track)) ||
           (may && sql_makes_columns(sess_rules(s), text, len));
}

bool sess_makes_fickle(const struct sess *s, enum sql_first first, const char *text, size_t len,
                       const struct sql_verdict *v, bool several)
{
    bool may = several || (sql_first_is_maker(first) && first != SQL_FIRST_READS);

    return makes_unseen(v->opaque, several || !sess_track_safe(&s->track)) ||
           (may && sql_makes_fickle(text, len));
}

/* What it may leave behind: names of tables that relations may have which it makes; and tables
 * whose names may have come to mean one that nobody has seen. */
struct left {
    struct sql_taken made;
    uint64_t unseen;
};

/* IF NOT EXISTS: which schema it would be in is only known of a session whose path is followed.
 * Else it has mostly found the table itself. */
static void leave_perhaps(const struct sess *s, const struct sql_verdict *v, struct sql_taken names,
                          struct left *left)
{
    uint64_t there, lasting;

    if (!sql_taken_any(names))
        return;
    lasting = sql_rules_lasting(sess_rules(s));
    if (v->moves || !sess_path_makes_in(s->path, sess_rules(s), &there)) {
        there = lasting;
        left->unseen |= (names.old | names.new) & lasting;
    }
    left->made =
        sql_taken_join(left->made, (struct sql_taken){names.old & ~there, names.new & ~there});
}

/* rewrite NULL: it names none. A DO that makes tables and says a table's name (not: the text beside
 * it) has hardly another reason to say it. */
static struct left left_by(const struct sess *s, const struct sql_verdict *v,
                           const struct sql_rewrite *rewrite, bool within)
{
    struct left left = {0};
    uint64_t said;

    if (makes_unseen(v->opaque, within))
        left.unseen = sql_rules_lasting(sess_rules(s));
    said = v->opaque == SQL_OPAQUE_RELATES && rewrite ? left.unseen & rewrite->says : 0;
    left.made = (struct sql_taken){said, said};
    if (rewrite) {
        left.made = sql_taken_join(left.made, rewrite->hides);
        left.made = sql_taken_join(left.made, rewrite->makes.certain);
        leave_perhaps(s, v, rewrite->makes.unless_there, &left);
    }
    return left;
}

void sess_made_note(struct sess *s, const struct sql_verdict *v, const struct sql_rewrite *rewrite,
                    bool within)
{
    struct left left = left_by(s, v, rewrite, within);

    if (!sql_taken_any(left.made) && !left.unseen && !v->columns && !v->fickle)
        return;
    s->unlisted = sess_unlisted(s) || v->columns;
    s->fickle = sess_fickle(s) || v->fickle;
    s->made = sql_taken_join(sess_shadowed(s), left.made);
    s->unseen = sess_unseen(s) | left.unseen;
    s->made_for = UINT64_MAX;
    s->veiled = 0;
}
