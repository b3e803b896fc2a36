"""`python -m medmix` is the `medmix` command."""

from medmix.cli import main

if __name__ == "__main__":
    main()
