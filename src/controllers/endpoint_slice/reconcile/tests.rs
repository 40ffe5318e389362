//! Pods and slices in, writes out.

use serde_json::json;

use super::*;

fn service(spec: serde_json::Value) -> Service {
    let value = json!({"metadata": {"name": "web", "namespace": "default", "uid": "s"}, "spec": spec});
    serde_json::from_value(value).expect("it is a Service")
}

fn simple() -> Service {
    service(json!({"clusterIP": "10.96.0.9", "ipFamilies": ["IPv4"], "ports": [{"port": 80, "targetPort": 80}]}))
}

fn pod(index: usize, ready: bool) -> Arc<Pod> {
    let value = json!({
        "metadata": {"name": format!("p{index:03}"), "namespace": "default", "uid": format!("u{index}")},
        "spec": {"nodeName": "n", "containers": [{"name": "c", "ports": [{"name": "http", "containerPort": 8000 + index}]}]},
        "status": {
            "phase": "Running",
            "podIPs": [{"ip": format!("10.0.{}.{}", index / 250, index % 250)}],
            "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}],
        },
    });
    Arc::new(serde_json::from_value(value).expect("it is a Pod"))
}

fn pods(range: std::ops::Range<usize>) -> Vec<Arc<Pod>> {
    range.map(|index| pod(index, true)).collect()
}

fn run(service: &Service, pods: &[Arc<Pod>], existing: &[Arc<EndpointSlice>]) -> Plan {
    let node: Arc<Node> = Arc::new(
        serde_json::from_value(json!({"metadata": {"name": "n", "labels": {"topology.kubernetes.io/zone": "z"}}}))
            .expect("it is a Node"),
    );
    plan(service, pods, existing, |name| (name == "n").then_some(&node), &mut Topology::default())
}

/// What is stored after a plan: the new slices get names.
fn stored(plan: &Plan) -> Vec<Arc<EndpointSlice>> {
    let named = plan.create.iter().enumerate().map(|(index, slice)| {
        let mut slice = slice.clone();
        slice.metadata.name = Some(format!("web-{index}"));
        Arc::new(slice)
    });
    named.chain(plan.update.iter().cloned().map(Arc::new)).collect()
}

fn sizes(slices: &[EndpointSlice]) -> Vec<usize> {
    slices.iter().map(count).collect()
}

#[test]
fn a_hundred_and_twenty_make_two_slices() {
    let first = run(&simple(), &pods(0..120), &[]);
    assert_eq!(sizes(&first.create), [100, 20]);
    let existing = stored(&first);
    assert_eq!(run(&simple(), &pods(0..120), &existing), Plan::default(), "nothing is written twice");
    let more = run(&simple(), &pods(0..125), &existing);
    assert_eq!((sizes(&more.create), sizes(&more.update)), (vec![], vec![25]), "one slice has room for all");
    let fewer = run(&simple(), &pods(0..100), &existing);
    assert_eq!((fewer.writes(), fewer.delete.len()), (1, 1));
}

#[test]
fn without_endpoints_one_empty_slice_stays() {
    let first = run(&simple(), &[], &[]);
    assert_eq!(sizes(&first.create), [0]);
    let existing = stored(&first);
    assert_eq!(run(&simple(), &[], &existing), Plan::default());
    let filled = run(&simple(), &pods(0..1), &existing);
    assert_eq!((filled.writes(), sizes(&filled.update)), (1, vec![1]), "the empty slice is filled");
    let emptied = run(&simple(), &[], &stored(&filled));
    assert_eq!((emptied.writes(), sizes(&emptied.update)), (1, vec![0]));
}

#[test]
fn conditions() {
    let unready = run(&simple(), &[pod(0, false)], &[]);
    let publish = service(json!({"clusterIP": "None", "ipFamilies": ["IPv4"], "publishNotReadyAddresses": true}));
    let published = run(&publish, &[pod(0, false)], &[]);
    let mut leaving = (*pod(0, true)).clone();
    leaving.metadata.deletion_timestamp = Some(crate::machinery::time::Time::DEFAULT_START.to_meta());
    let leaving = run(&simple(), &[Arc::new(leaving)], &[]);
    let table = [(unready, (false, false, false)), (published, (true, false, false)), (leaving, (false, true, true))];
    for (plan, (ready, serving, terminating)) in table {
        let endpoint = plan.create[0].endpoints.as_ref().and_then(|endpoints| endpoints.first()).expect("there is one");
        let conditions = endpoint.conditions.clone().unwrap_or_default();
        let told = (conditions.ready, conditions.serving, conditions.terminating);
        assert_eq!(told, (Some(ready), Some(serving), Some(terminating)));
        assert_eq!(endpoint.zone.as_deref(), Some("z"));
    }
}

#[test]
fn named_ports_divide_pods_into_slices() {
    let spec = json!({"clusterIP": "10.96.0.9", "ipFamilies": ["IPv4"], "ports": [{"port": 80, "targetPort": "http"}]});
    let plan = run(&service(spec), &pods(0..2), &[]);
    let ports: Vec<_> =
        plan.create.iter().flat_map(|slice| slice.ports.iter().flatten()).map(|port| port.port).collect();
    assert_eq!(ports, [Some(8000), Some(8001)]);
}

#[test]
fn labels_and_hints_follow_the_service() {
    let mut labelled = simple();
    let existing = stored(&run(&labelled, &pods(0..1), &[]));
    labelled.metadata.labels = Some(BTreeMap::from([("team".to_owned(), "a".to_owned())]));
    let plan = run(&labelled, &pods(0..1), &existing);
    assert_eq!(
        plan.update[0].metadata.labels.as_ref().and_then(|labels| labels.get("team")).map(String::as_str),
        Some("a")
    );
    let mut close = simple();
    close.spec.get_or_insert_default().traffic_distribution = Some("PreferSameNode".to_owned());
    let hinted = run(&close, &pods(0..1), &existing);
    assert_eq!(hinted.writes(), 1);
    assert_eq!(run(&close, &pods(0..1), &stored(&hinted)), Plan::default());
    assert_eq!(run(&simple(), &pods(0..1), &stored(&hinted)).writes(), 1, "hints go again");
}

#[test]
fn a_pod_on_a_node_that_is_gone_is_skipped() {
    let mut lost = (*pod(0, true)).clone();
    lost.spec.get_or_insert_default().node_name = Some("gone".to_owned());
    let plan = run(&simple(), &[Arc::new(lost)], &[]);
    assert_eq!(plan.errors, ["skipping Pod p000 for Service default/web: Node gone Not Found"]);
    assert_eq!(sizes(&plan.create), [0]);
}
