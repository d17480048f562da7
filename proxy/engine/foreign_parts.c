#include "foreign_parts.h"

#include <stdlib.h>

#include "relations.h"
#include "segue/base/mem.h"

#define NAMED "format('%%I.%%I', n.nspname, c.relname)"

char *foreign_parts_sql(const struct eng_migration *m)
{
    struct buf oids = {0};
    char *sql;

    for (size_t i = 0; i < m->plan->ntables; i++)
        if (m->plan->tables[i].relkind == 'p')
            buf_printf(&oids, "%s%u", oids.len ? ", " : "", m->plan->tables[i].oid);
    if (!oids.len)
        return mem_strdup("");
    sql = mem_printf(
        "DO $segue$ DECLARE part text; parent text; BEGIN SELECT " NAMED ", (SELECT " NAMED
        " FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent JOIN pg_namespace n ON n.oid ="
        " c.relnamespace WHERE i.inhrelid = t.relid) INTO part, parent FROM unnest(ARRAY[%s]::oid[]"
        ") AS root (oid), " RELATIONS_TREE " AS t JOIN pg_class c ON c.oid = t.relid JOIN"
        " pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'f' LIMIT 1;"
        " IF part IS NOT NULL THEN RAISE EXCEPTION USING ERRCODE = '55000', MESSAGE ="
        " format('partition %%s is a foreign table, which came since the migration was planned',"
        " part), HINT = format('ALTER TABLE %%s DETACH PARTITION %%s: the columns of the migration"
        " are not there in its server', parent, part); END IF; END $segue$;\n",
        oids.data);
    buf_fini(&oids);
    return sql;
}

enum rc foreign_parts_check(struct eng_engine *engine, const struct eng_migration *m,
                            struct err *err)
{
    char *sql = foreign_parts_sql(m);
    enum rc rc = sql[0] ? conn_exec(&engine->work, err, "%s", sql) : RC_OK;

    free(sql);
    return rc;
}
