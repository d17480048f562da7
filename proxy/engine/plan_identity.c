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

/* Table, sequence, column that loses it, that gets it; the bounds of that one's type. A bound that
 * is its type's own follows the type, and is said where it is not what the server would take.
 * Altering the sequence first keeps nextval() away. */
static const char move_sql[] =
    "DECLARE t text := %s; s text := %s; o text := %s; n text := %s; lo int8 := "
    "%s; hi int8 := %s; g text; q record; acl aclitem[]; note text; v int8; called bool; r record;"
    " BEGIN"
    " SELECT * INTO q FROM pg_catalog.pg_sequence WHERE seqrelid OPERATOR(pg_catalog.=) "
    "s::pg_catalog.regclass;"
    " EXECUTE pg_catalog.format('ALTER SEQUENCE %%s CACHE %%s', s, q.seqcache);"
    " SELECT relacl, pg_catalog.obj_description(oid, 'pg_class') INTO acl, note FROM "
    "pg_catalog.pg_class"
    "  WHERE oid OPERATOR(pg_catalog.=) s::pg_catalog.regclass;"
    " EXECUTE pg_catalog.format('SELECT last_value, is_called FROM %%s', s) INTO v, called;"
    " SELECT CASE WHEN attidentity OPERATOR(pg_catalog.=) 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END"
    "  INTO g FROM pg_catalog.pg_attribute WHERE attrelid OPERATOR(pg_catalog.=)"
    "  t::pg_catalog.regclass AND pg_catalog.quote_ident(attname) OPERATOR(pg_catalog.=) o;"
    " EXECUTE pg_catalog.format('ALTER TABLE %%s ALTER COLUMN %%s DROP IDENTITY', t, o);"
    " EXECUTE pg_catalog.format('ALTER TABLE %%s ALTER COLUMN %%s ADD GENERATED %%s AS IDENTITY "
    "(SEQUENCE NAME"
    " %%s START WITH %%s INCREMENT BY %%s%%s%%s CACHE %%s%%s)', t, n, g, s, q.seqstart,"
    "  q.seqincrement,"
    "  CASE WHEN q.seqmin NOT IN (-32768, -2147483648, -9223372036854775808)"
    "    THEN pg_catalog.concat(' MINVALUE ', q.seqmin)"
    "   WHEN q.seqincrement OPERATOR(pg_catalog.>) 0"
    "    THEN pg_catalog.concat(' MINVALUE ', lo) ELSE '' END,"
    "  CASE WHEN q.seqmax NOT IN (32767, 2147483647, 9223372036854775807)"
    "    THEN pg_catalog.concat(' MAXVALUE ', q.seqmax)"
    "   WHEN q.seqincrement OPERATOR(pg_catalog.<) 0"
    "    THEN pg_catalog.concat(' MAXVALUE ', hi) ELSE '' END,"
    "  q.seqcache, CASE WHEN q.seqcycle THEN ' CYCLE' ELSE '' END);"
    " SELECT seqmin, seqmax INTO lo, hi FROM pg_catalog.pg_sequence WHERE seqrelid "
    "OPERATOR(pg_catalog.=) s::pg_catalog.regclass;"
    " PERFORM pg_catalog.setval(s::pg_catalog.regclass, greatest(least(v, hi), lo), called"
    "  OR v OPERATOR(pg_catalog.>) hi OR v OPERATOR(pg_catalog.<) lo);"
    " IF note IS NOT NULL THEN EXECUTE pg_catalog.format('COMMENT ON SEQUENCE %%s IS %%L', s, "
    "note); END IF;"
    " FOR r IN SELECT x.privilege_type AS p, x.is_grantable AS w, CASE WHEN x.grantee "
    "OPERATOR(pg_catalog.=) 0 THEN "
    "'PUBLIC'"
    "   ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(x.grantee)) END AS u FROM "
    "pg_catalog.aclexplode(acl) x LOOP"
    "  EXECUTE pg_catalog.format('GRANT %%s ON SEQUENCE %%s TO %%s%%s', r.p, s, r.u,"
    "   CASE WHEN r.w THEN ' WITH GRANT OPTION' ELSE '' END); END LOOP; END";

static const struct integer {
    const char *name, *low, *high;
} integers[] = {{"smallint", "-32768", "32767"},
                {"integer", "-2147483648", "2147483647"},
                {"bigint", "-9223372036854775808", "9223372036854775807"}};

static const struct integer *integer_of(const char *type)
{
    for (size_t i = 0; i < ARRAY_LEN(integers); i++)
        if (!strcmp(integers[i].name, type))
            return &integers[i];
    return NULL;
}

static char *move(const struct target *t, const char *sequence, const char *from, const char *to,
                  const struct integer *type)
{
    const char *const texts[] = {t->relation, sequence, from, to, type->low, type->high};
    char *quoted[ARRAY_LEN(texts)], *body, *literal, *out;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        quoted[i] = sql_quote_literal(texts[i]);
    body = mem_printf(move_sql, quoted[0], quoted[1], quoted[2], quoted[3], quoted[4], quoted[5]);
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
    const struct eng_table *table = &b->plan->tables[t->table];

    for (size_t d = 0; d < table->nduals; d++) {
        const struct eng_dual *dual = &table->duals[d];

        if (!dual->old_name || strcmp(dual->old_name, cat_text(column, "name")) != 0 ||
            !dual->not_null || !cat_text(column, "sequence"))
            continue;
        if (integer_of(dual->new_type) && integer_of(dual->old_type))
            return true;
    }
    return false;
}

void carry_identity(struct target *t, const json_t *column, const struct eng_dual *dual)
{
    const char *sequence = cat_text(column, "sequence");
    const struct integer *was = integer_of(dual->old_type), *is = integer_of(dual->new_type);
    char *old, *new, *there, *back;

    if (!was || !is)
        return; /* refused: identity_is_carried */
    old = sql_quote_ident(dual->old_name);
    new = sql_quote_ident(dual->new_name);
    there = move(t, sequence, old, new, is);
    back = move(t, sequence, new, old, was);
    texts_add(&t->cutover, "%s", there);
    texts_add(&t->revert, "%s", back);
    free(back);
    free(there);
    free(new);
    free(old);
}
