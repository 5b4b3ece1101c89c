"""The classes of the procedural dataset. A new one is a new file and one line here."""

from uniform_core.datasets.scenes.ball import BouncingBall
from uniform_core.datasets.scenes.base import Scene as Scene
from uniform_core.datasets.scenes.engine import Engine
from uniform_core.datasets.scenes.pendulum import Pendulum
from uniform_core.datasets.scenes.rain import Rain
from uniform_core.datasets.scenes.siren import Siren
from uniform_core.datasets.scenes.waves import Waves

SCENES: dict[str, type[Scene]] = {scene.label: scene for scene in (BouncingBall, Siren, Pendulum, Engine, Rain, Waves)}
