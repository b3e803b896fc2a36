"""The web page of a licence, by its SPDX id."""

import re

_ID = re.compile(r"[A-Za-z0-9.+-]+")
_CREATIVE_COMMONS = re.compile(r"CC-(BY(?:-NC)?(?:-SA|-ND)?)-(\d\.\d)")


def url(licence_id: str) -> str:
    """Give the page of a licence, or "" for a `LicenseRef-...`, which has none, and for what is no id."""
    if licence_id.startswith("LicenseRef-") or not _ID.fullmatch(licence_id):
        return ""
    if licence_id == "CC0-1.0":
        return "https://creativecommons.org/publicdomain/zero/1.0/"
    if creative_commons := _CREATIVE_COMMONS.fullmatch(licence_id):
        return f"https://creativecommons.org/licenses/{creative_commons[1].lower()}/{creative_commons[2]}/"
    return f"https://spdx.org/licenses/{licence_id}.html"
