'use strict';
// postgres.js: prepares what it sends, pipelines, and prepares again by itself where a plan's result has changed.

const postgres = require('../../node_modules/postgres');
const { play } = require('./bed');

const run = async (sql, text, values) => {
  const rows = await sql.unsafe(text, values, { prepare: true }).values();
  return { names: rows.columns.map((column) => column.name), rows: [...rows] };
};

play('postgres.js', {
  remembers: true,
  async open(options) {
    // one connection, for the whole run
    return postgres({ max: 1, max_lifetime: null, fetch_types: false, connect_timeout: 60, onnotice: () => {},
      host: process.env.PGHOST, port: Number(process.env.PGPORT), user: process.env.PGUSER,
      database: process.env.PGDATABASE, connection: options ? { options } : {} });
  },
  run,
  transaction: (sql, act) => sql.begin((inside) => act((text, values) => run(inside, text, values))),
  close: (sql) => sql.end({ timeout: 5 }),
});
