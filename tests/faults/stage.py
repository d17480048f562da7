"""Where a matrix of faults is played: PostgreSQL on a small tmpfs that can be filled, and a socket that is told
when segue has come to a point."""

import atexit
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

import psycopg
from lib.cluster import SETTINGS, TEMPLATE, Cluster, Clusters, Database, unprivileged
from lib.wait import until

SMALL_MB = 200
# segments of 1 MB: a full disk meets the WAL, too, and that is a PANIC
SMALL_SETTINGS = {**SETTINGS, "min_wal_size": "'2MB'", "max_wal_size": "'32MB'", "shared_buffers": "'16MB'",
                  "max_connections": "60", "log_min_messages": "fatal"}


class SmallCluster(Cluster):
    """A cluster whose folder is a tmpfs of its own. Needs root, to mount it; always unmounted again."""

    def __init__(self, version, folder, bin_dir):
        super().__init__(version, folder, bin_dir)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_MB}m,mode=700", "segue-faults", self.folder], check=True)
        atexit.register(self.unmount)
        shutil.chown(self.folder, unprivileged())
        self.ballast = self.folder / "ballast"

    def init(self):
        self.initdb(SMALL_SETTINGS, "--wal-segsize=1")

    def fill(self):
        """No byte is left."""
        with contextlib.suppress(OSError), open(self.ballast, "wb", buffering=0) as file:
            room = os.statvfs(self.folder)
            os.posix_fallocate(file.fileno(), 0, max(1, room.f_bavail * room.f_bsize))
            while True:
                file.write(b"\0" * 4096)

    def empty(self):
        self.ballast.unlink(missing_ok=True)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill9(self):
        """The postmaster and all its children, without a word."""
        children = []
        os.kill(self.process.pid, signal.SIGSTOP)  # a child that it made after the look would be left
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError, IndexError):
                if int(stat.read_text().rpartition(")")[2].split()[1]) == self.process.pid:
                    children.append(int(stat.parent.name))
        for pid in [self.process.pid, *children]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(10)
        until("the backends to be gone", lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))

    def unmount(self):
        atexit.unregister(self.unmount)
        self.crash()
        if os.path.ismount(self.folder):
            done = subprocess.run(["umount", self.folder], check=False, capture_output=True)
            if done.returncode != 0:
                subprocess.run(["umount", "-l", self.folder], check=True)


class Stage:
    def __init__(self, version):
        self.clusters = Clusters()
        self.cluster = None
        self.numbers = 0
        folder = self.clusters._folder("small")
        self.cluster = SmallCluster(version, folder, self.clusters.installs.bin(version))
        try:
            self.cluster.init()
            self.cluster.start()
            self.cluster.prepare()
        except BaseException:
            self.close()
            raise

    def database(self):
        self.numbers += 1
        name = f"f{self.numbers}"
        with self.cluster.connect() as conn:
            conn.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        return Database(self.cluster, name)

    def up(self):
        """Waits until the server serves, with room; starts it where it has ended."""
        def serves():
            if not self.cluster.running():
                self.cluster.start()
            with contextlib.suppress(psycopg.OperationalError), self.cluster.connect(connect_timeout=2):
                return True
            return False

        self.cluster.empty()
        until("the server to serve", serves, 60)

    def drop(self, database):
        database.close()
        self.up()
        with self.cluster.connect() as conn:
            conn.execute(f"DROP DATABASE IF EXISTS {database.name} WITH (FORCE)")

    def close(self):
        self.cluster.unmount()
        self.clusters.close()


class Told:
    """Hears of points. `on` is called with the point, on a thread; segue goes on when it returns."""

    def __init__(self, on):
        self.on = on
        self.folder = tempfile.mkdtemp(prefix="segue-told-")
        self.path = f"{self.folder}/s"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(8)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                told, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._hear, args=(told,), daemon=True).start()

    def _hear(self, told):
        with told, contextlib.suppress(OSError):
            self.on(told.recv(200).decode().strip())
            told.send(b"g")

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        shutil.rmtree(self.folder, ignore_errors=True)
