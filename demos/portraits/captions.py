"""Puts a portrait into words, in varying order and detail, and records which attributes it named."""

import random
from dataclasses import dataclass

from mmcache_demos.portraits.attributes import Portrait

HAIR_PHRASES = {
    "bald": "a bald head",
    "afro": "a {color} afro",
    "bob": "a {color} bob",
    "bun": "{color} hair in a bun",
    "dreadlocks": "{color} dreadlocks",
}
CLOTHING_PHRASES = {
    "overalls": "{color} overalls",
    "blazer": "a blazer and a {color} shirt",
    "v-neck": "a {color} v-neck shirt",
}
EXPRESSION_PHRASES = {"smiling": ("smiling", "with a smile", "looking happy")}
FULL_SHARE = 0.5  # of the captions name everything; the others drop some, so that short prompts work too
DROP_SHARE = 0.4  # of the attributes are dropped in those others


@dataclass(frozen=True)
class Caption:
    """A caption and the fields of `Portrait` that it names; the others are free to be anything."""

    text: str
    named: frozenset[str]


def caption(portrait: Portrait, seed: int) -> Caption:
    """One of the many ways to describe the portrait, chosen by the seed."""
    rng = random.Random(seed)
    drop = 0.0 if rng.random() < FULL_SHARE else DROP_SHARE
    named: set[str] = set()

    def says(phrase: str, *fields: str) -> str:
        if rng.random() < drop:
            return ""
        named.update(fields)
        return phrase

    features = [_head(portrait, says), _glasses(portrait, rng, says)]
    if portrait.facial_hair != "none":
        features.append(says(f"a {portrait.facial_hair}", "facial_hair"))
    clothing = CLOTHING_PHRASES.get(portrait.clothing, "a {color} " + portrait.clothing)
    features.append(says(clothing.format(color=portrait.clothing_color), "clothing", "clothing_color"))
    features = [feature for feature in features if feature]
    if rng.random() < 0.3:
        rng.shuffle(features)

    moods = EXPRESSION_PHRASES.get(portrait.expression, (f"looking {portrait.expression}",))
    mood = says(rng.choice(moods), "expression")
    article = "an" if portrait.background[0] in "aeiou" else "a"
    place = says(f"on {article} {portrait.background} background", "background")
    return Caption(_sentence(features, mood, place, rng), frozenset(named))


def _head(portrait: Portrait, says) -> str:
    """What covers the head. Naming hair also says that there is no hat."""
    if portrait.hat != "none":
        return says(f"a {portrait.hat_color} {portrait.hat}", "hat", "hat_color")
    phrase = HAIR_PHRASES.get(portrait.hair, portrait.hair + " {color} hair")
    fields = ("hair", "hair_color") if portrait.shows_hair_color else ("hair",)
    return says(phrase.format(color=portrait.hair_color), "hat", *fields)


def _glasses(portrait: Portrait, rng: random.Random, says) -> str:
    if portrait.glasses != "none":
        return says(portrait.glasses, "glasses")
    # Most people do not say what is absent, so captions seldom do.
    return says("no glasses", "glasses") if rng.random() < 0.25 else ""


def _sentence(features: list[str], mood: str, place: str, rng: random.Random) -> str:
    person = rng.choice(("a person", "a person", "a person", "a portrait of a person"))
    if features:
        *first, last = features
        person += " with " + (", ".join(first) + " and " + last if first else last)
    ending = [part for part in (mood, place) if part]
    if place and rng.random() < 0.15:
        return ", ".join([place, person, *([mood] if mood else [])])
    if ending == [place] and rng.random() < 0.5:
        return f"{person} {place}"
    return ", ".join([person, *ending])
