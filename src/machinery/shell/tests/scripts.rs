//! What `set` switches, and scripts that run others.

use expect_test::expect;

use super::harness::{check, check_with};

#[test]
fn options() {
    check(
        "set -e; echo a; false; echo no",
        expect![[r#"
        a
        exit 1
    "#]],
    );
    check(
        "set -e; false || true; if false; then :; fi; ! true; f() { false; echo in f; }; f && echo yes; (exit 3); echo no",
        expect![[r#"
        in f
        yes
        exit 3
    "#]],
    );
    check(
        "set -x; x=1; echo $x 'a b'",
        expect![[r#"
        + x=1
        + echo 1 'a b'
        1 a b
    "#]],
    );
    check(
        "set -ex; echo hi | cat; false",
        expect![[r#"
        + echo hi
        + cat
        hi
        + false
        exit 1
    "#]],
    );
    check(
        "sh -ec 'false; echo no'; echo $?; set a b; echo $1 $-; set --; echo $#",
        expect![[r#"
        1
        a
        0
    "#]],
    );
    check(
        "while getopts ab:c o -a -b val -c rest; do echo $o ${OPTARG:-none}; done; echo $OPTIND",
        expect![[r#"
        a none
        b val
        c none
        5
    "#]],
    );
}

#[test]
fn scripts_and_programs() {
    check(
        "greet world; echo $?; greet again | cat",
        expect![[r#"
        hello world from greet
        4
        hello again from greet
    "#]],
    );
    check(
        "printf '#!/bin/sh\\necho script $0 $1 $#\\nexit 2\\n' > /tmp/s; chmod 755 /tmp/s; /tmp/s x y; echo $?; sh /tmp/s z; . /tmp/s q; echo no",
        expect![[r#"
        script /tmp/s x 2
        2
        script /tmp/s z 1
        script sh 0
        exit 2
    "#]],
    );
    check_with(
        &["sh"],
        Some("echo from stdin\nfor i in 1 2\ndo echo $i\ndone\nread x\nthe answer\necho got $x\nexit 6\necho no\n"),
        expect![[r#"
        from stdin
        1
        2
        got the answer
        exit 6
    "#]],
    );
    check(
        "env -i A=1 B=2 printenv; X=only env | grep X=; X=gone true; echo \"<$X>\"; export Y=kept; sh -c 'echo $Y'; Z=not; sh -c 'echo \"<$Z>\"'",
        expect![[r#"
        A=1
        B=2
        X=only
        <>
        kept
        <>
    "#]],
    );
    check(
        "command -v ls echo nothing; type cd greet; which cat",
        expect![[r#"
        /bin/ls
        echo
        cd is a shell builtin
        greet is /usr/local/bin/greet
        /bin/cat
    "#]],
    );
    check(
        "unset HOME; echo ${HOME-none}; f() { echo f; }; unset -f f; f",
        expect![[r#"
        none
        sh: f: not found
        exit 127
    "#]],
    );
    check(
        "exec echo replaced; echo no",
        expect![[r#"
        replaced
    "#]],
    );
    check(
        "exec nothing; echo no",
        expect![[r#"
        sh: exec: line 0: nothing: not found
        exit 127
    "#]],
    );
    check(
        "sh -c 'echo $0 $@' name a b; sh -c 'exit 9'; echo $?",
        expect![[r#"
        name a b
        9
    "#]],
    );
}
