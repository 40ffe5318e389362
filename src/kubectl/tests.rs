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
        text.push_str(&polled.out);
        text.push_str(&polled.error);
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
        after 4 s
        $ get deploy,rs --no-headers -o custom-columns=N:.kind,R:.status.readyReplicas
        Deployment   2
        ReplicaSet   2
        $ scale deploy web --replicas=3
        deployment.apps/web scaled
        $ wait deploy/web --for=jsonpath={.status.readyReplicas}=3
        deployment.apps/web condition met
        after 3 s
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
        Error from server (NotFound): pods "nosuch" not found
        exit 1
        $ logs job/nosuch
        Error from server (NotFound): jobs.batch "nosuch" not found
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
