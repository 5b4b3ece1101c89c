"""What is known of public weights before they are here: files, sizes, hashes, licence."""

from __future__ import annotations

from pydantic import Field, field_validator

from uniform_core.types import Count, Frozen

SMALL = (".json", "spiece.model")  # how texts beside the weights end


class WeightsFile(Frozen):
    """One file. `path` is its place in the folder of its weights and, where it has no `url`, in the repository.

    `size_bytes` and `sha256` are the published ones; None where nobody published them: those seen first are pinned.
    `about_bytes` is a size that was published rounded (three digits): enough to say, to look for room, and to refuse
    what cannot be the file. `sha256_prefix` is how a sha256 begins of which no more was published.
    """

    path: str
    url: str | None = Field(default=None, pattern=r"^https://\S+$")
    size_bytes: Count | None = None
    about_bytes: Count | None = None
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    sha256_prefix: str | None = Field(default=None, pattern=r"^[0-9a-f]{8,63}$")

    @field_validator("path")
    @classmethod
    def _stays_inside(cls, path: str) -> str:
        if path.startswith("/") or any(part in ("", "..") or part.startswith(".") for part in path.split("/")):
            raise ValueError("should be a plain relative path, no part of it beginning with a dot")
        return path

    def is_published(self, sha256: str) -> bool:
        """Whether a file of this sha256 may be it, as far as one was published."""
        return self.sha256 in (None, sha256) and sha256.startswith(self.sha256_prefix or "")

    @property
    def published_sha256(self) -> str | None:
        """What was published of its sha256, in words; None for nothing."""
        return self.sha256 or (f"{self.sha256_prefix}…" if self.sha256_prefix else None)

    @property
    def likely_bytes(self) -> int | None:
        """The published size, exact or rounded; None where neither is known."""
        return self.size_bytes or self.about_bytes


class Weights(Frozen):
    """Files that belong together. `repo` is one of Hugging Face's, at `revision`; None: every file has its own url."""

    name: str
    repo: str | None
    revision: str = "main"
    files: tuple[WeightsFile, ...] = Field(min_length=1)
    licence: str
    is_commercial: bool  # whether the licence allows commercial use
    used_for: str

    @property
    def likely_bytes(self) -> int:
        """The size of all files together, as far as it is known."""
        return sum(file.likely_bytes or 0 for file in self.files)

    @property
    def is_size_known(self) -> bool:
        """Whether nothing large is missing in `likely_bytes`: configs and tokenizers are small."""
        return all(file.likely_bytes or file.path.endswith(SMALL) for file in self.files)

    @property
    def source(self) -> str:
        """Where a person can look at them: the repository, or the address of the first file."""
        return self.repo or self.files[0].url or self.name
