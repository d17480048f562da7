/* The query that builds the comparable document (segue/catalog/schema.h), an arm a kind. */
#include "segue/catalog/schema.h"

#define OURS " !~ '^~segue_'"

/* Not of an extension. */
#define OWN(class, oid)                                                                            \
    " NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = '" class "'::regclass AND x.objid "    \
                                                                     "= " oid                      \
                                                                     " AND x.deptype = 'e')"

#define COLUMNS                                                                                    \
    "(SELECT jsonb_object_agg(a.attname, jsonb_build_object("                                      \
    "'type', format_type(a.atttypid, a.atttypmod), 'not null', NULLIF(a.attnotnull, false),"       \
    "'default', CASE a.attgenerated WHEN '' THEN pg_get_expr(d.adbin, d.adrelid) END,"             \
    "'generated', CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END,"        \
    "'virtual', CASE a.attgenerated WHEN 'v' THEN true END,"                                       \
    "'identity', CASE a.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END,"        \
    "'collation', CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation "   \
    "END, 'storage', CASE WHEN a.attstorage <> t.typstorage THEN a.attstorage END,"                \
    "'compression', NULLIF(a.attcompression, ''), 'statistics', NULLIF(a.attstattarget, -1),"      \
    "'options', array_to_string(a.attoptions, ', '),"                                              \
    "'comment', col_description(a.attrelid, a.attnum))) FROM pg_attribute a"                       \
    " JOIN pg_type t ON t.oid = a.atttypid"                                                        \
    " LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum"                     \
    " WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attname" OURS ")"

/* NOT NULL, which has names since 18, is said of the column; what a foreign key has for each
 * partition it refers to follows the partitions. */
#define CONSTRAINTS                                                                                \
    "(SELECT jsonb_object_agg(k.conname, pg_get_constraintdef(k.oid)) FROM pg_constraint k"        \
    " WHERE k.conrelid = c.oid AND k.contype IN ('c', 'f', 'p', 'u', 'x') AND k.conparentid = 0"   \
    " AND k.conname" OURS ")"

#define INDEXES                                                                                    \
    "(SELECT jsonb_object_agg(ic.relname, pg_get_indexdef(i.indexrelid) || CASE WHEN i.indisvalid" \
    " THEN '' ELSE ' (not valid)' END) FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid"  \
    " WHERE i.indrelid = c.oid AND ic.relname" OURS " AND NOT EXISTS (SELECT FROM pg_constraint k" \
    " WHERE k.conrelid = i.indrelid AND k.conindid = i.indexrelid AND k.contype IN ('p', 'u', "    \
    "'x')))"

#define TRIGGERS                                                                                   \
    "(SELECT jsonb_object_agg(g.tgname, pg_get_triggerdef(g.oid) || CASE g.tgenabled WHEN 'D' "    \
    "THEN ' (disabled)' WHEN 'R' THEN ' (replica)' WHEN 'A' THEN ' (always)' ELSE '' END)"         \
    " FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgname" OURS ")"

#define POLICIES                                                                                   \
    "(SELECT jsonb_object_agg(p.polname, concat_ws(' ', CASE WHEN p.polpermissive THEN "           \
    "'permissive' ELSE 'restrictive' END, CASE p.polcmd WHEN 'r' THEN 'select' WHEN 'a' THEN "     \
    "'insert' WHEN 'w' THEN 'update' WHEN 'd' THEN 'delete' ELSE 'all' END, 'to', (SELECT "        \
    "string_agg(CASE r WHEN 0 THEN 'public' ELSE pg_get_userbyid(r) END, ', ' ORDER BY r) FROM "   \
    "unnest(p.polroles) r), 'using (' || pg_get_expr(p.polqual, p.polrelid) || ')',"               \
    "'with check (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')')) FROM pg_policy p"          \
    " WHERE p.polrelid = c.oid)"

#define RULES                                                                                      \
    "(SELECT jsonb_object_agg(r.rulename, pg_get_ruledef(r.oid)) FROM pg_rewrite r"                \
    " WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN')"

#define TABLES                                                                                     \
    "SELECT 'table ' || format('%I.%I', s.nspname, c.relname), jsonb_build_object("                \
    "'kind', CASE c.relkind WHEN 'p' THEN 'partitioned' WHEN 'f' THEN 'foreign' END,"              \
    "'unlogged', CASE c.relpersistence WHEN 'u' THEN true END,"                                    \
    "'partition by', CASE c.relkind WHEN 'p' THEN pg_get_partkeydef(c.oid) END,"                   \
    "'inherits', (SELECT jsonb_agg(h.inhparent::regclass::text ORDER BY h.inhseqno)"               \
    " FROM pg_inherits h WHERE h.inhrelid = c.oid),"                                               \
    "'replica identity', CASE c.relreplident WHEN 'f' THEN 'full' WHEN 'n' THEN 'nothing' WHEN "   \
    "'i' THEN (SELECT i.indexrelid::regclass::text FROM pg_index i WHERE i.indrelid = c.oid AND "  \
    "i.indisreplident) END, 'row security', CASE WHEN c.relforcerowsecurity THEN 'forced' WHEN "   \
    "c.relrowsecurity THEN 'enabled' END, 'options', array_to_string(c.reloptions, ', '),"         \
    "'comment', obj_description(c.oid, 'pg_class'), 'columns', " COLUMNS                           \
    ", 'constraints', " CONSTRAINTS ", 'indexes', " INDEXES ", 'triggers', " TRIGGERS              \
    ", 'policies', " POLICIES ", 'rules', " RULES ")"                                              \
    " FROM relations c JOIN spaces s ON s.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'f')"

#define VIEWS                                                                                      \
    "SELECT CASE c.relkind WHEN 'm' THEN 'materialized view ' ELSE 'view ' END ||"                 \
    " format('%I.%I', s.nspname, c.relname), jsonb_build_object("                                  \
    "'definition', pg_get_viewdef(c.oid), 'options', array_to_string(c.reloptions, ', '),"         \
    "'comment', obj_description(c.oid, 'pg_class'), 'indexes', " INDEXES ", 'triggers', " TRIGGERS \
    ", 'rules', " RULES ")"                                                                        \
    " FROM relations c JOIN spaces s ON s.oid = c.relnamespace WHERE c.relkind IN ('v', 'm')"

/* An identity column's sequence goes with the column. */
#define SEQUENCES                                                                                  \
    "SELECT 'sequence ' || format('%I.%I', s.nspname, c.relname), jsonb_build_object("             \
    "'type', format_type(q.seqtypid, NULL), 'start', q.seqstart, 'increment', q.seqincrement,"     \
    "'min', q.seqmin, 'max', q.seqmax, 'cache', NULLIF(q.seqcache, 1), 'cycle',"                   \
    " NULLIF(q.seqcycle, false), 'owned by', (SELECT format('%I.%I.%I', on_.nspname, o.relname,"   \
    " a.attname) FROM pg_depend d JOIN pg_class o ON o.oid = d.refobjid JOIN pg_namespace on_"     \
    " ON on_.oid = o.relnamespace JOIN pg_attribute a ON a.attrelid = o.oid AND a.attnum ="        \
    " d.refobjsubid WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype ="    \
    " 'a' AND d.refclassid = 'pg_class'::regclass))"                                               \
    " FROM relations c JOIN spaces s ON s.oid = c.relnamespace JOIN pg_sequence q ON q.seqrelid"   \
    " = c.oid WHERE c.relkind = 'S' AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid ="     \
    " 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'i')"

#define TYPES                                                                                      \
    "SELECT 'type ' || format('%I.%I', s.nspname, t.typname), jsonb_build_object("                 \
    "'labels', (SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE"       \
    " e.enumtypid = t.oid), 'domain of', CASE t.typtype WHEN 'd' THEN format_type(t.typbasetype,"  \
    " t.typtypmod) END, 'not null', NULLIF(t.typnotnull, false), 'default', t.typdefault,"         \
    "'constraints', (SELECT jsonb_object_agg(k.conname, pg_get_constraintdef(k.oid)) FROM"         \
    " pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'),"                              \
    "'attributes', (SELECT jsonb_object_agg(a.attname, format_type(a.atttypid, a.atttypmod))"      \
    " FROM pg_attribute a WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND"  \
    " NOT a.attisdropped), 'range of', (SELECT format_type(r.rngsubtype, NULL) FROM pg_range r"    \
    " WHERE r.rngtypid = t.oid))"                                                                  \
    " FROM pg_type t JOIN spaces s ON s.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid ="      \
    " t.typrelid WHERE (t.typtype IN ('e', 'd', 'r') OR (t.typtype = 'c' AND c.relkind = 'c'))"    \
    " AND t.typname" OURS " AND" OWN("pg_type", "t.oid")

#define FUNCTIONS                                                                                  \
    "SELECT CASE p.prokind WHEN 'p' THEN 'procedure ' ELSE 'function ' END || format('%I.%I(%s)'," \
    " s.nspname, p.proname, pg_get_function_identity_arguments(p.oid)), jsonb_build_object("       \
    "'definition', CASE p.prokind WHEN 'a' THEN (SELECT concat_ws(', ', 'aggregate',"              \
    " g.aggtransfn, g.aggfinalfn, format_type(g.aggtranstype, NULL), g.agginitval)"                \
    " FROM pg_aggregate g WHERE g.aggfnoid = p.oid) ELSE pg_get_functiondef(p.oid) END)"           \
    " FROM pg_proc p JOIN spaces s ON s.oid = p.pronamespace WHERE" OWN("pg_proc", "p.oid")

#define RELATIONS                                                                                  \
    "SELECT c.* FROM pg_class c JOIN spaces s ON s.oid = c.relnamespace WHERE c.relkind IN ('r',"  \
    " 'p', 'f', 'v', 'm', 'S') AND c.relpersistence <> 't' AND NOT c.relispartition AND "          \
    "c.relname" OURS " AND" OWN("pg_class", "c.oid")

#define SCHEMAS                                                                                    \
    "SELECT 'schema ' || quote_ident(s.nspname) AS key, '{}'::jsonb AS value FROM spaces s "       \
    "WHERE" OWN("pg_namespace", "s.oid")

#define EXTENSIONS                                                                                 \
    "SELECT 'extension ' || quote_ident(e.extname), jsonb_build_object('version', e.extversion)"   \
    " FROM pg_extension e"

#define STATISTICS                                                                                 \
    "SELECT 'statistics ' || format('%I.%I', s.nspname, x.stxname), jsonb_build_object("           \
    "'definition', pg_get_statisticsobjdef(x.oid)) FROM pg_statistic_ext x"                        \
    " JOIN spaces s ON s.oid = x.stxnamespace WHERE x.stxname" OURS

const char cat_schema_sql[] =
    "WITH spaces AS MATERIALIZED (SELECT n.oid, n.nspname FROM pg_namespace n WHERE n.nspname !~"
    " '^pg_' AND n.nspname NOT IN ('information_schema', 'segue')),"
    " relations AS MATERIALIZED (" RELATIONS ")"
    " SELECT coalesce(jsonb_object_agg(key, jsonb_strip_nulls(value)), '{}') FROM (" SCHEMAS
    " UNION ALL " EXTENSIONS " UNION ALL " TABLES " UNION ALL " VIEWS " UNION ALL " SEQUENCES
    " UNION ALL " TYPES " UNION ALL " FUNCTIONS " UNION ALL " STATISTICS ") AS objects";
