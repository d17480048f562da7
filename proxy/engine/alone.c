#include "alone.h"

#include <stdlib.h>

#include "relations.h"
#include "segue/base/mem.h"

#define ALONE_TRIES 5
#define ALONE_MS 100
#define ALONE_PAUSE "0.3"

/* Partitions have their writers each, and LOCK TABLE would give lock_timeout to each of them anew:
 * they share one. What goes or comes below a partition in between is another try's. */
char *alone_sql(const struct eng_conn *conn, const struct eng_plan *plan, int no)
{
    const struct eng_table *table = &plan->tables[no];
    char *names = conn_names_sql(conn, plan);
    char *sql = mem_printf(
        CONN_OWN_NAMES
        "DO $segue$ DECLARE one text; lasts timestamptz; BEGIN FOR i IN 1..%d LOOP BEGIN lasts := "
        "clock_timestamp() + %d * interval '1 ms'; PERFORM set_config('lock_timeout', '%d', true); "
        "EXECUTE format('LOCK TABLE ONLY %%s IN SHARE ROW EXCLUSIVE MODE', '%u'::oid::regclass); "
        "FOR one IN SELECT format('%%I.%%I', n.nspname, c.relname) FROM " RELATIONS_ROOT
            RELATIONS_TREE
        " AS t JOIN pg_class c ON c.oid = t.relid JOIN pg_namespace n ON n.oid = "
        "c.relnamespace WHERE c.oid <> root.oid AND c.relkind <> 'f' ORDER BY c.oid LOOP PERFORM "
        "set_config('lock_timeout', greatest(1, ceil(extract(epoch FROM lasts - clock_timestamp()) "
        "* 1000))::text, true); EXECUTE format('LOCK TABLE ONLY %%s IN SHARE ROW EXCLUSIVE MODE', "
        "one); IF clock_timestamp() > lasts THEN RAISE lock_not_available; END IF; END LOOP; EXIT; "
        "EXCEPTION WHEN lock_not_available OR deadlock_detected OR insufficient_privilege OR "
        "undefined_table THEN PERFORM pg_sleep(" ALONE_PAUSE "); END; END LOOP; END $segue$;\n%s",
        ALONE_TRIES, ALONE_MS, ALONE_MS, table->oid, table->oid, names);

    free(names);
    return sql;
}
