"""A run's mark: what its checkpoints are sealed with, so that none is taken for another run's.

`config.json` gives a run its `id` and says what it is; every seal repeats the id and a hash of that, field by field.
Whoever then copies a checkpoint in from elsewhere, or edits `config.json`, is told before anything is believed. Facts
in, facts out: nothing here touches a disk.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

FREE = ("options", "code", "where", "sealed", "format")
"""Parts of `config.json` that may change while the run stays the same; `code` is in the seal by itself."""


class Mark(NamedTuple):
    """What the seals of a run carry, and what else is accepted in them.

    Attributes:
        run: the run's id; empty for a run older than ids, whose seals carry no mark.
        config: SHA-256 of everything in `config.json` that makes the run what it is.
        fields: a short hash of each of those fields, to name the one that was edited.
        code: hashes of the code that trains, as `config.json` holds them. Stored, never compared here: a run may
            knowingly go on with other code.
        was: earlier values of `config`, of before genjax itself wrote it anew.
        adopted: seals without a mark that were there when an older run got its id: step to the seal's own hash.
    """

    run: str
    config: str
    fields: Mapping[str, str]
    code: Mapping[str, Any] | None = None
    was: tuple[str, ...] = ()
    adopted: Mapping[str, str] = {}

    def stored(self) -> dict[str, Any]:
        """What is put into a seal."""
        return {"run": self.run, "config": self.config, "fields": dict(self.fields), "code": self.code}

    def fault(self, body: Mapping[str, Any], own_hash: str) -> str:
        """Why a sealed step is not of this run, or not of this `config.json`: half a sentence, empty where it is.

        Args:
            body: the seal's facts.
            own_hash: the seal's hash of itself.
        """
        mark = body.get("mark")
        if not isinstance(mark, Mapping):
            known = not self.run or self.adopted.get(str(body.get("step"))) == own_hash
            return "" if known else "carries no run's mark: it was not saved by this run"
        if mark.get("run") != self.run:
            return f"is of another run ({mark.get('run')}; this one is {self.run or 'older than run ids'})"
        if mark.get("config") in (self.config, *self.was):
            return ""
        sealed = mark.get("fields")
        sealed = sealed if isinstance(sealed, Mapping) else {}
        names = [n for n in dict.fromkeys([*sealed, *self.fields]) if sealed.get(n) != self.fields.get(n)]
        return f"was sealed with another config.json, which has been edited or replaced since ({_listed(names)})"


def mark(stored: Mapping[str, Any]) -> Mark:
    """The mark of the run whose `config.json` holds `stored`.

    Example:
        >>> a = mark({"id": "5f", "config": {"lr": 0.1, "steps": 9}, "run_only": ["steps"]})
        >>> b = mark({"id": "5f", "config": {"lr": 0.2, "steps": 7}, "run_only": ["steps"]})
        >>> a.fault({"mark": b.stored()}, "")
        'was sealed with another config.json, which has been edited or replaced since (lr)'
    """
    free = stored.get("run_only")
    free = free if isinstance(free, list) else []
    fields: dict[str, str] = {}
    for part, value in stored.items():
        if part in FREE:
            continue
        if isinstance(value, Mapping) and part in ("config", "data", "population"):
            prefix = "" if part == "config" else f"{part}."
            fields |= {f"{prefix}{k}": _short(v) for k, v in value.items() if part != "config" or k not in free}
        else:
            fields[part] = _short(value)
    run, was, adopted = stored.get("id"), stored.get("was"), stored.get("adopted")
    return Mark(
        run if isinstance(run, str) else "",
        hashlib.sha256(_canonical(fields)).hexdigest(),
        fields,
        stored.get("code"),
        tuple(was) if isinstance(was, list) else (),
        adopted if isinstance(adopted, Mapping) else {},
    )


def _short(value: Any) -> str:
    return hashlib.sha256(_canonical(value)).hexdigest()[:16]


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more or "the same fields, another hash"
