"""What the SQL reads: the brand's tables in Spark, with the columns that DuckDB's SQL sees.

DuckDB's SQL reads views that bring each column of the contract to its type (`readings`). In Spark
these are written in front of the query, so that both begin with the same values.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from braze_pipeline.settings.places import Database
from braze_pipeline.sources import user_sql
from braze_pipeline.sources.places import locate
from braze_pipeline.sources.places.located import LocatedSource
from braze_pipeline.sources.remote.parquet import empty
from braze_pipeline.sources.remote.snapshots import snapshot
from braze_pipeline.sources.translation.parts import SPACES, name_of, spark_type
from braze_pipeline.sources.typed_tables import TABLES, SourceColumn, contract_of
from braze_pipeline.storage.sql_text import family, name_key
from braze_pipeline.storage.warehouse import columns

if TYPE_CHECKING:
    from pathlib import Path

    from braze_pipeline.settings import SourceSettings

_AS_TEXT: Final = frozenset({"text", "integer", "boolean", "date"})
"""What becomes the same text in both."""


@dataclass(frozen=True, kw_only=True)
class TableRead:
    """A source table, as the translation reads it.

    Attributes:
        name: As the SQL reads it.
        relation: Its name in Spark.
        columns: Its own columns with their DuckDB types; None where only the contract is known.
        mapped: The source's column for a column of the contract, where it has another name.
        text: The types are not known, because the source has text alone (CSV).
    """

    name: str
    relation: str
    columns: Mapping[str, str] | None = None
    mapped: Mapping[str, str] = field(default_factory=dict)
    text: bool = False

    @property
    def shown(self) -> dict[str, tuple[str, str | None]]:
        """Each column's type in DuckDB, and its expression in Spark.

        None for what has none of the same values, and for what the source may not have.
        """
        found: dict[str, tuple[str, str | None]] = {}
        own = {name_key(name): (name, type_) for name, type_ in (self.columns or {}).items()}
        for column in contract_of(self.name).columns:
            wanted = self.mapped.get(column.name, column.name)
            name, type_ = own.pop(name_key(wanted), (wanted, None))
            value: str | None = _read(name_of(name), column)
            if type_ is None and column.optional:
                lacking = f"CAST(NULL AS {spark_type(column.type)})"
                value = lacking if self.columns is not None else None
            elif type_ is not None and not self._alike(column.type, family(type_)):
                value = None
            found[column.name] = column.type, value
        for name, type_ in own.values():
            there = spark_type(type_)
            found[name] = type_, f"CAST({name_of(name)} AS {there})" if there else None
        return found

    def _alike(self, wanted: str, given: str) -> bool:
        """Whether a column is read as the contract says in both: dates in text are not."""
        if wanted == "VARCHAR":
            return given in _AS_TEXT
        return given != "text" or self.text or wanted not in {"DATE", "TIMESTAMP"}

    def query(self, used: Collection[str] | None) -> str:
        """The query that gives these columns in Spark; of ``used`` alone, unless that is None."""
        listed = ",\n".join(
            f"    {value} AS {name_of(name)}"
            for name, (_, value) in self.shown.items()
            if value is not None and (used is None or name_key(name) in used)
        )
        return f"SELECT\n{listed or '    1'}\nFROM {self.relation}"


def _read(name: str, column: SourceColumn) -> str:
    """As `readings` reads it. A text that is no number or date stops the query in both."""
    text = f"CAST({name} AS STRING)"
    match column.type:
        case "VARCHAR" if column.word:
            return f"lower(btrim({text}, {SPACES}))"
        case "VARCHAR" if column.identifier:
            return f"CASE WHEN {text} RLIKE '[^\\\\p{{Zs}}]' THEN {text} END"
        case "VARCHAR":
            return text
        case "DOUBLE":
            number = f"CAST({name} AS DOUBLE)"
            # NaN is above infinity.
            return f"CASE WHEN abs({number}) < CAST('Infinity' AS DOUBLE) THEN {number} END"
        case _:
            return f"CAST({name} AS {spark_type(column.type)})"


def tables_of(
    file: Path, sources: Iterable[SourceSettings], environ: Mapping[str, str]
) -> tuple[TableRead, ...]:
    """What the SQL of a file may read: of its sources, only their columns are looked at.

    A table of the contract that is not declared has the columns that it must have.

    Args:
        file: DuckDB's SQL.
        sources: The template's sources.
        environ: The environment, with the addresses of the connections.

    Raises:
        SourceError: a table cannot be found or described.
    """
    import duckdb

    with duckdb.connect() as con:
        read = user_sql.tables_read(con, file)
    declared = [one for one in sources if read is None or name_key(one.name) in read]
    others = set(TABLES) - {name_key(one.name) for one in declared}
    return (
        *(_described(source, environ) for source in declared),
        *(TableRead(name=name, relation=name) for name in sorted(others)),
    )


def _described(source: SourceSettings, environ: Mapping[str, str]) -> TableRead:
    import duckdb

    place = source.place
    known: Mapping[str, str] | None = None
    relation, text = name_of(source.name), False
    with duckdb.connect() as con:
        if isinstance(place, Database):
            relation = place.relation or f"({place.sql})"
            with snapshot(place.connection, environ) as opened:
                schema = opened.schema(source.name, place)
            con.register("__nothing", empty(source.name, place, schema))
            known = dict(columns(con, "FROM __nothing"))
        elif place is None and (source.path or source.database):
            located: LocatedSource | None = locate(con, source)
            known, text = (located.columns, located.text) if located else (None, False)
    return TableRead(
        name=source.name, relation=relation, columns=known, mapped=source.columns, text=text
    )
