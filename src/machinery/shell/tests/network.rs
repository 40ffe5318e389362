//! Requests that leave a process.

use expect_test::expect;

use super::harness::{Run, check};
use crate::machinery::shell::{HttpRequest, NetworkAnswer};
use std::time::Duration;

#[test]
fn wget_and_curl() {
    check(
        "wget -qO- http://web/hello; wget -O - web:80/x?a=b; cd /tmp; wget http://web; cat index.html; wget -q web/missing; echo $?",
        expect![[r#"
            [0.002s]
            GET /hello
            [0.003s]
            Connecting to web (10.0.0.7:80)
            [0.004s]
            writing to stdout
            GET /x?a=b
            -                    100% |********************************|    11  0:00:00 ETA
            written to stdout
            [0.005s]
            Connecting to web (10.0.0.7:80)
            [0.006s]
            saving to 'index.html'
            index.html           100% |********************************|     6  0:00:00 ETA
            'index.html' saved
            GET /
            [0.008s]
            wget: server returned error: HTTP/1.1 404 Not Found
            1
        "#]],
    );
    check(
        "wget -qO- http://nowhere; echo $?; wget web:81; echo $?; wget -T 2 silent; echo $?; wget ftp://x; wget -q --spider web && echo ok",
        expect![[r#"
            [0.001s]
            wget: bad address 'nowhere'
            1
            [0.002s]
            Connecting to web:81 (10.0.0.7:81)
            [0.003s]
            wget: can't connect to remote host (10.0.0.7): Connection refused
            1
            [0.004s]
            Connecting to silent (10.0.0.9:80)
            [2.004s]
            wget: download timed out
            1
            wget: not an http or ftp url: ftp://x
            [2.006s]
            ok
        "#]],
    );
    check(
        "curl -s web/a; curl -s -o /dev/null -w '%{http_code}\\n' http://web/missing; curl -sf web/missing; echo $?; curl -fsS web/missing; curl -X PUT -d k=v web/p",
        expect![[r#"
            [0.002s]
            GET /a
            [0.004s]
            404
            [0.006s]
            22
            [0.008s]
            curl: (22) The requested URL returned error: 404
            [0.01s]
            PUT /pk=v
        "#]],
    );
    check(
        "curl nowhere; echo $?; curl web:81; echo $?; curl -m 3 silent; echo $?; curl -s --retry 2 --retry-delay 1 silent --max-time 1; echo $?; curl; echo $?; curl -sI web | tr -d '\\r'",
        expect![[r#"
            [0.001s]
            curl: (6) Could not resolve host: nowhere
            6
            [0.003s]
            curl: (7) Failed to connect to web port 81 after 2 ms: Couldn't connect to server
            7
            [3.003s]
            curl: (28) Connection timed out after 3000 milliseconds
            28
            [8.003s]
            28
            curl: (2) no URL specified
            curl: try 'curl --help' or 'curl --manual' for more information
            2
            [8.005s]
            HTTP/1.1 200 OK

        "#]],
    );
    check(
        "until wget -qO- web:81 2>/dev/null; do echo waiting; sleep 2; [ $((n+=1)) -ge 3 ] && break; done",
        expect![[r#"
            [0.002s]
            waiting
            [2.004s]
            waiting
            [4.006s]
            waiting
        "#]],
    );
    check(
        "result=$(curl -s http://web/in-a-variable); echo \"<$result>\"; curl -s web/x | tr a-z A-Z",
        expect![[r#"
            [0.002s]
            <GET /in-a-variable>
            [0.004s]
            GET /X
        "#]],
    );
}

#[test]
fn names_and_ports() {
    check(
        "nslookup web; nslookup nowhere; echo $?; nc -z web 80; echo $?; nc -zv web 81; echo $?; nc -zv -w 1 silent 80; nc -z nowhere 1; getent hosts web; dig +short web; host web",
        expect![[r#"
            [0.001s]
            Server:		10.96.0.10
            Address:	10.96.0.10#53

            Name:	web.default.svc.cluster.local
            Address: 10.0.0.7

            [0.002s]
            Server:		10.96.0.10
            Address:	10.96.0.10#53

            ** server can't find nowhere: NXDOMAIN

            1
            [0.004s]
            0
            [0.006s]
            nc: web (10.0.0.7:81): Connection refused
            1
            [1.007s]
            nc: timed out
            [1.008s]
            nc: bad address 'nowhere'
            [1.009s]
            10.0.0.7          web.default.svc.cluster.local
            [1.01s]
            10.0.0.7
            [1.011s]
            web.default.svc.cluster.local has address 10.0.0.7
        "#]],
    );
    check(
        "ping -c 2 web; ping -c 1 silent; echo $?; ping nowhere",
        expect![[r#"
            [0.001s]
            PING web (10.0.0.7): 56 data bytes
            [0.002s]
            64 bytes from 10.0.0.7: seq=0 ttl=62 time=0.080 ms
            [1.002s]
            64 bytes from 10.0.0.7: seq=1 ttl=62 time=0.080 ms

            --- web ping statistics ---
            2 packets transmitted, 2 packets received, 0% packet loss
            round-trip min/avg/max = 0.080/0.080/0.080 ms
            [1.003s]
            PING silent (10.0.0.9): 56 data bytes
            [2.003s]

            --- silent ping statistics ---
            1 packets transmitted, 0 packets received, 100% packet loss
            1
            [2.004s]
            ping: bad address 'nowhere'
            exit 1
        "#]],
    );
    check(
        "until nc -z web 80; do sleep 1; done; echo up; until nslookup nowhere > /dev/null; do echo no such name; sleep 5; [ $((n+=1)) = 2 ] && exit 1; done",
        expect![[r#"
            [0.002s]
            up
            [0.003s]
            no such name
            [5.004s]
            no such name
            exit 1
        "#]],
    );
}

#[test]
fn servers() {
    let script = "mkdir /www; echo home > /www/index.html; httpd -f -p 8080 -h /www & while true; do printf 'HTTP/1.1 200 OK\\n\\nhello' | nc -l -p 9000; done";
    let mut run = Run::start(&["sh", "-c", script], None, 1);
    run.run(Duration::from_secs(1));
    let mut get = |port, path| match run.table.connect(&HttpRequest::get("web", port, path), &mut run.host) {
        NetworkAnswer::Http(answer) => {
            run.table.step(&mut run.host, 10_000);
            format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body))
        }
        other => format!("{other:?}"),
    };
    assert_eq!(get(8080, "/"), "200 home\n");
    assert!(get(8080, "/none").starts_with("404"));
    assert_eq!(get(9000, "/"), "200 hello");
    assert_eq!(get(9000, "/again"), "200 hello");
    assert!(get(9001, "/").starts_with("Refused"));
}
