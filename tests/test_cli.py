"""The command: what it prints, how it refuses, what it exits with."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from rich.console import Console

import thalweg as tw
from thalweg import lecture
from thalweg.cli import main
from thalweg.commands import check
from thalweg.commands.explain import show
from thalweg.errors import GradientCheckError
from thalweg.expression import parse
from thalweg.report.derivation import derivation

NEURON = "1 / (1 + exp(-(w0*x0 + w1*x1 + w2)))"
NEURON_VALUES = ["w0=2", "x0=-1", "w1=-3", "x1=-2", "w2=-3"]


def run(capsys, *arguments):
    """(exit code, output, errors) of one command."""
    code = main(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_command_alone_says_what_there_is(capsys):
    code, out, err = run(capsys)
    assert (code, out) == (2, "")
    for word in ("explain", "playground", "lecture", "examples:", "exit codes"):
        assert word in err


def test_an_expression_is_asked_for_and_values_are_not(capsys):
    code, _, err = run(capsys, "explain")
    assert code == 2
    assert err.endswith("the following arguments are required: EXPR\n")


def test_explain_prints_the_neuron_of_the_lecture(capsys):
    code, out, err = run(capsys, "explain", NEURON, *NEURON_VALUES)
    assert (code, err) == (0, "")
    for number in ("0.367879", "-0.534447", "0.731059", "-0.393224", "-0.589836", "0.196612"):
        assert number in out
    assert "∂f/∂w0 = ∂f/∂(w0*x0) · ∂(w0*x0)/∂w0 = 0.196612 · (-1) = -0.196612" in out
    assert "could be one sigmoid node" in out
    assert "\x1b" not in out  # no colours in a pipe


def test_explain_arrays_and_files(capsys, tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.array([0.2, 0.4]))
    code, out, _ = run(
        capsys, "explain", "sum((W @ x) ** 2)", "W=[[0.1, 0.5], [-0.3, 0.8]]", f"x={path}"
    )
    assert code == 0
    assert "[[0.088, 0.176], [0.104, 0.208]]" in out
    assert "[-0.112, 0.636]" in out


def test_explain_json_is_json(capsys):
    code, out, _ = run(capsys, "explain", "(x + y) * z", "x=-2", "y=5", "z=-4", "--json")
    data = json.loads(out)
    assert code == 0
    assert [value["data"] for value in data["output_values"]] == [-12.0]
    assert [node["upstream"]["data"] for node in data["nodes"]] == [-4.0, -4.0, 3.0, -4.0, 1.0]


def test_explain_latex_and_dot(capsys):
    code, out, _ = run(capsys, "explain", "x * y", "x=2", "y=3", "--latex")
    assert code == 0
    assert out.startswith("\\documentclass")
    code, out, _ = run(capsys, "explain", "x * y", "x=2", "y=3", "--dot")
    assert code == 0
    assert out.startswith("digraph")


def test_explain_an_array_needs_upstream(capsys):
    code, out, _ = run(capsys, "explain", "exp(x)", "x=[0, 1]")
    assert code == 0
    assert '--upstream "[1, 1]"' in out
    code, out, _ = run(capsys, "explain", "exp(x)", "x=[0, 1]", "--upstream", "[3, 0]")
    assert code == 0
    assert "[3, 0]" in out
    code, out, _ = run(capsys, "explain", "x > 0", "x=1")
    assert code == 0
    assert "--upstream" not in out


def test_an_expression_may_begin_with_a_minus(capsys):
    code, out, err = run(capsys, "explain", "-x*y", "x=1", "y=2")
    assert (code, err) == (0, "")
    assert "output -2" in out
    assert run(capsys, "check", "-x*y", "x=1", "y=2")[0] == 0
    assert run(capsys, "explain", "--nothing", "x", "x=1")[0] == 2
    assert run(capsys, "explain", "-h")[0] == 0


def test_values_may_come_after_options(capsys):
    code, out, _ = run(capsys, "explain", "x*y", "x=1", "--upstream", "-3", "y=2")
    assert code == 0
    assert "∂f/∂f = -3" in out
    assert run(capsys, "lecture", "--part", "1", "x=1")[0] == 2


def test_a_constant_may_be_given_a_value(capsys):
    code, out, _ = run(capsys, "explain", "e * x", "e=3", "x=2")
    assert code == 0
    assert "output 6" in out


def test_colours_values_green_gradients_red():
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, color_system="standard", width=120)
    show(console, tw.trace(parse("x * y").function(), 2.0, 3.0))
    printed = stream.getvalue()
    assert re.search(r"\x1b\[32m6 *\x1b\[0m", printed)
    assert re.search(r"\x1b\[31m1 *\x1b\[0m", printed)


def test_check(capsys):
    code, out, _ = run(capsys, "check", "sum(tanh(x) ** 2)", "x=[0.2, 0.4]")
    assert code == 0
    assert "passed" in out


def test_structure(capsys):
    code, out, _ = run(capsys, "structure", "tanh(x)", "x=[1, 2, 3]")
    assert code == 0
    assert "diagonal 3 × 3" in out
    assert "dense would be 72 B" in out
    code, out, _ = run(capsys, "structure", "-sum(x ** 3)", "x=[1, 2]", "--hessian")
    assert code == 0
    assert "symmetric: diagonal 2 × 2" in out


def test_a_wrong_gradient_has_its_own_exit_code(capsys, monkeypatch):
    def fail(*_args, **_options):
        raise GradientCheckError("gate 'tanh' disagrees with differences")

    monkeypatch.setattr(check, "check_grads", fail)
    code, _, err = run(capsys, "check", "tanh(x)", "x=1")
    assert code == 1
    assert "gate 'tanh'" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["explain", "__import__('os')", "x=1"],
        ["explain", "9**9**9 * x", "x=1"],
        ["explain", "x + y", "x=1"],
        ["explain", "x", "x=1", "y=2"],
        ["explain", "x", "x=missing.npy"],
        ["explain", "1 + 2"],
        ["explain", "x @ y", "x=[1, 2]", "y=[1, 2, 3]"],
        ["explain", "exp(x)", "x=[0, 1]", "--upstream", "[1, 2, 3]"],
        ["explain", "x ** 9.0**9**9", "x=1"],
        ["check", "x.__class__", "x=1"],
    ],
)
def test_mistakes_are_short_messages(capsys, arguments):
    code, out, err = run(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("thalweg: ")
    assert "Traceback" not in err
    assert len(err.splitlines()) <= 4


def test_values_that_are_too_long_or_no_arrays(capsys, tmp_path):
    _, _, err = run(capsys, "explain", "sum(x)", f"x={[1.0] * 3000}")
    assert "put it into a .npy file, x=data.npy" in err
    (tmp_path / "text.npy").write_text("hello")
    _, _, err = run(capsys, "explain", "sum(x)", f"x={tmp_path / 'text.npy'}")
    assert "is not a .npy file of numbers" in err
    assert "pickle" not in err


def test_columns_are_honoured_in_a_pipe(capsys, monkeypatch):
    arguments = ("explain", "exp(x) + exp(2 * x)", "x=[0.1, 0.2, 0.3, 0.4]")
    monkeypatch.delenv("COLUMNS", raising=False)
    wide = run(capsys, *arguments)[1]
    monkeypatch.setenv("COLUMNS", "100")
    narrow = run(capsys, *arguments)[1]

    def widest(text):
        return max(map(len, text.split("chain rule")[0].splitlines()))

    assert 100 < widest(wide) <= 160
    assert widest(narrow) <= 100


def test_usage(capsys):
    assert run(capsys)[0] == 2
    assert run(capsys, "unknown")[0] == 2
    assert run(capsys, "lecture", "--part", "10")[0] == 2
    assert run(capsys, "check", "x", "x=1", "--tolerance", "-1")[0] == 2
    assert run(capsys, "check", "x", "x=1", "--seed", "-1")[0] == 2
    code, out, _ = run(capsys, "--version")
    assert (code, out.strip()) == (0, f"thalweg {tw.__version__}")
    for command in ("explain", "check", "lecture", "fit"):
        code, out, _ = run(capsys, command, "--help")
        assert code == 0
        assert "examples:" in out


def test_warnings_are_shown_in_one_line(capsys):
    code, _, err = run(capsys, "explain", "exp(x)", "x=1e4")
    assert code == 0
    assert err.strip() == "warning: overflow encountered in exp"


@pytest.mark.parametrize("part", lecture.PARTS, ids=lambda p: str(p.number))
def test_every_part_of_the_lecture_can_be_shown(capsys, part):
    code, out, err = run(capsys, "lecture", "--part", str(part.number))
    assert (code, err) == (0, "")
    assert part.title in out


def test_the_lecture_has_its_numbers(capsys):
    """Those of the notes, digit by digit; to 1e-12 they are held in test_lecture."""
    expected = {
        1: ["∂z/∂x = ∂z/∂t · ∂t/∂x = 6 · 1 = 6"],
        6: ["∂f/∂z = ∂f/∂f · ∂f/∂z = 1 · 3 = 3", "output -12"],
        7: ["0.367879", "-0.534447", "-0.589836", "0.393224"],
        8: ["409,600 × 409,600", "1.3 TB", "3.3 MB", "diagonal"],
        9: ["[[0.088, 0.176], [0.104, 0.208]]", "[-0.112, 0.636]"],
    }
    for part, texts in expected.items():
        _, out, _ = run(capsys, "lecture", "--part", str(part))
        for text in texts:
            assert text in out


def test_derivation_sums_over_consumers_and_numbers_long_expressions():
    lines = derivation(tw.trace(parse("t = x * y; f = t * sin(t)").function(), 0.5, 3.0).record)
    assert lines[0] == "∂f/∂f = 1"
    assert any(" + " in line and line.startswith("∂f/∂t = ") for line in lines)
    long = "exp(x + y) * exp(x + y + 1) * 2 + x * y"
    lines = derivation(tw.trace(parse(long).function(), 0.5, 3.0).record)
    assert any("stands for exp(x + y + 1)" in line for line in lines)
    chain = "; ".join(f"x = sin(x + {i})" for i in range(100))
    lines = derivation(tw.trace(parse(chain).function(), 0.5).record)
    assert "more nodes" in lines[-1]


def test_an_output_that_is_closed_early_is_no_error():
    program = "from thalweg.cli import main; import sys; sys.exit(main())"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{sys.executable} -c '{program}' lecture | head -1"],
 capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.startswith("0  Where")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_a_full_disk_is_said():
    program = "from thalweg.cli import main; import sys; sys.exit(main())"
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program, "explain", "x*y", "x=1", "y=2"],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.strip() == "thalweg: cannot write: No space left on device"


def test_an_ascii_terminal_gets_no_traceback():
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from thalweg.cli import main; sys.exit(main())",
         "explain", "x * y", "x=2", "y=3"],
        capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
