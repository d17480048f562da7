/*
 * The primary key of a partitioned table over a column that changes its name or its type.
 * PostgreSQL makes no constraint of such a table's index, and no key over indexes that are a part
 * of one: so two unique indexes of each leaf are built, by themselves (leaf_index.h). One statement
 * of the cut-over drops the key, makes it again of the table alone and of each partition that has
 * partitions, makes each leaf's index the leaf's key, and attaches them: no row is read. The way
 * back does the same with the other indexes. What is called how, and which part is a replica
 * identity or a table's clustering mark, the catalog says at that moment: partitions come and go.
 * Somebody may have dropped the key in soak: then it is made as the plan has seen it, as that of
 * any table is (plan_key.c), and its parts are called as the server would; where that name is too
 * long, or taken, by the partition's oid.
 */
#include <stdlib.h>

#include "plan_build.h"
#include "plan_parts.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"

#define MANY "100"

/* Table, what the leaves' indexes are called, what follows PRIMARY KEY; the key's name and comments
 * as planned. A leaf that has just come is empty, and gets its key at once. An index that was built
 * in soak has the names that columns have there. */
static const char turn_sql[] =
    "DECLARE segue_of pg_catalog.text := %s; segue_built pg_catalog.text := %s;"
    " segue_said pg_catalog.text := %s; segue_called pg_catalog.text := %s;"
    " segue_note pg_catalog.text := %s; segue_index_note pg_catalog.text := %s;"
    " segue_path pg_catalog.text := pg_catalog.current_setting('search_path');"
    " segue_all pg_catalog.jsonb; segue_whole pg_catalog.text; segue_rows pg_catalog.bool;"
    " segue_key record; segue_name record; BEGIN"
    " PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);"
    " WITH part AS (SELECT c.oid, c.relname, c.relkind, n.nspname, p.level, p.parentrelid,"
    "   k.oid AS key, k.conindid, coalesce(k.conname::text, CASE WHEN p.level = 0 THEN segue_called"
    "   WHEN octet_length(c.relname::text) <= 58 AND NOT EXISTS (SELECT FROM pg_class o WHERE"
    "    o.relnamespace = c.relnamespace AND o.relname = concat(c.relname, '_pkey'))"
    "   THEN concat(c.relname, '_pkey') ELSE concat(left(c.relname::text, 11), '_', c.oid, '_pkey')"
    "   END) AS name"
    "  FROM pg_partition_tree(segue_of::regclass) p"
    "  JOIN pg_class c ON c.oid = p.relid JOIN pg_namespace n ON n.oid = c.relnamespace"
    "  LEFT JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'p')"
    " SELECT jsonb_agg(jsonb_build_object('relation', format('%%I.%%I', c.nspname, c.relname),"
    "   'leaf', c.relkind = 'r', 'keyed', c.key IS NOT NULL, 'name', quote_ident(c.name),"
    "   'index', format('%%I.%%I', c.nspname, c.name),"
    "   'above', CASE WHEN a.oid IS NOT NULL THEN format('%%I.%%I', a.nspname, a.name) END,"
    "   'bare', quote_ident(m.name), 'mine', format('%%I.%%I', c.nspname, m.name),"
    "   'built', EXISTS (SELECT FROM pg_index b JOIN pg_class x ON x.oid = b.indexrelid WHERE"
    "     b.indrelid = c.oid AND x.relname = m.name AND b.indisvalid),"
    "   'identifies', i.indisreplident, 'clusters', i.indisclustered,"
    "   'note', CASE WHEN c.key IS NULL AND a.oid IS NULL THEN segue_note"
    "     ELSE obj_description(c.key, 'pg_constraint') END,"
    "   'index_note', CASE WHEN c.key IS NULL AND a.oid IS NULL THEN segue_index_note"
    "     ELSE obj_description(c.conindid, 'pg_class') END) ORDER BY c.level, c.oid)"
    " INTO segue_all FROM part c LEFT JOIN pg_index i ON i.indexrelid = c.conindid"
    "  LEFT JOIN part a ON a.oid = c.parentrelid"
    "  CROSS JOIN LATERAL (SELECT format('%%s_%%s', segue_built, c.oid) AS name) m;"
    " PERFORM set_config('search_path', segue_path, true);"
    " FOR segue_key IN SELECT * FROM pg_catalog.jsonb_to_recordset(segue_all) AS r ("
    "  relation pg_catalog.text, leaf pg_catalog.bool, keyed pg_catalog.bool, name pg_catalog.text,"
    "  index pg_catalog.text, above pg_catalog.text, bare pg_catalog.text, mine pg_catalog.text,"
    "  built pg_catalog.bool, note pg_catalog.text, index_note pg_catalog.text) LOOP"
    " IF segue_key.above IS NULL THEN"
    "  segue_whole := segue_key.index;"
    "  IF segue_key.keyed THEN EXECUTE pg_catalog.format('ALTER TABLE %%s DROP CONSTRAINT %%s',"
    "   segue_key.relation, segue_key.name); END IF;"
    " END IF;"
    " IF segue_key.built THEN"
    "  EXECUTE pg_catalog.format('ALTER TABLE %%s ADD CONSTRAINT %%s PRIMARY KEY USING INDEX"
    " %%s', segue_key.relation, segue_key.name, segue_key.bare);"
    "  FOR segue_name IN SELECT o.attname AS has, w.attname AS wants FROM pg_catalog.pg_attribute o"
    "   JOIN pg_catalog.pg_attribute w ON w.attnum OPERATOR(pg_catalog.=) o.attnum WHERE o.attrelid"
    "   OPERATOR(pg_catalog.=) segue_key.index::pg_catalog.regclass AND w.attrelid"
    "   OPERATOR(pg_catalog.=) segue_key.above::pg_catalog.regclass AND o.attname"
    "   OPERATOR(pg_catalog.<>) w.attname LOOP"
    "   EXECUTE pg_catalog.format('ALTER TABLE %%s RENAME COLUMN %%I TO %%I', segue_key.index,"
    "    segue_name.has, segue_name.wants);"
    "  END LOOP;"
    " ELSE"
    "  IF segue_key.leaf THEN"
    "   EXECUTE pg_catalog.format('SELECT EXISTS (SELECT FROM %%s)', segue_key.relation)"
    "    INTO segue_rows;"
    "   IF segue_rows THEN RAISE object_not_in_prerequisite_state USING MESSAGE ="
    "    pg_catalog.format('partition %%s has come with rows, and its index for the key is not"
    " there yet', segue_key.relation), HINT = 'segue builds it by itself: resume, and ask again"
    " when SHOW STATUS names no step';"
    "   END IF;"
    "   EXECUTE pg_catalog.format('DROP INDEX IF EXISTS %%s', segue_key.mine);"
    "  END IF;"
    "  EXECUTE pg_catalog.format('ALTER TABLE ONLY %%s ADD CONSTRAINT %%s PRIMARY KEY %%s',"
    "   segue_key.relation, segue_key.name, segue_said);"
    " END IF;"
    " IF segue_key.above IS NOT NULL THEN"
    "  EXECUTE pg_catalog.format('ALTER INDEX %%s ATTACH PARTITION %%s', segue_key.above,"
    "   segue_key.index);"
    " END IF;"
    " IF segue_key.note IS NOT NULL THEN"
    "  EXECUTE pg_catalog.format('COMMENT ON CONSTRAINT %%s ON %%s IS %%L', segue_key.name,"
    "   segue_key.relation, segue_key.note);"
    " END IF;"
    " IF segue_key.index_note IS NOT NULL THEN"
    "  EXECUTE pg_catalog.format('COMMENT ON INDEX %%s IS %%L', segue_key.index,"
    "   segue_key.index_note);"
    " END IF;"
    " END LOOP;"
    " IF NOT (SELECT i.indisvalid FROM pg_catalog.pg_index i WHERE i.indexrelid"
    "  OPERATOR(pg_catalog.=) segue_whole::pg_catalog.regclass) THEN"
    "  RAISE object_not_in_prerequisite_state USING MESSAGE = pg_catalog.format("
    "   'a partition of %%s has no part of the key', segue_of);"
    " END IF;"
    " FOR segue_key IN SELECT * FROM pg_catalog.jsonb_to_recordset(segue_all) AS r ("
    "  relation pg_catalog.text, name pg_catalog.text, identifies pg_catalog.bool,"
    "  clusters pg_catalog.bool) LOOP"
    " IF segue_key.identifies THEN"
    "  EXECUTE pg_catalog.format('ALTER TABLE %%s REPLICA IDENTITY USING INDEX %%s',"
    "   segue_key.relation, segue_key.name);"
    " END IF;"
    " IF segue_key.clusters THEN"
    "  EXECUTE pg_catalog.format('ALTER TABLE %%s CLUSTER ON %%s', segue_key.relation,"
    "   segue_key.name);"
    " END IF;"
    " END LOOP; END";

/* What the leaves have of it, whether it was finished or not. */
static const char drop_sql[] =
    "DECLARE segue_piece record; BEGIN FOR segue_piece IN SELECT pg_catalog.format('%%I.%%I',"
    " n.nspname, c.relname) AS name FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON"
    " n.oid OPERATOR(pg_catalog.=) c.relnamespace WHERE c.relkind OPERATOR(pg_catalog.=) 'i' AND"
    " pg_catalog.starts_with(c.relname::pg_catalog.text, %s) LOOP EXECUTE pg_catalog.format("
    "'DROP INDEX %%s', segue_piece.name); END LOOP; END";

/* A DO of the body; heap. */
static char *done_by(char *body)
{
    char *literal = sql_quote_literal(body), *sql = mem_printf("DO %s", literal);

    free(literal);
    free(body);
    return sql;
}

static char *literal_or_null(const char *text)
{
    return text ? sql_quote_literal(text) : mem_strdup("NULL");
}

static char *turned(const struct target *t, const json_t *index, const char *built, key_half *half)
{
    struct buf said = {0};
    char *of = sql_quote_literal(t->relation), *name = sql_quote_literal(built);
    char *called = sql_quote_literal(cat_text(index, "constraint"));
    char *note = literal_or_null(cat_text(index, "constraint_comment"));
    char *index_note = literal_or_null(cat_text(index, "comment"));
    char *columns, *sql;

    key_list(t, index, half, &said);
    index_storage(index, " USING INDEX TABLESPACE ", &said);
    columns = sql_quote_literal(said.data);
    sql = done_by(mem_printf(turn_sql, of, name, columns, called, note, index_note));
    buf_fini(&said);
    free(columns);
    free(index_note);
    free(note);
    free(called);
    free(name);
    free(of);
    return sql;
}

static void leaf_sql(struct eng_step *step, const struct target *t, const json_t *index,
                     key_half *half)
{
    struct buf sql = {0};

    key_list(t, index, half, &sql);
    index_storage(index, " TABLESPACE ", &sql);
    step_sql(step, "CREATE UNIQUE INDEX CONCURRENTLY {index} ON {partition} %s", sql.data);
    buf_fini(&sql);
}

/* In soak it is the spare that a new partition wants, over what the old half is called there. */
static void build_leaves(struct build *b, struct target *t, const json_t *index, const char *name,
                         bool spare)
{
    struct eng_step *step = build_step(b, ENG_STAGE_BUILD, ENG_STEP_LEAVES, t->table,
                                       spare ? "build the indexes for the way back of %s"
                                             : "build the indexes that become %s",
                                       cat_text(index, "name"));

    leaf_sql(step, t, index, spare ? key_old_half : carry_name);
    if (spare)
        leaf_sql(step, t, index, retype_half);
    step_lock(step, "SHARE UPDATE EXCLUSIVE", t->relation,
              "of one partition after the other, while its index is built; blocks no query");
    step->again = true;
    step->index_schema = mem_strdup(cat_text(t->doc, "schema"));
    step->index_name = mem_strdup(name);
}

static void drop_spares(struct build *b, struct target *t, const json_t *index, const char *name)
{
    struct eng_step *step = build_step(b, ENG_STAGE_ABORT, ENG_STEP_DDL, t->table,
                                       "drop the spare indexes of %s", cat_text(index, "name"));
    char *begins = mem_printf("%s_", name), *literal = sql_quote_literal(begins);
    char *sql = done_by(mem_printf(drop_sql, literal));

    step_sql(step, "%s", sql);
    step_lock(step, "ACCESS EXCLUSIVE", t->relation, "an instant; lock_timeout, retried");
    free(sql);
    free(literal);
    free(begins);
}

enum rc key_of_parts(struct build *b, struct target *t, const json_t *index, const char *fresh,
                     const char *spare)
{
    char *there = turned(t, index, fresh, carry_name);
    char *back = turned(t, index, spare, key_old_half);

    build_leaves(b, t, index, fresh, false);
    build_leaves(b, t, index, spare, true);
    drop_spares(b, t, index, spare);
    texts_add(&t->cutover, "%s", there);
    texts_add(&t->revert, "%s", back);
    free(back);
    free(there);
    return parts_check_schemas(b, t);
}

/* Each takes its time under the lock, and the gate is opened when that is too long. */
static enum rc warn_of_many(struct build *b, const struct target *t, const char *object)
{
    static const char sql[] = "SELECT count(*) FROM pg_partition_tree($1::regclass)"
                              " WHERE level > 0 HAVING count(*) >= " MANY;
    const char *params[] = {t->relation};
    char *count = NULL;
    enum rc rc = own_value(b, sql, 1, params, &count, b->err);

    if (count)
        build_warn(b, object,
                   "let gate_hold_max_ms be longer than that, and choose a quiet hour (cutover"
                   " --at)",
                   "the cut-over makes the keys of %s partitions again, under the lock and behind"
                   " the gate: some 6 ms each",
                   count);
    free(count);
    return rc;
}

enum rc key_warn_of_parts(struct build *b, const struct target *t, const char *object)
{
    bool renames = false;

    for (size_t i = 0; i < t->from.n; i++)
        renames |= !retype_has(t, t->from.v[i]);
    if (renames)
        build_warn(b, object, "have them name the constraint, or come through segue",
                   "past segue ON CONFLICT (columns) works for one name of the key at a time: the"
                   " old one until the cut-over, the new one after it; the other gets 42P10");
    return warn_of_many(b, t, object);
}
