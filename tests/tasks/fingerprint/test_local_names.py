"""Another name for a local variable is the same function; anything else is another one."""

import pytest

from tasks.fingerprint.syntax_hash import hash_of_source

SAME = {
    "a local variable": ("def f(x):\n y = x\n return y", "def f(x):\n z = x\n return z"),
    "several, in their order": (
        "def f(x):\n a, b = x\n return b, a",
        "def f(x):\n b, a = x\n return a, b",
    ),
    "of a loop and a with": (
        "def f(x):\n for a in x:\n  with a as b: print(b)",
        "def f(x):\n for c in x:\n  with c as a: print(a)",
    ),
    "of a comprehension": ("y = [a for a in x if a]", "y = [b for b in x if b]"),
    "of nested comprehensions": (
        "def f(x):\n return [b for a in x for b in a]",
        "def f(x):\n return [a for b in x for a in b]",
    ),
    "seen by a nested function": (
        "def f(x):\n y = x\n def g(): return y\n return g",
        "def f(x):\n z = x\n def g(): return z\n return g",
    ),
    "of a nested function": (
        "def f():\n def g(x):\n  y = x\n  return y\n return g",
        "def f():\n def g(x):\n  z = x\n  return z\n return g",
    ),
    "by :=": ("def f(x):\n return (y := x) + y", "def f(x):\n return (z := x) + z"),
    "of a method": (
        "class A:\n def f(self):\n  y = 1\n  return y",
        "class A:\n def f(self):\n  z = 1\n  return z",
    ),
}
DIFFERENT = {
    "swapped": (
        "def f(x):\n a, b = x\n return a, b",
        "def f(x):\n a, b = x\n return b, a",
    ),
    "a global in place of a local": (
        "def f(x):\n y = x\n return y",
        "def f(x):\n z = x\n return y",
    ),
    "a parameter": ("def f(x): return x", "def f(y): return y"),
    "a global that is assigned": (
        "def f(x):\n global y\n y = x",
        "def f(x):\n global z\n z = x",
    ),
    "shared with a nested function that assigns it": (
        "def f():\n y = 1\n def g():\n  nonlocal y\n  y = 2\n g()\n return y",
        "def f():\n y = 1\n def g():\n  nonlocal z\n  z = 2\n g()\n return y",
    ),
    "of the function or of the nested one": (
        "def f():\n y = 1\n def g():\n  y = 2\n  return y\n g()\n return y",
        "def f():\n y = 1\n def g():\n  z = 2\n  return y\n g()\n return y",
    ),
    "a parameter of a nested function": (
        "def f():\n y = 1\n return lambda x: x + y",
        "def f():\n y = 1\n return lambda y: y + y",
    ),
    "what a comprehension goes through": (
        "def f(x):\n y = 1\n return [y for y in x]",
        "def f(x):\n y = 1\n return [y for z in x]",
    ),
    "the first iterator, which is outside": ("y = [a for a in a]", "y = [b for b in b]"),
    "read by locals()": (
        "def f():\n y = 1\n return locals()",
        "def f():\n z = 1\n return locals()",
    ),
    "read by a query": (
        "def f(x):\n y = 1\n return x.query('a > @y')",
        "def f(x):\n z = 1\n return x.query('a > @y')",
    ),
    "written out by f'{y=}'": (
        "def f():\n y = 1\n return f'{y=}'",
        "def f():\n z = 1\n return f'{z=}'",
    ),
    "a module's variable": ("y = 1", "z = 1"),
    "a class variable": ("class A:\n y = 1", "class A:\n z = 1"),
    "an attribute": ("def f(x): x.y = 1", "def f(x): x.z = 1"),
    "a keyword": ("def f(x):\n y = 1\n x(y=y)", "def f(x):\n z = 1\n x(z=z)"),
    "an import": ("def f():\n import y\n return y", "def f():\n import z\n return z"),
    "a default, which is outside": (
        "def f(x=y):\n y = 1\n return y",
        "def f(x=z):\n y = 1\n return y",
    ),
}


@pytest.mark.parametrize("case", SAME)
def test_another_name_is_the_same(case: str) -> None:
    one, other = SAME[case]
    assert one != other
    compile(one, "one", "exec")
    compile(other, "other", "exec")
    assert hash_of_source(one) == hash_of_source(other)


@pytest.mark.parametrize("case", DIFFERENT)
def test_what_acts_differently_is_another(case: str) -> None:
    one, other = DIFFERENT[case]
    assert hash_of_source(one) != hash_of_source(other)
