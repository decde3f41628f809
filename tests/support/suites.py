"""Running `test` and `validate` in this process, on files of a test's own folder."""

import contextlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from bailiwick_cli.commands import test, validate
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.verbs.policyverbs import FindingOutput, SuiteFlags, SuiteOutput, ValidateFlags
from bailiwick_governance.errors import UserError
from support.commandline import Ran
from support.objects import Object

_OURS: Final[dict[str, Any]] = {
    **dict.fromkeys(("namespace", "context", "kubeconfig", "as_user", "as_group", "request_timeout"))
}


def written(folder: Path, files: Mapping[str, str | Object | list[Object]]) -> Path:
    """Write files, objects as YAML; return the folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        objects = content if isinstance(content, list) else [content]
        text = content if isinstance(content, str) else yaml.safe_dump_all(objects, sort_keys=False)
        path.write_text(text, encoding="utf-8")
    return folder


def run_tests(*files: str | Path, **flags: object) -> Ran:
    """Run `test`."""
    given: dict[str, Any] = {"files": [str(file) for file in files], **flags}
    if "output" in given:
        given["output"] = SuiteOutput(given["output"])
    return _ran(lambda: test.run(SuiteFlags(**_OURS, **given)))


def run_validate(*files: str | Path, output: str = "table") -> Ran:
    """Run `validate`."""
    names = [str(file) for file in files]
    return _ran(lambda: validate.run(ValidateFlags(**_OURS, files=names, output=FindingOutput(output))))


def _ran(run: Any) -> Ran:  # noqa: ANN401 - a command
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = run()
        except UserError as error:
            err.write(f"error: {error}\n")
            code = error.code if isinstance(error, CliError) else Exit.FAILURE
    return Ran(int(code), out.getvalue(), err.getvalue())
