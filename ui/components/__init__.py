"""Parts of a page that need JavaScript, each with its script beside its Python."""
