import base64
import html
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from PIL import Image

from entreg.report import figures, page, tables
from tests.report.findings import findings

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
VOID = {"meta", "img", "br", "wbr", "link", "hr", "input"}

STUDIES = {
    "two arms": {},
    "lambda sweep": {"lambdas": (0.0, 0.1, 1.0, 3.0, 10.0), "seeds": 3, "categories": True, "labels": ("worst",)},
    "one arm, one seed, in domain": {"lambdas": (1.0,), "seeds": 1, "ood": False},
    "one image": {"images": 1, "seeds": 1, "ood": False},
}


class Page(HTMLParser):
    """What a browser would find: numbers by key with the text shown, pictures, tags, and all that is loaded."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.numbers, self.shown, self.pictures, self.loaded, self.tags, self.open = [], [], [], [], [], []
        self.title = self.text = ""
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


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """(path of the page, results as results.json holds them) of a study, written once."""
    done = {}

    def write(name: str):
        if name not in done:
            folder = tmp_path_factory.mktemp("report")
            found = findings(folder / "sweep", **STUDIES[name])
            page.write(folder / "report.html", **found)
            done[name] = folder / "report.html", json.loads(json.dumps(found["results"], allow_nan=False))
        return done[name]

    return write


@pytest.mark.parametrize("name", STUDIES)
def test_every_number_is_that_of_the_results(written, name):
    path, results = written(name)
    shown = Page(path.read_text())
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
            two_digits = 0.05 * abs(value) if ".p_" in key else 0
            assert abs(read - value) <= max(0.501 * last_place, two_digits), (key, text)


@pytest.mark.parametrize("name", STUDIES)
def test_page_stands_alone_and_can_be_read_aloud(written, name):
    text = written(name)[0].read_text()
    shown = Page(text)
    assert shown.loaded and all(address.startswith("data:image/png;base64,") for address in shown.loaded)
    assert "@import" not in text and "url(" not in text and "script" not in shown.tags
    assert shown.title and '<html lang="en">' in text
    for picture in shown.pictures:
        assert len(picture["alt"]) > 20
        with Image.open(io.BytesIO(base64.b64decode(picture["src"].partition(",")[2], validate=True))) as image:
            image.load()
            assert image.width > 200
    levels = [int(tag[1]) for tag in shown.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1 and all(b <= a + 1 for a, b in zip(levels, levels[1:]))
    assert shown.tags.count("table") == shown.tags.count("caption")
    assert not re.search(r"\b(nan|None|inf|Undefined)\b", shown.text)


@pytest.fixture
def unpainted(monkeypatch):
    """For tests of the text alone: figures are drawn, but not painted, which takes seconds."""
    monkeypatch.setattr(figures, "png", lambda figure: b"")


def test_answer_tells_better_from_worse_from_unclear(tmp_path, unpainted):
    for gain, said in ((0.3, "better"), (-0.3, "worse"), (0.0, "no clear difference")):
        found = findings(tmp_path / said, gain=gain)
        cell = found["results"]["comparison"]["ood"]["ig_difference_bits"]
        assert page.verdict(cell) == said and abs(cell["mean"] - gain) < 0.05
        page.write(tmp_path / "report.html", **found)
        sentence = re.search(r'<p class="sentence">(.*?)</p>', (tmp_path / "report.html").read_text(), re.S)[1]
        words = " ".join(html.unescape(re.sub("<[^>]+>", "", sentence)).split())
        assert re.fullmatch(r"Out of domain .*: (.*); in domain .*: (.*)\.", words).group(1) == said
        assert words.endswith(f": {page.verdict(found['results']['comparison']['in_domain']['ig_difference_bits'])}.")


def test_a_sweep_is_answered_by_all_its_arms_not_the_first_alone(tmp_path, unpainted):
    """Each arm is better than the one before by 0.02 bit, which noise hides at first; corrected, some stay unclear."""
    found = findings(tmp_path / "sweep", lambdas=(0.0, 0.1, 1.0, 10.0), gain=0.02)
    comparisons = found["results"]["comparisons"]
    said = tables.overview(found["results"])
    assert list(said) == ["ood", "in_domain"]
    for domain, by_verdict in said.items():
        assert sorted(arm for arms in by_verdict.values() for arm in arms) == sorted(comparisons)
        for word, arms in by_verdict.items():
            for arm in arms:
                cell = comparisons[arm][domain]["ig_difference_bits"]
                assert (word == "better") is (cell["ci95"][0] > 0 and cell["p_holm"] < 0.05)
                assert f"{arm} ({cell['mean']:+.4f})" in "\n".join(tables.answer(found["results"])[-2:])
    assert {word for by_verdict in said.values() for word in by_verdict} == {"better", "no clear difference"}
    page.write(tmp_path / "report.html", **found)
    section = re.search(r'<section class="answer".*?</section>', (tmp_path / "report.html").read_text(), re.S)[0]
    keys = {key for key, _ in Page(section).numbers}
    assert {f"comparisons.{arm}.{d}.ig_difference_bits.mean" for arm in comparisons for d in said} <= keys


def test_one_arm_is_compared_with_nothing(written):
    text = Page(written("one arm, one seed, in domain")[0].read_text()).text
    assert "Nothing is compared" in text and "nothing is said" not in text
    assert "All comparisons" not in text and "Where a drop out of domain" not in text


def test_lambda_sweep_is_exploratory_with_curves_categories_and_corrected_p(written):
    path, results = written("lambda sweep")
    shown = Page(path.read_text())
    assert "Exploratory" in shown.text and "unfinished" in shown.text and "inside" in shown.text
    assert sum("against lambda" in picture["alt"] for picture in shown.pictures) == 3
    keys = {key for key, _ in shown.numbers}
    for arm in results["comparisons"]:
        for domain in ("in_domain", "ood"):
            assert f"comparisons.{arm}.{domain}.ig_difference_bits.p_holm" in keys
            assert f"arms.{arm}.{domain}.by_category.Social.1.mean" in keys


def test_commands_and_commits_of_the_runs_are_told(written):
    text = Page(written("two arms")[0].read_text()).text
    assert "python train.py loss.lambda_entropy=1 seed=1" in text
    assert "git checkout 0123456789abcdef" in text and "fedcba9876 with uncommitted changes" in text


def test_what_comes_from_files_is_text_not_markup(tmp_path, unpainted):
    found = findings(tmp_path / "sweep")
    evil = "<script>alert(1)</script>$x"
    found["results"]["study"] = found["results"]["data"]["ood"]["name"] = evil
    found["provenance"]["processor"] = found["results"]["left_out"][0]["run"] = evil
    page.write(tmp_path / "report.html", **found)
    shown = Page((tmp_path / "report.html").read_text())
    assert "script" not in shown.tags and shown.text.count(evil) >= 4


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (Debian: apt-get install chromium)")
@pytest.mark.parametrize("name", ["two arms", "lambda sweep"])
def test_browser_shows_it_without_complaint_on_a_phone(written, tmp_path, name):
    path = written(name)[0]
    assert not console(path, tmp_path)[1]
    # a frame 400 px wide holds a copy that is allowed to run a script (the page itself is not)
    copy = re.sub(r"<meta http-equiv=[^>]*>", "", path.read_text())
    (tmp_path / "frame.html").write_text(
        f'<iframe id="f" width="400" height="800" style="border:0" srcdoc="{html.escape(copy)}"></iframe>'
        "<script>onload = () => { const d = document.getElementById('f').contentDocument, r = d.documentElement;"
        "const images = [...d.images]; document.title = JSON.stringify({inner: r.clientWidth, width: r.scrollWidth,"
        "images: images.length, empty: images.filter(i => !i.complete || i.naturalWidth == 0).length,"
        "outside: [...d.querySelectorAll('body *')].filter(e => !e.closest('.scroll, pre') && "
        "e.getBoundingClientRect().right > 400.5).length}); }</script>"
    )
    dom, _ = console(tmp_path / "frame.html", tmp_path)
    seen = json.loads(html.unescape(re.search("<title>(.*?)</title>", dom)[1]))
    assert seen["inner"] <= 400 and seen["width"] <= seen["inner"] and seen["outside"] == 0
    assert seen["images"] == len(Page(path.read_text()).pictures) and seen["empty"] == 0


def console(path, folder) -> tuple[str, list[str]]:
    """(DOM, messages of the console) after headless Chromium has opened a file."""
    found = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
         f"--user-data-dir={folder}/profile", "--virtual-time-budget=5000", "--dump-dom", path.as_uri()],
        capture_output=True, text=True, timeout=120,
    )
    assert found.returncode == 0, found.stderr[-2000:]
    return found.stdout, [line for line in found.stderr.splitlines() if "CONSOLE" in line]
