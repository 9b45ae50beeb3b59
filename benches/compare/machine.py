"""Facts about the machine and the versions, for the records: a time without them says nothing."""

import datetime
import os
import pathlib
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version

# These two change which kernels OpenBLAS picks; a comparison is only fair with its own choice.
SWAYING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
FLAGS = ("avx2", "fma", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16")
PACKAGES = ("torch", "numpy", "scipy", "weightwatcher", "safetensors", "gguf")


def clean_environment(threads):
    """The environment for both sides: the same number of threads, nothing that sways a library."""
    environment = {k: v for k, v in os.environ.items() if k not in SWAYING}
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
        environment[variable] = str(threads)
    return environment


def facts():
    """Machine, versions, commit, load."""
    cpu = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in cpu if line.startswith("model name")), platform.processor())
    flags = next((line.split(":")[1].split() for line in cpu if line.startswith("flags")), [])
    memory = pathlib.Path("/proc/meminfo").read_text().splitlines()[0].split()[1]
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cpu": model,
        "cores": os.cpu_count(),
        "flags": [f for f in FLAGS if f in flags],
        "memory_gib": round(int(memory) / 2**20, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "rustc": output("rustc", "--version"),
        "commit": output("git", "rev-parse", "--short", "HEAD"),
        "load": os.getloadavg()[0],
    } | {p: installed(p) for p in PACKAGES}


def installed(package):
    """Version of a Python package, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def output(*command):
    """First line of a command's output; empty when it cannot run."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return ""
