"""Who may come in where the server asks for a sign-in: Streamlit's own OIDC, set up in .streamlit/secrets.toml."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import streamlit as st
from streamlit.errors import Error as StreamlitError

from ui import markup

_LOG = logging.getLogger(__name__)
_LEAST_SECRET = 32  # characters
_BROKEN = "The sign-in is not set up rightly, so nobody can come in; the server's terminal says what is missing."


def ask() -> None:
    """Lets a page go on where no sign-in is asked for, or a member has signed in; else ends it with the door."""
    secrets = _secrets()
    if secrets is None:
        _closed("a secrets file is there, but cannot be read as TOML")
    elif "auth" in secrets and len(str(secrets["auth"].get("cookie_secret", ""))) < _LEAST_SECRET:
        _closed(f"cookie_secret has fewer than {_LEAST_SECRET} characters; whoever guesses it can be anybody")
    elif "auth" in secrets and not st.user.get("is_logged_in"):
        _door(secrets["auth"])
    elif "auth" in secrets and not is_member(st.user.to_dict(), _members(secrets)):
        _turned_away()


def sign_out() -> None:
    """The way out, for the menu; nothing where nobody has signed in."""
    if st.user.get("is_logged_in"):
        who = markup.literal(str(st.user.get("email") or st.user.get("name") or "you"))
        if st.button("Sign out", type="tertiary", key="sign_out", help=f"Signed in as {who}"):
            st.logout()


def is_member(user: Mapping[str, Any], members: Sequence[str]) -> bool:
    """Whether a signed-in user is one of `members`: addresses, or domains as `@school.example`; all are if none named.

    An address that the provider says is not verified is nobody's: anyone could have claimed it.
    """
    if user.get("email_verified") in (False, "false"):
        return False
    email = str(user.get("email") or "").lower()
    return not members or any(
        email.endswith(member.lower()) if member.startswith("@") else email == member.lower() for member in members
    )


def _secrets() -> Mapping[str, Any] | None:
    """What the secrets file says, empty where there is none; None if it cannot be read."""
    if st.secrets.load_if_toml_exists():
        return st.secrets
    # A sign-in that was set up with a typing error must not leave the door open.
    return None if any(Path(file).exists() for file in st.get_option("secrets.files")) else {}


def _members(secrets: Mapping[str, Any]) -> list[str]:
    named = secrets["classroom"].get("members", []) if "classroom" in secrets else []
    return [str(one).strip() for one in named]


def _providers(auth: Mapping[str, Any]) -> list[str]:
    """The names of the sections `[auth.NAME]`; "default" where the provider's settings stand in `[auth]` itself."""
    named = [name for name, value in auth.items() if isinstance(value, Mapping) and name != "client_kwargs"]
    return ["default"] if "client_id" in auth or not named else named


def _door(auth: Mapping[str, Any]) -> NoReturn:
    st.title("LeNet Playground", anchor=False)
    st.html(markup.lead("This one asks who you are, so that what you train is yours again next time."))
    for provider in _providers(auth):
        label = "Sign in" if provider == "default" else f"Sign in with {markup.literal(provider.capitalize())}"
        if st.button(label, icon=":material/login:", type="primary", key=f"sign_in.{provider}"):
            try:
                st.login(provider)
            except StreamlitError as error:  # Authlib is missing, or a setting
                _closed(str(error))
    st.stop()


def _turned_away() -> NoReturn:
    st.title("LeNet Playground", anchor=False)
    who = str(st.user.get("email") or "This account")
    st.html(markup.warning(f"{who} is not among those who may come in here. Ask who runs this server, or sign out."))
    sign_out()
    st.stop()


def _closed(reason: str) -> NoReturn:
    _LOG.error("sign-in: %s", reason)
    st.html(markup.warning(_BROKEN))
    st.stop()
