"""The command line: one table of commands, one place where refusals become exit codes.

Exit codes: 0 done; 1 refused, with a sentence that says what, where and what to do; 2 wrong usage;
3 a gate said no.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.metadata import version

import click

from classifier.errors import GaoqianError

# Every command and the module it lives in; the modules import what is heavy inside the commands.
COMMANDS = {
    "tag": "service.commands.tagging",
    "split": "service.commands.tagging",
    "train": "service.commands.learning",
    "evaluate": "service.commands.learning",
    "corpus": "service.commands.learning",
    "models": "service.commands.models",
    "retrain": "service.commands.retraining",
    "corrections": "service.commands.retraining",
    "today": "service.commands.today",
    "themes": "service.commands.themes",
    "archive": "service.commands.archive",
    "serve": "service.commands.serving",
    "watch": "service.commands.intake",
    "mail": "service.commands.intake",
    "users": "service.commands.accounts",
    "tokens": "service.commands.accounts",
    "config": "service.commands.serving",
    "doctor": "service.commands.upkeep",
    "backup": "service.commands.upkeep",
    "restore": "service.commands.upkeep",
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(COMMANDS[cmd_name]), cmd_name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("gaoqian"), prog_name="gaoqian", message="%(prog)s %(version)s")
def gaoqian() -> None:
    """稿签：给来稿写稿签——主题、理由、判定。"""


def main() -> None:
    """Run the command line and leave with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A server's locale may be C; what we print is Chinese all the same.
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    try:
        code = gaoqian(standalone_mode=False)  # of an Exit raised on the way, else None
        sys.stdout.flush()
        sys.exit(code)
    except click.Abort:
        click.echo("已中断。", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except GaoqianError as error:
        click.echo(str(error), err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader (head, less) has seen enough; keep the interpreter from flushing into it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        place = f"{error.filename}：" if error.filename else ""
        click.echo(f"{place}{error.strerror or error}。请检查路径、权限和磁盘空间。", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
