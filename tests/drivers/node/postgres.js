'use strict';
// postgres.js: pipelines by default, prepares by itself.

const { Readable } = require('stream');
const { pipeline } = require('stream/promises');
const postgres = require('../../node_modules/postgres');
const { TYPES_SQL, KEPT, must, error, fields, sleep, run, tls } = require('./checks');

const open = (more = {}) => postgres({ ssl: tls(), max: 1, connect_timeout: 20, onnotice: () => {}, user: process.env.PGUSER,
  pass: process.env.PGPASSWORD, ...more });

const checks = {
  async types(sql) {
    const [row] = await sql.unsafe(TYPES_SQL);
    must(Object.keys(row).length === 30 && row.null_int === null);
    return row;
  },

  async types_by_the_extended_protocol(sql) {
    const [row] = await sql.unsafe(TYPES_SQL, [], { prepare: true });
    const [simple] = await sql.unsafe(TYPES_SQL).simple();
    must(JSON.stringify(row) === JSON.stringify(simple));
    return Object.keys(row).length;
  },

  async parameters_of_all_kinds(sql) {
    return sql`SELECT ${1}::int a, ${-2.5}::float8 b, ${"té'xt"}::text c, ${null}::text d, ${true}::bool e,
      ${Buffer.from([0, 255])}::bytea f, ${[1, 2]}::int4[] g, ${sql.json({ k: [1] })}::jsonb h, ${new Date(0)}::timestamptz i`;
  },

  async errors_with_their_fields(sql) {
    await sql`CREATE TEMP TABLE e (id int PRIMARY KEY, v text NOT NULL CHECK (v <> 'no'))`;
    const seen = [];
    for (const query of [sql`SELEC 1`, sql`SELECT ${1}::int, nosuch`, sql`INSERT INTO e VALUES (2, ${null})`,
      sql`INSERT INTO e VALUES (3, ${'no'})`, sql`SELECT 1/${0}::int`]) {
      seen.push(fields(await error(query)));
    }
    must(seen.map((s) => s[0]).join() === '42601,42703,23502,23514,22012');
    return seen;
  },

  async cancel_of_a_running_statement(sql) {
    const query = sql`SELECT pg_sleep(20)`.execute();
    await sleep(300);
    query.cancel();
    const e = await error(query);
    return [e.code, await sql`SELECT 'goes on' AS v`];
  },

  async notices_and_notifications(_) {
    const seen = [];
    const sql = open({ max: 2, onnotice: (n) => seen.push([n.severity, n.code, n.message]) });
    await sql`DO $$ BEGIN RAISE NOTICE 'hear'; END $$`;
    const came = new Promise((done) => { sql.listen('driver_news', done).then(() => sql.notify('driver_news', 'payload')); });
    seen.push(await came);
    await sql.end();
    must(seen.length === 2);
    return seen;
  },

  async copy_in_and_out(sql) {
    await sql`CREATE TEMP TABLE c (id int, v text)`;
    const lines = Array.from({ length: 20000 }, (_, i) => `${i}\tv${i}\n`);
    await pipeline(Readable.from(lines), await sql`COPY c FROM STDIN`.writable());
    // not next to each other: the end of one COPY can take the stream of the other away, in the driver (3.4.9)
    const sum = await sql`SELECT count(*), sum(id) FROM c`;
    await sleep(50);
    let bytes = 0;
    for await (const part of await sql`COPY c TO STDOUT`.readable()) bytes += part.length;
    return [bytes, sum];
  },

  async prepared_by_itself_and_not(sql) {
    const seen = [];
    for (let i = 0; i < 10; i++) seen.push((await sql`SELECT ${i}::int + 1 AS v`)[0].v);
    seen.push(await sql`SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%+ 1 AS v'`);
    const plain = open({ prepare: false });
    seen.push(await plain`SELECT ${5}::int AS v`, await plain`SELECT count(*) FROM pg_prepared_statements`);
    await plain.end();
    return seen;
  },

  async queries_in_one_flight(sql) {
    const all = await Promise.allSettled([...Array(100).keys()].map((i) => sql`SELECT 10 / (${i}::int - 25) AS v`));
    must(all.filter((p) => p.status === 'rejected').length === 1);
    return all.map((p) => (p.status === 'fulfilled' ? p.value[0].v : p.reason.message));
  },

  async transactions_and_savepoints(sql) {
    await sql`CREATE TEMP TABLE t (id int PRIMARY KEY)`;
    await sql.begin(async (tx) => {
      await tx`INSERT INTO t VALUES (1)`;
      await tx.savepoint((s) => s`INSERT INTO t VALUES (1)`).catch(() => {});
      await tx`INSERT INTO t VALUES (2)`;
    });
    const e = await error(sql.begin(async (tx) => [await tx`INSERT INTO t VALUES (3)`, await tx`SELECT 1/0`]));
    return [e.code, await sql`SELECT array_agg(id ORDER BY id) v FROM t`];
  },

  async cursors(sql) {
    let sum = 0;
    for await (const rows of sql`SELECT i FROM generate_series(1, 5000) i`.cursor(77)) for (const row of rows) sum += row.i;
    let first = 0;
    await sql`SELECT i FROM generate_series(1, 5000) i`.cursor(10, (rows) => { first += rows.length; return sql.CLOSE; });
    return [sum, first, await sql`SELECT 1 AS after`];
  },

  async large_objects(sql) {
    return sql.begin(async (tx) => {
      await tx`SELECT lo_from_bytea(717171, ${Buffer.alloc(50000, 'L')})`;
      const [{ data }] = await tx`SELECT lo_get(717171, 49990, 100) AS data`;
      await tx`SELECT lo_unlink(717171)`;
      return data.toString();
    });
  },

  async big_values_and_many_parameters(sql) {
    const value = 'z'.repeat(2000000);
    const [{ v }] = await sql`SELECT ${value}::text || 'e' AS v`;
    must(v === `${value}e`);
    const numbers = [...Array(20000).keys()];
    const marks = numbers.map((i) => `$${i + 1}::int`).join();
    return [v.length, await sql.unsafe(`SELECT cardinality(ARRAY[${marks}]) AS n`, numbers)];
  },

  async migrating_table(sql) {
    const seen = [];
    for (let i = 1; i <= 40; i++) seen.push(await sql.unsafe(KEPT[0], [i], { prepare: i % 2 === 0 }));
    const e = await error(sql.begin(async (tx) => {
      seen.push(await tx.unsafe(KEPT[1], [3]));
      throw new Error('back');
    }));
    must(e.message === 'back');
    return seen;
  },
};

run(checks, () => open(), (sql) => sql.end());
