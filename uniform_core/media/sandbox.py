"""The border to media of any kind: a lean child process does the decoding, and may fail, hang or die there.

    with Sandbox() as sandbox:
        results = sandbox.canonicalise(path, None, cut=cut, form=form, out_dir=directory, names=name_of)

Bad media is a value (`Rejection`, `RejectedWindow`), never an exception. One sandbox is one process and one thread's.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from uniform_core.errors import Rejection, StorageError
from uniform_core.files import fsync
from uniform_core.media.answers import (
    Message,
    canonical_clip,
    complete,
    decoded_media,
    frame_piece,
    make_directory,
    placed,
    rejected,
    rejection,
    start_s,
    streamed_media,
    verdict,
)
from uniform_core.media.forms import (
    PIECE_SLOTS,
    CanonicalForm,
    CutRule,
    DecodeRule,
    Limits,
    StreamRule,
    batches,
)
from uniform_core.media.process import WorkerLostError, WorkerProcess, worker_command
from uniform_core.media.results import (
    CanonicalClip,
    CutClip,
    DecodedMedia,
    FramePiece,
    MeasuredFile,
    RejectedWindow,
    SourceFacts,
    StreamedMedia,
)

if TYPE_CHECKING:
    from uniform_core.types import Window

NO_ANSWER = Rejection("crash", "an answer expected, the worker gave none")


class Sandbox:
    """A worker process, started when first needed and again after a crash, a timeout or its share of requests."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._process: WorkerProcess | None = None
        self._served = 0
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the worker and remove the scratch files. The sandbox may be used again."""
        self._end_process()
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None

    @property
    def worker_pid(self) -> int | None:
        """The process that is running now, if one is."""
        return self._process.pid if self._process is not None else None

    def probe(self, path: Path) -> SourceFacts | Rejection:
        """What a file says of itself, or why it is no media."""
        last: SourceFacts | Rejection = NO_ANSWER
        for message in self._ask("probe", path):
            last = SourceFacts(**message["facts"]) if message["kind"] == "facts" else rejection(message)
        return last

    def canonicalise(
        self,
        path: Path,
        windows: Sequence[Window] | None,
        *,
        cut: CutRule,
        form: CanonicalForm,
        out_dir: Path,
        names: Callable[[Window], str],
    ) -> list[CanonicalClip | RejectedWindow]:
        """One result for each window, those of the cut rule where none are given, by their start.

        A whole-file failure gives one `RejectedWindow` with window None; with windows given, each that was not done
        gets the reason. `names` gives a clip's path relative to `out_dir`. Raises StorageError where it cannot be
        written; `out_dir` then holds whole clips only.
        """
        make_directory(out_dir)
        request = {"form": asdict(form), "cut": asdict(cut), "out_dir": str(out_dir.resolve())}
        results: list[CanonicalClip | RejectedWindow] = []
        groups: list[list[Window] | None] = [None] if windows is None else list(batches(list(windows)))
        for group in groups:
            spans = None if group is None else [[window.start_s, window.end_s] for window in group]
            fresh = [
                canonical_clip(message, out_dir, names) if message["kind"] == "clip" else rejected(message)
                for message in self._ask("canonicalise", path, out_dir=out_dir, request={**request, "windows": spans})
            ]
            results += fresh if group is None else complete(group, fresh, one_for_all=len(groups) == 1)
        fsync(out_dir)  # the names in a folder, as durable as the bytes
        return sorted(results, key=start_s)

    def cut(
        self,
        path: Path,
        spans: Sequence[Window],
        *,
        out_dir: Path,
        names: Callable[[Window], str],
        starts_at_s: float = 0.0,
    ) -> list[CutClip | RejectedWindow]:
        """One result for each span of a video, by their start: a file of its own, at the video's rate and size.

        Second `starts_at_s` of the video is the file's first moment. `names` gives a clip's path relative to `out_dir`.
        Raises StorageError where it cannot be written; `out_dir` then holds whole clips only.
        """
        make_directory(out_dir)
        results: list[CutClip | RejectedWindow] = []
        for group in batches(list(spans)):
            spans_of = {(span.start_s - starts_at_s, span.end_s - starts_at_s): span for span in group}
            request = {"spans": list(spans_of), "out_dir": str(out_dir.resolve())}
            fresh: list[CutClip | RejectedWindow] = []
            for message in self._ask("cut", path, out_dir=out_dir, request=request):
                span = None if message["window"] is None else spans_of[tuple(message["window"])]
                if message["kind"] == "cut" and span is not None:
                    path_of = placed(message, out_dir, names(span))
                    fresh.append(CutClip(window=span, path=path_of, **message["facts"]))
                else:
                    fresh.append(RejectedWindow(span, rejection(message)))
            results += complete(group, fresh, one_for_all=False)
        fsync(out_dir)
        return sorted(results, key=start_s)

    def measure(self, path: Path, *, longest_s: float | None = None) -> MeasuredFile | Rejection:
        """What a file is when all of it is decoded, or why it is no media; also one that is longer than `longest_s`."""
        last: MeasuredFile | Rejection = NO_ANSWER
        for message in self._ask("measure", path, request={"longest_s": longest_s}):
            last = MeasuredFile(**message["measured"]) if message["kind"] == "measured" else rejection(message)
        return last

    def decode(self, path: Path, rule: DecodeRule) -> DecodedMedia | Rejection:
        """A file's pictures and sound by a protocol's rule, or why it has none. Raises StorageError."""
        frames_file, sound_file = self._scratch_file("frames.rgb"), self._scratch_file("sound.f32")
        request = {"rule": asdict(rule), "frames_file": str(frames_file), "sound_file": str(sound_file)}
        last: DecodedMedia | Rejection = NO_ANSWER
        try:
            for message in self._ask("decode", path, request=request):
                is_good = message["kind"] == "decoded"
                last = decoded_media(message["decoded"], frames_file, sound_file) if is_good else rejection(message)
        finally:
            frames_file.unlink(missing_ok=True)
            sound_file.unlink(missing_ok=True)
        return last

    def stream(self, path: Path, rule: StreamRule, see: Callable[[FramePiece], bool]) -> StreamedMedia | Rejection:
        """A file as it is: `see` is handed its frames piece by piece, and says whether it wants more; sound comes last.

        Memory does not grow with the picture's length. The time that `see` takes is not counted as the file's. A file
        that turns out bad on the way is a `Rejection` after some pieces. Raises StorageError.
        """
        frames_files = [self._scratch_file(f"frames{slot}.rgb") for slot in range(PIECE_SLOTS)]
        sound_file = self._scratch_file("sound.f32")
        request = {
            "rule": asdict(rule),
            "frames_files": [str(file) for file in frames_files],
            "sound_file": str(sound_file),
        }
        last: StreamedMedia | Rejection = NO_ANSWER
        messages = self._ask("stream", path, request=request)
        answer: Message | None = None
        try:
            while True:
                message = messages.send(answer)
                answer = None
                if message["kind"] == "frames":
                    answer = {"more": see(frame_piece(message, frames_files))}
                elif message["kind"] == "streamed":
                    last = streamed_media(message["streamed"], sound_file)
                else:
                    last = rejection(message)
        except StopIteration:
            return last
        finally:
            messages.close()
            for file in (*frames_files, sound_file):
                file.unlink(missing_ok=True)

    def _scratch_file(self, name: str) -> Path:
        if self._scratch is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="uniform-media-")
        return Path(self._scratch.name, name)

    def command(self) -> list[str]:
        """The words that start the worker."""
        return worker_command(self.limits.memory_bytes)

    def _ask(
        self, kind: str, path: Path, *, request: Message | None = None, out_dir: Path | None = None
    ) -> Generator[Message, Message | None, None]:
        """The messages of one request without progress and end; a lost worker is a last message `refused`.

        What is sent in goes to the worker. The time between two messages that the caller takes is not the worker's.
        """
        process = self._ready()
        ends_at = time.monotonic() + self.limits.request_wall_s
        question = {"kind": kind, "path": str(path.absolute()), "limits": asdict(self.limits), **(request or {})}
        finished, spent, time_s = False, False, 0.0
        try:
            process.send(question)
            while True:
                message = process.receive(max(0.0, min(self.limits.wall_s, ends_at - time.monotonic())))
                if message["kind"] == "end":
                    break
                if message["kind"] == "unwritable":
                    raise StorageError(
                        str(out_dir or "scratch folder"),
                        expected="a folder that can be written",
                        found=message["message"],
                        fix="Make room or choose another folder, then run again: finished clips are kept.",
                    )
                if message["kind"] == "progress":
                    time_s = message["time_s"]
                else:
                    spent |= message.get("error_class") in ("memory", "crash")
                    told_at = time.monotonic()
                    answer = yield message
                    ends_at += time.monotonic() - told_at
                    if answer is not None:
                        process.send(answer)
            finished = True
        except WorkerLostError as lost:
            if lost.error_class == "timeout" and time.monotonic() >= ends_at:
                lost = self._took_too_long(time_s)
            yield {"kind": "refused", "window": None, **verdict(lost)}
        finally:
            self._served += 1
            if not finished or spent or self._served >= self.limits.requests_per_process:
                self._end_process()
                if out_dir is not None:
                    _remove_parts(out_dir, process.pid)

    def _took_too_long(self, time_s: float) -> WorkerLostError:
        """The whole request's limit is reached. Another try would end there too, so it is the last."""
        found = f"the worker was {time_s:.0f} s into it and was killed; what is done is kept, the rest is left out"
        expected = f"at most {self.limits.request_wall_s:g} s of work on one file expected"
        return WorkerLostError("timeout", f"{expected}, {found}. Cut the file into shorter ones", terminal=True)

    def _ready(self) -> WorkerProcess:
        if self._process is not None and not self._process.alive:
            self._end_process()  # it died between requests: no file's fault
        if self._process is None:
            self._process = WorkerProcess(self.command(), max_message_bytes=self.limits.max_message_bytes)
            self._served = 0
        return self._process

    def _end_process(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process = None


def _remove_parts(directory: Path, pid: int) -> None:
    for part in directory.glob(f".part-{pid}-*.mp4"):
        part.unlink(missing_ok=True)
