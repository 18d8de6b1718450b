"""The client and the lab's handle are those of the whole-process tests."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "process"))
