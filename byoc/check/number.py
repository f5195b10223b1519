"""Says how many, in words that agree with the number."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return how many there are of something: "1 call", "1,000 calls", "2 processes"."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def were(number: int) -> str:
    """Return the verb for so many."""
    return "was" if number == 1 else "were"
