"""Checkpoints: states on a disk, sealed with hashes, so that they survive kills, full disks and flipped bits.

`checkpoints` saves and restores and is the one file with Orbax; the others know folders and seals, without jax.
"""
