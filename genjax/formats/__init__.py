"""Files of the formats that people's data are in: found, opened, read and written. Bytes in, NumPy and text out.

Nothing here knows of examples, kinds of data or batches; the readers of `genjax.data` do.
"""
