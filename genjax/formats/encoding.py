"""Bytes as text: which encoding they are in, said where it is not UTF-8, refused where it cannot be known."""

import codecs

from genjax.errors import UsageError

MARKS = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
)  # fmt: skip
"""Byte-order marks; those of 32 bits begin as those of 16 do, so they come first."""


def read(content: bytes, where: str, otherwise: str = "") -> tuple[str, str]:
    """A file's bytes as text with its line ends, and the encoding that they were in.

    A byte-order mark says the encoding and is left out. Without one the text is UTF-8, or UTF-16 where every second
    byte is zero, as in ordinary text of that encoding.

    Args:
        content: the bytes.
        where: the file, for messages.
        otherwise: what else can be done with bytes that are no text, a sentence for messages.

    Raises:
        UsageError: it is in another encoding, or no text.

    Example:
        >>> read("caf\\u00e9".encode("utf-16"), "menu.txt")
        ('café', 'utf-16-le')
    """
    mark, encoding = next(((m, e) for m, e in MARKS if content.startswith(m)), (b"", _guessed(content)))
    try:
        text = content[len(mark) :].decode(encoding)
    except UnicodeDecodeError as e:
        raise UsageError(" ".join(filter(None, (_refused(content, where, encoding, e), otherwise)))) from None
    if "\0" in text:
        fault = f"{where}: is no text (a zero byte near character {text.index(chr(0)) + 1:,}).\nLeave it out."
        raise UsageError(" ".join(filter(None, (fault, otherwise))))
    return text, encoding


def decoded(content: bytes, where: str, notes: list[str] | None = None) -> str:
    """Prose as text, with line ends of one kind: those of Windows (CR LF) and of old Macs (CR) become LF.

    Args:
        content: the bytes.
        where: the file, for messages.
        notes: what was found is added here.

    Raises:
        UsageError: as `read`; or there is nothing in it.

    Example:
        >>> decoded(b"cafe\\r\\n", "menu.txt")
        'cafe\\n'
    """
    notes = [] if notes is None else notes
    text, encoding = read(content, where, "For its bytes as they are: --unit byte.")
    if encoding != "utf-8":
        notes.append(f"{where}: read as {encoding.upper()}.")
    if "\r" in text:
        notes.append(f"{where}: line ends CR LF or CR were made LF.")
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise UsageError(f"{where}: is empty. Give a file with text in it, or leave it out.")
    return text


def _guessed(content: bytes) -> str:
    """UTF-16 without a mark has a zero in every second byte of Latin letters; nothing else is guessed."""
    head = content[:4096]
    for encoding, zeros, others in (("utf-16-le", head[1::2], head[::2]), ("utf-16-be", head[::2], head[1::2])):
        if zeros and zeros.count(0) > 0.5 * len(zeros) and others.count(0) == 0:
            return encoding
    return "utf-8"


def _refused(content: bytes, where: str, encoding: str, e: UnicodeDecodeError) -> str:
    if encoding != "utf-8":
        return f"{where}: is damaged {encoding.upper()} (at byte {e.start:,}).\nSave it as UTF-8."
    byte, line = content[e.start : e.start + 1].hex(), content[: e.start].count(b"\n") + 1
    return (
        f"{where}: is not UTF-8 (byte 0x{byte} on line {line:,}).\n"
        "If it is Latin-1: iconv -f latin1 -t utf-8 OLD > NEW."
    )
