"""What holds for every command: which store, and whether people or programs read the answer."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from ..errors import NotFound, SessionStoreError
from .failures import ENVIRONMENT, USAGE, Failure, explain

if TYPE_CHECKING:
    from .. import blocking

STORE_VARIABLE = "SESSION_STORE"
STORE_DEFAULT = "./sessions"


class Settings:
    """
    What was asked for in front of, or among, a command's own options.

    Attributes:
        store: Path or URL.
        is_json: The answer is for a program.
    """

    def __init__(self, store: str) -> None:
        self.store = store
        self.is_json = False

    def open(self, *, create: bool = False) -> blocking.Store:
        """
        Open the store; only commands that write their first session make one.

        Raises:
            Failure: There is none, or it cannot be used.
        """
        from .. import blocking  # noqa: PLC0415 - help and version open no store

        try:
            return blocking.open_store(self.store, create=create)
        except (SessionStoreError, OSError) as error:
            raise unusable(error) from error

    @property
    def is_named(self) -> bool:
        """Whether the store is another than a bare command would take."""
        return self.store != _store_unless_named()


def unusable(error: Exception) -> Failure:
    """Return how a command ends that cannot use its store."""
    if isinstance(error, NotFound):
        hint = (
            f"--store PATH or ${STORE_VARIABLE} names another place; "
            "`session-store new` and `import` make a store"
        )
        return Failure(str(error), ENVIRONMENT, hint)
    explained = explain(error)
    code = USAGE if explained.code == USAGE else ENVIRONMENT
    return Failure(explained.message, code, explained.hint)


def _store_unless_named() -> str:
    return os.environ.get(STORE_VARIABLE) or STORE_DEFAULT


def settings_of(ctx: click.Context) -> Settings:
    """Return the settings of this run, made from the environment when first asked for."""
    root = ctx.find_root()
    if root.obj is None:
        root.obj = Settings(_store_unless_named())
    settings = root.obj
    assert isinstance(settings, Settings)
    return settings


def _set_store(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        settings_of(ctx).store = value


def _set_json(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    settings_of(ctx).is_json |= value


def store_option() -> click.Option:
    """Return `--store`, which may stand before or behind the command."""
    return click.Option(
        ["--store"],
        metavar="PATH|URL",
        expose_value=False,
        is_eager=True,
        callback=_set_store,
        type=click.Path(),
        help=f"The store (${STORE_VARIABLE}; {STORE_DEFAULT}).",
    )


def json_option() -> click.Option:
    """Return `--json`, which may stand before or behind the command."""
    return click.Option(
        ["--json"],
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_set_json,
        help="Print JSON.",
    )


class StoreCommand(click.Command):
    """A command on a store: it takes `--store` and `--json`, and gets the settings first."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.params += [store_option(), json_option()]


def store_command(name: str) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a function with the settings as its first argument the command *name*."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        def with_settings(*args: Any, **options: Any) -> Any:
            return function(settings_of(click.get_current_context()), *args, **options)

        with_settings.__doc__ = function.__doc__
        with_settings.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
        return click.command(name, cls=StoreCommand)(with_settings)

    return decorate
