"""Valid files made invalid, as fuzzers do it: strategies of damaged bytes, texts and trees."""

from __future__ import annotations

import copy
import math
import struct
from typing import Any

import torch
from hypothesis import strategies as st

NUMBERS = (0, 1, -1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**63)
WORDS = (
    b"",
    b"\0",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\r",
    b"\n\n",
    b'"',
    b"'",
    b",",
    b";",
    b"\t",
    b"nan",
    b"-inf",
    b"1e999",
    b"-1",
    b"9" * 400,
    b"1_0",
    b"0x10",
    b"\xe4",
    b"../../etc/passwd",
    b"C:\\a",
    b"${oc.env:HOME}",
    b"!!python/tuple",
    b"&a",
    b"*a",
    b"<<",
    b"{",
    b"}",
    b"[" * 100,
    b": ",
    b"null",
    b"true",
    b"\xe2\x80\xae",
    b"\xd9\xa3",
    b"A" * 3000,
)
VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1,
    10**30,
    -(2**63),
    0.0,
    1e308,
    1e-320,
    math.inf,
    -math.inf,
    math.nan,
    "",
    "x",
    "nan",
    "1e999",
    "A" * 3000,
    "../../etc/passwd",
    "a\0b",
    "a\nb",
    "${oc.env:HOME}",
    "${nothing}",
    "???",
    "\ud7ff",
    [],
    {},
    [[]],
    [1, "a", None],
    {"a": {}},
    {"_target_": "os.system"},
    "os.system",
    {1: 2},
)
TENSORS: tuple[Any, ...] = (
    torch.tensor(0.0),
    torch.tensor(math.nan),
    torch.zeros(0),
    torch.zeros(2, 3, 4),
    torch.tensor([math.inf]),
    torch.zeros(1, dtype=torch.int64),
    torch.zeros(1, dtype=torch.complex64),
    torch.ones(1, dtype=torch.bool),
    torch.zeros(1, 1).to_sparse(),
    torch.tensor(1e30),
    torch.zeros(1, dtype=torch.float64),
    torch.zeros(1).half(),
    torch.zeros(3, device="meta"),
)


@st.composite
def damaged(draw: st.DrawFn, whole: bytes, words: bool = False) -> bytes:
    """The bytes after one to four accidents; words: also such as matter in text."""
    content = bytearray(whole)
    kinds = [flip, overwrite, cut, insert, repeat, blank, swap, number, remove] + [word, word, word] * words
    for _ in range(draw(st.sampled_from((1, 1, 1, 2, 4)))):
        kind = draw(st.sampled_from(kinds))
        # spread, since Hypothesis prefers small numbers and most of a file does not lie at its beginning
        at = draw(st.integers(0, 0xFFFF)) * 40503 % 0x10000 * len(content) // 0x10000
        kind(draw, content, at)
    return bytes(content)


def flip(draw: st.DrawFn, content: bytearray, at: int) -> None:
    """One bit."""
    if content:
        content[at] ^= 1 << draw(st.integers(0, 7))


def overwrite(draw: st.DrawFn, content: bytearray, at: int) -> None:
    """Some bytes by others."""
    content[at : at + 4] = draw(st.binary(min_size=1, max_size=4))


def cut(draw: st.DrawFn, content: bytearray, at: int) -> None:
    """The rest of the file is lost."""
    del content[at:]


def insert(draw: st.DrawFn, content: bytearray, at: int) -> None:
    """Bytes too many."""
    content[at:at] = draw(st.binary(min_size=1, max_size=16))


def repeat(draw: st.DrawFn, content: bytearray, at: int) -> None:
    """A part of it twice, or many times."""
    content[at:at] = content[at : at + _length(draw)] * draw(st.sampled_from((1, 1, 2, 50)))


def blank(draw: st.DrawFn, content: bytearray, at: int) -> None:
    """Zeros, as a page that was never written."""
    end = min(len(content), at + _length(draw))
    content[at:end] = bytes(end - at)


def swap(draw: st.DrawFn, content: bytearray, at: int) -> None:
    """A part of it in another place."""
    part = content[at : at + _length(draw)]
    del content[at : at + len(part)]
    other = draw(st.integers(0, len(content)))
    content[other:other] = part


def number(draw: st.DrawFn, content: bytearray, at: int) -> None:
    """A count, size or offset that cannot be."""
    code = draw(st.sampled_from(("<B", "<H", ">H", "<I", ">I", "<Q", ">Q")))
    size = struct.calcsize(code)
    content[at : at + size] = struct.pack(code, draw(st.sampled_from(NUMBERS)) % 256**size)


def remove(draw: st.DrawFn, content: bytearray, at: int) -> None:
    """A part of it lost."""
    del content[at : at + _length(draw)]


def word(draw: st.DrawFn, content: bytearray, at: int) -> None:
    """A word that means something somewhere, in place of what stands between two separators."""
    start = max(content.rfind(mark, 0, at) for mark in (b",", b"\n", b" ", b":")) + 1
    ends = [found for mark in (b",", b"\n", b" ", b":") if (found := content.find(mark, start)) >= 0]
    content[start : min(ends, default=len(content))] = draw(st.sampled_from(WORDS))


def _length(draw: st.DrawFn) -> int:
    return draw(st.sampled_from((1, 2, 4, 16, 64, 512)))


@st.composite
def damaged_tree(draw: st.DrawFn, whole: Any, values: tuple[Any, ...] = VALUES) -> Any:
    """Containers after one to three accidents: a node lost, replaced, renamed, moved, doubled or wrapped."""
    tree = {"root": copy.deepcopy(whole)}
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(tree))
        node, key = draw(st.sampled_from(places))
        kind = draw(st.sampled_from(("replace", "replace", "lose", "rename", "move", "wrap")))
        if kind == "lose" and node is not tree:
            del node[key]
        elif kind == "rename" and isinstance(node, dict) and node is not tree:
            node[draw(st.sampled_from(("x", "", "_target_", "source", "name", 1, "a.b")))] = node.pop(key)
        elif kind == "move":
            other, at = draw(st.sampled_from(places))
            other[at] = copy.deepcopy(node[key])
        elif kind == "wrap":
            node[key] = draw(st.sampled_from(([node[key]], {"x": node[key]})))
        else:
            node[key] = copy.deepcopy(draw(st.sampled_from(values)))
    return tree["root"]


def _places(tree: Any) -> Any:
    """(container, key) of every node; of long lists the first and the last one."""
    if isinstance(tree, dict):
        keys = list(tree)
    elif isinstance(tree, list):
        keys = sorted({0, len(tree) - 1}) if tree else []
    else:
        return
    for key in keys:
        yield tree, key
        yield from _places(tree[key])
