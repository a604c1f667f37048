"""dev/ops/runbooks: a block is asked of the replica, or finds what later ones need; elsewhere that is a mistake."""

from pathlib import Path

import pytest

from dev.ops import runbooks
from dev.ops.lines import BadSource

_BLOCK = "```{opening}\n{text}\n```"
_MISTAKES = {
    "promql of a replica": ("promql replica", "up", "replica stands after sql, and not after promql"),
    "a name that no row gives": ("sh $month", "true", "$month stands after sql, and not after sh"),
    "a name that is none": ("sql $", "SELECT 1", "after its kind a block says perhaps, fails or nothing, and not $"),
    "a command that is none": ("sh", "app partitions behind --since $month", "no such command: app partitions behind"),
}


def _written(folder: Path, *, diagnosis: str, mitigation: str) -> None:
    text = dict.fromkeys(runbooks.SECTIONS, "Said.")
    text |= {"Diagnosis": diagnosis, "Mitigation": mitigation, "Verify": _BLOCK.format(opening="promql", text="up")}
    (folder / "Late.md").write_text("\n\n".join(f"## {name}\n\n{said}" for name, said in text.items()))


def test_blocks_say_whom_they_ask_and_what_they_find(tmp_path: Path) -> None:
    """What was found has no value yet when the page is checked, and is none of a command's mistakes."""
    asked = [
        _BLOCK.format(opening="sql replica", text="SELECT 1"),
        _BLOCK.format(opening="sql $month", text="SELECT 2"),
    ]
    used = _BLOCK.format(opening="sh", text="app partitions ahead --since $month")
    _written(tmp_path, diagnosis="\n\n".join(asked), mitigation=used)

    runbooks.check(["Late"], tmp_path)

    found = runbooks.read("Late", tmp_path).blocks["Diagnosis"]
    assert [(block.kind, block.word) for block in found] == [("sql", "replica"), ("sql", "$month")]


@pytest.mark.parametrize(("opening", "text", "told"), _MISTAKES.values(), ids=list(_MISTAKES))
def test_a_mistake_is_told_with_its_reason(tmp_path: Path, opening: str, text: str, told: str) -> None:
    """Nothing is executed otherwise than its page says."""
    _written(tmp_path, diagnosis=_BLOCK.format(opening=opening, text=text), mitigation="Nothing.")

    with pytest.raises(BadSource) as exc:
        runbooks.check(["Late"], tmp_path)

    assert told in str(exc.value)
