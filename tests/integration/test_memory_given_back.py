"""What a crowd of sessions has used goes back to the system when it has left, whoever stays."""

from pathlib import Path

import pytest
from lib.wait import SLOW, until

pytestmark = pytest.mark.one_version

CROWD = 150


def resident_kb(proxy):
    for line in Path(f"/proc/{proxy.process.pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def test_memory_between_sessions_that_stay_is_given_back(db, segue):
    if SLOW > 1:
        pytest.skip("a sanitizer's allocator keeps what is freed")
    proxy = segue(db, log_level="debug")
    before = resident_kb(proxy)
    crowd = [proxy.connect() for _ in range(CROWD)]
    for n, conn in enumerate(crowd):  # texts that segue remembers
        for i in range(8):
            conn.execute(f"SELECT {n}, {i} /* {'x' * 10000} */", prepare=True)
    most = resident_kb(proxy)
    assert most - before > CROWD * 8 * 10000 / 1024 * 0.8
    for n, conn in enumerate(crowd):
        if n % 10:
            conn.close()
    until("most of it to come back", lambda: resident_kb(proxy) < before + (most - before) * 0.3, 30)
    proxy.logged("memory given back")
    for n, conn in enumerate(crowd):
        if not n % 10:
            assert conn.execute("SELECT 1").fetchone() == (1,)
            conn.close()
