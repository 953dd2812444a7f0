"""Tests of functions among those of modules: which function they call, as the operators' database would have it."""

import inspect

import torch.nn.functional as F
from torch.testing._internal.common_methods_invocations import SampleInput

from recording import Unsupported


class Function:
    """A function of torch.nn.functional in the form of an operator's entry."""

    variant_test_name = ""

    def __init__(self, function):
        self.function = function
        self.name = f"nn.functional.{function.__name__}"

    def __call__(self, x, *args, **kwargs):
        return self.function(x, *args, **kwargs)


class Recorder:
    """While entered, notes the first call of a function of torch.nn.functional."""

    def __init__(self):
        self.functions = {name: f for name, f in vars(F).items() if inspect.isfunction(f) and not name.startswith("_")}
        self.call = None

    def __enter__(self):
        for name, function in self.functions.items():
            setattr(F, name, self.noting(function))
        return self

    def __exit__(self, *_):
        for name, function in self.functions.items():
            setattr(F, name, function)

    def noting(self, function):
        def noted(*args, **kwargs):
            if self.call is None:
                self.call = (function, args, kwargs)
            return function(*args, **kwargs)
        return noted


def is_function(module):
    return not type(module).__module__.startswith("torch.nn.modules")


def function_sample(sample):
    """(entry, its sample) of what the module calls."""
    enclosed = inspect.getclosurevars(type(sample.module).forward).nonlocals
    function, kwargs = enclosed["fn"], enclosed["kwargs"]
    if function.__module__ == "torch.nn.functional":
        call = (function, sample.args, kwargs)
    else:
        with Recorder() as recorder:
            function(*sample.args, **kwargs)
        call = recorder.call
    if call is None:
        raise Unsupported("a test that calls no function of torch.nn.functional")
    function, args, kwargs = call
    return Function(function), SampleInput(args[0], args=tuple(args[1:]), kwargs=kwargs)
