/*
 * An identity column that changes its name or its type. Its sequence cannot be given to another
 * column: it goes with the identity, and the new half gets one of the same name that goes on where
 * the first has stopped. One block of PL/pgSQL does that in either direction, since only the server
 * knows the last value.
 */
#include <stdlib.h>
#include <string.h>

#include "plan_build.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"

/* $1 table, $2 sequence, $3 column that loses it, $4 that gets it, $5 ALWAYS or BY DEFAULT. A bound
 * that is its type's own follows the type. Altering the sequence first keeps nextval() away. */
static const char move_sql[] =
    "DECLARE t text := %s; s text := %s; o text := %s; n text := %s; g text := %s;"
    " q record; acl aclitem[]; note text; v int8; called bool; top int8; r record; BEGIN"
    " SELECT * INTO q FROM pg_catalog.pg_sequence WHERE seqrelid OPERATOR(pg_catalog.=) "
    "s::pg_catalog.regclass;"
    " EXECUTE pg_catalog.format('ALTER SEQUENCE %%s CACHE %%s', s, q.seqcache);"
    " SELECT relacl, pg_catalog.obj_description(oid, 'pg_class') INTO acl, note FROM "
    "pg_catalog.pg_class"
    "  WHERE oid OPERATOR(pg_catalog.=) s::pg_catalog.regclass;"
    " EXECUTE pg_catalog.format('SELECT last_value, is_called FROM %%s', s) INTO v, called;"
    " EXECUTE pg_catalog.format('ALTER TABLE %%s ALTER COLUMN %%s DROP IDENTITY', t, o);"
    " EXECUTE pg_catalog.format('ALTER TABLE %%s ALTER COLUMN %%s ADD GENERATED %%s AS IDENTITY "
    "(SEQUENCE NAME"
    " %%s START WITH %%s INCREMENT BY %%s%%s%%s CACHE %%s%%s)', t, n, g, s, q.seqstart,"
    "  q.seqincrement,"
    "  CASE WHEN q.seqmin IN (-32768, -2147483648, -9223372036854775808) THEN ''"
    "   ELSE pg_catalog.concat(' MINVALUE ', q.seqmin) END,"
    "  CASE WHEN q.seqmax IN (32767, 2147483647, 9223372036854775807) THEN ''"
    "   ELSE pg_catalog.concat(' MAXVALUE ', q.seqmax) END,"
    "  q.seqcache, CASE WHEN q.seqcycle THEN ' CYCLE' ELSE '' END);"
    " SELECT seqmax INTO top FROM pg_catalog.pg_sequence WHERE seqrelid OPERATOR(pg_catalog.=) "
    "s::pg_catalog.regclass;"
    " PERFORM pg_catalog.setval(s::pg_catalog.regclass, least(v, top), called OR v > top);"
    " IF note IS NOT NULL THEN EXECUTE pg_catalog.format('COMMENT ON SEQUENCE %%s IS %%L', s, "
    "note); END IF;"
    " FOR r IN SELECT x.privilege_type AS p, x.is_grantable AS w, CASE WHEN x.grantee "
    "OPERATOR(pg_catalog.=) 0 THEN "
    "'PUBLIC'"
    "   ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(x.grantee)) END AS u FROM "
    "pg_catalog.aclexplode(acl) x LOOP"
    "  EXECUTE pg_catalog.format('GRANT %%s ON SEQUENCE %%s TO %%s%%s', r.p, s, r.u,"
    "   CASE WHEN r.w THEN ' WITH GRANT OPTION' ELSE '' END); END LOOP; END";

static char *move(const struct target *t, const char *sequence, const char *from, const char *to,
                  const char *generated)
{
    const char *const texts[] = {t->relation, sequence, from, to, generated};
    char *quoted[ARRAY_LEN(texts)], *body, *literal, *out;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        quoted[i] = sql_quote_literal(texts[i]);
    body = mem_printf(move_sql, quoted[0], quoted[1], quoted[2], quoted[3], quoted[4]);
    literal = sql_quote_literal(body);
    out = mem_printf("DO %s", literal);
    free(literal);
    free(body);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        free(quoted[i]);
    return out;
}

bool identity_is_carried(const struct build *b, const struct target *t, const json_t *column)
{
    static const char *const types[] = {"smallint", "integer", "bigint"};
    const struct eng_table *table = &b->plan->tables[t->table];

    for (size_t d = 0; d < table->nduals; d++) {
        const struct eng_dual *dual = &table->duals[d];

        if (!dual->old_name || strcmp(dual->old_name, cat_text(column, "name")) != 0 ||
            !dual->not_null || !cat_text(column, "sequence"))
            continue;
        for (size_t i = 0; i < ARRAY_LEN(types); i++)
            if (!strcmp(types[i], dual->new_type))
                return true;
    }
    return false;
}

void carry_identity(struct target *t, const json_t *column, const struct eng_dual *dual)
{
    const char *sequence = cat_text(column, "sequence");
    const char *generated = cat_text(column, "identity")[0] == 'a' ? "ALWAYS" : "BY DEFAULT";
    char *old = sql_quote_ident(dual->old_name), *new = sql_quote_ident(dual->new_name);
    char *there = move(t, sequence, old, new, generated);
    char *back = move(t, sequence, new, old, generated);

    texts_add(&t->cutover, "%s", there);
    texts_add(&t->revert, "%s", back);
    free(back);
    free(there);
    free(new);
    free(old);
}
