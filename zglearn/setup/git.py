"""What `update` asks of git: is there a new version, and what was a file before?"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import nbformat

from zglearn import paths
from zglearn.course.said import CourseError

ANEW = ("get the course again the way you got this copy, into another folder, and run there:\n"
        "python3 -m zglearn update --from FOLDER_OF_THIS_COPY")


class CannotLook(CourseError):
    """Whether there is a new version cannot be told; the message says why, and what to do."""


def look() -> str:
    """Fetch, and return the commit of the newest version. Raises CannotLook."""
    found = ask("ls-files", "--", "exercises", "chapters")
    if found.returncode == 127:
        raise CannotLook("git is not installed, so there is no telling whether there is a new "
                         f"version. Install git, or {ANEW}")
    if "not a git repository" in found.stderr or found.returncode == 0 and not found.stdout:
        raise CannotLook("This copy of the course was not made by `git clone`, so there is no "
                         f"telling whether there is a new version. To have it, {ANEW}")
    if found.returncode:
        raise CannotLook("git does not look into this folder, so there is no telling whether "
                         f"there is a new version:\n{found.stderr.strip()}")
    if ask("symbolic-ref", "--quiet", "HEAD").returncode:
        raise CannotLook("A tag or a single commit is checked out, and that never changes. Go to a "
                         "branch (git switch main), then run the same command again.")
    if ask("rev-parse", "@{upstream}").returncode:
        raise CannotLook("Your branch follows no other, so there is nowhere to look for a new "
                         "version. Tell git which it follows (git branch "
                         "--set-upstream-to=origin/main), then run the same command again.")
    fetched = ask("fetch")
    if fetched.returncode:
        raise CannotLook("git fetch did not work, so there is no telling whether there is a new "
                         f"version, and nothing was changed:\n{fetched.stderr.strip()}")
    if ask("merge-base", "--is-ancestor", "@{upstream}", "HEAD").returncode == 0:
        return commit("HEAD")  # nothing new, whatever the learner has committed
    return commit("@{upstream}")


def differing(*commits: str) -> list[str]:
    """The files of the course that differ between two commits, or between one and the folder."""
    return run("diff", "-z", "--name-only", "--no-renames", "--relative",
               *commits).split("\0")[:-1]


def commit(name: str) -> str:
    """A commit's full name; "" if there is none, or no git."""
    return ask("rev-parse", "--verify", "--quiet", name).stdout.strip()


def committed(name: str, at: str = "HEAD", folder: Path | None = None):
    """The notebook `name` as it is in a commit, None if it is not there."""
    found = ask("show", f"{at}:./{name}", folder=folder)
    try:
        return nbformat.reads(found.stdout, as_version=4) if found.returncode == 0 else None
    except (ValueError, nbformat.ValidationError):
        return None


def history(name: str) -> list:
    """All committed versions of the notebook `name`, the newest first."""
    commits = ask("log", "--format=%H", "--", name).stdout.split()
    return [found for at in commits if (found := committed(name, at)) is not None]


def run(*arguments: str) -> str:
    """What git says to a command. Raises CourseError if it does not do it."""
    done = ask(*arguments)
    if done.returncode:
        raise CourseError(f"git {arguments[0]} did not work, so nothing was changed:\n"
                          f"{done.stderr.strip()}")
    return done.stdout


def ask(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess:
    """Run git in the course's folder. The exit code is 127 if there is no git."""
    try:
        return subprocess.run(["git", *arguments], cwd=folder or paths.home(), capture_output=True,
                              text=True, encoding="utf-8", env=os.environ | {"LC_ALL": "C"})
    except FileNotFoundError:
        return subprocess.CompletedProcess(arguments, 127, "", "git is not installed")
