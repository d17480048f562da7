/*
 * Foreign keys to a column that changes its name or its type, and from one that changes its type.
 * The cut-over lets go of them and makes them again over the new halves, NOT VALID: new rows are
 * checked from that moment on, and those that were there after it, without the gate (stage settle).
 * The way back does the same. Those from a column that changes its name alone are built beside the
 * old ones (plan_carry.c), but for ON ... SET DEFAULT: of two, the one whose half has no default
 * would set NULL; for those that are deferred by name (SET CONSTRAINTS): it would not be its
 * twin's; and for those to a partitioned table: the server names their parts after them.
 */
#include <stdlib.h>
#include <string.h>

#include "plan_build.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"

struct link {
    json_int_t oid, foreign_oid;           /* the table that refers, and the one it refers to */
    char *table, *foreign;                 /* "schema.table", quoted as needed */
    char *name, *before, *after, *comment; /* definitions until the cut-over, and from it on */
    bool validated;
};

enum {
    L_TABLE,
    L_NAME,
    L_DEFINITION,
    L_VALIDATED,
    L_COMMENT,
    L_KIND,
    L_OWNED,
    L_FOREIGN,
    L_PAIRS,
    L_TAIL,
    L_SET,
    L_END,
    L_PERIOD,
    L_ALONE,
    L_TO_PARTS
};

static const char links_sql[] =
    "SELECT format('%I.%I', rn.nspname, r.relname), k.conname, d.said,"
    " k.convalidated, obj_description(k.oid, 'pg_constraint'), r.relkind,"
    " pg_has_role(r.relowner, 'USAGE'), format('%I.%I', fn.nspname, f.relname),"
    " (SELECT json_agg(json_build_array(k.conrelid::int8, a.attname,"
    "   format_type(a.atttypid, a.atttypmod), k.confrelid::int8, fa.attname,"
    "   format_type(fa.atttypid, fa.atttypmod)) ORDER BY u.o)"
    "  FROM unnest(k.conkey, k.confkey) WITH ORDINALITY u(num, fnum, o)"
    "  JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num"
    "  JOIN pg_attribute fa ON fa.attrelid = k.confrelid AND fa.attnum = u.fnum),"
    " substr(left(d.said, d.cut), length(format('FOREIGN KEY (%s) REFERENCES %I.%I(%s)', x.ours,"
    "  fn.nspname, f.relname, x.theirs)) + 1), s.names, substr(d.said, d.cut + length(s.list) + 1),"
    " COALESCE((to_jsonb(k) ->> 'conperiod')::bool, false), 'd' IN (k.confdeltype, k.confupdtype)"
    "  OR k.condeferrable AND NOT k.condeferred,"
    " f.relkind = 'p'"
    " FROM pg_constraint k JOIN pg_class r ON r.oid = k.conrelid"
    " JOIN pg_namespace rn ON rn.oid = r.relnamespace JOIN pg_class f ON f.oid = k.confrelid"
    " JOIN pg_namespace fn ON fn.oid = f.relnamespace, LATERAL (SELECT string_agg(quote_ident("
    "   a.attname), ', ' ORDER BY u.o) AS ours, string_agg(quote_ident(fa.attname), ', ' ORDER BY"
    "   u.o) AS theirs FROM unnest(k.conkey, k.confkey) WITH ORDINALITY u(num, fnum, o)"
    "  JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num"
    "  JOIN pg_attribute fa ON fa.attrelid = k.confrelid AND fa.attnum = u.fnum) x," CAT_SET_COLUMNS
    " WHERE k.contype = 'f' AND k.conparentid = 0"
    " AND (k.conrelid = $1::oid OR k.confrelid = $1::oid) ORDER BY k.oid";

/* By oids: versions of PostgreSQL differ in the names that they quote. */
static bool is_known(const struct build *b, json_int_t oid, const char *name)
{
    for (size_t i = 0; i < b->nlinks; i++)
        if (b->links[i].oid == oid && !strcmp(b->links[i].name, name))
            return true;
    return false;
}

bool link_is(const struct build *b, const struct target *t, const json_t *constraint)
{
    return is_known(b, json_integer_value(json_object_get(t->doc, "oid")),
                    cat_text(constraint, "name"));
}

/* ---- one of them ---- */

static const struct target *target_of(const struct build *b, json_int_t oid)
{
    for (size_t i = 0; i < b->ntargets; i++)
        if (json_integer_value(json_object_get(b->targets[i].doc, "oid")) == oid)
            return &b->targets[i];
    return NULL;
}

/* What a column of the constraint becomes. Its name is the one that it has after the cut-over. */
struct side {
    const char *name, *type;
    bool migrates, changes; /* has it another half; one of another type? */
};

static struct side becomes(const struct build *b, const json_t *pair, size_t at)
{
    const struct target *t = target_of(b, json_integer_value(json_array_get(pair, at)));
    const char *column = json_string_value(json_array_get(pair, at + 1));
    const char *type = json_string_value(json_array_get(pair, at + 2));
    const struct eng_table *table = t && t->table >= 0 ? &b->plan->tables[t->table] : NULL;

    for (size_t i = 0; table && i < table->nduals; i++) {
        const struct eng_dual *dual = &table->duals[i];

        if (dual->old_name && dual->new_name && !strcmp(dual->old_name, column))
            return (struct side){dual->retypes ? column : dual->new_name,
                                 dual->plain ? type : dual->new_type, true,
                                 dual->retypes || strcmp(dual->new_type, dual->old_type) != 0};
    }
    return (struct side){column, type, false, false};
}

/* As PostgreSQL finds the operators of a foreign key: by the type's default operator class. */
#define LINKED_PAIR                                                                                \
    "WITH RECURSIVE base(no, id) AS (VALUES (1, $1::regtype::oid), (2, $2::regtype::oid)"          \
    "  UNION ALL SELECT no, typbasetype FROM base JOIN pg_type t ON t.oid = id AND typtype = "     \
    "  'd'), pair AS (SELECT (SELECT id FROM base JOIN pg_type t ON t.oid = id WHERE no = 1 AND "  \
    "  typtype <> 'd') AS theirs, (SELECT id FROM base JOIN pg_type t ON t.oid = id WHERE no = 2 " \
    "  AND typtype <> 'd') AS ours) "
#define LINKED_CLASS "pg_opclass k JOIN pg_am m ON m.oid = k.opcmethod AND m.amname = 'btree'"
#define LINKED_FITS                                                                                \
    "k.opcdefault AND (k.opcintype = theirs OR EXISTS (SELECT FROM pg_cast c WHERE c.castsource "  \
    "= theirs AND c.casttarget = k.opcintype AND c.castmethod = 'b' AND c.castcontext = 'i'))"

static const char linked_sql[] = LINKED_PAIR
    "SELECT 1 FROM pair WHERE theirs = ours OR EXISTS (SELECT FROM " LINKED_CLASS
    " WHERE " LINKED_FITS " AND (EXISTS (SELECT FROM pg_amop o WHERE"
    "   o.amopfamily = k.opcfamily AND o.amoplefttype = k.opcintype AND o.amoprighttype = ours AND"
    "   o.amopstrategy = 3) OR EXISTS (SELECT FROM pg_cast c WHERE c.castsource = ours AND"
    "   c.casttarget = k.opcintype AND c.castcontext = 'i')))";

/* Of several classes that fit the server takes that of the type itself, then a preferred one. No
 * row: of an enum, an array, a range or a row type, or not there yet. */
static const char equal_sql[] = LINKED_PAIR
    "SELECT format('%I.%I', kn.nspname, kt.typname), format('OPERATOR(%I.%s)', pn.nspname,"
    " p.oprname), CASE WHEN rt.oid = ours OR EXISTS (SELECT FROM pg_cast c WHERE c.castsource = "
    "ours"
    " AND c.casttarget = rt.oid AND c.castcontext = 'i') THEN format('%I.%I', rn.nspname,"
    " rt.typname) ELSE '' END, kt.typcollation <> 0 FROM pair, " LINKED_CLASS
    " JOIN pg_type kt ON kt.oid = k.opcintype JOIN pg_namespace kn ON kn.oid = kt.typnamespace,"
    " LATERAL (SELECT o.amopopr, o.amoprighttype FROM pg_amop o WHERE o.amopfamily = k.opcfamily "
    "AND"
    "  o.amopstrategy = 3 AND o.amoplefttype = k.opcintype AND o.amoprighttype IN (ours,"
    "  k.opcintype) ORDER BY o.amoprighttype = ours DESC LIMIT 1) o"
    " JOIN pg_operator p ON p.oid = o.amopopr JOIN pg_namespace pn ON pn.oid = p.oprnamespace"
    " JOIN pg_type rt ON rt.oid = o.amoprighttype JOIN pg_namespace rn ON rn.oid = rt.typnamespace"
    " WHERE " LINKED_FITS
    " AND kt.typtype <> 'p' ORDER BY k.opcintype = theirs DESC, kt.typispreferred DESC LIMIT 1";

enum rc linked_equal(struct build *b, const struct linked *ours, const struct linked *theirs,
                     const char *collation, struct buf *out)
{
    const char *params[] = {theirs->type, ours->type};
    char *own = sql_quote_ident(ours->column), *its = sql_quote_ident(theirs->column);
    bool there = ours->type && theirs->type && !enum_of_file(b, ours->type) &&
                 !enum_of_file(b, theirs->type);
    PGresult *res = NULL;
    enum rc rc = there ? own_query(b, equal_sql, 2, params, &res, b->err) : RC_OK;

    if (rc == RC_OK && res && PQntuples(res)) {
        const char *cast = PQgetvalue(res, 0, 2);
        bool collates = collation && PQgetvalue(res, 0, 3)[0] == 't';

        buf_printf(out, "o.%s::%s%s%s %s s.%s%s%s", its, PQgetvalue(res, 0, 0),
                   collates ? " COLLATE " : "", collates ? collation : "", PQgetvalue(res, 0, 1),
                   own, *cast ? "::" : "", cast);
    } else { /* those of such types are the server's own */
        buf_printf(out, "o.%s OPERATOR(pg_catalog.=) s.%s", its, own);
    }
    PQclear(res);
    free(its);
    free(own);
    return rc;
}

static enum rc may_refer(struct build *b, const char *type, const char *foreign, bool *may)
{
    const char *params[] = {foreign, type};
    char *fits = NULL;
    enum rc rc = RC_OK;

    if (enum_of_file(b, type) || enum_of_file(b, foreign)) { /* not there yet */
        *may = !strcmp(type, foreign);
        return RC_OK;
    }
    rc = own_value(b, linked_sql, 2, params, &fits, b->err);
    *may = fits != NULL;
    free(fits);
    return rc;
}

enum rc check_linked(struct build *b, const char *path, const struct linked *ours,
                     const struct linked *theirs)
{
    bool may = false;
    enum rc rc = may_refer(b, ours->type, theirs->type, &may);

    if (rc == RC_OK && !may) {
        err_hint(b->err, "a foreign key wants types that can be compared: give both columns one "
                         "type");
        rc = build_fail(b, path,
                        "column \"%s\" is of type %s, column \"%s\" that it refers to of type %s",
                        ours->column, ours->type, theirs->column, theirs->type);
    }
    return rc;
}

static bool yes(const PGresult *res, int row, int field)
{
    return PQgetvalue(res, row, field)[0] == 't';
}

/* Is it to be made again? */
static enum rc concerns(struct build *b, const PGresult *res, int row, const char *object,
                        const json_t *pairs, bool *made)
{
    bool may = true, again = yes(res, row, L_ALONE) || yes(res, row, L_TO_PARTS);
    enum rc rc = RC_OK;

    *made = false;
    for (size_t i = 0; rc == RC_OK && i < json_array_size(pairs); i++) {
        const struct side ours = becomes(b, json_array_get(pairs, i), 0);
        const struct side theirs = becomes(b, json_array_get(pairs, i), 3);

        *made |= theirs.migrates || ours.changes || (ours.migrates && again);
        if (ours.changes || theirs.changes)
            rc = may_refer(b, ours.type, theirs.type, &may);
        if (rc == RC_OK && !may)
            build_refuse(b, object, "change the type of both in one migration, or drop it first",
                         "its column %s of type %s could not refer to one of type %s",
                         json_string_value(json_array_get(json_array_get(pairs, i), 1)), ours.type,
                         theirs.type);
    }
    return rc;
}

/* ---- its text from the cut-over on ---- */

static void put_names(struct build *b, struct buf *out, const json_t *pairs, size_t at)
{
    for (size_t i = 0; i < json_array_size(pairs); i++) {
        buf_append_str(out, i ? ", " : "");
        sql_quote_ident_put(out, becomes(b, json_array_get(pairs, i), at).name);
    }
}

/* The columns of ON DELETE SET are among the constraint's own. */
static void put_set(struct build *b, struct buf *out, const json_t *pairs, const json_t *names)
{
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));

        buf_append_str(out, i ? ", " : " (");
        for (size_t k = 0; k < json_array_size(pairs); k++)
            if (!strcmp(json_string_value(json_array_get(json_array_get(pairs, k), 1)), name))
                sql_quote_ident_put(out, becomes(b, json_array_get(pairs, k), 0).name);
    }
    buf_append_str(out, json_array_size(names) ? ")" : "");
}

static char *text_after(struct build *b, const PGresult *res, int row, const json_t *pairs)
{
    json_t *set =
        PQgetisnull(res, row, L_SET) ? NULL : json_loads(PQgetvalue(res, row, L_SET), 0, NULL);
    struct buf out = {0};

    buf_append_str(&out, "FOREIGN KEY (");
    put_names(b, &out, pairs, 0);
    buf_printf(&out, ") REFERENCES %s(", PQgetvalue(res, row, L_FOREIGN));
    put_names(b, &out, pairs, 3);
    buf_printf(&out, ")%s", PQgetvalue(res, row, L_TAIL));
    put_set(b, &out, pairs, set);
    buf_append_str(&out, PQgetvalue(res, row, L_END));
    json_decref(set);
    return buf_take(&out);
}

static void judge_link(struct build *b, const PGresult *res, int row, const char *object)
{
    if (yes(res, row, L_PERIOD))
        build_refuse(b, object, "drop it first", "a foreign key with PERIOD cannot be carried");
    if (PQgetvalue(res, row, L_KIND)[0] == 'p' && PQserverVersion(b->conn) < PARTS_NOT_VALID)
        build_refuse(b, object, "drop it first, make it again afterwards",
                     "a foreign key of a partitioned table cannot be made again without reading "
                     "the table under a lock: PostgreSQL has no NOT VALID for it before 18");
    if (!yes(res, row, L_OWNED))
        build_refuse(b, object, "connect as a role that owns the table",
                     "it has to be made again, and the table belongs to another role");
}

static json_int_t referring(const json_t *pairs)
{
    return json_integer_value(json_array_get(json_array_get(pairs, 0), 0));
}

static void add_link(struct build *b, const PGresult *res, int row, const json_t *pairs)
{
    json_int_t oid = referring(pairs);
    struct link *link;

    if (is_known(b, oid, PQgetvalue(res, row, L_NAME)))
        return;
    mem_grow((void **)&b->links, &b->links_cap, b->nlinks + 1, sizeof(*b->links));
    link = &b->links[b->nlinks++];
    *link = (struct link){
        .oid = oid,
        .foreign_oid = json_integer_value(json_array_get(json_array_get(pairs, 0), 3)),
        .table = mem_strdup(PQgetvalue(res, row, L_TABLE)),
        .foreign = mem_strdup(PQgetvalue(res, row, L_FOREIGN)),
        .name = mem_strdup(PQgetvalue(res, row, L_NAME)),
        .before = mem_strdup(PQgetvalue(res, row, L_DEFINITION)),
        .after = text_after(b, res, row, pairs),
        .comment =
            PQgetisnull(res, row, L_COMMENT) ? NULL : mem_strdup(PQgetvalue(res, row, L_COMMENT)),
        .validated = yes(res, row, L_VALIDATED)};
}

/* By this file: then it is not made again. */
static bool is_dropped(const struct build *b, const PGresult *res, int row, const json_t *pairs)
{
    const struct target *t = target_of(b, referring(pairs));

    return t && texts_has(&t->released, PQgetvalue(res, row, L_NAME));
}

static enum rc read_of(struct build *b, const struct target *t)
{
    char *oid = mem_printf("%lld", (long long)json_integer_value(json_object_get(t->doc, "oid")));
    const char *params[] = {oid};
    PGresult *res = NULL;
    enum rc rc = own_query(b, links_sql, 1, params, &res, b->err);

    for (int row = 0; rc == RC_OK && row < PQntuples(res); row++) {
        size_t known = b->nlinks;
        char *object = mem_printf("constraint %s of %s", PQgetvalue(res, row, L_NAME),
                                  PQgetvalue(res, row, L_TABLE));
        json_t *pairs = json_loads(PQgetvalue(res, row, L_PAIRS), 0, NULL);
        bool made = false;

        if (!is_dropped(b, res, row, pairs))
            rc = concerns(b, res, row, object, pairs, &made);
        if (rc == RC_OK && made)
            add_link(b, res, row, pairs);
        if (b->nlinks > known) {
            judge_link(b, res, row, object);
            rc = refuse_unreferable(b, referring(pairs), PQgetvalue(res, row, L_TABLE),
                                    PQgetvalue(res, row, L_NAME));
        }
        json_decref(pairs);
        free(object);
    }
    PQclear(res);
    free(oid);
    return rc;
}

enum rc links_read(struct build *b)
{
    enum rc rc = RC_OK;

    for (size_t i = 0; rc == RC_OK && i < b->ntargets; i++)
        if (b->targets[i].from.n)
            rc = read_of(b, &b->targets[i]);
    return rc;
}

/* ---- steps ---- */

static void lock_links(const struct build *b, struct eng_step *step)
{
    struct texts tables = {0};
    struct buf on = {0};

    for (size_t i = 0; i < b->nlinks; i++) {
        if (!texts_has(&tables, b->links[i].table))
            texts_add(&tables, "%s", b->links[i].table);
        if (!texts_has(&tables, b->links[i].foreign))
            texts_add(&tables, "%s", b->links[i].foreign);
    }
    for (size_t i = 0; i < tables.n; i++)
        buf_printf(&on, "%s%s", i ? ", " : "", tables.v[i]);
    step_lock(step, "ACCESS EXCLUSIVE", on.data, "an instant, traffic held at the gate");
    buf_fini(&on);
    texts_fini(&tables);
}

/* Says in the transaction whether the link has gone in soak, perhaps with its table: then the way
 * back neither lets go of it nor makes it again. One that somebody calls otherwise has not. */
#define GONE "segue.link_%zu"

static void look_for(const struct build *b, struct eng_step *step, const struct link *link,
                     size_t i)
{
    char *name = sql_quote_literal(link->name);
    struct buf others = {0}; /* of the same two tables: none of them is this one */

    for (size_t j = 0; j < b->nlinks; j++) {
        const struct link *other = &b->links[j];
        char *literal;

        if (j == i || other->oid != link->oid || other->foreign_oid != link->foreign_oid)
            continue;
        literal = sql_quote_literal(other->name);
        buf_printf(&others, "%s%s", others.len ? ", " : "", literal);
        free(literal);
    }
    step_sql(step,
             "SELECT pg_catalog.set_config('" GONE "', CASE WHEN EXISTS (SELECT FROM"
             " pg_catalog.pg_constraint WHERE conrelid OPERATOR(pg_catalog.=) %lld::pg_catalog.oid"
             " AND contype OPERATOR(pg_catalog.=) 'f' AND (conname OPERATOR(pg_catalog.=) %s OR"
             " confrelid OPERATOR(pg_catalog.=) %lld::pg_catalog.oid AND conname"
             " OPERATOR(pg_catalog.<>) ALL (ARRAY[%s]::pg_catalog.name[]))) THEN '' ELSE 'gone'"
             " END, true)",
             i, (long long)link->oid, name, (long long)link->foreign_oid,
             others.len ? others.data : "");
    buf_fini(&others);
    free(name);
}

/* Of the way back; sql is taken. */
static void unless_gone(struct eng_step *step, size_t i, char *sql)
{
    char *body = mem_printf("BEGIN IF pg_catalog.current_setting('" GONE
                            "') OPERATOR(pg_catalog.=) '' THEN %s; END IF; END",
                            i, sql);
    char *literal = sql_quote_literal(body);

    step_sql(step, "DO %s", literal);
    free(literal);
    free(body);
    free(sql);
}

static void release(struct build *b, enum eng_stage stage)
{
    struct eng_step *step =
        build_step(b, stage, ENG_STEP_DDL, -1, "let go of %zu foreign keys", b->nlinks);

    for (size_t i = 0; i < b->nlinks; i++) {
        const struct link *link = &b->links[i];
        char *name = sql_quote_ident(link->name);
        char *sql = mem_printf("ALTER TABLE %s DROP CONSTRAINT %s", link->table, name);

        if (stage == ENG_STAGE_REVERT) {
            look_for(b, step, link, i);
            unless_gone(step, i, sql);
        } else {
            step_sql(step, "%s", sql);
            free(sql);
        }
        free(name);
    }
    lock_links(b, step);
}

static void make(struct build *b, enum eng_stage stage)
{
    bool back = stage == ENG_STAGE_REVERT;
    struct eng_step *step =
        build_step(b, stage, ENG_STEP_DDL, -1, "make %zu foreign keys again", b->nlinks);

    for (size_t i = 0; i < b->nlinks; i++) {
        const struct link *link = &b->links[i];
        char *name = sql_quote_ident(link->name);
        char *literal = link->comment ? sql_quote_literal(link->comment) : NULL;
        struct buf sql = {0};

        /* one that was never validated says so itself */
        buf_printf(&sql, "ALTER TABLE %s ADD CONSTRAINT %s %s%s", link->table, name,
                   back ? link->before : link->after, link->validated ? " NOT VALID" : "");
        if (literal)
            buf_printf(&sql, ";\nCOMMENT ON CONSTRAINT %s ON %s IS %s", name, link->table, literal);
        if (back)
            unless_gone(step, i, buf_take(&sql));
        else
            step_sql(step, "%s", sql.data);
        buf_fini(&sql);
        free(literal);
        free(name);
    }
    lock_links(b, step);
}

/* Who aborts right after a way back does not wait for ready to settle. */
static void prove_for_abort(struct build *b, const struct link *link)
{
    struct eng_step *step = build_step(b, ENG_STAGE_ABORT, ENG_STEP_VALIDATE, -1,
                                       "validate %s of %s", link->name, link->table);
    char *sql = release_prove_sql(link->table, link->name);

    step_sql(step, "%s", sql);
    step_lock(step, "SHARE UPDATE EXCLUSIVE", link->table, "one scan at most; blocks no query");
    free(sql);
}

/* By its oid where the table is called differently on either side of a turn: this runs on both. One
 * that has gone is not to be proven. */
static char *validate_sql(const struct build *b, const struct link *link)
{
    const struct renamed *renamed = called_before(b, link->table);
    char *name, *body, *literal, *sql;

    if (!renamed)
        return release_prove_of_sql(link->oid, link->table, link->name);
    name = sql_quote_literal(link->name);
    body = mem_printf(
        "BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid"
        " OPERATOR(pg_catalog.=) %s::pg_catalog.oid AND conname OPERATOR(pg_catalog.=) %s AND NOT"
        " convalidated) THEN EXECUTE pg_catalog.format('ALTER TABLE %%s VALIDATE CONSTRAINT %%I',"
        " %s::pg_catalog.oid::pg_catalog.regclass, %s); END IF; END",
        renamed->oid, name, renamed->oid, name);
    literal = sql_quote_literal(body);
    sql = mem_printf("DO %s", literal);
    free(literal);
    free(body);
    free(name);
    return sql;
}

static void validate(struct build *b)
{
    for (size_t i = 0; i < b->nlinks; i++) {
        const struct link *link = &b->links[i];
        struct eng_step *step;
        char *sql;

        if (!link->validated)
            continue;
        sql = validate_sql(b, link);
        step = build_step(b, ENG_STAGE_SETTLE, ENG_STEP_VALIDATE, -1, "validate %s of %s",
                          link->name, link->table);
        step_sql(step, "%s", sql);
        step_lock(step, "SHARE UPDATE EXCLUSIVE", link->table, "one scan; blocks no query");
        step->again = true;
        prove_for_abort(b, link);
        free(sql);
    }
}

void links_release(struct build *b)
{
    if (b->nlinks == 0)
        return;
    release(b, ENG_STAGE_CUTOVER);
    release(b, ENG_STAGE_REVERT);
}

void links_make(struct build *b)
{
    if (b->nlinks == 0)
        return;
    make(b, ENG_STAGE_CUTOVER);
    make(b, ENG_STAGE_REVERT);
    validate(b);
}

void links_fini(struct build *b)
{
    for (size_t i = 0; i < b->nlinks; i++) {
        struct link *link = &b->links[i];

        free(link->table);
        free(link->foreign);
        free(link->name);
        free(link->before);
        free(link->after);
        free(link->comment);
    }
    free(b->links);
}
