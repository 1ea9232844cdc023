"""Who may come in where the server asks for a sign-in: Streamlit's own OIDC, set up in .streamlit/secrets.toml."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

import streamlit as st
from streamlit.config import is_manually_set
from streamlit.errors import Error as StreamlitError

from ui import markup, state
from ui.components.way_back import keep_address

_LOG = logging.getLogger(__name__)
_LEAST_SECRET = 32  # characters
_MEMBER = re.compile(r"\*|[^@\s*]*@[^@\s*]+\.[^@\s*]+")
_BROKEN = "The sign-in is not set up rightly, so nobody can come in; the server's terminal says what is missing."


@dataclass(frozen=True)
class Door:
    """Who may come in, and how: Streamlit's section `[auth]`, and `members` (addresses, `@domain`s, or `*`)."""

    auth: Mapping[str, Any]
    members: tuple[str, ...]


def ask() -> None:
    """Lets a page go on where no sign-in is asked for, or a member has signed in; else ends it with the door."""
    try:
        door = _door()
    except ValueError as error:
        _closed(str(error))
    if door is None:
        return
    if not state.signed_in():
        _show(door)
    elif not is_member(st.user.to_dict(), door.members):
        _turned_away()


def sign_out(kind: Literal["tertiary", "primary"] = "tertiary") -> None:
    """The way out."""
    who = markup.literal(str(st.user.get("email") or st.user.get("name") or "you"))
    if st.button("Sign out", icon=":material/logout:", type=kind, key="sign_out", help=f"Signed in as {who}"):
        st.logout()


def is_member(user: Mapping[str, Any], members: Sequence[str]) -> bool:
    """Whether a signed-in user is one of `members`: addresses, domains as `@school.example`, or `*` for everybody.

    An address that the provider says is not verified is nobody's: anyone could have claimed it.
    """
    if str(user.get("email_verified")).lower() == "false":
        return False
    email = str(user.get("email") or "").lower()
    return any(
        member == "*" or (email.endswith(member.lower()) if member.startswith("@") else email == member.lower())
        for member in members
    )


def read(secrets: Mapping[str, Any]) -> Door:
    """The sign-in that a secrets file asks for. Whatever it leaves open is an error: a slip must not open the door.

    Raises:
        ValueError: a setting is missing or wrong.
    """
    auth, classroom = secrets.get("auth"), secrets.get("classroom")
    if not isinstance(auth, Mapping) or not isinstance(classroom, Mapping):
        raise ValueError("a secrets file must have the sections [auth] and [classroom]; without a sign-in have no file")
    if len(str(auth.get("cookie_secret", ""))) < _LEAST_SECRET:
        raise ValueError(f"cookie_secret has fewer than {_LEAST_SECRET} characters; whoever guesses it can be anybody")
    members = classroom.get("members")
    if set(classroom) != {"members"} or not isinstance(members, Sequence) or isinstance(members, str) or not members:
        raise ValueError('[classroom] must say members = [...] and no more; members = ["*"] is everybody')
    for member in members:
        if not isinstance(member, str) or not _MEMBER.fullmatch(member):
            raise ValueError(f'{member!r} in members is no address, no domain as "@school.example" and not "*"')
    return Door(auth, tuple(members))


def _door() -> Door | None:
    """What the secrets files ask for; None where the project has none, whatever the user's own, for all apps, says.

    Raises:
        ValueError: a file that should be there is not, or a setting is missing or wrong.
    """
    readable = st.secrets.load_if_toml_exists()
    if readable and "auth" in st.secrets:
        return read(st.secrets)
    files = [Path(file) for file in st.get_option("secrets.files")]
    if is_manually_set("secrets.files") or any(path.exists() for path in files if path.parent.parent != Path.home()):
        if not readable:
            raise ValueError(f"{' and '.join(map(str, files))}: there is no file, or it cannot be read as TOML")
        return read(st.secrets)
    return None


def _providers(auth: Mapping[str, Any]) -> list[str]:
    """The names of the sections `[auth.NAME]`; "default" where the provider's settings stand in `[auth]` itself."""
    named = [name for name, value in auth.items() if isinstance(value, Mapping) and name != "client_kwargs"]
    return ["default"] if "client_id" in auth or not named else named


def _show(door: Door) -> NoReturn:
    _title("This one asks who you are, so that what you train is yours again next time.")
    for provider in _providers(door.auth):
        label = "Sign in" if provider == "default" else f"Sign in with {markup.literal(provider.capitalize())}"
        if st.button(label, icon=":material/login:", type="primary", key=f"sign_in.{provider}"):
            try:
                st.login(provider)
            except StreamlitError as error:  # Authlib is missing, or a setting
                _closed(str(error))
    keep_address()
    st.stop()


def _title(lead: str) -> None:
    st.title("LeNet Playground", anchor=False)
    st.html(markup.lead(lead))


def _turned_away() -> NoReturn:
    _title("This one is for its members.")
    who = str(st.user.get("email") or "This account")
    st.html(markup.warning(f"{who} is not among those who may come in here. Ask who runs this server, or sign out."))
    sign_out("primary")
    st.stop()


def _closed(reason: str) -> NoReturn:
    _LOG.error("sign-in: %s", reason)
    st.html(markup.warning(_BROKEN))
    st.stop()
