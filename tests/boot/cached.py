# SPDX-License-Identifier: MIT
"""What tests/guests makes lies in a cache that every clone shares; it is made again when what it was made of has changed.

Not by age: a fresh clone's files are all new. A made file has a note beside it, FILE.from: the digest of what it came from, which
is the scripts (less comments), their arguments, and the versions of the packages that are inside.
"""
import fcntl, hashlib, os, subprocess


class CannotMake(Exception):
    pass


def code(path):
    """A script's lines that do something."""
    with open(path, "rb") as f:
        lines = [l.strip() for l in f.read().split(b"\n")]
    return b"\n".join(l for l in lines if l and not l.startswith(b"#"))


def version(cache, package):
    """What tests/guests/fetch has noted; nothing in caches of before it did."""
    try:
        with open(os.path.join(cache, package, ".done")) as f:
            return f.read().strip()
    except OSError:
        return ""


def recipe(cache, guests, scripts, packages, argv):
    h = hashlib.sha256()
    for s in scripts:
        h.update(b"script %s\n%s\n" % (s.encode(), code(os.path.join(guests, s))))
    for p in packages:
        h.update(("package %s %s\n" % (p, version(cache, p))).encode())
    for a in argv:  # where the cache and the clone lie changes nothing
        h.update(("argument %s\n" % a.replace(cache, "CACHE").replace(guests, "GUESTS")).encode())
    return h.hexdigest()


def made(cache, guests, name, scripts, packages, argv):
    """The path of `name` in the cache, made by argv (OUT stands for that path) unless it is there and came from the same; only
    one of us at a time. scripts: argv's and what that calls; packages: those that it unpacks or is given files of."""
    path = os.path.join(cache, name)
    note = path + ".from"
    with open(path + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fetched = subprocess.run([os.path.join(guests, "fetch")] + packages, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if fetched.returncode:
            raise CannotMake(fetched.stdout.decode("latin1").strip()[-300:])
        want = recipe(cache, guests, scripts, packages, argv)
        try:
            with open(note) as f:
                if f.read().strip() == want and os.path.exists(path):
                    return path
            os.unlink(note)  # what a script leaves that dies came from nothing
        except OSError:
            pass
        try:
            p = subprocess.run([path if a == "OUT" else a for a in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        except OSError as e:
            raise CannotMake(str(e))
        if p.returncode or not os.path.exists(path):
            raise CannotMake("%s: %s" % (" ".join(argv), p.stdout.decode("latin1").strip()[-300:]))
        with open(note + ".tmp", "w") as f:
            f.write(want + "\n")
        os.rename(note + ".tmp", note)
    return path
