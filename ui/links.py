"""What stands in the page's address, so that a link or a reload brings a page back as it was."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st


def wanted(name: str, choices: Sequence[str], default: str) -> str:
    """The choice that the address names, or the default where it names none that there is."""
    value = st.query_params.get(name, default)
    return value if value in choices else default


def asked(name: str) -> str:
    """What the address says under that name, whatever it is; empty if nothing."""
    return st.query_params.get(name, "")


def remember(name: str, value: str, default: str = "") -> None:
    """Puts a value into the address; the default is left out of it."""
    if value == default:
        st.query_params.pop(name, None)
    elif st.query_params.get(name) != value:
        st.query_params[name] = value


def come_back(kept: dict[str, str], names: Sequence[str]) -> None:
    """Brings a page that was left back as it was: fills an address without any of the `names` from `kept`."""
    if not any(name in st.query_params for name in names):
        st.query_params.update(kept)


def keep(kept: dict[str, str], names: Sequence[str]) -> None:
    """Remembers in `kept` what the address says under the `names`, for when the page is left."""
    kept.clear()
    kept.update({name: st.query_params[name] for name in names if name in st.query_params})
