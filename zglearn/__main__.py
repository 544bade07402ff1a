"""`python3 -m zglearn COMMAND`, or `python3 /path/to/the/course/zglearn COMMAND` from anywhere."""

# This file must parse on any Python, so that an old one gets a sentence and not a SyntaxError.
import importlib
import os
import select
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# command: (module, function, what it does). A module is imported only when its command is called.
COMMANDS = {
    "lab": ("zglearn.setup.launcher", "lab", "open the course in JupyterLab (installs it first)"),
    "test": ("zglearn.setup.launcher", "test", "run everything that CI runs"),
    "notebooks": ("zglearn.authoring.notebooks", "main",
                  "authors: run notebooks, derive exercises"),
    "kernels": ("zglearn.authoring.kernels", "main", "authors: do the outputs hold on any CPU?"),
    "mutants": ("zglearn.authoring.mutants", "main",
                "authors: try each check with wrong answers made by machine"),
    "progress": ("zglearn.course.overview", "main", "say how far you are (--export FILE)"),
    "interview": ("zglearn.course.mock_interview.talk", "main",
                  "a mock interview from the exercises"),
    "clinic": ("zglearn.authoring.clinic_kit", "main",
               "instructors: an article of your own for the errata clinic"),
    "grade": ("zglearn.grading.command", "main", "instructors: grade a folder of notebooks"),
    "viva": ("zglearn.grading.viva", "main",
             "instructors: sheets to ask students about their answers"),
    "nbval": ("zglearn.grading.plain", "main",
              "instructors: notebooks for plain pytest --nbval"),
    "site": ("zglearn.site.command", "main", "write the course as pages that need no kernel"),
    "book": ("zglearn.site.book", "main", "print the course to a PDF"),
    "release": ("zglearn.authoring.release", "main", "instructors: make the hand-out"),
    "reset": ("zglearn.setup.versions", "reset", "give a fresh exercise notebook, keep yours"),
    "update": ("zglearn.setup.versions", "update", "get the newest version, keep your answers"),
    "doctor": ("zglearn.setup.doctor", "main", "say what is missing or broken and how to mend it"),
}


IN_THE_WHOLE_COURSE = ("zglearn.authoring", "zglearn.grading")
WITHOUT_THE_COURSE = ("progress", "interview")


def require_new_python():
    if sys.version_info >= (3, 11):
        return
    names = ("python3.14", "python3.13", "python3.12", "python3.11")
    newer = [name for name in names if runs(name)]
    sys.exit(
        "This course needs Python 3.11 or newer, and this is Python %s (%s).\n%s"
        % (".".join(map(str, sys.version_info[:3])), sys.executable,
           "Try the newer one that is installed here: %s -m zglearn lab" % newer[0] if newer else
           "Install a newer one (from python.org or your system's packages) and use it instead.")
    )


def runs(python):
    try:
        return subprocess.call([python, "-c", ""], stderr=subprocess.PIPE) == 0
    except OSError:
        return False


def usage():
    lines = ["usage: python3 -m zglearn COMMAND [options]", ""]
    lines += ["  %-10s %s" % (name, COMMANDS[name][2]) for name in COMMANDS if works(name)]
    return "\n".join(lines + ["", "COMMAND --help says more. Start with: python3 -m zglearn lab"])


def works(name):
    """Whether a command works here. A hand-out has no solutions, and is no clone to update."""
    if not os.path.exists(os.path.join(ROOT, "VERSION.json")):
        return True
    module = COMMANDS[name][0]
    return name not in ("test", "update") and not module.startswith(IN_THE_WHOLE_COURSE)


def open_streams():
    """Where a service or `>&-` closed a stream, what is said goes nowhere."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:  # programs that are started inherit the number
                os.dup2(nowhere, number)
                os.close(nowhere)
            os.set_inheritable(number, True)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))
        elif hasattr(stream, "reconfigure"):  # a path in Chinese on a terminal without Chinese
            stream.reconfigure(errors="replace")


def whole(argv):
    """`main`, and what it said has left; no traceback if nobody listens any more (`| head`)."""
    try:
        try:
            return main(argv)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        if not (nobody_listens(1) or nobody_listens(2)):  # it was another pipe
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python flushes once more at its end
        return 141  # what a shell says of a program that this ended


def nobody_listens(number):
    """Whether the other end of a pipe is closed."""
    if not hasattr(select, "poll"):  # on Windows
        return True
    poll = select.poll()
    poll.register(number, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def main(argv):
    require_new_python()
    if not __package__:  # called as a folder: import the course, not the files next to this one
        sys.path[0] = ROOT
    open_streams()
    name = argv[0] if argv else "--help"
    if name in ("-h", "--help", "help"):
        print(usage())
    elif name == "--version":
        print("zglearn " + importlib.import_module("zglearn").__version__)
    elif name in COMMANDS:
        return run(name, argv[1:])
    else:
        near = importlib.import_module("difflib").get_close_matches(name, COMMANDS)
        sys.exit("There is no command %r.%s\n\n%s"
                 % (name, " Did you mean %r?" % near[0] if near else "", usage()))


def is_course(folder):
    """Whether the package in this folder lies in the course: by itself, it has no notebooks."""
    return all(os.path.exists(os.path.join(folder, name))
               for name in ("requirements.txt", os.path.join("zglearn", "__main__.py")))


def run_in_the_course(name, argv):
    """Hand a command on to the course that the current folder is in, and end with it.

    Returns where there is none and the command can do without; else ends with what to do.
    """
    folder = os.environ.get("ZGLEARN_HOME") or os.getcwd()
    while not is_course(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    if is_course(folder):
        sys.exit(subprocess.call([sys.executable, os.path.join(folder, "zglearn"), name] + argv))
    if name not in WITHOUT_THE_COURSE and not {"-h", "--help"} & set(argv):
        sys.exit("zglearn is installed here without the course's notebooks (in %s), and this "
                 "command needs them.\nGet the whole folder of the course, where you got this "
                 "package, and run there:  zglearn %s" % (ROOT, name))


def run(name, argv):
    if not works(name):
        sys.exit("`%s` needs the whole course, and this is a hand-out of it. What works here:\n\n%s"
                 % (name, usage()))
    launcher = importlib.import_module("zglearn.setup.launcher")
    module, function, _ = COMMANDS[name]
    try:
        if not is_course(ROOT):
            run_in_the_course(name, argv)
        elif module != launcher.__name__:
            launcher.enter_environment(name, argv)
        return getattr(importlib.import_module(module), function)(argv)
    except launcher.Trouble as trouble:
        sys.exit("\n%s" % trouble)
    except ModuleNotFoundError as error:
        sentence = importlib.import_module("zglearn.missing").sentence(error)
        if not sentence:
            raise
        sys.exit(sentence)
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted. To go on, run the same command again.\n")
        return 130


def console():
    """The command `zglearn`, which pip installs."""
    sys.exit(whole(sys.argv[1:]))


if __name__ == "__main__":
    console()
