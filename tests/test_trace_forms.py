"""Every form of a report, for every operation: LaTeX balances, JSON and XML parse."""

from __future__ import annotations

import json
import re
import string
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import thalweg as tw
from tests.op_cases import CASES

#: One case an operation: the forms depend on the gates, not on shapes.
ONE_EACH = list({case.op: case for case in CASES}.values())


@pytest.mark.parametrize("case", ONE_EACH, ids=lambda case: case.id)
def test_forms_of_every_operation(case):
    def call(*args):
        return case.call(*args)

    forward = tw.trace(call, *case.operands())
    upstream = tw.tree.tree_map(np.ones_like, forward.output)
    for trace in (forward, tw.trace(call, *case.operands(), upstream=upstream)):
        assert str(trace)
        json.dumps(trace.to_dict(), allow_nan=False)
        assert balanced(trace.to_latex())
        for label in re.findall(r"label=<(.*)>\];", trace.to_dot()):
            ElementTree.fromstring(f"<label>{label}</label>")


@pytest.mark.parametrize("name", sorted(tw.graph.primitive.PRIMITIVES))
def test_tex_template(name):
    """Every gate's template takes its operands, and what it gives is balanced."""
    tex = tw.graph.primitive.PRIMITIVES[name].labels.tex
    fields = {field for _, field, _, _ in string.Formatter().parse(tex) if field}
    params = {field: r"\text{p}" for field in fields if not field.isdecimal()}
    assert balanced(tex.format(*"abcdefgh", **params)), tex


def balanced(latex):
    """Whether braces pair, `\\left` with `\\right`, and no `$` or `&` stands bare outside rows."""
    plain = re.sub(r"\\[\\{}$&#_%]", "", latex)
    depth = 0
    for character in plain:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth < 0:
            return False
    return depth == 0 and latex.count(r"\left") == latex.count(r"\right") and "$" not in plain
