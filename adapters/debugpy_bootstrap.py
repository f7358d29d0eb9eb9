# Runs debugpy exactly as `python -m debugpy` does, but for TCP_NODELAY on debugpy's own sockets: between the program and debugpy's
# adapter process Nagle's algorithm against delayed acknowledgements costs about 44 ms a request. The adapter also survives clients
# that drop at a bad moment. It prints the adapter's address, because debugpy prints nothing. Wherever this debugpy is not the one that it knows, debugpy runs as its makers ship it, and a
# notice says so. The name under which it is stored, debugpy_launcher.py, is one that debugpy itself hides from call stacks.
#
# The same file starts both processes: FILE --listen … is the program under debugpy, FILE --adapter DIR … debugpy's adapter.
# Python 3.5 syntax; nothing is imported before sys.path is what `python -m debugpy` would have.
import sys


def start(here, nonce):
    import os

    def say(kind, text):
        line = "debugbroker %s %s %s\n" % (nonce, kind, " ".join(str(text).split())[:400])
        try:
            os.write(2, line.encode("utf-8", "backslashreplace"))
        except Exception:
            pass

    def why(exc):
        return "%s: %s" % (type(exc).__name__, exc)

    # Python has put this file's directory first, unless it was told not to (PYTHONSAFEPATH).
    has_path0 = not getattr(sys.flags, "safe_path", False)

    def nodelay(sock):
        import socket

        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except Exception:
            pass  # an IPv6-only or exotic host: slower, not broken

    def program():
        if has_path0:
            try:
                sys.path[0] = os.getcwd()
            except OSError:
                del sys.path[0]
        try:
            # What a reloader starts again must be debugpy's own command, not this file, which goes away.
            at = sys.orig_argv.index(here)
            sys.orig_argv[at : at + 1] = ["-m", "debugpy"]
        except (AttributeError, ValueError):
            pass  # before Python 3.10

        import runpy
        import time

        try:
            import debugpy
            import debugpy.server
            from debugpy.server import cli

            stock = debugpy.listen
            run = runpy._run_module_as_main
            if cli.debugpy is not debugpy or "listen" not in cli.start_debugging.__code__.co_names:
                raise RuntimeError("debugpy.server.cli starts in another way")
        except Exception as exc:
            # Nothing of the program has run: the caller starts stock debugpy instead.
            say("surprise", why(exc))
            sys.exit(125)

        def listen(*args, **kwargs):
            debugpy.listen = stock
            address = fast(stock, args, kwargs)
            say("ready", "%s:%s" % tuple(address)[:2])
            began.append((os.getpid(), clock()))
            return address

        # At its end pydevd holds the process for a second, too long to see by the exit that a program ended at once. Later on this says
        # nothing: stderr may be the program's own file by then.
        began = []
        clock = getattr(time, "monotonic", time.time)
        debugpy.listen = listen
        try:
            run("debugpy")
        finally:
            if began and began[0][0] == os.getpid() and clock() - began[0][1] < 2:
                say("over", "")

    def fast(stock, args, kwargs):
        undo = []
        seen = []

        def restore():
            while undo:
                undo.pop()()

        failed = None
        try:
            hook(undo, seen)
            address = stock(*args, **kwargs)
        except Exception as exc:
            failed = why(exc)
        if failed is not None:
            restore()
            say("notice", failed)
            return stock(*args, **kwargs)
        missed = [name for name in ("adapter", "pydevd") if name not in seen]
        restore()
        if missed:
            say("notice", "not hooked: " + ", ".join(missed))
        return address

    def hook(undo, seen):
        import subprocess
        import types

        import pydevd
        from debugpy.server import api

        adapter_dir = os.path.dirname(api.adapter.__file__)
        start_client = pydevd.start_client

        # This end. It stays for forked children, which connect by themselves.
        def quick_client(*args, **kwargs):
            sock = start_client(*args, **kwargs)
            nodelay(sock)
            if "pydevd" not in seen:
                seen.append("pydevd")
            return sock

        pydevd.start_client = quick_client
        waken(pydevd)

        # The other end. debugpy.listen starts the adapter with subprocess.Popen; it alone sees this one, and only once.
        popen = subprocess.Popen
        shim = types.ModuleType("subprocess")
        shim.__dict__.update(vars(subprocess))

        def unshim():
            sys.modules["subprocess"] = subprocess
            if getattr(api, "subprocess", None) is shim:
                api.subprocess = subprocess

        def quick_popen(argv, *args, **kwargs):
            unshim()
            if type(argv) is list and argv[1:3] == [adapter_dir, "--for-server"]:
                argv = [argv[0], here, "--adapter"] + argv[1:]
                seen.append("adapter")
            return popen(argv, *args, **kwargs)

        shim.Popen = quick_popen
        undo.append(unshim)
        if hasattr(api, "subprocess"):
            api.subprocess = shim
        sys.modules["subprocess"] = shim

    def waken(pydevd):
        # Until 1.8 a paused thread looks for its next command every 10 ms, three times a step; a command now wakes it. A bare lock
        # and no Condition: a fork in between leaves nothing locked for good.
        wait = pydevd.PyDB._do_wait_suspend.__code__
        if 0.01 not in wait.co_consts or "sleep" not in wait.co_names:
            return
        import _thread
        import types

        post = pydevd.PyDB.post_internal_command
        bell = _thread.allocate_lock()
        again = []
        sleep = pydevd.time.sleep

        def ringing_post(*args, **kwargs):
            post(*args, **kwargs)
            try:
                bell.release()
            except RuntimeError:
                pass  # it rings already

        def woken_sleep(seconds):
            if seconds != 0.01:
                sleep(seconds)
            elif again:
                del again[:]  # the command has been carried out since: see at once whether it was to run on
            elif bell.acquire(True, seconds):
                again.append(True)

        clock = types.ModuleType("time")
        clock.__dict__.update(vars(pydevd.time))
        clock.sleep = woken_sleep
        pydevd.time = clock
        pydevd.PyDB.post_internal_command = ringing_post

    def adapter():
        del sys.argv[1]
        adapter_dir = sys.argv.pop(1)
        sys.argv[0] = adapter_dir
        if has_path0:
            del sys.path[0]
        # As debugpy/adapter/__main__.py does it when it is run by its directory.
        sys.path.insert(0, adapter_dir + "/../../")
        __import__("debugpy")
        del sys.path[0]
        try:
            mend()
        except Exception as exc:
            say("notice", "adapter: " + why(exc))
        import runpy

        runpy.run_module("debugpy.adapter", run_name="__main__", alter_sys=True)

    def mend():
        import socket

        from debugpy.adapter import clients, servers

        def hasten(module):
            serve = module.serve

            def quick_serve(*args, **kwargs):
                address = serve(*args, **kwargs)
                if hasattr(module, "listener"):
                    nodelay(module.listener)  # what it accepts inherits it
                else:
                    say("notice", "adapter: %s has no listener" % module.__name__)
                return address

            module.serve = quick_serve

        hasten(clients)
        hasten(servers)

        # Children that the program starts anew run stock pydevd, which writes each message in two pieces and waits for the first
        # one's acknowledgement: it is sent at once.
        quickack = getattr(socket, "TCP_QUICKACK", None)

        class Prompt(socket.socket):
            def recv_into(self, *args):
                n = super(Prompt, self).recv_into(*args)
                try:
                    self.setsockopt(socket.IPPROTO_TCP, quickack, 1)
                except OSError:
                    pass
                return n

        class Connection(servers.Connection):
            def __init__(self, sock):
                if quickack is not None:
                    sock = Prompt(fileno=sock.detach())
                super(Connection, self).__init__(sock)
                if not came:
                    came.append(True)
                    servers.dont_wait_for_first_connection()

        # A client that came and went before the program was connected ended the adapter.
        came = []
        wait = servers.wait_until_disconnected

        def wait_until_disconnected():
            wait()
            while not came:
                wait()

        # So did one that went while it was being answered: whatever a message handler throws ends the adapter (os._exit). What fails
        # because the asker has gone is nobody's loss; the end of its session is dealt with when its connection is seen to end.
        from debugpy.common import messaging

        write, handle, respond = messaging.JsonIOStream.write_json, messaging.Request._handle, messaging.Request.respond
        response, gone = messaging.Response, messaging.JsonIOError

        def marking_write(self, *args, **kwargs):
            try:
                return write(self, *args, **kwargs)
            except gone:
                self.debugbroker_lost = True
                raise

        def handle_if_there(self):
            try:
                handle(self)
            except Exception:
                if not hasattr(self.channel.stream, "debugbroker_lost"):
                    raise

        # Some are answered from the handler of another channel's message.
        def respond_if_there(self, body):
            try:
                respond(self, body)
            except gone as exc:
                if exc.stream is not self.channel.stream:
                    raise
                if self.response is None:
                    self.response = response(self.channel, 0, self, body)

        # And one that went while it was being greeted, a bare connect and close too, ended the thread that accepts.
        class Client(clients.Client):
            def __init__(self, sock):
                try:
                    super(Client, self).__init__(sock)
                except gone:
                    pass

        clients.Client = Client
        servers.Connection = Connection
        servers.wait_until_disconnected = wait_until_disconnected
        messaging.JsonIOStream.write_json = marking_write
        messaging.Request._handle = handle_if_there
        messaging.Request.respond = respond_if_there

    if sys.argv[1:2] == ["--adapter"]:
        adapter()
    else:
        program()


start.__globals__.pop("start")(__file__, "@NONCE@")
