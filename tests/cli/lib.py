# SPDX-License-Identifier: MIT
"""What the tests of the program's outside share: starting doppel, its monitor, result lines."""
import atexit, os, pty, select, shutil, signal, socket, subprocess, sys, tempfile, time
DOPPEL = os.environ.get("DOPPEL") or os.path.abspath(os.path.join(os.environ.get("BUILD", "build"), "doppel"))
PATIENCE = float(os.environ.get("PATIENCE", "5"))  # multiplies every time-out: they end what hangs, and measure nothing
failed = 0
tmp = tempfile.mkdtemp(prefix="doppel-cli-")
running = []
def start():
    if not os.access(DOPPEL, os.X_OK):
        print("skip %s: %s is not built" % (os.path.basename(sys.argv[0]), DOPPEL)); sys.exit(0)
def check(name, ok, why=""):
    global failed
    if ok: print("ok " + name)
    else:
        failed += 1
        print("not ok %s: %s" % (name, str(why).replace("\n", "\\n")[-400:]))
    sys.stdout.flush()
@atexit.register  # also when a test dies of an exception
def clean_up():
    for p in running:
        if p.poll() is None: p.kill(); p.wait()
    shutil.rmtree(tmp, ignore_errors=True)
def finish(): sys.exit(bool(failed))
def path(name): return os.path.join(tmp, name)
def make(name, data):
    with open(path(name), "wb") as f: f.write(data)
    return path(name)
def run(*args, stdin=b"", timeout=60, **kw):
    """Runs to the end: (status, output of both kinds)."""
    try: p = subprocess.run([DOPPEL, *args], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout * PATIENCE, **kw)
    except subprocess.TimeoutExpired as e: return -1, "timeout: " + (e.stdout or b"").decode("utf-8", "replace")
    return p.returncode, p.stdout.decode("utf-8", "replace")
def wait_for(cond, seconds=30):
    end = time.monotonic() + seconds * PATIENCE
    while True:
        if cond(): return True
        if time.monotonic() > end: return False
        time.sleep(0.05)
def connect(where, seconds=20, gone=lambda: False):
    """A socket's other side: there may be a path before anybody listens. None: whoever should is gone."""
    got = []
    def tries():
        s = socket.socket(socket.AF_UNIX if isinstance(where, str) else socket.AF_INET)
        try: s.connect(where)
        except (FileNotFoundError, ConnectionRefusedError): s.close(); return False
        s.settimeout(80 * PATIENCE); got.append(s); return True
    if not wait_for(lambda: gone() or tries(), seconds): raise ConnectionRefusedError("nobody listens at %s" % (where,))
    return got[0] if got else None
class Machine:
    """A running doppel with its monitor on a socket."""
    n = 0
    def __init__(self, *args, **kw):
        Machine.n += 1
        self.sock = path("mon%d" % Machine.n)
        self.p = subprocess.Popen([DOPPEL, "-display", "none", "-monitor", "unix:%s,server,nowait" % self.sock, *args],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **kw)
        running.append(self.p)
        self.connect()
    def connect(self):
        self.s = connect(self.sock, gone=lambda: self.p.poll() is not None)
        self.banner = self.s and self.until()
    def until(self):
        b = b""
        while not b.endswith(b"(doppel) "):
            c = self.s.recv(65536)
            if not c: break
            b += c
        return b.decode("utf-8", "replace")[:-9]
    def __call__(self, cmd):
        """The answer, behind what came unasked before (a stop's report and the prompt after it)."""
        before = b""
        while select.select([self.s], [], [], 5 if before and not before.endswith(b"(doppel) ") else 0)[0]:
            c = self.s.recv(65536)
            if not c: break
            before += c
        self.s.sendall(cmd.encode() + b"\n")
        return before.decode("utf-8", "replace") + self.until()
    def end(self, cmd=None):
        """Status of the process."""
        try:
            if cmd: self.s.sendall(cmd.encode() + b"\n")
            return self.p.wait(40 * PATIENCE)
        except subprocess.TimeoutExpired: self.p.kill(); return "still running"
