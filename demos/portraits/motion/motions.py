"""How a portrait can move, and the words for it: the vocabulary as data."""

from dataclasses import dataclass

FRAMES = 8  # of the clips that are trained on
# Over a whole clip, whatever its number of frames; half of it before the middle and half after.
POSED_SIZE = 64  # pixels of the image in each direction, in which poses are said
SHIFT = 16.0  # pixels of 64: four latents
ZOOM = 1.6  # times as large


@dataclass(frozen=True)
class Pose:
    """Where a portrait is in the picture: moved, turned and enlarged about the picture's centre.

    Attributes:
        right: pixels of 64.
        down: pixels of 64.
        zoom: times the size of a still portrait.
        turn: degrees, clockwise.
    """

    right: float = 0.0
    down: float = 0.0
    zoom: float = 1.0
    turn: float = 0.0  # no motion turns, but a measured pose can


@dataclass(frozen=True)
class Motion:
    """What happens in a clip.

    Attributes:
        words: what a caption says after a comma; nothing for a portrait that stands still.
        over_clip: the pose at the end as seen from the pose at the start.
    """

    words: str
    over_clip: Pose = Pose()

    def pose(self, time: float) -> Pose:
        """The pose at a time from 0, the clip's start, to 1, its end. In the middle nothing is moved.

        Poses on both sides of the middle, because the U-Net that training starts from knows only
        portraits in the middle: so the farthest pose is half as far from what it knows.
        """
        share, whole = time - 0.5, self.over_clip
        return Pose(share * whole.right, share * whole.down, whole.zoom**share)


MOTIONS = {
    "still": Motion(""),
    "left": Motion("moving left", Pose(right=-SHIFT)),
    "right": Motion("moving right", Pose(right=SHIFT)),
    "up": Motion("moving up", Pose(down=-SHIFT)),
    "down": Motion("moving down", Pose(down=SHIFT)),
    "in": Motion("zooming in", Pose(zoom=ZOOM)),
    "out": Motion("zooming out", Pose(zoom=1 / ZOOM)),
}
OPPOSITES = {"left": "right", "up": "down", "in": "out"}
