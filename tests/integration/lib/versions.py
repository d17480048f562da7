"""Alembic and drizzle as applications use them: folders of migrations, and their own tools run on them."""

import json
import subprocess
import sys

from .segue import REPO

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
