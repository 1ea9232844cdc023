"""An app that does nothing but keep a training engine, as the real one does."""

from __future__ import annotations

import streamlit as st

from ui import cache

st.write(cache.engine().problem() or "training")
