"""Tries a program out: runs the tests, whose calls of the program go to another sandbox. See `sandbox`.

    python trial.py READ WRITE < task.json

READ and WRITE are the pipes to the program; the task is {"programs", "beginning", "tests", "limits"}. Standard output
gets one line `started`, and at the end one line of JSON, {"passed", "reason", "chosen"}: the only proof of a pass, and
the program's process has no way to it.
"""

import ast
import builtins
import importlib
import json
import os
import symtable
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import wire

TESTS = "__tests__"
"""Name of the module that the tests are."""


class Theirs:
    """Something of the program that is no plain data: a function, a class, an object.

    It can be called, indexed, iterated, measured and turned into text or a number: what comes back is compared here.
    It never equals plain data, and no operator hands it any: an expected value does not leave this process. Attributes
    can be used only where the tests themselves name its class (with a capital letter, so that a function's name is not
    taken for one): or a result with a `startswith` of its own would be whatever a test expects.
    """

    def __init__(self, number, name, is_class):
        for attribute, value in (("_number", number), ("_class", name), ("_is_class", is_class)):
            object.__setattr__(self, attribute, value)

    def __call__(self, *arguments, **named):
        answer = ask("call", values.write(self), values.write(arguments), values.write(named))
        result = values.read(answer.get("value"))
        changed = answer.get("changed")
        for position, new in changed.items() if isinstance(changed, dict) else ():
            _change(arguments, position, values.read(new))
        return result

    def __getattr__(self, name):
        if self._class not in classes_of_tests:
            raise AttributeError(f"{self._class} object has no attribute {name!r} that the tests can see")
        return _value("get", self, name)

    def __setattr__(self, name, value):
        if self._class not in classes_of_tests:
            raise AttributeError(f"{self._class} object has no attribute {name!r} that the tests can set")
        _value("set", self, name, value)

    def __getitem__(self, key):
        return _value("item", self, key)

    def __setitem__(self, key, value):
        _value("put", self, key, value)

    def __iter__(self):
        iterator = _value("iterate", self)
        if not isinstance(iterator, Theirs):
            raise TypeError("the program's iterator is none")
        while True:
            answer = ask("next", values.write(iterator), stops=True)
            if answer is None:
                return
            (value,) = values.read(answer.get("value"))
            yield value

    def __len__(self):
        return _value("length", self)

    def __bool__(self):
        return _value("truth", self)

    def __str__(self):
        return _value("text", self)

    def __repr__(self):
        return _value("shown", self)

    def __int__(self):
        return _value("int", self)

    def __float__(self):
        return _value("float", self)

    def __eq__(self, other):
        if isinstance(other, Theirs) and {self._class, other._class} <= classes_of_tests:
            return _value("equal", self, other) is True
        return self is other

    def __hash__(self):
        return id(self)


def _change(arguments, position, new):
    """Makes an argument what the program has changed it to."""
    if not position.isdecimal() or int(position) >= len(arguments) or type(new) is not type(arguments[int(position)]):
        raise wire.Broken("a changed argument of no known kind")
    old = arguments[int(position)]
    if isinstance(old, (list, bytearray)):
        old[:] = new
    else:
        old.clear()
        old.update(new)


def _value(operation, *parts):
    return values.read(ask(operation, *map(values.write, parts)).get("value"))


def ask(operation, *parts, stops=False):
    """The program's answer to one request; None where an iteration has ended and `stops`."""
    pipes.send({"do": operation, "with": parts})
    while True:
        answer = pipes.receive()
        if "ask" in answer:
            _called_back(answer["ask"])
        elif "raised" in answer:
            if stops and isinstance(answer["raised"], list) and answer["raised"][:1] == ["StopIteration"]:
                return None
            raise wire.raised_elsewhere(answer)
        else:
            return answer


def _called_back(message):
    """Calls a function that the tests gave to the program, or uses an attribute of an object that they gave to it."""
    if not isinstance(message, dict):
        raise wire.Broken("a call of no known kind")
    given = values.read(["yours", message.get("number")])
    name = message.get("get", message.get("set"))
    try:
        if name is None:
            result = given(*values.read(message.get("arguments")), **values.read(message.get("named")))
        elif type(given).__module__ != TESTS or type(name) is not str or name.startswith("_"):
            # Only what a class of the tests shows: behind an underscore lies all that they hold.
            raise AttributeError(f"{type(given).__name__} object has no attribute {name!r}")
        elif "get" in message:
            result = getattr(given, name)
        else:
            result = setattr(given, name, values.read(message.get("value")))
        answer = {"value": values.write(result)}
    except Exception as error:
        answer = wire.error_message(error)
    pipes.send(answer)


def names_needed(tests):
    """(names that the tests use and do not define, those of them that are only ever looked into: `math` in math.pi)."""
    needed, defined = set(), set()

    def look(table):
        for symbol in table.get_symbols():
            if table.get_type() == "module":
                if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace():
                    defined.add(symbol.get_name())
                elif symbol.is_referenced():
                    needed.add(symbol.get_name())
            elif symbol.is_global() and symbol.is_referenced():
                needed.add(symbol.get_name())
        for child in table.get_children():
            look(child)

    look(symtable.symtable(tests, "<tests>", "exec"))
    tree = ast.parse(tests)
    within = [node.value for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    looked_into = {id(node) for node in within if isinstance(node, ast.Name)}
    elsewhere = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in looked_into}
    return needed - defined, needed - defined - elsewhere


def run_beginning(beginning, namespace):
    """Runs a program's beginning; the name of the function it leaves to the model: its last one."""
    for ending in ("", "\n    pass"):
        try:
            tree = ast.parse(beginning + ending)
            break
        except SyntaxError:
            continue
    else:
        return ""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    left = [node.name for node in tree.body if isinstance(node, kinds)]
    exec(compile(tree, "<beginning>", "exec"), namespace)
    return left[-1] if left else ""


def run_tests(task):
    """Runs the tests to their end. What they use and do not define comes from the beginning, from Python, and only then
    from the program, so that a program cannot put its own `abs` or `math` in the place of Python's."""
    namespace = {"__name__": TESTS}
    needed, looked_into = names_needed(task["tests"])
    classes_of_tests.update(name for name in needed if name[0].isupper())
    left = run_beginning(task["beginning"], namespace) if task["beginning"].strip() else ""
    namespace.pop(left, None)
    modules = {name for name in looked_into if name in sys.stdlib_module_names} - {left}
    own = {name for name in needed if name == left or not (name in namespace or name in modules)}
    # A program may be a function called `sum`: then the tests name nothing else.
    others = {name for name in own if name == left or not hasattr(builtins, name)}
    for name in modules - set(namespace):
        namespace[name] = importlib.import_module(name)
    found = ask("names", sorted(others or own)).get("values")
    if not isinstance(found, dict):
        raise wire.Broken("names of no known kind")
    namespace.update((name, values.read(value)) for name, value in found.items() if name in (others or own))
    exec(compile(task["tests"], "<tests>", "exec"), namespace)


def said(error):
    """What an exception says, in one line."""
    try:
        text = " ".join(str(error).split())
    except BaseException:
        text = ""
    return text if isinstance(error, wire.Broken) else f"{type(error).__name__}: {text}"[:200].rstrip(": ")


def finish(passed, reason, chosen):
    print(json.dumps({"passed": passed, "reason": reason, "chosen": chosen}), file=verdict, flush=True)
    os._exit(0)


verdict = os.fdopen(os.dup(1), "w")
task = json.load(sys.stdin)
nothing = os.open(os.devnull, os.O_RDWR)
for descriptor in (0, 1, 2):
    os.dup2(nothing, descriptor)
classes_of_tests = set()
theirs = {}
values = wire.Values(
    lambda number, name, is_class: theirs.setdefault(number, Theirs(number, name, is_class)),
    lambda value: value._number if type(value) is Theirs else None,
)
pipes = wire.Pipes(int(sys.argv[1]), int(sys.argv[2]))
wire.limit(task["limits"])
chosen = 0
try:
    pipes.send({"programs": task["programs"], "limits": task["limits"]})
    if pipes.receive() != {"ready": True}:
        raise wire.Broken("the program's sandbox did not start")
    print("started", file=verdict, flush=True)
    answer = pipes.receive()
    if "raised" in answer:
        finish(False, "the program failed: " + said(wire.raised_elsewhere(answer)), 0)
    chosen = answer.get("chosen")
    if type(chosen) is not int or not 0 <= chosen < len(task["programs"]):
        raise wire.Broken("an answer of no known kind")
    run_tests(task)
except BaseException as error:
    finish(False, said(error), chosen if type(chosen) is int else 0)
finish(True, "passed", chosen)
