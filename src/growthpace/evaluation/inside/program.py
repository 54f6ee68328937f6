"""Runs a program that a model wrote and answers the calls of its tests, which run elsewhere. See `sandbox`.

Standard input and output are the pipes to the tests; the program itself gets /dev/null for both. Whatever the program
does to this process, all that leaves it are answers, and the tests compare those.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import wire


class Theirs:
    """Something of the tests that they gave to the program: a function to call, an object with attributes."""

    def __init__(self, number):
        object.__setattr__(self, "_number", number)

    def __call__(self, *arguments, **named):
        return ask({"number": self._number, "arguments": values.write(arguments), "named": values.write(named)})

    def __getattr__(self, name):
        return ask({"number": self._number, "get": name})

    def __setattr__(self, name, value):
        ask({"number": self._number, "set": name, "value": values.write(value)})


def compiled(programs):
    """The first of the programs that is Python, with its position; the first one's fault where none is."""
    fault = None
    for position, program in enumerate(programs):
        try:
            return position, compile(program, "<program>", "exec")
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
            fault = fault or error
    raise fault or SyntaxError("no program")


def ask(message):
    pipes.send({"ask": message})
    while True:
        answer = pipes.receive()
        if "do" in answer:
            serve(answer)
        elif "raised" in answer:
            raise wire.raised_elsewhere(answer)
        else:
            return values.read(answer["value"])


def serve(message):
    """Does what the tests ask for and answers. What is no Exception (an exit) ends this process."""
    try:
        answer = DO[message["do"]](*message["with"])
    except Exception as error:
        answer = wire.error_message(error)
    pipes.send(answer)


def names(wanted):
    return {"values": {name: values.write(namespace[name]) for name in wanted if name in namespace}}


def call(function, arguments, named):
    arguments, named = values.read(arguments), values.read(named)
    before = [values.write(one) if isinstance(one, CHANGEABLE) else None for one in arguments]
    result = values.read(function)(*arguments, **named)
    after = [values.write(one) if isinstance(one, CHANGEABLE) else None for one in arguments]
    changed = {position: new for position, new in enumerate(after) if new != before[position]}
    return {"value": values.write(result), "changed": changed}


def operate(operation):
    return lambda *data: {"value": values.write(operation(*map(values.read, data)))}


CHANGEABLE = (list, dict, set, bytearray)
DO = {
    "names": names,
    "call": call,
    "get": operate(getattr),
    "set": operate(setattr),
    "item": operate(lambda one, key: one[key]),
    "put": operate(lambda one, key, value: one.__setitem__(key, value)),
    "length": operate(len),
    "iterate": operate(iter),
    "next": operate(lambda one: [next(one)]),
    "truth": operate(bool),
    "text": operate(str),
    "shown": operate(repr),
    "int": operate(int),
    "float": operate(float),
    "equal": operate(lambda one, other: bool(one == other)),
}

pipes = wire.Pipes(os.dup(0), os.dup(1))
nothing = os.open(os.devnull, os.O_RDWR)
for descriptor in (0, 1, 2):
    os.dup2(nothing, descriptor)
os.close(nothing)

theirs = {}
values = wire.Values(
    lambda number, name, is_class: theirs.setdefault(number, Theirs(number)),
    lambda value: value._number if type(value) is Theirs else None,
)
start = pipes.receive()
wire.limit(start["limits"])
pipes.send({"ready": True})
namespace = {"__name__": "__program__", "__builtins__": __builtins__}
try:
    chosen, code = compiled(start["programs"])
    if any("random" in program for program in start["programs"]):
        import random

        random.seed(0)  # so that a grade does not depend on luck where a program draws lots
    exec(code, namespace)
    pipes.send({"chosen": chosen})
except Exception as error:
    pipes.send(wire.error_message(error))
    os._exit(1)
while True:
    serve(pipes.receive())
