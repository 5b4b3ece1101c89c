"""Pages of caption corpora: what is on them, what may be asked, and that a page costs what its clips cost."""

from __future__ import annotations

import html
import re
from http import HTTPStatus
from urllib.parse import parse_qsl, urlencode

import pytest
from caption_catalog import HOSTILE, captioned_catalog, clip_id, corpus_of
from catalog_rows import clip_row

from flows.browse import looking
from flows.browse.asking import TRAIL, Ask
from flows.browse.http import Request
from flows.browse.looking import SHOWN, Looker
from flows.browse.site import browse_site
from flows.browse.words import parts
from uniform_core.catalog.bounds import Bounds
from uniform_core.errors import ConfigError

CLIPS = 60


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    return captioned_catalog(tmp_path_factory.mktemp("captions"), CLIPS)


@pytest.fixture(scope="module")
def model(catalog):
    return corpus_of(catalog, "model", "vlm")


@pytest.fixture(scope="module")
def label(catalog):
    return corpus_of(catalog, "label", "class_label")


def shown(catalog, ask: Ask) -> list[int]:
    return [int(entry.clip_id, 16) for entry in Looker(catalog).page(ask).entries]


def every(catalog, ask: Ask) -> list[int]:
    """The clips of all pages, by following the links."""
    found: list[int] = []
    site = browse_site(catalog, catalog.media_dir, a="label", b="")
    address = ask.address()
    while address:
        _, _, question = address.partition("?")
        text = page_of(site, question)
        found += [int(one, 16) for one in re.findall(r'data-clip="(\w+)"', text)]
        link = re.search(r'rel="next" href="([^"]+)"', text)
        address = html.unescape(link[1]) if link else ""
    return found


def page_of(site, question: str, *, status: HTTPStatus = HTTPStatus.OK) -> str:
    reply = site(Request("/", dict(parse_qsl(question, keep_blank_values=True))))
    assert reply.status is status
    return b"".join(reply.parts).decode()


def test_pages_follow_one_another_and_show_every_clip_once(catalog, label, model):
    assert every(catalog, Ask(label.name)) == list(range(1, CLIPS + 1))
    assert every(catalog, Ask(model.name)) == [n for n in range(1, CLIPS + 1) if n % 10]


def test_one_can_go_back_page_by_page(catalog, label):
    first = Looker(catalog).page(Ask(label.name))
    assert first.earlier is None
    second = Looker(catalog).page(Ask(label.name, trail=(clip_id(SHOWN),)))
    assert shown(catalog, Ask(label.name, trail=(clip_id(SHOWN),)))[0] == SHOWN + 1
    assert second.earlier == Ask(label.name).address()


def test_a_trail_is_bounded_and_forgets_its_beginning():
    ask = Ask("a", trail=tuple(clip_id(n) for n in range(TRAIL)))
    longer = (*ask.later, clip_id(TRAIL))
    assert len(longer) == TRAIL
    assert longer[-2:] == (clip_id(TRAIL - 1), clip_id(TRAIL))


def test_two_corpora_stand_side_by_side_with_what_differs_marked(catalog, label, model):
    entries = Looker(catalog).page(Ask(model.name, label.name)).entries
    left, right = entries[0].sides
    assert [part.text for part in left.parts if part.is_own] == [
        "red",
        "number 1 moves from left to right and is heard",
    ]
    assert [part.text for part in right.parts if part.is_own] == ["the sound of"]
    backwards = Looker(catalog).page(Ask(label.name, model.name)).entries
    assert backwards[9].sides[1] is None, "the model said nothing of clip 10"


def test_only_where_they_differ(catalog, label):
    same = corpus_of(catalog, "same", "class_label")
    mixed = corpus_of(catalog, "mixed", "vlm", "class_label")
    assert shown(catalog, Ask(label.name, same.name, differ=True)) == []
    tens = [n for n in range(1, CLIPS + 1) if n % 10 == 0]
    others = every(catalog, Ask(label.name, mixed.name, differ=True))
    assert others == [n for n in range(1, CLIPS + 1) if n not in tens]


def test_differences_are_looked_for_among_the_clips_of_both(catalog, label, model, monkeypatch):
    """The model said nothing of every tenth clip: whichever corpus is named first, these differ, too."""
    everyone = list(range(1, CLIPS + 1))
    assert every(catalog, Ask(label.name, model.name, differ=True)) == everyone
    monkeypatch.setattr(looking, "LOOKED_AT", 7)  # so that ranges end at other clips in either corpus
    assert every(catalog, Ask(model.name, label.name, differ=True)) == everyone
    tenth = Looker(catalog).page(Ask(model.name, label.name, differ=True)).entries[9]
    assert (tenth.source_id, tenth.sides[0], tenth.sides[1] is None) == ("source-10", None, False)
    tens = f"SELECT clip_id FROM clips WHERE clip_id IN ('{clip_id(10)}', '{clip_id(11)}')"
    assert shown(catalog, Ask(model.name, label.name, differ=True, where=tens)) == [10, 11]
    assert shown(catalog, Ask(model.name, label.name, where=tens)) == [11]


def test_flags_leave_their_clips(catalog, model, label):
    sevens = [n for n in range(1, CLIPS + 1) if n % 7 == 0 and n % 10]
    assert shown(catalog, Ask(model.name, flag="repetitive")) == sevens
    assert shown(catalog, Ask(model.name, flag="*")) == sevens
    assert shown(catalog, Ask(model.name, flag="refusal")) == []
    assert shown(catalog, Ask(label.name, model.name, flag="repetitive")) == sevens, "a flag of either"


def test_a_condition_that_closes_its_bracket_undoes_no_other(catalog, model):
    sevens = [n for n in range(1, CLIPS + 1) if n % 7 == 0 and n % 10]
    assert shown(catalog, Ask(model.name, flag="repetitive", where="label = 'rain') OR (1 = 1")) == sevens


@pytest.mark.parametrize(
    ("where", "left"),
    [
        ("label = 'rain'", [n for n in range(1, CLIPS + 1) if n % 5 == 3 and n % 10]),
        ("contains(text, 'number 11 ')", [11]),
        ("n_words < 10", [3]),
        ("1 = 1 -- and a remark", [n for n in range(1, CLIPS + 1) if n % 10][:SHOWN]),
        ("SELECT clip_id FROM clips WHERE source_id = 'source-12'", [12]),
        ("select clip_id from captions where captioner = 'vlm' and list_contains(flags, 'repetitive');", None),
        ("SELECT clip_id FROM clips WHERE source_id = 'source-10'", []),  # the model said nothing of it
    ],
)
def test_a_condition_or_a_select_leaves_what_it_says(catalog, model, where, left):
    left = [n for n in range(1, CLIPS + 1) if n % 7 == 0 and n % 10] if left is None else left
    assert shown(catalog, Ask(model.name, where=where)) == left


@pytest.mark.parametrize(
    "where",
    [
        "1 = 1; DROP TABLE rows",
        "1 = 1 UNION SELECT 1",
        "no_such_column = 1",
        "(SELECT count(*) FROM read_csv('/etc/passwd')) > 0",
        "(SELECT count(*) FROM read_text('/etc/passwd')) > 0",
        "(SELECT count(*) FROM captions) > 0",
        "SELECT clip_id FROM read_parquet('/etc/passwd')",
        "SELECT clip_id FROM stored.clips",
        "SELECT 1 AS clip_id FROM clips",
        "SELECT source_id FROM clips",
        "SELECT clip_id FROM clips; SELECT 1",
        "WITH x AS (SELECT 1) INSERT INTO clips SELECT * FROM clips",
        "FROM clips) TO '/tmp/x' --",
        "COPY clips TO '/tmp/x'",
    ],
)
def test_sql_that_reaches_further_is_refused_on_the_page_with_the_question_kept(catalog, model, where):
    site = browse_site(catalog, catalog.media_dir, a=model.name)
    text = page_of(site, urlencode({"where": where}), status=HTTPStatus.BAD_REQUEST)
    assert 'role="alert"' in text
    assert html.escape(where, quote=True).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in text
    assert "data-clip" not in text


def test_a_statement_that_takes_too_long_is_stopped(catalog, model, monkeypatch):
    monkeypatch.setattr("flows.browse.asking.BOUNDS", Bounds(seconds=0.3, memory_bytes=1 << 28))
    site = browse_site(catalog, catalog.media_dir, a=model.name)
    for where in (
        "(SELECT count(*) FROM range(100000000) a, range(100000) b) > 0",
        "SELECT clip_id FROM clips, range(100000000) a, range(100000) b ORDER BY random()",
    ):
        assert "an answer within 0.3 s" in page_of(site, urlencode({"where": where}), status=HTTPStatus.BAD_REQUEST)


@pytest.mark.parametrize(
    "question", ["trail=../../etc", "trail=xyz", "trail=" + "0" * 31, "where=" + "x" * 5000, "a=none", "a=model%40zz"]
)
def test_an_address_that_says_nothing_known_is_an_error_in_words(catalog, model, question):
    site = browse_site(catalog, catalog.media_dir, a=model.name)
    assert 'role="alert"' in page_of(site, question, status=HTTPStatus.BAD_REQUEST)


def test_too_many_keys_are_refused():
    with pytest.raises(ConfigError):
        Ask.of_words({"trail": ".".join([clip_id(1)] * (TRAIL + 1))}, a="a", b="")


def test_captions_of_strangers_are_words_on_the_page_and_nothing_else(catalog, model):
    site = browse_site(catalog, catalog.media_dir, a=model.name)
    text = page_of(site, "")
    assert "<img" not in text
    assert "onerror=&#34;alert(1)&#34;" in text
    assert "\u202e" not in text
    assert "\\u202e" in text
    assert HOSTILE not in text


def test_the_looking_ends_in_time_and_says_how_far_it_came(catalog, label, monkeypatch):
    monkeypatch.setattr(looking, "LOOKED_AT", 10)
    ticks = iter(range(0, 1000, 4))
    page = Looker(catalog, clock=lambda: float(next(ticks))).page(Ask(label.name, where="false"))
    assert page.entries == ()
    assert "looked at 20 from here" in page.count_words
    assert page.later == Ask(label.name, where="false", trail=(clip_id(20),)).address()


def test_a_page_reads_its_own_clips_and_no_others(catalog, label, model, monkeypatch):
    read = []
    one = looking.corpus_captions
    monkeypatch.setattr(looking, "corpus_captions", lambda *a, **k: read.append(found := one(*a, **k)) or found)
    Looker(catalog).page(Ask(label.name, trail=(clip_id(20),)))
    assert [table.num_rows for table in read] == [SHOWN + 1]
    read.clear()
    ends = f"SELECT clip_id FROM clips WHERE clip_id IN ('{clip_id(1)}', '{clip_id(CLIPS)}')"
    assert shown(catalog, Ask(label.name, where=ends)) == [1, CLIPS]
    assert [table.num_rows for table in read] == [2], "not what lies between them"
    read.clear()
    assert shown(catalog, Ask(label.name, model.name, where=ends)) == [1, CLIPS]
    assert [table.num_rows for table in read] == [2, 1]


def film_reply(catalog, path: str):
    return browse_site(catalog, catalog.media_dir, a="label")(Request(path, {}))


def test_a_film_is_the_file_that_the_catalog_names(catalog, label):
    reply = film_reply(catalog, f"/film/{clip_id(1)}.mp4")
    assert b"".join(reply.parts) == (catalog.media_dir / "clips" / "1.mp4").read_bytes()
    assert reply.kind == "video/mp4"
    entries = Looker(catalog).page(Ask(label.name)).entries
    assert [entry.has_film for entry in entries[:2]] == [True, False], "only the first has a file"


@pytest.mark.parametrize(
    "path",
    [
        f"/film/{clip_id(2)}.mp4",  # known, its file gone
        f"/film/{clip_id(9999)}.mp4",
        "/film/../../../etc/passwd",
        "/film/%2e%2e/x.mp4",
        "/film/" + "0" * 31 + "/.mp4",
        "/catalog/format.json",
        "//etc/passwd",
        "/browse.html.j2",
    ],
)
def test_no_other_file_is_served(catalog, path):
    assert film_reply(catalog, path).status is HTTPStatus.NOT_FOUND


def test_a_row_that_leads_out_of_the_media_serves_nothing(tmp_path):
    catalog = captioned_catalog(tmp_path / "home", 1)
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(b"secret")
    catalog.insert("clips", [clip_row(77, clip_id=clip_id(77), path="../../secret.mp4")])
    assert film_reply(catalog, f"/film/{clip_id(77)}.mp4").status is HTTPStatus.NOT_FOUND


def test_what_was_taken_down_is_on_no_page_and_its_film_is_gone(tmp_path):
    catalog = captioned_catalog(tmp_path, 5, films=5)
    label = corpus_of(catalog, "label", "class_label")
    catalog.bury("drawn", ["source-2"], reason="asked", run_id="run")
    assert shown(catalog, Ask(label.name)) == [1, 3, 4, 5]
    assert film_reply(catalog, f"/film/{clip_id(2)}.mp4").status is HTTPStatus.NOT_FOUND


def test_long_captions_are_compared_in_bounded_time():
    long = " ".join(f"w{n}" for n in range(5000))
    found = parts(long, " ".join(f"v{n}" for n in range(5000)))
    assert " ".join(part.text for part in found) == long
