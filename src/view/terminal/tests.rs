//! The terminal with a cluster beside it, as somebody who types sees it.

use std::time::Duration;

use expect_test::expect;

use super::*;
use crate::session::{SessionConfig, SessionLog};

/// A cluster that is ready, and a terminal in which nothing was typed.
fn desk() -> (Terminal, Session) {
    let mut session = Session::new(SessionConfig::default());
    session.run_until(session.now() + Duration::from_secs(10));
    (Terminal::default(), session)
}

/// Types lines, each after the one before it is done or `seconds` have passed; what stands on the screen then.
fn type_lines(terminal: &mut Terminal, session: &mut Session, lines: &[&str], seconds: u64) -> String {
    let mut screen = String::new();
    for line in lines {
        screen.push_str(line);
        screen.push('\n');
        let input = TerminalInput::Line { text: (*line).to_owned(), files: shown(terminal) };
        terminal.hear(input, session);
        screen.push_str(&wait(terminal, session, seconds));
    }
    screen
}

fn shown(terminal: &Terminal) -> Vec<File> {
    terminal.shown.iter().map(|(name, text)| File { name: name.clone(), text: text.clone() }).collect()
}

/// Lets time pass while a command is at work.
fn wait(terminal: &mut Terminal, session: &mut Session, seconds: u64) -> String {
    let deadline = session.now() + Duration::from_secs(seconds);
    let mut screen = String::new();
    loop {
        if let Some(output) = terminal.take_output() {
            screen.extend(output.pieces.iter().map(|piece| piece.text.as_str()));
        }
        let wake = terminal.wake().filter(|wake| *wake <= deadline && terminal.is_at_work());
        match wake {
            _ if terminal.is_running() => {}
            Some(wake) => session.run_until(wake),
            None if terminal.is_at_work() && session.now() < deadline => session.run_until(deadline),
            None => return screen,
        }
        terminal.step(session);
    }
}

#[test]
fn the_first_lesson() {
    let (mut terminal, mut session) = desk();
    let lines = [
        "kubectl create deployment web --image=nginx:1.27 --replicas=2",
        "kubectl rollout status deployment/web",
        "kubectl get deployments",
        "kubectl set image deployment/web nginx=nginx:1.28 && kubectl rollout status deploy/web | tail -1",
        "kubectl get pods -o name | wc -l",
        "kubectl delete deployment web",
        "kubectl get deploy",
    ];
    let screen = type_lines(&mut terminal, &mut session, &lines, 120);
    expect![[r#"
        kubectl create deployment web --image=nginx:1.27 --replicas=2
        $ deployment.apps/web created
        $ kubectl rollout status deployment/web
        Waiting for deployment spec update to be observed...
        Waiting for deployment spec update to be observed...
        Waiting for deployment "web" rollout to finish: 0 out of 2 new replicas have been updated...
        Waiting for deployment "web" rollout to finish: 0 of 2 updated replicas are available...
        Waiting for deployment "web" rollout to finish: 1 of 2 updated replicas are available...
        deployment "web" successfully rolled out
        $ kubectl get deployments
        NAME   READY   UP-TO-DATE   AVAILABLE   AGE
        web    2/2     2            2           4s
        $ kubectl set image deployment/web nginx=nginx:1.28 && kubectl rollout status deploy/web | tail -1
        deployment.apps/web image updated
        deployment "web" successfully rolled out
        $ kubectl get pods -o name | wc -l
        3
        $ kubectl delete deployment web
        deployment.apps "web" deleted from default namespace
        $ kubectl get deploy
        No resources found in default namespace.
        $ "#]]
    .assert_eq(&screen);
    assert!(session.entries().len() >= 3, "what was written stands in the log");
    let again = Session::from_log(SessionLog::from_json(&session.log().to_json()).expect("its own log"));
    assert_eq!(again.hash(), session.hash(), "and is played again without the terminal");
}

#[test]
fn files_are_the_editors_and_the_shell_remembers() {
    let (mut terminal, mut session) = desk();
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: one}\nspec: {containers: [{name: c, image: nginx}]}\n";
    terminal.hear(TerminalInput::Open(vec![File { name: "pod.yaml".to_owned(), text: pod.to_owned() }]), &mut session);
    let lines = [
        "ls; n=pod.yaml",
        "kubectl apply -f $n",
        "sed 's/one/two/' $n > second.yaml",
        "kubectl apply -f . --dry-run=server",
        "kubectl config set-context --current --namespace=kube-system",
        "kubectl get pods",
        "vi third.yaml",
        "rm pod.yaml",
        "nonsense",
    ];
    let screen = type_lines(&mut terminal, &mut session, &lines, 5);
    expect![[r#"
        ls; n=pod.yaml
        $ pod.yaml
        $ kubectl apply -f $n
        pod/one created
        $ sed 's/one/two/' $n > second.yaml
        $ kubectl apply -f . --dry-run=server
        pod/one unchanged (server dry run)
        pod/two created (server dry run)
        $ kubectl config set-context --current --namespace=kube-system
        Context "kubetab" modified.
        $ kubectl get pods
        No resources found in kube-system namespace.
        $ vi third.yaml
        $ rm pod.yaml
        $ nonsense
        bash: nonsense: command not found
        $ "#]]
    .assert_eq(&screen);
    assert_eq!(
        shown(&terminal).iter().map(|file| file.name.as_str()).collect::<Vec<_>>(),
        ["second.yaml", "third.yaml"]
    );
}

#[test]
fn a_command_that_waits_is_interrupted_and_time_may_stand() {
    let (mut terminal, mut session) = desk();
    let before = type_lines(&mut terminal, &mut session, &["kubectl get pods -w"], 1);
    assert!(terminal.is_at_work(), "{before}");
    let now = session.now();
    terminal.hear(TerminalInput::Interrupt, &mut session);
    let after = wait(&mut terminal, &mut session, 0);
    assert_eq!((after.as_str(), terminal.is_at_work(), session.now()), ("\n$ ", false, now));
    // What need not wait is done while the clock stands.
    let screen = type_lines(&mut terminal, &mut session, &["kubectl get ns default -o name"], 0);
    assert_eq!(screen, "kubectl get ns default -o name\nnamespace/default\n$ ");
    // A loop without end leaves the page its turn, and ends with Ctrl-C.
    terminal.hear(TerminalInput::Line { text: "while true; do :; done".to_owned(), files: Vec::new() }, &mut session);
    assert!(terminal.is_running());
    terminal.hear(TerminalInput::Interrupt, &mut session);
    assert!(!terminal.is_at_work());
}

#[test]
fn a_shell_in_a_container() {
    let (mut terminal, mut session) = desk();
    let run = "kubectl run box --image=busybox --command -- sleep 1d";
    let ready = "kubectl wait --for=condition=Ready pod/box";
    let enter = "kubectl exec -it box -- sh";
    let mut screen = type_lines(&mut terminal, &mut session, &[run, ready, enter], 10);
    screen += &type_lines(&mut terminal, &mut session, &["hostname; x=5", "echo $((x * 2)); sleep 100"], 2);
    terminal.hear(TerminalInput::Interrupt, &mut session);
    screen += &wait(&mut terminal, &mut session, 2);
    screen += &type_lines(&mut terminal, &mut session, &["exit 3", "echo $?", "kubectl exec box -- cat /none"], 2);
    expect![[r#"
        kubectl run box --image=busybox --command -- sleep 1d
        $ pod/box created
        $ kubectl wait --for=condition=Ready pod/box
        pod/box condition met
        $ kubectl exec -it box -- sh
        / # hostname; x=5
        box
        / # echo $((x * 2)); sleep 100
        10

        / # exit 3
        command terminated with exit code 3
        $ echo $?
        3
        $ kubectl exec box -- cat /none
        cat: can't open '/none': No such file or directory
        command terminated with exit code 1
        $ "#]]
    .assert_eq(&screen);
    let again = Session::from_log(SessionLog::from_json(&session.log().to_json()).expect("its own log"));
    assert_eq!(again.hash(), session.hash());
}

#[test]
fn tab_completes() {
    let (mut terminal, mut session) = desk();
    let files = vec![File { name: "web.yaml".to_owned(), text: String::new() }];
    let mut complete = |line: &str| {
        let completion = terminal.complete(line, &files, &mut session);
        format!("{:?} {}\n", completion.completed, completion.choices.join(" "))
    };
    let lines = [
        "kub",
        "kubectl rol",
        "kubectl rollout ",
        "kubectl get nod",
        "kubectl get nodes ",
        "kubectl describe node/node-1",
        "kubectl -n kube-s",
        "kubectl get pods -n kube-",
        "kubectl apply -f w",
        "kubectl logs --tim",
        "cat w",
        "kubectl get pods | gre",
        "none of th",
    ];
    let text: String = lines.iter().map(|line| complete(line)).collect();
    expect![[r#"
        "kubectl " 
        "kubectl rollout " 
        "kubectl rollout " history pause restart resume status undo
        "kubectl get nodes " 
        "kubectl get nodes node-" node-1 node-2 node-3
        "kubectl describe node/node-1 " 
        "kubectl -n kube-system " 
        "kubectl get pods -n kube-" kube-node-lease kube-public kube-system
        "kubectl apply -f web.yaml " 
        "kubectl logs --timestamps " 
        "cat web.yaml " 
        "kubectl get pods | grep " 
        "none of th" 
    "#]]
    .assert_eq(&text);
}

#[test]
fn the_machine_is_outside_of_the_cluster() {
    let (mut terminal, mut session) = desk();
    let lines = [
        "kubectl create deployment web --image=hashicorp/http-echo --port=5678 -- /http-echo -text=hello",
        "kubectl expose deployment web --port=80 --target-port=5678 --type=LoadBalancer",
        "kubectl wait --for=condition=Available deployment/web > /dev/null; sleep 10",
        "curl -s $(kubectl get service web -o jsonpath='{.status.loadBalancer.ingress[0].ip}')",
        "wget -qO- 10.0.0.11:$(kubectl get service web -o jsonpath='{.spec.ports[0].nodePort}')",
        "curl -m 2 $(kubectl get service web -o jsonpath='{.spec.clusterIP}')",
        "curl web.default",
    ];
    let screen = type_lines(&mut terminal, &mut session, &lines, 60);
    expect![[r#"
        kubectl create deployment web --image=hashicorp/http-echo --port=5678 -- /http-echo -text=hello
        $ deployment.apps/web created
        $ kubectl expose deployment web --port=80 --target-port=5678 --type=LoadBalancer
        service/web exposed
        $ kubectl wait --for=condition=Available deployment/web > /dev/null; sleep 10
        $ curl -s $(kubectl get service web -o jsonpath='{.status.loadBalancer.ingress[0].ip}')
        hello
        $ wget -qO- 10.0.0.11:$(kubectl get service web -o jsonpath='{.spec.ports[0].nodePort}')
        hello
        $ curl -m 2 $(kubectl get service web -o jsonpath='{.spec.clusterIP}')
        curl: (28) Connection timed out after 2000 milliseconds
        $ curl web.default
        curl: (6) Could not resolve host: web.default
        $ "#]]
    .assert_eq(&screen);
    let log = SessionLog::from_json(&session.log().to_json()).expect("a session's own log is well-formed");
    assert_eq!(Session::from_log(log).hash(), session.hash(), "what was asked is asked again");
}

/// Whatever was typed in the first lesson, its session is played again to the same state without the terminal.
#[test]
fn a_session_is_played_again_without_the_terminal() {
    let (mut terminal, mut session) = desk();
    let lines = [
        "kubectl create deployment web --image=nginx:1.27 --replicas=2",
        "kubectl rollout status deployment/web",
        "kubectl get deployments",
        "kubectl logs deployment/web --tail=1",
        "kubectl exec deploy/web -- cat /etc/nginx/conf.d/default.conf | head -2",
        "kubectl expose deployment web --port=80",
        "kubectl scale deployment web --replicas=3",
        "kubectl set image deployment/web nginx=nginx:1.28",
        "kubectl rollout status deployment/web",
        "kubectl rollout undo deployment/web",
        "kubectl delete deployment,service web",
        "kubectl get deployments",
    ];
    for line in lines {
        type_lines(&mut terminal, &mut session, &[line], 120);
        let again = Session::from_log(SessionLog::from_json(&session.log().to_json()).expect("its own log"));
        assert_eq!(again.hash(), session.hash(), "after {line}");
    }
}
