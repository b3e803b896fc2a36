"""The command line: parses, calls one function, prints. Data on stdout, talk on stderr."""

import errno
import os
import sys
from collections.abc import Sequence

import click

import medmix
from medmix.curate.errors import MedmixError
from medmix.curate.progress import say

from .eval_commands import evaluate
from .leak_commands import fingerprint, leaks
from .mix_commands import build, check, licences
from .model_commands import export, train
from .publish_commands import diff, push, rehydrate
from .report_commands import ablate, report
from .source_commands import fetch, sample_data, sources

EXIT_WORK_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

RENAMED: dict[str, dict[str, str]] = {
    "eval": {
        "--batch": "--batch-size",
        "--fresh": "--overwrite",
        "--leave-out-broken": "--skip-broken",
        "--sets": "--datasets",
        "--trained-on": "--train-dataset",
    },
    "ablate": {"--sets": "--datasets"},
}
"""By command, the former names of its options and what they are called now."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit: 0 done, 1 work failed or a check found something, 2 misuse, 130 interrupted."""
    try:
        status = cli.main(arguments, prog_name="medmix", standalone_mode=False)
    except MedmixError as error:
        status = _fail(str(error), error.exit_code)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "medmix"
        status = _fail(f"{_told(error)} (see: {command} --help)", EXIT_USAGE)
    except (click.Abort, KeyboardInterrupt):
        status = _fail("interrupted; run the same command again to go on", EXIT_INTERRUPTED)
    except OSError as error:
        status = _fail(_system_error(error), EXIT_WORK_FAILED)
    sys.exit(status or 0)


def _told(error: click.UsageError) -> str:
    """Give the message, which names the new name of an option that was renamed."""
    if isinstance(error, click.NoSuchOption) and error.ctx and error.ctx.command.name:
        new = RENAMED.get(error.ctx.command.name, {}).get(error.option_name)
        if new:
            return f"{error.option_name} is now called {new}"
    return error.format_message()


def _fail(line: str, status: int) -> int:
    rank = f" rank {os.environ.get('RANK')}:" if int(os.environ.get("WORLD_SIZE", "1")) > 1 else ""
    say(f"medmix:{rank} error: {' '.join(line.split())}")
    return status


def _system_error(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{where}the disk is full; free some space and run the same command again: finished work is kept"
    return f"{where}{error.strerror or error}; mend that and run the same command again: finished work is kept"


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
)
@click.version_option(medmix.__version__, message="%(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Build, check and train on mixes of open medical vision-language datasets."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for command in (
    *(sources, sample_data, fetch, build, check, licences, fingerprint, leaks, push, diff, rehydrate),
    *(train, evaluate, export, report, ablate),
):
    cli.add_command(command)
