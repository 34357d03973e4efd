"""LaTeX as MathML, with what a converter leaves out: the spaces about operators, and limits below their names."""

import functools
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from latex2mathml.converter import convert
from markupsafe import Markup

LIMITS = {"min", "max", "inf", "sup", "lim"}
SCRIPTS = {"msub": "munder", "msup": "mover", "msubsup": "munderover"}
NAMESPACE = "http://www.w3.org/1998/Math/MathML"  # which HTML need not be told
OPENING, CLOSING, SPACED = "([|⟨", ")]", " ,=+≤≥∝←∑∏"
SIGNS = ("−", "+", "±")
THIN = "0.167em"  # TeX's space between an operator's name and a letter


@functools.cache
def mathematics(latex: str) -> Markup:
    """A displayed formula."""
    if not latex:
        return Markup("")
    root = ElementTree.fromstring(convert(latex, display="block").replace(f' xmlns="{NAMESPACE}"', ""))
    for parent in list(root.iter()):
        before = None
        children = list(parent)
        for child, after in zip(children, [*children[1:], None]):
            if child.text in SIGNS:
                child.tag = "mo"
                child.set("form", "prefix" if _begins(before) else "infix")
            elif parent.tag not in SCRIPTS and (name := _operator_name(child)) is not None:
                _space(name, before, after)
                if name.text in LIMITS:
                    child.tag = SCRIPTS.get(child.tag, child.tag)
            before = child
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def parts(line: str) -> list[Markup]:
    """The formulas of a line, each by itself, so that a narrow page can stack them."""
    return [mathematics(part.strip(" ,")) for part in line.split(r"\qquad")]


def _operator_name(node: Element) -> Element | None:
    """The word that is the base of a node, as the log of log² is: an operator, whether it was one or not."""
    while node.tag in SCRIPTS:
        node = node[0]
    text = node.text or ""
    if node.tag not in ("mi", "mo") or len(text) < 2 or not text.isalpha():
        return None
    node.tag = "mo"
    return node


def _space(name: Element, before: Element | None, after: Element | None) -> None:
    """A thin space on either side, but where a bracket is, or what brings a space of its own, or nothing."""
    name.set("lspace", "0" if _begins(before) else THIN)
    name.set("rspace", "0" if after is None or _first(after) in OPENING + CLOSING + SPACED else THIN)


def _begins(before: Element | None) -> bool:
    """Whether a term begins behind a node; what is in brackets is a term itself."""
    return before is None or (before.tag != "mrow" and _first(before) in OPENING + SPACED)


def _first(node: Element) -> str:
    """The first character of a node; of a space, a space."""
    return "".join(node.itertext()).strip()[:1] or " "
