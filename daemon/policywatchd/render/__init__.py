"""The service that renders pages with a browser: `policywatch-render`. It knows no database and no settings of theirs.

A daemon asks over a Unix socket (`wire`), the service lets Chromium build the page (`browser`, `page`) behind a wall
of its own (`proxy`), and gives back the HTML. Playwright is imported in `browser` alone.
"""
