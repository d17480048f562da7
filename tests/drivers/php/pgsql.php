<?php
// php-pgsql: the functions pg_*, over libpq.

require __DIR__ . '/checks.php';

set_error_handler(fn () => true); // the functions warn besides what they give back

function connection(): PgSql\Connection
{
    $c = pg_connect('', PGSQL_CONNECT_FORCE_NEW);
    must($c !== false, 'no connection');
    return $c;
}

function rows($c, string $sql, array $values = []): array
{
    $r = $values ? pg_query_params($c, $sql, $values) : pg_query($c, $sql);
    must($r !== false, pg_last_error($c));
    return pg_fetch_all($r);
}

function fails($c, string $sql): array
{
    must(pg_send_query($c, $sql) !== false);
    $r = pg_get_result($c);
    must(pg_result_status($r) === PGSQL_FATAL_ERROR, "no error: $sql");
    while (pg_get_result($c));
    return array_map(fn ($f) => pg_result_error_field($r, $f), [PGSQL_DIAG_SQLSTATE, PGSQL_DIAG_MESSAGE_PRIMARY,
        PGSQL_DIAG_MESSAGE_DETAIL, PGSQL_DIAG_STATEMENT_POSITION, PGSQL_DIAG_TABLE_NAME, PGSQL_DIAG_COLUMN_NAME,
        PGSQL_DIAG_CONSTRAINT_NAME, PGSQL_DIAG_SOURCE_FUNCTION]);
}

run_checks([
    'types' => function ($c) {
        $row = rows($c, file_get_contents(__DIR__ . '/../types.sql'))[0];
        must(count($row) === 30 && $row['null_int'] === null);
        return $row;
    },
    'parameters_of_all_kinds' => fn ($c) => rows($c, 'SELECT $1::int8 a, $2::float8 b, $3::text c, $4::text d, $5::bool e,
        $6::bytea f, $7::int4[] g', [1, -2.5, "té'xt", null, 't', pg_escape_bytea($c, "\0\xff"), '{1,NULL}']),
    'errors_with_their_fields' => function ($c) {
        pg_query($c, "CREATE TEMP TABLE e (id int PRIMARY KEY, v text NOT NULL CHECK (v <> 'no'))");
        $seen = array_map(fn ($sql) => fails($c, $sql), ['SELEC 1', 'SELECT nosuch', 'INSERT INTO e VALUES (2, NULL)',
            "INSERT INTO e VALUES (3, 'no')", 'SELECT 1/0', "SELECT 'x'::int"]);
        must(array_column($seen, 0) === ['42601', '42703', '23502', '23514', '22012', '22P02']);
        return $seen;
    },
    'cancel_of_a_running_statement' => function ($c) {
        pg_send_query($c, 'SELECT pg_sleep(20)');
        usleep(200000);
        must(pg_cancel_query($c), 'not canceled');
        return rows($c, "SELECT 'goes on' AS v");
    },
    'statement_timeout' => function ($c) {
        pg_query($c, 'SET statement_timeout = 50');
        return fails($c, 'SELECT pg_sleep(20)');
    },
    'notices_and_notifications' => function ($c) {
        pg_query($c, "DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; END $$");
        $seen = pg_last_notice($c, PGSQL_NOTICE_ALL);
        pg_query($c, 'LISTEN driver_news');
        pg_query(connection(), "NOTIFY driver_news, 'payload'");
        for ($i = 0; $i < 100 && !($note = pg_get_notify($c, PGSQL_ASSOC)); $i++) {
            usleep(50000);
        }
        must($note !== false && count($seen) === 2, 'no notification');
        return [$seen, $note['message'], $note['payload']];
    },
    'copy_in_and_out' => function ($c) {
        pg_query($c, 'CREATE TEMP TABLE c (id int, v text)');
        $lines = array_map(fn ($i) => "$i\tv$i\n", range(0, 9999));
        must(pg_copy_from($c, 'c', $lines));
        must(pg_copy_to($c, 'c') === $lines, 'other rows');
        pg_query($c, 'COPY c FROM STDIN');
        pg_put_line($c, "x\ty\n");
        pg_put_line($c, "\\.\n");
        $ended = pg_end_copy($c);
        return [$ended, pg_last_error($c), rows($c, 'SELECT count(*) FROM c')];
    },
    'prepared_statements' => function ($c) {
        pg_prepare($c, 'plus', 'SELECT $1::int + 1 AS v');
        $seen = array_map(fn ($i) => pg_fetch_result(pg_execute($c, 'plus', [$i]), 0, 0), range(1, 10));
        pg_query($c, 'DEALLOCATE plus');
        must(pg_execute($c, 'plus', [1]) === false);
        $seen[] = pg_last_error($c);
        return $seen;
    },
    'several_results' => function ($c) {
        pg_send_query($c, "SELECT 1 AS a; SELECT 'two' AS b, NULL AS c; CREATE TEMP TABLE s (i int)");
        $seen = [];
        while ($r = pg_get_result($c)) {
            $seen[] = [pg_result_status($r, PGSQL_STATUS_STRING), pg_fetch_all($r)];
        }
        must(count($seen) === 3);
        return $seen;
    },
    'transactions_and_savepoints' => function ($c) {
        pg_query($c, 'CREATE TEMP TABLE t (id int PRIMARY KEY); BEGIN; INSERT INTO t VALUES (1); SAVEPOINT a');
        $failed = fails($c, 'INSERT INTO t VALUES (1)');
        must(pg_transaction_status($c) === PGSQL_TRANSACTION_INERROR);
        pg_query($c, 'ROLLBACK TO a; INSERT INTO t VALUES (2); COMMIT');
        return [$failed, rows($c, 'SELECT array_agg(id ORDER BY id) v FROM t')];
    },
    'large_objects' => function ($c) {
        pg_query($c, 'BEGIN');
        $oid = pg_lo_create($c, 929292);
        $large = pg_lo_open($c, $oid, 'w+');
        $wrote = pg_lo_write($large, str_repeat('L', 100000));
        pg_lo_seek($large, 99990, PGSQL_SEEK_SET);
        $got = pg_lo_read($large, 100);
        pg_lo_close($large);
        pg_lo_unlink($c, $oid);
        pg_query($c, 'COMMIT');
        return [$wrote, $got];
    },
    'big_values_and_many_parameters' => function ($c) {
        $big = str_repeat('z', 3000000);
        $back = rows($c, "SELECT $1::text || 'e' AS v", [$big])[0]['v'];
        must($back === $big . 'e');
        $marks = implode(',', array_map(fn ($i) => "\$$i::int", range(1, 30000)));
        return [strlen($back), rows($c, "SELECT cardinality(ARRAY[$marks]) AS n", range(1, 30000))];
    },
    'migrating_table' => function ($c) {
        pg_prepare($c, 'kept', 'SELECT label, amount FROM kept WHERE id = $1');
        $seen = array_map(fn ($i) => pg_fetch_row(pg_execute($c, 'kept', [$i])), range(1, 40));
        pg_query($c, 'BEGIN');
        $seen[] = rows($c, 'UPDATE kept SET amount = amount + 1 WHERE id = $1 RETURNING amount', [3]);
        pg_query($c, 'ROLLBACK');
        return $seen;
    },
], 'connection');
