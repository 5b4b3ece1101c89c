"""Captions: what every captioner of the run says of every clip, as append-only rows; the texts once, by their hash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter

from tasks.caption_reader import CaptionReader
from tasks.commits import ItemRows
from tasks.context import RunContext, item_name
from tasks.pool import Part, PoolLimits, Resources, Seen
from tasks.stage import Stage, StageSummary, run_stage
from tasks.workforce import RECYCLE_AFTER_OPENS, workforce
from uniform_core.captioners import AnyCaptioner, CaptionerConfig, CaptionInput
from uniform_core.captions import cleaning
from uniform_core.captions.asking import Answer, Asker, TokenCount, quality_columns
from uniform_core.captions.quality import CaptionQuality
from uniform_core.corpus.candidates import CAPTIONED, captions_work
from uniform_core.corpus.fingerprints import captions_fingerprint
from uniform_core.errors import ConfigError, Rejection
from uniform_core.fingerprint import canonical_json, text_digest
from uniform_core.text import AnyTextEncoder, TextEncoderConfig

READ_AT_ONCE = 4  # clips, by a process that only reads


class CaptionWorker:
    """One captioner, loaded once, and what its texts are held against. It is shown what a `CaptionReader` has read.

    `encoder_json` is the text encoder whose tokens are counted; None to count none.
    """

    def __init__(self, *, captioner_json: str, quality_json: str, encoder_json: str | None) -> None:
        self._config: CaptionerConfig = TypeAdapter(AnyCaptioner).validate_json(captioner_json)
        self._quality = CaptionQuality.model_validate_json(quality_json)
        self._tokens = (
            None if encoder_json is None else token_count(TypeAdapter(AnyTextEncoder).validate_json(encoder_json))
        )
        self._asker = Asker(self._config, self._quality, self._tokens)

    def process(self, batch: Sequence[Seen]) -> list[ItemRows | Rejection]:
        """One row each; a clip of which nothing can be said has a row too, with its status."""
        answers = self._asker.ask([seen.value for seen in batch])
        return [self._produced(seen.item, seen.value, answer) for seen, answer in zip(batch, answers, strict=True)]

    def _produced(self, row: Mapping[str, Any], seen: CaptionInput, answer: Answer) -> ItemRows | Rejection:
        result, config = answer.kept.result, self._config
        if result.status == "error":
            return Rejection("captioner_error", result.message, terminal=False)
        raw, clean, prompt = result.text, answer.kept.text, config.prompt
        others = [one.result.text for one in answer.others if one.result.text is not None]
        texts = {text_digest(text): text for text in (raw, clean, *others) if text is not None}
        caption = {
            **{name: row[name] for name in ("work_key", "stage_fp", "clip_id", "clip_sha256")},
            "captioner": config.kind,
            "captioner_revision": config.revision,
            "prompt_hash": None if prompt is None else text_digest(prompt),
            "sampling": canonical_json(config.sampling) if config.sampling else None,
            "frame_policy": config.frame_policy if config.frames else None,
            "frame_indices": None if seen.frame_indices is None else list(seen.frame_indices),
            "raw_text_hash": None if raw is None else text_digest(raw),
            "text_hash": None if clean is None else text_digest(clean),
            "cleaning_version": cleaning.VERSION,
            "tokens_in": result.tokens_in,
            "tokens_out": result.tokens_out,
            "finish_reason": result.finish_reason,
            "status": result.status,
            "seed": result.seed,
            "tries": answer.tries,
            "other_raw_text_hashes": [text_digest(text) for text in others],
            **quality_columns(answer, tokens=self._tokens, quality=self._quality),
        }
        rows: dict[str, Sequence[Mapping[str, Any]]] = {"captions": [caption]}
        if texts:
            rows["caption_texts"] = [{"work_key": key, "text_hash": key, "text": text} for key, text in texts.items()]
        if prompt is not None:
            key = text_digest(prompt)
            rows["prompts"] = [{"work_key": key, "prompt_hash": key, "prompt": prompt}]
        return ItemRows(rows=rows)


def token_count(encoder: TextEncoderConfig) -> TokenCount:
    """How an encoder's tokens are counted. Raises ConfigError where what that takes is not here."""
    return TokenCount(encoder.token_counter(), encoder.counter_name, encoder.max_tokens)


def run_captions(context: RunContext) -> list[StageSummary]:
    """Let every captioner of the run caption the clips that it has not captioned yet; one summary each.

    Raises StageFailedError, after all of them have worked, for the first that failed at every clip or at too many.
    """
    clips, config = context.clips(CAPTIONED), context.config
    uncounted = why_uncounted(config.text)
    summaries = [
        _with_quality(
            context,
            captioner,
            run_stage(
                _stage(context, captioner, counts=uncounted is None),
                captions_work(captioner, clips),
                catalog=context.catalog,
                ray=context.ray,
                run_id=context.run_id,
                listener=context.listener,
            ),
            uncounted,
        )
        for captioner in config.captioners
    ]
    return [summary.require_accepted(max_reject_fraction=config.reject_limit) for summary in summaries]


def _stage(context: RunContext, captioner: CaptionerConfig, *, counts: bool) -> Stage:
    """The stage of one captioner. Those that look at no frames cost less than a process, and work in the driver."""
    config, settings = context.config, context.settings
    force = workforce(settings, captioner, chunk=READ_AT_ONCE) if captioner.frames else None
    workers, part = captioner.shared(force.workers.most) if force else (0, captioner)
    recycle_after = None if force is None or force.is_split else max(1, RECYCLE_AFTER_OPENS // part.batch_clips)
    captioner_json = part.model_dump_json()
    return Stage(
        name="captions",
        table="captions",
        stage_fp=captions_fingerprint(captioner),
        worker=CaptionWorker,
        setup={
            "captioner_json": captioner_json,
            "quality_json": config.caption_quality.model_dump_json(),
            "encoder_json": config.text.model_dump_json() if counts else None,
        },
        read_by=Part(CaptionReader, {"captioner_json": captioner_json, "media_dir": str(settings.media_dir)}),
        readers=force.readers if force else None,
        workers=replace(force.workers, most=workers) if force else 0,
        resources=force.resources if force else Resources(),
        batch=part.batch_clips,
        describe=item_name,
        # A large model may take minutes to come from a disk, and on a CPU as long for a clip.
        limits=PoolLimits(batch_limit_s=3600.0, load_limit_s=1800.0, recycle_after=recycle_after),
    )


def why_uncounted(encoder: TextEncoderConfig) -> str | None:
    """Why tokens of captions cannot be counted here; None where they can. Captioning needs no encoder's weights."""
    try:
        encoder.token_counter()
    except ConfigError as error:
        return str(error)
    return None


FLAGGED = """
    SELECT flag, count(*) AS captions FROM (
        SELECT unnest(flags) AS flag FROM captions WHERE stage_fp = $stage_fp AND run_id = $run_id
    ) GROUP BY flag ORDER BY captions DESC, flag
"""
ASKED_AGAIN = """
    SELECT count(*) FILTER (tries > 1) AS asked_again, count(*) FILTER (len(flags) > 0) AS flagged FROM captions
    WHERE stage_fp = $stage_fp AND run_id = $run_id
"""


def _with_quality(
    context: RunContext, captioner: CaptionerConfig, summary: StageSummary, uncounted: str | None
) -> StageSummary:
    """The summary, with what is wrong with the captions of this run, where something is."""
    if not summary.done:
        return summary
    which = {"stage_fp": captions_fingerprint(captioner), "run_id": context.run_id}
    [count] = context.catalog.rows(ASKED_AGAIN, parameters=which)
    lines = [] if uncounted is None else [f"captions of {captioner.kind}: tokens not counted: {uncounted}"]
    said = [f"{count['asked_again']} of {summary.done} asked for again"] if count["asked_again"] else []
    if count["flagged"]:
        flags = ", ".join(f"{row['captions']} {row['flag']}" for row in context.catalog.rows(FLAGGED, parameters=which))
        said.append(f"{count['flagged']} flagged ({flags})")
    lines += [f"captions of {captioner.kind}: {', '.join(said)}"] if said else []
    return replace(summary, note="\n".join(lines))
