//! The session that determinism is shown with, natively and in WebAssembly.

use std::time::Duration;

use kubetab::session::{Action, File, NodeName, ObjectName, Session, SessionConfig};

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: 'nginx:1.27', ports: [{containerPort: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80}]
";

fn apply(text: &str) -> Action {
    let files = vec![File { name: "web.yaml".to_owned(), text: text.to_owned() }];
    Action::Apply { files, namespace: "default".to_owned(), dry_run: false }
}

/// Five minutes of a cluster: a Deployment is made, rolled to a broken image and back, scaled, and loses a node.
pub fn played(seed: u64) -> Session {
    let mut session = Session::new(SessionConfig { seed, ..SessionConfig::default() });
    let web = ObjectName {
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".to_owned(),
        namespace: "default".to_owned(),
        name: "web".to_owned(),
    };
    let script = [
        (10, apply(WEB)),
        (20, apply(&WEB.replace("nginx:1.27", "nginx:404"))),
        (40, apply(WEB)),
        (20, Action::Scale { object: web, replicas: 7 }),
        (20, Action::StopNode(NodeName { name: "node-2".to_owned() })),
        (90, Action::StartNode(NodeName { name: "node-2".to_owned() })),
        (60, apply(&WEB.replace("nginx:1.27", "nginx:1.28"))),
    ];
    for (seconds, action) in script {
        let until = session.now() + Duration::from_secs(seconds);
        session.run_until(until);
        let outcome = session.act(action);
        assert!(outcome.as_ref().is_ok_and(kubetab::session::Outcome::is_success), "{outcome:?}");
    }
    let until = session.now() + Duration::from_secs(40);
    session.run_until(until);
    session
}
