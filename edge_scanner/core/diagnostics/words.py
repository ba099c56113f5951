"""Texts in both languages: a text, a light's name with its advice, a code's advice for its two readers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Language = Literal["vi", "en"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One text in both languages; empty where there is nothing to say."""

    vi: str = ""
    en: str = ""

    def of(self, language: Language) -> str:
        """The text in one language."""
        return self.vi if language == "vi" else self.en


@dataclass(frozen=True, slots=True, kw_only=True)
class LightWords:
    """A light of the operator's page: its name, and what to do when it is yellow or red without a known code."""

    name: Words
    warn: Words
    fail: Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice(Words):
    """What to do about a code: for the technician, and for the operator where a light can show the code."""

    operator_vi: str = ""
    operator_en: str = ""

    @property
    def operator(self) -> Words | None:
        """For the operator of the venue, who has no tools; None for a code that only the technician's tools find."""
        return Words(vi=self.operator_vi, en=self.operator_en) if self.operator_vi else None
