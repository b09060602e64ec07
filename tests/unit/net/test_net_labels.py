"""The name of a person and its label on the link: what is announced is what is dialled."""

import pytest

from p2pcall.net.lanpeer import MAX_LABEL_BYTES, announced_name, instance_label


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("bob", "bob"),
        ("  Bob   Müller ", "Bob Müller"),
        ("Mu\u0308ller", "Müller"),
        ("Dr. B. Smith", "Dr\u2024 B\u2024 Smith"),
        ("jan.smit", "jan\u2024smit"),
        ("\u0639\u0644\u06cc\u200c\u0631\u0636\u0627", "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627"),
        ("b\u200cob", "bob"),
        ("a\x1b[31mb\n", "a [31mb"),
        ("", "p2pcall"),
        ("...", "\u2024\u2024\u2024"),
        ("\ud800", "p2pcall"),
        ("x" * 100, "x" * 59),
        ("é" * 40, "é" * 29),
    ],
)
def test_a_name_becomes_a_label(name: str, label: str) -> None:
    assert instance_label(name) == label
    assert len(label.encode()) <= MAX_LABEL_BYTES - len("-999")
    assert "." not in label


@pytest.mark.parametrize(
    "name", ["bob", "jan.smit", "Dr. B. Smith", "Bob Müller", "x" * 59, "x" * 59 + "-12"]
)
def test_what_is_announced_leads_back_to_its_label(name: str) -> None:
    label = instance_label(name, MAX_LABEL_BYTES)
    assert announced_name(label) == name
    assert instance_label(announced_name(label), MAX_LABEL_BYTES) == label
