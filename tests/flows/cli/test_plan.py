"""What a plan looks like."""

import pytest

from flows.cli.plan import DRAWN_ONE_BY_ONE, print_plan, show_plan, to_mermaid, to_object
from flows.plan.plan import Change, Leftovers, Plan, StagePlan, State
from flows.plan.reasons import ALWAYS_CHANGED, NOT_IN_CACHE, Reason


def shown(plan: Plan, capsys: pytest.CaptureFixture[str], *targets: str) -> list[str]:
    show_plan(plan, targets, {"tasks.errors": "error texts"})
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def stage(name: str, state: str, *reasons: Reason, seconds: float | None = None) -> StagePlan:
    return StagePlan(name, state, name.startswith("finetune"), list(reasons), seconds)  # type: ignore[arg-type]


def test_stale_stages_come_first_with_their_reasons_and_fresh_ones_are_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan = Plan([
        stage("clean@a", "fresh"),
        stage("split@a", "cached", Reason("missing", "data/split/a/train.parquet", "1" * 32, None)),
        stage("evaluate@m", "waiting", Reason("upstream", "finetune@m"), seconds=3),
        stage("finetune@m", "stale", Reason("param", "seed", 0, 1),
              Reason("code", "tasks.models.bert", "a" * 32, None), seconds=81.2),
    ])  # fmt: skip
    assert shown(plan, capsys, "evaluate@m") == [
        "state stage why last took on",
        "stale finetune@m seed: 0 → 1 81 s gpu",
        "code tasks.models.bert: aaaaaaaa → (none)",
        "waiting evaluate@m after finetune@m 3.0 s cpu",
        "cached split@a deleted: data/split/a/train.parquet - cpu",
        "",
        "1 stale (will run), 1 waiting (may run: something upstream is stale), 1 cached (will be "
        "restored from the run cache), 1 fresh (stays as it is).",
        "At most about 84 s (81 s of it in GPU stages). To run it: downstream run evaluate@m",
        "Never a reason to run, by rule: tasks.errors (error texts)",
    ]


def test_what_is_put_back_costs_nothing_and_what_a_frozen_stage_would_be_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lost = Reason("missing", "data/split/a/train.parquet", "1" * 32, NOT_IN_CACHE)
    differs = [Reason("param", "seed", 0, 1), Reason("command", ALWAYS_CHANGED)]
    frozen = StagePlan("clean@a", "fresh", False, [], None, differs)
    plan = Plan([frozen, stage("split@a", "recommit", lost)])
    assert shown(plan, capsys)[1:] == [
        "recommit split@a not in DVC's cache: data/split/a/train.parquet - cpu",
        "",
        "1 recommit (taken from data/ into DVC's cache; nothing runs), 1 fresh (stays as it is).",
        "It costs no computation. To run it: downstream run",
        "Frozen in dvc.yaml, so it stays as it is: clean@a: seed: 0 → 1; runs every time "
        "(always_changed in dvc.yaml)",
    ]
    objects = to_object(plan)["stages"]
    assert [reason["what"] for reason in objects[0]["frozen"]] == ["seed", ALWAYS_CHANGED]
    assert "frozen" not in objects[1]


def test_when_all_is_fresh_one_line_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    plan = Plan([stage("clean@a", "fresh")])
    assert shown(plan, capsys) == ["All stages are fresh (1): nothing to run."]


def test_rows_that_are_gone_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    plan = Plan([stage("clean@a", "fresh")], Leftovers(["clean@old"], ["data/clean/old"]))
    assert shown(plan, capsys)[1:] == [
        "Left over from rows that are gone: records in dvc.lock clean@old",
        "Left over from rows that are gone: folders data/clean/old",
        "To remove them: downstream clean",
    ]


def test_other_library_versions_are_listed_together_for_the_stages_that_share_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    changes = {"numpy": Change(None, "2"), "torch": Change("1", "2")}
    names = [f"finetune@m{number}" for number in range(10)]
    plan = Plan([stage("clean@a", "fresh")], libraries=dict.fromkeys(names, changes))
    listed = ", ".join(names[:8])
    assert shown(plan, capsys)[1:] == [
        f"Made with other library versions (no reason to run): {listed} and 2 more: "
        "numpy - → 2, torch 1 → 2"
    ]
    assert to_object(plan)["libraries"]["finetune@m0"]["torch"] == {"old": "1", "new": "2"}


def test_a_plan_is_printed_as_what_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    plan = Plan([stage("clean@a", "fresh")])
    for output, start in (("json", "{"), ("graph", "flowchart"), ("table", "All stages are fresh")):
        print_plan(plan, (), output, {"clean@a": []})  # type: ignore[arg-type]
        assert capsys.readouterr().out.startswith(start)


def test_restoring_costs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    lost = Reason("missing", "data/x", "1" * 32, NOT_IN_CACHE)
    edited = Reason("missing", "data/y", "1" * 32, "2" * 32)
    lines = shown(Plan([stage("clean@a", "cached", lost, edited)]), capsys)
    assert "not in DVC's cache: data/x" in lines[1]
    assert "changed on disk: data/y" in lines[2]
    assert lines[-1] == "It costs no computation. To run it: downstream run"


def test_unknown_times_are_said_to_be_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    never = [Reason("missing", "data/x"), Reason("upstream", "clean@a")]
    stages = [stage("split@a", "stale", *never), stage("clean@a", "stale", seconds=2.0)]
    lines = shown(Plan(stages), capsys)
    assert "never ran" in lines[1]
    assert lines[-1].startswith("At most about 2.0 s (0.0 s of it in GPU stages), and 1 of unknown")
    assert shown(Plan(stages[:1]), capsys)[-1].startswith("How long it takes is not known")


def test_the_object_holds_every_key_of_the_contract() -> None:
    plan = Plan([stage("finetune@m", "stale", Reason("command", "cmd", "a", "b"), seconds=1.5)])
    assert to_object(plan) == {
        "stages": [{
            "name": "finetune@m", "state": "stale", "gpu": True, "estimated_seconds": 1.5,
            "reasons": [{"kind": "command", "what": "cmd", "old": "a", "new": "b"}],
        }],
        "estimated_gpu_seconds": 1.5,
        "leftovers": {"lock": [], "data": []},
        "libraries": {},
    }  # fmt: skip


def node(name: str, state: State) -> StagePlan:
    reasons = [] if state == "fresh" else [Reason("param", "seed", 0, 1)]
    return StagePlan(name, state, False, reasons, None)


def test_each_stage_is_a_node_of_its_states_class_with_an_arrow_to_whom_it_hands_over() -> None:
    plan = Plan([node("split@a-b", "fresh"), node("finetune@m", "stale")])
    upstream = {"split@a-b": ["code", "clean@a-b"], "finetune@m": ["code", "split@a-b"]}
    assert to_mermaid(plan, upstream).splitlines() == [
        "flowchart LR",
        '  s_split__a_db["split@a-b<br/>fresh"]:::fresh',
        '  s_finetune__m["finetune@m<br/>stale"]:::stale',
        "  s_split__a_db --> s_finetune__m",
        "  classDef stale fill:#f4a742,stroke:#8a5200,color:#1a1a1a",
        "  classDef fresh fill:#e3f1e1,stroke:#4c7a4c,color:#1a1a1a",
    ]


def test_many_stages_are_drawn_as_one_node_a_group_coloured_by_the_most_urgent() -> None:
    rows = range(DRAWN_ONE_BY_ONE)
    plan = Plan(
        [node(f"split@{row}", "fresh") for row in rows]
        + [node(f"finetune@{row}", "stale" if row < 2 else "fresh") for row in rows]
    )
    upstream = {
        **{f"split@{row}": ["code"] for row in rows},
        **{f"finetune@{row}": [f"split@{row}"] for row in rows},
    }
    assert to_mermaid(plan, upstream).splitlines()[:4] == [
        "flowchart LR",
        '  s_split["split<br/>60 fresh"]:::fresh',
        '  s_finetune["finetune<br/>2 stale, 58 fresh"]:::stale',
        "  s_split --> s_finetune",
    ]
