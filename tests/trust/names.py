"""The worst names: those that lead elsewhere, those that are markup, those that no file system likes, and mixtures."""

from __future__ import annotations

import random

# Each page's markup is searched for this word: it may stand in a text, and nowhere else.
MARK = "evil"
PATHS = [
    ".trash/evil", "..", ".", "../../evil", "../evil", "", "link", "/etc/passwd", "..\\..\\evil", "C:\\evil",
    "C:evil", "\\\\evil\\share", "//evil/share", "%2e%2e%2f%2e%2e%2fevil", "..%c0%af..%c0%afevil", "evil\0.png",
    "link/../../evil", "~root", "a/../../../evil", "-rf", "....//....//evil", "file:///etc/passwd", "..;/evil",
    ".\u200b./evil", "．．/evil",
]  # fmt: skip
WINDOWS = [
    "CON", "con", "aux.txt", "NUL", "COM1", "LPT\u00b9", "prn.safetensors", "evil.", "evil ", " evil", "evil::$DATA",
    "evil\t", "CLOCK$", "evil?", "e*vil",
]  # fmt: skip
UNICODE = [
    "\u202efdp.evil", "e\u0301" * 20 + "vil", "еvil", "\ud800evil", "\U0001f608evil", "ev\u200bil", "\ufeffevil",
    "ﬀevil", "İevil", "\x1b[31mevil", "evil\r\nSet-Cookie: a=b", "\u2028evil", "é" * 200, "a" * 5000, "\U00010ffff",
]  # fmt: skip
MARKUP = [
    "<script>window.hit=1</script>evil", "<img src=//evil.example/x onerror=window.hit=1>", '"><svg onload=hit=1>evil',
    "' onmouseover='window.hit=1' evil='", "</style><script>window.hit=1</script>evil", "<evil-tag evil=1>",
    "&lt;evil-tag&gt;", "&#60;evil-tag&#62;", "<a href=javascript:window.hit=1>evil</a>", "<!--evil", "]]>evil",
    "![x](//evil.example/x.png)", "[evil](javascript:window.hit=1)", "**evil**", "_evil_", "`evil`", "# evil",
    "$\\frac{evil}{2}$", ":red[evil]", ":material/home: evil", ":smile: evil", "https://evil.example",
    "www.evil.example", "me@evil.example", "~~evil~~", "> evil", "1. evil", "- [ ] evil", "|evil|x|", "<-> evil --> x",
    "red;background:url(//evil.example/x)", "}body{display:none}/*evil", "{0.__class__}evil", "%{x}evil", "[^1]evil",
    "<b>evil</b>", "\\evil\\", "evil\n\n# evil", "[evil]: //evil.example", "::evil::", "evil ~= b",
    '<a href="https://evil.example/">evil</a>',
]  # fmt: skip
PLOTLY = ('<a href="https://evil.example/">evil</a>', "<b>evil</b>")  # of the tags that its charts make links and bold
WORST = [*PATHS, *WINDOWS, *UNICODE, *MARKUP]


def random_names(count: int, seed: int) -> list[str]:
    """That many names: the worst, or some of them, then pieces of them put together with any characters there are."""
    if count < len(WORST):
        return WORST[:: len(WORST) // count + 1]
    chance = random.Random(seed)
    names = list(WORST)
    while len(names) < count:
        pieces = []
        for _ in range(chance.randint(1, 6)):
            kind = chance.random()
            if kind < 0.4:
                worst = chance.choice(WORST)
                start = chance.randrange(len(worst) + 1)
                pieces.append(worst[start : start + chance.randint(1, 20)])
            elif kind < 0.7:
                pieces.append("".join(chr(chance.randrange(0x110000)) for _ in range(chance.randint(1, 5))))
            else:
                pieces.append(
                    chance.choice(["/", "\\", "..", ".", ":", "\0", "%2f", " ", "<", "&", "-", "a", "9", "_"])
                )
        names.append("".join(pieces))
    return names


def sendable(name: str) -> str:
    """What of a name can come over a websocket or a form, which are UTF-8."""
    return name.encode("utf-8", "replace").decode()
