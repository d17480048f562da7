"""What the model in tests/model/ has asked about: what went back stays there, and nothing is lost."""

import pytest
from lib.tables import RENAME, make_items
from lib.wait import until

pytestmark = pytest.mark.one_version
NAME = RENAME["name"]


def cutovers(db):
    return db.one("SELECT count(*) FROM segue.attempts WHERE kind = 'cutover'")


def stays_ready(proxy):
    """A verify is a turn of the phase ready, and the next one would be the cut-over's."""
    for _ in range(2):
        proxy.cli("verify", NAME)
    return proxy.phase(NAME) == "ready"


def test_a_rollback_of_what_migrate_cut_over_does_not_cut_over_again(db, segue):
    make_items(db, 50)
    proxy = segue(db)
    proxy.cli("migrate", proxy.file(RENAME))
    assert proxy.phase(NAME) == "soaking"
    proxy.console(f'ROLLBACK "{NAME}"')
    until("the way back", lambda: db.one("SELECT count(*) FROM segue.attempts WHERE kind = 'revert'"))
    assert stays_ready(proxy) and cutovers(db) == 1
