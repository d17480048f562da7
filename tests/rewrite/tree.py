"""Derivation trees of generated statements: rendered to text and parameters, and reduced step by step.

Leaves are strings and Value (a parameter of the extended protocol). Inner nodes say how they may shrink:
Seq not at all, Opt to nothing, Items by members, Alt to something simpler, Grid by columns and rows. Trees are
immutable; reductions() gives copies with one thing less, the largest cuts first.
"""

from dataclasses import dataclass

from .play import Param


@dataclass(frozen=True)
class Value:
    """Rendered as $n in the extended protocol, as its literal in the simple one."""
    literal: str
    param: Param


@dataclass(frozen=True)
class Seq:
    parts: tuple

    def reductions(self):
        for i, part in enumerate(self.parts):
            for less in reductions(part):
                yield Seq(self.parts[:i] + (less,) + self.parts[i + 1:])


@dataclass(frozen=True)
class Opt:
    node: object

    def reductions(self):
        yield ""
        for less in reductions(self.node):
            yield Opt(less)


@dataclass(frozen=True)
class Items:
    """A list with a separator; at least `least` members stay."""
    items: tuple
    separator: str = ","
    least: int = 1

    def reductions(self):
        yield from (Items(less, self.separator, self.least) for less in _fewer(self.items, self.least))
        for i, item in enumerate(self.items):
            for less in reductions(item):
                yield Items(self.items[:i] + (less,) + self.items[i + 1:], self.separator, self.least)


@dataclass(frozen=True)
class Alt:
    """`simpler`: what may stand in its place, the simplest first."""
    node: object
    simpler: tuple

    def reductions(self):
        yield from self.simpler
        for less in reductions(self.node):
            yield Alt(less, self.simpler)


@dataclass(frozen=True)
class Grid:
    """Columns and rows of values that belong together: `INSERT INTO t (head) VALUES rows` and the like.

    form is a function (head, rows) -> node, of tuples of nodes; head is () where there is none.
    """
    head: tuple
    rows: tuple
    form: object

    def reductions(self):
        yield from (Grid(self.head, less, self.form) for less in _fewer(self.rows, 1))
        width = len(self.rows[0])
        for keep in _fewer(tuple(range(width)), 1):
            yield Grid(tuple(self.head[i] for i in keep) if self.head else (),
                       tuple(tuple(row[i] for i in keep) for row in self.rows), self.form)
        for r, row in enumerate(self.rows):
            for c, cell in enumerate(row):
                for less in reductions(cell):
                    changed = row[:c] + (less,) + row[c + 1:]
                    yield Grid(self.head, self.rows[:r] + (changed,) + self.rows[r + 1:], self.form)


def _fewer(items, least):
    """Halves first, then single ones."""
    size = len(items) // 2
    while size >= 1:
        for begin in range(0, len(items), size):
            less = items[:begin] + items[begin + size:]
            if len(less) >= least:
                yield less
        size //= 2


def reductions(node):
    return iter(()) if isinstance(node, (str, Value)) else node.reductions()


def seq(*parts):
    return Seq(tuple(parts))


def opt(dice, chance, *parts):
    """The parts as something that may go, or nothing right away."""
    return Opt(Seq(tuple(parts))) if dice.random() < chance else ""


def items(*members, separator=",", least=1):
    return Items(tuple(members), separator, least)


# ---- rendering ----

GLUED_BEFORE = (".", ",", ")", "[", "::")
GLUED_BEHIND = (".", "(", "[", "::")


def _tokens(node, out):
    if isinstance(node, (str, Value)):
        if node != "":
            out.append(node)
    elif isinstance(node, Seq):
        for part in node.parts:
            _tokens(part, out)
    elif isinstance(node, Items):
        for i, item in enumerate(node.items):
            if i:
                out.append(node.separator)
            _tokens(item, out)
    elif isinstance(node, Grid):
        _tokens(node.form(node.head, node.rows), out)
    else:
        _tokens(node.node, out)


def render(node, extended, gap=None):
    """(text, parameters). gap: a function that gives what stands between two tokens, in place of a blank."""
    tokens, text, params = [], [], []
    _tokens(node, tokens)
    glued = True
    for token in tokens:
        if isinstance(token, Value):
            if extended:
                if token.param not in params or token.param.oid == 0:
                    params.append(token.param)
                word = f"${len(params) if token.param.oid == 0 else params.index(token.param) + 1}"
            else:
                word = token.literal
        else:
            word = token
        if not glued and not word.startswith(GLUED_BEFORE):
            text.append(gap() if gap else " ")
        text.append(word)
        glued = word.endswith(GLUED_BEHIND)
    return "".join(text), tuple(params)


# ---- shrinking ----


def shrink(node, still, tries_max=400):
    """The smallest found for which still(node) is true; `node` itself must be such."""
    tries, again = 0, True
    while again and tries < tries_max:
        again = False
        for less in reductions(node):
            tries += 1
            if still(less):
                node, again = less, True
                break
            if tries >= tries_max:
                break
    return node
