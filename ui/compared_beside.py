"""The lower half of the Compare page: two of its runs side by side."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from lenet_core.errors import LenetError
from ui import compared_runs, links, markup, markup_compare, markup_training
from ui.compared_pair import WRONG, Confusion, Seen, confusion_of, largest_differences, mistakes
from ui.compared_runs import Compared
from ui.galleries import class_name, shown_picture
from ui.shown import history_of

_MOST_SHOWN = 24
_MOST_DIFFERENCES = 5
_VIEWS = ("Mistakes", "Confusion")


def beside(chosen: Sequence[Compared]) -> None:
    """Any two of the runs: their results, their mistakes, what they take for what."""
    st.subheader("Two of them side by side", anchor=False)
    if len(chosen) < 2:
        st.caption("Choose a second run above to see where the two disagree.")
        return
    first, second = _pair(chosen)
    view = st.segmented_control(
        "What to compare", _VIEWS, default=_VIEWS[0], required=True, key="compare_view", label_visibility="collapsed"
    )
    with st.container(key=f"compare_{view}".lower()):
        (_mistakes if view == "Mistakes" else _confusion)(first, second)


def _pair(chosen: Sequence[Compared]) -> tuple[Compared, Compared]:
    """The two that were chosen, at first those that the address names, or two that differ by more than the seed."""
    by_name = {one.name: one for one in chosen}
    titles = compared_runs.labels(chosen)
    colours = {one.name: group.colour for group in compared_runs.groups(chosen) for one in group.members}
    usual = _usual(chosen)
    wanted = [name for name in links.asked("pair").split(",") if name in by_name]
    picked: list[str] = []
    for letter, column in zip("AB", st.columns(2, gap="medium"), strict=True):
        with column:
            options = [name for name in by_name if name not in picked]
            start = next(name for name in [*wanted[len(picked) : len(picked) + 1], *usual] if name in options)
            name = st.selectbox(
                letter, options, index=options.index(start), key=f"pair.{letter}.{'.'.join(picked)}",
                format_func=titles.__getitem__, label_visibility="collapsed",
            )  # fmt: skip
            picked.append(name)
            _head(letter, by_name[name], titles[name], colours[name])
    links.remember("pair", ",".join(picked), ",".join(usual[:2]))
    return by_name[picked[0]], by_name[picked[1]]


def _usual(chosen: Sequence[Compared]) -> list[str]:
    """The runs in the order in which they are proposed: of each group one, the tested first, on one data set."""
    firsts = [group.first for group in compared_runs.groups(chosen)]
    order = [*firsts, *(one for one in chosen if one not in firsts)]
    order.sort(key=lambda one: one.run.status != "finished")
    data = order[0].plan.recipe.data
    order.sort(key=lambda one: one.plan.recipe.data != data)
    return [one.name for one in order]


def _head(letter: str, one: Compared, title: str, colour: str) -> None:
    status, last = one.run.look()
    st.html(markup_compare.pair_head(letter, title, markup_training.status_word(status), colour))
    if status == "finished":
        low, high = last["interval"]
        st.html(markup_training.result(last["test"], low, high, last["correct"], last["images"], colour))


def _mistakes(first: Compared, second: Compared) -> None:
    try:
        seen = mistakes(first, second)
    except LenetError as error:
        st.html(markup.empty("No mistakes to compare", str(error)))
        return
    by_kind: dict[str, list[Seen]] = {kind: [one for one in seen if one.wrong == kind] for kind in WRONG}
    st.caption(f"Of the {len(seen)} test images that A or B is worst at, not of all their mistakes:")
    kind = st.segmented_control(
        "Which", list(WRONG), default="both", required=True, key="compare_wrong",
        format_func=lambda kind: f"{WRONG[kind]} ({len(by_kind[kind])})", label_visibility="collapsed",
    )  # fmt: skip
    found = by_kind[kind]
    if not found:
        st.html(markup.empty("None", "There is no such image among them."))
        return
    shown = found[:_MOST_SHOWN]
    classes = tuple(history_of(first.run).started.get("classes", ()))
    st.html(
        markup_compare.answered_twice(
            [shown_picture(one.picture) for one in shown],
            [class_name(classes, one.label) for one in shown],
            [tuple((class_name(classes, label), sure) for label, sure in one.answers) for one in shown],
        )
    )
    if len(found) > len(shown):
        st.caption(f"The first {len(shown)} of {len(found)}.")


def _confusion(first: Compared, second: Compared) -> None:
    counts = [confusion_of(one.run, one.plan.recipe.data) for one in (first, second)]
    for letter, one, column in zip("AB", counts, st.columns(2, gap="medium"), strict=True):
        with column:
            if one is None:
                st.html(markup.empty("Not yet", f"{letter} has not been tested, and holds out no images to watch."))
            else:
                st.caption(f"{letter}: {one.on}.")
                st.html(markup_training.confusion(one.counts, one.classes))
    before, after = counts
    if before is not None and after is not None:
        _difference(before, after)


def _difference(before: Confusion, after: Confusion) -> None:
    if not before.compares_with(after):
        st.caption("They were asked different images, so one cannot be taken from the other.")
        return
    left, right = st.columns(2, gap="medium")
    with left:
        st.html(markup_compare.difference(before.counts, after.counts, before.classes))
    with right:
        st.html(markup_compare.largest(largest_differences(before, after, _MOST_DIFFERENCES)))
