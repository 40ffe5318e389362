//! What scripts get told that make mistakes.

use expect_test::expect;

use super::harness::{check, check_with};

#[test]
fn errors() {
    check(
        "foo; echo $?; ./foo; /bin/foo arg",
        expect![[r#"
        sh: foo: not found
        127
        sh: ./foo: not found
        sh: /bin/foo: not found
        exit 127
    "#]],
    );
    check_with(
        &["bash", "-c", "foo; cd /nope; echo $x; [ 1 -eq a ]"],
        None,
        expect![[r#"
        bash: line 1: foo: command not found
        bash: line 1: cd: /nope: No such file or directory

        sh: a: bad number
        exit 2
    "#]],
    );
    check_with(
        &["dash", "-c", "foo\ncd /nope"],
        None,
        expect![[r#"
        dash: 1: foo: not found
        dash: 2: cd: can't cd to /nope
        exit 2
    "#]],
    );
    check(
        "cd /nope; cd /etc/hostname; echo $PWD",
        expect![[r#"
        sh: cd: line 0: can't cd to /nope: No such file or directory
        sh: cd: line 0: can't cd to /etc/hostname: Not a directory
        /root
    "#]],
    );
    check(
        "if true; then",
        expect![[r#"
        sh: syntax error: unexpected end of file
        exit 2
    "#]],
    );
    check(
        "echo a; fi",
        expect![[r#"
        sh: syntax error: unexpected "fi"
        exit 2
    "#]],
    );
    check(
        "echo 'unterminated",
        expect![[r#"
        sh: syntax error: unterminated quoted string
        exit 2
    "#]],
    );
    check(
        "a=(1 2 3)",
        expect![[r#"
        sh: syntax error: unexpected "("
        exit 2
    "#]],
    );
    check(
        "echo $(",
        expect![[r#"
        sh: syntax error: unterminated quoted string
        exit 2
    "#]],
    );
    check(
        "cat <<EOF\nno end",
        expect![[r#"
        sh: syntax error: unexpected end of file (expecting "EOF")
        exit 2
    "#]],
    );
    check(
        "case x in a) echo",
        expect![[r#"
        sh: syntax error: unexpected end of file (expecting ";;")
        exit 2
    "#]],
    );
    check(
        "[ 1 -eq a ]; echo $?; [ a = ]; echo $?; test; echo $?; [ x; echo $?",
        expect![[r#"
        sh: a: bad number
        2
        sh: argument expected
        2
        1
        sh: missing ]
        2
    "#]],
    );
    check(
        "echo not a script > /tmp/x; /tmp/x; chmod +x /tmp/x; /tmp/x; sh /tmp/none; echo $?",
        expect![[r#"
        sh: /tmp/x: Permission denied
        /tmp/x: line 1: not: not found
        sh: can't open '/tmp/none': No such file or directory
        127
    "#]],
    );
    check(
        &format!("{}{}", "(".repeat(500), ")".repeat(500)),
        expect![[r#"
        sh: expression recursion loop detected
        exit 2
    "#]],
    );
    check(
        &format!("{}:{}", "( ".repeat(500), ")".repeat(500)),
        expect![[r#"
        sh: syntax error: too deeply nested
        exit 2
    "#]],
    );
    check(
        &format!("echo {}", "$(echo ".repeat(500)),
        expect![[r#"
        sh: syntax error: too deeply nested
        exit 2
    "#]],
    );
    check(
        &format!("echo {}", "${x:-".repeat(500)),
        expect![[r#"
        sh: syntax error: too deeply nested
        exit 2
    "#]],
    );
    check(
        "exit abc",
        expect![[r#"
        sh: exit: line 0: Illegal number: abc
        exit 2
    "#]],
    );
    check(
        "sh -c 'echo ${x'",
        expect![[r#"
        sh: syntax error: unterminated quoted string
        exit 2
    "#]],
    );
}
