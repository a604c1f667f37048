"""The worker of a lane, whose watches look as often as the rules' time passes fast: `watchful worker`."""

from app import cli
from app.patterns.partitions import watch
from app.patterns.retention import runs
from dev.prove.scaled import SCALE


def main() -> None:
    """Run the service as always, but for the pause between two looks."""
    watch._PAUSE_SECONDS *= SCALE  # nobody who operates the service would want a setting for it
    runs._PAUSE_SECONDS *= SCALE
    cli.main()


if __name__ == "__main__":
    main()
