"""Any server that answers as OpenAI's chat completions do (vLLM's, for one), as a config."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from uniform_core.captioners.frames import ShortSide, in_size
from uniform_core.captioners.prompts import PromptedConfig
from uniform_core.captioners.sampling import Sampling
from uniform_core.settings import web_address_mistake
from uniform_core.types import PositiveFloat

if TYPE_CHECKING:
    from uniform_core.captioners.chat import ChatCaptioner

VERSION: Final = 1
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


class OpenAiHttpConfig(PromptedConfig):
    """A model behind an address that ends where `/chat/completions` would follow: `http://127.0.0.1:8000/v1`.

    Frames go as JPEG in data URLs: one image each (`images`), or all in one `video_url` as vLLM takes them (`video`).
    No server says which weights it serves: `model_revision` does, and another one is another corpus. The key is read
    from the environment variable `api_key_env`; it is in no config, row or message. One request may last `timeout_s`
    and is tried `tries` times, where the server is busy, broken or silent, after `pause_s`, twice that, and so on.
    `concurrency` requests are under way at once, from all processes of a stage together.
    """

    kind: Literal["openai_http"] = "openai_http"
    url: str = "http://127.0.0.1:8000/v1"
    model: str = Field(default="Qwen/Qwen2.5-VL-7B-Instruct", min_length=1, max_length=500)
    model_revision: str | None = Field(default=None, min_length=1, max_length=200)
    frames: Annotated[int, Field(strict=True, gt=0, le=128)] = 8
    short_side_px: ShortSide | None = 336
    jpeg_quality: Annotated[int, Field(strict=True, ge=10, le=100)] = 90
    form: Literal["images", "video"] = "images"
    generation: Sampling = Sampling()
    api_key_env: str | None = Field(default=None, pattern=r"^[A-Z][A-Z0-9_]{0,99}$")
    timeout_s: PositiveFloat = 120.0
    tries: Annotated[int, Field(strict=True, gt=0, le=20)] = 4
    pause_s: PositiveFloat = 1.0
    longest_pause_s: PositiveFloat = 60.0
    concurrency: Annotated[int, Field(strict=True, gt=0, le=256)] = 8

    @field_validator("url")
    @classmethod
    def _is_address(cls, url: str) -> str:
        mistake = web_address_mistake(url)
        if mistake:
            raise ValueError(mistake)
        parts = urlsplit(url)
        if "@" in parts.netloc:
            raise ValueError("should have no name or password: name the variable of a key with api_key_env")
        if parts.query or parts.fragment:
            raise ValueError("should have no ? and no #")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _sends_no_key_in_the_open(self) -> OpenAiHttpConfig:
        parts = urlsplit(self.url)
        if self.api_key_env is not None and parts.scheme.lower() != "https" and parts.hostname not in LOOPBACK:
            raise ValueError("url should begin with https:// where there is a key: anyone between could read it")
        return self

    @property
    def revision(self) -> str:
        named = self.model if self.model_revision is None else f"{self.model}@{self.model_revision}"
        return f"http-{VERSION} {named}"

    @property
    def sampling(self) -> dict[str, object]:
        return self.generation.model_dump(mode="json")

    @property
    def frame_policy(self) -> str:
        return f"{in_size(f'even:{self.frames}', self.short_side_px)} jpeg={self.jpeg_quality} as {self.form}"

    @property
    def can_vary(self) -> bool:
        return self.generation.can_vary

    @property
    def batch_clips(self) -> int:
        return 4 * self.concurrency

    def shared(self, processes: int) -> tuple[int, Self]:
        """So many that each has a request of its own, and what each has of `concurrency`."""
        used = min(processes, self.concurrency)
        return used, self.model_copy(update={"concurrency": self.concurrency // used})

    def fingerprint_params(self) -> dict[str, Any]:
        """What decides the words, as far as anybody outside of the server knows; not where it runs."""
        named = {"system": self.asked.system, "user": self.asked.user}
        return {"kind": self.kind, "frames": self.frame_policy, "sampling": self.sampling, "asked": named}

    def require_ready(self) -> None:
        from uniform_core.captioners.chat import require_server

        require_server(self)

    def build(self) -> ChatCaptioner:
        """The captioner; the server is first asked with the first clip. Raises ConfigError where the key is not set."""
        from uniform_core.captioners.chat import ChatCaptioner

        return ChatCaptioner.open(self)
