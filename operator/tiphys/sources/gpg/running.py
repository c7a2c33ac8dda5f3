"""Running ``gpg``: no terminal, no agent, no options of anybody else, a limit on everything."""

from collections.abc import Sequence
from pathlib import Path

from tiphys.sources import processes
from tiphys.sources.errors import CommandTimeout, SourceError
from tiphys.sources.processes import MIB, Completed, Limits

PROGRAM = "gpg"
_LIMITS = Limits(timeout=30.0, memory=256 * MIB, output=16 * MIB, file_size=64 * MIB)
_COMMON = ("--batch", "--no-tty", "--no-autostart", "--no-options", "--display-charset", "utf-8")


async def run_gpg(home: Path, arguments: Sequence[str], *, stdin: bytes = b"") -> Completed:
    """``gpg`` with ``home`` as its only folder.

    Raises:
        SourceError: it is not installed, or a limit was met; not for exit codes.
    """
    try:
        return await processes.run(
            [PROGRAM, "--homedir", str(home), *_COMMON, *arguments],
            cwd=home,
            home=home,
            limits=_LIMITS,
            stdin=stdin,
        )
    except processes.TimeLimit as error:
        raise CommandTimeout("DeadlineExceeded", error.message) from None
    except (processes.OutputLimit, processes.MemoryLimit) as error:
        raise SourceError("ResourceExhausted", error.message) from None
    except processes.ProcessError as error:
        raise SourceError("Internal", error.message) from None
