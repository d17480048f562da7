'use strict';
// Runs checks in order and prints one line for each. A check gets a connection of its own and gives what it saw.

const fs = require('fs');
const path = require('path');

exports.TYPES_SQL = fs.readFileSync(path.join(__dirname, '..', 'types.sql'), 'utf8');
exports.KEPT = ['SELECT label, amount FROM kept WHERE id = $1', 'UPDATE kept SET amount = amount + 1 WHERE id = $1 RETURNING amount'];

exports.must = (condition, what = 'condition') => {
  if (!condition) throw new Error(what);
};

exports.sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// Gives the error with which a promise is rejected.
exports.error = async (promise) => {
  try {
    await promise;
  } catch (e) {
    return e;
  }
  throw new Error('no error');
};

exports.fields = (e) => [e.code, e.message, e.detail, e.position, e.table || e.table_name, e.column || e.column_name,
  e.constraint || e.constraint_name, e.routine];

exports.run = async (checks, open, close) => {
  let bad = 0;
  for (const [name, check] of Object.entries(checks)) {
    const conn = await open();
    try {
      console.log(`ok ${name}: ${JSON.stringify(await check(conn), (k, v) => (typeof v === 'bigint' ? `${v}n` : v))}`);
    } catch (e) {
      console.log(`FAILED ${name}: ${String(e.stack).replace(/\n/g, ' / ')}`);
      bad = 1;
    }
    await close(conn);
  }
  process.exit(bad);
};

// TLS as libpq's variables ask for it; the drivers know them in part.
exports.tls = () => {
  const mode = process.env.PGSSLMODE;
  if (mode === 'disable') return false;
  return { ca: fs.readFileSync(process.env.PGSSLROOTCERT, 'utf8'), servername: 'localhost' };
};
