"""Clients that connect, ask and leave, over and over: whoever fails to connect is remembered."""

import threading

import psycopg

from .wait import until


class Churn:
    """Four threads until stop(); .errors are those of connecting, .done counts answered questions."""

    def __init__(self, proxy, database):
        self.proxy, self.database = proxy, database
        self.errors, self.done, self.over = [], 0, threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._run) for _ in range(4)]
        for one in self.threads:
            one.start()

    def _run(self):
        while not self.over.is_set():
            try:
                conn = self.proxy.connect(self.database, connect_timeout=30)
            except psycopg.Error as error:
                self.errors.append(str(error))
                continue
            try:
                conn.execute("SELECT 1")
                conn.close()
            except psycopg.Error:
                continue  # it was connected when the server stopped
            with self.lock:
                self.done += 1

    def more(self, count=20):
        """Waits for so many answers from now on."""
        wanted = self.done + count
        until("traffic", lambda: self.done > wanted)

    def stop(self):
        self.over.set()
        for one in self.threads:
            one.join()
