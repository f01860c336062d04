"""Quantizes a GGUF file: `python -m easytune.engine.exporting.gguf_quantizer <from> <to> <type>`.

llama.cpp's own quantizer through the C interface of llama-cpp-python, in a process of its own.
"""

import ctypes
import importlib
import sys


def main() -> int:
    """Return what the quantizer returns: 0 when it is done."""
    source, target, kind = sys.argv[1:]
    llama_cpp = importlib.import_module("llama_cpp")

    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{kind.upper()}")
    return llama_cpp.llama_model_quantize(
        source.encode(), target.encode(), ctypes.byref(parameters)
    )


if __name__ == "__main__":
    sys.exit(main())
