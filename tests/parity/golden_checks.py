"""The parity tests of each family as functions of a folder, for folders that tests make themselves."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import test_audio_vae_parity as audio_vae
import test_cnn14_parity as cnn14
import test_hifigan_parity as hifigan
import test_i3d_parity as i3d
import test_iddpm_parity as iddpm
import test_mel_parity as mel
import test_stdit3_parity as stdit3
import test_vae_temporal_parity as vae
import test_vggish_parity as vggish

Check = Callable[[], None]


def of_stdit3(folder: Path, work: Path) -> list[Check]:
    whole = (
        stdit3.test_clean_frames_keep_time_zero,
        stdit3.test_the_unified_width,
        stdit3.test_rope,
        stdit3.test_attention_alone,
    )
    return [
        *(partial(stdit3.test_every_value_on_the_way, folder, case) for case in stdit3.WHOLE),
        *(partial(check, folder) for check in whole),
        *(partial(stdit3.test_position_embedding, folder, name) for name in stdit3.position_grids(folder)),
    ]


def of_vae_temporal(folder: Path, work: Path) -> list[Check]:
    return [
        partial(vae.test_nothing_in_a_folder_is_left_out, folder),
        *(partial(vae.test_posterior_and_decoded, folder, name) for name in vae.cases(folder)),
        *(partial(vae.test_every_recorded_part, folder, name) for name in vae.traced(folder)),
        *(partial(vae.test_a_clip_of_several_chunks_with_shift_and_scale, folder, name) for name in vae.pipes(folder)),
    ]


def of_iddpm(folder: Path, work: Path) -> list[Check]:
    whole = (
        iddpm.test_tables,
        iddpm.test_timestep_maps,
        iddpm.test_min_snr_weights,
        iddpm.test_the_bound_alone_and_its_weight,
    )
    with_tables = (
        iddpm.test_forward_process,
        iddpm.test_posterior,
        iddpm.test_what_the_bound_reads_as_clean,
        iddpm.test_ancestral_trajectory,
        iddpm.test_text_guidance,
        iddpm.test_ddim,
    )
    return [
        *(partial(check, folder) for check in whole),
        *(partial(iddpm.test_losses_with_their_tables, folder, case) for case in iddpm.CASES),
        *(partial(check, folder, "theirs") for check in with_tables),
    ]


def of_mel(folder: Path, work: Path) -> list[Check]:
    whole = (
        mel.test_training_form,
        mel.test_inference_form,
        mel.test_level,
        mel.test_waveform_is_cut_before_the_transform_and_not_after,
        mel.test_filter_bank,
    )
    return [partial(check, folder) for check in whole]


def of_audio_vae(folder: Path, work: Path) -> list[Check]:
    return [partial(audio_vae.test_numbers, folder, "diffusers", work)]


def of_hifigan(folder: Path, work: Path) -> list[Check]:
    return [
        partial(hifigan.test_waveforms_of_its_own_checkpoint, folder, "weightnorm", "", work),
        partial(hifigan.test_waveforms_of_transformers_folder, folder, work),
    ]


def of_vggish(folder: Path, work: Path) -> list[Check]:
    return [partial(check, folder) for check in (vggish.test_front_end, vggish.test_embeddings)]


def of_cnn14(folder: Path, work: Path) -> list[Check]:
    return [
        partial(cnn14.test_front_end, folder),
        *(partial(cnn14.test_features_and_logits, folder, form) for form in cnn14.FORMS),
    ]


def of_i3d(folder: Path, work: Path) -> list[Check]:
    looks = (
        i3d.test_mm_diffusions_features_and_logits,
        i3d.test_logits_of_a_squashed_picture,
        i3d.test_logits_by_the_batch_norm_of_pytorch_i3d,
    )
    return [
        *(partial(i3d.test_front_ends, folder, front) for front in i3d.FRONTS),
        *(partial(check, folder) for check in looks),
    ]


CHECKS: dict[str, Callable[[Path, Path], list[Check]]] = {
    "stdit3": of_stdit3,
    "vae_temporal": of_vae_temporal,
    "iddpm": of_iddpm,
    "mel": of_mel,
    "audio_vae": of_audio_vae,
    "hifigan": of_hifigan,
    "vggish": of_vggish,
    "cnn14": of_cnn14,
    "i3d": of_i3d,
}


def require_parity(name: str, folder: Path, work: Path) -> None:
    """Raises AssertionError where a folder of a family does not pass its tests; weights are written to `work`."""
    work.mkdir()
    for check in CHECKS[name](folder, work):
        check()
