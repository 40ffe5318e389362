//! Servers, and requests that leave a pod.

use expect_test::expect;

use super::world::{World, check, container, mount, script};
use crate::machinery::shell::files::FileTree;
use crate::machinery::time::Time;
use crate::node::runtime::{ContainerConfig, Id};

#[test]
fn nginx_serves_files_and_logs_requests() {
    let mut world = World::new();
    world.runtime.put_volume("html", FileTree::new(), world.now);
    let web = world.start(ContainerConfig {
        mounts: vec![mount("/usr/share/nginx/html", "html", false)],
        ..container("nginx:1.27", &[])
    });
    assert!(world.get(80, "/").starts_with("Refused"), "it does not listen before it has started");
    world.pass(1.0);
    assert!(world.get(80, "/").starts_with("403 "));
    let init = world.start(ContainerConfig {
        mounts: vec![mount("/work", "html", false)],
        ..script("echo '<h1>Hi</h1>' > /work/index.html")
    });
    world.pass(1.0);
    assert_eq!(world.end(&init), "0 Completed");
    assert_eq!(world.get(80, "/"), "200 <h1>Hi</h1>\n");
    assert!(world.get(80, "/none").contains("nginx/1.27"));
    assert_eq!(world.exec(&web, &["curl", "-s", "localhost"]), "<h1>Hi</h1>\n");
    assert_eq!(
        world.exec(&web, &["curl", "-s", "-o", "/dev/null", "-w", "%{http_code} %{remote_ip}", "http://web/x"]),
        "404 10.244.1.5"
    );
    expect![[r#"
        [0.00s]
        /docker-entrypoint.sh: /docker-entrypoint.d/ is not empty, will attempt to perform configuration
        /docker-entrypoint.sh: Looking for shell scripts in /docker-entrypoint.d/
        /docker-entrypoint.sh: Launching /docker-entrypoint.d/10-listen-on-ipv6-by-default.sh
        10-listen-on-ipv6-by-default.sh: info: Getting the checksum of /etc/nginx/conf.d/default.conf
        10-listen-on-ipv6-by-default.sh: info: Enabled listen on IPv6 in /etc/nginx/conf.d/default.conf
        /docker-entrypoint.sh: Sourcing /docker-entrypoint.d/15-local-resolvers.envsh
        /docker-entrypoint.sh: Launching /docker-entrypoint.d/20-envsubst-on-templates.sh
        /docker-entrypoint.sh: Launching /docker-entrypoint.d/30-tune-worker-processes.sh
        /docker-entrypoint.sh: Configuration complete; ready for start up
        ! 2026/01/01 00:00:00 [notice] 1#1: using the "epoll" event method
        ! 2026/01/01 00:00:00 [notice] 1#1: nginx/1.27
        ! 2026/01/01 00:00:00 [notice] 1#1: built by gcc 12.2.0 (Debian 12.2.0-14+deb12u1)
        ! 2026/01/01 00:00:00 [notice] 1#1: OS: Linux 6.8.0-kubetab
        ! 2026/01/01 00:00:00 [notice] 1#1: getrlimit(RLIMIT_NOFILE): 1048576:1048576
        ! 2026/01/01 00:00:00 [notice] 1#1: start worker processes
        ! 2026/01/01 00:00:00 [notice] 1#1: start worker process 29
        [1.00s]
        10.244.2.9 - - [01/Jan/2026:00:00:01 +0000] "GET / HTTP/1.1" 403 151 "-" "test" "-"
        [2.00s]
        10.244.2.9 - - [01/Jan/2026:00:00:02 +0000] "GET / HTTP/1.1" 200 12 "-" "test" "-"
        10.244.2.9 - - [01/Jan/2026:00:00:02 +0000] "GET /none HTTP/1.1" 404 151 "-" "test" "-"
        10.244.1.5 - - [01/Jan/2026:00:00:02 +0000] "GET / HTTP/1.1" 200 12 "-" "curl/8.14.1" "-"
        [2.50s]
        10.244.1.5 - - [01/Jan/2026:00:00:02 +0000] "GET /x HTTP/1.1" 404 151 "-" "curl/8.14.1" "-"
    "#]]
    .assert_eq(&world.log(&web));
}

#[test]
fn nginx_reads_its_configuration() {
    let with = |text: &str| {
        let mut world = World::new();
        let files = FileTree::from_files([("default.conf", text.as_bytes())], 0o644, Time::default());
        world.runtime.put_volume("conf", files, world.now);
        let id = world.start(ContainerConfig {
            mounts: vec![mount("/etc/nginx/conf.d", "conf", true)],
            ..container("nginx", &[])
        });
        world.pass(1.0);
        (world, id)
    };
    let (mut world, _) = with(
        "server { listen 8080; location / { return 200 'from $hostname\\n'; } location /api { proxy_pass http://api:3000; } location /old { return 301 /new; } }",
    );
    assert!(world.get(80, "/").starts_with("Refused"));
    assert_eq!(world.get(8080, "/"), "200 from web\n");
    assert_eq!(world.get(8080, "/api/x"), "on to api:3000/api/x");
    assert_eq!(world.get(8080, "/old"), "301 ");
    let (world, id) = with("server {\n  listen 80\n}\n");
    assert_eq!(world.end(&id), "1 Error");
    assert!(
        world.log(&id).contains("nginx: [emerg] unexpected \"}\" in /etc/nginx/conf.d/default.conf:3"),
        "{}",
        world.log(&id)
    );
}

#[test]
fn a_port_is_taken_once_in_a_pod() {
    let mut world = World::new();
    world.start(container("nginx", &[]));
    let second = world.start(ContainerConfig { name: "second".into(), ..container("nginx", &[]) });
    world.pass(1.0);
    assert_eq!(world.end(&second), "1 Error");
    assert!(world.log(&second).contains("bind() to 0.0.0.0:80 failed (98: Address already in use)"));
    let other = world.start(ContainerConfig {
        name: "third".into(),
        args: vec!["-text=hi".into()],
        ..container("hashicorp/http-echo", &[])
    });
    world.pass(1.0);
    assert_eq!(world.end(&other), "Running");
    assert_eq!(world.get(5678, "/"), "200 hi\n");
    let sandbox = Id::clone(&world.sandbox);
    assert_eq!(world.runtime.listening_ports(&sandbox, world.now), [80, 5678]);
}

#[test]
fn containers_of_a_pod_reach_each_other() {
    let mut world = World::new();
    world.start(container("redis:7", &[]));
    world.start(ContainerConfig { name: "app".into(), ports: vec![3000], ..container("team/app:v2", &[]) });
    let files = FileTree::from_files(
        [("default.conf", &b"server { listen 80; location / { proxy_pass http://localhost:3000; } }"[..])],
        0o644,
        Time::default(),
    );
    world.runtime.put_volume("conf", files, world.now);
    world.start(ContainerConfig {
        name: "proxy".into(),
        mounts: vec![mount("/etc/nginx/conf.d", "conf", true)],
        ..container("nginx", &[])
    });
    let id = world.start(ContainerConfig {
        name: "client".into(),
        ..script("until nc -z localhost 6379; do echo waiting; sleep 1; done; echo redis is up; sleep 2; wget -qO- localhost:3000; wget -qO- 127.0.0.1; nc -z localhost 1 || echo closed")
    });
    world.pass(10.0);
    expect![[r#"
        [0.00s]
        waiting
        [1.00s]
        redis is up
        [3.00s]
        team/app:v2 on web
        [3.01s]
        team/app:v2 on web
        closed
    "#]]
    .assert_eq(&world.log(&id));
}

#[test]
fn requests_leave_the_pod_and_come_back() {
    let mut world = World::new();
    let id = world.start(script("wget -qO- http://web-0.web:8080/a; nslookup web; wget -T 3 -qO- http://silent; sleep 1; wget -q http://other/file && cat file"));
    world.pass(20.0);
    expect![[r#"
        [0.00s]
        web-0.web says /a from 10.244.1.5
        Server:		10.96.0.10
        Address:	10.96.0.10:53

        ** server can't find web: NXDOMAIN

        ** server can't find web: NXDOMAIN

        [3.00s]
        ! wget: download timed out
        [4.00s]
        other says /file from 10.244.1.5
    "#]]
    .assert_eq(&world.log(&id));
    expect![[r#"
        [0.00s] started
        [0.00s] request Resolve(Question { name: "web-0.web", kind: A, search: true, hosts_file: true, server: None })
        [0.00s] request GET web-0.web:8080/a
        [0.00s] request Resolve(Question { name: "web", kind: A, search: false, hosts_file: false, server: None })
        [0.00s] request Resolve(Question { name: "web", kind: Aaaa, search: false, hosts_file: false, server: None })
        [0.00s] request Resolve(Question { name: "silent", kind: A, search: true, hosts_file: true, server: None })
        [0.00s] request GET silent:80/, not answered
        [4.00s] request Resolve(Question { name: "other", kind: A, search: true, hosts_file: true, server: None })
        [4.00s] request GET other:80/file
        [4.00s] died: 0 Completed
    "#]]
    .assert_eq(&format!("{}\n", world.told.join("\n")));
}

#[test]
fn small_servers() {
    let mut world = World::new();
    world.start(script("mkdir -p /www; echo busy > /www/index.html; httpd -f -p 81 -h /www"));
    world.start(container("python:3.12", &["python", "-m", "http.server", "8000", "--directory", "/etc"]));
    world.start(script("while true; do { echo -e 'HTTP/1.1 200 OK\\n\\n'; date +%T; } | nc -l -p 9000; done"));
    world.start(container(
        "node:22",
        &["node", "-e", "require('http').createServer(h).listen(3000); console.log('listening')"],
    ));
    world.start(ContainerConfig {
        args: vec!["netexec".into(), "--http-port=8083".into()],
        ..container("registry.k8s.io/e2e-test-images/agnhost:2.53", &[])
    });
    world.start(container("registry.k8s.io/e2e-test-images/agnhost:2.40", &["/agnhost", "liveness"]));
    world.start(ContainerConfig {
        environment: vec![("PORT".into(), "8086".into())],
        ..container("gcr.io/google-samples/hello-app:2.0", &[])
    });
    world.pass(2.0);
    let mut text = String::new();
    for (port, path) in [
        (81, "/"),
        (8000, "/hostname"),
        (9000, "/"),
        (9000, "/"),
        (3000, "/"),
        (8083, "/hostname"),
        (8080, "/healthz"),
        (8086, "/"),
    ] {
        text.push_str(&format!("{port}{path}: {}\n", world.get(port, path).trim_end()));
    }
    world.pass(10.0);
    text.push_str(&format!("8080/healthz: {}\n", world.get(8080, "/healthz")));
    expect![[r#"
        81/: 200 busy
        8000/hostname: 200 web
        9000/: 200 
        00:00:00
        9000/: 200 
        00:00:02
        3000/: 200 web
        8083/hostname: 200 web
        8080/healthz: 200 ok
        8086/: 200 Hello, world!
        Version: 2.0.0
        Hostname: web
        8080/healthz: 500 error: 12
    "#]]
    .assert_eq(&text);
}

#[test]
fn requests_take_processor_time() {
    let mut world = World::new();
    let id = world.start(container("registry.k8s.io/hpa-example", &[]));
    world.pass(1.0);
    for _ in 0..100 {
        assert_eq!(world.get(80, "/"), "200 OK!");
        world.pass(0.1);
    }
    assert_eq!(world.runtime.stats(&id, world.now).unwrap().processor_millis, 801);
    world.pass(60.0);
    assert_eq!(world.runtime.stats(&id, world.now).unwrap().processor_millis, 1);
}

#[test]
fn databases_want_their_passwords() {
    check(
        container("mysql:8", &[]),
        10.0,
        expect![[r#"
        [0.00s]
        2026-01-01 00:00:00+00:00 [Note] [Entrypoint]: Entrypoint script for MySQL Server started.
        ! 2026-01-01 00:00:00+00:00 [ERROR] [Entrypoint]: Database is uninitialized and password option is not specified
        !     You need to specify one of the following as an environment variable:
        !     - MYSQL_ROOT_PASSWORD
        !     - MYSQL_ALLOW_EMPTY_PASSWORD
        !     - MYSQL_RANDOM_ROOT_PASSWORD
        1 Error
    "#]],
    );
    check(
        container("postgres:17", &[]),
        10.0,
        expect![[r#"
        [0.00s]
        ! Error: Database is uninitialized and superuser password is not specified.
        !        You must specify POSTGRES_PASSWORD to a non-empty value for the
        !        superuser. For example, "-e POSTGRES_PASSWORD=password" on "docker run".
        ! 
        !        You may also use "POSTGRES_HOST_AUTH_METHOD=trust" to allow all
        !        connections without a password. This is *not* recommended.
        ! 
        !        See PostgreSQL documentation about "trust":
        !        https://www.postgresql.org/docs/current/auth-trust.html
        1 Error
    "#]],
    );
    let with = |image: &str, name: &str| ContainerConfig {
        environment: vec![(name.into(), "secret".into())],
        ..container(image, &[])
    };
    check(
        with("postgres:17-alpine", "POSTGRES_PASSWORD"),
        10.0,
        expect![[r#"
        [0.00s]
        The files belonging to this database system will be owned by user "postgres".
        This user must also own the server process.

        [1.50s]
        fixing permissions on existing directory /var/lib/postgresql/data ... ok
        creating subdirectories ... ok
        performing post-bootstrap initialization ... ok
        syncing data to disk ... ok


        PostgreSQL init process complete; ready for start up.

        ! 2026-01-01 00:00:01.000 UTC [1] LOG:  starting PostgreSQL 17 on x86_64-pc-linux-gnu, 64-bit
        ! 2026-01-01 00:00:01.000 UTC [1] LOG:  listening on IPv4 address "0.0.0.0", port 5432
        [2.10s]
        ! 2026-01-01 00:00:02.000 UTC [1] LOG:  database system is ready to accept connections
        Running
    "#]],
    );
    check(
        with("mysql:8", "MYSQL_ROOT_PASSWORD"),
        20.0,
        expect![[r#"
        [0.00s]
        2026-01-01 00:00:00+00:00 [Note] [Entrypoint]: Entrypoint script for MySQL Server started.
        2026-01-01 00:00:00+00:00 [Note] [Entrypoint]: Initializing database files
        [6.00s]
        2026-01-01 00:00:06+00:00 [Note] [Entrypoint]: Database files initialized
        2026-01-01 00:00:06+00:00 [Note] [Entrypoint]: MySQL init process done. Ready for start up.
        ! 2026-01-01T00:00:06Z 0 [System] [MY-015015] [Server] MySQL Server - start.
        ! 2026-01-01T00:00:06Z 0 [System] [MY-010116] [Server] /usr/sbin/mysqld (mysqld 8) starting as process 1
        ! 2026-01-01T00:00:06Z 1 [System] [MY-013576] [InnoDB] InnoDB initialization has started.
        [9.00s]
        ! 2026-01-01T00:00:09Z 1 [System] [MY-013577] [InnoDB] InnoDB initialization has ended.
        ! 2026-01-01T00:00:09Z 0 [System] [MY-010931] [Server] /usr/sbin/mysqld: ready for connections. Version: '8'  socket: '/var/run/mysqld/mysqld.sock'  port: 3306  MySQL Community Server - GPL.
        Running
    "#]],
    );
    let mut world = World::new();
    let id = world.start(with("postgres:16", "POSTGRES_PASSWORD"));
    assert_eq!(world.exec(&id, &["pg_isready", "-U", "postgres"]), "/var/run/postgresql:5432 - no response\nexit 2\n");
    world.pass(5.0);
    assert_eq!(world.exec(&id, &["pg_isready"]), "/var/run/postgresql:5432 - accepting connections\n");
}

#[test]
fn redis_keeps_keys() {
    let mut world = World::new();
    let id = world.start(container("redis:7-alpine", &[]));
    world.pass(1.0);
    let mut text = String::new();
    for command in [&["ping"][..], &["set", "a", "1"], &["incr", "a"], &["get", "a"], &["-h", "127.0.0.1", "ping"]] {
        text.push_str(&world.exec(&id, &[&["redis-cli"], command].concat()));
    }
    assert_eq!(text, "PONG\nOK\n2\n2\nPONG\n");
}

#[test]
fn nginx_refuses_what_it_does_not_know() {
    for (file, text) in [
        ("/conf.d/default.conf", "server {\n  lisen 80;\n}\n"),
        ("/conf.d/default.conf", "server { listen 443 ssl; ssl_certificate /etc/tls.crt; }\n"),
        ("/nginx.conf", "http { server { listen 80; } }\n"),
        ("/nginx.conf", "events {}\nhttp { include extra.conf; }\n"),
    ] {
        let mut world = World::new();
        let mut files = FileTree::new();
        files.put("/nginx.conf", b"events {}\nhttp { include conf.d/*.conf; }\n", 0o644, world.now);
        files.put(file, text.as_bytes(), 0o644, world.now);
        world.runtime.put_volume("conf", files, world.now);
        let web = world.start(ContainerConfig {
            mounts: vec![mount("/etc/nginx", "conf", false)],
            ..container("nginx:1.27", &["nginx", "-g", "daemon off;"])
        });
        world.pass(1.0);
        let log = world.log(&web);
        let last = log.lines().last().unwrap_or_default();
        let expected = match (file, text.len()) {
            ("/nginx.conf", 31) => "! nginx: [emerg] no \"events\" section in configuration",
            ("/nginx.conf", _) => {
                "! nginx: [emerg] open() \"/etc/nginx/extra.conf\" failed (2: No such file or directory) in /etc/nginx/nginx.conf:2"
            }
            (_, 23) => "! nginx: [emerg] unknown directive \"lisen\" in /etc/nginx/conf.d/default.conf:2",
            _ => {
                "! nginx: [emerg] cannot load certificate \"/etc/tls.crt\": BIO_new_file() failed (SSL: error:80000002:system library::No such file or directory:calling fopen(/etc/tls.crt, r) error:10000080:BIO routines::no such file)"
            }
        };
        assert_eq!(last, expected);
        assert_eq!(world.end(&web), "1 Error");
    }
}

#[test]
fn nginx_reads_its_configuration_anew_when_it_is_told() {
    let mut world = World::new();
    let write = |world: &mut World, text: &str| {
        let mut files = FileTree::new();
        files.put("/default.conf", text.as_bytes(), 0o644, world.now);
        world.runtime.put_volume("conf", files, world.now);
    };
    write(&mut world, "server { listen 80; return 200 one; }");
    let web = world.start(ContainerConfig {
        mounts: vec![mount("/etc/nginx/conf.d", "conf", false)],
        ..container("nginx:1.27", &[])
    });
    world.pass(1.0);
    write(&mut world, "server { listen 80; return 200 two; }");
    assert_eq!(world.get(80, "/"), "200 one");
    assert!(world.exec(&web, &["nginx", "-t"]).contains("test is successful"));
    world.exec(&web, &["nginx", "-s", "reload"]);
    assert_eq!(world.get(80, "/"), "200 two");
    write(&mut world, "server { lisen 80; return 200 three; }");
    assert!(world.exec(&web, &["nginx", "-t"]).contains("test failed"));
    world.exec(&web, &["nginx", "-s", "reload"]);
    assert_eq!(world.get(80, "/"), "200 two");
}
