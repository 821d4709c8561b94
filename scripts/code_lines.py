"""Counts the package's lines of code and fails above a ceiling; `make check` runs it.

It counts lines of Python, without blank lines, comments, docstrings and the imports at the top of a
module. SQL, YAML, HTML and text files are counted separately (without blank lines and `--` or `#`
comments), to show what moved from code into data files.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from pathlib import Path

# Lower it whenever the count has fallen; raise it only for a new capability.
CEILING = 25_977
PACKAGE = Path(__file__).parents[1] / "braze_pipeline"
DATA = {".sql", ".yaml", ".html", ".txt"}
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def code_lines(source: str) -> int:
    """The lines of code of a Python module."""
    module = ast.parse(source)
    imports = [node for node in module.body if isinstance(node, ast.Import | ast.ImportFrom)]
    docstrings = [
        node.body[0]
        for node in ast.walk(module)
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node) is not None
    ]
    ignored = {
        number
        for node in [*imports, *docstrings]
        for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    return len(_filled(source, "#") - ignored)


def _filled(text: str, *comments: str) -> set[int]:
    """The numbers of the lines that contain more than a comment."""
    return {
        number
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.strip().startswith(comments)
    }


def main(package: Path = PACKAGE, ceiling: int = CEILING) -> int:
    """Print the count by room and package; return 1 if it is above the ceiling."""
    rooms: Counter[str] = Counter()
    packages: Counter[str] = Counter()
    data: Counter[str] = Counter()
    for path in sorted(package.rglob("*")):
        if path.suffix == ".py":
            lines = code_lines(path.read_text(encoding="utf-8"))
            inside = path.relative_to(package)
            rooms[inside.parts[0]] += lines
            packages[str(inside.parent)] += lines
        elif path.suffix in DATA:
            data[path.suffix] += len(_filled(path.read_text(encoding="utf-8"), "--", "#"))
    total = rooms.total()
    for room, lines in rooms.most_common():
        print(f"{lines:7,} {lines / total:6.1%}  {room}")
        for name, inner in sorted(packages.items()):
            if name.startswith(f"{room}/"):
                print(f"{inner:15,}  {name}")
    print(f"{total:7,} of at most {ceiling:,} lines of Python, and", end=" ")
    print(", ".join(f"{lines:,} of {suffix}" for suffix, lines in sorted(data.items())))
    return int(total > ceiling)


if __name__ == "__main__":
    sys.exit(main())
