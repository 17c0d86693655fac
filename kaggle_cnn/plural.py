"""Numbers with what they count."""


def count_of(number: int, thing: str) -> str:
    """Return a number and what it counts, as "1 class" and "2,000 classes"."""
    ending = "" if number == 1 else "es" if thing.endswith("s") else "s"
    return f"{number:,} {thing}{ending}"
