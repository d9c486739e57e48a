"""`python -m amal` is the command `amal`."""

from amal.cli import main

if __name__ == "__main__":
    main()
