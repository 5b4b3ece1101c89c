"""Captioners. A new one is a new file and one import line here."""

from uniform_core.captioners.base import Captioner as Captioner
from uniform_core.captioners.base import CaptionerConfig as CaptionerConfig
from uniform_core.captioners.base import CaptionInput as CaptionInput
from uniform_core.captioners.base import CaptionResult as CaptionResult
from uniform_core.captioners.class_label import ClassLabelConfig as ClassLabelConfig
from uniform_core.captioners.openai_http import OpenAiHttpConfig as OpenAiHttpConfig
from uniform_core.captioners.pllava import PllavaConfig as PllavaConfig
from uniform_core.captioners.sidecar import SidecarConfig as SidecarConfig
from uniform_core.captioners.transformers_vlm import TransformersVlmConfig as TransformersVlmConfig
from uniform_core.families import members_of, tagged_union

MEMBERS = members_of(globals(), CaptionerConfig)
AnyCaptioner = tagged_union(MEMBERS)
