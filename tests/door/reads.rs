//! What is read of the server itself, reads that wait, connections that are passed on, and tokens.

use super::*;

#[test]
fn a_read_waits_for_a_version_and_says_when_it_never_came() {
    run(async {
        let client = Client::open().await;
        let made = client.post(CONFIG_MAPS, &json!({"metadata": {"name": "a"}})).await.json();
        let newest: u64 = made["metadata"]["resourceVersion"].as_str().expect("text").parse().expect("a number");
        // The cluster is at rest while nobody lets time pass, so the next version is that of the next write.
        let path = format!("{CONFIG_MAPS}/a?resourceVersion={}", newest + 1);
        let (waited, _) = tokio::join!(client.get(&path, "*/*"), async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            client.post(CONFIG_MAPS, &json!({"metadata": {"name": "b"}})).await
        });
        assert_eq!((waited.code, &waited.json()["metadata"]["name"]), (200, &json!("a")));
        let future = "resourceVersion=99999999";
        let list = client.patient(client.get(&format!("{CONFIG_MAPS}?{future}"), "*/*")).await;
        let status = list.json();
        assert_eq!((list.code, &status["reason"]), (504, &json!("Timeout")));
        assert_eq!(status["details"]["retryAfterSeconds"], 1);
        assert_eq!(status["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
        let watch = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
        let watched = client.patient(client.get(&format!("{CONFIG_MAPS}?{watch}&{future}"), "*/*")).await;
        assert_eq!(watched.code, 200);
        let line = watched.body.lines().find(|line| line.starts_with('{')).expect("an event");
        let event: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!((&event["type"], &event["object"]["code"]), (&json!("ERROR"), &json!(504)));
        // A plain watch only has nothing to tell yet.
        let (_, code, _) = client.begin("GET", &format!("{CONFIG_MAPS}?watch=1&{future}"), &[], b"").await;
        assert_eq!(code, 200);
    });
}

#[test]
fn the_server_tells_of_itself() {
    run(async {
        let client = Client::open().await;
        let ready = client.get("/readyz?verbose", "*/*").await.body;
        assert!(ready.contains("[+]poststarthook/rbac/bootstrap-roles ok\n[+]poststarthook/scheduling/"), "{ready}");
        assert_eq!(client.get("/livez/poststarthook/crd-informer-synced", "*/*").await.body, "ok");
        assert_eq!(client.get("/livez/nothing", "*/*").await.code, 404);
        let paths = client.get("/", "*/*").await.json();
        let paths: Vec<&str> = paths["paths"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        for known in ["/apis/autoscaling", "/readyz/shutdown", "/openid/v1/jwks", "/metrics/slis", "/version"] {
            assert_eq!(paths.iter().filter(|path| **path == known).count(), 1, "{known}");
        }
        let slis = client.get("/metrics/slis", "*/*").await.body;
        assert!(slis.contains("kubernetes_healthchecks_total{name=\"etcd\",status=\"success\",type=\"readyz\"} 1\n"));
        let version = client.get("/version", "*/*").await.json();
        assert_eq!((&version["minor"], &version["emulationMinor"]), (&json!("36"), &json!("36")));
    });
}

#[test]
fn what_is_passed_on_is_judged_by_policies() {
    run(async {
        let client = Client::open().await;
        assert_eq!(client.get("/api/v1/nodes/worker-1/proxy/healthz", "*/*").await.body, "ok");
        assert_eq!(client.get("/api/v1/nodes/none/proxy/healthz", "*/*").await.code, 404);
        let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [
            {"name": "c", "image": "nginx", "ports": [{"containerPort": 80}]}]}});
        assert_eq!(client.post("/api/v1/namespaces/default/pods", &pod).await.code, 201);
        client.door.advance(Duration::from_secs(20)).await;
        let path = "/api/v1/namespaces/default/pods/p/proxy/secret";
        let before = client.patient(client.get(path, "*/*")).await;
        assert!(before.body.contains("404 Not Found"), "{}", before.body);
        let policies = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies";
        let policy = json!({"metadata": {"name": "no-proxy"}, "spec": {
            "matchConstraints": {"resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CONNECT"], "resources": ["pods/proxy"]}]},
            "validations": [{"expression": "object.path != '/secret'", "message": "that is secret"}]}});
        assert_eq!(client.post(policies, &policy).await.code, 201);
        let binding = json!({"metadata": {"name": "no-proxy"}, "spec": {
            "policyName": "no-proxy", "validationActions": ["Deny"]}});
        let made = client.post(&policies.replace("policies", "policybindings"), &binding).await;
        assert_eq!(made.code, 201, "{}", made.body);
        client.door.advance(Duration::from_secs(2)).await;
        let refused = client.get(path, "*/*").await;
        assert!(refused.message().contains("that is secret"), "{}", refused.body);
        let other = client.patient(client.get("/api/v1/namespaces/default/pods/p/proxy/", "*/*")).await;
        assert!(other.body.contains("nginx"), "{}", other.body);
    });
}

#[test]
fn a_token_tells_of_its_pod_and_ends_with_it() {
    run(async {
        let client = Client::open().await;
        let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}});
        assert_eq!(client.post("/api/v1/namespaces/default/pods", &pod).await.code, 201);
        client.door.advance(Duration::from_secs(5)).await;
        let wish = json!({"spec": {"expirationSeconds": 3607,
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "p"}}});
        let given = client.post("/api/v1/namespaces/default/serviceaccounts/default/token", &wish).await.json();
        let token = given["status"]["token"].as_str().expect("a token").to_owned();
        let ask = |audiences: Value| json!({"spec": {"token": token.clone(), "audiences": audiences}});
        let reviews = "/apis/authentication.k8s.io/v1/tokenreviews";
        let review = client.post(reviews, &ask(json!([]))).await.json()["status"].clone();
        assert_eq!(review["user"]["username"], "system:serviceaccount:default:default");
        let extra = &review["user"]["extra"];
        assert_eq!(extra["authentication.kubernetes.io/pod-name"], json!(["p"]));
        assert!(extra["authentication.kubernetes.io/node-name"][0].as_str().is_some_and(|node| !node.is_empty()));
        let other = client.post(reviews, &ask(json!(["vault"]))).await.json()["status"].clone();
        assert_eq!(other["authenticated"], Value::Null);
        assert!(other["error"].as_str().is_some_and(|error| error.contains("for the target audiences [\"vault\"]")));
        let path = "/api/v1/namespaces/default/pods/p?gracePeriodSeconds=0";
        assert_eq!(client.send("DELETE", path, &[], b"").await.code, 200);
        let late = client.post(reviews, &ask(json!([]))).await.json()["status"].clone();
        assert!(late["error"].as_str().is_some_and(|error| error.contains("has been invalidated")), "{late}");
    });
}

#[test]
fn a_bearer_needs_a_right_for_each_group_that_is_asked_for() {
    run(async {
        let client = Client::open().await;
        let rbac = "/apis/rbac.authorization.k8s.io/v1";
        let role = json!({"metadata": {"name": "be-jane"}, "rules": [
            {"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"], "resourceNames": ["jane"]},
            {"apiGroups": [""], "resources": ["groups"], "verbs": ["impersonate"], "resourceNames": ["dev"]},
        ]});
        let binding = json!({
            "metadata": {"name": "be-jane"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "be-jane"},
            "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}],
        });
        assert_eq!(client.post(&format!("{rbac}/clusterroles"), &role).await.code, 201);
        assert_eq!(client.post(&format!("{rbac}/clusterrolebindings"), &binding).await.code, 201);
        client.door.advance(Duration::from_secs(2)).await;
        let accounts = "/api/v1/namespaces/default/serviceaccounts/default/token";
        let answer = client.post(accounts, &json!({"spec": {}})).await.json();
        let bearer = format!("Bearer {}", answer["status"]["token"].as_str().expect("a token"));
        let ask = async |user: &str, group: &str| {
            let mut headers = vec![("Authorization", bearer.as_str()), ("Impersonate-User", user)];
            headers.extend((!group.is_empty()).then_some(("Impersonate-Group", group)));
            client.send("GET", CONFIG_MAPS, &headers, b"").await.message()
        };
        let refused = |resource: &str, name: &str| {
            format!(
                "{resource} {name:?} is forbidden: User \"system:serviceaccount:default:default\" cannot impersonate \
                 resource {resource:?} in API group \"\" at the cluster scope"
            )
        };
        let jane = "configmaps is forbidden: User \"jane\" cannot list resource \"configmaps\" in API group \"\" in the \
                    namespace \"default\"";
        assert_eq!(ask("jane", "").await, jane, "she may be asked for, and may nothing herself");
        assert_eq!(ask("jane", "dev").await, jane);
        assert_eq!(ask("jane", "system:masters").await, refused("groups", "system:masters"));
        assert_eq!(ask("joe", "").await, refused("users", "joe"));
    });
}
