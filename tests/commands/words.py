"""Who says what: by a command of its own, or by a console; what came of it."""

import json
import os
import subprocess
import threading
import time
from dataclasses import dataclass

import psycopg
from lib.segue import PROGRAM
from lib.wait import SLOW

AT = "2031-01-01T00:00Z"
ANSWER_S = 60
REACHED, REFUSED, UNREACHABLE, STOPPED, KILLED = 0, 1, 3, 4, -9  # exit codes, README.md

# verb: words of the command, words on the console; {name}, {file}, {text} are put in
VERBS = {
    "start": (("start", "{file}"), "START {text}"),
    "migrate": (("migrate", "{file}"), "START {text} MIGRATE"),
    "cutover": (("cutover", "{name}"), "CUTOVER {name}"),
    "at": (("cutover", "{name}", "--at", AT), f"CUTOVER {{name}} AT '{AT}'"),
    "withdraw": (("cutover", "{name}", "--withdraw"), "CUTOVER {name} WITHDRAW"),
    "complete": (("complete", "{name}", "--force"), "COMPLETE {name} FORCE"),
    "rollback": (("rollback", "{name}"), "ROLLBACK {name}"),
    "abort": (("abort", "{name}"), "ABORT {name}"),
    "pause": (("pause", "{name}"), "PAUSE {name}"),
    "resume": (("resume", "{name}"), "RESUME {name}"),
    "verify": (("verify", "{name}"), "VERIFY {name}"),
}


@dataclass
class Answer:
    code: int  # as of a command; of the console: 0 or 1, UNREACHABLE when the connection was lost
    said: str


class Word:
    """One that is said at a moment of its own, on a thread; `answer` is there when it has come."""

    def __init__(self, proxy, verb, migration, delay_s, console, kill_after_s=None):
        self.proxy, self.verb, self.migration, self.delay_s, self.console = proxy, verb, migration, delay_s, console
        self.kill_after_s = None if console else kill_after_s
        self.answer = None
        self.process = None
        self.thread = threading.Thread(target=self._say, daemon=True)
        self.thread.start()

    def __str__(self):
        return f"{'console' if self.console else 'segue'} {self.verb} {self.migration['name']}: {self.answer}"

    def _filled(self, word):
        text = json.dumps(self.migration).replace("'", "''")
        return word.replace("{name}", self.migration["name"]).replace("{text}", f"'{text}'").replace(
            "{file}", str(self.proxy.folder / f"{self.migration['name']}.json"))

    def _say(self):
        time.sleep(self.delay_s)
        words, line = VERBS[self.verb]
        try:
            self.answer = self._on_console(self._filled(line)) if self.console else self._as_command(map(self._filled, words))
        except subprocess.TimeoutExpired:
            self.answer = Answer(-1, f"no end within {ANSWER_S} s")

    def _as_command(self, words):
        self.process = subprocess.Popen([str(PROGRAM), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        stdin=subprocess.DEVNULL, env={**os.environ, "SEGUE_SERVER": self.proxy.server})
        if self.kill_after_s is not None:
            time.sleep(self.kill_after_s)
            self.process.kill()
        out, err = self.process.communicate(timeout=ANSWER_S * SLOW)
        return Answer(self.process.returncode, err if self.process.returncode else out)

    def _on_console(self, line):
        try:
            with psycopg.connect(self.proxy.server, autocommit=True, connect_timeout=10, prepare_threshold=None) as conn:
                conn.execute(line.encode())
            return Answer(REACHED, "")
        except psycopg.Error as error:
            return Answer(REFUSED if error.sqlstate else UNREACHABLE, str(error))

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
