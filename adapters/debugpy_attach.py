"""Runs debugpy's adapter on standard input and output, and puts debugpy into a running program in a way that is fit for one.

As `python -m debugpy.adapter` with attach{processId}, but for three things that its injected code does to a program:

- It holds the program until the front end has said configurationDone: for ever, where the front end is gone by then. Here it does not.
- It has pydevd patch everything that starts processes. Children of the program then connect to this adapter and wait: for ever while
  a front end is there (debugpy does not tell it of them, adapter/clients.py, notify_of_subprocess), and after it has left. Here they
  are started as ever (subProcess=False, which the command line cannot say of an injected debugpy). A child that was forked stops tracing.
- It runs in the program's __main__ and leaves names there (setup, json, sys, …), over the program's own. Here it has a namespace of its own.

The program is the process of a pid and a start time (field 22 of its stat file), so that none that has got its pid since is debugged for it. This is
looked at right before gdb is started; gdb may still stop the wrong one and load pydevd's library into it if the pid is used again in the
moment until it has attached, but what it then calls looks once more, from inside, and does nothing there.

What keeps debugpy out ends the front end's attach at once and by name; debugpy would have it wait for its time-out.

Called with START; and with "inject START" it is the process that debugpy starts for the injection. Read: debugpy 1.6.3, 1.8 and main (2026-08).
"""
import os
import sys

# Around all that is put into the program. A program without a /proc is not asked.
GUARD = '''
try:
    with open("/proc/self/stat", "rb") as stat:
        mine = stat.read().rsplit(b")", 1)[1].split()[19].decode()
except (OSError, IndexError):
    mine = %r
if mine == %r:
    exec(%r, dict())
'''

HELPER = '''
class _Setup(dict):
    def __getitem__(self, name):
        if name == "mode":  # asked for right before debugpy.connect
            import os, sys, threading
            from debugpy.server import api
            api._config["subProcess"] = False
            import pydevd
            # The last front end's debugger may still be on its way out: pydevd.settrace would take it for the new one, and never connect.
            import time
            for _ in range(150):
                if pydevd.get_global_debugger() is None:
                    break
                time.sleep(0.02)
            else:
                from _pydevd_bundle import pydevd_constants
                pydevd_constants.set_global_debugger(None)
            plain = pydevd.settrace
            def settrace(*args, **kwargs):
                pydevd.settrace = plain
                kwargs["wait_for_ready_to_run"] = False
                return plain(*args, **kwargs)
            pydevd.settrace = settrace
            if not hasattr(os, "_debugbroker_fork"):
                def forked(sys=sys, threading=threading):
                    try:
                        threading.settrace(None)
                        sys.settrace(None)
                    except Exception:
                        pass
                if hasattr(os, "register_at_fork"):
                    os.register_at_fork(after_in_child=forked)
                os._debugbroker_fork = forked
        return dict.__getitem__(self, name)
'''
CALL = "attach_pid_injected.attach(setup);"


def refusal(pid, start):
    """Says why debugpy does not get into the program, or nothing."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as stat:
            fields = stat.read().rsplit(b")", 1)[1].split()
    except (OSError, IndexError):
        return "process %d has ended" % pid
    if fields[19].decode() != start:
        return "process %d has ended, and another has its pid" % pid
    if fields[0] in (b"Z", b"X"):
        return "process %d has ended" % pid
    # debugpy's import asks for the working directory (_vendored/_util.py).
    try:
        there = os.readlink("/proc/%d/cwd" % pid)
    except OSError:
        return ""
    gone = " (deleted)"
    if there.endswith(gone) and not os.path.isdir(there):
        return "the working directory of process %d has been removed, and debugpy does not get into a program without one: it was in %s" % (
            pid,
            there[: -len(gone)],
        )
    return ""


def inject(start):
    import debugpy
    import debugpy.server
    import pydevd
    from debugpy.server import cli

    sys.path.append(os.path.join(os.path.dirname(pydevd.__file__), "pydevd_attach_to_process"))
    import add_code_to_python_process as injector

    run = injector.run_python_code

    def run_python_code(pid, python_code, *args, **kwargs):
        if python_code.count(CALL) != 1:
            raise RuntimeError("debugbroker does not know what this debugpy injects")
        source = HELPER + python_code.replace(CALL, "attach_pid_injected.attach(_Setup(setup));")
        source = GUARD % (start, start, source)
        why = refusal(pid, start)
        if why:
            raise RuntimeError(why)
        code = "exec(bytearray(%s).decode(), dict())" % list(bytearray(source.encode("utf-8")))
        return run(pid, code.replace(" ", ""), *args, **kwargs)

    injector.run_python_code = run_python_code
    sys.argv[:3] = [os.path.dirname(debugpy.__file__)]
    cli.main()


def adapter(start):
    import time

    import debugpy

    injectors, target, refused = [], [], []
    own, package = os.path.abspath(__file__), os.path.dirname(debugpy.__file__)

    class Subprocess(object):
        def __getattr__(self, name):
            import subprocess

            return getattr(subprocess, name)

        def Popen(self, cmdline, *args, **kwargs):
            import subprocess

            if cmdline[1] != package:
                raise RuntimeError("debugbroker does not know how this debugpy injects")
            injector = subprocess.Popen([cmdline[0], own, "inject", start] + cmdline[2:], *args, **kwargs)
            injectors.append(injector)
            return injector

    # Standard error is what debugpy's log takes at its first import; nobody has to read it.
    sys.stderr = open(os.devnull, "w")
    from debugpy.adapter import __main__ as main
    from debugpy.adapter import servers
    from debugpy.common import messaging

    wait, put = servers.wait_for_connection, servers.inject

    def inject_ours(pid, *args):
        target.append(pid)
        why = refusal(pid, start)
        if why:  # raised here it would end the front end's session without an answer
            refused.append(why)
        else:
            put(pid, *args)

    def wait_for_connection(session, predicate, timeout=None):
        if not target:
            return wait(session, predicate, timeout)
        until = time.time() + (timeout or 0)
        while True:
            conn = wait(session, predicate, 0)
            if conn is not None or timeout is not None and time.time() > until:
                del target[:]
                return conn
            why = refused[0] if refused else injected()
            if why:
                raise messaging.MessageHandlingError(why)
            time.sleep(0.02)

    def injected():
        status = injectors[-1].poll() if injectors else None
        if status is None:
            return ""
        why = refusal(target[0], start)
        if status and not why:
            why = "debugpy does not get into process %d: what puts it there ended with status %d" % (target[0], status)
        return why

    servers.inject, servers.wait_for_connection = inject_ours, wait_for_connection
    servers.subprocess = Subprocess()
    # One front end, one adapter: it ends with its session, though the program would keep its connection for the next.
    servers.wait_until_disconnected = lambda: None
    sys.argv[:] = [os.path.join(package, "adapter")]
    main.main(main._parse_argv(sys.argv))
    # The front end may have gone while gdb is in the program, which must not be disturbed, and then wants to connect to us.
    for injector in injectors:
        injector.wait()


if __name__ == "__main__":
    del sys.path[0]  # this file's directory
    if sys.argv[1] == "inject":
        inject(sys.argv[2])
    else:
        adapter(sys.argv[1])
