"""Every kind of change: the state and the reasons of every stage, and that a run does just that."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.dvc.graph import load_graph
from flows.plan.plan import Change, Plan
from flows.plan.reasons import ALWAYS_CHANGED, NOT_IN_CACHE, Reason, reason_lines
from tasks.errors import DownstreamError
from tasks.fingerprint import definitions, libraries
from tasks.machine.libraries import versions_now
from tasks.stage_process.stage_hash import entry_hash
from tests.flows.pipeline import PARAMS, Pipeline


def states(plan: Plan) -> dict[str, str]:
    return {stage.name: stage.state for stage in plan.unfresh}


def reasons(plan: Plan, name: str) -> list[Reason]:
    return next(stage.reasons for stage in plan.stages if stage.name == name)


def assert_a_run_does_what_was_planned(pipeline: Pipeline, planned: dict[str, str]) -> None:
    """Run the plain way; what ran is what was stale, and some of what was waiting."""
    pipeline.repro()
    ran = set(pipeline.ran())
    assert ran >= {name for name, state in planned.items() if state == "stale"}
    assert ran <= {name for name, state in planned.items() if state in ("stale", "waiting")}
    assert pipeline.states() == {}


def test_after_a_run_every_stage_is_fresh(pipeline: Pipeline) -> None:
    plan = pipeline.plan()
    assert {stage.state for stage in plan.stages} == {"fresh"}
    assert all(stage.reasons == [] for stage in plan.stages)
    assert plan.estimated_gpu_seconds == 0


@pytest.mark.parametrize("value", [5e-05, {"words": ["no", "on", "1:30", "="], "large": 1e16}])
def test_a_value_that_yaml_1_1_reads_otherwise_is_fresh_after_a_run(
    pipeline: Pipeline, value: Any
) -> None:
    pipeline.change("models.m.finetune.learning_rate", value)
    assert states(pipeline.plan()) == {"finetune@m": "stale", "evaluate@m": "waiting"}
    pipeline.repro()
    assert states(pipeline.plan()) == {}


def test_before_any_run_every_stage_is_stale_since_its_outputs_are_missing(
    new_pipeline: Pipeline,
) -> None:
    plan = new_pipeline.plan()
    assert {stage.state for stage in plan.stages} == {"stale"}
    assert reasons(plan, "split@a") == [
        Reason("missing", "data/split/a/train.parquet"),
        Reason("upstream", "clean@a"),
    ]


def test_a_changed_parameter_is_told_by_its_full_path(pipeline: Pipeline) -> None:
    pipeline.change("models.m.finetune.rate", 0.7)
    plan = pipeline.plan()
    assert states(plan) == {"finetune@m": "stale", "evaluate@m": "waiting"}
    assert reasons(plan, "finetune@m") == [Reason("param", "models.m.finetune.rate", 0.5, 0.7)]
    assert reasons(plan, "evaluate@m") == [Reason("upstream", "finetune@m")]
    assert_a_run_does_what_was_planned(pipeline, states(plan))


def test_a_new_and_a_gone_key_have_no_old_and_no_new_value(pipeline: Pipeline) -> None:
    pipeline.change("models.m.finetune", {"layers": [4, {"wide": True}]})
    assert reasons(pipeline.plan(), "finetune@m") == [
        Reason("param", "models.m.finetune.rate", 0.5, None),
        Reason("param", "models.m.finetune.layers.0", None, 4),
        Reason("param", "models.m.finetune.layers.1.wide", None, True),
    ]


def test_the_seed_reaches_exactly_the_stages_that_read_it(pipeline: Pipeline) -> None:
    pipeline.change("seed", 1)
    plan = pipeline.plan()
    assert states(plan) == {
        "split@a": "stale", "split@b": "stale", "finetune@m": "stale", "finetune@n": "stale",
        "evaluate@m": "waiting", "evaluate@n": "waiting",
    }  # fmt: skip
    assert reasons(plan, "finetune@m") == [
        Reason("param", "seed", 0, 1),
        Reason("upstream", "split@a"),
    ]
    assert_a_run_does_what_was_planned(pipeline, states(plan))


def test_a_changed_source_file_is_data_with_both_hashes(pipeline: Pipeline) -> None:
    before = pipeline.lock()["stages"]["clean@a"]["deps"][1]
    pipeline.write("data/sources/a/records.csv", "a,2\n")
    plan = pipeline.plan()
    assert states(plan) == {
        "clean@a": "stale", "split@a": "waiting", "finetune@m": "waiting", "evaluate@m": "waiting",
    }  # fmt: skip
    assert_a_run_does_what_was_planned(pipeline, states(plan))
    after = pipeline.lock()["stages"]["clean@a"]["deps"][1]
    assert reasons(plan, "clean@a") == [
        Reason("data", "data/sources/a", before["md5"], after["md5"])
    ]


def test_a_changed_module_is_told_by_its_name(pipeline: Pipeline) -> None:
    pipeline.write("modules/evaluate.py", "evaluate = 2\n")
    plan = pipeline.plan()
    assert states(plan) == {"evaluate@m": "stale", "evaluate@n": "stale"}
    (reason,) = reasons(plan, "evaluate@m")
    assert (reason.kind, reason.what) == ("code", "modules.evaluate")
    assert reason.old != reason.new
    assert_a_run_does_what_was_planned(pipeline, states(plan))


def test_a_module_that_several_stages_reach_makes_them_all_stale(pipeline: Pipeline) -> None:
    pipeline.write("modules/shared.py", "shared = 2\n")
    plan = pipeline.plan()
    assert set(states(plan).values()) == {"stale"}
    assert {reason.what for reason in reasons(plan, "evaluate@n")} == {
        "modules.shared",
        "finetune@n",
    }


def test_a_changed_default_is_a_parameter(pipeline: Pipeline) -> None:
    pipeline.write("modules/defaults.json", json.dumps({"finetune": {"epochs": 5}}))
    plan = pipeline.plan()
    assert states(plan) == {
        "finetune@m": "stale", "finetune@n": "stale",
        "evaluate@m": "waiting", "evaluate@n": "waiting",
    }  # fmt: skip
    assert reasons(plan, "finetune@m") == [
        Reason("param", "models.m.finetune.epochs", 3, 5, default=True, known=True)
    ]
    assert_a_run_does_what_was_planned(pipeline, states(plan))


def test_a_default_that_is_set_explicitly_is_told_once(pipeline: Pipeline) -> None:
    pipeline.change("models.m.finetune.epochs", 3)
    assert reasons(pipeline.plan(), "finetune@m") == [
        Reason("param", "models.m.finetune.epochs", None, 3)
    ]


def test_the_recorded_code_is_found_after_the_code_stage_has_written_the_new_one(
    pipeline: Pipeline,
) -> None:
    pipeline.write("modules/clean.py", "clean = 2\n")
    before = pipeline.plan()
    pipeline.repro("code")
    assert pipeline.plan() == before


def test_a_changed_command_has_both_texts(pipeline: Pipeline) -> None:
    text = (pipeline.root / "dvc.yaml").read_text()
    pipeline.write(
        "dvc.yaml", text.replace("stage.py evaluate ${key}", "./stage.py evaluate ${key}")
    )
    plan = pipeline.plan()
    assert states(plan) == {"evaluate@m": "stale", "evaluate@n": "stale"}
    assert reasons(plan, "evaluate@m") == [
        Reason("command", "cmd", "exec python stage.py evaluate m",
               "exec python ./stage.py evaluate m")
    ]  # fmt: skip
    assert_a_run_does_what_was_planned(pipeline, states(plan))


def test_a_deleted_output_is_restored_and_nothing_follows(pipeline: Pipeline) -> None:
    md5 = pipeline.lock()["stages"]["finetune@m"]["outs"][0]["md5"]
    shutil.rmtree("data/finetune/m/model")
    plan = pipeline.plan()
    assert states(plan) == {"finetune@m": "cached"}
    assert reasons(plan, "finetune@m") == [Reason("missing", "data/finetune/m/model", md5, None)]
    assert_a_run_does_what_was_planned(pipeline, states(plan))


def test_an_output_edited_by_hand_is_missing_with_both_hashes(pipeline: Pipeline) -> None:
    pipeline.write("data/split/a/train.parquet", "edited")
    plan = pipeline.plan()
    (reason,) = reasons(plan, "split@a")
    assert states(plan) == {"split@a": "cached"}
    assert (reason.kind, reason.what) == ("missing", "data/split/a/train.parquet")
    assert None not in (reason.old, reason.new)


def test_a_deleted_output_that_the_cache_has_lost_too_is_stale(pipeline: Pipeline) -> None:
    shutil.rmtree("data/finetune/m/model")
    shutil.rmtree(".dvc/cache")
    planned = states(pipeline.plan())
    assert planned["finetune@m"] == "stale"


def test_what_ran_before_is_restored_and_followed_exactly(pipeline: Pipeline) -> None:
    pipeline.change("models.m.finetune.rate", 0.7)
    pipeline.repro()
    pipeline.ran()
    pipeline.change("models.m.finetune.rate", 0.5)
    plan = pipeline.plan()
    assert states(plan) == {"finetune@m": "cached", "evaluate@m": "cached"}
    assert [reason.kind for reason in reasons(plan, "evaluate@m")] == ["data"]
    assert_a_run_does_what_was_planned(pipeline, states(plan))


def test_a_restored_stage_whose_result_is_the_same_leaves_what_follows_fresh(
    pipeline: Pipeline,
) -> None:
    pipeline.change("corpora.a.clean", {"always": "the same"})
    pipeline.repro()
    pipeline.change("corpora.a.clean.unread", 1)
    pipeline.repro()
    pipeline.ran()
    pipeline.change("corpora.a.clean", {"always": "the same"})
    assert states(pipeline.plan()) == {"clean@a": "cached"}


def test_a_stage_that_writes_the_same_stops_what_follows(pipeline: Pipeline) -> None:
    pipeline.change("corpora.a.clean", {"always": "the same"})
    pipeline.repro()
    pipeline.ran()
    pipeline.change("corpora.a.clean.unread", 1)
    planned = states(pipeline.plan())
    assert planned["split@a"] == "waiting"
    pipeline.repro()
    assert pipeline.ran() == ["clean@a"]


def test_two_changes_are_two_reasons(pipeline: Pipeline) -> None:
    pipeline.write("data/sources/a/records.csv", "a,2\n")
    pipeline.change("corpora.a.clean", {"drop": "x"})
    assert [reason.kind for reason in reasons(pipeline.plan(), "clean@a")] == ["param", "data"]


def test_a_new_row_makes_no_other_stale(pipeline: Pipeline) -> None:
    pipeline.change("models.k", {"corpus": "a", "finetune": {"rate": 1.0}, "evaluate": {}})
    assert states(pipeline.plan()) == {"finetune@k": "stale", "evaluate@k": "stale"}


def test_records_and_folders_of_a_gone_row_are_left_over(pipeline: Pipeline) -> None:
    params: dict[str, Any] = {**PARAMS, "models": {"m": PARAMS["models"]["m"]}}
    pipeline.write_params(params)
    plan = pipeline.plan()
    assert plan.leftovers.lock == ["finetune@n", "evaluate@n"]
    assert plan.leftovers.data == ["data/finetune/n", "data/evaluate/n"]
    assert states(plan) == {}


def test_a_missing_source_is_told(pipeline: Pipeline) -> None:
    shutil.rmtree("data/sources/a")
    plan = pipeline.plan()
    (reason,) = reasons(plan, "clean@a")
    assert states(plan)["clean@a"] == "stale"
    assert (reason.kind, reason.what, reason.new) == ("data", "data/sources/a", None)


def test_targets_leave_the_others_out(pipeline: Pipeline) -> None:
    pipeline.change("seed", 1)
    assert [stage.name for stage in pipeline.plan("split@b").stages] == ["clean@b", "split@b"]


def test_past_durations_are_the_estimate(pipeline: Pipeline) -> None:
    pipeline.write(".downstream/durations/finetune@m.json", '{"seconds": 81.25}')
    pipeline.write(".downstream/durations/evaluate@m.json", '{"seconds": 2.5}')
    pipeline.write(".downstream/durations/split@a.json", '{"seconds": 4}')
    pipeline.write(".downstream/durations/evaluate@n.json", '{"secon')
    pipeline.change("seed", 1)
    plan = pipeline.plan()
    seconds = {stage.name: stage.estimated_seconds for stage in plan.stages}
    assert seconds["finetune@m"] == 81.25
    assert seconds["evaluate@n"] is None
    # finetune@m is stale, evaluate@m waits; the split is no GPU stage.
    assert plan.estimated_gpu_seconds == 83.75


@pytest.mark.parametrize("name", ["dvc.lock", "data", ".downstream"])
def test_a_plan_writes_nothing_but_its_own_caches(pipeline: Pipeline, name: str) -> None:
    pipeline.change("seed", 1)
    pipeline.write(".downstream/durations/split@a.json", '{"seconds": 4}')
    Path(".downstream/cache").mkdir()

    def snapshot() -> list[tuple[str, int]]:
        found = [Path(name), *Path(name).rglob("*")]
        kept = (path for path in found if "cache" not in path.parts)
        return sorted((path.as_posix(), path.stat().st_mtime_ns) for path in kept)

    before = snapshot()
    pipeline.plan()
    assert snapshot() == before


def test_a_plan_of_a_workspace_that_cannot_be_written_to_is_the_same(pipeline: Pipeline) -> None:
    pipeline.change("seed", 1)
    # A file in the place of the folder: no cache can be written, whoever runs this.
    pipeline.write(".downstream/cache", "")
    first = pipeline.plan()
    Path(".downstream/cache").unlink()
    assert pipeline.plan() == first
    assert pipeline.plan() == first


def all_states(plan: Plan) -> dict[str, str]:
    return {stage.name: stage.state for stage in plan.stages}


def kinds(plan: Plan) -> dict[str, list[tuple[str, str]]]:
    return {
        stage.name: [(reason.kind, reason.what) for reason in stage.reasons]
        for stage in plan.stages
        if stage.reasons
    }


def change_data(pipeline: Pipeline) -> None:
    pipeline.write("data/sources/b/records.csv", "b,2\n")


def change_parameter(pipeline: Pipeline) -> None:
    pipeline.change("corpora.b.split", {"validation": 0.3})


def change_code(pipeline: Pipeline) -> None:
    pipeline.write("modules/finetune.py", "finetune = 2\n")


def change_command(pipeline: Pipeline) -> None:
    text = (pipeline.root / "dvc.yaml").read_text()
    pipeline.write("dvc.yaml", text.replace("stage.py split", "./stage.py split"))


def delete_output(pipeline: Pipeline) -> None:
    Path("data/split/b/train.parquet").unlink()


def delete_output_and_cache(pipeline: Pipeline) -> None:
    Path("data/split/b/train.parquet").unlink()
    shutil.rmtree(".dvc/cache/files")
    shutil.rmtree(".dvc/cache/runs")


def change_upstream_output(pipeline: Pipeline) -> None:
    """Another record of the upstream stage: its output came from elsewhere (a merge, a pull)."""
    pipeline.change("corpora.b.clean", {"drop": 1})
    pipeline.repro("clean@b")
    pipeline.ran()


FRESH = dict.fromkeys(
    (f"{stage}@{row}" for stage, rows in [("clean", "ab"), ("split", "ab"), ("finetune", "mn"),
     ("evaluate", "mn")] for row in rows), "fresh",
)  # fmt: skip
N_WAITS = {"finetune@n": "waiting", "evaluate@n": "waiting"}
N_REASONS = {
    "finetune@n": [("upstream", "split@b")],
    "evaluate@n": [("upstream", "finetune@n")],
}


@pytest.mark.parametrize(
    ("change", "expected_states", "expected_reasons"),
    [
        (
            change_data,
            {"clean@b": "stale", "split@b": "waiting", **N_WAITS},
            {"clean@b": [("data", "data/sources/b")], "split@b": [("upstream", "clean@b")],
             **N_REASONS},
        ),
        (
            change_parameter,
            {"split@b": "stale", **N_WAITS},
            {"split@b": [("param", "corpora.b.split.validation")], **N_REASONS},
        ),
        (
            change_code,
            {"finetune@m": "stale", "finetune@n": "stale",
             "evaluate@m": "waiting", "evaluate@n": "waiting"},
            {"finetune@m": [("code", "modules.finetune")],
             "finetune@n": [("code", "modules.finetune")],
             "evaluate@m": [("upstream", "finetune@m")],
             "evaluate@n": [("upstream", "finetune@n")]},
        ),
        (
            change_command,
            {"split@a": "stale", "finetune@m": "waiting", "evaluate@m": "waiting",
             "split@b": "stale", **N_WAITS},
            {"split@a": [("command", "cmd")], "split@b": [("command", "cmd")],
             "finetune@m": [("upstream", "split@a")], "evaluate@m": [("upstream", "finetune@m")],
             **N_REASONS},
        ),
        (
            delete_output,
            {"split@b": "cached"},
            {"split@b": [("missing", "data/split/b/train.parquet")]},
        ),
        (
            change_upstream_output,
            {"split@b": "stale", **N_WAITS},
            {"split@b": [("data", "data/clean/b/records.parquet")], **N_REASONS},
        ),
    ],
)  # fmt: skip
def test_state_and_reasons_of_every_stage_and_exactly_the_predicted_stages_run(
    pipeline: Pipeline,
    change: Callable[[Pipeline], None],
    expected_states: dict[str, str],
    expected_reasons: dict[str, list[tuple[str, str]]],
) -> None:
    change(pipeline)
    plan = pipeline.plan()
    assert all_states(plan) == {**FRESH, **expected_states}
    assert kinds(plan) == expected_reasons
    pipeline.repro()
    # Neither code nor command reach an output here: what waits for those two turns out fresh.
    may_run = {"stale"} if change in (change_code, change_command) else {"stale", "waiting"}
    will_run = {name for name, state in expected_states.items() if state in may_run}
    assert set(pipeline.ran()) == will_run
    assert pipeline.states() == {}


def test_what_depends_on_a_stage_is_selected_with_it(pipeline: Pipeline) -> None:
    graph = load_graph()
    assert graph.select_downstream("split@b") == ["split@b", "finetune@n", "evaluate@n"]
    assert graph.ends(["split@b", "finetune@n", "evaluate@n"]) == ["evaluate@n"]
    with pytest.raises(DownstreamError, match=r"no stage 'spilt' .* did you mean 'split'\?$"):
        graph.select_downstream("spilt")


def test_other_library_versions_are_told_and_make_nothing_stale(pipeline: Pipeline) -> None:
    entry = pipeline.lock()["stages"]["finetune@m"]
    libraries.keep_versions("finetune@m", entry_hash(entry))
    assert pipeline.plan().libraries == {}
    (kept,) = Path(".downstream/libraries/finetune@m").iterdir()
    kept.write_text(json.dumps({**versions_now(), "torch": "1.0", "gone": "2"}))
    plan = pipeline.plan()
    assert states(plan) == {}
    # Of the others, no versions are kept here: they were made elsewhere.
    assert plan.made_elsewhere == ["finetune@n", "evaluate@m", "evaluate@n"]
    assert plan.libraries == {
        "finetune@m": {
            "gone": Change("2", None),
            "torch": Change("1.0", versions_now()["torch"]),
        }
    }


def test_the_function_that_changed_is_named_where_the_recorded_ones_are_known(
    pipeline: Pipeline,
) -> None:
    code = Path("data/code/evaluate/m.txt").read_text()
    known = dict(line.split() for line in code.splitlines()[1:])["modules.evaluate"]
    old = definitions.definitions("LIMIT = 1\ndef same(): pass\ndef other(): return 1\n")
    pipeline.write(f".downstream/definitions/{known}.json", json.dumps(old))
    pipeline.write(
        "modules/evaluate.py", "LIMIT = 1\ndef same():\n    pass\ndef other(): return 2\n"
    )
    (reason,) = reasons(pipeline.plan(), "evaluate@m")
    assert (reason.what, reason.definitions) == ("modules.evaluate", ("other",))


def mark(pipeline: Pipeline, group: str, line: str) -> None:
    """Give all rows of a stage another line in dvc.yaml."""
    text = (pipeline.root / "dvc.yaml").read_text()
    command = f"cmd: exec python stage.py {group} ${{key}}\n"
    pipeline.write("dvc.yaml", text.replace(command, f"{command}      {line}\n"))


def statuses(pipeline: Pipeline) -> set[str]:
    """Return the stages that DVC itself would look at again."""
    return set(json.loads(pipeline.dvc("status", "--json"))) - {"code"}


def test_a_frozen_stage_never_runs_and_what_differs_is_told_beside_it(pipeline: Pipeline) -> None:
    mark(pipeline, "finetune", "frozen: true")
    assert (pipeline.states(), statuses(pipeline)) == ({}, set())
    pipeline.change("models.m.finetune.rate", 0.7)
    pipeline.write("data/sources/a/records.csv", "a,2\n")
    plan = pipeline.plan()
    assert states(plan) == {"clean@a": "stale", "split@a": "waiting"}
    (frozen,) = [stage for stage in plan.stages if stage.frozen]
    assert (frozen.name, frozen.state, frozen.reasons) == ("finetune@m", "fresh", [])
    assert [(reason.kind, reason.what) for reason in frozen.frozen] == [
        ("param", "models.m.finetune.rate"),
        ("upstream", "split@a"),
    ]
    assert_a_run_does_what_was_planned(pipeline, states(plan))
    assert statuses(pipeline) == set()


def test_what_lies_upstream_of_a_frozen_stage_is_not_selected_for_it(pipeline: Pipeline) -> None:
    mark(pipeline, "finetune", "frozen: true")
    pipeline.change("seed", 1)
    graph = load_graph()
    assert graph.select(["evaluate@m"]) == ["finetune@m", "evaluate@m"]
    pipeline.repro("evaluate@m")
    assert pipeline.ran() == []


def test_a_frozen_stage_whose_output_was_edited_is_recorded_as_it_lies_there(
    pipeline: Pipeline,
) -> None:
    mark(pipeline, "split", "frozen: true")
    pipeline.write("data/split/a/train.parquet", "by hand")
    plan = pipeline.plan()
    assert states(plan) == {
        "split@a": "recommit", "finetune@m": "stale", "evaluate@m": "waiting",
    }  # fmt: skip
    assert_a_run_does_what_was_planned(pipeline, states(plan))


def test_a_stage_that_always_changes_is_stale_with_a_reason(pipeline: Pipeline) -> None:
    mark(pipeline, "evaluate", "always_changed: true")
    plan = pipeline.plan()
    assert states(plan) == {"evaluate@m": "stale", "evaluate@n": "stale"}
    assert reasons(plan, "evaluate@m") == [Reason("command", ALWAYS_CHANGED)]
    assert statuses(pipeline) == set(states(plan))
    pipeline.repro()
    assert set(pipeline.ran()) == set(states(plan))
    assert pipeline.states() == states(plan)


def test_a_frozen_stage_is_fresh_even_if_it_always_changes(pipeline: Pipeline) -> None:
    mark(pipeline, "evaluate", "frozen: true\n      always_changed: true")
    assert pipeline.states() == {}
    pipeline.repro()
    assert pipeline.ran() == []


def test_with_a_lost_cache_what_lies_on_disk_is_put_back_and_costs_nothing(
    pipeline: Pipeline,
) -> None:
    shutil.rmtree(".dvc/cache")
    plan = pipeline.plan()
    assert set(all_states(plan).values()) == {"recommit"}
    assert plan.estimated_gpu_seconds == 0
    assert kinds(plan)["split@b"] == [("missing", "data/split/b/train.parquet")]
    assert {reason.new for stage in plan.stages for reason in stage.reasons} == {NOT_IN_CACHE}


def test_with_a_lost_cache_and_one_lost_output_that_stage_alone_is_stale(
    pipeline: Pipeline,
) -> None:
    delete_output_and_cache(pipeline)
    plan = pipeline.plan()
    others = {name: "recommit" for name in FRESH if name.endswith(("a", "m", "clean@b"))}
    assert all_states(plan) == {**others, "split@b": "stale", **N_WAITS}
    assert kinds(plan)["split@b"] == [("missing", "data/split/b/train.parquet")]


def test_of_a_cache_lost_in_part_what_is_nowhere_runs_and_the_rest_does_not(
    pipeline: Pipeline,
) -> None:
    outs = {
        out["path"]: Path(".dvc/cache/files/md5", out["md5"][:2], out["md5"][2:])
        for stage in ("evaluate@m", "evaluate@n")
        for out in pipeline.lock()["stages"][stage]["outs"]
    }
    outs["data/evaluate/m/metrics.json"].unlink()
    Path("data/evaluate/m/README.md").unlink()
    outs["data/evaluate/n/metrics.json"].unlink()
    assert states(pipeline.plan()) == {"evaluate@m": "cached", "evaluate@n": "recommit"}
    Path("data/evaluate/n/metrics.json").unlink()
    assert states(pipeline.plan()) == {"evaluate@m": "cached", "evaluate@n": "stale"}


def test_another_version_of_a_named_library_is_a_reason_of_its_own(pipeline: Pipeline) -> None:
    pipeline.write("installed.json", json.dumps({"torch": "2.13.0"}))
    pipeline.change("libraries", ["torch"])
    assert reasons(pipeline.plan(), "clean@a") == [Reason("library", "torch", None, "2.13.0")]
    pipeline.repro()
    pipeline.write("installed.json", json.dumps({"torch": "2.14.0"}))
    plan = pipeline.plan()
    assert set(all_states(plan).values()) == {"stale"}
    assert reasons(plan, "clean@a") == [Reason("library", "torch", "2.13.0", "2.14.0")]
    assert reason_lines(reasons(plan, "clean@a")) == ["library torch: 2.13.0 → 2.14.0"]
