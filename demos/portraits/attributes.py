"""What a portrait can look like: the vocabulary as data, and seeded random portraits.

Names on the left are the words of the captions; names on the right are the parts of the
package python-avatars. Its shirt graphics and its look-alikes of film and history characters
are left out. The colours are ours: the package's own are too close to each other to be told
apart in small images.
"""

import random
from dataclasses import dataclass

SIZE = 128  # pixels of a portrait's image in each direction

HAIR_STYLES = {
    "bald": "NONE",
    "short": "SHORT_FLAT",
    "long": "STRAIGHT_STRAND",
    "wavy": "LOOSE_HAIR",
    "curly": "CURLY",
    "afro": "FRO",
    "bob": "BOB",
    "bun": "BUN",
    "spiky": "SHORT_DREADS_2",
    "dreadlocks": "DREADS",
}
HAIR_COLORS = {
    "black": "#1a1513",
    "brown": "#6b3a1a",
    "blonde": "#f2d16b",
    "red": "#d1350c",
    "gray": "#b4b9c0",
    "pink": "#ff5fb0",
}
GLASSES = {"none": "NONE", "glasses": "PRESCRIPTION_2", "round glasses": "ROUND", "sunglasses": "WAYFARERS"}
HATS = {"none": "", "hat": "HAT", "beanie": "WINTER_HAT_3", "turban": "TURBAN"}
FACIAL_HAIR = {"none": "NONE", "beard": "BEARD_MEDIUM", "moustache": "MOUSTACHE_MAGNUM"}
CLOTHING = {
    "t-shirt": "SHIRT_CREW_NECK",
    "v-neck": "SHIRT_V_NECK",
    "hoodie": "HOODIE",
    "sweater": "COLLAR_SWEATER",
    "overalls": "OVERALL",
    "blazer": "BLAZER_SHIRT",
}
# Hats and clothes share these.
FABRIC_COLORS = {
    "black": "#24282d",
    "white": "#f4f4f4",
    "red": "#dd1f2d",
    "blue": "#2350d8",
    "green": "#179544",
    "yellow": "#ffd400",
}
# Mouth, eyes and eyebrows belong together, so that an expression reads in a small image.
EXPRESSIONS = {
    "smiling": ("SMILE", "HAPPY", "DEFAULT"),
    "sad": ("SAD", "DEFAULT", "SAD_CONCERNED"),
    "surprised": ("SCREAM_OPEN", "SURPRISED", "RAISED_EXCITED"),
    "serious": ("SERIOUS", "DEFAULT", "DEFAULT"),
}
BACKGROUNDS = {
    "white": "#f3f3f3",
    "yellow": "#ffe45c",
    "orange": "#ff9436",
    "red": "#ea5a5f",
    "pink": "#ffb4d6",
    "purple": "#a57be6",
    "blue": "#74bdff",
    "green": "#86d67f",
}
# Skin is not named in captions: pictures of one prompt vary in it.
SKINS = {"pale": "#ffdbb4", "light": "#edb98a", "tan": "#c98a52", "brown": "#8d5a32"}

# The fields of a portrait that captions can name, with their values.
VALUES = {
    "background": tuple(BACKGROUNDS),
    "glasses": tuple(GLASSES),
    "hat": tuple(HATS),
    "hat_color": tuple(FABRIC_COLORS),
    "hair": tuple(HAIR_STYLES),
    "hair_color": tuple(HAIR_COLORS),
    "facial_hair": tuple(FACIAL_HAIR),
    "clothing": tuple(CLOTHING),
    "clothing_color": tuple(FABRIC_COLORS),
    "expression": tuple(EXPRESSIONS),
}


@dataclass(frozen=True)
class Portrait:
    """One portrait. Every field is a key of the table of its kind above."""

    hair: str
    hair_color: str
    glasses: str
    hat: str
    hat_color: str
    facial_hair: str
    clothing: str
    clothing_color: str
    expression: str
    background: str
    skin: str

    @property
    def shows_hair_color(self) -> bool:
        """Whether hair of the head is drawn at all: hats cover it."""
        return self.hat == "none" and self.hair != "bald"


def random_portrait(seed: int) -> Portrait:
    """The portrait of this seed: the same on every machine and Python version."""
    rng = random.Random(seed)

    def one_of(table: dict) -> str:
        return list(table)[int(rng.random() * len(table))]

    def maybe(share: float, table: dict) -> str:
        chosen = one_of({name: part for name, part in table.items() if name != "none"})
        return chosen if rng.random() < share else "none"

    return Portrait(
        hair=one_of(HAIR_STYLES),
        hair_color=one_of(HAIR_COLORS),
        glasses=maybe(0.6, GLASSES),
        hat=maybe(0.35, HATS),
        hat_color=one_of(FABRIC_COLORS),
        facial_hair=maybe(0.3, FACIAL_HAIR),
        clothing=one_of(CLOTHING),
        clothing_color=one_of(FABRIC_COLORS),
        expression=one_of(EXPRESSIONS),
        background=one_of(BACKGROUNDS),
        skin=one_of(SKINS),
    )
