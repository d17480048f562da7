"""One connection that plays steps, and what a client can see of the answers, in comparable form.

A step is one message of the simple protocol, or one statement of the extended one. Rows are a multiset unless
the step says that it has ordered them: plans differ, and promise no order.
"""

import re
from dataclasses import dataclass, replace

from psycopg import pq

from . import schema

RECORD, RECORDS = 2249, 2287  # record, record[]
ROWS = (RECORD, RECORDS)
HOW = ("simple", "extended", "binary", "prepared")

# The hint and the detail of a row that violates something name columns of the other side.
FIELDS = {"sqlstate": pq.DiagnosticField.SQLSTATE, "message": pq.DiagnosticField.MESSAGE_PRIMARY,
          "position": pq.DiagnosticField.STATEMENT_POSITION, "severity": pq.DiagnosticField.SEVERITY_NONLOCALIZED,
          "table": pq.DiagnosticField.TABLE_NAME, "column": pq.DiagnosticField.COLUMN_NAME,
          "constraint": pq.DiagnosticField.CONSTRAINT_NAME}
NOT_NULL = b"23502"
PREPARED_MAX = 20

# Errors call a table by the name that it has (README.md): of one that changes it, by the one of before.
TURNED = {new.encode(): old.encode() for old, new in schema.turned().items()}
RELATION = re.compile(rb'relation "(%s)"' % b"|".join(TURNED))
# Where an alias hides it the server guesses by that name, too, that the table was meant.
HIDDEN = re.compile(rb'(?:invalid reference to|missing) (FROM-clause entry for table "(?:%s)")' % b"|".join([*TURNED, *TURNED.values()]))

Status = pq.ExecStatus
DONE = {Status.COMMAND_OK, Status.TUPLES_OK, Status.EMPTY_QUERY}
BINARY, BINARY_HEADER_LEN = b"PGCOPY\n", 19


@dataclass(frozen=True)
class Param:
    """oid 0: the server infers it."""
    value: bytes = None
    oid: int = 0
    format: int = 0


@dataclass(frozen=True)
class Step:
    sql: str
    how: str = "simple"
    params: tuple = ()
    data: bytes = None  # what COPY FROM STDIN is sent; None: what the last COPY TO STDOUT gave
    ordered: bool = False  # the statement orders its rows, and no two are equal
    shown: bool = True  # False: only whether it fails is compared (plans, costs)
    shadowed: tuple = ()  # tables that a temporary one of this session may hide


class Lost(Exception):
    """The connection has ended."""


class Session:
    """rewriter: what rewrites before it is sent (rewriter.Rewriter); None: nobody, or segue itself.

    rows: types of rows that are told as what they are where their table is expanded: {oid: oid}."""

    def __init__(self, conninfo, rewriter=None, rows=()):
        self.conn = pq.PGconn.connect(conninfo.encode())
        if self.conn.status != pq.ConnStatus.OK:
            raise Lost(self.conn.error_message.decode("utf-8", "replace"))
        self.conn.notice_handler = lambda res: self.notices.append(self._error(res, None))
        self.rewriter = rewriter
        self.row_types = dict(rows)
        self.step = None
        self.notices = []
        self.copied = b""
        self.prepared = 0  # statements, since they were given up
        self.named = 0  # ever

    def close(self):
        self.conn.finish()

    # ---- without comparing ----

    def send(self, sql):
        self.conn.send_query(sql.encode())

    def rows(self):
        """Rows of the last result of what was sent; raises when it fails."""
        last = None
        while res := self.conn.get_result():
            if res.status not in DONE:
                raise Lost(self.conn.error_message.decode("utf-8", "replace"))
            last = res
        return [[last.get_value(r, c) for c in range(last.nfields)] for r in range(last.ntuples)]

    @property
    def failed(self):
        """Is the transaction aborted?"""
        return self.conn.transaction_status == pq.TransactionStatus.INERROR

    def rollback_text(self):
        """What ends a case's transaction, if there is one. Statements that cases have prepared go now and then."""
        text = "" if self.conn.transaction_status == pq.TransactionStatus.IDLE else "ROLLBACK; "
        if self.prepared >= PREPARED_MAX:
            self.prepared = 0
            text += "DEALLOCATE ALL; "
        return text

    # ---- comparing ----

    def begin(self, step):
        self.notices = []
        self.step = step
        if "prepare" in step.sql.lower():  # it stays where the case fails behind it, perhaps on one of both
            self.prepared = PREPARED_MAX
        sent = replace(step, sql=self.rewriter.text(step)) if self.rewriter else step
        getattr(self, "_" + step.how)(sent)

    def finish(self):
        """Of the step begun: a tuple of answers, each a tuple that begins with its kind."""
        step, out = self.step, []
        while res := self.conn.get_result():
            out.append(self._answer(res, step))
            if res.status == Status.COPY_IN:
                self._copy_in(step)
            elif res.status == Status.COPY_OUT:
                out.append(self._copy_out(step))
        if self.conn.status != pq.ConnStatus.OK:
            raise Lost(self.conn.error_message.decode("utf-8", "replace"))
        return tuple(out) + tuple(("notice", *notice) for notice in self.notices)

    def _simple(self, step):
        self.conn.send_query(step.sql.encode())

    def _extended(self, step, result_format=0):
        types, values, formats = zip(*[(p.oid, p.value, p.format) for p in step.params]) if step.params else ((), (), ())
        self.conn.send_query_params(step.sql.encode(), values, types, formats, result_format)

    def _binary(self, step):
        self._extended(step, 1)

    def _prepared(self, step):
        """The answers of Parse and Describe become part of the step's by being played first."""
        self.prepared, self.named = self.prepared + 1, self.named + 1
        name = b"" if len(self.step.sql) % 2 else b"s%d" % self.named  # half of them under a name
        prepared = self.conn.prepare(name, step.sql.encode(), [p.oid for p in step.params])
        if prepared.status != Status.COMMAND_OK:
            self.notices.append(("not prepared", *self._error(prepared, self.step)))
        else:
            described = self.conn.describe_prepared(name)
            params = tuple(described.param_type(i) for i in range(described.nparams))
            self.notices.append(("described", params, self._columns(described)))
        self.conn.send_query_prepared(name, [p.value for p in step.params], [p.format for p in step.params], 0)

    def _answer(self, res, step):
        if res.status in (Status.FATAL_ERROR, Status.NONFATAL_ERROR):
            return ("error", *self._error(res, step))
        if not step.shown:
            return ("done",)
        rows = [tuple(self._value(res, r, c) for c in range(res.nfields)) for r in range(res.ntuples)]
        if not step.ordered:
            rows.sort(key=lambda row: tuple((v is None, v or b"") for v in row))
        return ("result", pq.ExecStatus(res.status).name, res.command_status, self._columns(res), tuple(rows))

    def _type(self, res, column):
        return self.row_types.get(res.ftype(column), res.ftype(column))

    def _value(self, res, row, column):
        value = res.get_value(row, column)
        return self._rows_told(self._type(res, column), value) if value and res.fformat(column) else value

    def _rows_told(self, oid, value):
        """A row in binary, or an array of rows, with the types of rows within it told as those of columns are."""
        if oid not in ROWS:
            return value
        at = 4 if oid == RECORD else 12 + 8 * int.from_bytes(value[:4])
        out = [value[:4] if oid == RECORD else value[:8] + self._oid_told(value[8:12]) + value[12:at]]
        while at < len(value):
            inner = RECORD
            if oid == RECORD:
                out.append(self._oid_told(value[at:at + 4]))
                inner, at = int.from_bytes(out[-1]), at + 4
            size = int.from_bytes(value[at:at + 4], signed=True)
            out.append(value[at:at + 4])
            out.append(self._rows_told(inner, value[at + 4:at + 4 + max(size, 0)]) if size > 0 else b"")
            at += 4 + max(size, 0)
        return b"".join(out)

    def _oid_told(self, raw):
        oid = int.from_bytes(raw)
        return self.row_types.get(oid, oid).to_bytes(4)

    def _columns(self, res):
        return tuple((res.fname(c), self._type(res, c), res.fmod(c), res.fsize(c), res.fformat(c),
                      res.ftablecol(c), bool(res.ftable(c)) and res.ftype(c) not in self.row_types) for c in range(res.nfields))

    def _error(self, res, step):
        fields = {name: res.error_field(code) for name, code in FIELDS.items()}
        if fields["sqlstate"] == NOT_NULL:  # the first of two twins is named
            fields["message"] = fields["column"] = None
        if fields["message"]:
            fields["message"] = RELATION.sub(lambda found: b'relation "%s"' % TURNED[found[1]], fields["message"])
            fields["message"] = HIDDEN.sub(rb"missing \1", fields["message"])
        fields["table"] = TURNED.get(fields["table"], fields["table"])
        if self.rewriter and step and fields["position"]:
            position = self.rewriter.position(step, int(fields["position"]))
            fields["position"] = b"%d" % position if position else None
        return tuple(fields.items())

    # ---- COPY ----

    def _copy_in(self, step):
        data = self.copied if step.data is None else step.data
        if data:
            self.conn.put_copy_data(data)
        self.conn.put_copy_end()

    def _copy_out(self, step):
        rows = []
        while True:
            size, data = self.conn.get_copy_data(0)
            if size <= 0:
                break
            rows.append(bytes(data))
        self.copied = b"".join(rows)
        if rows and rows[0].startswith(BINARY):  # what comes in one message with the first row
            rows[0] = rows[0][BINARY_HEADER_LEN:]
        return ("copied", tuple(rows if step.ordered else sorted(rows)))
