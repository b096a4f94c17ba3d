"""LiveCodeBench, code generation, lite (Jain et al. 2024, arXiv 2403.07974).

Layout: huggingface.co/datasets/livecodebench/code_generation_lite, files test.jsonl and
test2.jsonl … test6.jsonl; release vN is the first N files. Private tests are kept as they are
packed there.
"""

from __future__ import annotations

from functools import partial

from mars2.problems.cases import listed, packed
from mars2.problems.dataset import Chosen, Dataset, Head, build
from mars2.problems.fields import Fields
from mars2.problems.hub import Hub
from mars2.problems.unpack import from_base64, pack
from mars2.types import Problem

_FILES = ("test", "test2", "test3", "test4", "test5", "test6")
_RELEASES = tuple(f"v{n}" for n in range(1, 7))
_SINGLE = tuple(f"file{n}" for n in range(1, 7))
_DIFFICULTIES = ("easy", "medium", "hard")


def _names(chosen: Chosen) -> tuple[str, ...]:
    """File names without suffix: of a release all up to it, of "file6" one."""
    number = int(chosen[0][-1])
    return _FILES[:number] if chosen[0] in _RELEASES else _FILES[number - 1 : number]


def _hub(chosen: Chosen) -> Hub:
    files = tuple(f"{name}.jsonl" for name in _names(chosen))
    return Hub("livecodebench/code_generation_lite", files=files)


def _head(fields: Fields, _: Chosen) -> Head:
    difficulty = fields.text("difficulty")
    if difficulty not in _DIFFICULTIES:
        fields.fail("difficulty", f"is {difficulty!r:.40}, none of {', '.join(_DIFFICULTIES)}")
    return Head(fields.text("question_id"), difficulty, fields.day("contest_date"))


def _problem(fields: Fields, head: Head, _: Chosen) -> Problem:
    about = fields.json("metadata")
    if type(about) is not dict:
        fields.fail("metadata", "has to hold an object")
    entry = about.get("func_name")
    if entry is not None and (type(entry) is not str or not entry):
        fields.fail("metadata.func_name", "has to be a name")
    public = fields.json("public_test_cases")
    with fields.faults("public_test_cases"):
        public_tests = listed(public, entry)
    name = "private_test_cases"
    hidden = fields.text(name)
    with fields.faults(name):
        clear = hidden.lstrip().startswith("[")  # which base64 never does
        payload = pack(hidden.encode("utf-8", "surrogatepass")) if clear else from_base64(hidden)
    return build(
        fields,
        head,
        statement=fields.text("question_content"),
        starter_code=fields.get("starter_code", str),
        entry_point=entry,
        public_tests=public_tests,
        private_tests=packed(fields, name, payload, partial(listed, entry=entry)),
        metadata={
            "title": fields.text("question_title"),
            "platform": fields.text("platform"),
            "contest_id": fields.text("contest_id"),
        },
    )


DATASET = Dataset(
    columns=(
        *("question_title", "question_content", "platform", "question_id", "contest_id"),
        *("contest_date", "starter_code", "difficulty", "public_test_cases"),
        *("private_test_cases", "metadata"),
    ),
    layouts=lambda chosen: [_names(chosen)],
    hub=_hub,
    head=_head,
    problem=_problem,
    variants=(("", *_RELEASES, *_SINGLE),),
    difficulties=_DIFFICULTIES,
)
