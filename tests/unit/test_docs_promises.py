"""PROMISES and LAW in p2pcall-security(7): each promise of README, each right and duty, has a test that is there.

A promise is quoted in README's words, and nothing that README says is private is left out. Left out here: whether the
tests show what the page says of them.
"""

import re
from collections.abc import Sequence

from mdoc import ROOT, Item, items, page, parts, tokens
from test_docs import COMMANDS, all_options

SECURITY = page("p2pcall-security.7")
NO_RIGHTS = "What p2pcall cannot do for you there"
LIMITS = (
    "On the first call neither side knows the other's key",
    "If you do not compare them, you trust that first call",
    "What somebody records at the other end with another program",
)
"""Sentences among the promises that say where one ends."""
NUMBERS = "|".join(
    (
        *(
            "p2pcall",
            "ML-KEM-768",
            "X25519",
            "Argon2id",
            "SPAKE2",
            "RFC 6238",
            "FIPS 140",
            r"45 CFR 164\.312",
        ),
        *(r"1798\.\d{3}", r"articles? \d+( and \d+)?", "after 30 days"),
    )
)
"""The digits of PROMISES and LAW: names, and what README promises, too."""


def promised() -> dict[str, str]:
    """What README says of each thing that is private, as running text without marks."""
    text = (ROOT / "README.md").read_text()
    section = text.partition("## What is private, and how\n")[2].partition("What is not promised")[0]
    plain = " ".join(re.sub("`", "", section).split())
    found = re.findall(r"- \*\*(.+?)\.?\*\* (.+?)(?= - \*\*|$)", plain)
    return dict(found)


def named(item: Item) -> list[str]:
    return [tokens(line)[1] for line in item.body if line.startswith(".Li test_")]


def without_a_test(found: Sequence[Item]) -> list[str]:
    """The items that name no test, or one that is not there, or is there twice."""
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    return [
        " ".join(item.head)
        for item in found
        if not named(item) or any(tests.count(f"def {name}(") != 1 for name in named(item))
    ]


def rights() -> dict[str, list[str]]:
    return {title: lines for title, lines in parts(SECURITY["LAW"], ".Ss").items() if title != NO_RIGHTS}


def test_every_promise_of_the_readme_is_mapped() -> None:
    mapped = parts(SECURITY["PROMISES"], ".Ss")
    told = promised()
    assert list(mapped) == list(told)
    for title, said in told.items():
        quoted = [item.head[-1].removesuffix(".") for item in items(mapped[title])]
        assert [words for words in quoted if words not in said] == []
        for sentence in re.split(r"(?<=[a-z0)])[.;] ", said.removesuffix(".")):
            covered = any(words in sentence for words in quoted)
            assert covered or sentence.startswith(LIMITS), f"{title}: {sentence}"


def test_every_promise_has_a_test() -> None:
    for lines in parts(SECURITY["PROMISES"], ".Ss").values():
        assert without_a_test(items(lines)) == []


def test_every_right_and_safeguard_has_a_test() -> None:
    assert list(rights()) == ["GDPR", "CCPA", "HIPAA technical safeguards"]
    for lines in rights().values():
        assert without_a_test(items(lines)) == []


def test_what_a_law_asks_for_is_all_there() -> None:
    heads = {
        title: " ".join(" ".join(item.head) for item in items(lines)) for title, lines in rights().items()
    }
    wanted = {
        "GDPR": ("Access", "Rectification", "Erasure", "Portability", "Minimisation", "Consent", "By design"),
        "CCPA": ("know", "delete", "correct", "opt out"),
        "HIPAA technical safeguards": (
            "Access control",
            "Audit",
            "Integrity",
            "authentication",
            "Transmission",
        ),
    }
    for title, words in wanted.items():
        assert [word for word in words if word not in heads[title]] == []


def test_a_command_that_serves_a_right_exists() -> None:
    for line in SECURITY["LAW"]:
        words = (
            [word for word in tokens(line)[1:] if word.isalpha()] if line.startswith((".Cm", ".Fl")) else []
        )
        if line.startswith(".Cm"):
            assert " ".join(words) in COMMANDS, line
    flags = {f"-{tokens(line)[1]}" for line in SECURITY["LAW"] if line.startswith(".Fl")}
    assert flags <= all_options().keys()


def test_what_no_program_can_do_for_its_user_is_said() -> None:
    told = " ".join(SECURITY["LAW"])
    for words in (
        "not legal advice",
        "Erase anything at the other end",
        "snapshots",
        "forgotten",
        "six years",
    ):
        assert words in told


def test_there_is_no_number_of_ones_own_among_promises_and_law() -> None:
    for title in ("PROMISES", "LAW"):
        lines = (line for line in SECURITY[title] if not line.startswith((".Li test_", ".It Dq")))
        assert re.findall(r".{0,20}\d.{0,20}", re.sub(NUMBERS, "", " ".join(lines))) == []
