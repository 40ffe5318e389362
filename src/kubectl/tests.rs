//! kubectl against a small cluster, without a shell.

use std::time::Duration;

use expect_test::expect;

use super::{Config, Files, Kubectl};
use crate::machinery::time::Time;
use crate::sim::{Cluster, Profile};

struct NoFiles;

impl Files for NoFiles {
    fn read(&mut self, _path: &str) -> Result<Vec<u8>, String> {
        Err("no such file or directory".to_owned())
    }

    fn list(&mut self, _path: &str) -> Option<Vec<String>> {
        None
    }

    fn write(&mut self, _path: &str, _bytes: &[u8]) -> Result<(), String> {
        Err("read-only file system".to_owned())
    }
}

fn cluster() -> Cluster {
    let mut cluster = Cluster::new(Profile::bare(), 1);
    cluster.run_until(Time::DEFAULT_START + Duration::from_secs(30));
    cluster
}

/// Runs a command line; what it printed, with the seconds that it waited.
fn kubectl(cluster: &mut Cluster, line: &str, stdin: &str) -> String {
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let began = cluster.now();
    let mut run = Kubectl::new(words, Config::default(), stdin.to_owned());
    let mut text = String::new();
    for _ in 0..10_000 {
        let polled = run.poll(cluster, &mut NoFiles);
        polled.written.iter().for_each(|(_, piece)| text.push_str(piece));
        if let Some(code) = polled.exit {
            if code != 0 {
                text.push_str(&format!("exit {code}\n"));
            }
            let waited = cluster.now().since(began).as_secs();
            if waited > 0 {
                text.push_str(&format!("after {waited} s\n"));
            }
            return text;
        }
        cluster.run_for(Duration::from_millis(50));
    }
    panic!("{line} goes on for ever: {text}");
}

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: web, image: 'nginx:1.27'}]
";

#[test]
fn commands_that_wait_let_time_pass_and_end() {
    let mut cluster = cluster();
    let mut lines = String::new();
    for line in [
        "create -f -",
        "rollout status deploy/web",
        "get deploy,rs --no-headers -o custom-columns=N:.kind,R:.status.readyReplicas",
        "scale deploy web --replicas=3",
        "wait deploy/web --for=jsonpath={.status.readyReplicas}=3",
        "wait pod/nosuch --for=condition=Ready",
        "delete deploy web --cascade=foreground",
        "get deploy,rs,pods",
    ] {
        lines.push_str(&format!("$ {line}\n{}", kubectl(&mut cluster, line, WEB)));
    }
    expect![[r#"
        $ create -f -
        deployment.apps/web created
        $ rollout status deploy/web
        Waiting for deployment spec update to be observed...
        Waiting for deployment spec update to be observed...
        Waiting for deployment "web" rollout to finish: 0 out of 2 new replicas have been updated...
        Waiting for deployment "web" rollout to finish: 0 of 2 updated replicas are available...
        Waiting for deployment "web" rollout to finish: 1 of 2 updated replicas are available...
        deployment "web" successfully rolled out
        after 3 s
        $ get deploy,rs --no-headers -o custom-columns=N:.kind,R:.status.readyReplicas
        Deployment   2
        ReplicaSet   2
        $ scale deploy web --replicas=3
        deployment.apps/web scaled
        $ wait deploy/web --for=jsonpath={.status.readyReplicas}=3
        deployment.apps/web condition met
        after 4 s
        $ wait pod/nosuch --for=condition=Ready
        Error from server (NotFound): pods "nosuch" not found
        exit 1
        $ delete deploy web --cascade=foreground
        deployment.apps "web" deleted from default namespace
        after 2 s
        $ get deploy,rs,pods
        No resources found in default namespace.
    "#]]
    .assert_eq(&lines);
}

/// The text with what stands between a beginning and the next quotation mark left out, wherever it is.
fn without(text: &str, beginning: &str) -> String {
    let mut parts = text.split(beginning);
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(['"', '\\']).unwrap_or(part.len());
        kept.push_str(&format!("{beginning}…{}", &part[end..]));
    }
    kept
}

#[test]
fn owners_of_fields_are_told_when_asked_for() {
    let mut cluster = cluster();
    kubectl(&mut cluster, "create -f -", WEB);
    kubectl(&mut cluster, "expose deployment web --port=80", "");
    cluster.run_for(Duration::from_secs(20));
    kubectl(&mut cluster, "set image deployment web web=nginx:1.28", "");
    kubectl(&mut cluster, "scale deployment web --replicas=1", "");
    let mut text = String::new();
    for line in [
        "get deployment web -o jsonpath={.metadata.managedFields}",
        "get service web -o jsonpath={.metadata.managedFields}",
        "get pods -o jsonpath={.items[0].metadata.managedFields}",
        "get lease node-1 -n kube-node-lease -o jsonpath={.metadata.managedFields}",
        "get namespace default -o jsonpath={.metadata.managedFields}",
    ] {
        text.push_str(&format!("$ {line}\n"));
        let entries = kubectl(&mut cluster, line, "");
        let entries: serde_json::Value = serde_json::from_str(&entries).expect("it is JSON");
        for entry in entries.as_array().into_iter().flatten() {
            let word = |field: &str| entry[field].as_str().unwrap_or("-").to_owned();
            let about = ["manager", "operation", "subresource", "apiVersion"].map(word).join(" ");
            text.push_str(&format!("{about}\n{}\n", entry["fieldsV1"]));
        }
    }
    // Uids and addresses are a matter of chance.
    let text = without(&without(&text, r#"k:{\"uid\":\""#), "10.244.");
    expect![[r#"
        $ get deployment web -o jsonpath={.metadata.managedFields}
        kubectl Update scale apps/v1
        {"f:spec":{"f:replicas":{}}}
        kubectl-create Update - apps/v1
        {"f:spec":{"f:progressDeadlineSeconds":{},"f:revisionHistoryLimit":{},"f:selector":{},"f:strategy":{"f:rollingUpdate":{".":{},"f:maxSurge":{},"f:maxUnavailable":{}},"f:type":{}},"f:template":{"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{".":{},"f:imagePullPolicy":{},"f:name":{},"f:resources":{},"f:terminationMessagePath":{},"f:terminationMessagePolicy":{}}},"f:dnsPolicy":{},"f:restartPolicy":{},"f:schedulerName":{},"f:securityContext":{},"f:terminationGracePeriodSeconds":{}}}}}
        kube-controller-manager Update status apps/v1
        {"f:metadata":{"f:annotations":{".":{},"f:deployment.kubernetes.io/revision":{}}},"f:status":{"f:availableReplicas":{},"f:conditions":{".":{},"k:{\"type\":\"Available\"}":{".":{},"f:lastTransitionTime":{},"f:lastUpdateTime":{},"f:message":{},"f:reason":{},"f:status":{},"f:type":{}},"k:{\"type\":\"Progressing\"}":{".":{},"f:lastTransitionTime":{},"f:lastUpdateTime":{},"f:message":{},"f:reason":{},"f:status":{},"f:type":{}}},"f:observedGeneration":{},"f:readyReplicas":{},"f:replicas":{},"f:terminatingReplicas":{},"f:updatedReplicas":{}}}
        kubectl-set Update - apps/v1
        {"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{"f:image":{}}}}}}}
        $ get service web -o jsonpath={.metadata.managedFields}
        kubectl-expose Update - v1
        {"f:spec":{"f:internalTrafficPolicy":{},"f:ports":{".":{},"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:port":{},"f:protocol":{},"f:targetPort":{}}},"f:selector":{},"f:sessionAffinity":{},"f:type":{}}}
        $ get pods -o jsonpath={.items[0].metadata.managedFields}
        kube-controller-manager Update - v1
        {"f:metadata":{"f:generateName":{},"f:labels":{".":{},"f:app":{},"f:pod-template-hash":{}},"f:ownerReferences":{".":{},"k:{\"uid\":\"…\"}":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{".":{},"f:image":{},"f:imagePullPolicy":{},"f:name":{},"f:resources":{},"f:terminationMessagePath":{},"f:terminationMessagePolicy":{}}},"f:dnsPolicy":{},"f:enableServiceLinks":{},"f:restartPolicy":{},"f:schedulerName":{},"f:securityContext":{},"f:terminationGracePeriodSeconds":{}}}
        kubelet Update status v1
        {"f:status":{"f:conditions":{"k:{\"type\":\"ContainersReady\"}":{".":{},"f:lastProbeTime":{},"f:lastTransitionTime":{},"f:observedGeneration":{},"f:status":{},"f:type":{}},"k:{\"type\":\"Initialized\"}":{".":{},"f:lastProbeTime":{},"f:lastTransitionTime":{},"f:observedGeneration":{},"f:status":{},"f:type":{}},"k:{\"type\":\"PodReadyToStartContainers\"}":{".":{},"f:lastProbeTime":{},"f:lastTransitionTime":{},"f:observedGeneration":{},"f:status":{},"f:type":{}},"k:{\"type\":\"Ready\"}":{".":{},"f:lastProbeTime":{},"f:lastTransitionTime":{},"f:observedGeneration":{},"f:status":{},"f:type":{}}},"f:containerStatuses":{},"f:hostIP":{},"f:hostIPs":{},"f:observedGeneration":{},"f:phase":{},"f:podIP":{},"f:podIPs":{".":{},"k:{\"ip\":\"10.244.…\"}":{".":{},"f:ip":{}}},"f:resources":{},"f:startTime":{}}}
        $ get lease node-1 -n kube-node-lease -o jsonpath={.metadata.managedFields}
        kubelet Update - coordination.k8s.io/v1
        {"f:metadata":{"f:ownerReferences":{".":{},"k:{\"uid\":\"…\"}":{}}},"f:spec":{"f:holderIdentity":{},"f:leaseDurationSeconds":{},"f:renewTime":{}}}
        $ get namespace default -o jsonpath={.metadata.managedFields}
        kube-apiserver Update - v1
        {"f:metadata":{"f:labels":{".":{},"f:kubernetes.io/metadata.name":{}}}}
    "#]].assert_eq(&text);
    // What the server fills in when it stores a new object is not its maker's.
    kubectl(&mut cluster, "create job once --image=busybox -- true", "");
    let job = kubectl(&mut cluster, "get job once -o jsonpath={.metadata.managedFields[0]}", "");
    assert!(job.contains("kubectl-create") && job.contains("f:template"), "{job}");
    assert!(!job.contains("f:selector") && !job.contains("controller-uid"), "{job}");
    let hidden = kubectl(&mut cluster, "get deployment web -o yaml", "");
    assert!(!hidden.contains("managedFields"), "{hidden}");
    let shown = kubectl(&mut cluster, "get deployment web -o yaml --show-managed-fields", "");
    assert!(shown.contains("managedFields"), "{shown}");
}

#[test]
fn applying_on_the_server_meets_other_owners() {
    let mut cluster = cluster();
    let mut text = String::new();
    for (line, stdin) in [
        ("apply --server-side -f -", WEB.to_owned()),
        ("apply --server-side -f -", WEB.to_owned()),
        ("set image deployment web web=nginx:1.28", String::new()),
        ("apply --server-side -f -", WEB.to_owned()),
        ("apply --server-side --force-conflicts -f -", WEB.to_owned()),
        ("apply --server-side --field-manager=other -f -", WEB.replace("replicas: 2", "replicas: 3")),
        ("apply --server-side --dry-run=client -f -", WEB.to_owned()),
        ("apply --force-conflicts -f -", WEB.to_owned()),
        ("apply --server-side -f - -o jsonpath={.spec.template.spec.containers[0].image}", WEB.to_owned()),
    ] {
        text.push_str(&format!("$ {line}\n{}", kubectl(&mut cluster, line, &stdin)));
    }
    expect![[r#"
        $ apply --server-side -f -
        deployment.apps/web serverside-applied
        $ apply --server-side -f -
        deployment.apps/web serverside-applied
        $ set image deployment web web=nginx:1.28
        deployment.apps/web image updated
        $ apply --server-side -f -
        error: Apply failed with 1 conflict: conflict with "kubectl-set" using apps/v1: .spec.template.spec.containers[name="web"].image
        Please review the fields above--they currently have other managers. Here
        are the ways you can resolve this warning:
        * If you intend to manage all of these fields, please re-run the apply
          command with the `--force-conflicts` flag.
        * If you do not intend to manage all of the fields, please edit your
          manifest to remove references to the fields that should keep their
          current managers.
        * You may co-own fields by updating your manifest to match the existing
          value; in this case, you'll become the manager if the other manager(s)
          stop managing the field (remove it from their configuration).
        See https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts
        exit 1
        $ apply --server-side --force-conflicts -f -
        deployment.apps/web serverside-applied
        $ apply --server-side --field-manager=other -f -
        error: Apply failed with 1 conflict: conflict with "kubectl": .spec.replicas
        Please review the fields above--they currently have other managers. Here
        are the ways you can resolve this warning:
        * If you intend to manage all of these fields, please re-run the apply
          command with the `--force-conflicts` flag.
        * If you do not intend to manage all of the fields, please edit your
          manifest to remove references to the fields that should keep their
          current managers.
        * You may co-own fields by updating your manifest to match the existing
          value; in this case, you'll become the manager if the other manager(s)
          stop managing the field (remove it from their configuration).
        See https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts
        exit 1
        $ apply --server-side --dry-run=client -f -
        error: --dry-run=client doesn't work with --server-side (did you mean --dry-run=server instead?)
        exit 1
        $ apply --force-conflicts -f -
        error: --force-conflicts only works with --server-side
        exit 1
        $ apply --server-side -f - -o jsonpath={.spec.template.spec.containers[0].image}
        nginx:1.27"#]].assert_eq(&text);
}

const JOBS: &str = "
apiVersion: batch/v1
kind: Job
metadata: {name: quick}
spec:
  template:
    spec:
      containers: [{name: c, image: 'busybox:1.36', command: [sh, -c, 'echo one; echo two']}]
      restartPolicy: Never
---
apiVersion: batch/v1
kind: Job
metadata: {name: slow}
spec:
  template:
    spec:
      containers: [{name: c, image: 'busybox:1.36', command: [sh, -c, 'echo begun; sleep 3; echo done']}]
      restartPolicy: Never
";

#[test]
fn logs_of_a_job_are_those_of_its_pods() {
    let mut cluster = cluster();
    let mut lines = String::new();
    for line in [
        "create -f -",
        "wait job/quick --for=condition=complete",
        "logs job/quick",
        "logs job/quick --tail=1",
        "logs -f job/slow",
        "logs -l job-name=quick",
        "logs -l job-name=none",
        "logs nosuch",
        "logs job/nosuch",
        "logs job/quick -c c --all-containers",
        "logs",
        "create cronjob c --image=b --schedule=@hourly",
        "logs cronjob/c",
    ] {
        lines.push_str(&format!("$ {line}\n{}", kubectl(&mut cluster, line, JOBS)));
    }
    expect![[r#"
        $ create -f -
        job.batch/quick created
        job.batch/slow created
        $ wait job/quick --for=condition=complete
        job.batch/quick condition met
        after 3 s
        $ logs job/quick
        one
        two
        $ logs job/quick --tail=1
        two
        $ logs -f job/slow
        begun
        done
        after 1 s
        $ logs -l job-name=quick
        one
        two
        $ logs -l job-name=none
        No resources found in default namespace.
        $ logs nosuch
        error: error from server (NotFound): pods "nosuch" not found in namespace "default"
        exit 1
        $ logs job/nosuch
        error: error from server (NotFound): jobs.batch "nosuch" not found in namespace "default"
        exit 1
        $ logs job/quick -c c --all-containers
        error: --all-containers=true should not be specified with container name c
        exit 1
        $ logs
        error: expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.
        POD or TYPE/NAME is a required argument for the logs command
        See 'kubectl logs -h' for help and examples
        exit 1
        $ create cronjob c --image=b --schedule=@hourly
        cronjob.batch/c created
        $ logs cronjob/c
        error: cannot get the logs from *v1.CronJob: selector for *v1.CronJob not implemented
        exit 1
    "#]]
    .assert_eq(&lines);
}

#[test]
fn a_drain_that_is_only_tried_moves_nothing() {
    let mut cluster = cluster();
    kubectl(
        &mut cluster,
        "create -f -",
        "{apiVersion: v1, kind: Pod, metadata: {name: one}, spec: {nodeName: node-1, terminationGracePeriodSeconds: 0, containers: [{name: c, image: 'nginx:1.27'}]}}",
    );
    kubectl(&mut cluster, "wait pod/one --for=condition=Ready", "");
    let mut lines = String::new();
    for line in [
        "drain node-1 --force --dry-run=server",
        "get node,pod --no-headers -o custom-columns=N:.metadata.name,U:.spec.unschedulable",
        "drain node-1 --force --disable-eviction",
        "get pods",
        "get pods,nodes --no-headers",
    ] {
        lines.push_str(&format!("$ {line}\n{}", kubectl(&mut cluster, line, "")));
    }
    expect![[r#"
        $ drain node-1 --force --dry-run=server
        node/node-1 cordoned (server dry run)
        Warning: deleting Pods that declare no controller: default/one
        evicting pod default/one (server dry run)
        node/node-1 drained (server dry run)
        $ get node,pod --no-headers -o custom-columns=N:.metadata.name,U:.spec.unschedulable
        node-1   <none>
        node-2   <none>
        node-3   <none>
        one      <none>
        $ drain node-1 --force --disable-eviction
        node/node-1 cordoned
        Warning: deleting Pods that declare no controller: default/one
        pod/one deleted
        node/node-1 drained
        $ get pods
        No resources found in default namespace.
        $ get pods,nodes --no-headers
        node/node-1   Ready,SchedulingDisabled   <none>   33s   v1.36.2
        node/node-2   Ready                      <none>   33s   v1.36.2
        node/node-3   Ready                      <none>   33s   v1.36.2
    "#]]
    .assert_eq(&lines);
}
