'use strict';
// node-postgres: every statement under a name, prepared once a connection; queries wait in a queue of the client.

const crypto = require('crypto');
const pg = require('../../node_modules/pg');
const { play } = require('./bed');

const run = async (client, text, values) => {
  const name = crypto.createHash('md5').update(text).digest('hex');
  const result = await client.query({ name, text, values, rowMode: 'array' });
  return { names: result.fields.map((field) => field.name), rows: result.rows };
};

play('node-postgres', {
  remembers: true,
  async open(options) {
    const client = new pg.Client({ options, connectionTimeoutMillis: 60000 });
    client.on('error', () => {}); // the query that fails says it
    await client.connect();
    return client;
  },
  run,
  async transaction(client, act) {
    await client.query('BEGIN');
    try {
      await act((text, values) => run(client, text, values));
      await client.query('COMMIT');
    } catch (e) {
      await client.query('ROLLBACK');
      throw e;
    }
  },
  close: (client) => client.end(),
});
