"""The samples of PyTorch's module and criterion databases, all in one form."""

import functools
import inspect
from dataclasses import dataclass, field

from recording import seed_generators

import torch

# The databases' tests make their tensors in double; some are made when the database is imported.
torch.set_default_dtype(torch.float64)
seed_generators()

from torch.testing._internal import common_modules, common_nn  # noqa: E402


# Modules that the databases leave out: constructor's arguments, and the inputs' sizes.
OWN = [
    ("AlphaDropout", {"p": 0.3}, [(4, 5)]),
    ("CosineSimilarity", {"dim": 1}, [(3, 4), (3, 4)]),
    ("CosineSimilarity", {"dim": 0, "eps": 1e-3}, [(3, 4), (1, 4)]),
    ("Dropout", {"p": 0.3}, [(4, 5)]),
    ("Dropout", {"p": 1.0}, [(4, 5)]),
    ("Dropout1d", {"p": 0.3}, [(2, 6, 3)]),
    ("Dropout2d", {"p": 0.3}, [(2, 6, 3, 2)]),
    ("Dropout3d", {"p": 0.3}, [(2, 6, 2, 2, 2)]),
    ("FeatureAlphaDropout", {"p": 0.3}, [(2, 6, 3)]),
    ("Identity", {}, [(3, 4)]),
    ("Upsample", {"scale_factor": 2}, [(1, 2, 3, 3)]),
    ("Upsample", {"size": (4, 5), "mode": "bilinear", "align_corners": True}, [(1, 2, 3, 3)]),
    ("UpsamplingBilinear2d", {"scale_factor": 2}, [(1, 2, 3, 3)]),
    ("UpsamplingNearest2d", {"size": (5, 6)}, [(1, 2, 3, 3)]),
]


@dataclass
class Sample:
    """One call of a module, in one mode."""

    label: str
    module: torch.nn.Module
    args: tuple
    kwargs: dict = field(default_factory=dict)
    training: bool = True
    twice: bool = True  # gradients of gradients are defined


@functools.cache
def remember_arguments():
    """From now on modules of torch.nn know what they were constructed with: see constructor_arguments()."""
    for name in torch.nn.modules.__all__:
        cls = getattr(torch.nn.modules, name)
        cls.__init__ = remembering(cls, cls.__init__)


def remembering(cls, init):
    @functools.wraps(init)
    def wrapper(self, *args, **kwargs):
        init(self, *args, **kwargs)
        if type(self) is cls:
            object.__setattr__(self, "_constructed_with", (args, kwargs))
    return wrapper


def constructor_arguments(module):
    """By PyTorch's names, without those that say where and in which type to make tensors."""
    args, kwargs = module._constructed_with
    bound = inspect.signature(type(module).__init__).bind(module, *args, **kwargs)
    given = dict(bound.arguments)
    del given["self"]
    given |= given.pop("kwargs", {})
    for name in ("device", "dtype"):
        given.pop(name, None)
    return given


def parameter_default(cls, name):
    parameter = inspect.signature(cls.__init__).parameters.get(name)
    return inspect.Parameter.empty if parameter is None else parameter.default


def as_tuple(x):
    return x if isinstance(x, tuple) else (x,)


def database_samples():
    """Of common_modules.module_db, in both modes: (class, samples)."""
    remember_arguments()
    for info in common_modules.module_db:
        made = []
        for training in (True, False):
            seed_generators()
            inputs = info.module_inputs_func(info, device="cpu", dtype=torch.float64, requires_grad=True, training=training)
            for i, given in enumerate(inputs):
                mode = "train" if training else "eval"
                module = info.module_cls(*given.constructor_input.args, **given.constructor_input.kwargs)
                label = "_".join(filter(None, ["db", str(i), given.desc, mode]))
                made.append(Sample(label, module, given.forward_input.args,
                                   given.forward_input.kwargs, training, info.supports_gradgrad))
        yield info.module_cls, made


def test_samples():
    """Of common_nn's module and criterion tests: one by one."""
    remember_arguments()
    tests = [(common_nn.NewModuleTest, t) for t in (*common_nn.module_tests, *common_nn.new_module_tests)]
    tests += [(common_nn.CriterionTest, t) for t in common_nn.criterion_tests]
    for i, (kind, given) in enumerate(tests):
        given = dict(given)
        seed_generators()
        if "constructor" not in given:
            given["constructor"] = getattr(torch.nn, given.pop("module_name"))
        test = kind(**given)
        module = test.constructor(*test.constructor_args)
        args = as_tuple(test._get_input())
        if kind is common_nn.CriterionTest:
            args += (test._get_target(), *test.extra_args)
        label = f"test_{i}_{test.get_name().removeprefix('test_')}"
        twice = test.check_gradgrad and not getattr(test, "check_forward_only", False)
        yield Sample(label + "_train", module, args, {}, True, twice)
        if given.get("check_eval"):
            yield Sample(label + "_eval", module, args, {}, False, twice)


def own_samples():
    """Of OWN, in both modes."""
    remember_arguments()
    for i, (name, attributes, sizes) in enumerate(OWN):
        for training in (True, False):
            seed_generators()
            module = getattr(torch.nn, name)(**attributes)
            args = tuple(torch.rand(size, requires_grad=True) for size in sizes)
            yield Sample(f"own_{i}_{'train' if training else 'eval'}", module, args, {}, training)
