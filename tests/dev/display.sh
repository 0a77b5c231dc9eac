#!/bin/sh
# SPDX-License-Identifier: MIT
# The window under Xvfb and the text screen in tmux, with real keys. Usage: tests/dev/display.sh [BUILD]; skips what is missing.
build=${1:-build}
prog=$build/tests/dev/display
tmp=$(mktemp -d) || exit 1
fail=0
xpid=
trap 'test -n "$xpid" && kill $xpid 2>/dev/null; rm -rf "$tmp"' EXIT
has() { command -v "$1" >/dev/null 2>&1; }
check() { # NAME COMMAND...
    name=$1; shift
    if "$@" >/dev/null 2>&1; then echo "ok $name"; else echo "not ok $name: $*"; fail=1; fi
}

sdl() {
    for t in Xvfb xdotool import; do has $t || { echo "skip sdl: no $t here"; return; }; done
    Xvfb -displayfd 3 -screen 0 1024x768x24 3>"$tmp/dpy" >/dev/null 2>&1 &
    xpid=$!
    n=0; while [ ! -s "$tmp/dpy" ] && [ $n -lt 50 ]; do sleep 0.1; n=$((n + 1)); done
    DISPLAY=:$(cat "$tmp/dpy"); export DISPLAY
    "$prog" show sdl 6 "$tmp/keys" 2>"$tmp/err" &
    pid=$!
    sleep 1.5
    if grep -q skip "$tmp/err"; then echo "skip sdl: not built in"; return; fi
    win=$(xdotool search --name doppel | head -1)
    check sdl_title sh -c "xdotool getwindowname $win | grep -q 'doppel (test) .paused.'"
    check sdl_size sh -c "xdotool getwindowgeometry $win | grep -q 720x400"
    import -window "$win" "${SHOT:-$tmp/shot.png}"
    # Column 79, row 24 is black; the first text cell's corner is blue (0, 0, AAh).
    check sdl_pixel sh -c "convert ${SHOT:-$tmp/shot.png} -format '%[pixel:p{0,0}]' info: | grep -qiE '0,0,170|0000AA'"
    xdotool windowfocus "$win" 2>/dev/null
    xdotool mousemove --window "$win" 300 200 click 1
    sleep 0.2
    xdotool key a key Return key Up
    xdotool mousemove_relative -- 7 3
    xdotool mousedown 1 mouseup 1
    sleep 0.3
    check sdl_keys sh -c "tr '\n' ' ' <$tmp/keys | grep -q 'key 1e down key 1e up key 1c down key 1c up key c8 down key c8 up'"
    check sdl_mouse grep -q '^mouse 0 0 0 1' "$tmp/keys"
    check sdl_motion grep -qE '^mouse [1-9]' "$tmp/keys"
    xdotool key ctrl+alt+g
    sleep 0.2
    check sdl_release sh -c "! grep -q 'key 22' $tmp/keys && xdotool getwindowname $win | grep -qv 'mouse go'"
    wait $pid
    check sdl_end grep -q 'time is up' "$tmp/keys"
}

curses() {
    has tmux || { echo "skip curses: no tmux here"; return; }
    t="tmux -L doppel-$$ -f /dev/null"
    LC_ALL=C.UTF-8 $t -u new-session -d -x 90 -y 30 "LC_ALL=C.UTF-8 $prog show curses 8 $tmp/ckeys 2>$tmp/cerr"
    sleep 1.5
    if grep -q skip "$tmp/cerr"; then echo "skip curses: not built in"; $t kill-server 2>/dev/null; return; fi
    $t capture-pane -p >"$tmp/pane"
    check curses_text grep -q 'Hello from doppel ╔═╗ █▒ ♥' "$tmp/pane"
    $t send-keys a Enter Up F5 C-c M-x
    $t send-keys Escape
    sleep 1
    k() { tr '\n' ' ' <"$tmp/ckeys" | grep -q "$1"; }
    check curses_keys k 'key 1e down key 1e up key 1c down key 1c up key c8 down key c8 up key 3f down key 3f up'
    check curses_ctrl k 'key 1d down key 2e down key 2e up key 1d up'
    check curses_alt k 'key 38 down key 2d down key 2d up key 38 up'
    check curses_esc k 'key 01 down key 01 up'
    $t send-keys C-]
    sleep 0.3
    $t capture-pane -p >"$tmp/pane"
    check curses_menu grep -q 'q quit' "$tmp/pane"
    $t send-keys q
    sleep 0.5
    check curses_quit grep -q closed "$tmp/ckeys"
    $t kill-server 2>/dev/null
}

vnc() {
    has python3 || { echo "skip vnc: no python3 here"; return; }
    n=$((100 + $$ % 800))
    "$prog" show vnc=:$n 6 "$tmp/vkeys" 2>"$tmp/verr" &
    pid=$!
    sleep 1
    if grep -q skip "$tmp/verr"; then echo "skip vnc: not built in"; return; fi
    cat >"$tmp/client.py" <<'PY'
import socket, struct, sys, time
s = socket.create_connection(("127.0.0.1", 5900 + int(sys.argv[1])))
def take(n):
    b = b""
    while len(b) < n:
        c = s.recv(n - len(b))
        if not c: sys.exit("closed")
        b += c
    return b
take(12); s.sendall(b"RFB 003.003\n")
assert struct.unpack(">I", take(4))[0] == 1
s.sendall(b"\1")
w, h = struct.unpack(">HH", take(4)); fmt = take(16)
name = take(struct.unpack(">I", take(4))[0])
assert (w, h) == (720, 400) and name == b"doppel (test)", (w, h, name)
assert fmt[0] == 32 and fmt[10:13] == bytes([16, 8, 0]), fmt
s.sendall(struct.pack(">BBHi", 2, 0, 1, 0) + struct.pack(">BBHHHH", 3, 0, 0, 0, w, h))
px = {}
while len(px) < w * h:
    kind, _, n = struct.unpack(">BBH", take(4)); assert kind == 0
    for _ in range(n):
        x, y, rw, rh, enc = struct.unpack(">HHHHi", take(12)); assert enc == 0
        d = take(rw * rh * 4)
        for i in range(rw * rh): px[x + i % rw, y + i // rw] = struct.unpack_from("<I", d, 4 * i)[0] & 0xffffff
assert px[0, 0] == 0x0000aa and px[719, 399] == 0, (hex(px[0, 0]), hex(px[719, 399]))
for sym in (0x61, 0xff0d, 0xffc2):
    for down in (1, 0): s.sendall(struct.pack(">BBHI", 4, down, 0, sym))
s.sendall(struct.pack(">BBHH", 5, 0, 10, 20) + struct.pack(">BBHH", 5, 1, 15, 18) + struct.pack(">BBHH", 5, 0, 15, 18))
time.sleep(0.5)
PY
    check vnc_picture python3 "$tmp/client.py" $n
    check vnc_keys sh -c "tr '\n' ' ' <$tmp/vkeys | grep -q 'key 1e down key 1e up key 1c down key 1c up key 3f down key 3f up'"
    check vnc_mouse sh -c "tr '\n' ' ' <$tmp/vkeys | grep -q 'mouse 5 -2 0 1 mouse 0 0 0 0'"
    check vnc_busy sh -c "$prog show vnc=:$n 1 $tmp/vk2 2>&1 | grep -q 'cannot listen on TCP port'"
    check vnc_address sh -c "$prog show vnc=nonsense 1 $tmp/vk2 2>&1 | grep -q 'an address is'"
    wait $pid
}

[ -x "$prog" ] || { echo "skip display: $prog is not built"; exit 0; }
sdl
curses
vnc
exit $fail
