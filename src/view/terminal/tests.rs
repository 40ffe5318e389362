//! The terminal with a cluster beside it, as somebody who types sees it.

mod courses;

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
        web    2/2     2            2           3s
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

/// What is typed in the first lesson.
pub(in crate::view) const FIRST_LESSON: [&str; 12] = [
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

/// Whatever was typed in the first lesson, its session is played again to the same state without the terminal.
#[test]
fn a_session_is_played_again_without_the_terminal() {
    let (mut terminal, mut session) = desk();
    for line in FIRST_LESSON {
        type_lines(&mut terminal, &mut session, &[line], 120);
        let again = Session::from_log(SessionLog::from_json(&session.log().to_json()).expect("its own log"));
        assert_eq!(again.hash(), session.hash(), "after {line}");
    }
}

#[test]
fn an_alias_holds_and_is_completed_as_what_it_stands_for() {
    let (mut terminal, mut session) = desk();
    let lines = [
        "alias k=kubectl kn='kubectl -n kube-system'",
        "k get ns -o name | awk -F/ '{print $2}' | sort",
        "kn get cm -o json | jq -r '.items[].metadata.name'",
    ];
    let screen = type_lines(&mut terminal, &mut session, &lines, 10);
    expect![[r#"
        alias k=kubectl kn='kubectl -n kube-system'
        $ $ k get ns -o name | awk -F/ '{print $2}' | sort
        default
        kube-node-lease
        kube-public
        kube-system
        $ kn get cm -o json | jq -r '.items[].metadata.name'
        kube-root-ca.crt
        $ "#]]
    .assert_eq(&screen);
    let completed = |terminal: &mut Terminal, session: &mut Session, line: &str| terminal.complete(line, &[], session);
    assert_eq!(completed(&mut terminal, &mut session, "k desc").completed, "k describe ");
    assert_eq!(completed(&mut terminal, &mut session, "kn get cm kube-root").completed, "kn get cm kube-root-ca.crt ");
    assert_eq!(completed(&mut terminal, &mut session, "watch k get depl").completed, "watch k get deployments ");
}

#[test]
fn edit_takes_what_the_editor_of_the_page_saves() {
    let (mut terminal, mut session) = desk();
    let begun = ["kubectl create cm conf --from-literal=a=1", "kubectl edit cm conf"];
    let screen = type_lines(&mut terminal, &mut session, &begun, 3);
    assert!(screen.contains("is open in the editor"), "{screen}");
    let name = terminal.shown.keys().find(|name| programs::is_for_kubectl(name)).cloned().expect("a file is open");
    let text = terminal.shown[&name].clone();
    assert!(text.starts_with("# Please edit the object below."), "{text}");
    // What the server refuses is shown with the reason, and asked for again.
    let save = |terminal: &mut Terminal, session: &mut Session, text: String| {
        let files = vec![File { name: name.clone(), text }];
        terminal.hear(TerminalInput::Save { name: name.clone(), files }, session);
        wait(terminal, session, 3)
    };
    let screen = save(&mut terminal, &mut session, text.replace("  a: \"1\"", "  'b d': \"2\""));
    assert!(screen.contains("error: configmaps \"conf\" was not valid:"), "{screen}");
    let text = terminal.shown[&name].clone();
    assert!(text.contains("# configmaps \"conf\" was not valid:\n# * data[b d]: Invalid value"), "{text}");
    let screen = save(&mut terminal, &mut session, text.replace("  b d: \"2\"", "  b: \"2\"").replace("'b d'", "b"));
    assert!(screen.contains("configmap/conf edited"), "{screen}");
    assert!(!terminal.shown.contains_key(&name), "the file is put away");
    let lines = [
        "KUBE_EDITOR='sed -i s/\\\"2\\\"/\\\"3\\\"/' kubectl edit cm/conf",
        "kubectl get cm conf -o jsonpath='{.data}'; echo",
        "KUBE_EDITOR=true kubectl edit cm conf",
        "kubectl create cm new --from-literal=x=y --dry-run=client -o yaml > new.yaml",
        "KUBE_EDITOR='sed -i s/y/z/' kubectl create -f new.yaml --edit; kubectl get cm new -o jsonpath='{.data}'; echo",
    ];
    expect![[r#"
        KUBE_EDITOR='sed -i s/\"2\"/\"3\"/' kubectl edit cm/conf
        configmap/conf edited
        $ kubectl get cm conf -o jsonpath='{.data}'; echo
        {"b":"3"}
        $ KUBE_EDITOR=true kubectl edit cm conf
        Edit cancelled, no changes made.
        $ kubectl create cm new --from-literal=x=y --dry-run=client -o yaml > new.yaml
        $ KUBE_EDITOR='sed -i s/y/z/' kubectl create -f new.yaml --edit; kubectl get cm new -o jsonpath='{.data}'; echo
        configmap/new created
        {"x":"z"}
        $ "#]]
    .assert_eq(&type_lines(&mut terminal, &mut session, &lines, 3));
}

#[test]
fn ports_lead_to_pods_and_to_the_api_server() {
    let (mut terminal, mut session) = desk();
    let lines = [
        "kubectl create deployment web --image=nginx --port=80",
        "kubectl rollout status deploy/web > /dev/null; kubectl expose deploy web --port=8000 --target-port=80",
        "kubectl port-forward svc/web 8080:8000 > /tmp/said & sleep 1",
        "curl -s localhost:8080 | grep title; cat /tmp/said",
        "kubectl proxy --port=8001 & sleep 1; curl -s localhost:8001/api/v1/namespaces/default | jq -r .metadata.name",
        "kubectl port-forward web-nosuch 1:1; kubectl port-forward deploy/web; kubectl port-forward svc/web 9:9",
    ];
    let screen = type_lines(&mut terminal, &mut session, &lines, 60);
    expect![[r#"
        kubectl create deployment web --image=nginx --port=80
        $ deployment.apps/web created
        $ kubectl rollout status deploy/web > /dev/null; kubectl expose deploy web --port=8000 --target-port=80
        service/web exposed
        $ kubectl port-forward svc/web 8080:8000 > /tmp/said & sleep 1
        $ curl -s localhost:8080 | grep title; cat /tmp/said
        <title>Welcome to nginx!</title>
        Forwarding from 127.0.0.1:8080 -> 80
        Forwarding from [::1]:8080 -> 80
        Handling connection for 8080
        $ kubectl proxy --port=8001 & sleep 1; curl -s localhost:8001/api/v1/namespaces/default | jq -r .metadata.name
        Starting to serve on 127.0.0.1:8001
        default
        $ kubectl port-forward web-nosuch 1:1; kubectl port-forward deploy/web; kubectl port-forward svc/web 9:9
        Error from server (NotFound): pods "web-nosuch" not found
        error: TYPE/NAME and list of ports are required for port-forward
        See 'kubectl port-forward -h' for help and examples
        error: Service web does not have a service port 9
        $ "#]]
    .assert_eq(&screen);
    terminal.hear(TerminalInput::Request { port: 8080, path: "nosuch".to_owned() }, &mut session);
    let output = terminal.take_output().expect("there is an answer");
    assert_eq!(output.ports, [8001, 8080]);
    assert_eq!(output.answer.expect("an answer").status, "404 Not Found");
}

#[test]
fn a_pod_can_be_run_for_one_command() {
    let (mut terminal, mut session) = desk();
    let lines = [
        "kubectl run tmp --image=busybox --rm -i --restart=Never -- echo hello",
        "kubectl run tmp --image=busybox --rm -it --restart=Never -- sh -c 'exit 3'; echo $?",
        "kubectl run tmp --rm --image=busybox; kubectl run tmp --image=busybox -i --dry-run=client",
        "kubectl get pods",
    ];
    expect![[r#"
        kubectl run tmp --image=busybox --rm -i --restart=Never -- echo hello
        $ hello
        pod "tmp" deleted from default namespace
        $ kubectl run tmp --image=busybox --rm -it --restart=Never -- sh -c 'exit 3'; echo $?
        pod "tmp" deleted from default namespace
        pod default/tmp terminated (Error)
        3
        $ kubectl run tmp --rm --image=busybox; kubectl run tmp --image=busybox -i --dry-run=client
        error: --rm should only be used for attached containers
        See 'kubectl run -h' for help and examples
        error: --dry-run=[server|client] can't be used with attached containers options (--attach, --stdin, or --tty)
        See 'kubectl run -h' for help and examples
        $ kubectl get pods
        No resources found in default namespace.
        $ "#]]
    .assert_eq(&type_lines(&mut terminal, &mut session, &lines, 60));
}

#[test]
fn why_tells_causes_and_scores() {
    let (mut terminal, mut session) = desk();
    let lines =
        ["kubectl run web --image=nginx", "sleep 5; kubectl why web", "kubectl why nosuch; kubectl why deploy/x -n y"];
    let screen = type_lines(&mut terminal, &mut session, &lines, 60);
    expect![[r#"
        kubectl run web --image=nginx
        $ pod/web created
        $ sleep 5; kubectl why web
        Pod web

        How it came to be:
          5s ago   kubectl   pod/web   You ran kubectl run web --image=nginx.

        What happened to it since:
          4s ago   default-scheduler   Node node-1 has the best score of 3 nodes that would do for Pod web: 397 points.
          4s ago   kubelet             The kubelet has seen pod web, which the scheduler bound to its node.
          0s ago   kubelet             The kubelet tells that pod web is Running now.

        How its node was chosen: node-1 has the most points.
          NODE     POINTS   TaintToleration   NodeResourcesFit   DynamicResources   ImageLocality
          node-1   397      300               97                 0                  0
          node-2   397      300               97                 0                  0
          node-3   397      300               97                 0                  0

        What the plugins look at:
          TaintToleration (points): The fewer PreferNoSchedule taints that the pod does not tolerate, the more points.
          NodeResourcesFit (points): How much of the node would be requested with the pod on it: by default, the less, the more points.
          DynamicResources (points): The earlier the alternative that the pod's claims would get, the more points.
          ImageLocality (points): The more of the pod's images the node has already, by their sizes, the more points.
        $ kubectl why nosuch; kubectl why deploy/x -n y
        Error from server (NotFound): pods "nosuch" not found
        Error from server (NotFound): deployments.apps "x" not found
        $ "#]]
    .assert_eq(&screen);
}

#[test]
fn what_is_applied_no_more_is_pruned() {
    let (mut terminal, mut session) = desk();
    let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, labels: {{app: x}}}}");
    let lines = [
        format!("cat > all.yaml <<E\n{}\n---\n{}\nE", map("one"), map("two")),
        format!("cat > one.yaml <<E\n{}\nE", map("one")),
        "kubectl apply -f all.yaml; kubectl create cm made; kubectl label cm made app=x".to_owned(),
        "kubectl apply -f one.yaml --prune; kubectl apply -f one.yaml --prune -l app=x --dry-run=client".to_owned(),
        "kubectl apply -f one.yaml --prune -l app=x; kubectl get cm -l app=x -o name".to_owned(),
        "kubectl apply -f all.yaml -l app=none".to_owned(),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    expect![[r#"
        cat > all.yaml <<E
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: one, labels: {app: x}}
        ---
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: two, labels: {app: x}}
        E
        $ > > > > > > > > $ cat > one.yaml <<E
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: one, labels: {app: x}}
        E
        > > > > $ kubectl apply -f all.yaml; kubectl create cm made; kubectl label cm made app=x
        configmap/one created
        configmap/two created
        configmap/made created
        configmap/made labeled
        $ kubectl apply -f one.yaml --prune; kubectl apply -f one.yaml --prune -l app=x --dry-run=client
        error: all resources selected for prune without explicitly passing --all. To prune all resources, pass the --all flag. If you did not mean to prune all resources, specify a label selector
        configmap/one unchanged (dry run)
        configmap/two pruned (dry run)
        Warning: v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice
        $ kubectl apply -f one.yaml --prune -l app=x; kubectl get cm -l app=x -o name
        configmap/one unchanged
        configmap/two pruned
        Warning: v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice
        configmap/made
        configmap/one
        $ kubectl apply -f all.yaml -l app=none
        error: no objects passed to apply
        $ "#]].assert_eq(&type_lines(&mut terminal, &mut session, &lines, 10));
}

#[test]
fn explain_waits_for_what_fields_are_for() {
    let (mut terminal, mut session) = desk();
    let screen = type_lines(&mut terminal, &mut session, &["kubectl explain pod.spec.hostname"], 2);
    assert!(!screen.contains("FIELD"), "{screen}");
    assert!(terminal.is_at_work(), "it waits for the page");
    let path = "/usr/share/kubectl/descriptions.txt".to_owned();
    let text = include_str!("../../../assets/descriptions.txt").to_owned();
    terminal.hear(TerminalInput::Fetched { path, text }, &mut session);
    let screen = wait(&mut terminal, &mut session, 2);
    assert!(screen.contains("Specifies the hostname of the Pod"), "{screen}");
}
