"""What people are told about codes and safe words, one line each. Pure."""

from typing import Final

from p2pcall.factor.safe_word import WordResult
from p2pcall.store.contacts import as_typed

_RESULTS: Final = {
    WordResult.SAME: "{} knows the safe word",
    WordResult.DIFFERENT: "{} does not know the safe word: it may be somebody else",
    WordResult.NONE_THERE: "{} says there is no safe word, which proves nothing",
    WordResult.NO_ANSWER: "no proof from {}: an older version, or somebody else",
}


def minutes(seconds: int) -> str:
    """A duration, rounded up."""
    count = max(1, -(-abs(seconds) // 60))
    return "1 minute" if count == 1 else f"{count} minutes"


def off_by(seconds: int) -> str:
    """How far another clock is from ours."""
    return f"{minutes(seconds)} {'ahead of' if seconds > 0 else 'behind'}"


def request_text(name: str, why: str, left: int, seconds: int) -> str:
    """What `name` has said about codes; `why` is a verdict's name in small letters, `seconds` as in its judgement."""
    match why:
        case "wrong":
            return "the code is wrong" + (f", {left} left to try" if left else "")
        case "used":
            return "the code was used before: wait for the next one"
        case "clock":
            return f"the code is that of another time: your clock is {off_by(seconds)} {name}'s, one of them is wrong"
        case "locked":
            return f"{name} takes no code for {minutes(seconds)}: there were too many wrong ones"
        case _:
            return f"{name} wants a code" if left else f"{name} waits for no code any longer"


def word_text(name: str, result: str) -> str:
    """How a run of the safe word has ended."""
    text = _RESULTS.get(WordResult(result))
    if text is None:
        return f"a safe word is asked for: p2pcall contacts safeword {as_typed(name)}"
    return text.format(name)
