"""`session-store completion`."""

import click
from click.shell_completion import get_completion_class

from .app import COMPLETE, PROGRAM, commands
from .output import emit


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """
    Print the completion script of a shell: commands, options, session ids.

    \b
      bash  eval "$(session-store completion bash)"    in ~/.bashrc
      zsh   eval "$(session-store completion zsh)"     in ~/.zshrc
      fish  session-store completion fish | source     in config.fish
    """  # noqa: D301 - click's mark for text that is not wrapped
    found = get_completion_class(shell)
    assert found is not None
    emit(found(commands, {}, PROGRAM, COMPLETE).source())
