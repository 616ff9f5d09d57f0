"""A page as a browser finds it: read by a parser, and opened in headless Chromium."""

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
VOID = {"meta", "img", "br", "wbr", "link", "hr", "input", "source"}


class Page(HTMLParser):
    """What a browser would find: numbers by key with the text shown, pictures, tags, and all that is loaded."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.numbers, self.shown, self.pictures, self.loaded, self.tags, self.open = [], [], [], [], [], []
        self.title = self.text = ""
        self.source = text
        self.feed(text)
        assert not self.open, "unclosed elements"

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        if "data-key" in values:
            self.numbers.append((values["data-key"], json.loads(values["data-value"])))
            self.shown.append("")
        if tag == "img":
            self.pictures.append(values)
        self.loaded += [values[key] for key in ("src", "srcset", "data", "poster") if key in values]
        self.loaded += [values["href"]] if tag == "link" else []

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "style":
            self.text = ""

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] == "title":
            self.title += data
        if self.open and self.open[-1] == "data":
            self.shown[-1] += data


def at(tree, key: str):
    """What stands in results.json at keys joined by dots; keys may hold dots themselves."""
    if key == "":
        return tree
    if isinstance(tree, list):
        first, _, rest = key.partition(".")
        return at(tree[int(first)], rest)
    found = [(name, key[len(name) + 1 :]) for name in tree if key == name or key.startswith(f"{name}.")]
    if not found:
        raise KeyError(key)
    name, rest = max(found, key=lambda pair: len(pair[0]))
    return at(tree[name], rest)


def assert_numbers_are_the_results(shown: Page, results) -> None:
    """Each number is results.json's, and its text is that number, rounded."""
    assert len(shown.numbers) > 50
    for (key, value), text in zip(shown.numbers, shown.shown, strict=True):
        assert value == at(results, key), key
        number = re.fullmatch(r"(?:[<=]\u00a0)?([+−]?[\d.\u202f]+(?:e[+-]\d+)?)(\u00a0%)?", text)
        if value is None:
            assert text.startswith("n/a")
        elif not text.startswith("<"):  # p < 0.0001
            assert number, (key, text)
            decimals = len(number[1].partition(".")[2].partition("e")[0])
            read = float(number[1].replace("−", "-").replace("\u202f", "")) / (100 if number[2] else 1)
            last_place = 10**-decimals / (100 if number[2] else 1)
            assert abs(read - value) <= 0.501 * last_place, (key, text)


def console(path, folder, *options: str) -> tuple[str, list[str]]:
    """(DOM, messages of the console) after headless Chromium has opened a file."""
    found = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
            f"--user-data-dir={folder}/profile",
            "--virtual-time-budget=5000",
            *options,
            "--dump-dom",
            path.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert found.returncode == 0, found.stderr[-2000:]
    return found.stdout, [line for line in found.stderr.splitlines() if "CONSOLE" in line]


# what is measured of a page that stands in a frame
MEASURES = """
const d = document.getElementById('f').contentDocument, r = d.documentElement, view = d.defaultView;
const box = e => e.getBoundingClientRect();
const name = e => e.tagName + ' ' + e.className + ' ' + e.textContent.slice(0, 30);
const all = [...d.querySelectorAll('body *')], boxes = [...d.querySelectorAll('.scroll')];
const outside = all.filter(e => !e.closest('.scroll, pre') && box(e).right > r.clientWidth + 0.5).map(name);
const cut = all.filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth
  && ['block', 'grid', 'flex', 'table-cell', 'list-item'].includes(view.getComputedStyle(e).display)
  && view.getComputedStyle(e).overflowX != 'auto'
  && !e.querySelector('.scroll, pre')).map(name);
const unheld = boxes.filter(e => { e.scrollLeft = 1e6; const head = e.querySelector('th[scope=row]');
  const held = Math.abs(box(head).left - box(e).left) < 3, moved = e.scrollLeft; e.scrollLeft = 0;
  return moved > 0 && !held; }).map(name);
const table = [...d.querySelectorAll('table.stacked')].find(t => t.textContent.includes('NSS'));
const arms = [...table.querySelector('tbody tr').querySelectorAll('td')].map(e => [box(e).left, box(e).top]);
const corner = () => { const c = document.createElement('canvas').getContext('2d');
  c.drawImage(d.querySelector('.answer img'), 0, 0); return [...c.getImageData(0, 0, 1, 1).data]; };
document.title = JSON.stringify({inner: r.clientWidth, width: r.scrollWidth, outside, cut, unheld, arms,
  boxes: boxes.length, images: d.images.length, corner: corner(),
  empty: [...d.images].filter(i => !i.complete || i.naturalWidth == 0).length,
  answer: box(d.querySelector('.answer')).bottom});
"""


def laid_out(path, width_px: int, folder, dark: bool = False) -> dict:
    """What a browser makes of a page in a frame of this width.

    The frame holds a copy that is allowed to be measured by a script; the page itself allows none.
    """
    copy = re.sub(r"<meta http-equiv=[^>]*>", "", path.read_text())
    frame = folder / "frame.html"
    frame.write_text(
        f'<iframe id="f" width="{width_px}" height="900" style="border:0" srcdoc="{html.escape(copy)}"></iframe>'
        f"<script>onload = () => {{ {MEASURES} }}</script>"
    )
    dom, _ = console(frame, folder, f"--blink-settings=preferredColorScheme={0 if dark else 1}")
    seen: dict = json.loads(html.unescape(re.search("<title>(.*?)</title>", dom)[1]))
    return seen
