/*
 * A table's document (segue/catalog/catalog.h), one query a part. $1 is always the table's oid.
 * Of a column's options only the documented ones are read: servers keep marks of their own there,
 * which belong to that one column. `equality` is of types whose = compares bytes: "bytes", or
 * "text" under collation "C"; it is null for all others.
 */
#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"

static const char head_sql[] =
    "SELECT json_build_object('oid', c.oid::int8, 'schema', n.nspname, 'name', c.relname,"
    " 'relkind', c.relkind, 'persistence', c.relpersistence,"
    " 'owned', pg_has_role(c.relowner, 'USAGE'), 'owner', pg_get_userbyid(c.relowner),"
    " 'of_type', NULLIF(c.reloftype, 0)::regtype::text,"
    " 'tuples', c.reltuples, 'partition', c.relispartition, 'attributes', GREATEST(c.relnatts,"
    "   (SELECT max(k.relnatts) FROM pg_partition_tree(c.oid) p JOIN pg_class k ON k.oid ="
    "   p.relid)),"
    " 'replica_identity', c.relreplident, 'hides_rows', (SELECT format('%I.%I', kn.nspname,"
    "   k.relname) FROM (SELECT c.oid AS id UNION SELECT relid FROM pg_partition_tree(c.oid)) p"
    "   JOIN pg_class k ON k.oid = p.id JOIN pg_namespace kn ON kn.oid = k.relnamespace"
    "   WHERE k.relrowsecurity AND (k.relforcerowsecurity OR NOT pg_has_role(k.relowner, 'USAGE'))"
    "   AND NOT (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user)"
    "   ORDER BY k.oid LIMIT 1),"
    " 'others_partition', (SELECT format('%I.%I', kn.nspname, k.relname) FROM"
    "   pg_partition_tree(c.oid) p JOIN pg_class k ON k.oid = p.relid JOIN pg_namespace kn ON"
    "   kn.oid = k.relnamespace WHERE NOT pg_has_role(k.relowner, 'USAGE') ORDER BY k.oid LIMIT 1),"
    " 'inherits', EXISTS (SELECT FROM pg_inherits WHERE inhrelid = c.oid),"
    " 'children', COALESCE((SELECT json_agg(format('%I.%I', cn.nspname, k.relname) ORDER BY k.oid)"
    "   FROM pg_inherits i JOIN pg_class k ON k.oid = i.inhrelid"
    "   JOIN pg_namespace cn ON cn.oid = k.relnamespace WHERE i.inhparent = c.oid), '[]'),"
    " 'deep', EXISTS (SELECT FROM pg_inherits i JOIN pg_class k ON k.oid = i.inhrelid"
    "   WHERE i.inhparent = c.oid AND k.relkind <> 'r'))"
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1::oid";

static const char columns_sql[] =
    "SELECT json_agg(json_build_object('num', a.attnum, 'name', a.attname,"
    " 'type', format_type(a.atttypid, a.atttypmod), 'typid', a.atttypid::int8,"
    " 'typtype', t.typtype, 'constrained', " CAT_CONSTRAINED ","
    " 'equality', CASE WHEN t.typtype = 'e' OR COALESCE(NULLIF(t.typbasetype, 0), t.oid) = ANY ('{"
    "pg_catalog.bool, pg_catalog.int2, pg_catalog.int4, pg_catalog.int8, pg_catalog.oid,"
    " pg_catalog.bytea, pg_catalog.uuid, pg_catalog.date, pg_catalog.time, pg_catalog.timestamp,"
    " pg_catalog.timestamptz}'::regtype[]) THEN 'bytes' WHEN COALESCE(NULLIF(t.typbasetype, 0),"
    "   t.oid) = ANY ('{pg_catalog.text, pg_catalog.varchar}'::regtype[]) THEN 'text' END,"
    " 'not_null', a.attnotnull, 'unproven', (SELECT k.conname FROM pg_constraint k WHERE"
    "   k.conrelid = a.attrelid AND k.contype = 'n' AND k.conkey = ARRAY[a.attnum] AND NOT"
    "   k.convalidated), 'identity', a.attidentity, 'generated', a.attgenerated,"
    " 'default', pg_get_expr(d.adbin, d.adrelid),"
    " 'collation', CASE WHEN a.attcollation <> t.typcollation THEN format('%I.%I', cn.nspname,"
    "   co.collname) END,"
    " 'storage', CASE WHEN a.attstorage <> t.typstorage THEN CASE a.attstorage WHEN 'p' THEN"
    "   'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END,"
    " 'compression', CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END,"
    " 'statistics', NULLIF(a.attstattarget, -1), 'options', (SELECT string_agg(o, ', ' ORDER BY o) "
    "FROM "
    "unnest(a.attoptions) o"
    "   WHERE o ~ '^n_distinct(_inherited)?='),"
    " 'comment', col_description(a.attrelid, a.attnum),"
    " 'labelled_for', (SELECT string_agg(quote_ident(l.provider) || CASE WHEN l.objoid <> c.oid "
    "THEN"
    "   ' on ' || l.objoid::regclass ELSE '' END, ', ' ORDER BY l.objoid, l.provider) FROM (SELECT"
    "   c.oid AS id UNION SELECT relid FROM pg_partition_tree(c.oid)) p JOIN pg_attribute la ON"
    "   la.attrelid = p.id AND la.attname = a.attname JOIN pg_seclabel l ON l.classoid ="
    "   'pg_class'::regclass AND l.objoid = p.id AND l.objsubid = la.attnum),"
    /* of several that it owns: its identity's, or what its default counts by */
    " 'sequence', (SELECT format('%I.%I', sn.nspname, s.relname) FROM pg_depend d JOIN pg_class s"
    "   ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_namespace sn ON sn.oid = s.relnamespace"
    "   WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND"
    "   d.refobjid = c.oid AND d.refobjsubid = a.attnum AND d.deptype IN ('a', 'i') ORDER BY"
    "   d.deptype DESC, EXISTS (SELECT FROM pg_attrdef f JOIN pg_depend u ON u.classid ="
    "   'pg_attrdef'::regclass AND u.objid = f.oid AND u.refobjid = s.oid WHERE f.adrelid = c.oid"
    "   AND f.adnum = a.attnum) DESC, s.oid LIMIT 1),"
    /* the server lets such a column depend on its table, also where an expression reads it */
    " 'partition_key', c.relkind = 'p' AND EXISTS (WITH RECURSIVE s AS (SELECT c.oid AS relid UNION"
    "   ALL SELECT i.inhrelid FROM pg_inherits i JOIN s ON i.inhparent = s.relid) SELECT FROM s"
    "   JOIN pg_attribute k ON k.attrelid = s.relid AND k.attname = a.attname JOIN pg_depend d ON"
    "   d.classid = 'pg_class'::regclass AND d.objid = s.relid AND d.objsubid = k.attnum AND"
    "   d.refclassid = 'pg_class'::regclass AND d.refobjid = s.relid AND d.refobjsubid = 0),"
    " 'grants', (SELECT json_agg(json_build_array(x.privilege_type, CASE x.grantee WHEN 0 THEN"
    "   'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END, x.is_grantable))"
    "   FROM aclexplode(a.attacl) x WHERE x.grantee <> c.relowner),"
    " 'others_grants', (SELECT json_agg(json_build_array(format('%s of %s', x.privilege_type,"
    "   CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END),"
    "   quote_ident(pg_get_userbyid(x.grantor)))) FROM aclexplode(a.attacl) x WHERE x.grantor <>"
    "   c.relowner AND x.grantee <> c.relowner)) ORDER BY a.attnum)"
    " FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
    " JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_type t ON t.oid = a.atttypid"
    " LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
    " LEFT JOIN pg_collation co ON co.oid = a.attcollation"
    " LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace"
    " WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped";

/* What follows a key in CREATE INDEX: collation, operator class, order. */
static const char indexes_sql[] =
    "SELECT json_agg(json_build_object('oid', i.indexrelid::int8, 'schema', n.nspname,"
    " 'name', c.relname, 'unique', i.indisunique, 'primary', i.indisprimary,"
    " 'exclusion', i.indisexclusion, 'valid', i.indisvalid, 'replica_identity',"
    " i.indisreplident, 'clustered', i.indisclustered, 'method', am.amname,"
    " 'nulls_not_distinct', COALESCE((to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false),"
    " 'predicate', pg_get_expr(i.indpred, i.indrelid), 'options', array_to_string(c.reloptions,"
    " ', '), 'tablespace', ts.spcname, 'comment', obj_description(i.indexrelid, 'pg_class'),"
    " 'period', COALESCE((to_jsonb(k) ->> 'conperiod')::bool, false),"
    " 'constraint', k.conname, 'constraint_comment', obj_description(k.oid, 'pg_constraint'),"
    " 'deferrable', k.condeferrable, 'deferred', k.condeferred,"
    " 'extensions', (SELECT json_agg(DISTINCT e.extname) FROM pg_depend d JOIN pg_extension e ON"
    "   e.oid = d.refobjid WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid"
    "   AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'x'),"
    " 'children', COALESCE((SELECT json_agg(h.inhrelid::int8) FROM pg_inherits h"
    "   WHERE h.inhparent = i.indexrelid), '[]'),"
    " 'keys', (SELECT json_agg(json_build_object('key', o <= i.indnkeyatts, 'column', a.attname,"
    "   'expression', CASE WHEN a.attname IS NULL THEN pg_get_indexdef(i.indexrelid, o::int,"
    "     false) END, 'opclass_default', oc.opcdefault, 'statistics',"
    "   NULLIF(ia.attstattarget, -1),"
    "   'suffix', CASE WHEN o > i.indnkeyatts THEN '' ELSE"
    "     CASE WHEN i.indcollation[o - 1] <> 0 AND i.indcollation[o - 1] <> COALESCE("
    "       a.attcollation, kt.typcollation) THEN (SELECT format(' COLLATE %I.%I', ln.nspname,"
    "       l.collname) FROM pg_collation l JOIN pg_namespace ln ON ln.oid = l.collnamespace"
    "       WHERE l.oid = i.indcollation[o - 1]) ELSE '' END ||"
    "     CASE WHEN NOT oc.opcdefault OR ia.attoptions IS NOT NULL THEN format(' %I.%I',"
    "       ocn.nspname, oc.opcname) || COALESCE('(' || array_to_string(ia.attoptions, ', ') ||"
    "       ')', '') ELSE '' END ||"
    "     CASE WHEN NOT pg_indexam_has_property(am.oid, 'can_order') THEN ''"
    "       ELSE CASE i.indoption[o - 1] & 3 WHEN 0 THEN '' WHEN 1 THEN ' DESC NULLS LAST'"
    "       WHEN 2 THEN ' NULLS FIRST' ELSE ' DESC' END END END) ORDER BY o)"
    "   FROM generate_series(1, i.indnatts) o"
    "   LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[o - 1]"
    "     AND a.attnum > 0"
    "   JOIN pg_attribute ia ON ia.attrelid = i.indexrelid AND ia.attnum = o"
    "   JOIN pg_type kt ON kt.oid = ia.atttypid"
    "   LEFT JOIN pg_opclass oc ON oc.oid = i.indclass[o - 1]"
    "   LEFT JOIN pg_namespace ocn ON ocn.oid = oc.opcnamespace)) ORDER BY i.indexrelid)"
    " FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
    " JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am am ON am.oid = c.relam"
    " LEFT JOIN pg_tablespace ts ON ts.oid = c.reltablespace"
    " LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')"
    " WHERE i.indrelid = $1::oid";

/* One that refers to a partitioned table has parts, for each partition that is referred to. */
static const char constraints_sql[] =
    "SELECT json_agg(json_build_object('name', k.conname, 'type', k.contype, 'columns', x.names,"
    " 'expression', pg_get_expr(k.conbin, k.conrelid),"
    " 'tail', substr(left(d.said, d.cut), length('FOREIGN KEY (' || x.list || ')') + 1),"
    " 'set_columns', s.names, 'tail_end', substr(d.said, d.cut + length(s.list) + 1),"
    " 'foreign_table', CASE k.contype WHEN 'f' THEN (SELECT format('%I.%I', fn.nspname,"
    "   f.relname) FROM pg_class f JOIN pg_namespace fn ON fn.oid = f.relnamespace"
    "   WHERE f.oid = k.confrelid) END,"
    " 'validated', k.convalidated, 'no_inherit', k.connoinherit,"
    " 'period', COALESCE((to_jsonb(k) ->> 'conperiod')::bool, false),"
    " 'enforced', COALESCE((to_jsonb(k) ->> 'conenforced')::bool, true),"
    " 'inherited', k.coninhcount > 0 OR k.conparentid <> 0,"
    " 'comment', obj_description(k.oid, 'pg_constraint')) ORDER BY k.oid)"
    " FROM pg_constraint k, LATERAL (SELECT json_agg(a.attname ORDER BY u.o) AS names,"
    "   string_agg(quote_ident(a.attname), ', ' ORDER BY u.o) AS list"
    "   FROM unnest(k.conkey) WITH ORDINALITY u(num, o) JOIN pg_attribute a"
    "   ON a.attrelid = k.conrelid AND a.attnum = u.num) x," CAT_SET_COLUMNS
    " WHERE k.conrelid = $1::oid AND k.contype IN ('c', 'f') AND NOT EXISTS (SELECT FROM"
    "  pg_constraint p WHERE p.oid = k.conparentid AND p.conrelid = k.conrelid)";

/* What PostgreSQL itself records as depending on a column, less what is read above; `own`: the name
 * of a foreign key of the table to itself, which is read above as to the columns that refer. */
static const char dependents_sql[] =
    "SELECT json_agg(json_build_object('column', d.refobjsubid, 'kind', d.classid::regclass::text,"
    " 'own', CASE d.classid WHEN 'pg_constraint'::regclass THEN (SELECT x.conname FROM"
    "   pg_constraint x WHERE x.oid = d.objid AND x.conrelid = $1::oid) END,"
    " 'object', CASE WHEN d.classid = 'pg_rewrite'::regclass THEN (SELECT CASE v.relkind"
    "   WHEN 'v' THEN format('view %I.%I', vn.nspname, v.relname)"
    "   WHEN 'm' THEN format('materialized view %I.%I', vn.nspname, v.relname)"
    "   ELSE pg_describe_object(d.classid, d.objid, d.objsubid) END"
    "   FROM pg_rewrite r JOIN pg_class v ON v.oid = r.ev_class"
    "   JOIN pg_namespace vn ON vn.oid = v.relnamespace WHERE r.oid = d.objid)"
    "  WHEN d.classid = 'pg_attrdef'::regclass THEN 'generated ' || (SELECT"
    "   pg_describe_object('pg_class'::regclass, g.adrelid, g.adnum) FROM pg_attrdef g"
    "   WHERE g.oid = d.objid)"
    "  ELSE pg_describe_object(d.classid, d.objid, d.objsubid) END))"
    " FROM (SELECT DISTINCT classid, objid, objsubid, refobjsubid FROM pg_depend"
    "  WHERE refclassid = 'pg_class'::regclass AND refobjid = $1::oid AND refobjsubid > 0) d"
    " WHERE NOT (d.classid = 'pg_class'::regclass AND (d.objid = $1::oid OR EXISTS (SELECT FROM"
    "  pg_class x WHERE x.oid = d.objid AND x.relkind IN ('i', 'I', 'S'))))"
    " AND NOT (d.classid = 'pg_constraint'::regclass AND EXISTS (SELECT FROM pg_constraint x"
    "  WHERE x.oid = d.objid AND x.conrelid = $1::oid AND (x.contype <> 'f' OR x.confrelid <>"
    "  x.conrelid OR d.refobjsubid <> ALL (x.confkey))))"
    " AND NOT (d.classid = 'pg_attrdef'::regclass AND EXISTS (SELECT FROM pg_attrdef x"
    "  WHERE x.oid = d.objid AND x.adrelid = $1::oid AND x.adnum = d.refobjsubid))";

/* What a partition has of its own on a column: the parent's document does not show it. */
static const char partition_dependents_sql[] =
    "SELECT json_agg(DISTINCT jsonb_build_object('name', a.attname, 'object',"
    " pg_describe_object(d.classid, d.objid, d.objsubid)))"
    " FROM pg_partition_tree($1::oid::regclass) p JOIN pg_attribute a ON a.attrelid = p.relid"
    " JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid"
    "  AND d.refobjsubid = a.attnum AND a.attnum > 0"
    " WHERE p.relid <> $1::oid AND d.classid <> 'pg_attrdef'::regclass"
    " AND NOT (d.classid = 'pg_class'::regclass AND (d.objid = a.attrelid OR EXISTS"
    "  (SELECT FROM pg_inherits WHERE inhrelid = d.objid)))"
    " AND NOT (d.classid = 'pg_constraint'::regclass AND EXISTS (SELECT FROM pg_constraint k"
    "  WHERE k.oid = d.objid AND (k.conparentid <> 0 OR k.coninhcount > 0)))"
    " AND NOT (d.classid = 'pg_trigger'::regclass AND EXISTS (SELECT FROM pg_trigger t"
    "  WHERE t.oid = d.objid AND t.tgparentid <> 0))";

/* What it says of a column otherwise than the table does; a default that it lacks is none. */
static const char partition_own_sql[] =
    "SELECT json_agg(json_build_object('name', a.attname, 'object', format('%s of column %I of %s',"
    " CASE WHEN o.differs THEN 'default' ELSE 'NOT NULL' END, a.attname, p.relid::regclass),"
    " 'action', CASE WHEN o.differs THEN 'SET DEFAULT' ELSE 'SET NOT NULL' END) ORDER BY 1)"
    " FROM pg_partition_tree($1::oid::regclass) p JOIN pg_attribute a ON a.attrelid = p.relid"
    " JOIN pg_attribute r ON r.attrelid = $1::oid AND r.attname = a.attname"
    " LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
    " LEFT JOIN pg_attrdef e ON e.adrelid = r.attrelid AND e.adnum = r.attnum,"
    " LATERAL (SELECT pg_get_expr(d.adbin, d.adrelid) <> coalesce(pg_get_expr(e.adbin, e.adrelid),"
    "  '') AND a.attgenerated = '' AS differs, a.attnotnull AND NOT r.attnotnull AND"
    "  current_setting('server_version_num')::int < 180000 AS refuses) o" /* a dependent since */
    " WHERE a.attnum > 0 AND p.relid <> $1::oid AND (o.differs OR o.refuses)";

/* Privileges on their columns, which the table's say nothing of. */
static const char partition_grants_sql[] =
    "SELECT json_agg(json_build_object('name', a.attname, 'relation', p.relid::regclass,"
    " 'privilege', x.privilege_type, 'grantee', CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE"
    "  quote_ident(pg_get_userbyid(x.grantee)) END, 'grantable', x.is_grantable) ORDER BY p.relid)"
    " FROM pg_partition_tree($1::oid::regclass) p JOIN pg_class c ON c.oid = p.relid"
    " JOIN pg_attribute a ON a.attrelid = p.relid AND a.attnum > 0, aclexplode(a.attacl) x"
    " WHERE p.relid <> $1::oid AND x.grantee <> c.relowner";

static const char triggers_sql[] =
    "SELECT json_agg(json_build_object('name', t.tgname, 'before', t.tgtype & 2 <> 0,"
    " 'row', t.tgtype & 1 <> 0, 'insert', t.tgtype & 4 <> 0, 'update', t.tgtype & 16 <> 0,"
    " 'enabled', t.tgenabled, 'function', t.tgfoid::regprocedure::text) ORDER BY t.tgname)"
    " FROM pg_trigger t WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND (t.tgrelid = $1::oid"
    " OR t.tgrelid IN (SELECT relid FROM pg_partition_tree($1::oid::regclass)))";

/* By text only, a function's or a trigger's arguments: what is found is a warning, never a refusal.
 * 'before': it is run for a row that is written, in front of the guard. */
#define FIRES_BEFORE "t.tgtype & 3 = 3 AND t.tgtype & 20 <> 0"
#define OF_TABLE                                                                                   \
    "(t.tgrelid = c.oid OR t.tgrelid IN (SELECT relid FROM pg_partition_tree(c.oid::regclass)))"
static const char mentions_sql[] =
    "SELECT json_agg(json_build_object('column', a.attnum, 'object', m.object, 'argument',"
    " m.argument, 'before', m.before) ORDER BY m.object)"
    " FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid, LATERAL ("
    "  SELECT p.oid::regprocedure::text AS object, false AS argument, EXISTS (SELECT FROM"
    "   pg_trigger t WHERE t.tgfoid = p.oid AND " OF_TABLE " AND " FIRES_BEFORE ") AS before"
    "  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang AND l.lanname IN ('sql', 'plpgsql')"
    "  JOIN pg_namespace n ON n.oid = p.pronamespace"
    "  WHERE strpos(lower(p.prosrc), lower(a.attname)) > 0"
    "  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'segue')"
    "  AND (strpos(lower(p.prosrc), lower(c.relname)) > 0 OR EXISTS (SELECT FROM pg_trigger t"
    "   WHERE " OF_TABLE " AND t.tgfoid = p.oid))"
    "  UNION ALL SELECT format('trigger %I on %s', t.tgname, t.tgrelid::regclass), true,"
    "   " FIRES_BEFORE " FROM pg_trigger t, LATERAL (SELECT decode('00', 'hex') AS zero) z"
    "  WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND " OF_TABLE " AND position(zero ||"
    "   convert_to(a.attname, getdatabaseencoding()) || zero IN zero || t.tgargs) > 0) m"
    " WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped";

/* By text, too: functions that take the table's row as it stands into another one's, or into what
 * they give. 'fires': for the row of a trigger of the table. */
#define BLANK "[[:space:]]"
#define WHOLE_ROW                                                                                  \
    "(select|values" BLANK "*[(]|,)" BLANK "*[(]?" BLANK "*(new|old)" BLANK "*[)]?" BLANK          \
    "*[.]" BLANK "*[*]"
#define STAR "select" BLANK "+([[:alnum:]_]+" BLANK "*[.]" BLANK "*)?[*][^;]*[[:<:]]"
#define INSERT_INTO "[[:<:]]insert" BLANK "+into[[:>:]]"
#define RETURN_QUERY "[[:<:]]return" BLANK "+query[[:>:]]"
static const char whole_rows_sql[] =
    "SELECT json_agg(json_build_object('function', f.id::regprocedure::text, 'fires', f.fires)"
    " ORDER BY f.id) FROM (SELECT p.oid AS id, p.prosrc ~* '" INSERT_INTO "[^;]*" WHOLE_ROW "' AND"
    "   EXISTS (SELECT FROM pg_trigger t WHERE NOT t.tgisinternal AND t.tgfoid = p.oid AND"
    "   (t.tgrelid = c.oid OR t.tgrelid IN (SELECT relid FROM pg_partition_tree(c.oid)))) AS fires,"
    "  p.prosrc ~* ('(" INSERT_INTO "|" RETURN_QUERY ")[^;]*" STAR "' || x.name) OR l.lanname ="
    "   'sql' AND p.proretset AND p.prorettype <> c.reltype AND p.prosrc ~* ('" STAR "' || x.name)"
    "  AS takes FROM pg_class c CROSS JOIN LATERAL (SELECT regexp_replace(c.relname,"
    "   '[^[:alnum:]_]', '.', 'g') || '[[:>:]]' AS name) x, pg_proc p JOIN pg_language l ON l.oid ="
    "   p.prolang AND l.lanname IN ('sql', 'plpgsql') JOIN pg_namespace n ON n.oid = p.pronamespace"
    "  WHERE c.oid = $1::oid AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'segue')) f"
    " WHERE f.fires OR f.takes";

static const char key_sql[] =
    "SELECT json_agg(a.attname ORDER BY u.o) FROM pg_index i,"
    " unnest(i.indkey::int2[]) WITH ORDINALITY u(num, o), pg_attribute a"
    " WHERE i.indrelid = $1::oid AND i.indisprimary AND a.attrelid = i.indrelid"
    " AND a.attnum = u.num AND u.o <= i.indnkeyatts";

static const char relatives_sql[] =
    "SELECT json_agg(DISTINCT c.relname) FROM pg_class c WHERE c.oid <> $1::oid AND c.oid IN ("
    " SELECT relid FROM pg_partition_tree($1::oid::regclass)"
    " UNION SELECT relid FROM pg_partition_ancestors($1::oid::regclass)"
    " UNION SELECT confrelid FROM pg_constraint WHERE conrelid = $1::oid AND contype = 'f'"
    " UNION SELECT conrelid FROM pg_constraint WHERE confrelid = $1::oid AND contype = 'f')";

static const struct {
    const char *key, *sql;
} parts[] = {
    {"columns", columns_sql},
    {"indexes", indexes_sql},
    {"constraints", constraints_sql},
    {"dependents", dependents_sql},
    {"triggers", triggers_sql},
    {"mentions", mentions_sql},
    {"whole_rows", whole_rows_sql},
    {"partition_dependents", partition_dependents_sql},
    {"partition_own", partition_own_sql},
    {"partition_grants", partition_grants_sql},
    {"key", key_sql},
    {"relatives", relatives_sql},
};

static enum rc read_part(PGconn *conn, const char *sql, const char *oid, json_t **out,
                         struct err *err)
{
    const char *params[] = {oid};
    json_error_t why;
    char *text;

    if (cat_value(conn, sql, 1, params, &text, err) != RC_OK)
        return RC_ERR;
    *out = text ? json_loads(text, JSON_DECODE_ANY, &why) : json_array();
    free(text);
    if (*out)
        return RC_OK;
    err_set(err, "XX000", "the catalog cannot be read: %s", why.text);
    return RC_ERR;
}

static enum rc find_oid(PGconn *conn, const char *schema, const char *name, char **oid,
                        struct err *err)
{
    const char *params[] = {schema, name};
    static const char sql[] = "SELECT to_regclass(CASE WHEN $1::text IS NULL THEN format('%I',"
                              " $2::text) ELSE format('%I.%I', $1::text, $2::text) END)::oid";

    if (cat_value(conn, sql, 2, params, oid, err) != RC_OK)
        return RC_ERR;
    if (*oid)
        return RC_OK;
    err_set(err, "42P01", "table \"%s%s%s\" does not exist", schema ? schema : "",
            schema ? "." : "", name);
    return RC_ERR;
}

enum rc cat_table(PGconn *conn, const char *schema, const char *name, json_t **table,
                  struct err *err)
{
    char *oid;
    enum rc rc;

    *table = NULL;
    if (find_oid(conn, schema, name, &oid, err) != RC_OK)
        return RC_ERR;
    rc = read_part(conn, head_sql, oid, table, err);
    for (size_t i = 0; rc == RC_OK && i < ARRAY_LEN(parts); i++) {
        json_t *part = NULL;

        rc = read_part(conn, parts[i].sql, oid, &part, err);
        if (rc != RC_OK && strcmp(err->sqlstate, "22021") == 0)
            err_prefix(err, "the table's %s", parts[i].key);
        if (rc == RC_OK)
            json_object_set_new(*table, parts[i].key, part);
    }
    free(oid);
    if (rc != RC_OK) {
        json_decref(*table);
        *table = NULL;
    }
    return rc;
}

json_t *cat_column(const json_t *table, const char *name)
{
    json_t *column;
    size_t i;

    json_array_foreach(json_object_get(table, "columns"), i, column)
    {
        if (!strcmp(cat_text(column, "name"), name))
            return column;
    }
    return NULL;
}

const char *cat_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}
