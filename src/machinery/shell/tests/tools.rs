//! Utilities.

use expect_test::expect;

use super::harness::{check, check_with};

#[test]
fn printing() {
    check(
        r#"echo -n a; echo -e 'b\tc\n'; echo -E 'd\n'; echo -x -- y; printf '%s-%d|%5.2f|%-4s|%04d|%x\n' a 7 3.14159 ab 42 255"#,
        expect![[r#"
        ab	c

        d\n
        -x -- y
        a-7| 3.14|ab  |0042|ff
    "#]],
    );
    check(
        r#"printf '%s\n' a b c; printf 'x%%y\\n'; printf '%b' 'p\nq\n'; printf '%d\n' abc; printf '%s %s\n' only"#,
        expect![[r#"
        a
        b
        c
        x%y\np
        q
        0
        sh: abc: invalid number
        only 
    "#]],
    );
    check(
        "seq 3; seq 2 4 | tr '\\n' ' '; seq -s, 1 2 7; seq -w 8 10; seq 3 1; seq 3 -1 1",
        expect![[r#"
            1
            2
            3
            2 3 4 1,3,5,7
            08
            09
            10
            3
            2
            1
        "#]],
    );
    check(
        "date; date +%Y-%m-%dT%H:%M:%SZ; date -d @0 +%F; date -u +%s; date -I; TZ=x date +%A",
        expect![[r#"
        Thu Jan  1 00:00:00 UTC 2026
        2026-01-01T00:00:00Z
        1970-01-01
        1767225600
        2026-01-01
        Thursday
    "#]],
    );
    check(
        "hostname; whoami; id; uname -a; nproc; basename /a/b.c .c; dirname /a/b; basename x",
        expect![[r#"
        web-0
        root
        uid=0(root) gid=0(root) groups=0(root)
        Linux web-0 6.8.0-kubetab #1 SMP PREEMPT_DYNAMIC x86_64 GNU/Linux
        4
        b
        /a
        x
    "#]],
    );
    check(
        "expr 2 + 3 \\* 4; expr length hello; expr abc : 'a\\(.\\)c'; expr 1 = 2; echo $?; expr 5 / 0; expr 3 '>' 2",
        expect![[r#"
        14
        5
        b
        0
        1
        expr: division by zero
        1
    "#]],
    );
    check(
        "yes | head -2 | cat -n; printenv GREETING; printenv NONE; echo $?; echo hi | tee /tmp/a /tmp/b; cat /tmp/a /tmp/b",
        expect![[r#"
             1	y
             2	y
        hi there
        1
        hi
        hi
        hi
    "#]],
    );
    check(
        "echo hello | base64; echo aGVsbG8K | base64 -d; echo '!!' | base64 -d; echo $?",
        expect![[r#"
        aGVsbG8K
        hello
        base64: invalid input
        1
    "#]],
    );
    check(
        "free -m | head -1; df -h | tail -1; uptime | cut -c1-9; tty",
        expect![[r#"
                      total        used        free      shared  buff/cache   available
        overlay                 100.0G     32.0K    100.0G   0% /
         00:00:00
        not a tty
        exit 1
    "#]],
    );
}

#[test]
fn texts() {
    check(
        "sort /etc/fruit; sort -u /etc/fruit | wc -l; sort -r /etc/fruit | head -1; printf '10 b\\n9 a\\n100 c\\n' | sort -n; printf 'x:2\\ny:1\\n' | sort -t: -k2",
        expect![[r#"
        apple
        apple
        fig
        pear
        3
        pear
        9 a
        10 b
        100 c
        y:1
        x:2
    "#]],
    );
    check(
        "head -n 2 /etc/fruit; head -1 /etc/fruit; tail -n 1 /etc/fruit; tail -2 /etc/fruit; tail -n +3 /etc/fruit; head -c 3 /etc/fruit",
        expect![[r#"
        pear
        apple
        pear
        apple
        fig
        apple
        fig
        apple
        pea⏎
    "#]],
    );
    check(
        "wc /etc/fruit; wc -l < /etc/fruit; cat /etc/fruit | wc -w; wc -c /etc/fruit /etc/hostname; wc -l /none",
        expect![[r#"
                4         4        21 /etc/fruit
        4
        4
        21 /etc/fruit
        6 /etc/hostname
        27 total
        wc: can't open '/none': No such file or directory
        exit 1
    "#]],
    );
    check(
        "grep apple /etc/fruit; grep -c app /etc/fruit; grep -v e /etc/fruit; grep -n 'f.g' /etc/fruit; grep -q zzz /etc/fruit; echo $?; grep x /none; echo $?",
        expect![[r#"
        apple
        apple
        2
        fig
        3:fig
        1
        grep: /none: No such file or directory
        2
    "#]],
    );
    check(
        "grep -E '^(pear|fig)$' /etc/fruit; grep -i APPLE /etc/fruit | head -1; grep -o 'p*' /etc/fruit; grep -l fig /etc/fruit /etc/hostname; grep -rn web /etc; grep -A1 pear /etc/fruit; grep -F . /etc/fruit; echo $?",
        expect![[r#"
            pear
            fig
            apple
            p
            pp
            pp
            /etc/fruit
            /etc/hostname:1:web-0
            pear
            apple
            1
        "#]],
    );
    check(
        "grep '[' /etc/fruit; echo $?; grep; echo $?",
        expect![[r#"
        grep: bad regex: Unmatched [, [^, [:, [., or [=
        2
        Usage: grep [-HhnlLoqvsriwFE] PATTERN [FILE]...
        2
    "#]],
    );
    check(
        "cut -c1-2 /etc/fruit; echo a:b:c | cut -d: -f2; echo a:b:c | cut -d: -f1,3; echo 'a b c' | cut -d' ' -f2-; echo x | cut; echo $?",
        expect![[r#"
            pe
            ap
            fi
            ap
            b
            a:c
            b c
            cut: expected a list of bytes, characters, or fields
            1
        "#]],
    );
    check(
        "echo hello | tr a-y b-z; echo hello | tr -d l; echo 'a   b' | tr -s ' '; echo Hi | tr '[:upper:]' '[:lower:]'; echo hi | tr '[:lower:]' '[:upper:]'; echo 'a b' | tr ' ' '\\n'; echo abc123 | tr -cd 0-9; echo",
        expect![[r#"
        ifmmp
        heo
        a b
        hi
        HI
        a
        b
        123
    "#]],
    );
    check(
        "uniq -c /etc/fruit; printf 'a\\na\\nb\\n' | uniq; printf 'a\\na\\nb\\n' | uniq -d; printf 'a\\na\\nb\\n' | uniq -u",
        expect![[r#"
              1 pear
              1 apple
              1 fig
              1 apple
        a
        b
        a
        b
    "#]],
    );
    check(
        "rev /dev/null; echo abc | rev; seq 3 | tac; printf 'no end' | cat; echo; printf 'a\\n\\nb' | wc -l",
        expect![[r#"
        cba
        3
        2
        1
        no end
        2
    "#]],
    );
}

#[test]
fn sed_scripts() {
    check(
        "sed s/a/A/ /etc/fruit; sed -n 2p /etc/fruit; sed '/app/d' /etc/fruit; sed '2,3d' /etc/fruit; sed '$d' /etc/fruit | tail -1",
        expect![[r#"
        peAr
        Apple
        fig
        Apple
        apple
        pear
        fig
        pear
        apple
        fig
    "#]],
    );
    check(
        "echo path/to | sed 's|/|_|g'; echo aXbX | sed 's/X/[&]/2'; echo 'k: v' | sed -E 's/(.*): (.*)/\\2=\\1/'; echo a | sed 's/a/b/;s/b/c/'; echo abc | sed 'y/abc/xyz/'",
        expect![[r#"
        path_to
        aXb[X]
        v=k
        c
        xyz
    "#]],
    );
    check(
        "seq 10 | sed -n '/3/,/5/p'; seq 5 | sed '3q'; seq 3 | sed '2i before'; seq 2 | sed '$a after'; seq 3 | sed '2c changed'; seq 3 | sed -n '$='; seq 4 | sed -n '2!p'",
        expect![[r#"
        3
        4
        5
        1
        2
        3
        1
        before
        2
        3
        1
        2
        after
        1
        changed
        3
        3
        1
        3
        4
    "#]],
    );
    check(
        "cd /tmp; echo one > f; sed -i 's/one/two/' f; cat f; sed 's/x' f; echo $?; sed -n '/t/{s/t/T/;p}' f; sed s/a/b/ /none; echo $?",
        expect![[r#"
        two
        sed: unterminated address regex
        1
        Two
        sed: /none: No such file or directory
        1
    "#]],
    );
}

#[test]
fn files() {
    check(
        "cd /tmp; mkdir -p a/b; touch a/x a/b/y; ls a; ls -R a; rm a; rm -r a; ls; rm none; rm -f none; echo $?; mkdir /tmp; mkdir q/r",
        expect![[r#"
        b
        x
        a:
        b
        x

        a/b:
        y
        rm: 'a' is a directory
        rm: can't remove 'none': No such file or directory
        0
        mkdir: can't create directory '/tmp': File exists
        mkdir: can't create directory 'q/r': No such file or directory
        exit 1
    "#]],
    );
    check(
        "cd /tmp; echo 1 > f; cp f g; mv g h; cat h; cp -r /etc e; ls e; cp e x; cp none x; mv none x; ln -s f l; cat l; readlink l; ls -l l | cut -c1-10",
        expect![[r#"
            1
            fruit
            hostname
            cp: omitting directory 'e'
            cp: can't stat 'none': No such file or directory
            mv: can't rename 'none': No such file or directory
            1
            f
            lrwxrwxrwx
        "#]],
    );
    check(
        "cd /tmp; echo abc > f; ls -l f; chmod 600 f; ls -l f | cut -c1-10; chmod a+x f; stat -c '%s %a %n' f; du -h f; chmod zz f; truncate -s 5M big; ls -lh big; df / | tail -1",
        expect![[r#"
        -rw-r--r--    1 root     root              4 Jan  1 00:00 f
        -rw-------
        4 711 f
        4.0K	f
        chmod: invalid mode 'zz'
        -rw-r--r--    1 root     root           5.0M Jan  1 00:00 big
        overlay              104857600      5156 104852444   0% /
    "#]],
    );
    check(
        "cd /tmp; mkdir d; touch d/a.c d/b.h; find d -name '*.c'; find d -type d; find d -name '*.h' -exec echo found {} \\;; find . -type f -delete; find d; find none; echo $?",
        expect![[r#"
        d/a.c
        d
        found d/b.h
        d
        find: none: No such file or directory
        1
    "#]],
    );
    check(
        "dd if=/dev/zero of=/tmp/zeros bs=1M count=300 && ls -lh /tmp/zeros; echo abc | dd of=/tmp/f 2>/dev/null; cat /tmp/f; head -c 5 /dev/zero | wc -c",
        expect![[r#"
        [0.292968s]
        300+0 records in
        300+0 records out
        314572800 bytes (300.0MB) copied, 0.292969 seconds, 1.0GB/s
        -rw-r--r--    1 root     root         300.0M Jan  1 00:00 /tmp/zeros
        abc
        5
    "#]],
    );
    check(
        "[ -f /etc/fruit ] && echo f; [ -d /etc ] && echo d; [ -e /none ] || echo none; [ -x /tmp ] && echo x; [ -w /etc/fruit -a -r /etc/fruit ] && echo rw; [ -n \"$GREETING\" ] && [ -z \"$NO\" ] && echo nz; test 3 -gt 2 -a ! a = b && echo gt",
        expect![[r#"
        f
        d
        none
        x
        rw
        nz
        gt
    "#]],
    );
    check_with(
        &[
            "bash",
            "-c",
            "[[ abc == a* && ! x == y ]] && echo glob; [[ v1.2 =~ ^v[0-9]+\\.([0-9]+)$ ]] && echo re; [[ a < b ]] && echo less; [[ -f /etc/fruit || 1 -eq 2 ]] && echo or; [[ 'a*' == 'a*' && abc != 'a*' ]] && echo quoted",
        ],
        None,
        expect![[r#"
        glob
        re
        less
        or
        quoted
    "#]],
    );
    check(
        "f=$(mktemp); echo x > $f; cat $f; head -c 10M /dev/zero > /tmp/zero; ls -lh /tmp/zero | cut -c1-45; for i in 1 2 3 4 5 6 7 8 9; do seq 100000 >> /tmp/full || break; done; echo $?",
        expect![[r#"
            x
            -rw-r--r--    1 root     root          10.0M 
            seq: write error: No space left on device
            0
        "#]],
    );
}

#[test]
fn running_others() {
    check(
        "seq 3 | xargs echo got; seq 4 | xargs -n2 echo; seq 2 | xargs -I{} echo item {}; echo 'a b' | xargs; printf '' | xargs -r echo no; echo x | xargs nothing; echo $?; echo 1 | xargs sh -c 'exit 3'; echo $?",
        expect![[r#"
        got 1 2 3
        1 2
        3 4
        item 1
        item 2
        a b
        xargs: can't execute 'nothing': No such file or directory
        127
        123
    "#]],
    );
    check(
        "nohup echo hup; nice -n 5 echo nice; env nothing; echo $?; env A=1 sh -c 'echo $A'; find /etc -name hostname | xargs cat",
        expect![[r#"
        hup
        nice
        env: can't execute 'nothing': No such file or directory
        127
        1
        web-0
    "#]],
    );
}

#[test]
fn archives_are_packed_and_unpacked() {
    check(
        "mkdir -p /in/deep /out; echo one > /in/a; printf 'two' > /in/deep/b; ln -s a /in/link; chmod 755 /in/a
         tar cf - /in | tar -xmf - -C /out && cat /out/in/a /out/in/deep/b && echo && readlink /out/in/link
         ls -l /out/in/a | cut -c1-10
         cd /; tar -c -f /tmp/x.tar in/deep; tar tf /tmp/x.tar
         long=/in/$(printf 'x%.0s' 1 2 3 4 5 6 7 8 9 10 11 12)/$(printf 'y%.0s' $(seq 110)); mkdir -p $(dirname $long); echo far > $long
         tar cf - $long | tar xf - -C /out; cat /out$long
         tar cf - /none > /dev/null; echo $?; echo nonsense | tar xf -; echo $?; tar xf /tmp/x.tar -C /none; echo $?",
        expect![[r"
            one
            two
            a
            -rwxr-xr-x
            in/deep/
            in/deep/b
            far
            tar: /none: No such file or directory
            1
            tar: invalid tar magic
            1
            tar: can't change directory to '/none': No such file or directory
            1
        "]],
    );
}
