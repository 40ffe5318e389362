//! The language itself.

use expect_test::expect;

use super::harness::check;

#[test]
fn words_and_quotes() {
    check(
        r#"echo a  b   'c  d' "e  f" g\ h"#,
        expect![[r#"
        a b c  d e  f g h
    "#]],
    );
    check(
        r#"x='a  b'; echo $x; echo "$x"; echo '$x' \$x "\$x""#,
        expect![[r#"
        a b
        a  b
        $x $x $x
    "#]],
    );
    check(
        r#"echo "a'b" 'c"d' "q\"r" "back\\slash" "new\
line""#,
        expect![[r#"
    a'b c"d q"r back\slash newline
"#]],
    );
    check(
        r#"set -- one 'two three' ''; echo $# "$1" "$2"; for a in "$@"; do echo "<$a>"; done; for a in $@; do echo "[$a]"; done; echo "$*""#,
        expect![[r#"
        3 one two three
        <one>
        <two three>
        <>
        [one]
        [two]
        [three]
        one two three 
    "#]],
    );
    check(
        r#"echo ""x"" '' | wc -c; printf '<%s>' "" a; echo"#,
        expect![[r#"
        3
        <><a>
    "#]],
    );
    check(
        "echo ~ ~/x a~ '~'",
        expect![[r#"
        /root /root/x a~ ~
    "#]],
    );
    check(
        r"bash -c 'echo $'\''a\tb\x41'\'' {1..3} x{a,b}'; echo {1..3}",
        expect![[r#"
        a	bA 1 2 3 xa xb
        {1..3}
    "#]],
    );
}

#[test]
fn parameters() {
    check(
        r#"echo ${x:-none} ${x-unset}; x=; echo "<${x:-empty}> <${x-set}>"; : ${y:=made}; echo $y ${y:+there}"#,
        expect![[r#"
        none unset
        <empty> <>
        made there
    "#]],
    );
    check(
        r#"p=/a/b/c.tar.gz; echo ${p##*/} ${p%/*} ${p%%.*} ${p#*/} ${#p}"#,
        expect![[r#"
        c.tar.gz /a/b /a/b/c a/b/c.tar.gz 13
    "#]],
    );
    check(
        r#"v=hello; echo ${v:1:3} ${v: -3} ${v/l/L} ${v//l/L} ${v/#he/HE} ${v^^} ${v^}"#,
        expect![[r#"
        ell llo heLlo heLLo HEllo HELLO Hello
    "#]],
    );
    check(
        r#"echo ${missing:?is needed}; echo not reached"#,
        expect![[r#"
        sh: missing: is needed
        exit 2
    "#]],
    );
    check(
        "set -u; echo $nothing; echo not reached",
        expect![[r#"
        sh: nothing: parameter not set
        exit 2
    "#]],
    );
    check(
        r#"f() { echo $# $1 ${2:-x}; shift; echo $#; }; f a b; echo $0"#,
        expect![[r#"
        2 a b
        1
        sh
    "#]],
    );
    check(
        r#"a=1 b=$a; echo $a$b; c=x$a"y"; echo $c; d=$(echo hi)$((1+2)); echo $d"#,
        expect![[r#"
        11
        x1y
        hi3
    "#]],
    );
    check(
        r#"x="a:b::c"; IFS=:; for f in $x; do echo "<$f>"; done; set -- $x; echo $#"#,
        expect![[r#"
        <a>
        <b>
        <>
        <c>
        4
    "#]],
    );
    check(
        "readonly r=1; r=2; echo no",
        expect![[r#"
        sh: r: is read only
        exit 2
    "#]],
    );
    check(
        "false; echo $?; true; echo $?; (exit 7); echo $?; echo ${10} $#",
        expect![[r#"
        1
        0
        7
        0
    "#]],
    );
}

#[test]
fn arithmetic() {
    check(
        "i=5; echo $((i * 2 + 1)) $((i++)) $i $(( (1+2) * 3 )) $((i > 3 ? 1 : 0))",
        expect![[r#"
        11 5 6 9 1
    "#]],
    );
    check(
        "echo $((1/0)); echo no",
        expect![[r#"
        sh: divide by zero
        exit 2
    "#]],
    );
    check(
        "bash -c 'for ((i=0;i<3;i++)); do echo $i; done; (( i == 3 )) && echo yes; let j=i*2; echo $j'",
        expect![[r#"
        0
        1
        2
        yes
        6
    "#]],
    );
    check(
        "echo $(( $(echo 4) * $(echo 5) ))",
        expect![[r#"
        20
    "#]],
    );
}

#[test]
fn substitution() {
    check(
        r#"echo "today: $(echo a; echo b)" `echo \`echo c\``"#,
        expect![[r#"
        today: a
        b c
    "#]],
    );
    check(
        r#"x=$(false); echo $?; x=$(echo out; exit 3); echo $? $x; echo $(exit 4) $?"#,
        expect![[r#"
        1
        3 out
        0
    "#]],
    );
    check(
        r#"echo $(echo $(echo $(echo deep)))"#,
        expect![[r#"
        deep
    "#]],
    );
    check(
        r#"i=0; echo $((i+=1)) $(echo sub) $((i+=1)); echo $i"#,
        expect![[r#"
        1 sub 2
        2
    "#]],
    );
    check(
        r#"x=outer; (x=inner; echo $x); echo $x; y=$(x=other; echo $x); echo $y $x"#,
        expect![[r#"
        inner
        outer
        other outer
    "#]],
    );
}

#[test]
fn compound_commands() {
    check(
        "if true; then echo a; elif false; then echo b; else echo c; fi; if false; then echo x; fi; echo $?",
        expect![[r#"
        a
        0
    "#]],
    );
    check(
        "i=0; while [ $i -lt 3 ]; do echo $i; i=$((i+1)); done; until [ $i = 0 ]; do i=$((i-1)); done; echo $i",
        expect![[r#"
        0
        1
        2
        0
    "#]],
    );
    check(
        "for i in 1 2 3 4 5; do [ $i = 2 ] && continue; [ $i = 4 ] && break; echo $i; done",
        expect![[r#"
        1
        3
    "#]],
    );
    check(
        "for i in a b; do for j in 1 2 3; do [ $j = 2 ] && continue 2; echo $i$j; done; done; for x in; do echo no; done; echo $?",
        expect![[r#"
        a1
        b1
        0
    "#]],
    );
    check(
        r#"for f in a.log b.txt "c d" ''; do case "$f" in *.log) echo log;; *.txt|*.md) echo text;; "c d") echo quoted;; "") echo empty;; *) echo other;; esac; done"#,
        expect![[r#"
        log
        text
        quoted
        empty
    "#]],
    );
    check(
        "{ echo a; echo b; } | cat; (cd /etc; pwd); pwd",
        expect![[r#"
        a
        b
        /etc
        /root
    "#]],
    );
    check(
        "! true; echo $?; ! false && echo yes; true || echo no; false || echo or; false && echo no; echo $?",
        expect![[r#"
        1
        yes
        or
        1
    "#]],
    );
    check(
        "f() { local x=in; y=changed; return 3; }; x=out y=before; f; echo $? $x $y",
        expect![[r#"
        3 out changed
    "#]],
    );
    check(
        "fact() { if [ $1 -le 1 ]; then echo 1; else echo $(( $1 * $(fact $(($1 - 1))) )); fi; }; fact 6",
        expect![[r#"
        720
    "#]],
    );
    check(
        "f() { f; }; f; echo no",
        expect![[r#"
        sh: maximum nesting level reached
        exit 2
    "#]],
    );
    check(
        "eval 'x=5; echo $x'; echo $x; . /etc/nothing; echo no",
        expect![[r#"
        5
        5
        sh: .: line 0: can't open '/etc/nothing': No such file or directory
        exit 2
    "#]],
    );
}

#[test]
fn redirections() {
    check(
        "cd /tmp; echo one > f; echo two >> f; cat f; cat < f | wc -l; echo err >&2 2>/dev/null; ls /nothing 2>&1 | cat",
        expect![[r#"
        one
        two
        2
        err
        ls: /nothing: No such file or directory
    "#]],
    );
    check(
        "cd /tmp; { echo a; echo b >&2; } > out 2> err; cat out; echo -; cat err; ls missing > all 2>&1; cat all",
        expect![[r#"
        a
        -
        b
        ls: missing: No such file or directory
    "#]],
    );
    check(
        "cat <<EOF\nhello $GREETING $((1+1))\n  'kept' \\$x\nEOF\ncat <<'EOF'\n$GREETING\nEOF\ncat <<-EOF\n\t\tstripped\n\tEOF\necho end",
        expect![[r#"
        hello hi there 2
          'kept' $x
        $GREETING
        stripped
        end
    "#]],
    );
    check(
        "cat <<A; cat <<B\nfirst\nA\nsecond\nB\ncat <<< 'here string'",
        expect![[r#"
        first
        second
        here string
    "#]],
    );
    check(
        "echo x > /nowhere/f; echo $?; cat < /nothing; echo $?; echo y > /etc; echo $?",
        expect![[r#"
        sh: can't create /nowhere/f: nonexistent directory
        1
        sh: can't open /nothing: no such file
        1
        sh: can't create /etc: Is a directory
        1
    "#]],
    );
    check(
        "exec > /tmp/log; echo logged; exec >&2; cat /tmp/log",
        expect![[r#"
        logged
    "#]],
    );
    check(
        "while read a b; do echo \"$b-$a\"; done < /etc/fruit | head -2; while read line; do echo \"<$line>\"; done <<EOF\n a  b \nc\\\nd\nEOF",
        expect![[r#"
        -pear
        -apple
        <a  b>
        <cd>
    "#]],
    );
    check(
        "f() { echo out; echo err >&2; }; f 2>/dev/null; f >/dev/null; : > /tmp/e; [ -s /tmp/e ] || echo empty; set -C; echo a > /tmp/e; echo $?",
        expect![[r#"
        out
        err
        empty
        sh: can't create /tmp/e: File exists
        1
    "#]],
    );
    check(
        "echo to-log > /proc/1/fd/1; echo direct > /dev/stdout; echo err > /dev/stderr",
        expect![[r#"
        direct
        err
    "#]],
    );
}

#[test]
fn pipes() {
    check(
        "cat /etc/fruit | sort | uniq -c | sort -rn | head -1; yes | head -3; yes no | head -1; echo $?",
        expect![[r#"
              2 apple
        y
        y
        y
        no
        0
    "#]],
    );
    check(
        "x=1; echo 2 | while read v; do x=$v; echo in $x; done; echo out $x",
        expect![[r#"
        in 2
        out 1
    "#]],
    );
    check(
        "false | true; echo $?; set -o pipefail; false | true; echo $?",
        expect![[r#"
        0
        1
    "#]],
    );
    check(
        "seq 1 100000 | tail -1; seq 5 | (read a; read b; echo $a $b; cat)",
        expect![[r#"
        100000
        1 2
        3
        4
        5
    "#]],
    );
    check(
        "echo a | { cat; echo b; } | tr a-z A-Z",
        expect![[r#"
        A
        B
    "#]],
    );
}

#[test]
fn globs() {
    check(
        "cd /tmp; touch a.txt b.txt c.log .hidden 'sp ace.txt'; echo *.txt; echo *; echo [ab]*; echo *.none; echo '*.txt' \"*\"; ls -a",
        expect![[r#"
        a.txt b.txt sp ace.txt
        a.txt b.txt c.log sp ace.txt
        a.txt b.txt
        *.none
        *.txt *
        .
        ..
        .hidden
        a.txt
        b.txt
        c.log
        sp ace.txt
    "#]],
    );
    check(
        "cd /; echo /etc/h* /*/log; for f in /etc/*; do echo $f; done; set -f; echo /etc/*",
        expect![[r#"
        /etc/hostname /var/log
        /etc/fruit
        /etc/hostname
        /etc/*
    "#]],
    );
}

#[test]
fn arrays_as_bash_has_them() {
    check(
        r#"bash -c 'a=(one "two words" three); i=2; echo ${a[0]} ${a[$i]} ${a[i-1]} ${#a[@]} ${a[-1]}; a+=(four); for x in "${a[@]}"; do echo "<$x>"; done; echo $a'"#,
        expect![[r#"
            one three two words 3 three
            <one>
            <two words>
            <three>
            <four>
            one
        "#]],
    );
    check(
        r#"bash -c '[[ web-12 =~ ^(.*)-([0-9]+)$ ]] && echo ${BASH_REMATCH[1]} ${BASH_REMATCH[2]}; echo text > f; echo "$(<f)"; [[ -f none && $(echo never >&2) = x ]] || echo lazily'"#,
        expect![[r#"
            web 12
            text
            lazily
        "#]],
    );
    check(
        "printf 'abc\\ndef\\n' > f; rev f",
        expect![[r#"
        cba
        fed
    "#]],
    );
}
