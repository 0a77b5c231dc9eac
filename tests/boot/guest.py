# SPDX-License-Identifier: MIT
"""One guest in one emulator process, driven as a person would: serial text, keys, the monitor, the screen's text."""
import os, re, select, shutil, signal, socket, subprocess, tempfile, threading, time

KEYS = {" ": "spc", "\n": "ret", "-": "minus", "=": "equal", ",": "comma", ".": "dot", "/": "slash", ";": "semicolon", "'": "apostrophe",
        "_": "shift-minus", "+": "shift-equal", "(": "shift-9", ")": "shift-0", ":": "shift-semicolon", "*": "shift-8", "$": "shift-4"}
alive = set()  # processes to be killed whatever happens
SCALE = float(os.environ.get("BOOT_PATIENCE", "3"))  # multiplies every time-out, for slow hosts and sanitizer builds


class Failed(Exception):
    pass


class Guest:
    """Guest(name, args): starts the emulator. Every wait has a time-out in host seconds and raises Failed with what it saw."""

    def __init__(self, name, args, program=None, log=None):
        self.name, self.status, self.icount, self.cpu, self.began = name, None, 0, 0, time.monotonic()
        self.dir = tempfile.mkdtemp(prefix="boot-")
        self.sock = os.path.join(self.dir, "monitor")
        self.serial, self.seen, self.lock, self.con = bytearray(), 0, threading.Condition(), None
        prog = (program or os.environ.get("DOPPEL", "build/doppel")).split()
        self.argv = prog + ["-display", "none", "-serial", "stdio", "-monitor", "unix:%s,server,nowait" % self.sock] + args
        self.err = open(os.path.join(self.dir, "stderr"), "w+b")
        self.p = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.err, start_new_session=True)
        alive.add(self.p)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        fd = self.p.stdout.fileno()
        while True:
            d = os.read(fd, 65536)
            with self.lock:
                self.serial += d
                self.lock.notify_all()
            if not d:
                return

    # --- the serial line
    def expect(self, pattern, timeout):
        """Waits for a regular expression in what the serial line sent since the last expect; returns the match."""
        rx, end = re.compile(pattern.encode(), re.S), time.monotonic() + timeout * SCALE
        with self.lock:
            while True:
                m = rx.search(self.serial, self.seen)
                if m:
                    self.seen = m.end()
                    return m
                left = end - time.monotonic()
                if left <= 0 or not self.reader.is_alive():
                    why = "after %d s" % timeout if left <= 0 else "but the emulator ended with status %s" % self.p.wait()
                    tail = self.serial[-300:].decode("latin1").strip().splitlines()
                    raise Failed("waited for %r on the serial line %s; last line: %r" % (pattern, why, tail[-1] if tail else ""))
                self.lock.wait(min(left, 1))

    def send(self, text):
        """As fast as a person pastes: a UART's FIFO holds 16 characters, so the guest must keep up by flow of lines."""
        for i in range(0, len(text), 8):
            self.p.stdin.write(text[i:i + 8].encode())
            self.p.stdin.flush()
            time.sleep(0.02)

    def run(self, command, timeout, prompt="guest# "):
        """Types a command at a shell prompt; returns its output."""
        self.send(command + "\n")
        self.expect(re.escape(command[-20:]) + r"\r*\n", timeout)
        out = self.expect(r"(.*?)" + re.escape(prompt), timeout).group(1).decode("latin1").replace("\r", "")
        return re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", out)  # readline switches bracketed paste

    # --- the monitor
    def _until_prompt(self, timeout=60):
        out, end = b"", time.monotonic() + timeout * SCALE
        while not re.search(rb"\((qemu|doppel)\) $", out):
            if not select.select([self.con], [], [], max(0, end - time.monotonic()))[0]:
                raise Failed("the monitor does not answer")
            d = self.con.recv(65536)
            if not d:
                raise Failed("the monitor hung up")
            out += d
        return re.sub(rb"\x1b\[[0-9;]*[A-Za-z]", b"", out).decode("latin1").replace("\r", "")

    def mon(self, command, timeout=60):
        try:
            if not self.con:
                end = time.monotonic() + 20 * SCALE
                while not self.con:  # there may be a path before anybody listens
                    con = socket.socket(socket.AF_UNIX)
                    try:
                        con.connect(self.sock)
                        self.con = con
                    except (FileNotFoundError, ConnectionRefusedError):
                        con.close()
                        if time.monotonic() > end or self.p.poll() is not None:
                            raise
                        time.sleep(0.02)
                self._until_prompt()
            self.con.sendall(command.encode() + b"\n")
            out = self._until_prompt(timeout)
        except OSError as e:
            raise Failed("monitor: %s: %s" % (command, e))
        lines = out.split("\n")[:-1]
        return "\n".join(l for i, l in enumerate(lines) if i or not l.endswith(command))

    def quit(self, timeout=20):
        try:
            self.con.sendall(b"quit\n")
        except OSError:
            pass
        self.ends(timeout)

    def count(self):
        """Instructions retired so far, 0 if this program does not tell; notes the host's CPU seconds, too."""
        try:
            m = re.search(r"(\d+) instructions", self.mon("info status"))
        except Failed:
            m = None  # nothing hangs on it
        self.icount = int(m.group(1)) if m else 0
        try:
            with open("/proc/%d/stat" % self.p.pid) as f:
                self.cpu = sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13])) / os.sysconf("SC_CLK_TCK")
        except OSError:
            pass
        return self.icount

    def screen(self):
        text = self.mon("info screen")
        return "\n".join(l.rstrip() for l in text.splitlines())

    def see(self, pattern, timeout, every=0.5):
        """Waits for a regular expression on the text-mode screen; returns the screen."""
        rx, end, text = re.compile(pattern, re.S), time.monotonic() + timeout * SCALE, ""
        while time.monotonic() < end:
            text = self.screen()
            if rx.search(text):
                return text
            if self.p.poll() is not None:
                raise Failed("the emulator ended with status %s while %r was expected on the screen" % (self.p.returncode, pattern))
            time.sleep(every)
        lines = [l for l in text.splitlines() if l.strip()]
        raise Failed("waited %d s for %r on the screen; its last line: %r" % (timeout, pattern, lines[-1].strip() if lines else ""))

    def keys(self, text):
        """Types on the keyboard, key by key."""
        for c in text:
            self.key(KEYS.get(c) or ("shift-" + c.lower() if c.isupper() else c))

    def type(self, text, timeout=60):
        """Types a command line where the screen echoes it; each key waits for the one before, so that none is lost however slow the guest is."""
        for i in range(len(text)):
            self.keys(text[i])
            self.see(re.escape(text[:i + 1].rstrip()) + r"\s*$", timeout, 0.2)
        self.key("ret")

    def key(self, name):
        bad = self.mon("sendkey " + name)
        if bad.strip():
            raise Failed("sendkey %s: %s" % (name, bad.strip()))
        time.sleep(0.15)

    # --- the end
    def ends(self, timeout, status=0):
        try:
            self.status = self.p.wait(timeout * SCALE)
        except subprocess.TimeoutExpired:
            raise Failed("the process did not end within %d s" % timeout)
        if status is not None and self.status != status:
            raise Failed("ended with status %s, not %s" % (self.status, status))

    def kill(self):
        try:
            os.killpg(self.p.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.p.wait()
        alive.discard(self.p)

    def close(self, keep=None):
        """Ends the process; keep: a file that receives what is known about the run."""
        text = ""
        if keep and self.p.poll() is None:
            for c in ("info screen", "info registers"):
                try:
                    text += "\n--- %s\n%s\n" % (c, self.mon(c))
                except Failed as e:
                    text += "\n--- %s: %s\n" % (c, e)
        self.kill()
        self.reader.join(5)
        if self.con:
            self.con.close()
        if keep:
            self.err.seek(0)
            with open(keep, "a") as f:
                f.write("=== %s\n%s\n--- serial\n%s\n--- stderr\n%s\n%s" % (self.name, " ".join(self.argv), self.serial.decode("latin1"),
                        self.err.read()[-20000:].decode("latin1"), text))
        for f in (self.p.stdin, self.p.stdout, self.err):
            try:
                f.close()
            except OSError:
                pass
        shutil.rmtree(self.dir, ignore_errors=True)


def kill_all():
    for p in list(alive):
        try:
            os.killpg(p.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
