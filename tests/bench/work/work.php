<?php // SPDX-License-Identifier: MIT
// php work.php: an interpreter of values with reference counts.
class Node { public $l, $r; }
function tree($d) { $n = new Node; if ($d) { $n->l = tree($d - 1); $n->r = tree($d - 1); } return $n; }
function count_nodes($n) { return 1 + ($n->l ? count_nodes($n->l) + count_nodes($n->r) : 0); }
$s = 0;
for ($i = 0; $i < 6; $i++) $s += count_nodes(tree(14));
$a = [];
for ($i = 0; $i < 300000; $i++) $a["k" . ($i * 7919 % 20011)] = ($a["k" . ($i % 20011)] ?? 0) + $i % 7;
ksort($a);
foreach ($a as $k => $v) $s = ($s * 31 + $v + strlen($k)) % 1000003;
for ($i = 0, $f = 0.0; $i < 1000000; $i++) $f += sqrt($i) * ($i & 1 ? 1 : -1);
echo $s, " ", md5(serialize($a)), " ", number_format($f, 6), " ", preg_match_all('/k(\d+)7"/', serialize($a)), "\n";
