"""What stands in the page's address, so that a link or a reload brings a page back as it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

import streamlit as st

from ui import state


def wanted(name: str, choices: Sequence[str], default: str) -> str:
    """The choice that the address names, or the default where it names none that there is."""
    value = st.query_params.get(name, default)
    return value if value in choices else default


def asked(name: str) -> str:
    """What the address says under that name, whatever it is; empty if nothing."""
    return st.query_params.get(name, "")


def remember(name: str, value: str, default: str = "") -> None:
    """Puts a value into the address; the default is left out of it, unless the address names it already.

    Each change of the address is a step of the browser's Back button: what is said already is left as it is.
    """
    said = st.query_params.get(name)
    if value and said == value:
        return
    if value == default:
        st.query_params.pop(name, None)
    elif said != value:
        st.query_params[name] = value


def go(page: str, sent: Mapping[str, str] | None = None) -> NoReturn:
    """Opens another page with an address of its own, and remembers this page's for when one comes back."""
    state.leave(st.query_params.to_dict(), dict(sent or {}))
    st.switch_page(page, query_params=dict(sent or {}))


def come_back_to(room: str) -> None:
    """Begins a room: gives it its own address back where the browser's Back leads to it with the next page's.

    `st.switch_page` writes what it sends into the address of the page that is left, before it leaves.
    """
    own, sent = state.enter(room)
    if own and st.query_params.to_dict() == sent:
        st.query_params.from_dict(own)


def come_back(kept: dict[str, str], names: Sequence[str]) -> None:
    """Brings a page that was left back as it was: fills an address without any of the `names` from `kept`."""
    if not any(name in st.query_params for name in names):
        st.query_params.update(kept)


def keep(kept: dict[str, str], names: Sequence[str]) -> None:
    """Remembers in `kept` what the address says under the `names`, for when the page is left."""
    kept.clear()
    kept.update({name: st.query_params[name] for name in names if name in st.query_params})
