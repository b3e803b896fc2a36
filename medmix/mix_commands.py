"""Commands on mixes: build, check, licences."""

from pathlib import Path
from typing import Literal

import click

from medmix.curate.errors import UsageError, WorkError
from medmix.curate.progress import say

from .options import PATH, chosen_engine, comma_list, engine_option, workers_option
from .printing import print_build, print_json, print_licences


@click.command()
@click.option("--mixture", "mixture_name", default="v1", show_default=True, help="Name, or path of a YAML file.")
@click.option("--root", type=PATH, help="Folder with one folder per source.  [default: ./sources]")
@click.option("--out", type=PATH, help="Output folder.  [default: ./mixes/NAME]")
@click.option("--only", callback=comma_list, metavar="SOURCE,...", help="Read only these sources.")
@click.option("--allow-missing", callback=comma_list, metavar="SOURCE,...", help="Sources that may be absent.")
@click.option("--allow-lost", callback=comma_list, metavar="SOURCE,...", help="Sources whose rows may be unreadable.")
@click.option("--require-evaluation", is_flag=True, help="Stop if an evaluation set of the mixture is not there.")
@click.option("--limit", type=click.IntRange(min=1), help="Read only the first N rows of each source.")
@workers_option
@engine_option
@click.option("--verify-inputs", is_flag=True, help="Read all images again before results of earlier runs are used.")
@click.option("--fresh", is_flag=True, help="Discard the results of earlier runs.")
@click.option("--language-model", type=PATH, help="fastText's lid.176.ftz, instead of the installed one.")
@click.option("--part", metavar="I/N", help="Do the I-th of N shares of one pass, and stop: see docs/clusters.md.")
@click.option(
    "--pass",
    "pass_name",
    type=click.Choice(["scan", "equal", "compare", "write"]),
    help="The pass of --part.  [default: scan]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the manifest.")
def build(
    mixture_name: str,
    root: Path | None,
    out: Path | None,
    only: tuple[str, ...],
    allow_missing: tuple[str, ...],
    allow_lost: tuple[str, ...],
    require_evaluation: bool,
    limit: int | None,
    workers: int,
    engine: Literal["processes", "ray"],
    verify_inputs: bool,
    fresh: bool,
    language_model: Path | None,
    part: str | None,
    pass_name: Literal["scan", "equal", "compare", "write"] | None,
    as_json: bool,
) -> None:
    """Build a mix from upstream files.

    The ledger records why each row was kept or dropped. An interrupted build resumes when run again.

    Several machines share the work with --part: all parts of pass scan, then of equal, compare and write, then the same
    command without --part. Parts may run at the same time, die and be repeated.

    \b
    Examples:
      medmix build --mixture sample --out mixes/sample
      medmix build --mixture v1 --root /data/sources --allow-missing mimic_cxr
      medmix build --mixture v1 --root /data/sources --part 2/5 --pass scan
    """
    if part is None and pass_name is not None:
        raise UsageError(f"--pass {pass_name} needs --part I/N; --part 1/1 is all of the pass")
    if part is not None and as_json:
        raise UsageError("--json prints the manifest, which a part does not make; leave it out")
    from medmix.curate.mixtures import load
    from medmix.curate.parts import parse

    share = parse(part, pass_name or "scan") if part is not None else None
    mixture = load(mixture_name)
    from medmix.curate.build import BuildOptions
    from medmix.curate.build import build as build_mix

    if root is None and not mixture.sample_data:
        root = Path("sources")
    out = out or Path("mixes") / mixture.name
    options = BuildOptions(
        only=only,
        allow_missing=allow_missing,
        allow_lost=allow_lost,
        require_evaluation=require_evaluation,
        limit=limit,
        workers=workers,
        verify_inputs=verify_inputs,
        fresh=fresh,
        language_model=language_model,
    )
    if share is not None:
        from medmix.curate.build_parts import build_part

        with chosen_engine(engine, workers):
            build_part(mixture, root, out, options, share)
        return
    with chosen_engine(engine, workers):
        manifest = build_mix(mixture, root, out, options)
    if as_json:
        print_json(manifest, sort_keys=True)
    else:
        print_build(manifest)
    for warning in manifest["warnings"]:
        say(f"warning: {warning}")
    if not as_json:
        say(f"the mix is in {out}; next: medmix check {out}")


@click.command()
@click.argument("mix", type=PATH)
@workers_option
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def check(mix: Path, workers: int, as_json: bool) -> int:
    """Verify a finished mix.

    Checks digests, columns, licences, groups and ledger sums, and searches the training records for evaluation items;
    lists all findings, exit 1 if there are any.

    \b
    Example:
      medmix check mixes/v1
    """
    from medmix.curate.check import verify

    findings, warnings, leaks = verify(mix, workers)
    searched = None if leaks is None else {name: getattr(leaks, name) for name in ("training", "items", "compared")}
    if as_json:
        print_json({"mix": str(mix), "findings": findings, "warnings": warnings, "leak_search": searched})
    else:
        if searched:
            say(
                f"searched {searched['training']:,} training images for {searched['items']:,} images of evaluation "
                f"items; compared the pixels of {searched['compared']:,} pairs"
            )
        else:
            say(
                "no search for leaks: " + ("mend the findings first" if findings else "the mix has no evaluation items")
            )
        for warning in warnings:
            say(f"warning: {warning}")
        for finding in findings:
            click.echo(finding)
        say(f"{mix}: {len(findings) or 'no'} finding{'' if len(findings) == 1 else 's'}")
    return WorkError.exit_code if findings else 0


@click.command()
@click.argument("mix", required=False, type=PATH)
@click.option("--mixture", "mixture_name", help="Mixture to report on instead of a mix: name, or path of a YAML file.")
@click.option("--root", type=PATH, help="With --mixture: count the rows of the sources in this folder.")
@click.option("--use", type=click.Choice(["research", "commercial"]), help="Use to report on.  [default: the mix's]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def licences(
    mix: Path | None,
    mixture_name: str | None,
    root: Path | None,
    use: Literal["research", "commercial"] | None,
    as_json: bool,
) -> int:
    """Report the permitted uses of a mix.

    Lists the uses allowed for each part and the licences that block others; exit 1 if the mix breaks its own policy.

    \b
    Examples:
      medmix licences mixes/v1 --use commercial
      medmix licences --mixture v1
    """
    from medmix.curate import mixtures

    if (mix is None) == (mixture_name is None) or (root is not None and mixture_name is None):
        raise UsageError("give either the folder of a mix, or --mixture NAME, optionally with --root")
    mixture = mixtures.load(mixture_name) if mixture_name is not None else None
    from medmix.curate.describe import licence_report

    if mixture is not None:
        report = licence_report.of_mixture(mixture, root, use)
    else:
        report = licence_report.of_mix(Path(str(mix)), use)
    for note in report["notes"]:
        say(f"note: {note}")
    if as_json:
        print_json(report)
    else:
        print_licences(report)
    return WorkError.exit_code if report["findings"] else 0
