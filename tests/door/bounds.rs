//! Clients that mean no good: each gets an error, and nobody else notices.

use super::*;

/// That the server is as well as before.
async fn is_well(client: &Client) {
    assert_eq!(client.get("/readyz", "*/*").await.body, "ok");
}

/// Sends raw bytes and reads what comes back until the server has said all, or for a second.
async fn raw(client: &Client, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", client.port)).await.expect("it listens");
    // A server that refuses need not read all of it.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(1), stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn floods_of_headers_are_refused() {
    run(async {
        let client = Client::open().await;
        let many: String = (0..2_000).map(|number| format!("X-{number}: a\r\n")).collect();
        let long = format!("X-Long: {}\r\n", "a".repeat(4 << 20));
        for flood in [many, long] {
            let head = format!("GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{flood}\r\n");
            let answer = raw(&client, head.as_bytes()).await;
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
        }
        let nonsense = raw(&client, b"\x00\xff nonsense\r\n\r\n").await;
        assert!(nonsense.is_empty() || nonsense.starts_with("HTTP/1.1 400 "), "{nonsense}");
        is_well(&client).await;
    });
}

#[test]
fn connections_that_say_nothing_more_hold_up_nobody() {
    run(async {
        let client = Client::open().await;
        let mut held = Vec::new();
        for begun in
            ["", "GET /api", "POST /api/v1/namespaces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{"]
        {
            for _ in 0..60 {
                let mut stream = TcpStream::connect(("127.0.0.1", client.port)).await.expect("it listens");
                stream.write_all(begun.as_bytes()).await.expect("it is taken");
                held.push(stream);
            }
        }
        is_well(&client).await;
        // Of these, one half is closed: the body will never be whole.
        let mut half = held.pop().expect("there are some");
        half.shutdown().await.expect("it can be closed");
        let mut answer = String::new();
        let _ = tokio::time::timeout(Duration::from_secs(1), half.read_to_string(&mut answer)).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
        drop(held);
        is_well(&client).await;
    });
}

#[test]
fn documents_that_grow_or_go_deep_are_refused() {
    run(async {
        let client = Client::open().await;
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let below = format!("*a{}, ", level - 1).repeat(9);
            bomb += &format!("a{level}: &a{level} [{below}]\n");
        }
        let map = |data: &str| format!("{{\"metadata\":{{\"name\":\"x\"}},\"data\":{data}}}");
        let deep = map(&format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)));
        let deep_maps = map(&format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000)));
        let deep_yaml = format!("metadata: {{name: x}}\ndata: {}{}\n", "[".repeat(10_000), "]".repeat(10_000));
        for (content_type, body) in [
            ("application/yaml", bomb.as_bytes()),
            ("application/yaml", deep_yaml.as_bytes()),
            ("application/json", deep.as_bytes()),
            ("application/json", deep_maps.as_bytes()),
            ("application/yaml", b"metadata: {name: \xff}"),
            ("application/json", b"{\"metadata\":{\"name\":\"a\xff\"}}"),
        ] {
            let answer = client.send("POST", CONFIG_MAPS, &[("Content-Type", content_type)], body).await;
            assert!(matches!(answer.code, 400 | 422), "{} {}", answer.code, answer.body);
        }
        assert_eq!(client.post(CONFIG_MAPS, &json!({"metadata": {"name": "a"}})).await.code, 201);
        let operation = r#"{"op":"test","path":"/metadata/name","value":"a"}"#;
        let many = format!("[{}]", vec![operation; 10_001].join(","));
        let typed = [("Content-Type", "application/json-patch+json")];
        let answer = client.send("PATCH", &format!("{CONFIG_MAPS}/a"), &typed, many.as_bytes()).await;
        let message = "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001";
        assert_eq!((answer.code, answer.message().as_str()), (413, message));
        is_well(&client).await;
    });
}

#[test]
fn names_lead_nowhere_else() {
    run(async {
        let client = Client::open().await;
        for name in ["..", ".", "%2e%2e", "..%2f..%2fsecrets", "a%2fb", "%00", "%ff", "a%20b"] {
            let answer = client.get(&format!("{CONFIG_MAPS}/{name}"), "*/*").await;
            assert!(matches!(answer.code, 400 | 404 | 405), "{name}: {} {}", answer.code, answer.body);
        }
        for name in ["..", ".", "../x", "a/b", "a\u{0}", "a%2fb"] {
            let answer = client.post(CONFIG_MAPS, &json!({"metadata": {"name": name}})).await;
            assert_eq!(answer.code, 422, "{name:?}: {}", answer.body);
        }
        let climbed = client.get("/api/v1/namespaces/../../../etc/passwd", "*/*").await;
        assert!(matches!(climbed.code, 404 | 405), "{}", climbed.code);
        is_well(&client).await;
    });
}

#[test]
fn watchers_that_do_not_read_hold_up_nobody() {
    run(async {
        let client = Client::open().await;
        let mut idle = Vec::new();
        for _ in 0..30 {
            let (stream, code, _) = client.begin("GET", &format!("{CONFIG_MAPS}?watch=1"), &[], b"").await;
            assert_eq!(code, 200);
            idle.push(stream);
        }
        let text = "x".repeat(60_000);
        for number in 0..60 {
            let map = json!({"metadata": {"name": format!("m{number}")}, "data": {"text": text}});
            assert_eq!(client.post(CONFIG_MAPS, &map).await.code, 201);
        }
        is_well(&client).await;
        // One of them begins to read after all, and misses nothing.
        let mut late = idle.pop().expect("there are some");
        drop(idle);
        let mut seen = 0;
        while seen < 60 {
            let event = event(&mut late).await;
            let name = event["object"]["metadata"]["name"].as_str().unwrap_or("");
            seen += u32::from(event["type"] == "ADDED" && name.starts_with('m'));
            // What waited for room is sent when the session is looked at next.
            client.door.advance(Duration::ZERO).await;
        }
        is_well(&client).await;
    });
}
