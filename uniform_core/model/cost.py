"""What a UniForm costs: its parameters, its FLOPs and its memory, by arithmetic alone. Nothing here imports torch.

A product of [n, k] and [k, m] is 2·n·k·m FLOPs; what is not a product (norms, gates, softmax) is not counted.
Notation: M hidden width, I inner width of the MLP, N tokens of a clip, T its token frames, S tokens of a frame,
L text tokens, P values of a patch, D text width.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from uniform_core.model.config import TIME_WAVES, ModelConfig
from uniform_core.spec import LatentLayout
from uniform_core.types import Modality, Task

# Bytes a parameter: what a trainer holds, all in float32, and the bfloat16 copy that autocast makes of each weight.
STATE_BYTES = {"weights": 4, "moving average": 4, "moments": 8, "gradients": 4, "gradient vector": 4}
CAST_BYTES = 2
CHECKPOINT_BYTES = {"weights": 4, "moving average": 4, "moments": 8}  # and 4 of a guide, where one is kept
# Bytes that a token of a block keeps for backward, eager, by hidden width and by inner width of the MLP, counted in
# tests/unit/test_model_cost.py: the residual stream and norms are float32, what enters and leaves products bfloat16.
KEPT_WIDTHS = {"bfloat16": 54.7, "float32": 76.4}
KEPT_INNER = {"bfloat16": 4.0, "float32": 8.0}
COMPILED_SHARE = {"bfloat16": 0.72, "float32": 0.85}  # torch.compile makes some of it again instead: counted, too


def count_parameters(config: ModelConfig, layout: LatentLayout) -> int:
    """The trained values of a model, exactly."""
    m, channels = config.hidden, layout.video_CTHW[0]
    patch = math.prod(config.patch_THW)
    scalar = _linear(TIME_WAVES, m) + _linear(m, m)
    text = _linear(config.text_width, m) + _linear(m, m)
    final = _linear(m, 2 * channels * patch) + 2 * m
    ends = _linear(channels * patch, m) + 2 * scalar + _linear(m, 6 * m) + text + final
    task = len(Task) * channels * layout.video_CTHW[2]
    return ends + 2 * config.depth * _block_parameters(config) + task + _kinds(config) * m


def _linear(width_in: int, width_out: int) -> int:
    return width_in * width_out + width_out


def _kinds(config: ModelConfig) -> int:
    """How many vectors say what a token holds: of video, audio and the task."""
    return len(Modality) + 1 if config.modality_embedding else 0


def _block_parameters(config: ModelConfig) -> int:
    m, inner = config.hidden, inner_width(config)
    norms = 2 * config.head_width * (config.qk_norm + config.text_qk_norm)
    attention = _linear(m, 3 * m) + _linear(m, m)
    to_text = _linear(m, m) + _linear(m, 2 * m) + _linear(m, m)
    return 6 * m + norms + attention + to_text + _linear(m, inner) + _linear(inner, m)


def inner_width(config: ModelConfig) -> int:
    """I."""
    return int(config.hidden * config.mlp_ratio)


@dataclass(frozen=True)
class ForwardFlops:
    """One forward pass of one clip, by part. `text` (embedding, keys and values) is needed once a generation."""

    linears: int
    spatial_attention: int
    temporal_attention: int
    text_attention: int
    text: int
    ends: int  # patches in and out, and the codes of time and rate

    @property
    def total(self) -> int:
        return sum(asdict(self).values())

    @property
    def of_blocks(self) -> int:
        """What checkpointing of every block does again (keys and values of texts are made outside)."""
        return self.linears + self.spatial_attention + self.temporal_attention + self.text_attention


def forward_flops(config: ModelConfig, layout: LatentLayout, *, text_tokens: int) -> ForwardFlops:
    """The FLOPs of a clip whose text has that many tokens."""
    m, inner, blocks = config.hidden, inner_width(config), 2 * config.depth
    frames, rows, columns = layout.grid_THW
    frame_tokens = rows * columns
    tokens = frames * frame_tokens
    patch_values = layout.video_CTHW[0] * math.prod(config.patch_THW)
    scalar = TIME_WAVES * m + m * m
    kinds = frame_tokens * _kinds(config) * m
    return ForwardFlops(
        linears=2 * tokens * blocks * (3 * m * m + m * m + 2 * m * m + 2 * m * inner),
        spatial_attention=4 * config.depth * frames * frame_tokens**2 * m,
        temporal_attention=4 * config.depth * frame_tokens * frames**2 * m,
        text_attention=4 * blocks * tokens * text_tokens * m,
        text=2 * text_tokens * (config.text_width * m + m * m + blocks * 2 * m * m),
        ends=2 * tokens * (patch_values * m + m * 2 * patch_values) + 2 * (2 * scalar + 6 * m * m + kinds),
    )


def recomputed_blocks(config: ModelConfig, every: int) -> int:
    """How many blocks keep nothing but their input for backward: every `every`-th, from the first; 0: none."""
    return math.ceil(2 * config.depth / every) if every else 0


def train_flops(config: ModelConfig, layout: LatentLayout, *, text_tokens: int, recompute_every: int = 0) -> int:
    """What the machine does for a clip in training: three forwards, and those of recomputed blocks once more."""
    forward = forward_flops(config, layout, text_tokens=text_tokens)
    again = forward.of_blocks * recomputed_blocks(config, recompute_every) // (2 * config.depth)
    return 3 * forward.total + again


def generation_flops(
    config: ModelConfig, layout: LatentLayout, *, text_tokens: int, steps: int, passes: int = 2
) -> int:
    """A clip of `steps` steps with `passes` forward passes each (2: guided by text); texts are prepared once."""
    forward = forward_flops(config, layout, text_tokens=text_tokens)
    return passes * (steps * (forward.total - forward.text) + forward.text)


@dataclass(frozen=True)
class TrainDisk:
    """Bytes of one checkpoint and of the model that leaves training; the null text and file headers are not counted."""

    checkpoint: int
    export: int


def train_disk(config: ModelConfig, layout: LatentLayout, *, has_guide: bool) -> TrainDisk:
    """What is written of a training; `has_guide`: an early moving average stands beside the weights in both."""
    parameters, guide = count_parameters(config, layout), 4 * has_guide
    return TrainDisk(parameters * (sum(CHECKPOINT_BYTES.values()) + guide), parameters * (4 + guide))


@dataclass(frozen=True)
class TrainMemory:
    """Bytes that one rank needs: what stays, and what a micro-batch keeps for backward."""

    states: int
    casts: int
    activations: int

    @property
    def total(self) -> int:
        return self.states + self.casts + self.activations


def train_memory(
    config: ModelConfig,
    layout: LatentLayout,
    *,
    micro_batch: int,
    precision: str,
    recompute_every: int = 0,
    is_compiled: bool = False,
) -> TrainMemory:
    """An estimate for attention that keeps no scores, without what the allocator loses.

    activations = micro_batch · N · (kept blocks · K + recomputed blocks · 4 M + one block more · K where any is
    recomputed), K = KEPT_WIDTHS · M + KEPT_INNER · I bytes, times COMPILED_SHARE under torch.compile.
    """
    m, inner = config.hidden, inner_width(config)
    kept_bytes = KEPT_WIDTHS[precision] * m + KEPT_INNER[precision] * inner
    kept_bytes *= COMPILED_SHARE[precision] if is_compiled else 1.0
    recomputed = recomputed_blocks(config, recompute_every)
    whole = 2 * config.depth - recomputed + (recomputed > 0)
    a_token = whole * kept_bytes + recomputed * 4 * m
    parameters = count_parameters(config, layout)
    return TrainMemory(
        states=parameters * sum(STATE_BYTES.values()),
        casts=parameters * CAST_BYTES if precision == "bfloat16" else 0,
        activations=round(micro_batch * layout.tokens * a_token),
    )
