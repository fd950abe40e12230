"""Which records of a run's eval.json stay when others are added."""

import dataclasses
from typing import Any

from genjax.measure.evaluate import SEEN
from genjax.metrics.protocol import NO_LABELS, Record


def outdated(old: list[Record], new: list[Record]) -> list[Record]:
    """Old records that were measured against images that are no longer the reference's, as the new ones tell.

    A set that a run is measured against may be replaced: numbers of the one and of the other must not stand in one
    table. Only what is compared with the reference whole can tell: its hash is of all its images.
    """

    def whole(r: Record) -> bool:
        p = r.protocol
        return p.split != "train" and p.quantisation != SEEN

    now = {(r.protocol.split, r.protocol.reference): r.protocol.reference_sha256 for r in new if whole(r)}
    then = {(r.protocol.split, r.protocol.reference, r.subject.member) for r in old if whole(r) and
            now.get((r.protocol.split, r.protocol.reference), r.protocol.reference_sha256) !=
            r.protocol.reference_sha256}  # fmt: skip
    return [
        r for r in old
        if (r.protocol.split, r.protocol.reference, r.subject.member) in then
        and not (whole(r) and r.protocol.reference_sha256 == now[r.protocol.split, r.protocol.reference])
    ]  # fmt: skip


def merged(old: list[Record], new: list[Record]) -> list[Record]:
    """Records of a run's file, in a fixed order: new ones in the place of old ones of one protocol and member.

    Old records go of a checkpoint that has since become another one, of a reference whose images are others now
    (`outdated`), and of a conditional model that was asked by no known rule.
    """
    gone = outdated(old, new)
    old = [r for r in old if r not in gone]
    asked = {(r.protocol.metric, r.subject.member) for r in new if r.protocol.labels not in ("", NO_LABELS)}
    old = [r for r in old if r.protocol.labels or (r.protocol.metric, r.subject.member) not in asked]

    def of(r: Record) -> tuple[Any, ...]:
        return r.subject.member, r.protocol.checkpoint, r.protocol.weights

    now = {of(r): r.subject.state_sha256 for r in new}
    kept = [r for r in old if now.get(of(r), r.subject.state_sha256) == r.subject.state_sha256]

    def place(r: Record) -> tuple[Any, ...]:
        protocol = dataclasses.replace(r.protocol, labels=r.protocol.labels or NO_LABELS)
        return -1 if r.subject.member is None else r.subject.member, r.protocol.metric, repr(protocol)

    by_place = {place(r): r for r in [*kept, *new]}
    return [by_place[k] for k in sorted(by_place)]
