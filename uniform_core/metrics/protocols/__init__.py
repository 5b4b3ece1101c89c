"""The named protocols: how the numbers of a table were made, as data. A new one is one file and one line here."""

from uniform_core.errors import ConfigError
from uniform_core.metrics.protocols.audioldm_eval import AUDIOLDM_EVAL
from uniform_core.metrics.protocols.av_align import SEEING_AND_HEARING, TEMPOTOKENS_2025
from uniform_core.metrics.protocols.av_benchmark import AV_BENCHMARK
from uniform_core.metrics.protocols.base import Missing as Missing
from uniform_core.metrics.protocols.base import ProtocolSet as ProtocolSet
from uniform_core.metrics.protocols.mmdiffusion import MMDIFFUSION
from uniform_core.metrics.protocols.styleganv import STYLEGANV
from uniform_core.metrics.protocols.uniform import UNIFORM

PROTOCOLS = {
    named.name: named
    for named in (
        UNIFORM,
        AUDIOLDM_EVAL,
        AV_BENCHMARK,
        MMDIFFUSION,
        STYLEGANV,
        TEMPOTOKENS_2025,
        SEEING_AND_HEARING,
    )
}


def protocol_named(name: str) -> ProtocolSet:
    """The protocol of a name. Raises ConfigError that lists those that there are."""
    if name not in PROTOCOLS:
        raise ConfigError(
            "protocol", expected=f"one of {', '.join(PROTOCOLS)}", found=name, fix="See `uniform protocols list`."
        )
    return PROTOCOLS[name]
