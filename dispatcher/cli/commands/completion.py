"""``dispatcher completion``: the script that makes a shell complete commands and options."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    Examples:
      eval "$(dispatcher completion bash)"
      dispatcher completion fish > ~/.config/fish/completions/dispatcher.fish
    """
    script = get_completion_class(shell)
    if script is not None:
        root = ctx.find_root().command
        click.echo(script(root, {}, "dispatcher", "_DISPATCHER_COMPLETE").source())
