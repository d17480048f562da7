'use strict';
// node-postgres: pg, pg-copy-streams, pg-query-stream, pg-cursor.

const { pipeline } = require('stream/promises');
const { Readable } = require('stream');
const pg = require('../../node_modules/pg');
const copy = require('../../node_modules/pg-copy-streams');
const QueryStream = require('../../node_modules/pg-query-stream');
const Cursor = require('../../node_modules/pg-cursor');
const { TYPES_SQL, KEPT, must, error, fields, sleep, run, tls } = require('./checks');

const options = { ssl: tls(), connectionTimeoutMillis: 20000 };
const open = async (more = {}) => {
  const client = new pg.Client({ ...options, ...more });
  await client.connect();
  return client;
};
const rows = async (c, text, values) => (await c.query(text, values)).rows;

const checks = {
  async types(c) {
    const [row] = await rows(c, TYPES_SQL);
    must(Object.keys(row).length === 30 && row.null_int === null && row.int8 === '9223372036854775807');
    return row;
  },

  async types_by_binary(c) {
    const result = await c.query({ text: 'SELECT $1::int4 a, 2.5::float8 b, true c, NULL::int4 d, 7::int2 e', values: [1], binary: true });
    must(result.rows[0].a === 1, 'not binary');
    return result.rows;
  },

  async parameters_of_all_kinds(c) {
    const values = [1, -2.5, "té'xt", null, true, Buffer.from([0, 255]), [1, null], { k: [1] }, new Date(0)];
    return rows(c, `SELECT $1::int8 a, $2::float8 b, $3::text c, $4::text d, $5::bool e, $6::bytea f, $7::int4[] g,
                           $8::jsonb h, $9::timestamptz i`, values);
  },

  async errors_with_their_fields(c) {
    await c.query("CREATE TEMP TABLE e (id int PRIMARY KEY, v text NOT NULL CHECK (v <> 'no'))");
    const seen = [];
    for (const [sql, values] of [['SELEC 1'], ['SELECT $1::int, nosuch', [1]], ['INSERT INTO e VALUES (2, $1)', [null]],
      ['INSERT INTO e VALUES (3, $1)', ['no']], ['SELECT 1/$1::int', [0]]]) {
      seen.push(fields(await error(c.query(sql, values))));
    }
    must(seen.map((s) => s[0]).join() === '42601,42703,23502,23514,22012');
    return seen;
  },

  async cancel_of_a_running_statement(c) {
    const query = new pg.Query('SELECT pg_sleep(20)');
    const ended = new Promise((done) => { query.on('error', done); query.on('end', done); });
    c.query(query);
    await sleep(200);
    const other = new pg.Client(options); // the driver's own way: a connection that asks for the cancel
    const sent = new Promise((done) => { other.connection.once('end', done); }); // the server signals twice
    other.cancel(c, query);
    const e = await ended;
    await sent;
    must(e && e.code === '57014', String(e));
    return [e.code, await rows(c, "SELECT 'goes on' AS v")];
  },

  async statement_timeout() {
    const c = await open({ statement_timeout: 50 });
    const e = await error(c.query('SELECT pg_sleep(20)'));
    await c.end();
    return fields(e);
  },

  async notices(c) {
    const seen = [];
    c.on('notice', (n) => seen.push([n.severity, n.code, n.message, n.hint]));
    await c.query("DO $$ BEGIN RAISE NOTICE 'n %', 1 USING HINT = 'h'; RAISE WARNING 'w'; END $$");
    must(seen.length === 2);
    return seen;
  },

  async notifications(c) {
    const other = await open();
    await c.query('LISTEN driver_news');
    const came = new Promise((done) => { c.on('notification', done); });
    await other.query("SELECT pg_notify('driver_news', $1)", ['payload']);
    const note = await came;
    await other.end();
    return [note.channel, note.payload];
  },

  async copy_in_and_out(c) {
    await c.query('CREATE TEMP TABLE c (id int, v text)');
    const lines = Array.from({ length: 20000 }, (_, i) => `${i}\tv${i}\n`);
    await pipeline(Readable.from(lines), c.query(copy.from('COPY c FROM STDIN')));
    let bytes = 0;
    const out = c.query(copy.to('COPY c TO STDOUT (FORMAT csv)'));
    for await (const part of out) bytes += part.length;
    return [bytes, out.rowCount, await rows(c, 'SELECT count(*), sum(id) FROM c')];
  },

  async copy_of_bad_data(c) {
    await c.query('CREATE TEMP TABLE c (id int)');
    const e = await error(pipeline(Readable.from(Array(5000).fill('x\n')), c.query(copy.from('COPY c FROM STDIN'))));
    return [e.code, e.where, await rows(c, 'SELECT count(*) FROM c')];
  },

  async named_statements(c) {
    const seen = [];
    for (let i = 0; i < 10; i++) seen.push(await rows(c, { name: 'plus', text: 'SELECT $1::int + 1 AS v', values: [i] }));
    seen.push(await rows(c, 'SELECT name, statement FROM pg_prepared_statements'));
    const e = await error(c.query({ name: 'plus', text: 'SELECT 2', values: [] })); // the driver's own refusal
    await c.query('DEALLOCATE plus');
    seen.push(e.message, fields(await error(c.query({ name: 'plus', text: 'SELECT $1::int + 1 AS v', values: [1] }))));
    return seen;
  },

  async queries_queued_at_once(c) {
    const all = await Promise.allSettled([...Array(50).keys()].map((i) => rows(c, 'SELECT 10 / ($1::int - 25) AS v', [i])));
    must(all.filter((p) => p.status === 'rejected').length === 1 && all[25].reason.code === '22012');
    return all.map((p) => (p.status === 'fulfilled' ? p.value[0].v : p.reason.message));
  },

  async several_statements_in_one(c) {
    const results = await c.query('SELECT 1 AS a; SELECT 2 AS b, 3 AS c; CREATE TEMP TABLE m (i int)');
    return results.map((r) => [r.command, r.rowCount, r.rows]);
  },

  async transactions_and_savepoints(c) {
    await c.query('CREATE TEMP TABLE t (id int PRIMARY KEY)');
    await c.query('BEGIN ISOLATION LEVEL SERIALIZABLE');
    await c.query('INSERT INTO t VALUES (1)');
    await c.query('SAVEPOINT s');
    const e = await error(c.query('INSERT INTO t VALUES (1)'));
    const again = await error(c.query('SELECT 1'));
    await c.query('ROLLBACK TO s');
    await c.query('INSERT INTO t VALUES (2)');
    await c.query('COMMIT');
    return [e.code, again.code, await rows(c, 'SELECT array_agg(id ORDER BY id) v FROM t')];
  },

  async cursors_and_streams(c) {
    let sum = 0;
    const stream = c.query(new QueryStream('SELECT i FROM generate_series(1, $1) i', [10000], { batchSize: 333 }));
    for await (const row of stream) sum += row.i;
    const cursor = c.query(new Cursor('SELECT generate_series(1, 100) AS v'));
    const some = [await cursor.read(3), await cursor.read(2)];
    await cursor.close();
    return [sum, some, await rows(c, 'SELECT 1 AS after')];
  },

  async large_objects(c) {
    await c.query('BEGIN');
    await c.query('SELECT lo_create(616161)');
    const [{ fd }] = await rows(c, 'SELECT lo_open(616161, 131072 | 262144) AS fd');
    await c.query('SELECT lowrite($1, $2)', [fd, Buffer.alloc(100000, 'L')]);
    await c.query('SELECT lo_lseek($1, 99990, 0)', [fd]);
    const [{ data }] = await rows(c, 'SELECT loread($1, 100) AS data', [fd]);
    await c.query('SELECT lo_unlink(616161)');
    await c.query('COMMIT');
    must(data.length === 10);
    return data.toString();
  },

  async big_values_and_many_parameters(c) {
    const value = 'z'.repeat(3000000);
    const [{ v }] = await rows(c, "SELECT $1::text || 'e' AS v", [value]);
    must(v === `${value}e`);
    const numbers = [...Array(30000).keys()];
    const marks = numbers.map((i) => `$${i + 1}::int`).join();
    return [v.length, await rows(c, `SELECT cardinality(ARRAY[${marks}]) AS n`, numbers)];
  },

  async a_pool(_) {
    const pool = new pg.Pool({ ...options, max: 8 });
    const all = await Promise.all([...Array(40).keys()].map((i) => pool.query('SELECT $1::int AS v, pg_sleep(0.005)', [i])));
    await pool.end();
    return all.map((r) => r.rows[0].v);
  },

  async start_up_options(_) {
    const c = await open({ application_name: 'drivers', options: '-c work_mem=7MB' });
    await c.query("SET work_mem = '9MB'");
    await c.query('RESET work_mem');
    const seen = await rows(c, "SELECT current_setting('work_mem') w, current_setting('application_name') a");
    await c.end();
    return seen;
  },

  async migrating_table(c) {
    const seen = [];
    for (let i = 1; i <= 40; i++) seen.push(await rows(c, { name: i % 2 ? 'kept' : undefined, text: KEPT[0], values: [i] }));
    await c.query('BEGIN');
    seen.push(await rows(c, KEPT[1], [3]));
    await c.query('ROLLBACK');
    return seen;
  },
};

run(checks, open, (c) => c.end());
