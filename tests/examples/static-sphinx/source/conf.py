project = "Guide"
extensions = ["sphinx.ext.todo"]
html_theme = "furo"
