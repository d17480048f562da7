"""Alembic and drizzle as applications use them: folders of migrations, and their own tools run on them."""

import hashlib
import json
import os
import pty
import select
import subprocess
import sys
import time

from .segue import REPO
from .wait import SLOW

ENV = """
from alembic import context
from sqlalchemy import create_engine

with create_engine(context.config.get_main_option("sqlalchemy.url")).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""

REVISION = '''"""{revision}

Revises: whatever this says
"""
from alembic import op

# revision identifiers, used by Alembic
revision = {revision!r}
down_revision = {down!r}
branch_labels = None


def upgrade():
    {body}


def downgrade():
    pass
'''

MIGRATE = """
const { drizzle } = require('drizzle-orm/node-postgres');
const { migrate } = require('drizzle-orm/node-postgres/migrator');
const { Client } = require('pg');
(async () => {
  const client = new Client({ connectionString: process.argv[1] });
  await client.connect();
  await migrate(drizzle(client), { migrationsFolder: process.argv[2] });
  await client.end();
})().catch((error) => { console.error(error); process.exit(1); });
"""


class Alembic:
    """A script folder; `run("upgrade", "head")` is the command line's own."""

    def __init__(self, folder, url):
        self.folder, self.versions = folder, folder / "versions"
        self.versions.mkdir(parents=True)
        (folder / "env.py").write_text(ENV)
        self.ini = folder / "alembic.ini"
        self.ini.write_text(f"[alembic]\nscript_location = {folder}\n"
                            f"sqlalchemy.url = {url.replace('postgresql://', 'postgresql+psycopg2://')}\n")

    def revision(self, name, down=None, body="pass"):
        path = self.versions / f"{name}.py"
        path.write_text(REVISION.format(revision=name, down=down, body=body))
        return path

    def run(self, *args):
        done = subprocess.run([sys.executable, "-m", "alembic.config", "-c", self.ini, *args], capture_output=True,
                              text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout


class Drizzle:
    """A folder as drizzle-kit writes it; migrate() is drizzle-orm's own migrator."""

    def __init__(self, folder):
        self.folder, self.entries = folder, []
        (folder / "meta").mkdir(parents=True)
        self.write()

    def write(self):
        (self.folder / "meta" / "_journal.json").write_text(json.dumps(
            {"version": "7", "dialect": "postgresql", "entries": self.entries}, indent=2))

    def add(self, tag, when, sql, prev=None):
        number = len(self.entries)
        (self.folder / f"{tag}.sql").write_text(sql)
        (self.folder / "meta" / f"{tag}_snapshot.json").write_text(json.dumps(
            {"id": tag, "prevId": prev or "00000000-0000-0000-0000-000000000000"}))
        self.entries.append({"idx": number, "version": "7", "when": when, "tag": tag, "breakpoints": True})
        self.write()

    def migrate(self, url):
        done = subprocess.run(["node", "-e", MIGRATE, url, str(self.folder)], capture_output=True, text=True, timeout=60,
                              cwd=REPO / "tests")
        assert done.returncode == 0, done.stderr


KIT_CONFIG = """module.exports = {{ dialect: 'postgresql', schema: './schema.js', out: './drizzle', dbCredentials: {{ url: '{url}' }} }};
"""
KIT_SCHEMA = """const {{ pgTable, bigint, text }} = require('drizzle-orm/pg-core');
exports.items = pgTable('items', {{ id: bigint('id', {{ mode: 'number' }}).primaryKey(), {columns} }});
"""
ARROW_DOWN = b"\x1b[B"


class DrizzleKit:
    """A project as drizzle-kit has it: schema.js says what there should be, generate() writes the folder."""

    def __init__(self, folder, url):
        self.project, self.folder = folder, folder / "drizzle"
        folder.mkdir()
        (folder / "node_modules").symlink_to(REPO / "tests" / "node_modules")
        (folder / "drizzle.config.js").write_text(KIT_CONFIG.format(url=url))

    def command(self, *args):
        return ["node", str(self.project / "node_modules" / "drizzle-kit" / "bin.cjs"), *args]

    def run(self, *args, check=0):
        done = subprocess.run(self.command(*args), cwd=self.project, capture_output=True, text=True, timeout=60 * SLOW,
                              stdin=subprocess.DEVNULL)
        assert done.returncode == check, (done.stdout, done.stderr)
        return done.stdout + done.stderr

    def generate(self, name, columns, renames=False):
        """The entry of the journal, with its hash. A column that goes while another comes: kit asks which it is."""
        (self.project / "schema.js").write_text(KIT_SCHEMA.format(columns=columns))
        if renames:
            self._answer(ARROW_DOWN + b"\r", "generate", "--name", name)
        else:
            self.run("generate", "--name", name)
        entry = json.loads((self.folder / "meta" / "_journal.json").read_text())["entries"][-1]
        assert entry["tag"].endswith(name)
        sql = (self.folder / f"{entry['tag']}.sql").read_bytes()
        return {**entry, "sql": sql.decode(), "hash": hashlib.sha256(sql).hexdigest()}

    def _answer(self, keys, *args):
        ours, theirs = pty.openpty()
        child = subprocess.Popen(self.command(*args), cwd=self.project, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        seen, until = b"", time.monotonic() + 60 * SLOW
        while child.poll() is None and time.monotonic() < until:
            if not select.select([ours], [], [], 0.2)[0]:
                continue
            try:
                seen += os.read(ours, 4096)
            except OSError:  # it has ended
                break
            if keys and b"rename" in seen:
                os.write(ours, keys)
                keys = b""
        os.close(ours)
        assert child.wait(10 * SLOW) == 0 and not keys, seen.decode()
