"""The flowchart of a plan."""

from flows.cli.plan_graph import DRAWN_ONE_BY_ONE, to_mermaid
from flows.plan.differences import Reason
from flows.plan.plan import Plan, StagePlan, State


def stage(name: str, state: State) -> StagePlan:
    reasons = [] if state == "fresh" else [Reason("param", "seed", 0, 1)]
    return StagePlan(name, state, False, reasons, None)


def test_each_stage_is_a_node_of_its_states_class_with_an_arrow_to_whom_it_hands_over() -> None:
    plan = Plan([stage("split@a-b", "fresh"), stage("finetune@m", "stale")])
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
        [stage(f"split@{row}", "fresh") for row in rows]
        + [stage(f"finetune@{row}", "stale" if row < 2 else "fresh") for row in rows]
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
