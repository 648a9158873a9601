"""How much a visitor may ask of the server: each limit, with what is said to who asks for more."""

from dataclasses import dataclass, fields

from mmcache.errors import shown


class LimitError(ValueError):
    """More was asked for than the server gives; the message says how much it gives."""


@dataclass(frozen=True)
class Limits:
    """The most that one visitor may ask for, and that is kept.

    Attributes:
        steps: sampling steps of a run.
        side: pixels of the longer side of what is drawn.
        frames: of a clip.
        prompt_characters: of a prompt.
        upload_bytes: of a file that is uploaded.
        upload_pixels: of a picture that is uploaded.
        waiting: runs in the queue, of all visitors together.
        kept_full_runs: full runs that are kept for one visitor, so that another plan needs only its own run.
        gallery: comparisons that one visitor's gallery keeps.
        visits: visitors whose results are kept; the one who was idle for longest makes room.
        models: pipelines in memory; the one that was not used for longest makes room.
        visitor_bytes: uploads of one address that are kept.
        all_bytes: uploads of everybody that are kept.
        request_seconds: in which the whole of a request has to arrive.
        order_seconds: for which a place is kept for a run that was announced and did not come.
        idle_seconds: after so long without a request a visitor's files are deleted.
    """

    steps: int = 100
    side: int = 1024
    frames: int = 16
    prompt_characters: int = 1000
    upload_bytes: int = 10 * 2**20
    upload_pixels: int = 16_000_000
    waiting: int = 20
    kept_full_runs: int = 4
    gallery: int = 12
    visits: int = 100
    models: int = 5
    visitor_bytes: int = 64 * 2**20
    all_bytes: int = 512 * 2**20
    request_seconds: int = 60
    order_seconds: int = 30
    idle_seconds: int = 3600

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"Limits({field.name}={value!r}): must be a whole number of at least 1")

    def check(self, name: str, asked: int, field: str = "") -> None:
        """Refuse more than a limit.

        Args:
            name: of the limit.
            asked: for how much.
            field: what the visitor knows it as, where that is not the limit's name.

        Raises:
            LimitError: it is more.
        """
        most = getattr(self, name)
        if asked > most:
            what = field or name.replace("_", " ")
            raise LimitError(
                f"{what}: {shown(asked)} asked for, and this server gives at most {most}. Take fewer."
            )

    def in_words(self) -> str:
        """The limits that a visitor meets, as one sentence."""
        return (
            f"At most {self.steps} steps, {self.side} pixels along a side, {self.frames} frames, uploads of "
            f"{self.upload_bytes / 2**20:.3g} MiB and {self.upload_pixels / 1e6:.3g} million pixels; one run "
            f"at a time, and {self.waiting} may wait."
        )
