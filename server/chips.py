"""The phrases of a found prompt as HTML: a chip for each, by which chips.js takes it out of the prompt's field and puts
it in again, and what was weighed and left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING

from ..core.phrases.swapping import with_words
from ..core.printable import visible
from ..core.reasons import why

if TYPE_CHECKING:
    from ..core.results import Interrogation, PhraseGain, Rejected

_CAPTION = "caption"
_ABOUT = "Similarity that each brings, and how likely it is; a click takes it out of the prompt, or puts it back."


def chips(found: Interrogation, written: Callable[[str], str]) -> str:
    """written: a prompt as its field has it."""
    if not found.phrases:
        return ""
    rows = "".join(_chip(each, written) for each in found.phrases)
    return (
        '<section class="unrender-chips"><h2>Phrases</h2>'
        f'<p class="unrender-note">{_ABOUT}</p>{_corrections(found.rejected)}<ul>{rows}</ul></section>'
    )


def left_out(found: Interrogation) -> str:
    """Folded; empty where nothing was weighed."""
    if not found.rejected:
        return ""
    rows = "".join(_rejected(each) for each in found.rejected)
    compared = f"<p><small>Compared with {_shown(found.bank)}.</small></p>" if found.bank else ""
    return (
        f'<details class="unrender-left-out"><summary>Weighed and left out ({len(found.rejected):,})</summary>'
        '<section class="unrender-table"><table><thead><tr><th scope="col">Phrase</th><th scope="col">Why</th></tr>'
        f"</thead><tbody>{rows}</tbody></table>{compared}</section></details>"
    )


def _chip(phrase: PhraseGain, written: Callable[[str], str]) -> str:
    other = _other(phrase)
    fields = {"written": _within(phrase.text, written), "plain": phrase.text}
    if other:
        fields |= {"other-written": _within(other, written), "other-plain": other}
    data = "".join(f' data-{name}="{escape(value)}"' for name, value in fields.items())
    return (
        f'<li class="unrender-chip"{data}>'
        f'<button type="button" class="unrender-chip-keep" aria-pressed="true" title="{escape(_told(phrase))}">'
        f'<span class="unrender-chip-text">{_shown(phrase.text)}</span> '
        f'<small class="unrender-chip-worth">{_worth(phrase)}</small></button>'
        f"{_other_button(phrase, other) if other else ''}{_choice_buttons(phrase)}</li>"
    )


def _within(phrase: str, written: Callable[[str], str]) -> str:
    """As a prompt has it before other phrases: at its end a host may write a phrase otherwise."""
    return written(f"{phrase},")[:-1]


def _other(phrase: PhraseGain) -> str:
    """The whole phrase as its runner-up has it; empty where there is none."""
    if not phrase.instead_of:
        return "" if phrase.category == _CAPTION else phrase.runner_up
    other = with_words(phrase.text, phrase.instead_of, phrase.runner_up)
    return "" if other == phrase.text else other


def _other_button(phrase: PhraseGain, other: str) -> str:
    """The words of the phrase and of the other are in spans, which change places when it is pressed."""
    shown = f'or <span class="unrender-chip-text">{_shown(other)}</span>'
    if phrase.instead_of:
        own, runner_up = (
            f'<span class="unrender-chip-word">{_shown(each)}</span>' for each in (phrase.instead_of, phrase.runner_up)
        )
        shown = f'<span>{own}? no: {runner_up}</span><span class="unrender-chip-text" hidden>{_shown(other)}</span>'
    return (
        '<button type="button" class="unrender-chip-other" title="say this instead: the next likely of its family">'
        f"{shown}</button>"
    )


def _choice_buttons(phrase: PhraseGain) -> str:
    """For the next prompt; none for what its fields cannot hold, a caption or what has several lines."""
    if phrase.category == _CAPTION or len(f"{phrase.text} {phrase.runner_up}".splitlines()) > 1:
        return ""
    return "".join(
        f'<button type="button" class="unrender-chip-{name}" aria-pressed="false" '
        f'aria-label="{label} {_shown(phrase.text)}" title="{title}"></button>'
        for name, label, title in (
            ("pin", "Always use", "pin: the next prompt has it"),
            ("ban", "Never use", "ban: the next prompt does not have it"),
        )
    )


def _worth(phrase: PhraseGain) -> str:
    likely = "" if phrase.likelihood is None else f" · {escape(_share(phrase.likelihood))}"
    return f"{phrase.gain:+.4f}{likely}"


def _told(phrase: PhraseGain) -> str:
    """All that is known of it, the whole text first: the chip may have no room for that."""
    parts = [visible(phrase.text), phrase.category, f"cosine similarity {phrase.gain:+.4f}"]
    if phrase.family and phrase.family != phrase.category:
        parts[1] += f" ({phrase.family})"
    instead = f" in place of {visible(phrase.instead_of)}" if phrase.instead_of else ""
    following = [f"next likely: {visible(phrase.runner_up)}{instead}"] if phrase.runner_up else []
    return ", ".join([*parts, *_evidence(phrase.likelihood, phrase.support), *following])


def _evidence(likelihood: float | None, support: float | None) -> list[str]:
    likely = [] if likelihood is None else [f"likelihood {_share(likelihood)}"]
    return likely + ([] if support is None else [f"support {support:+.1f} deviations"])


def _share(likelihood: float) -> str:
    """What is not quite sure is not called sure."""
    if 0 < likelihood < 0.005:
        return "< 1%"
    return "> 99%" if 0.995 <= likelihood < 1 else f"{likelihood:.0%}"


def _corrections(rejected: Sequence[Rejected]) -> str:
    """The caption's words that were changed."""
    changed = [
        f"<del>{_shown(each.text)}</del> became <ins>{_shown(each.against)}</ins>"
        for each in rejected
        if each.reason == "corrected"
    ]
    return f'<p class="unrender-note">In the caption {", ".join(changed)}.</p>' if changed else ""


def _rejected(each: Rejected) -> str:
    known = _evidence(each.likelihood, each.support)
    known += [] if each.gain is None else [f"gain {each.gain:+.4f}"]
    return (
        f"<tr><td>{_shown(each.text)} <small>{_shown(each.category)}</small></td>"
        f"<td>{why(each, _quoted)} <small>{escape(', '.join(known))}</small></td></tr>"
    )


def _quoted(phrase: str) -> str:
    return f"<q>{_shown(phrase)}</q>"


def _shown(text: str) -> str:
    return escape(visible(text))
