# SPDX-License-Identifier: MIT
"""A client of gdb's remote serial protocol, for tests: packets as they stand on the line."""
import re, xml.etree.ElementTree as et
from lib import connect
class Rsp:
    def __init__(self, where, acks=True):
        self.s = connect(where)
        self.b = b""; self.acks = acks; self.trace = ""
    def raw(self, data): self.s.sendall(data)
    def byte(self):
        if not self.b:
            self.b = self.s.recv(65536)
            if not self.b: raise EOFError
        c = self.b[:1]; self.b = self.b[1:]
        return c
    @staticmethod
    def frame(body):
        body = body.encode("latin1") if isinstance(body, str) else body
        return b"$" + body + b"#%02x" % (sum(body) & 255)
    @staticmethod
    def escape(data): return b"".join(b"}" + bytes([c ^ 0x20]) if c in b"}#$*" else bytes([c]) for c in data)
    def get(self):
        """The next packet's body, unescaped; its check sum must be right."""
        while self.byte() != b"$": pass
        raw = b""
        while True:
            c = self.byte()
            if c == b"#": break
            raw += c
        want = int(self.byte() + self.byte(), 16)
        assert want == sum(raw) & 255, "check sum of %r" % raw
        if self.acks:
            try: self.raw(b"+")
            except OSError: pass  # it was the last word
        return re.sub(rb"\}(.)", lambda m: bytes([m.group(1)[0] ^ 0x20]), raw, flags=re.S).decode("latin1")
    def send(self, body): self.raw(self.frame(body))
    def __call__(self, body): self.send(body); return self.get()
    def no_ack(self):
        r = self("QStartNoAckMode"); self.acks = False
        return r
    def xfer(self, what, piece=0x1000):
        out = ""
        while True:
            r = self("qXfer:%s:%x,%x" % (what, len(out), piece))
            if r[:1] not in "ml": raise ValueError(r)
            out += r[1:]
            if r[0] == "l": return out
    def describe(self):
        """[(name, bytes)] in the order of the numbers, and the architecture's name."""
        root = et.fromstring(self.xfer("features:read:target.xml")); self.regs = {}
        for n, r in enumerate(root.iter("reg")): self.regs[int(r.get("regnum", n))] = (r.get("name"), int(r.get("bitsize")) // 8)
        a = root.find("architecture")
        self.arch = a.text if a is not None else None
        self.number = {}
        for n in sorted(self.regs): self.number.setdefault(self.regs[n][0], n)
        return self.regs
    def g(self):
        raw = bytes.fromhex(self("g")); out = {}
        for n in sorted(self.regs):
            name, size = self.regs[n]; out[name] = int.from_bytes(raw[:size], "little"); raw = raw[size:]
        assert not raw, "g is %d bytes too long" % len(raw)
        return out
    def reg(self, name): return int.from_bytes(bytes.fromhex(self("p%x" % self.number[name])), "little")
    def set(self, name, v):
        n = self.number[name]
        return self("P%x=%s" % (n, v.to_bytes(self.regs[n][1], "little").hex()))
    def mem(self, addr, n): return bytes.fromhex(self("m%x,%x" % (addr, n)))
    def close(self): self.s.close()
