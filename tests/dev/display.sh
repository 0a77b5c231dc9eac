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

[ -x "$prog" ] || { echo "skip display: $prog is not built"; exit 0; }
sdl
curses
exit $fail
