"""Codecs: video, audio, vocoders. A new one is a new file and one import line here."""

from uniform_core.codecs.audioldm_vae import AudioLdmVaeConfig as AudioLdmVaeConfig
from uniform_core.codecs.base import AudioCodec as AudioCodec
from uniform_core.codecs.base import AudioCodecConfig as AudioCodecConfig
from uniform_core.codecs.base import VideoCodec as VideoCodec
from uniform_core.codecs.base import VideoCodecConfig as VideoCodecConfig
from uniform_core.codecs.base import Vocoder as Vocoder
from uniform_core.codecs.base import VocoderConfig as VocoderConfig
from uniform_core.codecs.dct_mel import DctMelConfig as DctMelConfig
from uniform_core.codecs.dct_video import DctVideoConfig as DctVideoConfig
from uniform_core.codecs.griffin_lim import GriffinLimConfig as GriffinLimConfig
from uniform_core.codecs.hifigan import HifiGanConfig as HifiGanConfig
from uniform_core.codecs.opensora_vae import OpenSoraVaeConfig as OpenSoraVaeConfig
from uniform_core.codecs.sound_form import SoundForm as SoundForm
from uniform_core.families import members_of, tagged_union

VIDEO_CODECS = members_of(globals(), VideoCodecConfig)
AUDIO_CODECS = members_of(globals(), AudioCodecConfig)
VOCODERS = members_of(globals(), VocoderConfig)
AnyVideoCodec = tagged_union(VIDEO_CODECS)
AnyAudioCodec = tagged_union(AUDIO_CODECS)
AnyVocoder = tagged_union(VOCODERS)
