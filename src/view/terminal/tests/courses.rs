//! What courses and tutorials let people type, line by line.

use std::time::Duration;

use expect_test::{Expect, expect};

use super::{desk, type_lines, wait};
use crate::view::terminal::TerminalInput;

/// Types lines into a fresh terminal and compares what then stands on the screen, without the lines themselves.
fn course(lines: &[&str], expect: &Expect) {
    let (mut terminal, mut session) = desk();
    let mut screen = String::new();
    for line in lines {
        let shown = type_lines(&mut terminal, &mut session, &[line], 60);
        let shown = shown.strip_prefix(&format!("{line}\n")).unwrap_or(&shown).to_owned();
        screen.push_str(&shown.replace("> ", ""));
    }
    expect.assert_eq(&screen);
}

#[test]
fn short_words_for_the_exam() {
    course(
        &[
            "alias k=kubectl",
            "export do=\"--dry-run=client -o yaml\" now='--force --grace-period=0'",
            "k run x --image=nginx $do > p.yaml",
            "sed -i 's/image: nginx/image: nginx:1.27/' p.yaml; grep -A3 containers p.yaml",
            "k apply -f p.yaml && k wait --for=condition=Ready pod/x",
            "k get po x -o jsonpath='{.spec.containers[0].image}{\"\\n\"}'",
            "source <(kubectl completion bash); complete -o default -F __start_kubectl k",
            "echo 'alias k=kubectl' >> ~/.bashrc; cat ~/.bashrc",
            "k config set-context --current --namespace=kube-system; k config view --minify | grep namespace:",
            "k config set-context $(k config current-context) --namespace=default",
            "k delete po x $now 2>/dev/null",
            "history | tail -2",
            "!k config | head -1",
        ],
        &expect![[r#"
            $ $ $ $   containers:
              - image: nginx:1.27
                name: x
                resources: {}
            $ pod/x created
            pod/x condition met
            $ nginx:1.27
            $ $ alias k=kubectl
            $ Context "kubetab" modified.
                namespace: kube-system
            $ Context "kubetab" modified.
            $ pod "x" force deleted from default namespace
            $    11  k delete po x $now 2>/dev/null
               12  history | tail -2
            $ k delete po x $now 2>/dev/null config | head -1
            $ "#]],
    );
}

#[test]
fn here_documents_make_objects() {
    course(
        &[
            "cat <<EOF | kubectl apply -f -\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: $USER-conf\ndata:\n  sum: \"$((1 + 2))\"\nEOF",
            "cat > one.yaml <<'EOF'\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata: {text: '$HOME'}\nEOF",
            "kubectl create -f one.yaml && kubectl get cm one -o jsonpath='{.data.text}'; echo",
            "if true; then\n\tcat <<-EOF\n\t\tindented\n\tEOF\nfi",
            "kubectl get cm you-conf -o json | jq -r .data.sum",
            "kubectl create secret generic db --from-literal=user=admin --from-literal=pw='s3c ret'",
            "kubectl get secret db -o jsonpath='{.data.pw}' | base64 -d; echo",
            "echo -n admin | base64",
            "kubectl get secret db -o go-template='{{range $k,$v := .data}}{{$k}}={{$v|base64decode}}{{\"\\n\"}}{{end}}'",
            "tee two.yaml <<< 'apiVersion: v1' | wc -l; ls *.yaml | sort -r | tr '\\n' ' '; echo",
        ],
        &expect![[r#"
            $ configmap/you-conf created
            $ $ configmap/one created
            $HOME
            $ indented
            $ 3
            $ secret/db created
            $ s3c ret
            $ YWRtaW4=
            $ pw=s3c ret
            user=admin
            $ 1
            two.yaml one.yaml 
            $ "#]],
    );
}

#[test]
fn loops_and_functions() {
    course(
        &[
            "for i in {1..3}; do kubectl create ns team-$i; done",
            "for ns in $(kubectl get ns -o name | grep team | cut -d/ -f2); do kubectl -n $ns create quota q --hard=pods=$((RANDOM * 0 + 4)) -o name; done",
            "kubectl get ns -o name | while read n; do case $n in */team-*) echo \"${n##*/}\";; esac; done",
            "kns() { kubectl config set-context --current --namespace=\"${1:-default}\" > /dev/null; }; kns team-2; kubectl get quota -o name",
            "n=0; until [ $n -ge 3 ]; do n=$((n+1)); printf '%02d ' $n; done; echo",
            "[[ $(kubectl get quota --no-headers | wc -l) -eq 1 ]] && echo one || echo other",
            "seq 3 | xargs -I{} echo pod-{} | tee /tmp/names | sort -t- -k2 -nr | head -1",
            "kubectl get ns --no-headers -o custom-columns=:metadata.name | grep -v kube | xargs",
            "kubectl get ns team-1 nosuch team-2 -o name 2>&1 | tac; kubectl get ns nosuch 2> /dev/null; echo $?",
            "kubectl delete ns team-{1..3} --wait=false | awk '{print $2, $3}'",
            "diff <(echo a; echo b) <(echo a; echo c)",
            "date -u +%Y; time true",
        ],
        &expect![[r#"
            $ namespace/team-1 created
            namespace/team-2 created
            namespace/team-3 created
            $ resourcequota/q
            resourcequota/q
            resourcequota/q
            $ team-1
            team-2
            team-3
            $ resourcequota/q
            $ 01 02 03 
            $ one
            $ pod-3
            $ default team-1 team-2 team-3
            $ Error from server (NotFound): namespaces "nosuch" not found
            namespace/team-2
            namespace/team-1
            1
            $ "team-1" deleted
            "team-2" deleted
            "team-3" deleted
            $ --- /dev/fd/63
            +++ /dev/fd/62
            @@ -1,2 +1,2 @@
             a
            -b
            +c
            $ 2026
            $ "#]],
    );
}

#[test]
fn the_tutorial_of_the_first_application() {
    course(
        &[
            "kubectl create deployment kubernetes-bootcamp --image=gcr.io/google-samples/kubernetes-bootcamp:v1",
            "kubectl rollout status deploy/kubernetes-bootcamp | tail -1",
            "export POD_NAME=\"$(kubectl get pods -o go-template --template '{{range .items}}{{.metadata.name}}{{\"\\n\"}}{{end}}')\"",
            "echo Name of the Pod: ${POD_NAME%-*-*}",
            "kubectl expose deployment/kubernetes-bootcamp --type=\"NodePort\" --port 8080",
            "kubectl label pods \"$POD_NAME\" version=v1 | cut -d- -f1; kubectl get pods -l version=v1 --no-headers | wc -l",
            "export NODE_PORT=\"$(kubectl get services/kubernetes-bootcamp -o go-template='{{(index .spec.ports 0).nodePort}}')\"",
            "[ $NODE_PORT -ge 30000 ] && echo a port of the nodes",
            "kubectl scale deployments/kubernetes-bootcamp --replicas=4; kubectl get rs -o jsonpath='{.items[*].spec.replicas}'; echo",
            "kubectl set image deployments/kubernetes-bootcamp kubernetes-bootcamp=gcr.io/google-samples/kubernetes-bootcamp:v10; sleep 2",
            "kubectl rollout undo deployments/kubernetes-bootcamp",
            "kubectl delete deployments/kubernetes-bootcamp services/kubernetes-bootcamp",
        ],
        &expect![[r#"
            $ deployment.apps/kubernetes-bootcamp created
            $ deployment "kubernetes-bootcamp" successfully rolled out
            $ $ Name of the Pod: kubernetes-bootcamp
            $ service/kubernetes-bootcamp exposed
            $ pod/kubernetes
            1
            $ $ a port of the nodes
            $ deployment.apps/kubernetes-bootcamp scaled
            1
            $ deployment.apps/kubernetes-bootcamp image updated
            $ deployment.apps/kubernetes-bootcamp rolled back
            $ deployment.apps "kubernetes-bootcamp" deleted from default namespace
            service "kubernetes-bootcamp" deleted from default namespace
            $ "#]],
    );
}

#[test]
fn work_in_the_background() {
    let (mut terminal, mut session) = desk();
    let begin = ["sleep 50 & sleep 100 &", "jobs", "kill %1; jobs", "fg"];
    let mut screen = type_lines(&mut terminal, &mut session, &begin, 5);
    terminal.hear(TerminalInput::Interrupt, &mut session);
    screen += &wait(&mut terminal, &mut session, 1);
    screen +=
        &type_lines(&mut terminal, &mut session, &["jobs; fg; echo $?", "watch -n1 kubectl get ns default -o name"], 3);
    terminal.hear(TerminalInput::Interrupt, &mut session);
    screen += &wait(&mut terminal, &mut session, 1);
    let screen = screen.replace('\u{1b}', "^[");
    expect![[r#"
        sleep 50 & sleep 100 &
        $ $ jobs
        [1]-  Running                 sleep 50 &
        [2]+  Running                 sleep 100 &
        $ kill %1; jobs
        [1]-  Running                 sleep 50 &
        [2]+  Running                 sleep 100 &
        $ fg
        sleep 100

        $ jobs; fg; echo $?
        bash: fg: current: no such job
        1
        $ watch -n1 kubectl get ns default -o name
        ^[[H^[[2JEvery 1.0s: kubectl get ns default -o name

        namespace/default
        ^[[H^[[2JEvery 1.0s: kubectl get ns default -o name

        namespace/default
        ^[[H^[[2JEvery 1.0s: kubectl get ns default -o name

        namespace/default
        ^[[H^[[2JEvery 1.0s: kubectl get ns default -o name

        namespace/default

        $ "#]]
    .assert_eq(&screen);
}

#[test]
fn deleting_asks_first() {
    let (mut terminal, mut session) = desk();
    let lines = [
        "kubectl create cm a; kubectl create cm b",
        "kubectl delete cm a b -i",
        "n",
        "kubectl delete cm --all --interactive",
        "Y",
        "kubectl get cm -o name",
    ];
    let screen = type_lines(&mut terminal, &mut session, &lines, 2);
    expect![[r#"
        kubectl create cm a; kubectl create cm b
        $ configmap/a created
        configmap/b created
        $ kubectl delete cm a b -i
        You are about to delete the following 2 resource(s):
        configmap/a
        configmap/b
        Do you want to continue? (y/N): n
        deletion is cancelled
        $ kubectl delete cm --all --interactive
        You are about to delete the following 3 resource(s):
        configmap/a
        configmap/b
        configmap/kube-root-ca.crt
        Do you want to continue? (y/N): Y
        configmap "a" deleted from default namespace
        configmap "b" deleted from default namespace
        configmap "kube-root-ca.crt" deleted from default namespace
        $ kubectl get cm -o name
        $ "#]]
    .assert_eq(&screen);
}

#[test]
fn all_that_may_help_is_dumped() {
    course(
        &[
            "kubectl run one --image=nginx && kubectl wait --for=condition=Ready pod/one",
            "kubectl cluster-info dump --output-directory=dump; ls dump dump/default; head -3 dump/nodes.json",
            "kubectl cluster-info dump --namespaces=default -o yaml | grep -c ^kind:",
            "kubectl cluster-info dump --namespaces=default | grep '==== START'",
        ],
        &expect![[r#"
            $ pod/one created
            pod/one condition met
            $ Cluster info dumped to dump
            dump:
            default
            kube-system
            nodes.json

            dump/default:
            daemonsets.json
            deployments.json
            events.json
            one
            pods.json
            replicasets.json
            replication-controllers.json
            services.json
            {
                "kind": "NodeList",
                "apiVersion": "v1",
            $ 8
            $ ==== START logs for container one of pod default/one ====
            $ "#]],
    );
}

/// A line that would never end, write without end or grow without end; what is left of it when Ctrl-C was typed.
fn endless(line: &str) -> String {
    let (mut terminal, mut session) = desk();
    terminal.hear(TerminalInput::Line { text: line.to_owned(), files: Vec::new() }, &mut session);
    let mut written = 0;
    for _ in 0..4 {
        written += terminal.take_output().map_or(0, |output| output.pieces.iter().map(|piece| piece.text.len()).sum());
        if !terminal.is_running() {
            break;
        }
        terminal.step(&mut session);
    }
    terminal.hear(TerminalInput::Interrupt, &mut session);
    for _ in 0..50 {
        terminal.step(&mut session);
    }
    assert!(!terminal.is_at_work(), "Ctrl-C ends {line}");
    assert!(written < 16 << 20, "{line} wrote {written} bytes");
    let _ = terminal.take_output();
    // The terminal goes on as if nothing had been.
    type_lines(&mut terminal, &mut session, &["echo still $((40 + 2))"], 1)
}

#[test]
fn nothing_is_endless() {
    for line in [
        "while true; do :; done",
        "while true; do echo x; done",
        "yes",
        "yes | cat | grep -v n",
        "cat /dev/zero",
        "f() { f; }; f",
        "f() { f; f; }; f",
        "x=x; while true; do x=$x$x; done",
        "for i in $(seq 1000000); do echo $i; done",
        "echo {1..1000}{1..1000}",
        "sleep 1000000",
        "until false; do kubectl get ns > /dev/null; done",
        "awk 'BEGIN { while (1) print 1 }'",
        "kubectl get pods -w",
        "tail -f /dev/null",
        "cat",
    ] {
        let after = endless(line);
        assert!(after.ends_with("still 42\n$ "), "{line}: {after}");
    }
}

#[test]
fn a_huge_paste_is_cut_with_a_word() {
    let (mut terminal, mut session) = desk();
    let text = format!("echo {} | wc -c", "x".repeat(3 << 20));
    terminal.hear(TerminalInput::Line { text, files: Vec::new() }, &mut session);
    let screen = wait(&mut terminal, &mut session, 1);
    assert!(screen.contains("more was pasted than is taken at once"), "{:.200}", screen);
    assert!(screen.len() < 4 << 20);
    session.run_until(session.now() + Duration::from_secs(1));
    assert!(type_lines(&mut terminal, &mut session, &["echo here"], 1).contains("here\n"));
}
