/*
 * Foreign keys from or to a column that changes its type under its name. The cut-over lets go of
 * them, swaps the names, and makes them again under the same text, NOT VALID: new rows are checked
 * from that moment on, and those that were there after it, without the gate (stage settle). The way
 * back does the same.
 */
#include <stdlib.h>
#include <string.h>

#include "plan_build.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"

struct link {
    char *table, *foreign; /* "schema.table", quoted as needed */
    char *name, *definition, *comment;
    bool validated;
};

enum { L_TABLE, L_NAME, L_DEFINITION, L_VALIDATED, L_COMMENT, L_KIND, L_OWNED, L_FOREIGN, L_PAIRS };

static const char links_sql[] =
    "SELECT format('%I.%I', rn.nspname, r.relname), k.conname, pg_get_constraintdef(k.oid),"
    " k.convalidated, obj_description(k.oid, 'pg_constraint'), r.relkind,"
    " pg_has_role(r.relowner, 'USAGE'), format('%I.%I', fn.nspname, f.relname),"
    " (SELECT json_agg(json_build_array(k.conrelid::int8, a.attname,"
    "   format_type(a.atttypid, a.atttypmod), k.confrelid::int8, fa.attname,"
    "   format_type(fa.atttypid, fa.atttypmod)) ORDER BY u.o)"
    "  FROM unnest(k.conkey, k.confkey) WITH ORDINALITY u(num, fnum, o)"
    "  JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num"
    "  JOIN pg_attribute fa ON fa.attrelid = k.confrelid AND fa.attnum = u.fnum)"
    " FROM pg_constraint k JOIN pg_class r ON r.oid = k.conrelid"
    " JOIN pg_namespace rn ON rn.oid = r.relnamespace JOIN pg_class f ON f.oid = k.confrelid"
    " JOIN pg_namespace fn ON fn.oid = f.relnamespace WHERE k.contype = 'f' AND k.conparentid = 0"
    " AND (k.conrelid = $1::oid OR k.confrelid = $1::oid) ORDER BY k.oid";

bool link_is(const struct target *t, const json_t *constraint)
{
    const json_t *names = json_object_get(constraint, "columns");
    bool any = false;

    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));

        if (texts_has(&t->from, name) && !retype_has(t, name))
            return false;
        any |= retype_has(t, name);
    }
    return any && !strcmp(cat_text(constraint, "type"), "f");
}

/* ---- one of them ---- */

static const struct target *target_of(const struct build *b, json_int_t oid)
{
    for (size_t i = 0; i < b->ntargets; i++)
        if (json_integer_value(json_object_get(b->targets[i].doc, "oid")) == oid)
            return &b->targets[i];
    return NULL;
}

/* What a column of the constraint becomes; *retyped, *renamed: by this file. */
static const char *becomes(const struct build *b, const json_t *pair, size_t at, bool *retyped,
                           bool *renamed)
{
    const struct target *t = target_of(b, json_integer_value(json_array_get(pair, at)));
    const char *column = json_string_value(json_array_get(pair, at + 1));
    const struct eng_table *table = t && t->table >= 0 ? &b->plan->tables[t->table] : NULL;

    for (size_t i = 0; table && i < table->nduals; i++) {
        const struct eng_dual *dual = &table->duals[i];

        if (!dual->old_name || strcmp(dual->old_name, column) != 0)
            continue;
        *retyped |= dual->retypes;
        *renamed |= !dual->retypes;
        if (dual->retypes)
            return dual->new_type;
    }
    return json_string_value(json_array_get(pair, at + 2));
}

/* As PostgreSQL finds the operators of a foreign key: by the type's default operator class. */
static const char linked_sql[] =
    "WITH RECURSIVE base(no, id) AS (VALUES (1, $1::regtype::oid), (2, $2::regtype::oid)"
    "  UNION ALL SELECT no, typbasetype FROM base JOIN pg_type t ON t.oid = id AND typtype = 'd'),"
    " pair AS (SELECT (SELECT id FROM base JOIN pg_type t ON t.oid = id WHERE no = 1 AND typtype"
    "  <> 'd') AS theirs, (SELECT id FROM base JOIN pg_type t ON t.oid = id WHERE no = 2 AND"
    "  typtype <> 'd') AS ours)"
    " SELECT 1 FROM pair WHERE theirs = ours OR EXISTS (SELECT FROM pg_opclass k JOIN pg_am m ON"
    "  m.oid = k.opcmethod AND m.amname = 'btree' WHERE k.opcdefault AND (k.opcintype = theirs OR"
    "  EXISTS (SELECT FROM pg_cast c WHERE c.castsource = theirs AND c.casttarget = k.opcintype"
    "   AND c.castmethod = 'b' AND c.castcontext = 'i')) AND (EXISTS (SELECT FROM pg_amop o WHERE"
    "   o.amopfamily = k.opcfamily AND o.amoplefttype = k.opcintype AND o.amoprighttype = ours AND"
    "   o.amopstrategy = 3) OR EXISTS (SELECT FROM pg_cast c WHERE c.castsource = ours AND"
    "   c.casttarget = k.opcintype AND c.castcontext = 'i')))";

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

/* *yes: a column of it changes its type. */
static enum rc concerns(struct build *b, const PGresult *res, int row, const char *object,
                        bool *yes)
{
    json_t *pairs = json_loads(PQgetvalue(res, row, L_PAIRS), 0, NULL);
    bool retyped = false, renamed = false, may = true;
    enum rc rc = RC_OK;

    for (size_t i = 0; rc == RC_OK && i < json_array_size(pairs); i++) {
        const json_t *pair = json_array_get(pairs, i);
        const char *type = becomes(b, pair, 0, &retyped, &renamed);
        const char *foreign = becomes(b, pair, 3, &retyped, &renamed);

        if (retyped)
            rc = may_refer(b, type, foreign, &may);
        if (rc == RC_OK && !may)
            build_refuse(b, object, "change the type of both in one migration, or drop it first",
                         "its column %s of type %s could not refer to one of type %s",
                         json_string_value(json_array_get(pair, 1)), type, foreign);
    }
    json_decref(pairs);
    if (retyped && renamed)
        build_refuse(b, object, "rename the column in a migration of its own",
                     "one of its columns changes its type, another its name");
    *yes = retyped;
    return rc;
}

static void judge_link(struct build *b, const PGresult *res, int row, const char *object)
{
    if (PQgetvalue(res, row, L_KIND)[0] != 'r')
        build_refuse(b, object, "drop it first, make it again afterwards",
                     "a foreign key of a partitioned table cannot be made again without reading "
                     "the table under a lock");
    if (PQgetvalue(res, row, L_OWNED)[0] != 't')
        build_refuse(b, object, "connect as a role that owns the table",
                     "it has to be made again, and the table belongs to another role");
}

static void add_link(struct build *b, const PGresult *res, int row)
{
    struct link *link;

    for (size_t i = 0; i < b->nlinks; i++)
        if (!strcmp(b->links[i].table, PQgetvalue(res, row, L_TABLE)) &&
            !strcmp(b->links[i].name, PQgetvalue(res, row, L_NAME)))
            return;
    mem_grow((void **)&b->links, &b->links_cap, b->nlinks + 1, sizeof(*b->links));
    link = &b->links[b->nlinks++];
    *link = (struct link){.table = mem_strdup(PQgetvalue(res, row, L_TABLE)),
                          .foreign = mem_strdup(PQgetvalue(res, row, L_FOREIGN)),
                          .name = mem_strdup(PQgetvalue(res, row, L_NAME)),
                          .definition = mem_strdup(PQgetvalue(res, row, L_DEFINITION)),
                          .comment = PQgetisnull(res, row, L_COMMENT)
                                         ? NULL
                                         : mem_strdup(PQgetvalue(res, row, L_COMMENT)),
                          .validated = PQgetvalue(res, row, L_VALIDATED)[0] == 't'};
}

/* By this file: then it is not made again. */
static bool is_dropped(const struct build *b, const PGresult *res, int row)
{
    for (size_t i = 0; i < b->ntargets; i++)
        if (!strcmp(b->targets[i].relation, PQgetvalue(res, row, L_TABLE)) &&
            texts_has(&b->targets[i].released, PQgetvalue(res, row, L_NAME)))
            return true;
    return false;
}

static enum rc read_links(struct build *b, const struct target *t)
{
    char *oid = mem_printf("%lld", (long long)json_integer_value(json_object_get(t->doc, "oid")));
    const char *params[] = {oid};
    PGresult *res = NULL;
    enum rc rc = own_query(b, links_sql, 1, params, &res, b->err);

    for (int row = 0; rc == RC_OK && row < PQntuples(res); row++) {
        size_t known = b->nlinks;
        char *object = mem_printf("constraint %s of %s", PQgetvalue(res, row, L_NAME),
                                  PQgetvalue(res, row, L_TABLE));
        bool concerned = false;

        if (!is_dropped(b, res, row))
            rc = concerns(b, res, row, object, &concerned);
        if (rc == RC_OK && concerned)
            add_link(b, res, row);
        if (b->nlinks > known)
            judge_link(b, res, row, object);
        free(object);
    }
    PQclear(res);
    free(oid);
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

static void release(struct build *b, enum eng_stage stage)
{
    struct eng_step *step =
        build_step(b, stage, ENG_STEP_DDL, -1, "let go of %zu foreign keys", b->nlinks);

    for (size_t i = 0; i < b->nlinks; i++) {
        char *name = sql_quote_ident(b->links[i].name);

        step_sql(step, "ALTER TABLE %s DROP CONSTRAINT %s", b->links[i].table, name);
        free(name);
    }
    lock_links(b, step);
}

static void make(struct build *b, enum eng_stage stage)
{
    struct eng_step *step =
        build_step(b, stage, ENG_STEP_DDL, -1, "make %zu foreign keys again", b->nlinks);

    for (size_t i = 0; i < b->nlinks; i++) {
        const struct link *link = &b->links[i];
        char *name = sql_quote_ident(link->name);
        char *literal = link->comment ? sql_quote_literal(link->comment) : NULL;

        /* one that was never validated says so itself */
        step_sql(step, "ALTER TABLE %s ADD CONSTRAINT %s %s%s", link->table, name, link->definition,
                 link->validated ? " NOT VALID" : "");
        if (literal)
            step_sql(step, "COMMENT ON CONSTRAINT %s ON %s IS %s", name, link->table, literal);
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

static void validate(struct build *b)
{
    for (size_t i = 0; i < b->nlinks; i++) {
        const struct link *link = &b->links[i];
        char *name = sql_quote_ident(link->name);
        struct eng_step *step;

        if (link->validated) {
            step = build_step(b, ENG_STAGE_SETTLE, ENG_STEP_VALIDATE, -1, "validate %s of %s",
                              link->name, link->table);
            step_sql(step, "ALTER TABLE %s VALIDATE CONSTRAINT %s", link->table, name);
            step_lock(step, "SHARE UPDATE EXCLUSIVE", link->table, "one scan; blocks no query");
            step->again = true;
            prove_for_abort(b, link);
        }
        free(name);
    }
}

enum rc links_release(struct build *b)
{
    enum rc rc = RC_OK;

    for (size_t i = 0; rc == RC_OK && i < b->ntargets; i++)
        if (b->targets[i].swaps.n)
            rc = read_links(b, &b->targets[i]);
    if (rc != RC_OK || b->nlinks == 0)
        return rc;
    release(b, ENG_STAGE_CUTOVER);
    release(b, ENG_STAGE_REVERT);
    return RC_OK;
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
        free(link->definition);
        free(link->comment);
    }
    free(b->links);
}
