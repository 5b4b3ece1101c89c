"""Text encoders. A new one is a new file and one import line here."""

from uniform_core.families import members_of, tagged_union
from uniform_core.text.base import TextEncoder as TextEncoder
from uniform_core.text.base import TextEncoderConfig as TextEncoderConfig
from uniform_core.text.base import TextFeatures as TextFeatures
from uniform_core.text.flan_t5 import FlanT5Config as FlanT5Config
from uniform_core.text.hashing import HashingTextConfig as HashingTextConfig

MEMBERS = members_of(globals(), TextEncoderConfig)
AnyTextEncoder = tagged_union(MEMBERS)
