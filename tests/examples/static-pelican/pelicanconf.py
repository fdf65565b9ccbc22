SITENAME = "Notes"
PATH = "content"
TIMEZONE = "UTC"
