//! Sleeping, background jobs, signals, budgets, and copies in the middle of it all.

use std::time::Duration;

use expect_test::expect;

use super::harness::{Run, check};
use crate::machinery::shell::{Poll, Signal};

#[test]
fn sleeping_takes_simulated_time() {
    check(
        "echo a; sleep 2; echo b; sleep 0.5; echo c; sleep 1m; echo d",
        expect![[r#"
        a
        [2s]
        b
        [2.5s]
        c
        [62.5s]
        d
    "#]],
    );
    check(
        "sleep infinity",
        expect![[r#"
        still running
    "#]],
    );
    check(
        "sleep abc; sleep; echo $?",
        expect![[r#"
        sleep: invalid number 'abc'
        sleep: missing operand
        1
    "#]],
    );
    check(
        "for i in 1 2 3; do date +%T; sleep 60; done",
        expect![[r#"
        00:00:00
        [60s]
        00:01:00
        [120s]
        00:02:00
    "#]],
    );
}

#[test]
fn background_jobs() {
    check(
        "sleep 5 & sleep 2; echo two; wait; echo five",
        expect![[r#"
        [2s]
        two
        [5s]
        five
    "#]],
    );
    check(
        "(sleep 3; exit 4) & wait $!; echo $?; wait 999; echo $?; true & wait; echo $?",
        expect![[r#"
        [3s]
        4
        127
        0
    "#]],
    );
    check(
        "for i in 3 1 2; do (sleep $i; echo $i) & done; wait; echo done",
        expect![[r#"
        [1s]
        1
        [2s]
        2
        [3s]
        3
        done
    "#]],
    );
    check(
        "sleep 100 & p=$!; kill $p; wait $p; echo $?; kill $p; kill -0 $$ && echo alive",
        expect![[r#"
        143
        sh: can't kill pid 11: No such process
        alive
    "#]],
    );
    check(
        "timeout 2 sleep 10; echo $?; timeout 5 sleep 1; echo $?; timeout 1 sh -c 'echo in; sleep 9'; echo $?",
        expect![[r#"
        [2s]
        143
        [3s]
        0
        in
        [4s]
        143
    "#]],
    );
    check(
        "x=$(sleep 2; echo slow); echo $x; read -t 3 y < /dev/null; echo $?",
        expect![[r#"
        [2s]
        slow
        1
    "#]],
    );
    check(
        "echo start; { sleep 1; echo piped; } | while read l; do echo got $l; done",
        expect![[r#"
        start
        [1s]
        got piped
    "#]],
    );
}

#[test]
fn a_loop_without_end_uses_up_its_budget_only() {
    let mut run = Run::start(&["sh", "-c", "while true; do :; done"], None, 1);
    for _ in 0..3 {
        assert_eq!(run.table.step(&mut run.host, 1000), Poll::Running);
    }
    assert_eq!(run.table.processor(run.host.now), 1000);
    let mut run = Run::start(&["sh", "-c", "while true; do echo x; done | cat > /dev/null"], None, 1);
    assert_eq!(run.table.step(&mut run.host, 1000), Poll::Running);
}

#[test]
fn fork_bombs_are_bounded() {
    let mut run = Run::start(&["sh", "-c", "b() { b & b & wait; }; b 2>/dev/null"], None, 1);
    for _ in 0..20 {
        run.table.step(&mut run.host, 5_000);
    }
    assert!(run.table.memory(run.host.now) < 512 << 20);
    run.signal(Signal::Kill);
    assert_eq!(run.table.step(&mut run.host, 100), Poll::Waiting(None));
}

fn until(script: &str, seconds: u64) -> Run {
    let mut run = Run::start(&["sh", "-c", script], None, 1);
    run.run(Duration::from_secs(seconds));
    run
}

#[test]
fn process_1_is_spared_what_it_does_not_handle() {
    for script in ["sleep 100", "sleep 100; echo x", "while true; do sleep 1; done", "exec sleep 100"] {
        let mut run = until(script, 1);
        run.signal(Signal::Terminate);
        assert_eq!(run.run(Duration::from_secs(2)), None, "{script}");
        run.signal(Signal::Kill);
        assert_eq!(run.run(Duration::from_secs(2)), Some(137), "{script}");
    }
}

#[test]
fn other_processes_are_not() {
    let mut run = Run::start(&["sh", "-c", "sleep 100; echo x"], None, 7);
    run.run(Duration::from_secs(1));
    run.signal(Signal::Terminate);
    assert_eq!(run.run(Duration::from_secs(2)), Some(143));
}

#[test]
fn traps_run_between_commands() {
    let mut run = until("trap 'echo bye; exit 3' TERM; while true; do echo tick; sleep 2; done", 1);
    run.signal(Signal::Terminate);
    assert_eq!(run.run(Duration::from_secs(10)), Some(3));
    expect![[r#"
        tick
        [2s]
        bye
    "#]]
    .assert_eq(&run.text());

    let mut run = until("trap 'echo got it' TERM; sleep 50 & wait; echo \"after $?\"", 1);
    run.signal(Signal::Terminate);
    assert_eq!(run.run(Duration::from_secs(10)), Some(0));
    expect![[r#"
        [1s]
        got it
        after 143
    "#]]
    .assert_eq(&run.text());

    let mut run = until("trap '' TERM; sleep 5; echo unharmed", 1);
    run.signal(Signal::Terminate);
    assert_eq!(run.run(Duration::from_secs(10)), Some(0));
    expect![[r#"
        [5s]
        unharmed
    "#]]
    .assert_eq(&run.text());
}

#[test]
fn exit_traps_and_own_signals() {
    check(
        "trap 'echo cleanup $?' EXIT; echo work; exit 5",
        expect![[r#"
        work
        cleanup 5
        exit 5
    "#]],
    );
    check(
        "trap 'echo bye' EXIT; (echo sub); false",
        expect![[r#"
        sub
        bye
        exit 1
    "#]],
    );
    check(
        "trap 'echo usr1' USR1; kill -USR1 $$; echo after; trap; trap - USR1; kill -USR1 $$; echo no",
        expect![[r#"
        usr1
        after
        trap -- 'echo usr1' USR1
        exit 138
    "#]],
    );
    check(
        "set -e; trap 'echo failed' EXIT; false; echo no",
        expect![[r#"
        failed
        exit 1
    "#]],
    );
    check(
        "trap foo BAD; echo $?",
        expect![[r#"
        sh: trap: line 0: BAD: invalid signal specification
        1
    "#]],
    );
}

#[test]
fn processes_see_each_other() {
    check(
        "sleep 50 & sh -c 'sleep 60; true' & sleep 1; ps; pidof sleep; kill $(pidof sleep); wait; echo $?",
        expect![[r#"
            [1s]
            PID   USER     TIME  COMMAND
               10 root      0:00 sh -c sleep 50 & sh -c 'sleep 60; true' & sleep 1; ps; pidof sleep; kill $(pidof sleep); wait; echo $?
               11 root      0:00 sleep 50
               12 root      0:00 sh -c sleep 60; true
               14 root      0:00 sleep 60
               15 root      0:00 ps
            11 14
            0
        "#]],
    );
}

#[test]
fn following_a_file() {
    check(
        "cd /tmp; echo 1 > log; tail -f log & sleep 1; echo 2 >> log; sleep 1; echo 3 >> log; sleep 1; kill $!; wait $!; echo $?",
        expect![[r#"
        1
        [1s]
        2
        [2s]
        3
        [3s]
        143
    "#]],
    );
    check(
        "tail -f /dev/null & sleep 1; kill $!; tail -F /tmp/later & sleep 1; echo here > /tmp/later; sleep 1; kill $!",
        expect![[r#"
        [1s]
        tail: can't open '/tmp/later': No such file or directory
        [2s]
        here
    "#]],
    );
    check(
        "tail -f /tmp/none; echo $?",
        expect![[r#"
        tail: can't open '/tmp/none': No such file or directory
        1
    "#]],
    );
}

#[test]
fn a_copy_goes_its_own_way() {
    let run = until("i=0; while [ $i -lt 5 ]; do echo $i; i=$((i+1)); sleep 1; done | cat", 2);
    let finish = |run: &Run| {
        let mut copy = Run { host: run.host.clone(), table: run.table.clone(), pid: run.pid, log: run.log.clone() };
        copy.run(Duration::from_secs(60));
        copy.text()
    };
    let first = finish(&run);
    assert_eq!(first, finish(&run));
    expect![[r#"
        0
        [1s]
        1
        [2s]
        2
        [3s]
        3
        [4s]
        4
    "#]]
    .assert_eq(&first);
}

#[test]
fn a_terminal_asks_for_more() {
    use crate::machinery::shell::Spawn;
    let mut run = Run::start(&["true"], None, 10);
    let spawn = Spawn { argv: vec!["sh".to_owned()], stdin: true, terminal: true, ..Spawn::default() };
    run.pid = run.table.spawn(spawn, &mut run.host).unwrap();
    run.log.clear();
    for line in ["echo hi\n", "if true\n", "then echo yes; fi\n", "fi\n", "sleep 100\n"] {
        run.table.feed(run.pid, line.as_bytes());
        assert_eq!(run.run(Duration::from_secs(1)), None);
    }
    run.signal(Signal::Interrupt);
    run.table.feed(run.pid, b"echo $?; cd /etc\nexit 2\n");
    assert_eq!(run.run(Duration::from_secs(2)), Some(2));
    expect![[r#"
        / # hi
        / # [1s]
        > yes
        / # sh: syntax error: unexpected "fi"
        / # 
        / # 130
        /etc # "#]]
    .assert_eq(&run.text());
}
