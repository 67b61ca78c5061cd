"""Which column states the phase, and which others hold the answer and are therefore no channels.

A column of the answer among the channels makes every score meaningless, so a name that says
"label", "attack" or "anomaly" is enough to leave a column out, whatever it holds.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from phasewatch.adapters.suggest.columns.words import lexicon, words
from phasewatch.adapters.suggest.text import quoted

MAX_CLASSES = 20
"""With more values, a column or a part of the path is not taken for the phase."""

NAMES = (
    ("label", "labels", "labelled", "class", "classes", "phase", "phases", "behaviour", "behavior",
     "behaviours", "behaviors"),
    ("attack", "attacks", "anomaly", "anomalies", "anomalous", "malicious", "malware", "intrusion",
     "outlier", "abnormal", "infected", "compromised", "tactic", "technique", "truth", "threat",
     "botnet", "ransomware", "evil", "sus", "lable", "angriff", "ataque", "attaque", "klasse",
     "etikett", "etiqueta"),
    ("target", "y", "gt", "fault", "faulty", "activity", "scenario", "annotation", "truth"),
    ("state", "states", "status", "mode", "stage", "type", "category", "cat", "tag", "event",
     "step", "marker", "note", "comment", "info", "description"),
)  # fmt: skip
"""Words of a name that state the phase, the surest first; those of the last row need its values."""

ANYWHERE = frozenset(
    {"label", "labels", "attack", "attacks", "anomaly", "anomalies", "anomalous", "malicious",
     "malware", "intrusion", "outlier", "changepoint", "att", "lable", "ransomware", "botnet"}
)  # fmt: skip
"""Words that make a column a part of the answer wherever they stand in its name."""

PREDICTED = frozenset({"pred", "preds", "predicted", "prediction", "predictions", "yhat"})
"""Words of what a model said: a part of the answer, and not the truth."""

DEGREE = frozenset({"score", "scores", "prob", "probability", "confidence", "likelihood"})
"""Words of how far something is of a class, which is no class."""

BESIDE = frozenset(
    {"cat", "category", "type", "name", "id", "class", "is", "label", "text", "value"}
)
"""Words that may stand beside one of NAMES in the name of a label."""

HARMLESS = lexicon(
    """
    benign normal background clean legitimate legit regular healthy idle rest baseline none
    """
)
HARMFUL = lexicon(
    """
    attack botnet malicious malware anomaly anomalous abnormal intrusion ransomware ransom
    mining miner exfiltration exfil c2 cnc ddos dos scan portscan bruteforce brute
    infiltration backdoor exploit exploits fuzzers worms shellcode reconnaissance recon
    injection trojan worm virus rootkit hostile infected compromised theft mirai
    """
)
REST, OTHER = "benign", "other"
"""A draft's names of the benign class and of another, where the files name one class or none."""

BENIGN = re.compile(
    rf"(?<![a-z])((benign|normal|background|legitimate)|({'|'.join(sorted(HARMLESS))})(?![a-z]))"
    r"|^(0|0[.]0|false|no|ok|good)$|^non?[ _-]?(attack|malicious|anomal)",
    re.IGNORECASE,
)
KNOWN = re.compile(
    rf"(?<![a-z])({'|'.join(sorted(HARMLESS | HARMFUL, key=len, reverse=True))})(?![a-z])",
    re.IGNORECASE,
)
"""A word that says what a label means, inside a longer text."""


@dataclass(frozen=True)
class Labels:
    """The source of the phase as fields of TOML, its classes with the benign one first, and notes.

    `column` is empty where the phase is in the path. `certain` is false where nothing in the files
    says which class is benign.
    """

    fields: tuple[str, ...]
    classes: tuple[str, ...]
    column: str = ""
    certain: bool = True
    doubt: bool = False
    """Whether the words may as well name machines or recordings."""
    hosts: frozenset[str] = frozenset()
    """The machines that a file of labels names."""
    unused: tuple[tuple[str, frozenset[str]], ...] = ()
    """Further columns of text in a file of labels, and their words."""


def holds_answer(name: str) -> bool:
    """Return whether a column belongs to the answer by its name, so that it is never a channel."""
    parts = words(name)
    return (
        bool((ANYWHERE | PREDICTED) & set(parts))
        or parts == ["change", "point"]
        or _rank(name) < len(NAMES) - 1
    )


def may_state(name: str) -> bool:
    """Return whether a name may state what goes on, such as a state or a type, and no machine."""
    return _rank(name) < len(NAMES)


def _rank(name: str) -> int:
    """Return the place in NAMES of the words of a name, len(NAMES) for none.

    A prefix before the last dot, and words that say nothing, are left out.
    """
    parts = words(name.rpartition(".")[2])
    if (PREDICTED | DEGREE) & set(parts):
        return len(NAMES)
    said = [part for part in parts if part not in BESIDE] or parts
    for rank, known in enumerate(NAMES):
        if len(said) == 1 and said[0] in known:
            return rank
    if parts in (["ground", "truth"], ["y", "true"]):
        return 1
    return 2 if ANYWHERE & set(parts) and "changepoint" not in parts else len(NAMES)


def _has_fraction(word: str) -> bool:
    """Return whether a text is a number between two whole ones, which names no class."""
    return is_number(word) and not float(word).is_integer()


def is_number(word: str) -> bool:
    """Return whether a class is a number, which says nothing about what it means."""
    try:
        float(word)
    except ValueError:
        return False
    return True


def benign_first(classes: Iterable[str]) -> tuple[str, ...]:
    """Return the classes with the one that means benign first, where a name says so."""
    return tuple(sorted(dict.fromkeys(classes), key=lambda name: not BENIGN.search(name)))


def of_columns(texts: Mapping[str, Sequence[str]]) -> Labels | None:
    """Return the labels that a column states, from the distinct cells of each column.

    Columns whose names say so come first, then those whose cells say both benign and hostile. Of
    equals, the one with more classes: a kind of attack says more than that there is one.
    """
    candidates = []
    for place, (name, cells) in enumerate(texts.items()):
        rank = _rank(name)
        if rank >= len(NAMES) - 1 and not _says_both(cells):
            continue
        if found := _labels(name, cells):
            gaps = "" in cells
            order = (gaps, min(rank, 2), -len(found.classes), place)
            candidates.append((order, found))
    return min(candidates, key=lambda one: one[0])[1] if candidates else None


def of_told(name: str, cells: Sequence[str]) -> Labels | None:
    """Return the labels of the column that the user names."""
    return _labels(name, cells)


def _says_both(cells: Iterable[str]) -> bool:
    """Return whether cells name benign and hostile behaviour."""
    found = {match[1].lower() for cell in cells if (match := KNOWN.search(cell))}
    return bool(found & HARMLESS) and bool(found & HARMFUL)


def _labels(name: str, cells: Sequence[str]) -> Labels | None:
    """Return the labels of one column, or None for one value, or for many that no rules sort."""
    given = sorted(set(cells) - {""})
    column = f"column = {quoted(name)}"
    if len(given) == 1 and "" not in cells and _rank(name) == 0:
        # Rows that are not read may hold other words; a schema has two classes or more.
        benign = bool(BENIGN.search(given[0]))
        return Labels((column,), (given[0], OTHER) if benign else (REST, given[0]), name)
    if 2 <= len(given) <= MAX_CLASSES and not any(map(_has_fraction, given)):
        classes = benign_first(given)
        return Labels((column,), classes, name, bool(BENIGN.search(classes[0])))
    rules = _rules(given) if len(given) > MAX_CLASSES else ()
    if len(rules) < 2:
        return None
    lines = ", ".join(f"[{quoted(word)}, {quoted(word)}]" for word in rules)
    return Labels((column, f"rules = [{lines}]"), benign_first(rules), name)


def _rules(cells: Sequence[str]) -> tuple[str, ...]:
    """Return words, one of which each of many labels holds, or nothing where some hold none."""
    found: dict[str, str] = {}
    for cell in cells:
        match = KNOWN.search(cell)
        if match is None:
            return ()
        found.setdefault(match[1].lower(), match[1])
    return benign_first(found.values())


def of_paths(names: Sequence[str], patterns: Sequence[str]) -> Labels | None:
    """Return the labels that a part of every path states, one of which means benign.

    Without such a word the part may as well name machines, so nothing is returned. Where no word
    means an attack and each file has a word of its own, it is doubtful.
    """
    for pattern in patterns:
        found = [match[1] for name in names if (match := re.search(pattern, name))]
        classes = benign_first(found)
        few = len(found) == len(names) and 2 <= len(classes) <= MAX_CLASSES
        if few and KNOWN.search(classes[0]) and BENIGN.search(classes[0]):
            known = {match[1].lower() for one in classes if (match := KNOWN.search(one))}
            doubt = len(classes) == len(names) and not known & HARMFUL
            return Labels((f"path = {quoted(pattern)}",), classes, doubt=doubt)
    return None
