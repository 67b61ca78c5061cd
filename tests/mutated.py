"""Model files changed at random, loaded by a child process that may die of them.

Two ways: `bytes` changes bytes and leaves all digests as they were; `sealed` is somebody who then
makes every digest fit, and leaves the golden windows. What loads must answer as the original does:
on its golden windows always, and on fresh ones, else the answer is `elsewhere`.
"""

import hashlib
import json
import multiprocessing
import os
import resource
import signal
import tempfile
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from phasewatch import schema
from phasewatch.artifacts import bundle, checkpoint, contract
from phasewatch.artifacts.bundle import GRAPH, TERMS, Bundle
from phasewatch.artifacts.checkpoint import Checkpoint
from phasewatch.artifacts.contract import Contract
from phasewatch.errors import Refused
from phasewatch.windowing import PAST_BLOCKS

FROZEN = Path(__file__).parent / "frozen"
FORMATS = ("checkpoint", "bundle", "safetensors", "xgboost", "onnx")
WAYS = ("bytes", "sealed")
NETWORKS = ("mlp", "cnn", "gru", "lstm", "transformer")
MODELS: dict[str, tuple[str, ...]] = {
    "checkpoint": ("gbt", "mlp"),
    "bundle": ("gbt", "mlp"),
    "safetensors": NETWORKS,
    "xgboost": ("gbt",),
    "onnx": ("gbt", *NETWORKS),
}
FRESH, MEMORY = 256, 8 << 30
"""Windows that are asked about beside the golden ones; bytes of address space of a child."""

Random = np.random.Generator


def digest(data: bytes) -> str:
    """By which weights are found."""
    return hashlib.sha256(data).hexdigest()


def newest() -> Path:
    """Small models of the newest release that left some."""
    return max(path.parent for path in FROZEN.glob("*/gbt-realistic.ckpt.json"))


# ---------------------------------------------------------------- changes


def shaken(data: bytes, random: Random) -> bytes:
    """Bytes flipped, set, cut out, doubled, zeroed, moved, cut off: one to three of these."""
    changed_bytes = bytearray(data)
    for _ in range(random.integers(1, 4)):
        at, length = int(random.integers(0, len(changed_bytes) + 1)), int(random.geometric(0.1))
        part = changed_bytes[at : at + length]
        match random.integers(0, 8):
            case 0 | 1:
                changed_bytes[at : at + 1] = (
                    bytes([part[0] ^ 1 << random.integers(0, 8)]) if part else b""
                )
            case 2:
                changed_bytes[at : at + 1] = random.bytes(1)
            case 3:
                changed_bytes[at : at + length] = b""
            case 4:
                changed_bytes[at:at] = part
            case 5:
                changed_bytes[at : at + length] = bytes(len(part))
            case 6:
                changed_bytes[at:at] = random.bytes(length)
            case _ if random.integers(0, 4) == 0:
                del changed_bytes[at:]
    return bytes(changed_bytes)


def bent(value: Any, random: Random, large: bool) -> Any:
    """A JSON value with one thing in it changed, anywhere; `large` parts more often if so asked."""
    if isinstance(value, dict | list) and value and random.random() < 0.93:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        share = np.array([_size(value[key]) if large else 1.0 for key in keys])
        key = keys[int(random.choice(len(keys), p=share / share.sum()))]
        made = dict(value) if isinstance(value, dict) else list(value)
        made[key] = bent(value[key], random, large)
        return made
    if isinstance(value, dict) and value:
        return _fields(dict(value), random)
    if isinstance(value, list) and value:
        return _items(list(value), random)
    if type(value) in (int, float) and random.random() < 0.8:
        return _number(value, random)
    if isinstance(value, str) and value and random.random() < 0.8:
        return shaken(value.encode(), random).decode("utf-8", "replace")
    others: list[Any] = [None, True, 0, -1, 1.5, "", "x", [], {}, [value], {"x": value}]
    return others[int(random.integers(0, len(others)))]


def _size(value: Any) -> float:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1.0 + sum(map(_size, parts))


def _fields(made: dict[str, Any], random: Random) -> dict[str, Any]:
    one, other = (list(made)[int(place)] for place in random.integers(0, len(made), 2))
    match random.integers(0, 4):
        case 0:
            del made[one]
        case 1:
            made[f"{one}x"] = made.pop(one)
        case 2:
            made[f"{one}x"] = made[one]
        case _:
            made[one], made[other] = made[other], made[one]
    return made


def _items(made: list[Any], random: Random) -> list[Any]:
    one, other = (int(place) for place in random.integers(0, len(made), 2))
    match random.integers(0, 6):
        case 0:
            del made[one]
        case 1:
            made.insert(other, made[one])
        case 2:
            made.reverse()
        case 3:
            made.clear()
        case 4:
            made.append(made[one])
        case _:
            made[one], made[other] = made[other], made[one]
    return made


def _number(value: Any, random: Random) -> Any:
    original = [0, 1, -1, -value, value + 1, value - 1, value * 2, 1 << 31, -(1 << 31), 1 << 62]
    real = [value * 1.001, value + 1e-3, 1e-300, 1e30, 1e308, float(value), value * -3.7]
    some = [*original, *real] if isinstance(value, float) or random.random() < 0.2 else original
    return some[int(random.integers(0, len(some)))]


def json_changed(data: bytes, random: Random) -> bytes:
    """JSON with one to three things changed."""
    value, large = json.loads(data), bool(random.integers(0, 2))
    for _ in range(random.integers(1, 4)):
        value = bent(value, random, large)
    return json.dumps(value).encode()


def tensors(data: bytes, random: Random) -> bytes:
    """safetensors with another header, or other numbers in it."""
    size = int.from_bytes(data[:8], "little")
    head, body = data[8 : 8 + size], bytearray(data[8 + size :])
    if random.random() < 0.5:
        head = json_changed(head, random)
    else:
        numbers = np.frombuffer(body, dtype="<f4").copy()
        for place in random.integers(0, len(numbers), random.integers(1, 4)):
            with np.errstate(over="ignore"):
                numbers[place] = _number(float(numbers[place]), random)
        body = bytearray(numbers.tobytes())
    return len(head).to_bytes(8, "little") + head + body


def graph(data: bytes, random: Random) -> bytes:
    """ONNX with one to three of its fields changed, anywhere."""
    import onnx

    model = onnx.load_from_string(data)
    for _ in range(random.integers(1, 4)):
        _field(model, random)
    return bytes(model.SerializeToString())


def _field(message: Any, random: Random) -> None:
    """Go down a protobuf message at random and change what is met."""
    fields = message.ListFields()
    if not fields:
        return
    field, value = fields[int(random.integers(0, len(fields)))]
    name, inner = field.name, field.message_type is not None
    if not field.is_repeated:
        if inner and random.random() < 0.95:
            _field(value, random)
        elif inner or random.random() < 0.1:
            message.ClearField(name)
        else:
            _set(lambda new: setattr(message, name, new), value, random)
        return
    at = int(random.integers(0, len(value)))
    choice = random.random()
    if choice < 0.05:
        del value[at]
    elif choice < 0.1 and inner:
        value.add().CopyFrom(value[at])
    elif choice < 0.1:
        value.append(value[at])
    elif inner:
        _field(value[at], random)
    else:
        _set(lambda new: value.__setitem__(at, new), value[at], random)


def _set(put: Callable[[Any], None], value: Any, random: Random) -> None:
    new: Any
    if isinstance(value, bytes):
        new = shaken(value, random)
    elif isinstance(value, str):
        new = shaken(value.encode(), random).decode("utf-8", "replace")
    else:
        new = _number(value, random)
    try:
        put(new)
    except (ValueError, TypeError):
        put(type(value)(0))


# ---------------------------------------------------------------- a model, whole and changed


class Model:
    """A frozen model: its files, and what it answers on its golden windows and on fresh ones."""

    def __init__(self, folder: Path, name: str, kind: str) -> None:
        self.bundled = kind in ("bundle", "onnx")
        stem = f"{name}-realistic"
        own = folder / f"{stem}{bundle.ENDING}"
        self.head = own / TERMS if self.bundled else folder / f"{stem}.ckpt.json"
        body = own / GRAPH if self.bundled else next(folder.glob(f"{stem}.*[!t].[sj]*"))
        self.header, self.weights = self.head.read_bytes(), body.read_bytes()
        self.ending = "".join(body.suffixes[1:]) if not self.bundled else ""
        made, terms = self.load(self.head)
        golden = (terms.probe, *terms.golden)
        random = np.random.default_rng(7)
        shape = (FRESH, len(made.schema.channels), made.schema.grid.steps)
        level = np.exp(random.uniform(-1, 9, (*shape[:2], 1)))
        x = level * np.exp(random.normal(0, 0.3, shape))
        x[random.random(shape[:2]) < 0.1] = np.nan
        opening = np.log1p(level[:, :, 0] * np.exp(random.normal(0, 1, shape[:2])))
        past = np.log1p(level) + random.normal(0, 0.3, (*shape[:2], PAST_BLOCKS))
        stored = zip(*(one.arrays() for one in golden), strict=True)
        both = zip(stored, (x, opening, past), strict=True)
        self.inputs = [np.concatenate(parts).astype(np.float32) for parts in both]
        self.golden = len(golden)
        self.answers = made.logits(*self.inputs)

    def load(self, head: Path) -> tuple[Checkpoint | Bundle, Contract]:
        """A model as users load it."""
        if self.bundled:
            return bundle.load(head.parent), bundle.load_terms(head.parent)
        return checkpoint.load(head), checkpoint.load_header(head)

    def put(self, folder: Path, header: bytes, weights: bytes, found: str) -> Path:
        """Its files in `folder`, changed."""
        head = folder / self.head.name
        head.write_bytes(header)
        name = GRAPH if self.bundled else f"{self.head.name[:-10]}.{found[:16]}{self.ending}"
        (folder / name).write_bytes(weights)
        return head

    def sealed(self, header: bytes, weights: bytes) -> bytes:
        """The header with every digest in it made to fit, as far as it can be understood."""
        try:
            value = json.loads(header)
            part = "onnx" if self.bundled else "weights"
            if weights != self.weights:
                value[f"{part}_sha256"] = digest(weights)
                value[f"{part}_bytes"] = len(weights)
            value["fingerprints"] = contract.fingerprints(
                schema.parse(value["data"], ""), value.get("view_version", 3)
            )
            kind = bundle.Terms if self.bundled else checkpoint.Header
            return kind.model_validate({**kind.fields_after(value["format"]), **value}).sealed()
        except (ValueError, KeyError, TypeError, Refused):
            return header

    def verdict(self, head: Path) -> str:
        """What becomes of the files at `head`: `refused CODE`, `equal`, `elsewhere`, or worse."""
        try:
            made, _ = self.load(head)
            answers = made.logits(*self.inputs)
        except Refused as refused:
            return f"refused {refused.code}"
        except Exception as error:
            return f"traceback {type(error).__name__}"
        within = bundle.ELSEWHERE if self.bundled else contract.TOLERANCE
        if answers.shape != self.answers.shape:
            return "different"
        off = np.abs(answers - self.answers).max(axis=1)
        if not (off[: self.golden] <= within).all():
            return "different"
        return "equal" if (off <= within).all() else "elsewhere"


CHANGES: dict[str, Callable[[bytes, Random], bytes]] = {
    "checkpoint": json_changed,
    "bundle": json_changed,
    "safetensors": tensors,
    "xgboost": json_changed,
    "onnx": graph,
}


def changed(model: Model, kind: str, way: str, random: Random) -> tuple[bytes, bytes, str]:
    """A model's header and weights, one of them changed, and the digest that finds the weights."""
    in_header = kind in ("checkpoint", "bundle")
    original = model.header if in_header else model.weights
    made, change = original, CHANGES[kind] if way == "sealed" and random.random() < 0.7 else shaken
    while made == original:
        made = change(original, random)
    header, weights = (made, model.weights) if in_header else (model.header, made)
    found = digest(model.weights if way == "bytes" else weights)
    return model.sealed(header, weights) if way == "sealed" else header, weights, found


# ---------------------------------------------------------------- in a child


def work(pipe: Connection, folder: Path) -> None:
    """A child's life: a format, a way and a number come in, a verdict goes out.

    It dies where the format is "crash", and stops where it is "hang".
    """
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    models: dict[tuple[str, str], Model] = {}
    with tempfile.TemporaryDirectory() as scratch:
        while True:
            try:
                kind, way, number = pipe.recv()
            except EOFError:
                return
            pipe.send("ready")
            if kind in ("crash", "hang"):
                os.kill(os.getpid(), signal.SIGSEGV if kind == "crash" else signal.SIGSTOP)
            name = MODELS[kind][number % len(MODELS[kind])]
            if (kind, name) not in models:
                models[kind, name] = Model(folder, name, kind)
            model = models[kind, name]
            random = np.random.default_rng([FORMATS.index(kind), WAYS.index(way), number])
            head = model.put(Path(scratch), *changed(model, kind, way, random))
            fate = model.verdict(head)
            for path in head.parent.iterdir():
                path.unlink()
            pipe.send(fate)


class Child:
    """A process that loads what is changed, begun again when it died or was stopped."""

    def __init__(self, folder: Path, limit_s: float = 20) -> None:
        self.folder, self.limit_s = folder, limit_s
        self._begin()

    def _begin(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=work, args=(other, self.folder), daemon=True)
        self.process.start()
        other.close()

    def ask(self, kind: str, way: str, number: int) -> str:
        """Return the outcome of a mutation; of the child: `crash` or `hang`."""
        self.pipe.send((kind, way, number))
        try:
            assert self.pipe.recv() == "ready"
            if self.pipe.poll(self.limit_s):
                return str(self.pipe.recv())
            fate = "hang"
        except EOFError:
            fate = "crash"
        self.close()
        self._begin()
        return fate

    def close(self) -> None:
        """No more of it."""
        self.pipe.close()
        self.process.kill()
        self.process.join()


def count(child: Child, kind: str, way: str, each: int) -> Counter[str]:
    """How many mutations met which fate."""
    return Counter(child.ask(kind, way, number) for number in range(each))
