// SPDX-License-Identifier: MIT
// java Work.java PART: javac in its own process (PART compile does no more), and what HotSpot compiles.
import java.util.*;
import java.util.stream.*;

public class Work {
    interface Op { long apply(long x); }

    static long collections() {
        Map<String, Integer> m = new HashMap<>();
        for (int i = 0; i < 1500000; i++) m.merge("k" + i % 50021, i & 15, Integer::sum);
        long s = 0;
        for (Map.Entry<String, Integer> e : new TreeMap<>(m).entrySet()) s = s * 31 + e.getKey().length() * e.getValue();
        return s + IntStream.range(0, 4000000).filter(i -> i % 3 == 0).mapToLong(i -> i * 2L).sum();
    }

    static long calls() {
        Op[] ops = { x -> x + 1, x -> x * 3, x -> x ^ 0x5555, x -> x >>> 1, x -> -x };
        long s = 1;
        for (int i = 0; i < 60000000; i++) s = ops[i % 5].apply(s) + i;
        return s;
    }

    static long matrix() {
        int n = 400;
        double[][] a = new double[n][n], b = new double[n][n], c = new double[n][n];
        for (int i = 0; i < n; i++) for (int j = 0; j < n; j++) { a[i][j] = i % 7 - 3; b[i][j] = j % 5 * 0.25; }
        for (int i = 0; i < n; i++) for (int k = 0; k < n; k++) { double x = a[i][k]; for (int j = 0; j < n; j++) c[i][j] += x * b[k][j]; }
        double s = 0;
        for (double[] r : c) for (double v : r) s += v;
        return (long)(s * 4);
    }

    public static void main(String[] args) {
        long r = switch (args.length > 0 ? args[0] : "compile") {
            case "collections" -> collections();
            case "calls" -> calls();
            case "matrix" -> matrix();
            default -> 0;
        };
        System.out.println(r);
    }
}
