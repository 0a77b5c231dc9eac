# SPDX-License-Identifier: MIT
# perl work.pl: hashes, sorting, regular expressions, string building, method calls.
use strict;
my ($seed, %h, @w, $n) = (1);
sub rnd { $seed = ($seed * 1103515245 + 12345) & 0x7fffffff; $seed >> 8 }
for (1 .. 150000) { my $w = join '', map { chr(97 + rnd() % 26) } 1 .. 3; $h{$w}++; push @w, $w if $_ % 3 == 0 }
my $text = join ' ', @w;
$n += () = $text =~ /\b[aeiou]\w+[xyz]\b/g;
(my $t = $text) =~ s/(\w)(\w)(\w)/$3$2$1/g;
for my $k (sort { $h{$b} <=> $h{$a} || $a cmp $b } keys %h) { $n = ($n * 31 + $h{$k} * ord $k) % 1000003 }
package Count; sub new { bless { n => 0 }, shift } sub add { $_[0]{n} += $_[1] } package main;
my $c = Count->new; $c->add($_ & 7) for 1 .. 300000;
print "$n $c->{n} ", length($t), " ", substr($t, 1000, 7), "\n";
