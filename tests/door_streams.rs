//! Talks with containers over WebSockets, as client libraries have them: channels in bytes or in texts.

#![cfg(not(target_arch = "wasm32"))]

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use kubetab::door::{self, Clock, Door};
use kubetab::session::{Session, SessionConfig};
use kubetab::sim::Profile;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;

const POD: &str = "/api/v1/namespaces/default/pods/p";

/// A door to a cluster in which the pod `p` runs a web server, and its port.
async fn open() -> (Door, u16) {
    let profile = Profile { nodes: 1, node_prefix: "worker-".to_owned(), ..Profile::bare() };
    let mut session = Session::new(SessionConfig { seed: 7, profile, ..SessionConfig::default() });
    session.run_until(session.now() + Duration::from_secs(30));
    let door = Door::open(session, Clock::Manual);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    tokio::spawn(door::serve(listener, door.clone()));
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "nginx:1.27"}]},
    });
    let body = pod.to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
    let head = format!(
        "POST /api/v1/namespaces/default/pods HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("it is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    door.advance(Duration::from_secs(20)).await;
    (door, port)
}

/// Sends messages over a WebSocket, lets some time pass after each, and says all that came until it was closed.
async fn talk(door: &Door, port: u16, path: &str, protocol: Option<&str>, say: &[Message]) -> Vec<Message> {
    let mut request = format!("ws://localhost:{port}{POD}/{path}").into_client_request().expect("an address");
    if let Some(protocol) = protocol {
        let protocol = HeaderValue::from_str(protocol).expect("a header");
        request.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
    }
    let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
    let (mut socket, response) = tokio_tungstenite::client_async(request, stream).await.expect("it agrees");
    let agreed = response.headers().get("Sec-WebSocket-Protocol").map(|value| value.to_str().expect("a name"));
    assert_eq!(agreed, protocol);
    for message in say {
        socket.send(message.clone()).await.expect("it listens");
    }
    let mut said = Vec::new();
    loop {
        match tokio::time::timeout(Duration::from_millis(20), socket.next()).await {
            Ok(Some(Ok(message))) if !message.is_close() => said.push(message),
            Ok(_) => return said,
            // Nothing comes without simulated time.
            Err(_) => door.advance(Duration::from_millis(100)).await,
        }
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(test);
}

/// What came in a channel, all together.
fn channel(messages: &[Message], number: u8) -> String {
    let of_channel = messages.iter().filter_map(|message| match message {
        Message::Binary(bytes) => bytes.strip_prefix(&[number]).map(<[u8]>::to_vec),
        _ => None,
    });
    String::from_utf8_lossy(&of_channel.collect::<Vec<_>>().concat()).into_owned()
}

#[test]
fn ports_are_forwarded_over_channels() {
    run(async {
        let (door, port) = open().await;
        let get = |channel: u8| {
            let request = b"GET / HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n";
            Message::binary([&[channel], &request[..]].concat())
        };
        let say = [get(0), get(2)];
        let said = talk(&door, port, "portforward?ports=80&ports=81", Some("v4.channel.k8s.io"), &say).await;
        // Each channel begins with its port, little end first.
        assert!(channel(&said, 0).starts_with("P\0HTTP/1.1 200 OK\r\n"), "{said:?}");
        assert_eq!(channel(&said, 1), "P\0");
        assert_eq!(channel(&said, 2), "Q\0");
        let refused = channel(&said, 3);
        assert!(refused.starts_with("Q\0") && refused.contains("connection refused"), "{refused}");
    });
}

#[test]
fn commands_are_talked_with_in_every_version_of_the_protocol() {
    run(async {
        let (door, port) = open().await;
        let path = "exec?command=sh&command=-c&command=echo+hi%3B+exit+3&stdout=true&stderr=true";
        for protocol in ["v5.channel.k8s.io", "v4.channel.k8s.io"] {
            let said = talk(&door, port, path, Some(protocol), &[]).await;
            assert_eq!(channel(&said, 1), "hi\n", "{protocol}");
            let status: serde_json::Value = serde_json::from_str(&channel(&said, 3)).expect("a Status");
            assert_eq!(status["details"]["causes"][0]["message"], "3", "{protocol}");
        }
        let words = "command terminated with non-zero exit code: command terminated with exit code 3";
        for protocol in [Some("channel.k8s.io"), None] {
            let said = talk(&door, port, path, protocol, &[]).await;
            assert_eq!((channel(&said, 1).as_str(), channel(&said, 3).as_str()), ("hi\n", words), "{protocol:?}");
        }
        let said = talk(&door, port, path, Some("base64.channel.k8s.io"), &[]).await;
        let texts: Vec<&str> = said.iter().filter_map(|message| message.to_text().ok()).collect();
        assert!(texts.contains(&"1aGkK"), "{texts:?}");
        // What is typed comes in the same form as what is told.
        let shell = "exec?command=head&command=-1&stdin=true&stdout=true";
        let said = talk(&door, port, shell, Some("v4.base64.channel.k8s.io"), &[Message::text("0aGVsbG8K")]).await;
        assert!(said.iter().any(|message| message.to_text().is_ok_and(|text| text == "1aGVsbG8K")), "{said:?}");
    });
}
