"""Third-party material: find credits to other owners in the captions of articles.

The licence of an article does not cover figures that it took from elsewhere. The only trace of that in the sources is
the credit line in the caption.
"""

import re

from .text import clean

MAX_CHARS = 80

_SOMEBODY = r"(?:of|from|by)\s+(?:(?:the|each|all|both|our|his|her|their)\s+)*"
_PEOPLE = (
    r"(?:patient|parent|famil|subject|participant|volunteer|guardian|relative|next of kin|mother|father|"
    r"individual|donor|owner of the (?:dog|cat|animal)|ethic|institutional|review board)"
)
_CITED = (
    r"(?=.{0,80}?(?:\[\s*\d|\bet\s+al\b|https?:|\bwww\.|\brefs?\b|\breferences?\b|\bdoi\b|"
    r"(?-i:\b[A-Z][\w.-]+),?\s+\(?(?:19|20)\d\d\b|\((?:19|20)\d\d\)))"
)

_CREDIT = re.compile(
    "|".join(
        (
            # Permission, but not that of the people who are shown.
            rf"\b(?:with|by)\s+(?:the\s+)?(?:(?:kind|written|prior|express|copyright)\s+)*permissions?\b"
            rf"(?!\s+{_SOMEBODY}{_PEOPLE})(?:\s+(?:of|from|by)\s+\S+(?:\s+\S+)?)?",
            rf"\bpermission\s+(?:was\s+|has\s+been\s+)?(?:obtained|granted|given)\s+(?!{_SOMEBODY}{_PEOPLE})"
            r"(?:from|by)\s+\S+",
            r"\b(?:reprinted|republished)\s+(?:in\s+part\s+)?(?:from|by|with)\b(?:\s+\S+){0,4}",
            rf"\b(?:reproduced|adapted|modified|redrawn|borrowed|excerpted)\s+(?:from|after)\b{_CITED}(?:\s+\S+){{0,4}}",
            r"\b(?:taken|extracted)\s+from\s+(?:\[\s*\d|refs?\b|references?\s+\d|https?:|www\.)\S*(?:\s+\d+)?",
            r"\b(?:by\s+)?courtesy\b(?:\s+of)?(?:\s+\S+){0,3}",
            r"©(?!\s*(?:(?:19|20)\d\d[,.]?\s*)?(?:the\s+)?authors?\b)(?:\s*\S+){0,4}",
            r"\(c\)\s*(?:19|20)\d\d(?!,?\s*(?:the\s+)?authors?\b)(?:\s+\S+){0,3}",
            r"(?<!no )(?<!of )\bcopyright(?:ed)?\b(?!-free)(?![\s:©]*(?:(?:19|20)\d\d[,.]?\s*)?(?:the\s+)?authors?\b)"
            r"(?:\s+\S+){0,4}",
            r"\ball\s+rights\s+reserved\b",
        )
    ),
    re.IGNORECASE | re.DOTALL,
)


def find_credit(caption: str) -> str:
    """Give the words that credit a third party in a caption, at most `MAX_CHARS` characters; "" without a credit.

    Credits are permission, reprints, reuse with a citation, courtesy, and copyright notices other than the authors'.
    Consent of the people shown, and samples or images "taken from" them, are no credits.
    """
    match = _CREDIT.search(caption)
    return clean(match[0])[:MAX_CHARS] if match else ""
