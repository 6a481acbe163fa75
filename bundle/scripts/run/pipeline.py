"""All stages in order, each the MONAI workflow of its own config file, in one process."""

from __future__ import annotations

import gc
import json
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from monai.bundle import ConfigWorkflow
from tqdm import tqdm

from ..core.arguments import arguments, nearest
from ..core.facts import DATALIST_NAME, DatasetFacts, load_facts
from ..core.own import load_own
from ..core.progress import overall_progress
from ..core.ranges import shown
from ..core.recipes import config_files
from ..core.settings import checked_overrides
from ..core.stopping import working
from ..data.check import assert_sound
from ..data.datalist import read_datalist
from ..data.prepare import prepare as prepare_dataset
from ..data.prepare import prepare_settings
from ..evaluation.label_verdicts import spoken
from ..evaluation.tracked import tracked_scores
from ..inference.command_line import next_command
from .ending import made, score_table
from .holding import holding
from .plan import stage_lengths
from .stage import Stage
from .trainable import assert_trainable

__all__ = ["REPORT", "STAGES", "merge_overrides", "run_pipeline"]

#: Config files that make up the pipeline, in order.
STAGES = ("train_classifier", "generate_pseudo_masks", "train", "evaluate")
#: The one that stands in the place of ``evaluate`` where there is nothing to score.
REPORT = "report"
_KNOWN = (*STAGES, REPORT)

# those that record the recipe with their weights
_TRAINING = ("train_classifier", "train")
# what the tracked run of the whole pipeline shows too
_PICTURES = ("evaluate/report.html", "evaluate/gallery.png", f"{REPORT}/report.html")

logger = logging.getLogger(__name__)


def run_pipeline(
    dataset_dir: str,
    output_dir: str,
    model_dir: str,
    source: str | None = None,
    dataset: Mapping[str, Any] | None = None,
    prepare: Mapping[str, Any] | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    recipe: str | None = None,
    stages: Sequence[str] = STAGES,
    seed: int = 0,
    experiment: str = "tissue-segmentation",
    progress: bool = True,
    threads: int | None = None,
    own: str | Sequence[str] | None = None,
) -> dict[str, Any]:
    """Prepare, check, and run every stage that is not finished yet; a stage finished with the same configuration and the
    same inputs is skipped, one that was interrupted continues.

    Args:
        dataset_dir: prepared dataset; made from ``source`` where given.
        output_dir: folder of the run.
        model_dir: folder of the weights.
        source: raw data for :func:`~scripts.data.prepare`; ``None`` if ``dataset_dir`` is prepared already.
        dataset: facts of the dataset, for preparation.
        prepare: settings of the preparation.
        settings: per stage, ids and values that override its config, chosen for the dataset.
        overrides: the same, chosen for the run; they win.
        recipe: folder of config files that change the stages' own (see :func:`~scripts.core.config_files`). The default
            method by default.
        stages: names of the config files to run, in order.
        seed: seed of all stages.
        experiment: MLflow experiment.
        progress: whether to show progress bars.
        threads: threads that networks run on, see :func:`~scripts.core.threads.set_threads`.
        own: Python files of one's own, see :func:`~scripts.core.load_own`.

    Returns:
        The content of ``evaluate/metrics.json`` if the evaluation is among the stages; where there is nothing to score, and
        ``report`` stands in its place, that of ``report/report.json``; else an empty mapping.

    Raises:
        ValueError: settings or overrides for an unknown stage, a setting that a stage or the preparation does not have, an
            unknown recipe, or a dataset that is not sound or that nothing can be learnt from.
        BlockingIOError: another process works in one of the folders.
    """
    load_own(own)
    dataset = arguments(DatasetFacts, dataset or {}, "dataset")
    preparation = {"progress": progress, **prepare_settings(prepare or {})}
    overrides = checked_stages([settings or {}, overrides or {}], recipe, stages)
    places = {"dataset_dir": dataset_dir, "output_dir": output_dir, "model_dir": model_dir}
    trained = [model_dir] if set(stages) & set(_TRAINING) else []
    with holding(output_dir, "the pipeline", trained), working(lambda: "the pipeline"):
        if source is not None:
            prepare_dataset(source, dataset_dir, dataset=dataset, **preparation)
        assert_sound(dataset_dir, report_dir=output_dir, progress=progress)
        assert_trainable(dataset_dir, stages, overrides, recipe, seed)
        stages = _scored(stages, dataset_dir)
        record = Stage(
            "pipeline",
            output_dir,
            seed,
            inputs=[str(Path(dataset_dir) / DATALIST_NAME)],
            config={"stages": list(stages), "overrides": overrides, "recipe": recipe, "seed": seed},
            experiment=experiment,
            threads=threads,
        ).start()
        common = {
            "seed": seed,
            "experiment": experiment,
            "parent_run": record.name,
            "own": own,
            "threads": threads,
        }
        with overall_progress(stage_lengths(dataset_dir, stages, overrides, recipe), progress) as bar:
            for name in stages:
                bar.begin(name)
                _run_stage(name, recipe, {**places, **common, **overrides.get(name, {})}, stages, record)
                bar.reach(1.0)
        found = {"evaluate": "metrics.json", REPORT: "report.json"}
        paths = [Path(output_dir) / name / file for name, file in found.items() if name in stages]
        results = json.loads(paths[0].read_text(encoding="utf-8")) if paths else {}
        pictures = [Path(output_dir) / name for name in _PICTURES if Path(name).parts[0] in stages]
        record.finish(tracked_scores(results) if "scores" in results else {}, pictures)
        _say_what_was_made(results, places, stages, own)
    return results


def _scored(stages: Sequence[str], dataset_dir: str) -> list[str]:
    """Stages with the report on labels in the place of the evaluation where there is nothing to score."""
    if "evaluate" in stages and not any(e.get("mask") for e in read_datalist(dataset_dir, "test", ("image",))):
        logger.info("%s has no test image with a mask: report takes the place of evaluate", dataset_dir)
        return [name for name in stages if name not in ("evaluate", REPORT)] + [REPORT]
    return list(stages)


def _run_stage(name: str, recipe: str | None, settings: Mapping[str, Any], stages: Sequence[str], record: Stage) -> None:
    """Run a stage unless it is finished."""
    config_file = config_files(name, recipe)  # by this name, check_settings finds it
    workflow = ConfigWorkflow(
        config_file=config_file,
        workflow_type=None,
        logging_file=False,
        progress=False,  # there is one bar over all stages
        **({"recipe": recipe} if name in _TRAINING else {}),
        **settings,
    )
    workflow.initialize()
    number = f"stage {stages.index(name) + 1}/{len(stages)} {name}"
    if workflow.parser.get_parsed_content("stage").finished():
        logger.info("%s: finished before, skipped", number)
        return
    logger.info("%s", number)
    record.progress = f"before stage {name}"
    started = time.monotonic()
    workflow.run()
    workflow.finalize()
    logger.info("%s: finished in %s", number, tqdm.format_interval(time.monotonic() - started))
    del workflow
    gc.collect()  # datasets and networks of a stage refer to each other


def _say_what_was_made(
    results: Mapping[str, Any], places: Mapping[str, str], stages: Sequence[str], own: str | Sequence[str] | None
) -> None:
    dataset_dir, output_dir, model_dir = places.values()
    lines = [score_table(results, load_facts(dataset_dir).published)] if "scores" in results else []
    if "verdicts" in results:
        lines.append(f"not scored, as no test image of {Path(dataset_dir).absolute()} has a true mask")
        lines.append(spoken(results["verdicts"]))
    lines.append(made(output_dir, model_dir, stages))
    command = next_command(dataset_dir, output_dir, model_dir, own)
    lines += [f"to segment images:\n  {command}"] if command else []
    with suppress(BrokenPipeError):  # nobody reads any more
        print("\n".join(lines), flush=True)


def checked_stages(
    layers: Sequence[Mapping[str, Mapping[str, Any]]], recipe: str | None = None, stages: Sequence[str] = STAGES
) -> dict[str, dict[str, Any]]:
    """Overrides per stage, merged, after a check of every stage's whole configuration.

    Args:
        layers: ids and values by the names of the stages; later layers win.
        recipe: see :func:`run_pipeline`.
        stages: stages to check beside those that have overrides.

    Raises:
        ValueError: an unknown stage, the message names the nearest; an unknown recipe; a setting that a stage does not have,
            or a value that it cannot have; or no settings of stages.
    """
    for layer in layers:
        if not isinstance(layer, Mapping) or not all(isinstance(values, Mapping) for values in layer.values()):
            raise ValueError(f"settings or overrides: found {shown(layer)}, expected {{stage: {{id: value}}}}")
    names = {*stages, *(name for layer in layers for name in layer)}
    if unknown := sorted(names - set(_KNOWN)):
        near = nearest(unknown[0], _KNOWN)
        hint = f"; did you mean {near!r}?" if near else ""
        raise ValueError(f"stages, settings or overrides: found {unknown}, expected {list(_KNOWN)}{hint}")
    overrides = merge_overrides(*layers)
    for name in sorted(names, key=_KNOWN.index):
        files = config_files(name, recipe)
        try:
            found = checked_overrides(name, files, overrides.get(name, {}))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        if found:
            overrides[name] = found
    return overrides


def merge_overrides(*layers: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Overrides per stage; later ones win over earlier ones, id by id."""
    merged: dict[str, dict[str, Any]] = {}
    for layer in layers:
        for stage, values in layer.items():
            merged.setdefault(stage, {}).update(values)
    return merged
