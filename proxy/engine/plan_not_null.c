/*
 * NOT NULL of a column that gets another half, or that the file asks for: proven by a CHECK while
 * the table is in use, set in the cut-over.
 */
#include <stdlib.h>

#include "nulls.h"
#include "plan_build.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"

#define INSTANT "an instant; lock_timeout, retried"

enum rc not_null_read(struct build *b, const struct target *t, const char *column,
                      struct not_null *out)
{
    static const char sql[] =
        "SELECT k.conname, k.connoinherit, obj_description(k.oid, 'pg_constraint') FROM"
        " pg_constraint k JOIN pg_attribute a ON a.attrelid = k.conrelid AND k.conkey ="
        " ARRAY[a.attnum] WHERE k.conrelid = $1::regclass AND a.attname = $2 AND k.contype = 'n'";
    const char *params[] = {t->relation, column};
    PGresult *res = NULL;

    *out = (struct not_null){0};
    if (own_query(b, sql, 2, params, &res, b->err) != RC_OK)
        return RC_ERR;
    if (PQntuples(res)) {
        out->name = mem_strdup(PQgetvalue(res, 0, 0));
        out->suffix = PQgetvalue(res, 0, 1)[0] == 't' ? " NO INHERIT" : "";
        out->comment = PQgetisnull(res, 0, 2) ? NULL : mem_strdup(PQgetvalue(res, 0, 2));
    }
    PQclear(res);
    return RC_OK;
}

void not_null_fini(struct not_null *facts)
{
    free(facts->name);
    free(facts->comment);
}

static enum rc set_not_null(struct build *b, struct target *t, const char *column, const char *old)
{
    char *quoted = sql_quote_ident(column);
    struct not_null facts = {0};
    enum rc rc = old ? not_null_read(b, t, old, &facts) : RC_OK;

    texts_add(&t->revert, "ALTER TABLE %s ALTER COLUMN %s DROP NOT NULL", t->relation, quoted);
    if (facts.name) { /* which is free when the old column has gone */
        char *temp = target_temp(t), *as = sql_quote_ident(temp), *to = sql_quote_ident(facts.name);

        /* a column has but one: somebody may have made it meanwhile, under another name */
        texts_add(&t->cutover, "ALTER TABLE %s ALTER COLUMN %s DROP NOT NULL", t->relation, quoted);
        texts_add(&t->cutover, "ALTER TABLE %s ADD CONSTRAINT %s NOT NULL %s%s", t->relation, as,
                  quoted, facts.suffix);
        if (facts.comment) {
            char *literal = sql_quote_literal(facts.comment);

            texts_add(&t->cutover, "COMMENT ON CONSTRAINT %s ON %s IS %s", as, t->relation,
                      literal);
            free(literal);
        }
        texts_add(&t->contract, "ALTER TABLE %s RENAME CONSTRAINT %s TO %s", t->after, as, to);
        free(to);
        free(as);
        free(temp);
    } else {
        texts_add(&t->cutover, "ALTER TABLE %s ALTER COLUMN %s SET NOT NULL", t->relation, quoted);
    }
    not_null_fini(&facts);
    free(quoted);
    return rc;
}

/* A proven CHECK lets SET NOT NULL skip its scan. It stays until contract: after a revert the
 * next cut-over needs it again. */
enum rc carry_not_null(struct build *b, struct target *t, const char *column, const char *shown,
                       const char *old)
{
    char *temp = target_temp(t);
    char *proof = sql_quote_ident(temp), *name = sql_quote_ident(column);
    struct eng_step *step =
        build_step(b, ENG_STAGE_BUILD, ENG_STEP_DDL, t->table, "check that %s is not null", shown);
    enum rc rc;

    step_sql(step, "ALTER TABLE %s ADD CONSTRAINT %s CHECK (%s " IS_NOT_NULL ") NOT VALID",
             t->relation, proof, name);
    step_lock(step, "ACCESS EXCLUSIVE", t->relation, INSTANT);
    step = build_step(b, ENG_STAGE_BUILD, ENG_STEP_VALIDATE, t->table,
                      "validate that %s is not null", shown);
    step_sql(step, "ALTER TABLE %s VALIDATE CONSTRAINT %s", t->relation, proof);
    step_lock(step, "SHARE UPDATE EXCLUSIVE", t->relation, "one scan; blocks no query");
    rc = set_not_null(b, t, column, old);
    texts_add(&t->proofs, "%s", proof);
    free(name);
    free(proof);
    free(temp);
    return rc;
}
