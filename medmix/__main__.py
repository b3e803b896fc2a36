"""`python -m medmix` is the `medmix` command."""

from .cli import main

if __name__ == "__main__":
    main()
