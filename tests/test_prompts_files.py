"""Lines of prompts files: what they may say, and that names and seeds come from the line alone."""

import itertools
import json
import os
import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcache.tools.generating.items import Item, ItemMaker, items_in
from mmcache.tools.generating.lines import LineError, LineSchema
from mmcache.tools.generating.prompts_file import PromptsFileError, RawLine, check_exists, write_lines
from mmcache.tools.generating.repeated_names import NameCollector
from mmcache.tools.generating.store import Store
from mmcache.tools.generating.survey import ALL, Shard, open_items, survey

KNOWN = frozenset(("prompt", "negative_prompt", "height", "num_inference_steps", "guidance_scale", "image"))
MAKER = ItemMaker(LineSchema(), 0, "settings")


def items(path, seed=0):
    return list(items_in(path, ItemMaker(LineSchema(), seed, "settings")))


def surveyed(path, out, shard=ALL, schema=None, **options):
    maker = ItemMaker(schema or LineSchema(KNOWN), 0, "settings")
    return survey(path, maker, Store(out), shard, **{"new": True, "overwrite": False} | options)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"promt": "a cat"}', "Did you mean 'prompt'"),
        ('{"prompt": "a cat", "negativ_prompt": "b"}', "Did you mean 'negative_prompt'"),
        ('{"prompt": "a cat", "generator": 1}', "'generator' is not for a line"),
        ('{"prompt": "a cat", "num_images_per_prompt": 2}', "not for a line"),
        ('{"prompt": " "}', "wanted a text that says what to show"),
        ('{"prompt": 3}', "wanted a text"),
        ('{"id": "a"}', 'has no "prompt"'),
        ('{"prompt": null}', 'has no "prompt"'),
        ('{"prompt": "a", "seed": -1}', "seed=-1"),
        ('{"prompt": "a", "seed": true}', "seed=True"),
        ('{"prompt": "a", "seed": 18446744073709551616}', "at most 2**64 - 1"),
        ('{"prompt": "a", "steps": 0}', "steps=0"),
        ('{"prompt": "a", "steps": 3, "num_inference_steps": 3}', "keep one"),
        ('{"prompt": "a", "height": 1.5}', "wanted a whole number"),
        ('{"prompt": "a", "guidance": "3"}', "wanted a number"),
        ('{"prompt": "a", "guidance": NaN}', "no number of JSON"),
        ('{"prompt": "a", "prompt": "b"}', "twice"),
        ('{"prompt": "a", "image": "no.png"}', "there is no file"),
        ('{"prompt": "a", "image": 3}', "wanted the path"),
        ('{"prompt": "a", "id": "../x"}', "name of a file"),
        ('{"prompt": "a", "id": ".x"}', "name of a file"),
        ('{"prompt": "a", "id": "Summary"}', "choose another"),
        ('{"prompt": "a", "id": "con.a"}', "choose another"),
        ('{"prompt": "a", "id": ""}', "1 to 150 bytes"),
        ('{"prompt": "a", "id": "a\\nb"}', "control characters"),
        ('{"prompt": "a", "plan": "no-such-plan"}', "plan: "),
        ("[1, 2]", "is a list"),
        ("3", "is a int"),
        ('{"prompt": "a"', "is not JSON"),
        ('{"prompt": "a", "guidance": 1%s}' % ("0" * 400), "too large a number"),
        ('{"prompt": "a", "guidance": 1e999}', "too large a number"),
        ('{"prompt": "a", "steps": 1%s}' % ("0" * 30), "at most 100000"),
        ('{"prompt": "a", "height": 100001}', "at most 100000"),
        ('{"prompt": "a \\ud800"}', "half a character"),
        ('{"prompt": "a", "negative_prompt": "\\udfff"}', "half a character"),
        ('{"prompt": "a", "image": "%s"}' % ("x" * 5000), "there is no file"),
        ('{"prompt": "a", "image": "a\\u0000"}', "there is no file"),
        ("a cat", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_a_bad_line_is_refused_with_its_number(line, words, tmp_path):
    from mmcache.tools.generating.model_check import PlanCheck

    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": "fine"}\n\n' + line + "\n")
    maker = ItemMaker(LineSchema(KNOWN, tmp_path), 0, "settings", PlanCheck(None).describer())
    with pytest.raises(PromptsFileError) as refused:
        survey(path, maker, Store(tmp_path), ALL, new=True, overwrite=False)
    assert "line 3 " in str(refused.value)
    assert words in str(refused.value)
    assert len(str(refused.value)) <= 300 + len(str(path))


def test_further_bad_lines_are_named(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"a": 1}\n{"prompt": "b"}\n{"c": 1}\n' + "{}\n" * 9)
    with pytest.raises(PromptsFileError, match=r"line 1 .*also bad: line 3, 4, 5, 6, 7, \.\.\."):
        surveyed(path, tmp_path)


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_a_file_without_prompts_is_refused(content, tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_bytes(content)
    with pytest.raises(PromptsFileError, match="has no prompts"):
        surveyed(path, tmp_path)


def test_a_missing_file_and_text_in_another_encoding(tmp_path):
    with pytest.raises(PromptsFileError, match="no such file"):
        surveyed(tmp_path / "no.txt", tmp_path)
    path = tmp_path / "latin.txt"
    path.write_bytes("ein Bär\n".encode("latin-1"))
    with pytest.raises(PromptsFileError, match="line 1 is not text in UTF-8"):
        surveyed(path, tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without pipes that have names")
def test_prompts_are_read_from_regular_files_only(tmp_path):
    """They are read twice, and a pipe would be waited for."""
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "zeros").symlink_to("/dev/zero")
    (tmp_path / "itself").symlink_to(tmp_path / "itself")
    for name in ("pipe.jsonl", "zeros", "itself", ".", "x" * 5000, "a\0b"):
        for ask in (check_exists, lambda path: surveyed(path, tmp_path)):
            with pytest.raises(PromptsFileError) as refused:
                ask(tmp_path / name)
            assert len(str(refused.value)) <= 300


def test_whole_characters_in_two_halves_are_one(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text('"a \\ud83d\\ude00"\n')
    assert [item.prompt for item in items(path)] == ["a \U0001f600"]


def test_a_text_file_is_a_prompt_a_line_and_json_lines_say_the_same(tmp_path):
    text, lines = tmp_path / "prompts.txt", tmp_path / "prompts.jsonl"
    text.write_text("a cat\n\n  a dog \r\nein Bär\n", encoding="utf-8-sig")
    lines.write_text('"a cat"\n\n{"prompt": "a dog"}\n{"prompt": "ein B\\u00e4r"}')
    assert items(text) == items(lines)
    assert [(item.number, item.seed, item.prompt) for item in items(text)] == [
        (1, 0, "a cat"),
        (3, 2, "a dog"),
        (4, 3, "ein Bär"),
    ]
    unnamed = tmp_path / "prompts"
    unnamed.write_text(lines.read_text()[len('"a cat"\n') :].lstrip())
    assert [item.prompt for item in items(unnamed)] == ["a dog", "ein Bär"]


def test_the_first_line_has_the_base_seed_and_a_line_may_have_its_own(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": "a"}\n{"prompt": "b", "seed": 7}\n{"prompt": "c"}\n')
    assert [item.seed for item in items(path, seed=100)] == [100, 7, 102]


PROMPTS = st.fixed_dictionaries(
    {"prompt": st.text("abc é", min_size=1).filter(str.strip)},
    optional={"seed": st.integers(0, 2**64 - 1), "height": st.integers(1, 9), "guidance": st.floats(0, 9)},
)


@given(PROMPTS, st.integers(1, 10**9))
def test_an_item_is_a_function_of_its_line(line, number):
    item = MAKER.make(RawLine(number, line))
    again = MAKER.make(RawLine(number, json.loads(json.dumps(dict(reversed(line.items()))))))
    assert item == again
    other = MAKER.make(RawLine(number, line | {"prompt": line["prompt"] + "!"}))
    assert other.name != item.name
    assert other.key != item.key
    assert ItemMaker(LineSchema(), 0, "others").make(RawLine(number, line)).key != item.key


def test_equal_lines_differ_by_their_seeds_and_equal_seeds_are_one_image(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text('"a"\n"a"\n{"prompt": "a", "seed": 1}\n')
    first, second, third = items(path)
    assert first.name != second.name
    assert second.name == third.name
    assert surveyed(path, tmp_path).total == 3


@pytest.mark.parametrize(
    "ids", [("a", "a"), ("a", "A"), (1, "1"), ("\u00e9", "e\u0301"), ("\u00c9", "e\u0301")], ids=ascii
)
def test_two_lines_for_one_file_are_refused(ids, tmp_path):
    path = tmp_path / "prompts.jsonl"
    lines = [{"prompt": "x", "id": ids[0]}, "between", {"prompt": "y", "id": ids[1]}]
    write_lines(lines, path)
    with pytest.raises(PromptsFileError, match="lines 1 and 3 would write the same file"):
        surveyed(path, tmp_path)


def test_collisions_are_those_of_a_dictionary():
    chance = random.Random(0)
    entries = [(str(chance.randrange(3000)), f"{chance.randrange(2):016x}", n) for n in range(5000)]
    collector = NameCollector()
    for entry in entries:
        collector.add(*entry)
    by_name = {}
    for name, key, line in entries:
        by_name.setdefault(name, []).append((key, line))
    expected = {
        (a[1], b[1]) for found in by_name.values() for a, b in itertools.pairwise(found) if a[0] != b[0]
    }
    assert set(collector.collisions()) == expected


@pytest.mark.parametrize("count", [1, 2, 3, 7, 30])
def test_shards_are_a_partition(count, tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_text("".join(f"prompt {n}\n" + "\n" * (n % 3 == 0) for n in range(20)))
    parts = [list(open_items(path, MAKER, Shard(index, count))) for index in range(count)]
    together = sorted((item for part in parts for item in part), key=lambda item: item.number)
    assert together == items(path)


@pytest.mark.parametrize("text", ["16/16", "-1/3", "a/b", "3", "1/0", "1/2/3", ""])
def test_a_shard_that_there_is_not(text):
    with pytest.raises(ValueError, match="I from 0 to N-1"):
        Shard.parse(text)


def test_an_image_of_a_line_is_found_beside_the_file_and_its_contents_matter(tmp_path):
    folder = tmp_path / "there"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"1")
    path = folder / "prompts.jsonl"
    write_lines([{"prompt": "a", "image": "a.png"}], path)
    maker = ItemMaker(LineSchema(KNOWN, folder), 0, "settings")
    (before,) = items_in(path, maker)
    assert before.arguments["image"] == str((folder / "a.png").resolve())
    (folder / "a.png").write_bytes(b"22")
    (after,) = items_in(path, maker)
    assert (before.name, before.seed) == (after.name, after.seed)
    assert before.key != after.key


def test_prompts_without_json_are_refused(tmp_path):
    for prompt in ({"prompt": "a", "image": object()}, 3, None, {"prompt": {1, 2}}):
        with pytest.raises(PromptsFileError, match="prompt 1 "):
            write_lines([prompt], tmp_path / "prompts.jsonl")


def test_unknown_keys_of_an_unknown_pipeline_are_left_to_it_but_slips_are_not():
    schema = LineSchema()
    assert schema.check({"prompt": "a", "some_new_scale": 3})["some_new_scale"] == 3
    with pytest.raises(LineError, match="Did you mean 'guidance_scale'"):
        schema.check({"prompt": "a", "guidence_scale": 3})
    with pytest.raises(LineError, match="unknown key"):
        LineSchema(KNOWN).check({"prompt": "a", "some_new_scale": 3})


def test_a_control_image_is_known_by_its_pipelines_alone():
    from diffusers import StableDiffusionControlNetPipeline, StableDiffusionPipeline

    from mmcache.tools.generating.lines import arguments_of

    controlled, plain = (
        LineSchema(arguments_of(cls)) for cls in (StableDiffusionControlNetPipeline, StableDiffusionPipeline)
    )
    assert "control_image" in controlled.known
    assert "control_image" not in plain.known
    assert not any("embeds" in name or "callback" in name for name in plain.known)


def test_a_pipeline_without_prompts():
    schema = LineSchema(frozenset(("num_inference_steps",)))
    assert schema.check({"seed": 3}) == {"seed": 3}
    with pytest.raises(LineError, match="unknown key 'prompt'"):
        schema.check("a cat")


def test_reading_takes_constant_memory(tmp_path):
    peaks = []
    for count in (500, 5_000):
        path = tmp_path / f"{count}.jsonl"
        write_lines(({"prompt": f"a cat of number {n}", "id": str(n)} for n in range(count)), path)
        surveyed(path, tmp_path)  # imports and caches
        tracemalloc.start()
        surveyed(path, tmp_path)
        for item in open_items(path, MAKER, ALL):
            assert isinstance(item, Item)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 150_000
