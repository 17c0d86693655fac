"""What the name of a folder says of the images in it: of which part of the data they are, or in which form."""

import re
from collections.abc import Iterable

from kaggle_cnn.competition.listing import split_words

# What a word in a folder's name says of the images in it: their form, or the part of the data. The first one counts.
WORDS = {
    "form": r"masks?|annotations?|annots?|labels?|segment(ation|ed)s?|gt|ground|truth|overlays?|bbox|boxes"
    r"|gr[ae]y(scale)?|edges?|depth|thumb(nail)?s?"
    r"|resized|aug(mented)?|crop(ped)?|(pre)?processed|heatmaps?",
    "train": r"train(ing)?",
    "test": r"test(ing|s)?",
    "validation": r"val(id(ation)?)?|dev|eval(uation)?|holdout",
    "unlabelled": r"pred(ict(ion)?s?)?|unlabell?ed|submission",
    "image": r"images?|imgs?|photos?|pictures?|colou?r|rgb|originals?|raw|jpe?gs?|png",
    "piece": r"parts?|batch|folds?|splits?|chunk|shard|pieces?|subset|set|data(set)?|all|folder|archive|extra|stage"
    r"|seg|sets",
}
HELD_OUT = ("test", "unlabelled", "validation")
MEANINGS = {name: re.compile(rf"({pattern})(set|data|images?|imgs?|jpe?g|png)?") for name, pattern in WORDS.items()}


def meanings(names: Iterable[str]) -> dict[str, str]:
    """Return what each folder's name says, a key of WORDS, or "" where it has a word that says nothing.

    Words that all the names share do not count: seg_train and seg_test are train and test.
    """
    words = {name: set(split_words(name)) for name in names}
    shared = set.intersection(*words.values()) if len(words) > 1 else set()
    found = {}
    for name, own in words.items():
        known = [meaning_of(word) for word in own - shared] or [said for word in own if (said := meaning_of(word))]
        found[name] = "" if not known or "" in known else min(known, key=list(WORDS).index)
    return found


def meaning_of(word: str) -> str:
    return next((meaning for meaning, pattern in MEANINGS.items() if pattern.fullmatch(word)), "")


def says(name: str) -> str:
    """Return what any word in a folder's name says, as `meanings` does, with no regard for words that say nothing."""
    known = [said for word in split_words(name) if (said := meaning_of(word))]
    return min(known, key=list(WORDS).index, default="")


def says_held_out(name: str) -> bool:
    """Return whether a word in a folder's name says that it is not for training."""
    return any(meaning_of(word) in HELD_OUT for word in split_words(name))
