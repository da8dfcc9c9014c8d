"""The rules that `scan` and `mask` go by: the built-in ones, and a team's own."""

from pathlib import Path

import click

from ..errors import InvalidInput
from ..redaction import Rules, default_rules, load_rules
from .failures import ENVIRONMENT, USAGE, Failure

RULES_OPTION = click.option(
    "--rules",
    "rules_path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Rules beside the built-in ones, as TOML in gitleaks' manner; needs session-store[mask].",
)


def rules_from(path: Path | None) -> Rules:
    """
    Return the built-in rules, with those in the file at *path*.

    Raises:
        Failure: It cannot be read, or holds no rules.
    """
    if path is None:
        return default_rules()
    try:
        return load_rules(path.read_text("utf-8"), source=str(path))
    except InvalidInput as error:
        raise Failure(str(error), USAGE) from error
    except UnicodeDecodeError as error:
        raise Failure(f"{path}: not UTF-8", USAGE) from error
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}", ENVIRONMENT) from error
