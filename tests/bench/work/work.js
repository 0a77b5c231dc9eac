// SPDX-License-Identifier: MIT
// node work.js PART: what a JavaScript engine compiles: each part prints one check sum.
'use strict';
const parts = {
    objects() {
        class Shape { constructor(x, y) { this.x = x; this.y = y; } area() { return 0; } }
        class Square extends Shape { area() { return this.x * this.x; } }
        class Rect extends Shape { area() { return this.x * this.y; } }
        class Dot extends Shape { area() { return 1; } }
        let sum = 0, kept = null;
        for (let r = 0; r < 60; r++) {
            const all = [];
            for (let i = 0; i < 40000; i++) all.push(i % 3 === 0 ? new Square(i & 7, i) : i % 3 === 1 ? new Rect(i & 3, i & 15) : new Dot(i, i));
            for (const s of all) sum = (sum + s.area()) | 0;
            kept = { before: r % 10 ? kept : null, all: all.slice(0, 100) };
        }
        return sum + kept.all.length;
    },
    closures() {
        const compose = (...f) => x => f.reduce((v, g) => g(v), x);
        const adders = Array.from({ length: 8 }, (_, i) => x => (x + i) | 0);
        const twice = f => x => f(f(x)), all = compose(...adders.map(twice));
        let sum = 0;
        for (let i = 0; i < 1200000; i++) sum = (sum + all(i)) | 0;
        const m = new Map();
        for (let i = 0; i < 400000; i++) m.set(i * 7919 % 100003, (m.get(i * 31 % 100003) || 0) + i % 13);
        for (const [k, v] of m) sum = (sum + k * v) | 0;
        return sum;
    },
    strings() {
        let s = '', h = 0;
        for (let i = 0; i < 200000; i++) s += String.fromCharCode(97 + i * i % 26) + (i % 7 ? '' : ' ');
        const words = s.split(' '), count = {};
        for (let r = 0; r < 8; r++) for (const w of words) count[w + r] = (count[w + r] || 0) + 1;
        for (const k of Object.keys(count).sort()) h = (h * 31 + k.length * count[k] + k.charCodeAt(0)) | 0;
        const text = JSON.stringify(words.map((w, i) => ({ w, i, f: i / 8 })));
        return h + JSON.parse(text).length + text.length + [...text].reverse().join('').indexOf('":w"');
    },
    arrays() {
        const n = 256, a = new Float64Array(n * n), b = new Float64Array(n * n), c = new Float64Array(n * n);
        for (let i = 0; i < n * n; i++) { a[i] = i % 17 - 8; b[i] = i % 13 / 4; }
        for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) {
            let t = 0;
            for (let k = 0; k < n; k++) t += a[i * n + k] * b[k * n + j];
            c[i * n + j] = t;
        }
        const sieve = new Uint8Array(4000000);
        let primes = 0, x = 1;
        for (let i = 2; i < sieve.length; i++) if (!sieve[i]) { primes++; for (let j = i * 2; j < sieve.length; j += i) sieve[j] = 1; }
        const u = new Int32Array(1 << 16);
        for (let i = 0; i < 8000000; i++) { x = Math.imul(x, 1664525) + 1013904223 | 0; u[x >>> 16] += x & 255; }
        return c.reduce((s, v) => s + v, 0) + primes + u.reduce((s, v) => (s ^ v), 0);
    },
    regexps() {
        let s = '', n = 0;
        for (let i = 0; i < 40000; i++) s += `user${i}@host${i % 97}.example.org, ${i % 28 + 1}/${i % 12 + 1}/19${i % 100}; `;
        for (let i = 0; i < 8; i++) {
            n += (s.match(/[a-z]+\d+@[a-z0-9.]+\.org/g) || []).length;
            n += s.replace(/(\d+)\/(\d+)\/(\d{4})/g, '$3-$2-$1').length;
            for (const m of s.matchAll(/user(\d*7)@(?:host(\d+))/g)) n = (n + m[1].length * m[2]) | 0;
            n += s.split(/[;,] /).length;
        }
        return n;
    },
};
console.log(process.argv[2], parts[process.argv[2]]());
