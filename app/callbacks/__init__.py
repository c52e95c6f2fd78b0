"""One module for each part of the page; each offers `register(app, service)`."""
