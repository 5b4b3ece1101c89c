"""Captions: what every captioner of the run says of every clip, as append-only rows; the texts once, by their hash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from tasks.commits import ItemRows
from tasks.context import RunContext, item_name
from tasks.pool import PoolLimits
from tasks.stage import Stage, StageSummary, run_stage
from uniform_core.captioners import AnyCaptioner, CaptionerConfig, CaptionInput, CaptionResult
from uniform_core.corpus.candidates import captions_candidates
from uniform_core.corpus.fingerprints import captions_fingerprint
from uniform_core.errors import IntegrityError, Rejection
from uniform_core.fingerprint import text_digest
from uniform_core.media import CanonicalReader

CLEANING_VERSION = 1  # white space is folded; nothing else is touched


class CaptionWorker:
    """One captioner, loaded once. Clips are opened only for captioners that look at frames."""

    def __init__(self, *, captioner_json: str, media_dir: str) -> None:
        self._config: CaptionerConfig = TypeAdapter(AnyCaptioner).validate_json(captioner_json)
        self._captioner = self._config.build()
        self._media_dir = Path(media_dir)
        self._reader = CanonicalReader() if self._config.frames else None

    def process(self, batch: Sequence[Mapping[str, Any]]) -> list[ItemRows | Rejection]:
        """One row each; a clip of which nothing can be said has a row too, with its status."""
        inputs = {row["work_key"]: self._input(row) for row in batch}
        readable = {key: value for key, value in inputs.items() if isinstance(value, CaptionInput)}
        said = dict(zip(readable, self._captioner.caption(list(readable.values())), strict=True)) if readable else {}
        results: list[ItemRows | Rejection] = []
        for row in batch:
            found = inputs[row["work_key"]]
            if isinstance(found, Rejection):
                results.append(found)
            else:
                results.append(self._produced(row, found, said[row["work_key"]]))
        return results

    def _input(self, row: Mapping[str, Any]) -> CaptionInput | Rejection:
        names = ("clip_id", "label", "source_caption", "source_id", "video_id")
        seen: dict[str, Any] = {**{name: row[name] for name in names}, "start_ms": int(row["start_ms"])}
        if self._reader is None:
            return CaptionInput(**seen)
        try:
            picked = self._reader.picked(self._media_dir / row["path"], self._config.pick_frames)
        except IntegrityError as error:  # a canonical clip that was damaged after it was made
            return Rejection("damaged_clip", str(error), terminal=False)
        return CaptionInput(
            **seen,
            frames_THWC=picked.frames_THWC,
            frame_indices=picked.indices,
            rate_hz=picked.rate_hz,
            clip_frames=picked.clip_frames,
        )

    def _produced(self, row: Mapping[str, Any], seen: CaptionInput, result: CaptionResult) -> ItemRows | Rejection:
        if result.status == "error":
            return Rejection("captioner_error", result.message, terminal=False)
        raw = result.text
        clean = None if raw is None else " ".join(raw.split())
        texts = {text_digest(text): text for text in (raw, clean) if text is not None}
        prompt = self._config.prompt
        caption = {
            **{name: row[name] for name in ("work_key", "stage_fp", "clip_id", "clip_sha256")},
            "captioner": self._config.kind,
            "captioner_revision": self._config.revision,
            "prompt_hash": None if prompt is None else text_digest(prompt),
            "frame_indices": None if seen.frame_indices is None else list(seen.frame_indices),
            "raw_text_hash": None if raw is None else text_digest(raw),
            "text_hash": None if clean is None else text_digest(clean),
            "cleaning_version": CLEANING_VERSION,
            "tokens_in": result.tokens_in,
            "tokens_out": result.tokens_out,
            "finish_reason": result.finish_reason,
            "status": result.status,
        }
        rows: dict[str, Sequence[Mapping[str, Any]]] = {"captions": [caption]}
        if texts:
            rows["caption_texts"] = [{"work_key": key, "text_hash": key, "text": text} for key, text in texts.items()]
        if prompt is not None:
            key = text_digest(prompt)
            rows["prompts"] = [{"work_key": key, "prompt_hash": key, "prompt": prompt}]
        return ItemRows(rows=rows)


def run_captions(context: RunContext) -> list[StageSummary]:
    """Let every captioner of the run caption the clips that it has not captioned yet; one summary each."""
    clips = context.clips()
    return [
        run_stage(
            Stage(
                name="captions",
                table="captions",
                stage_fp=captions_fingerprint(captioner),
                worker=CaptionWorker,
                setup={
                    "captioner_json": captioner.model_dump_json(),
                    "media_dir": str(context.settings.media_dir),
                },
                workers=context.settings.worker_cpus if captioner.frames else 0,
                batch=captioner.batch_clips,
                describe=item_name,
                limits=PoolLimits(recycle_after=40),
            ),
            captions_candidates(captioner, clips),
            catalog=context.catalog,
            ray=context.ray,
            run_id=context.run_id,
            listener=context.listener,
        )
        for captioner in context.config.captioners
    ]
