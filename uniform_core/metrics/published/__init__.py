"""The published nets of evaluation: VGGish, PANNs Cnn14, I3D-400, and those that come as TorchScript.

Their configs stand here and need no torch; what a config builds does.
"""

from uniform_core.metrics.published.configs import Cnn14Config as Cnn14Config
from uniform_core.metrics.published.configs import I3dConfig as I3dConfig
from uniform_core.metrics.published.configs import PublishedConfig as PublishedConfig
from uniform_core.metrics.published.configs import VggishConfig as VggishConfig
from uniform_core.metrics.published.scripted import ScriptConfig as ScriptConfig
from uniform_core.metrics.published.scripted import c3d_ucf101 as c3d_ucf101
from uniform_core.metrics.published.scripted import i3d_torchscript as i3d_torchscript
