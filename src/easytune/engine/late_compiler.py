"""Keeps torch's compiler unloaded until something is compiled.

`torch._dynamo` takes a second to import, and marking a function for it is enough to load it. Here
marks are kept and passed on when it comes.
"""

import functools
import sys
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

from easytune.import_hooks import Late

_NAME = "torch._dynamo"


class _Compiler(Late):
    """In the place of `torch._dynamo` where that is an attribute, not an import."""

    def __init__(self) -> None:
        super().__init__(_NAME)
        self._told: list[tuple[str, Any]] = []

    def assume_constant_result(self, fn: Any) -> Any:
        """Return `fn`."""
        return self._tell("assume_constant_result", fn)

    def allow_in_graph(self, fn: Any) -> Any:
        """Return `fn`."""
        return self._tell("allow_in_graph", fn)

    def pass_on(self, compiler: ModuleType) -> None:
        """Tell the compiler, which is there now, what was said before."""
        while self._told:
            name, fn = self._told.pop(0)
            getattr(compiler, name)(fn)

    def _tell(self, name: str, fn: Any) -> Any:
        if _is_loaded():
            return getattr(sys.modules[_NAME], name)(fn)
        self._told.append((name, fn))
        return fn


def _change_torch(module: ModuleType) -> None:
    """Let functions be marked, and plain facts be checked, without loading the compiler."""
    if not _is_loaded():
        vars(module)["_dynamo"] = _COMPILER
    usual = getattr(module, "_check_with", None)
    if usual is None:
        return

    def check(error_type: Any, cond: Any, message: Any) -> None:
        # Only what is a symbol needs the symbolic algebra that comes with the usual check.
        if cond is not True:
            usual(error_type, cond, message)

    vars(module)["_check_with"] = check


def _change_compiler(module: ModuleType) -> None:
    vars(module).update(
        allow_in_graph=_COMPILER.allow_in_graph,
        assume_constant_result=_COMPILER.assume_constant_result,
        disable=functools.partial(_disable, module.disable),
    )


def _change_compile(module: ModuleType) -> None:
    """Let torch's own functions that are not to be compiled run without a compiler."""
    if hasattr(module, "_disable_dynamo"):
        vars(module)["_disable_dynamo"] = functools.partial(_disable, module._disable_dynamo)


def _disable(
    usual: Callable[..., Any], fn: Any = None, recursive: bool = True, **reason: str | None
) -> Any:
    """Keep `fn` out of compiling, as `torch.compiler.disable` does, once there is a compiler."""
    if fn is None:
        return functools.partial(_disable, usual, recursive=recursive, **reason)
    if _is_loaded() or not isinstance(fn, FunctionType):
        return usual(fn, recursive, **reason)
    kept_out: Any = None

    @functools.wraps(fn)
    def plain(*arguments: Any, **named: Any) -> Any:
        nonlocal kept_out
        if kept_out is None and _is_loaded():
            kept_out = usual(fn, recursive, **reason)
        return (kept_out or fn)(*arguments, **named)

    # The compiler looks for these marks.
    vars(plain).update(_torchdynamo_disable=True, _torchdynamo_disable_msg=reason.get("reason"))
    return plain


def _change_optimizer(module: ModuleType) -> None:
    """Let an optimizer make its step without loading the compiler to tell it about gradients."""
    usual = getattr(module, "_use_grad_for_differentiable", None)
    if usual is None:
        return

    def use_grad(step: Callable[..., Any]) -> Callable[..., Any]:
        told = usual(step)

        @functools.wraps(step)
        def made(self: Any, *arguments: Any, **named: Any) -> Any:
            if _is_loaded():
                return told(self, *arguments, **named)
            with module.torch.set_grad_enabled(self.defaults["differentiable"]):
                return step(self, *arguments, **named)

        return made

    vars(module)["_use_grad_for_differentiable"] = use_grad


def _is_loaded() -> bool:
    return _NAME in sys.modules


_COMPILER = _Compiler()
CHANGES = {
    "torch": _change_torch,
    "torch._compile": _change_compile,
    "torch._dynamo": _COMPILER.pass_on,
    "torch.compiler": _change_compiler,
    "torch.optim.optimizer": _change_optimizer,
}
"""What is changed in which module right after its import."""
SEEDS = {
    f"{_NAME}._trace_wrapped_higher_order_op": ("TransformGetItemToIndex",),
    f"{_NAME}.eval_frame": ("OptimizedModule",),
}
"""What transformers and accelerate take from parts of the compiler, to ask whether it is used."""
