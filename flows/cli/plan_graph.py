"""A plan as a Mermaid flowchart, which GitHub, GitLab and most editors draw."""

from collections import Counter
from collections.abc import Iterable, Mapping

from flows.plan.plan import STATES, Plan, State

DRAWN_ONE_BY_ONE = 60
"""With more stages than this, the rows of one stage are drawn as one node."""
STYLES: dict[State, str] = {
    "stale": "fill:#f4a742,stroke:#8a5200,color:#1a1a1a",
    "waiting": "fill:#fbe3a1,stroke:#8a6d1a,color:#1a1a1a,stroke-dasharray:4",
    "cached": "fill:#a8d8ea,stroke:#20606f,color:#1a1a1a",
    "fresh": "fill:#e3f1e1,stroke:#4c7a4c,color:#1a1a1a",
}


def to_mermaid(plan: Plan, upstream: Mapping[str, list[str]]) -> str:
    """Return the flowchart: each stage coloured by its state, an arrow to whom it hands over.

    Args:
        plan: the plan.
        upstream: whom each stage depends on.
    """
    names = [stage.name for stage in plan.stages]
    grouped = len(names) > DRAWN_ONE_BY_ONE
    group = {name: name.partition("@")[0] if grouped else name for name in names}
    members: dict[str, list[State]] = {}
    for stage in plan.stages:
        members.setdefault(group[stage.name], []).append(stage.state)
    lines = ["flowchart LR"]
    lines += [_node(node, states, grouped) for node, states in members.items()]
    lines += [f"  {_key(one)} --> {_key(other)}" for one, other in _edges(names, group, upstream)]
    used = {state for states in members.values() for state in states}
    lines += [f"  classDef {state} {STYLES[state]}" for state in STATES if state in used]
    return "\n".join(lines) + "\n"


def _node(name: str, states: list[State], grouped: bool) -> str:
    counts = Counter(states)
    present = [state for state in STATES if state in counts]
    told = ", ".join(f"{counts[state]} {state}" for state in present) if grouped else states[0]
    return f'  {_key(name)}["{name}<br/>{told}"]:::{present[0]}'


def _edges(
    names: Iterable[str], group: Mapping[str, str], upstream: Mapping[str, list[str]]
) -> list[tuple[str, str]]:
    found = {
        (group[other], group[name]): None
        for name in names
        for other in upstream[name]
        if other in group and group[other] != group[name]
    }
    return list(found)


def _key(name: str) -> str:
    # Row names hold a-z, 0-9 and '-' alone, so this stays one to one; "end" alone would be a word
    # of Mermaid's own.
    return "s_" + name.replace("@", "__").replace("-", "_d")
