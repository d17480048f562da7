<?php
// PDO_PGSQL.

require __DIR__ . '/checks.php';

function connection(): PDO
{
    $dsn = 'pgsql:dbname=' . getenv('PGDATABASE'); // the rest comes from libpq's variables
    return new PDO($dsn, getenv('PGUSER'), getenv('PGPASSWORD'), [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION,
        PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_ASSOC]);
}

function rows(PDO $c, string $sql, array $values = []): array
{
    $s = $c->prepare($sql);
    $s->execute($values);
    return array_map(fn ($row) => array_map(fn ($v) => is_resource($v) ? bin2hex(stream_get_contents($v)) : $v, $row), $s->fetchAll());
}

function fails(callable $code): array
{
    try {
        $code();
    } catch (PDOException $e) {
        return $e->errorInfo;
    }
    throw new RuntimeException('no error');
}

run_checks([
    'types' => function ($c) {
        $row = rows($c, file_get_contents(__DIR__ . '/../types.sql'))[0];
        must(count($row) === 30 && $row['null_int'] === null);
        return $row;
    },
    'parameters_of_all_kinds' => function ($c) {
        $s = $c->prepare('SELECT ?::int8 a, ?::float8 b, ?::text c, ?::text d, ?::bool e, ?::bytea f');
        foreach ([1, -2.5, "té'xt", null, true] as $i => $v) {
            $s->bindValue($i + 1, $v, is_bool($v) ? PDO::PARAM_BOOL : (is_int($v) ? PDO::PARAM_INT : PDO::PARAM_STR));
        }
        $s->bindValue(6, "\0\xff", PDO::PARAM_LOB);
        $s->execute();
        $row = $s->fetch();
        $row['f'] = bin2hex(stream_get_contents($row['f']));
        return $row;
    },
    'emulated_preparing' => function ($c) {
        $c->setAttribute(PDO::ATTR_EMULATE_PREPARES, true);
        return rows($c, "SELECT :a::int AS a, :b AS b; ", ['a' => 1, 'b' => "it's"]);
    },
    'errors' => function ($c) {
        $c->exec("CREATE TEMP TABLE e (id int PRIMARY KEY, v text NOT NULL CHECK (v <> 'no'))");
        return array_map(fn ($sql) => fails(fn () => rows($c, $sql)), ['SELEC 1', 'SELECT nosuch',
            'INSERT INTO e VALUES (2, NULL)', "INSERT INTO e VALUES (3, 'no')", 'SELECT 1/0', "SELECT 'x'::int"]);
    },
    'prepared_many_times' => function ($c) {
        $s = $c->prepare('SELECT ?::int + 1');
        $seen = [];
        for ($i = 0; $i < 20; $i++) {
            $s->execute([$i]);
            $seen[] = $s->fetchColumn();
        }
        $seen[] = rows($c, "SELECT count(*) > 0 AS there FROM pg_prepared_statements WHERE name LIKE 'pdo%'");
        return $seen;
    },
    'transactions' => function ($c) {
        $c->exec('CREATE TEMP TABLE t (id int PRIMARY KEY)');
        $c->beginTransaction();
        $c->exec('INSERT INTO t VALUES (1)');
        $c->exec('SAVEPOINT a');
        $failed = fails(fn () => $c->exec('INSERT INTO t VALUES (1)'));
        $c->exec('ROLLBACK TO a');
        $c->commit();
        $c->beginTransaction();
        $c->exec('INSERT INTO t VALUES (2)');
        $c->rollBack();
        return [$failed, rows($c, 'SELECT count(*) FROM t')];
    },
    'copy_in_and_out' => function ($c) {
        $c->exec('CREATE TEMP TABLE c (id int, v text)');
        $lines = array_map(fn ($i) => "$i\tv$i\n", range(0, 4999));
        must($c->pgsqlCopyFromArray('c', $lines));
        must($c->pgsqlCopyToArray('c') === $lines, 'other rows');
        return rows($c, 'SELECT count(*), sum(id) FROM c');
    },
    'cursor' => function ($c) {
        $c->beginTransaction();
        $s = $c->prepare('SELECT i FROM generate_series(1, 1000) i', [PDO::ATTR_CURSOR => PDO::CURSOR_SCROLL]);
        $s->execute();
        $seen = [$s->fetch(), $s->fetch(PDO::FETCH_ASSOC, PDO::FETCH_ORI_ABS, 500), $s->fetch(PDO::FETCH_ASSOC, PDO::FETCH_ORI_LAST)];
        unset($s);
        $c->commit();
        return $seen;
    },
    'large_objects' => function ($c) {
        $c->beginTransaction();
        $oid = $c->pgsqlLOBCreate();
        $stream = $c->pgsqlLOBOpen($oid, 'w');
        fwrite($stream, str_repeat('L', 50000));
        unset($stream);
        $size = strlen(stream_get_contents($c->pgsqlLOBOpen($oid, 'r')));
        $c->pgsqlLOBUnlink($oid);
        $c->commit();
        return $size;
    },
    'notifications' => function ($c) {
        $c->exec('LISTEN driver_news');
        connection()->exec("NOTIFY driver_news, 'payload'");
        $note = $c->pgsqlGetNotify(PDO::FETCH_ASSOC, 10000);
        must($note !== false, 'no notification');
        return [$note['message'], $note['payload']];
    },
    'migrating_table' => function ($c) {
        $seen = [];
        for ($i = 1; $i <= 40; $i++) {
            $seen[] = rows($c, 'SELECT label, amount FROM kept WHERE id = ?', [$i]);
        }
        return $seen;
    },
], 'connection');
