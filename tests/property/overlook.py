"""Views that plan wants dropped, and made again: by the statements that it gives."""

BEFORE, LATER = "-- before the migration\n", "-- from the cut-over on\n"


class Overlook:
    """run: executes a text where the views are, as their owner."""

    def __init__(self, run):
        self.run = run
        self.scripts = []  # (drops, makes)
        self.there = True

    def heed(self, rows):
        """Drops what the plan says, if nothing but views is in the way: rows of PLAN. True: it is worth another look."""
        refused = [row for row in rows if row[1] == "REFUSED"]
        scripts = [row[6] for row in refused if row[6]]
        if not scripts or any(not row[6] and "would block its drop" not in row[2] for row in refused):
            return False
        for script in scripts:
            assert script.startswith(BEFORE) and LATER in script, script
            drops, makes = script[len(BEFORE):].split(LATER)
            self.scripts.append((drops, makes))
            self.run(drops)
        self.there = False
        return True

    def anew(self):
        """They are there again, and plan is to be asked once more."""
        self.put(True)
        self.scripts = []

    def plain(self):
        """(statements before, statements after) of the same by hand."""
        return [d for d, _ in self.scripts], [m for _, m in reversed(self.scripts)]

    def put(self, there):
        """Makes them again, or drops them once more."""
        if there == self.there:
            return
        drops, makes = self.plain()
        for text in makes if there else drops:
            self.run(text)
        self.there = there
