'use strict';
// What both JavaScript programs of `make races` share; ../python/bed.py is the same in Python, and says why.

const readline = require('readline');

const SIDES = { a: ['label', 'cents'], b: ['title', 'price'] };
const FRONT = ['id', 'note', 'stamp'];
const ROLES = ['follow', 'follow', 'old', 'new'];
const PAUSE_MS = 4;
const SHOWN_MAX = 20;

const pause = (ms) => new Promise((done) => setTimeout(done, ms));
// int comes as a number, numeric as its text
const amount = (side, n) => (side === 'a' ? n : (n / 100).toFixed(2));

// A generator with a seed: mulberry32.
const dice = (seed) => {
  let state = [...seed].reduce((h, c) => Math.imul(h ^ c.charCodeAt(0), 16777619), 2166136261);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
};

const must = (condition, what) => {
  if (!condition) throw Object.assign(new Error(what()), { wrong: true });
};

const read = (line) => {
  const [gen, ...words] = line.split(' ');
  const { speak, hold, ...sees } = Object.fromEntries(words.map((word) => word.split('=')));
  return { gen: Number(gen), speak: speak.split(','), hold: hold.split(','), sees };
};

class Bed {
  constructor(name, count) {
    this.name = name;
    this.counts = { statements: 0, error: 0, wrong: 0, changed: 0 };
    this.at = new Array(count).fill(0);
    this.told = 0;
    this.over = false;
    this.ends = 0;
    this.lines = readline.createInterface({ input: process.stdin });
    this.first = new Promise((done) => {
      this.lines.on('line', (line) => {
        if (line === 'stop') this.over = true;
        else this.enters(read(line));
        done();
      });
      this.lines.on('close', () => {
        this.over = true;
        done();
      });
    });
  }

  enters(stage) {
    if (this.stage && stage.speak.length < this.stage.speak.length) this.ends += 1;
    this.stage = stage;
  }

  say(line) {
    process.stdout.write(`${line}\n`);
  }

  tell(what, text) {
    this.counts[what] += 1;
    if (this.counts[what] <= SHOWN_MAX) this.say(`${what} ${text.replace(/\s+/g, ' ')}`);
  }

  enter(no) {
    if (this.over) return null;
    this.at[no] = this.stage.gen;
    const gen = Math.min(...this.at);
    if (gen > this.told) {
      this.told = gen;
      this.say(`at ${gen}`);
    }
    return this.stage;
  }
}

// A driver: { remembers, open(options), run(conn, sql, args) -> { names, rows }, many(conn, sql, rows), close(conn),
// transaction(conn, act(run)) }
class Worker {
  constructor(bed, no, driver) {
    Object.assign(this, { bed, no, driver, role: ROLES[no % ROLES.length], last: 0, items: new Map(), plain: new Map() });
    this.base = (Number(process.env.RACES_PROGRAM) + 1) * 10000000 + no * 1000000;
    this.random = dice(`${process.env.RACES_SEED} ${bed.name} ${no}`);
    this.acts = ['star', 'star', 'freshStar', 'stars', 'named', 'insert', 'insert', 'update', 'update', 'upsert', 'remove',
      'several', 'batch', 'putPlain', 'starPlain'];
  }

  async live() {
    for (;;) {
      this.stage = this.bed.enter(this.no);
      if (!this.stage) break;
      if (!this.stage.hold.includes(this.role)) await this.once();
      await pause(this.random() * 2 * PAUSE_MS);
    }
    if (this.conn) await this.driver.close(this.conn);
  }

  async once() {
    const act = this.acts[Math.floor(this.random() * this.acts.length)];
    const { gen } = this.stage;
    try {
      if (!this.conn) {
        this.openedAt = this.bed.ends;
        this.conn = await this.driver.open(this.role === 'follow' ? '' : `-c segue.schema=${this.role}`);
      }
      await this[act]();
    } catch (e) {
      if (e.code === '0A000' && act !== 'several' && this.openedAt < this.bed.ends) this.bed.counts.changed += 1;
      else this.bed.tell(e.wrong ? 'wrong' : 'error', `${this.role} ${act} gen ${gen}: ${e.code} ${e.message} ${e.hint}`);
      if (this.conn && !e.wrong) {
        await this.driver.close(this.conn).catch(() => {});
        this.conn = null;
      }
    }
  }

  run(sql, ...args) {
    this.bed.counts.statements += 1;
    return (this.inside || ((text, values) => this.driver.run(this.conn, text, values)))(sql, args);
  }

  newId() {
    this.last += 1;
    return this.base + this.last;
  }

  below(n) {
    return Math.floor(this.random() * n);
  }

  value() {
    return 1 + this.below(999999);
  }

  side() {
    return this.stage.speak[this.below(this.stage.speak.length)];
  }

  row() {
    return [...this.items.keys()][this.below(this.items.size)];
  }

  arguments(side, id, n) {
    return [id, `note ${id}`, `v${n}`, amount(side, n)];
  }

  check({ names, rows }, wanted, tail = 2, fresh = false) {
    const front = tail === 2 ? FRONT : FRONT.slice(0, 2);
    const side = Object.keys(SIDES).find((one) => names.join() === [...front, ...SIDES[one].slice(0, tail)].join());
    must(side, () => `columns ${names}`);
    const sees = this.stage.sees[this.role];
    if (sees !== '-' && (fresh || !this.driver.remembers)) {
      must(side === sees, () => `columns ${names} in a session that sees side ${sees}`);
    }
    const got = new Map(rows.map((row) => [Number(row[0]), row]));
    must(got.size === rows.length && got.size === wanted.size && [...wanted.keys()].every((id) => got.has(id)),
      () => `rows ${[...got.keys()]}, not ${[...wanted.keys()]}`);
    for (const [id, n] of wanted) {
      const row = [...got.get(id)];
      must(row.length === names.length, () => `row ${row}`);
      if (tail === 2) {
        const [stamp] = row.splice(2, 1);
        must(stamp instanceof Date && !Number.isNaN(stamp.getTime()), () => `stamp ${stamp}`);
      }
      const expected = this.arguments(side, String(id), n).slice(0, 2 + tail);
      must(row.every((value, i) => value === expected[i]), () => `row ${JSON.stringify(row)}, not ${JSON.stringify(expected)}`);
    }
  }

  async star() {
    const id = this.row();
    if (id) this.check(await this.run('SELECT * FROM items WHERE id = $1', id), new Map([[id, this.items.get(id)]]));
  }

  async freshStar() {
    const id = this.row();
    if (!id) return;
    const text = `SELECT i.* FROM items i WHERE id = $1 /* ${this.last} ${this.random()} */`;
    this.check(await this.run(text, id), new Map([[id, this.items.get(id)]]), 2, true);
  }

  async stars() {
    const low = this.base + this.below(this.last + 1);
    const wanted = new Map([...this.items].filter(([id]) => low <= id && id < low + 20));
    this.check(await this.run('SELECT * FROM items WHERE id >= $1 AND id < $2 ORDER BY id', low, low + 20), wanted);
  }

  async named() {
    const id = this.row();
    const side = this.side();
    if (!id) return;
    const [text, count] = SIDES[side];
    const { names, rows } = await this.run(`SELECT id, note, ${text}, ${count} FROM items WHERE id = $1`, id);
    const expected = this.arguments(side, String(id), this.items.get(id));
    must(names.join() === `id,note,${text},${count}` && JSON.stringify(rows) === JSON.stringify([expected]),
      () => `${names} ${JSON.stringify(rows)}, not ${JSON.stringify(expected)}`);
  }

  insertText(side) {
    const [text, count] = SIDES[side];
    return `INSERT INTO items (id, note, ${text}, ${count}) VALUES ($1, $2, $3, $4)`;
  }

  async insert() {
    const id = this.newId();
    const n = this.value();
    const side = this.side();
    const got = await this.run(`${this.insertText(side)} RETURNING *`, ...this.arguments(side, id, n));
    this.items.set(id, n);
    this.check(got, new Map([[id, n]]));
  }

  async update(star = true) {
    const id = this.row();
    const n = this.value();
    const side = this.side();
    if (!id) return;
    const [text, count] = SIDES[side];
    const got = await this.run(`UPDATE items SET ${text} = $1, ${count} = $2 WHERE id = $3 RETURNING ${star ? '*' : 'id'}`,
      `v${n}`, amount(side, n), id);
    this.items.set(id, n);
    if (star) this.check(got, new Map([[id, n]]));
    else must(got.rows.length === 1 && Number(got.rows[0][0]) === id, () => `rows ${got.rows}`);
  }

  async upsert() {
    const known = this.row();
    const id = known && this.random() < 0.5 ? known : this.newId();
    const n = this.value();
    const side = this.side();
    const [text, count] = SIDES[side];
    await this.run(`${this.insertText(side)} ON CONFLICT (id) DO UPDATE SET ${text} = EXCLUDED.${text}, ${count} = EXCLUDED.${count}`,
      ...this.arguments(side, id, n));
    this.items.set(id, n);
  }

  async remove() {
    const id = this.row();
    if (!id || this.items.size <= 10) return;
    const { rows } = await this.run('DELETE FROM items WHERE id = $1 RETURNING id', id);
    this.items.delete(id);
    must(rows.length === 1 && Number(rows[0][0]) === id, () => `rows ${rows}`);
  }

  async several() {
    const kept = new Map(this.items);
    try {
      await this.driver.transaction(this.conn, async (run) => {
        this.inside = run;
        await this.update(false);
        await this.named();
        await this.freshStar();
        await this.upsert();
        await this.freshStar();
      });
    } catch (e) {
      this.items = kept;
      throw e;
    } finally {
      this.inside = null;
    }
  }

  // All sent before the first answer.
  async batch() {
    const side = this.side();
    const rows = [1, 2, 3, 4, 5].map(() => [this.newId(), this.value()]);
    await Promise.all(rows.map(([id, n]) => this.run(this.insertText(side), ...this.arguments(side, id, n))));
    rows.forEach(([id, n]) => this.items.set(id, n));
  }

  async putPlain() {
    const id = this.newId();
    const n = this.value();
    const got = await this.run('INSERT INTO plain VALUES ($1, $2, $3) RETURNING *', id, `note ${id}`, `v${n}`);
    this.plain.set(id, n);
    this.check(got, new Map([[id, n]]), 1);
  }

  async starPlain() {
    const id = [...this.plain.keys()][this.below(this.plain.size)];
    if (id) this.check(await this.run('SELECT * FROM plain WHERE id = $1', id), new Map([[id, this.plain.get(id)]]), 1);
  }
}

exports.play = async (name, driver, count = 4) => {
  const bed = new Bed(name, count);
  const workers = [...Array(count).keys()].map((no) => new Worker(bed, no, driver));
  await bed.first;
  await Promise.all(workers.map((worker) => worker.live()));
  for (const worker of workers) {
    for (const table of ['items', 'plain']) {
      for (const [id, n] of worker[table]) bed.say(`row ${table} ${id} ${n}`);
    }
  }
  bed.say(`done ${Object.entries(bed.counts).map(([what, n]) => `${what}=${n}`).join(' ')}`);
  bed.lines.close();
};
