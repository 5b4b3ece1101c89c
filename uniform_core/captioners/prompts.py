"""What captioners are asked, by name. A prompt is a parameter: its words are fingerprinted, and kept in the catalog."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from pydantic import Field, model_validator

from uniform_core.captioners.base import CaptionerConfig

MAX_PROMPT_CHARS: Final = 20_000


@dataclass(frozen=True)
class Prompt:
    """What is asked of a clip: `user` beside the frames, `system` before all, where a prompt has such a part."""

    user: str
    system: str | None = None

    @property
    def text(self) -> str:
        """Both as one text."""
        return self.user if self.system is None else f"{self.system}\n\n{self.user}"


PROMPTS: Final[Mapping[str, Prompt]] = {
    "describe": Prompt("Describe this video in one detailed paragraph: who and what is seen, what happens, and where."),
    "one_sentence": Prompt("Describe this video in one sentence."),
    "sounding": Prompt(
        "Describe this video in one paragraph. Name everything in it that makes a sound, what it does to make it, and "
        "when. Then describe the rest of the scene. Name only what is seen."
    ),
    # As Open-Sora v1.2 asks pLLaVA (tools/caption/pllava_dir/caption_pllava.py): a description from which the video can
    # be made again, of at most six sentences, with three examples. Its words, and its examples, are not ours to copy:
    # these say the same in our own.
    "six_sentences": Prompt(
        user="Describe the video in detail.",
        system=(
            "Describe this video, and attend to every object in it. Another model must be able to make the video again "
            "from your description alone. Use at most six sentences. Three examples of a good description: "
            "1. An old man in a yellow raincoat pushes a red bicycle over a wooden bridge at dawn. Fog hangs "
            "above the river, and the wet boards shine. He wears round glasses and a grey cap, and a wicker "
            "basket with apples is tied to the handlebars. A small white dog walks beside him. The camera follows "
            "them slowly from the side. 2. Seen from close above the ground, a herd of wild horses gallops "
            "towards the viewer over dry grass, manes flying, hooves throwing up dust that the low evening sun "
            "turns orange. Bare hills stand in the distance under thin clouds. The picture is sharp in front and "
            "soft behind. 3. From the air, a steam train crosses a stone viaduct between steep green slopes. "
            "White smoke drifts over the carriages and dissolves in the wind. A lake lies below, dark and still, "
            "with one rowing boat near its shore. The camera circles the train while it goes from left to right."
        ),
    ),
}


class PromptedConfig(CaptionerConfig):
    """A captioner that is asked in words: by the name of a prompt, or in words of one's own."""

    default_prompt: ClassVar[str] = "describe"

    prompt_name: str | None = None
    prompt_words: str | None = Field(default=None, max_length=MAX_PROMPT_CHARS)

    @model_validator(mode="after")
    def _knows_its_prompt(self) -> PromptedConfig:
        if self.prompt_name is not None and self.prompt_words is not None:
            raise ValueError("give prompt_name or prompt_words, not both")
        if self.prompt_name is not None and self.prompt_name not in PROMPTS:
            known = ", ".join(PROMPTS)
            raise ValueError(f"prompt_name must be one of {known}; or give prompt_words; found {self.prompt_name!r}")
        if self.prompt_words is not None and not self.prompt_words.strip():
            raise ValueError("prompt_words must have words")
        return self

    @property
    def asked(self) -> Prompt:
        """The prompt in its parts."""
        if self.prompt_words is not None:
            return Prompt(self.prompt_words)
        return PROMPTS[self.prompt_name or self.default_prompt]

    @property
    def prompt(self) -> str:
        return self.asked.text
