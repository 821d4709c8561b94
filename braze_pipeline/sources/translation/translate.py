"""WITH, SELECT and FROM: a whole query of DuckDB's, written for Spark.

Everything that stands in the way is found before anything is refused, so that one look at the
message is enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

from braze_pipeline.errors import ConfigurationError
from braze_pipeline.sources.dialects import DUCKDB, query_for
from braze_pipeline.sources.translation import scopes
from braze_pipeline.sources.translation.parts import ambiguous, name_of, whole_number
from braze_pipeline.sources.translation.rules import RULES, known
from braze_pipeline.sources.translation.scopes import Relation, Scope
from braze_pipeline.sources.translation.tables import TableRead
from braze_pipeline.sources.typed_tables import contract_of
from braze_pipeline.sources.user_sql import reason
from braze_pipeline.storage.sql_text import name_key, quote

if TYPE_CHECKING:
    import duckdb
    from sqlglot import exp

_DAY: Final = date(2024, 2, 29)
"""Stands for ``$as_of`` where only types matter."""
_HAND: Final = "Write it in a way that both understand, or write this part by hand."
_INSTEAD: Final = {
    "Avg": "Write sum(x)::DOUBLE / count(x).",
    "CountIf": "Write count(*) FILTER (condition).",
    "DateDiff": "Subtract two dates.",
    "TryCast": "Prepare the column where it is made; a CAST that fails stops the query.",
    "order": "Remove it: the order of the rows has no meaning.",
    "qualify": "Put the query into FROM of another, with the condition in its WHERE.",
}
"""What to write instead."""
_LONG: Final = 60
_HEADER: Final = """\
-- A first version in Spark's SQL, made from {name} by `braze-pipeline template translate`.
-- Compare both before you use it: braze-pipeline template check --as-of DAY --compare {name}
-- The first queries of WITH ({tables}) bring your tables to the columns and types
-- that {name} reads. The other comments are from there.
--
"""
_CLAUSES: Final = frozenset(
    {"kind", "expressions", "from_", "joins", "where", "group", "having", "with_", "distinct"}
)
_JOINS: Final = {("", ""): "JOIN", ("", "INNER"): "JOIN", ("", "CROSS"): "CROSS JOIN",
                 ("LEFT", ""): "LEFT JOIN", ("LEFT", "OUTER"): "LEFT JOIN"}  # fmt: skip


def translate(file: Path, sql: str, tables: Sequence[TableRead]) -> str:
    """DuckDB's SQL in Spark's words.

    Args:
        file: Where it was read, for messages.
        sql: The text of the file.
        tables: The source tables that it may read.

    Raises:
        ConfigurationError: it is not one SELECT that DuckDB can run over these tables; or parts of
            it have no rule: names each with its line, and what to do.
    """
    import duckdb
    import sqlglot

    typed, _ = query_for(file, sql, DUCKDB, _DAY)
    with duckdb.connect() as con:
        # Only the tables below: no file, and no variable of Python's.
        con.execute("SET python_enable_replacements = false; SET enable_external_access = false")
        for table in tables:
            nothing = ", ".join(f"NULL::{t} AS {quote(n)}" for n, (t, _) in table.shown.items())
            scopes.empty_table(con, table.name, f"SELECT {nothing}")
        try:
            con.execute(f"DESCRIBE {typed}")
            tree = sqlglot.parse_one(sql, dialect=DUCKDB.name)
        except (duckdb.Error, sqlglot.errors.SqlglotError) as error:
            raise ConfigurationError(
                f"{file} cannot be translated: {reason(error)}",
                fix="Fix the SQL: DuckDB has to accept it first.",
            ) from error
        writer = _Writer(con, sql, tables)
        text = writer.statement(tree)
    if writer.problems:
        listed = "\n".join(
            f"{file}:{line}: {what}. {fix}" for line, what, fix in sorted(set(writer.problems))
        )
        raise ConfigurationError(
            f"{file} cannot be translated as it is; nothing was written.\n{listed}\n",
            fix="These parts have no form that is known to give the same values in Spark.",
        )
    head = _HEADER.format(name=file.name, tables=", ".join(writer.read))
    return f"{head}{_lost(sql, text)}{text}"


class _Writer:
    """Writes one query; see ``parts.SparkWriter``.

    Attributes:
        problems: What stands in the way so far: line, what, and what to do.
        read: The source tables that the query reads, in the order of their use.
    """

    def __init__(
        self, con: duckdb.DuckDBPyConnection, sql: str, tables: Sequence[TableRead]
    ) -> None:
        self.con = con
        self.sql = sql
        self.problems: list[tuple[int, str, str]] = []
        self.read: dict[str, TableRead] = {}
        self._sources = {name_key(table.name): table for table in tables}
        self._ctes: dict[str, Relation] = {}
        self._scope = Scope(con, ())

    def statement(self, tree: exp.Expr) -> str:
        """The whole query."""
        with_ = tree.args.get("with_")
        if with_ is not None and with_.args.get("recursive"):
            self.refuse(with_, "WITH RECURSIVE", _HAND)
        parts = [self._cte(cte) for cte in (with_.expressions if with_ is not None else ())]
        body = self._query(tree)[0]
        used = _names(tree)
        first = [
            f"{name_of(one.name)} AS (\n{_indented(one.query(used))}\n)"
            for one in self.read.values()
        ]
        head = _comments([with_]) if with_ is not None else ""
        return f"{head}\nWITH\n\n" + ",\n\n".join([*first, *parts]) + f"\n\n{body}\n"

    def _cte(self, cte: exp.Expr) -> str:
        name = cte.alias
        if name_key(name) in self._sources:
            self.refuse(cte, f"WITH {name}, the name of a source table", "Name it differently.")
        alias = cte.args["alias"]
        if alias.columns:
            self.refuse(cte, "names of columns after a name of WITH", "Name them with AS.")
        text, key = self._query(cte.this)
        columns = scopes.empty_table(self.con, name, _for_duckdb(cte.this))
        self._ctes[name_key(name)] = Relation(name=name, columns=columns, key=key)
        return f"{_comments([alias])}{self._name(alias.this)} AS (\n{_indented(text)}\n)"

    def _query(self, node: exp.Expr) -> tuple[str, frozenset[str]]:
        """A SELECT, and the columns that together differ in each of its rows."""
        from sqlglot import exp

        if not isinstance(node, exp.Select):
            return self.refuse(node, f"{node.key.upper()} of queries", _HAND), frozenset()
        if node.args.get("with_") is not None and node.parent is not None:
            return self.refuse(node, "WITH in a query", "Move it to the first WITH."), frozenset()
        for clause, value in node.args.items():
            if value and clause not in _CLAUSES:
                at = value if isinstance(value, exp.Expr) else node
                fix = _INSTEAD.get(clause, _HAND)
                self.refuse(at, f"{clause.strip('_').upper()} of a query", fix)
        if node.args.get("distinct") is not None and node.args["distinct"].args.get("on"):
            self.refuse(node, "DISTINCT ON", "Group by these columns, and use max_by.")
        outer = self._scope
        sources = [node.args["from_"].this] if node.args.get("from_") is not None else []
        sources += [join.this for join in node.args.get("joins") or ()]
        read = [self._relation(source) for source in sources]
        relations = tuple(relation for _, relation in read)
        self._scope = Scope(self.con, relations, _key(node, relations))
        distinct = " DISTINCT" if node.args.get("distinct") else ""
        lines = [f"{_comments([node])}SELECT{distinct}"]
        lines.append(",\n".join(self._projection(one) for one in node.expressions))
        for k, (text, _) in enumerate(read):
            joined = node.args["joins"][k - 1] if k else None
            said = _comments(one for one in sources[k].walk() if one.parent_select is node)
            lines.append(f"{said}{self._join(joined, text) if joined else f'FROM {text}'}")
        lines += self._conditions(node)
        key = _projected(node, self._scope.key)
        self._scope = outer
        return "\n".join(lines), key

    def _conditions(self, node: exp.Expr) -> Iterator[str]:
        for clause, word in (("where", "WHERE"), ("group", "GROUP BY"), ("having", "HAVING")):
            part = node.args.get(clause)
            if part is None:
                continue
            if clause == "having":
                self._check_names(node, part)
            if clause != "group":
                yield f"{_comments(part.walk())}{word} {self.text(part.this)}"
                continue
            others = [name for name, value in part.args.items() if value and name != "expressions"]
            if others:
                self.refuse(part, f"GROUP BY {others[0].upper()}", "Name the columns.")
            by = (one.name if whole_number(one) else self.text(one) for one in part.expressions)
            yield f"{_comments(part.walk())}{word} {', '.join(by)}"

    def _check_names(self, node: exp.Expr, having: exp.Expr) -> None:
        """A name in HAVING may be a column or what SELECT makes of it: which, is not the same."""
        from sqlglot import exp

        made = {
            name_key(one.alias)
            for one in node.expressions
            if isinstance(one, exp.Alias) and name_key(one.this.name) != name_key(one.alias)
        }
        for one in having.find_all(exp.Column):
            if not one.table and name_key(one.name) in made:
                self.refuse(one, f"`{one.name}` in HAVING, also a name in SELECT", "Rename one.")

    def _relation(self, node: exp.Expr) -> tuple[str, Relation]:
        from sqlglot import exp

        alias = node.args.get("alias")
        shown = f" AS {self._name(alias.this)}" if alias is not None else ""
        plain = not (alias is not None and alias.columns) and not any(
            value and name not in {"this", "alias"} for name, value in node.args.items()
        )
        if plain and isinstance(node, exp.Subquery):
            text, key = self._query(node.this)
            columns = scopes.empty_table(self.con, "__subquery", _for_duckdb(node.this))
            return f"(\n{_indented(text)}\n){shown}", Relation(
                name=node.alias, columns=columns, key=key
            )
        if plain and isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            return f"{self._name(node.this)}{shown}", self._table(node)
        self.refuse(node, f"reading `{_excerpt(node)}`", _HAND)
        return "", Relation(name="", columns={})

    def _table(self, node: exp.Table) -> Relation:
        found = self._ctes.get(name_key(node.name))
        if found is not None:
            return Relation(name=node.alias_or_name, columns=found.columns, key=found.key)
        source = self._sources[name_key(node.name)]
        self.read[name_key(node.name)] = source
        key = contract_of(source.name).key
        return Relation(
            name=node.alias_or_name,
            columns={
                name_key(name): type_ for name, (type_, value) in source.shown.items() if value
            },
            key=frozenset({key} if key else ()),
        )

    def _join(self, node: exp.Expr, text: str) -> str:
        word = _JOINS.get((node.text("side").upper(), node.text("kind").upper()))
        if word is None or node.args.get("method"):
            self.refuse(node, "this JOIN", "Use JOIN, LEFT JOIN or CROSS JOIN.")
        on, using = node.args.get("on"), node.args.get("using")
        if on is None and not using:
            word = "CROSS JOIN"
        after = f" ON {self.text(on)}" if on is not None else ""
        after += f" USING ({', '.join(self._name(one) for one in using)})" if using else ""
        return f"{word} {text}{after}"

    def _projection(self, node: exp.Expr) -> str:
        from sqlglot import exp

        if isinstance(node, exp.Alias):
            text = f"{self.text(node.this)} AS {self._name(node.args['alias'])}"
        elif node.is_star and not any(
            value for one in node.find_all(exp.Star) for value in one.args.values()
        ):
            text = "*" if isinstance(node, exp.Star) else f"{name_of(node.args['table'].name)}.*"
        elif node.is_star:
            text = self.refuse(node, f"`{_excerpt(node)}`", "Name the columns.")
        elif isinstance(node, exp.Column):
            text = self.text(node)
        else:
            text = self.refuse(node, f"`{_excerpt(node)}` without a name", "Name it with AS.")
        return _indented(f"{_comments(node.walk())}{text}")

    def _name(self, node: exp.Expr) -> str:
        return name_of(node.name, quoted=bool(node.args.get("quoted")))

    def text(self, node: exp.Expr) -> str:
        """See ``parts.SparkWriter``."""
        from sqlglot import exp

        if not known(node):
            fix = _INSTEAD.get(type(node).__name__, _HAND)
            return self.refuse(node, f"`{self._written(node)}`", fix)
        if ambiguous(node):
            return self.refuse(node, f"`{_excerpt(node)}` beside another operator",
                               "Put it into parentheses.")  # fmt: skip
        if isinstance(node, exp.Column) and self._scope.column(node) is None:
            return self.refuse(node, f"`{_excerpt(node)}`, which no table here has as a column of "
                               "a type that both know", "Repeat the expression that it stands for, "
                               "or declare its table under `sources:`.")  # fmt: skip
        return RULES[type(node).__name__][0](self, node)

    def type(self, node: exp.Expr) -> str:
        """See ``parts.SparkWriter``; a rule that needs a type cannot do without."""
        found = self._scope.type(node)
        if found == scopes.UNKNOWN:
            self.refuse(node, f"`{_excerpt(node)}`, whose type DuckDB does not tell", _HAND)
        return found

    def family(self, node: exp.Expr) -> str:
        """See ``parts.SparkWriter``."""
        return self._scope.family(node)

    def unique(self, node: exp.Expr) -> bool:
        """See ``parts.SparkWriter``."""
        order = node.args.get("order")
        parts = [*(node.args.get("partition_by") or ())]
        parts += [one.this for one in (order.expressions if order is not None else ())]
        names = {name_key(part.name) for part in parts if type(part).__name__ == "Column"}
        return bool(self._scope.key) and self._scope.key <= names

    def _written(self, node: exp.Expr) -> str:
        """A function as it is called in the file; anything else as sqlglot would write it."""
        start, end = node.meta.get("start"), node.meta.get("end")
        return f"{self.sql[start : end + 1]}(…)" if start is not None and end else _excerpt(node)

    def refuse(self, node: exp.Expr, what: str, fix: str) -> str:
        """See ``parts.SparkWriter``."""
        at: exp.Expr | None = node
        starts: list[int] = []
        while at is not None and not starts:
            starts = [one.meta["start"] for one in at.walk() if "start" in one.meta]
            at = at.parent
        line = self.sql.count("\n", 0, min(starts, default=0)) + 1
        self.problems.append((line, what, fix))
        return "NULL"


def _key(node: exp.Expr, relations: tuple[Relation, ...]) -> frozenset[str]:
    """The columns that together differ in each row that a SELECT numbers, or gives."""
    group = node.args.get("group")
    if group is None:
        return relations[0].key if len(relations) == 1 else frozenset()
    listed = [
        node.expressions[int(one.name) - 1].unalias() if whole_number(one) else one
        for one in group.expressions
    ]
    names = [name_key(one.name) for one in listed if type(one).__name__ == "Column"]
    return frozenset(names) if len(set(names)) == len(listed) else frozenset()


def _projected(node: exp.Expr, key: frozenset[str]) -> frozenset[str]:
    """The names that the key has in the result; none where a part of it is missing."""
    names = {
        name_key(one.unalias().name): name_key(one.alias_or_name)
        for one in node.expressions
        if type(one.unalias()).__name__ == "Column"
    }
    return frozenset(names[one] for one in key) if key <= set(names) else frozenset()


def _names(tree: exp.Expr) -> set[str] | None:
    """The names of all columns in a query; None where `*` stands for more."""
    from sqlglot import exp

    if any(not isinstance(one.parent, exp.Count) for one in tree.find_all(exp.Star)):
        return None
    using = [one for join in tree.find_all(exp.Join) for one in join.args.get("using") or ()]
    return {name_key(one.name) for one in (*tree.find_all(exp.Column), *using)}


def _for_duckdb(node: exp.Expr) -> str:
    """A query with a date in place of ``$as_of``."""
    from sqlglot import exp

    copied = node.copy()
    for one in list(copied.find_all(exp.Placeholder)):
        one.replace(exp.cast(exp.Literal.string(_DAY.isoformat()), "DATE"))
    return copied.sql(DUCKDB.name)


def _excerpt(node: exp.Expr) -> str:
    text = " ".join(node.sql(DUCKDB.name, comments=False).split())
    return text if len(text) <= _LONG else f"{text[:_LONG]}…"


def _lost(sql: str, text: str) -> str:
    """The comments that sqlglot reads and does not keep."""
    from sqlglot.dialects.dialect import Dialect

    written = {line.strip() for line in text.splitlines()}
    tokens = Dialect.get_or_raise(DUCKDB.name).tokenize(sql)
    lines = [line.strip() for token in tokens for one in token.comments for line in one.split("\n")]
    lost = [f"--   {line}\n" for line in lines if line and f"-- {line}" not in written]
    return "".join(["-- Comments that have lost their place:\n", *lost, "--\n"]) if lost else ""


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" if line else line for line in text.split("\n"))


def _comments(nodes: Iterable[exp.Expr]) -> str:
    """What is said in the comments of parts, as lines of its own."""
    lines = [line for node in nodes for one in node.comments or () for line in one.splitlines()]
    return "".join(f"{f'-- {line.strip()}'.strip()}\n" for line in lines)
