//! The catalogue itself, and images on a node.

use expect_test::expect;

use super::world::{World, container};
use crate::machinery::time::Time;
use crate::node::runtime::catalogue::Catalogue;
use crate::node::runtime::{ImageReference, RuntimeProfile};

#[test]
fn every_image_runs_as_it_is() {
    let names: Vec<String> = Catalogue::builtin().names().map(str::to_owned).collect();
    let mut text = String::new();
    for name in &names {
        let mut world = World::new();
        let line = match world.create(container(name, &[])) {
            Err(error) => format!("not created: {error}"),
            Ok(id) => match world.runtime.start_container(&id, world.now) {
                Err(error) => error,
                Ok(()) => {
                    world.pass(60.0);
                    let ports = world.runtime.listening_ports(&world.sandbox.clone(), world.now);
                    let memory = world.runtime.stats(&id, world.now).unwrap().memory_bytes >> 20;
                    format!("{} {ports:?} {memory}Mi", world.end(&id))
                }
            },
        };
        text.push_str(&format!("{name}: {line}\n"));
    }
    expect![[r#"
        docker.io/alexeiled/stress-ng: 0 Completed [] 0Mi
        docker.io/apache/kafka: Running [9092] 400Mi
        docker.io/appropriate/curl: 2 Error [] 0Mi
        docker.io/bitnami/kubectl: 1 Error [] 0Mi
        docker.io/bitnami/nginx: Running [8080] 6Mi
        docker.io/bitnami/redis: Running [6379] 8Mi
        docker.io/bprashanth/nginxhttps: Running [80] 6Mi
        docker.io/byrnedo/alpine-curl: 2 Error [] 0Mi
        docker.io/containous/whoami: Running [80] 5Mi
        docker.io/curlimages/curl: 2 Error [] 0Mi
        docker.io/docker/getting-started: Running [80] 6Mi
        docker.io/dockersamples/examplevotingapp_result: Running [80] 60Mi
        docker.io/dockersamples/examplevotingapp_vote: Running [80] 60Mi
        docker.io/ealen/echo-server: Running [80] 40Mi
        docker.io/envoyproxy/envoy: Running [9901, 10000] 25Mi
        docker.io/fluent/fluent-bit: Running [2020] 12Mi
        docker.io/fluent/fluentd: Running [24224] 45Mi
        docker.io/giantswarm/tiny-tools: 0 Completed [] 0Mi
        docker.io/grafana/grafana: Running [3000] 90Mi
        docker.io/hashicorp/consul: Running [8500] 40Mi
        docker.io/hashicorp/http-echo: Running [5678] 5Mi
        docker.io/hashicorp/vault: Running [8200] 70Mi
        docker.io/infoblox/dnstools: 0 Completed [] 0Mi
        docker.io/jenkins/jenkins: Running [8080] 600Mi
        docker.io/jmalloc/echo-server: Running [8080] 6Mi
        docker.io/jocatalin/kubernetes-bootcamp: Running [8080] 25Mi
        docker.io/jwilder/whoami: Running [8000] 5Mi
        docker.io/kicbase/echo-server: Running [8080] 6Mi
        adminer: Running [8080] 15Mi
        alpine: 0 Completed [] 0Mi
        amazonlinux: 0 Completed [] 0Mi
        bash: 0 Completed [] 0Mi
        busybox: 0 Completed [] 0Mi
        caddy: Running [80] 15Mi
        cassandra: Running [7000, 9042] 900Mi
        centos: 0 Completed [] 0Mi
        debian: 0 Completed [] 0Mi
        eclipse-temurin: 0 Completed [] 0Mi
        elasticsearch: Running [9200] 1200Mi
        fedora: 0 Completed [] 0Mi
        ghost: Running [2368] 150Mi
        golang: 0 Completed [] 0Mi
        haproxy: 1 Error [] 0Mi
        hello-world: 0 Completed [] 0Mi
        httpd: Running [80] 12Mi
        influxdb: Running [8086] 60Mi
        mariadb: 1 Error [] 0Mi
        memcached: Running [11211] 3Mi
        mongo: Running [27017] 120Mi
        mongo-express: 1 Error [] 0Mi
        mysql: 1 Error [] 0Mi
        nextcloud: Running [80] 45Mi
        nginx: Running [80] 6Mi
        node: 0 Completed [] 0Mi
        openjdk: 0 Completed [] 0Mi
        perl: 0 Completed [] 0Mi
        php: 0 Completed [] 0Mi
        phpmyadmin: Running [80] 45Mi
        postgres: 1 Error [] 0Mi
        python: 0 Completed [] 0Mi
        rabbitmq: Running [5672] 120Mi
        redis: Running [6379] 8Mi
        registry: Running [5000] 12Mi
        rockylinux: 0 Completed [] 0Mi
        ruby: 0 Completed [] 0Mi
        sonarqube: Running [9000] 1500Mi
        tomcat: Running [8080] 120Mi
        traefik: Running [80, 8080] 35Mi
        ubuntu: 0 Completed [] 0Mi
        wordpress: Running [80] 45Mi
        zookeeper: Running [2181] 80Mi
        docker.io/minio/minio: Running [9000] 90Mi
        docker.io/nginxdemos/hello: Running [80] 6Mi
        docker.io/nginxinc/nginx-unprivileged: Running [8080] 6Mi
        docker.io/nicolaka/netshoot: 0 Completed [] 0Mi
        docker.io/openresty/openresty: Running [80] 6Mi
        docker.io/paulbouwer/hello-kubernetes: Running [8080] 30Mi
        docker.io/polinux/stress: 0 Completed [] 0Mi
        docker.io/polinux/stress-ng: 0 Completed [] 0Mi
        docker.io/praqma/network-multitool: Running [80] 6Mi
        docker.io/progrium/stress: 0 Completed [] 0Mi
        docker.io/prom/node-exporter: Running [9100] 12Mi
        docker.io/prom/prometheus: Running [9090] 60Mi
        docker.io/radial/busyboxplus: 0 Completed [] 0Mi
        docker.io/stefanprodan/podinfo: Running [9898] 18Mi
        docker.io/traefik/whoami: Running [80] 5Mi
        docker.io/tutum/dnsutils: 0 Completed [] 0Mi
        docker.io/valkey/valkey: Running [6379] 8Mi
        docker.io/vish/stress: Running [] 0Mi
        docker.io/wbitt/network-multitool: Running [80] 6Mi
        gcr.io/distroless/base-debian12: not created: failed to generate container spec: failed to generate spec: no command specified
        gcr.io/distroless/nodejs20-debian12: 0 Completed [] 0Mi
        gcr.io/distroless/python3-debian12: 0 Completed [] 0Mi
        gcr.io/distroless/static: not created: failed to generate container spec: failed to generate spec: no command specified
        gcr.io/distroless/static-debian12: not created: failed to generate container spec: failed to generate spec: no command specified
        gcr.io/google-samples/cassandra: Running [7000, 9042] 900Mi
        gcr.io/google-samples/gb-frontend: Running [80] 25Mi
        gcr.io/google-samples/gb-redis-follower: Running [6379] 8Mi
        gcr.io/google-samples/gb-redisslave: Running [6379] 8Mi
        gcr.io/google-samples/hello-app: Running [8080] 5Mi
        gcr.io/google-samples/hello-frontend: Running [80] 6Mi
        gcr.io/google-samples/hello-go-gke: Running [80] 6Mi
        gcr.io/google-samples/kubernetes-bootcamp: Running [8080] 25Mi
        gcr.io/google-samples/node-hello: Running [8080] 25Mi
        gcr.io/google-samples/xtrabackup: 0 Completed [] 0Mi
        gcr.io/google_containers/busybox: 0 Completed [] 0Mi
        gcr.io/google_containers/echoserver: Running [8080] 10Mi
        gcr.io/google_samples/gb-frontend: Running [80] 25Mi
        gcr.io/google_samples/gb-redis-follower: Running [6379] 8Mi
        gcr.io/google_samples/gb-redisslave: Running [6379] 8Mi
        gcr.io/google_samples/k8szk: Running [2181, 2888, 3888] 300Mi
        ghcr.io/stefanprodan/podinfo: Running [9898] 18Mi
        k8s.gcr.io/busybox: 0 Completed [] 0Mi
        k8s.gcr.io/e2e-test-images/agnhost: Running [] 8Mi
        k8s.gcr.io/echoserver: Running [8080] 10Mi
        k8s.gcr.io/hpa-example: Running [80] 10Mi
        k8s.gcr.io/nginx-slim: Running [80] 6Mi
        k8s.gcr.io/pause: Running [] 0Mi
        quay.io/fluentd_elasticsearch/fluentd: Running [24224] 45Mi
        registry.k8s.io/busybox: 0 Completed [] 0Mi
        registry.k8s.io/e2e-test-images/agnhost: Running [] 8Mi
        registry.k8s.io/e2e-test-images/busybox: 0 Completed [] 0Mi
        registry.k8s.io/e2e-test-images/jessie-dnsutils: Running [] 0Mi
        registry.k8s.io/echoserver: Running [8080] 10Mi
        registry.k8s.io/etcd: Running [2379, 2380] 35Mi
        registry.k8s.io/goproxy: Running [8080] 6Mi
        registry.k8s.io/hpa-example: Running [80] 10Mi
        registry.k8s.io/kubernetes-zookeeper: Running [2181, 2888, 3888] 300Mi
        registry.k8s.io/liveness: Running [8080] 10Mi
        registry.k8s.io/nginx-slim: Running [80] 6Mi
        registry.k8s.io/pause: Running [] 0Mi
        registry.k8s.io/redis: Running [6379] 8Mi
        registry.k8s.io/serve_hostname: Running [9376] 10Mi
        registry.k8s.io/test-webserver: Running [80] 10Mi
        us-docker.pkg.dev/google-samples/containers/gke/gb-frontend: Running [80] 25Mi
        us-docker.pkg.dev/google-samples/containers/gke/gb-redis-follower: Running [6379] 8Mi
        us-docker.pkg.dev/google-samples/containers/gke/hello-app: Running [8080] 5Mi
    "#]].assert_eq(&text);
}

#[test]
fn tags() {
    let catalogue = Catalogue::builtin();
    let exists = |name: &str| catalogue.exists(&ImageReference::parse(name).unwrap());
    for name in [
        "nginx",
        "nginx:1",
        "nginx:2",
        "nginx:3",
        "nginx:1.14.2",
        "nginx:1.25-alpine",
        "nginx:stable-alpine-slim",
        "busybox:1.28",
        "busybox:1.36",
        "busybox:1.37",
        "redis:7",
        "redis:7.2-alpine",
        "postgres:16.3",
        "mysql:5.7",
        "somebody/else:9",
        "gcr.io/google-samples/kubernetes-bootcamp:v1",
        "httpd:2.4-alpine",
        "mongo:6.0.1",
        "ubuntu:24.04",
        "alpine:3.20.1",
    ] {
        assert!(exists(name), "{name}");
    }
    for name in [
        "nginx:1.161",
        "nginx:latestt",
        "ngnix",
        "redis3",
        "busybox:1.999",
        "gcr.io/google-samples/kubernetes-bootcamp:v10",
        "gcr.io/google-samples/hello-app:3.0",
        "postgres:99",
        "mysql:nope",
    ] {
        assert!(!exists(name), "{name}");
    }
}

#[test]
fn pulling() {
    let mut world = World::new();
    for image in ["nginx:1.25", "nginx:doesnotexist", "redis:404", "nginx:1.161", "ngnix", "team/app:v1", "busybox"] {
        world.runtime.pull_image(image, world.now).unwrap();
    }
    world.runtime.pull_image("UPPER:x", world.now).unwrap_err();
    world.pass(60.0);
    expect![[r#"
        [0.73s] not pulled ngnix: rpc error: code = Unknown desc = failed to pull and unpack image "docker.io/library/ngnix:latest": failed to resolve reference "docker.io/library/ngnix:latest": pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed
        [0.75s] not pulled nginx:doesnotexist: rpc error: code = NotFound desc = failed to pull and unpack image "nginx:doesnotexist": failed to resolve reference "nginx:doesnotexist": nginx:doesnotexist: not found
        [0.77s] not pulled nginx:1.161: rpc error: code = NotFound desc = failed to pull and unpack image "docker.io/library/nginx:1.161": failed to resolve reference "docker.io/library/nginx:1.161": docker.io/library/nginx:1.161: not found
        [0.78s] pulled busybox: 2200000 bytes
        [0.80s] not pulled redis:404: rpc error: code = NotFound desc = failed to pull and unpack image "redis:404": failed to resolve reference "redis:404": redis:404: not found
        [2.47s] pulled team/app:v1: 60000000 bytes
        [2.84s] pulled nginx:1.25: 72000000 bytes
    "#]].assert_eq(&format!("{}\n", world.told.join("\n")));
    let status = world.runtime.image_status("docker.io/library/nginx:1.25").unwrap();
    assert_eq!(status.tags, ["docker.io/library/nginx:1.25"]);
    assert!(status.reference().starts_with("docker.io/library/nginx@sha256:"));
    assert_eq!(world.runtime.images().count(), 3);
    assert!(world.runtime.remove_image("nginx:1.25"));
    assert!(world.runtime.image_status("nginx:1.25").is_none());
    let mut world = World::with(RuntimeProfile::recorded(), &[]);
    world.runtime.pull_image("postgres", world.now).unwrap();
    assert_eq!(world.runtime.next_wake(world.now), Some(Time::from_micros(world.now.as_micros() + 300_000)));
}
