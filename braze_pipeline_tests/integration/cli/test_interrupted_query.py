"""Ctrl-C while DuckDB works on a query."""

import pytest

from braze_pipeline.cli.console import guarded


def test_a_command_that_is_stopped_during_a_query_is_no_bug(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stopped() -> None:
        raise RuntimeError("Query interrupted")  # DuckDB's, in place of KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        guarded(stopped)
    assert ended.value.code == 4
    assert capsys.readouterr().err.splitlines()[0] == "Interrupted"
