"""Makes `from support.daemon import Daemon` work in every test below this directory."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
