"""The stamp of records that tests make."""

STAMP = {
    "device_kind": "Chip 1",
    "device_count": 1,
    "genjax_sha256": "ab",
    "jax": "1",
    "python": "3",
    "platform": "cpu",
    "rehearsal": True,
    "when": "2026-11-28T10:00:00+00:00",
    "commit": None,
}
